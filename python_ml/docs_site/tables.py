"""The pages of tables, from the yml beside the models.

dbt itself would take ten seconds to read the project, and shows the same words: descriptions are
rendered here with their doc blocks alone, and whatever else they asked for would be an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import yaml

from python_ml.docs_site.pages import cell, code, line, page, table
from python_ml.settings import PROJECT_DIR

_BLOCK = re.compile(r"{% docs (\w+) %}(.*?){% enddocs %}", re.DOTALL)


@dataclass(frozen=True)
class Column:
    """A column: what it is called, of which type (where it is said), and what it means.

    ``role`` is what models take it for, or what a file must bring.
    """

    name: str
    data_type: str
    role: str
    description: str


@dataclass(frozen=True)
class Table:
    """A table or view of a layer."""

    name: str
    description: str
    columns: tuple[Column, ...]


@cache
def doc_blocks(folder: Path = PROJECT_DIR / "dbt_project" / "docs") -> dict[str, str]:
    """The descriptions that several columns share."""
    return {
        name: text.strip()
        for path in sorted(folder.glob("*.md"))
        for name, text in _BLOCK.findall(path.read_text(encoding="utf-8"))
    }


def rendered(description: str) -> str:
    """Put doc blocks into a description; an unknown one is an error."""
    template = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)  # noqa: S701
    return template.from_string(description).render(doc=lambda name: doc_blocks()[name])


def models_in(folder: str, project_dir: Path = PROJECT_DIR) -> Iterator[Table]:
    """Give the models of a folder of ``models_sql``, by file and name."""
    for path in sorted((project_dir / "models_sql" / folder).rglob("*.yml")):
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        yield from (_table(model) for model in document.get("models", []) if "columns" in model)


def source_tables(path: str, project_dir: Path = PROJECT_DIR) -> Iterator[Table]:
    """Give the tables of the sources of one yml under ``models_sql``."""
    text = (project_dir / "models_sql" / path).read_text(encoding="utf-8")
    for source in yaml.safe_load(text)["sources"]:
        yield from map(_table, source["tables"])


def _table(node: dict[str, Any]) -> Table:
    return Table(
        node["name"],
        rendered(node.get("description", "")),
        tuple(
            Column(
                column["name"],
                column.get("data_type", ""),
                _role(column.get("config", {}).get("meta", {})),
                rendered(column["description"]),
            )
            for column in node.get("columns", [])
        ),
    )


def _role(meta: dict[str, Any]) -> str:
    if meta.get("required"):
        return "required, a cell may be empty" if meta.get("nullable") else "required"
    return str(meta.get("role", ""))


def is_mart(found: Table) -> bool:
    """Whether BI reads it; rows beneath the views are the project's own."""
    return not found.name.endswith("_rows")


def marts_page() -> str:
    """Write down what BI reads, and the rows beneath."""
    found = sorted(models_in("marts"), key=lambda one: one.name)
    return page(
        "# Marts",
        "What BI reads: the views of the schema `marts`. What to do with them: "
        "[marts](../marts.md). Beneath them stand the [tables of rows](rows.md).",
        *_sections("marts", (one for one in found if is_mart(one))),
    )


def rows_page() -> str:
    """Write down the tables beneath the marts."""
    found = sorted(models_in("marts"), key=lambda one: one.name)
    return page(
        "# Rows beneath the marts",
        "The tables of the schema `mart_rows`: every run, those included that were never "
        "published. BI reads the [marts](marts.md) instead.",
        *_sections("mart_rows", (one for one in found if not is_mart(one))),
    )


def shop_page() -> str:
    """Write down what a file brings, what is kept of loads, and the shop model."""
    return page(
        "# The shop",
        "What a file of order lines may hold, the bookkeeping of loads, and the one shop model "
        "that every source is turned into.",
        *_sections("raw", source_tables("staging/order_lines/_order_lines__sources.yml")),
        *_sections("raw", source_tables("staging/_shop__sources.yml")),
        *_sections("intermediate", models_in("intermediate")),
    )


def features_page() -> str:
    """Write down features and labels: the catalogue that training reads."""
    return page(
        "# Features and labels",
        "The feature catalogue. Attributes that are named at load come on top "
        "([add a feature](../add_a_feature.md)). What may be known when: "
        "[the time rules](../time_rules.md).",
        *_sections("features", models_in("features")),
        *_sections("labels", models_in("labels")),
    )


def landing_page() -> str:
    """Write down the tables that Python fills."""
    return page(
        "# Landing tables",
        "What Python writes and dbt reads: the schema `predictions`. Rows are added, never "
        "changed. Made empty at the start of a build, by `dbt_project/macros/landing_tables.sql`.",
        *_sections("predictions", source_tables("staging/predictions/_predictions__sources.yml")),
    )


def _sections(schema: str, found: Iterator[Table]) -> Iterator[str]:
    for one in found:
        yield f"## {schema}.{one.name}"
        yield line(one.description)
        yield _columns(one)


def _columns(one: Table) -> str:
    """Leave out types and roles where the table says none."""
    kept = [
        (name, shown)
        for name, shown in (
            ("column", [code(column.name) for column in one.columns]),
            ("type", [column.data_type for column in one.columns]),
            ("role", [column.role for column in one.columns]),
            ("meaning", [cell(column.description) for column in one.columns]),
        )
        if any(shown)
    ]
    return table([name for name, _ in kept], zip(*(shown for _, shown in kept), strict=True))
