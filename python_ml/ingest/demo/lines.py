"""What is in the orders, and which lines come back."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from python_ml.ingest.demo.catalogue import (
    CATEGORIES,
    IS_SIZED,
    STYLES,
    TIERS,
    Catalogue,
    Shelves,
)
from python_ml.ingest.demo.clock import SECONDS_PER_DAY, ShopClock
from python_ml.ingest.demo.customers import Customers, Orders
from python_ml.ingest.demo.shop import (
    RETURN_LAW,
    RETURN_WINDOW_DAYS,
    VOUCHER_DISCOUNT,
    BoolArray,
    FloatArray,
    IntArray,
)

SIZES = ("one size", "XS", "S", "M", "L", "XL")
EXTRA_LINES = 2.5
SECOND_SIZE_SHARE = 0.07
DISCOUNTS = (0.10, 0.20, 0.30, 0.50)
DISCOUNT_SHARE = (0.40, 0.30, 0.20, 0.10)
# Log-odds that a line is discounted, by month: sales in January, July and November.
SALE_MONTH = (-0.3, -1.5, -2.0, -2.0, -2.0, -1.2, -0.3, -1.5, -2.0, -1.8, -0.2, -1.0)
CORRECTION_SHARE = 0.0055
PRICE_CORRECTION_SHARE = 0.6
YEARLY_PRICE_RISE = 0.03


@dataclass(frozen=True, eq=False)
class Tastes:
    """What each buyer of a chunk, guests last, likes; none of it is in the data."""

    category: FloatArray
    tier: IntArray
    style: IntArray
    size: IntArray
    bargain: FloatArray
    return_effect: FloatArray


@dataclass(frozen=True, eq=False)
class Lines:
    """Order lines of a chunk, in the order of their orders.

    ``return_score`` holds the log-odds that the order's own lines explain; ``is_returned`` and
    ``return_seconds`` (after the order) are the truth, whether known by the end or not.
    """

    order: IntArray
    number: IntArray
    product: IntArray
    size: IntArray
    quantity: IntArray
    price: FloatArray
    discount: FloatArray
    return_score: FloatArray
    is_returned: BoolArray
    return_seconds: IntArray


@dataclass(frozen=True, eq=False)
class Corrections:
    """Second versions: which line, its new quantity and price, seconds after the first version."""

    line: IntArray
    quantity: IntArray
    price: FloatArray
    seconds_later: IntArray


def draw_tastes(random: np.random.Generator, buyers: int) -> Tastes:
    """Draw the tastes of customers and guests."""
    return Tastes(
        category=random.dirichlet(np.full(len(CATEGORIES), 0.6), buyers),
        tier=random.integers(0, TIERS, buyers),
        style=random.integers(0, STYLES, buyers),
        size=random.choice(np.arange(1, len(SIZES)), buyers, p=(0.12, 0.25, 0.30, 0.21, 0.12)),
        bargain=random.normal(0.0, 0.8, buyers),
        return_effect=random.normal(0.0, RETURN_LAW.customer_sd, buyers),
    )


def draw_lines(
    random: np.random.Generator,
    *,
    clock: ShopClock,
    catalogue: Catalogue,
    shelves: Shelves,
    season: FloatArray,
    customers: Customers,
    orders: Orders,
    tastes: Tastes,
) -> Lines:
    """Fill the orders and decide what comes back."""
    per_order = 1 + random.poisson(EXTRA_LINES, orders.size)
    order = np.repeat(np.arange(orders.size), per_order)
    starts = np.cumsum(per_order) - per_order
    number = np.arange(len(order)) - starts[order] + 1
    buyer = orders.buyer[order]
    day = orders.day[order]

    category = _draw_category(random, tastes.category[buyer], season[clock.calendar_month[day]])
    product = shelves.draw(
        clock.month[day], tastes.tier[buyer], tastes.style[buyer], category, random.random(len(day))
    )
    repeats_previous = (number > 1) & (random.random(len(order)) < SECOND_SIZE_SHARE)
    # A chain of second sizes goes back to the last line that chose a product of its own.
    product = product[np.maximum.accumulate(np.where(repeats_previous, 0, np.arange(len(order))))]
    size = _draw_size(random, tastes.size[buyer], repeats_previous)
    size = np.where(np.array(IS_SIZED)[catalogue.category[product]], size, 0)
    discount = _draw_discount(
        random, clock=clock, customers=customers, orders=orders, tastes=tastes, order=order
    )
    lines = Lines(
        order=order,
        number=number,
        product=product,
        size=size,
        quantity=_draw_quantity(random, len(order), size),
        price=_price(random, catalogue.price[product], day),
        discount=discount,
        return_score=np.zeros(len(order)),
        is_returned=np.zeros(len(order), dtype=np.bool_),
        return_seconds=np.zeros(len(order), dtype=np.int64),
    )
    return _draw_returns(random, catalogue, tastes.return_effect[buyer], lines)


def draw_corrections(random: np.random.Generator, lines: Lines) -> Corrections:
    """Draw the lines that were entered wrongly and put right 1 to 20 days later."""
    line = np.flatnonzero(random.random(len(lines.order)) < CORRECTION_SHARE)
    changes_price = random.random(len(line)) < PRICE_CORRECTION_SHARE
    cheaper = np.maximum(
        0.01, np.round(lines.price[line] * random.uniform(0.8, 0.97, len(line)), 2)
    )
    return Corrections(
        line=line,
        quantity=np.where(changes_price, lines.quantity[line], lines.quantity[line] + 1),
        price=np.where(changes_price, cheaper, lines.price[line]),
        seconds_later=random.integers(SECONDS_PER_DAY, 20 * SECONDS_PER_DAY, len(line)),
    )


def _draw_category(random: np.random.Generator, taste: FloatArray, season: FloatArray) -> IntArray:
    # A little of everything for everybody, or a narrow taste would never try another category.
    running = np.cumsum((0.05 + taste) * season, axis=1)
    pick = random.random(len(running)) * running[:, -1]
    chosen = (running <= pick[:, None]).sum(axis=1)
    return np.asarray(np.minimum(chosen, running.shape[1] - 1).astype(np.int64))


def _draw_size(
    random: np.random.Generator, usual: IntArray, repeats_previous: BoolArray
) -> IntArray:
    step = random.choice((-1, 0, 1), len(usual), p=(0.1, 0.8, 0.1))
    step = np.where(repeats_previous, random.choice((-1, 1), len(usual)), step)
    return np.asarray(np.clip(usual + step, 1, len(SIZES) - 1).astype(np.int64))


def _draw_quantity(random: np.random.Generator, count: int, size: IntArray) -> IntArray:
    more = random.geometric(0.6, count)
    is_more = random.random(count) < np.where(size == 0, 0.25, 0.08)
    return np.where(is_more, 1 + more, 1).astype(np.int64)


def _price(random: np.random.Generator, base: FloatArray, day: IntArray) -> FloatArray:
    risen = base * (1 + YEARLY_PRICE_RISE) ** (day // 365)
    wobble = random.choice((0.95, 1.0, 1.0, 1.0, 1.05), len(base))
    return np.asarray(np.round(np.maximum(1.0, np.round(risen * wobble)) - 0.01, 2))


def _draw_discount(
    random: np.random.Generator,
    *,
    clock: ShopClock,
    customers: Customers,
    orders: Orders,
    tastes: Tastes,
    order: IntArray,
) -> FloatArray:
    buyer = orders.buyer[order]
    score = np.array(SALE_MONTH)[clock.calendar_month[orders.day[order]]] + tastes.bargain[buyer]
    is_discounted = random.random(len(order)) < 1 / (1 + np.exp(-score))
    discount = np.where(is_discounted, random.choice(DISCOUNTS, len(order), p=DISCOUNT_SHARE), 0.0)
    voucher = np.concatenate(
        [customers.has_voucher, np.zeros(len(tastes.tier) - customers.size, dtype=np.bool_)]
    )
    uses_voucher = voucher[buyer] & (orders.number[order] == 1)
    return np.where(uses_voucher, VOUCHER_DISCOUNT, discount)


def _draw_returns(
    random: np.random.Generator, catalogue: Catalogue, customer_effect: FloatArray, lines: Lines
) -> Lines:
    score = (
        catalogue.base_return[lines.product]
        + np.array(RETURN_LAW.size)[lines.size]
        + RETURN_LAW.discount * lines.discount
        + RETURN_LAW.same_product_twice * _is_twice_in_order(lines, catalogue.size)
    )
    latent = customer_effect + catalogue.return_effect[lines.product]
    is_returned = random.random(len(score)) < 1 / (1 + np.exp(-(score + latent)))
    delay = 1 + (RETURN_WINDOW_DAYS - 1) * random.beta(*RETURN_LAW.delay_beta, len(score))
    # A second short of the window, so that no return falls on the instant when it closes.
    seconds = np.minimum(delay * SECONDS_PER_DAY, RETURN_WINDOW_DAYS * SECONDS_PER_DAY - 1)
    return replace(
        lines,
        return_score=score,
        is_returned=is_returned,
        return_seconds=seconds.astype(np.int64),
    )


def _is_twice_in_order(lines: Lines, products: int) -> BoolArray:
    key = lines.order * products + lines.product
    _, place, count = np.unique(key, return_inverse=True, return_counts=True)
    return np.asarray(count[place] > 1)
