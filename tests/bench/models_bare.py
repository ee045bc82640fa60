"""How much work each model is for DuckDB itself: dbt's compiled SQL, run bare on a built home.

Processor seconds, which other work on the machine disturbs little, beside those by the clock. The
home is only read; what is made goes to memory and is thrown away.

    python -m tests.bench.models_bare --home HOME int_orders feat_order_habit
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from pathlib import Path

import duckdb

from python_ml.warehouse.engines import DATABASE_FILE


def processor_seconds() -> float:
    """Processor time of this process so far."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Print a line for each model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    compiled = given.home / "dbt" / "target" / "compiled"
    connection = duckdb.connect(
        config={
            "threads": given.threads,
            "preserve_insertion_order": "false",
            "default_null_order": "nulls_last_on_asc_first_on_desc",
        }
    )
    file = str(given.home / DATABASE_FILE).replace("'", "''")
    connection.execute(f"attach '{file}' as smartretail (read_only)")
    for model in given.models:
        [path] = compiled.rglob(f"models_sql/**/{model}.sql")
        statement = path.read_text(encoding="utf-8")
        busy, clock = processor_seconds(), time.monotonic()
        connection.execute(f"create or replace table made as {statement}").fetchall()
        busy, clock = processor_seconds() - busy, time.monotonic() - clock
        found = connection.execute("select count(*) from made").fetchone()
        assert found is not None
        sys.stdout.write(
            f"{model:<28} {found[0]:>10,} rows  processor {busy:6.1f} s  clock {clock:6.1f} s\n"
        )
        sys.stdout.flush()


if __name__ == "__main__":
    main()
