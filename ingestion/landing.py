"""The landing schema, into which dlt loads an extract before it is committed: its tables and dlt's destination."""

import json
from collections.abc import Iterator
from typing import Any

import dlt
import psycopg2
import pyarrow as pa
import pyarrow.parquet as pq
from dlt.common.destination import Destination
from dlt.common.schema.typing import TTableSchema
from pgpq import ArrowToPostgresBinaryEncoder
from pgpq.encoders import StringEncoderBuilder
from pgpq.schema import Jsonb
from psycopg2 import extensions as pg
from psycopg2 import sql

from ingestion.contracts import System
from ingestion.internals import id_of_load_job

COPY_ROWS = 10_000  # encoded at a time
COPY_BYTES = 1 << 16  # sent at a time
ROW_COUNTS = "_row_counts"  # landing table with the number of rows loaded from each file

TableColumns = dict[str, dict[str, str]]  # {table: {column: Postgres type}}


def landing_table(system: System, table: str) -> sql.Identifier:
    """The landing table of a raw table."""
    return sql.Identifier(f"{system.name}_landing", table)


def create_landing_tables(connection: pg.connection, system: System, tables: TableColumns) -> None:
    """Drop the system's landing tables and create them empty (warehouse/sql/raw_tables.sql)."""
    tables = tables | {ROW_COUNTS: {"file_id": "text", "table_name": "text", "rows": "bigint"}}
    with connection, connection.cursor() as cursor:
        cursor.execute("select governance.create_landing_tables(%s, %s)", [system.name, json.dumps(tables)])
        cursor.execute(
            "select governance.index_raw_table(%s, '_landing', %s, %s)", [system.name, ROW_COUNTS, ["file_id"]]
        )


def postgres_copy(system: System, url: str, tables: TableColumns) -> Destination[Any, Any]:
    """A dlt destination that loads each Parquet file by one binary COPY, in one transaction, into its landing table.

    `tables` may be filled until the load starts. dlt's Postgres destination uses ADBC, whose wheels are built without
    optimisation and take three times the CPU time per row (decision record 25).
    """

    # names come from the contract, so dlt keeps them (`direct`)
    @dlt.destination(loader_file_format="parquet", batch_size=0, name="landing", naming_convention="direct")
    def copy(path: Any, table: TTableSchema, /) -> None:  # `path` is a text with batch_size=0
        if table["name"] not in tables:
            return
        with pq.ParquetFile(path, pre_buffer=False) as file:
            encoder = _encoder(file.schema_arrow, tables[table["name"]])

            def encoded() -> Iterator[bytes]:
                yield encoder.write_header()
                yield from map(encoder.write_batch, file.iter_batches(COPY_ROWS, use_threads=False))
                yield encoder.finish()

            query = sql.SQL("copy {} ({}) from stdin with (format binary)").format(
                landing_table(system, table["name"]),
                sql.SQL(", ").join(map(sql.Identifier, file.schema_arrow.names)),
            )
            count_rows = sql.SQL("insert into {} values (%s, %s, %s)").format(landing_table(system, ROW_COUNTS))
            file_id = id_of_load_job(path)
            connection = psycopg2.connect(url)
            try:
                with connection, connection.cursor() as cursor:
                    stream = _Stream(filter(None, encoded()))  # the encoder may buffer rows and yield nothing
                    cursor.copy_expert(query, stream, COPY_BYTES)  # type: ignore[arg-type]  # no readline is called
                    cursor.execute(count_rows, [file_id, table["name"], cursor.rowcount])
            finally:
                connection.close()

    return copy()


def _encoder(schema: pa.Schema, types: dict[str, str]) -> ArrowToPostgresBinaryEncoder:
    """The encoder of the rows as Postgres' binary COPY; a jsonb has a form of its own, which pgpq cannot infer."""
    encoders: dict[str, Any] = {
        field.name: StringEncoderBuilder.new_with_output(field, Jsonb())
        if types[field.name] == "jsonb"
        else ArrowToPostgresBinaryEncoder.infer_encoder(field)
        for field in schema
    }
    return ArrowToPostgresBinaryEncoder.new_with_encoders(schema, encoders)


class _Stream:
    """A readable stream of byte chunks, none of them empty."""

    def __init__(self, chunks: Iterator[bytes]):
        self.chunks, self.left = chunks, memoryview(b"")

    def read(self, size: int) -> bytes:
        """The next bytes, at most `size`; empty at the end."""
        if not self.left:
            self.left = memoryview(next(self.chunks, b""))
        taken, self.left = self.left[:size], self.left[size:]
        return taken.tobytes()
