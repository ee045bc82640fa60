"""Whether the truth falls where it was expected: estimates of performance on demo shops.

Each shop is scored as of five days whose windows follow one another without a day in common, by
one model that was trained on the first. What `model_performance` estimated from the scores alone
stands beside what it measured once the labels were there.

    python -m tests.bench.estimate_against_truth --seeds 1 2 3 4 5 6 7 8 9 10
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from python_ml.ingest.demo import DemoShop, write_demo_shop
from python_ml.pipeline import DEMO_MAPPING, Pipeline, Request
from python_ml.settings import load_settings
from python_ml.warehouse.ledger import Entry
from python_ml.warehouse.server import EmbeddedServer

HABIT = "order_habit"
FIRST = date(2025, 1, 1)
HORIZON_DAYS = 60
WINDOWS = 5

NO_TESTS = ("--exclude-resource-types", "test", "unit_test")

FIGURES = """
select as_of_date, row_count, recipe, auc, estimated_auc, estimated_auc_low, estimated_auc_high,
    log_loss, estimated_log_loss_low, estimated_log_loss_high,
    realised_count, expected_count, estimated_count_low, estimated_count_high,
    calibration_slope, (calibration_slope_high - calibration_slope_low) / 3.92 as slope_error
from marts.model_performance
where prediction = 'order_habit' and segment_kind = 'all' and is_settled
order by as_of_date
"""


def figures_of_shop(pipeline: Pipeline, shop: DemoShop, folder: Path) -> pd.DataFrame:
    """Score a demo shop on five days, publish them as history, and read what was made of them."""
    days = [FIRST + timedelta(days=HORIZON_DAYS * number) for number in range(WINDOWS)]
    files = write_demo_shop(shop, folder)
    pipeline.load("order_lines", [files.order_lines], DEMO_MAPPING)
    requests = [Request(day, {HABIT: HORIZON_DAYS}) for day in days]
    with pipeline.writing() as writer:
        for request in requests:
            pipeline.ask(request)
        # as `build` and `publish` do, without their tests: those are not what is measured
        pipeline._dbt(["build", "--exclude", "source:predictions+", *NO_TESTS])
        made = [pipeline.predict(one, HABIT, training="if_changed") for one in requests]
        writer.record_together([Entry(str(one.run_id), HABIT, "published") for one in made])
        pipeline._dbt(["build", "--select", "source:predictions+", "resource_type:seed", *NO_TESTS])
    found: pd.DataFrame = pipeline.warehouse.read(FIGURES).to_pandas()
    if len(found) != WINDOWS:
        raise AssertionError(f"{len(found)} of {WINDOWS} windows were settled")
    return found


def summary(found: pd.DataFrame) -> list[str]:
    """What all shops say together."""

    def held(value: str, name: str) -> float:
        low, high = found[f"estimated_{name}_low"], found[f"estimated_{name}_high"]
        return float(((found[value] >= low) & (found[value] <= high)).mean())

    expected, realised = (
        np.log(found[name] / (found.row_count - found[name]))
        for name in ("expected_count", "realised_count")
    )
    noise = found.row_count / (found.realised_count * (found.row_count - found.realised_count))
    level = np.sqrt(max(0.0, float(((realised - expected) ** 2 - noise).mean())))
    slope = np.sqrt(
        max(0.0, float(((found.calibration_slope - 1) ** 2 - found.slope_error**2).mean()))
    )
    width = (found.estimated_auc_high - found.estimated_auc_low).median()
    return [
        f"windows: {len(found)}",
        f"AUC within its interval: {held('auc', 'auc'):.0%}, median width {width:.4f}",
        f"log-loss within its interval: {held('log_loss', 'log_loss'):.0%}",
        f"count within its interval: {held('realised_count', 'count'):.0%}",
        "beyond chance, in logits (root mean square): "
        f"level off by {level:.3f}, slope off by {slope:.3f}",
    ]


def say(found: pd.DataFrame, seed: int) -> None:
    """Write one line of a Markdown table per window."""
    for row in found.itertuples():
        inside = row.estimated_auc_low <= row.auc <= row.estimated_auc_high
        sys.stdout.write(
            f"| {seed} | {row.as_of_date} | {row.row_count:,} | {row.recipe} "
            f"| {row.estimated_auc:.4f} ({row.estimated_auc_low:.4f} to "
            f"{row.estimated_auc_high:.4f}) | {row.auc:.4f} | {'yes' if inside else 'no'} "
            f"| {row.calibration_slope:.3f} | {row.expected_count:.0f} "
            f"| {row.realised_count} |\n"
        )
    sys.stdout.flush()


def main(given: Sequence[str] | None = None) -> None:
    """Print one line per window, and what they say together."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seeds", type=int, nargs="+", default=list(range(1, 11)))
    arguments.add_argument("--customers", type=int, default=3_000)
    options = arguments.parse_args(given)
    sys.stdout.write(
        "| seed | as of | customers | recipe | estimated AUC | realised | inside | slope "
        "| expected yes | realised yes |\n|---|---|---|---|---|---|---|---|---|---|\n"
    )
    every = []
    for seed in options.seeds:
        with TemporaryDirectory() as folder:
            home = Path(folder) / "home"
            pipeline = Pipeline(load_settings(home=home, database_url="", effort="quick"))
            shop = DemoShop(customers=options.customers, seed=seed)
            try:
                found = figures_of_shop(pipeline, shop, Path(folder) / "demo")
            finally:
                server = EmbeddedServer(home)
                server.stop()
                shutil.rmtree(server.data_dir.parent, ignore_errors=True)
        say(found, seed)
        every.append(found)
    sys.stdout.write("\n" + "\n".join(summary(pd.concat(every, ignore_index=True))) + "\n")


if __name__ == "__main__":
    main()
