"""Who would buy a product that the shop does not have yet.

The product is put beside the shop's own in the snapshot of the run's as-of date; its features are
made by the same SQL, and its pairs by what makes the pairs of a run. So it gets what a run would
give to a product that is known and was never sold.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from python_ml.errors import BundleError
from python_ml.predictions.base import PairPrediction
from python_ml.scoring.one_statement import CompiledModels, Statement
from python_ml.scoring.online import (
    LONG_AGO,
    ORDER,
    attribute_columns,
    bundle_folder,
    require_same_features,
)
from python_ml.scoring.pairs import described
from python_ml.scoring.reasons import top_reasons
from python_ml.training.dataset import to_features
from python_ml.training.pairs.bundle import PairBundle, PairLevel, load_pair_bundle
from python_ml.training.pairs.candidates import candidate_pairs
from python_ml.training.pairs.shop import PairShop
from python_ml.training.pairs.snapshot import Catalogues, Snapshot
from python_ml.warehouse.postgres import Warehouse

ITEM_MODELS = ("feat_purchase_potential",)
PRODUCT = ORDER.strip()
MOST_PAIRS = 5_000_000
"""Customers times products that are looked through for one question."""


@dataclass(frozen=True)
class Buyer:
    """A customer who might buy the product."""

    customer_id: str
    probability: float
    reasons: list[dict[str, Any]] | None


@dataclass(frozen=True, eq=False)
class PairScorer:
    """The product level of one run, ready to score."""

    warehouse: Warehouse
    compiled: CompiledModels
    catalogues: Catalogues
    bundle: PairBundle
    level: PairLevel
    snapshot: Snapshot
    run_id: str
    as_of: date
    attributes: frozenset[str]


def make_pair_scorer(
    warehouse: Warehouse,
    compiled: CompiledModels,
    catalogues: Catalogues,
    prediction: PairPrediction,
    bundles_dir: Path,
    *,
    run_id: str,
    bundle_id: str,
    as_of: date,
) -> PairScorer:
    """Make the scorer of a run.

    Raises
    ------
    BundleError
        When the home has no bundle of that id, the shop has no products, or too many of them and
        of customers to be looked through for each question.
    StaleModelError
        When the features have changed since it was trained.
    """
    bundle = load_pair_bundle(bundle_folder(bundles_dir / prediction.name, bundle_id))
    require_same_features(warehouse, prediction.name, bundle.feature_hash)
    levels = [level for level in bundle.levels if level.level == "product"]
    if not levels:
        raise BundleError("This shop has no products.", "Score categories by a run.")
    shop = PairShop(warehouse, prediction, catalogues, "product", as_of, bundle.most_items)
    pairs = shop.customers() * shop.items()
    if pairs > MOST_PAIRS:
        raise BundleError(
            f"{pairs:,} pairs of customer and product are too many to look through at a question.",
            "Load the product, run, and read the list of its customers.",
        )
    relation = compiled.relations["int_products"]
    probe = warehouse.read(f"select * from {relation} limit 0")  # noqa: S608 - dbt's name
    return PairScorer(
        warehouse,
        compiled,
        catalogues,
        bundle,
        levels[0],
        shop.snapshot(as_of),
        run_id,
        as_of,
        frozenset(name for name in probe.column_names if name.startswith("attribute_")),
    )


def product_features(
    scorer: PairScorer, category: str | None, price: float | None, attributes: Mapping[str, Any]
) -> pd.DataFrame:
    """Features of a product that was never sold; with a price, one put on sale the day before.

    Raises
    ------
    InputError
        Naming an attribute that the shop's products do not have.
    """
    columns = attribute_columns(scorer.attributes, "product", attributes)
    statement = Statement(scorer.compiled)
    said = {"product_id": PRODUCT, "category": category, "known_on": LONG_AGO, **columns}
    statement.given("int_products", [said], as_="said_products")
    _beside(statement, scorer, "int_products", "said_products")
    day = scorer.as_of - timedelta(days=1)
    offered = {
        "item_level": "product", "item_id": PRODUCT, "ordered_on": day, "known_on": day,
        "line_count": 0, "new_buyer_count": 0, "quantity": 1,
        "gross_amount": price, "net_amount": price,
    }  # fmt: skip
    statement.given("int_item_days", [] if price is None else [offered], as_="said_days")
    _beside(statement, scorer, "int_item_days", "said_days")
    statement.given(
        "int_as_of_dates", [{"prediction": "purchase_potential", "as_of_date": scorer.as_of}]
    )
    statement.nothing("feat_purchase_potential")
    statement.model("feat_purchase_potential", as_="asked_features")
    table = statement.read(
        scorer.warehouse,
        scorer.catalogues.items.names,
        "item_id",
        f"item_level = 'product' and item_id = '{PRODUCT}'",
    )
    return to_features(table, scorer.catalogues.items)


def _beside(statement: Statement, scorer: PairScorer, model: str, said: str) -> None:
    stored = scorer.compiled.relations[model]
    statement.text(model, f"select * from {stored} union all select * from {said}")  # noqa: S608


def buyers(
    scorer: PairScorer, features: pd.DataFrame, *, top_n: int, reasons: bool
) -> tuple[list[Buyer], float]:
    """Score the product for every customer.

    Returns
    -------
    tuple
        The likeliest customers, and how many customers are expected to buy it.
    """
    snapshot = with_item(scorer.snapshot, features)
    place = len(snapshot.items) - 1
    customers, chances, columns = [], [], []
    for pairs in candidate_pairs(
        snapshot, np.arange(len(snapshot.customers)), scorer.bundle.candidates
    ):
        its = np.flatnonzero(pairs.item == place)
        if len(its):
            rows = pairs.features.iloc[its]
            customers.append(pairs.customer[its])
            chances.append(scorer.level.predict(rows))
            columns.append(rows)
    if not customers:
        return [], 0.0
    who, chance = np.concatenate(customers), np.concatenate(chances)
    best = np.lexsort((snapshot.customers[who].astype(str), -chance))[:top_n]
    texts: list[str] = []
    if reasons:
        rows = pd.concat(columns, ignore_index=True).iloc[best].reset_index(drop=True)
        texts = top_reasons(scorer.level.contributions(rows), rows, described(rows))
    found = [
        Buyer(
            str(snapshot.customers[who[row]]),
            float(chance[row]),
            json.loads(texts[number]) if reasons else None,
        )
        for number, row in enumerate(best)
    ]
    return found, float(chance.sum())


def with_item(snapshot: Snapshot, features: pd.DataFrame) -> Snapshot:
    """A snapshot with one more item, the last, that nobody has bought."""

    def wider(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
        rows, items = matrix.shape
        parts = (matrix.data, matrix.indices, matrix.indptr)
        return sparse.csr_matrix(parts, shape=(rows, items + 1))

    joined = {
        name: pd.concat([snapshot.item_features[name], features[name]], ignore_index=True).astype(
            snapshot.item_features[name].dtype
        )
        for name in snapshot.item_features.columns
    }
    return replace(
        snapshot,
        items=np.append(snapshot.items, np.array([PRODUCT], dtype=object)),
        item_features=pd.DataFrame(joined),
        bought=wider(snapshot.bought),
        recent=wider(snapshot.recent),
        owned=wider(snapshot.owned),
    )
