"""The header of a file: find it, and name its columns."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ingestion.contracts import DriftError, SourceError, Table

HEAD_ROWS = 50

Row = list[str | None]


@dataclass
class FileColumns:
    """A unique name for each of a file's columns, in order, and the columns that need special treatment.

    `excluded` columns are not read, `unnamed` ones have no heading, `pivoted` ones are turned into rows: {column:
    values from its heading}. `skipped` counts the rows that a rule of the contract skips, by rule.
    """

    names: list[str]
    excluded: list[str] = field(default_factory=list)
    unnamed: list[str] = field(default_factory=list)
    pivoted: dict[str, dict[str, str | None]] = field(default_factory=dict)
    skipped: Counter[str] = field(default_factory=Counter)


def location_in(table: Table, path: Path, at: str = "") -> str:
    """The beginning of an error message: file, line or row, table."""
    return f"{path.name}{at}: {table.label}"


def snake_case(heading: str) -> str:
    """A heading as a column name: `BeneficiaryOtherID` and `Beneficiary other ID` both give beneficiary_other_id.

    At most 63 bytes (Postgres); `column_` precedes a name that does not begin with a letter.
    """
    words = re.sub(r"([a-z0-9])([A-Z])|([A-Z])(?=[A-Z][a-z])", r"\1\3_\2", heading.strip())
    name = re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")
    return (f"column_{name}" if name[:1].isdigit() else name)[:63].rstrip("_")


def find_header(table: Table, path: Path, rows: list[Row]) -> tuple[list[str], int]:
    """The headings, and the number of the file's first `rows` before the data.

    The header is the first row (with several header rows: the first consecutive rows) that has every declared heading;
    rows above it are titles. Raises SourceError; its message shows headings of the file only if half of the declared
    ones are among them, because any other row may be data.
    """
    filled = [position for position, row in enumerate(rows) if any(row)]
    if not filled and not (table.growing and table.headings):
        raise SourceError(f"{location_in(table, path)}: the file is empty; expected a header")
    if table.headings:
        return _numbered(table, map(_single_spaced, table.headings)), 0
    headings, missing, end = [], None, 0
    for last in range(table.header_rows - 1, len(filled)):
        positions = filled[last - table.header_rows + 1 : last + 1]
        candidate = _numbered(table, _join([rows[position] for position in positions]))
        optional = {column.name for column in table.source_columns if column.optional}
        positions_of = _positions(table, candidate)
        not_found = [name for name, found in positions_of.items() if not found and name not in optional]
        if missing == [] and (not_found or table.header_rows == 1):
            break  # a title above several header rows fits too: the header is the last fit
        if missing is None or not not_found or len(not_found) < len(missing):
            headings, missing, end = candidate, not_found, positions[-1] + 1
    if missing or missing is None:
        raise DriftError(_header_problem(table, path, headings, missing, end))
    return headings, end


def _header_problem(table: Table, path: Path, headings: list[str], missing: list[str] | None, end: int) -> str:
    wanted = {column.name: " or ".join(column.headers) for column in table.source_columns}
    needed = _positions(table, [])
    if missing is None or len(missing) * 2 > len(needed):
        names = ", ".join(wanted[name] for name in needed)
        return f"{location_in(table, path)}: no header in the first {HEAD_ROWS} rows; expected the headings {names}"
    known = {position for found in _positions(table, headings).values() for position in found}
    known |= _excluded(table, headings) | {p for p, heading in enumerate(headings) if _pivot_groups(table, heading)}
    new = [heading for position, heading in enumerate(headings) if heading and position not in known]
    hint = f". {new[0]} is new: was it renamed?" if len(new) == 1 else f". New: {', '.join(new)}" if new else ""
    return f"{location_in(table, path, f', line {end}')}: no column {', '.join(wanted[name] for name in missing)}{hint}"


def name_columns(table: Table, path: Path, headings: list[str]) -> FileColumns:
    """The declared name of each declared column, and the heading in snake case of each other column.

    Raises SourceError if two headings give one name, or if no heading matches the contract's `unpivot`.
    """
    positions, excluded = _positions(table, headings), _excluded(table, headings)
    declared = {position: name for name, found in positions.items() for position in found}
    columns = FileColumns([])
    meanings: dict[str | tuple[str | None, ...], list[str]] = {
        name: ["`unpivot` or `sheet_column`"] for name in table.filled_columns
    }
    for position, heading in enumerate(headings):
        name = declared.get(position) or snake_case(heading)
        groups = None if position in declared else _pivot_groups(table, heading)
        if position in excluded:
            columns.excluded.append(name := f"excluded {position + 1}")
        elif groups is not None:
            columns.pivoted[name := f"unpivot {position + 1}"] = groups
            meanings.setdefault(tuple(groups.values()), []).append(heading)
        elif not name:
            columns.unnamed.append(name := f"column {position + 1}")
        else:
            meanings.setdefault(name, []).append(heading)
        columns.names.append(name)
    for meaning, same in meanings.items():
        if len(same) > 1:
            given = meaning if isinstance(meaning, str) else "the same rows"
            problem = f"{' and '.join(map(repr, same))} both give {given}"
            raise SourceError(f"{location_in(table, path)}: {problem}; choose with `header` or `left_out`")
    if table.unpivot and not columns.pivoted:
        raise DriftError(f"{location_in(table, path)}: no heading matches unpivot.headings")
    return columns


def _join(rows: list[Row]) -> list[str]:
    """The headings of several header rows: an empty cell above the last row takes the heading on its left."""
    width = max(len(row) for row in rows)
    levels = []
    for row in rows:
        level = [_single_spaced(cell) for cell in row] + [""] * (width - len(row))
        if row is not rows[-1]:
            for position in range(1, width):
                level[position] = level[position] or level[position - 1]
        levels.append(level)
    return [" ".join(dict.fromkeys(filter(None, parts))) for parts in zip(*levels, strict=True)]


def _numbered(table: Table, headings: Iterable[str]) -> list[str]:
    """The headings; a repeated one has its number in brackets, such as Budget (2), where the contract names it so."""
    named = {*table.left_out, *(header for column in table.source_columns for header in column.header)}
    found, numbered = Counter[str](), []
    for heading in headings:
        found[heading] += 1
        other = f"{heading} ({found[heading]})"
        numbered.append(other if found[heading] > 1 and other in named else heading)
    return numbered


def _positions(table: Table, headings: list[str]) -> dict[str, list[int]]:
    """{declared column of the file: positions of its heading}."""
    excluded, meanings = _excluded(table, headings), _meanings(table, headings)
    return {
        column.name: [p for p, name in enumerate(meanings) if name == column.name and p not in excluded]
        for column in table.source_columns
        if column.name not in table.filled_columns
    }


def _meanings(table: Table, headings: list[str]) -> list[str]:
    """The column of each heading: the one with this `header`, else the one of its name in snake case."""
    exact = {_single_spaced(header): column.name for column in table.source_columns for header in column.header}
    names = {column.name for column in table.source_columns if not column.header} - set(table.filled_columns)
    return [exact.get(heading) or (name if (name := snake_case(heading)) in names else "") for heading in headings]


def _excluded(table: Table, headings: list[str]) -> set[int]:
    """Positions of the headings that `left_out` excludes.

    An exact match excludes only that heading; a pattern with `*` excludes no declared column. A column without a
    heading is `column_<position>`.
    """
    meanings, positions = _meanings(table, headings), set()
    headings = [heading or f"column {position + 1}" for position, heading in enumerate(headings)]
    for pattern in map(_single_spaced, table.left_out):
        regex = re.compile(".*".join(map(re.escape, pattern.split("*"))))
        exact = {position for position, heading in enumerate(headings) if heading == pattern}
        positions |= exact or {
            position
            for position, heading in enumerate(headings)
            if snake_case(heading) == pattern
            or ("*" in pattern and not meanings[position] and regex.fullmatch(heading))
        }
    return positions


def _pivot_groups(table: Table, heading: str) -> dict[str, str | None] | None:
    match = re.fullmatch(table.unpivot.headings, heading) if table.unpivot else None
    return match.groupdict() if match else None


def _single_spaced(heading: str | None) -> str:
    return " ".join((heading or "").split())
