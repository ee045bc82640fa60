"""The ladder of purchase potential: what ranks the items that are new to a customer.

As it was done: a fifth of everything that customers ever bought is hidden, at random, and models
that saw the rest, bought before and after, are asked for it; a quarter of the customers test.
Honest: what customers bought for the first time in the window after the as-of date.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import ClassVar

import numpy as np
import pandas as pd

from python_ml.experiments.ladder.many_labels import many_labels
from python_ml.experiments.ladder.segments import segments
from python_ml.experiments.ladder.study import Cell, Record, Section
from python_ml.pipeline import Pipeline, Request
from python_ml.predictions.base import PairPrediction
from python_ml.training.choose import Measured
from python_ml.training.frame import DayArray, as_day
from python_ml.training.metrics import Interval
from python_ml.training.pairs.choose import PairTrainer, RankingLine, plan_dates
from python_ml.training.pairs.first_stage import fit_first_stage
from python_ml.training.pairs.shop import PairShop
from python_ml.training.pairs.snapshot import Catalogues, Snapshot
from python_ml.training.pairs.spec import PairSpec
from python_ml.training.recipes import ItemToItem, Popular, Ranker
from python_ml.training.recipes.pair_rules import PairRule, PairRuleModel
from python_ml.training.spec import TooSmallError
from python_ml.warehouse.catalogue import built_catalogue

HIDDEN_SHARE = 0.2
NDCG, RECALL = "ndcg_at_10", "recall_at_10"


@dataclass(frozen=True)
class CategorySpending(PairRule):
    """What is popular in the categories that the customer spends on."""

    name: ClassVar[str] = "category_spending"
    signals: ClassVar[tuple[str, ...]] = (
        "affinity_category",
        "collaborative_popular_in_category_rank",
    )
    model: ClassVar[type[PairRuleModel]] = PairRuleModel


@dataclass(frozen=True)
class LowRank(PairRule):
    """What a singular value decomposition of who bought what says."""

    name: ClassVar[str] = "low_rank"
    signals: ClassVar[tuple[str, ...]] = ("collaborative_low_rank_rank",)
    model: ClassVar[type[PairRuleModel]] = PairRuleModel


RUNGS = (Popular(), CategorySpending(), ItemToItem(), LowRank(), Ranker())
IDEAS = {
    "popular": "what many begin to buy",
    "category_spending": "popular where they spend",
    "item_to_item": "goes with what they bought",
    "low_rank": "factors of who bought what",
    "ranker": "everything, in two forests",
}
SIZES = {
    "customers_per_date": 800,
    "test_customers": 1_500,
    "train_dates": 2,
    "most_items": 2_000,
    "candidates": 100,
    "pairs_measured": 15_000,
}
"""A fraction of what the product looks at: rungs are compared, nothing is published."""


@dataclass(frozen=True)
class PairClimb:
    """Every rung under one protocol."""

    test_date: date
    customers: int
    lines: Mapping[str, RankingLine]
    measured: Mapping[str, Measured]
    left_out: Mapping[str, str]
    level_tested: bool


class PairLadder(PairTrainer):
    """Measures every rung and publishes none."""

    def climb(self, dates: DayArray, label_known_at: DayArray, by: date) -> PairClimb:
        """Train on the dates that were known by the latest one, and measure there.

        Raises
        ------
        TooSmallError
            When no window has closed, or the shop is too small for any rung.
        """
        known = plan_dates(dates, label_known_at, as_day(by), self.spec.train_dates)
        if len(known) == 0:
            raise TooSmallError(f"No window of {self.horizon_days} days has closed by {by}.")
        earlier = plan_dates(dates, label_known_at, known[-1], self.spec.train_dates)
        test, rows, level_tested = self._test_split(known[-1], earlier)
        missing = self._without_columns(list(rows.frame.features.columns))
        self.spec = replace(
            self.spec, recipes=tuple(r for r in self.spec.recipes if r.name not in missing)
        )
        fitted, left_out = self._fit_all(rows, self.spec.recipes)
        if not fitted:
            raise TooSmallError("; ".join(f"{name} {why}" for name, why in left_out.items()))
        ranking, measured = self._measure(fitted, test, rows.share, "")
        return PairClimb(
            test_date=known[-1].astype(object),
            customers=len(test.bought),
            lines={line.recipe: line for line in ranking},
            measured={line.recipe: line for line in measured},
            left_out={**missing, **left_out},
            level_tested=level_tested,
        )

    def _without_columns(self, columns: Sequence[str]) -> dict[str, str]:
        return {
            rung.name: "needs categories, and the shop has none"
            for rung in self.spec.recipes
            if isinstance(rung, PairRule) and not set(rung.signals) <= set(columns)
        }


def climb_pairs(
    pipeline: Pipeline,
    prediction: PairPrediction,
    request: Request,
    *,
    seed: int,
    say: Callable[[str], None],
) -> list[Section]:
    """Return the ladder of products, the view of many labels at once, and segments."""
    as_of, horizon_days = request.as_of, request.horizon_days[prediction.name]
    spec = replace(prediction.efforts["quick"], recipes=RUNGS, **SIZES)
    shop = products_of(pipeline, prediction, as_of, spec.most_items)
    dates, known = shop.matured_dates(horizon_days)

    def ladder(
        snapshot_of: Callable[[date], Snapshot], truth_of: Callable[[date], pd.DataFrame]
    ) -> PairLadder:
        return PairLadder(
            spec, shop.level, shop.items(), horizon_days, snapshot_of, truth_of, seed,
            lambda: pipeline.settings.threads, say,
        )  # fmt: skip

    hidden = HiddenPairs(shop, seed)
    tomorrow = as_of + timedelta(days=1)  # it tests on other customers of the same day
    as_done = ladder(hidden.snapshot, hidden.truth).climb(
        np.array([as_day(as_of)]), np.array([as_day(tomorrow)]), tomorrow
    )
    honest = ladder(shop.snapshot, lambda day: shop.truth(day, horizon_days)).climb(
        dates, known, as_of
    )
    say("Many labels at once")
    labels = many_labels(
        pipeline.warehouse,
        as_of=as_of,
        test_date=honest.test_date,
        horizon_days=horizon_days,
        seed=seed,
        threads=pipeline.settings.threads,
    )
    say("Segments")
    snapshot = shop.snapshot(honest.test_date)
    found = segments(snapshot, shop.truth(honest.test_date, horizon_days), seed)
    rungs = _section(as_done, honest, spec, as_of, horizon_days)
    return [rungs, *([labels] if labels else []), found]


def products_of(
    pipeline: Pipeline, prediction: PairPrediction, as_of: date, most_items: int
) -> PairShop:
    """Return the products of a shop and who bought them, as known up to a date."""
    items, customers = (
        built_catalogue(pipeline.warehouse, pipeline.settings.dbt_target_dir, model)
        for model in (prediction.name, f"{prediction.name}_customers")
    )
    return PairShop(
        pipeline.warehouse, prediction, Catalogues(items, customers), "product", as_of, most_items
    )


class HiddenPairs:
    """A shop of which a share of all purchases is hidden at random, whenever they were made."""

    def __init__(self, shop: PairShop, seed: int) -> None:
        self._whole = shop.snapshot(shop.as_of)
        self._most_items = shop.most_items
        owned = self._whole.owned.tocsr()
        self._kept = owned.copy()
        random = np.random.default_rng(seed)
        self._kept.data = (random.random(owned.nnz) >= HIDDEN_SHARE).astype(np.float32)

    def snapshot(self, _as_of: date) -> Snapshot:
        """Return what is left: every feature of it still knows what is hidden."""
        whole = self._whole
        bought, recent, owned = (
            matrix.multiply(self._kept).tocsr()
            for matrix in (whole.bought, whole.recent, whole.owned)
        )
        for matrix in (bought, recent, owned):
            matrix.eliminate_zeros()
        stage = fit_first_stage(bought, most_items=self._most_items)
        return replace(whole, bought=bought, recent=recent, owned=owned, stage=stage)

    def truth(self, _as_of: date) -> pd.DataFrame:
        """Return the pairs that were hidden."""
        pairs = self._kept.tocoo()
        gone = pairs.data == 0
        return pd.DataFrame(
            {
                "customer_id": self._whole.customers[pairs.row[gone]],
                "item_id": self._whole.items[pairs.col[gone]],
            }
        )


def _section(
    as_done: PairClimb, honest: PairClimb, spec: PairSpec, as_of: date, horizon_days: int
) -> Section:
    records, before = [], ""
    for rung in spec.recipes:
        records.append(_record(rung.name, as_done, honest, before))
        before = rung.name if rung.name in honest.lines else before
    left = {**as_done.left_out, **honest.left_out}
    how = "on a later date" if honest.level_tested else "on other customers of the same date"
    return Section(
        name="rungs",
        title=f"purchase_potential, products, {horizon_days} days ahead, as of {as_of}",
        records=tuple(records),
        test_date=honest.test_date,
        notes=(
            f"As done: {HIDDEN_SHARE:.0%} of all purchases are hidden at random; "
            f"{as_done.customers:,} customers test.",
            f"Honest: what {honest.customers:,} customers first bought in the window from "
            f"{honest.test_date}, tested {how}.",
            "Gains are paired, by customer, over the rung before. Intervals: 95 %.",
            *(f"{name} is left out: it {why}." for name, why in left.items()),
        ),
    )


def _record(name: str, as_done: PairClimb, honest: PairClimb, before: str) -> Record:
    done, own = as_done.lines.get(name), honest.lines.get(name)
    record: dict[str, Cell] = {"rung": name, "idea": IDEAS[name]}
    record["NDCG as done"] = _figure(done, NDCG)
    record["NDCG honest"] = _figure(own, NDCG)
    record["leak"] = done.metrics[NDCG].value - own.metrics[NDCG].value if done and own else None
    record["gain in NDCG"] = own.gains[before][NDCG] if own and before else None
    record["recall as done"] = _figure(done, RECALL)
    record["recall honest"] = _figure(own, RECALL)
    if name in honest.measured:
        measurement = honest.measured[name].measurement
        record["log loss"] = measurement.log_loss.value
        record["AUC honest"] = measurement.auc
    return record


def _figure(line: RankingLine | None, metric: str) -> Interval | None:
    return None if line is None else line.metrics[metric]
