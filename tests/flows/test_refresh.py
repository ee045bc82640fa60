"""The refresh flow against a real Prefect server."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from prefect.testing.utilities import prefect_test_harness

from flows.refresh import refresh
from python_ml.ingest.demo import DemoShop, write_demo_shop
from python_ml.warehouse.ledger import in_force
from tests.conftest import MakePipeline


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_the_flow_publishes_what_the_command_would(
    make_pipeline: MakePipeline, tmp_path: Path
) -> None:
    pipeline = make_pipeline()
    shop = write_demo_shop(DemoShop(customers=150), tmp_path)
    pipeline.load("order_lines", [shop.order_lines])
    with prefect_test_harness(server_startup_timeout=120):
        published = refresh(as_of=date(2025, 12, 1), settings=pipeline.settings)
    assert sorted(published) == sorted(in_force(pipeline.warehouse).values())
    assert len(published) == 4
