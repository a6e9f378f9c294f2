"""Read a log in CSV form while it is being written: every entry that can be read, whatever the others contain.

Anybody who reaches a server can put any bytes into its log, without a login, and any reader a statement of any length.
An entry that the CSV reader would refuse must not take the day's other entries with it.
"""

import csv
from collections.abc import Iterator
from io import BufferedReader
from typing import NamedTuple

from ingestion.contracts import SourceError

MAX_BYTES = 1 << 20  # of an entry; the CSV reader reads rows of up to 2 MB
MAX_RESCANS = 100  # of the rest of the file, for an entry that does not end
CUT = " [cut]"
UNREADABLE = "[unreadable]"


class LogEntries:
    """The complete entries of `file` as CSV in UTF-8, each with `width` values (0: as many as the first one).

    Bytes that are not UTF-8, and null characters, become U+FFFD. An entry longer than MAX_BYTES is cut; its last value
    then ends in CUT. A line that is no entry, such as the beginning of one that a crash cut off, becomes a row whose
    values are UNREADABLE; a column that is no text sends it to quarantine, which counts the loss. Lines at the end that
    are no entry yet are left out. Raises SourceError, beginning with `where`, if no line has `width` values.
    """

    def __init__(self, file: BufferedReader, width: int, delimiter: str, where: str):
        self.rows, self.left = _rows(file, width, delimiter, where), b""

    def read(self, size: int) -> bytes:
        """The next bytes, at most `size`; empty at the end."""
        while not self.left and (row := next(self.rows, None)):
            self.left = row
        block, self.left = self.left[:size], self.left[size:]
        return block


class _Entry(NamedTuple):
    """The lines from one place in a file to the end of the CSV row; `kept` are the first MAX_BYTES of them."""

    kept: bytes
    length: int
    first_line: int
    is_complete: bool


def _rows(file: BufferedReader, width: int, delimiter: str, where: str) -> Iterator[bytes]:
    csv.field_size_limit(2 * MAX_BYTES)
    start = damaged = rescans = readable = other_width = 0
    while rescans < MAX_RESCANS:
        entry = _read_entry(file)
        if not entry.length:
            break
        row, values = _as_csv(entry, delimiter)
        width = width or values
        if entry.is_complete and (values == width or (entry.length > MAX_BYTES and values < width)):
            yield from [delimiter.join([UNREADABLE] * width).encode() + b"\n"] * damaged
            yield row + delimiter.encode() * (width - values) + b"\n"
            start, damaged, readable = start + entry.length, 0, readable + 1
        else:
            start, damaged = start + entry.first_line, damaged + 1
            rescans += not entry.is_complete
            other_width = other_width or (values if entry.is_complete else 0)
            file.seek(start)
    if other_width and not readable:
        raise SourceError(f"{where}: a line has {other_width} values; {width} headings are declared")


def _read_entry(file: BufferedReader) -> _Entry:
    kept, length, first_line, marks = bytearray(), 0, 0, 0
    while line := _to_next_mark(file) if first_line and marks % 2 else file.readline(MAX_BYTES):
        if len(kept) < MAX_BYTES:
            kept += line[: MAX_BYTES - len(kept)]
        length += len(line)
        marks += line.count(b'"')
        if line.endswith(b"\n"):
            first_line = first_line or length
            if marks % 2 == 0:
                return _Entry(bytes(kept), length, first_line, True)
    return _Entry(bytes(kept), length, first_line or length, False)


def _to_next_mark(file: BufferedReader) -> bytes:
    """The next bytes up to a quotation mark, or all that are buffered: within a value, a line end has no meaning."""
    buffered = file.peek()
    return file.read(buffered.find(b'"') + 1 or len(buffered))


def _as_csv(entry: _Entry, delimiter: str) -> tuple[bytes, int]:
    """The entry as a CSV row without its line end, and the number of its values."""
    text = entry.kept.decode(errors="replace").replace("\0", "\ufffd").rstrip("\r\n")
    row = text.encode()
    if entry.length > MAX_BYTES or len(row) > MAX_BYTES:
        text = row[:MAX_BYTES].decode(errors="ignore").rstrip('"') + CUT
        text += '"' * (text.count('"') % 2)
        row = text.encode()
    try:
        (values,) = csv.reader([text], delimiter=delimiter)
    except (csv.Error, ValueError):
        return row, 0
    return row, len(values)
