"""A dozen order lines whose histories can be worked out on paper: `order_lines.csv`."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from python_ml.ingest.load import load
from python_ml.ingest.sources import ColumnMapping
from python_ml.pipeline import Pipeline
from tests.conftest import MakePipeline

FOLDER = Path(__file__).parent
MAPPING = ColumnMapping.parse([], ["line:size", "product:brand"])
SHOP = (0 + 20 * 0.1) / 20
"""The shop's rate before anything is settled."""


def build(pipeline: Pipeline, as_of: str, *arguments: str) -> pd.DataFrame:
    with pipeline.warehouse.connect() as connection:
        connection.execute(
            "insert into raw.as_of_requests values ('return_risk', %s, 30, now())", (as_of,)
        )
    pipeline._dbt(["run", "--select", "+feat_return_risk", "+label_return_risk", *arguments])
    table = pipeline.warehouse.read("select * from features.feat_return_risk").to_pandas()
    return table.set_index("line_key").sort_index()


@pytest.fixture(scope="module")
def pipeline(make_pipeline: MakePipeline) -> Pipeline:
    pipeline = make_pipeline()
    load(pipeline.warehouse, "order_lines", [FOLDER / "order_lines.csv"], MAPPING)
    return pipeline


@pytest.fixture(scope="module")
def lines(pipeline: Pipeline) -> pd.DataFrame:
    return build(pipeline, "2024-03-11")


def test_history_ends_before_the_day_of_the_order(lines: pd.DataFrame) -> None:
    # A-2 was recorded two days late: it looks back from its own day, not from the day it was known
    late = lines.loc["A-2|1"]
    assert str(late["as_of_date"]) == "2024-01-23"
    assert late["recency_days"] == late["recency_tenure_days"] == 19
    assert late["frequency_lines_total"] == 2
    assert late["product_lines_total"] == 0
    # ada's second order of February does not count her other lines of that day, nor cleo's
    assert lines.loc["A-3|1", "frequency_orders_total"] == 2
    assert lines.loc["A-3|1", "product_lines_total"] == 1


def test_only_settled_lines_count_in_rates_and_early_returns_stand_apart(
    lines: pd.DataFrame,
) -> None:
    # the outcomes of 1 January are known on 1 February: too late for an order of that day
    before, after = lines.loc["B-2|1"], lines.loc["C-1|1"]
    assert before["return_product_settled_lines"] == 0
    assert before["return_product_rate"] == pytest.approx(SHOP)
    assert before["return_product_unsettled_returns"] == 2
    assert before["return_customer_unsettled_returns"] == 1
    assert after["return_product_settled_lines"] == 2
    assert after["return_product_unsettled_returns"] == 1
    # by 10 March all of ben's lines are settled, and none of his returns is early any more
    assert lines.loc["B-3|1", "return_customer_settled_lines"] == 2
    assert lines.loc["B-3|1", "return_customer_returned_lines"] == 1
    assert lines.loc["B-3|1", "return_customer_unsettled_returns"] == 0


def test_rates_are_drawn_to_what_they_are_a_part_of(lines: pd.DataFrame) -> None:
    cleo = lines.loc["C-1|1"]
    shop = (1 + 20 * 0.1) / (2 + 20)
    category = (1 + 50 * shop) / (2 + 50)
    product = (1 + 20 * category) / (2 + 20)
    assert cleo["return_shop_rate"] == pytest.approx(shop)
    assert cleo["return_category_rate"] == pytest.approx(category)
    assert cleo["return_product_rate"] == pytest.approx(product)
    assert cleo["return_customer_rate"] == pytest.approx(shop)
    assert cleo["attribute_product_brand_rate"] == pytest.approx(category)
    assert cleo["attribute_line_size_rate"] == pytest.approx((1 + 50 * shop) / (1 + 50))
    assert cleo["attribute_line_size_in_product_rate"] == pytest.approx((1 + 10 * product) / 11)


def test_the_order_is_known_as_far_as_it_was_when_the_line_was(lines: pd.DataFrame) -> None:
    assert lines.loc["C-1|1", "basket_lines"] == 2  # the third was recorded three days later
    assert lines.loc["C-1|3", "basket_lines"] == 3
    assert lines.loc["C-1|1", "basket_lines_of_product"] == 2
    assert lines.loc["C-1|1", "attribute_line_size_others_in_basket"] == 1
    assert lines.loc["C-1|3", "basket_line_share_of_value"] == pytest.approx(0.4)


def test_a_line_is_held_against_what_was_usual(lines: pd.DataFrame) -> None:
    assert lines.loc["C-1|1", "product_price_over_mean"] == pytest.approx(30 / 21.5)
    assert lines.loc["A-3|1", "attribute_line_size_share_of_customer"] == pytest.approx(2 / 3)
    assert lines.loc["A-3|1", "product_lines_of_customer"] == 1


def test_a_guest_has_no_history_but_a_group_of_their_own(lines: pd.DataFrame) -> None:
    guest = lines.loc["G-1|1"]
    assert guest["basket_is_guest"] == 1
    assert pd.isna(guest["return_customer_rate"])
    assert guest["customer_or_order_id"] == "guest order G-1"
    assert guest["product_lines_total"] == 3


def test_later_rows_change_no_earlier_line_and_a_rebuild_gives_the_same(
    pipeline: Pipeline, lines: pd.DataFrame, tmp_path: Path
) -> None:
    header = (FOLDER / "order_lines.csv").read_text().splitlines()[0]
    path = tmp_path / "march.csv"
    path.write_text(
        f"{header}\n"
        # recorded late: a new order, a line of a known order, a correction, a return
        "D-1,1,dan,2024-02-01 08:00:00,2024-03-15 08:00:00,P-SHIRT,shirts,1,20,0,,,S,north\n"
        "C-1,4,cleo,2024-02-02 11:00:00,2024-03-15 08:00:00,P-CAP,caps,1,40,0,,,S,south\n"
        "C-1,1,cleo,2024-02-02 11:00:00,2024-03-15 08:00:00,P-SHIRT,shirts,5,30,0,,,S,north\n"
        "B-3,1,ben,2024-03-10 10:00:00,2024-03-16 10:00:00,P-CAP,caps,1,12,0,1,2024-03-16 10:00:00,"
        "L,south\n"
        "A-4,1,ada,2024-03-17 10:00:00,2024-03-17 10:00:00,P-SHIRT,shirts,1,20,0,,,S,north\n"
    )
    load(pipeline.warehouse, "order_lines", [path], MAPPING)
    grown = build(pipeline, "2024-03-18")
    assert sorted(set(grown.index) - set(lines.index)) == ["A-4|1", "C-1|4", "D-1|1"]
    pd.testing.assert_frame_equal(grown.loc[lines.index], lines)
    rebuilt = build(pipeline, "2024-03-19", "--full-refresh")
    pd.testing.assert_frame_equal(rebuilt, grown, rtol=1e-9)
    # cleo's order had a fourth line by then
    assert grown.loc["C-1|4", "basket_lines"] == 4
    # all six shirts, and dan's, whose time was over when it became known
    assert grown.loc["A-4|1", "return_product_settled_lines"] == 7
