"""Choose, measure and refit what ranks pairs: the same road in time as other predictions take."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from python_ml.training.choose import AS_PUBLISHED, Measured
from python_ml.training.curves import curves
from python_ml.training.frame import (
    BoolArray,
    DayArray,
    FloatArray,
    IntArray,
    TrainingFrame,
    as_day,
)
from python_ml.training.metrics import Interval, measure, paired_gain
from python_ml.training.pairs.candidates import candidate_pairs
from python_ml.training.pairs.measure import (
    RankingScores,
    candidate_recall,
    mean_interval,
    place_within,
    ranking_scores,
)
from python_ml.training.pairs.snapshot import Snapshot
from python_ml.training.pairs.spec import PairSpec
from python_ml.training.recipes.base import FittedModel, Recipe, to_logit, to_probability
from python_ml.training.spec import TooSmallError
from python_ml.training.splits import stable_hash
from python_ml.training.verdict import BASE_RATE, calibration_note

OnStep = Callable[[str], None]
SWEEP = (25, 50, 100, 200, 400)
ROWS_EXPLAINED = 2_000
TEST_SHARE = 0.25
FEW_PAIRS = 100_000
"""Up to here every pair that came to nothing is learned from."""
MOST_DATES = 12
"""Where items are few, the dates of a year are learned from: no season is missing."""


@dataclass(frozen=True, eq=False)
class Sampled:
    """Candidate pairs of sampled customers at one date, and what became of them.

    ``frame`` holds some of the pairs that came to nothing, all of those that came true. ``bought``
    counts what each sampled customer then bought, candidate or not.
    """

    frame: TrainingFrame
    customer: IntArray
    reach: IntArray
    bought: Mapping[int, int]
    share: float


SnapshotOf = Callable[[date], Snapshot]
TruthOf = Callable[[date], pd.DataFrame]


@dataclass(frozen=True, eq=False)
class PairResult:
    """What is published for one level, and what was measured on the way.

    Attributes
    ----------
    prior_shift
        Logit that takes the model from the sampled pairs to all of them.
    """

    level: str
    chosen: str
    chosen_on: str
    model: FittedModel
    prior_shift: float
    features: pd.DataFrame
    categorical: tuple[str, ...]
    measured: tuple[Measured, ...]
    ranking: tuple[RankingLine, ...]
    candidate_recall: Mapping[int, float]
    importances: pd.DataFrame
    dates: tuple[str, ...]
    rows: int
    customers: int
    level_tested: bool
    left_out: Mapping[str, str]

    def ndcg_gains(self) -> dict[str, Interval]:
        """Return what the chosen recipe gains in NDCG over each other one on the test date."""
        for line in self.ranking:
            if line.recipe == self.chosen:
                return {
                    other: gain
                    for other, gains in line.gains.items()
                    for metric, gain in gains.items()
                    if metric.startswith("ndcg")
                }
        return {}

    def calibration_note(self) -> str:
        """Return what the published probabilities failed on the test date, empty for nothing."""
        for line in self.measured:
            if line.recipe == self.chosen:
                return calibration_note(
                    line.measurement, line.gains, level_tested=self.level_tested
                )
        return ""


@dataclass(frozen=True)
class RankingLine:
    """A recipe's ranking on the test date; ``gains`` are over each other recipe, paired."""

    recipe: str
    test_date: str
    customers: int
    metrics: Mapping[str, Interval]
    gains: Mapping[str, Mapping[str, Interval]]


def plan_dates(known: DayArray, label_known_at: DayArray, by: np.datetime64, most: int) -> DayArray:
    """Return the latest as-of dates whose windows had closed by ``by``, at most so many."""
    return np.sort(known[label_known_at <= by])[-most:]


@dataclass(eq=False)
class PairTrainer:
    """Trains one level of one shop.

    Parameters
    ----------
    snapshot_of
        Makes the snapshot of a date: features, first stage, customers to draw from.
    items
        How many items the level has.
    threads
        Says, before each fit, how many threads are free for it.
    truth_of
        Returns ``customer_id`` and ``item_id`` of the pairs of a date that came true.
    """

    spec: PairSpec
    level: str
    items: int
    horizon_days: int
    snapshot_of: SnapshotOf
    truth_of: TruthOf
    seed: int
    threads: Callable[[], int]
    say: OnStep
    _samples: dict[tuple[str, bool], Sampled] = field(default_factory=dict)

    def train(self, dates: DayArray, label_known_at: DayArray, as_of: date) -> PairResult:
        """Choose on an earlier date where there is one, measure on the latest, refit on all.

        Raises
        ------
        TooSmallError
            When no recipe has enough customers with and without a new purchase.
        """
        by = as_day(as_of)
        final_dates = plan_dates(dates, label_known_at, by, self.train_dates)
        if len(final_dates) == 0:
            raise TooSmallError(
                f"no_matured_labels: no window of {self.horizon_days} days has closed by {as_of}.",
                "Load more history, or ask for a shorter horizon with --horizon-days.",
            )
        test_date = final_dates[-1]
        test_train = plan_dates(dates, label_known_at, test_date, self.train_dates)
        choosing = self._choose(dates, label_known_at, test_train)
        test, train_rows, tested = self._test_split(test_date, test_train)
        fitted, left_out = self._fit_all(train_rows, self.spec.recipes)
        if not fitted:
            reasons = "; ".join(f"{name} {reason}" for name, reason in left_out.items())
            raise TooSmallError(f"too_small: {reasons}.", "Load more history.")
        chosen, chosen_on = self._pick(choosing, fitted)
        self.say(f"Measuring {self.level} on {test_date}")
        ranking, measured = self._measure(fitted, test, train_rows.share, chosen)
        self.say(f"Refitting {chosen} of {self.level} on {len(final_dates)} dates")
        final = self._joined(final_dates)
        model = self._fit(fitted[chosen].as_recipe(), final.frame)
        return PairResult(
            level=self.level,
            chosen=chosen,
            chosen_on=chosen_on,
            model=model,
            prior_shift=float(np.log(final.share)),
            features=final.frame.features,
            categorical=final.frame.categorical,
            measured=tuple(measured),
            ranking=tuple(ranking),
            candidate_recall=candidate_recall(
                test.reach, test.frame.label > 0, sum(test.bought.values()), self._sweep()
            ),
            importances=_importances(model, final.frame, self.horizon_days, self.level),
            dates=tuple(str(day) for day in final_dates),
            rows=len(final.frame),
            customers=final.frame.customers(),
            level_tested=tested,
            left_out=left_out,
        )

    @property
    def train_dates(self) -> int:
        """As-of dates behind one model: as many more as fewer items leave room for."""
        as_many = self.spec.train_dates * self.spec.candidates // max(self.items, 1)
        return max(self.spec.train_dates, min(as_many, MOST_DATES))

    @property
    def share(self) -> float:
        """The share of the noes that training sees: all of them where the pairs are few."""
        per_customer = min(self.spec.candidates, self.items)
        pairs = per_customer * self.spec.customers_per_date * self.train_dates
        return 1.0 if pairs <= FEW_PAIRS else self.spec.negatives_share

    # -- choosing ----------------------------------------------------------------------------

    def _choose(
        self, dates: DayArray, label_known_at: DayArray, test_train: DayArray
    ) -> dict[str, float] | None:
        """Return each recipe's NDCG on a date whose outcome was known before the test date."""
        if len(test_train) == 0:
            return None
        date_ = test_train[-1]
        earlier = plan_dates(dates, label_known_at, date_, self.train_dates)
        if len(earlier) == 0:
            return None
        recipes = [recipe.for_choosing() for recipe in self.spec.recipes]
        fitted, _ = self._fit_all(self._joined(earlier), recipes)
        test = self._sample(date_, whole=True)
        if not fitted or not test.bought:
            return None
        self.say(f"Comparing recipes of {self.level} on {date_}")
        return {
            name: float(self._scores(self._predicted(model, test), test).ndcg.mean())
            for name, model in fitted.items()
        }

    def _pick(
        self, choosing: Mapping[str, float] | None, fitted: Mapping[str, FittedModel]
    ) -> tuple[str, str]:
        names = [recipe.name for recipe in self.spec.recipes if recipe.name in fitted]
        known = {name: choosing[name] for name in names if choosing and name in choosing}
        if not known:
            return names[
                -1
            ], "no earlier date: the richest recipe that the shop is large enough for"
        best = max(known.values())
        chosen = next(n for n in names if known.get(n, -1.0) > best - self.spec.min_gain)
        return chosen, "an earlier date"

    # -- fitting -----------------------------------------------------------------------------

    def _fit_all(
        self, rows: Sampled, recipes: Sequence[Recipe]
    ) -> tuple[dict[str, FittedModel], dict[str, str]]:
        fitted, left_out = {}, {}
        for recipe in recipes:
            shortfall = recipe.minimum.shortfall(rows.frame)
            if shortfall is None:
                self.say(f"Fitting {recipe.name} of {self.level} on {len(rows.frame):,} pairs")
                fitted[recipe.name] = self._fit(recipe, rows.frame)
            else:
                left_out[recipe.name] = shortfall
        return fitted, left_out

    def _fit(self, recipe: Recipe, frame: TrainingFrame) -> FittedModel:
        return recipe.fit(frame, seed=self.seed, threads=self.threads(), fitted={})

    def _test_split(
        self, test_date: np.datetime64, test_train: DayArray
    ) -> tuple[Sampled, Sampled, bool]:
        """Return test rows, training rows, and whether time lies between them."""
        test = self._sample(test_date, whole=True)
        if len(test_train):
            rows = self._joined(test_train)
            if rows.frame.label.any():
                return test, rows, True
        bucket = stable_hash(test.frame.entity, "test") % np.uint64(1000)
        held_out = bucket < np.uint64(round(TEST_SHARE * 1000))
        rest = _thinned(_rows(test, ~held_out), self.share)
        return _rows(test, held_out), rest, False

    # -- rows --------------------------------------------------------------------------------

    def _joined(self, dates: DayArray) -> Sampled:
        parts = [self._sample(day, whole=False) for day in dates]
        first = parts[0]
        frames = [part.frame for part in parts]
        frame = TrainingFrame(
            features=pd.concat([f.features for f in frames], ignore_index=True),
            categorical=first.frame.categorical,
            entity=np.concatenate([f.entity for f in frames]),
            as_of=np.concatenate([f.as_of for f in frames]),
            label=np.concatenate([f.label for f in frames]),
            label_known_at=np.concatenate([f.label_known_at for f in frames]),
            horizon_days=self.horizon_days,
        )
        return replace(first, frame=frame)

    def _sample(self, day: np.datetime64, *, whole: bool) -> Sampled:
        """Return the pairs of a date: with every no for measuring, with some for training."""
        key = (str(day), whole)
        if key not in self._samples:
            self._samples[key] = self._draw(day, whole=whole)
        return self._samples[key]

    def _draw(self, day: np.datetime64, *, whole: bool) -> Sampled:
        self.say(f"Pairing customers and {self.level} candidates of {day}")
        as_of: date = day.astype(object)
        snapshot = self.snapshot_of(as_of)
        most = self.spec.test_customers if whole else self.spec.customers_per_date
        rows = _some(snapshot, most)
        truth = self.truth_of(as_of)
        true_pairs = _true_pairs(snapshot, truth)
        share = 1.0 if whole else self.share
        random = np.random.default_rng([self.seed, int(day.astype(np.int64))])
        features, customers, hits, reaches = [], [], [], []
        for pairs in candidate_pairs(snapshot, rows, self.spec.candidates):
            hit = np.isin(pairs.customer * len(snapshot.items) + pairs.item, true_pairs)
            place = place_within(pairs.customer, pairs.reach)
            kept = hit | (random.random(len(hit)) < share)
            features.append(pairs.features.loc[kept])
            customers.append(pairs.customer[kept])
            hits.append(hit[kept])
            reaches.append(place[kept])
        customer = np.concatenate(customers) if customers else np.zeros(0, np.int64)
        bought = np.bincount(true_pairs // max(len(snapshot.items), 1), minlength=1)
        sampled = set(rows.tolist())
        return Sampled(
            frame=TrainingFrame(
                features=pd.concat(features, ignore_index=True) if features else pd.DataFrame(),
                categorical=_categorical(snapshot),
                entity=snapshot.customers[customer],
                as_of=np.full(len(customer), day),
                label=np.concatenate(hits).astype(np.float64) if hits else np.zeros(0),
                label_known_at=np.full(len(customer), day),
                horizon_days=self.horizon_days,
            ),
            customer=customer,
            reach=np.concatenate(reaches) if reaches else np.zeros(0, np.int64),
            bought={int(c): int(bought[c]) for c in np.flatnonzero(bought) if int(c) in sampled},
            share=share,
        )

    # -- measuring ---------------------------------------------------------------------------

    def _sweep(self) -> tuple[int, ...]:
        return tuple(
            sorted({n for n in SWEEP if n < self.spec.candidates} | {self.spec.candidates})
        )

    def _predicted(self, model: FittedModel, test: Sampled) -> FloatArray:
        return model.predict(test.frame.features, self.horizon_days)

    def _scores(self, probability: FloatArray, test: Sampled) -> RankingScores:
        return ranking_scores(
            test.customer, probability, test.frame.label > 0, test.bought, self.spec.shown
        )

    def _measure(
        self, fitted: Mapping[str, FittedModel], test: Sampled, share: float, chosen: str
    ) -> tuple[list[RankingLine], list[Measured]]:
        rounds, seed = self.spec.bootstrap_rounds, self.seed
        day = str(test.frame.as_of[0]) if len(test.frame) else ""
        ndcg, recall = (f"{metric}_at_{self.spec.shown}" for metric in ("ndcg", "recall"))
        predicted = {name: self._predicted(model, test) for name, model in fitted.items()}
        scores = {name: self._scores(given, test) for name, given in predicted.items()}
        ranking = [
            RankingLine(
                recipe=name,
                test_date=day,
                customers=len(test.bought),
                metrics={
                    ndcg: mean_interval(own.ndcg, rounds=rounds, seed=seed),
                    recall: mean_interval(own.recall, rounds=rounds, seed=seed),
                },
                gains={
                    other: {
                        ndcg: mean_interval(own.ndcg - theirs.ndcg, rounds=rounds, seed=seed),
                        recall: mean_interval(own.recall - theirs.recall, rounds=rounds, seed=seed),
                    }
                    for other, theirs in scores.items()
                    if other != name
                },
            )
            for name, own in scores.items()
        ]
        return ranking, self._probabilities(predicted, test, share, chosen)

    def _probabilities(
        self, predicted: Mapping[str, FloatArray], test: Sampled, share: float, chosen: str
    ) -> list[Measured]:
        """Return log-loss, AUC and calibration on the pairs of some customers."""
        part = min(1.0, self.spec.pairs_measured / max(len(test.frame), 1))
        kept = stable_hash(test.frame.entity, "measure") < np.uint64(part * (2.0**64 - 2048))
        frame = test.frame.rows(kept)
        if len(np.unique(frame.label)) < 2:  # noqa: PLR2004 - both answers
            return []
        rounds, seed = self.spec.bootstrap_rounds // 4, self.seed
        label, entity = frame.label, frame.entity
        constant = np.full(len(frame), float(label.mean()))
        measured = []
        for name, raw in predicted.items():
            given = with_prior(raw[kept], float(np.log(share)))
            gains = {}
            if name == chosen:
                gains[BASE_RATE] = paired_gain(
                    label, given, constant, entity, rounds=rounds, seed=seed
                )
            measured.append(
                Measured(
                    recipe=name,
                    role="test",
                    test_date=str(frame.as_of[0]),
                    form=AS_PUBLISHED,
                    measurement=measure(label, given, entity, rounds=rounds, seed=seed),
                    gains=gains,
                    curves=curves(label, given) if name == chosen else (),
                )
            )
        return measured


def with_prior(probability: FloatArray, shift: float) -> FloatArray:
    """Return probabilities of all pairs from those of sampled ones."""
    return to_probability(to_logit(probability) + shift)


def _some(snapshot: Snapshot, most: int) -> npt.NDArray[np.int64]:
    """Return positions of at most so many customers, by a stable hash, in their order."""
    if len(snapshot.customers) <= most:
        return np.arange(len(snapshot.customers))
    order = np.argsort(stable_hash(snapshot.customers, "pairs"), kind="stable")
    return np.sort(order[:most])


def _true_pairs(snapshot: Snapshot, truth: pd.DataFrame) -> npt.NDArray[np.int64]:
    customer = pd.Index(snapshot.customers).get_indexer(pd.Index(truth["customer_id"]))
    item = pd.Index(snapshot.items).get_indexer(pd.Index(truth["item_id"]))
    known = (customer >= 0) & (item >= 0)
    return np.unique(customer[known].astype(np.int64) * len(snapshot.items) + item[known])


def _categorical(snapshot: Snapshot) -> tuple[str, ...]:
    return tuple(f"item_{name}" for name in snapshot.item_categorical)


def _rows(sampled: Sampled, mask: BoolArray) -> Sampled:
    customer = sampled.customer[mask]
    left = set(customer.tolist())
    return replace(
        sampled,
        frame=sampled.frame.rows(mask),
        customer=customer,
        reach=sampled.reach[mask],
        bought={who: count for who, count in sampled.bought.items() if who in left},
    )


def _thinned(sampled: Sampled, share: float) -> Sampled:
    """Return every yes and a share of the noes, always the same."""
    random = np.random.default_rng(len(sampled.frame))
    kept = (sampled.frame.label > 0) | (random.random(len(sampled.frame)) < share)
    return replace(_rows(sampled, kept), share=share)


def _importances(
    model: FittedModel, frame: TrainingFrame, horizon_days: int, level: str
) -> pd.DataFrame:
    step = max(1, len(frame) // ROWS_EXPLAINED)
    contributions = model.contributions(frame.features.iloc[::step], horizon_days)
    importance = contributions.abs().mean().sort_values(ascending=False, kind="stable")
    return pd.DataFrame(
        {
            "feature": [f"{level}: {name}" for name in importance.index],
            "theme": [str(name).split("_", 1)[0] for name in importance.index],
            "importance": importance.to_numpy(dtype=np.float64),
        }
    )
