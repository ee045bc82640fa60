"""Scoring order lines that the home does not hold: with what was known before them, and no more.

The file's rows stand beside the home's, in a schema of their own that is dropped afterwards, and
the same dbt models are built there. So no feature is written twice, and nothing that BI reads, or a
later run trains on, is touched.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from python_ml.errors import InputError
from python_ml.ingest.read import ReadOptions, plan_file, read_file
from python_ml.ingest.sources import ColumnMapping, SourceTable, source_tables
from python_ml.predictions.base import Prediction
from python_ml.settings import PROJECT_DIR, Settings
from python_ml.training.bundle import Bundle
from python_ml.training.dataset import to_features
from python_ml.warehouse.catalogue import FeatureCatalogue
from python_ml.warehouse.dbt import run_dbt
from python_ml.warehouse.ledger import utc_now
from python_ml.warehouse.postgres import BulkWriter, Warehouse, columns_of, identifier

SHOWN = ("line_id", "order_id", "customer_id", "product_id", "ordered_at")
"""What the result says of each line, beside its probability."""
LATEST_RECORDING_DAYS = 400
"""Lines that were recorded later after the file's newest order than this are left out."""


@dataclass(frozen=True)
class NewLines:
    """A file of order lines, and how it is read."""

    path: Path
    mapping: ColumnMapping
    options: ReadOptions


@dataclass(frozen=True)
class ScoredLines:
    """Lines with their probability, in the order of the file, and what became of the other rows.

    ``given = scored + rejected + other``; ``other`` are returns and copies of rows.
    """

    lines: pa.Table
    given: int
    rejected: dict[str, int]

    @property
    def other(self) -> int:
        """Rows that are no order lines of their own."""
        return self.given - int(self.lines.num_rows) - sum(self.rejected.values())


@dataclass(frozen=True, eq=False)
class _Desk:
    """Where the file's rows are laid out beside the home's."""

    schema: str
    table: SourceTable
    new_lines: NewLines
    as_of: date
    reject_threshold: float

    @property
    def time_column(self) -> str:
        """When the lines were ordered, as SQL names it."""
        return identifier(self.table.time_column or "ordered_at")

    @property
    def arriving(self) -> str:
        """The file's rows."""
        return f"{self.schema}.arriving_rows"


def score_new_lines(
    settings: Settings,
    warehouse: Warehouse,
    staging: str,
    *,
    prediction: Prediction,
    catalogue: FeatureCatalogue,
    bundle: Bundle,
    new_lines: NewLines,
    as_of: date,
    project_dir: Path = PROJECT_DIR,
    on_line: Callable[[str], None] | None = None,
) -> ScoredLines:
    """Score the lines of a file that were ordered on ``as_of`` or later.

    Orders of the file count as they come in; of outcomes only those count that were known at
    ``as_of``.

    Raises
    ------
    InputError
        When the file breaks the contract, has other attributes than the home, or lines from before
        ``as_of``.
    """
    if warehouse.layout.schema is not None:
        raise InputError(
            "Lines of a file are scored in a schema of their own, "
            f"and this home keeps to one, {warehouse.layout.schema}.",
            "Load the lines, then score.",
        )
    tables = source_tables(staging, project_dir)
    if len(tables) != 1:
        raise InputError(
            f"Lines cannot be scored from one file: the source {staging} has {len(tables)} tables.",
            "Load the lines instead, then score.",
        )
    with _scratch_schema(warehouse) as schema:
        desk = _Desk(schema, tables[0], new_lines, as_of, settings.reject_threshold)
        load_id, given, rejected = _lay_out(warehouse, desk)
        _ask_for(warehouse, schema, prediction, bundle.horizon_days)
        run_dbt(
            settings,
            warehouse,
            staging,
            ["run", "--select", f"+feat_{prediction.name}"],
            target="dev",
            project_dir=project_dir,
            target_dir=settings.home / "dbt" / "scratch_target",
            extra_environment={
                "SMARTRETAIL_DEV_SCHEMA": schema,
                "SMARTRETAIL_SCRATCH_SCHEMA": schema,
                "SMARTRETAIL_OUTCOMES_UNTIL": as_of.isoformat(),
            },
            on_line=on_line,
        )
        columns = ", ".join(f"features.{name}" for name in (*SHOWN, *catalogue.names))
        table = warehouse.read(
            f"select {columns} from {schema}.feat_{prediction.name} as features "  # noqa: S608
            f"inner join {schema}.int_lines_at_order as lines using (line_key) "
            "where lines.load_id = $1 order by lines.row_number",
            [load_id],
        )
    features = to_features(table, catalogue)
    probability = bundle.predict(features) if len(features) else np.empty(0)
    lines = table.select(list(SHOWN)).append_column("probability", pa.array(probability))
    return ScoredLines(lines, given, rejected)


@contextmanager
def _scratch_schema(warehouse: Warehouse) -> Iterator[str]:
    schema = f"scratch_{secrets.token_hex(6)}"
    with warehouse.connect() as connection:
        connection.execute(f"create schema {schema}".encode())
    try:
        yield schema
    finally:
        with warehouse.connect() as connection:
            connection.execute(f"drop schema if exists {schema} cascade".encode())
            connection.execute(
                "delete from predictions.feature_builds where schema_name = %s", (schema,)
            )


def _lay_out(warehouse: Warehouse, desk: _Desk) -> tuple[int, int, dict[str, int]]:
    """Put the file's rows beside the home's rows from before the as-of date.

    Returns
    -------
    tuple
        Number of the load that they stand for, rows given, and reasons of those rejected.
    """
    name, path = desk.table.name, desk.new_lines.path
    with warehouse.connect() as connection:
        held = columns_of(connection, "raw", name)
    _check_attributes(held, desk.new_lines)
    with warehouse.bulk() as writer:
        load_id = int(writer.value("select max(load_id) + 1 from raw.loads"))
        writer.execute(f"create table {desk.arriving} (like raw.{identifier(name)})")
        given, rejected = _take_in(writer, desk, load_id)
        share = sum(rejected.values()) / max(given, 1)
        if share > desk.reject_threshold:
            raise InputError(
                f"{path}: {share:.1%} of its rows break the contract: "
                f"{', '.join(sorted(rejected))}.",
                "Mend the file, or map its columns with --map.",
            )
        early = writer.value(
            f"select count(*) from {desk.arriving} "  # noqa: S608 - names of our own
            f"where {desk.time_column} < $1",
            [desk.as_of],
        )
        if early:
            raise InputError(
                f"{path}: {early:,} lines were ordered before --as-of {desk.as_of}.",
                "Give an earlier --as-of, or leave those lines out.",
            )
        _stand_in_for_raw(writer, desk, load_id)
    return load_id, given, rejected


def _check_attributes(held: dict[str, str], new_lines: NewLines) -> None:
    names = {name for name in held if name.startswith("attribute_")}
    named = {attribute.column_name for attribute in new_lines.mapping.attributes}
    if names != named:
        raise InputError(
            f"This home was filled with the attributes {', '.join(sorted(names)) or 'none'}, "
            f"this file is read with {', '.join(sorted(named)) or 'none'}.",
            "Name the same --attribute and --map as when the home was loaded.",
        )


def _take_in(writer: BulkWriter, desk: _Desk, load_id: int) -> tuple[int, dict[str, int]]:
    mapping = desk.new_lines.mapping
    plan = plan_file(desk.new_lines.path, desk.table, mapping, desk.new_lines.options)
    attributes = [attribute.column_name for attribute in mapping.attributes]
    own = ("_row_number", "_load_id", "_file_number")
    columns = [*(column.name for column in desk.table.columns), *attributes, *own]
    given, rejected = 0, dict[str, int]()

    def batches(stretches: Any) -> Iterator[pa.RecordBatch]:
        nonlocal given
        for rows in stretches:
            given += rows.given
            for bad in rows.bad:
                rejected[bad.reason] = rejected.get(bad.reason, 0) + 1
            count = rows.good.num_rows
            good = rows.good.append_column("_load_id", pa.repeat(pa.scalar(load_id), count))
            good = good.append_column("_file_number", pa.repeat(pa.scalar(1, pa.int32()), count))
            yield from good.to_batches()

    with read_file(plan, utc_now().date().isoformat()) as stretches:
        writer.append_batches(desk.schema, "arriving_rows", columns, batches(stretches))
    return given, rejected


def _stand_in_for_raw(writer: BulkWriter, desk: _Desk, load_id: int) -> None:
    """Views under the names of the raw tables: the home's rows, and the file's as one more load."""
    schema, until = desk.schema, desk.as_of.isoformat()
    # its lines were known when they were ordered: nothing is newer than the load before it
    writer.execute(
        f"create table {schema}.arriving_load as "  # noqa: S608 - names of our own
        "select * from raw.loads order by load_id desc limit 1"
    )
    writer.execute(
        f"update {schema}.arriving_load "  # noqa: S608
        f"set load_id = {load_id:d}, newest_before = null"
    )
    more = {"loads": f"true union all select * from {schema}.arriving_load"}  # noqa: S608
    more[desk.table.name] = (
        f"{desk.time_column} < date '{until}' "  # noqa: S608
        f"union all select * from {desk.arriving}"
    )
    names = writer.read(
        "select table_name::text as name from information_schema.tables "
        "where table_schema = 'raw' and table_name <> 'as_of_requests'"
    ).to_pylist()
    for name in (str(row["name"]) for row in names):
        writer.execute(
            f"create view {schema}.{identifier(name)} as "  # noqa: S608
            f"select * from raw.{identifier(name)} where {more.get(name, 'true')}"
        )


def _ask_for(warehouse: Warehouse, schema: str, prediction: Prediction, horizon_days: int) -> None:
    """Ask for features up to the file's last line."""
    with warehouse.connect() as connection:
        connection.execute(
            f"create table {schema}.as_of_requests as "  # noqa: S608
            "select %s::text as prediction, max(ordered_at)::date + %s::integer as as_of_date, "
            "%s::integer as horizon_days, now()::timestamp as requested_at "
            f"from {schema}.arriving_rows".encode(),
            (prediction.name, LATEST_RECORDING_DAYS, horizon_days),
        )
