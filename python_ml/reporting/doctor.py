"""Looking a home over: what it holds, what is amiss, and the command that mends it.

Nothing is started, made or changed here, and no password is shown.
"""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psycopg

from python_ml.errors import BuildError, SmartRetailError
from python_ml.forgetting.register import read_forgotten
from python_ml.predictions import all_predictions, get_prediction
from python_ml.reporting.sizes import readable_size
from python_ml.settings import Settings
from python_ml.training.bundles import load_any_bundle
from python_ml.warehouse.catalogue import built_catalogue, feature_hash, lineage_hashes
from python_ml.warehouse.layout import Layout
from python_ml.warehouse.ledger import in_force, runs_in_force
from python_ml.warehouse.postgres import Warehouse
from python_ml.warehouse.server import EmbeddedServer

LIBRARIES = (
    "dbt-core", "dbt-postgres", "duckdb", "lightgbm", "numpy", "pandas", "prefect", "psycopg",
    "pyarrow", "scikit-learn",
)  # fmt: skip
LANDING = (
    "runs", "run_events", "metrics", "importances", "curves", "feature_builds", "digested_loads",
)  # fmt: skip
"""What dbt creates in ``predictions`` beside one table of scores per prediction."""

LEAST_FREE_BYTES = 1024**3
_OLDEST_PYTHON, _FIRST_UNTRIED_PYTHON = (3, 11), (3, 14)


@dataclass(frozen=True)
class Fact:
    """One line of what there is."""

    topic: str
    text: str


@dataclass(frozen=True)
class Problem:
    """Something that is amiss, and the command that mends it."""

    what: str
    mend: str


@dataclass
class Diagnosis:
    """All that was found."""

    facts: list[Fact] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def say(self, topic: str, text: str) -> None:
        """Add a fact."""
        self.facts.append(Fact(topic, text))

    def amiss(self, what: str, mend: str) -> None:
        """Add a problem."""
        self.problems.append(Problem(" ".join(what.split()), " ".join(mend.split())))


def examine(settings: Settings) -> Diagnosis:
    """Look over a home, whatever state it is in."""
    found = Diagnosis()
    _versions(found)
    _home(found, settings)
    warehouse = _database(found, settings)
    if warehouse is not None:
        checks: tuple[Callable[[Diagnosis, Settings, Warehouse], None], ...] = (
            _shop, _landing, _built, _in_force,
        )  # fmt: skip
        for check in checks:
            _guarded(check, found, settings, warehouse)
    _bundles(found, settings, warehouse)
    return found


def _guarded(
    check: Callable[[Diagnosis, Settings, Warehouse], None],
    found: Diagnosis,
    settings: Settings,
    warehouse: Warehouse,
) -> None:
    """Let one check that fails be a finding, and the others go on."""
    try:
        check(found, settings, warehouse)
    except SmartRetailError as error:
        found.amiss(error.message, error.hint or "See `smartretail --help`.")
    except psycopg.Error as error:
        reason = str(error).strip().partition("\n")[0]
        found.amiss(f"The database refuses to be read: {reason}.", "See `smartretail db status`.")


def _versions(found: Diagnosis) -> None:
    found.say(
        "versions", f"smartretail {_version('smartretail')}, Python {platform.python_version()}"
    )
    named = [f"{name} {_version(name)}" for name in LIBRARIES]
    half = (len(named) + 1) // 2
    found.say("versions", ", ".join(named[:half]))
    found.say("versions", ", ".join(named[half:]))
    for name in LIBRARIES:
        if _version(name) == "missing":
            found.amiss(f"The library {name} is not installed.", "make run, or pip install it.")
    if not _OLDEST_PYTHON <= sys.version_info[:2] < _FIRST_UNTRIED_PYTHON:
        found.amiss(
            f"Python {platform.python_version()} is not supported.", "Use Python 3.11 to 3.13."
        )


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def _home(found: Diagnosis, settings: Settings) -> None:
    home = settings.home
    found.say("home", str(home) + ("" if home.is_dir() else " (not there yet)"))
    present = next(folder for folder in (home, *home.parents) if folder.is_dir())
    free = shutil.disk_usage(present).free
    found.say("home", f"{readable_size(free)} free on its disk")
    if free < LEAST_FREE_BYTES:
        found.amiss(
            f"Only {readable_size(free)} are free on the disk of {home}.", "Make room there."
        )
    if home.is_dir() and not os.access(home, os.W_OK | os.X_OK):
        found.amiss(f"You may not write to {home}.", "Run as its owner, or choose another --home.")


def _database(found: Diagnosis, settings: Settings) -> Warehouse | None:
    """Say which server there is; return it when it can be asked."""
    if settings.database_url is not None:
        url = settings.database_url.get_secret_value()
        return _outside_server(found, _warehouse(settings, url))
    try:
        server = EmbeddedServer(settings.home)
        status = server.status()
    except SmartRetailError as error:
        found.amiss(error.message, error.hint or "See `smartretail db status`.")
        return None
    size = f"{readable_size(status.size_bytes)} on disk"
    if not status.running:
        made = status.port is not None
        state = f"stopped (port {status.port}, {size})" if made else "not made yet"
        found.say("database", f"embedded PostgreSQL {status.version}: {state}")
        found.amiss(
            "The database does not run; what it holds was not looked at."
            if made
            else "There is no database yet: nothing was loaded.",
            _command(settings, "db start" if made else "run"),
        )
        return None
    found.say(
        "database",
        f"embedded PostgreSQL {status.version}, running on 127.0.0.1:{status.port} "
        f"(process {status.pid}), {size}",
    )
    return _reachable(found, _warehouse(settings, server.url()))


def _outside_server(found: Diagnosis, warehouse: Warehouse) -> Warehouse | None:
    reached = _reachable(found, warehouse)
    if reached is None:
        return None
    with reached.connect() as connection:
        row = connection.execute(
            "select current_setting('server_version'), pg_database_size(current_database())"
        ).fetchone()
    assert row is not None
    place = repr(reached).removeprefix("Warehouse(").removesuffix(")")
    found.say("database", f"your PostgreSQL {row[0]} at {place}, {readable_size(int(row[1]))}")
    return reached


def _reachable(found: Diagnosis, warehouse: Warehouse) -> Warehouse | None:
    try:
        with warehouse.connect():
            return warehouse
    except SmartRetailError as error:
        found.amiss(error.message, error.hint or "See `smartretail db status`.")
    except (psycopg.Error, ValueError):  # a wrong address; the message may repeat the password
        found.amiss(
            "SMARTRETAIL_DATABASE_URL is not a valid address.",
            "Write it as postgresql://user:password@host:port/database, special signs as %XX.",
        )
    return None


def _warehouse(settings: Settings, url: str) -> Warehouse:
    return Warehouse(url, Layout(settings.warehouse_schema))


def _shop(found: Diagnosis, settings: Settings, warehouse: Warehouse) -> None:
    shop = _rows(warehouse, "raw", "shop", "select source, staging from raw.shop")
    if not shop:
        found.say("shop", "nothing was loaded yet")
        found.amiss("Nothing was loaded yet.", _command(settings, "run"))
        return
    [(loads, rows, rejected, newest)] = _rows(
        warehouse,
        "raw",
        "loads",
        "select count(distinct load_id), coalesce(sum(rows_loaded), 0), "
        "coalesce(sum(rows_rejected), 0), max(newest_in_file) from raw.loads",
    ) or [(0, 0, 0, None)]
    found.say(
        "shop",
        f"source {shop[0][0]}: {_count(loads, 'load')}, {_count(rows, 'row')}, "
        f"{rejected:,} rejected",
    )
    if newest is None:
        found.amiss("The shop has no rows.", _command(settings, "load --path FILE"))
    else:
        found.say("shop", f"newest row {newest:%Y-%m-%d %H:%M}")
    if forgotten := len(read_forgotten(warehouse.read, settings.home).digests):
        found.say("shop", _count(forgotten, "customer") + " forgotten")


def _landing(found: Diagnosis, settings: Settings, warehouse: Warehouse) -> None:
    found_there = _rows(
        warehouse, "pg_catalog", "pg_tables", "select schemaname, tablename from pg_tables"
    )
    ours = [warehouse.layout.layer_of(str(row[0]), str(row[1])) for row in found_there]
    tables = {place[1] for place in ours if place and place[0] == "predictions"}
    missing = sorted({*LANDING, *all_predictions()} - tables)
    if missing and tables:
        found.amiss(
            f"Landing tables are missing: {', '.join(f'predictions.{name}' for name in missing)}.",
            _command(settings, "build"),
        )


def _built(found: Diagnosis, settings: Settings, warehouse: Warehouse) -> None:
    for name in all_predictions():
        table = f"features.feat_{name}"
        rows = _rows(
            warehouse,
            "features",
            f"feat_{name}",
            f"select count(distinct as_of_date), max(as_of_date), count(*) from {table}",  # noqa: S608
        )
        if not rows:
            found.say("features", f"{name}: not built")
            found.amiss(f"The features of {name} were not built.", _command(settings, "build"))
            continue
        dates, newest, count = rows[0]
        hash_ = lineage_hashes(warehouse).get(f"feat_{name}")
        found.say(
            "features",
            f"{name}: {count:,} rows of {dates} as-of dates up to {newest}, "
            f"feature hash {hash_[:12] if hash_ else 'unknown'}",
        )
        if hash_ is None:
            found.amiss(
                f"It is not recorded with which logic {table} was built.",
                _command(settings, "build --full-refresh"),
            )
        try:
            built_catalogue(warehouse, settings.dbt_target_dir, name)
        except BuildError as error:
            found.amiss(error.message, _command(settings, "build"))
        except (ValueError, KeyError):
            found.amiss(
                f"{settings.dbt_target_dir}/manifest.json is damaged.", _command(settings, "build")
            )


def _in_force(found: Diagnosis, settings: Settings, warehouse: Warehouse) -> None:
    ledger = ("runs", "run_events")
    if not all(warehouse.relation_exists("predictions", name) for name in ledger):
        found.say("in force", "nothing was published yet")
        found.amiss("Nothing was published yet.", _command(settings, "run"))
        return
    current, asked = in_force(warehouse), _asked_for(warehouse)
    runs = {run.run_id: run for run in runs_in_force(warehouse)}
    for name in sorted({*current, *all_predictions()}):
        run = runs.get(current.get(name, ""))
        if name not in current and name not in asked:
            found.say("in force", f"{name}: nothing, {_why_not(warehouse, name)}")
        elif name not in current:
            found.say("in force", f"{name}: nothing")
            found.amiss(f"No run of {name} is in force.", _command(settings, "run"))
        elif run is None:
            found.amiss(
                f"The run of {name} in force, {current[name]}, is not in predictions.runs.",
                _command(settings, "runs") + ", then `smartretail rollback`.",
            )
        else:
            found.say(
                "in force",
                f"{name}: run {run.run_id} as of {run.as_of_date}, {run.row_count:,} rows"
                + (f", {run.recipe}" if run.recipe else ""),
            )


def _asked_for(warehouse: Warehouse) -> set[str]:
    """Predictions that were asked for, those left out that cannot be made for this shop."""
    with warehouse.connect() as connection:
        rows = connection.execute(
            "select distinct prediction from raw.as_of_requests as requests "
            "where 'skipped' is distinct from ("
            "select event from predictions.run_events as events "
            "where events.prediction = requests.prediction order by event_number desc limit 1)"
        ).fetchall()
    return {str(name) for (name,) in rows}


def _why_not(warehouse: Warehouse, name: str) -> str:
    with warehouse.connect() as connection:
        row = connection.execute(
            "select detail from predictions.run_events where prediction = %s "
            "and event = 'skipped' order by event_number desc limit 1",
            (name,),
        ).fetchone()
    return str(row[0]) if row else "nobody asked for it"


def _bundles(found: Diagnosis, settings: Settings, warehouse: Warehouse | None) -> None:
    """Verify every bundle's digests, whether the database runs or not."""
    for name in all_predictions():
        good, damaged = _verified(settings.bundles_dir / name)
        for folder, reason in damaged:
            found.amiss(reason, _retrain(settings, name, folder))
        current = _quiet_hash(warehouse, name)
        fitting = [folder for folder, hash_ in good if hash_ == current]
        text = f"{name}: {_count(len(good) + len(damaged), 'bundle')}"
        if good:
            text += f", newest {max(folder.name for folder, _ in good)}"
        if damaged:
            text += f", {len(damaged)} damaged"
        if current is not None:
            text += f", {len(fitting)} fit the features as they are now"
        found.say("models", text)
        is_asked = warehouse is not None and name in _asked_for(warehouse)
        if current is not None and not fitting and is_asked:
            found.amiss(
                f"No trained model of {name} fits the features as they are now.",
                _command(settings, "train"),
            )


def _quiet_hash(warehouse: Warehouse | None, name: str) -> str | None:
    """The features' hash, where there is one; what stands in its way is reported elsewhere."""
    if warehouse is None:
        return None
    try:
        return feature_hash(warehouse, name)
    except (SmartRetailError, psycopg.Error):
        return None


def _verified(folder: Path) -> tuple[list[tuple[Path, str]], list[tuple[Path, str]]]:
    """Bundles of a prediction: (folder, feature hash) of the good, (folder, reason) of the rest."""
    prediction = get_prediction(folder.name)
    good, damaged = [], []
    kept = [path for path in sorted(folder.glob("*")) if path.is_dir()]
    for path in (path for path in kept if not path.name.startswith(".")):
        try:
            good.append((path, load_any_bundle(prediction, path).feature_hash))
        except SmartRetailError as error:
            damaged.append((path, error.message))
        except (OSError, ValueError, KeyError) as error:
            damaged.append((path, f"The bundle {path} cannot be read: {error}."))
    return good, damaged


def _retrain(settings: Settings, name: str, folder: Path) -> str:
    as_of, _, rest = folder.name.partition("_")
    days = rest.partition("d_")[0]
    when = f" --as-of {as_of} --horizon-days {days}" if days.isdigit() else ""
    return _command(settings, f"train --only {name}{when} --retrain")


def _rows(warehouse: Warehouse, schema: str, table: str, query: str) -> list[tuple[Any, ...]]:
    """What a query says; nothing where its table is not there."""
    if not warehouse.relation_exists(schema, table):
        return []
    with warehouse.connect() as connection:
        connection.read_only = True
        return connection.execute(query.encode()).fetchall()


def _command(settings: Settings, command: str) -> str:
    return f"smartretail {command}{settings.home_option}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")
