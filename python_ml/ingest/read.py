"""Reading a shop's files: every row comes out as good or as rejected with its reason.

DuckDB does the parsing: it streams CSV and Parquet in bounded memory and converts value by value,
so that one bad cell costs one row and not the load.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import pyarrow as pa

from python_ml.errors import InputError
from python_ml.ingest.sources import FLAT_FILE_SOURCE, ColumnMapping, SourceTable

LARGEST_AMOUNT = 1e12
"""Quantities and prices at or beyond this are typing errors; they would overflow the sums."""

_ISO_DATES = "%Y-%m-%d"
_DAY_FIRST = ("%d/%m/%Y", "%d.%m.%Y", "%d-%m-%Y")
_MONTH_FIRST = ("%m/%d/%Y", "%m.%d.%Y", "%m-%d-%Y")
_TIMES = ("", " %H:%M", " %H:%M:%S")


@dataclass(frozen=True)
class FilePlan:
    """How one file is read: found columns, their types and the date order of text columns."""

    path: Path
    table: SourceTable
    origins: dict[str, str]
    types: dict[str, str]
    attributes: dict[str, str]
    delimiter: str | None
    encoding: str
    date_orders: dict[str, str]

    @property
    def scan(self) -> str:
        """The table function that reads the file; its path is the first parameter."""
        if self.delimiter is None:
            return "read_parquet($1)"
        return (
            f"read_csv($1, all_varchar=true, header=true, delim={_text(self.delimiter)}, quote='\"', "
            f"encoding={_text(self.encoding)}, store_rejects=true, rejects_limit=0)"
        )


def plan_file(
    path: Path,
    table: SourceTable,
    mapping: ColumnMapping,
    *,
    encoding: str = "utf-8",
    date_order: str | None = None,
) -> FilePlan:
    """Look at a file and decide how to read it.

    Parameters
    ----------
    path
        A CSV or Parquet file.
    date_order
        ``dmy`` or ``mdy`` where the user says so; else detected from the values.

    Raises
    ------
    InputError
        When the file is missing, empty, unreadable or lacks a required column; the message names
        the file and the way out.
    """
    if path.is_dir() or not path.exists():
        raise InputError(f"{path}: not a file.", "Give the path of a CSV or Parquet file.")
    if path.stat().st_size == 0:
        raise InputError(f"{path}: the file is empty.", "Export it again.")
    delimiter = None if path.suffix.lower() in (".parquet", ".pq") else _delimiter(path, encoding)
    plan = FilePlan(path, table, {}, {}, {}, delimiter, encoding, {})
    with _duckdb() as connection:
        try:
            found = connection.execute(
                f"select * from {plan.scan} limit 0", [str(path)]  # noqa: S608
            ).description
        except duckdb.Error as error:
            raise _unreadable(path, error) from None
        types = {str(column[0]): str(column[1]) for column in found or []}
        plan = replace(plan, types=types, **_match_columns(path, table, mapping, list(types)))
        return replace(plan, date_orders=_date_orders(connection, plan, date_order))


@contextmanager
def read_file(plan: FilePlan, today: str) -> Iterator[RowStream]:
    """Open the file as a stream of batches.

    Each batch has the raw table's columns, ``_row_number`` (1-based record in the file) and
    ``_reason`` (empty where the row keeps the contract). Call :meth:`RowStream.malformed` after the
    last batch for the lines that could not even be split into columns.
    """
    with _duckdb() as connection:
        try:
            relation = connection.sql(_query(plan, today), params=[str(plan.path)])
            reader = relation.to_arrow_reader(100_000)
        except duckdb.Error as error:
            raise _unreadable(plan.path, error) from None
        yield RowStream(connection, reader, plan)


class RowStream:
    """Batches of one file, see :func:`read_file`."""

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, reader: pa.RecordBatchReader, plan: FilePlan
    ) -> None:
        self._connection = connection
        self._reader = reader
        self._plan = plan

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        try:
            yield from self._reader
        except (duckdb.Error, pa.ArrowException, OSError) as error:
            raise _unreadable(self._plan.path, error) from None

    def malformed(self) -> list[tuple[int, str, str]]:
        """Lines that are no rows: (line in the file, its text, reason)."""
        if self._plan.delimiter is None:
            return []
        rows = self._connection.execute(
            "select line, min(csv_line), min(lower(cast(error_type as varchar))) "
            "from reject_errors group by line order by line"
        ).fetchall()
        return [(int(line), text or "", f"malformed line: {reason}") for line, text, reason in rows]


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


def _query(plan: FilePlan, today: str) -> str:
    checks: list[str] = []
    columns: list[str] = []
    for column in plan.table.columns:
        origin = plan.origins.get(column.name)
        if origin is None:
            columns.append(f"cast(null as {_duckdb_type(column.type)}) as {_name(column.name)}")
            continue
        given = f"nullif(trim(cast({_name(origin)} as varchar)), '')"
        value = _value(plan, column.name, column.type, origin)
        columns.append(f"{value} as {_name(column.name)}")
        if column.required and not column.nullable:
            checks.append(f"when {given} is null then '{column.name} is empty'")
        if column.type != "text":
            checks.append(
                f"when {given} is not null and lower({given}) not in ('nan', 'nat', 'null') "
                f"and ({value}) is null then '{column.name} is not {_described(column.type)}'"
            )
        else:
            checks.append(f"when contains(coalesce({given}, ''), chr(0)) then '{column.name} has a zero byte'")
        if column.type == "double precision":
            checks.append(
                f"when not abs({value}) < {LARGEST_AMOUNT} then '{column.name} is out of range'"
            )
        if column.type == "timestamp":
            checks.append(
                f"when {value} < timestamp '1950-01-01' or {value} >= timestamp {_text(today)} "
                f"+ interval 2 day then '{column.name} lies before 1950 or in the future'"
            )
    if plan.table.source == FLAT_FILE_SOURCE:
        checks += _flat_file_checks(plan)
    for name, origin in plan.attributes.items():
        columns.append(f"nullif(trim(cast({_name(origin)} as varchar)), '') as {_name(name)}")
    reason = f"case {' '.join(checks)} end"
    return (
        f"select {', '.join(columns)}, row_number() over () as _row_number, {reason} as _reason "  # noqa: S608
        f"from {plan.scan}"
    )


def _flat_file_checks(plan: FilePlan) -> list[str]:
    """Rules of the order-line contract beyond types."""

    def value(name: str) -> str | None:
        origin = plan.origins.get(name)
        return _value(plan, name, plan.table.column(name).type, origin) if origin else None

    checks = [f"when {value('unit_price')} < 0 then 'unit_price is negative'"]
    if discount := value("discount"):
        checks.append(
            f"when {discount} < 0 or {discount} > 1 then 'discount is not a fraction from 0 to 1'"
        )
    if returned := value("returned"):
        checks.append(f"when {returned} not in (0, 1) then 'returned is neither 1 nor 0 nor empty'")
    if returned_at := value("returned_at"):
        checks.append(
            f"when {returned_at} < {value('ordered_at')} then 'returned_at is before ordered_at'"
        )
    return checks


def _value(plan: FilePlan, name: str, type_: str, origin: str) -> str:
    """The expression that converts a column of the file, null where it cannot."""
    column = _name(origin)
    file_type = plan.types[origin]
    text = f"nullif(trim(cast({column} as varchar)), '')"
    if type_ == "text":
        if file_type in ("DOUBLE", "FLOAT"):
            # ids that a spreadsheet or pandas turned into 13085.0
            return (
                f"case when isnan({column}) then null when {column} = floor({column}) "
                f"then cast(cast({column} as bigint) as varchar) else cast({column} as varchar) end"
            )
        return text
    if type_ == "timestamp":
        if file_type == "TIMESTAMP WITH TIME ZONE":
            return f"make_timestamp(epoch_us({column}))"
        if file_type.startswith(("TIMESTAMP", "DATE")):
            return f"try_cast({column} as timestamp)"
        order = plan.date_orders.get(name, "iso")
        if order == "iso":
            return f"try_cast({text} as timestamp)"
        formats = _DAY_FIRST if order == "dmy" else _MONTH_FIRST
        return f"try_strptime({text}, {_format_list(formats)})"
    if type_ == "integer":
        return (
            f"case lower({text}) when '1' then 1 when '1.0' then 1 when 'true' then 1 when 'yes' then 1 "
            f"when '0' then 0 when '0.0' then 0 when 'false' then 0 when 'no' then 0 "
            f"else try_cast({text} as integer) end"
        )
    number = f"try_cast({text} as double)"
    return f"case when isnan({number}) then null else {number} end"


def _match_columns(
    path: Path, table: SourceTable, mapping: ColumnMapping, found: list[str]
) -> dict[str, dict[str, str]]:
    unknown = [theirs for theirs in mapping.renames if theirs not in found]
    if unknown:
        raise InputError(
            f"{path}: --map names {unknown[0]!r}, which is no column of the file.",
            f"Its columns are: {', '.join(found)}.",
        )
    names = {column.name for column in table.columns}
    strangers = [ours for ours in mapping.renames.values() if ours not in names]
    if strangers:
        raise InputError(
            f"--map: there is no column {strangers[0]!r} to map to.",
            f"Choose one of: {', '.join(sorted(names))}.",
        )
    theirs_by_ours = {ours: theirs for theirs, ours in mapping.renames.items()}
    by_plain_name: dict[str, str] = {}
    for name in found:
        if name not in mapping.renames:
            by_plain_name.setdefault(_plain(name), name)
    origins = {}
    for column in table.columns:
        origin = theirs_by_ours.get(column.name) or by_plain_name.get(_plain(column.origin))
        if origin is not None:
            origins[column.name] = origin
        elif column.required:
            raise InputError(
                f"{path}: the required column {column.origin!r} is missing.",
                f"Its columns are: {', '.join(found)}. "
                f"If one of them is it, add --map 'THEIRS={column.name}'.",
            )
    attributes = {}
    for attribute in mapping.attributes:
        if attribute.origin not in found:
            raise InputError(
                f"{path}: --attribute names {attribute.origin!r}, which is no column of the file.",
                f"Its columns are: {', '.join(found)}.",
            )
        attributes[attribute.column_name] = attribute.origin
    return {"origins": origins, "attributes": attributes}


def _date_orders(
    connection: duckdb.DuckDBPyConnection, plan: FilePlan, stated: str | None
) -> dict[str, str]:
    """Decide for each text column of times whether it is ISO, day first or month first."""
    orders: dict[str, str] = {}
    for column in plan.table.columns:
        origin = plan.origins.get(column.name)
        if column.type != "timestamp" or origin is None:
            continue
        if plan.types[origin].startswith(("TIMESTAMP", "DATE")):
            continue
        text = f"nullif(trim(cast({_name(origin)} as varchar)), '')"
        try:
            row = connection.execute(
                f"select count({text}), count(try_cast({text} as timestamp)), "  # noqa: S608
                f"count(try_strptime({text}, {_format_list(_DAY_FIRST)})), "
                f"count(try_strptime({text}, {_format_list(_MONTH_FIRST)})), "
                f"count_if(try_strptime({text}, {_format_list(_DAY_FIRST)}) "
                f"<> try_strptime({text}, {_format_list(_MONTH_FIRST)})) from {plan.scan}",
                [str(plan.path)],
            ).fetchone()
        except duckdb.Error as error:
            raise _unreadable(plan.path, error) from None
        given, iso, day_first, month_first, differing = row or (0, 0, 0, 0, 0)
        if iso >= max(day_first, month_first) or given == 0:
            continue
        if stated is not None:
            orders[column.name] = stated
        elif day_first == month_first and differing:
            raise InputError(
                f"{plan.path}: {column.name} could be day first or month first.",
                "Add --date-order dmy (31/12/2024) or --date-order mdy (12/31/2024).",
            )
        else:
            orders[column.name] = "dmy" if day_first >= month_first else "mdy"
    return orders


def _delimiter(path: Path, encoding: str) -> str:
    try:
        with path.open(encoding=encoding, newline="") as file:
            header = file.readline()
    except (UnicodeDecodeError, LookupError):
        raise InputError(
            f"{path}: the text is not {encoding}.", "Add --encoding latin-1 (or utf-16)."
        ) from None
    if not header.strip():
        raise InputError(f"{path}: the first line is empty.", "It must name the columns.")
    return max((",", ";", "\t", "|"), key=header.count)


def _unreadable(path: Path, error: Exception) -> InputError:
    text = " ".join(str(error).split())
    if "unicode" in text.lower() or "utf" in text.lower():
        return InputError(f"{path}: the text is not UTF-8.", "Add --encoding latin-1 (or utf-16).")
    return InputError(f"{path}: cannot be read: {text[:200]}", "Export it again as CSV or Parquet.")


def _format_list(dates: tuple[str, ...]) -> str:
    return "[" + ", ".join(_text(date + time) for date in dates for time in _TIMES) + "]"


def _plain(name: str) -> str:
    return name.strip().lstrip("\ufeff").lower().replace(" ", "_")


def _name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _duckdb_type(type_: str) -> str:
    return {"text": "varchar", "double precision": "double"}.get(type_, type_)


def _described(type_: str) -> str:
    return {"timestamp": "a time", "double precision": "a number", "integer": "1 or 0"}[type_]
