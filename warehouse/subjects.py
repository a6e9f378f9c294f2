"""Data subject requests that change something (erase) and legal holds, for every table of the contracts.

Each request is one transaction. `erase_again` runs with the loader's login, the others with an administrator's.
"""

from psycopg2 import extensions as pg
from psycopg2 import sql
from psycopg2.extras import Json

from ingestion.identities import destroy_identities
from ingestion.postgres import value_of
from ingestion.raw_table import store_exists, store_table
from warehouse.disposals import delete_rows, exclusive_lock
from warehouse.errors import VaultError
from warehouse.subject_records import SubjectRecords
from warehouse.subject_texts import Emptied, counted
from warehouse.vault import SUBJECT_COLUMNS


class SubjectRequests(SubjectRecords):
    """Requests about people, over the raw tables that hold personal data."""

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
            emptied = self.texts.redact(cursor, self.patterns(tokens)) if texts else []
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
        rejected = [row_id for row_id, _, _ in self.rejected_rows(cursor, tokens)]
        cursor.execute("delete from quarantine.rows where row_id = any(%s)", [rejected])
        counts = {}
        for table in self.tables:
            mine = sql.SQL("{} = any(%s)").format(sql.Identifier(table.subject_column.name))
            if rows := delete_rows(cursor, table, "erasure", mine, [sorted(tokens)]):
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
