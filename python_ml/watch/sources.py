"""The gates on what was loaded: orders per day, prices and categories beside the shop's usual."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from python_ml.training.frame import FloatArray
from python_ml.warehouse.postgres import Warehouse
from python_ml.watch.features import say
from python_ml.watch.findings import Finding, Verdict
from python_ml.watch.thresholds import Thresholds

DAYS_READ = 800
"""Two years and the months that the first of them is compared with."""
WEEKS_COMPARED = 8
FEWEST_DAYS = 120
"""A shop with less history has no usual."""
FEWEST_ORDERS = 300
DELAYS = 8
"""Orders that are written down so many days late count with the last of them."""
WINDOWS = (1, 2, 7, 28)
LIKE_BEFORE = 1.25
"""What happened twice before is usual, and so is a little more of it."""
PRICE_WINDOWS = (1, 7, 28)
PRICE_DAYS = 180
CATEGORY_DAYS = 28
CATEGORY_HISTORY = 6
STILL_NEW = 1
"""A category counts as new for so many spans after its first: a month's rows are more than one."""
VANISHED_SHARE = 0.02
"""A category of this share that is not sold any more is told beside new ones."""
FEWEST_LINES = 100


@dataclass(frozen=True, eq=False)
class Days:
    """Orders of each day, by how many days later they were written down, oldest first.

    Parameters
    ----------
    last
        The day before the as-of date.
    orders
        (days, delays): orders of a day that were known that many days after it.
    prices, lines
        Mean logarithm of the unit price, and how many lines that is of.
    """

    last: date
    orders: FloatArray
    prices: FloatArray
    lines: FloatArray

    def known_at_age(self, age: int) -> FloatArray:
        """Return each day's orders as they were known that many midnights after it."""
        return np.asarray(self.orders[:, : min(age, DELAYS)].sum(axis=1))


def read_days(warehouse: Warehouse, as_of: date) -> Days | None:
    """Read orders and prices by day, as known at a date; None where there are none."""
    table = warehouse.read(
        "with known as ("
        "  select ordered_on, order_id, known_on, superseded_on, unit_price"
        "  from intermediate.int_order_lines"
        "  where known_on < $1 and ordered_on < $1 and ordered_on >= $2"
        "), orders as ("
        "  select ordered_on, order_id, min(known_on) - ordered_on as delay"
        "  from known group by 1, 2"
        "), counted as ("
        "  select ordered_on, least(greatest(delay, 0), $3) as delay, count(*) as orders"
        "  from orders group by 1, 2"
        "), priced as ("
        "  select ordered_on, avg(ln(unit_price)) as price, count(*) as lines from known"
        "  where unit_price > 0 and (superseded_on is null or superseded_on >= $1) group by 1"
        ") select counted.ordered_on, counted.delay, counted.orders,"
        "  cast(priced.price as double precision) as price, priced.lines"
        "  from counted left join priced on counted.ordered_on = priced.ordered_on",
        [as_of, as_of - timedelta(days=DAYS_READ), DELAYS - 1],
    ).to_pylist()
    if not table:
        return None
    first = min(row["ordered_on"] for row in table)
    count = (as_of - first).days
    orders = np.zeros((count, DELAYS))
    prices, lines = np.zeros(count), np.zeros(count)
    for row in table:
        place = (row["ordered_on"] - first).days
        orders[place, int(row["delay"])] += row["orders"]
        if row["lines"]:
            prices[place], lines[place] = row["price"], row["lines"]
    return Days(as_of - timedelta(days=1), orders, prices, lines)


def judge_sources(warehouse: Warehouse, as_of: date, thresholds: Thresholds) -> Verdict:
    """Hold the newest days against the shop's own usual: volume, freshness, prices, categories."""
    days = read_days(warehouse, as_of)
    if days is None or len(days.orders) < FEWEST_DAYS or days.orders.sum() < FEWEST_ORDERS:
        return Verdict(
            not_judged=(f"sources: less than {FEWEST_DAYS} days or {FEWEST_ORDERS} orders",)
        )
    findings = [*judge_volume(days, thresholds), *judge_prices(days, thresholds)]
    findings += judge_categories(warehouse, as_of, thresholds)
    return Verdict(tuple(findings))


# -- volume and freshness --------------------------------------------------------------------


def expected_orders(orders: FloatArray) -> FloatArray:
    """Return what the same weekdays of the eight weeks before say of each day.

    NaN where there are not so many weeks before it.

    >>> week = np.array([9.0, 9.0, 9.0, 9.0, 9.0, 2.0, 0.0])
    >>> expected_orders(np.tile(week, 9))[-7:].tolist()
    [9.0, 9.0, 9.0, 9.0, 9.0, 2.0, 0.0]
    """
    found = np.full(len(orders), np.nan)
    span = 7 * WEEKS_COMPARED
    for place in range(span, len(orders)):
        found[place] = orders[place - span : place : 7].mean()
    return found


def shortfalls(orders: FloatArray, window: int) -> FloatArray:
    """Return how far the orders of each window fall short, in roots of a count (Anscombe).

    A Poisson count's root has a standard deviation of one half whatever its mean: twice the
    difference of roots is about standard normal, above 0 where orders are missing. NaN where
    nothing can be expected yet.
    """
    expected = expected_orders(orders)
    # a window is compared with weeks that end before it
    if window > 7:  # noqa: PLR2004 - a week
        base = np.full(len(orders), np.nan)
        span = 7 * WEEKS_COMPARED
        sums = np.concatenate([[0.0], np.cumsum(orders)])
        for place in range(window + span - 1, len(orders)):
            start = place - window + 1
            base[place] = (sums[start] - sums[start - span]) / span * window
        wanted = base
    else:
        wanted = _rolled(expected, window)
    seen = _rolled(orders, window)
    return np.asarray(2 * (np.sqrt(wanted + 0.375) - np.sqrt(seen + 0.375)))


def _rolled(values: FloatArray, window: int) -> FloatArray:
    found = np.full(len(values), np.nan)
    for place in range(window - 1, len(values)):
        found[place] = values[place - window + 1 : place + 1].sum()
    return found


def judge_volume(days: Days, thresholds: Thresholds) -> list[Finding]:
    """Return what is to be said of the orders of the newest days.

    The newest day counts the orders that were written down on it, and so do the days that it is
    compared with: what is usually late is not missing.
    """
    found = []
    for window in WINDOWS:
        orders = days.known_at_age(1 if window == 1 else DELAYS)
        if window > 1:
            for age in range(1, min(DELAYS, len(orders))):  # late orders of these are yet to come
                orders[-age] = _completed(days, age)
        scores = shortfalls(orders, window)
        history = scores[:-window]
        history = history[~np.isnan(history)]
        if len(history) < FEWEST_DAYS // 2 or np.isnan(scores[-1]):
            continue
        low, high = np.quantile(history, (0.05, 0.95))
        spread = max(1.0, float(high - low) / 3.29)
        worst = float(np.sort(np.abs(history))[-2:].min()) / spread
        value = abs(float(scores[-1])) / spread
        if value <= LIKE_BEFORE * worst:
            continue  # so much has happened before, more than once
        found += _say_volume(
            days,
            orders,
            window,
            value=value,
            without_worst=float(shortfalls(_without_worst_day(orders, window), window)[-1])
            / spread,
            thresholds=thresholds,
        )
    return _worst(found)


def _worst(found: list[Finding]) -> list[Finding]:
    """Return the one finding that lies furthest beyond its limit: windows tell one story."""
    found = [f for f in found if f.level == "refuse"] or found
    return sorted(found, key=lambda f: f.value / f.limit)[-1:]


def _without_worst_day(orders: FloatArray, window: int) -> FloatArray:
    """Return the orders with the emptiest day of the window as it was expected."""
    expected = expected_orders(orders)[-window:]
    changed = orders.copy()
    place = int((orders[-window:] - expected).argmin()) - window
    changed[place] = expected[place]
    return changed


def _completed(days: Days, age: int) -> float:
    """Return a young day's orders, with those added that are usually still to come."""
    now = days.orders[-age].sum()
    final, young = days.known_at_age(DELAYS)[:-DELAYS].sum(), days.known_at_age(age)[:-DELAYS].sum()
    return float(now * final / young) if young else float(now)


def _say_volume(
    days: Days,
    orders: FloatArray,
    window: int,
    *,
    value: float,
    without_worst: float,
    thresholds: Thresholds,
) -> list[Finding]:
    is_short = shortfalls(orders, window)[-1] > 0
    seen = orders[-window:].sum()
    expected = expected_orders(orders)[-window:].sum()
    if window > 7:  # noqa: PLR2004 - a week
        start = len(orders) - window
        expected = orders[start - 7 * WEEKS_COMPARED : start].mean() * window
    span = f"on {days.last}" if window == 1 else f"in the {window} days to {days.last}"
    with_orders = np.flatnonzero(orders)
    newest = days.last - timedelta(days=int(len(orders) - 1 - with_orders[-1]))
    late = ""
    if is_short and newest < days.last:
        late = f"; the newest order is of {newest}, {(days.last - newest).days + 1} days before"
    text = (
        f"{'only ' if is_short else ''}{seen:,.0f} orders {span}, where this shop usually has "
        f"{expected:,.0f} ({{value:.2f}} standard deviations, limit {{limit:.2f}}){late}"
    )
    gate = thresholds["volume"]
    # one day alone may be a holiday, and more orders than usual are no loss: both only warn
    if not is_short or gate.level(without_worst) != "refuse":
        gate = gate.only_warning()
    return say(gate, "volume", f"{window} days", value, text)


# -- prices ----------------------------------------------------------------------------------


def judge_prices(days: Days, thresholds: Thresholds) -> list[Finding]:
    """Return what is to be said of the prices of the newest days."""
    found = []
    for window in PRICE_WINDOWS:
        lines = _rolled(days.lines, window)
        if lines[-1] < min(20, FEWEST_LINES) or len(lines) < PRICE_DAYS // 2:
            continue
        sums = _rolled(days.prices * days.lines, window)
        with np.errstate(invalid="ignore", divide="ignore"):
            means = np.where(lines > 0, sums / lines, np.nan)
        history = means[-PRICE_DAYS - window : -window]
        history = history[~np.isnan(history)]
        if len(history) < PRICE_DAYS // 4:
            continue
        middle = float(np.median(history))
        moved = float(means[-1]) - middle
        usual = float(np.sort(np.abs(history - middle))[-2:].min())
        if abs(moved) <= usual:
            continue
        span = f"on {days.last}" if window == 1 else f"in the {window} days to {days.last}"
        found += say(
            thresholds["prices"],
            "prices",
            f"{window} days",
            abs(moved),
            f"prices {span} are {np.exp(moved):.2f} times those of the {PRICE_DAYS} days before "
            "(logarithm {value:.2f}, usual up to {limit:.2f})",
            usual=usual,
        )
    return _worst(found)


# -- categories ------------------------------------------------------------------------------


def judge_categories(warehouse: Warehouse, as_of: date, thresholds: Thresholds) -> list[Finding]:
    """Return what is to be said of categories that were never sold before."""
    table = warehouse.read(
        "select category, cast(floor(($1 - 1 - ordered_on) / $2) as integer) as block,"
        "  count(*) as lines"
        "  from intermediate.int_order_lines"
        "  where category is not null and known_on < $1 and ordered_on < $1 and ordered_on >= $3"
        "  and (superseded_on is null or superseded_on >= $1) group by 1, 2",
        [as_of, CATEGORY_DAYS, as_of - timedelta(days=DAYS_READ)],
    ).to_pylist()
    lines: dict[int, dict[str, int]] = {}
    for row in table:
        lines.setdefault(int(row["block"]), {})[str(row["category"])] = int(row["lines"])
    now = lines.get(0, {})
    if len(lines) <= CATEGORY_HISTORY + STILL_NEW or sum(now.values()) < FEWEST_LINES:
        return []
    share, new = _new_share(lines, 0)
    usual = max(_new_share(lines, block)[0] for block in range(1, CATEGORY_HISTORY + 1))
    if not new:
        return []
    before = lines.get(1 + STILL_NEW, {})
    total = max(sum(before.values()), 1)
    gone = [
        repr(name)
        for name, count in sorted(before.items(), key=lambda item: -item[1])
        if name not in now and count / total >= VANISHED_SHARE
    ]
    sold_no_more = f"; not sold any more: {', '.join(gone[:3])}" if gone else ""
    return say(
        thresholds["categories"],
        "categories",
        ", ".join(new[:3]),
        share,
        f"{share:.1%} of the lines of the last {CATEGORY_DAYS} days are in categories that were "
        f"never sold before: {', '.join(repr(name) for name in new[:3])}{sold_no_more}",
        usual=usual,
    )


def _new_share(lines: dict[int, dict[str, int]], block: int) -> tuple[float, list[str]]:
    """Return the share of a block's lines in categories that no older block has, and which."""
    now = lines.get(block, {})
    known = {n for other, counts in lines.items() if other > block + STILL_NEW for n in counts}
    new = sorted((name for name in now if name not in known), key=lambda name: -now[name])
    return (sum(now[name] for name in new) / max(sum(now.values()), 1), new)
