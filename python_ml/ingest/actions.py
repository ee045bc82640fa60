"""Actions that the shop took: whom it wrote to, when, and on which prediction.

One CSV or Parquet file, one row per action. A file is taken whole or not at all: actions are what
the marts measure the worth of acting by, and half of them would measure something else. Rows that
are there already change nothing, so a file may grow and be loaded again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import csv as arrow_csv

from python_ml.errors import InputError
from python_ml.forgetting.register import read_forgotten
from python_ml.predictions import all_predictions
from python_ml.warehouse.ledger import utc_now
from python_ml.warehouse.postgres import Warehouse, create_schema

REQUIRED = ("customer_id", "action", "acted_at")
OPTIONAL = ("prediction", "recorded_at")
SHOWN = 5
"""Rows that an error names, at most."""

CREATE_ACTIONS = """
create table if not exists raw.actions (
    customer_id text, action text, prediction text, acted_at timestamp, known_at timestamp,
    loaded_at timestamp, file_name text
)
"""


@dataclass(frozen=True)
class ActionsReport:
    """What a load of actions did, in rows: ``given = loaded + unchanged + forgotten``."""

    given: int
    loaded: int
    unchanged: int
    forgotten: int
    unknown_customers: int


@dataclass(frozen=True)
class Action:
    """One action as the shop tells it."""

    customer_id: str
    action: str
    prediction: str | None
    acted_at: datetime
    recorded_at: datetime | None

    @property
    def key(self) -> tuple[str, str, str | None, datetime]:
        """What tells it from others."""
        return (self.customer_id, self.action, self.prediction, self.acted_at)


def load_actions(
    warehouse: Warehouse, path: Path, home: Path, *, latest: datetime
) -> ActionsReport:
    """Add the actions of a file to ``raw.actions``.

    An action is known from when it was recorded; else from when it happened; else, if it is older
    than what earlier loads brought, from now on.

    Parameters
    ----------
    latest
        Shop-local time; an action after it is refused.

    Raises
    ------
    InputError
        When a column is missing or a row breaks the contract, naming the rows; nothing is loaded.
    """
    given = read_actions(path, latest)
    now = utc_now()
    with warehouse.connect() as connection:
        create_schema(connection, "raw")
        connection.execute(CREATE_ACTIONS)
    with warehouse.bulk() as writer:
        writer.execute("lock table raw.actions in share row exclusive mode")
        held = writer.read(
            "select customer_id, action, prediction, acted_at from raw.actions"
        ).to_pylist()
        present = {tuple(row.values()) for row in held}
        newest = max((row["acted_at"] for row in held), default=None)
        forgotten = read_forgotten(writer.read, home)
        kept = [one for one in given if not forgotten.is_forgotten(one.customer_id)]
        fresh = list({one.key: one for one in kept if one.key not in present}.values())
        writer.append("raw", "actions", _as_table(fresh, newest, now, path.name))
    return ActionsReport(
        given=len(given),
        loaded=len(fresh),
        unchanged=len(kept) - len(fresh),
        forgotten=len(given) - len(kept),
        unknown_customers=_unknown(warehouse, {one.customer_id for one in fresh}),
    )


def read_actions(path: Path, latest: datetime) -> list[Action]:
    """Read and check a file of actions.

    Raises
    ------
    InputError
        Naming what is wrong and in which rows.
    """
    table = _read(path)
    missing = [name for name in REQUIRED if name not in table.schema.names]
    if missing:
        raise InputError(
            f"{path}: no column {', '.join(missing)}; there are {', '.join(table.schema.names)}.",
            f"Needed are {', '.join(REQUIRED)}; {' and '.join(OPTIONAL)} may be there.",
        )
    names = [name for name in (*REQUIRED, *OPTIONAL) if name in table.schema.names]
    actions, wrong = [], []
    for number, row in enumerate(table.select(names).to_pylist(), start=1):
        try:
            actions.append(_action(row, latest))
        except ValueError as reason:
            wrong.append(f"row {number}: {reason}")
    if wrong:
        more = f", and {len(wrong) - SHOWN:,} more" if len(wrong) > SHOWN else ""
        raise InputError(
            f"{path}: {len(wrong):,} of {table.num_rows:,} rows break the contract; "
            f"nothing was loaded. {'; '.join(wrong[:SHOWN])}{more}.",
            "Mend them and load the file again. Rows are counted without the header.",
        )
    return actions


def _read(path: Path) -> pa.Table:
    try:
        if path.suffix == ".parquet":
            return pq.read_table(path)
        with path.open("rb") as file:
            header = file.readline().decode("utf-8-sig").strip()
        delimiter = max(",;\t|", key=header.count)
        named = {name.strip().strip('"'): pa.string() for name in header.split(delimiter)}
        return arrow_csv.read_csv(
            path,
            parse_options=arrow_csv.ParseOptions(delimiter=delimiter),
            convert_options=arrow_csv.ConvertOptions(
                column_types=named, strings_can_be_null=True, null_values=[""]
            ),
        )
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        raise InputError(
            f"{path} cannot be read: {' '.join(str(error).split())}.",
            "Give a CSV file in UTF-8 whose first line names its columns, or a Parquet file.",
        ) from None


def _action(row: dict[str, Any], latest: datetime) -> Action:
    texts = {name: _text(row.get(name)) for name in ("customer_id", "action", "prediction")}
    for name in ("customer_id", "action"):
        if texts[name] is None:
            raise ValueError(f"{name} is empty")
    known = all_predictions()
    if texts["prediction"] is not None and texts["prediction"] not in known:
        raise ValueError(f"{texts['prediction']!r} is no prediction ({', '.join(known)})")
    acted_at = _moment(row["acted_at"], "acted_at")
    if acted_at is None:
        raise ValueError("acted_at is empty")
    if acted_at > latest:
        raise ValueError(f"acted_at {acted_at} lies in the future")
    recorded_at = _moment(row.get("recorded_at"), "recorded_at")
    if recorded_at is not None and recorded_at < acted_at:
        raise ValueError(f"recorded_at {recorded_at} is before acted_at {acted_at}")
    return Action(
        str(texts["customer_id"]), str(texts["action"]), texts["prediction"], acted_at, recorded_at
    )


def _text(value: object) -> str | None:
    text = "" if value is None else str(value).strip()
    return text or None


def _moment(value: object, name: str) -> datetime | None:
    text = _text(value)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{name} {text!r} is no date or time like 2025-06-01 09:30") from None
    if moment.tzinfo is not None:
        raise ValueError(f"{name} {text!r} names a time zone; give the shop's own time")
    return moment


def _as_table(
    actions: Iterable[Action], newest: datetime | None, now: datetime, file_name: str
) -> pa.Table:
    rows = [
        {
            "customer_id": one.customer_id,
            "action": one.action,
            "prediction": one.prediction,
            "acted_at": one.acted_at,
            "known_at": one.recorded_at
            or (one.acted_at if newest is None or one.acted_at > newest else now),
            "loaded_at": now,
            "file_name": file_name,
        }
        for one in actions
    ]
    texts, times = pa.string(), pa.timestamp("us")
    return pa.Table.from_pylist(
        rows,
        schema=pa.schema(
            [("customer_id", texts), ("action", texts), ("prediction", texts),
             ("acted_at", times), ("known_at", times), ("loaded_at", times), ("file_name", texts)]
        ),
    )  # fmt: skip


def _unknown(warehouse: Warehouse, customers: set[str]) -> int:
    """How many of these customers the shop has no order of, as far as it is built."""
    if not customers or not warehouse.relation_exists("intermediate", "int_orders"):
        return 0
    found = warehouse.read("select distinct customer_id from intermediate.int_orders")
    return len(customers - set(found.column(0).to_pylist()))
