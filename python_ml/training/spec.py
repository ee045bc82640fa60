"""What a prediction declares of itself, as far as training needs to know it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from python_ml.errors import SmartRetailError
from python_ml.training.payoff import Payoff
from python_ml.training.recipes.base import Effort, Recipe

__all__ = ["Effort", "PredictionSpec", "TooSmallError"]


class TooSmallError(SmartRetailError):
    """The shop is too small for every recipe of a prediction; the others go on (rule 8)."""


QUICK_ROWS = 60_000
"""Rows that a quick training looks at."""


@dataclass(frozen=True)
class PredictionSpec:
    """A binary prediction over (entity, as-of date) rows.

    Parameters
    ----------
    name
        As in ``feat_<name>``.
    horizon_days
        Length of the window that the label looks at.
    recipes
        What may be published, simplest first: a gain under ``min_gain`` goes to the simpler one.
    baselines
        Names of the recipes that the published one is measured against, as they are.
    level_reference
        Name of the recipe whose mean draws the level, or ``None`` for none (design rule 7).
    level_weight
        How far it draws, in logit, once labels have seen a few windows: half-way won on five
        public shops.
    burn_in_days
        Dates this close to the first one do not train: see :func:`splits.after_burn_in`.
    min_gain
        Log-loss that a less simple choice must save where half say yes; in proportion less where
        the answer is nearly sure.
    most_origins
        Rolling origins that recipes are chosen on.
    max_training_rows
        Above it, whole customers are sampled.
    keep_newest
        Above it, the newest rows are kept instead: where rows come day by day, old ones tell of
        other products and other customers.
    max_origin_rows
        The same for each rolling origin that recipes are chosen on.
    payoff
        What acting on a prediction costs and saves, where that is known.
    test_span_days
        Days of as-of dates that are tested together: more than one where rows come day by day.
    bootstrap_rounds
        Draws behind each interval.
    """

    name: str
    horizon_days: int
    recipes: tuple[Recipe, ...]
    baselines: tuple[str, ...] = ()
    level_reference: str | None = None
    level_weight: float = 0.5
    burn_in_days: int = 0
    min_gain: float = 0.001
    most_origins: int = 4
    max_training_rows: int = 400_000
    max_origin_rows: int = 20_000
    keep_newest: bool = False
    payoff: Payoff | None = None
    test_span_days: int = 1
    bootstrap_rounds: int = 200

    def with_effort(self, effort: Effort) -> PredictionSpec:
        """Return the same prediction, each recipe with the number of trials of ``effort``.

        A quick one looks at fewer rows, too.
        """
        most_rows = QUICK_ROWS if effort == "quick" else self.max_training_rows
        return replace(
            self,
            recipes=tuple(recipe.with_effort(effort) for recipe in self.recipes),
            max_training_rows=min(self.max_training_rows, most_rows),
        )

    def __post_init__(self) -> None:
        names = [recipe.name for recipe in self.recipes]
        unknown = (set(self.baselines) | {self.level_reference or names[0]}) - set(names)
        if unknown or len(set(names)) != len(names):
            raise ValueError(f"recipes {names} must be distinct and include {sorted(unknown)}")
