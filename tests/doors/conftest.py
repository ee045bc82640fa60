"""One small shop with all three predictions published, for marts, rights and API."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import httpx
import pytest

from python_ml.ingest.demo import DemoShop, write_demo_shop
from python_ml.pipeline import DEMO_MAPPING, Pipeline
from tests.bench.api_under_load import Server, wait_until_ready
from tests.conftest import MakePipeline

AS_OF = date(2025, 12, 1)


@pytest.fixture(scope="session")
def open_shop(make_pipeline: MakePipeline, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """A shop of 250 customers with one refresh published; tests leave that refresh in force."""
    folder = tmp_path_factory.mktemp("demo")
    files = write_demo_shop(DemoShop(customers=250, products=120), folder)
    pipeline = make_pipeline(effort="quick")
    pipeline.load("order_lines", [files.order_lines], DEMO_MAPPING)
    outcomes = pipeline.run(pipeline.request(AS_OF))
    assert [outcome.skipped for outcome in outcomes] == [None] * 4, outcomes
    return pipeline


@pytest.fixture(scope="session")
def api(open_shop: Pipeline) -> Iterator[httpx.Client]:
    """`smartretail serve` on the shop, ready to score."""
    with Server(open_shop) as server:
        wait_until_ready(server.port)
        with httpx.Client(base_url=server.url, timeout=30) as client:
            yield client
        said = server.stop()
    assert "Traceback" not in said, said
