"""Balancing training rows, and the way back to their prior."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest

from python_ml.experiments.ladder.balance import Rows, balanced, prior_shift
from python_ml.experiments.ladder.models import fit
from python_ml.experiments.ladder.rungs import Balance
from python_ml.training.level import apply_shift


def rows(count: int = 2_000, share: float = 0.15, seed: int = 1) -> Rows:
    """Rows whose label hangs on the first of three columns."""
    random = np.random.default_rng(seed)
    matrix = random.normal(size=(count, 3))
    cut = np.quantile(matrix[:, 0] + random.normal(size=count), 1 - share)
    label = (matrix[:, 0] + random.normal(size=count) > cut).astype(float)
    names = np.array([f"c{i % (count // 2)}" for i in range(count)], dtype=object)
    return Rows(matrix, label, names, np.ones(count), np.where(label > 0, 4.0, 1.0))


@pytest.mark.parametrize("kind", ["smote", "smote_tomek", "under", "class_weights"])
def test_classes_count_alike_after_balancing(kind: Balance) -> None:
    assert balanced(kind, rows(), seed=1).rate == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("kind", ["noise", "bootstrap"])
def test_augmenting_doubles_the_rows_and_keeps_the_share_of_ones(kind: Balance) -> None:
    before = rows()
    after = balanced(kind, before, seed=1)
    assert len(after.label) == 2 * len(before.label)
    assert after.rate == pytest.approx(before.rate, abs=0.02)


@pytest.mark.parametrize("kind", get_args(Balance))
def test_the_same_seed_balances_the_same_way(kind: Balance) -> None:
    first, second = (balanced(kind, rows(), seed=7) for _ in range(2))
    assert first.matrix.tobytes() == second.matrix.tobytes()
    assert first.weight.tobytes() == second.weight.tobytes()


def test_made_rows_belong_to_no_customer() -> None:
    before = rows()
    after = balanced("smote", before, seed=1)
    made = after.entity[len(before.label) :]
    assert len(made) > 0
    assert not set(made) & set(before.entity)


def test_rows_of_one_class_stay_as_they_are() -> None:
    before = rows()
    ones = before.take(np.flatnonzero(before.label > 0))
    assert balanced("smote", ones, seed=1) is ones


@pytest.mark.parametrize("kind", ["under", "class_weights"])
def test_the_shift_brings_back_the_share_that_comes_true(kind: Balance) -> None:
    train, test = rows(8_000), rows(4_000, seed=2)
    shown = balanced(kind, train, seed=1)
    promised = fit("trees", shown, seed=1, threads=1)(test.matrix)
    corrected = apply_shift(promised, prior_shift(train, shown))
    assert promised.mean() > test.label.mean() + 0.1
    assert corrected.mean() == pytest.approx(test.label.mean(), abs=0.02)
    assert (np.argsort(corrected) == np.argsort(promised)).all()
