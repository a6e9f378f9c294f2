"""The contact centre, regulatory services and street reports from source to mart: findings are the injected faults, and
figures equal counts made without dbt, in the demo county and in published data.
"""

import csv
import re
from collections import Counter
from datetime import date, datetime, time, timedelta
from operator import itemgetter
from zoneinfo import ZoneInfo

import pytest

from demo import dynamics, itrent, regulatory
from demo.county import County, Truth
from tests.support import HOLIDAYS, REAL_DATA, Published, Warehouse

LONDON = ZoneInfo("Europe/London")
SERVICES = {  # {subject: (service, the responsible unit, and the unit since the restructure if it changed)}
    "Adult social care": ("ASC", "AD01"),
    "Countryside": ("CSD", "EN03", "EN04"),
    "Highways": ("HWY", "EN01"),
    "Libraries": ("LIB", "AD03"),
    "Registration": ("REG", "CE02"),
    "Schools": ("EDU", None),  # the council's company is responsible
    "Waste": ("WST", "EN02"),
}


@pytest.fixture(scope="module")
def made() -> tuple[dict[str, dict[str, dict]], list[dict]]:
    """{path: {key: row}} of the API's data, and the injected faults."""
    county = County(people=1_000)
    truth, found = Truth(county, "dynamics"), {path: {} for path in dynamics.RESOURCES}
    for path, row in dynamics.requests(county, truth):
        found[path][row[dynamics.RESOURCES[path].key]] = row
    return found, truth.read()[0]


def is_worked(day: date) -> bool:
    return day.weekday() < 5 and day not in HOLIDAYS


def hours_worked(begin: datetime, end: datetime) -> float:
    """Return the hours between two times, counted day by day from 09:00 to 17:00."""
    hours, day = 0.0, begin.date()
    while day <= end.date():
        opens, closes = (datetime.combine(day, time(hour), LONDON) for hour in (9, 17))
        if is_worked(day):
            hours += max(timedelta(0), min(end, closes) - max(begin, opens)) / timedelta(hours=1)
        day += timedelta(1)
    return hours


def test_a_later_day_of_the_contact_centre_keeps_earlier_rows_and_adds_new_ones(made) -> None:
    now, before = made[0], {path: {} for path in dynamics.RESOURCES}
    county = County(people=1_000, day=date(2026, 9, 30))
    for path, row in dynamics.requests(county, Truth(county, "dynamics")):
        before[path][row[dynamics.RESOURCES[path].key]] = row
    for path, rows in before.items():
        assert len(rows) < len(now[path])
        changed = [now[path][key] for key, row in rows.items() if now[path][key] != row]
        assert all(row["modifiedon"] > "2026-10" for row in changed), path
        assert max(row["modifiedon"] for row in rows.values()) < "2026-10"


def test_contact_centre_findings_are_exactly_the_injected_faults(warehouse: Warehouse, made) -> None:
    def shown(rows: list[tuple]) -> set[tuple]:
        """Replace the number of a contact by the key that findings use."""
        return {(table, None if table.endswith("contacts") else key, *rest) for table, key, *rest in rows}

    faults, findings = warehouse.faults("dynamics"), warehouse.findings("dynamics")
    assert shown(findings) == shown(faults)
    assert len(findings) == len(faults) == len(made[1]) > 20
    assert {row[-1] for row in faults} > {"CRM01", "CRM02", "CRM03", "CRM04", "FOI01", "FOI02"}


def test_customer_marts_hold_every_record_except_test_records(warehouse: Warehouse, made) -> None:
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


def test_working_hours_of_cases_equal_the_calendar(warehouse: Warehouse, made) -> None:
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


def test_cases_and_contacts_have_the_service_version_of_the_opening_day(warehouse: Warehouse, made) -> None:
    expected = {}
    for key, row in made[0]["incidents"].items():
        if not row["title"].startswith("TEST"):
            opened = datetime.fromisoformat(row["createdon"]).astimezone(LONDON).date()
            is_later, (service, *teams) = opened >= itrent.RESTRUCTURE, SERVICES[row["subject"]]
            unit = itrent.UNITS.get(teams[-1 if is_later else 0])
            now = unit and (unit.name, unit.directorate)
            expected[key] = (service, *((unit.later if unit and unit.later and is_later else now) or (None, None)))
    cases = warehouse.sql(
        "select case_reference, service_code, unit_name, directorate_name "
        "from customer.fct_cases as c left join customer.dim_services as s on c.service_key = s.service_key"
    )
    assert {key: tuple(found) for key, *found in cases} == expected
    assert set(expected.values()) >= {
        ("REG", "Transformation", "Chief Executive"),
        ("REG", "Digital and Change", "Resources"),
        ("CSD", "Economy Support", "Economy and Infrastructure"),
        ("CSD", "Planning and Growth", "Economy and Infrastructure"),
        ("EDU", None, None),
    }
    differing = (
        "select 1 from customer.fct_contacts as c left join customer.fct_cases as f on c.case_key = f.case_key "
        "where c.service_key <> coalesce(f.service_key, -1)"
    )
    assert warehouse.sql(differing) == []


def test_each_service_has_one_responsible_team_on_every_day(warehouse: Warehouse) -> None:
    found = warehouse.sql(
        "select unit_code, unit_name, directorate_name, valid_from_date, valid_to_date, is_current "
        "from customer.dim_services where service_code in ('REG-CI', 'CSD') order by service_code, valid_from_date"
    )
    calendar, begin, change = date(2005, 4, 1), itrent.BEGIN, itrent.RESTRUCTURE
    before, day = change - timedelta(1), timedelta(1)
    assert found == [
        ("EN03", None, None, calendar, begin - day, False),
        ("EN03", "Economy Support", "Economy and Infrastructure", begin, before, False),
        ("EN04", "Planning and Growth", "Economy and Infrastructure", change, None, True),
        ("CE02", None, None, calendar, begin - day, False),
        ("CE02", "Transformation", "Chief Executive", begin, before, False),
        ("CE02", "Digital and Change", "Resources", change, None, True),
    ]
    days = (
        "select service_code, count(*) from customer.dim_services as s inner join customer.dim_dates as d "
        "on d.date_day between s.valid_from_date and coalesce(s.valid_to_date, 'infinity') "
        "group by service_code, date_day having count(*) <> 1"
    )
    assert warehouse.sql(days) == []
    missing = "select 1 from customer.dim_services where cost_centre_code is not null and cost_centre_name is null"
    assert warehouse.sql(missing) == [], "the demo ledger has every cost centre in the list"


def test_regulatory_service_requests_have_a_service(warehouse: Warehouse) -> None:
    expected = Counter(
        {"Noise complaint": "Noise", "Rat Complaint": "Pest control"}.get(
            row["Type"], "Noise" if row["Kind"] == "Noise Request" else "Environmental protection"
        )
        for row in made_requests(date(2026, 10, 31)).values()
    )
    found = (
        "select service_name, count(*) from customer.fct_service_requests as r "
        "left join customer.dim_services as s on r.service_key = s.service_key group by 1"
    )
    assert dict(warehouse.sql(found)) == expected
    assert len(expected) == 3


def test_no_token_reaches_a_mart_and_person_keys_differ_by_set(warehouse: Warehouse) -> None:
    for (table,) in warehouse.sql("select table_name from information_schema.tables where table_schema = 'customer'"):
        assert warehouse.sql(f"select 1 from customer.{table} as t where t::text ~ 'k\\d_[0-9a-f]{{32}}' limit 1") == []
    joined = "select count(*) from customer.fct_cases as c inner join quality.fct_findings as f "
    assert warehouse.sql(joined + "on c.person_key::text = f.record_key") == [(0,)]


@pytest.mark.parametrize(("system", "prefix", "rules"), [("regulatory", "REG", 8), ("fixmystreet", "FMS", 5)])
def test_findings_in_files_are_exactly_the_injected_faults(
    warehouse: Warehouse, system: str, prefix: str, rules: int
) -> None:
    faults, findings = warehouse.faults(system), warehouse.findings(system)
    assert sorted(findings) == sorted(faults)
    assert {rule for *_, rule in faults} == {f"{prefix}{number:02}" for number in range(1, rules + 1)}


def made_requests(day: date) -> dict[str, dict[str, str]]:
    """Return {reference: row} from the files of the county's regulatory service."""
    county = County(people=1_000, day=day)
    files = regulatory.files(county, Truth(county, "regulatory"))
    rows = [row for _, content in files for row in csv.DictReader(content.decode().splitlines(True))]
    assert len(rows) == len({row["Ref"] for row in rows})
    return {row["Ref"]: row for row in rows}


def test_a_later_day_of_service_requests_keeps_earlier_rows_and_adds_new_ones() -> None:
    before, after = made_requests(date(2026, 3, 31)), made_requests(date(2026, 10, 31))
    assert before.keys() < after.keys()
    assert all(row == after[ref] for ref, row in before.items() if row["Status"] == "Closed")
    stated = [row[name] for row in before.values() for name in ("ReceivedDate", "ClosedDate") if row[name]]
    assert max(map(moment, stated)).date() <= date(2026, 3, 31)


def moment(text: str) -> datetime:
    return datetime.strptime(text, "%d/%m/%Y %I:%M:%S %p")


def working_days(rows: list[dict[str, str]]) -> dict[str, int]:
    """Return {reference: working days from the day after receipt to closing} of requests closed after receipt."""
    found = {}
    for row in rows:
        if row["Status"] == "Closed" and row["ClosedDate"]:
            received, closed = moment(row["ReceivedDate"]).date(), moment(row["ClosedDate"]).date()
            if closed >= received:
                days = (received + timedelta(n) for n in range(1, (closed - received).days + 1))
                found[row["Ref"]] = sum(map(is_worked, days))
    return found


def test_working_days_of_service_requests_equal_the_calendar(warehouse: Warehouse) -> None:
    requests = made_requests(date(2026, 10, 31))
    mart = warehouse.sql("select service_request_reference, close_working_days from customer.fct_service_requests")
    assert dict(mart).keys() == requests.keys()
    assert {ref: days for ref, days in mart if days is not None} == working_days(list(requests.values()))
    report = 'select count(*), sum("Requests") from customer.rpt_service_requests_by_month where "Requests" is not null'
    months = Counter((row["ReceivedDate"][3:10], row["Kind"]) for row in requests.values())
    shown = [5 * round(number / 5) for number in months.values() if number >= 5]
    assert warehouse.sql(report) == [(len(shown), sum(shown))]
    assert len(shown) < len(months)


def test_findings_of_published_service_requests_are_documented(published: Published) -> None:
    (result,) = published.results["regulatory"]
    assert (result.rows, result.quarantined, result.new_columns) == (5_000, 0, [])
    file = REAL_DATA / "customer/BANES_Environmental_Protection_Service_Requests.csv"
    rows = list(csv.DictReader(file.read_text(encoding="utf-8-sig").splitlines(True)))
    channels = (
        "Telephone|Electronic Mail|Online submission|Letter|Face To Face|Personal Visit|Reception|Noise Mobile App"
    )
    expected = Counter()
    for row in rows:
        is_closed, closed = row["Status"] == "Closed", row["ClosedDate"]
        for column, rule, is_broken in (
            ("closeddate", "REG01", closed and moment(closed).date() < moment(row["ReceivedDate"]).date()),
            ("type", "REG02", not row["Type"]),
            ("type", "REG03", len(row["Type"]) == 40),
            ("latitude", "REG04", not (row["Latitude"] and row["Longitude"])),
            ("closeddate", "REG05", is_closed and not closed),
            ("status", "REG06", closed and not is_closed),
            ("receivedhow", "REG07", row["ReceivedHow"] and not re.match(f"({channels}|Referral)", row["ReceivedHow"])),
            ("receivedhow", "REG08", not row["ReceivedHow"]),
        ):
            expected["service_requests", column, rule] += bool(is_broken)
    assert published.findings("regulatory", "Service requests") == +expected
    closed = [(moment(row["ReceivedDate"]), moment(row["ClosedDate"])) for row in rows if row["ClosedDate"]]
    words, places = (Counter(map(itemgetter(*names), rows)) for names in (["ReceivedHow"], ["Latitude", "Longitude"]))
    stated = " ".join(published.documented("Service requests").split())
    for figure in (
        f"{sum(end.time() == time() for _, end in closed):,} are midnight",
        f"{sum(end < begin for begin, end in closed)} requests would be closed before",
        *(
            f"{words[word]} {word}"
            for word in ("Neighbour", "Officer/Member of staff", "Councillor", "Council Connect")
        ),
        f"{words['Emergency/Out of Hours']} are Emergency",
        "{} have the same one and {} another".format(*(number for _, number in places.most_common(2))),
    ):
        assert figure in stated
    conformed = published.trial.sql(
        "select service_request_reference, close_working_days, type_name from conformed.int_service_requests_conformed"
    )
    assert {ref: days for ref, days, _ in conformed if days is not None} == working_days(rows)
    assert len(conformed) == 5_000
    cut = sum(len(row["Type"]) == 40 for row in rows)
    assert sum(name == "Accumulations (including refuse & litter)" for _, _, name in conformed) == cut > 0


def test_findings_of_published_street_reports_are_documented(published: Published) -> None:
    (result,) = published.results["fixmystreet"]
    assert (result.rows, result.quarantined, result.new_columns) == (1_576, 0, [])
    file = REAL_DATA / "highways/Fix_My_Street_Sample_Dataset.csv"
    rows = list(csv.DictReader(file.read_text(encoding="utf-8-sig").splitlines(True)))
    expected = Counter()
    for row in rows:
        for column, rule, is_broken in (
            ("state", "FMS01", row["state"] not in ("confirmed", "unconfirmed", "fixed", "fixed - user", "hidden")),
            ("whensent", "FMS02", row["whensent"] and row["whensent"] < row["created"]),
            ("lastupdate", "FMS03", row["lastupdate"] < row["created"]),
            ("latitude", "FMS04", not (row["latitude"] and row["longitude"])),
            ("location", "FMS05", row["Location"] != f"({row['latitude']}, {row['longitude']})"),
        ):
            expected["reports", column, rule] += bool(is_broken)
    assert published.findings("fixmystreet", "Street reports") == +expected
