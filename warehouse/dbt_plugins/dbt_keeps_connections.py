"""dbt plugin: each thread keeps its connection from one node to the next.

dbt connects again for every node. Most nodes are small tests, and connecting takes about as long as such a test. Each
node still finds its session as new: without an open transaction, settings, temporary tables or advisory locks.
"""

from dbt.adapters.base.connections import BaseConnectionManager
from dbt.adapters.contracts.connection import ConnectionState
from dbt.adapters.postgres.connections import PostgresConnectionManager

_close = BaseConnectionManager.release


def _keep(manager: PostgresConnectionManager) -> None:
    connection = manager.get_if_exists()
    if connection is None or connection.state != ConnectionState.OPEN or connection.credentials.role:
        _close(manager)
        return
    try:
        session = connection.handle
        session.rollback()
        connection.transaction_open = False
        session.autocommit = True
        with session.cursor() as cursor:
            cursor.execute("discard all")
        session.autocommit = bool(connection.credentials.autocommit)
    except Exception:  # the connection is lost
        _close(manager)


PostgresConnectionManager.release = _keep  # type: ignore[method-assign, assignment]
