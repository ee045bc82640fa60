"""Getting rid of the copies that PostgreSQL's write-ahead log keeps of changed pages."""

from __future__ import annotations

import psycopg

from python_ml.warehouse.postgres import Connection

_SEGMENTS = """
select coalesce(array_agg(name order by name), '{}'), pg_walfile_name(pg_current_wal_insert_lsn())
from pg_ls_waldir() where name ~ '^[0-9A-F]{24}$'
"""
_MOST_ROUNDS = 2_000


def drop_log(connection: Connection, *, is_ours: bool) -> bool:
    """Make the server move on to new segments of its log and drop those written so far.

    A segment that is not needed any more is normally kept under a new name, to be written over
    later: what it holds stays readable on disk. On the embedded server that is switched off
    meanwhile. A server of the user's is not reconfigured; it is only asked for a checkpoint and a
    new segment.

    Returns
    -------
    bool
        Whether no segment is left that was written before the call.
    """
    try:
        if not is_ours:
            connection.execute("checkpoint")
            connection.execute("select pg_switch_wal()")
            connection.execute("checkpoint")
            return False
        connection.execute("alter system set wal_recycle = off")
        try:
            connection.execute("select pg_reload_conf()")
            return _drop_segments(connection)
        finally:
            connection.execute("alter system reset wal_recycle")
            connection.execute("select pg_reload_conf()")
    except psycopg.errors.InsufficientPrivilege:
        return False


def _drop_segments(connection: Connection) -> bool:
    """Move on past every segment that is there, those kept for later included, and drop them."""
    connection.execute("checkpoint")
    held, current = _segments(connection)
    last_old = max([*held, current])
    for _ in range(_MOST_ROUNDS):
        if current > last_old:
            connection.execute("checkpoint")
            held, current = _segments(connection)
            if min(held) > last_old and max(held) <= current:
                return True
            # the checkpoint began before the setting was known everywhere: it kept some
            last_old = max([*held, current])
        # a segment in which nothing was written is not left
        connection.execute("select pg_logical_emit_message(false, 'smartretail', '')")
        connection.execute("select pg_switch_wal()")
        held, current = _segments(connection)
    return False


def _segments(connection: Connection) -> tuple[list[str], str]:
    row = connection.execute(_SEGMENTS.encode()).fetchone()
    assert row is not None
    return list(row[0]), str(row[1])
