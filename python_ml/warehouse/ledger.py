"""The ledger of runs: what was scored, and which run is in force.

Rows are only ever added. The newest publish or rollback event of a prediction says which of its
runs BI sees, so publishing and rolling back are one row each, and all predictions of a refresh
come into force in one transaction.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from typing import Any, Literal

import pyarrow as pa

from python_ml.errors import BusyError, InputError
from python_ml.warehouse.postgres import PUBLISH_LOCK, BulkWriter, Connection, Warehouse

Event = Literal["scored", "checking", "checked", "published", "refused", "skipped", "rolled_back"]

_EVENT_COLUMNS = "event_number, run_id, prediction, event, happened_at, detail"
_NEXT_EVENT = "(select coalesce(max(event_number), 0) + 1 from predictions.run_events)"


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


class Writer:
    """The one process that may change a home's tables and publish; see :func:`write_lock`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def record(
        self, runs: Sequence[tuple[str | None, str]], event: Event, detail: str = ""
    ) -> None:
        """Add an event of several runs in one transaction: all of them are seen at once.

        The connection is the one that holds the lock: a process that lost it cannot publish.

        Parameters
        ----------
        runs
            Id (none for a prediction that was skipped) and prediction of each.
        """
        with self._connection.transaction():
            for run_id, prediction in runs:
                self._connection.execute(
                    f"insert into predictions.run_events ({_EVENT_COLUMNS}) "  # noqa: S608 - ours
                    f"values ({_NEXT_EVENT}, %s, %s, %s, %s, %s)",
                    (run_id, prediction, event, utc_now(), detail),
                )


@contextmanager
def write_lock(warehouse: Warehouse, wait_seconds: float) -> Iterator[Writer]:
    """Hold the shop's lock: one process at a time builds, trains, scores and publishes.

    The lock belongs to the connection and dies with it, so a killed run never blocks the next.

    Raises
    ------
    BusyError
        When another process holds it for longer than ``wait_seconds``.
    """
    with warehouse.connect(autocommit=True) as connection:
        deadline = time.monotonic() + wait_seconds
        while not _try_lock(connection):
            if time.monotonic() >= deadline:
                raise BusyError(
                    f"Another run is at work on this shop (waited {wait_seconds:g} s).",
                    "Let it finish, or wait longer with SMARTRETAIL_LOCK_WAIT_SECONDS.",
                )
            time.sleep(0.2)
        yield Writer(connection)


def land_run(writer: BulkWriter, run: Run) -> None:
    """Add a run and its first event, in the transaction that lands its scores."""
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
            "select distinct on (prediction) prediction, run_id from predictions.run_events "
            "where event in ('published', 'rolled_back') order by prediction, event_number desc"
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
                runs.bundle_id, runs.row_count, runs.created_at,
                (
                    select event from predictions.run_events as events
                    where events.run_id = runs.run_id order by event_number desc limit 1
                )
            from predictions.runs
            where {condition}
            order by runs.created_at desc, runs.prediction
            limit %(most)s
            """.encode(),  # noqa: S608 - conditions of this module
            parameters,
        ).fetchall()
    return [
        RunSummary(*row[:8], row[8] or "", current.get(row[1]) == row[0])  # type: ignore[call-arg]
        for row in rows
    ]


def roll_back(warehouse: Warehouse, writer: Writer, prediction: str, run_id: str) -> None:
    """Bring an earlier published run of a prediction back into force.

    Raises
    ------
    InputError
        When that run was never published.
    """
    with warehouse.connect() as connection:
        found = connection.execute(
            "select 1 from predictions.run_events "
            "where run_id = %s and prediction = %s and event = 'published'",
            (run_id, prediction),
        ).fetchone()
    if found is None:
        raise InputError(
            f"{run_id} is no published run of {prediction}.", "List them with `smartretail runs`."
        )
    writer.record([(run_id, prediction)], "rolled_back", "rolled back by hand")


def utc_now() -> datetime:
    """Now, in UTC without zone, as all bookkeeping times are kept."""
    return datetime.now(UTC).replace(tzinfo=None)


def _try_lock(connection: Connection) -> bool:
    row = connection.execute("select pg_try_advisory_lock(%s)", (PUBLISH_LOCK,)).fetchone()
    return bool(row and row[0])
