"""A backtest pooled over its folds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from python_ml.training.metrics import log_loss
from python_ml.watch.backtest import AS_CHOSEN, FoldTried, pool
from tests.python_ml.watch.test_challenge import tried


def folds() -> list[FoldTried]:
    return [
        FoldTried("bgnbd", tried("2025-01-01", seed=1)),
        FoldTried("boosted", tried("2025-02-01", seed=2)),
    ]


def test_what_each_fold_chose_is_pooled_beside_every_recipe() -> None:
    first, second = (fold.tried for fold in folds())
    lines = {line.recipe: line for line in pool(folds(), seed=1, rounds=50)}
    assert set(lines) == {
        AS_CHOSEN, "boosted", "bgnbd", "base_rate",
    }  # fmt: skip
    label = np.concatenate([first.label, second.label])
    chosen = np.concatenate([first.as_published["bgnbd"], second.as_published["boosted"]])
    assert lines[AS_CHOSEN].measurement.log_loss.value == pytest.approx(log_loss(label, chosen))
    worse = np.concatenate([first.as_is["boosted"], second.as_is["boosted"]])
    gain = lines["boosted"].gains["log_loss"]
    assert gain.value == pytest.approx(log_loss(label, worse) - log_loss(label, chosen))
    assert gain.low < gain.value < gain.high
    assert lines["base_rate"].gains["log_loss"].low > 0


def test_a_test_date_counts_once_and_untested_levels_not_at_all() -> None:
    once = pool(folds()[:1], seed=1, rounds=20)
    twice = pool([folds()[0], folds()[0]], seed=1, rounds=20)
    assert twice[0].measurement == once[0].measurement
    untested = replace(folds()[1].tried, level_tested=False)
    assert pool([folds()[0], FoldTried("bgnbd", untested)], seed=1, rounds=20)[0].folds == 1
    assert pool([FoldTried("bgnbd", untested)], seed=1) == []


def test_a_recipe_that_a_fold_could_not_try_is_left_out() -> None:
    poorer = tried("2025-02-01", seed=2, names="bgnbd")
    names = {line.recipe for line in pool([folds()[0], FoldTried("bgnbd", poorer)], seed=1)}
    assert names == {AS_CHOSEN, "bgnbd", "base_rate"}
