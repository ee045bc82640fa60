"""The command line as a user meets it, before any shop is loaded."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from python_ml.cli import build_app

SMARTRETAIL = str(Path(sys.executable).parent / "smartretail")


def smartretail(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [SMARTRETAIL, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize(
    "command",
    ["run", "load", "build", "train", "score", "publish", "report", "runs", "rollback", "query",
     "export", "env", "db", "demo-data", "doctor", "features", "forget", "backfill", "backtest",
     "prune", "monitor", "schedule", "experiment"],
)  # fmt: skip
def test_every_command_explains_itself(command: str) -> None:
    shown = CliRunner().invoke(build_app(), [command, "--help"], prog_name="smartretail")
    assert shown.exit_code == 0
    assert f"Usage: smartretail {command}" in shown.stdout


def test_a_wrong_setting_ends_with_its_name_and_no_traceback() -> None:
    ended = smartretail("runs", SMARTRETAIL_THREADS="0")
    assert ended.returncode == 2
    assert "SMARTRETAIL_THREADS" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_empty_home_says_what_to_do_first(database_url: str, tmp_path: Path) -> None:
    environment = {"SMARTRETAIL_DATABASE_URL": database_url, "SMARTRETAIL_HOME": str(tmp_path)}
    for command in (("build",), ("report",), ("export", "order_habit", "--to", "x.csv")):
        ended = smartretail(*command, **environment)
        assert ended.returncode == 3, ended.stderr
        assert "smartretail run" in ended.stderr


def test_an_unreachable_server_is_named_without_its_password(tmp_path: Path) -> None:
    ended = smartretail(
        "runs",
        SMARTRETAIL_HOME=str(tmp_path),
        SMARTRETAIL_DATABASE_URL="postgresql://user:tops3cret@127.0.0.1:1/nowhere",
    )
    assert ended.returncode == 4
    assert "127.0.0.1:1" in ended.stderr
    assert "tops3cret" not in ended.stderr + ended.stdout


def test_an_unknown_source_lists_the_known_ones(database_url: str, tmp_path: Path) -> None:
    ended = smartretail(
        "load", "--source", "shopping", "--path", str(tmp_path),
        SMARTRETAIL_HOME=str(tmp_path), SMARTRETAIL_DATABASE_URL=database_url,
    )  # fmt: skip
    assert ended.returncode == 3
    assert "order_lines" in ended.stderr


def test_a_mapping_that_is_not_one_is_explained(database_url: str, tmp_path: Path) -> None:
    ended = smartretail(
        "load", "--source", "order_lines", "--path", "x.csv", "--map", "InvoiceDate",
        SMARTRETAIL_HOME=str(tmp_path), SMARTRETAIL_DATABASE_URL=database_url,
    )  # fmt: skip
    assert ended.returncode == 3
    assert "THEIRS=OURS" in ended.stderr
