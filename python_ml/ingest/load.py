"""Loading a source: validated, atomic, repeatable.

All files of one load go in together or not at all. Rows that break the contract go to
``raw.rejected_rows`` with file, line and reason; above a threshold the load is refused whole. A
file that was loaded before changes nothing, and a file that repeats known orders brings only those
that changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from python_ml.errors import InputError
from python_ml.ingest.read import FilePlan, plan_file, read_file
from python_ml.ingest.sources import (
    FLAT_FILE_SOURCE,
    ColumnMapping,
    SourceTable,
    source_tables,
)
from python_ml.warehouse.postgres import BulkWriter, Warehouse

LOAD_LOCK = 7_236_012_027
"""Key of the advisory lock that keeps two loads of one shop apart."""

Progress = Callable[[str, int], None]
"""Called with a file's name and the rows read from it so far."""

_BOOKKEEPING = """
create schema if not exists raw;
create table if not exists raw.shop (
    source text not null, staging text not null, created_at timestamp not null
);
create unique index if not exists shop_is_one on raw.shop ((true));
create table if not exists raw.loads (
    load_id bigint not null, source text not null, table_name text not null,
    file_number integer not null, file_name text not null, file_digest text not null,
    rows_given bigint not null, rows_loaded bigint not null, rows_rejected bigint not null,
    rows_unchanged bigint not null, loaded_at timestamp not null, newest_before timestamp,
    newest_in_file timestamp, primary key (load_id, table_name, file_number)
);
create table if not exists raw.rejected_rows (
    load_id bigint not null, file_name text not null, line_number bigint not null,
    row_text text, reason text not null
);
create table if not exists raw.as_of_requests (
    prediction text not null, as_of_date date not null, horizon_days integer not null,
    requested_at timestamp not null, primary key (prediction, as_of_date, horizon_days)
);
"""


@dataclass(frozen=True)
class LoadReport:
    """What a load did, in rows.

    ``given = loaded + rejected + unchanged`` always holds.
    """

    load_id: int | None
    given: int
    loaded: int
    rejected: int
    unchanged: int
    reasons: dict[str, int] = field(default_factory=dict)
    already_loaded: tuple[str, ...] = ()


def prepare(warehouse: Warehouse) -> None:
    """Create the bookkeeping tables of the raw schema where they are missing."""
    with warehouse.connect() as connection:
        connection.execute("select pg_advisory_xact_lock(%s)", (LOAD_LOCK,))
        connection.execute(_BOOKKEEPING)


def shop_source(warehouse: Warehouse) -> tuple[str, str] | None:
    """Which source this home holds and the staging folder it uses, or None for an empty home."""
    if not warehouse.relation_exists("raw", "shop"):
        return None
    with warehouse.connect() as connection:
        row = connection.execute("select source, staging from raw.shop").fetchone()
    return (str(row[0]), str(row[1])) if row else None


def load(
    warehouse: Warehouse,
    source: str,
    paths: Sequence[Path],
    mapping: ColumnMapping | None = None,
    *,
    staging: str | None = None,
    encoding: str = "utf-8",
    date_order: str | None = None,
    reject_threshold: float = 0.05,
    on_progress: Progress | None = None,
) -> LoadReport:
    """Load files or folders of one source into the raw schema.

    Parameters
    ----------
    source
        Name under which the home remembers its shop.
    staging
        Staging folder that describes the files; the source's own name by default.
    reject_threshold
        Share of bad rows above which nothing is loaded.

    Raises
    ------
    InputError
        When the home holds another shop, a file breaks the contract as a whole, or too many rows
        do. Nothing is changed then.
    """
    staging = staging or source
    mapping = mapping or ColumnMapping()
    check_shop(warehouse, source)
    prepare(warehouse)
    report = LoadReport(None, 0, 0, 0, 0)
    for table in source_tables(staging):
        files = _files_of(table, paths)
        digests = {path: _digest(path, mapping) for path in files}
        known = _known_digests(warehouse)
        fresh = [path for path in files if digests[path] not in known]
        old = tuple(path.name for path in files if digests[path] in known)
        if not fresh:
            report = _merge(report, LoadReport(None, 0, 0, 0, 0, {}, old))
            continue
        plans = [
            plan_file(path, table, mapping, encoding=encoding, date_order=date_order) for path in fresh
        ]
        loader = _TableLoader(warehouse, source, staging, table, mapping, on_progress)
        part = loader.load(plans, digests, reject_threshold)
        report = _merge(report, part, old)
    return report


def check_shop(warehouse: Warehouse, source: str) -> None:
    """Refuse a second shop in one home.

    Raises
    ------
    InputError
        With the command that would use another home.
    """
    held = shop_source(warehouse)
    if held is not None and held[0] != source:
        raise InputError(
            f"This home holds the shop {held[0]!r}; one home holds one shop.",
            f"Use another home: smartretail run --source {source} --home .smartretail-{source}",
        )


class _TableLoader:
    """Loads files into one raw table, in one transaction."""

    def __init__(
        self,
        warehouse: Warehouse,
        source: str,
        staging: str,
        table: SourceTable,
        mapping: ColumnMapping,
        on_progress: Progress | None,
    ) -> None:
        self._warehouse = warehouse
        self._source = source
        self._staging = staging
        self._table = table
        self._attributes = [attribute.column_name for attribute in mapping.attributes]
        self._on_progress = on_progress
        self._now = datetime.now(UTC).replace(tzinfo=None)

    def load(
        self, plans: list[FilePlan], digests: dict[Path, str], reject_threshold: float
    ) -> LoadReport:
        with self._warehouse.bulk() as writer:
            writer.execute("select pg_advisory_xact_lock($1)", [LOAD_LOCK])
            self._claim_shop(writer)
            self._create_table(writer)
            load_id = _scalar(writer, "select coalesce(max(load_id), 0) + 1 from raw.loads")
            is_first = _scalar(writer, "select count(*) from raw.loads where table_name = $1",
                               [self._table.name]) == 0
            newest_before = None if is_first else self._newest_before(writer)
            target = self._table.name if is_first else self._create_intake(writer)
            tallies = [
                self._load_file(writer, plan, load_id, number, target, temporary=not is_first)
                for number, plan in enumerate(plans, start=1)
            ]
            self._refuse_if_too_bad(tallies, reject_threshold)
            if not is_first:
                self._move_changed_orders(writer, tallies)
            writer.append("raw", "rejected_rows", _rejected_table(load_id, tallies))
            writer.append(
                "raw", "loads", self._loads_table(load_id, tallies, digests, newest_before)
            )
        reasons: dict[str, int] = {}
        for tally in tallies:
            for _, _, reason in tally.rejected:
                reasons[reason] = reasons.get(reason, 0) + 1
        return LoadReport(
            load_id,
            given=sum(t.given for t in tallies),
            loaded=sum(t.loaded for t in tallies),
            rejected=sum(len(t.rejected) for t in tallies),
            unchanged=sum(t.unchanged for t in tallies),
            reasons=reasons,
        )

    def _claim_shop(self, writer: BulkWriter) -> None:
        held = writer.read("select source from raw.shop").to_pylist()
        if not held:
            writer.execute(
                "insert into raw.shop values ($1, $2, cast($3 as timestamp))",
                [self._source, self._staging, self._now.isoformat()],
            )

    def _create_table(self, writer: BulkWriter) -> None:
        existing = [
            str(row["column_name"])
            for row in writer.read(
                "select column_name::text from information_schema.columns "
                "where table_schema = 'raw' and table_name = $1",
                [self._table.name],
            ).to_pylist()
        ]
        if existing:
            attributes = sorted(name for name in existing if name.startswith("attribute_"))
            if attributes != sorted(self._attributes):
                raise InputError(
                    f"This home was filled with the attributes {attributes or 'none'}, "
                    f"this load names {sorted(self._attributes) or 'none'}.",
                    "Name the same attributes, or use another home with --home.",
                )
            return
        columns = [f"{column.name} {column.type}" for column in self._table.columns]
        columns += [f"{name} text" for name in self._attributes]
        columns += [
            "_load_id bigint not null", "_file_number integer not null", "_row_number bigint not null"
        ]
        writer.execute(f"create table raw.{self._table.name} ({', '.join(columns)})")

    def _newest_before(self, writer: BulkWriter) -> datetime | None:
        """How far the home already knew the shop: by its rows, and by what was asked of it."""
        value = _scalar(
            writer,
            "select greatest((select max(newest_in_file) from raw.loads where table_name = $1), "
            "(select max(as_of_date)::timestamp from raw.as_of_requests))",
            [self._table.name],
        )
        return value if value is None or isinstance(value, datetime) else None

    def _create_intake(self, writer: BulkWriter) -> str:
        writer.execute(
            f"create temporary table intake (like raw.{self._table.name}) on commit drop"
        )
        return "intake"

    def _load_file(
        self,
        writer: BulkWriter,
        plan: FilePlan,
        load_id: int,
        file_number: int,
        target: str,
        temporary: bool,
    ) -> _Tally:
        tally = _Tally(plan.path.name, file_number)
        names = [column.name for column in self._table.columns] + self._attributes
        with read_file(plan, self._now.date().isoformat()) as stream:
            batches = self._good_batches(stream, tally, names, load_id)
            first = next(batches, None)
            if first is not None:
                reader = pa.RecordBatchReader.from_batches(first.schema, _chain(first, batches))
                tally.loaded = writer.append("raw", target, reader, temporary=temporary)
            malformed = stream.malformed()
        tally.given += len(malformed)
        tally.rejected += malformed
        if tally.given == 0:
            raise InputError(f"{plan.path}: the file has no rows.", "Export it again.")
        return tally

    def _good_batches(
        self, stream: Any, tally: _Tally, names: list[str], load_id: int
    ) -> Iterator[pa.RecordBatch]:
        for batch in stream:
            tally.given += batch.num_rows
            reasons = batch.column("_reason")
            good = batch.filter(pc.is_null(reasons))
            if good.num_rows < batch.num_rows:
                bad = batch.filter(pc.is_valid(reasons))
                tally.rejected += [
                    (
                        # the header is line 1 of a CSV
                        row["_row_number"] + 1,
                        "; ".join(f"{k}={v}" for k, v in row.items() if v is not None and k[0] != "_"),
                        row["_reason"],
                    )
                    for row in bad.to_pylist()
                ]
            times = pc.max(good.column(self._table.time_column)).as_py()
            if times is not None and (tally.newest is None or times > tally.newest):
                tally.newest = times
            if self._on_progress is not None:
                self._on_progress(tally.file_name, tally.given)
            columns = [good.column(name) for name in names]
            columns += [
                pa.repeat(pa.scalar(load_id, pa.int64()), good.num_rows),
                pa.repeat(pa.scalar(tally.file_number, pa.int32()), good.num_rows),
                good.column("_row_number"),
            ]
            yield pa.RecordBatch.from_arrays(
                columns, names=[*names, "_load_id", "_file_number", "_row_number"]
            )

    def _refuse_if_too_bad(self, tallies: list[_Tally], threshold: float) -> None:
        given = sum(t.given for t in tallies)
        rejected = [(t.file_name, *row) for t in tallies for row in t.rejected]
        if len(rejected) <= threshold * given:
            return
        examples = "\n".join(
            f"  {name}, line {line}: {reason}" for name, line, _, reason in rejected[:5]
        )
        raise InputError(
            f"{len(rejected):,} of {given:,} rows break the contract "
            f"(more than {threshold:.0%}); nothing was loaded. The first:\n{examples}",
            "Mend the file, map its columns with --map, "
            "or raise SMARTRETAIL_REJECT_THRESHOLD to load the rest.",
        )

    def _move_changed_orders(self, writer: BulkWriter, tallies: list[_Tally]) -> None:
        """Append the orders of the intake that differ from what is already there."""
        columns = [column.name for column in self._table.columns] + self._attributes
        is_flat = self._table.source == FLAT_FILE_SOURCE
        order = "order_id" if is_flat else self._table.columns[0].name
        key = "coalesce(line_id, product_id, '')" if is_flat else self._table.columns[1].name
        digest = "md5(row(" + ", ".join(columns) + ")::text)"
        writer.execute(
            f"""
            create temporary table changed_orders on commit drop as
            with present as (
                select {order} as order_key, {key} as line_part, {digest} as digest, _load_id,
                    row_number() over (
                        partition by _load_id, _file_number, {order}, {key} order by _row_number
                    ) as ordinal
                from raw.{self._table.name}
                where {order} in (select {order} from intake)
            ),
            current_rows as (
                select distinct on (order_key, line_part, ordinal) *
                from present
                order by order_key, line_part, ordinal, _load_id desc
            ),
            arriving as (
                select {order} as order_key, {key} as line_part, {digest} as digest,
                    row_number() over (
                        partition by _file_number, {order}, {key} order by _row_number
                    ) as ordinal
                from intake
            )
            select distinct arriving.order_key
            from arriving
            left join current_rows using (order_key, line_part, ordinal, digest)
            where current_rows.order_key is null
            """  # noqa: S608
        )
        names = ", ".join([*columns, "_load_id", "_file_number", "_row_number"])
        writer.execute(
            f"insert into raw.{self._table.name} ({names}) select {names} from intake "  # noqa: S608
            f"where {order} in (select order_key from changed_orders)"
        )
        moved = {
            row["_file_number"]: row["moved"]
            for row in writer.read(
                f"select _file_number, count(*) as moved from intake "  # noqa: S608
                f"where {order} in (select order_key from changed_orders) group by 1"
            ).to_pylist()
        }
        for tally in tallies:
            tally.unchanged = tally.loaded - moved.get(tally.file_number, 0)
            tally.loaded = moved.get(tally.file_number, 0)

    def _loads_table(
        self,
        load_id: int,
        tallies: list[_Tally],
        digests: dict[Path, str],
        newest_before: datetime | None,
    ) -> pa.Table:
        by_name = {path.name: digest for path, digest in digests.items()}
        count = len(tallies)
        return pa.table(
            {
                "load_id": pa.array([load_id] * count, pa.int64()),
                "source": [self._source] * count,
                "table_name": [self._table.name] * count,
                "file_number": pa.array([t.file_number for t in tallies], pa.int32()),
                "file_name": [t.file_name for t in tallies],
                "file_digest": [by_name[t.file_name] for t in tallies],
                "rows_given": pa.array([t.given for t in tallies], pa.int64()),
                "rows_loaded": pa.array([t.loaded for t in tallies], pa.int64()),
                "rows_rejected": pa.array([len(t.rejected) for t in tallies], pa.int64()),
                "rows_unchanged": pa.array([t.unchanged for t in tallies], pa.int64()),
                "loaded_at": pa.array([self._now] * count, pa.timestamp("us")),
                "newest_before": pa.array([newest_before] * count, pa.timestamp("us")),
                "newest_in_file": pa.array([t.newest for t in tallies], pa.timestamp("us")),
            }
        )


@dataclass
class _Tally:
    """Rows of one file as they are counted."""

    file_name: str
    file_number: int
    given: int = 0
    loaded: int = 0
    unchanged: int = 0
    newest: datetime | None = None
    rejected: list[tuple[int, str, str]] = field(default_factory=list)


def _files_of(table: SourceTable, paths: Sequence[Path]) -> list[Path]:
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            found = sorted(path.glob(table.files))
            if table.source == FLAT_FILE_SOURCE or not found:
                raise InputError(
                    f"{path}: a folder without the files of this source ({table.files}).",
                    "Give the path of the file itself.",
                )
            files += found
        else:
            files.append(path)
    for file in files:
        if not file.exists():
            raise InputError(f"{file}: no such file.", "Check the path.")
    return files


def _digest(path: Path, mapping: ColumnMapping) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    digest.update(repr((sorted(mapping.renames.items()), mapping.attributes)).encode())
    return digest.hexdigest()


def _known_digests(warehouse: Warehouse) -> set[str]:
    with warehouse.connect() as connection:
        return {str(row[0]) for row in connection.execute("select file_digest from raw.loads")}


def _rejected_table(load_id: int, tallies: list[_Tally]) -> pa.Table:
    rows = [(t.file_name, *row) for t in tallies for row in t.rejected]
    return pa.table(
        {
            "load_id": pa.array([load_id] * len(rows), pa.int64()),
            "file_name": pa.array([row[0] for row in rows], pa.string()),
            "line_number": pa.array([row[1] for row in rows], pa.int64()),
            "row_text": pa.array([row[2].replace("\0", "") for row in rows], pa.string()),
            "reason": pa.array([row[3] for row in rows], pa.string()),
        }
    )


def _merge(total: LoadReport, part: LoadReport, old: tuple[str, ...] = ()) -> LoadReport:
    return LoadReport(
        part.load_id or total.load_id,
        total.given + part.given,
        total.loaded + part.loaded,
        total.rejected + part.rejected,
        total.unchanged + part.unchanged,
        {**total.reasons, **part.reasons},
        total.already_loaded + part.already_loaded + old,
    )


def _scalar(writer: BulkWriter, query: str, parameters: Sequence[Any] | None = None) -> Any:
    table = writer.read(query, parameters)
    return table.column(0)[0].as_py()


def _chain(first: pa.RecordBatch, rest: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield first
    yield from rest
