"""Reading a shop's own tables, where they sit beside the warehouse in the same database.

The tables are only read, all of them in one snapshot, and their rows take the same way as those of
a file: checked, counted, rejected with a reason. What is read are columns that the source's yml
names, so a name or an address that nobody listed never leaves the shop's table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa

from python_ml.errors import InputError
from python_ml.ingest.read import Given, plain_name
from python_ml.ingest.records import Chunk
from python_ml.ingest.sources import Column, SourceTable
from python_ml.warehouse.postgres import Snapshot, identifier

_WHOLE = frozenset({"smallint", "integer", "bigint"})
_NUMBERS = _WHOLE | {"numeric", "real", "double precision", "money"}
_TIMES = frozenset({"date", "timestamp without time zone"})
_INSTANT = "timestamp with time zone"


@dataclass(frozen=True)
class _Cast:
    """How a column of the shop's table is read, and the Arrow type that comes of it."""

    sql: str
    type: Any


def own_tables(
    snapshot: Snapshot, schema: str, tables: Sequence[SourceTable]
) -> list[tuple[SourceTable, Given]]:
    """Find the table of the shop that fills each raw table, where it has one.

    Parameters
    ----------
    snapshot
        Everything is read in it; the rows later, as long as it is open.

    Raises
    ------
    InputError
        Naming the table that is not there, or that this role may not read.
    """
    return [
        (table, _own_table(snapshot, schema, table, table.relation))
        for table in tables
        if table.relation is not None
    ]


def _own_table(snapshot: Snapshot, schema: str, table: SourceTable, name: str) -> Given:
    place = f"{schema}.{name}"
    found = snapshot.read(
        "select column_name::text as name, data_type::text as type "
        "from information_schema.columns where table_schema = $1 and table_name = $2 "
        "order by ordinal_position",
        [schema, name],
    ).to_pylist()
    relation = f"{identifier(schema)}.{identifier(name)}"
    if not found or not snapshot.may_read(relation):
        raise InputError(
            f"{place}: there is no such table or view that this role may read.",
            f"Name its schema with --schema, let the role read it (grant select on {place} to …), "
            f"or correct `table` in _{table.source}__sources.yml.",
        )
    _check_time_zones(snapshot, table)
    casts = [_cast(row["name"], row["type"], _filled_by(table, row["name"])) for row in found]
    return Given(
        place,
        place,
        pa.schema([(row["name"], cast.type) for row, cast in zip(found, casts, strict=True)]),
        partial(_chunks, snapshot, relation, casts),
        int(snapshot.read(f"select count(*) from {relation}").column(0)[0].as_py()),  # noqa: S608
    )


def _check_time_zones(snapshot: Snapshot, table: SourceTable) -> None:
    for column in (c for c in table.columns if c.time_zone != "UTC"):
        known = snapshot.read(
            "select count(*) > 0 as is_known from pg_timezone_names where name = $1",
            [column.time_zone],
        )
        if not known.column(0)[0].as_py():
            raise InputError(
                f"{table.name}.{column.name}: there is no time zone {column.time_zone!r}.",
                f"Correct `time_zone` in _{table.source}__sources.yml, "
                "for instance Europe/Berlin; pg_timezone_names lists them.",
            )


def _filled_by(table: SourceTable, name: str) -> Column:
    """The column of the raw table that one of the shop's fills; else a text nobody asked for."""
    filled = [c for c in table.columns if plain_name(c.origin) == plain_name(name)]
    return filled[0] if filled else Column(name, "text", name)


def _cast(name: str, given: str, wanted: Column) -> _Cast:
    """Let the database convert where nothing can go wrong; the rest arrives as text."""
    column = identifier(name)
    if wanted.type == "timestamp" and given in _TIMES:
        return _Cast(f"{column}::timestamp", pa.timestamp("us"))
    if wanted.type == "timestamp" and given == _INSTANT:
        return _Cast(f"{column} at time zone '{wanted.time_zone}'", pa.timestamp("us"))
    if wanted.type == "double precision" and given in _NUMBERS:
        exact = f"{column}::numeric" if given == "money" else column
        return _Cast(f"{exact}::double precision", pa.float64())
    if wanted.type in ("integer", "bigint") and given in _WHOLE:
        return _Cast(f"{column}::bigint", pa.int64())
    return _Cast(f"{column}::text", pa.string())


def _chunks(
    snapshot: Snapshot, relation: str, casts: Sequence[_Cast], picks: Sequence[int]
) -> Iterator[Chunk]:
    columns = ", ".join(f"{casts[pick].sql} as c{place}" for place, pick in enumerate(picks))
    line = 1
    with snapshot.read_batches(f"select {columns} from {relation}") as batches:  # noqa: S608
        for batch in batches:
            numbers = pa.array(range(line, line + batch.num_rows), pa.int64())
            yield Chunk(batch.columns, numbers, [])
            line += batch.num_rows
