"""The demo county's HR and payroll system: a monthly workbook of employees and absences.

The council employs eight people in a thousand, at least about a hundred. It was restructured in April 2026. A post is
in the workbooks from its first to its last month; some posts stay longer.
"""

import io
from calendar import monthrange
from collections import namedtuple
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from random import Random
from typing import NamedTuple

import xlsxwriter

from demo.county import County, Truth, weighted_choice
from demo.people import HORIZON, Person, a_day

BEGIN, RESTRUCTURE = date(2024, 11, 1), date(2026, 4, 1)
EMPLOYEES = """Extract Date,Employee Number,Position Ref,Post Title,Org Unit Code,Org Unit,Directorate,
    Manager Position Ref,FTE,Contract Type,Grade,Spine Point,Start Date,Leaving Date,Leaving Reason,NI Number,Ethnicity,
    Disability,Date of Birth"""
ABSENCE = "Extract Date,Absence Ref,Employee Number,Absence Type,Absence Reason,First Day,Last Day,Working Days Lost"
Employee, Absence = (
    namedtuple(name, [heading.strip().lower().replace(" ", "_") for heading in headings.split(",")])
    for name, headings in (("Employee", EMPLOYEES), ("Absence", ABSENCE))
)


class Unit(NamedTuple):
    """A team; `later` is its name and directorate after the restructure, or the code of the unit that it became."""

    code: str
    name: str
    directorate: str
    share: int
    titles: str
    later: tuple[str, str] | str | None = None


UNITS = {
    unit.code: unit
    for unit in (
        Unit("CE01", "Chief Executive's Office", "Chief Executive", 2, "Policy Officer|Executive Assistant"),
        Unit("CE02", "Transformation", "Chief Executive", 4, "Business Analyst|Project Manager",
             ("Digital and Change", "Resources")),
        Unit("AD01", "Area Social Work", "Adults and Communities", 16, "Social Worker|Senior Social Worker"),
        Unit("AD02", "Reablement", "Adults and Communities", 14, "Reablement Worker|Occupational Therapist"),
        Unit("AD03", "Libraries", "Adults and Communities", 12, "Library Assistant|Librarian"),
        Unit("PH01", "Public Health", "Adults and Communities", 6, "Public Health Practitioner|Health Analyst",
             ("Public Health", "Public Health and Wellbeing")),
        Unit("EN01", "Highways", "Economy and Infrastructure", 14, "Highways Inspector|Engineer|Network Officer"),
        Unit("EN02", "Waste", "Economy and Infrastructure", 6, "Site Attendant|Waste Officer"),
        Unit("EN03", "Economy Support", "Economy and Infrastructure", 5, "Economy Officer|Grants Officer", "EN04"),
        Unit("EN04", "Planning and Growth", "Economy and Infrastructure", 7, "Planning Officer|Growth Officer"),
        Unit("RE01", "Finance", "Resources", 8, "Accountant|Finance Assistant|Payments Officer"),
        Unit("RE02", "Human Resources", "Resources", 6, "HR Adviser|Payroll Officer"),
    )
}  # fmt: skip
CONTRACTS, REASONS = (
    {"Permanent": 84, "Fixed term": 13, "Apprentice": 3},
    ("Resignation", "End of contract", "Dismissal"),
)
TYPES = {"Sickness": 88, "Industrial injury": 2, "Bereavement": 6, "Jury service": 4}
SICKNESS_REASONS = {
    "Infections": 30,
    "Stress, depression, anxiety": 22,
    "Musculo-skeletal": 16,
    "Stomach, liver, kidney, digestion": 12,
    "Chest, respiratory": 8,
    "Neurological": 4,
    "Heart, blood pressure, circulation": 2,
    "Pregnancy related": 2,
    "Other sickness": 4,
}
EMPLOYEE_FAULTS = {  # {violated rule: (column, faulty value)}; the same in every month
    "HRP01": ("fte", "1.4"),
    "HRP03": ("manager_position_ref", "{position_ref}"),
    "NIN01": ("ni_number", lambda _, row: row.ni_number[:-1] + "O"),
    "NIN02": ("ni_number", lambda _, row: f"ZZ{row.ni_number[2:]}"),
    "DOB01": ("date_of_birth", lambda *_: date(1900, 1, 1)),
}
ABSENCE_FAULTS = {
    "HRP04": ("working_days_lost", lambda _, row: 500 + row.working_days_lost * 10),
    "HRP05": ("last_day", lambda rng, row: row.first_day - timedelta(rng.randint(1, 20))),
}


class Post(NamedTuple):
    """A post and its holder, its first and last day, and the last month in the files."""

    person: Person
    ref: str
    unit: Unit
    title: str
    fte: float
    contract: str
    grade: int
    start: date
    end: date | None
    listed_until: date
    reason: str | None
    is_disabled: bool


class Spell(NamedTuple):
    """An absence, from its first to its last day."""

    ref: str
    person: Person
    kind: str
    first: date
    last: date


def files(county: County, truth: Truth) -> Iterator[tuple[str, bytes]]:
    """The monthly workbooks."""
    posts, spells = [], []
    for household in county.households():
        for person in household.people:
            held = _posts(county, person)
            posts += held
            spells += _spells(county.rng(f"itrent absence {person.number}"), held)
    heads = {}  # of units: posts held from before the first workbook and without an end
    for post in posts:
        if post.start < BEGIN and not post.end and post.ref.endswith("1"):
            heads.setdefault(post.unit.code, post.ref)
    month = BEGIN
    while (month_end := month.replace(day=monthrange(month.year, month.month)[1])) <= county.day:
        rows = [_employee(truth, heads, post, month, month_end) for post in posts if _stands(post, month_end)]
        lasting = (spell for spell in spells if spell.first <= month_end and month <= spell.last)
        absent = [_absence(truth, spell, month_end) for spell in lasting]
        yield f"hr/itrent_{month:%Y-%m}.xlsx", _workbook(month_end, rows, absent)
        month = month_end + timedelta(1)


def _stands(post: Post, month_end: date) -> bool:
    return post.start <= month_end and post.listed_until >= month_end.replace(day=1)


def _posts(county: County, person: Person) -> list[Post]:
    """The posts that a person holds at any time: mostly none; one employee in twenty has two."""
    rng = Random(f"{county.seed} itrent {person.number}")
    if rng.random() >= max(0.022, 330 / county.people) or not 20 <= person.age(BEGIN) <= 64:
        return []
    joined = BEGIN - timedelta(rng.randrange(30, 6_000)) if rng.random() < 0.7 else a_day(rng, BEGIN, HORIZON)
    joined = max(joined, person.born.replace(day=1) + timedelta(7_000))
    end = max(joined, BEGIN) + timedelta(30 + int(rng.expovariate(1 / 2_800)))
    reason = "Retirement" if person.age(end) > 58 else rng.choice(REASONS)
    if person.died and person.died <= end:
        end, reason = person.died, "Death in service"
    if end > HORIZON:
        end = reason = None
    if end and end <= joined:
        return []
    listed_until = end + timedelta(rng.randint(60, 240)) if end and rng.random() < 0.1 else end or HORIZON
    two = rng.random() < 0.05
    full, disabled = rng.choices((1.0, 0.8, 0.6, 0.5, 0.4), (66, 12, 10, 8, 4))[0], rng.random() < 0.06
    found = []
    for number, fte in enumerate((0.5, 0.3) if two else (full,), 1):
        unit = rng.choices(list(UNITS.values()), [unit.share for unit in UNITS.values()])[0]
        contract = weighted_choice(rng, CONTRACTS)
        found.append(Post(
            person, f"P{person.number:07d}{number}", unit, rng.choice(unit.titles.split("|")), fte, contract,
            rng.randint(3, 12), joined, end, listed_until, reason, disabled,
        ))  # fmt: skip
    return found


def _spells(rng: Random, posts: list[Post]) -> list[Spell]:
    """The absences of a person with these posts, without overlaps."""
    found = []
    if not posts:
        return found
    day, end = max(posts[0].start, BEGIN), posts[0].end or HORIZON
    while (day := day + timedelta(1 + int(rng.expovariate(1 / 200)))) < end:
        day += timedelta({5: 2, 6: 1}.get(day.weekday(), 0))
        kind = weighted_choice(rng, TYPES)
        is_long = kind == "Sickness" and rng.random() < 0.07
        last = day + timedelta(int(rng.expovariate(1 / (70 if is_long else 3))))
        if last >= end:
            break
        found.append(Spell(f"A{posts[0].person.number:07d}{len(found) + 1:03d}", posts[0].person, kind, day, last))
        day = last
    return found


def _employee(truth: Truth, heads: dict[str, str], post: Post, month: date, month_end: date) -> Employee:
    unit, is_head = post.unit, post.ref in heads.values()
    if month >= RESTRUCTURE and isinstance(unit.later, str):
        unit = UNITS[unit.later]
    name, directorate = unit.later if month >= RESTRUCTURE and unit.later else (unit.name, unit.directorate)
    manager = heads.get("CE01") if is_head else heads.get(unit.code)
    key = f"{month_end}|{post.ref}"
    if post.ref in (pair := (heads.get("AD01"), heads.get("AD02"))) and None not in pair and month.year == 2025:
        manager = pair[post.ref == pair[0]]  # each is the other's manager
        truth.record_fault("employees", key, "manager_position_ref", "HRP03", heads.get("CE01"))
    elif manager == post.ref:
        manager = None  # the chief executive
    has_left, title = post.end and post.end <= month_end, "Head of Service" if is_head else post.title
    if post.end and post.end < month:
        truth.record_fault("employees", key, "leaving_date", "HRP02")
    row = Employee(
        month_end, str(1_000_000 + post.person.number), post.ref, title, unit.code, name, directorate, manager,
        post.fte, post.contract, f"G{post.grade}", 4 * post.grade + min(3, (month_end - post.start).days // 365),
        post.start, post.end if has_left else None,
        post.reason if has_left else None, post.person.nino, post.person.ethnicity, "Y" if post.is_disabled else "N",
        post.person.born,
    )  # fmt: skip
    faults = {code: fault for code, fault in EMPLOYEE_FAULTS.items() if not (is_head and code == "HRP03")}
    truth.record_identity("employees", key, post.person.number)
    return truth.inject_fault("employees", key, row, faults, 0.06, post.ref)


def _absence(truth: Truth, spell: Spell, month_end: date) -> Absence:
    last = min(spell.last, month_end)
    days = sum((spell.first + timedelta(n)).weekday() < 5 for n in range((last - spell.first).days + 1))
    key = f"{month_end}|{spell.ref}"
    row = Absence(
        month_end, spell.ref, str(1_000_000 + spell.person.number), spell.kind, _reason(spell), spell.first,
        spell.last if spell.last <= month_end else None, days,
    )  # fmt: skip
    truth.record_identity("absence", key, spell.person.number)
    return truth.inject_fault("absence", key, row, ABSENCE_FAULTS, 0.02, spell.ref)


def _reason(spell: Spell) -> str | None:
    """The reason of a sickness absence, the same in every month."""
    return weighted_choice(Random(f"reason {spell.ref}"), SICKNESS_REASONS) if spell.kind == "Sickness" else None


def _workbook(month_end: date, employees: list[Employee], absences: list[Absence]) -> bytes:
    """The month's workbook; its bytes are always the same."""
    content = io.BytesIO()
    with xlsxwriter.Workbook(content, {"in_memory": True, "constant_memory": True}) as book:
        book.set_properties({"created": datetime(month_end.year, month_end.month, month_end.day)})
        dates = book.add_format({"num_format": "dd/mm/yyyy"})
        sheets = (("Employees", EMPLOYEES, employees), ("Absence", ABSENCE, absences))
        for name, headings, rows in sheets:
            sheet = book.add_worksheet(name)
            sheet.write_string(0, 0, "Worcestershire County Council")
            sheet.write_string(1, 0, f"{name} at {month_end:%d %B %Y}, from iTrent")
            sheet.write_row(3, 0, [heading.strip() for heading in headings.split(",")])
            for number, row in enumerate(rows, 4):
                for column, value in enumerate(row):
                    if isinstance(value, date) and value.year > 1900:
                        sheet.write_datetime(number, column, value, dates)
                    elif value is not None:
                        sheet.write(number, column, str(value) if isinstance(value, date) else value)
    return content.getvalue()
