"""What the loader learns from the yml beside the staging models, and from the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from python_ml.errors import InputError
from python_ml.ingest.sources import Attribute, ColumnMapping, source_names, source_tables


def project_with(tmp_path: Path, table: dict[str, object], source: str = "till") -> Path:
    folder = tmp_path / "models_sql" / "staging" / source
    folder.mkdir(parents=True)
    document = {"sources": [{"name": source, "tables": [table]}]}
    (folder / f"_{source}__sources.yml").write_text(yaml.safe_dump(document))
    return tmp_path


def test_the_flat_file_contract_is_the_yml() -> None:
    (table,) = source_tables("order_lines")
    assert table.is_flat_file
    required = [column.name for column in table.columns if column.required]
    assert required == ["order_id", "customer_id", "ordered_at", "quantity", "unit_price"]
    assert [column.name for column in table.columns if column.nullable] == ["customer_id"]
    assert (table.order_column, table.part_column, table.line_column) == (
        "order_id", "product_id", "line_id")  # fmt: skip


def test_a_published_data_set_has_columns_of_its_own() -> None:
    (table,) = source_tables("online_retail")
    assert not table.is_flat_file
    assert table.column("invoice_at").origin == "InvoiceDate"
    assert (table.files, table.time_column) == ("*.parquet", "invoice_at")
    assert (table.order_column, table.part_column, table.line_column) == (
        "invoice", "stock_code", None)  # fmt: skip


@pytest.mark.parametrize("name", ["nope", "predictions", "../staging/order_lines", "", "."])
def test_what_is_no_source_is_refused_with_those_there_are(name: str) -> None:
    assert source_names() == ["northwind", "online_retail", "order_lines", "own"]
    with pytest.raises(InputError, match=r"northwind, online_retail, order_lines, own"):
        source_tables(name)


COLUMNS = [{"name": "receipt", "data_type": "text"}, {"name": "sold_at", "data_type": "timestamp"}]


def test_a_new_shop_needs_one_folder(tmp_path: Path) -> None:
    meta = {"newest_column": "sold_at", "files": "*.csv"}
    project = project_with(
        tmp_path, {"name": "receipts", "columns": COLUMNS, "config": {"meta": meta}}
    )
    (table,) = source_tables("till", project)
    assert (table.name, table.order_column, table.part_column) == ("receipts", "receipt", "sold_at")


@pytest.mark.parametrize(
    ("columns", "meta", "what"),
    [
        (COLUMNS, {}, "has no column 'ordered_at'"),
        (COLUMNS, {"newest_column": "sold_at", "order_column": "x"}, "has no column 'x'"),
        (COLUMNS, {"newest_column": None, "key": ["x"]}, "has no column 'x'"),
        (COLUMNS, {"newest_column": None, "key": ["receipt"]}, "receipt is in the key"),
        ([{"name": "a", "data_type": "json"}], {}, "column a has the type 'json'"),
        ([{"name": "a"}], {}, "column a has the type None"),
    ],
)
def test_a_yml_that_leaves_something_out_is_refused(
    tmp_path: Path, columns: list[object], meta: dict[str, object], what: str
) -> None:
    table = {"name": "receipts", "columns": columns, "config": {"meta": meta}}
    with pytest.raises(InputError, match=what):
        source_tables("till", project_with(tmp_path, table))


def test_a_table_with_a_key_may_have_no_time() -> None:
    by_name = {table.name: table for table in source_tables("northwind")}
    assert by_name["order_details"].key == ("order_id", "product_id")
    assert by_name["order_details"].time_column is None
    assert by_name["orders"].time_column == "order_date"
    assert [name for name, table in by_name.items() if table.names_customers] == [
        "customers", "orders"]  # fmt: skip


@pytest.mark.parametrize("text", ["brand", "shop:brand", "product:", "product: ", ":brand", ""])
def test_an_attribute_says_what_it_describes(text: str) -> None:
    with pytest.raises(InputError, match="product:brand"):
        Attribute.parse(text)


def test_an_attribute_has_a_plain_name() -> None:
    attribute = Attribute.parse("customer:Größe: (cm)")
    assert attribute.origin == "Größe: (cm)"
    assert attribute.column_name == "attribute_customer_gr_e_cm"


@pytest.mark.parametrize("text", ["line:日本", "line:" + "x" * 60])
def test_an_attribute_that_has_no_good_name_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="Rename the column"):
        Attribute.parse(text)


def test_two_attributes_of_one_name_are_refused() -> None:
    with pytest.raises(InputError, match="attribute_line_size"):
        ColumnMapping.parse([], ["line:Size", "line:size!"])
    assert len(ColumnMapping.parse([], ["line:Size", "line:Size"]).attributes) == 1


def test_a_mapping_is_theirs_and_ours() -> None:
    mapping = ColumnMapping.parse(["Order No=order_id", "a=b=quantity"], ["product:brand"])
    assert mapping.renames == {"Order No": "order_id", "a=b": "quantity"}
    assert mapping.attributes == (Attribute("product", "brand"),)


@pytest.mark.parametrize("text", ["order_id", "=order_id", "Order No="])
def test_a_mapping_needs_both_sides(text: str) -> None:
    with pytest.raises(InputError, match="THEIRS=OURS"):
        ColumnMapping.parse([text], [])


@pytest.mark.parametrize("maps", [["a=order_id", "b=order_id"], ["a=order_id", "a=quantity"]])
def test_a_column_is_mapped_once(maps: list[str]) -> None:
    with pytest.raises(InputError, match="mapped twice"):
        ColumnMapping.parse(maps, [])
