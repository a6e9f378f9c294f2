"""Reads files: CSV, plain or one inside each ZIP, from a landing folder, as Arrow tables."""

import csv
import hashlib
import io
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.csv

from ingestion.contracts import SourceError, Table
from ingestion.tables import conform

BLOCK_BYTES = 8 << 20
UNREADABLE = "{}: {}: not {} CSV; is it damaged, or in another encoding?"


def matching_files(table: Table, location: str) -> list[Path]:
    """The landing folder's files that are the table's, sorted by name; raises SourceError where there are none."""
    folder = Path(location)
    if not folder.is_dir():
        raise SourceError(f"{table.label}: the folder {folder} does not exist; {table.system.location} names it")
    if not (paths := sorted(folder.glob(table.files))):
        raise SourceError(f"{table.label}: no file {table.files} in {folder}, which {table.system.location} names")
    return paths


def fingerprint(paths: list[Path]) -> str:
    """A hash of the files' names and contents: equal if nothing was delivered, renamed or corrected."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            digest.update(f"{path.name}:{hashlib.file_digest(file, 'sha256').hexdigest()};".encode())
    return digest.hexdigest()


def read_files(table: Table, paths: list[Path]) -> Iterator[pa.Table]:
    """Arrow tables with the contract's columns, and where each row came from: _source_file, _source_row (from 1).

    Raises SourceError, naming file, row, table and column, for a file that is not as the contract says.
    """
    for path in paths:
        with _open(table, path) as file:
            names = _match(table, path, file)
        first_row = 1
        with _open(table, path) as file:
            for batch in _read_csv(table, path, file, names):
                rows = conform(table, batch, path.name, first_row)
                rows = rows.append_column("_source_file", pa.repeat(path.name, len(batch)))
                rows = rows.append_column("_source_row", pa.array(range(first_row, first_row + len(batch)), pa.int64()))
                first_row += len(batch)
                yield rows


def _read_csv(table: Table, path: Path, file: BinaryIO, names: list[str]) -> Iterator[pa.Table]:
    """All values as text, empty ones as null."""
    damaged: list[pyarrow.csv.InvalidRow] = []
    encoding = "utf8" if table.encoding.lower().startswith(("utf-8", "utf8")) else table.encoding
    reading = pyarrow.csv.ReadOptions(
        column_names=names, skip_rows=1, block_size=BLOCK_BYTES, encoding=encoding, use_threads=False
    )
    parsing = pyarrow.csv.ParseOptions(
        newlines_in_values=True, invalid_row_handler=lambda row: damaged.append(row) or "error"
    )
    text = dict.fromkeys(names, pa.string())
    converting = pyarrow.csv.ConvertOptions(column_types=text, strings_can_be_null=True, null_values=[""])
    try:
        for batch in pyarrow.csv.open_csv(file, reading, parsing, converting):
            yield pa.Table.from_batches([batch])
    except pa.ArrowInvalid as error:
        if damaged:
            row, found, expected = damaged[0].number - 1, damaged[0].actual_columns, damaged[0].expected_columns
            where = f"{path.name}, row {row}: {table.label}"
            raise SourceError(f"{where}: {found} values where the header has {expected}; ask for it again") from None
        if "Empty CSV" not in str(error):  # a header without rows is an empty delivery, not a damaged one
            raise SourceError(UNREADABLE.format(path.name, table.label, table.encoding)) from None


@contextmanager
def _open(table: Table, path: Path) -> Iterator[BinaryIO]:
    """The CSV's bytes; the one CSV of a ZIP is unpacked as it is read."""
    if path.suffix.lower() != ".zip":
        with path.open("rb") as file:
            yield file
        return
    try:
        with zipfile.ZipFile(path) as archive:
            members = [name for name in archive.namelist() if name.lower().endswith(".csv")]
            if len(members) != 1:
                raise SourceError(f"{path.name}: {table.label}: holds {len(members)} CSV files; one is expected")
            with archive.open(members[0]) as file:
                yield file
    except (zipfile.BadZipFile, EOFError) as error:
        raise SourceError(f"{path.name}: {table.label}: not a whole ZIP file ({error})") from None


def _match(table: Table, path: Path, file: BinaryIO) -> list[str]:
    """A name for each of the file's columns, in its order: the declared column's, or `<heading> (undeclared n)`.

    A declared column that is missing or there twice is refused.
    """
    where = f"{path.name}, line 1: {table.label}"
    try:
        headers = next(csv.reader(io.TextIOWrapper(file, table.encoding, newline="")), [])
    except UnicodeDecodeError:
        raise SourceError(UNREADABLE.format(path.name, table.label, table.encoding)) from None
    if not any(headers):
        raise SourceError(f"{where}: the file is empty; a header is expected")
    names = [f"{header} (undeclared {position})" for position, header in enumerate(headers)]
    for column in table.columns:
        found = [p for p, header in enumerate(headers) if column.name == snake_case(header) and not column.header]
        found += [p for p, header in enumerate(headers) if header == column.header]
        if not found:
            raise SourceError(f"{where}: no column {column.header or column.name}; there are {', '.join(headers)}")
        if len(found) > 1:
            raise SourceError(
                f"{where}.{column.name}: {len(found)} columns have this name; there are {', '.join(headers)}"
            )
        names[found[0]] = column.name
    return names


def snake_case(header: str) -> str:
    """A heading as a column name: `BeneficiaryOtherID` and `Beneficiary other ID` both give beneficiary_other_id."""
    words = re.sub(r"([a-z0-9])([A-Z])|([A-Z])(?=[A-Z][a-z])", r"\1\3_\2", header.strip())
    return re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")
