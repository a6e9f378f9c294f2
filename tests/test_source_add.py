"""`warehouse source add`: its files load, build and pass `make check` after a person has completed them."""

import csv
import datetime as dt
import gzip
import os
import re
import shutil
import subprocess
import sys
import zipfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet
import pymysql
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mssql, oracle

from ingestion.contract_yaml import ContractError
from ingestion.contracts import SourceError, System, read_contracts
from ingestion.files import read_file
from ingestion.pipeline import load_system
from ingestion.scaffold import add_source
from ingestion.sql_types import contract_type
from tests.files import decided
from tests.support import ROOT, Trial, Warehouse, change, needs_mariadb


def types(system: System, table: str) -> dict[str, str]:
    """Return {column: type} of a declared table."""
    declared = next(each for each in system.tables if each.name == table)
    return {column.name: column.data_type for column in declared.columns}


@pytest.fixture
def landing(tmp_path: Path) -> Path:
    folder = tmp_path / "landing"
    folder.mkdir()
    return folder


@pytest.fixture
def staging(tmp_path: Path) -> Path:
    return tmp_path / "staging"


# --- files


@pytest.mark.parametrize(
    ("values", "data_type", "form"),
    [
        (["1", "-20", "", "0"], "bigint", None),
        (["1", "007"], "text", None),
        (["12345678901234567890"], "text", None),
        (["1.5", "20"], "numeric(18,2)", None),
        (["0.12345", "-1234567890123456.1"], "numeric(21,5)", None),
        (["01.5"], "text", None),
        (["1e5", "1"], "text", None),
        (["007%"], "text", None),
        (["1,2", "1,20"], "text", None),
        (["-", "N/A"], "text", None),
        (["A", "N/A"], "text", None),
        (["2026-07-01", "1948-02-29"], "date", None),
        (["2026-02-30", "2026-07-01"], "text", None),
        (["31/07/2026", "01/07/2026"], "date", "%d/%m/%Y"),
        (["31/02/2026"], "text", None),
        (["01/07/2026", "07/31/2026"], "date", "%m/%d/%Y"),
        (["01/07/26"], "text", None),
        (["1 Jul 2026"], "date", "%d %b %Y"),
        (["2026-07-01 12:00:00", "2026-07-01"], "timestamptz", None),
        (["2026-07-01T12:00:00Z", "2026-07-01T12:00:00.123+01:00"], "timestamptz", None),
        (["31/07/2026 12:30"], "timestamptz", "%d/%m/%Y %H:%M"),
        (["true", "FALSE"], "boolean", None),
        (["19:30", "4:15"], "time", None),
        (["19:30", "24:15"], "text", None),
        (["2026-07-01 12:00:00 UTC"], "timestamptz", "%Y-%m-%d %H:%M:%S UTC"),
        (["Y", "N"], "text", None),
        (["2026-07-01", "not known"], "text", None),
        (["", ""], "text", None),
    ],
)
def test_a_column_has_the_narrowest_type_that_fits_every_value(
    landing: Path, staging: Path, values: list[str], data_type: str, form: str | None
) -> None:
    rows = [f'{place},"{value}"\n' for place, value in enumerate(values, 1)]
    (landing / "rows.csv").write_text("No,Value\n" + "".join(rows), encoding="utf-8")
    add_source("trial", str(landing), staging=staging)
    column = decided(staging).tables[0].columns[1]
    assert (column.name, column.data_type, column.format) == ("value", data_type, [form] if form else [])


@pytest.mark.parametrize(
    ("values", "number_format"),
    [
        (["£1,234.50", "(5.00)", "0.5"], ["thousands", "pound", "brackets"]),
        (["5.00 CR", "7-"], ["credit", "trailing_minus"]),
        (["0%", "12.5%"], ["percent"]),
        (["12,500", "7"], ["thousands"]),
        (["1.234,50", "-7,25"], ["thousands", "decimal_comma"]),
    ],
)
def test_a_column_of_amounts_has_the_number_formats_of_its_values(
    landing: Path, staging: Path, values: list[str], number_format: list[str]
) -> None:
    rows = [f'{place},"{value}"\n' for place, value in enumerate(values, 1)]
    (landing / "rows.csv").write_text("No,Value\n" + "".join(rows), encoding="utf-8")
    add_source("trial", str(landing), staging=staging)
    column = decided(staging).tables[0].columns[1]
    assert (column.data_type, column.number_format) == ("numeric(18,2)", number_format)


def test_words_for_no_value_are_guessed_beside_the_type_of_the_other_values(landing: Path, staging: Path) -> None:
    rows = "1,#N/A,#N/A,-\n2,2019-04-02,-23.22,-\n3,,NULL,a\n"
    (landing / "reliefs.csv").write_text(f"No,Exempt from,Relief,Note\n{rows}", encoding="utf-8")
    add_source("trial", str(landing), staging=staging)
    table = decided(staging).tables[0]
    assert [(column.data_type, column.null_values) for column in table.columns] == [
        ("bigint", []), ("date", ["#N/A"]), ("numeric(18,2)", ["#N/A", "NULL"]), ("text", []),
    ]  # fmt: skip
    contract = (staging / "trial" / "_trial__sources.yml").read_text(encoding="utf-8")
    assert "numeric(18,2)  # guessed: #N/A and NULL mean no value" in contract


def test_a_semicolon_in_a_text_beside_a_quotation_mark_is_no_delimiter(landing: Path, staging: Path) -> None:
    text = 'Title,Count\n"a;"";b",1\nc,2\n'
    (landing / "contacts.csv").write_text(text, encoding="utf-8")
    add_source("trial", str(landing), staging=staging)
    assert types(decided(staging), "contacts") == {"title": "text", "count": "bigint"}


def test_a_repeated_heading_has_its_number(landing: Path, staging: Path) -> None:
    (landing / "a.csv").write_text("Code,Rate,Rate\nx,1,2\n", encoding="utf-8")
    add_source("trial", str(landing), staging=staging)
    table = decided(staging).tables[0]
    assert [row["rate_2"] for batch in read_file(table, landing / "a.csv") for row in batch.to_pylist()] == ["2"]


@pytest.mark.parametrize(
    ("content", "layout", "read"),
    [
        ("Code,Net\nA,1\nSub-total,1\nB,2\nTotal,3\n", {"subtotals": ["Sub-total"], "footer": ["Total"]}, "AB"),
        ("Code,Net\nA,1\nB,2\n,3\n", {"footer_empty": "code"}, "AB"),
        ("Code,Net\nA,1\nCode,Net\nB,2\n", {"subtotals": ["Code"]}, "AB"),
        ("Code,Net\nA,1\n,\nBand B,\nCode,Net\nC,2\n", {"ends_at_blank_row": True}, "A"),
        ("Code,Net,Note\nA,1\nB,2,b\n", {"ragged": "pad"}, "AB"),
        ("Code,Net\nA,1\n,2\n,3\n", {}, "A  "),
        (",Code,Net\n,A,1\n,B,2\n,Total,3\n", {"footer": ["Total"]}, "AB"),
        ("Code,Net,Note\nA,1,a\nB,2,b\n,3,c\n", {}, "AB "),
        ("Code,Net\nA,1\nB,2\nTotal Gas & Power,3\n", {}, ["A", "B", "Total Gas & Power"]),
    ],
)  # fmt: skip
def test_rows_that_are_no_data_are_described_in_the_contract(
    landing: Path, staging: Path, content: str, layout: dict[str, Any], read: str | list[str]
) -> None:
    (landing / "a.csv").write_text(content, encoding="utf-8")
    add_source("trial", str(landing), staging=staging)
    table = decided(staging).tables[0]
    names = ("subtotals", "footer", "footer_empty", "ends_at_blank_row", "ragged")
    assert {name: getattr(table, name) for name in names if name in table.model_fields_set} == layout
    assert [row["code"] or " " for batch in read_file(table, landing / "a.csv") for row in batch.to_pylist()] == [*read]
    assert types(decided(staging), "a")["net"] == "bigint"


def test_a_file_of_a_month_without_a_total_makes_the_footer_optional(landing: Path, staging: Path) -> None:
    (landing / "2026-01.csv").write_text("Code,Net\nA,1\nTotal,1\n", encoding="utf-8")
    (landing / "2026-02.csv").write_text("Code,Net\nB,1\n", encoding="utf-8")
    add_source("trial", str(landing), staging=staging)
    table = decided(staging).tables[0]
    assert (table.footer, table.footer_optional) == (["Total"], True)


def test_a_text_that_may_be_of_another_type_has_a_hint(landing: Path, staging: Path) -> None:
    (landing / "a.csv").write_text("Paid,Open\n01-Apr-11,Y\n30-Apr-11,N\n", encoding="utf-8")
    add_source("trial", str(landing), staging=staging)
    contract = (staging / "trial" / "_trial__sources.yml").read_text(encoding="utf-8")
    assert "text  # dates with years of two digits? Then declare a date with %d-%b-%y" in contract
    assert "text  # true and false? Then declare a boolean with true_values and false_values" in contract


def test_a_json_file_is_described_with_the_place_of_its_rows(landing: Path, staging: Path) -> None:
    records = '[{"id": 1, "place": {"ward": "E05", "at": [1.0]}}, {"id": 2, "place": null}]'
    document = f'{{"total": 1, "result": {{"records": {records}}}}}'
    (landing / "parks.json").write_text(document, encoding="utf-8")
    add_source("trial", str(landing), staging=staging)
    table = decided(staging).tables[0]
    assert table.rows_at == "result.records"
    assert types(decided(staging), "parks") == {"id": "bigint", "place_ward": "text", "place_at": "text"}
    assert sum(len(batch) for batch in read_file(table, landing / "parks.json")) == 2


def test_the_last_row_of_a_json_file_is_no_footer(landing: Path, staging: Path) -> None:
    (landing / "parks.json").write_text('[{"name": "a", "n": 1}, {"name": "Total", "n": 1}]', encoding="utf-8")
    add_source("trial", str(landing), staging=staging)
    assert sum(len(batch) for batch in read_file(decided(staging).tables[0], landing / "parks.json")) == 2


def test_the_last_row_of_a_long_file_affects_the_column_type(landing: Path, staging: Path) -> None:
    rows = "".join(f"{number},{number},2026-07-01\n" for number in range(1, 200_000))
    (landing / "rows.csv").write_text(f"No,Code,Day\n{rows}9,01,never\n", encoding="utf-8")
    add_source("trial", str(landing), staging=staging)
    assert types(decided(staging), "rows") == {"no": "bigint", "code": "text", "day": "text"}


def test_an_ambiguous_date_format_is_marked_as_a_guess(landing: Path, staging: Path) -> None:
    (landing / "rows.csv").write_text("No,Day\n1,01/07/2026\n", encoding="utf-8")
    add_source("trial", str(landing), staging=staging)
    text = (staging / "trial/_trial__sources.yml").read_text(encoding="utf-8")
    assert "data_type: date  # guessed: the day comes before the month" in text
    assert 'format: "%d/%m/%Y"' in text


def workbook(path: Path, sheets: dict[str, list[list[Any]]]) -> None:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)


def test_every_readable_layout_is_described(landing: Path, staging: Path) -> None:
    rows = "Crossing ID{0}Paid On{0}Café\n1{0}31/07/2026{0}Zoë\n2{0}01/07/2026{0}\n"
    (landing / "semicolons.csv").write_bytes(rows.format(";").encode("windows-1252"))
    (landing / "tabs.txt").write_bytes(rows.format("\t").encode("utf-16"))
    (landing / "packed.csv.gz").write_bytes(gzip.compress(rows.format(",").encode()))
    with zipfile.ZipFile(landing / "zipped.zip", "w") as archive:
        archive.writestr("inside.csv", rows.format("|"))
    titled = "Report of crossings,,\n\n" + rows.format(",")
    (landing / "titled.csv").write_text("\ufeff" + titled, encoding="utf-8")
    for month in ("2026-06", "2026-07"):
        (landing / f"monthly {month}.csv").write_text(rows.format(","), encoding="utf-8")
    pyarrow.parquet.write_table(
        pa.table(
            {
                "Crossing ID": [1, 2],
                "Paid On": [dt.date(2026, 7, 31), None],
                "Fee": pa.array([1, 2], pa.decimal128(9, 3)),
            }
        ),
        landing / "columnar.parquet",
    )
    posts = [["Post No", "Held From", "Pay"], ["007", dt.date(2026, 7, 1), 1.5], ["12", None, 2]]
    workbook(landing / "one.xlsx", {"Posts": posts})
    workbook(
        landing / "two.xlsx",
        {"Notes": [["Read me"], ["first"]], "Posts held": posts, "Absences": [["No", "Days"], [1, 2]]},
    )
    (landing / "~$two.xlsx").write_bytes(b"open")
    (landing / "readme.pdf").write_bytes(b"%PDF")
    add_source("trial", str(landing), staging=staging)
    system = decided(staging)
    assert {table.name: (table.files, table.delimiter, table.encoding, table.sheet) for table in system.tables} == {
        "semicolons": ("semicolons.csv", ";", "windows-1252", None),
        "tabs": ("tabs.txt", "\t", "utf-16", None),
        "packed": ("packed.csv.gz", ",", "utf-8", None),
        "zipped": ("zipped.zip", "|", "utf-8", None),
        "titled": ("titled.csv", ",", "utf-8", None),
        "monthly": ("monthly [0-9]*.csv", ",", "utf-8", None),
        "columnar": ("columnar.parquet", ",", "utf-8", None),
        "one": ("one.xlsx", ",", "utf-8", None),
        "posts_held": ("two.xlsx", ",", "utf-8", "Posts held"),
        "absences": ("two.xlsx", ",", "utf-8", "Absences"),
    }
    for name in ("semicolons", "tabs", "packed", "zipped", "titled", "monthly"):
        assert types(system, name) == {"crossing_id": "bigint", "paid_on": "date", "caf": "text"}
    assert types(system, "columnar") == {"crossing_id": "bigint", "paid_on": "date", "fee": "numeric(9,3)"}
    for name in ("one", "posts_held"):
        assert types(system, name) == {"post_no": "text", "held_from": "date", "pay": "numeric(18,2)"}


def test_a_single_file_can_be_added(landing: Path, staging: Path) -> None:
    for name in ("tolls_2026-07.csv", "other.csv"):
        (landing / name).write_text("No,Fee\n1,2\n", encoding="utf-8")
    added = add_source("trial", str(landing / "tolls_2026-07.csv"), staging=staging)
    assert (added.tables, added.variable, added.value) == (["tolls"], "TRIAL_LANDING", str(landing))
    assert decided(staging).tables[0].files == "tolls_[0-9]*.csv"


def test_invalid_column_headings_are_mapped_to_columns(landing: Path, staging: Path) -> None:
    (landing / "rows.csv").write_text("No,£,Paid On,PaidOn,,2026\n1,2,a,b,c,d\n", encoding="utf-8")
    add_source("trial", str(landing), staging=staging)
    (table,) = decided(staging).tables
    assert [(column.name, column.header) for column in table.columns] == [
        ("no", []), ("column_2", ["£"]), ("paid_on", []), ("paid_on_2", ["PaidOn"]), ("column_2026", []),
    ]  # fmt: skip
    assert table.left_out == ["column_5"]


def test_added_files_load_exactly(trial: Trial, landing: Path, staging: Path) -> None:
    header = ["Crossing ID", "Paid On", "Fee", "Account", "name", "Late", "Logged At", "£"]
    rows = [
        ["1", "31/07/2026", "1.50", "00012", " Zoë, A. ", "true", "2026-07-01 12:00:00", "a"],
        ["2", "", "-0.05", "12", 'said "no"', "false", "2026-01-01 00:00:00", ""],
        ["3", "01/12/2025", "9999999999999999.99", "", "", "", "", "x"],
    ]
    for number, some in enumerate((rows[:2], rows[2:]), 1):
        with (landing / f"crossings_{number}.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows([header, *some])
    book = [
        ["Post No", "Held From", "Pay", "Open"],
        ["007", dt.date(2026, 7, 1), 1234.5, True],
        ["12", None, 0.1, False],
    ]
    workbook(landing / "posts.xlsx", {"Posts": book})
    add_source("trial", str(landing), staging=staging)
    os.environ["TRIAL_LANDING"] = str(landing)
    results = {each.table: each for each in load_system(decided(staging))}
    assert {name: (each.read, each.total, each.quarantined) for name, each in results.items()} == {
        "crossings": (3, 3, 0), "posts": (2, 2, 0)
    }  # fmt: skip

    def value(cell: str, kind: type) -> object:
        if not cell:
            return None
        if kind is dt.date:
            return dt.datetime.strptime(cell, "%d/%m/%Y").date()
        if kind is dt.datetime:  # British time at the source
            return dt.datetime.fromisoformat(cell).replace(tzinfo=dt.UTC) - dt.timedelta(hours=cell[5:7] == "07")
        return cell == "true" if kind is bool else kind(cell)

    kinds = [int, dt.date, Decimal, str, str, bool, dt.datetime, str]
    there = [tuple(value(cell, kind) for cell, kind in zip(row, kinds, strict=True)) for row in rows]
    names = 'crossing_id, paid_on, fee, account, "name", late, logged_at, column_8'
    assert trial.sql(f"select {names} from raw_trial.crossings order by 1") == there
    assert trial.sql("select post_no, held_from, pay, open from raw_trial.posts order by 1") == [
        ("007", dt.date(2026, 7, 1), Decimal("1234.50"), True), ("12", None, Decimal("0.10"), False)
    ]  # fmt: skip


# --- databases

POSTGRES = """
create domain small_text as varchar(20);
create type mood as enum ('ok', 'late');
create table crossing (
    crossing_id bigint primary key, "Paid On" date, "PaidOn" text, fee numeric(10,2), rate double precision,
    share real, weight numeric, number smallint, "order" varchar(10), name text, is_open boolean, state mood,
    code small_text, guid uuid, tags text[], details jsonb, at_time time, photo bytea,
    created_at timestamp, last_updated timestamptz not null);
comment on table crossing is 'Crossings of the bridge';
comment on column crossing.fee is 'Toll in pounds: {{ not Jinja }}';
insert into crossing
    select n, date '2026-01-01' + n, 'text ' || n, n * 1.01, n / 7.0, n / 3.0::real, n * 1.000000001, n % 100,
        'o' || n, nullif('Zoë ' || n, 'Zoë 3'), n % 2 = 0, case when n % 2 = 0 then 'ok' else 'late' end::mood,
        'c' || n,
        md5(n::text)::uuid, array['a', n::text], jsonb_build_object('n', n), time '12:00' + n * interval '1 minute',
        '\\x00', timestamp '2026-07-01' + n * interval '1 hour', timestamptz '2026-07-01' + n * interval '1 hour'
    from generate_series(1, 500) as n;
create table "CrossingLanes" (crossing_id bigint, lane int, "Note" text, primary key (crossing_id, lane));
insert into "CrossingLanes" select n, lane, 'note' from generate_series(1, 50) as n, generate_series(1, 3) as lane;
create table tokens (token text not null unique, valid boolean);
insert into tokens values ('a', true), ('b', null);
create table keyless (a int, b text);
insert into keyless values (1, 'x'), (2, 'y');
create view open_crossings as select crossing_id, fee from crossing where is_open;
"""
AS_DECLARED = {
    "bigint": "bigint", "integer": "bigint", "smallint": "bigint", "date": "date", "text": "text", "boolean": "boolean",
    "double precision": "double precision", "real": "double precision", "timestamp without time zone": "timestamptz",
    "timestamp with time zone": "timestamptz", "character varying": "text", "uuid": "text", "USER-DEFINED": "text",
    "ARRAY": "text", "jsonb": "text", "time without time zone": "text",
}  # fmt: skip


def test_an_added_postgres_database_loads_exactly(trial: Trial, staging: Path) -> None:
    trial.source(POSTGRES)
    url = trial.place.replace("postgresql://", "postgresql+psycopg2://")
    add_source("trial", url, staging=staging)
    text = (staging / "trial/_trial__sources.yml").read_text(encoding="utf-8")
    assert "Crossings of the bridge. One row per crossing_id." in text
    assert "cursor: last_updated  # guessed" in text
    assert "- photo  # binary" in text
    assert sa.make_url(url).password not in text
    system = decided(staging)
    tables = {table.name: table for table in system.tables}
    assert {name: (table.load, table.key, table.cursor, table.source_table) for name, table in tables.items()} == {
        "crossing": ("merge", ["crossing_id"], "last_updated", None),
        "crossing_lanes": ("replace", ["crossing_id", "lane"], None, "CrossingLanes"),
        "tokens": ("replace", ["token"], None, None),
        "keyless": ("replace", [], None, None),
    }
    for name, column, kind, precision, scale in trial.source(
        "select table_name, column_name, data_type, numeric_precision, numeric_scale from information_schema.columns "
        "where table_schema = 'public' and column_name <> 'photo' and table_name <> 'open_crossings'"
    ):
        renamed = {"CrossingLanes": "crossing_lanes"}.get(name, name)
        declared = {c.headers[0]: c.data_type for c in tables[renamed].columns}
        found = declared.get(column) or declared[{"Paid On": "paid_on", "Note": "note"}[column]]
        if kind == "numeric":
            assert found == (f"numeric({precision},{scale})" if precision else "text")
        else:
            assert found == AS_DECLARED[kind]

    os.environ["TRIAL_URL"] = url
    results = load_system(system)
    assert {each.table: (each.total, each.quarantined, each.new_columns) for each in results} == {
        "crossing": (500, 0, []), "crossing_lanes": (150, 0, []), "tokens": (2, 0, []), "keyless": (2, 0, [])
    }  # fmt: skip
    columns = (
        'crossing_id, "Paid On", "PaidOn", fee, rate, share::double precision, weight::text, number, "order", name, '
        "is_open, state::text, code, guid::text, tags::text, details, at_time::text, "
        "created_at at time zone 'Europe/London', last_updated"
    )
    raw = (
        'crossing_id, paid_on, paid_on_2, fee, rate, share, weight, number, "order", name, is_open, state, code, guid, '
        "tags, details::jsonb, at_time, created_at, last_updated"
    )
    assert trial.sql(f"select {raw} from raw_trial.crossing order by 1") == trial.source(
        f"select {columns} from crossing order by 1"
    )
    assert trial.sql("select crossing_id, lane, note from raw_trial.crossing_lanes order by 1, 2") == trial.source(
        'select crossing_id, lane, "Note" from "CrossingLanes" order by 1, 2'
    )
    trial.source("update crossing set fee = 7, last_updated = now() where crossing_id = 1")
    load_system(system)
    assert trial.sql("select fee from raw_trial.crossing where crossing_id = 1") == [(Decimal(7),)]


def test_only_the_named_tables_are_declared(trial: Trial, staging: Path) -> None:
    trial.source(POSTGRES + "create schema other; create table other.thing (id int primary key)")
    add_source("trial", trial.place, ["CrossingLanes", "open_crossings"], staging=staging)
    assert [table.name for table in decided(staging).tables] == ["crossing_lanes", "open_crossings"]
    trial.source(
        "drop schema if exists elsewhere cascade; create schema elsewhere; create table elsewhere.thing (id int)"
    )
    add_source("twin", trial.place, schema="elsewhere", staging=staging)
    system = decided(staging, "twin")
    assert (system.source_schema, [table.name for table in system.tables]) == ("elsewhere", ["thing"])
    trial.source("drop schema elsewhere cascade; drop schema other cascade")


@needs_mariadb
def test_an_added_mariadb_database_loads_exactly(trial: Trial, mariadb: str, staging: Path) -> None:
    change(
        mariadb,
        "drop table if exists loans",
        "create table loans (id bigint unsigned primary key, big bigint unsigned, name varchar(200) comment 'Who', "
        "amount decimal(18,2), ratio double, born date, kind enum('a','b'), is_open tinyint(1), small tinyint, "
        "flag bit(1), made year, extra json, photo blob, modified datetime(6), `order` int) comment 'Loans'",
        "insert into loans select seq, if(seq = 1, 18446744073709551615, seq), concat('Zoë ', seq), seq * 1.01, "
        "seq / 7, date_add('2026-01-01', interval seq day), if(mod(seq, 2), 'a', 'b'), mod(seq, 2), mod(seq, 100), "
        "mod(seq, 2), 2026, json_object('n', seq), 'x', date_add('2026-01-01', interval seq minute), seq "
        "from seq_1_to_300",
    )
    add_source("trial", mariadb, ["loans"], staging=staging)
    text = (staging / "trial/_trial__sources.yml").read_text(encoding="utf-8")
    assert "gosling" not in text
    assert "description: Who" in text
    system = decided(staging)
    assert types(system, "loans") == {
        "id": "numeric(20,0)", "big": "numeric(20,0)", "name": "text", "amount": "numeric(18,2)",
        "ratio": "double precision", "born": "date", "kind": "text", "is_open": "boolean", "small": "bigint",
        "flag": "bigint", "made": "bigint", "extra": "text", "modified": "timestamptz", "order": "bigint",
    }  # fmt: skip
    assert (system.tables[0].key, system.tables[0].cursor) == (["id"], "modified")
    os.environ["TRIAL_URL"] = mariadb
    (result,) = load_system(system)
    assert (result.total, result.quarantined) == (300, 0)
    url = sa.make_url(mariadb)
    with (
        pymysql.connect(
            host=url.host, port=url.port, user=url.username, password=url.password, database=url.database
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(
            "select id, big, name, amount, ratio, born, kind, is_open, small, flag + 0, made, extra, modified, `order` "
            "from loans order by id"
        )
        there = [(*row[:7], bool(row[7]), *row[8:12], row[12].replace(tzinfo=dt.UTC), row[13]) for row in cursor]
    names = 'id, big, "name", amount, ratio, born, kind, is_open, small, flag, made, extra, modified, "order"'
    assert trial.sql(f"select {names} from raw_trial.loans order by id") == there


# --- generated files follow the conventions of the project


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the files that dbt and the checks read."""
    root = tmp_path / "copy"
    for folder in ("commands", "dbt_project", "ingestion", "orchestration", "warehouse", "demo", "seeds", ".dlt"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("access.yml", "dbt_project.yml", "profiles.yml", "workspace.yaml", "pyproject.toml"):
        shutil.copy(ROOT / file, root)
    return root


@pytest.mark.parametrize(
    ("dialect", "kind", "data_type"),
    [
        ("mssql", mssql.DATETIME2(), "timestamptz"), ("mssql", mssql.DATETIMEOFFSET(), "timestamptz"),
        ("mssql", mssql.SMALLDATETIME(), "timestamptz"), ("mssql", mssql.DATE(), "date"),
        ("mssql", mssql.TIME(), "text"), ("mssql", mssql.MONEY(), "numeric(19,4)"), ("mssql", mssql.BIT(), "boolean"),
        ("mssql", mssql.TINYINT(), "bigint"), ("mssql", mssql.UNIQUEIDENTIFIER(), "text"),
        ("mssql", mssql.NVARCHAR(20), "text"), ("mssql", mssql.XML(), "text"),
        ("mssql", mssql.REAL(), "double precision"), ("mssql", mssql.DECIMAL(38, 10), "numeric(38,10)"),
        ("mssql", mssql.VARBINARY(), None), ("mssql", mssql.ROWVERSION(), None), ("mssql", sa.types.NullType(), None),
        ("oracle", oracle.NUMBER(10, 0), "bigint"), ("oracle", oracle.NUMBER(12, 2), "numeric(12,2)"),
        ("oracle", oracle.NUMBER(), "text"), ("oracle", oracle.DATE(), "timestamptz"),
        ("oracle", oracle.CLOB(), "text"), ("oracle", oracle.TIMESTAMP(), "timestamptz"),
        ("oracle", oracle.VARCHAR2(9), "text"), ("oracle", oracle.BLOB(), None),
        ("oracle", oracle.BINARY_DOUBLE(), "double precision"), ("oracle", oracle.RAW(16), "text"),
    ],
    ids=str,
)  # fmt: skip
def test_sql_server_and_oracle_types_have_a_contract_type_that_holds_their_values(
    dialect: str, kind: sa.types.TypeEngine, data_type: str | None
) -> None:
    assert contract_type(kind, dialect)[0] == data_type


# characters with a meaning in SQL or YAML
AWKWARD = (
    "name type date order user value year time status position comment end group desc offset row interval values key "
    "default ref day month text current_date current_user localtime location language id zone account file no on yes "
    "paid_on crossing_code select from left natural timestamp character numeric"
)


def test_an_added_source_builds_and_passes_make_check(trial: Trial, copy: Path, landing: Path) -> None:
    from sqlfluff.core import dialect_selector

    words = AWKWARD.split()
    declared = ", ".join(f'"{word}" text' for word in words)
    spelt = ", ".join(f"'{word}'" for word in words)
    long = "a" * 63
    trial.source(
        f"create table awkward ({declared}, {long} text, crossing_number int primary key, last_modified timestamp); "
        f"insert into awkward select {spelt}, ' x ', 1, now() union all select {spelt}, '', 2, now();"
        "create table lanes (crossing int, lane int, is_open boolean, fee numeric(9,2), primary key (crossing, lane)); "
        "insert into lanes values (1, 1, true, 1.5), (1, 2, false, 2); create table keyless (a int, b text); "
        "insert into keyless values (1, 'x')"
    )
    (landing / "sites.csv").write_text("Site Code,name,Opened\n007, x ,31/07/2026\n008,,\n", encoding="utf-8")
    staging = copy / "dbt_project/models/staging"
    os.environ |= {"TRIAL_URL": trial.place, "TWIN_LANDING": str(landing)}
    systems = {}
    for name, location in (("trial", trial.place), ("twin", str(landing))):
        add_source(name, location, staging=staging)
        systems[name] = decided(staging, name)
    for system in systems.values():
        load_system(system)

    for path in (copy / "dbt_project").rglob("*.*"):
        if not {"macros", "docs"} & {*path.parts} and path.parent.name not in {*systems, "generic"}:
            path.unlink()  # dbt takes long to parse models that do not read an added source
    target = str(copy / ".warehouse/check")  # the folder that dbt-bouncer reads
    warehouse = Warehouse(trial.home, copy, WAREHOUSE_URL=trial.url, DBT_TARGET_PATH=target)
    paths = [f"path:dbt_project/models/staging/{name}" for name in systems]
    printed = warehouse("exec", "--", "dbt", "build", "--select", *paths)
    assert re.search(r"PASS=\d+ WARN=0 ERROR=0 SKIP=0", printed)
    found = trial.sql("select to_jsonb(a) from staging.stg_trial__awkwards as a order by crossing_number")
    assert [{*words, *"x"} - {*row.values()} for (row,) in found] == [set(), {"x"}]
    assert not {word.upper() for word in found[0][0]} & dialect_selector("postgres").sets("reserved_keywords")
    assert trial.sql('select site_code, site_name, opened from staging.stg_twin__sites order by 1') == [
        ("007", "x", dt.date(2026, 7, 31)), ("008", None, None)
    ]  # fmt: skip
    folders = [str(staging / name) for name in systems]
    lint = [sys.executable, "-m", "sqlfluff", "lint", "--disable-progress-bar", *folders]
    done = subprocess.run(lint, cwd=copy, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    bouncer = [str(Path(sys.executable).with_name("dbt-bouncer")), "--config-file", "pyproject.toml"]
    done = subprocess.run(bouncer, cwd=copy, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]


# --- refusals


def test_an_added_source_does_not_load_before_every_todo_is_replaced(landing: Path, staging: Path) -> None:
    (landing / "rows.csv").write_text("No,Fee\n1,2\n", encoding="utf-8")
    added = add_source("trial", str(landing), staging=staging)
    with pytest.raises(ContractError) as refusal:
        read_contracts(staging)
    messages = str(refusal.value).splitlines()
    lines = (staging / "trial/_trial__sources.yml").read_text(encoding="utf-8").splitlines()
    todos = [number for number, line in enumerate(lines, 1) if "TODO" in line and not line.startswith("#")]
    assert [
        int(re.search(r"_trial__sources.yml:(\d+): raw_trial\S* is still TODO", each)[1]) for each in messages
    ] == todos
    assert len(todos) == added.todos == 13
    for name in (
        "information_asset_owner",
        "data_owner",
        "purpose",
        "lawful_basis",
        "retention",
        "sharing",
        "schedule",
    ):
        assert f"raw_trial.{name}: is still TODO" in str(refusal.value)
    assert "raw_trial.rows.fee.privacy: is still TODO" in str(refusal.value)


@pytest.mark.parametrize(
    ("system", "location", "more", "says"),
    [
        ("Tolls", "landing", [], "not a valid system name"),
        ("bridge_tolls", "landing", [], "not a valid system name"),
        ("tolls", "nowhere", [], "does not exist"),
        ("tolls", "empty", [], "no supported file"),
        ("tolls", "landing", ["--table", "lanes"], "no table lanes in"),
        ("tolls", "landing", ["--schema", "dbo"], "--schema is for databases"),
        ("tolls", "broken", [], "broken.xlsx: raw_tolls"),
        ("tolls", "numbers", [], "no header in its first rows"),
        ("tolls", "postgresql://reader:s3cr3t@127.0.0.1:1/db", [], "cannot reach the database that TOLLS_URL names"),
        ("tolls", "postgresql://reader:s3cr3t@x@127.0.0.1:1/db", [], "%40 for an @"),
        ("tolls", "postgresql://reader:s3cr3t@127.0.0.1:port/db", [], "not a SQLAlchemy URL"),
        ("tolls", "nosuch://reader:s3cr3t@127.0.0.1/db", [], "nosuch"),
        ("tolls", "https://tolls.example/api", [], "HTTP API"),
        ("confirm", "landing", [], "dbt_project/models/staging/confirm exists;"),
    ],
)  # fmt: skip
def test_a_source_that_cannot_be_added_is_refused_in_one_line_without_a_trace(
    tmp_path: Path, landing: Path, system: str, location: str, more: list[str], says: str
) -> None:
    (landing / "rows.csv").write_text("No,Fee\n1,2\n", encoding="utf-8")
    for name, content in {"broken/broken.xlsx": b"PK\x03\x04 no workbook", "numbers/n.csv": b"1,2\n3,4\n"}.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(content)
    (tmp_path / "empty").mkdir()
    before = sorted((ROOT / "dbt_project/models/staging").rglob("*"))
    place = location if "://" in location else str(tmp_path / location)
    printed = Warehouse(tmp_path / "home")("source", "add", system, place, *more, expect=1)
    assert says in printed
    assert len(printed.strip().splitlines()) == 1
    assert "s3cr3t" not in printed
    assert sorted((ROOT / "dbt_project/models/staging").rglob("*")) == before


def test_an_unknown_table_is_refused_with_a_list_of_the_tables(trial: Trial, staging: Path) -> None:
    trial.source("create table crossings (id int primary key)")
    with pytest.raises(SourceError, match=r"no table lanes in the login's default schema .* Tables: crossings"):
        add_source("trial", trial.place, ["lanes"], staging=staging)
    with pytest.raises(SourceError, match="no table in schema nowhere"):
        add_source("trial", trial.place, schema="nowhere", staging=staging)
    assert not staging.exists()


def test_the_password_is_not_printed_or_written(trial: Trial, copy: Path) -> None:
    trial.source("create table crossings (id int primary key)")
    password = sa.make_url(trial.place).password
    warehouse = Warehouse(trial.home, copy, TOLLS_URL=f"{trial.place}?application_name=s3cr3t")
    printed = warehouse("source", "add", "tolls")
    shown = re.search(r"^ *TOLLS_URL=postgresql://\S+:\*\*\*@\S+$", printed, re.M)
    assert shown, printed
    written = "".join(path.read_text() for path in (copy / "dbt_project/models/staging/tolls").iterdir())
    for secret in (password, "s3cr3t"):
        assert secret not in printed + written
    assert "location: TOLLS_URL" in written
