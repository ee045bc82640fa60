"""Looking whether the predictions in force are as they should be: are they late, was one refused.

Only reads the ledger. What the predictions are worth, once the truth is known, is another question.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from python_ml.warehouse.postgres import Warehouse


@dataclass(frozen=True)
class Finding:
    """One thing amiss with one prediction, in a sentence."""

    kind: Literal["late", "refused"]
    prediction: str
    text: str


@dataclass(frozen=True)
class Standing:
    """How one prediction stands in the ledger.

    ``published_at`` is when a run of it was last published, ``refusal`` why the newest run was
    refused, if it was.
    """

    prediction: str
    published_at: datetime | None
    refused_at: datetime | None
    refusal: str | None


def standings(warehouse: Warehouse) -> list[Standing]:
    """How every prediction stands that was ever scored, by name."""
    if not warehouse.relation_exists("predictions", "run_events"):
        return []
    with warehouse.connect() as connection:
        rows = connection.execute(
            """
            with events as (
                select * from predictions.run_events where run_id is not null
            ),
            newest as (
                select prediction,
                    max(event_number) filter (where event = 'published') as published,
                    max(event_number) filter (where event = 'refused') as refused
                from events group by 1
            )
            select newest.prediction, published_events.happened_at,
                refused_events.happened_at, refused_events.detail
            from newest
            left join events as published_events
                on published_events.event_number = newest.published
            left join events as refused_events
                on refused_events.event_number = newest.refused
                and newest.refused > coalesce(newest.published, 0)
            order by newest.prediction
            """
        ).fetchall()
    return [Standing(*row) for row in rows]


def amiss(found: Sequence[Standing], now: datetime, late_after: timedelta) -> list[Finding]:
    """What is amiss: nothing published, or not for so long, or refused since.

    Parameters
    ----------
    now
        UTC without zone, as the ledger keeps its times.
    """
    if not found:
        return [Finding("late", "all", "nothing was ever published")]
    findings = []
    for standing in found:
        name = standing.prediction
        if standing.published_at is None:
            findings.append(Finding("late", name, f"{name} was never published"))
        elif now - standing.published_at > late_after:
            hours = (now - standing.published_at).total_seconds() / 3600
            text = (
                f"{name} was last published {standing.published_at:%Y-%m-%d %H:%M} UTC, "
                f"{hours:.0f} hours ago; scores are late"
            )
            findings.append(Finding("late", name, text))
        if standing.refused_at is not None:
            text = (
                f"{name} was refused {standing.refused_at:%Y-%m-%d %H:%M} UTC, the run before it "
                f"stays in force: {standing.refusal}"
            )
            findings.append(Finding("refused", name, text))
    return findings
