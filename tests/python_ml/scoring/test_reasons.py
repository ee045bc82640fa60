"""Reasons: the strongest themes, strongest first, each in words."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from python_ml.scoring.reasons import REASONS_PER_ROW, top_reasons
from python_ml.scoring.words import in_words
from python_ml.warehouse.catalogue import Feature

FEATURES = (
    Feature("recency_days", "feature", "", says="last order {value} days ago"),
    Feature("recency_gap", "feature", "", says="silent for {value} gaps"),
    Feature("frequency_orders", "feature", "", says="{value} orders"),
    Feature("basket_lines", "feature", ""),
    Feature("attribute_customer_state", "categorical", ""),
)


def reasons_of(contributions: list[float], values: list[object]) -> list[dict[str, object]]:
    names = [feature.name for feature in FEATURES]
    [row] = top_reasons(
        pd.DataFrame([contributions], columns=names),
        pd.DataFrame([values], columns=names),
        FEATURES,
    )
    found: list[dict[str, object]] = json.loads(row)
    return found


def test_themes_count_by_their_sum_and_the_strongest_come_first() -> None:
    reasons = reasons_of([0.5, 0.25, -2.0, 0.1, 0.6], [3.0, 1.5, 1.0, 2.0, "WA"])
    assert [(reason["theme"], reason["logit"]) for reason in reasons] == [
        ("frequency", -2.0),
        ("recency", 0.75),
        ("attribute", 0.6),
    ]
    assert len(reasons) == REASONS_PER_ROW


def test_a_theme_is_told_through_what_pushed_its_way() -> None:
    first, *_ = reasons_of([1.5, -3.0, 0.0, 0.0, 0.0], [3.0, 4.5, 1.0, 2.0, "WA"])
    assert (first["feature"], first["logit"]) == ("recency_gap", -1.5)
    assert first["words"] == "silent for 4.5 gaps"
    assert first["value"] == 4.5


def test_what_is_missing_is_said_to_be() -> None:
    first, *_ = reasons_of([0.0, -3.0, 0.0, 0.0, 0.0], [3.0, np.nan, 1.0, 2.0, None])
    assert (first["value"], first["words"]) == (None, "gap not known")


def test_fewer_themes_than_reasons_give_what_there_is() -> None:
    one = pd.DataFrame({"recency_days": [0.5, -0.5]})
    rows = top_reasons(one, one, FEATURES)
    assert [len(json.loads(row)) for row in rows] == [1, 1]


@pytest.mark.parametrize(
    ("says", "value", "words"),
    [
        ("{value} orders", 3.0, "3 orders"),
        ("spent {value}", 12345.678, "spent 12,346"),
        ("{value} a month", 1.26, "1.3 a month"),
        ("{value} a day", 0.0321, "0.032 a day"),
        ("{value:%} of lines", 0.256, "26% of lines"),
        ("{value:+} orders", 2.0, "+2 orders"),
        ("{value:+} orders", -2.0, "-2 orders"),
        ("most in {value:month}", 12.0, "most in December"),
        ("most on {value:weekday}", 1, "most on Monday"),
        ("most from {value:season}", 4.0, "most from September to November"),
        (None, "WA", "customer state WA"),
    ],
)
def test_values_are_said_in_words(says: str | None, value: object, words: str) -> None:
    name = "attribute_customer_state" if says is None else "monetary_x"
    assert in_words(Feature(name, "feature", "", says=says), value) == words


@pytest.mark.parametrize(
    ("value", "said"),
    [(1.0, "1 order"), (21.0, "21 orders"), (0.1, "0.1 orders"), (0.0, "0 orders")],
)
def test_one_is_no_plural(value: float, said: str) -> None:
    assert in_words(FEATURES[2], value) == said
