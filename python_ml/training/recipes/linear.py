"""Penalised logistic regression: the fit, and the model that every linear recipe makes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Self

import numpy as np
import pandas as pd
from scipy.linalg import cho_factor, cho_solve

from python_ml.training.frame import FloatArray
from python_ml.training.recipes.base import (
    FittedModel,
    from_json,
    to_json,
    to_logit,
    to_probability,
)
from python_ml.training.recipes.design import Design

STEPS = 50
CLOSE_ENOUGH = 1e-8
GAIN_PER_ROW = 1e-6
NEVER_CERTAIN = 1e-10
CURVATURE_ROWS = 15_000
"""Rows that the curvature is read off: where to go is exact, how far is checked by the loss."""


def fit_logistic(
    matrix: FloatArray, label: FloatArray, strength: float, start: FloatArray | None = None
) -> FloatArray:
    """Return intercept and coefficients by Newton's method with step halving.

    Minimises log-loss summed over rows plus ``strength / 2`` times the squared coefficients; the
    intercept is free.

    Parameters
    ----------
    matrix
        Standardised terms, one column each; the intercept is added here.
    strength
        The weight of the penalty, in rows.
    start
        Where to start from: the solution of a neighbouring strength saves most steps.
    """
    penalty = np.full(matrix.shape[1] + 1, strength)
    penalty[0] = 0.0
    beta = np.zeros(len(penalty)) if start is None else start.copy()
    if start is None:
        beta[0] = to_logit(np.array([label.mean()]))[0]
    some = slice(None, None, max(1, len(label) // CURVATURE_ROWS))
    curved = np.ascontiguousarray(matrix[some])
    score = beta[0] + matrix @ beta[1:]
    loss = _loss(score, label, penalty, beta)
    for _ in range(STEPS):
        probability = to_probability(score)
        hessian = _hessian(curved, probability[some], len(label), penalty)
        residual = probability - label
        gradient = np.concatenate(([residual.sum()], matrix.T @ residual)) + penalty * beta
        step = cho_solve(cho_factor(hessian), gradient)
        size = 1.0
        while size > CLOSE_ENOUGH:
            attempt = beta - size * step
            score = attempt[0] + matrix @ attempt[1:]
            attempt_loss = _loss(score, label, penalty, attempt)
            if attempt_loss <= loss:
                break
            size /= 2
        else:
            break
        gained = loss - attempt_loss
        beta, loss = attempt, attempt_loss
        if gained < GAIN_PER_ROW * len(label):
            break
    return beta


def _loss(score: FloatArray, label: FloatArray, penalty: FloatArray, beta: FloatArray) -> float:
    fit = float((np.logaddexp(0.0, score) - label * score).sum())
    return fit + 0.5 * float((penalty * beta**2).sum())


def _hessian(
    some: FloatArray, probability: FloatArray, rows: int, penalty: FloatArray
) -> FloatArray:
    """Return the curvature of the loss over ``rows`` rows, read off some of them."""
    weight = np.maximum(probability * (1 - probability), NEVER_CERTAIN) * (rows / len(some))
    root = some * np.sqrt(weight)[:, None]  # its square is a symmetric product: half the work
    hessian = np.empty((len(penalty), len(penalty)))
    hessian[0, 0] = weight.sum()
    hessian[0, 1:] = hessian[1:, 0] = weight @ some
    hessian[1:, 1:] = root.T @ root
    hessian[np.diag_indices_from(hessian)] += penalty + NEVER_CERTAIN
    return hessian


@dataclass
class LinearModel(FittedModel):
    """A logistic regression on a design.

    Subclasses name the recipe. Contributions are coefficient times (value minus mean), summed
    over a feature's terms; a product of two features counts half for each.
    """

    design: Design
    intercept: float
    coefficients: FloatArray
    columns: tuple[str, ...]
    strength: float
    out_of_fold: FloatArray | None = field(default=None, repr=False)

    file: ClassVar[str]

    def predict(self, features: pd.DataFrame, horizon_days: int) -> FloatArray:
        """Return the probability of a 1 for each row."""
        return to_probability(self.logits(features))

    def logits(self, features: pd.DataFrame) -> FloatArray:
        """Return the logit of each row."""
        terms = self.design.matrix(features)
        return np.asarray(self.intercept + terms @ self.coefficients, dtype=np.float64)

    def base_logit(self, horizon_days: int) -> float:
        """Return the logit of a row with every term at its mean."""
        return self.intercept

    def contributions(self, features: pd.DataFrame, horizon_days: int) -> pd.DataFrame:
        """Return each feature's exact part of the logit."""
        terms = self.design.matrix(features) * self.coefficients
        parts = {name: np.zeros(len(features)) for name in features.columns}
        for i, term in enumerate(self.design.terms):
            owners = [term.column] if term.other is None else [term.column, term.other]
            for owner in owners:
                parts[owner] += terms[:, i] / len(owners)
        return pd.DataFrame(parts, index=features.index)

    def to_files(self) -> dict[str, bytes]:
        """Return the model as one JSON file."""
        content = {
            "design": self.design.to_dict(),
            "intercept": self.intercept,
            "coefficients": self.coefficients.tolist(),
            "columns": list(self.columns),
            "strength": self.strength,
        }
        return {self.file: to_json(content)}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        """Read what :meth:`to_files` wrote."""
        content = from_json(files, cls.file)
        return cls(
            design=Design.from_dict(content["design"]),
            intercept=float(content["intercept"]),
            coefficients=np.array(content["coefficients"], dtype=np.float64),
            columns=tuple(content["columns"]),
            strength=float(content["strength"]),
        )
