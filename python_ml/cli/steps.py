"""The commands that change a home: run and its steps."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

from python_ml.cli.console import Engine, Home, check_kind, err, open_pipeline, out, write_table
from python_ml.errors import InputError
from python_ml.ingest.load import LoadReport, check_shop, shop_source
from python_ml.ingest.read import ReadOptions
from python_ml.ingest.sources import ColumnMapping
from python_ml.pipeline import DEMO, DEMO_MAPPING, Outcome, Pipeline, Request
from python_ml.reporting.summary import describe_run
from python_ml.scoring.new_lines import NewLines, ScoredLines

app = typer.Typer(no_args_is_help=True)

Source = Annotated[
    str | None,
    typer.Option(
        "--source",
        help="demo, order_lines (one flat file of any shop), northwind, online_retail, own. "
        "[default: what the home holds, else demo]",
    ),
]
Paths = Annotated[
    list[Path] | None,
    typer.Option("--path", help="File (CSV or Parquet) or folder; may be repeated."),
]
Schema = Annotated[
    str | None,
    typer.Option(
        "--schema",
        help="Instead of files: the schema of the same database in which the shop's tables stand.",
    ),
]
Maps = Annotated[
    list[str] | None,
    typer.Option(
        "--map", help="THEIRS=OURS: a column of the file and what it is; may be repeated."
    ),
]
Attributes = Annotated[
    list[str] | None,
    typer.Option(
        "--attribute",
        help="line:COLUMN, product:COLUMN or customer:COLUMN: a further column to learn from; "
        "add :category, :number or :date to say what it is, else the values tell.",
    ),
]
AsOf = Annotated[
    datetime | None,
    typer.Option(
        "--as-of",
        formats=["%Y-%m-%d"],
        help="Predict as of this midnight, using nothing known later "
        "[default: the day after the newest row].",
    ),
]
Horizon = Annotated[
    int | None,
    typer.Option(
        "--horizon-days", min=1, max=1096, help="Days ahead [default: the prediction's own]."
    ),
]
Only = Annotated[
    list[str] | None, typer.Option("--only", help="Only this prediction; may be repeated.")
]
Encoding = Annotated[str, typer.Option(help="Encoding of CSV files.")]
DateOrder = Annotated[
    str | None,
    typer.Option(help="dmy or mdy, where dates like 03/04/2024 leave it open.", metavar="dmy|mdy"),
]
Decimal = Annotated[
    str | None,
    typer.Option(
        help="comma or point, where numbers like 1,500 leave it open.", metavar="comma|point"
    ),
]
SameShop = Annotated[
    bool,
    typer.Option("--same-shop", help="Load the file although it looks like another shop's."),
]
Trials = Annotated[
    str | None,
    typer.Option(
        "--effort",
        help="How many settings training tries [default: normal; quick for the demo].",
        metavar="quick|normal|thorough",
    ),
]
Anyway = Annotated[
    bool,
    typer.Option(
        "--anyway", help="Publish what the gates refuse; the ledger keeps what they said."
    ),
]
Retrain = Annotated[bool, typer.Option("--retrain", help="Train even if nothing has changed.")]


@app.command()
def run(
    source: Source = None,
    path: Paths = None,
    schema: Schema = None,
    map_: Maps = None,
    attribute: Attributes = None,
    as_of: AsOf = None,
    horizon_days: Horizon = None,
    only: Only = None,
    encoding: Encoding = "utf-8",
    date_order: DateOrder = None,
    decimal: Decimal = None,
    same_shop: SameShop = False,
    retrain: Retrain = False,
    catch_up: Annotated[
        bool,
        typer.Option(
            "--catch-up",
            help="First the days since the newest published date, oldest first: missed nights.",
        ),
    ] = False,
    anyway: Anyway = False,
    effort: Trials = None,
    home: Home = None,
    engine: Engine = None,
) -> None:
    """Load if asked, build, train, score, publish and report.

    Examples:

        smartretail run                                   (the demo shop)

        smartretail run --source order_lines --path orders.csv --map InvoiceDate=ordered_at

        smartretail run --as-of 2024-06-01 --horizon-days 90
    """
    pipeline = open_pipeline(home, effort=effort, engine=engine)
    held = shop_source(pipeline.warehouse)
    source = source or (held[0] if held else DEMO)
    if path or schema or source == DEMO or held is None:
        options = ReadOptions(encoding, date_order, decimal)
        _load(pipeline, source, path, _mapping(map_, attribute), options, same_shop, schema)
    else:
        check_shop(pipeline.warehouse, source)
    request = pipeline.request(_day(as_of), horizon_days, only or [])
    days = pipeline.missed(request) if catch_up else [request.as_of]
    outcomes = pipeline.nights(request, days, retrain=retrain, anyway=anyway)[-1]
    _report(pipeline, request, outcomes)


@app.command()
def load(
    source: Source = None,
    path: Paths = None,
    schema: Schema = None,
    map_: Maps = None,
    attribute: Attributes = None,
    encoding: Encoding = "utf-8",
    date_order: DateOrder = None,
    decimal: Decimal = None,
    same_shop: SameShop = False,
    home: Home = None,
    engine: Engine = None,
) -> None:
    """Load files, or a shop's own tables: validated, whole or not at all, and safe to repeat.

    A home that was loaded from a schema is loaded from it again when nothing is said.

    Examples:

        smartretail load --source order_lines --path orders.parquet

        smartretail load --path new_orders.csv --map "Order No=order_id"

        smartretail load --source own --schema shop
    """
    pipeline = open_pipeline(home, engine=engine)
    held = shop_source(pipeline.warehouse)
    source = source or (held[0] if held else DEMO)
    options = ReadOptions(encoding, date_order, decimal)
    _load(pipeline, source, path, _mapping(map_, attribute), options, same_shop, schema)


@app.command()
def build(
    as_of: AsOf = None,
    horizon_days: Horizon = None,
    only: Only = None,
    full_refresh: Annotated[
        bool,
        typer.Option(
            "--full-refresh",
            help="Build everything whole, features and labels with their history.",
        ),
    ] = False,
    home: Home = None,
    engine: Engine = None,
) -> None:
    """Build staging, the shop model, features and labels with dbt, and test them."""
    pipeline = open_pipeline(home, engine=engine)
    with pipeline.writing():
        pipeline.build(
            pipeline.request(_day(as_of), horizon_days, only or []), full_refresh=full_refresh
        )


@app.command()
def train(
    as_of: AsOf = None,
    horizon_days: Horizon = None,
    only: Only = None,
    retrain: Retrain = False,
    effort: Trials = None,
    home: Home = None,
    engine: Engine = None,
) -> None:
    """Choose, measure and refit the models on what was known at the as-of date."""
    pipeline = open_pipeline(home, effort=effort, engine=engine)
    request = pipeline.request(_day(as_of), horizon_days, only or [])
    with pipeline.writing():
        for name in request.horizon_days:
            bundle = pipeline.train(request, name, retrain=retrain)
            err.print(f"{name}: {bundle.recipe}, bundle {bundle.bundle_id[:12]}")


@app.command()
def score(
    prediction: Annotated[
        str | None, typer.Argument(help="Only this prediction [default: all].")
    ] = None,
    as_of: AsOf = None,
    horizon_days: Horizon = None,
    only: Only = None,
    lines: Annotated[
        Path | None,
        typer.Option(
            "--lines", help="Score the order lines of this file, which the home does not take in."
        ),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option("--to", help="With --lines: .csv or .parquet to write [default: print]."),
    ] = None,
    map_: Maps = None,
    attribute: Attributes = None,
    encoding: Encoding = "utf-8",
    date_order: DateOrder = None,
    decimal: Decimal = None,
    home: Home = None,
    engine: Engine = None,
) -> None:
    """Score the as-of date with the newest model that fits the features. Publishes nothing.

    With --lines, order lines of a file that were ordered on the as-of date or later are scored
    with the outcomes known at that date; nothing of them stays in the home.

    Examples:

        smartretail score --as-of 2024-06-01

        smartretail score return_risk --lines new_orders.csv --as-of 2024-06-01 --to risks.csv
    """
    pipeline = open_pipeline(home, engine=engine)
    names = [*([prediction] if prediction else []), *(only or [])]
    request = pipeline.request(_day(as_of), horizon_days, names)
    if lines is not None:
        if len(names) != 1:
            raise InputError("--lines needs one prediction.", "Type score return_risk --lines.")
        if to is not None:
            check_kind(to)
        held = shop_source(pipeline.warehouse)
        mapping = _mapping(map_, attribute) or (
            DEMO_MAPPING if held is not None and held[0] == DEMO else ColumnMapping()
        )
        options = ReadOptions(encoding, date_order, decimal)
        _say_scored(pipeline.score_lines(request, names[0], NewLines(lines, mapping, options)), to)
        return
    with pipeline.writing():
        for name, days in request.horizon_days.items():
            bundle = pipeline.newest_bundle(name, request.as_of, days)
            outcome = pipeline.score(request, name, bundle)
            err.print(f"{name}: {outcome.rows:,} rows scored, run {outcome.run_id}")
        pipeline.summarise_customers(request)


@app.command()
def publish(
    as_of: AsOf = None,
    only: Only = None,
    run: Annotated[
        str | None,
        typer.Option("--run", help="Only this run, also where its model lost a challenge."),
    ] = None,
    anyway: Anyway = False,
    home: Home = None,
    engine: Engine = None,
) -> None:
    """Build and test the mart rows of what was scored, then bring it into force.

    What the gates refuse is not published: exit code 9, and the message says what moved.

    Example: smartretail publish --as-of 2024-06-01 --anyway
    """
    pipeline = open_pipeline(home, engine=engine)
    request = pipeline.request(_day(as_of), None, only or [])
    with pipeline.writing() as writer:
        outcomes = [pipeline.outcome_of_run(run)] if run else pipeline.outcomes_of(request)
        for outcome in pipeline.publish(writer, outcomes, anyway=anyway):
            err.print(f"{outcome.prediction}: run {outcome.run_id} is in force")


def _load(
    pipeline: Pipeline,
    source: str,
    path: list[Path] | None,
    mapping: ColumnMapping | None,
    options: ReadOptions,
    same_shop: bool,
    schema: str | None,
) -> None:
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=err, transient=True) as progress:
        tasks = {}

        def show(file_name: str, rows: int) -> None:
            if file_name not in tasks:
                tasks[file_name] = progress.add_task(file_name, total=None)
            progress.update(tasks[file_name], completed=rows)

        report = pipeline.load(
            source,
            path or [],
            mapping,
            options,
            schema=schema,
            same_shop=same_shop,
            on_progress=show,
        )
    _say_loaded(report)


def _mapping(maps: list[str] | None, attributes: list[str] | None) -> ColumnMapping | None:
    return ColumnMapping.parse(maps or [], attributes or []) if maps or attributes else None


def _say_loaded(report: LoadReport) -> None:
    for name in report.already_loaded:
        err.print(f"{name} was loaded before; nothing changed.")
    if report.load_id is None:
        return
    gone = f" ({report.gone:,} of them gone from the shop's tables)" if report.gone else ""
    parts = [f"{report.loaded:,} rows loaded{gone}"]
    if report.unchanged:
        parts.append(f"{report.unchanged:,} unchanged")
    parts.append(f"{report.rejected:,} rejected of {report.given:,}")
    err.print(", ".join(parts) + ".")
    for reason, count in sorted(report.reasons.items(), key=lambda item: -item[1]):
        err.print(f"  {count:,} x {reason}")
    if report.attributes:
        err.print("Attributes: " + ", ".join(str(kind) for kind in report.attributes) + ".")
    for kind in report.attributes:
        if kind.unreadable:
            err.print(f"  {kind.unreadable:,} x {kind.entity} {kind.name} is no {kind.kind}: empty")
    if report.rejected:
        err.print('See them with: smartretail query "select * from raw.rejected_rows"')


def _say_scored(scored: ScoredLines, to: Path | None) -> None:
    write_table(scored.lines, to)
    counts = [f"{scored.lines.num_rows:,} lines scored of {scored.given:,} rows"]
    if scored.other:
        counts.append(f"{scored.other:,} are returns or copies")
    err.print(", ".join(counts) + (f", written to {to}" if to else "") + ".")
    for reason, count in sorted(scored.rejected.items(), key=lambda item: -item[1]):
        err.print(f"  {count:,} x {reason}")


def _report(pipeline: Pipeline, request: Request, outcomes: list[Outcome]) -> None:
    for part in describe_run(pipeline.warehouse, request.as_of, outcomes):
        out.print(part)
    home = pipeline.settings.home_option
    made = [
        outcome.prediction
        for outcome in outcomes
        if outcome.bundle_id and pipeline.warehouse.relation_exists("marts", outcome.prediction)
    ]
    mart = made[0] if made else "customers"
    place = pipeline.warehouse.layout.shown("marts", mart)
    written = pipeline.report()
    if written is not None:
        out.print(f"\nReport: {written}", highlight=False, soft_wrap=True)
    if pipeline.warehouse.engine == "postgres":
        out.print(f'Look: psql "$(smartretail db url{home})" -c "table {place} limit 5"')
    else:
        out.print(f'Look: smartretail query "from {place} limit 5"{home}')
    if made:
        out.print(f"      smartretail export {mart} --to predictions.csv{home}")


def _day(moment: datetime | None) -> date | None:
    return moment.date() if moment else None
