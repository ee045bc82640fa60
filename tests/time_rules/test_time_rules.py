"""No feature row may change because of what came after it.

Every feature and label model that exists is covered; none needs to be named here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from python_ml.pipeline import Pipeline
from python_ml.predictions import all_predictions
from python_ml.predictions.base import PairPrediction
from tests.time_rules.builds import (
    Tables,
    build,
    difference,
    first_stage_scores,
    rows_until,
)
from tests.time_rules.shops import CUT, tellings

SCORES: dict[str, dict[str, dict[str, np.ndarray]]] = {}
"""First-stage scores at the cut, by telling, prediction and model."""


@pytest.fixture(scope="module")
def built(
    time_rules_pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Tables]]:
    folder: Path = tmp_path_factory.mktemp("tellings")
    found: dict[str, Tables] = {}
    for name, shop in tellings(folder).items():
        found[name] = build(time_rules_pipeline, shop, folder)
        SCORES[name] = {
            prediction.name: first_stage_scores(time_rules_pipeline, prediction, CUT.date())
            for prediction in all_predictions().values()
            if isinstance(prediction, PairPrediction)
        }
    yield found


def test_there_is_something_to_compare(built: dict[str, Tables]) -> None:
    for model, table in built["all"].items():
        assert len(rows_until(table, CUT)) > 500, model


def test_what_was_known_at_the_cut_gives_the_same_rows_up_to_it(built: dict[str, Tables]) -> None:
    for model in built["all"]:
        everything = rows_until(built["all"][model], CUT)
        truncated = rows_until(built["cut"][model], CUT)
        # the truncated shop ends earlier, so fewer of its label windows are known to be closed
        if "label_known_at" in truncated:
            closed = pd.Timestamp(truncated["label_known_at"].max())
            everything, truncated = rows_until(everything, closed), rows_until(truncated, closed)
        assert difference(everything, truncated) is None, model


def test_another_future_gives_the_same_rows_up_to_the_cut(built: dict[str, Tables]) -> None:
    for model in built["all"]:
        everything = rows_until(built["all"][model], CUT)
        noisy = rows_until(built["noise"][model], CUT)
        assert difference(everything, noisy) is None, model


@pytest.mark.parametrize("other", ["cut", "noise"])
def test_first_stage_scores_at_the_cut_do_not_know_the_future(
    built: dict[str, Tables], other: str
) -> None:
    assert built
    for prediction, scores in SCORES["all"].items():
        for name, values in scores.items():
            np.testing.assert_allclose(
                SCORES[other][prediction][name],
                values,
                atol=1e-4 if name == "low_rank" else 1e-6,
                err_msg=f"{prediction} {name}",
            )
