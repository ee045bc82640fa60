"""What a day costs beside building everything: three years of a demo shop, then its last day.

The shop's lines are cut at a midnight by when they were known. What was known before is loaded and
built with all its as-of dates; then the day is loaded, and built as of the day after. Seconds are
those of dbt's nodes, by dbt's own clock; its tests are told apart, its start is not counted.

    python -m tests.bench.daily_run --engine duckdb --customers 34000
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb

from python_ml.ingest.demo import DemoShop, write_demo_shop
from tests.bench.engine_road import SMARTRETAIL, load_command, node_seconds, timed

LAST_DAY = "2025-12-31"
AT_MOST = 0.1
"""Seconds of a day, by those of building everything."""


def cut(path: Path, folder: Path) -> tuple[Path, Path]:
    """Write what was known before the last day, and what that day told."""
    known = "coalesce(recorded_at, ordered_at)"
    parts = folder / "before.parquet", folder / "day.parquet"
    for part, sign in zip(parts, ("<", ">="), strict=True):
        duckdb.sql(
            f"copy (select * from '{path}' where {known} {sign} '{LAST_DAY}' order by {known}) "
            f"to '{part}' (format parquet)"
        )
    return parts


def load_and_build(path: Path, home: Path, engine: str, environment: dict[str, str]) -> None:
    """Load a file and build what it changes."""
    timed("load", [*load_command(path, engine), "--home", str(home)], environment)
    timed("build", ["build", "--home", str(home)], environment)


def measure(engine: str, customers: int, folder: Path, environment: dict[str, str]) -> None:
    """Print seconds of a whole build and of a day's, by layer."""
    path = write_demo_shop(DemoShop(customers=customers, seed=1), folder).order_lines
    before, day = cut(path, folder)
    home = folder / "home"
    try:
        load_and_build(before, home, engine, environment)
        whole, tests_whole = node_seconds(home)
        load_and_build(day, home, engine, environment)
        today, tests_today = node_seconds(home)
    finally:
        if engine == "postgres":
            subprocess.run([SMARTRETAIL, "db", "stop", "--home", str(home)], check=False)
    lines = duckdb.sql(f"select count(*) from '{path}'").fetchall()[0][0]
    ratio = sum(today.values()) / sum(whole.values())
    sys.stdout.write(
        f"{engine}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}: {lines:,} lines; "
        f"everything {sum(whole.values()):.1f} s, its tests {tests_whole:.1f} s; "
        f"a day {sum(today.values()):.1f} s, its tests {tests_today:.1f} s\n"
        f"a day costs {ratio:.3f} of everything "
        f"(goal: at most {AT_MOST:g}, {'met' if ratio <= AT_MOST else 'missed'})\n"
    )
    for name in sorted(whole, key=lambda name: -today.get(name, 0.0))[:12]:
        sys.stdout.write(f"  {name:<36} {whole[name]:>8.1f} s {today.get(name, 0.0):>8.1f} s\n")


def main() -> None:
    """Measure one engine."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=["duckdb", "postgres"], default="duckdb")
    parser.add_argument("--customers", type=int, default=34_000)
    parser.add_argument("--memory", help="What DuckDB may use, as 8GB.")
    parser.add_argument("--work", type=Path, help="Folder to make things in, and leave them.")
    given = parser.parse_args()
    environment = {"SMARTRETAIL_ENGINE_MEMORY": given.memory} if given.memory else {}
    with TemporaryDirectory() as name:
        measure(given.engine, given.customers, given.work or Path(name), environment)


if __name__ == "__main__":
    main()
