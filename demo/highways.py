"""The demo county's highways systems: Confirm's database, the Open311 API, FixMyStreet's file.

Confirm's times are Europe/London without a zone, all others UTC.
"""

import math
from collections import Counter, namedtuple
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import accumulate
from random import Random
from typing import NamedTuple
from zoneinfo import ZoneInfo

from demo.api_server import Resource
from demo.county import County, Truth, as_csv, columns
from demo.people import HORIZON, Person
from demo.places import DISTRICTS, ROAD_ABBREVIATIONS, TOWNS, Address, Street, wgs84, word

BEGIN = date(2024, 5, 1)  # events from here to the horizon are generated; those after the county's day are left out
TABLES = {
    "site": "site_code* site_name locality_name town_name site_class_code easting:numeric(12,2) northing:numeric(12,2)",
    "enquiry_status": "enquiry_status_code* enquiry_status_name outstanding_flag",
    "enquiry_subject": "service_code* service_name subject_code* subject_name",
    "central_enquiry": """enquiry_number*:bigint enquiry_reference service_code subject_code enquiry_status_code
        enquiry_log_number:bigint enquiry_description enquiry_log_time:timestamp last_updated_time:timestamp
        enquiry_x:numeric(12,2) enquiry_y:numeric(12,2) site_code enquiry_method_code point_of_contact_code
        customer_type_code""",
    "enquiry_customer": """enquiry_number*:bigint customer_reference customer_name customer_address customer_email
        customer_phone last_updated_time:timestamp""",
    "enquiry_status_log": """enquiry_number*:bigint enquiry_log_number*:bigint enquiry_status_code logged_time:timestamp
        effective_time:timestamp status_log_notes""",
    "defect": """instruction_uid*:bigint job_reference date_reported:timestamp required_start_date:timestamp
        required_completion_date:timestamp actual_completion_date:timestamp response_time_name item_category_name
        item_type_name item_detail_name instruction_type_name defect_category_name enquiry_reference town_name usrn
        street_name easting:numeric(12,2) northing:numeric(12,2) repair_gang esu_uid""",
    "ward": "ward_code* ward_name district_code start_date:date end_date:date last_update:timestamp",
    "site_ward": "site_code* ward_code start_date*:date end_date:date last_update:timestamp",
}
RESOURCES = {"requests.json": Resource("requests", "updated_datetime", "service_request_id")}

Site, Enquiry, Customer, Entry, Defect, Ward, SiteWard = (
    namedtuple(table, columns(TABLES[table]))
    for table in ("site", "central_enquiry", "enquiry_customer", "enquiry_status_log", "defect", "ward", "site_ward")
)
Status = namedtuple("Status", columns(TABLES["enquiry_status"]))
STATUSES = [
    Status("0100", "Logged", "Y"), Status("0200", "Acknowledged", "Y"), Status("0300", "Inspection arranged", "Y"),
    Status("0400", "Work ordered", "Y"), Status("0500", "Reopened", "Y"), Status("0600", "Completed", "N"),
    Status("0700", "No further action", "N"), Status("0800", "Duplicate", "N"),
    Status("0900", "Passed to another authority", "N"),
]  # fmt: skip
# `season` is 1 for winter and -1 for summer, `works` the share that leads to works. As in real data, Highway
# maintenance and Pothole have two codes each, and OBST has two meanings.
Subject = namedtuple("Subject", (*columns(TABLES["enquiry_subject"]), "share", "season", "works", "words"))
SUBJECTS = [
    Subject("HWM", "Highway maintenance", "PTHL", "Pothole", 30, 0.8, 0.5, "Pothole|Potholes|Large pothole|Pot holes"),
    Subject("HWM", "Highway maintenance", "PTH2", "Pothole", 5, 0.8, 0.5, "Pothole in the cycle lane|Hole at the kerb"),
    Subject("HWM", "Highway maintenance", "SURF", "Road surface", 9, 0.4, 0.3, "Poor road surface|Road breaking up"),
    Subject("HWM", "Highway maintenance", "FOOT", "Footway", 9, 0.1, 0.3, "Uneven paving|Trip hazard|Broken slab"),
    Subject("HWM", "Highway maintenance", "OBST", "Obstruction", 4, 0.0, 0.1, "Skip without lights|Mud on the road"),
    Subject("HM2", "Highway maintenance", "SIGN", "Road sign", 6, 0.1, 0.4, "Road sign knocked down|Faded lines"),
    Subject("DRN", "Drainage", "GULL", "Blocked gully", 11, 0.7, 0.4, "Blocked drain|Drain overflowing"),
    Subject("DRN", "Drainage", "FLOD", "Flooding", 4, 0.9, 0.3, "Road under water|Water running across the road"),
    Subject("LGT", "Street lighting", "LAMP", "Street light", 9, 0.5, 0.6, "Street light not working|Lamp on all day"),
    Subject("TRE", "Trees and verges", "OVER", "Overgrown hedge", 8, -0.9, 0.2, "Overgrown hedge|Brambles over path"),
    Subject("PRW", "Public rights of way", "OBST", "Path obstructed", 3, -0.5, 0.1, "Stile broken|Path ploughed up"),
    Subject("WIN", "Winter service", "GRIT", "Grit bin", 2, 1.0, 0.2, "Grit bin empty"),
]
Response = namedtuple("Response", "name hours share")
RESPONSES = [
    Response("Category 1 - 2 hours", 2, 3), Response("Category 2H - 5 days", 120, 22),
    Response("Category 2M - 28 days", 672, 55), Response("Category 2L - 90 days", 2160, 20),
]  # fmt: skip
# Wards, their names, codes and reviews are synthetic; real ward codes are a letter and eight digits.
FIRST_WARDS = date(2015, 5, 7)
REVIEWS = {"E07000237": date(2025, 5, 1), "E07000234": date(2026, 5, 7), "E07000239": date(2026, 11, 5)}
FIXMYSTREET = """title,url,created,state,whensent,category,lastupdate,latitude,longitude,ward,Location,Ward,
    Output Areas (OA),Middle Layer Super Output Areas (MSOA),Boundary,Lower Layer Super Output Areas (LSOA)"""
FIXMYSTREET_TIME = "%Y-%m-%d %H:%M:%S UTC"
StreetReport = namedtuple(
    "StreetReport",
    "title url created state whensent category lastupdate latitude longitude ward location area oa msoa boundary lsoa",
)


class Report(NamedTuple):
    """A citizen's report; `x` and `y` are metres of the British National Grid."""

    moment: datetime
    is_repeat: bool
    subject: Subject
    site: Site
    x: float
    y: float


class Problem(NamedTuple):
    """A report with everything that Confirm will ever hold about it."""

    number: int
    report: Report
    log: list[tuple[str, datetime, datetime]]  # status, time logged, time effective


def rows(county: County, truth: Truth) -> Iterator[tuple[str, tuple]]:
    """Confirm's rows: about 20,000 enquiries and 9,000 defects, more in a county of over 80,000 people."""
    problems = _problems(county.seed, county.people)
    yield from (("site", site) for site in _sites(county))
    yield from _wards(county, truth)
    yield from (("enquiry_status", status) for status in STATUSES)
    yield from (("enquiry_subject", subject[:4]) for subject in SUBJECTS)
    customer = _customers(county)
    for problem in _logged_by_day(county, problems):
        row = _enquiry(county, problem)
        yield "central_enquiry", _with_wrong_grid_reference(truth, row)
        yield from (("enquiry_status_log", entry) for entry in _entries(truth, problem))
        yield from (("enquiry_customer", found) for found in customer(row, truth))
    yield from (("defect", defect) for defect in _defects(county, problems))


def requests(county: County, truth: Truth) -> Iterator[tuple[str, dict]]:
    """The requests that the Open311 API serves."""
    validity = (_enquiry(county, problem) for problem in _logged_by_day(county, _problems(county.seed, county.people)))
    yield from (("requests.json", request) for request in _requests(validity))


def files(county: County, truth: Truth) -> Iterator[tuple[str, bytes]]:
    """FixMyStreet's file of reports."""
    yield "highways/Fix_My_Street_Worcestershire.csv", _fixmystreet(county, truth)


def _end(county: County) -> datetime:
    return datetime.combine(county.day, time(18))


def _sites(county: County) -> list[Site]:
    return [Site(*street[:-2]) for street in county.streets()]


def _wards(county: County, truth: Truth) -> Iterator[tuple[str, Ward | SiteWard]]:
    """Nine wards per district, and the ward of each street: the nearest one.

    A review ends the three wards with most streets, starts four others among them (the first with the name of an ended
    ward) and redraws boundaries: each street moves to the nearest current ward.
    """
    rng, taken = county.rng("wards"), set()

    def validity(start: date, end: date | None) -> tuple[date, date | None, datetime]:
        """The dates of a period as recorded on the county's day."""
        is_over = end is not None and end <= county.day
        return start, end - timedelta(1) if is_over else None, datetime.combine(end if is_over else start, time(9))

    def nearest(street: Street, wards: Iterable[int]) -> int:
        return min(wards, key=lambda n: math.dist((street.easting, street.northing), centres[n]))

    for district, letters in DISTRICTS.items():
        streets, review = [street for street in county.streets() if street.district == district], REVIEWS.get(district)
        centres = [(street.easting, street.northing) for street in rng.sample(streets, 9)]
        firsts, ended = [nearest(street, range(9)) for street in streets], []
        if review:
            ended = [ward for ward, _ in Counter(firsts).most_common(3)]
            moving = [street for street, ward in zip(streets, firsts, strict=True) if ward in ended]
            centres += [(street.easting, street.northing) for street in rng.sample(moving, 4)]
        names = []
        for n in range(len(centres)):
            name = word(rng)
            while name in taken:
                name = word(rng)
            taken.add(name)
            names.append(names[ended[0]] if n == 9 else name)
            start, end = (FIRST_WARDS, review if n in ended else None) if n < 9 else (review, None)
            if start <= county.day:
                yield "ward", Ward(f"{letters}-{n + 1:02d}", names[n], district, *validity(start, end))
        staying = [n for n in range(len(centres)) if n not in ended]
        for street, old in zip(streets, firsts, strict=True):
            new = nearest(street, staying)
            code, moved = f"{letters}-{old + 1:02d}", review if new != old else None
            yield "site_ward", _with_wrong_ward(truth, SiteWard(street.usrn, code, *validity(FIRST_WARDS, moved)))
            if moved and moved <= county.day:
                row = SiteWard(street.usrn, f"{letters}-{new + 1:02d}", *validity(moved, None))
                yield "site_ward", _with_wrong_ward(truth, row, code if old in ended else None)


def _with_wrong_ward(truth: Truth, row: SiteWard, before: str | None = None) -> SiteWard:
    """The row, sometimes with the ended ward `before`, an unknown ward, or impossible dates."""

    def other_end(rng: Random, row: SiteWard) -> date:
        return rng.choice((row.end_date + timedelta(rng.randint(7, 90)), row.start_date - timedelta(1)))

    key, other = f"{row.site_code}:{row.start_date}", before or row.ward_code.replace("-", "")
    row = truth.inject_fault("site_ward", key, row, {"HWY06": ("ward_code", other)}, 0.05 if before else 0.01)
    return truth.inject_fault("site_ward", key, row, {"HWY07": ("end_date", other_end)}, 0.05, chance=f"{key} days")


def _near(rng: Random, site: Site) -> tuple[float, float]:
    return round(site.easting + rng.gauss(0, 60), 2), round(site.northing + rng.gauss(0, 60), 2)


def _usrn(rng: Random, site: Site) -> str:
    """The street's number, sometimes without leading zeros, as after a conversion to a number."""
    return site.site_code[1:] if site.site_code[0] == "0" and rng.random() < 0.3 else site.site_code


def _days(season: float) -> tuple[list[date], list[float]]:
    """The county's days and their cumulative weights: season 1 peaks in late January, -1 in July; few at weekends."""
    days = [BEGIN + timedelta(n) for n in range((HORIZON - BEGIN).days + 1)]
    year = (1 + season * math.cos(2 * math.pi * (day.timetuple().tm_yday - 25) / 365) for day in days)
    return days, list(accumulate(w * (0.35 if day.weekday() > 4 else 1) for w, day in zip(year, days, strict=True)))


def _at_work(rng: Random, moment: datetime) -> datetime:
    """The time itself in office hours, else some time after eight on the next weekday."""
    if moment.weekday() < 5 and 8 <= moment.hour < 17:
        return moment
    day = moment.date() + timedelta(moment.hour >= 17)
    while day.weekday() > 4:
        day += timedelta(1)
    return datetime.combine(day, time(8)) + timedelta(seconds=rng.randrange(7_200))


def _reports(county: County, purpose: str, number: int) -> list[Report]:
    """Citizens' reports, oldest first; one pothole in twelve is reported several times."""
    sites, rng = _sites(county), county.rng(f"{purpose} fame")
    calendar = {subject.season: _days(subject.season) for subject in SUBJECTS}
    shares = list(accumulate(subject.share for subject in SUBJECTS))
    fame = list(accumulate(rng.paretovariate(2.5) for _ in sites))
    reports = []
    for n in range(number):
        rng = county.rng(f"{purpose} {n}")
        subject, site = rng.choices(SUBJECTS, cum_weights=shares)[0], rng.choices(sites, cum_weights=fame)[0]
        days, weights = calendar[subject.season]
        day, (x, y) = rng.choices(days, cum_weights=weights)[0], _near(rng, site)
        repeats = rng.randint(1, 4) if subject.subject_name == "Pothole" and rng.random() < 0.08 else 0
        for repeat in range(1 + repeats):
            moment = datetime.combine(day, time(6)) + timedelta(seconds=int(rng.triangular(0, 61_200, 14_400)))
            about = (round(x + rng.gauss(0, 4), 2), round(y + rng.gauss(0, 4), 2))
            reports.append(Report(moment, repeat > 0, subject, site, *about))
            day += timedelta(rng.randint(0, 4))
    return sorted(reports, key=lambda report: report.moment)


@lru_cache(maxsize=1)
def _problems(seed: int, people: int) -> list[Problem]:
    """The problems up to the horizon, in the order of their numbers. Confirm and the Open311 API have the same."""
    county = County(seed, people)
    reports = _reports(county, "report", round(26_900 * county.size))
    return [
        Problem(number, report, _history(county.rng(f"history {number}"), report))
        for number, report in enumerate(reports, 1_200_001)
    ]


def _logged_by_day(county: County, problems: list[Problem]) -> Iterator[Problem]:
    """The problems, with the log entries made by the county's day."""
    end = _end(county)
    for problem in problems:
        if problem.report.moment <= end:
            yield problem._replace(log=[entry for entry in problem.log if entry[1] <= end])


def _history(rng: Random, report: Report) -> list[tuple[str, datetime, datetime]]:
    """Status, time logged and time effective of each entry that an enquiry's log will have."""
    plan = [("0200", 0.3)] if rng.random() < 0.4 else []  # status, mean days since the previous entry
    if report.is_repeat and rng.random() < 0.6:
        plan += [("0800", 2)]
    elif rng.random() < report.subject.works:
        plan += [("0300", 2)] if rng.random() < 0.3 else []
        plan += [("0400", 3), ("0600", 10)]
    else:
        plan += [(rng.choices(("0600", "0700", "0900"), (15, 70, 15))[0], 6)]
    if rng.random() < 0.03:
        plan.pop()  # never closed
    elif rng.random() < 0.04:
        plan += [("0500", 9), ("0600", 8)]
    moment, log = report.moment, [("0100", report.moment, report.moment)]
    for status, days in plan:
        moment = _at_work(rng, moment + timedelta(seconds=int(rng.expovariate(1 / days) * 86_400)))
        is_midnight = status > "0500" and rng.random() < 0.15
        log.append((status, moment, datetime.combine(moment, time()) if is_midnight else moment))
    return log


def _entries(truth: Truth, problem: Problem) -> Iterator[Entry]:
    """The status log. The second entry is sometimes dated too early; its status decides which rule it violates."""
    notes = {"0700": "Below the intervention level", "0800": "Already reported"}

    def early(rng: Random, entry: Entry) -> datetime:
        return _later(problem.report.moment, -timedelta(hours=rng.randint(24, 60)))

    for n, (status, logged, effective) in enumerate(problem.log, 1):
        entry = Entry(problem.number, n, status, logged, effective, notes.get(status))
        if n == 2:
            code = "HWY02" if status > "0500" else "HWY03"
            entry = truth.inject_fault(
                "enquiry_status_log", f"{problem.number}:{n}", entry, {code: ("effective_time", early)}, 0.004
            )
        yield entry


def _enquiry(county: County, problem: Problem) -> Enquiry:
    number, report, log = problem
    rng, subject, site = county.rng(f"enquiry {number}"), report.subject, report.site
    text = f"{rng.choice(subject.words.split('|'))} on {site.site_name}"
    text += rng.choice(("", "", f" by number {rng.randint(1, 120)}", f", {site.town_name}", " at the junction"))
    if rng.random() < 0.005:
        text += f". Please ring 01632 960{rng.randrange(1000):03d}"  # a number reserved for drama
    return Enquiry(
        number, f"WCC-{number}", subject.service_code, subject.subject_code, log[-1][0], len(log), text,
        report.moment, log[-1][1],
        *((report.x, report.y) if rng.random() < 0.99 else (None, None)),
        _usrn(rng, site) if rng.random() < 0.97 else None,
        rng.choices(("WEB", "FMS", "TEL", "EML", "INS"), (34, 16, 30, 12, 8))[0],
        rng.choice(("HUB", "SELF", "MEM")), rng.choices(("PUB", "CLLR", "PAR"), (90, 5, 5))[0],
    )  # fmt: skip


def _with_wrong_grid_reference(truth: Truth, row: Enquiry) -> Enquiry:
    """The enquiry, sometimes with a grid reference that is zero, swapped, or has a digit too many."""
    faults = {
        "HWY01": ("enquiry_x", "0"),
        "HWY04": ("enquiry_x", "{enquiry_y}"),
        "HWY05": ("enquiry_x", "1{enquiry_x}"),
    }
    found = truth.inject_fault("central_enquiry", row.enquiry_number, row, faults, 0.02)
    if found == row:
        return row
    x = float(found.enquiry_x)
    return found._replace(enquiry_x=x, enquiry_y={0: 0, row.enquiry_y: row.enquiry_x}.get(x, row.enquiry_y))


def _customers(county: County) -> Callable[[Enquiry, Truth], Iterator[Customer]]:
    """A function (enquiry, truth) that returns the reporter: known in two of three cases, some people often."""
    share, people = min(1, 1.4 * 6_000 * county.size / county.people), []
    for household in county.households():
        for person in household.people:
            rng = county.rng(f"confirm {person.number}")
            if rng.random() < share:
                people.append((person, household.homes, rng.paretovariate(2)))
    zeal = list(accumulate(keenness for _, _, keenness in people))

    def somebody(rng: Random, day: date) -> tuple[Person, Address] | None:
        for _ in range(20):
            person, homes, _ = rng.choices(people, cum_weights=zeal)[0]
            if person.is_alive(day) and person.age(day) >= 16:
                return person, [home for since, home in homes if since <= day][-1]
        return None

    def reporter(row: Enquiry, truth: Truth) -> Iterator[Customer]:
        rng = county.rng(f"customer {row.enquiry_number}")
        if row.enquiry_method_code == "INS" or rng.random() >= 0.72:
            return
        if found := somebody(rng, row.enquiry_log_time.date()):
            person, home = found
            name = f"{person.forename} {person.surname}"
            name = rng.choices((name, name.upper(), f"{name} "), (90, 6, 4))[0]
            phone = rng.choices((person.telephone, person.telephone.replace("0", "+44 ", 1), None), (55, 5, 40))[0]
            address = f"{home.line}, {home.street.town}"
            made = Customer(row.enquiry_number, f"C{person.number:06d}", name, address, person.email, phone,
                            row.enquiry_log_time)  # fmt: skip
            truth.record_identity("enquiry_customer", row.enquiry_number, person.number, home)
            yield truth.inject_fault("enquiry_customer", row.enquiry_number, made, FAULTS, 0.03)

    return reporter


# {rule of seeds/data_quality_rules.csv: (column, faulty value)}
FAULTS = {
    "NAM01": ("customer_name", "{customer_name} {number}"),
    "NAM02": ("customer_name", "{customer_name}1"),
    "NAM03": ("customer_name", "Test"),
    "ADR01": ("customer_address", "{customer_address} tel {number}"),
    "ADR02": ("customer_address", "No fixed abode"),
    "EML01": ("customer_email", "{number}"),
    "EML02": ("customer_email", "{customer_reference} at example.org"),
    "TEL01": ("customer_phone", "a.person@example.org"),
    "TEL02": ("customer_phone", "01632 960"),
}


def _defects(county: County, problems: list[Problem]) -> Iterator[Defect]:
    """Works from three in five enquiries that led to an order, and from inspections; numbered by date."""
    sites, found, end = _sites(county), [], _end(county)
    for number, report, log in problems:
        times = {status: logged for status, logged, _ in reversed(log)}
        rng = county.rng(f"works {number}")
        if (start := times.get("0400")) and rng.random() < 0.6:
            done = times.get("0600")
            place = (report.x, report.y) if rng.random() < 0.98 else _near(rng, report.site)
            reference = f"WCC-{number}"
            found.append((start, done and max(done, start), reference, report.subject.subject_name, report.site, place))
    (days, weights), shares = _days(0.5), list(accumulate(subject.share for subject in SUBJECTS))
    for n in range(round(6_500 * county.size)):
        rng = county.rng(f"inspection {n}")
        site, day = rng.choice(sites), rng.choices(days, cum_weights=weights)[0]
        start = _at_work(rng, datetime.combine(day, time(8)) + timedelta(seconds=rng.randrange(28_800)))
        kind = rng.choices(SUBJECTS, cum_weights=shares)[0].subject_name
        found.append((start, None, None, kind, site, _near(rng, site)))
    found.sort(key=lambda defect: defect[0])
    for uid, defect in enumerate(found, 7_000_001):
        if defect[0] <= end:
            row = _defect(county.rng(f"defect {uid}"), uid, *defect)
            done = row.actual_completion_date
            yield row._replace(actual_completion_date=done if done and done <= end else None)


def _defect(rng: Random, uid: int, start: datetime, done: datetime | None, enquiry: str | None, kind: str, site: Site,
            place: tuple[float, float]) -> Defect:  # fmt: skip
    is_kept = done and rng.random() < 0.85
    fitting = [r for r in RESPONSES if is_kept and done - start <= timedelta(hours=r.hours)] or RESPONSES
    response = rng.choices(fitting, [r.share for r in fitting])[0]
    if not enquiry:
        done = _later(start, timedelta(seconds=int(response.hours * 3_600 * rng.triangular(0, 1.4, 0.6))))
        done = done if rng.random() < 0.98 else None
    name, road = site.site_name, site.site_name.split()[-1]
    spellings = (name, name.upper(), name.replace(road, ROAD_ABBREVIATIONS.get(road, road)), f"{name} ")
    return Defect(
        uid, f"J{uid - 6_900_000}", start, start, _later(start, timedelta(hours=response.hours)), done, response.name,
        "Footway" if kind == "Footway" else "Carriageway", kind, f"{kind} - {site.site_class_code} road",
        "Make safe" if response.hours == 2 else "Repair", "Safety defect" if response.hours < 672 else "Defect",
        enquiry, site.town_name, _usrn(rng, site), rng.choices(spellings, (92, 3, 3, 2))[0], *place,
        f"Gang {rng.randint(1, 14):02d}", f"{place[0] / 10:05.0f}{place[1] / 10:05.0f}",
    )  # fmt: skip


def _subject_names() -> dict[tuple[str, str], str]:
    return {(subject.service_code, subject.subject_code): subject.subject_name for subject in SUBJECTS}


def _later(moment: datetime, period: timedelta) -> datetime:
    """The local time after the period. No clock shows the hour that the change to summer time skips: an hour later."""
    return _utc(moment + period).astimezone(ZoneInfo("Europe/London")).replace(tzinfo=None)


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=ZoneInfo("Europe/London")).astimezone(UTC)


def _requests(enquiries: Iterable[Enquiry]) -> list[dict]:
    """The Open311 API's view of the enquiries that came through it; the returned id is Confirm's number."""
    name_of, open_codes = _subject_names(), {s.enquiry_status_code for s in STATUSES if s.outstanding_flag == "Y"}
    requests = []
    for row in enquiries:
        if row.enquiry_method_code == "FMS" and row.enquiry_x:
            latitude, longitude = wgs84(row.enquiry_x, row.enquiry_y)
            requests.append({
                "service_request_id": str(row.enquiry_number), "service_code": row.subject_code,
                "service_name": name_of[row.service_code, row.subject_code],
                "status": "open" if row.enquiry_status_code in open_codes else "closed",
                "description": row.enquiry_description,
                "requested_datetime": f"{_utc(row.enquiry_log_time):%Y-%m-%dT%H:%M:%SZ}",
                "updated_datetime": f"{_utc(row.last_updated_time):%Y-%m-%dT%H:%M:%SZ}",
                "lat": latitude, "long": longitude,
            })  # fmt: skip
    return requests


def _fixmystreet(county: County, truth: Truth) -> bytes:
    category = {"Pothole": "Potholes", "Footway": "Pavements/footpaths", "Street light": "Street lighting",
                "Road sign": "Road traffic signs", "Overgrown hedge": "Trees"}  # fmt: skip
    states, rows, end = ("confirmed", "fixed - user", "fixed", "unconfirmed", "hidden"), [], _end(county)
    for number, report in enumerate(_reports(county, "fixmystreet", round(2_000 * county.size)), 900_001):
        if report.moment > end:
            break
        rng, created = county.rng(f"fixmystreet report {number}"), _utc(report.moment)
        state = rng.choices(states, (60, 26, 9, 4.5, 0.5))[0]
        sent = created + timedelta(seconds=rng.randint(10, 600))
        last = created if state == "unconfirmed" else sent + timedelta(days=rng.expovariate(1 / 20))
        if last > _utc(end):
            state, last = "confirmed", sent
        times = [f"{moment:{FIXMYSTREET_TIME}}" for moment in (created, sent, max(last, sent))]
        latitude, longitude = wgs84(report.x, report.y)
        area = sorted(TOWNS).index(report.site.town_name) + 1
        row = StreetReport(
            rng.choice(report.subject.words.split("|")), f"https://fixmystreet.example/report/{number}", times[0],
            state, "" if state == "unconfirmed" else times[1],
            category.get(report.subject.subject_name, "Roads/highways"), times[2], latitude, longitude,
            report.site.town_name, f"({latitude}, {longitude})", area, rng.randint(1, 500), area, 1,
            rng.randint(1, 115),
        )  # fmt: skip
        rows.append(truth.inject_fault("reports", number, row, REPORT_FAULTS, 0.01))
    return as_csv(FIXMYSTREET, rows, "\n")


def _hour_before(_: Random, row: StreetReport) -> str:
    return f"{datetime.strptime(row.created, FIXMYSTREET_TIME) - timedelta(hours=1):{FIXMYSTREET_TIME}}"


REPORT_FAULTS = {
    "FMS01": ("state", "planned"),
    "FMS02": ("whensent", _hour_before),
    "FMS03": ("lastupdate", _hour_before),
    "FMS04": ("latitude", ""),
    "FMS05": ("location", "{ward}"),
}
