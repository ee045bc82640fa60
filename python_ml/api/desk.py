"""Models that are ready to score, kept in step with what is in force."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar, cast

from python_ml.api.problems import Problem
from python_ml.api.published import Ledger, PublishedRun
from python_ml.api.totals import TotalsModel, totals_model
from python_ml.errors import SmartRetailError, WarehouseError
from python_ml.predictions import get_prediction
from python_ml.predictions.base import PairPrediction, Prediction
from python_ml.scoring.one_statement import CompiledModels, compile_models
from python_ml.scoring.online import HABIT_MODELS, RISK_MODELS, Scorer, make_scorer
from python_ml.scoring.online_pairs import ITEM_MODELS, PairScorer, make_pair_scorer
from python_ml.settings import Settings
from python_ml.training.pairs.snapshot import Catalogues
from python_ml.warehouse.catalogue import FeatureCatalogue, built_catalogue, lineage_hashes
from python_ml.warehouse.postgres import Warehouse

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
RETRY_SECONDS = 30.0
AT_ONCE = 2
"""Questions that are scored at the same time: each keeps a core and a connection busy."""
MOST_WAITING = 32
SCORED = ("order_habit", "return_risk", "purchase_potential")

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Prepared:
    """What a prediction scores with; ``why_not`` where it cannot."""

    run: PublishedRun
    scorer: Scorer | None = None
    totals: TotalsModel | None = None
    pairs: PairScorer | None = None
    why_not: str | None = None


async def _beside(work: Callable[[], T]) -> T:
    """Do long work in a thread that the end of the program does not wait for."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if done.done():  # nobody waits any more
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(cast(T, result))

    def run() -> None:
        result, error = None, None
        try:
            result = work()
        except BaseException as raised:
            error = raised
        with contextlib.suppress(RuntimeError):  # the program has ended meanwhile
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name="prepare", daemon=True).start()
    return await done


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
                        self._prepared[name] = await _beside(partial(self._prepare, run))
            except WarehouseError as error:
                log.warning("%s", error.message)
            except Exception:
                log.exception("preparing to score failed")
            await asyncio.sleep(LOOK_SECONDS)

    def _prepare(self, run: PublishedRun) -> Prepared:
        prediction = get_prediction(run.prediction)
        try:
            if isinstance(prediction, PairPrediction):
                return Prepared(run, pairs=self._pair_scorer(run, prediction))
            scorer = self._scorer(run)
            totals = None
            if run.prediction == "order_habit":
                totals = self._totals(run, prediction, scorer)
        except WarehouseError:
            raise  # it will be back
        except SmartRetailError as error:
            log.warning("%s cannot be scored online: %s", run.prediction, error.message)
            return Prepared(run, why_not=error.message)
        return Prepared(run, scorer, totals)

    def _scorer(self, run: PublishedRun) -> Scorer:
        return make_scorer(
            self._warehouse,
            self._models(),
            self._catalogue(run.prediction),
            self._settings.bundles_dir,
            prediction=run.prediction,
            run_id=run.run_id,
            bundle_id=run.bundle_id or "",
            as_of=run.as_of_date,
            horizon_days=run.horizon_days,
        )

    def _pair_scorer(self, run: PublishedRun, prediction: PairPrediction) -> PairScorer:
        name = run.prediction
        return make_pair_scorer(
            self._warehouse,
            self._models(),
            Catalogues(self._catalogue(name), self._catalogue(f"{name}_customers")),
            prediction,
            self._settings.bundles_dir,
            run_id=run.run_id,
            bundle_id=run.bundle_id or "",
            as_of=run.as_of_date,
        )

    def _totals(self, run: PublishedRun, prediction: Prediction, scorer: Scorer) -> TotalsModel:
        return totals_model(
            self._warehouse,
            prediction,
            scorer.catalogue,
            self._settings.bundles_dir,
            as_of=run.as_of_date,
            horizon_days=run.horizon_days,
            seed=self._settings.seed,
            threads=self._settings.threads,
        )

    def _catalogue(self, name: str) -> FeatureCatalogue:
        return built_catalogue(self._warehouse, self._settings.dbt_target_dir, name)

    def _models(self) -> CompiledModels:
        """The compiled models, made anew when their logic has changed."""
        mark = repr(sorted(lineage_hashes(self._warehouse).items()))
        if self._compiled is None or self._compiled[0] != mark:
            models = tuple(dict.fromkeys((*HABIT_MODELS, *RISK_MODELS, *ITEM_MODELS)))
            made = compile_models(self._settings, self._warehouse, self._staging(), models)
            self._compiled = (mark, made)
        return self._compiled[1]

    def waits_for(self, current: dict[str, PublishedRun]) -> list[str]:
        """What is in force and not ready to be scored with yet."""
        return [name for name in SCORED if name in current and name not in self._prepared]

    def why_not(self, prediction: str) -> str | None:
        """Why a prediction cannot be scored online; None where it can."""
        prepared = self._prepared.get(prediction)
        return "It is being made ready." if prepared is None else prepared.why_not

    async def _found(self, prediction: str) -> Prepared:
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
        if found.why_not is not None:
            raise Problem("no-model", found.why_not)
        return found

    async def scorer(self, prediction: str) -> tuple[PublishedRun, Scorer]:
        """The scorer of order habit or return risk; raises as :meth:`_found`."""
        found = await self._found(prediction)
        assert found.scorer is not None
        return found.run, found.scorer

    async def pair_scorer(self) -> tuple[PublishedRun, PairScorer]:
        """The scorer of purchase potential; raises as :meth:`_found`."""
        found = await self._found("purchase_potential")
        assert found.pairs is not None
        return found.run, found.pairs

    async def totals(self) -> tuple[PublishedRun, TotalsModel]:
        """The small model of order habit; raises as :meth:`_found`."""
        found = await self._found("order_habit")
        assert found.totals is not None
        return found.run, found.totals

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
