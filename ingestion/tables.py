"""Turns what any kind of source yields into Arrow tables as the contract says, and parts the rows that do not fit."""

import json
import re
import sys
from dataclasses import dataclass, field
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc

from ingestion.contracts import NUMERIC, Column, SourceError, Table


class _NoPandas:
    """Finds no pandas, which is there for the matching alone."""

    @staticmethod
    def find_spec(name: str, _path: object = None, _target: object = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError(name)


sys.meta_path.insert(0, _NoPandas)
pa.array([])  # the first array asks whether there is pandas, and would import it: 30 MB and 0.3 s in every load
sys.meta_path.remove(_NoPandas)

ARROW_TYPES = {
    "text": pa.string(),
    "bigint": pa.int64(),
    "double precision": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamptz": pa.timestamp("us", "UTC"),
}
PLACE = {"_source_file": pa.string(), "_source_row": pa.int64()}  # where a row of a file came from
UNFIT = (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError)
OFFSET = r"[T ]\d\d.*(?:Z|[+-]\d\d(?::?\d\d)?)$"  # at the end of a time
MOST_REJECTS = 10_000  # rows of one load that are parted one by one; with more the whole extract is at fault


@dataclass(frozen=True)
class Reject:
    """A row that does not fit its contract: the rule it broke, its place, and its content as JSON of texts."""

    rule: str
    column: str | None
    key: str | None = field(repr=False)
    file: str | None
    row: int | None
    content: str = field(repr=False)

    @property
    def reason(self) -> str:
        """The rule and the column, without any value."""
        return f"{self.column}: {self.rule}" if self.column else self.rule


def conform(table: Table, batch: pa.Table, where: str) -> tuple[pa.Table, list[Reject]]:
    """The rows of `batch` that fit, with the contract's columns, order and types, and the rows that do not.

    `batch` has columns named as in the contract, of any types. Columns that are not declared follow as text; those of
    PLACE keep their names. Raises SourceError, naming `where`, table and column, where a declared column is missing or
    more rows are unfit than can be single rows' faults.
    """
    source = table.source_names
    if missing := [name for name in source if name not in batch.column_names]:
        new = [name for name in batch.column_names if name not in PLACE and name not in source]
        there = f" There is, undeclared: {', '.join(new)}." if new else ""
        what = f"no column {', '.join(missing)}; was it renamed or dropped?{there}"
        raise SourceError(f"{where}: {table.label}: {what} Nothing was loaded", table)
    batch = _composed(table, batch)
    declared, faults = _fit(table, batch, where)
    rejects = []
    if faults:
        places = sorted(faults)
        unfit = batch.take(pa.array(places))
        rows = pa.table({name: unfit[name] if name in PLACE else as_text(unfit[name]) for name in unfit.column_names})
        rejects = [_reject(table, row, *faults[place]) for place, row in zip(places, rows.to_pylist(), strict=True)]
        batch = batch.filter(pc.invert(pc.is_in(pa.array(range(len(batch))), pa.array(places))))
        declared, _ = _fit(table, batch, where)
    known = {*declared, *source, *PLACE}
    others = {name: as_text(batch[name]) for name in batch.column_names if name not in known}
    place = {name: batch[name].cast(kind) for name, kind in PLACE.items() if name in batch.column_names}
    return pa.table(declared | others | place), rejects


def _composed(table: Table, batch: pa.Table) -> pa.Table:
    """The batch with the columns that are made of others."""
    for column in (column for column in table.columns if column.of):
        parts = [pc.utf8_trim_whitespace(as_text(batch[part])) for part in column.of]
        joined = pc.binary_join_element_wise(*parts, ", ", null_handling="replace", null_replacement="")
        joined = pc.replace_substring_regex(joined, r"^(?:, )+|(?:, )+$", "")
        joined = pc.replace_substring_regex(joined, "(?:, ){2,}", ", ")
        batch = batch.append_column(column.name, pc.if_else(pc.equal(joined, ""), None, joined))
    return batch


def _fit(table: Table, batch: pa.Table, where: str) -> tuple[dict[str, pa.ChunkedArray], dict[int, tuple[str, str]]]:
    """The declared columns that could be cast, and {position of a row that does not fit: (rule, column)}."""
    declared: dict[str, pa.ChunkedArray] = {}
    faults: dict[int, tuple[str, str]] = {}
    for column in table.columns:
        values = batch[column.name]
        try:
            declared[column.name] = cast(values, column, table.system.time_zone)
        except UNFIT:
            bad = _misfits(values, column, table)
            if len(bad) > MOST_REJECTS:
                raise SourceError(
                    f"{where}: {table.label}.{column.name}: more than {MOST_REJECTS:,} rows are {_rule(column)}; "
                    "was it re-typed? Nothing was loaded",
                    table,
                ) from None
            faults = {position: (_rule(column), column.name) for position in bad} | faults
        else:
            outside = _outside_calendar(declared[column.name])
            faults = dict.fromkeys(outside, ("outside the years 1 to 9999", column.name)) | faults
        if values.null_count and column.name in table.key and table.kept_by_key:
            empty = pc.indices_nonzero(pc.is_null(values)).to_pylist()
            faults = dict.fromkeys(empty, ("no key", column.name)) | faults
    for name in batch.column_names:
        faults = dict.fromkeys(_with_nul(batch[name]), ("a NUL character", name)) | faults
    return declared, faults


def _rule(column: Column) -> str:
    return f"not {column.data_type}" + (f" in the form {column.format}" if column.format else "")


def _misfits(values: pa.ChunkedArray, column: Column, table: Table, start: int = 0) -> list[int]:
    """Positions of the values that cannot be cast: halves are tried until single ones are left."""
    try:
        cast(values, column, table.system.time_zone)
    except UNFIT:
        if len(values) == 1:
            return [start]
        half = len(values) // 2
        found = _misfits(values.slice(0, half), column, table, start)
        if len(found) <= MOST_REJECTS:
            found += _misfits(values.slice(half), column, table, start + half)
        return found
    return []


def _outside_calendar(values: pa.ChunkedArray) -> list[int]:
    """Positions of moments that no calendar shows, such as a database's infinity."""
    if not pa.types.is_temporal(values.type):
        return []
    first, last = (pa.scalar(moment).cast(values.type) for moment in (datetime(1, 1, 1), datetime(9999, 12, 31)))
    ends = pc.min_max(values)
    if not ends["min"].is_valid or (pc.and_(pc.greater_equal(ends["min"], first), pc.less(ends["max"], last)).as_py()):
        return []
    return pc.indices_nonzero(pc.or_(pc.less(values, first), pc.greater_equal(values, last))).to_pylist()


def _with_nul(values: pa.ChunkedArray) -> list[int]:
    """Positions of texts with a NUL character, which Postgres cannot hold."""
    if not pa.types.is_string(values.type):
        return []
    if not any(b"\0" in data.to_pybytes() for chunk in values.chunks if (data := chunk.buffers()[2])):
        return []
    return pc.indices_nonzero(pc.match_substring(values, "\0")).to_pylist()


def _reject(table: Table, row: dict, rule: str, column: str) -> Reject:
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
    """The values as the column's type, those without an offset by the source's clock; raises one of UNFIT."""
    target = column.arrow_type
    if target == pa.string():
        return as_text(values)
    if pa.types.is_string(values.type):
        values = pc.utf8_trim_whitespace(values)
        if column.format:
            values = pc.strptime(values, format=column.format, unit="us")
            time_zone = "UTC" if column.format.endswith(("UTC", "Z")) else time_zone
        elif pa.types.is_timestamp(target):
            return _moments(values, target, time_zone)
    if pa.types.is_timestamp(target) and pa.types.is_timestamp(values.type) and values.type.tz is None:
        values = _by_clock(values, time_zone)
    return values.cast(target)


def _moments(texts: pa.ChunkedArray, target: pa.DataType, time_zone: str) -> pa.ChunkedArray:
    """Texts with an offset each, or by the source's own clock, or some of both.

    Most columns have them all as the first is; Arrow itself refuses those that have not.
    """
    has_offset = bool(re.search(OFFSET, pc.first(texts).as_py() or ""))
    try:
        return texts.cast(target) if has_offset else _by_clock(texts.cast(pa.timestamp("us")), time_zone).cast(target)
    except pa.ArrowInvalid:
        have_offset = pc.match_substring_regex(texts, OFFSET)
        if pc.all(have_offset if has_offset else pc.invert(have_offset)).as_py():
            raise
    with_offset = pc.if_else(have_offset, texts, None).cast(target)
    return pc.coalesce(with_offset, _moments(pc.if_else(have_offset, None, texts), target, time_zone))


def _by_clock(values: pa.ChunkedArray, time_zone: str) -> pa.ChunkedArray:
    return pc.assume_timezone(values, time_zone, ambiguous="earliest", nonexistent="latest")
