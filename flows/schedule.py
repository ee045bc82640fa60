"""Serving the schedule of a small shop from one process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from prefect import serve
from prefect.deployments.runner import RunnerDeployment
from prefect.schedules import Cron
from prefect.settings import PREFECT_API_URL, temporary_settings

from flows.backtest import backtest as backtest_flow
from flows.monitor import monitor as monitor_flow
from flows.score import score as score_flow
from flows.train import train as train_flow
from python_ml.errors import SmartRetailError
from python_ml.settings import Settings

START_SECONDS = 180
"""How long a Prefect server may take to answer, on a busy machine."""


def serve_all(settings: Settings, *, score: str, train: str, backtest: str, monitor: str) -> None:
    """Serve the flows on these schedules (cron, by the shop's clock), one run at a time."""
    if PREFECT_API_URL.value():
        _serve(settings, score, train, backtest, monitor)
        return
    with own_server(settings) as url, temporary_settings({PREFECT_API_URL: url}):
        os.environ["PREFECT_API_URL"] = url  # for the processes of the runs
        _serve(settings, score, train, backtest, monitor)


def _serve(settings: Settings, score: str, train: str, backtest: str, monitor: str) -> None:
    schedules = (
        (score_flow, "nightly-score", score),
        (train_flow, "weekly-train", train),
        (backtest_flow, "monthly-backtest", backtest),
        (monitor_flow, "morning-monitor", monitor),
    )
    deployments = []
    for flow, name, cron in schedules:
        deployment = flow.to_deployment(
            name,
            schedule=Cron(cron, timezone=settings.time_zone),
            parameters={"home": str(settings.home)},
            paused=False,
        )
        assert isinstance(deployment, RunnerDeployment)  # not awaited: this is no coroutine
        deployments.append(deployment)
    serve(*deployments, limit=1)


@contextmanager
def own_server(settings: Settings) -> Iterator[str]:
    """Start a Prefect server for this home, and stop it at the end.

    The temporary one that Prefect starts by itself plans no scheduled runs.

    Yields
    ------
    str
        The address of its API.

    Raises
    ------
    SmartRetailError
        When it does not answer.
    """
    folder, log = settings.home / "prefect", settings.logs_dir / "prefect.log"
    for needed in (folder, log.parent):
        needed.mkdir(parents=True, exist_ok=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/api"
    with log.open("w") as output:
        server = subprocess.Popen(
            [sys.executable, "-m", "prefect", "server", "start", "--port", str(port)],
            env={**os.environ, "PREFECT_HOME": str(folder), "PREFECT_API_URL": url},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C ends us first, and we end the server
        )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not _answers(url):
            if server.poll() is not None or time.monotonic() > deadline:
                raise SmartRetailError("The Prefect server did not start.", f"See {log}.")
            time.sleep(0.5)
        sys.stderr.write(f"Runs show up at http://127.0.0.1:{port} until this ends.\n")
        yield url
    finally:
        server.terminate()
        server.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False
