"""dbt as a child that does not outlive its parent.

A killed run must not leave a dbt behind that goes on writing while the next run begins. The parent
holds the other end of our standard input; when it dies, however it dies, the pipe ends.
"""

from __future__ import annotations

import importlib
import os
import sys
import threading
from uuid import UUID


def main() -> None:
    """Run dbt with the arguments of this process; for a flow run of Prefect, shown there."""
    threading.Thread(target=end_with_parent, daemon=True).start()
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


def end_with_parent() -> None:
    """Wait until the pipe from our parent ends, then end."""
    while os.read(0, 1):  # not sys.stdin: its lock would be held when dbt ends first
        pass
    # dbt's threads cannot be asked to stop; the server rolls back what their connections had open
    os._exit(1)


if __name__ == "__main__":
    main()
