"""Landing what training measured, where SQL can join it to the runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict

import pyarrow as pa

from python_ml.training.choose import Measured, TrainingResult
from python_ml.warehouse.ledger import utc_now
from python_ml.warehouse.postgres import Warehouse

Row = tuple[str, str, str, str, float, float | None, float | None]


def land_training(
    warehouse: Warehouse, prediction: str, bundle_id: str, result: TrainingResult
) -> None:
    """Write the metrics of every recipe and the importances of the chosen one, once per bundle."""
    rows = [row for line in result.measured for row in _metric_rows(line)]
    importances = result.importances
    now = utc_now()
    with warehouse.bulk() as writer:
        known = writer.read(
            "select 1 from predictions.metrics where bundle_id = $1 limit 1", [bundle_id]
        )
        if known.num_rows:
            return
        writer.append(
            "predictions",
            "metrics",
            pa.table(
                {
                    "bundle_id": [bundle_id] * len(rows),
                    "prediction": [prediction] * len(rows),
                    "recipe": [row[0] for row in rows],
                    "role": [row[1] for row in rows],
                    "origin_date": pa.array([row[2] for row in rows]).cast(pa.date32()),
                    "metric": [row[3] for row in rows],
                    "value": pa.array([row[4] for row in rows], pa.float64()),
                    "lower_bound": pa.array([row[5] for row in rows], pa.float64()),
                    "upper_bound": pa.array([row[6] for row in rows], pa.float64()),
                    "measured_at": pa.array([now] * len(rows), pa.timestamp("us")),
                }
            ),
        )
        writer.append(
            "predictions",
            "importances",
            pa.table(
                {
                    "bundle_id": [bundle_id] * len(importances),
                    "prediction": [prediction] * len(importances),
                    "feature": pa.array(importances["feature"].tolist(), pa.string()),
                    "theme": pa.array(importances["theme"].tolist(), pa.string()),
                    "importance": pa.array(importances["importance"].tolist(), pa.float64()),
                }
            ),
        )


def _metric_rows(line: Measured) -> Iterator[Row]:
    role = f"{line.role}_{line.form}"
    name = line.recipe
    for metric, value in asdict(line.measurement).items():
        if isinstance(value, dict) and "low" in value:
            yield name, role, line.test_date, metric, value["value"], value["low"], value["high"]
        elif isinstance(value, dict):
            for part, figure in value.items():
                yield name, role, line.test_date, f"{metric}_{part}", figure, None, None
        elif value is not None:
            yield name, role, line.test_date, metric, float(value), None, None
    for baseline, gains in line.gains.items():
        for metric, gain in gains.items():
            yield (
                name,
                role,
                line.test_date,
                f"{metric}_gain_over_{baseline}",
                gain.value,
                gain.low,
                gain.high,
            )
