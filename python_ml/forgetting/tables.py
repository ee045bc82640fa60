"""Deleting a customer's rows, and the pages that held them."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql

from python_ml.errors import BusyError
from python_ml.forgetting.register import CREATE_REGISTER
from python_ml.forgetting.words import sql_word
from python_ml.warehouse.ledger import utc_now
from python_ml.warehouse.postgres import Connection, create_schema, layout_of

_REJECTED = ("raw", "rejected_rows")
_EVENTS = ("predictions", "run_events")
_DIGESTED = ("predictions", "digested_loads")

_TABLES = """
select namespaces.nspname, classes.relname, classes.relkind::text,
    array_agg(attributes.attname::text) as columns
from pg_class as classes
join pg_namespace as namespaces on namespaces.oid = classes.relnamespace
join pg_attribute as attributes on attributes.attrelid = classes.oid
where classes.relkind in ('r', 'm') and classes.relpersistence <> 't'
    and attributes.attnum > 0 and not attributes.attisdropped
    and namespaces.nspname <> 'information_schema' and namespaces.nspname not like 'pg\\_%'
group by classes.oid, namespaces.nspname, classes.relname, classes.relkind
order by classes.oid
"""


@dataclass(frozen=True)
class Table:
    """A table of the database, and whether this project fills it.

    Parameters
    ----------
    schema, name
        Layer and name where it is ours.
    place
        Schema and name in the database.
    """

    schema: str
    name: str
    kind: str
    columns: tuple[str, ...]
    is_own: bool
    place: tuple[str, str]

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"

    @property
    def sql(self) -> sql.Identifier:
        """Its quoted name."""
        return sql.Identifier(*self.place)

    @property
    def names_customers(self) -> bool:
        """Whether its rows belong to customers."""
        return "customer_id" in self.columns

    @property
    def is_rejected_rows(self) -> bool:
        """Whether it keeps rows of files as text."""
        return (self.schema, self.name) == _REJECTED

    @property
    def quotes_errors(self) -> bool:
        """Whether its texts may repeat what the database said of a row."""
        return (self.schema, self.name) == _EVENTS


def list_tables(connection: Connection) -> list[Table]:
    """All tables and materialized views of the database, in the order in which they were made."""
    layout = layout_of(connection)
    tables = []
    for schema, name, kind, columns in connection.execute(_TABLES.encode()).fetchall():
        ours = layout.layer_of(schema, name)
        is_own = ours is not None or schema.startswith("dev_")
        layer, plain = ours or (schema, name)
        tables.append(Table(layer, plain, kind, tuple(columns), is_own, (schema, name)))
    return tables


def own_orders(connection: Connection, customer_id: str) -> frozenset[str]:
    """Orders that are this customer's alone: one that was corrected to another customer is not."""
    keyed = [
        table.sql
        for table in list_tables(connection)
        if table.is_own
        and table.kind == "r"
        and table.names_customers
        and "order_id" in table.columns
    ]
    named = "select distinct order_id::text from {} where customer_id::text = %(id)s"
    shared = (
        "select distinct order_id::text from {} "
        "where customer_id::text <> %(id)s and order_id::text = any(%(orders)s)"
    )

    def orders(query: str, **parameters: Any) -> set[str]:
        return {
            str(order_id)
            for table in keyed
            for (order_id,) in connection.execute(
                sql.SQL(query).format(table), {"id": customer_id, **parameters}
            )
            if order_id is not None
        }

    own = orders(named)
    return frozenset(own - orders(shared, orders=list(own)))


def own_lines(connection: Connection, customer_id: str) -> frozenset[str]:
    """Order lines of this customer, by the keys under which some tables know them alone."""
    keys: set[str] = set()
    for table in list_tables(connection):
        if table.is_own and table.kind == "r" and {"customer_id", "line_key"} <= set(table.columns):
            query = sql.SQL("select distinct line_key::text from {} where customer_id::text = %s")
            found = connection.execute(query.format(table.sql), (customer_id,)).fetchall()
            keys.update(str(key) for (key,) in found if key is not None)
    return frozenset(keys)


def count_rows(connection: Connection, customer_id: str) -> dict[Table, int]:
    """How many rows of each table belong to a customer; tables without any are left out."""
    counts = {}
    for table in list_tables(connection):
        condition = _condition(table)
        if condition is None:
            continue
        query = sql.SQL("select count(*) from {} where {}").format(table.sql, condition)
        try:
            with connection.transaction():
                row = connection.execute(query, _parameters(customer_id)).fetchone()
        except psycopg.errors.InsufficientPrivilege:  # somebody else's table, closed to us
            continue
        if row and row[0]:
            counts[table] = int(row[0])
    return counts


def delete_rows(connection: Connection, customer_id: str, digest: str) -> dict[Table, int]:
    """Delete a customer's rows from every table of ours and record that, in one transaction.

    Returns
    -------
    dict
        Rows deleted from each table.
    """
    deleted = {}
    with connection.transaction():
        tables = [table for table in list_tables(connection) if table.is_own and table.kind == "r"]
        known = _parameters(customer_id) | {
            "orders": list(own_orders(connection, customer_id)),
            "lines": list(own_lines(connection, customer_id)),
        }
        _correct_announced_rows(connection, tables, customer_id, known["lines"])
        for table in tables:
            condition = _condition(table) or _order_condition(table)
            if condition is None:
                continue
            statement = sql.SQL("delete from {} where {}").format(table.sql, condition)
            count = connection.execute(statement, known).rowcount
            if count:
                deleted[table] = count
        if any(table.quotes_errors for table in tables):
            connection.execute(
                "update predictions.run_events set detail = 'named a forgotten customer' "
                "where event = 'refused' and detail ~ %s",
                (sql_word(customer_id),),
            )
        if any((table.schema, table.name) == _DIGESTED for table in tables):
            # sums over customers hold them still: with no load on record, they are built whole
            connection.execute("delete from predictions.digested_loads")
        create_schema(connection, "raw")
        connection.execute(CREATE_REGISTER.encode())
        connection.execute(
            "insert into raw.forgotten select %(now)s, %(rows)s, %(digest)s "
            "where %(rows)s > 0 "
            "or not exists (select from raw.forgotten where digest = %(digest)s)",
            {"now": utc_now(), "rows": sum(deleted.values()), "digest": digest},
        )
    return deleted


def rewrite_tables(connection: Connection, wait_seconds: float) -> None:
    """Write anew every table that may have held a customer, so that no page keeps deleted rows.

    The planner's statistics hold samples of values: they are taken anew and rewritten as well.

    Raises
    ------
    BusyError
        When another session uses the tables, or has a transaction open that may still read the
        deleted rows, for longer than ``wait_seconds``.
    """
    deadline = time.monotonic() + wait_seconds
    connection.execute(sql.SQL("set lock_timeout = {}").format(int(max(wait_seconds, 1) * 1000)))
    try:
        tables = [table for table in list_tables(connection) if table.is_own]
        for table in tables:
            if table.kind == "m":
                connection.execute(sql.SQL("refresh materialized view {}").format(table.sql))
        holding = [t.sql for t in tables if t.names_customers or _order_condition(t) is not None]
        holding += [t.sql for t in tables if t.is_rejected_rows or t.quotes_errors]
        for name in holding:
            connection.execute(sql.SQL("analyze {}").format(name))
        for name in (*holding, sql.Identifier("pg_catalog", "pg_statistic")):
            _rewrite(connection, name, deadline)
    except psycopg.errors.LockNotAvailable:
        raise _held() from None
    finally:
        connection.execute("reset lock_timeout")


def _rewrite(connection: Connection, name: sql.Identifier, deadline: float) -> None:
    while _kept_by_readers(connection, name):
        if time.monotonic() >= deadline:
            raise _held()
        time.sleep(0.2)


def _kept_by_readers(connection: Connection, name: sql.Identifier) -> int:
    """Rewrite a table; return how many deleted rows an open transaction made it keep."""
    kept: list[int] = []

    def listen(notice: psycopg.errors.Diagnostic) -> None:
        found = re.search(r"(\d+) dead row versions cannot be removed", notice.message_detail or "")
        if found:
            kept.append(int(found[1]))

    connection.add_notice_handler(listen)
    try:
        connection.execute(sql.SQL("vacuum (full, verbose) {}").format(name))
    finally:
        connection.remove_notice_handler(listen)
    return sum(kept)


def _held() -> BusyError:
    return BusyError(
        "The customer's rows are deleted, but another session still reads the tables that held "
        "them, so they lie on disk yet.",
        "End that session (select pid, query from pg_stat_activity), then run the same command "
        "again: it goes on where it stopped.",
    )


def _condition(table: Table) -> sql.SQL | None:
    """What picks the customer's own rows of a table."""
    if table.names_customers:
        return sql.SQL("customer_id::text = %(customer_id)s")
    if table.is_rejected_rows:
        return sql.SQL("row_text ~ %(word)s or reason ~ %(word)s")
    return None


def _order_condition(table: Table) -> sql.SQL | None:
    """What picks the rows of a table that knows the customer by order or order line alone."""
    if "order_id" in table.columns:
        return sql.SQL("order_id::text = any(%(orders)s)")
    if "line_key" in table.columns:
        return sql.SQL("line_key::text = any(%(lines)s)")
    return None


def _parameters(customer_id: str) -> dict[str, Any]:
    return {"customer_id": customer_id, "word": sql_word(customer_id)}


def _correct_announced_rows(
    connection: Connection, tables: list[Table], customer_id: str, lines: list[str]
) -> None:
    """Let each run announce the rows that it will have: a test before publishing compares them."""
    by_name = {str(table): table for table in tables}
    if "predictions.runs" not in by_name:
        return
    for table in tables:
        if table.schema != "predictions" or "run_id" not in table.columns:
            continue
        condition = _condition(table) or _order_condition(table)
        if condition is not None:
            connection.execute(
                sql.SQL(
                    "update predictions.runs set row_count = runs.row_count - gone.row_count "
                    "from (select run_id, count(*) as row_count from {} "
                    "where {} group by 1) as gone "
                    "where runs.run_id = gone.run_id"
                ).format(table.sql, condition),
                _parameters(customer_id) | {"lines": lines, "orders": []},
            )
    if "features.feat_order_habit" in by_name:
        # the customer summary has no scores: it announces the features of its date
        connection.execute(
            "update predictions.runs set row_count = row_count - 1 "
            "where prediction = 'customers' and row_count > 0 and as_of_date in ("
            "select as_of_date from features.feat_order_habit where customer_id::text = %s)",
            (customer_id,),
        )
