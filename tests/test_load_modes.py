"""Load modes, load checks and schema drift on a changing source database: the warehouse equals the source."""

import itertools
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pyarrow as pa
import pytest
from pgpq import ArrowToPostgresBinaryEncoder

from ingestion import ROOT
from ingestion.contract_yaml import ContractError
from ingestion.contracts import DriftError, LoadCheckError, SourceError
from tests.support import Trial, trial_system

PERSON = "Jane-Doe-1948"
COLUMNS = {"case_no": "bigint", "name": "text", "amount": "numeric(18,2)", "updated_at": "timestamptz"}
CASES = {"name": "cases", "columns": COLUMNS, "load": "replace", "key": ["case_no"]}
MERGE = CASES | {"load": "merge", "cursor": "updated_at"}
HISTORY = CASES | {"load": "history", "cursor": "updated_at"}
MAKE = "create table cases (case_no bigint, name text, amount numeric(18,2), updated_at timestamptz)"
FILL = (
    MAKE + "; insert into cases select i, 'case ' || i, i / 10.0, '2026-01-01Z'::timestamptz + i * interval '1 hour' "
)
HUNDRED = FILL + "from generate_series(1, 100) as i"


def same(trial: Trial, columns: str = "case_no, name, amount, updated_at") -> bool:
    """Return whether the raw table holds the rows of the source, each equally often."""
    query = f"select {columns} from {{}} order by {columns}"
    return trial.sql(query.format("raw_trial.cases")) == trial.source(query.format("cases"))


@pytest.mark.parametrize("cases", [CASES, MERGE, CASES | {"load": "merge"}], ids=["replace", "merge", "merge whole"])
def test_the_table_equals_the_source_after_each_load(trial: Trial, cases: dict) -> None:
    trial.source(HUNDRED)
    assert trial.load(cases)[0].rows == 100
    assert same(trial)
    version = trial.load(cases)[0].version
    assert trial.load(cases)[0].version == version, "no change, so no new version"
    trial.source(
        "update cases set name = 'changed', updated_at = now() where case_no <= 3; "
        "delete from cases where case_no = 50; insert into cases values (101, 'new', 1, now())"
    )
    (result,) = trial.load(cases)
    assert same(trial), "changed, new and deleted rows"
    assert (result.total, result.version != version) == (100, True)
    if cases["load"] == "merge":
        assert result.rows == 5


def test_a_late_commit_with_an_old_timestamp_is_found_as_a_missing_row(trial: Trial) -> None:
    trial.source(HUNDRED)
    trial.load(MERGE)
    trial.source("insert into cases values (500, 'late', 1, '2026-01-01 00:30Z')")
    trial.load(MERGE)
    assert same(trial)


def test_a_late_commit_within_the_lag_is_read_with_the_changes(trial: Trial) -> None:
    trial.source(HUNDRED)
    cases = MERGE | {"lag": "PT2H"}
    trial.load(cases)
    trial.source("insert into cases values (500, 'late', 1, (select max(updated_at) - interval '1 hour' from cases))")
    (result,) = trial.load(cases)
    assert (result.rows, result.read < 10, same(trial)) == (1, True, True)


def test_replaced_tables_keep_their_dependent_views(trial: Trial) -> None:
    trial.source(HUNDRED)
    trial.load(CASES)
    trial.sql("create view raw_trial.seen as select count(*) as n from raw_trial.cases")
    trial.source("insert into cases values (101, 'new', 1, now())")
    trial.load(CASES)
    assert trial.sql("select n from raw_trial.seen") == [(101,)]


def test_appended_rows_stay_after_the_source_deletes_them(trial: Trial) -> None:
    cases = MERGE | {"load": "append"}
    trial.source(HUNDRED)
    trial.load(cases)
    trial.source("delete from cases where case_no <= 40; insert into cases values (101, 'new', 1, now())")
    (result,) = trial.load(cases)
    assert (result.rows, result.total) == (1, 101)
    assert trial.sql("select count(*) from raw_trial.cases") == [(101,)]


def versions(trial: Trial, case: int) -> list[tuple]:
    return trial.sql(
        "select name, valid_from, valid_to from raw_trial.cases where case_no = %s order by valid_from", (case,)
    )


def test_history_keeps_every_version_by_the_time_of_the_source(trial: Trial) -> None:
    day = [datetime(2026, 6, number, tzinfo=UTC) for number in range(1, 10)]
    trial.source(HUNDRED)
    trial.load(HISTORY)
    began = versions(trial, 1)[0][1]
    assert began == datetime(2026, 1, 1, 1, tzinfo=UTC)

    trial.source("update cases set name = 'second', updated_at = %s where case_no = 1", (day[5],))
    assert trial.load(HISTORY)[0].rows == 1
    assert versions(trial, 1) == [("case 1", began, day[5]), ("second", day[5], None)]

    trial.source("delete from cases where case_no = 1")
    (result,) = trial.load(HISTORY)
    (_, (name, _, gone)) = versions(trial, 1)
    assert (name, result.total) == ("second", 99)
    assert gone > day[5]

    trial.source("insert into cases values (1, 'back', 1, %s)", (day[6],))
    trial.load(HISTORY)
    assert [(name, until) for name, _, until in versions(trial, 1)][-1] == ("back", None)
    assert trial.sql("select count(*) from raw_trial.cases where valid_to is null") == [(100,)]

    trial.source("update cases set name = 'corrected' where case_no = 1")
    trial.load(HISTORY)
    assert [name for name, _, _ in versions(trial, 1)] == ["case 1", "second", "corrected"], "same time, no new version"


def test_history_without_a_cursor_compares_full_extracts(trial: Trial) -> None:
    cases = CASES | {"load": "history"}
    trial.source(HUNDRED)
    trial.load(cases)
    trial.source("update cases set amount = 0 where case_no = 1; delete from cases where case_no = 2")
    (result,) = trial.load(cases)
    assert result.rows == 2
    assert [until is None for _, _, until in versions(trial, 1)] == [False, True]
    assert versions(trial, 1)[0][2] == versions(trial, 1)[1][1], "no gap between two versions"
    assert [until is None for _, _, until in versions(trial, 2)] == [False]
    assert len(versions(trial, 3)) == 1
    trial.source("insert into cases select 2, 'case 2', 0.2, '2026-01-01 02:00Z'")
    trial.load(cases)
    assert [until is None for _, _, until in versions(trial, 2)] == [False, True], "deleted and added again"


# --- load checks


def test_a_small_or_empty_extract_needs_an_override(trial: Trial) -> None:
    trial.source(HUNDRED)
    trial.load(CASES)
    trial.source("create table kept as select * from cases; delete from cases where case_no > 80")
    with pytest.raises(LoadCheckError, match=r"raw_trial.cases: 80 rows instead of 100 \(loaded .*10%"):
        trial.load(CASES)
    trial.source("delete from cases")
    with pytest.raises(LoadCheckError, match=r"0 rows instead of .* warehouse accept raw_trial.cases --reason"):
        trial.load(CASES)
    assert trial.sql("select count(*) from raw_trial.cases") == [(100,)]
    trial.sql("insert into governance.overrides (system, table_name, reason) values ('raw_trial', 'cases', 'closed')")
    trial.load(CASES)
    assert trial.sql("select count(*) from raw_trial.cases") == [(0,)]
    assert trial.sql("select reason, used_by_load is not null from governance.overrides") == [("closed", True)]
    trial.source("insert into cases select * from kept")
    trial.load(CASES)
    trial.source("delete from cases")
    with pytest.raises(SourceError, match="0 rows instead of"):
        trial.load(CASES)


@pytest.mark.parametrize("cases", [MERGE, HISTORY], ids=["merge", "history"])
def test_many_deletions_need_an_override(trial: Trial, cases: dict) -> None:
    trial.source(HUNDRED)
    trial.load(cases)
    trial.source("delete from cases where case_no > 50")
    with pytest.raises(SourceError, match="50 rows instead of 100"):
        trial.load(cases)


def test_rows_read_must_equal_the_row_count_of_the_source(trial: Trial) -> None:
    trial.source(HUNDRED)
    trial.source("create view leaky as select * from cases where case_no > 1 or current_query() ilike '%count(%'")
    with pytest.raises(SourceError, match=r"raw_trial\.leaky: 99 rows read, the source counts 100; nothing was"):
        trial.load(CASES | {"name": "leaky"})


def test_control_totals_must_equal_those_of_the_source(trial: Trial) -> None:
    trial.source(HUNDRED)
    cases = CASES | {"control_totals": ["amount"]}
    trial.load(cases)
    trial.source("alter table cases rename to real; create view cases as select case_no, name, "
                 "(amount + (random() * 100)::int)::numeric(18,2) as amount, updated_at from real")  # fmt: skip
    with pytest.raises(SourceError, match="the sum of amount over the rows read differs from the source's"):
        trial.load(cases)


def test_rows_read_must_equal_rows_loaded(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    class Lossy:
        """Leave out every second batch."""

        def __init__(self, schema: pa.Schema):
            self.encoder, self.number = ArrowToPostgresBinaryEncoder(schema), 0
            self.write_header, self.finish = self.encoder.write_header, self.encoder.finish

        def write_batch(self, batch: pa.RecordBatch) -> bytes:
            self.number += 1
            return self.encoder.write_batch(batch) if self.number % 2 else b""

    trial.source(HUNDRED)
    monkeypatch.setattr("ingestion.landing.COPY_ROWS", 10)
    monkeypatch.setattr("ingestion.landing._encoder", lambda schema, _types: Lossy(schema))
    with pytest.raises(SourceError, match=r"raw_trial\.cases: 100 rows read, 50 arrived; nothing was loaded"):
        trial.load(CASES)


def test_a_load_does_not_need_pandas() -> None:
    code = "import ingestion.pipeline, pyarrow, sys; pyarrow.array([1]); sys.exit('pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


def test_tables_of_one_system_are_committed_together_or_not_at_all(trial: Trial) -> None:
    trial.source(HUNDRED)
    trial.source("create table parties as select * from cases")
    parties = CASES | {"name": "parties"}
    trial.load(CASES, parties)
    trial.source("update cases set name = 'x'; delete from parties")
    with pytest.raises(SourceError, match=r"raw_trial\.parties: 0 rows instead of"):
        trial.load(CASES, parties)
    assert trial.sql("select count(*) from raw_trial.cases where name = 'x'") == [(0,)]


def test_all_tables_are_read_in_one_snapshot(trial: Trial) -> None:
    from ingestion.databases import open_database

    trial.source(HUNDRED)
    system = trial_system(CASES)
    with open_database(system, trial.place.replace("postgresql://", "postgresql+psycopg2://")) as database:
        trial.source("delete from cases where case_no > 10")
        assert database.count(system.tables[0], None)[0] == 100
        assert sum(len(batch) for batch in database.read(system.tables[0], None)) == 100


# --- rejected rows


def test_rejected_rows_are_quarantined_and_load_after_the_contract_is_corrected(trial: Trial) -> None:
    strict = MERGE | {"columns": COLUMNS | {"amount": "numeric(3,1)"}}
    trial.source(FILL + "from generate_series(1, 1005) as i")
    (result,) = trial.load(strict)
    assert (result.read, result.total, result.quarantined) == (1005, 999, 6)
    facts = "select rule, column_name, key, resolution from quarantine.rows order by row_id"
    assert trial.sql(facts)[0] == ("not numeric(3,1)", "amount", "1000", None)
    assert trial.load(strict)[0].rows == 0
    assert [row[3] for row in trial.sql(facts)].count(None) == 6, "a row that is rejected again is quarantined once"

    (result,) = trial.load(MERGE | {"columns": COLUMNS | {"amount": "numeric(18,2)"}}, redrive=True)
    assert (result.rows, result.total) == (6, 1005)
    assert same(trial)
    assert {row[3] for row in trial.sql(facts)} == {"rejected again", "loaded by redrive"}
    assert trial.load(MERGE)[0].total == 1005
    assert same(trial)


def test_a_rejected_row_that_is_corrected_at_source_leaves_quarantine(trial: Trial) -> None:
    strict = MERGE | {"columns": COLUMNS | {"amount": "numeric(3,1)"}}
    trial.source(HUNDRED + "; update cases set amount = 1000 where case_no = 7")
    trial.load(strict)
    trial.source("update cases set amount = 1, updated_at = now() where case_no = 7")
    assert trial.load(strict)[0].total == 100
    assert same(trial)
    assert trial.sql("select resolution from quarantine.rows") == [("a later version was loaded",)]


def test_a_changed_column_type_stops_the_load_without_showing_a_value(trial: Trial) -> None:
    trial.source(HUNDRED)
    trial.load(CASES)
    trial.source(f"alter table cases alter column amount type text using '{PERSON}'")
    with pytest.raises(SourceError, match="100 of 100 rows rejected: amount: not") as refusal:
        trial.load(CASES)
    assert PERSON not in str(refusal.value)
    assert refusal.value.table.label == "raw_trial.cases"


def test_the_second_row_of_a_duplicate_key_is_quarantined(trial: Trial) -> None:
    trial.source(HUNDRED + "; insert into cases values (7, 'newer', 1, now())")
    (result,) = trial.load(MERGE)
    assert (result.read, result.total, result.quarantined) == (101, 100, 1)
    assert trial.sql("select name from raw_trial.cases where case_no = 7") == [("newer",)]
    assert trial.sql("select rule, key, content ->> 'name' from quarantine.rows") == [("duplicate key", "7", "case 7")]


def test_extreme_values_load_unchanged_or_are_quarantined(trial: Trial) -> None:
    columns = {
        "n": "bigint",
        "f": "double precision",
        "d": "date",
        "t": "timestamptz",
        "x": "text",
        "m": "numeric(38,10)",
    }
    trial.source(
        "create table edges (n numeric, f float8, d date, t timestamp, x text, m numeric); insert into edges values "
        "(1, 'NaN', '0001-01-01', '2026-03-29 00:30', E'a\\n\\t\\\\N;\"', 1234567890123456789012345678.0123456789),"
        "(9223372036854775807, '-Infinity', '9999-12-31', '2026-10-25 01:30', '', -0.0000000001),"
        "(9223372036854775808, 0, null, null, 'beyond 64 bits', 0), (4, 0, 'infinity', null, 'no date', 0),"
        "(5, 0, null, '-infinity', 'no time', 0), (6, 0, null, null, 'not a number', 'NaN'),"
        "(7, 0, null, null, 'too long', 1e30), (8, 0, null, '2026-03-29 01:30', 'the hour that is skipped', 0)"
    )
    (result,) = trial.load({"name": "edges", "columns": columns, "load": "replace", "rejects": 1})
    assert (result.read, result.total, result.quarantined) == (8, 2, 6)
    assert trial.sql(
        "select n, f::text, d::text, t at time zone 'UTC', x, m::text from raw_trial.edges order by n"
    ) == [
        (1, "NaN", "0001-01-01", datetime(2026, 3, 29, 0, 30), 'a\n\t\\N;"', "1234567890123456789012345678.0123456789"),
        (9223372036854775807, "-Infinity", "9999-12-31", datetime(2026, 10, 25, 0, 30), "", "-0.0000000001"),
    ]
    assert trial.sql("select content ->> 'x', column_name, rule from quarantine.rows order by content ->> 'n'") == [
        ("no date", "d", "outside the years 1 to 9999"),
        ("no time", "t", "outside the years 1 to 9999"),
        ("not a number", "m", "not numeric(38,10)"),
        ("too long", "m", "not numeric(38,10)"),
        ("the hour that is skipped", "t", "not timestamptz"),
        ("beyond 64 bits", "n", "not bigint"),
    ]


def test_every_type_loads_exactly_over_many_batches(trial: Trial) -> None:
    columns = {
        "n": "bigint",
        "f": "double precision",
        "b": "boolean",
        "d": "date",
        "t": "timestamptz",
        "x": "text",
        "wide": "numeric(38,10)",
        "part": "numeric(5,5)",
        "whole": "numeric(38,0)",
    }
    trial.source(
        "create table cases as select (case i % 4 when 0 then i - 9223372036854775808 else i * 97 end)::bigint as n, "
        "sin(i) * 10.0 ^ (i % 600 - 300)::float8 as f, nullif(i % 3, 2) = 0 as b, "
        "date '0001-01-01' + (i * 7919 % 3652000)::integer as d, "
        "timestamptz '0001-01-02Z' + i * 7919 % 3652000 * interval '1 day' + i * interval '1.000001 seconds' as t, "
        "case when i % 5 > 0 then repeat(chr((i % 2000)::integer + 32), (i % 300)::integer) end as x, "
        "case when i % 7 > 0 then (i - 15000) * 7919 * 10.0 ^ (i % 24 - 10)::integer end::numeric(38,10) as wide, "
        "((i * 7919 % 199999 - 99999) / 100000.0)::numeric(5,5) as part, "
        "(power(10::numeric, (i % 38)::integer) * (i % 3 - 1))::numeric(38,0) as whole "
        "from generate_series(0::bigint, 30000) as i"
    )
    (result,) = trial.load({"name": "cases", "columns": columns, "load": "replace"})
    assert (result.read, result.total) == (30_001, 30_001)
    assert same(trial, ", ".join(columns))


def test_timestamps_of_one_column_may_have_an_offset_or_none(trial: Trial) -> None:
    trial.source(
        "create table cases (n bigint, t text); insert into cases values (1, '2026-07-01 12:00:00+00'), "
        "(2, '2026-07-01T12:00:00.5'), (3, '2026-07-01'), (4, null), (5, '2026-07-01T12:00:00-02:30'), (6, 'soon')"
    )
    columns = {"n": "bigint", "t": "timestamptz"}
    (result,) = trial.load({"name": "cases", "columns": columns, "load": "replace"})
    assert (result.total, result.quarantined) == (5, 1)
    moments = [moment for (moment,) in trial.sql("select t at time zone 'UTC' from raw_trial.cases order by n")]
    assert moments == [
        datetime(2026, 7, 1, 12),
        datetime(2026, 7, 1, 11, 0, 0, 500_000),
        datetime(2026, 6, 30, 23),
        None,
        datetime(2026, 7, 1, 14, 30),
    ]


def test_text_loads_from_another_client_encoding_and_an_extension_type(trial: Trial) -> None:
    trial.source(
        "create extension citext; create table notes (note text, code citext, padded char(3)); "
        "insert into notes values ('£5, café', 'Ab', 'x')"
    )
    columns = dict.fromkeys(("note", "code", "padded"), "text")
    at = trial.place.replace("postgresql://", "postgresql+psycopg2://") + "?client_encoding=latin1"
    trial.load({"name": "notes", "columns": columns, "load": "replace"}, at=at)
    assert trial.sql("select note, code, padded from raw_trial.notes") == [("£5, café", "Ab", "x")]


# --- schema drift


@pytest.mark.parametrize("cases", [CASES, MERGE, HISTORY], ids=["replace", "merge", "history"])
def test_a_new_column_loads_is_reported_and_stays_unpublished(trial: Trial, cases: dict) -> None:
    trial.source(HUNDRED)
    trial.load(cases)
    trial.source(
        'alter table cases add column "Next Of Kin" text; '
        f"update cases set \"Next Of Kin\" = '{PERSON}', updated_at = now()"
    )
    (result,) = trial.load(cases)
    assert result.new_columns == ["next_of_kin"]
    current = "where valid_to is null" if cases is HISTORY else ""
    assert trial.sql(f"select count(next_of_kin) from raw_trial_store.cases {current}") == [(100,)]
    with pytest.raises(Exception, match='column "next_of_kin" does not exist'):
        trial.sql("select next_of_kin from raw_trial.cases", role="svc_dbt")
    with pytest.raises(Exception, match="permission denied for schema raw_trial_store"):
        trial.sql("select * from raw_trial_store.cases", role="svc_dbt")
    declared = cases | {"columns": COLUMNS | {"next_of_kin": "text"}}
    assert trial.load(declared)[0].new_columns == []
    assert trial.sql(f"select count(next_of_kin) from raw_trial.cases {current}", role="svc_dbt") == [(100,)]


def test_an_excluded_column_is_not_read_or_reported(trial: Trial) -> None:
    trial.source(HUNDRED + "; alter table cases add column religion text default 'none of ours'")
    assert trial.load(CASES | {"left_out": ["religion"]})[0].new_columns == []
    assert trial.sql("select * from information_schema.columns where column_name = 'religion'") == []


def test_a_renamed_column_stops_the_load_and_its_new_name_is_reported(trial: Trial) -> None:
    trial.source(HUNDRED)
    trial.load(MERGE)
    trial.source("alter table cases rename column amount to amount_gbp")
    with pytest.raises(DriftError, match=r"cases: no column amount\. Was it .* Undeclared columns: amount_gbp"):
        trial.load(MERGE)
    trial.source("alter table cases rename to enquiries")
    with pytest.raises(DriftError, match=r"TRIAL_AT has no table cases\. Was it renamed"):
        trial.load(MERGE)


def test_two_columns_with_the_same_name_are_refused(trial: Trial) -> None:
    trial.source(HUNDRED + '; alter table cases add column "Case No" text')
    with pytest.raises(SourceError, match="two source columns give the name case_no"):
        trial.load(CASES)


@pytest.mark.parametrize("cases", [MERGE, HISTORY], ids=["merge", "history"])
def test_a_changed_contract_changes_the_column_types_and_reloads_all_rows(trial: Trial, cases: dict) -> None:
    trial.source(HUNDRED)
    trial.load(cases | {"columns": COLUMNS | {"amount": "text"}})
    trial.sql("create view raw_trial.above as select * from raw_trial.cases")
    (result,) = trial.load(cases)
    assert result.read == 100
    assert trial.sql("select sum(amount), count(*) from raw_trial.cases") == [(505, 100)]


def test_the_contract_refuses_an_impossible_load_mode() -> None:
    for change, words in (
        ({"load": "merge", "key": []}, "needs a key"),
        ({"load": "append", "cursor": None}, "append needs a key and a cursor"),
        ({"load": "replace"}, "remove the cursor"),
        ({"cursor": "name"}, "a cursor must be a timestamptz, date or bigint"),
        ({"control_totals": ["name"]}, "not declared as a number"),
    ):
        with pytest.raises((ValueError, ContractError), match=words):
            trial_system(MERGE | change)


# --- files


FILE = {"name": "cases", "columns": COLUMNS, "load": "append", "files": "*.csv", "key": []}
HEAD = "Case No,Name,Amount,Updated At\n"


def deliver(folder: Path, name: str, *rows: str) -> str:
    (folder / name).write_text(HEAD + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    return str(folder)


def test_a_file_loads_once_under_any_name(trial: Trial, tmp_path: Path) -> None:
    at = deliver(tmp_path, "june.csv", "1,a,1,2026-06-01", "1,a,1,2026-06-01")
    assert trial.load(FILE, at=at, kind="files")[0].rows == 2, "equal rows of one file are two rows"
    shutil.copy(tmp_path / "june.csv", tmp_path / "june (1).csv")
    (tmp_path / "june.csv").rename(tmp_path / "renamed.csv")
    assert trial.load(FILE, at=at, kind="files")[0].rows == 0
    deliver(tmp_path, "july.csv", "2,b,1,2026-07-01")
    (result,) = trial.load(FILE, at=at, kind="files")
    assert (result.rows, result.total) == (1, 3)
    (tmp_path / "renamed.csv").unlink()
    assert trial.load(FILE, at=at, kind="files")[0].total == 3, "appended rows stay"
    assert trial.sql("select file_name, rows_read from governance.loaded_files order by loaded_at") == [
        ("june.csv", 2),
        ("july.csv", 1),
    ]


def test_a_corrected_file_replaces_its_rows_if_the_contract_allows_it(trial: Trial, tmp_path: Path) -> None:
    at = deliver(tmp_path, "june.csv", "1,a,1,2026-06-01", "2,b,1,2026-06-01")
    deliver(tmp_path, "july.csv", "3,c,1,2026-07-01")
    trial.load(FILE, at=at, kind="files")
    deliver(tmp_path, "june.csv", "1,corrected,1,2026-06-01")
    with pytest.raises(SourceError, match=r"june\.csv: raw_trial\.cases: a file of this name was loaded with other"):
        trial.load(FILE, at=at, kind="files")
    assert trial.load(FILE | {"corrections": True}, at=at, kind="files")[0].total == 2
    assert trial.sql("select name from raw_trial.cases order by case_no") == [("corrected",), ("c",)]


def test_complete_rows_of_a_growing_file_load_once(trial: Trial, tmp_path: Path) -> None:
    log = FILE | {"corrections": True, "growing": True, "headings": list(COLUMNS)}
    (tmp_path / "monday.csv").touch()
    assert trial.load(log, at=str(tmp_path), kind="files")[0].total == 0, "no complete row is written yet"
    for text, total in [('1,a,1,2026-06-01\n2,"b\n', 1), ('1,a,1,2026-06-01\n2,"b\nc",1,2026-06-01\n', 2)]:
        (tmp_path / "monday.csv").write_text(text)
        assert trial.load(log, at=str(tmp_path), kind="files")[0].total == total
    (tmp_path / "tuesday.csv").write_text("3,d,1,2026-06-02\n")
    (result,) = trial.load(log, at=str(tmp_path), kind="files")
    assert (result.rows, result.total) == (1, 3), "complete rows are not read again"
    assert trial.load(log, at=str(tmp_path), kind="files")[0].rows == 0
    assert trial.sql("select name from raw_trial.cases order by case_no") == [("a",), ("b\nc",), ("d",)]


def test_full_refresh_files_equal_the_files_in_the_folder(trial: Trial, tmp_path: Path) -> None:
    cases = FILE | {"load": "replace", "shrink": 0.5}
    at = deliver(tmp_path, "june.csv", "1,a,1,2026-06-01", "2,b,1,2026-06-01")
    deliver(tmp_path, "july.csv", "3,c,1,2026-07-01")
    shutil.copy(tmp_path / "june.csv", tmp_path / "again.csv")
    (result,) = trial.load(cases, at=at, kind="files")
    assert result.total == 3, "content that is delivered twice counts once"
    assert trial.load(cases, at=at, kind="files")[0].read == 0, "no file is read again"
    (tmp_path / "july.csv").unlink()
    assert trial.load(cases, at=at, kind="files")[0].total == 2


def test_a_new_column_may_be_in_some_files_only(trial: Trial, tmp_path: Path) -> None:
    at = deliver(tmp_path, "june.csv", "1,a,1,2026-06-01")
    (tmp_path / "july.csv").write_text("Ward,Updated At,Case No,Name,Amount\nE05,2026-07-01,2,b,1\n")
    (tmp_path / "may.csv").write_text("Case No,Name,Amount,Updated At,Colour\n3,c,1,2026-05-01,red\n")
    assert trial.load(FILE, at=at, kind="files")[0].new_columns == ["ward", "colour"]
    assert trial.sql("select case_no, ward, colour from raw_trial_store.cases order by 1") == [
        (1, None, None),
        (2, "E05", None),
        (3, None, "red"),
    ]


def test_a_late_file_does_not_overwrite_newer_rows(trial: Trial, tmp_path: Path) -> None:
    merge = FILE | {"load": "merge", "key": ["case_no"], "cursor": "updated_at"}
    at = deliver(tmp_path, "july.csv", "1,july,1,2026-07-01")
    trial.load(merge, at=at, kind="files")
    deliver(tmp_path, "june.csv", "1,june,1,2026-06-01", "2,june,1,2026-06-01")
    trial.load(merge, at=at, kind="files")
    assert trial.sql("select case_no, name from raw_trial.cases order by 1") == [(1, "july"), (2, "june")]


def test_versions_from_late_files_are_inserted_in_order(trial: Trial, tmp_path: Path) -> None:
    history = FILE | {"load": "history", "key": ["case_no"], "cursor": "updated_at"}
    at = deliver(tmp_path, "august.csv", "1,first,1,2026-01-01", "1,august,1,2026-08-01")
    trial.load(history, at=at, kind="files")
    deliver(tmp_path, "june.csv", "1,june,1,2026-06-01")
    trial.load(history, at=at, kind="files")
    day = {month: datetime(2026, month, 1, tzinfo=UTC) - timedelta(hours=month > 3) for month in (1, 6, 8)}
    assert versions(trial, 1) == [
        ("first", day[1], day[6]),
        ("june", day[6], day[8]),
        ("august", day[8], None),
    ]


def test_rejected_rows_of_a_file_keep_their_position_and_can_be_retried(trial: Trial, tmp_path: Path) -> None:
    at = deliver(tmp_path, "june.csv", "1,a,1,2026-06-01", "2,b,n/a,2026-06-01")
    assert trial.load(FILE, at=at, kind="files")[0].quarantined == 1
    assert trial.sql("select rule, column_name, file_name, row_number from quarantine.rows") == [
        ("not numeric(18,2)", "amount", "june.csv", 2)
    ]
    (tmp_path / "june.csv").unlink()
    as_text = FILE | {"columns": COLUMNS | {"amount": "text"}}
    assert trial.load(as_text, at=at, kind="files", redrive=True)[0].rows == 1
    assert trial.sql("select amount, _source_file, _source_row from raw_trial.cases order by 1") == [
        ("1.00", "june.csv", 1),
        ("n/a", "june.csv", 2),
    ]


# --- lists in the rows of an API


def test_child_rows_change_with_their_parents(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    pages: list[list[dict]] = []
    api = SimpleNamespace(tickets=lambda *_: iter(pages))
    monkeypatch.setitem(sys.modules, "ingestion.apis.trial", api)
    key = {"ticket": "bigint", "updated_at": "timestamptz"}
    tickets = {"name": "tickets", "columns": key, "load": "merge", "key": ["ticket"], "cursor": "updated_at"}
    notes = {
        "name": "notes",
        "columns": {"ticket": "bigint", "item_position": "bigint", "words": "text"},
        "load": "merge",
        "key": ["ticket", "item_position"],
        "parent": "tickets",
        "items": "notes",
    }

    def ticket(number: int, day: int, *words: str) -> dict:
        return {
            "ticket": number,
            "updated_at": f"2026-06-{day:02}T00:00Z",
            "notes": [{"words": word} for word in words],
        }

    pages[:] = [[ticket(1, 1, "a", "b"), ticket(2, 1, "c")], [ticket(3, 2)]]
    results = trial.load(tickets, notes, at="http://127.0.0.1", kind="api")
    assert [(result.table, result.total) for result in results] == [("tickets", 3), ("notes", 3)]
    pages[:] = [[ticket(1, 3, "d"), ticket(3, 3, "e")]]
    trial.load(tickets, notes, at="http://127.0.0.1", kind="api")
    assert trial.sql("select ticket, words from raw_trial.notes order by 1") == [(1, "d"), (2, "c"), (3, "e")]
    api.count = lambda *_: 2
    pages[:] = [[ticket(1, 3, "d"), ticket(3, 4, "f")]]
    trial.load(tickets | {"shrink": 0.5}, notes | {"shrink": 0.5}, at="http://127.0.0.1", kind="api")
    assert trial.sql("select ticket, words from raw_trial.notes order by 1") == [(1, "d"), (3, "f")], "2 is deleted"


@pytest.mark.parametrize(("before", "after"), itertools.permutations(("replace", "merge", "history"), 2))
def test_a_change_of_load_mode_keeps_what_was_loaded(trial: Trial, before: str, after: str) -> None:
    tables = {"replace": CASES, "merge": MERGE, "history": HISTORY}
    trial.source(HUNDRED)
    trial.load(tables[before])
    for place, name in enumerate(("second", "third", "fourth")):
        trial.source(
            "update cases set name = %s, updated_at = '2026-06-01Z'::timestamptz + %s * interval '1 day' "
            "where case_no = 1",
            (name, place),
        )
        if before == "history" and place:
            kept = "load: history has kept 1 earlier versions of rows, which load: .* would lose"
            with pytest.raises(LoadCheckError, match=kept):
                trial.load(tables[after])
            return
        (result,) = trial.load(tables[after if place else before])
    assert result.total == 100
    if after == "history":
        assert [name for name, *_ in versions(trial, 1)] == ["second", "third", "fourth"]
        began = datetime(2026, 1, 1, 2, tzinfo=UTC)
        assert versions(trial, 2) == [("case 2", began, None)], "what was loaded before is valid from its cursor on"
        assert trial.sql("select count(*) from raw_trial.cases where valid_to is null") == [(100,)]
    else:
        assert same(trial)


@pytest.mark.parametrize("cases", [CASES, MERGE, HISTORY], ids=["replace", "merge", "history"])
def test_a_table_whose_last_load_is_not_on_record_is_loaded_again(trial: Trial, cases: dict) -> None:
    trial.source(HUNDRED)
    trial.load(cases)
    trial.source("update cases set name = 'second', updated_at = '2026-06-01Z' where case_no = 1")
    trial.load(cases)
    trial.sql("delete from governance.load_audit where system = 'raw_trial'")
    trial.source("delete from cases where case_no = 50")
    (result,) = trial.load(cases)
    assert result.total == 99
    trial.source("insert into cases values (101, 'new', 1, '2026-06-02Z')")
    (result,) = trial.load(cases)
    assert result.total == 100


def test_a_changed_key_is_used_or_refused(trial: Trial) -> None:
    trial.source(HUNDRED)
    trial.load(MERGE)
    trial.load(MERGE | {"key": ["case_no", "name"]})
    trial.source("insert into cases values (1, 'twin', 0, now())")
    trial.load(MERGE | {"key": ["case_no", "name"]})
    assert trial.sql("select count(*) from raw_trial.cases") == [(101,)]
    trial.source("update cases set amount = 5, updated_at = now() where name = 'case 7'")
    with pytest.raises(LoadCheckError, match=r"rows loaded earlier have the same key \(case_no\)"):
        trial.load(MERGE)
