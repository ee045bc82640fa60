"""What goes in and comes out, as OpenAPI shows it."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)

MOST_LINES = 200
MOST_ORDERS = 1_000
MOST_ROWS = 500
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def _storable(text: str) -> str:
    """Refuse what no column of text can hold."""
    if "\x00" in text:
        raise ValueError("must not hold a zero character")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError("must be text that UTF-8 can write") from None
    return text


def _written_day(value: object) -> object:
    """Refuse days that are not written as YYYY-MM-DD: numbers would count from 1970."""
    if isinstance(value, date) or (isinstance(value, str) and _DAY.fullmatch(value)):
        return value
    raise ValueError("must be a day as YYYY-MM-DD")


Id = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_storable)]
Text = Annotated[str, StringConstraints(max_length=500), AfterValidator(_storable)]
AttributeName = Annotated[str, StringConstraints(pattern="^[a-z][a-z0-9_]{0,62}$")]
Attributes = Annotated[
    dict[AttributeName, Text | float | int],
    Field(
        max_length=50,
        description="Attributes that the shop was loaded with: `size` of --attribute line:size.",
    ),
]


class Answer(BaseModel):
    """What every answer says of the run that it comes from."""

    prediction: str
    as_of_date: date = Field(description="Only what was known before this midnight counted.")
    horizon_days: int
    model_version: str | None
    recipe: str | None
    run_id: str


class Reason(BaseModel):
    """One of the strongest reasons."""

    model_config = ConfigDict(extra="allow")

    theme: str
    feature: str
    value: Any = None
    logit: float
    words: str


class _Scored(BaseModel):
    probability: float = Field(ge=0, le=1)
    decile: int | None = Field(ge=1, le=10)
    band: str | None
    expected_value: float | None
    suggested_action: str | None
    what_to_do: str | None
    is_holdout: bool | None
    scored_at: datetime
    label_known_at: date | None
    reasons: list[Reason] | None = Field(default=None, description="Only where asked for.")


class CustomerHabit(_Scored):
    """Whether a customer will order again."""

    customer_id: str
    segment: str | None
    value_at_risk: float | None
    reasons_text: str | None


class OrderHabit(Answer):
    """One customer."""

    customer: CustomerHabit


class OrderHabitPage(Answer):
    """A page of customers, likeliest first."""

    customers: list[CustomerHabit]
    next: str | None = Field(description="Give it as `after` for the next page; null at the end.")


class Item(_Scored):
    """A product or category that is new to a customer."""

    customer_id: str
    item_id: str
    product_name: str | None
    category: str | None
    item_rank: int
    reasons_text: str | None


class Potential(Answer):
    """A customer's likeliest items."""

    customer_id: str
    items: list[Item]


class PotentialPage(Answer):
    """A page of customers for one product, likeliest first."""

    item_id: str
    items: list[Item]
    next: str | None = Field(description="Give it as `after` for the next page; null at the end.")


class Line(BaseModel):
    """An open order line."""

    line_key: str
    order_id: str
    line_id: str | None
    customer_id: str | None
    product_id: str | None
    ordered_at: str = Field(description="Shop-local, without zone.")
    line_value: float
    probability_at_order: float = Field(ge=0, le=1)
    probability_still: float | None
    decile: int | None
    band: str | None
    threshold: float | None
    suggested_action: str | None
    what_to_do: str | None
    expected_saving: float | None
    expected_return_cost: float | None
    is_holdout: bool | None
    label_kind: str
    scored_at: datetime
    label_known_at: date | None
    reasons_text: str | None
    reasons: list[Reason] | None = Field(default=None, description="Only where asked for.")


class ReturnRisk(Answer):
    """The open lines of an order."""

    order_id: str
    lines: list[Line]


class ReturnRiskPage(Answer):
    """A page of open lines, those first on which acting saves most."""

    lines: list[Line]
    next: str | None = Field(description="Give it as `after` for the next page; null at the end.")


class Metric(BaseModel):
    """What a recipe reached on rows that it never saw."""

    recipe: str
    metric: str
    value: float | None
    lower_bound: float | None
    upper_bound: float | None
    measured_on: date | None


class Model(BaseModel):
    """A model whose run is in force."""

    prediction: str
    model_version: str | None
    recipe: str | None
    as_of_date: date
    horizon_days: int
    run_id: str
    rows: int
    in_force_since: datetime
    can_score: bool = Field(description="Whether POST …/score answers with it now.")
    why_not: str | None
    metrics: list[Metric]


class Models(BaseModel):
    """All of them."""

    models: list[Model]


class Status(BaseModel):
    """Whether something works."""

    status: str
    waits_for: list[str] = []


class ProblemDocument(BaseModel):
    """RFC 9457."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    way_out: str


class ProblemKind(BaseModel):
    """A kind of problem."""

    title: str
    status: int
    way_out: str


# -- what is asked --------------------------------------------------------------------------------


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


Quantity = Annotated[float, Field(ge=0.001, le=1e6, strict=True)]
Price = Annotated[float, Field(ge=0, le=1e7, strict=True)]
Share = Annotated[float, Field(ge=0, le=1, strict=True)]
Day = Annotated[
    date, BeforeValidator(_written_day), Field(ge=date(1900, 1, 1), le=date(2200, 1, 1))
]


class BasketLine(_Strict):
    """A line of a basket."""

    product_id: Id | None = None
    category: Text | None = Field(
        default=None,
        description="Of a product that the shop does not know; else the shop's counts.",
    )
    quantity: Quantity = 1
    unit_price: Price
    discount: Share = 0
    attributes: Attributes = {}


class Basket(_Strict):
    """A basket that is not placed yet."""

    model_config = ConfigDict(
        extra="forbid",
        allow_inf_nan=False,
        json_schema_extra={
            "examples": [
                {
                    "customer_id": "C00000012",
                    "lines": [
                        {"product_id": "P00001", "quantity": 1, "unit_price": 59.9,
                         "attributes": {"size": "M"}},
                        {"product_id": "P00001", "quantity": 1, "unit_price": 59.9,
                         "attributes": {"size": "L"}},
                    ],
                }
            ]
        },
    )  # fmt: skip

    customer_id: Id | None = Field(default=None, description="Left out for a guest.")
    ordered_on: Day | None = Field(
        default=None,
        description="Day of the order, shop-local [default: the as-of date of the run in force]. "
        "What the shop knew before that day counts.",
    )
    lines: Annotated[list[BasketLine], Field(min_length=1, max_length=MOST_LINES)]


class ScoredBasketLine(BaseModel):
    """A line, in the order of the basket."""

    line: int = Field(description="Place in the basket, from 1.")
    product_id: str | None
    probability: float = Field(ge=0, le=1)
    reasons: list[Reason] | None = Field(default=None, description="Only where asked for.")


class ScoredBasket(Answer):
    """How likely each line is to come back."""

    ordered_on: date
    lines: list[ScoredBasketLine]


class HistoryLine(_Strict):
    """A line of an earlier order."""

    product_id: Id | None = None
    category: Text | None = Field(
        default=None,
        description="Of a product that the shop does not know; else the shop's counts.",
    )
    quantity: Quantity = 1
    unit_price: Price
    discount: Share = 0
    returned_on: Day | None = None


class HistoryOrder(_Strict):
    """An earlier order."""

    ordered_on: Day
    lines: Annotated[list[HistoryLine], Field(min_length=1, max_length=MOST_LINES)]


class History(_Strict):
    """A customer's orders, whole."""

    model_config = ConfigDict(
        extra="forbid",
        allow_inf_nan=False,
        json_schema_extra={
            "examples": [
                {
                    "orders": [
                        {"ordered_on": "2025-03-01",
                         "lines": [{"product_id": "P00001", "unit_price": 59.9}]},
                        {"ordered_on": "2025-06-11",
                         "lines": [{"category": "dresses", "unit_price": 80, "quantity": 2}]},
                    ]
                }
            ]
        },
    )  # fmt: skip

    as_of: Day | None = Field(
        default=None, description="[default: the as-of date of the run in force]"
    )
    orders: Annotated[list[HistoryOrder], Field(min_length=1, max_length=MOST_ORDERS)]
    attributes: Attributes = {}


class Totals(_Strict):
    """What is often all that is known of a customer."""

    model_config = ConfigDict(
        extra="forbid",
        allow_inf_nan=False,
        json_schema_extra={
            "examples": [
                {"total_spend": 412.5, "order_count": 5, "avg_order_value": 82.5,
                 "last_order_date": "2025-10-07"}
            ]
        },
    )  # fmt: skip

    as_of: Day | None = Field(
        default=None, description="[default: the as-of date of the run in force]"
    )
    total_spend: Annotated[float, Field(ge=0, le=1e9, strict=True)]
    order_count: Annotated[int, Field(ge=1, le=100_000, strict=True)]
    avg_order_value: Annotated[float, Field(ge=0, le=1e9, strict=True)] = Field(
        description="total_spend / order_count, to 1 % or a cent."
    )
    last_order_date: Day


class ScoredHabit(Answer):
    """How likely an order within the horizon is."""

    model: str = Field(
        description="`order_habit`, or `order_habit_totals`: a small model of the totals alone."
    )
    probability: float = Field(ge=0, le=1)
    reasons: list[Reason] | None = Field(default=None, description="Only where asked for.")
    metrics: list[Metric] | None = Field(
        default=None, description="Of `order_habit_totals`: what it reached on rows it never saw."
    )


class NewProduct(_Strict):
    """A product that the shop does not have yet."""

    model_config = ConfigDict(
        extra="forbid",
        allow_inf_nan=False,
        json_schema_extra={
            "examples": [{"category": "dresses", "price": 79.9, "attributes": {"brand": "Arden"}}]
        },
    )

    category: Id
    price: Price | None = Field(
        default=None, description="Of one unit. Without it, the product is one without a price."
    )
    attributes: Attributes = {}


class LikelyBuyer(BaseModel):
    """A customer who might buy it."""

    customer_id: str
    probability: float = Field(ge=0, le=1)
    reasons: list[Reason] | None = Field(default=None, description="Only where asked for.")


class ScoredProduct(Answer):
    """Who would buy it within the horizon, likeliest first."""

    expected_buyers: float = Field(description="Sum of the probabilities of all customers.")
    customers: list[LikelyBuyer]
