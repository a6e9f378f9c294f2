"""Reads relational databases by SQLAlchemy URL: SQL Server, Oracle, MariaDB and Postgres alike."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pyarrow as pa
import sqlalchemy as sa
from dlt.extract import DltResource
from dlt.sources.sql_database import sql_table

from ingestion.contracts import Table
from ingestion.tables import conform

CHUNK_ROWS = 50_000


def database_resource(table: Table, location: str, since: datetime | None) -> DltResource:
    """The table's declared columns, in chunks; with `since`, only rows whose cursor is at or after it, or is not set.

    Columns that the contract does not declare are never read.
    """
    names = {column.header or column.name: column.name for column in table.columns}
    cursor = next((header for header, name in names.items() if name == table.cursor), None)

    def changed(query: sa.Select, source: sa.Table, *_: object) -> sa.Select:
        if since is None:
            return query
        column, moment = source.c[cursor], since
        if not getattr(column.type, "timezone", False):  # the source's own clock
            moment = since.astimezone(ZoneInfo(table.system.time_zone)).replace(tzinfo=None)
        return query.where((column >= moment) | column.is_(None))

    def to_contract(batch: pa.Table) -> pa.Table:
        return conform(table, batch.rename_columns([names[name] for name in batch.column_names]), table.system.name)

    return sql_table(
        location,
        table.name,
        table.system.source_schema,
        chunk_size=CHUNK_ROWS,
        backend="pyarrow",
        included_columns=list(names),
        query_adapter_callback=changed,
        defer_table_reflect=True,
    ).add_map(to_contract)
