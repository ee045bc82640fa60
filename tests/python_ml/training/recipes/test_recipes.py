"""What holds for every recipe."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from python_ml.errors import BundleError
from python_ml.training.metrics import log_loss
from python_ml.training.recipes import (
    MODELS,
    RECIPES,
    BaseRate,
    Blend,
    Boosted,
    Logistic,
    SmoothedRates,
)
from python_ml.training.recipes.base import to_logit
from python_ml.training.recipes.boosted import _trials
from python_ml.training.splits import customer_folds

OF_LINES = (BaseRate(), SmoothedRates(("recency_days", "frequency_orders_total")))
"""Recipes that order habit does not try; any columns show what they do."""
NAMES = [
    *("recency", "frequency", "log_rfm", "bgnbd", "logistic", "boosted", "blend"),
    *(recipe.name for recipe in OF_LINES),
]
"""Recipes of rows; those of pairs have tests of their own."""


@pytest.fixture(scope="module")
def halves(frame):
    fold = customer_folds(frame.entity, 2)
    return frame.rows(fold == 0), frame.rows(fold == 1)


@pytest.fixture(scope="module")
def fitted(halves, make_spec):
    recipes = (*make_spec().recipes, *OF_LINES)
    return {recipe.name: recipe.fit(halves[0], seed=3, threads=1) for recipe in recipes}


@pytest.mark.parametrize("name", [name for name in NAMES if name != BaseRate.name])
def test_every_recipe_beats_the_base_rate_on_customers_it_has_not_seen(name, fitted, halves):
    seen, unseen = halves
    predicted = fitted[name].predict(unseen.features, 90)
    assert ((predicted > 0) & (predicted < 1)).all()
    rate = np.full(len(unseen), seen.label.mean())
    assert log_loss(unseen.label, predicted) < log_loss(unseen.label, rate) - 0.03


@pytest.mark.parametrize("name", NAMES)
def test_contributions_add_up_to_the_logit(name, fitted, halves):
    features = halves[1].features
    model = fitted[name]
    total = model.base_logit(90) + model.contributions(features, 90).sum(axis=1).to_numpy()
    assert np.allclose(total, to_logit(model.predict(features, 90)), atol=1e-6)
    assert list(model.contributions(features, 90).columns) == list(features.columns)


@pytest.mark.parametrize("name", NAMES)
def test_a_model_written_and_read_scores_to_the_same_bits(name, fitted, halves):
    features = halves[1].features
    again = MODELS[name].from_files(fitted[name].to_files())
    assert (again.predict(features, 90) == fitted[name].predict(features, 90)).all()
    assert again.to_files() == fitted[name].to_files()


@pytest.mark.parametrize("name", NAMES)
def test_a_model_without_its_file_names_it(name):
    with pytest.raises(BundleError, match=name):
        MODELS[name].from_files({})


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_bits(name, fitted, halves, make_spec):
    recipe = next(r for r in (*make_spec().recipes, *OF_LINES) if r.name == name)
    again = recipe.fit(halves[0], seed=3, threads=1)
    assert again.to_files() == fitted[name].to_files()


@pytest.mark.parametrize("name", ["logistic", "boosted", "blend"])
def test_what_was_chosen_stays_when_fitted_again(name, fitted, halves):
    again = fitted[name].as_recipe().fit(halves[1], seed=3, threads=1)
    for number in ("strength", "trees", "weights"):
        assert getattr(again, number, None) == getattr(fitted[name], number, None)


@pytest.mark.parametrize("name", ["logistic", "boosted"])
def test_gaps_and_unseen_levels_are_scored(name, fitted, halves):
    features = halves[1].features.head(20).copy()
    features["recency_over_mean_gap"] = np.nan
    features["attribute_colour"] = "never seen"
    assert np.isfinite(fitted[name].predict(features, 90)).all()


@pytest.mark.parametrize("name", ["logistic", "boosted"])
def test_columns_that_only_name_the_date_do_not_move_the_score(name, fitted, halves):
    features = halves[1].features.head(20)
    moved = features.assign(season_as_of_month=12.0)
    assert (fitted[name].predict(features, 90) == fitted[name].predict(moved, 90)).all()


@pytest.mark.parametrize("name", NAMES)
def test_too_small_a_shop_is_told_what_is_missing(name, small_frame):
    minimum = RECIPES[name].minimum
    told = minimum.shortfall(small_frame)
    assert (told is None) == (small_frame.customers() >= minimum.customers)
    assert told is None or str(minimum.customers) in told


@pytest.mark.parametrize("name", ["logistic", "boosted"])
def test_out_of_fold_predictions_do_not_know_their_own_customers(name, halves):
    """Each customer gets an answer by coin and marks to know it by; a leak would find them."""
    random = np.random.default_rng(1)
    frame = halves[0]
    coin = random.integers(0, 2, frame.customers()).astype(float)
    marks = random.normal(size=(frame.customers(), 120))
    codes = frame.groups()
    columns = {f"attribute_mark_{i}": marks[codes, i] for i in range(120)}
    noise = replace(
        frame, label=coin[codes], features=pd.DataFrame(columns), categorical=(), newest=None
    )
    model = RECIPES[name]().fit(noise, seed=1, threads=1)
    assert model.out_of_fold is not None
    assert log_loss(noise.label, model.predict(noise.features, 90)) < 0.685
    assert log_loss(noise.label, model.out_of_fold) > 0.685


def test_blend_weights_are_shares(fitted):
    weights = fitted["blend"].weights
    assert min(weights.values()) >= 0
    assert sum(weights.values()) == pytest.approx(1)


def test_effort_is_a_number_of_trials_and_same_seed_same_settings(halves):
    quick, recipe, thorough = (
        Boosted().with_effort(effort) for effort in ("quick", "normal", "thorough")
    )
    assert quick == Boosted()
    assert quick.trials < recipe.trials < thorough.trials
    first, second = (recipe.fit(halves[0], seed=3, threads=1) for _ in range(2))
    assert first.to_files() == second.to_files()
    again = first.as_recipe().fit(halves[1], seed=3, threads=1)
    assert (again.settings, again.trees) == (first.settings, first.trees)


def test_more_effort_begins_with_the_trials_of_less():
    assert _trials(16, 3)[:4] == _trials(4, 3)
    assert _trials(1, 3) == [{}]


def test_a_blend_hands_its_effort_on():
    blend = Blend((Boosted(), Logistic())).with_effort("thorough")
    assert blend == Blend((Boosted().with_effort("thorough"), Logistic()))


def test_the_base_rate_is_the_share_of_ones(fitted, halves):
    predicted = fitted["base_rate"].predict(halves[1].features, 90)
    assert predicted == pytest.approx(np.full(len(halves[1]), halves[0].label.mean()))


def test_rates_are_read_on_the_scale_of_logits(halves):
    """A rate is a probability: twice the odds is the same step anywhere, and so is the answer."""
    random = np.random.default_rng(1)
    log_odds = random.uniform(-3, 1, len(halves[0]))
    label = (random.random(len(log_odds)) < 1 / (1 + np.exp(-log_odds))).astype(float)
    features = pd.DataFrame({"return_customer_rate": 1 / (1 + np.exp(-log_odds))})
    frame = replace(halves[0], features=features, label=label, categorical=(), newest=None)
    model = SmoothedRates(("return_customer_rate",)).fit(frame, seed=1, threads=1)
    asked = pd.DataFrame({"return_customer_rate": [0.1, 0.3, 0.6]})
    assert model.predict(asked, 90) == pytest.approx([0.1, 0.3, 0.6], abs=0.05)
