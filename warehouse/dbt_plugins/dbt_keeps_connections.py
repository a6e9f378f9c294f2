"""dbt plugin: each thread keeps its connection from one node to the next.

dbt connects again for every node. Most nodes are small tests, and connecting takes about as long as such a test. Each
node still finds its session as new: without an open transaction, settings, temporary tables or advisory locks.
"""

from contextlib import suppress

import psycopg2
from dbt.adapters.contracts.connection import Connection, ConnectionState
from dbt.adapters.postgres.connections import PostgresConnectionManager

_release = PostgresConnectionManager.release
_set_connection_name = PostgresConnectionManager.set_connection_name
_KEPT = "is_kept_by_its_thread"


def _keep(manager: PostgresConnectionManager) -> None:
    """Keep the connection of a thread whose node has ended."""
    connection = manager.get_if_exists()
    if connection and connection.state == ConnectionState.OPEN and not connection.credentials.role:
        with suppress(psycopg2.Error):  # the server has ended the session
            connection.handle.rollback()
            connection.transaction_open = False
            setattr(connection, _KEPT, True)
            return
    _release(manager)


def _take(manager: PostgresConnectionManager, name: str | None = None) -> Connection:
    """The connection of a thread whose node begins; a new one if the server has ended the session meanwhile."""
    connection = manager.get_if_exists()
    if connection and getattr(connection, _KEPT, False):
        setattr(connection, _KEPT, False)
        try:
            session = connection.handle
            session.autocommit = True
            with session.cursor() as cursor:
                cursor.execute("discard all")
            session.autocommit = bool(connection.credentials.autocommit)
        except psycopg2.Error:
            manager.close(connection)
    return _set_connection_name(manager, name)


PostgresConnectionManager.release = _keep  # type: ignore[method-assign, assignment]
PostgresConnectionManager.set_connection_name = _take  # type: ignore[method-assign, assignment]
