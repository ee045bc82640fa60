"""What documents tell people to type works."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from python_ml.settings import PROJECT_DIR
from python_ml.warehouse.server import EmbeddedServer
from tests.docs.commands import blocks_of, type_all, where

DOCUMENTS = {"docs/tutorial.md": "my_shop", "docs/tr/ogretici.md": "benim_magazam"}
"""Documents whose commands can be typed from top to bottom, and the home that they make."""


@pytest.mark.slow
@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_reader_can_type_every_command(document: str, tmp_path: Path) -> None:
    path = PROJECT_DIR / document
    try:
        ended = type_all(blocks_of(path.read_text(encoding="utf-8")), tmp_path)
        assert ended.returncode == 0, where(path, ended)
    finally:
        server = EmbeddedServer(tmp_path / DOCUMENTS[document])
        server.stop()
        shutil.rmtree(server.data_dir.parent, ignore_errors=True)  # as root it lies elsewhere


def test_blocks_are_those_of_the_shell_with_their_lines() -> None:
    text = "# A\n\n```sh\nls\n```\n\n```text\nout\n```\n\n```sh not-run\nrm\n```\n"
    assert [(b.line, b.text, b.is_run) for b in blocks_of(text)] == [
        (4, "ls\n", True),
        (12, "rm\n", False),
    ]


def test_the_first_command_that_fails_ends_it_and_is_named(tmp_path: Path) -> None:
    text = "```sh\necho one\n```\n\n```sh\nfalse\n```\n\n```sh\necho three\n```\n"
    ended = type_all(blocks_of(text), tmp_path)
    assert ended.returncode != 0
    assert "three" not in ended.stdout
    assert "a.md, block at line 6" in where(Path("a.md"), ended)
