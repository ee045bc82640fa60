"""Scoring pairs: each customer's best items that are new to them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime

import numpy as np
import pyarrow as pa

from python_ml.predictions.base import PairPrediction
from python_ml.scoring.reasons import top_reasons
from python_ml.training.pairs.bundle import PairBundle, PairLevel
from python_ml.training.pairs.candidates import Pairs, candidate_pairs
from python_ml.training.pairs.shop import PairShop
from python_ml.training.pairs.snapshot import Catalogues, Snapshot
from python_ml.warehouse.ledger import utc_now
from python_ml.warehouse.postgres import Warehouse

EXPLAINED = 3
"""Of each customer's items, the best so many come with reasons: trees explain far more slowly than
they score."""


def score_pairs(
    warehouse: Warehouse,
    prediction: PairPrediction,
    catalogues: Catalogues,
    bundle: PairBundle,
    as_of: date,
    *,
    most_products: int,
    label_known_at: date,
) -> pa.Table:
    """Score every customer known at ``as_of``.

    Parameters
    ----------
    most_products
        Products kept per customer, the likeliest; of categories all are kept.

    Returns
    -------
    pyarrow.Table
        Customer, level, item, probability, reasons, and the columns of every table of scores.
    """
    now = utc_now()
    schema = _schema()
    batches: list[pa.RecordBatch] = []
    for level in bundle.levels:
        shop = PairShop(warehouse, prediction, catalogues, level.level, as_of, bundle.most_items)
        most = most_products if level.level == "product" else None
        for snapshot in shop.parts():
            batches += _scored(
                snapshot,
                level,
                bundle,
                most=most,
                schema=schema,
                now=now,
                label_known_at=label_known_at,
            )
    return pa.Table.from_batches(batches, schema)


def _scored(
    snapshot: Snapshot,
    level: PairLevel,
    bundle: PairBundle,
    *,
    most: int | None,
    schema: pa.Schema,
    now: datetime,
    label_known_at: date,
) -> Iterator[pa.RecordBatch]:
    rows = np.arange(len(snapshot.customers))
    for pairs in candidate_pairs(snapshot, rows, bundle.candidates):
        if not len(pairs):
            continue
        probability = level.predict(pairs.features)
        place = _places(pairs, probability)
        kept = np.flatnonzero(place < most) if most is not None else np.arange(len(pairs))
        count = len(kept)
        yield pa.record_batch(
            [
                pa.array(snapshot.customers[pairs.customer[kept]], pa.string()),
                pa.array([level.level] * count, pa.string()),
                pa.array(snapshot.items[pairs.item[kept]], pa.string()),
                pa.array([snapshot.as_of] * count, pa.date32()),
                pa.array([bundle.horizon_days] * count, pa.int32()),
                pa.array(probability[kept], pa.float64()),
                pa.array(_reasons(level, pairs, kept, place[kept]), pa.string()),
                pa.array([now] * count, pa.timestamp("us")),
                pa.array([label_known_at] * count, pa.date32()),
            ],
            schema=schema,
        )


def _reasons(
    level: PairLevel, pairs: Pairs, kept: np.ndarray, place: np.ndarray
) -> list[str | None]:
    explained = kept[place < EXPLAINED]
    features = pairs.features.iloc[explained].reset_index(drop=True)
    texts = iter(top_reasons(level.contributions(features), features))
    return [next(texts) if rank < EXPLAINED else None for rank in place]


def _places(pairs: Pairs, probability: np.ndarray) -> np.ndarray:
    """Return each pair's place among its customer's, the likeliest first, ties by item."""
    order = np.lexsort((pairs.item, -probability, pairs.customer))
    who = pairs.customer[order]
    start = np.flatnonzero(np.r_[True, who[1:] != who[:-1]])
    place = np.empty(len(who), dtype=np.int64)
    place[order] = np.arange(len(who)) - np.repeat(start, np.diff(np.r_[start, len(who)]))
    return place


def _schema() -> pa.Schema:
    return pa.schema(
        [
            ("customer_id", pa.string()),
            ("item_level", pa.string()),
            ("item_id", pa.string()),
            ("as_of_date", pa.date32()),
            ("horizon_days", pa.int32()),
            ("probability", pa.float64()),
            ("reasons", pa.string()),
            ("scored_at", pa.timestamp("us")),
            ("label_known_at", pa.date32()),
        ]
    )
