"""Features of order habit beside the same by hand: dbt's SQL on the home's engine, and pandas.

The engine makes all columns of ``feat_order_habit`` for all as-of dates in one statement, the one
that dbt compiles. By hand, each as-of date is thirty-odd columns from the order lines known then,
in memory already: reading them is not counted. Columns that both make must agree.

    python -m tests.bench.features_beside_hand --home HOME
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from python_ml.experiments.bench_quality import lines_known_at
from python_ml.experiments.peers_order_habit import features_at
from python_ml.pipeline import Pipeline
from python_ml.settings import load_settings
from python_ml.warehouse.dbt import run_dbt

MODEL = "feat_order_habit"
SHARED = {
    "recency": "recency_days",
    "tenure": "recency_tenure_days",
    "orders": "frequency_orders_total",
    "order_days": "frequency_order_days_total",
    "spend": "monetary_spend_total",
    "order_value": "monetary_average_order_value",
    "lines_per_order": "basket_mean_lines",
    "products": "product_distinct_total",
    "mean_gap": "rhythm_mean_gap_days",
    "sd_gap": "rhythm_gap_sd_days",
    "recency_over_tenure": "recency_over_tenure",
    "trend": "frequency_trend_90d",
    **{f"orders_{days}": f"frequency_orders_{days}d" for days in (7, 30, 90, 180, 365)},
    **{f"spend_{days}": f"monetary_spend_{days}d" for days in (7, 30, 90, 180, 365)},
    **{f"decayed_{days}": f"frequency_decayed_{days}d" for days in (30, 90, 365)},
}
"""Columns made by hand, and ours that say the same."""
AGREE = 1e-6


def by_the_engine(pipeline: Pipeline) -> tuple[float, int]:
    """Seconds of the statement that dbt compiles for a build from nothing, and its rows."""
    with TemporaryDirectory() as name:
        run_dbt(
            pipeline.settings,
            pipeline.warehouse,
            pipeline.staging(),
            ["compile", "--full-refresh", "--select", MODEL],
            target_dir=Path(name),
        )
        [path] = (Path(name) / "compiled").rglob(f"{MODEL}.sql")
        statement = path.read_text(encoding="utf-8").replace("%", "%%")
    with pipeline.warehouse.connect() as connection:
        started = time.monotonic()
        connection.execute(f"create temporary table made as {statement}".encode())
        seconds = time.monotonic() - started
        row = connection.execute("select count(*) from made").fetchone()
    assert row is not None
    return seconds, int(row[0])


def by_hand(pipeline: Pipeline) -> tuple[float, int, int, list[str]]:
    """Seconds of pandas for the same dates, its rows and columns, and the columns that disagree."""
    dates = pipeline.warehouse.read(f"select distinct as_of_date from features.{MODEL} order by 1")
    seconds, rows, columns, wrong = 0.0, 0, 0, set[str]()
    for day in dates.column(0).to_pylist():
        lines = lines_known_at(pipeline, day)
        started = time.monotonic()
        made = features_at(lines, pd.Timestamp(day))
        seconds += time.monotonic() - started
        rows += len(made)
        columns = made.shape[1]
        ours = pipeline.warehouse.read(
            f"select customer_id, {', '.join(SHARED.values())} from features.{MODEL} "
            "where as_of_date = $1",
            [day],
        ).to_pandas()
        wrong |= disagreeing(made, ours.set_index("customer_id").reindex(made.index))
    return seconds, rows, columns, sorted(wrong)


def disagreeing(made: pd.DataFrame, ours: pd.DataFrame) -> set[str]:
    """Names of the shared columns whose values differ."""
    return {
        name
        for name, own in SHARED.items()
        if not np.allclose(
            made[name].to_numpy(np.float64),
            ours[own].to_numpy(np.float64),
            rtol=AGREE,
            atol=AGREE,
            equal_nan=True,
        )
    }


def main() -> None:
    """Print seconds of both, their ratio per column and row, and whether they agree."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    given = parser.parse_args()
    pipeline = Pipeline(load_settings(home=given.home))
    columns = len(pipeline.warehouse.read(f"select * from features.{MODEL} limit 0").schema)
    ours, rows = by_the_engine(pipeline)
    theirs, same_rows, by_pandas, wrong = by_hand(pipeline)
    sys.stdout.write(
        f"{pipeline.warehouse.engine}: {rows:,} rows of {columns} columns in {ours:.1f} s; "
        f"pandas: {same_rows:,} rows of {by_pandas} columns in {theirs:.1f} s, "
        f"{theirs / ours:.1f} times as long; {len(SHARED)} columns compared, "
        f"{'all agree' if not wrong else 'these differ: ' + ', '.join(wrong)}\n"
    )


if __name__ == "__main__":
    main()
