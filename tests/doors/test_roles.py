"""Rights: each role logs in and tries what it must not."""

from __future__ import annotations

import json
import logging
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from typer.testing import CliRunner

from python_ml.cli import build_app
from python_ml.errors import InputError
from python_ml.pipeline import Pipeline
from python_ml.warehouse.roles import PASSWORDS, make_roles, role_url
from tests.test_road import rows

REFUSED = psycopg.errors.InsufficientPrivilege
NOT_CHANGEABLE = psycopg.errors.ObjectNotInPrerequisiteState
"""What a view that joins says to everybody."""


@pytest.fixture(scope="module")
def names(open_shop: Pipeline) -> Iterator[tuple[str, str]]:
    """The two roles, under names of their own: roles belong to the whole server."""
    made = (f"bi_{secrets.token_hex(4)}", f"scorer_{secrets.token_hex(4)}")
    make_roles(open_shop.warehouse, open_shop.settings.home, *made)
    yield made
    with open_shop.warehouse.connect(autocommit=True) as connection:
        for name in made:
            for statement in ("drop owned by {}", "drop role {}"):
                connection.execute(sql.SQL(statement).format(sql.Identifier(name)))


WITHOUT_ROWS = {"marts.order_habit_outcomes", "marts.lift_of_acting"}
"""No window of order habit has closed since the shop was published, and it told of no actions."""
WITH_THE_TRUTH = {"marts.prediction_outcomes", "marts.model_calibration"}
"""Rows come to these as order lines mature, which some refreshes of other tests let happen."""


def connect(shop: Pipeline, role: str) -> psycopg.Connection[tuple[object, ...]]:
    address = role_url(shop.warehouse.url, shop.settings.home, role)
    return psycopg.connect(address, autocommit=True)


def relations(shop: Pipeline, condition: str) -> list[str]:
    return [
        str(row[0])
        for row in rows(
            shop,
            "select format('%I.%I', nspname, relname) from pg_class inner join pg_namespace "
            "on pg_namespace.oid = relnamespace where relkind in ('r', 'v') "
            f"and nspname not like 'pg\\_%' and nspname <> 'information_schema' and {condition}",
        )
    ]


def test_bi_reads_every_mart_and_nothing_else(open_shop: Pipeline, names: tuple[str, str]) -> None:
    marts = relations(open_shop, "nspname = 'marts'")
    others = relations(open_shop, "nspname <> 'marts'")
    assert {"marts.customers", "marts.return_risk_history"} <= set(marts)
    assert {"raw.order_lines", "mart_rows.customers_rows", "predictions.runs"} <= set(others)
    with connect(open_shop, names[0]) as connection:
        for mart in marts:
            [count] = connection.execute(f"select count(*) from {mart}".encode()).fetchone() or [0]
            assert [(count,)] == rows(open_shop, f"select count(*) from {mart}"), mart
            if mart not in WITH_THE_TRUTH:
                assert bool(count) == (mart not in WITHOUT_ROWS), mart
        for other in others:
            with pytest.raises(REFUSED):
                connection.execute(f"select 1 from {other}".encode())


@pytest.mark.parametrize(
    "statement",
    [
        "insert into marts.customers (customer_id) values ('x')",
        "update marts.customers set customer_id = 'x'",
        "delete from marts.order_habit",
        "create table marts.mine (x integer)",
        "create view public.mine as select 1",
        "drop view marts.customers",
        "select pg_read_file('/etc/passwd')",
        "copy (select 1) to program 'true'",
    ],
)
def test_bi_changes_nothing(open_shop: Pipeline, names: tuple[str, str], statement: str) -> None:
    with connect(open_shop, names[0]) as connection, pytest.raises((REFUSED, NOT_CHANGEABLE)):
        connection.execute(statement.encode())


def test_a_scorer_adds_scores(open_shop: Pipeline, names: tuple[str, str]) -> None:
    before = rows(open_shop, "select count(*) from predictions.order_habit")
    with connect(open_shop, names[1]) as connection, connection.transaction(force_rollback=True):
        connection.execute(
            "insert into predictions.order_habit (customer_id, run_id) values ('x', 'y')"
        )
        connection.execute("insert into predictions.runs (run_id) values ('y')")
    assert rows(open_shop, "select count(*) from predictions.order_habit") == before


@pytest.mark.parametrize(
    "statement",
    [
        "select 1 from marts.customers",
        "select 1 from raw.order_lines",
        "insert into raw.loads default values",
        "insert into mart_rows.customers_rows (run_id) values ('x')",
        "update predictions.order_habit set probability = 1",
        "delete from predictions.order_habit",
        "truncate predictions.order_habit",
        "select 1 from predictions.order_habit",
        "insert into predictions.run_events (event) values ('published')",
        "create table predictions.mine (x integer)",
    ],
)
def test_a_scorer_does_nothing_else(
    open_shop: Pipeline, names: tuple[str, str], statement: str
) -> None:
    with connect(open_shop, names[1]) as connection, pytest.raises(REFUSED):
        connection.execute(statement.encode())


def test_a_mart_that_is_made_again_is_given_to_bi_by_dbt(
    open_shop: Pipeline, names: tuple[str, str]
) -> None:
    with open_shop.warehouse.connect(autocommit=True) as connection:
        connection.execute(
            sql.SQL("alter default privileges in schema marts revoke select on tables from {}")
            .format(sql.Identifier(names[0]))
        )  # fmt: skip
        connection.execute("drop view marts.return_risk_history")
    with open_shop.writing():
        open_shop._dbt(["run", "--select", "return_risk_history"])
    with connect(open_shop, names[0]) as connection:
        assert connection.execute("select count(*) from marts.return_risk_history").fetchone()


def test_passwords_stay_in_a_private_file_and_out_of_every_log(
    open_shop: Pipeline, names: tuple[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    home = open_shop.settings.home
    caplog.set_level(logging.DEBUG)
    with open_shop.warehouse.connect(autocommit=True) as connection:
        name = sql.Identifier(connection.info.dbname)
        connection.execute(sql.SQL("alter database {} set log_statement = 'all'").format(name))
    old = role_url(open_shop.warehouse.url, home, names[0])
    said = CliRunner().invoke(
        build_app(),
        ["db", "roles", "--bi", names[0], "--scorer", names[1], "--new-passwords",
         "--home", str(home)],
        env={"SMARTRETAIL_DATABASE_URL": open_shop.warehouse.url},
    )  # fmt: skip
    assert said.exit_code == 0, said.output
    with open_shop.warehouse.connect(autocommit=True) as connection:
        connection.execute(sql.SQL("alter database {} reset log_statement").format(name))
        [folder] = connection.execute("show data_directory").fetchone() or [""]
    kept = home / PASSWORDS
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    passwords = json.loads(kept.read_text())
    logged = "".join(
        path.read_text(errors="replace") for path in Path(folder).parent.rglob("*.log")
    )
    assert f'alter role "{names[0]}" password' in logged.lower()
    for name in names:
        assert passwords[name] not in said.output + caplog.text + logged
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(old)
    with connect(open_shop, names[0]) as connection:
        assert connection.execute("select 1").fetchone() == (1,)


def test_a_role_that_may_do_more_is_refused(open_shop: Pipeline) -> None:
    with open_shop.warehouse.connect() as connection:
        owner = connection.info.user
    for wrong in (owner, "pg_monitor", 'x"; drop table raw.loads; --'):
        with pytest.raises(InputError):
            make_roles(open_shop.warehouse, open_shop.settings.home, wrong, "some_scorer")


def test_what_everybody_may_read_is_said(open_shop: Pipeline, names: tuple[str, str]) -> None:
    with open_shop.warehouse.connect() as connection:
        connection.execute("create schema leaky create table notes (x integer)")
        connection.execute("grant usage on schema leaky to public")
        connection.execute("grant select on leaky.notes to public")
    bi, _ = make_roles(open_shop.warehouse, open_shop.settings.home, *names)
    with open_shop.warehouse.connect() as connection:
        connection.execute("drop schema leaky cascade")
    assert bi.beyond == ("leaky.notes",)
    assert not bi.made
