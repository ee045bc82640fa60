"""Calibrators by size of shop (design rule 8): none, sigmoid, isotonic.

A calibrator mends the shape (too sure, too timid, bent) and keeps the mean of what it was fitted
on: the level of the past is no promise for the season ahead, and belongs to
:mod:`python_ml.training.level`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from sklearn.isotonic import IsotonicRegression

from python_ml.errors import BundleError
from python_ml.training.frame import FloatArray, IntArray, TextArray
from python_ml.training.metrics import log_loss
from python_ml.training.recipes.base import shift_to_mean, to_logit, to_probability
from python_ml.training.recipes.linear import fit_logistic
from python_ml.training.splits import customer_folds

SIGMOID_CUSTOMERS = 300
ISOTONIC_CUSTOMERS = 1000
ISOTONIC_PER_CLASS = 200
FOLDS = 5
MIN_GAIN = 0.0005
"""Log-loss that a calibrator must save on customers that it has not seen."""


class Calibrator(ABC):
    """A monotone map from probability to probability."""

    kind: ClassVar[str]

    @abstractmethod
    def apply(self, probability: FloatArray) -> FloatArray:
        """Return calibrated probabilities; never exactly 0 or 1, never in another order."""

    @abstractmethod
    def shifted(self, shift: float) -> Calibrator:
        """Return the calibrator with its results' logits shifted."""

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types, ``kind`` among them."""


@dataclass(frozen=True)
class Identity(Calibrator):
    """No calibration: the model as it is."""

    kind: ClassVar[str] = "none"

    def apply(self, probability: FloatArray) -> FloatArray:
        """Return the probabilities as they are."""
        return probability

    def shifted(self, shift: float) -> Calibrator:
        """Return a sigmoid of slope 1."""
        return Sigmoid(shift, 1.0)

    def to_dict(self) -> dict[str, Any]:
        """Return the kind alone."""
        return {"kind": self.kind}


@dataclass(frozen=True)
class Sigmoid(Calibrator):
    """Platt scaling on the logit: ``intercept + slope * logit``."""

    intercept: float
    slope: float

    kind: ClassVar[str] = "sigmoid"

    @classmethod
    def fit(cls, probability: FloatArray, label: FloatArray) -> Sigmoid | None:
        """Fit, or return ``None`` where the slope would turn the order round."""
        logits = to_logit(probability)
        spread = float(logits.std())
        if spread == 0:
            return None
        mean = float(logits.mean())
        beta = fit_logistic(((logits - mean) / spread)[:, None], label, strength=1.0)
        slope = float(beta[1]) / spread
        return cls(float(beta[0]) - slope * mean, slope) if slope > 0 else None

    def apply(self, probability: FloatArray) -> FloatArray:
        """Return the scaled probabilities."""
        return to_probability(self.intercept + self.slope * to_logit(probability))

    def shifted(self, shift: float) -> Calibrator:
        """Return the same slope with another intercept."""
        return Sigmoid(self.intercept + shift, self.slope)

    def to_dict(self) -> dict[str, Any]:
        """Return the two numbers."""
        return {"kind": self.kind, "intercept": self.intercept, "slope": self.slope}


@dataclass(frozen=True)
class Isotonic(Calibrator):
    """Isotonic regression, linear between its knots, its ends kept away from 0 and 1."""

    x: tuple[float, ...]
    y: tuple[float, ...]

    kind: ClassVar[str] = "isotonic"

    @classmethod
    def fit(cls, probability: FloatArray, label: FloatArray) -> Isotonic:
        """Fit; a block of n rows at an end counts as half a row more of the rarer answer."""
        fitted = IsotonicRegression(out_of_bounds="clip").fit(probability, label)
        values = fitted.predict(probability)
        lowest = _smoothed(label[values == values.min()])
        highest = _smoothed(label[values == values.max()])
        knots = np.clip(fitted.y_thresholds_, lowest, max(lowest, highest))
        return cls(
            tuple(float(x) for x in fitted.X_thresholds_),
            tuple(float(y) for y in np.maximum.accumulate(knots)),
        )

    def apply(self, probability: FloatArray) -> FloatArray:
        """Return the interpolated probabilities."""
        return np.asarray(np.interp(probability, self.x, self.y), dtype=np.float64)

    def shifted(self, shift: float) -> Calibrator:
        """Return the same knots at shifted heights."""
        heights = to_probability(to_logit(np.array(self.y)) + shift)
        return Isotonic(self.x, tuple(float(y) for y in heights))

    def to_dict(self) -> dict[str, Any]:
        """Return the knots."""
        return {"kind": self.kind, "x": list(self.x), "y": list(self.y)}


def _smoothed(label: FloatArray) -> float:
    return float((label.sum() + 0.5) / (len(label) + 1))


def calibrator_from_dict(content: Mapping[str, Any]) -> Calibrator:
    """Read what a calibrator's ``to_dict`` wrote.

    Raises
    ------
    BundleError
        If the kind is not known.
    """
    kind = content.get("kind")
    if kind == Identity.kind:
        return Identity()
    if kind == Sigmoid.kind:
        return Sigmoid(float(content["intercept"]), float(content["slope"]))
    if kind == Isotonic.kind:
        return Isotonic(tuple(content["x"]), tuple(content["y"]))
    raise BundleError(f"Unknown calibrator {kind!r} in the bundle.", "Train again.")


def allowed_kinds(label: FloatArray, entity: TextArray) -> tuple[str, ...]:
    """Return the calibrators that a shop of this size may use, simplest first."""
    customers = len(set(entity))
    rarest = min(len(set(entity[label == answer])) for answer in (0, 1))
    if rarest == 0 or customers < SIGMOID_CUSTOMERS:
        return (Identity.kind,)
    if customers < ISOTONIC_CUSTOMERS or rarest < ISOTONIC_PER_CLASS:
        return (Identity.kind, Sigmoid.kind)
    return (Identity.kind, Sigmoid.kind, Isotonic.kind)


def fit_shape(kind: str, probability: FloatArray, label: FloatArray) -> Calibrator:
    """Fit one kind of calibrator on out-of-fold predictions, keeping their mean."""
    if kind == Identity.kind:
        return Identity()
    full = _fit_full(kind, probability, label)
    return full.shifted(shift_to_mean(full.apply(probability), float(probability.mean())))


def _fit_full(kind: str, probability: FloatArray, label: FloatArray) -> Calibrator:
    """Fit one kind, level and shape; for ``none`` the level alone, so that kinds compare."""
    fitted: Calibrator | None = None
    if kind == Sigmoid.kind:
        fitted = Sigmoid.fit(probability, label)
    elif kind == Isotonic.kind:
        fitted = Isotonic.fit(probability, label)
    return fitted or Identity().shifted(shift_to_mean(probability, float(label.mean())))


def choose_calibrator(
    probability: FloatArray, label: FloatArray, entity: TextArray, *, seed: int
) -> Calibrator:
    """Return the simplest calibrator that no other beats on customers it has not seen.

    Parameters
    ----------
    probability
        Out-of-fold predictions of the training rows.
    """
    kinds = allowed_kinds(label, entity)
    if len(kinds) == 1:
        return Identity()
    fold = customer_folds(entity, FOLDS, seed + 1)
    losses = {kind: _unseen_loss(kind, probability, label, fold) for kind in kinds}
    best = min(losses.values())
    chosen = next(kind for kind in kinds if losses[kind] < best + MIN_GAIN)
    return fit_shape(chosen, probability, label)


def _unseen_loss(kind: str, probability: FloatArray, label: FloatArray, fold: IntArray) -> float:
    calibrated = np.empty(len(label))
    for k in range(FOLDS):
        seen, unseen = fold != k, fold == k
        full = _fit_full(kind, probability[seen], label[seen])
        calibrated[unseen] = full.apply(probability[unseen])
    return log_loss(label, calibrated)
