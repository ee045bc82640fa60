"""Small files of order lines, as good or as bad as a test wants them."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from python_ml.warehouse.postgres import Warehouse

COLUMNS = (
    "order_id", "line_id", "customer_id", "ordered_at", "product_id", "quantity", "unit_price",
)  # fmt: skip

Row = dict[str, Any]


def line(number: int = 1, **cells: Any) -> Row:
    """A good order line; ``cells`` replace its cells."""
    good = {
        "order_id": f"O{number}",
        "line_id": "1",
        "customer_id": f"C{number % 7}",
        "ordered_at": f"2024-03-{1 + number % 28:02d} 10:00:00",
        "product_id": f"P{number % 5}",
        "quantity": "2",
        "unit_price": "3.50",
    }
    return good | cells


def lines(count: int) -> list[Row]:
    return [line(number) for number in range(1, count + 1)]


def csv_text(
    rows: Sequence[Row],
    *,
    columns: Sequence[str] = COLUMNS,
    delimiter: str = ",",
    end: str = "\n",
) -> str:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end)
    writer.writerow(columns)
    writer.writerows([row.get(column, "") for column in columns] for row in rows)
    return text.getvalue()


def write(path: Path, content: str | bytes, encoding: str = "utf-8") -> Path:
    path.write_bytes(content.encode(encoding) if isinstance(content, str) else content)
    return path


def rows_of(warehouse: Warehouse, query: str) -> list[tuple[Any, ...]]:
    with warehouse.connect() as connection:
        return connection.execute(query.encode()).fetchall()


def state_of(warehouse: Warehouse) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of the raw schema, to see that nothing moved."""
    tables = rows_of(
        warehouse, "select table_name from information_schema.tables where table_schema = 'raw'"
    )
    contents = {str(name): rows_of(warehouse, f"select t::text from raw.{name} t order by 1")
                for (name,) in tables}  # fmt: skip
    return {name: rows for name, rows in contents.items() if rows}
