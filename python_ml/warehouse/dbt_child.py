"""dbt as a child that does not outlive its parent."""

from __future__ import annotations

import importlib
import os
import sys
from uuid import UUID

from python_ml.warehouse.child import end_with_parent


def main() -> None:
    """Run dbt with the arguments of this process; for a flow run of Prefect, shown there."""
    end_with_parent()
    flow_run_id = os.environ.get("SMARTRETAIL_FLOW_RUN_ID")
    # what is imported below takes seconds; the watch stands before it
    if flow_run_id:
        nodes = importlib.import_module("flows.dbt_nodes")
        succeeded = nodes.invoke(sys.argv[1:], UUID(flow_run_id))
        nodes.send_what_is_queued()
        sys.stdout.flush()
        sys.stderr.flush()
        # Prefect's threads outlive this one: one that speaks while the interpreter is taken down
        # aborts it, and a build that succeeded would count as failed
        os._exit(0 if succeeded else 1)
    importlib.import_module("dbt.cli.main").cli()


if __name__ == "__main__":
    main()
