"""Forgetting a customer: find, delete, rewrite, record, and look whether anything is left."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from python_ml.errors import BusyError, InputError
from python_ml.forgetting.files import (
    Traces,
    clean_files,
    clean_log,
    files_naming,
    sealed_files,
)
from python_ml.forgetting.register import digest_of, own_salt, read_forgotten
from python_ml.forgetting.tables import count_rows, delete_rows, own_orders, rewrite_tables
from python_ml.forgetting.write_ahead_log import drop_log
from python_ml.ingest.load import LOAD_LOCK, captured_schema, shop_source
from python_ml.pipeline import Pipeline
from python_ml.settings import Settings
from python_ml.warehouse.postgres import Connection
from python_ml.warehouse.server import EmbeddedServer


@dataclass(frozen=True)
class Found:
    """Where a customer stands.

    Parameters
    ----------
    own
        Rows in each table of this project.
    others
        Rows in tables of other people in the same database: never touched.
    is_forgotten
        Whether the customer was forgotten before; forgetting again finishes what was interrupted.
    """

    own: dict[str, int]
    others: dict[str, int]
    is_forgotten: bool

    @property
    def rows(self) -> int:
        """Rows that will be deleted."""
        return sum(self.own.values())


@dataclass(frozen=True)
class Report:
    """What was done, and what is left for the user to do.

    Parameters
    ----------
    deleted
        Rows deleted from each table.
    files
        Files that were rewritten or deleted.
    left
        What may still hold the customer, one sentence each.
    """

    deleted: dict[str, int]
    files: tuple[Path, ...]
    left: tuple[str, ...]

    @property
    def rows(self) -> int:
        """Rows deleted in all."""
        return sum(self.deleted.values())


def find_customer(pipeline: Pipeline, customer_id: str) -> Found:
    """Look where a customer stands; changes nothing.

    Raises
    ------
    InputError
        When nobody of that id is known.
    """
    settings = pipeline.settings
    if not customer_id.strip() or not _has_database(settings):
        raise _unknown(customer_id, settings)
    forgotten = read_forgotten(pipeline.warehouse.read, settings.home)
    with pipeline.warehouse.connect(autocommit=True) as connection:
        counts = count_rows(connection, customer_id)
    found = Found(
        own={str(table): count for table, count in counts.items() if table.is_own},
        others={str(table): count for table, count in counts.items() if not table.is_own},
        is_forgotten=forgotten.is_forgotten(customer_id),
    )
    if not found.own and not found.is_forgotten:
        raise _unknown(customer_id, settings)
    return found


def forget(pipeline: Pipeline, customer_id: str) -> Report:
    """Remove a customer from the home, for good.

    The tables concerned are otherwise only added to. This is the one exception: see
    :mod:`python_ml.forgetting`. Each step can be repeated, and a forgetting that was interrupted
    goes on when it is asked for again.

    Raises
    ------
    InputError
        When nobody of that id is known; nothing was changed.
    BusyError
        When a run, a load or a reader is in the way for longer than the settings allow.
    """
    with pipeline.writing(), pipeline.warehouse.connect(autocommit=True) as connection:
        found = find_customer(pipeline, customer_id)
        settings = pipeline.settings
        _keep_loads_out(connection, settings.lock_wait_seconds)
        server = None if settings.database_url else EmbeddedServer(settings.home)
        traces = Traces(customer_id, own_orders(connection, customer_id))
        # files first: the rows still say which orders were the customer's
        files = clean_files(settings.home, _server_dir(settings.home, server), traces)
        digest = digest_of(own_salt(settings.home), customer_id)
        deleted = delete_rows(connection, customer_id, digest)
        rewrite_tables(connection, settings.lock_wait_seconds)
        is_log_dropped = drop_log(connection, is_ours=server is not None)
        files += _clean_server_logs(server, traces)
        left = _left_to_the_shop(pipeline)
        left += _left(settings.home, server, traces, found, is_log_dropped)
    return Report({str(table): count for table, count in deleted.items()}, tuple(files), left)


def _has_database(settings: Settings) -> bool:
    """Whether there is anything to look into: asking must not make a database."""
    return (
        settings.database_url is not None or EmbeddedServer(settings.home).status().port is not None
    )


def _unknown(customer_id: str, settings: Settings) -> InputError:
    return InputError(
        f"No customer {customer_id!r} is known in {settings.home}; nothing was changed.",
        "Look the id up, exactly as it is written: "
        'smartretail query "select customer_id from marts.customers"',
    )


def _keep_loads_out(connection: Connection, wait_seconds: float) -> None:
    """Hold the lock of loads until the connection ends: none may bring the customer back."""
    connection.execute(sql.SQL("set lock_timeout = {}").format(int(max(wait_seconds, 1) * 1000)))
    try:
        connection.execute("select pg_advisory_lock(%s)", (LOAD_LOCK,))
    except psycopg.errors.LockNotAvailable:
        raise BusyError(
            "A load is at work on this shop.", "Let it finish, then run the same command again."
        ) from None
    finally:
        connection.execute("reset lock_timeout")


def _server_dir(home: Path, server: EmbeddedServer | None) -> Path:
    """The data folder, which is cleaned from within: no file of it is ever touched."""
    return server.data_dir if server else home / "postgres" / "data"


def _clean_server_logs(server: EmbeddedServer | None, traces: Traces) -> list[Path]:
    """The server's log, which may lie outside the home."""
    if server is None:
        return []
    log = server.log_file.resolve()
    return [
        path
        for path in (log, log.with_name(log.name + ".1"))
        if path.is_file() and clean_log(path, traces)
    ]


def _left_to_the_shop(pipeline: Pipeline) -> tuple[str, ...]:
    """Say that the tables of the shop itself are not ours to change."""
    held = shop_source(pipeline.warehouse)
    schema = held and captured_schema(pipeline.warehouse, held[1], pipeline.project_dir)
    if not schema:
        return ()
    return (
        f"The shop's own tables in the schema {schema} were not touched: what they hold of the "
        "customer stays until the shop deletes it. It is not captured again.",
    )


def _left(
    home: Path,
    server: EmbeddedServer | None,
    traces: Traces,
    found: Found,
    is_log_dropped: bool,
) -> tuple[str, ...]:
    """Look again, and say what may still hold the customer."""
    left = [
        f"{name} is not a table of this project: {count:,} rows of the customer stay in it."
        for name, count in sorted(found.others.items())
    ]
    if not is_log_dropped and server is None:
        left.append(
            "The server is your own: its write-ahead log, its logs, replicas and backups may hold "
            "the customer until they are recycled; ask its administrator."
        )
    elif not is_log_dropped:
        left.append(
            "The write-ahead log still holds old pages: run the same command again after "
            "`smartretail db stop && smartretail db start`."
        )
    server_dir = _server_dir(home, server)
    left += [
        f"{path} still holds the id: look at it." for path in files_naming(home, server_dir, traces)
    ]
    left += [
        f"{path} cannot be searched: delete it, or make it anew."
        for path in sealed_files(home, server_dir)
    ]
    return tuple(left)
