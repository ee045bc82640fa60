"""Marts for action: what each row says, and that all marts say the same."""

from __future__ import annotations

import csv
import hashlib
from pathlib import Path

import pytest

from python_ml.pipeline import Pipeline
from python_ml.settings import PROJECT_DIR
from python_ml.warehouse.ledger import in_force, roll_back
from tests.doors.conftest import AS_OF
from tests.test_road import rows
from tests.time_rules.test_mutations import copy_of_project


def seed(name: str) -> dict[str, str]:
    with (PROJECT_DIR / "dbt_project" / "seeds" / f"{name}.csv").open() as file:
        return next(csv.DictReader(file))


def test_one_row_per_customer_holds_all_three_answers_of_one_refresh(open_shop: Pipeline) -> None:
    [(count, customers, days, unanswered)] = rows(
        open_shop,
        "select count(*), count(distinct customer_id), "
        "count(distinct (as_of_date, order_habit_as_of_date, purchase_potential_as_of_date)), "
        "count(*) filter (where num_nulls(segment, value_decile, is_holdout, suggested_action, "
        "what_to_do, order_habit_probability, order_habit_expected_value, top_product_id, "
        "top_products, purchase_potential_run_id) > 0) from marts.customers",
    )
    [(known,)] = rows(
        open_shop,
        "select count(distinct customer_id) from raw.order_lines "
        f"where ordered_at < '{AS_OF}' and recorded_at < '{AS_OF}'",
    )
    assert count == customers == known
    assert (days, unanswered) == (1, 0)


def test_open_lines_of_customers_add_up_to_the_lines(open_shop: Pipeline) -> None:
    [of_customers] = rows(
        open_shop,
        "select sum(return_risk_open_lines), round(sum(return_risk_expected_cost)::numeric, 6), "
        "sum(return_risk_lines_to_act_on) from marts.customers",
    )
    [of_lines] = rows(
        open_shop,
        "select count(*), round(sum(expected_return_cost)::numeric, 6), "
        "count(*) filter (where suggested_action = 'intervene') from marts.return_risk "
        "where customer_id is not null",
    )
    assert of_customers == of_lines
    assert int(str(of_lines[0])) > 50


def test_expected_value_is_the_chance_of_the_margin_of_an_order(open_shop: Pipeline) -> None:
    share = float(seed("margins")["order_margin_share"])
    found = rows(
        open_shop,
        "select probability, expected_value, value_at_risk, total_spend / order_count "
        "from marts.order_habit inner join marts.customers using (customer_id)",
    )
    assert len(found) > 200
    for row in found:
        probability, expected, at_risk, order_value = (float(str(value)) for value in row)
        assert expected == pytest.approx(probability * order_value * share)
        assert at_risk == pytest.approx((1 - probability) * order_value * share)


def test_the_best_product_of_a_customer_is_the_first_of_their_list(open_shop: Pipeline) -> None:
    assert rows(
        open_shop,
        "select count(*) from marts.customers inner join marts.purchase_potential as best "
        "on best.customer_id = customers.customer_id and item_level = 'product' "
        "and item_rank = 1 where best.item_id <> top_product_id "
        "or best.probability <> top_product_probability "
        "or not starts_with(top_products, best.product_name)",
    ) == [(0,)]


def test_the_same_customers_are_held_out_everywhere_and_by_a_hash_alone(
    open_shop: Pipeline,
) -> None:
    ids = [str(row[0]) for row in rows(open_shop, "select customer_id from marts.customers")]
    chosen = {
        name for name in ids
        if hashlib.md5(f"smartretail|{name}".encode()).hexdigest()[:4] < f"{int(65536 * 0.05):04x}"
    }  # fmt: skip
    assert 3 < len(chosen) < 30
    for mart in ("customers", "order_habit", "purchase_potential", "return_risk"):
        held = rows(open_shop, f"select distinct customer_id from marts.{mart} where is_holdout")
        there = rows(open_shop, f"select distinct customer_id from marts.{mart}")
        assert {row[0] for row in held} == chosen & {str(row[0]) for row in there}, mart


def test_rows_are_indexed_by_what_bi_filters_on(open_shop: Pipeline) -> None:
    found = {
        str(row[0]).partition("(")[2].rstrip(")")
        for row in rows(open_shop, "select indexdef from pg_indexes where schemaname = 'mart_rows'")
    }
    assert {
        "run_id, customer_id", "run_id, band, expected_value", "run_id, item_level, expected_value",
        "run_id, order_id", "run_id, expected_saving", "run_id, segment",
    } <= found  # fmt: skip


def test_a_merchants_own_rule_and_margin_make_another_run(
    open_shop: Pipeline, tmp_path: Path
) -> None:
    before = in_force(open_shop.warehouse)
    project = copy_of_project(tmp_path / "project")
    seeds = project / "dbt_project" / "seeds"
    rules = (seeds / "action_rules.csv").read_text()
    own = 'order_habit,1,lapsed,,,call,"Ring them up."\n'
    (seeds / "action_rules.csv").write_text(rules + own)
    (seeds / "margins.csv").write_text("order_margin_share,product_margin_share\n0.8,0.4\n")
    old = dict(rows(open_shop, "select customer_id, value_at_stake from marts.order_habit"))
    pipeline = Pipeline(open_shop.settings, project_dir=project)
    request = pipeline.request(AS_OF, only=["order_habit"])
    with pipeline.writing() as writer:
        outcome = pipeline.predict(request, "order_habit")
        assert pipeline.publish(writer, [outcome]) == [outcome]
        said = rows(
            pipeline,
            "select customer_id, segment, value_at_stake, suggested_action from marts.order_habit",
        )
        roll_back(pipeline.warehouse, writer, "order_habit", before["order_habit"])
    assert {row[3] for row in said if row[1] == "lapsed"} == {"call"}
    assert "call" not in {row[3] for row in said if row[1] != "lapsed"}
    for name, _, value, _ in said:
        assert value == pytest.approx(2 * float(str(old[name])))
    assert rows(
        open_shop, "select count(*) from marts.order_habit where what_to_do = 'Ring them up.'"
    ) == [(0,)]
