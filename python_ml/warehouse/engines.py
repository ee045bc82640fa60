"""Which engine a home has, and opening it.

A home is made with one engine and keeps it: the file ``engine`` in it says which. Homes that are
older than that file are PostgreSQL's.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, get_args

from python_ml.errors import InputError
from python_ml.settings import Engine, Settings
from python_ml.warehouse.layout import Layout

if TYPE_CHECKING:
    from python_ml.warehouse.postgres import Warehouse

ENGINE_FILE = "engine"
DATABASE_FILE = "smartretail.duckdb"

_MADE_BY_RUNS = ("postgres", "dbt", "logs", "bundles")
"""What stands in every home that was ever used."""


def held_engine(home: Path) -> Engine | None:
    """The engine that a home was made with; None for one that was not used yet."""
    path = home / ENGINE_FILE
    if path.is_file():
        written = path.read_text(encoding="ascii").strip()
        return next((engine for engine in get_args(Engine) if engine == written), "postgres")
    return "postgres" if any((home / name).exists() for name in _MADE_BY_RUNS) else None


def engine_of(settings: Settings) -> Engine:
    """The engine of the home that the settings name.

    Raises
    ------
    InputError
        When another engine is asked for than the one that the home was made with.
    """
    held = held_engine(settings.home)
    if held is not None and settings.engine not in (None, held):
        raise InputError(
            f"The home {settings.home} was made with the engine {held}, "
            f"and {settings.engine} is asked for; one home has one engine.",
            f"Leave out --engine and SMARTRETAIL_ENGINE, or use another home: "
            f"--engine {settings.engine} --home .smartretail-{settings.engine}",
        )
    return held or settings.engine or "postgres"


def require_postgres(settings: Settings, what: str) -> None:
    """Refuse what only a server can do.

    Raises
    ------
    InputError
        When the home's engine is not PostgreSQL.
    """
    engine = engine_of(settings)
    if engine != "postgres":
        raise InputError(
            f"{what} works with PostgreSQL alone, and the home {settings.home} has the engine "
            f"{engine}.",
            "What works with it is listed in docs/engines.md; BI reads the copy that "
            "`publish` and `run` write into the folder bi of the home.",
        )


def open_warehouse(settings: Settings) -> Warehouse:
    """Open the home's database, and remember its engine in the home.

    An embedded PostgreSQL server is started where none is configured.
    """
    engine = engine_of(settings)
    if engine == "spark":
        # each driver is needed by its own homes alone
        from python_ml.warehouse.spark import SparkWarehouse, require_spark  # noqa: PLC0415

        _require_no_server(settings)
        require_spark()
        _remember(settings.home, engine)
        return SparkWarehouse(
            settings.home,
            master=settings.spark_master,
            settings=settings.spark_settings,
            threads=settings.threads,
            memory=settings.engine_memory,
            wait_seconds=settings.lock_wait_seconds,
        )
    if engine == "duckdb":
        from python_ml.warehouse.duckdb_file import DuckDBWarehouse  # noqa: PLC0415

        _require_no_server(settings)
        _remember(settings.home, engine)
        return DuckDBWarehouse(
            settings.home / DATABASE_FILE,
            threads=settings.threads,
            memory=settings.engine_memory,
            wait_seconds=settings.lock_wait_seconds,
        )
    from python_ml.warehouse.postgres import Warehouse  # noqa: PLC0415
    from python_ml.warehouse.server import EmbeddedServer  # noqa: PLC0415

    layout = Layout(settings.warehouse_schema)
    if settings.database_url is not None:
        warehouse = Warehouse(settings.database_url.get_secret_value(), layout)
    else:
        warehouse = Warehouse(EmbeddedServer(settings.home).ensure_started(), layout)
    _remember(settings.home, engine)
    return warehouse


def _require_no_server(settings: Settings) -> None:
    named = {
        "SMARTRETAIL_DATABASE_URL": settings.database_url,
        "SMARTRETAIL_WAREHOUSE_SCHEMA": settings.warehouse_schema,
    }
    for name, value in named.items():
        if value is not None:
            raise InputError(
                f"{name} is set, and the home {settings.home} has the engine "
                f"{engine_of(settings)}, which is files in the home.",
                f"Unset {name} (look into .env, too), or use another home with --home.",
            )


def _remember(home: Path, engine: Engine) -> None:
    path = home / ENGINE_FILE
    if not path.exists():
        home.mkdir(parents=True, exist_ok=True)
        path.write_text(engine + "\n", encoding="ascii")
