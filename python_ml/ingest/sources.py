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
    """

    name: str
    type: str
    origin: str
    required: bool = False
    nullable: bool = False


@dataclass(frozen=True)
class SourceTable:
    """A raw table and the files that fill it."""

    source: str
    name: str
    columns: tuple[Column, ...]
    files: str = "*"
    time_column: str = "ordered_at"

    def column(self, name: str) -> Column:
        """Look a column up by its name in the raw table."""
        return next(column for column in self.columns if column.name == name)


@dataclass(frozen=True)
class Attribute:
    """A further column of a flat file that its user wants to learn from.

    ``entity`` is what it describes: ``line``, ``product`` or ``customer``.
    """

    entity: str
    origin: str

    @property
    def column_name(self) -> str:
        """Name in the raw table, such as ``attribute_product_brand``."""
        slug = re.sub(r"[^a-z0-9]+", "_", self.origin.lower()).strip("_")
        return f"attribute_{self.entity}_{slug}"

    @classmethod
    def parse(cls, text: str) -> Attribute:
        """Read ``entity:column`` as typed after ``--attribute``."""
        entity, _, origin = text.partition(":")
        if entity not in ("line", "product", "customer") or not origin:
            raise InputError(
                f"--attribute {text}: not understood.",
                "Write line:COLUMN, product:COLUMN or customer:COLUMN, for instance product:brand.",
            )
        return cls(entity, origin)


@dataclass(frozen=True)
class ColumnMapping:
    """How a flat file's columns become the contract's: ``theirs -> ours`` and attributes."""

    renames: dict[str, str] = field(default_factory=dict)
    attributes: tuple[Attribute, ...] = ()

    @classmethod
    def parse(cls, maps: list[str], attributes: list[str]) -> ColumnMapping:
        """Read ``theirs=ours`` as typed after ``--map``."""
        renames: dict[str, str] = {}
        for text in maps:
            theirs, separator, ours = text.rpartition("=")
            if not separator or not theirs or not ours:
                raise InputError(
                    f"--map {text}: not understood.",
                    "Write THEIRS=OURS, for instance --map InvoiceDate=ordered_at.",
                )
            if theirs in renames or ours in renames.values():
                raise InputError(f"--map {text}: a column is mapped twice.", "Map each column once.")
            renames[theirs] = ours
        return cls(renames, tuple(Attribute.parse(text) for text in attributes))


def source_names() -> list[str]:
    """Kinds of sources that a staging folder exists for."""
    return sorted(path.parent.name for path in _staging_dir().glob("*/_*__sources.yml")
                  if path.parent.name != "predictions")


def source_tables(source: str, project_dir: Path = PROJECT_DIR) -> tuple[SourceTable, ...]:
    """The raw tables of a source.

    Raises
    ------
    InputError
        When no staging folder has that name.
    """
    path = _staging_dir(project_dir) / source / f"_{source}__sources.yml"
    if not path.is_file():
        raise InputError(
            f"There is no source named {source!r}.",
            f"Choose one of: demo, {', '.join(source_names())}; "
            "or add a folder as docs/add_a_source.md describes.",
        )
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    return tuple(
        _table(source, table) for entry in document["sources"] for table in entry["tables"]
    )


def _table(source: str, table: dict[str, Any]) -> SourceTable:
    meta = table.get("config", {}).get("meta", {})
    columns = []
    for entry in table["columns"]:
        options = entry.get("config", {}).get("meta", {})
        columns.append(
            Column(
                name=entry["name"],
                type=entry["data_type"],
                origin=options.get("from", entry["name"]),
                required=bool(options.get("required", False)),
                nullable=bool(options.get("nullable", False)),
            )
        )
    return SourceTable(
        source=source,
        name=table["name"],
        columns=tuple(columns),
        files=meta.get("files", "*"),
        time_column=meta.get("newest_column", "ordered_at"),
    )


def _staging_dir(project_dir: Path = PROJECT_DIR) -> Path:
    return project_dir / "models_sql" / "staging"
