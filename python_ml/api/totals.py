"""Order habit from what is often all that is known: three totals and the day of the last order.

A logistic regression on logs of recency, orders and spend, trained and measured as every model is,
on the same rows as the model in force. It is named, because it is not that model.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from python_ml.errors import InputError
from python_ml.predictions.base import Prediction
from python_ml.training.bundle import MANIFEST, Bundle, load_bundle, save_bundle
from python_ml.training.choose import train
from python_ml.training.dataset import read_features, read_training_frame
from python_ml.training.recipes import LogRfm
from python_ml.training.spec import PredictionSpec
from python_ml.warehouse.catalogue import FeatureCatalogue, feature_hash
from python_ml.warehouse.postgres import Warehouse

NAME = "order_habit_totals"
COLUMNS = ("recency_days", "frequency_orders_total", "monetary_spend_total")
METRICS = ("log_loss", "auc", "brier", "average_precision")


@dataclass(frozen=True, eq=False)
class TotalsModel:
    """The small model, ready to score."""

    bundle: Bundle
    level_shift: float
    catalogue: FeatureCatalogue

    def features(
        self, *, as_of: date, total_spend: float, order_count: int, last_order_date: date
    ) -> pd.DataFrame:
        """The totals under the names of the features that they are.

        Raises
        ------
        InputError
            When the last order is not before the as-of date.
        """
        recency = (as_of - last_order_date).days
        if recency < 1:
            raise InputError(f"last_order_date must be before {as_of}.", "Give a later as_of.")
        values = (float(recency), float(order_count), total_spend)
        return pd.DataFrame({name: [v] for name, v in zip(COLUMNS, values, strict=True)})

    def metrics(self) -> list[dict[str, Any]]:
        """What it reached on rows that it never saw."""
        [line] = [m for m in self.bundle.manifest["metrics"] if m["role"] == "test"][:1] or [None]
        if line is None:
            return []
        return [_metric(line, name) for name in METRICS if name in line["measurement"]]


def _metric(line: Mapping[str, Any], name: str) -> dict[str, Any]:
    interval = line["measurement"][name]
    return {
        "recipe": line["recipe"],
        "metric": name,
        "value": interval["value"],
        "lower_bound": interval.get("low"),
        "upper_bound": interval.get("high"),
        "measured_on": line["test_date"],
    }


def totals_model(
    warehouse: Warehouse,
    prediction: Prediction,
    catalogue: FeatureCatalogue,
    bundles_dir: Path,
    *,
    as_of: date,
    horizon_days: int,
    seed: int,
    threads: int,
) -> TotalsModel:
    """Load the small model of an as-of date, or train it: seconds, once.

    Raises
    ------
    TooSmallError
        When the shop has too few customers.
    """
    few = replace(
        catalogue, features=tuple(f for f in catalogue.features if f.name in COLUMNS), context=()
    )
    current = feature_hash(warehouse, prediction.name)
    mark = hashlib.sha256(f"{current}:{seed}".encode()).hexdigest()[:12]
    folder = bundles_dir / NAME / f"{as_of}_{horizon_days}d_{mark}"
    _, newest = read_features(warehouse, prediction, few, as_of, horizon_days)
    if not (folder / MANIFEST).exists():
        spec = PredictionSpec(NAME, horizon_days, (LogRfm(COLUMNS),), burn_in_days=90)
        frame = read_training_frame(
            warehouse, prediction, few, as_of, horizon_days, most_rows=spec.max_training_rows
        )
        if len(frame) == 0:
            raise InputError("No outcome is known yet.", "Load more history.")
        result = train(spec, frame, as_of=as_of, seed=seed, threads=threads, newest=newest)
        draft = folder.with_name(f".{folder.name}.draft")
        shutil.rmtree(draft, ignore_errors=True)
        save_bundle(result, draft, feature_hash=current)
        if not folder.exists():  # another server of this home may have been faster
            draft.rename(folder)
    bundle = load_bundle(folder)
    return TotalsModel(bundle, bundle.level_shift(newest), few)
