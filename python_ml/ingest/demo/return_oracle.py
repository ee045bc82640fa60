"""The probability, at order time, that a line comes back.

The log-odds of a return are a known part (category, brand, size, discount, the same product twice
in the order) plus a latent effect of the customer and one of the product, both normal with known
spread. Going through the days, the oracle keeps a normal belief about each effect, states
probabilities for the day's lines and then learns from the lines whose return window closed.
Learning is by moment matching (assumed-density filtering): exact for one line whose two effects
are independent, an approximation for many, because beliefs about customers and products are kept
apart and lines of one day are learned side by side.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from python_ml.ingest.demo.shop import (
    RETURN_LAW,
    RETURN_WINDOW_DAYS,
    BoolArray,
    FloatArray,
    IntArray,
)

GUEST = -1
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(9)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


@dataclass(frozen=True, eq=False)
class ReturnEvidence:
    """Lines in any order; ``customer`` is ``GUEST`` (-1) for guests, ``day`` the order's day."""

    customer: IntArray
    product: IntArray
    day: IntArray
    score: FloatArray
    is_returned: BoolArray


@dataclass(eq=False)
class _Beliefs:
    """Precision and precision-weighted mean of each latent effect."""

    precision: FloatArray
    shift: FloatArray

    @classmethod
    def prior(cls, count: int, spread: float) -> _Beliefs:
        return cls(np.full(count, spread**-2), np.zeros(count))

    def moments(self, index: IntArray) -> tuple[FloatArray, FloatArray]:
        return self.shift[index] / self.precision[index], 1 / self.precision[index]

    def add(self, index: IntArray, precision: FloatArray, shift: FloatArray) -> None:
        np.add.at(self.precision, index, precision)
        np.add.at(self.shift, index, shift)


def return_probabilities(
    lines: ReturnEvidence,
    customers: int,
    products: int,
    closes_after_days: int = RETURN_WINDOW_DAYS + 1,
) -> FloatArray:
    """State the probability of a return for each line, from what was settled before its day.

    Parameters
    ----------
    lines
        All lines of the shop.
    customers, products
        How many of each there are.
    closes_after_days
        Days after the order's day from which an outcome counts, the same for both outcomes.

    Returns
    -------
    FloatArray
        One probability per line, in the order given.
    """
    # One more customer than there are stands for all guests: nothing is ever learned about it.
    customer = np.where(lines.customer == GUEST, customers, lines.customer)
    of_customer = _Beliefs.prior(customers + 1, RETURN_LAW.customer_sd)
    of_product = _Beliefs.prior(products, RETURN_LAW.product_sd)
    probability = np.empty(len(customer))
    for settled, rows in _days(lines.day, closes_after_days):
        _learn(lines, customer, settled, of_customer, of_product)
        mean, variance = _total(lines, customer, rows, of_customer, of_product)
        probability[rows] = _sigmoid(_spread_out(mean, variance)) @ _WEIGHTS
    return probability


def _days(day: IntArray, closes_after: int) -> Iterator[tuple[IntArray, IntArray]]:
    """Yield per day the rows that became settled and the rows that were ordered."""
    by_day = np.argsort(day, kind="stable")
    last = int(day.max(initial=-1))
    bounds = np.searchsorted(day[by_day], np.arange(last + 2))
    for today in range(last + 1):
        past = today - closes_after
        settled = by_day[bounds[past] : bounds[past + 1]] if past >= 0 else by_day[:0]
        yield settled, by_day[bounds[today] : bounds[today + 1]]


def _total(
    lines: ReturnEvidence,
    customer: IntArray,
    rows: IntArray,
    of_customer: _Beliefs,
    of_product: _Beliefs,
) -> tuple[FloatArray, FloatArray]:
    mean_c, variance_c = of_customer.moments(customer[rows])
    mean_p, variance_p = of_product.moments(lines.product[rows])
    return lines.score[rows] + mean_c + mean_p, variance_c + variance_p


def _learn(
    lines: ReturnEvidence,
    customer: IntArray,
    rows: IntArray,
    of_customer: _Beliefs,
    of_product: _Beliefs,
) -> None:
    if not len(rows):
        return
    mean, variance = _total(lines, customer, rows, of_customer, of_product)
    values = _spread_out(mean, variance)
    chance = _sigmoid(values)
    weight = np.where(lines.is_returned[rows, None], chance, 1 - chance) * _WEIGHTS
    weight /= weight.sum(axis=1, keepdims=True)
    new_mean = np.sum(weight * values, axis=1)
    new_variance = np.sum(weight * (values - new_mean[:, None]) ** 2, axis=1)
    updates = []
    for beliefs, index in ((of_customer, customer[rows]), (of_product, lines.product[rows])):
        old_mean, old_variance = beliefs.moments(index)
        gain = old_variance / variance
        matched_mean = old_mean + gain * (new_mean - mean)
        matched_variance = old_variance - gain**2 * (variance - new_variance)
        updates.append(
            (
                1 / matched_variance - 1 / old_variance,
                matched_mean / matched_variance - old_mean / old_variance,
            )
        )
    is_customer = customer[rows] < len(of_customer.precision) - 1
    precision, shift = updates[0]
    of_customer.add(customer[rows][is_customer], precision[is_customer], shift[is_customer])
    of_product.add(lines.product[rows], *updates[1])


def _spread_out(mean: FloatArray, variance: FloatArray) -> FloatArray:
    """Quadrature points of a normal distribution: rows x nodes."""
    return np.asarray(mean[:, None] + np.sqrt(variance)[:, None] * _NODES)


def _sigmoid(value: FloatArray) -> FloatArray:
    return np.asarray(1 / (1 + np.exp(-value)))
