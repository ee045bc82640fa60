"""The commands that keep a shop going: backfill, backtest, prune, monitor, schedule."""

from __future__ import annotations

import importlib
import re
from datetime import datetime, timedelta
from typing import Annotated

import typer
from rich.table import Table

from python_ml.cli.console import Home, err, open_pipeline, out
from python_ml.cli.steps import Horizon, Only
from python_ml.errors import InputError
from python_ml.notify import notify
from python_ml.pipeline import Outcome, as_of_dates
from python_ml.predictions import get_prediction
from python_ml.reporting.summary import pooled_table
from python_ml.warehouse.ledger import prune as prune_runs
from python_ml.warehouse.ledger import utc_now
from python_ml.watch.standing import look, rows_of, warnings_of

app = typer.Typer(no_args_is_help=True)


@app.command()
def backfill(
    first: Annotated[
        datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="First as-of date.")
    ],
    last: Annotated[datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Last as-of date.")],
    every: Annotated[
        str, typer.Option(help="month, week or day.", metavar="month|week|day")
    ] = "month",
    only: Only = None,
    horizon_days: Horizon = None,
    home: Home = None,
) -> None:
    """Make the predictions of past as-of dates, oldest first, each from what was known then.

    They are published as history: what is in force and speaks of a later date stays in force.

    Example: smartretail backfill --from 2024-01-01 --to 2025-12-01
    """
    pipeline = open_pipeline(home)
    days = as_of_dates(first.date(), last.date(), every)
    request = pipeline.request(days[-1], horizon_days, only or [])
    for day, outcomes in zip(days, pipeline.nights(request, days, as_history=True), strict=True):
        err.print(f"{day}: {_in_words(outcomes)}")


def _in_words(outcomes: list[Outcome]) -> str:
    return ", ".join(
        f"{outcome.prediction} {'skipped' if outcome.skipped else f'{outcome.rows:,} rows'}"
        for outcome in outcomes
    )


@app.command()
def backtest(
    prediction: Annotated[str, typer.Argument(help="For instance order_habit.")],
    folds: Annotated[int, typer.Option(min=1, max=60, help="How many past dates.")] = 8,
    home: Home = None,
) -> None:
    """Train again at past as-of dates on what was known then, and measure each.

    Every recipe is measured on the newest date whose outcome was known by then, beside the
    baselines, and then on all of these dates pooled: what would have been published beside each
    recipe, with paired intervals by customer. The figures are in predictions.metrics.

    Example: smartretail backtest order_habit --folds 6
    """
    get_prediction(prediction)
    pipeline = open_pipeline(home)
    table = Table("as of", "tested on", "recipe", "log loss", "AUC")
    found = pipeline.backtest(pipeline.request(only=[prediction]), prediction, folds)
    for fold in found:
        figures = ["" if value is None else f"{value:.3f}" for value in (fold.log_loss, fold.auc)]
        tested = str(fold.tested_on or fold.skipped or "")
        table.add_row(str(fold.as_of), tested, fold.recipe or "", *figures)
    out.print(table)
    lines = pipeline.pooled(prediction, found)
    if lines:
        out.print(pooled_table(lines))


@app.command()
def prune(
    keep: Annotated[str, typer.Option(help="Days of runs to keep, as 400d.", metavar="DAYSd")],
    home: Home = None,
) -> None:
    """Delete runs older than that, with their scores and mart rows; never what is in force.

    One transaction; what BI reads does not change. Age counts back from the newest run. The
    ledger keeps their events, so that a rollback to a pruned run is refused by name. Keep at least
    the longest horizon, or predictions go before their truth is known.

    Example: smartretail prune --keep 400d
    """
    match = re.fullmatch(r"(\d{1,5})d?", keep.strip())
    if match is None or int(match.group(1)) == 0:
        raise InputError(f"--keep {keep} is no number of days.", "Write it as --keep 400d.")
    pipeline = open_pipeline(home, quiet=True)
    with pipeline.writing() as writer:
        pruned = prune_runs(writer, timedelta(days=int(match.group(1))))
    rows = sum(run.row_count for run in pruned)
    err.print(f"{len(pruned):,} runs pruned, {rows:,} rows.")


@app.command()
def monitor(
    tell: Annotated[
        bool, typer.Option("--notify", help="Post what is amiss to SMARTRETAIL_WEBHOOK_URL.")
    ] = False,
    home: Home = None,
) -> None:
    """Show what is in force, how old it is and what the gates said of it.

    Exit code 1 when something is amiss: scores or rows are late, or a run was refused. Warnings of
    the gates are shown and change nothing.

    Example: smartretail monitor || echo "look at the shop"
    """
    pipeline = open_pipeline(home, quiet=True)
    now = utc_now()
    screen = look(pipeline.warehouse, now, timedelta(hours=pipeline.settings.late_after_hours))
    shown = rows_of(screen, now)
    if shown:
        table = Table(*shown[0])
        for row in shown:
            table.add_row(*row.values())
        out.print(table)
    if screen.loads.newest:
        out.print(f"newest row loaded: {max(screen.loads.newest):%Y-%m-%d %H:%M}")
    for warning in warnings_of(screen):
        out.print(f"warning: {warning}", soft_wrap=True, highlight=False, markup=False)
    findings = screen.findings
    for finding in findings:
        out.print(finding.text, soft_wrap=True, highlight=False, markup=False)
        if tell:
            notify(pipeline.settings, finding.kind, finding.text)
    if findings:
        raise typer.Exit(1)
    out.print("Nothing is late, nothing was refused.")


@app.command()
def schedule(
    score: Annotated[
        str, typer.Option(help="When to score, as cron, in SMARTRETAIL_TIME_ZONE.")
    ] = "0 3 * * *",
    train: Annotated[str, typer.Option(help="When to train.")] = "0 1 * * 0",
    backtest_at: Annotated[str, typer.Option("--backtest", help="When to backtest.")] = "0 5 1 * *",
    watch: Annotated[str, typer.Option("--monitor", help="When to look.")] = "0 8 * * *",
    home: Home = None,
) -> None:
    """Score, train, backtest and monitor on a schedule, from this one process, until Ctrl-C.

    For a small shop: no worker is needed, and no Prefect server, for it starts its own; with
    PREFECT_API_URL the runs show up on yours. For more, deploy prefect.yaml (docs/schedule.md).

    Example: smartretail schedule --score "30 2 * * *"
    """
    serve = importlib.import_module("flows.schedule").serve_all  # Prefect takes seconds
    pipeline = open_pipeline(home, quiet=True)
    serve(pipeline.settings, score=score, train=train, backtest=backtest_at, monitor=watch)
