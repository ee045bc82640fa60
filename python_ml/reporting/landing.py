"""Landing what training measured, where SQL can join it to the runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import date
from typing import Any

import pandas as pd
import pyarrow as pa

from python_ml.training.choose import AS_PUBLISHED, Measured, TrainingResult
from python_ml.training.metrics import Interval
from python_ml.training.pairs.choose import PairResult, RankingLine
from python_ml.warehouse.ledger import utc_now
from python_ml.warehouse.postgres import Warehouse

Row = dict[str, Any]


def land_training(
    warehouse: Warehouse, prediction: str, bundle_id: str, result: TrainingResult
) -> None:
    """Write metrics of every recipe, importances and curves of the chosen one, once per bundle."""
    of_bundle = {"bundle_id": bundle_id, "prediction": prediction}
    measured = {**of_bundle, "measured_at": utc_now()}
    tables = {
        "metrics": [row | measured for line in result.measured for row in _metric_rows(line)],
        "importances": _importance_rows(result.importances, of_bundle),
        "curves": [row | of_bundle for row in _curve_rows(result.measured)],
    }
    _land(warehouse, bundle_id, tables)


def land_pair_training(
    warehouse: Warehouse, prediction: str, bundle_id: str, results: Sequence[PairResult]
) -> None:
    """Write the same of a pair prediction; the level stands before the role: `product_test_…`."""
    of_bundle = {"bundle_id": bundle_id, "prediction": prediction}
    measured = {**of_bundle, "measured_at": utc_now()}
    tables: dict[str, list[Row]] = {"metrics": [], "importances": [], "curves": []}
    for result in results:
        own = [
            *(row for line in result.measured for row in _metric_rows(line)),
            *(row for line in result.ranking for row in _ranking_rows(line)),
            *_recall_rows(result),
        ]
        tables["metrics"] += [row | measured | _role(result.level, row) for row in own]
        tables["importances"] += _importance_rows(result.importances, of_bundle)
        tables["curves"] += [
            row | of_bundle | _role(result.level, row) for row in _curve_rows(result.measured)
        ]
    _land(warehouse, bundle_id, tables)


def _role(level: str, row: Row) -> Row:
    return {"role": f"{level}_{row['role']}"}


def _curve_rows(measured: Sequence[Measured]) -> Iterator[Row]:
    for line in measured:
        for point in line.curves:
            yield {
                "recipe": line.recipe,
                "role": f"{line.role}_{line.form}",
                "curve": point.curve,
                "position": point.position,
                "x": point.x,
                "y": point.y,
                "lower_bound": point.low,
                "upper_bound": point.high,
                "row_count": point.rows,
            }


def land_experiment(warehouse: Warehouse, metrics: Sequence[Row]) -> None:
    """Write the figures of an experiment, once for each content."""
    measured_at = utc_now()
    if metrics:
        stamped = [row | {"measured_at": measured_at} for row in metrics]
        _land(warehouse, metrics[0]["bundle_id"], {"metrics": stamped})


def _importance_rows(importances: pd.DataFrame, of_bundle: Row) -> list[Row]:
    return [
        {**{str(name): value for name, value in row.items()}, **of_bundle}
        for row in importances.to_dict(orient="records")
    ]


def _ranking_rows(line: RankingLine) -> Iterator[Row]:
    role, day = f"test_{AS_PUBLISHED}", date.fromisoformat(line.test_date)
    for metric, figure in line.metrics.items():
        yield _figure(line.recipe, role, day, metric, figure)
    for other, gains in line.gains.items():
        for metric, gain in gains.items():
            yield _figure(line.recipe, role, day, f"{metric}_gain_over_{other}", gain)


def _recall_rows(result: PairResult) -> Iterator[Row]:
    day = date.fromisoformat(result.ranking[0].test_date)
    for bound, share in result.candidate_recall.items():
        whole = Interval(share, share, share)
        metric = f"candidate_recall_at_{bound}"
        yield _figure("candidates", f"test_{AS_PUBLISHED}", day, metric, whole)


def _figure(recipe: str, role: str, day: date, metric: str, figure: Interval) -> Row:
    return {
        "recipe": recipe,
        "role": role,
        "origin_date": day,
        "metric": metric,
        "value": figure.value,
        "lower_bound": figure.low,
        "upper_bound": figure.high,
    }


def _land(warehouse: Warehouse, bundle_id: str, tables: Mapping[str, Sequence[Row]]) -> None:
    with warehouse.bulk() as writer:
        known = writer.read(
            "select 1 from predictions.metrics where bundle_id = $1 limit 1", [bundle_id]
        )
        if known.num_rows:
            return
        for name, rows in tables.items():
            if rows:
                writer.append("predictions", name, pa.Table.from_pylist(list(rows)))


def _metric_rows(line: Measured) -> Iterator[Row]:
    for metric, value in asdict(line.measurement).items():
        if isinstance(value, dict) and "low" in value:
            yield _row(line, metric, value["value"], value["low"], value["high"])
        elif isinstance(value, dict):
            for part, figure in value.items():
                yield _row(line, f"{metric}_{part}", figure)
        elif value is not None:
            yield _row(line, metric, float(value))
    for metric, value in asdict(line.savings).items() if line.savings else ():
        figures = value if isinstance(value, dict) else {"value": value, "low": None, "high": None}
        yield _row(line, f"saving_{metric}", figures["value"], figures["low"], figures["high"])
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
