"""Loading files of a random shop at a time of one's choice, and building everything from them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pandas as pd

from python_ml.ingest.load import load
from python_ml.ingest.read import ReadOptions
from python_ml.ingest.sources import ColumnMapping
from python_ml.pipeline import Pipeline
from python_ml.predictions import all_predictions
from tests.time_rules.builds import SCHEMAS
from tests.time_rules.shops import AS_OF_DATES

ATTRIBUTES = ["product:brand", "customer:joined:date"]
HORIZONS = (30, 90)
LOADED_AT = "2024-05-15 10:00:00"
EVERYTHING = ("run", "--select", "+path:models_sql/intermediate", "+tag:feature", "+tag:label")


def build(pipeline: Pipeline, files: list[pd.DataFrame], folder: Path) -> None:
    """Load the files one after another into an emptied home, and build all features and labels."""
    with pipeline.warehouse.connect() as connection:
        for schema in SCHEMAS:
            connection.execute(f"drop schema if exists {schema} cascade".encode())
    for number, rows in enumerate(files):
        load_rows(pipeline, rows, folder / f"{pipeline.warehouse.engine}_{number}.parquet")
    ask(pipeline, HORIZONS)
    pipeline._dbt(EVERYTHING)


def build_source(pipeline: Pipeline, source: str, path: Path, as_of: date | None = None) -> None:
    """Load a real shop and build all its features and labels, by default to its end."""
    pipeline.load(source, [path])
    pipeline.ask(pipeline.request(as_of))
    pipeline._dbt(EVERYTHING)


def load_rows(
    pipeline: Pipeline, rows: pd.DataFrame, path: Path, loaded_at: str = LOADED_AT
) -> None:
    """Load rows through a file, as if at that time: what came late was known then."""
    rows.to_parquet(path, index=False)
    load(
        pipeline.warehouse,
        "order_lines",
        [path],
        ColumnMapping.parse([], ATTRIBUTES),
        ReadOptions(date_order="dmy"),
        reject_threshold=1,
    )
    with pipeline.warehouse.connect() as connection:
        connection.execute(
            "update raw.loads set loaded_at = %s "
            "where load_id = (select max(load_id) from raw.loads)",
            (loaded_at,),
        )


def ask(pipeline: Pipeline, horizons: Sequence[int]) -> None:
    """Ask for all predictions as of the dates of the time rules."""
    with pipeline.warehouse.connect() as connection:
        for prediction in all_predictions():
            for day in map(date.fromisoformat, AS_OF_DATES):
                for horizon_days in horizons:
                    connection.execute(
                        "insert into raw.as_of_requests values (%s, %s, %s, %s)",
                        (prediction, day, horizon_days, "2024-07-01"),
                    )
