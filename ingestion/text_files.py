"""Open a text file: plain, .gz, or one of a .zip, in the encoding of its contract."""

import gzip
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from fnmatch import fnmatchcase
from pathlib import Path

from ingestion.contracts import SourceError, Table
from ingestion.encodings import Bytes, EncodingError, Utf8
from ingestion.headings import location_in
from ingestion.logs import LogEntries
from ingestion.quoting import Checker

BLOCK_BYTES = 2 << 20  # longest row that can be read; larger blocks are not faster and take more memory
MAX_RATIO, FREE_BYTES = 200, 1 << 30  # of a compressed file: usually 5 to 30 times; a small file may exceed it


@contextmanager
def open_text(table: Table, path: Path, checks: Sequence[Checker] = (), tail: str = "") -> Iterator[Utf8]:
    """The file as UTF-8, decompressed, decoded and checked while it is read, followed by `tail`."""
    encoding = _encoding(table, path) if table.other_encodings else table.encoding
    try:
        with _unpacked(table, path) as file:
            yield Utf8(file, encoding, location_in(table, path), tail.encode(), checks)
    except (zipfile.BadZipFile, gzip.BadGzipFile, zlib.error, EOFError, UnicodeDecodeError):
        raise SourceError(
            f"{location_in(table, path)}: not a complete {path.suffix[1:]} file; request it again"
        ) from None


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
