"""A blend in logit space: the weighted mean of its parts' logits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import expit

from python_ml.training.frame import FloatArray, TrainingFrame
from python_ml.training.recipes.base import (
    Effort,
    FittedModel,
    Minimum,
    Recipe,
    from_json,
    to_json,
    to_logit,
    to_probability,
)
from python_ml.training.recipes.bgnbd import BgNbdModel
from python_ml.training.recipes.boosted import BoostedModel
from python_ml.training.recipes.logistic import LogisticModel
from python_ml.training.recipes.out_of_fold import out_of_fold

PULL_TO_EQUAL = 0.2
"""Log-loss per row that one unit of squared distance from equal weights costs."""
PARTS: dict[str, type[FittedModel]] = {
    model.recipe: model for model in (LogisticModel, BoostedModel, BgNbdModel)
}


def stack(logits: FloatArray, label: FloatArray) -> FloatArray:
    """Return non-negative weights of the columns of ``logits`` that sum to one.

    Minimises mean log-loss with a free level, which is then thrown away: the level of the
    training dates is not that of the season ahead, and BG/NBD's own is worth keeping. Weights are
    pulled towards equal, since out-of-fold rows share their dates with the training rows and
    flatter the parts that learn what is peculiar to a date.
    """
    equal = 1.0 / logits.shape[1]

    def loss(theta: FloatArray) -> tuple[float, FloatArray]:
        score = theta[0] + logits @ theta[1:]
        away = theta[1:] - equal
        value = float((np.logaddexp(0.0, score) - label * score).mean())
        residual = expit(score) - label
        gradient = np.concatenate(([residual.mean()], logits.T @ residual / len(label)))
        gradient[1:] += 2 * PULL_TO_EQUAL * away
        return value + PULL_TO_EQUAL * float(away @ away), gradient

    start = np.concatenate(([0.0], np.full(logits.shape[1], equal)))
    bounds = [(None, None)] + [(0.0, None)] * logits.shape[1]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
    weights = np.asarray(found.x[1:], dtype=np.float64)
    total = float(weights.sum())
    return weights / total if total > 0 else np.full(len(weights), equal)


@dataclass
class BlendModel(FittedModel):
    """The model of :class:`Blend`: its contributions are the weighted sum of its parts'."""

    parts: Mapping[str, FittedModel]
    weights: Mapping[str, float]
    out_of_fold: FloatArray | None = field(default=None, repr=False)

    recipe: ClassVar[str] = "blend"
    file: ClassVar[str] = "blend.json"

    def predict(self, features: pd.DataFrame, horizon_days: int) -> FloatArray:
        """Return the probability of a 1 for each row."""
        score = np.zeros(len(features))
        for name, part in self.parts.items():
            score += self.weights[name] * to_logit(part.predict(features, horizon_days))
        return to_probability(score)

    def base_logit(self, horizon_days: int) -> float:
        """Return the weighted sum of the parts' bases."""
        bases = [
            self.weights[name] * part.base_logit(horizon_days) for name, part in self.parts.items()
        ]
        return float(sum(bases))

    def contributions(self, features: pd.DataFrame, horizon_days: int) -> pd.DataFrame:
        """Return the weighted sum of the parts' exact terms."""
        total = pd.DataFrame(0.0, index=features.index, columns=features.columns)
        for name, part in self.parts.items():
            total += self.weights[name] * part.contributions(features, horizon_days)
        return total

    def to_files(self) -> dict[str, bytes]:
        """Return the weights as JSON, beside the files of the parts."""
        content = {
            "parts": list(self.parts),
            "weights": dict(self.weights),
        }
        files = {self.file: to_json(content)}
        for part in self.parts.values():
            files.update(part.to_files())
        return files

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        """Read what :meth:`to_files` wrote."""
        content = from_json(files, cls.file)
        return cls(
            parts={name: PARTS[name].from_files(files) for name in content["parts"]},
            weights={name: float(weight) for name, weight in content["weights"].items()},
        )

    def as_recipe(self) -> Recipe:
        """Return the recipe with weights and what the parts chose now fixed."""
        parts = tuple(part.as_recipe() for part in self.parts.values())
        return Blend(parts, fixed=tuple(self.weights.items()))


@dataclass(frozen=True)
class Blend(Recipe):
    """Non-negative stacking of out-of-fold logits, weights pulled towards equal.

    Parameters
    ----------
    parts
        Recipes of :data:`PARTS`.
    fixed
        Weights by part, where they are not to be fitted.
    """

    parts: tuple[Recipe, ...]
    fixed: tuple[tuple[str, float], ...] | None = None

    name: ClassVar[str] = "blend"
    minimum: ClassVar[Minimum] = Minimum(customers=300, per_class=60)

    def with_effort(self, effort: Effort) -> Recipe:
        """Return the blend of parts with the number of trials of ``effort``."""
        return replace(self, parts=tuple(part.with_effort(effort) for part in self.parts))

    def fit(
        self,
        frame: TrainingFrame,
        *,
        seed: int,
        threads: int,
        fitted: Mapping[str, FittedModel] | None = None,
    ) -> BlendModel:
        """Fit the parts that are not fitted yet, then the weights."""
        ready = fitted or {}
        models = {
            part.name: ready[part.name]
            if part.name in ready
            else part.fit(frame, seed=seed, threads=threads)
            for part in self.parts
        }
        if self.fixed is not None:
            return BlendModel(models, dict(self.fixed))
        logits = np.column_stack(
            [
                to_logit(out_of_fold(part, models[part.name], frame, seed=seed, threads=threads))
                for part in self.parts
            ]
        )
        weights = stack(logits, frame.label)
        return BlendModel(
            parts=models,
            weights={name: float(w) for name, w in zip(models, weights, strict=True)},
            out_of_fold=to_probability(logits @ weights),
        )
