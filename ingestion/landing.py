"""The landing schema, where dlt brings an extract before anything is committed: its tables, and the way to them."""

from collections.abc import Iterator
from typing import Any

import dlt
import psycopg2
import pyarrow.parquet as pq
from dlt.common.destination import Destination
from dlt.common.schema.typing import TTableSchema
from dlt.common.storages.load_package import ParsedLoadJobFileName
from pgpq import ArrowToPostgresBinaryEncoder
from psycopg2 import extensions as pg
from psycopg2 import sql

from ingestion.contracts import System

COPY_ROWS = 10_000  # encoded at a time
COPY_BYTES = 1 << 16  # sent at a time
ARRIVED = "_arrived"  # beside the landing tables: how many rows of each file are in them

Columns = dict[str, dict[str, str]]  # {table: {column: Postgres type}}


def landed(system: System, table: str) -> sql.Identifier:
    """The table that an extract is brought to."""
    return sql.Identifier(f"{system.name}_landing", table)


def prepare_landing(connection: pg.connection, system: System, tables: Columns) -> None:
    """Makes the landing tables anew, for dlt to fill."""
    tables = tables | {ARRIVED: {"file_id": "text primary key", "table_name": "text", "rows": "bigint"}}
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "select relname from pg_class where relnamespace = to_regnamespace(%s) and relkind = 'r'",
            [f"{system.name}_landing"],
        )
        for (leftover,) in cursor.fetchall():  # an interrupted load's
            cursor.execute(sql.SQL("drop table {}").format(landed(system, leftover)))
        for name, kinds in tables.items():
            columns = [sql.SQL("{} " + kind).format(sql.Identifier(column)) for column, kind in kinds.items()]
            create = sql.SQL("create table {} ({})")
            cursor.execute(create.format(landed(system, name), sql.SQL(", ").join(columns)))


def landing(system: System, url: str, tables: Columns) -> Destination[Any, Any]:
    """Where dlt loads to: a binary COPY of each Parquet file of these tables into its own, whole or not at all, once.

    `tables` may be filled as late as the load. dlt's own Postgres destination goes by ADBC, whose wheels are built
    without optimisation: three times the processor time for each row (docs/decisions.md).
    """

    @dlt.destination(loader_file_format="parquet", batch_size=0, name="landing")
    def copy(path: Any, table: TTableSchema, /) -> None:  # a text, with batch_size=0
        if table["name"] not in tables:
            return
        with pq.ParquetFile(path, pre_buffer=False) as file:
            encoder = ArrowToPostgresBinaryEncoder(file.schema_arrow)

            def encoded() -> Iterator[bytes]:
                yield encoder.write_header()
                yield from map(encoder.write_batch, file.iter_batches(COPY_ROWS, use_threads=False))
                yield encoder.finish()

            query = sql.SQL("copy {} ({}) from stdin with (format binary)").format(
                landed(system, table["name"]),
                sql.SQL(", ").join(map(sql.Identifier, file.schema_arrow.names)),
            )
            arrived = sql.SQL("insert into {} values (%s, %s, %s)").format(landed(system, ARRIVED))
            file_id = ParsedLoadJobFileName.parse(path).file_id  # the same when dlt tries again
            connection = psycopg2.connect(url)
            try:
                with connection, connection.cursor() as cursor:
                    stream = _Stream(filter(None, encoded()))  # it may hold rows back
                    cursor.copy_expert(query, stream, COPY_BYTES)  # type: ignore[arg-type]  # no readline is called
                    cursor.execute(arrived, [file_id, table["name"], cursor.rowcount])
            finally:
                connection.close()

    return copy()


class _Stream:
    """What is made piece by piece, none of them empty, read like a file."""

    def __init__(self, pieces: Iterator[bytes]):
        self.pieces, self.left = pieces, memoryview(b"")

    def read(self, size: int) -> bytes:
        """The next bytes, at most as many; none at the end."""
        if not self.left:
            self.left = memoryview(next(self.pieces, b""))
        taken, self.left = self.left[:size], self.left[size:]
        return taken.tobytes()
