"""File sources: every form of a file gives the same rows, and a file that breaks its contract is refused completely."""

import csv
import gzip
import json
from collections import Counter
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import openpyxl
import pyarrow as pa
import pyarrow.parquet
import pytest
import xlsxwriter
from pydantic import ValidationError

from ingestion import csv_files
from ingestion.contracts import SourceError, read_contracts
from ingestion.files import fingerprint, matching_files, read_file
from ingestion.headings import snake_case
from ingestion.tables import conform
from tests.files import COLUMNS, PERSON, conformed, declare, read, refusal, rows, texts, workbook, write, zipped
from tests.support import REAL_DATA, needs_data

HEADER = "CrossingID,Crossed,PaidOn,Fee,Note\r\n"
ROWS = '0007,2026-07-01 12:00:00,01/07/2026,1.50,"two\r\nlines, £"\r\n8,2026-01-01 12:00:00,31/12/2026, -0.10 ,\r\n'


def test_values_have_their_types_and_their_source_position(tmp_path: Path) -> None:
    path = write(tmp_path, "july.csv", HEADER + ROWS)
    assert rows(declare(), path) == [
        {
            "crossing_id": "0007",
            "crossed": datetime(2026, 7, 1, 11, tzinfo=UTC),  # British Summer Time in the file
            "paid_on": date(2026, 7, 1),
            "fee": Decimal("1.50"),
            "note": "two\r\nlines, £",
        },
        {
            "crossing_id": "8",
            "crossed": datetime(2026, 1, 1, 12, tzinfo=UTC),
            "paid_on": date(2026, 12, 31),
            "fee": Decimal("-0.10"),
            "note": None,
        },
    ]
    (batch,) = read_file(declare(), path)
    assert batch["_source_row"].type == pa.int64()
    assert batch.select(["_source_file", "_source_row"]).to_pylist() == [
        {"_source_file": "july.csv", "_source_row": number} for number in (1, 2)
    ]


PLAIN = (HEADER + ROWS).encode()
TITLES = 'Tolls of July\r\n\r\n"Printed\r\non, a Monday",x\r\n'
FORMS = {
    "a byte order mark": (
        "july.csv",
        (ROWS + "Total\r\n").encode("utf-8-sig"),
        {"headings": [*COLUMNS], "footer": ["Total"]},
    ),
    "gzip": ("july.csv.gz", gzip.compress(PLAIN), {}),
    "an upper-case name, a blank last line": ("JULY.CSV", PLAIN + b"\r\n\r\n", {}),
    "no last line end": ("july.csv", PLAIN + b"9,,,,z", {}),
    "windows-1252": ("july.csv", PLAIN.decode().encode("cp1252"), {"encoding": "windows-1252"}),
    "utf-16": ("july.csv", PLAIN.decode().encode("utf-16"), {"encoding": "utf-16"}),
    "utf-16, big end first": ("july.csv", PLAIN.decode().encode("utf-16-be"), {"encoding": "utf-16-be"}),
    "utf-16-le with its mark": ("july.csv", PLAIN.decode().encode("utf-16"), {"encoding": "utf-16-le"}),
    "other line ends": ("july.csv", (HEADER + ROWS).replace(",\r\n", ",\n").replace("te\r\n", "te\n").encode(), {}),
    "CR": ("july.csv", PLAIN.replace(b"\r\n", b"\r").replace(b"two\r", b"two\r\n"), {}),
    "titles": ("july.csv", TITLES.encode() + PLAIN, {}),
    "titles in windows-1252": ("july.csv", ("£\r" + TITLES + HEADER + ROWS).encode("cp1252"), {"encoding": "cp1252"}),
    "semicolons": ("july.csv", PLAIN.replace(b",", b";").replace(b"lines;", b"lines,"), {"delimiter": ";"}),
    "no header": ("july.csv", ROWS.encode(), {"headings": [*COLUMNS]}),
    "a footer": ("july.csv", PLAIN + b",,,,\r\nTotal,,,1.40\r\nEnd of report\r\n", {"footer": ["Total", "End of"]}),
    "a column in front, an empty one behind": (
        "july.csv",
        b"X," + PLAIN.replace(b"\r\n0007", b",\r\nx,0007").replace(b"\r\n8", b",\r\ny,8").rstrip() + b",\r\n",
        {"left_out": ["X"]},
    ),
    "a remark without a heading": (
        "july.csv",
        PLAIN.replace(b"\r\n0007", b",\r\n0007").replace(b"\r\n8", b",x\r\n8").rstrip() + b",\r\n",
        {"left_out": ["column_6"]},
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_file_gives_the_same_rows(tmp_path: Path, form: str) -> None:
    name, content, layout = FORMS[form]
    expected = read(declare(), write(tmp_path, "plain.csv", PLAIN))
    found = read(declare(**layout), write(tmp_path, name, content))
    assert found[:2] == expected
    assert [row["crossing_id"] for row in found[2:]] == ["9"] * (form == "no last line end")


def test_a_zip_file_a_workbook_and_a_parquet_file_give_the_same_rows(tmp_path: Path) -> None:
    expected = rows(declare(), write(tmp_path, "july.csv", PLAIN))
    members = {"july.csv": PLAIN, "__MACOSX/._july.csv": b"", "readme.txt": b""}
    assert rows(declare(), write(tmp_path, "july.zip", zipped(tmp_path, members))) == expected
    table = pa.table(
        {
            "CrossingID": ["0007", "8"],
            "Crossed": [row["crossed"] for row in expected],
            "PaidOn": [row["paid_on"] for row in expected],
            "Fee": [Decimal("1.50"), Decimal("-0.10")],
            "Note": ["two\r\nlines, £", None],
        }
    )
    pyarrow.parquet.write_table(table, tmp_path / "july.parquet")
    assert rows(declare(), tmp_path / "july.parquet") == expected
    cells = [
        ["CrossingID", "Crossed", "PaidOn", "Fee", "Note"],
        ["0007", datetime(2026, 7, 1, 12), date(2026, 7, 1), 1.5, "two\r\nlines, £"],
        [8, "2026-01-01 12:00:00", "31/12/2026", -0.1],
    ]
    assert rows(declare(), workbook(tmp_path / "july.xlsx", cells)) == expected


def test_batches_of_a_file_are_continuous(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_files, "BLOCK_BYTES", 1000)
    content = "No,Text\r\n" + "".join(f'{number},"£{"é" * (number % 300)}\r\n,"\r\n' for number in range(1, 2001))
    for encoding in ("utf-8", "cp1252", "utf-16"):
        table = declare(texts("no", "text"), encoding=encoding)
        found = read(table, write(tmp_path, "july.csv", content.encode(encoding)))
        assert [(row["no"], row["_source_row"], len(row["text"])) for row in found] == [
            (str(number), number, number % 300 + 4) for number in range(1, 2001)
        ]


def test_new_columns_load_as_text_and_excluded_columns_do_not_load(tmp_path: Path) -> None:
    content = "Added On,Ward,UPN,Note,ward\n1,A,2,n,b\n,,,,\n3,A,4,n,\n"
    table = declare(texts("note", "ward"), left_out=["UPN", "Ward"])
    assert read(table, write(tmp_path, "july.csv", content)) == [
        {"added_on": "1", "note": "n", "ward": "b", "_source_row": 1},
        {"added_on": "3", "note": "n", "ward": None, "_source_row": 3},  # an empty row is skipped but counted
    ]
    table = declare(texts("note"), left_out=["added_on", "W*", "w*", "*P*", "*ote"])  # declared columns stay
    assert [*read(table, tmp_path / "july.csv")[0]] == ["note", "_source_row"]


def test_a_file_with_a_header_and_no_rows_is_an_empty_extract(tmp_path: Path) -> None:
    assert list(read_file(declare(), write(tmp_path, "july.csv", HEADER))) == []


def test_a_row_that_repeats_the_header_is_a_row(tmp_path: Path) -> None:
    assert read(declare(texts("ward")), write(tmp_path, "july.csv", "ward\nWard\n")) == [
        {"ward": "Ward", "_source_row": 1}
    ]


def test_a_nul_character_is_kept(tmp_path: Path) -> None:
    assert read(declare(texts("a", "b")), write(tmp_path, "july.csv", "a,b\nx\0y,2\n"))[0]["a"] == "x\0y"


@pytest.mark.parametrize(
    ("row", "place"),
    [
        (f"9,2026-01-01,01/01/2026,{PERSON},n", ("fee: not numeric(18,2)", "july.csv", 3)),
        (f"9,2026-01-01,{PERSON},1,n", ("paid_on: not date in the form %d/%m/%Y", "july.csv", 3)),
        (f"9,{PERSON},01/01/2026,1,n", ("crossed: not timestamptz", "july.csv", 3)),
        ("9,2026-01-01,01/01/2026,1.234,n", ("fee: not numeric(18,2)", "july.csv", 3)),
        ("9,2026-01-01,01/01/2026,1,x\0y", ("note: a NUL character", "july.csv", 3)),
    ],
)
def test_a_malformed_row_is_rejected_with_its_position(tmp_path: Path, row: str, place: tuple) -> None:
    (batch,) = read_file(declare(), write(tmp_path, "july.csv", HEADER + ROWS + row + "\r\n"))
    fit, (reject,) = conform(declare(), batch, "july.csv")
    assert (reject.reason, reject.file, reject.row) == place
    assert len(fit) == 2
    assert PERSON not in repr(reject), "a rejected row may be logged"
    assert json.loads(reject.content)["crossing_id"] == "9"


AS_SENT = "july.csv, row 3: raw_tolls.crossings"
REFUSED = {
    b"": "july.csv: raw_tolls.crossings: the file is empty",
    b"\r\n\r\n": "the file is empty",
    HEADER.replace("Fee,", "") + "1,2,3,4\r\n": "july.csv, line 1: raw_tolls.crossings: no column fee",
    "x\n"
    + HEADER.replace("Fee", "Charge")
    + "1,2,3,4,5\r\n": "line 2: raw_tolls.crossings: no column fee. Charge is new: was",
    f"1,{PERSON},3,4,Note\r\n": "no header in the first 50 rows; expected the headings crossing_id, crossed",
    "x\n" * 50 + HEADER: "no header in the first 50 rows",
    HEADER.replace(
        "Note", "Note,fee"
    ): "raw_tolls.crossings: 'Fee' and 'fee' both give fee; choose with `header` or `left_out`",
    HEADER.replace("Note", "Note,Case No,CaseNo"): "'Case No' and 'CaseNo' both give case_no",
    HEADER.replace("Note", "Note,") + f"1,,,,n,{PERSON}\r\n": "column 6 has values but no heading",
    "title\n" + HEADER + ROWS + f"9,{PERSON}\r\n": f"{AS_SENT}: 2 values, 5 headings",
    HEADER + ROWS + f"9,,,,{PERSON},1\r\n": f"{AS_SENT}: 6 values, 5 headings",
    HEADER + ROWS + f'9,,,,"{PERSON}': "the file ends within quotation marks. It is truncated",
    HEADER
    + f'9,,,,"{PERSON}\r\n'
    + "8,,,,\r\n" * 700_000: "a row is longer than 2 MB. Is a quotation mark not closed?",
    (HEADER + "9,,,,£").encode()[:-1]: "line 2 has invalid bytes",
    gzip.compress(PLAIN): "raw_tolls.crossings: line 1 has invalid bytes; the contract says utf-8",
}


@pytest.mark.parametrize("content", REFUSED, ids=REFUSED.values())
def test_a_file_that_breaks_its_contract_is_refused_without_its_values(tmp_path: Path, content: bytes | str) -> None:
    assert REFUSED[content] in refusal(declare(), write(tmp_path, "july.csv", content))


MARKED = "its byte order mark is that of "
OTHERWISE = {
    "windows-1252 as utf-8": ("cp1252", "utf-8", "line 2 has invalid bytes; the contract says utf-8"),
    "utf-8 as windows-1252": ("utf-8", "windows-1252", "it is UTF-8; the contract says windows-1252"),
    "utf-8 as latin-1": ("utf-8", "latin-1", "it has bytes of windows-1252; the contract says latin-1"),
    "marked utf-8 as windows-1252": ("utf-8-sig", "windows-1252", MARKED + "utf-8; the contract says windows-1252"),
    "utf-16 as utf-8": ("utf-16", "utf-8", MARKED + "utf-16-le; the contract says utf-8"),
    "unmarked utf-16 as utf-8": ("utf-16-be", "utf-8", "it looks like utf-16; the contract says utf-8"),
    "unmarked utf-16 as windows-1252": ("utf-16-le", "windows-1252", "it looks like utf-16"),
    "utf-16 with the other's mark": ("utf-16", "utf-16-be", MARKED + "utf-16-le; the contract says utf-16-be"),
    "unmarked utf-16": ("utf-16-le", "utf-16", "no byte order mark"),
    "utf-16 the wrong way round": ("utf-16-le", "utf-16-be", "no header"),
}


@pytest.mark.parametrize("case", OTHERWISE)
@pytest.mark.parametrize("layout", [{}, {"footer": ["Total"]}], ids=["plain", "footer"])
def test_a_file_in_another_encoding_is_refused(tmp_path: Path, case: str, layout: dict) -> None:
    written, declared, says = OTHERWISE[case]
    path = write(tmp_path, "july.csv", f"Name,City\n{PERSON} Ñuñez £À,Ñ\nTotal,\n".encode(written))
    refused = refusal(declare(texts("name", "city"), encoding=declared, **layout), path)
    assert refused.startswith("july.csv: raw_tolls.crossings: ")
    assert says in refused


def test_bytes_that_are_not_windows_1252_are_refused_with_their_line(tmp_path: Path) -> None:
    lines = f"Name,City\r{PERSON},a\r".encode() * 60_000
    table = declare(texts("name", "city"), encoding="windows-1252")
    assert "line 120001 has invalid bytes" in refusal(table, write(tmp_path, "july.csv", lines + b"\x81,b\r"))
    assert "it is UTF-8" in refusal(table, write(tmp_path, "july.csv", lines + "Ñ,b\r".encode()))
    assert len(read(table, write(tmp_path, "july.csv", lines + "Ñ,£\r".encode("cp1252")))) == 120_000
    assert len(read(table, write(tmp_path, "july.csv", lines))) == 119_999  # ASCII text is valid in both encodings


def test_a_compressed_file_must_be_complete_and_hold_one_csv(tmp_path: Path) -> None:
    many = (HEADER + ROWS * 500).encode()
    whole, packed = zipped(tmp_path, {"july.csv": many}), gzip.compress(many)
    broken = bytearray(whole)
    broken[200] ^= 255
    locked = bytearray(whole)
    page = bytearray(workbook(tmp_path / "whole.xlsx", [[*COLUMNS], ["007", "", "", 1234]]).read_bytes())
    page[page.rindex(b"PK\1\2") + 16] ^= 255  # a checksum
    locked[6] |= 1
    locked[locked.rindex(b"PK\1\2") + 8] |= 1
    for name, content, says in (
        ("july.zip", zipped(tmp_path, {}), "july.zip: raw_tolls.crossings: contains 0 CSV files"),
        ("july.zip", zipped(tmp_path, {"a.csv": PLAIN, "b.CSV": PLAIN}), "contains 2 CSV files"),
        ("july.zip", whole[: len(whole) // 2], "july.zip: raw_tolls.crossings: not a complete zip file"),
        ("july.zip", bytes(broken), "not a complete zip file"),
        ("july.zip", bytes(locked), "has a password"),
        ("july.zip", b"", "not a complete zip file"),
        ("july.csv.gz", packed[:-4], "july.csv.gz: raw_tolls.crossings: not a complete gz file"),
        ("july.csv.gz", packed[: len(packed) // 2], "not a complete gz file"),
        ("july.csv.gz", packed[:20] + b"\xff" * 9 + packed[29:], "not a complete gz file"),
        ("july.csv.gz", PLAIN, "not a complete gz file"),
        ("july.csv.gz", b"", "the file is empty"),
        ("july.parquet", PLAIN, "july.parquet: raw_tolls.crossings: not a complete Parquet file"),
        ("july.xlsx", whole, "july.xlsx: raw_tolls.crossings: not a complete workbook"),
        ("july.xlsx", bytes(page), "not a complete workbook"),
        ("july.xlsx", b"", "not a complete workbook"),
    ):
        assert says in refusal(declare(), write(tmp_path, name, content))


def test_headings_that_give_the_same_name_are_distinguished_by_the_contract(tmp_path: Path) -> None:
    path = write(tmp_path, "july.csv", "Case No,case_no,CaseNo\n1,2,3\n")
    assert "'Case No' and 'case_no' and 'CaseNo' both give case_no" in refusal(declare(texts("case_no")), path)
    columns = {"case_no": {"data_type": "text"}, "old_case": {"data_type": "text", "header": "CaseNo"}}
    excluding = declare(columns, left_out=["Case No"])
    assert read(excluding, path) == [{"case_no": "2", "old_case": "3", "_source_row": 1}]
    swapped = write(tmp_path, "july.csv", "CaseNo,Case No,case_no\n3,1,2\n")
    assert read(excluding, swapped)[0]["old_case"] == "3"


FOOTED = {
    "whole": ("1,2.50\n2,-1\nTotal,1.50,2 rows\n", None),
    "thousands, an empty row, words": ('1,2000\n,\n2,-1\n,\nTotal,"1,999.00",Rows: 2\n', None),
    "a subtotal above": ("Total of a,1\nTotal of b,0.5\nx,1\nTotal,2.5,3\n", None),
    "no footer": ("1,2.50\n2,-1\n", "no footer (Total or End). The file is truncated"),
    "another sum": ("1,2.50\n2,-1\nTotal,1.51,2\n", "raw_tolls.crossings.fee: column 2: the footer's total is not"),
    "no sum": ("1,2.50\n2,-1\nTotal,,2\n", "the footer's total is not the sum"),
    "two sums": ("1,2.50\n2,-1\nTotal,1.50,2\nTotal,1.50\n", "the footer's total is not the sum"),
    "a row missing": ("1,2.50\n2,-1\nTotal,1.50,3\n", "2 rows, the footer says otherwise"),
    "no number of rows": ("1,2.50\n2,-1\nTotal,1.50\nEnd\n", "2 rows, the footer says otherwise"),
    "a word in the sum": (
        f"1,2.50\n2,{PERSON}\nTotal,2.50,2\n",
        "july.csv, row 2: raw_tolls.crossings.fee: not a number",
    ),
    "no number in the sum": ("1,2.50\n2,sNaN\nTotal,2.50,2\n", "row 2: raw_tolls.crossings.fee: not a number"),
    "a short row": (f"1,2.50\n{PERSON}\nTotal,2.50,2\n", "july.csv, row 2: raw_tolls.crossings: 1 values, 2 headings"),
    "an open quotation mark": (f'1,2.50\n2,"{PERSON}\nTotal,1,1\n', "the file ends within quotation marks"),
}


@pytest.mark.parametrize("case", FOOTED)
def test_a_footer_proves_that_the_file_is_complete(tmp_path: Path, case: str) -> None:
    content, says = FOOTED[case]
    columns = {"no": {"data_type": "text"}, "fee": {"data_type": "numeric(18,2)"}}
    table = declare(columns, footer=["Total", "End"], control_totals=["fee"], row_count_at=3)
    path = write(tmp_path, "july.csv", "No,Fee\n" + content)
    if says:
        assert says in refusal(table, path)
    else:
        total = Decimal(content.split("\n")[-2].split(",", 1)[1].replace('"1,', "1").replace('"', "").split(",")[0])
        assert sum(row["fee"] for row in rows(table, path)) == total


def test_a_sheet_with_titles_merged_headers_footnotes_and_month_columns_is_read(tmp_path: Path) -> None:
    cells = [
        ["Loans by library"],
        [],
        ["", "", "Spring", "", "Summer", ""],  # ids and seasons are merged, below
        ["", "", "Adult", "Child", "Adult", "Child"],
        ["007", "Bath", 12345, 0.1 + 0.2, "", 1],
        [],
        [8, "", 10, 20, 30, "n/a"],
        ["Total", "", 12355, 20.3, 30, 1],
        ["* Adults are 18 or over"],
    ]
    merged = ((2, 0, 3, 0, "Branch"), (2, 1, 3, 1, "Name"), (2, 2, 2, 3, "Spring"), (2, 4, 2, 5, "Summer"))
    path = workbook(tmp_path / "loans.xlsx", cells, "Loans 2026", (*merged, (4, 1, 6, 1, "Bath")))
    columns = texts("branch", "name", "season", "age", "loans")
    table = declare(
        columns,
        sheet="Loans 20*",
        header_rows=2,
        footer=["Total", "*"],
        unpivot={"headings": r"(?P<season>\w+) (?P<age>\w+)", "value": "loans"},
    )
    found = {(row["branch"], row["season"], row["age"]): row["loans"] for row in read(table, path)}
    assert found == {
        ("007", "Spring", "Adult"): "12345",
        ("007", "Spring", "Child"): "0.3",
        ("007", "Summer", "Child"): "1",
        ("8", "Spring", "Adult"): "10",
        ("8", "Spring", "Child"): "20",
        ("8", "Summer", "Adult"): "30",
        ("8", "Summer", "Child"): "n/a",
    }
    assert {(row["branch"], row["_source_row"], row["name"]) for row in read(table, path)} == {
        ("007", 1, "Bath"),
        ("8", 3, "Bath"),  # a merged text applies to each row that it spans
    }
    assert "expected one sheet, 0 match Visits" in refusal(declare(columns, sheet="Visits"), path)
    assert "no footer" in refusal(table.model_copy(update={"footer": ["Source"]}), path)


def test_cells_of_a_sheet_give_the_text_of_the_same_csv(tmp_path: Path) -> None:
    with xlsxwriter.Workbook(tmp_path / "cells.xlsx") as book:
        page = book.add_worksheet()
        for position, heading in enumerate(["A", "B", "C", "D", "E"]):
            page.write(0, position, heading)
        page.write_number(1, 0, 10000000000000000)
        page.write_datetime(1, 1, datetime(2026, 7, 1, 13, 5), book.add_format({"num_format": "dd/mm/yy hh:mm"}))
        page.write_formula(1, 2, "=NA()", None, "#N/A")
        page.write_boolean(1, 3, True)
        page.write_datetime(1, 4, date(2026, 7, 1), book.add_format({"num_format": "dd/mm/yyyy"}))
    (row,) = read(declare(texts("a")), tmp_path / "cells.xlsx")
    assert [*row.values()] == ["10000000000000000", "2026-07-01 13:05:00", None, "true", "2026-07-01", 1]
    with xlsxwriter.Workbook(tmp_path / "cells.xlsx") as book:
        book.add_worksheet("A"), book.add_worksheet("B")
    assert "expected one sheet, 2 in the workbook" in refusal(declare(), tmp_path / "cells.xlsx")


def test_a_csv_with_several_header_rows_and_month_columns_is_read(tmp_path: Path) -> None:
    content = ";Visits;\nLibrary;2026;\n;Jan;Feb\nBath ;1;\nPaulton;2;3\n\nTotal;3;{}\n"
    columns = texts("library") | {"month": {"data_type": "date", "format": "%Y %b"}, "visits": {"data_type": "bigint"}}
    table = declare(
        columns,
        delimiter=";",
        header_rows=2,
        unpivot={"headings": r"(?P<month>\d{4} [A-Z][a-z]{2})", "value": "visits"},
        footer=["Total"],
        control_totals=["visits"],
    )
    assert rows(table, write(tmp_path, "visits.csv", content.format(3))) == [
        {"library": "Bath ", "month": date(2026, 1, 1), "visits": 1},
        {"library": "Paulton", "month": date(2026, 1, 1), "visits": 2},
        {"library": "Paulton", "month": date(2026, 2, 1), "visits": 3},
    ]
    refused = refusal(table, write(tmp_path, "visits.csv", content.format(4)))
    assert "visits.csv: raw_tolls.crossings.visits: column 3: the footer's total" in refused
    twice = content.replace("Feb", "Jan").format(3)
    assert "'2026 Jan' and '2026 Jan' both give the same rows" in refusal(table, write(tmp_path, "visits.csv", twice))
    none = content.replace("2026", "26").format(3)
    assert "no heading matches unpivot.headings" in refusal(table, write(tmp_path, "visits.csv", none))


@pytest.mark.parametrize(
    ("layout", "says"),
    [
        ({"encoding": "ansi-ish"}, "unknown encoding ansi-ish"),
        ({"delimiter": "ab"}, "should match pattern"),
        ({"headings": ["A"], "header_rows": 2}, "`header_rows` is for a file with a header"),
        ({"row_count_at": 2}, "row_count_at needs a `footer`"),
        ({"control_totals": ["note"]}, "control total note is not declared as a number"),
        ({"unpivot": {"headings": "(?P<month", "value": "fee"}}, "not a regular expression"),
        ({"unpivot": {"headings": "[A-Z]+", "value": "fee"}}, "needs a named group"),
        (
            {"unpivot": {"headings": "(?P<month>.+)", "value": "fee"}},
            "unpivot fills undeclared columns: month",
        ),
        ({"files": None, "footer": ["Total"]}, "only for tables of `files`: footer"),
    ],
)
def test_an_impossible_layout_is_refused_in_the_contract(layout: dict, says: str) -> None:
    with pytest.raises(ValidationError, match=says.replace("(", r"\(")):
        declare(**layout)


def test_a_missing_folder_or_file_is_reported_by_name(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=f"folder {tmp_path}/none .*LANDING"):
        matching_files(declare(), str(tmp_path / "none"))
    (tmp_path / "tolls").mkdir()
    for name in ("~$july.xlsx", ".july.csv"):  # left by an open workbook and an unfinished copy
        write(tmp_path / "tolls", name, "")
    with pytest.raises(SourceError, match=r"raw_tolls.crossings: no file tolls/\* in .*LANDING"):
        matching_files(declare(), str(tmp_path))
    july = write(tmp_path / "tolls", "july.csv", "")
    assert matching_files(declare(), str(tmp_path)) == [july]


def test_the_fingerprint_depends_on_the_content_alone(tmp_path: Path) -> None:
    path = write(tmp_path, "july.csv", "a")
    first = fingerprint(path)
    path = path.rename(tmp_path / "august.csv")
    path.touch()
    assert fingerprint(path) == first
    path.write_bytes(b"b")
    assert fingerprint(path) != first


@pytest.mark.parametrize(
    ("heading", "column"),
    [
        ("OrganisationURI", "organisation_uri"),
        ("IrrecoverableVATAmount", "irrecoverable_vat_amount"),
        ("Output Areas (OA)", "output_areas_oa"),
        (" title ", "title"),
        ("Case No.", "case_no"),
        ("2013 total", "column_2013_total"),
        ("Please tell us why " * 5, "please_tell_us_why_please_tell_us_why_please_tell_us_why_please"),
    ],
)
def test_headings_become_column_names(heading: str, column: str) -> None:
    assert snake_case(heading) == column


BOOKS = "Total Number Of Physical Book Issues - April 2023"
CONTRACTS = Path(__file__).parent / "contracts"


def landed(system: str, name: str) -> list[dict]:
    (table,) = [table for table in read_contracts(CONTRACTS)[system].tables if table.name == name]
    return [row for path in matching_files(table, str(REAL_DATA)) for row in rows(table, path)]


def by_hand(name: str) -> list[dict[str, str]]:
    with (REAL_DATA / name).open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


@needs_data
def test_the_arts_council_workbook_gives_a_row_per_authority_measure_and_month() -> None:
    (path,) = (REAL_DATA / "libraries").glob("*.xlsx")
    heading, *authorities = openpyxl.load_workbook(path)["Activity Data 2024"].values
    monthly = [p for p, words in enumerate(heading) if words.removesuffix("_digital")[-5:] in (" 2023", " 2024")]
    figures = landed("libraries", "activity")
    assert len(monthly) == 492
    assert len(figures) == sum(row[p] is not None for row in authorities for p in monthly)
    keys = ("authority", "library_service", "measure", "variant", "month")
    assert len({tuple(row[key] for key in keys) for row in figures}) == len(figures)
    (own,) = [row for row in authorities if row[1] == "Worcestershire"]
    ours, theirs = Counter(), Counter()
    for row in figures:
        ours[f"{row['measure']}{row['variant'] or ''}"] += row["figure"] * (row["authority"] == "Worcestershire")
    for p in monthly:
        measure, month = heading[p].split(" - ")
        theirs[measure + month[len(month.removesuffix("_digital")) :]] += own[p] or 0
    assert ours == theirs
    assert ours["Total Number Of Physical Book Issues"] == sum(own[heading.index(BOOKS) :][:12]) == 1_545_273
    (members,) = [row for row in landed("libraries", "members") if row["authority"] == "Worcestershire"]
    parts = members["child_members"] + members["adult_members"] + members["teenage_members"]
    assert parts == members["total_active_members"] == own[2]


@needs_data
def test_published_library_visits_and_loans_are_read() -> None:
    visits, wide = landed("libraries", "visits"), by_hand("libraries/Library_Visitors_All_Libraries_2013_14.csv")
    cells = [value for row in wide for heading, value in row.items() if heading != "Library" and value]
    assert (len(visits), sum(row["visits"] for row in visits)) == (len(cells), sum(map(int, cells)))
    assert {"library": "Bath Central", "month": date(2014, 9, 1), "visits": 41271} in visits
    loans = landed("libraries", "loans")
    sent = by_hand("libraries/Library_Lending_Transactions_Apr_2012-Jan_2014.csv")
    assert len(loans) == len(sent)
    assert sum(row["issue_date"] == date(2013, 4, 1) for row in loans) == 1306


@needs_data
def test_published_customer_requests_and_contacts_are_read() -> None:
    requests = landed("customer", "requests")
    sent = {row["Ref"]: row for row in by_hand("customer/BANES_Environmental_Protection_Service_Requests.csv")}
    assert len(requests) == 5000
    for row in requests:
        clock = row["received_date"].astimezone(ZoneInfo("Europe/London"))
        assert f"{clock:%d/%m/%Y %I:%M:%S %p}" == sent[row["ref"]]["ReceivedDate"]
    contacts, counted = landed("customer", "contacts"), by_hand("customer/BANES_Contact_to_the_Council.csv")
    assert sum(row["count"] for row in contacts) == sum(int(row["Count"]) for row in counted)
    assert {row["month_number"] for row in contacts} == {int(row["MonthNumber"]) for row in counted}


@needs_data
def test_the_published_ssda903_return_loads_without_its_identifiers() -> None:
    for table in read_contracts(CONTRACTS)["children"].tables:
        found, sent = landed("children", table.name), by_hand(f"children/{table.name}.csv")
        assert len(found) == len(sent)
        assert "upn" not in found[0]
        for column in table.columns:
            values = [row[column.name.upper()] for row in sent if row[column.name.upper()]]
            assert sum(row[column.name] is not None for row in found) == len(values)
            if column.data_type == "date":
                assert {f"{row[column.name]:%d/%m/%Y}" for row in found if row[column.name]} == set(values)


def test_complete_rows_of_a_growing_file_are_read_at_any_size(tmp_path: Path) -> None:
    log = declare(texts("a", "b"), headings=["A", "B"], files="*", load="append", corrections=True, growing=True)
    whole = 'x,"y, ""z"""\n"o\nü",p\n'.encode()
    ends = [whole.index(b"\n") + 1, len(whole)]
    expected = [{"a": "x", "b": 'y, "z"'}, {"a": "o\nü", "b": "p"}]
    for size in range(len(whole) + 1):
        read_so_far = rows(log, write(tmp_path, "log.csv", whole[:size]))
        assert read_so_far == expected[: sum(end <= size for end in ends)], size


@pytest.mark.parametrize(
    "layout", [{}, {"corrections": True, "footer": ["Total"]}, {"corrections": True, "encoding": "utf-16"}]
)
def test_only_a_plain_csv_may_grow(layout: dict) -> None:
    with pytest.raises(ValidationError, match="growing needs"):
        declare(load="append", growing=True, **layout)


GROWING = {"files": "*", "load": "append", "corrections": True, "growing": True}
LOG = declare(texts("at", "login", "said"), headings=["AT", "LOGIN", "SAID"], **GROWING)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (b't,caf\xe9\xff,"x"', ["t", "caf\ufffd\ufffd", "x"]),
        (b't,"a\0b",x', ["t", "a\ufffdb", "x"]),
        (b't,l,"a\nt,l,forged\n"', ["t", "l", "a\nt,l,forged\n"]),
        (b"t,l", None),
        (b't,l,x,"y"', None),
        (b't,"l', None),
        (b"\xff" * 3_000, None),
    ],
)
def test_one_entry_of_a_log_does_not_lose_the_others(tmp_path: Path, entry: bytes, expected: list[str] | None) -> None:
    found = rows(LOG, write(tmp_path, "log.csv", b't1,l,"first"\n' + entry + b'\nt2,l,"last ""one"""\n'))
    values = [[row["at"], row["login"], row["said"]] for row in found]
    assert values == [["t1", "l", "first"], expected or ["[unreadable]"] * 3, ["t2", "l", 'last "one"']]


@pytest.mark.parametrize("content", [b"x", b'""', b"\xff", b"\n", b"a,b"])
def test_a_long_entry_of_a_log_is_cut(tmp_path: Path, content: bytes) -> None:
    said = content * (2_200_000 // len(content))  # the CSV reader refuses a row of 2 MB
    found = rows(LOG, write(tmp_path, "log.csv", b't,"l","' + said + b'","more"\nt2,l,last\n'))
    assert [(row["at"], row["login"]) for row in found] == [("t", "l"), ("t2", "l")]
    assert found[0]["said"].endswith("[cut]")
    assert found[1]["said"] == "last"


def test_a_log_with_another_number_of_columns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="a line has 2 values; 3 headings are declared"):
        rows(LOG, write(tmp_path, "log.csv", b"t,l\nt,l\n"))


TEXT = {"data_type": "text"}
COUNCIL_FILES: dict[str, tuple[str, dict, dict, list[tuple]]] = {
    "spend with titles, pounds, brackets, an unlabelled total and notes": (
        "Payments over £500,,\n,,\nBody,Paid,Amount (£)\nA,03-Apr-25,\"£1,234.50\"\nB,04-Apr-25,(50.00)\n"
        ",,\"£1,184.50\"\nNotes:,,\n1. Redacted,,\n",
        {"body": TEXT, "paid": {"data_type": "date", "format": "%d-%b-%y"},
         "amount": {"data_type": "numeric(18,2)", "header": "Amount (£)",
                    "number_format": ["pound", "thousands", "brackets"]}},
        {"footer": ["Notes", "1. "], "footer_empty": "body", "control_totals": ["amount"]},
        [("A", date(2025, 4, 3), Decimal("1234.50")), ("B", date(2025, 4, 4), Decimal("-50.00"))],
    ),
    "business rates with Excel's dates, percentages and subtotals": (
        "Account,RV,Relief %,From\n1001,\"12,500\",50%,45383\nSub-total,\"12,500\",,\nGrand total,\"12,500\",,\n",
        {"account": TEXT, "rv": {"data_type": "bigint", "number_format": ["thousands"]},
         "relief_pct": {"data_type": "numeric(5,2)", "header": "Relief %", "number_format": ["percent"]},
         "from": {"data_type": "date", "format": "excel"}},
        {"footer": ["Grand total"], "subtotals": ["Sub-total"], "control_totals": ["rv"]},
        [("1001", 12_500, Decimal("50.00"), date(2024, 4, 1))],
    ),
    "parking with words for true and false and semicolons": (
        "PCN;Issued;Paid?\nW1;13/04/2025 9:05:00 AM;Y\nW2;13/04/2025 12:15:00 PM;N\nW3;13/04/2025 12:15:00 AM;\n",
        {"pcn": TEXT | {"header": "PCN"}, "issued": {"data_type": "timestamptz", "format": "%d/%m/%Y %I:%M:%S %p"},
         "is_paid": {"data_type": "boolean", "header": "Paid?", "true_values": ["Y"], "false_values": ["N"]}},
        {"delimiter": ";"},
        [("W1", datetime(2025, 4, 13, 8, 5, tzinfo=UTC), True),
         ("W2", datetime(2025, 4, 13, 11, 15, tzinfo=UTC), False),
         ("W3", datetime(2025, 4, 12, 23, 15, tzinfo=UTC), None)],
    ),
    "a register with blank columns, a repeated heading and rows of several lengths": (
        "App No,,Site,Date,Date\n24/1,,\"High St,\n1\",2024-04-01,2024-05-01\n24/2,,Barn,2024-04-02\n"
        "24/3,,,2024-04-03,,,\n",
        {"app_no": TEXT, "site": TEXT, "date": {"data_type": "date"},
         "decided": {"data_type": "date", "header": "Date (2)"}},
        {"ragged": "pad"},
        [("24/1", "High St,\n1", date(2024, 4, 1), date(2024, 5, 1)), ("24/2", "Barn", date(2024, 4, 2), None),
         ("24/3", None, date(2024, 4, 3), None)],
    ),
    "gritting routes with a heading on each page and times of day": (
        "Route\tStart\nP1\t19:30\nRoute\tStart\nP2\t4:15\n",
        {"route": TEXT, "start": {"data_type": "time"}},
        {"delimiter": "\t", "subtotals": ["Route"], "encoding": "utf-16"},
        [("P1", time(19, 30)), ("P2", time(4, 15))],
    ),
}  # fmt: skip


@pytest.mark.parametrize("about", COUNCIL_FILES)
def test_files_as_councils_publish_them_load_whole_by_contract_alone(tmp_path: Path, about: str) -> None:
    content, columns, layout, expected = COUNCIL_FILES[about]
    path = tmp_path / "published.csv"
    path.write_bytes(content.encode(layout.get("encoding", "utf-8")))
    rows = pa.concat_tables(conformed(declare(columns, **layout), path))
    assert [tuple(row.values()) for row in rows.select(list(columns)).to_pylist()] == expected
