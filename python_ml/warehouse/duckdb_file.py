"""Reading from and writing to DuckDB: one file in the home.

Statements are written once, in PostgreSQL's words, and this module is where they become DuckDB's:
placeholders are translated, and the few functions of PostgreSQL that they use are macros here.

One process at a time may have the file open for writing. So connections are short, dbt gets the
file for itself while it runs, and whoever finds it taken waits.
"""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar, cast

import duckdb
import pyarrow as pa

from python_ml.errors import BusyError, InputError, WarehouseError
from python_ml.settings import Engine
from python_ml.warehouse.layout import Layout
from python_ml.warehouse.postgres import (
    BulkWriter,
    Connection,
    Snapshot,
    Warehouse,
    identifier,
)

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

BATCH_ROWS = 100_000
"""Rows of a batch where results are read in parts."""

_MACROS = """
create or replace temp macro to_regclass(name) as (
    select table_name from information_schema.tables
    where table_schema || '.' || table_name = replace(name, '"', '') limit 1
);
create or replace temp macro regexp_like(value, pattern) as regexp_matches(value, pattern);
create or replace temp macro pg_input_is_valid(value, type_name) as (
    try_cast(value as date) is not null
);
create or replace temp macro pg_advisory_xact_lock(key) as true;
"""
"""Functions of PostgreSQL that statements use. An advisory lock is always had: whoever has the file
open for writing is alone."""

_PLACEHOLDER = re.compile(r"%\((?P<name>\w+)\)s|%s|%%")
_ON_COMMIT_DROP = re.compile(r"\s+on commit drop\b", re.IGNORECASE)
_LIKE = re.compile(
    r"^\s*create\s+(?P<kind>temporary\s+)?table\s+(?P<new>\S+)\s*\(like\s+(?P<old>[^)]+)\)\s*$",
    re.IGNORECASE,
)
_DROPS = re.compile(r"^\s*drop\s+table\s+(?P<names>[\w\"., ]+,[\w\"., ]+)$", re.IGNORECASE)


def translated(statement: str) -> list[str]:
    """A statement of PostgreSQL in DuckDB's words; several where it takes several.

    Examples
    --------
    >>> translated("create temporary table a (like raw.b) on commit drop")
    ['create temporary table a as select * from raw.b limit 0']
    >>> translated("drop table gone, refused")
    ['drop table gone', 'drop table refused']
    """
    statement = _ON_COMMIT_DROP.sub("", statement)  # a temporary table ends with its connection
    if drops := _DROPS.match(statement):
        return [f"drop table {name.strip()}" for name in drops["names"].split(",")]
    if like := _LIKE.match(statement):
        return [
            f"create {like['kind'] or ''}table {like['new']} as "  # noqa: S608 - names of our own
            f"select * from {like['old'].strip()} limit 0"
        ]
    return [statement]


def placed_parameters(
    statement: str, parameters: Sequence[Any] | Mapping[str, Any] | None
) -> tuple[str, Sequence[Any] | Mapping[str, Any] | None]:
    """A statement with psycopg's placeholders in DuckDB's notation.

    Examples
    --------
    >>> placed_parameters("select %s, '5%%'", [1])
    ("select ?, '5%'", [1])
    >>> placed_parameters("select %(a)s", {"a": 1, "b": 2})
    ('select $a', {'a': 1})
    """
    if parameters is None:
        return statement, None
    used: dict[str, Any] = {}

    def place(found: re.Match[str]) -> str:
        if found["name"]:
            assert isinstance(parameters, Mapping)
            used[found["name"]] = parameters[found["name"]]
            return f"${found['name']}"
        return "%" if found[0] == "%%" else "?"

    text = _PLACEHOLDER.sub(place, statement)
    return text, used if isinstance(parameters, Mapping) else list(parameters)


class DuckDBResult:
    """The rows of a statement, as psycopg's cursor hands them out."""

    def __init__(self, rows: list[tuple[Any, ...]], names: list[str], rowcount: int) -> None:
        self._rows = iter(rows)
        self.names = names
        self.rowcount = rowcount

    def fetchone(self) -> tuple[Any, ...] | None:
        """The next row, if there is one."""
        return next(self._rows, None)

    def fetchall(self) -> list[tuple[Any, ...]]:
        """All rows that are left."""
        return list(self._rows)

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return self._rows


class DuckDBConnection:
    """What the project asks of a connection for small statements."""

    broken = False

    def __init__(self, raw: duckdb.DuckDBPyConnection) -> None:
        self._raw = raw

    def execute(
        self, query: str | bytes, parameters: Sequence[Any] | Mapping[str, Any] | None = None
    ) -> DuckDBResult:
        """Run one statement with psycopg's placeholders; all its rows are fetched at once."""
        text = query.decode() if isinstance(query, bytes) else query
        text, placed = placed_parameters(text, parameters)
        rows: list[tuple[Any, ...]] = []
        names: list[str] = []
        rowcount = -1
        for statement in translated(text):
            result = self._raw.execute(statement, placed)
            described = result.description or []
            names = [str(column[0]) for column in described]
            rows = result.fetchall() if described else []
            rowcount = result.rowcount
        return DuckDBResult(rows, names, rowcount)

    @contextmanager
    def transaction(self) -> Iterator[DuckDBConnection]:
        """One transaction: kept at the end, undone on an error."""
        with _transaction(self._raw):
            yield self


class DuckDBSnapshot(Snapshot):
    """One moment of the file."""

    def read(self, query: str, parameters: Sequence[Any] | None = None) -> pa.Table:
        """Read the result of one query as Arrow."""
        return _read(self._connection, query, parameters)


class DuckDBBulkWriter(BulkWriter):
    """One transaction of bulk writes."""

    def _ingest(self, schema: str | None, table: str, rows: pa.RecordBatchReader) -> None:
        """Append rows of the table's own types; ``schema`` is None for a temporary table."""
        name = identifier(table) if schema is None else f"{identifier(schema)}.{identifier(table)}"
        self._connection.register("arriving_rows", rows)
        try:
            self._connection.execute(
                f"insert into {name} by name select * from arriving_rows"  # noqa: S608 - quoted
            ).fetchall()
        finally:
            with suppress(duckdb.Error):  # a transaction that failed takes no more statements
                self._connection.unregister("arriving_rows")

    def columns(self, schema: str, table: str) -> list[str]:
        """Names of a table's columns; none when there is no such table."""
        found = self.read(
            "select column_name from information_schema.columns "
            "where table_schema = $1 and table_name = $2 order by ordinal_position",
            [schema, table],
        )
        return [str(name) for name in found.column("column_name").to_pylist()]

    def execute(self, statement: str, parameters: Sequence[Any] | None = None) -> int:
        """Run one statement with ``$1``-style parameters; return the rows it touched."""
        count = -1
        for part in translated(statement):
            result = self._connection.execute(part, parameters)
            if result.description:
                result.fetchall()
            count = int(result.rowcount)
        return count

    def read(self, query: str, parameters: Sequence[Any] | None = None) -> pa.Table:
        """Read inside the transaction."""
        return _read(self._connection, query, parameters)


class DuckDBWarehouse(Warehouse):
    """A shop's database as one DuckDB file.

    Parameters
    ----------
    path
        The file; made at the first use.
    threads
        Threads of a statement.
    memory
        What DuckDB may use before it puts work on disk, as ``8GB``; its own default, most of the
        machine, when None.
    wait_seconds
        How long to wait for a process that has the file open.
    """

    engine: ClassVar[Engine] = "duckdb"

    def __init__(
        self, path: Path, *, threads: int = 2, memory: str | None = None, wait_seconds: float = 60
    ) -> None:
        self.path = path
        self.layout = Layout()
        self._threads = threads
        self._memory = memory
        self._wait_seconds = wait_seconds

    def __repr__(self) -> str:
        return f"DuckDBWarehouse({self.path})"

    @property
    def url(self) -> str:
        """No server speaks for this file."""
        raise InputError(
            f"{self.path} is a DuckDB file; no server stands before it.",
            "BI reads the copy in the folder bi of the home; see docs/engines.md.",
        )

    def environment(self) -> dict[str, str]:
        """The variables that dbt's profile for DuckDB reads."""
        return {
            "SMARTRETAIL_DUCKDB_FILE": str(self.path),
            "SMARTRETAIL_DUCKDB_TEMP": str(self._temp),
            "SMARTRETAIL_DUCKDB_MEMORY": self._memory or "80%",
        }

    @property
    def profiles(self) -> str:
        """Name of the folder that holds dbt's profile for this engine."""
        return "profiles/duckdb"

    @contextmanager
    def connect(self, autocommit: bool = False) -> Iterator[Connection]:
        """Open a connection for small statements; commits at the end, rolls back on an error."""
        with self._open() as raw:
            connection = cast("Connection", DuckDBConnection(raw))
            if autocommit:
                yield connection
            else:
                with _transaction(raw):
                    yield connection

    def ask(self, query: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Names and rows of one statement of a user's, which can change nothing.

        The file is opened for reading alone, and no other file can be reached.

        Raises
        ------
        InputError
            When DuckDB refuses the statement, or there is more than one.
        """
        if not self.path.exists():
            raise InputError("Nothing was loaded yet.", "Run `smartretail load` first.")
        raw = self._connected(read_only=True)
        try:
            if len(duckdb.extract_statements(query)) != 1:
                raise InputError("The database takes one statement at a time.")
            self._before_question(raw)
            raw.execute("set enable_external_access = false")
            raw.execute("set lock_configuration = true")
            result = raw.execute(query)
            names = [str(column[0]) for column in result.description or []]
            return names, result.fetchall() if names else []
        except duckdb.Error as error:
            raise InputError(f"The database refuses that: {str(error).strip()}") from None
        finally:
            raw.close()

    def read(self, query: str, parameters: Sequence[Any] | None = None) -> pa.Table:
        """Read the result of one query as Arrow; parameters are ``$1``, ``$2`` ..."""
        with self._open() as raw:
            return _read(raw, query, parameters)

    @contextmanager
    def read_batches(
        self, query: str, parameters: Sequence[Any] | None = None
    ) -> Iterator[pa.RecordBatchReader]:
        """Read the result of one query batch by batch, in bounded memory."""
        with self._open() as raw:
            yield raw.sql(query, params=parameters).to_arrow_reader(BATCH_ROWS)

    @contextmanager
    def snapshot(self, layout: Layout | None = None) -> Iterator[Snapshot]:
        """Read several tables as they are at one moment.

        Raises
        ------
        InputError
            When a shop's own tables are to be read: there are none beside a file.
        """
        if layout is None:
            raise InputError(
                "A shop's own tables are read where they stand: in PostgreSQL.",
                "Load files with --path, or use a home with the engine postgres.",
            )
        with self._open() as raw, _transaction(raw):
            yield DuckDBSnapshot(raw, layout)

    @contextmanager
    def bulk(self) -> Iterator[BulkWriter]:
        """Write in one transaction: all of it is there at the end, or none of it."""
        with self._open() as raw, _transaction(raw):
            yield DuckDBBulkWriter(raw, self.layout)

    def relation_exists(self, schema: str, name: str) -> bool:
        """Whether a table or view is there."""
        if not self.path.exists():
            return False
        with self.connect() as connection:
            found = connection.execute(
                "select 1 from information_schema.tables "
                "where table_schema = %s and table_name = %s",
                (schema, name),
            ).fetchone()
        return found is not None

    @contextmanager
    def hold_lock(self, wait_seconds: float) -> Iterator[HeldFile]:
        """Hold the lock file beside the database; the system gives it back when we die.

        Raises
        ------
        BusyError
            When another process holds it for longer than ``wait_seconds``.
        """
        busy = BusyError(
            f"Another run is at work on this shop (waited {wait_seconds:g} s).",
            "Let it finish, or wait longer with SMARTRETAIL_LOCK_WAIT_SECONDS.",
        )
        path = self.path.with_name(self.path.name + ".lock")
        with hold_file(path, wait_seconds, busy) as held:
            yield held

    def _before_question(self, raw: duckdb.DuckDBPyConnection) -> None:
        """Say what a user's statement may reach beside the file: nothing."""

    @property
    def _temp(self) -> Path:
        return self.path.with_name("duckdb_temp")

    @contextmanager
    def _open(self) -> Iterator[duckdb.DuckDBPyConnection]:
        raw = self._connected()
        try:
            raw.execute(_MACROS)
            yield raw
        except duckdb.OutOfMemoryException as error:
            raise WarehouseError(
                f"DuckDB ran out of memory: {_first_line(error)}",
                "Nothing of this step was kept. Set SMARTRETAIL_ENGINE_MEMORY to what it may use, "
                "as 8GB, or fewer SMARTRETAIL_THREADS.",
            ) from None
        finally:
            raw.close()

    def _connected(self, *, read_only: bool = False) -> duckdb.DuckDBPyConnection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        config: dict[str, Any] = {
            "threads": self._threads,
            "temp_directory": str(self._temp),
            "default_null_order": "nulls_last_on_asc_first_on_desc",
            "preserve_insertion_order": "false",
            "autoinstall_known_extensions": "false",
            "memory_limit": self._memory or "80%",
        }
        deadline = time.monotonic() + self._wait_seconds
        while True:
            try:
                return duckdb.connect(str(self.path), read_only=read_only, config=config)
            except duckdb.IOException as error:
                if "lock" not in str(error).lower():
                    raise WarehouseError(
                        f"Cannot open {self.path}: {_first_line(error)}",
                        "See that the file is DuckDB's and may be written to.",
                    ) from None
                if time.monotonic() >= deadline:
                    raise BusyError(
                        f"Another process has {self.path} open "
                        f"(waited {self._wait_seconds:g} s): {_first_line(error)}",
                        "Let it finish: DuckDB lets one process write at a time. What is published "
                        "can be read meanwhile, in the folder bi of the home.",
                    ) from None
                time.sleep(0.1)


class HeldFile:
    """A lock file that this process holds."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path = path
        self._descriptor = descriptor
        self.one_at_a_time = threading.Lock()

    def is_held(self) -> bool:
        """Whether the file that we locked is still the one that others would find."""
        try:
            ours, theirs = os.fstat(self._descriptor), self._path.stat()
        except OSError:
            return False
        return (ours.st_dev, ours.st_ino) == (theirs.st_dev, theirs.st_ino)


@contextmanager
def hold_file(path: Path, wait_seconds: float, busy: BusyError) -> Iterator[HeldFile]:
    """Hold a lock file; the system gives it back when we die.

    Raises
    ------
    BusyError
        The one given, when another process holds it for longer than ``wait_seconds``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        deadline = time.monotonic() + wait_seconds
        while not _try_lock(descriptor):
            if time.monotonic() >= deadline:
                raise busy
            time.sleep(0.2)
        yield HeldFile(path, descriptor)
    finally:
        os.close(descriptor)  # with it goes the lock


@contextmanager
def _transaction(raw: duckdb.DuckDBPyConnection) -> Iterator[None]:
    raw.execute("begin")
    try:
        yield
    except BaseException:
        with suppress(duckdb.Error):
            raw.execute("rollback")
        raise
    raw.execute("commit")


def _read(raw: duckdb.DuckDBPyConnection, query: str, parameters: Sequence[Any] | None) -> pa.Table:
    result = raw.sql(query, params=list(parameters) if parameters is not None else None)
    return with_plain_integers(result.to_arrow_table())


def with_plain_integers(table: pa.Table) -> pa.Table:
    """A table whose sums of integers, 128 bits wide in DuckDB, are 64 bits wide again."""
    for place, field in enumerate(table.schema):
        if pa.types.is_decimal(field.type) and field.type.scale == 0:
            plain = table.column(place).cast(pa.int64())
            table = table.set_column(place, field.name, plain)
    return table


def _try_lock(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
