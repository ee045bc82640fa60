"""One small shop with everything built, for all tests of the ladders."""

from __future__ import annotations

from pathlib import Path

import pytest

from python_ml.ingest.demo import DemoShop, write_demo_shop
from python_ml.pipeline import DEMO_MAPPING, Pipeline
from tests.conftest import MakePipeline


@pytest.fixture(scope="package")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a shop's order lines, with its true probabilities."""
    folder = tmp_path_factory.mktemp("demo")
    write_demo_shop(DemoShop(customers=500), folder, with_oracle=True)
    return folder


@pytest.fixture(scope="package")
def shop(make_pipeline: MakePipeline, oracle: Path) -> Pipeline:
    """That shop, loaded and built."""
    pipeline = make_pipeline()
    pipeline.load("order_lines", [oracle / "order_lines.parquet"], DEMO_MAPPING)
    with pipeline.writing():
        pipeline.build(pipeline.request())
    return pipeline
