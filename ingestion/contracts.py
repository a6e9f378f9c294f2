"""Source contracts: read the dbt source YAML of each system, and refuse an invalid one by file and line."""

import hashlib
import re
from datetime import timedelta
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

import yaml
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, StringConstraints, ValidationError, model_validator

from ingestion import ROOT
from ingestion.columns import DOCUMENT_TYPES, Column, Name, Part, Text, Unpivot

STAGING = ROOT / "dbt_project" / "models" / "staging"

ORIGIN_COLUMNS = {"_source_file": "text", "_source_row": "bigint"}  # added to each row of a file: its origin
VALIDITY_COLUMNS = {"valid_from": "timestamptz", "valid_to": "timestamptz"}  # added to each version of a row

GRAIN = "One row per"
KEYS_WITHOUT_EFFECT = {"description", "privacy"}  # column keys that do not change what is loaded
# keys that later releases added: a contract that does not use them keeps its digest, so no table is loaded again
FILE_KEYS = {
    "other_encodings", "member", "quote", "escape", "sheet_column", "cells", "ends_at_blank_row", "ragged",
    "footer_empty", "footer_optional", "subtotals",
}  # fmt: skip
ADDED_TABLE_KEYS = {"source_table", "source_schema", "null_values", *FILE_KEYS}
ADDED_COLUMN_KEYS = {"optional", "required", "earliest", "latest", "number_format", "null_values"}

Duration = Annotated[str, StringConstraints(pattern=r"^P(\d+Y)?(\d+M)?(\d+D)?$")]
YamlPath = tuple[int | str, ...]  # keys and positions on the way to a node of a YAML file
CONTACT_KINDS = ("address", "postcode", "email", "telephone")  # kinds by which a person is contacted
Separator = Annotated[str, StringConstraints(pattern=r"^[\t !#-/:-@\[-^`{-~]$")]  # ASCII, but no "
Quote = Annotated[str, StringConstraints(pattern=r"^(\"|'|`|none)$")]
CELLS = re.compile(r"^([A-Z]{1,3})([1-9]\d{0,6}):([A-Z]{1,3})([1-9]\d{0,6})$")
ARTICLE_6 = re.compile(r"article 6\(1\)\([a-f]\)", re.IGNORECASE)  # UK GDPR
ARTICLE_9 = re.compile(r"article 9\(2\)\(([a-j])\)", re.IGNORECASE)
SCHEDULE_1 = re.compile(r"schedule 1 paragraph \d+", re.IGNORECASE)  # Data Protection Act 2018


class ContractError(Exception):
    """An invalid source contract; the message names file, line and what to change."""


class SourceError(Exception):
    """A source that cannot be loaded by its contract; the message contains no value of the data.

    `table` is the raw table concerned (raw_<system>.<table>), if there is one.
    """

    def __init__(self, message: str, table: "Table | None" = None):
        super().__init__(message)
        self.table = table


class DriftError(SourceError):
    """A source whose tables, columns or types differ from its contract."""


class LoadCheckError(SourceError):
    """An extract that a load check refuses."""


class Table(Part):
    """A table, API resource or file pattern of a system, and how it is loaded (docs/reference/file-layouts.md)."""

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
    parent: Name | None = None
    """Parent table of an API: each element of its list `items` is a row of this table."""
    items: Text | None = None
    """List in each row of the parent that holds this table's rows. The key is the parent's key and an id of the element
    or the column `item_position`."""
    source_table: Text | None = None
    """Exact name of the table in the source database, if it is not `name`."""
    source_schema: Text | None = None
    """Schema of the table in the source database, if it is not the system's `source_schema`."""
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
    columns: list[Column] = Field(min_length=1)
    """Declared columns, in the order of the raw table."""
    _system: "System" = PrivateAttr()

    @model_validator(mode="after")
    def _check(self) -> "Table":
        names = self.column_names
        raw_columns = [name for column in self.columns for name in column.raw_columns]
        if doubled := {name for name in raw_columns if raw_columns.count(name) > 1}:
            raise ValueError(f"declared twice: {', '.join(sorted(doubled))}")
        if unknown := {*self.key, *self.control_totals, *filter(None, [self.cursor, self.retained_from])} - set(names):
            raise ValueError(
                f"key, cursor, control total or retained_from is not a declared column: {', '.join(sorted(unknown))}"
            )
        identifiers = [column.name for column in self.identifiers]
        if (identifiers or self.subject) and self.subject not in identifiers:
            raise ValueError("a table with identifiers needs a `subject`: the identifier column of the person")
        names_of_people = {column.name for column in self.identifiers if column.identifier == "name"}
        if unordered := [name for name in self.key if self.column(name).data_type in DOCUMENT_TYPES]:
            raise ValueError(f"a key cannot be jsonb or bytea: {', '.join(unordered)}")
        if self.subject_by and (self.subject or not set(self.subject_by) <= set(names)):
            raise ValueError("`subject_by` names declared columns, in a table without a `subject`")
        if self.person is not None and (not self.subject or not names_of_people.issuperset(self.person)):
            raise ValueError("`person` lists identifier columns of kind name, in a table with a `subject`")
        if misused := set(identifiers).intersection([*self.control_totals, self.cursor]):
            raise ValueError(f"an identifier cannot be a cursor or a control total: {', '.join(sorted(misused))}")
        if self.retained_from and self.column(self.retained_from).data_type not in ("timestamptz", "date", "text"):
            raise ValueError("retained_from must be a timestamptz, a date, or a text that Postgres casts to one")
        if self.retention and not self.retained_from:
            raise ValueError("retention needs `retained_from`, the column from which the period counts")
        if bool(self.parent) != bool(self.items):
            raise ValueError("`parent` (a table) and `items` (its list) must both be set, or neither")
        if self.parent and (self.cursor or self.load not in ("replace", "merge")):
            raise ValueError("a table with a `parent` is loaded with it: load replace or merge, without a cursor")
        if self.load in ("merge", "history") and not self.key:
            raise ValueError(f"load: {self.load} needs a key")
        if self.load == "append" and not self.files and not (self.key and self.cursor):
            raise ValueError("load: append needs a key and a cursor, except for files")
        if self.cursor and self.load == "replace":
            raise ValueError("load: replace reads the whole source; remove the cursor, or choose merge or history")
        if self.cursor and self.column(self.cursor).data_type not in ("timestamptz", "date", "bigint"):
            raise ValueError("a cursor must be a timestamptz, date or bigint")
        if self.load == "history" and self.cursor and self.column(self.cursor).data_type == "bigint":
            raise ValueError("load: history takes valid_from from the cursor, which must be a timestamptz or date")
        if self.load == "history" and {"valid_from", "valid_to"}.intersection(names):
            raise ValueError("load: history adds valid_from and valid_to; do not declare them")
        if composed := {column.name for column in self.columns if column.of}.intersection(
            self.key, [self.cursor], self.control_totals, *(column.of for column in self.columns)
        ):
            raise ValueError(
                f"a column with `of` cannot be a key, cursor, control total or part: {', '.join(composed)}"
            )
        if GRAIN not in self.description:
            raise ValueError("the description must end in the grain ('One row per …')")
        return self

    @model_validator(mode="after")
    def _check_layout(self) -> "Table":
        layout = FILE_KEYS | {"delimiter", "sheet", "header_rows", "headings", "unpivot", "footer", "row_count_at"}
        if self.files and (self.source_table or self.source_schema):
            raise ValueError("source_table and source_schema are for tables of a database")
        if not self.files and (without := layout & self.model_fields_set):
            raise ValueError(f"only for tables of `files`: {', '.join(sorted(without))}")
        for encoding in (self.encoding, *self.other_encodings):
            try:
                "".encode(encoding)
            except LookupError:
                raise ValueError(
                    f"unknown encoding {encoding}; common encodings are utf-8, windows-1252 and utf-16"
                ) from None
        if self.growing and (not self.corrections or self.has_footer or self.encoding.startswith(("utf-16", "utf-32"))):
            raise ValueError("growing needs `corrections` and a CSV without a footer, not in utf-16")
        if self.delimiter == self.quote or self.escape in (self.delimiter, self.quote):
            raise ValueError("delimiter, quote and escape are different characters")
        if self.escape and self.growing:
            raise ValueError("a growing file has no escape character")
        if self.headings and self.header_rows > 1:
            raise ValueError("`header_rows` is for a file with a header, `headings` for a file without one")
        if self.row_count_at and not self.has_footer:
            raise ValueError("row_count_at needs a `footer`, which holds the number of rows")
        types = {column.name: column.data_type for column in self.columns}
        if undeclared := {*filter(None, [self.sheet_column, self.footer_empty])} - set(types):
            raise ValueError(f"sheet_column or footer_empty is not a declared column: {', '.join(undeclared)}")
        if self.sheet_column and types[self.sheet_column] != "text":
            raise ValueError("sheet_column must be a text")
        if self.footer_optional and not self.has_footer:
            raise ValueError("footer_optional needs a `footer` or `footer_empty`")
        if self.unpivot and (unknown := set(self.unpivot.filled) - set(types)):
            raise ValueError(f"unpivot fills undeclared columns: {', '.join(sorted(unknown))}")
        for name in self.control_totals:
            if not types.get(name, "").startswith(("numeric", "bigint", "double")):
                raise ValueError(f"control total {name} is not declared as a number")
        return self

    @property
    def digest(self) -> str:
        """A hash of everything in the contract that changes the table's content; a new hash causes a full refresh."""
        from ingestion.standards import RULES_VERSION

        excluded = {"description", "shrink", "rejects", "control_totals", "lag", "corrections", "growing"}
        excluded |= {"retained_from", "retention", "disposal", "person", "subject_by"}
        excluded |= _unused(self, ADDED_TABLE_KEYS)
        columns = {
            place: KEYS_WITHOUT_EFFECT | _unused(column, ADDED_COLUMN_KEYS) for place, column in enumerate(self.columns)
        }
        content = self.model_dump_json(exclude={**dict.fromkeys(excluded, True), "columns": columns})
        rules = f" {RULES_VERSION}" if self.identifiers else ""
        return hashlib.sha256(f"{self._system.time_zone} {content}{rules}".encode()).hexdigest()[:12]

    @property
    def column_names(self) -> list[str]:
        """Names of the declared columns, in order."""
        return [column.name for column in self.columns]

    @cached_property
    def source_columns(self) -> list[Column]:
        """The columns that the source must have: declared columns without `of`, and the parts of the others."""
        own = [column for column in self.columns if not column.of]
        parts = dict.fromkeys(part for column in self.columns for part in column.of)
        declared = {column.name for column in own}
        made_of = {"data_type": "text", "description": "A part of another column", "privacy": "personal"}
        return own + [Column(name=part, **made_of) for part in parts if part not in declared]

    @cached_property
    def source_names(self) -> list[str]:
        """Names of the source columns, in order."""
        return [column.name for column in self.source_columns]

    def column(self, name: str) -> Column:
        """The declared column of this name."""
        return next(column for column in self.columns if column.name == name)

    @property
    def identifiers(self) -> list[Column]:
        """The columns that are pseudonymised at extraction."""
        return [column for column in self.columns if column.identifier]

    @property
    def subject_column(self) -> Column:
        """The identifier column of the person, in a table that has a `subject`."""
        return self.column(self.subject or "")

    @property
    def is_matching_source(self) -> bool:
        """Whether person matching reads the table: it has people, or contact details of people of another table."""
        people = [table for table in self._system.tables if table.person is not None]
        kinds = {table.subject_column.identifier for table in people}
        is_about_them = self.subject is not None and self.subject_column.identifier in kinds
        return self.person is not None or (
            is_about_them and any(column.identifier in CONTACT_KINDS for column in self.identifiers)
        )

    @property
    def has_footer(self) -> bool:
        """Whether the contract describes a footer."""
        return bool(self.footer or self.footer_empty)

    @property
    def filled_columns(self) -> list[str]:
        """The declared columns that are not columns of the file: those of `unpivot`, and the sheet's name."""
        return (self.unpivot.filled if self.unpivot else []) + ([self.sheet_column] if self.sheet_column else [])

    @property
    def quote_character(self) -> str | None:
        """The quotation mark of a CSV, if it has one."""
        return None if self.quote == "none" else self.quote

    @property
    def subject_parent(self) -> "Table":
        """The table about people to which `subject_by` links the rows."""
        (name,) = {target.partition(".")[0] for target in self.subject_by.values()}
        return next(table for table in self._system.tables if table.name == name)

    @property
    def is_keyed(self) -> bool:
        """Whether the raw table holds one row, or one current version, per key."""
        return self.load in ("merge", "history")

    @property
    def system(self) -> "System":
        return self._system

    @property
    def label(self) -> str:
        """The name in messages: raw_<system>.<table>."""
        return f"{self._system.name}.{self.name}"


def _unused(part: Part, keys: set[str]) -> set[str]:
    """The keys that have their defaults."""
    fields = type(part).model_fields
    return {key for key in keys if getattr(part, key) == fields[key].get_default()}


class Age(BaseModel):
    """Maximum age of the last load, in dbt's form."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    count: int = Field(gt=0)
    """Number of periods."""
    period: Literal["minute", "hour", "day"]
    """Unit of time."""


class System(Part):
    """A line-of-business system: a dbt source, a Postgres schema and a dlt dataset of the same name."""

    name: Annotated[str, StringConstraints(pattern=r"^raw_[a-z][a-z0-9]{0,40}$")]
    """raw_<system>, where the system is one lower-case word."""
    description: Text
    """What the system is and what it holds."""
    kind: Literal["files", "database", "api"]
    """Kind of source."""
    location: Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]*$")] | None = None
    """Environment variable that holds the source's URL or folder."""
    source_schema: Text | None = None
    """Schema of the source database, if it is not the login's default."""
    schedule: Text
    """When the system is loaded, as a cron expression."""
    poll: Annotated[int, Field(ge=5, le=3600)] | None = None
    """Seconds between two looks at the source; it is loaded as soon as it has changed."""
    connections: Annotated[int, Field(ge=1, le=16)] = 2
    """Number of tables that are read at the same time."""
    time_zone: Text
    """IANA time zone of the source's times without an offset, such as Europe/London."""
    freshness: dict[Literal["warn_after", "error_after"], Age] = Field(min_length=2)
    """Ages of the last load from which there is a warning, and an error."""
    information_asset_owner: Text
    """Role of the information asset owner."""
    data_owner: Text
    """Role that is accountable for the data's content and quality."""
    purpose: Text
    """Purpose for which the council processes the data."""
    lawful_basis: Text
    """Lawful basis. For personal data: the condition of UK GDPR article 6(1) and the statute."""
    special_category_basis: Text | None = None
    """For special_category data: the condition of UK GDPR article 9(2) and, where the Data Protection Act 2018 (section
    10) requires it, the paragraph of its Schedule 1."""
    retention: Duration
    """Retention period as an ISO 8601 duration such as P7Y."""
    sharing: Text
    """Other recipients of the data, and the sharing agreement."""
    tables: list[Table] = Field(min_length=1)
    """Declared tables."""

    @model_validator(mode="after")
    def _check(self) -> "System":
        if self.time_zone not in _time_zones():
            raise ValueError("time_zone is not in the IANA time zone database")
        if self.kind != "api" and not self.location:
            raise ValueError(f"kind: {self.kind} needs a location (the environment variable with its URL or folder)")
        if self.poll and self.kind == "api":
            raise ValueError("poll is for databases and files; an API is loaded on its schedule")
        self._check_lawfulness()
        for table in self.tables:
            table._system = self
            if (self.kind == "files") != bool(table.files):
                raise ValueError(f"{table.name}: `files` is required for kind: files, and only allowed there")
            if table.control_totals and self.kind != "database" and not table.has_footer:
                raise ValueError(f"{table.name}: control_totals need a source's own sums: a database, or a `footer`")
            if table.parent:
                self._check_child(table)
        for table in (table for table in self.tables if table.subject_by):
            self._check_subject_by(table)
        return self

    def _check_subject_by(self, table: Table) -> None:
        targets = [target.partition(".") for target in table.subject_by.values()]
        parents = {other.name: other for other in self.tables if other.subject}
        if len({parent for parent, _, _ in targets}) != 1 or targets[0][0] not in parents:
            raise ValueError(f"{table.name}: `subject_by` names columns of one table of the system with a `subject`")
        if unknown := {column for _, _, column in targets} - {*parents[targets[0][0]].column_names}:
            raise ValueError(f"{table.name}: `subject_by` names undeclared columns: {', '.join(sorted(unknown))}")

    def _check_lawfulness(self) -> None:
        columns = [(f"{table.name}.{column.name}", column.privacy) for table in self.tables for column in table.columns]
        personal = [f"{name} is {privacy}" for name, privacy in columns if privacy != "none"]
        if personal and not ARTICLE_6.search(self.lawful_basis):
            raise ValueError(f"lawful_basis needs a condition such as article 6(1)(e), because {personal[0]}")
        special = [f"{name} is {privacy}" for name, privacy in columns if privacy == "special_category"]
        basis = self.special_category_basis or ""
        condition = ARTICLE_9.search(basis)
        if special and not condition:
            raise ValueError(f"special_category_basis needs a condition such as article 9(2)(h), because {special[0]}")
        if special and condition and condition[1].lower() in "bghij" and not SCHEDULE_1.search(basis):
            needs = f"article 9(2)({condition[1]}) needs a paragraph of DPA 2018 Schedule 1"
            raise ValueError(f"special_category_basis: {needs}, because {special[0]}")

    def _check_child(self, table: Table) -> None:
        parent = next((other for other in self.tables if other.name == table.parent), None)
        if self.kind != "api" or parent is None or parent.parent:
            raise ValueError(f"{table.name}: `parent` must be a table of this system, of kind: api, without a parent")
        if not parent.key or not set(table.key) > set(parent.key):
            raise ValueError(f"{table.name}: the key must be the parent's key and at least one other column")
        if table.load != parent.load:
            raise ValueError(f"{table.name}: load must be the parent's, {parent.load}")
        types = [
            {column.name: (column.data_type, column.identifier) for column in each.columns} for each in (parent, table)
        ]
        if different := [name for name in parent.key if types[0][name] != types[1][name]]:
            raise ValueError(f"{table.name}: data_type or identifier differs from the parent's: {', '.join(different)}")

    @property
    def short_name(self) -> str:
        """The system's name without raw_."""
        return self.name.removeprefix("raw_")


def read_contracts(folder: Path = STAGING) -> dict[str, System]:
    """{short name: system} of all contracts under `folder`, ordered by folder; raises ContractError."""
    files = sorted(folder.glob("*/_*__sources.yml"))
    systems = [system for path in files for system in _read_file(path, path.read_text(encoding="utf-8"))]
    if not systems:
        raise ContractError(f"no source contract (<system>/_<system>__sources.yml) under {folder}")
    return {system.short_name: system for system in systems}


@cache
def _time_zones() -> set[str]:
    return available_timezones()


@lru_cache(maxsize=64)  # a process reads the contracts several times; a changed text is another key
def _read_file(path: Path, text: str) -> list[System]:
    shown, root, document = _parse(path, text)
    if not isinstance(document, dict) or not isinstance(document.get("sources"), list):
        raise ContractError(f"{shown}:1: a source contract needs a list `sources:`")
    systems = []
    for position, source in enumerate(document["sources"]):
        try:
            systems.append(System.model_validate(source))
        except ValidationError as refusal:
            raise ContractError(describe_errors(refusal, root, ("sources", position), shown)) from None
    return systems


def read_yaml(path: Path) -> tuple[Path, yaml.Node | None, Any]:
    """The file's name for messages, its nodes (for `describe_errors`) and its content; raises ContractError."""
    return _parse(path, path.read_text(encoding="utf-8"))


def _parse(path: Path, text: str) -> tuple[Path, yaml.Node | None, Any]:
    shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
    try:
        return shown, yaml.compose(text, yaml.CSafeLoader), yaml.load(text, yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ContractError(f"{shown}:{line}: not YAML: {error.problem}") from None


def describe_errors(refusal: ValidationError, root: yaml.Node | None, start: YamlPath, shown: Path) -> str:
    """The validation errors of the node at `start` of a YAML file: one line each, with file, line and names."""
    problems = []
    for error in refusal.errors(include_url=False, include_input=False):
        line, words = _locate(root, (*start, *error["loc"]))
        problems.append(f"{shown}:{line}: {words}: {error['msg'].removeprefix('Value error, ')}")
    return "\n".join(problems)


def _locate(node: yaml.Node | None, location: YamlPath) -> tuple[int, str]:
    """The line (from 1) of the deepest node of `location` that the file has, and the names on the way to it."""
    line, words = 1, []
    for step in location:
        if isinstance(step, int):
            if not isinstance(node, yaml.SequenceNode):
                break
            node = node.value[step]
            line = node.start_mark.line + 1
            words += [value.value for name, (_, value) in _entries(node).items() if name == "name"]
        else:
            entries = _entries(node)
            words += [step] if step not in ("sources", "tables", "columns") else []
            if step not in entries:
                break
            key, node = entries[step]
            line = key.start_mark.line + 1
    return line, ".".join(words)


def _entries(node: yaml.Node | None) -> dict[str, tuple[yaml.Node, yaml.Node]]:
    """A mapping's keys and values, including those under config and config.meta."""
    if not isinstance(node, yaml.MappingNode):
        return {}
    entries = {key.value: (key, value) for key, value in node.value}
    return entries | {
        k: v for name in ("config", "meta") if name in entries for k, v in _entries(entries[name][1]).items()
    }
