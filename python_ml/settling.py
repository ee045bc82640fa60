"""Outcomes of published predictions: when they are due, and when they alone are what failed.

dbt joins each score to its label in the models tagged ``outcomes``. They are built with every
publish; where nothing is new to publish but labels have matured, they are built by themselves.
A failure among them says nothing against the predictions, which are published all the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from python_ml.warehouse.postgres import Warehouse

TAG = "outcomes"
"""The dbt tag of outcomes and of what is made of them."""

OUTCOMES = ("mart_rows", "prediction_outcomes_rows")

# A label row of a window says that the window has closed and was labelled.
_OF_DATES = """
    exists (
        select 1 from labels.label_{prediction} as labels
        where labels.as_of_date = runs.as_of_date and labels.horizon_days = runs.horizon_days
    )
"""
_LABELLED = {
    **{name: _OF_DATES.format(prediction=name) for name in ("order_habit", "purchase_potential")},
    "return_risk": """
        (select max(scores.label_known_at) from predictions.return_risk as scores
            where scores.run_id = runs.run_id)
        <= (select newest_on + 1 from intermediate.int_data_window)
        and exists (
            select 1 from predictions.return_risk as scores
            inner join labels.label_return_risk as labels using (line_key, horizon_days)
            where scores.run_id = runs.run_id
        )
    """,
}


def outcomes_are_due(warehouse: Warehouse) -> bool:
    """Whether labels of a run are there, and its outcomes are not."""
    if not warehouse.relation_exists(*OUTCOMES):
        return False  # the first publish makes them
    return any(
        warehouse.relation_exists("labels", f"label_{prediction}")
        and warehouse.relation_exists("mart_rows", f"{prediction}_rows")
        and _is_due(warehouse, prediction, labelled)
        for prediction, labelled in _LABELLED.items()
    )


def _is_due(warehouse: Warehouse, prediction: str, labelled: str) -> bool:
    with warehouse.connect() as connection:
        row = connection.execute(
            f"""
            select exists (
                select 1 from predictions.runs as runs
                where runs.prediction = '{prediction}'
                    and not exists (
                        select 1 from mart_rows.prediction_outcomes_rows as settled
                        where settled.run_id = runs.run_id
                    )
                    and exists (
                        select 1 from mart_rows.{prediction}_rows as scored
                        where scored.run_id = runs.run_id
                    )
                    and {labelled}
            )
            """.encode()  # noqa: S608 - of this module
        ).fetchone()
    return bool(row and row[0])


def only_outcomes_failed(manifest_file: Path, failed: Iterable[str]) -> bool:
    """Whether every node that failed is tagged as an outcome, or is a test of one that is.

    Parameters
    ----------
    manifest_file
        dbt's manifest of the build that failed.
    failed
        Unique ids of the nodes that failed.
    """
    names = list(failed)
    if not names or not manifest_file.is_file():
        return False
    nodes: dict[str, Any] = json.loads(manifest_file.read_text(encoding="utf-8"))["nodes"]
    return all(_is_of_outcomes(nodes, name) for name in names)


def _is_of_outcomes(nodes: dict[str, Any], name: str) -> bool:
    node = nodes.get(name)
    if node is None:
        return False
    read = node["depends_on"]["nodes"] if node["resource_type"] == "test" else []
    return any(TAG in nodes[one]["tags"] for one in [name, *read] if one in nodes)
