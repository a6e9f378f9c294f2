"""Cast the batches of every kind of source to the contract's Arrow types, and set rejected rows apart."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from ingestion.ages import age_columns
from ingestion.casting import CAST_ERRORS, arrow_type, as_text, cast, without_null_values
from ingestion.columns import Column
from ingestion.contracts import ORIGIN_COLUMNS, DriftError, Table

YEAR_10000 = pa.scalar(253_402_300_800, pa.timestamp("s"))
MAX_REJECTS = 10_000  # rejected rows of one load; with more, the extract itself is wrong


@dataclass(frozen=True)
class Reject:
    """A rejected row: the rule that it violates, its position in the source, and its content as JSON of texts."""

    rule: str
    column: str | None
    key: str | None = field(repr=False)
    file: str | None
    row: int | None
    content: str = field(repr=False)

    @property
    def reason(self) -> str:
        """The rule and the column, without a value."""
        return f"{self.column}: {self.rule}" if self.column else self.rule


def conform(table: Table, batch: pa.Table, where: str) -> tuple[pa.Table, list[Reject]]:
    """The rows of `batch` that fit the contract, with its columns, order and types, and the rejected rows.

    `batch` has columns of any type under the contract's names. Undeclared columns follow as text; ORIGIN_COLUMNS keep
    their names. Raises DriftError, which names `where`, table and column, if a declared column is missing or more than
    MAX_REJECTS rows are rejected.
    """
    source = [*table.source_names, *table.other_births]
    for column in table.source_columns:
        if column.optional and column.name not in batch.column_names:
            batch = batch.append_column(column.name, pa.nulls(len(batch), pa.string()))
    if missing := [name for name in source if name not in batch.column_names]:
        new = [name for name in batch.column_names if name not in ORIGIN_COLUMNS and name not in source]
        hint = f" Undeclared columns: {', '.join(new)}." if new else ""
        problem = f"no column {', '.join(missing)}. Was it renamed or removed?{hint}"
        raise DriftError(f"{where}: {table.label}: {problem} Nothing was loaded", table)
    batch = _with_composed_columns(table, batch)
    declared, violations = _cast_columns(table, batch, where)
    rejects: list[Reject] = []
    while violations:  # a value that cannot be cast hides those of its column that are out of range
        positions = sorted(violations)
        rejected = batch.take(pa.array(positions))
        rows = pa.table(
            {
                name: rejected[name] if name in ORIGIN_COLUMNS else as_text(rejected[name])
                for name in rejected.column_names
            }
        )
        rejects += [
            _reject(table, row, *violations[position])
            for position, row in zip(positions, rows.to_pylist(), strict=True)
        ]
        batch = batch.filter(pc.invert(pc.is_in(pa.array(range(len(batch))), pa.array(positions))))
        declared, violations = _cast_columns(table, batch, where)
    known = {*declared, *source, *ORIGIN_COLUMNS}
    others = {name: as_text(batch[name]) for name in batch.column_names if name not in known}
    origin = {
        name: batch[name].cast(arrow_type(kind)) for name, kind in ORIGIN_COLUMNS.items() if name in batch.column_names
    }
    return pa.table(declared | others | origin), rejects


def _with_composed_columns(table: Table, batch: pa.Table) -> pa.Table:
    """The batch with the columns that `of` composes."""
    for column in (column for column in table.columns if column.of):
        parts = [pc.utf8_trim_whitespace(as_text(batch[part])) for part in column.of]
        joined = pc.binary_join_element_wise(*parts, ", ", null_handling="replace", null_replacement="")
        joined = pc.replace_substring_regex(joined, r"^(?:, )+|(?:, )+$", "")
        joined = pc.replace_substring_regex(joined, "(?:, ){2,}", ", ")
        batch = batch.append_column(column.name, pc.if_else(pc.equal(joined, ""), None, joined))
    return batch


def _cast_columns(
    table: Table, batch: pa.Table, where: str
) -> tuple[dict[str, pa.ChunkedArray], dict[int, tuple[str, str]]]:
    """The declared columns that can be cast, and {position of a rejected row: (rule, column)}."""
    declared: dict[str, pa.ChunkedArray] = {}
    violations: dict[int, tuple[str, str]] = {}
    time_zone = table.system.time_zone
    for column in table.columns:
        if column.age:
            continue
        values = without_null_values(batch[column.name], column, table.null_values)
        try:
            declared[column.name] = cast(values, column, time_zone)
        except CAST_ERRORS:
            uncastable = _uncastable_positions(values, column, table)
            declared[column.name] = pa.chunked_array([pa.nulls(len(values), column.arrow_type)])
            if len(uncastable) > MAX_REJECTS:
                raise DriftError(
                    f"{where}: {table.label}.{column.name}: more than {MAX_REJECTS:,} values are {_rule(column)}. "
                    "Did its type change? Nothing was loaded",
                    table,
                ) from None
            violations = {position: (_rule(column), column.name) for position in uncastable} | violations
        else:
            for outside, rule in _outside(declared[column.name], column, time_zone):
                violations = dict.fromkeys(outside, (rule, column.name)) | violations
        if values.null_count and (column.required or column.name in table.key):
            rule = "no key" if column.name in table.key else "no value in a required column"
            violations = dict.fromkeys(_where(pc.is_null(values)), (rule, column.name)) | violations
    for name in batch.column_names:
        violations = dict.fromkeys(_with_nul(batch[name]), ("a NUL character", name)) | violations
    declared |= age_columns(table, batch, declared)
    return {name: declared[name] for name in table.column_names}, violations


def _rule(column: Column) -> str:
    return f"not {column.data_type}" + (f" in the form {' or '.join(column.format)}" if column.format else "")


def _uncastable_positions(values: pa.ChunkedArray, column: Column, table: Table, start: int = 0) -> list[int]:
    """Positions of the values that cannot be cast, found by halving."""
    try:
        cast(values, column, table.system.time_zone)
    except CAST_ERRORS:
        if len(values) < 2:
            return [start] * len(values)
        half = len(values) // 2
        found = _uncastable_positions(values.slice(0, half), column, table, start)
        if len(found) <= MAX_REJECTS:
            found += _uncastable_positions(values.slice(half), column, table, start + half)
        return found
    return []


def _outside(values: pa.ChunkedArray, column: Column, time_zone: str) -> Iterator[tuple[list[int], str]]:
    """Positions of dates and times outside the column's range or the calendar (a database's infinity), and the rule."""
    if not (pa.types.is_date(values.type) or pa.types.is_timestamp(values.type)):
        return
    ends = pc.min_max(values)
    calendar = "outside the years 1 to 9999"
    day_after = column.latest + timedelta(days=1) if column.latest else None
    first = _moment(column.earliest, values.type, time_zone) or pa.scalar(datetime(1, 1, 1)).cast(values.type)
    end = _moment(day_after, values.type, time_zone) or YEAR_10000.cast(values.type)
    if pc.less(ends["min"], first).as_py():
        yield _where(pc.less(values, first)), f"earlier than {column.earliest}" if column.earliest else calendar
    if pc.greater_equal(ends["max"], end).as_py():
        yield _where(pc.greater_equal(values, end)), f"later than {column.latest}" if column.latest else calendar


def _moment(day: date | None, kind: pa.DataType, time_zone: str) -> pa.Scalar | None:
    """The beginning of a day, local time, in a column's type."""
    if day is None or pa.types.is_date(kind):
        return None if day is None else pa.scalar(day)
    return pa.scalar(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(time_zone))).cast(kind)


def _with_nul(values: pa.ChunkedArray) -> list[int]:
    """Positions of texts with a NUL character, which Postgres cannot store."""
    if not pa.types.is_string(values.type):
        return []
    if not any(b"\0" in data.to_pybytes() for chunk in values.chunks if (data := chunk.buffers()[2])):
        return []
    return _where(pc.match_substring(values, "\0"))


def _where(mask: pa.ChunkedArray) -> list[int]:
    """The positions where the mask is true."""
    return list(pc.indices_nonzero(mask).to_pylist())


def _reject(table: Table, row: dict[str, Any], rule: str, column: str) -> Reject:
    key = "|".join(str(row[name]) for name in table.key) if table.key else None
    file, number = row.pop("_source_file", None), row.pop("_source_row", None)
    return Reject(rule, column, key, file, number, json.dumps(row))
