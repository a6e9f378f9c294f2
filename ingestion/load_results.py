"""What was read of a table, and the result of its load, which the load audit keeps."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from psycopg2 import extensions as pg

from ingestion.contracts import ORIGIN_COLUMNS, VALIDITY_COLUMNS, System, Table
from ingestion.tables import Reject


@dataclass
class LoadResult:
    """The result of loading one raw table; `version` changes only when the table's content changes.

    `rows` is the number of new or changed rows, `read` the rows read at the source, `quarantined` those of them that
    were rejected, `skipped` those that a rule of the contract skips, `total` the rows in the raw table. `new_columns`
    are source columns that the contract neither declares nor excludes. `high_watermark` is the highest cursor value
    loaded.
    """

    table: str
    rows: int = 0
    version: str = ""
    high_watermark: str = ""
    read: int = 0
    quarantined: int = 0
    skipped: int = 0
    total: int = 0
    new_columns: list[str] = field(default_factory=list)
    loaded_at: datetime | None = None


@dataclass
class ExtractResult:
    """What was read of one table: the whole source (`full_refresh`) or the changes only.

    `source_rows` (lowest and highest count) and `source_sums` are the source's own figures for what was read,
    `source_total` its count of all rows; None or empty if the source gives none. `files` are (name, content hash,
    rows). `skipped` are the rows that `read` does not count, by the rule that skips them. `redriven` are the ids of
    quarantined rows that fit now. `identities_file` holds the identity records, one line each
    (ingestion.privacy.RECORD_COLUMNS).
    """

    table: Table
    last: LoadResult
    full_refresh: bool
    contract_digest: str
    as_at: datetime
    max_cursor: date | datetime | int | None = None
    read: int = 0
    sums: dict[str, int] = field(default_factory=dict)
    source_rows: tuple[int, int] | None = None
    source_sums: dict[str, object] = field(default_factory=dict)
    source_total: int | None = None
    rejects: list[Reject] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    new_columns: list[str] = field(default_factory=list)
    files: list[tuple[str, str, int]] = field(default_factory=list)
    corrected_files: list[str] = field(default_factory=list)
    redriven: list[int] | None = None
    identities_file: Path | None = None
    version: str = ""
    high_watermark: str = ""

    @property
    def columns(self) -> dict[str, str]:
        """{name: Postgres type} of the landing table."""
        table = self.table
        columns = {name: kind for column in table.columns for name, kind in column.raw_columns.items()}
        columns |= dict.fromkeys(self.new_columns, "text")
        columns |= ORIGIN_COLUMNS if table.files else {}
        return columns | (VALIDITY_COLUMNS if table.load == "history" else {})


def record_load_result(cursor: pg.cursor, system: System, load_result: LoadResult, load_id: str) -> None:
    """Insert one row into governance.load_audit."""
    cursor.execute(
        "insert into governance.load_audit (system, table_name, rows_written, data_version, high_watermark, load_id, "
        "rows_read, rows_quarantined, rows_skipped, rows_total, new_columns) "
        "values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        [
            system.name,
            load_result.table,
            load_result.rows,
            load_result.version,
            load_result.high_watermark,
            load_id,
            load_result.read,
            load_result.quarantined,
            load_result.skipped,
            load_result.total,
            load_result.new_columns,
        ],
    )


def record_failure(connection: pg.connection, system: System, is_failed: bool) -> None:
    """Record that the last load of a system failed, or that it did not. Readers see it in the view `as_at`."""
    record = (
        "insert into governance.load_failures (system, failed_at) values (%s, clock_timestamp()) "
        "on conflict (system) do update set failed_at = excluded.failed_at"
    )
    with connection, connection.cursor() as cursor:
        cursor.execute(record if is_failed else "delete from governance.load_failures where system = %s", [system.name])


def last_load_results(cursor: pg.cursor, system: System) -> dict[str, LoadResult]:
    """{table: result} of the last load of each table."""
    cursor.execute(
        "select distinct on (table_name) table_name, rows_written, data_version, high_watermark, rows_read, "
        "rows_quarantined, rows_skipped, rows_total, new_columns, loaded_at from governance.load_audit "
        "where system = %s and to_regclass(format('%%I.%%I', system || '_store', table_name)) is not null "
        "order by table_name, load_audit_id desc",
        [system.name],
    )
    return {row[0]: LoadResult(*row) for row in cursor.fetchall()}
