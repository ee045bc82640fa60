from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from python_ml.errors import InputError
from python_ml.training.frame import TrainingFrame
from python_ml.training.splits import (
    after_burn_in,
    customer_folds,
    latest_split,
    rolling_origins,
    sample_customers,
    stable_hash,
    windows_seen,
)

DAY = np.datetime64("2020-01-01")
STABLE_C1, STABLE_C2 = 7984095753838653354, 5540620009190939337


@st.composite
def frames(draw: st.DrawFn) -> TrainingFrame:
    days = sorted(draw(st.sets(st.integers(0, 400), min_size=1, max_size=8)))
    customers = draw(st.integers(2, 8))
    horizon = draw(st.integers(1, 200))
    labels = draw(
        st.lists(
            st.sampled_from([0.0, 1.0]),
            min_size=len(days) * customers,
            max_size=len(days) * customers,
        )
    )
    as_of = np.repeat([DAY + day for day in days], customers)
    return TrainingFrame(
        features=pd.DataFrame({"recency_days": np.arange(float(len(as_of)))}),
        categorical=(),
        entity=np.tile([f"c{i}" for i in range(customers)], len(days)),
        as_of=as_of,
        label=np.array(labels),
        label_known_at=as_of + horizon + 1,
        horizon_days=horizon,
    )


@settings(max_examples=60, deadline=None)
@given(frames(), st.integers(0, 700))
def test_nothing_is_learned_from_an_outcome_known_after_the_test_date(
    frame: TrainingFrame, day: int
):
    as_of = DAY + day
    if not (frame.label_known_at <= as_of).any():
        with pytest.raises(InputError, match="No outcome is known"):
            latest_split(frame, as_of)
        return
    split = latest_split(frame, as_of)
    assert (frame.label_known_at[split.test] <= as_of).all()
    assert (frame.label_known_at[split.train] <= as_of).all()
    assert not (split.train & split.test).any()
    if split.level_tested:
        assert (frame.label_known_at[split.train] <= split.test_date).all()
        assert (frame.as_of[split.test] == split.test_date).all()
        assert split.test_date == frame.as_of[frame.label_known_at <= as_of].max()
    else:
        assert not set(frame.entity[split.train]) & set(frame.entity[split.test])


@settings(max_examples=60, deadline=None)
@given(frames(), st.integers(0, 700), st.integers(1, 4))
def test_origins_know_nothing_of_the_test_date_and_train_on_nothing_later_than_themselves(
    frame: TrainingFrame, day: int, most: int
):
    before = DAY + day
    origins = rolling_origins(frame, before, most=most, customers=2, per_class=1)
    assert len(origins) <= most
    assert [o.test_date for o in origins] == sorted({o.test_date for o in origins})
    for origin in origins:
        assert (frame.label_known_at[origin.test] <= before).all()
        assert (frame.label_known_at[origin.train] <= origin.test_date).all()
        assert set(frame.label[origin.test]) == {0.0, 1.0}


def test_the_test_date_is_the_latest_closed_window_and_training_stops_before_it(
    frame: TrainingFrame,
):
    split = latest_split(frame, "2021-12-31")
    assert split.test_date == frame.dates()[-1]
    assert split.level_tested
    assert frame.as_of[split.train].max() == frame.dates()[-3]  # 60 days apart, 91 to mature


def test_with_less_than_two_horizons_customers_are_split_and_the_level_is_not_tested(
    frame: TrainingFrame,
):
    young = frame.rows(frame.as_of <= frame.dates()[1])
    split = latest_split(young, "2022-01-01")
    assert not split.level_tested
    share = len(set(young.entity[split.test])) / young.customers()
    assert 0.15 < share < 0.35


def test_origins_are_spread_over_the_history(frame: TrainingFrame):
    every = rolling_origins(frame, frame.dates()[-1], most=99, customers=100, per_class=10)
    two = rolling_origins(frame, frame.dates()[-1], most=2, customers=100, per_class=10)
    assert len(every) > 2
    assert [o.test_date for o in two] == [every[0].test_date, every[-1].test_date]


def test_origins_with_too_few_customers_are_left_out(frame: TrainingFrame):
    assert rolling_origins(frame, frame.dates()[-1], most=9, customers=10**6, per_class=1) == []


def test_folds_keep_customers_whole_and_equal_in_number():
    entity = np.repeat(np.array([f"c{i}" for i in range(103)], dtype=object), 3)
    fold = customer_folds(entity, 4, seed=1)
    assert all(len(set(fold[entity == name])) == 1 for name in set(entity))
    sizes = [len(set(entity[fold == k])) for k in range(4)]
    assert max(sizes) - min(sizes) <= 1
    assert (fold != customer_folds(entity, 4, seed=2)).any()


def test_the_hash_of_a_name_never_changes():
    assert stable_hash(np.array(["c1", "c2"], dtype=object)).tolist() == [STABLE_C1, STABLE_C2]


def test_sampling_takes_whole_customers(frame: TrainingFrame):
    mask = sample_customers(frame, len(frame) // 3)
    assert 0.25 < mask.mean() < 0.42
    assert not set(frame.entity[mask]) & set(frame.entity[~mask])
    assert sample_customers(frame, len(frame)).all()


def frame_at(days: list[int], horizon: int = 90) -> TrainingFrame:
    as_of = np.array([DAY + day for day in days])
    return TrainingFrame(
        features=pd.DataFrame({"recency_days": np.arange(float(len(days)))}),
        categorical=(),
        entity=np.array(["ada"] * len(days), dtype=object),
        as_of=as_of,
        label=np.zeros(len(days)),
        label_known_at=as_of + horizon + 1,
        horizon_days=horizon,
    )


@pytest.mark.parametrize(
    ("days", "kept"),
    [
        ([0, 30, 60, 90, 120, 400], [90, 120, 400]),
        ([0, 31, 59, 90, 120], [90, 120]),
        ([0, 30, 61], [61]),
        ([0], [0]),
    ],
)
def test_the_first_dates_do_not_train_but_a_young_shop_keeps_its_newest(
    days: list[int], kept: list[int]
) -> None:
    burned_in = after_burn_in(frame_at(days), 90)
    assert [int((day - DAY).astype(int)) for day in burned_in.dates()] == kept


def test_without_burn_in_every_date_trains() -> None:
    assert len(after_burn_in(frame_at([0, 30, 60]), 0)) == 3


def test_windows_that_overlap_count_once() -> None:
    assert windows_seen(frame_at([0])) == 1
    assert windows_seen(frame_at([0, 30, 60, 90])) == 2
    assert windows_seen(frame_at([0, 360], horizon=180)) == 3
