"""Peers that need no home agree with each other."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd
import polars as pl

from python_ml.experiments import peers_order_habit
from tests.bench.features import polars_peer


def lines_of_a_shop() -> pd.DataFrame:
    """Lines of several orders a day, without a product, known late, replaced."""
    random = np.random.default_rng(1)
    count = 2_000
    day = pd.Timestamp("2023-01-01") + pd.to_timedelta(random.integers(0, 500, count), unit="D")
    customer = random.integers(0, 60, count)
    lines = pd.DataFrame(
        {
            "customer_id": [f"c{number}" for number in customer],
            "order_id": [
                f"{number} on {at:%Y-%m-%d}" for number, at in zip(customer, day, strict=True)
            ],
            "product_id": np.array(["a", "b", "c", None])[random.integers(0, 4, count)],
            "ordered_on": day,
            "known_on": day + pd.to_timedelta(random.integers(0, 3, count), unit="D"),
            "amount": random.integers(1, 9_999, count) / 100,
        }
    )
    lines["order_id"] += random.choice(["", " again"], count)
    lines["ordered_at"] = lines["ordered_on"] + pd.Timedelta(hours=9)
    later = lines["known_on"] + pd.to_timedelta(random.integers(1, 60, count), unit="D")
    lines["superseded_on"] = later.where(random.random(count) < 0.1)
    return lines


def test_polars_makes_the_features_that_pandas_makes() -> None:
    lines, as_of = lines_of_a_shop(), pd.Timestamp("2024-03-01")
    known = lines[
        (lines["ordered_on"] < as_of)
        & (lines["known_on"] < as_of)
        & ~(lines["superseded_on"] < as_of)
    ]
    expected = peers_order_habit.features_at(known, as_of).sort_index()
    days = ["ordered_on", "known_on", "superseded_on"]
    read = pl.from_pandas(lines).with_columns(pl.col(days).cast(pl.Date))
    made = polars_peer.features_at(read.lazy(), date(2024, 3, 1)).collect().to_pandas()
    made = made.set_index("customer_id").sort_index()[expected.columns]
    assert len(known) < len(lines)
    pd.testing.assert_frame_equal(
        made.astype(float), expected.astype(float), check_index_type=False, check_names=False
    )
