"""The fields of a contract's table: how it is loaded, and the layout of its files."""

import re
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from ingestion.columns import Name, Part, Text, Unpivot
from ingestion.due import Due

GRAIN = "One row per"
CELLS = re.compile(r"^([A-Z]{1,3})([1-9]\d{0,6}):([A-Z]{1,3})([1-9]\d{0,6})$")

Duration = Annotated[str, StringConstraints(pattern=r"^P(\d+Y)?(\d+M)?(\d+D)?$")]
Separator = Annotated[str, StringConstraints(pattern=r"^[\t !#-/:-@\[-^`{-~]$")]  # ASCII, but no "
Quote = Annotated[str, StringConstraints(pattern=r"^(\"|'|`|none)$")]
FILE_KEYS = {
    "other_encodings", "member", "quote", "escape", "sheet_column", "cells", "ends_at_blank_row", "ragged",
    "footer_empty", "footer_optional", "subtotals", "rows_at",
}  # fmt: skip


class LoadFields(Part):
    """How a table is loaded."""

    name: Name
    """Name of the raw table: the source's name in snake case."""
    description: Annotated[Text, Field(json_schema_extra={"pattern": GRAIN})]
    """What the table holds, ending in the grain: 'One row per …'."""
    load: Literal["replace", "append", "merge", "history"]
    """Load mode: `replace` replaces the table, `append` adds new rows, `merge` keeps one row per key, `history` keeps
    every version of a row with valid_from and valid_to (slowly changing dimension, type 2)."""
    key: list[Name] = Field([])
    """Columns whose combination is unique."""
    cursor: Name | None = None
    """Column by which changed rows are read: rows at or after the high watermark less `lag`. Without a cursor every
    load is a full refresh."""
    lag: timedelta = timedelta(0)
    """Longest time between a row's cursor value and its commit at the source, as an ISO 8601 duration such as PT10M."""
    shrink: float = Field(default=0.1, ge=0, le=1)
    """Largest drop in rows (0 to 1) that a full refresh may bring; a larger drop is refused."""
    rejects: float = Field(default=0.01, ge=0, le=1)
    """Largest share of rejected rows (0 to 1); a load with more is refused."""
    control_totals: list[Name] = Field([])
    """Columns whose sums must equal the source's sums."""
    null_values: list[Text] = Field([])
    """Texts that mean no value in every column, such as NA, NULL or -."""
    left_out: list[Text] = Field([])
    """Columns that are not read, by heading or by name in snake case; `*` is any text. Every other undeclared column is
    loaded as text and hidden from readers."""
    subject: Name | None = None
    """Identifier column of the person that the row is about."""
    person: list[Name] | None = Field(None, max_length=2)
    """Name columns of the subject: forename and surname, one column with both, or an empty list if only numbers
    identify the subject. The subjects are matched with the people of other systems."""
    subject_by: dict[Name, Annotated[str, StringConstraints(pattern=r"^[a-z]\w*\.[a-z]\w*$")]] = Field({})
    """Link of a row without a `subject` to the row of a person in another table of the system: {column: table.column}.
    A data subject request exports the row with that person's; an erasure empties its personal columns."""
    retained_from: Name | None = None
    """Column from which the retention period counts: a row is deleted when this date is longer ago than `retention`."""
    retention: Duration | None = None
    """Retention period as an ISO 8601 duration, if it differs from the system's."""
    disposal: float = Field(default=0.1, ge=0, le=1)
    """Largest share of rows (0 to 1) that the end of the retention period may delete in a day; more are not deleted."""
    due: Due | None = None
    """When data are due; later there is an alert. Without it only the age of the last load is watched."""
    parent: Name | None = None
    """Parent table of an API: each element of its list `items` is a row of this table."""
    items: Text | None = None
    """List in each row of the parent that holds this table's rows. The key is the parent's key and an id of the element
    or the column `item_position`."""
    source_table: Text | None = None
    """Exact name of the table in the source database, if it is not `name`."""
    source_schema: Text | None = None
    """Schema of the table in the source database, if it is not the system's `source_schema`."""


class LayoutFields(LoadFields):
    """The layout of a table's files (docs/reference/file-layouts.md)."""

    files: Text | None = None
    """Pattern of the files below the landing folder, such as finance/*.csv."""
    corrections: bool = False
    """Whether a file replaces the rows of an earlier file of the same name (load: append)."""
    growing: bool = False
    """Whether a CSV is still being written to: its complete rows are loaded now, the rest at the next load."""
    encoding: Text = "utf-8"
    """Encoding of a text file, such as windows-1252. With utf-8, a byte order mark is optional."""
    other_encodings: list[Text] = Field([])
    """Encodings of the files that are not in `encoding`; the first that fits is used."""
    member: Text | None = None
    """File within a ZIP that has several, such as payments*.csv; `*` is any text."""
    delimiter: Separator = ","
    """Separator between the values of a CSV."""
    quote: Quote = '"'
    """Quotation mark around values of a CSV that contain delimiters or line ends; `none` if marks have no meaning. A
    mark within a quoted value is doubled."""
    escape: Separator | None = None
    """Character of a CSV, usually a backslash, that takes the meaning from a following delimiter, quotation mark, line
    end or escape character. A file with it before another character is refused, unless the value is a text of
    `null_values` such as \\N."""
    rows_at: Annotated[str, StringConstraints(pattern=r"^[^.\s]+(\.[^.\s]+)*$")] | None = None
    """Place of the list of rows in a JSON file that is not a list itself, such as features or result.records."""
    sheet: Text | None = None
    """Sheet of a workbook that has several; `*` is any text."""
    sheet_column: Name | None = None
    """Declared column that holds the sheet's name; every sheet that matches `sheet` is read."""
    cells: Annotated[str, StringConstraints(pattern=CELLS.pattern)] | None = None
    """Cells of a sheet that hold the table with its header, such as A3:F120; other cells are not read."""
    ends_at_blank_row: bool = False
    """Whether the first row without values ends the table; rows below are not read."""
    ragged: Literal["refuse", "pad"] = "refuse"
    """What becomes of a CSV row with more or fewer values than headings: its file is refused, or (`pad`) missing values
    at the end are empty and empty ones beyond the last heading are ignored."""
    header_rows: int = Field(1, ge=1, le=5)
    """Number of header rows. Their cells are joined by a space; a merged cell counts for every cell that it covers."""
    headings: list[Text] = Field([])
    """Headings of a file without a header, in the order of its columns."""
    unpivot: Unpivot | None = None
    """Columns that are turned into rows."""
    footer: list[Text] = Field([])
    """Texts with which the first filled cell of a footer row begins; a file without a footer is refused."""
    footer_empty: Name | None = None
    """Declared column that is empty in a footer row, where the footer has no text, and filled in every row of data."""
    footer_optional: bool = False
    """Whether files without a footer are accepted too."""
    subtotals: list[Text] = Field([])
    """Texts with which the first filled cell of a subtotal begins; such a row is skipped."""
    row_count_at: int | None = Field(None, ge=1)
    """Column (from 1) of the footer that holds the number of rows."""
