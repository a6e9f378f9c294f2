"""A report as a workbook: a cover with what the reader should know, the rows as a table, and a chart."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO, Any

import xlsxwriter
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from warehouse.errors import WarehouseError
from warehouse.feeds.declaration import Chart, Column, Report

MAX_ROWS = 200_000  # as a table, which is held in memory
OPTIONS = {"remove_timezone": True, "strings_to_formulas": False, "strings_to_urls": False}
DATE, TIME, MONEY, WHOLE = "dd/mm/yyyy", "dd/mm/yyyy hh:mm", "£#,##0.00;[Red]-£#,##0.00", "#,##0"
NUMERIC = re.compile(r"numeric\(\d+, ?(\d+)\)")
MAX_WIDTH_PIXELS = 420
A4 = 9
MAX_EXACT = 2**53  # a spreadsheet's numbers are floating point
MARKS = {
    "[c]": "Confidential: suppressed, because the figure is about few people or would reveal another such figure.",
    "Empty": "Not known, or does not apply. The definition of the column says which.",
}


def write_workbook(
    report: Report, facts: Mapping[str, str], headings: Sequence[str], rows: Iterable[list[Any]], file: IO[bytes]
) -> int:
    """Writes the sheets About, Report and, if the feed declares one, Chart; returns the number of rows.

    `facts` are shown on the cover. Raises WarehouseError if there are too many rows, or if a date of the chart repeats.
    """
    with xlsxwriter.Workbook(file, OPTIONS) as book:
        book.set_properties(
            {
                "title": report.title, "subject": report.description, "author": report.owner,
                "company": "Worcestershire County Council", "comments": f"Data warehouse, table {report.label}",
            }
        )  # fmt: skip
        about, sheet = book.add_worksheet("About"), book.add_worksheet("Report")
        formats = [_format(book, report.columns.get(heading)) for heading in headings]
        points: list[list[Any]] = []
        if chart := report.feed.chart:
            rows = _noting(chart, report.first_date, headings, rows, points)
        count = _write_rows(report, sheet, headings, rows, formats)
        _write_cover(report, book, about, {**facts, "Rows": f"{count:,}"}, headings)
        if chart and points:
            _add_chart(report, chart, book, points)
    return count


def _format(book: xlsxwriter.Workbook, column: Column | None) -> Format:
    kind, meta = (column.data_type, column.meta) if column else ("", {})
    scale = NUMERIC.fullmatch(kind)
    form = {"date": DATE, "timestamp": TIME, "timestamptz": TIME, "bigint": WHOLE}.get(kind, "General")
    if str(meta.get("metric", "")).endswith("_gbp") or (column and "in pounds" in column.description and scale):
        form = MONEY
    elif scale:
        form = WHOLE + ("." + "0" * int(scale[1]) if scale[1] != "0" else "")
        form += '"%"' if meta.get("factor") == 100 else ""
    return book.add_format({"num_format": form, "valign": "top"})


def _write_rows(
    report: Report, sheet: Worksheet, headings: Sequence[str], rows: Iterable[list[Any]], formats: list[Format]
) -> int:
    """The rows as a table with a filter, ready to print on pages with the headings."""
    count = 0
    for count, row in enumerate(rows, start=1):
        if count > MAX_ROWS:
            raise WarehouseError(
                f"{report.label} has more than {MAX_ROWS:,} rows, the limit of a workbook. Declare format csv."
            )
        for position, (value, form) in enumerate(zip(row, formats, strict=True)):
            is_long = isinstance(value, int) and abs(value) > MAX_EXACT
            sheet.write(count, position, str(value) if is_long else value, form)
    last = len(headings) - 1
    sheet.add_table(
        0, 0, max(count, 1), last,
        {"name": "Report", "style": "Table Style Light 9", "columns": [{"header": name} for name in headings]},
    )  # fmt: skip
    sheet.freeze_panes(1, 0)
    sheet.autofit(MAX_WIDTH_PIXELS)
    sheet.set_landscape()
    sheet.set_paper(A4)
    sheet.fit_to_pages(1, 0)
    sheet.repeat_rows(0)
    sheet.set_footer(f"&L{report.title.replace('&', '&&')}&RPage &P of &N")
    return count


def _write_cover(
    report: Report, book: xlsxwriter.Workbook, sheet: Worksheet, facts: Mapping[str, str], headings: Sequence[str]
) -> None:
    title, heading = (book.add_format({"bold": True, "font_size": size}) for size in (16, 12))
    name, text = (book.add_format({"bold": bold, "valign": "top", "text_wrap": True}) for bold in (True, False))
    source = {"Contact": f"{report.owner}, {report.email}", "Source": f"Data warehouse, table {report.label}"}
    definitions = {each: report.columns[each].description for each in headings if each in report.columns}
    sections = {"": {"Content": report.description, **facts, **source}, "Marks": MARKS, "Columns": definitions}
    sheet.write(0, 0, report.title, title)
    line = 1
    for section, entries in sections.items():
        sheet.write(line, 0, section, heading)
        for entry, meaning in entries.items():
            line += 1
            sheet.write(line, 0, entry, name)
            sheet.write(line, 1, meaning, text)
        line += 2
    sheet.set_column(0, 0, 30)
    sheet.set_column(1, 1, 100)
    sheet.hide_gridlines(2)
    sheet.set_landscape()
    sheet.set_paper(A4)
    sheet.fit_to_pages(1, 0)


def _noting(
    chart: Chart, by: str, headings: Sequence[str], rows: Iterable[list[Any]], points: list[list[Any]]
) -> Iterator[list[Any]]:
    """The same rows; adds the date and the figures of each row of the chart to `points`."""
    chosen = [headings.index(name) for name in (by, *chart.figures)]
    wanted = {headings.index(name): values for name, values in chart.rows.items()}
    for row in rows:
        if all(str(row[position]) in values for position, values in wanted.items()):
            points.append([row[position] for position in chosen])
        yield row


def _add_chart(report: Report, chart: Chart, book: xlsxwriter.Workbook, points: list[list[Any]]) -> None:
    """A sheet with the points in order of their dates, and a line for each figure."""
    points.sort(key=lambda point: point[0])
    if len({point[0] for point in points}) < len(points):
        raise WarehouseError(f"{report.label}: the chart of feed {report.name} has several rows for one date.")
    sheet, lines = book.add_worksheet("Chart"), book.add_chart({"type": "line"})
    dates = book.add_format({"num_format": DATE})
    sheet.write_row(0, 0, [report.first_date, *chart.figures], book.add_format({"bold": True}))
    for line, point in enumerate(points, start=1):
        sheet.write(line, 0, point[0], dates)
        sheet.write_row(line, 1, point[1:])
    sheet.autofit(MAX_WIDTH_PIXELS)
    for position, figure in enumerate(chart.figures, start=1):
        lines.add_series(
            {
                "name": figure,
                "categories": ["Chart", 1, 0, len(points), 0],
                "values": ["Chart", 1, position, len(points), position],
            }
        )
    lines.set_title({"name": report.title})
    lines.set_x_axis({"date_axis": True, "num_format": "mmm yyyy"})
    lines.set_legend({"position": "bottom"})
    lines.set_size({"width": 900, "height": 450})
    sheet.insert_chart(0, len(chart.figures) + 2, lines)
