"""Parquet files of a publication: the same rows and types as the published tables, with a manifest that fits them."""

import hashlib
import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.builds import Builds
from tests.support import Trial, Warehouse
from warehouse import parquet
from warehouse.errors import WarehouseError
from warehouse.outgoing import outbox_folder
from warehouse.parquet import write_parquet

ROWS = """
    select n::bigint * 900719925474099 as defect_key, case when mod(n, 10) = 0 then 'E07000236' else 'E07000234' end
        as district_code, date '2026-07-01' + n as logged_date, timestamp '2026-07-06 14:51:30.000001' as logged_at,
        mod(n, 2) = 0 as is_open, (n / 7.0)::numeric(12, 2) as amount_gbp, case when n > 5 then 'Pothole £' end as name
    from generate_series(1, 100) as n
"""
TABLES = {"fct_defects": ROWS, "dim_dates": "select date '2026-07-01' as date_day", "fct_totals": "select 1 as n"}


def read(folder: Path) -> dict[str, Any]:
    """Return the manifest, after a comparison of its hashes with the files."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    for table in manifest["tables"]:
        assert hashlib.sha256((folder / table["file"]).read_bytes()).hexdigest() == table["sha256"]
    return {table["table"]: table for table in manifest["tables"]} | {"build": manifest["build_id"]}


def test_files_have_the_rows_and_types_of_the_published_tables(trial: Trial, tmp_path: Path) -> None:
    builds = Builds(trial)
    assert builds.run(**TABLES) == []
    trial.sql("comment on column highways.fct_defects.amount_gbp is 'Cost.'")
    write_parquet("highways", tmp_path)
    manifest = read(tmp_path)
    assert manifest.keys() == {"as_at", *TABLES, "build"}
    file = tmp_path / manifest["fct_defects"]["file"]
    found = duckdb.sql(f"select * from '{file}' order by defect_key")
    assert found.fetchall() == trial.sql("select * from highways.fct_defects order by defect_key")
    assert [str(kind) for kind in found.types] == [
        "BIGINT", "VARCHAR", "DATE", "TIMESTAMP", "BOOLEAN", "DECIMAL(12,2)", "VARCHAR",
    ]  # fmt: skip
    assert manifest["fct_defects"]["rows"] == 100
    assert {column["name"]: column["description"] for column in manifest["fct_defects"]["columns"]}["amount_gbp"]
    modes = {oct(path.stat().st_mode)[-4:] for path in (tmp_path, *tmp_path.rglob("*"))}
    assert modes == {"2750", "0640"}, "for the group of the folder"


def test_files_of_a_row_scope_have_its_rows_only(trial: Trial, tmp_path: Path) -> None:
    Builds(trial).run(**TABLES)
    write_parquet("highways_redditch", tmp_path)
    manifest = read(tmp_path)
    assert manifest.keys() == {"as_at", "dim_dates", "fct_defects", "build"}
    file = tmp_path / manifest["fct_defects"]["file"]
    assert duckdb.sql(f"select distinct district_code from '{file}'").fetchall() == [("E07000236",)]


def test_files_of_publications_that_are_not_kept_are_deleted(trial: Trial, tmp_path: Path) -> None:
    builds, numbers = Builds(trial), []
    with pytest.raises(WarehouseError, match="highways is not published"):
        write_parquet("highways", tmp_path)
    for _ in range(4):
        builds.run()
        write_parquet("highways", tmp_path)
        numbers.append(str(read(tmp_path)["build"]))
    kept = {path.name for path in tmp_path.iterdir()}
    assert kept == {*numbers[1:], "manifest.json"}, "the last publication, and two that can be rolled back to"
    builds.sql("select governance.roll_back('highways')")
    write_parquet("highways", tmp_path)
    assert str(read(tmp_path)["build"]) == numbers[2]
    trial.sql("select governance.forget_old_builds('highways')")
    write_parquet("highways", tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {numbers[2], "manifest.json"}


def test_an_erasure_deletes_the_files(trial: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTBOX", str(tmp_path))
    Builds(trial).run()
    parquet.write_parquet("highways", outbox_folder("highways") / "parquet")
    (feed := tmp_path / "highways/feed.csv").touch()
    parquet.delete_files()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [feed]


def test_files_are_those_of_one_publication(trial: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    builds = Builds(trial)
    both = {"fct_one": "select 1 as version", "fct_two": "select 1 as version"}
    builds.run(**both)
    write = parquet._write

    def publish_between(schema: str, table: str, *rest: Any) -> dict[str, Any]:
        if table == "fct_two" and builds.count == 1:
            builds.run(**dict.fromkeys(both, "select 2 as version"))
        return write(schema, table, *rest)

    monkeypatch.setattr(parquet, "_write", publish_between)
    parquet.write_parquet("highways", tmp_path)
    files = [tmp_path / table["file"] for name, table in read(tmp_path).items() if name in both]
    assert [duckdb.sql(f"select version from '{file}'").fetchall() for file in files] == [[(2,)], [(2,)]]


def test_published_tables_have_statistics_and_facts_are_sorted_by_date(warehouse: Warehouse) -> None:
    tables = "select schema_name from governance.reader_schemas() where is_open"
    unknown = (
        f"select oid::regclass from pg_class where relkind = 'r' and relnamespace::regnamespace::text in ({tables})"
    )
    assert warehouse.sql(f"{unknown} and reltuples < 0") == []
    order = "select correlation > 0.99 from pg_stats where schemaname = 'finance' and (tablename, attname) = (%s, %s)"
    assert warehouse.sql(order, ("fct_supplier_payments", "payment_date")) == [(True,)]
    indexes = "select indexdef from pg_indexes where schemaname = 'finance' and tablename = 'fct_supplier_payments'"
    defined = " ".join(row[0] for row in warehouse.sql(indexes))
    assert all(column in defined for column in ("brin (payment_date)", "btree (supplier_key)", "(payment_key)"))
