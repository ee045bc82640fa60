"""Boosted trees over pairs beside a linear model.

Some forests are for the probability, some for the order within a customer; both kinds count alike
for the order. Forests of one kind differ by their seed alone; their mean is what scores. How much
the linear model adds, out-of-fold scores say: with few pairs it is most of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import lightgbm as lgb
import numpy as np
import pandas as pd

from python_ml.errors import BundleError
from python_ml.training.frame import FloatArray, IntArray, TrainingFrame
from python_ml.training.levels import Levels
from python_ml.training.recipes.base import (
    FittedModel,
    Minimum,
    Recipe,
    from_json,
    to_json,
    to_probability,
)
from python_ml.training.recipes.boosted import Encoding
from python_ml.training.recipes.linear import fit_logistic
from python_ml.training.recipes.pair_rules import PairLinear, PairLinearModel, PairRuleModel
from python_ml.training.splits import customer_folds

FOLDS = 3
MOST_TREES, PATIENCE, FEWEST_TREES = 300, 20, 20
RANK_TREES = 200
LEARNING_RATE = 0.06
LEAST_SPREAD = 1e-9
FEW_YESES = 10_000
"""With so many pairs that came true the line counts half of what out-of-fold scores say: those
share their dates with what they are weighed on, and trees win more on a later date."""
FEWEST_IN_LEAF, MOST_IN_LEAF, ROWS_PER_LEAF_ROW = 20, 100, 1000
BATCH = 20_000

PARAMETERS: dict[str, Any] = {
    "num_leaves": 31,
    "feature_fraction": 0.3,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 10.0,
    "max_bin": 127,
    "cat_smooth": 50.0,
    "deterministic": True,
    "force_row_wise": True,
    "feature_pre_filter": False,
    "verbosity": -1,
}
BINARY = {"objective": "binary", "metric": "binary_logloss"}
RANK = {
    "objective": "lambdarank",
    "metric": "None",
    "lambdarank_truncation_level": 20,
    "label_gain": [0, 1],
}
FORESTS = ("probability", "order")
LINEAR = "linear"
PARTS = (*FORESTS, LINEAR)


@dataclass
class RankerModel(FittedModel):
    """The model of :class:`Ranker`: the logit is the weighted sum of its parts' scores."""

    linear: PairRuleModel
    forests: Mapping[str, Sequence[lgb.Booster]]
    encoding: Encoding
    intercept: float
    weights: Mapping[str, float]
    trees: int
    pace: int = 1
    out_of_fold: FloatArray | None = field(default=None, repr=False)

    recipe: ClassVar[str] = "ranker"
    file: ClassVar[str] = "ranker.json"

    def predict(self, features: pd.DataFrame, horizon_days: int) -> FloatArray:
        """Return the probability of a 1 for each row."""
        matrix = self.encoding.matrix(features)
        score = self.intercept + self.weights[LINEAR] * self.linear.logits(features)
        for forest, weight in self._weighted():
            raw = forest.predict(matrix, raw_score=True)
            score += weight * np.asarray(raw, dtype=np.float64)
        return to_probability(score)

    def _weighted(self) -> Iterator[tuple[lgb.Booster, float]]:
        """Every forest, and how much of the logit is its score."""
        for name, forests in self.forests.items():
            for forest in forests:
                yield forest, self.weights[name] / len(forests)

    def base_logit(self, horizon_days: int) -> float:
        """Return the logit before any contribution: the parts' expected scores, weighted."""
        blank = np.full((1, len(self.encoding.columns)), np.nan)
        total = self.intercept + self.weights[LINEAR] * self.linear.base_logit(horizon_days)
        for forest, weight in self._weighted():
            expected = np.asarray(forest.predict(blank, pred_contrib=True))[0, -1]
            total += weight * float(expected)
        return total

    def contributions(self, features: pd.DataFrame, horizon_days: int) -> pd.DataFrame:
        """Return the linear terms and the SHAP values of the weighted forests, in logit units."""
        matrix = self.encoding.matrix(features)
        values = np.zeros(matrix.shape)
        for forest, weight in self._weighted():
            for start in range(0, len(matrix), BATCH):
                batch = slice(start, start + BATCH)
                parts = np.asarray(forest.predict(matrix[batch], pred_contrib=True))
                values[batch] += weight * parts[:, :-1]
        total = self.linear.contributions(features, horizon_days) * self.weights[LINEAR]
        total[list(self.encoding.columns)] += values
        return total

    def to_files(self) -> dict[str, bytes]:
        """Return LightGBM's own texts, and the rest as JSON."""
        content = {
            "columns": list(self.encoding.columns),
            "levels": {name: lists.to_dict() for name, lists in self.encoding.levels.items()},
            "intercept": self.intercept,
            "weights": dict(self.weights),
            "trees": self.trees,
            "bags": self.bags,
            "pace": self.pace,
        }
        files = {self.file: to_json(content), **self.linear.to_files()}
        for name, forests in self.forests.items():
            for bag, forest in enumerate(forests):
                files[_forest_file(name, bag)] = forest.model_to_string().encode()
        return files

    @property
    def bags(self) -> int:
        """How many forests of each kind there are."""
        return len(self.forests[FORESTS[0]])

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        """Read what :meth:`to_files` wrote."""
        content = from_json(files, cls.file)
        bags = range(int(content["bags"]))
        names = {name: [_forest_file(name, bag) for bag in bags] for name in FORESTS}
        missing = [file for of_kind in names.values() for file in of_kind if file not in files]
        if missing:
            raise BundleError(f"{missing[0]} is missing from the bundle.", "Train again.")
        levels = {
            name: Levels(tuple(lists["learned"]), tuple(lists["pooled"]))
            for name, lists in content["levels"].items()
        }
        return cls(
            linear=PairLinearModel.from_files(files),
            forests={
                name: [lgb.Booster(model_str=files[file].decode()) for file in of_kind]
                for name, of_kind in names.items()
            },
            encoding=Encoding(tuple(content["columns"]), levels),
            intercept=float(content["intercept"]),
            weights={name: float(content["weights"][name]) for name in PARTS},
            trees=int(content["trees"]),
            pace=int(content.get("pace", 1)),
        )

    def as_recipe(self) -> Recipe:
        """Return the recipe with its number of trees and its weights fixed."""
        weights = tuple(self.weights[name] for name in PARTS)
        return Ranker(Stack(self.trees, self.intercept, weights), self.bags, self.pace)


@dataclass(frozen=True)
class Stack:
    """What out-of-fold scores decide: trees, and how the parts make one logit.

    ``weights`` are in the order of :data:`PARTS`.
    """

    trees: int
    intercept: float
    weights: tuple[float, ...]


@dataclass(frozen=True)
class Ranker(Recipe):
    """Forests on every column of the pair: binary log-loss, and LambdaRank by customer.

    The number of trees of the first kind comes from folds of customers; the weights of both and of
    the linear model beside them from a logistic regression on out-of-fold scores; unless all of
    that is given.

    Parameters
    ----------
    bags
        Forests of each kind, grown from seeds of their own.
    pace
        Trees learn so many times as fast, and are so many times fewer.
    """

    stack: Stack | None = None
    bags: int = 1
    pace: int = 1

    name: ClassVar[str] = "ranker"
    minimum: ClassVar[Minimum] = Minimum(customers=200, per_class=100)

    def for_choosing(self) -> Ranker:
        """Return one forest of each kind: more would win by less than recipes differ."""
        return replace(self, bags=1)

    def fit(
        self,
        frame: TrainingFrame,
        *,
        seed: int,
        threads: int,
        fitted: Mapping[str, FittedModel] | None = None,
    ) -> RankerModel:
        """Fit both forests on every row, and before that on folds of customers to weigh them."""
        encoding = Encoding.of(frame, frame.usable_columns())
        leaf = min(max(len(frame) // ROWS_PER_LEAF_ROW, FEWEST_IN_LEAF), MOST_IN_LEAF)
        parameters = {
            **PARAMETERS,
            "min_data_in_leaf": leaf,
            "learning_rate": LEARNING_RATE * self.pace,
            "seed": seed % 2**31,
            "num_threads": threads,
        }
        whole = lgb.Dataset(
            np.asarray(encoding.matrix(frame.features), dtype=np.float32),
            label=frame.label,
            group=_sizes_of_groups(frame),
            categorical_feature=encoding.categorical(),
            params=parameters,
            free_raw_data=False,
        ).construct()
        stack, out_of_fold = self.stack, None
        if stack is None:
            stack, out_of_fold = self._weighed(whole, frame, parameters, seed)
        linear = _linear(frame, seed, threads)
        kinds: dict[str, tuple[dict[str, Any], int]] = {
            "probability": (BINARY, stack.trees),
            "order": (RANK, RANK_TREES // self.pace),
        }
        forests = {
            name: [
                _grown(whole, {**parameters, **objective, "seed": seed_}, trees)
                for seed_ in _seeds(seed, self.bags)
            ]
            for name, (objective, trees) in kinds.items()
        }
        return RankerModel(
            linear=linear,
            forests=forests,
            encoding=encoding,
            intercept=stack.intercept,
            weights=dict(zip(PARTS, stack.weights, strict=True)),
            trees=stack.trees,
            pace=self.pace,
            out_of_fold=out_of_fold,
        )

    def _weighed(
        self, whole: lgb.Dataset, frame: TrainingFrame, parameters: dict[str, Any], seed: int
    ) -> tuple[Stack, FloatArray]:
        out, trees = self._out_of_fold(whole, frame, parameters, seed)
        intercept, weights = _stack(out, frame.label, _sizes_of_groups(frame))
        score = intercept + sum(w * out[name] for name, w in zip(PARTS, weights, strict=True))
        return Stack(trees, intercept, weights), to_probability(np.asarray(score))

    def _out_of_fold(
        self, whole: lgb.Dataset, frame: TrainingFrame, parameters: dict[str, Any], seed: int
    ) -> tuple[dict[str, FloatArray], int]:
        """Return each part's raw scores for customers it never saw, and the number of trees."""
        fold = customer_folds(frame.entity, FOLDS, seed)
        data = whole.get_data()
        out = {name: np.empty(len(frame)) for name in PARTS}
        best: list[int] = []
        probability: list[tuple[IntArray, lgb.Booster]] = []
        for k in range(FOLDS):
            seen, unseen = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
            linear = _linear(frame.rows(fold != k), seed, int(parameters["num_threads"]))
            out[LINEAR][unseen] = linear.logits(frame.rows(fold == k).features)
            part = whole.subset(seen)
            booster = lgb.train(
                {**parameters, **BINARY},
                part,
                num_boost_round=MOST_TREES // self.pace,
                valid_sets=[whole.subset(unseen)],
                callbacks=[lgb.early_stopping(PATIENCE // self.pace, verbose=False)],
            )
            best.append(booster.best_iteration or booster.current_iteration())
            probability.append((unseen, booster))
            order = lgb.train({**parameters, **RANK}, part, num_boost_round=RANK_TREES // self.pace)
            out["order"][unseen] = np.asarray(order.predict(data[unseen], raw_score=True))
        count = max(round(float(np.mean(best))), FEWEST_TREES // self.pace)
        for unseen, booster in probability:
            rounds = min(count, booster.current_iteration())
            raw = booster.predict(data[unseen], raw_score=True, num_iteration=rounds)
            out["probability"][unseen] = np.asarray(raw)
        return out, count


def _linear(frame: TrainingFrame, seed: int, threads: int) -> PairRuleModel:
    return PairLinear().fit(frame, seed=seed, threads=threads)


def _grown(whole: lgb.Dataset, parameters: dict[str, Any], trees: int) -> lgb.Booster:
    """Grow a forest, read back from its own text: a saved model scores to the same bits."""
    grown = lgb.train(parameters, whole, num_boost_round=trees)
    return lgb.Booster(model_str=grown.model_to_string())


def _seeds(seed: int, count: int) -> list[int]:
    """Seeds of the forests of a kind; the first is the seed itself."""
    return [(seed + bag * 7_919) % 2**31 for bag in range(count)]


def _forest_file(name: str, bag: int) -> str:
    return f"ranker.{name}.{bag}.lightgbm.txt"


def _stack(
    out: Mapping[str, FloatArray], label: FloatArray, sizes: IntArray
) -> tuple[float, tuple[float, ...]]:
    """Return intercept and weights of the parts, none negative, by what fits the labels.

    Both forests count alike within a customer: log-loss alone, which is mostly about who buys at
    all, would give the order's forest less than the order deserves.
    """
    ratio = _spread_within(out["probability"], sizes) / _spread_within(out["order"], sizes)
    forests = out["probability"] + ratio * out["order"]
    _, (of_forests, of_line) = _slopes(np.column_stack([forests, out[LINEAR]]), label)
    if of_forests == 0.0:
        intercept, (slope,) = _slopes(out[LINEAR][:, None], label)
        return intercept, (0.0, 0.0, slope)
    line = of_line / of_forests * FEW_YESES / (FEW_YESES + float(label.sum()))
    intercept, (slope,) = _slopes((forests + line * out[LINEAR])[:, None], label)
    return intercept, (slope, slope * ratio, slope * line)


def _slopes(scores: FloatArray, label: FloatArray) -> tuple[float, tuple[float, ...]]:
    """Return intercept and slopes of a logistic regression; negative slopes become 0."""
    mean, spread = scores.mean(axis=0), np.maximum(scores.std(axis=0), LEAST_SPREAD)
    beta = fit_logistic((scores - mean) / spread, label, strength=1.0)
    slopes = np.maximum(beta[1:] / spread, 0.0)
    return float(beta[0] - slopes @ mean), tuple(map(float, slopes))


def _spread_within(score: FloatArray, sizes: IntArray) -> float:
    """Return the standard deviation of scores around the mean of their customer and date."""
    group = np.repeat(np.arange(len(sizes)), sizes)
    mean = np.bincount(group, weights=score) / np.maximum(sizes, 1)
    return max(float(np.std(score - mean[group])), LEAST_SPREAD)


def _sizes_of_groups(frame: TrainingFrame) -> IntArray:
    """Return how many rows each customer has at each date, in the order of the rows."""
    starts = np.flatnonzero(
        np.r_[
            True,
            (frame.entity[1:] != frame.entity[:-1]) | (frame.as_of[1:] != frame.as_of[:-1]),
        ]
    )
    return np.asarray(np.diff(np.r_[starts, len(frame)]), dtype=np.int64)
