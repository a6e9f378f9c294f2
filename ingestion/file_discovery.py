"""Discover the tables of a folder of files for a first contract: layouts, columns, types."""

import glob
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ingestion.contract_yaml import ContractError
from ingestion.contracts import SourceError, Table
from ingestion.discovery import FoundColumn, FoundTable, choose, draft_contract, one_line, table_name, unique
from ingestion.encodings import EncodingError
from ingestion.files import read_file, read_head
from ingestion.headings import Row, snake_case
from ingestion.inference import Values
from ingestion.json_files import DOCUMENTS, LINES, json_suffix, places_of_rows
from ingestion.layouts import WidthError
from ingestion.spreadsheets import SUFFIXES, sheet_names

TEXT_FILES = {".csv", ".tsv", ".txt", ".gz", ".zip"} | DOCUMENTS | LINES
ENCODINGS = ("utf-8", "utf-16", "windows-1252")
DELIMITERS = ",;\t|"
DIGITS = re.compile(r"\d+(?:[-_. ]?\d+)*")
SUBTOTAL = re.compile(r"(?i)^\s*sub[- ]?totals?\b")
TOTAL = re.compile(r"(?i)\s*((?:grand |overall )?totals?)\s*(?:[:(].*)?")  # Total Gas & Power is a supplier
MIN_ROWS = 2  # of a file whose only row without a first value is a total
NUMBER_OR_DATE = re.compile(r"[-+£$€]?[\d.,/:%-]*\d[\d.,/:% -]*")  # a heading of words is neither


@dataclass
class _Sheet:
    """A file, or a sheet of a workbook, and how to read it."""

    path: Path
    layout: dict[str, Any]
    headings: list[str]

    @property
    def form(self) -> str:
        """The pattern of files with the same name apart from digits."""
        return DIGITS.sub("[0-9]*", glob.escape(self.path.name))


def from_files(system: str, variable: str, path: Path, wanted: set[str]) -> list[FoundTable]:
    if not path.exists():
        raise ContractError(f"{path} does not exist and is not a URL")
    folder = path.parent if path.is_file() else path
    paths = [path] if path.is_file() else [file for file in sorted(folder.rglob("*")) if _is_data(file, folder)]
    if not paths:
        raise ContractError(f"{folder}: no supported file (CSV, JSON, .gz, .zip, Parquet, workbook)")
    groups = _groups([sheet for file in paths for sheet in _sheets(system, variable, file)], folder)
    named = dict(zip(unique(_file_table(group[0], pattern, system) for pattern, group in groups), groups, strict=True))
    names = choose({name: name for name in named}, wanted, f"{path}")
    return [_read(system, variable, name, *named[name]) for name in names]


def _is_data(path: Path, folder: Path) -> bool:
    hidden = any(part.startswith(("~$", ".")) for part in path.relative_to(folder).parts)
    return path.is_file() and not hidden and path.suffix.lower() in TEXT_FILES | SUFFIXES | {".parquet"}


def _sheets(system: str, variable: str, path: Path) -> Iterator[_Sheet]:
    """The file, or each sheet of a workbook that has a table; raises SourceError if there is none."""
    table = draft_contract(system, {"kind": "files", "location": variable}).tables[0]
    layouts: list[dict[str, Any]] = [{}]
    if path.suffix.lower() in SUFFIXES and len(names := sheet_names(table, path)) > 1:
        layouts = [{"sheet": name} for name in names]
    elif json_suffix(table, path):
        layouts = [{"rows_at": place} if place else {} for place in places_of_rows(table, path)]
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
    if path.suffix.lower() in SUFFIXES | {".parquet"} or json_suffix(table, path):
        return read_head(table.model_copy(update=layout), path), layout
    for encoding in ENCODINGS:
        heads, problems = [], []
        try:
            for delimiter in DELIMITERS:
                layout = {"encoding": encoding, "delimiter": delimiter}
                try:
                    heads.append((read_head(table.model_copy(update=layout), path), layout))
                except EncodingError:
                    raise
                except SourceError as problem:  # with another delimiter, the quotation marks may be in place
                    problems.append(problem)
        except EncodingError:
            continue
        if not heads:
            raise problems[0]
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
    filled = [[one_line(cell) or "" for cell in row] for row in rows]
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
    stem = sheet.path.name if "[0-9]*" not in pattern else DIGITS.sub(" ", sheet.path.name)
    while (suffix := Path(stem).suffix.lower()) in TEXT_FILES | SUFFIXES | {".parquet"}:
        stem = stem[: -len(suffix)]
    return table_name(sheet.layout.get("sheet") or stem, sheet.path.parent.name or system)


def _read(system: str, variable: str, name: str, pattern: str, group: list[_Sheet]) -> FoundTable:
    """The table of these files, with types inferred from all their rows."""
    first = group[0]
    headings = [*_numbered(first.headings)]
    names = unique(snake_case(heading) or f"column_{place}" for place, heading in enumerate(headings, 1))
    columns = [
        FoundColumn(name, heading, "text", header=None if name == snake_case(heading) and heading == given else heading)
        for name, heading, given in zip(names, headings, first.headings, strict=True)
        if heading
    ]
    table = FoundTable(name, columns, has_files=True)
    table.left_out = {f"column_{at}": "no heading" for at, heading in enumerate(first.headings, 1) if not heading}
    layout, inferred = _infer_types(system, variable, table, first.layout, group)
    for column in columns:
        found = inferred[column.name].inferred
        column.data_type, column.format, column.guess = found.data_type, found.format, found.guess
        column.number_format, column.null_values = found.number_format, found.null_values
    plain = {"encoding": "utf-8", "delimiter": ","}
    table.meta = {"files": pattern} | {name: value for name, value in layout.items() if plain.get(name) != value}
    return table


def _numbered(headings: list[str]) -> Iterator[str]:
    """The headings; a repeated one has its number in brackets, as a contract names it."""
    found = Counter[str]()
    for heading in headings:
        found[heading] += 1
        yield f"{heading} ({found[heading]})" if heading and found[heading] > 1 else heading


def _infer_types(
    system: str, variable: str, table: FoundTable, layout: dict[str, Any], group: list[_Sheet]
) -> tuple[dict[str, Any], dict[str, Values]]:
    """The files' layout, and what all values of each column have in common; raises SourceError.

    The files are read again with what their rows show: another encoding, ragged rows, subtotals, a footer.
    """
    encodings = iter(ENCODINGS[ENCODINGS.index(layout.get("encoding", ENCODINGS[0])) + 1 :])
    suffixes = {suffix.lower() for suffix in group[0].path.suffixes}
    may_have_totals = not suffixes & {".parquet", *DOCUMENTS, *LINES}
    while True:
        try:
            found = _read_values(system, variable, table, layout, group)
        except EncodingError:
            if "encoding" not in layout or not (encoding := next(encodings, None)):
                raise _no_encoding(group[0].path) from None
            layout = layout | {"encoding": encoding}
        except WidthError:
            if "ragged" in layout:
                raise
            layout = layout | {"ragged": "pad"}
            table.meta_guesses["ragged"] = "rows lack cells; check that they are the last ones"
        else:
            more = {name: value for name, (value, _) in found.totals.items()} if may_have_totals else {}
            if not more or {*more} <= {*layout}:
                return layout, found.values
            layout = layout | more
            table.meta_guesses |= {name: why for name, (_, why) in found.totals.items()}


@dataclass
class _Contents:
    """What all rows of a group of files show: the values of each column, and rows that are no data.

    `subtotals` and `repeated` are texts of the first column. Of each file, `footers` has the text with which the last
    row begins, if that is a total's, and `unlabelled` whether it is the only row without a value in the first column.
    """

    values: dict[str, Values]
    subtotals: set[str] = field(default_factory=set)
    repeated: set[str] = field(default_factory=set)
    is_below_blank: bool = False  # a repeated header has a blank row above it
    footers: list[str | None] = field(default_factory=list)
    unlabelled: list[bool] = field(default_factory=list)

    @property
    def totals(self) -> dict[str, tuple[Any, str]]:
        """{field of the contract: its value, why it is guessed}."""
        if self.is_below_blank:
            return {"ends_at_blank_row": (True, "the header comes again below a blank row: another table begins there")}
        found: dict[str, tuple[Any, str]] = {}
        if skipped := sorted(self.subtotals | self.repeated):
            found["subtotals"] = skipped, "a row that begins so is no row of data"
        are_footers = self.unlabelled if any(self.unlabelled) else self.footers
        if texts := sorted({*filter(None, self.footers)}):
            found["footer"] = texts, "the last row begins so"
        elif any(self.unlabelled):
            found["footer_empty"] = next(iter(self.values)), "only the last row has no value here"
        if any(are_footers) and not all(are_footers):
            found["footer_optional"] = True, "some files have no footer"
        return found


def _read_values(
    system: str, variable: str, table: FoundTable, layout: dict[str, Any], group: list[_Sheet]
) -> _Contents:
    declared = {"name": table.name, "files": "*", "left_out": [*table.left_out]} | layout
    shapes = [{"name": c.name} | ({"header": c.header} if c.header else {}) for c in table.columns]
    draft = draft_contract(system, {"kind": "files", "location": variable}, declared, shapes).tables[0]
    found = _Contents({column.name: Values() for column in table.columns})
    for sheet in group:
        _add_file(found, draft, sheet)
    return found


def _add_file(found: _Contents, draft: Table, sheet: _Sheet) -> None:
    first_name, heading = next(iter(found.values)), next(filter(None, sheet.headings))
    count = empty = 0
    last: dict[str, Any] = {}
    for batch in read_file(draft, sheet.path):
        for name, seen in found.values.items():
            seen.add(batch[name])
        first, numbers = batch[first_name], batch["_source_row"]
        last = batch.slice(len(batch) - 1).to_pylist()[0]
        count, empty = count + len(batch), empty + first.null_count
        if pa.types.is_string(first.type):
            marked = first.filter(pc.match_substring_regex(first, SUBTOTAL.pattern)).drop_null().to_pylist()
            found.subtotals |= {text[0].strip() for text in map(SUBTOTAL.match, marked) if text}
            for place in pc.indices_nonzero(pc.equal(first, heading)).to_pylist():
                found.repeated.add(heading)
                found.is_below_blank |= numbers[place].as_py() > count - len(batch) + place + 1
    text = next((value for value in last.values() if value), None)
    total = TOTAL.fullmatch(text) if isinstance(text, str) else None
    found.footers.append(total[1] if total else None)
    filled = sum(last.get(name) is not None for name in found.values)
    is_total = count > MIN_ROWS and empty == 1 and last[first_name] is None and filled * 2 <= len(found.values)
    found.unlabelled.append(is_total)
