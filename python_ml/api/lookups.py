"""Reading mart rows of one run: every query is held by an index on the run and its key."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from python_ml.api.problems import Problem
from python_ml.api.published import PublishedRun
from python_ml.warehouse.pool import ReadPool, Row

HABIT = (
    "customer_id, segment, probability, decile, band, expected_value, value_at_risk, "
    "suggested_action, what_to_do, is_holdout, scored_at, label_known_at, reasons_text, reasons"
)
ITEM = (
    "customer_id, item_id, product_name, category, item_rank, probability, decile, band, "
    "expected_value, suggested_action, what_to_do, is_holdout, scored_at, label_known_at, "
    "reasons_text, reasons"
)
LINE = (
    "line_key, order_id, line_id, customer_id, product_id, "
    "to_char(ordered_at, 'YYYY-MM-DD\"T\"HH24:MI:SS') as ordered_at, line_value, "
    "probability_at_order, probability_still, decile, band, threshold, suggested_action, "
    "what_to_do, expected_saving, expected_return_cost, is_holdout, label_kind, scored_at, "
    "label_known_at, reasons_text, reasons"
)
METRICS = ("log_loss", "auc", "brier", "average_precision", "ndcg_at_10", "ndcg_at_3")


@dataclass(frozen=True)
class Order:
    """What a list is sorted by: a number, highest first, then a key that is unique in the run."""

    value: str
    key: tuple[str, ...]


async def customer_habit(pool: ReadPool, run: PublishedRun, customer_id: str) -> Row | None:
    """One customer of a run."""
    rows = await pool.read(
        f"select {HABIT} from mart_rows.order_habit_rows "  # noqa: S608 - constants
        "where run_id = %s and customer_id = %s",
        (run.run_id, customer_id),
    )
    return rows[0] if rows else None


async def items_of_customer(
    pool: ReadPool, run: PublishedRun, customer_id: str, level: str, top_n: int
) -> list[Row]:
    """A customer's likeliest items, likeliest first."""
    return await pool.read(
        f"select {ITEM} from mart_rows.purchase_potential_rows "  # noqa: S608 - constants
        "where run_id = %s and customer_id = %s and item_level = %s and item_rank <= %s "
        "order by item_rank",
        (run.run_id, customer_id, level, top_n),
    )


async def has_customer(pool: ReadPool, run: PublishedRun, customer_id: str) -> bool:
    """Whether a run says anything of a customer."""
    return bool(
        await pool.read(
            "select 1 as there from mart_rows.purchase_potential_rows "
            "where run_id = %s and customer_id = %s limit 1",
            (run.run_id, customer_id),
        )
    )


async def lines_of_order(pool: ReadPool, run: PublishedRun, order_id: str) -> list[Row]:
    """The open lines of an order."""
    return await pool.read(
        f"select {LINE} from mart_rows.return_risk_rows "  # noqa: S608 - constants
        "where run_id = %s and order_id = %s order by line_key",
        (run.run_id, order_id),
    )


async def page(
    pool: ReadPool,
    table: str,
    columns: str,
    run: PublishedRun,
    *,
    order: Order,
    filters: Mapping[str, Any],
    at_least: float | None,
    after: Sequence[Any] | None,
    limit: int,
) -> tuple[list[Row], str | None]:
    """Read one page by its place in the order, so that late pages cost what the first does.

    Parameters
    ----------
    filters
        Column and value that it must have; None for any.
    at_least
        Lowest value of the order's number.
    after
        Place after which the page begins, from the cursor of the page before.

    Returns
    -------
    tuple
        Rows, and the cursor of the next page; none at the end.
    """
    conditions = ["run_id = %s"]
    parameters: list[Any] = [run.run_id]
    for column, value in filters.items():
        if value is not None:
            conditions.append(f"{column} = %s")
            parameters.append(value)
    if at_least is not None:
        conditions.append(f"{order.value} >= %s")
        parameters.append(at_least)
    if after is not None:
        keys = ", ".join(order.key)
        places = ", ".join(["%s"] * len(order.key))
        conditions.append(f"({order.value} < %s or ({order.value} = %s and ({keys}) > ({places})))")
        parameters += [after[0], after[0], *after[1:]]
    rows = await pool.read(
        f"select {columns} from mart_rows.{table} where {' and '.join(conditions)} "  # noqa: S608
        f"order by {order.value} desc, {', '.join(order.key)} limit %s",
        (*parameters, limit + 1),
    )
    shown = rows[:limit]
    if len(rows) <= limit:
        return shown, None
    last = shown[-1]
    return shown, write_cursor(run, [last[order.value], *(last[key] for key in order.key)])


def write_cursor(run: PublishedRun, place: Sequence[Any]) -> str:
    """A place in a run's list, to be handed out."""
    text = json.dumps([run.run_id, *place])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def read_cursor(cursor: str, parts: int) -> tuple[str, list[Any]]:
    """The run and the place of a cursor.

    Raises
    ------
    Problem
        ``invalid-cursor``.
    """
    wrong = Problem("invalid-cursor", "This cursor was not handed out by this list.")
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        content = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        raise wrong from None
    if not isinstance(content, list) or len(content) != parts + 1:
        raise wrong
    run_id, value, *keys = content
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    texts = [run_id, *keys]
    if not is_number or abs(value) > 1e300:  # noqa: PLR2004
        raise wrong
    if not all(isinstance(t, str) and "\x00" not in t and _is_utf8(t) for t in texts):
        raise wrong
    return run_id, [float(value), *keys]


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def with_reasons(rows: list[Row], wanted: bool) -> list[Row]:
    """The rows with their reasons as lists, or without."""
    return [
        {**row, "reasons": json.loads(row["reasons"]) if wanted and row["reasons"] else None}
        for row in rows
    ]


async def test_metrics(pool: ReadPool, bundle_ids: list[str]) -> dict[str, list[Row]]:
    """What the models of some bundles, and the recipes beside them, reached when tested."""
    rows = await pool.read(
        "select bundle_id, recipe, metric, nullif(value, 'NaN') as value, "
        "nullif(lower_bound, 'NaN') as lower_bound, nullif(upper_bound, 'NaN') as upper_bound, "
        "origin_date as measured_on from predictions.metrics "
        "where bundle_id = any(%s) and role like '%%test\\_as\\_published' and metric = any(%s) "
        "order by role, recipe, metric",
        (bundle_ids, list(METRICS)),
    )
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.pop("bundle_id"), []).append(row)
    return found
