"""Writing Markdown: what the reference pages share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def line(text: object) -> str:
    """Put a text on one line, with no mark that would begin a tag."""
    return " ".join(str(text).split()).replace("<", "&lt;")


def cell(text: object) -> str:
    """Put a text into one cell of a table: on one line, with no mark that would end the cell."""
    return line(text).replace("|", "\\|")


def code(text: object) -> str:
    """Put a text into a cell as code, where a bar ends no cell; nothing where it says nothing."""
    shown = " ".join(str(text).split())
    return f"`{shown}`" if shown else ""


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table of cells that are Markdown already; nothing where it has no rows."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    if not lines:
        return ""
    rule = f"|{'---|' * len(header)}"
    return "\n".join([f"| {' | '.join(header)} |", rule, *lines])


def page(*parts: str) -> str:
    """Put parts that say something under each other."""
    return "\n\n".join(part.strip("\n") for part in parts if part.strip()) + "\n"
