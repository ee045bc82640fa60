"""What the report tells, read from the marts, the ledger and what training landed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from python_ml.predictions import get_prediction
from python_ml.predictions.base import PairPrediction
from python_ml.reporting.measured import (
    Ladder,
    Measures,
    levels_of,
    read_ladder,
    read_measures,
)
from python_ml.warehouse.postgres import Snapshot, Warehouse

PROBABILITIES = ("probability", "probability_at_order")
MONEY = ("value_at_risk", "expected_saving", "expected_value")
"""What is at stake in a row, in the order of how well it says what acting is about."""
NAMES = (
    "customer_id", "order_id", "line_id", "product_id", "item_id", "product_name", "category",
    "ordered_at",
)  # fmt: skip
"""Columns by which people know a row."""
TAKING_PART = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Where in the order of the probabilities the examples stand, the likeliest first."""
MOST_ITEMS = 10
ALL_LEVELS = "true"


@dataclass(frozen=True)
class Group:
    """Rows that share a band or an action.

    Attributes
    ----------
    money
        Sum of what is at stake; None where the mart has no such column.
    """

    name: str
    rows: int
    customers: int
    probability: float
    money: float | None
    words: str = ""


@dataclass(frozen=True)
class Example:
    """One row: who or what, how likely, why, and what to do."""

    names: Mapping[str, str]
    probability: float
    band: str
    reasons: str
    what_to_do: str


@dataclass(frozen=True)
class Item:
    """An item that is new to many customers who are expected to buy it."""

    name: str
    customers: int
    expected_buyers: float
    money: float | None


@dataclass(frozen=True)
class Level:
    """What is published of one prediction, or of one level of it, and how good it is.

    Attributes
    ----------
    money_is
        Name of the column whose sums are shown, empty where there is none.
    """

    name: str
    rows: int
    customers: int
    probability: float
    money_is: str
    bands: tuple[Group, ...]
    actions: tuple[Group, ...]
    items: tuple[Item, ...]
    examples: tuple[Example, ...]
    measures: Measures


@dataclass(frozen=True)
class Run:
    """A run in force."""

    prediction: str
    run_id: str
    as_of_date: date
    horizon_days: int
    recipe: str | None
    bundle_id: str | None
    created_at: datetime


@dataclass(frozen=True)
class Told:
    """One prediction in force."""

    name: str
    question: str
    run: Run
    label_known_at: date | None
    calibration_note: str
    warning: str
    is_proxy: bool
    held_out: int
    levels: tuple[Level, ...]
    ladder: Ladder | None


@dataclass(frozen=True)
class Skipped:
    """A prediction that could not be made, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Segment:
    """A segment of the customers."""

    name: str
    customers: int
    spend: float
    probability: float | None


@dataclass(frozen=True)
class Quality:
    """What was loaded and what became of it."""

    source: str
    first_on: date | None
    newest_on: date | None
    loaded_at: datetime | None
    counts: Mapping[str, int]
    fates: Mapping[str, int]
    rejected: Mapping[str, int]


@dataclass(frozen=True)
class Report:
    """Everything in one report."""

    as_of: date
    predictions: tuple[Told, ...]
    skipped: tuple[Skipped, ...]
    segments: tuple[Segment, ...]
    quality: Quality

    @property
    def run_ids(self) -> tuple[str, ...]:
        """The runs that it speaks of."""
        return tuple(told.run.run_id for told in self.predictions)


def read_report(warehouse: Warehouse) -> Report | None:
    """Read what is in force, at one moment; None where nothing was published."""
    with warehouse.snapshot(warehouse.layout) as snapshot:
        runs = _runs(snapshot)
        if not runs:
            return None
        return Report(
            as_of=max(run.as_of_date for run in runs),
            predictions=tuple(_told(snapshot, run) for run in runs if run.bundle_id),
            skipped=_skipped(snapshot),
            segments=_segments(snapshot),
            quality=_quality(snapshot),
        )


def _columns(snapshot: Snapshot, layer: str, name: str) -> frozenset[str]:
    """Columns of a table or view; none where there is no such one."""
    found = snapshot.read(
        "select column_name::text as name from information_schema.columns "
        "where table_schema = $1 and table_name = $2",
        snapshot.layout.place(layer, name),
    )
    return frozenset(found["name"].to_pylist())


def _runs(snapshot: Snapshot) -> list[Run]:
    if not _columns(snapshot, "staging", "stg_predictions__runs_in_force"):
        return []
    rows = snapshot.read(
        "select in_force.prediction, in_force.run_id, in_force.as_of_date, in_force.horizon_days, "
        "in_force.recipe, in_force.bundle_id, runs.created_at "
        "from staging.stg_predictions__runs_in_force as in_force "
        "inner join predictions.runs as runs on runs.run_id = in_force.run_id order by 1"
    ).to_pylist()
    return [Run(**row) for row in rows]


# -- predictions -----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Mart:
    """The mart of a prediction and which of the columns that we know it has."""

    relation: str
    columns: frozenset[str]

    def first(self, names: tuple[str, ...]) -> str:
        """The first of these columns that it has, or nothing."""
        return next((name for name in names if name in self.columns), "")

    def text(self, name: str) -> str:
        """A column as text, or empty text where there is none."""
        return f"coalesce(cast({name} as text), '')" if name in self.columns else "''"


def _mart(snapshot: Snapshot, name: str) -> _Mart | None:
    """The mart of a prediction that has a face of its own."""
    columns = _columns(snapshot, "marts", name)
    return _Mart(f"marts.{name}", columns) if columns else None


def _told(snapshot: Snapshot, run: Run) -> Told:
    prediction = get_prediction(run.prediction)
    mart = _mart(snapshot, run.prediction)
    if mart is None:  # it has scores, but no mart of its own
        mart = _Mart(
            f"(select * from predictions.{run.prediction} "  # noqa: S608 - names of our own
            f"where run_id = '{run.run_id}') as scores",
            frozenset((*prediction.entity_columns, "probability", "label_known_at")),
        )
    [facts] = snapshot.read(
        f"select max(label_known_at) as label_known_at, "  # noqa: S608 - names of our own
        f"max({mart.text('calibration_note')}) as note, max({mart.text('label_kind')}) as kind, "
        f"max({mart.text('warning')}) as warning, "
        f"count(*) filter (where {'is_holdout' if 'is_holdout' in mart.columns else 'false'}) "
        f"as held_out from {mart.relation}"
    ).to_pylist()
    of_pairs = isinstance(prediction, PairPrediction)
    levels = levels_of(run.prediction, run.recipe or "")
    return Told(
        name=run.prediction,
        question=prediction.question,
        run=run,
        label_known_at=facts["label_known_at"],
        calibration_note=facts["note"] or "",
        warning=facts["warning"] or "",
        is_proxy=facts["kind"] == "proxy",
        held_out=facts["held_out"],
        levels=tuple(
            _level(
                snapshot,
                mart,
                f"item_level = '{level}'" if of_pairs else ALL_LEVELS,
                read_measures(snapshot, run.bundle_id or "", level, chosen),
            )
            for level, chosen in levels.items()
        ),
        ladder=read_ladder(snapshot, run.prediction),
    )


def _level(snapshot: Snapshot, mart: _Mart, where: str, measures: Measures) -> Level:
    probability, money = mart.first(PROBABILITIES), mart.first(MONEY)
    customers = "count(distinct customer_id)" if "customer_id" in mart.columns else "count(*)"
    [whole] = snapshot.read(
        f"select count(*) as row_count, {customers} as customers, "  # noqa: S608 - ours
        f"coalesce(avg({probability}), 0) as probability from {mart.relation} where {where}"
    ).to_pylist()

    def groups(by: str, words: str, filters: str, order: str) -> tuple[Group, ...]:
        if by not in mart.columns:
            return ()
        found = snapshot.read(
            f"select {mart.text(by)} as name, count(*) as row_count, "  # noqa: S608 - ours
            f"{customers} as customers, avg({probability}) as probability, "
            f"cast({f'sum({money})' if money else 'null'} as double precision) as money, "
            f"{mart.text(words)} as words from {mart.relation} where {where} and {filters} "
            f"group by 1, 6 order by {order}, 1, 6"
        ).to_pylist()
        return tuple(
            Group(row["name"], row["row_count"], row["customers"], row["probability"],
                  row["money"], row["words"])
            for row in found
        )  # fmt: skip

    may_act = "not is_holdout" if "is_holdout" in mart.columns else "true"
    return Level(
        name=measures.level,
        rows=whole["row_count"],
        customers=whole["customers"],
        probability=whole["probability"],
        money_is=money,
        bands=groups("band", "", "true", "4 desc"),
        actions=groups("suggested_action", "what_to_do", may_act, "5 desc nulls last"),
        items=_items(snapshot, mart, where, money) if measures.level else (),
        examples=_examples(snapshot, mart, where, probability),
        measures=measures,
    )


def _items(snapshot: Snapshot, mart: _Mart, where: str, money: str) -> tuple[Item, ...]:
    if "item_id" not in mart.columns:
        return ()
    found = snapshot.read(
        "select coalesce(max(product_name), item_id) as name, "  # noqa: S608 - names of our own
        "count(distinct customer_id) as customers, sum(probability) as expected_buyers, "
        f"cast({f'sum({money})' if money else 'null'} as double precision) as money "
        f"from {mart.relation} where {where} "
        f"group by item_id order by 3 desc, item_id limit {MOST_ITEMS}"
    ).to_pylist()
    return tuple(Item(**row) for row in found)


def _examples(snapshot: Snapshot, mart: _Mart, where: str, probability: str) -> tuple[Example, ...]:
    """Rows at fixed places of the order by probability: the likeliest, the least likely."""
    if "reasons_text" not in mart.columns:
        return ()
    names = [name for name in NAMES if name in mart.columns]
    shown = ", ".join(f"{mart.text(name)} as {name}" for name in names)
    places = ", ".join(f"(1 + floor({share} * (last - 1)))" for share in TAKING_PART)
    found = snapshot.read(
        f"select * from (select {shown}, {probability} as probability, "  # noqa: S608 - ours
        f"{mart.text('band')} as band, reasons_text, {mart.text('what_to_do')} as what_to_do, "
        f"row_number() over (order by {probability} desc, {', '.join(names)}) as place, "
        f"count(*) over () as last from {mart.relation} "
        f"where {where} and coalesce(reasons_text, '') <> '') as ranked "
        f"where place in ({places}) order by place"
    ).to_pylist()
    return tuple(
        Example(
            names={name: _short(row[name]) for name in names if row[name]},
            probability=row["probability"],
            band=row["band"],
            reasons=row["reasons_text"],
            what_to_do=row["what_to_do"],
        )
        for row in found
    )


def _short(value: str) -> str:
    """A time at midnight as the day that it is."""
    return value.removesuffix(" 00:00:00")


# -- the shop --------------------------------------------------------------------------------


def _skipped(snapshot: Snapshot) -> tuple[Skipped, ...]:
    """Predictions whose newest event says that they could not be made."""
    rows = snapshot.read(
        "select prediction, event, detail from (select prediction, event, detail, "
        "row_number() over (partition by prediction order by event_number desc) as place "
        "from predictions.run_events) as events where place = 1 and event = 'skipped' order by 1"
    ).to_pylist()
    return tuple(Skipped(row["prediction"], row["detail"]) for row in rows)


def _segments(snapshot: Snapshot) -> tuple[Segment, ...]:
    if not _columns(snapshot, "marts", "customers"):
        return ()
    rows = snapshot.read(
        "select coalesce(segment, 'not scored') as name, count(*) as customers, "
        "cast(sum(spend_365d) as double precision) as spend, "
        "avg(order_habit_probability) as probability "
        "from marts.customers group by 1 order by 3 desc, 1"
    ).to_pylist()
    return tuple(Segment(**row) for row in rows)


_COUNTS = """
select
    (select count(distinct customer_id) from intermediate.int_orders) as customers,
    (select count(*) from intermediate.int_orders where superseded_on is null) as orders,
    count(*) as order_lines,
    count(*) filter (where customer_id is null) as order_lines_without_customer
from intermediate.int_order_lines
where superseded_at is null
"""
"""Of the newest version of every order and line."""


def _quality(snapshot: Snapshot) -> Quality:
    def one(query: str) -> dict[str, Any]:
        rows = snapshot.read(query).to_pylist()
        return rows[0] if rows else {}

    def pairs(query: str) -> dict[str, int]:
        return {str(row["name"]): int(row["n"]) for row in snapshot.read(query).to_pylist()}

    shop = one("select source from raw.shop")
    window = one("select first_on, newest_on from intermediate.int_data_window")
    loads = one("select max(loaded_at) as loaded_at from raw.loads")
    return Quality(
        source=shop.get("source", ""),
        first_on=window.get("first_on"),
        newest_on=window.get("newest_on"),
        loaded_at=loads.get("loaded_at"),
        counts={name.replace("_", " "): int(n) for name, n in one(_COUNTS).items()},
        fates=pairs(
            "select fate as name, row_count as n from intermediate.int_row_accounting "
            "where row_count > 0 order by row_count desc, fate"
        ),
        rejected=pairs(
            "select reason as name, count(*) as n from raw.rejected_rows "
            "group by reason order by 2 desc, 1 limit 12"
        ),
    )
