"""Which rows train and which test, by time and by customer (design rule 6)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import date
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from python_ml.errors import InputError
from python_ml.training.frame import (
    BoolArray,
    DayArray,
    FloatArray,
    IntArray,
    TextArray,
    TrainingFrame,
    as_day,
)

HashArray = npt.NDArray[np.uint64]

TEST_SHARE = 0.25
"""Share of customers that test where time cannot."""


@dataclass(frozen=True, eq=False)
class Split:
    """Training rows and test rows of one measurement.

    ``role`` is ``test`` for the one that is reported and ``origin`` for the earlier ones that
    recipes are chosen on. Test rows are those of ``test_date`` and, where as-of dates are tested
    in spans, of the days that follow. ``level_tested`` is false where the test rows come from the
    training dates, so that a change of the base rate over time cannot show.
    """

    role: Literal["test", "origin", "origins_pooled"]
    test_date: np.datetime64
    train: BoolArray
    test: BoolArray
    level_tested: bool = True


def stable_hash(names: TextArray, salt: str = "") -> HashArray:
    """Return one 64-bit number per name: the same on every machine and in every version.

    Python's own ``hash`` differs from process to process.
    """
    codes, levels = pd.factorize(np.asarray(names, dtype=object))
    prefix = salt.encode() + b"\x00"
    numbers = [
        int.from_bytes(hashlib.blake2b(prefix + str(x).encode(), digest_size=8).digest(), "big")
        for x in levels
    ]
    return np.array(numbers, dtype=np.uint64)[codes]


def customer_folds(entity: TextArray, folds: int, seed: int = 0) -> IntArray:
    """Return a fold number per row; all rows of a customer share one.

    Customers are dealt out in the order of a stable hash, so folds differ by at most one customer.
    """
    codes, levels = pd.factorize(np.asarray(entity, dtype=object))
    order = np.argsort(stable_hash(np.asarray(levels, dtype=object), f"fold{seed}"), kind="stable")
    fold_of = np.empty(len(levels), dtype=np.int64)
    fold_of[order] = np.arange(len(levels)) % folds
    return fold_of[codes]


def latest_split(
    frame: TrainingFrame, as_of: date | str | np.datetime64, span_days: int = 1
) -> Split:
    """Return the split that is reported: the latest as-of dates whose windows have closed.

    It trains on the dates whose windows had closed by that date. With less than two horizons of
    history there are none; then a quarter of the customers of all matured dates test, and
    ``level_tested`` is false.

    Raises
    ------
    InputError
        If no window has closed yet.
    """
    matured = frame.label_known_at <= as_day(as_of)
    if not matured.any():
        raise InputError(
            f"No outcome is known yet at {as_of}: no window of {frame.horizon_days} days closed.",
            "Wait for more history, or use a shorter --horizon.",
        )
    test_date = frame.as_of[matured].max() - (span_days - 1)
    train = frame.label_known_at <= test_date
    if _both_classes(frame, train):
        return Split("test", test_date, train, matured & _in_span(frame, test_date, span_days))
    bucket = stable_hash(frame.entity, "test") % np.uint64(1000)
    held_out = bucket < np.uint64(round(TEST_SHARE * 1000))
    return Split("test", test_date, matured & ~held_out, matured & held_out, level_tested=False)


def after_burn_in(frame: TrainingFrame, days: int) -> TrainingFrame:
    """Return the rows of the dates that stand ``days`` or more behind the first one.

    Where the data begin, everybody looks new: at the first dates regular customers cannot be told
    from newcomers, and later nobody is like them. At most the first half of the dates' span is
    left out, so that a young shop keeps its newest dates.
    """
    dates = frame.dates()
    if len(dates) == 0 or days == 0:
        return frame
    age = (dates - dates[0]).astype(np.int64)
    kept = dates[age >= min(days, age[-1] / 2)]
    return frame.rows(np.isin(frame.as_of, kept))


def windows_seen(frame: TrainingFrame) -> float:
    """Return how many windows that do not overlap the dates and their outcomes span."""
    dates = frame.dates()
    if len(dates) == 0:
        return 0.0
    span = int((dates[-1] - dates[0]).astype(np.int64))
    return (span + frame.horizon_days) / frame.horizon_days


def rolling_origins(
    frame: TrainingFrame,
    before: np.datetime64,
    *,
    most: int,
    customers: int,
    per_class: int,
    span_days: int = 1,
) -> list[Split]:
    """Return earlier measurements, oldest first, whose outcomes were all known at ``before``.

    Only origins that have enough to learn from and both answers to be measured on count. Where
    there are more than ``most``, they are spread from the first to the last: neighbours share
    most of their windows and would all tell of one season.
    """
    known = frame.label_known_at <= before
    found: list[Split] = []
    for day in _starts_of_spans(frame.as_of[known], span_days):
        train, test = frame.label_known_at <= day, known & _in_span(frame, day, span_days)
        if not _enough(frame.entity[train], frame.label[train], customers, per_class):
            break  # earlier dates have still less to learn from
        if _both_classes(frame, test):
            found.append(Split("origin", day, train, test))
    spread = np.unique(np.linspace(0, len(found) - 1, min(most, len(found))).round().astype(int))
    return [found[i] for i in spread][::-1]


def _starts_of_spans(dates: DayArray, span_days: int) -> DayArray:
    """Return the as-of dates that spans may start on, latest first: spans do not overlap."""
    days = np.unique(dates)
    if span_days == 1 or len(days) == 0:
        return days[::-1]
    return np.arange(days[-1] - (span_days - 1), days[0] - 1, -span_days)


def _in_span(frame: TrainingFrame, first: np.datetime64, days: int) -> BoolArray:
    return np.asarray((frame.as_of >= first) & (frame.as_of < first + days), dtype=np.bool_)


def sample_customers(frame: TrainingFrame, most_rows: int) -> BoolArray:
    """Return a mask of at most about ``most_rows`` rows: whole customers, by a stable hash."""
    if len(frame) <= most_rows:
        return np.ones(len(frame), dtype=np.bool_)
    share = most_rows / len(frame)
    return np.asarray(stable_hash(frame.entity, "sample") < np.uint64(share * 2.0**64))


def newest_rows(frame: TrainingFrame, most_rows: int) -> BoolArray:
    """Return a mask of at most ``most_rows`` rows: the newest as-of dates that fit in whole."""
    first = frame.as_of[len(frame) - most_rows - 1]
    return np.asarray(frame.as_of > first, dtype=np.bool_)


def at_most(frame: TrainingFrame, most_rows: int, *, keep_newest: bool) -> TrainingFrame:
    """Return the frame; where it has more rows, the newest, or those of some customers."""
    if len(frame) <= most_rows:
        return frame
    kept = newest_rows if keep_newest else sample_customers
    return frame.rows(kept(frame, most_rows))


def _both_classes(frame: TrainingFrame, mask: BoolArray) -> bool:
    return len(np.unique(frame.label[mask])) > 1


def _enough(entity: TextArray, label: FloatArray, customers: int, per_class: int) -> bool:
    classes = [len(set(entity[label == answer])) for answer in (0, 1)]
    return len(set(entity)) >= customers and min(classes) >= per_class
