"""What the command line prints, and where: results to stdout, everything else to stderr."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import typer
from rich.console import Console

from python_ml.errors import InputError
from python_ml.pipeline import Pipeline
from python_ml.settings import load_settings
from python_ml.warehouse.engines import engine_of, require_postgres

PIPED_WIDTH = 200
"""Columns of a table that goes to a file or another program: nothing is cut off."""

out = Console(width=None if sys.stdout.isatty() else PIPED_WIDTH)
err = Console(stderr=True, soft_wrap=True)

Home = Annotated[
    Path | None,
    typer.Option("--home", help="Folder that holds the shop [default: .smartretail]."),
]

Engine = Annotated[
    str | None,
    typer.Option(
        "--engine",
        help="What keeps the tables [default: what the home was made with, else postgres].",
        metavar="postgres|duckdb|spark",
    ),
]

SERVER = "a server"
"""Stands for the engine where a command needs PostgreSQL and says nothing else."""


def write_table(table: pa.Table, to: Path | None) -> None:
    """Write rows to a .csv or .parquet file, whole or not at all; to stdout as CSV without one.

    Raises
    ------
    InputError
        When the file is of another kind.
    """
    if to is None:
        pa.csv.write_csv(table, sys.stdout.buffer)
        return
    check_kind(to)
    to.parent.mkdir(parents=True, exist_ok=True)
    draft = to.with_name(to.name + ".part")
    if to.suffix.lower() == ".csv":
        pa.csv.write_csv(table, draft)
    else:
        pa.parquet.write_table(table, draft)
    draft.replace(to)


def check_kind(to: Path) -> None:
    """Refuse a file that is neither CSV nor Parquet, before anything is done for it."""
    if to.suffix.lower() not in (".csv", ".parquet"):
        raise InputError(f"{to}: unknown kind of file.", "End the name in .csv or .parquet.")


def open_pipeline(
    home: Path | None,
    quiet: bool = False,
    effort: str | None = None,
    engine: str | None = SERVER,
) -> Pipeline:
    """Read the settings and open the home.

    Parameters
    ----------
    engine
        What was said with ``--engine``; a command without that option works with PostgreSQL alone.

    Raises
    ------
    InputError
        When the home has an engine that the command does not work with, or another one is asked
        for.
    """
    settings = load_settings(home=home, effort=effort, engine=None if engine == SERVER else engine)
    if engine == SERVER:
        require_postgres(settings, "This command")
    else:
        engine_of(settings)
    return Pipeline(settings, say=None if quiet else say_with_clock())


def say_with_clock() -> Callable[[str], None]:
    """What says each step on stderr, with the seconds since now."""
    started = time.monotonic()

    def say(text: str) -> None:
        err.print(f"[dim]{time.monotonic() - started:6.1f} s[/dim]  {text}", highlight=False)

    return say
