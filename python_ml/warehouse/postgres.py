"""Reading from and writing to PostgreSQL.

Rows move as Arrow in both directions. Nothing outside this package opens a connection.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import date
from typing import Any, ClassVar, Protocol, Self
from urllib.parse import parse_qs, unquote, urlsplit

import adbc_driver_manager
import adbc_driver_manager.dbapi
import adbc_driver_postgresql
import psycopg
import pyarrow as pa
from psycopg import sql

from python_ml.errors import ConnectionLostError, InputError, WarehouseError
from python_ml.settings import Engine
from python_ml.warehouse.layout import Layout

Connection = psycopg.Connection[tuple[Any, ...]]

PUBLISH_LOCK = 7_236_012_026
"""Key of the advisory lock that keeps writers of one shop apart."""

_DISK_FULL = "53100"
_NOT_FOR_US = ("authentication failed", "does not exist", "no pg_hba.conf entry")
"""Reasons why a server refuses a connection that it will refuse again."""


_SPELLINGS = {
    "VARCHAR": "text",
    "SMALLINT": "smallint",
    "INTEGER": "integer",
    "BIGINT": "bigint",
    "HUGEINT": "numeric",
    "FLOAT": "real",
    "DOUBLE": "double precision",
    "DATE": "date",
    "BOOLEAN": "boolean",
    "TIMESTAMP": "timestamp without time zone",
}
"""Names of types as DuckDB spells them, and what PostgreSQL calls them."""

_PARAMETER = re.compile(r"\$(\d+)\b")


class BulkWriter:
    """One transaction of bulk writes; see :meth:`Warehouse.bulk`."""

    def __init__(self, connection: Any, layout: Layout | None = None) -> None:
        self._connection = connection
        self._layout = layout or Layout()

    def append(self, schema: str, table: str, rows: pa.Table | pa.RecordBatchReader) -> int:
        """Append rows to an existing table and return how many.

        Raises
        ------
        WarehouseError
            When the columns are not exactly those of the table.
        """
        batches = rows.to_batches() if isinstance(rows, pa.Table) else rows
        return self.append_batches(schema, table, rows.schema.names, batches)

    def append_batches(
        self,
        schema: str | None,
        table: str,
        columns: Sequence[str],
        batches: Iterable[pa.RecordBatch],
    ) -> int:
        """Append a stream of rows, in bounded memory, and return how many.

        The driver writes bytes without converting them, so every column is first cast to the type
        that the table has; a value that does not fit is an error, never garbage. What goes wrong in
        ``batches`` is raised as it is.

        Parameters
        ----------
        schema
            Schema of the table; None for a temporary one.
        columns
            Names of the columns of every batch.

        Raises
        ------
        WarehouseError
            When the columns are not exactly those of the table.
        """
        if schema is not None:
            schema, table = self._layout.place(schema, table)
        name = identifier(table) if schema is None else f"{identifier(schema)}.{identifier(table)}"
        target = self.read(f"select * from {name} limit 0").schema  # noqa: S608 - quoted
        unknown = sorted(set(columns) - set(target.names))
        missing = sorted(set(target.names) - set(columns))
        if unknown or missing:
            raise WarehouseError(
                f"Rows for {name} do not fit: unknown columns {unknown}, missing {missing}.",
                "The table was made by another version; run `smartretail doctor`.",
            )
        converted = _Converted(batches, target)
        try:
            self._ingest(schema, table, pa.RecordBatchReader.from_batches(target, iter(converted)))
        except Exception:
            if converted.failure is not None:  # the driver only hands on its text
                raise converted.failure from None
            raise
        return converted.rows

    def _ingest(self, schema: str | None, table: str, rows: pa.RecordBatchReader) -> None:
        """Append rows of the table's own types; ``schema`` is None for a temporary table."""
        where: dict[str, Any] = (
            {"temporary": True} if schema is None else {"db_schema_name": schema}
        )
        with self._connection.cursor() as cursor:
            cursor.adbc_ingest(table, rows, mode="append", **where)

    def columns(self, schema: str, table: str) -> list[str]:
        """Names of a table's columns; none when there is no such table."""
        found = self.read(
            "select attname::text as name from pg_attribute "
            "where attrelid = to_regclass($1) and attnum > 0 and not attisdropped",
            [".".join(map(identifier, self._layout.place(schema, table)))],
        )
        return [str(name) for name in found.column("name").to_pylist()]

    def execute(self, statement: str, parameters: Sequence[Any] | None = None) -> int:
        """Run one statement with ``$1``-style parameters; return the rows it touched."""
        with self._connection.cursor() as cursor:
            cursor.execute(self._layout.placed(statement), parameters)
            return int(cursor.rowcount)

    def read(self, query: str, parameters: Sequence[Any] | None = None) -> pa.Table:
        """Read inside the transaction."""
        with self._connection.cursor() as cursor:
            cursor.execute(self._layout.placed(query), parameters)
            return cursor.fetch_arrow_table()

    def value(self, query: str, parameters: Sequence[Any] | None = None) -> Any:
        """Read one value inside the transaction."""
        return self.read(query, parameters).column(0)[0].as_py()


class _Converted:
    """Batches cast to the types of a table, counted, with what went wrong in them."""

    def __init__(self, batches: Iterable[pa.RecordBatch], target: pa.Schema) -> None:
        self.rows = 0
        self.failure: BaseException | None = None
        self._batches = batches
        self._target = target

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        try:
            for batch in self._batches:
                self.rows += batch.num_rows
                yield batch.select(self._target.names).cast(self._target)
        except BaseException as error:
            self.failure = error
            raise


class _Lent:
    """The driver's picture of a database, which outlives the connection that it is lent to.

    Reading its types takes ten times as long as a connection does.
    """

    def __init__(self, database: adbc_driver_manager.AdbcDatabase) -> None:
        self._database = database

    def close(self) -> None:
        """Keep it open: the next connection uses it again."""


class _PlacedConnection(psycopg.Connection[tuple[Any, ...]]):
    """A connection whose statements find the project's tables where they stand."""

    layout = Layout()


class _PlacedCursor(psycopg.Cursor[tuple[Any, ...]]):
    """The cursor of such a connection."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> Self:
        layout = layout_of(self.connection)
        if layout.schema is not None:
            text = query.decode() if isinstance(query, bytes) else query
            text = text.as_string(self) if isinstance(text, sql.Composable) else text
            query = layout.placed(text).encode()
        return super().execute(query, params, **options)


def layout_of(connection: psycopg.Connection[Any]) -> Layout:
    """Where the project's tables stand for a connection of the warehouse."""
    return connection.layout if isinstance(connection, _PlacedConnection) else Layout()


def create_schema(connection: psycopg.Connection[Any], layer: str) -> None:
    """Create the schema of a layer where it is missing.

    ``if not exists`` would ask for the right to create schemas even where it is there.
    """
    schema, _ = layout_of(connection).place(layer, "")
    if not isinstance(connection, psycopg.Connection):  # a file knows no rights
        connection.execute(f"create schema if not exists {identifier(schema)}")
        return
    found = connection.execute("select to_regnamespace(%s)", (identifier(schema),)).fetchone()
    if found is None or found[0] is None:
        connection.execute(sql.SQL("create schema {}").format(sql.Identifier(schema)))


class Reader(Protocol):
    """What queries are asked of: the warehouse, or one moment of it."""

    def read(self, query: str, parameters: Sequence[Any] | None = None) -> pa.Table:
        """Read the result of one query as Arrow."""


class Snapshot:
    """One moment of the database, read as often as needed; see :meth:`Warehouse.snapshot`."""

    def __init__(self, connection: Any, layout: Layout) -> None:
        self._connection = connection
        self.layout = layout

    def read(self, query: str, parameters: Sequence[Any] | None = None) -> pa.Table:
        """Read the result of one query as Arrow."""
        with self._connection.cursor() as cursor:
            cursor.execute(self.layout.placed(query), parameters)
            return cursor.fetch_arrow_table()

    @contextmanager
    def read_batches(self, query: str) -> Iterator[pa.RecordBatchReader]:
        """Read the result of one query batch by batch, in bounded memory."""
        with self._connection.cursor() as cursor:
            cursor.execute(query)
            yield cursor.fetch_record_batch()

    def may_read(self, relation: str) -> bool:
        """Whether this role may read all of a table or view."""
        allowed = self.read("select has_table_privilege($1, 'select')", [relation])
        return bool(allowed.column(0)[0].as_py())


class Warehouse:
    """The shop's database.

    Parameters
    ----------
    url
        ``postgresql://user:password@host:port/database``. Kept out of ``repr`` and of errors.
    layout
        Where the project's tables stand in it.
    """

    engine: ClassVar[Engine] = "postgres"

    not_published: ClassVar[tuple[str, ...]] = ()
    """What dbt leaves out on this engine when it builds marts: selectors of dbt."""

    def __init__(self, url: str, layout: Layout | None = None) -> None:
        self._url = url
        self._catalog: adbc_driver_manager.AdbcDatabase | None = None
        self.layout = layout or Layout()

    def __repr__(self) -> str:
        parts = urlsplit(self._url)
        return f"Warehouse({parts.hostname}:{parts.port}{parts.path})"

    @property
    def url(self) -> str:
        """The address with its password; for handing on, never for logging."""
        return self._url

    def environment(self) -> dict[str, str]:
        """The connection as the variables that dbt's profile reads."""
        parts = urlsplit(self._url)
        options = parse_qs(parts.query)
        variables = {
            "SMARTRETAIL_PGHOST": parts.hostname or "127.0.0.1",
            "SMARTRETAIL_PGPORT": str(parts.port or 5432),
            "SMARTRETAIL_PGUSER": unquote(parts.username or ""),
            "SMARTRETAIL_PGPASSWORD": unquote(parts.password or ""),
            "SMARTRETAIL_PGDATABASE": unquote(parts.path.lstrip("/")),
        }
        if "sslmode" in options:
            variables["SMARTRETAIL_PGSSLMODE"] = options["sslmode"][0]
        return variables

    @property
    def profiles(self) -> str:
        """Name of the folder that holds dbt's profile for this engine."""
        return "profiles"

    @contextmanager
    def while_dbt_runs(self) -> Iterator[None]:
        """Around each run of dbt, for engines that hand something over; nothing here."""
        yield

    def after_publishing(self) -> None:
        """After another run came into force, for engines that show it by more than one row."""

    @contextmanager
    def connect(self, autocommit: bool = False) -> Iterator[Connection]:
        """Open a connection for small statements; commits at the end, rolls back on an error.

        Raises
        ------
        WarehouseError
            When the server does not answer.
        """
        try:
            connection = _PlacedConnection.connect(
                self._url,
                autocommit=autocommit,
                connect_timeout=10,
                cursor_factory=_PlacedCursor,
            )
            connection.layout = self.layout
        except psycopg.OperationalError as error:
            raise self._unreachable(error) from None
        try:
            with connection:
                yield connection
        except psycopg.OperationalError as error:
            if connection.broken or isinstance(error, psycopg.errors.DiskFull):
                raise self._lost(error) from None
            raise

    def ask(self, query: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        """Names and rows of one statement of a user's, which can change nothing.

        Raises
        ------
        InputError
            When the database refuses the statement.
        """
        with self.connect() as connection:
            connection.read_only = True
            try:
                # prepared statements are single: nothing can follow that ends the read-only
                # transaction
                cursor = connection.execute(query.encode(), prepare=True)
            except psycopg.Error as error:
                raise InputError(f"The database refuses that: {str(error).strip()}") from None
            names = [column.name for column in cursor.description or []]
            return names, cursor.fetchall() if names else []

    def read(self, query: str, parameters: Sequence[Any] | None = None) -> pa.Table:
        """Read the result of one query as Arrow; parameters are ``$1``, ``$2`` ..."""
        with self._adbc() as connection, connection.cursor() as cursor:
            cursor.execute(*with_values(self.layout.placed(query), parameters))
            return cursor.fetch_arrow_table()

    @contextmanager
    def read_batches(
        self, query: str, parameters: Sequence[Any] | None = None
    ) -> Iterator[pa.RecordBatchReader]:
        """Read the result of one query batch by batch, in bounded memory."""
        with self._adbc() as connection, connection.cursor() as cursor:
            cursor.execute(*with_values(self.layout.placed(query), parameters))
            yield cursor.fetch_record_batch()

    @contextmanager
    def snapshot(self, layout: Layout | None = None) -> Iterator[Snapshot]:
        """Read several tables as they are at one moment, whatever others write meanwhile.

        Parameters
        ----------
        layout
            Where the project's tables stand, to read those; without it, tables are read as they
            are named: those of others may be called like ours.
        """
        with self._adbc() as connection:
            with connection.cursor() as cursor:
                cursor.execute("set transaction isolation level repeatable read, read only")
            yield Snapshot(connection, layout or Layout())

    @contextmanager
    def bulk(self) -> Iterator[BulkWriter]:
        """Write in one transaction: all of it is there at the end, or none of it."""
        with self._adbc() as connection:
            try:
                yield BulkWriter(connection, self.layout)
            except BaseException:
                with suppress(adbc_driver_manager.OperationalError):  # lost: it rolls back itself
                    connection.rollback()
                raise
            connection.commit()

    def relation_exists(self, schema: str, name: str) -> bool:
        """Whether a table or view is there."""
        with self.connect() as connection:
            found = connection.execute(
                "select to_regclass(%s)",
                (".".join(map(identifier, self.layout.place(schema, name))),),
            ).fetchone()
        return found is not None and found[0] is not None

    @contextmanager
    def _adbc(self) -> Iterator[Any]:
        try:
            if self._catalog is None:
                self._catalog = adbc_driver_postgresql.connect(self._url)
            connection = adbc_driver_manager.AdbcConnection(self._catalog)
        except adbc_driver_manager.Error as error:
            raise self._unreachable(error) from None
        try:
            with adbc_driver_manager.dbapi.Connection(_Lent(self._catalog), connection) as opened:
                yield opened
        except adbc_driver_manager.OperationalError as error:
            raise self._lost(error) from None

    def _unreachable(self, error: Exception) -> WarehouseError:
        is_final = any(words in str(error) for words in _NOT_FOR_US)
        return (WarehouseError if is_final else ConnectionLostError)(
            f"Cannot connect to {self!r}: {_first_line(error)}",
            "Start it with `smartretail db start`, or correct SMARTRETAIL_DATABASE_URL.",
        )

    def _lost(self, error: Exception) -> WarehouseError:
        if getattr(error, "sqlstate", None) == _DISK_FULL or "No space left" in str(error):
            return WarehouseError(
                f"The disk of {self!r} is full: {_first_line(error)}",
                "Nothing of this step was kept. Make room, then do it again.",
            )
        return ConnectionLostError(
            f"The connection to {self!r} was lost: {_first_line(error)}",
            "Nothing of this step was kept. Look at the server with `smartretail db status`, "
            "then do it again.",
        )


def columns_of(connection: Connection, schema: str, table: str) -> dict[str, str]:
    """Columns of a table in their order, with their types; none where there is no such table."""
    rows = connection.execute(
        "select column_name::text, data_type::text from information_schema.columns "
        "where table_schema = %s and table_name = %s order by ordinal_position",
        layout_of(connection).place(schema, table),
    ).fetchall()
    return {str(name): _SPELLINGS.get(str(type_), str(type_)) for name, type_ in rows}


def identifier(name: str) -> str:
    """A name as SQL takes it, whatever stands in it."""
    return '"' + name.replace('"', '""') + '"'


def with_values(query: str, parameters: Sequence[Any] | None) -> tuple[str, Sequence[Any] | None]:
    """Return a query with dates and whole numbers quoted into it, ``$1``, ``$2`` ..., and the rest.

    The driver lets a result leave by COPY, which takes no parameters; what has some it holds whole
    before it turns it into Arrow. Where one of them is anything else, all stay parameters: texts
    may be a customer's, and a statement's own text is what servers log.
    """
    if not parameters or not all(type(value) in (date, int) for value in parameters):
        return query, parameters
    quoted = [sql.Literal(value).as_string() for value in parameters]
    return _PARAMETER.sub(lambda found: quoted[int(found[1]) - 1], query), None


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
