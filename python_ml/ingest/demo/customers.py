"""Customers, guests, and when they order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from python_ml.ingest.demo.clock import ShopClock
from python_ml.ingest.demo.shop import (
    HABIT_LAW,
    LATE_DAYS_PROBABILITY,
    LATE_SHARE,
    BoolArray,
    DemoShop,
    FloatArray,
    IntArray,
)

GUEST_SHARE = 0.08


@dataclass(frozen=True, eq=False)
class Customers:
    """One chunk of customers: what the population's laws say about each of them.

    ``first_at`` is the first order on the shop's clock. The gamma scale of the rate follows the
    state, the beta law of leaving follows the welcome voucher: both can be seen in the data.
    """

    number: IntArray
    state: IntArray
    has_voucher: BoolArray
    first_at: FloatArray
    rate_scale: FloatArray
    leave_a: FloatArray

    @property
    def size(self) -> int:
        """Customers in the chunk."""
        return len(self.number)


@dataclass(frozen=True, eq=False)
class Orders:
    """Orders by buyer and time; buyers from ``customers`` on are guests with one order each.

    ``late_days`` says after how many whole days the order was written down; 0 is at once.
    """

    buyer: IntArray
    number: IntArray
    clock_at: FloatArray
    day: IntArray
    second: IntArray
    late_days: IntArray

    @property
    def size(self) -> int:
        """Orders in the chunk."""
        return len(self.buyer)


def draw_customers(
    random: np.random.Generator, shop: DemoShop, clock: ShopClock, first: int, count: int
) -> Customers:
    """Draw customers and the time of their first order."""
    state = random.choice(len(HABIT_LAW.states), count, p=HABIT_LAW.state_share)
    voucher = random.random(count) < HABIT_LAW.voucher_share
    # Many come soon after the opening, then a steady stream that swells with the season.
    day = np.arange(shop.days)
    inflow = np.cumsum(clock.day_length[: shop.days] * (1.0 + 2.5 * np.exp(-day / 120.0)))
    position = random.random(count) * inflow[-1]
    first_day = np.searchsorted(inflow, position, side="right")
    first_at = clock.midnights[first_day] + random.random(count) * clock.day_length[first_day]
    return Customers(
        number=np.arange(first, first + count, dtype=np.int64),
        state=state.astype(np.int64),
        has_voucher=voucher,
        first_at=first_at,
        rate_scale=HABIT_LAW.rate_scale_days * np.array(HABIT_LAW.state_rate_scale)[state],
        leave_a=HABIT_LAW.leave_a * np.where(voucher, HABIT_LAW.voucher_leave_factor, 1.0),
    )


def draw_orders(
    random: np.random.Generator, shop: DemoShop, clock: ShopClock, customers: Customers
) -> Orders:
    """Draw the orders of a chunk's customers, and guests in proportion.

    Orders up to the end are uniform on the clock given their number, and a geometric number of
    them is placed before the customer leaves: the same law as tossing after each order, without
    a loop.
    """
    end = clock.midnights[shop.days]
    rate = random.gamma(HABIT_LAW.rate_shape, 1.0, customers.size) / customers.rate_scale
    leave = random.beta(customers.leave_a, HABIT_LAW.leave_b)
    allowed = random.geometric(np.maximum(leave, 1e-12))
    repeats = random.poisson(rate * (end - customers.first_at))
    buyer = np.repeat(np.arange(customers.size), repeats)
    at = customers.first_at[buyer] + random.random(len(buyer)) * (end - customers.first_at[buyer])
    order = np.lexsort((at, buyer))
    number = np.arange(len(buyer)) - np.repeat(np.cumsum(repeats) - repeats, repeats) + 2
    placed = number <= allowed[buyer]
    return _with_guests(
        random,
        shop,
        clock,
        buyer=np.concatenate([np.arange(customers.size), buyer[placed]]),
        at=np.concatenate([customers.first_at, at[order][placed]]),
        number=np.concatenate([np.ones(customers.size, dtype=np.int64), number[placed]]),
        customers=customers.size,
    )


def _with_guests(
    random: np.random.Generator,
    shop: DemoShop,
    clock: ShopClock,
    *,
    buyer: IntArray,
    at: FloatArray,
    number: IntArray,
    customers: int,
) -> Orders:
    guests = int(random.poisson(len(buyer) * GUEST_SHARE / (1 - GUEST_SHARE)))
    order = np.lexsort((number, buyer))
    buyer = np.concatenate([buyer[order], customers + np.arange(guests)])
    number = np.concatenate([number[order], np.ones(guests, dtype=np.int64)])
    guest_at = np.sort(random.random(guests)) * clock.midnights[shop.days]
    at = np.concatenate([at[order], guest_at])
    # A first order opens the account and is written down at once: a customer whose first order
    # were still unknown would have another history than the true one.
    may_be_late = (number > 1) | (buyer >= customers)
    delay = 1 + random.choice(len(LATE_DAYS_PROBABILITY), len(buyer), p=LATE_DAYS_PROBABILITY)
    is_late = (random.random(len(buyer)) < LATE_SHARE) & may_be_late
    day, second = clock.day_and_second(at)
    return Orders(
        buyer=buyer,
        number=number,
        clock_at=at,
        day=day,
        second=second,
        late_days=np.where(is_late, delay, 0),
    )
