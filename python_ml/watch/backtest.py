"""A backtest pooled over its folds: what was published then beside every recipe, paired."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa

from python_ml.training.metrics import Interval, Measurement, measure, paired_gain
from python_ml.training.tried import Tried
from python_ml.training.verdict import BASE_RATE
from python_ml.warehouse.ledger import utc_now
from python_ml.warehouse.postgres import Warehouse

AS_CHOSEN = "as_chosen"
"""The recipe that each fold chose by itself, as it would have been published."""
ROUNDS = 400


@dataclass(frozen=True)
class FoldTried:
    """One fold: what it chose, and what every recipe said of its test rows."""

    chosen: str
    tried: Tried


@dataclass(frozen=True)
class PooledLine:
    """One recipe on the test rows of every fold.

    Parameters
    ----------
    gains
        What :data:`AS_CHOSEN` gains over this recipe by metric, paired by customer; empty for
        itself.
    """

    recipe: str
    folds: int
    measurement: Measurement
    gains: Mapping[str, Interval]


def pool(folds: Sequence[FoldTried], *, seed: int, rounds: int = ROUNDS) -> list[PooledLine]:
    """Pool the folds whose level was tested, each test date once.

    A customer of several folds is drawn with all of their rows, so that the intervals know that
    folds are not independent. Recipes that some fold could not try are left out.

    Returns
    -------
    list of PooledLine
        :data:`AS_CHOSEN` first, then the other recipes as they are, then the best constant of each
        fold. Nothing without folds.
    """
    by_date = {f.tried.test_date: f for f in folds if f.tried.level_tested}
    kept = [by_date[day] for day in sorted(by_date)]
    if not kept:
        return []
    label = np.concatenate([f.tried.label for f in kept])
    group = np.concatenate([f.tried.group for f in kept])
    if len(np.unique(label)) == 1:
        return []
    chosen = np.concatenate([f.tried.as_published[f.chosen] for f in kept])
    names = [n for n in kept[0].tried.as_is if all(n in f.tried.as_is for f in kept)]
    said = {name: np.concatenate([f.tried.as_is[name] for f in kept]) for name in names}
    said[BASE_RATE] = np.concatenate(
        [np.full(len(f.tried.label), f.tried.label.mean()) for f in kept]
    )
    lines = [
        PooledLine(
            AS_CHOSEN, len(kept), measure(label, chosen, group, rounds=rounds, seed=seed), {}
        )
    ]
    for name, probability in said.items():
        lines.append(
            PooledLine(
                name,
                len(kept),
                measure(label, probability, group, rounds=rounds, seed=seed),
                paired_gain(label, chosen, probability, group, rounds=rounds, seed=seed),
            )
        )
    return lines


def land_pooled(
    warehouse: Warehouse, prediction: str, bundle_id: str, day: date, lines: Sequence[PooledLine]
) -> None:
    """Write the pooled figures beside those of the newest fold's bundle, once."""
    if not lines:
        return
    role = f"backtest_{lines[0].folds}_folds_pooled"
    rows: list[dict[str, Any]] = []
    for line in lines:
        for metric, figure in asdict(line.measurement).items():
            if isinstance(figure, dict) and "low" in figure:
                rows.append(_row(line.recipe, metric, Interval(**figure)))
        for metric, gain in line.gains.items():
            rows.append(_row(AS_CHOSEN, f"{metric}_gain_over_{line.recipe}", gain))
    of_all = {
        "bundle_id": bundle_id,
        "prediction": prediction,
        "role": role,
        "origin_date": day,
        "measured_at": utc_now(),
    }
    with warehouse.bulk() as writer:
        known = writer.read(
            "select 1 from predictions.metrics where bundle_id = $1 and role = $2 limit 1",
            [bundle_id, role],
        )
        if not known.num_rows:
            writer.append(
                "predictions", "metrics", pa.Table.from_pylist([row | of_all for row in rows])
            )


def _row(recipe: str, metric: str, figure: Interval) -> dict[str, Any]:
    return {
        "recipe": recipe,
        "metric": metric,
        "value": figure.value,
        "lower_bound": figure.low,
        "upper_bound": figure.high,
    }
