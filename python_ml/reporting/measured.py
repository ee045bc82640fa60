"""What was measured of a bundle, read back from where training landed it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from python_ml.predictions import get_prediction
from python_ml.predictions.base import PairPrediction
from python_ml.warehouse.postgres import Reader

GAIN = "_gain_over_"
SAVING = "saving_"
CANDIDATES = "candidates"
"""Under this name stands how much of what was bought the candidates hold, where others rank."""
PUBLISHED = "as_published"
AS_DONE, HONEST = "_as_done", "_honest"
LADDER_METRICS = ("AUC", "NDCG")


@dataclass(frozen=True)
class Figure:
    """A metric and, where it has one, its 95 % interval."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class RecipeLine:
    """One recipe on the test date.

    ``is_published`` marks the line of what scores: calibrated, its level drawn.
    """

    recipe: str
    is_published: bool
    figures: Mapping[str, Figure]


@dataclass(frozen=True)
class Gain:
    """By how much what is published beats a baseline; above zero is better.

    ``where`` is ``test date`` or ``origins``, the rolling origins pooled.
    """

    baseline: str
    metric: str
    where: str
    figure: Figure


@dataclass(frozen=True)
class Point:
    """A point of a curve, as ``predictions.curves`` describes it."""

    x: float
    y: float
    low: float | None
    high: float | None
    rows: int


@dataclass(frozen=True)
class Rung:
    """One rung of a ladder: what is reported as it is often done, and what holds in time."""

    name: str
    as_done: Figure | None
    honest: Figure | None


@dataclass(frozen=True)
class Ladder:
    """What `smartretail experiment` found last of a prediction; ``metric`` as people call it."""

    metric: str
    tested_on: date
    rungs: tuple[Rung, ...]


@dataclass(frozen=True)
class Importance:
    """How much a feature moves the scores: mean absolute contribution, in logit units."""

    feature: str
    theme: str
    importance: float


@dataclass(frozen=True)
class Measures:
    """Everything measured of one bundle, or of one level of it.

    Attributes
    ----------
    level
        ``product`` or ``category`` for a prediction of pairs, empty for others.
    tested_on
        As-of date of the test; None where nothing could be tested.
    recipes
        The best first.
    candidate_recall
        Share of what was bought that the candidates hold, by how many are kept.
    savings
        What acting would have saved, by the name of the figure.
    curves
        By name: ``calibration``, ``gain``, ``precision_recall``.
    """

    level: str
    chosen: str
    tested_on: date | None
    recipes: tuple[RecipeLine, ...]
    gains: tuple[Gain, ...]
    candidate_recall: Mapping[int, float]
    savings: Mapping[str, Figure]
    curves: Mapping[str, tuple[Point, ...]]
    importances: tuple[Importance, ...]

    @property
    def published(self) -> RecipeLine | None:
        """The line of what scores."""
        return next((line for line in self.recipes if line.is_published), None)

    @property
    def ranking(self) -> str:
        """How many items NDCG and recall look at, as text; empty where nothing is ranked."""
        names = (name for line in self.recipes for name in line.figures)
        return next((n.rsplit("_", 1)[1] for n in names if n.startswith("ndcg_at_")), "")


def levels_of(prediction: str, recipe: str) -> dict[str, str]:
    """The chosen recipe of each level; a prediction without levels has one, without a name.

    >>> levels_of("order_habit", "blend")
    {'': 'blend'}
    >>> levels_of("purchase_potential", "product: ranker, category: ease")
    {'product': 'ranker', 'category': 'ease'}
    """
    if not isinstance(get_prediction(prediction), PairPrediction):
        return {"": recipe}
    return dict(part.split(": ", 1) for part in recipe.split(", "))


def read_measures(reader: Reader, bundle_id: str, level: str, chosen: str) -> Measures:
    """Read what was measured of one level of a bundle."""
    of_level = f"{level}_" if level else ""
    rows = reader.read(
        "select recipe, role, origin_date, metric, value, lower_bound, upper_bound "
        "from predictions.metrics where bundle_id = $1 and value <> 'NaN' "
        "order by role, recipe, metric",
        [bundle_id],
    ).to_pylist()
    tested = [row for row in rows if row["role"].startswith(f"{of_level}test_as_")]
    return Measures(
        level=level,
        chosen=chosen,
        tested_on=min((row["origin_date"] for row in tested), default=None),
        recipes=_recipes(tested, chosen),
        gains=_gains(rows, chosen, of_level),
        candidate_recall={
            int(row["metric"].rpartition("_")[2]): row["value"]
            for row in sorted(tested, key=lambda row: (len(row["metric"]), row["metric"]))
            if row["recipe"] == CANDIDATES
        },
        savings={
            row["metric"].removeprefix(SAVING): _figure(row)
            for row in tested
            if row["metric"].startswith(SAVING) and row["role"].endswith(PUBLISHED)
        },
        curves=_read_curves(reader, bundle_id, f"{of_level}test_{PUBLISHED}"),
        importances=_read_importances(reader, bundle_id, level),
    )


def read_ladder(reader: Reader, prediction: str) -> Ladder | None:
    """Read the newest experiment of a prediction, what holds best first; None without one."""
    rows = reader.read(
        "select recipe, metric, origin_date, value, lower_bound, upper_bound "
        "from predictions.metrics where value <> 'NaN' and role = 'experiment_rungs' "
        "and bundle_id = (select bundle_id from predictions.metrics where prediction = $1 "
        "and role = 'experiment_rungs' order by measured_at desc, bundle_id limit 1)",
        [prediction],
    ).to_pylist()
    held = {row["metric"].removesuffix(HONEST) for row in rows if row["metric"].endswith(HONEST)}
    metric = next((name for name in LADDER_METRICS if name in held), None)
    if metric is None:
        return None
    cells = {(row["recipe"], row["metric"]): _figure(row) for row in rows}
    rungs = [
        Rung(name, cells.get((name, metric + AS_DONE)), cells.get((name, metric + HONEST)))
        for name in {row["recipe"] for row in rows}
    ]
    return Ladder(
        metric=metric,
        tested_on=rows[0]["origin_date"],
        rungs=tuple(sorted((r for r in rungs if r.as_done or r.honest), key=_holds_best_first)),
    )


def _holds_best_first(rung: Rung) -> tuple[float, str]:
    return -rung.honest.value if rung.honest else 0.0, rung.name


def _recipes(tested: list[dict[str, Any]], chosen: str) -> tuple[RecipeLine, ...]:
    """The chosen one as published, the others as they are; where that is one, as published."""
    lines: dict[tuple[str, str], dict[str, Figure]] = {}
    for row in tested:
        is_figure = GAIN not in row["metric"] and not row["metric"].startswith(SAVING)
        if is_figure and row["recipe"] != CANDIDATES:
            lines.setdefault((row["recipe"], row["role"]), {})[row["metric"]] = _figure(row)
    bare = {recipe for recipe, role in lines if not role.endswith(PUBLISHED)}
    found = [
        RecipeLine(recipe, recipe == chosen and role.endswith(PUBLISHED), figures)
        for (recipe, role), figures in lines.items()
        if recipe == chosen or recipe not in bare or not role.endswith(PUBLISHED)
    ]
    return tuple(sorted(found, key=_best_first))


def _best_first(line: RecipeLine) -> tuple[float, float, str, bool]:
    ndcg = next((f.value for name, f in line.figures.items() if name.startswith("ndcg_at_")), 0.0)
    loss = line.figures["log_loss"].value if "log_loss" in line.figures else 9.0
    return -ndcg, loss, line.recipe, line.is_published


def _gains(rows: list[dict[str, Any]], chosen: str, of_level: str) -> tuple[Gain, ...]:
    places = {
        f"{of_level}test_{PUBLISHED}": "test date",
        f"{of_level}origins_pooled_{PUBLISHED}": "origins",
    }
    return tuple(
        Gain(row["metric"].split(GAIN)[1], row["metric"].split(GAIN)[0], places[row["role"]],
             _figure(row))
        for row in rows
        if row["recipe"] == chosen and row["role"] in places and GAIN in row["metric"]
    )  # fmt: skip


def _figure(row: dict[str, Any]) -> Figure:
    return Figure(row["value"], row["lower_bound"], row["upper_bound"])


def _read_curves(reader: Reader, bundle_id: str, role: str) -> dict[str, tuple[Point, ...]]:
    there = reader.read("select to_regclass('predictions.curves') is not null as there")
    if not there["there"][0].as_py():
        return {}  # made by the next build of a home from before they were kept
    rows = reader.read(
        "select curve, x, y, lower_bound, upper_bound, row_count from predictions.curves "
        "where bundle_id = $1 and role = $2 order by curve, position",
        [bundle_id, role],
    ).to_pylist()
    found: dict[str, list[Point]] = {}
    for row in rows:
        point = Point(row["x"], row["y"], row["lower_bound"], row["upper_bound"], row["row_count"])
        found.setdefault(row["curve"], []).append(point)
    return {name: tuple(points) for name, points in found.items()}


def _read_importances(reader: Reader, bundle_id: str, level: str) -> tuple[Importance, ...]:
    rows = reader.read(
        "select feature, theme, importance from predictions.importances "
        "where bundle_id = $1 and importance > 0 order by importance desc, feature",
        [bundle_id],
    ).to_pylist()
    prefix = f"{level}: " if level else ""
    return tuple(
        Importance(row["feature"].removeprefix(prefix), row["theme"], row["importance"])
        for row in rows
        if row["feature"].startswith(prefix)
    )
