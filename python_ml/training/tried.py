"""What every recipe said of the test rows, kept so that others can be compared on the same rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from python_ml.training.frame import DayArray, FloatArray, TextArray
from python_ml.training.splits import stable_hash

MOST_ROWS = 20_000
"""Rows of a test that a bundle keeps: whole customers, always the same ones."""
DIGITS = 6


@dataclass(frozen=True, eq=False)
class Tried:
    """The rows of one test and what recipes said of them.

    Parameters
    ----------
    key
        Hash of customer, as-of date and place: the same row has the same key in every training.
    group
        Hash of the customer: what is drawn together in a bootstrap.
    as_is, as_published
        Predictions by recipe; published ones are calibrated and at their level.
    level_tested
        False where the test rows come from the training dates.
    """

    test_date: str
    level_tested: bool
    key: TextArray
    group: TextArray
    label: FloatArray
    as_is: Mapping[str, FloatArray]
    as_published: Mapping[str, FloatArray]

    def to_json(self) -> bytes:
        """Return the file of a bundle; large tests are cut to whole customers."""
        kept = np.ones(len(self.label), dtype=bool)
        if len(kept) > MOST_ROWS:
            share = MOST_ROWS / len(kept)
            kept = stable_hash(self.group, "tried") < np.uint64(share * 2.0**64)
        content = {
            "test_date": self.test_date,
            "level_tested": self.level_tested,
            "key": self.key[kept].tolist(),
            "group": self.group[kept].tolist(),
            "label": self.label[kept].astype(int).tolist(),
            "as_is": {name: _short(values[kept]) for name, values in self.as_is.items()},
            "as_published": {
                name: _short(values[kept]) for name, values in self.as_published.items()
            },
        }
        return json.dumps(content, sort_keys=True, allow_nan=False, separators=(",", ":")).encode()

    @classmethod
    def from_json(cls, content: bytes) -> Tried:
        """Read what :meth:`to_json` wrote."""
        given = json.loads(content)
        return cls(
            test_date=str(given["test_date"]),
            level_tested=bool(given["level_tested"]),
            key=np.asarray(given["key"], dtype=object),
            group=np.asarray(given["group"], dtype=object),
            label=np.asarray(given["label"], dtype=np.float64),
            as_is={n: np.asarray(v, dtype=np.float64) for n, v in given["as_is"].items()},
            as_published={
                n: np.asarray(v, dtype=np.float64) for n, v in given["as_published"].items()
            },
        )


def _short(values: FloatArray) -> list[float]:
    return [round(float(value), DIGITS) for value in values]


def row_keys(entity: TextArray, as_of: DayArray) -> tuple[TextArray, TextArray]:
    """Return a key per row and one per customer, as hashes: no name leaves the warehouse.

    Rows of one customer and date are told apart by their order, which is that of the query.

    >>> days = np.asarray(["2024-01-01", "2024-01-01"], dtype="datetime64[D]")
    >>> keys, groups = row_keys(np.asarray(["ada", "ada"], dtype=object), days)
    >>> len(set(keys)), len(set(groups))
    (2, 1)
    """
    rows = pd.DataFrame({"entity": entity, "day": as_of.astype(str)})
    place = rows.groupby(["entity", "day"], sort=False).cumcount().astype(str)
    names = (rows["entity"].astype(str) + "\x00" + rows["day"] + "\x00" + place).to_numpy(object)
    return _hexes(names), _hexes(np.asarray(entity, dtype=object))


def _hexes(names: TextArray) -> TextArray:
    return np.asarray([f"{number:016x}" for number in stable_hash(names, "tried")], dtype=object)
