"""Read files of a landing folder as Arrow tables: CSV and JSON (plain, .gz, or one in a .zip), Parquet, workbooks."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from ingestion.contracts import SourceError, System, Table
from ingestion.csv_files import csv_head, read_csv
from ingestion.headings import FileColumns, Row, find_header, location_in, name_columns
from ingestion.json_files import json_headings, json_suffix, read_json
from ingestion.layouts import add_origin
from ingestion.spreadsheets import SUFFIXES, open_sheets, read_sheets, sheet_head

PARQUET_ROWS = 32_768


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
    """The SHA-256 of the file's content: equal for a file that is delivered again or renamed."""
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
        if suffix == ".parquet":
            columns, source = _read_parquet(table, path)
        else:
            columns, source = (read_json if json_suffix(table, path) else read_csv)(table, path)
        yield from add_origin(table, path, columns, source, name, skipped)


def read_head(table: Table, path: Path) -> list[Row]:
    """The file's first rows as text, one of which is the header; raises SourceError."""
    if (suffix := path.suffix.lower()) == ".parquet":
        return [_open_parquet(table, path).schema_arrow.names]
    if json_suffix(table, path):
        return [[*json_headings(table, path)]]
    return sheet_head(table, next(open_sheets(table, path))) if suffix in SUFFIXES else csv_head(table, path)[0]


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
