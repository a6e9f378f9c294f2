"""What the law gives a person over their data (find, export, erase, hold), and retention: found from the contracts.

Each is one transaction. `erase_again` and `retain` run with the loader's login, the others with an administrator's.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import pyarrow as pa
from psycopg2 import extensions as pg
from psycopg2 import sql
from psycopg2.extras import RealDictCursor

from ingestion.commit import (
    LoadResult,
    destroy_identities,
    last_load_results,
    record_load_result,
    store_exists,
    store_table,
)
from ingestion.contracts import System, Table
from ingestion.pipeline import BUILD_LOCK
from ingestion.postgres import value_of
from ingestion.privacy import UNIQUE_KINDS, Keys
from warehouse.vault import MATCHED, VaultError, opened, sealed_rejects

NO_COPY = ("pg_catalog", "information_schema", "governance", "vault", "quarantine")  # schemas searched by other means


class Register:
    """The raw tables that are about people, and where a person's rows are in them."""

    def __init__(self, connection: pg.connection, systems: Iterable[System]):
        self.connection = connection
        self.systems = list(systems)
        self.tables = [table for system in self.systems for table in system.tables if table.subject]

    @cached_property
    def keys(self) -> Keys:
        with self.connection.cursor() as cursor:
            return Keys.current(cursor)

    def find(self, given: dict[str, str], matched: bool = False) -> set[str]:
        """The tokens that stand for whoever has all the `given` identifiers ({kind: value}) in one record.

        From there every record is followed that shares an identifier which nobody else has, and with `matched` every
        one that matching takes for the same person's. Raises VaultError where no table has all the kinds.
        """
        found, tried = set(), 0
        with self.connection.cursor() as cursor:
            for table in self.tables:
                columns = {column.kind: column for column in table.identifiers}
                if not given.keys() <= columns.keys():
                    continue
                tried += 1
                texts = {kind: pa.chunked_array([[value]], pa.string()) for kind, value in given.items()}
                tokens = [self.keys.tokens(columns[kind], table, text)[0].as_py() for kind, text in texts.items()]
                cursor.execute(
                    "select distinct subject from vault.identities "
                    "where system = %s and table_name = %s and tokens @> %s",
                    [table.system.name, table.name, tokens],
                )
                found |= {row[0] for row in cursor.fetchall()}
            if not tried:
                raise VaultError(f"no raw table has {' and '.join(given)}")
            found = self._followed(cursor, found)
            if matched:
                cursor.execute(
                    "select subject from matching.person_records where valid_to is null and person_id in "
                    "(select person_id from matching.person_records where subject = any(%s) and valid_to is null)",
                    [sorted(found)],
                )
                found = self._followed(cursor, found | {row[0] for row in cursor.fetchall()})
            return found

    def _followed(self, cursor: pg.cursor, found: set[str]) -> set[str]:
        known: set[str] = set()
        while new := sorted(found - known):
            known |= set(new)
            for table in self.tables:
                places = [
                    place
                    for place, column in enumerate(table.identifiers, 1)
                    if column.identifier in UNIQUE_KINDS or column.name == table.subject
                ]
                cursor.execute(
                    f"select distinct unnest(array[subject, {', '.join(f'tokens[{n}]' for n in places)}]) "
                    "from vault.identities where system = %s and table_name = %s and (subject = any(%s) "
                    f"or {' or '.join(f'tokens[{n}] = any(%s)' for n in places)})",
                    [table.system.name, table.name, new, *([new] * len(places))],
                )
                found = found | {row[0] for row in cursor.fetchall() if row[0]}
        return known

    def export(self, tokens: set[str]) -> dict[str, Any]:
        """All that the warehouse holds of the person with these tokens: {where: rows}, identifiers in clear."""
        held: dict[str, Any] = defaultdict(list)
        with (
            self.connection,
            self.connection.cursor(cursor_factory=RealDictCursor) as cursor,
            self.connection.cursor() as plain,
        ):
            for table in self.tables:
                mine = "(subject = any(%s) or tokens && %s::text[])"
                for records in opened(self.connection, table, self.keys, mine, [sorted(tokens)] * 2):
                    held[f"vault: {table.label}"] += records.to_pylist()
                if store_exists(plain, table):
                    rows = sql.SQL("select * from {} where {} = any(%s)")
                    cursor.execute(
                        rows.format(store_table(table), sql.Identifier(table.subject_column.name)), [sorted(tokens)]
                    )
                    held[table.label] += cursor.fetchall()
            for _, table, content in self._rejects(plain, tokens):
                held[f"quarantine: {table.label}"].append(content)
            for relation, column in self._copies(plain):
                query = sql.SQL("select * from {} where {} = any(%s)").format(relation, column)
                cursor.execute(query, [sorted(tokens)])
                held[relation.as_string(cursor).replace('"', "")] += cursor.fetchall()
            cursor.execute("select * from governance.reidentifications where token = any(%s)", [sorted(tokens)])
            held["governance.reidentifications"] += cursor.fetchall()
        return {where: rows for where, rows in held.items() if rows}

    def erase(self, tokens: set[str], case_reference: str, by: str) -> dict[str, int]:
        """Destroys the person's identity records with their keys and deletes their raw rows; {raw table: rows}.

        What rests on the raw tables has to be built again. Raises VaultError where a legal hold forbids it.
        """
        with _alone(self.connection) as cursor:
            cursor.execute(
                "select count(*) from governance.legal_holds where released_at is null and subject = any(%s)",
                [sorted(tokens)],
            )
            if value_of(cursor):
                raise VaultError("a legal hold forbids it: `warehouse subject release` ends one")
            cursor.execute(
                "insert into governance.erasures (erased_by, case_reference, tokens) values (%s, %s, %s)",
                [by, case_reference, sorted(tokens)],
            )
            return self._erase(cursor, tokens)

    def erase_again(self) -> dict[str, int]:
        """Erases once more whoever was erased and came back, from a restore or from a source; {raw table: rows}."""
        with _alone(self.connection) as cursor:
            cursor.execute("select distinct unnest(tokens) from governance.erasures")
            tokens = {row[0] for row in cursor.fetchall()}
            cursor.execute("select distinct subject from governance.legal_holds where released_at is null")
            return self._erase(cursor, tokens - {row[0] for row in cursor.fetchall()}) if tokens else {}

    def _erase(self, cursor: pg.cursor, tokens: set[str]) -> dict[str, int]:
        rejects = [row_id for row_id, _, _ in self._rejects(cursor, tokens)]
        cursor.execute("delete from quarantine.rows where row_id = any(%s)", [rejects])
        counts = {}
        for table in self.tables:
            mine = sql.SQL("{} = any(%s)").format(sql.Identifier(table.subject_column.name))
            if rows := self._dispose(cursor, table, "erasure", mine, [sorted(tokens)]):
                counts[table.label] = rows
        destroy_identities(cursor, sql.SQL("subject = any(%s)"), [sorted(tokens)])
        for relation, column in MATCHED:
            cursor.execute(f"delete from {relation} where {column} = any(%s)", [sorted(tokens)])
        return counts

    def hold(self, tokens: set[str], reason: str, by: str) -> None:
        """From now on nothing of the person is deleted."""
        with self.connection, self.connection.cursor() as cursor:
            cursor.execute(
                "insert into governance.legal_holds (subject, reason, placed_by) select unnest(%s), %s, %s",
                [sorted(tokens), reason, by],
            )

    def release(self, tokens: set[str]) -> int:
        """Ends the person's holds; how many."""
        with self.connection, self.connection.cursor() as cursor:
            cursor.execute(
                "update governance.legal_holds set released_at = now() where released_at is null and subject = any(%s)",
                [sorted(tokens)],
            )
            return cursor.rowcount

    def retain(self) -> dict[str, tuple[int, int]]:
        """Deletes what is older than its retention; {raw table: (rows deleted, rows that a legal hold keeps)}.

        Identity records of which no row is left are destroyed.
        """
        counts = {}
        with _alone(self.connection) as cursor:
            for table in (table for system in self.systems for table in system.tables):
                if not table.retained_from or not store_exists(cursor, table):
                    continue
                due = sql.SQL("{}::timestamptz < now() - %s::interval").format(sql.Identifier(table.retained_from))
                held: sql.Composable = sql.SQL("false")
                if table.subject:
                    held = sql.SQL(
                        "coalesce({} in (select subject from governance.legal_holds where released_at is null), false)"
                    ).format(sql.Identifier(table.subject_column.name))
                period = [table.retention or table.system.retention]
                count = sql.SQL("select count(*) from {} where {} and {}").format(store_table(table), due, held)
                cursor.execute(count, period)
                kept = value_of(cursor)
                which = sql.SQL("{} and not {}").format(due, held)
                if (rows := self._dispose(cursor, table, "retention", which, period, kept)) or kept:
                    counts[table.label] = (rows, kept)
            for table in self.tables:
                if store_exists(cursor, table):
                    tokens = sql.SQL(", ").join(sql.Identifier("s", column.name) for column in table.identifiers)
                    nobodys = sql.SQL(
                        "system = %s and table_name = %s "
                        "and not exists (select from {} as s where array[{}] = i.tokens)"
                    ).format(store_table(table), tokens)
                    destroy_identities(cursor, nobodys, [table.system.name, table.name])
        return counts

    def vacuum(self) -> None:
        """Rewrites the files that rows were deleted from: until then the deleted rows lie in them."""
        self.connection.autocommit = True
        with self.connection.cursor() as cursor:
            stores = [store_table(table) for table in self.tables if store_exists(cursor, table)]
            others = [("vault", "identities"), ("vault", "data_keys"), ("quarantine", "rows")]
            statistics = ("pg_catalog", "pg_statistic")  # common values of a column; last, when they are made anew
            for relation in [*stores, *(sql.Identifier(*name) for name in (*others, statistics))]:
                cursor.execute(sql.SQL("vacuum (full, analyze) {}").format(relation))

    def _dispose(
        self,
        cursor: pg.cursor,
        table: Table,
        cause: str,
        which: sql.Composable,
        values: Sequence[object],
        kept: int = 0,
    ) -> int:
        """Deletes rows of a raw table and writes down how many, also for the loads that count what the source has."""
        if not store_exists(cursor, table):
            return 0
        last = last_load_results(cursor, table.system).get(table.name, LoadResult(table.name))
        counted = "returning (valid_to is null)::integer as n" if table.load == "history" else "returning 1 as n"
        delete = sql.SQL("with gone as (delete from {} where {} " + counted + ") select count(*), sum(n) from gone")
        cursor.execute(delete.format(store_table(table), which), values)
        ((rows, current),) = cursor.fetchall()
        if rows or kept:
            place = [table.system.name, table.name]
            cursor.execute(
                "insert into governance.disposals (system, table_name, cause, rows, rows_held) "
                "values (%s, %s, %s, %s, %s)",
                [*place, cause, rows, kept],
            )
        if rows:
            last.rows, last.read, last.quarantined, last.total = 0, 0, 0, last.total - (current or 0)
            record_load_result(cursor, table.system, last, cause)
        return int(rows)

    def _rejects(self, cursor: pg.cursor, tokens: set[str]) -> Iterator[tuple[int, Table, dict[str, Any]]]:
        """(row_id, table, content in clear) of the person's rows in quarantine."""
        for table in self.tables:
            for row_id, sealed in sealed_rejects(cursor, [table.label]):
                content = self.keys.decrypt_content(sealed)
                texts = ((column, content.get(column.name)) for column in table.identifiers)
                made = (
                    self.keys.tokens(column, table, pa.chunked_array([[text]], pa.string()))[0].as_py()
                    for column, text in texts
                    if text is not None and (column.identifier in UNIQUE_KINDS or column.name == table.subject)
                )
                if tokens & set(made):
                    yield row_id, table, content

    def _copies(self, cursor: pg.cursor) -> list[tuple[sql.Identifier, sql.Identifier]]:
        """Every text column of every table that dbt has made: a token there is unmistakable."""
        raw = [f"{system.name}{part}" for system in self.systems for part in ("", "_store", "_landing")]
        cursor.execute(
            "select n.nspname, c.relname, a.attname from pg_attribute as a "
            "inner join pg_class as c on a.attrelid = c.oid and c.relkind in ('r', 'p', 'm') and a.attnum > 0 "
            "inner join pg_namespace as n on c.relnamespace = n.oid where a.atttypid = 'text'::regtype "
            "and not a.attisdropped and n.nspname <> all(%s) and n.nspname !~ '^pg_' order by 1, 2, 3",
            [[*NO_COPY, *raw]],
        )
        return [
            (sql.Identifier(schema, relation), sql.Identifier(name)) for schema, relation, name in cursor.fetchall()
        ]


@contextmanager
def _alone(connection: pg.connection) -> Iterator[pg.cursor]:
    """A cursor in a transaction, while which no load commits and no build reads."""
    with connection, connection.cursor() as cursor:
        cursor.execute("select pg_advisory_xact_lock(hashtext(%s))", [BUILD_LOCK])
        yield cursor
