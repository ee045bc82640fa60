"""The copy that BI reads where the database is a file.

While a process writes to a DuckDB file nobody else can open it. So what is published is copied:
each mart as a Parquet file, and all of them as tables of one database file. Each file is swapped by
a rename: whoever opens it sees the old one or the new one, whole.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from python_ml.warehouse.duckdb_file import DuckDBWarehouse
from python_ml.warehouse.postgres import identifier

COPY_FILE = "smartretail.duckdb"
_MARK = ".copied_event"
"""Keeps the number of the newest event that the copy shows."""


def refresh_copy(warehouse: DuckDBWarehouse, folder: Path) -> bool:
    """Copy the marts unless the copy shows what is in force already; say whether it was done.

    To be called by the holder of the shop's lock, so that nothing changes between two marts.
    """
    newest = _newest_event(warehouse)
    mark = folder / _MARK
    if newest is None or (mark.is_file() and mark.read_text(encoding="ascii") == str(newest)):
        return False
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / ".draft"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir()
    _write(warehouse, draft)
    made = sorted(draft.iterdir())
    for path in made:
        path.replace(folder / path.name)
    draft.rmdir()
    for path in set(folder.glob("*.parquet")) - {folder / path.name for path in made}:
        path.unlink()  # a mart that is no more
    mark.write_text(str(newest), encoding="ascii")
    return True


def _newest_event(warehouse: DuckDBWarehouse) -> int | None:
    if not warehouse.relation_exists("predictions", "run_events"):
        return None
    with warehouse.connect() as connection:
        row = connection.execute(
            "select max(event_number) from predictions.run_events "
            "where event in ('published', 'rolled_back')"
        ).fetchone()
    return None if row is None or row[0] is None else int(row[0])


def _write(warehouse: DuckDBWarehouse, draft: Path) -> None:
    with warehouse.connect(autocommit=True) as connection:
        found = connection.execute(
            "select table_name from information_schema.tables "
            "where table_catalog = current_database() and table_schema = 'marts' order by 1"
        ).fetchall()
        connection.execute(f"attach {_text(draft / COPY_FILE)} as copied".encode())
        connection.execute("create schema copied.marts")
        for (name,) in found:
            mart = f"marts.{identifier(str(name))}"
            connection.execute(
                f"create table copied.{mart} as select * from {mart}".encode()  # noqa: S608 - ours
            )
            connection.execute(
                f"copy copied.{mart} to {_text(draft / f'{name}.parquet')} "
                "(format parquet, compression zstd)".encode()
            )
        connection.execute("detach copied")


def _text(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
