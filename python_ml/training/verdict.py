"""Whether probabilities may be taken at their word: what the mart says where they may not."""

from __future__ import annotations

from collections.abc import Mapping

from python_ml.training.metrics import Interval, Measurement

SLACK = 0.01
"""Calibration error allowed beyond what a perfect model would stay under."""
SLOPES = (0.8, 1.2)
POSITIVES_FOR_SLOPE = 200
"""With fewer, the slope of a perfect model wanders outside the bounds by itself."""
BASE_RATE = "base_rate"
"""The best constant, as a baseline: the share of yeses among the very rows that test."""


def calibration_note(
    measurement: Measurement,
    gains: Mapping[str, Mapping[str, Interval]],
    *,
    level_tested: bool,
) -> str:
    """Return what the published probabilities failed on the test date; empty where nothing.

    Parameters
    ----------
    measurement
        Of the chosen recipe as published, on the test date.
    gains
        Its paired gains, that over :data:`BASE_RATE` among them.
    level_tested
        Whether the test date lies after the training dates' outcomes.
    """
    calibration = measurement.calibration
    found = []
    if not level_tested:
        found.append(
            "the level was not tested on a later date: there is too little history for that"
        )
    if calibration.error > calibration.perfect_p95 + SLACK:
        found.append(
            f"probabilities were off by {calibration.error:.3f} on average, where right ones stay "
            f"under {calibration.perfect_p95:.3f} (they promised {measurement.mean_probability:.3f}"
            f", {measurement.positive_rate:.3f} came true)"
        )
    gain = gains.get(BASE_RATE, {}).get("log_loss")
    if gain is not None and gain.low <= 0:
        found.append("they were not surely better than one and the same probability for everybody")
    if measurement.rows * measurement.positive_rate >= POSITIVES_FOR_SLOPE:
        if calibration.slope < SLOPES[0]:
            found.append(f"they were too sure (slope {calibration.slope:.2f})")
        elif calibration.slope > SLOPES[1]:
            found.append(f"they were too timid (slope {calibration.slope:.2f})")
    note = "; ".join(found)
    return note[:1].upper() + note[1:]
