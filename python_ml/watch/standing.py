"""The state of a shop in one screen: what is in force, what the gates said, how old rows are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from python_ml.monitor import Finding, Standing, amiss, standings
from python_ml.warehouse.ledger import RunSummary, runs_in_force
from python_ml.warehouse.postgres import Warehouse
from python_ml.watch.findings import Verdict
from python_ml.watch.gates import verdicts_of

SLACK = 1.5
SLACK_DAYS = 1
"""Rows are late when they are half as old again, and a day, as they ever were before a load."""


@dataclass(frozen=True)
class Loads:
    """The newest row at each load, and when it was loaded, oldest first."""

    newest: tuple[datetime, ...]
    loaded_at: tuple[datetime, ...]

    def oldest_before_a_load(self) -> timedelta | None:
        """Return the age that the newest row reached at most before the next load came.

        None with a single load: nobody knows when the next one is due.
        """
        ages = [
            after - newest for newest, after in zip(self.newest, self.loaded_at[1:], strict=False)
        ]
        return max(ages) if ages else None


@dataclass(frozen=True)
class Screen:
    """Everything that `smartretail monitor` shows."""

    standings: tuple[Standing, ...]
    runs: dict[str, RunSummary]
    verdicts: dict[str, Verdict]
    loads: Loads
    findings: tuple[Finding, ...]


def read_loads(warehouse: Warehouse) -> Loads:
    """Read when rows came in; nothing where none did."""
    if not warehouse.relation_exists("raw", "loads"):
        return Loads((), ())
    with warehouse.connect() as connection:
        rows = connection.execute(
            "select max(newest_in_file), max(loaded_at) from raw.loads "
            "where rows_loaded > 0 and newest_in_file is not null group by load_id order by load_id"
        ).fetchall()
    return Loads(tuple(row[0] for row in rows), tuple(row[1] for row in rows))


def stale(loads: Loads, now: datetime) -> list[Finding]:
    """Return the finding that rows are late, by the shop's own rhythm of loading.

    A shop that was loaded once, or with rows of years ago, has no such rhythm and is never late.
    """
    usual = loads.oldest_before_a_load()
    if usual is None:
        return []
    newest = max(loads.newest)
    age = now - newest
    if age <= usual * SLACK + timedelta(days=SLACK_DAYS):
        return []
    text = (
        f"the newest row loaded is of {newest:%Y-%m-%d %H:%M}, {age.days} days old; "
        f"before a load it was never older than {usual.days + 1}"
    )
    return [Finding("late", "sources", text)]


def look(warehouse: Warehouse, now: datetime, late_after: timedelta) -> Screen:
    """Read the whole screen.

    Parameters
    ----------
    now
        UTC without zone, as the ledger keeps its times.
    """
    found = standings(warehouse)
    runs = {run.prediction: run for run in runs_in_force(warehouse)}
    verdicts = verdicts_of(warehouse, [run.run_id for run in runs.values()]) if runs else {}
    loads = read_loads(warehouse)
    findings = [*amiss(found, now, late_after), *stale(loads, now)]
    return Screen(
        tuple(found),
        runs,
        {name: verdicts[run.run_id] for name, run in runs.items() if run.run_id in verdicts},
        loads,
        tuple(findings),
    )


def rows_of(screen: Screen, now: datetime) -> Sequence[dict[str, str]]:
    """Return one row per prediction, in words, for a table."""
    table = []
    for standing in screen.standings:
        run = screen.runs.get(standing.prediction)
        verdict = screen.verdicts.get(standing.prediction)
        since = standing.published_at
        hours = "" if since is None else f"{(now - since).total_seconds() / 3600:,.0f}"
        table.append(
            {
                "prediction": standing.prediction,
                "as of": str(run.as_of_date) if run else "",
                "rows": f"{run.row_count:,}" if run else "",
                "model": f"{run.recipe} {(run.bundle_id or '')[:12]}" if run and run.recipe else "",
                "published (UTC)": _minute(since),
                "hours ago": hours,
                "gates": verdict.level if verdict else "",
                "refused since (UTC)": _minute(standing.refused_at),
            }
        )
    return table


def warnings_of(screen: Screen) -> list[str]:
    """Return what the gates say of the runs in force, in words."""
    return [
        f"{name}: {verdict.text()}"
        for name, verdict in sorted(screen.verdicts.items())
        if verdict.level != "passed"
    ]


def _minute(time: datetime | None) -> str:
    return "" if time is None else f"{time:%Y-%m-%d %H:%M}"
