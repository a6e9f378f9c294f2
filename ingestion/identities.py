"""The identity records of the vault: load them, know them again, destroy them."""

from collections.abc import Iterable
from pathlib import Path

from psycopg2 import extensions as pg
from psycopg2 import sql

from ingestion.contracts import Table
from ingestion.postgres import value_of
from ingestion.privacy import RECORD_COLUMNS


def store_identities(cursor: pg.cursor, table: Table, file: Path, load_id: str) -> None:
    """Load the identity records in `file` into the vault, except those that the vault has."""
    cursor.execute(f"create temporary table landed_identities ({RECORD_COLUMNS})")
    if file.exists():
        with file.open("rb") as lines:
            cursor.copy_expert("copy landed_identities from stdin", lines)
    cursor.execute(
        "with one as materialized (select distinct on (record_id) * from landed_identities), new as ("
        "insert into vault.identities (system, table_name, record_id, subject, tokens, encrypted, load_id) "
        "select %s, %s, record_id, subject, tokens, encrypted, %s from one on conflict do nothing returning record_id) "
        "insert into vault.data_keys (record_id, salt) "
        "select record_id, salt from one inner join new using (record_id)",
        [table.system.name, table.name, load_id],
    )
    cursor.execute("drop table landed_identities")


def known_identities(cursor: pg.cursor, table: Table) -> bytes:
    """The ids of the table's identity records in the vault, concatenated in order."""
    cursor.execute(
        "select string_agg(record_id, ''::bytea order by record_id) from vault.identities "
        "where system = %s and table_name = %s",
        [table.system.name, table.name],
    )
    return bytes(value_of(cursor) or b"")


def destroy_identities(cursor: pg.cursor, which: sql.Composable, values: Iterable[object]) -> None:
    """Delete identity records (`i`) and their salts; without the salts no copy can be decrypted."""
    query = sql.SQL(
        "with deleted as (delete from vault.identities as i where {} returning record_id) "
        "delete from vault.data_keys where record_id in (select record_id from deleted)"
    )
    cursor.execute(query.format(which), list(values))
