"""Files lose the customer and nothing else."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from python_ml.forgetting.files import Traces, clean_files, files_naming, sealed_files

TRACES = Traces("17850", frozenset({"O-1"}))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for folder in ("logs", "reports", "demo", "bundles"):
        (tmp_path / folder).mkdir()
    return tmp_path


def clean(home: Path) -> set[str]:
    return {path.name for path in clean_files(home, home / "postgres", TRACES)}


def test_a_parquet_file_keeps_types_and_the_other_rows(home: Path) -> None:
    path = home / "demo" / "lines.parquet"
    table = pa.table(
        {"customer_id": ["17850", "117850", None], "quantity": pa.array([1, 17850, 3], pa.int32())}
    )
    pq.write_table(table, path, row_group_size=1)
    assert clean(home) == {"lines.parquet"}
    assert pq.read_table(path).equals(table.slice(1))


@pytest.mark.parametrize("type_", [pa.int64(), pa.float64()])
def test_customers_that_are_numbers_are_found_under_any_spelling(
    home: Path, type_: pa.DataType
) -> None:
    path = home / "orders.parquet"
    pq.write_table(pa.table({"Customer ID": pa.array([17850, 1, None], type_)}), path)
    assert clean(home) == {"orders.parquet"}
    assert pq.read_table(path).column(0).to_pylist() == [1, None]


def test_a_file_that_knows_lines_by_order_loses_the_customers_orders(home: Path) -> None:
    path = home / "demo" / "return_risk.parquet"
    pq.write_table(pa.table({"order_id": ["O-1", "O-2"], "line_id": ["17", "18"]}), path)
    clean(home)
    assert pq.read_table(path).column("order_id").to_pylist() == ["O-2"]


def test_a_csv_file_keeps_its_other_rows_byte_by_byte(home: Path) -> None:
    path = home / "predictions.csv"
    path.write_bytes(b"customer_id,note\r\n17850,x\r\n2,17850\r\n3,\xff\r\n")
    assert clean(home) == {"predictions.csv"}
    assert path.read_bytes() == b"customer_id,note\r\n2,17850\r\n3,\xff\r\n"


def test_a_log_that_is_open_goes_on_without_the_lines(home: Path) -> None:
    path = home / "logs" / "postgres.log"
    with path.open("a") as server:
        server.write("before\nKey (customer_id)=(17850) exists\n117850 rows\n")
        server.flush()
        assert clean(home) == {"postgres.log"}
        server.write("after\n")
    assert path.read_text() == "before\n117850 rows\nafter\n"


def test_a_report_that_names_the_customer_goes_and_the_others_stay(home: Path) -> None:
    (home / "reports" / "one.html").write_text("<td>17850</td>")
    (home / "reports" / "other.html").write_text("<td>178501</td>")
    assert clean(home) == {"one.html"}
    assert [path.name for path in (home / "reports").iterdir()] == ["other.html"]


def test_what_cannot_be_mended_is_named(home: Path) -> None:
    (home / "bundles" / "notes.txt").write_text("ask 17850")
    (home / "shop.dump").write_bytes(b"PGDMP")
    assert clean(home) == set()
    nowhere = home / "postgres"
    assert files_naming(home, nowhere, TRACES) == [home / "bundles" / "notes.txt"]
    assert sealed_files(home, nowhere) == [home / "shop.dump"]


def test_the_servers_own_files_are_left_alone(home: Path) -> None:
    data = home / "postgres" / "data.csv"
    data.parent.mkdir()
    data.write_text("customer_id\n17850\n")
    assert clean(home) == set()
    assert files_naming(home, home / "postgres", TRACES) == []
