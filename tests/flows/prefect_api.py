"""Asking a Prefect server, as a person would through its pages."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from python_ml.settings import PROJECT_DIR

ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
PREFECT = str(Path(sys.executable).parent / "prefect")


@dataclass(frozen=True)
class PrefectServer:
    """Where a server listens, and the environment in which its commands find it."""

    url: str
    environment: dict[str, str]

    def type(self, *arguments: str, **more: str) -> str:
        """Type a ``prefect`` command in the project, with more in its environment."""
        done = subprocess.run(
            [PREFECT, *arguments],
            env={**self.environment, **more},
            cwd=PROJECT_DIR,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def find(self, what: str, **filters: Any) -> list[dict[str, Any]]:
        """All of a kind: flow_runs, task_runs, logs, artifacts, deployments."""
        found: list[dict[str, Any]] = []
        while True:
            body = {**filters, "limit": 200, "offset": len(found)}
            answer = httpx.post(f"{self.url}/{what}/filter", json=body)
            answer.raise_for_status()
            found += answer.json()
            if len(answer.json()) < 200:
                return found

    def task_states(self, flow_run_id: str, *wanted: str) -> dict[str, str]:
        """States of the tasks of a flow run, by name, once those of ``wanted`` have ended.

        The server records them from events, which it may still be at when the run has ended.
        """
        deadline = time.monotonic() + 120
        while True:
            found = {r["name"]: r["state_type"] for r in self.of_run("task_runs", flow_run_id)}
            if all(found.get(name) in ENDED for name in wanted) or time.monotonic() > deadline:
                return found
            time.sleep(0.5)

    def of_run(self, what: str, flow_run_id: str) -> list[dict[str, Any]]:
        """Task runs, artifacts or logs of one flow run."""
        if what == "logs":
            return self.find(what, logs={"flow_run_id": {"any_": [flow_run_id]}})
        return self.find(what, flow_runs={"id": {"any_": [flow_run_id]}})
