"""How good probabilities are, with intervals by customer.

Every figure is computed for many sets of row weights at once: weights of one give the figure
itself, and drawing whole customers with replacement gives its bootstrap distribution.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache

import numpy as np
import pandas as pd

from python_ml.training.frame import FloatArray, IntArray, TextArray
from python_ml.training.recipes.base import EDGE, shift_to_mean, to_logit
from python_ml.training.recipes.linear import fit_logistic

BINS = 10
LEVELS = (2.5, 97.5)
PERFECT_ROUNDS = 200
CONSTANT = 1e-9
"""Logits that spread less differ by rounding alone."""
CHUNK = 250_000
"""Weights worked on at a time, rows times rounds: as many as stay near the processor."""

LOWER_IS_BETTER = {"log_loss": True, "brier": True, "auc": False, "average_precision": False}


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


def weighted_auc(label: FloatArray, probability: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the area under the ROC curve per set of weights (sets, rows); ties count half."""
    ranking = _Ranking.of(label, probability)
    return _auc(*ranking.reached(weights[:, ranking.order]))


def weighted_average_precision(
    label: FloatArray, probability: FloatArray, weights: FloatArray
) -> FloatArray:
    """Return the average precision per set of weights (sets, rows)."""
    ranking = _Ranking.of(label, probability)
    return _average_precision(*ranking.reached(weights[:, ranking.order]))


@dataclass(frozen=True)
class _Ranking:
    """Rows from the highest score down, cut where the score changes."""

    order: IntArray
    label: FloatArray
    ends: IntArray

    @classmethod
    def of(cls, label: FloatArray, probability: FloatArray) -> _Ranking:
        order = np.argsort(-probability, kind="stable")
        return cls(order, label[order], np.flatnonzero(np.diff(probability[order], append=np.nan)))

    def reached(self, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the weight of ones and of all rows from the top down to each distinct score.

        ``weights`` are in the order of the ranking, and are written over; sums start with the zero
        before the top.
        """
        rows = np.cumsum(weights, axis=1)[:, self.ends]
        weights *= self.label
        ones = np.cumsum(weights, axis=1, out=weights)[:, self.ends]
        nothing = np.zeros((len(weights), 1))
        return np.hstack((nothing, ones)), np.hstack((nothing, rows))


def _auc(ones: FloatArray, rows: FloatArray) -> FloatArray:
    zeros = rows - ones
    above = (ones[:, 1:] + ones[:, :-1]) / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        pairs = ones[:, -1] * zeros[:, -1]
        return np.asarray((np.diff(zeros, axis=1) * above).sum(axis=1) / pairs)


def _average_precision(ones: FloatArray, rows: FloatArray) -> FloatArray:
    with np.errstate(invalid="ignore", divide="ignore"):
        precision = np.nan_to_num(ones[:, 1:] / rows[:, 1:])
        return np.asarray((np.diff(ones, axis=1) * precision).sum(axis=1) / ones[:, -1])


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


def customer_weights(groups: IntArray, rounds: int, seed: int) -> FloatArray:
    """Return bootstrap weights per customer (rounds, customers): how often each was drawn."""
    return _one_and_drawn(int(groups.max()) + 1, rounds, seed)[1:]


@lru_cache(maxsize=1)  # many predictions of the same customers are measured one after another
def _one_and_drawn(customers: int, rounds: int, seed: int) -> FloatArray:
    """Return a row of ones, then of how often each customer was drawn in each round."""
    random = np.random.default_rng(seed)
    weights = np.ones((rounds + 1, customers))
    for drawn in weights[1:]:
        drawn[:] = np.bincount(random.integers(0, customers, customers), minlength=customers)
    weights.flags.writeable = False
    return weights


def bootstrap(
    label: FloatArray, probability: FloatArray, entity: TextArray, *, rounds: int, seed: int
) -> dict[str, FloatArray]:
    """Return each figure once for all rows and then per bootstrap round."""
    groups, _ = pd.factorize(entity, sort=True)
    weights = _one_and_drawn(int(groups.max()) + 1, rounds, seed)
    losses = np.stack((row_log_loss(label, probability), (probability - label) ** 2), axis=1)
    found = dict(zip(("log_loss", "brier"), _means(losses, groups, weights).T, strict=True))

    ranking = _Ranking.of(label, probability)
    ranked = groups[ranking.order]
    parts = []
    start = 0
    for size in _chunks(rounds + 1, len(label)):
        reached = ranking.reached(np.take(weights[start : start + size], ranked, axis=1))
        parts.append((_auc(*reached), _average_precision(*reached)))
        start += size
    auc, average_precision = (np.concatenate(values) for values in zip(*parts, strict=True))
    return found | {"auc": auc, "average_precision": average_precision}


def bootstrap_means(
    columns: FloatArray, entity: TextArray, *, rounds: int, seed: int
) -> list[Interval]:
    """Return the mean of each column (rows, columns) with its interval by customer."""
    groups, _ = pd.factorize(entity, sort=True)
    drawn = _means(columns, groups, customer_weights(groups, rounds, seed))
    low, high = np.percentile(drawn, LEVELS, axis=0)
    means = columns.mean(axis=0)
    figures = zip(means, low, high, strict=True)
    return [Interval(float(mean), float(a), float(b)) for mean, a, b in figures]


def _means(columns: FloatArray, groups: IntArray, weights: FloatArray) -> FloatArray:
    """Return the mean of each column per set of customers' weights (sets, columns)."""
    count = weights.shape[1]
    sums = np.stack([np.bincount(groups, column, minlength=count) for column in columns.T], axis=1)
    sizes = np.bincount(groups, minlength=count).astype(np.float64)
    return np.asarray((weights @ sums) / (weights @ sizes)[:, None])


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
    found = bootstrap(label, probability, entity, rounds=rounds, seed=seed)
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
    ours = bootstrap(label, probability, entity, rounds=rounds, seed=seed)
    theirs = bootstrap(label, baseline, entity, rounds=rounds, seed=seed)
    gains = {
        name: _interval(theirs[name] - ours[name] if lower_is_better else ours[name] - theirs[name])
        for name, lower_is_better in LOWER_IS_BETTER.items()
    }
    return {name: gain for name, gain in gains.items() if gain is not None}
