"""The process that has Spark score: its argument is a file that says what, and where to."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.types import DoubleType, StringType, StructField, StructType

from python_ml.scoring.score import reasons_of
from python_ml.training.bundle import (
    REFERENCE,
    TRIED,
    Bundle,
    bundle_of,
    read_bundle_files,
)
from python_ml.training.dataset import to_features
from python_ml.warehouse.catalogue import Feature, FeatureCatalogue
from python_ml.warehouse.child import end_with_parent
from python_ml.warehouse.spark_session import home_session


@dataclass(frozen=True, eq=False)
class Scorer:
    """What each task of Spark's calls with its batches.

    Attributes
    ----------
    manifest, files
        The bundle as text, which :func:`read_bundle_files` checked on the driver.
    """

    manifest: Mapping[str, Any]
    files: Mapping[str, bytes]
    catalogue: FeatureCatalogue
    keys: tuple[str, ...]

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Score batch after batch: keys, calibrated, reference (of the level) and reasons."""
        bundle = None
        for batch in batches:
            if batch.num_rows:  # many files of a table hold other dates alone
                bundle = bundle or bundle_of(self.manifest, self.files)
                yield self._scored(bundle, pa.Table.from_batches([batch]))

    def _scored(self, bundle: Bundle, rows: pa.Table) -> pa.RecordBatch:
        features = to_features(rows, self.catalogue)
        calibrated, reference = bundle.before_level(features)
        if reference is None:
            reference = np.full(len(calibrated), np.nan)
        said = {
            **{name: rows.column(name).combine_chunks() for name in self.keys},
            "calibrated": pa.array(calibrated),
            "reference": pa.array(reference),
            "reasons": pa.array(reasons_of(bundle, features, self.catalogue.features), pa.string()),
        }
        return pa.record_batch(said)


def scored(rows: DataFrame, scorer: Scorer) -> DataFrame:
    """Let the executors score rows."""
    schema = StructType(
        [rows.schema[name] for name in scorer.keys]
        + [StructField(name, DoubleType()) for name in ("calibrated", "reference")]
        + [StructField("reasons", StringType())]
    )
    return rows.mapInArrow(scorer, schema)


def main() -> None:
    """Do the job that the argument of this process names."""
    end_with_parent()
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    content = job["catalogue"]
    features = tuple(Feature(**feature) for feature in content["features"])
    catalogue = FeatureCatalogue(content["model"], tuple(content["keys"]), features)
    manifest, files = read_bundle_files(Path(job["bundle"]))
    of_model = {name: text for name, text in files.items() if name not in (REFERENCE, TRIED)}
    scorer = Scorer(manifest, of_model, catalogue, tuple(job["keys"]))
    spark = home_session()
    try:
        asked = {
            "as_of": date.fromisoformat(job["as_of"]),
            "horizon_days": int(job["horizon_days"]),
        }
        rows = spark.sql(job["query"], args=asked)
        scored(rows, scorer).write.parquet(Path(job["rows"]).as_uri())
    finally:
        spark.stop()


if __name__ == "__main__":
    main()
