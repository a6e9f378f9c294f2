"""Education: findings are exactly the injected faults, and the marts count the records that schools sent."""

import csv
from collections import Counter
from datetime import date

from demo import capita
from demo.county import County, Truth
from tests.support import Warehouse


def extract(warehouse: Warehouse, name: str) -> list[dict]:
    """Return the rows of the extracts with that name in the landing folder."""
    return warehouse.rows(f"landing/education/{name}*.csv")


def test_education_findings_are_exactly_the_injected_faults(warehouse: Warehouse) -> None:
    truth, findings = set(warehouse.faults("capita")), warehouse.findings("capita")
    assert len(findings) == len(truth) > 20
    assert set(findings) == truth


def test_attendance_counts_pupils_under_any_form_of_their_number(warehouse: Warehouse) -> None:
    present = {row["former_upn"]: row["upn"] for row in extract(warehouse, "pupils") if row["former_upn"]}
    weeks: dict[tuple, Counter] = {}
    school = {row["urn"]: row["predecessor_urn"] or row["urn"] for row in extract(warehouse, "schools")}
    attended, absent = {"/\\", "L"}, {"I", "M", "C", "G", "N", "O"}
    for row in extract(warehouse, "attendance"):
        upn = present.get(row["upn"], row["upn"])
        week = weeks.setdefault((upn, school[row["urn"]], row["week_commencing"]), Counter())
        kind = "attended" if row["session_code"] in attended else "possible" if row["session_code"] in absent else "no"
        week[kind] += int(row["sessions"])
    expected = Counter((week["attended"], week["attended"] + week["possible"]) for week in weeks.values())
    found = warehouse.sql("select sessions_attended, sessions_possible from education.fct_attendance_weeks")
    assert Counter(found) == expected


def test_plans_issued_within_20_weeks_equal_the_extract(warehouse: Warehouse) -> None:
    """The demo county has few plans. In a larger county the share is nearly half, and 4% of pupils have a plan."""
    issued = [row for row in extract(warehouse, "ehcps") if row["issued_date"]]
    found = warehouse.sql("select count(issued_date), count(*) from education.fct_ehcps")
    assert found == [(len(issued), len(extract(warehouse, "ehcps")))]
    county = County(people=20_000)
    files = dict(capita.files(county, Truth(county, "capita")))
    rows = {
        name: list(csv.DictReader(files[f"education/{name}.csv"].decode().splitlines())) for name in ("pupils", "ehcps")
    }
    plans = [row for row in rows["ehcps"] if row["issued_date"]]
    assert 0.03 < len(plans) / len(rows["pupils"]) < 0.05


def test_a_later_day_of_education_keeps_earlier_rows_and_adds_new_ones() -> None:
    early, late = (
        dict(capita.files(county, Truth(county, "capita")))
        for county in (County(people=1000), County(people=1000, day=date(2026, 11, 30)))
    )
    for name, content in early.items():
        if "attendance" in name:
            assert late[name].startswith(content)
    assert len(late["education/attendance_2026_001.csv"]) > len(early["education/attendance_2026_001.csv"])


def test_education_readers_see_no_token_and_no_pupil_number(warehouse: Warehouse) -> None:
    columns = warehouse.sql(
        "select column_name from information_schema.columns where table_schema = 'education' "
        "and (column_name ~ 'upn|token|name_fault' or column_name in ('surname', 'forename', 'postcode'))"
    )
    assert columns == []
