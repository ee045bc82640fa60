"""Attributes named at load become features, typed, as known at the time, without SQL or Python."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from python_ml.errors import BuildError
from python_ml.ingest.sources import ColumnMapping
from python_ml.pipeline import Pipeline
from python_ml.warehouse.catalogue import FeatureCatalogue, read_catalogue, with_attributes
from tests.conftest import MakePipeline

MARCH, MAY = date(2024, 3, 1), date(2024, 5, 1)
ATTRIBUTES = ["customer:State", "customer:points:number", "customer:born:date", "product:brand"]
ORDERS = pd.DataFrame(
    [
        ("1", "ada", "2024-01-10", "WA", "12", "1990-02-28"),
        ("2", "ben", "2024-01-20", "CA", "unknown", "1990-02-30"),
        ("3", "ada", "2024-03-01", "OR", "7.5", "1990-02-28"),
        ("4", "ben", "2024-04-30", "CA", "3", "1984-04-30"),
    ],
    columns=["order_id", "customer_id", "ordered_at", "State", "points", "born"],
).assign(quantity=1, unit_price=10, product_id="tea", brand="acme")


@pytest.fixture(scope="module")
def shop(make_pipeline: MakePipeline, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    pipeline = make_pipeline()
    path: Path = tmp_path_factory.mktemp("orders") / "orders.csv"
    ORDERS.to_csv(path, index=False)
    pipeline.load("order_lines", [path], ColumnMapping.parse([], ATTRIBUTES))
    pipeline.build(pipeline.request(MAY))
    return pipeline


def features(shop: Pipeline, as_of: date) -> dict[str, dict[str, object]]:
    table = shop.warehouse.read(
        "select customer_id, attribute_customer_state, attribute_customer_points, "
        "attribute_customer_born_age_days "
        "from features.feat_order_habit where as_of_date = $1 order by 1",
        [as_of],
    )
    return {row.pop("customer_id"): row for row in table.to_pylist()}


def test_a_customers_attributes_are_features_as_they_were_known(shop: Pipeline) -> None:
    assert features(shop, MARCH)["ada"] == {
        "attribute_customer_state": "WA",
        "attribute_customer_points": 12.0,
        "attribute_customer_born_age_days": (MARCH - date(1990, 2, 28)).days,
    }
    assert features(shop, MAY)["ada"]["attribute_customer_state"] == "OR"


def test_what_is_not_of_its_kind_is_empty(shop: Pipeline) -> None:
    march, may = features(shop, MARCH)["ben"], features(shop, MAY)["ben"]
    assert march["attribute_customer_points"] is None
    assert march["attribute_customer_born_age_days"] is None
    assert may["attribute_customer_points"] == 3.0
    assert may["attribute_customer_born_age_days"] == (MAY - date(1984, 4, 30)).days


def test_products_carry_theirs_into_the_shop_model(shop: Pipeline) -> None:
    products = shop.warehouse.read("select attribute_product_brand from intermediate.int_products")
    assert set(products.column(0).to_pylist()) == {"acme"}


def test_the_catalogue_describes_them(shop: Pipeline) -> None:
    found = {feature.name: feature for feature in shop._catalogue("order_habit").features}
    state = found["attribute_customer_state"]
    assert state.role == "categorical"
    assert state.theme == "attribute"
    assert state.description == "Attribute `state` of the customer, named at load."
    assert found["attribute_customer_points"].role == "feature"
    assert "`born` of the customer" in found["attribute_customer_born_age_days"].description
    assert "attribute_product_brand" not in found


@pytest.fixture(scope="module")
def catalogue(shop: Pipeline) -> FeatureCatalogue:
    return read_catalogue(shop.settings.dbt_target_dir, "order_habit")


@pytest.mark.parametrize(
    "name", ["attribute_first_order_moon", "attribute_shop_size", "basket_moon_phase"]
)
def test_any_other_column_that_the_yml_lacks_stops_the_build(
    catalogue: FeatureCatalogue, name: str
) -> None:
    built = dict.fromkeys([*catalogue.keys, *catalogue.names, name], "text")
    with pytest.raises(BuildError, match=f"lacks .*{name}"):
        with_attributes(catalogue, built)


def test_a_column_that_the_model_lacks_stops_the_build(catalogue: FeatureCatalogue) -> None:
    built = dict.fromkeys([*catalogue.keys, *catalogue.names[1:]], "integer")
    with pytest.raises(BuildError, match=catalogue.names[0]):
        with_attributes(catalogue, built)


def test_an_attribute_of_a_type_that_no_model_takes_stops_the_build(
    catalogue: FeatureCatalogue,
) -> None:
    built = dict.fromkeys([*catalogue.keys, *catalogue.names], "integer")
    with pytest.raises(BuildError, match="attribute_line_gift is boolean"):
        with_attributes(catalogue, built | {"attribute_line_gift": "boolean"})
