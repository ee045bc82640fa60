"""What an experiment found: tables of figures that print, and that are kept as files and rows."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from rich.table import Table

from python_ml.training.metrics import Interval

Cell = str | int | float | Interval | None
Record = Mapping[str, Cell]
"""One line of a table; its first cell names it."""


@dataclass(frozen=True)
class Section:
    """One table.

    Parameters
    ----------
    name
        One word: how its rows are filed.
    test_date
        The as-of date that it was measured on.
    notes
        Sentences under the table.
    """

    name: str
    title: str
    records: tuple[Record, ...]
    test_date: date
    notes: tuple[str, ...] = ()

    @property
    def headings(self) -> list[str]:
        """The columns, in the order in which records name them."""
        return list(dict.fromkeys(name for record in self.records for name in record))


@dataclass(frozen=True)
class Study:
    """Everything that one experiment found; equal shops, options and seeds give equal studies."""

    prediction: str
    source: str
    as_of: date
    horizon_days: int
    seed: int
    sections: tuple[Section, ...]

    @property
    def stem(self) -> str:
        """The name of its files."""
        return f"{self.prediction}_{self.as_of}_{self.horizon_days}d_seed{self.seed}"

    def to_json(self) -> str:
        """Return every figure, unrounded."""
        text = json.dumps(_plain(asdict(self)), indent=1, default=str, allow_nan=False)
        return text + "\n"

    def to_csv(self) -> str:
        """Return one line per figure: section, row, column, value and bounds."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(("section", "row", "column", "value", "low", "high"))
        for section in self.sections:
            for row, column, cell in _cells(section):
                figures = (
                    (cell.value, cell.low, cell.high) if isinstance(cell, Interval) else (cell,)
                )
                writer.writerow((section.name, row, column, *figures))
        return text.getvalue()

    def to_markdown(self) -> str:
        """Return the tables as Markdown."""
        return "\n".join(markdown(section) for section in self.sections)

    def tables(self) -> list[Table]:
        """Return the tables as the command line prints them."""
        return [_table(section) for section in self.sections]

    def metric_rows(self) -> list[dict[str, Any]]:
        """Return the figures as rows of `predictions.metrics`; the id is that of the content."""
        digest = hashlib.sha256(self.to_json().encode()).hexdigest()
        return [
            {
                "bundle_id": f"experiment-{digest[:16]}",
                "prediction": self.prediction,
                "recipe": row,
                "role": f"experiment_{section.name}",
                "origin_date": section.test_date,
                "metric": column.replace(" ", "_"),
                **_bounds(cell),
            }
            for section in self.sections
            for row, column, cell in _cells(section)
            if _is_known(cell)
        ]


def keep(study: Study, folder: Path, picture: str) -> list[Path]:
    """Write a study as JSON and CSV, its picture beside them, and return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    texts = {".json": study.to_json(), ".csv": study.to_csv(), ".svg": picture}
    for suffix, text in texts.items():
        path = folder / f"{study.stem}{suffix}"
        draft = path.with_name(path.name + ".part")
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
        files.append(path)
    return files


def shown(cell: Cell) -> str:
    """Return a figure as tables show it.

    >>> shown(Interval(0.81234, 0.8, 0.82))
    '0.812 (0.800 to 0.820)'
    """
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return ""
    if isinstance(cell, Interval):
        if math.isnan(cell.value):
            return ""
        return f"{cell.value:.3f} ({cell.low:.3f} to {cell.high:.3f})"
    if isinstance(cell, float):
        return f"{cell:.3f}"
    return f"{cell:,}" if isinstance(cell, int) else cell


def _cells(section: Section) -> Iterator[tuple[str, str, Cell]]:
    for record in section.records:
        name, *columns = record
        for column in columns:
            yield str(record[name]), column, record[column]


def _is_known(cell: Cell) -> bool:
    value = cell.value if isinstance(cell, Interval) else cell
    return isinstance(value, (int, float)) and not math.isnan(value)


def _bounds(cell: Cell) -> dict[str, float | None]:
    if isinstance(cell, Interval):
        return {"value": cell.value, "lower_bound": cell.low, "upper_bound": cell.high}
    assert isinstance(cell, (int, float))
    return {"value": float(cell), "lower_bound": None, "upper_bound": None}


def _is_number(section: Section, heading: str) -> bool:
    return any(isinstance(r.get(heading), (int, float, Interval)) for r in section.records)


def _table(section: Section) -> Table:
    table = Table(
        title=section.title,
        title_justify="left",
        caption="\n".join(section.notes) or None,
        caption_justify="left",
    )
    for heading in section.headings:
        table.add_column(heading, justify="right" if _is_number(section, heading) else "left")
    for record in section.records:
        table.add_row(*(shown(record.get(heading)) for heading in section.headings))
    return table


def markdown(section: Section) -> str:
    """Return a table as Markdown, its notes as a list under it."""
    headings = section.headings
    lines = [
        f"**{section.title}**",
        "",
        f"| {' | '.join(headings)} |",
        "|---" * len(headings) + "|",
    ]
    lines += [
        f"| {' | '.join(shown(record.get(heading)) for heading in headings)} |"
        for record in section.records
    ]
    return "\n".join([*lines, "", *(f"- {note}" for note in section.notes), ""])


def _plain(value: Any) -> Any:
    """Return the same with null for what JSON has no number for."""
    if isinstance(value, Mapping):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and math.isnan(value) else value
