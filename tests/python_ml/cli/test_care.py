"""The commands that care for a home, on a demo shop with a server of its own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from python_ml.cli import care
from python_ml.errors import BuildError, BusyError, InputError
from python_ml.forgetting.forget import forget
from python_ml.forgetting.register import read_forgotten
from python_ml.ingest.demo import DemoShop, write_demo_shop
from python_ml.ingest.load import load
from python_ml.pipeline import DEMO, DEMO_MAPPING, Pipeline
from python_ml.settings import load_settings
from python_ml.warehouse.server import EmbeddedServer

RARE = "zzforgetmezz-4711"
NEIGHBOUR = "zzforgetmezz-4712"

DEV_SCHEMA = "dev_tester"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """A home with a server of its own, a rare customer and a published run."""
    home = tmp_path_factory.mktemp("care") / "home"
    demo_file = write_demo_shop(
        DemoShop(customers=120, years=1), home / "demo", with_oracle=True
    ).order_lines
    rename_customers(demo_file)
    pipeline = Pipeline(load_settings(home=home, lock_wait_seconds=1))
    pipeline.load(DEMO)
    pipeline.run(pipeline.request(only=["order_habit"]))
    yield pipeline
    server = EmbeddedServer(home)
    server.stop()
    shutil.rmtree(server.data_dir.parent)  # as root it lies outside the folder that pytest removes


def rename_customers(path: Path) -> None:
    """Give the two customers with most lines the ids to look for, in all files of the shop."""
    counts = pc.value_counts(pq.read_table(path).column("customer_id")).to_pylist()
    known = sorted((row["counts"], row["values"]) for row in counts if row["values"])
    names = {known[-1][1]: RARE, known[-2][1]: NEIGHBOUR}
    for file in (path, path.parent / "oracle" / "order_habit.parquet"):
        table = pq.read_table(file)
        ids = [names.get(name, name) for name in table.column("customer_id").to_pylist()]
        place = table.schema.get_field_index("customer_id")
        column = pa.array(ids, pa.string())
        pq.write_table(table.set_column(place, "customer_id", column), file)


def run(pipeline: Pipeline, *arguments: str) -> Result:
    return CliRunner().invoke(care.app, [*arguments, "--home", str(pipeline.settings.home)])


def rows(pipeline: Pipeline, query: str) -> list[tuple[object, ...]]:
    with pipeline.warehouse.connect() as connection:
        return connection.execute(query.encode()).fetchall()


def execute(pipeline: Pipeline, *statements: str) -> None:
    with pipeline.warehouse.connect() as connection:
        for statement in statements:
            connection.execute(statement.encode())


def holders(pipeline: Pipeline, text: str) -> list[Path]:
    """Files of the home and of its server that hold a text, not even inside a longer one."""
    folders = {pipeline.settings.home, EmbeddedServer(pipeline.settings.home).data_dir.parent}
    found = (path for folder in folders for path in folder.rglob("*") if path.is_file())
    return [path for path in found if text.encode() in path.read_bytes()]


# -- demo-data -------------------------------------------------------------------------------------


def test_demo_data_says_how_to_use_it(tmp_path: Path) -> None:
    arguments = ["demo-data", "--customers", "30", "--years", "1", "--seed", "5"]
    shown = CliRunner().invoke(care.app, [*arguments, "--out", str(tmp_path / "a b"), "--oracle"])
    assert shown.exit_code == 0
    file = tmp_path / "a b" / "order_lines.parquet"
    assert f"{pq.read_metadata(file).num_rows:,} order lines of 30 customers" in shown.stdout
    assert f"--source order_lines --path '{file}' --attribute line:size" in shown.stdout
    assert (tmp_path / "a b" / "oracle" / "order_habit.parquet").exists()
    CliRunner().invoke(care.app, [*arguments, "--out", str(tmp_path / "again")])
    assert (tmp_path / "again" / "order_lines.parquet").read_bytes() == file.read_bytes()
    assert not (tmp_path / "again" / "oracle").exists()


def test_demo_data_writes_over_no_file_of_the_shops(tmp_path: Path) -> None:
    own = tmp_path / "order_lines.parquet"
    pq.write_table(pa.table({"order_id": ["1"]}), own)
    before = own.read_bytes()
    ended = CliRunner().invoke(care.app, ["demo-data", "--customers", "5", "--out", str(tmp_path)])
    assert isinstance(ended.exception, InputError)
    assert own.read_bytes() == before


# -- doctor ----------------------------------------------------------------------------------------


def test_the_doctor_finds_a_published_shop_well(demo: Pipeline) -> None:
    shown = run(demo, "doctor")
    assert shown.exit_code == 0, shown.stdout
    assert "All is well" in shown.stdout
    assert "source demo: 1 load," in shown.stdout
    assert "order_habit: run" in shown.stdout
    assert "1 fit the features" in shown.stdout
    password = (demo.settings.home / "postgres" / "password").read_text()
    assert password not in shown.stdout


def test_the_doctor_names_a_damaged_bundle_and_the_training_to_repeat(demo: Pipeline) -> None:
    [manifest] = demo.settings.bundles_dir.glob("*/*/bundle.json")
    kept = manifest.read_bytes()
    manifest.write_bytes(kept.replace(b'"seed"', b'"sown"'))
    try:
        shown = run(demo, "doctor")
    finally:
        manifest.write_bytes(kept)
    assert shown.exit_code == 1
    assert "was changed after training" in shown.stdout
    assert "train --only order_habit --as-of 2026-01-01 --horizon-days 180" in shown.stdout


def test_the_doctor_names_missing_landing_tables(demo: Pipeline) -> None:
    execute(demo, "alter table predictions.metrics rename to mislaid")
    try:
        shown = run(demo, "doctor")
    finally:
        execute(demo, "alter table predictions.mislaid rename to metrics")
    assert shown.exit_code == 1
    assert "predictions.metrics" in shown.stdout
    assert "smartretail build" in shown.stdout


def test_the_doctor_names_features_that_no_model_fits(demo: Pipeline) -> None:
    execute(
        demo,
        "insert into predictions.feature_builds "
        "values ('features', 'feat_order_habit', 'edited', now() at time zone 'utc')",
    )
    try:
        shown = run(demo, "doctor")
    finally:
        execute(demo, "delete from predictions.feature_builds where feature_hash = 'edited'")
    assert shown.exit_code == 1
    assert "0 fit the features" in shown.stdout
    assert "smartretail train" in shown.stdout


def test_the_doctor_leaves_a_stopped_server_stopped(demo: Pipeline) -> None:
    server = EmbeddedServer(demo.settings.home)
    server.stop()
    try:
        shown = run(demo, "doctor")
        assert not server.status().running
    finally:
        server.start()
    assert shown.exit_code == 1
    assert "db start" in shown.stdout
    assert "order_habit: 1 bundle" in shown.stdout


def test_the_doctor_makes_nothing_in_an_empty_home(tmp_path: Path) -> None:
    shown = CliRunner().invoke(care.app, ["doctor", "--home", str(tmp_path / "none")])
    assert shown.exit_code == 1
    assert "smartretail run" in shown.stdout
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("address", ["127.0.0.1:1/nowhere", "[::1/nowhere", "127.0.0.1:x/nowhere"])
def test_the_doctor_shows_no_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("SMARTRETAIL_DATABASE_URL", f"postgresql://user:tops3cret@{address}")
    shown = CliRunner().invoke(care.app, ["doctor", "--home", str(tmp_path)])
    assert shown.exit_code == 1, shown.exception
    assert "SMARTRETAIL_DATABASE_URL" in shown.stdout
    assert "tops3cret" not in shown.output


# -- features diff ---------------------------------------------------------------------------------


def test_without_a_dev_build_the_commands_that_make_one_are_named(demo: Pipeline) -> None:
    ended = run(demo, "features", "diff", "--schema", "dev_nobody")
    assert isinstance(ended.exception, BuildError)
    assert "smartretail env" in str(ended.exception.hint)
    assert "dbt build" in str(ended.exception.hint)


def test_a_dev_build_that_changes_nothing_ends_with_0(demo: Pipeline) -> None:
    make_dev_build(demo)
    shown = run(demo, "features", "diff", "order_habit", "--schema", DEV_SCHEMA)
    assert shown.exit_code == 0, shown.output
    assert "No difference" in shown.stdout


def test_a_dev_build_that_changes_features_ends_with_1(demo: Pipeline) -> None:
    make_dev_build(demo)
    execute(
        demo,
        f"update {DEV_SCHEMA}.feat_order_habit set basket_mean_lines = basket_mean_lines + 100, "
        "recency_days = nullif(recency_days, (select max(recency_days) from "
        "features.feat_order_habit))",
    )
    shown = run(demo, "features", "diff", "--schema", DEV_SCHEMA, "--format", "json")
    assert shown.exit_code == 1
    first, second, *rest = json.loads(shown.stdout)["features"]
    assert (first["feature"], first["rows_changed"]) == ("basket_mean_lines", 1)
    assert first["psi"] > 1
    assert first["mean_dev"] == pytest.approx(first["mean_published"] + 100)
    assert second["feature"] == "recency_days"
    assert second["missing_dev"] > second["missing_published"] == 0
    assert {feature["rows_changed"] for feature in rest} == {0}
    table = run(demo, "features", "diff", "--schema", DEV_SCHEMA).stdout
    assert "basket_mean_lines" in table
    assert "monetary_spend_total" not in table
    lines = run(demo, "features", "diff", "--schema", DEV_SCHEMA, "--format", "csv").stdout
    assert lines.startswith("feature,status,") and lines.count("\n") == len(rest) + 3


def make_dev_build(pipeline: Pipeline) -> None:
    execute(
        pipeline,
        f"create schema if not exists {DEV_SCHEMA}",
        f"drop table if exists {DEV_SCHEMA}.feat_order_habit",
        f"create table {DEV_SCHEMA}.feat_order_habit as table features.feat_order_habit",
    )


# -- forget ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["nobody", "zzforgetmezz", "", "%", "' or true --"])
def test_an_unknown_customer_changes_nothing(demo: Pipeline, name: str) -> None:
    before = rows(
        demo, "select md5(string_agg(t::text, '' order by t::text)) from raw.order_lines t"
    )
    files = {path: path.read_bytes() for path in demo.settings.home.glob("demo/**/*.parquet")}
    command = ["forget", "--yes", "--home", str(demo.settings.home), "--", name]
    ended = CliRunner().invoke(care.app, command)
    assert isinstance(ended.exception, InputError)
    assert ended.exception.exit_code == 3
    assert before == rows(
        demo, "select md5(string_agg(t::text, '' order by t::text)) from raw.order_lines t"
    )
    assert files == {path: path.read_bytes() for path in files}
    assert not (demo.settings.home / "forgotten.salt").exists()


def test_saying_no_changes_nothing(demo: Pipeline) -> None:
    command = ["forget", RARE, "--home", str(demo.settings.home)]
    assert CliRunner().invoke(care.app, command, input="n\n").exit_code == 1
    assert rows(demo, f"select count(*) > 0 from raw.order_lines where customer_id = '{RARE}'") == [
        (True,)
    ]


def leave_traces(pipeline: Pipeline) -> None:
    """Let the customer stand everywhere where a working home may name one."""
    home = pipeline.settings.home
    make_dev_build(pipeline)
    execute(
        pipeline,
        "insert into raw.rejected_rows values "
        f"(1, 'a.csv', 7, 'order_id=9; customer_id={RARE}', 'quantity is no number'), "
        f"(1, 'a.csv', 8, 'order_id=9; customer_id={NEIGHBOUR}', 'quantity is no number')",
        "insert into predictions.run_events values (0, 'x', 'order_habit', 'refused', now(), "
        f"'1 of 2 nodes failed: Key (customer_id)=({RARE}) already exists.')",
        "create schema bi",
        f"create table bi.my_list as select '{RARE}' as customer_id",
        "create materialized view features.latest as "
        "select customer_id, max(as_of_date) from features.feat_order_habit group by 1",
        "analyze",
    )
    with pytest.raises(psycopg.Error):  # the server's log keeps statements that fail
        execute(pipeline, f"select '{RARE}'::integer")
    for _ in range(4):  # old segments of the server's log are kept under new names
        execute(pipeline, "select pg_switch_wal()")
        with pipeline.warehouse.connect(autocommit=True) as connection:
            connection.execute("checkpoint")
    table = pa.table({"customer_id": [RARE, NEIGHBOUR], "probability": [0.5, 0.25]})
    (home / "exports").mkdir()
    pa.csv.write_csv(table, home / "exports" / "predictions.csv")
    pq.write_table(table, home / "exports" / "predictions.parquet")
    compiled = home / "dbt" / "target" / "compiled" / "looked_up.sql"
    compiled.parent.mkdir(parents=True, exist_ok=True)
    compiled.write_text(f"select * from int_orders where customer_id = '{RARE}'")
    (home / "reports").mkdir()
    (home / "reports" / "best.html").write_text(f"<td>{RARE}</td>")
    with (home / "logs" / "dbt" / "dbt.log").open("a") as log:
        log.write(f"a line of {RARE}\na line of {NEIGHBOUR}\n")
    assert len(holders(pipeline, RARE)) > 20


def test_a_forgotten_customer_is_nowhere_and_the_next_run_works(demo: Pipeline) -> None:
    leave_traces(demo)
    others = f"select count(*) from raw.order_lines where customer_id is distinct from '{RARE}'"
    before = rows(demo, others)
    # a reader of yesterday's rows is in the way: what is deleted cannot leave the disk yet
    with psycopg.connect(demo.warehouse.url) as reader:
        reader.execute("set transaction isolation level repeatable read")
        reader.execute("select count(*) from raw.loads")
        with pytest.raises(BusyError, match="still reads"):
            forget(demo, RARE)
    shown = run(demo, "forget", RARE, "--yes")  # goes on where it stopped
    assert shown.exit_code == 0, shown.exception
    assert "bi.my_list" in shown.stdout
    execute(demo, "drop schema bi cascade", "checkpoint")
    EmbeddedServer(demo.settings.home).stop()
    assert holders(demo, RARE) == []
    assert holders(demo, NEIGHBOUR) != []
    EmbeddedServer(demo.settings.home).start()
    assert rows(demo, others) == before
    assert rows(demo, "select count(*) from raw.rejected_rows") == [(1,)]
    assert run(demo, "doctor").exit_code == 0
    neighbour = f"select count(*) > 0 from marts.order_habit where customer_id = '{NEIGHBOUR}'"
    assert rows(demo, neighbour) == [(True,)]

    loaded = demo.load(DEMO)  # its file was rewritten: known rows, and nobody comes back
    assert (loaded.loaded, loaded.unchanged) == (0, loaded.given)
    outcomes = demo.run(demo.request(only=["order_habit"]))
    assert all(outcome.run_id and not outcome.skipped for outcome in outcomes)
    assert run(demo, "doctor").exit_code == 0
    assert rows(demo, others) == before


def test_a_later_file_does_not_bring_a_forgotten_customer_back(
    demo: Pipeline, tmp_path: Path
) -> None:
    shop = pd.read_parquet(demo.settings.home / "demo" / "order_lines.parquet").head(20)
    back = shop.assign(
        order_id=[f"again-{number}" for number in range(20)], customer_id=[RARE, NEIGHBOUR] * 10
    )
    back.to_parquet(tmp_path / "later.parquet")
    loaded = load(
        demo.warehouse,
        DEMO,
        [tmp_path / "later.parquet"],
        DEMO_MAPPING,
        staging="order_lines",
        home=demo.settings.home,
    )
    assert (loaded.given, loaded.loaded, loaded.unchanged) == (20, 10, 10)
    known = f"select count(*) from raw.order_lines where customer_id = '{RARE}'"
    assert rows(demo, known) == [(0,)]


def test_the_home_knows_whom_it_has_forgotten_without_a_name(demo: Pipeline) -> None:
    salt = demo.settings.home / "forgotten.salt"
    assert salt.stat().st_mode & 0o777 == 0o600
    forgotten = read_forgotten(demo.warehouse.read, demo.settings.home)
    assert forgotten.is_forgotten(RARE)
    assert not forgotten.is_forgotten(NEIGHBOUR)
    [(times, deleted)] = rows(demo, "select count(*), sum(rows_deleted) > 100 from raw.forgotten")
    assert (times, deleted) == (1, True)
    assert salt.read_text() not in str(rows(demo, "select * from raw.forgotten"))


def test_a_lost_salt_is_noticed(demo: Pipeline) -> None:
    salt = demo.settings.home / "forgotten.salt"
    kept = salt.read_text()
    for content in (None, "another"):
        salt.unlink() if content is None else salt.write_text(content)
        with pytest.raises(InputError, match=r"forgotten\.salt"):
            read_forgotten(demo.warehouse.read, demo.settings.home)
        assert "forgotten.salt" in run(demo, "doctor").stdout
    salt.write_text(kept)
