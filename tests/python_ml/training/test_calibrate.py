from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from python_ml.errors import BundleError
from python_ml.training.calibrate import (
    allowed_kinds,
    calibrator_from_dict,
    choose_calibrator,
    fit_shape,
)
from python_ml.training.metrics import log_loss
from python_ml.training.recipes.base import shift_to_mean, to_logit, to_probability


def _draw(size: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    truth = random.beta(1.5, 2, size)
    return (
        truth,
        (random.random(size) < truth).astype(float),
        np.array([f"c{i}" for i in range(size)], dtype=object),
    )


@pytest.mark.parametrize(
    ("customers", "positives", "kinds"),
    [
        (299, 100, ("none",)),
        (300, 100, ("none", "sigmoid")),
        (999, 400, ("none", "sigmoid")),
        (1000, 199, ("none", "sigmoid")),
        (1000, 200, ("none", "sigmoid", "isotonic")),
        (5000, 0, ("none",)),
    ],
)
def test_small_shops_get_simple_calibrators_counted_in_customers(customers, positives, kinds):
    label = np.repeat(np.arange(customers) < positives, 3).astype(float)
    entity = np.repeat(np.array([f"c{i}" for i in range(customers)], dtype=object), 3)
    assert allowed_kinds(label, entity) == kinds


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["none", "sigmoid", "isotonic"]), st.floats(0.2, 3))
def test_calibrators_keep_the_order_stay_off_the_ends_and_keep_the_mean(seed, kind, steepness):
    truth, label, _ = _draw(400, seed)
    probability = to_probability(steepness * to_logit(truth))
    calibrator = fit_shape(kind, probability, label)
    grid = calibrator.apply(np.linspace(0, 1, 301))
    assert (np.diff(grid) >= 0).all()
    assert (grid[1:-1] > 0).all() and (grid[1:-1] < 1).all()
    assert calibrator.apply(probability).mean() == pytest.approx(probability.mean(), abs=1e-6)
    assert calibrator_from_dict(calibrator.to_dict()) == calibrator


def test_a_model_that_is_right_is_left_alone():
    truth, label, entity = _draw(3000)
    assert choose_calibrator(truth, label, entity, seed=1).kind == "none"


def test_a_model_at_the_wrong_level_is_left_to_the_level_rule():
    truth, label, entity = _draw(3000)
    assert (
        choose_calibrator(to_probability(to_logit(truth) - 1), label, entity, seed=1).kind == "none"
    )


def test_a_model_that_is_too_sure_gets_a_sigmoid_and_becomes_better():
    truth, label, entity = _draw(3000)
    sure = to_probability(2 * to_logit(truth))
    calibrator = choose_calibrator(sure, label, entity, seed=1)
    assert calibrator.kind == "sigmoid"
    assert log_loss(label, calibrator.apply(sure)) < log_loss(label, sure) - 0.01


def test_a_bent_model_gets_isotonic_where_the_shop_is_large_enough():
    truth, label, entity = _draw(6000)
    bent = np.where(truth < 0.5, truth * 0.2, 0.6 + 0.2 * truth)
    level = shift_to_mean(bent, label.mean())
    bent = to_probability(to_logit(bent) + level)
    assert choose_calibrator(bent, label, entity, seed=1).kind == "isotonic"
    assert choose_calibrator(bent[:500], label[:500], entity[:500], seed=1).kind != "isotonic"


def test_isotonic_is_never_certain_even_where_its_rows_were():
    probability = np.linspace(0.05, 0.95, 400)
    calibrator = fit_shape("isotonic", probability, (probability > 0.5).astype(float))
    ends = calibrator.apply(np.array([0.0, 1.0]))
    assert 0 < ends[0] < 0.02 and 0.98 < ends[1] < 1


def test_an_unknown_calibrator_is_refused():
    with pytest.raises(BundleError, match="spline"):
        calibrator_from_dict({"kind": "spline"})
