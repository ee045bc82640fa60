"""Climbs rungs: every one the same way, under both protocols."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from sklearn.model_selection import train_test_split

from python_ml.experiments.ladder.balance import Rows, balanced, prior_shift
from python_ml.experiments.ladder.cuts import Cut, Honest
from python_ml.experiments.ladder.models import costs_of_permuting, fit
from python_ml.experiments.ladder.rungs import Rung
from python_ml.training.choose import train
from python_ml.training.frame import FloatArray, IntArray, TextArray, TrainingFrame
from python_ml.training.level import apply_shift
from python_ml.training.metrics import Interval, Measurement, measure, paired_gain
from python_ml.training.recipes.design import Design, fit_design
from python_ml.training.spec import PredictionSpec, TooSmallError

ROUNDS = 200
TEST_SHARE = 0.25
ORIGINS, ORIGIN_ROWS = 2, 10_000
"""What the product looks at before it chooses a recipe; fewer than when it publishes."""
HONEST = "honest"
TOLD = 5
"""Features that an explanation names."""


@dataclass(frozen=True, eq=False)
class Predicted:
    """Test rows and what a rung says of them.

    ``shift`` takes the probabilities back to the prior of the rows before balancing.
    """

    label: FloatArray
    probability: FloatArray
    entity: TextArray
    shift: float = 0.0
    costs: Mapping[str, float] | None = None
    recipe: str | None = None

    @property
    def corrected(self) -> FloatArray:
        """The probabilities with the prior put back."""
        return apply_shift(self.probability, self.shift)


@dataclass(frozen=True, eq=False)
class Climbed:
    """One rung under both protocols.

    Attributes
    ----------
    honest, corrected
        As the model says it, and with the prior put back; equal where nothing was balanced.
    gain
        By how much ``corrected`` is better than the rung that it is held against, on the same rows.
    as_done
        By the name of the leak.
    costs
        What permuting each feature cost in AUC, by leak and `honest`, where that selected them.
    reason
        Why there is no honest figure.
    recipe
        The recipe that the product chose, where the rung is the product's.
    """

    rung: Rung
    as_done: Mapping[str, Measurement]
    honest: Measurement | None
    corrected: Measurement | None
    gain: Mapping[str, Interval]
    costs: Mapping[str, Mapping[str, float]]
    reason: str | None = None
    recipe: str | None = None


@dataclass(frozen=True, eq=False)
class Climber:
    """Climbs the rungs of one cut.

    Parameters
    ----------
    cost
        What a wrong answer on each row would cost, for rungs that weigh by it.
    say
        Called with a sentence before each rung.
    """

    cut: Cut
    seed: int
    threads: int
    say: Callable[[str], None]
    cost: Callable[[TrainingFrame], FloatArray] | None = None

    def climb(self, rungs: Sequence[Rung]) -> list[Climbed]:
        """Return every rung, in order."""
        climbed: list[Climbed] = []
        honest: dict[str, Predicted] = {}
        for rung in rungs:
            self.say(f"{rung.name}: {rung.idea}")
            reason = self.cut.reason
            if self.cut.honest is not None:
                try:
                    honest[rung.name] = self._honest(rung, self.cut.honest)
                except TooSmallError as error:
                    reason = error.message
            own = honest.get(rung.name)
            as_done = {
                leak: self._as_done(rung, frame, own.recipe if own else None)
                for leak, frame in self.cut.as_done.items()
            }
            held_against = honest.get(rung.against or rungs[0].name)
            climbed.append(self._measured(rung, as_done, own, held_against, reason))
        return climbed

    # -- honest ------------------------------------------------------------------------------

    def _honest(self, rung: Rung, rows: Honest) -> Predicted:
        test = rows.test
        if rung.model == "recipe":
            result = train(
                self._spec(),
                rows.known,
                as_of=rows.test_date if rows.level_tested else self.cut.as_of,
                seed=self.seed,
                threads=self.threads,
                newest=test.features if rows.level_tested else None,
            )
            probability = result.published.predict(test.features, result.level_shift)
            return Predicted(test.label, probability, test.entity, recipe=result.chosen)
        design, train_rows, costs = self._prepared(rung, rows.train)
        shown = balanced(rung.balance, train_rows, self.seed)
        model = fit(rung.model, shown, seed=self.seed, threads=self.threads)
        probability = model(design.matrix(test.features))
        shift = prior_shift(train_rows, shown)
        return Predicted(test.label, probability, test.entity, shift, costs)

    # -- as it was done ----------------------------------------------------------------------

    def _as_done(self, rung: Rung, frame: TrainingFrame, recipe: str | None) -> Predicted:
        if rung.model == "recipe":
            return self._as_done_by_recipe(frame, recipe)
        # scaled, selected and, where that is so, balanced on all rows before the split
        _, rows, costs = self._prepared(rung, frame)
        if rung.before_split:
            rows = balanced(rung.balance, rows, self.seed)
        seen, unseen = self._at_random(rows.label, stratified=rung.stratified)
        train_rows, test_rows = rows.take(seen), rows.take(unseen)
        if not rung.before_split:
            train_rows = balanced(rung.balance, train_rows, self.seed)
        model = fit(rung.model, train_rows, seed=self.seed, threads=self.threads)
        return Predicted(test_rows.label, model(test_rows.matrix), test_rows.entity, costs=costs)

    def _as_done_by_recipe(self, frame: TrainingFrame, name: str | None) -> Predicted:
        """Fit the recipe that the product would publish; the richest that fits where none does."""
        seen, unseen = self._at_random(frame.label, stratified=True)
        train_rows, test_rows = (
            frame.rows(np.isin(np.arange(len(frame)), places)) for places in (seen, unseen)
        )
        fitting = [r for r in self.cut.spec.recipes if r.minimum.shortfall(train_rows) is None]
        recipe = next(
            (r for r in fitting if r.name == name), (fitting or self.cut.spec.recipes)[-1]
        )
        model = recipe.fit(train_rows, seed=self.seed, threads=self.threads)
        probability = model.predict(test_rows.features, frame.horizon_days)
        return Predicted(test_rows.label, probability, test_rows.entity, recipe=recipe.name)

    def _at_random(self, label: FloatArray, *, stratified: bool) -> tuple[IntArray, IntArray]:
        """Return places of training and of test rows, whoever's and whenever they are."""
        seen, unseen = train_test_split(
            np.arange(len(label)),
            test_size=TEST_SHARE,
            random_state=self.seed % 2**31,
            stratify=label if stratified and min(np.bincount(label.astype(int))) > 1 else None,
        )
        return np.sort(seen), np.sort(unseen)

    # -- both --------------------------------------------------------------------------------

    def _prepared(
        self, rung: Rung, frame: TrainingFrame
    ) -> tuple[Design, Rows, dict[str, float] | None]:
        """Return the design of a rung's features and the rows in it, selected where that is so."""
        design = fit_design(frame, rung.columns(frame.features.columns))
        rows = self._rows(design, frame)
        if not rung.selected:
            return design, rows, None
        terms = [term.column for term in design.terms]
        costs = costs_of_permuting(rows, terms, seed=self.seed, threads=self.threads)
        design = _only(design, _worth_keeping(costs))
        return design, self._rows(design, frame), costs

    def _rows(self, design: Design, frame: TrainingFrame) -> Rows:
        ones = np.ones(len(frame))
        cost = ones if self.cost is None else self.cost(frame)
        return Rows(design.matrix(frame.features), frame.label, frame.entity, ones, cost)

    def _spec(self) -> PredictionSpec:
        return replace(
            self.cut.spec,
            most_origins=ORIGINS,
            max_origin_rows=ORIGIN_ROWS,
            bootstrap_rounds=10,
        )

    def _measured(
        self,
        rung: Rung,
        as_done: Mapping[str, Predicted],
        honest: Predicted | None,
        held_against: Predicted | None,
        reason: str | None,
    ) -> Climbed:
        gain: Mapping[str, Interval] = {}
        raw = corrected = None
        predicted = {**({HONEST: honest} if honest is not None else {}), **as_done}
        if honest is not None:
            raw = self._measure(honest, honest.probability)
            corrected = raw if honest.shift == 0 else self._measure(honest, honest.corrected)
        if honest is not None and held_against is not None and held_against is not honest:
            gain = paired_gain(
                honest.label,
                honest.corrected,
                held_against.corrected,
                honest.entity,
                rounds=ROUNDS,
                seed=self.seed,
            )
        return Climbed(
            rung=rung,
            as_done={leak: self._measure(p, p.probability) for leak, p in as_done.items()},
            honest=raw,
            corrected=corrected,
            gain=gain,
            costs={n: p.costs for n, p in predicted.items() if p.costs is not None},
            reason=None if honest is not None else reason,
            recipe=next((p.recipe for p in predicted.values() if p.recipe), None),
        )

    def _measure(self, rows: Predicted, probability: FloatArray) -> Measurement:
        return measure(rows.label, probability, rows.entity, rounds=ROUNDS, seed=self.seed)


def _worth_keeping(costs: Mapping[str, float]) -> list[str]:
    """Return the features whose permutation costs AUC; all where none does alone.

    Where several say the same, each can be shuffled at no cost: then permutation tells nothing.
    """
    return [name for name, cost in costs.items() if cost > 0] or list(costs)


def _only(design: Design, columns: list[str]) -> Design:
    """Return the design with the terms of some columns alone."""
    terms = tuple(term for term in design.terms if term.column in columns)
    numbers = {name: number for name, number in design.numbers.items() if name in columns}
    return Design(numbers, terms)


def told(costs: Mapping[str, float]) -> str:
    """Return the costliest features in words."""
    ordered = sorted(costs.items(), key=lambda item: (-item[1], item[0]))[:TOLD]
    return ", ".join(f"{name} {cost:.3f}" for name, cost in ordered)
