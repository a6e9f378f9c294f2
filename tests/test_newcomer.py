"""A newcomer's contract: published files that nobody described load whole by what `warehouse source add` writes."""

import csv
import io
import shutil
import zipfile
from pathlib import Path

import openpyxl
import pytest

from ingestion.pipeline import load_system
from ingestion.scaffold import add_source
from tests.files import decided
from tests.support import REAL_DATA, Trial, needs_data

FILES = (
    "finance/prompt_payment.csv",
    "finance/trafford_council_voluntary_sector_grants.csv",
    "finance/trafford_land_and_building_assets.csv",
    "finance/government_procurement_card_transactions_2024-25.csv",
    "finance/trafford-supplier-spend-2024-25.zip",
    "highways/Fix_My_Street_Sample_Dataset.csv",
    "customer/BANES_Contact_to_the_Council.csv",
    "customer/BANES_Environmental_Protection_Service_Requests.csv",
    "libraries/Libraries Activity Data 2023-24 FINAL.xlsx",
    "libraries/Library_Lending_Transactions_Apr_2012-Jan_2014.csv",
    "libraries/Library_Visitors_All_Libraries_2013_14.csv",
    "children/header.csv",
    "children/uasc.csv",
)
SHEETS = ("Field definitions and notes", "Activity Data 2024")  # of the workbook; its introduction has no table


def counted(path: Path) -> list[int]:
    """Return the number of rows below the header of each table in the file, as Python's libraries read it."""
    if path.suffix == ".xlsx":
        book = openpyxl.load_workbook(path, read_only=True)
        pages = [book[name].iter_rows(values_only=True) for name in SHEETS]
        return [sum(any(cell is not None for cell in row) for row in page) - 1 for page in pages]
    content = path.read_bytes()
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            content = archive.read(archive.namelist()[0])
    rows = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""))
    return [sum(any(row) for row in rows) - 1]


@needs_data
def test_published_files_load_whole_by_the_drafted_contract(
    trial: Trial, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    landing, staging = tmp_path / "landing", tmp_path / "staging"
    for name in FILES:
        (landing / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(REAL_DATA / name, landing / name)
    add_source("trial", str(landing), staging=staging)
    monkeypatch.setenv("TRIAL_LANDING", str(landing))
    results = load_system(decided(staging))
    assert [each.table for each in results if each.quarantined or each.new_columns or each.read != each.total] == []
    expected = sorted(number for name in FILES for number in counted(landing / name))
    assert sorted(each.total for each in results) == expected
