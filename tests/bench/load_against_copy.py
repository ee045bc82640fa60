"""How long `smartretail load` takes beside COPY of the same rows, and how much memory.

The loader reads a file, checks every row and writes it; COPY only writes. Both fill a table of the
same columns on the embedded server of a fresh home, one after the other, after a checkpoint.

    python -m tests.bench.load_against_copy --customers 340000
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg

from python_ml.ingest.demo import DemoShop, write_demo_shop
from python_ml.ingest.load import prepare
from python_ml.warehouse.postgres import Warehouse
from python_ml.warehouse.server import EmbeddedServer

SMARTRETAIL = str(Path(sys.executable).parent / "smartretail")
ATTRIBUTES = ("line:size", "product:brand", "customer:state")
BLOCK = 1 << 20


def time_load(home: Path, path: Path) -> float:
    """Seconds that the command takes, as a user types it, start and parse included."""
    arguments = [part for name in ATTRIBUTES for part in ("--attribute", name)]
    started = time.monotonic()
    subprocess.run(
        [SMARTRETAIL, "load", "--source", "order_lines", "--path", str(path), *arguments,
         "--home", str(home)],
        check=True,
    )  # fmt: skip
    return time.monotonic() - started


def time_copy(url: str, folder: Path) -> tuple[int, float]:
    """Rows, and the seconds that COPY takes for them from a CSV file."""
    file = folder / "same_rows.csv"
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        with (
            file.open("wb") as out,
            cursor.copy("copy raw.order_lines to stdout (format csv)") as c,
        ):
            for block in c:
                out.write(block)
        connection.execute("create schema bench")
        connection.execute("create table bench.copied (like raw.order_lines including all)")
        connection.commit()
        _checkpoint(url)
        started = time.monotonic()
        with cursor.copy("copy bench.copied from stdin (format csv)") as copy:
            for block in _blocks(file):
                copy.write(block)
        connection.commit()
        seconds = time.monotonic() - started
        count = connection.execute("select count(*) from bench.copied").fetchone()
    assert count is not None
    return int(count[0]), seconds


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            yield block


def _checkpoint(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("checkpoint")


def main() -> None:
    """Print rows, seconds, the ratio and the loader's peak of memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--customers", type=int, default=340_000)
    parser.add_argument("--path", type=Path, help="A demo shop that was written before.")
    parser.add_argument("--work", type=Path, help="Folder for what is made [default: temporary].")
    given = parser.parse_args()
    with TemporaryDirectory(dir=given.work) as name:
        folder = Path(name)
        shop = DemoShop(customers=given.customers, seed=1)
        path = given.path or write_demo_shop(shop, folder / "demo").order_lines
        server = EmbeddedServer(folder / "home")
        url = server.ensure_started()
        try:
            prepare(Warehouse(url))
            _checkpoint(url)
            loading = time_load(folder / "home", path)
            peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024**2
            rows, copying = time_copy(url, folder)
        finally:
            server.stop()
            shutil.rmtree(server.data_dir.parent, ignore_errors=True)
    sys.stdout.write(
        f"{rows:,} rows: load {loading:.1f} s ({rows / loading:,.0f} rows/s), "
        f"COPY {copying:.1f} s ({rows / copying:,.0f} rows/s), "
        f"load has {copying / loading:.2f} of COPY's speed; "
        f"peak memory of the loading process {peak:.2f} GB\n"
    )


if __name__ == "__main__":
    main()
