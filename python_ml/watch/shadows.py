"""Challengers that stayed out, once the truth is in: whether they were worse."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa

from python_ml.predictions import get_prediction
from python_ml.predictions.base import Prediction
from python_ml.training.metrics import Interval, paired_gain
from python_ml.warehouse.ledger import utc_now
from python_ml.warehouse.postgres import Warehouse

ROLE = "shadow_as_published"
ROUNDS = 400


@dataclass(frozen=True)
class Shadow:
    """A run that was kept and never published, beside the one that was, for the same date."""

    prediction: str
    run_id: str
    bundle_id: str
    recipe: str
    as_of_date: date
    horizon_days: int
    published_run_id: str


def waiting_shadows(warehouse: Warehouse) -> list[Shadow]:
    """Return shadow runs that were not compared with the truth yet, one for each model and date."""
    rows = warehouse.read(
        """
        select distinct on (shadows.bundle_id, shadows.as_of_date)
            shadows.prediction, shadows.run_id, shadows.bundle_id, shadows.recipe,
            shadows.as_of_date, shadows.horizon_days, published.run_id as published_run_id
        from predictions.runs as shadows
        inner join predictions.run_events as refusals on refusals.run_id = shadows.run_id
        inner join predictions.runs as published
            on published.prediction = shadows.prediction
            and published.as_of_date = shadows.as_of_date
            and published.horizon_days = shadows.horizon_days
            and published.run_id <> shadows.run_id
        inner join predictions.run_events as events on events.run_id = published.run_id
        where refusals.event = 'refused' and refusals.detail like 'challenger %'
            and events.event = 'published'
            and not exists (
                select 1 from predictions.metrics as metrics
                where metrics.bundle_id = shadows.bundle_id and metrics.role = $1
                    and metrics.origin_date = shadows.as_of_date
            )
        order by shadows.bundle_id, shadows.as_of_date, events.event_number desc
        """,
        [ROLE],
    ).to_pylist()
    return [Shadow(**row) for row in rows]


def compare_shadows(warehouse: Warehouse, *, seed: int) -> list[str]:
    """Compare every shadow whose outcomes are known by now; land the figures, return them in words.

    Of pairs only those that came true are kept, so that they are not compared here.
    """
    told = []
    for shadow in waiting_shadows(warehouse):
        prediction = get_prediction(shadow.prediction)
        if not isinstance(prediction, Prediction):
            continue
        rows = _rows(warehouse, prediction, shadow)
        if rows.num_rows == 0 or len(rows.column("label").unique()) == 1:
            continue
        label, ours, theirs = (
            np.asarray(rows.column(name).to_numpy(zero_copy_only=False), dtype=np.float64)
            for name in ("label", "shadow", "published")
        )
        entity = np.asarray(rows.column("entity").to_pylist(), dtype=object)
        gains = paired_gain(label, ours, theirs, entity, rounds=ROUNDS, seed=seed)
        _land(warehouse, shadow, gains)
        gain = gains["log_loss"]
        told.append(
            f"{shadow.prediction}, {shadow.as_of_date}: challenger {shadow.recipe}, which stayed "
            f"out, would have saved {gain.value:+.4f} log-loss "
            f"({gain.low:+.4f} to {gain.high:+.4f})"
        )
    return told


def _rows(warehouse: Warehouse, prediction: Prediction, shadow: Shadow) -> pa.Table:
    """Return label, both probabilities and customer of every row whose outcome is known."""
    keys = prediction.entity_columns
    same = " and ".join(f"shadow.{key} = published.{key}" for key in keys)
    labelled = " and ".join(f"shadow.{key} = labels.{key}" for key in keys)
    if prediction.open_rows is None:  # lines keep the date of their own first midnight
        labelled += " and shadow.as_of_date = labels.as_of_date"
    return warehouse.read(
        f"select labels.label, shadow.probability as shadow, "  # noqa: S608 - names of our own
        f"published.probability as published, shadow.{keys[0]} as entity "
        f"from predictions.{prediction.name} as shadow "
        f"inner join predictions.{prediction.name} as published on {same} "
        f"inner join {prediction.labels_table} as labels on {labelled} "
        "and labels.horizon_days = shadow.horizon_days "
        "where shadow.run_id = $1 and published.run_id = $2 "
        f"order by shadow.{keys[0]}",
        [shadow.run_id, shadow.published_run_id],
    )


def _land(warehouse: Warehouse, shadow: Shadow, gains: dict[str, Interval]) -> None:
    rows = [
        {
            "bundle_id": shadow.bundle_id,
            "prediction": shadow.prediction,
            "recipe": shadow.recipe,
            "role": ROLE,
            "origin_date": shadow.as_of_date,
            "metric": f"{metric}_gain_over_champion",
            "value": gain.value,
            "lower_bound": gain.low,
            "upper_bound": gain.high,
            "measured_at": utc_now(),
        }
        for metric, gain in gains.items()
    ]
    with warehouse.bulk() as writer:
        writer.append("predictions", "metrics", pa.Table.from_pylist(rows))
