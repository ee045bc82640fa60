"""The main job on real data: UCI Online Retail II as it was published, warts and all."""

from __future__ import annotations

import resource
import subprocess

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from python_ml.pipeline import Pipeline
from python_ml.settings import load_settings
from python_ml.warehouse.dbt import run_dbt
from tests.conftest import MakePipeline
from tests.test_road import rows, smartretail

FOLDER = load_settings().data_dir / "online_retail_ii"
AS_OF = "2011-06-10"

pytestmark = [
    pytest.mark.real_data,
    pytest.mark.skipif(not FOLDER.is_dir(), reason=f"SMARTRETAIL_DATA_DIR has no {FOLDER.name}"),
]


@pytest.fixture(scope="module")
def printed() -> list[str]:
    return []


@pytest.fixture(scope="module")
def shop(make_pipeline: MakePipeline, printed: list[str]) -> Pipeline:
    """The command as a user types it."""
    pipeline = make_pipeline()
    done: subprocess.CompletedProcess[str] = smartretail(
        pipeline, "run", "--source", "online_retail", "--path", str(FOLDER),
        "--as-of", AS_OF, "--horizon-days", "180", "--only", "order_habit",
    )  # fmt: skip
    printed.append(done.stdout)
    return pipeline


@pytest.fixture(scope="module")
def published() -> pa.Table:
    """The files read without any of our code."""
    return pa.concat_tables(
        [pq.read_table(path) for path in sorted(FOLDER.glob("*.parquet"))],
        promote_options="permissive",
    )


def test_every_customer_who_bought_before_has_a_probability(shop: Pipeline) -> None:
    assert rows(
        shop,
        "select count(*), count(distinct customer_id), min(as_of_date)::text, bool_and(probability "
        "between 0 and 1) from marts.order_habit",
    ) == [(4944, 4944, AS_OF, True)]


def test_metrics_are_printed_beside_all_baselines(shop: Pipeline, printed: list[str]) -> None:
    for recipe in ("recency", "frequency", "log_rfm", "bgnbd", "logistic", "boosted", "blend"):
        assert recipe in printed[0]
    assert "(published)" in printed[0]


def test_overlapping_rows_count_once(shop: Pipeline) -> None:
    assert rows(
        shop,
        "select sum(row_count) filter (where fate <> 'overlap_of_files')::integer, "
        "sum(row_count) filter (where fate = 'overlap_of_files')::integer "
        "from intermediate.int_row_accounting",
    ) == [(1_044_847, 22_523)]
    assert rows(
        shop,
        "select count(distinct invoice), count(distinct customer_id) from raw.online_retail",
    ) == [(53_628, 5_942)]


def test_lines_and_money_are_accounted_for_from_file_to_fate(
    shop: Pipeline, published: pa.Table
) -> None:
    money = pc.sum(pc.multiply(pc.cast(published["Quantity"], pa.float64()), published["Price"]))
    [(count, amount)] = rows(
        shop, "select sum(row_count)::bigint, sum(amount) from intermediate.int_row_accounting"
    )
    assert count == published.num_rows
    assert amount == pytest.approx(money.as_py(), abs=0.01)


def test_order_lines_and_returns_are_all_that_was_not_excluded(shop: Pipeline) -> None:
    fates = dict(rows(shop, "select fate, row_count from intermediate.int_row_accounting"))
    [(lines,)] = rows(shop, "select count(*) from intermediate.int_order_lines")
    [(given,)] = rows(
        shop,
        "select -sum(quantity) from staging.stg_online_retail__order_lines where quantity < 0",
    )
    [(matched, unmatched)] = rows(
        shop,
        "select sum(quantity) filter (where is_matched), "
        "sum(quantity) filter (where not is_matched) from intermediate.int_returns",
    )
    assert lines == fates["order_line"]
    assert matched + unmatched == given  # type: ignore[operator]
    assert matched > 20 * unmatched  # type: ignore[operator]


def test_a_return_never_precedes_its_purchase(shop: Pipeline) -> None:
    assert rows(
        shop, "select count(*) from intermediate.int_returns where returned_on < ordered_on"
    ) == [(0,)]


def test_the_unit_tests_of_this_source_pass(shop: Pipeline) -> None:
    nodes = run_dbt(
        shop.settings, shop.warehouse, "online_retail", ["test", "--select", "test_type:unit"]
    )
    assert any("online_retail" in node.unique_id for node in nodes)


def test_memory_stays_bounded(shop: Pipeline) -> None:
    largest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024**2
    assert largest < 4, f"a child process took {largest:.1f} GB"
