"""Monitor: every morning, whether scores are late or a run was refused."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.artifacts import create_table_artifact
from prefect.client.schemas.objects import State
from prefect.logging import get_run_logger
from prefect.states import Completed, Failed

from flows.observed import open_home
from python_ml.notify import notify
from python_ml.warehouse.ledger import utc_now
from python_ml.watch.standing import look, rows_of, warnings_of


@flow(name="monitor")
def monitor(home: Path | None = None) -> State[Any]:
    """Look at the ledger, and tell the webhook what is amiss; the flow run fails then.

    Args:
        home: The shop's home; SMARTRETAIL_HOME by default.
    """
    pipeline = open_home(home)
    now = utc_now()
    screen = look(pipeline.warehouse, now, timedelta(hours=pipeline.settings.late_after_hours))
    findings = screen.findings
    create_table_artifact(
        list(rows_of(screen, now)), key="standing", description="What is in force, and its gates."
    )
    for warning in warnings_of(screen):
        get_run_logger().warning(warning)
    for finding in findings:
        get_run_logger().warning(finding.text)
        notify(pipeline.settings, finding.kind, finding.text)
    if findings:
        return Failed(message="; ".join(finding.text for finding in findings))
    return Completed(message="Nothing is late, nothing was refused.")


if __name__ == "__main__":
    monitor()
