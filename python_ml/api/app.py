"""The application: addresses, what they take and what they answer."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from importlib.metadata import version
from typing import Annotated, Any, Literal

from fastapi import FastAPI, HTTPException, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.responses import Response

from python_ml.api import lookups, schemas
from python_ml.api.desk import Desk
from python_ml.api.gate import OPEN, PROBLEMS, Gate
from python_ml.api.keys import KeyRing
from python_ml.api.limits import RateLimit
from python_ml.api.meters import MEDIA_TYPE, Meters
from python_ml.api.problems import KINDS, Problem
from python_ml.api.problems import MEDIA_TYPE as PROBLEM
from python_ml.api.published import Ledger, PublishedRun
from python_ml.api.totals import NAME as TOTALS
from python_ml.errors import InputError, WarehouseError
from python_ml.scoring import online, online_pairs
from python_ml.scoring.reasons import top_reasons
from python_ml.settings import Settings
from python_ml.warehouse.pool import ReadPool
from python_ml.warehouse.postgres import Warehouse

MOST_BYTES = 1_000_000
RATE = 1_000.0
ROUNDING = 0.01
"""How far an average may be from spend / orders: a cent, or one in a hundred."""

AsOf = Annotated[
    date | None,
    Query(
        ge=date(1900, 1, 1),
        le=date(2200, 1, 1),
        description="The run that was published last for this date [default: the run in force].",
    ),
]
Reasons = Annotated[bool, Query(description="Say what moved the probability most.")]
Limit = Annotated[int, Query(ge=1, le=schemas.MOST_ROWS, description="Rows of a page.")]
After = Annotated[
    str | None, Query(max_length=4_000, description="`next` of the page before this one.")
]
TopN = Annotated[int, Query(ge=1, le=schemas.MOST_ROWS, description="Items at most.")]
Chance = Annotated[float | None, Query(ge=0, le=1, allow_inf_nan=False)]
CustomerId = Annotated[schemas.Id, Path(examples=["C00000012"])]
ProductId = Annotated[schemas.Id, Path(examples=["P00001"])]
OrderId = Annotated[schemas.Id, Path(examples=["O0000001"])]
HabitBand = Literal["very likely", "likely", "unlikely", "very unlikely"]
RiskBand = Literal["far above average", "above average", "average", "below average"]
ItemBand = Literal["strong", "good", "fair", "slight"]
Segment = Literal["new", "one-time", "loyal", "active", "slipping", "lapsed", "unknown"]
Decile = Annotated[int | None, Query(ge=1, le=10)]

LOOK_UP = ("unknown-id", "no-published-run", "invalid-request")
LIST = ("no-published-run", "invalid-request", "invalid-cursor")
SCORE = ("no-published-run", "no-model", "invalid-request", "too-large", "not-ready")
ALWAYS = ("too-many-requests", "wrong-host", "database-unavailable", "internal-error")
WITH_KEYS = ("missing-key", "wrong-key", "scope-missing")


class Json(Response):
    """JSON with days and times as ISO writes them; times are UTC."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Write it."""
        return json.dumps(
            content, default=_plain, allow_nan=False, separators=(",", ":"), ensure_ascii=False
        ).encode()


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat() + "Z"
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(type(value).__name__)


@dataclass(frozen=True, eq=False)
class Service:
    """What the addresses share."""

    pool: ReadPool
    ledger: Ledger
    desk: Desk
    meters: Meters


def create_app(
    settings: Settings,
    warehouse: Warehouse,
    staging: Callable[[], str],
    *,
    keys: KeyRing | None = None,
    hosts: frozenset[str] | None = None,
    rate: float = RATE,
    most_bytes: int = MOST_BYTES,
) -> FastAPI:
    """Put the application together.

    Parameters
    ----------
    staging
        Names the staging folder of the shop.
    keys
        Keys to ask for; None asks for none.
    hosts
        Names of hosts to answer to; None for any.
    """
    pool = ReadPool(warehouse)
    ledger = Ledger(pool)
    service = Service(pool, ledger, Desk(settings, warehouse, ledger, staging), Meters())

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await pool.open()
        following = asyncio.create_task(service.desk.keep_up())
        try:
            yield
        finally:
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await following
            await pool.close()

    app = FastAPI(
        title="SmartRetail",
        version=version("smartretail"),
        description="Predictions of a shop: what is published, and scores of what is asked.",
        lifespan=lifespan,
        docs_url=None,  # its page asks another host for scripts
        redoc_url=None,
    )
    app.add_middleware(
        Gate,
        keys=keys,
        hosts=hosts,
        rate=RateLimit(rate),
        most_bytes=most_bytes,
        meters=service.meters,
    )
    _answer_problems(app)
    _add_status(app, service)
    _add_order_habit(app, service)
    _add_purchase_potential(app, service)
    _add_return_risk(app, service)
    _add_scoring(app, service)
    _add_product_scoring(app, service)
    _describe(app, with_keys=keys is not None)
    return app


# -- problems -------------------------------------------------------------------------------------


def _answer_problems(app: FastAPI) -> None:
    @app.exception_handler(Problem)
    async def problem(_: Request, error: Problem) -> Response:
        return error.response()

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        errors = [
            {"where": ".".join(str(part) for part in e["loc"])[:200], "what": str(e["msg"])[:300]}
            for e in error.errors()[:20]
        ]
        first = f"{errors[0]['where']}: {errors[0]['what']}" if errors else "It cannot be read."
        return Problem("invalid-request", first, more={"errors": errors}).response()

    @app.exception_handler(InputError)
    async def wrong(_: Request, error: InputError) -> Response:
        return _wrong(error).response()

    @app.exception_handler(WarehouseError)
    async def unavailable(_: Request, __: WarehouseError) -> Response:
        return Problem(
            "database-unavailable", "The database does not answer.", {"Retry-After": "5"}
        ).response()

    @app.exception_handler(404)
    @app.exception_handler(405)
    @app.exception_handler(400)
    @app.exception_handler(413)
    async def http(_: Request, error: HTTPException) -> Response:
        slug = {404: "no-such-page", 405: "method-not-allowed", 413: "too-large"}.get(
            error.status_code, "invalid-request"
        )
        detail = str(error.detail) if slug == "too-large" else f"{KINDS[slug].title}."
        return Problem(slug, detail, dict(error.headers or {})).response()


def _wrong(error: InputError) -> Problem:
    detail = " ".join(filter(None, (error.message, error.hint)))
    return Problem("invalid-request", detail, more={"errors": []})


def _documents(slugs: tuple[str, ...]) -> dict[int | str, dict[str, Any]]:
    """The problems of an address, by status, for OpenAPI."""
    found: dict[int | str, dict[str, Any]] = {}
    for slug in (*slugs, *ALWAYS):
        kind = KINDS[slug]
        known = found.setdefault(
            kind.status,
            {
                "description": "",
                "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}},
            },
        )
        known["description"] = "; ".join(filter(None, (known["description"], f"{kind.title}")))
    return found


# -- status ---------------------------------------------------------------------------------------


def _add_status(app: FastAPI, service: Service) -> None:
    @app.get("/health", response_model=schemas.Status, tags=["status"])
    async def health() -> Response:
        """Whether the server lives."""
        return Json({"status": "ok", "waits_for": []})

    @app.get(
        "/ready",
        response_model=schemas.Status,
        responses={
            503: {"model": schemas.Status, "description": "Something is missing: `waits_for`."}
        },
        tags=["status"],
    )
    async def ready() -> Response:
        """Whether look-ups and scoring work now."""
        try:
            current = await service.ledger.in_force()
            waits = [] if current else ["a published run"]
            waits += service.desk.waits_for(current)
        except WarehouseError:
            waits = ["the database"]
        status = "not ready" if waits else "ready"
        return Json({"status": status, "waits_for": waits}, 503 if waits else 200)

    @app.get(
        "/problems/{slug}",
        response_model=schemas.ProblemKind,
        responses=_documents(("no-such-page", "invalid-request")),
        tags=["status"],
    )
    async def problem_kind(slug: Annotated[str, Path(examples=["unknown-id"])]) -> Response:
        """What is this problem, and what is the way out?"""
        kind = KINDS.get(slug)
        if kind is None:
            raise Problem("no-such-page", "There is no such problem.")
        return Json({"title": kind.title, "status": kind.status, "way_out": kind.way_out})

    @app.get(
        "/metrics",
        response_class=Response,
        responses={200: {"content": {MEDIA_TYPE.partition(";")[0]: {}}}, **_documents(())},
        tags=["status"],
    )
    async def metrics() -> Response:
        """Requests, durations and runs in force, for Prometheus."""
        current = (await service.ledger.in_force()).values()
        runs = [
            (run.prediction, run.run_id, run.since.replace(tzinfo=UTC).timestamp())
            for run in current
        ]
        return Response(service.meters.text(runs), media_type=MEDIA_TYPE)

    @app.get("/v1/models", response_model=schemas.Models, responses=_documents(()), tags=["models"])
    async def models() -> Response:
        """The models whose runs are in force, and what they reached when tested."""
        current = await service.ledger.in_force()
        runs = [run for _, run in sorted(current.items()) if run.bundle_id is not None]
        measured = await lookups.test_metrics(service.pool, [str(run.bundle_id) for run in runs])
        found = [_model(service, run, measured.get(str(run.bundle_id), [])) for run in runs]
        if "order_habit" in current and service.desk.why_not("order_habit") is None:
            run, small = await service.desk.totals()
            found.append(
                _model(service, run, [_metric(line) for line in small.metrics()])
                | {"prediction": TOTALS, "model_version": small.bundle.bundle_id,
                   "recipe": small.bundle.recipe}
            )  # fmt: skip
        return Json({"models": found})


def _model(service: Service, run: PublishedRun, metrics: list[dict[str, Any]]) -> dict[str, Any]:
    why_not = service.desk.why_not(run.prediction)
    return {
        **run.about(),
        "rows": run.row_count,
        "in_force_since": run.since,
        "can_score": why_not is None,
        "why_not": why_not,
        "metrics": metrics,
    }


def _metric(line: dict[str, Any]) -> dict[str, Any]:
    return {
        name: None if isinstance(value, float) and math.isnan(value) else value
        for name, value in line.items()
    }


# -- look-ups and lists ---------------------------------------------------------------------------


def _add_order_habit(app: FastAPI, service: Service) -> None:
    @app.get(
        "/v1/order-habit/customers",
        response_model=schemas.OrderHabitPage,
        responses=_documents(LIST),
        tags=["order habit"],
    )
    async def list_customers(
        *,
        band: HabitBand | None = None,
        segment: Segment | None = None,
        decile: Decile = None,
        suggested_action: schemas.Id | None = None,
        is_holdout: bool | None = None,
        least_probability: Chance = None,
        as_of: AsOf = None,
        reasons: Reasons = False,
        limit: Limit = 50,
        after: After = None,
    ) -> Response:
        """Customers, likeliest to order again first."""
        return await _list(
            service,
            "order_habit",
            "order_habit_rows",
            lookups.HABIT,
            order=lookups.Order("probability", ("customer_id",)),
            filters={"band": band, "segment": segment, "decile": decile,
                     "suggested_action": suggested_action, "is_holdout": is_holdout},
            at_least=least_probability,
            as_of=as_of,
            reasons=reasons,
            limit=limit,
            after=after,
            name="customers",
        )  # fmt: skip

    @app.get(
        "/v1/order-habit/customers/{customer_id:path}",
        response_model=schemas.OrderHabit,
        responses=_documents(LOOK_UP),
        tags=["order habit"],
    )
    async def customer_habit(
        *, customer_id: CustomerId, as_of: AsOf = None, reasons: Reasons = False
    ) -> Response:
        """Will this customer order again?"""
        run = await service.ledger.run("order_habit", as_of)
        row = await lookups.customer_habit(service.pool, run, customer_id)
        if row is None:
            raise _unknown("customer", run)
        [shown] = lookups.with_reasons([row], reasons)
        return Json({**run.about(), "customer": shown})


def _add_purchase_potential(app: FastAPI, service: Service) -> None:
    async def items(
        customer_id: str, level: str, top_n: int, as_of: date | None, reasons: bool
    ) -> Response:
        run = await service.ledger.run("purchase_potential", as_of)
        rows = await lookups.items_of_customer(service.pool, run, customer_id, level, top_n)
        if not rows and not await lookups.has_customer(service.pool, run, customer_id):
            raise _unknown("customer", run)
        shown = lookups.with_reasons(rows, reasons)
        return Json({**run.about(), "customer_id": customer_id, "items": shown})

    @app.get(
        "/v1/purchase-potential/customers/{customer_id:path}/products",
        response_model=schemas.Potential,
        responses=_documents(LOOK_UP),
        tags=["purchase potential"],
    )
    async def products(
        *,
        customer_id: CustomerId,
        top_n: TopN = 10,
        as_of: AsOf = None,
        reasons: Reasons = False,
    ) -> Response:
        """Which products, new to this customer, will they buy next?"""
        return await items(customer_id, "product", top_n, as_of, reasons)

    @app.get(
        "/v1/purchase-potential/customers/{customer_id:path}/categories",
        response_model=schemas.Potential,
        responses=_documents(LOOK_UP),
        tags=["purchase potential"],
    )
    async def categories(
        *,
        customer_id: CustomerId,
        top_n: TopN = 5,
        as_of: AsOf = None,
        reasons: Reasons = False,
    ) -> Response:
        """Which categories, new to this customer, will they buy from next?"""
        return await items(customer_id, "category", top_n, as_of, reasons)

    @app.get(
        "/v1/purchase-potential/products/{product_id:path}/customers",
        response_model=schemas.PotentialPage,
        responses=_documents(("unknown-id", *LIST)),
        tags=["purchase potential"],
    )
    async def buyers(
        *,
        product_id: ProductId,
        band: ItemBand | None = None,
        decile: Decile = None,
        is_holdout: bool | None = None,
        least_probability: Chance = None,
        as_of: AsOf = None,
        reasons: Reasons = False,
        limit: Limit = 50,
        after: After = None,
    ) -> Response:
        """Customers among whose likeliest products this one is, likeliest first."""
        return await _list(
            service,
            "purchase_potential",
            "purchase_potential_rows",
            lookups.ITEM,
            order=lookups.Order("probability", ("customer_id",)),
            filters={"item_id": product_id, "item_level": "product", "band": band,
                     "decile": decile, "is_holdout": is_holdout},
            at_least=least_probability,
            as_of=as_of,
            reasons=reasons,
            limit=limit,
            after=after,
            name="items",
            more={"item_id": product_id},
        )  # fmt: skip


def _add_return_risk(app: FastAPI, service: Service) -> None:
    @app.get(
        "/v1/return-risk/lines",
        response_model=schemas.ReturnRiskPage,
        responses=_documents(LIST),
        tags=["return risk"],
    )
    async def list_lines(
        *,
        band: RiskBand | None = None,
        decile: Decile = None,
        suggested_action: Literal["intervene", "leave"] | None = None,
        customer_id: schemas.Id | None = None,
        product_id: schemas.Id | None = None,
        is_holdout: bool | None = None,
        as_of: AsOf = None,
        reasons: Reasons = False,
        limit: Limit = 50,
        after: After = None,
    ) -> Response:
        """Open order lines, those first on which acting is expected to save most."""
        return await _list(
            service,
            "return_risk",
            "return_risk_rows",
            lookups.LINE,
            order=lookups.Order("expected_saving", ("line_key",)),
            filters={"band": band, "decile": decile, "suggested_action": suggested_action,
                     "customer_id": customer_id, "product_id": product_id,
                     "is_holdout": is_holdout},
            as_of=as_of,
            reasons=reasons,
            limit=limit,
            after=after,
            name="lines",
        )  # fmt: skip

    @app.get(
        "/v1/return-risk/orders/{order_id:path}",
        response_model=schemas.ReturnRisk,
        responses=_documents(LOOK_UP),
        tags=["return risk"],
    )
    async def order_lines(
        *, order_id: OrderId, as_of: AsOf = None, reasons: Reasons = False
    ) -> Response:
        """Which open lines of this order will come back?"""
        run = await service.ledger.run("return_risk", as_of)
        rows = await lookups.lines_of_order(service.pool, run, order_id)
        if not rows:
            raise _unknown("open order", run)
        shown = lookups.with_reasons(rows, reasons)
        return Json({**run.about(), "order_id": order_id, "lines": shown})


async def _list(
    service: Service,
    prediction: str,
    table: str,
    columns: str,
    *,
    order: lookups.Order,
    filters: dict[str, Any],
    as_of: date | None,
    reasons: bool,
    limit: int,
    after: str | None,
    name: str,
    at_least: float | None = None,
    more: dict[str, Any] | None = None,
) -> Response:
    place = None
    if after is None:
        run = await service.ledger.run(prediction, as_of)
    else:
        run_id, place = lookups.read_cursor(after, 1 + len(order.key))
        run = await service.ledger.run_by_id(prediction, run_id)
    rows, following = await lookups.page(
        service.pool, table, columns, run,
        order=order, filters=filters, at_least=at_least, after=place, limit=limit,
    )  # fmt: skip
    shown = lookups.with_reasons(rows, reasons)
    return Json({**run.about(), **(more or {}), name: shown, "next": following})


def _unknown(what: str, run: PublishedRun) -> Problem:
    return Problem(
        "unknown-id", f"The run of {run.prediction} as of {run.as_of_date} holds no such {what}."
    )


# -- scoring --------------------------------------------------------------------------------------


def _add_scoring(app: FastAPI, service: Service) -> None:
    @app.post(
        "/v1/return-risk/score",
        response_model=schemas.ScoredBasket,
        responses=_documents(SCORE),
        tags=["return risk"],
    )
    async def score_basket(basket: schemas.Basket, reasons: Reasons = False) -> Response:
        """How likely is each line of a basket to come back, if it is ordered?

        The answer is the one that the run in force would give to the same line.
        """
        run, scorer = await service.desk.scorer("return_risk")
        day = basket.ordered_on or run.as_of_date
        lines = [line.model_dump() for line in basket.lines]

        def ask() -> list[online.Scored]:
            features = online.basket_features(
                scorer, lines, customer_id=basket.customer_id, ordered_on=day
            )
            return scorer.scored(features, reasons)

        scored = await service.desk.ask(ask)
        shown = [
            {
                "line": place,
                "product_id": line["product_id"],
                "probability": found.probability,
                "reasons": found.reasons,
            }
            for place, (line, found) in enumerate(zip(lines, scored, strict=True), start=1)
        ]
        return Json({**run.about(), "ordered_on": day, "lines": shown})

    @app.post(
        "/v1/order-habit/score",
        response_model=schemas.ScoredHabit,
        responses=_documents(SCORE),
        tags=["order habit"],
    )
    async def score_history(
        customer: schemas.History | schemas.Totals, reasons: Reasons = False
    ) -> Response:
        """Will a customer with this history order again?

        With `orders`, the answer is the one that the run in force would give to such a customer.
        With the totals alone it is that of a small model of its own, `order_habit_totals`.
        """
        if isinstance(customer, schemas.Totals):
            return await _score_totals(service, customer, reasons)
        run, scorer = await service.desk.scorer("order_habit")
        as_of = customer.as_of or run.as_of_date
        orders = [order.model_dump() for order in customer.orders]

        def ask() -> online.Scored:
            features = online.history_features(
                scorer, orders, as_of=as_of, attributes=customer.attributes
            )
            return scorer.scored(features, reasons)[0]

        scored = await service.desk.ask(ask)
        return Json(
            {
                **run.about(),
                "as_of_date": as_of,
                "model": "order_habit",
                "probability": scored.probability,
                "reasons": scored.reasons,
                "metrics": None,
            }
        )


def _add_product_scoring(app: FastAPI, service: Service) -> None:
    @app.post(
        "/v1/purchase-potential/score",
        response_model=schemas.ScoredProduct,
        responses=_documents(SCORE),
        tags=["purchase potential"],
    )
    async def score_product(
        product: schemas.NewProduct, top_n: TopN = 50, reasons: Reasons = False
    ) -> Response:
        """Who would buy a product that the shop does not have yet?

        The answer is the one that a run as of the same date would give to a product that is known
        and was never sold; with a price, to one that was put on sale the day before.
        """
        run, scorer = await service.desk.pair_scorer()

        def ask() -> tuple[list[online_pairs.Buyer], float]:
            features = online_pairs.product_features(
                scorer, product.category, product.price, product.attributes
            )
            return online_pairs.buyers(scorer, features, top_n=top_n, reasons=reasons)

        found, expected = await service.desk.ask(ask)
        return Json(
            {
                **run.about(),
                "expected_buyers": expected,
                "customers": [asdict(buyer) for buyer in found],
            }
        )


async def _score_totals(service: Service, given: schemas.Totals, reasons: bool) -> Response:
    run, small = await service.desk.totals()
    mean = given.total_spend / given.order_count
    if abs(mean - given.avg_order_value) > max(ROUNDING, ROUNDING * mean):
        raise Problem(
            "invalid-request",
            f"avg_order_value is not total_spend / order_count, which is {mean:.2f}.",
            more={"errors": [{"where": "body.avg_order_value", "what": f"expected {mean:.2f}"}]},
        )
    as_of = given.as_of or run.as_of_date
    features = small.features(
        as_of=as_of,
        total_spend=given.total_spend,
        order_count=given.order_count,
        last_order_date=given.last_order_date,
    )
    [probability] = small.bundle.predict(features, small.level_shift)
    why = None
    if reasons:
        contributions = small.bundle.contributions(features)
        [text] = top_reasons(contributions, features, small.catalogue.features)
        why = json.loads(text)
    return Json(
        {
            **run.about(),
            "as_of_date": as_of,
            "model_version": small.bundle.bundle_id,
            "recipe": small.bundle.recipe,
            "model": TOTALS,
            "probability": float(probability),
            "reasons": why,
            "metrics": [_metric(line) for line in small.metrics()],
        }
    )


# -- OpenAPI --------------------------------------------------------------------------------------


def _describe(app: FastAPI, *, with_keys: bool) -> None:
    """Write the problems into OpenAPI, and the keys where they are asked for."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            made = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                routes=app.routes,
            )
            components = made["components"]["schemas"]
            for name in ("HTTPValidationError", "ValidationError"):
                components.pop(name, None)
            components["ProblemDocument"] = schemas.ProblemDocument.model_json_schema()
            if with_keys:
                _ask_for_keys(made)
            app.openapi_schema = made
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _ask_for_keys(made: dict[str, Any]) -> None:
    made["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    for address, methods in made["paths"].items():
        if address in OPEN or address.startswith(PROBLEMS):
            continue
        for operation in methods.values():
            operation["security"] = [{"key": []}]
            operation["responses"].update(
                {str(status): text for status, text in _documents(WITH_KEYS).items()}
            )
