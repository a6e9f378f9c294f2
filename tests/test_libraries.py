"""Libraries: findings are exactly the injected faults, and the marts count the data of Koha and the workbook."""

from collections import Counter
from datetime import date, timedelta

import openpyxl

from demo import koha
from demo.county import County, Truth
from tests.support import Warehouse


def extract(warehouse: Warehouse, name: str) -> list[dict]:
    """Return the rows of the extracts with that name in the landing folder."""
    return warehouse.rows(f"landing/libraries/koha_{name}*.csv")


def test_library_findings_are_exactly_the_injected_faults(warehouse: Warehouse) -> None:
    truth, findings = set(warehouse.faults("koha")), warehouse.findings("koha")
    assert len(findings) == len(truth) > 8
    assert {"LIB01", "LIB03", "LIB04", "LIB05"} <= {code for *_, code in truth}
    assert set(findings) == truth


def test_library_loans_belong_to_members(warehouse: Warehouse) -> None:
    staff = {row["borrowernumber"] for row in extract(warehouse, "borrowers") if not row["dateofbirth"]}
    expected: Counter = Counter()
    for row in extract(warehouse, "statistics"):
        if row["type"] != "return" and row["borrowernumber"] not in staff:
            expected[row["branch"], row["datetime"][:10]] += 1
    found = warehouse.sql(
        "select branch_code, loan_date::text, sum(loans) from libraries.fct_loan_days "
        "inner join libraries.dim_branches using (branch_key) group by 1, 2 having sum(loans) > 0"
    )
    assert {(branch, day): loans for branch, day, loans in found} == dict(expected)


def test_active_members_borrowed_in_the_last_year(warehouse: Warehouse) -> None:
    events = [row for row in extract(warehouse, "statistics") if row["type"] != "return"]
    last = warehouse.sql("select max(as_at_date) from libraries.fct_members")[0][0]
    members = {
        row["borrowernumber"]
        for row in extract(warehouse, "borrowers")
        if row["dateofbirth"] and row["debarredcomment"] != "Deceased"
    }
    a_year_ago = (last - timedelta(365)).isoformat()  # the period has no leap day
    active = {row["borrowernumber"] for row in events if row["datetime"][:10] > a_year_ago} & members
    assert warehouse.sql("select count(*) from libraries.fct_members where is_active") == [(len(active),)]
    assert 0 < len(active) < len(members)


def test_library_visits_equal_the_totals_of_the_workbook(warehouse: Warehouse) -> None:
    totals = 0
    for file in (warehouse.home / "landing/libraries").glob("footfall_*.xlsx"):
        book = openpyxl.load_workbook(file, data_only=True)
        sheet = next(sheet for sheet in book.worksheets if sheet.title.startswith("20"))
        totals += next(row[14] for row in sheet.iter_rows(values_only=True) if row[0] == "Total")
    assert warehouse.sql("select sum(visits_reported) from libraries.fct_visit_months") == [(totals,)]
    assert warehouse.sql("select count(*) from libraries.fct_visit_months where visits is null") == [(3,)]


def test_a_later_day_of_koha_keeps_earlier_loans_and_adds_new_ones() -> None:
    early, late = (
        dict(koha.files(county, Truth(county, "koha")))
        for county in (County(people=1000), County(people=1000, day=date(2026, 11, 30)))
    )
    name = "libraries/koha_statistics_2025_001.csv"
    assert late[name] == early[name]
    name = "libraries/koha_statistics_2026_001.csv"
    assert len(late[name]) > len(early[name])


def test_library_readers_see_no_token(warehouse: Warehouse) -> None:
    columns = warehouse.sql(
        "select column_name from information_schema.columns where table_schema = 'libraries' "
        "and column_name ~ 'borrower|token|surname|postcode|email|phone'"
    )
    assert columns == []
