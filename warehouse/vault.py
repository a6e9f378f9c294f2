"""The vault: its key, and who a token stands for. Everything here is done by a person, and written down."""

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

from ingestion.commit import destroy_identities, store_exists, store_identities, store_table
from ingestion.contracts import System, Table
from ingestion.pipeline import BUILD_LOCK
from ingestion.postgres import value_of
from ingestion.privacy import Keys, Pseudonymiser, normalise, parse_identity
from warehouse.environment import WarehouseError

CHUNK = 5_000  # records that are opened at a time
MATCHED = [  # where matching holds tokens of people
    ("matching.person_records", "subject"),
    *((f"matching.{table}", column) for table in ("pairs", "decisions") for column in ("one", "other")),
]


class VaultError(WarehouseError):
    """What cannot be done with the vault, in words for the person who asked."""


def adopt_key(connection: pg.connection) -> bool:
    """Makes the warehouse's first vault key, or takes the one in the key file; False where the database has one."""
    with connection, connection.cursor() as cursor:
        cursor.execute("select exists (select from governance.keys)")
        if value_of(cursor):
            return False
        if not Keys.file().exists():
            Keys.write({1: Keys.generate(1)})
        held = Keys.read_all()
        _use(cursor, held[max(held)])
        return True


def rotate_key(connection: pg.connection, systems: Iterable[System]) -> dict[str, int]:
    """Puts a new key in the place of the old: every token and every sealed value, in one transaction.

    `connection` is an administrator's. Returns {raw table: its rows}. The old key leaves the key file when the database
    has the new one. Raises VaultError, and changes nothing, where a raw table has a token that the vault does not know.
    """
    tables = {table.label: table for system in systems for table in system.tables if table.identifiers}
    with connection, connection.cursor() as cursor, TemporaryDirectory() as folder:
        cursor.execute("select pg_advisory_xact_lock(hashtext(%s))", [BUILD_LOCK])  # no load commits meanwhile
        old = Keys.current(cursor)
        new = Keys.generate(old.version + 1)
        Keys.write(Keys.read_all() | {new.version: new})  # before the database needs it
        cursor.execute("create temporary table rekeyed (old text primary key, new text not null) on commit drop")
        for table in tables.values():
            _reseal(connection, cursor, table, old, new, Path(folder))
        cursor.execute("analyze rekeyed")
        counts = {label: _rekey(cursor, table) for label, table in tables.items()}
        _reseal_quarantine(cursor, tables, old, new)
        _rekey_ledgers(cursor)
        _use(cursor, new)
    Keys.write({new.version: new})
    return counts


def _use(cursor: pg.cursor, keys: Keys) -> None:
    place = [keys.version, keys.fingerprint]
    cursor.execute("insert into governance.keys (version, fingerprint) values (%s, %s)", place)


def reidentify(
    connection: pg.connection, token: str, reason: str, case_reference: str
) -> Iterator[tuple[str, dict[str, str]]]:
    """(raw table, clear identifiers) of each record with the token, asked with a login that may; raises VaultError."""
    with closing(connection), connection, connection.cursor() as cursor:
        try:
            cursor.execute("select * from governance.reidentify(%s, %s, %s)", [token, reason, case_reference])
        except psycopg2.errors.InsufficientPrivilege:
            raise VaultError("access.yml does not name this login for re-identification") from None
        records = cursor.fetchall()
    if records and records[0][0]:
        raise VaultError(records[0][0])
    if not records:
        raise VaultError("no record has this token")
    version = int(token.partition("_")[0].removeprefix("k"))
    keys = Keys.read_all()[version]  # the file may have one that no token was made with
    for _, system, table, salt, sealed in records:
        yield f"{system}.{table}", parse_identity(keys.decrypt(bytes(salt), bytes(sealed)))


def opened(
    connection: pg.connection, table: Table, keys: Keys, where: str = "true", values: Iterable[object] = ()
) -> Iterator[pa.Table]:
    """The clear identifiers (texts) of a raw table's identity records, some thousands at a time."""
    names = [column.name for column in table.identifiers]
    with connection.cursor(f"opened {table.label}") as cursor:
        cursor.itersize = CHUNK
        cursor.execute(
            "select salt, sealed from vault.identities inner join vault.data_keys using (record) "
            f"where system = %s and table_name = %s and {where}",
            [table.system.name, table.name, *values],
        )
        while rows := cursor.fetchmany(CHUNK):
            clear = [parse_identity(keys.decrypt(bytes(salt), bytes(sealed))) for salt, sealed in rows]
            yield pa.table({name: pa.array([row.get(name) for row in clear], pa.string()) for name in names})


def _reseal(connection: pg.connection, cursor: pg.cursor, table: Table, old: Keys, new: Keys, folder: Path) -> None:
    """Seals a table's identity records anew, and puts their tokens, old and new, in `rekeyed`."""
    splitter = Pseudonymiser(table, new, folder)
    for clear in opened(connection, table, old):
        after, pairs = splitter(clear), set()
        spelt, _ = normalise(table, {name: clear[name] for name in clear.column_names})
        for column in table.identifiers:
            for spelling, name in column.tokens.items():
                before = old.tokens_of_normalised(column, table, spelt[column.name][spelling]).to_pylist()
                pairs |= set(zip(before, after[name].to_pylist(), strict=True)) - {(None, None)}
        execute_values(cursor, "insert into rekeyed values %s on conflict do nothing", list(pairs), page_size=CHUNK)
    destroy_identities(cursor, sql.SQL("system = %s and table_name = %s"), [table.system.name, table.name])
    store_identities(cursor, table, splitter.file, f"vault key {new.version}")


def _rekey(cursor: pg.cursor, table: Table) -> int:
    """Puts new tokens in the place of old ones in a raw table."""
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
        raise VaultError(f"{table.label}: {rows:,} rows have a token that the vault does not know; nothing was changed")
    changes = sql.SQL(", ").join(
        sql.SQL("{0} = (select new from rekeyed where old = s.{0})").format(name) for name in names
    )
    cursor.execute(sql.SQL("update {} as s set ").format(store) + changes)
    return cursor.rowcount


def _reseal_quarantine(cursor: pg.cursor, tables: dict[str, Table], old: Keys, new: Keys) -> None:
    cursor.execute(
        "update quarantine.rows as r set key = (select string_agg(coalesce(n.new, p.part), '|' order by p.place) "
        "from unnest(string_to_array(r.key, '|')) with ordinality as p (part, place) "
        "left join rekeyed as n on p.part = n.old) where system || '.' || table_name = any(%s) and key is not null",
        [list(tables)],
    )
    for row_id, content in sealed_rejects(cursor, tables):
        resealed = new.encrypt_content(old.decrypt_content(content))
        cursor.execute("update quarantine.rows set content = %s where row_id = %s", [Json(resealed), row_id])


def _rekey_ledgers(cursor: pg.cursor) -> None:
    """Puts new tokens into what is written down about people; an erasure keeps the old beside them, for old backups."""
    cursor.execute("select count(*) from governance.legal_holds where released_at is null and subject like 'r\\_%'")
    if holds := value_of(cursor):
        raise VaultError(f"{holds} legal holds are on records that lack their person's token; nothing was changed")
    ledgers = [("governance.legal_holds", "subject"), ("governance.reidentifications", "token"), *MATCHED]
    for ledger, column in ledgers:
        cursor.execute(f"update {ledger} as l set {column} = r.new from rekeyed as r where l.{column} = r.old")
    cursor.execute(
        "update governance.erasures as e set tokens = e.tokens || r.new from (select o.erasure_id, array_agg(k.new) "
        "as new from governance.erasures as o inner join rekeyed as k on k.old = any(o.tokens) group by 1) as r "
        "where e.erasure_id = r.erasure_id"
    )


def sealed_rejects(cursor: pg.cursor, tables: Iterable[str]) -> list[tuple[int, dict[str, Any]]]:
    """(row_id, content) of every sealed row in quarantine of the raw tables."""
    cursor.execute(
        "select row_id, content from quarantine.rows where system || '.' || table_name = any(%s) "
        "and content::jsonb ? '_sealed'",
        [list(tables)],
    )
    return cursor.fetchall()
