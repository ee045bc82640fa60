from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from python_ml.training.metrics import (
    calibration_intercept,
    calibration_slope,
    expected_calibration_error,
    measure,
    paired_gain,
    perfect_calibration_error,
    weighted_auc,
    weighted_average_precision,
)
from python_ml.training.recipes.base import to_logit, to_probability


@pytest.fixture(scope="module")
def scored() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(4)
    probability = np.round(random.beta(1.2, 2, 2000), 2).clip(0.01, 0.99)  # rounded: many ties
    label = (random.random(2000) < probability).astype(float)
    entity = np.array([f"c{i // 2}" for i in range(2000)], dtype=object)
    return label, probability, entity


def test_figures_agree_with_scikit_learn(scored):
    label, probability, entity = scored
    found = measure(label, probability, entity, rounds=20, seed=1)
    assert found.log_loss.value == pytest.approx(log_loss(label, probability))
    assert found.brier.value == pytest.approx(brier_score_loss(label, probability))
    assert found.auc.value == pytest.approx(roc_auc_score(label, probability))
    assert found.average_precision.value == pytest.approx(
        average_precision_score(label, probability)
    )
    assert found.customers == 1000


def test_weights_count_like_repeated_rows(scored):
    label, probability, _ = scored
    weights = np.random.default_rng(1).integers(0, 3, (1, len(label))).astype(float)
    again = np.repeat(np.arange(len(label)), weights[0].astype(int))
    assert weighted_auc(label, probability, weights)[0] == pytest.approx(
        roc_auc_score(label[again], probability[again])
    )
    assert weighted_average_precision(label, probability, weights)[0] == pytest.approx(
        average_precision_score(label[again], probability[again])
    )


def test_intervals_hold_the_figure_and_widen_when_rows_of_a_customer_repeat(scored):
    label, probability, entity = scored
    own = np.array([f"r{i}" for i in range(6000)], dtype=object)
    tripled = [np.repeat(x, 3) for x in (label, probability, entity)]
    by_customer = measure(*tripled, rounds=200, seed=1).log_loss
    by_row = measure(tripled[0], tripled[1], own, rounds=200, seed=1).log_loss
    assert by_customer.low < by_customer.value < by_customer.high
    assert by_customer.high - by_customer.low > 1.4 * (by_row.high - by_row.low)


def test_a_perfect_model_shows_the_calibration_error_that_the_design_names():
    random = np.random.default_rng(0)
    median, p95 = perfect_calibration_error(random.beta(1, 1.5, 2000), seed=1)
    assert median == pytest.approx(0.022, abs=0.005)
    assert median < p95 < 0.04


def test_a_model_that_is_too_sure_has_a_slope_below_one_and_an_error_above_the_floor(scored):
    label, probability, entity = scored
    sure = to_probability(2 * to_logit(probability))
    assert calibration_slope(label, probability) == pytest.approx(1.0, abs=0.12)
    assert calibration_slope(label, sure) == pytest.approx(0.5, abs=0.06)
    found = measure(label, sure, entity, rounds=5, seed=1).calibration
    assert found.error > found.perfect_p95
    assert expected_calibration_error(label, probability) < found.error


def test_a_model_that_is_too_low_has_an_intercept_above_zero(scored):
    label, probability, _ = scored
    low = to_probability(to_logit(probability) - 0.7)
    assert calibration_intercept(label, low) == pytest.approx(0.7, abs=0.12)


def test_a_paired_gain_is_tighter_than_two_intervals_and_signed_towards_better(scored):
    label, probability, entity = scored
    worse = to_probability(0.8 * to_logit(probability) + 0.3)
    gain = paired_gain(label, probability, worse, entity, rounds=200, seed=1)
    assert gain["log_loss"].low > 0
    assert gain["brier"].value > 0
    assert gain["auc"].value == pytest.approx(0, abs=1e-12)
    alone = measure(label, probability, entity, rounds=200, seed=1).log_loss
    assert gain["log_loss"].high - gain["log_loss"].low < alone.high - alone.low


def test_one_answer_only_has_no_ranking(scored):
    _, probability, entity = scored
    found = measure(np.ones(2000), probability, entity, rounds=5, seed=1)
    assert found.auc is None
    assert np.isnan(found.calibration.slope)


def test_same_seed_same_intervals(scored):
    assert measure(*scored, rounds=30, seed=2) == measure(*scored, rounds=30, seed=2)
    assert measure(*scored, rounds=30, seed=2) != measure(*scored, rounds=30, seed=3)
