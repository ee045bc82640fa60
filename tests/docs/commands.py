"""The commands of a document, and typing them.

Blocks that open with ```sh are typed, in their order, by one shell, as a reader would. Those that a
test cannot type are listed with the reason in `left_out.yml`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MARK = "--- "


@dataclass(frozen=True)
class Block:
    """Commands, and where they stand: the document and the line that they begin on."""

    document: str
    line: int
    text: str

    @property
    def first(self) -> str:
        """Its first line, by which it is named."""
        return self.text.partition("\n")[0]


def blocks_of(text: str, document: str = "", language: str = "sh") -> list[Block]:
    """Return the blocks of commands of a Markdown text."""
    return [
        Block(document, text.count("\n", 0, match.start()) + 2, match[2])
        for match in _BLOCK.finditer(text)
        if match[1] == language
    ]


def type_all(
    blocks: Sequence[Block],
    folder: Path,
    *,
    prepare: str = "",
    environment: Mapping[str, str] | None = None,
    timeout_seconds: float = 3_600,
) -> subprocess.CompletedProcess[str]:
    """Type the blocks into one shell that ends at the first command that fails.

    Settings of whoever runs the tests do not count: a reader has none.

    Parameters
    ----------
    prepare
        Commands before the first block: what the document takes for granted.
    environment
        Variables that the shell begins with.
    """
    said = [prepare]
    said += [f"echo '{MARK}{block.document}:{block.line}'\n{block.text}" for block in blocks]
    given = {k: v for k, v in os.environ.items() if not k.startswith("SMARTRETAIL_")}
    given["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{given['PATH']}"
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(said)],
        stdin=subprocess.DEVNULL,
        cwd=folder,
        env={**given, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_seconds,
    )


def where(ended: subprocess.CompletedProcess[str]) -> str:
    """Say which block the shell came to, and what it said there."""
    block, _, said = ended.stdout.rpartition(MARK)[2].partition("\n")
    return f"{block}\n{said[-2_000:]}\n{ended.stderr[-3_000:]}"
