"""Loading a source: validated, atomic, repeatable.

All files of one load go in together or not at all. Rows that break the contract go to
``raw.rejected_rows`` with file, line and reason; above a threshold the load is refused whole. A
file that was loaded before changes nothing, and a file that repeats known orders brings only what
changed: as a new version, beside the one that it corrects.

A shop's own tables are captured the same way. They are whole each time, so a row that is there no
more is noticed, too: its last version says that it is gone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from python_ml.errors import InputError
from python_ml.forgetting.register import Forgotten, read_forgotten
from python_ml.ingest.ahead import ahead
from python_ml.ingest.attributes import (
    ATTRIBUTE_KINDS,
    AttributeKind,
    ValueCounts,
    settle_kinds,
)
from python_ml.ingest.changes import (
    INTAKE,
    IS_GONE,
    create_intake,
    move_changed,
    move_gone,
    raw,
    refuse_strangers,
)
from python_ml.ingest.own_tables import own_tables
from python_ml.ingest.read import (
    CheckedRows,
    FilePlan,
    ReadOptions,
    plan_file,
    plan_rows,
    read_file,
)
from python_ml.ingest.records import BadRow
from python_ml.ingest.rejected import RejectedRows
from python_ml.ingest.sources import ColumnMapping, SourceTable, source_tables
from python_ml.settings import PROJECT_DIR
from python_ml.warehouse.layout import LAYERS, Layout
from python_ml.warehouse.ledger import utc_now
from python_ml.warehouse.postgres import BulkWriter, Warehouse, create_schema, identifier

LOAD_LOCK = 7_236_012_027
"""Key of the advisory lock that keeps two loads of one shop apart."""

Progress = Callable[[str, int], None]
"""Called with a file's name and the rows read from it so far."""

CAPTURED = "captured"
"""Stands for a file's digest where a shop's own table was read: it may differ the next time."""

_OWN_COLUMNS = ("_load_id", "_file_number", "_row_number")

Plan = Callable[..., FilePlan]
"""Decides how a file or table is read, once its notation is said."""

_BOOKKEEPING = """
create table if not exists raw.shop (
    source text not null, staging text not null, created_at timestamp not null
);
create table if not exists raw.loads (
    load_id bigint not null, source text not null, table_name text not null,
    file_number integer not null, file_name text not null, file_digest text not null,
    columns_found text not null, rows_given bigint not null, rows_loaded bigint not null,
    rows_rejected bigint not null, rows_unchanged bigint not null, loaded_at timestamp not null,
    newest_before timestamp, newest_in_file timestamp,
    primary key (load_id, table_name, file_number),
    check (rows_given = rows_loaded + rows_rejected + rows_unchanged)
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

_ONE_SHOP = "create unique index if not exists shop_is_one on raw.shop ((true))"
"""Where two processes may write at once, the second one cannot add its shop."""


@dataclass(frozen=True)
class LoadReport:
    """What a load did, in rows.

    ``given = loaded + rejected + unchanged`` always holds.

    Parameters
    ----------
    load_id
        Number of the load; None when every file had been loaded before.
    reasons
        How many rows were rejected for which reason.
    already_loaded
        Names of files that had been loaded before, the same way and byte by byte the same.
    gone
        Rows of the shop's own tables that are there no more; they count as loaded, for each has a
        version that says so.
    attributes
        What kind each attribute is, and how many values of this load are not of it.
    """

    load_id: int | None
    given: int
    loaded: int
    rejected: int
    unchanged: int
    reasons: dict[str, int] = field(default_factory=dict)
    already_loaded: tuple[str, ...] = ()
    gone: int = 0
    attributes: tuple[AttributeKind, ...] = ()


def prepare(warehouse: Warehouse) -> None:
    """Create the bookkeeping tables of the raw schema where they are missing."""
    with warehouse.connect() as connection:
        connection.execute("select pg_advisory_xact_lock(%s)", (LOAD_LOCK,))
        create_schema(connection, "raw")
        connection.execute(_BOOKKEEPING)
        if warehouse.engine == "postgres":
            connection.execute(_ONE_SHOP)
        connection.execute(ATTRIBUTE_KINDS)


def shop_source(warehouse: Warehouse) -> tuple[str, str] | None:
    """Which source this home holds and the staging folder it uses, or None for an empty home."""
    if not warehouse.relation_exists("raw", "shop"):
        return None
    with warehouse.connect() as connection:
        row = connection.execute("select source, staging from raw.shop").fetchone()
    return (str(row[0]), str(row[1])) if row else None


def captured_schema(
    warehouse: Warehouse, source: str, project_dir: Path = PROJECT_DIR
) -> str | None:
    """The schema that this home's shop was last captured from, if it was."""
    if not warehouse.relation_exists("raw", "loads"):
        return None
    with warehouse.connect() as connection:
        row = connection.execute(
            "select file_name, table_name from raw.loads where file_digest = %s "
            "order by load_id desc limit 1",
            (CAPTURED,),
        ).fetchone()
    if row is None:
        return None
    table = next(table for table in source_tables(source, project_dir) if table.name == row[1])
    return str(row[0]).removesuffix(f".{table.relation}")


def load(
    warehouse: Warehouse,
    source: str,
    paths: Sequence[Path],
    mapping: ColumnMapping | None = None,
    options: ReadOptions | None = None,
    *,
    staging: str | None = None,
    schema: str | None = None,
    same_shop: bool = False,
    home: Path | None = None,
    reject_threshold: float = 0.05,
    on_progress: Progress | None = None,
    project_dir: Path = PROJECT_DIR,
) -> LoadReport:
    """Load files or folders of one source into the raw schema.

    Parameters
    ----------
    source
        Name under which the home remembers its shop.
    options
        How the files are written, where they do not say it themselves.
    staging
        Staging folder that describes the files; the source's own name by default.
    schema
        Schema of the same database whose tables are captured, instead of files.
    same_shop
        Take a flat file for the same shop's even where it has no customer and no product in common
        with the home, or other columns than the files before it.
    home
        The home, whose register says which customers were forgotten: their rows do not come back.
    reject_threshold
        Share of bad rows above which nothing is loaded.
    project_dir
        Another copy of the project, whose staging folders describe the sources.

    Raises
    ------
    InputError
        When the home holds another shop, a file breaks the contract as a whole, or too many rows
        do. Nothing is changed then.
    """
    check_shop(warehouse, source)
    tables = source_tables(staging or source, project_dir)
    mapping = mapping or ColumnMapping()
    options = options or ReadOptions()
    files = [] if schema is not None else _files_by_table(tables, paths)
    if schema is not None:
        _check_engine(warehouse)
        _check_capture(source, tables, schema, warehouse.layout)
    prepare(warehouse)
    with ExitStack() as open_sources, warehouse.bulk() as writer:
        writer.execute("select pg_advisory_xact_lock($1)", [LOAD_LOCK])
        _claim_shop(writer, source, staging or source)
        if schema is None:
            fresh, already_loaded = _sort_out_known(writer, files, mapping, options)
        else:
            snapshot = open_sources.enter_context(warehouse.snapshot())
            given = own_tables(snapshot, schema, tables)
            fresh = {table: {CAPTURED: partial(plan_rows, rows)} for table, rows in given}
            already_loaded = ()
        if not fresh:
            return LoadReport(None, 0, 0, 0, 0, {}, already_loaded)
        load_id = int(writer.value("select coalesce(max(load_id), 0) + 1 from raw.loads"))
        with RejectedRows(load_id) as rejected:
            running = _Load(
                writer=writer,
                source=source,
                tables=tables,
                mapping=mapping,
                options=options,
                load_id=load_id,
                rejected=rejected,
                same_shop=same_shop,
                forgotten=None if home is None else read_forgotten(writer.read, home),
                threshold=reject_threshold,
                on_progress=on_progress,
                is_capture=schema is not None,
            )
            files_loaded = running.run(fresh)
            return LoadReport(
                load_id,
                given=sum(file.given for file in files_loaded),
                loaded=sum(file.loaded for file in files_loaded),
                rejected=rejected.count,
                unchanged=sum(file.unchanged for file in files_loaded),
                reasons=dict(rejected.reasons),
                already_loaded=already_loaded,
                gone=sum(file.gone for file in files_loaded),
                attributes=running.attributes,
            )


def check_shop(warehouse: Warehouse, source: str) -> None:
    """Refuse a second shop in one home.

    Raises
    ------
    InputError
        With the command that would use another home.
    """
    held = shop_source(warehouse)
    if held is not None and held[0] != source:
        raise _other_shop(held[0], source)


def _other_shop(held: str, source: str) -> InputError:
    return InputError(
        f"This home holds the shop {held!r}; one home holds one shop.",
        f"Use another home: smartretail run --source {source} --home .smartretail-{source}",
    )


@dataclass
class _LoadedFile:
    """Rows of one file as they are counted."""

    plan: FilePlan
    digest: str
    number: int
    first_row: int = 1
    given: int = 0
    loaded: int = 0
    rejected: int = 0
    unchanged: int = 0
    gone: int = 0
    bad_keys: list[Any] = field(default_factory=list)
    newest: datetime | None = None
    newest_before: datetime | None = None


@dataclass
class _Load:
    """One load, in the transaction of its writer."""

    writer: BulkWriter
    source: str
    tables: Sequence[SourceTable]
    mapping: ColumnMapping
    options: ReadOptions
    load_id: int
    rejected: RejectedRows
    same_shop: bool
    forgotten: Forgotten | None
    threshold: float
    on_progress: Progress | None
    is_capture: bool = False
    orders_forgotten: set[str] = field(default_factory=set)
    now: datetime = field(default_factory=utc_now)
    rows_at_most: int = 0
    attributes: tuple[AttributeKind, ...] = ()

    def run(self, plans: dict[SourceTable, dict[str, Plan]]) -> list[_LoadedFile]:
        planned = {table: self._plan(table, files) for table, files in plans.items()}
        files = [file for group in planned.values() for file in group]
        self.rows_at_most = sum(file.plan.rows_at_most for file in files)
        for table in self.tables:
            self._create_table(table)
        # whose an order is must be known before its lines come
        for table in sorted(planned, key=lambda table: not table.names_customers):
            self._load_table(table, planned[table])
        self._refuse_if_too_bad(sum(file.given for file in files))
        self.writer.append("raw", "rejected_rows", self.rejected.reader())
        self.writer.append("raw", "loads", self._loads_table(files))
        return files

    def _plan(self, table: SourceTable, plans: dict[str, Plan]) -> list[_LoadedFile]:
        return [
            _LoadedFile(plan(table, self.mapping, self.options), digest, number)
            for number, (digest, plan) in enumerate(plans.items(), start=1)
        ]

    def _load_table(self, table: SourceTable, files: list[_LoadedFile]) -> None:
        attributes = self._attributes(table)
        columns = [*(column.name for column in table.columns), *attributes]
        is_first = not self.writer.value(
            "select exists (select 1 from raw.loads where table_name = $1)", [table.name]
        )
        if table.is_flat_file and not self.same_shop:
            self._refuse_other_columns(table, files)
        values = ValueCounts(attributes if is_first else [])
        newest_before = None if is_first else self._newest_before()
        if not is_first:
            create_intake(self.writer, table)
        first_row = 1
        for file in files:
            file.newest_before = newest_before
            file.first_row = first_row
            self._load_file(table, file, columns, is_first, values)
            first_row += file.given
        if table.is_flat_file and not self.same_shop:
            names = {file.number: file.plan.name for file in files}
            refuse_strangers(self.writer, table, names, is_first)
        if not is_first:
            moved = move_changed(self.writer, table, columns)
            for file in files:
                file.unchanged += file.loaded - moved.get(file.number, 0)
                file.loaded = moved.get(file.number, 0)
            if self.is_capture and table.key:
                self._note_gone(table, columns, files[0])
        if table.is_flat_file and self.mapping.attributes:
            self.attributes += settle_kinds(
                self.writer,
                table,
                self.mapping.attributes,
                values,
                load_id=self.load_id,
                decimal=files[0].plan.reading.decimal,
                date_order=self.options.date_order or _day_first_or_month_first(files[0].plan),
                now=self.now,
            )

    def _note_gone(self, table: SourceTable, columns: list[str], file: _LoadedFile) -> None:
        file.gone = move_gone(
            self.writer,
            table,
            columns,
            file.bad_keys,
            place=file.plan.place,
            own=(self.load_id, file.number, file.given + 1),
            refuse_most=not self.same_shop,
        )
        file.given += file.gone
        file.loaded += file.gone

    def _attributes(self, table: SourceTable) -> list[str]:
        """Columns that the user named beyond those of the yml."""
        named = self.mapping.attributes if table.is_flat_file else ()
        return [attribute.column_name for attribute in named]

    def _create_table(self, table: SourceTable) -> None:
        attributes = self._attributes(table)
        existing = self.writer.columns("raw", table.name)
        held = sorted(name for name in existing if name.startswith("attribute_"))
        if table.is_flat_file and existing and held != sorted(attributes):
            raise InputError(
                f"This home was filled with the attributes {_listed(held)}, "
                f"this load names {_listed(attributes)}.",
                "Name the same attributes, or use another home with --home.",
            )
        if not existing:
            columns = [f"{identifier(column.name)} {column.type}" for column in table.columns]
            columns += [f"{identifier(name)} text" for name in attributes]
            columns += ["_load_id bigint not null", "_file_number integer not null"]
            columns += ["_row_number bigint not null"]
            columns += [f"{IS_GONE} boolean not null"] if table.key else []
            self.writer.execute(f"create table {raw(table)} ({', '.join(columns)})")
        for column in table.columns if existing else ():
            if column.name not in existing:  # named in the yml since
                self.writer.execute(
                    f"alter table {raw(table)} add column {identifier(column.name)} {column.type}"
                )

    def _refuse_other_columns(self, table: SourceTable, files: list[_LoadedFile]) -> None:
        """Refuse a file with other columns than those before: every order would seem changed."""
        found = self.writer.read(
            "select columns_found from raw.loads where table_name = $1 "
            "order by load_id desc, file_number limit 1",
            [table.name],
        ).to_pylist()
        before = str(found[0]["columns_found"]) if found else _columns_found(files[0])
        for file in files:
            if _columns_found(file) != before:
                here, there = set(_columns_found(file).split()), set(before.split())
                raise InputError(
                    f"{file.plan.place} has other columns than what was loaded before: "
                    f"missing {_listed(there - here)}, new {_listed(here - there)}.",
                    "Map the missing ones with --map, use another home with --home, "
                    "or add --same-shop to load it nonetheless.",
                )

    def _newest_before(self) -> datetime | None:
        """How far the home already knew the shop: by its rows, and by what was asked of it.

        An as-of date is a midnight at which only what happened before it was known. Tables of one
        shop know it together: a new customer says no time of its own. Where nothing has a time,
        what comes is late.
        """
        value = self.writer.value(
            "select coalesce(greatest((select max(newest_in_file) from raw.loads), "
            "(select max(as_of_date) - interval '1 microsecond' from raw.as_of_requests)), "
            "(select max(loaded_at) from raw.loads))"
        )
        return value if isinstance(value, datetime) else None

    def _load_file(
        self,
        table: SourceTable,
        file: _LoadedFile,
        columns: list[str],
        is_first: bool,
        values: ValueCounts,
    ) -> None:
        own = [*_OWN_COLUMNS, *([IS_GONE] if table.key else [])]
        schema = pa.schema([(name, pa.null()) for name in [*columns, *own]])
        with read_file(file.plan, self.now.date().isoformat(), file.first_row) as rows:
            # rows are checked while those before them travel
            batches = ahead(self._good_batches(table, file, rows, values))
            if is_first:
                file.loaded = self.writer.append_batches("raw", table.name, schema.names, batches)
            else:
                file.loaded = self.writer.append_batches(None, INTAKE, schema.names, batches)
        if file.given == 0 and not self.is_capture:
            raise InputError(f"{file.plan.place}: the file has no rows.", "Export it again.")

    def _good_batches(
        self,
        table: SourceTable,
        file: _LoadedFile,
        stretches: Iterator[CheckedRows],
        values: ValueCounts,
    ) -> Iterator[Any]:
        for rows in stretches:
            file.given += rows.given
            file.rejected += len(rows.bad)
            self.rejected.add(file.plan.name, self._without_names(rows.bad))
            if self.is_capture and rows.bad_keys is not None:
                file.bad_keys.append(rows.bad_keys)
            self._refuse_if_hopeless()
            known = self._without_forgotten(file, rows.good)
            values.add(known)
            if table.time_column is not None:
                newest = pc.max(known.column(table.time_column)).as_py()
                if newest is not None and (file.newest is None or newest > file.newest):
                    file.newest = newest
            if self.on_progress is not None:
                self.on_progress(file.plan.name, file.given)
            count = known.num_rows
            good = known.append_column("_load_id", pa.repeat(pa.scalar(self.load_id), count))
            number = pa.repeat(pa.scalar(file.number, pa.int32()), count)
            good = good.append_column("_file_number", number)
            if table.key:
                good = good.append_column(IS_GONE, pa.repeat(pa.scalar(False), count))
            yield from good.to_batches()

    def _without_forgotten(self, file: _LoadedFile, rows: Any) -> Any:
        """Leave out rows of forgotten customers; they count as rows that change nothing.

        Lines that say no customer go with their order.
        """
        if not self.forgotten:
            return rows
        if "customer_id" in rows.column_names:
            kept, dropped = self.forgotten.without(rows)
            if dropped and "order_id" in rows.column_names:
                orders = (set(r.column("order_id").to_pylist()) for r in (rows, kept))
                self.orders_forgotten |= next(orders) - next(orders)
        elif "order_id" in rows.column_names and self.orders_forgotten:
            ids = pa.array(sorted(self.orders_forgotten), pa.string())
            kept = rows.filter(pc.invert(pc.is_in(rows.column("order_id"), ids)))
        else:
            return rows
        file.unchanged += rows.num_rows - kept.num_rows
        return kept

    def _without_names(self, bad: list[BadRow]) -> list[BadRow]:
        """Leave out the text of rejected rows that name a forgotten customer."""
        if not self.forgotten:
            return bad
        return [
            row._replace(text="") if self.forgotten.is_named_in(row.text) else row for row in bad
        ]

    def _refuse_if_hopeless(self) -> None:
        """Stop reading when no good row to come could mend the share of bad ones."""
        count = self.rejected.count
        if count > self.threshold * (self.rows_at_most + count):
            raise self._too_bad(f"Already {count:,} rows break the contract")

    def _refuse_if_too_bad(self, given: int) -> None:
        count = self.rejected.count
        if count > self.threshold * given:
            raise self._too_bad(f"{count:,} of {given:,} rows break the contract")

    def _too_bad(self, what: str) -> InputError:
        return InputError(
            f"{what} (more than {self.threshold:.3g} of them); nothing was loaded. The first:\n"
            + "\n".join(self.rejected.examples),
            "Mend the file, map its columns with --map, "
            "or raise SMARTRETAIL_REJECT_THRESHOLD to load the rest.",
        )

    def _loads_table(self, files: list[_LoadedFile]) -> Any:
        rows = [
            {
                "load_id": self.load_id,
                "source": self.source,
                "table_name": file.plan.table.name,
                "file_number": file.number,
                "file_name": file.plan.name,
                "file_digest": file.digest,
                "columns_found": _columns_found(file),
                "rows_given": file.given,
                "rows_loaded": file.loaded,
                "rows_rejected": file.rejected,
                "rows_unchanged": file.unchanged,
                "loaded_at": self.now,
                "newest_before": file.newest_before,
                "newest_in_file": file.newest,
            }
            for file in files
        ]
        return pa.Table.from_pylist(rows)


def _claim_shop(writer: BulkWriter, source: str, staging: str) -> None:
    """Remember the shop, unless another one came first."""
    held = writer.read("select source from raw.shop").to_pylist()
    if held and held[0]["source"] != source:
        raise _other_shop(str(held[0]["source"]), source)
    if not held:
        writer.execute("insert into raw.shop values ($1, $2, $3)", [source, staging, utc_now()])


def _sort_out_known(
    writer: BulkWriter,
    files: Sequence[tuple[SourceTable, Path]],
    mapping: ColumnMapping,
    options: ReadOptions,
) -> tuple[dict[SourceTable, dict[str, Plan]], tuple[str, ...]]:
    """Find new files, by table and digest, and the names of those that were loaded before."""
    rows = writer.read("select table_name, file_digest from raw.loads").to_pylist()
    known = {(row["table_name"], row["file_digest"]) for row in rows}
    fresh: dict[SourceTable, dict[str, Plan]] = {}
    already_loaded = []
    for table, path in files:
        digest = _digest(path, mapping, options)
        if (table.name, digest) in known:
            already_loaded.append(path.name)
        else:
            known.add((table.name, digest))
            fresh.setdefault(table, {})[digest] = partial(plan_file, path)
    return fresh, tuple(already_loaded)


def _check_engine(warehouse: Warehouse) -> None:
    if warehouse.engine != "postgres":
        raise InputError(
            f"--schema: this home has the engine {warehouse.engine}, and a shop's own tables are "
            "read inside PostgreSQL.",
            "Load files with --path, or use a home with the engine postgres.",
        )


def _check_capture(source: str, tables: Sequence[SourceTable], schema: str, layout: Layout) -> None:
    if schema == layout.schema or (layout.schema is None and schema in LAYERS):
        raise InputError(
            f"--schema {schema}: that schema is SmartRetail's own.",
            "Move the shop's tables to another one, or give SmartRetail one of its own with "
            "SMARTRETAIL_WAREHOUSE_SCHEMA.",
        )
    if not all(table.key for table in tables):
        raise InputError(
            f"--schema {schema}: the source {source!r} is read from files.",
            "Add --path FILE_OR_FOLDER; or describe your tables as docs/own_schema.md says.",
        )


def _files_by_table(
    tables: Sequence[SourceTable], paths: Sequence[Path]
) -> list[tuple[SourceTable, Path]]:
    """Find which file fills which table, folders opened."""
    files: list[tuple[SourceTable, Path]] = []
    for path in paths:
        if path.is_dir():
            files += [pair for table in tables for pair in _files_in_folder(table, path)]
            continue
        fitting = [t for t in tables if len(tables) == 1 or path.match(t.files)]
        if not fitting:
            patterns = ", ".join(table.files for table in tables)
            raise InputError(
                f"{path}: no table of this source is filled from a file of that name.",
                f"Its files are named {patterns}.",
            )
        files.append((fitting[0], path))
    if not files:
        raise InputError("There is nothing to load.", "Add --path FILE_OR_FOLDER.")
    for _, path in files:
        if not path.is_file():
            what = "not a file" if path.exists() else "no such file"
            raise InputError(f"{path}: {what}.", "Check the path.")
    return files


def _files_in_folder(table: SourceTable, folder: Path) -> list[tuple[SourceTable, Path]]:
    found = [] if table.is_flat_file else sorted(folder.glob(table.files))
    if not found:
        raise InputError(
            f"{folder}: a folder without the files of this source ({table.files}).",
            "Give the path of the file itself.",
        )
    return [(table, path) for path in found]


def _digest(path: Path, mapping: ColumnMapping, options: ReadOptions) -> str:
    """What tells whether a file was loaded before, the same way."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}.", "Check the file.") from None
    digest.update(repr((sorted(mapping.renames.items()), mapping.attributes, options)).encode())
    return digest.hexdigest()


def _day_first_or_month_first(plan: FilePlan) -> str | None:
    """How the file writes its other dates, where that tells day from month."""
    orders = set(plan.reading.date_orders.values()) - {"iso"}
    return orders.pop() if len(orders) == 1 else None


def _columns_found(file: _LoadedFile) -> str:
    return " ".join(file.plan.contract_columns)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
