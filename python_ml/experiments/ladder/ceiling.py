"""What the demo shop's oracle reaches on the same rows: no model can be expected to do better."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from python_ml.experiments.ladder.cuts import Cut
from python_ml.ingest.demo import DemoShop, write_demo_shop
from python_ml.training.metrics import Measurement, measure

FILES = {"order_habit": "order_habit.parquet", "return_risk": "return_risk.parquet"}


def demo_oracle(folder: Path) -> Path:
    """Simulate the default demo shop again, with its oracle, and return the oracle's folder."""
    if not (folder / "oracle" / FILES["return_risk"]).is_file():
        write_demo_shop(DemoShop(), folder, with_oracle=True)
    return folder / "oracle"


def ceiling(cut: Cut, oracle: Path, *, rounds: int, seed: int) -> Measurement | None:
    """Measure the oracle where the rungs are tested; nothing where it does not reach so far.

    Customers are matched one by one. Lines are all those of the tested days: which of them a
    model is tested on is drawn without looking at the outcome.
    """
    path = oracle / FILES[cut.spec.name]
    if cut.honest is None or not path.is_file():
        return None
    truth = pd.read_parquet(path).dropna(subset="label")
    rows = _customers(cut, truth) if "customer_id" in truth else _lines(cut, truth)
    if rows.empty:
        return None
    return measure(
        rows["label"].to_numpy(np.float64),
        rows["probability"].to_numpy(np.float64),
        rows["entity"].to_numpy(object),
        rounds=rounds,
        seed=seed,
    )


def _customers(cut: Cut, truth: pd.DataFrame) -> pd.DataFrame:
    assert cut.honest is not None
    test = cut.honest.test
    asked = pd.DataFrame(
        {"entity": test.entity, "as_of_date": test.as_of.astype(str), "label": test.label}
    )
    truth = truth[truth["horizon_days"] == cut.spec.horizon_days]
    known = truth.assign(as_of_date=truth["as_of_date"].astype(str))
    found = asked.merge(
        known[["customer_id", "as_of_date", "probability"]],
        left_on=["entity", "as_of_date"],
        right_on=["customer_id", "as_of_date"],
        how="left",
    )
    return found if found["probability"].notna().all() else found.iloc[:0]


def _lines(cut: Cut, truth: pd.DataFrame) -> pd.DataFrame:
    assert cut.honest is not None
    days = cut.honest.test.as_of
    # a line is predicted from the midnight after its order
    first, end = pd.Timestamp(days.min()), pd.Timestamp(days.max()) + pd.Timedelta(days=1)
    at = truth["ordered_at"] + pd.Timedelta(days=1)
    return truth[(at >= first) & (at < end)].assign(entity=lambda rows: rows["order_id"])
