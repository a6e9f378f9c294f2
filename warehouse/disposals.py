"""Deletion of raw rows, with its record, and the end of retention periods, for every table of the contracts."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from psycopg2 import extensions as pg
from psycopg2 import sql

from ingestion.contracts import System, Table
from ingestion.identities import destroy_identities
from ingestion.load_results import LoadResult, last_load_results, record_load_result
from ingestion.postgres import take_lock, value_of
from ingestion.raw_table import store_exists, store_table

MIN_DISPOSAL = 10  # rows that the end of a retention period may always delete


class Retention:
    """The end of retention periods, with the loader's login."""

    def __init__(self, connection: pg.connection, systems: Iterable[System]):
        self.connection = connection
        self.tables = [table for system in systems for table in system.tables]
        self.refused: list[str] = []  # why the last disposal left tables as they are

    def dispose_of_expired(self) -> dict[str, tuple[int, int]]:
        """Deletes rows past their retention period; returns {raw table: (rows deleted, rows under a legal hold)}.

        Also deletes identity records without a raw row. A table with more rows due than its contract's `disposal`
        allows keeps its rows, and is described in `refused`: the server's clock or `retained_from` may be wrong.
        """
        counts = {}
        self.refused = []
        with exclusive_lock(self.connection) as cursor:
            for table in self.tables:
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
                if (rows := delete_rows(cursor, table, "retention", which, period, kept)) or kept:
                    counts[table.label] = (rows, kept)
            for table in (table for table in self.tables if table.subject):
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


def delete_rows(
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
    delete = sql.SQL("with deleted as (delete from {} where {} " + counted + ") select count(*), sum(n) from deleted")
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


@contextmanager
def exclusive_lock(connection: pg.connection) -> Iterator[pg.cursor]:
    """A cursor in a transaction during which no load commits and no build reads."""
    with connection, connection.cursor() as cursor:
        take_lock(cursor, "raw_tables", is_exclusive=True)
        yield cursor
