"""What is tried again and what is not."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest

from python_ml.errors import (
    BuildError,
    BusyError,
    InputError,
    InterruptedBuildError,
    WarehouseError,
)
from python_ml.warehouse.postgres import Warehouse
from python_ml.warehouse.transient import all_transient, is_transient


def failure(work: Callable[[], object]) -> BaseException:
    with pytest.raises(Exception) as caught:
        work()
    return caught.value


def test_a_server_that_does_not_answer_may_answer_later() -> None:
    nobody = Warehouse("postgresql://nobody:secret@127.0.0.1:1/shop")
    error = failure(lambda: nobody.relation_exists("raw", "shop"))
    assert is_transient(error)
    assert "secret" not in str(error)
    assert is_transient(failure(lambda: nobody.read("select 1")))


def test_a_database_that_is_not_there_stays_away(database_url: str) -> None:
    error = failure(lambda: Warehouse(f"{database_url}_gone").relation_exists("raw", "shop"))
    assert isinstance(error, WarehouseError)
    assert not is_transient(error)
    assert not is_transient(failure(lambda: Warehouse(f"{database_url}_gone").read("select 1")))


def test_a_connection_that_was_cut_is_tried_again(database_url: str) -> None:
    cut = "select pg_terminate_backend(pg_backend_pid())"

    def in_psycopg() -> None:
        with Warehouse(database_url).connect() as connection:
            connection.execute(cut.encode())

    assert is_transient(failure(in_psycopg))
    assert is_transient(failure(lambda: Warehouse(database_url).read(cut)))


def test_two_transactions_that_met_are_tried_again(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("create table counted as select 1 as number")

    def meet() -> None:
        serializable = "begin isolation level serializable"
        with (
            psycopg.connect(database_url, autocommit=True) as one,
            psycopg.connect(database_url, autocommit=True) as other,
        ):
            for connection in (one, other):
                connection.execute(serializable)
                connection.execute("select * from counted")
            one.execute("update counted set number = 2")
            one.execute("commit")
            other.execute("update counted set number = 3")

    error = failure(meet)
    assert isinstance(error, psycopg.errors.SerializationFailure)
    assert is_transient(error)


def test_mistakes_are_not_tried_again(database_url: str) -> None:
    assert not is_transient(InputError("a column is missing"))
    assert not is_transient(BuildError("a test failed"))
    assert not is_transient(failure(lambda: Warehouse(database_url).read("select nothing_such")))
    assert is_transient(InterruptedBuildError("cut short"))
    assert is_transient(BusyError("another run"))


@pytest.mark.parametrize(
    ("messages", "may_pass"),
    [
        (["Database Error in model x: server closed the connection unexpectedly"], True),
        (["terminating connection due to administrator command", "deadlock detected"], True),
        (["Got 12 results, configured to fail if != 0", "server closed the connection"], False),
        (['column "nothing" does not exist'], False),
        ([], False),
    ],
)
def test_dbt_is_tried_again_when_every_failure_may_pass(
    messages: list[str], may_pass: bool
) -> None:
    assert all_transient(messages) is may_pass
