"""The result of a run as tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from python_ml.predictions import get_prediction
from python_ml.predictions.base import PairPrediction
from python_ml.training.metrics import Interval
from python_ml.warehouse.postgres import Warehouse, columns_of
from python_ml.watch.backtest import PooledLine
from python_ml.watch.gates import verdicts_of

if TYPE_CHECKING:
    from python_ml.pipeline import Outcome

_METRICS = ("log_loss", "calibration_error", "calibration_perfect_p95", "calibration_slope", "auc")
_HEADINGS = ("log loss", "cal. error", "(perfect ≤)", "cal. slope", "AUC")
_PAIR_METRICS = ("log_loss", "calibration_error", "calibration_perfect_p95", "auc")
_PAIR_HEADINGS = ("log loss", "cal. error", "(perfect ≤)", "AUC")
_GAINS = ("log_loss", "auc")
_GAIN = "_gain_over_"


def describe_run(
    warehouse: Warehouse, as_of: date, outcomes: Sequence[Outcome]
) -> list[RenderableType]:
    """Describe what a run published: counts, and the test metrics beside every baseline."""
    parts: list[RenderableType] = [Text(f"\nAs of {as_of}", style="bold")]
    for outcome in outcomes:
        if outcome.skipped:
            parts.append(Text(outcome.skipped))
        elif outcome.bundle_id is None or outcome.recipe is None:
            parts.append(Text(f"{outcome.prediction}: {outcome.rows:,} rows"))
        else:
            parts += [
                Text(
                    f"{outcome.prediction}: {outcome.rows:,} rows published, recipe "
                    f"{outcome.recipe}, {outcome.horizon_days} days ahead"
                ),
                *_tables(warehouse, outcome.prediction, outcome.bundle_id, outcome.recipe),
                *_savings(warehouse, outcome.bundle_id),
                *_proxy_warning(warehouse, outcome),
                *_gate_warnings(warehouse, outcome),
            ]
    return parts


def _tables(
    warehouse: Warehouse, prediction: str, bundle_id: str, recipe: str
) -> list[RenderableType]:
    if not isinstance(get_prediction(prediction), PairPrediction):
        return describe_metrics(warehouse, bundle_id, recipe)
    chosen = dict(part.split(": ", 1) for part in recipe.split(", "))
    return [ranking_table(warehouse, bundle_id, level, name) for level, name in chosen.items()]


def ranking_table(warehouse: Warehouse, bundle_id: str, level: str, chosen: str) -> Table:
    """Every recipe of one level on the test date, the best ranking first."""
    found = warehouse.read(
        "select recipe, origin_date, metric, value, lower_bound, upper_bound "
        "from predictions.metrics where bundle_id = $1 and role = $2",
        [bundle_id, f"{level}_test_as_published"],
    ).to_pylist()
    recall = {
        row["metric"].removeprefix("candidate_recall_at_"): row["value"]
        for row in found
        if row["recipe"] == "candidates"
    }
    by_recipe: dict[str, dict[str, dict[str, Any]]] = {}
    for row in found:
        if row["recipe"] != "candidates":
            by_recipe.setdefault(row["recipe"], {})[row["metric"]] = row
    dates = {row["origin_date"] for row in found}
    tested = min(dates).isoformat() if dates else "no date"
    table = Table(
        title=f"{level}, out of time, test date {tested} (95 % intervals)", title_justify="left"
    )
    table.add_column("recipe", no_wrap=True)
    shown = next(
        (
            row["metric"].rsplit("_", 1)[1]
            for row in found
            if row["metric"].startswith("ndcg_at_") and "_gain" not in row["metric"]
        ),
        "",
    )
    metrics = (f"ndcg_at_{shown}", f"recall_at_{shown}", *_PAIR_METRICS)
    for heading in (f"NDCG@{shown}", f"recall@{shown}", *_PAIR_HEADINGS):
        table.add_column(heading, justify="right", no_wrap=True)
    order = sorted(by_recipe, key=lambda name: -_value(by_recipe[name].get(metrics[0])))
    for name in order:
        cells = [_cell(by_recipe[name].get(metric)) for metric in metrics]
        is_chosen = name == chosen
        label = f"{name} (published)" if is_chosen else name
        table.add_row(label, *cells, style="bold" if is_chosen else None)
    kept = sorted(recall, key=int)
    table.caption = "candidates hold, of what was then bought: " + ", ".join(
        f"{recall[n]:.1%} of {n}" for n in kept
    )
    table.caption_justify = "left"
    return table


def _value(row: dict[str, Any] | None) -> float:
    return float(row["value"]) if row and row["value"] is not None else -1.0


def describe_metrics(warehouse: Warehouse, bundle_id: str, chosen: str) -> list[RenderableType]:
    """Describe how good a bundle is: every recipe, then the gains over each baseline."""
    return [
        metrics_table(warehouse, bundle_id, chosen),
        gains_table(warehouse, bundle_id, chosen),
    ]


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
        figures = [_bounded(line.measurement.log_loss), _bounded(line.measurement.auc)]
        gains = [_signed(line.gains.get(metric)) for metric in _GAINS]
        is_chosen = not line.gains
        name = "as chosen by each fold" if is_chosen else line.recipe
        table.add_row(name, *figures, *gains, style="bold" if is_chosen else None)
    return table


def _bounded(figure: Interval | None) -> str:
    return "" if figure is None else f"{figure.value:.3f} ({figure.low:.3f}-{figure.high:.3f})"


def _signed(gain: Interval | None) -> str:
    return "" if gain is None else f"{gain.value:+.3f} ({gain.low:+.3f} to {gain.high:+.3f})"


def gains_table(warehouse: Warehouse, bundle_id: str, chosen: str) -> Table:
    """What the published recipe gains over each baseline, on the same drawn customers.

    Pooled over the rolling origins where there are some, beside the test date: only a gain whose
    whole interval is above zero is one.
    """
    rows = warehouse.read(
        "select role, metric, value, lower_bound, upper_bound from predictions.metrics "
        "where bundle_id = $1 and recipe = $2 and metric like $3 "
        "and role in ('test_as_published', 'origins_pooled_as_published')",
        [bundle_id, chosen, f"%{_GAIN}%"],
    ).to_pylist()
    found = {(row["role"], *row["metric"].split(_GAIN)): row for row in rows}
    pooled = any(role.startswith("origins") for role, _, _ in found)
    roles = ["test_as_published", *(["origins_pooled_as_published"] if pooled else [])]
    table = Table(
        title=f"{chosen} as published gains over (paired 95 % intervals)", title_justify="left"
    )
    table.add_column("baseline", no_wrap=True)
    for role in roles:
        where = "test date" if role.startswith("test") else "origins"
        for name in _GAINS:
            heading = "log loss" if name == "log_loss" else "AUC"
            table.add_column(f"{heading}, {where}", justify="right", no_wrap=True)
    for baseline in dict.fromkeys(baseline for _, _, baseline in found):
        cells = [_gain(found.get((role, name, baseline))) for role in roles for name in _GAINS]
        table.add_row(baseline, *cells)
    return table


def _gain(row: dict[str, Any] | None) -> str:
    if row is None:
        return ""
    return f"{row['value']:+.3f} ({row['lower_bound']:+.3f} to {row['upper_bound']:+.3f})"


def metrics_table(warehouse: Warehouse, bundle_id: str, chosen: str) -> Table:
    """Every recipe on the test date: the chosen one as published, the others as they are."""
    rows = _test_metrics(warehouse, bundle_id)
    dates = {row["origin_date"] for row in rows}
    tested = min(dates).isoformat() if dates else "no date"
    table = Table(title=f"Out of time, test date {tested} (95 % intervals)", title_justify="left")
    table.add_column("recipe", no_wrap=True)
    for heading in _HEADINGS:
        table.add_column(heading, justify="right", no_wrap=True)
    by_line: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for row in rows:
        by_line.setdefault((row["recipe"], row["role"]), {})[row["metric"]] = row
    for (recipe, role), metrics in sorted(by_line.items(), key=_best_first):
        is_published = role == "test_as_published"
        if is_published and recipe != chosen:
            continue
        label = f"{recipe} (published)" if is_published else recipe
        cells = [_cell(metrics.get(metric)) for metric in _METRICS]
        table.add_row(label, *cells, style="bold" if is_published else None)
    return table


def _savings(warehouse: Warehouse, bundle_id: str) -> list[Text]:
    """What acting on the published predictions would have saved on the test rows."""
    rows = {
        row["metric"].removeprefix("saving_"): row
        for row in _test_metrics(warehouse, bundle_id)
        if row["metric"].startswith("saving_") and row["role"] == "test_as_published"
    }
    if not rows:
        return []
    by_threshold, on_all = (_money(rows[name]) for name in ("realised", "realised_all"))
    return [
        Text(
            f"Acting above the threshold ({rows['acted_share']['value']:.1%} of rows) would have "
            f"saved {by_threshold} per 1,000 rows, expected {rows['expected']['value']:,.0f}; "
            f"acting on all {on_all}; on none 0."
        )
    ]


def _money(row: dict[str, Any]) -> str:
    return f"{row['value']:,.0f} ({row['lower_bound']:,.0f} to {row['upper_bound']:,.0f})"


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


def _test_metrics(warehouse: Warehouse, bundle_id: str) -> list[dict[str, Any]]:
    table = warehouse.read(
        "select recipe, role, origin_date, metric, value, lower_bound, upper_bound "
        "from predictions.metrics where bundle_id = $1 and role like 'test_as_%'",
        [bundle_id],
    )
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def _best_first(item: tuple[tuple[str, str], dict[str, dict[str, Any]]]) -> tuple[float, str]:
    (recipe, role), metrics = item
    loss = metrics.get("log_loss", {}).get("value")
    return (float(loss) if loss is not None else 9.0, recipe + role)


def _cell(row: dict[str, Any] | None) -> str:
    if row is None or row["value"] is None:
        return ""
    if row["lower_bound"] is None:
        return f"{row['value']:.3f}"
    return f"{row['value']:.3f} ({row['lower_bound']:.3f}-{row['upper_bound']:.3f})"
