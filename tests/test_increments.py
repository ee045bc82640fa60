"""A build after each load gives what one build of everything gives, and leaves the others alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from python_ml.pipeline import Pipeline
from tests.conftest import MakePipeline
from tests.engines.builds import EVERYTHING, ask, load_rows
from tests.engines.parity import Tables, built_models, difference, read_table
from tests.engines.shops import corrected, random_shop
from tests.time_rules.test_mutations import copy_of_project

LOADED_AT = ("2024-05-01 10:00", "2024-05-15 10:00", "2024-06-02 10:00", "2024-06-03 10:00")
REMOVAL = re.compile(r"delete from [^;]+", re.DOTALL)
INCREMENT = re.compile(r'"?\w+__dbt_tmp\w*"?')
GROWING = (
    "stg_order_lines__rows", "stg_order_lines__order_lines", "int_order_lines",
    "int_return_matches", "int_returns", "int_orders", "int_customer_items", "int_interactions",
    "int_customer_variety", "int_customer_tastes", "int_item_days", "int_lines_at_order",
    "int_observed_outcomes",
)  # fmt: skip
SEEDS = (11, 12, 13)


def files() -> list[pd.DataFrame]:
    """Four files of one shop: its past, what was recorded long ago, corrections, a day.

    The second concerns almost everybody. The third moves lines to other customers, and the fourth
    brings returns and a new attribute of old products: both concern few.
    """
    shop = pd.concat(
        [
            random_shop(seed, 40, named_lines=seed != 13, prefix=f"{place}:")
            for place, seed in enumerate(SEEDS)
        ],
        ignore_index=True,
    )
    past = shop[shop["ordered_at"] < "2024-05-01"]
    corrections = corrected(past, 3)
    random = np.random.default_rng(5)
    corrections["recorded_at"] = pd.NaT
    corrections = corrections.groupby("order_id").filter(lambda rows: rows.name[-1] in "01")
    moved = corrections.sample(12, random_state=1).index
    corrections.loc[moved, "customer_id"] = random.choice(
        past["customer_id"].dropna().unique(), len(moved)
    )
    backdated = random_shop(14, 15, named_lines=True, prefix="0:")
    backdated["order_id"] += "-found"
    backdated["recorded_at"] = backdated["ordered_at"] + pd.Timedelta(days=1)
    day = shop[shop["ordered_at"] >= "2024-05-01"].copy()
    day["brand"], day["recorded_at"] = "new brand", pd.NaT
    returns = past.head(25).assign(
        quantity=-1.0, ordered_at=pd.Timestamp("2024-06-02 12:00"), recorded_at=pd.NaT
    )
    returns["order_id"] += "-return"
    return [past, backdated, corrections, pd.concat([day, returns], ignore_index=True)]


@pytest.fixture(scope="module", params=["duckdb", "postgres"])
def grown(
    request: pytest.FixtureRequest,
    make_pipeline: MakePipeline,
    tmp_path_factory: pytest.TempPathFactory,
) -> Pipeline:
    """A home that was built after each of its four loads.

    A bystander, who bought once and is in no later file, is marked after the first build; sums of
    old days after the second, whose load reaches back to them.
    """
    pipeline = (
        make_pipeline()
        if request.param == "postgres"
        else make_pipeline(database_url="", engine="duckdb")
    )
    folder = tmp_path_factory.mktemp("files")
    past, *later = files()
    for number, rows in enumerate([with_bystander(past), *later]):
        load_rows(pipeline, rows, folder / f"{number}.parquet", LOADED_AT[number])
        if number == 0:
            ask(pipeline, [30])
        elif rows is later[-1]:
            execute(pipeline, ASK)
        pipeline._dbt(EVERYTHING)
        if number == 0:
            execute(pipeline, MARK)
        elif number == 1:
            execute(pipeline, MARK_DAYS)
    return pipeline


ASK = "insert into raw.as_of_requests values ('return_risk', '2024-07-01', 30, '2024-07-01')"
MARK = "update intermediate.int_orders set gross_amount = -1 where customer_id = 'bystander'"

MARK_DAYS = (
    "update intermediate.int_item_days set gross_amount = -1 - gross_amount "
    "where known_on < '2024-04-01'"
)


def with_bystander(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows, and one order of somebody else on a day of their own."""
    theirs = rows.head(1).assign(
        order_id="bystander",
        customer_id="bystander",
        ordered_at=pd.Timestamp("2023-11-02"),
        recorded_at=pd.NaT,
        quantity=1.0,
        returned=0.0,
        returned_at=pd.NaT,
    )
    return pd.concat([theirs, rows], ignore_index=True)


def execute(pipeline: Pipeline, statement: str) -> None:
    with pipeline.warehouse.connect() as connection:
        connection.execute(statement.encode())


def shop_model(pipeline: Pipeline) -> Tables:
    """All rows of staging's tables and of the shop model, by table."""
    models = [
        *((layer, name) for layer, name in built_models(pipeline) if layer == "intermediate"),
        *(("staging", name) for name in GROWING if name.startswith("stg_")),
    ]
    return {
        f"{layer}.{name}": read_table(pipeline, layer, name)
        for layer, name in models
        if not name.startswith("int_changed_")
    }


def newest_lines(pipeline: Pipeline) -> pd.DataFrame:
    """Features of return risk of the lines that the last load brought."""
    lines = read_table(pipeline, "intermediate", "int_lines_at_order")
    features = read_table(pipeline, "features", "feat_return_risk")
    newest = set(lines.loc[lines["load_id"] == len(LOADED_AT), "line_key"])
    return features[features["line_key"].isin(newest)].reset_index(drop=True)


def test_each_table_says_which_loads_it_holds(grown: Pipeline) -> None:
    rows = grown.warehouse.read(
        "select model_name, load_id from predictions.digested_loads "
        "where schema_name in ('staging', 'intermediate')"
    ).to_pandas()
    held = {name: sorted(loads) for name, loads in rows.groupby("model_name")["load_id"]}
    assert {name: held[name] for name in GROWING} == {name: [1, 2, 3, 4] for name in GROWING}


def test_growing_gives_what_building_whole_gives(grown: Pipeline) -> None:
    orders = read_table(grown, "intermediate", "int_orders")
    assert orders.query("customer_id == 'bystander'")["gross_amount"].tolist() == [-1.0], (
        "who did not change was made anew"
    )
    increments, added = shop_model(grown), newest_lines(grown)
    grown._dbt([*EVERYTHING, "--full-refresh"])
    whole = shop_model(grown)
    assert len(added) > 50
    assert difference(added, newest_lines(grown)) is None, "features of what the last load brought"
    bystander = whole["intermediate.int_orders"].query("customer_id == 'bystander'")
    assert (bystander["gross_amount"] >= 0).all(), "the mark is still there: nothing was rebuilt"
    gross = increments["intermediate.int_item_days"]["gross_amount"]
    assert (gross < 0).sum() > 50, "old days were made anew"
    increments["intermediate.int_item_days"]["gross_amount"] = gross.mask(gross < 0, -1 - gross)
    for tables in (increments, whole):
        tables["intermediate.int_orders"] = tables["intermediate.int_orders"].query(
            "customer_id != 'bystander'"
        )
    found = {name: difference(increments[name], whole[name]) for name in whole}
    assert {name: text for name, text in found.items() if text} == {}
    lines = whole["intermediate.int_order_lines"]
    assert lines["superseded_on"].notna().any(), "no line was corrected"
    assert len(whole["intermediate.int_return_matches"]) > 10


ASKED_ROW_BY_ROW = re.compile(r"ANY \(.* = \(SubPlan")
"""How a plan says that it goes through a set anew for each row; else it says "hashed SubPlan"."""


@pytest.mark.parametrize("grown", ["postgres"], indirect=True)
def test_little_memory_has_no_set_gone_through_for_every_row(
    grown: Pipeline, tmp_path: Path
) -> None:
    again = files()[0].tail(40).assign(quantity=7.0)  # something is new, somebody changed
    load_rows(grown, again, tmp_path / "again.parquet", "2024-06-04 10:00")
    grown._dbt(EVERYTHING)
    plans = {}
    with grown.warehouse.connect() as connection:
        connection.execute("set work_mem = '64kB'; set hash_mem_multiplier = 1")
        tables = connection.execute(
            "select format('%I.%I', schemaname, tablename) from pg_tables "
            "where schemaname in ('staging', 'intermediate', 'features', 'labels')"
        ).fetchall()
        for (table,) in 6 * tables:  # 64 times as big, until this connection is left
            connection.execute(f"insert into {table} select * from {table}".encode())
        connection.execute("analyze")
        for name, statement in asked_of_the_shop(grown):
            explained = connection.execute(f"explain {statement}".encode()).fetchall()
            plans[name] = "\n".join(line for (line,) in explained)
        connection.rollback()
    assert {"feat_return_risk", "int_changed_owners", "int_observed_outcomes"} < set(plans)
    assert {f"{name}, removal 1" for name in GROWING if name.startswith("int_")} < set(plans)
    assert [name for name, plan in plans.items() if ASKED_ROW_BY_ROW.search(plan)] == []


def asked_of_the_shop(pipeline: Pipeline) -> Iterator[tuple[str, str]]:
    """What the last run of dbt selected to build its models, and what it removed from them."""
    target = pipeline.settings.home / "dbt" / "target"
    for kind in ("compiled", "run"):
        for path in sorted(target.glob(f"{kind}/smartretail/models_sql/**/*.sql")):
            if path.parent.suffix == ".yml":  # a test
                continue
            statement = path.read_text(encoding="utf-8")
            if kind == "compiled":
                yield path.stem, statement
            for number, removal in enumerate(REMOVAL.findall(statement), start=1):
                # the increment is gone by now; the table that it went to is like it
                table = removal.split()[2]
                yield f"{path.stem}, removal {number}", INCREMENT.sub(table, removal)


def test_a_load_that_is_not_on_record_has_the_model_built_whole(grown: Pipeline) -> None:
    execute(grown, MARK)
    execute(grown, "delete from predictions.digested_loads where model_name = 'int_orders'")
    grown._dbt(["run", "--select", "int_orders"])
    orders = read_table(grown, "intermediate", "int_orders")
    assert (orders.query("customer_id == 'bystander'")["gross_amount"] >= 0).all()


def test_logic_that_comes_back_has_the_model_built_whole(grown: Pipeline, tmp_path: Path) -> None:
    model, named = "stg_order_lines__rows", ["run", "--select", "stg_order_lines__rows"]
    before = read_table(grown, "staging", model)
    other_logic = copy_of_project(tmp_path)
    with (other_logic / f"models_sql/staging/order_lines/{model}.sql").open("a") as file:
        file.write("-- something else\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grown, "project_dir", other_logic)
        grown._dbt(named)
    execute(grown, f"delete from staging.{model} where load_id = 2")  # as if that left them out
    grown._dbt(named)
    assert difference(before, read_table(grown, "staging", model)) is None


def test_a_line_that_is_missing_is_found_though_its_date_has_as_many(grown: Pipeline) -> None:
    features = read_table(grown, "features", "feat_return_risk").sort_values("as_of_date")
    line_key = features["line_key"].iloc[0]
    execute(
        grown,
        "update features.feat_return_risk set line_key = 'of no line' "
        f"where line_key = '{line_key}'",
    )
    grown._dbt(["run", "--select", "feat_return_risk"])
    found = read_table(grown, "features", "feat_return_risk")["line_key"]
    assert (found == line_key).sum() == 1
    assert set(found) == {*features["line_key"], "of no line"}
