"""The whole road on DuckDB, beside the same on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import duckdb
import pandas as pd
import pytest

from python_ml.ingest.demo import DemoShop, write_demo_shop
from python_ml.pipeline import DEMO_MAPPING, Outcome, Pipeline
from python_ml.warehouse.bi_copy import COPY_FILE
from python_ml.warehouse.ledger import in_force
from tests.engines.conftest import Pair
from tests.engines.parity import assert_said_the_same, differences, read_table

NAME = "order_habit"


@pytest.fixture(scope="module")
def shops(make_pair: Callable[..., Pair], tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """The same small demo shop, published on both engines."""
    path = write_demo_shop(
        DemoShop(customers=150, years=2, products=50), tmp_path_factory.mktemp("demo")
    ).order_lines
    pair = make_pair(effort="quick")
    for pipeline in pair:
        pipeline.load("order_lines", [path], DEMO_MAPPING)
        pipeline.run(pipeline.request(only=[NAME]))
    return pair


def _run_again(pipeline: Pipeline) -> list[Outcome]:
    return pipeline.run(pipeline.request(only=[NAME]))


def test_the_demo_shop_comes_out_the_same(shops: Pair) -> None:
    assert differences(*shops) == []


def test_predictions_and_what_marts_say_of_them_are_the_same(shops: Pair) -> None:
    said = read_table(shops[0], "mart_rows", f"{NAME}_rows")
    assert said["reasons_text"].str.contains("likely: ").all()
    assert said["is_holdout"].any()
    assert_said_the_same(*shops, "mart_rows", f"{NAME}_rows")


def test_customers_are_summed_up_the_same(shops: Pair) -> None:
    one, other = (
        read_table(pipeline, "mart_rows", "customers_rows")
        .drop(columns="run_id")
        .sort_values("customer_id", ignore_index=True)
        for pipeline in shops
    )
    pd.testing.assert_frame_equal(one, other, rtol=1e-9, atol=1e-9, check_dtype=False)


def test_what_is_in_force_stands_in_the_copy_for_bi(shops: Pair) -> None:
    pipeline = shops[1]
    folder: Path = pipeline.settings.home / "bi"
    with duckdb.connect(str(folder / COPY_FILE), read_only=True) as copy:
        copied = copy.execute(f"select distinct run_id from marts.{NAME}").fetchall()
    assert copied == [(in_force(pipeline.warehouse)[NAME],)]
    parquet = duckdb.sql(f"select count(*) from '{folder / NAME}.parquet'").fetchall()
    assert parquet == [(len(read_table(pipeline, "marts", NAME)),)]


def test_the_same_run_again_changes_nothing(shops: Pair) -> None:
    pipeline = shops[1]
    before = pipeline.warehouse.read("select * from predictions.run_events")
    tables = [read_table(pipeline, "features", f"feat_{NAME}"), read_table(pipeline, "marts", NAME)]
    _run_again(pipeline)
    assert pipeline.warehouse.read("select * from predictions.run_events").equals(before)
    assert len(read_table(pipeline, "features", f"feat_{NAME}")) == len(tables[0])
    assert len(read_table(pipeline, "marts", NAME)) == len(tables[1])
