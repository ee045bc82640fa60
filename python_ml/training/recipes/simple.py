"""What the rules with a handful of columns share: a logistic regression on their logs."""

from __future__ import annotations

from python_ml.training.frame import TrainingFrame
from python_ml.training.recipes.design import Design, fit_design
from python_ml.training.recipes.linear import fit_logistic

STRENGTH = 1.0
"""Enough to keep a separable shop finite; nothing to choose."""


def fit_logs(frame: TrainingFrame, columns: tuple[str, ...]) -> tuple[Design, list[float]]:
    """Return the design of ``columns`` on their log scale, and intercept and coefficients."""
    design = fit_design(frame, columns)
    beta = fit_logistic(design.matrix(frame.features), frame.label, STRENGTH)
    return design, [float(value) for value in beta]
