"""The records of a person: find them by identifiers, export them and search free texts, in every contract's tables."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing
from functools import cached_property
from typing import Any

import pyarrow as pa
from psycopg2 import extensions as pg
from psycopg2 import sql
from psycopg2.extras import RealDictCursor

from ingestion.contracts import System, Table
from ingestion.privacy import UNIQUE_KINDS, Keys
from ingestion.raw_table import store_exists, store_table
from warehouse.environment import dbt_connection
from warehouse.errors import VaultError
from warehouse.subject_texts import SubjectTexts, patterns_of
from warehouse.vault import SUBJECT_COLUMNS, decrypted_identities, encrypted_rejected_rows


class SubjectRecords:
    """The records of people in the raw tables that hold personal data, the vault, the quarantine and dbt's tables."""

    def __init__(self, connection: pg.connection, systems: Iterable[System]):
        self.connection = connection
        self.systems = list(systems)
        self.tables = [table for system in self.systems for table in system.tables if table.subject]
        self.texts = SubjectTexts(self.systems)

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
            for _, table, content in self.rejected_rows(other_cursor, tokens):
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
            for relation, column in _model_columns(other_cursor):
                query = sql.SQL("select * from {} where {} = any(%s)")
                cursor.execute(query.format(relation, column), [sorted(tokens)])
                rows_by_table[relation.as_string(cursor).replace('"', "")] += cursor.fetchall()
        return {table: rows for table, rows in rows_by_table.items() if rows}

    def search_texts(self, tokens: set[str]) -> list[dict[str, Any]]:
        """{table, row, column, kinds} of each free text with the person's name, number or contact details."""
        with self.connection, self.connection.cursor() as cursor:
            return list(self.texts.search(cursor, self.patterns(tokens)))

    def patterns(self, tokens: set[str]) -> dict[str, str]:
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

    def rejected_rows(self, cursor: pg.cursor, tokens: set[str]) -> Iterator[tuple[int, Table, dict[str, Any]]]:
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


def _model_columns(cursor: pg.cursor) -> list[tuple[sql.Identifier, sql.Identifier]]:
    """(table, column) of every text column in dbt's tables, where a token is unmistakable; with dbt's login."""
    cursor.execute(
        "select n.nspname, c.relname, a.attname from pg_attribute as a "
        "inner join pg_class as c on a.attrelid = c.oid and c.relkind in ('r', 'p', 'm') and a.attnum > 0 "
        "inner join pg_namespace as n on c.relnamespace = n.oid where a.atttypid = 'text'::regtype "
        "and not a.attisdropped and c.relowner = current_user::regrole and n.nspname !~ '^pg_' order by 1, 2, 3"
    )
    return [(sql.Identifier(schema, relation), sql.Identifier(name)) for schema, relation, name in cursor.fetchall()]
