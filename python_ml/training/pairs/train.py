"""Training a pair prediction: every level of one shop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date

from python_ml.predictions.base import PairPrediction
from python_ml.training.pairs.choose import PairResult, PairTrainer
from python_ml.training.pairs.shop import LEVELS, PairShop
from python_ml.training.pairs.snapshot import Catalogues
from python_ml.training.pairs.spec import PairSpec
from python_ml.training.spec import TooSmallError
from python_ml.warehouse.postgres import Warehouse

SHOWN = {"product": 10, "category": 3}
"""Items of each level that a customer is shown: what NDCG and recall look at."""
FEWEST_ITEMS = 3
"""With fewer items there is nothing to rank."""


def train_pairs(
    warehouse: Warehouse,
    prediction: PairPrediction,
    catalogues: Catalogues,
    spec: PairSpec,
    *,
    as_of: date,
    horizon_days: int,
    seed: int,
    threads: Callable[[], int],
    say: Callable[[str], None],
) -> list[PairResult]:
    """Train each level that the shop has; a level that is too small is left out, said aloud.

    Raises
    ------
    TooSmallError
        When no level can be trained, with the reason of each.
    """
    results: list[PairResult] = []
    reasons: list[str] = []
    for level in LEVELS:
        shop = PairShop(warehouse, prediction, catalogues, level, as_of, spec.most_items)
        try:
            results.append(
                _train_level(
                    shop, spec, horizon_days=horizon_days, seed=seed, threads=threads, say=say
                )
            )
        except TooSmallError as reason:
            reasons.append(f"{level}: {reason.message}")
            say(f"{prediction.name}, {level} level is skipped: {reason.message}")
    if not results:
        raise TooSmallError(
            f"{prediction.name} is skipped: {'; '.join(reasons)}",
            "Load more history, or lines that name their products.",
        )
    return results


def _train_level(
    shop: PairShop,
    spec: PairSpec,
    *,
    horizon_days: int,
    seed: int,
    threads: Callable[[], int],
    say: Callable[[str], None],
) -> PairResult:
    items = shop.items()
    if items < FEWEST_ITEMS:
        raise TooSmallError(
            f"no_items: the shop has {items}, ranking needs {FEWEST_ITEMS}.",
            "Load lines that name their product and category.",
        )
    dates, known = shop.matured_dates(horizon_days)
    trainer = PairTrainer(
        replace(spec, shown=SHOWN[shop.level]),
        shop.level,
        items,
        horizon_days,
        shop.snapshot,
        lambda day: shop.truth(day, horizon_days),
        seed,
        threads,
        say,
    )
    return trainer.train(dates, known, shop.as_of)
