"""Discover the tables of a database for a first contract: names, columns, types, keys."""

import re
from collections.abc import Iterator

import sqlalchemy as sa

from ingestion.contracts import SourceError
from ingestion.databases import open_database
from ingestion.discovery import FoundColumn, FoundTable, choose, draft_contract, one_line, table_name, unique
from ingestion.errors import describe
from ingestion.headings import snake_case
from ingestion.sql_types import SOURCE_TYPE, contract_type

CURSOR_NAME = re.compile(r"(^|_)(last_)?(updated?|modified|modification|changed?|amended)(_|$)")


def from_database(system: str, variable: str, url: str, wanted: set[str], schema: str | None) -> list[FoundTable]:
    password = sa.make_url(url).password
    try:
        return list(_reflected(system, variable, url, wanted, schema))
    except SourceError as error:
        raise SourceError(_mask_password(str(error), password)) from None
    except sa.exc.SQLAlchemyError as error:
        problem = f"raw_{system}: cannot read the database's catalogue: {describe(error)}"
        raise SourceError(_mask_password(problem, password)) from None


def _mask_password(message: str, password: str | None) -> str:
    return message.replace(password, "***") if password else message


def _reflected(system: str, variable: str, url: str, wanted: set[str], schema: str | None) -> Iterator[FoundTable]:
    place = {"kind": "database", "location": variable} | ({"source_schema": schema} if schema else {})
    with open_database(draft_contract(system, place), url) as database:
        inspector = sa.inspect(database.live)
        available = sorted(inspector.get_table_names(schema))
        if wanted:  # a view is declared only if it is named
            available += sorted(inspector.get_view_names(schema))
            if database.live.dialect.name == "postgresql":
                available += sorted(inspector.get_materialized_view_names(schema))
        where = f"schema {schema}" if schema else "the login's default schema"
        names = choose({name: name for name in available}, wanted, f"{where} of the database that {variable} names")
        for name, source_name in zip(unique(map(table_name, names)), names, strict=True):
            declared = {"name": name, "source_table": source_name}
            source = database.reflect(draft_contract(system, place, declared).tables[0], is_whole=True)
            yield _describe(name, source_name, source, database.live.dialect.name)


def _describe(name: str, source_name: str, source: sa.Table, dialect: str) -> FoundTable:
    table = FoundTable(name, [], description=one_line(source.comment))
    if name != source_name:
        table.meta["source_table"] = source_name
    names = unique(snake_case(column.name) or f"column_{place}" for place, column in enumerate(source.columns, 1))
    for column_name, column in zip(names, source.columns, strict=True):
        data_type, guess = contract_type(column.type, dialect, column.info.get(SOURCE_TYPE, ""))
        if data_type is None:
            table.left_out[column.name] = guess
            continue
        declared = FoundColumn(column_name, column.name, data_type, description=one_line(column.comment), guess=guess)
        declared.header = column.name if column_name != snake_case(column.name) else None
        table.columns.append(declared)
    if not table.columns:
        raise SourceError(f"{source_name}: no column of a supported type. Choose other tables with --table")
    by_source = {column.source_name: column for column in table.columns}
    key, table.key_guess = _key(source)
    table.key = [by_source[part].name for part in key] if set(key) <= set(by_source) else []
    changed = [c.name for c in table.columns if c.data_type == "timestamptz" and CURSOR_NAME.search(c.name)]
    if table.key and changed:
        table.cursor = min(changed, key=lambda name: "last" not in name)
    return table


def _key(source: sa.Table) -> tuple[list[str], str | None]:
    """The primary key's columns, else those of the shortest unique constraint or index without nulls."""
    if primary := [column.name for column in source.primary_key]:
        return primary, None
    unique = [[*each.columns] for each in source.constraints if isinstance(each, sa.UniqueConstraint)]
    for index in source.indexes:
        is_whole = index.dialect_options["postgresql"].get("where") is None
        if index.unique and is_whole and len(index.expressions) == len(index.columns):
            unique.append([*index.columns])
    keys = [[column.name for column in columns] for columns in unique if not any(c.nullable for c in columns)]
    return min(keys, key=lambda names: (len(names), names), default=[]), "guessed: unique at the source"
