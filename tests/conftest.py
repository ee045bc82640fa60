"""Fixtures for all tests: one real server, fresh databases on it."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from python_ml.pipeline import Pipeline
from python_ml.settings import load_settings
from python_ml.warehouse.server import EmbeddedServer

MakePipeline = Callable[..., Pipeline]


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An embedded server that lives as long as the tests."""
    server = EmbeddedServer(tmp_path_factory.mktemp("server"))
    url = server.ensure_started()
    with psycopg.connect(url, autocommit=True) as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            connection.execute(sql.SQL("alter system set {} = off").format(sql.Identifier(setting)))
        connection.execute("select pg_reload_conf()")  # its data need not outlive the machine
    yield url
    server.stop()
    shutil.rmtree(server.data_dir.parent)  # as root it lies outside the folder that pytest removes


@pytest.fixture(scope="session")
def make_database(server_url: str) -> Iterator[Callable[[], str]]:
    """Make a fresh database on the server and give its address."""
    names: list[str] = []

    def make() -> str:
        name = f"test_{secrets.token_hex(6)}"
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        names.append(name)
        return urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))

    yield make
    with psycopg.connect(server_url, autocommit=True) as connection:
        for name in names:  # what is dropped need not be written out when the server stops
            connection.execute(
                sql.SQL("drop database {} with (force)").format(sql.Identifier(name))
            )


@pytest.fixture
def database_url(make_database: Callable[[], str]) -> str:
    """A fresh database."""
    return make_database()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder for one shop."""
    return tmp_path / "home"


@pytest.fixture(scope="session")
def make_pipeline(
    make_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory
) -> MakePipeline:
    """Open a pipeline on a home and a database of its own; takes settings by name."""

    def make(**settings: object) -> Pipeline:
        given = {"home": tmp_path_factory.mktemp("home"), "database_url": make_database()}
        return Pipeline(load_settings(**{**given, **settings}))

    return make


@pytest.fixture(scope="session")
def time_rules_pipeline(make_pipeline: MakePipeline) -> Pipeline:
    """One home for all tests that build the same shop in many versions: dbt parses it once.

    A broken rule may multiply rows without end: statements, a second long as the rules are, end
    before they have filled the disk.
    """
    pipeline = make_pipeline()
    with pipeline.warehouse.connect(autocommit=True) as connection:
        name = sql.Identifier(connection.info.dbname)
        connection.execute(sql.SQL("alter database {} set statement_timeout = '30s'").format(name))
    return pipeline
