"""Backfill: past as-of dates, oldest first, each from what was known then."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Literal

from prefect import flow

from flows.nights import see_through
from flows.observed import open_home
from python_ml.pipeline import Outcome, as_of_dates


@flow(name="backfill")
def backfill(
    first: date,
    last: date,
    every: Literal["month", "week", "day"] = "month",
    only: list[str] | None = None,
    home: Path | None = None,
) -> list[str]:
    """Train, score and publish past dates as history; what speaks of a later date stays in force.

    Args:
        first: The first as-of date.
        last: The last one.
        every: Month starts, weeks from the first date, or days.
        only: Names of predictions; all by default.
        home: The shop's home; SMARTRETAIL_HOME by default.

    Returns:
        The runs of these dates, oldest first.
    """
    pipeline = open_home(home)
    days = as_of_dates(first, last, every)

    def attempt() -> list[list[Outcome]]:
        request = pipeline.request(days[-1], only=only or [])
        return pipeline.nights(request, days, as_history=True)

    return see_through(pipeline, attempt)
