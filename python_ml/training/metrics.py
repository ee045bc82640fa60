"""How good probabilities are, with intervals by customer.

Every figure is computed for many sets of row weights at once: weights of one give the figure
itself, and drawing whole customers with replacement gives its bootstrap distribution.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from python_ml.training.frame import FloatArray, IntArray, TextArray
from python_ml.training.recipes.base import EDGE, shift_to_mean, to_logit
from python_ml.training.recipes.linear import fit_logistic

BINS = 10
LEVELS = (2.5, 97.5)
PERFECT_ROUNDS = 200
CONSTANT = 1e-9
"""Logits that spread less differ by rounding alone."""
CHUNK = 4_000_000
"""Weights held at a time, rows times rounds."""

Statistic = Callable[[FloatArray, FloatArray, FloatArray], FloatArray]
"""From labels (n), probabilities (n) and weights (rounds, n) to one figure per round."""


@dataclass(frozen=True)
class Interval:
    """A figure and its 95 % bootstrap interval by customer."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Calibration:
    """Calibration error beside its floor.

    Attributes
    ----------
    error
        Expected calibration error over ten bins of equally many rows.
    perfect_median, perfect_p95
        What a perfect model would show on the same scores, by simulation.
    slope
        Coefficient of the logit in a regression of the label on it: below 1, too sure.
    intercept
        Shift of the logit that makes the mean right (slope held at 1): above 0, too low.
    """

    error: float
    perfect_median: float
    perfect_p95: float
    slope: float
    intercept: float


@dataclass(frozen=True)
class Measurement:
    """All figures of one set of predictions; ``None`` where only one answer occurs."""

    rows: int
    customers: int
    positive_rate: float
    mean_probability: float
    log_loss: Interval
    brier: Interval
    auc: Interval | None
    average_precision: Interval | None
    calibration: Calibration

    def to_dict(self) -> dict[str, object]:
        """Return plain JSON types."""
        return asdict(self)


def row_log_loss(label: FloatArray, probability: FloatArray) -> FloatArray:
    """Return each row's log-loss."""
    p = np.clip(probability, EDGE, 1 - EDGE)
    return np.asarray(-(label * np.log(p) + (1 - label) * np.log1p(-p)), dtype=np.float64)


def log_loss(label: FloatArray, probability: FloatArray) -> float:
    """Return the mean log-loss.

    >>> import numpy as np
    >>> round(log_loss(np.array([1.0, 0.0]), np.array([0.5, 0.5])), 4)
    0.6931
    """
    return float(row_log_loss(label, probability).mean())


def weighted_log_loss(
    label: FloatArray, probability: FloatArray, weights: FloatArray
) -> FloatArray:
    """Return the weighted mean log-loss per set of weights."""
    return np.asarray((weights @ row_log_loss(label, probability)) / weights.sum(axis=1))


def weighted_brier(label: FloatArray, probability: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the weighted mean squared error per set of weights."""
    return np.asarray((weights @ (probability - label) ** 2) / weights.sum(axis=1))


def weighted_auc(label: FloatArray, probability: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the area under the ROC curve per set of weights; ties count half."""
    positive, negative = _by_score(label, probability, weights, descending=False)
    below = np.cumsum(negative, axis=1) - 0.5 * negative
    pairs = positive.sum(axis=1) * negative.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((positive * below).sum(axis=1) / pairs)


def weighted_average_precision(
    label: FloatArray, probability: FloatArray, weights: FloatArray
) -> FloatArray:
    """Return the average precision per set of weights."""
    positive, negative = _by_score(label, probability, weights, descending=True)
    found = np.cumsum(positive, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.nan_to_num(found / (found + np.cumsum(negative, axis=1)))
        return np.asarray((positive * precision).sum(axis=1) / positive.sum(axis=1))


def _by_score(
    label: FloatArray, probability: FloatArray, weights: FloatArray, *, descending: bool
) -> tuple[FloatArray, FloatArray]:
    """Return the weight of ones and of zeros per distinct score, in the order of the score."""
    key = -probability if descending else probability
    order = np.argsort(key, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(key[order]) != 0])
    ordered, labels = weights[:, order], label[order]
    positive = np.add.reduceat(ordered * labels, starts, axis=1)
    return positive, np.add.reduceat(ordered * (1 - labels), starts, axis=1)


def expected_calibration_error(label: FloatArray, probability: FloatArray) -> float:
    """Return the mean absolute gap between promise and outcome over ten bins of equal size."""
    order = np.argsort(probability, kind="stable")
    gaps = (label - probability)[order]
    return float(_binned_gap(gaps[None, :])[0])


def _binned_gap(gaps: FloatArray) -> FloatArray:
    rows = gaps.shape[1]
    starts = np.unique(np.arange(BINS) * rows // BINS)
    return np.asarray(np.abs(np.add.reduceat(gaps, starts, axis=1)).sum(axis=1) / rows)


def perfect_calibration_error(probability: FloatArray, seed: int) -> tuple[float, float]:
    """Return median and 95th percentile of the error that a perfect model shows on these scores.

    Outcomes are drawn from the scores themselves: what is left is the error's own noise.
    """
    random = np.random.default_rng(seed)
    ordered = np.sort(probability)
    rounds = [
        _binned_gap((random.random((size, len(ordered))) < ordered) - ordered)
        for size in _chunks(PERFECT_ROUNDS, len(ordered))
    ]
    median, p95 = np.quantile(np.concatenate(rounds), (0.5, 0.95))
    return float(median), float(p95)


def calibration_slope(label: FloatArray, probability: FloatArray) -> float:
    """Return the slope of the label on the logit; NaN where it is not defined."""
    logits = to_logit(probability)
    spread = logits.std()
    if len(np.unique(label)) == 1 or spread < CONSTANT:
        return float("nan")
    standard = ((logits - logits.mean()) / spread)[:, None]
    return float(fit_logistic(standard, label, strength=1e-3)[1] / spread)


def calibration_intercept(label: FloatArray, probability: FloatArray) -> float:
    """Return the shift of the logit that makes the mean right; NaN where only one answer occurs."""
    if len(np.unique(label)) == 1:
        return float("nan")
    return shift_to_mean(probability, float(label.mean()))


def customer_weights(groups: IntArray, rounds: int, seed: int) -> npt.NDArray[np.float64]:
    """Return bootstrap weights per customer (rounds, customers): how often each was drawn."""
    customers = int(groups.max()) + 1
    random = np.random.default_rng(seed)
    drawn = random.integers(0, customers, size=(rounds, customers))
    return np.stack([np.bincount(row, minlength=customers) for row in drawn]).astype(np.float64)


def bootstrap(
    statistics: dict[str, Statistic],
    label: FloatArray,
    probability: FloatArray,
    entity: TextArray,
    *,
    rounds: int,
    seed: int,
) -> dict[str, FloatArray]:
    """Return each statistic once for all rows and then per bootstrap round."""
    groups, _ = pd.factorize(entity, sort=True)
    by_customer = customer_weights(np.asarray(groups, dtype=np.int64), rounds, seed)
    by_customer = np.vstack((np.ones((1, by_customer.shape[1])), by_customer))
    parts: dict[str, list[FloatArray]] = {name: [] for name in statistics}
    start = 0
    for size in _chunks(rounds + 1, len(label)):
        weights = by_customer[start : start + size][:, groups]
        start += size
        for name, statistic in statistics.items():
            parts[name].append(statistic(label, probability, weights))
    return {name: np.concatenate(values) for name, values in parts.items()}


def bootstrap_means(
    columns: FloatArray, entity: TextArray, *, rounds: int, seed: int
) -> list[Interval]:
    """Return the mean of each column (rows, columns) with its interval by customer."""
    groups, _ = pd.factorize(entity, sort=True)
    count = int(groups.max()) + 1
    sums = np.stack([np.bincount(groups, column, minlength=count) for column in columns.T], axis=1)
    sizes = np.bincount(groups, minlength=count).astype(np.float64)
    weights = customer_weights(np.asarray(groups, dtype=np.int64), rounds, seed)
    drawn = (weights @ sums) / (weights @ sizes)[:, None]
    low, high = np.percentile(drawn, LEVELS, axis=0)
    means = columns.mean(axis=0)
    figures = zip(means, low, high, strict=True)
    return [Interval(float(mean), float(a), float(b)) for mean, a, b in figures]


def _chunks(rounds: int, rows: int) -> list[int]:
    size = max(1, CHUNK // max(rows, 1))
    return [min(size, rounds - start) for start in range(0, rounds, size)]


def _interval(values: FloatArray) -> Interval | None:
    """Return the first value with the spread of the others; rounds of one class are left out."""
    if np.isnan(values[0]):
        return None
    low, high = np.nanpercentile(values[1:], LEVELS) if len(values) > 1 else (values[0], values[0])
    return Interval(float(values[0]), float(low), float(high))


def measure(
    label: FloatArray, probability: FloatArray, entity: TextArray, *, rounds: int, seed: int
) -> Measurement:
    """Return every figure of one set of predictions."""
    statistics: dict[str, Statistic] = {
        "log_loss": weighted_log_loss,
        "brier": weighted_brier,
        "auc": weighted_auc,
        "average_precision": weighted_average_precision,
    }
    found = bootstrap(statistics, label, probability, entity, rounds=rounds, seed=seed)
    losses, briers = _interval(found["log_loss"]), _interval(found["brier"])
    assert losses is not None and briers is not None
    median, p95 = perfect_calibration_error(probability, seed)
    return Measurement(
        rows=len(label),
        customers=len(set(entity)),
        positive_rate=float(label.mean()),
        mean_probability=float(probability.mean()),
        log_loss=losses,
        brier=briers,
        auc=_interval(found["auc"]),
        average_precision=_interval(found["average_precision"]),
        calibration=Calibration(
            error=expected_calibration_error(label, probability),
            perfect_median=median,
            perfect_p95=p95,
            slope=calibration_slope(label, probability),
            intercept=calibration_intercept(label, probability),
        ),
    )


def paired_gain(
    label: FloatArray,
    probability: FloatArray,
    baseline: FloatArray,
    entity: TextArray,
    *,
    rounds: int,
    seed: int,
) -> dict[str, Interval]:
    """Return by how much ``probability`` is better than ``baseline`` on the same rows.

    Above zero is better for every figure: log-loss and Brier saved, AUC and average precision
    won. Both are measured on the same drawn customers, so what they share cancels out.
    """
    lower_is_better: dict[str, Statistic] = {
        "log_loss": weighted_log_loss,
        "brier": weighted_brier,
    }
    higher_is_better: dict[str, Statistic] = {
        "auc": weighted_auc,
        "average_precision": weighted_average_precision,
    }
    both = {**lower_is_better, **higher_is_better}
    ours = bootstrap(both, label, probability, entity, rounds=rounds, seed=seed)
    theirs = bootstrap(both, label, baseline, entity, rounds=rounds, seed=seed)
    gains = {
        name: _interval((theirs[name] - ours[name]) * (1 if name in lower_is_better else -1))
        for name in both
    }
    return {name: gain for name, gain in gains.items() if gain is not None}
