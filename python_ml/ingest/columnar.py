"""Parquet files as chunks of rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from python_ml.errors import InputError
from python_ml.ingest.records import Chunk

MAGIC = b"PAR1"
"""First and last bytes of every Parquet file."""

_BATCH_ROWS = 65_536


def parquet_schema(path: Path) -> tuple[Any, int]:
    """Arrow schema and number of rows of a file.

    Raises
    ------
    InputError
        When it is not a whole Parquet file.
    """
    with _opened(path) as file:
        return file.schema_arrow, int(file.metadata.num_rows)


def read_parquet(path: Path, picks: Sequence[int]) -> Iterator[Chunk]:
    """Read the columns at the positions ``picks``, in chunks of bounded size.

    Raises
    ------
    InputError
        When the file is damaged.
    """
    with _opened(path) as file:
        names = [file.schema_arrow.names[position] for position in picks]
        line = 1
        for batch in file.iter_batches(_BATCH_ROWS, columns=sorted(set(names))):
            columns = [_plain(batch.column(batch.schema.names.index(name))) for name in names]
            numbers = pa.array(range(line, line + batch.num_rows), pa.int64())
            yield Chunk(columns, numbers, [])
            line += batch.num_rows


def _plain(column: Any) -> Any:
    return column.storage if isinstance(column.type, pa.BaseExtensionType) else column


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with pq.ParquetFile(path) as file:
            yield file
    except (pa.ArrowException, OSError, UnicodeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"{path}: not a whole Parquet file: {reason}", "Export or copy it again."
        ) from None
