"""A feature model that gives everybody their neighbour's features, mended, and broken again."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from python_ml.errors import GateError
from python_ml.ingest.demo import DemoShop, write_demo_shop
from python_ml.pipeline import Pipeline
from python_ml.warehouse.ledger import in_force
from tests.conftest import MakePipeline
from tests.test_gates import HABIT, rows
from tests.time_rules.test_mutations import copy_of_project

FIRST, SECOND = date(2025, 10, 1), date(2025, 10, 2)
NEIGHBOURS = """
        coalesce(
            lead(customer_id) over (partition by as_of_date order by customer_id),
            min(customer_id) over (partition by as_of_date)
        ) as customer_id,
        as_of_date,

        -- recency
"""


def events(pipeline: Pipeline, day: date, event: str) -> list[str]:
    return [
        str(detail)
        for (detail,) in rows(
            pipeline,
            "select events.detail from predictions.run_events as events "
            "inner join predictions.runs as runs on runs.run_id = events.run_id "
            f"where runs.as_of_date = '{day}' and runs.prediction = '{HABIT}' "
            f"and event = '{event}' order by event_number",
        )
    ]


@pytest.mark.slow
def test_a_feature_that_returns_is_promoted_and_one_that_goes_is_refused(
    make_pipeline: MakePipeline, tmp_path: Path
) -> None:
    whole = make_pipeline(effort="quick", threads=2)
    demo = write_demo_shop(DemoShop(customers=500, years=3), tmp_path / "demo")
    whole.load("order_lines", [demo.order_lines])
    project = copy_of_project(tmp_path / "project")
    model = project / "models_sql" / "features" / "feat_order_habit.sql"
    text = model.read_text()
    kept = "\n        customer_id,\n        as_of_date,\n\n        -- recency\n"
    before, after = text.rsplit(kept, 1)  # the last of them names what goes out
    model.write_text(before + NEIGHBOURS + after)
    broken = Pipeline(whole.settings, project_dir=project)

    broken.run(broken.request(FIRST, only=[HABIT]))
    whole.run(whole.request(FIRST, only=[HABIT]))
    *_, told = events(whole, FIRST, "published")
    assert "promoted against" in told
    assert "each on its own features" in told

    held = in_force(whole.warehouse)
    with pytest.raises(GateError, match="stays out against"):
        broken.run(broken.request(SECOND, only=[HABIT]))
    assert in_force(whole.warehouse) == held
    [told] = events(whole, SECOND, "refused")
    assert "stays out against" in told
    assert events(whole, SECOND, "published") == []
