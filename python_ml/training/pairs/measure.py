"""How good rankings are: NDCG and recall by customer, with bootstrap intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from python_ml.training.frame import FloatArray
from python_ml.training.metrics import LEVELS, Interval, customer_weights

AT = 10
"""Items that a customer is shown, unless the level says otherwise."""

Codes = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class RankingScores:
    """NDCG and recall of each customer who bought something new, in one fixed order."""

    ndcg: FloatArray
    recall: FloatArray


def ranking_scores(
    customer: Codes,
    score: FloatArray,
    hit: npt.NDArray[np.bool_],
    bought: Mapping[int, int],
    at: int = AT,
) -> RankingScores:
    """Return the scores of every customer of ``bought``.

    Parameters
    ----------
    customer
        Whose pair each row is.
    score
        Higher is better.
    hit
        Whether the pair came true.
    bought
        How many new items each customer then bought, candidates or not: what was no candidate
        counts as missed.
    at
        How many items are shown.
    """
    who, hits = customer, hit.astype(np.float64)
    place = place_within(customer, -score)
    shown = place < at
    gain = np.where(shown, hits / np.log2(place + 2.0), 0.0)
    top = int(customer.max(initial=-1)) + 1
    top = max(top, max(bought, default=-1) + 1)
    gains = np.bincount(who, weights=gain, minlength=top)
    found = np.bincount(who, weights=np.where(shown, hits, 0.0), minlength=top)
    ideal = np.cumsum(1.0 / np.log2(np.arange(at) + 2.0))
    people = np.array(sorted(bought), dtype=np.int64)
    count = np.array([bought[who_] for who_ in people], dtype=np.int64)
    return RankingScores(
        ndcg=gains[people] / ideal[np.minimum(count, at) - 1], recall=found[people] / count
    )


def place_within(customer: Codes, *keys: npt.NDArray[np.generic]) -> Codes:
    """Return each row's place among its customer's, from 0: by the first key, ties by the next."""
    order = np.lexsort((*keys[::-1], customer))
    who = customer[order]
    start = np.flatnonzero(np.r_[True, who[1:] != who[:-1]]) if len(who) else np.zeros(0, int)
    place = np.empty(len(who), dtype=np.int64)
    place[order] = np.arange(len(who)) - np.repeat(start, np.diff(np.r_[start, len(who)]))
    return place


def mean_interval(values: FloatArray, *, rounds: int, seed: int) -> Interval:
    """Return the mean over customers and its 95 % bootstrap interval."""
    if len(values) == 0:
        return Interval(float("nan"), float("nan"), float("nan"))
    weights = customer_weights(np.arange(len(values)), rounds, seed)
    means = weights @ values / weights.sum(axis=1)
    low, high = np.percentile(means, LEVELS)
    return Interval(float(values.mean()), float(low), float(high))


def candidate_recall(
    reach: Codes, hit: npt.NDArray[np.bool_], total: int, bounds: tuple[int, ...]
) -> dict[int, float]:
    """Return the share of what was bought that the best candidates hold, by how many are kept.

    Parameters
    ----------
    reach
        Each pair's place among the candidates of its customer.
    total
        New items that were bought, candidates or not.
    """
    return {
        bound: float((hit & (reach < bound)).sum()) / total if total else float("nan")
        for bound in bounds
    }
