"""One module per system that is read through Python (an HTTP API, a package), with one function per table.

`def <table>(location: str | None, since: datetime | None) -> Iterator[list[Row] | pa.Table]` yields pages of rows;
`since` is the high watermark (None for a full refresh).

Two functions are optional. `fingerprint(table) -> str` is compared with the last load's: an unchanged table is not
read. `count(table, location) -> int` is the source's row count: if the warehouse holds another number, rows were
deleted and a full refresh follows.

`_http` reads HTTP APIs.
"""

from collections.abc import Iterable
from itertools import chain

from ingestion.contracts import DriftError, SourceError, Table
from ingestion.headings import snake_case
from ingestion.json_rows import Row

ITEM_POSITION = "item_position"  # position of an item in its list, from 0, if the contract declares this column


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
