"""Champion and challenger: who may take over, and on what grounds."""

from __future__ import annotations

import numpy as np
import pytest

from python_ml.training.metrics import Interval
from python_ml.training.tried import Tried, row_keys
from python_ml.watch.challenge import Champion, challenge, challenge_of_pairs

CUSTOMERS = 1_500
MARGIN = 0.002


def tried(test_date: str = "2025-01-01", *, seed: int = 1, names: str = "boosted bgnbd") -> Tried:
    """Labels drawn from true probabilities; ``bgnbd`` knows them, ``boosted`` less of them."""
    random = np.random.default_rng(seed)
    truth = random.beta(0.6, 0.9, CUSTOMERS).clip(0.01, 0.99)
    label = (random.random(CUSTOMERS) < truth).astype(np.float64)
    poor = (0.5 * truth + 0.2).clip(0.01, 0.99)
    said = {"bgnbd": truth, "boosted": poor, "twin": truth}
    entity = np.asarray([f"c{number}" for number in range(CUSTOMERS)], dtype=object)
    key, group = row_keys(entity, np.full(CUSTOMERS, test_date, dtype="datetime64[D]"))
    chosen = {name: said[name] for name in names.split()}
    return Tried(test_date, True, key, group, label, chosen, chosen)


def as_blend(of: Tried, name: str, order: np.ndarray) -> Tried:
    """The same rows in another order, what one recipe said of them under the name of blend."""
    said = {"blend": of.as_is[name][order]}
    return Tried(of.test_date, True, of.key[order], of.group[order], of.label[order], said, said)


def champion(recipe: str, *, same: bool = True, kept: Tried | None = None) -> Champion:
    return Champion("b0", recipe, same, kept)


def test_a_worse_recipe_stays_out_and_the_figures_say_why() -> None:
    found = challenge(champion("bgnbd"), "boosted", [tried()], margin=MARGIN, seed=1)
    assert not found.promoted
    assert found.compared == "recipes"
    assert found.gain is not None and found.gain.high < 0
    assert found.text.startswith("challenger boosted stays out against bgnbd")
    assert found.to_dict()["gain"] == [found.gain.value, found.gain.low, found.gain.high]


def test_a_better_recipe_is_promoted() -> None:
    found = challenge(champion("boosted"), "bgnbd", [tried()], margin=MARGIN, seed=1)
    assert found.promoted
    assert found.gain is not None and found.gain.low > 0
    assert "promoted" in found.text


def test_an_equal_recipe_is_promoted() -> None:
    rounds = [tried(names="bgnbd twin")]
    assert challenge(champion("bgnbd"), "twin", rounds, margin=MARGIN, seed=1).promoted


def test_a_difference_within_the_margin_is_none() -> None:
    found = challenge(champion("bgnbd"), "boosted", [tried()], margin=0.5, seed=1)
    assert found.promoted


def test_the_same_recipe_on_the_same_features_is_fitted_anew_unopposed() -> None:
    found = challenge(champion("bgnbd"), "bgnbd", [tried()], margin=MARGIN, seed=1)
    assert found.promoted and found.compared == "nothing"
    assert "fitted anew" in found.text


@pytest.mark.parametrize(("before", "now", "promoted"), [
    ("bgnbd", "boosted", False), ("boosted", "bgnbd", True),
])  # fmt: skip
def test_other_features_are_compared_on_the_champions_test_row_by_row(
    before: str, now: str, promoted: bool
) -> None:
    """The same recipe by name, on features that are worse or better than they were."""
    in_order = np.arange(CUSTOMERS)
    order = np.random.default_rng(3).permutation(CUSTOMERS)  # found by key, not by place
    held = Tried.from_json(as_blend(tried(names=before), before, in_order).to_json())
    mixed = as_blend(tried(names=now), now, order)
    found = challenge(
        champion("blend", same=False, kept=held),
        "blend",
        [tried("2024-07-01"), mixed],
        margin=MARGIN,
        seed=1,
    )
    assert found.compared == "features"
    assert found.promoted is promoted
    assert f"{CUSTOMERS:,} customers in the test of 2025-01-01" in found.text


def test_a_champion_without_a_test_of_its_own_is_not_compared() -> None:
    found = challenge(champion("bgnbd", same=False), "boosted", [tried()], margin=MARGIN, seed=1)
    assert found.promoted and found.compared == "nothing"


def test_few_customers_prove_nothing() -> None:
    whole = tried()
    few = Tried(
        whole.test_date, True, whole.key[:60], whole.group[:60], whole.label[:60],
        {n: v[:60] for n, v in whole.as_is.items()},
        {n: v[:60] for n, v in whole.as_published.items()},
    )  # fmt: skip
    assert challenge(champion("bgnbd"), "boosted", [few], margin=MARGIN, seed=1).promoted


@pytest.mark.parametrize(
    ("gain", "promoted"),
    [
        (Interval(-0.02, -0.03, -0.01), False),
        (Interval(-0.001, -0.0015, -0.0005), True),
        (Interval(-0.02, -0.05, 0.01), True),
        (Interval(0.02, 0.01, 0.03), True),
    ],
)
def test_rankings_of_pairs_stay_out_only_where_they_are_surely_worse(
    gain: Interval, promoted: bool
) -> None:
    found = challenge_of_pairs(
        champion("product: ranker, category: pair_linear"),
        {"product": "ease", "category": "pair_linear"},
        {"product": {"ranker": gain}, "category": {}},
        margin=MARGIN,
    )
    assert found.promoted is promoted
    assert "product: ease against ranker" in found.text


def test_large_tests_are_kept_by_whole_customers() -> None:
    rows = 45_000
    entity = np.asarray([f"c{number % 9_000}" for number in range(rows)], dtype=object)
    key, group = row_keys(entity, np.full(rows, "2025-01-01", dtype="datetime64[D]"))
    assert len(set(key)) == rows
    said = {"bgnbd": np.full(rows, 0.25)}
    kept = Tried.from_json(
        Tried("2025-01-01", True, key, group, np.ones(rows), said, said).to_json()
    )
    assert 15_000 < len(kept.label) < 25_000
    assert {(kept.group == who).sum() for who in set(kept.group)} == {5}
