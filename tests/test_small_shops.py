"""Shops at the edge: guests only, no products, forty customers, one row."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

from python_ml.ingest.demo import DemoShop, write_demo_shop
from python_ml.pipeline import Outcome, Pipeline
from tests.conftest import MakePipeline
from tests.test_road import rows

MINIMAL = ["order_id", "customer_id", "ordered_at", "quantity", "unit_price"]


def simulated(folder: Path, customers: int) -> pd.DataFrame:
    return pd.read_parquet(write_demo_shop(DemoShop(customers=customers), folder).order_lines)


def outcomes_of(
    pipeline: Pipeline, shop: pd.DataFrame, folder: Path, as_of: date | None = None
) -> dict[str, Outcome]:
    path = folder / "orders.csv"
    shop.to_csv(path, index=False)
    pipeline.load("order_lines", [path])
    return {o.prediction: o for o in pipeline.run(pipeline.request(as_of))}


def test_a_shop_of_guests_is_told_that_nobody_can_be_predicted(
    make_pipeline: MakePipeline, tmp_path: Path
) -> None:
    shop = simulated(tmp_path, 60)[MINIMAL].assign(customer_id=None)
    pipeline = make_pipeline()
    outcomes = outcomes_of(pipeline, shop, tmp_path)
    assert "no_matured_labels" in str(outcomes["order_habit"].skipped)
    assert outcomes["customers"].rows == 0
    assert rows(
        pipeline,
        "select prediction from predictions.run_events where event = 'skipped' order by 1",
    ) == [("order_habit",), ("purchase_potential",), ("return_risk",)]


def test_a_shop_without_products_gets_its_predictions(
    make_pipeline: MakePipeline, tmp_path: Path
) -> None:
    shop = simulated(tmp_path, 200)[MINIMAL]
    pipeline = make_pipeline()
    outcomes = outcomes_of(pipeline, shop, tmp_path)
    assert outcomes["order_habit"].skipped is None
    assert rows(pipeline, "select count(*) from marts.order_habit") == [(200,)]


def test_forty_customers_get_predictions_from_a_recipe_that_fits_them(
    make_pipeline: MakePipeline, tmp_path: Path
) -> None:
    shop = simulated(tmp_path, 40)
    keep = [*MINIMAL, "product_id", "category", "line_id"]
    pipeline = make_pipeline()
    outcomes = outcomes_of(pipeline, shop[keep], tmp_path)
    assert outcomes["order_habit"].recipe in ("recency", "frequency", "log_rfm", "bgnbd")
    [(count, lowest, highest)] = rows(
        pipeline, "select count(*), min(probability), max(probability) from marts.order_habit"
    )
    assert count == 40
    assert 0 < lowest < highest < 1  # type: ignore[operator]


def test_one_row_gets_its_reason_and_a_summary(make_pipeline: MakePipeline, tmp_path: Path) -> None:
    shop = pd.DataFrame(
        {
            "order_id": ["1"],
            "customer_id": ["ann"],
            "ordered_at": ["2024-05-01"],
            "quantity": np.ones(1),
            "unit_price": [9.99],
        }
    )
    pipeline = make_pipeline()
    outcomes = outcomes_of(pipeline, shop, tmp_path)
    assert "no_matured_labels" in str(outcomes["order_habit"].skipped)
    assert rows(pipeline, "select customer_id, order_count, total_spend from marts.customers") == [
        ("ann", 1, 9.99)
    ]
