"""Which run answers: the one in force, or the one that was published for a date."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from python_ml.api.problems import Problem
from python_ml.warehouse.ledger import IN_FORCE
from python_ml.warehouse.pool import ReadPool

FRESH_SECONDS = 1.0
"""So old may be what we know of the ledger: a publish or a rollback shows within this time."""

_COLUMNS = """
    runs.prediction, runs.run_id, runs.as_of_date, runs.horizon_days, runs.bundle_id, runs.recipe,
    runs.feature_hash, runs.row_count, events.happened_at as since
"""
_IN_FORCE = f"""
    select {_COLUMNS}
    from ({IN_FORCE}) as events
    inner join predictions.runs as runs on events.run_id = runs.run_id
"""  # noqa: S608 - constants
_NEWEST_PUBLISHED = f"""
    select {_COLUMNS}
    from predictions.run_events as events
    inner join predictions.runs as runs on events.run_id = runs.run_id
    where events.event = 'published' and runs.prediction = %s
        and (runs.as_of_date = %s or runs.run_id = %s)
    order by events.event_number desc
    limit 1
"""  # noqa: S608 - constants


@dataclass(frozen=True)
class PublishedRun:
    """A run that was published, and since when."""

    prediction: str
    run_id: str
    as_of_date: date
    horizon_days: int
    bundle_id: str | None
    recipe: str | None
    feature_hash: str
    row_count: int
    since: datetime

    def about(self) -> dict[str, Any]:
        """What every answer says of the run that it comes from."""
        return {
            "prediction": self.prediction,
            "as_of_date": self.as_of_date,
            "horizon_days": self.horizon_days,
            "model_version": self.bundle_id,
            "recipe": self.recipe,
            "run_id": self.run_id,
        }


class Ledger:
    """The ledger of runs as the API sees it.

    What is in force is read at most once a second, whatever the load. A run's rows never change, so
    an answer is made of one run or of another, never of two.
    """

    def __init__(self, pool: ReadPool) -> None:
        self._pool = pool
        self._known: dict[str, PublishedRun] = {}
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()

    async def in_force(self) -> dict[str, PublishedRun]:
        """The run in force of each prediction; empty where nothing was ever published."""
        if time.monotonic() - self._read_at > FRESH_SECONDS:
            async with self._reading:
                if time.monotonic() - self._read_at > FRESH_SECONDS:
                    await self._read()
        return self._known

    async def _read(self) -> None:
        asked_at = time.monotonic()
        there = await self._pool.read(
            "select to_regclass('predictions.run_events') is not null as is_there"
        )
        rows = await self._pool.read(_IN_FORCE) if there[0]["is_there"] else []
        self._known = {row["prediction"]: PublishedRun(**row) for row in rows}
        self._read_at = asked_at

    async def run(self, prediction: str, as_of: date | None = None) -> PublishedRun:
        """The run that answers.

        Raises
        ------
        Problem
            ``no-published-run``.
        """
        found = (await self.in_force()).get(prediction)
        if found is None:
            raise Problem("no-published-run", f"No run of {prediction} was ever published.")
        if as_of is None or as_of == found.as_of_date:
            return found
        published = await self._newest_published(prediction, as_of=as_of)
        if published is None:
            raise Problem("no-published-run", f"No run of {prediction} was published for {as_of}.")
        return published

    async def run_by_id(self, prediction: str, run_id: str) -> PublishedRun:
        """A published run by its id, for a list whose pages began on it.

        Raises
        ------
        Problem
            ``invalid-cursor``.
        """
        found = (await self.in_force()).get(prediction)
        if found is not None and found.run_id == run_id:
            return found
        published = await self._newest_published(prediction, run_id=run_id) if found else None
        if published is None:
            raise Problem(
                "invalid-cursor", "The list that this cursor belongs to is there no more."
            )
        return published

    async def _newest_published(
        self, prediction: str, *, as_of: date | None = None, run_id: str | None = None
    ) -> PublishedRun | None:
        rows = await self._pool.read(_NEWEST_PUBLISHED, (prediction, as_of, run_id))
        return PublishedRun(**rows[0]) if rows else None
