"""How much is looked at when pairs are trained."""

from __future__ import annotations

from dataclasses import dataclass

from python_ml.training.recipes import (
    Ease,
    EasePopular,
    ItemToItem,
    PairLinear,
    Popular,
    Ranker,
)
from python_ml.training.recipes.base import Recipe


def pair_recipes(ranker: Ranker) -> tuple[Recipe, ...]:
    """Every recipe of pairs, simplest first."""
    return (Popular(), ItemToItem(), Ease(), EasePopular(), PairLinear(), ranker)


@dataclass(frozen=True)
class PairSpec:
    """How much is looked at.

    Parameters
    ----------
    recipes
        What may be published, simplest first.
    min_gain
        NDCG on an earlier date that a less simple recipe must win.
    shown
        Items of a customer that NDCG and recall look at.
    candidates
        Per customer, when training and when scoring.
    customers_per_date, test_customers
        Sampled at each training date, and at the dates that measure.
    negatives_share
        Share of the pairs that came to nothing that training sees; the prior is put back.
    train_dates
        As-of dates behind one model, the latest ones; more where items are fewer than
        ``candidates``, up to a year of them.
    most_items
        Items with collaborative scores.
    pairs_measured
        Rows behind log-loss and calibration.
    """

    recipes: tuple[Recipe, ...] = pair_recipes(Ranker(bags=3))
    min_gain: float = 0.001
    shown: int = 10
    candidates: int = 200
    customers_per_date: int = 3_000
    test_customers: int = 6_000
    negatives_share: float = 0.2
    train_dates: int = 4
    most_items: int = 4_000
    pairs_measured: int = 100_000
    bootstrap_rounds: int = 200
