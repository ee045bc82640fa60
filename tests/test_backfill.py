"""Backfilling past dates gives what a run on each of them would have made."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from python_ml.ingest.demo import DemoShop, write_demo_shop
from python_ml.pipeline import DEMO_MAPPING, Pipeline, Request, month_starts_until
from python_ml.predictions import all_predictions
from tests.conftest import MakePipeline
from tests.test_road import rows
from tests.time_rules.builds import Tables, difference, feature_and_label_models, rows_until

LAST = date(2025, 12, 1)
SHOP = DemoShop(customers=80, years=3)


def at(day: date) -> Request:
    return Request(day, {name: p.horizon_days for name, p in all_predictions().items()})


def build(pipeline: Pipeline, days: list[date]) -> None:
    """Build these as-of dates in one go, as a run does, without its tests."""
    for day in days:
        pipeline.ask(at(day))
    pipeline._dbt(["run", "--select", "+tag:feature", "+tag:label"])


def read(pipeline: Pipeline) -> Tables:
    return {
        model: pipeline.warehouse.read(f"select * from {schema}.{model}").to_pandas()
        for model, schema in feature_and_label_models(pipeline).items()
    }


@pytest.mark.slow
@pytest.mark.parametrize("count", [24])
def test_a_backfill_equals_a_run_on_each_date(
    make_pipeline: MakePipeline, tmp_path: Path, count: int
) -> None:
    lines = pq.read_table(write_demo_shop(SHOP, tmp_path).order_lines)
    recorded = pc.field("recorded_at").cast(pa.date32())
    days = month_starts_until(LAST, count)

    nightly = make_pipeline(threads=2)
    on_the_day: dict[date, Tables] = {}
    closed_by: dict[date, date] = {}
    before = date(2000, 1, 1)
    for day in days:
        path = tmp_path / f"until_{day}.parquet"
        pq.write_table(lines.filter((recorded >= before) & (recorded < day)), path)
        nightly.load("order_lines", [path], DEMO_MAPPING)
        build(nightly, [day])
        on_the_day[day] = read(nightly)
        # a window has closed when the shop's orders reach the day before its label is due
        [[newest]] = rows(nightly, "select newest_on from intermediate.int_data_window")
        closed_by[day] = min(day, newest + timedelta(days=1))
        before = day

    backfilled = make_pipeline(threads=2)
    path = tmp_path / "all.parquet"
    pq.write_table(lines.filter(recorded < LAST), path)
    backfilled.load("order_lines", [path], DEMO_MAPPING)
    build(backfilled, days)
    filled = read(backfilled)

    late = lines.filter(recorded > pc.field("ordered_at").cast(pa.date32()))
    assert late.num_rows > 20  # otherwise nothing was put to the test
    keys = lines.select(["order_id", "line_id"]).group_by(["order_id", "line_id"]).aggregate([])
    assert lines.num_rows > keys.num_rows  # lines that were corrected later
    compared = 0
    for day, made in on_the_day.items():
        moment = pd.Timestamp(day)
        for model in made:
            until = moment if model.startswith("feat_") else pd.Timestamp(closed_by[day])
            then, now = (rows_until(tables[model], until) for tables in (made, filled))
            if model.startswith("feat_"):
                then, now = (t[pd.to_datetime(t["as_of_date"]) == moment] for t in (then, now))
            then, now = then.reset_index(drop=True), now.reset_index(drop=True)
            assert difference(then, now) is None, f"{model} as of {day}: {difference(then, now)}"
            compared += len(now)
    assert compared > 100 * count
