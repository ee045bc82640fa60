"""The Northwind shop as somebody else would have kept it: other names, other types, other notions.

A schema that was not made for this project, in a database where the project's role is no superuser,
may read the shop's tables and may create in one schema alone.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pandas as pd
import psycopg
from psycopg import sql

SCHEMA = "Kontor"
OURS = "smart"
PASSWORD = "only-in-tests"

TABLES = """
create schema "Kontor";
create table "Kontor"."Kunden" (
    kundennr integer primary key, "Firma" varchar(60) not null, land char(20), ort text
);
create table "Kontor"."Artikel" (
    artikelnr bigint primary key, bezeichnung text, warengruppe varchar(30), lieferant smallint
);
create table "Kontor"."Bestellungen" (
    bestellnr numeric(10, 0) primary key, kundennr integer, bestellt_am timestamptz not null,
    zustand text not null default 'offen'
);
create table "Kontor"."Positionen" (
    bestellnr numeric(10, 0), artikelnr bigint, menge smallint not null, einzelpreis money not null,
    rabatt numeric(4, 2), primary key (bestellnr, artikelnr)
);
create table "Kontor"."Gutschriften" (
    nr serial primary key, bestellnr numeric(10, 0), artikelnr bigint, menge smallint,
    gutgeschrieben_am text
);
"""

DESCRIPTION = {
    "table: customers": "table: Kunden",
    "{from: id, required: true}}}\n          - {name: attribute_customer_country": (
        "{from: kundennr, required: true}}}\n          - {name: attribute_customer_country"
    ),
    "from: country": "from: land",
    "from: city": "from: ort",
    "table: products": "table: Artikel",
    'description: "The product.", config: {meta: {from: id,': (
        'description: "The product.", config: {meta: {from: artikelnr,'
    ),
    "{from: name}": "{from: bezeichnung}",
    "{from: category}": "{from: warengruppe}",
    "table: orders": "table: Bestellungen",
    'description: "The order.", config: {meta: {from: id,': (
        'description: "The order.", config: {meta: {from: bestellnr,'
    ),
    "from: customer_id": "from: kundennr",
    "from: ordered_at, required: true, time_zone: UTC": (
        "from: bestellt_am, required: true, time_zone: Europe/Berlin"
    ),
    "{from: status}": "{from: zustand}",
    "table: order_items": "table: Positionen",
    "from: order_id": "from: bestellnr",
    'description: "The line within its order.", config: {meta: {from: id,': (
        'description: "The line within its order.", config: {meta: {from: artikelnr,'
    ),
    "from: product_id, required: true, nullable": "from: artikelnr, required: true, nullable",
    "from: quantity": "from: menge",
    "from: unit_price": "from: einzelpreis",
    "from: discount": "from: rabatt",
    "table: refunds": "table: Gutschriften",
    'description: "The refund.", config: {meta: {from: id,': (
        'description: "The refund.", config: {meta: {from: nr,'
    ),
    "from: order_item_id": "from: artikelnr",
    "from: refunded_at, required: true, time_zone: UTC": "from: gutgeschrieben_am, required: true",
}
"""What the shop's owner changes in the source's yml, following docs/own_schema.md."""


def describe(project: Path) -> None:
    """Fill in the template as the recipe says."""
    path = project / "models_sql" / "staging" / "own" / "_own__sources.yml"
    text = path.read_text(encoding="utf-8")
    for ours, theirs in DESCRIPTION.items():
        assert ours in text, ours
        text = text.replace(ours, theirs)
    path.write_text(text, encoding="utf-8")


def make_shop(admin_url: str, northwind: Path) -> str:
    """Fill the shop's schema, and give the address of the role that works for this project."""
    role = f"runner_{urlsplit(admin_url).path.strip('/')}"
    with psycopg.connect(admin_url) as connection:
        connection.execute(TABLES.encode())
        _fill(connection, northwind)
        grants = sql.SQL(
            "create role {role} login nosuperuser password {password}; "
            "create schema {ours}; grant usage, create on schema {ours} to {role}; "
            "grant usage on schema {shop} to {role}; "
            "grant select on all tables in schema {shop} to {role}"
        )
        connection.execute(
            grants.format(
                role=sql.Identifier(role),
                password=sql.Literal(PASSWORD),
                ours=sql.Identifier(OURS),
                shop=sql.Identifier(SCHEMA),
            )
        )
    parts = urlsplit(admin_url)
    return urlunsplit(parts._replace(netloc=f"{role}:{PASSWORD}@{parts.hostname}:{parts.port}"))


def _fill(connection: psycopg.Connection[tuple[object, ...]], northwind: Path) -> None:
    tables = {path.stem: pd.read_csv(path, dtype=str) for path in northwind.glob("*.csv")}
    customers, orders = tables["customers"], tables["orders"]
    numbers = {name: 1000 + place for place, name in enumerate(customers.customer_id)}
    categories = dict(
        zip(tables["categories"].category_id, tables["categories"].category_name, strict=True)
    )
    customers["number"] = customers.customer_id.map(numbers)
    orders["number"] = orders.customer_id.map(numbers)
    products = tables["products"]
    products["category"] = products.category_id.map(categories)
    details = tables["order_details"].merge(orders[["order_id", "order_date"]], on="order_id")
    details["price"] = details.unit_price.astype(float).round(2).astype(str)
    back = details.iloc[::40].copy()
    later = pd.to_datetime(back.order_date) + timedelta(days=9)
    back["refunded"] = later.dt.strftime("%d.%m.%Y")
    back["one"] = "1"
    # noon in Berlin, so that a wrong zone shows on no day but its hours do
    orders["noon"] = orders.order_date + " 12:00 Europe/Berlin"
    fill = {
        "Kunden": customers[["number", "company_name", "country", "city"]],
        "Artikel": products[["product_id", "product_name", "category", "supplier_id"]],
        "Bestellungen": orders[["order_id", "number", "noon"]],
        "Positionen": details[["order_id", "product_id", "quantity", "price", "discount"]],
        "Gutschriften (bestellnr, artikelnr, menge, gutgeschrieben_am)": back[
            ["order_id", "product_id", "one", "refunded"]
        ],
    }
    for target, rows in fill.items():
        name, _, columns = target.partition(" ")
        names = columns.strip("()") or _columns(connection, name, rows.shape[1])
        statement = f'copy "Kontor"."{name}" ({names}) from stdin'
        with connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
            for row in rows.itertuples(index=False):
                copy.write_row([None if pd.isna(value) else str(value) for value in row])


def _columns(connection: psycopg.Connection[tuple[object, ...]], table: str, count: int) -> str:
    rows = connection.execute(
        "select quote_ident(column_name) from information_schema.columns "
        "where table_schema = 'Kontor' and table_name = %s order by ordinal_position limit %s",
        (table, count),
    ).fetchall()
    return ", ".join(str(row[0]) for row in rows)
