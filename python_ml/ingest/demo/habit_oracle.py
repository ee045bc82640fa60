r"""The true probability of another order, given what was known at the as-of date.

Write, for one customer and on the shop's clock, :math:`T` for the time from first order to as-of
date, :math:`t_x` for the time to the last known order, :math:`x` for the known repeat orders and
:math:`h` for the clock's advance over the horizon. The rate comes from Gamma(r, alpha) and the
probability of leaving after an order from Beta(a, b); integrating both out gives

.. math:: P = \frac{1 - ((\alpha+T)/(\alpha+T+h))^{r+x}}
              {1 + \frac{a}{b+x} ((\alpha+T)/(\alpha+t_x))^{r+x}}

which is the BG/NBD model (Fader, Hardie and Lee 2005, "Counting your customers the easy way")
with one more toss, after the first order, and time read from the shop's clock. It is exact because
on that clock the season is gone and orders are a plain Poisson process; because baskets, returns
and prices are drawn independently of rate and leaving and so tell nothing about them; and because
state and welcome voucher, which do, are in the data and move alpha and a.

Two things are simplified. An order that is not yet written down counts as not placed. And the
oracle is given the clock, the level of a coming year included, which no model can know.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from python_ml.ingest.demo.clock import ShopClock
from python_ml.ingest.demo.customers import Customers, Orders
from python_ml.ingest.demo.shop import HABIT_LAW, FloatArray, IntArray

HORIZON_DAYS = 180
GRACE_DAYS = 1


@dataclass(frozen=True, eq=False)
class HabitTruth:
    """One row per customer known at the as-of day; ``label`` is -1 while its window is open."""

    customer: IntArray
    probability: FloatArray
    label: IntArray


def habit_truth(
    clock: ShopClock, customers: Customers, orders: Orders, as_of: int, end: int
) -> HabitTruth:
    """Compute probability and label of a chunk's customers at the midnight of day ``as_of``.

    ``end`` is the day after the last day of the data.
    """
    known = (orders.day + orders.late_days < as_of) & (orders.buyer < customers.size)
    count = np.bincount(orders.buyer[known], minlength=customers.size)
    last_at = customers.first_at.copy()
    np.maximum.at(last_at, orders.buyer[known], orders.clock_at[known])
    rows = np.flatnonzero(count)
    first_at = customers.first_at[rows]
    now = clock.midnights[as_of]
    probability = probability_of_order(
        repeats=count[rows] - 1,
        last=last_at[rows] - first_at,
        span=now - first_at,
        horizon=float(clock.midnights[as_of + HORIZON_DAYS] - now),
        rate_scale=customers.rate_scale[rows],
        leave_a=customers.leave_a[rows],
    )
    return HabitTruth(rows, probability, _label(customers.size, orders, as_of, end)[rows])


def probability_of_order(
    *,
    repeats: IntArray,
    last: FloatArray,
    span: FloatArray,
    horizon: float,
    rate_scale: FloatArray,
    leave_a: FloatArray,
) -> FloatArray:
    """Return the probability of an order within the horizon, as the module's formula has it.

    Parameters
    ----------
    repeats
        Known orders after the first.
    last, span
        From the first order to the last known one and to now, on the shop's clock.
    horizon
        The clock's advance from now to the end of the horizon.
    rate_scale, leave_a
        The customer's alpha and a; r and b are the same for everybody.

    Returns
    -------
    FloatArray
        One probability per customer.
    """
    exponent = HABIT_LAW.rate_shape + repeats
    none_if_here = ((rate_scale + span) / (rate_scale + span + horizon)) ** exponent
    odds_gone = leave_a / (HABIT_LAW.leave_b + repeats)
    odds_gone = odds_gone * ((rate_scale + span) / (rate_scale + last)) ** exponent
    return np.asarray((1 - none_if_here) / (1 + odds_gone))


def _label(customers: int, orders: Orders, as_of: int, end: int) -> IntArray:
    known_at = as_of + HORIZON_DAYS + GRACE_DAYS
    if known_at > end:
        return np.full(customers, -1, dtype=np.int64)
    counts = (
        (orders.buyer < customers)
        & (orders.day >= as_of)
        & (orders.day < as_of + HORIZON_DAYS)
        & (orders.day + orders.late_days < known_at)
    )
    label = np.zeros(customers, dtype=np.int64)
    label[orders.buyer[counts]] = 1
    return label
