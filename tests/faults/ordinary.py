"""Ordinary months: no gate may alarm on a shop to which nothing happened.

    python -m tests.faults.ordinary --seeds 1 2 3 --customers 600 --months 12

For each seed a demo shop of its own is run month after month, trained anew each time, as a schedule
would. Prints what the gates said of each run, and what they would have said at half the limits: how
near they came. Exit code 1 when one alarmed.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from python_ml.ingest.demo import DemoShop, write_demo_shop
from python_ml.pipeline import DEMO_MAPPING, Pipeline, month_starts_until
from python_ml.settings import load_settings
from python_ml.warehouse.server import EmbeddedServer
from python_ml.watch.findings import Verdict
from python_ml.watch.gates import Gates
from python_ml.watch.thresholds import Gate, Limit, Thresholds


class Watched(Gates):
    """Gates that also keep what they would have said at half the limits."""

    def judge(self, *arguments: object, **options: object) -> Verdict:
        strict = Gates(self.warehouse, _halved(self.thresholds))
        self.near = strict.judge(*arguments, **options)  # type: ignore[arg-type]
        self.verdict = super().judge(*arguments, **options)  # type: ignore[arg-type]
        write(f"    {arguments[0].name}: {self.verdict.level} {self.verdict.text()}")  # type: ignore[attr-defined]
        if near := self.near.text():
            write(f"      at half the limits: {near}")
        for reason in self.verdict.not_judged:
            write(f"      not judged: {reason}")
        return self.verdict


def _halved(thresholds: Thresholds) -> Thresholds:
    def half(limit: Limit) -> Limit:
        return Limit(limit.floor / 2, limit.times / 2)

    gates = {name: Gate(half(g.warn), half(g.refuse)) for name, g in thresholds.gates.items()}
    return replace(thresholds, gates=gates)


def write(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def ordinary_runs(
    folder: Path, seed: int, customers: int, months: int, only: list[str]
) -> tuple[int, int]:
    """Return how many runs there were, and how many of them alarmed."""
    shop = DemoShop(customers=customers, seed=seed)
    demo = write_demo_shop(shop, folder / "files")
    pipeline = Pipeline(
        load_settings(home=folder / "home", threads=2, effort="quick"), say=lambda _: None
    )
    watched = pipeline.gates = Watched(pipeline.warehouse, pipeline.gates.thresholds)
    runs = alarms = 0
    try:
        pipeline.load("order_lines", [demo.order_lines], DEMO_MAPPING)
        for day in month_starts_until(shop.end, months):
            started = time.monotonic()
            write(f"  seed {seed}, {day}")
            outcomes = pipeline.run(pipeline.request(day, only=only), anyway=True)
            made = [o for o in outcomes if o.bundle_id]
            for outcome in made:
                runs += 1
                with pipeline.warehouse.connect() as connection:
                    row = connection.execute(
                        "select cast(detail as jsonb) -> 'gates' ->> 'level' "
                        "from predictions.runs where run_id = %s",
                        (outcome.run_id,),
                    ).fetchone()
                alarms += row is None or row[0] != "passed"
            write(f"    {len(made)} runs in {time.monotonic() - started:.0f} s")
    finally:
        del watched
        EmbeddedServer(folder / "home").stop()
    return runs, alarms


def main() -> int:
    parser = argparse.ArgumentParser(description="Run ordinary months, count alarms.")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--customers", type=int, default=600)
    parser.add_argument("--months", type=int, default=12)
    parser.add_argument(
        "--only", nargs="+", default=["order_habit", "return_risk", "purchase_potential"]
    )
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    total = alarmed = 0
    for seed in options.seeds:
        folder = Path(tempfile.mkdtemp(prefix="smartretail-ordinary-"))
        data_dir = EmbeddedServer(folder / "home").data_dir
        try:
            runs, alarms = ordinary_runs(
                folder, seed, options.customers, options.months, options.only
            )
        finally:
            shutil.rmtree(data_dir.parent, ignore_errors=True)
            shutil.rmtree(folder, ignore_errors=True)
        write(f"seed {seed}: {runs} runs, {alarms} alarms")
        total, alarmed = total + runs, alarmed + alarms
    write(f"{alarmed} alarms in {total} runs")
    return 1 if alarmed else 0


if __name__ == "__main__":
    sys.exit(main())
