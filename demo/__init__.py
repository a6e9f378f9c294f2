"""Only for a machine without systems of its own: an embedded Postgres, an invented county. Not for production."""
