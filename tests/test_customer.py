"""The contact centre from the API to its marts: findings are the faults, and figures are those counted beside dbt."""

from collections import Counter
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from conftest import HOLIDAYS, Warehouse

from demo import dynamics
from demo.county import County, Truth

LONDON = ZoneInfo("Europe/London")


@pytest.fixture(scope="module")
def made() -> tuple[dict[str, dict[str, dict]], list[dict]]:
    """{path: {key: row}} of what the API serves, and its faults."""
    county = County(people=1_000)
    truth, found = Truth(county, "dynamics"), {path: {} for path in dynamics.RESOURCES}
    for path, row in dynamics.requests(county, truth):
        found[path][row[dynamics.RESOURCES[path].key]] = row
    return found, truth.read()[0]


def is_worked(day: date) -> bool:
    return day.weekday() < 5 and day not in HOLIDAYS


def hours_worked(begin: datetime, end: datetime) -> float:
    """Hours between two moments, counted day by day from 9 to 17 o'clock."""
    hours, day = 0.0, begin.date()
    while day <= end.date():
        opens, closes = (datetime.combine(day, time(hour), LONDON) for hour in (9, 17))
        if is_worked(day):
            hours += max(timedelta(0), min(end, closes) - max(begin, opens)) / timedelta(hours=1)
        day += timedelta(1)
    return hours


def test_the_same_county_on_a_later_day_has_the_same_and_more(made) -> None:
    now, before = made[0], {path: {} for path in dynamics.RESOURCES}
    county = County(people=1_000, day=date(2026, 9, 30))
    for path, row in dynamics.requests(county, Truth(county, "dynamics")):
        before[path][row[dynamics.RESOURCES[path].key]] = row
    for path, rows in before.items():
        assert len(rows) < len(now[path])
        changed = [now[path][key] for key, row in rows.items() if now[path][key] != row]
        assert all(row["modifiedon"] > "2026-10" for row in changed), path
        assert max(row["modifiedon"] for row in rows.values()) < "2026-10"


def test_findings_are_the_faults(warehouse: Warehouse, made) -> None:
    def shown(rows: list[tuple]) -> set[tuple]:
        """A contact goes by another key in findings than by its number."""
        return {(table, None if table.endswith("contacts") else key, *rest) for table, key, *rest in rows}

    faults, findings = warehouse.faults("dynamics"), warehouse.findings("dynamics")
    assert shown(findings) == shown(faults)
    assert len(findings) == len(faults) == len(made[1]) > 20
    assert {row[-1] for row in faults} > {"CRM01", "CRM02", "CRM03", "CRM04", "FOI01", "FOI02"}


def test_the_marts_hold_everything_but_tests(warehouse: Warehouse, made) -> None:
    incidents, interactions = made[0]["incidents"], made[0]["interactions"]
    tests = {key for key, row in incidents.items() if row["title"].startswith("TEST")}
    assert tests
    assert warehouse.sql("select case_reference from customer.fct_cases order by 1") == [
        (key,) for key in sorted(incidents.keys() - tests)
    ]
    channels = Counter(row["contacttype"] for row in interactions.values() if row["ticketnumber"] not in tests)
    names = {"Email": "E-mail", "Internet": "Web", "Personal Visit": "Visit"}
    counted = "select channel_name, count(*) from customer.fct_contacts group by 1"
    assert dict(warehouse.sql(counted)) == {names.get(name, name): number for name, number in channels.items()}
    assert warehouse.sql("select count(*) from customer.fct_foi_requests") == [(len(made[0]["foi_requests"]),)]


def test_cases_took_the_working_time_that_they_took(warehouse: Warehouse, made) -> None:
    expected = {}
    for key, row in made[0]["incidents"].items():
        if row["statecode"] == 1 and row["resolvedon"] and row["resolvedon"] >= row["createdon"]:
            begin, end = (datetime.fromisoformat(row[name]).astimezone(LONDON) for name in ("createdon", "resolvedon"))
            expected[key] = hours_worked(begin, end)
    rows = warehouse.sql(
        "select case_reference, close_working_hours::float, is_within_service_level, service_level_hours "
        "from customer.fct_cases where is_within_service_level is not null and not is_open"
    )
    assert len(rows) > 300
    for key, hours, is_within, limit in rows:
        assert hours == pytest.approx(expected[key], abs=0.006), key
        assert is_within == (round(expected[key], 2) <= limit), key


def test_requests_for_information_are_in_time_by_the_calendar(warehouse: Warehouse, made) -> None:
    expected = Counter()
    for row in made[0]["foi_requests"].values():
        received, answered = (date.fromisoformat(row[name] or "1900-01-01") for name in ("receivedon", "answeredon"))
        if answered >= received and row["outcome"] != "Withdrawn":
            days = [received + timedelta(n) for n in range(1, (answered - received).days + 1)]
            expected[sum(map(is_worked, days)) <= 20] += 1
    query = "select is_in_20_working_days, count(*) from customer.fct_foi_requests where not is_open group by 1"
    found = dict(warehouse.sql(query))
    assert {kind: found[kind] for kind in (True, False)} == expected
    assert expected[False] > 5


def test_no_token_reaches_a_mart_and_a_persons_key_is_this_sets_alone(warehouse: Warehouse) -> None:
    for (table,) in warehouse.sql("select table_name from information_schema.tables where table_schema = 'customer'"):
        assert warehouse.sql(f"select 1 from customer.{table} as t where t::text ~ 'k\\d_[0-9a-f]{{32}}' limit 1") == []
    joined = "select count(*) from customer.fct_cases as c inner join quality.fct_findings as f "
    assert warehouse.sql(joined + "on c.person_key::text = f.record_key") == [(0,)]
