from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from python_ml.cli import build_app
from python_ml.errors import InputError, SettingsError
from python_ml.pipeline import Pipeline
from python_ml.settings import load_settings
from python_ml.warehouse.duckdb_file import DuckDBWarehouse
from python_ml.warehouse.engines import engine_of, open_warehouse


@pytest.fixture
def duckdb_home(home: Path) -> Path:
    open_warehouse(load_settings(home=home, engine="duckdb", database_url=""))
    return home


def test_a_home_remembers_its_engine(duckdb_home: Path) -> None:
    settings = load_settings(home=duckdb_home, database_url="")
    assert engine_of(settings) == "duckdb"
    assert isinstance(Pipeline(settings).warehouse, DuckDBWarehouse)


def test_another_engine_is_refused_by_name(duckdb_home: Path) -> None:
    with pytest.raises(InputError, match="made with the engine duckdb, and postgres is asked for"):
        open_warehouse(load_settings(home=duckdb_home, engine="postgres"))


def test_homes_older_than_the_setting_are_postgresqls(home: Path) -> None:
    (home / "bundles").mkdir(parents=True)
    with pytest.raises(InputError, match="engine postgres"):
        engine_of(load_settings(home=home, engine="duckdb"))
    assert engine_of(load_settings(home=home)) == "postgres"


def test_an_unknown_engine_is_refused(home: Path) -> None:
    with pytest.raises(SettingsError, match="SMARTRETAIL_ENGINE"):
        load_settings(home=home, engine="oracle")


def test_a_server_beside_the_file_is_refused(duckdb_home: Path) -> None:
    for setting in (
        {"database_url": "postgresql://u:p@localhost/d"},
        {"warehouse_schema": "one", "database_url": ""},
    ):
        with pytest.raises(InputError, match="is set, and the home"):
            open_warehouse(load_settings(home=duckdb_home, **setting))


@pytest.mark.parametrize(
    "command",
    [
        "serve", "doctor", "forget C1 --yes", "db url", "db start", "monitor", "prune --keep 400d",
        "backtest order_habit", "schedule", "features diff",
        "backfill --from 2024-01-01 --to 2024-02-01",
    ],
)  # fmt: skip
def test_what_needs_a_server_says_so(
    duckdb_home: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = command.split()
    monkeypatch.setattr("sys.argv", ["smartretail", *words])  # which commands there are hangs on it
    result = CliRunner().invoke(build_app(), [*words, "--home", str(duckdb_home)])
    assert isinstance(result.exception, InputError), result.output
    assert "works with PostgreSQL alone" in str(result.exception)


def test_flows_need_a_server(duckdb_home: Path) -> None:
    from flows.observed import open_home  # noqa: PLC0415 - Prefect takes seconds

    with pytest.raises(InputError, match="Prefect works with PostgreSQL alone"):
        open_home(duckdb_home)


def test_a_schema_of_tables_is_refused(duckdb_home: Path) -> None:
    pipeline = Pipeline(load_settings(home=duckdb_home, database_url=""))
    with pytest.raises(InputError, match="read inside PostgreSQL"):
        pipeline.load("own", schema="shop")
