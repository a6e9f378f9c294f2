"""Source contracts: read the dbt source YAML of each system, and refuse an invalid one by file and line."""

import hashlib
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, StringConstraints, ValidationError, model_validator

from ingestion import ROOT
from ingestion.columns import Column, Part, Text
from ingestion.contract_checks import check_layout, check_system, check_table
from ingestion.contract_fields import FILE_KEYS, Duration, LayoutFields
from ingestion.contract_yaml import ContractError, describe_errors, parse

STAGING = ROOT / "dbt_project" / "models" / "staging"

ORIGIN_COLUMNS = {"_source_file": "text", "_source_row": "bigint"}  # added to each row of a file: its origin
VALIDITY_COLUMNS = {"valid_from": "timestamptz", "valid_to": "timestamptz"}  # added to each version of a row

KEYS_WITHOUT_EFFECT = {"description", "privacy"}  # column keys that do not change what is loaded
# keys that later releases added: a contract that does not use them keeps its digest, so no table is loaded again
ADDED_TABLE_KEYS = {"source_table", "source_schema", "null_values", *FILE_KEYS}
ADDED_COLUMN_KEYS = {
    "optional", "required", "earliest", "latest", "number_format", "null_values", "true_values", "false_values", "age",
}  # fmt: skip

CONTACT_KINDS = ("address", "postcode", "email", "telephone")  # kinds by which a person is contacted


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


class Table(LayoutFields):
    """A table, API resource or file pattern of a system, and how it is loaded (docs/reference/file-layouts.md)."""

    columns: list[Column] = Field(min_length=1)
    """Declared columns, in the order of the raw table."""
    _system: "System" = PrivateAttr()

    @model_validator(mode="after")
    def _check(self) -> "Table":
        check_table(self)
        check_layout(self)
        return self

    @property
    def digest(self) -> str:
        """A hash of everything in the contract that changes the table's content; a new hash causes a full refresh."""
        from ingestion.standards import RULES_VERSION

        excluded = {"description", "shrink", "rejects", "control_totals", "lag", "corrections", "growing"}
        excluded |= {"retained_from", "retention", "disposal", "person", "subject_by", "due"}
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
        """The columns that the source must have: declared columns without `of` and `age`, and the parts of others."""
        own = [column for column in self.columns if not column.of and not column.age]
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

    def birth_of(self, column: Column) -> "Birth":
        """Where the date of birth is from which the ages of a column with `age` are calculated."""
        place, _, name = column.age.born.rpartition(".") if column.age else ("", "", "")
        table = next(each for each in self._system.tables if each.name == (place or self.name))
        return Birth(table, table.column(name))

    @property
    def other_births(self) -> dict[str, "Birth"]:
        """{column with `age`: date of birth} where the date is in another table."""
        births = {column.name: self.birth_of(column) for column in self.columns if column.age}
        return {name: birth for name, birth in births.items() if birth.table is not self}

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


class Birth(NamedTuple):
    """A date of birth: its table and column."""

    table: Table
    column: Column


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
        for table in self.tables:
            table._system = self
        check_system(self)
        return self

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


@lru_cache(maxsize=64)  # a process reads the contracts several times; a changed text is another key
def _read_file(path: Path, text: str) -> list[System]:
    shown, root, document = parse(path, text)
    if not isinstance(document, dict) or not isinstance(document.get("sources"), list):
        raise ContractError(f"{shown}:1: a source contract needs a list `sources:`")
    systems = []
    for position, source in enumerate(document["sources"]):
        try:
            systems.append(System.model_validate(source))
        except ValidationError as refusal:
            raise ContractError(describe_errors(refusal, root, ("sources", position), shown)) from None
    return systems
