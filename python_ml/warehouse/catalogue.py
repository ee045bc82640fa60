"""The feature catalogue: the yml beside each feature model, read from dbt's manifest.

There is no second list of features. A column that the model has and the yml lacks, or the other way
round, stops the build.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from python_ml.errors import BuildError
from python_ml.warehouse.postgres import Warehouse, columns_of


@dataclass(frozen=True)
class Feature:
    """One column of a feature model.

    ``role`` is ``feature`` for numbers and ``categorical`` for categories.
    """

    name: str
    role: str
    description: str

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
        role = column.get("config", {}).get("meta", {}).get("role") or column["meta"].get("role")
        if role == "key":
            keys.append(name)
        elif role in ("feature", "categorical"):
            features.append(Feature(name, role, column["description"]))
        else:
            raise BuildError(
                f"{model}.yml gives the column {name} no role.",
                "Add `config: {meta: {role: feature}}` (or key, or categorical).",
            )
    return FeatureCatalogue(model, tuple(keys), tuple(features))


def check_catalogue(warehouse: Warehouse, catalogue: FeatureCatalogue) -> None:
    """Hold the yml against the table that was built.

    Raises
    ------
    BuildError
        Naming the columns that only one of them has.
    """
    with warehouse.connect() as connection:
        built = set(columns_of(connection, "features", catalogue.model))
    described = {*catalogue.keys, *catalogue.names}
    if built != described:
        raise BuildError(
            f"{catalogue.model}: the yml describes {sorted(described - built) or 'nothing'} "
            f"that the model lacks, and lacks {sorted(built - described) or 'nothing'} "
            "that it has.",
            f"Make models_sql/features/{catalogue.model}.yml and .sql agree.",
        )


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
    found = lineage_hashes(warehouse).get(f"feat_{prediction}")
    if found is None:
        raise BuildError("The features were not built yet.", "Run `smartretail build` first.")
    return found
