"""Scoring one as-of date and landing the scores, whole or not at all."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import yaml

from python_ml.predictions.base import Prediction
from python_ml.scoring.reasons import ROWS_PER_BATCH, top_reasons
from python_ml.training.bundle import Bundle
from python_ml.training.dataset import read_features
from python_ml.training.frame import FloatArray
from python_ml.warehouse.catalogue import Feature, FeatureCatalogue
from python_ml.warehouse.ledger import Run, land_run, utc_now
from python_ml.warehouse.postgres import Warehouse

OF_THE_ENGINE = frozenset({"lines_at_once"})
"""Settings of dbt that say how a table is made, and change no row."""


def run_id(*parts: object) -> str:
    """The identity of a run: equal inputs give an equal id, so that a second run is a no-op."""
    text = "\n".join(str(part) for part in parts)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def assumptions_hash(project_dir: Path) -> str:
    """The digest of what a merchant may edit: seeds, and the settings of dbt.

    Mart rows are made of them once per run, so an edit makes another run.
    """
    digest = hashlib.sha256()
    for path in sorted((project_dir / "dbt_project" / "seeds").glob("*.csv")):
        digest.update(path.read_bytes())
    project = yaml.safe_load((project_dir / "dbt_project.yml").read_text(encoding="utf-8"))
    assumed = {name: value for name, value in project["vars"].items() if name not in OF_THE_ENGINE}
    digest.update(repr(sorted(assumed.items())).encode())
    return digest.hexdigest()[:16]


def score(
    warehouse: Warehouse,
    prediction: Prediction,
    catalogue: FeatureCatalogue,
    bundle: Bundle,
    as_of: date,
    *,
    label_known_at: date,
    look: Callable[[pd.DataFrame], None] | None = None,
) -> pa.Table:
    """Score everybody known at ``as_of``.

    Parameters
    ----------
    label_known_at
        When the outcome is known, for rows that do not say it themselves.
    look
        Called with the features, for who else wants to see them: they are read once.

    Returns
    -------
    pyarrow.Table
        Entity, probability, reasons, as-of date, horizon, scored at, label known at.
    """
    keys, features = read_features(warehouse, prediction, catalogue, as_of, bundle.horizon_days)
    if look is not None:
        look(features)
    probability = bundle.predict(features) if len(features) else np.empty(0)
    reasons = reasons_of(bundle, features, catalogue.features)
    return table_of_scores(
        bundle, keys, probability, reasons, as_of=as_of, label_known_at=label_known_at
    )


def reasons_of(bundle: Bundle, features: pd.DataFrame, described: Sequence[Feature]) -> list[str]:
    """Return the reasons of each row, as :func:`top_reasons` words them."""
    reasons: list[str] = []
    for start in range(0, len(features), ROWS_PER_BATCH):
        part = features.iloc[start : start + ROWS_PER_BATCH]
        reasons += top_reasons(bundle.contributions(part), part.reset_index(drop=True), described)
    return reasons


def table_of_scores(
    bundle: Bundle,
    keys: pa.Table,
    probability: FloatArray,
    reasons: Sequence[str] | pa.ChunkedArray,
    *,
    as_of: date,
    label_known_at: date,
) -> pa.Table:
    """Return scores as they land, but for the run's id."""
    count = len(probability)
    return pa.table(
        {
            "label_known_at": pa.repeat(label_known_at, count),
            **{name: keys.column(name) for name in keys.column_names},
            "as_of_date": pa.repeat(as_of, count),
            "horizon_days": pa.repeat(bundle.horizon_days, count),
            "probability": probability,
            "reasons": reasons,
            "scored_at": pa.repeat(utc_now(), count),
        }
    )


def land(warehouse: Warehouse, run: Run, scores: pa.Table | None) -> None:
    """Write a run, its scores and its first event in one transaction."""
    with warehouse.bulk() as writer:
        if scores is not None:
            run_ids = pa.repeat(run.run_id, scores.num_rows)
            writer.append("predictions", run.prediction, scores.append_column("run_id", run_ids))
        land_run(writer, run)
