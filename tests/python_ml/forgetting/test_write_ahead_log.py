"""The server's log loses what was written before, segments kept for later included."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from python_ml.forgetting.write_ahead_log import drop_log
from python_ml.warehouse.server import EmbeddedServer
from tests.test_road import wait_until

MARK = "zzmarkzz"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    server = EmbeddedServer(tmp_path_factory.mktemp("log"))
    server.ensure_started()
    yield server
    server.stop()
    shutil.rmtree(server.data_dir.parent)


def segments_with_mark(server: EmbeddedServer) -> list[str]:
    folder: Path = server.data_dir / "pg_wal"
    return [p.name for p in folder.glob("0*") if MARK.encode() in p.read_bytes()]


def test_no_segment_keeps_what_was_written_before(server: EmbeddedServer) -> None:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        for _ in range(6):
            connection.execute("select pg_logical_emit_message(false, %s, %s)", (MARK, MARK))
            connection.execute("select pg_switch_wal()")
        # the usual way keeps the old segments under new names, as they are
        assert not drop_log(connection, is_ours=False)
        assert segments_with_mark(server)
        assert drop_log(connection, is_ours=True)
        assert segments_with_mark(server) == []
        # sessions take a setting over when the server's signal reaches them, which is soon
        wait_until(lambda: connection.execute("show wal_recycle").fetchone() == ("on",))


def test_without_the_rights_it_says_so(server: EmbeddedServer) -> None:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("create role clerk")
        connection.execute("set role clerk")
        assert not drop_log(connection, is_ours=False)
