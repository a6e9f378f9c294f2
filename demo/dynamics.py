"""The demo county's customer system: contacts, cases, interactions, FOI requests and complaints.

One person in five is a contact, with about five cases in four years. Times are UTC. The system counts deadlines by the
clock, through nights, weekends and bank holidays.
"""

from collections import namedtuple
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from random import Random
from uuid import UUID

from demo.api_server import Resource
from demo.county import County, Truth, weighted_choice
from demo.people import HORIZON, Household, Person
from demo.typing_errors import NameTypist

BEGIN = date(2024, 11, 1)
RESOURCES = {
    "contacts": Resource("value", "modifiedon", "contactid"),
    "incidents": Resource("value", "modifiedon", "ticketnumber"),
    "interactions": Resource("value", "modifiedon", "interactionid"),
    "foi_requests": Resource("value", "modifiedon", "reference"),
    "complaints": Resource("value", "modifiedon", "reference"),
}
Contact = namedtuple(
    "Contact",
    "contactid firstname lastname emailaddress1 telephone1 address1_line1 address1_city address1_postalcode modifiedon",
)
Incident = namedtuple(
    "Incident",
    "ticketnumber title subject casetypecode caseorigincode statecode statuscode createdon resolvedon sla_due "
    "reopenedcount customerid description modifiedon",
)
Interaction = namedtuple("Interaction", "interactionid ticketnumber customerid contacttype contactedon modifiedon")
Request = namedtuple(
    "Request",
    "reference topic regime receivedon dueon clarificationaskedon clarifiedon feenoticeon feepaidon extendedon "
    "answeredon outcome exemption reviewaskedon reviewansweredon modifiedon",
)
Complaint = namedtuple(
    "Complaint", "reference complaint stage subject receivedon acknowledgedon respondedon outcome modifiedon"
)

Subject = namedtuple("Subject", "name type share titles")
SUBJECTS = [  # kind: 1 question, 2 problem, 3 request
    Subject("Adult social care", 3, 18, "Needs assessment|Blue Badge|Equipment at home|Support for a carer"),
    Subject("Highways", 2, 24, "Pothole|Street light out|Blocked drain|Overgrown verge"),
    Subject("Waste", 3, 16, "Household recycling centre permit|Compost bin|Garden waste at the tip"),
    Subject("Schools", 1, 16, "School admission|School transport|Free school meals"),
    Subject("Libraries", 1, 8, "Library card|Room booking|Lost book"),
    Subject("Registration", 3, 10, "Birth certificate|Ceremony booking|Appointment to register a death"),
    Subject("Countryside", 2, 8, "Path obstructed|Broken stile|Fallen tree"),
]
SLA_DAYS = {1: 1, 2: 5, 3: 10}
ORIGINS = {1: "Telephone", 2: "Email", 3: "Internet", 4: "Personal Visit", 5: "Letter"}
SHARES = ((44, 20, 26, 7, 3), (30, 18, 46, 4, 2))  # of channels, at the beginning and three years later
HEALTH = ("My wife has just come out of hospital.", "I have a heart condition.", "My son is autistic.")
TOPICS = ("Care home fees", "Potholes", "Special schools", "Agency staff", "Parking", "Contracts", "School transport")
OUTCOMES = {"Granted in full": 62, "Granted in part": 16, "Refused": 11, "Not held": 9, "Withdrawn": 2}
EXEMPTIONS = ("Section 12", "Section 21", "Section 31", "Section 40", "Section 43")
FINDINGS = {"Upheld": 34, "Partly upheld": 24, "Not upheld": 38, "Withdrawn": 4}
CONTACT_FAULTS = {  # {violated rule: (column, faulty value)}
    "NAM02": ("lastname", "{lastname}1"),
    "ADR01": ("address1_line1", "{address1_line1} tel {number}"),
    "ADR03": ("address1_line1", "Mrs {firstname} {lastname}, {address1_line1}"),
    "PCD01": ("address1_postalcode", "nopostcode"),
    "EML01": ("emailaddress1", "{number}"),
    "EML02": ("emailaddress1", "{firstname} at example.org"),
    "TEL01": ("telephone1", "a.person@example.org"),
    "TEL02": ("telephone1", "01632 960"),
}
INCIDENT_FAULTS = {
    "CRM01": ("resolvedon", lambda rng, row: _stamp(_moment(row.createdon) - timedelta(hours=rng.randint(1, 90)))),
    "CRM02": ("title", "TEST please ignore"),
    "CRM03": ("resolvedon", ""),
    "CRM04": ("caseorigincode", "99"),
}
REQUEST_FAULTS = {
    "FOI01": ("answeredon", lambda rng, row: str(date.fromisoformat(row.receivedon) - timedelta(rng.randint(1, 30)))),
    "FOI02": ("exemption", ""),
}


def requests(county: County, truth: Truth) -> Iterator[tuple[str, dict]]:
    """The rows that the API serves."""
    for path, row in _rows(county, truth):
        yield path, {name: value if value != "" else None for name, value in row._asdict().items()}


def _rows(county: County, truth: Truth) -> Iterator[tuple[str, tuple]]:
    name_typist = NameTypist(county, "dynamics")
    for household in county.households():
        for person in household.people:
            rng = Random(f"{county.seed} dynamics {person.number}")
            if rng.random() < 0.25 and person.age(BEGIN) > 15:
                yield from _contact(county, truth, rng, household, person, name_typist)
    for number in range(max(300, county.people * 7 // 1_000)):  # in three years
        if request := _request(county.rng(f"dynamics foi {number}"), number, county.day):
            yield "foi_requests", truth.inject_fault("foi_requests", request.reference, request, REQUEST_FAULTS, 0.08)
    for number in range(max(200, county.people * 5 // 1_000)):  # in three years
        for complaint in _complaint(county.rng(f"dynamics complaint {number}"), number, county.day):
            yield "complaints", complaint


def _contact(
    county: County, truth: Truth, rng: Random, household: Household, person: Person, name_typist: NameTypist
) -> Iterator[tuple[str, tuple]]:
    end = datetime.combine(min(county.day, person.died or county.day), time(23))
    contact_id, telephone = str(UUID(int=rng.getrandbits(128), version=4)), rng.random() < 0.85
    moment, number, contacts, latest = datetime.combine(BEGIN, time()), 0, 0, None
    while (moment := _next(rng, moment, 280)) < end:
        number += 1
        origin = _origin(rng, moment)
        incident, chased = _incident(rng, moment, end, f"CAS-{person.number:07d}{number:02d}", origin, contact_id)
        key = incident.ticketnumber
        yield "incidents", truth.inject_fault("incidents", key, incident, INCIDENT_FAULTS)
        truth.record_identity("incidents", key, person.number)
        for at in (moment, *chased):
            contacts, latest = contacts + 1, max(at, latest or at)
            kind = ORIGINS[origin if at == moment else _origin(rng, at)]
            row = Interaction(f"{person.number:07d}{contacts:03d}", key, contact_id, kind, _stamp(at), _stamp(at))
            yield "interactions", row
            truth.record_identity("interactions", row.interactionid, person.number)
    enquiries = Random(f"{county.seed} dynamics enquiries {person.number}")
    moment, contacts = datetime.combine(BEGIN, time()), 500  # contacts without a case are anonymous
    while (moment := _next(enquiries, moment, 400)) < end:
        contacts += 1
        kind = ORIGINS[_origin(enquiries, moment)]
        number = f"{person.number:07d}{contacts:03d}"
        yield "interactions", Interaction(number, None, None, kind, _stamp(moment), _stamp(moment))
    if latest:
        address, name = household.address(latest.date()), name_typist(person)
        row = Contact(
            contact_id, name.forename, name.surname, person.email, person.telephone if telephone else None,
            address.line, address.street.town, address.street.postcode, _stamp(latest),
        )  # fmt: skip
        yield "contacts", truth.inject_fault("contacts", contact_id, row, CONTACT_FAULTS, 0.06)
        truth.record_identity("contacts", contact_id, person.number, address)


def _incident(
    rng: Random, moment: datetime, end: datetime, number: str, origin: int, contact_id: str
) -> tuple[Incident, list[datetime]]:
    """A case as it is at the end, and when the customer got in touch about it again."""
    subject = rng.choices(SUBJECTS, [subject.share for subject in SUBJECTS])[0]
    title, days = rng.choice(subject.titles.split("|")), SLA_DAYS[subject.type]
    text = f"{title}: {rng.choice(('please help', 'when will this be done?', 'third time of asking', 'thank you'))}"
    text += f" {rng.choice(HEALTH)}" if rng.random() < 0.02 else ""
    state, status, done, reopened, modified = 0, rng.choice((1, 1, 2, 3)), None, 0, moment
    final = (2, 6) if rng.random() < 0.03 else (1, 5) if subject.type > 1 else (1, 1000)
    steps = [_at_work(moment + timedelta(days=rng.expovariate(1 / (0.8 * days))))]
    if rng.random() < 0.06:  # reopened
        steps.append(_at_work(steps[0] + timedelta(days=rng.expovariate(1 / 6))))
        steps.append(_at_work(steps[1] + timedelta(days=rng.expovariate(1 / 8))))
    chased = [moment + (steps[0] - moment) * rng.random() for _ in range(rng.choices((0, 1, 2), (76, 18, 6))[0])]
    for step, at in enumerate(steps):
        if at < end:
            modified, is_reopening = at, step == 1
            state, status = (0, 1) if is_reopening else final
            done, reopened = None if is_reopening else at, reopened + is_reopening
    chased = sorted(at.replace(microsecond=0) for at in [*chased, *steps[1:2]] if at < end)
    row = Incident(
        number, title, subject.name, subject.type, origin, state, status, _stamp(moment),
        done and _stamp(done), _stamp(moment + timedelta(days=days)), reopened, contact_id, text, _stamp(modified),
    )  # fmt: skip
    return row, chased


def _request(rng: Random, number: int, day: date) -> Request | None:
    """An FOI request as it is on a day; it holds no name."""
    received = BEGIN + timedelta(rng.randrange((HORIZON - BEGIN).days))
    answered = received + timedelta(int(rng.triangular(2, 29, 27)) if rng.random() < 0.9 else rng.randint(29, 90))
    answered += timedelta({5: 2, 6: 1}.get(answered.weekday(), 0))
    topic, outcome = rng.choice(TOPICS), weighted_choice(rng, OUTCOMES)
    exemption = rng.choice(EXEMPTIONS) if outcome in ("Granted in part", "Refused") else None
    if received > day:
        return None
    regime, steps = ("EIR" if rng.random() < 0.15 else "FOI"), {}
    asked, chance = received + timedelta(rng.randint(1, 12)), rng.random()
    if chance < 0.16:  # the clock stops until the requester clarifies the request, or pays the fee
        names = ("clarificationaskedon", "clarifiedon") if chance < 0.12 else ("feenoticeon", "feepaidon")
        waited = timedelta(rng.randint(1, 40))
        steps, answered = dict(zip(names, (asked, asked + waited), strict=True)), answered + waited
        answered += timedelta({5: 2, 6: 1}.get(answered.weekday(), 0))
    if answered > received + timedelta(35) and rng.random() < 0.5:  # public interest test, or a complex EIR request
        steps["extendedon"] = received + timedelta(rng.randint(14, 26))
    if exemption and rng.random() < 0.3:
        review = answered + timedelta(rng.randint(3, 30))
        steps |= {"reviewaskedon": review, "reviewansweredon": review + timedelta(rng.randint(10, 70))}
    known = {name: moment for name, moment in (steps | {"answeredon": answered}).items() if moment <= day}
    is_done = answered <= day
    row = Request(*[None] * len(Request._fields))._replace(**{name: str(moment) for name, moment in known.items()})
    return row._replace(
        reference=f"FOI-{number + 1:06d}", topic=topic, regime=regime, receivedon=str(received),
        dueon=str(received + timedelta(28)), outcome=outcome if is_done else None,
        exemption=exemption if is_done else None,
        modifiedon=_stamp(datetime.combine(max([received, *known.values()]), time(12))),
    )  # fmt: skip


def _complaint(rng: Random, number: int, day: date) -> Iterator[Complaint]:
    """The stages of a complaint as they are on a day; three in twenty go to stage 2. A stage holds no name."""
    received = _weekday(BEGIN + timedelta(rng.randrange((HORIZON - BEGIN).days)))
    subject, reference = rng.choices(SUBJECTS, [each.share for each in SUBJECTS])[0].name, f"CMP-{number + 1:06d}"
    for stage, usual in ((1, 12), (2, 26)):
        acknowledged = _weekday(received + timedelta(rng.randint(0, 9)))
        responded = _weekday(acknowledged + timedelta(int(rng.triangular(3, 2 * usual, usual))))
        outcome, goes_on = weighted_choice(rng, FINDINGS), rng.random() < 0.15
        if received > day:
            return
        known = [each if each <= day else None for each in (acknowledged, responded)]
        changed = max(each for each in (received, *known) if each)
        yield Complaint(
            f"{reference}-{stage}", reference, stage, subject, str(received), *(each and str(each) for each in known),
            outcome if known[1] else None, _stamp(datetime.combine(changed, time(12))),
        )  # fmt: skip
        if not goes_on or outcome == "Withdrawn":
            return
        received = _weekday(responded + timedelta(rng.randint(2, 25)))


def _weekday(day: date) -> date:
    return day + timedelta({5: 2, 6: 1}.get(day.weekday(), 0))


def _origin(rng: Random, moment: datetime) -> int:
    """The channel: from year to year fewer phone calls and more use of the website."""
    part = (moment.date() - BEGIN) / (HORIZON - BEGIN)
    return rng.choices(list(ORIGINS), [a + (b - a) * part for a, b in zip(*SHARES, strict=True)])[0]


def _next(rng: Random, moment: datetime, days: int) -> datetime:
    """A random time on the day about `days` days later."""
    day = moment.date() + timedelta(1 + int(rng.expovariate(1 / days)))
    return datetime.combine(day, time(7)) + timedelta(seconds=int(rng.triangular(0, 50_000, 14_000)))


def _at_work(moment: datetime) -> datetime:
    """The time itself in office hours, else the same minutes past eight on the next weekday."""
    moment = moment.replace(microsecond=0)
    if moment.weekday() < 5 and 8 <= moment.hour < 16:
        return moment
    day = moment.date() + timedelta(moment.hour >= 16)
    while day.weekday() > 4:
        day += timedelta(1)
    return datetime.combine(day, time(8, moment.minute, moment.second))


def _stamp(moment: datetime) -> str:
    return f"{moment.isoformat()}Z"


def _moment(stamp: str) -> datetime:
    return datetime.fromisoformat(stamp[:-1])
