"""Spark builds, predicts and publishes what PostgreSQL and DuckDB do."""

from __future__ import annotations

from collections.abc import Callable

import duckdb
import pandas as pd
import pytest

from python_ml.ingest.demo import DemoShop, write_demo_shop
from python_ml.pipeline import DEMO_MAPPING, Pipeline
from python_ml.predictions import get_prediction
from python_ml.predictions.base import Prediction
from python_ml.scoring.score import score
from python_ml.training.bundle import Bundle
from python_ml.warehouse.bi_copy import COPY_FILE
from python_ml.warehouse.ledger import in_force
from tests.conftest import MakePipeline
from tests.engines.builds import build, build_source
from tests.engines.conftest import NEEDS_SPARK, Pair
from tests.engines.parity import assert_said_the_same, built_models, differences, read_table
from tests.engines.shops import corrected, random_shop
from tests.engines.test_parity import NORTHWIND

pytestmark = NEEDS_SPARK

NAME = "order_habit"
NEEDS_NORTHWIND = pytest.mark.skipif(
    not NORTHWIND.is_dir(), reason="SMARTRETAIL_DATA_DIR has no northwind"
)


@pytest.fixture(scope="module")
def northwind(make_pair: Callable[..., Pair], make_spark: MakePipeline) -> list[Pipeline]:
    """Northwind on Spark, on PostgreSQL and on DuckDB."""
    homes = [make_spark(effort="quick"), *make_pair()]
    for pipeline in homes:
        build_source(pipeline, "northwind", NORTHWIND)
    return homes


@pytest.mark.real_data
@NEEDS_NORTHWIND
def test_northwind_comes_out_the_same_on_three_engines(northwind: list[Pipeline]) -> None:
    spark, *others = northwind
    assert len(read_table(spark, "features", "feat_order_habit")) > 1000
    assert len(built_models(spark)) > 20
    for other in others:
        assert differences(other, spark) == []


@pytest.mark.real_data
@NEEDS_NORTHWIND
def test_executors_score_what_the_driver_would(northwind: list[Pipeline]) -> None:
    spark = northwind[0]
    request = spark.request(only=[NAME])
    bundle = spark.train(request, NAME)
    prediction = get_prediction(NAME)
    assert isinstance(bundle, Bundle) and isinstance(prediction, Prediction)
    looked: list[pd.DataFrame] = []
    on_executors = spark._scores(request, NAME, bundle, look=looked.append)
    on_driver = score(
        spark.warehouse,
        prediction,
        spark._catalogue(NAME),
        bundle,
        request.as_of,
        label_known_at=on_executors["label_known_at"][0].as_py(),
    )
    assert len(looked) == 1
    assert len(looked[0]) == on_driver.num_rows > 50
    assert not (spark.settings.home / "spark" / "scored").exists(), "it leaves its files behind"
    one, other = (
        table.to_pandas().drop(columns="scored_at").sort_values("customer_id", ignore_index=True)
        for table in (on_executors, on_driver)
    )
    pd.testing.assert_frame_equal(one, other, rtol=1e-12)


def test_a_random_shop_comes_out_the_same_on_three_engines(
    make_pair: Callable[..., Pair],
    make_spark: MakePipeline,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    spark = make_spark()
    others = make_pair()
    shop = pd.concat(
        [
            random_shop(seed, 40, named_lines=named_lines, prefix=f"{seed}:")
            for seed, named_lines in ((1, True), (2, False), (3, True), (4, False))
        ],
        ignore_index=True,
    )
    files = [shop, corrected(shop, 1)]
    folder = tmp_path_factory.mktemp("shops")
    for pipeline in (spark, *others):
        build(pipeline, files, folder)
    for other in others:
        assert differences(other, spark) == []
    lines = read_table(spark, "intermediate", "int_order_lines")
    assert lines["superseded_on"].notna().any(), "no line was corrected"


@pytest.fixture(scope="module")
def shops(
    make_pipeline: MakePipeline, make_spark: MakePipeline, tmp_path_factory: pytest.TempPathFactory
) -> Pair:
    """The same small demo shop, published on PostgreSQL and on Spark."""
    path = write_demo_shop(
        DemoShop(customers=150, years=2, products=50), tmp_path_factory.mktemp("demo")
    ).order_lines
    pair = make_pipeline(effort="quick"), make_spark(effort="quick")
    for pipeline in pair:
        pipeline.load("order_lines", [path], DEMO_MAPPING)
        pipeline.run(pipeline.request(only=[NAME]))
    return pair


@pytest.mark.slow
def test_the_demo_shop_comes_out_the_same(shops: Pair) -> None:
    assert differences(*shops) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("layer", "name"), [("mart_rows", f"{NAME}_rows"), ("marts", NAME), ("marts", "customers")]
)
def test_predictions_and_what_marts_say_of_them_are_the_same(
    shops: Pair, layer: str, name: str
) -> None:
    assert_said_the_same(*shops, layer, name)


@pytest.mark.slow
def test_what_is_in_force_stands_in_the_copy_for_bi(shops: Pair) -> None:
    pipeline = shops[1]
    with duckdb.connect(str(pipeline.settings.home / "bi" / COPY_FILE), read_only=True) as copy:
        copied = copy.execute(f"select distinct run_id from marts.{NAME}").fetchall()
    assert copied == [(in_force(pipeline.warehouse)[NAME],)]


@pytest.mark.slow
def test_a_question_is_answered_and_changes_nothing(shops: Pair) -> None:
    names, rows = shops[1].warehouse.ask(f"select count(*) as customers from marts.{NAME}")
    assert names == ["customers"]
    assert rows == [(len(read_table(shops[1], "marts", NAME)),)]
