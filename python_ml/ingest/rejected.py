"""Rows that were not loaded: counted in memory, kept on disk until they go to the warehouse."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from python_ml.ingest.records import BadRow

EXAMPLES = 5
"""Rejected rows that an error shows."""

_SCHEMA = pa.schema(
    [
        ("load_id", pa.int64()),
        ("file_name", pa.string()),
        ("line_number", pa.int64()),
        ("row_text", pa.string()),
        ("reason", pa.string()),
    ]
)


class RejectedRows:
    """The rejected rows of one load; memory does not grow with their number.

    Use it in a ``with`` statement: its file goes away at the end.
    """

    def __init__(self, load_id: int) -> None:
        self.reasons: Counter[str] = Counter()
        self.examples: list[str] = []
        self._load_id = load_id
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by __exit__
        self._writer = pa.ipc.new_stream(self._file, _SCHEMA)

    def __enter__(self) -> RejectedRows:
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()
        self._file.close()

    @property
    def count(self) -> int:
        """How many rows were rejected so far."""
        return self.reasons.total()

    def add(self, file_name: str, rows: Sequence[BadRow]) -> None:
        """Keep rows of a file."""
        if not rows:
            return
        self.reasons.update(row.reason for row in rows)
        for row in rows[: EXAMPLES - len(self.examples)]:
            self.examples.append(f"  {file_name}, line {row.line}: {row.reason}")
        kept = [row.printable() for row in rows]
        columns = [
            [self._load_id] * len(kept),
            [file_name] * len(kept),
            [row.line for row in kept],
            [row.text for row in kept],
            [row.reason for row in kept],
        ]
        arrays = [pa.array(c, f.type) for c, f in zip(columns, _SCHEMA, strict=True)]
        self._writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=_SCHEMA))

    def reader(self) -> Any:
        """Stream all of them as rows of ``raw.rejected_rows``; nothing can be added any more."""
        self._writer.close()
        self._file.seek(0)
        return pa.ipc.open_stream(self._file)
