"""How far the published order habit is from the truth, on demo shops of several seeds.

The demo shop writes down the probability of each customer given what was known, under the laws of
the population. The published model is held against it as of the newest month start whose window
of 180 days has closed, having seen nothing later.

    python -m tests.bench.habit_against_oracle --seeds 1 2 3 4 5
"""

from __future__ import annotations

import argparse
import shutil
import sys
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pyarrow.parquet as pq
from sklearn.metrics import log_loss, roc_auc_score

from python_ml.ingest.demo import DemoShop, write_demo_shop
from python_ml.pipeline import DEMO_MAPPING, Pipeline
from python_ml.settings import load_settings
from python_ml.warehouse.server import EmbeddedServer

HABIT = "order_habit"


@dataclass(frozen=True)
class Gap:
    """The published model beside the oracle, on the same customers.

    Parameters
    ----------
    excess_log_loss
        Log-loss of the model less that of the oracle.
    share_of_auc
        What the model reaches of the oracle's AUC above one half.
    """

    as_of: date
    recipe: str
    customers: int
    model_log_loss: float
    oracle_log_loss: float
    model_auc: float
    oracle_auc: float

    @property
    def excess_log_loss(self) -> float:
        return self.model_log_loss - self.oracle_log_loss

    @property
    def share_of_auc(self) -> float:
        return (self.model_auc - 0.5) / (self.oracle_auc - 0.5)


def measure_gap(pipeline: Pipeline, shop: DemoShop, folder: Path) -> Gap:
    """Publish order habit for a demo shop and hold it against the shop's oracle."""
    files = write_demo_shop(shop, folder, with_oracle=True)
    truth = pq.read_table(files.order_habit).to_pandas().dropna(subset="label")
    as_of = max(truth.as_of_date)
    pipeline.load("order_lines", [files.order_lines], DEMO_MAPPING)
    outcomes = pipeline.run(pipeline.request(as_of, only=[HABIT]))
    recipe = next(str(o.recipe) for o in outcomes if o.prediction == HABIT)
    published = pipeline.warehouse.read(
        "select customer_id, probability as published from marts.order_habit"
    ).to_pandas()
    return _gap(as_of, recipe, published, truth[truth.as_of_date == as_of])


def _gap(as_of: date, recipe: str, published: pd.DataFrame, truth: pd.DataFrame) -> Gap:
    both = truth.merge(published, on="customer_id", how="outer", validate="one_to_one")
    if both.isna().to_numpy().any():
        raise AssertionError("the oracle and the mart do not know the same customers")
    label = both.label.astype(int)
    return Gap(
        as_of,
        recipe,
        len(both),
        float(log_loss(label, both.published)),
        float(log_loss(label, both.probability)),
        float(roc_auc_score(label, both.published)),
        float(roc_auc_score(label, both.probability)),
    )


def main() -> None:
    """Print one line of a Markdown table per seed."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 4, 5])
    write = sys.stdout.write
    write(
        "| seed | as of | customers | recipe | log-loss | oracle | excess | AUC | oracle | share |"
    )
    write("\n|---|---|---|---|---|---|---|---|---|---|\n")
    for seed in arguments.parse_args().seeds:
        with TemporaryDirectory() as folder:
            home = Path(folder) / "home"
            pipeline = Pipeline(load_settings(home=home, database_url=""))
            try:
                gap = measure_gap(pipeline, DemoShop(seed=seed), Path(folder) / "demo")
            finally:
                server = EmbeddedServer(home)
                server.stop()
                shutil.rmtree(server.data_dir.parent, ignore_errors=True)
            write(
                f"| {seed} | {gap.as_of} | {gap.customers:,} | {gap.recipe} "
                f"| {gap.model_log_loss:.4f} | {gap.oracle_log_loss:.4f} "
                f"| {gap.excess_log_loss:.4f} | {gap.model_auc:.4f} | {gap.oracle_auc:.4f} "
                f"| {gap.share_of_auc:.3f} |\n"
            )
            sys.stdout.flush()


if __name__ == "__main__":
    main()
