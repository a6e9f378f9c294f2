"""Every row that a load reads is loaded, rejected by name or skipped by a declared rule, in every load mode."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from ingestion.contracts import SourceError
from ingestion.files import unmatched_files
from ingestion.load_results import LoadResult
from tests.support import Trial, trial_system

NUMBERED = {"name": "rows", "columns": {"id": "bigint", "v": "text"}, "key": ["id"]}
CHANGED = NUMBERED | {"columns": NUMBERED["columns"] | {"changed": "timestamptz"}, "cursor": "changed"}
FILES = {"name": "rows", "columns": {"id": "bigint", "v": "text"}, "load": "replace", "files": "*.csv"}
WHOLE = {"left_out": ["none"]}  # a changed contract causes a full refresh


def deliver(folder: Path, **files: str) -> str:
    """Write files, `north_jan` as north/jan.csv; return the landing folder."""
    for name, content in files.items():
        path = folder / f"{name.replace('_', '/')}.csv"
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return str(folder)


def load(trial: Trial, table: dict, folder: str) -> LoadResult:
    return trial.load(table, at=folder, kind="files")[0]


# --- a full refresh replaces what the warehouse holds


@pytest.mark.parametrize("mode", ["merge", "history"])
def test_a_source_restored_from_a_backup_replaces_newer_rows(trial: Trial, mode: str) -> None:
    trial.source("create table rows (id bigint, v text, changed timestamptz)")
    trial.source("insert into rows values (1, 'old', '2026-06-01Z'), (2, 'same', '2026-06-02Z')")
    trial.load(CHANGED | {"load": mode})
    trial.source("update rows set v = 'newer', changed = '2026-06-03Z' where id = 1")
    trial.load(CHANGED | {"load": mode})
    trial.source("update rows set v = 'old', changed = '2026-06-01Z' where id = 1")
    trial.load(CHANGED | {"load": mode} | WHOLE)
    is_current = "valid_to is null" if mode == "history" else "true"
    assert trial.sql(f"select v, changed from raw_trial.rows where {is_current} order by id") == [
        ("old", datetime(2026, 6, 1, tzinfo=UTC)),
        ("same", datetime(2026, 6, 2, tzinfo=UTC)),
    ]
    if mode == "history":
        versions = trial.sql("select v, valid_from, valid_to from raw_trial.rows where id = 1 order by valid_from")
        assert [v for v, _, _ in versions] == ["old", "newer", "old"]
        assert [until for _, _, until in versions] == [began for _, began, _ in versions[1:]] + [None]
    (result,) = trial.load(CHANGED | {"load": mode} | WHOLE | {"left_out": ["other"]})
    assert result.rows == 0, "the same content again is no change"


def test_a_row_changed_in_the_hour_that_comes_twice_is_read(trial: Trial) -> None:
    table = CHANGED | {"load": "merge"}
    trial.source("create table rows (id bigint, v text, changed timestamp)")
    trial.source("insert into rows values (1, 'a', '2025-10-26 01:59'), (2, 'summer time', '2025-10-26 01:58')")
    trial.load(table)
    trial.source("update rows set v = 'winter time', changed = '2025-10-26 01:10' where id = 2")
    trial.load(table)
    assert trial.sql("select v from raw_trial.rows where id = 2") == [("winter time",)]


# --- keys


def test_an_appended_row_with_a_known_key_is_quarantined_or_equal(trial: Trial, tmp_path: Path) -> None:
    table = FILES | {"load": "append", "key": ["id"]}
    load(trial, table, deliver(tmp_path, a="id,v\n1,old\n2,b\n"))
    result = load(trial, table, deliver(tmp_path, b="id,v\n1,NEW\n2,b\n3,c\n"))
    assert (result.read, result.rows, result.quarantined, result.skipped, result.total) == (3, 1, 1, 1, 3), "2 is equal"
    assert trial.sql("select v from raw_trial.rows order by id") == [("old",), ("b",), ("c",)]
    assert trial.sql("select rule, key, file_name, row_number, content ->> 'v' from quarantine.rows") == [
        ("key loaded before with other content", "1", "b.csv", 1, "NEW")
    ]


def test_a_key_is_unique_in_a_replaced_table_too(trial: Trial, tmp_path: Path) -> None:
    table = FILES | {"key": ["id"]}
    rows = "".join(f"{number},x\n" for number in range(30))
    result = load(trial, table, deliver(tmp_path, a=f"id,v\n{rows}7,again\n"))
    assert (result.read, result.total, result.quarantined) == (31, 30, 1)
    with pytest.raises(SourceError, match=r"31 of 61 rows rejected: duplicate key \(id\)"):
        load(trial, table | {"rejects": 0.1}, deliver(tmp_path, b=f"id,v\n{rows}"))


@pytest.mark.parametrize("mode", ["replace", "append", "merge", "history"])
def test_the_load_audit_accounts_for_every_row_read_in_every_load_mode(trial: Trial, tmp_path: Path, mode: str) -> None:
    table = FILES | {"load": mode, "key": ["id"], "rejects": 0.5, "shrink": 1}
    table |= {"footer": ["Total"], "subtotals": ["Sub-total"]}
    contents = {
        "a": "id,v\n1,a\n2,b\nSub-total,2\n3,c\nx,not a number\nTotal,4\n",
        "b": "id,v\n3,c\n4,d\n5,e\nTotal,3\n",
    }
    for name, content in contents.items():
        result = load(trial, table, deliver(tmp_path, **{name: content}))
        audited = trial.sql(
            "select rows_read, rows_quarantined, rows_skipped from governance.load_audit order by load_audit_id desc"
        )[0]
        assert audited == (result.read, result.quarantined, result.skipped)
        accepted = result.read - result.quarantined - result.skipped
        if name == "a":
            assert (result.read, result.quarantined, result.skipped, accepted) == (6, 1, 2, 3)
        elif mode == "append":
            assert (result.read, result.quarantined, result.skipped, accepted) == (4, 0, 2, 2), "3 was loaded before"
        else:
            assert (result.read, result.quarantined, result.skipped, accepted) == (10, 2, 3, 5), "3 is in both files"
    assert trial.sql("select id, v from raw_trial.rows order by id") == [
        (1, "a"), (2, "b"), (3, "c"), (4, "d"), (5, "e"),
    ]  # fmt: skip
    assert result.total == 5


# --- files


def test_files_of_one_name_in_two_folders_are_two_files(trial: Trial, tmp_path: Path) -> None:
    table = FILES | {"load": "append", "corrections": True, "files": "*/*.csv"}
    load(trial, table, deliver(tmp_path, north_jan="id,v\n1,a\n2,b\n"))
    load(trial, table, deliver(tmp_path, south_jan="id,v\n3,c\n"))
    assert trial.sql("select id, _source_file from raw_trial.rows order by id") == [
        (1, "north/jan.csv"), (2, "north/jan.csv"), (3, "south/jan.csv"),
    ]  # fmt: skip
    load(trial, table, deliver(tmp_path, south_jan="id,v\n4,d\n"))
    assert trial.sql("select id from raw_trial.rows order by id") == [(1,), (2,), (4,)]


def test_a_correction_of_a_file_that_release_0_1_loaded_replaces_its_rows(trial: Trial, tmp_path: Path) -> None:
    table = FILES | {"load": "append", "corrections": True, "files": "*/*.csv"}
    load(trial, table, deliver(tmp_path, north_jan="id,v\n1,a\n"))
    trial.sql("update governance.loaded_files set file_name = 'jan.csv'")
    trial.sql("update raw_trial_store.rows set _source_file = 'jan.csv'")
    load(trial, table, deliver(tmp_path, south_jan="id,v\n3,c\n"))
    assert trial.sql("select id from raw_trial.rows order by id") == [(1,), (3,)]
    load(trial, table, deliver(tmp_path, north_jan="id,v\n2,b\n"))
    assert trial.sql("select id from raw_trial.rows order by id") == [(2,), (3,)]


def test_a_pattern_finds_names_in_upper_case_and_other_files_are_reported(trial: Trial, tmp_path: Path) -> None:
    folder = deliver(tmp_path, apr="id,v\n1,x\n")
    (tmp_path / "MAY.CSV").write_text("id,v\n2,y\n", encoding="utf-8")
    for other in ("june.xlsx", "~$june.xlsx", ".part"):
        (tmp_path / other).write_bytes(b"")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.csv").write_text("", encoding="utf-8")
    assert load(trial, FILES, folder).total == 2
    assert unmatched_files([trial_system(FILES, kind="files")], folder) == ["june.xlsx"]


# --- load checks name the rule and the column first


def test_a_load_whose_rows_are_all_rejected_is_refused_by_rule_and_column(trial: Trial, tmp_path: Path) -> None:
    spaces = {"name": "rows", "columns": {"id": "bigint", "spaces": "bigint"}, "load": "replace", "files": "*.csv"}
    bad = deliver(tmp_path, a="id,spaces\n" + "".join(f"{number},NA\n" for number in range(10)))
    first = r"raw_trial.rows: 10 of 10 rows rejected: spaces: not bigint, e.g. row 1 of a.csv \(contract allows 5\)"
    with pytest.raises(SourceError, match=first):
        load(trial, spaces, bad)
    load(trial, spaces, deliver(tmp_path, a="id,spaces\n" + "".join(f"{number},1\n" for number in range(10))))
    deliver(tmp_path, a="id,spaces\n" + "".join(f"{number},{number}.5\n" for number in range(10)))
    with pytest.raises(SourceError, match="10 of 10 rows rejected: spaces: not bigint") as refusal:
        load(trial, spaces, bad)
    assert " 0 rows" not in str(refusal.value)
    deliver(tmp_path, a="id,spaces\n" + "".join(f"{number},1\n" for number in range(30)) + "30,x\n")
    with pytest.raises(SourceError, match=r"1 of 31 rows rejected: .*contract allows 0"):
        load(trial, spaces | {"rejects": 0}, bad)
    assert load(trial, spaces, bad).quarantined == 1


# --- APIs


def serve(monkeypatch: pytest.MonkeyPatch, *pages: list[dict]) -> None:
    monkeypatch.setitem(sys.modules, "ingestion.apis.trial", SimpleNamespace(rows=lambda *_: iter(pages)))


def test_a_declared_field_that_no_row_of_an_api_has_is_refused(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    table = {"name": "rows", "columns": {"id": "bigint", "title": "text"}, "load": "replace"}
    serve(monkeypatch, [{"id": 1, "heading": "a"}])
    with pytest.raises(SourceError, match=r"no row has title\. Was it renamed or removed\? Undeclared fields: heading"):
        trial.load(table, at="http://127.0.0.1", kind="api")
    serve(monkeypatch, [{"id": 1}], [{"id": 2, "title": "b"}])
    assert trial.load(table, at="http://127.0.0.1", kind="api")[0].total == 2, "absent from one page only"
    serve(monkeypatch, [{"id": 1}])
    table |= {"column_keys": {"title": {"optional": True}}, "shrink": 1}
    assert trial.load(table, at="http://127.0.0.1", kind="api")[0].total == 1


def test_fields_of_an_api_are_found_by_header_and_in_snake_case(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    table = {"name": "rows", "columns": {"id": "bigint", "shown": "text", "due_date": "date"}, "load": "replace"}
    serve(monkeypatch, [{"Id": 1, "displayName": "a", "dueDate": "2026-07-01", "eTag": "x"}])
    (result,) = trial.load(
        table | {"column_keys": {"shown": {"header": "displayName"}}}, at="http://127.0.0.1", kind="api"
    )
    assert result.new_columns == ["e_tag"]
    assert trial.sql("select id, shown, due_date::text from raw_trial.rows") == [(1, "a", "2026-07-01")]
    serve(monkeypatch, [{"id": 1, "Id": 2, "displayName": "a", "dueDate": None}])
    with pytest.raises(SourceError, match="two fields give the name id"):
        trial.load(table | {"column_keys": {"shown": {"header": "displayName"}}}, at="http://127.0.0.1", kind="api")


# --- contracts that cannot work


@pytest.mark.parametrize("kind", ["files", "api"])
def test_control_totals_that_nothing_compares_are_refused(kind: str) -> None:
    table = {"name": "rows", "columns": {"id": "bigint"}, "load": "replace", "control_totals": ["id"]}
    with pytest.raises(ValidationError, match="control_totals need a source's own sums: a database, or a `footer`"):
        trial_system(table | ({"files": "*.csv"} if kind == "files" else {}), kind=kind)
