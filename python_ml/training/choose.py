"""Choose a recipe on what time has shown, measure it where it never looked, and refit it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
import pandas as pd

from python_ml.training.calibrate import (
    SIGMOID_CUSTOMERS,
    Calibrator,
    Identity,
    choose_calibrator,
    fit_shape,
)
from python_ml.training.curves import CurvePoint, curves
from python_ml.training.frame import DayArray, FloatArray, TextArray, TrainingFrame, as_day
from python_ml.training.level import (
    LevelEvidence,
    LevelPolicy,
    apply_shift,
    choose_level,
    default_weight,
)
from python_ml.training.metrics import Interval, Measurement, log_loss, measure, paired_gain
from python_ml.training.payoff import Savings, measure_savings
from python_ml.training.recipes.base import EDGE, FittedModel, Recipe, shift_to_mean
from python_ml.training.recipes.blend import Blend
from python_ml.training.recipes.out_of_fold import out_of_fold
from python_ml.training.spec import Effort, PredictionSpec, TooSmallError
from python_ml.training.splits import (
    Split,
    after_burn_in,
    at_most,
    latest_split,
    rolling_origins,
    windows_seen,
)
from python_ml.training.tried import Tried, row_keys
from python_ml.training.verdict import BASE_RATE, calibration_note

OnStep = Callable[[str], None]
ROWS_EXPLAINED = 2_000
ROWS_AT_A_TIME = 16_384
"""What a model lays out of so many rows stays near the processor, however many there are."""
ORIGIN_THRIFT = 4
"""Single origins are shown beside their pool: rough intervals will do."""
AS_IS = "as_is"
AS_PUBLISHED = "as_published"


@dataclass(frozen=True)
class Measured:
    """One line of the table of metrics.

    ``role`` is ``test``, ``origin`` or ``origins_pooled``; ``form`` is ``as_is`` (the bare model,
    how baselines are compared) or ``as_published`` (calibrated, level drawn). ``gains`` says by
    how much it beats each baseline and the best constant (``base_rate``), with paired intervals;
    above zero is better.
    """

    recipe: str
    role: str
    test_date: str
    form: str
    measurement: Measurement
    gains: Mapping[str, Mapping[str, Interval]]
    savings: Savings | None = None
    curves: tuple[CurvePoint, ...] = ()


@dataclass(frozen=True)
class DataWindow:
    """What the published model has seen."""

    first_date: str
    last_date: str
    dates: int
    rows: int
    customers: int
    positive_rate: float
    test_date: str
    test_train_last_date: str


@dataclass(frozen=True, eq=False)
class Published:
    """A model with its calibrator and its level: what scores.

    Attributes
    ----------
    level_model
        The model whose mean draws the level, where the policy asks for one.
    label_shift
        What brings out-of-fold predictions to the mean of their labels.
    """

    model: FittedModel
    calibrator: Calibrator
    level: LevelPolicy
    label_shift: float
    level_model: FittedModel | None
    horizon_days: int

    def calibrated(self, features: pd.DataFrame) -> FloatArray:
        """Return calibrated probabilities before the level."""
        return self.calibrator.apply(self._predicted(self.model, features))

    def reference(self, features: pd.DataFrame) -> FloatArray | None:
        """Return what the model that draws the level says, where there is one."""
        if self.level_model is None:
            return None
        return self._predicted(self.level_model, features)

    def shift_of(self, calibrated: FloatArray, reference: FloatArray | None) -> float:
        """Return the shift of the level for everyone who is scored at one date."""
        return self.level.shift(calibrated, self.label_shift, reference)

    def level_shift(self, features: pd.DataFrame) -> float:
        """Return the shift of the level for everyone who is scored at one date."""
        return self.shift_of(self.calibrated(features), self.reference(features))

    def predict(self, features: pd.DataFrame, level_shift: float | None = None) -> FloatArray:
        """Return what is published for these rows; without a level, at their own."""
        calibrated = self.calibrated(features)
        if level_shift is None:
            level_shift = self.shift_of(calibrated, self.reference(features))
        return apply_shift(calibrated, level_shift)

    def _predicted(self, model: FittedModel, features: pd.DataFrame) -> FloatArray:
        """Predict row by row, some rows after others."""
        parts = [
            model.predict(features.iloc[start : start + ROWS_AT_A_TIME], self.horizon_days)
            for start in range(0, max(len(features), 1), ROWS_AT_A_TIME)
        ]
        return np.concatenate(parts)


@dataclass(frozen=True, eq=False)
class TrainingResult:
    """The model to publish, and everything that was measured on the way.

    Attributes
    ----------
    published
        The chosen recipe, refitted on every matured date, with calibrator and level.
    level_shift
        The shift for the newest rows at hand: what a single row is scored with.
    importances
        Mean absolute contribution in logit units by ``feature``, with its ``theme``.
    left_out
        Why recipes were not tried, by name.
    level_tested
        False where the test rows come from the training dates.
    chosen_on
        ``rolling origins`` or ``folds of customers``.
    tried
        What every recipe said of the test rows of each origin, oldest first, the test last.
    """

    spec: PredictionSpec
    as_of: str
    seed: int
    features: pd.DataFrame
    categorical: tuple[str, ...]
    chosen: str
    chosen_on: str
    published: Published
    level_shift: float
    selection: Mapping[str, float]
    measured: tuple[Measured, ...]
    importances: pd.DataFrame
    window: DataWindow
    left_out: Mapping[str, str]
    level_tested: bool
    effort: Effort
    tried: tuple[Tried, ...] = ()

    def tested(self) -> Measured:
        """Return what the chosen recipe, as published, shows on the test date."""
        return next(
            line
            for line in self.measured
            if (line.recipe, line.role, line.form) == (self.chosen, "test", AS_PUBLISHED)
        )

    def calibration_note(self) -> str:
        """Return what the published probabilities failed on the test date, empty for nothing."""
        tested = self.tested()
        return calibration_note(tested.measurement, tested.gains, level_tested=self.level_tested)


@dataclass(frozen=True, eq=False)
class _Trial:
    """One recipe on one split."""

    model: FittedModel
    calibrator: Calibrator
    as_is: FloatArray
    calibrated: FloatArray
    label_shift: float


@dataclass(frozen=True, eq=False)
class _Round:
    """Every eligible recipe on one split."""

    split: Split
    label: FloatArray
    entity: TextArray
    trials: Mapping[str, _Trial]
    reference: FloatArray | None
    out_of_fold_losses: Mapping[str, float]
    customers: int
    windows: float
    value: FloatArray | None = None
    as_of: DayArray | None = None

    def tried(self, levels: Mapping[str, LevelPolicy]) -> Tried:
        """Return what every recipe said of the test rows."""
        assert self.as_of is not None
        key, group = row_keys(self.entity, self.as_of)
        return Tried(
            test_date=str(self.split.test_date),
            level_tested=self.split.level_tested,
            key=key,
            group=group,
            label=self.label,
            as_is={name: trial.as_is for name, trial in self.trials.items()},
            as_published={name: self.published(name, levels[name]) for name in self.trials},
        )

    def published(self, name: str, policy: LevelPolicy) -> FloatArray:
        """Return the calibrated predictions at the level of ``policy``."""
        trial = self.trials[name]
        shift = policy.shift(trial.calibrated, trial.label_shift, self.reference)
        return apply_shift(trial.calibrated, shift)


def train(
    spec: PredictionSpec,
    frame: TrainingFrame,
    *,
    as_of: date | str,
    seed: int,
    threads: int,
    newest: pd.DataFrame | None = None,
    effort: Effort = "quick",
    on_step: OnStep | None = None,
    beside: Recipe | None = None,
    tried_on: str | None = None,
) -> TrainingResult:
    """Choose among the recipes, measure them and refit the chosen one (design rules 6 to 8, 11).

    Parameters
    ----------
    frame
        Every labelled row; those whose label is known only after ``as_of`` are not looked at.
    as_of
        The run's as-of date.
    newest
        Features at ``as_of`` of everyone who will be scored: sets the level, needs no labels.
    effort
        How many settings each recipe tries.
    on_step
        Called with a sentence before each step that takes time.
    beside
        A recipe that is measured on the same rows and never chosen: the one in force, where it is
        no candidate any more.
    tried_on
        A further date that the chosen recipe is tested on, where its outcome is known.

    Raises
    ------
    InputError
        If no outcome is known yet.
    TooSmallError
        If no recipe has enough customers.
    """
    say = on_step or (lambda _text: None)
    frame = frame.matured_by(as_of)
    spec = spec.with_effort(effort)
    split = latest_split(frame, as_of, spec.test_span_days)
    eligible, left_out = _eligible(spec, frame.rows(split.train))
    candidates = [recipe.name for recipe in eligible]
    if beside is not None and beside.name not in candidates:
        eligible = [*eligible, beside]
    runner = _Runner(spec, eligible, seed, threads, say)
    origins = [runner.run(frame, origin) for origin in _origins(spec, frame, split, eligible)]
    test = runner.run(frame, split)

    levels = {recipe.name: runner.level(recipe.name, origins, test) for recipe in eligible}
    selection = _selection(origins, test, levels)
    min_gain = spec.min_gain * _uncertainty(float(frame.rows(split.train).label.mean()))
    chosen = _choose(
        {name: selection[name] for name in candidates}, min_gain, by_time=bool(origins)
    )
    say("Measuring")
    measured = _measure_all(spec, chosen, origins=origins, test=test, levels=levels, seed=seed)

    tried = [past.tried(levels) for past in (*origins, test)]
    if tried_on is not None and tried_on not in {past.test_date for past in tried}:
        tried = [*runner.tried_on(frame, tried_on, chosen, levels[chosen]), *tried]

    say(f"Refitting {chosen} on every matured date")
    final = at_most(
        after_burn_in(frame, spec.burn_in_days),
        spec.max_training_rows,
        keep_newest=spec.keep_newest,
    )
    final = final.with_newest(newest)
    published = runner.refit(final, test, chosen, levels[chosen])
    latest = newest if newest is not None else frame.at(frame.dates()[-1]).features
    return TrainingResult(
        spec=spec,
        as_of=str(as_of),
        seed=seed,
        features=frame.features,
        categorical=frame.categorical,
        chosen=chosen,
        chosen_on="rolling origins" if origins else "folds of customers",
        published=published,
        level_shift=published.level_shift(latest),
        selection=selection,
        measured=tuple(measured),
        importances=_importances(published.model, latest, spec.horizon_days),
        window=_window(final, split, frame),
        left_out=left_out,
        level_tested=split.level_tested,
        effort=effort,
        tried=tuple(tried),
    )


def _eligible(spec: PredictionSpec, frame: TrainingFrame) -> tuple[list[Recipe], dict[str, str]]:
    reasons = {recipe.name: recipe.minimum.shortfall(frame) for recipe in spec.recipes}
    left_out = {name: reason for name, reason in reasons.items() if reason is not None}
    eligible = [recipe for recipe in spec.recipes if recipe.name not in left_out]
    if not eligible:
        raise TooSmallError(
            f"{spec.name} is skipped: {'; '.join(f'{k} {v}' for k, v in left_out.items())}.",
            "Load more history, or wait until more outcomes are known.",
        )
    return eligible, left_out


def _origins(
    spec: PredictionSpec, frame: TrainingFrame, split: Split, eligible: Sequence[Recipe]
) -> list[Split]:
    """Return the origins on which every eligible recipe can be tried: only these compare them."""
    if not split.level_tested:
        return []
    return rolling_origins(
        frame,
        split.test_date,
        most=spec.most_origins,
        customers=max(recipe.minimum.customers for recipe in eligible),
        per_class=max(recipe.minimum.per_class for recipe in eligible),
        span_days=spec.test_span_days,
    )


@dataclass(frozen=True, eq=False)
class _Runner:
    """Fits the eligible recipes on splits."""

    spec: PredictionSpec
    eligible: Sequence[Recipe]
    seed: int
    threads: int
    say: OnStep

    def run(self, frame: TrainingFrame, split: Split) -> _Round:
        """Fit every eligible recipe on the training rows, predict the test rows."""
        test = frame.rows(split.test)
        # earlier origins only rank recipes, which takes fewer rows than a good model does
        most_rows = (
            self.spec.max_training_rows if split.role == "test" else self.spec.max_origin_rows
        )
        seen = after_burn_in(frame.rows(split.train), self.spec.burn_in_days)
        train_rows = at_most(seen, most_rows, keep_newest=self.spec.keep_newest)
        if split.level_tested:
            train_rows = train_rows.with_newest(test.features)
        fitted: dict[str, FittedModel] = {}
        trials, losses = {}, {}
        for recipe in self.eligible:
            self.say(f"Fitting {recipe.name} for {split.role} date {split.test_date}")
            model = self._fit(recipe, train_rows, fitted)
            fitted[recipe.name] = model
            unseen = self._out_of_fold(recipe, model, train_rows)
            calibrator = choose_calibrator(
                unseen, train_rows.label, train_rows.entity, seed=self.seed
            )
            losses[recipe.name] = _loss_at_own_level(train_rows.label, unseen)
            as_is = model.predict(test.features, self.spec.horizon_days)
            trials[recipe.name] = _Trial(
                model=model,
                calibrator=calibrator,
                as_is=as_is,
                calibrated=calibrator.apply(as_is),
                label_shift=_label_shift(calibrator, unseen, train_rows.label),
            )
        reference = trials.get(self.spec.level_reference or "")
        return _Round(
            split=split,
            label=test.label,
            entity=test.entity,
            trials=trials,
            reference=None if reference is None else reference.as_is,
            out_of_fold_losses=losses,
            customers=train_rows.customers(),
            windows=windows_seen(train_rows),
            value=None if self.spec.payoff is None else self.spec.payoff.values(test.features),
            as_of=test.as_of,
        )

    def tried_on(
        self, frame: TrainingFrame, day: str, chosen: str, level: LevelPolicy
    ) -> list[Tried]:
        """Return what one recipe says of a further date, fitted on what was known by then."""
        first = as_day(day)
        in_span = (frame.as_of >= first) & (frame.as_of < first + self.spec.test_span_days)
        split = Split("origin", first, frame.label_known_at <= first, np.asarray(in_span))
        if not split.test.any() or len(np.unique(frame.label[split.train])) < 2:  # noqa: PLR2004
            return []
        names = {chosen, self.spec.level_reference}
        few = replace(self, eligible=[r for r in self.eligible if r.name in names])
        past = few.run(frame, split)
        return [past.tried(dict.fromkeys(past.trials, level))]

    def _fit(
        self, recipe: Recipe, frame: TrainingFrame, fitted: Mapping[str, FittedModel]
    ) -> FittedModel:
        return recipe.fit(frame, seed=self.seed, threads=self.threads, fitted=fitted)

    def _out_of_fold(self, recipe: Recipe, model: FittedModel, frame: TrainingFrame) -> FloatArray:
        return out_of_fold(recipe, model, frame, seed=self.seed, threads=self.threads)

    def level(self, name: str, origins: Sequence[_Round], test: _Round) -> LevelPolicy:
        """Return where this recipe takes its level from, as the rolling origins say.

        Small shops get the model as it is (rule 8).
        """
        if test.customers < SIGMOID_CUSTOMERS:
            return LevelPolicy("none")
        trials = [(past.trials[name], past.reference, past.label) for past in origins]
        return choose_level(
            [
                LevelEvidence(trial.calibrated, trial.label_shift, reference, label)
                for trial, reference, label in trials
            ],
            default_weight=default_weight(self.spec.level_weight, test.windows),
            min_gain=self.spec.min_gain,
            has_reference=test.reference is not None,
        )

    def refit(
        self, frame: TrainingFrame, test: _Round, chosen: str, level: LevelPolicy
    ) -> Published:
        """Fit the chosen recipe, what it chose fixed, with calibrator and level model."""
        trial = test.trials[chosen]
        fitted: dict[str, FittedModel] = {}
        level_model = None
        if level.kind == "reference" and self.spec.level_reference is not None:
            recipe = test.trials[self.spec.level_reference].model.as_recipe()
            level_model = fitted[recipe.name] = self._fit(recipe, frame, {})
        recipe = trial.model.as_recipe()
        model = fitted.get(chosen) or self._fit(recipe, frame, fitted)
        calibrator, shift = trial.calibrator, 0.0
        if calibrator.kind != Identity.kind or level.kind == "labels":
            seen = self._out_of_fold(recipe, model, frame)
            calibrator = fit_shape(calibrator.kind, seen, frame.label)
            shift = _label_shift(calibrator, seen, frame.label)
        return Published(
            model=model,
            calibrator=calibrator,
            level=level,
            label_shift=shift,
            level_model=level_model,
            horizon_days=self.spec.horizon_days,
        )


def _label_shift(calibrator: Calibrator, out_of_fold: FloatArray, label: FloatArray) -> float:
    """Return the shift that brings out-of-fold predictions to the mean of their labels."""
    return shift_to_mean(calibrator.apply(out_of_fold), float(label.mean()))


def _loss_at_own_level(label: FloatArray, out_of_fold: FloatArray) -> float:
    """Return the log-loss after the mean is made right.

    Folds of customers share their dates with the training rows: they can compare ranking and
    shape, but not levels, which is where a blend with BG/NBD differs from its parts.
    """
    shift = shift_to_mean(out_of_fold, float(label.mean()))
    return log_loss(label, apply_shift(out_of_fold, shift))


def _selection(
    origins: Sequence[_Round], test: _Round, levels: Mapping[str, LevelPolicy]
) -> dict[str, float]:
    """Return each recipe's log-loss on the origins pooled, else on folds of customers."""
    if not origins:
        return dict(test.out_of_fold_losses)
    label = np.concatenate([past.label for past in origins])
    return {
        name: log_loss(
            label, np.concatenate([past.published(name, levels[name]) for past in origins])
        )
        for name in test.trials
    }


def _choose(losses: Mapping[str, float], min_gain: float, *, by_time: bool) -> str:
    """Return the first, simplest recipe whose loss is within ``min_gain`` of the best.

    Folds of customers share their dates with the training rows and flatter what learns a date's
    luck, trees above all; where time has not compared the recipes, the blend is the safer choice.
    """
    if Blend.name in losses and not by_time:
        return Blend.name
    best = min(losses.values())
    return next(name for name, loss in losses.items() if loss < best + min_gain)


def _uncertainty(rate: float) -> float:
    """Return the entropy of a yes-rate, 1 at a half.

    Where nearly everybody says yes, all log-loss there is to win may be less than what is a small
    gain elsewhere.

    >>> [round(_uncertainty(rate), 2) for rate in (0.5, 0.1, 0.01)]
    [1.0, 0.47, 0.08]
    """
    rates = np.array([rate, 1 - rate])
    return float(-(rates * np.log2(np.maximum(rates, EDGE))).sum())


def _measure_all(
    spec: PredictionSpec,
    chosen: str,
    *,
    origins: Sequence[_Round],
    test: _Round,
    levels: Mapping[str, LevelPolicy],
    seed: int,
) -> list[Measured]:
    rounds = [*origins, test]
    lines = [
        _line(
            spec,
            name,
            past,
            form=form,
            level=levels[name],
            seed=seed,
            gains=past is test and name == chosen,
        )
        for past in rounds
        for name in past.trials
        for form in (AS_IS, AS_PUBLISHED)
    ]
    if not origins:
        return lines
    pooled = _pooled(origins, levels)
    return lines + [
        _line(
            spec,
            name,
            pooled,
            form=form,
            level=LevelPolicy("none"),
            seed=seed,
            gains=name == chosen,
        )
        for name in pooled.trials
        for form in (AS_IS, AS_PUBLISHED)
    ]


def _pooled(origins: Sequence[_Round], levels: Mapping[str, LevelPolicy]) -> _Round:
    """Return the origins as one; levels were drawn origin by origin."""
    trials = {
        name: replace(
            origins[-1].trials[name],
            as_is=np.concatenate([past.trials[name].as_is for past in origins]),
            calibrated=np.concatenate([past.published(name, levels[name]) for past in origins]),
        )
        for name in origins[-1].trials
    }
    label = np.concatenate([past.label for past in origins])
    entity = np.concatenate([past.entity for past in origins])
    values = [past.value for past in origins if past.value is not None]
    return _Round(
        replace(origins[-1].split, role="origins_pooled"),
        label,
        entity,
        trials,
        None,
        {},
        0,
        0.0,
        np.concatenate(values) if values else None,
    )


def _line(
    spec: PredictionSpec,
    name: str,
    past: _Round,
    *,
    form: str,
    level: LevelPolicy,
    seed: int,
    gains: bool,
) -> Measured:
    as_is = form == AS_IS
    rounds = spec.bootstrap_rounds // (ORIGIN_THRIFT if past.split.role == "origin" else 1)
    probability = past.trials[name].as_is if as_is else past.published(name, level)
    savings = None
    if spec.payoff is not None and past.value is not None and gains and not as_is:
        savings = measure_savings(
            spec.payoff, past.label, probability, past.value, past.entity, rounds=rounds, seed=seed
        )
    against: dict[str, FloatArray] = {}
    if gains and not as_is:
        against = {b: past.trials[b].as_is for b in spec.baselines if b in past.trials}
        against[BASE_RATE] = np.full(len(past.label), past.label.mean())
    return Measured(
        recipe=name,
        role=past.split.role,
        test_date=str(past.split.test_date),
        form=form,
        measurement=measure(past.label, probability, past.entity, rounds=rounds, seed=seed),
        gains={
            baseline: paired_gain(
                past.label,
                probability,
                predictions,
                past.entity,
                rounds=rounds,
                seed=seed,
            )
            for baseline, predictions in against.items()
        },
        savings=savings,
        curves=curves(past.label, probability) if gains and not as_is else (),
    )


def _importances(model: FittedModel, features: pd.DataFrame, horizon_days: int) -> pd.DataFrame:
    step = max(1, len(features) // ROWS_EXPLAINED)
    contributions = model.contributions(features.iloc[::step], horizon_days)
    importance = contributions.abs().mean().sort_values(ascending=False, kind="stable")
    return pd.DataFrame(
        {
            "feature": importance.index.astype(str),
            "theme": [str(name).split("_", 1)[0] for name in importance.index],
            "importance": importance.to_numpy(dtype=np.float64),
        }
    )


def _window(final: TrainingFrame, split: Split, frame: TrainingFrame) -> DataWindow:
    dates = final.dates()
    return DataWindow(
        first_date=str(dates[0]),
        last_date=str(dates[-1]),
        dates=len(dates),
        rows=len(final),
        customers=final.customers(),
        positive_rate=float(final.label.mean()),
        test_date=str(split.test_date),
        test_train_last_date=str(frame.as_of[split.train].max()),
    )
