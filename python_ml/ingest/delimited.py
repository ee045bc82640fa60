"""Delimited text, read so that every line of it can be accounted for.

A record that cannot be split into the header's columns costs its first line and nothing else:
reading goes on with the next line, so that one stray quote never swallows the rows behind it.
Blank lines are no rows. Every record keeps the line that it starts on, quoted line breaks or not.
"""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

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
    encoding = _without_mark(path, encoding)
    lines = next(_blocks(path, encoding), [])
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
    width = len(dialect.columns)
    line = 1
    to_skip = dialect.header_lines
    waiting: list[str] = []
    blocks = itertools.chain(_blocks(path, dialect.encoding), [None])
    for block in blocks:
        lines = waiting + (block or [])[to_skip if not waiting else 0 :]
        if to_skip and block is not None:
            line, to_skip = line + to_skip, 0
        split = _split_plain(lines, dialect.delimiter, width, picks, line) if not waiting else None
        chunk, used = split or _split_carefully(lines, dialect.delimiter, width, picks, line, block)
        if chunk.given:
            yield chunk
        waiting = lines[used:]
        line += used


def _without_mark(path: Path, encoding: str) -> str:
    """Let the byte order mark of UTF-8 be no part of the first column's name."""
    try:
        codec = "".encode(encoding) is not None and encoding.lower().replace("_", "-")
    except (LookupError, UnicodeError):
        raise InputError(
            f"There is no text encoding named {encoding!r}.",
            "Use --encoding utf-8, utf-16, latin-1 or cp1252.",
        ) from None
    with path.open("rb") as file:
        start = file.read(2)
    if start in (b"\xff\xfe", b"\xfe\xff") and codec in ("utf-8", "utf8"):
        raise InputError(f"{path}: the text is UTF-16, not UTF-8.", "Add --encoding utf-16.")
    return "utf-8-sig" if codec in ("utf-8", "utf8") else encoding


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
    name = "utf-8" if encoding == "utf-8-sig" else encoding
    where = str(path)
    with path.open(encoding=encoding, errors="replace", newline="") as file:
        number = 0
        while line := file.readline(LONGEST_LINE):
            number += 1
            if "\N{REPLACEMENT CHARACTER}" in line:
                where = f"{path}, line {number}"
                break
    others = [other for other in ("utf-8", "cp1252", "latin-1", "utf-16") if other != name]
    return InputError(
        f"{where}: the text is not {name}.", f"Add --encoding {others[0]} (or {', '.join(others[1:])})."
    )


def _header(lines: list[str], delimiter: str) -> tuple[str, list[str], int] | None:
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        names = next(reader)
    except csv.Error:
        return None
    return delimiter, [name.lstrip("\ufeff") for name in names], reader.line_num


def _split_plain(
    lines: list[str], delimiter: str, width: int, picks: Sequence[int], first_line: int
) -> tuple[Chunk, int] | None:
    """Split lines without quotes, blanks or faults, quickly; None where there are any."""
    text = "".join(lines)
    if not text or '"' in text or len(max(lines, key=len)) > csv.field_size_limit():
        return None
    names = [str(position) for position in range(width)]
    try:
        table = arrow_csv.read_csv(
            io.BytesIO(text.encode()),
            read_options=arrow_csv.ReadOptions(
                column_names=names, block_size=8 * len(text), use_threads=False
            ),
            parse_options=arrow_csv.ParseOptions(delimiter=delimiter, quote_char=False),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                include_columns=[names[position] for position in picks],
                strings_can_be_null=False,
            ),
        )
    except (pa.ArrowInvalid, UnicodeError):
        return None
    if table.num_rows != len(lines):
        return None
    columns = [column.combine_chunks() for column in table.columns]
    numbers = pa.array(range(first_line, first_line + len(lines)), pa.int64())
    return Chunk(columns, numbers, []), len(lines)


def _split_carefully(
    lines: list[str],
    delimiter: str,
    width: int,
    picks: Sequence[int],
    first_line: int,
    block: list[str] | None,
) -> tuple[Chunk, int]:
    """Split lines one record at a time; the second value is how many lines were used up."""
    rows: list[list[str]] = []
    numbers: list[int] = []
    malformed: list[BadRow] = []
    start = 0
    while start < len(lines):
        fault, start = _read_records(lines, start, delimiter, width, rows, numbers)
        if fault is None:
            continue
        if start < 0:  # the record may go on in the next block
            start = -start - 1
            if block is not None:
                break
        malformed.append(BadRow(first_line + start, lines[start].rstrip("\r\n"), fault))
        start += 1
    try:
        columns = [pa.array([row[position] for row in rows], pa.string()) for position in picks]
    except UnicodeError:  # codecs like utf-7 let halves of characters through
        raise InputError(
            f"Lines {first_line} to {first_line + start - 1} hold halves of characters.",
            "Add the --encoding that the file was written in.",
        ) from None
    at = pa.array([first_line + number for number in numbers], pa.int64())
    return Chunk(columns, at, malformed), start


def _read_records(
    lines: list[str],
    start: int,
    delimiter: str,
    width: int,
    rows: list[list[str]],
    numbers: list[int],
) -> tuple[str | None, int]:
    """Read records up to the first fault: what it is, and on which line its record starts.

    The line is given as ``-line - 1`` where the lines end before the record does.
    """
    reader = csv.reader(itertools.islice(lines, start, None), delimiter=delimiter, strict=True)
    done = 0
    while True:
        at = start + done
        try:
            row = next(reader)
        except StopIteration:
            return None, at
        except csv.Error as error:
            is_cut_off = start + reader.line_num == len(lines)
            return f"malformed line: {error}", -at - 1 if is_cut_off else at
        if len(lines[at]) > LONGEST_LINE:
            return f"malformed line: longer than {LONGEST_LINE:,} characters", at
        if len(row) == width:
            rows.append(row)
            numbers.append(at)
        elif any(field.strip() for field in row) or len(row) > 1:
            return f"malformed line: {len(row)} columns instead of {width}", at
        done = reader.line_num
