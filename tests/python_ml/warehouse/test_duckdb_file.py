from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from python_ml.errors import BusyError, InputError, LostLockError, WarehouseError
from python_ml.warehouse.bi_copy import COPY_FILE, refresh_copy
from python_ml.warehouse.duckdb_file import DuckDBWarehouse
from python_ml.warehouse.ledger import (
    Run,
    in_force,
    land_run,
    list_runs,
    roll_back,
    run_rows,
    runs_in_force,
    write_lock,
)
from python_ml.warehouse.postgres import columns_of, create_schema

LANDING = """
create schema predictions;
create table predictions.runs (
    run_id text, prediction text, as_of_date date, horizon_days integer, bundle_id text,
    recipe text, feature_hash text, newest_input_at timestamp, row_count bigint,
    created_at timestamp, detail text
);
create table predictions.run_events (
    event_number bigint, run_id text, prediction text, event text, happened_at timestamp,
    detail text
);
create schema marts;
create view marts.habit as
    select run_id from predictions.run_events where event in ('published', 'rolled_back')
    order by event_number desc limit 1
"""


@pytest.fixture
def warehouse(tmp_path: Path) -> DuckDBWarehouse:
    return DuckDBWarehouse(tmp_path / "shop.duckdb", wait_seconds=0)


@pytest.fixture
def ledger(warehouse: DuckDBWarehouse) -> DuckDBWarehouse:
    with warehouse.connect() as connection:
        connection.execute(LANDING)
    return warehouse


@pytest.fixture
def table(warehouse: DuckDBWarehouse) -> DuckDBWarehouse:
    with warehouse.connect() as connection:
        create_schema(connection, "raw")
        connection.execute("create table raw.t (name text, amount double precision, n integer)")
    return warehouse


def _run(run_id: str) -> Run:
    return Run(run_id, "habit", date(2024, 1, 1), 30, "b", "r", "hash", None, 3)


def _land(warehouse: DuckDBWarehouse, run_id: str) -> None:
    with warehouse.bulk() as writer:
        land_run(writer, _run(run_id))


def test_a_failed_transaction_leaves_nothing(table: DuckDBWarehouse) -> None:
    rows = pa.table({"name": ["a"], "amount": [1.0], "n": [1]})
    with pytest.raises(ZeroDivisionError), table.bulk() as writer:
        writer.append("raw", "t", rows)
        raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError), table.connect() as connection:
        connection.execute("insert into raw.t values (%s, 1, 1)", ("b",))
        raise ZeroDivisionError
    assert table.read("select * from raw.t").num_rows == 0


def test_rows_are_cast_to_the_table_and_columns_found_by_name(table: DuckDBWarehouse) -> None:
    with table.bulk() as writer:
        count = writer.append("raw", "t", pa.table({"n": [2], "name": ["é"], "amount": [3]}))
    assert count == 1
    assert table.read("select * from raw.t").to_pylist() == [{"name": "é", "amount": 3.0, "n": 2}]


def test_rows_that_do_not_fit_are_refused(table: DuckDBWarehouse) -> None:
    with pytest.raises(WarehouseError, match="missing"), table.bulk() as writer:
        writer.append("raw", "t", pa.table({"name": ["a"]}))
    too_large = pa.table({"n": [2**40], "name": ["a"], "amount": [1.0]})
    with pytest.raises(pa.ArrowInvalid), table.bulk() as writer:
        writer.append("raw", "t", too_large)
    assert table.read("select * from raw.t").num_rows == 0


def test_what_goes_wrong_in_the_rows_is_raised_as_it_is(table: DuckDBWarehouse) -> None:
    def batches() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"name": ["a"], "amount": [1.0], "n": [1]})
        raise InputError("row 2 is bad")

    with pytest.raises(InputError, match="row 2 is bad"), table.bulk() as writer:
        writer.append_batches("raw", "t", ["name", "amount", "n"], batches())
    assert table.read("select * from raw.t").num_rows == 0


def test_types_have_the_names_that_postgresql_gives_them(table: DuckDBWarehouse) -> None:
    with table.connect() as connection:
        assert columns_of(connection, "raw", "t") == {
            "name": "text", "amount": "double precision", "n": "integer",
        }  # fmt: skip


def test_sums_of_integers_are_integers(table: DuckDBWarehouse) -> None:
    found = table.read("select sum(n) as n from (values (1), (2)) as given (n)")
    assert found.schema.field("n").type == pa.int64()
    assert found.to_pylist() == [{"n": 3}]


def test_another_process_that_writes_is_waited_for_and_named(table: DuckDBWarehouse) -> None:
    code = (
        f"import duckdb, sys; c = duckdb.connect({str(table.path)!r}); "
        "print('open', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None and other.stdin is not None
        assert other.stdout.readline().strip() == "open"
        with pytest.raises(BusyError, match="folder bi"):
            table.read("select 1")
        other.stdin.close()
    assert table.read("select 1 as one").to_pylist() == [{"one": 1}]


def test_a_question_can_change_nothing(table: DuckDBWarehouse, tmp_path: Path) -> None:
    assert table.ask("select 1 as one, 'é' as two") == (["one", "two"], [(1, "é")])
    out = tmp_path / "out.csv"
    for refused in (
        "drop table raw.t",
        "insert into raw.t values ('a', 1, 1)",
        f"copy (select 1) to '{out}'",
        f"attach '{tmp_path / 'other.duckdb'}'",
        "select 1; drop table raw.t",
        "set enable_external_access = true",
    ):
        with pytest.raises(InputError):
            table.ask(refused)
    assert not out.exists()
    assert table.relation_exists("raw", "t")


def test_one_run_at_a_time(ledger: DuckDBWarehouse) -> None:
    another = DuckDBWarehouse(ledger.path)
    with (
        write_lock(ledger, 0),
        pytest.raises(BusyError, match="Another run"),
        write_lock(another, 0),
    ):
        pass
    with write_lock(another, 0):
        pass


def test_a_writer_whose_lock_file_is_gone_publishes_nothing(ledger: DuckDBWarehouse) -> None:
    _land(ledger, "one")
    with write_lock(ledger, 0) as writer:
        ledger.path.with_name("shop.duckdb.lock").unlink()
        with pytest.raises(LostLockError):
            writer.record([("one", "habit")], "published")
        assert writer.lost.is_set()
    assert in_force(ledger) == {}


def test_the_newest_event_says_what_is_in_force(ledger: DuckDBWarehouse) -> None:
    for run_id in ("one", "two"):
        _land(ledger, run_id)
    with pytest.raises(LostLockError):
        _land(ledger, "one")
    with write_lock(ledger, 0) as writer:
        writer.record([("one", "habit")], "published")
        writer.record([("two", "habit")], "published")
        assert in_force(ledger) == {"habit": "two"}
        roll_back(ledger, writer, "habit", "one")
    assert in_force(ledger) == {"habit": "one"}
    assert [run.run_id for run in runs_in_force(ledger)] == ["one"]
    assert {run.run_id: run.last_event for run in list_runs(ledger)} == {
        "one": "rolled_back", "two": "published",
    }  # fmt: skip
    assert run_rows(ledger, "two") == 3


def test_bi_reads_a_copy_that_is_swapped_whole(ledger: DuckDBWarehouse, tmp_path: Path) -> None:
    folder = tmp_path / "bi"
    assert not refresh_copy(ledger, folder)  # nothing was published
    _land(ledger, "one")
    _land(ledger, "two")
    with write_lock(ledger, 0) as writer:
        writer.record([("one", "habit")], "published")
    assert refresh_copy(ledger, folder)
    assert not refresh_copy(ledger, folder)
    (folder / "gone.parquet").touch()
    reader = duckdb.connect(str(folder / COPY_FILE), read_only=True)
    with write_lock(ledger, 0) as writer:
        writer.record([("two", "habit")], "published")
    assert refresh_copy(ledger, folder)
    # whoever had the old file open still reads it; who opens it now reads the new one
    assert reader.execute("select * from marts.habit").fetchall() == [("one",)]
    reader.close()
    with duckdb.connect(str(folder / COPY_FILE), read_only=True) as new:
        assert new.execute("select * from marts.habit").fetchall() == [("two",)]
    parquet = duckdb.sql(f"select run_id from '{folder / 'habit.parquet'}'").fetchall()
    assert parquet == [("two",)]
    assert sorted(path.name for path in folder.glob("*.*")) == [
        ".copied_event", "habit.parquet", COPY_FILE,
    ]  # fmt: skip
