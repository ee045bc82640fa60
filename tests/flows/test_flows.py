"""The flows on a real Prefect server, and the deployments with a real worker."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg
import pytest
from prefect import flow, get_client
from prefect.client.schemas.objects import State, StateType
from prefect.server.schemas.schedules import CronSchedule
from prefect.states import Scheduled

from flows.backfill import backfill
from flows.backtest import backtest
from flows.monitor import monitor
from flows.nights import Dates, do_nights
from flows.observed import ObservedPipeline, again_where_it_helps
from flows.refresh import refresh
from flows.score import score
from flows.train import train
from python_ml.errors import BuildError, InputError
from python_ml.ingest.demo import DemoShop, write_demo_shop
from python_ml.pipeline import Pipeline
from python_ml.settings import load_settings
from python_ml.warehouse.ledger import in_force
from tests.conftest import MakePipeline
from tests.flows.prefect_api import PrefectServer
from tests.time_rules.test_mutations import copy_of_project

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

FIRST = date(2025, 12, 1)
HABIT = ["order_habit"]
TIME_ZONE = "Europe/Berlin"


@pytest.fixture(scope="module")
def shop(make_pipeline: MakePipeline, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    """A small shop with one published run."""
    pipeline = make_pipeline(effort="quick", threads=2)
    demo = write_demo_shop(DemoShop(customers=60, years=2), tmp_path_factory.mktemp("demo"))
    pipeline.load("order_lines", [demo.order_lines])
    pipeline.run(pipeline.request(FIRST, only=HABIT))
    return pipeline


@pytest.fixture(scope="module")
def environment(shop: Pipeline) -> dict[str, str]:
    """The environment of a worker on the machine of this shop."""
    assert shop.settings.database_url is not None
    return {
        "SMARTRETAIL_HOME": str(shop.settings.home),
        "SMARTRETAIL_DATABASE_URL": shop.settings.database_url.get_secret_value(),
        "SMARTRETAIL_THREADS": "2",
        "SMARTRETAIL_EFFORT": "quick",
        "SMARTRETAIL_RETRY_DELAY_SECONDS": "0",
        "SMARTRETAIL_TIME_ZONE": TIME_ZONE,
    }


@pytest.fixture
def of_shop(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The same environment, for the flows of this process, too."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return environment


@pytest.fixture(scope="module")
def deployed(prefect_server: PrefectServer, environment: dict[str, str]) -> None:
    """Everything in prefect.yaml, deployed as the documents say."""
    prefect_server.type("work-pool", "create", "smartretail", "--type", "process")
    prefect_server.type("--no-prompt", "deploy", "--all", **environment)


@pytest.fixture
def webhook(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, str]]]:
    """A local server that takes messages, and what it took."""
    taken: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            taken.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("SMARTRETAIL_WEBHOOK_URL", f"http://127.0.0.1:{server.server_port}/hook")
        yield taken
        server.shutdown()
        thread.join()


def rows(pipeline: Pipeline, query: str) -> list[tuple[object, ...]]:
    with pipeline.warehouse.connect() as connection:
        return connection.execute(query.encode()).fetchall()


PUBLISHED = (
    "select runs.as_of_date from predictions.runs "
    "join predictions.run_events as events using (run_id) "
    "where runs.prediction = 'order_habit' and event = 'published' order by event_number"
)


def test_what_is_deployed_is_what_the_project_says(
    prefect_server: PrefectServer, deployed: None
) -> None:
    found_by_name = {found["name"]: found for found in prefect_server.find("deployments")}
    crons = {
        name: [(s["schedule"]["cron"], s["schedule"]["timezone"]) for s in found["schedules"]]
        for name, found in found_by_name.items()
    }
    assert crons == {
        "nightly-score": [("0 3 * * *", TIME_ZONE)],
        "weekly-train": [("0 1 * * 0", TIME_ZONE)],
        "monthly-backtest": [("0 5 1 * *", TIME_ZONE)],
        "morning-monitor": [("0 8 * * *", TIME_ZONE)],
        "refresh": [],
        "backfill": [],
    }
    for found in found_by_name.values():
        assert found["work_pool_name"] == "smartretail"
        assert found["global_concurrency_limit"]["limit"] == 1
        assert found["concurrency_options"]["collision_strategy"] == "ENQUEUE"
        for parameter in found["parameter_openapi_schema"]["properties"].values():
            assert parameter["description"]


def test_the_schedule_runs_by_the_clock_of_the_shop(
    prefect_server: PrefectServer, deployed: None
) -> None:
    with get_client(sync_client=True) as client:
        deployment = client.read_deployment_by_name("score/nightly-score")
    [found] = deployment.schedules
    of_deployment = {"deployment_id": {"any_": [str(deployment.id)]}}
    deadline = time.monotonic() + 120
    while not (planned := prefect_server.find("flow_runs", flow_runs=of_deployment)):
        assert time.monotonic() < deadline, "the server plans no run"
        time.sleep(0.2)
    starts = [datetime.fromisoformat(run["expected_start_time"]) for run in planned]
    assert {start.astimezone(ZoneInfo(TIME_ZONE)).hour for start in starts} == {3}

    # what the server plans runs with, over a year: planning so many there takes it minutes
    schedule = CronSchedule(**found.schedule.model_dump())
    nights = asyncio.run(schedule.get_dates(365, start=datetime(2026, 1, 1, tzinfo=UTC)))
    assert {night.astimezone(ZoneInfo(TIME_ZONE)).hour for night in nights} == {3}
    assert {night.astimezone(UTC).hour for night in nights} == {1, 2}  # summer and winter


@pytest.mark.parametrize("missed", [1, pytest.param(4, marks=pytest.mark.slow)])
def test_a_scheduled_run_catches_up_the_nights_that_were_missed(
    shop: Pipeline,
    prefect_server: PrefectServer,
    deployed: None,
    environment: dict[str, str],
    missed: int,
) -> None:
    before = rows(shop, PUBLISHED)
    first = max(day for (day,) in before)  # type: ignore[type-var]
    assert isinstance(first, date)
    last = first + timedelta(days=missed + 1)
    with get_client(sync_client=True) as client:
        deployment = client.read_deployment_by_name("score/nightly-score")
        run = client.create_flow_run_from_deployment(
            deployment.id,
            parameters={"dates": {"as_of": str(last)}, "only": HABIT},
            state=Scheduled(),
        )
        prefect_server.type("worker", "start", "--pool", "smartretail", "--run-once", **environment)
        ended = client.read_flow_run(run.id)
    logs = [log["message"] for log in prefect_server.of_run("logs", str(run.id))]
    assert ended.state is not None
    assert ended.state.type == StateType.COMPLETED, "\n".join(logs)
    days = [(first + timedelta(days=number + 1),) for number in range(missed + 1)]
    assert rows(shop, PUBLISHED) == [*before, *days]

    tasks = prefect_server.task_states(str(run.id), "model feat_order_habit")
    assert tasks["model feat_order_habit"] == "COMPLETED"
    assert not {"FAILED", "CRASHED", "CANCELLED"} & set(tasks.values())
    assert any("OK created" in message and "feat_order_habit" in message for message in logs)
    artifacts = {a["key"]: str(a["data"]) for a in prefect_server.of_run("artifacts", str(run.id))}
    assert {"what-changed", "metrics-order-habit", "dbt-nodes"} <= artifacts.keys()
    assert in_force(shop.warehouse)["order_habit"] in artifacts["what-changed"]
    assert f"| {last} | {first} |" in artifacts["what-changed"]
    assert "| recency |" in artifacts["metrics-order-habit"]
    assert "feat_order_habit" in artifacts["dbt-nodes"]
    password = psycopg.conninfo.conninfo_to_dict(environment["SMARTRETAIL_DATABASE_URL"])[
        "password"
    ]
    assert not any(str(password) in text for text in [*logs, *artifacts.values()])


def test_a_failed_test_fails_the_flow_by_name_and_leaves_the_marts(
    shop: Pipeline,
    prefect_server: PrefectServer,
    of_shop: dict[str, str],
    webhook: list[dict[str, str]],
    tmp_path: Path,
) -> None:
    project = copy_of_project(tmp_path / "project")
    (project / "tests" / "dbt" / "assert_nobody_is_likely.sql").write_text(
        "select * from {{ ref('order_habit_rows') }} where probability > 0.5"
    )
    before = rows(shop, "select * from marts.order_habit order by customer_id")
    in_force_before = in_force(shop.warehouse)

    @flow(name="broken")
    def broken() -> list[str]:
        pipeline = ObservedPipeline(load_settings(), project_dir=project)
        day = Dates(as_of=FIRST - timedelta(days=1), catch_up=False)
        return do_nights(pipeline, day, "if_changed", load=None, only=HABIT)

    state: State[object] = broken(return_state=True)
    assert state.is_failed()
    assert "assert_nobody_is_likely" in str(state.message)
    with pytest.raises(BuildError, match="assert_nobody_is_likely"):
        state.result()
    assert in_force(shop.warehouse) == in_force_before
    assert rows(shop, "select * from marts.order_habit order by customer_id") == before
    run_id = str(state.state_details.flow_run_id)
    tasks = prefect_server.task_states(run_id, "test assert_nobody_is_likely")
    assert tasks["test assert_nobody_is_likely"] == "FAILED"
    assert [message["kind"] for message in webhook] == ["refused"]
    assert "assert_nobody_is_likely" in webhook[0]["text"]

    with pytest.raises(AssertionError, match="was refused"):  # and the monitor says so, too
        raise AssertionError(str(monitor(return_state=True).message))
    assert webhook[-1]["kind"] == "refused"


def test_a_lost_connection_is_tried_again_and_wrong_input_is_not(
    shop: Pipeline, prefect_server: PrefectServer, of_shop: dict[str, str]
) -> None:
    tried: list[str] = []

    def cut_once() -> str:
        tried.append("cut")
        with shop.warehouse.connect() as connection:
            if len(tried) == 1:
                cut = "select pg_terminate_backend(pg_backend_pid())"
                connection.execute(cut.encode())
            return str(connection.execute("select 'answered'").fetchone())

    def wrong() -> None:
        tried.append("wrong")
        raise InputError("The file lacks a column.")

    @flow(name="tries")
    def tries() -> str:
        settings = load_settings()
        answer = again_where_it_helps(settings, "cut once", cut_once)
        again_where_it_helps(settings, "wrong", wrong)
        return answer

    state: State[object] = tries(return_state=True)
    assert tried == ["cut", "cut", "wrong"]
    assert "lacks a column" in str(state.message)


def test_refresh_trains_where_no_model_is_and_publishes_what_the_command_would(
    make_pipeline: MakePipeline,
    prefect_server: PrefectServer,
    of_shop: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    pipeline = make_pipeline(effort="quick", threads=2)
    demo = write_demo_shop(DemoShop(customers=150), tmp_path)
    pipeline.load("order_lines", [demo.order_lines])
    assert pipeline.settings.database_url is not None
    address = pipeline.settings.database_url.get_secret_value()
    monkeypatch.setenv("SMARTRETAIL_DATABASE_URL", address)
    published = refresh(dates=Dates(as_of=FIRST), home=pipeline.settings.home)
    assert sorted(published) == sorted(in_force(pipeline.warehouse).values())
    assert len(published) == 4


def test_late_scores_are_told_to_the_webhook(
    prefect_server: PrefectServer,
    webhook: list[dict[str, str]],
    of_shop: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SMARTRETAIL_LATE_AFTER_HOURS", "0.000001")
    state: State[object] = monitor(return_state=True)
    assert state.is_failed()
    assert "scores are late" in str(state.message)
    late = [message for message in webhook if message["kind"] == "late"]
    assert len(late) == 2  # order habit and the customer summary
    assert all("last published" in message["text"] for message in late)


def test_a_backfill_is_history_and_leaves_the_newest_date_in_force(
    shop: Pipeline, prefect_server: PrefectServer, of_shop: dict[str, str]
) -> None:
    before = in_force(shop.warehouse)
    day = date(2025, 11, 1)
    made = backfill(first=day, last=day, only=HABIT)
    assert len(made) == 2
    assert in_force(shop.warehouse) == before
    [(in_history,)] = rows(
        shop, f"select count(*) from marts.order_habit_history where as_of_date = '{day}'"
    )
    assert in_history
    assert rows(shop, f"select count(*) from marts.order_habit where as_of_date = '{day}'") == [
        (0,)
    ]


@pytest.mark.slow
def test_a_backtest_measures_past_dates_and_publishes_nothing(
    shop: Pipeline, prefect_server: PrefectServer, of_shop: dict[str, str]
) -> None:
    before = in_force(shop.warehouse)
    state: State[dict[str, int]] = backtest(only=HABIT, folds=2, return_state=True)
    assert state.result() == {"order_habit": 2}
    assert in_force(shop.warehouse) == before
    [artifact] = prefect_server.of_run("artifacts", str(state.state_details.flow_run_id))
    folds = json.loads(artifact["data"])
    newest = shop.newest_input()
    assert newest is not None
    tested = [fold["tested on"] for fold in folds]
    this_month = (newest.date() + timedelta(days=1)).replace(day=1)
    last_month = (this_month - timedelta(days=1)).replace(day=1)
    assert [fold["as of"] for fold in folds] == [str(last_month), str(this_month)]
    # nothing is tested on whose outcome was not known by then
    assert all(
        day < str(date.fromisoformat(fold["as of"]) - timedelta(days=180))
        for day, fold in zip(tested, folds, strict=True)
    )
    landed = rows(
        shop,
        "select count(distinct bundle_id) from predictions.metrics "
        f"where origin_date in ('{tested[0]}', '{tested[1]}') and role = 'test_as_published'",
    )
    assert landed[0][0] >= 2  # type: ignore[operator]


@pytest.mark.slow
def test_training_makes_the_model_that_the_next_scores_are_made_with(
    shop: Pipeline, prefect_server: PrefectServer, of_shop: dict[str, str]
) -> None:
    before = in_force(shop.warehouse)
    [bundle] = train(as_of=date(2025, 12, 20), only=HABIT)
    assert in_force(shop.warehouse) == before
    assert shop.newest_bundle("order_habit", date(2025, 12, 21), 180).bundle_id == bundle
    runs = score(dates=Dates(as_of=date(2025, 12, 21), catch_up=False), only=HABIT)
    assert set(runs) == set(in_force(shop.warehouse).values())
    assert rows(shop, "select distinct model_version from marts.order_habit") == [(bundle,)]
