"""What scoring costs beside its floor: COPY of features out, bare trees, COPY of scores in.

On a home that was run: the newest bundle that holds a forest scores the rows that its run scored,
by the steps of the product, into a table like that of the scores. Beside it the same columns of the
same rows leave by COPY, the forest's `Booster.predict` runs on a matrix that is there already, and
the same scores come in by COPY from bytes in memory. Each figure is that of the fastest of five.
Where no forest was published, one is grown for the purpose and takes the place of the model.

    python -m tests.bench.score_against_copy --home .smartretail
"""

from __future__ import annotations

import argparse
import io
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import lightgbm as lgb
import numpy as np
import psycopg
import pyarrow as pa
import pyarrow.csv

from python_ml.pipeline import Pipeline, Request
from python_ml.predictions import get_prediction
from python_ml.predictions.base import Prediction
from python_ml.scoring.score import score
from python_ml.settings import load_settings
from python_ml.training.bundle import Bundle
from python_ml.training.dataset import read_features, read_training_frame
from python_ml.training.recipes.base import FittedModel
from python_ml.training.recipes.blend import BlendModel
from python_ml.training.recipes.boosted import Boosted, BoostedModel

T = TypeVar("T")

ROUNDS = 5
ROWS_TO_GROW_ON = 60_000
AT_MOST = 1.5
"""Seconds of reading, predicting and writing, by those of COPY, trees and COPY."""


def fastest(work: Callable[[], T]) -> tuple[float, T]:
    """Return the least seconds of some rounds, and what the last of them made."""
    seconds = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        made = work()
        seconds.append(time.perf_counter() - began)
    return min(seconds), made


def forest(model: FittedModel) -> BoostedModel | None:
    """The forest of a model that has one."""
    parts = model.parts.values() if isinstance(model, BlendModel) else [model]
    for part in parts:
        if isinstance(part, BoostedModel):
            return part
    return None


def grown(pipeline: Pipeline, request: Request, prediction: Prediction) -> BoostedModel:
    """A forest on what the home trains from, cut to the size of a quick effort."""
    frame = read_training_frame(
        pipeline.warehouse,
        prediction,
        pipeline._catalogue(prediction.name),
        request.as_of,
        request.horizon_days[prediction.name],
        most_rows=ROWS_TO_GROW_ON,
    )
    return Boosted().fit(frame, seed=1, threads=pipeline.settings.threads)


def copy_out(connection: psycopg.Connection[tuple[object, ...]], query: str) -> int:
    """Let rows leave by COPY in binary; return how many bytes."""
    statement = f"copy ({query}) to stdout (format binary)"
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        return sum(len(block) for block in copy)


def copy_in(connection: psycopg.Connection[tuple[object, ...]], columns: str, rows: bytes) -> None:
    """Let rows come by COPY from CSV, and commit."""
    connection.execute("truncate bench.scores")
    with (
        connection.cursor() as cursor,
        cursor.copy(f"copy bench.scores ({columns}) from stdin (format csv)") as copy,
    ):
        copy.write(rows)
    connection.commit()


def bare(booster: lgb.Booster, matrix: np.ndarray) -> np.ndarray:
    """Predict with the trees alone."""
    return np.asarray(booster.predict(matrix, raw_score=True))


def measure(pipeline: Pipeline, request: Request, name: str) -> None:
    """Print seconds of ours and of the floor, step by step."""
    warehouse, prediction = pipeline.warehouse, get_prediction(name)
    horizon_days = request.horizon_days[name]
    bundle = pipeline.newest_bundle(name, request.as_of, horizon_days)
    assert isinstance(prediction, Prediction) and isinstance(bundle, Bundle)
    catalogue = pipeline._catalogue(name)
    known_at = pipeline._label_known_at(name, request.as_of, horizon_days)
    trees = forest(bundle.published.model)
    recipe = bundle.recipe
    if trees is None:
        trees = grown(pipeline, request, prediction)
        recipe = f"{trees.booster.num_trees()} trees instead of {recipe}"
        bundle = replace(bundle, published=replace(bundle.published, model=trees))
    with warehouse.connect(autocommit=True) as connection:
        connection.execute("create schema if not exists bench")
        connection.execute("drop table if exists bench.scores")
        connection.execute(f"create table bench.scores (like predictions.{name} including all)")

    def write(scores: pa.Table) -> None:
        with warehouse.connect(autocommit=True) as connection:
            connection.execute("truncate bench.scores")
        with warehouse.bulk() as writer:
            writer.append("bench", "scores", scores)

    reading, (_, features) = fastest(
        lambda: read_features(warehouse, prediction, catalogue, request.as_of, horizon_days)
    )
    predicting, _ = fastest(lambda: bundle.predict(features))
    whole, scores = fastest(
        lambda: score(
            warehouse, prediction, catalogue, bundle, request.as_of, label_known_at=known_at
        )
    )
    scores = scores.append_column("run_id", pa.array(["bench"] * scores.num_rows, pa.string()))
    writing, _ = fastest(lambda: write(scores))

    wanted = ", ".join(f"features.{c}" for c in [*prediction.entity_columns, *catalogue.names])
    query = f"select {wanted} from {prediction.features_table} as features "
    if prediction.open_rows is None:
        query += f"where as_of_date = '{request.as_of}'"
    else:
        same = " and ".join(f"features.{k} = o.{k}" for k in prediction.entity_columns)
        query += (
            f"inner join {prediction.open_rows} as o on {same} "
            f"where o.horizon_days = {horizon_days} and o.as_of_date <= '{request.as_of}' "
            f"and (o.open_until is null or o.open_until > '{request.as_of}')"
        )
    matrix = trees.encoding.matrix(features)
    rows = io.BytesIO()
    pa.csv.write_csv(scores, rows, pa.csv.WriteOptions(include_header=False))
    with warehouse.connect() as connection:
        leaving, size = fastest(lambda: copy_out(connection, query))
        coming, _ = fastest(
            lambda: copy_in(connection, ", ".join(scores.column_names), rows.getvalue())
        )
    growing, _ = fastest(lambda: bare(trees.booster, matrix))

    ours, floor = reading + predicting + writing, leaving + growing + coming
    ratio = ours / floor
    sys.stdout.write(
        f"{name}, recipe {recipe}: {len(features):,} rows, {size / 1e6:.1f} MB of features\n"
        f"  read     {reading:7.3f} s   COPY out     {leaving:7.3f} s\n"
        f"  predict  {predicting:7.3f} s   bare trees   {growing:7.3f} s\n"
        f"  write    {writing:7.3f} s   COPY in      {coming:7.3f} s\n"
        f"  together {ours:7.3f} s                {floor:7.3f} s   ratio {ratio:.2f} "
        f"(goal: at most {AT_MOST:g}, {'met' if ratio <= AT_MOST else 'missed'})\n"
        f"  reasons of every row take {whole - reading - predicting:.3f} s beside that\n"
    )


def main() -> None:
    """Measure one prediction of one home on PostgreSQL."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, help="The home that holds the shop.")
    parser.add_argument("--prediction", default="return_risk")
    given = parser.parse_args()
    pipeline = Pipeline(load_settings(home=given.home))
    measure(pipeline, pipeline.request(only=[given.prediction]), given.prediction)


if __name__ == "__main__":
    main()
