"""The API, asked over HTTP: the same answers as the marts, and a document for every mistake."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from python_ml.api.keys import FILE, KeyRing
from python_ml.cli import build_app
from python_ml.pipeline import CUSTOMERS, Pipeline
from python_ml.warehouse.ledger import in_force, roll_back
from tests.bench.api_under_load import Server, load_while, wait_until_ready
from tests.doors.conftest import AS_OF
from tests.test_road import refresh, rows, wait_until

HABIT = "/v1/order-habit/customers"
ABOUT = {"prediction", "as_of_date", "horizon_days", "model_version", "recipe", "run_id"}


def records(shop: Pipeline, query: str) -> list[dict[str, Any]]:
    return [row[0] for row in rows(shop, f"select to_jsonb(t) from ({query}) as t")]  # type: ignore[misc]


def instant(written: str) -> datetime:
    return datetime.fromisoformat(written)


def get(api: httpx.Client, path: str, **parameters: object) -> dict[str, Any]:
    answer = api.get(path, params=parameters)  # type: ignore[arg-type]
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert set(found) >= ABOUT
    return found


def test_look_ups_say_what_the_marts_say(api: httpx.Client, open_shop: Pipeline) -> None:
    for mart in records(open_shop, "select * from marts.order_habit order by 1 limit 5"):
        found = get(api, f"{HABIT}/{mart['customer_id']}", reasons=True)
        assert found["run_id"] == mart["run_id"]
        assert found["model_version"] == mart["model_version"]
        for name, value in found["customer"].items():
            expected = json.loads(mart["reasons"]) if name == "reasons" else mart[name]
            if name == "scored_at":  # one leaves out zeros at the end, the other does not
                assert instant(value) == instant(expected + "Z")
            else:
                assert value == expected, name
    assert get(api, f"{HABIT}/{mart['customer_id']}")["customer"]["reasons"] is None


def test_potential_is_in_the_order_of_the_mart(api: httpx.Client, open_shop: Pipeline) -> None:
    [customer] = records(
        open_shop,
        "select customer_id from marts.purchase_potential where item_level = 'category' "
        "group by 1 order by count(*) desc, 1 limit 1",
    )
    for level, name in (("product", "products"), ("category", "categories")):
        marts = records(
            open_shop,
            "select item_id, probability, item_rank from marts.purchase_potential where "
            f"customer_id = '{customer['customer_id']}' and item_level = '{level}' "
            "order by item_rank limit 3",
        )
        path = f"/v1/purchase-potential/customers/{customer['customer_id']}/{name}"
        found = get(api, path, top_n=3)["items"]
        assert [{key: item[key] for key in marts[0]} for item in found] == marts


def test_a_customer_who_has_bought_everything_has_an_empty_list(
    api: httpx.Client, open_shop: Pipeline
) -> None:
    [[customer], *_] = rows(
        open_shop,
        "select customer_id from marts.purchase_potential group by 1 "
        "having count(*) filter (where item_level = 'category') = 0",
    )
    path = f"/v1/purchase-potential/customers/{customer}/categories"
    assert get(api, path)["items"] == []


def test_an_order_has_its_open_lines(api: httpx.Client, open_shop: Pipeline) -> None:
    [[order, count], *_] = rows(
        open_shop, "select order_id, count(*) from marts.return_risk group by 1 order by 2 desc"
    )
    found = get(api, f"/v1/return-risk/orders/{order}")
    marts = records(
        open_shop, f"select * from marts.return_risk where order_id = '{order}' order by line_key"
    )
    assert len(found["lines"]) == count == len(marts)
    for line, mart in zip(found["lines"], marts, strict=True):
        for name in ("line_key", "probability_at_order", "expected_saving", "what_to_do"):
            assert line[name] == mart[name]
        assert mart["ordered_at"].startswith(line["ordered_at"])


@pytest.mark.parametrize(
    ("path", "name", "query", "filters"),
    [
        (HABIT, "customers",
         "select customer_id as key from marts.order_habit where band = 'likely' "
         "order by probability desc, customer_id", {"band": "likely"}),
        (HABIT, "customers",
         "select customer_id as key from marts.order_habit where segment = 'loyal' "
         "and not is_holdout and probability >= .5 order by probability desc, customer_id",
         {"segment": "loyal", "is_holdout": False, "least_probability": 0.5}),
        ("/v1/return-risk/lines", "lines",
         "select line_key as key from marts.return_risk where suggested_action = 'leave' "
         "order by expected_saving desc, line_key", {"suggested_action": "leave"}),
    ],
)  # fmt: skip
def test_pages_together_are_the_whole_list_in_order(
    *,
    api: httpx.Client,
    open_shop: Pipeline,
    path: str,
    name: str,
    query: str,
    filters: dict[str, object],
) -> None:
    expected = [row["key"] for row in records(open_shop, query)]
    found: list[str] = []
    after: dict[str, object] = {}
    while True:
        page = get(api, path, limit=7, **filters, **after)
        found += [row["customer_id" if name == "customers" else "line_key"] for row in page[name]]
        if page["next"] is None:
            break
        after = {"after": page["next"]}
    assert len(expected) > 14
    assert found == expected


def test_buyers_of_a_product_are_listed(api: httpx.Client, open_shop: Pipeline) -> None:
    [[product, count]] = rows(
        open_shop,
        "select item_id, count(*) from marts.purchase_potential where item_level = 'product' "
        "group by 1 order by 2 desc, 1 limit 1",
    )
    found = get(api, f"/v1/purchase-potential/products/{product}/customers", limit=500)["items"]
    assert len(found) == count
    assert [item["probability"] for item in found] == sorted(
        (item["probability"] for item in found), reverse=True
    )


def test_models_say_what_they_reached_and_whether_they_can_score(api: httpx.Client) -> None:
    models = {model["prediction"]: model for model in api.get("/v1/models").json()["models"]}
    assert set(models) == {
        "order_habit", "order_habit_totals", "purchase_potential", "return_risk",
    }  # fmt: skip
    for name, model in models.items():
        assert model["can_score"], (name, model["why_not"])
        assert {metric["metric"] for metric in model["metrics"]} >= {"log_loss", "auc"}


def test_meters_count_by_route_and_never_by_id(api: httpx.Client, open_shop: Pipeline) -> None:
    [[customer]] = rows(open_shop, "select customer_id from marts.order_habit limit 1")
    get(api, f"{HABIT}/{customer}")
    text = api.get("/metrics").text
    route = f'method="GET",route="{HABIT}/{{customer_id}}",status="200"'
    assert f"smartretail_requests_total{{{route}}}" in text
    assert str(customer) not in text
    assert in_force(open_shop.warehouse)["order_habit"] in text


SCORE = "/v1/order-habit/score"
TOTALS = {
    "total_spend": 400, "order_count": 4, "avg_order_value": 100,
    "last_order_date": "2025-10-01",
}  # fmt: skip
LINE = {"product_id": "P", "unit_price": 10}


@pytest.mark.parametrize(
    ("path", "body", "status", "slug", "says"),
    [
        (f"{HABIT}/nobody", None, 404, "unknown-id", "no such customer"),
        (f"{HABIT}/%00", None, 422, "invalid-request", "zero character"),
        ("/v1/purchase-potential/customers/nobody/products", None, 404, "unknown-id", "customer"),
        ("/v1/return-risk/orders/none", None, 404, "unknown-id", "no such open order"),
        (f"{HABIT}?as_of=1999-01-01", None, 404, "no-published-run", "1999-01-01"),
        (f"{HABIT}?as_of=yesterday", None, 422, "invalid-request", "as_of"),
        (f"{HABIT}?limit=1000000", None, 422, "invalid-request", "limit"),
        (f"{HABIT}?band=certain", None, 422, "invalid-request", "band"),
        (f"{HABIT}?after=bm8", None, 422, "invalid-cursor", "cursor"),
        ("/v1/nothing", None, 404, "no-such-page", "address"),
        ("/v1/models", {}, 405, "method-not-allowed", "method"),
        (SCORE, {}, 422, "invalid-request", "orders"),
        (SCORE, {**TOTALS, "avg_order_value": 90}, 422, "invalid-request", "which is 100.00"),
        (SCORE, {**TOTALS, "last_order_date": "2031-01-01"}, 422, "invalid-request", "before"),
        (SCORE, {**TOTALS, "order_count": 0}, 422, "invalid-request", "order_count"),
        (SCORE, {"orders": [{"ordered_on": "2031-01-01", "lines": [LINE]}]}, 422,
         "invalid-request", "No order lies before"),
        ("/v1/return-risk/score", {"lines": []}, 422, "invalid-request", "lines"),
        ("/v1/return-risk/score", {"lines": [{**LINE, "attributes": {"taste": "good"}}]}, 422,
         "invalid-request", "has the attribute taste"),
        ("/v1/return-risk/score", {"lines": [LINE], "customer_id": "x" * 1_000_001}, 413,
         "too-large", "1,000,000 bytes"),
        ("/v1/return-risk/score", "{", 422, "invalid-request", "JSON"),
    ],
)  # fmt: skip
def test_every_mistake_has_its_own_document(
    *, api: httpx.Client, path: str, body: object, status: int, slug: str, says: str
) -> None:
    if body is None:
        answer = api.get(path)
    else:
        content = body if isinstance(body, str) else json.dumps(body)
        answer = api.post(path, content=content, headers={"Content-Type": "application/json"})
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (status, f"/problems/{slug}"), problem
    assert answer.headers["content-type"] == "application/problem+json"
    assert says.lower() in problem["detail"].lower() + json.dumps(problem.get("errors", []))
    assert problem["way_out"]
    assert api.get(problem["type"]).json()["title"] == problem["title"]


def test_another_hosts_name_is_not_answered_to_on_loopback(api: httpx.Client) -> None:
    answer = api.get("/v1/models", headers={"Host": "evil.example"})
    assert (answer.status_code, answer.json()["type"]) == (403, "/problems/wrong-host")


def test_without_a_published_run_it_says_so(make_pipeline: Any) -> None:
    with Server(make_pipeline()) as server, httpx.Client(base_url=server.url) as client:
        for path in (f"{HABIT}/x", "/v1/return-risk/lines"):
            answer = client.get(path)
            assert (answer.status_code, answer.json()["type"]) == (
                404, "/problems/no-published-run",
            )  # fmt: skip
        assert client.post(SCORE, json=TOTALS).json()["type"] == "/problems/no-published-run"
        ready = client.get("/ready")
        assert (ready.status_code, ready.json()["waits_for"]) == (503, ["a published run"])
        assert client.get("/health").status_code == 200


def test_connections_that_are_cut_cost_no_request(api: httpx.Client, open_shop: Pipeline) -> None:
    [[customer]] = rows(open_shop, "select customer_id from marts.order_habit limit 1")
    for _ in range(3):
        cut = rows(
            open_shop,
            "select count(pg_terminate_backend(pid)) from pg_stat_activity "
            "where application_name = 'smartretail api' and datname = current_database()",
        )
        assert int(str(cut[0][0])) > 0
        for _ in range(20):
            get(api, f"{HABIT}/{customer}")


def test_beyond_loopback_keys_are_asked_for_and_only_hashes_are_kept(open_shop: Pipeline) -> None:
    home = open_shop.settings.home
    environment = {"SMARTRETAIL_DATABASE_URL": open_shop.warehouse.url}
    refused = CliRunner().invoke(
        build_app(), ["serve", "--host", "0.0.0.0", "--home", str(home)], env=environment
    )
    assert "needs a key" in str(refused.exception)
    ring = KeyRing(home)
    reader, scorer = ring.add("reader", ["read"]), ring.add("scorer", ["score"])
    for key in (reader, scorer):
        assert key.split("_", 2)[2] not in (home / FILE).read_text()
    with (
        Server(open_shop, "--host", "0.0.0.0") as server,
        httpx.Client(base_url=f"http://127.0.0.1:{server.port}") as client,
    ):
        assert client.get("/health").status_code == 200

        def asked(key: str | None, method: str = "GET", path: str = HABIT) -> tuple[int, str]:
            headers = {} if key is None else {"Authorization": f"Bearer {key}"}
            answer = client.request(
                method, path, headers=headers, json=TOTALS if method == "POST" else None
            )
            return answer.status_code, answer.json().get("type", "").removeprefix("/problems/")

        assert asked(None) == (401, "missing-key")
        assert asked(None, path="/metrics") == (401, "missing-key")
        assert asked(reader[:-1] + ("a" if reader[-1] != "a" else "b")) == (401, "wrong-key")
        assert asked("sr_x_y") == (401, "wrong-key")
        assert asked(reader) == (200, "")
        assert asked(scorer) == (403, "scope-missing")
        assert asked(reader, "POST", SCORE) == (403, "scope-missing")
        wait_until(lambda: asked(scorer, "POST", SCORE)[1] != "not-ready", seconds=300)
        assert asked(scorer, "POST", SCORE) == (200, "")
        ring.revoke(reader.split("_")[1])
        assert asked(reader) == (401, "wrong-key")
    ring.revoke(scorer.split("_")[1])


def test_a_caller_who_asks_too_much_is_told_to_wait(open_shop: Pipeline) -> None:
    with Server(open_shop, "--rate", "2") as server, httpx.Client(base_url=server.url) as client:
        answers = [client.get("/v1/models") for _ in range(30)]
        assert {answer.status_code for answer in answers} == {200, 429}
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert refused.json()["type"] == "/problems/too-many-requests"
        assert int(refused.headers["Retry-After"]) >= 1
        assert client.get("/health").status_code == 200


def test_a_publish_under_load_costs_no_request_and_shows_without_a_restart(
    open_shop: Pipeline,
) -> None:
    day = AS_OF + timedelta(days=7)
    before = in_force(open_shop.warehouse)
    customers = rows(open_shop, "select customer_id from marts.order_habit order by 1 limit 40")
    paths = [f"{HABIT}/{customer}" for (customer,) in customers]
    with Server(open_shop) as server, httpx.Client(base_url=server.url, timeout=30) as client:
        wait_until_ready(server.port)
        first_page = get(client, HABIT, limit=5)
        try:
            load = asyncio.run(
                load_while(server.port, paths, 40, 4, lambda: refresh(open_shop, day))
            )
            now = in_force(open_shop.warehouse)["order_habit"]
            assert now != before["order_habit"]
            wait_until(lambda: get(client, paths[0])["run_id"] == now, seconds=30)
            assert get(client, paths[0])["as_of_date"] == day.isoformat()
            second_page = get(client, HABIT, limit=5, after=first_page["next"])
            assert second_page["run_id"] == before["order_habit"]
            assert get(client, paths[0], as_of=AS_OF)["run_id"] == before["order_habit"]
            wait_until(lambda: client.post(SCORE, json=TOTALS).json()["run_id"] == now, seconds=300)
        finally:
            with open_shop.writing() as writer:
                for name in ("order_habit", CUSTOMERS):
                    roll_back(open_shop.warehouse, writer, name, before[name])
        wait_until(lambda: get(client, paths[0])["run_id"] == before["order_habit"], seconds=30)
    assert load.failures == []
    assert set(load.statuses) == {200}
    assert set(load.runs) <= {before["order_habit"], now}
