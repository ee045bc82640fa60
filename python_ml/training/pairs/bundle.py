"""What is kept of a trained pair prediction: the models of its levels, as a bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from python_ml.errors import BundleError
from python_ml.training.bundle import (
    REFERENCE,
    FeatureColumn,
    checked_columns,
    describe_columns,
    library_versions,
    model_class,
    read_bundle_files,
    write_bundle_files,
)
from python_ml.training.frame import FloatArray
from python_ml.training.pairs.choose import PairResult, with_prior
from python_ml.training.recipes.base import FittedModel


@dataclass(frozen=True, eq=False)
class PairLevel:
    """The model of one level."""

    level: str
    model: FittedModel
    prior_shift: float
    columns: tuple[FeatureColumn, ...]
    horizon_days: int

    def predict(self, features: pd.DataFrame) -> FloatArray:
        """Return the probability of each candidate pair.

        Raises
        ------
        BundleError
            Naming each column that is missing, extra or of another type.
        """
        return self.predict_checked(checked_columns(self.columns, features))

    def predict_checked(self, checked: pd.DataFrame) -> FloatArray:
        """Return the same for columns that were checked already."""
        return with_prior(self.model.predict(checked, self.horizon_days), self.prior_shift)

    def contributions(self, features: pd.DataFrame) -> pd.DataFrame:
        """Return each column's exact term of the model's logit, before the prior."""
        checked = checked_columns(self.columns, features)
        return self.model.contributions(checked, self.horizon_days)


@dataclass(frozen=True, eq=False)
class PairBundle:
    """A loaded bundle of a pair prediction."""

    bundle_id: str
    levels: tuple[PairLevel, ...]
    candidates: int
    most_items: int
    manifest: Mapping[str, Any]
    reference: bytes | None = None

    @property
    def challenge(self) -> Mapping[str, Any]:
        """What came of the comparison with the model that was in force; empty for nothing."""
        return self.manifest.get("challenge") or {}

    @property
    def feature_hash(self) -> str:
        """The hash of the features that the models were trained on."""
        return str(self.manifest["feature_hash"])

    @property
    def recipe(self) -> str:
        """The recipe of each level."""
        return str(self.manifest["recipe"])

    @property
    def horizon_days(self) -> int:
        """Length of the window that is predicted."""
        return int(self.manifest["horizon_days"])

    @property
    def calibration_note(self) -> str:
        """What the probabilities failed on the test date, by level; empty for nothing."""
        notes = [(level["level"], level["calibration_note"]) for level in self.manifest["levels"]]
        return " ".join(f"{level.capitalize()}: {note}." for level, note in notes if note)


def save_pair_bundle(
    results: Sequence[PairResult],
    folder: Path,
    *,
    prediction: str,
    as_of: date,
    horizon_days: int,
    seed: int,
    feature_hash: str,
    candidates: int,
    most_items: int,
    beside: Mapping[str, bytes] | None = None,
    challenge: Mapping[str, Any] | None = None,
) -> str:
    """Write a bundle and return its id; ``bundle.json`` comes last, so half a one never loads."""
    files: dict[str, bytes] = dict(beside or {})
    for result in results:
        own = result.model.to_files()
        files.update({f"{result.level}/{name}": content for name, content in own.items()})
    manifest: dict[str, Any] = {
        "prediction": prediction,
        "recipe": ", ".join(f"{r.level}: {r.chosen}" for r in results),
        "horizon_days": horizon_days,
        "as_of": str(as_of),
        "seed": seed,
        "feature_hash": feature_hash,
        "candidates": candidates,
        "most_items": most_items,
        "levels": [_describe(result) for result in results],
        "challenge": challenge,
        "versions": library_versions(),
    }
    return write_bundle_files(folder, manifest, files)


def _describe(result: PairResult) -> dict[str, Any]:
    return {
        "level": result.level,
        "recipe": result.chosen,
        "chosen_on": result.chosen_on,
        "prior_shift": result.prior_shift,
        "features": [asdict(c) for c in describe_columns(result.features, result.categorical)],
        "dates": list(result.dates),
        "rows": result.rows,
        "customers": result.customers,
        "level_tested": result.level_tested,
        "calibration_note": result.calibration_note(),
        "candidate_recall": {str(n): share for n, share in result.candidate_recall.items()},
        "ranking": [asdict(line) for line in result.ranking],
        "left_out": dict(result.left_out),
    }


def load_pair_bundle(folder: Path) -> PairBundle:
    """Read a bundle, checking every file against its digest.

    Raises
    ------
    BundleError
        Naming the file that is missing, changed or not understood.
    """
    manifest, files = read_bundle_files(folder)
    try:
        return PairBundle(
            bundle_id=str(manifest["bundle_id"]),
            levels=tuple(_level(entry, files, manifest) for entry in manifest["levels"]),
            candidates=int(manifest["candidates"]),
            most_items=int(manifest["most_items"]),
            manifest=manifest,
            reference=files.get(REFERENCE),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(
            f"The bundle in {folder} lacks something this version needs: {error}.", "Train again."
        ) from error


def _level(
    entry: Mapping[str, Any], files: Mapping[str, bytes], manifest: Mapping[str, Any]
) -> PairLevel:
    prefix = f"{entry['level']}/"
    own = {n.removeprefix(prefix): text for n, text in files.items() if n.startswith(prefix)}
    return PairLevel(
        level=str(entry["level"]),
        model=model_class(entry["recipe"]).from_files(own),
        prior_shift=float(entry["prior_shift"]),
        columns=tuple(
            FeatureColumn(column["name"], column["kind"], tuple(column["levels"]))
            for column in entry["features"]
        ),
        horizon_days=int(manifest["horizon_days"]),
    )
