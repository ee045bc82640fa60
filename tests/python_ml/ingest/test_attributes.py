"""What kind an attribute is: stated, or found out strictly, and then kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from python_ml.errors import InputError
from python_ml.ingest.attributes import AttributeKind
from python_ml.ingest.load import LoadReport, load
from python_ml.ingest.read import ReadOptions
from python_ml.ingest.sources import Attribute, ColumnMapping
from python_ml.warehouse.postgres import Warehouse


@pytest.fixture
def warehouse(database_url: str) -> Warehouse:
    return Warehouse(database_url)


def load_values(
    warehouse: Warehouse,
    folder: Path,
    values: list[Any],
    attribute: str = "customer:mark",
    *,
    date_order: str | None = None,
    same_shop: bool = False,
) -> LoadReport:
    """Load a shop with one order line per value of an attribute."""
    column = Attribute.parse(attribute).origin
    start = pd.Timestamp("2024-01-01") + pd.Timedelta(days=len(list(folder.glob("*.csv"))) * 100)
    lines = pd.DataFrame(
        {
            "order_id": [f"{start:%m}-{i}" for i in range(len(values))],
            "customer_id": [f"c{i}" for i in range(len(values))],
            "ordered_at": [start + pd.Timedelta(hours=i) for i in range(len(values))],
            "quantity": 1,
            "unit_price": 2.5,
            column: values,
        }
    )
    path = folder / f"{start:%Y%m%d}.csv"
    lines.to_csv(path, index=False)
    mapping = ColumnMapping.parse([], [attribute])
    options = ReadOptions(date_order=date_order)
    return load(warehouse, "order_lines", [path], mapping, options, same_shop=same_shop)


def only(report: LoadReport) -> AttributeKind:
    [kind] = report.attributes
    return kind


@pytest.mark.parametrize(
    ("values", "kind", "notation"),
    [
        (["23", "31.5", "47", "60"], "number", "point"),
        (["1", "22", "333", "-4"], "number", "point"),
        (["1975", "1980", "2001"], "number", "point"),
        (["2,5", "3,25", "4"], "number", "comma"),
        (["1e-05", "0.25", "7"], "number", "point"),
        (["1975-03-07", "2001-12-31 08:00:00"], "date", "iso"),
        (["07.03.1975", "31.12.2001"], "date", "dmy"),
        (["3/7/1975", "12/31/2001"], "date", "mdy"),
        (["WA", "CA", "OR"], "category", ""),
        (["01", "02", "13", "14"], "category", ""),
        (["10115", "80331", "50667"], "category", ""),
        (["20240101", "20240229", "20231231"], "category", ""),
        (["0", "1", "1", "0"], "category", ""),
        (["3", "7", "S", "M", "9"], "category", ""),
        (["2024-02-30", "2024-02-31", "2024-13-01"], "category", ""),
        (["", "", ""], "category", ""),
    ],
)
def test_the_values_tell_the_kind(
    warehouse: Warehouse, tmp_path: Path, values: list[str], kind: str, notation: str
) -> None:
    found = only(load_values(warehouse, tmp_path, values))
    assert (found.kind, found.notation, found.unreadable) == (kind, notation, 0)


def test_columns_named_like_ids_stay_categories(warehouse: Warehouse, tmp_path: Path) -> None:
    report = load_values(warehouse, tmp_path, ["3", "14", "159"], "customer:Store No")
    assert only(report).kind == "category"


def test_words_for_nothing_do_not_make_a_category(warehouse: Warehouse, tmp_path: Path) -> None:
    found = only(load_values(warehouse, tmp_path, ["23", "n/a", "31", "NULL", "8"]))
    assert (found.kind, found.unreadable) == ("number", 0)


def test_a_few_typing_errors_are_counted(warehouse: Warehouse, tmp_path: Path) -> None:
    values = [str(age) for age in range(18, 118)] + ["unknown"]
    found = only(load_values(warehouse, tmp_path, values))
    assert (found.kind, found.unreadable) == ("number", 1)


def test_what_is_stated_counts(warehouse: Warehouse, tmp_path: Path) -> None:
    found = only(load_values(warehouse, tmp_path, ["0", "1", "x", "1"], "customer:mark:number"))
    assert (found.kind, found.is_stated, found.unreadable) == ("number", True, 1)


def test_a_stated_date_that_could_be_either_is_asked_for(
    warehouse: Warehouse, tmp_path: Path
) -> None:
    values = ["03/04/2020", "05/06/2021"]
    with pytest.raises(InputError, match="day first or month first"):
        load_values(warehouse, tmp_path, values, "customer:mark:date")
    found = only(load_values(warehouse, tmp_path, values, "customer:mark:date", date_order="mdy"))
    assert (found.kind, found.notation) == ("date", "mdy")


def test_later_loads_keep_the_kind_of_the_first(warehouse: Warehouse, tmp_path: Path) -> None:
    assert only(load_values(warehouse, tmp_path, ["23", "31", "47"])).kind == "number"
    later = only(load_values(warehouse, tmp_path, ["old", "young", "52"], same_shop=True))
    assert (later.kind, later.unreadable) == ("number", 2)


def test_a_later_load_cannot_state_another_kind(warehouse: Warehouse, tmp_path: Path) -> None:
    load_values(warehouse, tmp_path, ["23", "31", "47"])
    with pytest.raises(InputError, match=r"customer mark \(number\).*is a category"):
        load_values(warehouse, tmp_path, ["23"], "customer:mark:category", same_shop=True)


def test_a_kind_may_stand_behind_any_column() -> None:
    assert Attribute.parse("customer:born on:date").kind == "date"
    assert Attribute.parse("product:number").kind is None
    assert Attribute.parse("product:Größe: (cm)").origin == "Größe: (cm)"
    assert Attribute.parse("line:a:b").origin == "a:b"
