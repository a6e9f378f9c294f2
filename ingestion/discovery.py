"""Discover the tables of a database or a folder of files for a first contract: names, columns, types, keys.

Discovery reads through a draft contract and the loader's own readers, so it finds what a load would load.
"""

import glob
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from ingestion.contract_fields import GRAIN
from ingestion.contract_yaml import ContractError
from ingestion.contracts import SourceError, System, Table
from ingestion.databases import open_database
from ingestion.encodings import EncodingError
from ingestion.errors import describe
from ingestion.files import read_file, read_head
from ingestion.headings import Row, snake_case
from ingestion.inference import Values
from ingestion.spreadsheets import SUFFIXES, sheet_names
from ingestion.sql_types import SOURCE_TYPE, contract_type

TEXT_FILES = {".csv", ".tsv", ".txt", ".gz", ".zip"}
ENCODINGS = ("utf-8", "utf-16", "windows-1252")
DELIMITERS = ",;\t|"
DIGITS = re.compile(r"\d+(?:[-_. ]?\d+)*")
NUMBER_OR_DATE = re.compile(r"[-+£$€]?[\d.,/:%-]*\d[\d.,/:% -]*")  # a heading of words is neither
CURSOR_NAME = re.compile(r"(^|_)(last_)?(updated?|modified|modification|changed?|amended)(_|$)")


@dataclass
class FoundColumn:
    """A column as its source describes it; `guess` is a comment on what is guessed."""

    name: str
    source_name: str
    data_type: str
    format: str | None = None
    description: str | None = None
    guess: str | None = None
    header: str | None = None
    number_format: tuple[str, ...] = ()


@dataclass
class FoundTable:
    """A table as its source describes it; `meta` is the rest of its contract, `left_out` {column: reason}."""

    name: str
    columns: list[FoundColumn]
    meta: dict[str, str] = field(default_factory=dict)
    description: str | None = None
    key: list[str] = field(default_factory=list)
    key_guess: str | None = None
    cursor: str | None = None
    left_out: dict[str, str] = field(default_factory=dict)
    has_files: bool = False


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
    with open_database(_draft_contract(system, place), url) as database:
        inspector = sa.inspect(database.live)
        available = sorted(inspector.get_table_names(schema))
        if wanted:  # a view is declared only if it is named
            available += sorted(inspector.get_view_names(schema))
            if database.live.dialect.name == "postgresql":
                available += sorted(inspector.get_materialized_view_names(schema))
        where = f"schema {schema}" if schema else "the login's default schema"
        names = _choose({name: name for name in available}, wanted, f"{where} of the database that {variable} names")
        for name, source_name in zip(unique(map(_table_name, names)), names, strict=True):
            declared = {"name": name, "source_table": source_name}
            source = database.reflect(_draft_contract(system, place, declared).tables[0])
            yield _describe(name, source_name, source, database.live.dialect.name)


def _describe(name: str, source_name: str, source: sa.Table, dialect: str) -> FoundTable:
    table = FoundTable(name, [], description=_one_line(source.comment))
    if name != source_name:
        table.meta["source_table"] = source_name
    names = unique(snake_case(column.name) or f"column_{place}" for place, column in enumerate(source.columns, 1))
    for column_name, column in zip(names, source.columns, strict=True):
        data_type, guess = contract_type(column.type, dialect, column.info.get(SOURCE_TYPE, ""))
        if data_type is None:
            table.left_out[column.name] = guess
            continue
        declared = FoundColumn(column_name, column.name, data_type, description=_one_line(column.comment), guess=guess)
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


@dataclass
class _Sheet:
    """A file, or a sheet of a workbook, and how to read it."""

    path: Path
    layout: dict[str, Any]
    headings: list[str]

    @property
    def form(self) -> str:
        """The pattern of files with the same name apart from digits."""
        return re.sub(r"\d+(?:[-_. ]?\d+)*", "[0-9]*", glob.escape(self.path.name))


def from_files(system: str, variable: str, path: Path, wanted: set[str]) -> list[FoundTable]:
    if not path.exists():
        raise ContractError(f"{path} does not exist and is not a URL")
    folder = path.parent if path.is_file() else path
    paths = [path] if path.is_file() else [file for file in sorted(folder.rglob("*")) if _is_data(file, folder)]
    if not paths:
        raise ContractError(f"{folder}: no supported file (CSV, .gz, .zip, Parquet, workbook)")
    groups = _groups([sheet for file in paths for sheet in _sheets(system, variable, file)], folder)
    named = dict(zip(unique(_file_table(group[0], pattern, system) for pattern, group in groups), groups, strict=True))
    names = _choose({name: name for name in named}, wanted, f"{path}")
    return [_read(system, variable, name, *named[name]) for name in names]


def _is_data(path: Path, folder: Path) -> bool:
    hidden = any(part.startswith(("~$", ".")) for part in path.relative_to(folder).parts)
    return path.is_file() and not hidden and path.suffix.lower() in TEXT_FILES | SUFFIXES | {".parquet"}


def _sheets(system: str, variable: str, path: Path) -> Iterator[_Sheet]:
    """The file, or each sheet of a workbook that has a table; raises SourceError if there is none."""
    table = _draft_contract(system, {"kind": "files", "location": variable}).tables[0]
    layouts: list[dict[str, Any]] = [{}]
    if path.suffix.lower() in SUFFIXES and len(names := sheet_names(table, path)) > 1:
        layouts = [{"sheet": name} for name in names]
    found = False
    for layout in layouts:
        rows, layout = _head(table, path, layout)
        headings = _headings(rows)
        if headings and (
            len(headings) > 1 or len(layouts) == 1
        ):  # a one-column sheet in a workbook with several sheets is a note
            found = True
            yield _Sheet(path, layout, headings)
    if not found:
        raise SourceError(
            f"{path.name}: no header in its first rows. Write the contract by hand (docs/reference/file-layouts.md)"
        )


def _head(table: Table, path: Path, layout: dict[str, Any]) -> tuple[list[Row], dict[str, Any]]:
    """The file's first rows, and its layout.

    A text file gets the first encoding that fits, and the delimiter that splits most rows alike.
    """
    if path.suffix.lower() in SUFFIXES | {".parquet"}:
        return read_head(table.model_copy(update=layout), path), layout
    for encoding in ENCODINGS:
        heads = []
        try:
            for delimiter in DELIMITERS:
                layout = {"encoding": encoding, "delimiter": delimiter}
                heads.append((read_head(table.model_copy(update=layout), path), layout))
        except EncodingError:
            continue
        return max(heads, key=lambda head: _consistency(head[0]))
    raise _no_encoding(path)


def _consistency(rows: list[Row]) -> tuple[int, int]:
    """(number of rows of the most common width if that is over 1, that width)."""
    widths = Counter(len(row) for row in rows if any(row))
    width, count = widths.most_common(1)[0] if widths else (0, 0)
    return (count if width > 1 else 0), width


def _no_encoding(path: Path) -> SourceError:
    return SourceError(f"{path.name}: unknown encoding (tried {', '.join(ENCODINGS)}). Write the contract by hand")


def _headings(rows: list[Row]) -> list[str]:
    """The first row that fills about as many cells as any other, mostly with words; [] without one."""
    filled = [[_one_line(cell) or "" for cell in row] for row in rows]
    most = max((len(list(filter(None, row))) for row in filled), default=0)
    for row in filled:
        cells = [cell for cell in row if cell]
        enough = len(cells) >= max(min(most, 2), most - max(1, most // 4))
        if cells and enough and sum(bool(NUMBER_OR_DATE.fullmatch(cell)) for cell in cells) * 2 < len(cells):
            last = max(place for place, cell in enumerate(row) if cell)
            return row[: last + 1]
    return []


def _groups(sheets: list[_Sheet], folder: Path) -> list[tuple[str, list[_Sheet]]]:
    """Groups of files whose names differ in digits only and whose headings are equal, with their pattern."""
    alike: dict[tuple[Any, ...], list[_Sheet]] = {}
    for sheet in sheets:
        layout = [(name, value) for name, value in sheet.layout.items() if name != "encoding"]
        alike.setdefault((sheet.path.parent, sheet.form, *layout, *sheet.headings), []).append(sheet)
    groups = []
    for group in alike.values():
        below = group[0].path.parent.relative_to(folder)
        pattern = str(Path(glob.escape(str(below))) / group[0].form)
        files = {sheet.path for sheet in group}
        is_dated = len(group) > 1 or bool(re.search(r"\d{4}", group[0].path.name))
        if is_dated and set(folder.glob(pattern)) == files:
            groups.append((pattern, group))
        else:
            groups += [(glob.escape(str(sheet.path.relative_to(folder))), [sheet]) for sheet in group]
    return groups


def _file_table(sheet: _Sheet, pattern: str, system: str) -> str:
    """A table's name: the sheet's, or the file's without the digits that differ."""
    stem = sheet.path.name if "[0-9]*" not in pattern else re.sub(r"\d+(?:[-_. ]?\d+)*", " ", sheet.path.name)
    while (suffix := Path(stem).suffix.lower()) in TEXT_FILES | SUFFIXES | {".parquet"}:
        stem = stem[: -len(suffix)]
    return _table_name(sheet.layout.get("sheet") or stem, sheet.path.parent.name or system)


def _read(system: str, variable: str, name: str, pattern: str, group: list[_Sheet]) -> FoundTable:
    """The table of these files, with types inferred from all their rows."""
    first = group[0]
    names = unique(snake_case(heading) or f"column_{place}" for place, heading in enumerate(first.headings, 1))
    columns = [
        FoundColumn(name, heading, "text", header=heading if name != snake_case(heading) else None)
        for name, heading in zip(names, first.headings, strict=True)
        if heading
    ]
    table = FoundTable(name, columns, has_files=True)
    table.left_out = {f"column_{at}": "no heading" for at, heading in enumerate(first.headings, 1) if not heading}
    layout, inferred = _infer_types(system, variable, table, first.layout, group)
    for column in columns:
        found = inferred[column.name].inferred
        column.data_type, column.format, column.guess = found.data_type, found.format, found.guess
        column.number_format = found.number_format
    plain = {"encoding": "utf-8", "delimiter": ","}
    table.meta = {"files": pattern} | {name: value for name, value in layout.items() if plain.get(name) != value}
    return table


def _infer_types(
    system: str, variable: str, table: FoundTable, layout: dict[str, Any], group: list[_Sheet]
) -> tuple[dict[str, Any], dict[str, Values]]:
    """The files' layout, and what all values of each column have in common; raises SourceError."""
    started = ENCODINGS.index(layout.get("encoding", ENCODINGS[0]))
    for encoding in ENCODINGS[started:]:
        layout = layout | {"encoding": encoding} if "encoding" in layout else layout
        declared = {"name": table.name, "files": "*", "left_out": [*table.left_out]} | layout
        shapes = [{"name": c.name} | ({"header": c.header} if c.header else {}) for c in table.columns]
        draft = _draft_contract(system, {"kind": "files", "location": variable}, declared, shapes).tables[0]
        values = {column.name: Values() for column in table.columns}
        try:
            for sheet in group:
                for batch in read_file(draft, sheet.path):
                    for name, seen in values.items():
                        seen.add(batch[name])
        except EncodingError:
            continue
        return layout, values
    raise _no_encoding(group[0].path)


def _draft_contract(
    system: str, place: dict[str, Any], table: dict[str, Any] | None = None, columns: list[dict[str, Any]] | None = None
) -> System:
    """A contract with which the loader's readers can read a source that has none yet."""
    shapes = columns or [{"name": "undeclared"}]
    columns = [{"data_type": "text", "description": "None yet", "privacy": "none"} | shape for shape in shapes]
    layout = {"files": "*"} if place["kind"] == "files" else {}
    tables = [
        {"name": "undeclared", "description": GRAIN, "load": "replace", "columns": columns} | layout | (table or {})
    ]
    owned = ("description", "schedule", "information_asset_owner", "data_owner", "purpose", "lawful_basis", "sharing")
    age = {"count": 1, "period": "day"}
    rest = dict.fromkeys(owned, "None yet") | {"retention": "P1D", "time_zone": "UTC", "tables": tables}
    return System.model_validate(
        {"name": f"raw_{system}", "freshness": {"warn_after": age, "error_after": age}} | place | rest
    )


def _choose(available: dict[str, str], wanted: set[str], where: str) -> list[str]:
    """The wanted names, or all of them; raises SourceError for an unknown name."""
    if not available:
        raise SourceError(f"no table in {where}")
    chosen = [name for name in available if not wanted or wanted & {name, _table_name(name)}]
    if unknown := wanted - {*chosen, *map(_table_name, chosen)}:
        some = ", ".join([*available][:20]) + (" …" if len(available) > 20 else "")
        raise SourceError(f"no table {', '.join(sorted(unknown))} in {where}. Tables: {some}")
    return list(dict.fromkeys(chosen))


def _table_name(name: str, otherwise: str = "") -> str:
    return re.sub(r"^column_(?=\d)", "table_", snake_case(name)) or snake_case(otherwise) or "table_1"


def unique(names: Iterable[str]) -> list[str]:
    """The names; a repeated name gets a number."""
    found: list[str] = []
    for name in names:
        number, free = 1, name
        while free in found:
            number += 1
            free = f"{name[:60]}_{number}"
        found.append(free)
    return found


def _one_line(text: str | None) -> str | None:
    """The text in one line, without Jinja's brackets; None if empty."""
    words = " ".join((text or "").split())
    return re.sub(r"\{(?=[{%#])", "{ ", words) or None
