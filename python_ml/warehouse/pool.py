"""Connections that are kept open, for the API: small look-ups, many of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from python_ml.errors import WarehouseError
from python_ml.warehouse.postgres import Warehouse

Row = dict[str, Any]
WAIT_SECONDS = 5.0
STATEMENT_MILLISECONDS = 10_000


class ReadPool:
    """Connections that only read, each statement prepared at its first use.

    Parameters
    ----------
    warehouse
        The shop's database.
    size
        Connections at most.
    """

    def __init__(self, warehouse: Warehouse, size: int = 8) -> None:
        self._layout = warehouse.layout
        self._placed: dict[str, bytes] = {}
        self._pool: AsyncConnectionPool[psycopg.AsyncConnection[Row]] = AsyncConnectionPool(
            warehouse.url,
            min_size=2,
            max_size=size,
            open=False,
            timeout=WAIT_SECONDS,
            kwargs={
                "autocommit": True,
                "row_factory": dict_row,
                "prepare_threshold": 0,
                "application_name": "smartretail api",
                "options": "-c default_transaction_read_only=on "
                f"-c statement_timeout={STATEMENT_MILLISECONDS}",
            },
            check=None,
        )

    async def open(self) -> None:
        """Open the first connections, in the background: a server that sleeps is waited for."""
        await self._pool.open()

    async def close(self) -> None:
        """Close all of them."""
        await self._pool.close()

    async def read(self, query: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """Read rows. A connection that was lost is replaced, and the query asked once more.

        Raises
        ------
        WarehouseError
            When the server does not answer.
        """
        statement = self._placed.get(query)
        if statement is None:
            statement = self._placed[query] = self._layout.placed(query).encode()
        try:
            try:
                return await self._ask(statement, parameters)
            except psycopg.OperationalError as error:
                if isinstance(error, (PoolTimeout, psycopg.errors.QueryCanceled)):
                    raise
                await self._pool.check()
                return await self._ask(statement, parameters)
        except psycopg.OperationalError:
            raise WarehouseError(
                "The database does not answer.", "Try again in a moment."
            ) from None

    async def _ask(self, statement: bytes, parameters: Sequence[Any]) -> list[Row]:
        async with self._pool.connection() as connection:
            cursor = await connection.execute(statement, parameters)
            return await cursor.fetchall()
