"""Where a file's data are: finds its header, names its columns, parts the footer, turns columns into rows."""

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from functools import reduce
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from ingestion.contracts import SourceError, Table

HEAD_ROWS = 50
BATCH_CELLS = 500_000

Row = list[str | None]


@dataclass
class Columns:
    """A unique name for each of a file's columns, in its order, and which of them are no plain columns.

    Those in `pivoted` stand for rows, and have the values that their headings give.
    """

    names: list[str]
    left_out: list[str] = field(default_factory=list)
    unnamed: list[str] = field(default_factory=list)
    pivoted: dict[str, dict[str, str | None]] = field(default_factory=dict)


def place(table: Table, path: Path, at: str = "") -> str:
    """How a refusal begins: the file, the line or row in it, the table."""
    return f"{path.name}{at}: {table.label}"


def snake_case(heading: str) -> str:
    """A heading as a column name: `BeneficiaryOtherID` and `Beneficiary other ID` both give beneficiary_other_id.

    It keeps to Postgres's 63 bytes; `column_` precedes what does not begin with a letter.
    """
    words = re.sub(r"([a-z0-9])([A-Z])|([A-Z])(?=[A-Z][a-z])", r"\1\3_\2", heading.strip())
    name = re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")
    return (f"column_{name}" if name[:1].isdigit() else name)[:63].rstrip("_")


def find_header(table: Table, path: Path, rows: list[Row]) -> tuple[list[str], int]:
    """The headings, and how many of the file's first `rows` precede the data.

    The header is the first row (of several header rows: the first that follow each other) in which every declared
    heading occurs; what stands above is a title. Raises SourceError, which shows headings of the file only where half
    of the declared ones are beside them: any other row may be data.
    """
    filled = [position for position, row in enumerate(rows) if any(row)]
    if not filled and not (table.growing and table.headings):
        raise SourceError(f"{place(table, path)}: the file is empty; a header is expected")
    if table.headings:
        return [_tidy(heading) for heading in table.headings], 0
    headings, missing, end = [], None, 0
    for last in range(table.header_rows - 1, len(filled)):
        positions = filled[last - table.header_rows + 1 : last + 1]
        candidate = _join([rows[position] for position in positions])
        lacking = [name for name, found in _places(table, candidate).items() if not found]
        if missing == [] and (lacking or table.header_rows == 1):
            break  # a title over several header rows fits as well as their first: the last that fits is the header
        if missing is None or not lacking or len(lacking) < len(missing):
            headings, missing, end = candidate, lacking, positions[-1] + 1
    if missing or missing is None:
        raise SourceError(_headless(table, path, headings, missing, end))
    return headings, end


def _headless(table: Table, path: Path, headings: list[str], missing: list[str] | None, end: int) -> str:
    wanted = {column.name: column.header or column.name for column in table.source_columns}
    needed = _places(table, [])
    if missing is None or len(missing) * 2 > len(needed):
        words = ", ".join(wanted[name] for name in needed)
        return f"{place(table, path)}: no header: none of the first {HEAD_ROWS} rows has the headings {words}"
    known = {position for found in _places(table, headings).values() for position in found}
    known |= _left_out(table, headings) | {p for p, heading in enumerate(headings) if _pivot(table, heading)}
    new = [heading for position, heading in enumerate(headings) if heading and position not in known]
    hint = f"; {new[0]} is new: was it renamed?" if len(new) == 1 else f"; new are {', '.join(new)}" if new else ""
    return f"{place(table, path, f', line {end}')}: no column {', '.join(wanted[name] for name in missing)}{hint}"


def name_columns(table: Table, path: Path, headings: list[str]) -> Columns:
    """The declared name for each declared column, for the others their heading in snake case.

    Raises SourceError where two headings give the same name, and where no heading is one that the contract unpivots.
    """
    places, left_out = _places(table, headings), _left_out(table, headings)
    declared = {position: name for name, found in places.items() for position in found}
    columns = Columns([])
    meanings: dict[str | tuple[str | None, ...], list[str]] = {
        name: ["unpivot in the contract"] for name in _filled(table)
    }
    for position, heading in enumerate(headings):
        name = declared.get(position) or snake_case(heading)
        groups = None if position in declared else _pivot(table, heading)
        if position in left_out:
            columns.left_out.append(name := f"left out {position + 1}")
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
            what = f"{' and '.join(map(repr, same))} both give {given}"
            raise SourceError(f"{place(table, path)}: {what}; `header` or `left_out` tells them apart")
    if table.unpivot and not columns.pivoted:
        raise SourceError(f"{place(table, path)}: no heading is as unpivot.headings says")
    return columns


def batches(rows: Iterable[Row], names: list[str]) -> Iterator[pa.Table]:
    """Rows of text as Arrow tables of bounded size."""
    rows = iter(rows)
    while some := list(islice(rows, max(1, BATCH_CELLS // len(names)))):
        yield pa.table([pa.array(values, pa.string()) for values in zip(*some, strict=True)], names)


def part_footer(table: Table, path: Path, rows: Iterable[Row], columns: Columns) -> Iterator[Row]:
    """The rows of data: those before the footer, if the contract names one.

    Raises SourceError, once all are read, where there is no footer or its figures are not those of the rows.
    """
    if not table.footer:
        yield from rows
        return
    width = len(columns.names)
    value = table.unpivot.value if table.unpivot else ""
    checked = {p: value if name in columns.pivoted else name for p, name in enumerate(columns.names)}
    totals = {p: Decimal(0) for p, name in checked.items() if name in table.control_totals}
    held: list[Row] = []  # rows that are the footer, unless data follow
    position = count = 0
    for row in rows:
        held.append(row)
        first = next(filter(None, row), None)
        if first is None or first.strip().startswith(tuple(table.footer)):
            continue
        for data in held:
            position += 1
            if len(data) != width:
                raise SourceError(f"{place(table, path, f', row {position}')}: {len(data)} values, {width} headings")
            for column in totals:
                totals[column] += _number(table, path, position, checked[column], data[column])
            count += any(data)
            yield data
        held = []
    footer = [row for row in held if any(row)]
    if not footer:
        raise SourceError(
            f"{place(table, path)}: no footer ({' or '.join(table.footer)}); it is cut off, ask for it again"
        )
    if table.row_count_at and _figure(footer, table.row_count_at - 1) != count:
        raise SourceError(f"{place(table, path)}: {count} rows, which is not what the footer says; ask for it again")
    floats = {column.name for column in table.columns if column.data_type.startswith("double")}
    for column, total in totals.items():
        figure = _figure(footer, column)
        if figure is None or not (
            figure == total or (checked[column] in floats and math.isclose(figure, total, rel_tol=1e-12))
        ):
            where = f"{place(table, path)}.{checked[column]}: column {column + 1}"
            raise SourceError(f"{where}: the footer's total is not the sum of the rows; ask for it again")


def _number(table: Table, path: Path, position: int, name: str, cell: str | None) -> Decimal:
    try:
        number = Decimal(cell.strip()) if cell else Decimal(0)
    except InvalidOperation:
        number = Decimal("nan")
    if not number.is_finite():
        where = place(table, path, f", row {position}")
        raise SourceError(f"{where}.{name}: not a number, in a column with a control total")
    return number


def _figure(footer: list[Row], position: int) -> Decimal | None:
    """The one number that the footer has in a position, whatever words are around it; None where there is not one."""
    cells = [cell for row in footer if position < len(row) and (cell := row[position])]
    numbers = re.findall(r"-?\d[\d,]*(?:\.\d+)?", cells[0]) if len(cells) == 1 else []
    return Decimal(numbers[0].replace(",", "")) if len(numbers) == 1 else None


def land(table: Table, path: Path, columns: Columns, source: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Batches with all of a file's columns, as they go on: without what is not read, with the place of each row.

    A row without any value is none, but is counted. Raises SourceError where a column has values and no heading.
    """
    first_row = 1
    for batch in source:
        numbers = pa.arange(first_row, first_row + len(batch))
        first_row += len(batch)
        for name in columns.unnamed:
            if batch[name].null_count < len(batch):
                raise SourceError(f"{place(table, path)}: {name} has values and no heading; left_out can name it")
        is_empty = _is_empty(batch)
        batch = batch.drop_columns(columns.left_out + columns.unnamed)
        batch = batch.append_column("_source_file", pa.repeat(path.name, len(batch)))
        batch = batch.append_column("_source_row", numbers)
        if is_empty is not None:
            batch = batch.filter(pc.invert(is_empty))
        if table.unpivot and columns.pivoted:
            yield from _unpivot(batch, columns.pivoted, table.unpivot.value)
        elif len(batch):
            yield batch


def _is_empty(batch: pa.Table) -> pa.ChunkedArray | None:
    if not all(column.null_count for column in batch.columns):
        return None
    return reduce(pc.and_, (pc.is_null(column) for column in batch.columns))


def _unpivot(batch: pa.Table, pivoted: dict[str, dict[str, str | None]], value: str) -> Iterator[pa.Table]:
    kept = batch.drop_columns(list(pivoted))
    step = max(1, BATCH_CELLS // len(pivoted))
    for start in range(0, len(batch), step):
        parts = []
        for name, groups in pivoted.items():
            part = kept.slice(start, step)
            for column, text in groups.items():
                part = part.append_column(column, pa.repeat(pa.scalar(text, pa.string()), len(part)))
            part = part.append_column(value, batch[name].slice(start, step))
            parts.append(part.filter(pc.is_valid(part[value])))
        if len(rows := pa.concat_tables(parts, promote_options="permissive")):
            yield rows.combine_chunks()


def _join(rows: list[Row]) -> list[str]:
    """The headings of header rows over each other: an empty one above the last row is that on its left."""
    width = max(len(row) for row in rows)
    levels = []
    for row in rows:
        level = [_tidy(cell) for cell in row] + [""] * (width - len(row))
        if row is not rows[-1]:
            for position in range(1, width):
                level[position] = level[position] or level[position - 1]
        levels.append(level)
    return [" ".join(dict.fromkeys(filter(None, parts))) for parts in zip(*levels, strict=True)]


def _places(table: Table, headings: list[str]) -> dict[str, list[int]]:
    """For each declared column that a file has to have: where its exact heading, or else its name, is."""
    left_out, meanings = _left_out(table, headings), _meanings(table, headings)
    return {
        column.name: [p for p, name in enumerate(meanings) if name == column.name and p not in left_out]
        for column in table.source_columns
        if column.name not in _filled(table)
    }


def _meanings(table: Table, headings: list[str]) -> list[str]:
    """The column that each heading names: the one with just this `header`, else the one of its name in snake case."""
    exact = {_tidy(column.header): column.name for column in table.source_columns if column.header}
    names = {column.name for column in table.source_columns if not column.header} - set(_filled(table))
    return [exact.get(heading) or (name if (name := snake_case(heading)) in names else "") for heading in headings]


def _left_out(table: Table, headings: list[str]) -> set[int]:
    """Where the headings are that the contract leaves out.

    A heading that it names exactly is the only one meant; a form with `*` leaves no declared column out. A column
    without a heading is `column_<position>`.
    """
    meanings, positions = _meanings(table, headings), set()
    headings = [heading or f"column {position + 1}" for position, heading in enumerate(headings)]
    for words in map(_tidy, table.left_out):
        form = re.compile(".*".join(map(re.escape, words.split("*"))))
        exact = {position for position, heading in enumerate(headings) if heading == words}
        positions |= exact or {
            position
            for position, heading in enumerate(headings)
            if snake_case(heading) == words or ("*" in words and not meanings[position] and form.fullmatch(heading))
        }
    return positions


def _pivot(table: Table, heading: str) -> dict[str, str | None] | None:
    match = re.fullmatch(table.unpivot.headings, heading) if table.unpivot else None
    return match.groupdict() if match else None


def _filled(table: Table) -> list[str]:
    return table.unpivot.filled if table.unpivot else []


def _tidy(heading: str | None) -> str:
    return " ".join((heading or "").split())
