"""The share of ones: what every model must beat to be worth anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from python_ml.training.frame import TrainingFrame
from python_ml.training.recipes.base import FittedModel, Minimum, Recipe, to_logit
from python_ml.training.recipes.design import Design
from python_ml.training.recipes.linear import LinearModel


class BaseRateModel(LinearModel):
    """The model of :class:`BaseRate`."""

    recipe: ClassVar[str] = "base_rate"
    file: ClassVar[str] = "base_rate.json"

    def as_recipe(self) -> Recipe:
        """Return the recipe; nothing was chosen."""
        return BaseRate()


@dataclass(frozen=True)
class BaseRate(Recipe):
    """The same probability for everyone: the share of ones among the training rows."""

    name: ClassVar[str] = "base_rate"
    minimum: ClassVar[Minimum] = Minimum(customers=10, per_class=3)

    def fit(
        self,
        frame: TrainingFrame,
        *,
        seed: int,
        threads: int,
        fitted: Mapping[str, FittedModel] | None = None,
    ) -> BaseRateModel:
        """Count."""
        rate = to_logit(np.array([frame.label.mean()]))[0]
        return BaseRateModel(Design({}), float(rate), np.empty(0), (), 0.0)
