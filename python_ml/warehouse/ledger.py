"""The ledger of runs: what was scored, and which run is in force.

Rows are only ever added. The newest publish or rollback event of a prediction says which of its
runs BI sees, so publishing and rolling back are one row each, and all predictions of a refresh
come into force in one transaction. Events are ordered by their number, never by the clock, which
may jump. Only pruning deletes: runs that are old and not in force.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Literal

import psycopg
import pyarrow as pa
from psycopg import sql

from python_ml.errors import BusyError, InputError, LostLockError
from python_ml.warehouse.duckdb_file import DuckDBWarehouse, HeldFile
from python_ml.warehouse.postgres import (
    PUBLISH_LOCK,
    BulkWriter,
    Connection,
    Warehouse,
    layout_of,
)

Event = Literal[
    "scored", "checking", "checked", "published", "refused", "skipped", "rolled_back", "pruned",
    "unsettled",
]  # fmt: skip

EVENTS_LOCK = 7_236_012_028
"""Key of the lock that is held for the moment in which events are numbered."""

WATCH_SECONDS = 1.0
"""How often a run looks whether it still holds the lock: sooner than dbt begins to write."""

IN_FORCE = """
select distinct on (prediction) prediction, run_id, happened_at
from predictions.run_events
where event in ('published', 'rolled_back')
order by prediction, event_number desc
"""
"""The newest publish or rollback of each prediction."""

_EVENT_COLUMNS = "event_number, run_id, prediction, event, happened_at, detail"
_NEXT_EVENT = "(select coalesce(max(event_number), 0) + 1 from predictions.run_events)"
_HELD_HERE = """
select exists (
    select from pg_locks
    where locktype = 'advisory' and granted and pid = pg_backend_pid()
        and database = (select oid from pg_database where datname = current_database())
        and classid::bigint = %s and objid::bigint = %s and objsubid = 1
)
"""


@dataclass(frozen=True)
class Run:
    """One run of a prediction, as ``predictions.runs`` keeps it: scores for one as-of date."""

    run_id: str
    prediction: str
    as_of_date: date
    horizon_days: int
    bundle_id: str | None
    recipe: str | None
    feature_hash: str
    newest_input_at: datetime | None
    row_count: int
    detail: str = "{}"


@dataclass(frozen=True)
class RunSummary:
    """A run as `smartretail runs` shows it."""

    run_id: str
    prediction: str
    as_of_date: date
    horizon_days: int
    recipe: str | None
    bundle_id: str | None
    row_count: int
    created_at: datetime
    last_event: str
    is_in_force: bool


@dataclass(frozen=True)
class Entry:
    """One event to record: of which run (none for a prediction that was skipped), and why."""

    run_id: str | None
    prediction: str
    event: Event
    detail: str = ""


class Writer:
    """The one process that may change a home's tables and publish; see :func:`write_lock`.

    ``lost`` is set when the lock is gone while its owner still works: whoever writes looks at it.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._one_at_a_time = threading.Lock()
        self.lost = threading.Event()

    def record(
        self, runs: Sequence[tuple[str | None, str]], event: Event, detail: str = ""
    ) -> None:
        """Add an event of several runs in one transaction: all of them are seen at once.

        Parameters
        ----------
        runs
            Id (none for a prediction that was skipped) and prediction of each.
        """
        self.record_together([Entry(run_id, name, event, detail) for run_id, name in runs])

    def record_together(self, entries: Sequence[Entry]) -> None:
        """Add events in one transaction.

        The connection is the one that holds the lock: a process that lost it cannot publish.

        Raises
        ------
        LostLockError
            When the lock is held no more; nothing is recorded then.
        """
        with self.transaction() as connection:
            for entry in entries:
                _add_event(connection, entry)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One transaction that is kept only by the holder of the lock.

        Raises
        ------
        LostLockError
            When the lock is held no more.
        """
        with self._one_at_a_time:
            try:
                with self._connection.transaction():
                    self._require_lock()
                    self._connection.execute("select pg_advisory_xact_lock(%s)", (EVENTS_LOCK,))
                    yield self._connection
            except psycopg.OperationalError:
                if self._connection.broken:
                    self.lost.set()
                    raise _lost_lock() from None
                raise

    def check(self) -> None:
        """Raise :class:`LostLockError` unless the lock is still held."""
        with self._one_at_a_time:
            try:
                self._require_lock()
            except psycopg.OperationalError:
                self.lost.set()
                raise _lost_lock() from None

    def _require_lock(self) -> None:
        row = None
        if not self.lost.is_set():
            key = (PUBLISH_LOCK >> 32, PUBLISH_LOCK & 0xFFFFFFFF)
            row = self._connection.execute(_HELD_HERE, key).fetchone()
        if row is None or not row[0]:
            self.lost.set()
            raise _lost_lock()

    def watch(self, ended: threading.Event) -> None:
        """Look again and again whether the lock is held, until it is lost or the work ended."""
        while not ended.wait(WATCH_SECONDS):
            try:
                self.check()
            except LostLockError:
                return


def _lost_lock() -> LostLockError:
    return LostLockError(
        "This run lost the shop's lock half way, with its connection; it publishes nothing.",
        "Run it again: what is complete is not repeated.",
    )


def _add_event(connection: Connection, entry: Entry) -> None:
    connection.execute(
        f"insert into predictions.run_events ({_EVENT_COLUMNS}) "  # noqa: S608 - ours
        f"values ({_NEXT_EVENT}, %s, %s, %s, %s, %s)",
        (entry.run_id, entry.prediction, entry.event, utc_now(), entry.detail),
    )


class FileWriter(Writer):
    """The writer of a database that is one file: it holds a lock file, and connects for a moment.

    The file cannot be written to by another process while a transaction lasts, so events need no
    lock of their own.
    """

    def __init__(self, warehouse: DuckDBWarehouse, held: HeldFile) -> None:
        self._warehouse = warehouse
        self._held = held
        self.lost = threading.Event()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One transaction that is kept only by the holder of the lock."""
        with self._held.one_at_a_time:
            self._require_lock()
            with self._warehouse.connect() as connection:
                yield connection

    def check(self) -> None:
        """Raise :class:`LostLockError` unless the lock is still held."""
        self._require_lock()

    def _require_lock(self) -> None:
        if self.lost.is_set() or not self._held.is_held():
            self.lost.set()
            raise _lost_lock()


@contextmanager
def write_lock(warehouse: Warehouse, wait_seconds: float) -> Iterator[Writer]:
    """Hold the shop's lock: one process at a time builds, trains, scores and publishes.

    The lock belongs to the connection and dies with it, so a killed run never blocks the next. A
    thread looks whether it is still held, and sets ``lost`` when it is not.

    Raises
    ------
    BusyError
        When another process holds it for longer than ``wait_seconds``.
    """
    if isinstance(warehouse, DuckDBWarehouse):
        with warehouse.hold_lock(wait_seconds) as held:
            yield FileWriter(warehouse, held)
        return
    with warehouse.connect(autocommit=True) as connection:
        deadline = time.monotonic() + wait_seconds
        while not _try_lock(connection):
            if time.monotonic() >= deadline:
                raise BusyError(
                    f"Another run is at work on this shop (waited {wait_seconds:g} s).",
                    "Let it finish, or wait longer with SMARTRETAIL_LOCK_WAIT_SECONDS.",
                )
            time.sleep(0.2)
        writer, ended = Writer(connection), threading.Event()
        watch = threading.Thread(target=writer.watch, args=(ended,), daemon=True)
        watch.start()
        try:
            yield writer
        finally:
            ended.set()
            watch.join()


def land_run(writer: BulkWriter, run: Run) -> None:
    """Add a run and its first event, in the transaction that lands its scores.

    Raises
    ------
    LostLockError
        When another process landed this very run meanwhile: nothing of ours is kept.
    """
    writer.execute("select pg_advisory_xact_lock($1)", [EVENTS_LOCK])
    if writer.value("select count(*) from predictions.runs where run_id = $1", [run.run_id]):
        raise LostLockError(
            f"Run {run.run_id} was landed by another process meanwhile.",
            "Run it again: what is complete is not repeated.",
        )
    now = utc_now()
    writer.append("predictions", "runs", pa.Table.from_pylist([asdict(run) | {"created_at": now}]))
    writer.execute(
        f"insert into predictions.run_events ({_EVENT_COLUMNS}) "  # noqa: S608 - ours
        f"values ({_NEXT_EVENT}, $1, $2, 'scored', $3, $4)",
        [run.run_id, run.prediction, now, f"{run.row_count} rows"],
    )


def run_rows(warehouse: Warehouse, run_id: str) -> int | None:
    """How many rows a run has; None where there is no such run."""
    with warehouse.connect() as connection:
        found = connection.execute(
            "select row_count from predictions.runs where run_id = %s", (run_id,)
        ).fetchone()
    return None if found is None else int(found[0])


def in_force(warehouse: Warehouse) -> dict[str, str]:
    """The run in force of each prediction: ``{prediction: run id}``."""
    if not warehouse.relation_exists("predictions", "run_events"):
        return {}
    with warehouse.connect() as connection:
        rows = connection.execute(
            f"select prediction, run_id from ({IN_FORCE})".encode()  # noqa: S608 - of this module
        ).fetchall()
    return {str(prediction): str(run_id) for prediction, run_id in rows}


def list_runs(
    warehouse: Warehouse, prediction: str | None = None, most: int = 20
) -> list[RunSummary]:
    """The newest runs, newest first."""
    return _summaries(
        warehouse,
        "%(prediction)s::text is null or runs.prediction = %(prediction)s",
        {"prediction": prediction, "most": most},
    )


def runs_in_force(warehouse: Warehouse) -> list[RunSummary]:
    """The runs in force, by the name of their prediction."""
    runs = _summaries(
        warehouse,
        "runs.run_id = any(%(run_ids)s)",
        {"run_ids": list(in_force(warehouse).values()), "most": None},
    )
    return sorted(runs, key=lambda run: run.prediction)


def _summaries(
    warehouse: Warehouse, condition: str, parameters: dict[str, Any]
) -> list[RunSummary]:
    if not warehouse.relation_exists("predictions", "runs"):
        return []
    current = in_force(warehouse)
    with warehouse.connect() as connection:
        rows = connection.execute(
            f"""
            select runs.run_id, runs.prediction, runs.as_of_date, runs.horizon_days, runs.recipe,
                runs.bundle_id, runs.row_count, runs.created_at, last_events.event
            from predictions.runs
            inner join (
                select run_id, min(event_number) as first_number, max(event_number) as last_number
                from predictions.run_events where run_id is not null group by 1
            ) as numbers on numbers.run_id = runs.run_id
            inner join predictions.run_events as last_events
                on last_events.event_number = numbers.last_number
            where {condition}
            order by numbers.first_number desc
            limit %(most)s
            """.encode(),  # noqa: S608 - conditions of this module
            parameters,
        ).fetchall()
    return [
        RunSummary(*row[:8], row[8] or "", current.get(row[1]) == row[0])  # type: ignore[call-arg]
        for row in rows
    ]


@dataclass(frozen=True)
class RunEvent:
    """One event of a run, as `smartretail runs show` tells it."""

    event: str
    happened_at: datetime
    detail: str


def events_of(warehouse: Warehouse, run_id: str) -> list[RunEvent]:
    """What happened to a run, first things first; nothing where no such run ever was."""
    if not warehouse.relation_exists("predictions", "run_events"):
        return []
    with warehouse.connect() as connection:
        rows = connection.execute(
            "select event, happened_at, detail from predictions.run_events "
            "where run_id = %s order by event_number",
            (run_id,),
        ).fetchall()
    return [RunEvent(str(row[0]), row[1], row[2] or "") for row in rows]


def find_run(warehouse: Warehouse, run_id: str) -> RunSummary | None:
    """One run; None where there is none of that id, or it was pruned."""
    found = _summaries(warehouse, "runs.run_id = %(run_id)s", {"run_id": run_id, "most": 1})
    return found[0] if found else None


def published_dates(warehouse: Warehouse) -> dict[str, date]:
    """The newest as-of date that was published of each prediction, whatever is in force.

    Without those that were skipped since: nobody waits for them.
    """
    if not warehouse.relation_exists("predictions", "run_events"):
        return {}
    with warehouse.connect() as connection:
        rows = connection.execute(
            """
            with newest as (
                select prediction,
                    max(event_number) filter (where event = 'published') as published,
                    max(event_number) filter (where event = 'skipped') as skipped
                from predictions.run_events group by 1
            )
            select runs.prediction, max(runs.as_of_date)
            from predictions.runs
            inner join predictions.run_events as events on events.run_id = runs.run_id
            inner join newest on newest.prediction = runs.prediction
            where events.event = 'published' and newest.published > coalesce(newest.skipped, -1)
            group by 1
            """
        ).fetchall()
    return {str(prediction): as_of for prediction, as_of in rows}


def is_published(warehouse: Warehouse, run_id: str) -> bool:
    """Whether a run was ever published."""
    return any(event.event == "published" for event in events_of(warehouse, run_id))


def roll_back(warehouse: Warehouse, writer: Writer, prediction: str, run_id: str) -> None:
    """Bring an earlier published run of a prediction back into force.

    Raises
    ------
    InputError
        When that run was never published, or its rows were pruned.
    """
    with warehouse.connect() as connection:
        rows = connection.execute(
            "select event, happened_at from predictions.run_events "
            "where run_id = %s and prediction = %s and event in ('published', 'pruned')",
            (run_id, prediction),
        ).fetchall()
    happened = dict(rows)
    if "pruned" in happened:
        raise InputError(
            f"{run_id} of {prediction} was pruned on {happened['pruned']:%Y-%m-%d}: "
            "its rows are gone.",
            "List the runs that are left with `smartretail runs`.",
        )
    if "published" not in happened:
        raise InputError(
            f"{run_id} is no published run of {prediction}.", "List them with `smartretail runs`."
        )
    writer.record([(run_id, prediction)], "rolled_back", "rolled back by hand")


def prune(writer: Writer, keep: timedelta) -> list[RunSummary]:
    """Delete runs that are older than ``keep`` and not in force, with their scores and mart rows.

    All of it is one transaction. The ledger keeps their events and gets one more, `pruned`. Age
    counts back from the newest run, not from the clock: one that jumped ahead deletes nothing.

    Returns
    -------
    list of RunSummary
        What was deleted, oldest first.

    Raises
    ------
    LostLockError
        When the lock is held no more; nothing is deleted then.
    """
    with writer.transaction() as connection:
        old = _runs_to_prune(connection, keep)
        ids = [run.run_id for run in old]
        scored = [("predictions", name) for name in sorted({run.prediction for run in old})]
        for layer, table in (*scored, *_mart_rows(connection), ("predictions", "runs")):
            _delete_runs(connection, layer, table, ids)
        for run in old:
            detail = (
                f"as of {run.as_of_date}, {run.row_count} rows, bundle {run.bundle_id or 'none'}"
            )
            _add_event(connection, Entry(run.run_id, run.prediction, "pruned", detail))
    return old


def _runs_to_prune(connection: Connection, keep: timedelta) -> list[RunSummary]:
    rows = connection.execute(
        f"""
        select run_id, prediction, as_of_date, horizon_days, recipe, bundle_id, row_count,
            created_at
        from predictions.runs
        where created_at < (select max(newest.created_at) from predictions.runs as newest) - %s
            and run_id not in (select in_force.run_id from ({IN_FORCE}) as in_force)
        order by created_at, prediction
        """,  # noqa: S608 - of this module
        (keep,),
    ).fetchall()
    return [RunSummary(*row[:8], "pruned", False) for row in rows]  # type: ignore[call-arg]


def _mart_rows(connection: Connection) -> list[tuple[str, str]]:
    """Every table of mart rows that are kept by run, whichever prediction they speak of."""
    found = connection.execute(
        "select table_schema::text, table_name::text from information_schema.columns "
        "where column_name = 'run_id' order by 1, 2"
    ).fetchall()
    ours = (layout_of(connection).layer_of(schema, name) for schema, name in found)
    return [place for place in ours if place is not None and place[0] == "mart_rows"]


def _delete_runs(connection: Connection, layer: str, table: str, run_ids: list[str]) -> None:
    place = sql.Identifier(*layout_of(connection).place(layer, table))
    text = place.as_string(connection)
    found = connection.execute("select to_regclass(%s)", (text,)).fetchone()
    if found is not None and found[0] is not None:
        deletion = sql.SQL("delete from {} where run_id = any(%s)").format(place)
        connection.execute(deletion, (run_ids,))


def utc_now() -> datetime:
    """Now, in UTC without zone, as all bookkeeping times are kept."""
    return datetime.now(UTC).replace(tzinfo=None)


def _try_lock(connection: Connection) -> bool:
    row = connection.execute("select pg_try_advisory_lock(%s)", (PUBLISH_LOCK,)).fetchone()
    return bool(row and row[0])
