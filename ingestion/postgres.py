"""Helpers for Postgres queries."""

from contextlib import suppress
from typing import Any

import psycopg2
from psycopg2 import extensions as pg


def value_of(cursor: pg.cursor) -> Any:
    """The first value of a query's first row, for queries that always return one."""
    return cursor.fetchall()[0][0]


def take_lock(cursor: pg.cursor, name: str, is_exclusive: bool) -> None:
    """Takes the lock of `raw_tables` or `matching` until the end of the transaction, after at most an hour.

    Raises psycopg2's LockNotAvailable, whose message names the session that holds the lock.
    """
    cursor.execute("select governance.take_lock(%s, %s)", [name, is_exclusive])


def end_transaction(connection: pg.connection) -> None:
    """Ends the transaction and its locks. After a mere `close`, the server keeps them until it notices the end."""
    with suppress(psycopg2.Error):  # the server has ended the transaction, if it closed the connection
        connection.rollback()


def names_in(cursor: pg.cursor) -> list[str]:
    """The column names of a query's result."""
    return [column.name for column in cursor.description or ()]
