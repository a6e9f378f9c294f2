"""Read files of a landing folder as Arrow tables: CSV (plain, .gz, or one in a .zip), Parquet, workbooks."""

import csv
import gzip
import hashlib
import io
import re
import zipfile
import zlib
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from functools import partial
from itertools import accumulate, islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from ingestion.contracts import SourceError, System, Table
from ingestion.encodings import Bytes, EncodingError, Utf8
from ingestion.layouts import (
    HEAD_ROWS,
    FileColumns,
    Row,
    add_origin,
    batches,
    find_header,
    location_in,
    name_columns,
    table_rows,
    wrong_width,
)
from ingestion.logs import LogEntries
from ingestion.quoting import Checker, EscapeChecker, QuoteChecker
from ingestion.spreadsheets import SUFFIXES, open_sheets, read_sheets, sheet_head

BLOCK_BYTES = 2 << 20  # longest row that can be read; larger blocks are not faster and take more memory
HEAD_BYTES = 1 << 20
PARQUET_ROWS = 32_768
MAX_RATIO, FREE_BYTES = 200, 1 << 30  # of a compressed CSV: usually 5 to 30 times; a small file may exceed it


def matching_files(table: Table, location: str) -> list[Path]:
    """The table's files in the landing folder, sorted by path; raises SourceError if there are none.

    Excel's lock files (`~$`) and unfinished copies (`.`) are ignored.
    """
    folder = Path(location)
    if re.match(r"\w{2,}:", location):
        raise SourceError(f"{table.label}: {table.system.location} is a URL; files are read from a folder", table)
    if not folder.is_dir():
        raise SourceError(f"{table.label}: the folder {folder} does not exist (check {table.system.location})")
    found = (path for path in folder.glob(_any_case(table.files or "")) if _is_delivered(path))
    if not (paths := sorted(found)):
        raise SourceError(f"{table.label}: no file {table.files} in {folder} (check {table.system.location})")
    return paths


def unmatched_files(systems: Iterable[System], location: str) -> list[str]:
    """Names of the files below the landing folder that no table of the systems reads.

    Folders that no pattern of these systems names are not searched: other systems' files may be there.
    """
    folder = Path(location)
    patterns = [table.files or "" for system in systems for table in system.tables]
    matched = {path for pattern in patterns for path in folder.glob(_any_case(pattern))}
    parents = {str(Path(pattern).parent) for pattern in patterns}
    folders = {path for parent in parents - {"."} for path in folder.glob(_any_case(parent)) if path.is_dir()}
    folders |= {folder} if "." in parents else set()
    found = {path for parent in folders for path in parent.iterdir() if _is_delivered(path)}
    return [str(path.relative_to(folder)) for path in sorted(found - matched)]


def _any_case(pattern: str) -> str:
    """The pattern for names in upper or lower case: *.csv also finds MAY.CSV."""

    def both_cases(found: re.Match[str]) -> str:
        text = found[0]
        return text if text.startswith("[") else f"[{text.lower()}{text.upper()}]"

    return re.sub(r"\[[^]]*\]|[A-Za-z]", both_cases, pattern)


def _is_delivered(path: Path) -> bool:
    return path.is_file() and not path.name.startswith(("~$", "."))


def fingerprint(path: Path) -> str:
    """A hash of the file's content: equal for a file that is delivered again or renamed."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_file(
    table: Table, path: Path, name: str | None = None, skipped: Counter[str] | None = None
) -> Iterator[pa.Table]:
    """Arrow tables of bounded size of one file, not yet cast: text, or Parquet's own types; empty values are null.

    Columns: the declared columns, other columns under their headings in snake case unless excluded, _source_file
    (`name`: the path below the landing folder, by default the file's name) and _source_row (int64: row of data from 1;
    blank lines are not counted). A file without rows yields nothing. `skipped` receives the number of rows
    that the contract skips, by rule.
    Raises SourceError, which names file, row, table and column but no value, for a file that does not match its
    contract. The error may come at the file's end, so keep nothing before that.
    """
    name = name or path.name
    if (suffix := path.suffix.lower()) in SUFFIXES:
        yield from read_sheets(table, path, name, skipped)
    else:
        columns, source = _read_parquet(table, path) if suffix == ".parquet" else _read_csv(table, path)
        yield from add_origin(table, path, columns, source, name, skipped)


def read_head(table: Table, path: Path) -> list[Row]:
    """The file's first rows as text, one of which is the header; raises SourceError."""
    if (suffix := path.suffix.lower()) == ".parquet":
        return [_open_parquet(table, path).schema_arrow.names]
    return sheet_head(table, next(open_sheets(table, path))) if suffix in SUFFIXES else _csv_head(table, path)[0]


def _read_csv(table: Table, path: Path) -> tuple[FileColumns, Iterator[pa.Table]]:
    rows, ends = _csv_head(table, path)
    headings, end = find_header(table, path, rows)
    columns = name_columns(table, path, headings)
    by_row = table.has_footer or table.subtotals or table.ends_at_blank_row or table.ragged == "pad"
    read = _read_by_row if by_row else _read_plain
    return columns, read(table, path, columns, ends[end])


def _csv_head(table: Table, path: Path) -> tuple[list[Row], list[int]]:
    """The first rows, and the offset of each in bytes of UTF-8, ending with the offset of the row after them."""
    with _open(table, path) as file:
        text = file.take(HEAD_BYTES).decode(errors="ignore")  # ignore a character that the limit cuts in two
    lines = io.StringIO(text, newline="").readlines()
    csv.field_size_limit(BLOCK_BYTES)
    reader = csv.reader(lines, **_grammar(table))
    rows: list[Row] = []
    ends = [0]  # line number after each row: a heading may contain line ends
    for row in islice(reader, HEAD_ROWS):
        rows.append([*row])
        ends.append(reader.line_num)
    sizes = [0, *accumulate(len(line.encode()) for line in lines)]
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
        raise SourceError(
            f"{location_in(table, path)}: the file ends within quotation marks. It is truncated; request it again"
        )


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
        # Python's reader takes a last line without end, below an escaped line end, for a truncated file
        yield line + "\n" * bool(table.escape and not line.endswith(("\r", "\n", table.escape)))


def _too_long(table: Table, path: Path) -> SourceError:
    return SourceError(f"{location_in(table, path)}: a row is longer than 2 MB. Is a quotation mark not closed?")


def _read_parquet(table: Table, path: Path) -> tuple[FileColumns, Iterator[pa.Table]]:
    if table.has_footer:
        raise SourceError(f"{location_in(table, path)}: a Parquet file has no footer; remove it from the contract")

    def read() -> Iterator[pa.Table]:
        try:
            for batch in file.iter_batches(PARQUET_ROWS):
                batch.validate(full=True)
                yield pa.Table.from_batches([batch]).rename_columns(columns.names)
        except (pa.ArrowException, UnicodeDecodeError, OSError):
            raise _damaged(table, path) from None

    file = _open_parquet(table, path)
    headings, _ = find_header(table, path, [file.schema_arrow.names])
    columns = name_columns(table, path, headings)
    return columns, read()


def _open_parquet(table: Table, path: Path) -> pyarrow.parquet.ParquetFile:
    try:
        return pyarrow.parquet.ParquetFile(path, page_checksum_verification=True, pre_buffer=False, buffer_size=1 << 20)
    except (pa.ArrowException, UnicodeDecodeError, OSError):
        raise _damaged(table, path) from None


def _damaged(table: Table, path: Path) -> SourceError:
    return SourceError(f"{location_in(table, path)}: not a complete Parquet file; request it again")


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
