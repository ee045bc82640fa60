"""The command that takes in what the shop did about its predictions."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from python_ml.cli.console import Home, err, open_pipeline
from python_ml.ingest.actions import load_actions

app = typer.Typer(no_args_is_help=True)


@app.command("load-actions")
def load(
    file: Annotated[
        Path,
        typer.Argument(
            help="CSV or Parquet: customer_id, action, acted_at; prediction and recorded_at may "
            "be there."
        ),
    ],
    home: Home = None,
) -> None:
    """Load actions taken: who was written to, called or shown something, and when.

    The file is taken whole or not at all, and may be loaded again: rows that are there already
    change nothing. `marts.lift_of_acting` holds the customers acted on against those held out.

    Example: smartretail load-actions mailing_2025_06.csv
    """
    pipeline = open_pipeline(home, quiet=True)
    latest = datetime.now(ZoneInfo(pipeline.settings.time_zone)).replace(tzinfo=None)
    report = load_actions(pipeline.warehouse, file, pipeline.settings.home, latest=latest)
    parts = [f"{report.loaded:,} actions loaded of {report.given:,}"]
    if report.unchanged:
        parts.append(f"{report.unchanged:,} were there already")
    if report.forgotten:
        parts.append(f"{report.forgotten:,} of forgotten customers left out")
    err.print(", ".join(parts) + ".")
    if report.unknown_customers:
        err.print(
            f"{report.unknown_customers:,} customers have no order here: no run speaks of them."
        )
