"""The simplest rule that is not silly: who ordered lately orders again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from python_ml.training.frame import TrainingFrame
from python_ml.training.recipes.base import FittedModel, Minimum, Recipe
from python_ml.training.recipes.linear import LinearModel
from python_ml.training.recipes.simple import STRENGTH, fit_logs


class RecencyModel(LinearModel):
    """The model of :class:`Recency`."""

    recipe: ClassVar[str] = "recency"
    file: ClassVar[str] = "recency.json"

    def as_recipe(self) -> Recipe:
        """Return the recipe; nothing was chosen."""
        return Recency(self.columns[0])


@dataclass(frozen=True)
class Recency(Recipe):
    """Logistic regression on the log of one column, the days since the last order."""

    column: str

    name: ClassVar[str] = "recency"
    minimum: ClassVar[Minimum] = Minimum(customers=10, per_class=3)

    def fit(
        self,
        frame: TrainingFrame,
        *,
        seed: int,
        threads: int,
        fitted: Mapping[str, FittedModel] | None = None,
    ) -> RecencyModel:
        """Fit on every row."""
        columns = (self.column,)
        design, beta = fit_logs(frame, columns)
        return RecencyModel(design, beta[0], np.array(beta[1:]), columns, STRENGTH)
