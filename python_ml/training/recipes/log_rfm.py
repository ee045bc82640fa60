"""What a good analyst does in an afternoon: recency, frequency, monetary value, on a log scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from python_ml.training.frame import TrainingFrame
from python_ml.training.recipes.base import FittedModel, Minimum, Recipe
from python_ml.training.recipes.linear import LinearModel
from python_ml.training.recipes.simple import STRENGTH, fit_logs


class LogRfmModel(LinearModel):
    """The model of :class:`LogRfm`."""

    recipe: ClassVar[str] = "log_rfm"
    file: ClassVar[str] = "log_rfm.json"

    def as_recipe(self) -> Recipe:
        """Return the recipe; nothing was chosen."""
        return LogRfm(self.columns)


@dataclass(frozen=True)
class LogRfm(Recipe):
    """Logistic regression on the logs of recency, frequency, monetary value and tenure."""

    columns: tuple[str, ...]

    name: ClassVar[str] = "log_rfm"
    minimum: ClassVar[Minimum] = Minimum(customers=30, per_class=5)

    def fit(
        self,
        frame: TrainingFrame,
        *,
        seed: int,
        threads: int,
        fitted: Mapping[str, FittedModel] | None = None,
    ) -> LogRfmModel:
        """Fit on every row."""
        columns = self.columns
        design, beta = fit_logs(frame, columns)
        return LogRfmModel(design, beta[0], np.array(beta[1:]), columns, STRENGTH)
