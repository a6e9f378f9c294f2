"""Writes a published report as a file: CSV for programs, CSV for Excel, Parquet, or a workbook."""

import csv
import os
import tempfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import closing
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq
from psycopg2 import extensions as pg
from psycopg2 import sql

from ingestion.casting import arrow_type
from ingestion.postgres import names_in, value_of
from warehouse.environment import dbt_connection
from warehouse.feeds.declaration import Report
from warehouse.feeds.workbook import write_workbook
from warehouse.outgoing import KINDS, Scan

TEXT_TYPES = {19, 25, 1042, 1043}  # name, text, char, varchar
# A text that a spreadsheet would run as a formula begins with an apostrophe (OWASP, CSV injection). Numbers and
# telephone numbers written as text stay as they are
FORMULA_AS_TEXT = r"case when {0} ~ '^[=@+\t\r-]' and {0} !~ '^[+-]?[0-9., ()]*$' then '''' || {0} else {0} end"
AS_TEXT = "{0}::text"
SUPPRESSED = "Suppressed figures"  # column of a report with the headings of its row's suppressed figures
MARK = "[c]"  # confidential, as in statistics of the Government Statistical Service
STATE = """
    select to_char(data_up_to_date, 'FMDD FMMonth YYYY') as "Data up to",
        to_char(published_at, 'FMDD FMMonth YYYY, HH24:MI') as "Published",
        quality_state as "State", known_gaps as "Known gaps"
    from {} where source_name = 'All sources'
"""
BATCH = 10_000
ARROW_TYPES = {"integer": pa.int32(), "timestamp": pa.timestamp("us")}  # besides those of contracts


def write_report(report: Report, file: Path, only: Mapping[str, Collection[str]] | None = None) -> int:
    """Writes the report to `file`, sorted by its columns, and returns the number of rows.

    `only` are the values of columns whose rows are written. The complete file replaces the previous file by a rename.
    After a failure the previous file stays. The folder's group may read the file, nobody else. Raises OutgoingError if
    the file would have personal data, and WarehouseError if a workbook cannot hold the rows.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=file.parent, prefix=f".{file.name}.", delete=False) as draft:
        try:
            with closing(dbt_connection()) as connection:
                connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
                count = _write(report, connection, draft, only or {})
            draft.flush()
            os.fsync(draft.fileno())
            Path(draft.name).chmod(0o640)
            Path(draft.name).replace(file)
        except BaseException:
            Path(draft.name).unlink(missing_ok=True)
            raise
    return count


def as_at(cursor: pg.cursor, publish_set: str) -> dict[str, str]:
    """What a file says of its data, from the view `as_at` of the set: {fact: value}; empty without the view."""
    cursor.execute("select to_regclass(%s)", [f"{publish_set}.as_at"])
    if value_of(cursor) is None:  # published by a release that had no view
        return {}
    cursor.execute(sql.SQL(STATE).format(sql.Identifier(publish_set, "as_at")))
    return {name: value for name, value in zip(names_in(cursor), cursor.fetchone() or (), strict=True) if value}


def _write(report: Report, connection: pg.connection, draft: IO[bytes], only: Mapping[str, Collection[str]]) -> int:
    with connection.cursor() as cursor:
        query = _query(cursor, report, only)
        facts = as_at(cursor, report.publish_set)
    with connection.cursor("report") as cursor:  # a cursor with a name reads in batches
        cursor.itersize = BATCH
        cursor.execute(query)
        first = cursor.fetchmany(1)
        names = names_in(cursor)
        if report.feed.format == "parquet":  # a number has no room for a mark: the column that names the figures stays
            scan = Scan(names, {**report.feed.may_contain, **{name: KINDS for name in names if name == SUPPRESSED}})
            _write_parquet(report, names, scan.passing(map(list, chain(first, cursor))), draft)
            return scan.rows
        headings = [name for name in names if name != SUPPRESSED]
        marked = (_marked(dict(zip(names, row, strict=True))) for row in (*first, *cursor))
        scan = Scan(headings, report.feed.may_contain)
        if report.feed.format == "xlsx":
            write_workbook(report, facts, headings, scan.passing(marked), draft)
        else:
            _write_csv(headings, scan.passing(marked), draft, for_excel=report.feed.format == "csv_for_excel")
        return scan.rows


def _query(cursor: pg.cursor, report: Report, only: Mapping[str, Collection[str]]) -> sql.Composed:
    """The report's rows: with typed values for a workbook or Parquet, with texts for a CSV."""
    rows = sql.SQL("select * from {}").format(sql.Identifier(report.publish_set, report.table))
    if only:
        is_wanted = sql.SQL("{}::text = any({})")
        wanted = [is_wanted.format(sql.Identifier(name), sql.Literal([*values])) for name, values in only.items()]
        rows = sql.SQL("{} where {}").format(rows, sql.SQL(" and ").join(wanted))
    columns: sql.Composable = sql.SQL("*")
    if report.feed.format.startswith("csv"):
        cursor.execute(sql.SQL("{} limit 0").format(rows))
        texts = []
        for column in cursor.description or ():
            text = FORMULA_AS_TEXT if column.type_code in TEXT_TYPES else AS_TEXT
            texts.append(sql.SQL(text + " as {0}").format(sql.Identifier(column.name)))
        columns = sql.SQL(", ").join(texts)
    return sql.SQL("select {} from ({}) as report order by report").format(columns, rows)


def _marked(row: dict[str, Any]) -> list[Any]:
    """The values of the row with the mark in place of suppressed figures."""
    suppressed = (row.pop(SUPPRESSED, None) or "").split(", ")
    return [MARK if name in suppressed else value for name, value in row.items()]


def _write_csv(headings: Sequence[str], rows: Iterable[list[Any]], draft: IO[bytes], for_excel: bool) -> None:
    """Writes a CSV by RFC 4180 in UTF-8; Excel knows UTF-8 by the byte order mark at the beginning."""
    with Path(draft.name).open("w", encoding="utf-8-sig" if for_excel else "utf-8", newline="") as text:
        csv.writer(text).writerows(chain([headings], rows))


def _write_parquet(report: Report, names: Sequence[str], rows: Iterable[list[Any]], draft: IO[bytes]) -> None:
    kinds = [report.columns[name].data_type for name in names]
    schema = pa.schema(
        [(name, ARROW_TYPES.get(kind) or arrow_type(kind)) for name, kind in zip(names, kinds, strict=True)]
    )
    remaining = iter(rows)
    with pq.ParquetWriter(draft, schema, compression="zstd") as writer:
        while batch := list(islice(remaining, BATCH)):
            columns = zip(zip(*batch, strict=True), schema.types, strict=True)
            writer.write_batch(pa.record_batch([pa.array(values, kind) for values, kind in columns], schema=schema))
