"""The features as they are made by hand in pandas, date by date, from lines in memory already."""

from __future__ import annotations

import time

import pandas as pd

from python_ml.experiments.bench_quality import lines_known_at
from python_ml.experiments.peers_order_habit import features_at
from python_ml.pipeline import Pipeline
from tests.bench.features.ours import Made, Ours

SHARED = {
    "recency": "recency_days",
    "tenure": "recency_tenure_days",
    "orders": "frequency_orders_total",
    "order_days": "frequency_order_days_total",
    "spend": "monetary_spend_total",
    "order_value": "monetary_average_order_value",
    "largest_order": "monetary_largest_order_value",
    "lines_per_order": "basket_mean_lines",
    "products": "product_distinct_total",
    "mean_gap": "rhythm_mean_gap_days",
    "sd_gap": "rhythm_gap_sd_days",
    "recency_over_tenure": "recency_over_tenure",
    "recency_over_gap": "recency_over_mean_gap",
    "trend": "frequency_trend_90d",
    **{f"orders_{days}": f"frequency_orders_{days}d" for days in (7, 30, 90, 180, 365)},
    **{f"spend_{days}": f"monetary_spend_{days}d" for days in (7, 30, 90, 180, 365)},
    **{f"decayed_{days}": f"frequency_decayed_{days}d" for days in (30, 90, 365)},
}
"""Columns made by hand, and ours that say the same."""


def by_pandas(pipeline: Pipeline, ours: Ours, repeats: int) -> Made:
    """Make all dates one after the other; of each the fastest of so many times counts."""
    seconds, rows, columns = 0.0, 0, 0
    differing = set[str]()
    for day in ours.rows_of:
        lines = lines_known_at(pipeline, day)
        taken = []
        for _ in range(repeats):
            started = time.monotonic()
            made = features_at(lines, pd.Timestamp(day))
            taken.append(time.monotonic() - started)
        seconds += min(taken)
        rows += len(made)
        columns = made.shape[1]
        differing |= ours.differing(made, day, SHARED)
    return Made(seconds, rows, columns, len(SHARED), tuple(sorted(differing)))
