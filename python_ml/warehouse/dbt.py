"""Running dbt, one invocation per process.

Two invocations in one Python process are unsafe, and a half-finished one cannot be stopped from
within, so each runs as a child of its own with the home's target and log folders.
"""

from __future__ import annotations

import getpass
import hashlib
import json
import logging
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from python_ml.errors import BuildError, InterruptedBuildError, LostLockError
from python_ml.settings import PROJECT_DIR, Settings
from python_ml.warehouse.child import begin
from python_ml.warehouse.postgres import Warehouse
from python_ml.warehouse.transient import all_transient

log = logging.getLogger(__name__)

Target = Literal["prod", "dev"]
OnLine = Callable[[str], None]


@dataclass(frozen=True)
class DbtNode:
    """What became of one model, seed or test."""

    unique_id: str
    status: str
    message: str
    seconds: float

    @property
    def name(self) -> str:
        """The name that its author knows it by."""
        return self.unique_id.split(".")[2]


def dbt_environment(
    settings: Settings, warehouse: Warehouse, staging: str, target: Target = "prod"
) -> dict[str, str]:
    """Everything that ``dbt`` needs in its environment, secrets included."""
    return {
        **warehouse.environment(),
        "DBT_PROFILES_DIR": str(PROJECT_DIR / "dbt_project" / warehouse.profiles),
        "DBT_PROJECT_DIR": str(PROJECT_DIR),
        "SMARTRETAIL_DBT_TARGET": target,
        "SMARTRETAIL_SHOP_SOURCE": staging,
        "SMARTRETAIL_MACROS_HASH": macros_hash(),
        "SMARTRETAIL_RETURN_LABEL": settings.return_label,
        "SMARTRETAIL_WAREHOUSE_SCHEMA": warehouse.layout.schema or "",
        "SMARTRETAIL_THREADS": str(settings.threads),
    }


def dev_schema() -> str:
    """The schema that dbt typed by hand builds into: one for each user of the machine."""
    return "dev_" + re.sub(r"[^a-z0-9]+", "_", getpass.getuser().lower())


def offer_metrics(settings: Settings, project_dir: Path = PROJECT_DIR) -> None:
    """Put the metrics of the home's published marts where ``mf`` looks for them.

    MetricFlow reads ``target/semantic_manifest.json`` of the project alone, wherever dbt's own
    target folder is. The home's was written by the build that made its marts, and names them.
    Nothing happens before the first build, or where the project's folder may not be written to.
    """
    built = settings.dbt_target_dir / "semantic_manifest.json"
    if not built.is_file():
        return
    wanted = project_dir / "target" / built.name
    try:
        wanted.parent.mkdir(exist_ok=True)
        draft = wanted.with_name(f".{wanted.name}.{os.getpid()}")
        shutil.copyfile(built, draft)
        draft.replace(wanted)
    except OSError as error:
        log.warning("mf will not know the metrics of this home: %s", error)


def macros_hash(project_dir: Path = PROJECT_DIR) -> str:
    """Digest of all macros: part of the lineage hash of every feature and label."""
    digest = hashlib.sha256()
    for path in sorted((project_dir / "dbt_project" / "macros").rglob("*.sql")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def run_dbt(
    settings: Settings,
    warehouse: Warehouse,
    staging: str,
    arguments: Sequence[str],
    *,
    target: Target = "prod",
    project_dir: Path = PROJECT_DIR,
    target_dir: Path | None = None,
    extra_environment: Mapping[str, str] | None = None,
    on_line: OnLine | None = None,
    stop: threading.Event | None = None,
) -> list[DbtNode]:
    """Run ``dbt <arguments>`` and return what became of each node.

    Parameters
    ----------
    arguments
        For instance ``["build", "--select", "+feat_order_habit"]``.
    project_dir
        Another copy of the project, for tests that change its SQL.
    target_dir
        Where dbt keeps what it compiles; the home's own by default, which readers of its manifest
        rely on.
    extra_environment
        Variables beside those of :func:`dbt_environment`.
    on_line
        Called with each line that dbt prints.
    stop
        Ends dbt when it is set: the lock under which it writes is gone.

    Raises
    ------
    BuildError
        Naming the models and tests that failed, and the log to read.
    InterruptedBuildError
        When the database cut it short, and no model or test was at fault.
    LostLockError
        When ``stop`` was set.
    """
    target_dir = target_dir or settings.dbt_target_dir
    results_file = target_dir / "run_results.json"
    results_file.unlink(missing_ok=True)
    log_dir = settings.logs_dir / "dbt"
    log_dir.mkdir(parents=True, exist_ok=True)
    options = [
        "--no-use-colors",
        "--no-version-check",
        *arguments,
        "--project-dir", str(project_dir),
        "--target-path", str(target_dir),
        "--log-path", str(log_dir),
    ]  # fmt: skip
    log.debug("dbt %s", " ".join(arguments))
    last_lines: list[str] = []
    with warehouse.while_dbt_runs():
        environment = {
            **dbt_environment(settings, warehouse, staging, target),
            **(extra_environment or {}),
        }
        with begin(
            "python_ml.warehouse.dbt_child", options, folder=project_dir, environment=environment
        ) as process:
            assert process.stdout is not None
            threading.Thread(target=_end_on, args=(process, stop), daemon=True).start()
            for line in process.stdout:
                last_lines = [*last_lines[-30:], line.rstrip()]
                if on_line is not None:
                    on_line(line.rstrip())
    if stop is not None and stop.is_set():
        raise LostLockError(
            f"dbt {arguments[0]} was ended: this run lost the shop's lock, with its connection.",
            "Run it again: what is complete is not repeated.",
        )
    nodes = _results(results_file)
    failed = [node for node in nodes if node.status in ("error", "fail", "runtime error")]
    if failed:
        named = "\n".join(f"  {node.name}: {_one_line(node.message)}" for node in failed[:8])
        was_cut_short = all_transient(node.message for node in failed)
        error = (InterruptedBuildError if was_cut_short else BuildError)(
            f"dbt {arguments[0]}: {len(failed)} of {len(nodes)} nodes failed:\n{named}",
            f"The whole story is in {log_dir / 'dbt.log'}.",
        )
        error.failed = tuple(node.unique_id for node in failed)
        raise error
    if process.returncode != 0:
        tail = "\n".join(f"  {line}" for line in last_lines[-12:])
        raise (InterruptedBuildError if all_transient([tail]) else BuildError)(
            f"dbt {arguments[0]} failed:\n{tail}", f"See {log_dir / 'dbt.log'}."
        )
    return nodes


def _end_on(process: subprocess.Popen[str], stop: threading.Event | None) -> None:
    """End dbt as the death of its parent would, once it is told to stop."""
    while stop is not None and process.poll() is None:
        if stop.wait(0.2):
            assert process.stdin is not None
            process.stdin.close()
            return


def _results(path: Path) -> list[DbtNode]:
    if not path.is_file():
        return []
    document = json.loads(path.read_text(encoding="utf-8"))
    return [
        DbtNode(
            entry["unique_id"], entry["status"], entry.get("message") or "", entry["execution_time"]
        )
        for entry in document["results"]
    ]


def _one_line(message: str) -> str:
    return " ".join(message.split())[:300]
