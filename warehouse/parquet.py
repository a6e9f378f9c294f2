"""Writes the tables of a publication as Parquet files, with a manifest of their versions and hashes.

`<folder>/<build>/<table>.parquet` and `<folder>/manifest.json`, which names the files of the last publication.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import adbc_driver_postgresql.dbapi as adbc
import pyarrow as pa
import pyarrow.parquet as pq
from psycopg2 import extensions as pg
from psycopg2 import sql

from ingestion.casting import arrow_type
from ingestion.columns import NUMERIC
from ingestion.files import fingerprint
from ingestion.postgres import names_in
from warehouse.environment import dbt_connection, dbt_url
from warehouse.errors import WarehouseError

ATTEMPTS, MANIFEST = 3, "manifest.json"
BUILD = """
    select s.build_id, s.schema_name, b.invocation_id, b.loads, (
        select max(p.decided_at) from governance.publications as p
        where p.publish_set = b.publish_set and p.action <> 'refuse'
    ) as published_at
    from governance.reader_schemas() as s inner join governance.builds as b using (build_id)
    where s.schema_name = %s
"""
COLUMNS = """
    select c.relname, a.attname, format_type(a.atttypid, a.atttypmod), col_description(c.oid, a.attnum)
    from pg_class as c inner join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    where c.relnamespace = to_regnamespace(quote_ident(%s)) and c.relkind in ('r', 'v') order by c.relname, a.attnum
"""
KEPT = """
    select b.build_id::text from governance.reader_schemas() as s inner join governance.builds as b using (build_id)
    where b.is_kept and s.schema_name ~ ('^' || %s || '(__b[0-9]+)?$')
"""

Columns = dict[str, tuple[str, str | None]]  # {column: (Postgres type, description)}


def write_parquet(schema: str, folder: Path) -> dict[str, Any]:
    """Write the published tables of a set or of a row scope (`schema`), and return the manifest.

    The manifest changes last, in one step. Files of earlier publications stay while the warehouse keeps these. Raises
    WarehouseError.
    """
    folder.mkdir(mode=0o750, exist_ok=True)
    folder.chmod(0o2750)
    with closing(dbt_connection()) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        for _ in range(ATTEMPTS):
            build = _build(cursor, schema)
            draft = folder / f".{build['build_id']}"
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir()
            draft.chmod(0o2750)
            try:
                tables = [_write(schema, *table, draft, cursor) for table in _tables(cursor, schema).items()]
                if _build(cursor, schema) == build:  # every table is of one publication
                    return _finish(cursor, schema, folder, draft, build | {"tables": tables})
            finally:
                shutil.rmtree(draft, ignore_errors=True)
    raise WarehouseError(f"{schema} was published again while its Parquet files were written. Write them again.")


def copy_files(folder: Path) -> None:
    """Copy the Parquet files of a set or row scope to the folder of the variable PARQUET_URL, if it is set.

    Files that `folder` does not have are deleted there. Raises WarehouseError.
    """
    if url := os.environ.get("PARQUET_URL"):
        from warehouse.feeds.transfer import TransferError, mirror  # the libraries of the protocols take a second

        renewed: list[str] = []
        if (
            manifest := folder / MANIFEST
        ).exists():  # written again, a table of the same build may have another content
            tables = json.loads(manifest.read_text(encoding="utf-8"))["tables"]
            renewed = [*(table["file"] for table in tables), MANIFEST]
        try:
            mirror(folder, url, folder.parent.name, renewed)
        except TransferError as error:
            raise WarehouseError(
                f"The Parquet files of {folder.parent.name} were not copied (PARQUET_URL): {error}."
            ) from None


def delete_files() -> None:
    """Delete the Parquet files of every set, and the copies, after an erasure; the next publication writes them again.

    Raises WarehouseError if a copy cannot be deleted.
    """
    for folder in Path(os.environ["OUTBOX"]).glob("*/parquet"):
        for path in folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        copy_files(folder)


def _build(cursor: pg.cursor, schema: str) -> dict[str, Any]:
    cursor.execute(BUILD, [schema])
    if not (row := cursor.fetchone()):
        raise WarehouseError(f"{schema} is not published. Run `warehouse build`.")
    return dict(zip(names_in(cursor), row, strict=True))


def _tables(cursor: pg.cursor, schema: str) -> dict[str, Columns]:
    cursor.execute(COLUMNS, [schema])
    found: dict[str, Columns] = {}
    for table, column, kind, description in cursor.fetchall():
        found.setdefault(table, {})[column] = kind, description
    return found


def _write(schema: str, table: str, columns: Columns, folder: Path, cursor: pg.cursor) -> dict[str, Any]:
    """Write a table, and return its entry in the manifest."""
    file, rows = folder / f"{table}.parquet", 0
    query = _query(schema, table, columns).as_string(cursor)
    with adbc.connect(dbt_url()) as connection, connection.cursor() as reader:
        reader.execute(query)
        batches = reader.fetch_record_batch()
        types = [
            (name, arrow_type(kind) if NUMERIC.fullmatch(kind) else batches.schema.field(name).type)
            for name, (kind, _) in columns.items()
        ]
        with pq.ParquetWriter(file, pa.schema(types), compression="zstd") as writer:
            for batch in _cast(batches, types):
                writer.write_table(batch)
                rows += len(batch)
    file.chmod(0o640)
    described = [{"name": name, "type": kind, "description": text} for name, (kind, text) in columns.items()]
    return {"table": table, "file": file.name, "rows": rows, "sha256": fingerprint(file), "columns": described}


def _query(schema: str, table: str, columns: Columns) -> sql.Composed:
    """ADBC reads a number as a text, so that none of its digits is lost; Arrow makes it a decimal again."""
    chosen = sql.SQL(", ").join(
        sql.SQL("{0}::text as {0}" if kind.startswith("numeric") else "{0}").format(sql.Identifier(name))
        for name, (kind, _) in columns.items()
    )
    return sql.SQL("select {} from {}").format(chosen, sql.Identifier(schema, table))


def _cast(batches: pa.RecordBatchReader, types: list[tuple[str, pa.DataType]]) -> Iterator[pa.Table]:
    schema = pa.schema(types)
    for batch in batches:
        yield pa.Table.from_batches([batch]).cast(schema)


def _finish(cursor: pg.cursor, schema: str, folder: Path, draft: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    """Give the files their place, replace the manifest, and delete the files of builds that are not kept."""
    number = str(manifest["build_id"])
    for table in manifest["tables"]:
        table["file"] = f"{number}/{table['file']}"
    final = folder / number
    if final.exists():  # published again by a roll back: its tables are the same
        shutil.rmtree(final)
    draft.rename(final)
    new = folder / f"{MANIFEST}.new"
    new.write_text(json.dumps(manifest, default=str, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    new.chmod(0o640)
    new.replace(folder / MANIFEST)
    cursor.execute(KEPT, [schema])
    kept = {number, *(build for (build,) in cursor.fetchall())}
    for old in folder.iterdir():
        if old.is_dir() and old.name not in kept:
            shutil.rmtree(old)
    return manifest
