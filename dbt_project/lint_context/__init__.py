"""What dbt hands to a template, as far as this project's SQL asks for it.

sqlfluff renders the models with these and the project's own macros, so linting needs neither a
database nor a parse of the whole project.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jinja2 import pass_context
from jinja2.runtime import Context
from sqlfluff.core.templaters.builtins.dbt import MacroReturn

execute = False
"""Nothing is asked of a database, as in dbt's own first pass."""


def env_var(name: str, default: str = "") -> str:
    """Stand in for the environment: every shop is linted with the defaults."""
    return default


class adapter:  # noqa: N801 - the name that templates use
    """Macros that differ by engine, in their version for PostgreSQL."""

    @staticmethod
    @pass_context
    def dispatch(context: Context, name: str, package: str) -> Callable[..., Any]:
        """Find the macro that dbt would call."""
        found: Callable[..., Any] = context.get(f"postgres__{name}") or context[f"default__{name}"]
        return found


class dbt:  # noqa: N801 - the name that templates use
    """dbt's own macros."""

    @staticmethod
    def type_string() -> str:
        """Name of the text type."""
        return "text"

    @staticmethod
    def date_trunc(part: str, day: str) -> str:
        """Begin of the year or month that a day lies in."""
        return f"date_trunc('{part}', {day})"


def _return(value: Any) -> Any:
    """Give a macro's value to its caller.

    sqlfluff's own version ends the macro that calls, too, when both stand in one file. Text can
    simply be rendered in place; only other values need that way out.
    """
    if isinstance(value, str):
        return value
    raise MacroReturn(value)


globals()["return"] = _return
