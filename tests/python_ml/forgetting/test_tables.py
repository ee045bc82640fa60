"""Rows of one customer leave our tables; everything else stays."""

from __future__ import annotations

import psycopg
import pytest

from python_ml.forgetting.tables import count_rows, delete_rows, rewrite_tables

TABLES = """
create schema raw; create schema predictions; create schema features; create schema dev_ada;
create schema device;
create table raw.order_lines (order_id text, customer_id text);
insert into raw.order_lines values ('1', '17'), ('2', '17'), ('2', '18'), ('3', '171'), ('4', null);
create table raw.rejected_rows (row_text text, reason text);
insert into raw.rejected_rows values ('customer_id=17; a=b', ''), ('customer_id=171', ''),
    ('9,17,x', ''), ('17.5', 'x'), (null, 'x');
create table predictions.runs (run_id text, prediction text, as_of_date date, row_count bigint);
insert into predictions.runs values ('a', 'order_habit', '2025-01-01', 3),
    ('b', 'order_habit', '2025-02-01', 3), ('c', 'customers', '2025-01-01', 3),
    ('d', 'customers', '2025-02-01', 3);
create table predictions.order_habit (run_id text, customer_id text);
insert into predictions.order_habit values ('a', '17'), ('a', '18'), ('b', '18');
create table predictions.digested_loads (model_name text, load_id bigint);
insert into predictions.digested_loads values ('int_item_days', 1);
create table features.feat_order_habit (customer_id bigint, as_of_date date);
insert into features.feat_order_habit values (17, '2025-01-01'), (18, '2025-02-01');
create table features.feat_return_risk (order_id text, label integer);
insert into features.feat_return_risk values ('1', 0), ('2', 0), ('3', 0);
create table dev_ada.int_customers (customer_id text);
insert into dev_ada.int_customers values ('17'), ('18');
create table device.owners (customer_id text);
insert into device.owners values ('17');
"""


@pytest.fixture
def connection(database_url: str) -> psycopg.Connection[tuple[object, ...]]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(TABLES.encode())
        yield connection  # type: ignore[misc]


def column(connection: psycopg.Connection[tuple[object, ...]], query: str) -> list[object]:
    return [row[0] for row in connection.execute(query.encode()).fetchall()]


def test_only_the_customers_own_rows_go(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    found = {str(table): count for table, count in count_rows(connection, "17").items()}
    assert found["device.owners"] == 1
    deleted = {str(t): count for t, count in delete_rows(connection, "17", "digest").items()}
    assert deleted == {
        "raw.order_lines": 2,
        "raw.rejected_rows": 3,
        "predictions.order_habit": 1,
        "features.feat_order_habit": 1,
        "features.feat_return_risk": 1,
        "dev_ada.int_customers": 1,
    }
    assert column(connection, "select customer_id from raw.order_lines order by order_id") == [
        "18", "171", None,
    ]  # fmt: skip
    assert column(connection, "select order_id from features.feat_return_risk") == ["2", "3"]
    assert column(connection, "select row_text from raw.rejected_rows") == ["customer_id=171", None]
    assert column(connection, "select customer_id from device.owners") == ["17"]
    assert column(connection, "select rows_deleted from raw.forgotten") == [9]


def test_no_load_is_on_record_so_that_sums_are_made_anew(
    connection: psycopg.Connection[tuple[object, ...]],
) -> None:
    delete_rows(connection, "17", "digest")
    assert column(connection, "select load_id from predictions.digested_loads") == []


def test_runs_announce_the_rows_that_they_still_have(
    connection: psycopg.Connection[tuple[object, ...]],
) -> None:
    delete_rows(connection, "17", "digest")
    assert column(connection, "select row_count from predictions.runs order by run_id") == [
        2, 3, 2, 3,
    ]  # fmt: skip


def test_forgetting_again_records_nothing_more(
    connection: psycopg.Connection[tuple[object, ...]],
) -> None:
    delete_rows(connection, "17", "digest")
    assert delete_rows(connection, "17", "digest") == {}
    assert column(connection, "select digest from raw.forgotten") == ["digest"]


@pytest.mark.parametrize("name", ["a.b", "%", "it's", "(x", "a\\b", "Ä 1", "a-1"])
def test_ids_are_never_read_as_patterns(
    connection: psycopg.Connection[tuple[object, ...]], name: str
) -> None:
    connection.execute("delete from raw.rejected_rows")
    connection.execute(
        "insert into raw.rejected_rows values (%s, ''), ('customer_id=axb', '')",
        (f"order_id=1; customer_id={name}",),
    )
    delete_rows(connection, name, "digest")
    assert column(connection, "select row_text from raw.rejected_rows") == ["customer_id=axb"]


def test_rewriting_takes_the_samples_out_of_the_statistics(
    connection: psycopg.Connection[tuple[object, ...]],
) -> None:
    connection.execute(
        "insert into raw.order_lines select '9', 'often' from generate_series(1, 50)"
    )
    connection.execute("analyze raw.order_lines")
    sampled = (
        "select most_common_vals::text like '%%often%%' from pg_stats "
        "where schemaname = 'raw' and tablename = 'order_lines' and attname = 'customer_id'"
    ).replace("%%", "%")
    assert column(connection, sampled) == [True]
    delete_rows(connection, "often", "digest")
    rewrite_tables(connection, 1)
    assert column(connection, sampled) != [True]
