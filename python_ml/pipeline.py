"""The road, step by step: load, build, train, score, publish.

The command line and the Prefect flows call these steps; none of them knows who called. Each can
be repeated: a step whose work is done already changes nothing.
"""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

import pandas as pd
import pyarrow as pa

from python_ml.errors import (
    BuildError,
    BundleError,
    GateError,
    InputError,
    InterruptedBuildError,
    NoModelError,
    StaleModelError,
    UnsettledError,
)
from python_ml.ingest.demo import DemoShop, write_demo_shop
from python_ml.ingest.load import LoadReport, captured_schema, check_shop, load, shop_source
from python_ml.ingest.load import Progress as LoadProgress
from python_ml.ingest.read import ReadOptions
from python_ml.ingest.sources import FLAT_FILE_SOURCE, ColumnMapping
from python_ml.predictions import all_predictions, get_prediction
from python_ml.predictions.base import AnyPrediction, PairPrediction, Prediction
from python_ml.reporting.landing import land_pair_training, land_training
from python_ml.scoring.executors import score_on_executors
from python_ml.scoring.new_lines import NewLines, ScoredLines, score_new_lines
from python_ml.scoring.online import bundle_folder
from python_ml.scoring.pairs import score_pairs
from python_ml.scoring.score import assumptions_hash, land, run_id, score
from python_ml.settings import PROJECT_DIR, Settings
from python_ml.settling import TAG as OUTCOMES_TAG
from python_ml.settling import only_outcomes_failed, outcomes_are_due
from python_ml.training.aside import Aside, TrainingJob
from python_ml.training.bundle import REFERENCE, Bundle, save_bundle
from python_ml.training.bundles import AnyBundle, load_any_bundle
from python_ml.training.choose import TrainingResult
from python_ml.training.dataset import read_features, read_training_frame
from python_ml.training.pairs.bundle import PairBundle, save_pair_bundle
from python_ml.training.pairs.snapshot import Catalogues
from python_ml.training.pairs.spec import PairSpec
from python_ml.training.pairs.train import train_pairs
from python_ml.training.spec import Effort, TooSmallError
from python_ml.training.tried import Tried
from python_ml.warehouse.bi_copy import refresh_copy
from python_ml.warehouse.catalogue import (
    FeatureCatalogue,
    built_catalogue,
    feature_hash,
    lineage_hashes,
)
from python_ml.warehouse.dbt import DbtNode, run_dbt
from python_ml.warehouse.duckdb_file import DuckDBWarehouse
from python_ml.warehouse.engines import open_warehouse, require_postgres
from python_ml.warehouse.ledger import (
    Entry,
    Run,
    Writer,
    find_run,
    in_force,
    is_published,
    published_dates,
    run_rows,
    utc_now,
    write_lock,
)
from python_ml.warehouse.postgres import Warehouse
from python_ml.warehouse.spark import SparkWarehouse
from python_ml.watch.backtest import FoldTried, PooledLine, land_pooled, pool
from python_ml.watch.challenge import Champion, challenge, challenge_of_pairs
from python_ml.watch.champion import champion_of, recipe_beside
from python_ml.watch.gates import (
    Gates,
    pair_reference,
    refusal,
    row_reference,
    run_detail,
    verdicts_of,
)
from python_ml.watch.shadows import compare_shadows
from python_ml.watch.thresholds import read_thresholds

log = logging.getLogger(__name__)

Say = Callable[[str], None]


Training = Literal["always", "if_changed", "never"]
"""Whether a night trains: on its own input, only where no model fits, or not at all."""

CUSTOMERS = "customers"
"""The customer summary is published beside the predictions, under this name."""

CUSTOMER_FEATURES = "order_habit"
"""The prediction whose features it is made of."""

DEMO = "demo"

BUILD = ("build", "--exclude-resource-type", "unit_test")
"""Unit tests of SQL are for its authors and for CI; a shop's nightly run tests its data."""


@dataclass(frozen=True)
class Request:
    """What one run is asked for.

    Parameters
    ----------
    as_of
        Only facts known before this midnight are used.
    horizon_days
        Per prediction.
    """

    as_of: date
    horizon_days: dict[str, int]


@dataclass(frozen=True)
class Outcome:
    """What became of one prediction in one run.

    ``skipped`` holds the reason where there is one; ``recipe``, ``bundle_id`` and ``horizon_days``
    are empty where no model is involved.
    """

    prediction: str
    run_id: str | None = None
    rows: int = 0
    recipe: str | None = None
    bundle_id: str | None = None
    horizon_days: int = 0
    skipped: str | None = None


@dataclass(frozen=True)
class Fold:
    """What one past as-of date of a backtest gave, measured with what was known by then.

    ``skipped`` holds the reason where the shop was too small or too young then.
    """

    as_of: date
    recipe: str | None = None
    bundle_id: str | None = None
    tested_on: date | None = None
    log_loss: float | None = None
    auc: float | None = None
    skipped: str | None = None


@dataclass(frozen=True, eq=False)
class _Begun:
    """A training in another process: what it looks at, whom it challenges, what comes of it."""

    job: TrainingJob
    champion: Champion | None
    result: Future[TrainingResult]


class Pipeline:
    """The steps on one home.

    Parameters
    ----------
    settings
        Which home and which warehouse.
    say
        Called with a sentence whenever a step begins or has something to tell.
    """

    def __init__(
        self, settings: Settings, say: Say | None = None, project_dir: Path = PROJECT_DIR
    ) -> None:
        self.settings = settings
        self.project_dir = project_dir
        self._say = say or log.info
        self._writer: Writer | None = None
        self._begun: dict[str, _Begun] = {}

    @cached_property
    def warehouse(self) -> Warehouse:
        """The shop's database; the embedded server is started when none is configured."""
        return open_warehouse(self.settings)

    @contextmanager
    def writing(self) -> Iterator[Writer]:
        """Hold the shop's lock while steps change it.

        When the lock is lost half way, dbt is ended and the next step refuses to begin.
        """
        with write_lock(self.warehouse, self.settings.lock_wait_seconds) as writer:
            self._writer = writer
            try:
                yield writer
            finally:
                self._writer = None

    @cached_property
    def gates(self) -> Gates:
        """What scores are held against before they are published."""
        return Gates(self.warehouse, read_thresholds(self.settings.gates_file))

    def _check_lock(self) -> None:
        if self._writer is not None:
            self._writer.check()

    def today(self) -> date:
        """The day it is where the shop is."""
        return datetime.now(ZoneInfo(self.settings.time_zone)).date()

    # -- load --------------------------------------------------------------------------------

    def load(
        self,
        source: str,
        paths: Sequence[Path] = (),
        mapping: ColumnMapping | None = None,
        options: ReadOptions | None = None,
        *,
        schema: str | None = None,
        same_shop: bool = False,
        on_progress: LoadProgress | None = None,
    ) -> LoadReport:
        """Load a source: files, or the tables of a schema; ``demo`` makes its own files.

        Without either, the schema that the home was last captured from is captured again.
        """
        check_shop(self.warehouse, source)
        if not paths and schema is None and source != DEMO:
            schema = captured_schema(self.warehouse, source, self.project_dir)
        staging = source
        if source == DEMO:
            staging, paths = FLAT_FILE_SOURCE, [self._demo_file()]
            mapping = mapping or DEMO_MAPPING
        if not paths and schema is None:
            raise InputError(
                f"--source {source} needs files.",
                "Add --path FILE_OR_FOLDER (may be repeated), "
                "or --schema NAME where the tables stand in the same database.",
            )
        if paths and schema is not None:
            raise InputError("--path and --schema at once.", "Load from files or from a schema.")
        self._say(f"Loading {schema or ', '.join(path.name for path in paths)}")
        return load(
            self.warehouse,
            source,
            paths,
            mapping,
            options,
            staging=staging,
            schema=schema,
            same_shop=same_shop,
            home=self.settings.home,
            reject_threshold=self.settings.reject_threshold,
            on_progress=on_progress,
            project_dir=self.project_dir,
        )

    def _demo_file(self) -> Path:
        folder = self.settings.home / "demo"
        path = folder / "order_lines.parquet"
        if not path.exists():
            self._say("Simulating the demo shop")
            path = write_demo_shop(DemoShop(), folder).order_lines
        return path

    # -- what is asked -----------------------------------------------------------------------

    def request(
        self,
        as_of: date | None = None,
        horizon_days: int | None = None,
        only: Sequence[str] = (),
    ) -> Request:
        """Fill in what was not said: the day after the newest row, each prediction's own horizon.

        Raises
        ------
        InputError
            When nothing was loaded, or the date lies where the shop's data do not reach.
        """
        newest = self.newest_input()
        if newest is None:
            raise InputError(
                "Nothing was loaded yet.",
                "Run `smartretail load`, or `smartretail run` for a demo.",
            )
        as_of = as_of or newest.date() + timedelta(days=1)
        if as_of > max(self.today(), newest.date()) + timedelta(days=1):
            raise InputError(f"--as-of {as_of} lies in the future.", "Choose a day up to tomorrow.")
        if as_of > newest.date() + timedelta(days=31):
            raise InputError(
                f"--as-of {as_of} is more than a month after the newest row ({newest:%Y-%m-%d}): "
                "everybody would look as if they had stopped ordering.",
                "Load the rows up to that day first, or choose an earlier day.",
            )
        predictions = [get_prediction(name) for name in only] or list(all_predictions().values())
        return Request(as_of, {p.name: horizon_days or p.horizon_days for p in predictions})

    def newest_input(self) -> datetime | None:
        """The newest time among the rows loaded; None where nothing was loaded."""
        if not self.warehouse.relation_exists("raw", "loads"):
            return None
        with self.warehouse.connect() as connection:
            row = connection.execute("select max(newest_in_file) from raw.loads").fetchone()
        return row[0] if row else None

    # -- build -------------------------------------------------------------------------------

    def ask(self, request: Request) -> None:
        """Remember what is asked for: the next build makes those as-of dates."""
        # features of customers feed the customer summary, whatever else is asked for
        summary = {CUSTOMER_FEATURES: get_prediction(CUSTOMER_FEATURES).horizon_days}
        with self.warehouse.connect() as connection:
            for prediction, horizon_days in {**summary, **request.horizon_days}.items():
                connection.execute(
                    "insert into raw.as_of_requests values (%s, %s, %s, %s) on conflict do nothing",
                    (prediction, request.as_of, horizon_days, utc_now()),
                )

    def build(
        self, request: Request, *, earlier: Sequence[date] = (), full_refresh: bool = False
    ) -> list[DbtNode]:
        """Build staging, the shop model, features and labels, and test them.

        A feature whose logic changed since it was last built is rebuilt with its history.

        Parameters
        ----------
        earlier
            Further as-of dates to build in the same go.
        """
        for day in earlier:
            self.ask(replace(request, as_of=day))
        self.ask(request)
        before = lineage_hashes(self.warehouse)
        arguments = [*BUILD, "--exclude", "source:predictions+"]
        nodes = self._dbt([*arguments, *(["--full-refresh"] if full_refresh else [])])
        after = lineage_hashes(self.warehouse)
        for model in sorted(name for name in before if before[name] != after.get(name)):
            self._say(f"{model} changed: its history was rebuilt; train before scoring")
        for name in request.horizon_days:
            self._catalogue(name)
        return nodes

    def _catalogue(self, name: str) -> FeatureCatalogue:
        return built_catalogue(self.warehouse, self.settings.dbt_target_dir, name)

    def _dbt(self, arguments: Sequence[str]) -> list[DbtNode]:
        self._say(f"dbt {arguments[0]}")
        return run_dbt(
            self.settings,
            self.warehouse,
            self.staging(),
            arguments,
            project_dir=self.project_dir,
            extra_environment=self._beside_dbt(),
            on_line=self._show,
            stop=self._writer.lost if self._writer is not None else None,
        )

    def _beside_dbt(self) -> dict[str, str]:
        """Variables that dbt's process gets beside its own."""
        return {}

    def _show(self, line: str) -> None:
        """Say of what dbt prints that something was made."""
        text = line[10:].strip() if line[2:3] == ":" else line
        if " OK created " in text or text.startswith(("Finished", "Found")):
            self._say("dbt: " + re.split(r" \.*\s*\[", text)[0])  # without dots and time at its end

    def staging(self) -> str:
        """The staging folder of the shop that this home holds."""
        held = shop_source(self.warehouse)
        return held[1] if held else FLAT_FILE_SOURCE

    # -- train -------------------------------------------------------------------------------

    def train(self, request: Request, name: str, *, retrain: bool = False) -> AnyBundle:
        """Train one prediction on what was known at the as-of date, and keep the bundle.

        With the same features, input and settings as before, the bundle made then is used.

        Raises
        ------
        TooSmallError
            When the shop is too small for every recipe; other predictions go on.
        """
        prediction = get_prediction(name)
        horizon_days = request.horizon_days[name]
        folder = self._bundle_dir(prediction, request.as_of, horizon_days)
        if not retrain and self._has_bundle(request, name):
            return load_any_bundle(prediction, folder)
        # its figures are in the warehouse before the bundle counts as there
        draft = folder.with_name(f".{folder.name}.draft")
        shutil.rmtree(draft, ignore_errors=True)
        if isinstance(prediction, PairPrediction):
            self._train_pairs(request, prediction, draft)
        else:
            self._train_rows(request, prediction, draft)
        self._check_lock()
        shutil.rmtree(folder, ignore_errors=True)
        draft.rename(folder)
        return load_any_bundle(prediction, folder)

    @contextmanager
    def training_beside(
        self, request: Request, names: Sequence[str], *, retrain: bool = False
    ) -> Iterator[None]:
        """Begin to train, of these, what can be trained beside pairs.

        Training pairs reads the warehouse as it goes, so that it stays here; predictions of rows
        train meanwhile in a process of their own, where there is more than one thread to share.
        """
        missing = {
            name: get_prediction(name)
            for name in names
            if name != CUSTOMERS and (retrain or not self._has_bundle(request, name))
        }
        of_rows = {name: p for name, p in missing.items() if isinstance(p, Prediction)}
        if self.settings.threads == 1 or len(of_rows) in (0, len(missing)):
            yield
            return
        with Aside(self.settings.threads - self.settings.threads // 2, self._say) as aside:
            for name, prediction in of_rows.items():
                with suppress(TooSmallError):  # said when its turn comes
                    job, champion = self._training_job(request, prediction)
                    self._begun[name] = _Begun(job, champion, aside.begin(name, job))
            try:
                yield
            finally:
                self._begun.clear()

    def _has_bundle(self, request: Request, name: str) -> bool:
        folder = self._bundle_dir(get_prediction(name), request.as_of, request.horizon_days[name])
        return (folder / "bundle.json").exists()

    def _threads(self) -> int:
        """Threads for training here: half of them while another process trains."""
        is_shared = not all(begun.result.done() for begun in self._begun.values())
        return self.settings.threads // (2 if is_shared else 1)

    def _training_job(
        self, request: Request, prediction: Prediction
    ) -> tuple[TrainingJob, Champion | None]:
        """Read what a prediction of entities is trained on, and whom it is to challenge.

        Raises
        ------
        TooSmallError
            When nothing can be learned yet.
        """
        name, horizon_days = prediction.name, request.horizon_days[prediction.name]
        catalogue = self._catalogue(name)
        spec = prediction.spec(horizon_days)
        frame = read_training_frame(
            self.warehouse,
            prediction,
            catalogue,
            request.as_of,
            horizon_days,
            most_rows=spec.max_training_rows,
            keep_newest=spec.keep_newest,
        )
        if not frame.label.any() and prediction.without_yes is not None:
            raise TooSmallError(
                f"{name} is skipped: {prediction.without_yes}",
                "Nothing needs to be done; it goes on once the shop's data say otherwise.",
            )
        if len(frame) == 0:
            raise TooSmallError(
                f"{name} is skipped: no_matured_labels: no window of {horizon_days} days "
                f"has closed by {request.as_of}.",
                "Load more history, or ask for a shorter horizon with --horizon-days.",
            )
        _, newest = read_features(
            self.warehouse,
            prediction,
            catalogue,
            request.as_of,
            horizon_days,
            most_rows=spec.max_training_rows,
        )
        self._say(f"Training {name} on {len(frame):,} rows of {len(frame.dates())} as-of dates")
        held = self._champion(request, name)
        champion = None if held is None else champion_of(held, feature_hash(self.warehouse, name))
        job = TrainingJob(
            spec,
            frame,
            as_of=request.as_of,
            seed=self.settings.seed,
            newest=newest if len(newest) else None,
            effort=self.effort(),
            beside=recipe_beside(held, champion),
            tried_on=None if champion is None else champion.tried_on,
        )
        return job, champion

    def _train_rows(self, request: Request, prediction: Prediction, draft: Path) -> None:
        """Train a prediction of entities into a folder, and land what was measured."""
        name = prediction.name
        begun = self._begun.pop(name, None)
        if begun is not None:
            job, champion, result = begun.job, begun.champion, begun.result.result()
        else:
            job, champion = self._training_job(request, prediction)
            result = job.train(self._threads(), self._say)
        came_of_it = None
        if champion is not None:
            came_of_it = challenge(
                champion,
                result.chosen,
                result.tried,
                margin=self.gates.thresholds.challenger_margin,
                seed=self.settings.seed,
            )
            self._say(came_of_it.text)
        bundle_id = save_bundle(
            result,
            draft,
            feature_hash=feature_hash(self.warehouse, name),
            beside={REFERENCE: row_reference(prediction, job.frame)},
            challenge=None if came_of_it is None else came_of_it.to_dict(),
        )
        land_training(self.warehouse, name, bundle_id, result)

    def _train_pairs(self, request: Request, prediction: PairPrediction, draft: Path) -> None:
        """Train a prediction of pairs into a folder, and land what was measured."""
        name, horizon_days = prediction.name, request.horizon_days[prediction.name]
        spec = self._pair_spec(prediction)
        results = train_pairs(
            self.warehouse,
            prediction,
            self._catalogues(name),
            spec,
            as_of=request.as_of,
            horizon_days=horizon_days,
            seed=self.settings.seed,
            threads=self._threads,
            say=self._say,
        )
        held = self._champion(request, name)
        came_of_it = None
        if held is not None:
            came_of_it = challenge_of_pairs(
                champion_of(held, feature_hash(self.warehouse, name)),
                {result.level: result.chosen for result in results},
                {result.level: result.ndcg_gains() for result in results},
                margin=self.gates.thresholds.challenger_margin,
            )
            self._say(came_of_it.text)
        bundle_id = save_pair_bundle(
            results,
            draft,
            prediction=name,
            as_of=request.as_of,
            horizon_days=horizon_days,
            seed=self.settings.seed,
            feature_hash=feature_hash(self.warehouse, name),
            candidates=spec.candidates,
            most_items=spec.most_items,
            beside={
                REFERENCE: pair_reference(
                    self.warehouse, prediction, self._catalogues(name), request.as_of, horizon_days
                )
            },
            challenge=None if came_of_it is None else came_of_it.to_dict(),
        )
        land_pair_training(self.warehouse, name, bundle_id, results)

    def _champion(self, request: Request, name: str) -> AnyBundle | None:
        """Load the model of the run in force; None for a first run, another horizon or the past."""
        held = find_run(self.warehouse, in_force(self.warehouse).get(name, ""))
        if held is None or held.bundle_id is None:
            return None
        if held.horizon_days != request.horizon_days[name] or held.as_of_date > request.as_of:
            return None
        try:
            return self._bundle(name, held.bundle_id)
        except BundleError as reason:
            self._say(f"{name}: no champion to compare with: {reason.message}")
            return None

    def _bundle(self, name: str, bundle_id: str) -> AnyBundle:
        folder = bundle_folder(self.settings.bundles_dir / name, bundle_id)
        return load_any_bundle(get_prediction(name), folder)

    def may_score(self, bundle: AnyBundle) -> bool:
        """Whether a model may be published: it lost no challenge, or somebody published it."""
        if bundle.challenge.get("promoted", True):
            return True
        with self.warehouse.connect() as connection:
            row = connection.execute(
                "select 1 from predictions.runs as runs "
                "inner join predictions.run_events as events on events.run_id = runs.run_id "
                "where runs.bundle_id = %s and events.event = 'published' limit 1",
                (bundle.bundle_id,),
            ).fetchone()
        return row is not None

    def _pair_spec(self, prediction: PairPrediction) -> PairSpec:
        return replace(prediction.efforts[self.effort()], candidates=self.settings.candidates)

    def _catalogues(self, name: str) -> Catalogues:
        return Catalogues(self._catalogue(name), self._catalogue(f"{name}_customers"))

    def _bundle_dir(self, prediction: AnyPrediction, as_of: date, horizon_days: int) -> Path:
        key = run_id(
            prediction.name,
            as_of,
            horizon_days,
            feature_hash(self.warehouse, prediction.name),
            self._input_mark(),
            self.settings.seed,
            self.effort(),
        )
        return self.settings.bundles_dir / prediction.name / f"{as_of}_{horizon_days}d_{key[:12]}"

    def effort(self) -> Effort:
        """How hard training tries: as set, else normal, and quick for the demo shop."""
        held = shop_source(self.warehouse)
        return self.settings.effort or ("quick" if held and held[0] == DEMO else "normal")

    def _input_mark(self) -> str:
        """What has been loaded so far, in one word."""
        with self.warehouse.connect() as connection:
            row = connection.execute(
                "select coalesce(max(load_id), 0), coalesce(sum(rows_loaded), 0) "
                "from raw.loads where rows_loaded > 0"
            ).fetchone()
        return f"{row[0]}:{row[1]}" if row else "0:0"

    def newest_bundle(self, name: str, as_of: date, horizon_days: int) -> AnyBundle:
        """The newest bundle of a prediction that fits the features as they are now.

        Raises
        ------
        BundleError
            When there is none.
        StaleModelError
            When there are some, but the features have changed since.
        """
        folders = (self.settings.bundles_dir / name).glob(f"*_{horizon_days}d_*/bundle.json")
        usable = [path.parent for path in folders if path.parent.name[:10] <= as_of.isoformat()]
        if not usable:
            raise NoModelError(
                f"There is no trained model of {name} for {horizon_days} days up to {as_of}.",
                f"Run `smartretail train --as-of {as_of}`.",
            )
        newest_first = sorted(
            usable,
            key=lambda path: (path.name[:10], (path / "bundle.json").stat().st_mtime, path.name),
            reverse=True,
        )
        current = feature_hash(self.warehouse, name)
        for folder in newest_first:
            bundle = load_any_bundle(get_prediction(name), folder)
            if bundle.feature_hash == current and self.may_score(bundle):
                return bundle
        raise StaleModelError(
            f"The features of {name} have changed since its model was trained; "
            "nothing was scored, the last published run stays in force.",
            f"Run `smartretail train --as-of {as_of}`, then score again.",
        )

    # -- score -------------------------------------------------------------------------------

    def score(self, request: Request, name: str, bundle: AnyBundle) -> Outcome:
        """Score one prediction at the as-of date and land the scores.

        Raises
        ------
        StaleModelError
            When the features have changed since the bundle was trained.
        """
        current = feature_hash(self.warehouse, name)
        if bundle.feature_hash != current:
            raise StaleModelError(
                f"The features of {name} have changed since its model was trained.",
                f"Run `smartretail train --as-of {request.as_of}` first.",
            )
        horizon_days = request.horizon_days[name]
        mark, assumptions = self._input_mark(), assumptions_hash(self.project_dir)
        identity = run_id(
            name,
            request.as_of,
            horizon_days,
            bundle.bundle_id,
            current,
            mark,
            assumptions,
            self.gates.thresholds.digest,
        )
        known_rows = run_rows(self.warehouse, identity)
        if known_rows is not None:
            return _scored(name, identity, known_rows, bundle)
        self._say(f"Scoring {name} as of {request.as_of}")
        seen: list[pd.DataFrame] = []
        scores = self._scores(request, name, bundle, look=seen.append)
        prediction = get_prediction(name)
        of_pairs = isinstance(prediction, PairPrediction)
        verdict = self.gates.judge(
            prediction,
            self._catalogues(name) if of_pairs else self._catalogue(name),
            bundle,
            as_of=request.as_of,
            input_mark=mark,
            scores=scores,
            features=seen[0] if seen else None,
        )
        run = Run(
            identity,
            name,
            request.as_of,
            horizon_days,
            bundle.bundle_id,
            bundle.recipe,
            current,
            self.newest_input(),
            scores.num_rows,
            run_detail(bundle.calibration_note, verdict),
        )
        self._check_lock()
        land(self.warehouse, run, scores)
        return _scored(name, identity, scores.num_rows, bundle)

    def score_lines(self, request: Request, name: str, new_lines: NewLines) -> ScoredLines:
        """Score order lines of a file, which the home does not take in.

        Raises
        ------
        InputError
            When the prediction is not one of order lines, or the file does not fit the home.
        """
        require_postgres(self.settings, "`score --lines`")
        prediction = get_prediction(name)
        if not isinstance(prediction, Prediction) or prediction.open_rows is None:
            raise InputError(
                f"{name} does not speak of order lines.", "Leave out --lines, or name return_risk."
            )
        bundle = self.newest_bundle(name, request.as_of, request.horizon_days[name])
        assert isinstance(bundle, Bundle)
        self._say(f"Scoring {new_lines.path.name} with what was known at {request.as_of}")
        return score_new_lines(
            self.settings,
            self.warehouse,
            self.staging(),
            prediction=prediction,
            catalogue=self._catalogue(name),
            bundle=bundle,
            new_lines=new_lines,
            as_of=request.as_of,
            project_dir=self.project_dir,
            on_line=self._show,
        )

    def _scores(
        self,
        request: Request,
        name: str,
        bundle: AnyBundle,
        *,
        look: Callable[[pd.DataFrame], None],
    ) -> pa.Table:
        prediction = get_prediction(name)
        label_known_at = self._label_known_at(name, request.as_of, request.horizon_days[name])
        if isinstance(prediction, PairPrediction) and isinstance(bundle, PairBundle):
            return score_pairs(
                self.warehouse,
                prediction,
                self._catalogues(name),
                bundle,
                request.as_of,
                most_products=self.settings.products_per_customer,
                label_known_at=label_known_at,
                on_step=self._say,
            )
        assert isinstance(prediction, Prediction) and isinstance(bundle, Bundle)
        if isinstance(self.warehouse, SparkWarehouse):
            return score_on_executors(
                self.warehouse,
                prediction,
                self._catalogue(name),
                bundle,
                bundle_folder(self.settings.bundles_dir / name, bundle.bundle_id),
                as_of=request.as_of,
                label_known_at=label_known_at,
                look=look,
            )
        return score(
            self.warehouse,
            prediction,
            self._catalogue(name),
            bundle,
            request.as_of,
            label_known_at=label_known_at,
            look=look,
        )

    def summarise_customers(self, request: Request) -> Outcome:
        """Register the customer summary of the as-of date; dbt fills it from the features."""
        current = feature_hash(self.warehouse, CUSTOMER_FEATURES)
        identity = run_id(CUSTOMERS, request.as_of, current, self._input_mark())
        known_rows = run_rows(self.warehouse, identity)
        if known_rows is not None:
            return Outcome(CUSTOMERS, identity, known_rows)
        with self.warehouse.connect() as connection:
            row = connection.execute(
                "select count(*) from features.feat_order_habit where as_of_date = %s",
                (request.as_of,),
            ).fetchone()
        rows = int(row[0]) if row else 0
        run = Run(
            identity, CUSTOMERS, request.as_of, 0, None, None, current, self.newest_input(), rows
        )
        land(self.warehouse, run, None)
        return Outcome(CUSTOMERS, identity, rows)

    def _label_known_at(self, name: str, as_of: date, horizon_days: int) -> date:
        with self.warehouse.connect() as connection:
            row = connection.execute(
                "select label_known_at from intermediate.int_as_of_dates "
                "where prediction = %s and as_of_date = %s and horizon_days = %s",
                (name, as_of, horizon_days),
            ).fetchone()
        if row is None:
            raise InputError(
                f"{as_of} with {horizon_days} days was not built for {name}.",
                f"Run `smartretail build --as-of {as_of} --horizon-days {horizon_days}`.",
            )
        known_at: date = row[0]
        return known_at

    def predict(
        self,
        request: Request,
        name: str,
        *,
        retrain: bool = False,
        training: Training = "always",
    ) -> Outcome:
        """Train one prediction, unless a model for this very input is there, and score it.

        A prediction that cannot be made for this shop comes back skipped, with its reason.

        Parameters
        ----------
        training
            With ``if_changed`` the newest model that fits the features scores, and one is trained
            where there is none. With ``never`` a prediction without any model is skipped, and one
            whose models fit no more is an error.
        """
        try:
            bundle = self._bundle_for(request, name, retrain, training)
        except (TooSmallError, NoModelError) as reason:
            self._say(reason.message)
            return Outcome(name, skipped=reason.message)
        if self.may_score(bundle):
            return self.score(request, name, bundle)
        return self._score_beside(request, name, bundle)

    def _predict_all(
        self, request: Request, names: Sequence[str], *, retrain: bool, training: Training
    ) -> list[Outcome]:
        """Summarise customers and make every prediction."""
        may_train = names if training == "always" else []
        with self.training_beside(request, may_train, retrain=retrain):
            outcomes = {
                name: self.summarise_customers(request)
                if name == CUSTOMERS
                else self.predict(request, name, retrain=retrain, training=training)
                for name in sorted(
                    names, key=self._begun.__contains__
                )  # what is being trained comes last
            }
        return [outcomes[name] for name in names]

    def _score_beside(self, request: Request, name: str, challenger: AnyBundle) -> Outcome:
        """Keep the scores of a challenger that stays out, and score with the champion.

        The ledger says why the challenger's run is not published; its scores wait for the truth.

        Raises
        ------
        GateError
            When the champion knew other features: then the last published run stays in force.
        """
        why = str(challenger.challenge["text"])
        shadow = self.score(request, name, challenger)
        if self._writer is not None:
            self._writer.record([(shadow.run_id, name)], "refused", why)
        champion = self._bundle(name, str(challenger.challenge["champion"]))
        if champion.feature_hash != feature_hash(self.warehouse, name):
            raise GateError(
                f"{name}: {why}. The features have changed since the champion was trained, so that "
                "it cannot score either; the last published run stays in force.",
                "Undo the change of the features, or, if the new model is wanted, type "
                f"`smartretail publish --run {shadow.run_id} --as-of {request.as_of}`.",
            )
        self._say(f"{name}: {why}; the champion scores")
        return self.score(request, name, champion)

    def _bundle_for(
        self, request: Request, name: str, retrain: bool, training: Training
    ) -> AnyBundle:
        if training == "always":
            return self.train(request, name, retrain=retrain)
        try:
            return self.newest_bundle(name, request.as_of, request.horizon_days[name])
        except (BundleError, StaleModelError) as reason:
            if training == "never":
                raise
            self._say(f"{reason.message} Training.")
            return self.train(request, name)

    # -- publish -----------------------------------------------------------------------------

    def publish(
        self,
        writer: Writer,
        outcomes: Sequence[Outcome],
        *,
        as_history: bool = False,
        anyway: bool = False,
    ) -> list[Outcome]:
        """Build and test the mart rows, then bring all scored runs into force together.

        What was skipped goes into the ledger with its reason. What moved beyond a gate's warning is
        published with it.

        Parameters
        ----------
        as_history
            Leave in force what speaks of a later date: the runs are published beside it, whatever
            the gates say of them: history cannot be loaded anew.
        anyway
            Publish what the gates refuse; the ledger keeps what they said.

        Returns
        -------
        list of Outcome
            Those that were published now.

        Raises
        ------
        BuildError
            When a model or test fails; nothing is published then, and the ledger says so.
        GateError
            When something moved further than it may; the same holds then.
        UnsettledError
            When nothing failed but outcomes of earlier runs; the runs are published.
        """
        for outcome in outcomes:
            if outcome.skipped:
                writer.record([(None, outcome.prediction)], "skipped", outcome.skipped)
        current = in_force(self.warehouse)
        waiting = [
            outcome
            for outcome in outcomes
            if outcome.run_id
            and current.get(outcome.prediction) != outcome.run_id
            and not (as_history and is_published(self.warehouse, outcome.run_id))
        ]
        runs = [(str(o.run_id), o.prediction) for o in waiting]
        if not runs:
            self._say("Nothing new to publish")
            self.settle(writer)
            self.copy_for_bi()
            return []
        told = self._pass_gates(writer, runs, anyway=anyway or as_history)
        writer.record(runs, "checking")
        unsettled: BuildError | None = None
        try:
            self._build_marts(["source:predictions+", "resource_type:seed"])
        except Exception as error:
            if not isinstance(error, BuildError) or not self._is_of_outcomes(error):
                writer.record(runs, "refused", " ".join(str(error).split())[:500])
                raise
            unsettled = error
        writer.record(runs, "checked")
        published = [
            Entry(run_id, name, "published", "; ".join(filter(None, (told.get(name), news))))
            for run_id, name in runs
            for news in (self._news_of_model(name, run_id, current.get(name, "")),)
        ]
        writer.record_together(published + (self._kept(waiting, current) if as_history else []))
        self.copy_for_bi()
        if unsettled is not None:
            raise self._unsettled(writer, unsettled)
        return waiting

    def _build_marts(self, selected: Sequence[str]) -> None:
        left_out = self.warehouse.not_published
        self._dbt([*BUILD, "--select", *selected, *(["--exclude", *left_out] if left_out else [])])

    def copy_for_bi(self) -> None:
        """Bring the copy that BI reads up to what is in force, where the database is a file."""
        folder = self.settings.home / "bi"
        self.warehouse.after_publishing()
        if isinstance(self.warehouse, DuckDBWarehouse) and refresh_copy(self.warehouse, folder):
            self._say(f"Copied the marts for BI to {folder}")

    def settle(self, writer: Writer) -> None:
        """Join scores of earlier runs to what came of them, where their labels are there by now.

        Raises
        ------
        UnsettledError
            When a model or test fails.
        """
        if not outcomes_are_due(self.warehouse):
            return
        self._say("Settling runs whose truth is known")
        try:
            self._build_marts([f"tag:{OUTCOMES_TAG}"])
        except BuildError as error:
            raise self._unsettled(writer, error) from error

    def _is_of_outcomes(self, error: BuildError) -> bool:
        return not isinstance(error, InterruptedBuildError) and only_outcomes_failed(
            self.settings.dbt_target_dir / "manifest.json", error.failed
        )

    def _unsettled(self, writer: Writer, error: BuildError) -> UnsettledError:
        """Write into the ledger that outcomes failed, and say what that leaves as it is."""
        writer.record([(None, OUTCOMES_TAG)], "unsettled", " ".join(error.message.split())[:500])
        return UnsettledError(
            "Predictions are published, but what came of earlier ones could not be built: "
            f"{error.message}",
            "Nothing of the predictions is lost. Mend the model or test that is named; the next "
            "run, or `smartretail publish`, settles what was left.",
        )

    def _news_of_model(self, name: str, run_id: str, held_run_id: str) -> str:
        """What the ledger says of a model that takes the place of another one."""
        new, held = (find_run(self.warehouse, which) for which in (run_id, held_run_id))
        if new is None or new.bundle_id is None or held is None:
            return ""
        if new.bundle_id == held.bundle_id:
            return ""
        try:
            came_of_it = self._bundle(name, new.bundle_id).challenge
        except BundleError:
            return ""
        return str(came_of_it.get("text", ""))

    def _pass_gates(
        self, writer: Writer, runs: Sequence[tuple[str, str]], *, anyway: bool
    ) -> dict[str, str]:
        """Say what moved; return what the ledger keeps of it, by prediction.

        Raises
        ------
        GateError
            When a run is refused: then none of them is published, and the ledger says why.
        """
        verdicts = verdicts_of(self.warehouse, [run_id for run_id, _ in runs])
        by_name = {name: verdicts[run_id] for run_id, name in runs if run_id in verdicts}
        refused = {name: v for name, v in by_name.items() if v.level == "refuse"}
        for name, verdict in by_name.items():
            if verdict.level == "warn" or (anyway and name in refused):
                self._say(f"{name}: warning: {verdict.text()}")
        if not refused or anyway:
            return {
                name: ("published anyway: " if name in refused else "warning: ") + verdict.text()
                for name, verdict in by_name.items()
                if verdict.level != "passed"
            }
        others = f"not published: {', '.join(sorted(refused))} was refused"
        writer.record_together(
            [
                Entry(run_id, name, "refused", refused[name].text() if name in refused else others)
                for run_id, name in runs
            ]
        )
        raise refusal(refused)

    def _kept(self, waiting: Sequence[Outcome], current: dict[str, str]) -> list[Entry]:
        """The events that leave in force what speaks of a later date than the waiting runs."""
        kept = []
        for outcome in waiting:
            assert outcome.run_id is not None
            new = find_run(self.warehouse, outcome.run_id)
            held = find_run(self.warehouse, current.get(outcome.prediction, ""))
            if new is not None and held is not None and held.as_of_date > new.as_of_date:
                detail = f"stays in force, {new.as_of_date} was published as history"
                kept.append(Entry(held.run_id, held.prediction, "rolled_back", detail))
        return kept

    # -- everything --------------------------------------------------------------------------

    def run(
        self, request: Request, *, retrain: bool = False, anyway: bool = False
    ) -> list[Outcome]:
        """Build, train, score and publish everything that was asked for.

        A prediction that cannot be made for this shop is skipped; the others go on.
        """
        return self.nights(request, [request.as_of], retrain=retrain, anyway=anyway)[-1]

    def nights(
        self,
        request: Request,
        days: Sequence[date],
        *,
        retrain: bool = False,
        training: Training = "always",
        as_history: bool = False,
        anyway: bool = False,
    ) -> list[list[Outcome]]:
        """Do for each of these as-of dates, oldest first, what a night of its own would have done.

        All dates are built in one go; each is then scored and published before the next. Dates
        before the last are made for what was not published for them yet, unless they are history.

        A date that the gates refuse stays unpublished; the dates after it are made all the same.

        Parameters
        ----------
        anyway
            Publish what the gates refuse.

        Raises
        ------
        GateError
            When they refuse the last date.
        NoModelError
            When no prediction has a model, and none may be trained.
        UnsettledError
            When outcomes of earlier runs failed; every date was published before it is raised.
        """
        done = []
        unsettled: UnsettledError | None = None
        with self.writing() as writer:
            published = published_dates(self.warehouse)
            self.build(replace(request, as_of=max(days)), earlier=sorted(days)[:-1])
            for day in sorted(days):
                night = replace(request, as_of=day)
                names = [CUSTOMERS, *request.horizon_days]
                if day < max(days) and not as_history:
                    names = [name for name in names if published.get(name, day) < day]
                outcomes: list[Outcome] = []
                try:
                    outcomes += self._predict_all(night, names, retrain=retrain, training=training)
                    _refuse_without_model(outcomes, training)
                    self.publish(writer, outcomes, as_history=as_history, anyway=anyway)
                except UnsettledError as error:
                    unsettled = error  # no reason to leave out the dates that follow
                except GateError as refused:
                    if day == max(days):
                        raise
                    self._say(f"{day}: {refused.message}")
                done.append(outcomes)
            for told in compare_shadows(self.warehouse, seed=self.settings.seed):
                self._say(told)
        if unsettled is not None:
            raise unsettled
        return done

    def missed(self, request: Request, *, every_days: int = 1, most: int = 31) -> list[date]:
        """The as-of dates that failed nights have left out, oldest first, and the one asked for.

        Counted from the newest date that was published of every prediction asked for. One that was
        never published, or is skipped by now, has nothing to catch up.

        Parameters
        ----------
        every_days
            Days between two scheduled runs.
        most
            At most so many dates; the oldest are left out.
        """
        published = published_dates(self.warehouse)
        dates = [published[name] for name in request.horizon_days if name in published]
        if not dates:
            return [request.as_of]
        days = []
        day = min(dates) + timedelta(days=every_days)
        while day < request.as_of:
            days.append(day)
            day += timedelta(days=every_days)
        return [*days, request.as_of][-most:]

    def backtest(self, request: Request, name: str, folds: int) -> list[Fold]:
        """Train at past as-of dates on what was known then, oldest first, and land the metrics.

        The dates are month starts up to the one asked for. Each training measures every recipe,
        baselines included, on the newest date whose outcome was known by then.
        """
        days = month_starts_until(request.as_of, folds)
        done = []
        with self.writing():
            self.build(request, earlier=days)
            for day in days:
                try:
                    bundle = self.train(replace(request, as_of=day), name)
                except TooSmallError as reason:
                    self._say(reason.message)
                    done.append(Fold(day, skipped=reason.message))
                else:
                    done.append(self._fold(day, bundle))
        return done

    def pooled(self, name: str, folds: Sequence[Fold]) -> list[PooledLine]:
        """Pool the folds of a backtest, land the figures and return them, the chosen first.

        Nothing for pairs, whose rankings stand in the metrics of each fold, nor where no fold could
        test the level on a later date.
        """
        found: list[FoldTried] = []
        for fold in folds:
            bundle = self._bundle(name, fold.bundle_id) if fold.bundle_id else None
            if isinstance(bundle, Bundle) and bundle.tried is not None:
                found.append(FoldTried(bundle.recipe, Tried.from_json(bundle.tried)))
        lines = pool(found, seed=self.settings.seed)
        newest = [fold for fold in folds if fold.bundle_id]
        if lines:
            land_pooled(self.warehouse, name, str(newest[-1].bundle_id), newest[-1].as_of, lines)
        return lines

    def _fold(self, day: date, bundle: AnyBundle) -> Fold:
        with self.warehouse.connect() as connection:
            rows = connection.execute(
                "select metric, max(value), max(origin_date) from predictions.metrics "
                "where bundle_id = %s and role like '%%test_as_published' "
                "and (recipe = %s or %s like '%%product: ' || recipe || '%%') "
                "and metric in ('log_loss', 'auc') and role not like 'category%%' group by 1",
                (bundle.bundle_id, bundle.recipe, bundle.recipe),
            ).fetchall()
        values = {metric: value for metric, value, _ in rows}
        tested_on = max((tested for _, _, tested in rows), default=None)
        return Fold(
            day,
            bundle.recipe,
            bundle.bundle_id,
            tested_on,
            values.get("log_loss"),
            values.get("auc"),
        )

    def report(self) -> Path | None:
        """Write the report of what is in force; None where nothing was published."""
        from python_ml.reporting.report import (  # noqa: PLC0415 - drawing takes a second to import
            write_report,
        )

        if not in_force(self.warehouse):
            return None
        self._say("Writing the report")
        return write_report(self.warehouse, self.settings.reports_dir)

    def outcome_of_run(self, run_id: str) -> Outcome:
        """One run, by its id.

        Raises
        ------
        InputError
            When there is none, or its rows were pruned.
        """
        found = find_run(self.warehouse, run_id)
        if found is None:
            raise InputError(f"There is no run {run_id}.", "List them with `smartretail runs`.")
        return Outcome(found.prediction, found.run_id, found.row_count)

    def outcomes_of(self, request: Request) -> list[Outcome]:
        """Runs that were scored for this request, for a publish step of its own.

        Without those of challengers that stayed out: they are published by their id alone.
        """
        with self.warehouse.connect() as connection:
            rows = connection.execute(
                "select distinct on (runs.prediction) runs.prediction, runs.run_id, runs.row_count "
                "from predictions.runs "
                "inner join predictions.run_events as events on events.run_id = runs.run_id "
                "where events.event = 'scored' and runs.as_of_date = %s "
                "and (runs.prediction = %s or runs.prediction = any(%s)) "
                "and not exists ("
                "  select 1 from predictions.run_events as refusals"
                "  where refusals.run_id = runs.run_id and refusals.event = 'refused'"
                "  and refusals.detail like 'challenger %%') "
                "order by runs.prediction, events.event_number desc",
                (request.as_of, CUSTOMERS, list(request.horizon_days)),
            ).fetchall()
        return [Outcome(str(name), str(identity), int(rows_)) for name, identity, rows_ in rows]


def month_starts_until(last: date, count: int) -> list[date]:
    """The newest month starts up to a day, oldest first.

    Examples
    --------
    >>> [str(day) for day in month_starts_until(date(2025, 2, 14), 3)]
    ['2024-12-01', '2025-01-01', '2025-02-01']
    """
    newest = last.year * 12 + last.month - 1
    return [date(month // 12, month % 12 + 1, 1) for month in range(newest - count + 1, newest + 1)]


def as_of_dates(first: date, last: date, every: str) -> list[date]:
    """The as-of dates of a backfill, oldest first: days, weeks from the first, or month starts.

    Raises
    ------
    InputError
        When there is none, or the step is unknown.
    """
    steps = {"day": 1, "week": 7}
    if every in steps:
        step = timedelta(days=steps[every])
        days = [first + number * step for number in range((last - first) // step + 1)]
    elif every == "month":
        count = (last.year - first.year) * 12 + last.month - first.month + 1
        days = [day for day in month_starts_until(last, max(count, 0)) if day >= first]
    else:
        raise InputError(f"--every {every} is no step.", "Say month, week or day.")
    if not days:
        raise InputError(
            f"There is no as-of date from {first} to {last}.", "Months count from their first day."
        )
    return days


def _refuse_without_model(outcomes: Sequence[Outcome], training: Training) -> None:
    """Raise where nothing at all could be predicted because nothing was trained."""
    predictions = [outcome for outcome in outcomes if outcome.prediction != CUSTOMERS]
    if training == "never" and predictions and all(outcome.skipped for outcome in predictions):
        raise NoModelError(
            "Nothing was scored: " + " ".join(str(outcome.skipped) for outcome in predictions),
            "Run `smartretail train`, or the flow train or refresh.",
        )


def _scored(name: str, identity: str, rows: int, bundle: AnyBundle) -> Outcome:
    return Outcome(name, identity, rows, bundle.recipe, bundle.bundle_id, bundle.horizon_days)


DEMO_MAPPING = ColumnMapping.parse([], ["line:size", "product:brand", "customer:state"])
