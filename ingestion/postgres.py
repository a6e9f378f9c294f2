"""Helpers for Postgres queries."""

from typing import Any

from psycopg2 import extensions as pg


def value_of(cursor: pg.cursor) -> Any:
    """The first value of a query's first row, for queries that always return one."""
    return cursor.fetchall()[0][0]


def names_in(cursor: pg.cursor) -> list[str]:
    """The column names of a query's result."""
    return [column.name for column in cursor.description or ()]
