"""Removing a customer from the files of a home.

Tables (Parquet, CSV) are rewritten without the customer's rows, logs without the lines that name
the customer. What can be made again (dbt's target, reports) is deleted where it does. Anything
else is left alone, and named to the user.
"""

from __future__ import annotations

import csv
import mmap
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from python_ml.errors import InputError
from python_ml.forgetting.words import word_in_bytes

_MADE_AGAIN = ("dbt", "reports")
_LONGEST_FIELD = 1 << 26


@dataclass(frozen=True)
class Traces:
    """What stands for the customer in files.

    Parameters
    ----------
    orders
        Ids of orders of this customer alone, for files that know lines by their order only.
    """

    customer_id: str
    orders: frozenset[str] = field(default_factory=frozenset)

    @property
    def word(self) -> re.Pattern[bytes]:
        """Finds the customer in bytes."""
        return word_in_bytes(self.customer_id)


def clean_files(home: Path, without: Path, traces: Traces) -> list[Path]:
    """Remove the customer from every file of a home that can be mended, and say from which.

    Parameters
    ----------
    without
        A folder to leave alone: that of the server, which is cleaned from within.
    """
    changed = []
    for path in _files(home, without):
        top = path.relative_to(home).parts[0]
        if path.suffix == ".parquet":
            is_changed = _clean_parquet(path, traces)
        elif path.suffix == ".csv":
            is_changed = _clean_csv(path, traces)
        elif top == "logs" or path.suffix == ".log":
            is_changed = clean_log(path, traces)
        elif top in _MADE_AGAIN:
            is_changed = _holds(path, traces.word)
            if is_changed:
                path.unlink()
        else:
            continue
        if is_changed:
            changed.append(path)
    return changed


def files_naming(home: Path, without: Path, traces: Traces) -> list[Path]:
    """Files of a home in which the customer's id still stands."""
    word = traces.word
    return [
        path
        for path in _files(home, without)
        if word.search(os.fsencode(path.relative_to(home))) or _holds(path, word)
    ]


def sealed_files(home: Path, without: Path) -> list[Path]:
    """Files of a home that cannot be searched: dumps and compressed files."""
    endings = (".dump", ".gz", ".zip", ".zst", ".bz2", ".xz", ".duckdb")
    return [path for path in _files(home, without) if path.suffix in endings]


def clean_log(path: Path, traces: Traces) -> bool:
    """Remove the lines that name the customer, in place: a server may have the log open."""
    if not _holds(path, traces.word):
        return False
    word = traces.word
    with path.open("r+b") as file:
        kept = [line for line in file if not word.search(line)]
        file.seek(0)
        file.writelines(kept)
        file.truncate()
        file.flush()
        os.fsync(file.fileno())
    return True


def _files(home: Path, without: Path) -> Iterator[Path]:
    for folder, names, files in os.walk(home):
        here = Path(folder)
        names[:] = [name for name in names if here / name != without]
        for name in sorted(files):
            path = here / name
            if path.is_file() and not path.is_symlink():
                yield path


def _holds(path: Path, word: re.Pattern[bytes]) -> bool:
    if path.stat().st_size == 0:
        return False
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return word.search(content) is not None


def _customer_column(names: list[str]) -> str | None:
    """The column of customers, however it is spelt."""
    plain = {re.sub(r"[^a-z0-9]", "", name.lower()): name for name in reversed(names)}
    return plain.get("customerid")


def _clean_parquet(path: Path, traces: Traces) -> bool:
    try:
        with pq.ParquetFile(path) as file:
            if not any(_of_customer(batch, traces)[1] for batch in _batches(file)):
                return False
            partial = path.with_name(f".{path.name}.part")
            try:
                with pq.ParquetWriter(partial, file.schema_arrow, compression="zstd") as writer:
                    for batch in _batches(file):
                        kept, _ = _of_customer(batch, traces)
                        writer.write_table(pa.Table.from_batches([kept], file.schema_arrow))
                _put(partial, path)
            finally:
                partial.unlink(missing_ok=True)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, error) from None
    return True


def _batches(file: Any) -> Iterator[Any]:
    for group in range(file.num_row_groups):
        yield from file.iter_batches(row_groups=[group])


def _of_customer(batch: Any, traces: Traces) -> tuple[Any, int]:
    """The rows that are not the customer's, and how many are."""
    names = batch.schema.names
    customer = _customer_column(names)
    masks = [_equals(batch.column(customer), [traces.customer_id])] if customer else []
    if not customer:
        texts = [f.name for f in batch.schema if pa.types.is_string(f.type)]
        masks = [_equals(batch.column(name), [traces.customer_id]) for name in texts]
        if "order_id" in names and traces.orders:
            masks.append(_equals(batch.column("order_id"), sorted(traces.orders)))
    gone = pa.array([False] * batch.num_rows)
    for mask in masks:
        gone = pc.or_(gone, mask)
    return batch.filter(pc.invert(gone)), int(pc.sum(gone).as_py() or 0)


def _equals(column: Any, values: list[str]) -> Any:
    """Where a column holds one of the values; empty cells and lists of things do not."""
    if pa.types.is_nested(column.type):
        return pa.array([False] * len(column))
    text = column.cast(pa.string())
    if pa.types.is_floating(column.type):
        text = pc.replace_substring_regex(text, r"\.0$", "")
    return pc.is_in(text, pa.array(values, pa.string()))


def _clean_csv(path: Path, traces: Traces) -> bool:
    if not _holds(path, traces.word) and not traces.orders:
        return False
    usual_limit = csv.field_size_limit(_LONGEST_FIELD)
    partial = path.with_name(f".{path.name}.part")
    removed = 0
    try:
        with (
            path.open(newline="", encoding="utf-8", errors="surrogateescape") as given,
            partial.open("w", newline="", encoding="utf-8", errors="surrogateescape") as kept,
        ):
            first = given.readline()
            delimiter = max(",;\t|", key=first.count)
            given.seek(0)
            rows = csv.reader(given, delimiter=delimiter)
            ending = "\r\n" if first.endswith("\r\n") else "\n"
            writer = csv.writer(kept, delimiter=delimiter, lineterminator=ending)
            header = next(rows, [])
            writer.writerow(header)
            customer = _customer_column(header)
            for row in rows:
                if _is_customers(dict(zip(header, row, strict=False)), row, customer, traces):
                    removed += 1
                else:
                    writer.writerow(row)
        if removed:
            _put(partial, path)
    except (OSError, csv.Error) as error:
        raise _unreadable(path, error) from None
    finally:
        csv.field_size_limit(usual_limit)  # the limit is the whole process's
        partial.unlink(missing_ok=True)
    return removed > 0


def _is_customers(
    cells: dict[str, str], row: list[str], customer: str | None, traces: Traces
) -> bool:
    if customer is not None:
        return cells.get(customer, "").strip() == traces.customer_id
    is_named = any(cell.strip() == traces.customer_id for cell in row)
    return is_named or cells.get("order_id", "").strip() in traces.orders


def _put(partial: Path, path: Path) -> None:
    shutil.copymode(path, partial)
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(path)


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(
        f"{path} may hold the customer and cannot be rewritten: {' '.join(str(error).split())}.",
        "Mend or delete that file, then run the same command again.",
    )
