"""The report: one HTML file that says what was predicted, how good that is and what to do.

Everything is in the file: it is read offline, printed, or sent by mail.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import jinja2

from python_ml.errors import InputError
from python_ml.reporting.measured import Figure, Measures, RecipeLine
from python_ml.reporting.report import charts
from python_ml.reporting.report.facts import Report, read_report
from python_ml.warehouse.postgres import Warehouse

__all__ = ["Report", "read_report", "render_report", "write_report"]

METRIC_NAMES = {
    "log_loss": "log loss",
    "calibration_error": "calibration error",
    "calibration_perfect_p95": "perfect ≤",
    "calibration_slope": "calibration slope",
    "auc": "AUC",
    "average_precision": "average precision",
    "brier": "Brier score",
}
MONEY_NAMES = {"expected_saving": "expected to save, if acted on"}
SHOWN = (
    "log_loss", "calibration_error", "calibration_perfect_p95", "calibration_slope", "auc",
)  # fmt: skip
COMPARED = ("log_loss", "auc")
TENTH = 0.1
SMALL = 10
"""Sums below show a decimal."""


def write_report(warehouse: Warehouse, folder: Path) -> Path:
    """Write the report of what is in force; the same runs give the same file.

    Parameters
    ----------
    folder
        Where reports are kept; made where it is not there.

    Returns
    -------
    Path
        ``<as-of date>_<which runs>.html``. It is whole or not there: written beside, then renamed.

    Raises
    ------
    InputError
        When nothing was published.
    """
    report = read_report(warehouse)
    if report is None:
        raise InputError("Nothing was published yet.", "Run `smartretail run` first.")
    folder.mkdir(parents=True, exist_ok=True)
    of_runs = hashlib.sha256(" ".join(report.run_ids).encode()).hexdigest()[:8]
    path = folder / f"{report.as_of}_{of_runs}.html"
    draft = path.with_suffix(".draft")
    draft.write_text(
        render_report(report, warehouse.layout.shown("marts", "customers")), encoding="utf-8"
    )
    draft.replace(path)
    return path


def render_report(report: Report, customers_mart: str = "marts.customers") -> str:
    """Render a report as HTML; whatever a shop calls its customers and products is only text."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("python_ml.reporting.report", ""),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
    )
    environment.filters.update(
        words=words, count=_count, percent=_percent, money=_money, amount=_amount,
        interval=_interval, signed=_signed, metric_name=metric_name, money_name=money_name,
        line_name=_line_name,
    )  # fmt: skip
    return environment.get_template("page.html.j2").render(
        report=report,
        charts=charts,
        customers_mart=customers_mart,
        metric_columns=_metric_columns,
        compared=_compared,
        by_recipe=_by_recipe,
        published_name=_published_name,
        best_tenth=_best_tenth,
    )


def words(name: str) -> str:
    """A name as words.

    >>> words("order_habit")
    'Order habit'
    """
    text = name.replace("_", " ").strip()
    return text[:1].upper() + text[1:]


def metric_name(metric: str) -> str:
    """What people call a metric.

    >>> metric_name("ndcg_at_10"), metric_name("auc")
    ('NDCG@10', 'AUC')
    """
    if metric.startswith("ndcg_at_"):
        return f"NDCG@{metric.rpartition('_')[2]}"
    if metric.startswith("recall_at_"):
        return f"recall@{metric.rpartition('_')[2]}"
    return METRIC_NAMES.get(metric, metric.replace("_", " "))


def money_name(column: str) -> str:
    """What people call a column of money.

    >>> money_name("value_at_risk")
    'value at risk'
    """
    return MONEY_NAMES.get(column, column.replace("_", " "))


def _metric_columns(measures: Measures) -> Mapping[str, str]:
    ranked = [f"{name}_at_{measures.ranking}" for name in ("ndcg", "recall") if measures.ranking]
    found = {name for line in measures.recipes for name in line.figures}
    return {name: metric_name(name) for name in (*ranked, *SHOWN) if name in found}


def _compared(measures: Measures) -> Mapping[str, str]:
    """The metrics of every recipe that are drawn."""
    names = (f"ndcg_at_{measures.ranking}", "log_loss") if measures.ranking else COMPARED
    return {name: metric_name(name) for name in names if _by_recipe(measures, name)}


def _by_recipe(measures: Measures, metric: str) -> dict[str, Figure]:
    return {
        _line_name(line): line.figures[metric]
        for line in measures.recipes
        if metric in line.figures and line.figures[metric].low is not None
    }


def _line_name(line: RecipeLine) -> str:
    return f"{line.recipe} (published)" if line.is_published else line.recipe


def _published_name(measures: Measures) -> str:
    return _line_name(measures.published) if measures.published else ""


def _best_tenth(measures: Measures) -> float:
    points = measures.curves["gain"]
    return min(points, key=lambda point: abs(point.x - TENTH)).y


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _percent(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.2%}" if 0 < value < TENTH * TENTH else f"{value:.1%}"


def _money(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.1f}" if abs(value) < SMALL else f"{value:,.0f}"


def _amount(figure: Figure) -> str:
    return f"{_money(figure.value)} ({_money(figure.low)} to {_money(figure.high)})"


def _interval(figure: Figure | None) -> str:
    if figure is None:
        return ""
    if figure.low is None or figure.high is None:
        return f"{figure.value:.3f}"
    return f"{figure.value:.3f} ({figure.low:.3f} to {figure.high:.3f})"


def _signed(figure: Figure) -> str:
    return f"{figure.value:+.4f} ({figure.low:+.4f} to {figure.high:+.4f})"
