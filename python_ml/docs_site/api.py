"""The page of the API, from the OpenAPI document that it serves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from python_ml.api.app import create_app
from python_ml.docs_site.json_types import in_words
from python_ml.docs_site.pages import cell, code, page, table
from python_ml.settings import Settings
from python_ml.warehouse.postgres import Warehouse


def openapi() -> dict[str, Any]:
    """What ``GET /openapi.json`` answers, from an application that never meets a database."""
    nowhere = Warehouse("postgresql://nobody@127.0.0.1:1/nothing")
    return create_app(Settings.model_construct(), nowhere, lambda: "order_lines").openapi()


def api_page() -> str:
    """Write down every address, what it takes and what it answers."""
    document = openapi()
    parts = [
        "# API",
        "What `GET /openapi.json` of `smartretail serve` says. How to ask, keys and problems: "
        "[API](../api.md).",
    ]
    for address, methods in document["paths"].items():
        for method, operation in methods.items():
            parts += _operation(f"{method.upper()} {address}", operation)
    parts.append("# Schemas")
    for name, schema in document["components"]["schemas"].items():
        parts += [f"## {name}", schema.get("description", ""), _properties(schema)]
    return page(*parts)


def _operation(name: str, operation: dict[str, Any]) -> Iterator[str]:
    yield f"## {name}"
    yield operation.get("description", "")
    yield table(
        ("parameter", "in", "takes", "default", "meaning"),
        (
            (
                code(one["name"]),
                one["in"],
                cell(in_words(one["schema"])),
                code(one["schema"]["default"]) if "default" in one["schema"] else "",
                cell(one.get("description", "")),
            )
            for one in operation.get("parameters", [])
        ),
    )
    if "requestBody" in operation:
        yield f"Body: {_content(operation['requestBody'])}"
    yield table(
        ("status", "answer", "when"),
        (
            (status, _content(response), cell(response["description"]))
            for status, response in sorted(operation["responses"].items())
        ),
    )


def _content(holder: dict[str, Any]) -> str:
    found = holder.get("content", {})
    return ", ".join(
        in_words(one["schema"]) if one.get("schema") else code(kind) for kind, one in found.items()
    )


def _properties(schema: dict[str, Any]) -> str:
    required = schema.get("required", [])
    return table(
        ("field", "takes", "required", "meaning"),
        (
            (
                code(name),
                cell(in_words(one)),
                "yes" if name in required else "",
                cell(one.get("description", "")),
            )
            for name, one in schema.get("properties", {}).items()
        ),
    )
