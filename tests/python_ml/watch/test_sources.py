"""The gates on what was loaded: orders of the newest days beside the shop's own usual."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from python_ml.watch.findings import Finding
from python_ml.watch.sources import DELAYS, Days, expected_orders, judge_prices, judge_volume
from python_ml.watch.thresholds import read_thresholds

LAST = date(2025, 6, 30)  # a Monday
COUNT = 500
WEEK = np.array([1.2, 1.1, 1.0, 1.0, 1.2, 0.5, 0.0])
"""From Tuesday on: closed on Mondays but for the last weekday of the list, which is a Monday."""


def days_of(per_day: float, seed: int = 1, *, closed_mondays: bool = False) -> Days:
    """Poisson orders with weekdays and a season; a few are written down late."""
    random = np.random.default_rng(seed)
    week = np.ones(7) if not closed_mondays else WEEK
    when = np.arange(COUNT)
    season = 1 + 0.25 * np.sin(2 * np.pi * when / 365)
    orders = np.zeros((COUNT, DELAYS))
    orders[:, 0] = random.poisson(per_day * 0.98 * season * week[when % 7])
    for delay in range(1, 4):
        orders[:, delay] = random.poisson(per_day * 0.007 * season * week[when % 7])
    for age in range(1, DELAYS):  # what is written down later is not known yet
        orders[-age, age:] = 0
    lines = orders.sum(axis=1) * 3
    prices = 3 + random.normal(0, 0.7, COUNT) / np.sqrt(np.maximum(lines, 1))
    return Days(LAST, orders, prices, lines)


def volume(days: Days) -> list[Finding]:
    return judge_volume(days, read_thresholds())


@pytest.mark.parametrize("per_day", [3, 15, 150, 2_000])
@pytest.mark.parametrize("seed", range(10))
def test_ordinary_days_do_not_alarm(per_day: int, seed: int) -> None:
    days = days_of(per_day, seed)
    assert volume(days) == []
    assert judge_prices(days, read_thresholds()) == []


@pytest.mark.parametrize("seed", range(5))
def test_a_closed_weekday_is_usual(seed: int) -> None:
    assert volume(days_of(50, seed, closed_mondays=True)) == []


@pytest.mark.parametrize(("late", "level"), [(1, "warn"), (2, "warn"), (7, "refuse")])
def test_a_source_that_is_late_is_told_with_its_newest_order(late: int, level: str) -> None:
    days = days_of(50)
    days.orders[-late:] = 0
    [finding] = volume(days)
    assert finding.level == level
    newest = date.fromordinal(LAST.toordinal() - late)
    assert f"the newest order is of {newest}, {late + 1} days before" in finding.text
    limit = getattr(read_thresholds()["volume"], level).at()
    assert finding.limit == limit
    assert f"limit {limit:.2f}" in finding.text


def test_half_a_day_is_caught_in_a_large_shop_and_cannot_be_in_a_small_one() -> None:
    large, small = days_of(400), days_of(8)
    for days in (large, small):
        days.orders[-1] = np.floor(days.orders[-1] / 2)
    [finding] = volume(large)
    assert finding.level == "warn"
    assert "only" in finding.text
    assert volume(small) == []


def test_a_holiday_that_comes_every_year_is_usual() -> None:
    days = days_of(50)
    for place in (-1, -100, -101, -200, -300):
        days.orders[place] = 0
    assert [finding for finding in volume(days) if finding.subject == "1 days"] == []


def test_far_too_many_orders_warn_and_do_not_refuse() -> None:
    days = days_of(50)
    days.orders[-7:, 0] *= 3
    [finding] = volume(days)
    assert finding.level == "warn"
    assert "only" not in finding.text


def test_what_is_usually_late_is_not_missing() -> None:
    days = days_of(400)
    late = np.round(days.orders[:, 0] * 0.6)
    days.orders[:, 0] -= late
    days.orders[:, 2] += late
    for age in range(1, DELAYS):
        days.orders[-age, age:] = 0
    assert volume(days) == []


@pytest.mark.parametrize(("factor", "level"), [(2, "refuse"), (10, "refuse"), (1.25, "warn")])
def test_prices_that_jump_are_caught(factor: float, level: str) -> None:
    days = days_of(50)
    days.prices[-7:] += np.log(factor)
    [finding] = judge_prices(days, read_thresholds())
    assert finding.level == level
    assert "prices in the 7 days" in finding.text


def test_expected_orders_wait_for_eight_weeks() -> None:
    found = expected_orders(np.ones(60))
    assert np.isnan(found[:56]).all()
    assert found[56:].tolist() == [1, 1, 1, 1]
