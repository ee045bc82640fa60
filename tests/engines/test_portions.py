"""On DuckDB a statement that is too much at once is worked off in portions, with the same rows."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from python_ml.pipeline import Pipeline
from tests.conftest import MakePipeline
from tests.engines.builds import EVERYTHING, ask, build, load_rows
from tests.engines.parity import Tables, difference, read_table
from tests.engines.shops import random_shop

IN_PORTIONS = (
    "feat_order_habit", "feat_purchase_potential", "feat_purchase_potential_customers",
    "feat_return_risk", "int_interactions",
)  # fmt: skip

LINES_AT_ONCE = 500


@pytest.fixture(scope="module")
def shop(make_pipeline: MakePipeline, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    pipeline = make_pipeline(database_url="", engine="duckdb")
    build(pipeline, [random_shop(7, 60, named_lines=True)], tmp_path_factory.mktemp("files"))
    return pipeline


def tables(pipeline: Pipeline) -> Tables:
    layers = {
        name: "features" if name.startswith("feat") else "intermediate" for name in IN_PORTIONS
    }
    return {name: read_table(pipeline, layer, name) for name, layer in layers.items()}


def last_run(pipeline: Pipeline, model: str) -> str:
    """What dbt sent to make a model when it was last built."""
    target: Path = pipeline.settings.home / "dbt" / "target"
    (made,) = target.glob(f"run/**/{model}.sql")
    return made.read_text()


def statements(pipeline: Pipeline, model: str) -> int:
    """How many statements wrote rows of a model when it was last built."""
    return len(re.findall(r"create\s+table|insert into", last_run(pipeline, model)))


def dates_of_portions(pipeline: Pipeline, model: str) -> list[list[str]]:
    """The as-of dates of each statement that wrote rows of a model when it was last built."""
    portions = re.findall(r"as_of_date in \((date '[^)]*)\)", last_run(pipeline, model))
    return [re.findall(r"'([^']+)'", portion) for portion in portions]


def test_portions_give_the_rows_of_one_statement(shop: Pipeline) -> None:
    whole = tables(shop)
    lines = read_table(shop, "intermediate", "int_order_lines")["ordered_on"]
    dates = read_table(shop, "intermediate", "int_as_of_dates").query("prediction == 'order_habit'")
    known = {str(day): int((lines < day).sum()) for day in dates["as_of_date"]}
    assert statements(shop, "feat_order_habit") == 1
    few = ["--vars", f"{{lines_at_once: {LINES_AT_ONCE}}}"]
    shop._dbt(["run", "--full-refresh", "--select", *IN_PORTIONS, *few])
    portions = dates_of_portions(shop, "feat_order_habit")
    assert statements(shop, "feat_order_habit") == len(portions) > 1
    assert sorted(day for days in portions for day in days) == sorted(known)
    held = [sum(known[day] for day in days) for days in portions if len(days) > 1]
    assert max(held) <= LINES_AT_ONCE
    assert statements(shop, "feat_return_risk") > 2
    fewer = ["--vars", f"{{lines_at_once: {LINES_AT_ONCE // 10}}}"]
    shop._dbt(["run", "--full-refresh", "--select", "int_interactions", *fewer])
    assert statements(shop, "int_interactions") > 2
    found = {name: difference(whole[name], made) for name, made in tables(shop).items()}
    assert found == dict.fromkeys(IN_PORTIONS)


def test_what_is_added_in_portions_is_what_building_whole_gives(
    shop: Pipeline, tmp_path: Path
) -> None:
    more = random_shop(8, 60, named_lines=True, prefix="more:")
    load_rows(shop, more, tmp_path / "more.parquet")
    ask(shop, [60])
    shop._dbt([*EVERYTHING, "--vars", f"{{lines_at_once: {LINES_AT_ONCE}}}"])
    added = of_second_load(shop)
    shop._dbt([*EVERYTHING, "--full-refresh"])
    assert len(added) * 20 > 2 * LINES_AT_ONCE, "it would be one portion"
    assert difference(added, of_second_load(shop)) is None


def of_second_load(pipeline: Pipeline) -> pd.DataFrame:
    rows = read_table(pipeline, "features", "feat_return_risk")
    return rows[rows["order_id"].str.startswith("more:")].reset_index(drop=True)


def test_tables_get_no_indexes(shop: Pipeline) -> None:
    indexes = shop.warehouse.read(
        "select schema_name, table_name from duckdb_indexes()"
    ).to_pylist()
    made_by_dbt = {"staging", "intermediate", "features", "labels", "mart_rows"}
    assert [index for index in indexes if index["schema_name"] in made_by_dbt] == []
