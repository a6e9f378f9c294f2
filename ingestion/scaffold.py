"""Write the first contract of a system and its staging models; what only a person knows is TODO, and nothing loads.

A development tool: it asks sqlfluff for SQL's reserved words.
"""

import json
import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
import yaml
from sqlalchemy.dialects import postgresql

from ingestion import ROOT
from ingestion.columns import TODO
from ingestion.contract_fields import GRAIN
from ingestion.contract_yaml import ContractError
from ingestion.contracts import STAGING
from ingestion.database_discovery import from_database
from ingestion.discovery import FoundTable, unique
from ingestion.file_discovery import from_files

SHOWN_IN_QUERY = {"charset", "driver", "encrypt", "service_name", "sslmode", "sslrootcert", "trustservercertificate"}
ID_NAME = re.compile(r"(^|_)(id|code|no|num|number|ref|reference|key)$")
MAX_LINE = 120


@dataclass
class Added:
    """What `warehouse source add` has written, for the message about the next steps."""

    folder: Path
    contract: Path
    tables: list[str]
    todos: int
    variable: str
    value: str  # value of the variable, without a password


def add_source(
    system: str, location: str, tables: Iterable[str] = (), schema: str | None = None, staging: Path = STAGING
) -> Added:
    """Write `staging`/<system>/ for a database URL, folder or file; raises ContractError or SourceError.

    `tables` are the tables to declare, by the source's name or the raw table's; default: all.
    """
    folder = staging / system
    shown = folder.relative_to(ROOT) if folder.is_relative_to(ROOT) else folder
    if not re.fullmatch("[a-z][a-z0-9]{0,40}", system):
        raise ContractError(
            f"{system!r} is not a valid system name: use one lower-case word of letters and digits, at most 41"
        )
    if folder.exists():
        raise ContractError(f"{shown} exists; `source add` does not change a contract. Edit it, or remove the folder")
    if "://" in location:
        kind, variable, value = "database", f"{system.upper()}_URL", _without_password(location)
        found = from_database(system, variable, location, set(tables), schema)
    elif schema:
        raise ContractError("--schema is for databases only")
    else:
        kind, variable = "files", f"{system.upper()}_LANDING"
        path = Path(location).expanduser().resolve()
        value = str(path.parent if path.is_file() else path)
        found = from_files(system, variable, path, set(tables))
    contract = _contract(system, kind, variable, schema, found)
    files = {f"_{system}__sources.yml": contract}
    for name, table in zip(unique(_plural(table.name) for table in found), found, strict=True):
        model = f"stg_{system}__{name}"[:63].rstrip("_")
        columns = _staging_columns(table)
        files[f"{model}.sql"] = _model(system, table, columns)
        files[f"{model}.yml"] = _model_yaml(system, model, table, columns)
    staging.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=staging, prefix=".") as draft:
        written = Path(draft) / system
        written.mkdir()
        for name, text in files.items():
            (written / name).write_text(text, encoding="utf-8")
        written.rename(folder)
    todos = sum(len(TODO.findall(line)) > 0 for line in contract.splitlines() if not line.startswith("#"))
    return Added(shown, shown / f"_{system}__sources.yml", [table.name for table in found], todos, variable, value)


def _without_password(url: str) -> str:
    """The URL without secrets, for display; raises ContractError if SQLAlchemy cannot parse it."""
    if url.lower().startswith(("http://", "https://")):
        raise ContractError("write ingestion/apis/<system>.py and a contract by hand for an HTTP API")
    try:
        parts = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        parts = None
    if parts is None or "@" in (parts.host or ""):
        form = "dialect+driver://login:password@host/database, with %40 for an @ in the password"
        raise ContractError(f"not a SQLAlchemy URL: {form}")
    query = {name: value if name.lower() in SHOWN_IN_QUERY else "***" for name, value in parts.query.items()}
    return parts.set(query=query).render_as_string(hide_password=True)


def _scalar(text: str, flow: bool = False) -> str:
    """The text as a YAML scalar, quoted only if it would otherwise change its meaning."""
    try:
        if yaml.load(f"[{text}]" if flow else f"- {text}", yaml.CSafeLoader) == [text]:
            return text
    except yaml.YAMLError:
        pass
    return json.dumps(text, ensure_ascii=False)


def _listed(texts: list[str]) -> str:
    return f"[{', '.join(_scalar(text, flow=True) for text in texts)}]"


def _value(value: str | bool | list[str]) -> str:
    return _listed(value) if isinstance(value, list) else str(value).lower() if value is True else _scalar(str(value))


def _comment(text: str | None) -> str:
    return f"  # {text}" if text else ""


CONTRACT = """\
# yaml-language-server: $schema=../../../../ingestion/contract.schema.json
# Drafted by `warehouse source add`. Replace each TODO (nothing loads before) and check each line marked `guessed`.
# docs/reference/identifiers.md explains the privacy classes, docs/reference/file-layouts.md the file layouts.
sources:
  - name: raw_{system}
    description: TODO
    config:
      meta:
        freshness:  # guessed: for a daily schedule
          warn_after: {{count: 26, period: hour}}
          error_after: {{count: 50, period: hour}}
        kind: {kind}
        location: {variable}
{schema}        schedule: TODO
        time_zone: Europe/London  # guessed: of times without an offset
        information_asset_owner: TODO
        data_owner: TODO
        purpose: TODO
        lawful_basis: TODO
        retention: TODO
        sharing: TODO
    tables:
{tables}
"""


def _contract(system: str, kind: str, variable: str, schema: str | None, tables: list[FoundTable]) -> str:
    declared = "\n\n".join(_table_yaml(table) for table in tables)
    source_schema = f"        source_schema: {_scalar(schema)}\n" if schema else ""
    return CONTRACT.format(system=system, kind=kind, variable=variable, schema=source_schema, tables=declared)


def _table_yaml(table: FoundTable) -> str:
    description = f"{_sentence(table.description or 'TODO')} {GRAIN} {' and '.join(table.key) or 'TODO'}."
    meta = [f"load: {'merge' if table.cursor else 'replace'}"]
    if table.key:
        meta.append(f"key: {_listed(table.key)}{_comment(table.key_guess)}")
    if table.cursor:
        meta.append(f"cursor: {_scalar(table.cursor)}  # guessed: every change of a row must set it")
    guesses = {name: f"guessed: {why}" for name, why in table.meta_guesses.items()}
    if "[0-9]*" in table.meta.get("files", ""):
        guesses["files"] = "guessed: the digits vary"
    meta += [f"{name}: {_value(value)}{_comment(guesses.get(name))}" for name, value in table.meta.items()]
    if table.left_out:
        meta.append("left_out:")
        meta += [f"  - {_scalar(name)}{_comment(why)}" for name, why in table.left_out.items()]
    lines = [
        f"      - name: {_scalar(table.name)}",
        f"        description: {_scalar(description)}",
        "        config:",
        "          meta:",
    ]
    lines += [f"            {line}" for line in meta] + ["        columns:"]
    for column in table.columns:
        of_column = [
            f"{name}: {_scalar(value, flow=True)}"
            for name, value in (("header", column.header), ("format", column.format))
            if value
        ]
        of_column += [f"number_format: {_listed([*column.number_format])}"] * bool(column.number_format)
        of_column += [f"null_values: {_listed([*column.null_values])}"] * bool(column.null_values)
        lines += [
            f"          - name: {_scalar(column.name)}",
            f"            data_type: {column.data_type}{_comment(column.guess)}",
            f"            description: {_scalar(column.description or 'TODO')}",
            f"            config: {{meta: {{{', '.join(['privacy: TODO', *of_column])}}}}}",
        ]
    return "\n".join(lines)


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


# --- the staging models


@dataclass
class _Staged:
    """A column of a staging model: its name, SQL expression, group and description."""

    name: str
    expression: str
    group: str
    description: str


GROUPS = ("ids", "text", "numbers", "booleans", "dates")


def _staging_columns(table: FoundTable) -> list[_Staged]:
    """The columns in the order of a staging model; a name that is a word of SQL is prefixed."""
    from sqlfluff.core import dialect_selector

    dialect = dialect_selector("postgres")
    reserved = {word.lower() for word in dialect.sets("reserved_keywords")} | postgresql.base.RESERVED_WORDS
    words = reserved | {word.lower() for word in dialect.sets("unreserved_keywords")} | {"id"}
    entity = _singular(table.name)
    staged = []
    if table.has_files:
        staged.append(_Staged("source_file", "_source_file", "ids", "Name of the file that contained the row"))
        staged.append(_Staged("source_row_number", "_source_row", "ids", "Number of the row in its file, from 1"))
    for column in table.columns:
        name = f"{entity}_{column.name}"[:63] if column.name in words else column.name
        source = f'"{column.name}"' if column.name in reserved else column.name
        is_text, is_id = column.data_type == "text", column.name in table.key or ID_NAME.search(column.name)
        cleaned = f"{{{{ clean_text('{source}') }}}}" if is_text and column.name not in table.key else source
        types = {"boolean": "booleans", "text": "text"} | dict.fromkeys(("date", "timestamptz", "time"), "dates")
        group = "ids" if is_id else types.get(column.data_type, "numbers")
        staged.append(_Staged(name, cleaned, group, column.description or f"Source column {column.source_name}"))
    for column_name, each in zip(unique(each.name for each in staged), staged, strict=True):
        each.name = column_name
    return sorted(staged, key=lambda each: GROUPS.index(each.group))


def _model(system: str, table: FoundTable, columns: list[_Staged]) -> str:
    blocks = []
    for group in GROUPS:
        members = [_selected(column) for column in columns if column.group == group]
        if members:
            blocks.append(f"        -- {group}\n" + ",\n".join(members))
    selected = ",\n\n".join(blocks)
    source = f"{{{{ source('raw_{system}', '{table.name}') }}}}"
    return (
        f"with\n\nsource as (\n\n    select * from {source}\n\n),\n\n"
        f"renamed as (\n\n    select\n{selected}\n\n    from source\n\n)\n\nselect * from renamed\n"
    )


def _selected(column: _Staged) -> str:
    if column.expression == column.name:
        return f"        {column.name}"
    line = f"        {column.expression} as {column.name}"
    return line if len(line) < MAX_LINE else f"        {column.expression}\n            as {column.name}"


def _model_yaml(system: str, model: str, table: FoundTable, columns: list[_Staged]) -> str:
    by_expression = {column.expression.strip('"'): column.name for column in columns}
    key = [by_expression[name] for name in table.key]
    grain = " and ".join(key) or ("row of the files" if table.has_files else "row of the source")
    description = f"{_sentence(table.description or f'Table {table.name} of {system}')} {GRAIN} {grain}."
    unique = key or (["source_file", "source_row_number"] if table.has_files else [column.name for column in columns])
    lines = ["models:", f"  - name: {model}", f"    description: {_scalar(description)}"]
    if len(unique) > 1:
        lines += ["    data_tests:", "      - unique_combination_of_columns:"]
        lines.append(f"          arguments: {{combination_of_columns: {_listed(unique)}}}")
    tested = []  # the contract describes the other columns
    for column in columns:
        tests = ["unique"] if unique == [column.name] else []
        tests += ["not_null"] if column.name in key else []
        if tests:
            tested += [f"      - name: {_scalar(column.name)}", f"        description: {_scalar(column.description)}"]
            tested.append(f"        data_tests: {_listed(tests)}")
    lines += ["    columns:", *tested] if tested else []
    return "\n".join(lines) + "\n"


def _plural(name: str) -> str:
    if name.endswith(("ss", "us", "x", "ch", "sh")):
        return f"{name}es"
    if name.endswith("s"):
        return name
    return f"{name[:-1]}ies" if re.search("[^aeiou]y$", name) else f"{name}s"


def _singular(name: str) -> str:
    if name.endswith(("ss", "us", "is")) or not name.endswith("s"):
        return name
    if name.endswith("ies"):
        return f"{name[:-3]}y"
    return name[:-2] if name.endswith(("sses", "xes", "ches", "shes", "uses")) else name[:-1]
