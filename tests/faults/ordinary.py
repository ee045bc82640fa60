"""Ordinary months: no gate may alarm on a shop to which nothing happened.

    python -m tests.faults.ordinary --seeds 1 2 3 --customers 600 --months 12

For each seed a demo shop of its own is run month after month, trained anew each time, each month
from what was known by then. Features of all months are built in one go and no marts are made,
unless ``--whole`` is said. Prints what the gates said of each run, and what they would have said at
half the limits: how near they came. Exit code 1 when one alarmed.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from python_ml.ingest.demo import DemoShop, write_demo_shop
from python_ml.pipeline import DEMO_MAPPING, Pipeline, month_starts_until
from python_ml.settings import load_settings
from python_ml.warehouse.dbt import DbtNode
from python_ml.warehouse.server import EmbeddedServer
from python_ml.watch.findings import Verdict
from python_ml.watch.gates import Gates
from python_ml.watch.thresholds import Gate, Limit, Thresholds


class WithoutMarts(Pipeline):
    """Builds what predictions hang on, without data tests; publishes without making marts."""

    only: tuple[str, ...] = ()

    def _dbt(self, arguments: Sequence[str]) -> list[DbtNode]:
        if "--exclude" not in arguments:
            return []
        selected = [f"+{kind}_{name}" for name in self.only for kind in ("feat", "label")]
        if "purchase_potential" in self.only:
            selected.append("+feat_purchase_potential_customers")
        return super()._dbt(["run", "--select", *selected, "+feat_order_habit"])


class Watched(Gates):
    """Gates that also keep what they would have said at half the limits."""

    def judge(self, *arguments: object, **options: object) -> Verdict:
        strict = Gates(self.warehouse, _halved(self.thresholds))
        self.near = strict.judge(*arguments, **options)  # type: ignore[arg-type]
        self.verdict = super().judge(*arguments, **options)  # type: ignore[arg-type]
        write(
            f"  {options['as_of']} {arguments[0].name}: {self.verdict.level} {self.verdict.text()}"
        )  # type: ignore[attr-defined]
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
    folder: Path, seed: int, customers: int, months: int, only: list[str], *, whole: bool
) -> tuple[int, int]:
    """Return how many runs there were, and how many of them alarmed."""
    shop = DemoShop(customers=customers, seed=seed)
    demo = write_demo_shop(shop, folder / "files")
    kind = Pipeline if whole else WithoutMarts
    pipeline = kind(
        load_settings(home=folder / "home", threads=2, effort="quick"), say=lambda _: None
    )
    if isinstance(pipeline, WithoutMarts):
        pipeline.only = tuple(only)
    pipeline.gates = Watched(pipeline.warehouse, pipeline.gates.thresholds)
    started = time.monotonic()
    days = month_starts_until(shop.end, months)
    try:
        pipeline.load("order_lines", [demo.order_lines], DEMO_MAPPING)
        request = pipeline.request(days[-1], only=only)
        # the first month on its own: what was never published has missed no earlier one
        for part in [[day] for day in days] if whole else [days[:1], days[1:]]:
            pipeline.nights(replace(request, as_of=part[-1]), part, anyway=True)
        with pipeline.warehouse.connect() as connection:
            levels = connection.execute(
                "select cast(detail as jsonb) -> 'gates' ->> 'level', count(*) "
                "from predictions.runs where bundle_id is not null group by 1"
            ).fetchall()
    finally:
        EmbeddedServer(folder / "home").stop()
    write(f"  {time.monotonic() - started:.0f} s")
    counted = dict(levels)
    return sum(counted.values()), sum(n for level, n in counted.items() if level != "passed")


def main() -> int:
    parser = argparse.ArgumentParser(description="Run ordinary months, count alarms.")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--customers", type=int, default=600)
    parser.add_argument("--months", type=int, default=12)
    parser.add_argument("--whole", action="store_true", help="every month as a run of its own")
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
                folder, seed, options.customers, options.months, options.only, whole=options.whole
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
