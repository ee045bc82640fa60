"""The ranker on pairs whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from python_ml.errors import BundleError
from python_ml.training.frame import FloatArray, TrainingFrame
from python_ml.training.metrics import log_loss
from python_ml.training.recipes import MODELS, Ranker, RankerModel
from python_ml.training.recipes.base import to_logit

CUSTOMERS, ITEMS = 300, 12


def frame(seed: int) -> tuple[TrainingFrame, FloatArray]:
    """Pairs whose truth is a rank, and a step that no straight line follows."""
    random = np.random.default_rng(seed)
    size = CUSTOMERS * ITEMS
    rank = np.log1p(np.tile(np.arange(ITEMS), CUSTOMERS)).astype(float)
    price = random.normal(size=size)
    active = np.repeat(random.normal(size=CUSTOMERS), ITEMS)
    truth = 1 / (1 + np.exp(-(1.0 - 1.2 * rank + 1.5 * (np.abs(price) < 0.6) + active - 1.5)))
    features = pd.DataFrame(
        {
            "collaborative_ease_rank": rank,
            "affinity_price": price,
            "customer_product_new_180d": np.exp(active),
            "customer_recency_days": random.integers(1, 90, size).astype(float),
            "customer_frequency_decayed_90d": random.random(size),
        }
    )
    made = TrainingFrame(
        features=features,
        categorical=(),
        entity=np.repeat([f"c{i:04}" for i in range(CUSTOMERS)], ITEMS).astype(object),
        as_of=np.full(size, np.datetime64("2024-01-01")),
        label=(random.random(size) < truth).astype(float),
        label_known_at=np.full(size, np.datetime64("2024-04-01")),
        horizon_days=90,
    )
    return made, truth


@pytest.fixture(scope="module")
def fitted() -> RankerModel:
    return Ranker().fit(frame(1)[0], seed=1, threads=1)


def test_it_finds_what_the_line_cannot(fitted: RankerModel) -> None:
    unseen, truth = frame(2)
    ours = log_loss(unseen.label, fitted.predict(unseen.features, 90))
    line = log_loss(unseen.label, fitted.linear.predict(unseen.features, 90))
    floor = log_loss(unseen.label, truth)
    assert ours < line - 0.02
    assert ours < floor + 0.03


def test_its_terms_add_up_to_its_logit(fitted: RankerModel) -> None:
    features = frame(2)[0].features.head(50)
    total = fitted.base_logit(90) + fitted.contributions(features, 90).sum(axis=1)
    np.testing.assert_allclose(total, to_logit(fitted.predict(features, 90)), atol=1e-6)


def test_out_of_fold_predictions_are_no_better_than_on_unseen_customers(
    fitted: RankerModel,
) -> None:
    seen, _ = frame(1)
    assert fitted.out_of_fold is not None
    own = log_loss(seen.label, fitted.out_of_fold)
    in_sample = log_loss(seen.label, fitted.predict(seen.features, 90))
    assert in_sample < own


def test_the_same_seed_gives_the_same_bits_and_so_does_its_text(fitted: RankerModel) -> None:
    features = frame(2)[0].features
    again = Ranker().fit(frame(1)[0], seed=1, threads=1)
    read = MODELS["ranker"].from_files(fitted.to_files())
    expected = fitted.predict(features, 90)
    assert (again.predict(features, 90) == expected).all()
    assert (read.predict(features, 90) == expected).all()


def test_forests_of_a_kind_are_averaged_and_kept_one_by_one(fitted: RankerModel) -> None:
    """Their own seeds, the weights of one: the mean of the logits is what each would have said."""
    seen, features = frame(1)[0], frame(2)[0].features.head(200)
    recipe = fitted.as_recipe()
    assert isinstance(recipe, Ranker)
    three = replace(recipe, bags=3).fit(seen, seed=1, threads=1)
    alone = [recipe.fit(seen, seed=seed, threads=1) for seed in (1, 7_920, 15_839)]
    logits = [to_logit(model.predict(features, 90)) for model in alone]
    assert len({tuple(logit) for logit in logits}) == 3
    np.testing.assert_allclose(to_logit(three.predict(features, 90)), np.mean(logits, axis=0))
    total = three.base_logit(90) + three.contributions(features, 90).sum(axis=1)
    np.testing.assert_allclose(total, np.mean(logits, axis=0), atol=1e-6)
    files = three.to_files()
    assert sum(name.endswith(".lightgbm.txt") for name in files) == 6
    read = MODELS["ranker"].from_files(files)
    assert (read.predict(features, 90) == three.predict(features, 90)).all()
    assert read.as_recipe() == three.as_recipe()
    del files["ranker.order.2.lightgbm.txt"]
    with pytest.raises(BundleError, match=r"ranker\.order\.2"):
        MODELS["ranker"].from_files(files)


def test_the_order_counts_at_least_half_as_much_as_the_probability(fitted: RankerModel) -> None:
    assert fitted.weights["order"] >= 0.5 * fitted.weights["probability"] - 1e-12
