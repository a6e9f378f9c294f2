"""What is common to all that asks Postgres."""

from typing import Any

from psycopg2 import extensions as pg


def value_of(cursor: pg.cursor) -> Any:
    """The first value of the first row that a query gave, for queries that always give one."""
    return cursor.fetchall()[0][0]


def names_in(cursor: pg.cursor) -> list[str]:
    """The names of the columns that a query gave."""
    return [column.name for column in cursor.description or ()]
