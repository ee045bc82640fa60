"""Scoring one as-of date and landing the scores, whole or not at all."""

from __future__ import annotations

import hashlib
from datetime import date

import numpy as np
import pyarrow as pa

from python_ml.predictions.base import Prediction
from python_ml.scoring.reasons import ROWS_PER_BATCH, top_reasons
from python_ml.training.bundle import Bundle
from python_ml.training.dataset import read_features
from python_ml.warehouse.catalogue import FeatureCatalogue
from python_ml.warehouse.ledger import Run, utc_now
from python_ml.warehouse.postgres import BulkWriter, Warehouse


def run_id(*parts: object) -> str:
    """The identity of a run: equal inputs give an equal id, so that a second run is a no-op."""
    text = "\n".join(str(part) for part in parts)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def score(
    warehouse: Warehouse,
    prediction: Prediction,
    catalogue: FeatureCatalogue,
    bundle: Bundle,
    as_of: date,
    *,
    label_known_at: date,
) -> pa.Table:
    """Score everybody known at ``as_of``.

    Returns
    -------
    pyarrow.Table
        Entity, probability, reasons, as-of date, horizon, scored at, label known at.
    """
    entities, features = read_features(warehouse, prediction, catalogue, as_of)
    probabilities = bundle.predict(features) if len(features) else np.empty(0)
    reasons: list[str] = []
    for start in range(0, len(features), ROWS_PER_BATCH):
        part = features.iloc[start : start + ROWS_PER_BATCH]
        reasons += top_reasons(
            bundle.contributions(part), part.reset_index(drop=True), catalogue.features
        )
    return _table(
        prediction=prediction,
        entities=entities,
        probabilities=probabilities,
        reasons=reasons,
        as_of=as_of,
        horizon_days=bundle.horizon_days,
        label_known_at=label_known_at,
    )


def land(warehouse: Warehouse, run: Run, scores: pa.Table | None) -> None:
    """Write a run, its scores and its first event in one transaction."""
    now = utc_now()
    with warehouse.bulk() as writer:
        if scores is not None:
            labelled = scores.append_column(
                "run_id", pa.array([run.run_id] * scores.num_rows, pa.string())
            )
            writer.append("predictions", run.prediction, labelled)
        writer.append("predictions", "runs", _run_table(run, now))
        _append_event(writer, run, now)


def _append_event(writer: BulkWriter, run: Run, now: object) -> None:
    number = writer.read(
        "select coalesce(max(event_number), 0) + 1 as number from predictions.run_events"
    ).column(0)[0]
    writer.append(
        "predictions",
        "run_events",
        pa.table(
            {
                "event_number": pa.array([number.as_py()], pa.int64()),
                "run_id": [run.run_id],
                "prediction": [run.prediction],
                "event": ["scored"],
                "happened_at": pa.array([now], pa.timestamp("us")),
                "detail": [f"{run.row_count} rows"],
            }
        ),
    )


def _run_table(run: Run, now: object) -> pa.Table:
    return pa.table(
        {
            "run_id": [run.run_id],
            "prediction": [run.prediction],
            "as_of_date": pa.array([run.as_of_date], pa.date32()),
            "horizon_days": pa.array([run.horizon_days], pa.int32()),
            "bundle_id": pa.array([run.bundle_id], pa.string()),
            "recipe": pa.array([run.recipe], pa.string()),
            "feature_hash": [run.feature_hash],
            "newest_input_at": pa.array([run.newest_input_at], pa.timestamp("us")),
            "row_count": pa.array([run.row_count], pa.int64()),
            "created_at": pa.array([now], pa.timestamp("us")),
            "detail": [run.detail],
        }
    )


def _table(
    *,
    prediction: Prediction,
    entities: pa.ChunkedArray,
    probabilities: np.ndarray,
    reasons: list[str],
    as_of: date,
    horizon_days: int,
    label_known_at: date,
) -> pa.Table:
    count = len(probabilities)
    return pa.table(
        {
            prediction.entity_column: entities,
            "as_of_date": pa.array([as_of] * count, pa.date32()),
            "horizon_days": pa.array([horizon_days] * count, pa.int32()),
            "probability": pa.array(probabilities, pa.float64()),
            "reasons": pa.array(reasons, pa.string()),
            "scored_at": pa.array([utc_now()] * count, pa.timestamp("us")),
            "label_known_at": pa.array([label_known_at] * count, pa.date32()),
        }
    )
