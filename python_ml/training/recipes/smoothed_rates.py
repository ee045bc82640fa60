"""Two smoothed rates, weighed: what is known of this customer and of this product."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from python_ml.training.frame import TrainingFrame
from python_ml.training.recipes.base import FittedModel, Minimum, Recipe
from python_ml.training.recipes.linear import LinearModel
from python_ml.training.recipes.simple import STRENGTH, fit_logs


class SmoothedRatesModel(LinearModel):
    """The model of :class:`SmoothedRates`."""

    recipe: ClassVar[str] = "smoothed_rates"
    file: ClassVar[str] = "smoothed_rates.json"

    def as_recipe(self) -> Recipe:
        """Return the recipe; nothing was chosen."""
        return SmoothedRates(self.columns)


@dataclass(frozen=True)
class SmoothedRates(Recipe):
    """Logistic regression on the log-odds of a few smoothed rates."""

    columns: tuple[str, ...]

    name: ClassVar[str] = "smoothed_rates"
    minimum: ClassVar[Minimum] = Minimum(customers=30, per_class=5)

    def fit(
        self,
        frame: TrainingFrame,
        *,
        seed: int,
        threads: int,
        fitted: Mapping[str, FittedModel] | None = None,
    ) -> SmoothedRatesModel:
        """Fit on every row."""
        columns = self.columns
        design, beta = fit_logs(frame, columns)
        return SmoothedRatesModel(design, beta[0], np.array(beta[1:]), columns, STRENGTH)
