"""One cut of a shop under two protocols.

*As it was done*: one row per entity, its features read at the end of the history, and a label made
from that same history; rows are split at random. *Honest*: features at as-of dates, labels from the
windows that follow, the latest closed one tested and those that had closed before it trained on.
Nothing that was known only after the cut is read for either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from python_ml.predictions.base import Prediction
from python_ml.training.dataset import read_training_frame, to_features
from python_ml.training.frame import TrainingFrame
from python_ml.training.spec import PredictionSpec
from python_ml.training.splits import after_burn_in, at_most, latest_split, sample_customers
from python_ml.warehouse.catalogue import FeatureCatalogue
from python_ml.warehouse.postgres import Warehouse

MOST_TEST_ROWS = 8_000
GRID_FROM_DAYS = 60
"""Horizons from which as-of dates are month starts: see `int_as_of_dates`."""


@dataclass(frozen=True)
class Leak:
    """A label that is made from the same history as the features.

    Parameters
    ----------
    name
        In a word, as the table heads it.
    label
        SQL with the keys of the features and ``label``; ``$1`` is the day of the cut, ``$2`` that
        day less the horizon.
    says
        The label in words.
    """

    name: str
    label: str
    says: str


@dataclass(frozen=True, eq=False)
class Honest:
    """Rows that train and rows that test, with time between them.

    ``known`` holds every row that was known at ``test_date``, the first dates included; ``train``
    is what the rungs see. ``level_tested`` is false where history is too short for that and other
    customers of the same dates test.
    """

    known: TrainingFrame
    train: TrainingFrame
    test: TrainingFrame
    test_date: date
    level_tested: bool


@dataclass(frozen=True, eq=False)
class Cut:
    """Both protocols on one day; ``honest`` is empty where ``reason`` says why.

    ``as_done`` holds the rows of each leak by its name.
    """

    spec: PredictionSpec
    as_of: date
    as_done: Mapping[str, TrainingFrame]
    honest: Honest | None
    reason: str | None = None


def read_cut(
    warehouse: Warehouse,
    prediction: Prediction,
    catalogue: FeatureCatalogue,
    leaks: Sequence[Leak],
    *,
    as_of: date,
    horizon_days: int,
    most_rows: int,
) -> Cut:
    """Read both protocols.

    Parameters
    ----------
    most_rows
        Rows that train, at the most: whole customers, or the newest rows where they come daily.
    """
    spec = prediction.spec(horizon_days)
    as_done = {
        leak.name: at_most(
            read_as_done(
                warehouse, prediction, catalogue, leak, as_of=as_of, horizon_days=horizon_days
            ),
            most_rows,
            keep_newest=spec.keep_newest,
        )
        for leak in leaks
    }
    frame = read_training_frame(
        warehouse,
        prediction,
        catalogue,
        as_of,
        horizon_days,
        most_rows=min(spec.max_training_rows, 20 * most_rows),
        keep_newest=spec.keep_newest,
    )
    reason = _no_honest(frame, prediction)
    return Cut(
        spec=spec,
        as_of=as_of,
        as_done=as_done,
        honest=None if reason else _honest(_on_grid(frame, spec), spec, as_of, most_rows),
        reason=reason,
    )


def read_as_done(
    warehouse: Warehouse,
    prediction: Prediction,
    catalogue: FeatureCatalogue,
    leak: Leak,
    *,
    as_of: date,
    horizon_days: int,
) -> TrainingFrame:
    """Read features and label of one history."""
    group = prediction.group_column
    same = " and ".join(f"features.{key} = leak.{key}" for key in catalogue.keys)
    entity = dict.fromkeys((group, *prediction.entity_columns))
    order = ", ".join(f'features.{name} collate "C"' for name in entity)
    table = warehouse.read(
        f"select features.{group}, features.as_of_date, leak.label, "  # noqa: S608 - names of ours
        f"{', '.join(f'features.{name}' for name in catalogue.names)} "
        f"from {prediction.features_table} as features inner join ({leak.label}) as leak on {same} "
        f"order by features.as_of_date, {order}",
        [as_of, as_of - timedelta(days=horizon_days)],
    )
    days = table.column("as_of_date").to_numpy(zero_copy_only=False).astype("datetime64[D]")
    return TrainingFrame(
        features=to_features(table, catalogue),
        categorical=catalogue.categorical,
        entity=table.column(group).to_numpy(zero_copy_only=False),
        as_of=days,
        label=table.column("label").to_numpy(zero_copy_only=False).astype(np.float64),
        label_known_at=days,
        horizon_days=horizon_days,
        calendar=catalogue.calendar,
    )


def _no_honest(frame: TrainingFrame, prediction: Prediction) -> str | None:
    if not frame.label.any() and prediction.without_yes is not None:
        return prediction.without_yes
    if len(frame) == 0:
        return "no window has closed by the day of the cut."
    if len(np.unique(frame.label)) == 1:
        return "every outcome that is known is the same."
    return None


def _honest(frame: TrainingFrame, spec: PredictionSpec, as_of: date, most_rows: int) -> Honest:
    split = latest_split(frame, as_of, spec.test_span_days)
    known = frame.rows(split.train)
    test = frame.rows(split.test)
    test_date: date = split.test_date.astype(object)
    return Honest(
        known=at_most(known, most_rows, keep_newest=spec.keep_newest),
        train=at_most(
            after_burn_in(known, spec.burn_in_days), most_rows, keep_newest=spec.keep_newest
        ),
        test=test.rows(sample_customers(test, MOST_TEST_ROWS)),
        test_date=test_date,
        level_tested=split.level_tested,
    )


def _on_grid(frame: TrainingFrame, spec: PredictionSpec) -> TrainingFrame:
    """Return the rows of month starts, so that dates that somebody once asked for do not count."""
    if spec.horizon_days < GRID_FROM_DAYS or spec.test_span_days > 1:
        return frame
    starts = frame.as_of == frame.as_of.astype("datetime64[M]")
    return frame.rows(starts) if starts.any() else frame
