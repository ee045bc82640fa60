"""Curves of a measured model, thinned to the few points that a chart or a BI tool draws."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from scipy.stats import binomtest

from python_ml.training.frame import FloatArray
from python_ml.training.metrics import BINS

CurveName = Literal["calibration", "gain", "precision_recall"]

SHARES = tuple(percent / 100 for percent in (1, 2, 3, 5, *range(10, 101, 5)))
"""Of the rows, best first: where gain and precision are read."""


@dataclass(frozen=True)
class CurvePoint:
    """One point of a curve.

    ============= ============================= =================================
    curve         x                             y
    ============= ============================= =================================
    calibration   mean probability of a bin     share of it that came true
    gain          share of all rows, best first share of all yeses among them
    precision_... share of all yeses found      share of yeses among these rows
    ============= ============================= =================================

    Attributes
    ----------
    position
        From 0, in the order in which the points are joined.
    rows
        How many rows stand behind the point.
    low, high
        95 % interval of y, for calibration.
    """

    curve: CurveName
    position: int
    x: float
    y: float
    rows: int
    low: float | None = None
    high: float | None = None


def curves(label: FloatArray, probability: FloatArray) -> tuple[CurvePoint, ...]:
    """Return every curve of one set of predictions; those of ranking need both answers."""
    points = list(_calibration(label, probability))
    if 0 < label.sum() < len(label):
        points += _ranking(label, probability)
    return tuple(points)


def _calibration(label: FloatArray, probability: FloatArray) -> Iterator[CurvePoint]:
    """Bins of equally many rows, as the calibration error has them."""
    order = np.argsort(probability, kind="stable")
    bounds = np.unique(np.arange(BINS + 1) * len(order) // BINS)
    for position, (start, end) in enumerate(pairwise(bounds)):
        rows = order[start:end]
        share = float(label[rows].mean())
        low, high = wilson(share, len(rows))
        yield CurvePoint(
            "calibration", position, float(probability[rows].mean()), share, len(rows), low, high
        )


def wilson(share: float, rows: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson, 1927).

    >>> [round(bound, 3) for bound in wilson(0.0, 10)]
    [0.0, 0.278]
    """
    found = binomtest(round(share * rows), rows).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


def _ranking(label: FloatArray, probability: FloatArray) -> Iterator[CurvePoint]:
    """Gain and precision; rows of one probability count as if their order were drawn."""
    order = np.argsort(-probability, kind="stable")
    ends = np.flatnonzero(np.r_[np.diff(probability[order]) != 0, True]) + 1
    found = np.cumsum(label[order])[ends - 1]
    counts = np.unique(np.maximum(1, np.round(np.array(SHARES) * len(label))).astype(np.int64))
    yeses = np.interp(counts, np.r_[0, ends], np.r_[0.0, found])
    yield CurvePoint("gain", 0, 0.0, 0.0, 0)
    for position, (count, yes) in enumerate(zip(counts, yeses, strict=True)):
        share = float(yes / found[-1])
        yield CurvePoint("gain", position + 1, float(count / len(label)), share, int(count))
        yield CurvePoint("precision_recall", position, share, float(yes / count), int(count))
