"""dbt through prefect-dbt's runner, in dbt's own process, for a flow run of another process.

Each model and test becomes a task run of that flow run, with its log lines and its state. Only the
id of the flow run is handed over; nothing is pickled.
"""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

from prefect import flow, get_client
from prefect.context import FlowRunContext
from prefect.events.worker import EventsWorker
from prefect.logging.handlers import APILogWorker
from prefect.results import ResultStore
from prefect_dbt import PrefectDbtRunner, PrefectDbtSettings

MOST_SECONDS = 30
"""How long what Prefect has queued is waited for."""


@flow(name="dbt")
def _dbt() -> None:
    """Stand in for the flow of the other process: the runner asks for its name and its options."""


def invoke(arguments: list[str], flow_run_id: UUID) -> bool:
    """Run ``dbt <arguments>``; return whether every node succeeded."""
    with get_client(sync_client=True) as client:
        flow_run = client.read_flow_run(flow_run_id)
        with (
            _dbt.task_runner.duplicate() as task_runner,
            FlowRunContext(
                flow=_dbt,
                flow_run=flow_run,
                client=client,
                task_runner=task_runner,
                result_store=ResultStore(),
                parameters={},
                persist_result=False,
                detached=True,
            ),
        ):
            settings = PrefectDbtSettings(project_dir=Path.cwd())
            runner = PrefectDbtRunner(settings=settings, raise_on_failure=False)
            return bool(runner.invoke(arguments).success)


def send_what_is_queued() -> None:
    """Send the events and log lines that Prefect still holds."""
    for worker in (EventsWorker, APILogWorker):
        worker.drain_all(timeout=MOST_SECONDS)
