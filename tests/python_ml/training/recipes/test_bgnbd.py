from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import check_grad
from scipy.special import hyp2f1

from python_ml.training.recipes.bgnbd import (
    BgNbd,
    History,
    HistoryColumns,
    Parameters,
    fit_parameters,
    negative_log_likelihood,
)

COLUMNS = HistoryColumns("frequency_order_days_total", "recency_days", "recency_tenure_days")
CDNOW = Parameters(r=0.243, alpha=4.414, a=0.793, b=2.426)
"""The estimates of Fader, Hardie & Lee (2005), table 2, in weeks."""


def _one(x: float, t_x: float, t: float) -> History:
    return History(np.array([x]), np.array([t_x]), np.array([t]))


def test_the_chance_of_being_alive_gives_the_published_expectation_for_cdnow():
    """Equation 10 for x=2, t_x=30.43, T=38.86 and 39 weeks ahead is 1.226 in the authors' note."""
    r, alpha, a, b = CDNOW.r, CDNOW.alpha, CDNOW.a, CDNOW.b
    x, t_x, now, ahead = 2, 30.43, 38.86, 39
    z = ahead / (alpha + now + ahead)
    silent = ((alpha + now) / (alpha + now + ahead)) ** (r + x) * hyp2f1(
        r + x, b + x, a + b + x - 1, z
    )
    while_alive = (a + b + x - 1) / (a - 1) * (1 - silent)
    expected = while_alive * CDNOW.probability_alive(_one(x, t_x, now))[0]
    assert expected == pytest.approx(1.226, abs=0.002)


def test_the_chance_of_an_order_is_the_chance_of_not_being_silent():
    """Monte Carlo of the story itself: draw rate and survival given the history, then wait."""
    random = np.random.default_rng(5)
    history, weeks = _one(3, 20.0, 30.0), 12.0
    rate = random.gamma(CDNOW.r + 3, 1 / (CDNOW.alpha + 30.0), 400_000)
    alive = random.random(400_000) < CDNOW.probability_alive(history)[0]
    ordered = alive & (random.exponential(1 / rate) < weeks)
    assert CDNOW.probability_of_order(history, weeks)[0] == pytest.approx(ordered.mean(), abs=0.003)


def test_longer_silence_means_less_and_a_longer_horizon_more():
    silence = History(np.full(5, 4.0), np.full(5, 20.0), np.array([21.0, 25.0, 30.0, 40.0, 60.0]))
    assert (np.diff(CDNOW.probability_of_order(silence, 10.0)) < 0).all()
    assert (
        CDNOW.probability_of_order(silence, 20.0)[0] > CDNOW.probability_of_order(silence, 10.0)[0]
    )


def test_the_gradient_is_the_gradient():
    random = np.random.default_rng(1)
    x = random.integers(0, 6, 50).astype(float)
    t = random.uniform(5, 60, 50)
    history = History(x, np.where(x > 0, t * random.uniform(0.1, 1, 50), 0.0), t)
    weight = np.ones(50)

    def value(theta):
        return negative_log_likelihood(Parameters(*theta), history, weight)[0]

    def gradient(theta):
        return negative_log_likelihood(Parameters(*theta), history, weight)[1]

    assert check_grad(value, gradient, np.array([0.5, 6.0, 0.8, 2.5])) < 1e-3


def _simulated(truth: Parameters, customers: int, seed: int) -> History:
    random = np.random.default_rng(seed)
    rate = random.gamma(truth.r, 1 / truth.alpha, customers)
    dropout = random.beta(truth.a, truth.b, customers)
    window = random.uniform(20, 80, customers)
    x, last = np.zeros(customers), np.zeros(customers)
    for i in range(customers):
        day = random.exponential(1 / max(rate[i], 1e-12))
        while day < window[i]:
            x[i], last[i] = x[i] + 1, day
            if random.random() < dropout[i]:
                break
            day += random.exponential(1 / max(rate[i], 1e-12))
    return History(x, last, window)


def test_a_simulated_shop_is_recovered_in_what_it_predicts():
    truth = Parameters(r=0.6, alpha=6.0, a=0.8, b=2.5)
    history = _simulated(truth, 4000, seed=2)
    fitted = fit_parameters(history)
    ours, theirs = (p.probability_of_order(history, 26.0) for p in (fitted, truth))
    assert np.abs(ours - theirs).mean() < 0.015
    assert ours.mean() == pytest.approx(theirs.mean(), abs=0.015)


def test_thirty_customers_who_never_came_back_do_not_break_it():
    history = History(np.zeros(30), np.zeros(30), np.linspace(1, 50, 30))
    chance = fit_parameters(history).probability_of_order(history, 26.0)
    assert np.isfinite(chance).all()
    assert chance.max() < 0.5


def test_the_newest_histories_are_used_where_they_are_known(frame):
    old = frame.matured_by(frame.dates()[4])
    newest = frame.at(frame.dates()[-1]).features
    with_newest = BgNbd(COLUMNS).fit(old.with_newest(newest), seed=1, threads=1)
    assert with_newest.parameters == fit_parameters(COLUMNS.read(newest))
    assert with_newest.parameters != BgNbd(COLUMNS).fit(old, seed=1, threads=1).parameters
