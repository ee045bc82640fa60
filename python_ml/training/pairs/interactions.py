"""Who bought what and when, as codes and day numbers: the one input of first-stage models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

from python_ml.training.frame import BoolArray, TextArray, as_day
from python_ml.warehouse.postgres import Warehouse

CodeArray = npt.NDArray[np.int32]
NEVER = np.iinfo(np.int32).max
"""The day on which a version that still stands is replaced."""


@dataclass(frozen=True, eq=False)
class Interactions:
    """Versions of daily interactions; days are counted from 1970-01-01.

    Parameters
    ----------
    customers, items
        Names in alphabetical order; ``customer`` and ``item`` point into them.
    ordered, known, superseded
        When it happened, when it was known, and when another version replaced it.
    """

    customers: TextArray
    items: TextArray
    customer: CodeArray
    item: CodeArray
    ordered: CodeArray
    known: CodeArray
    superseded: CodeArray

    def __len__(self) -> int:
        return len(self.customer)

    def known_before(self, as_of: date | str | np.datetime64) -> BoolArray:
        """Return which versions had happened, were known and not yet replaced at ``as_of``.

        The same rule as the macro ``known_before``, and the only one that Python has.
        """
        day = day_number(as_of)
        return (self.ordered < day) & (self.known < day) & (self.superseded >= day)


def day_number(day: date | str | np.datetime64) -> int:
    """Return the days from 1970-01-01 to ``day``."""
    return int(as_day(day).astype(np.int64))


def read_interactions(
    warehouse: Warehouse, level: str, as_of: date, *, customers: str = ""
) -> Interactions:
    """Read every version known before ``as_of``, replaced ones included.

    Parameters
    ----------
    level
        ``product`` or ``category``.
    customers
        A further condition that picks customers, from :func:`customer_sample`.
    """
    table = warehouse.read(
        "select customer_id, item_id, ordered_on, known_on, superseded_on "  # noqa: S608 - ours
        "from intermediate.int_interactions "
        f"where item_level = $1 and known_on < $2 and ordered_on < $2 {customers}",
        [level, as_of],
    )
    customer_names, customer = _codes(table.column("customer_id"))
    item_names, item = _codes(table.column("item_id"))
    superseded = pc.fill_null(table.column("superseded_on").cast(pa.int32()), NEVER)
    return Interactions(
        customers=customer_names,
        items=item_names,
        customer=customer,
        item=item,
        ordered=_days(table.column("ordered_on")),
        known=_days(table.column("known_on")),
        superseded=np.asarray(superseded.to_numpy(), dtype=np.int32),
    )


def customer_sample(share: float, salt: str = "") -> str:
    """Return a condition that keeps about this share of the customers, always the same ones."""
    if share >= 1:
        return ""
    # md5 is the same on every engine; four hex digits cut to 1 in 65,536
    return f"and substr(md5('{salt}' || customer_id), 1, 4) < '{int(65536 * share):04x}'"


def decayed(
    interactions: Interactions,
    as_of: date | str | np.datetime64,
    half_life_days: float,
    *,
    rows: CodeArray,
    columns: CodeArray,
    shape: tuple[int, int],
) -> sparse.csr_matrix:
    """Return customers times items: 0.5 ^ (age / half life) summed over known days, at most 1.

    Parameters
    ----------
    rows, columns
        Where each customer and item of ``interactions`` stands in the matrix; -1 for left out.
    """
    kept = interactions.known_before(as_of)
    row, column = rows[interactions.customer[kept]], columns[interactions.item[kept]]
    age = day_number(as_of) - interactions.ordered[kept]
    inside = (row >= 0) & (column >= 0)
    weight = np.power(0.5, age[inside] / half_life_days)
    matrix = sparse.csr_matrix((weight, (row[inside], column[inside])), shape=shape)
    matrix.data = np.minimum(matrix.data, 1.0).astype(np.float32)
    return matrix.astype(np.float32)


def places(names: TextArray, among: TextArray) -> CodeArray:
    """Return where each name stands among others; -1 where it does not."""
    found: Mapping[object, int] = {name: i for i, name in enumerate(among)}
    return np.array([found.get(name, -1) for name in names], dtype=np.int32)


def _codes(column: pa.ChunkedArray) -> tuple[TextArray, CodeArray]:
    encoded = column.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    names = np.asarray(encoded.dictionary.to_pylist(), dtype=object)
    codes = np.asarray(encoded.indices.to_numpy(zero_copy_only=False), dtype=np.int32)
    order = np.argsort(names, kind="stable")
    rank = np.empty(len(order), dtype=np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return names[order], rank[codes] if len(order) else codes


def _days(column: pa.ChunkedArray) -> CodeArray:
    return np.asarray(column.cast(pa.int32()).to_numpy(), dtype=np.int32)
