"""First-stage models against their definitions."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from python_ml.training.pairs.first_stage import (
    LEAST_RIDGE,
    RIDGE_OF_MEAN,
    fit_first_stage,
)


def bought(seed: int = 1, customers: int = 80, items: int = 12) -> sparse.csr_matrix:
    random = np.random.default_rng(seed)
    return sparse.csr_matrix((random.random((customers, items)) < 0.3).astype(np.float32))


def test_ease_is_the_closed_form() -> None:
    matrix = bought()
    gram = (matrix.T @ matrix).toarray().astype(np.float64)
    ridge = max(RIDGE_OF_MEAN * gram.diagonal().mean(), LEAST_RIDGE)
    inverse = np.linalg.inv(gram + ridge * np.eye(len(gram)))
    expected = -inverse / np.diag(inverse)[None, :]
    np.fill_diagonal(expected, 0.0)
    np.testing.assert_allclose(fit_first_stage(matrix).ease, expected, rtol=1e-3, atol=1e-6)


def test_nothing_recommends_itself() -> None:
    stage = fit_first_stage(bought())
    assert np.abs(stage.ease.diagonal()).max() == 0
    assert np.abs(stage.cosine.diagonal()).max() == 0


def test_what_is_bought_together_is_proposed() -> None:
    together = np.zeros((40, 4), dtype=np.float32)
    together[:20, :2] = 1
    together[20:, 2:] = 1
    stage = fit_first_stage(sparse.csr_matrix(together))
    first_only = sparse.csr_matrix(np.array([[1, 0, 0, 0]], dtype=np.float32))
    for name, scores in stage.scores(first_only, first_only).items():
        assert scores[0, 1] > scores[0, 2], name


def test_only_the_most_bought_items_have_scores() -> None:
    matrix = bought(items=10)
    stage = fit_first_stage(matrix, most_items=3)
    weight = np.asarray(matrix.sum(axis=0)).ravel()
    assert set(stage.top) == set(np.argsort(-weight, kind="stable")[:3])
    scores = stage.scores(matrix, matrix)["ease"]
    assert scores.shape == matrix.shape
    assert np.abs(np.delete(scores, stage.top, axis=1)).max() == 0


def test_a_shop_of_one_item_is_no_error() -> None:
    alone = sparse.csr_matrix(np.ones((3, 1), dtype=np.float32))
    assert fit_first_stage(alone).scores(alone, alone)["low_rank"].shape == (3, 1)


def test_the_same_purchases_give_the_same_factors() -> None:
    together = np.zeros((40, 4), dtype=np.float32)
    together[:20, :2] = 1
    together[20:, 2:] = 1
    first, *others = [fit_first_stage(sparse.csr_matrix(together)) for _ in range(20)]
    for other in others:
        assert (other.factors_out == first.factors_out).all()
