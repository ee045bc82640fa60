"""What each kind of source looks like, read from the yml beside its staging models.

Adding a shop touches one folder under ``models_sql/staging``: the yml there says which files fill
which raw table, and this module is how the loader learns it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from python_ml.errors import InputError
from python_ml.settings import PROJECT_DIR

FLAT_FILE_SOURCE = "order_lines"
"""The source whose files may come from any shop, with columns mapped and attributes named."""

COLUMN_TYPES = frozenset({"text", "timestamp", "double precision", "integer", "bigint"})
"""Types that a raw column may have."""

ATTRIBUTE_KINDS = ("category", "number", "date")
"""What an attribute may be said to be."""

_LONGEST_NAME = 63
"""Bytes of a name in PostgreSQL; a longer one would be cut without a word."""


@dataclass(frozen=True)
class Column:
    """One column of a raw table.

    Parameters
    ----------
    name, type
        Its name and type in the raw table.
    origin
        Its name in the file.
    required
        Whether the file must have it.
    nullable
        Whether a required column may be empty in a row.
    time_zone
        Zone of the shop, for times of its own tables that have one: they are captured as its
        clocks showed them.
    """

    name: str
    type: str
    origin: str
    required: bool = False
    nullable: bool = False
    time_zone: str = "UTC"


@dataclass(frozen=True)
class SourceTable:
    """A raw table, and the files or the shop's own table that fill it.

    Parameters
    ----------
    files
        Pattern of the names of its files.
    relation
        Name of the shop's own table, where its tables are captured from a schema; None where the
        shop has no such table, and the raw table stays empty.
    time_column
        The time that says how far the data reach; None where the rows have none.
    key
        Columns that identify a row, where there are some: it is then compared, and comes in, alone.
    order_column, part_column
        Without a key, what tells two rows apart when they come again: rows of one order are
        compared part by part, and an order that differs comes in whole.
    line_column
        Where the source numbers its lines: a numbered line is compared, and comes in, alone.
    """

    source: str
    name: str
    columns: tuple[Column, ...]
    files: str = "*"
    relation: str | None = None
    time_column: str | None = "ordered_at"
    key: tuple[str, ...] = ()
    order_column: str = "order_id"
    part_column: str | None = None
    line_column: str | None = None

    @property
    def is_flat_file(self) -> bool:
        """Whether any shop's file may fill it, columns mapped and attributes named."""
        return self.source == FLAT_FILE_SOURCE

    @property
    def names_customers(self) -> bool:
        """Whether its rows say whose they are."""
        return any(column.name == "customer_id" for column in self.columns)

    def column(self, name: str) -> Column:
        """Look a column up by its name in the raw table."""
        return next(column for column in self.columns if column.name == name)


@dataclass(frozen=True)
class Attribute:
    """A further column of a flat file that its user wants to learn from.

    ``entity`` is what it describes: ``line``, ``product`` or ``customer``. ``kind`` is
    ``category``, ``number`` or ``date`` where it was stated. It does not tell attributes apart: the
    same file with and without it is the same file.
    """

    entity: str
    origin: str
    kind: str | None = field(default=None, compare=False, repr=False)

    @property
    def slug(self) -> str:
        """Its plain name."""
        return re.sub(r"[^a-z0-9]+", "_", self.origin.lower()).strip("_")

    @property
    def column_name(self) -> str:
        """Name in the raw table, such as ``attribute_product_brand``."""
        return f"attribute_{self.entity}_{self.slug}"

    @classmethod
    def parse(cls, text: str) -> Attribute:
        """Read ``entity:column`` or ``entity:column:kind`` as typed after ``--attribute``.

        Raises
        ------
        InputError
            When it is written otherwise, or no name can be made of the column's.
        """
        entity, _, origin = text.partition(":")
        column, _, last = origin.rpartition(":")
        kind = last if column.strip() and last in ATTRIBUTE_KINDS else None
        origin = column if kind else origin
        if entity not in ("line", "product", "customer") or not origin.strip():
            raise InputError(
                f"--attribute {text}: not understood.",
                "Write line:COLUMN, product:COLUMN or customer:COLUMN, for instance product:brand; "
                "with :category, :number or :date behind it to say what kind it is.",
            )
        attribute = cls(entity, origin, kind)
        name = attribute.column_name
        if name.endswith("_") or len(name) > _LONGEST_NAME:
            raise InputError(
                f"--attribute {text}: its name in the database would be {name!r}.",
                "Rename the column in the file: letters a to z and digits, at most 40 of them.",
            )
        return attribute


@dataclass(frozen=True)
class ColumnMapping:
    """How a flat file's columns become the contract's: ``theirs -> ours`` and attributes."""

    renames: dict[str, str] = field(default_factory=dict)
    attributes: tuple[Attribute, ...] = ()

    @classmethod
    def parse(cls, maps: list[str], attributes: list[str]) -> ColumnMapping:
        """Read ``theirs=ours`` as typed after ``--map``, and attributes.

        Raises
        ------
        InputError
            When one is written otherwise, or two name the same column.
        """
        renames: dict[str, str] = {}
        for text in maps:
            theirs, separator, ours = text.rpartition("=")
            if not separator or not theirs or not ours:
                raise InputError(
                    f"--map {text}: not understood.",
                    "Write THEIRS=OURS, for instance --map InvoiceDate=ordered_at.",
                )
            if theirs in renames or ours in renames.values():
                raise InputError(
                    f"--map {text}: a column is mapped twice.", "Map each column once."
                )
            renames[theirs] = ours
        parsed = tuple(dict.fromkeys(Attribute.parse(text) for text in attributes))
        names = [attribute.column_name for attribute in parsed]
        for name, text in zip(names, attributes, strict=False):
            if names.count(name) > 1:
                raise InputError(
                    f"--attribute {text}: another attribute would have the same name, {name}.",
                    "Rename one of the columns in the file.",
                )
        return cls(renames, parsed)


def source_names(project_dir: Path = PROJECT_DIR) -> list[str]:
    """Kinds of sources that a staging folder exists for."""
    folders = [path.parent.name for path in _staging_dir(project_dir).glob("*/_*__sources.yml")]
    return sorted(folder for folder in folders if folder != "predictions")


def source_tables(source: str, project_dir: Path = PROJECT_DIR) -> tuple[SourceTable, ...]:
    """The raw tables of a source.

    Raises
    ------
    InputError
        When no staging folder has that name, or its yml leaves out what the loader needs.
    """
    names = source_names(project_dir)
    if source not in names:
        raise InputError(
            f"There is no source named {source!r}.",
            f"Choose one of: demo, {', '.join(names)}; "
            "or add a folder as docs/add_a_source.md describes.",
        )
    path = _staging_dir(project_dir) / source / f"_{source}__sources.yml"
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    return tuple(
        _table(source, table) for entry in document["sources"] for table in entry["tables"]
    )


def _table(source: str, table: dict[str, Any]) -> SourceTable:
    meta = table.get("config", {}).get("meta", {})
    columns = tuple(_column(source, entry) for entry in table["columns"])
    names = [column.name for column in columns]
    is_flat_file = source == FLAT_FILE_SOURCE
    key = tuple(meta.get("key", ()))
    found = SourceTable(
        source=source,
        name=table["name"],
        columns=columns,
        files=meta.get("files", "*"),
        relation=meta.get("table", table["name"]),
        time_column=meta.get("newest_column", "ordered_at"),
        key=key,
        order_column="order_id" if is_flat_file else meta.get("order_column", (*key, *names)[0]),
        part_column="product_id" if is_flat_file else meta.get("part_column", (names * 2)[1]),
        line_column="line_id" if is_flat_file else meta.get("line_column"),
    )
    named = (
        found.time_column, found.order_column, found.part_column, found.line_column, *key,
    )  # fmt: skip
    for name in named:
        if name is not None and name not in names:
            raise InputError(
                f"Source {source}: table {found.name} has no column {name!r}.",
                f"Correct the meta of the table in _{source}__sources.yml.",
            )
    for name in key:
        if not found.column(name).required or found.column(name).nullable:
            raise InputError(
                f"Source {source}: {name} is in the key of {found.name} and may be empty.",
                "Add `required: true` to its meta, without `nullable`.",
            )
    return found


def _column(source: str, entry: dict[str, Any]) -> Column:
    options = entry.get("config", {}).get("meta", {})
    if entry.get("data_type") not in COLUMN_TYPES:
        raise InputError(
            f"Source {source}: column {entry['name']} has the type {entry.get('data_type')!r}.",
            f"Write one of these as its data_type: {', '.join(sorted(COLUMN_TYPES))}.",
        )
    return Column(
        name=entry["name"],
        type=entry["data_type"],
        origin=options.get("from", entry["name"]),
        required=bool(options.get("required", False)),
        nullable=bool(options.get("nullable", False)),
        time_zone=str(options.get("time_zone", "UTC")),
    )


def _staging_dir(project_dir: Path = PROJECT_DIR) -> Path:
    return project_dir / "models_sql" / "staging"
