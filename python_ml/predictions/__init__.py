"""The predictions, one short file each.

A file that defines ``PREDICTION`` is a prediction; there is no list to extend. Its features are
``feat_<name>``, its labels ``label_<name>``, its scores ``predictions.<name>``.
"""

from __future__ import annotations

import importlib
import pkgutil

from python_ml.errors import InputError
from python_ml.predictions.base import AnyPrediction

__all__ = ["AnyPrediction", "all_predictions", "get_prediction"]


def all_predictions() -> dict[str, AnyPrediction]:
    """Every prediction by name, in alphabetical order."""
    found = {}
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda m: m.name):
        if module.name != "base":
            prediction = importlib.import_module(f"{__name__}.{module.name}").PREDICTION
            found[prediction.name] = prediction
    return found


def get_prediction(name: str) -> AnyPrediction:
    """Look a prediction up by its name.

    Raises
    ------
    InputError
        With the names that exist.
    """
    known = all_predictions()
    if name not in known:
        raise InputError(f"There is no prediction {name!r}.", f"Choose one of: {', '.join(known)}.")
    return known[name]
