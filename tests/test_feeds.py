"""Report feeds as files: complete or not written, and text stays text."""

import csv
import os
from pathlib import Path

import openpyxl
import psycopg2
import pytest

from tests.support import Trial, bare_environment, environment_of
from warehouse import environment


@pytest.fixture
def report(trial: Trial) -> str:
    """The name of a table in schema `conformed` with a text that a spreadsheet could read as a formula."""
    trial.sql("create table conformed.rpt_trial as select '=1+1' as words, 2.50 as pounds")
    trial.sql("grant select on conformed.rpt_trial to svc_dbt")
    return "rpt_trial"


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_a_failed_feed_keeps_the_last_file_and_leaves_no_draft(report: str, tmp_path: Path, form: str) -> None:
    from orchestration.feeds import write_report

    file = tmp_path / f"report.{form}"
    assert write_report("conformed", report, file, form) == 1
    before = file.read_bytes()
    with pytest.raises(psycopg2.errors.UndefinedTable):
        write_report("conformed", "rpt_none", file, form)
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_text_in_a_workbook_does_not_become_a_formula(report: str, tmp_path: Path) -> None:
    from orchestration.feeds import write_report

    write_report("conformed", report, tmp_path / "report.xlsx", "xlsx")
    sheet = openpyxl.load_workbook(tmp_path / "report.xlsx").active
    assert [(cell.value, cell.data_type) for cell in sheet[2]] == [("=1+1", "s"), (2.5, "n")]


def test_text_in_a_csv_does_not_become_a_formula(trial: Trial, tmp_path: Path) -> None:
    from orchestration.feeds import write_report

    texts = ["=HYPERLINK(1)", "@SUM(1)", "+1-1+cmd", "-2+3", "\t=1", "-5.00", "+44 1905 763763", "a=1", "-"]
    trial.sql("create table conformed.rpt_texts (place int, words text, amount numeric)")
    for place, text in enumerate(texts):
        trial.sql("insert into conformed.rpt_texts values (%s, %s, -1)", (place, text))
    trial.sql("grant select on conformed.rpt_texts to svc_dbt")
    write_report("conformed", "rpt_texts", tmp_path / "report.csv", "csv", {"words": ["telephone"]})
    with (tmp_path / "report.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["words"] for row in rows] == [f"'{text}" for text in texts[:5]] + texts[5:]
    assert {row["amount"] for row in rows} == {"-1"}


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_suppressed_figures_are_marked_in_a_file(trial: Trial, tmp_path: Path, form: str) -> None:
    from orchestration.feeds import write_report

    trial.sql(
        "create table conformed.rpt_few as select * from (values (date '2026-03-31', 0, null, 'Cost'), "
        "(date '2026-04-30', null, null, 'People, Cost'), (date '2026-05-31', 10, null, null)) "
        'as r ("Month end", "People", "Cost", "Suppressed figures"); grant select on conformed.rpt_few to svc_dbt'
    )
    file = tmp_path / f"few.{form}"
    assert write_report("conformed", "rpt_few", file, form) == 3
    if form == "csv":
        with file.open(encoding="utf-8", newline="") as written:
            rows = list(csv.reader(written))
    else:
        rows = [
            ["" if cell is None else str(cell) for cell in row] for row in openpyxl.load_workbook(file).active.values
        ]
    assert rows[0] == ["Month end", "People", "Cost"]
    assert [row[1:] for row in rows[1:]] == [["0", "[c]"], ["[c]", "[c]"], ["10", ""]]


def test_a_feed_is_for_the_group_of_its_sets_folder(
    report: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from orchestration.feeds import write_report
    from warehouse.outgoing import outbox_folder

    monkeypatch.setenv("OUTBOX", str(tmp_path / "outbox"))
    file = outbox_folder("finance") / "report.csv"
    group = os.getgid() if os.geteuid() else 4242  # root may give a folder to any group
    os.chown(file.parent, -1, group)
    write_report("conformed", report, file, "csv")
    assert file == tmp_path / "outbox/finance/report.csv"
    assert [path.stat().st_mode & 0o777 for path in (file.parent.parent, file.parent, file)] == [0o755, 0o750, 0o640]
    assert file.stat().st_gid == group


def test_files_of_the_warehouse_are_for_its_account_only(tmp_path: Path) -> None:
    with environment_of(bare_environment(WAREHOUSE_HOME=str(tmp_path / "home"))):
        environment.prepare(start=False)
        (tmp_path / "home/extract.parquet").touch()
        (tmp_path / "home/dlt").mkdir()
    modes = {path.name: path.stat().st_mode & 0o077 for path in (tmp_path / "home").iterdir()}
    assert {"extract.parquet", "dlt", "dagster"} <= modes.keys()
    assert set(modes.values()) == {0}
