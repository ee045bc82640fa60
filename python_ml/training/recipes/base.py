"""What a recipe is: a way to make a model, and the model it makes."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit, logit

from python_ml.errors import BundleError
from python_ml.training.frame import FloatArray, TrainingFrame

Effort = Literal["quick", "normal", "thorough"]
"""How many settings a recipe tries: fixed numbers of seeded trials, never a time budget."""

EDGE = 1e-6
"""No model of ours is surer than this of anything."""
FURTHEST_SHIFT = 30.0
CLOSE_ENOUGH = 1e-12


@dataclass(frozen=True)
class Minimum:
    """The smallest shop that a recipe is worth fitting on, in distinct customers."""

    customers: int
    per_class: int

    def shortfall(self, frame: TrainingFrame) -> str | None:
        """Return why ``frame`` is too small, or ``None`` where it is large enough."""
        customers = frame.customers()
        rarest = min(frame.customers_per_class())
        if customers < self.customers:
            return f"needs {self.customers} customers, has {customers}"
        if rarest < self.per_class:
            return f"needs {self.per_class} customers of each answer, has {rarest}"
        return None


class FittedModel(ABC):
    """A model that can score, explain itself and be written down as text."""

    recipe: ClassVar[str]
    out_of_fold: FloatArray | None = None
    """Predictions for the training rows by models that never saw their customers; not saved."""

    @abstractmethod
    def predict(self, features: pd.DataFrame, horizon_days: int) -> FloatArray:
        """Return the probability of a 1 for each row."""

    @abstractmethod
    def contributions(self, features: pd.DataFrame, horizon_days: int) -> pd.DataFrame:
        """Return, per row and feature, its exact term of the logit.

        The row's sum plus :meth:`base_logit` is the logit of :meth:`predict`.
        """

    @abstractmethod
    def base_logit(self, horizon_days: int) -> float:
        """Return the logit before any contribution."""

    @abstractmethod
    def to_files(self) -> dict[str, bytes]:
        """Return the model as text files by name."""

    @classmethod
    @abstractmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        """Read what :meth:`to_files` wrote."""

    @abstractmethod
    def as_recipe(self) -> Recipe:
        """Return the recipe with what was chosen while fitting (counts, weights) now fixed."""


class Recipe(ABC):
    """A way to make a model from a training frame."""

    name: ClassVar[str]
    minimum: ClassVar[Minimum]

    def with_effort(self, effort: Effort) -> Recipe:
        """Return the recipe with the number of trials of ``effort``; most have none to make."""
        return self

    def for_choosing(self) -> Recipe:
        """Return what stands for the recipe where recipes are compared; mostly itself."""
        return self

    @abstractmethod
    def fit(
        self,
        frame: TrainingFrame,
        *,
        seed: int,
        threads: int,
        fitted: Mapping[str, FittedModel] | None = None,
    ) -> FittedModel:
        """Fit on ``frame``.

        ``fitted`` holds models of other recipes already fitted on this very frame, by name, so
        that a blend need not fit them again.
        """


def to_logit(probability: FloatArray) -> FloatArray:
    """Return the logit of probabilities kept away from exactly 0 and 1."""
    return np.asarray(logit(np.clip(probability, EDGE, 1 - EDGE)), dtype=np.float64)


def to_probability(logits: FloatArray) -> FloatArray:
    """Return probabilities kept away from exactly 0 and 1."""
    return np.clip(np.asarray(expit(logits), dtype=np.float64), EDGE, 1 - EDGE)


def shift_to_mean(probability: FloatArray, mean: float) -> float:
    """Return the shift of the logit after which ``probability`` has this mean."""
    logits = to_logit(probability)

    def too_much(shift: float) -> float:
        return float(to_probability(logits + shift).mean()) - mean

    if too_much(-FURTHEST_SHIFT) >= 0:
        return -FURTHEST_SHIFT
    if too_much(FURTHEST_SHIFT) <= 0:
        return FURTHEST_SHIFT
    return float(brentq(too_much, -FURTHEST_SHIFT, FURTHEST_SHIFT, xtol=CLOSE_ENOUGH))


def to_json(content: Mapping[str, Any]) -> bytes:
    """Return ``content`` as JSON that reads back to the same bits."""
    return (json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n").encode()


def from_json(files: Mapping[str, bytes], name: str) -> dict[str, Any]:
    """Read one JSON file of a model.

    Raises
    ------
    BundleError
        Naming the file that is missing or is no JSON object.
    """
    try:
        content = json.loads(files[name])
    except KeyError:
        raise BundleError(f"{name} is missing from the bundle.", "Train again.") from None
    except ValueError:
        raise BundleError(f"{name} is not valid JSON.", "Train again.") from None
    if not isinstance(content, dict):
        raise BundleError(f"{name} is not a JSON object.", "Train again.")
    return content
