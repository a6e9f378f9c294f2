"""Reads a workbook in a process of its own, with limits on memory and processor time; prints pickled messages.

`python -m ingestion.workbook_process <file> <sheet pattern> <all|one|none>`: a message is the names of the sheets, then
for each chosen sheet its Shape, lists of rows, and an empty list. A workbook can ask for any amount of memory: of two
cells, A1 and XFD1048576, the reader makes a table of 17 billion cells, and the process ends.
"""

import pickle
import re
import resource
import sys
import zipfile
import zlib
from fnmatch import fnmatchcase
from itertools import islice
from typing import Any, NamedTuple

from python_calamine import CalamineError, CalamineWorkbook

MAX_MEMORY = 3 << 30
MAX_SECONDS = 600  # of processor time
MAX_UNPACKED = 3 << 30  # bytes of all parts of a workbook
MAX_CELLS = 60_000_000  # of the rectangle that holds every cell; Excel's own limit is 17 billion
DIMENSION = re.compile(rb'<dimension ref="(?:[A-Z]+[0-9]+:)?([A-Z]+)([0-9]+)"')
CHUNK = 500
BROKEN = (CalamineError, zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError)


class Shape(NamedTuple):
    """A sheet's name, its first and last filled cell and its merged cells (rows and columns from 0)."""

    name: str
    start: tuple[int, int] | None
    end: tuple[int, int] | None
    merged: list[tuple[tuple[int, int], tuple[int, int]]]


class Problem(NamedTuple):
    """Why a workbook cannot be read."""

    words: str


def column_number(letters: str) -> int:
    """The position of a column, from 1: A is 1, AA is 27."""
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number


def _problem(path: str) -> str | None:
    """What the parts of the workbook say before they are read: damaged, too large, or too many cells."""
    if not zipfile.is_zipfile(path):  # .xls
        return None
    with zipfile.ZipFile(path) as packed:
        if (size := sum(part.file_size for part in packed.infolist())) > MAX_UNPACKED:
            return f"unpacks to {size / 1e9:,.0f} GB (limit {MAX_UNPACKED / 1e9:,.0f} GB)"
        for part in packed.namelist():
            if part.startswith("xl/worksheets/") and part.endswith(".xml"):
                with packed.open(part) as sheet:
                    found = DIMENSION.search(sheet.read(4096))
                cells = column_number(found[1].decode()) * int(found[2]) if found else 0
                if found and cells > MAX_CELLS:
                    return f"a sheet has {int(found[2]):,} rows and {column_number(found[1].decode()):,} columns"
        if packed.testzip():  # the reader ignores the checksums
            raise zipfile.BadZipFile
    return None


def main(path: str, pattern: str, which: str) -> None:
    """Print the messages about the workbook."""
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_SECONDS, MAX_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def say(message: Any) -> None:
        pickle.dump(message, sys.stdout.buffer, protocol=5)

    try:
        if words := _problem(path):
            say(Problem(words))
            return
        book = CalamineWorkbook.from_path(path)
        say(list(book.sheet_names))
        names = [name for name in book.sheet_names if fnmatchcase(name, pattern)]
        for name in names if which == "all" or (which == "one" and len(names) == 1) else []:
            sheet = book.get_sheet_by_name(name)
            say(Shape(name, sheet.start, sheet.end, sheet.merged_cell_ranges or []))
            rows = iter(sheet.iter_rows())
            while chunk := list(islice(rows, CHUNK)):
                say(chunk)
            say([])
        sys.stdout.buffer.flush()
    except BROKEN as error:
        say(Problem(f"not a complete workbook, or a protected one ({type(error).__name__})"))


if __name__ == "__main__":
    main(*sys.argv[1:])
