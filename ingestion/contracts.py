"""Source contracts: reads the dbt source YAML of each system, and refuses a bad one by file and line."""

import hashlib
import re
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args
from zoneinfo import available_timezones

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

if TYPE_CHECKING:
    import pyarrow as pa  # takes longer to import than all contracts take to read

ROOT = Path(__file__).resolve().parents[1]
STAGING = ROOT / "dbt_project" / "models" / "staging"

DATA_TYPES = ("text", "bigint", "double precision", "boolean", "date", "timestamptz")  # and NUMERIC
NUMERIC = re.compile(r"numeric\((\d{1,2}),(\d{1,2})\)")
DBT_KEYS = {"config", "data_tests", "tags", "loader", "quoting"}  # dbt's own, which ingestion does not read

GRAIN = "One row per"
TODO = re.compile(r"\bTODO\b")  # what `warehouse source add` leaves for a person to decide
BESIDE = {"description", "privacy"}  # parts of a column's contract that do not change what lands

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Duration = Annotated[str, StringConstraints(pattern=r"^P(\d+Y)?(\d+M)?(\d+D)?$")]
Identifier = Literal[
    *("nhs_number", "nino", "upn", "utr", "employee_number", "person_number"),
    *("name", "date_of_birth", "address", "postcode", "uprn", "email", "telephone"),
]
NO_STANDARD = ("employee_number", "person_number")  # the other kinds have rules in ingestion.standards
REACHED = ("address", "postcode", "email", "telephone")  # kinds that tell where somebody lives or how they are reached
Separator = Annotated[str, StringConstraints(pattern=r'^([^\w\s"]|[\t ])$')]
ARTICLE_6 = re.compile(r"article 6\(1\)\([a-f]\)", re.IGNORECASE)  # UK GDPR
ARTICLE_9 = re.compile(r"article 9\(2\)\(([a-j])\)", re.IGNORECASE)
SCHEDULE_1 = re.compile(r"schedule 1 paragraph \d+", re.IGNORECASE)  # Data Protection Act 2018


def token_columns(name: str, kind: str | None) -> dict[str, str]:
    """{spelling: column} of the tokens that a column of the kind lands as; "" is the spelling that counts."""
    others = ("premises", "street") if kind == "address" else ()
    return ({"": name} if kind else {}) | {other: f"{name}_{other}" for other in others}


def beside(name: str, kind: str | None) -> list[str]:
    """The columns that land beside a token: the code of its fault, and of a birth date the month."""
    has_rules = kind is not None and kind not in NO_STANDARD
    return [f"{name}_fault"] * has_rules + [f"{name}_month"] * (kind == "date_of_birth")


class ContractError(Exception):
    """A source contract that cannot be used; the message names file, line and what to change."""


class SourceError(Exception):
    """A source that cannot be loaded as its contract says; the message carries no value from the data.

    `table` is the raw table concerned (raw_<system>.<table>), where it is one.
    """

    def __init__(self, message: str, table: "Table | None" = None):
        super().__init__(message)
        self.table = table


class _Part(BaseModel):
    """A part of the contract: what dbt declares and, beside it, what stands under config.meta."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True, use_attribute_docstrings=True)

    @model_validator(mode="before")
    @classmethod
    def _flatten(cls, part: Any) -> Any:
        if not isinstance(part, dict):
            return part
        declared = {key: value for key, value in part.items() if key not in DBT_KEYS}
        return declared | ((part.get("config") or {}).get("meta") or {})

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_todo(cls, value: Any) -> Any:
        if isinstance(value, str) and TODO.search(value):
            raise ValueError("is still TODO: replace it by what somebody who knows has decided")
        return value


class Column(_Part):
    """A column: its name and type in Postgres, its privacy class; in a file, its heading and date format if unusual."""

    name: Name
    """Name in the raw table: the source's name in snake case."""
    data_type: str = Field(json_schema_extra={"anyOf": [{"enum": [*DATA_TYPES]}, {"pattern": f"^{NUMERIC.pattern}$"}]})
    """Type in the raw table: numeric(precision,scale), or one of the types in the list."""
    description: Text
    """What the column holds, its unit, and what empty means where it can be empty."""
    privacy: Literal["identifier", "personal", "special_category", "none"]
    """Privacy class. An `identifier` is replaced by a token at extraction; `special_category` is that of UK GDPR
    article 9; `personal` is any other data about a person."""
    identifier: Identifier | None = None
    """Kind of identifier. A `person_number` is the system's own; every other kind has one token in all systems."""
    header: Text | None = None
    """The source's exact name of the column, where that is not `name` once it is written in snake case."""
    format: Text | None = None
    """Format of a date or time that is not ISO 8601, such as %d/%m/%Y."""
    of: list[Name] = []
    """Columns of the source whose filled values, joined by a comma and a space, make this one, such as the fields of an
    address. They land only where they are declared too."""

    @model_validator(mode="after")
    def _check(self) -> "Column":
        if self.of and (self.data_type != "text" or self.header or self.format):
            raise ValueError("a column `of` others is a text without a header or format of its own")
        if self.data_type not in DATA_TYPES and not NUMERIC.fullmatch(self.data_type):
            raise ValueError(f"data_type must be numeric(p,s) or one of {', '.join(DATA_TYPES)}")
        if (self.privacy == "identifier") != bool(self.identifier):
            raise ValueError(
                f"privacy: identifier and `identifier` ({', '.join(get_args(Identifier))}) need each other"
            )
        if self.identifier and (self.data_type == "date") != (self.identifier == "date_of_birth"):
            raise ValueError("a date_of_birth is a date, and no other identifier is")
        if self.identifier and not re.fullmatch(r"text|date|bigint|numeric\(\d+,0\)", self.data_type):
            raise ValueError("an identifier is a text, a whole number or a date")
        return self

    @property
    def landed(self) -> dict[str, str]:
        """{name: Postgres type} of what lands: an identifier's token, and beside it what `beside` says."""
        if not self.identifier:
            return {self.name: self.data_type}
        return dict.fromkeys([*self.tokens.values(), *beside(self.name, self.identifier)], "text")

    @property
    def tokens(self) -> dict[str, str]:
        """{spelling: column} of the tokens that an identifier lands as; the spelling that counts is ""."""
        return token_columns(self.name, self.identifier)

    @property
    def arrow_type(self) -> "pa.DataType":
        """The Arrow type in which the column's values reach dlt, which makes the Postgres type of it."""
        from ingestion.tables import arrow_type

        return arrow_type(self.data_type)


class Unpivot(_Part):
    """Columns that stand for rows, as in SQL's UNPIVOT. An empty cell gives no row."""

    headings: Text
    """Regular expression that matches these columns' headings from end to end; its named groups fill the declared
    columns of these names."""
    value: Name
    """Declared column that the cells fill."""

    @model_validator(mode="after")
    def _check(self) -> "Unpivot":
        try:
            groups = re.compile(self.headings).groupindex
        except re.error as error:
            raise ValueError(f"`headings` is not a regular expression: {error}") from None
        if not groups or self.value in groups:
            raise ValueError("`headings` names a column for each part of a heading, (?P<month>…), other than `value`")
        return self

    @property
    def filled(self) -> list[str]:
        """The declared columns that come from headings and cells, and are no columns of the file."""
        return [*re.compile(self.headings).groupindex, self.value]


class Table(_Part):
    """A table, API resource or file pattern of a system, and how it is loaded (layouts: docs/files.md)."""

    name: Name
    """Name of the raw table: the source's name in snake case."""
    description: Annotated[Text, Field(json_schema_extra={"pattern": GRAIN})]
    """What the table holds, ending in the grain: 'One row per …'."""
    load: Literal["replace", "append", "merge", "history"]
    """How an extract is loaded: `replace` puts it in the place of the last one, `append` adds what is new, `merge`
    keeps one row per key, `history` keeps every version of it with valid_from and valid_to."""
    key: list[Name] = []
    """Columns whose values together are different in every row."""
    cursor: Name | None = None
    """Column by which changed rows are read: those at or after the highest value loaded, less `lag`. Without a cursor
    the whole source is read."""
    lag: timedelta = timedelta(0)
    """How late a row may be committed after its cursor value, as an ISO 8601 duration such as PT10M."""
    shrink: float = Field(default=0.1, ge=0, le=1)
    """Share of its rows (0 to 1) that a whole extract may lose; an extract that has lost more is refused."""
    rejects: float = Field(default=0.01, ge=0, le=1)
    """Share of the rows (0 to 1) that may not fit the contract; a load with more is refused."""
    control_totals: list[Name] = []
    """Columns that are summed at the source and compared after the load."""
    left_out: list[Text] = []
    """Columns that are not read, by heading or by name in snake case; `*` stands for any text. Any other undeclared
    column is loaded as text that readers cannot see."""
    subject: Name | None = None
    """Identifier column that stands for the person whom the row is about."""
    person: list[Name] | None = Field(None, max_length=2)
    """Columns that say who the subject is: forename and surname, or one with both, or none where only numbers say it.
    Such people are matched with those of other systems."""
    retained_from: Name | None = None
    """Column from which retention counts: a row is deleted when this moment is longer ago than `retention`."""
    retention: Duration | None = None
    """How long a row is kept, as an ISO 8601 duration, where that is not the system's retention."""
    parent: Name | None = None
    """Table of an API with which this one is loaded: its rows are the elements of the list `items`."""
    items: Text | None = None
    """List in each row of the parent that holds this table's rows. The key is the parent's and, of the table's own, an
    id or the column `item_position`."""
    source_table: Text | None = None
    """The source database's exact name of the table, where that is not `name`."""
    files: Text | None = None
    """Pattern of the files below the landing folder, such as finance/*.csv."""
    corrections: bool = False
    """Whether a file of a name that was loaded before replaces that file's rows (load: append)."""
    growing: bool = False
    """Whether a CSV is still being written to: its whole rows are loaded, and the rest at the next load."""
    encoding: Text = "utf-8"
    """Encoding of a text file, such as windows-1252. With utf-8, a byte order mark is optional."""
    delimiter: Separator = ","
    """What is between the values of a CSV."""
    sheet: Text | None = None
    """Sheet of a workbook that has several; `*` stands for what changes in its name."""
    header_rows: int = Field(1, ge=1, le=5)
    """Number of rows that a header has; they are joined by a space, and merged cells count for all that they cover."""
    headings: list[Text] = []
    """Headings of a file that has no header, in the order of its columns."""
    unpivot: Unpivot | None = None
    """Columns that stand for rows."""
    footer: list[Text] = []
    """How the first filled cell of each row after the data begins; a file without a footer is refused."""
    row_count_at: int | None = Field(None, ge=1)
    """Position (from 1) in the footer of the number of rows."""
    columns: list[Column] = Field(min_length=1)
    """Columns that are declared, in the order of the raw table."""
    _system: "System" = PrivateAttr()

    @model_validator(mode="after")
    def _check(self) -> "Table":
        names = self.column_names
        landed = [name for column in self.columns for name in column.landed]
        if doubled := {name for name in landed if landed.count(name) > 1}:
            raise ValueError(f"declared twice: {', '.join(sorted(doubled))}")
        if unknown := {*self.key, *self.control_totals, *filter(None, [self.cursor, self.retained_from])} - set(names):
            raise ValueError(
                f"key, cursor, control total or retained_from is not a declared column: {', '.join(sorted(unknown))}"
            )
        identifiers = [column.name for column in self.identifiers]
        if (identifiers or self.subject) and self.subject not in identifiers:
            raise ValueError("a table with identifiers has a `subject`: the one of them that stands for the person")
        called = {column.name for column in self.identifiers if column.identifier == "name"}
        if self.person is not None and (not self.subject or not called.issuperset(self.person)):
            raise ValueError("`person` names identifier columns of kind name, in a table with a `subject`")
        if misused := {*self.control_totals, self.cursor}.intersection(identifiers):
            raise ValueError(f"an identifier is no cursor or control total: {', '.join(sorted(misused))}")
        if self.retained_from and self.column(self.retained_from).data_type not in ("timestamptz", "date", "text"):
            raise ValueError("retained_from is a timestamptz, a date, or a text that Postgres reads as one")
        if self.retention and not self.retained_from:
            raise ValueError("retention needs `retained_from`, the column from which it counts")
        if bool(self.parent) != bool(self.items):
            raise ValueError("`parent` (a table) and `items` (its list) need each other")
        if self.parent and (self.cursor or self.load not in ("replace", "merge")):
            raise ValueError("a table with a parent is read with it: load replace or merge, without a cursor")
        if self.load in ("merge", "history") and not self.key:
            raise ValueError(f"load: {self.load} needs a key")
        if self.load == "append" and not self.files and not (self.key and self.cursor):
            raise ValueError("load: append needs a key and a cursor, except from files")
        if self.cursor and self.load == "replace":
            raise ValueError("load: replace reads the whole source; a cursor says otherwise")
        if self.cursor and self.column(self.cursor).data_type not in ("timestamptz", "date", "bigint"):
            raise ValueError("a cursor is a timestamptz, date or bigint")
        if self.load == "history" and self.cursor and self.column(self.cursor).data_type == "bigint":
            raise ValueError("load: history takes valid_from from the cursor, which is a timestamptz or date then")
        if self.load == "history" and {"valid_from", "valid_to"}.intersection(names):
            raise ValueError("load: history makes valid_from and valid_to itself")
        if composed := {column.name for column in self.columns if column.of}.intersection(
            self.key, [self.cursor], self.control_totals, *(column.of for column in self.columns)
        ):
            raise ValueError(f"a column `of` others is no key, cursor, control total or part: {', '.join(composed)}")
        if GRAIN not in self.description:
            raise ValueError("the description must end in the grain ('One row per …')")
        return self

    @model_validator(mode="after")
    def _check_layout(self) -> "Table":
        layout = {"delimiter", "sheet", "header_rows", "headings", "unpivot", "footer", "row_count_at"}
        if self.files and self.source_table:
            raise ValueError("only a table of a database has source_table")
        if not self.files and (without := layout & self.model_fields_set):
            raise ValueError(f"only a table of `files` has {', '.join(sorted(without))}")
        try:
            "".encode(self.encoding)
        except LookupError:
            raise ValueError(f"encoding {self.encoding} is not known; utf-8, windows-1252 and utf-16 are") from None
        if self.growing and (not self.corrections or self.footer or self.encoding.startswith(("utf-16", "utf-32"))):
            raise ValueError("growing needs `corrections`, for a CSV without a footer and not in utf-16")
        if self.headings and self.header_rows > 1:
            raise ValueError("a file has `header_rows`, or none and its `headings` are in the contract")
        if self.row_count_at and not self.footer:
            raise ValueError("row_count_at needs a `footer`, which has the number of rows")
        types = {column.name: column.data_type for column in self.columns}
        if self.unpivot and (unknown := set(self.unpivot.filled) - set(types)):
            raise ValueError(f"unpivot fills columns that are not declared: {', '.join(sorted(unknown))}")
        for name in self.control_totals:
            if not types.get(name, "").startswith(("numeric", "bigint", "double")):
                raise ValueError(f"control_totals names {name}, which is not declared as a number")
        return self

    @property
    def digest(self) -> str:
        """A hash of what the contract says of the table's content: where it changes, everything is read again."""
        from ingestion.standards import EDITION

        apart = {"description", "shrink", "rejects", "control_totals", "lag", "corrections", "growing"}
        apart |= {"retained_from", "retention", "person"}
        if self.source_table is None:
            apart.add("source_table")
        content = self.model_dump_json(exclude={**dict.fromkeys(apart, True), "columns": {"__all__": BESIDE}})
        rules = f" {EDITION}" if self.identifiers else ""
        return hashlib.sha256(f"{self._system.time_zone} {content}{rules}".encode()).hexdigest()[:12]

    @property
    def column_names(self) -> list[str]:
        """The declared columns' names, in their order."""
        return [column.name for column in self.columns]

    @cached_property
    def source_columns(self) -> list[Column]:
        """What the source has to have: the declared columns that are its own, and those of which others are made."""
        own = [column for column in self.columns if not column.of]
        parts = dict.fromkeys(part for column in self.columns for part in column.of)
        declared = {column.name for column in own}
        made_of = {"data_type": "text", "description": "A part of another column", "privacy": "personal"}
        return own + [Column(name=part, **made_of) for part in parts if part not in declared]

    @cached_property
    def source_names(self) -> list[str]:
        """The names of the source columns, in their order."""
        return [column.name for column in self.source_columns]

    def column(self, name: str) -> Column:
        """The declared column of that name."""
        return next(column for column in self.columns if column.name == name)

    @property
    def identifiers(self) -> list[Column]:
        """The columns that are parted at extraction."""
        return [column for column in self.columns if column.identifier]

    @property
    def evidence(self) -> bool:
        """Whether the rows tell who people are, or how those are reached of whom another table of the system does."""
        people = [table for table in self._system.tables if table.person is not None]
        kinds = {table.column(table.subject).identifier for table in people}
        is_about_them = self.subject is not None and self.column(self.subject).identifier in kinds
        return self.person is not None or (
            is_about_them and any(column.identifier in REACHED for column in self.identifiers)
        )

    @property
    def kept_by_key(self) -> bool:
        """Whether the raw table holds one row, or one row in force, per key."""
        return self.load in ("merge", "history")

    @property
    def system(self) -> "System":
        return self._system

    @property
    def label(self) -> str:
        """The name used in messages: raw_<system>.<table>."""
        return f"{self._system.name}.{self.name}"


class Age(BaseModel):
    """How old the last load may be, in dbt's words."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    count: int = Field(gt=0)
    """Number of periods."""
    period: Literal["minute", "hour", "day"]
    """Unit of time."""


class System(_Part):
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
    """Schema of the source database that has the tables, where that is not its default."""
    schedule: Text
    """When the system is loaded, as a cron expression."""
    poll: Annotated[int, Field(ge=5, le=3600)] | None = None
    """Seconds after which the source is looked at between scheduled loads, and loaded if something has changed."""
    connections: Annotated[int, Field(ge=1, le=16)] = 2
    """Number of tables that are read at a time."""
    time_zone: Text
    """IANA time zone of the source's times that have no offset, such as Europe/London."""
    freshness: dict[Literal["warn_after", "error_after"], Age] = Field(min_length=2)
    """How old the last load may be before there is a warning, and before there is an error."""
    information_asset_owner: Text
    """Role that is the information asset owner."""
    data_owner: Text
    """Role that answers for the data's content and quality."""
    purpose: Text
    """Purpose for which the council processes the data."""
    lawful_basis: Text
    """Lawful basis. Where a column is about people: the condition of UK GDPR article 6(1) and the statute."""
    special_category_basis: Text | None = None
    """Condition of UK GDPR article 9(2) where a column is special_category and, where the Data Protection Act 2018
    (section 10) asks for one, the paragraph of its Schedule 1."""
    retention: Duration
    """How long a row is kept, as an ISO 8601 duration such as P7Y."""
    sharing: Text
    """Who else receives the data, and under what arrangement."""
    tables: list[Table] = Field(min_length=1)
    """Tables that are declared."""

    @model_validator(mode="after")
    def _check(self) -> "System":
        if self.time_zone not in available_timezones():
            raise ValueError("time_zone is not in the IANA time zone database")
        if self.kind != "api" and not self.location:
            raise ValueError(f"kind: {self.kind} needs a location (the environment variable that says where it is)")
        if self.poll and self.kind == "api":
            raise ValueError("poll is for databases and files: an API is loaded by its schedule")
        self._check_lawfulness()
        for table in self.tables:
            table._system = self
            if (self.kind == "files") != bool(table.files):
                raise ValueError(f"{table.name}: `files` is for kind: files, and required there")
            if table.parent:
                self._check_child(table)
        return self

    def _check_lawfulness(self) -> None:
        columns = [(f"{table.name}.{column.name}", column.privacy) for table in self.tables for column in table.columns]
        personal = [f"{name} is {privacy}" for name, privacy in columns if privacy != "none"]
        if personal and not ARTICLE_6.search(self.lawful_basis):
            raise ValueError(f"lawful_basis names no condition, such as article 6(1)(e), and {personal[0]}")
        special = [f"{name} is {privacy}" for name, privacy in columns if privacy == "special_category"]
        if special and not (condition := ARTICLE_9.search(self.special_category_basis or "")):
            raise ValueError(f"special_category_basis names no condition, such as article 9(2)(h), and {special[0]}")
        if special and condition[1].lower() in "bghij" and not SCHEDULE_1.search(self.special_category_basis):
            needs = f"article 9(2)({condition[1]}) needs a paragraph of DPA 2018 Schedule 1"
            raise ValueError(f"special_category_basis: {needs}, and {special[0]}")

    def _check_child(self, table: Table) -> None:
        parent = next((other for other in self.tables if other.name == table.parent), None)
        if self.kind != "api" or parent is None or parent.parent:
            raise ValueError(f"{table.name}: `parent` must be a table of this system, of kind: api, without a parent")
        if not parent.key or not set(table.key) > set(parent.key):
            raise ValueError(f"{table.name}: the key must be the parent's and at least one column of its own")
        if table.load != parent.load:
            raise ValueError(f"{table.name}: load must be its parent's, {parent.load}")
        types = [
            {column.name: (column.data_type, column.identifier) for column in each.columns} for each in (parent, table)
        ]
        if unlike := [name for name in parent.key if types[0][name] != types[1][name]]:
            raise ValueError(f"{table.name}: not of the parent's data_type or identifier: {', '.join(unlike)}")

    @property
    def short_name(self) -> str:
        """The system's one word, without raw_."""
        return self.name.removeprefix("raw_")


def read_contracts(folder: Path = STAGING) -> dict[str, System]:
    """All systems under `folder` by their one word, in alphabetical order of their folders; raises ContractError."""
    systems = [system for path in sorted(folder.glob("*/_*__sources.yml")) for system in _read_file(path)]
    if not systems:
        raise ContractError(f"no source contract (<system>/_<system>__sources.yml) under {folder}")
    return {system.short_name: system for system in systems}


def _read_file(path: Path) -> list[System]:
    shown, root, document = read_yaml(path)
    if not isinstance(document, dict) or not isinstance(document.get("sources"), list):
        raise ContractError(f"{shown}:1: a source contract has a list `sources:`")
    systems = []
    for position, source in enumerate(document["sources"]):
        try:
            systems.append(System.model_validate(source))
        except ValidationError as refusal:
            raise ContractError(located(refusal, root, ("sources", position), shown)) from None
    return systems


def read_yaml(path: Path) -> tuple[Path, yaml.Node, Any]:
    """The file's name as messages show it, its nodes (for `located`) and its content; raises ContractError."""
    text = path.read_text(encoding="utf-8")
    shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
    try:
        return shown, yaml.compose(text, yaml.CSafeLoader), yaml.load(text, yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        raise ContractError(f"{shown}:{error.problem_mark.line + 1}: not YAML: {error.problem}") from None


def located(refusal: ValidationError, root: yaml.Node, start: tuple, shown: Path) -> str:
    """What is wrong with what stands at `start` in a YAML file: a line each, with file, line and names."""
    problems = []
    for error in refusal.errors(include_url=False, include_input=False):
        line, words = _place(root, (*start, *error["loc"]))
        problems.append(f"{shown}:{line}: {words}: {error['msg'].removeprefix('Value error, ')}")
    return "\n".join(problems)


def _place(node: yaml.Node, location: tuple) -> tuple[int, str]:
    """The 1-based line of the deepest part of `location` that the file has, and the names on the way to it."""
    line, words = 1, []
    for step in location:
        if isinstance(node, yaml.SequenceNode) and isinstance(step, int):
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


def _entries(node: yaml.Node) -> dict[str, tuple[yaml.Node, yaml.Node]]:
    """A mapping's keys and values, with those under config and config.meta beside them."""
    if not isinstance(node, yaml.MappingNode):
        return {}
    entries = {key.value: (key, value) for key, value in node.value}
    return entries | {
        k: v for name in ("config", "meta") if name in entries for k, v in _entries(entries[name][1]).items()
    }
