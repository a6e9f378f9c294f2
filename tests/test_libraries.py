"""Libraries: what is wrong is found and nothing else, and the marts count what Koha and the workbook hold."""

from collections import Counter
from datetime import date, timedelta

import openpyxl

from demo import koha
from demo.county import County, Truth
from tests.support import Warehouse


def extract(warehouse: Warehouse, name: str) -> list[dict]:
    """The rows of the extracts of that name in the landing folder."""
    return warehouse.rows(f"landing/libraries/koha_{name}*.csv")


def test_findings_are_the_faults_that_were_made(warehouse: Warehouse) -> None:
    truth, findings = set(warehouse.faults("koha")), warehouse.findings("koha")
    assert len(findings) == len(truth) > 8
    assert {"LIB01", "LIB03", "LIB04", "LIB05"} <= {code for *_, code in truth}
    assert set(findings) == truth


def test_loans_are_those_of_members(warehouse: Warehouse) -> None:
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


def test_active_members_are_those_who_borrowed_in_the_last_year(warehouse: Warehouse) -> None:
    events = [row for row in extract(warehouse, "statistics") if row["type"] != "return"]
    last = max(date.fromisoformat(row["datetime"][:10]) for row in extract(warehouse, "statistics"))
    members = {
        row["borrowernumber"]
        for row in extract(warehouse, "borrowers")
        if row["dateofbirth"] and row["debarredcomment"] != "Deceased"
    }
    a_year_ago = (last - timedelta(365)).isoformat()  # no leap day lies in it
    active = {row["borrowernumber"] for row in events if row["datetime"][:10] > a_year_ago} & members
    assert warehouse.sql("select count(*) from libraries.fct_members where is_active") == [(len(active),)]
    assert 0 < len(active) < len(members)


def test_visits_are_the_workbooks_own_totals(warehouse: Warehouse) -> None:
    totals = 0
    for file in (warehouse.home / "landing/libraries").glob("footfall_*.xlsx"):
        book = openpyxl.load_workbook(file, data_only=True)
        sheet = next(sheet for sheet in book.worksheets if sheet.title.startswith("20"))
        totals += next(row[14] for row in sheet.iter_rows(values_only=True) if row[0] == "Total")
    assert warehouse.sql("select sum(visits_reported) from libraries.fct_visit_months") == [(totals,)]
    assert warehouse.sql("select count(*) from libraries.fct_visit_months where visits is null") == [(3,)]


def test_a_later_day_tells_the_same_loans_and_what_has_happened_since() -> None:
    early, late = (
        dict(koha.files(county, Truth(county, "koha")))
        for county in (County(people=1000), County(people=1000, day=date(2026, 11, 30)))
    )
    name = "libraries/koha_statistics_2025_001.csv"
    assert late[name] == early[name]
    name = "libraries/koha_statistics_2026_001.csv"
    assert len(late[name]) > len(early[name])


def test_readers_see_no_token(warehouse: Warehouse) -> None:
    columns = warehouse.sql(
        "select column_name from information_schema.columns where table_schema = 'libraries' "
        "and column_name ~ 'borrower|token|surname|postcode|email|phone'"
    )
    assert columns == []
