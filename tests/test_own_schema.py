"""A shop's own tables, in a schema that was not made for this project, read by a bounded role."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest

from python_ml.errors import InputError, WarehouseError
from python_ml.forgetting.forget import forget
from python_ml.pipeline import Pipeline
from python_ml.settings import load_settings
from python_ml.warehouse.dbt import run_dbt
from python_ml.warehouse.roles import make_roles
from tests.kontor import OURS, PASSWORD, SCHEMA, describe, make_shop
from tests.test_road import rows
from tests.time_rules.test_mutations import copy_of_project

FOLDER = load_settings().data_dir / "northwind"
AS_OF = date(1998, 5, 1)
FEATURES = "select * from features.feat_order_habit order by customer_id, as_of_date"
LINE = (
    "select quantity, superseded_at is null from intermediate.int_order_lines "
    "where line_key = '{}' order by known_at"
)

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not FOLDER.is_dir(), reason=f"SMARTRETAIL_DATA_DIR has no {FOLDER.name}"),
]


class Kontor:
    """The shop, as its owner changes it, and the pipeline that may only read it."""

    def __init__(self, owner_url: str, folder: Path) -> None:
        self._owner_url = owner_url
        runner_url = make_shop(owner_url, FOLDER)
        project = copy_of_project(folder / "project")
        describe(project)
        settings = load_settings(
            home=folder / "home",
            database_url=runner_url,
            warehouse_schema=OURS,
            lock_wait_seconds=5,
        )
        self.pipeline = Pipeline(settings, project_dir=project)

    def change(self, *statements: str) -> None:
        with psycopg.connect(self._owner_url) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def ask(self, query: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self._owner_url) as connection:
            return connection.execute(query.encode()).fetchall()

    def login(self, role: str) -> psycopg.Connection[tuple[object, ...]]:
        parts = urlsplit(self._owner_url)
        netloc = f"{role}:{PASSWORD}@{parts.hostname}:{parts.port}"
        return psycopg.connect(urlunsplit(parts._replace(netloc=netloc)), autocommit=True)

    def build(self) -> None:
        with self.pipeline.writing():
            self.pipeline.build(
                self.pipeline.request(AS_OF, only=["order_habit"]), full_refresh=True
            )


@pytest.fixture(scope="module")
def kontor(make_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Kontor:
    """Followed from nothing to marts."""
    shop = Kontor(make_database(), tmp_path_factory.mktemp("kontor"))
    report = shop.pipeline.load("own", schema=SCHEMA)
    assert (report.rejected, report.gone) == (0, 0)
    shop.pipeline.run(shop.pipeline.request(AS_OF, only=["order_habit"]))
    return shop


def test_everything_stands_in_the_one_schema_and_nothing_needs_more(kontor: Kontor) -> None:
    assert kontor.ask(
        "select distinct nspname::text from pg_class join pg_namespace n on n.oid = relnamespace "
        "where relowner = (select oid from pg_roles where rolname = "
        "'runner_' || current_database()) and relkind in ('r', 'v')"
    ) == [(OURS,)]
    assert kontor.ask(
        "select rolsuper, has_database_privilege(rolname, current_database(), 'create'), "
        "has_schema_privilege(rolname, 'public', 'create') "
        "from pg_roles where rolname = 'runner_' || current_database()"
    ) == [(False, False, False)]


def test_who_ordered_gets_a_probability(kontor: Kontor) -> None:
    assert kontor.ask("select count(*) from smart.marts__order_habit") == [(89,)]
    assert rows(kontor.pipeline, "select count(*) from marts.order_habit") == [(89,)]


def test_in_one_schema_bi_gets_the_marts_view_by_view(kontor: Kontor) -> None:
    """The role of the project may neither make roles nor let them into a schema of another's."""
    home, warehouse = kontor.pipeline.settings.home, kontor.pipeline.warehouse
    names = [f"{kind}_{home.parent.name}_{secrets.token_hex(3)}".replace("-", "_").lower()
             for kind in ("bi", "scorer")]  # fmt: skip
    with pytest.raises(WarehouseError, match="may not make the role"):
        make_roles(warehouse, home, *names)
    kontor.change(*(f"create role {name} login password '{PASSWORD}'" for name in names))
    with pytest.raises(WarehouseError, match="may not let") as refused:
        make_roles(warehouse, home, *names)
    assert f"grant usage on schema {OURS} to {names[0]}" in str(refused.value.hint)
    kontor.change(*(f"grant usage on schema {OURS} to {name}" for name in names))
    bi, scorer = make_roles(warehouse, home, *names)
    assert "smart.marts__order_habit" in bi.granted
    assert "smart.predictions__run_events" not in scorer.granted
    try:
        with kontor.login(names[0]) as connection:
            found = connection.execute("select count(*) from smart.marts__order_habit").fetchone()
            assert found == (89,)
            for name in ("raw__loads", "mart_rows__order_habit_rows", "predictions__runs"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(f"select 1 from smart.{name}".encode())
        kontor.change("drop view smart.marts__order_habit_history")
        with kontor.pipeline.writing():
            kontor.pipeline._dbt(["run", "--select", "order_habit_history"])
        with kontor.login(names[0]) as connection:
            assert connection.execute("select 1 from smart.marts__order_habit_history").fetchone()
        with kontor.login(names[1]) as connection:
            connection.execute("insert into smart.predictions__runs (run_id) values ('x')")
            for statement in (
                "select 1 from smart.marts__customers",
                "delete from smart.predictions__runs",
                "insert into smart.predictions__run_events (event) values ('published')",
            ):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    connection.execute(statement.encode())
    finally:
        kontor.change("delete from smart.predictions__runs where run_id = 'x'")
        for name in names:
            kontor.change(f"drop owned by {name}", f"drop role {name}")


def test_types_words_and_clocks_are_translated(kontor: Kontor) -> None:
    assert rows(
        kontor.pipeline,
        "select quantity, unit_price::text, discount::text, category, ordered_at, known_at "
        "from intermediate.int_order_lines where line_key = '10250|51'",
    ) == [(35, "42.4000", "0.1500", "Produce", *[datetime(1996, 7, 8, 12)] * 2)]
    assert rows(
        kontor.pipeline,
        "select distinct attribute_customer_country from intermediate.int_customers "
        "where customer_id = '1000'",
    ) == [("Germany",)]


def test_refunds_take_back_what_they_name(kontor: Kontor) -> None:
    [(given,)] = kontor.ask('select count(*) from "Kontor"."Gutschriften"')
    [(matched, late, money)] = rows(
        kontor.pipeline,
        "select count(*) filter (where is_matched), max(returned_on - ordered_on), min(amount) "
        "from intermediate.int_returns",
    )
    assert matched == given
    assert late == 9
    assert money > 0  # type: ignore[operator]
    assert rows(
        kontor.pipeline,
        "select row_count from intermediate.int_row_accounting where fate = 'return'",
    ) == [(given,)]


def test_the_unit_tests_of_this_source_pass(kontor: Kontor) -> None:
    nodes = run_dbt(
        kontor.pipeline.settings,
        kontor.pipeline.warehouse,
        "own",
        ["test", "--select", "stg_own__order_lines,test_type:unit"],
        project_dir=kontor.pipeline.project_dir,
    )
    assert any("a_refund_is_a_return" in node.unique_id for node in nodes)


def test_the_same_tables_again_bring_nothing(kontor: Kontor) -> None:
    report = kontor.pipeline.load("own")
    assert (report.loaded, report.rejected, report.gone) == (0, 0, 0)
    assert report.unchanged == report.given > 3000


def test_what_the_shop_changed_in_place_is_a_version_known_when_it_was_seen(
    kontor: Kontor,
) -> None:
    kontor.build()
    before = rows(kontor.pipeline, FEATURES)
    kontor.change(
        'update "Kontor"."Positionen" set menge = 99 where bestellnr = 10250 and artikelnr = 51',
        'update "Kontor"."Bestellungen" set zustand = \'Cancelled\' where bestellnr = 10251',
        'delete from "Kontor"."Positionen" where bestellnr = 10252 and artikelnr = 20',
        'update "Kontor"."Kunden" set ort = \'Potsdam\' where kundennr = 1000',
    )
    report = kontor.pipeline.load("own")
    assert (report.loaded, report.gone) == (4, 1)
    kontor.build()
    found = [
        rows(kontor.pipeline, LINE.format(key)) for key in ("10250|51", "10251|22", "10252|20")
    ]
    assert found == [
        [(35, False), (99, True)],
        [(6, False)],  # the order was cancelled
        [(40, False)],  # the line is gone
    ]
    assert rows(
        kontor.pipeline,
        "select attribute_customer_city, superseded_on is null from intermediate.int_customers "
        "where customer_id = '1000' order by known_on",
    ) == [("Berlin", False), ("Potsdam", True)]
    assert rows(kontor.pipeline, FEATURES) == before


def test_a_row_that_comes_back_counts_again(kontor: Kontor) -> None:
    kontor.change(
        'insert into "Kontor"."Positionen" values (10252, 20, 40, 64.8::numeric::money, 0.05)'
    )
    report = kontor.pipeline.load("own")
    assert (report.loaded, report.gone) == (1, 0)
    kontor.build()
    assert rows(kontor.pipeline, LINE.format("10252|20")) == [(40, False), (40, True)]


def test_a_bad_row_is_rejected_and_not_taken_for_gone(kontor: Kontor) -> None:
    key = "where bestellnr = 10248 and artikelnr = 11"
    kontor.change(f'update "Kontor"."Positionen" set einzelpreis = \'9e13\'::numeric {key}')
    report = kontor.pipeline.load("own")
    assert (report.loaded, report.rejected, report.gone) == (0, 1, 0)
    assert report.reasons == {"unit_price is out of range": 1}
    kontor.change(f'update "Kontor"."Positionen" set einzelpreis = 14::money {key}')


@pytest.mark.parametrize(
    ("statement", "back"),
    [
        (
            'create table kept as table "Kontor"."Positionen"; truncate "Kontor"."Positionen"',
            'insert into "Kontor"."Positionen" table kept; drop table kept',
        ),
        (
            'alter table "Kontor"."Artikel" rename to "Ware"',
            'alter table "Kontor"."Ware" rename to "Artikel"',
        ),
        (
            'alter table "Kontor"."Artikel" rename artikelnr to nr',
            'alter table "Kontor"."Artikel" rename nr to artikelnr',
        ),
    ],
    ids=["emptied", "renamed", "column_renamed"],
)
def test_tables_that_cannot_be_right_change_nothing(
    kontor: Kontor, statement: str, back: str
) -> None:
    before = rows(kontor.pipeline, "select count(*), max(load_id) from raw.loads")
    kontor.change(*statement.split("; "))
    try:
        with pytest.raises(InputError, match=r"Kontor\.(Positionen|Artikel)"):
            kontor.pipeline.load("own")
    finally:
        kontor.change(*back.split("; "))
    assert rows(kontor.pipeline, "select count(*), max(load_id) from raw.loads") == before


def test_our_own_schema_is_no_shop(kontor: Kontor) -> None:
    with pytest.raises(InputError, match="SmartRetail's own"):
        kontor.pipeline.load("own", schema=OURS)


def test_a_forgotten_customer_stays_away_though_the_shop_keeps_them(kontor: Kontor) -> None:
    gone = "1076"
    report = forget(kontor.pipeline, gone)
    assert report.rows > 10
    assert any("Kontor" in sentence for sentence in report.left)
    assert kontor.ask(f'select count(*) from "Kontor"."Kunden" where kundennr = {gone}') == [(1,)]
    again = kontor.pipeline.load("own")
    assert (again.loaded, again.gone) == (0, 0)
    kontor.pipeline.run(kontor.pipeline.request(AS_OF.replace(day=2), only=["order_habit"]))
    tables = kontor.ask(
        "select table_name from information_schema.columns "
        f"where table_schema = '{OURS}' and column_name = 'customer_id'"
    )
    assert len(tables) > 10
    for (table,) in tables:
        assert kontor.ask(f"select count(*) from {OURS}.{table} where customer_id = '{gone}'") == [
            (0,)
        ], table
    assert rows(
        kontor.pipeline,
        "select count(*) from raw.order_items left join raw.orders using (order_id) "
        "where orders.order_id is null",
    ) == [(0,)]
