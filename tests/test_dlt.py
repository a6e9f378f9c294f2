"""dlt beside the warehouse: its own sources work in the checkout, and it keeps the names of the contracts."""

import sqlite3
from contextlib import closing
from pathlib import Path

import dlt
import pyarrow as pa
from dlt.sources.sql_database import sql_table
from sqlalchemy.dialects import mssql, mysql, oracle, postgresql

from ingestion.internals import id_of_load_job, is_binary, marked_table
from ingestion.landing import postgres_copy
from tests.support import trial_system


def test_dlts_sql_table_reads_a_table_with_its_defaults(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "source.db")) as connection:
        connection.executescript("create table cases (case_no integer, name text); insert into cases values (1, 'one')")
    rows = list(sql_table(f"sqlite:///{tmp_path}/source.db", "cases"))
    assert rows == [{"case_no": 1, "name": "one"}]


def test_dlt_keeps_the_names_of_the_contract(tmp_path: Path) -> None:
    destination = postgres_copy(
        trial_system({"name": "cases", "load": "replace", "columns": {"a__b": "bigint"}}), "postgresql://nowhere", {}
    )
    pipeline = dlt.pipeline("trial", pipelines_dir=str(tmp_path), destination=destination)
    rows = dlt.resource([pa.table({"a__b": [1], "c_": [2], "_source_row": [3]})], name="cases__2026_")
    pipeline.extract([rows], loader_file_format="parquet")
    assert list(pipeline.default_schema.tables["cases__2026_"]["columns"]) == ["a__b", "c_", "_source_row"]


def test_a_row_of_a_marked_table_is_found_with_its_table() -> None:
    rows = pa.table({"a": [1]})
    resource = dlt.resource([rows, dlt.mark.with_table_name(rows, "children")], name="parents")
    assert [marked_table(item, "parents") for item in resource] == [("parents", rows)] * 2  # dlt unpacks the rows
    assert marked_table(dlt.mark.with_table_name(rows, "children"), "parents") == ("children", rows)


def test_a_file_that_dlt_loads_has_an_id_that_does_not_change_with_a_retry() -> None:
    assert {id_of_load_job(f"/loads/cases.7af3c1.{retry}.parquet") for retry in (0, 1)} == {"7af3c1"}


def test_binary_types_of_every_engine_are_known() -> None:
    assert all(map(is_binary, (postgresql.BYTEA(), mysql.BINARY(16), mssql.VARBINARY(8), oracle.RAW(16))))
    assert not is_binary(postgresql.TEXT())
