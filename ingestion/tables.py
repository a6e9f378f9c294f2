"""Turns what any kind of source yields into Arrow tables with exactly the columns and types of the contract."""

import pyarrow as pa
import pyarrow.compute as pc

from ingestion.contracts import Column, SourceError, Table


def conform(table: Table, batch: pa.Table, where: str, first_row: int = 1) -> pa.Table:
    """`batch` (columns named as in the contract, any types) with the contract's columns, order and types.

    Raises SourceError naming `where`, table, column and row (counted from `first_row`), never a value.
    """
    if missing := [column.name for column in table.columns if column.name not in batch.column_names]:
        raise SourceError(f"{where}: {table.label}: no column {', '.join(missing)}; was it renamed or dropped?")

    def cast(column: Column, start: int = 0, length: int | None = None) -> pa.ChunkedArray | None:
        try:
            return _cast(batch[column.name].slice(start, length), column, table.system.time_zone)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return None

    columns = [cast(column) for column in table.columns]
    for column, values in zip(table.columns, columns, strict=True):
        if values is None:
            row = first_row + next(row for row in range(len(batch)) if cast(column, row, 1) is None)
            form = f" in the form {column.format}" if column.format else ""
            raise SourceError(f"{where}, row {row}: {table.label}.{column.name}: not {column.data_type}{form}")
    return pa.table(columns, names=[column.name for column in table.columns])


def _cast(values: pa.ChunkedArray, column: Column, time_zone: str) -> pa.ChunkedArray:
    target = column.arrow_type
    if pa.types.is_string(values.type) and target != pa.string():
        values = pc.utf8_trim_whitespace(values)
        if column.format:
            values = pc.strptime(values, format=column.format, unit="us")
            time_zone = "UTC" if column.format.endswith(("UTC", "Z")) else time_zone
        elif pa.types.is_timestamp(target):
            try:
                return values.cast(target)
            except pa.ArrowInvalid:  # without an offset: by the source's own clock
                values = values.cast(pa.timestamp("us"))
    if pa.types.is_timestamp(target) and pa.types.is_timestamp(values.type) and values.type.tz is None:
        values = pc.assume_timezone(values, time_zone, ambiguous="earliest", nonexistent="latest")
    return values.cast(target)
