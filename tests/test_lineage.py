"""Lineage in dbt's manifest: from everything that BI reads back to what the shop loaded."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flows import backfill, backtest, monitor, refresh, score, train
from python_ml.settings import PROJECT_DIR

FLOWS = {
    module.__name__.rpartition(".")[2]
    for module in (backfill, backtest, monitor, refresh, score, train)
}


WITHOUT_METRICFLOW = """
import pkgutil, sys
every = pkgutil.iter_modules
pkgutil.iter_modules = lambda *given: (m for m in every(*given) if "metricflow" not in m.name)
sys.modules.update(dbt_metricflow=None, metricflow=None)
from dbt.cli.main import cli
cli()
"""
"""dbt as users have it, who install no dev group."""


def parse(folder: Path, profiles: Path) -> dict[str, Any]:
    """What dbt knows of the project; reading it needs no database and no MetricFlow."""
    said = subprocess.run(
        [sys.executable, "-c", WITHOUT_METRICFLOW, "parse", "--project-dir", str(PROJECT_DIR),
         "--profiles-dir", str(profiles), "--target-path", str(folder), "--log-path", str(folder)],
        check=False, capture_output=True, text=True, cwd=PROJECT_DIR,
    )  # fmt: skip
    assert said.returncode == 0, said.stdout + said.stderr
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_text())
    return found


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return parse(tmp_path_factory.mktemp("parsed"), PROJECT_DIR / "dbt_project" / "profiles")


def upstream(manifest: dict[str, Any], start: str) -> set[str]:
    """Everything that a node hangs on, through Python where a source says who fills it."""
    found: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        waiting += manifest["parent_map"].get(name, [])
        waiting += [f"exposure.smartretail.{flow}" for flow in filled_by(manifest, name)]
    return found - {start}


def filled_by(manifest: dict[str, Any], name: str) -> list[str]:
    if not name.startswith("source.smartretail.predictions."):
        return []
    flows: list[str] = manifest["sources"][name]["meta"]["filled_by"]
    return flows


def raw_sources(names: set[str]) -> set[str]:
    return {name for name in names if name.startswith("source.") and ".predictions." not in name}


def test_every_exposure_reaches_what_was_loaded(manifest: dict[str, Any]) -> None:
    assert len(manifest["exposures"]) >= 11
    for name in manifest["exposures"]:
        assert "source.smartretail.shop.loads" in raw_sources(upstream(manifest, name)), name


def test_every_mart_is_read_by_bi_and_reaches_its_scores_and_the_shop(
    manifest: dict[str, Any],
) -> None:
    marts = {
        name for name, node in manifest["nodes"].items()
        if node["resource_type"] == "model" and node["config"]["schema"] == "marts"
    }  # fmt: skip
    assert {name.split(".")[2] for name in marts} >= {
        "customers", "order_habit", "order_habit_history", "order_habit_outcomes",
        "purchase_potential", "purchase_potential_history", "return_risk", "return_risk_history",
    }  # fmt: skip
    read = manifest["parent_map"]["exposure.smartretail.bi_dashboards"]
    assert marts <= set(read)
    for name in marts:
        above = upstream(manifest, name)
        assert raw_sources(above), name
        assert "source.smartretail.predictions.runs" in above, name


def test_every_table_that_python_fills_says_which_flows_fill_it(manifest: dict[str, Any]) -> None:
    landed = [name for name in manifest["sources"] if ".predictions." in name]
    assert len(landed) >= 8
    for name in landed:
        assert filled_by(manifest, name), name
        for flow in filled_by(manifest, name):
            assert f"exposure.smartretail.{flow}" in manifest["exposures"], (name, flow)


def test_every_flow_is_an_exposure_and_every_exposed_flow_exists(manifest: dict[str, Any]) -> None:
    exposed = {name.rpartition("flow_")[2] for name in manifest["exposures"] if ".flow_" in name}
    assert exposed == FLOWS


def test_what_is_learned_from_is_read_by_the_flows_that_train(manifest: dict[str, Any]) -> None:
    learned = {
        name for name, node in manifest["nodes"].items()
        if node["resource_type"] == "model" and node["fqn"][1] in ("features", "labels")
    }  # fmt: skip
    assert len(learned) == 7
    for flow in ("train", "refresh", "backfill", "backtest"):
        assert learned <= set(manifest["parent_map"][f"exposure.smartretail.flow_{flow}"]), flow


def test_every_metric_reaches_a_mart(manifest: dict[str, Any]) -> None:
    assert {name.split(".")[2] for name in manifest["metrics"]} == {
        "predicted_reorders", "realised_reorder_rate", "expected_returns", "revenue_at_risk",
        "potential_revenue",
    }  # fmt: skip
    for name in manifest["metrics"]:
        assert raw_sources(upstream(manifest, name)), name


def test_duckdb_reads_the_same_metrics(manifest: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "profiles.yml").write_text(
        "smartretail: {target: dev, outputs: {dev: {type: duckdb, path: ':memory:'}}}\n"
    )
    parsed = parse(tmp_path, tmp_path)
    assert parsed["metadata"]["adapter_type"] == "duckdb"
    assert parsed["metrics"].keys() == manifest["metrics"].keys()
    assert parsed["semantic_models"].keys() == manifest["semantic_models"].keys()
