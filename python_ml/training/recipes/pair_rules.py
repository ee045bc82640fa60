"""Baselines for pairs: one first-stage signal, and how much that is new the customer buys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from python_ml.training.frame import TrainingFrame
from python_ml.training.recipes.base import FittedModel, Minimum, Recipe
from python_ml.training.recipes.linear import LinearModel
from python_ml.training.recipes.simple import STRENGTH, fit_logs
from python_ml.training.splits import sample_customers

MOST_ROWS = 150_000
"""A line through a few dozen columns needs no more."""
ACTIVITY = ("customer_product_new_180d", "customer_recency_days", "customer_frequency_decayed_90d")
"""Without these a probability would be the same for who comes weekly and who left long ago."""


class PairRuleModel(LinearModel):
    """A logistic regression on the logs of a signal and of the customer's activity."""

    def as_recipe(self) -> Recipe:
        """Return the recipe; nothing was chosen."""
        return PAIR_RULES[self.recipe]()


@dataclass(frozen=True)
class PairRule(Recipe):
    """What the rules share; each names its signals."""

    signals: ClassVar[tuple[str, ...]]
    model: ClassVar[type[PairRuleModel]]
    minimum: ClassVar[Minimum] = Minimum(customers=20, per_class=5)

    def columns(self, frame: TrainingFrame) -> tuple[str, ...]:
        """Return the columns that it reads."""
        return (*self.signals, *ACTIVITY)

    def fit(
        self,
        frame: TrainingFrame,
        *,
        seed: int,
        threads: int,
        fitted: Mapping[str, FittedModel] | None = None,
    ) -> PairRuleModel:
        """Fit on every row, or on those of sampled customers where there are very many."""
        columns = self.columns(frame)
        frame = frame.rows(sample_customers(frame, MOST_ROWS))
        design, beta = fit_logs(frame, columns)
        return self.model(design, beta[0], np.array(beta[1:]), columns, STRENGTH)


class PopularModel(PairRuleModel):
    """The model of :class:`Popular`."""

    recipe: ClassVar[str] = "popular"
    file: ClassVar[str] = "popular.json"


@dataclass(frozen=True)
class Popular(PairRule):
    """What many customers have begun to buy of late."""

    name: ClassVar[str] = "popular"
    signals: ClassVar[tuple[str, ...]] = ("item_product_new_buyer_share_decayed_45d",)
    model: ClassVar[type[PairRuleModel]] = PopularModel


class ItemToItemModel(PairRuleModel):
    """The model of :class:`ItemToItem`."""

    recipe: ClassVar[str] = "item_to_item"
    file: ClassVar[str] = "item_to_item.json"


@dataclass(frozen=True)
class ItemToItem(PairRule):
    """What goes with what the customer bought, by cosine."""

    name: ClassVar[str] = "item_to_item"
    signals: ClassVar[tuple[str, ...]] = ("collaborative_cosine_recent_rank",)
    model: ClassVar[type[PairRuleModel]] = ItemToItemModel


class EaseModel(PairRuleModel):
    """The model of :class:`Ease`."""

    recipe: ClassVar[str] = "ease"
    file: ClassVar[str] = "ease.json"


@dataclass(frozen=True)
class Ease(PairRule):
    """What a linear autoencoder makes of what the customer bought."""

    name: ClassVar[str] = "ease"
    signals: ClassVar[tuple[str, ...]] = ("collaborative_ease_rank",)
    model: ClassVar[type[PairRuleModel]] = EaseModel


class EasePopularModel(PairRuleModel):
    """The model of :class:`EasePopular`."""

    recipe: ClassVar[str] = "ease_popular"
    file: ClassVar[str] = "ease_popular.json"


@dataclass(frozen=True)
class EasePopular(PairRule):
    """EASE and popularity together: what stands where trees show no gain."""

    name: ClassVar[str] = "ease_popular"
    signals: ClassVar[tuple[str, ...]] = (
        "collaborative_ease_rank",
        "collaborative_ease_share",
        "collaborative_popular_rank",
        "item_product_new_buyer_share_decayed_45d",
    )
    model: ClassVar[type[PairRuleModel]] = EasePopularModel


class PairLinearModel(PairRuleModel):
    """The model of :class:`PairLinear`."""

    recipe: ClassVar[str] = "pair_linear"
    file: ClassVar[str] = "pair_linear.json"


@dataclass(frozen=True)
class PairLinear(PairRule):
    """Every first-stage rank and share, every affinity, and how the item sells."""

    name: ClassVar[str] = "pair_linear"
    signals: ClassVar[tuple[str, ...]] = (
        "item_product_new_buyer_share_decayed_14d",
        "item_product_new_buyer_share_decayed_45d",
        "item_product_age_days",
        "item_product_days_since_last_sale",
        "item_product_trend_30d",
        "item_product_lines_per_buyer",
        "customer_product_new_30d",
        "customer_product_new_90d",
        "customer_product_new_365d",
        "customer_product_distinct_total",
        "customer_frequency_orders_90d",
    )
    model: ClassVar[type[PairRuleModel]] = PairLinearModel
    minimum: ClassVar[Minimum] = Minimum(customers=100, per_class=50)

    def columns(self, frame: TrainingFrame) -> tuple[str, ...]:
        """Return the signals, and whatever the first stage of this shop has."""
        first_stage = [
            str(name)
            for name in frame.features.columns
            if str(name).startswith("affinity_")
            or (str(name).startswith("collaborative_") and str(name).endswith(("_rank", "_share")))
        ]
        known = [name for name in (*self.signals, *ACTIVITY) if name in frame.features.columns]
        return (*first_stage, *known)


PAIR_RULES: dict[str, type[PairRule]] = {
    rule.name: rule for rule in (Popular, ItemToItem, Ease, EasePopular, PairLinear)
}
