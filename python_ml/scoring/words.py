"""A feature's value as a sentence's worth of words."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from typing import Any

from python_ml.warehouse.catalogue import Feature

_PLACE = re.compile(r"\{value(?::([^}]*))?\}")
_SEASONS = ("December to February", "March to May", "June to August", "September to November")
_ONE = re.compile(r"(?<![\d.,])1 (days|orders|products|lines|times|months|units)\b")
_LARGE = 1_000
"""From here on cents and fractions say nothing."""


def in_words(feature: Feature, value: object) -> str:
    """Say what a feature's value is.

    The words are those of the catalogue (``says`` in the yml), with the value in their
    ``{value}``: as it is, or as ``{value:%}``, ``{value:+}``, ``{value:month}``,
    ``{value:weekday}`` or ``{value:season}``. Without any, its name serves.

    >>> in_words(Feature("recency_days", "feature", "", says="last order {value} days ago"), 12.0)
    'last order 12 days ago'
    >>> in_words(Feature("recency_days", "feature", "", says="last order {value} days ago"), 1.0)
    'last order 1 day ago'
    >>> in_words(Feature("attribute_customer_state", "categorical", ""), "WA")
    'customer state WA'
    """
    name = feature.name.removeprefix(feature.theme + "_").replace("_", " ")
    if value is None or value != value:  # noqa: PLR0124 - only NaN differs from itself
        return f"{name} not known"
    says = feature.says or name + " {value}"
    said = _PLACE.sub(lambda place: _FORMATS[place[1] or ""](value), says)
    return _ONE.sub(lambda found: found[0][:-1], said)


def _number(value: Any) -> str:
    if not isinstance(value, (int, float)):
        return str(value)
    if abs(value) >= _LARGE or float(value).is_integer():
        return f"{value:,.0f}"
    return f"{value:.2g}" if abs(value) < 1 else f"{value:.1f}"


def _share(value: Any) -> str:
    return f"{value:.0%}"


def _signed(value: Any) -> str:
    return ("+" if value > 0 else "") + _number(value)


def _month(value: Any) -> str:
    return calendar.month_name[int(value)]


def _weekday(value: Any) -> str:
    return calendar.day_name[int(value) - 1]


def _season(value: Any) -> str:
    return _SEASONS[int(value) - 1]


_FORMATS: dict[str, Callable[[Any], str]] = {
    "": _number,
    "%": _share,
    "+": _signed,
    "month": _month,
    "weekday": _weekday,
    "season": _season,
}
