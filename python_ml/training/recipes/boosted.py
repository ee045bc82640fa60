"""Small gradient-boosted trees (LightGBM)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import lightgbm as lgb
import numpy as np
import pandas as pd

from python_ml.errors import BundleError
from python_ml.training.frame import FloatArray, TrainingFrame
from python_ml.training.levels import Levels, as_text
from python_ml.training.recipes.base import (
    Effort,
    FittedModel,
    Minimum,
    Recipe,
    from_json,
    to_json,
    to_probability,
)
from python_ml.training.recipes.design import as_numbers
from python_ml.training.splits import customer_folds

MOST_TREES = 600
PATIENCE = 30
FOLDS = 3
FEWEST_IN_LEAF, MOST_IN_LEAF, ROWS_PER_LEAF_ROW = 20, 200, 50
BATCH = 20_000
"""Rows explained at a time: contributions cost leaves times depth squared."""

PARAMETERS: dict[str, Any] = {
    "objective": "binary",
    "metric": "binary_logloss",
    "learning_rate": 0.1,
    "num_leaves": 15,
    "extra_trees": True,
    "feature_fraction": 0.3,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 20.0,
    "path_smooth": 10.0,
    "max_bin": 63,
    "cat_smooth": 50.0,
    "deterministic": True,
    "force_row_wise": True,
    "feature_pre_filter": False,
    "verbosity": -1,
}


TRIALS: dict[Effort, int] = {"quick": 1, "normal": 4, "thorough": 16}
WORTH_LEAVING = 0.0005
"""Log-loss that other settings must save on folds, which share their dates."""
CHOICES: dict[str, tuple[float, ...]] = {
    "learning_rate": (0.03, 0.05, 0.1),
    "num_leaves": (4, 7, 15, 31),
    "feature_fraction": (0.15, 0.3, 0.6),
    "lambda_l2": (5.0, 20.0, 80.0),
    "min_data_in_leaf": (0.5, 1.0, 2.0),
}
"""What trials after the first draw from; the leaf size as a multiple of its default."""


@dataclass(frozen=True)
class Encoding:
    """Columns as LightGBM sees them: numbers as they are, levels by their place in a fixed list."""

    columns: tuple[str, ...]
    levels: Mapping[str, Levels]

    @classmethod
    def of(cls, frame: TrainingFrame, columns: list[str]) -> Encoding:
        """Read the levels off the training rows."""
        levels = {
            name: Levels.of(as_text(frame.features[name]), frame.entity)
            for name in columns
            if name in frame.categorical
        }
        return cls(tuple(columns), levels)

    def matrix(self, features: pd.DataFrame) -> FloatArray:
        """Return one column per feature; rare levels are one, unseen ones are missing."""
        matrix = np.empty((len(features), len(self.columns)))
        for i, name in enumerate(self.columns):
            if name in self.levels:
                matrix[:, i] = self.levels[name].codes(features[name])
            else:
                matrix[:, i] = as_numbers(features[name])
        return matrix

    def categorical(self) -> list[int]:
        """Return the places of the categorical columns."""
        return [i for i, name in enumerate(self.columns) if name in self.levels]


@dataclass
class BoostedModel(FittedModel):
    """The model of :class:`Boosted`."""

    booster: lgb.Booster
    encoding: Encoding
    trees: int
    settings: Mapping[str, float] = field(default_factory=dict)
    out_of_fold: FloatArray | None = field(default=None, repr=False)

    recipe: ClassVar[str] = "boosted"
    file: ClassVar[str] = "boosted.json"
    trees_file: ClassVar[str] = "boosted.lightgbm.txt"

    def predict(self, features: pd.DataFrame, horizon_days: int) -> FloatArray:
        """Return the probability of a 1 for each row."""
        raw = self.booster.predict(self.encoding.matrix(features), raw_score=True)
        return to_probability(np.asarray(raw, dtype=np.float64))

    def base_logit(self, horizon_days: int) -> float:
        """Return the trees' expected logit over the training rows."""
        blank = np.full((1, len(self.encoding.columns)), np.nan)
        return float(np.asarray(self.booster.predict(blank, pred_contrib=True))[0, -1])

    def contributions(self, features: pd.DataFrame, horizon_days: int) -> pd.DataFrame:
        """Return exact SHAP values in logit units, zero for columns that were left out."""
        matrix = self.encoding.matrix(features)
        parts = pd.DataFrame(0.0, index=features.index, columns=features.columns)
        values = np.empty(matrix.shape)
        for start in range(0, len(matrix), BATCH):
            batch = slice(start, start + BATCH)
            values[batch] = np.asarray(self.booster.predict(matrix[batch], pred_contrib=True))[
                :, :-1
            ]
        parts[list(self.encoding.columns)] = values
        return parts

    def to_files(self) -> dict[str, bytes]:
        """Return LightGBM's own text and the encoding as JSON."""
        content = {
            "columns": list(self.encoding.columns),
            "levels": {name: lists.to_dict() for name, lists in self.encoding.levels.items()},
            "trees": self.trees,
            "settings": dict(self.settings),
        }
        text = self.booster.model_to_string()
        return {self.file: to_json(content), self.trees_file: text.encode()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        """Read what :meth:`to_files` wrote."""
        content = from_json(files, cls.file)
        if cls.trees_file not in files:
            raise BundleError(f"{cls.trees_file} is missing from the bundle.", "Train again.")
        levels = {
            name: Levels(tuple(lists["learned"]), tuple(lists["pooled"]))
            for name, lists in content["levels"].items()
        }
        return cls(
            booster=lgb.Booster(model_str=files[cls.trees_file].decode()),
            encoding=Encoding(tuple(content["columns"]), levels),
            trees=int(content["trees"]),
            settings=content["settings"],
        )

    def as_recipe(self) -> Recipe:
        """Return the recipe with its settings and its number of trees fixed."""
        return Boosted(trees=self.trees, settings=tuple(sorted(self.settings.items())))


@dataclass(frozen=True)
class Boosted(Recipe):
    """Small trees, strongly regularised.

    Settings are the best of a fixed number of seeded trials on folds of customers, the number of
    trees among them by early stopping; the first trial, the defaults, stands unless another saves
    :data:`WORTH_LEAVING`.

    Parameters
    ----------
    trees, settings
        Where they are not to be chosen.
    trials
        Settings to try.
    """

    trees: int | None = None
    settings: tuple[tuple[str, float], ...] = ()
    trials: int = 1

    name: ClassVar[str] = "boosted"
    minimum: ClassVar[Minimum] = Minimum(customers=300, per_class=60)

    def with_effort(self, effort: Effort) -> Recipe:
        """Return the recipe with the number of trials of ``effort``."""
        return replace(self, trials=TRIALS[effort])

    def fit(
        self,
        frame: TrainingFrame,
        *,
        seed: int,
        threads: int,
        fitted: Mapping[str, FittedModel] | None = None,
    ) -> BoostedModel:
        """Choose settings and number of trees on folds of customers, then fit on every row."""
        encoding = Encoding.of(frame, frame.usable_columns())
        matrix = encoding.matrix(frame.features)

        def data(parameters: dict[str, Any]) -> lgb.Dataset:
            return lgb.Dataset(
                matrix,
                label=frame.label,
                categorical_feature=encoding.categorical(),
                params=parameters,
                free_raw_data=False,
            )

        settings, trees, out_of_fold = dict(self.settings), self.trees, None
        if trees is None:
            found: list[tuple[float, int, FloatArray]] = []
            tried = _trials(self.trials, seed)
            for candidate in tried:
                parameters = _parameters(candidate, len(frame), seed, threads)
                found.append(_choose_trees(data(parameters), frame, parameters, seed))
            losses = [loss for loss, _, _ in found]
            best = losses.index(min(losses))
            best = best if losses[best] < losses[0] - WORTH_LEAVING else 0
            settings, (_, trees, out_of_fold) = tried[best], found[best]
        parameters = _parameters(settings, len(frame), seed, threads)
        booster = lgb.train(parameters, data(parameters), num_boost_round=trees)
        # read back from its own text, so that a saved model scores to the same bits
        booster = lgb.Booster(model_str=booster.model_to_string())
        return BoostedModel(booster, encoding, trees, settings, out_of_fold)


def _trials(count: int, seed: int) -> list[dict[str, float]]:
    """Return settings to try, the defaults first; more trials begin with those of fewer."""
    random = np.random.default_rng(seed)
    drawn = [
        {name: float(random.choice(values)) for name, values in CHOICES.items()}
        for _ in range(count - 1)
    ]
    return [{}, *drawn]


def _parameters(
    settings: Mapping[str, float], rows: int, seed: int, threads: int
) -> dict[str, Any]:
    leaf = min(max(rows // ROWS_PER_LEAF_ROW, FEWEST_IN_LEAF), MOST_IN_LEAF)
    chosen: dict[str, Any] = {**PARAMETERS, **settings}
    chosen["num_leaves"] = int(chosen["num_leaves"])
    chosen["min_data_in_leaf"] = int(leaf * settings.get("min_data_in_leaf", 1.0))
    return chosen | {"seed": seed % 2**31, "num_threads": threads}


def _choose_trees(
    data: lgb.Dataset, frame: TrainingFrame, parameters: dict[str, Any], seed: int
) -> tuple[float, int, FloatArray]:
    """Return the folds' least mean loss, the number of trees there, and their predictions."""
    fold = customer_folds(frame.entity, FOLDS, seed)
    splits = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(FOLDS)]
    found = lgb.cv(
        parameters,
        data,
        num_boost_round=MOST_TREES,
        folds=splits,
        callbacks=[lgb.early_stopping(PATIENCE, verbose=False)],
        return_cvbooster=True,
    )
    means = found["valid binary_logloss-mean"]
    scores = np.empty(len(frame))
    for (_, outside), booster in zip(splits, found["cvbooster"].boosters, strict=True):
        held_out = data.get_data()[outside]
        scores[outside] = booster.predict(held_out, raw_score=True, num_iteration=len(means))
    return float(means[-1]), len(means), to_probability(scores)
