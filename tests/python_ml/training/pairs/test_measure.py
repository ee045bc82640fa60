"""Ranking metrics against scikit-learn, and what counts as missed."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from python_ml.training.pairs.measure import candidate_recall, mean_interval, ranking_scores


@settings(deadline=None)  # machines are noisy
@given(st.lists(st.booleans(), min_size=12, max_size=40), st.integers(0, 2**32 - 1))
def test_ndcg_is_that_of_scikit_learn(hits: list[bool], seed: int) -> None:
    hit = np.array(hits)
    if not hit.any():
        hit[0] = True
    score = np.random.default_rng(seed).permutation(len(hit)).astype(float)
    found = ranking_scores(np.zeros(len(hit), dtype=np.int64), score, hit, {0: int(hit.sum())})
    expected = ndcg_score(hit[None, :].astype(int), score[None, :], k=10)
    np.testing.assert_allclose(found.ndcg[0], expected, rtol=1e-9)


def test_what_was_no_candidate_counts_as_missed() -> None:
    customer = np.array([0, 0, 1], dtype=np.int64)
    score, hit = np.array([0.9, 0.1, 0.5]), np.array([True, False, False])
    found = ranking_scores(customer, score, hit, {0: 2, 1: 1, 7: 1})
    np.testing.assert_allclose(found.recall, [0.5, 0.0, 0.0])
    assert found.ndcg[0] < 1.0


def test_candidate_recall_grows_with_the_bound() -> None:
    reach, hit = np.array([0, 1, 2, 3]), np.array([True, False, True, True])
    assert candidate_recall(reach, hit, 4, (1, 3, 4)) == {1: 0.25, 3: 0.5, 4: 0.75}


def test_an_interval_holds_its_mean() -> None:
    values = np.random.default_rng(1).random(500)
    interval = mean_interval(values, rounds=200, seed=1)
    assert interval.low < interval.value < interval.high
