"""What a run leaves in Prefect for people to look at: figures, counts, changes, the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prefect.artifacts import create_link_artifact, create_markdown_artifact, create_table_artifact

from python_ml.pipeline import Fold, Outcome
from python_ml.warehouse.dbt import DbtNode
from python_ml.warehouse.ledger import RunSummary, runs_in_force
from python_ml.warehouse.postgres import Warehouse
from python_ml.watch.backtest import PooledLine
from python_ml.watch.findings import Verdict
from python_ml.watch.gates import verdicts_of

Metric = Mapping[str, Any]


def by_prediction(warehouse: Warehouse) -> dict[str, RunSummary]:
    """Return the runs in force, by the name of their prediction."""
    return {run.prediction: run for run in runs_in_force(warehouse)}


def leave_artifacts(
    warehouse: Warehouse,
    before: Mapping[str, RunSummary],
    nights: Sequence[Sequence[Outcome]],
    nodes: Sequence[DbtNode],
    report: Path | None,
) -> None:
    """Leave what a night did: changes, counts, metrics, dbt's nodes, the report if there is one."""
    after = by_prediction(warehouse)
    skipped = {o.prediction: o.skipped for night in nights for o in night if o.skipped}
    create_markdown_artifact(
        describe_changes(before, after, skipped, len(nights)),
        key="what-changed",
        description="What is in force now, and what was before.",
    )
    for run in after.values():
        if run.bundle_id:
            leave_metrics(warehouse, run.prediction, run.bundle_id, f"Run {run.run_id}")
    leave_gates(warehouse, [o for night in nights for o in night])
    leave_nodes(nodes)
    if report is not None:
        create_link_artifact(report.as_uri(), link_text=report.name, key="report")


def leave_gates(warehouse: Warehouse, outcomes: Sequence[Outcome]) -> None:
    """Leave what the gates found for the runs of these nights."""
    names = {o.run_id: o.prediction for o in outcomes if o.run_id and o.bundle_id}
    verdicts = verdicts_of(warehouse, list(names))
    create_markdown_artifact(
        describe_gates({names[run_id]: verdict for run_id, verdict in verdicts.items()}),
        key="gates",
        description="What moved between training and scoring, and what could not be judged.",
    )


def leave_nodes(nodes: Sequence[DbtNode]) -> None:
    """Leave a table of every model and test that dbt ran."""
    rows = [
        {"node": node.name, "status": node.status, "seconds": round(node.seconds, 2)}
        for node in nodes
    ]
    if rows:
        create_table_artifact(rows, key="dbt-nodes", description="Models and tests that dbt ran.")


def leave_metrics(warehouse: Warehouse, prediction: str, bundle_id: str, of_what: str) -> None:
    """Leave the test metrics of a bundle, beside the recipes that it was chosen from."""
    metrics = warehouse.read(
        "select recipe, role, origin_date, metric, value from predictions.metrics "
        "where bundle_id = $1 and role like '%test_as_%'",
        [bundle_id],
    ).to_pylist()
    create_markdown_artifact(
        f"{of_what}, bundle {bundle_id[:12]}, {describe_metrics(metrics)}",
        key=f"metrics-{prediction.replace('_', '-')}",
        description=f"{prediction}, out of time, beside its baselines.",
    )


def leave_folds(prediction: str, folds: Sequence[Fold]) -> None:
    """Leave a table of what each past date of a backtest gave."""
    rows = [
        {
            "as of": str(fold.as_of),
            "tested on": str(fold.tested_on or ""),
            "recipe": fold.recipe or "",
            "log loss": fold.log_loss,
            "AUC": fold.auc,
            "skipped": fold.skipped or "",
        }
        for fold in folds
    ]
    create_table_artifact(rows, key=f"backtest-{prediction.replace('_', '-')}")


def describe_gates(verdicts: Mapping[str, Verdict]) -> str:
    """What the gates found, by prediction, as Markdown."""
    lines = []
    for name, verdict in sorted(verdicts.items()):
        lines.append(f"**{name}: {verdict.level}**\n")
        lines += [f"- {f.level}: {f.text}" for f in verdict.findings]
        lines += [f"- not judged: {reason}" for reason in verdict.not_judged]
    return "\n".join(lines) or "Nothing was scored."


def leave_pooled(prediction: str, lines: Sequence[PooledLine]) -> None:
    """Leave a table of a backtest pooled over its folds."""
    rows = [
        {
            "recipe": line.recipe,
            "log loss": line.measurement.log_loss.value,
            "AUC": line.measurement.auc.value if line.measurement.auc else None,
            **{
                f"chosen gains {metric}": f"{gain.value:+.4f} ({gain.low:+.4f} to {gain.high:+.4f})"
                for metric, gain in line.gains.items()
                if metric in ("log_loss", "auc")
            },
        }
        for line in lines
    ]
    if rows:
        create_table_artifact(rows, key=f"backtest-pooled-{prediction.replace('_', '-')}")


def describe_changes(
    before: Mapping[str, RunSummary],
    after: Mapping[str, RunSummary],
    skipped: Mapping[str, str | None],
    nights: int,
) -> str:
    """What is in force now beside what was before, as Markdown."""
    lines = [
        f"As-of dates in this run: {nights}.",
        "",
        "| prediction | as of | before | rows | before | model | before | run |",
        "|---|---|---|---:|---:|---|---|---|",
    ]
    for name, run in sorted(after.items()):
        old = before.get(name)
        cells = [
            name,
            run.as_of_date,
            old.as_of_date if old else "",
            f"{run.row_count:,}",
            f"{old.row_count:,}" if old else "",
            _model(run),
            "the same" if old and old.bundle_id == run.bundle_id else _model(old),
            f"{run.run_id}{' (unchanged)' if old and old.run_id == run.run_id else ''}",
        ]
        lines.append("| " + " | ".join(str(cell) for cell in cells) + " |")
    lines += [f"\n{reason}" for reason in skipped.values()]
    return "\n".join(lines)


def _model(run: RunSummary | None) -> str:
    return f"{run.recipe} {run.bundle_id[:12]}" if run and run.bundle_id else ""


def describe_metrics(metrics: Sequence[Metric]) -> str:
    """Every recipe on the test date, as it is and as published, as Markdown."""
    shown = ("log_loss", "auc", "average_precision", "calibration_error", "ndcg_at_10")
    names = [name for name in shown if any(row["metric"] == name for row in metrics)]
    by_line: dict[tuple[str, str], dict[str, float | None]] = {}
    for row in metrics:
        by_line.setdefault((row["recipe"], row["role"]), {})[row["metric"]] = row["value"]
    dates = sorted({str(row["origin_date"]) for row in metrics})
    lines = [
        f"tested on {dates[0] if dates else 'no date'}.",
        "",
        "| recipe | figures | " + " | ".join(name.replace("_", " ") for name in names) + " |",
        "|---|---|" + "---:|" * len(names),
    ]
    for (recipe, role), values in sorted(by_line.items()):
        figures = [_figure(values.get(name)) for name in names]
        lines.append(f"| {recipe} | {role.replace('_', ' ')} | " + " | ".join(figures) + " |")
    return "\n".join(lines)


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
