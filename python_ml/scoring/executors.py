"""Scoring where Spark's tables are: on the executors, batch by batch, with the bundle sent to them.

Rows are scored up to the level, which hangs on everybody who is scored at one date. Those
calibrated probabilities and the reasons come back as Parquet files in the home; the driver finds
the level and lands the scores.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from python_ml.predictions.base import Prediction
from python_ml.scoring.score import table_of_scores
from python_ml.training.bundle import Bundle
from python_ml.training.dataset import (
    LOOKED_AT,
    keys_of_scores,
    read_features,
    rows_to_score,
)
from python_ml.warehouse.catalogue import FeatureCatalogue
from python_ml.warehouse.spark import SparkWarehouse


def score_on_executors(
    warehouse: SparkWarehouse,
    prediction: Prediction,
    catalogue: FeatureCatalogue,
    bundle: Bundle,
    folder: Path,
    *,
    as_of: date,
    label_known_at: date,
    look: Callable[[pd.DataFrame], None],
) -> pa.Table:
    """Score everybody known at ``as_of``, as :func:`python_ml.scoring.score.score` does.

    Parameters
    ----------
    folder
        Where the bundle stands.
    look
        Called with the features, or with those of some customers where there are many.

    Raises
    ------
    InputError
        When the date was never built.
    BundleError
        When the features do not fit the model.
    BusyError
        When another process of this home has a Spark session for too long.
    WarehouseError
        When Spark fails, with the end of what it said.
    """
    _, some = read_features(
        warehouse, prediction, catalogue, as_of, bundle.horizon_days, most_rows=LOOKED_AT
    )
    bundle.checked(some)
    look(some)
    keys = keys_of_scores(prediction)
    said = warehouse.folder / "scored"
    job = {
        "query": rows_to_score(prediction, catalogue, ":as_of", ":horizon_days"),
        "as_of": as_of.isoformat(),
        "horizon_days": bundle.horizon_days,
        "bundle": str(folder),
        "keys": keys,
        "catalogue": asdict(catalogue),
        "rows": str(said / "rows"),
    }
    with warehouse.session():
        shutil.rmtree(said, ignore_errors=True)  # of a run that was killed
        said.mkdir()
        try:
            (said / "job.json").write_text(json.dumps(job), encoding="utf-8")
            warehouse.run(
                "python_ml.scoring.spark_job", [str(said / "job.json")], "rows were scored"
            )
            rows = warehouse.read(
                "select * from read_parquet($1)", [str(said / "rows" / "*.parquet")]
            )
        finally:
            shutil.rmtree(said)
    calibrated, reference = (
        rows.column(name).to_numpy().astype(np.float64) for name in ("calibrated", "reference")
    )
    has_reference = bundle.published.level_model is not None
    probability = bundle.at_level(calibrated, reference if has_reference else None)
    return table_of_scores(
        bundle,
        rows.select(keys),
        probability,
        rows.column("reasons"),
        as_of=as_of,
        label_known_at=label_known_at,
    )
