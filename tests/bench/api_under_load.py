"""Look-ups of the API under load, with a run published in the middle of it.

Requests start on a clock, whether or not the answers keep up, and each is timed from the moment at
which it should have started: a server that stalls cannot hide it.

    python -m tests.bench.api_under_load [--rate 300] [--seconds 60] [--home HOME]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from python_ml.pipeline import Pipeline
from python_ml.settings import load_settings
from python_ml.warehouse.ledger import roll_back, runs_in_force

SMARTRETAIL = str(Path(sys.executable).parent / "smartretail")
CONNECTIONS = 32


@dataclass
class Load:
    """What came back."""

    milliseconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    runs: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


class Server:
    """`smartretail serve` on a free port, until the block ends."""

    said = ""

    def __init__(self, pipeline: Pipeline, *arguments: str) -> None:
        self._process = subprocess.Popen(
            [SMARTRETAIL, "serve", "--port", "0", *arguments],
            env={
                **os.environ,
                "SMARTRETAIL_HOME": str(pipeline.settings.home),
                "SMARTRETAIL_DATABASE_URL": pipeline.warehouse.url,
            },
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stderr is not None
        said = ""
        for line in self._process.stderr:
            said += line
            if line.startswith("Listening on "):
                self.url = line.removeprefix("Listening on ").strip()
                break
        else:
            raise RuntimeError(said)
        self.port = int(self.url.rpartition(":")[2])
        self._process.stderr.readline()

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> str:
        """End it, and return what it wrote to its log."""
        if self._process.poll() is None:
            self._process.terminate()
            _, self.said = self._process.communicate(timeout=120)
        return self.said


async def get(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str
) -> tuple[int, Any]:
    """Ask on a connection that stays open."""
    writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    await writer.drain()
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    length = int(head.partition("content-length:")[2].partition("\r\n")[0])
    body = await reader.readexactly(length)
    return int(head.split(" ", 2)[1]), json.loads(body)


async def put_under_load(port: int, paths: list[str], rate: float, seconds: float) -> Load:
    """Ask for the paths in turn, ``rate`` of them each second."""
    load, due = Load(), asyncio.Queue[tuple[float, str] | None]()

    async def ask() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (asked := await due.get()) is not None:
            at, path = asked
            try:
                status, body = await get(reader, writer, path)
            except (OSError, asyncio.IncompleteReadError, ValueError) as error:
                load.failures.append(f"{path}: {error!r}")
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                continue
            load.milliseconds.append((time.perf_counter() - at) * 1000)
            load.statuses[status] += 1
            load.runs[body.get("run_id", "none")] += 1
        writer.close()

    workers = [asyncio.create_task(ask()) for _ in range(CONNECTIONS)]
    began = time.perf_counter()
    for number in range(int(rate * seconds)):
        at = began + number / rate
        await asyncio.sleep(max(0.0, at - time.perf_counter()))
        due.put_nowait((at, paths[number % len(paths)]))
    for _ in workers:
        due.put_nowait(None)
    await asyncio.gather(*workers)
    return load


def paths_of(pipeline: Pipeline) -> list[str]:
    """Look-ups of all kinds, mixed."""
    with pipeline.warehouse.connect() as connection:
        customers = connection.execute("select customer_id from marts.customers").fetchall()
        orders = connection.execute("select distinct order_id from marts.return_risk").fetchall()
    paths = [f"/v1/order-habit/customers/{customer}" for (customer,) in customers]
    paths += [
        f"/v1/purchase-potential/customers/{customer}/{level}?top_n=5"
        for (customer,) in customers
        for level in ("products", "categories")
    ]
    paths += [f"/v1/return-risk/orders/{order}" for (order,) in orders]
    np.random.default_rng(1).shuffle(paths)
    return paths


def wait_until_ready(port: int, seconds: float = 300) -> None:
    """Wait for look-ups and scoring."""

    async def ready() -> bool:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        status, _ = await get(reader, writer, "/ready")
        writer.close()
        return status == 200

    deadline = time.monotonic() + seconds
    while not asyncio.run(ready()):
        if time.monotonic() > deadline:
            raise TimeoutError("the server does not become ready")
        time.sleep(0.2)


async def load_while(
    port: int, paths: list[str], rate: float, seconds: float, publish: Callable[[], object]
) -> Load:
    """Put under load, and publish when a third of the time has gone."""

    async def later() -> None:
        await asyncio.sleep(seconds / 3)
        await asyncio.to_thread(publish)

    publishing = asyncio.create_task(later())
    load = await put_under_load(port, paths, rate, seconds)
    await publishing
    return load


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rate", type=float, default=300)
    arguments.add_argument("--seconds", type=float, default=60)
    arguments.add_argument("--home", type=Path, default=None)
    given = arguments.parse_args()
    pipeline = Pipeline(load_settings(home=given.home))
    current = next(r for r in runs_in_force(pipeline.warehouse) if r.prediction == "order_habit")

    def publish() -> None:
        with pipeline.writing() as writer:  # the same run again: one more row in the ledger
            roll_back(pipeline.warehouse, writer, "order_habit", current.run_id)

    with Server(pipeline) as server:
        wait_until_ready(server.port)
        paths = paths_of(pipeline)
        asyncio.run(put_under_load(server.port, paths, given.rate, 3))
        load = asyncio.run(load_while(server.port, paths, given.rate, given.seconds, publish))
    p50, p90, p99, worst = np.percentile(load.milliseconds, [50, 90, 99, 100])
    sys.stdout.write(
        f"{sum(load.statuses.values()):,} look-ups at {given.rate:g} a second for "
        f"{given.seconds:g} s: p50 {p50:.1f} ms, p90 {p90:.1f}, p99 {p99:.1f}, worst {worst:.1f}; "
        f"statuses {dict(load.statuses)}, connections lost {len(load.failures)}\n"
    )


if __name__ == "__main__":
    main()
