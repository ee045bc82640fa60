"""Serving the schedule of a small shop from one process."""

from __future__ import annotations

from prefect import serve
from prefect.deployments.runner import RunnerDeployment
from prefect.schedules import Cron
from prefect.settings import PREFECT_API_URL

from flows.backtest import backtest as backtest_flow
from flows.monitor import monitor as monitor_flow
from flows.score import score as score_flow
from flows.train import train as train_flow
from python_ml.settings import Settings


def serve_all(settings: Settings, *, score: str, train: str, backtest: str, monitor: str) -> None:
    """Serve the flows on these schedules (cron, by the shop's clock), one run at a time."""
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
        )
        assert isinstance(deployment, RunnerDeployment)  # not awaited: this is no coroutine
        deployments.append(deployment)
    # a server that was started for this alone ends with it: nothing is left to pause
    serve(*deployments, limit=1, pause_on_shutdown=bool(PREFECT_API_URL.value()))
