"""What acting on predictions is worth: threshold, expected and realised saving.

Acting on a row costs something whether the answer would have been yes or not, and prevents a share
of the yeses, each of which costs something. Acting pays from the probability on at which what it
prevents is worth more than what it costs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from python_ml.training.frame import BoolArray, FloatArray, TextArray
from python_ml.training.metrics import Interval, bootstrap_means
from python_ml.training.recipes.design import as_numbers

PER_ROWS = 1_000
"""Savings are stated per this many rows, so that test spans of different size compare."""


@dataclass(frozen=True)
class Payoff:
    """What a yes costs, and what can be done about it.

    Parameters
    ----------
    value_column
        The feature that holds the value of a row.
    fixed_cost, value_share
        A yes costs ``fixed_cost + value_share * value``.
    action_cost
        What acting on one row costs.
    saved_share
        Share of the yeses that acting prevents.

    Examples
    --------
    >>> payoff = Payoff("value", 5.0, 0.1, action_cost=0.5, saved_share=0.25)
    >>> payoff.threshold(np.array([50.0])).tolist()
    [0.2]
    """

    value_column: str
    fixed_cost: float
    value_share: float
    action_cost: float
    saved_share: float

    def values(self, features: pd.DataFrame) -> FloatArray:
        """Return the value of each row, 0 where it is not known."""
        return np.nan_to_num(as_numbers(features[self.value_column]))

    def saving(self, probability: FloatArray, value: FloatArray) -> FloatArray:
        """Return what acting on each row saves on average; with outcomes for probabilities, did."""
        cost = self.fixed_cost + self.value_share * value
        return np.asarray(probability * self.saved_share * cost - self.action_cost)

    def threshold(self, value: FloatArray) -> FloatArray:
        """Return the probability from which acting on each row pays."""
        cost = self.fixed_cost + self.value_share * value
        return np.minimum(1.0, self.action_cost / (self.saved_share * cost))

    def worth_acting(self, probability: FloatArray, value: FloatArray) -> BoolArray:
        """Return where acting pays."""
        return np.asarray(self.saving(probability, value) > 0)


@dataclass(frozen=True)
class Savings:
    """What acting saves per 1,000 rows, in money; acting on none saves 0.

    Attributes
    ----------
    acted_share
        Share of rows above their threshold.
    expected
        What the probabilities promise for acting on those rows.
    realised, realised_all
        What acting on those rows, and on all, would have saved given the outcomes.
    over_all
        By how much the former beats the latter.
    """

    acted_share: float
    expected: float
    realised: Interval
    realised_all: Interval
    over_all: Interval


def measure_savings(
    payoff: Payoff,
    label: FloatArray,
    probability: FloatArray,
    value: FloatArray,
    entity: TextArray,
    *,
    rounds: int,
    seed: int,
) -> Savings:
    """Return what acting by threshold would have saved on rows whose outcome is known."""
    acted = payoff.worth_acting(probability, value)
    outcome = payoff.saving(label, value)
    columns = np.column_stack((outcome * acted, outcome, outcome * ~acted)) * PER_ROWS
    by_threshold, for_all, avoided = bootstrap_means(columns, entity, rounds=rounds, seed=seed)
    expected: Any = (payoff.saving(probability, value) * acted).mean() * PER_ROWS
    return Savings(
        acted_share=float(acted.mean()),
        expected=float(expected),
        realised=by_threshold,
        realised_all=for_all,
        over_all=Interval(-avoided.value, -avoided.high, -avoided.low),
    )
