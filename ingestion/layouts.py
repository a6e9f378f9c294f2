"""The rows below a file's header: end of the table, subtotals, footer, origin, columns that become rows."""

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from functools import reduce
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from ingestion.contracts import LoadCheckError, SourceError, Table
from ingestion.formats import NumberForm, plain_number
from ingestion.headings import FileColumns, Row, location_in

BATCH_CELLS = 500_000


class WidthError(SourceError):
    """A row with more or fewer values than headings."""


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


def wrong_width(table: Table, path: Path, position: int, found: int, width: int) -> WidthError:
    where = location_in(table, path, f", row {position}")
    hint = "" if table.ragged == "pad" else "; if the cells at the end of a row may be missing, declare `ragged: pad`"
    return WidthError(f"{where}: {found} values, {width} headings. The file is damaged, request it again{hint}")


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
    not_a_number: SourceError | None = None  # which matters only if there is a footer
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
            try:
                for column in totals:
                    name = checked[column]
                    totals[column] += _number(table, path, position, name, data[column], forms[name])
            except SourceError as problem:
                not_a_number = not_a_number or problem
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
    if not_a_number:
        raise not_a_number
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
    swap = str.maketrans(",.", ".,") if "decimal_comma" in forms else {}
    numbers = re.findall(r"-?\d[\d,]*(?:\.\d+)?", cells[0].translate(swap))
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
