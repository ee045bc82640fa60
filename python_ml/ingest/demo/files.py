"""Writes a demo shop, one chunk of customers at a time."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from python_ml.errors import InputError
from python_ml.ingest.demo.catalogue import (
    Catalogue,
    Shelves,
    build_catalogue,
    build_shelves,
    category_weights,
)
from python_ml.ingest.demo.clock import SECONDS_PER_DAY, ShopClock, build_clock
from python_ml.ingest.demo.customers import draw_customers, draw_orders
from python_ml.ingest.demo.habit_oracle import HORIZON_DAYS, habit_truth
from python_ml.ingest.demo.lines import draw_corrections, draw_lines, draw_tastes
from python_ml.ingest.demo.return_oracle import GUEST, ReturnEvidence, return_probabilities
from python_ml.ingest.demo.rows import (
    ORDER_LINES_SCHEMA,
    TIMESTAMP,
    Chunk,
    customer_ids,
    line_keys,
    order_lines_table,
    take_versions,
    versions_on_file,
    window_closed,
)
from python_ml.ingest.demo.shop import DemoShop, FloatArray

log = logging.getLogger(__name__)

ORDER_HABIT_SCHEMA = pa.schema(
    [
        ("customer_id", pa.string()),
        ("as_of_date", pa.date32()),
        ("horizon_days", pa.int32()),
        ("probability", pa.float64()),
        ("label", pa.int32()),
    ]
)
RETURN_RISK_SCHEMA = pa.schema(
    [
        ("order_id", pa.string()),
        ("line_id", pa.string()),
        ("ordered_at", TIMESTAMP),
        ("probability", pa.float64()),
        ("label", pa.int32()),
    ]
)


@dataclass(frozen=True)
class DemoFiles:
    """What was written: the order lines, their number, and the oracle's files if asked for."""

    order_lines: Path
    rows: int
    order_habit: Path | None = None
    return_risk: Path | None = None


def write_demo_shop(shop: DemoShop, out_dir: Path, with_oracle: bool = False) -> DemoFiles:
    """Simulate a shop and write its order lines as one Parquet file.

    Parameters
    ----------
    shop
        The shop; the same one gives the same rows.
    out_dir
        Folder for ``order_lines.parquet``, made when missing. Files of an earlier call are
        replaced once the new ones are whole.
    with_oracle
        Also write ``oracle/order_habit.parquet`` and ``oracle/return_risk.parquet``; without it,
        those of an earlier shop in this folder are removed, for they would not fit. Return risk
        keeps about 100 bytes per order line in memory; everything else streams.

    Returns
    -------
    DemoFiles
        The paths and the number of rows.

    Raises
    ------
    InputError
        When the folder cannot be written.
    """
    order_lines = out_dir / "order_lines.parquet"
    order_habit = out_dir / "oracle" / "order_habit.parquet"
    return_risk = out_dir / "oracle" / "return_risk.parquet"
    world = _World.of(shop)
    try:
        for outdated in (order_habit, return_risk):
            outdated.unlink(missing_ok=True)
        rows = _write_order_lines(order_lines, world)
        if not with_oracle:
            return DemoFiles(order_lines, rows)
        # Each file draws the chunks anew: they come out the same, and nothing has to be kept.
        _write_order_habit(order_habit, world)
        _write_return_risk(return_risk, world)
    except OSError as error:
        raise InputError(
            f"Cannot write the demo shop to {out_dir}: {error.strerror or error}.",
            "Name a folder that you may write to, with room for about 20 bytes per order line.",
        ) from error
    return DemoFiles(order_lines, rows, order_habit, return_risk)


@dataclass(frozen=True, eq=False)
class _World:
    """What all chunks share."""

    shop: DemoShop
    clock: ShopClock
    catalogue: Catalogue
    shelves: Shelves
    season: FloatArray

    @classmethod
    def of(cls, shop: DemoShop) -> _World:
        clock = build_clock(shop)
        months = int(clock.month[shop.days - 1]) + 1
        catalogue = build_catalogue(shop, months)
        shelves = build_shelves(catalogue, months)
        return cls(shop, clock, catalogue, shelves, category_weights())


def _draw_chunks(world: _World) -> Iterator[Chunk]:
    """Draw chunk by chunk, each from a random stream of its own."""
    shop, clock = world.shop, world.clock
    for number, first, count in shop.chunks():
        random = shop.random(1, number)
        customers = draw_customers(random, shop, clock, first, count)
        orders = draw_orders(random, shop, clock, customers)
        tastes = draw_tastes(random, customers.size + int(np.sum(orders.buyer >= customers.size)))
        lines = draw_lines(
            random,
            clock=clock,
            catalogue=world.catalogue,
            shelves=world.shelves,
            season=world.season,
            customers=customers,
            orders=orders,
            tastes=tastes,
        )
        yield Chunk(number, customers, orders, lines, draw_corrections(random, lines))


def _write_order_lines(path: Path, world: _World) -> int:
    shop, rows = world.shop, 0
    with _parquet(path, ORDER_LINES_SCHEMA) as file:
        for chunk in _draw_chunks(world):
            versions = versions_on_file(chunk, shop.days * SECONDS_PER_DAY)
            for start in range(0, len(versions.line), shop.rows_per_group):
                part = take_versions(versions, slice(start, start + shop.rows_per_group))
                file.write_table(order_lines_table(shop, world.catalogue, chunk, part))
            rows += len(versions.line)
            log.info("demo shop: %d order lines written", rows)
    return rows


def _write_order_habit(path: Path, world: _World) -> None:
    with _parquet(path, ORDER_HABIT_SCHEMA) as file:
        for chunk in _draw_chunks(world):
            for as_of in world.shop.as_of_dates():
                file.write_table(_order_habit_table(world, chunk, as_of))


def _order_habit_table(world: _World, chunk: Chunk, as_of: date) -> Any:
    shop = world.shop
    day = (as_of - shop.start).days
    truth = habit_truth(world.clock, chunk.customers, chunk.orders, day, shop.days)
    count = len(truth.customer)
    columns = [
        customer_ids(chunk.customers.number[truth.customer]),
        pa.array([as_of] * count, pa.date32()),
        pa.array(np.full(count, HORIZON_DAYS), pa.int32()),
        pa.array(truth.probability),
        pa.array(truth.label, pa.int32(), mask=truth.label < 0),
    ]
    return pa.table(columns, ORDER_HABIT_SCHEMA)


def _write_return_risk(path: Path, world: _World) -> None:
    """Collect all lines first: products, and what is learned about them, cross the chunks."""
    parts: list[ReturnEvidence] = []
    tables: list[Any] = []
    for chunk in _draw_chunks(world):
        evidence, table = _lines_on_file(world, chunk)
        parts.append(evidence)
        tables.append(table)
    names = ("customer", "product", "day", "score", "is_returned")
    evidence = ReturnEvidence(*(np.concatenate([getattr(p, n) for p in parts]) for n in names))
    probability = return_probabilities(evidence, world.shop.customers, world.catalogue.size)
    start = 0
    with _parquet(path, RETURN_RISK_SCHEMA) as file:
        for table in tables:
            stop = start + table.num_rows
            stated = table.append_column("probability", pa.array(probability[start:stop]))
            file.write_table(stated.select(RETURN_RISK_SCHEMA.names).cast(RETURN_RISK_SCHEMA))
            start = stop


def _lines_on_file(world: _World, chunk: Chunk) -> tuple[ReturnEvidence, Any]:
    """Return the lines known when the data end: what the oracle uses, and their keys and labels."""
    end = world.shop.days * SECONDS_PER_DAY
    lines, customers = chunk.lines, chunk.customers
    kept = np.flatnonzero(chunk.first_recorded < end)
    buyer = chunk.orders.buyer[lines.order[kept]]
    is_guest = buyer >= customers.size
    is_returned = lines.is_returned[kept]
    evidence = ReturnEvidence(
        customer=np.where(is_guest, GUEST, customers.number[np.where(is_guest, 0, buyer)]),
        product=lines.product[kept],
        day=chunk.orders.day[lines.order[kept]],
        score=lines.return_score[kept],
        is_returned=is_returned,
    )
    is_open = ~window_closed(chunk.ordered[kept], end)
    label = pa.array(is_returned, pa.int32(), mask=is_open)
    return evidence, pa.table({**line_keys(world.shop, chunk, kept), "label": label})


@contextmanager
def _parquet(path: Path, schema: Any) -> Iterator[Any]:
    """Write beside the path and move there when whole, so that no half file is ever found."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".unfinished")
    try:
        with pq.ParquetWriter(unfinished, schema, compression="zstd") as writer:
            yield writer
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
