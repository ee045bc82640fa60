"""What the command line prints, and where: results to stdout, everything else to stderr."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from python_ml.pipeline import Pipeline
from python_ml.settings import load_settings

out = Console(soft_wrap=True)
err = Console(stderr=True, soft_wrap=True)

Home = Annotated[
    Path | None,
    typer.Option("--home", help="Folder that holds the shop [default: .smartretail]."),
]


def open_pipeline(home: Path | None, quiet: bool = False) -> Pipeline:
    """Read the settings and open the home."""
    settings = load_settings(home=home)
    return Pipeline(settings, say=None if quiet else _say_with_clock())


@contextmanager
def working(text: str) -> Iterator[None]:
    """Show a spinner on a terminal while something long goes on."""
    with err.status(text):
        yield


def _say_with_clock():  # type: ignore[no-untyped-def]
    started = time.monotonic()

    def say(text: str) -> None:
        err.print(f"[dim]{time.monotonic() - started:6.1f} s[/dim]  {text}", highlight=False)

    return say
