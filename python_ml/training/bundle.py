"""A trained model as a folder of text files that can be checked, and that cannot run code."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pandas as pd

from python_ml.errors import BundleError
from python_ml.training.calibrate import calibrator_from_dict
from python_ml.training.choose import AS_PUBLISHED, Measured, Published, TrainingResult
from python_ml.training.frame import FloatArray, IntArray
from python_ml.training.level import LevelPolicy, apply_shift
from python_ml.training.levels import MOST_KNOWN, as_text, most_frequent, of_levels
from python_ml.training.recipes import MODELS
from python_ml.training.recipes.base import FittedModel, from_json, to_json

MANIFEST = "bundle.json"
PUBLISHED = "published.json"
REFERENCE = "reference.json"
TRIED = "tried.json"
LEVEL_FOLDER = "level/"
FORMAT = 2
"""2: levels learned and pooled, settings of the trees, calibration note."""
LIBRARIES = ("lightgbm", "numpy", "pandas", "scikit-learn", "scipy")
FEWEST_ROWS_FOR_LEVEL = 30
"""Fewer rows have no level of their own: they are scored with the one found in training."""


@dataclass(frozen=True)
class FeatureColumn:
    """One column that the model was trained on.

    ``kind`` is ``number``, ``category of numbers`` or ``category of texts``; ``levels`` are the
    categories seen in training.
    """

    name: str
    kind: str
    levels: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Bundle:
    """A loaded bundle.

    Attributes
    ----------
    bundle_id
        Hash of the digests of everything in the bundle: two bundles with one id score alike.
    manifest
        The content of ``bundle.json``: metrics, data window, versions, digests.
    reference
        The features at the training dates, for the gates; none in bundles from before them.
    tried
        What every recipe said of the test rows, for challengers and backtests.
    """

    bundle_id: str
    columns: tuple[FeatureColumn, ...]
    published: Published
    manifest: Mapping[str, Any]
    reference: bytes | None = None
    tried: bytes | None = None

    @property
    def challenge(self) -> Mapping[str, Any]:
        """What came of the comparison with the model that was in force; empty for nothing."""
        return self.manifest.get("challenge") or {}

    @property
    def feature_hash(self) -> str:
        """The hash of the features that the model was trained on."""
        return str(self.manifest["feature_hash"])

    @property
    def recipe(self) -> str:
        """Name of the recipe that was chosen."""
        return str(self.manifest["recipe"])

    @property
    def calibration_note(self) -> str:
        """What the published probabilities failed on the test date; empty where nothing."""
        return str(self.manifest["calibration_note"])

    @property
    def horizon_days(self) -> int:
        """Length of the window that is predicted."""
        return self.published.horizon_days

    def level_shift(self, features: pd.DataFrame) -> float:
        """Return the one number that moves the level of a scoring run.

        It hangs on everyone who is scored at one date. Keep it with the run, and give it to
        :meth:`predict` where only some of them are scored again.
        """
        return self._shift_of(*self.before_level(features))

    def _shift_of(self, calibrated: FloatArray, reference: FloatArray | None) -> float:
        if len(calibrated) < FEWEST_ROWS_FOR_LEVEL:  # the one that was found in training
            return float(self.manifest["level_shift"])
        return self.published.shift_of(calibrated, reference)

    def predict(self, features: pd.DataFrame, level_shift: float | None = None) -> FloatArray:
        """Return one probability per row.

        Parameters
        ----------
        features
            The columns that the model was trained on, in any order.
        level_shift
            From :meth:`level_shift` of the whole run; without it, of these rows.

        Raises
        ------
        BundleError
            Naming each column that is missing, extra or of another type.
        """
        if level_shift is None:
            return self.at_level(*self.before_level(features))
        return self.published.predict(self.checked(features), level_shift)

    def before_level(self, features: pd.DataFrame) -> tuple[FloatArray, FloatArray | None]:
        """Return calibrated probabilities of some rows, and what the level's own model says.

        What everybody's level comes to is said by :meth:`at_level`, of all rows.
        """
        checked = self.checked(features)
        return self.published.calibrated(checked), self.published.reference(checked)

    def at_level(self, calibrated: FloatArray, reference: FloatArray | None) -> FloatArray:
        """Return the probabilities of everyone who is scored at one date, from what parts said."""
        return apply_shift(calibrated, self._shift_of(calibrated, reference))

    def contributions(self, features: pd.DataFrame) -> pd.DataFrame:
        """Return each feature's exact term of the model's logit, before calibration and level."""
        return self.published.model.contributions(self.checked(features), self.horizon_days)

    def base_logit(self) -> float:
        """Return the model's logit before any contribution."""
        return self.published.model.base_logit(self.horizon_days)

    def checked(self, features: pd.DataFrame) -> pd.DataFrame:
        """Return the columns in the order of training, unseen categories as missing.

        LightGBM scores columns in the wrong order without a word; so order is by name, here.
        """
        return checked_columns(self.columns, features)


def checked_columns(columns: Sequence[FeatureColumn], features: pd.DataFrame) -> pd.DataFrame:
    """Return the columns in the order of training, unseen categories as missing.

    Raises
    ------
    BundleError
        Naming each column that is missing, extra or of another type.
    """
    names = [column.name for column in columns]
    missing = [name for name in names if name not in features.columns]
    extra = [str(name) for name in features.columns if name not in names]
    retyped = [
        f"{column.name} (trained as {column.kind})"
        for column in columns
        if column.name in features.columns and not _fits(column, features[column.name])
    ]
    faults = [
        f"{what}: {', '.join(which)}"
        for what, which in (("missing", missing), ("extra", extra), ("retyped", retyped))
        if which
    ]
    if faults:
        raise BundleError(
            f"The features do not fit the model. {'; '.join(faults).capitalize()}.",
            "Train again on the features as they are now, then score.",
        )
    return pd.DataFrame(
        {column.name: _known(column, features[column.name]) for column in columns},
        index=features.index,
    )


def _known(column: FeatureColumn, values: pd.Series[Any]) -> pd.Series[Any]:
    if column.kind == "number":
        return pd.Series(values.to_numpy(np.float64, na_value=np.nan), index=values.index)
    places = {level: place for place, level in enumerate(column.levels)}
    codes: IntArray = of_levels(values, lambda name: places.get(name, -1), -1, np.int64)
    known = pd.Categorical.from_codes(codes, categories=pd.Index(column.levels, dtype=object))
    return pd.Series(known, index=values.index)


def _kind_of_levels(values: pd.Series[Any]) -> str:
    _, levels = pd.factorize(values)
    if isinstance(levels, pd.CategoricalIndex):
        levels = levels.astype(levels.categories.dtype)
    numeric = pd.api.types.is_numeric_dtype(levels.dtype) or (
        len(levels) > 0 and all(type(level) in (int, float) for level in levels)
    )
    return "category of numbers" if numeric else "category of texts"


def _fits(column: FeatureColumn, values: pd.Series[Any]) -> bool:
    if column.kind == "number" and pd.api.types.is_numeric_dtype(values.dtype):
        return True
    if values.isna().all():
        return True  # a column of nulls has lost its type on the way
    return column.kind != "number" and _kind_of_levels(values) == column.kind


def describe_columns(
    features: pd.DataFrame, categorical: Sequence[str]
) -> tuple[FeatureColumn, ...]:
    """Return name, kind and categories of each column."""
    columns = []
    for name in features.columns:
        if name not in categorical:
            columns.append(FeatureColumn(str(name), "number"))
            continue
        counts = as_text(features[name]).value_counts()
        levels = tuple(sorted(most_frequent(counts, MOST_KNOWN)))
        columns.append(FeatureColumn(str(name), _kind_of_levels(features[name]), levels))
    return tuple(columns)


def save_bundle(
    result: TrainingResult,
    folder: Path,
    *,
    feature_hash: str,
    beside: Mapping[str, bytes] | None = None,
    challenge: Mapping[str, Any] | None = None,
) -> str:
    """Write a bundle and return its id.

    Parameters
    ----------
    folder
        Made if it is not there; ``bundle.json`` is written last, so half a bundle never loads.
    feature_hash
        Of the feature model as dbt knows it (design rule 4).
    beside
        Further files: what the features looked like, for the gates.
    challenge
        What came of the comparison with the model in force.
    """
    files = {**_model_files(result.published), **(beside or {})}
    if result.tried:
        files[TRIED] = result.tried[-1].to_json()
    manifest = _describe(result, feature_hash) | {"challenge": challenge}
    return write_bundle_files(folder, manifest, files)


def write_bundle_files(folder: Path, manifest: dict[str, Any], files: Mapping[str, bytes]) -> str:
    """Write files and their digests, the manifest last, and return the bundle's id."""
    manifest["format"] = FORMAT
    manifest["files"] = {name: _digest(content) for name, content in sorted(files.items())}
    manifest["bundle_id"] = _bundle_id(manifest)
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (folder / MANIFEST).write_bytes(to_json(manifest))
    return str(manifest["bundle_id"])


def _model_files(published: Published) -> dict[str, bytes]:
    files = dict(published.model.to_files())
    if published.level_model is not None:
        level_files = published.level_model.to_files()
        files.update({f"{LEVEL_FOLDER}{name}": text for name, text in level_files.items()})
    files[PUBLISHED] = to_json(
        {
            "recipe": published.model.recipe,
            "calibrator": published.calibrator.to_dict(),
            "level": asdict(published.level),
            "label_shift": published.label_shift,
            "level_recipe": published.level_model.recipe if published.level_model else None,
            "horizon_days": published.horizon_days,
        }
    )
    return files


def _describe(result: TrainingResult, feature_hash: str) -> dict[str, Any]:
    columns = describe_columns(result.features, result.categorical)
    return {
        "prediction": result.spec.name,
        "recipe": result.chosen,
        "chosen_on": result.chosen_on,
        "horizon_days": result.spec.horizon_days,
        "as_of": result.as_of,
        "seed": result.seed,
        "features": [asdict(column) for column in columns],
        "feature_hash": feature_hash,
        "level_shift": result.level_shift,
        "level_tested": result.level_tested,
        "calibration_note": result.calibration_note(),
        "effort": result.effort,
        "selection_log_loss": dict(result.selection),
        "left_out": dict(result.left_out),
        "metrics": [_metrics(line) for line in result.measured if line.form == AS_PUBLISHED],
        "importances": result.importances.to_dict(orient="records"),
        "window": asdict(result.window),
        "versions": library_versions(),
    }


def _metrics(line: Measured) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(json.dumps(asdict(line)), parse_constant=lambda _: None)
    return content


def library_versions() -> dict[str, str]:
    """Return the versions of what models are made with."""
    return {name: _version(name) for name in LIBRARIES} | {"python": platform.python_version()}


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "unknown"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _bundle_id(manifest: Mapping[str, Any]) -> str:
    """Return the hash of the digests of the files and of the manifest without its id."""
    rest = {key: value for key, value in manifest.items() if key not in ("bundle_id", "files")}
    digests = {**manifest["files"], MANIFEST: _digest(to_json(rest))}
    return _digest(to_json(digests))[:32]


def load_bundle(folder: Path) -> Bundle:
    """Read a bundle, checking every file against its digest.

    Raises
    ------
    BundleError
        Naming the file that is missing, changed or not understood.
    """
    return bundle_of(*read_bundle_files(folder))


def bundle_of(manifest: Mapping[str, Any], files: Mapping[str, bytes]) -> Bundle:
    """Make a bundle of its manifest and its files, as :func:`read_bundle_files` gives them.

    Raises
    ------
    BundleError
        When something is missing, or not understood.
    """
    try:
        return Bundle(
            bundle_id=str(manifest["bundle_id"]),
            columns=tuple(
                FeatureColumn(entry["name"], entry["kind"], tuple(entry["levels"]))
                for entry in manifest["features"]
            ),
            published=_read_published(files),
            manifest=manifest,
            reference=files.get(REFERENCE),
            tried=files.get(TRIED),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(
            f"The bundle {manifest.get('bundle_id')} lacks something this version needs: {error}.",
            "Train again.",
        ) from error


def read_bundle_files(folder: Path) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Return the manifest and every file, each checked against its digest.

    Raises
    ------
    BundleError
        Naming the file that is missing or changed.
    """
    manifest = _read_manifest(folder)
    return manifest, {
        name: _read(folder, name, digest) for name, digest in manifest["files"].items()
    }


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if not path.is_file():
        raise BundleError(f"{path} does not exist.", "Train first: smartretail train.")
    manifest = from_json({MANIFEST: path.read_bytes()}, MANIFEST)
    if manifest.get("format") != FORMAT:
        raise BundleError(
            f"{path} has format {manifest.get('format')!r}, this version reads {FORMAT}.",
            "Train again with this version.",
        )
    if not isinstance(manifest.get("files"), dict) or _bundle_id(manifest) != manifest.get(
        "bundle_id"
    ):
        raise BundleError(f"{path} was changed after training.", "Restore it, or train again.")
    return manifest


def _read(folder: Path, name: str, digest: str) -> bytes:
    parts = PurePosixPath(name)
    path = folder / parts
    if parts.is_absolute() or ".." in parts.parts:
        raise BundleError(f"The bundle names a file outside its folder: {name}.", "Train again.")
    if not path.is_file():
        raise BundleError(f"{path} is missing from the bundle.", "Restore it, or train again.")
    content = path.read_bytes()
    if _digest(content) != digest:
        raise BundleError(f"{path} was changed after training.", "Restore it, or train again.")
    return content


def _read_published(files: Mapping[str, bytes]) -> Published:
    content = from_json(files, PUBLISHED)
    level_model: FittedModel | None = None
    if content["level_recipe"] is not None:
        own = {
            name.removeprefix(LEVEL_FOLDER): text
            for name, text in files.items()
            if name.startswith(LEVEL_FOLDER)
        }
        level_model = model_class(content["level_recipe"]).from_files(own)
    return Published(
        model=model_class(content["recipe"]).from_files(files),
        calibrator=calibrator_from_dict(content["calibrator"]),
        level=LevelPolicy(content["level"]["kind"], float(content["level"]["weight"])),
        label_shift=float(content["label_shift"]),
        level_model=level_model,
        horizon_days=int(content["horizon_days"]),
    )


def model_class(recipe: str) -> type[FittedModel]:
    """Return the class that reads a recipe's files."""
    try:
        return MODELS[recipe]
    except KeyError:
        raise BundleError(f"Unknown recipe {recipe!r} in the bundle.", "Train again.") from None
