"""Report feeds: an asset for each exposure with `meta.feed`, which writes its report to the outbox."""

import csv
import os
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import dagster as dg
import xlsxwriter
from psycopg2 import extensions as pg
from psycopg2 import sql

from ingestion.postgres import names_in
from orchestration.automation import since_handled
from orchestration.failures import plain_failures
from orchestration.models import PUBLICATION, node_key, publish_set_of
from warehouse.environment import dbt_connection
from warehouse.errors import OutgoingError
from warehouse.outgoing import Scan, outbox_folder

FORMATS = ("csv", "xlsx")
TEXT_TYPES = {19, 25, 1042, 1043}  # name, text, char, varchar
FORMULA_AS_TEXT = r"case when {0} ~ '^[=@+\t\r-]' and {0} !~ '^[+-]?[0-9., ()]*$' then '''' || {0} else {0} end"
SUPPRESSED = "Suppressed figures"  # column of a report with the headings of its row's suppressed figures
MARK = "[c]"  # confidential, as in statistics of the Government Statistical Service
MARKED = "case when {0} = any(string_to_array({1}, ', ')) then {2} else ({3})::text end"
MAX_XLSX_ROWS = 1_048_575
XLSX_OPTIONS = {
    "constant_memory": True,
    "default_date_format": "dd/mm/yyyy",
    "remove_timezone": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
}


def build_feeds(manifest: dict[str, Any]) -> list[dg.AssetsDefinition]:
    """One asset per feed, which is written after each publication of its report's set."""
    return [
        _build_feed(manifest, exposure)
        for exposure in manifest["exposures"].values()
        if "feed" in exposure["config"].get("meta", exposure["meta"])
    ]


def _build_feed(manifest: dict[str, Any], exposure: dict[str, Any]) -> dg.AssetsDefinition:
    feed = exposure["config"].get("meta", exposure["meta"])["feed"]
    reports = [manifest["nodes"][unique_id] for unique_id in exposure["depends_on"]["nodes"]]
    if len(reports) != 1 or feed.get("format") not in FORMATS or Path(feed["file"]).name != feed["file"]:
        raise dg.DagsterInvalidDefinitionError(
            f"{exposure['original_file_path']}: give feed {exposure['name']} one model in depends_on, a format "
            f"({' or '.join(FORMATS)}) and a file name without a folder."
        )
    report, publish_set = node_key(reports[0]), publish_set_of(reports[0]) or ""
    publication = dg.AssetKey([PUBLICATION, publish_set])
    is_published: dg.AutomationCondition[Any] = dg.AutomationCondition.asset_matches(
        publication, dg.AutomationCondition.newly_updated()
    )

    @dg.asset(
        key=["feed", exposure["name"]],
        deps=[report, publication],
        group_name=f"5_delivered/{publish_set}",
        owners=[exposure["owner"]["email"]],
        description=exposure["description"],
        metadata=feed,
        kinds={feed["format"]},
        automation_condition=since_handled(is_published) & ~dg.AutomationCondition.in_progress(),
    )
    @plain_failures
    def write() -> dg.MaterializeResult[None]:
        file = outbox_folder(publish_set) / feed["file"]
        schema, table = report.path
        try:
            rows = write_report(schema, table, file, feed["format"], feed.get("may_contain", {}))
        except OutgoingError as found:
            raise dg.Failure(
                description=f"{file.name} was not written: it would contain personal data. {found}. Correct the values "
                "at their source, or withhold them in the report's model.",
                allow_retries=False,
            ) from None
        return dg.MaterializeResult(metadata={"file": dg.MetadataValue.path(file), "rows": rows})

    return write


def write_report(
    schema: str, table: str, file: Path, form: str, may_contain: Mapping[str, Collection[str]] | None = None
) -> int:
    """Writes a published table to `file` as UTF-8 CSV or XLSX, sorted by its columns; returns the number of rows.

    The complete file replaces the previous file by a rename. After a failure the previous file stays. The folder's
    group may read the file, nobody else. Raises OutgoingError if the file has personal data; `may_contain` are the
    kinds of value that a column may contain.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    query = sql.SQL("select * from {} as report order by report").format(sql.Identifier(schema, table))
    with tempfile.NamedTemporaryFile(dir=file.parent, prefix=f".{file.name}.", delete=False) as draft:
        try:
            with dbt_connection() as connection, connection.cursor() as cursor:
                write = _write_csv if form == "csv" else _write_xlsx
                rows = write(cursor, query, draft, may_contain or {})
            draft.flush()
            os.fsync(draft.fileno())
            Path(draft.name).chmod(0o640)
            Path(draft.name).replace(file)
        except BaseException:
            Path(draft.name).unlink(missing_ok=True)
            raise
    return rows


def _write_csv(
    cursor: pg.cursor, query: sql.Composed, draft: IO[bytes], may_contain: Mapping[str, Collection[str]]
) -> int:
    copy = sql.SQL("copy ({}) to stdout (format csv, header)").format(_as_csv(cursor, query))
    cursor.copy_expert(copy, draft)
    count = cursor.rowcount
    draft.flush()
    with Path(draft.name).open(encoding="utf-8", newline="") as written:
        rows = csv.reader(written)
        for _ in _scanned(next(rows), rows, may_contain):
            pass
    return count


def _as_csv(cursor: pg.cursor, query: sql.Composed) -> sql.Composed:
    """The query with the mark in place of suppressed figures, without the column that names these figures.

    A text that a spreadsheet would run as a formula begins with an apostrophe (OWASP, CSV injection). Numbers and
    telephone numbers written as text stay as they are.
    """
    cursor.execute(sql.SQL("select * from ({}) as report limit 0").format(query))
    has_suppressed, columns = SUPPRESSED in names_in(cursor), []
    for column in cursor.description or ():
        if column.name == SUPPRESSED:
            continue
        name = sql.Identifier(column.name)
        value = sql.SQL(FORMULA_AS_TEXT if column.type_code in TEXT_TYPES else "{0}").format(name)
        if has_suppressed:
            mark = (sql.Literal(column.name), sql.Identifier(SUPPRESSED), sql.Literal(MARK))
            value = sql.SQL(MARKED).format(*mark, value)
        columns.append(sql.SQL("{} as {}").format(value, name))
    return sql.SQL("select {} from ({}) as report order by report").format(sql.SQL(", ").join(columns), query)


def _write_xlsx(
    cursor: pg.cursor, query: sql.Composed, draft: IO[bytes], may_contain: Mapping[str, Collection[str]]
) -> int:
    cursor.execute(query)
    if cursor.rowcount > MAX_XLSX_ROWS:
        raise dg.Failure(description=f"{cursor.rowcount:,} rows do not fit on a sheet. Set the feed to csv.")
    names = names_in(cursor)
    headings = [name for name in names if name != SUPPRESSED]
    rows = (_marked_row(dict(zip(names, row, strict=True))) for row in cursor)
    with xlsxwriter.Workbook(draft, XLSX_OPTIONS) as book:
        sheet = book.add_worksheet("Report")
        sheet.write_row(0, 0, headings, book.add_format({"bold": True}))
        sheet.freeze_panes(1, 0)
        for position, row in enumerate(_scanned(headings, rows, may_contain), start=1):
            sheet.write_row(position, 0, row)
    return cursor.rowcount


def _marked_row(row: dict[str, Any]) -> list[Any]:
    """The values of the row with the mark in place of suppressed figures."""
    suppressed = (row.pop(SUPPRESSED, None) or "").split(", ")
    return [MARK if name in suppressed else value for name, value in row.items()]


def _scanned(headings: list[str], rows: Iterable[Any], may_contain: Mapping[str, Collection[str]]) -> Iterator[Any]:
    """The same rows; raises OutgoingError after the last row if the rows have personal data."""
    scan = Scan(headings, may_contain)
    for row in rows:
        scan.add(row)
        yield row
    scan.finish()
