"""The demo county's education system: Capita One's extracts of pupils, attendance, suspensions and EHCPs.

Schools, their numbers and the terms are synthetic. Schools send attendance and enrolments under the UPN that they know.
"""

from collections import defaultdict, namedtuple
from collections.abc import Iterator
from datetime import date, timedelta
from random import Random

from demo.county import County, Truth, as_csv
from demo.people import UPN_LETTERS, Person, with_check_letter
from demo.places import word
from demo.typing_errors import NameTypist

PUPILS_PER_FILE = 4_000
TERMS = {  # first and last Monday of each half term, by the year in which the academic year begins
    2025: "250901-251020 251103-251215 260105-260209 260223-260323 260413-260518 260601-260713",
    2026: "260907-261019 261102-261214 270104-270208 270222-270315 270405-270524 270607-270712",
}
BANK_HOLIDAYS = (date(2026, 5, 4), date(2027, 5, 3))
CONVERSION = date(2026, 4, 1)  # some schools become academies on this day, under new numbers
NEEDS = ("ASD", "ASD", "ASD", "SLCN", "SLCN", "SEMH", "SEMH", "MLD", "SPLD", "SLD", "PD", "HI", "VI", "PMLD")
REASONS = ("DB", "DB", "DB", "PP", "VA", "PA", "DM", "BU", "DA", "MT")

Pupil = namedtuple("Pupil", "upn former_upn surname forename date_of_birth sex ethnicity postcode")
School = namedtuple("School", "urn laestab school_name phase postcode open_date close_date predecessor_urn")
Enrolment = namedtuple("Enrolment", "upn urn laestab entry_date leaving_date nc_year")
Sessions = namedtuple("Sessions", "upn urn week_commencing session_code sessions")
Suspension = namedtuple("Suspension", "upn urn category reason start_date sessions_lost")
Plan = namedtuple("Plan", "upn requested_date decided_date outcome issued_date primary_need exception")


def files(county: County, truth: Truth) -> Iterator[tuple[str, bytes]]:
    """The extracts: attendance in several files, one file for each other table."""
    primary, secondary, registered = _schools(county)
    found = _Extract(truth, NameTypist(county, "capita"))
    for household in county.households():
        homes = [group[household.number * 7_919 % len(group)] for group in (primary, secondary)]
        for person in household.people:
            if weeks := _weeks(person, county.day):
                address = household.address(county.day)
                found.add_pupil(county, person, address.street.postcode, homes, weeks)
                truth.record_identity("pupils", f"pupils.csv:{len(found.rows['pupils'])}", person.number, address)
                if len(found.rows["pupils"]) % PUPILS_PER_FILE == 0:
                    yield from found.attendance()
    yield from found.attendance()
    yield "education/schools.csv", as_csv(",".join(School._fields), registered)
    for table, kind in ("pupils", Pupil), ("enrolments", Enrolment), ("suspensions", Suspension), ("ehcps", Plan):
        yield f"education/{table}.csv", as_csv(",".join(kind._fields), found.rows[table])


class _Extract:
    """Collects rows by table."""

    def __init__(self, truth: Truth, name_typist: NameTypist):
        self.truth, self.name_typist, self.parts = truth, name_typist, 0
        self.rows: dict[str, list] = defaultdict(list)
        self.sessions: dict[date, list[tuple[Sessions, dict]]] = defaultdict(list)

    def add_pupil(self, county: County, person: Person, postcode: str, homes: list, weeks: list[date]) -> None:
        """Add the pupil's rows to every table; `homes` are the household's schools, primary and secondary."""
        rng = Random(f"{county.seed} capita {person.number}")
        former = temporary_upn(person.upn) if rng.random() < 0.05 else None
        known = self.name_typist(person)
        details = (known.surname, known.forename, known.born, person.sex, person.ethnicity, postcode)
        pupil = Pupil(person.upn, former, *details)
        upn = self._add("pupils", pupil, {} if former else FAULTS, rng).upn  # the UPN that schools know
        fault = {"EDU01": ("upn", former)} if former else {}
        for row in _enrolments(upn, person, homes, county.day):
            old = _on(homes[row.nc_year > 6], date.min)
            moved = {"EDU03": ("laestab", old.laestab)} if row.urn != old.urn else {}
            self._add("enrolments", row, fault or moved, rng, 0.3 if fault else 0.05)
        self._add_events(Random(f"{county.seed} capita events {person.number}"), upn, person, homes, county.day)
        for row in _attendance(Random(f"{county.seed} capita weeks {person.number}"), upn, person, homes, weeks):
            code = {"EDU02": ("session_code", "H")} if row.session_code == "I" and rng.random() < 0.02 else {}
            self.sessions[row.week_commencing].append((row, code or (fault if rng.random() < 0.1 else {})))

    def _add_events(self, rng: Random, upn: str, person: Person, homes: list, day: date) -> None:
        for row in _suspensions(rng, upn, person, homes):
            if row.start_date <= day and person.is_alive(row.start_date):
                self._add("suspensions", row, {"EDU04": ("sessions_lost", 450)}, rng, 0.05)
        if plan := _plan(rng, upn, person, day):
            plan = plan._replace(exception=_exception(plan, Random(f"exception {upn} {plan.requested_date}")))
            faults = {"EDU06": ("primary_need", "LD")}
            if plan.decided_date:
                faults["EDU05"] = ("decided_date", plan.requested_date - timedelta(rng.randint(1, 300)))
            self._add("ehcps", plan, faults, rng, 0.05)

    def _add(self, table: str, row: tuple, faults: dict, rng: Random, share: float = 0.02) -> tuple:
        """Add the row as recorded: with probability `share`, which depends on the pupil, after one of `faults`."""
        chance, choice = rng.random(), rng.random()
        if faults and chance < share:
            code = sorted(faults)[int(choice * len(faults))]
            row = self._with_fault(table, f"{table}.csv:{len(self.rows[table]) + 1}", row, {code: faults[code]})
        self.rows[table].append(row)
        return row

    def _with_fault(self, table: str, key: str, row: tuple, fault: dict) -> tuple:
        ((code, (column, value)),) = fault.items()
        made = value if callable(value) else lambda *_: value
        return self.truth.inject_fault(table, key, row, {code: (column, made)}, 1)

    def attendance(self) -> Iterator[tuple[str, bytes]]:
        """Return the attendance so far, oldest week first (a later day appends rows), and start again."""
        self.parts += 1
        for year in TERMS:
            name, rows = f"attendance_{year}_{self.parts:03d}.csv", []
            for week in _mondays(year):
                for row, fault in self.sessions.get(week, ()):
                    key = f"{name}:{len(rows) + 1}"
                    rows.append(self._with_fault("attendance", key, row, fault) if fault else row)
            if rows:
                yield f"education/{name}", as_csv(",".join(Sessions._fields), rows)
        self.sessions.clear()


def _schools(county: County) -> tuple[list, list, list[School]]:
    """Primary and secondary schools, as (school, its later academy or None), and the schools registered by the day."""
    streets, groups, registered = county.streets(), ([], []), []
    for n in range(max(4, county.people // 2_500)):
        rng = county.rng(f"school {n}")
        is_secondary = n % 5 == 3
        phase, kind = ("Secondary", "High School") if is_secondary else ("Primary", "Primary School")
        name, postcode, opened = word(rng), rng.choice(streets).postcode, date(rng.randint(1950, 2005), 9, 1)
        urn, academy = 900_001 + 2 * n, None
        school = School(str(urn), f"885/{3_001 + n}", f"{name} {kind}", phase, postcode, opened, None, None)
        if n % 7 == 1:
            details = (f"{name} Academy", phase, postcode, CONVERSION, None, school.urn)
            academy = School(str(urn + 1), f"885/{6_001 + n}", *details)
        groups[is_secondary].append((school, academy))
        if academy and academy.open_date <= county.day:
            registered += [school._replace(close_date=CONVERSION - timedelta(1)), academy]
        else:
            registered.append(school)
    return *groups, registered


def _on(home: tuple[School, School | None], day: date) -> School:
    school, academy = home
    return academy if academy and academy.open_date <= day else school


def _mondays(year: int) -> list[date]:
    found = []
    for term in TERMS[year].split():
        monday, last = (date(2000 + int(day[:2]), int(day[2:4]), int(day[4:])) for day in term.split("-"))
        while monday <= last:
            found.append(monday)
            monday += timedelta(7)
    return found


MONDAYS = {year: _mondays(year) for year in TERMS}


def _year_group(person: Person, year: int) -> int:
    """The National Curriculum year in an academic year, 0 for reception; pupils are in years 0 to 11."""
    return year - (person.born.year if person.born.month > 8 else person.born.year - 1) - 5


def _weeks(person: Person, day: date) -> list[date]:
    """The Mondays of the pupil's school weeks up to the day."""
    return [
        monday
        for year, mondays in MONDAYS.items()
        if 0 <= _year_group(person, year) <= 11
        for monday in mondays
        if monday + timedelta(4) <= day and person.is_alive(monday + timedelta(4))
    ]


def _enrolments(upn: str, person: Person, homes: list, day: date) -> Iterator[Enrolment]:
    """One enrolment at each school since the first year of the data, as recorded on the day."""
    first = min(TERMS) - _year_group(person, min(TERMS))  # academic year of reception
    for home, begin, end in ((homes[0], first, first + 7), (homes[1], first + 7, first + 12)):
        entry, leaving = date(begin, 9, 1), date(end, 8, 31)
        leaving = min(leaving, person.died or leaving)
        if entry <= day and leaving > date(min(TERMS), 9, 1) and entry < leaving:
            school = _on(home, min(day, leaving))
            this_year = day.year - (day.month < 9)
            last_group = _year_group(person, min(this_year, end - 1))
            yield Enrolment(upn, school.urn, school.laestab, entry, leaving if leaving <= day else None, last_group)


def _attendance(rng: Random, upn: str, person: Person, homes: list, weeks: list[date]) -> Iterator[Sessions]:
    """Counts of sessions by week and code: mostly ten present, for some pupils often fewer."""
    absence = min(0.9, rng.gammavariate(0.7, 0.25))
    for monday in weeks:
        chance, kind, lost = rng.random(), rng.random(), 2 * rng.choice((1, 1, 1, 2, 2, 3, 5))
        year = monday.year - (monday.month < 9)
        school = _on(homes[_year_group(person, year) > 6], monday)
        possible = 8 if monday in BANK_HOLIDAYS else 10
        counts = {"/\\": possible}
        if chance < absence:
            code = next(code for code, share in ABSENCES if kind < share)
            counts = {"/\\": possible - min(lost, possible), code: min(lost, possible)}
        elif chance > 0.96:
            counts = {"/\\": possible - 1, "L": 1}
        yield from (Sessions(upn, school.urn, monday, code, number) for code, number in counts.items() if number)


# cumulative shares: illness, appointment, holiday, unexplained, unauthorised, closed
ABSENCES = (("I", 0.6), ("M", 0.72), ("G", 0.8), ("N", 0.84), ("O", 0.96), ("C", 0.98), ("Y1", 1))


def _suspensions(rng: Random, upn: str, person: Person, homes: list) -> Iterator[Suspension]:
    """Five per cent of pupils are suspended in a year, one in forty of these permanently."""
    for year, mondays in MONDAYS.items():
        chance, times = rng.random(), rng.choice((1, 1, 1, 2, 3))
        drawn = [(rng.choice(mondays), rng.randrange(5), rng.choice(REASONS), rng.randint(1, 10)) for _ in range(times)]
        is_permanent = rng.random() < 0.025
        group = _year_group(person, year)
        if not 0 <= group <= 11 or chance > 0.05:
            continue
        for monday, weekday, reason, lost in sorted(drawn):
            start = monday + timedelta(weekday)
            category = "PERM" if is_permanent else "SUSP"
            yield Suspension(upn, _on(homes[group > 6], start).urn, category, reason, start, lost)
            if is_permanent:
                break


def _plan(rng: Random, upn: str, person: Person, day: date) -> Plan | None:
    """The request for an EHCP as recorded on the day; four pupils in a hundred have one."""
    chance, requested = rng.random(), person.born + timedelta(int(365.25 * rng.uniform(3, 9)))
    weeks, after = rng.randint(2, 6), max(8, rng.gauss(21, 6))
    is_agreed, need = rng.random() < 0.75, rng.choice(NEEDS)
    if chance > 0.07 or requested > day:
        return None
    decided, issued = requested + timedelta(7 * weeks), requested + timedelta(int(7 * after))
    if decided > day:
        return Plan(upn, requested, None, None, None, need, None)
    if not is_agreed:
        return Plan(upn, requested, decided, "Refused", None, need, None)
    return Plan(upn, requested, decided, "Agreed", issued if issued <= day else None, need, None)


def _exception(plan: Plan, rng: Random) -> str | None:
    """Whether an exception to the 20 weeks applies to an issued plan: to three late plans in ten."""
    if not plan.issued_date:
        return None
    return "Y" if (plan.issued_date - plan.requested_date).days > 140 and rng.random() < 0.3 else "N"


def temporary_upn(upn: str) -> str:
    """A UPN that ends in a letter, different for each permanent UPN."""
    return with_check_letter(upn[1:12] + UPN_LETTERS[int(upn[12])])


FAULTS = {  # {violated rule: (column of the pupil's record, faulty value)}
    "UPN01": ("upn", lambda _, row: f"1{row.upn[1:]}"),
    "UPN02": ("upn", lambda _, row: f"{UPN_LETTERS[UPN_LETTERS.index(row.upn[0]) - 1]}{row.upn[1:]}"),
    "UPN03": ("upn", lambda _, row: temporary_upn(row.upn)),
    "NAM02": ("surname", lambda _, row: f"{row.surname}1"),
    "PCD01": ("postcode", lambda _, row: row.postcode[:-1]),
    "EDU07": ("ethnicity", lambda *_: "WEST"),
}
