"""What the features looked like at the dates that a model was trained on: kept in its bundle."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from python_ml.training.frame import DayArray, FloatArray, TextArray
from python_ml.training.levels import as_text

BINS = 10
MOST_DATES = 24
DAYS_APART = 20
"""Dates that are closer to each other than this tell the same story twice."""
BLOCK_DAYS = 28
"""Where rows come day by day, so many days are one date: whole weeks."""
MOST_LEVELS = 300
"""A category with more levels than this has too many for an unseen one to mean anything."""
LEVELS_COMPARED = 20
EDGE_ROWS = 50_000
SEASON = "season_"
"""Categories of this theme are months, seasons, weekdays: they turn with the date."""
Counts = list[list[int]]
Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class FeatureReference:
    """One feature by date.

    Parameters
    ----------
    kind
        ``number`` or ``category``.
    edges
        Of a number: the bounds of its bins, tenths of all training rows.
    levels
        Of a category: the most frequent first.
    counts
        Rows by date and bin (one more than edges, or than levels: the rest), missing ones apart.
    missing
        Empty rows by date.
    moves_with_the_date
        True for what is one value for all rows of a date, and for what speaks of the calendar: its
        distribution says nothing but the date.
    """

    kind: str
    counts: Counts
    missing: list[int]
    edges: list[float] = field(default_factory=list)
    levels: list[str] = field(default_factory=list)
    moves_with_the_date: bool = False

    def counted(self, values: pd.Series[Any]) -> tuple[FloatArray, int, int]:
        """Return rows by bin, empty rows, and rows of an unseen category."""
        if self.kind == "number":
            numbers = values.to_numpy(np.float64, na_value=np.nan)
            known = numbers[~np.isnan(numbers)]
            places = np.searchsorted(np.asarray(self.edges), known, side="right")
            bins = np.bincount(places, minlength=len(self.edges) + 1).astype(np.float64)
            return bins, len(numbers) - len(known), 0
        texts = as_text(values)
        known_texts = texts.dropna()
        codes = pd.Index(self.levels).get_indexer(pd.Index(known_texts))
        unseen = int((codes < 0).sum())
        codes = np.where(codes < 0, len(self.levels), codes)
        bins = np.bincount(codes, minlength=len(self.levels) + 1).astype(np.float64)
        return bins, int(texts.isna().sum()), unseen if len(self.levels) < MOST_LEVELS else 0


@dataclass(frozen=True)
class Reference:
    """Every feature of one table by training date.

    Parameters
    ----------
    days
        The dates, ascending, as ``YYYY-MM-DD``.
    groups
        Distinct customers (or what else rows belong together by) of each date: what counts as a
        sample of its own.
    """

    days: list[str]
    groups: list[int]
    features: Mapping[str, FeatureReference]

    @property
    def day_numbers(self) -> FloatArray:
        """The dates as numbers of days."""
        return np.asarray(self.days, dtype="datetime64[D]").astype(np.float64)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "days": self.days,
            "groups": self.groups,
            "features": {name: asdict(feature) for name, feature in self.features.items()},
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Reference:
        """Read what :meth:`to_dict` wrote."""
        features = {n: FeatureReference(**f) for n, f in content["features"].items()}
        return cls(list(content["days"]), list(content["groups"]), features)


def make_reference(
    features: pd.DataFrame,
    as_of: DayArray,
    entity: TextArray,
    *,
    categorical: Sequence[str],
    calendar: Sequence[str] = (),
    in_blocks: bool = False,
) -> Reference:
    """Count every feature at the training dates.

    Parameters
    ----------
    in_blocks
        Rows are facts that come day by day: weeks of them are one date.
    """
    dates, date_of_row = _dated(as_of, in_blocks)
    rows_of = [np.flatnonzero(date_of_row == place) for place in range(len(dates))]
    groups = [len(set(entity[rows])) for rows in rows_of]
    kept = {
        str(name): _count(
            features[name],
            rows_of,
            name in categorical,
            name in calendar or (str(name).startswith(SEASON) and name in categorical),
        )
        for name in features.columns
    }
    return Reference([str(day) for day in dates], groups, kept)


def _dated(as_of: DayArray, in_blocks: bool) -> tuple[DayArray, Places]:
    """Return the dates that are kept, and for each row its date's place or -1."""
    days = np.unique(as_of)
    if len(days) == 0:
        return days, np.zeros(0, dtype=np.int64)
    if in_blocks:
        ages = (days[-1] - as_of).astype(np.int64) // BLOCK_DAYS
        most = min(int(ages.max()) + 1, MOST_DATES)
        dates = np.asarray([days[-1] - BLOCK_DAYS * age for age in range(most)][::-1])
        return dates, np.where(ages < most, most - 1 - ages, -1)
    kept = [days[-1]]
    for day in days[-2::-1]:
        if (kept[-1] - day).astype(int) >= DAYS_APART and len(kept) < MOST_DATES:
            kept.append(day)
    dates = np.asarray(kept[::-1])
    places = np.searchsorted(dates, as_of)
    is_kept = np.isin(as_of, dates)
    return dates, np.where(is_kept, places, -1)


def _count(
    values: pd.Series[Any], rows_of: Sequence[Places], is_category: bool, calendar: bool
) -> FeatureReference:
    if is_category:
        counts = as_text(values).value_counts()
        levels = [str(level) for level in counts.index[:MOST_LEVELS]]
        bare = FeatureReference("category", [], [], levels=levels)
    else:
        bare = FeatureReference("number", [], [], edges=_edges(values))
    counted = [bare.counted(values.iloc[rows]) for rows in rows_of]
    one_value = all(int((bins > 0).sum()) <= 1 for bins, _, _ in counted)
    return FeatureReference(
        kind=bare.kind,
        counts=[[int(count) for count in bins] for bins, _, _ in counted],
        missing=[missing for _, missing, _ in counted],
        edges=bare.edges,
        levels=bare.levels,
        moves_with_the_date=calendar or (one_value and len({str(c[0]) for c in counted}) > 1),
    )


def _edges(values: pd.Series[Any]) -> list[float]:
    """Return the bounds of tenths; a value that fills several of them is one bin."""
    numbers = values.to_numpy(np.float64, na_value=np.nan)
    numbers = numbers[~np.isnan(numbers)]
    if len(numbers) == 0:
        return []
    numbers = numbers[:: max(1, len(numbers) // EDGE_ROWS)]
    tenths = np.quantile(numbers, np.arange(1, BINS) / BINS, method="higher")
    edges = np.unique(tenths)
    # the lowest value, where many have it, is a bin of its own: no order, no return
    return [float(edge) for edge in edges if edge > numbers.min()] or [
        float(np.nextafter(numbers.max(), np.inf))
    ]


def write_references(parts: Mapping[str, Reference]) -> bytes:
    """Return the file of a bundle: one part, or customers and items for pairs."""
    content = {name: reference.to_dict() for name, reference in parts.items()}
    return json.dumps(content, sort_keys=True, allow_nan=False, separators=(",", ":")).encode()


def read_references(content: bytes) -> dict[str, Reference]:
    """Read what :func:`write_references` wrote."""
    return {name: Reference.from_dict(part) for name, part in json.loads(content).items()}
