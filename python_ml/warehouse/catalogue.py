"""The feature catalogue: the yml beside each feature model, read from dbt's manifest.

There is no second list of features. A column that the model has and the yml lacks, or the other way
round, stops the build. Attributes named at load are the one exception: nobody can describe a column
that only one shop has, so they are taken from the table that was built (:func:`built_catalogue`).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path

from python_ml.errors import BuildError
from python_ml.warehouse.postgres import Warehouse, columns_of

_NAMED_AT_LOAD = re.compile(r"attribute_(line|product|customer)_(.+?)(_age_days)?$")
_TEXT = {"text", "character varying"}
_NUMBERS = {"smallint", "integer", "bigint", "real", "double precision", "numeric"}


@dataclass(frozen=True)
class Feature:
    """One column of a feature model.

    ``role`` is ``feature`` for numbers and ``categorical`` for categories. ``is_calendar`` where it
    speaks of months or seasons. ``says`` is a reason in words, with ``{value}`` in it.
    """

    name: str
    role: str
    description: str
    is_calendar: bool = False
    says: str | None = None

    @property
    def theme(self) -> str:
        """The first word of its name: recency, frequency, monetary ..."""
        return self.name.split("_")[0]


@dataclass(frozen=True)
class FeatureCatalogue:
    """Keys and features of ``feat_<prediction>``."""

    model: str
    keys: tuple[str, ...]
    features: tuple[Feature, ...]

    @property
    def names(self) -> list[str]:
        """Names of the features, in the order of the yml."""
        return [feature.name for feature in self.features]

    @property
    def categorical(self) -> tuple[str, ...]:
        """Names of the categorical ones."""
        return tuple(f.name for f in self.features if f.role == "categorical")

    @property
    def calendar(self) -> tuple[str, ...]:
        """Names of those that need two years of dates to mean anything."""
        return tuple(f.name for f in self.features if f.is_calendar)


def read_catalogue(target_dir: Path, prediction: str) -> FeatureCatalogue:
    """Read the catalogue of a prediction from the manifest of the last build.

    Raises
    ------
    BuildError
        When nothing was built yet, or the yml gives a column no role.
    """
    path = target_dir / "manifest.json"
    if not path.is_file():
        raise BuildError("The features were not built yet.", "Run `smartretail build` first.")
    manifest = json.loads(path.read_text(encoding="utf-8"))
    model = f"feat_{prediction}"
    node = manifest["nodes"].get(f"model.smartretail.{model}")
    if node is None:
        raise BuildError(f"There is no model {model}.", "Add it under models_sql/features.")
    keys: list[str] = []
    features: list[Feature] = []
    for name, column in node["columns"].items():
        meta = column.get("config", {}).get("meta") or column["meta"]
        role = meta.get("role")
        if role == "key":
            keys.append(name)
        elif role in ("feature", "categorical"):
            features.append(
                Feature(
                    name=name,
                    role=role,
                    description=column["description"],
                    is_calendar=bool(meta.get("calendar")),
                    says=meta.get("says"),
                )
            )
        else:
            raise BuildError(
                f"{model}.yml gives the column {name} no role.",
                "Add `config: {meta: {role: feature}}` (or key, or categorical).",
            )
    return FeatureCatalogue(model, tuple(keys), tuple(features))


def built_catalogue(warehouse: Warehouse, target_dir: Path, prediction: str) -> FeatureCatalogue:
    """Read the catalogue of a prediction with the attributes that this shop's table has.

    Raises
    ------
    BuildError
        When the yml and the table that was built disagree on anything else, naming the columns.
    """
    catalogue = read_catalogue(target_dir, prediction)
    with warehouse.connect() as connection:
        built = columns_of(connection, "features", catalogue.model)
    return with_attributes(catalogue, built)


def with_attributes(catalogue: FeatureCatalogue, built: dict[str, str]) -> FeatureCatalogue:
    """Hold the yml against the columns that were built, and add the attributes named at load.

    Parameters
    ----------
    built
        SQL type of each column, in the order of the table.

    Raises
    ------
    BuildError
        Naming the columns that only one of the two has, or an attribute of another type.
    """
    described = {*catalogue.keys, *catalogue.names}
    attributes = [
        _attribute(catalogue.model, name, type_)
        for name, type_ in built.items()
        if name not in described and _NAMED_AT_LOAD.match(name)
    ]
    described |= {attribute.name for attribute in attributes}
    if built.keys() != described:
        raise BuildError(
            f"{catalogue.model}: the yml describes {sorted(described - built.keys()) or 'nothing'} "
            f"that the model lacks, and lacks {sorted(built.keys() - described) or 'nothing'} "
            "that it has.",
            f"Make models_sql/features/{catalogue.model}.yml and .sql agree.",
        )
    return replace(catalogue, features=(*catalogue.features, *attributes))


def _attribute(model: str, name: str, type_: str) -> Feature:
    match = _NAMED_AT_LOAD.match(name)
    assert match is not None
    entity, attribute, age = match.groups()
    if type_ not in _TEXT | _NUMBERS:
        raise BuildError(
            f"{model}: {name} is {type_}; an attribute is text or a number.",
            "Take attributes through the macro attribute_features.",
        )
    days = ", as its age in days" if age else ""
    description = f"Attribute `{attribute}` of the {entity}, named at load{days}."
    return Feature(name, "categorical" if type_ in _TEXT else "feature", description)


def lineage_hashes(warehouse: Warehouse) -> dict[str, str]:
    """The lineage hash with which each feature and label model was last built."""
    if not warehouse.relation_exists("predictions", "feature_builds"):
        return {}
    with warehouse.connect() as connection:
        rows = connection.execute(
            "select distinct on (model_name) model_name, feature_hash "
            "from predictions.feature_builds where schema_name in ('features', 'labels') "
            "order by model_name, built_at desc"
        ).fetchall()
    return {str(name): str(hash_) for name, hash_ in rows}


def feature_hash(warehouse: Warehouse, prediction: str) -> str:
    """The lineage hash with which the features of a prediction were last built.

    Raises
    ------
    BuildError
        When they were not built yet.
    """
    built = lineage_hashes(warehouse)
    model = f"feat_{prediction}"
    if model not in built:
        raise BuildError("The features were not built yet.", "Run `smartretail build` first.")
    of_customers = built.get(f"{model}_customers")
    return built[model] if of_customers is None else f"{built[model]}+{of_customers}"
