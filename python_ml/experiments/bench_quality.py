"""Ours beside hand-made peers, on any home's shop.

    python -m python_ml.experiments.bench_quality order_habit --home my_shop

For each as-of date and horizon, everything is trained on what was known then and measured on what
followed. ``--known-by`` is a wall: no outcome that was known later is read from the warehouse. The
home's features are built for the as-of dates asked for; nothing is published. Purchase potential
is measured on a run that was published for the date:

    smartretail run --only purchase_potential --as-of 2024-03-01
    python -m python_ml.experiments.bench_quality purchase_potential --as-of 2024-03-01
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from python_ml.errors import InputError, SmartRetailError
from python_ml.experiments import peers_order_habit, peers_purchase_potential
from python_ml.pipeline import Pipeline, Request
from python_ml.predictions import get_prediction
from python_ml.predictions.base import Prediction
from python_ml.settings import load_settings
from python_ml.training.choose import TrainingResult, train
from python_ml.training.dataset import read_features, read_training_frame
from python_ml.training.frame import FloatArray, TextArray, TrainingFrame
from python_ml.training.metrics import Measurement, measure
from python_ml.training.spec import PredictionSpec
from python_ml.warehouse.catalogue import built_catalogue

log = logging.getLogger(__name__)

ROUNDS = 200
MOST_CUTS = 3


@dataclass(frozen=True, eq=False)
class Cut:
    """One as-of date with all that was known at it, and what followed.

    Attributes
    ----------
    frame
        Labelled rows whose outcome was known at ``as_of``.
    newest
        Features of everybody at ``as_of``, and whom they belong to.
    label
        What everybody then did.
    """

    as_of: date
    spec: PredictionSpec
    frame: TrainingFrame
    entity: TextArray
    newest: pd.DataFrame
    label: FloatArray

    @property
    def horizon_days(self) -> int:
        """Length of the window."""
        return self.spec.horizon_days


@dataclass(frozen=True)
class Line:
    """One model on one cut."""

    as_of: date
    horizon_days: int
    model: str
    measurement: Measurement


Section = Callable[[Pipeline, argparse.Namespace], list[Table]]


def order_habit(pipeline: Pipeline, options: argparse.Namespace) -> list[Table]:
    """Measure the published recipe and the peers on each cut."""
    lines = []
    for cut in read_cuts(pipeline, "order_habit", options):
        result = train_at(cut, pipeline)
        predictions = {
            f"ours ({result.chosen})": result.published.predict(cut.newest, result.level_shift)
        }
        predictions |= peers_order_habit.predict(
            lines_known_at(pipeline, cut.as_of),
            pd.Index(cut.entity),
            pd.Timestamp(cut.as_of),
            cut.horizon_days,
            threads=pipeline.settings.threads,
        )
        if options.oracle is not None:
            predictions["oracle"] = oracle_at(cut, options.oracle)
        lines += [measured(cut, name, values) for name, values in predictions.items()]
    return [as_table("order_habit", lines)]


def purchase_potential(pipeline: Pipeline, options: argparse.Namespace) -> list[Table]:
    """Measure the run published for each date, and the peers that rank every item."""
    if not options.as_of:
        raise InputError(
            "Purchase potential is measured on published runs.",
            "Name the date of one with --as-of; its outcome must be known.",
        )
    return [peers_purchase_potential.as_table(pipeline, day) for day in options.as_of]


SECTIONS: dict[str, Section] = {
    "order_habit": order_habit,
    "purchase_potential": purchase_potential,
}
"""One per prediction; each returns its tables, and :func:`main` prints them."""


def read_cuts(pipeline: Pipeline, name: str, options: argparse.Namespace) -> list[Cut]:
    """Build the features for every cut asked for and read what was known at each."""
    if not pipeline.warehouse.relation_exists("intermediate", "int_order_lines"):
        pipeline.build(pipeline.request(only=[name]))
    wanted = [
        (day, horizon)
        for horizon in options.horizon_days
        for day in options.as_of or default_dates(pipeline, horizon, options.known_by)
    ]
    if not wanted:
        raise InputError("No window has closed yet.", "Try a shorter --horizon-days.")
    newest = max(day for day, _ in wanted)
    for day, horizon in wanted:
        pipeline.ask(Request(day, {name: horizon}))
    pipeline.build(Request(newest, {name: wanted[0][1]}))
    return [read_cut(pipeline, name, day, horizon, options.known_by) for day, horizon in wanted]


def default_dates(pipeline: Pipeline, horizon_days: int, known_by: date | None) -> list[date]:
    """Return the latest month starts whose windows have closed, half a horizon apart."""
    window = pipeline.warehouse.read(
        "select min(ordered_on) as first_on, max(ordered_on) as newest_on "
        "from intermediate.int_order_lines"
    ).to_pylist()[0]
    last = min(window["newest_on"], known_by or window["newest_on"])
    newest = last - timedelta(days=horizon_days)
    # the training dates need closed windows of their own, and some history before them
    oldest = window["first_on"] + timedelta(days=horizon_days + min(90, horizon_days))
    months = [day.date() for day in pd.date_range(oldest, newest, freq="MS")][::-1]
    return months[:: max(1, horizon_days // 60)][:MOST_CUTS]


def read_cut(
    pipeline: Pipeline, name: str, as_of: date, horizon_days: int, known_by: date | None
) -> Cut:
    """Read one cut.

    Raises
    ------
    InputError
        When its outcome was not known by ``known_by``, or not yet.
    """
    prediction = get_prediction(name)
    assert isinstance(prediction, Prediction)
    catalogue = built_catalogue(pipeline.warehouse, pipeline.settings.dbt_target_dir, name)
    keys, newest = read_features(pipeline.warehouse, prediction, catalogue, as_of, horizon_days)
    found = pipeline.warehouse.read(
        f"select {', '.join(prediction.entity_columns)}, label from {prediction.labels_table} "  # noqa: S608 - names from the code
        "where as_of_date = $1 and horizon_days = $2 and label_known_at <= $3",
        [as_of, horizon_days, known_by or date.max],
    )
    if found.num_rows == 0:
        raise InputError(
            f"The outcome of {as_of} + {horizon_days} days is not known"
            + (f" by {known_by}." if known_by else " yet."),
            "Choose an earlier --as-of or a shorter --horizon-days.",
        )
    entities = keys.to_pandas()
    known = entities.merge(found.to_pandas(), on=list(prediction.entity_columns), how="left")
    return Cut(
        as_of=as_of,
        spec=prediction.spec(horizon_days),
        frame=read_training_frame(pipeline.warehouse, prediction, catalogue, as_of, horizon_days),
        entity=entities[prediction.group_column].to_numpy(object),
        newest=newest,
        label=known["label"].to_numpy(np.float64),
    )


def train_at(cut: Cut, pipeline: Pipeline) -> TrainingResult:
    """Train as the product would have on the day of the cut."""
    log.info("training %s as of %s, %s days", cut.spec.name, cut.as_of, cut.horizon_days)
    return train(
        cut.spec,
        cut.frame,
        as_of=cut.as_of,
        seed=pipeline.settings.seed,
        threads=pipeline.settings.threads,
        newest=cut.newest,
        effort=pipeline.effort(),
    )


def lines_known_at(pipeline: Pipeline, as_of: date) -> pd.DataFrame:
    """Read the order lines that were known at a date, for peers that do without our features."""
    lines: pd.DataFrame = pipeline.warehouse.read(
        "select customer_id, order_id, product_id, ordered_at, net_amount::float8 as amount "
        "from intermediate.int_order_lines "
        "where customer_id is not null and ordered_on < $1 and known_on < $1 "
        "and (superseded_on is null or superseded_on >= $1) order by ordered_at, line_key",
        [as_of],
    ).to_pandas()
    return lines


def oracle_at(cut: Cut, path: Path) -> FloatArray:
    """Read the true probabilities of a simulated shop's customers, which no warehouse ever sees.

    Raises
    ------
    InputError
        When the file does not say them for everybody at this cut.
    """
    truth = pd.read_parquet(path)
    truth = truth[
        (pd.to_datetime(truth["as_of_date"]) == pd.Timestamp(cut.as_of))
        & (truth["horizon_days"] == cut.horizon_days)
    ].set_index("customer_id")
    if not set(cut.entity) <= set(truth.index):
        raise InputError(
            f"{path} does not know everybody at {cut.as_of} + {cut.horizon_days} days.",
            "Choose month starts of the last 18 months and 180 days.",
        )
    return truth["probability"].reindex(pd.Index(cut.entity)).to_numpy(np.float64)


def measured(cut: Cut, model: str, probability: FloatArray) -> Line:
    """Return one line of the table."""
    measurement = measure(cut.label, probability, cut.entity, rounds=ROUNDS, seed=1)
    return Line(cut.as_of, cut.horizon_days, model, measurement)


def as_table(title: str, lines: Sequence[Line]) -> Table:
    """Lay out the lines: log-loss and calibration before AUC."""
    table = Table(title=title, title_justify="left")
    for name in ("as of", "days", "rate", "model"):
        table.add_column(name)
    for name in ("log loss", "mean", "cal. error", "(perfect ≤)", "slope", "AUC"):
        table.add_column(name, justify="right")
    for line in lines:
        m = line.measurement
        table.add_row(
            str(line.as_of),
            str(line.horizon_days),
            f"{m.positive_rate:.3f}",
            line.model,
            f"{m.log_loss.value:.4f}",
            f"{m.mean_probability:.3f}",
            f"{m.calibration.error:.3f}",
            f"{m.calibration.perfect_p95:.3f}",
            f"{m.calibration.slope:.2f}",
            "" if m.auc is None else f"{m.auc.value:.4f}",
        )
    return table


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prediction", choices=sorted(SECTIONS))
    parser.add_argument("--home", type=Path, help="the home that holds the shop")
    parser.add_argument("--as-of", type=date.fromisoformat, action="append", default=[])
    parser.add_argument("--horizon-days", type=int, action="append", default=[])
    parser.add_argument("--oracle", type=Path, help="true probabilities of a simulated shop")
    parser.add_argument("--known-by", type=date.fromisoformat, help="no later outcome is read")
    options = parser.parse_args(arguments)
    options.horizon_days = options.horizon_days or [get_prediction(options.prediction).horizon_days]
    pipeline = Pipeline(load_settings(home=options.home))
    console = Console(width=140)
    try:
        tables = SECTIONS[options.prediction](pipeline, options)
    except SmartRetailError as error:
        console.print(f"error: {error.message} {error.hint}")
        return error.exit_code
    console.print(*tables)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
