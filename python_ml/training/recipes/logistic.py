"""Rich regularised logistic regression on every feature."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from python_ml.training.frame import FloatArray, TrainingFrame
from python_ml.training.recipes.base import FittedModel, Minimum, Recipe, to_probability
from python_ml.training.recipes.design import fit_design
from python_ml.training.recipes.linear import LinearModel, fit_logistic
from python_ml.training.splits import customer_folds

STRENGTHS = (1000.0, 300.0, 100.0, 30.0)
"""From strong to weak, in customers: each solution is the next one's start. A customer's rows at
neighbouring dates say nearly the same, so the penalty in rows grows with their number."""
FOLDS = 3
NEARLY_AS_GOOD = 0.0005
"""Log-loss that a weaker penalty must save: folds share their dates, the season ahead does not."""
HINGES = 6
PRODUCTS = 3


class LogisticModel(LinearModel):
    """The model of :class:`Logistic`."""

    recipe: ClassVar[str] = "logistic"
    file: ClassVar[str] = "logistic.json"

    def as_recipe(self) -> Recipe:
        """Return the recipe with its strength fixed."""
        return Logistic(strength=self.strength)


@dataclass(frozen=True)
class Logistic(Recipe):
    """Signed-log numbers, missing indicators, hinges and products of the strongest, one-hot levels.

    The strength of the penalty is the one with the lowest log-loss on folds of customers, unless
    it is given.
    """

    strength: float | None = None

    name: ClassVar[str] = "logistic"
    minimum: ClassVar[Minimum] = Minimum(customers=150, per_class=30)

    def fit(
        self,
        frame: TrainingFrame,
        *,
        seed: int,
        threads: int,
        fitted: Mapping[str, FittedModel] | None = None,
    ) -> LogisticModel:
        """Choose the strength on folds of customers, then fit on every row."""
        columns = frame.usable_columns()
        strength, out_of_fold = self.strength, None
        if strength is None:
            strength, out_of_fold = _choose_strength(frame, columns, seed)
        design = fit_design(frame, columns, hinges=HINGES, products=PRODUCTS)
        matrix = design.matrix(frame.features)
        beta = fit_logistic(matrix, frame.label, strength * _rows_per_customer(frame))
        return LogisticModel(
            design=design,
            intercept=float(beta[0]),
            coefficients=beta[1:],
            columns=tuple(columns),
            strength=strength,
            out_of_fold=out_of_fold,
        )


def _rows_per_customer(frame: TrainingFrame) -> float:
    return len(frame) / frame.customers()


def _choose_strength(
    frame: TrainingFrame, columns: list[str], seed: int
) -> tuple[float, FloatArray]:
    """Return the strongest penalty that is nearly best, and its out-of-fold predictions.

    Each fold has a design of its own: which columns get hinges is read off the labels too.
    """
    fold = customer_folds(frame.entity, FOLDS, seed)
    scores = np.empty((len(STRENGTHS), len(frame)))
    for k in range(FOLDS):
        seen, unseen = frame.rows(fold != k), frame.features.loc[fold == k]
        design = fit_design(seen, columns, hinges=HINGES, products=PRODUCTS)
        terms, held_out = design.matrix(seen.features), design.matrix(unseen)
        beta = None
        for i, strength in enumerate(STRENGTHS):
            beta = fit_logistic(terms, seen.label, strength * _rows_per_customer(seen), beta)
            scores[i, fold == k] = beta[0] + held_out @ beta[1:]
    losses = (np.logaddexp(0.0, scores) - frame.label * scores).mean(axis=1)
    best = int(np.argmax(losses < losses.min() + NEARLY_AS_GOOD))
    return STRENGTHS[best], to_probability(scores[best])
