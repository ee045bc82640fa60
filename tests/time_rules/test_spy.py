"""A feature that is the label itself, known when the label is known, gets no weight.

The spy joins each customer's own label of the as-of date. Through the time rules it is not known
yet at that date, so it is empty and no model can use it. Without them it is all that a model needs:
that the second test finds it there shows that the first one can fail.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from python_ml.ingest.demo import DemoShop, write_demo_shop
from python_ml.pipeline import Pipeline
from python_ml.predictions import get_prediction
from python_ml.training.dataset import read_training_frame
from python_ml.training.frame import TrainingFrame
from python_ml.training.recipes import Boosted, Logistic, Recipe
from tests.conftest import MakePipeline
from tests.time_rules.test_mutations import copy_of_project

AS_OF = date(2025, 12, 1)
HORIZON_DAYS = 90
RULE = "{{ version_known_before('spies', 'date_totals.as_of_date') }}"
SPY = """
spies as (

    select
        customer_id,
        as_of_date,
        label,
        label_known_at as known_on,
        cast(null as date) as superseded_on
    from {{ ref('label_order_habit') }}

),

customer_facts as (

    select
        cast(spies.label as double precision) as recency_spy,"""
JOIN = """from date_totals
    left join spies
        on
            date_totals.customer_id = spies.customer_id
            and date_totals.as_of_date = spies.as_of_date
            and {rule}
"""
DESCRIBED = """
      - {name: recency_spy, description: The label., config: {meta: {role: feature}}}
      - name: recency_days"""


def replaced(path: Path, old: str, new: str, *, last: bool = False) -> None:
    """Replace the one place, or the last of several, where ``old`` stands."""
    before, found, after = (str.rpartition if last else str.partition)(path.read_text(), old)
    assert found, f"{path.name} has no {old!r}: bring the spy up to date"
    path.write_text(before + new + after)


@pytest.fixture(scope="module")
def frame_with_spy(
    make_pipeline: MakePipeline, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], TrainingFrame]:
    """Build a shop whose features hold the spy, joined under ``rule``, and read what trains."""
    lines = write_demo_shop(DemoShop(customers=500, years=3), tmp_path_factory.mktemp("shop"))

    def build(rule: str) -> TrainingFrame:
        project = copy_of_project(tmp_path_factory.mktemp("spy") / "project")
        features = project / "models_sql" / "features" / "feat_order_habit.sql"
        replaced(features, "\ncustomer_facts as (\n\n    select", SPY)
        replaced(features, "from date_totals\n", JOIN.format(rule=rule), last=True)
        replaced(features, "        -- recency\n", "        recency_spy,\n", last=True)
        replaced(features.with_suffix(".yml"), "\n      - name: recency_days", DESCRIBED)
        pipeline = Pipeline(make_pipeline().settings, project_dir=project)
        pipeline.load("order_lines", [lines.order_lines])
        request = pipeline.request(AS_OF, HORIZON_DAYS, ["order_habit"])
        pipeline.build(request)
        catalogue = pipeline._catalogue("order_habit")
        return read_training_frame(
            pipeline.warehouse, get_prediction("order_habit"), catalogue, AS_OF, HORIZON_DAYS
        )

    return build


def weight(recipe: Recipe, frame: TrainingFrame) -> float:
    """Share of all contributions that the spy makes."""
    model = recipe.fit(frame, seed=1, threads=1)
    contributions = model.contributions(frame.features, HORIZON_DAYS).abs().sum()
    return float(contributions["recency_spy"] / contributions.sum())


RECIPES = (Logistic(), Boosted())


def test_a_label_that_is_known_at_its_time_gets_no_weight(
    frame_with_spy: Callable[[str], TrainingFrame],
) -> None:
    frame = frame_with_spy(RULE)
    assert frame.features["recency_spy"].isna().all()
    assert [weight(recipe, frame) for recipe in RECIPES] == [0.0, 0.0]


def test_without_the_rule_the_spy_is_all_that_counts(
    frame_with_spy: Callable[[str], TrainingFrame],
) -> None:
    frame = frame_with_spy("true")
    assert frame.features["recency_spy"].notna().all()
    assert all(weight(recipe, frame) > 0.2 for recipe in RECIPES)
