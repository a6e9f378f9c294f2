"""Files on their way in: what lands, and that a damaged or unexpected file is refused by file, row and column."""

import gzip
import zipfile
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from ingestion.contracts import SourceError, System
from ingestion.files import fingerprint, matching_files, read_files, snake_case

HEADER = "CrossingID,Crossed,PaidOn,Fee,Note\r\n"
ROWS = '0007,2026-07-01 12:00:00,01/07/2026,1.50,"two\r\nlines, £"\r\n8,2026-01-01 12:00:00,31/12/2026, -0.10 ,\r\n'
PERSON = "Jane-Doe-1948"


def system(**changes: object) -> System:
    columns = [
        {"name": "crossing_id", "data_type": "text"},
        {"name": "crossed", "data_type": "timestamptz"},
        {"name": "paid_on", "data_type": "date", "format": "%d/%m/%Y"},
        {"name": "fee", "data_type": "numeric(18,2)"},
        {"name": "note", "data_type": "text"},
    ]
    for column in columns:
        column |= {"description": "A column.", "privacy": "none"}
    table = {
        "name": "crossings",
        "description": "One row per crossing.",
        "load": "replace",
        "files": "tolls/*",
    } | changes
    return System.model_validate(
        {
            "name": "raw_tolls",
            "description": "Bridge tolls.",
            "kind": "files",
            "location": "LANDING",
            "schedule": "0 6 * * *",
            "time_zone": "Europe/London",
            "information_asset_owner": "Head of Highways",
            "data_owner": "Network Manager",
            "purpose": "Income",
            "lawful_basis": "Article 6(1)(e)",
            "retention": "P7Y",
            "sharing": "none",
            "freshness": {
                "warn_after": {"count": 2, "period": "day"},
                "error_after": {"count": 3, "period": "day"},
            },
            "tables": [table | {"columns": columns}],
        }
    )


def read(folder: Path, **changes: object) -> pa.Table:
    table = system(**changes).tables[0]
    return pa.concat_tables(read_files(table, matching_files(table, str(folder))))


def deliver(folder: Path, name: str, content: bytes) -> Path:
    (folder / "tolls").mkdir(exist_ok=True)
    (folder / "tolls" / name).write_bytes(content)
    return folder


def test_values_land_with_their_types_and_their_place(tmp_path: Path) -> None:
    rows = read(deliver(tmp_path, "july.csv", (HEADER + ROWS).encode())).to_pylist()
    assert rows == [
        {
            "crossing_id": "0007",
            "crossed": datetime(2026, 7, 1, 11, tzinfo=UTC),  # British Summer Time in the file
            "paid_on": date(2026, 7, 1),
            "fee": Decimal("1.50"),
            "note": "two\r\nlines, £",
            "_source_file": "july.csv",
            "_source_row": 1,
        },
        {
            "crossing_id": "8",
            "crossed": datetime(2026, 1, 1, 12, tzinfo=UTC),
            "paid_on": date(2026, 12, 31),
            "fee": Decimal("-0.10"),
            "note": None,
            "_source_file": "july.csv",
            "_source_row": 2,
        },
    ]


def test_a_zip_an_encoding_and_another_order_of_columns_change_nothing(tmp_path: Path) -> None:
    plain = read(deliver(tmp_path, "july.csv", (HEADER + ROWS).encode()))
    (tmp_path / "tolls/july.csv").unlink()
    with zipfile.ZipFile(deliver(tmp_path, "july.zip", b"") / "tolls/july.zip", "w") as archive:
        archive.writestr("july.csv", (HEADER + ROWS).encode("utf-8-sig"))
    assert read(tmp_path).drop_columns("_source_file") == plain.drop_columns("_source_file")
    (tmp_path / "tolls/july.zip").unlink()
    deliver(tmp_path, "july.csv", (HEADER + ROWS).encode("cp1252"))
    assert read(tmp_path, encoding="cp1252") == plain
    swapped = "Extra,Fee,Note,CrossingID,Crossed,PaidOn\r\nx,1.50,n,7,2026-07-01 12:00:00,01/07/2026\r\n"
    deliver(tmp_path, "july.csv", swapped.encode())
    assert read(tmp_path).to_pylist()[0]["fee"] == Decimal("1.50")


def test_a_header_without_rows_is_an_empty_delivery(tmp_path: Path) -> None:
    table = system().tables[0]
    assert list(read_files(table, matching_files(table, str(deliver(tmp_path, "july.csv", HEADER.encode()))))) == []


def _zip(tmp_path: Path, members: dict[str, str]) -> bytes:
    with zipfile.ZipFile(tmp_path / "draft", "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return (tmp_path / "draft").read_bytes()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "july.csv, line 1: raw_tolls.crossings: the file is empty"),
        (HEADER.replace("Fee,", "") + "1,2,3,4\r\n", "july.csv, line 1: raw_tolls.crossings: no column fee"),
        (HEADER.replace("Note", "fee"), "july.csv, line 1: raw_tolls.crossings.fee: 2 columns have this name"),
        (
            HEADER + ROWS + f"9,2026-01-01,01/01/2026,{PERSON},n\r\n",
            "july.csv, row 3: raw_tolls.crossings.fee: not numeric",
        ),
        (
            HEADER + f"9,2026-01-01,{PERSON},1,n\r\n",
            "july.csv, row 1: raw_tolls.crossings.paid_on: not date in the form",
        ),
        (HEADER + f"9,{PERSON},01/01/2026,1,n\r\n", "july.csv, row 1: raw_tolls.crossings.crossed: not timestamptz"),
        (HEADER + "9,2026-01-01,01/01/2026,1.234,n\r\n", "july.csv, row 1: raw_tolls.crossings.fee: not numeric(18,2)"),
        (HEADER + ROWS + f"9,{PERSON}\r\n", "july.csv, row 3: raw_tolls.crossings: 2 values where the header has 5"),
        ((HEADER + ROWS).encode("cp1252"), "not utf-8-sig CSV; is it damaged, or in another encoding?"),
        ((HEADER + ROWS).encode("utf-16"), "july.csv: raw_tolls.crossings: not utf-8-sig CSV; is it damaged"),
        (gzip.compress((HEADER + ROWS).encode()), "july.csv: raw_tolls.crossings: not utf-8-sig CSV; is it damaged"),
    ],
)
def test_a_file_that_is_not_as_declared_is_refused_without_its_values(tmp_path: Path, content, says: str) -> None:
    deliver(tmp_path, "july.csv", content.encode() if isinstance(content, str) else content)
    with pytest.raises(SourceError) as refusal:
        read(tmp_path)
    assert says in str(refusal.value)
    assert PERSON not in str(refusal.value)


def test_a_zip_holds_one_csv_and_is_whole(tmp_path: Path) -> None:
    whole = _zip(tmp_path, {"july.csv": HEADER + ROWS})
    for content, says in (
        (_zip(tmp_path, {}), "july.zip: raw_tolls.crossings: holds 0 CSV files"),
        (_zip(tmp_path, {"a.csv": HEADER, "b.csv": HEADER}), "holds 2 CSV files"),
        (whole[: len(whole) // 2], "july.zip: raw_tolls.crossings: not a whole ZIP file"),
        (b"", "not a whole ZIP file"),
    ):
        with pytest.raises(SourceError, match=says):
            read(deliver(tmp_path, "july.zip", content))


def test_a_missing_folder_or_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=f"folder {tmp_path}/none .*LANDING"):
        read(tmp_path / "none")
    with pytest.raises(SourceError, match=r"raw_tolls.crossings: no file tolls/\* in .*LANDING"):
        read(tmp_path)


def test_the_fingerprint_changes_with_name_and_content_only(tmp_path: Path) -> None:
    file = deliver(tmp_path, "july.csv", b"a") / "tolls/july.csv"
    first = fingerprint([file])
    file.touch()
    assert fingerprint([file]) == first
    file.write_bytes(b"b")
    assert fingerprint([file]) != first
    file.write_bytes(b"a")
    assert fingerprint([file.rename(file.with_name("august.csv"))]) != first


@pytest.mark.parametrize(
    ("header", "column"),
    [
        ("OrganisationURI", "organisation_uri"),
        ("IrrecoverableVATAmount", "irrecoverable_vat_amount"),
        ("Output Areas (OA)", "output_areas_oa"),
        (" title ", "title"),
        ("Case No.", "case_no"),
    ],
)
def test_headings_become_column_names(header: str, column: str) -> None:
    assert snake_case(header) == column
