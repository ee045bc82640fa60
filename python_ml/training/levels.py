"""Which values of a category a model learns one by one, which it pools, and which it forgets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from python_ml.training.frame import FloatArray, TextArray

MOST_LEARNED = 100
"""Levels with a code of their own; trees split hairs where there are more."""
FEWEST_CUSTOMERS = 20
"""Distinct customers that a level of its own must have."""
MOST_KNOWN = 1000
"""Levels that a bundle remembers; with more, the rarest count as never seen."""


@dataclass(frozen=True)
class Levels:
    """The levels of one category: ``learned`` each by itself, ``pooled`` as one.

    A level in neither was not seen in training, or too rarely to remember, and is missing.
    """

    learned: tuple[str, ...]
    pooled: tuple[str, ...] = ()

    @classmethod
    def of(cls, texts: pd.Series[Any], entity: TextArray) -> Levels:
        """Read the levels off training rows.

        Parameters
        ----------
        texts
            One text per row, ``None`` where it is missing.
        entity
            The customer of each row.
        """
        pairs = pd.DataFrame({"level": texts.to_numpy(object), "entity": entity}).drop_duplicates()
        customers = pairs["level"].value_counts()
        known = most_frequent(customers, MOST_KNOWN)
        learned = [x for x in most_frequent(customers, MOST_LEARNED) if _is_frequent(customers, x)]
        pooled = set(known) - set(learned)
        return cls(tuple(sorted(learned)), tuple(sorted(pooled)))

    def codes(self, values: pd.Series[Any]) -> FloatArray:
        """Return each row's level as a number; the pool is the last one, NaN what is missing."""
        place = {level: float(k) for k, level in enumerate(self.learned)}
        place |= dict.fromkeys(self.pooled, float(len(self.learned)))
        return of_levels(values, lambda name: place.get(name, np.nan), np.nan, np.float64)

    def to_dict(self) -> dict[str, list[str]]:
        """Return plain JSON types."""
        return {"learned": list(self.learned), "pooled": list(self.pooled)}


def as_text(values: pd.Series[Any]) -> pd.Series[Any]:
    """Return a categorical column as text, whole numbers without a decimal point.

    A nullable integer arrives as 3 or as 3.0, depending on whether a null came with it; both
    are the same level.
    """
    return pd.Series(of_levels(values, str, None, object), index=values.index, dtype=object)


def of_levels(
    values: pd.Series[Any], say: Callable[[str], Any], missing: Any, dtype: type
) -> np.ndarray:
    """Return what ``say`` says of each row's level as text, asked once for each level."""
    rows, levels = pd.factorize(values)
    said = [say(_name_of_level(level)) for level in levels.tolist()]
    return np.array([*said, missing], dtype=dtype)[rows]  # null is coded -1


def _name_of_level(value: Any) -> str:
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        return str(int(value))
    return str(value)


def most_frequent(counts: pd.Series[Any], most: int) -> list[str]:
    """Return the levels with the highest counts, ties by name, so that a rebuild agrees."""
    ordered = sorted(counts.items(), key=lambda item: (-int(item[1]), str(item[0])))
    return [str(level) for level, _ in ordered[:most]]


def _is_frequent(customers: pd.Series[Any], level: str) -> bool:
    return int(customers[level]) >= FEWEST_CUSTOMERS
