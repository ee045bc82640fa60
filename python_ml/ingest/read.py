"""Reading a shop's files: every row comes out as good or as rejected with its reason.

A file is looked at once to decide how it is to be read (:func:`plan_file`), and then read in
chunks, in bounded memory (:func:`read_file`). What is wrong with one cell costs one row; what is
wrong with the file as a whole refuses it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from python_ml.errors import InputError
from python_ml.ingest.columnar import MAGIC, parquet_schema, read_parquet
from python_ml.ingest.contract import Reading, checked_rows
from python_ml.ingest.delimited import read_delimited, sniff
from python_ml.ingest.notation import DateVotes, NumberVotes
from python_ml.ingest.records import BadRow, Chunk
from python_ml.ingest.sources import ColumnMapping, SourceTable
from python_ml.warehouse.postgres import identifier

_OTHER_FORMATS = {
    b"PK\x03\x04": ("a spreadsheet or an archive", "Save it as CSV, or unpack it."),
    b"\x1f\x8b": ("compressed", "Unpack it first, for instance with gunzip."),
    b"\xd0\xcf\x11\xe0": ("a spreadsheet", "Save it as CSV."),
}
_NESTED = ("STRUCT", "MAP", "UNION")


@dataclass(frozen=True)
class ReadOptions:
    """What the user says about how files are written; None where they speak for themselves.

    Parameters
    ----------
    encoding
        Encoding of CSV files.
    date_order
        ``dmy`` or ``mdy`` where the user says so; else found out from the values, per column.
    decimal
        ``point`` or ``comma`` where the user says so; else found out from the values.
    """

    encoding: str = "utf-8"
    date_order: str | None = None
    decimal: str | None = None


@dataclass(frozen=True)
class Given:
    """Rows as somebody gives them: a file, or a table of the shop's own.

    Parameters
    ----------
    name, place
        What it is called, and where it is, for messages.
    schema
        Arrow schema of its columns; text where the types are still to be found out.
    chunks
        Reads the columns at the positions asked for.
    rows_at_most
        Upper bound of the rows that can be split into columns.
    """

    name: str
    place: str
    schema: Any
    chunks: Callable[[Sequence[int]], Iterator[Chunk]]
    rows_at_most: int


@dataclass(frozen=True)
class FilePlan:
    """How one file, or one table of the shop's own, is read.

    Parameters
    ----------
    positions
        Place in the file of each column of the raw table that it has, attributes among them.
    attributes
        Names in the raw table of the attributes.
    """

    given: Given
    table: SourceTable
    positions: dict[str, int]
    attributes: tuple[str, ...]
    reading: Reading

    @property
    def name(self) -> str:
        """What it is called."""
        return self.given.name

    @property
    def place(self) -> str:
        """Where it is, for messages."""
        return self.given.place

    @property
    def rows_at_most(self) -> int:
        """Upper bound of the rows that can be split into columns."""
        return self.given.rows_at_most

    @property
    def contract_columns(self) -> tuple[str, ...]:
        """The contract's columns that the file has, in the contract's order."""
        return tuple(c.name for c in self.table.columns if c.name in self.positions)

    def chunks(self) -> Iterator[Chunk]:
        """Read the file's columns as they are."""
        return self.given.chunks(list(self.positions.values()))


@dataclass(frozen=True)
class CheckedRows:
    """A stretch of a file, each row good or bad.

    Parameters
    ----------
    good
        Rows with the raw table's columns and ``_row_number``.
    bad_keys
        Keys of the bad rows, where the table has a key and they could be read.
    """

    given: int
    good: Any
    bad: list[BadRow]
    bad_keys: Any = None


def plan_file(
    path: Path,
    table: SourceTable,
    mapping: ColumnMapping,
    options: ReadOptions | None = None,
) -> FilePlan:
    """Look at a file and decide how to read it.

    Parameters
    ----------
    path
        A CSV or Parquet file. Delimiter and byte order mark are found out.

    Raises
    ------
    InputError
        When the file is missing, empty, unreadable or lacks a required column, or leaves open how
        its dates or numbers are meant; the message names the file and the way out.
    """
    options = options or ReadOptions()
    return plan_rows(_given(path, options.encoding), table, mapping, options)


def plan_rows(
    given: Given,
    table: SourceTable,
    mapping: ColumnMapping,
    options: ReadOptions,
) -> FilePlan:
    """Decide how to read rows, whoever gives them; as :func:`plan_file` does for a file.

    Raises
    ------
    InputError
        As :func:`plan_file`.
    """
    _check_choice("--date-order", options.date_order, ("dmy", "mdy"))
    _check_choice("--decimal", options.decimal, ("point", "comma"))
    positions, attributes = _match_columns(given.place, table, mapping, list(given.schema.names))
    with _duckdb() as connection:
        types = _duckdb_types(connection, given, positions)
        plan = FilePlan(given, table, positions, attributes, Reading(types))
        return replace(plan, reading=_reading(connection, plan, options))


def _given(path: Path, encoding: str) -> Given:
    if _is_parquet(path):
        schema, rows = parquet_schema(path)
        return Given(path.name, str(path), schema, partial(read_parquet, path), rows)
    dialect = sniff(path, encoding)
    schema = pa.schema([(name, pa.string()) for name in dialect.columns])
    # a row has at least a delimiter for each column but the last, and a line end
    rows = path.stat().st_size // max(1, len(dialect.columns)) + 1
    return Given(path.name, str(path), schema, partial(read_delimited, path, dialect), rows)


@contextmanager
def read_file(plan: FilePlan, today: str, first_row: int = 1) -> Iterator[Iterator[CheckedRows]]:
    """Open the file as a stream of checked rows.

    Parameters
    ----------
    today
        ISO date; what lies later than the day after is no fact yet.
    first_row
        Number of the first row.
    """
    query = checked_rows(plan.table, plan.attributes, plan.reading, today)
    with _duckdb() as connection:
        yield _checked(connection, plan, query, first_row)


def _checked(
    connection: duckdb.DuckDBPyConnection, plan: FilePlan, query: str, row_number: int
) -> Iterator[CheckedRows]:
    for chunk in plan.chunks():
        given = _as_table(plan, chunk, row_number)
        rows = _run(connection, plan, query, given)
        reasons = rows.column("_reason")
        bad = rows.filter(reasons.is_valid()).select(["_line", "_text", "_reason"]).to_pylist()
        broken = [BadRow(row["_line"], row["_text"] or "", row["_reason"]) for row in bad]
        good = rows.filter(reasons.is_null()).drop_columns(["_line", "_text", "_reason"])
        keys = rows.filter(reasons.is_valid()).select(list(plan.table.key)) if broken else None
        yield CheckedRows(chunk.given, good, sorted([*broken, *chunk.malformed]), keys)
        row_number += chunk.given


def _as_table(plan: FilePlan, chunk: Chunk, row_number: int) -> Any:
    count = len(chunk.lines)
    numbers = pa.array(range(row_number, row_number + count), pa.int64())
    names = [*plan.positions, "_row_number", "_line"]
    try:
        columns = [_trimmed(column) for column in chunk.columns]
    except pa.ArrowException as error:
        raise _unreadable(plan.place, error) from None
    return pa.table([*columns, numbers, chunk.lines], names=names)


def _trimmed(column: Any) -> Any:
    """Take blanks off texts, those of spreadsheets and of text files alike."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_string_view(column.type) or pa.types.is_large_string(column.type):
        column = column.cast(pa.large_string())
    elif not pa.types.is_string(column.type):
        return column
    return pc.utf8_trim(column, " \t\r\n\N{NO-BREAK SPACE}\ufeff")


def _run(connection: duckdb.DuckDBPyConnection, plan: FilePlan, query: str, given: Any) -> Any:
    try:
        connection.register("given", given)
        return connection.sql(query).to_arrow_table()
    except duckdb.Error as error:
        raise _unreadable(plan.place, error) from None


def _unreadable(path: str, error: Exception) -> InputError:
    reason = " ".join(str(error).split())[:200]
    return InputError(
        f"{path}: cannot be read: {reason}", "Export it again, as CSV in UTF-8 or as Parquet."
    )


@contextmanager
def _duckdb() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect(
        config={
            "memory_limit": "1GB",
            "threads": 2,
            # nothing is ever fetched from the network
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
    )
    try:
        yield connection
    finally:
        connection.close()


def _check_choice(flag: str, value: str | None, choices: tuple[str, ...]) -> None:
    if value is not None and value not in choices:
        raise InputError(
            f"{flag} {value}: not understood.", f"Write {flag} {' or '.join(choices)}."
        )


def _is_parquet(path: Path) -> bool:
    if not path.is_file():
        what = "not a file" if path.exists() else "no such file"
        raise InputError(f"{path}: {what}.", "Give the path of a CSV or Parquet file.")
    try:
        with path.open("rb") as file:
            start = file.read(len(MAGIC))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}.", "Check the file.") from None
    if not start:
        raise InputError(f"{path}: the file is empty.", "Export it again.")
    for magic, (what, hint) in _OTHER_FORMATS.items():
        if start.startswith(magic):
            raise InputError(f"{path}: the file is {what}, not CSV or Parquet.", hint)
    return start == MAGIC or path.suffix.lower() in (".parquet", ".pq")


def _match_columns(
    path: str, table: SourceTable, mapping: ColumnMapping, found: Sequence[str]
) -> tuple[dict[str, int], tuple[str, ...]]:
    """Find the place of every column of the raw table, and of the attributes."""
    names = [column.name for column in table.columns]
    for theirs, ours in mapping.renames.items():
        _place(path, "--map", theirs, found)
        if ours not in names:
            raise InputError(
                f"--map: there is no column {ours!r} to map to.",
                f"Choose one of: {', '.join(sorted(names))}.",
            )
    theirs_by_ours = {ours: theirs for theirs, ours in mapping.renames.items()}
    free = [name for name in found if name not in mapping.renames]
    positions = {}
    for column in table.columns:
        stated = theirs_by_ours.get(column.name)
        candidates = [name for name in free if plain_name(name) == plain_name(column.origin)]
        if stated is not None:
            positions[column.name] = _place(path, "--map", stated, found)
        elif len(candidates) > 1:
            raise InputError(
                f"{path}: several columns could be {column.name!r}: {', '.join(candidates)}.",
                "Rename all but one of them in the file.",
            )
        elif candidates:
            positions[column.name] = found.index(candidates[0])
        elif column.required:
            raise InputError(
                f"{path}: the required column {column.origin!r} is missing.",
                f"Its columns are: {_listed(found)}. "
                f"If one of them is it, add --map 'THEIRS={column.name}'.",
            )
    for attribute in mapping.attributes:
        place = _place(path, "--attribute", attribute.origin, found)
        positions[attribute.column_name] = place
    return positions, tuple(attribute.column_name for attribute in mapping.attributes)


def _place(path: str, flag: str, name: str, found: Sequence[str]) -> int:
    if name not in found:
        raise InputError(
            f"{path}: {flag} names {name!r}, which is no column of the file.",
            f"Its columns are: {_listed(found)}.",
        )
    if found.count(name) > 1:
        raise InputError(
            f"{path}: {found.count(name)} columns are named {name!r}.",
            "Rename all but one of them in the file.",
        )
    return found.index(name)


def _listed(names: Sequence[str], most: int = 50) -> str:
    shown = [name if name.isprintable() else repr(name) for name in names[:most]]
    return ", ".join([*(name[:80] for name in shown), *(["..."] if len(names) > most else [])])


def plain_name(name: str) -> str:
    """A column's name as it is compared: without regard to case, and to blanks."""
    return name.strip().lower().replace(" ", "_")


def _duckdb_types(
    connection: duckdb.DuckDBPyConnection, given: Given, positions: dict[str, int]
) -> dict[str, str]:
    """The type that each column has for DuckDB; nested ones are refused."""
    path, schema = given.place, given.schema
    fields = [schema.field(place) for place in positions.values()]
    try:
        empty = pa.table([_trimmed(_empty(field.type)) for field in fields], names=list(positions))
        connection.register("given", empty)
        described = connection.execute("select * from given").description or []
    except (duckdb.Error, pa.ArrowException) as error:
        raise _unreadable(path, error) from None
    types = {str(column[0]): str(column[1]) for column in described}
    for name, place in positions.items():
        if types[name].startswith(_NESTED) or types[name].endswith("]"):
            theirs = schema.field(place).name
            raise InputError(
                f"{path}: the column {theirs!r} holds several values in one cell.",
                "Export one value per cell.",
            )
    return types


def _empty(type_: Any) -> Any:
    return pa.array([], getattr(type_, "storage_type", type_))


def _reading(
    connection: duckdb.DuckDBPyConnection,
    plan: FilePlan,
    options: ReadOptions,
) -> Reading:
    """Read as much of the file as is needed to know how its dates and numbers are written."""
    texts = [name for name, type_ in plan.reading.types.items() if type_ == "VARCHAR"]
    types = {column.name: column.type for column in plan.table.columns}
    dates = [
        DateVotes(name, options.date_order) for name in texts if types.get(name) == "timestamp"
    ]
    numbers = NumberVotes(
        [name for name in texts if types.get(name) == "double precision"], options.decimal
    )
    votes: list[DateVotes | NumberVotes] = [*dates, numbers]
    cells = ", ".join(f"nullif({identifier(name)}, '') as {identifier(name)}" for name in texts)
    for chunk in plan.chunks() if texts else ():
        given = _as_table(plan, chunk, 1)
        for vote in votes:
            if not vote.is_decided and vote.columns:
                query = f"with cells as (select {cells} from given) {vote.query}"  # noqa: S608
                vote.add(_run(connection, plan, query, given).to_pylist()[0])
        if all(vote.is_decided or not vote.columns for vote in votes):
            break
    try:
        return replace(
            plan.reading,
            date_orders={vote.column: vote.verdict() for vote in dates},
            decimal=numbers.verdict(),
        )
    except InputError as error:
        raise InputError(f"{plan.place}: {error.message}", error.hint) from None
