"""A home on DuckDB, and one on Spark, beside one on PostgreSQL."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from python_ml.pipeline import Pipeline
from python_ml.warehouse.spark import has_java
from tests.conftest import MakePipeline

NEEDS_SPARK = [
    pytest.mark.spark,
    pytest.mark.skipif(find_spec("pyspark") is None, reason="the group spark is not installed"),
    pytest.mark.skipif(not has_java(), reason="no JVM: `java` is not found"),
]

Pair = tuple[Pipeline, Pipeline]


@pytest.fixture(scope="session")
def make_pair(make_pipeline: MakePipeline) -> object:
    """Open two homes: one on PostgreSQL, one on DuckDB; takes settings by name."""

    def make(**settings: object) -> Pair:
        return (
            make_pipeline(**settings),
            make_pipeline(database_url="", engine="duckdb", **settings),
        )

    return make


QUICK_JVM = {
    "spark.driver.defaultJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
    # small shops: compiling each query takes longer than running it
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
}


@pytest.fixture(scope="session")
def make_spark(make_pipeline: MakePipeline) -> MakePipeline:
    """Open a home on Spark, with two threads on this machine; takes settings by name."""

    def make(**settings: object) -> Pipeline:
        ours = {"engine": "spark", "threads": 2, "spark_settings": QUICK_JVM}
        return make_pipeline(database_url="", **{**ours, **settings})

    return make
