"""What differs between two builds, on tables small enough to count by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import psycopg
import pytest

from python_ml.errors import BuildError
from python_ml.predictions import get_prediction
from python_ml.reporting.feature_diff import FeatureDiff, compare_builds, population_stability
from python_ml.warehouse.postgres import Warehouse

TABLES = """
create schema features; create schema dev_ada;
create table features.feat_order_habit as
select 'C' || n as customer_id, date '2025-01-01' as as_of_date, n as steady,
    n::double precision as moved, (case when n <= 50 then n end)::double precision as filled,
    case when n <= 80 then 'a' else 'b' end as kind, n as gone, n as wider,
    n / 7::double precision as summed, 1 as constant, cast(null as integer) as empty
from generate_series(1, 100) as n;
create table dev_ada.feat_order_habit as
select customer_id, as_of_date, steady, moved + 10 as moved, coalesce(filled, 0) as filled,
    case when steady <= 40 then 'a' else 'b' end as kind, wider::bigint as wider,
    summed * (1 + 1e-14) as summed, constant, empty, 1 as fresh
from features.feat_order_habit;
"""
FEATURES = ("steady", "moved", "filled", "kind", "gone", "wider", "summed", "constant", "empty")


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """What dbt leaves behind of the published build."""
    roles = {"customer_id": "key", "as_of_date": "key", **dict.fromkeys(FEATURES, "feature")}
    roles["kind"] = "categorical"
    columns: dict[str, Any] = {
        name: {"description": "", "config": {"meta": {"role": role}}}
        for name, role in roles.items()
    }
    node = {"model.smartretail.feat_order_habit": {"columns": columns}}
    (tmp_path / "manifest.json").write_text(json.dumps({"nodes": node}))
    return tmp_path


def compare(database_url: str, target: Path, *statements: str) -> FeatureDiff:
    with psycopg.connect(database_url) as connection:
        for statement in (TABLES, *statements):
            connection.execute(statement.encode())
    return compare_builds(Warehouse(database_url), target, get_prediction("order_habit"), "dev_ada")


def test_each_change_is_counted(database_url: str, target: Path) -> None:
    found = compare(database_url, target)
    by_name = {feature.feature: feature for feature in found.features}
    assert {name: f.status for name, f in by_name.items() if f.status != "kept"} == {
        "gone": "removed", "fresh": "added", "wider": "retyped",
    }  # fmt: skip
    shares = {name: f.changed for name, f in by_name.items() if f.changed is not None}
    assert shares == {
        "steady": 0, "moved": 1, "filled": 0.5, "kind": 0.4, "wider": 0, "summed": 0,
        "constant": 0, "empty": 0,
    }  # fmt: skip
    filled = by_name["filled"]
    assert filled.published is not None and filled.dev is not None
    assert (filled.published.coverage, filled.dev.coverage) == (0.5, 1)
    assert (filled.published.missing, filled.dev.missing) == (0.5, 0)
    moved = by_name["moved"]
    assert moved.published is not None
    assert (moved.published.mean, moved.published.median) == (50.5, 50.5)
    assert (moved.published.p5, moved.published.p95) == pytest.approx((5.95, 95.05))
    assert by_name["steady"].psi == by_name["constant"].psi == by_name["empty"].psi == 0
    assert by_name["kind"].psi == pytest.approx(0.4 * math.log(0.8 / 0.4) + 0.4 * math.log(3))
    # the first bin is emptied, and what left it is in the last one
    floor = 1e-4
    assert moved.psi == pytest.approx((0.1 - floor) * math.log(0.1 / floor), abs=0.1)
    assert {f.feature for f in found.changed_features()} == {
        "gone", "fresh", "wider", "moved", "filled", "kind",
    }  # fmt: skip


def test_rows_that_only_one_build_has_are_counted(database_url: str, target: Path) -> None:
    found = compare(
        database_url,
        target,
        "delete from dev_ada.feat_order_habit where steady <= 3",
        "insert into dev_ada.feat_order_habit (customer_id, as_of_date) "
        "values ('new', '2025-02-01')",
    )
    assert (found.rows_published, found.rows_dev) == (100, 98)
    assert (found.only_published, found.only_dev) == (3, 1)
    assert found.differs


def test_the_order_of_rows_and_rounding_are_no_difference(database_url: str, target: Path) -> None:
    found = compare(
        database_url,
        target,
        "drop table dev_ada.feat_order_habit",
        "create table dev_ada.feat_order_habit as "
        "select * from features.feat_order_habit order by steady desc",
        "update dev_ada.feat_order_habit set summed = summed * (1 + 1e-14)",
    )
    assert not found.differs
    assert found.headlines()[-1] == "No difference"


def test_an_empty_dev_build_differs(database_url: str, target: Path) -> None:
    found = compare(database_url, target, "truncate dev_ada.feat_order_habit")
    assert (found.rows_dev, found.only_published) == (0, 100)


def test_a_missing_build_is_named(database_url: str, target: Path) -> None:
    with pytest.raises(BuildError, match=r"features\.feat_order_habit was not built"):
        compare_builds(Warehouse(database_url), target, get_prediction("order_habit"), "dev_ada")


def test_stability_of_what_is_empty() -> None:
    assert population_stability({}, {}) == 0
    assert population_stability({"1": 5}, {}) == math.inf
