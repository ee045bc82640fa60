"""One command, one study: what `smartretail experiment` runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from python_ml.errors import InputError
from python_ml.experiments.ladder import order_habit, return_risk
from python_ml.experiments.ladder.ceiling import ceiling, demo_oracle
from python_ml.experiments.ladder.chart import chart
from python_ml.experiments.ladder.cuts import Cut, Leak, read_cut
from python_ml.experiments.ladder.pairs import climb_pairs
from python_ml.experiments.ladder.report import section_of
from python_ml.experiments.ladder.rungs import Rung
from python_ml.experiments.ladder.runner import ROUNDS, Climber
from python_ml.experiments.ladder.study import Section, Study, keep
from python_ml.ingest.load import shop_source
from python_ml.pipeline import DEMO, Pipeline, Request, Say
from python_ml.predictions import get_prediction
from python_ml.predictions.base import PairPrediction, Prediction
from python_ml.reporting.landing import land_experiment
from python_ml.training.frame import FloatArray, TrainingFrame
from python_ml.warehouse.catalogue import built_catalogue

LADDERS: dict[str, tuple[tuple[Leak, ...], tuple[Rung, ...]]] = {
    "order_habit": (order_habit.LEAKS, order_habit.RUNGS),
    "return_risk": ((return_risk.PROXY,), return_risk.RUNGS),
}


@dataclass(frozen=True)
class Options:
    """What an experiment may be told.

    Parameters
    ----------
    as_of
        Nothing known later is read; by default the day after the newest row.
    most_rows
        Rows that train, at the most.
    oracle
        Folder with the true probabilities of a simulated shop; the demo shop's own are made.
    """

    as_of: date | None = None
    horizon_days: int | None = None
    seed: int | None = None
    most_rows: int = 12_000
    oracle: Path | None = None


def run_experiment(pipeline: Pipeline, name: str, options: Options, say: Say) -> Study:
    """Build what is missing for the day of the cut, climb the ladder and keep what was found.

    Raises
    ------
    InputError
        When there is no such ladder, or nothing was loaded.
    """
    prediction = get_prediction(name)
    if name not in LADDERS and not isinstance(prediction, PairPrediction):
        raise InputError(f"There is no ladder of {name}.", f"Choose one of: {', '.join(names())}.")
    request = pipeline.request(options.as_of, options.horizon_days, [name])
    if not _is_built(pipeline, request, name):
        with pipeline.writing():
            pipeline.build(request)
    seed = pipeline.settings.seed if options.seed is None else options.seed
    if isinstance(prediction, PairPrediction):
        sections = climb_pairs(pipeline, prediction, request, seed=seed, say=say)
    else:
        sections = [_climb(pipeline, prediction, request, options, seed=seed, say=say)]
    source, _ = shop_source(pipeline.warehouse) or ("", "")
    study = Study(
        prediction=name,
        source=source,
        as_of=request.as_of,
        horizon_days=request.horizon_days[name],
        seed=seed,
        sections=tuple(sections),
    )
    keep(study, folder_of(pipeline), chart(study.sections[0]))
    with pipeline.writing():
        land_experiment(pipeline.warehouse, study.metric_rows())
    return study


def folder_of(pipeline: Pipeline) -> Path:
    """Where a home keeps what experiments found."""
    return pipeline.settings.home / "experiments"


def cut_of(
    pipeline: Pipeline, name: str, request: Request | None = None, most_rows: int = 12_000
) -> Cut:
    """Read both protocols of a ladder, from what was built for the day that is asked for.

    Parameters
    ----------
    request
        By default the day after the newest row.
    """
    prediction = get_prediction(name)
    assert isinstance(prediction, Prediction)
    request = request or pipeline.request(only=[name])
    leaks, _ = LADDERS[name]
    return read_cut(
        pipeline.warehouse,
        prediction,
        built_catalogue(pipeline.warehouse, pipeline.settings.dbt_target_dir, name),
        leaks,
        as_of=request.as_of,
        horizon_days=request.horizon_days[name],
        most_rows=most_rows,
    )


def names() -> list[str]:
    """The predictions that have a ladder."""
    return [*LADDERS, "purchase_potential"]


def _climb(
    pipeline: Pipeline,
    prediction: Prediction,
    request: Request,
    options: Options,
    *,
    seed: int,
    say: Say,
) -> Section:
    leaks, rungs = LADDERS[prediction.name]
    cut = cut_of(pipeline, prediction.name, request, options.most_rows)
    climber = Climber(cut, seed, pipeline.settings.threads, say, _cost(prediction))
    climbed = climber.climb(rungs)
    oracle = options.oracle or _own_oracle(pipeline)
    best = None if oracle is None else ceiling(cut, oracle, rounds=ROUNDS, seed=seed)
    return section_of(cut, leaks, climbed, best)


def _cost(prediction: Prediction) -> Callable[[TrainingFrame], FloatArray] | None:
    payoff = prediction.spec(prediction.horizon_days).payoff
    if payoff is None:
        return None
    return lambda frame: return_risk.cost_of_error(payoff, frame)


def _own_oracle(pipeline: Pipeline) -> Path | None:
    held = shop_source(pipeline.warehouse)
    if held is None or held[0] != DEMO:
        return None
    return demo_oracle(folder_of(pipeline) / "demo")


def _is_built(pipeline: Pipeline, request: Request, name: str) -> bool:
    """Whether everything loaded so far is built for the day, so that dbt need not be started."""
    warehouse = pipeline.warehouse
    if not warehouse.relation_exists("intermediate", "int_as_of_dates"):
        return False
    found = warehouse.read(
        "select count(*) from intermediate.int_as_of_dates "
        "where prediction = $1 and as_of_date = $2 and horizon_days = $3 "
        "and (select max(load_id) from raw.loads where rows_loaded > 0) "
        "= (select max(load_id) from intermediate.int_order_lines)",
        [name, request.as_of, request.horizon_days[name]],
    )
    return bool(found.column(0)[0].as_py())
