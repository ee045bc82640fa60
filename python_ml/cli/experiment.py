"""The command that climbs a ladder: experiment."""

from __future__ import annotations

import importlib
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from python_ml.cli.console import Home, err, open_pipeline, out, say_with_clock

app = typer.Typer(no_args_is_help=True)


class Layout(StrEnum):
    """How `experiment` prints."""

    table = "table"
    markdown = "markdown"
    csv = "csv"
    json = "json"


@app.command()
def experiment(
    prediction: Annotated[
        str, typer.Argument(help="order_habit, purchase_potential or return_risk.")
    ],
    as_of: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"],
            help="Nothing known later is read [default: the day after the newest row].",
        ),
    ] = None,
    horizon_days: Annotated[
        int | None, typer.Option(min=1, help="Length of the window [default: the prediction's].")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Equal seeds give equal tables [default: as set].")
    ] = None,
    most_rows: Annotated[int, typer.Option(min=100, help="Rows that train, at most.")] = 12_000,
    oracle: Annotated[
        Path | None,
        typer.Option(
            help="Folder with a simulated shop's true probabilities (demo-data --oracle)."
        ),
    ] = None,
    layout: Annotated[
        Layout, typer.Option("--format", help="table, markdown, csv or json.")
    ] = Layout.table,
    home: Home = None,
) -> None:
    """Climb a prediction's ladder, rung by rung, as it is often done and as it holds in time.

    As done: a label made from the same history as the features, rows split at random. Honest:
    as-of dates, tested on the latest one whose window has closed, trained on what was known before
    it. The difference is what leaked. Nothing is published; the table is kept in the home, under
    experiments, and in predictions.metrics.

    What is loaded is built first where it was not; after editing a feature, build it yourself.

    Example: smartretail experiment order_habit
    """
    ladder = importlib.import_module("python_ml.experiments.ladder.experiment")
    options = ladder.Options(
        as_of=as_of.date() if as_of else None,
        horizon_days=horizon_days,
        seed=seed,
        most_rows=most_rows,
        oracle=oracle,
    )
    pipeline = open_pipeline(home)
    study = ladder.run_experiment(pipeline, prediction, options, say_with_clock())
    if layout is Layout.table:
        for table in study.tables():
            out.print(table)
    else:
        texts = {
            Layout.markdown: study.to_markdown,
            Layout.csv: study.to_csv,
            Layout.json: study.to_json,
        }
        typer.echo(texts[layout](), nl=False)
    kept = ladder.folder_of(pipeline) / f"{study.stem}.json"
    err.print(f"Kept as {kept}, .csv and .svg", highlight=False, markup=False)
