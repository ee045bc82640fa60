"""The only code that talks to PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime

import psycopg
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from python_ml.errors import InputError, WarehouseError
from python_ml.warehouse.postgres import BulkWriter, Warehouse, identifier

UNREACHABLE = "postgresql://someone:s3cret@127.0.0.1:1/nowhere"


@pytest.fixture
def warehouse(database_url: str) -> Warehouse:
    warehouse = Warehouse(database_url)
    with warehouse.connect() as connection:
        connection.execute(
            "create table t (a double precision, b bigint, c text, d timestamp, e date)"
        )
    return warehouse


def rows(warehouse: Warehouse) -> list[dict[str, object]]:
    result: list[dict[str, object]] = warehouse.read("select * from t order by b").to_pylist()
    return result


def table(count: int = 2, **columns: object) -> pa.Table:
    given = {
        "e": pa.array([datetime(2024, 1, 1)] * count, pa.timestamp("us")),
        "d": pa.array([datetime(2024, 1, 1, 10)] * count, pa.timestamp("s")),
        "c": pa.array(["x"] * count, pa.large_string()),
        "b": pa.array(range(count), pa.int32()),
        "a": pa.array(range(count), pa.int64()),
    }
    return pa.table(given | columns)


def test_every_column_arrives_in_the_type_of_the_table(warehouse: Warehouse) -> None:
    with warehouse.bulk() as writer:
        assert writer.append("public", "t", table()) == 2
    assert [row["a"] for row in rows(warehouse)] == [0.0, 1.0]
    assert [row["b"] for row in rows(warehouse)] == [0, 1]
    assert str(rows(warehouse)[1]["e"]) == "2024-01-01"
    assert rows(warehouse)[1]["d"] == datetime(2024, 1, 1, 10)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(day=st.dates(), number=st.integers(-(2**31) + 1, 2**31 - 1))
@example(day=date(2024, 2, 29), number=-1)
def test_a_query_gets_its_parameters_as_they_were_given(
    warehouse: Warehouse, day: date, number: int
) -> None:
    query = "select $2 as day, 0-$1::bigint as less, $1::bigint as again"
    assert warehouse.read(query, [number, day]).to_pylist() == [
        {"day": day, "less": -number, "again": number}
    ]


def test_a_text_is_no_part_of_the_statement_that_the_server_sees(warehouse: Warehouse) -> None:
    query = (
        "select $1::text as value, query as seen from pg_stat_activity where pid = pg_backend_pid()"
    )
    [row] = warehouse.read(query, ["somebody's name"]).to_pylist()
    assert row["value"] == "somebody's name"
    assert "somebody" not in row["seen"]


def test_what_has_parameters_is_read_in_bounded_memory(warehouse: Warehouse) -> None:
    query = "select repeat('x', $1) as x from generate_series(1, $2)"
    with warehouse.read_batches(query, [1000, 50_000]) as batches:
        sizes = [batch.nbytes for batch in batches]
    assert len(sizes) > 1
    assert sum(sizes) > 50_000_000


def test_a_value_that_does_not_fit_is_an_error_and_nothing_is_kept(warehouse: Warehouse) -> None:
    with pytest.raises(pa.ArrowInvalid), warehouse.bulk() as writer:
        writer.append("public", "t", table())
        writer.append("public", "t", table(b=pa.array([1.5, 2.0])))
    assert rows(warehouse) == []


@pytest.mark.parametrize("other", [table().drop_columns("a"), table(extra=pa.array([1, 2]))])
def test_other_columns_than_the_table_has_are_refused(
    warehouse: Warehouse, other: pa.Table
) -> None:
    with pytest.raises(WarehouseError, match="do not fit"), warehouse.bulk() as writer:
        writer.append("public", "t", other)


def test_what_goes_wrong_in_the_rows_is_raised_as_it_is(warehouse: Warehouse) -> None:
    def batches() -> Iterator[pa.RecordBatch]:
        yield from table().to_batches()
        raise InputError("line 3 is wrong", "mend it")

    with pytest.raises(InputError, match="line 3 is wrong"), warehouse.bulk() as writer:
        writer.append_batches("public", "t", table().schema.names, batches())
    assert rows(warehouse) == []


def test_a_stream_without_rows_appends_none(warehouse: Warehouse) -> None:
    with warehouse.bulk() as writer:
        assert writer.append_batches("public", "t", table().schema.names, []) == 0
        assert writer.append("public", "t", table(0)) == 0


def test_a_transaction_is_there_as_a_whole_or_not_at_all(warehouse: Warehouse) -> None:
    with pytest.raises(KeyboardInterrupt), warehouse.bulk() as writer:
        writer.append("public", "t", table())
        assert writer.value("select count(*) from t") == 2
        raise KeyboardInterrupt
    assert rows(warehouse) == []


def test_rows_go_into_a_temporary_table_too(warehouse: Warehouse) -> None:
    with warehouse.bulk() as writer:
        writer.execute("create temporary table waiting (like t) on commit drop")
        assert (
            writer.append_batches(None, "waiting", table().schema.names, table().to_batches()) == 2
        )
        assert writer.execute("insert into t select * from waiting") == 2
    assert len(rows(warehouse)) == 2
    assert not warehouse.relation_exists("public", "waiting")


def test_parameters_are_values(warehouse: Warehouse) -> None:
    nasty = "'; drop table t; --"
    with warehouse.bulk() as writer:
        writer.execute("insert into t (b, c) values (1, $1)", [nasty])
        assert writer.value("select c from t where c = $1", [nasty]) == nasty
    assert warehouse.read("select b from t where c = $1", [nasty]).to_pylist() == [{"b": 1}]


@pytest.mark.parametrize("name", ['a"b', "a; drop table t", "select", "Ünï", "a.b"])
def test_identifiers_are_names_whatever_they_say(warehouse: Warehouse, name: str) -> None:
    with warehouse.bulk() as writer:
        writer.execute(f"create schema {identifier(name)}")
        writer.execute(f"create table {identifier(name)}.{identifier(name)} (x bigint)")
        assert writer.append(name, name, pa.table({"x": [1]})) == 1
    assert warehouse.relation_exists(name, name)
    assert warehouse.relation_exists("public", "t")


def test_large_results_come_in_batches(warehouse: Warehouse) -> None:
    query = "select n::bigint as n from generate_series(1, $1::int) as n"
    with warehouse.read_batches(query, [100_000]) as reader:
        assert sum(batch.num_rows for batch in reader) == 100_000


def test_connect_commits_at_the_end_and_rolls_back_on_an_error(warehouse: Warehouse) -> None:
    with warehouse.connect() as connection:
        connection.execute("insert into t (b) values (1)")
    with pytest.raises(psycopg.errors.DivisionByZero), warehouse.connect() as connection:
        connection.execute("insert into t (b) values (2)")
        connection.execute("select 1/0")
    assert [row["b"] for row in rows(warehouse)] == [1]


def test_a_server_that_does_not_answer_is_named_without_the_password() -> None:
    warehouse = Warehouse(UNREACHABLE)
    assert repr(warehouse) == "Warehouse(127.0.0.1:1/nowhere)"
    for attempt in (warehouse.connect, warehouse.bulk):
        with pytest.raises(WarehouseError, match="Cannot connect") as error, attempt():
            pass
        assert "s3cret" not in str(error.value)
        assert "smartretail db start" in str(error.value)


def cut(warehouse: Warehouse) -> None:
    """End all other connections to the database, as a stopping server does."""
    with warehouse.connect() as connection:
        connection.execute(
            "select pg_terminate_backend(pid, 10000) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid()"
        )


def test_a_connection_that_is_lost_is_an_error_to_act_on(warehouse: Warehouse) -> None:
    def batches() -> Iterator[pa.RecordBatch]:
        yield from table(100_000).to_batches()
        cut(warehouse)
        for _ in range(50):
            yield from table(100_000).to_batches()

    def write(writer: BulkWriter) -> None:
        writer.append_batches("public", "t", table().schema.names, batches())

    with pytest.raises(WarehouseError, match="was lost"), warehouse.bulk() as writer:
        write(writer)
    with pytest.raises(WarehouseError, match="was lost"), warehouse.connect() as connection:
        cut(warehouse)
        connection.execute("select 1")
    assert rows(warehouse) == []


def test_dbt_gets_the_same_address() -> None:
    url = "postgresql://us%40er:p%2Fw@db.example:5433/shop%20one?sslmode=require"
    assert Warehouse(url).environment() == {
        "SMARTRETAIL_PGHOST": "db.example",
        "SMARTRETAIL_PGPORT": "5433",
        "SMARTRETAIL_PGUSER": "us@er",
        "SMARTRETAIL_PGPASSWORD": "p/w",
        "SMARTRETAIL_PGDATABASE": "shop one",
        "SMARTRETAIL_PGSSLMODE": "require",
    }
