"""What a JSON schema takes, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_NAMES = {
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "string": "text",
    "null": "null",
    "object": "object",
    "path": "path",
    "password": "text",
    "date": "date",
    "date-time": "time",
}


def in_words(schema: Mapping[str, Any]) -> str:
    """Say what a schema takes, as Markdown.

    Examples
    --------
    >>> in_words({"anyOf": [{"type": "integer", "minimum": 1, "maximum": 9}, {"type": "null"}]})
    'whole number from 1 to 9, or null'
    >>> in_words({"type": "array", "items": {"$ref": "#/components/schemas/Line"}})
    'list of [Line](#line)'
    """
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return ", or ".join(in_words(one) for one in schema[several])
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {in_words(schema.get('items', {}))}"
    name = _NAMES[schema.get("format") or schema.get("type", "object")]
    return name + _bounds(schema)


def _bounds(schema: Mapping[str, Any]) -> str:
    words = {
        "minimum": "from",
        "exclusiveMinimum": "above",
        "maximum": "to",
        "exclusiveMaximum": "below",
    }
    return "".join(
        f" {word} {schema[key]:g}"
        for key, word in words.items()
        if isinstance(schema.get(key), int | float)
    )
