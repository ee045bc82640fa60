"""The page of settings, from the class that reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo

from python_ml.docs_site.json_types import in_words
from python_ml.docs_site.pages import cell, code, page, table
from python_ml.settings import Settings

ON_THIS_MACHINE = {"threads": "the machine's cores, 4 at most"}
"""Defaults that hang on where the site is built, in words."""


def settings_page() -> str:
    """Write down every setting: its variable, what it takes, its default and what it is for."""
    schema = Settings.model_json_schema()["properties"]
    return page(
        "# Settings",
        "Values come, strongest first, from options of a command, from the environment, and from "
        "`.env` in the working folder. A wrong one stops the program at start with its name.",
        table(
            ("variable", "takes", "default", "meaning"),
            (
                (
                    code(variable(name)),
                    cell(_takes(schema[name])),
                    _default(name, field),
                    cell(field.description or ""),
                )
                for name, field in Settings.model_fields.items()
            ),
        ),
    )


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return f"{Settings.model_config['env_prefix']}{name}".upper()


def _takes(schema: dict[str, Any]) -> str:
    """Leave out ``null``: it is what an unset variable means, and nobody can type it."""
    kinds = [kind for kind in schema.get("anyOf", [schema]) if kind.get("type") != "null"]
    return ", or ".join(map(in_words, kinds))


def _default(name: str, field: FieldInfo) -> str:
    if name in ON_THIS_MACHINE:
        return ON_THIS_MACHINE[name]
    if field.default is None:
        return ""
    return code(field.default.as_posix() if isinstance(field.default, Path) else field.default)
