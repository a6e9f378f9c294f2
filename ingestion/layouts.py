"""The layout of a file: find its header, name its columns, split off the footer, unpivot columns."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from functools import reduce
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from ingestion.contracts import DriftError, LoadCheckError, SourceError, Table
from ingestion.formats import NumberForm, plain_number

HEAD_ROWS = 50
BATCH_CELLS = 500_000

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
        return [_single_spaced(heading) for heading in table.headings], 0
    headings, missing, end = [], None, 0
    for last in range(table.header_rows - 1, len(filled)):
        positions = filled[last - table.header_rows + 1 : last + 1]
        candidate = _join([rows[position] for position in positions])
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


def batches(rows: Iterable[Row], names: list[str]) -> Iterator[pa.Table]:
    """Rows of text as Arrow tables of bounded size."""
    rows = iter(rows)
    while some := list(islice(rows, max(1, BATCH_CELLS // len(names)))):
        yield pa.table([pa.array(values, pa.string()) for values in zip(*some, strict=True)], names)


def table_rows(table: Table, path: Path, rows: Iterable[Row], columns: FileColumns) -> Iterator[Row]:
    """The rows of data: all rows before the table's end and its footer, if the contract names them, but no subtotals.

    A skipped row is empty, so that the numbers of the rows below it stay. Raises SourceError, after the last row, if
    there is no footer or its figures differ from the rows'.
    """
    if table.ends_at_blank_row:
        rows = _until_blank(rows, columns)
    if table.subtotals:
        rows = _without_subtotals(table, rows, columns)
    rows = _of_width(table, path, rows, len(columns.names))
    return _before_footer(table, path, rows, columns) if table.has_footer else rows


def _until_blank(rows: Iterable[Row], columns: FileColumns) -> Iterator[Row]:
    """The rows before the first one without values; the table may begin below blank rows."""
    has_begun = has_ended = False
    for row in rows:
        if has_ended:
            columns.skipped["below the table"] += any(row)
            continue
        has_begun = has_begun or any(row)
        has_ended = has_begun and not any(row)
        yield row


def _without_subtotals(table: Table, rows: Iterable[Row], columns: FileColumns) -> Iterator[Row]:
    for row in rows:
        is_subtotal = _starts_with(row, table.subtotals)
        columns.skipped["subtotal"] += is_subtotal
        yield [] if is_subtotal else row


def _of_width(table: Table, path: Path, rows: Iterable[Row], width: int) -> Iterator[Row]:
    for position, row in enumerate(rows, 1):
        if not any(row):
            yield [None] * width
        else:  # a footer may have fewer values
            yield row if table.has_footer else _padded(table, path, position, row, width)


def _padded(table: Table, path: Path, position: int, row: Row, width: int) -> Row:
    """The row with one value for each heading; raises SourceError if the contract does not allow another number."""
    if len(row) != width and not any(cell and cell.strip() for cell in row):
        return [None] * width
    if len(row) != width and (table.ragged == "refuse" or any(row[width:])):
        raise wrong_width(table, path, position, len(row), width)
    return row[:width] + [None] * (width - len(row))


def wrong_width(table: Table, path: Path, position: int, found: int, width: int) -> SourceError:
    where = location_in(table, path, f", row {position}")
    hint = "" if table.ragged == "pad" else "; if the cells at the end of a row may be missing, declare `ragged: pad`"
    return SourceError(f"{where}: {found} values, {width} headings. The file is damaged, request it again{hint}")


def _starts_with(row: Row, texts: list[str]) -> bool:
    first = next(filter(None, row), None)
    return first is not None and first.strip().startswith(tuple(texts))


def _before_footer(table: Table, path: Path, rows: Iterable[Row], columns: FileColumns) -> Iterator[Row]:
    width = len(columns.names)
    value = table.unpivot.value if table.unpivot else ""
    checked = {p: value if name in columns.pivoted else name for p, name in enumerate(columns.names)}
    totals = {p: Decimal(0) for p, name in checked.items() if name in table.control_totals}
    empty = columns.names.index(table.footer_empty) if table.footer_empty else None
    forms = {column.name: column.number_format for column in table.columns}
    held: list[Row] = []  # rows of the footer, unless data follow
    position = count = 0
    for row in rows:
        held.append(row)
        is_total = empty is not None and not (row[empty : empty + 1] or [None])[0]
        if not any(row) or is_total or _starts_with(row, table.footer):
            continue
        for data in held:
            position += 1
            data = _padded(table, path, position, data, width)
            for column in totals:
                totals[column] += _number(table, path, position, checked[column], data[column], forms[checked[column]])
            count += any(data)
            yield data
        held = []
    footer = [row for row in held if any(row)]
    columns.skipped["footer"] += len(footer)
    if not footer:
        if table.footer_optional:
            return
        looks = " or ".join([*table.footer, *([f"a row without {table.footer_empty}"] if table.footer_empty else [])])
        raise LoadCheckError(
            f"{location_in(table, path)}: no footer ({looks}). The file is truncated; request it again"
        )
    if table.row_count_at and _figure(footer, table.row_count_at - 1) != count:
        raise LoadCheckError(
            f"{location_in(table, path)}: {count} rows, the footer says otherwise. Request the file again"
        )
    floats = {column.name for column in table.columns if column.data_type.startswith("double")}
    for column, total in totals.items():
        figure = _figure(footer, column, forms[checked[column]])
        if figure is None or not (
            figure == total or (checked[column] in floats and math.isclose(figure, total, rel_tol=1e-12))
        ):
            where = f"{location_in(table, path)}.{checked[column]}: column {column + 1}"
            raise LoadCheckError(f"{where}: the footer's total is not the sum of the rows. Request the file again")


def _number(table: Table, path: Path, position: int, name: str, cell: str | None, forms: list[NumberForm]) -> Decimal:
    is_null = not cell or cell.strip() in ("", *table.null_values, *table.column(name).null_values)
    try:
        number = Decimal(0) if is_null else Decimal(plain_number(cell or "", forms))
    except InvalidOperation:
        number = Decimal("nan")
    if not number.is_finite():
        where = location_in(table, path, f", row {position}")
        raise SourceError(f"{where}.{name}: not a number, in a column with a control total")
    return number


def _figure(footer: list[Row], position: int, forms: Sequence[NumberForm] = ()) -> Decimal | None:
    """The one number in a column of the footer, with or without words; None if there is not exactly one."""
    cells = [cell for row in footer if position < len(row) and (cell := row[position])]
    if len(cells) != 1:
        return None
    with suppress(InvalidOperation):
        return Decimal(plain_number(cells[0], forms))
    numbers = re.findall(r"-?\d[\d,]*(?:\.\d+)?", cells[0])
    return Decimal(numbers[0].replace(",", "")) if len(numbers) == 1 else None


def add_origin(
    table: Table,
    path: Path,
    columns: FileColumns,
    source: Iterable[pa.Table],
    name: str,
    skipped: Counter[str] | None,
    first_row: int = 1,
) -> Iterator[pa.Table]:
    """Batches of a file's columns: excluded columns removed, file `name` and row number added, columns unpivoted.

    A row without values is dropped but counted. `skipped` receives the skipped rows by rule. Raises SourceError if a
    column has values but no heading.
    """
    for batch in source:
        numbers = pa.arange(first_row, first_row + len(batch))
        first_row += len(batch)
        for unnamed in columns.unnamed:
            if batch[unnamed].null_count < len(batch):
                raise SourceError(
                    f"{location_in(table, path)}: {unnamed} has values but no heading; exclude it with `left_out`"
                )
        is_empty = _is_empty(batch)
        batch = batch.drop_columns(columns.excluded + columns.unnamed)
        batch = batch.append_column("_source_file", pa.repeat(name, len(batch)))
        batch = batch.append_column("_source_row", numbers)
        if is_empty is not None:
            batch = batch.filter(pc.invert(is_empty))
        if table.unpivot and columns.pivoted:
            yield from _unpivot(batch, columns.pivoted, table.unpivot.value)
        elif len(batch):
            yield batch
    if skipped is not None:
        skipped += columns.skipped


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
