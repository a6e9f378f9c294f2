"""The demo county's libraries: Koha's extracts, and a yearly workbook of visitor counts.

Branches are synthetic; each has one staff card, which is no person's. Koha's times are Europe/London without a zone.
"""

import io
from collections import defaultdict, namedtuple
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from random import Random
from statistics import median

import xlsxwriter

from demo.county import County, Truth, as_csv
from demo.people import HORIZON, Household, Person
from demo.places import Address, word
from demo.typing_errors import AddressTypist, NameTypist

FIRST_DAY = date(2024, 11, 1)  # first day of loans
BORROWERS_PER_FILE = 5_000
YEARS = (2025, 2026)  # financial years of the visits, by the year in which they begin
MONTHS = "Apr May Jun Jul Aug Sep Oct Nov Dec Jan Feb Mar"
BRANCHES = 21
CLOSED = {
    4: (date(2025, 9, 1), date(2025, 12, 31)),
    11: (date(2026, 5, 1), date(2026, 7, 31)),
}  # while they are rebuilt
ITEM_TYPES = {"BK": "Book", "CBK": "Children's book", "LP": "Large print", "AUD": "Audiobook", "DVD": "DVD"}

Branch = namedtuple("Branch", "branchcode branchname branchzip population closed_from closed_to")
Borrower = namedtuple(
    "Borrower",
    """borrowernumber cardnumber surname firstname dateofbirth address city zipcode email phone branchcode categorycode
    dateenrolled dateexpiry debarred debarredcomment""",
)
Item = namedtuple("Item", "itemnumber barcode homebranch itype")
Cell = namedtuple("Cell", "visits")
Statistic = namedtuple("Statistic", "datetime branch type itemnumber borrowernumber")


def files(county: County, truth: Truth) -> Iterator[tuple[str, bytes]]:
    """Loans in several files, one file for each other table, and the workbooks."""
    branches = _branches(county)
    items, found = _items(county, branches), _Extract(truth, AddressTypist(county, "koha"), NameTypist(county, "koha"))
    for n, branch in enumerate(branches):
        found.borrowers.append(_staff_card(truth, n, branch))
        found.add(_staff_loans(county.rng(f"staff card {n}"), found.borrowers[-1], items, county.day))
    for household in county.households():
        for person in household.people:
            rng = Random(f"{county.seed} koha {person.number}")
            if rng.random() < 0.17 and (row := _borrower(rng, household, person, branches, county.day)):
                found.add_borrower(rng, row, person, household.address(county.day))
                found.add(_loans(rng, row, branches, items, county.day))
                if len(found.borrowers) % BORROWERS_PER_FILE == 0:
                    yield from found.statistics()
    yield from found.statistics()
    yield "libraries/koha_branches.csv", as_csv(",".join(Branch._fields), branches)
    yield "libraries/koha_items.csv", as_csv(",".join(Item._fields), items)
    yield "libraries/koha_itemtypes.csv", as_csv("itemtype,description", ITEM_TYPES.items())
    yield "libraries/koha_borrowers.csv", as_csv(",".join(Borrower._fields), found.borrowers)
    for year in YEARS:
        name = f"footfall_{year}-{year - 1999}.xlsx"
        yield f"libraries/{name}", _workbook(year, _visits(county, truth, branches, year, name))


class _Extract:
    """Collects borrowers and their loans."""

    def __init__(self, truth: Truth, typed: AddressTypist, name_typist: NameTypist):
        self.truth, self.typed, self.name_typist, self.parts = truth, typed, name_typist, 0
        self.borrowers: list[Borrower] = []
        self.loans: dict[int, list[Statistic]] = defaultdict(list)
        self.died: dict[int, date] = {}

    def add_borrower(self, rng: Random, row: Borrower, person: Person, address: Address) -> None:
        """Add the record; three in a hundred, depending on the person, have a fault."""
        key, chance, code = f"koha_borrowers.csv:{len(self.borrowers) + 1}", rng.random(), rng.choice(sorted(FAULTS))
        typed, name = self.typed(address, row.borrowernumber), self.name_typist(person)
        row = row._replace(
            surname=name.surname, firstname=name.forename, dateofbirth=name.born, address=typed.line, city=typed.town,
            zipcode=typed.postcode,
        )  # fmt: skip
        self.truth.record_identity("borrowers", key, person.number, address, typed.edits)
        if row.debarred:
            self.died[row.borrowernumber] = row.debarred
        self.borrowers.append(self.truth.inject_fault("borrowers", key, row, {code: FAULTS[code]}, chance < 0.03))

    def add(self, rows: Iterator[Statistic]) -> None:
        for row in rows:
            self.loans[row.datetime.year].append(row)

    def statistics(self) -> Iterator[tuple[str, bytes]]:
        """Return the loans so far by calendar year, oldest first (a later day appends rows), and start again."""
        self.parts += 1
        for year, rows in sorted(self.loans.items()):
            name = f"koha_statistics_{year}_{self.parts:03d}.csv"
            rows.sort()
            for n, row in enumerate(rows):
                died = self.died.get(row.borrowernumber)
                if died and row.datetime.date() > died and row.type == "renew":
                    due = row._replace(datetime=row.datetime - timedelta(90))
                    fault = {"LIB02": ("datetime", lambda *_, row=row: row.datetime)}
                    rows[n] = self.truth.inject_fault("statistics", f"{name}:{n + 1}", due, fault, 1)
            yield f"libraries/{name}", as_csv(",".join(Statistic._fields), rows)
        self.loans.clear()
        self.died.clear()


def _items(county: County, branches: list[Branch]) -> list[Item]:
    rng, found = county.rng("items"), []
    for n in range(70_001, 70_001 + max(2_000, county.people // 2)):
        kind = rng.choices(list(ITEM_TYPES), (40, 30, 10, 8, 12))[0]
        found.append(Item(n, f"3{n:09d}", rng.choice(branches).branchcode, kind))
    return found


def _branches(county: County) -> list[Branch]:
    rng, found = county.rng("branches"), []
    places = rng.sample(county.streets(), BRANCHES)
    for n, place in enumerate(places):
        name = word(rng)
        while name in [branch.branchname for branch in found]:
            name = word(rng)
        people = county.people * 2 * (n + 1) // (BRANCHES * (BRANCHES + 1))
        found.append(Branch(f"L{n + 1:02d}", name, place.postcode, people, *CLOSED.get(n, (None, None))))
    return found


def _staff_card(truth: Truth, n: int, branch: Branch) -> Borrower:
    """A branch's card for its displays; some branches list it among the members."""
    card = Borrower(n + 1, f"S{n + 1:05d}", "Staff", branch.branchname, None, None, None, None, None, None,
                    branch.branchcode, "S", date(2015, 4, 1), date(2035, 3, 31), None, None)  # fmt: skip
    fault = {"LIB01": ("categorycode", lambda *_: "A")}
    return truth.inject_fault("borrowers", f"koha_borrowers.csv:{n + 1}", card, fault, 1) if n % 7 == 2 else card


def _borrower(rng: Random, household: Household, person: Person, branches: list[Branch], day: date) -> Borrower | None:
    """The record as of the day; None if not enrolled yet, or expired long ago."""
    enrolled = max(date(2016, 1, 4), person.born + timedelta(200)) + timedelta(rng.randrange(3_900))
    is_lapsed, name = rng.random() < 0.3, timedelta(rng.randint(5, 60))
    if enrolled > day or not person.is_alive(enrolled):
        return None
    expires = enrolled.replace(day=min(enrolled.day, 28), year=enrolled.year + 3)
    while not is_lapsed and expires <= day:
        expires = expires.replace(year=expires.year + 3)
    if expires.year < day.year - 4:  # Koha deletes expired borrowers
        return None
    died = person.died and person.died + name
    died = died if died and died <= day else None
    age = person.age(day)
    category = "J" if age < 12 else "Y" if age < 18 else "A"
    return Borrower(
        500_000 + person.number, f"2{person.number:08d}", person.surname, person.forename, person.born,
        None, None, None, person.email, person.telephone,
        branches[household.number * 104_729 % BRANCHES].branchcode, category, enrolled, expires, died,
        "Deceased" if died else None,
    )  # fmt: skip


def _is_closed(branch: Branch, day: date) -> bool:
    return bool(branch.closed_from) and branch.closed_from <= day <= branch.closed_to


def _moment(rng: Random, day: date) -> datetime:
    """A time in opening hours: not on Sundays."""
    day += timedelta(day.weekday() == 6)
    return datetime(day.year, day.month, day.day, 9) + timedelta(seconds=rng.randrange(8 * 3_600))


def _loans(rng: Random, row: Borrower, branches: list[Branch], items: list[Item], day: date) -> Iterator[Statistic]:
    """About six issues a year with renewals and returns, up to the day, the card's end or the borrower's death."""
    index = int(row.branchcode[1:]) - 1
    last = min(day, row.dateexpiry, row.debarred - timedelta(60) if row.debarred else day)
    for _ in range(int(rng.gammavariate(0.8, 26))):
        begin, item = FIRST_DAY + timedelta(rng.randrange((HORIZON - FIRST_DAY).days)), rng.choice(items)
        here = index if rng.random() < 0.9 else rng.randrange(BRANCHES)
        events = [("issue", begin)]
        if rng.random() < 0.3:
            events.append(("renew", begin + timedelta(20)))
        events.append(("return", events[-1][1] + timedelta(rng.randint(3, 21))))
        for kind, when in events:
            moment = _moment(rng, when)
            branch = branches[here if not _is_closed(branches[here], moment.date()) else here + 1]
            if row.dateenrolled <= begin and moment.date() <= last:
                yield Statistic(moment, branch.branchcode, kind, item.itemnumber, row.borrowernumber)
    if row.debarred and (late := _moment(rng, row.debarred + timedelta(10))).date() <= day and late.date() >= FIRST_DAY:
        yield Statistic(
            late, row.branchcode, "renew", rng.choice(items).itemnumber, row.borrowernumber
        )  # automatic renewal


def _staff_loans(rng: Random, card: Borrower, items: list[Item], day: date) -> Iterator[Statistic]:
    for _ in range(60):
        begin, item = FIRST_DAY + timedelta(rng.randrange((HORIZON - FIRST_DAY).days)), rng.choice(items)
        if (moment := _moment(rng, begin)).date() <= day:
            yield Statistic(moment, card.branchcode, "issue", item.itemnumber, card.borrowernumber)


def _months(year: int) -> list[date]:
    return [date(year + (n < 3), n + 1, 1) for n in (*range(3, 12), *range(3))]


def _visits(county: County, truth: Truth, branches: list[Branch], year: int, name: str) -> list[list]:
    """Branch code, name and twelve monthly visits of each branch; None for a month that has not ended."""
    found = []
    for n, branch in enumerate(branches):
        rng = county.rng(f"visits {branch.branchcode}")
        usual = max(200, branch.population // 3)
        counts = {month: int(usual * rng.uniform(0.7, 1.3)) for first in YEARS for month in _months(first)}
        middle = int(median(counts.values()))
        row: list = [branch.branchcode, branch.branchname]
        for month in _months(year):
            last = (month.replace(day=28) + timedelta(4)).replace(day=1) - timedelta(1)
            is_closed = _is_closed(branch, month) and _is_closed(branch, last)
            cell = Cell(f"{0 if is_closed else counts[month]}")
            for code, when in VISIT_FAULTS.items():
                if when == (n, month):
                    value = {"LIB03": -middle * 3, "LIB04": middle * 40, "LIB05": middle // 9}[code]
                    fault = {code: ("visits", lambda *_, value=value: value)}
                    cell = truth.inject_fault("visits", f"{name}:{n + 1}:{month:%Y-%m}", cell, fault, 1)
            row.append(int(cell.visits) if last <= county.day else None)
        found.append(row)
    return found


# counters that were reset, that counted builders, or that stopped and then caught up in one month
VISIT_FAULTS = {"LIB03": (3, date(2025, 6, 1)), "LIB04": (9, date(2026, 2, 1)), "LIB05": (4, date(2025, 11, 1))}


def _workbook(year: int, rows: list[list]) -> bytes:
    """The year's sheet with title rows and totals; a second sheet has notes."""
    file = io.BytesIO()
    with xlsxwriter.Workbook(file, {"in_memory": True}) as book:
        book.set_properties({"created": datetime(year, 4, 1)})
        notes, sheet = book.add_worksheet("Notes"), book.add_worksheet(f"{year}-{year - 1999}")
        notes.write(0, 0, "Counters are read on the last day of the month.")
        sheet.write(0, 0, "Visits to libraries")
        sheet.write(1, 0, f"Financial year {year}/{year - 1999}")
        months = MONTHS.replace("Sep", "Sept") if year % 2 else MONTHS  # headings differ from year to year
        sheet.write_row(3, 0, ["Branch code", "Branch", *months.split(), "Total"])
        for n, row in enumerate(rows, 4):
            sheet.write_row(n, 0, row)
            sheet.write_formula(n, 14, f"=SUM(C{n + 1}:N{n + 1})", None, sum(filter(None, row[2:])))
        sheet.write(25, 0, "Total")
        for column in range(2, 15):
            values = [row[column] if column < 14 else sum(filter(None, row[2:])) for row in rows]
            letter = "ABCDEFGHIJKLMNO"[column]
            sheet.write_formula(25, column, f"=SUM({letter}5:{letter}25)", None, sum(filter(None, values)))
    return file.getvalue()


# {violated rule: (column of the borrower's record, faulty value)}
FAULTS = {
    "NAM02": ("surname", "{surname}1"),
    "TEL02": ("phone", "01632 960"),
    "EML02": ("email", "{firstname} at example.org"),
    "PCD01": ("zipcode", lambda _, row: row.zipcode[:-1]),
    "LIB06": ("dateexpiry", lambda _, row: row.dateenrolled - timedelta(365)),
}
