"""The demo county's shared regulatory service: requests to environmental protection, one file per year.

Times are Europe/London without a zone. Most closings have a date only, which is shown as midnight.
"""

import math
from collections import defaultdict, namedtuple
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from itertools import accumulate
from random import Random

from demo.county import County, Truth, as_csv, weighted_choice
from demo.people import HORIZON
from demo.places import TOWNS, Street, wgs84

BEGIN = date(2021, 1, 1)
REQUESTS = """Ref,Kind,Type,Status,ReceivedDate,ClosedDate,ReceivedHow,ReceivedWhere,Location,Latitude,Longitude,Ward,
    Lower Layer Super Output Areas (LSOA),Output Areas (OA),Middle Layer Super Output Areas (MSOA),Boundary"""
Request = namedtuple(
    "Request",
    "ref kind type status received_date closed_date received_how received_where location latitude longitude ward lsoa "
    "oa msoa boundary",
)
WIDTH = 40  # length to which the case system truncates a typed type
Subject = namedtuple("Subject", "kind type share season")  # season: 1 peaks in July, -1 in January
SUBJECTS = [
    Subject("Noise Request", "Noise complaint", 56, 0.5),
    Subject("General Request", "Accumulations (including refuse & litter)", 11, 0.1),
    Subject("General Request", "Bonfires", 9, 0.6),
    Subject("General Request", "Rat Complaint", 8, -0.3),
    Subject("General Request", "Odour/Fumes", 6, 0.4),
    Subject("General Request", "Nuisance (excluding noise & pollution)", 4, 0.0),
    Subject("General Request", "Drainage Complaint", 4, -0.4),
    Subject("General Request", "Light pollution", 2, -0.5),
]
CHANNELS = {  # shares at the beginning, and at the horizon
    "Telephone": (66, 46), "Electronic Mail": (18, 28), "Online submission": (4, 14), "Noise Mobile App": (3, 8),
    "Letter": (4, 1), "Face To Face": (3, 1), "Reception": (1, 1), "Referral - FSA": (1, 1),
}  # fmt: skip
WHERE = {"Normal Office Hours": 56, "In office": 24, "Out of hours service": 8, "": 12}


def files(county: County, truth: Truth) -> Iterator[tuple[str, bytes]]:
    """The requests by year of receipt: about one a year per forty people, at least some hundreds."""
    years, streets = defaultdict(list), county.streets()
    calendar = {subject.season: _days(subject.season) for subject in SUBJECTS}
    for number in range(max(1_500, county.people * (HORIZON - BEGIN).days // (40 * 365))):
        rng = county.rng(f"regulatory {number}")
        subject = rng.choices(SUBJECTS, [subject.share for subject in SUBJECTS])[0]
        days, weights = calendar[subject.season]
        received = datetime.combine(rng.choices(days, cum_weights=weights)[0], time(7))
        received += timedelta(minutes=int(rng.triangular(0, 960, 240)))
        row = _request(rng, subject, received, rng.choice(streets), county.day)
        if received.date() <= county.day:
            years[received.year].append(_as_texts(_with_fault(truth, row)))
    for year, rows in sorted(years.items()):
        name = f"Worcestershire_Environmental_Protection_Service_Requests_{year}.csv"
        yield f"customer/{name}", as_csv(REQUESTS, rows)


def _days(season: float) -> tuple[list[date], list[float]]:
    """The days up to the horizon and their cumulative weights: 7% more each year, few at weekends."""
    days = [BEGIN + timedelta(n) for n in range((HORIZON - BEGIN).days + 1)]
    weights = (
        1.07 ** (n / 365)
        * (1 - season * math.cos(2 * math.pi * (day.timetuple().tm_yday - 15) / 365))
        * (0.6 if day.weekday() > 4 else 1)
        for n, day in enumerate(days)
    )
    return days, list(accumulate(weights))


def _request(rng: Random, subject: Subject, received: datetime, street: Street, today: date) -> Request:
    """The request as of the end of the day, without a fault."""
    passed = (received.date() - BEGIN) / (HORIZON - BEGIN)
    how = weighted_choice(rng, {name: first + (last - first) * passed for name, (first, last) in CHANNELS.items()})
    where, ref = weighted_choice(rng, WHERE), f"{rng.getrandbits(128):032x}"
    closed = received + timedelta(days=min(200, rng.expovariate(1 / 16)))
    if rng.random() < 0.98:
        closed = datetime.combine(closed, time())
    is_closed, waited = rng.random() < 0.99 and closed.date() <= today, (today - received.date()).days
    status = "Closed" if is_closed else weighted_choice(rng, {"Response Target Passed": 1, "Under Investigation": 4})
    if waited > 60 and not is_closed:
        status = "Resolution Target Passed"
    latitude, longitude = wgs84(street.easting + rng.gauss(0, 60), street.northing + rng.gauss(0, 60))
    area = sorted(TOWNS).index(street.town) + 1
    return Request(
        ref, subject.kind, subject.type, status, received, closed if is_closed else "", how, where,
        f"({latitude}, {longitude})", latitude, longitude, area, rng.randint(1, 115), rng.randint(1, 500), area, 1,
    )  # fmt: skip


def _with_fault(truth: Truth, row: Request) -> Request:
    """The request; six in a hundred have a fault."""
    faults = dict(FAULTS)
    if len(row.type) <= WIDTH:
        del faults["REG03"]
    if row.status != "Closed":
        del faults["REG06"]
    found = truth.inject_fault("service_requests", row.ref, row, faults, 0.06)
    return found if found.latitude else found._replace(location="", longitude="")


def _as_texts(row: Request) -> Request:
    """The request as the file has it, with the case system's form of times."""
    times = {name: getattr(row, name) for name in ("received_date", "closed_date")}
    return row._replace(**{name: f"{moment:%d/%m/%Y %I:%M:%S %p}" for name, moment in times.items() if moment})


FAULTS = {
    "REG01": (
        "closed_date",
        lambda rng, row: datetime.combine(row.received_date - timedelta(rng.randint(1, 40)), time()),
    ),
    "REG02": ("type", ""),
    "REG03": ("type", lambda _, row: row.type[:WIDTH]),
    "REG04": ("latitude", ""),
    "REG05": ("closed_date", ""),
    "REG06": ("status", "Under Investigation"),
    "REG07": ("received_how", lambda rng, _: rng.choice(("Neighbour", "Councillor", "Emergency/Out of Hours"))),
    "REG08": ("received_how", ""),
}
