"""Tables that all stand in one schema are found wherever a statement names them."""

from __future__ import annotations

import pytest

from python_ml.errors import SettingsError
from python_ml.settings import load_settings
from python_ml.warehouse.layout import Layout

ONE = Layout("smart")


@pytest.mark.parametrize(
    ("statement", "placed"),
    [
        ("select * from raw.loads", 'select * from "smart"."raw__loads" as "loads"'),
        (
            "update predictions.runs set row_count = runs.row_count - 1",
            'update "smart"."predictions__runs" as "runs" set row_count = runs.row_count - 1',
        ),
        (
            "(select max(x) from raw.loads), y",
            '(select max(x) from "smart"."raw__loads" as "loads"), y',
        ),
        ("from raw.loads\nwhere x", 'from "smart"."raw__loads" as "loads"\nwhere x'),
        ("from raw.loads whereabouts", 'from "smart"."raw__loads" whereabouts'),
        ('select 1 from "raw"."order lines" t', 'select 1 from "smart"."raw__order lines" t'),
        ("insert into predictions.runs values", 'insert into "smart"."predictions__runs" values'),
        ("x join labels.label_a as labels", 'x join "smart"."labels__label_a" as labels'),
        ("on features.customer_id = labels.customer_id", None),
        ("select features.x, labels.label from shop.raw", None),
        ("select 'from the raw.material'", None),
        ("on raw.shop ((true))", 'on "smart"."raw__shop" ((true))'),
        (
            "create table if not exists raw.shop (",
            'create table if not exists "smart"."raw__shop" (',
        ),
        ("select to_regclass('raw.shop')", 'select to_regclass(\'"smart"."raw__shop"\')'),
        ("(like raw.loads)", '(like "smart"."raw__loads")'),
        ("delete from dev_ada.raw", None),
        ("select * from seedsraw.loads, draw.loads", None),
    ],
)
def test_relations_are_placed_and_columns_are_not(statement: str, placed: str | None) -> None:
    assert ONE.placed(statement) == (placed or statement)
    assert Layout().placed(statement) == statement


def test_a_table_is_found_again_from_where_it_stands() -> None:
    assert ONE.layer_of(*ONE.place("marts", "order_habit")) == ("marts", "order_habit")
    assert ONE.layer_of("smart", "somebody__elses") is None
    assert ONE.layer_of("shop", "raw__loads") is None
    assert ONE.layer_of("raw", "loads") is None
    assert Layout().layer_of("raw", "loads") == ("raw", "loads")
    assert Layout().layer_of("shop", "loads") is None


@pytest.mark.parametrize("name", ["raw", "marts", "Smart", 'a"b', "a b", "1a", "a" * 42])
def test_a_schema_that_could_be_mistaken_is_refused(name: str) -> None:
    with pytest.raises(SettingsError, match="SMARTRETAIL_WAREHOUSE_SCHEMA"):
        load_settings(warehouse_schema=name)


def test_an_empty_setting_is_none() -> None:
    assert load_settings(warehouse_schema="").warehouse_schema is None
