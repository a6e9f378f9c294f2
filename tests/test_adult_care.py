"""Adult social care from Mosaic to the marts: findings are the injected faults, and figures equal the source."""

from collections import defaultdict
from datetime import date

import pytest

from demo import mosaic
from demo.county import County, Truth
from tests.support import Warehouse

A_YEAR_END = date(2026, 3, 31)
A_WEEK = {"Weekly": 1, "Four-Weekly": 13 / 52, "Monthly": 12 / 52, "Annually": 1 / 52}


def rows_held(county: County) -> dict[str, dict[int, tuple]]:
    """Return the rows of Mosaic as {table: {key: row}}; empty text is null, as in a database."""
    found = defaultdict(dict)
    for table, row in mosaic.rows(county, Truth(county, "mosaic")):
        assert row[0] not in found[table], "keys are unique"
        found[table][row[0]] = type(row)(*(None if value == "" else value for value in row))
    return found


@pytest.fixture(scope="module")
def held() -> dict[str, dict[int, tuple]]:
    """The rows of Mosaic in the county that the warehouse was filled from."""
    return rows_held(County(people=1_000))


def test_a_later_day_of_mosaic_keeps_earlier_rows_and_adds_new_ones() -> None:
    then, now = rows_held(County(people=5_000, day=date(2025, 3, 31))), rows_held(County(people=5_000))
    changed = 0
    for table in mosaic.TABLES:
        for key, row in then[table].items():
            later = now[table][key]
            if table != "dm_organisations":
                assert row.last_updated_on.date() <= date(2025, 3, 31)
                assert later == row or later.last_updated_on > row.last_updated_on, "a load by cursor sees the change"
                changed += later != row
        for key, row in now[table].items():
            assert key in then[table] or row.last_updated_on.date() > date(2025, 3, 31)
    assert changed > 20


def test_adult_care_findings_are_exactly_the_injected_faults(warehouse: Warehouse) -> None:
    named = dict(
        warehouse.sql(
            "select ref_addresses_people_id / 10, finding_record_key from raw_mosaic.dm_addresses "
            "inner join conformed.int_care_people_conformed on person_id = person_token"
        )
    )  # findings identify a person by a key that no other table has
    truth = [
        (table, named[int(key)] if table.endswith("dm_persons") else key, *rest)
        for table, key, *rest in warehouse.faults("mosaic")
    ]
    assert sorted(warehouse.findings("mosaic")) == sorted(truth)
    assert len({rule for *_, rule in truth if rule.startswith("ASC")}) > 3


def test_every_care_event_reaches_the_mart(warehouse: Warehouse, held: dict) -> None:
    published = warehouse.sql("select event_type, count(*)::int from adult_care.fct_care_events group by event_type")
    tables = {
        "Request": "dm_requests",
        "Assessment": "dm_assessments",
        "Service": "dm_services",
        "Review": "dm_reviews",
    }
    assert dict(published) == {event: len(held[table]) for event, table in tables.items()}
    units = sum(service.planned_units_per_week for service in held["dm_services"].values())
    assert warehouse.sql("select sum(planned_units_per_week)::float from adult_care.fct_care_events") == [(units,)]


def test_long_term_support_at_year_end_equals_the_source(warehouse: Warehouse, held: dict) -> None:
    people, cost = defaultdict(set), defaultdict(float)
    for service in held["dm_services"].values():
        person = held["dm_persons"][service.person_id]
        ends = min(service.end_date or date.max, person.date_of_death or date.max)
        if not (service.service_type.startswith("Long Term") and service.start_date <= A_YEAR_END <= ends):
            continue
        born = person.date_of_birth
        group = "Not known"
        if born not in ("1900-01-01", str(person.created_on)):
            age = A_YEAR_END.year - born.year - ((born.month, born.day) > (A_YEAR_END.month, A_YEAR_END.day))
            group = "65 and over" if age >= 65 else "18 to 64"
        people[group].add(service.person_id)
        units = service.planned_units_per_week
        by_the_hour = service.cost_frequency == "Weekly" and units > 1
        if not by_the_hour:
            cost[group] += float(service.unit_cost) * A_WEEK.get(service.cost_frequency, units)
    published = warehouse.sql(
        "select age_group, count(distinct person_key), sum(weekly_cost_gbp)::float "
        "from adult_care.fct_long_term_support_months where month_end_date = %s group by age_group",
        (A_YEAR_END,),
    )
    assert {group: number for group, number, _ in published} == {group: len(found) for group, found in people.items()}
    assert sum(map(len, people.values())) > 3
    for group, _, pounds in published:
        assert pounds == pytest.approx(cost[group], abs=0.05)


def test_days_to_assessment_equal_the_source(warehouse: Warehouse, held: dict) -> None:
    requests = held["dm_requests"]
    waits = [
        (assessment.start_date - requests[assessment.request_id].request_date).days
        for assessment in held["dm_assessments"].values()
        if not isinstance(assessment.start_date, str)  # an injected fault: before its request
    ]
    assert warehouse.sql(
        "select count(assessment_days)::int, sum(assessment_days)::int from adult_care.fct_request_outcomes"
    ) == [(len(waits), sum(waits))]


def test_only_the_named_group_reads_restricted_people(warehouse: Warehouse, held: dict) -> None:
    restricted = {key for key, person in held["dm_persons"].items() if person.restricted == "Y"}
    theirs = sum(row.person_id in restricted for row in held["dm_requests"].values())
    whole, some = (warehouse("url", "--reader", login).strip() for login in ("pbi_adult_care", "pbi_adult_care_open"))
    count = "select count(*)::int from {}.fct_request_outcomes"
    assert warehouse.sql(count.format("adult_care"), url=whole) == [(len(held["dm_requests"]),)]
    assert warehouse.sql(count.format("adult_care_open"), url=some) == [(len(held["dm_requests"]) - theirs,)]
    assert theirs > 0
    for mart in ("fct_care_events", "fct_long_term_support_months"):
        assert warehouse.sql(f"select distinct restriction from adult_care_open.{mart}", url=some) == [("open",)]


def test_adult_care_counts_under_five_are_suppressed(warehouse: Warehouse) -> None:
    for report in ("rpt_long_term_support_by_month", "rpt_requests_by_outcome"):
        few, smallest = warehouse.sql(
            f'select count(*) filter (where "People" is null), min("People") from adult_care.{report}'
        )[0]
        assert few > 0
        assert (smallest or 5) >= 5


def test_a_request_has_the_district_of_the_persons_home_on_that_day(
    warehouse: Warehouse, held: dict[str, dict[int, tuple]]
) -> None:
    districts = {
        postcode.replace(" ", ""): district
        for postcode, district in warehouse.sql("select postcode, district_name from conformed.dim_postcodes")
    }
    stays = defaultdict(list)
    for stay in held["dm_addresses"].values():
        stays[stay.person_id].append((stay.start_date, (stay.post_code or "").replace(" ", "").upper()))
    lived, moved = [], 0
    for request in held["dm_requests"].values():
        theirs = sorted(stays[request.person_id])
        began = [postcode for since, postcode in theirs if since <= request.request_date] or [theirs[0][1]]
        lived.append((request.request_date, districts.get(began[-1])))
        moved += districts.get(began[-1]) != districts.get(theirs[-1][1])
    published = warehouse.sql("select request_date, district_name from adult_care.fct_request_outcomes")
    assert sorted(published, key=str) == sorted(lived, key=str)
    assert moved, "somebody has moved to another district since"
