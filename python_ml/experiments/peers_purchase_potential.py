"""Purchase potential beside what a competent data scientist would try first.

Popularity, item-to-item, EASE and ALS rank every item that is new to a customer; ours is the run
published for that as-of date, as a merchant would have seen it. Measured on customers who then
bought something new that the shop already had. The home must hold the outcome: load later data,
then run with an earlier ``--as-of``. :mod:`python_ml.experiments.bench_quality` is the command.
"""

from __future__ import annotations

from datetime import date

import numpy as np
import numpy.typing as npt
from rich.table import Table
from scipy import sparse

from python_ml.errors import InputError
from python_ml.pipeline import Pipeline
from python_ml.predictions import get_prediction
from python_ml.predictions.base import PairPrediction
from python_ml.training.frame import FloatArray
from python_ml.training.pairs.measure import RankingScores, mean_interval, ranking_scores
from python_ml.training.pairs.shop import PairShop
from python_ml.training.pairs.snapshot import Snapshot

OURS = "smartretail"
ROUNDS = 500
AT_A_TIME = 512
FACTORS, SWEEPS, CONFIDENCE, PENALTY = 64, 12, 20.0, 5.0
"""Of ALS: Hu, Koren & Volinsky 2008, "Collaborative filtering for implicit feedback datasets"."""


def als_scores(bought: sparse.csr_matrix, seed: int) -> tuple[FloatArray, FloatArray]:
    """Return customer and item factors of implicit-feedback matrix factorisation."""
    random = np.random.default_rng(seed)
    by_customer = bought.astype(np.float64).tocsr()
    by_item = by_customer.T.tocsr()
    items = random.normal(scale=0.1, size=(by_customer.shape[1], FACTORS))
    customers = np.zeros((by_customer.shape[0], FACTORS))
    for _ in range(SWEEPS):
        customers = _solve(by_customer, items)
        items = _solve(by_item, customers)
    return customers, items


def _solve(matrix: sparse.csr_matrix, other: FloatArray) -> FloatArray:
    gram = other.T @ other + PENALTY * np.eye(FACTORS)
    solved = np.zeros((matrix.shape[0], FACTORS))
    for row in range(matrix.shape[0]):
        start, end = matrix.indptr[row], matrix.indptr[row + 1]
        if start == end:
            continue
        chosen = other[matrix.indices[start:end]]
        extra = CONFIDENCE * matrix.data[start:end]
        left = gram + (chosen * extra[:, None]).T @ chosen
        solved[row] = np.linalg.solve(left, chosen.T @ (1.0 + extra))
    return solved


def peer_scores(snapshot: Snapshot, seed: int) -> dict[str, npt.NDArray[np.float32]]:
    """Return each peer's scores of all customers for all items; what they own is left out."""
    bought = snapshot.bought
    everything = snapshot.stage.scores(bought, snapshot.recent)
    customers, items = als_scores(bought, seed)
    popular = snapshot.item_features["product_line_share_90d"].to_numpy(np.float32)
    found = {
        "popularity, 90 days": np.tile(popular, (len(snapshot.customers), 1)),
        "item to item": everything["cosine"],
        "item to item, recent": everything["cosine_recent"],
        "EASE": everything["ease"],
        "ALS": (customers @ items.T).astype(np.float32),
    }
    owned = np.asarray(snapshot.owned.todense()) > 0
    return {name: np.where(owned, -np.inf, scores) for name, scores in found.items()}


def compare(pipeline: Pipeline, as_of: date, level: str) -> dict[str, RankingScores]:
    """Return the ranking scores of every peer and of ours, customers in one order.

    Raises
    ------
    InputError
        When nothing was published for the date, or its outcome is not known.
    """
    prediction = get_prediction("purchase_potential")
    assert isinstance(prediction, PairPrediction)
    warehouse = pipeline.warehouse
    catalogues = pipeline._catalogues(prediction.name)
    shop = PairShop(warehouse, prediction, catalogues, level, as_of, 5_000)
    snapshot = shop.snapshot(as_of)
    published = warehouse.read(
        "select customer_id, item_id, item_rank from marts.purchase_potential_history "
        "where as_of_date = $1 and item_level = $2 and run_id = (select run_id "
        "from marts.purchase_potential_history where as_of_date = $1 "
        "order by published_at desc limit 1)",
        [as_of, level],
    ).to_pandas()
    truth = warehouse.read(
        "select customer_id, item_id from labels.label_purchase_potential "
        "where as_of_date = $1 and item_level = $2 and horizon_days = $3",
        [as_of, level, prediction.horizon_days],
    ).to_pandas()
    if published.empty or truth.empty:
        raise InputError(
            f"As of {as_of} there is {'no outcome' if truth.empty else 'nothing published'}.",
            "Load data that reach past its window, then run with that --as-of.",
        )
    place_of = {name: i for i, name in enumerate(snapshot.customers)}
    item_of = {name: i for i, name in enumerate(snapshot.items)}
    hits = sparse.csr_matrix(
        (
            np.ones(len(truth)),
            (truth["customer_id"].map(place_of), truth["item_id"].map(item_of)),
        ),
        shape=(len(snapshot.customers), len(snapshot.items)),
    )
    counts = np.diff(hits.indptr)
    bought = {int(row): int(counts[row]) for row in np.flatnonzero(counts)}
    found = {
        name: _scores_of(scores, hits, bought)
        for name, scores in peer_scores(snapshot, pipeline.settings.seed).items()
    }
    customer = published["customer_id"].map(place_of).to_numpy(np.int64)
    item = published["item_id"].map(item_of).to_numpy(np.int64)
    hit = np.asarray(hits[customer, item]).ravel() > 0
    rank = published["item_rank"].to_numpy(np.float64)
    found[OURS] = ranking_scores(customer, -rank, hit, bought)
    return found


def _scores_of(
    scores: npt.NDArray[np.float32], hits: sparse.csr_matrix, bought: dict[int, int]
) -> RankingScores:
    rows = np.array(sorted(bought), dtype=np.int64)
    best = np.argsort(-scores[rows], axis=1, kind="stable")[:, :10]
    customer = np.repeat(rows, best.shape[1])
    item = best.ravel()
    value = np.asarray(scores[customer, item], dtype=np.float64)
    hit = np.asarray(hits[customer, item]).ravel() > 0
    return ranking_scores(customer, value, hit, bought)


def as_table(pipeline: Pipeline, as_of: date, level: str = "product") -> Table:
    """Lay out every peer and ours, the best ranking first."""
    found = compare(pipeline, as_of, level)
    ours = found[OURS]
    table = Table(
        title=f"{level}, as of {as_of}: {len(ours.ndcg):,} customers "
        "(95 % intervals; gain: ours less theirs, paired)"
    )
    for heading in ("", "recall@10", "NDCG@10", "gain in NDCG@10"):
        table.add_column(heading, justify="left" if not heading else "right", no_wrap=True)
    for name, scores in sorted(found.items(), key=lambda entry: -entry[1].ndcg.mean()):
        gain = mean_interval(ours.ndcg - scores.ndcg, rounds=ROUNDS, seed=1)
        shown = mean_interval(scores.ndcg, rounds=ROUNDS, seed=1)
        table.add_row(
            name,
            f"{scores.recall.mean():.4f}",
            f"{shown.value:.4f} ({shown.low:.4f}-{shown.high:.4f})",
            "" if name == OURS else f"{gain.value:.4f} ({gain.low:.4f} to {gain.high:.4f})",
        )
    return table
