"""Read JSON files: a list of objects (.json, .geojson), which may be within other objects, or lines (.jsonl, .ndjson).

Fields of nested objects become columns of their own: {"properties": {"ward": 3}} has the heading properties.ward. A
list, and an object that the contract declares as a column, is JSON.
"""

import codecs
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa

from ingestion.contracts import SourceError, Table
from ingestion.headings import FileColumns, find_header, location_in, name_columns, snake_case
from ingestion.json_rows import Number, rows_to_arrow, storable
from ingestion.layouts import BATCH_CELLS
from ingestion.text_files import open_text

DOCUMENTS, LINES = {".json", ".geojson"}, {".jsonl", ".ndjson"}
CHUNK = 1 << 16  # characters
LONGEST_CUT = 2  # characters of a number that are not decoded where the text is cut: 12e+ is 12 until 12e+3 is there
LONGEST_VALUE = 16 << 20  # characters of a row, or of a value beside the rows


def json_suffix(table: Table, path: Path) -> str:
    """The extension if the file is JSON, also of a compressed file; empty if it is not."""
    suffix = path.suffix.lower()
    if suffix == ".gz":
        suffix = Path(path.stem).suffix.lower()
    elif suffix == ".zip":
        suffix = Path(table.member or "").suffix.lower()
    return suffix if suffix in DOCUMENTS | LINES else ""


def read_json(table: Table, path: Path) -> tuple[FileColumns, Iterator[pa.Table]]:
    """The file's columns and its rows as text. The file is read twice, because any row may have other fields."""
    if table.has_footer:
        raise SourceError(f"{location_in(table, path)}: a JSON file has no footer; remove it from the contract")
    if not (headings := json_headings(table, path)):
        return FileColumns([]), iter(())
    find_header(table, path, [[*headings]])
    columns = name_columns(table, path, headings)
    return columns, _batches(table, path, headings, columns)


def json_headings(table: Table, path: Path) -> list[str]:
    """The fields of all rows, in the order in which they come; not those that are an object in some rows, else null."""
    headings: dict[str, bool] = {}
    for row in _rows(table, path):
        for heading, value in row.items():
            headings[heading] = headings.get(heading, False) or value is not None
    parents = {heading[:place] for heading in headings for place, mark in enumerate(heading) if mark == "."}
    return [heading for heading, is_filled in headings.items() if is_filled or heading not in parents]


def places_of_rows(table: Table, path: Path) -> list[str]:
    """Where the file has lists of objects, such as result.records; an empty text is the file itself."""
    if json_suffix(table, path) in LINES:
        return [""]
    with _scan(table, path) as scanner:
        return [".".join(place) for place in scanner.places()]


def _batches(table: Table, path: Path, headings: list[str], columns: FileColumns) -> Iterator[pa.Table]:
    rows = _rows(table, path)
    while some := list(islice(rows, max(1, BATCH_CELLS // len(headings)))):
        found = [{heading: row.get(heading) for heading in headings} for row in some]
        yield rows_to_arrow(found).rename_columns(columns.names)


def _rows(table: Table, path: Path) -> Iterator[dict[str, Any]]:
    """The rows, each {heading: value}; raises SourceError."""
    whole = {header for column in table.source_columns for header in column.headers}
    names = {column.name for column in table.source_columns if not column.header}

    def is_column(heading: str) -> bool:
        return heading in whole or snake_case(heading) in names

    place = table.rows_at.split(".") if table.rows_at else []
    with _scan(table, path) as scanner:
        for value in scanner.lines() if json_suffix(table, path) in LINES else scanner.rows(place):
            if not isinstance(value, dict):
                raise _Unexpected("not an object")
            pairs = [(storable(heading), item) for heading, item in _flat(value, "", is_column)]
            if len(row := dict(pairs)) < len(pairs):
                raise _Unexpected("two fields have one name")
            yield row
            scanner.count += 1


@contextmanager
def _scan(table: Table, path: Path) -> Iterator["_Scanner"]:
    """A scanner of the file, whose errors are raised as SourceError with row and line."""
    with open_text(table, path) as file:
        scanner = _Scanner(file.take)
        try:
            yield scanner
        except (_Unexpected, ValueError, RecursionError) as error:
            problem = error if isinstance(error, _Unexpected) else "not JSON. The file is damaged, request it again"
            where = f", row {scanner.count + 1}, line {scanner.line}"
            raise SourceError(f"{location_in(table, path, where)}: {problem}") from None


def _flat(row: dict[str, Any], prefix: str, is_column: Callable[[str], bool]) -> Iterator[tuple[str, Any]]:
    for name, value in row.items():
        heading = prefix + name
        if isinstance(value, dict) and not is_column(heading):
            yield from _flat(value, f"{heading}.", is_column)
        else:
            yield heading, value


class _Unexpected(Exception):
    """JSON of another shape than the contract says."""


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Unexpected("a field comes twice in one object")
    return found


class _Scanner:
    """Reads a JSON text value by value, so that a file of any size needs little memory. Raises ValueError."""

    decode = json.JSONDecoder(
        parse_float=Number, parse_int=Number, parse_constant=str, object_pairs_hook=_pairs
    ).raw_decode

    def __init__(self, take: Callable[[int], bytes]):
        self.decoder, self.take = codecs.getincrementaldecoder("utf-8")(), take
        self.text, self.at, self.has_ended = "", 0, False
        self.lines_above = self.count = 0  # `count` is of the rows that the caller has used

    @property
    def line(self) -> int:
        """The line of the next character."""
        return self.lines_above + self.text.count("\n", 0, self.at) + 1

    def _more(self) -> None:
        self.lines_above += self.text.count("\n", 0, self.at)
        raw = self.take(max(CHUNK, len(self.text) - self.at))  # doubles an incomplete value
        self.has_ended = not raw
        self.text, self.at = self.text[self.at :] + self.decoder.decode(raw, final=self.has_ended), 0

    def peek(self) -> str:
        """The next character that is not a blank; empty at the end."""
        while True:
            while self.at < len(self.text) and self.text[self.at] in " \t\r\n":
                self.at += 1
            if self.at < len(self.text) or self.has_ended:
                return self.text[self.at : self.at + 1]
            self._more()

    def take_one(self, characters: str) -> str:
        """The next character, which is one of these."""
        if (found := self.peek()) not in [*characters]:
            raise ValueError("another character")
        self.at += 1
        return found

    def value(self) -> Any:
        """The next value, whole."""
        self.peek()
        while True:
            try:
                found, end = self.decode(self.text, self.at)
            except json.JSONDecodeError:
                end = len(self.text)
                if self.has_ended:
                    raise
            if end + LONGEST_CUT < len(self.text) or self.has_ended:  # a number may go on
                self.at = end
                return found
            if len(self.text) - self.at > LONGEST_VALUE:
                raise _Unexpected(f"not JSON, or a value is longer than {LONGEST_VALUE >> 20} MB")
            self._more()

    def lines(self) -> Iterator[Any]:
        """Each value of a file of values."""
        while self.peek():
            yield self.value()

    def rows(self, place: list[str]) -> Iterator[Any]:
        """Each element of the list at this place of the document."""
        yield from self._rows(place)
        if self.peek():
            raise ValueError("text after the document")

    def _rows(self, place: list[str]) -> Iterator[Any]:
        if not place:
            if self.peek() == "{":
                raise _Unexpected("no list of rows here but an object; name the place of the list as `rows_at`")
            yield from self.elements()
            return
        is_found = False
        for name in self.members() if self.peek() in ("{", "") else ():
            if name == place[0]:
                is_found = True
                yield from self._rows(place[1:])
            else:
                self.value()
        if not is_found:
            raise _Unexpected(f"no object with the field {place[0]}, which `rows_at` names")

    def elements(self) -> Iterator[Any]:
        """Each value of a list."""
        self.take_one("[")
        if self.peek() == "]":
            self.take_one("]")
            return
        yield self.value()
        while self.take_one(",]") == ",":
            yield self.value()

    def members(self) -> Iterator[str]:
        """Each name of an object; the caller takes its value."""
        self.take_one("{")
        if self.peek() == "}":
            self.take_one("}")
            return
        while True:
            if self.peek() != '"':
                raise ValueError("no name")
            name = self.value()
            self.take_one(":")
            yield name
            if self.take_one(",}") == "}":
                return

    def places(self) -> Iterator[list[str]]:
        """The place of each list of objects that is not within a list."""
        match self.peek():
            case "[":
                if {isinstance(element, dict) for element in self.elements()} == {True}:
                    yield []
            case "{":
                for name in self.members():
                    yield from ([name, *place] for place in self.places())
            case _:
                self.value()
