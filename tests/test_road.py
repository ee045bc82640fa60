"""The whole road on the demo shop: from order lines to what BI reads."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import psycopg
import pytest

from python_ml.errors import BuildError, BusyError, InputError, StaleModelError
from python_ml.ingest.demo import DemoShop, write_demo_shop
from python_ml.pipeline import CUSTOMERS, DEMO_MAPPING, Pipeline
from python_ml.settings import PROJECT_DIR
from python_ml.warehouse.ledger import in_force, list_runs, roll_back
from tests.conftest import MakePipeline
from tests.engines.parity import difference, read_table
from tests.time_rules.test_mutations import copy_of_project

AS_OF = date(2025, 12, 1)
HABIT = ["order_habit"]
BASKETS = "select as_of_date, sum(basket_mean_lines) from features.feat_order_habit group by 1"
SMARTRETAIL = str(Path(sys.executable).parent / "smartretail")


@pytest.fixture(scope="module")
def shop_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    return write_demo_shop(DemoShop(customers=500, years=3), folder).order_lines


@pytest.fixture(scope="module")
def demo(make_pipeline: MakePipeline, shop_file: Path) -> Pipeline:
    """A shop with one published run."""
    pipeline = make_pipeline(lock_wait_seconds=0)
    pipeline.load("order_lines", [shop_file], DEMO_MAPPING)
    pipeline.run(pipeline.request(AS_OF, only=HABIT))
    return pipeline


def rows(pipeline: Pipeline, query: str) -> list[tuple[object, ...]]:
    with pipeline.warehouse.connect() as connection:
        return connection.execute(query.encode()).fetchall()


def everything_that_was_made(pipeline: Pipeline) -> dict[str, list[tuple[object, ...]]]:
    """All rows of everything append-only, to see that nothing moves."""
    tables = (
        "raw.order_lines", "raw.loads", "features.feat_order_habit", "labels.label_order_habit",
        "predictions.runs", "predictions.run_events", "predictions.order_habit",
        "predictions.metrics", "mart_rows.order_habit_rows", "mart_rows.customers_rows",
        "marts.order_habit", "marts.customers",
    )  # fmt: skip
    return {
        name: rows(pipeline, f"select md5(t::text) from {name} t order by 1") for name in tables
    }


def test_every_known_customer_has_one_probability(demo: Pipeline) -> None:
    [(count, customers, lowest, highest)] = rows(
        demo,
        "select count(*), count(distinct customer_id), min(probability), max(probability) "
        "from marts.order_habit",
    )
    [(known,)] = rows(
        demo,
        "select count(distinct customer_id) from raw.order_lines "
        f"where ordered_at < '{AS_OF}' and recorded_at < '{AS_OF}'",
    )
    assert count == customers == known
    assert 0 < lowest < highest < 1


def test_marts_carry_what_bi_needs(demo: Pipeline) -> None:
    [row] = rows(
        demo,
        "select as_of_date, horizon_days, decile between 1 and 10, band, model_version, reasons, "
        "scored_at, label_known_at from marts.order_habit order by probability desc limit 1",
    )
    assert row[0] == AS_OF
    assert row[1:3] == (180, True)
    assert row[3] == "very likely"
    assert all(row[4:])
    assert row[7] == AS_OF + timedelta(days=181)


def test_the_summary_and_the_prediction_speak_of_the_same_customers(demo: Pipeline) -> None:
    assert rows(
        demo,
        "select count(*) from marts.customers full join marts.order_habit using (customer_id) "
        "where customers.customer_id is null or order_habit.customer_id is null "
        "or customers.order_habit_probability <> order_habit.probability",
    ) == [(0,)]


def test_metrics_stand_beside_every_baseline(demo: Pipeline) -> None:
    recipes = {
        row[0]
        for row in rows(
            demo,
            "select recipe from predictions.metrics "
            "where metric = 'log_loss' and role like 'test%' and lower_bound is not null",
        )
    }
    assert {"recency", "frequency", "log_rfm", "bgnbd"} < recipes


def test_nothing_is_trained_or_scored_with_what_was_not_known(demo: Pipeline) -> None:
    assert rows(
        demo, f"select count(*) from predictions.metrics where origin_date > '{AS_OF}'"
    ) == [(0,)]
    assert rows(demo, f"select max(as_of_date) <= '{AS_OF}' from features.feat_order_habit") == [
        (True,)
    ]


def test_the_same_again_changes_no_row(demo: Pipeline, shop_file: Path) -> None:
    before = everything_that_was_made(demo)
    report = demo.load("order_lines", [shop_file], DEMO_MAPPING)
    assert report.already_loaded == (shop_file.name,)
    demo.run(demo.request(AS_OF, only=HABIT))
    with demo.writing():
        demo.build(demo.request(AS_OF, only=HABIT))
    assert everything_that_was_made(demo) == before


def test_no_date_is_without_rows_and_asked_for_again(demo: Pipeline) -> None:
    held = "select distinct as_of_date from features.feat_order_habit order by 1"
    asked = (
        "select distinct as_of_date from intermediate.int_as_of_dates "
        "where prediction = 'order_habit' order by 1"
    )
    assert rows(demo, asked) == rows(demo, held)


OF_ADDED_DOUBLES = (
    "monetary_", "frequency_decayed_", "basket_mean_units", "basket_discount_share",
    "return_share_of_value", "attribute_first_order_value", "attribute_first_order_discount_share",
)  # fmt: skip
"""Their last digits hang on the order in which the server's plan adds: not the same each time."""


def test_a_rebuild_gives_the_same_features_and_labels(demo: Pipeline) -> None:
    labels, features = "labels.label_order_habit", ("features", "feat_order_habit")
    labels_before, before = everything_that_was_made(demo)[labels], read_table(demo, *features)
    with demo.writing():
        demo.build(demo.request(AS_OF, only=HABIT), full_refresh=True)
    assert everything_that_was_made(demo)[labels] == labels_before
    after = read_table(demo, *features)
    assert difference(before, after) is None
    same_bits = [name for name in before.columns if not name.startswith(OF_ADDED_DOUBLES)]
    one, other = (
        table.sort_values(["customer_id", "as_of_date"])[same_bits].reset_index(drop=True)
        for table in (before, after)
    )
    assert one.equals(other)


def test_another_shop_is_refused_with_the_command_to_use(demo: Pipeline) -> None:
    with pytest.raises(InputError, match="--home") as refused:
        demo.load("online_retail", [Path("anywhere")])
    assert "one home holds one shop" in refused.value.message


def test_a_future_as_of_is_refused(demo: Pipeline) -> None:
    with pytest.raises(InputError, match="future"):
        demo.request(date(2199, 1, 1))


def test_a_second_run_waits_and_then_says_so(demo: Pipeline) -> None:
    with demo.writing(), pytest.raises(BusyError, match="Another run"):
        demo.run(demo.request(AS_OF, only=HABIT))


def test_an_exported_file_holds_the_published_rows(demo: Pipeline, tmp_path: Path) -> None:
    target = tmp_path / "predictions.csv"
    smartretail(demo, "export", "order_habit", "--to", str(target))
    with target.open() as file:
        exported = {row["customer_id"]: float(row["probability"]) for row in csv.DictReader(file)}
    published = dict(rows(demo, "select customer_id, probability from marts.order_habit"))
    assert exported == published


def test_queries_only_read(demo: Pipeline) -> None:
    assert smartretail(demo, "query", "select 1 as one", "--format", "csv").stdout == "one\n1\n"
    for statement in ("drop table raw.loads", "commit; drop table raw.loads"):
        refused = smartretail(demo, "query", statement, check=False)
        assert refused.returncode == 3
        assert "refuses" in refused.stderr
    assert rows(demo, "select count(*) from raw.loads") != [(0,)]


def test_an_analytics_engineer_builds_into_a_schema_of_their_own(demo: Pipeline) -> None:
    before = everything_that_was_made(demo)
    exports = smartretail(demo, "env").stdout
    script = (
        f'{exports}\nPATH="{Path(sys.executable).parent}:$PATH" dbt -q build --no-version-check'
    )
    subprocess.run(["bash", "-euc", script], check=True, cwd=PROJECT_DIR, timeout=300)
    schemas = {str(row[0]) for row in rows(demo, "select nspname from pg_namespace")}
    assert any(name.startswith("dev_") for name in schemas)
    assert everything_that_was_made(demo) == before


def test_an_edited_feature_is_rebuilt_and_scoring_waits_for_training(
    demo: Pipeline, tmp_path: Path
) -> None:
    project = copy_of_project(tmp_path / "project")
    model = project / "models_sql" / "features" / "feat_order_habit.sql"
    edited = model.read_text().replace("as basket_mean_lines", "* 2 as basket_mean_lines")
    model.write_text(edited)
    pipeline = Pipeline(demo.settings, project_dir=project)
    before = rows(demo, BASKETS)
    published = rows(demo, "select * from marts.order_habit order by customer_id")
    request = pipeline.request(AS_OF, only=HABIT)
    with pipeline.writing():
        pipeline.build(request)
        after = dict(
            rows(
                demo,
                BASKETS,
            )
        )
        assert after == {day: pytest.approx(2 * total, rel=1e-9) for day, total in before}
        with pytest.raises(StaleModelError, match="train"):
            pipeline.newest_bundle("order_habit", AS_OF, 180)
        assert rows(demo, "select * from marts.order_habit order by customer_id") == published
    demo.run(demo.request(AS_OF, only=HABIT))  # back to the project as it is


def test_a_failed_test_publishes_nothing_and_is_named(demo: Pipeline, tmp_path: Path) -> None:
    project = copy_of_project(tmp_path / "project")
    (project / "tests" / "dbt" / "assert_nobody_is_likely.sql").write_text(
        "select * from {{ ref('order_habit_rows') }} where probability > 0.5"
    )
    pipeline = Pipeline(demo.settings, project_dir=project)
    before = in_force(demo.warehouse)
    with pytest.raises(BuildError, match="assert_nobody_is_likely"):
        pipeline.run(pipeline.request(AS_OF - timedelta(days=7), only=HABIT))
    assert in_force(demo.warehouse) == before
    assert any(run.last_event == "refused" for run in list_runs(demo.warehouse))


def test_rolling_back_is_one_row(demo: Pipeline) -> None:
    earlier = AS_OF - timedelta(days=14)
    current = in_force(demo.warehouse)["order_habit"]
    demo.run(demo.request(earlier, only=HABIT))
    assert rows(demo, "select distinct as_of_date from marts.order_habit") == [(earlier,)]
    with demo.writing() as writer:
        roll_back(demo.warehouse, writer, "order_habit", current)
        roll_back(demo.warehouse, writer, CUSTOMERS, _last_run_of(demo, CUSTOMERS, AS_OF))
    assert rows(demo, "select distinct as_of_date from marts.order_habit") == [(AS_OF,)]


def test_a_run_killed_between_scoring_and_publishing_leaves_the_marts(demo: Pipeline) -> None:
    before = rows(demo, "select * from marts.order_habit order by customer_id")
    day = AS_OF - timedelta(days=21)
    process = subprocess.Popen(
        [SMARTRETAIL, "run", "--only", *HABIT, "--as-of", day.isoformat()],
        env=environment(demo),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    scored = (
        "select count(*) from predictions.runs join predictions.run_events using (run_id) "
        f"where as_of_date = '{day}' and event = 'scored' and runs.prediction = 'order_habit'"
    )
    wait_until(lambda: rows(demo, scored) == [(1,)] or process.poll() is not None)
    process.kill()
    process.wait()
    assert rows(demo, scored) == [(1,)]
    assert rows(demo, "select * from marts.order_habit order by customer_id") == before
    dbt_at_work = (
        "select count(*) from pg_stat_activity "
        "where datname = current_database() and application_name = 'dbt'"
    )
    wait_until(lambda: rows(demo, dbt_at_work) == [(0,)], seconds=20)
    demo_again = Pipeline(demo.settings.model_copy(update={"lock_wait_seconds": 60}))
    demo_again.run(demo_again.request(day, only=HABIT))
    assert rows(demo, "select distinct as_of_date from marts.order_habit") == [(day,)]


@pytest.mark.parametrize(
    "refreshes", [2, pytest.param(20, marks=pytest.mark.slow)], ids=["twice", "twenty_times"]
)
def test_a_reader_never_sees_an_error_nothing_or_two_runs(demo: Pipeline, refreshes: int) -> None:
    seen: list[tuple[int, int, int]] = []
    failures: list[str] = []
    done = threading.Event()
    joined = (
        "select count(*), count(distinct order_habit.run_id), count(distinct customers.run_id) "
        "from marts.order_habit join marts.customers using (customer_id, as_of_date)"
    )

    def read_in_a_loop() -> None:
        with psycopg.connect(demo.warehouse.url, autocommit=True) as connection:
            while not done.is_set():
                try:
                    seen.append(connection.execute(joined).fetchone())  # type: ignore[arg-type]
                except psycopg.Error as error:
                    failures.append(str(error))

    reader = threading.Thread(target=read_in_a_loop)
    reader.start()
    try:
        for number in range(refreshes):
            refresh(demo, date(2025, 11, 2 if refreshes > 2 else 25) + timedelta(days=number))
    finally:
        done.set()
        reader.join()
    assert failures == []
    assert len(seen) > refreshes
    assert all(count > 100 and habit == summary == 1 for count, habit, summary in seen)


def refresh(pipeline: Pipeline, day: date) -> None:
    """What a nightly run does: build, score with the newest model, publish."""
    request = pipeline.request(day, only=HABIT)
    with pipeline.writing() as writer:
        pipeline.build(request)
        summary = pipeline.summarise_customers(request)
        bundle = pipeline.newest_bundle("order_habit", AS_OF, 180)
        pipeline.publish(writer, [summary, pipeline.score(request, "order_habit", bundle)])


def _last_run_of(pipeline: Pipeline, prediction: str, day: date) -> str:
    return next(
        run.run_id for run in list_runs(pipeline.warehouse, prediction) if run.as_of_date == day
    )


def environment(pipeline: Pipeline) -> dict[str, str]:
    assert pipeline.settings.database_url is not None
    return {
        **os.environ,
        "SMARTRETAIL_HOME": str(pipeline.settings.home),
        "SMARTRETAIL_DATABASE_URL": pipeline.settings.database_url.get_secret_value(),
    }


def smartretail(
    pipeline: Pipeline, *arguments: str, check: bool = True
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SMARTRETAIL, *arguments],
        env=environment(pipeline),
        check=check,
        capture_output=True,
        text=True,
        timeout=300,
    )


def wait_until(condition: Callable[[], bool], seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.01)
