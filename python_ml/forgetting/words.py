"""Finding an id in text: as a word of its own, never inside another id or a number."""

from __future__ import annotations

import json
import re


def sql_word(text: str) -> str:
    """A PostgreSQL regular expression that finds the text as a word."""
    plain = "".join(c if c.isalnum() or c == "_" else f"\\{c}" for c in text)
    return f"(^|[^[:alnum:]_]){plain}([^[:alnum:]_]|$)"


def word_in_bytes(text: str) -> re.Pattern[bytes]:
    """The same for files, where the text may also stand as JSON writes it."""
    spellings = {text, json.dumps(text)[1:-1]}
    either = b"|".join(re.escape(spelling.encode()) for spelling in sorted(spellings))
    inside = rb"[0-9A-Za-z_\x80-\xff]"
    return re.compile(rb"(?<!%s)(?:%s)(?!%s)" % (inside, either, inside))
