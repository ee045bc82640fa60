"""How much is learned from: more dates where items are few."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import pytest

from python_ml.training.pairs.choose import PairTrainer, plan_dates
from python_ml.training.pairs.snapshot import Snapshot
from python_ml.training.pairs.spec import PairSpec
from python_ml.training.recipes import FittedModel, Popular, Ranker, Recipe
from tests.python_ml.training.pairs.shops import snapshot

MONTHS = np.arange("2022-01", "2024-06", dtype="datetime64[M]").astype("datetime64[D]")


def trainer(
    items: int, asked: list[date], recipe: Recipe | None = None, **spec: int
) -> PairTrainer:
    """A trainer of the made-up shop in which everybody then buys the next item but one."""
    shop = snapshot()

    def at(day: date) -> Snapshot:
        asked.append(day)
        return shop

    def truth(_day: date) -> pd.DataFrame:
        return pd.DataFrame(
            {"customer_id": shop.customers, "item_id": np.roll(shop.items, 1)[np.arange(60) % 24]}
        )

    given = PairSpec(recipes=(recipe or Popular(),), bootstrap_rounds=8, **spec)
    return PairTrainer(given, "product", items, 30, at, truth, 7, lambda: 1, lambda _text: None)


@pytest.mark.parametrize(("items", "dates"), [(5, 12), (24, 12), (100, 4), (200, 2), (5000, 2)])
def test_few_items_are_learned_from_more_dates(items: int, dates: int) -> None:
    assert trainer(items, [], train_dates=2, candidates=200).train_dates == dates


def test_more_dates_than_a_year_are_learned_from_only_where_they_are_asked_for() -> None:
    assert trainer(5, [], train_dates=15).train_dates == 15


def test_every_date_has_closed_by_the_day_on_which_the_model_is_tested() -> None:
    """The test date, the dates before it and the one that chooses are apart in time."""
    asked: list[date] = []
    known = MONTHS + np.timedelta64(31, "D")
    result = trainer(24, asked, train_dates=2).train(MONTHS, known, date(2024, 6, 1))
    assert len(result.dates) == 12
    assert result.dates[-1] == "2024-05-01" == result.ranking[0].test_date
    before = plan_dates(MONTHS, known, np.datetime64("2024-05-01"), 12)
    assert before[-1] == np.datetime64("2024-03-01")
    assert set(asked) >= {day.astype(object) for day in before}
    assert max(asked) == date(2024, 5, 1)


def test_recipes_are_compared_as_they_say_and_measured_as_they_are() -> None:
    fitted: list[str] = []

    class Heavy(Popular):
        weight = "heavy"

        def for_choosing(self) -> Recipe:
            light = Heavy()
            light.weight = "light"
            return light

        def fit(self, *args: Any, **kwargs: Any) -> FittedModel:
            fitted.append(self.weight)
            return super().fit(*args, **kwargs)

    known = MONTHS + np.timedelta64(31, "D")
    trainer(24, [], recipe=Heavy(), train_dates=2).train(MONTHS, known, date(2024, 6, 1))
    assert fitted == ["light", "heavy"]  # the last fit is of what the chosen model says of itself


def test_a_ranker_is_compared_by_one_forest_of_each_kind() -> None:
    ranker = Ranker(bags=3, pace=2)
    assert ranker.for_choosing() == Ranker(bags=1, pace=2)
