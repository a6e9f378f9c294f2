"""One module per system that is reached through Python (an HTTP API, a package): a function per table.

`def <table>(location: str | None, since: datetime | None) -> Iterator[list[Row] | pa.Table]` yields pages of rows;
`since` is the highest cursor value landed so far (None for a table without a cursor). Where the module has them,
`fingerprint(table) -> str` is compared with the last load's: what has not changed is not read again; and
`count(table, location) -> int` says how many rows the source has in all: where the warehouse holds another number, rows
were deleted, and everything is read again. `_http` asks HTTP APIs; below is what their rows need on the way to Arrow.
"""

import json
from typing import Any

import pyarrow as pa

from ingestion.contracts import SourceError, Table

Row = dict[str, Any]  # as the JSON has it
POSITION = "item_position"  # an item's place in its list, from 0, for a contract that declares such a column


class Number(str):
    """A number as its JSON has it, digit for digit: neither 52.19 nor an id of 30 digits survives as a float."""

    __slots__ = ()


def parse_json(text: bytes) -> Any:
    """What the JSON says, its numbers as Number; NaN and Infinity, which JSON has not, as text. Raises ValueError."""
    try:
        return json.loads(text, parse_float=Number, parse_int=Number, parse_constant=str)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def rows_to_arrow(page: list[Row]) -> pa.Table:
    """The rows with every column as text, for `conform` to cast: no value of any shape can stop the page here.

    Numbers are their exact digits, objects and lists JSON, a missing key null. What Postgres cannot hold, a lone
    surrogate or a zero byte, is kept as JSON writes it: the six characters `\\ud83d` or `\\u0000`.
    """
    names = dict.fromkeys(name for row in page for name in row)
    return pa.table({_storable(name): pa.array([_text(row.get(name)) for row in page], pa.string()) for name in names})


def children(parent: Table, child: Table, page: list[Row]) -> list[Row]:
    """The child's rows: the elements of the list `child.items` in each of the parent's rows, with the parent's key.

    A field of the element that is named like a column of the parent's key gives way to it. An element that is no object
    stands in a column named as the list; one that came without a list is a list of one. Raises SourceError where no row
    has the list: were it renamed, every child would be taken for deleted.
    """
    name_of_list = child.items or ""
    if page and not any(name_of_list in row for row in page):
        raise SourceError(f"{child.label}: no list {name_of_list} in {parent.label}; was it renamed or dropped?")
    numbered = POSITION in (column.name for column in child.columns)
    rows = []
    for row in page:
        items = row.get(name_of_list)
        items = items if isinstance(items, list) else [] if items is None else [items]
        for position, item in enumerate(items):
            fields = item if isinstance(item, dict) else {name_of_list: item}
            own = {POSITION: position} if numbered else {}
            rows.append(fields | {name: row.get(name) for name in parent.key} | own)
    return rows


def _text(value: Any) -> str | None:
    if value is None:
        return None
    try:
        return _storable(value if isinstance(value, str) else _json(value))
    except RecursionError:
        return "(nested too deeply)"


def _json(value: Any) -> str:
    """JSON with Numbers as they were; what JSON does not know as Python writes it."""
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
