"""Rules between the fields of a contract; each function raises ValueError, which names the fields."""

import re
from functools import cache
from typing import TYPE_CHECKING
from zoneinfo import available_timezones

from ingestion.columns import DOCUMENT_TYPES
from ingestion.contract_fields import FILE_KEYS, GRAIN

if TYPE_CHECKING:
    from ingestion.columns import Column
    from ingestion.contracts import System, Table

ARTICLE_6 = re.compile(r"article 6\(1\)\([a-f]\)", re.IGNORECASE)  # UK GDPR
ARTICLE_9 = re.compile(r"article 9\(2\)\(([a-j])\)", re.IGNORECASE)
DATES = ("date", "timestamptz")
SCHEDULE_1 = re.compile(r"schedule 1 paragraph \d+", re.IGNORECASE)  # Data Protection Act 2018


def check_table(table: "Table") -> None:
    """Raise ValueError unless the table's fields fit each other."""
    names = table.column_names
    raw_columns = [name for column in table.columns for name in column.raw_columns]
    if doubled := {name for name in raw_columns if raw_columns.count(name) > 1}:
        raise ValueError(f"declared twice: {', '.join(sorted(doubled))}")
    if unknown := {*table.key, *table.control_totals, *filter(None, [table.cursor, table.retained_from])} - set(names):
        raise ValueError(
            f"key, cursor, control total or retained_from is not a declared column: {', '.join(sorted(unknown))}"
        )
    identifiers = [column.name for column in table.identifiers]
    if (identifiers or table.subject) and table.subject not in identifiers:
        raise ValueError("a table with identifiers needs a `subject`: the identifier column of the person")
    names_of_people = {column.name for column in table.identifiers if column.identifier == "name"}
    if unordered := [name for name in table.key if table.column(name).data_type in DOCUMENT_TYPES]:
        raise ValueError(f"a key cannot be jsonb or bytea: {', '.join(unordered)}")
    if table.subject_by and (table.subject or not set(table.subject_by) <= set(names)):
        raise ValueError("`subject_by` names declared columns, in a table without a `subject`")
    if table.person is not None and (not table.subject or not names_of_people.issuperset(table.person)):
        raise ValueError("`person` lists identifier columns of kind name, in a table with a `subject`")
    if misused := set(identifiers).intersection([*table.control_totals, table.cursor]):
        raise ValueError(f"an identifier cannot be a cursor or a control total: {', '.join(sorted(misused))}")
    if table.retained_from and table.column(table.retained_from).data_type not in ("timestamptz", "date", "text"):
        raise ValueError("retained_from must be a timestamptz, a date, or a text that Postgres casts to one")
    if table.retention and not table.retained_from:
        raise ValueError("retention needs `retained_from`, the column from which the period counts")
    if bool(table.parent) != bool(table.items):
        raise ValueError("`parent` (a table) and `items` (its list) must both be set, or neither")
    if table.parent and (table.cursor or table.load not in ("replace", "merge")):
        raise ValueError("a table with a `parent` is loaded with it: load replace or merge, without a cursor")
    if table.load in ("merge", "history") and not table.key:
        raise ValueError(f"load: {table.load} needs a key")
    if table.load == "append" and not table.files and not (table.key and table.cursor):
        raise ValueError("load: append needs a key and a cursor, except for files")
    if table.cursor and table.load == "replace":
        raise ValueError("load: replace reads the whole source; remove the cursor, or choose merge or history")
    if table.cursor and table.column(table.cursor).data_type not in (*DATES, "bigint"):
        raise ValueError("a cursor must be a timestamptz, date or bigint")
    if table.load == "history" and table.cursor and table.column(table.cursor).data_type == "bigint":
        raise ValueError("load: history takes valid_from from the cursor, which must be a timestamptz or date")
    if table.load == "history" and {"valid_from", "valid_to"}.intersection(names):
        raise ValueError("load: history adds valid_from and valid_to; do not declare them")
    if composed := {column.name for column in table.columns if column.of}.intersection(
        table.key, [table.cursor], table.control_totals, *(column.of for column in table.columns)
    ):
        raise ValueError(f"a column with `of` cannot be a key, cursor, control total or part: {', '.join(composed)}")
    if undated := [
        column.name
        for column in table.columns
        if column.age and (column.age.at not in names or table.column(column.age.at).data_type not in DATES)
    ]:
        raise ValueError(f"`at` of an age is a declared date or timestamptz: {', '.join(undated)}")
    if GRAIN not in table.description:
        raise ValueError("the description must end in the grain ('One row per …')")


def check_layout(table: "Table") -> None:
    """Raise ValueError unless the fields of the table's files fit each other."""
    layout = FILE_KEYS | {"delimiter", "sheet", "header_rows", "headings", "unpivot", "footer", "row_count_at"}
    if table.files and (table.source_table or table.source_schema):
        raise ValueError("source_table and source_schema are for tables of a database")
    if not table.files and (without := layout & table.model_fields_set):
        raise ValueError(f"only for tables of `files`: {', '.join(sorted(without))}")
    for encoding in (table.encoding, *table.other_encodings):
        try:
            "".encode(encoding)
        except LookupError:
            raise ValueError(
                f"unknown encoding {encoding}; common encodings are utf-8, windows-1252 and utf-16"
            ) from None
    if table.growing and (not table.corrections or table.has_footer or table.encoding.startswith(("utf-16", "utf-32"))):
        raise ValueError("growing needs `corrections` and a CSV without a footer, not in utf-16")
    if table.delimiter == table.quote or table.escape in (table.delimiter, table.quote):
        raise ValueError("delimiter, quote and escape are different characters")
    if table.escape and table.growing:
        raise ValueError("a growing file has no escape character")
    if table.headings and table.header_rows > 1:
        raise ValueError("`header_rows` is for a file with a header, `headings` for a file without one")
    if table.row_count_at and not table.has_footer:
        raise ValueError("row_count_at needs a `footer`, which holds the number of rows")
    types = {column.name: column.data_type for column in table.columns}
    if undeclared := {*filter(None, [table.sheet_column, table.footer_empty])} - set(types):
        raise ValueError(f"sheet_column or footer_empty is not a declared column: {', '.join(undeclared)}")
    if table.sheet_column and types[table.sheet_column] != "text":
        raise ValueError("sheet_column must be a text")
    if table.footer_optional and not table.has_footer:
        raise ValueError("footer_optional needs a `footer` or `footer_empty`")
    if table.unpivot and (unknown := set(table.unpivot.filled) - set(types)):
        raise ValueError(f"unpivot fills undeclared columns: {', '.join(sorted(unknown))}")
    for name in table.control_totals:
        if not types.get(name, "").startswith(("numeric", "bigint", "double")):
            raise ValueError(f"control total {name} is not declared as a number")


def check_system(system: "System") -> None:
    """Raise ValueError unless the system's fields, and its tables, fit each other."""
    if system.time_zone not in _time_zones():
        raise ValueError("time_zone is not in the IANA time zone database")
    if system.kind != "api" and not system.location:
        raise ValueError(f"kind: {system.kind} needs a location (the environment variable with its URL or folder)")
    if system.poll and system.kind == "api":
        raise ValueError("poll is for databases and files; an API is loaded on its schedule")
    _check_lawfulness(system)
    for table in system.tables:
        if (system.kind == "files") != bool(table.files):
            raise ValueError(f"{table.name}: `files` is required for kind: files, and only allowed there")
        if table.control_totals and system.kind != "database" and not table.has_footer:
            raise ValueError(f"{table.name}: control_totals need a source's own sums: a database, or a `footer`")
        if table.due and ((not table.cursor and system.kind == "api") or _has_number_as_cursor(table)):
            raise ValueError(f"{table.name}: `due` needs a cursor that is a date or time, or files, or a database")
        if table.parent:
            _check_child(system, table)
        for column in (column for column in table.columns if column.age):
            _check_age(system, table, column)
    for table in (table for table in system.tables if table.subject_by):
        _check_subject_by(system, table)


def _has_number_as_cursor(table: "Table") -> bool:
    return table.cursor is not None and table.column(table.cursor).data_type not in DATES


def _check_age(system: "System", table: "Table", column: "Column") -> None:
    place, _, name = column.age.born.rpartition(".") if column.age else ("", "", "")
    other = next((each for each in system.tables if each.name == (place or table.name)), None)
    born = next((each for each in other.identifiers if each.name == name), None) if other else None
    if other is None or born is None or born.identifier != "date_of_birth":
        raise ValueError(f"{table.name}.{column.name}: `born` is not a column of kind date_of_birth of the system")
    if other is not table and (system.kind != "database" or not table.subject or other.key != [other.subject]):
        raise ValueError(
            f"{table.name}.{column.name}: a date of birth in another table needs kind: database, a `subject`, and "
            "a table whose key is its `subject`"
        )
    if other is not table and table.cursor and not other.cursor:
        raise ValueError(f"{table.name}.{column.name}: the table of the date of birth needs a cursor too")


def _check_subject_by(system: "System", table: "Table") -> None:
    targets = [target.partition(".") for target in table.subject_by.values()]
    parents = {other.name: other for other in system.tables if other.subject}
    if len({parent for parent, _, _ in targets}) != 1 or targets[0][0] not in parents:
        raise ValueError(f"{table.name}: `subject_by` names columns of one table of the system with a `subject`")
    if unknown := {column for _, _, column in targets} - {*parents[targets[0][0]].column_names}:
        raise ValueError(f"{table.name}: `subject_by` names undeclared columns: {', '.join(sorted(unknown))}")


def _check_lawfulness(system: "System") -> None:
    columns = [(f"{table.name}.{column.name}", column.privacy) for table in system.tables for column in table.columns]
    personal = [f"{name} is {privacy}" for name, privacy in columns if privacy != "none"]
    if personal and not ARTICLE_6.search(system.lawful_basis):
        raise ValueError(f"lawful_basis needs a condition such as article 6(1)(e), because {personal[0]}")
    special = [f"{name} is {privacy}" for name, privacy in columns if privacy == "special_category"]
    basis = system.special_category_basis or ""
    condition = ARTICLE_9.search(basis)
    if special and not condition:
        raise ValueError(f"special_category_basis needs a condition such as article 9(2)(h), because {special[0]}")
    if special and condition and condition[1].lower() in "bghij" and not SCHEDULE_1.search(basis):
        needs = f"article 9(2)({condition[1]}) needs a paragraph of DPA 2018 Schedule 1"
        raise ValueError(f"special_category_basis: {needs}, because {special[0]}")


def _check_child(system: "System", table: "Table") -> None:
    parent = next((other for other in system.tables if other.name == table.parent), None)
    if system.kind != "api" or parent is None or parent.parent:
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


@cache
def _time_zones() -> set[str]:
    return available_timezones()
