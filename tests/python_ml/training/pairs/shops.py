"""A small made-up shop for pairs, without a warehouse."""

from __future__ import annotations

from datetime import date

import numpy as np
import pandas as pd

from python_ml.training.pairs.first_stage import fit_first_stage
from python_ml.training.pairs.interactions import Interactions, day_number, decayed
from python_ml.training.pairs.snapshot import Snapshot

AS_OF = date(2024, 6, 1)


def interactions(customers: int = 60, items: int = 24, seed: int = 3) -> Interactions:
    """Customers who buy within one of two halves of the assortment."""
    random = np.random.default_rng(seed)
    rows = [
        (c, int(random.integers(0, items // 2)) * 2 + c % 2, int(random.integers(1, 300)))
        for c in range(customers)
        for _ in range(8)
    ]
    customer, item, age = (np.array(column, dtype=np.int32) for column in zip(*rows, strict=True))
    day = np.asarray(day_number(AS_OF) - age, dtype=np.int32)
    return Interactions(
        customers=np.array([f"c{i:03}" for i in range(customers)], dtype=object),
        items=np.array([f"i{i:03}" for i in range(items)], dtype=object),
        customer=customer,
        item=item,
        ordered=day,
        known=day,
        superseded=np.full(len(day), np.iinfo(np.int32).max, dtype=np.int32),
    )


def snapshot(bought: Interactions | None = None) -> Snapshot:
    """Everything known of that shop at one date."""
    of = bought or interactions()
    shape = (len(of.customers), len(of.items))
    rows, columns = (np.arange(n, dtype=np.int32) for n in shape)

    def weights(half_life_days: float) -> object:
        return decayed(of, AS_OF, half_life_days, rows=rows, columns=columns, shape=shape)

    buyers = np.bincount(of.item, minlength=shape[1]).astype(float)
    items = pd.DataFrame(
        {
            "product_age_days": np.where(np.arange(shape[1]) % 5 == 0, 10.0, 200.0),
            "product_new_buyer_share_decayed_14d": buyers,
            "product_new_buyer_share_decayed_45d": buyers * 2,
            "product_lines_total": buyers,
            "product_mean_price": 5.0 + np.arange(shape[1]),
            "product_mean_quantity": 1.5,
            "category_name": [f"half {i % 2}" for i in range(shape[1])],
        }
    )
    customers = pd.DataFrame(
        {
            "product_mean_log_price": np.full(shape[0], 2.0),
            "product_sd_log_price": np.full(shape[0], 0.4),
            "basket_mean_log_quantity": np.full(shape[0], 0.8),
            "product_mean_log_popularity": np.full(shape[0], 1.5),
            "product_mean_age_days": np.full(shape[0], 100.0),
            "product_new_180d": np.full(shape[0], 3.0),
            "recency_days": np.arange(shape[0], dtype=float) + 1,
            "frequency_decayed_90d": np.full(shape[0], 1.0),
        }
    )
    return Snapshot(
        level="product",
        as_of=AS_OF,
        customers=of.customers,
        items=of.items,
        customer_features=customers,
        item_features=items,
        item_categorical=("category_name",),
        bought=weights(180.0),
        recent=weights(30.0),
        owned=weights(np.inf),
        stage=fit_first_stage(weights(180.0)),
    )
