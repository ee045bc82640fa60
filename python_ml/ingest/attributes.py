"""What kind of thing each attribute named at load is: a category, a number or a date.

The kind is stated (``customer:age:number``) or found out over all rows of the first load, and then
recorded in ``raw.attribute_kinds``: later loads keep it. raw holds the text as it came; staging
casts it by what is recorded here, and what cannot be read becomes null there.

Finding out is strict, because a category mistaken for a number cannot be undone by a model, while
a number taken as a category costs little: codes with leading zeros, whole numbers of one length
(postcodes, article numbers) and columns that are named like ids stay categories.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from python_ml.errors import InputError
from python_ml.ingest.sources import Attribute, SourceTable
from python_ml.warehouse.postgres import BulkWriter, identifier

SHARE_THAT_READS = 0.98
"""Of the values that are there; the rest are typing errors and words for "unknown"."""

FEWEST_VALUES = 3
"""Distinct values below which a number is a flag or a class."""

MOST_VALUES_COUNTED = 100_000
"""Distinct values of an attribute that are kept in memory during a load."""

LENGTH_OF_IDS = 5
"""Digits from which whole numbers that all have the same length are ids."""

_ID_WORDS = frozenset(
    ("code", "ean", "gtin", "id", "isbn", "key", "no", "nr", "number", "phone", "plz", "postcode",
     "sku", "zip", "zipcode")
)  # fmt: skip
_NOTHING = "'nan', 'nat', 'null', 'none', 'n/a', '#n/a'"
_DAY = r"[0-9]{1,2}"
_PATTERNS = {
    ("number", "point"): r"^[+-]?[0-9]{1,15}(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?$",
    ("number", "comma"): r"^[+-]?[0-9]{1,15}(,[0-9]{1,20})?$",
    ("date", "iso"): rf"^[0-9]{{4}}[-/.]{_DAY}[-/.]{_DAY}([ T].*)?$",
    ("date", "dmy"): rf"^{_DAY}[-/.]{_DAY}[-/.][0-9]{{4}}([ T].*)?$",
    ("date", "mdy"): rf"^{_DAY}[-/.]{_DAY}[-/.][0-9]{{4}}([ T].*)?$",
}
_DAY_PARTS = r"^([0-9]+)[-/.]([0-9]+)[-/.]([0-9]+).*$"
_ISO_PARTS = {"iso": r"\1-\2-\3", "dmy": r"\3-\2-\1", "mdy": r"\3-\1-\2"}

ATTRIBUTE_KINDS = """
create table if not exists raw.attribute_kinds (
    column_name text primary key, entity text not null, name text not null, kind text not null,
    notation text not null, pattern text not null, is_stated boolean not null,
    decided_at timestamp not null
);
"""


_VALUES = """
create temporary table attribute_values (
    column_name text not null, value text not null, copies bigint not null
) on commit drop
"""


@dataclass(frozen=True)
class AttributeKind:
    """One attribute of a home.

    Parameters
    ----------
    column_name
        In the raw table and in the shop model.
    kind
        ``category``, ``number`` or ``date``.
    notation
        ``point`` or ``comma`` for numbers; ``iso``, ``dmy`` or ``mdy`` for dates.
    unreadable
        Rows of this load whose value is not of the kind: null from staging on.
    """

    column_name: str
    entity: str
    name: str
    kind: str
    notation: str = ""
    is_stated: bool = False
    unreadable: int = 0

    @property
    def pattern(self) -> str:
        """What a value must look like to be read, as a regular expression."""
        return _PATTERNS.get((self.kind, self.notation), "")

    def __str__(self) -> str:
        """Name it as its user would."""
        return f"{self.entity} {self.name} ({self.kind})"


class ValueCounts:
    """How often each value of the attributes stands in the rows of a first load.

    Counted as the rows pass by, so that nobody has to look for them in a table of millions. An
    attribute of very many values is given up, and looked for there after all.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self._counts: dict[str, Counter[str]] = {column: Counter() for column in columns}

    def add(self, rows: pa.Table) -> None:
        """Count the values of some rows."""
        for column, counts in list(self._counts.items()):
            found = pc.value_counts(rows.column(column))
            for value, count in zip(found.field(0), found.field(1), strict=True):
                if value.is_valid:
                    counts[value.as_py()] += count.as_py()
            if len(counts) > MOST_VALUES_COUNTED:
                del self._counts[column]

    def counted(self) -> pa.Table:
        """All values as rows of ``attribute_values``."""
        rows = [(c, value, n) for c, counts in self._counts.items() for value, n in counts.items()]
        names, values, copies = zip(*rows, strict=True) if rows else ((), (), ())
        return pa.table(
            {
                "column_name": pa.array(names, pa.string()),
                "value": pa.array(values, pa.string()),
                "copies": pa.array(copies, pa.int64()),
            }
        )

    @property
    def columns(self) -> frozenset[str]:
        """Attributes whose values were all counted."""
        return frozenset(self._counts)


def settle_kinds(
    writer: BulkWriter,
    table: SourceTable,
    attributes: Sequence[Attribute],
    values: ValueCounts,
    *,
    load_id: int,
    decimal: str,
    date_order: str | None,
    now: datetime,
) -> tuple[AttributeKind, ...]:
    """Return the kind of each attribute, recording those that the home did not know yet.

    Parameters
    ----------
    values
        Values of the first load, where they were counted; they are looked for in the table else.
    decimal, date_order
        How the files write numbers and dates, for values that leave it open.

    Raises
    ------
    InputError
        When a stated kind is not the one on record, or the values leave the date order open.
    """
    recorded = _recorded(writer)
    writer.execute(_VALUES)
    counted = values.counted()
    writer.append_batches(None, "attribute_values", counted.schema.names, counted.to_batches())
    kinds, new = [], []
    for attribute in attributes:
        kind = recorded.get(attribute.column_name)
        column = _Column(writer, table, attribute, attribute.column_name in values.columns)
        if kind is None:
            kind = _decided(column, decimal, date_order)
            new.append(kind)
        elif attribute.kind not in (None, kind.kind):
            raise InputError(
                f"This home holds {kind}, this load says that it is a {attribute.kind}.",
                "Leave the kind out, or use another home with --home.",
            )
        lost = column.unreadable(kind, load_id)
        kinds.append(AttributeKind(**{**vars(kind), "unreadable": lost}))
    if new:
        writer.append("raw", "attribute_kinds", _as_table(new, now))
    return tuple(kinds)


@dataclass(frozen=True)
class _Column:
    """The values of one attribute in the raw table, each once, with its ``copies``."""

    writer: BulkWriter
    table: SourceTable
    attribute: Attribute
    is_counted: bool

    def count(self, condition: str = "true", where: str = "true") -> int:
        """Count the rows whose ``value`` meets a condition."""
        return self._figure(f"coalesce(sum(copies) filter (where {condition}), 0)::bigint", where)

    def distinct(self, what: str = "value") -> int:
        """Count the distinct values."""
        return self._figure(f"count(distinct {what})")

    def unreadable(self, kind: AttributeKind, load_id: int) -> int:
        """Count the rows of a load whose value is not of the kind."""
        if kind.kind == "category":
            return 0
        return self.count(f"not {_reads(kind.kind, kind.notation)}", f"_load_id = {load_id:d}")

    def _figure(self, figure: str, where: str = "true") -> int:
        column = identifier(self.attribute.column_name)
        if self.is_counted:
            found = self.writer.value(
                f"select {figure} from attribute_values "  # noqa: S608 - our own expressions
                f"where column_name = $1 and lower(value) not in ({_NOTHING})",
                [self.attribute.column_name],
            )
            return int(found)
        found = self.writer.value(
            f"""
            select {figure}
            from (
                select {column} as value, count(*) as copies
                from raw.{identifier(self.table.name)}
                where {where} and {column} is not null and lower({column}) not in ({_NOTHING})
                group by 1
            ) as found
            """  # noqa: S608 - a column of our own; nothing that stands in a file
        )
        return int(found)


def _reads(kind: str, notation: str) -> str:
    """The condition under which ``value`` can be read; nothing that it says becomes SQL."""
    matches = f"regexp_like(value, '{_PATTERNS[kind, notation]}')"
    if kind == "number":
        return f"({matches})"
    iso = f"regexp_replace(value, '{_DAY_PARTS}', '{_ISO_PARTS[notation]}')"
    return f"(case when {matches} then pg_input_is_valid({iso}, 'date') else false end)"


def _decided(column: _Column, decimal: str, date_order: str | None) -> AttributeKind:
    attribute = column.attribute
    kind, notation = attribute.kind, ""
    if kind is None:
        kind, notation = _found_out(column, decimal, date_order)
    elif kind == "number":
        notation = _number_notation(column, decimal)
    elif kind == "date":
        notation = _date_notation(column, date_order)
        if not notation:
            raise InputError(
                f"The dates of {attribute.origin!r} could be day first or month first.",
                "Add --date-order dmy (31/12/2024) or --date-order mdy (12/31/2024).",
            )
    return AttributeKind(
        column_name=attribute.column_name,
        entity=attribute.entity,
        name=attribute.slug,
        kind=kind,
        notation=notation,
        is_stated=attribute.kind is not None,
    )


def _found_out(column: _Column, decimal: str, date_order: str | None) -> tuple[str, str]:
    needed = SHARE_THAT_READS * column.count()
    if needed == 0:
        return "category", ""
    notation = _date_notation(column, date_order)
    if notation and column.count(_reads("date", notation)) >= needed:
        return "date", notation
    notation = _number_notation(column, decimal)
    if column.count(_reads("number", notation)) >= needed and not _is_like_ids(column):
        return "number", notation
    return "category", ""


def _is_like_ids(column: _Column) -> bool:
    """Whether numbers only name things."""
    if column.attribute.slug.rpartition("_")[2] in _ID_WORDS:
        return True
    if column.distinct() < FEWEST_VALUES or column.count("regexp_like(value, '^[+-]?0[0-9]')"):
        return True
    all_digits = not column.count(f"not regexp_like(value, '^[0-9]{{{LENGTH_OF_IDS},}}$')")
    return all_digits and column.distinct("length(value)") == 1


def _number_notation(column: _Column, decimal: str) -> str:
    point, comma = (column.count(_reads("number", mark)) for mark in ("point", "comma"))
    if point == comma:
        return decimal
    return "point" if point > comma else "comma"


def _date_notation(column: _Column, date_order: str | None) -> str:
    """Return the order that most values are in; nothing where they leave it open."""
    iso, dmy, mdy = (column.count(_reads("date", order)) for order in _ISO_PARTS)
    if iso >= max(dmy, mdy):
        return "iso"
    if dmy == mdy:
        return date_order or ""
    return "dmy" if dmy > mdy else "mdy"


def _recorded(writer: BulkWriter) -> dict[str, AttributeKind]:
    rows = writer.read(
        "select column_name, entity, name, kind, notation, is_stated from raw.attribute_kinds"
    ).to_pylist()
    return {row["column_name"]: AttributeKind(**row) for row in rows}


def _as_table(kinds: Sequence[AttributeKind], now: datetime) -> pa.Table:
    return pa.table(
        {
            "column_name": [kind.column_name for kind in kinds],
            "entity": [kind.entity for kind in kinds],
            "name": [kind.name for kind in kinds],
            "kind": [kind.kind for kind in kinds],
            "notation": [kind.notation for kind in kinds],
            "pattern": [kind.pattern for kind in kinds],
            "is_stated": [kind.is_stated for kind in kinds],
            "decided_at": pa.array([now] * len(kinds), pa.timestamp("us")),
        }
    )
