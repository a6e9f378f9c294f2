"""For machines without systems of their own: an embedded Postgres and a demo county. Not for production."""
