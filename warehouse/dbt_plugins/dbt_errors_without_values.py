"""dbt plugin: errors of Postgres reach dbt's messages without values of data.

dbt imports modules whose names begin with `dbt_` when it starts; `warehouse.environment` puts this folder on its path.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
from dbt.adapters.postgres.connections import PostgresConnectionManager

_handler = PostgresConnectionManager.exception_handler


@contextmanager
def _without_values(manager: PostgresConnectionManager, sql: str) -> Iterator[None]:
    with _handler(manager, sql):
        try:
            yield
        except psycopg2.DatabaseError as error:
            from ingestion.errors import describe  # takes as long to import as the rest of dbt's start

            raise type(error)(describe(error)) from None


PostgresConnectionManager.exception_handler = _without_values  # type: ignore[method-assign, assignment]
