"""What a rung is: which features, which model, how the classes are balanced."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Model = Literal["trees", "dart", "network", "recipe"]
"""Boosted trees; trees with dropout, their number chosen by AUC; a neural network; what the product
itself would publish."""

Balance = Literal[
    "none", "smote", "smote_tomek", "under", "noise", "bootstrap", "class_weights", "costs"
]
"""What is done to training rows before a model sees them."""


@dataclass(frozen=True)
class Rung:
    """One idea.

    Parameters
    ----------
    name
        Short, as the table shows it.
    idea
        What is new about it, in a few words.
    features
        How the names of its features begin: a theme (``recency_``) or a whole name.
    before_split
        As it was done, rows are balanced before they are split, so that rows made from test rows
        train and made rows test. The honest protocol balances training rows alone, whatever this
        says.
    stratified
        As it was done, the random split keeps the share of ones.
    selected
        Keep only features whose permutation costs AUC on customers held out.
    against
        The rung that its gain is measured over; the first one by default.
    """

    name: str
    idea: str
    features: tuple[str, ...]
    model: Model = "trees"
    balance: Balance = "none"
    before_split: bool = False
    stratified: bool = False
    selected: bool = False
    against: str | None = None

    def columns(self, names: Iterable[str]) -> list[str]:
        """Return which of these features it uses, in their order.

        >>> Rung("a", "", ("recency_", "frequency_orders_total")).columns(
        ...     ["recency_days", "frequency_orders_7d", "frequency_orders_total"]
        ... )
        ['recency_days', 'frequency_orders_total']
        """
        return [name for name in names if name.startswith(self.features)]
