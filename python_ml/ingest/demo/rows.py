"""Rows of the flat file, as the shop knew them when the data end."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from python_ml.ingest.demo.catalogue import BRANDS, CATEGORIES, Catalogue
from python_ml.ingest.demo.clock import SECONDS_PER_DAY
from python_ml.ingest.demo.customers import Customers, Orders
from python_ml.ingest.demo.lines import SIZES, Corrections, Lines
from python_ml.ingest.demo.shop import (
    HABIT_LAW,
    RETURN_WINDOW_DAYS,
    BoolArray,
    DemoShop,
    FloatArray,
    IntArray,
)

TIMESTAMP = pa.timestamp("us")
ORDER_LINES_SCHEMA = pa.schema(
    [
        pa.field("order_id", pa.string(), nullable=False),
        pa.field("line_id", pa.string(), nullable=False),
        pa.field("customer_id", pa.string()),
        pa.field("ordered_at", TIMESTAMP, nullable=False),
        pa.field("quantity", pa.int32(), nullable=False),
        pa.field("unit_price", pa.float64(), nullable=False),
        pa.field("discount", pa.float64(), nullable=False),
        pa.field("product_id", pa.string(), nullable=False),
        pa.field("product_name", pa.string(), nullable=False),
        pa.field("category", pa.string(), nullable=False),
        pa.field("returned", pa.int32()),
        pa.field("returned_at", TIMESTAMP),
        pa.field("recorded_at", TIMESTAMP, nullable=False),
        pa.field("size", pa.string(), nullable=False),
        pa.field("brand", pa.string(), nullable=False),
        pa.field("state", pa.string()),
    ]
)


@dataclass(frozen=True, eq=False)
class Chunk:
    """Everything that was drawn for one chunk of customers."""

    number: int
    customers: Customers
    orders: Orders
    lines: Lines
    corrections: Corrections

    @property
    def ordered(self) -> IntArray:
        """Seconds from the first midnight to each line's order."""
        seconds = self.orders.day * SECONDS_PER_DAY + self.orders.second
        return np.asarray(seconds[self.lines.order])

    @property
    def first_recorded(self) -> IntArray:
        """Seconds from the first midnight until each line was first written down."""
        return self.ordered + (self.orders.late_days * SECONDS_PER_DAY)[self.lines.order]


@dataclass(frozen=True, eq=False)
class Versions:
    """Line versions on file: which line, and what may differ between its versions."""

    line: IntArray
    quantity: IntArray
    price: FloatArray
    recorded: IntArray


def versions_on_file(chunk: Chunk, end_seconds: int) -> Versions:
    """First versions and corrections that were written down before the data end."""
    lines, fix = chunk.lines, chunk.corrections
    first = chunk.first_recorded
    every = Versions(
        line=np.concatenate([np.arange(len(first)), fix.line]),
        quantity=np.concatenate([lines.quantity, fix.quantity]),
        price=np.concatenate([lines.price, fix.price]),
        recorded=np.concatenate([first, first[fix.line] + fix.seconds_later]),
    )
    kept = np.flatnonzero(every.recorded < end_seconds)
    return take_versions(every, kept)


def take_versions(versions: Versions, index: IntArray | slice) -> Versions:
    """Select some of the versions."""
    return Versions(
        line=versions.line[index],
        quantity=versions.quantity[index],
        price=versions.price[index],
        recorded=versions.recorded[index],
    )


def order_lines_table(
    shop: DemoShop, catalogue: Catalogue, chunk: Chunk, versions: Versions
) -> Any:
    """Build the Arrow table of some line versions."""
    lines, line = chunk.lines, versions.line
    order = lines.order[line]
    buyer, product = chunk.orders.buyer[order], lines.product[line]
    ordered, end = chunk.ordered[line], shop.days * SECONDS_PER_DAY
    returned_at = ordered + lines.return_seconds[line]
    came_back = lines.is_returned[line] & (returned_at < end)
    is_guest = buyer >= chunk.customers.size
    place = np.where(is_guest, 0, buyer)
    columns = {
        **line_keys(shop, chunk, line),
        "customer_id": _id("C", chunk.customers.number[place], 8, mask=is_guest),
        "quantity": pa.array(versions.quantity, pa.int32()),
        "unit_price": pa.array(versions.price),
        "discount": pa.array(lines.discount[line]),
        "product_id": _id("P", product + 1, 5),
        "product_name": _look_up(catalogue.names, product),
        "category": _look_up(CATEGORIES, catalogue.category[product]),
        "returned": pa.array(came_back, pa.int32(), mask=~came_back & ~window_closed(ordered, end)),
        "returned_at": timestamps(shop.start, returned_at, mask=~came_back),
        "recorded_at": timestamps(shop.start, versions.recorded),
        "size": _look_up(SIZES, lines.size[line]),
        "brand": _look_up(BRANDS, catalogue.brand[product]),
        "state": _look_up(HABIT_LAW.states, chunk.customers.state[place], mask=is_guest),
    }
    return pa.table([columns[name] for name in ORDER_LINES_SCHEMA.names], ORDER_LINES_SCHEMA)


def line_keys(shop: DemoShop, chunk: Chunk, line: IntArray) -> dict[str, Any]:
    """Columns that name an order line, and its time."""
    order = chunk.lines.order[line]
    return {
        "order_id": _order_ids(chunk, order),
        "line_id": pc.cast(pa.array(chunk.lines.number[line]), pa.string()),
        "ordered_at": timestamps(shop.start, chunk.ordered[line]),
    }


def customer_ids(number: IntArray) -> Any:
    """Return ids from customer numbers, the way they stand in the order lines."""
    return _id("C", number, 8)


def window_closed(ordered: IntArray, end: int) -> BoolArray:
    """Tell whether the return window of lines ordered then had closed by the end (seconds)."""
    return np.asarray(ordered + RETURN_WINDOW_DAYS * SECONDS_PER_DAY <= end)


def timestamps(start: date, seconds: IntArray, mask: BoolArray | None = None) -> Any:
    """Seconds from the first midnight as Arrow timestamps without zone."""
    origin = np.datetime64(start.isoformat(), "us").astype(np.int64)
    return pa.array(origin + seconds * 1_000_000, pa.int64(), mask=mask).cast(TIMESTAMP)


def _order_ids(chunk: Chunk, order: IntArray) -> Any:
    buyer, customers = chunk.orders.buyer[order], chunk.customers
    is_guest = buyer >= customers.size
    number = customers.number[np.where(is_guest, 0, buyer)]
    of_customer = _joined(_id("O", number, 8), _digits(chunk.orders.number[order], 4))
    guest = np.where(is_guest, buyer - customers.size + 1, 0)
    of_guest = _joined(_id("G", np.full(len(order), chunk.number), 5), _digits(guest, 7))
    return pc.if_else(pa.array(is_guest), of_guest, of_customer)


def _joined(left: Any, right: Any) -> Any:
    return pc.binary_join_element_wise(left, right, "-")


def _digits(number: IntArray, width: int, mask: BoolArray | None = None) -> Any:
    return pc.utf8_lpad(pc.cast(pa.array(number, mask=mask), pa.string()), width, "0")


def _id(prefix: str, number: IntArray, width: int, mask: BoolArray | None = None) -> Any:
    return pc.binary_join_element_wise(pa.scalar(prefix), _digits(number, width, mask), "")


def _look_up(
    words: list[str] | tuple[str, ...], index: IntArray, mask: BoolArray | None = None
) -> Any:
    return pa.array(words, pa.string()).take(pa.array(index, mask=mask))
