"""Bundles of whatever kind a prediction is."""

from __future__ import annotations

from pathlib import Path

from python_ml.predictions.base import AnyPrediction, PairPrediction
from python_ml.training.bundle import Bundle, load_bundle
from python_ml.training.pairs.bundle import PairBundle, load_pair_bundle

AnyBundle = Bundle | PairBundle


def load_any_bundle(prediction: AnyPrediction, folder: Path) -> AnyBundle:
    """Read the bundle of a prediction, checked against its manifest.

    Raises
    ------
    BundleError
        As :func:`load_bundle` and :func:`load_pair_bundle` do.
    """
    of_pairs = isinstance(prediction, PairPrediction)
    return load_pair_bundle(folder) if of_pairs else load_bundle(folder)
