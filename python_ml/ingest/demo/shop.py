"""What a demo shop is: its size, its seed and its time, and the laws of its population."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import numpy.typing as npt

from python_ml.errors import SettingsError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

DEFAULT_END_YEAR = 2026
"""Without a first day of its own, a demo shop's data end with the year before this one."""

LATE_SHARE = 0.022
"""Share of orders, the customers' first ones apart, that are written down late."""

LATE_DAYS_PROBABILITY = (0.30, 0.25, 0.20, 0.12, 0.08, 0.05)
"""How a late order's delay of 1, 2, ... 6 whole days is distributed."""

RETURN_WINDOW_DAYS = 30
"""A line that has not come back by this age is kept."""

VOUCHER_DISCOUNT = 0.15
"""The welcome voucher: this much off every line of a first order, and on no other line."""


@dataclass(frozen=True)
class DemoShop:
    """A simulated shop. Equal values give equal rows, byte by byte.

    Parameters
    ----------
    customers
        Customers who placed at least one order.
    years
        Length of the history in years.
    seed
        Seed of everything random.
    first_day
        First day of the data; by default the one that makes them end with 31 December 2025.
    products
        Products that were ever on sale.
    chunk_customers
        Customers drawn at a time. Memory grows with it, not with ``customers``. It belongs to the
        shop like the seed: another chunk size is another shop. Rows of a full chunk do not depend
        on how many chunks follow.
    rows_per_group
        Rows per Parquet row group; changes the file's layout, not its rows.

    Raises
    ------
    SettingsError
        When a number is out of range, naming it.

    Examples
    --------
    >>> shop = DemoShop(customers=1_000, years=2, seed=7)
    >>> shop.start.isoformat(), shop.end.isoformat()
    ('2024-01-01', '2026-01-01')
    """

    customers: int = 5_000
    years: int = 3
    seed: int = 20240229
    first_day: date | None = None
    products: int = 600
    chunk_customers: int = 20_000
    rows_per_group: int = 100_000

    def __post_init__(self) -> None:
        lowest = {
            "customers": 1,
            "years": 1,
            "seed": 0,
            "products": 50,
            "chunk_customers": 1,
            "rows_per_group": 1,
        }
        for name, least in lowest.items():
            if getattr(self, name) < least:
                raise SettingsError(
                    f"A demo shop needs {name} of at least {least}, not {getattr(self, name)}.",
                    f"Give {name}={least} or more.",
                )
        if self.years > (most := 30):
            raise SettingsError(
                f"A demo shop lasts at most {most} years, not {self.years}.",
                "For more rows ask for more customers.",
            )

    @property
    def start(self) -> date:
        """First day of the data."""
        return self.first_day or date(DEFAULT_END_YEAR - self.years, 1, 1)

    @property
    def end(self) -> date:
        """The day after the last day of the data."""
        year = self.start.year + self.years
        is_leap_day = (self.start.month, self.start.day) == (2, 29)
        return date(year, 3, 1) if is_leap_day else self.start.replace(year=year)

    @property
    def days(self) -> int:
        """Days of data."""
        return (self.end - self.start).days

    def random(self, *stream: int) -> np.random.Generator:
        """Return the generator of one named stream; streams do not disturb each other."""
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=stream))

    def chunks(self) -> Iterator[tuple[int, int, int]]:
        """Yield (chunk, number of its first customer, customers in it)."""
        for chunk, first in enumerate(range(0, self.customers, self.chunk_customers)):
            yield chunk, first, min(self.chunk_customers, self.customers - first)

    def as_of_dates(self, last_months: int = 18) -> list[date]:
        """Month starts in the last months of the data, after the shop's first month."""
        latest = self.end.year * 12 + self.end.month - 1
        months = range(latest - last_months, latest + 1)
        dates = [date(month // 12, month % 12 + 1, 1) for month in months]
        return [day for day in dates if self.start + timedelta(days=31) <= day < self.end]


@dataclass(frozen=True)
class HabitLaw:
    """How often customers order, and when they leave.

    A customer orders as a Poisson process on the shop's clock with a rate from a gamma
    distribution, and leaves after each order, the first included, with a probability from a beta
    distribution. Both distributions are the population's; nobody knows the customer's own values.
    """

    rate_shape: float = 0.9
    rate_scale_days: float = 60.0
    leave_a: float = 0.4
    leave_b: float = 9.0
    voucher_share: float = 0.35
    voucher_leave_factor: float = 2.2
    states: tuple[str, ...] = ("NY", "CA", "TX", "FL", "IL", "WA", "OH", "GA")
    state_share: tuple[float, ...] = (0.2, 0.2, 0.15, 0.12, 0.1, 0.09, 0.08, 0.06)
    state_rate_scale: tuple[float, ...] = (0.7, 0.85, 1.0, 1.1, 1.2, 0.8, 1.5, 1.4)


@dataclass(frozen=True)
class ReturnLaw:
    """What makes a line come back: coefficients on the log-odds scale."""

    customer_sd: float = 0.6
    product_sd: float = 0.45
    discount: float = -1.4
    same_product_twice: float = 1.0
    size: tuple[float, ...] = (-0.35, 0.35, 0.05, -0.1, 0.05, 0.45)
    """One size, XS, S, M, L, XL."""
    delay_beta: tuple[float, float] = (1.55, 3.6)
    """Delay in days is 1 + 29 x Beta: median about 9, always inside the return window."""


HABIT_LAW = HabitLaw()
RETURN_LAW = ReturnLaw()
