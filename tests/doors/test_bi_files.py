"""The connection files and queries of docs/bi: they speak of marts as they are."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET  # reads our own file
from pathlib import Path
from typing import Any

import pytest
import yaml

from python_ml.pipeline import Pipeline
from python_ml.settings import PROJECT_DIR
from tests.test_road import rows

BI = PROJECT_DIR / "docs" / "bi"
SUPERSET = BI / "superset"
QUERIES = [part.strip() for part in (BI / "queries.sql").read_text().split(";") if part.strip()]


def load(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(path.read_text())
    return document


def columns(shop: Pipeline, mart: str) -> set[str]:
    found = rows(
        shop,
        "select column_name from information_schema.columns "
        f"where table_schema = 'marts' and table_name = '{mart}'",
    )
    return {str(name) for (name,) in found}


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.partition("\n")[0].strip("- "))
def test_queries_to_start_with_run(open_shop: Pipeline, query: str) -> None:
    assert "%" not in "".join(line for line in query.splitlines() if not line.startswith("--"))
    found = rows(open_shop, query)
    assert found or "order_habit_outcomes" in query  # this shop's window has not closed


@pytest.mark.parametrize(
    "path", sorted((SUPERSET / "datasets").rglob("*.yaml")), ids=lambda path: path.stem
)
def test_superset_knows_every_column_of_its_datasets(open_shop: Pipeline, path: Path) -> None:
    dataset = load(path)
    assert {column["column_name"] for column in dataset["columns"]} == columns(
        open_shop, dataset["table_name"]
    )
    for metric in dataset["metrics"]:
        rows(open_shop, f"select {metric['expression']} from marts.{dataset['table_name']}")


def test_superset_files_belong_together() -> None:
    database = load(SUPERSET / "databases" / "SmartRetail.yaml")
    datasets = {
        found["uuid"]: found for found in map(load, sorted((SUPERSET / "datasets").rglob("*.yaml")))
    }
    assert {found["database_uuid"] for found in datasets.values()} == {database["uuid"]}
    charts = {found["uuid"]: found for found in map(load, sorted((SUPERSET / "charts").iterdir()))}
    for chart in charts.values():
        dataset = datasets[chart["dataset_uuid"]]
        known = {column["column_name"] for column in dataset["columns"]}
        params = chart["params"]
        axis = [params["x_axis"]] if "x_axis" in params else []
        assert {*params.get("all_columns", []), *params.get("groupby", []), *axis} <= known
        assert set(params.get("metrics", [])) <= {m["metric_name"] for m in dataset["metrics"]}
    position = load(SUPERSET / "dashboards" / "SmartRetail.yaml")["position"]
    parts = [part for part in position.values() if isinstance(part, dict)]
    shown = {part["meta"]["uuid"] for part in parts if part["type"] == "CHART"}
    assert shown == charts.keys()


def test_no_file_holds_a_password() -> None:
    uri = load(SUPERSET / "databases" / "SmartRetail.yaml")["sqlalchemy_uri"]
    assert ":PASSWORD@" in uri
    metabase = json.loads((BI / "metabase" / "database.json").read_text())
    assert metabase["details"]["password"] == "PASSWORD"
    for path in (BI / "excel").iterdir():
        assert "PWD" not in path.read_text().upper()


def test_every_file_asks_for_the_reader_of_the_marts() -> None:
    power_bi = json.loads((BI / "power_bi" / "smartretail.pbids").read_text())
    assert power_bi["connections"][0]["details"]["protocol"] == "postgresql"
    office = ET.parse(BI / "excel" / "customers.odc")
    assert "select * from marts.customers" in "".join(office.getroot().itertext())
    for path in (BI / "excel").iterdir():
        assert "UID=smartretail_bi" in path.read_text()
    assert json.loads((BI / "metabase" / "database.json").read_text())["details"]["user"] == (
        "smartretail_bi"
    )
