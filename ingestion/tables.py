"""Cast the batches of every kind of source to the contract's Arrow types, and set rejected rows apart."""

import json
import re
import sys
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ingestion.contracts import NUMERIC, ORIGIN_COLUMNS, Column, DriftError, Table


class _NoPandas:
    """An import finder that hides pandas, which only person matching needs."""

    @staticmethod
    def find_spec(name: str, _path: object = None, _target: object = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(name)


sys.meta_path.insert(0, _NoPandas)
pa.array([])  # the first array would import pandas: 30 MB and 0.3 s in every load
sys.meta_path.remove(_NoPandas)

ARROW_TYPES = {
    "text": pa.string(),
    "bigint": pa.int64(),
    "double precision": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamptz": pa.timestamp("us", "UTC"),
}
CAST_ERRORS = (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError)
OFFSET = r"[T ]\d\d.*(?:Z|[+-]\d\d(?::?\d\d)?)$"  # the UTC offset at the end of a time
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
    source = table.source_names
    if missing := [name for name in source if name not in batch.column_names]:
        new = [name for name in batch.column_names if name not in ORIGIN_COLUMNS and name not in source]
        hint = f" Undeclared columns: {', '.join(new)}." if new else ""
        problem = f"no column {', '.join(missing)}. Was it renamed or removed?{hint}"
        raise DriftError(f"{where}: {table.label}: {problem} Nothing was loaded", table)
    batch = _with_composed_columns(table, batch)
    declared, violations = _cast_columns(table, batch, where)
    rejects = []
    if violations:
        positions = sorted(violations)
        rejected = batch.take(pa.array(positions))
        rows = pa.table(
            {
                name: rejected[name] if name in ORIGIN_COLUMNS else as_text(rejected[name])
                for name in rejected.column_names
            }
        )
        rejects = [
            _reject(table, row, *violations[position])
            for position, row in zip(positions, rows.to_pylist(), strict=True)
        ]
        batch = batch.filter(pc.invert(pc.is_in(pa.array(range(len(batch))), pa.array(positions))))
        declared, _ = _cast_columns(table, batch, where)
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
    for column in table.columns:
        values = batch[column.name]
        try:
            declared[column.name] = cast(values, column, table.system.time_zone)
        except CAST_ERRORS:
            uncastable = _uncastable_positions(values, column, table)
            if len(uncastable) > MAX_REJECTS:
                raise DriftError(
                    f"{where}: {table.label}.{column.name}: more than {MAX_REJECTS:,} values are {_rule(column)}. "
                    "Did its type change? Nothing was loaded",
                    table,
                ) from None
            violations = {position: (_rule(column), column.name) for position in uncastable} | violations
        else:
            outside = _outside_calendar(declared[column.name])
            violations = dict.fromkeys(outside, ("outside the years 1 to 9999", column.name)) | violations
        if values.null_count and column.name in table.key and table.is_keyed:
            violations = dict.fromkeys(_where(pc.is_null(values)), ("no key", column.name)) | violations
    for name in batch.column_names:
        violations = dict.fromkeys(_with_nul(batch[name]), ("a NUL character", name)) | violations
    return declared, violations


def _rule(column: Column) -> str:
    return f"not {column.data_type}" + (f" in the form {column.format}" if column.format else "")


def _uncastable_positions(values: pa.ChunkedArray, column: Column, table: Table, start: int = 0) -> list[int]:
    """Positions of the values that cannot be cast, found by halving."""
    try:
        cast(values, column, table.system.time_zone)
    except CAST_ERRORS:
        if len(values) == 1:
            return [start]
        half = len(values) // 2
        found = _uncastable_positions(values.slice(0, half), column, table, start)
        if len(found) <= MAX_REJECTS:
            found += _uncastable_positions(values.slice(half), column, table, start + half)
        return found
    return []


def _outside_calendar(values: pa.ChunkedArray) -> list[int]:
    """Positions of times outside the calendar, such as a database's infinity."""
    if not pa.types.is_temporal(values.type):
        return []
    first, last = (pa.scalar(moment).cast(values.type) for moment in (datetime(1, 1, 1), datetime(9999, 12, 31)))
    ends = pc.min_max(values)
    if not ends["min"].is_valid or (pc.and_(pc.greater_equal(ends["min"], first), pc.less(ends["max"], last)).as_py()):
        return []
    return _where(pc.or_(pc.less(values, first), pc.greater_equal(values, last)))


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


def arrow_type(data_type: str) -> pa.DataType:
    """The Arrow type of a contract's data_type."""
    numeric = NUMERIC.fullmatch(data_type)
    return pa.decimal128(int(numeric[1]), int(numeric[2])) if numeric else ARROW_TYPES[data_type]


def as_text(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """The values as text; lists and objects as JSON."""
    try:
        return values.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        texts = [None if value is None else json.dumps(value, default=str) for value in values.to_pylist()]
        return pa.chunked_array([pa.array(texts, pa.string())])


def cast(values: pa.ChunkedArray, column: Column, time_zone: str) -> pa.ChunkedArray:
    """The values in the column's type; a time without an offset is in the source's time zone. Raises one of
    CAST_ERRORS.
    """
    target = column.arrow_type
    if target == pa.string():
        return as_text(values)
    if pa.types.is_string(values.type):
        values = pc.utf8_trim_whitespace(values)
        if column.format:
            values = pc.strptime(values, format=column.format, unit="us")
            time_zone = "UTC" if column.format.endswith(("UTC", "Z")) else time_zone
        elif pa.types.is_timestamp(target):
            return _parse_timestamps(values, target, time_zone)
    if pa.types.is_timestamp(target) and pa.types.is_timestamp(values.type) and values.type.tz is None:
        values = _localise(values, time_zone)
    return values.cast(target)


def _parse_timestamps(texts: pa.ChunkedArray, target: pa.DataType, time_zone: str) -> pa.ChunkedArray:
    """Parse texts with an offset, without one (in the source's time zone), or a mix of both.

    Most columns are all like their first value; Arrow refuses the others.
    """
    has_offset = bool(re.search(OFFSET, pc.first(texts).as_py() or ""))
    try:
        return texts.cast(target) if has_offset else _localise(texts.cast(pa.timestamp("us")), time_zone).cast(target)
    except pa.ArrowInvalid:
        have_offset = pc.match_substring_regex(texts, OFFSET)
        if pc.all(have_offset if has_offset else pc.invert(have_offset)).as_py():
            raise
    with_offset = pc.if_else(have_offset, texts, None).cast(target)
    return pc.coalesce(with_offset, _parse_timestamps(pc.if_else(have_offset, None, texts), target, time_zone))


def _localise(values: pa.ChunkedArray, time_zone: str) -> pa.ChunkedArray:
    return pc.assume_timezone(values, time_zone, ambiguous="earliest", nonexistent="latest")
