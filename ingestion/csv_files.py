"""Read CSV files, plain, .gz, or one in a .zip, as Arrow tables of text."""

import csv
import gzip
import io
import zipfile
import zlib
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from functools import partial
from itertools import accumulate, islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv

from ingestion.contracts import SourceError, Table
from ingestion.encodings import Bytes, EncodingError, Utf8
from ingestion.headings import HEAD_ROWS, FileColumns, Row, find_header, location_in, name_columns
from ingestion.layouts import batches, table_rows, wrong_width
from ingestion.logs import LogEntries
from ingestion.quoting import Checker, EscapeChecker, QuoteChecker

BLOCK_BYTES = 2 << 20  # longest row that can be read; larger blocks are not faster and take more memory
HEAD_BYTES = 1 << 20
MAX_RATIO, FREE_BYTES = 200, 1 << 30  # of a compressed CSV: usually 5 to 30 times; a small file may exceed it


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
    with _open(table, path) as file:
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
    with _open(table, path, tail) as file:
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
    with _open(table, path) as file:
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


@contextmanager
def _open(table: Table, path: Path, tail: str = "") -> Iterator[Utf8]:
    """The CSV as UTF-8, decompressed and decoded while it is read, followed by `tail`."""
    encoding = _encoding(table, path) if table.other_encodings else table.encoding
    try:
        with _unpacked(table, path) as file:
            checks = [] if table.growing else _checks(table, path)  # each entry of a growing file is checked by itself
            yield Utf8(file, encoding, location_in(table, path), tail.encode(), checks)
    except (zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError, UnicodeDecodeError):
        raise SourceError(
            f"{location_in(table, path)}: not a complete {path.suffix[1:]} file; request it again"
        ) from None


def _checks(table: Table, path: Path) -> list[Checker]:
    """The checks of a CSV's grammar, escape characters first."""
    locate, quote = partial(location_in, table, path), table.quote_character
    checks: list[Checker] = []
    if table.escape:
        null_values = [*table.null_values, *(text for column in table.columns for text in column.null_values)]
        checks.append(EscapeChecker(locate, table.delimiter, quote, table.escape, null_values))
    if quote:
        checks.append(QuoteChecker(locate, table.delimiter, quote, table.escape))
    return checks


def _encoding(table: Table, path: Path) -> str:
    """The first declared encoding that the whole file fits; the first of all if none fits."""
    for encoding in (table.encoding, *table.other_encodings):
        with suppress(EncodingError), _unpacked(table, path) as file:
            text = Utf8(file, encoding, "")
            while text.take(BLOCK_BYTES):
                pass
            return encoding
    return table.encoding


@contextmanager
def _unpacked(table: Table, path: Path) -> Iterator[Bytes]:
    if path.suffix.lower() == ".gz":
        with gzip.open(path) as file:
            yield _Unpacked(table, path, file, path.stat().st_size)
    elif path.suffix.lower() == ".zip":
        with zipfile.ZipFile(path) as archive:
            pattern = (table.member or "*.csv").lower()
            names = [n for n in archive.namelist() if fnmatchcase(n.lower(), pattern) and not n.startswith("__MACOSX/")]
            if len(names) != 1:
                which = f"files that match {table.member}" if table.member else "CSV files"
                hint = "" if table.member else "; name one as `member`"
                raise SourceError(f"{location_in(table, path)}: contains {len(names)} {which} instead of one{hint}")
            try:
                member = archive.open(names[0])
            except RuntimeError:  # including NotImplementedError
                problem = "has a password or an unsupported compression"
                raise SourceError(f"{location_in(table, path)}: {problem}") from None
            with member as file:
                yield _Unpacked(table, path, file, archive.getinfo(names[0]).compress_size)
    elif table.growing:
        with path.open("rb") as log:
            yield LogEntries(log, len(table.headings), table.delimiter, location_in(table, path))
    else:
        with path.open("rb", buffering=0) as file:
            yield file


class _Unpacked:
    """The bytes of a compressed file; raises SourceError for a file that is made to fill the disk."""

    def __init__(self, table: Table, path: Path, file: Bytes, packed: int):
        self.table, self.path, self.file = table, path, file
        self.left = max(FREE_BYTES, packed * MAX_RATIO)

    def read(self, size: int) -> bytes:
        block = self.file.read(size)
        self.left -= len(block)
        if self.left < 0:
            raise SourceError(f"{location_in(self.table, self.path)}: unpacks to more than {MAX_RATIO} times its size")
        return block
