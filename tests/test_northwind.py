"""A very small shop of five tables, from files and from a schema of the same database."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from python_ml.errors import InputError
from python_ml.forgetting.forget import forget
from python_ml.pipeline import Pipeline
from python_ml.settings import load_settings
from python_ml.warehouse.dbt import run_dbt
from python_ml.warehouse.server import EmbeddedServer
from tests.test_road import rows

FOLDER = load_settings().data_dir / "northwind"
RARE = "zzforgetmezz"

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not FOLDER.is_dir(), reason=f"SMARTRETAIL_DATA_DIR has no {FOLDER.name}"),
]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published files, with one customer who can be looked for byte by byte."""
    folder = tmp_path_factory.mktemp("northwind")
    for path in FOLDER.glob("*.csv"):
        text = path.read_text(encoding="utf-8").replace("ALFKI", RARE)
        (folder / path.name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, files: Path) -> Iterator[Pipeline]:
    """A home with a server of its own and a published run."""
    home = tmp_path_factory.mktemp("shop") / "home"
    pipeline = Pipeline(load_settings(home=home, database_url="", lock_wait_seconds=5))
    pipeline.load("northwind", [files])
    pipeline.run(pipeline.request(only=["order_habit"]))
    yield pipeline
    server = EmbeddedServer(home)
    server.stop()
    shutil.rmtree(server.data_dir.parent)  # as root it lies outside the folder that pytest removes


def test_exactly_those_who_ever_ordered_get_a_probability(shop: Pipeline) -> None:
    assert rows(
        shop,
        "select count(*), count(distinct customer_id), min(as_of_date), "
        "bool_and(probability > 0 and probability < 1) from marts.order_habit",
    ) == [(89, 89, date(1998, 5, 7), True)]
    assert rows(shop, "select count(distinct customer_id) from intermediate.int_customers") == [
        (91,)
    ]


def test_the_recipe_fits_so_small_a_shop(shop: Pipeline) -> None:
    [(recipe,)] = rows(shop, "select recipe from predictions.runs where prediction = 'order_habit'")
    assert recipe in ("recency", "frequency", "log_rfm", "bgnbd")


def test_lines_discounts_and_days_are_those_of_the_files(shop: Pipeline) -> None:
    assert rows(
        shop,
        "select count(*), count(category), round(sum(net_amount), 2)::text, "
        "count(distinct discount), min(ordered_on)::text, max(ordered_on)::text "
        "from intermediate.int_order_lines",
    ) == [(2155, 2155, "1265793.04", 11, "1996-07-04", "1998-05-06")]
    assert rows(shop, "select fate, row_count from intermediate.int_row_accounting") == [
        ("order_line", 2155)
    ]


def test_what_is_said_of_customers_and_products_reaches_the_shop_model(shop: Pipeline) -> None:
    assert rows(
        shop,
        "select attribute_customer_country, attribute_customer_city, attribute_customer_region "
        "from intermediate.int_customers where customer_id = 'BOTTM'",
    ) == [("Canada", "Tsawassen", "BC")]
    assert rows(
        shop,
        "select product_name, category, attribute_product_supplier, attribute_product_discontinued "
        "from intermediate.int_products where product_id = '5'",
    ) == [("Chef Anton's Gumbo Mix", "Condiments", "2", "1")]


def test_the_unit_tests_of_this_source_pass(shop: Pipeline) -> None:
    nodes = run_dbt(
        shop.settings, shop.warehouse, "northwind", ["test", "--select", "test_type:unit"]
    )
    assert any("a_changed_head" in node.unique_id for node in nodes)


def test_what_changed_comes_in_as_a_version_known_when_it_was_loaded(
    shop: Pipeline, files: Path, tmp_path: Path
) -> None:
    before = rows(shop, "select * from features.feat_order_habit order by customer_id, as_of_date")
    changed = tmp_path / "changed"
    shutil.copytree(files, changed)
    for name, old, new in (
        ("customers", "London", "Leeds"),
        ("order_details", "10248,11,14,12,0", "10248,11,14,13,0"),
    ):
        path = changed / f"{name}.csv"
        path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    report = shop.load("northwind", [changed])
    assert (report.loaded, report.rejected) == (7, 0)
    assert len(report.already_loaded) == 3
    with shop.writing():
        shop.build(shop.request(only=["order_habit"]), full_refresh=True)
    assert rows(
        shop,
        "select quantity, known_on = date '1996-07-04', "
        "known_on = (now() at time zone 'utc')::date "
        "from intermediate.int_order_lines where order_id = '10248' and product_id = '11' "
        "order by known_on",
    ) == [(12, True, False), (13, False, True)]
    assert rows(
        shop,
        "select attribute_customer_city, superseded_on is null from intermediate.int_customers "
        "where customer_id = 'AROUT' order by known_on",
    ) == [("London", False), ("Leeds", True)]
    assert (
        rows(shop, "select * from features.feat_order_habit order by customer_id, as_of_date")
        == before
    )


def test_a_file_of_one_table_has_its_name(shop: Pipeline, tmp_path: Path) -> None:
    path = tmp_path / "employees.csv"
    path.write_text("id\n1\n")
    with pytest.raises(InputError, match=r"customers\.\*, orders\.\*"):
        shop.load("northwind", [path])


def test_a_forgotten_customer_is_nowhere_and_does_not_come_back(
    shop: Pipeline, files: Path, tmp_path: Path
) -> None:
    assert RARE in {row[0] for row in rows(shop, "select customer_id from marts.order_habit")}
    forget(shop, RARE)
    folders = (shop.settings.home, EmbeddedServer(shop.settings.home).data_dir.parent)
    found = (path for folder in folders for path in folder.rglob("*") if path.is_file())
    assert [path for path in found if RARE.encode() in path.read_bytes()] == []
    again = tmp_path / "again"
    shutil.copytree(files, again)
    for path in again.glob("*.csv"):
        path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    report = shop.load("northwind", [again])
    assert report.loaded > 0  # London again
    shop.run(shop.request(date(1998, 5, 8), only=["order_habit"]))
    assert rows(shop, "select count(*) from marts.order_habit") == [(88,)]
    assert rows(
        shop,
        "select count(*) from raw.order_details left join raw.orders using (order_id) "
        "where orders.order_id is null",
    ) == [(0,)]
