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
from python_ml.monitor import amiss, standings
from python_ml.notify import notify
from python_ml.warehouse.ledger import utc_now


@flow(name="monitor")
def monitor(home: Path | None = None) -> State[Any]:
    """Look at the ledger, and tell the webhook what is amiss; the flow run fails then.

    Args:
        home: The shop's home; SMARTRETAIL_HOME by default.
    """
    pipeline = open_home(home)
    found = standings(pipeline.warehouse)
    late_after = timedelta(hours=pipeline.settings.late_after_hours)
    findings = amiss(found, utc_now(), late_after)
    rows = [
        {
            "prediction": standing.prediction,
            "published (UTC)": str(standing.published_at or ""),
            "refused since (UTC)": str(standing.refused_at or ""),
        }
        for standing in found
    ]
    create_table_artifact(rows, key="standing", description="When each prediction was published.")
    for finding in findings:
        get_run_logger().warning(finding.text)
        notify(pipeline.settings, finding.kind, finding.text)
    if findings:
        return Failed(message="; ".join(finding.text for finding in findings))
    return Completed(message="Nothing is late, nothing was refused.")


if __name__ == "__main__":
    monitor()
