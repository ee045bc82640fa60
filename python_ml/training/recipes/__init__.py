"""One recipe per file; :data:`RECIPES` and :data:`MODELS` name them all."""

from __future__ import annotations

from python_ml.training.recipes.base import FittedModel, Minimum, Recipe
from python_ml.training.recipes.bgnbd import BgNbd, BgNbdModel, HistoryColumns
from python_ml.training.recipes.blend import Blend, BlendModel
from python_ml.training.recipes.boosted import Boosted, BoostedModel
from python_ml.training.recipes.frequency import Frequency, FrequencyModel
from python_ml.training.recipes.log_rfm import LogRfm, LogRfmModel
from python_ml.training.recipes.logistic import Logistic, LogisticModel
from python_ml.training.recipes.pair_rules import (
    Ease,
    EaseModel,
    EasePopular,
    EasePopularModel,
    ItemToItem,
    ItemToItemModel,
    PairLinear,
    PairLinearModel,
    Popular,
    PopularModel,
)
from python_ml.training.recipes.ranker import Ranker, RankerModel
from python_ml.training.recipes.recency import Recency, RecencyModel

RECIPES: dict[str, type[Recipe]] = {
    recipe.name: recipe
    for recipe in (
        Recency,
        Frequency,
        LogRfm,
        BgNbd,
        Logistic,
        Boosted,
        Blend,
        Popular,
        ItemToItem,
        Ease,
        EasePopular,
        PairLinear,
        Ranker,
    )
}
MODELS: dict[str, type[FittedModel]] = {
    model.recipe: model
    for model in (
        RecencyModel,
        FrequencyModel,
        LogRfmModel,
        BgNbdModel,
        LogisticModel,
        BoostedModel,
        BlendModel,
        PopularModel,
        ItemToItemModel,
        EaseModel,
        EasePopularModel,
        PairLinearModel,
        RankerModel,
    )
}

__all__ = [
    "MODELS",
    "RECIPES",
    "BgNbd",
    "Blend",
    "Boosted",
    "Ease",
    "EasePopular",
    "FittedModel",
    "Frequency",
    "HistoryColumns",
    "ItemToItem",
    "LogRfm",
    "Logistic",
    "Minimum",
    "PairLinear",
    "Popular",
    "Ranker",
    "Recency",
    "Recipe",
]
