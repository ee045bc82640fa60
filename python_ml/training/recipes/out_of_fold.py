"""Predictions for the training rows by models that never saw their customers."""

from __future__ import annotations

import numpy as np

from python_ml.training.frame import FloatArray, TrainingFrame
from python_ml.training.recipes.base import FittedModel, Recipe
from python_ml.training.splits import customer_folds

FOLDS = 4


def out_of_fold(
    recipe: Recipe, model: FittedModel, frame: TrainingFrame, *, seed: int, threads: int
) -> FloatArray:
    """Return the model's own out-of-fold predictions, or make and keep them.

    Raises
    ------
    ValueError
        If the model keeps predictions of another frame.
    """
    if model.out_of_fold is None:
        fold = customer_folds(frame.entity, FOLDS, seed)
        predictions = np.empty(len(frame))
        for k in range(FOLDS):
            part = recipe.fit(frame.rows(fold != k), seed=seed, threads=threads)
            held_out = frame.features.loc[fold == k]
            predictions[fold == k] = part.predict(held_out, frame.horizon_days)
        model.out_of_fold = predictions
    if len(model.out_of_fold) != len(frame):
        raise ValueError("the model was fitted on another frame")
    return model.out_of_fold
