"""Comparing what arrives with what the home holds already.

Rows of a later load wait in the temporary table ``intake``. Those that differ from the newest
version of the same line move on to the raw table as a new version; the others stay behind.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from python_ml.errors import InputError
from python_ml.ingest.sources import SourceTable
from python_ml.warehouse.postgres import BulkWriter, identifier

FEWEST_IDS = 20
"""Distinct customers or products below which a file says too little of its shop: the few orders of
a quiet day may all be of new customers for a new product."""

INTAKE = "intake"

REFUSED_KEYS = "refused_keys"

IS_GONE = "_is_gone"
"""Column of raw tables with a key: true in the version that says that the row is there no more."""


def create_intake(writer: BulkWriter, table: SourceTable) -> None:
    """Make the table where arriving rows wait; it is gone when the transaction ends."""
    writer.execute(f"drop table if exists {INTAKE}")
    writer.execute(f"create temporary table {INTAKE} (like {raw(table)}) on commit drop")


def raw(table: SourceTable) -> str:
    """The raw table as SQL names it."""
    return f"raw.{identifier(table.name)}"


def move_changed(writer: BulkWriter, table: SourceTable, columns: Sequence[str]) -> dict[int, int]:
    """Append the rows of the intake that are new or differ, and count them by file number.

    A line with a number of its own comes alone. Where lines have none, an order is the unit: its
    lines can only be told apart by their place, so that they come together or not at all. The same
    rows in another sequence, or more than once, are the same rows.
    """
    writer.execute(f"analyze {INTAKE}")
    order, line = identifier(table.order_column), _line_key(table)
    known = f"{raw(table)} where {order} in (select {order} from {INTAKE})"  # noqa: S608
    writer.execute(
        f"""
        create temporary table changed on commit drop as
        with arriving as ({_digests(table, columns, INTAKE)}),
        present as ({_digests(table, columns, known)}),
        newest as (select line_digest, max(load_id) as load_id from present group by line_digest),
        current_rows as (
            select line_digest, row_digest
            from present
            inner join newest using (line_digest, load_id)
        )
        select distinct order_key, line_key
        from arriving
        where not exists (
            select 1 from current_rows
            where current_rows.line_digest = arriving.line_digest
                and current_rows.row_digest = arriving.row_digest
        )
        """  # noqa: S608
    )
    is_changed = f"({order}, {line}) in (select order_key, line_key from changed)"  # noqa: S608
    own = ["_load_id", "_file_number", "_row_number", *([IS_GONE] if table.key else [])]
    names = ", ".join([*map(identifier, columns), *own])
    writer.execute(
        f"insert into {raw(table)} ({names}) "  # noqa: S608
        f"select {names} from {INTAKE} where {is_changed}"
    )
    counted = writer.read(
        f"select _file_number, count(*) as moved from {INTAKE} "  # noqa: S608
        f"where {is_changed} group by 1"
    )
    writer.execute("drop table changed")
    return {int(row["_file_number"]): int(row["moved"]) for row in counted.to_pylist()}


def move_gone(
    writer: BulkWriter,
    table: SourceTable,
    columns: Sequence[str],
    bad_keys: Sequence[pa.Table],
    *,
    place: str,
    own: tuple[int, int, int],
    refuse_most: bool = True,
) -> int:
    """Append a last version of each row that is there no more, and count them.

    Only where the intake holds everything there is, as when a shop's own table was read: in a file
    a row may be missing because the file is of another month.

    Parameters
    ----------
    bad_keys
        Keys of rows that were given and rejected: they are not gone.
    place
        What was read, for messages.
    own
        Load, file and the number of the first row.
    refuse_most
        Whether to refuse when more rows are gone than are left.

    Raises
    ------
    InputError
        When most of the rows are gone: a table that is being filled anew, or another shop's.
    """
    keys = ", ".join(map(identifier, table.key))
    same = " and ".join(f"held.{k} = newest.{k}" for k in map(identifier, table.key))
    writer.execute(
        f"create temporary table {REFUSED_KEYS} as select {keys} from {INTAKE} limit 0"  # noqa: S608
    )
    if bad_keys:
        refused = pa.concat_tables(bad_keys, promote_options="permissive")
        writer.append_batches(None, REFUSED_KEYS, list(table.key), refused.to_batches())
    writer.execute(
        f"""
        create temporary table gone on commit drop as
        select newest.*
        from (
            select distinct on ({keys}) * from {raw(table)}
            order by {keys}, _load_id desc, _row_number desc
        ) as newest
        where not newest.{IS_GONE}
            and not exists (select 1 from {INTAKE} as held where {same})
            and not exists (select 1 from {REFUSED_KEYS} as held where {same})
        """  # noqa: S608
    )
    counted = writer.read(
        f"select (select count(*) from gone) as gone, "  # noqa: S608
        f"(select count(*) from {INTAKE}) as given"
    ).to_pylist()[0]
    gone = int(counted["gone"])
    if refuse_most and gone > FEWEST_IDS and gone > int(counted["given"]):
        raise InputError(
            f"{place}: {gone:,} rows that were there are gone, and {counted['given']:,} are left. "
            "It looks as if the table was being filled, or were another shop's.",
            "Try again when the table is whole, or add --same-shop if the rows are gone for good.",
        )
    load_id, file_number, first_row = own
    names = ", ".join(map(identifier, columns))
    writer.execute(
        f"insert into {raw(table)} ({names}, _load_id, _file_number, _row_number, {IS_GONE}) "  # noqa: S608
        f"select {names}, {load_id:d}, {file_number:d}, "
        f"{first_row:d} - 1 + row_number() over (order by {keys}), true from gone"
    )
    writer.execute(f"drop table gone, {REFUSED_KEYS}")
    return gone


def _digests(table: SourceTable, columns: Sequence[str], relation: str) -> str:
    """The rows of a relation: which line each of them is, and what it says, as digests."""
    order, line = identifier(table.order_column), _line_key(table)
    part = f"coalesce({identifier(table.part_column)}, '')" if table.part_column else "''"
    contents = ", ".join(map(identifier, columns))
    if table.key:
        part, contents = "''", f"{contents}, {IS_GONE}"
    return f"""
        select
            {order} as order_key,
            {line} as line_key,
            _load_id as load_id,
            md5(row({order}, {line}, case when {line} = '' then {part} end)::text)::uuid
                as line_digest,
            md5(row({contents})::text)::uuid as row_digest
        from {relation}
    """  # noqa: S608 - names of our own raw table only


def _line_key(table: SourceTable) -> str:
    if table.key[1:]:
        return f"row({', '.join(map(identifier, table.key[1:]))})::text"
    return f"coalesce({identifier(table.line_column)}, '')" if table.line_column else "''"


def refuse_strangers(
    writer: BulkWriter, table: SourceTable, file_names: dict[int, str], is_first: bool
) -> None:
    """Refuse a flat file that shares neither a customer nor a product with the others.

    Ids are all that a file says about its shop: without any in common it is another one's. In a
    first load the files are held against each other, later against what the home holds.

    Raises
    ------
    InputError
        With the home to use instead, and the flag that overrules.
    """
    if is_first and len(file_names) == 1:
        return
    arriving = raw(table) if is_first else INTAKE
    for number, name in file_names.items():
        rows = f"{arriving} where _file_number = {number:d}"
        others = f"{raw(table)} where {f'_file_number <> {number:d}' if is_first else 'true'}"
        kinds = [_shares(writer, column, rows, others) for column in ("customer_id", "product_id")]
        known = [shares for shares in kinds if shares is not None]
        if known and not any(known):
            raise InputError(
                f"{name} shares neither a customer nor a product with the rows of this home: "
                "it looks like another shop.",
                "Load it into a home of its own with --home .smartretail-other, "
                "or add --same-shop if it is the same shop.",
            )


def _shares(writer: BulkWriter, column: str, arriving: str, others: str) -> bool | None:
    """Whether rows share a value of the column with others; None with too few to tell."""
    row = writer.read(
        f"""
        with arriving as (select distinct {column} from {arriving} and {column} is not null),
        others as (select {column} from {others} and {column} is not null)
        select
            (select count(*) from arriving) >= {FEWEST_IDS} as is_given,
            exists (select 1 from others) as is_held,
            exists (select 1 from arriving inner join others using ({column})) as is_shared
        """  # noqa: S608 - tables and columns of our own
    ).to_pylist()[0]
    return bool(row["is_shared"]) if row["is_given"] and row["is_held"] else None
