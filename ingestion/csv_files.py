"""Read CSV files, plain, .gz, or one in a .zip, as Arrow tables of text."""

import csv
import io
from collections import deque
from collections.abc import Iterator
from functools import partial
from itertools import accumulate, islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv

from ingestion.contracts import SourceError, Table
from ingestion.encodings import Utf8
from ingestion.headings import HEAD_ROWS, FileColumns, Row, find_header, location_in, name_columns
from ingestion.layouts import batches, table_rows, wrong_width
from ingestion.quoting import Checker, EscapeChecker, QuoteChecker
from ingestion.text_files import BLOCK_BYTES, open_text

HEAD_BYTES = 1 << 20


def read_csv(table: Table, path: Path) -> tuple[FileColumns, Iterator[pa.Table]]:
    """The file's columns and its rows as text; raises SourceError, at the end of the file too."""
    rows, ends = csv_head(table, path)
    headings, end = find_header(table, path, rows)
    columns = name_columns(table, path, headings)
    by_row = table.has_footer or table.subtotals or table.ends_at_blank_row or table.ragged == "pad"
    read = _read_by_row if by_row else _read_plain
    return columns, read(table, path, columns, ends[end])


def csv_head(table: Table, path: Path) -> tuple[list[Row], list[int]]:
    """The first rows, and the offset of each in bytes of UTF-8, ending with the offset of the row after them."""
    with open_text(table, path, _checks(table, path)) as file:
        content = file.take(HEAD_BYTES)
    lines = io.StringIO(content.decode(errors="ignore"), newline="").readlines()  # the limit may cut a character in two
    sizes = [0, *accumulate(len(line.encode()) for line in lines)]
    is_whole = len(content) < HEAD_BYTES
    if is_whole and lines:
        lines[-1] += _missing_end(table, lines[-1])
    csv.field_size_limit(BLOCK_BYTES)
    reader = csv.reader(lines, strict=is_whole, **_grammar(table))
    rows: list[Row] = []
    ends = [0]  # line number after each row: a heading may contain line ends
    try:
        for row in islice(reader, HEAD_ROWS):
            rows.append([*row])
            ends.append(reader.line_num)
    except csv.Error:
        raise _truncated(table, path) from None
    return rows, [sizes[end] for end in ends]


def _read_plain(table: Table, path: Path, columns: FileColumns, start: int) -> Iterator[pa.Table]:
    """The rows from byte `start`. An empty row is appended: pyarrow needs a row, and an unclosed mark swallows it."""
    names = columns.names
    damaged: list[Any] = []
    blank: deque[int] = deque()  # numbers of the rows that pyarrow skips

    def refuse(row: Any) -> str:
        if not any(cell.strip() for line in csv.reader(io.StringIO(row.text, ""), **_grammar(table)) for cell in line):
            blank.append(row.number)
            return "skip"
        damaged.append(row)
        return "error"

    reading = pyarrow.csv.ReadOptions(column_names=names, block_size=BLOCK_BYTES, use_threads=False)
    parsing = pyarrow.csv.ParseOptions(
        delimiter=table.delimiter,
        quote_char=table.quote_character or False,
        escape_char=table.escape or False,
        newlines_in_values=True,
        invalid_row_handler=refuse,
    )
    converting = pyarrow.csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True, null_values=[""], check_utf8=False
    )
    last, number = None, 1
    mark = table.quote_character
    tail = "\n" + table.delimiter.join([(mark or "") * 2] * len(names)) + "\n"
    with open_text(table, path, _checks(table, path), tail) as file:
        file.take(start)
        # An empty line first, because pyarrow drops a byte order mark with which the first value begins
        file.pending = b"\n" + file.pending
        try:
            for batch in pyarrow.csv.open_csv(file, reading, parsing, converting):
                last = batch.slice(len(batch) - 1) if len(batch) else last
                rows = _with_blank_rows(pa.Table.from_batches([batch]), blank, number)
                number += len(rows)
                yield rows
        except pa.ArrowInvalid as error:
            if damaged:
                row = damaged[0]
                raise wrong_width(table, path, row.number, row.actual_columns, len(names)) from None
            if "straddl" in str(error):
                raise _too_long(table, path) from None
            raise SourceError(f"{location_in(table, path)}: not CSV") from None
    if mark and (last is None or any(column.null_count == 0 for column in last.columns)):
        raise _truncated(table, path)


def _with_blank_rows(rows: pa.Table, blank: deque[int], first: int) -> pa.Table:
    """The rows, of which the first has the number `first`, with an empty row for each one that was skipped."""
    places: list[int | None] = []
    position = 0
    while blank and (place := blank[0] - first - len(places) + position) <= len(rows):
        places += [*range(position, place), None]
        position = place
        blank.popleft()
    return rows.take(pa.array([*places, *range(position, len(rows))], pa.int64())) if places else rows


def _read_by_row(table: Table, path: Path, columns: FileColumns, start: int) -> Iterator[pa.Table]:
    """The rows from byte `start`, read by Python: a footer or a ragged row may have fewer values than the header."""
    with open_text(table, path, _checks(table, path)) as file:
        above = file.take(start).count(b"\n")
        reader = csv.reader(_short_lines(table, path, file), strict=True, **_grammar(table))
        rows = ([cell or None for cell in row] for row in reader if row or table.ends_at_blank_row)
        try:
            yield from batches(table_rows(table, path, rows, columns), columns.names)
        except csv.Error as error:
            line = above + reader.line_num
            raise SourceError(f"{location_in(table, path, f', line {line}')}: not CSV ({error})") from None


def _grammar(table: Table) -> dict[str, Any]:
    """The contract's grammar for Python's reader, which reads headers and files with a footer."""
    quoting: dict[str, Any] = (
        {"quotechar": table.quote_character} if table.quote_character else {"quoting": csv.QUOTE_NONE}
    )
    return {"delimiter": table.delimiter, "escapechar": table.escape, **quoting}


def _short_lines(table: Table, path: Path, file: Utf8) -> Iterator[str]:
    lines = io.TextIOWrapper(io.BufferedReader(file), "utf-8", newline="")
    while line := lines.readline(BLOCK_BYTES):
        if len(line) == BLOCK_BYTES:
            raise _too_long(table, path)
        yield line + _missing_end(table, line)


def _missing_end(table: Table, line: str) -> str:
    """The end of a last line without one, which Python's reader takes for truncated below an escaped line end."""
    return "\n" if table.escape and not line.endswith(("\r", "\n", table.escape)) else ""


def _truncated(table: Table, path: Path) -> SourceError:
    problem = "the file ends within quotation marks. It is truncated; request it again"
    return SourceError(f"{location_in(table, path)}: {problem}")


def _too_long(table: Table, path: Path) -> SourceError:
    return SourceError(f"{location_in(table, path)}: a row is longer than 2 MB. Is a quotation mark not closed?")


def _checks(table: Table, path: Path) -> list[Checker]:
    """The checks of a CSV's grammar, escape characters first; each entry of a growing file is checked by itself."""
    if table.growing:
        return []
    locate, quote = partial(location_in, table, path), table.quote_character
    checks: list[Checker] = []
    if table.escape:
        null_values = [*table.null_values, *(text for column in table.columns for text in column.null_values)]
        checks.append(EscapeChecker(locate, table.delimiter, quote, table.escape, null_values))
    if quote:
        checks.append(QuoteChecker(locate, table.delimiter, quote, table.escape))
    return checks
