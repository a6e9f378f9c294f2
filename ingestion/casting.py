"""Cast values to a contract's types: exactly, or with an error for what would change (31/02/2026, 0x1F, 1.005)."""

import json
import re
from contextlib import suppress
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingestion.columns import NUMERIC, Column
from ingestion.formats import EXCEL_SERIAL, NEGATIVE, NumberForm, date_shape, no_digits, number_shape
from ingestion.internals import start_arrow_without_pandas
from ingestion.json_values import check_json

start_arrow_without_pandas()

ARROW_TYPES = {
    "text": pa.string(),
    "bigint": pa.int64(),
    "double precision": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamptz": pa.timestamp("us", "UTC"),
    "time": pa.time64("us"),
    "jsonb": pa.string(),
    "bytea": pa.binary(),
}
CAST_ERRORS = (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError)
OFFSET = r"[T ]\d\d.*(?:Z|[+-]\d\d(?::?\d\d)?)$"  # the UTC offset at the end of a time
HOUR = r"^.{10}[T ]\d\d(?:[Z+-]|$)"  # without minutes
TIME_OF_DAY = r"^[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6}0*)?)?$"
HEXADECIMAL = re.compile(r"(?:\\x|0x)?((?:[0-9a-f]{2})*)", re.IGNORECASE)
FIRST_EXCEL_DAY, EXCEL_TO_1970 = 61, 25_569  # before 1 March 1900 Excel counts a day that did not exist
LAST_MOVED_DAY = 3  # a parser makes 3 March at the latest of an impossible day, 31 February


@cache
def arrow_type(data_type: str) -> pa.DataType:
    """The Arrow type of a contract's data_type."""
    numeric = NUMERIC.fullmatch(data_type)
    return pa.decimal128(int(numeric[1]), int(numeric[2])) if numeric else ARROW_TYPES[data_type]


def as_text(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """The values as text; lists and objects as JSON, bytes in hexadecimal."""
    if not pa.types.is_binary(values.type):
        with suppress(pa.ArrowInvalid, pa.ArrowNotImplementedError):
            return values.cast(pa.string())
    return pa.chunked_array([pa.array(map(_text, values.to_pylist()), pa.string())])


def _text(value: object) -> str | None:
    if value is None:
        return None
    return value.hex() if isinstance(value, bytes) else json.dumps(value, default=str)


def without_null_values(values: pa.ChunkedArray, column: Column, null_values: list[str]) -> pa.ChunkedArray:
    """The values, null where a text is one of `null_values` or, in a column that is not a text, of blanks only."""
    null_values = null_values + column.null_values + [""] * (column.data_type not in ("text", "bytea"))
    if not pa.types.is_string(values.type) or not null_values:
        return values
    trimmed = _trimmed(values)
    is_null = pc.equal(trimmed, "") if null_values == [""] else pc.is_in(trimmed, pa.array(null_values))
    return pc.if_else(is_null, pa.scalar(None, pa.string()), values) if pc.any(is_null).as_py() else values


def _trimmed(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """The texts without blanks around them. To look for blanks takes a tenth of the time of trimming."""
    codes = [np.frombuffer(data, np.uint8) for chunk in values.chunks if (data := chunk.buffers()[2])]
    has_blanks = any(part.min() <= ord(" ") or part.max() > ord("~") for part in codes if len(part))
    return pc.utf8_trim_whitespace(values) if has_blanks else values


def cast(values: pa.ChunkedArray, column: Column, time_zone: str) -> pa.ChunkedArray:
    """The values in the column's type; a time without an offset is in the source's time zone.

    Raises one of CAST_ERRORS if a value would change. A local time that occurs twice, when the clocks go back, is the
    first of the two.
    """
    target = column.arrow_type
    if values.null_count == len(values):
        return pa.chunked_array([pa.nulls(len(values), target)])
    if target == pa.string():
        return check_json(as_text(values)) if column.data_type == "jsonb" else as_text(values)
    if pa.types.is_binary(target):
        return _as_bytes(values)
    if pa.types.is_string(values.type):
        return _from_text(_trimmed(values), column, target, time_zone)
    if pa.types.is_time(target):
        return _as_time(values)
    if pa.types.is_timestamp(target) or pa.types.is_date(target):
        return _from_moments(values, target, time_zone)
    if pa.types.is_temporal(values.type):
        raise pa.ArrowTypeError("a date is not a number")
    if pa.types.is_floating(values.type) and not pa.types.is_floating(target):
        return _checked(values, values.cast(target))
    if pa.types.is_boolean(target) and not pa.types.is_boolean(values.type):
        return _checked(values, values.cast(target))
    if pa.types.is_integer(values.type) and pa.types.is_decimal(target):  # Arrow wants room for every integer
        return values.cast(pa.decimal256(20 + target.scale, target.scale)).cast(target)
    if pa.types.is_decimal(values.type) and pa.types.is_floating(target):  # Arrow's own cast is not the nearest double
        values = values.cast(pa.string())
    return values.cast(target)


def _as_bytes(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Binary values; texts in hexadecimal, with or without the prefix \\x or 0x."""
    if not pa.types.is_string(values.type):
        return values.cast(pa.binary())
    found = [None if text is None else HEXADECIMAL.fullmatch(text) for text in values.to_pylist()]
    if found.count(None) > values.null_count:
        raise pa.ArrowInvalid("not hexadecimal")
    return pa.chunked_array([pa.array([match and bytes.fromhex(match[1]) for match in found], pa.binary())])


def _as_time(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Times of day, without a date or an offset; texts in the form of ISO 8601, also with an hour of one digit."""
    if pa.types.is_time(values.type):
        return values.cast(ARROW_TYPES["time"])
    if not pa.types.is_string(values.type) or not pc.all(pc.match_substring_regex(values, TIME_OF_DAY)).as_py():
        raise pa.ArrowTypeError("not a time of day")
    texts = pc.replace_substring_regex(pc.replace_substring_regex(values, r"^(\d):", r"0\1:"), r"(\.\d{6})0+$", r"\1")
    days = pc.binary_join_element_wise("1970-01-01", texts, " ")
    return days.cast(pa.timestamp("us")).cast(ARROW_TYPES["time"])


def _checked(values: pa.ChunkedArray, converted: pa.ChunkedArray) -> pa.ChunkedArray:
    """The converted values if they convert back to what was read: 2 is no boolean, 0.105 no numeric(18,2)."""
    if not pc.all(pc.equal(converted.cast(values.type), values), min_count=0).as_py():
        raise pa.ArrowInvalid("a value would change")
    return converted


def _from_text(values: pa.ChunkedArray, column: Column, target: pa.DataType, time_zone: str) -> pa.ChunkedArray:
    if column.format:
        return _parse_formats(values, column.format, target, time_zone)
    if pa.types.is_time(target):
        return _as_time(values)
    if column.true_values:
        return _as_booleans(values, column)
    if pa.types.is_timestamp(target):
        _refuse_hours(values)
        return _parse_timestamps(values, target, time_zone)
    if column.number_format:
        values = _plain_numbers(values, column.number_format)
    if (
        pa.types.is_integer(target)
        and _has_byte(values, b"xX")
        and pc.any(pc.match_substring(values, "x", ignore_case=True)).as_py()
    ):
        raise pa.ArrowInvalid("a hexadecimal number")  # Arrow would read it
    converted = values.cast(target)
    if pa.types.is_floating(target) and pc.any(pc.is_inf(converted)).as_py():
        written = pc.match_substring_regex(values, "(?i)^[+-]?inf(inity)?$")
        if pc.any(pc.and_not(pc.is_inf(converted), written)).as_py():
            raise pa.ArrowInvalid("a number too large for a double")
    return converted


def _plain_numbers(values: pa.ChunkedArray, forms: list[NumberForm]) -> pa.ChunkedArray:
    """The numbers as a program writes them, as `plain_number`; a text of another shape as it is."""
    shape = pc.match_substring_regex(values, f"^(?:{number_shape(tuple(forms))})$")
    if "decimal_comma" in forms and not pc.all(shape).as_py():
        raise pa.ArrowInvalid("a number of another form")
    sign = pc.if_else(pc.match_substring_regex(values, NEGATIVE), "-", "")
    digits = pc.replace_substring(pc.replace_substring_regex(values, no_digits(forms), ""), ",", ".")
    return pc.if_else(shape, pc.binary_join_element_wise(sign, digits, ""), values)


def _as_booleans(values: pa.ChunkedArray, column: Column) -> pa.ChunkedArray:
    """The booleans of the column's own words."""
    is_true, is_false = (pc.is_in(values, pa.array(words)) for words in (column.true_values, column.false_values))
    if not pc.all(pc.or_(pc.or_(is_true, is_false), pc.is_null(values))).as_py():
        raise pa.ArrowInvalid("a word that is neither true nor false")
    return pc.if_else(pc.is_null(values), pa.scalar(None, pa.bool_()), is_true)


def _has_byte(values: pa.ChunkedArray, which: bytes) -> bool:
    """Whether a text may contain one of the bytes; true also for a byte in another part of the same buffer."""
    buffers = [memoryview(data).tobytes() for chunk in values.chunks if (data := chunk.buffers()[2])]
    return any(bytes([byte]) in data for data in buffers for byte in which)


def _from_moments(values: pa.ChunkedArray, target: pa.DataType, time_zone: str) -> pa.ChunkedArray:
    """Dates and times from a typed source. A time becomes a date only at midnight, local time."""
    if pa.types.is_timestamp(values.type):
        if pa.types.is_date(target):
            local = values if values.type.tz is None else pc.local_timestamp(values.cast(pa.timestamp("us", time_zone)))
            dates = local.cast(target)
            if not pc.all(pc.equal(dates.cast(local.type), local), min_count=0).as_py():
                raise pa.ArrowInvalid("a time in a column of dates")
            return dates
        return (_localise(values, time_zone) if values.type.tz is None else values).cast(target)
    if pa.types.is_date(values.type) and pa.types.is_timestamp(target):
        return _localise(values.cast(pa.timestamp("us")), time_zone).cast(target)
    if pa.types.is_integer(values.type):
        raise pa.ArrowTypeError("a number is not a date")
    return values.cast(target)


def _parse_formats(texts: pa.ChunkedArray, forms: list[str], target: pa.DataType, time_zone: str) -> pa.ChunkedArray:
    """Each text by the first format that prints texts of its shape."""
    parsed = pa.chunked_array([pa.nulls(len(texts), target)])
    for form in forms:
        rest = texts if parsed.null_count == len(texts) else pc.if_else(pc.is_valid(parsed), None, texts)
        shape = f"^(?:{date_shape(form)})$"
        fitting = pc.if_else(pc.match_substring_regex(rest, shape), rest, pa.scalar(None, pa.string()))
        if form == EXCEL_SERIAL:
            moments = _excel_days(fitting)
        else:
            moments = pc.strptime(fitting, format=form, unit="us")
            _refuse_moved_days(fitting, moments, shape, form)
        if form.endswith(("UTC", "Z")):
            moments = pc.assume_timezone(moments, "UTC")
        found = moments.cast(target) if pa.types.is_time(target) else _from_moments(moments, target, time_zone)
        parsed = pc.coalesce(parsed, found)
    if parsed.null_count > texts.null_count:
        raise pa.ArrowInvalid("a text of another form")
    return parsed


def _excel_days(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """The days of Excel's serial numbers, at midnight."""
    numbers = texts.cast(pa.int32())
    if pc.any(pc.less(numbers, FIRST_EXCEL_DAY)).as_py():
        raise pa.ArrowInvalid("a day that Excel counts wrongly")
    return pc.subtract(numbers, pa.scalar(EXCEL_TO_1970, pa.int32())).cast(pa.date32()).cast(pa.timestamp("us"))


def _refuse_moved_days(texts: pa.ChunkedArray, moments: pa.ChunkedArray, shape: str, form: str) -> None:
    """Raise if a parsed day is not the day of the text."""
    if "%d" not in form:
        return
    suspect = pc.less_equal(pc.day(moments), LAST_MOVED_DAY)
    written = pc.replace_substring_regex(texts.filter(suspect), shape, r"\1").cast(pa.int64())
    if not pc.all(pc.equal(written, pc.day(moments.filter(suspect))), min_count=0).as_py():
        raise pa.ArrowInvalid("a day that its month does not have")


def _refuse_hours(texts: pa.ChunkedArray) -> None:
    """Refuse an hour without minutes, which Arrow reads: it may be the beginning of a time."""
    has_minutes = pc.equal(pc.binary_slice(texts.cast(pa.binary()), 13, 14), b":")  # faster than an expression
    if not pc.all(has_minutes).as_py() and pc.any(pc.match_substring_regex(texts, HOUR)).as_py():
        raise pa.ArrowInvalid("an hour without minutes")


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
    """Local times as moments; a time that the change of clocks skips is an error."""
    return pc.assume_timezone(values, time_zone, ambiguous="earliest", nonexistent="raise")
