"""The rows that a model learns from, and what is known about when each could be known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from python_ml.errors import InputError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
DayArray = npt.NDArray[np.datetime64]
TextArray = npt.NDArray[np.object_]

DAYS_FOR_CALENDAR = 730
"""Two turns of the year: below it, a month is only the name of the date that it fell on."""


def as_day(day: date | str | np.datetime64) -> np.datetime64:
    """Return ``day`` as ``datetime64[D]``."""
    return np.datetime64(str(day), "D")


@dataclass(frozen=True, eq=False)
class TrainingFrame:
    """One row per entity and as-of date, sorted by (as-of date, entity).

    Parameters
    ----------
    features
        One column per feature: numbers as float64 with NaN for null, categoricals as given.
    categorical
        Names of the columns that hold categories.
    entity
        The customer of each row: the group for folds and for the bootstrap.
    as_of
        The midnight at which the features were true.
    label
        1 or 0.
    label_known_at
        The day from which the label may be used; the same for both answers.
    horizon_days
        Length of the window that the label looks at.
    calendar
        Names of the columns that speak of months or seasons.
    newest
        Features of everyone at the date that is to be scored, without labels. What needs no
        label (BG/NBD) is fitted on them: they know months more than the newest matured rows.

    Raises
    ------
    InputError
        If lengths differ, rows are not sorted, or a label is neither 0 nor 1.
    """

    features: pd.DataFrame
    categorical: tuple[str, ...]
    entity: TextArray
    as_of: DayArray
    label: FloatArray
    label_known_at: DayArray
    horizon_days: int
    newest: pd.DataFrame | None = None
    calendar: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "entity", np.asarray(self.entity, dtype=object))
        object.__setattr__(self, "as_of", np.asarray(self.as_of, dtype="datetime64[D]"))
        object.__setattr__(self, "label", np.asarray(self.label, dtype=np.float64))
        known = np.asarray(self.label_known_at, dtype="datetime64[D]")
        object.__setattr__(self, "label_known_at", known)
        self._check()

    def _check(self) -> None:
        sizes = {len(self.features), len(self.entity), len(self.as_of), len(self.label)}
        if len(sizes | {len(self.label_known_at)}) != 1:
            raise InputError(
                "Features, keys and labels differ in length.",
                "Read features and labels with one join on entity and as-of date.",
            )
        if not np.isin(self.label, (0.0, 1.0)).all():
            raise InputError(
                "A label is neither 0 nor 1.", "Leave out rows whose label is not known yet."
            )
        missing = [name for name in self.categorical if name not in self.features.columns]
        if missing:
            raise InputError(
                f"Categorical columns that are not among the features: {', '.join(missing)}.",
                "Take both from the same catalogue.",
            )
        later = self.as_of[1:] > self.as_of[:-1]
        same = self.as_of[1:] == self.as_of[:-1]
        if not (later | (same & (self.entity[1:] >= self.entity[:-1]))).all():
            raise InputError(
                "Rows are not sorted by as-of date and entity.",
                "Order the query by both: the same rows in another order give other figures.",
            )

    def __len__(self) -> int:
        return len(self.label)

    def rows(self, mask: BoolArray) -> TrainingFrame:
        """Return the rows where ``mask`` is true, in the same order."""
        return TrainingFrame(
            features=self.features.loc[mask].reset_index(drop=True),
            categorical=self.categorical,
            entity=self.entity[mask],
            as_of=self.as_of[mask],
            label=self.label[mask],
            label_known_at=self.label_known_at[mask],
            horizon_days=self.horizon_days,
            newest=self.newest,
            calendar=self.calendar,
        )

    def with_newest(self, features: pd.DataFrame | None) -> TrainingFrame:
        """Return the same rows with the features of the date that is to be scored."""
        return replace(self, newest=features)

    def matured_by(self, day: date | str | np.datetime64) -> TrainingFrame:
        """Return the rows whose label was known on ``day`` (rule 2: immature is not zero)."""
        return self.rows(self.label_known_at <= as_day(day))

    def at(self, day: date | str | np.datetime64) -> TrainingFrame:
        """Return the rows of one as-of date."""
        return self.rows(self.as_of == as_day(day))

    def dates(self) -> DayArray:
        """Return the distinct as-of dates, ascending."""
        return np.unique(self.as_of)

    def customers(self) -> int:
        """Return the number of distinct entities."""
        return len(set(self.entity))

    def customers_per_class(self) -> tuple[int, int]:
        """Return how many distinct entities have a row labelled 0, and how many one labelled 1."""
        return len(set(self.entity[self.label == 0])), len(set(self.entity[self.label == 1]))

    def groups(self) -> IntArray:
        """Return the entity of each row as a number from 0 up, in the order of their names."""
        codes, _ = pd.factorize(self.entity, sort=True)
        return np.asarray(codes, dtype=np.int64)

    def usable_columns(self) -> list[str]:
        """Return the columns that a model may learn from, in their given order.

        Left out are columns with a single value and, as long as the dates span less than two
        years, columns of the calendar and columns that are the same for every row of an as-of
        date. A month that was seen once is a name for what happened then, and what a model learns
        from it is that date's luck.
        """
        dates = self.dates()
        too_short = len(dates) == 0 or (dates[-1] - dates[0]).astype(int) < DAYS_FOR_CALENDAR
        firsts = np.searchsorted(self.as_of, dates)
        spread = np.searchsorted(dates, self.as_of)
        names = []
        for name in self.features.columns:
            codes, levels = pd.factorize(self.features[name], use_na_sentinel=False)
            constant = len(levels) <= 1
            date_level = bool((codes == codes[firsts][spread]).all())
            names_a_date = date_level or name in self.calendar
            if not constant and not (names_a_date and too_short):
                names.append(str(name))
        return names
