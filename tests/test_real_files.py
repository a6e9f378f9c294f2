"""Contracts describe files as they are published: totals without a word, ragged rows, several tables in a sheet."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from ingestion.contracts import SourceError
from ingestion.files import read_file
from tests.files import declare, refusal, rows, workbook, write

SPEND = {
    "body": {"data_type": "text"},
    "net_amount": {"data_type": "numeric(18,2)", "number_format": ["thousands", "pound"]},
    "supplier": {"data_type": "text"},
}
HEADER = "Body,Net amount,Supplier\n"
OCTOBER = HEADER + 'Borough Council,"1,100.00",A Ltd\nBorough Council,£50.00,B Ltd\n'
LABELLED = {"code": {"data_type": "text"}, "homes": {"data_type": "bigint"}, "empty": {"data_type": "bigint"}}


def amounts(table: object, path: Path) -> list[str]:
    return [str(row["net_amount"]) for row in rows(table, path)]


def test_a_total_without_a_word_is_a_footer_and_is_compared_where_it_is(tmp_path: Path) -> None:
    table = declare(SPEND, footer_empty="body", footer_optional=True, control_totals=["net_amount"])
    assert amounts(table, write(tmp_path, "10.csv", OCTOBER + ',"1,150.00",\n')) == ["1100.00", "50.00"]
    assert amounts(table, write(tmp_path, "11.csv", OCTOBER)) == ["1100.00", "50.00"]
    wrong = refusal(table, write(tmp_path, "12.csv", OCTOBER + ",1150.01,\n"))
    assert "the footer's total is not the sum of the rows" in wrong
    strict = declare(SPEND, footer_empty="body", control_totals=["net_amount"])
    assert "no footer (a row without body)" in refusal(strict, write(tmp_path, "11.csv", OCTOBER))


def test_a_value_that_is_no_number_refuses_the_file_only_if_a_total_is_compared(tmp_path: Path) -> None:
    table = declare(SPEND, footer_empty="body", footer_optional=True, control_totals=["net_amount"])
    read_rows = read_file(table, write(tmp_path, "11.csv", HEADER + "A,1.00,x\nB,two,y\n"))
    assert [row["net_amount"] for batch in read_rows for row in batch.to_pylist()] == ["1.00", "two"]
    refused = refusal(table, write(tmp_path, "10.csv", HEADER + "A,1.00,x\nB,two,y\n,3.00,\n"))
    assert "row 2: raw_tolls.crossings.net_amount: not a number" in refused


def test_subtotals_are_skipped(tmp_path: Path) -> None:
    text = HEADER + "A,1.00,x\nSub-total,1.00,\nB,2.00,y\nSub-total,2.00,\nTotal,3.00,\n"
    table = declare(SPEND, subtotals=["Sub-total"], footer=["Total"], control_totals=["net_amount"])
    assert amounts(table, write(tmp_path, "a.csv", text)) == ["1.00", "2.00"]
    assert amounts(declare(SPEND, subtotals=["Sub-total", "Total"]), write(tmp_path, "a.csv", text)) == ["1.00", "2.00"]


@pytest.mark.parametrize("layout", [{}, {"ragged": "pad"}, {"footer": ["Total"], "footer_optional": True}])
def test_a_short_row_without_values_is_no_row(tmp_path: Path, layout: dict) -> None:
    assert amounts(declare(SPEND, **layout), write(tmp_path, "a.csv", HEADER + "A,1.00,x\n,\nB,2,y\n,,,\n")) == [
        "1.00", "2.00",
    ]  # fmt: skip


def test_ragged_rows_are_refused_unless_the_contract_pads_them(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", HEADER + "A,1.00\nB,2.00,y,,\n")
    assert "row 2: raw_tolls.crossings: 2 values, 3 headings" in refusal(declare(SPEND), path).replace("row 1", "row 2")
    assert [(row["body"], row["supplier"]) for row in rows(declare(SPEND, ragged="pad"), path)] == [
        ("A", None), ("B", "y"),
    ]  # fmt: skip
    more = write(tmp_path, "b.csv", HEADER + "A,1.00,x,lost\n")
    assert "4 values, 3 headings" in refusal(declare(SPEND, ragged="pad"), more)


def test_a_column_may_have_several_headings_or_be_absent(tmp_path: Path) -> None:
    columns = {
        "division": {"data_type": "text", "header": ["Service division", "Service divison"]},
        "supplier_name": {"data_type": "text"},
        "purpose": {"data_type": "text", "optional": True},
    }
    first = write(tmp_path, "a.csv", "Service division,Supplier name,Purpose\nx,A,p\n")
    second = write(tmp_path, "b.csv", "Service divison,SupplierName\ny,B\n")
    assert [[*row.values()] for path in (first, second) for row in rows(declare(columns), path)] == [
        ["x", "A", "p"], ["y", "B", None],
    ]  # fmt: skip
    assert "no column Service division or Service divison" in refusal(
        declare(columns), write(tmp_path, "c.csv", "Division,Supplier name,Purpose\nx,A,p\n")
    )


def test_each_file_may_have_one_of_several_encodings(tmp_path: Path) -> None:
    table = declare({"v": {"data_type": "text"}}, other_encodings=["windows-1252"])
    for encoding in ("utf-8", "windows-1252"):
        path = write(tmp_path, "a.csv", "v\n£5 “paid”\n".encode(encoding))
        assert [row["v"] for row in rows(table, path)] == ["£5 “paid”"]
    assert "invalid bytes" in refusal(table, write(tmp_path, "a.csv", b"v\n\x81\n"))


def test_a_file_of_a_zip_is_named_by_a_pattern(tmp_path: Path) -> None:
    path = tmp_path / "spend.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("2026/payments-07.csv", OCTOBER)
        archive.writestr("2026/notes.csv", "Note\nn\n")
    assert amounts(declare(SPEND, member="*payments*.csv"), path) == ["1100.00", "50.00"]
    assert "contains 2 CSV files instead of one; name one as `member`" in refusal(declare(SPEND), path)
    assert "contains 0 files that match x*" in refusal(declare(SPEND, member="x*"), path)


TWO_TABLES = [
    ["Code", "Homes", "Empty"], ["E1", 10, 1], ["E2", 20, 2], [], ["Band B"], ["Code", "Homes", "Empty"],
    ["E1", 30, 3], ["E2", 40, 4],
]  # fmt: skip


def values(table: object, path: Path) -> Iterator[list[object]]:
    return ([*row.values()] for row in rows(table, path))


def test_a_second_table_in_a_sheet_is_refused_until_the_contract_says_where_the_first_ends(tmp_path: Path) -> None:
    path = workbook(tmp_path / "base.xlsx", TWO_TABLES)
    assert "another table begins at row 5 below the header; say where the first one ends" in refusal(
        declare(LABELLED), path
    )
    first, second = [["E1", 10, 1], ["E2", 20, 2]], [["E1", 30, 3], ["E2", 40, 4]]
    assert [*values(declare(LABELLED, ends_at_blank_row=True), path)] == first
    assert [*values(declare(LABELLED, cells="A1:C3"), path)] == first
    assert [*values(declare(LABELLED, cells="A6:C8"), path)] == second
    blank = workbook(tmp_path / "blank.xlsx", [*TWO_TABLES[:3], [], ["E3", 30, 3]])
    assert [*values(declare(LABELLED), blank)] == [*first, ["E3", 30, 3]], "a blank row between rows of data"


def test_the_first_blank_row_may_end_the_table_of_a_csv_too(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", "Code,Homes,Empty\n\nE1,10,1\n,,\nNotes,,\n")
    assert [*values(declare(LABELLED, ends_at_blank_row=True), path)] == [["E1", 10, 1]]


def test_every_sheet_is_read_with_its_name_as_a_column(tmp_path: Path) -> None:
    import xlsxwriter

    with xlsxwriter.Workbook(tmp_path / "years.xlsx") as book:
        for year, homes in (("2024", 1), ("2025", 2), ("Notes", 0)):
            page = book.add_worksheet(year)
            for place, row in enumerate([["Code", "Homes"], ["E1", homes]]):
                page.write_row(place, 0, row)
    columns = {"code": {"data_type": "text"}, "homes": {"data_type": "bigint"}, "year": {"data_type": "text"}}
    table = declare(columns, sheet="20*", sheet_column="year")
    assert [*values(table, tmp_path / "years.xlsx")] == [["E1", 1, "2024"], ["E1", 2, "2025"]]
    origins = [n for batch in read_file(table, tmp_path / "years.xlsx") for n in batch["_source_row"].to_pylist()]
    assert len(set(origins)) == 2
    with pytest.raises(SourceError, match="expected one sheet, 2 match"):
        list(read_file(declare({"code": {"data_type": "text"}}, sheet="20*"), tmp_path / "years.xlsx"))


@pytest.mark.parametrize(
    ("layout", "says"),
    [
        ({"footer_empty": "bodi"}, "is not a declared column: bodi"),
        ({"sheet_column": "net_amount"}, "sheet_column must be a text"),
        ({"footer_optional": True}, "footer_optional needs a `footer`"),
        ({"cells": "A3-F9"}, "cells"),
        ({"other_encodings": ["utf-9"]}, "unknown encoding utf-9"),
        ({"quote": "«"}, "quote"),
    ],
)
def test_a_layout_that_cannot_work_is_refused_in_the_contract(layout: dict, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        declare(SPEND, **layout)
