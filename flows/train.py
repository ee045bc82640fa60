"""Train: every week, on everything that is known by then."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from prefect import flow
from prefect.logging import get_run_logger

from flows.artifacts import leave_metrics, leave_nodes
from flows.nights import NewRows, load_rows, telling
from flows.observed import again_where_it_helps, open_home
from python_ml.training.spec import TooSmallError


@flow(name="train")
def train(
    as_of: date | None = None,
    load: NewRows | None = None,
    only: list[str] | None = None,
    retrain: bool = False,
    home: Path | None = None,
) -> list[str]:
    """Build, then choose, measure and refit the models. Scores nothing, publishes nothing.

    Args:
        as_of: Train on what was known at this midnight; the day after the newest row by default.
        load: What to load first; the shop's own tables are read again without it.
        only: Names of predictions; all by default.
        retrain: Train even where a model for this very input is there.
        home: The shop's home; SMARTRETAIL_HOME by default.

    Returns:
        The bundles that the next scores are made with.
    """
    pipeline = open_home(home)

    def attempt() -> dict[str, str]:
        load_rows(pipeline, load)
        request = pipeline.request(as_of, only=only or [])
        bundles = {}
        with pipeline.writing():
            pipeline.build(request)
            for name in request.horizon_days:
                try:
                    bundles[name] = pipeline.train(request, name, retrain=retrain).bundle_id
                except TooSmallError as reason:
                    get_run_logger().info(reason.message)
        return bundles

    with telling(pipeline.settings):
        bundles = again_where_it_helps(pipeline.settings, "train all", attempt)
        for name, bundle_id in bundles.items():
            leave_metrics(pipeline.warehouse, name, bundle_id, "Trained")
        leave_nodes(pipeline.nodes)
    return list(bundles.values())


if __name__ == "__main__":
    train()
