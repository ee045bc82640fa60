"""Landing what training measured, where SQL can join it to the runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from datetime import date
from typing import Any

import pyarrow as pa

from python_ml.training.choose import Measured, TrainingResult
from python_ml.warehouse.ledger import utc_now
from python_ml.warehouse.postgres import Warehouse

Row = dict[str, Any]


def land_training(
    warehouse: Warehouse, prediction: str, bundle_id: str, result: TrainingResult
) -> None:
    """Write the metrics of every recipe and the importances of the chosen one, once per bundle."""
    of_bundle = {"bundle_id": bundle_id, "prediction": prediction}
    measured = {**of_bundle, "measured_at": utc_now()}
    metrics = [row | measured for line in result.measured for row in _metric_rows(line)]
    importances = [row | of_bundle for row in result.importances.to_dict(orient="records")]
    with warehouse.bulk() as writer:
        known = writer.read(
            "select 1 from predictions.metrics where bundle_id = $1 limit 1", [bundle_id]
        )
        if known.num_rows:
            return
        writer.append("predictions", "metrics", pa.Table.from_pylist(metrics))
        writer.append("predictions", "importances", pa.Table.from_pylist(importances))


def _metric_rows(line: Measured) -> Iterator[Row]:
    for metric, value in asdict(line.measurement).items():
        if isinstance(value, dict) and "low" in value:
            yield _row(line, metric, value["value"], value["low"], value["high"])
        elif isinstance(value, dict):
            for part, figure in value.items():
                yield _row(line, f"{metric}_{part}", figure)
        elif value is not None:
            yield _row(line, metric, float(value))
    for baseline, gains in line.gains.items():
        for metric, gain in gains.items():
            yield _row(line, f"{metric}_gain_over_{baseline}", gain.value, gain.low, gain.high)


def _row(
    line: Measured,
    metric: str,
    value: float,
    lower_bound: float | None = None,
    upper_bound: float | None = None,
) -> Row:
    return {
        "recipe": line.recipe,
        "role": f"{line.role}_{line.form}",
        "origin_date": date.fromisoformat(line.test_date),
        "metric": metric,
        "value": value,
        "lower_bound": lower_bound,
        "upper_bound": upper_bound,
    }
