"""The cases found in published files and bug reports (../shared/cases): each lands exactly or is refused by name."""

import json
import shutil
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

import pytest

from ingestion.contracts import SourceError
from tests.support import CASES, NO_CASES, Trial

pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason=NO_CASES)

FILES = {"name": "rows", "load": "replace", "files": "*.csv", "rejects": 1}
AMOUNT = {"net_amount": "numeric(18,2)"}
ALL_FORMS = {"number_format": ["thousands", "pound", "brackets", "credit"], "null_values": ["-"]}


def landed(trial: Trial, case: str, query: str, **table: object) -> list[tuple]:
    """Load the files of a case; return the rows of a query on the raw table."""
    trial.load(FILES | table, at=str(CASES / case), kind="files")
    return trial.sql(f"select {query} from raw_trial.rows order by 1")


def rejected(trial: Trial) -> list[str]:
    found = trial.sql("select column_name || ': ' || rule from quarantine.rows order by row_id")
    return [reason for (reason,) in found]


def refused(trial: Trial, case: str, **table: object) -> str:
    with pytest.raises(SourceError) as refusal:
        landed(trial, case, "*", **table)
    return str(refusal.value)


def test_01_a_two_digit_year_is_rejected_under_a_four_digit_form(trial: Trial) -> None:
    form = {"date_paid": {"format": "%d-%b-%Y"}}
    columns = {"date_paid": "date"} | AMOUNT
    assert landed(trial, "01-two-digit-year", "date_paid", columns=columns, column_keys=form) == [(date(2011, 4, 1),)]
    assert rejected(trial) == ["date_paid: not date in the form %d-%b-%Y"]


def test_02_impossible_days_are_rejected(trial: Trial) -> None:
    form = {"paid_on": {"format": "%d/%m/%Y"}}
    assert landed(trial, "02-impossible-day", "id", columns={"id": "bigint", "paid_on": "date"}, column_keys=form) == []
    assert rejected(trial) == ["paid_on: not date in the form %d/%m/%Y"] * 3


def test_05_files_of_one_name_in_two_folders_both_land(trial: Trial, tmp_path: Path) -> None:
    table = FILES | {"load": "append", "corrections": True, "files": "*/*.csv"}
    for folder in ("north", "south"):
        (tmp_path / folder).mkdir()
        shutil.copy(CASES / "05-same-name-in-two-folders" / folder / "jan.csv", tmp_path / folder)
        names = (tmp_path / folder / "jan.csv").read_text().splitlines()[0].split(",")
        trial.load(table | {"columns": dict.fromkeys(names, "text")}, at=str(tmp_path), kind="files")
    assert trial.sql("select count(*) from raw_trial.rows") == [(3,)]


def test_06_quotation_marks_that_swallow_rows_are_refused(trial: Trial) -> None:
    says = refused(trial, "06-quotes-swallow-rows", columns={"id": "bigint", "v": "text"})
    assert "a.csv, line 4: raw_trial.rows: text after a closing quotation mark" in says


def test_08_an_appended_row_with_a_known_key_is_quarantined(trial: Trial, tmp_path: Path) -> None:
    table = FILES | {"load": "append", "key": ["id"], "columns": {"id": "bigint", "v": "text"}}
    for name in ("a.csv", "b.csv"):
        shutil.copy(CASES / "08-append-key-repeated" / name, tmp_path)
        (result,) = trial.load(table, at=str(tmp_path), kind="files")
    assert (result.read, result.rows, result.quarantined) == (2, 1, 1)


def page(monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    rows = json.loads((CASES / case / "page.json").read_text())["value"]
    monkeypatch.setitem(sys.modules, "ingestion.apis.trial", SimpleNamespace(rows=lambda *_: iter([rows])))


def test_09_and_10_fields_of_an_api_are_found_or_refused(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    api = {"at": "http://127.0.0.1", "kind": "api"}
    table = {"name": "rows", "load": "replace"}
    page(monkeypatch, "09-api-few-rows-renamed-field")
    with pytest.raises(SourceError, match="no row has heading"):
        trial.load(table | {"columns": {"id": "bigint", "heading": "text"}}, **api)
    trial.load(table | {"columns": {"id": "bigint", "title": "text"}}, **api)
    assert trial.sql("select * from raw_trial.rows order by id") == [(1, "a"), (2, "b")]
    page(monkeypatch, "10-api-header-is-ignored")
    keys = {"column_keys": {"number": {"header": "Id"}, "shown": {"header": "displayName"}}, "shrink": 1}
    trial.load(table | {"columns": {"number": "bigint", "shown": "text"}} | keys, **api)
    assert trial.sql("select * from raw_trial.rows") == [(1, "a")]


def test_13_a_second_table_in_a_sheet_is_refused_or_left_out(trial: Trial) -> None:
    columns = {"code": "text", "authority": "text", "a": "numeric(18,2)", "b": "numeric(18,2)"}
    sheet = {"files": "*.xlsx", "sheet": "Data", "columns": columns}
    assert "another table begins" in refused(trial, "13-tables-one-below-the-other", **sheet)
    assert len(landed(trial, "13-tables-one-below-the-other", "code", **sheet, ends_at_blank_row=True)) == 2


def test_14_a_total_without_a_word_is_a_footer(trial: Trial) -> None:
    columns = {"body": "text", "supplier": "text"} | AMOUNT
    footer = {"footer_empty": "body", "footer_optional": True, "control_totals": ["net_amount"]}
    found = landed(trial, "14-total-without-a-word", "_source_file, sum(net_amount) over (partition by _source_file)",
                   columns=columns, **footer)  # fmt: skip
    assert set(found) == {("2013-10.csv", Decimal(150)), ("2013-11.csv", Decimal(7))}


def test_15_a_short_row_without_values_is_no_row(trial: Trial) -> None:
    columns = {"body": "text", "supplier": "text"} | AMOUNT
    assert landed(trial, "15-short-blank-row", "supplier", columns=columns) == [("A Ltd",)]


def test_16_a_column_has_several_headings(trial: Trial) -> None:
    columns = {"label": "text", "supplier_name": "text"}
    keys = {"label": {"header": ["Service division label", "Service divison label"]}}
    assert landed(trial, "16-heading-spelt-otherwise", "label, supplier_name", columns=columns, column_keys=keys) == [
        ("x", "A"), ("y", "B"),
    ]  # fmt: skip


def test_18_and_19_published_numbers_and_words_for_nothing_land(trial: Trial) -> None:
    columns, keys = {"id": "bigint", "net": "numeric(18,2)"}, {"net": ALL_FORMS}
    assert landed(trial, "18-thousands-and-pounds", "id, net::text", columns=columns, column_keys=keys) == [
        (1, "2142.73"), (2, "765.00"), (3, "1000.00"), (4, "-50.00"), (5, None), (6, "-1.00"),
    ]  # fmt: skip
    columns = {"id": "bigint", "spent": "numeric(18,2)"}
    found = landed(trial, "19-words-for-nothing", "spent", columns=columns, null_values=["NA", "NULL", "-"], shrink=1)
    assert found == [(Decimal(327310),), (None,), (None,), (None,)]


def test_22_names_in_upper_case_are_found(trial: Trial) -> None:
    columns = {"id": "bigint", "v": "text"}
    assert landed(trial, "22-upper-case-extension", "id, v", columns=columns) == [(1, "x"), (2, "y")]


def test_24_sixteen_digits_of_a_workbook_stay(trial: Trial) -> None:
    found = landed(trial, "24-sixteen-digits", "card", files="*.xlsx", columns={"card": "text"})
    assert found == [("1234567890123456",)]


def test_27_and_28_rejected_rows_are_named_before_the_row_count(trial: Trial, tmp_path: Path) -> None:
    table = {"name": "rows", "load": "replace", "files": "a.csv", "columns": {"id": "bigint", "spaces": "bigint"}}
    with pytest.raises(SourceError, match="10 of 10 rows rejected: spaces: not bigint"):
        trial.load(table, at=str(next(CASES.glob("27-*"))), kind="files")
    for name in ("a.csv", "a-later.csv"):
        shutil.copy(CASES / "28-the-source-has-0-rows" / name, tmp_path / "a.csv")
        if name == "a.csv":
            trial.load(table, at=str(tmp_path), kind="files")
    with pytest.raises(SourceError, match="10 of 10 rows rejected: spaces: not bigint"):
        trial.load(table, at=str(tmp_path), kind="files")
