"""The shop's clock: time that runs faster when the shop is busy.

Orders are a plain Poisson process on this clock, whatever the season; that is what keeps the
oracle's formula closed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from python_ml.ingest.demo.shop import DemoShop, FloatArray, IntArray

SECONDS_PER_DAY = 86_400
MONTH_WEIGHT = (0.85, 0.80, 0.90, 0.95, 1.00, 0.95, 0.85, 0.80, 0.95, 1.05, 1.45, 1.45)
WEEKDAY_WEIGHT = (1.05, 1.00, 0.95, 0.95, 0.90, 1.00, 1.15)
LEVEL_SD = 0.08
DAYS_PAST_END = 200
# Shares of the day's orders per hour: little at night, most in the evening.
HOUR_WEIGHT = (1, 1, 1, 1, 1, 1, 2, 4, 6, 7, 7, 7, 8, 7, 7, 7, 7, 8, 9, 10, 11, 9, 6, 3)


@dataclass(frozen=True, eq=False)
class ShopClock:
    """Maps calendar days to the shop's clock and back.

    Parameters
    ----------
    midnights
        Clock reading at each midnight, from the first day to some months past the end of the
        data; an average day lasts about 1.
    month
        Months since the first month, per day.
    calendar_month
        0 (January) to 11, per day.
    """

    midnights: FloatArray
    month: IntArray
    calendar_month: IntArray

    @property
    def day_length(self) -> FloatArray:
        """What each day adds to the clock."""
        return np.diff(self.midnights)

    def day_and_second(self, reading: FloatArray) -> tuple[IntArray, IntArray]:
        """Return day number and second of the day for readings of the clock."""
        day = np.searchsorted(self.midnights, reading, side="right").astype(np.int64) - 1
        share = (reading - self.midnights[day]) / self.day_length[day]
        hours = np.concatenate([[0.0], np.cumsum(HOUR_WEIGHT) / np.sum(HOUR_WEIGHT)])
        second = np.interp(share, hours, np.arange(25)) * 3_600
        return day, np.minimum(second.astype(np.int64), SECONDS_PER_DAY - 1)


def build_clock(shop: DemoShop) -> ShopClock:
    """Build the clock from month, weekday and a level that shifts every new year.

    Levels are drawn per calendar year from their own stream, so that a year's level does not
    depend on how many years follow.
    """
    dates = [shop.start + timedelta(days=n) for n in range(shop.days + DAYS_PAST_END)]
    years = np.array([day.year - shop.start.year for day in dates])
    shifts = shop.random(2).normal(0.0, LEVEL_SD, size=int(years.max()) + 1)
    weight = np.exp(np.where(years == 0, 0.0, shifts[years]))
    weight = weight * np.array(MONTH_WEIGHT)[[day.month - 1 for day in dates]]
    weight = weight * np.array(WEEKDAY_WEIGHT)[[day.weekday() for day in dates]]
    return ShopClock(
        midnights=np.concatenate([[0.0], np.cumsum(weight)]),
        month=np.array([_months(day) - _months(shop.start) for day in dates], dtype=np.int64),
        calendar_month=np.array([day.month - 1 for day in dates], dtype=np.int64),
    )


def _months(day: date) -> int:
    return day.year * 12 + day.month - 1
