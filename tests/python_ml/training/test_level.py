from __future__ import annotations

import numpy as np
import pytest

from python_ml.training.level import (
    LevelEvidence,
    LevelPolicy,
    apply_shift,
    choose_level,
    default_weight,
    level_shift,
)
from python_ml.training.recipes.base import to_logit, to_probability


def _origins(true_shift: float, count: int = 4) -> list[LevelEvidence]:
    """A model that is ``true_shift`` too low in logit, and a reference that sees half of that."""
    random = np.random.default_rng(2)
    found = []
    for _ in range(count):
        own = random.beta(2, 2, 3000)
        truth = to_probability(to_logit(own) + true_shift)
        label = (random.random(3000) < truth).astype(float)
        found.append(
            LevelEvidence(own, 0.0, to_probability(to_logit(own) + true_shift * 1.2), label)
        )
    return found


def _choose(evidence: list[LevelEvidence], **changes: object) -> LevelPolicy:
    given = {"default_weight": 0.5, "min_gain": 0.001, "has_reference": True}
    return choose_level(evidence, **{**given, **changes})  # type: ignore[arg-type]


def test_half_way_in_logit_is_half_way():
    own, reference = np.full(50, 0.8), np.full(50, 0.5)
    shifted = apply_shift(own, level_shift(own, reference, 0.5))
    assert to_logit(shifted)[0] == pytest.approx(to_logit(own)[0] / 2)
    assert level_shift(own, reference, 0.0) == 0.0


def test_the_shift_keeps_the_order_and_meets_its_mean():
    random = np.random.default_rng(1)
    own, reference = random.beta(2, 2, 500), random.beta(1, 3, 500)
    shifted = apply_shift(own, level_shift(own, reference, 1.0))
    assert shifted.mean() == pytest.approx(reference.mean())
    assert (np.argsort(shifted) == np.argsort(own)).all()


def test_the_fewer_windows_the_labels_saw_the_further_the_reference_draws():
    weights = [default_weight(0.5, windows) for windows in (0.0, 1.0, 2.0, 4.0, 50.0)]
    assert weights == sorted(weights, reverse=True)
    assert (weights[0], weights[-1]) == (1.0, 0.5)


def test_the_default_stands_where_the_shop_has_shown_too_little():
    assert _choose(_origins(0.0, count=2)) == LevelPolicy("reference", 0.5)
    assert _choose([], has_reference=False) == LevelPolicy("labels")


def test_the_reference_is_switched_off_where_every_origin_says_so():
    misleading = [
        LevelEvidence(e.probability, 0.0, to_probability(to_logit(e.probability) - 1), e.label)
        for e in _origins(0.0)
    ]
    assert _choose(misleading).kind == "none"


def test_the_weight_moves_only_as_far_as_three_quarters():
    assert _choose(_origins(-1.5)) == LevelPolicy("reference", 0.75)


def test_origins_that_disagree_leave_the_default():
    up, down = _origins(-1.5, count=3), _origins(0.0, count=1)
    wrong = LevelEvidence(
        down[0].probability, 0.0, to_probability(to_logit(down[0].probability) - 1.5), down[0].label
    )
    assert _choose([*up, wrong]) == LevelPolicy("reference", 0.5)


def test_labels_set_the_level_where_there_is_no_reference():
    plain = [LevelEvidence(e.probability, 1.0, None, e.label) for e in _origins(1.0)]
    assert _choose(plain, has_reference=False) == LevelPolicy("labels")
    assert LevelPolicy("labels").shift(plain[0].probability, 1.0, None) == 1.0
