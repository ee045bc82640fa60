"""The gates on features: what is caught, what a shop's own habit and size excuse."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest

from python_ml.watch.features import Looked, judge_features
from python_ml.watch.findings import Verdict
from python_ml.watch.reference import (
    Reference,
    make_reference,
    read_references,
    write_references,
)
from python_ml.watch.thresholds import read_thresholds

FIRST = date(2024, 1, 1)
MONTHS = 14
NOW = FIRST + timedelta(days=30 * (MONTHS + 6))
CUSTOMERS = 2_000


def drawn(month: int, customers: int = CUSTOMERS) -> pd.DataFrame:
    """Customers of one month: one feature is steady, one grows with the shop, one has gaps."""
    random = np.random.default_rng(month)
    return pd.DataFrame(
        {
            "monetary_spend": random.gamma(2.0, 50.0, customers),
            "recency_tenure_days": random.uniform(0, 200 + 30 * month, customers),
            "rhythm_gap_days": np.where(
                random.random(customers) < 0.3, np.nan, random.gamma(3.0, 10.0, customers)
            ),
            "season_month": float(month % 12),
            "attribute_state": random.choice(["NY", "CA", "TX"], customers, p=[0.5, 0.3, 0.2]),
        }
    )


def reference_of(customers: int = CUSTOMERS, months: int = MONTHS) -> Reference:
    frames = [drawn(month, customers) for month in range(months)]
    days = [FIRST + timedelta(days=30 * month) for month in range(months)]
    made = make_reference(
        pd.concat(frames, ignore_index=True),
        np.repeat(np.asarray(days, dtype="datetime64[D]"), customers),
        np.tile(np.asarray([f"c{n}" for n in range(customers)], dtype=object), months),
        categorical=("season_month", "attribute_state"),
        calendar=("season_month",),
    )
    return read_references(write_references({"": made}))[""]


@pytest.fixture(scope="module")
def reference() -> Reference:
    return reference_of()


def judged(
    reference: Reference, features: pd.DataFrame, before: pd.DataFrame | None = None
) -> Verdict:
    then = None if before is None else Looked(NOW - timedelta(days=30), before, len(before))
    return judge_features(reference, Looked(NOW, features, len(features)), then, read_thresholds())


def now(customers: int = CUSTOMERS) -> pd.DataFrame:
    return drawn(MONTHS + 6, customers)


def test_an_ordinary_month_passes_though_tenure_has_grown(reference: Reference) -> None:
    verdict = judged(reference, now(), drawn(MONTHS + 5))
    assert verdict.level == "passed", verdict.text()


@pytest.mark.parametrize(("share", "level"), [(0.05, "warn"), (0.15, "refuse"), (0.3, "refuse")])
def test_a_feature_that_is_empty_is_caught_by_its_share(
    reference: Reference, share: float, level: str
) -> None:
    features = now()
    features.loc[: int(share * CUSTOMERS) - 1, "monetary_spend"] = np.nan
    verdict = judged(reference, features)
    assert verdict.level == level
    assert f"monetary_spend is empty in {share:.1%} of the rows" in verdict.text()


@pytest.mark.parametrize(("factor", "level"), [(1.0, "passed"), (1.5, "warn"), (10.0, "refuse")])
def test_a_feature_that_is_multiplied_is_caught_by_its_drift(
    reference: Reference, factor: float, level: str
) -> None:
    features = now()
    features["monetary_spend"] *= factor
    verdict = judged(reference, features)
    assert verdict.level == level, verdict.text()
    if level != "passed":
        assert [f.subject for f in verdict.findings] == ["monetary_spend"]


def test_a_step_is_caught_where_the_training_dates_lie_far_apart(reference: Reference) -> None:
    features = now()
    features["recency_tenure_days"] = features["recency_tenure_days"].clip(upper=250)
    verdict = judged(reference, features, drawn(MONTHS + 5))
    assert [(f.gate, f.subject) for f in verdict.findings] == [("step", "recency_tenure_days")]


def test_a_category_with_another_name_is_caught_and_named(reference: Reference) -> None:
    features = now()
    features["attribute_state"] = features["attribute_state"].replace("TX", "Te{x}as")
    verdict = judged(reference, features)
    assert verdict.level == "refuse"
    assert "'Te{x}as'" in verdict.text()


def test_a_category_of_many_levels_is_compared_by_its_most_frequent() -> None:
    random = np.random.default_rng(5)
    levels = np.asarray([f"brand {number:02}" for number in range(40)], dtype=object)
    weights = np.linspace(2, 0.2, 40)
    brands = random.choice(levels, 6 * CUSTOMERS, p=weights / weights.sum())
    made = make_reference(
        pd.DataFrame({"attribute_brand": brands}),
        np.repeat(
            np.asarray([FIRST + timedelta(days=30 * n) for n in range(6)], "datetime64[D]"),
            CUSTOMERS,
        ),
        np.tile(np.arange(CUSTOMERS).astype(str).astype(object), 6),
        categorical=("attribute_brand",),
    )
    usual = pd.DataFrame({"attribute_brand": brands[:CUSTOMERS]})
    assert judged(made, usual).level == "passed"
    moved = usual.assign(attribute_brand="brand 07")
    verdict = judged(made, moved)
    assert verdict.level == "refuse"
    assert "'brand 07'" in verdict.text()


def test_what_speaks_of_the_calendar_is_not_drift(reference: Reference) -> None:
    assert reference.features["season_month"].moves_with_the_date
    features = now()
    features["season_month"] = 11.0
    assert judged(reference, features).level == "passed"


@pytest.mark.parametrize("seed", range(8))
def test_a_small_shop_does_not_alarm(seed: int) -> None:
    tenure = now(120)["recency_tenure_days"]
    features, before = (
        drawn(number + seed, 120).assign(recency_tenure_days=tenure) for number in (1000, 2000)
    )
    verdict = judged(reference_of(customers=120), features, before)
    assert verdict.level == "passed", verdict.text()


def test_a_shop_of_very_few_is_not_judged(reference: Reference) -> None:
    verdict = judged(reference, now(50))
    assert verdict.not_judged
    assert not verdict.findings


def test_a_first_month_has_no_usual() -> None:
    verdict = judged(reference_of(months=1), now())
    assert verdict.level == "passed"
    assert any("training dates" in reason for reason in verdict.not_judged)


def test_rows_that_come_day_by_day_are_counted_by_weeks() -> None:
    days = np.arange("2024-01-01", "2024-04-01", dtype="datetime64[D]")
    rows = np.repeat(days, 5)
    made = make_reference(
        pd.DataFrame({"basket_value": np.arange(len(rows), dtype=np.float64)}),
        rows,
        np.asarray([str(n) for n in range(len(rows))], dtype=object),
        categorical=(),
        in_blocks=True,
    )
    assert made.days == ["2024-01-07", "2024-02-04", "2024-03-03", "2024-03-31"]
    counted = [sum(counts) for counts in made.features["basket_value"].counts]
    assert counted[1:] == [28 * 5] * 3
    assert sum(counted) == len(rows)


STATES = ("empty", "one value", "many")


def in_state(state: str, month: int) -> pd.DataFrame:
    """A number and a category that are empty, that have one value, or that have many."""
    features = drawn(month)[["monetary_spend", "attribute_state"]]
    if state == "empty":
        features["monetary_spend"] = np.nan
        features["attribute_state"] = None
    if state == "one value":
        features["monetary_spend"] = 3.0
        features["attribute_state"] = "NY"
    return features


@pytest.mark.parametrize("trained", STATES)
@pytest.mark.parametrize("then", STATES)
@pytest.mark.parametrize("scored", STATES)
def test_features_are_judged_whatever_is_empty(trained: str, then: str, scored: str) -> None:
    days = [FIRST + timedelta(days=30 * month) for month in range(MONTHS)]
    reference = make_reference(
        pd.concat([in_state(trained, month) for month in range(MONTHS)], ignore_index=True),
        np.repeat(np.asarray(days, dtype="datetime64[D]"), CUSTOMERS),
        np.tile(np.asarray([f"c{n}" for n in range(CUSTOMERS)], dtype=object), MONTHS),
        categorical=("attribute_state",),
    )
    verdict = judged(reference, in_state(scored, MONTHS + 6), in_state(then, MONTHS + 5))
    numbers = [finding for finding in verdict.findings if finding.subject == "monetary_spend"]
    if trained == "empty":  # no model looks at it
        assert numbers == []
    elif trained == then == scored:
        assert verdict.level == "passed"
    elif scored == "empty":
        assert [finding.level for finding in numbers if finding.gate == "missing"] == ["refuse"]
