"""BG/NBD: customers buy at a rate of their own until, after some order, they stay away.

Fader, Hardie & Lee (2005), "Counting Your Customers" the Easy Way: An Alternative to the
Pareto/NBD Model, Marketing Science 24(2), 275-284, doi:10.1287/mksc.1040.0098.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations
from math import factorial
from typing import ClassVar, Self

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import betaln, expit, gammaln, psi

from python_ml.training.frame import FloatArray, IntArray, TrainingFrame
from python_ml.training.recipes.base import (
    EDGE,
    FittedModel,
    Minimum,
    Recipe,
    from_json,
    to_json,
    to_logit,
)
from python_ml.training.recipes.design import as_numbers

DAYS_PER_WEEK = 7.0
PRIOR_SD = 2.0
"""A weak log-normal prior: enough to keep a shop of thirty customers finite."""
BOUND = 12.0
STARTS = ((0.5, 1.0, 3.0), (1.0, 0.3, 3.0), (0.25, 1.0, 1.0))
"""Starting points for r, a and b; alpha starts where it gives the mean rate."""


@dataclass(frozen=True, eq=False)
class History:
    """What BG/NBD knows of a customer: repeat orders, and the times of last order and of now."""

    x: FloatArray
    t_x: FloatArray
    t: FloatArray


@dataclass(frozen=True)
class Parameters:
    """Gamma(r, alpha) over the rate of ordering, Beta(a, b) over the chance of staying away."""

    r: float
    alpha: float
    a: float
    b: float

    def probability_alive(self, history: History) -> FloatArray:
        """Return the chance that the customer has not dropped out (equation 7 and its note)."""
        return np.asarray(1.0 - expit(_log_odds_of_dropout(self, history)), dtype=np.float64)

    def probability_of_order(self, history: History, weeks: float) -> FloatArray:
        """Return the chance of at least one order within ``weeks``.

        A customer who is alive has a rate drawn from Gamma(r + x, alpha + T) and drops out only
        after an order, so the first one comes as from a Poisson process.
        """
        silent = (self.r + history.x) * (
            np.log(self.alpha + history.t) - np.log(self.alpha + history.t + weeks)
        )
        return np.asarray(self.probability_alive(history) * -np.expm1(silent), dtype=np.float64)


def _log_odds_of_dropout(p: Parameters, h: History) -> FloatArray:
    repeated = h.x > 0
    x = np.where(repeated, h.x, 1.0)
    odds = (
        np.log(p.a)
        - np.log(p.b + x - 1)
        + (p.r + x) * (np.log(p.alpha + h.t) - np.log(p.alpha + h.t_x))
    )
    return np.where(repeated, odds, -np.inf)


def negative_log_likelihood(
    p: Parameters, h: History, weight: FloatArray
) -> tuple[float, FloatArray]:
    """Return the weighted negative log-likelihood (equation 6) and its gradient by parameter."""
    odds = _log_odds_of_dropout(p, h)
    total = (
        gammaln(p.r + h.x) - gammaln(p.r) + p.r * np.log(p.alpha)
        + betaln(p.a, p.b + h.x) - betaln(p.a, p.b)
        - (p.r + h.x) * np.log(p.alpha + h.t) + np.logaddexp(0.0, odds)
    )  # fmt: skip
    q = expit(odds)
    gap = np.log(p.alpha + h.t) - np.log(p.alpha + h.t_x)
    shared = psi(p.a + p.b) - psi(p.a + p.b + h.x)
    repeat_b = np.where(h.x > 0, p.b + h.x - 1, 1.0)
    gradient = (
        psi(p.r + h.x) - psi(p.r) + np.log(p.alpha) - np.log(p.alpha + h.t) + q * gap,
        p.r / p.alpha - (p.r + h.x) / (p.alpha + h.t)
        + q * (p.r + h.x) * (1 / (p.alpha + h.t) - 1 / (p.alpha + h.t_x)),
        shared + q / p.a,
        shared + psi(p.b + h.x) - psi(p.b) - q / repeat_b,
    )  # fmt: skip
    return -float(weight @ total), np.array([-float(weight @ part) for part in gradient])


def fit_parameters(history: History) -> Parameters:
    """Return the parameters of greatest likelihood, lightly penalised, from several starts."""
    shape = np.column_stack((history.x, history.t_x, history.t))
    rows, counts = np.unique(shape, axis=0, return_counts=True)
    unique = History(rows[:, 0], rows[:, 1], rows[:, 2])
    weight = counts.astype(np.float64)
    rate = max(float(history.x.sum() / history.t.sum()), 1e-6)
    centre = np.log([0.5, 0.5 / rate, 1.0, 3.0])

    def loss(theta: FloatArray) -> tuple[float, FloatArray]:
        value, gradient = negative_log_likelihood(Parameters(*np.exp(theta)), unique, weight)
        pull = (theta - centre) / PRIOR_SD**2
        return value + 0.5 * float(pull @ (theta - centre)), gradient * np.exp(theta) + pull

    bounds = [(middle - BOUND, middle + BOUND) for middle in centre]
    starts = [np.log([r, r / rate, a, b]) for r, a, b in STARTS]
    found = [minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds) for start in starts]
    best = min(found, key=lambda result: float(result.fun))
    return Parameters(*(float(value) for value in np.exp(best.x)))


@dataclass(frozen=True)
class HistoryColumns:
    """Where a customer's history stands among the features."""

    order_days: str
    recency: str
    tenure: str

    def read(self, features: pd.DataFrame) -> History:
        """Return repeat orders and times, in weeks."""
        order_days = as_numbers(features[self.order_days])
        return self.history(
            order_days, as_numbers(features[self.recency]), as_numbers(features[self.tenure])
        )

    @staticmethod
    def history(order_days: FloatArray, recency: FloatArray, tenure: FloatArray) -> History:
        """Return the history; a customer with one order day has repeated nothing."""
        x = np.maximum(order_days - 1, 0.0)
        t_x = np.where(x > 0, np.maximum(tenure - recency, 0.0), 0.0)
        return History(x, t_x / DAYS_PER_WEEK, tenure / DAYS_PER_WEEK)


@dataclass
class BgNbdModel(FittedModel):
    """The model of :class:`BgNbd`.

    Contributions are Shapley values of its three columns against the median customer: exact,
    since three columns have only eight subsets.
    """

    parameters: Parameters
    columns: HistoryColumns
    reference: tuple[float, float, float]
    out_of_fold: FloatArray | None = field(default=None, repr=False)

    recipe: ClassVar[str] = "bgnbd"
    file: ClassVar[str] = "bgnbd.json"

    def predict(self, features: pd.DataFrame, horizon_days: int) -> FloatArray:
        """Return the chance of at least one order within the horizon."""
        return self._probability(self.columns.read(features), horizon_days)

    def _probability(self, history: History, horizon_days: int) -> FloatArray:
        weeks = horizon_days / DAYS_PER_WEEK
        return np.clip(self.parameters.probability_of_order(history, weeks), EDGE, 1 - EDGE)

    def base_logit(self, horizon_days: int) -> float:
        """Return the logit of the reference customer."""
        values = [np.array([value]) for value in self.reference]
        history = self.columns.history(*values)
        return float(to_logit(self._probability(history, horizon_days))[0])

    def contributions(self, features: pd.DataFrame, horizon_days: int) -> pd.DataFrame:
        """Return Shapley values in logit units for the three columns, zero for all others."""
        names = (self.columns.order_days, self.columns.recency, self.columns.tenure)
        own = [as_numbers(features[name]) for name in names]
        logits = {
            chosen: self._logit_with(own, chosen, horizon_days)
            for size in range(4)
            for chosen in combinations(range(3), size)
        }
        parts = {name: np.zeros(len(features)) for name in features.columns}
        for i, name in enumerate(names):
            for without in (subset for subset in logits if i not in subset):
                weight = factorial(len(without)) * factorial(2 - len(without)) / factorial(3)
                with_it = tuple(sorted((*without, i)))
                parts[name] += weight * (logits[with_it] - logits[without])
        return pd.DataFrame(parts, index=features.index)

    def _logit_with(
        self, own: list[FloatArray], chosen: tuple[int, ...], horizon_days: int
    ) -> FloatArray:
        values = [
            own[i] if i in chosen else np.full(len(own[i]), self.reference[i]) for i in range(3)
        ]
        return to_logit(self._probability(self.columns.history(*values), horizon_days))

    def to_files(self) -> dict[str, bytes]:
        """Return the model as one JSON file."""
        content = {
            "parameters": vars(self.parameters),
            "columns": vars(self.columns),
            "reference": list(self.reference),
        }
        return {self.file: to_json(content)}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        """Read what :meth:`to_files` wrote."""
        content = from_json(files, cls.file)
        order_days, recency, tenure = (float(value) for value in content["reference"])
        return cls(
            parameters=Parameters(**content["parameters"]),
            columns=HistoryColumns(**content["columns"]),
            reference=(order_days, recency, tenure),
        )

    def as_recipe(self) -> Recipe:
        """Return the recipe; nothing was chosen."""
        return BgNbd(self.columns)


@dataclass(frozen=True)
class BgNbd(Recipe):
    """BG/NBD on the newest histories, each customer once.

    Those are the features at the date to be scored where the frame carries them. No label is
    used, so nothing of the future is: and the newest rate of ordering is what sets the level.
    """

    columns: HistoryColumns

    name: ClassVar[str] = "bgnbd"
    minimum: ClassVar[Minimum] = Minimum(customers=30, per_class=5)

    def fit(
        self,
        frame: TrainingFrame,
        *,
        seed: int,
        threads: int,
        fitted: Mapping[str, FittedModel] | None = None,
    ) -> BgNbdModel:
        """Fit by maximum likelihood; labels are not used.

        Four numbers, fitted without labels, know no customer by name: out-of-fold predictions are
        the model's own.
        """
        newest = frame.newest
        if newest is None or len(newest) < self.minimum.customers:
            newest = frame.features.loc[_newest_rows(frame)]
        reference = [
            float(np.median(as_numbers(newest[name])))
            for name in (self.columns.order_days, self.columns.recency, self.columns.tenure)
        ]
        parameters = fit_parameters(self.columns.read(newest))
        model = BgNbdModel(parameters, self.columns, (reference[0], reference[1], reference[2]))
        model.out_of_fold = model.predict(frame.features, frame.horizon_days)
        return model


def _newest_rows(frame: TrainingFrame) -> IntArray:
    """Return the position of each customer's newest row."""
    last = pd.Series(np.arange(len(frame))).groupby(frame.groups()).max()
    return np.sort(last.to_numpy(dtype=np.int64))
