"""Online scores equal those of the run in force, because their features do, column by column."""

from __future__ import annotations

from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest

from python_ml.errors import BundleError, InputError
from python_ml.pipeline import Pipeline
from python_ml.predictions import get_prediction
from python_ml.predictions.base import PairPrediction
from python_ml.scoring.one_statement import compile_models
from python_ml.scoring.online import (
    HABIT_MODELS,
    RISK_MODELS,
    Scorer,
    basket_features,
    bundle_folder,
    history_features,
    make_scorer,
)
from python_ml.scoring.online_pairs import (
    ITEM_MODELS,
    PairScorer,
    buyers,
    make_pair_scorer,
    product_features,
)
from python_ml.scoring.pairs import score_pairs
from python_ml.training.dataset import to_features
from python_ml.warehouse.ledger import runs_in_force
from tests.test_road import rows

ENOUGH = 25


@pytest.fixture(scope="module")
def scorers(open_shop: Pipeline) -> dict[str, Scorer]:
    """Scorers of the runs in force."""
    warehouse, settings = open_shop.warehouse, open_shop.settings
    models = tuple(dict.fromkeys((*HABIT_MODELS, *RISK_MODELS)))
    compiled = compile_models(settings, warehouse, open_shop.staging(), models)
    return {
        run.prediction: make_scorer(
            warehouse,
            compiled,
            open_shop._catalogue(run.prediction),
            settings.bundles_dir,
            prediction=run.prediction,
            run_id=run.run_id,
            bundle_id=str(run.bundle_id),
            as_of=run.as_of_date,
            horizon_days=run.horizon_days,
        )
        for run in runs_in_force(warehouse)
        if run.prediction in ("order_habit", "return_risk")
    }


def records(shop: Pipeline, query: str) -> list[dict[str, Any]]:
    return [dict(row) for row in shop.warehouse.read(query).to_pylist()]


def stored(scorer: Scorer, condition: str, order_by: str) -> pd.DataFrame:
    table = scorer.warehouse.read(
        f"select {', '.join(scorer.catalogue.names)} from features.{scorer.catalogue.model} "
        f"where {condition} order by {order_by}"
    )
    return to_features(table, scorer.catalogue)


def line_of(row: dict[str, Any]) -> dict[str, Any]:
    size = row.get("attribute_line_size")
    return {
        "product_id": row["product_id"],
        "category": None,
        "quantity": float(row["quantity"]),
        "unit_price": float(row["unit_price"]),
        "discount": float(row["discount"]),
        "attributes": {} if size is None else {"size": size},
        "returned_on": row.get("returned_on"),
    }


def baskets(shop: Pipeline) -> list[list[dict[str, Any]]]:
    """Open orders whose lines were all known on their day."""
    lines = records(
        shop,
        "select lines.line_key, order_id, customer_id, product_id, quantity, unit_price, discount, "
        "attribute_line_size, ordered_on, as_of_date from intermediate.int_lines_at_order as lines "
        "where order_id in (select order_id from marts.return_risk) order by line_key",
    )
    by_order: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        by_order.setdefault(line["order_id"], []).append(line)
    return [
        order
        for order in by_order.values()
        if all((line["as_of_date"] - line["ordered_on"]).days == 1 for line in order)
    ]


def test_a_basket_has_the_features_and_the_risk_of_the_same_order(
    open_shop: Pipeline, scorers: dict[str, Scorer]
) -> None:
    scorer = scorers["return_risk"]
    published = dict(
        rows(open_shop, "select line_key, probability_at_order from marts.return_risk")
    )
    compared = 0
    for order in baskets(open_shop):
        features = basket_features(
            scorer,
            [line_of(line) for line in order],
            customer_id=order[0]["customer_id"],
            ordered_on=order[0]["ordered_on"],
        )
        keys = ", ".join(f"'{line['line_key']}'" for line in order)
        pd.testing.assert_frame_equal(
            features,
            stored(scorer, f"line_key in ({keys})", "line_key"),
            rtol=1e-12,
            check_dtype=False,
        )
        for line, found in zip(order, scorer.scored(features, reasons=False), strict=True):
            if line["line_key"] in published:
                expected = published[line["line_key"]]
                assert found.probability == pytest.approx(expected, rel=1e-12)
                compared += 1
        if compared >= ENOUGH:
            break
    assert compared >= ENOUGH


def histories(shop: Pipeline, as_of: object) -> dict[str, list[dict[str, Any]]]:
    """Order lines before a date, of customers of whom nothing was recorded late or corrected."""
    lines = records(
        shop,
        "select lines.line_key, lines.order_id, lines.customer_id, lines.product_id, quantity, "
        "unit_price, discount, lines.ordered_on, returns.returned_on "
        "from intermediate.int_order_lines as lines "
        "left join (select distinct line_key, returned_on from intermediate.int_returns "
        f"where returned_on < '{as_of}' and known_on < '{as_of}') as returns using (line_key) "
        f"where lines.ordered_on < '{as_of}' and customer_id is not null and customer_id not in "
        "(select customer_id from intermediate.int_order_lines where customer_id is not null "
        "and (known_on > ordered_on or superseded_on is not null)) order by line_key",
    )
    found: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        found.setdefault(line["customer_id"], []).append(line)
    return found


def orders_of(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    orders: dict[str, dict[str, Any]] = {}
    for line in lines:
        order = orders.setdefault(line["order_id"], {"ordered_on": line["ordered_on"], "lines": []})
        order["lines"].append(line_of(line))
    return list(orders.values())


def attributes_of(shop: Pipeline, customer: str) -> dict[str, Any]:
    found = records(
        shop,
        "select attribute_customer_state as state from intermediate.int_customers "
        f"where customer_id = '{customer}' and superseded_on is null",
    )
    return {name: value for row in found for name, value in row.items() if value is not None}


def test_a_history_has_the_features_and_the_chance_of_the_same_customer(
    open_shop: Pipeline, scorers: dict[str, Scorer]
) -> None:
    scorer = scorers["order_habit"]
    published = dict(rows(open_shop, "select customer_id, probability from marts.order_habit"))
    compared = 0
    for customer, lines in histories(open_shop, scorer.as_of).items():
        features = history_features(
            scorer,
            orders_of(lines),
            as_of=scorer.as_of,
            attributes=attributes_of(open_shop, customer),
        )
        expected = stored(
            scorer, f"customer_id = '{customer}' and as_of_date = '{scorer.as_of}'", "customer_id"
        )
        pd.testing.assert_frame_equal(features, expected, rtol=1e-9, check_dtype=False)
        [found] = scorer.scored(features, reasons=False)
        assert found.probability == pytest.approx(published[customer], rel=1e-9)
        compared += 1
        if compared >= ENOUGH:
            break
    assert compared >= ENOUGH


def test_what_happens_on_the_day_or_later_does_not_count(
    open_shop: Pipeline, scorers: dict[str, Scorer]
) -> None:
    scorer = scorers["order_habit"]
    lines = next(lines for lines in histories(open_shop, scorer.as_of).values() if len(lines) > 5)
    orders = orders_of(lines)
    ask: dict[str, Any] = {"as_of": scorer.as_of, "attributes": {}}
    before = history_features(scorer, orders, **ask)
    later = {"ordered_on": scorer.as_of, "lines": orders[0]["lines"]}
    returned = [
        {**order, "lines": [{**line, "returned_on": line["returned_on"] or scorer.as_of}
                            for line in order["lines"]]}
        for order in orders
    ]  # fmt: skip
    pd.testing.assert_frame_equal(history_features(scorer, [*returned, later], **ask), before)
    with pytest.raises(InputError, match="No order lies before"):
        history_features(scorer, [later], **ask)


def test_over_http_the_score_is_that_of_the_mart(
    api: httpx.Client, open_shop: Pipeline, scorers: dict[str, Scorer]
) -> None:
    order = baskets(open_shop)[0]
    body = {
        "customer_id": order[0]["customer_id"],
        "ordered_on": order[0]["ordered_on"].isoformat(),
        "lines": [
            {name: value for name, value in line_of(line).items() if name != "returned_on"}
            for line in order
        ],
    }
    answer = api.post("/v1/return-risk/score", json=body, params={"reasons": True}).json()
    published = dict(
        rows(open_shop, "select line_key, probability_at_order from marts.return_risk")
    )
    assert [line["line"] for line in answer["lines"]] == list(range(1, len(order) + 1))
    for line, found in zip(order, answer["lines"], strict=True):
        assert found["probability"] == pytest.approx(published[line["line_key"]], rel=1e-12)
        assert found["reasons"][0]["words"]
    customer, lines = next(iter(histories(open_shop, scorers["order_habit"].as_of).items()))
    body = {
        "attributes": attributes_of(open_shop, customer),
        "orders": [
            {
                "ordered_on": past["ordered_on"].isoformat(),
                "lines": [
                    {name: value if name != "returned_on" or value is None else value.isoformat()
                     for name, value in line.items() if name != "attributes"}
                    for line in past["lines"]
                ],
            }
            for past in orders_of(lines)
        ],
    }  # fmt: skip
    answer = api.post("/v1/order-habit/score", json=body).json()
    [[expected]] = rows(
        open_shop, f"select probability from marts.order_habit where customer_id = '{customer}'"
    )
    assert answer["probability"] == pytest.approx(expected, rel=1e-9)
    assert (answer["model"], answer["metrics"]) == ("order_habit", None)


def test_the_totals_are_answered_by_a_model_of_their_own(api: httpx.Client) -> None:
    def ask(count: int, last: str) -> dict[str, Any]:
        body = {
            "total_spend": 100.0 * count, "order_count": count, "avg_order_value": 100,
            "last_order_date": last,
        }  # fmt: skip
        found: dict[str, Any] = api.post("/v1/order-habit/score", json=body).json()
        return found

    often, seldom = ask(12, "2025-11-20"), ask(1, "2024-01-20")
    assert often["probability"] > 0.6
    assert seldom["probability"] < 0.3
    assert often["model"] == "order_habit_totals"
    habit = api.get("/v1/order-habit/customers", params={"limit": 1}).json()
    assert often["model_version"] != habit["model_version"]
    measured = {metric["metric"]: metric for metric in often["metrics"]}
    assert 0.5 < measured["auc"]["value"] < 1
    assert measured["auc"]["lower_bound"] < measured["auc"]["value"]


def test_a_product_that_nobody_knows_speaks_by_its_category(
    open_shop: Pipeline, scorers: dict[str, Scorer]
) -> None:
    [[known]] = rows(
        open_shop,
        "select category from intermediate.int_products where category is not null limit 1",
    )
    scorer = scorers["return_risk"]
    line = {
        "product_id": "never seen", "category": known, "quantity": 1.0, "unit_price": 20.0,
        "discount": 0.0, "attributes": {},
    }  # fmt: skip
    features = basket_features(scorer, [line], customer_id=None, ordered_on=scorer.as_of)
    assert features["category_name"].tolist() == [known]
    assert np.isnan(features["product_age_days"].to_numpy()).all()
    assert features["basket_is_guest"].tolist() == [1]


def test_a_model_that_is_not_in_this_home_is_named(open_shop: Pipeline) -> None:
    with pytest.raises(BundleError, match="1234"):
        bundle_folder(open_shop.settings.bundles_dir / "order_habit", "1234")


@pytest.fixture(scope="module")
def pair_scorer(open_shop: Pipeline) -> PairScorer:
    """The product level of the run in force."""
    warehouse, settings, name = open_shop.warehouse, open_shop.settings, "purchase_potential"
    [run] = [run for run in runs_in_force(warehouse) if run.prediction == name]
    prediction = get_prediction(name)
    assert isinstance(prediction, PairPrediction)
    return make_pair_scorer(
        warehouse,
        compile_models(settings, warehouse, open_shop.staging(), ITEM_MODELS),
        open_shop._catalogues(name),
        prediction,
        settings.bundles_dir,
        run_id=run.run_id,
        bundle_id=str(run.bundle_id),
        as_of=run.as_of_date,
    )


@pytest.mark.parametrize("price", [None, 45.0])
def test_a_new_product_gets_what_a_run_would_give_it(
    open_shop: Pipeline, pair_scorer: PairScorer, price: float | None
) -> None:
    """The product's features are put among those of the shop, and a run's own code scores them."""
    [[category, brand]] = rows(
        open_shop,
        "select category, attribute_product_brand from intermediate.int_products "
        "where category is not null and attribute_product_brand is not null order by 1, 2 limit 1",
    )
    features = product_features(pair_scorer, str(category), price, {"brand": str(brand)})
    found, expected_buyers = buyers(pair_scorer, features, top_n=500, reasons=True)
    as_of, warehouse = pair_scorer.as_of, open_shop.warehouse
    values = {name: None if pd.isna(value) else value for name, value in features.iloc[0].items()}
    names = ["item_level", "item_id", "as_of_date", *map(str, values)]
    with warehouse.connect() as connection:
        connection.execute(
            f"insert into features.feat_purchase_potential ({', '.join(names)}) "
            f"values ({', '.join(['%s'] * len(names))})".encode(),
            ("product", "~new", as_of, *values.values()),
        )
    try:
        prediction = get_prediction("purchase_potential")
        assert isinstance(prediction, PairPrediction)
        table = score_pairs(
            warehouse,
            prediction,
            pair_scorer.catalogues,
            pair_scorer.bundle,
            as_of,
            most_products=1_000,
            label_known_at=as_of,
        )
    finally:
        with warehouse.connect() as connection:
            connection.execute(
                "delete from features.feat_purchase_potential where item_id = '~new'"
            )
    batch = {
        row["customer_id"]: row["probability"]
        for row in table.to_pylist()
        if row["item_id"] == "~new"
    }
    assert len(batch) > 200
    assert {one.customer_id: one.probability for one in found} == pytest.approx(batch, rel=1e-6)
    assert expected_buyers == pytest.approx(sum(batch.values()), rel=1e-6)
    assert [one.probability for one in found] == sorted(
        (one.probability for one in found), reverse=True
    )
    assert found[0].reasons


def test_a_new_product_has_the_features_of_one_that_was_never_sold(
    open_shop: Pipeline, pair_scorer: PairScorer
) -> None:
    bare = product_features(pair_scorer, "somewhere new", None, {}).iloc[0]
    assert bare["category_name"] == "somewhere new"
    assert pd.isna(bare["product_age_days"])
    assert pd.isna(bare["product_mean_price"])
    assert bare["product_lines_total"] == bare["product_new_buyer_share_365d"] == 0
    offered = product_features(pair_scorer, "somewhere new", 30.0, {}).iloc[0]
    assert (offered["product_age_days"], offered["product_mean_price"]) == (1, 30.0)
    [[cheaper]] = rows(
        open_shop,
        "select avg((product_mean_price < 30)::integer) from features.feat_purchase_potential "
        f"where item_level = 'product' and as_of_date = '{pair_scorer.as_of}' "
        "and product_mean_price is not null",
    )
    assert offered["product_price_rank"] == pytest.approx(float(str(cheaper)), abs=1e-9)


def test_over_http_a_new_product_has_its_likeliest_buyers(api: httpx.Client) -> None:
    body = {"category": "dresses", "price": 60}
    answer = api.post("/v1/purchase-potential/score", json=body, params={"top_n": 5}).json()
    assert len(answer["customers"]) == 5
    assert answer["expected_buyers"] > sum(one["probability"] for one in answer["customers"])
    wrong = api.post("/v1/purchase-potential/score", json={**body, "attributes": {"smell": 1}})
    assert wrong.json()["type"] == "/problems/invalid-request"
    assert "smell" in wrong.json()["detail"]
