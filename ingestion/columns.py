"""The columns of a source contract: their types, privacy classes, identifiers, and how their values are written."""

import re
from datetime import date
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from ingestion.formats import Identifier, NumberForm, check_date_format

if TYPE_CHECKING:
    import pyarrow as pa  # slower to import than all contracts are to read

DATA_TYPES = ("text", "bigint", "double precision", "boolean", "date", "timestamptz", "time", "jsonb", "bytea")
DOCUMENT_TYPES = ("jsonb", "bytea")  # no keys, and not shown
NUMERIC = re.compile(r"numeric\((\d{1,2}),(\d{1,2})\)")
DBT_KEYS = {"config", "data_tests", "tags", "loader", "quoting"}  # dbt's keys, which the loader does not read
TODO = re.compile(r"\bTODO\b")  # written by `warehouse source add` for a person to replace

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
TEXT_SCHEMA = {"type": "string", "minLength": 1, "not": {"pattern": TODO.pattern}}
OneOrMore = Annotated[
    list[Text],
    BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
    PlainSerializer(lambda value: value if len(value) > 1 else value[0] if value else None),
    WithJsonSchema({"anyOf": [TEXT_SCHEMA, {"type": "array", "items": TEXT_SCHEMA, "minItems": 1}]}),
]
MAX_PRECISION = 38  # digits of an Arrow decimal
KINDS_WITHOUT_RULES = ("employee_number", "person_number")  # every other kind has rules in ingestion.standards


def token_columns(name: str, kind: str | None) -> dict[str, str]:
    """{form: column} of the tokens of an identifier column; "" is the canonical form."""
    forms = ("premises", "street") if kind == "address" else ()
    return ({"": name} if kind else {}) | {form: f"{name}_{form}" for form in forms}


def companion_columns(name: str, kind: str | None) -> list[str]:
    """The columns loaded beside a token: the code of the rule it violates and, for a birth date, its month."""
    has_rules = kind is not None and kind not in KINDS_WITHOUT_RULES
    return [f"{name}_fault"] * has_rules + [f"{name}_month"] * (kind == "date_of_birth")


class Part(BaseModel):
    """A part of the contract: dbt's own keys and the keys under config.meta."""

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
            raise ValueError("is still TODO; replace it by a decision of the data owner")
        return value


class Age(Part):
    """How the age of a person on a day is calculated at extraction. The date of birth itself is not loaded."""

    born: Annotated[str, StringConstraints(pattern=r"^([a-z]\w*\.)?[a-z]\w*$")]
    """Date of birth: a column of this table, or table.column of the database's table whose key is the `subject`."""
    at: Name
    """Date or time on which the age is calculated; a time counts by its local date."""


class Column(Part):
    """A column: its name and type in Postgres, its privacy class and, for a file, its heading and date format."""

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
    header: OneOrMore = []
    """Exact name of the column at the source, if `name` is not that name in snake case; a list where files differ. The
    second of two equal headings is named Amount (2)."""
    optional: bool = False
    """Whether the column may be absent: a file without it, or an API that leaves out empty fields."""
    required: bool = False
    """Whether a row without a value in this column is rejected."""
    format: OneOrMore = []
    """Format of a date or time that is not ISO 8601, such as %d/%m/%Y or %H%M; a list where values differ. `excel` is
    the number by which Excel stores a date (45383 is 2024-04-01)."""
    earliest: date | None = None
    """Earliest date that is accepted, such as 1900-01-01; a row with an earlier one is rejected."""
    latest: date | None = None
    """Latest date that is accepted; a row with a later one is rejected."""
    number_format: list[NumberForm] = []
    """Forms of numbers that are accepted besides 1234.50: thousands (1,234.50), pound (£5), brackets ((5.00) is -5.00),
    credit (5.00 CR is -5.00, 5.00 DR is 5.00), trailing_minus (5.00-), percent (12.5% is 12.5). With decimal_comma
    every number has a comma before its decimals and, with thousands, points between thousands (1.234,50)."""
    true_values: list[Text] = []
    """Texts that mean true in a boolean, such as Y and Yes, instead of true and 1."""
    false_values: list[Text] = []
    """Texts that mean false in a boolean, such as N and No, instead of false and 0."""
    null_values: list[Text] = []
    """Texts that mean no value, such as NA or -, besides those of the table."""
    of: list[Name] = []
    """Source columns whose filled values are joined by a comma and a space, such as the fields of an address. They are
    loaded themselves only if they are declared too."""

    age: Age | None = None
    """Completed years of age on a day, which fill the column."""

    @model_validator(mode="after")
    def _check(self) -> "Column":
        if self.age and (self.data_type != "bigint" or self.privacy != "personal" or self.header or self.of):
            raise ValueError("a column with `age` is a bigint of privacy class personal, without `header` and `of`")
        if self.of and (self.data_type != "text" or self.header or self.format):
            raise ValueError("a column with `of` is a text without `header` and `format`")
        numeric = NUMERIC.fullmatch(self.data_type)
        if self.data_type not in DATA_TYPES and not numeric:
            raise ValueError(f"data_type must be numeric(p,s) or one of {', '.join(DATA_TYPES)}")
        if (numeric and not int(numeric[2]) <= int(numeric[1]) <= MAX_PRECISION) or self.data_type.startswith(
            "numeric(0"
        ):
            raise ValueError(f"{self.data_type}: the precision is 1 to {MAX_PRECISION}, the scale 0 to the precision")
        if (self.earliest or self.latest) and self.data_type not in ("date", "timestamptz"):
            raise ValueError("earliest and latest are for a date or timestamptz")
        if self.format and self.data_type not in ("date", "timestamptz", "time"):
            raise ValueError("format is for a date, timestamptz or time")
        if self.earliest and self.latest and self.earliest > self.latest:
            raise ValueError("earliest is after latest")
        if self.number_format and not numeric and self.data_type not in ("bigint", "double precision"):
            raise ValueError("number_format is for a number")
        if bool(self.true_values) != bool(self.false_values) or (self.true_values and self.data_type != "boolean"):
            raise ValueError("true_values and false_values are for a boolean, and must both be set, or neither")
        if both := set(self.true_values).intersection(self.false_values):
            raise ValueError(f"true and false at once: {', '.join(sorted(both))}")
        for form in self.format:
            check_date_format(form, is_time=self.data_type == "time")
        if (self.privacy == "identifier") != bool(self.identifier):
            raise ValueError(
                f"privacy: identifier and `identifier` ({', '.join(get_args(Identifier))}) must both be set, or neither"
            )
        if self.identifier and (self.data_type == "date") != (self.identifier == "date_of_birth"):
            raise ValueError("a date_of_birth is a date; no other identifier is a date")
        if self.identifier and not re.fullmatch(r"text|date|bigint|numeric\(\d+,0\)", self.data_type):
            raise ValueError("an identifier is a text, a whole number or a date")
        return self

    @property
    def headers(self) -> list[str]:
        """The column's exact names at the source, else its name."""
        return self.header or [self.name]

    @property
    def raw_columns(self) -> dict[str, str]:
        """{name: Postgres type} of the raw table's columns: an identifier's tokens and their companion columns."""
        if not self.identifier:
            return {self.name: self.data_type}
        return dict.fromkeys([*self.tokens.values(), *companion_columns(self.name, self.identifier)], "text")

    @property
    def kind(self) -> str:
        """The kind of identifier; empty for any other column."""
        return self.identifier or ""

    @property
    def tokens(self) -> dict[str, str]:
        """{form: column} of an identifier's tokens; "" is the canonical form."""
        return token_columns(self.name, self.identifier)

    @property
    def arrow_type(self) -> "pa.DataType":
        """The Arrow type in which the column is loaded."""
        from ingestion.casting import arrow_type

        return arrow_type(self.data_type)


class Unpivot(Part):
    """Columns that are turned into rows, as by SQL's UNPIVOT. An empty cell gives no row."""

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
            raise ValueError(
                "`headings` needs a named group, such as (?P<month>…), for each column that it fills except `value`"
            )
        return self

    @property
    def filled(self) -> list[str]:
        """The declared columns that come from headings and cells and are not columns of the file."""
        return [*re.compile(self.headings).groupindex, self.value]
