"""Balancing classes and making rows up: what it does to training rows, and to the prior."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from imblearn.over_sampling import SMOTE
from imblearn.under_sampling import RandomUnderSampler, TomekLinks

from python_ml.experiments.ladder.rungs import Balance
from python_ml.training.frame import FloatArray, IntArray, TextArray
from python_ml.training.recipes.base import to_logit

NEIGHBOURS = 5
NOISE = 0.1
"""Standard deviation, in those of the columns."""


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows as a model sees them.

    Parameters
    ----------
    matrix
        Standardised numbers without gaps: SMOTE refuses NaN.
    weight
        What each row counts.
    cost
        What a wrong answer on each row would cost, where that is known.
    """

    matrix: FloatArray
    label: FloatArray
    entity: TextArray
    weight: FloatArray
    cost: FloatArray

    @property
    def rate(self) -> float:
        """The share of ones that a model is shown."""
        return float(np.average(self.label, weights=self.weight))

    def take(self, places: IntArray) -> Rows:
        """Return these rows, in this order."""
        return Rows(
            self.matrix[places],
            self.label[places],
            self.entity[places],
            self.weight[places],
            self.cost[places],
        )


def balanced(kind: Balance, rows: Rows, seed: int) -> Rows:
    """Return training rows after balancing; rows of one class alone stay as they are."""
    if kind == "none" or len(np.unique(rows.label)) == 1:
        return rows
    return _KINDS[kind](rows, seed)


def prior_shift(before: Rows, after: Rows) -> float:
    """Return the shift of the logit that takes a model of ``after`` to the prior of ``before``.

    Balancing tells a model of a world with another share of ones. Where rows of one class are
    drawn without looking at their features, Bayes' rule makes the way back one number (Elkan
    2001, "The foundations of cost-sensitive learning"); for made rows it is the best one number.

    >>> import numpy as np
    >>> def rows(label): return Rows(None, np.array(label), None, np.ones(len(label)), None)
    >>> round(prior_shift(rows([0.0, 0.0, 0.0, 1.0]), rows([0.0, 1.0])), 3)
    -1.099
    """
    own, shown = to_logit(np.array([before.rate, after.rate]))
    return float(own - shown)


def _smote(rows: Rows, seed: int) -> Rows:
    rarest = int(min(rows.label.sum(), (1 - rows.label).sum()))
    if rarest <= 1:
        return rows
    smote = SMOTE(random_state=seed, k_neighbors=min(NEIGHBOURS, rarest - 1))
    matrix, label = smote.fit_resample(rows.matrix, rows.label)
    return _with_made(rows, matrix[len(rows.label) :], label[len(rows.label) :])


def _smote_tomek(rows: Rows, seed: int) -> Rows:
    more = _smote(rows, seed)
    tomek = TomekLinks(sampling_strategy="all")
    tomek.fit_resample(more.matrix, more.label)
    return more.take(tomek.sample_indices_)


def _under(rows: Rows, seed: int) -> Rows:
    sampler = RandomUnderSampler(random_state=seed)
    sampler.fit_resample(rows.matrix, rows.label)
    return rows.take(np.sort(sampler.sample_indices_))


def _noise(rows: Rows, seed: int) -> Rows:
    random = np.random.default_rng(seed)
    made = rows.matrix + random.normal(scale=NOISE, size=rows.matrix.shape)
    return _with_made(rows, made, rows.label)


def _bootstrap(rows: Rows, seed: int) -> Rows:
    drawn = np.random.default_rng(seed).integers(0, len(rows.label), size=len(rows.label))
    return rows.take(np.concatenate([np.arange(len(rows.label)), drawn]))


def _class_weights(rows: Rows, _seed: int) -> Rows:
    ones = rows.label.mean()
    return replace(rows, weight=np.where(rows.label > 0, 0.5 / ones, 0.5 / (1 - ones)))


def _costs(rows: Rows, _seed: int) -> Rows:
    return replace(rows, weight=rows.cost / rows.cost.mean())


def _with_made(rows: Rows, matrix: FloatArray, label: FloatArray) -> Rows:
    """Append made rows; each is a customer of its own."""
    names = np.array([f"made {number}" for number in range(len(label))], dtype=object)
    ones = np.ones(len(label))
    return Rows(
        np.vstack([rows.matrix, matrix]),
        np.concatenate([rows.label, label]),
        np.concatenate([rows.entity, names]),
        np.concatenate([rows.weight, ones]),
        np.concatenate([rows.cost, ones]),
    )


_KINDS: dict[Balance, Callable[[Rows, int], Rows]] = {
    "smote": _smote,
    "smote_tomek": _smote_tomek,
    "under": _under,
    "noise": _noise,
    "bootstrap": _bootstrap,
    "class_weights": _class_weights,
    "costs": _costs,
}
