"""One module per system that is read through Python (an HTTP API, a package), with one function per table.

`def <table>(location: str | None, since: datetime | None) -> Iterator[list[Row] | pa.Table]` yields pages of rows;
`since` is the high watermark (None for a full refresh).

Two functions are optional. `fingerprint(table) -> str` is compared with the last load's: an unchanged table is not
read. `count(table, location) -> int` is the source's row count: if the warehouse holds another number, rows were
deleted and a full refresh follows.

`_http` reads HTTP APIs. Below are the conversions of rows to Arrow.
"""

import json
from collections.abc import Iterable
from itertools import chain
from typing import Any

import pyarrow as pa

from ingestion.contracts import DriftError, SourceError, Table
from ingestion.headings import snake_case

Row = dict[str, Any]  # a JSON object
ITEM_POSITION = "item_position"  # position of an item in its list, from 0, if the contract declares this column


class Number(str):
    """A number with the digits of its JSON: a float would change 52.19 and an id of 30 digits."""

    __slots__ = ()


def parse_json(text: bytes) -> Any:
    """The JSON's value; numbers as Number, NaN and Infinity (not JSON) as text. Raises ValueError."""
    try:
        return json.loads(text, parse_float=Number, parse_int=Number, parse_constant=str)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def rows_to_arrow(page: list[Row]) -> pa.Table:
    """The rows with every column as text, for `conform` to cast. Accepts values of any shape.

    Numbers keep their digits, objects and lists are JSON, missing keys are null. A lone surrogate or a NUL, which
    Postgres cannot store, is written as JSON writes it: the six characters `\\ud83d` or `\\u0000`.
    """
    names = dict.fromkeys(name for row in page for name in row)
    return pa.table({_storable(name): pa.array([_text(row.get(name)) for row in page], pa.string()) for name in names})


def column_names(table: Table, fields: Iterable[str]) -> dict[str, str]:
    """{field: column}: the declared column of this `header`, else the field in snake case, as for files and databases.

    Raises SourceError if two fields give one column.
    """
    by_header = {header: column.name for column in table.source_columns for header in column.header}
    own = {column.name for column in table.source_columns if not column.header}
    names = {field: by_header.get(field) or (field if field in own else snake_case(field) or field) for field in fields}
    if twice := [name for name in names.values() if list(names.values()).count(name) > 1]:
        raise SourceError(f"{table.label}: two fields give the name {twice[0]}; choose one with `header`", table)
    return names


def child_rows(parent: Table, child: Table, page: list[Row]) -> list[Row]:
    """The child's rows: the elements of the list `child.items` in each of the parent's rows, with the parent's key.

    The parent's key overwrites fields of the element with the same names. An element that is no object is put in a
    column named like the list; a value without a list counts as a list of one. Raises DriftError if no row has the
    list, because a renamed list would look like deleted children.
    """
    name_of_list = child.items or ""
    if page and not any(name_of_list in row for row in page):
        raise DriftError(f"{child.label}: no list {name_of_list} in {parent.label}. Was it renamed or removed?")
    key = {column: field for field, column in column_names(parent, dict.fromkeys(chain(*page))).items()}
    numbered = ITEM_POSITION in (column.name for column in child.columns)
    rows = []
    for row in page:
        items = row.get(name_of_list)
        items = items if isinstance(items, list) else [] if items is None else [items]
        for position, item in enumerate(items):
            fields = item if isinstance(item, dict) else {name_of_list: item}
            own = {ITEM_POSITION: position} if numbered else {}
            rows.append(fields | {name: row.get(key.get(name, name)) for name in parent.key} | own)
    return rows


def _text(value: Any) -> str | None:
    if value is None:
        return None
    try:
        return _storable(value if isinstance(value, str) else _json(value))
    except RecursionError:
        return "(nested too deeply)"


def _json(value: Any) -> str:
    """JSON with Numbers unchanged; other types as Python writes them."""
    if isinstance(value, Number):
        return value
    if isinstance(value, dict):
        return "{" + ", ".join([f"{_json(str(name))}: {_json(item)}" for name, item in value.items()]) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_json, value)) + "]"
    if isinstance(value, str | bool | None):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def _storable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\u0000")
