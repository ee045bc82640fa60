"""The result of a run as tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from python_ml.reporting.measured import Figure, Measures, levels_of, read_measures
from python_ml.training.metrics import Interval
from python_ml.warehouse.postgres import Reader, Warehouse, columns_of
from python_ml.watch.backtest import PooledLine
from python_ml.watch.gates import verdicts_of

if TYPE_CHECKING:
    from python_ml.pipeline import Outcome

_HEADINGS = {
    "log_loss": "log loss",
    "calibration_error": "cal. error",
    "calibration_perfect_p95": "(perfect ≤)",
    "calibration_slope": "cal. slope",
    "auc": "AUC",
}
_GAINS = ("log_loss", "auc")


def describe_run(
    warehouse: Warehouse, as_of: date, outcomes: Sequence[Outcome]
) -> list[RenderableType]:
    """Describe what a run published: counts, and the test metrics beside every baseline."""
    parts: list[RenderableType] = [Text(f"\nAs of {as_of}", style="bold")]
    with warehouse.snapshot(warehouse.layout) as reader:
        for outcome in outcomes:
            parts += _describe_outcome(warehouse, reader, outcome)
    return parts


def _describe_outcome(
    warehouse: Warehouse, reader: Reader, outcome: Outcome
) -> list[RenderableType]:
    if outcome.skipped:
        return [Text(outcome.skipped)]
    if outcome.bundle_id is None or outcome.recipe is None:
        return [Text(f"{outcome.prediction}: {outcome.rows:,} rows")]
    parts: list[RenderableType] = [
        Text(
            f"{outcome.prediction}: {outcome.rows:,} rows published, recipe "
            f"{outcome.recipe}, {outcome.horizon_days} days ahead"
        )
    ]
    for level, chosen in levels_of(outcome.prediction, outcome.recipe).items():
        parts += _describe(read_measures(reader, outcome.bundle_id, level, chosen))
    return parts + list[RenderableType](_proxy_warning(warehouse, outcome))


def _describe(measures: Measures) -> list[RenderableType]:
    if measures.level:
        return [ranking_table(measures)]
    return [metrics_table(measures), gains_table(measures), *_savings(measures)]


def ranking_table(measures: Measures) -> Table:
    """Every recipe of one level on the test date, the best ranking first."""
    table = _recipes_table(
        f"{measures.level}, out of time, test date {measures.tested_on or 'no date'}",
        {
            f"ndcg_at_{measures.ranking}": f"NDCG@{measures.ranking}",
            f"recall_at_{measures.ranking}": f"recall@{measures.ranking}",
            **{name: text for name, text in _HEADINGS.items() if name != "calibration_slope"},
        },
        measures,
    )
    table.caption = "candidates hold, of what was then bought: " + ", ".join(
        f"{share:.1%} of {kept}" for kept, share in measures.candidate_recall.items()
    )
    table.caption_justify = "left"
    return table


def metrics_table(measures: Measures) -> Table:
    """Every recipe on the test date: the chosen one as published, the others as they are."""
    tested = measures.tested_on or "no date"
    return _recipes_table(f"Out of time, test date {tested}", _HEADINGS, measures)


def _recipes_table(title: str, headings: dict[str, str], measures: Measures) -> Table:
    table = Table(title=f"{title} (95 % intervals)", title_justify="left")
    table.add_column("recipe", no_wrap=True)
    for heading in headings.values():
        table.add_column(heading, justify="right", no_wrap=True)
    for line in measures.recipes:
        name = f"{line.recipe} (published)" if line.is_published else line.recipe
        cells = [_cell(line.figures.get(metric)) for metric in headings]
        table.add_row(name, *cells, style="bold" if line.is_published else None)
    return table


def pooled_table(lines: Sequence[PooledLine]) -> Table:
    """A backtest pooled over its folds: each recipe, and what the chosen one gains over it."""
    table = Table(
        title=f"{lines[0].folds} folds pooled (95 % intervals by customer)", title_justify="left"
    )
    for place, heading in enumerate(
        ("recipe", "log loss", "AUC", "chosen saves log loss", "chosen gains AUC")
    ):
        table.add_column(heading, justify="right" if place else "left", no_wrap=True)
    for line in lines:
        figures = [_cell(line.measurement.log_loss), _cell(line.measurement.auc)]
        gains = [_gain(line.gains.get(metric)) for metric in _GAINS]
        is_chosen = not line.gains
        name = "as chosen by each fold" if is_chosen else line.recipe
        table.add_row(name, *figures, *gains, style="bold" if is_chosen else None)
    return table


def gains_table(measures: Measures) -> Table:
    """What the published recipe gains over each baseline, on the same drawn customers.

    Pooled over the rolling origins where there are some, beside the test date: only a gain whose
    whole interval is above zero is one.
    """
    found = {(gain.where, gain.metric, gain.baseline): gain.figure for gain in measures.gains}
    places = [where for where in ("test date", "origins") if any(where == key[0] for key in found)]
    table = Table(
        title=f"{measures.chosen} as published gains over (paired 95 % intervals)",
        title_justify="left",
    )
    table.add_column("baseline", no_wrap=True)
    for where in places:
        for name in _GAINS:
            table.add_column(f"{_HEADINGS[name]}, {where}", justify="right", no_wrap=True)
    for baseline in dict.fromkeys(baseline for _, _, baseline in found):
        cells = [_gain(found.get((where, name, baseline))) for where in places for name in _GAINS]
        table.add_row(baseline, *cells)
    return table


def _gain(figure: Figure | Interval | None) -> str:
    if figure is None:
        return ""
    return f"{figure.value:+.3f} ({figure.low:+.3f} to {figure.high:+.3f})"


def _savings(measures: Measures) -> list[Text]:
    """What acting on the published predictions would have saved on the test rows."""
    saved = measures.savings
    if not saved:
        return []
    return [
        Text(
            f"Acting above the threshold ({saved['acted_share'].value:.1%} of rows) would have "
            f"saved {_money(saved['realised'])} per 1,000 rows, expected "
            f"{saved['expected'].value:,.0f}; acting on all {_money(saved['realised_all'])}; "
            "on none 0."
        )
    ]


def _money(figure: Figure) -> str:
    return f"{figure.value:,.0f} ({figure.low:,.0f} to {figure.high:,.0f})"


def _proxy_warning(warehouse: Warehouse, outcome: Outcome) -> list[Text]:
    """Say where a label was made up: its figures look splendid and mean nothing."""
    if not label_is_proxy(warehouse, outcome.prediction, outcome.run_id):
        return []
    return [
        Text(
            f"PROXY: {outcome.prediction} was trained on a rule made of its own features, because "
            "outcomes were not recorded. Its AUC says nothing about real returns.",
            style="bold red",
        )
    ]


def _gate_warnings(warehouse: Warehouse, outcome: Outcome) -> list[Text]:
    """Say what moved beyond a limit between training and scoring."""
    verdicts = verdicts_of(warehouse, [outcome.run_id or ""])
    return [
        Text(f"WARNING: {outcome.prediction}: {verdict.text()}", style="bold red")
        for verdict in verdicts.values()
        if verdict.level != "passed"
    ]


def label_is_proxy(warehouse: Warehouse, prediction: str, run_id: str | None) -> bool:
    """Whether a run predicts a proxy of the outcome, as its mart rows say."""
    if not warehouse.relation_exists("mart_rows", f"{prediction}_rows"):
        return False
    with warehouse.connect() as connection:
        if "label_kind" not in columns_of(connection, "mart_rows", f"{prediction}_rows"):
            return False
        found = connection.execute(
            f"select 1 from mart_rows.{prediction}_rows "  # noqa: S608 - names of our own
            "where run_id = %s and label_kind = 'proxy' limit 1".encode(),
            (run_id,),
        ).fetchone()
    return found is not None


def _cell(figure: Figure | Interval | None) -> str:
    if figure is None:
        return ""
    if figure.low is None:
        return f"{figure.value:.3f}"
    return f"{figure.value:.3f} ({figure.low:.3f}-{figure.high:.3f})"
