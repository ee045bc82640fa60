"""The gates between scoring and publishing: what a run is held against, and what is kept of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import pairwise

import numpy as np
import pandas as pd
import pyarrow as pa

from python_ml.errors import GateError, InputError
from python_ml.predictions.base import AnyPrediction, PairPrediction, Prediction
from python_ml.training.bundle import Bundle
from python_ml.training.dataset import LOOKED_AT, read_features, to_features
from python_ml.training.frame import FloatArray, TrainingFrame
from python_ml.training.pairs.bundle import PairBundle
from python_ml.training.pairs.snapshot import Catalogues
from python_ml.warehouse.catalogue import FeatureCatalogue
from python_ml.warehouse.ledger import RunSummary, find_run, in_force
from python_ml.warehouse.postgres import Warehouse
from python_ml.watch.features import Looked, judge_features
from python_ml.watch.findings import Verdict, joined
from python_ml.watch.reference import (
    MOST_DATES,
    Reference,
    make_reference,
    read_references,
    write_references,
)
from python_ml.watch.scores import Scored, TestedAuc, judge_performance, judge_scores, score_move
from python_ml.watch.sources import judge_sources
from python_ml.watch.thresholds import Thresholds

ROWS_LOOKED_AT = 20_000
"""Rows of a date that pairs are judged by; they are drawn by a hash of the key."""
RUNS_BEFORE = 5
"""Published runs whose moves say what is usual of scores."""

AnyCatalogue = FeatureCatalogue | Catalogues


def row_reference(prediction: Prediction, frame: TrainingFrame) -> bytes:
    """Return the file that a bundle of rows carries: its features at the training dates."""
    reference = make_reference(
        frame.features,
        frame.as_of,
        frame.entity,
        categorical=frame.categorical,
        calendar=frame.calendar,
        in_blocks=prediction.open_rows is not None,
    )
    return write_references({"": reference})


def pair_reference(
    warehouse: Warehouse,
    prediction: PairPrediction,
    catalogues: Catalogues,
    as_of: date,
    horizon_days: int,
) -> bytes:
    """Return the same of pairs: customers and products at the matured dates."""
    dates = [
        row["as_of_date"]
        for row in warehouse.read(
            "select as_of_date from intermediate.int_as_of_dates where prediction = $1 "
            "and horizon_days = $2 and label_known_at <= $3 order by as_of_date desc limit $4",
            [prediction.name, horizon_days, as_of, MOST_DATES],
        ).to_pylist()
    ]
    parts = {}
    for side in _sides(prediction, catalogues):
        tables = [(day, side.read(warehouse, day)) for day in reversed(dates)]
        rows = [(day, keys, features) for day, (keys, features) in tables if len(features)]
        if not rows:
            continue
        parts[side.name] = make_reference(
            pd.concat([features for _, _, features in rows], ignore_index=True),
            np.concatenate([np.full(len(keys), day, "datetime64[D]") for day, keys, _ in rows]),
            np.concatenate([keys for _, keys, _ in rows]),
            categorical=side.catalogue.categorical,
            calendar=side.catalogue.calendar,
        )
    return write_references(parts)


@dataclass(frozen=True)
class _Side:
    """One of the two tables that pairs are made of."""

    name: str
    table: str
    key: str
    catalogue: FeatureCatalogue
    condition: str = ""

    def read(self, warehouse: Warehouse, day: date) -> tuple[np.ndarray, pd.DataFrame]:
        """Read names and features of one date, some of them where there are many."""
        counted = warehouse.read(
            f"select count(*) from {self.table} where as_of_date = $1{self.condition}",  # noqa: S608
            [day],
        )
        count = int(counted.column(0)[0].as_py())
        some = ""
        if count > ROWS_LOOKED_AT:
            share = int(65536 * ROWS_LOOKED_AT / count)
            some = f" and substr(md5({self.key}), 1, 4) < '{share:04x}'"
        table = warehouse.read(
            f"select {self.key}, {', '.join(self.catalogue.names)} from {self.table} "  # noqa: S608
            f'where as_of_date = $1{self.condition}{some} order by {self.key} collate "C"',
            [day],
        )
        keys = np.asarray(table.column(self.key).to_pylist(), dtype=object)
        return keys, to_features(table, self.catalogue)


def _sides(prediction: PairPrediction, catalogues: Catalogues) -> Iterator[_Side]:
    yield _Side("customers", prediction.customers_table, "customer_id", catalogues.customers)
    yield _Side(
        "items",
        prediction.features_table,
        "item_id",
        catalogues.items,
        " and item_level = 'product'",
    )


@dataclass(eq=False)
class Gates:
    """What the runs of one home are held against.

    Sources are looked at once for each date and input, whatever is predicted from them.
    """

    warehouse: Warehouse
    thresholds: Thresholds
    _sources: dict[tuple[date, str], Verdict] = field(default_factory=dict)

    def judge(
        self,
        prediction: AnyPrediction,
        catalogue: AnyCatalogue,
        bundle: Bundle | PairBundle,
        *,
        as_of: date,
        input_mark: str,
        scores: pa.Table,
        features: pd.DataFrame | None = None,
    ) -> Verdict:
        """Judge scores that are about to land.

        Parameters
        ----------
        input_mark
            What has been loaded so far, in one word.
        features
            What was scored, where it is in memory.
        """
        before = run_before(self.warehouse, prediction.name, as_of, bundle.horizon_days)
        verdicts = [self.sources(as_of, input_mark)]
        if bundle.reference is None:
            verdicts.append(
                Verdict(not_judged=("features: the model was trained before there were gates",))
            )
        elif isinstance(prediction, PairPrediction):
            assert isinstance(catalogue, Catalogues)
            references = read_references(bundle.reference)
            verdicts += self._sides(prediction, catalogue, references, as_of, before)
        elif features is not None:
            assert isinstance(catalogue, FeatureCatalogue)
            reference = read_references(bundle.reference)[""]
            per_row = _groups_per_row(reference)
            now = Looked(as_of, features, round(len(features) * per_row))
            then = self._features_before(prediction, catalogue, bundle, now, before)
            verdicts.append(judge_features(reference, now, then, self.thresholds))
        verdicts += [
            self._scores(prediction, bundle, scores, as_of, before),
            self._performance(bundle, before),
        ]
        return joined(verdicts)

    def sources(self, as_of: date, input_mark: str) -> Verdict:
        """Judge what was loaded."""
        key = (as_of, input_mark)
        if key not in self._sources:
            self._sources[key] = judge_sources(self.warehouse, as_of, self.thresholds)
        return self._sources[key]

    def _features_before(
        self,
        prediction: Prediction,
        catalogue: FeatureCatalogue,
        bundle: Bundle | PairBundle,
        now: Looked,
        before: RunSummary | None,
    ) -> Looked | None:
        """Return the features of the run before, as they were then: they are append-only."""
        if before is None or before.as_of_date >= now.day:
            return None
        try:
            _, features = read_features(
                self.warehouse,
                prediction,
                catalogue,
                before.as_of_date,
                bundle.horizon_days,
                most_rows=LOOKED_AT,
            )
        except InputError:  # its date was not built again after the features changed
            return None
        groups = round(len(features) * now.groups / max(len(now.features), 1))
        return Looked(before.as_of_date, features, groups)

    def _sides(
        self,
        prediction: PairPrediction,
        catalogues: Catalogues,
        references: Mapping[str, Reference],
        as_of: date,
        before: RunSummary | None,
    ) -> Iterator[Verdict]:
        for side in _sides(prediction, catalogues):
            if side.name not in references:
                continue
            keys, features = side.read(self.warehouse, as_of)
            then = None
            if before is not None and before.as_of_date < as_of:
                old_keys, old = side.read(self.warehouse, before.as_of_date)
                then = Looked(before.as_of_date, old, len(old_keys))
            now = Looked(as_of, features, len(keys))
            yield judge_features(references[side.name], now, then, self.thresholds)

    def _scores(
        self,
        prediction: AnyPrediction,
        bundle: Bundle | PairBundle,
        scores: pa.Table,
        as_of: date,
        before: RunSummary | None,
    ) -> Verdict:
        if before is None:
            return judge_scores(Scored(as_of, np.zeros(0), 0), None, self.thresholds)
        column = prediction.entity_columns[0]
        now = Scored(
            as_of,
            scores.column("probability").to_numpy(zero_copy_only=False),
            len(scores.column(column).unique()),
        )
        table = self.warehouse.read(
            f"select {column}, probability from predictions.{prediction.name} where run_id = $1",  # noqa: S608
            [before.run_id],
        )
        then = Scored(
            before.as_of_date,
            table.column("probability").to_numpy(zero_copy_only=False),
            len(table.column(column).unique()),
        )
        usual = self._usual_of_scores(prediction.name, before, then.probability)
        verdict = judge_scores(now, then, self.thresholds, usual=usual)
        # a model that was compared and is no worse may say something else: that is what it is for
        is_new = bundle.bundle_id != before.bundle_id and bundle.challenge.get("compared") in (
            "recipes",
            "features",
        )
        return verdict.only_warning() if is_new else verdict

    def _usual_of_scores(
        self, name: str, before: RunSummary, probability_before: FloatArray
    ) -> float:
        runs = [
            row["run_id"]
            for row in self.warehouse.read(
                "select runs.run_id from predictions.runs as runs where runs.prediction = $1 "
                "and runs.as_of_date <= $2 and runs.horizon_days = $3 and exists ("
                "  select 1 from predictions.run_events as events"
                "  where events.run_id = runs.run_id and events.event = 'published'"
                ") order by runs.as_of_date desc, runs.created_at desc limit $4",
                [name, before.as_of_date, before.horizon_days, RUNS_BEFORE],
            ).to_pylist()
        ]
        found = [
            probability_before if run_id == before.run_id else self._probabilities(name, run_id)
            for run_id in runs
        ]
        moves = [
            score_move(newer, older)
            for newer, older in pairwise(found)
            if len(newer) and len(older)
        ]
        return max(moves, default=0.0)

    def _probabilities(self, name: str, run_id: str) -> FloatArray:
        table = self.warehouse.read(
            f"select probability from predictions.{name} where run_id = $1",  # noqa: S608 - ours
            [run_id],
        )
        return np.asarray(table.column(0).to_numpy(zero_copy_only=False), dtype=np.float64)

    def _performance(self, bundle: Bundle | PairBundle, before: RunSummary | None) -> Verdict:
        if before is None or before.bundle_id in (None, bundle.bundle_id):
            return Verdict()
        return judge_performance(
            self._tested(bundle.bundle_id, bundle.recipe),
            self._tested(before.bundle_id or "", before.recipe or ""),
            self.thresholds,
        )

    def _tested(self, bundle_id: str, recipe: str) -> dict[str, TestedAuc]:
        """Return the AUC of a bundle's chosen recipe on its test date, by level of pairs."""
        rows = self.warehouse.read(
            "select recipe, role, value, lower_bound, upper_bound, origin_date "
            "from predictions.metrics where bundle_id = $1 and metric = 'auc' "
            "and role like '%test_as_published'",
            [bundle_id],
        ).to_pylist()
        found = {}
        for row in rows:
            level = row["role"].removesuffix("test_as_published").rstrip("_")
            chosen = f"{level}: {row['recipe']}" if level else row["recipe"]
            if chosen in recipe.split(", ") and row["lower_bound"] is not None:
                found[level] = TestedAuc(
                    row["value"], row["lower_bound"], row["upper_bound"], str(row["origin_date"])
                )
        return found


def _groups_per_row(reference: Reference) -> float:
    first = next(iter(reference.features.values()), None)
    if first is None or not first.counts:
        return 1.0
    rows = sum(first.counts[-1]) + first.missing[-1]
    return min(1.0, reference.groups[-1] / rows) if rows else 1.0


def run_before(
    warehouse: Warehouse, prediction: str, as_of: date, horizon_days: int
) -> RunSummary | None:
    """Return the run in force, or, where it speaks of a later date, the newest published before."""
    held = find_run(warehouse, in_force(warehouse).get(prediction, ""))
    if held and held.as_of_date <= as_of and held.horizon_days == horizon_days:
        return held
    rows = warehouse.read(
        "select runs.run_id from predictions.runs as runs "
        "inner join predictions.run_events as events on events.run_id = runs.run_id "
        "where runs.prediction = $1 and runs.as_of_date <= $2 and runs.horizon_days = $3 "
        "and events.event = 'published' "
        "order by runs.as_of_date desc, events.event_number desc limit 1",
        [prediction, as_of, horizon_days],
    ).to_pylist()
    return find_run(warehouse, rows[0]["run_id"]) if rows else None


# -- what is kept with a run -----------------------------------------------------------------


def run_detail(calibration_note: str, verdict: Verdict) -> str:
    """Return what a run keeps beside its rows, as JSON: what the marts say, and the verdict."""
    kept: dict[str, object] = {}
    if calibration_note:
        kept["calibration_note"] = calibration_note
    if warning := verdict.text():
        kept["warning"] = warning
    return json.dumps({**kept, "gates": verdict.to_dict()})


def verdicts_of(warehouse: Warehouse, run_ids: Sequence[str]) -> dict[str, Verdict]:
    """Return what the gates found for runs; those from before there were gates have nothing."""
    with warehouse.connect() as connection:
        rows = connection.execute(
            "select run_id, detail from predictions.runs where run_id = any(%s)", (list(run_ids),)
        ).fetchall()
    found = {str(run_id): json.loads(detail or "{}").get("gates") for run_id, detail in rows}
    return {run_id: Verdict.from_dict(gates) for run_id, gates in found.items() if gates}


def refusal(refused: Mapping[str, Verdict]) -> GateError:
    """Return the error that says what moved, by prediction."""
    said = " ".join(
        f"{name}: {verdict.text('refuse')}." for name, verdict in sorted(refused.items())
    )
    return GateError(
        f"The gates refuse to publish; what was published before stays in force. {said}",
        "Mend what was loaded and run again, or, if this is how it is, type "
        "`smartretail publish --anyway` with the same --as-of.",
    )
