"""A home on DuckDB beside one on PostgreSQL."""

from __future__ import annotations

import pytest

from python_ml.pipeline import Pipeline
from tests.conftest import MakePipeline

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
