"""dbt as a child that does not outlive its parent.

A killed run must not leave a dbt behind that goes on writing while the next run begins. The parent
holds the other end of our standard input; when it dies, however it dies, the pipe ends.
"""

from __future__ import annotations

import os
import threading


def main() -> None:
    """Run dbt with the arguments of this process."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    from dbt.cli.main import cli  # noqa: PLC0415 - takes seconds; the watch stands before it

    cli()


def _end_with_parent() -> None:
    while os.read(0, 1):  # not sys.stdin: its lock would be held when dbt ends first
        pass
    # dbt's threads cannot be asked to stop; the server rolls back what their connections had open
    os._exit(1)


if __name__ == "__main__":
    main()
