"""Backtest: every month, training again at past dates on what was known then."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from prefect import flow

from flows.artifacts import leave_folds, leave_pooled
from flows.nights import telling
from flows.observed import again_where_it_helps, open_home
from python_ml.predictions import all_predictions


@flow(name="backtest")
def backtest(
    only: list[str] | None = None, folds: int = 6, home: Path | None = None
) -> dict[str, int]:
    """Measure every recipe at the newest month starts; the figures land in predictions.metrics.

    Args:
        only: Names of predictions; all by default.
        folds: How many month starts, the newest ones.
        home: The shop's home; SMARTRETAIL_HOME by default.

    Returns:
        How many dates were measured of each prediction.
    """
    pipeline = open_home(home)
    measured = {}
    with telling(pipeline.settings):
        for name in only or list(all_predictions()):
            attempt = partial(pipeline.backtest, pipeline.request(only=[name]), name, folds)
            found = again_where_it_helps(pipeline.settings, f"backtest {name}", attempt)
            leave_folds(name, found)
            leave_pooled(name, pipeline.pooled(name, found))
            measured[name] = sum(fold.skipped is None for fold in found)
    return measured


if __name__ == "__main__":
    backtest()
