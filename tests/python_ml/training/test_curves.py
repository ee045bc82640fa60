"""Curves: what their points add up to, whatever the scores."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from python_ml.training.curves import CurvePoint, curves, wilson

SCORED = st.integers(1, 200).flatmap(
    lambda rows: st.tuples(
        hnp.arrays(np.float64, rows, elements=st.sampled_from([0.0, 1.0])),
        hnp.arrays(np.float64, rows, elements=st.floats(0.001, 0.999)),
    )
)


def named(points: tuple[CurvePoint, ...], curve: str) -> list[CurvePoint]:
    return [point for point in points if point.curve == curve]


@given(SCORED)
def test_calibration_bins_hold_every_row_once(
    scored: tuple[np.ndarray[tuple[int], np.dtype[np.float64]], ...],
) -> None:
    label, probability = scored
    bins = named(curves(label, probability), "calibration")
    assert sum(point.rows for point in bins) == len(label)
    assert sum(p.x * p.rows for p in bins) == pytest.approx(probability.sum())
    assert sum(p.y * p.rows for p in bins) == pytest.approx(label.sum())
    assert all((p.low or 0) - 1e-12 <= p.y <= (p.high or 0) + 1e-12 for p in bins)


@given(SCORED)
def test_gain_rises_to_everything_and_precision_ends_at_the_base_rate(
    scored: tuple[np.ndarray[tuple[int], np.dtype[np.float64]], ...],
) -> None:
    label, probability = scored
    found = curves(label, probability)
    gain, precision = named(found, "gain"), named(found, "precision_recall")
    if label.min() == label.max():
        assert gain == precision == []
        return
    assert [(gain[0].x, gain[0].y), (gain[-1].x, gain[-1].y)] == [(0, 0), (1, 1)]
    assert all(a.y <= b.y + 1e-12 for a, b in pairwise(gain))
    assert precision[-1].y == pytest.approx(label.mean())


def test_scores_that_say_nothing_gain_nothing() -> None:
    label = np.array([1.0, 0.0, 0.0, 1.0, 0.0] * 40)
    found = curves(label, np.full(len(label), 0.4))
    assert all(point.y == pytest.approx(point.x) for point in named(found, "gain"))
    assert all(point.y == pytest.approx(0.4) for point in named(found, "precision_recall"))


def test_interval_of_a_share() -> None:
    """Agresti and Coull (1998) give .0 to .278 for none of ten, and it mirrors."""
    low, high = wilson(0.0, 10)
    assert (round(low, 3), round(high, 3)) == (0.0, 0.278)
    assert wilson(1.0, 10) == pytest.approx((1 - high, 1 - low))
