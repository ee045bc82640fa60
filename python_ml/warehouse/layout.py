"""Where the project's tables stand: a schema for each layer, or all in one schema.

Everywhere in this project a table is written as its layer and its name: ``raw.loads``. On a server
where a role may create in one schema alone, the same table is ``<schema>.raw__loads``. Statements
are placed where they meet the database, so that nobody else needs to know.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

LAYERS = (
    "raw", "staging", "intermediate", "features", "labels", "mart_rows", "marts", "predictions",
    "seeds",
)  # fmt: skip
"""Schemas that this project fills, beside the analytics engineers' ``dev_*``."""

_LAYER = "|".join(LAYERS)
_NAME = r'"[^"]+"|[a-z_][a-z0-9_]*'
# only where a relation can stand: `features.x` elsewhere is a column of something called features
_RELATION = re.compile(
    r"(?P<lead>\b(?P<word>from|join|into|update|table|view|like)\s+(?:if\s+(?:not\s+)?exists\s+)?"
    rf"|\bon\s+(?=(?:{_LAYER})\.\w+\s*\()|\bto_regclass\(')"
    rf'(?P<quote>"?)(?P<layer>{_LAYER})(?P=quote)\.(?P<name>{_NAME})',
    re.IGNORECASE,
)
_CAN_HAVE_ALIAS = ("from", "join", "update")
_NO_ALIAS = (
    "where|group|order|having|window|limit|offset|fetch|for|union|except|intersect|on|using|join|"
    "inner|left|right|full|cross|natural|set|returning|tablesample"
)
_ALIAS = re.compile(rf'\s+(?:as\s|"|(?!(?:{_NO_ALIAS})\b)[a-z_])', re.IGNORECASE)


@dataclass(frozen=True)
class Layout:
    """How layers become schemas.

    Parameters
    ----------
    schema
        The one schema that holds everything; None for a schema for each layer.

    Examples
    --------
    >>> Layout("smart").place("raw", "loads")
    ('smart', 'raw__loads')
    >>> Layout("smart").placed("select labels.x from labels.label_order_habit as labels")
    'select labels.x from "smart"."labels__label_order_habit" as labels'
    """

    schema: str | None = None

    def place(self, layer: str, name: str) -> tuple[str, str]:
        """Schema and name of a table; what is none of ours stays where it is."""
        if self.schema is None or layer not in LAYERS:
            return layer, name
        return self.schema, f"{layer}__{name}"

    def layer_of(self, schema: str, name: str) -> tuple[str, str] | None:
        """Layer and name of a table of ours, from where it stands; None for others' tables."""
        if self.schema is None:
            return (schema, name) if schema in LAYERS else None
        layer, separator, rest = name.partition("__")
        is_ours = schema == self.schema and separator and layer in LAYERS
        return (layer, rest) if is_ours else None

    def placed(self, statement: str) -> str:
        """A statement with every table of ours named by where it stands."""
        if self.schema is None:
            return statement
        return _RELATION.sub(self._placed_relation, statement)

    def shown(self, layer: str, name: str) -> str:
        """A table as somebody types it."""
        return ".".join(self.place(layer, name))

    def _placed_relation(self, found: re.Match[str]) -> str:
        plain = found["name"].strip('"')
        placed = ".".join(f'"{part}"' for part in self.place(found["layer"].lower(), plain))
        can_have_alias = (found["word"] or "").lower() in _CAN_HAVE_ALIAS
        if can_have_alias and not _ALIAS.match(found.string, found.end()):
            placed += f' as "{plain}"'  # columns may be named by the table, as runs.run_id
        return found["lead"] + placed
