"""Building a telling of a shop with dbt, and reading every feature and label model that exists."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from python_ml.ingest.load import load
from python_ml.ingest.read import ReadOptions
from python_ml.ingest.sources import ColumnMapping
from python_ml.pipeline import Pipeline
from python_ml.predictions import all_predictions
from python_ml.predictions.base import PairPrediction
from python_ml.training.pairs.shop import PairShop
from python_ml.training.pairs.snapshot import Snapshot
from tests.time_rules.shops import AS_OF_DATES, ATTRIBUTES, HORIZON_DAYS

SCHEMAS = (
    "raw",
    "staging",
    "intermediate",
    "features",
    "labels",
    "predictions",
    "marts",
    "mart_rows",
)

Tables = dict[str, pd.DataFrame]


def build(pipeline: Pipeline, shop: pd.DataFrame, folder: Path) -> Tables:
    """Load a shop into an emptied database, build it, and read all features and labels."""
    with pipeline.warehouse.connect() as connection:
        for schema in SCHEMAS:
            connection.execute(f"drop schema if exists {schema} cascade".encode())
    path = folder / "order_lines.parquet"
    shop.to_parquet(path, index=False)
    named = [attribute for attribute in ATTRIBUTES if attribute.split(":")[1] in shop]
    mapping = ColumnMapping.parse([], named)
    load(pipeline.warehouse, "order_lines", [path], mapping, ReadOptions(date_order="dmy"))
    with pipeline.warehouse.connect() as connection:
        for prediction in all_predictions():
            for day in AS_OF_DATES:
                connection.execute(
                    "insert into raw.as_of_requests values (%s, %s, %s, now())",
                    (prediction, day, HORIZON_DAYS),
                )
    pipeline._dbt(["run", "--select", "+tag:feature", "+tag:label"])
    return {
        model: pipeline.warehouse.read(f"select * from {schema}.{model}").to_pandas()
        for model, schema in feature_and_label_models(pipeline).items()
    } | {
        f"first_stage_{prediction.name}": first_stage_weights(pipeline, prediction)
        for prediction in all_predictions().values()
        if isinstance(prediction, PairPrediction)
    }


def first_stage_weights(pipeline: Pipeline, prediction: PairPrediction) -> pd.DataFrame:
    """What the first-stage models of a pair prediction are fitted on, at each as-of date."""
    parts = []
    for day in map(date.fromisoformat, AS_OF_DATES):
        snapshot = _snapshot(pipeline, prediction, day)
        for name in ("bought", "recent"):
            weights = getattr(snapshot, name).tocoo()
            parts.append(
                pd.DataFrame(
                    {
                        "customer_id": snapshot.customers[weights.row],
                        "item_id": snapshot.items[weights.col],
                        "as_of_date": pd.Timestamp(day),
                        "half_life_id": name,
                        "weight": weights.data.astype(float),
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


def first_stage_scores(
    pipeline: Pipeline, prediction: PairPrediction, day: date
) -> dict[str, np.ndarray]:
    """Every first-stage score of every customer for every item at one date."""
    snapshot = _snapshot(pipeline, prediction, day)
    return snapshot.scores(np.arange(len(snapshot.customers)), np.arange(len(snapshot.items)))


def _snapshot(pipeline: Pipeline, prediction: PairPrediction, day: date) -> Snapshot:
    # the shop as it stands today, cut at the date: what a training run does
    newest = date.fromisoformat(AS_OF_DATES[-1])
    catalogues = pipeline._catalogues(prediction.name)
    shop = PairShop(pipeline.warehouse, prediction, catalogues, "product", newest, 500)
    return shop.snapshot(day)


def feature_and_label_models(pipeline: Pipeline) -> dict[str, str]:
    """Every feature and label model of the project: name and schema."""
    manifest = json.loads((pipeline.settings.dbt_target_dir / "manifest.json").read_text())
    return {
        node["name"]: node["schema"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and {"feature", "label"} & set(node["tags"])
    }


def rows_until(table: pd.DataFrame, day: pd.Timestamp) -> pd.DataFrame:
    """The rows that were complete at a date: features as of it, labels known by it."""
    limit = "label_known_at" if "label_known_at" in table else "as_of_date"
    kept = table[pd.to_datetime(table[limit]) <= day]
    keys = [name for name in table.columns if name.endswith(("_id", "_key", "_date"))]
    return kept.sort_values(keys).reset_index(drop=True)


def difference(left: pd.DataFrame, right: pd.DataFrame) -> str | None:
    """What tells two tables apart, or None: counts and dates exactly, sums to 1e-9."""
    try:
        # a null among later rows makes pandas hold a column of integers as floats
        pd.testing.assert_frame_equal(left, right, rtol=1e-9, atol=1e-9, check_dtype=False)
    except AssertionError as error:
        return " ".join(str(error).split())
    return None
