"""SQL on the home's engine: dbt's run of the model, its statement bare, and one by hand."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from python_ml.pipeline import Pipeline
from python_ml.warehouse.dbt import run_dbt
from tests.bench.features.ours import MODEL, Made, Ours

BY_HAND = Path(__file__).with_name("order_habit_by_hand.sql")


@dataclass(frozen=True)
class Run:
    """One full refresh of the model by dbt: its own seconds, those around it, and its statement."""

    seconds: float
    start_seconds: float
    statement: str


def run_by_dbt(pipeline: Pipeline) -> Run:
    """Let dbt make the model anew in the home; what it parsed before is used, as in any run."""
    parsed = pipeline.settings.dbt_target_dir / "partial_parse.msgpack"
    with TemporaryDirectory() as name:
        if parsed.is_file():
            shutil.copy2(parsed, name)
        started = time.monotonic()
        nodes = run_dbt(
            pipeline.settings,
            pipeline.warehouse,
            pipeline.staging(),
            ["run", "--full-refresh", "--select", MODEL],
            target_dir=Path(name),
        )
        whole = time.monotonic() - started
        [path] = (Path(name) / "compiled").rglob(f"{MODEL}.sql")
        statement = path.read_text(encoding="utf-8")
    seconds = next(node.seconds for node in nodes if node.name == MODEL)
    return Run(seconds, whole - seconds, statement)


@contextmanager
def table_of(pipeline: Pipeline, statement: str) -> Iterator[float]:
    """Keep what a statement makes as the table ``bench.made``; gives the seconds that it took."""
    with pipeline.warehouse.connect() as connection:
        connection.execute("create schema if not exists bench")
        connection.execute("drop table if exists bench.made")
    try:
        # the commit is within these seconds, as it is within dbt's
        with pipeline.warehouse.connect(autocommit=True) as connection:
            started = time.monotonic()
            connection.execute(f"create table bench.made as {statement}".encode())
            seconds = time.monotonic() - started
        yield seconds
    finally:
        with pipeline.warehouse.connect() as connection:
            connection.execute("drop schema bench cascade")


@dataclass(frozen=True)
class Bare:
    """The statement that dbt compiles, without dbt, and the index that it puts on the table."""

    seconds: float
    index_seconds: float


def by_statements(pipeline: Pipeline, ours: Ours, repeats: int) -> tuple[Run, Bare, Made]:
    """dbt's run, its statement bare, and the one by hand: the fastest of each.

    They take turns, so that a machine that slows down slows all of them.
    """
    runs, bare, indexing, hand = list[Run](), list[float](), list[float](), list[float]()
    by_hand = BY_HAND.read_text(encoding="utf-8")
    for number in range(repeats):
        with pipeline.writing():
            runs.append(run_by_dbt(pipeline))
        with table_of(pipeline, runs[-1].statement) as seconds:
            bare.append(seconds)
            indexing.append(index_seconds(pipeline))
        with table_of(pipeline, by_hand) as seconds:
            hand.append(seconds)
            if number == repeats - 1:
                made = _compared(pipeline, ours, min(hand))
    return min(runs, key=lambda run: run.seconds), Bare(min(bare), min(indexing)), made


def index_seconds(pipeline: Pipeline) -> float:
    """Seconds of the index that dbt puts on the table, on ``bench.made``; DuckDB gets none."""
    if pipeline.warehouse.engine == "duckdb":
        return 0.0
    with pipeline.warehouse.connect(autocommit=True) as connection:
        started = time.monotonic()
        connection.execute("create index made_by_date on bench.made (as_of_date, customer_id)")
        return time.monotonic() - started


def _compared(pipeline: Pipeline, ours: Ours, seconds: float) -> Made:
    read = pipeline.warehouse.read
    names = read("select * from bench.made limit 0").schema.names
    shared = {name: name for name in ours.columns if name in names}
    differing, rows = set[str](), 0
    for day in ours.rows_of:
        made = read("select * from bench.made where as_of_date = $1", [day]).to_pandas()
        rows += len(made)
        differing |= ours.differing(made.set_index("customer_id"), day, shared)
    return Made(seconds, rows, len(names) - 2, len(shared), tuple(sorted(differing)))
