"""Models that are ready to score, kept in step with what is in force."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from python_ml.api.problems import Problem
from python_ml.api.published import Ledger, PublishedRun
from python_ml.api.totals import NAME as TOTALS
from python_ml.api.totals import TotalsModel, totals_model
from python_ml.errors import SmartRetailError, WarehouseError
from python_ml.predictions import get_prediction
from python_ml.predictions.base import Prediction
from python_ml.scoring.one_statement import CompiledModels, compile_models
from python_ml.scoring.online import HABIT_MODELS, RISK_MODELS, Scorer, make_scorer
from python_ml.settings import Settings
from python_ml.warehouse.catalogue import built_catalogue, lineage_hashes
from python_ml.warehouse.postgres import Warehouse

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
RETRY_SECONDS = 30.0
AT_ONCE = 2
"""Questions that are scored at the same time: each keeps a core and a connection busy."""
MOST_WAITING = 32
SCORED = ("order_habit", "return_risk")

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Prepared:
    """What a prediction scores with; ``why_not`` where it cannot."""

    run: PublishedRun
    scorer: Scorer | None = None
    totals: TotalsModel | None = None
    why_not: str | None = None


class Desk:
    """Scorers of the runs in force.

    A new run's scorer is made beside the old one, which answers until then: publishing costs no
    request.
    """

    def __init__(
        self, settings: Settings, warehouse: Warehouse, ledger: Ledger, staging: Callable[[], str]
    ) -> None:
        self._settings = settings
        self._warehouse = warehouse
        self._ledger = ledger
        self._staging = staging
        self._prepared: dict[str, Prepared] = {}
        self._compiled: tuple[str, CompiledModels] | None = None
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0
        self.looked = False

    async def keep_up(self) -> None:
        """Follow the ledger until cancelled."""
        tried_at = float("-inf")
        clock = asyncio.get_running_loop().time
        while True:
            try:
                current = await self._ledger.in_force()
                again = clock() - tried_at > RETRY_SECONDS
                for name in SCORED:
                    run, had = current.get(name), self._prepared.get(name)
                    failed = had is not None and had.why_not is not None
                    if run is not None and (had is None or had.run != run or (failed and again)):
                        tried_at = clock()
                        self._prepared[name] = await asyncio.to_thread(self._prepare, run)
                self.looked = True
            except WarehouseError as error:
                log.warning("%s", error.message)
            except Exception:
                log.exception("preparing to score failed")
            await asyncio.sleep(LOOK_SECONDS)

    def _prepare(self, run: PublishedRun) -> Prepared:
        name = run.prediction
        prediction = get_prediction(name)
        assert isinstance(prediction, Prediction)
        try:
            catalogue = built_catalogue(self._warehouse, self._settings.dbt_target_dir, name)
            scorer = make_scorer(
                self._warehouse,
                self._models(),
                catalogue,
                self._settings.bundles_dir,
                prediction=name,
                run_id=run.run_id,
                bundle_id=run.bundle_id or "",
                as_of=run.as_of_date,
                horizon_days=run.horizon_days,
            )
            totals = None
            if name == "order_habit":
                totals = totals_model(
                    self._warehouse,
                    prediction,
                    catalogue,
                    self._settings.bundles_dir,
                    as_of=run.as_of_date,
                    horizon_days=run.horizon_days,
                    seed=self._settings.seed,
                    threads=self._settings.threads,
                )
        except SmartRetailError as error:
            log.warning("%s cannot be scored online: %s", name, error.message)
            return Prepared(run, why_not=error.message)
        return Prepared(run, scorer, totals)

    def _models(self) -> CompiledModels:
        """The compiled models, made anew when their logic has changed."""
        mark = repr(sorted(lineage_hashes(self._warehouse).items()))
        if self._compiled is None or self._compiled[0] != mark:
            models = tuple(dict.fromkeys((*HABIT_MODELS, *RISK_MODELS)))
            made = compile_models(self._settings, self._warehouse, self._staging(), models)
            self._compiled = (mark, made)
        return self._compiled[1]

    def waits_for(self, current: dict[str, PublishedRun]) -> list[str]:
        """What is in force and not ready to be scored with yet."""
        return [name for name in SCORED if name in current and name not in self._prepared]

    def why_not(self, prediction: str) -> str | None:
        """Why a prediction cannot be scored online; None where it can."""
        if prediction not in SCORED:
            return "This prediction has look-ups and lists alone."
        prepared = self._prepared.get(prediction)
        return "It is being made ready." if prepared is None else prepared.why_not

    async def prepared(self, prediction: str) -> tuple[PublishedRun, Scorer, TotalsModel | None]:
        """What a prediction scores with.

        Raises
        ------
        Problem
            ``no-published-run``, ``not-ready`` or ``no-model``.
        """
        found = self._prepared.get(prediction)
        if found is None:
            await self._ledger.run(prediction)
            raise Problem(
                "not-ready", f"{prediction} is being made ready to score.", {"Retry-After": "5"}
            )
        if found.scorer is None:
            raise Problem("no-model", found.why_not or "There is no model.")
        return found.run, found.scorer, found.totals

    async def totals(self) -> tuple[PublishedRun, TotalsModel]:
        """The small model of order habit.

        Raises
        ------
        Problem
            As :meth:`prepared`.
        """
        run, _, model = await self.prepared("order_habit")
        if model is None:
            raise Problem("no-model", f"There is no {TOTALS}.")
        return run, model

    async def ask(self, question: Callable[[], T]) -> T:
        """Answer a question that takes a while, a few at a time.

        Raises
        ------
        Problem
            ``too-many-requests`` when many wait already.
        """
        if self._waiting >= MOST_WAITING:
            raise Problem(
                "too-many-requests", "Many questions are waiting already.", {"Retry-After": "1"}
            )
        self._waiting += 1
        try:
            async with self._turn:
                return await asyncio.to_thread(question)
        finally:
            self._waiting -= 1
