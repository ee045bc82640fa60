"""Which failures may pass by themselves, so that doing it again helps.

A connection that was lost, two transactions that met, a lock that is busy. Not among them: wrong
data, a failed test, a full disk, a wrong password. They fail the same way the next time.
"""

from __future__ import annotations

from collections.abc import Iterable

import adbc_driver_manager
import psycopg

from python_ml.errors import BusyError, ConnectionLostError, InterruptedBuildError

_SQLSTATES = {
    "40001",  # serialization failure
    "40P01",  # deadlock
    "55P03",  # lock not available
    "57P01",  # the server was told to end the connection
    "57P02",
    "57P03",  # it is starting or stopping
    "08000",
    "08003",
    "08006",
}

_WORDS = (
    "server closed the connection",
    "terminating connection due to",
    "the database system is",
    "connection to server at",
    "connection already closed",
    "connection not open",
    "no connection to the server",
    "ssl connection has been closed",
    "could not receive data from server",
    "could not serialize access",
    "deadlock detected",
    "tuple concurrently",
    "due to lock timeout",
)
"""What drivers write where they hand on no code, as dbt does."""


def is_transient(error: BaseException | None) -> bool:
    """Whether doing it again may help."""
    if isinstance(error, (ConnectionLostError, BusyError, InterruptedBuildError)):
        return True
    if isinstance(error, (psycopg.Error, adbc_driver_manager.Error)):
        return error.sqlstate in _SQLSTATES
    return False


def all_transient(messages: Iterable[str]) -> bool:
    """Whether each of these messages tells of a connection or lock, and of nothing else."""
    folded = [message.lower() for message in messages]
    return bool(folded) and all(any(words in text for words in _WORDS) for text in folded)
