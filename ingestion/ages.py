"""Calculate ages at extraction, where dates of birth are still clear; only the completed years are loaded."""

from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from ingestion.casting import CAST_ERRORS, cast, without_null_values
from ingestion.columns import Column
from ingestion.contracts import Table

FIRST_BIRTH = pa.scalar(-25_566, pa.int32()).cast(pa.date32())  # 2 January 1900; systems write the first for no date


def age_columns(table: Table, batch: pa.Table, declared: Mapping[str, pa.ChunkedArray]) -> dict[str, pa.ChunkedArray]:
    """{column: ages} of the columns with `age`, from the batch and the declared columns in their types."""
    return {
        column.name: completed_years(
            _born(table, column, batch, declared), declared[column.age.at], table.system.time_zone
        )
        for column in table.columns
        if column.age
    }


def _born(table: Table, column: Column, batch: pa.Table, declared: Mapping[str, pa.ChunkedArray]) -> pa.ChunkedArray:
    birth = table.birth_of(column)
    if birth.table is table:
        return declared[birth.column.name]
    values = without_null_values(batch[column.name], birth.column, birth.table.null_values)
    try:
        return cast(values, birth.column, table.system.time_zone)
    except CAST_ERRORS:  # the table of the person rejects the row
        dates = [_cast_one(values.slice(n, 1), birth.column, table) for n in range(len(values))]
        return pa.chunked_array(dates, pa.date32())


def _cast_one(value: pa.ChunkedArray, column: Column, table: Table) -> pa.Array:
    try:
        return cast(value, column, table.system.time_zone).combine_chunks()
    except CAST_ERRORS:
        return pa.nulls(1, pa.date32())


def completed_years(born: pa.ChunkedArray, moments: pa.ChunkedArray, time_zone: str) -> pa.ChunkedArray:
    """Completed years from a date of birth to a date, or to the local date of a time.

    Null before birth, and without a credible date of birth. Whoever is born on 29 February completes a year on
    1 March of a year without that day.
    """
    if pa.types.is_timestamp(moments.type):
        moments = pc.local_timestamp(moments.cast(pa.timestamp("us", time_zone)))
    born = pc.if_else(pc.greater_equal(born, FIRST_BIRTH), born, None)
    years = pc.subtract(pc.year(moments), pc.year(born))
    is_before_birthday = pc.less(_day_of_year(moments), _day_of_year(born))
    age = pc.subtract(years, is_before_birthday.cast(pa.int64()))
    return pc.if_else(pc.greater_equal(age, 0), age, None)


def _day_of_year(days: pa.ChunkedArray) -> pa.ChunkedArray:
    """A number that orders months and days."""
    return pc.add(pc.multiply(pc.month(days), 100), pc.day(days))
