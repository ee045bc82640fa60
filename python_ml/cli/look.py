"""The commands that look: report, runs, query, export, env."""

from __future__ import annotations

import csv
import json
import shlex
import shutil
import sys
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import pyarrow as pa
import typer
from rich.markup import escape
from rich.table import Table

from python_ml.cli.console import Engine, Home, check_kind, err, open_pipeline, out, write_table
from python_ml.errors import InputError
from python_ml.pipeline import Outcome
from python_ml.predictions import get_prediction
from python_ml.predictions.base import PairPrediction, Prediction
from python_ml.reporting.summary import describe_run
from python_ml.warehouse.dbt import dbt_environment, dev_schema, offer_metrics
from python_ml.warehouse.ledger import events_of, find_run, list_runs, roll_back, runs_in_force

app = typer.Typer(no_args_is_help=True)
runs_app = typer.Typer(help="List runs; see which is in force.", invoke_without_command=True)


class Format(StrEnum):
    """How `query` prints."""

    table = "table"
    csv = "csv"
    json = "json"


class Level(StrEnum):
    """What purchase potential is about."""

    products = "products"
    categories = "categories"


@app.command()
def query(
    sql: Annotated[str, typer.Argument(help="One SELECT statement.")],
    format_: Annotated[Format, typer.Option("--format", help="table, csv or json.")] = Format.table,
    home: Home = None,
    engine: Engine = None,
) -> None:
    """Ask the shop's database in SQL. Reads only: the statement runs in a read-only transaction.

    Example: smartretail query "select count(*) from marts.order_habit" --format csv
    """
    pipeline = open_pipeline(home, quiet=True, engine=engine)
    names, rows = pipeline.warehouse.ask(sql)
    if format_ is Format.csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(names)
        writer.writerows(rows)
    elif format_ is Format.json:
        records = [dict(zip(names, row, strict=True)) for row in rows]
        sys.stdout.write(json.dumps(records, default=str, indent=1) + "\n")
    else:
        table = Table(*names)
        for row in rows:
            table.add_row(*("" if value is None else str(value) for value in row))
        out.print(table)


@app.command()
def export(
    prediction: Annotated[str, typer.Argument(help="For instance order_habit.")],
    to: Annotated[Path, typer.Option("--to", help="File to write: .csv or .parquet.")],
    as_of: Annotated[
        datetime | None,
        typer.Option(
            "--as-of",
            formats=["%Y-%m-%d"],
            help="The run published for this date [default: the run in force].",
        ),
    ] = None,
    level: Annotated[
        Level | None, typer.Option("--level", help="Of purchase_potential: products or categories.")
    ] = None,
    home: Home = None,
    engine: Engine = None,
) -> None:
    """Write the published predictions to a file.

    Examples:

        smartretail export order_habit --to predictions.csv

        smartretail export purchase_potential --level products --to products.csv
    """
    pipeline = open_pipeline(home, quiet=True, engine=engine)
    known = get_prediction(prediction)
    check_kind(to)
    if not pipeline.warehouse.relation_exists("marts", f"{known.name}_history"):
        raise InputError(
            f"There is no marts.{known.name}_history: nothing of {known.name} was published.",
            "Run `smartretail run` first.",
        )
    of_pairs = isinstance(known, PairPrediction)
    if of_pairs and level is None:
        raise InputError(
            f"{prediction} has two levels.", "Add --level products or --level categories."
        )
    if level is not None and not of_pairs:
        raise InputError(f"{prediction} has no levels.", "Leave out --level.")
    if isinstance(known, Prediction):
        table = _published(pipeline.warehouse, known, as_of)
    else:
        table = _published_pairs(pipeline.warehouse, known.name, level or Level.products, as_of)
    if table.num_rows == 0:
        raise InputError(
            f"No run of {prediction} is published" + (f" for {as_of:%Y-%m-%d}." if as_of else "."),
            "List what there is with `smartretail runs`.",
        )
    write_table(table, to)
    err.print(f"{table.num_rows:,} rows written to {to}")


def _published(warehouse: Any, prediction: Prediction, as_of: datetime | None) -> pa.Table:
    name = prediction.name
    entity, columns = ", ".join(prediction.entity_columns), ", ".join(prediction.exported)
    if as_of is None:
        return warehouse.read(f"select {columns} from marts.{name} order by {entity}")  # noqa: S608
    return warehouse.read(
        f"select {columns} from marts.{name}_history "  # noqa: S608
        f"where run_id = (select run_id from marts.{name}_history where as_of_date = $1 "
        f"order by published_at desc limit 1) order by {entity}",
        [as_of.date()],
    )


def _published_pairs(warehouse: Any, name: str, level: Level, as_of: datetime | None) -> pa.Table:
    item, of_level = (
        ("product_id", "product") if level is Level.products else ("category", "category")
    )
    columns = (
        f"customer_id, item_id as {item}, probability, score, item_rank as rank, as_of_date, "
        "horizon_days, recipe, model_version, run_id, scored_at, label_known_at"
    )
    if as_of is None:
        return warehouse.read(
            f"select {columns} from marts.{name} where item_level = $1 "  # noqa: S608 - ours
            "order by customer_id, item_rank",
            [of_level],
        )
    return warehouse.read(
        f"select {columns} from marts.{name}_history "  # noqa: S608 - ours
        f"where item_level = $1 and run_id = (select run_id from marts.{name}_history "
        "where as_of_date = $2 order by published_at desc limit 1) "
        "order by customer_id, item_rank",
        [of_level, as_of.date()],
    )


@app.command()
def report(
    to: Annotated[
        Path | None,
        typer.Option("--to", help="HTML file to write [default: one in the home's reports]."),
    ] = None,
    home: Home = None,
    engine: Engine = None,
) -> None:
    """Say what is in force, how good it is and what to do: printed short, written whole as HTML.

    The file holds everything that it shows, needs no network, and may be printed or sent by mail.

    Example: smartretail report --to report.html
    """
    if to is not None and to.suffix != ".html":
        raise InputError(f"--to {to} is no HTML file.", "Give a name that ends in .html.")
    pipeline = open_pipeline(home, quiet=True, engine=engine)
    current = runs_in_force(pipeline.warehouse)
    if not current:
        raise InputError("Nothing was published yet.", "Run `smartretail run` first.")
    outcomes = [
        Outcome(
            run.prediction, run.run_id, run.row_count, run.recipe, run.bundle_id, run.horizon_days
        )
        for run in current
    ]
    newest: date = max(run.as_of_date for run in current)
    for part in describe_run(pipeline.warehouse, newest, outcomes):
        out.print(part)
    written = pipeline.report()
    if written is not None and to is not None:
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(written, to)
    out.print(f"\nReport: {to or written}", highlight=False, soft_wrap=True)


@runs_app.callback()
def runs(
    context: typer.Context,
    prediction: Annotated[str | None, typer.Option(help="Only of this prediction.")] = None,
    most: Annotated[int, typer.Option(min=1, help="How many.")] = 20,
    home: Home = None,
    engine: Engine = None,
) -> None:
    """List the newest runs and which of them is in force."""
    if context.invoked_subcommand is not None:
        return
    pipeline = open_pipeline(home, quiet=True, engine=engine)
    table = Table(
        "in force", "prediction", "as of", "days", "recipe", "rows", "run", "made", "last event"
    )
    for run in list_runs(pipeline.warehouse, prediction, most):
        table.add_row(
            "yes" if run.is_in_force else "",
            run.prediction,
            str(run.as_of_date),
            str(run.horizon_days or ""),
            run.recipe or "",
            f"{run.row_count:,}",
            run.run_id,
            f"{run.created_at:%Y-%m-%d %H:%M}",
            run.last_event,
        )
    out.print(table)


@runs_app.command()
def show(
    run_id: Annotated[str, typer.Argument(metavar="ID", help="See `smartretail runs`.")],
    home: Home = None,
    engine: Engine = None,
) -> None:
    """Show one run: what it is, whether it is in force, and everything that happened to it.

    Example: smartretail runs show 7834de8ca113ed34ad7c
    """
    pipeline = open_pipeline(home, quiet=True, engine=engine)
    events = events_of(pipeline.warehouse, run_id)
    if not events:
        raise InputError(f"There is no run {run_id}.", "List them with `smartretail runs`.")
    run = find_run(pipeline.warehouse, run_id)
    if run is not None:
        facts = {
            "prediction": run.prediction,
            "as of": run.as_of_date,
            "days ahead": run.horizon_days or "",
            "recipe": run.recipe or "",
            "bundle": run.bundle_id or "",
            "rows": f"{run.row_count:,}",
            "in force": "yes" if run.is_in_force else "no",
        }
        for name, value in facts.items():
            out.print(f"{name:<10}  {value}", highlight=False, markup=False, soft_wrap=True)
    table = Table("when (UTC)", "event", "detail")
    for event in events:
        table.add_row(f"{event.happened_at:%Y-%m-%d %H:%M:%S}", event.event, escape(event.detail))
    out.print(table)


@app.command()
def rollback(
    prediction: Annotated[str, typer.Argument(help="For instance order_habit.")],
    to: Annotated[str, typer.Option("--to", help="Run to bring back; see `smartretail runs`.")],
    home: Home = None,
    engine: Engine = None,
) -> None:
    """Bring an earlier published run back into force: one row in the ledger, at once."""
    pipeline = open_pipeline(home, quiet=True, engine=engine)
    with pipeline.writing() as writer:
        roll_back(pipeline.warehouse, writer, prediction, to)
        pipeline.copy_for_bi()
    err.print(f"{prediction}: run {to} is in force")


@app.command()
def env(home: Home = None, engine: Engine = None) -> None:
    """Print what dbt and mf need in their environment: eval "$(smartretail env)", then type them.

    Contains the database password. dbt then builds into a schema of your own, dev_<user>; only
    `smartretail` and the flows write what BI reads. `mf query` answers from what is published.
    """
    pipeline = open_pipeline(home, quiet=True, engine=engine)
    if pipeline.warehouse.engine == "spark":
        raise InputError(
            "`smartretail env` does not work with the engine spark: what the driver keeps is "
            "handed to Spark by `smartretail` alone.",
            "Build with `smartretail build`; read Spark's tables where they are, in the folder "
            "spark/warehouse of the home.",
        )
    offer_metrics(pipeline.settings)
    variables = dbt_environment(pipeline.settings, pipeline.warehouse, pipeline.staging(), "dev")
    variables["SMARTRETAIL_DEV_SCHEMA"] = dev_schema()
    variables["DBT_TARGET_PATH"] = str(pipeline.settings.home / "dbt" / "dev_target")
    variables["DBT_LOG_PATH"] = str(pipeline.settings.logs_dir / "dbt_dev")
    for name, value in variables.items():
        sys.stdout.write(f"export {name}={shlex.quote(value)}\n")
