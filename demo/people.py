"""The demo county's people and their households, without faults; each system holds a part of these data.

Nobody is real. Numbers pass their checks but are from ranges that are not in use: NHS numbers from 800 or, one in
thirty, 0199 (a Scottish number has a month there); school numbers in a UPN from 9000.
"""

import math
from collections.abc import Iterator
from datetime import date, timedelta
from random import Random
from typing import NamedTuple

from demo.places import HOMES, Address, Street, home, streets, word

BEGIN, HORIZON = (
    date(2021, 11, 1),
    date(2027, 10, 31),
)  # events in this period are generated; those after the county's day are left out
PER_HOUSEHOLD = 2.4
UPN_LETTERS = "ABCDEFGHJKLMNPQRTUVWXYZ"
FORENAMES = {
    sex: names.split()
    for sex, names in {
        "F": """
            Ada Alice Amelia Asha Beatrice Bethan Charlotte Chloe Daisy Edith Elsie Emily Erin Eva Faith Fatima Freya
            Grace Hannah Harriet Holly Imogen Isla Ivy Jasmine Jessica Joan Katie Layla Lily Lucy Mabel Margaret Maya
            Megan Mia Molly Niamh Nora Olivia Phoebe Poppy Priya Rose Ruby Sadie Sarah Sofia Sylvia Thea Violet Willa
        """,
        "M": """
            Adam Albert Alfie Arthur Arun Ben Callum Charlie Daniel David Dylan Edward Eli Ethan Felix Finn Frank Fred
            George Harry Harvey Henry Hugo Idris Isaac Jack Jacob James Jude Kai Leo Liam Logan Louis Lucas Luke Mason
            Max Mohammed Noah Oliver Oscar Owen Ralph Reuben Robert Ronnie Rory Samuel Stanley Theo Thomas Toby William
        """,
    }.items()
}
ETHNICITIES = {  # DfE's codes, per cent
    "WBRI": 88, "WOTH": 4.4, "WIRI": 0.5, "WROM": 0.3, "MWAS": 0.6, "MWBC": 0.8, "MOTH": 0.6, "AIND": 1, "APKN": 1.4,
    "ABAN": 0.4, "AOTH": 0.6, "BAFR": 0.5, "BCRB": 0.4, "CHNE": 0.3, "OOTH": 0.6,
}  # fmt: skip


class Person(NamedTuple):
    """A person, with all data that a system may hold. `number` is the county's own; no system knows it."""

    number: int
    household: int
    forename: str
    surname: str
    sex: str  # F or M
    born: date
    died: date | None
    ethnicity: str
    nhs_number: str
    upn: str | None  # if born since 2001
    nino: str | None  # if born before 2011
    telephone: str
    email: str | None

    def age(self, day: date) -> int:
        """Completed years on the day; negative before birth."""
        return day.year - self.born.year - ((day.month, day.day) < (self.born.month, self.born.day))

    def is_alive(self, day: date) -> bool:
        """Whether the person is alive on the day."""
        return self.born <= day and not (self.died and self.died <= day)


class Household(NamedTuple):
    """People at one address, and the addresses with their first day; the first entry's day precedes all events."""

    number: int
    people: list[Person]
    homes: list[tuple[date, Address]]

    def address(self, day: date) -> Address:
        """The household's address on the day."""
        return [place for since, place in self.homes if since <= day][-1]


def households(seed: int, people: int) -> Iterator[Household]:
    """The county's households, one after another; none is kept in memory."""
    roads, number, household = streets(seed, people), 0, 0
    spare = math.ceil(people / PER_HOUSEHOLD * 1.2)  # homes from this number are for households that move
    if 2 * spare > HOMES * len(roads):
        raise ValueError("the county has too few homes")
    while number < people:
        rng = Random(f"{seed} household {household}")
        members = _members(rng, number, household)[: people - number]
        yield Household(household, members, _homes(rng, roads, household, spare))
        number += len(members)
        household += 1


def _homes(rng: Random, roads: list[Street], household: int, spare: int) -> list[tuple[date, Address]]:
    homes = [(date(2000, 1, 1), home(roads, household))]
    if rng.random() < 0.3:
        homes.append((a_day(rng, BEGIN, HORIZON), home(roads, spare + household)))
    return homes


def a_day(rng: Random, first: date, last: date) -> date:
    """A random day from `first` up to but excluding `last`."""
    return first + timedelta(rng.randrange((last - first).days))


def _members(rng: Random, number: int, household: int) -> list[Person]:
    """One person, a couple, or parents and their children; about 2.4 people on average."""
    kind = rng.choices(("single", "couple", "family", "lone parent"), (29, 35, 29, 7))[0]
    surname, middle = (
        word(rng),
        rng.randint(24, 48) if kind in ("family", "lone parent") else rng.choice((30, 50, 68, 80)),
    )
    grown = [max(19, middle + rng.randint(-8, 8))] if kind in ("single", "lone parent") else [
        max(19, middle + rng.randint(-8, 8)) for _ in range(2)
    ]  # fmt: skip
    young = [max(-1, middle - rng.randint(22, 34)) for _ in range(rng.choices((1, 2, 3), (45, 42, 13))[0])]
    ages = grown + (young if kind in ("family", "lone parent") else [])
    ethnicity = rng.choices(list(ETHNICITIES), list(ETHNICITIES.values()))[0]
    found = []
    for place, age in enumerate(ages):
        name = surname if place >= len(grown) or rng.random() < 0.85 else word(rng)
        origin = ethnicity if rng.random() < 0.9 else rng.choice(list(ETHNICITIES))
        born = date(2025, 10, 31) - timedelta(int(age * 365.25) + rng.randrange(365))
        found.append(_person(rng, number + place, household, name, born, origin))
    return found


def _person(rng: Random, number: int, household: int, surname: str, born: date, ethnicity: str) -> Person:
    sex = rng.choice("FM")
    forename, died = rng.choice(FORENAMES[sex]), None
    age = 2024 - born.year
    if rng.random() < min(0.6, 0.0003 * math.exp(0.085 * max(age, 0))):
        died = max(born, a_day(rng, BEGIN, HORIZON))
    mobile = f"07700 900{rng.randrange(1000):03d}" if rng.random() < 0.7 else f"01632 960{rng.randrange(1000):03d}"
    email = f"{forename}.{surname}{number}@example.org".lower() if age > 12 and rng.random() < 0.7 else None
    return Person(
        number, household, forename, surname, sex, born, died, ethnicity, nhs_number(number),
        upn(number, born) if born.year > 2000 else None, _nino(number) if born.year < 2011 else None, mobile, email,
    )  # fmt: skip


def nhs_number(number: int) -> str:
    """Ten digits with the check digit of modulus 11 (NHS Data Dictionary); different for each number."""
    body = 19_900_000 + number if number % 30 == 7 and number < 100_000 else 800_000_000 + number * 297
    for nine in (f"{body:09d}", f"{body + 1 if body > 1e8 else body + 50_000:09d}"):
        check = -sum(int(digit) * weight for digit, weight in zip(nine, range(10, 1, -1), strict=True)) % 11
        if check < 10:
            return f"{nine}{check}"
    return nhs_number(number + 1_000_000)


def upn(number: int, born: date) -> str:
    """A permanent UPN (DfE): check letter of modulus 23, Worcestershire's 885, an unused school, year, serial."""
    return with_check_letter(f"885{9_000 + number // 1_000:04d}{(born.year + 5) % 100:02d}{number % 1_000:03d}")


def with_check_letter(body: str) -> str:
    """A UPN from all but its check letter (DfE: weights 2 to 13, modulus 23; a letter counts as its position)."""
    worth = [int(sign) if sign.isdigit() else UPN_LETTERS.index(sign) for sign in body]
    return UPN_LETTERS[sum(value * weight for value, weight in zip(worth, range(2, 14), strict=True)) % 23] + body


def _nino(number: int) -> str:
    return f"{'YZ'[number % 2]}{'LMPRSTXY'[number // 2 % 8]}{number * 7 % 1_000_000:06d}{'ABCD'[number % 4]}"
