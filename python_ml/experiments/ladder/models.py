"""The models of the rungs: small, quick, and the same for the same seed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lightgbm as lgb
import numpy as np
from sklearn.neural_network import MLPClassifier

from python_ml.experiments.ladder.balance import Rows
from python_ml.experiments.ladder.rungs import Model
from python_ml.training.frame import FloatArray
from python_ml.training.metrics import weighted_auc
from python_ml.training.recipes.base import to_probability
from python_ml.training.recipes.boosted import PARAMETERS
from python_ml.training.splits import customer_folds

Predict = Callable[[FloatArray], FloatArray]

TREES, MOST_DROPPED_TREES = 80, 120
HELD_OUT = 4
"""One part in so many of the customers chooses the number of trees, and the features."""
TREE: dict[str, Any] = {
    **PARAMETERS,
    "metric": "auc",
    "extra_trees": False,
    "feature_fraction": 0.6,
    "min_data_in_leaf": 20,
}
DART: dict[str, Any] = {**TREE, "boosting": "dart", "drop_rate": 0.1, "skip_drop": 0.5}
HIDDEN = (32, 16)
PENALTY = 0.1
MOST_PASSES = 12


def fit(kind: Model, rows: Rows, *, seed: int, threads: int) -> Predict:
    """Fit one model and return what predicts with it."""
    if len(np.unique(rows.label)) == 1:
        return lambda matrix: np.full(len(matrix), rows.label[0])
    if kind == "network":
        return _network(rows, seed)
    own = {"seed": seed % 2**31, "num_threads": threads}
    if kind == "dart":
        return _trees({**DART, **own}, rows, _rounds_by_auc({**DART, **own}, rows, seed))
    return _trees({**TREE, **own}, rows, TREES)


def costs_of_permuting(
    rows: Rows, terms: list[str], *, seed: int, threads: int
) -> dict[str, float]:
    """Return by how much AUC falls, for customers held out, when a column's values are shuffled.

    Parameters
    ----------
    terms
        The feature that each column of the matrix was made from.
    """
    held_out = _held_out(rows, seed)
    model = fit("trees", rows.take(np.flatnonzero(~held_out)), seed=seed, threads=threads)
    unseen = rows.take(np.flatnonzero(held_out))
    whole = _auc(unseen, model(unseen.matrix))
    random = np.random.default_rng(seed)
    found = {}
    for name in dict.fromkeys(terms):
        shuffled = unseen.matrix.copy()
        own = [i for i, term in enumerate(terms) if term == name]
        shuffled[:, own] = shuffled[random.permutation(len(shuffled))][:, own]
        found[name] = whole - _auc(unseen, model(shuffled))
    return found


def _trees(parameters: dict[str, Any], rows: Rows, rounds: int) -> Predict:
    booster = lgb.train(parameters, _dataset(rows), num_boost_round=rounds)

    def predict(matrix: FloatArray) -> FloatArray:
        raw = booster.predict(matrix, raw_score=True)
        return to_probability(np.asarray(raw, dtype=np.float64))

    return predict


def _rounds_by_auc(parameters: dict[str, Any], rows: Rows, seed: int) -> int:
    """Return the number of trees with the best AUC on customers held out.

    With dropout trees are changed after they were made, so that the first so many of a longer run
    are not the model of that length: LightGBM stops no such run early; the count is fitted anew.
    """
    held_out = _held_out(rows, seed)
    seen = _dataset(rows.take(np.flatnonzero(~held_out)))
    unseen = rows.take(np.flatnonzero(held_out))
    if len(np.unique(unseen.label)) == 1:
        return TREES
    history: dict[str, Any] = {}
    lgb.train(
        parameters,
        seen,
        num_boost_round=MOST_DROPPED_TREES,
        valid_sets=[lgb.Dataset(unseen.matrix, unseen.label, reference=seen)],
        callbacks=[lgb.record_evaluation(history)],
    )
    return int(np.argmax(history["valid_0"]["auc"])) + 1


def _network(rows: Rows, seed: int) -> Predict:
    """Fit a network for as many passes as do best on customers held out.

    Its own early stopping holds out rows, and neighbouring dates of a customer are nearly one row.
    """
    held_out = _held_out(rows, seed)
    seen, unseen = (rows.take(np.flatnonzero(mask)) for mask in (~held_out, held_out))
    trial, found = _new_network(seed), []
    for _ in range(MOST_PASSES):
        trial.partial_fit(seen.matrix, seen.label, classes=(0.0, 1.0))
        found.append(_auc(unseen, trial.predict_proba(unseen.matrix)[:, 1]))
    network = _new_network(seed)
    for _ in range(int(np.argmax(found)) + 1):
        network.partial_fit(rows.matrix, rows.label, classes=(0.0, 1.0))
    return lambda matrix: np.asarray(network.predict_proba(matrix)[:, 1], dtype=np.float64)


def _new_network(seed: int) -> MLPClassifier:
    return MLPClassifier(HIDDEN, alpha=PENALTY, learning_rate_init=0.002, random_state=seed % 2**31)


def _dataset(rows: Rows) -> lgb.Dataset:
    parameters = {key: TREE[key] for key in ("max_bin", "feature_pre_filter")}
    return lgb.Dataset(rows.matrix, label=rows.label, weight=rows.weight, params=parameters)


def _held_out(rows: Rows, seed: int) -> Any:
    return customer_folds(rows.entity, HELD_OUT, seed) == 0


def _auc(rows: Rows, probability: FloatArray) -> float:
    weights = np.ones((1, len(rows.label)))
    return float(np.nan_to_num(weighted_auc(rows.label, probability, weights)[0], nan=0.5))
