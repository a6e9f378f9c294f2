"""What the invented county's highways systems hold: Confirm's database, its front door's requests, FixMyStreet's file.

Confirm's times are Europe/London without zone, the others' UTC.
"""

import math
from collections import namedtuple
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import accumulate
from random import Random
from typing import NamedTuple
from zoneinfo import ZoneInfo

from demo.county import County, Truth, as_csv, columns
from demo.places import FIRST, SHORT, TOWNS, word

BEGIN, END = date(2024, 5, 1), datetime(2026, 10, 31, 18)
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
}

Site, Enquiry, Customer, Entry, Defect = (
    namedtuple(table, columns(TABLES[table]))
    for table in ("site", "central_enquiry", "enquiry_customer", "enquiry_status_log", "defect")
)
Status = namedtuple("Status", columns(TABLES["enquiry_status"]))
STATUSES = [
    Status("0100", "Logged", "Y"), Status("0200", "Acknowledged", "Y"), Status("0300", "Inspection arranged", "Y"),
    Status("0400", "Work ordered", "Y"), Status("0500", "Reopened", "Y"), Status("0600", "Completed", "N"),
    Status("0700", "No further action", "N"), Status("0800", "Duplicate", "N"),
    Status("0900", "Passed to another authority", "N"),
]  # fmt: skip
# `season` is 1 for winter and -1 for summer, `works` the share that leads to works. Highway maintenance goes by two
# codes, Pothole by two, and OBST means two things.
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
FIXMYSTREET = """title,url,created,state,whensent,category,lastupdate,latitude,longitude,ward,Location,Ward,
    Output Areas (OA),Middle Layer Super Output Areas (MSOA),Boundary,Lower Layer Super Output Areas (LSOA)"""


class Report(NamedTuple):
    """What somebody reports; `x` and `y` are metres of the British National Grid."""

    moment: datetime
    is_repeat: bool
    subject: Subject
    site: Site
    x: float
    y: float


def rows(county: County, truth: Truth) -> Iterator[tuple[str, tuple]]:
    """Confirm's rows: about 20,000 enquiries and 9,000 defects."""
    sites, enquiries, log = _made(county)
    made = {
        "site": sites,
        "enquiry_status": STATUSES,
        "enquiry_subject": [subject[:4] for subject in SUBJECTS],
        "central_enquiry": enquiries,
        "enquiry_status_log": log,
        "defect": _defects(county.rng("defects"), sites, enquiries, log),
    }
    yield from ((table, row) for table, found in made.items() for row in found)
    for row in _customers(county.rng("customers"), sites, enquiries):
        yield "enquiry_customer", truth.spoil("enquiry_customer", row.enquiry_number, row, SPOILT, 0.03)


def requests(county: County, truth: Truth) -> list[dict]:
    """What the Open311 front door serves."""
    return _requests(_made(county)[1])


def files(county: County, truth: Truth) -> Iterator[tuple[str, bytes]]:
    """The file of FixMyStreet's reports."""
    yield "highways/Fix_My_Street_Worcestershire.csv", _fixmystreet(county.rng("fixmystreet"), _sites(county))


@cache
def _made(county: County) -> tuple[list[Site], list[Enquiry], list[Entry]]:
    sites = _sites(county)
    return sites, *_enquiries(county.rng("enquiries"), sites)


def _sites(county: County) -> list[Site]:
    return [Site(*street[:-1]) for street in county.streets()]


def _near(rng: Random, site: Site) -> tuple[float, float]:
    return round(site.easting + rng.gauss(0, 60), 2), round(site.northing + rng.gauss(0, 60), 2)


def _usrn(rng: Random, site: Site) -> str:
    """The street's number as somebody holds it who once took it for a number: some leading zeros are lost."""
    return site.site_code[1:] if site.site_code[0] == "0" and rng.random() < 0.3 else site.site_code


def _days(season: float) -> tuple[list[date], list[float]]:
    """The county's days and their cumulative weights: season 1 peaks in late January, -1 in July; few at week-ends."""
    days = [BEGIN + timedelta(n) for n in range((END.date() - BEGIN).days + 1)]
    year = (1 + season * math.cos(2 * math.pi * (day.timetuple().tm_yday - 25) / 365) for day in days)
    return days, list(accumulate(w * (0.35 if day.weekday() > 4 else 1) for w, day in zip(year, days, strict=True)))


def _at_work(rng: Random, moment: datetime) -> datetime:
    """The moment itself in office hours, else some time after eight on the next weekday."""
    if moment.weekday() < 5 and 8 <= moment.hour < 17:
        return moment
    day = moment.date() + timedelta(moment.hour >= 17)
    while day.weekday() > 4:
        day += timedelta(1)
    return datetime.combine(day, time(8)) + timedelta(seconds=rng.randrange(7_200))


def _reports(rng: Random, sites: list[Site], number: int) -> list[Report]:
    """What people report, oldest first; one pothole in twelve several times."""
    calendar = {subject.season: _days(subject.season) for subject in SUBJECTS}
    shares = [subject.share for subject in SUBJECTS]
    fame = list(accumulate(rng.paretovariate(2.5) for _ in sites))
    reports = []
    while len(reports) < number:
        subject, site = rng.choices(SUBJECTS, shares)[0], rng.choices(sites, cum_weights=fame)[0]
        days, weights = calendar[subject.season]
        day, (x, y) = rng.choices(days, cum_weights=weights)[0], _near(rng, site)
        repeats = rng.randint(1, 4) if subject.subject_name == "Pothole" and rng.random() < 0.08 else 0
        for repeat in range(1 + repeats):
            moment = datetime.combine(day, time(6)) + timedelta(seconds=int(rng.triangular(0, 61_200, 14_400)))
            if moment < END:
                about = (round(x + rng.gauss(0, 4), 2), round(y + rng.gauss(0, 4), 2))
                reports.append(Report(moment, repeat > 0, subject, site, *about))
            day += timedelta(rng.randint(0, 4))
    return sorted(reports, key=lambda report: report.moment)


def _history(rng: Random, report: Report) -> list[tuple[str, datetime, datetime]]:
    """Status, time logged and time effective of each entry in an enquiry's log, up to the county's end."""
    plan = [("0200", 0.3)] if rng.random() < 0.4 else []  # status and mean days since the entry before
    if report.is_repeat and rng.random() < 0.6:
        plan += [("0800", 2)]
    elif rng.random() < report.subject.works:
        plan += [("0300", 2)] if rng.random() < 0.3 else []
        plan += [("0400", 3), ("0600", 10)]
    else:
        plan += [(rng.choices(("0600", "0700", "0900"), (15, 70, 15))[0], 6)]
    if rng.random() < 0.03:
        plan.pop()  # forgotten
    elif rng.random() < 0.04:
        plan += [("0500", 9), ("0600", 8)]
    moment, log = report.moment, [("0100", report.moment, report.moment)]
    for status, days in plan:
        moment = _at_work(rng, moment + timedelta(seconds=int(rng.expovariate(1 / days) * 86_400)))
        if moment > END:
            break
        is_midnight = status > "0500" and rng.random() < 0.15
        log.append((status, moment, datetime.combine(moment, time()) if is_midnight else moment))
    if log[-1][0] > "0500" and rng.random() < 0.004:  # closed before it was logged
        early = report.moment - timedelta(hours=rng.randint(1, 60))
        log[-1] = (log[-1][0], early, early)
    return log


def _enquiries(rng: Random, sites: list[Site]) -> tuple[list[Enquiry], list[Entry]]:
    enquiries, entries = [], []
    notes = {"0700": "Below the intervention level", "0800": "Already reported"}
    for number, report in enumerate(_reports(rng, sites, 20_000), 1_200_001):
        log = _history(rng, report)
        entries += [Entry(number, n, *entry, notes.get(entry[0])) for n, entry in enumerate(log, 1)]
        subject, site = report.subject, report.site
        text = f"{rng.choice(subject.words.split('|'))} on {site.site_name}"
        text += rng.choice(("", "", f" by number {rng.randint(1, 120)}", f", {site.town_name}", " at the junction"))
        if rng.random() < 0.005:
            text += f". Please ring 01632 960{rng.randrange(1000):03d}"  # a number reserved for plays
        enquiries.append(Enquiry(
            number, f"WCC-{number}", subject.service_code, subject.subject_code, log[-1][0], len(log), text,
            report.moment, max(entry[1] for entry in log),
            *rng.choices(((report.x, report.y), (0, 0), (None, None)), (98, 1, 1))[0],
            _usrn(rng, site) if rng.random() < 0.97 else None,
            rng.choices(("WEB", "FMS", "TEL", "EML", "INS"), (34, 16, 30, 12, 8))[0],
            rng.choice(("HUB", "SELF", "MEM")), rng.choices(("PUB", "CLLR", "PAR"), (90, 5, 5))[0],
        ))  # fmt: skip
    return enquiries, entries


def _customers(rng: Random, sites: list[Site], enquiries: list[Enquiry]) -> list[Customer]:
    """Who reported two enquiries in three; some report often. Addresses and numbers are nobody's."""
    people = []
    for number in range(1, 6_001):
        first, last, site = rng.choice(FIRST), word(rng), rng.choice(sites)
        address = f"{rng.randint(1, 150)} {site.site_name}, {site.town_name}"
        email = f"{first}.{last}{number}@example.org".lower() if rng.random() < 0.7 else None
        people.append((f"C{number:06d}", f"{first} {last}", address, email, f"01632 960{rng.randrange(1000):03d}"))
    zeal = list(accumulate(rng.paretovariate(2) for _ in people))
    found = []
    for row in enquiries:
        if row.enquiry_method_code != "INS" and rng.random() < 0.72:
            reference, name, address, email, phone = rng.choices(people, cum_weights=zeal)[0]
            name = rng.choices((name, name.upper(), f"{name} "), (90, 6, 4))[0]
            phone = rng.choices((phone, phone.replace("0", "+44 ", 1), None), (55, 5, 40))[0]
            person = (reference, name, address, email, phone)
            found.append(Customer(row.enquiry_number, *person, row.last_updated_time))
    return found


# How each rule (seeds/data_quality_rules.csv) is broken: the column, and what it has then
SPOILT = {
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


def _defects(rng: Random, sites: list[Site], enquiries: list[Enquiry], log: list[Entry]) -> list[Defect]:
    """Works from three in five enquiries that led to an order, and from inspections; 9,000, numbered by date."""
    site_of, name_of = {site.site_code: site for site in sites}, _subject_names()
    ordered = {entry.enquiry_number: entry.logged_time for entry in log if entry.enquiry_status_code == "0400"}
    completed = {e.enquiry_number: e.logged_time for e in reversed(log) if e.enquiry_status_code == "0600"}
    found = []  # time, time of completion, enquiry, kind of thing, street, place
    for row in enquiries:
        if (start := ordered.get(row.enquiry_number)) and row.site_code and rng.random() < 0.6:
            done, site = completed.get(row.enquiry_number), site_of[row.site_code.zfill(8)]
            place = (row.enquiry_x, row.enquiry_y) if row.enquiry_x else _near(rng, site)
            kind = name_of[row.service_code, row.subject_code]
            found.append((start, done and max(done, start), row.enquiry_reference, kind, site, place))
    days, weights = _days(0.5)
    while len(found) < 9_000:
        site, day = rng.choice(sites), rng.choices(days, cum_weights=weights)[0]
        start = _at_work(rng, datetime.combine(day, time(8)) + timedelta(seconds=rng.randrange(28_800)))
        if start < END:
            kind = rng.choices(SUBJECTS, [subject.share for subject in SUBJECTS])[0].subject_name
            found.append((start, None, None, kind, site, _near(rng, site)))
    found.sort(key=lambda defect: defect[0])
    return [_defect(rng, uid, *defect) for uid, defect in enumerate(found, 7_000_001)]


def _defect(rng: Random, uid: int, start: datetime, done: datetime | None, enquiry: str | None, kind: str, site: Site,
            place: tuple[float, float]) -> Defect:  # fmt: skip
    is_kept = done and rng.random() < 0.85
    fitting = [r for r in RESPONSES if is_kept and done - start <= timedelta(hours=r.hours)] or RESPONSES
    response = rng.choices(fitting, [r.share for r in fitting])[0]
    if not enquiry:
        done = start + timedelta(seconds=int(response.hours * 3_600 * rng.triangular(0, 1.4, 0.6)))
        done = done if done <= END and rng.random() < 0.98 else None
    name, road = site.site_name, site.site_name.split()[-1]
    spellings = (name, name.upper(), name.replace(road, SHORT.get(road, road)), f"{name} ")
    return Defect(
        uid, f"J{uid - 6_900_000}", start, start, start + timedelta(hours=response.hours), done, response.name,
        "Footway" if kind == "Footway" else "Carriageway", kind, f"{kind} - {site.site_class_code} road",
        "Make safe" if response.hours == 2 else "Repair", "Safety defect" if response.hours < 672 else "Defect",
        enquiry, site.town_name, _usrn(rng, site), rng.choices(spellings, (92, 3, 3, 2))[0], *place,
        f"Gang {rng.randint(1, 14):02d}", f"{place[0] / 10:05.0f}{place[1] / 10:05.0f}",
    )  # fmt: skip


def _subject_names() -> dict[tuple[str, str], str]:
    return {(subject.service_code, subject.subject_code): subject.subject_name for subject in SUBJECTS}


def _wgs84(x: float, y: float) -> tuple[float, float]:
    """Latitude and longitude of a place on the National Grid: fitted to the exact conversion, 1 m within the county."""
    e, n = (x - 390_000) / 1e5, (y - 255_000) / 1e5
    latitude = 52.193146 + 0.001834 * e + 0.89903 * n - 0.009068 * e * e + 0.000059 * e * n - 0.000069 * n * n
    longitude = -2.147709 + 1.462924 * e - 0.002985 * n + 0.000078 * e * e + 0.029511 * e * n - 0.000078 * n * n
    return round(latitude, 6), round(longitude, 6)


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=ZoneInfo("Europe/London")).astimezone(UTC)


def _requests(enquiries: list[Enquiry]) -> list[dict]:
    """The front door's view of the enquiries that came through it: the id that it got back is Confirm's number."""
    name_of, open_codes = _subject_names(), {s.enquiry_status_code for s in STATUSES if s.outstanding_flag == "Y"}
    requests = []
    for row in enquiries:
        if row.enquiry_method_code == "FMS" and row.enquiry_x:
            latitude, longitude = _wgs84(row.enquiry_x, row.enquiry_y)
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


def _fixmystreet(rng: Random, sites: list[Site]) -> bytes:
    category = {"Pothole": "Potholes", "Footway": "Pavements/footpaths", "Street light": "Street lighting",
                "Road sign": "Road traffic signs", "Overgrown hedge": "Trees"}  # fmt: skip
    states, rows = ("confirmed", "fixed - user", "fixed", "unconfirmed", "hidden"), []
    for number, report in enumerate(_reports(rng, sites, 1_500), 900_001):
        state = rng.choices(states, (60, 26, 9, 4.5, 0.5))[0]
        created = _utc(report.moment)
        sent = created + timedelta(seconds=rng.randint(10, 600))
        last = created if state == "unconfirmed" else min(sent + timedelta(days=rng.expovariate(1 / 20)), _utc(END))
        times = [f"{moment:%Y-%m-%d %H:%M:%S} UTC" for moment in (created, sent, max(last, sent))]
        latitude, longitude = _wgs84(report.x, report.y)
        area = sorted(TOWNS).index(report.site.town_name) + 1
        rows.append((
            rng.choice(report.subject.words.split("|")), f"https://fixmystreet.example/report/{number}", times[0],
            state, "" if state == "unconfirmed" else times[1],
            category.get(report.subject.subject_name, "Roads/highways"), times[2], latitude, longitude,
            report.site.town_name, f"({latitude}, {longitude})", area, rng.randint(1, 500), area, 1,
            rng.randint(1, 115),
        ))  # fmt: skip
    return as_csv(FIXMYSTREET, rows, "\n")
