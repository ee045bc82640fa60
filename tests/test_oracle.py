"""The published order habit against the truth, which the demo shop knows."""

from __future__ import annotations

from pathlib import Path

import pytest

from python_ml.ingest.demo import DemoShop
from tests.bench.habit_against_oracle import measure_gap
from tests.conftest import MakePipeline


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_order_habit_is_nearly_as_good_as_the_truth(
    seed: int, make_pipeline: MakePipeline, tmp_path: Path
) -> None:
    gap = measure_gap(make_pipeline(), DemoShop(seed=seed), tmp_path)
    assert gap.customers > 4_000
    assert gap.excess_log_loss < 0.01
    assert gap.share_of_auc >= 0.95
