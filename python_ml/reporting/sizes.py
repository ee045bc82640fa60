"""Sizes for people."""

from __future__ import annotations


def readable_size(size_bytes: int) -> str:
    """A number of bytes in the unit that suits it.

    Examples
    --------
    >>> readable_size(3 * 1024**2)
    '3 MB'
    """
    size = float(size_bytes)
    for unit in ("bytes", "kB", "MB"):
        if size < 1024:  # noqa: PLR2004 - what a unit is made of
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} GB"
