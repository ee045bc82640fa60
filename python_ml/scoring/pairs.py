"""Scoring pairs: each customer's best items that are new to them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime

import numpy as np
import pandas as pd
import pyarrow as pa

from python_ml.predictions.base import PairPrediction
from python_ml.scoring.reasons import top_reasons
from python_ml.training.pairs.bundle import PairBundle, PairLevel
from python_ml.training.pairs.candidates import Pairs, candidate_pairs
from python_ml.training.pairs.measure import place_within
from python_ml.training.pairs.shop import PairShop
from python_ml.training.pairs.snapshot import Catalogues, Snapshot
from python_ml.warehouse.catalogue import Feature
from python_ml.warehouse.ledger import utc_now
from python_ml.warehouse.postgres import Warehouse

COLLABORATIVE = "collaborative_"
SAYS = {
    "affinity_category": "{value:%} of what the customer buys is of this category",
    "affinity_price": "price {value:+} spreads away from the customer's usual",
    "affinity_quantity": "bought in other quantities than the customer's usual",
    "item_product_new_buyer_share_30d": "{value} of 1,000 first-time purchases of the last 30 days",
    "item_product_age_days": "sold for {value} days",
    "item_season_rise_year_ago_90d": "first-time buyers rose {value} times a year ago",
    "customer_product_new_90d": "the customer tried {value} new products in 90 days",
    "customer_recency_days": "last order {value} days ago",
}
"""Reasons in words; columns that are not here speak by their names."""
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
    on_step: Callable[[str], None] | None = None,
) -> pa.Table:
    """Score every customer known at ``as_of``.

    Parameters
    ----------
    most_products
        Products kept per customer, the likeliest; of categories all are kept.
    on_step
        Told of every part of the customers that is done.

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
        customers, scored = shop.customers(), 0
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
            scored += len(snapshot.customers)
            if on_step is not None:
                on_step(f"Ranked {level.level} for {scored:,} of {customers:,} customers")
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
        place = place_within(pairs.customer, -probability, pairs.item)
        kept = np.flatnonzero(place < most) if most is not None else np.arange(len(pairs))
        count = len(kept)
        yield pa.record_batch(
            [
                pa.array(snapshot.customers[pairs.customer[kept]], pa.string()),
                pa.repeat(level.level, count),
                pa.array(snapshot.items[pairs.item[kept]], pa.string()),
                pa.repeat(snapshot.as_of, count),
                pa.repeat(pa.scalar(bundle.horizon_days, pa.int32()), count),
                pa.array(probability[kept], pa.float64()),
                pa.array(_reasons(level, pairs, kept, place[kept]), pa.string()),
                pa.repeat(now, count),
                pa.repeat(label_known_at, count),
            ],
            schema=schema,
        )


def _reasons(
    level: PairLevel, pairs: Pairs, kept: np.ndarray, place: np.ndarray
) -> list[str | None]:
    explained = kept[place < EXPLAINED]
    features = pairs.features.iloc[explained].reset_index(drop=True)
    texts = iter(top_reasons(level.contributions(features), features, described(features)))
    return [next(texts) if rank < EXPLAINED else None for rank in place]


def described(features: pd.DataFrame) -> list[Feature]:
    """The columns of pairs with their words, for :func:`top_reasons`."""
    return [Feature(str(name), "feature", "", says=_says(name)) for name in features.columns]


def _says(column: object) -> str | None:
    name = str(column)
    if name.startswith(COLLABORATIVE) and not name.startswith(f"{COLLABORATIVE}popular"):
        return "goes with what the customer bought"
    if name.startswith(COLLABORATIVE):
        return "many are beginning to buy it"
    return SAYS.get(name)


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
