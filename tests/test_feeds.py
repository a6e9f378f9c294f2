"""Report feeds as files: complete or not written, and text stays text."""

import csv
import io
import os
import shutil
import subprocess
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import openpyxl
import psycopg2
import pytest
import yaml

from tests.support import PATIENCE, Trial, bare_environment, environment_of, feed_report
from warehouse import environment
from warehouse.errors import WarehouseError


@pytest.fixture
def report(trial: Trial) -> str:
    """The name of a table in schema `conformed` with a text that a spreadsheet could read as a formula."""
    trial.sql("create table conformed.rpt_trial as select '=1+1' as words, 2.50 as pounds")
    trial.sql("grant select on conformed.rpt_trial to svc_dbt")
    return "rpt_trial"


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_a_failed_feed_keeps_the_last_file_and_leaves_no_draft(report: str, tmp_path: Path, form: str) -> None:
    from warehouse.feeds.files import write_report

    file = tmp_path / f"report.{form}"
    assert write_report(feed_report(report, form), file) == 1
    before = file.read_bytes()
    with pytest.raises(psycopg2.errors.UndefinedTable):
        write_report(feed_report("rpt_none", form), file)
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_text_in_a_workbook_does_not_become_a_formula(report: str, tmp_path: Path) -> None:
    from warehouse.feeds.files import write_report

    write_report(feed_report(report, "xlsx"), tmp_path / "report.xlsx")
    sheet = openpyxl.load_workbook(tmp_path / "report.xlsx")["Report"]
    assert [(cell.value, cell.data_type) for cell in sheet[2]] == [("=1+1", "s"), (2.5, "n")]


@pytest.mark.parametrize(("form", "encoding"), [("csv", "utf-8"), ("csv_for_excel", "utf-8-sig")])
def test_text_in_a_csv_does_not_become_a_formula(trial: Trial, tmp_path: Path, form: str, encoding: str) -> None:
    from warehouse.feeds.files import write_report

    texts = ["=HYPERLINK(1)", "@SUM(1)", "+1-1+cmd", "-2+3", "\t=1", "-5.00", "+44 1905 763763", "a=1", "-"]
    trial.sql("create table conformed.rpt_texts (place int, words text, amount numeric)")
    for place, text in enumerate(texts):
        trial.sql("insert into conformed.rpt_texts values (%s, %s, -1)", (place, text))
    trial.sql("grant select on conformed.rpt_texts to svc_dbt")
    write_report(feed_report("rpt_texts", form, may_contain={"words": ["telephone"]}), tmp_path / "report.csv")
    written = (tmp_path / "report.csv").read_bytes()
    assert written.startswith(b"\xef\xbb\xbf") == (form == "csv_for_excel"), "Excel knows UTF-8 by this mark"
    assert written.count(b"\r\n") == len(texts) + 1, "lines end as RFC 4180 states"
    rows = list(csv.DictReader(io.StringIO(written.decode(encoding), newline="")))
    assert [row["words"] for row in rows] == [f"'{text}" for text in texts[:5]] + texts[5:]
    assert {row["amount"] for row in rows} == {"-1"}


def test_a_parquet_feed_has_the_reports_types_and_names_suppressed_figures(trial: Trial, tmp_path: Path) -> None:
    from warehouse.feeds.files import BATCH, write_report

    values = {
        "Month": ("date", "date '2026-04-30'", date(2026, 4, 30)),
        "Seen": ("timestamp", "timestamp '2026-07-01 12:30'", datetime(2026, 7, 1, 12, 30)),
        "Cost": ("numeric(18,2)", "9007199254740993.01", Decimal("9007199254740993.01")),
        "People": ("bigint", "null::bigint", None),
        "Year": ("integer", "2026", 2026),
        "Words": ("text", "'=1+1'", "=1+1"),
        "Suppressed figures": ("text", "'People'", "People"),
    }
    listed = ", ".join(f'{sql} as "{name}"' for name, (_, sql, _) in values.items())
    trial.sql(f"create table conformed.rpt_typed as select {listed} from generate_series(1, {BATCH + 1})")
    trial.sql("grant select on conformed.rpt_typed to svc_dbt")
    report = feed_report("rpt_typed", "parquet", {name: kind for name, (kind, _, _) in values.items()})
    file = tmp_path / "typed.parquet"
    assert write_report(report, file) == BATCH + 1
    found = duckdb.sql(f"select *, count(*) from read_parquet('{file}') group by all")
    assert found.fetchall() == [(*(expected for *_, expected in values.values()), BATCH + 1)]
    assert str(found.types[2]) == "DECIMAL(18,2)"


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_suppressed_figures_are_marked_in_a_file(trial: Trial, tmp_path: Path, form: str) -> None:
    from warehouse.feeds.files import write_report

    trial.sql(
        "create table conformed.rpt_few as select * from (values (date '2026-03-31', 0, null, 'Cost'), "
        "(date '2026-04-30', null, null, 'People, Cost'), (date '2026-05-31', 10, null, null)) "
        'as r ("Month end", "People", "Cost", "Suppressed figures"); grant select on conformed.rpt_few to svc_dbt'
    )
    file = tmp_path / f"few.{form}"
    assert write_report(feed_report("rpt_few", form), file) == 3
    if form == "csv":
        with file.open(encoding="utf-8", newline="") as written:
            rows = list(csv.reader(written))
    else:
        rows = [
            ["" if cell is None else str(cell) for cell in row] for row in openpyxl.load_workbook(file)["Report"].values
        ]
    assert rows[0] == ["Month end", "People", "Cost"]
    assert [row[1:] for row in rows[1:]] == [["0", "[c]"], ["[c]", "[c]"], ["10", ""]]


def test_a_feed_is_for_the_group_of_its_sets_folder(
    report: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from warehouse.feeds.files import write_report
    from warehouse.outgoing import outbox_folder

    monkeypatch.setenv("OUTBOX", str(tmp_path / "outbox"))
    file = outbox_folder("finance") / "report.csv"
    group = os.getgid() if os.geteuid() else 4242  # root may give a folder to any group
    os.chown(file.parent, -1, group)
    write_report(feed_report(report), file)
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


MONTHS = """
    create table conformed.rpt_months as
    select ('2026-01-01'::date + make_interval(months => n))::date as "Month end",
        'All libraries of Worcestershire and of the districts around it' as "Library",
        1234567.5 * n as "Cost of all loans in the month", 12.5 as "Change per cent", 12345 * n as "Loans"
    from generate_series(0, 11) as n
    union all select '2026-01-01', 'Amber', -0.5, null, 3;
    grant select on conformed.rpt_months to svc_dbt
"""


@pytest.fixture
def workbook(trial: Trial, tmp_path: Path) -> Path:
    """A workbook with a chart, of a report with money, percentages, dates and long texts."""
    from warehouse.feeds.declaration import Column
    from warehouse.feeds.files import write_report

    trial.sql(MONTHS)
    trial.sql(
        "create view conformed.as_at as select 'All sources' as source_name, 'Incomplete' as quality_state, "
        "date '2026-11-30' as data_up_to_date, timestamp '2026-12-01 06:41' as published_at, 'One.' as known_gaps; "
        "grant select on conformed.as_at to svc_dbt"
    )
    chart = {
        "figures": ["Loans"],
        "rows": {"Library": ["All libraries of Worcestershire and of the districts around it"]},
    }
    report = feed_report("rpt_months", "xlsx", {"Month end": "date", "Library": "text", "Loans": "bigint"}, chart=chart)
    report.columns["Cost of all loans in the month"] = Column("numeric(18,2)", "Cost.", {"metric": "cost_gbp"})
    report.columns["Change per cent"] = Column("numeric(4,1)", "Change.", {"metric": "change", "factor": 100})
    assert write_report(report, tmp_path / "months.xlsx") == 13
    return tmp_path / "months.xlsx"


def test_a_workbook_has_a_cover_a_table_and_a_chart(workbook: Path) -> None:
    book = openpyxl.load_workbook(workbook)
    about, sheet, chart = (book[name] for name in ("About", "Report", "Chart"))
    cover = {row[0]: row[1] for row in about.iter_rows(values_only=True) if row[0]}
    assert about["A1"].value == book.properties.title == "Trial report"
    assert cover["Contact"] == "Data Team, data@worcestershire.example"
    assert (cover["Rows"], cover["Loans"]) == ("13", "Definition of Loans.")
    assert (cover["Data up to"], cover["Published"]) == ("30 November 2026", "1 December 2026, 06:41")
    assert (cover["State"], cover["Known gaps"]) == ("Incomplete", "One.")
    assert cover["[c]"].startswith("Confidential")
    assert (book.properties.creator, book.properties.subject) == ("Data Team", "A report of a test")
    (table,) = sheet.tables.values()
    assert (table.ref, table.autoFilter.ref, sheet.print_title_rows) == ("A1:E14", "A1:E14", "$1:$1")
    assert [cell.number_format for cell in sheet[2]] == [
        *("dd/mm/yyyy", "General", "£#,##0.00;[Red]-£#,##0.00", '#,##0.0"%"', "#,##0")
    ]
    assert [cell.data_type for cell in sheet[2]] == ["d", "s", "n", "n", "n"]
    (drawn,) = chart._charts
    assert drawn.series[0].val.numRef.f == "Chart!$B$2:$B$13"
    assert [chart.cell(row, 2).value for row in range(2, 14)] == [12345 * n for n in range(12)]


@pytest.mark.skipif(not shutil.which("soffice"), reason="needs LibreOffice: `make test-packages` (Debian, root)")
def test_a_printed_workbook_shows_every_heading_and_value(workbook: Path, tmp_path: Path) -> None:
    """LibreOffice prints ### in place of a number or a date that does not fit."""
    profile = f"-env:UserInstallation=file://{tmp_path}/office"
    convert = ["soffice", profile, "--headless", "--convert-to", "pdf", "--outdir", tmp_path, workbook]
    subprocess.run(convert, check=True, capture_output=True, timeout=PATIENCE)
    text = subprocess.run(
        ["pdftotext", "-layout", workbook.with_suffix(".pdf"), "-"], check=True, capture_output=True, text=True
    ).stdout
    assert "##" not in text
    shown = ["Cost of all loans in the month", "Change per cent", "Month end", "£13,580,242.50", "-£0.50", "12.5%"]
    shown += ["01/12/2026", "135,795", "All libraries of Worcestershire and of the districts around it", "Trial report"]
    assert [each for each in shown if each not in text] == []


def test_a_chart_with_two_rows_for_a_date_is_refused(trial: Trial, tmp_path: Path) -> None:
    from warehouse.feeds.files import write_report

    trial.sql(MONTHS)
    report = feed_report("rpt_months", "xlsx", {"Month end": "date", "Loans": "bigint"}, chart={"figures": ["Loans"]})
    with pytest.raises(WarehouseError, match="has several rows for one date"):
        write_report(report, tmp_path / "months.xlsx")
    assert list(tmp_path.iterdir()) == []


EXPOSURE = """\
exposures:
  - name: months
    config:
      meta:
        feed:
          file: months.xlsx
          format: xlsx
          reader: Nobody
          when: Never
"""


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("format: pdf", "path.yml:7: exposures.months.feed.format: Input should be 'csv', 'csv_for_excel', 'xlsx' or"),
        ("format: csv", "path.yml:5: exposures.months.feed: the name of a csv file ends in .csv"),
        ("file: ../months.xlsx", "path.yml:6: exposures.months.feed.file: String should match pattern"),
        ("deliver: [{to: A b}]", "path.yml:10: exposures.months.feed.deliver.to: String should match pattern"),
        ("deliver: [{to: a}, {to: a}]", "path.yml:5: exposures.months.feed: `deliver` names a twice"),
        (
            "deliver: [{to: a, working_day: 30}]",
            "exposures.months.feed.deliver.working_day: Input should be less than or equal",
        ),
        ("deliver: [{to: a, rows: {Ward: [x]}}]", "path.yml: feed months: rpt_months has no column Ward."),
        ("chart: {figures: [Cost]}", "path.yml: feed months: rpt_months has no column Cost."),
        ("chart: {figures: [Loans]}", "path.yml: feed months: rpt_months has no date column"),
        ("may_contain: {Loans: [e-mail]}", "`may_contain` has an unknown kind of value: e-mail"),
        ("may_contain: {Loans: [name]}\n          deliver: [{to: a, attach: true}]", "remove `attach`"),
        ("colour: red", "path.yml:10: exposures.months.feed.colour: Extra inputs are not permitted"),
    ],
)
def test_a_wrong_feed_is_named_with_file_and_line(
    line: str, problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from warehouse.feeds import declaration

    key = line.partition(":")[0]
    kept = [each for each in EXPOSURE.splitlines() if not each.strip().startswith(f"{key}:")]
    place = next((at for at, each in enumerate(EXPOSURE.splitlines()) if each.strip().startswith(f"{key}:")), len(kept))
    kept.insert(place, f"          {line}")
    (tmp_path / "path.yml").write_text("\n".join(kept))
    monkeypatch.setattr(declaration, "ROOT", tmp_path)
    node = {"fqn": ["project", "marts", "libraries"], "alias": "rpt_months", "name": "rpt_months"}
    node["columns"] = {"Loans": {"name": "Loans", "data_type": "bigint", "description": "Loans.", "config": {}}}
    meta = yaml.safe_load("\n".join(kept))["exposures"][0]["config"]["meta"]
    exposure = {"name": "months", "label": "", "description": "", "owner": {"email": "a@b.example"}, "meta": meta}
    exposure |= {"config": {"meta": meta}, "original_file_path": "path.yml", "depends_on": {"nodes": ["rpt"]}}
    with pytest.raises(WarehouseError) as refused:
        declaration.report_of({"nodes": {"rpt": node}}, exposure)
    assert problem in str(refused.value)
