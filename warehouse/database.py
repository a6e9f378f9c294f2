"""Updates the warehouse's database by numbered migrations, each applied once, and by definitions, applied each time.

A migration (`warehouse/migrations/`) creates or changes tables. A definition (`warehouse/sql/`) creates functions,
grants or comments, with the same result each time. Both run in one transaction.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import psycopg2
from psycopg2 import extensions as pg

from ingestion import ROOT
from warehouse.errors import WarehouseError

MIGRATIONS = ROOT / "warehouse/migrations"
DEFINITIONS = ROOT / "warehouse/sql"
BEFORE_MIGRATIONS = ("settings", "roles", "large_objects")
AFTER_MIGRATIONS = (
    *("locks", "load_audit", "vault", "matching", "subjects", "reidentification", "declassification", "key_secret"),
    *("publication", "scopes", "history", "deliveries", "alerts", "as_at", "read_log", "sizes", "logins", "access"),
    *("schemas", "raw_tables", "readers", "login_settings"),
)
JOURNAL = """
    set local lock_timeout = '5min';
    create schema if not exists governance;
    create table if not exists governance.migrations (
        number integer primary key,
        name text not null,
        sha256 text not null,
        applied_at timestamptz not null default clock_timestamp()
    );
    comment on table governance.migrations is
    'Migrations that this database has, with the checksum of each file. One row per migration.';
    lock table governance.migrations in exclusive mode;
"""


def update_database(connection: pg.connection, settings: Mapping[str, str], folder: Path = MIGRATIONS) -> None:
    """Applies new migrations from `folder`, then every definition, in one transaction with an administrator's login.

    `settings` are what the definitions read: warehouse.systems and warehouse.publish_sets (names, separated by commas),
    warehouse.readers, .row_scopes, .reidentifiers, .accepted_proposals and .login_limits (rows of these governance
    tables, in JSON), warehouse.as_at_columns (name and description of each column of the view `as_at`, in JSON),
    warehouse.administrators (logins), warehouse.apply_access (yes: also revoke grants made by hand)
    and warehouse.password_<login> (a SCRAM verifier). Raises WarehouseError, and changes nothing, where the login lacks
    a right or the database does not fit the migrations.
    """
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(JOURNAL)
            for name, value in settings.items():
                cursor.execute("select set_config(%s, %s, true)", [name, value])
            define(cursor, *BEFORE_MIGRATIONS)
            _migrate(cursor, folder)
            define(cursor, *AFTER_MIGRATIONS)
    except psycopg2.errors.InsufficientPrivilege as error:
        raise WarehouseError(
            f"The login of WAREHOUSE_URL cannot create roles and schemas ({str(error).splitlines()[0]}). "
            "Use the login of an administrator."
        ) from None
    except psycopg2.errors.LockNotAvailable:
        raise WarehouseError(
            "Another session holds a table of the warehouse for more than 5 minutes: another set-up, or a reader. "
            "`select * from pg_stat_activity` shows the sessions. Try again later."
        ) from None


def define(cursor: pg.cursor, *names: str) -> None:
    """Runs definitions of `warehouse/sql`."""
    for name in names:
        cursor.execute((DEFINITIONS / f"{name}.sql").read_text(encoding="utf-8"))


def _migrate(cursor: pg.cursor, folder: Path) -> None:
    """Applies the migrations that the database does not have, in order; their names begin with their number."""
    cursor.execute("select number, sha256 from governance.migrations")
    applied = dict(cursor.fetchall())
    files = {int(file.name.partition("_")[0]): file for file in sorted(folder.glob("*.sql"))}
    if unknown := applied.keys() - files.keys():
        raise WarehouseError(
            f"The database has migration {max(unknown)}, which this release does not know. Use the newer release."
        )
    for number, file in files.items():
        content = file.read_bytes()
        checksum = hashlib.sha256(content).hexdigest()
        if number not in applied:
            cursor.execute(content.decode())
            cursor.execute(
                "insert into governance.migrations (number, name, sha256) values (%s, %s, %s)",
                [number, file.stem, checksum],
            )
        elif applied[number] != checksum:
            raise WarehouseError(
                f"{file.name} changed after the database applied it. Restore the file and write a new migration."
            )
