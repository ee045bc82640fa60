"""Who was forgotten is recognised again, and nobody else is."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from python_ml.forgetting.register import (
    CREATE_REGISTER,
    Forgotten,
    digest_of,
    own_salt,
    read_forgotten,
)
from python_ml.warehouse.postgres import Warehouse, create_schema

FORGOTTEN = Forgotten("salt", frozenset({digest_of("salt", "C 1"), digest_of("salt", "17850")}))


def test_rows_of_forgotten_customers_are_left_out_and_counted() -> None:
    rows = pa.table(
        {"customer_id": ["C 1", "C 2", None, "C 1", "C 11"], "quantity": [1, 2, 3, 4, 5]}
    )
    kept, count = FORGOTTEN.without(rows)
    assert kept.to_pydict() == {"customer_id": ["C 2", None, "C 11"], "quantity": [2, 3, 5]}
    assert count == 2


def test_numbers_as_ids_are_recognised() -> None:
    kept, count = FORGOTTEN.without(pa.table({"customer_id": [17850, 17851]}))
    assert (kept.column(0).to_pylist(), count) == ([17851], 1)


def test_rows_without_customers_and_homes_that_forgot_nobody_are_left_alone() -> None:
    products = pa.table({"product_id": ["C 1"]})
    assert FORGOTTEN.without(products) == (products, 0)
    rows = pa.table({"customer_id": ["C 1"]})
    assert Forgotten("", frozenset()).without(rows) == (rows, 0)


def test_a_rejected_row_is_recognised_in_both_its_forms() -> None:
    for text in (
        "order_id=9; customer_id=C 1; quantity=x",
        "customer_id=C 1",
        '9;"C 1";x',
        "C 1,2",
    ):
        assert FORGOTTEN.is_named_in(text), text
    for text in ("order_id=9; customer_id=C 11", "", "9;C 2;x"):
        assert not FORGOTTEN.is_named_in(text), text


def test_another_salt_gives_another_digest() -> None:
    assert digest_of("one", "C 1") != digest_of("other", "C 1")
    assert "C 1" not in digest_of("one", "C 1")


def test_the_salt_is_made_once(tmp_path: Path) -> None:
    salt = own_salt(tmp_path)
    assert own_salt(tmp_path) == salt
    other = tmp_path / "other"
    other.mkdir()
    assert own_salt(other) != salt


def test_the_register_is_read_inside_the_transaction_of_a_load(
    database_url: str, tmp_path: Path
) -> None:
    warehouse = Warehouse(database_url)
    assert not read_forgotten(warehouse.read, tmp_path)
    salt = own_salt(tmp_path)
    with warehouse.connect() as connection:
        create_schema(connection, "raw")
        connection.execute(CREATE_REGISTER.encode())
        connection.execute(
            "insert into raw.forgotten values (now(), 3, %s)", (digest_of(salt, "C 1"),)
        )
    with warehouse.bulk() as writer:
        assert read_forgotten(writer.read, tmp_path).is_forgotten("C 1")
