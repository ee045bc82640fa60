"""What is said of probabilities that failed on the test date."""

from __future__ import annotations

import numpy as np
import pytest

from python_ml.training.metrics import Interval, measure, paired_gain
from python_ml.training.verdict import BASE_RATE, calibration_note

RANDOM = np.random.default_rng(5)
TRUTH = RANDOM.beta(1.0, 2.0, 4000)
LABEL = (RANDOM.random(4000) < TRUTH).astype(float)
ENTITY = np.array([f"c{i}" for i in range(4000)], dtype=object)


def note_of(probability: np.ndarray, *, rows: int = 4000, level_tested: bool = True) -> str:
    label, probability, entity = LABEL[:rows], probability[:rows], ENTITY[:rows]
    constant = np.full(rows, label.mean())
    gains: dict[str, dict[str, Interval]] = {
        BASE_RATE: paired_gain(label, probability, constant, entity, rounds=50, seed=1)
    }
    measurement = measure(label, probability, entity, rounds=50, seed=1)
    return calibration_note(measurement, gains, level_tested=level_tested)


def test_right_probabilities_pass_in_silence() -> None:
    assert note_of(TRUTH) == ""


def test_a_level_that_is_off_is_said_with_its_figures() -> None:
    note = note_of(np.clip(TRUTH + 0.15, 0, 1))
    assert note.startswith("Probabilities were off by 0.1")
    assert f"{LABEL.mean():.3f} came true" in note


@pytest.mark.parametrize(("power", "words"), [(2.5, "too sure"), (0.3, "too timid")])
def test_a_shape_that_is_off_is_said(power: float, words: str) -> None:
    odds = (TRUTH / (1 - TRUTH)) ** power
    assert words in note_of(odds / (1 + odds))


def test_with_few_yeses_the_slope_says_nothing() -> None:
    odds = (TRUTH / (1 - TRUTH)) ** 0.3
    assert "timid" not in note_of(odds / (1 + odds), rows=300)


def test_a_constant_is_not_better_than_a_constant() -> None:
    assert "the same probability for everybody" in note_of(np.full(4000, LABEL.mean()))


def test_a_level_that_was_not_tested_is_said() -> None:
    assert "level was not tested" in note_of(TRUTH, level_tested=False)
