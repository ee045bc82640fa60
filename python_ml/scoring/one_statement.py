"""Features of what is not in the warehouse, by the same SQL that makes them for what is.

dbt compiles the models once. For each question their texts are put together as one statement, each
model a common table expression, in which the rows that are asked about stand in for those of the
shop. So no feature is written twice, nothing is stored, and the statement only reads.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from python_ml.errors import BuildError
from python_ml.settings import PROJECT_DIR, Settings
from python_ml.training.dataset import to_features
from python_ml.warehouse.catalogue import FeatureCatalogue
from python_ml.warehouse.dbt import run_dbt
from python_ml.warehouse.postgres import Warehouse

UNTIL = date(1111, 11, 11)
"""Compiled where lines of the future begin; each question puts its own day there."""
TARGET = "online_target"


@dataclass(frozen=True)
class CompiledModels:
    """What dbt made of the models.

    Parameters
    ----------
    texts
        SQL by name, of the models that were asked for.
    relations
        Name in the database by name, of all models; ``shop_lines``, ``shop_products`` and
        ``shop_customers`` are the staging models of the shop's source.
    """

    texts: Mapping[str, str]
    relations: Mapping[str, str]


def compile_models(
    settings: Settings,
    warehouse: Warehouse,
    staging: str,
    models: Sequence[str],
    *,
    project_dir: Path = PROJECT_DIR,
) -> CompiledModels:
    """Have dbt compile models as their next increment, against the shop's tables.

    Raises
    ------
    BuildError
        When a model cannot be compiled, or was never built.
    """
    target_dir = settings.home / "dbt" / TARGET
    run_dbt(
        settings,
        warehouse,
        staging,
        ["compile", "--select", *models],
        project_dir=project_dir,
        target_dir=target_dir,
        extra_environment={"SMARTRETAIL_OUTCOMES_UNTIL": UNTIL.isoformat()},
    )
    manifest = json.loads((target_dir / "manifest.json").read_text(encoding="utf-8"))
    nodes = {
        node["name"]: node for node in manifest["nodes"].values()
        if node["resource_type"] == "model"
    }  # fmt: skip
    texts = {}
    for name in models:
        path = target_dir / "compiled" / "smartretail" / nodes[name]["original_file_path"]
        if not path.is_file():
            raise BuildError(f"{name} was not compiled.", "Run `smartretail build` first.")
        texts[name] = path.read_text(encoding="utf-8")
    relations = {name: str(node["relation_name"]) for name, node in nodes.items()}
    for entity in ("order_lines", "products", "customers"):
        relations[f"shop_{entity}"] = relations[f"stg_{staging}__{entity}"]
    return CompiledModels(texts, relations)


@dataclass(frozen=True)
class Part:
    """One common table expression: rows under a model's name."""

    name: str
    text: str


class Statement:
    """A statement that is put together from models and stand-ins.

    Parameters
    ----------
    compiled
        The models.
    """

    def __init__(self, compiled: CompiledModels) -> None:
        self._compiled = compiled
        self._parts: list[Part] = []
        self._stand_ins: dict[str, str] = {}
        self._parameters: list[Any] = []

    def given(self, model: str, rows: Sequence[Mapping[str, Any]], *, as_: str = "") -> None:
        """Let rows stand in for a model: columns that they lack are empty."""
        self._parameters.append(json.dumps(list(rows), default=str))
        relation = self._compiled.relations[model]
        self.text(
            model,
            f"select * from jsonb_populate_recordset(null::{relation}, "  # noqa: S608 - dbt's name
            f"cast(cast(${len(self._parameters)} as text) as jsonb))",
            as_=as_,
        )

    def value(self, value: Any, type_: str) -> str:
        """A value as SQL that refers to a parameter."""
        self._parameters.append(str(value))
        return f"cast(cast(${len(self._parameters)} as text) as {type_})"

    def nothing(self, model: str) -> None:
        """Let no rows stand in for a model."""
        self.text(model, f"select * from {self._compiled.relations[model]} where false")  # noqa: S608

    def text(self, model: str, text: str, *, as_: str = "") -> None:
        """Let a query stand in for a model, or under another name beside it."""
        name = as_ or f"online_{model}"
        self._parts.append(Part(name, text))
        if not as_:
            self._stand_ins[self._compiled.relations[model]] = name

    def model(self, model: str, *, as_: str = "", until: str = "") -> None:
        """Make a model from what stands in for those that it reads.

        Parameters
        ----------
        until
            SQL of the day from which lines count as asked about.
        """
        text = self._compiled.texts[model]
        if until:
            text = text.replace(f"cast('{UNTIL}' as date)", until)
        self.text(model, self._replaced(text), as_=as_)

    def features(
        self, warehouse: Warehouse, catalogue: FeatureCatalogue, order_by: str, where: str = "true"
    ) -> pd.DataFrame:
        """Read the features of the last model."""
        return to_features(self.read(warehouse, catalogue.names, order_by, where), catalogue)

    def read(
        self, warehouse: Warehouse, columns: Sequence[str], order_by: str, where: str = "true"
    ) -> pa.Table:
        """Read columns of the last model."""
        parts = ",\n".join(f"{part.name} as (\n{part.text}\n)" for part in self._parts)
        return warehouse.read(
            f"with {parts}\nselect {', '.join(columns)} from {self._parts[-1].name} "
            f"where {where} order by {order_by}",
            self._parameters,
        )

    def _replaced(self, text: str) -> str:
        pattern = "|".join(re.escape(relation) for relation in self._stand_ins)
        if not pattern:
            return text
        found: Callable[[re.Match[str]], str] = lambda match: self._stand_ins[match[0]]  # noqa: E731
        return re.sub(pattern, found, text)
