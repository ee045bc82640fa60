"""What the readers of files hand on: stretches of rows, and the lines that are none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

LONGEST_SHOWN = 1_000
"""Characters of a rejected row that are kept."""


class BadRow(NamedTuple):
    """A row that breaks the contract."""

    line: int
    text: str
    reason: str

    def printable(self) -> BadRow:
        """Return the row as a database can hold it: of bounded length, without zero bytes."""
        text = self.text[:LONGEST_SHOWN].replace("\0", "\N{SYMBOL FOR NULL}")
        return self._replace(text=text.encode("utf-8", "replace").decode())


@dataclass(frozen=True)
class Chunk:
    """Some rows of a file, column by column.

    Parameters
    ----------
    columns
        Arrow arrays, in the order that was asked for.
    lines
        The line of each row in a text file, its number in a Parquet file; from 1.
    malformed
        Lines that could not be split into columns.
    """

    columns: list[Any]
    lines: Any
    malformed: list[BadRow]

    @property
    def given(self) -> int:
        """Rows and malformed lines together."""
        return len(self.lines) + len(self.malformed)
