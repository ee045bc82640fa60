"""Processes of ours that do not outlive us.

A killed run must not leave a child behind that goes on writing while the next run begins. The
parent holds the other end of the child's standard input; when it dies, however it dies, the pipe
ends.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path


def begin(
    module: str, arguments: Sequence[str], *, folder: Path, environment: Mapping[str, str]
) -> subprocess.Popen[str]:
    """Begin ``python -m module``, which calls :func:`end_with_parent`; all it says is its stdout.

    Parameters
    ----------
    folder
        Where it works.
    environment
        Variables beside our own.
    """
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,  # never written to: its end tells the child that we are gone
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    )


def end_with_parent() -> None:
    """Let this process, a child, end when the pipe from its parent does."""
    threading.Thread(target=_wait_and_end, daemon=True).start()


def _wait_and_end() -> None:
    while os.read(0, 1):  # not sys.stdin: its lock would be held when the child ends first
        pass
    # its threads cannot be asked to stop; the server rolls back what their connections had open
    os._exit(1)
