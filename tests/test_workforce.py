"""HR and payroll from monthly workbooks to the marts: findings are the injected faults, figures equal the source."""

import io
from collections import Counter, defaultdict
from datetime import date, timedelta

import pytest
from python_calamine import CalamineWorkbook

from demo import itrent
from demo.county import County, Truth
from tests.support import HOLIDAYS, Warehouse

LAST = date(2026, 10, 31)


@pytest.fixture(scope="module")
def made() -> tuple[dict[str, list[dict]], list[dict], dict[str, bytes]]:
    """{sheet: rows} of all workbooks, the injected faults, and the workbooks."""
    truth, found = Truth(County(people=1_000), "itrent"), defaultdict(list)
    books = dict(itrent.files(truth.county, truth))
    for content in books.values():
        book = CalamineWorkbook.from_filelike(io.BytesIO(content))
        for sheet in book.sheet_names:
            _, _, _, header, *rows = book.get_sheet_by_name(sheet).to_python()
            found[sheet] += [dict(zip(header, row, strict=True)) for row in rows]
    return found, truth.read()[0], books


def posts_in_force(made) -> dict[tuple[date, str], list[dict]]:
    """Return {(month end, employee number): posts} without posts that ended in an earlier month."""
    found = defaultdict(list)
    for row in made[0]["Employees"]:
        month_end = row["Extract Date"]
        if not row["Leaving Date"] or row["Leaving Date"] >= month_end.replace(day=1):
            found[month_end, row["Employee Number"]].append(row)
    return found


def test_an_earlier_day_has_the_same_workbooks_and_no_later_one(made) -> None:
    county = County(people=1_000, day=date(2026, 3, 30))
    books = dict(itrent.files(county, Truth(county, "itrent")))
    assert list(books) == list(made[2])[:16]
    assert all(made[2][path] == content for path, content in books.items())


def test_workforce_findings_are_exactly_the_injected_faults(warehouse: Warehouse, made) -> None:
    faults = warehouse.faults("itrent")
    assert sorted(warehouse.findings("itrent")) == sorted(faults)
    assert len(faults) == len(made[1])
    assert {fault[-1] for fault in faults} >= {"HRP01", "HRP02", "HRP03", "HRP04", "HRP05", "NIN01", "DOB01"}


def test_each_employee_counts_once_in_a_month(warehouse: Warehouse, made) -> None:
    headcount, fte, leavers = defaultdict(int), defaultdict(float), defaultdict(int)
    for (month_end, _), posts in posts_in_force(made).items():
        is_employed = any(not post["Leaving Date"] or post["Leaving Date"] > month_end for post in posts)
        headcount[month_end] += is_employed
        leavers[month_end] += not is_employed
        hours = [float(post["FTE"]) for post in posts]
        fte[month_end] += min(1, sum(min(1, each) for each in hours)) if is_employed else 0
    found = warehouse.sql(
        "select month_end_date, sum(headcount)::int, sum(fte)::float, count(*) filter (where is_leaver)::int "
        "from workforce.fct_headcount_months group by 1"
    )
    assert {row[0]: row[1] for row in found} == headcount
    assert {row[0]: row[2] for row in found} == {month: pytest.approx(number) for month, number in fte.items()}
    assert {row[0]: row[3] for row in found} == {month: leavers[month] for month in headcount}
    rows = [row for row in made[0]["Employees"] if row["Extract Date"] == LAST]
    assert len(rows) > headcount[LAST] > 90, "some hold two posts, and leavers are included"


def test_working_days_lost_are_counted_by_hours(warehouse: Warehouse, made) -> None:
    latest = {row["Absence Ref"]: row for row in made[0]["Absence"]}  # workbooks are in order
    posts, days, by_hours = posts_in_force(made), 0, 0.0
    for row in latest.values():
        day, last = row["First Day"], row["Last Day"] or row["Extract Date"]
        while day <= last:
            month_end = (day.replace(day=28) + timedelta(4)).replace(day=1) - timedelta(1)
            if day.weekday() < 5 and day not in HOLIDAYS and (held := posts.get((month_end, row["Employee Number"]))):
                hours = [float(post["FTE"]) for post in held]
                days, by_hours = days + 1, by_hours + min(1, sum(min(1, each) for each in hours))
            day += timedelta(1)
    query = "select count(*), sum(working_days_lost), sum(fte_days_lost)::float from workforce.fct_absences"
    assert warehouse.sql(query) == [(len(latest), days, pytest.approx(by_hours))]
    assert warehouse.sql("select sum(fte_days_lost)::float from workforce.fct_headcount_months") == [
        (pytest.approx(by_hours),)
    ]


def test_organisation_units_keep_their_versions_around_the_restructure(warehouse: Warehouse) -> None:
    found = warehouse.sql(
        "select unit_code, unit_name, directorate_name, valid_from_date, valid_to_date "
        "from workforce.dim_organisation_units where unit_code in ('PH01', 'CE02', 'EN03') order by 1, 4"
    )
    begin, end = date(2024, 11, 1), itrent.RESTRUCTURE - timedelta(1)
    assert found == [
        ("CE02", "Transformation", "Chief Executive", begin, end),
        ("CE02", "Digital and Change", "Resources", itrent.RESTRUCTURE, None),
        ("EN03", "Economy Support", "Economy and Infrastructure", begin, end),
        ("PH01", "Public Health", "Adults and Communities", begin, end),
        ("PH01", "Public Health", "Public Health and Wellbeing", itrent.RESTRUCTURE, None),
    ]


def test_posts_and_their_holders_equal_the_workbook_of_each_month(warehouse: Warehouse, made) -> None:
    expected = posts_in_force(made)
    found = dict(
        warehouse.sql(
            "select m.month_end_date, count(distinct p.position_key) from workforce.dim_positions as p "
            "inner join (select distinct month_end_date from workforce.fct_headcount_months) as m "
            "on m.month_end_date between p.valid_from_date and coalesce(p.valid_to_date, 'infinity') group by 1"
        )
    )
    posts = Counter()
    for (month, _), rows in expected.items():
        posts[month] += len(rows)
    assert found == posts
    at_the_top = "select count(*) from workforce.dim_positions where is_current and manager_position_key is null"
    whole = "select count(*) from workforce.dim_positions where is_current"
    assert 0 < warehouse.sql(at_the_top)[0][0] < warehouse.sql(whole)[0][0] / 4, "most posts report to another post"
    unknown = (
        "select 1 from workforce.fct_headcount_months as h where is_employed_at_month_end and not exists (select from "
        "workforce.dim_employees as e where e.person_key = h.person_key)"
    )
    assert warehouse.sql(unknown) == []


def test_workforce_readers_see_no_token_and_no_small_count(warehouse: Warehouse) -> None:
    for (table,) in warehouse.sql("select table_name from information_schema.tables where table_schema = 'workforce'"):
        assert (
            warehouse.sql(f"select 1 from workforce.{table} as t where t::text ~ 'k\\d_[0-9a-f]{{32}}' limit 1") == []
        )
    shown = warehouse.sql(
        'select min("Headcount"), count(*) filter (where "Headcount" is null) from workforce.rpt_headcount_by_unit'
    )
    assert shown[0][0] >= 5
    assert shown[0][1] > 0
