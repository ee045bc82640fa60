"""How long the road takes on one engine, step by step: load, build, train, score, publish.

Every step is the command that a user types, its start included, in a fresh home. Processor time and
memory (the largest of any one process of the step) are those of the command and of dbt: on DuckDB
that is the whole database, on PostgreSQL the server's are not among them. Growth is that of
processor time, which other work on the machine disturbs less than the clock.

    python -m tests.bench.engine_road --engine duckdb --customers 34000 340000
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pyarrow.parquet as pq

from python_ml.ingest.demo import DemoShop, write_demo_shop

SMARTRETAIL = str(Path(sys.executable).parent / "smartretail")
ATTRIBUTES = ("line:size", "product:brand", "customer:state")
MODELS_SHOWN = 8


@dataclass(frozen=True)
class Step:
    """One command: seconds by the clock and of processor, gigabytes of its largest process."""

    name: str
    seconds: float
    processor: float
    memory: float


def timed(name: str, arguments: list[str], environment: dict[str, str]) -> Step:
    """Run one command of `smartretail` and measure it.

    Raises
    ------
    subprocess.CalledProcessError
        When it fails.
    """
    command = [SMARTRETAIL, *arguments]
    started = time.monotonic()
    with subprocess.Popen(command, env={**os.environ, **environment}) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    seconds, processor = time.monotonic() - started, usage.ru_utime + usage.ru_stime
    return Step(name, seconds, processor, usage.ru_maxrss / 1024**2)


def load_command(path: Path, engine: str) -> list[str]:
    """The arguments that load a demo shop's lines with all that they tell."""
    named = [part for name in ATTRIBUTES for part in ("--attribute", name)]
    return ["load", "--source", "order_lines", "--path", str(path), *named, "--engine", engine]


def road(path: Path, home: Path, engine: str, only: list[str], environment: dict[str, str]) -> None:
    """Walk the road in a fresh home and print a line for each step."""
    lines = pq.read_metadata(path).num_rows
    named = [part for name in only for part in ("--only", name)]
    commands = {
        "load": load_command(path, engine),
        "build": ["build", *named],
        "train": ["train", *named, "--effort", "quick"],
        "score": ["score", *named],
        "publish": ["publish", *named],
    }  # fmt: skip
    steps = []
    try:
        for name, arguments in commands.items():
            step = timed(name, [*arguments, "--home", str(home)], environment)
            _say(
                f"{engine} {lines:>12,} lines {name:<8} {step.seconds:8.1f} s "
                f"{lines / step.seconds:>10,.0f} lines/s  processor {step.processor:7.1f} s "
                f"{step.memory:5.2f} GB"
            )
            steps.append(step)
            if name == "build":
                _say_slowest_models(home)
    finally:
        if engine == "postgres":
            subprocess.run([SMARTRETAIL, "db", "stop", "--home", str(home)], check=False)
    total = sum(step.seconds for step in steps)
    busy = {step.name: step.processor for step in steps}
    busy["all"] = sum(busy.values())
    _say(
        f"{engine} {lines:>12,} lines all      {total:8.1f} s {lines / total:>10,.0f} lines/s  "
        f"processor {busy['all']:7.1f} s"
    )
    _TOTALS.append((lines, busy))


_TOTALS: list[tuple[int, dict[str, float]]] = []


def node_seconds(home: Path) -> tuple[dict[str, float], float]:
    """Seconds of each node of dbt's last build by its name, tests aside, and of all tests."""
    results = json.loads((home / "dbt" / "target" / "run_results.json").read_text())["results"]
    seconds = {entry["unique_id"]: float(entry["execution_time"]) for entry in results}
    tests = sum(took for node, took in seconds.items() if node.startswith("test."))
    return {
        node.split(".")[2]: took for node, took in seconds.items() if not node.startswith("test.")
    }, tests


def _say_slowest_models(home: Path) -> None:
    seconds, tests = node_seconds(home)
    slowest = sorted(seconds.items(), key=lambda node: -node[1])[:MODELS_SHOWN]
    named = ", ".join(f"{name} {took:.1f}" for name, took in slowest)
    _say(f"  slowest nodes (s): {named}; all tests {tests:.1f}")


def _say_growth() -> None:
    for (fewer, before), (more, after) in pairwise(_TOTALS):
        exponents = {
            name: math.log(after[name] / before[name]) / math.log(more / fewer) for name in before
        }
        shown = ", ".join(f"{name} {value:.2f}" for name, value in exponents.items())
        _say(f"growth exponent from {fewer:,} to {more:,} lines: {shown}")


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> None:
    """Print seconds, lines a second and memory of each step, and how they grow."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", choices=["duckdb", "postgres"], default="duckdb")
    parser.add_argument("--customers", type=int, nargs="+", default=[34_000])
    parser.add_argument("--only", nargs="+", default=["order_habit"])
    parser.add_argument("--memory", help="What DuckDB may use, as 8GB.")
    parser.add_argument("--work", type=Path, help="Folder to make things in, and leave them.")
    given = parser.parse_args()
    environment = {"SMARTRETAIL_ENGINE_MEMORY": given.memory} if given.memory else {}
    _say(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"DuckDB {duckdb.__version__}, load {os.getloadavg()[0]:.1f}"
    )
    with TemporaryDirectory() as name:
        work = given.work or Path(name)
        for customers in given.customers:
            folder = work / f"demo_{customers}"
            path = folder / "order_lines.parquet"
            if not path.is_file():
                path = write_demo_shop(DemoShop(customers=customers, seed=1), folder).order_lines
            home = work / f"home_{given.engine}_{customers}"
            road(path, home, given.engine, given.only, environment)
    _say_growth()


if __name__ == "__main__":
    main()
