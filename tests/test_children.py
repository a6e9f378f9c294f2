"""Children's social care: findings, the figures of the marts, and the published return."""

import csv
from collections import defaultdict
from datetime import date, datetime, timedelta
from itertools import pairwise

import pytest
from govuk_bank_holidays.bank_holidays import BankHolidays

from demo import liquidlogic
from demo.county import County, Truth
from tests.support import REAL_DATA, Published, Warehouse


@pytest.fixture(scope="module")
def held() -> dict[str, list[tuple]]:
    """The Liquidlogic rows of the county that the shared warehouse has loaded."""
    return rows_of(County(people=1_000))


def rows_of(county: County) -> dict[str, list[tuple]]:
    found = defaultdict(list)
    for table, row in liquidlogic.rows(county, Truth(county, "liquidlogic")):
        found[table].append(row)
    return found


def day_of(value: datetime | str | None) -> date | None:
    """Return the day of a time, or of a text in its place (an injected fault)."""
    return value and (date.fromisoformat(value[:10]) if isinstance(value, str) else value.date())


def number_of(row: tuple) -> int | None:
    """Return the number of the child that a row is about, or None."""
    number = int(row.dim_person_id)
    return None if number < 0 else number % 500_000 if number < 5_000_000 else number - 5_000_000


@pytest.mark.parametrize("system", ["liquidlogic", "ssda903"])
def test_childrens_findings_are_exactly_the_injected_faults(warehouse: Warehouse, system: str) -> None:
    truth, findings = set(warehouse.faults(system)), warehouse.findings(system)
    known_as = dict(  # findings identify a person record by a key instead of its number
        warehouse.sql(
            "select distinct keys.finding_record_key, (500000 + stays.dim_person_address_id / 100)::text "
            "from raw_liquidlogic.dim_person_address as stays "
            "inner join conformed.bridge_children_persons as keys on stays.dim_person_id = keys.person_token"
        )
    )
    assert {(table, known_as.get(key, key), *rest) for table, key, *rest in findings} == truth
    assert len(findings) == len(truth)
    assert len(truth) > {"liquidlogic": 20, "ssda903": 0}[system]


def test_every_childrens_record_is_in_its_mart(warehouse: Warehouse, held: dict[str, list[tuple]]) -> None:
    marts = {
        "fact_referrals": "fct_referral_journeys",
        "fact_care_episodes": "fct_care_episodes",
        "fact_cp_plan": "fct_protection_plans",
    }
    for table, mart in marts.items():
        landed = warehouse.sql(f"select count(*) from raw_liquidlogic.{table}")
        assert landed == warehouse.sql(f"select count(*) from children.{mart}") == [(len(held[table]),)]
    surviving = [row for row in held["dim_person"] if not row.duplicated_dttm]
    merged = len(held["dim_person"]) - len(surviving)
    children = warehouse.sql("select count(*) from children.dim_children where child_key <> -1")[0][0]
    assert merged > 0
    assert len(surviving) <= children <= len(surviving) + merged, "faulty names do not match"


def test_children_in_care_at_month_end_equal_the_care_periods(
    warehouse: Warehouse, held: dict[str, list[tuple]]
) -> None:
    counted = dict(
        warehouse.sql("select month_end_date, count(*) from children.fct_looked_after_months group by month_end_date")
    )
    last = warehouse.sql("select max(as_at_date) from children.fct_referral_journeys")[0][0]
    first_of_month = [date(year, month, 1) for year in range(2018, 2027) for month in range(1, 13)]
    expected = {}
    for day in (first - timedelta(1) for first in first_of_month if first - timedelta(1) <= last):
        spans = ((number_of(row), day_of(row.start_dttm), day_of(row.end_dttm)) for row in held["fact_cla"])
        expected[day] = len({child for child, start, end in spans if start <= day and (end is None or end > day)})
    assert counted == {day: number for day, number in expected.items() if number}
    assert max(counted.values()) > 1


def test_rereferrals_and_timely_assessments_equal_the_case_system(
    warehouse: Warehouse, held: dict[str, list[tuple]]
) -> None:
    opened, completed = defaultdict(list), {}
    for row in held["fact_referrals"]:
        if (child := number_of(row)) is not None:
            opened[child].append(day_of(row.refrl_start_dttm))
    again = sum(
        any(earlier < later <= earlier.replace(year=earlier.year + 1) for earlier in days)
        for days in opened.values()
        for later in days
    )
    for row in held["fact_single_assessment"]:
        completed[row.fact_referral_id] = day_of(row.completed_dttm)
    calendar, in_time = BankHolidays(use_cached_holidays=True), 0
    for row in held["fact_referrals"]:
        if done := completed.get(row.fact_referral_id):
            days = (day_of(row.refrl_start_dttm) + timedelta(n) for n in range(1, 200))
            worked = [day for day in days if calendar.is_work_day(day, division=BankHolidays.ENGLAND_AND_WALES)]
            in_time += sum(day <= done for day in worked) <= 45
    assert warehouse.sql(
        "select count(*) filter (where is_rereferral), count(*) filter (where is_assessed_in_time) "
        "from children.fct_referral_journeys"
    ) == [(again, in_time)]
    assert again > 5
    assert in_time > 10


def test_childrens_counts_under_five_are_suppressed(warehouse: Warehouse) -> None:
    for report, counts in {
        "rpt_referrals_by_month": [
            "Referrals",
            "No further action",
            "Repeat referrals",
            "Assessed",
            "Assessments completed late",
        ],
        "rpt_looked_after_by_month": ["Children looked after", "Aged under 5", "Aged 16 and 17"],
    }.items():
        least = ", ".join(f'nullif("{count}", 0)' for count in counts)
        assert warehouse.sql(f"select count(*) from children.{report} where least({least}) < 5") == [(0,)]


def possible(shown: int | None) -> tuple[int, int]:
    """Return the least and greatest count that a reader must think possible for a figure rounded to 5."""
    return (1, 4) if shown is None else (max(5, shown - 2), shown + 2) if shown else (0, 0)


def test_no_suppressed_number_of_children_can_be_recovered_from_totals(warehouse: Warehouse) -> None:
    """The attack: subtract the least and the greatest possible values of all other placements from the total."""
    months = defaultdict(dict)
    report = 'select "Month end", "Placement", "Children looked after" from children.rpt_looked_after_by_month'
    for day, placement, shown in warehouse.sql(report):
        months[day][placement] = shown
    suppressed = 0
    for day, placements in months.items():
        total = placements.pop("All placements")
        bounds = {name: possible(shown) for name, shown in placements.items()}
        least, greatest = (sum(bound[n] for bound in bounds.values()) for n in (0, 1))
        low, high = possible(total) if total is not None else (least, greatest)
        for name, (lower, upper) in bounds.items():
            if placements[name] is None:
                suppressed += 1
                lower, upper = max(lower, low - (greatest - upper)), min(upper, high - (least - lower))
                assert lower < upper, (day, name)
    assert suppressed > 20


def test_a_later_day_of_liquidlogic_keeps_earlier_rows_and_adds_new_ones() -> None:
    before, after = (rows_of(County(people=2_000, day=day)) for day in (date(2026, 3, 31), date(2026, 10, 31)))
    for table in liquidlogic.TABLES:
        keys = [{row[0] for row in found[table]} for found in (before, after)]
        assert keys[0] <= keys[1], table
    assert len(before["fact_referrals"]) < len(after["fact_referrals"])
    assert all(row.updated_dttm.date() <= date(2026, 3, 31) for found in before.values() for row in found)


def test_the_published_ssda903_return_loads_through_the_demo_contract(published: Published) -> None:
    results = {result.table: result for result in published.results["ssda903"]}
    assert {table: result.rows for table, result in results.items()} == {
        "header": 2_675, "episodes": 5_050, "reviews": 12_582, "missing": 43, "oc2": 2_675, "oc3": 53,
    }  # fmt: skip
    assert not any(result.quarantined or result.new_columns for result in results.values())
    assert published.trial.sql("select count(distinct child) from raw_ssda903.header") == [(2_675,)]


def test_findings_of_the_published_ssda903_return_are_documented(published: Published) -> None:
    episodes = defaultdict(list)
    with (REAL_DATA / "children/episodes.csv").open(encoding="utf-8-sig", newline="") as file:
        for row in csv.DictReader(file):
            began, ended = (datetime.strptime(row[name] or "31/12/9999", "%d/%m/%Y") for name in ("DECOM", "DEC"))
            episodes[row["CHILD"]].append((began, ended))
    late = sum(
        ended > following and ended.year < 9999
        for held in map(sorted, episodes.values())
        for (_, ended), (following, _) in pairwise(held)
    )
    findings = published.findings("ssda903", "SSDA903")
    assert findings["episodes", "dec", "SSD02"] == late > 0


def test_a_worker_who_moves_keeps_the_team_of_earlier_weeks(county: Warehouse) -> None:
    query = "select worker_key, week_start_date, team_name, open_cases from children.fct_caseloads"
    before = set(county.sql(query))
    moved = max(week for _, week, *_ in before) - timedelta(weeks=10)
    latest_worker = (
        "(select dim_worker_id from fact_involvements where is_allocated_cw_flag = 'Y' "
        "group by dim_worker_id order by max(start_dttm) desc limit 1)"
    )
    county.sql(
        "update dim_worker set department_name = 'Through Care', updated_dttm = %s where dim_worker_id = "
        + latest_worker,
        (moved,),
        url=county.source("liquidlogic"),
    )
    assert county.load("liquidlogic")["dim_worker"] == 1
    county.build("children", upstream=False)
    after = set(county.sql(query))
    workers = {row[0] for row in after - before}
    assert len(workers) == 1
    later = {row for row in before if row[0] in workers and row[1] >= moved}
    assert {row for row in before if row[0] in workers} - later, "the worker had cases before, too"
    assert after == before - later | {(worker, week, "Through Care", cases) for worker, week, _, cases in later}
