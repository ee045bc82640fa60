"""Features of order habit beside peers, on one home: dbt itself, SQL, pandas, Polars, featuretools.

The engine makes all columns of ``feat_order_habit`` for all as-of dates in one statement, the one
that dbt compiles: that is ours. Each peer makes those columns that it would be written for, of the
same customers and dates; columns that both make must agree, or the command fails. Reading lines
into memory is not counted, for who needs them there. dbt makes the home's model anew on the way.

    python -m tests.bench.features.beside_peers --home HOME
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from python_ml.pipeline import Pipeline
from python_ml.settings import load_settings
from tests.bench.features.featuretools_peer import by_featuretools, is_installed
from tests.bench.features.ours import Made, Ours
from tests.bench.features.pandas_peer import by_pandas
from tests.bench.features.polars_peer import by_polars
from tests.bench.features.sql_peer import Bare, Run, by_statements

DBT_AT_MOST = 1.15
"""dbt's seconds for the model, by those of its statement and its index bare."""
SQL_AT_MOST = 1.5
"""Seconds of our statement, by those of the one by hand."""
AT_LEAST: Mapping[str, Mapping[str, float]] = {
    "duckdb": {"pandas": 3, "Polars": 1, "featuretools": 100},
    "postgres": {"pandas": 1, "featuretools": 20},
}
"""A peer's seconds, by those of our statement."""


def say_statements(run: Run, bare: Bare, hand: Made, columns: int) -> None:
    """Print the lines of ours, of dbt and of the SQL by hand."""
    _say("ours", columns, bare.seconds, "the statement that dbt compiles, bare")
    ratio = run.seconds / (bare.seconds + bare.index_seconds)
    told = f"{ratio:.2f} x ours with its index, {bare.index_seconds:.2f} s"
    _say("dbt", columns, run.seconds, f"{told} {_goal(ratio, at_most=DBT_AT_MOST)}")
    _write(f"             its start and end beside that: {run.start_seconds:.1f} s")
    ratio = bare.seconds / hand.seconds
    told = f"ours takes {ratio:.2f} x as long {_goal(ratio, at_most=SQL_AT_MOST)}"
    _say("SQL by hand", hand.columns, hand.seconds, f"{told}; {_agreement(hand)}")


def say_peer(name: str, engine: str, made: Made, bare: float, rows: int) -> None:
    """Print a peer's line; its seconds are scaled to all rows where it made but a part."""
    seconds = made.seconds * rows / made.rows
    ratio = seconds / bare
    goal = AT_LEAST[engine].get(name)
    told = f"{ratio:.1f} x ours" + ("" if goal is None else f" {_goal(ratio, at_least=goal)}")
    _say(name, made.columns, seconds, f"{told}; {_agreement(made)}")
    if made.rows < rows:
        _write(f"             scaled: {made.rows:,} rows took {made.seconds:.1f} s")


def _goal(ratio: float, *, at_most: float | None = None, at_least: float | None = None) -> str:
    if at_most is not None:
        return f"(goal: at most {at_most:g}, {'met' if ratio <= at_most else 'missed'})"
    assert at_least is not None
    return f"(goal: at least {at_least:g}, {'met' if ratio >= at_least else 'missed'})"


def _agreement(made: Made) -> str:
    said = f"differ in {', '.join(made.differing)}" if made.differing else "all agree"
    return f"{made.compared} columns compared, {said}"


def _say(name: str, columns: int, seconds: float, told: str) -> None:
    _write(f"{name:<12} {columns:>3} columns {seconds:>9.2f} s  {told}")


def _write(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> None:
    """Print a line for each peer; fail where one that was asked for does not agree."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=3, help="The fastest counts.")
    parser.add_argument("--featuretools-seconds", type=float, default=600, help="0 leaves it out.")
    parser.add_argument("--statements-alone", action="store_true", help="SQL and dbt, no more.")
    given = parser.parse_args()
    pipeline = Pipeline(load_settings(home=given.home))
    engine, ours = pipeline.warehouse.engine, Ours(pipeline)
    if engine not in AT_LEAST:
        parser.error(f"no peers stand beside a home with the engine {engine}")
    _write(
        f"{engine}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}: {ours.rows:,} rows of "
        f"{len(ours.rows_of)} dates; the fastest of {given.repeats}"
    )
    run, bare, hand = by_statements(pipeline, ours, given.repeats)
    say_statements(run, bare, hand, len(ours.columns))
    made = {"SQL by hand": hand}
    if not given.statements_alone:
        made |= in_memory(pipeline, ours, given.repeats, bare.seconds, given.featuretools_seconds)
    wrong = [name for name, one in made.items() if one.differing]
    if wrong:
        sys.exit(f"not the values of {', '.join(wrong)}")


def in_memory(
    pipeline: Pipeline, ours: Ours, repeats: int, bare: float, featuretools_seconds: float
) -> dict[str, Made]:
    """Let those work that read lines into memory first, and print their lines."""
    engine, made = pipeline.warehouse.engine, dict[str, Made]()
    for name, peer in (("pandas", by_pandas), ("Polars", by_polars)):
        made[name] = peer(pipeline, ours, repeats)
        say_peer(name, engine, made[name], bare, ours.rows)
    if not is_installed():
        _write("featuretools is left out: `make peers` installs it")
    elif featuretools_seconds <= 0:
        _write("featuretools is left out: it is given no time")
    else:
        found = by_featuretools(pipeline, ours, featuretools_seconds)
        made["featuretools"] = found
        say_peer("featuretools", engine, found, bare, ours.rows)
    return made


if __name__ == "__main__":
    main()
