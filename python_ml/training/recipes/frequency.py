"""The other simple rule: who ordered often orders again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from python_ml.training.frame import TrainingFrame
from python_ml.training.recipes.base import FittedModel, Minimum, Recipe
from python_ml.training.recipes.linear import LinearModel
from python_ml.training.recipes.simple import STRENGTH, fit_logs


class FrequencyModel(LinearModel):
    """The model of :class:`Frequency`."""

    recipe: ClassVar[str] = "frequency"
    file: ClassVar[str] = "frequency.json"

    def as_recipe(self) -> Recipe:
        """Return the recipe; nothing was chosen."""
        return Frequency(self.columns[0])


@dataclass(frozen=True)
class Frequency(Recipe):
    """Logistic regression on the log of one column, how often the customer ordered."""

    column: str

    name: ClassVar[str] = "frequency"
    minimum: ClassVar[Minimum] = Minimum(customers=10, per_class=3)

    def fit(
        self,
        frame: TrainingFrame,
        *,
        seed: int,
        threads: int,
        fitted: Mapping[str, FittedModel] | None = None,
    ) -> FrequencyModel:
        """Fit on every row."""
        columns = (self.column,)
        design, beta = fit_logs(frame, columns)
        return FrequencyModel(design, beta[0], np.array(beta[1:]), columns, STRENGTH)
