"""The columns of the pandas peer by hand in Polars: a lazy query for each date, all run at once."""

from __future__ import annotations

import time
from datetime import date

import polars as pl

from python_ml.experiments.peers_order_habit import HALF_LIVES, WINDOWS
from python_ml.pipeline import Pipeline
from tests.bench.features.ours import Made, Ours, line_versions
from tests.bench.features.pandas_peer import SHARED


def by_polars(pipeline: Pipeline, ours: Ours, repeats: int) -> Made:
    """Make all dates in one go, from lines in memory; the fastest of so many times counts."""
    read = pl.from_arrow(line_versions(pipeline))
    assert isinstance(read, pl.DataFrame)
    lines = read.lazy()
    taken = []
    for _ in range(repeats):
        started = time.monotonic()
        made = pl.collect_all([features_at(lines, day) for day in ours.rows_of])
        taken.append(time.monotonic() - started)
    differing = set[str]()
    for day, table in zip(ours.rows_of, made, strict=True):
        differing |= ours.differing(table.to_pandas().set_index("customer_id"), day, SHARED)
    rows, columns = sum(len(table) for table in made), made[0].width - 1
    return Made(min(taken), rows, columns, len(SHARED), tuple(sorted(differing)))


def features_at(lines: pl.LazyFrame, as_of: date) -> pl.LazyFrame:
    """Thirty-odd features per customer from the lines known at a date."""
    known = lines.filter(
        (pl.col("ordered_on") < as_of)
        & (pl.col("known_on") < as_of)
        & (pl.col("superseded_on").is_null() | (pl.col("superseded_on") >= as_of))
    )
    orders = _with_gaps(
        known.group_by("customer_id", "order_id").agg(
            day=pl.col("ordered_on").min(), amount=pl.col("amount").sum(), lines=pl.len()
        )
    ).with_columns(age=(pl.lit(as_of) - pl.col("day")).dt.total_days())
    products = known.group_by("customer_id").agg(
        products=pl.col("product_id").drop_nulls().n_unique()
    )
    return (
        orders.group_by("customer_id")
        .agg(*_totals(), *_windows())
        .join(products, on="customer_id", how="left")
        .with_columns(
            recency_over_gap=pl.col("recency") / pl.col("mean_gap"),
            recency_over_tenure=pl.col("recency") / pl.col("tenure").clip(1),
            rate=pl.col("orders") / pl.col("tenure").clip(30),
            # counts are unsigned in Polars
            trend=2 * pl.col("orders_90").cast(pl.Int64) - pl.col("orders_180").cast(pl.Int64),
        )
    )


def _with_gaps(orders: pl.LazyFrame) -> pl.LazyFrame:
    """Days since the customer's order day before; empty for the first, and within a day."""
    ordered = orders.sort("customer_id", "day")
    days = (pl.col("day") - pl.col("day").shift(1)).dt.total_days()
    same = pl.col("customer_id") == pl.col("customer_id").shift(1)
    return ordered.with_columns(gap=pl.when(same & (days > 0)).then(days))


def _totals() -> list[pl.Expr]:
    return [
        pl.col("age").min().alias("recency"),
        pl.col("age").max().alias("tenure"),
        pl.len().alias("orders"),
        (pl.col("gap").count() + 1).alias("order_days"),
        pl.col("amount").sum().alias("spend"),
        pl.col("amount").mean().alias("order_value"),
        pl.col("amount").max().alias("largest_order"),
        pl.col("lines").mean().alias("lines_per_order"),
        pl.col("gap").mean().alias("mean_gap"),
        pl.col("gap").std().alias("sd_gap"),
    ]


def _windows() -> list[pl.Expr]:
    found = []
    for days in WINDOWS:
        inside = pl.col("age") <= days
        found.append(inside.sum().alias(f"orders_{days}"))
        found.append(pl.when(inside).then("amount").otherwise(0.0).sum().alias(f"spend_{days}"))
    for days in HALF_LIVES:
        found.append((0.5 ** (pl.col("age") / days)).sum().alias(f"decayed_{days}"))
    return found
