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
    loss = _loss(matrix, label, penalty, beta)
    for _ in range(STEPS):
        step = _newton_step(matrix, label, penalty, beta)
        size = 1.0
        while size > CLOSE_ENOUGH:
            attempt = beta - size * step
            attempt_loss = _loss(matrix, label, penalty, attempt)
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


def _loss(matrix: FloatArray, label: FloatArray, penalty: FloatArray, beta: FloatArray) -> float:
    score = beta[0] + matrix @ beta[1:]
    fit = float((np.logaddexp(0.0, score) - label * score).sum())
    return fit + 0.5 * float((penalty * beta**2).sum())


def _newton_step(
    matrix: FloatArray, label: FloatArray, penalty: FloatArray, beta: FloatArray
) -> FloatArray:
    probability = to_probability(beta[0] + matrix @ beta[1:])
    residual = probability - label
    weight = np.maximum(probability * (1 - probability), NEVER_CERTAIN)
    weighted = matrix * weight[:, None]
    hessian = np.empty((len(beta), len(beta)))
    hessian[0, 0] = weight.sum()
    hessian[0, 1:] = hessian[1:, 0] = weighted.sum(axis=0)
    hessian[1:, 1:] = matrix.T @ weighted
    hessian[np.diag_indices_from(hessian)] += penalty + NEVER_CERTAIN
    gradient = np.concatenate(([residual.sum()], matrix.T @ residual)) + penalty * beta
    return np.asarray(cho_solve(cho_factor(hessian), gradient), dtype=np.float64)


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
