"""The vault: its key, key rotation and re-identification."""

from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg2
import pyarrow as pa
from psycopg2 import extensions as pg
from psycopg2 import sql
from psycopg2.extras import Json, execute_values

from ingestion.contracts import System, Table
from ingestion.identities import destroy_identities, store_identities
from ingestion.postgres import take_lock, value_of
from ingestion.privacy import Keys, Pseudonymiser, normalise, parse_identity
from ingestion.raw_table import store_exists, store_table
from warehouse.errors import VaultError

CHUNK = 5_000  # records decrypted at a time
SUBJECT_COLUMNS = [  # tokens of people in the tables of matching
    ("matching.person_records", "subject"),
    *((f"matching.{table}", column) for table in ("pairs", "decisions") for column in ("subject", "other_subject")),
]


def adopt_key(connection: pg.connection) -> bool:
    """Creates the first vault key, or adopts the key in the key file. Returns False where the database has a key.

    The secret of surrogate keys follows from the first key: a warehouse that is built again from the same sources with
    this key has the same surrogate keys.
    """
    with connection, connection.cursor() as cursor:
        cursor.execute("select exists (select from governance.vault_keys)")
        if value_of(cursor):
            return False
        if not Keys.file().exists():
            Keys.write({1: Keys.generate(1)})
        keys = Keys.read_all()
        current = keys[max(keys)]
        _record_key(cursor, current)
        unpublished = "where not exists (select from governance.publications)"
        cursor.execute(f"update governance.key_secret set secret = %s {unpublished}", [current.surrogate_key_secret()])
        return True


def rotate_key(connection: pg.connection, systems: Iterable[System]) -> dict[str, int]:
    """Replaces the vault key: every token and every encrypted value, in one transaction.

    `connection` is an administrator's. Returns {raw table: its rows}. The old key leaves the key file once the database
    has the new key. Raises VaultError, and changes nothing, where a raw table has a token that the vault does not know.
    """
    tables = {table.label: table for system in systems for table in system.tables if table.identifiers}
    with connection, connection.cursor() as cursor, TemporaryDirectory() as folder:
        take_lock(cursor, "raw_tables", is_exclusive=True)  # no load commits at the same time
        old = Keys.current(cursor)
        new = Keys.generate(old.version + 1)
        Keys.write(Keys.read_all() | {new.version: new})  # before the database needs it
        cursor.execute("create temporary table rekeyed (old text primary key, new text not null) on commit drop")
        for table in tables.values():
            _encrypt_again(connection, cursor, table, old, new, Path(folder))
        cursor.execute("analyze rekeyed")
        counts = {label: _replace_tokens(cursor, table) for label, table in tables.items()}
        _encrypt_quarantine_again(cursor, tables, old, new)
        _replace_tokens_of_requests(cursor)
        _record_key(cursor, new)
    Keys.write({new.version: new})
    return counts


def _record_key(cursor: pg.cursor, keys: Keys) -> None:
    place = [keys.version, keys.fingerprint]
    cursor.execute("insert into governance.vault_keys (version, fingerprint) values (%s, %s)", place)


def reidentify(
    connection: pg.connection, token: str, reason: str, case_reference: str
) -> Iterator[tuple[str, dict[str, str]]]:
    """(raw table, identifiers in clear) of each record with the token. Raises VaultError for a refusal.

    The request is committed first; the answer is a second transaction.
    """
    with closing(connection), connection.cursor() as cursor:
        request = "select request_id, refusal from governance.request_reidentification(%s, %s, %s)"
        try:
            with connection:
                cursor.execute(request, [token, reason, case_reference])
                ((request_id, refusal),) = cursor.fetchall()
        except psycopg2.errors.InsufficientPrivilege:
            raise VaultError("This login is not in `reidentification` of access.yml.") from None
        if refusal:
            raise VaultError(refusal)
        with connection:
            cursor.execute("select * from governance.reidentify(%s)", [request_id])
            records = cursor.fetchall()
    if records and records[0][0]:
        raise VaultError(records[0][0])
    if not records:
        raise VaultError("No record has this token.")
    version = int(token.partition("_")[0].removeprefix("k"))
    keys = Keys.read_all()[version]  # the file may have a later key, which made no token
    for _, system, table, salt, encrypted in records:
        yield f"{system}.{table}", parse_identity(keys.decrypt(bytes(salt), bytes(encrypted)))


def decrypted_identities(
    connection: pg.connection, table: Table, keys: Keys, where: str = "true", values: Iterable[object] = ()
) -> Iterator[pa.Table]:
    """Identifiers in clear (texts) of a raw table's identity records, in chunks."""
    names = [column.name for column in table.identifiers]
    with connection.cursor(f"identities of {table.label}") as cursor:
        cursor.itersize = CHUNK
        cursor.execute(
            "select salt, encrypted from vault.identities inner join vault.data_keys using (record_id) "
            f"where system = %s and table_name = %s and {where}",
            [table.system.name, table.name, *values],
        )
        while rows := cursor.fetchmany(CHUNK):
            clear = [parse_identity(keys.decrypt(bytes(salt), bytes(encrypted))) for salt, encrypted in rows]
            yield pa.table({name: pa.array([row.get(name) for row in clear], pa.string()) for name in names})


def _encrypt_again(
    connection: pg.connection, cursor: pg.cursor, table: Table, old: Keys, new: Keys, folder: Path
) -> None:
    """Encrypts a table's identity records with the new key, and adds their old and new tokens to `rekeyed`."""
    pseudonymiser = Pseudonymiser(table, new, folder)
    for clear in decrypted_identities(connection, table, old):
        after, pairs = pseudonymiser(clear), set()
        forms, _ = normalise(table, {name: clear[name] for name in clear.column_names})
        for column in table.identifiers:
            for form, name in column.tokens.items():
                before = old.tokens_of_normalised(column, table, forms[column.name][form]).to_pylist()
                pairs |= set(zip(before, after[name].to_pylist(), strict=True)) - {(None, None)}
        execute_values(cursor, "insert into rekeyed values %s on conflict do nothing", list(pairs), page_size=CHUNK)
    destroy_identities(cursor, sql.SQL("system = %s and table_name = %s"), [table.system.name, table.name])
    store_identities(cursor, table, pseudonymiser.file, f"vault key {new.version}")


def _replace_tokens(cursor: pg.cursor, table: Table) -> int:
    """Replaces the tokens in a raw table; returns its rows."""
    if not store_exists(cursor, table):
        return 0
    store = store_table(table)
    names = [sql.Identifier(name) for column in table.identifiers for name in column.tokens.values()]
    unknown = "(s.{0} is not null and not exists (select from rekeyed where old = s.{0}))"
    cursor.execute(
        sql.SQL("select count(*) from {} as s where ").format(store)
        + sql.SQL(" or ").join(sql.SQL(unknown).format(name) for name in names)
    )
    if rows := value_of(cursor):
        raise VaultError(
            f"{table.label}: {rows:,} rows have a token that the vault does not know. The key is not rotated."
        )
    changes = sql.SQL(", ").join(
        sql.SQL("{0} = (select new from rekeyed where old = s.{0})").format(name) for name in names
    )
    cursor.execute(sql.SQL("update {} as s set ").format(store) + changes)
    return cursor.rowcount


def _encrypt_quarantine_again(cursor: pg.cursor, tables: dict[str, Table], old: Keys, new: Keys) -> None:
    cursor.execute(
        "update quarantine.rows as r set key = (select string_agg(coalesce(n.new, p.part), '|' order by p.place) "
        "from unnest(string_to_array(r.key, '|')) with ordinality as p (part, place) "
        "left join rekeyed as n on p.part = n.old) where system || '.' || table_name = any(%s) and key is not null",
        [list(tables)],
    )
    for row_id, content in encrypted_rejected_rows(cursor, tables):
        encrypted = new.encrypt_content(old.decrypt_content(content))
        cursor.execute("update quarantine.rows set content = %s where row_id = %s", [Json(encrypted), row_id])


def _replace_tokens_of_requests(cursor: pg.cursor) -> None:
    """Replaces tokens in matching, legal holds and audits; an erasure also keeps the old ones, for old backups."""
    cursor.execute("select count(*) from governance.legal_holds where released_at is null and subject like 'r\\_%'")
    if holds := value_of(cursor):
        raise VaultError(f"{holds} legal holds are on records without a token of the person. The key is not rotated.")
    columns = [("governance.legal_holds", "subject"), ("governance.reidentifications", "token"), *SUBJECT_COLUMNS]
    for relation, column in columns:
        cursor.execute(f"update {relation} as l set {column} = r.new from rekeyed as r where l.{column} = r.old")
    cursor.execute(
        "update governance.erasures as e set tokens = e.tokens || r.new from (select o.erasure_id, array_agg(k.new) "
        "as new from governance.erasures as o inner join rekeyed as k on k.old = any(o.tokens) group by 1) as r "
        "where e.erasure_id = r.erasure_id"
    )


def encrypted_rejected_rows(cursor: pg.cursor, tables: Iterable[str]) -> list[tuple[int, dict[str, Any]]]:
    """(row_id, content) of every encrypted row in quarantine of the raw tables."""
    cursor.execute(
        "select row_id, content from quarantine.rows where system || '.' || table_name = any(%s) "
        "and content::jsonb ? '_encrypted'",
        [list(tables)],
    )
    return cursor.fetchall()
