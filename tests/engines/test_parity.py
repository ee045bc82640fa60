"""PostgreSQL and DuckDB build the same rows from the same shop."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date

import pandas as pd
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from python_ml.settings import load_settings
from tests.engines.builds import build, build_source
from tests.engines.conftest import Pair
from tests.engines.parity import built_models, difference, differences, read_table
from tests.engines.shops import corrected, random_shop

NORTHWIND = load_settings().data_dir / "northwind"
ONLINE_RETAIL = load_settings().data_dir / "online_retail_ii"


@pytest.mark.real_data
@pytest.mark.skipif(not NORTHWIND.is_dir(), reason="SMARTRETAIL_DATA_DIR has no northwind")
def test_northwind_comes_out_the_same(make_pair: Callable[..., Pair]) -> None:
    pair = make_pair()
    for pipeline in pair:
        build_source(pipeline, "northwind", NORTHWIND)
    assert len(read_table(pair[1], "features", "feat_order_habit")) > 1000
    assert len(built_models(pair[1])) > 20
    assert differences(*pair) == []


@pytest.mark.slow
@pytest.mark.real_data
@pytest.mark.skipif(not ONLINE_RETAIL.is_dir(), reason="SMARTRETAIL_DATA_DIR has no Online Retail")
def test_online_retail_comes_out_the_same(make_pair: Callable[..., Pair]) -> None:
    pair = make_pair()
    for pipeline in pair:
        # what came later stays a test
        build_source(pipeline, "online_retail", ONLINE_RETAIL, date(2011, 6, 10))
    assert len(read_table(pair[1], "features", "feat_order_habit")) > 50_000
    assert differences(*pair) == []


@pytest.fixture(scope="module")
def pair(make_pair: Callable[..., Pair]) -> Pair:
    """Two homes for all random shops: dbt parses each of them once."""
    return make_pair()


@given(
    seeds=st.lists(st.integers(0, 2**32 - 1), min_size=3, max_size=5, unique=True),
    orders=st.integers(5, 60),
    named_lines=st.booleans(),
)
@settings(
    max_examples=2,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],  # a smaller shop costs as much as this one
    suppress_health_check=list(HealthCheck),
)
def test_random_shops_come_out_the_same(
    pair: Pair,
    tmp_path_factory: pytest.TempPathFactory,
    seeds: list[int],
    orders: int,
    named_lines: bool,
) -> None:
    shops = [
        random_shop(seed, orders, named_lines=named_lines, prefix=f"{place}:")
        for place, seed in enumerate(seeds)
    ]
    shop = pd.concat(shops, ignore_index=True)
    files = [shop, corrected(shop, seeds[0])]
    folder = tmp_path_factory.mktemp("shops")
    for pipeline in pair:
        build(pipeline, files, folder)
    assert differences(*pair) == []
    lines = read_table(pair[1], "intermediate", "int_order_lines")
    assert lines["superseded_on"].notna().any(), "no line was corrected"
    assert len(read_table(pair[1], "features", "feat_order_habit")) > 0


def test_the_comparison_finds_a_cell_that_moved() -> None:
    rows = pd.DataFrame({"key": ["a", "b"], "count": [1, 2], "money": [0.1, 1e6]})
    assert difference(rows, rows.iloc[::-1]) is None
    assert difference(rows, rows.assign(money=[0.1, 1e6 + 1e-4])) is None
    for moved in ({"money": [0.1, 1e6 + 1]}, {"count": [1, 3]}, {"key": ["a", "c"]}):
        assert difference(rows, rows.assign(**moved)) is not None
    assert difference(rows, rows.head(1)) is not None
