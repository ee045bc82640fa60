"""What the flows have in common: rows that come in, nights that are done again where that helps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from pydantic import BaseModel, Field

from flows.artifacts import by_prediction, leave_artifacts
from flows.observed import ObservedPipeline, again_where_it_helps
from python_ml.errors import (
    BuildError,
    BundleError,
    GateError,
    InputError,
    InterruptedBuildError,
    SmartRetailError,
    StaleModelError,
)
from python_ml.ingest.load import captured_schema, shop_source
from python_ml.ingest.read import ReadOptions
from python_ml.ingest.sources import ColumnMapping
from python_ml.notify import Kind, notify
from python_ml.pipeline import Outcome, Training
from python_ml.settings import Settings


class NewRows(BaseModel):
    """What to load first, as at the first load."""

    source: str | None = Field(default=None, description="By default what the home holds.")
    paths: list[Path] = Field(
        default=[], description="Files or folders; those that were loaded before change nothing."
    )
    schema_name: str | None = Field(
        default=None, description="Instead of files: the schema of the shop's own tables."
    )
    map: list[str] = Field(
        default=[], description="THEIRS=OURS: columns of the files, and what they are."
    )
    attribute: list[str] = Field(
        default=[], description="line:COLUMN, product:COLUMN or customer:COLUMN to learn from."
    )
    encoding: str = Field(default="utf-8", description="Encoding of CSV files.")
    date_order: str | None = Field(
        default=None, description="dmy or mdy, where dates leave it open."
    )
    decimal: str | None = Field(
        default=None, description="comma or point, where numbers leave it open."
    )


class Dates(BaseModel):
    """For which as-of dates."""

    as_of: date | None = Field(default=None, description="By default the day after the newest row.")
    catch_up: bool = Field(
        default=True, description="First the dates that failed nights left out, oldest first."
    )
    every_days: int = Field(default=1, ge=1, description="Days between two scheduled runs.")
    most: int = Field(
        default=31, ge=1, description="At most so many dates; the oldest are left out."
    )


def do_nights(
    pipeline: ObservedPipeline,
    dates: Dates,
    training: Training,
    *,
    load: NewRows | None,
    only: Sequence[str],
    horizon_days: int | None = None,
) -> list[str]:
    """Load, then do each missed night and the one asked for; return the runs in force by it.

    Tried again as a whole after a lost connection or a busy lock: what is complete is not repeated.
    """

    def attempt() -> list[list[Outcome]]:
        load_rows(pipeline, load)
        request = pipeline.request(dates.as_of, horizon_days, only)
        days = [request.as_of]
        if dates.catch_up:
            days = pipeline.missed(request, every_days=dates.every_days, most=dates.most)
        return pipeline.nights(request, days, training=training)

    return see_through(pipeline, attempt)


def see_through(
    pipeline: ObservedPipeline, attempt: Callable[[], list[list[Outcome]]]
) -> list[str]:
    """Do nights, again where it helps; leave artifacts, tell of failures; return their runs."""
    with telling(pipeline.settings):
        before = by_prediction(pipeline.warehouse)
        nights = again_where_it_helps(pipeline.settings, "nights", attempt)
        leave_artifacts(pipeline.warehouse, before, nights, pipeline.nodes, pipeline.report())
    return [outcome.run_id for night in nights for outcome in night if outcome.run_id]


def load_rows(pipeline: ObservedPipeline, load: NewRows | None) -> None:
    """Load what was named; without a name, the shop's own tables where the home captures some."""
    held = shop_source(pipeline.warehouse)
    if load is None:
        if held and captured_schema(pipeline.warehouse, held[0], pipeline.project_dir):
            pipeline.load(held[0])
        return
    source = load.source or (held[0] if held else "order_lines")
    mapping = ColumnMapping.parse(load.map, load.attribute) if load.map or load.attribute else None
    options = ReadOptions(load.encoding, load.date_order, load.decimal)
    pipeline.load(source, load.paths, mapping, options, schema=load.schema_name)


@contextmanager
def telling(settings: Settings) -> Iterator[None]:
    """Tell the webhook why a run ended without publishing; the error goes on."""
    try:
        yield
    except SmartRetailError as error:
        stays = isinstance(error, (BuildError, StaleModelError, BundleError, InputError, GateError))
        kind: Kind = "failed"
        if stays and not isinstance(error, InterruptedBuildError):
            kind = "refused"
        notify(settings, kind, f"a run {'was ' if kind == 'refused' else ''}{kind}: {error}")
        raise
    except Exception as error:
        notify(settings, "failed", f"a run failed: {type(error).__name__}")
        raise
