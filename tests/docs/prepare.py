"""What documents take for granted, made where one stands: `python -m tests.docs.prepare orders`."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pandas as pd
import sqlalchemy

from python_ml.ingest.demo import DemoShop, write_demo_shop

CUSTOMERS = 300


def _lines(years: int = 2) -> pd.DataFrame:
    shop = DemoShop(customers=CUSTOMERS, years=years)
    return pd.read_parquet(write_demo_shop(shop, Path("simulated")).order_lines)


def demo(home: str) -> None:
    """A small demo shop, where `smartretail run` would simulate a larger one."""
    write_demo_shop(DemoShop(customers=CUSTOMERS, years=3), Path(home) / "demo")


def orders() -> None:
    """The two exports of README and "run a step": the second holds three orders more."""
    theirs = {"order_id": "Order No", "customer_id": "Client", "ordered_at": "InvoiceDate",
              "product_id": "Article", "quantity": "Qty", "unit_price": "Price"}  # fmt: skip
    kept = [*theirs, "category", "discount", "returned", "brand", "state"]
    every = _lines()[kept].rename(columns=theirs)
    late = every["Order No"].isin(every["Order No"].unique()[-3:])
    every[~late].to_csv("orders.csv", index=False)
    every.to_csv("orders_january.csv", index=False)


def receipts() -> None:
    """The till of "add a source": its models as the page has them, and its file."""
    text = Path("docs/add_a_source.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```(?:yaml|sql)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    models = ("order_lines", "customers", "products", "row_accounting")
    names = ["_till__sources.yml", *(f"stg_till__{name}.sql" for name in models)]
    folder = Path("models_sql/staging/till")
    folder.mkdir()
    for name, block in zip(names, blocks[: len(names)], strict=True):
        (folder / name).write_text(block, encoding="utf-8")
    theirs = {"order_id": "Receipt No", "customer_id": "Member", "ordered_at": "Sold At",
              "product_id": "SKU", "quantity": "Units", "unit_price": "Price"}  # fmt: skip
    _lines()[[*theirs]].rename(columns=theirs).to_csv("receipts_2025.csv", index=False)


def prediction() -> None:
    """The three files of "add a prediction", made from those of order habit as the page says."""
    paths = [
        *Path("models_sql/features").glob("feat_order_habit.*"),
        *Path("models_sql/labels").glob("label_order_habit.*"),
        Path("python_ml/predictions/order_habit.py"),
    ]
    for path in paths:
        text = path.read_text(encoding="utf-8").replace("order_habit", "order_soon")
        text = text.replace("horizon_days=180", "horizon_days=28")
        path.with_name(path.name.replace("habit", "soon")).write_text(text, encoding="utf-8")


def new_orders() -> None:
    """Orders of the day that is predicted, for "return risk"."""
    lines = pd.read_parquet(Path(os.environ["SMARTRETAIL_HOME"]) / "demo" / "order_lines.parquet")
    kept = ["customer_id", "product_id", "quantity", "unit_price", "size", "brand", "state"]
    new = lines.tail(5)[kept]
    new = new.assign(**{"Order No": "new", "ordered_at": "2026-01-01 10:00:00"})
    new.to_csv("new_orders.csv", index=False)


def mailing() -> None:
    """The actions of "watch"."""
    Path("mailing.csv").write_text(
        "customer_id,action,acted_at,prediction\nC00000012,mail,2025-06-03,order_habit\n",
        encoding="utf-8",
    )


def tables() -> None:
    """The shop's own tables of "own schema", and the schema that it makes for us."""
    lines = _lines()
    lines["id"] = lines.order_id + "/" + lines.line_id.astype(str)
    back = lines[lines.returned_at.notna()]
    customers, products, orders_ = (
        lines.drop_duplicates(key).assign(id=lambda found, key=key: found[key])
        for key in ("customer_id", "product_id", "order_id")
    )
    made = {
        "customers": customers.rename(columns={"state": "country"})[["id", "country"]],
        "products": products.rename(columns={"product_name": "name"})[["id", "name", "category"]],
        "orders": orders_.assign(status="paid")[["id", "customer_id", "ordered_at", "status"]],
        "order_items": lines[
            ["order_id", "id", "product_id", "quantity", "unit_price", "discount"]
        ],
        "refunds": back.assign(
            id="R" + back.id, order_item_id=back.id, refunded_at=back.returned_at
        )[["id", "order_id", "order_item_id", "quantity", "refunded_at"]],
    }
    made["customers"]["city"] = "Springfield"
    address = os.environ["ADDRESS"].replace("postgresql:", "postgresql+psycopg:")
    with sqlalchemy.create_engine(address).begin() as connection:
        for schema in ("shop", "smartretail"):
            connection.execute(sqlalchemy.schema.CreateSchema(schema))
        for name, table in made.items():
            table.to_sql(name, connection, schema="shop", index=False)


MADE = (demo, orders, receipts, prediction, new_orders, mailing, tables)

if __name__ == "__main__":
    {f.__name__: f for f in MADE}[sys.argv[1]](*sys.argv[2:])
