"""Delimited text, read so that every line of it can be accounted for.

A record that cannot be split into the header's columns costs its first line and nothing else:
reading goes on with the next line, so that one stray quote never swallows the rows behind it.
Blank lines are no rows. Every record keeps the line that it starts on, quoted line breaks or not.
"""

from __future__ import annotations

import codecs
import csv
import io
import itertools
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import csv as arrow_csv

from python_ml.errors import InputError
from python_ml.ingest.records import BadRow, Chunk

DELIMITERS = (",", ";", "\t", "|")

LONGEST_LINE = 1 << 20
"""Characters; a longer line is no row of a shop, and is not kept in memory."""

_BLOCK = 1 << 22


@dataclass(frozen=True)
class Dialect:
    """How a file writes its columns, and what its header calls them."""

    encoding: str
    delimiter: str
    header_lines: int
    columns: tuple[str, ...]


def sniff(path: Path, encoding: str) -> Dialect:
    """Find the delimiter and the columns by the header.

    Raises
    ------
    InputError
        When the header cannot be read in that encoding, or names nothing.
    """
    _check_encoding(path, encoding)
    lines = next(_blocks(path, encoding), [])
    # a byte order mark is no part of the first column's name
    lines = [line.removeprefix("\ufeff") for line in lines[:1]] + lines[1:]
    if not lines or not lines[0].strip():
        raise InputError(f"{path}, line 1: the first line is empty.", "It must name the columns.")
    headers = [header for delimiter in DELIMITERS if (header := _header(lines, delimiter))]
    if not headers:
        raise InputError(
            f"{path}, line 1: the quotes of the first line do not match.",
            "It must name the columns; export the file again.",
        )
    delimiter, names, used = max(headers, key=lambda header: len(header[1]))
    return Dialect(encoding, delimiter, used, tuple(name.strip() for name in names))


def read_delimited(path: Path, dialect: Dialect, picks: Sequence[int]) -> Iterator[Chunk]:
    """Read the columns at the positions ``picks`` as text, in chunks of bounded size.

    Raises
    ------
    InputError
        When a line is not in the file's encoding; the message names it.
    """
    splitter = _Splitter(dialect.delimiter, len(dialect.columns), picks)
    line, to_skip = 1, dialect.header_lines
    waiting: list[str] = []
    for block in itertools.chain(_blocks(path, dialect.encoding), [None]):
        lines = waiting + (block or [])[to_skip:]
        line, to_skip = line + to_skip, 0
        try:
            chunk, used = splitter.split(lines, line, is_last=block is None)
        except UnicodeError:  # codecs like utf-7 let halves of characters through
            raise _wrong_encoding(path, dialect.encoding) from None
        if chunk.given:
            yield chunk
        waiting = lines[used:]
        line += used


def _check_encoding(path: Path, encoding: str) -> None:
    try:
        name = codecs.lookup(encoding).name
        "".encode(encoding)
    except (LookupError, UnicodeError):
        raise InputError(
            f"{path}: there is no text encoding named {encoding!r}.",
            "Use --encoding utf-8, utf-16, latin-1 or cp1252.",
        ) from None
    with path.open("rb") as file:
        start = file.read(2)
    if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) and name == "utf-8":
        raise InputError(f"{path}: the text is UTF-16, not UTF-8.", "Add --encoding utf-16.")


def _blocks(path: Path, encoding: str) -> Iterator[list[str]]:
    """Yield whole lines with their ends, some 4 MB of them at a time."""
    try:
        with path.open(encoding=encoding, newline="") as file:
            rest = ""
            while text := file.read(_BLOCK):
                lines = io.StringIO(rest + text, newline="").readlines()
                # cut off in the middle, or before the second half of its line end
                rest = lines.pop()[: LONGEST_LINE + 1]
                if lines:
                    yield lines
            if rest:
                yield [rest]
    except (UnicodeError, LookupError):
        raise _wrong_encoding(path, encoding) from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}.", "Check the file.") from None


def _wrong_encoding(path: Path, encoding: str) -> InputError:
    where = str(path)
    with (
        suppress(UnicodeError),  # UTF-16 without its mark is wrong from the start
        path.open(encoding=encoding, errors="replace", newline="") as file,
    ):
        for number in itertools.count(1):
            line = file.readline(LONGEST_LINE)
            if "\N{REPLACEMENT CHARACTER}" in line:
                where = f"{path}, line {number}"
            if not line or where != str(path):
                break
    others = [other for other in ("utf-8", "cp1252", "latin-1", "utf-16") if other != encoding]
    return InputError(
        f"{where}: the text is not {encoding}.",
        f"Add --encoding {others[0]} (or {', '.join(others[1:])}).",
    )


def _header(lines: list[str], delimiter: str) -> tuple[str, list[str], int] | None:
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        names = next(reader)
    except csv.Error:
        return None
    return delimiter, names, reader.line_num


@dataclass(frozen=True)
class _Splitter:
    """Splits lines into the picked ones of so many columns."""

    delimiter: str
    width: int
    picks: Sequence[int]

    def split(self, lines: list[str], first_line: int, is_last: bool) -> tuple[Chunk, int]:
        """Split lines; the second value is how many of them were used up."""
        columns = self._plain_columns(lines)
        if columns is not None:
            numbers = pa.array(range(first_line, first_line + len(lines)), pa.int64())
            return Chunk(columns, numbers, []), len(lines)
        return self._split_carefully(lines, first_line, is_last)

    def _plain_columns(self, lines: list[str]) -> list[Any] | None:
        """Split lines without quotes, blanks or faults, quickly; None where there are any."""
        text = "".join(lines)
        if not text or '"' in text or len(max(lines, key=len)) > csv.field_size_limit():
            return None
        names = [str(position) for position in range(self.width)]
        try:
            table = arrow_csv.read_csv(
                io.BytesIO(text.encode()),
                read_options=arrow_csv.ReadOptions(
                    column_names=names, block_size=8 * len(text), use_threads=False
                ),
                parse_options=arrow_csv.ParseOptions(delimiter=self.delimiter, quote_char=False),
                convert_options=arrow_csv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()),
                    include_columns=[names[position] for position in self.picks],
                    strings_can_be_null=False,
                ),
            )
        except pa.ArrowInvalid:
            return None
        if table.num_rows != len(lines):
            return None
        return [column.combine_chunks() for column in table.columns]

    def _split_carefully(
        self, lines: list[str], first_line: int, is_last: bool
    ) -> tuple[Chunk, int]:
        """Split lines record by record, passing over those that are none."""
        records = _Records()
        malformed: list[BadRow] = []
        start = 0
        while start < len(lines):
            fault, start = self._read_records(lines, start, records)
            if fault is None:
                continue
            if fault.is_cut_off and not is_last:
                break  # the record may go on in the next block
            malformed.append(BadRow(first_line + start, lines[start].rstrip("\r\n"), fault.reason))
            start += 1
        columns = [pa.array([row[i] for row in records.rows], pa.string()) for i in self.picks]
        numbers = pa.array([first_line + start for start in records.starts], pa.int64())
        return Chunk(columns, numbers, malformed), start

    def _read_records(
        self, lines: list[str], start: int, records: _Records
    ) -> tuple[_Fault | None, int]:
        """Read on up to the first fault: what it is, and on which line its record starts."""
        rest = itertools.islice(lines, start, None)
        reader = csv.reader(rest, delimiter=self.delimiter, strict=True)
        while True:
            at = start + reader.line_num
            try:
                row = next(reader)
            except StopIteration:
                return None, at
            except csv.Error as error:
                return _Fault(str(error), start + reader.line_num == len(lines)), at
            if len(lines[at]) > LONGEST_LINE:
                return _Fault(f"longer than {LONGEST_LINE:,} characters"), at
            if len(row) == self.width:
                records.rows.append(row)
                records.starts.append(at)
            elif len(row) > 1 or "".join(row).strip():
                return _Fault(f"{len(row)} columns instead of {self.width}"), at


@dataclass
class _Records:
    """Rows that could be split, and the lines that they start on."""

    rows: list[list[str]] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class _Fault:
    """Why a record could not be split, and whether the lines ended before it did."""

    what: str
    is_cut_off: bool = False

    @property
    def reason(self) -> str:
        return f"malformed line: {self.what}"
