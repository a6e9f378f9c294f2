"""dbt plugin: what was parsed for one server is not parsed again for another.

dbt parses the whole project again if host, port or TLS settings have changed. No model reads them, and the embedded
server may get another port when it starts. The name of the database still counts: relations are named by it.
"""

from dbt.adapters.postgres.connections import PostgresCredentials

_keys = PostgresCredentials._connection_keys
_OF_SERVER = ("host", "port", "sslmode", "sslcert", "sslkey", "sslrootcert")


def _without_server(credentials: PostgresCredentials) -> tuple[str, ...]:
    return tuple(key for key in _keys(credentials) if key not in _OF_SERVER)  # type: ignore[no-untyped-call]


PostgresCredentials._connection_keys = _without_server  # type: ignore[method-assign]
