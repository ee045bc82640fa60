"""The command line: `smartretail`."""

from __future__ import annotations

import importlib
import logging
import sys

import typer

from python_ml.cli import db
from python_ml.errors import SmartRetailError


def build_app() -> typer.Typer:
    """Put the commands together."""
    app = typer.Typer(
        name="smartretail",
        help="Predictions from a shop's orders, made inside its own warehouse. "
        "Start with `smartretail run`.",
        no_args_is_help=True,
        pretty_exceptions_show_locals=False,
        rich_markup_mode=None,
    )
    app.add_typer(db.app, name="db")
    if sys.argv[1:2] != ["db"]:
        # the database commands are there at once; the others bring the libraries they need
        steps, look, care, serve, nights, experiment, actions = (
            importlib.import_module(f"python_ml.cli.{name}")
            for name in ("steps", "look", "care", "serve", "nights", "experiment", "actions")
        )
        app.add_typer(steps.app)
        app.add_typer(look.app)
        app.add_typer(look.runs_app, name="runs")
        app.add_typer(care.app)
        app.add_typer(serve.app)
        app.add_typer(serve.keys_app, name="keys")
        app.add_typer(nights.app)
        app.add_typer(experiment.app)
        app.add_typer(actions.app)
    return app


def main() -> None:
    """Run a command; errors that a user can mend end in one or two lines and an exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        build_app()()
    except SmartRetailError as error:
        sys.stderr.write(f"error: {error.message}\n")
        if error.hint:
            sys.stderr.write(f"  {error.hint}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.stderr.write("stopped; what was published before stays in force\n")
        sys.exit(130)
