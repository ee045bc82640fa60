"""Gates and challengers on a small shop: what is refused, what stays in force, what is told."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

import python_ml.pipeline
from python_ml.errors import GateError
from python_ml.ingest.demo import DemoShop, write_demo_shop
from python_ml.pipeline import Pipeline
from python_ml.predictions import get_prediction
from python_ml.predictions.base import Prediction
from python_ml.training.spec import PredictionSpec
from python_ml.warehouse.ledger import events_of, in_force
from python_ml.watch.gates import verdicts_of
from python_ml.watch.reference import read_references
from python_ml.watch.shadows import compare_shadows
from tests.conftest import MakePipeline

HABIT = "order_habit"
FIRST, SECOND, THIRD = date(2025, 10, 1), date(2025, 10, 2), date(2025, 10, 3)
SMARTRETAIL = str(Path(sys.executable).parent / "smartretail")
pytestmark = pytest.mark.xdist_group("gates")


@pytest.fixture(scope="module")
def shop(make_pipeline: MakePipeline, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """A shop with one published run."""
    pipeline = make_pipeline(effort="quick", threads=2)
    demo = write_demo_shop(DemoShop(customers=400, years=3), tmp_path_factory.mktemp("demo"))
    pipeline.load("order_lines", [demo.order_lines])
    pipeline.run(pipeline.request(FIRST, only=[HABIT]))
    return pipeline


def rows(pipeline: Pipeline, query: str) -> list[tuple[object, ...]]:
    with pipeline.warehouse.connect() as connection:
        return connection.execute(query.encode()).fetchall()


@pytest.fixture(scope="module")
def refused(shop: Pipeline) -> str:
    """The run of a night on which a feature is empty for a third of the customers."""
    request = shop.request(SECOND, only=[HABIT])
    with shop.writing():
        shop.build(request)
    rows_changed = (
        "update features.feat_order_habit set recency_over_tenure = null "
        f"where as_of_date = '{SECOND}' and abs(hashtext(customer_id)) % 3 = 0 returning 1"
    )
    with shop.warehouse.connect(autocommit=True) as connection:
        assert connection.execute(rows_changed.encode()).fetchall()
    before = in_force(shop.warehouse)
    with pytest.raises(GateError, match="recency_over_tenure is empty in 3"):
        shop.nights(request, [SECOND], training="never")
    assert in_force(shop.warehouse) == before
    [(run_id,)] = rows(
        shop, f"select run_id from predictions.runs where as_of_date = '{SECOND}' "
        f"and prediction = '{HABIT}'"
    )  # fmt: skip
    return str(run_id)


def test_a_bundle_knows_the_features_that_it_was_trained_on(shop: Pipeline) -> None:
    bundle = shop.newest_bundle(HABIT, FIRST, 180)
    assert bundle.reference is not None
    reference = read_references(bundle.reference)[""]
    [(dates, customers)] = rows(
        shop,
        "select count(distinct as_of_date), max(customers) from (select as_of_date, "
        "count(*) as customers from labels.label_order_habit "
        f"where label_known_at <= '{FIRST}' group by 1) as by_date",
    )
    assert isinstance(dates, int)
    assert len(reference.days) == min(dates, 24)
    assert max(reference.groups) == customers
    assert reference.features["season_as_of_month"].moves_with_the_date
    assert not reference.features["recency_days"].moves_with_the_date


def test_an_ordinary_run_passes(shop: Pipeline) -> None:
    run_id = rows(
        shop,
        f"select run_id from predictions.runs where prediction = '{HABIT}' "
        f"and as_of_date = '{FIRST}'",
    )[0][0]
    verdict = verdicts_of(shop.warehouse, [str(run_id)])[str(run_id)]
    assert verdict.level == "passed", verdict.text()
    assert rows(shop, "select distinct warning from marts.order_habit") == [(None,)]


def test_the_ledger_says_what_moved_of_every_run_of_the_night(shop: Pipeline, refused: str) -> None:
    *_, last = events_of(shop.warehouse, refused)
    assert last.event == "refused"
    assert "recency_over_tenure is empty" in last.detail
    others = rows(
        shop,
        "select events.detail from predictions.run_events as events "
        "inner join predictions.runs as runs on runs.run_id = events.run_id "
        f"where runs.prediction = 'customers' and runs.as_of_date = '{SECOND}' "
        "and event = 'refused'",
    )
    assert others == [("not published: order_habit was refused",)]


def test_publishing_says_no_with_an_exit_code_of_its_own_and_yes_when_told(
    shop: Pipeline, refused: str
) -> None:
    assert shop.settings.database_url is not None
    environment = {
        **os.environ,
        "SMARTRETAIL_HOME": str(shop.settings.home),
        "SMARTRETAIL_DATABASE_URL": shop.settings.database_url.get_secret_value(),
    }
    command = [SMARTRETAIL, "publish", "--as-of", str(SECOND), "--only", HABIT]

    def publish(*more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *more], env=environment, capture_output=True, text=True, check=False
        )

    said = publish()
    assert said.returncode == 9
    assert "recency_over_tenure is empty" in said.stderr
    assert "--anyway" in said.stderr
    assert in_force(shop.warehouse)[HABIT] != refused

    said = publish("--anyway")
    assert said.returncode == 0, said.stderr
    assert in_force(shop.warehouse)[HABIT] == refused
    *_, last = events_of(shop.warehouse, refused)
    assert last.detail.startswith("published anyway: ")
    [(warning,)] = rows(shop, "select distinct warning from marts.order_habit")
    assert "recency_over_tenure is empty" in str(warning)


# -- champion and challenger -----------------------------------------------------------------


@pytest.fixture(scope="module")
def worse(shop: Pipeline, refused: str) -> Iterator[Pipeline]:
    """The same shop after a night on which only the poorest of baselines was allowed to learn."""
    prediction = get_prediction(HABIT)
    assert isinstance(prediction, Prediction)

    def poor(horizon_days: int) -> PredictionSpec:
        spec = prediction.spec(horizon_days)
        frequency = [recipe for recipe in spec.recipes if recipe.name in ("frequency", "bgnbd")]
        only = [recipe for recipe in frequency if recipe.name == "frequency"]
        return replace(spec, recipes=tuple(only), baselines=(), level_reference=None)

    poorer = replace(prediction, spec=poor)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            python_ml.pipeline,
            "get_prediction",
            lambda name: poorer if name == HABIT else get_prediction(name),
        )
        shop.run(shop.request(THIRD, only=[HABIT]), anyway=True)
    return shop


def test_a_worse_challenger_stays_out_and_the_champion_scores(worse: Pipeline) -> None:
    [(recipe,)] = rows(
        worse, f"select distinct recipe from marts.order_habit where as_of_date = '{THIRD}'"
    )
    assert recipe != "frequency"
    told = rows(
        worse,
        "select runs.recipe, events.detail from predictions.run_events as events "
        "inner join predictions.runs as runs on runs.run_id = events.run_id "
        f"where runs.as_of_date = '{THIRD}' and event = 'refused'",
    )
    [(challenger, detail)] = told
    assert challenger == "frequency"
    assert f"challenger frequency stays out against {recipe}" in str(detail)


def test_a_challenger_that_stayed_out_does_not_score_later_nights(worse: Pipeline) -> None:
    assert worse.newest_bundle(HABIT, THIRD, 180).recipe != "frequency"
    outcomes = worse.outcomes_of(worse.request(THIRD, only=[HABIT]))
    assert [o.run_id for o in outcomes if o.prediction == HABIT] == [
        in_force(worse.warehouse)[HABIT]
    ]


def test_its_scores_wait_for_the_truth(worse: Pipeline) -> None:
    assert compare_shadows(worse.warehouse, seed=1) == []
    with worse.warehouse.connect(autocommit=True) as connection:
        connection.execute(
            "insert into labels.label_order_habit "
            "select customer_id, as_of_date, horizon_days, "
            "case when random() < probability then 1 else 0 end, label_known_at "
            "from marts.order_habit"
        )
    [told] = compare_shadows(worse.warehouse, seed=1)
    assert "which stayed out" in told
    [(low,)] = rows(
        worse,
        "select upper_bound from predictions.metrics where role = 'shadow_as_published' "
        "and metric = 'log_loss_gain_over_champion'",
    )
    assert float(str(low)) < 0
    assert compare_shadows(worse.warehouse, seed=1) == [], "once is enough"
