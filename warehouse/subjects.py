"""Data subject requests (find, export, erase), legal holds and retention, for every table of the contracts.

Each request is one transaction. `erase_again` and `dispose_of_expired` run with the loader's login, the others with an
administrator's.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import cached_property
from typing import Any

import pyarrow as pa
from psycopg2 import extensions as pg
from psycopg2 import sql
from psycopg2.extras import Json, RealDictCursor

from ingestion.contracts import System, Table
from ingestion.identities import destroy_identities
from ingestion.load_results import LoadResult, last_load_results, record_load_result
from ingestion.postgres import take_lock, value_of
from ingestion.privacy import UNIQUE_KINDS, Keys
from ingestion.raw_table import store_exists, store_table
from warehouse.environment import dbt_connection
from warehouse.errors import VaultError
from warehouse.subject_texts import Emptied, SubjectTexts, counted, patterns_of
from warehouse.vault import SUBJECT_COLUMNS, decrypted_identities, encrypted_rejected_rows

MIN_DISPOSAL = 10  # rows that the end of a retention period may always delete


class SubjectRequests:
    """Requests about people, over the raw tables that hold personal data."""

    def __init__(self, connection: pg.connection, systems: Iterable[System]):
        self.connection = connection
        self.systems = list(systems)
        self.tables = [table for system in self.systems for table in system.tables if table.subject]
        self.texts = SubjectTexts(self.systems)
        self.refused: list[str] = []  # why the last disposal left tables as they are

    @cached_property
    def keys(self) -> Keys:
        with self.connection.cursor() as cursor:
            return Keys.current(cursor)

    def find(self, given: dict[str, str], matched: bool = False) -> set[str]:
        """Tokens of the people who have all the `given` identifiers ({kind: value}) in one record.

        The result includes records that share an identifier of one person with these records and, with `matched`,
        records that matching assigns to the same person. Raises VaultError where no table has all the kinds.
        """
        found, searched = set(), 0
        with self.connection.cursor() as cursor:
            for table in self.tables:
                columns = {column.kind: column for column in table.identifiers}
                if not given.keys() <= columns.keys():
                    continue
                searched += 1
                texts = {kind: pa.chunked_array([[value]], pa.string()) for kind, value in given.items()}
                tokens = [self.keys.tokens(columns[kind], table, text)[0].as_py() for kind, text in texts.items()]
                cursor.execute(
                    "select distinct subject from vault.identities "
                    "where system = %s and table_name = %s and tokens @> %s",
                    [table.system.name, table.name, tokens],
                )
                found |= {row[0] for row in cursor.fetchall()}
            if not searched:
                raise VaultError(f"No raw table has {' and '.join(given)}.")
            found = self._linked(cursor, found)
            if matched:
                cursor.execute(
                    "select subject from matching.person_records where valid_to is null and person_id in "
                    "(select person_id from matching.person_records where subject = any(%s) and valid_to is null)",
                    [sorted(found)],
                )
                found = self._linked(cursor, found | {row[0] for row in cursor.fetchall()})
            return found

    def _linked(self, cursor: pg.cursor, found: set[str]) -> set[str]:
        """The tokens, and those of every record that is linked by an identifier of one person."""
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
        """{table: rows} of the person with these tokens, with identifiers in clear."""
        rows_by_table: dict[str, Any] = defaultdict(list)
        with (
            self.connection,
            self.connection.cursor(cursor_factory=RealDictCursor) as cursor,
            self.connection.cursor() as other_cursor,
        ):
            for table in self.tables:
                mine = "(subject = any(%s) or tokens && %s::text[])"
                for records in decrypted_identities(self.connection, table, self.keys, mine, [sorted(tokens)] * 2):
                    rows_by_table[f"vault: {table.label}"] += records.to_pylist()
                if store_exists(other_cursor, table):
                    query = sql.SQL("select * from {} where {} = any(%s)")
                    subject = sql.Identifier(table.subject_column.name)
                    cursor.execute(query.format(store_table(table), subject), [sorted(tokens)])
                    rows_by_table[table.label] += cursor.fetchall()
            for _, table, content in self._rejected_rows(other_cursor, tokens):
                rows_by_table[f"quarantine: {table.label}"].append(content)
            for table in self.texts.children:
                rows_by_table[table.label] += self.texts.child_rows(other_cursor, table, tokens)
            for name, token_column in [*SUBJECT_COLUMNS, ("governance.reidentifications", "token")]:
                cursor.execute(f"select * from {name} where {token_column} = any(%s)", [sorted(tokens)])
                rows_by_table[name] += cursor.fetchall()
        # dbt's login reads dbt's tables: with an administrator's rights a policy or view could run code
        with (
            closing(dbt_connection()) as models,
            models.cursor(cursor_factory=RealDictCursor) as cursor,
            models.cursor() as other_cursor,
        ):
            for relation, column in self._model_columns(other_cursor):
                query = sql.SQL("select * from {} where {} = any(%s)")
                cursor.execute(query.format(relation, column), [sorted(tokens)])
                rows_by_table[relation.as_string(cursor).replace('"', "")] += cursor.fetchall()
        return {table: rows for table, rows in rows_by_table.items() if rows}

    def search_texts(self, tokens: set[str]) -> list[dict[str, Any]]:
        """{table, row, column, kinds} of each free text with the person's name, number or contact details."""
        with self.connection, self.connection.cursor() as cursor:
            return list(self.texts.search(cursor, self._patterns(tokens)))

    def _patterns(self, tokens: set[str]) -> dict[str, str]:
        """{kind: regular expression} of the person's clear values."""
        found: dict[str, set[str]] = defaultdict(set)
        for table in self.tables:
            for records in decrypted_identities(
                self.connection, table, self.keys, "subject = any(%s)", [sorted(tokens)]
            ):
                for record in records.to_pylist():
                    for kind, patterns in patterns_of(table, record).items():
                        found[kind] |= patterns
        return {kind: "|".join(sorted(patterns)) for kind, patterns in found.items()}

    def erase(self, tokens: set[str], case_reference: str, by: str, texts: bool = False) -> dict[str, int]:
        """Deletes the person's identity records with their keys, and raw rows; returns {raw table: rows}.

        Empties the personal columns of child rows. With `texts`, also replaces the person's values in free texts. The
        caller rebuilds the downstream models. Raises VaultError where the person is under a legal hold.
        """
        with exclusive_lock(self.connection) as cursor:
            cursor.execute(
                "select count(*) from governance.legal_holds where released_at is null and subject = any(%s)",
                [sorted(tokens)],
            )
            if value_of(cursor):
                raise VaultError("The person is under a legal hold. Release it with `warehouse subject release`.")
            emptied = self.texts.redact(cursor, self._patterns(tokens)) if texts else []
            emptied += self.texts.empty_child_rows(cursor, tokens)
            cursor.execute(
                "insert into governance.erasures (erased_by, case_reference, tokens, emptied) values (%s, %s, %s, %s)",
                [by, case_reference, sorted(tokens), Json(emptied)],
            )
            return counted(emptied) | self._erase(cursor, tokens)

    def erase_again(self) -> dict[str, int]:
        """Erases again erased people who came back from a restore or a source; returns {raw table: rows}."""
        with exclusive_lock(self.connection) as cursor:
            cursor.execute("select distinct subject from governance.legal_holds where released_at is null")
            held = {row[0] for row in cursor.fetchall()}
            cursor.execute("select tokens, emptied from governance.erasures")
            erasures = cursor.fetchall()
            tokens = {token for erased, _ in erasures for token in erased} - held
            recorded: list[Emptied] = [rows for erased, texts in erasures if not held & {*erased} for rows in texts]
            if not tokens:
                return {}
            emptied = self.texts.empty_child_rows(cursor, tokens) + self.texts.empty_again(cursor, recorded)
            return counted(emptied) | self._erase(cursor, tokens)

    def _erase(self, cursor: pg.cursor, tokens: set[str]) -> dict[str, int]:
        rejected = [row_id for row_id, _, _ in self._rejected_rows(cursor, tokens)]
        cursor.execute("delete from quarantine.rows where row_id = any(%s)", [rejected])
        counts = {}
        for table in self.tables:
            mine = sql.SQL("{} = any(%s)").format(sql.Identifier(table.subject_column.name))
            if rows := self._dispose(cursor, table, "erasure", mine, [sorted(tokens)]):
                counts[table.label] = rows
        destroy_identities(cursor, sql.SQL("subject = any(%s)"), [sorted(tokens)])
        for relation, column in SUBJECT_COLUMNS:
            cursor.execute(f"delete from {relation} where {column} = any(%s)", [sorted(tokens)])
        return counts

    def hold(self, tokens: set[str], reason: str, by: str) -> None:
        """Places a legal hold: no row of the person is deleted until its release."""
        with self.connection, self.connection.cursor() as cursor:
            cursor.execute(
                "insert into governance.legal_holds (subject, reason, placed_by) select unnest(%s), %s, %s",
                [sorted(tokens), reason, by],
            )

    def release(self, tokens: set[str]) -> int:
        """Releases the person's legal holds; returns their number."""
        with self.connection, self.connection.cursor() as cursor:
            cursor.execute(
                "update governance.legal_holds set released_at = now() where released_at is null and subject = any(%s)",
                [sorted(tokens)],
            )
            return cursor.rowcount

    def dispose_of_expired(self) -> dict[str, tuple[int, int]]:
        """Deletes rows past their retention period; returns {raw table: (rows deleted, rows under a legal hold)}.

        Also deletes identity records without a raw row. A table with more rows due than its contract's `disposal`
        allows keeps its rows, and is described in `refused`: the server's clock or `retained_from` may be wrong.
        """
        counts = {}
        self.refused = []
        with exclusive_lock(self.connection) as cursor:
            for table in (table for system in self.systems for table in system.tables):
                if not table.retained_from or not store_exists(cursor, table):
                    continue
                due = sql.SQL("{}::timestamptz < now() - %s::interval").format(sql.Identifier(table.retained_from))
                on_hold: sql.Composable = sql.SQL("false")
                if table.subject:
                    on_hold = sql.SQL(
                        "coalesce({} in (select subject from governance.legal_holds where released_at is null), false)"
                    ).format(sql.Identifier(table.subject_column.name))
                period = [table.retention or table.system.retention]
                count = sql.SQL("select count(*) from {} where {} and {}").format(store_table(table), due, on_hold)
                cursor.execute(count, period)
                kept = value_of(cursor)
                which = sql.SQL("{} and not {}").format(due, on_hold)
                if refusal := self._too_many(cursor, table, which, period):
                    self.refused.append(refusal)
                    continue
                if (rows := self._dispose(cursor, table, "retention", which, period, kept)) or kept:
                    counts[table.label] = (rows, kept)
            for table in self.tables:
                if store_exists(cursor, table):
                    tokens = sql.SQL(", ").join(sql.Identifier("s", column.name) for column in table.identifiers)
                    orphaned = sql.SQL(
                        "system = %s and table_name = %s "
                        "and not exists (select from {} as s where array[{}] = i.tokens)"
                    ).format(store_table(table), tokens)
                    destroy_identities(cursor, orphaned, [table.system.name, table.name])
        return counts

    def _too_many(self, cursor: pg.cursor, table: Table, which: sql.Composable, values: Sequence[object]) -> str | None:
        """Why these rows are not deleted; None if they are few enough, or the check is overridden."""
        query = sql.SQL("select count(*) filter (where {}), count(*) from {}").format(which, store_table(table))
        cursor.execute(query, values)
        ((due, total),) = cursor.fetchall()
        if due <= max(table.disposal * total, MIN_DISPOSAL):
            return None
        cursor.execute(
            "update governance.overrides set used_by_load = 'retention' "
            "where system = %s and table_name = %s and is_of_disposal and used_by_load is null",
            [table.system.name, table.name],
        )
        if cursor.rowcount:
            return None
        return (
            f"{table.label}: {due:,} of {total:,} rows are past their retention period (contract allows "
            f"{table.disposal:.0%} a day); none was deleted. Check the server's clock and `{table.retained_from}`; "
            f"to accept it: warehouse accept {table.label} --disposal --reason '…'"
        )

    def vacuum(self) -> None:
        """Rewrites the files of tables with deleted rows, which hold the deleted values until then."""
        self.connection.autocommit = True
        with self.connection.cursor() as cursor:
            cursor.execute("reset role")  # only an administrator may rewrite pg_statistic
            labels = dict.fromkeys([*(table.label for table in self.tables), *self.texts.typed])
            tables = [self.texts.tables[label] for label in labels]
            stores = [store_table(table) for table in tables if store_exists(cursor, table)]
            others = [("vault", "identities"), ("vault", "data_keys"), ("quarantine", "rows")]
            # pg_statistic has common values of columns; last, after the new statistics
            statistics = ("pg_catalog", "pg_statistic")
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
        """Deletes rows of a raw table; records their number in the disposals, and for the counts of later loads."""
        if not store_exists(cursor, table):
            return 0
        last = last_load_results(cursor, table.system).get(table.name, LoadResult(table.name))
        counted = "returning (valid_to is null)::integer as n" if table.load == "history" else "returning 1 as n"
        delete = sql.SQL(
            "with deleted as (delete from {} where {} " + counted + ") select count(*), sum(n) from deleted"
        )
        cursor.execute(delete.format(store_table(table), which), values)
        ((rows, current),) = cursor.fetchall()
        if rows or kept:
            place = [table.system.name, table.name]
            cursor.execute(
                "insert into governance.disposals (system, table_name, cause, rows, rows_on_hold) "
                "values (%s, %s, %s, %s, %s)",
                [*place, cause, rows, kept],
            )
        if rows:
            last.rows, last.read, last.quarantined, last.skipped = 0, 0, 0, 0
            last.total -= current or 0
            record_load_result(cursor, table.system, last, cause)
        return int(rows)

    def _rejected_rows(self, cursor: pg.cursor, tokens: set[str]) -> Iterator[tuple[int, Table, dict[str, Any]]]:
        """(row_id, table, content in clear) of the person's quarantined rows."""
        for table in self.tables:
            for row_id, encrypted in encrypted_rejected_rows(cursor, [table.label]):
                content = self.keys.decrypt_content(encrypted)
                texts = ((column, content.get(column.name)) for column in table.identifiers)
                found = (
                    self.keys.tokens(column, table, pa.chunked_array([[text]], pa.string()))[0].as_py()
                    for column, text in texts
                    if text is not None and (column.identifier in UNIQUE_KINDS or column.name == table.subject)
                )
                if tokens & set(found):
                    yield row_id, table, content

    def _model_columns(self, cursor: pg.cursor) -> list[tuple[sql.Identifier, sql.Identifier]]:
        """(table, column) of every text column in dbt's tables, where a token is unmistakable; with dbt's login."""
        cursor.execute(
            "select n.nspname, c.relname, a.attname from pg_attribute as a "
            "inner join pg_class as c on a.attrelid = c.oid and c.relkind in ('r', 'p', 'm') and a.attnum > 0 "
            "inner join pg_namespace as n on c.relnamespace = n.oid where a.atttypid = 'text'::regtype "
            "and not a.attisdropped and c.relowner = current_user::regrole and n.nspname !~ '^pg_' order by 1, 2, 3"
        )
        return [
            (sql.Identifier(schema, relation), sql.Identifier(name)) for schema, relation, name in cursor.fetchall()
        ]


@contextmanager
def exclusive_lock(connection: pg.connection) -> Iterator[pg.cursor]:
    """A cursor in a transaction during which no load commits and no build reads."""
    with connection, connection.cursor() as cursor:
        take_lock(cursor, "raw_tables", is_exclusive=True)
        yield cursor
