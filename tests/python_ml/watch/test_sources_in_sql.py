"""What is read of order lines: as known at the date, and categories that got another name."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta

import pytest

from python_ml.pipeline import Pipeline
from python_ml.watch.sources import judge_categories, judge_sources, read_days
from python_ml.watch.thresholds import read_thresholds
from tests.conftest import MakePipeline

AS_OF = date(2025, 7, 1)
LINES = f"""
create schema intermediate;
create table intermediate.int_order_lines as
select
    'o' || day || '-' || number as order_id,
    date '{AS_OF}' - day as ordered_on,
    date '{AS_OF}' - day + case when number % 25 = 0 then 2 else 0 end as known_on,
    cast(null as date) as superseded_on,
    cast(10 + number % 7 as double precision) as unit_price,
    'category ' || case when number < 10 then number / 2 else 5 + (number + day) % 7 end as category
from generate_series(1, 400) as day, generate_series(0, 39) as number
"""


@pytest.fixture
def shop(make_pipeline: MakePipeline) -> Iterator[Pipeline]:
    """Forty orders a day in twelve categories; one order in twenty-five is written down late."""
    pipeline = make_pipeline()
    with pipeline.warehouse.connect(autocommit=True) as connection:
        connection.execute(LINES.encode())
    yield pipeline


def change(shop: Pipeline, statement: str) -> None:
    with shop.warehouse.connect(autocommit=True) as connection:
        connection.execute(statement.encode())


def test_an_ordinary_shop_passes(shop: Pipeline) -> None:
    verdict = judge_sources(shop.warehouse, AS_OF, read_thresholds())
    assert verdict.level == "passed", verdict.text()
    assert verdict.not_judged == ()


def test_orders_count_as_they_were_known(shop: Pipeline) -> None:
    days = read_days(shop.warehouse, AS_OF)
    assert days is not None
    assert len(days.orders) == 400
    assert days.known_at_age(1)[-1] == 38  # two of forty are written down two days later
    assert days.orders[-1].sum() == 38
    assert days.orders[-3].sum() == 40
    earlier = read_days(shop.warehouse, AS_OF - timedelta(days=100))
    assert earlier is not None and len(earlier.orders) == 300


@pytest.mark.parametrize(("most", "level"), [(1, "warn"), (3, "warn"), (12, "refuse")])
@pytest.mark.parametrize("days", [20, 31])
def test_categories_with_other_names_are_caught_and_named(
    shop: Pipeline, most: int, level: str, days: int
) -> None:
    change(
        shop,
        "update intermediate.int_order_lines set category = 'New ' || category "
        f"where ordered_on >= date '{AS_OF}' - {days} "
        f"and cast(substr(category, 10) as integer) < {most}",
    )
    [finding] = judge_categories(shop.warehouse, AS_OF, read_thresholds())
    assert finding.level == level
    assert "never sold before: 'New category " in finding.text
    assert ("not sold any more: 'category " in finding.text) == (days >= 28)


def test_a_source_that_is_late_is_caught(shop: Pipeline) -> None:
    change(
        shop,
        f"delete from intermediate.int_order_lines where ordered_on >= date '{AS_OF}' - 7",
    )
    verdict = judge_sources(shop.warehouse, AS_OF, read_thresholds())
    assert verdict.level == "refuse"
    assert "the newest order is of 2025-06-23, 8 days before" in verdict.text()
