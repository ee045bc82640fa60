"""The pipeline as Prefect sees it: every step a task run, every model and test of dbt one, too.

dbt goes on running in a process of its own (one invocation in each, decision 0050); that process is
told the flow run that it works for, and reports to it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import FlowRunContext
from prefect.logging import get_run_logger
from prefect.settings import get_current_settings
from prefect.tasks import Task, exponential_backoff

from python_ml.ingest.load import LoadReport
from python_ml.pipeline import Outcome, Pipeline, Request
from python_ml.settings import PROJECT_DIR, Settings, load_settings
from python_ml.training.bundles import AnyBundle
from python_ml.warehouse.dbt import DbtNode
from python_ml.warehouse.engines import require_postgres
from python_ml.warehouse.ledger import Writer
from python_ml.warehouse.transient import is_transient

T = TypeVar("T")

FLOW_RUN = "SMARTRETAIL_FLOW_RUN_ID"
"""Tells dbt's process which flow run it reports to."""


class ObservedPipeline(Pipeline):
    """The steps on one home, each shown as a task run of the flow run that calls it."""

    def __init__(self, settings: Settings, project_dir: Path = PROJECT_DIR) -> None:
        super().__init__(settings, say=_say, project_dir=project_dir)
        self.nodes: list[DbtNode] = []

    def load(self, *arguments: Any, **options: Any) -> LoadReport:
        """Load a source."""
        return step("load", lambda: super(ObservedPipeline, self).load(*arguments, **options))

    def build(
        self, request: Request, *, earlier: Sequence[date] = (), full_refresh: bool = False
    ) -> list[DbtNode]:
        """Build and test everything up to features and labels."""
        return step(
            "build",
            lambda: super(ObservedPipeline, self).build(
                request, earlier=earlier, full_refresh=full_refresh
            ),
        )

    def train(self, request: Request, name: str, *, retrain: bool = False) -> AnyBundle:
        """Train one prediction."""
        return step(
            f"train {name} {request.as_of}",
            lambda: super(ObservedPipeline, self).train(request, name, retrain=retrain),
        )

    def score(self, request: Request, name: str, bundle: AnyBundle) -> Outcome:
        """Score one prediction."""
        return step(
            f"score {name} {request.as_of}",
            lambda: super(ObservedPipeline, self).score(request, name, bundle),
        )

    def publish(
        self,
        writer: Writer,
        outcomes: Sequence[Outcome],
        *,
        as_history: bool = False,
        anyway: bool = False,
    ) -> list[Outcome]:
        """Build and test the mart rows, then bring the runs into force."""
        return step(
            "publish",
            lambda: super(ObservedPipeline, self).publish(
                writer, outcomes, as_history=as_history, anyway=anyway
            ),
        )

    def _beside_dbt(self) -> dict[str, str]:
        context = FlowRunContext.get()
        assert context is not None and context.flow_run is not None
        return {
            **get_current_settings().to_environment_variables(
                exclude_unset=True, include_secrets=True
            ),
            "PREFECT_API_URL": str(context.client.api_url),  # a temporary server's, too
            FLOW_RUN: str(context.flow_run.id),
        }

    def _dbt(self, arguments: Sequence[str]) -> list[DbtNode]:
        nodes = super()._dbt(arguments)
        self.nodes += nodes
        return nodes

    def _show(self, line: str) -> None:
        """Say nothing: what dbt prints stands in the logs of its task runs."""


def open_home(home: Path | None) -> ObservedPipeline:
    """Read the settings and open the home."""
    settings = load_settings(home=home)
    require_postgres(settings, "Prefect")
    return ObservedPipeline(settings)


def step(name: str, work: Callable[[], T]) -> T:
    """Do some work as a task run of its own."""
    return Task(work, name=name, cache_policy=NO_CACHE, persist_result=False)()


def again_where_it_helps(settings: Settings, name: str, work: Callable[[], T]) -> T:
    """Do some work as a task run that is tried again after a lost connection or a busy lock.

    The wait doubles each time, with up to as much again at random. What fails the same way the next
    time (wrong data, a failed test) fails at once.
    """
    return Task(
        work,
        name=name,
        cache_policy=NO_CACHE,
        persist_result=False,
        retries=settings.retries,
        retry_delay_seconds=exponential_backoff(settings.retry_delay_seconds),
        retry_jitter_factor=1,
        retry_condition_fn=_helps,
    )()


def _helps(_: Task[..., Any], __: TaskRun, state: State[Any]) -> bool:
    error = state.result(raise_on_failure=False)
    return isinstance(error, BaseException) and is_transient(error)


def _say(text: str) -> None:
    get_run_logger().info(text)
