"""Categories with many levels: learned, pooled, forgotten."""

from __future__ import annotations

import numpy as np
import pandas as pd

from python_ml.training.levels import FEWEST_CUSTOMERS, MOST_KNOWN, MOST_LEARNED, Levels


def levels_of(texts: list[str | None], entity: list[str] | None = None) -> Levels:
    names = entity or [str(i) for i in range(len(texts))]
    return Levels.of(pd.Series(texts, dtype=object), np.array(names, dtype=object))


def test_frequent_levels_are_learned_rare_ones_are_pooled_unseen_ones_are_missing() -> None:
    levels = levels_of(["red"] * 30 + ["blue"] * 25 + ["puce", "mauve", None])
    codes = levels.codes(pd.Series(["blue", "red", "puce", "mauve", "unheard of", None]))
    assert codes[:2].tolist() == [0, 1]
    assert codes[2] == codes[3] == 2
    assert np.isnan(codes[4:]).all()


def test_a_level_counts_customers_and_not_rows() -> None:
    levels = levels_of(["red"] * 100, ["ada"] * 100)
    assert levels.learned == ()
    assert levels.pooled == ("red",)


def test_any_number_of_levels_stays_bounded() -> None:
    texts = [f"level {i:05d}" for i in range(5 * MOST_KNOWN) for _ in range(FEWEST_CUSTOMERS)]
    levels = levels_of(texts)
    assert len(levels.learned) == MOST_LEARNED
    assert len(levels.learned) + len(levels.pooled) == MOST_KNOWN
