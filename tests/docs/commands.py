"""The commands of a document, and typing them.

Blocks that open with ```sh are typed, in their order, by one shell, as a reader would. A block that
opens with ```sh not-run is for readers alone: what it does was done already, or cannot be undone.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = "--- line "


@dataclass(frozen=True)
class Block:
    """Commands, and the line of the document that they begin on."""

    line: int
    text: str
    is_run: bool


def blocks_of(document: str) -> list[Block]:
    """Return the blocks of commands of a Markdown text."""
    return [
        Block(
            line=document.count("\n", 0, match.start()) + 2,
            text=match[3],
            is_run="not-run" not in match[2].split(),
        )
        for match in _BLOCK.finditer(document)
        if match[1] == "sh"
    ]


def type_all(
    blocks: Sequence[Block], folder: Path, *, timeout_seconds: float = 3_600
) -> subprocess.CompletedProcess[str]:
    """Type the blocks that are run into one shell that ends at the first command that fails.

    Settings of whoever runs the tests do not count: a reader has none.
    """
    said = [f"echo '{MARK}{block.line}'\n{block.text}" for block in blocks if block.is_run]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("SMARTRETAIL_")}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(said)],
        stdin=subprocess.DEVNULL,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_seconds,
    )


def where(document: Path, ended: subprocess.CompletedProcess[str]) -> str:
    """Say which block the shell came to, and what it said there."""
    block = ended.stdout.rpartition(MARK)[2].partition("\n")[0]
    return f"{document}, block at line {block}\n{ended.stdout[-2_000:]}\n{ended.stderr[-2_000:]}"
