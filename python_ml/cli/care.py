"""The commands that care for a home: demo-data, doctor, features diff, forget."""

from __future__ import annotations

import csv
import json
import shlex
import sys
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import pyarrow.parquet as pq
import typer
from rich.markup import escape
from rich.table import Table

from python_ml.cli.console import Home, err, open_pipeline, out
from python_ml.cli.look import Format
from python_ml.errors import InputError
from python_ml.forgetting.forget import find_customer, forget
from python_ml.ingest.demo import DemoShop, write_demo_shop
from python_ml.ingest.demo.rows import ORDER_LINES_SCHEMA
from python_ml.pipeline import DEMO_MAPPING
from python_ml.predictions import get_prediction
from python_ml.reporting.doctor import examine
from python_ml.reporting.feature_diff import FeatureDiff, compare_builds
from python_ml.settings import load_settings
from python_ml.warehouse.dbt import dev_schema
from python_ml.warehouse.engines import require_postgres

app = typer.Typer(no_args_is_help=True)
features_app = typer.Typer(help="Look at features before they are merged.", no_args_is_help=True)
app.add_typer(features_app, name="features")


@app.command("demo-data")
def demo_data(
    out_dir: Annotated[Path, typer.Option("--out", help="Folder to write to.")],
    customers: Annotated[int, typer.Option(min=1, help="Customers with an order.")] = 5_000,
    years: Annotated[int, typer.Option(min=1, max=30, help="Length of the history.")] = 3,
    seed: Annotated[int, typer.Option(min=0, help="Equal seeds give equal files.")] = 20240229,
    oracle: Annotated[
        bool,
        typer.Option("--oracle", help="Write the true probabilities too, to measure against."),
    ] = False,
) -> None:
    """Write the order lines of a simulated shop to a file.

    Example: smartretail demo-data --customers 20000 --years 4 --out demo --oracle
    """
    shop = DemoShop(customers=customers, years=years, seed=seed)
    _refuse_other_file(out_dir / "order_lines.parquet")
    files = write_demo_shop(shop, out_dir, with_oracle=oracle)
    out.print(
        f"{files.order_lines}: {files.rows:,} order lines of {customers:,} customers, "
        f"{shop.start} to {shop.end} (not included)",
        soft_wrap=True, highlight=False, markup=False,
    )  # fmt: skip
    for path, what in ((files.order_habit, "order habit"), (files.return_risk, "return risk")):
        if path is not None:
            out.print(
                f"{path}: the true probabilities of {what}",
                soft_wrap=True, highlight=False, markup=False,
            )  # fmt: skip
    attributes = " ".join(
        f"--attribute {attribute.entity}:{attribute.origin}"
        for attribute in DEMO_MAPPING.attributes
    )
    typer.echo(
        "\nUse it: smartretail run --source order_lines "
        f"--path {shlex.quote(str(files.order_lines))} {attributes} --home .smartretail-demo"
    )


@app.command()
def doctor(home: Home = None) -> None:
    """Show on one screen what this home holds, what is amiss, and the command that mends it.

    Starts and changes nothing. Exit code 1 when something is amiss.
    """
    settings = load_settings(home=home)
    require_postgres(settings, "`smartretail doctor`")
    diagnosis = examine(settings)
    width = max(len(fact.topic) for fact in diagnosis.facts)
    topic = ""
    for fact in diagnosis.facts:
        typer.echo(f"{'' if fact.topic == topic else fact.topic:<{width}}  {fact.text}")
        topic = fact.topic
    if not diagnosis.problems:
        typer.echo("\nAll is well.")
        return
    typer.echo(f"\n{len(diagnosis.problems)} to mend:")
    for problem in diagnosis.problems:
        typer.echo(f"  {problem.what}\n    {problem.mend}")
    raise typer.Exit(1)


@features_app.command("diff")
def diff(
    prediction: Annotated[str, typer.Argument(help="For instance order_habit.")] = "order_habit",
    schema: Annotated[
        str | None, typer.Option(help="Schema of the dev build [default: dev_<user>].")
    ] = None,
    format_: Annotated[Format, typer.Option("--format", help="table, csv or json.")] = Format.table,
    home: Home = None,
) -> None:
    """Compare your dev build of the features with the published one.

    Exit code 0 when nothing differs, 1 when something does. PSI is the population stability index
    over the deciles of the published build: below .1 is usually read as stable, above .25 as
    another distribution. With a change that is meant to change nothing, expect none.

    Example: eval "$(smartretail env)" && dbt build --select +feat_order_habit
    --indirect-selection cautious && smartretail features diff order_habit
    """
    pipeline = open_pipeline(home, quiet=True)
    found = compare_builds(
        pipeline.warehouse,
        pipeline.settings.dbt_target_dir,
        get_prediction(prediction),
        schema or dev_schema(),
    )
    _print_diff(found, format_)
    if found.differs:
        raise typer.Exit(1)


def _print_diff(found: FeatureDiff, format_: Format) -> None:
    records = [feature.record() for feature in found.features]
    if format_ is Format.json:
        document = {**found.summary(), "features": records}
        sys.stdout.write(json.dumps(document, indent=1) + "\n")
        return
    if format_ is Format.csv:
        names = list(records[0]) if records else ["feature"]
        writer = csv.DictWriter(sys.stdout, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(records)
        return
    for line in found.headlines():
        typer.echo(line)
    if not found.differs:
        return
    table = Table("feature", "rows changed", "PSI", "filled", "mean", "median", "5 %", "95 %")
    for feature in found.changed_features():
        table.add_row(*(escape(cell) for cell in feature.cells()))
    out.print(table)
    typer.echo("Each pair reads published -> dev. PSI: below .1 stable, above .25 another shape.")


@app.command("forget")
def forget_customer(
    customer: Annotated[str, typer.Argument(help="The customer's id, as the shop writes it.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before deleting.")] = False,
    home: Home = None,
) -> None:
    """Remove a customer from the home, for good, and keep later loads from bringing them back.

    Deletes the customer's rows from every table of the project (raw rows, rejected rows, features,
    labels, scores, marts, dev builds), from the demo shop's and all other CSV and Parquet files
    under the home, and from logs; rewrites those tables and drops the server's write-ahead log.
    What is kept is a salted digest, in raw.forgotten.

    Out of reach, and yours to see to: files outside the home (the shop's own exports, dumps made
    with `db dump`, what `export` wrote elsewhere), backups and disk snapshots, tables of your own
    in the same database, and on a server of your own its write-ahead log, logs and replicas.
    Models hold no customers. After restoring an older dump, forget again.

    Example: smartretail forget C00000148
    """
    pipeline = open_pipeline(home, quiet=True)
    found = find_customer(pipeline, customer)
    for name, count in found.own.items():
        err.print(f"{count:>9,}  {escape(name)}", highlight=False)
    if not yes:
        typer.confirm(f"Delete these {found.rows:,} rows for good?", abort=True, err=True)
    report = forget(pipeline, customer)
    typer.echo(
        f"Forgotten: {report.rows:,} rows deleted from {len(report.deleted)} tables, "
        f"files mended: {len(report.files)}."
    )
    for line in report.left:
        typer.echo(f"Left: {line}")


def _refuse_other_file(path: Path) -> None:
    """Write over a demo shop, never over a shop's own file of that name."""
    if not path.exists():
        return
    try:
        is_demo = pq.read_schema(path).equals(ORDER_LINES_SCHEMA)
    except (pa.ArrowException, OSError):
        is_demo = False
    if not is_demo:
        raise InputError(
            f"{path} is there already and is no demo shop.", "Name another folder with --out."
        )
