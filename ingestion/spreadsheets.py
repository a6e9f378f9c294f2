"""Read the cells of a workbook (.xlsx, .xls, .ods) as rows of text, as a CSV of the sheet would have them."""

import datetime as datetime_module
import pickle
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fnmatch import fnmatchcase
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path
from typing import IO, Any, cast

import pyarrow as pa

from ingestion import ROOT, workbook_process
from ingestion.contract_fields import CELLS
from ingestion.contracts import SourceError, Table
from ingestion.formats import prints_back
from ingestion.headings import HEAD_ROWS, FileColumns, Row, find_header, location_in, name_columns
from ingestion.layouts import add_origin, batches, table_rows
from ingestion.workbook_process import MAX_MEMORY, MAX_SECONDS, Problem, Shape, column_number

KEPT_ROWS = 4 * HEAD_ROWS  # rows in which the header is looked for; `cells` may begin lower
MAX_EXACT = 2**53  # a double holds every whole number up to this
SUFFIXES = {".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"}


@dataclass
class Sheet:
    """A sheet while it is read: its rows come once, after the first ones, which are kept."""

    shape: Shape
    head: list[list[Any]]
    rest: Iterator[list[Any]]


def read_sheets(table: Table, path: Path, name: str, skipped: Counter[str] | None) -> Iterator[pa.Table]:
    """The rows of the contract's sheets as text (see `as_text`), with their origin.

    Another process reads the workbook. Raises SourceError.
    """
    first_row = 1
    for sheet in open_sheets(table, path):
        columns, rows = _read_sheet(table, path, sheet)
        for batch in add_origin(table, path, columns, rows, name, skipped, first_row):
            if table.sheet_column:
                batch = batch.append_column(table.sheet_column, pa.repeat(sheet.shape.name, len(batch)))
            yield batch
        first_row += 1 + (sheet.shape.end or (0, 0))[0]  # row numbers of the next sheet do not repeat these


def _read_sheet(table: Table, path: Path, sheet: Sheet) -> tuple[FileColumns, Iterator[pa.Table]]:
    headings, end = find_header(table, path, sheet_head(table, sheet))
    columns = name_columns(table, path, headings)
    declared = {column.name: column for column in table.columns}
    forms = [tuple(declared[name].format) if name in declared else () for name in columns.names]
    commas = [name in declared and "decimal_comma" in declared[name].number_format for name in columns.names]
    cells = _one_table(table, path, islice(_rows(table, sheet), end, None), columns)
    rows = ([as_text(*cell) for cell in zip(row, forms, commas, strict=True)] for row in cells)
    return columns, batches(table_rows(table, path, rows, columns), columns.names)


def _one_table(table: Table, path: Path, rows: Iterable[list[Any]], columns: FileColumns) -> Iterator[list[Any]]:
    """The same rows. Raises SourceError where a second table seems to begin: words below a blank row, in columns of
    numbers and dates.
    """
    typed = {column.name for column in table.columns if column.data_type != "text" and not column.null_values}
    places = [place for place, name in enumerate(columns.names) if name in typed]
    is_below_blank = False
    for number, row in enumerate(rows, 1):
        cells = [row[place] for place in places if row[place] not in ("", None)]
        if len(cells) == len(places) and all(isinstance(cell, str) and cell[:1].isalpha() for cell in cells):
            if is_below_blank and cells and not table.ends_at_blank_row:
                problem = f"another table begins at row {number} below the header"
                hint = "say where the first one ends: `ends_at_blank_row: true`, or `cells`"
                raise SourceError(f"{location_in(table, path)}: {problem}; {hint}")
        elif cells:
            is_below_blank = False
        if not any(cell not in ("", None) for cell in row):
            is_below_blank = True
        yield row


def as_text(cell: Any, date_formats: tuple[str, ...] = (), has_decimal_comma: bool = False) -> str | None:
    """A cell as text, to be cast like a CSV's value.

    A whole number has all its digits, or an exponent where a double does not hold them; a fraction has the 15 digits
    that Excel shows, with the column's decimal comma; a date has the column's format if that keeps the whole date, else
    ISO 8601, with a time only if it has one. Empty cells and errors (#N/A) are null.
    """
    match cell:
        case str():
            return cell or None
        case bool():
            return str(cell).lower()
        case int():
            return str(cell)
        case float() if cell.is_integer() and float(f"{cell:.15g}") != cell:
            return str(int(cell)) if abs(cell) <= MAX_EXACT else repr(cell)
        case float():
            return format(Decimal(f"{cell:.15g}"), "f").replace(".", "," if has_decimal_comma else ".")
        case date() | time() if form := _lossless(cell, date_formats):
            return cell.strftime(form)
        case datetime():
            return cell.isoformat(" ")
        case date() | time():
            return cell.isoformat()
        case timedelta():
            minutes, seconds = divmod(round(cell.total_seconds()), 60)
            return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
        case _:
            return None


@lru_cache(maxsize=4096)
def _lossless(moment: date | time, forms: tuple[str, ...]) -> str:
    """The first format that keeps the whole date or time of day; empty if there is none."""
    whole = moment if isinstance(moment, datetime) else datetime.combine(*_date_and_time(moment))
    return next((form for form in forms if prints_back(whole, form)), "")


def _date_and_time(moment: date | time) -> tuple[date, time]:
    """A date at midnight, or a time of day on the day that `strptime` gives to a text without a date."""
    return (date(1900, 1, 1), moment) if isinstance(moment, time) else (moment, time())


def sheet_head(table: Table, sheet: Sheet) -> list[Row]:
    """The sheet's first rows as text, one of which is the header."""
    return [[as_text(cell) for cell in row] for row in islice(_rows(table, sheet, header=True), HEAD_ROWS)]


def sheet_names(table: Table, path: Path) -> list[str]:
    """The names of the workbook's sheets; raises SourceError."""
    with _messages(table, path, "none") as messages:
        return list(next(messages))


def open_sheets(table: Table, path: Path) -> Iterator[Sheet]:
    """The contract's sheet or, with a `sheet_column`, its sheets one after the other; raises SourceError."""
    with _messages(table, path, "all" if table.sheet_column else "one") as messages:
        names = [name for name in next(messages) if fnmatchcase(name, table.sheet or "*")]
        if not names or (len(names) > 1 and not table.sheet_column):
            match = f"match {table.sheet}" if table.sheet else "in the workbook; name one as `sheet`"
            raise SourceError(f"{location_in(table, path)}: expected one sheet, {len(names)} {match}")
        for _ in names:
            shape = next(messages)
            rows = chain.from_iterable(iter(lambda: next(messages), []))
            yield Sheet(shape, list(islice(rows, KEPT_ROWS)), rows)
            for _ in rows:  # a sheet that was not read to its end
                pass


@contextmanager
def _messages(table: Table, path: Path, which: str) -> Iterator[Iterator[Any]]:
    """The messages of a process that reads the workbook (ingestion.workbook_process); raises SourceError."""
    command = [sys.executable, "-m", "ingestion.workbook_process", str(path.absolute()), table.sheet or "*", which]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:

        def messages() -> Iterator[Any]:
            while True:
                try:
                    message = _Unpickler(cast("IO[bytes]", process.stdout)).load()
                except (EOFError, pickle.UnpicklingError):
                    raise SourceError(f"{location_in(table, path)}: {_end(process.wait())}") from None
                if isinstance(message, Problem):
                    raise SourceError(f"{location_in(table, path)}: {message.words}")
                yield message

        try:
            yield messages()
        finally:
            process.kill()


def _end(status: int) -> str:
    """Why the process ended before the last row."""
    if status == -signal.SIGXCPU:
        return f"reading the workbook takes more than {MAX_SECONDS} seconds of processor time"
    if status:
        limit = f"reading the workbook takes more than {MAX_MEMORY >> 30} GB of memory"
        return f"{limit}. Delete the cells outside the table, or request the table alone"
    return "not a complete workbook"


class _Unpickler(pickle.Unpickler):
    """Accepts cells only: a hostile workbook must not run code here through the process that reads it."""

    def find_class(self, module: str, name: str) -> Any:
        allowed = {"datetime": {"date", "datetime", "time", "timedelta"}, "__main__": {"Shape", "Problem"}}
        if name not in allowed.get(module, ()):
            raise pickle.UnpicklingError
        return getattr(workbook_process if module == "__main__" else datetime_module, name)


def _rows(table: Table, sheet: Sheet, header: bool = False) -> Iterator[list[Any]]:
    """The sheet's rows (of a header: its first rows), or those of the contract's `cells`.

    A merged cell counts for all its cells in a header; in data for its rows, if it is text.
    """
    (_, left), (end, _) = sheet.shape.start or (0, 0), sheet.shape.end or (0, 0)
    merged = [cells for cells in sheet.shape.merged if not header or cells[0][0] < KEPT_ROWS]
    origins = {
        (row, column - left): (top, first - left)
        for (top, first), (bottom, last) in merged
        for row in range(top, min(bottom, KEPT_ROWS if header else end) + 1)
        for column in range(first, (last if header else first) + 1)
    }
    values: dict[tuple[int, int], Any] = {}
    match = CELLS.fullmatch(table.cells or "")
    top, bottom = (int(match[2]) - 1, int(match[4])) if match else (0, end + 1)
    first_place = max(column_number(match[1]) - 1 - left, 0) if match else 0
    last_place = max(column_number(match[3]) - left, 0) if match else None
    rows: Iterable[list[Any]] = ([*row] for row in sheet.head)
    for number, row in islice(enumerate(rows if header else chain(rows, sheet.rest)), bottom):
        for column in range(len(row)) if origins else ():
            if origin := origins.get((number, column)):
                value = values.setdefault(origin, row[column])
                row[column] = value if header or isinstance(value, str) else row[column]
        if number >= top:
            yield row[first_place:last_place]
