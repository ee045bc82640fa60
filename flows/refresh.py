"""Refresh: build, train where it is needed, score and publish, as a Prefect flow.

Run it by hand with ``python -m flows.refresh``. dbt runs in a process of its own, so no two
invocations meet in one, and no Prefect timeout stands around it.
"""

from __future__ import annotations

from datetime import date

from prefect import flow, task
from prefect.logging import get_run_logger

from python_ml.pipeline import Outcome, Pipeline, Request
from python_ml.settings import Settings, load_settings


@flow(name="refresh")
def refresh(
    as_of: date | None = None,
    horizon_days: int | None = None,
    only: list[str] | None = None,
    settings: Settings | None = None,
) -> list[str]:
    """Bring the predictions up to date.

    Parameters
    ----------
    as_of
        Predict as of this midnight; the day after the newest row by default.
    horizon_days
        Days ahead; each prediction's own by default.
    only
        Names of predictions; all by default.
    settings
        Read from the environment by default.

    Returns
    -------
    list of str
        The runs that came into force.
    """
    pipeline = Pipeline(settings or load_settings(), say=get_run_logger().info)
    request = pipeline.request(as_of, horizon_days, only or [])
    with pipeline.writing() as writer:
        build(pipeline, request)
        outcomes = [
            pipeline.summarise_customers(request),
            *(predict(pipeline, request, name) for name in request.horizon_days),
        ]
        published = pipeline.publish(writer, outcomes)
    return [str(outcome.run_id) for outcome in published]


@task
def build(pipeline: Pipeline, request: Request) -> None:
    """Build and test everything up to features and labels."""
    pipeline.build(request)


@task
def predict(pipeline: Pipeline, request: Request, name: str) -> Outcome:
    """Train one prediction, unless a model for this very input is there, and score it."""
    return pipeline.predict(request, name)


if __name__ == "__main__":
    refresh()
