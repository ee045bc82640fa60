"""How many rows a training needs: hold-out losses of recipes fitted on ever more customers.

On a home that was built. The newest window that has closed is the test, as in a training; what was
known before it trains, whole customers drawn for each size, each draw within the next. The driver
of a big shop, on Spark or not, gets `max_training_rows` of the prediction and no more: the last
lines.

    python -m tests.bench.learning_curve --home HOME --prediction order_habit
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from sklearn.metrics import roc_auc_score

from python_ml.pipeline import Pipeline, Request
from python_ml.predictions import get_prediction
from python_ml.predictions.base import Prediction
from python_ml.settings import load_settings
from python_ml.training.dataset import read_training_frame
from python_ml.training.metrics import log_loss
from python_ml.training.splits import after_burn_in, at_most, latest_split

SMALLEST = 6_250
RECIPES = ("logistic", "boosted")


def measure(pipeline: Pipeline, request: Request, name: str) -> None:
    """Print a line for each number of rows: twice as many as before, up to all."""
    prediction, horizon_days = get_prediction(name), request.horizon_days[name]
    if not isinstance(prediction, Prediction):
        raise SystemExit(f"{name} ranks pairs: its sample is one of customers, not of rows")
    spec = prediction.spec(horizon_days)
    frame = read_training_frame(
        pipeline.warehouse,
        prediction,
        pipeline._catalogue(name),
        request.as_of,
        horizon_days,
        most_rows=spec.max_training_rows,
        keep_newest=spec.keep_newest,
    )
    split = latest_split(frame, request.as_of, spec.test_span_days)
    test = frame.rows(split.test)
    seen = after_burn_in(frame.rows(split.train), spec.burn_in_days)
    _say(
        f"{name}: {len(seen):,} rows of {seen.customers():,} customers at hand; tested on "
        f"{len(test):,} rows of {split.test_date}, {test.label.mean():.1%} of them yes"
    )
    _say("    rows  customers  recipe     log-loss     AUC  seconds")
    recipes = [recipe for recipe in spec.recipes if recipe.name in RECIPES]
    most = SMALLEST
    while True:
        train = at_most(seen, most, keep_newest=spec.keep_newest)
        for recipe in recipes:
            began = time.monotonic()
            model = recipe.fit(
                train.with_newest(test.features), seed=1, threads=pipeline.settings.threads
            )
            said = model.predict(test.features, horizon_days)
            _say(
                f"{len(train):>8,} {train.customers():>10,}  {recipe.name:<10} "
                f"{log_loss(test.label, said):.4f}  {roc_auc_score(test.label, said):.4f} "
                f"{time.monotonic() - began:>8.1f}"
            )
        if most >= len(seen):
            return
        most *= 2


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> None:
    """Measure one prediction of one home."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--prediction", default="order_habit")
    given = parser.parse_args()
    pipeline = Pipeline(load_settings(home=given.home))
    measure(pipeline, pipeline.request(only=[given.prediction]), given.prediction)


if __name__ == "__main__":
    main()
