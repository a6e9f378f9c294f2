"""Addresses and names as staff type them, with realistic errors.

The address errors and their frequencies are those of `address-errors` (fitted to records of six English councils).
Variants without an error (capitals, Rd for Road) and all changes to names are made here.
"""

from datetime import date
from random import Random
from typing import NamedTuple

from address_errors import Controls, Corruptor, Profile
from address_errors.context import COLUMNS, add_context
from address_errors.pipeline.reference import derive_columns

from demo.county import County
from demo.people import Person
from demo.places import ROAD_ABBREVIATIONS, Address, word

NICKNAMES = {  # by the forename in the register of births
    "Alfie": "Alf", "Arthur": "Art", "Charlotte": "Lottie", "Daniel": "Dan", "David": "Dave", "Edith": "Edie",
    "Edward": "Ted", "Emily": "Em", "Frank": "Francis", "Fred": "Frederick", "Harriet": "Hattie", "Harry": "Harold",
    "Henry": "Hal", "Imogen": "Immy", "Isaac": "Zac", "Jack": "John", "Jacob": "Jake", "James": "Jim",
    "Jessica": "Jess", "Katie": "Kate", "Liam": "William", "Lucas": "Luke", "Margaret": "Maggie", "Max": "Maxwell",
    "Megan": "Meg", "Mohammed": "Mo", "Olivia": "Liv", "Oliver": "Ollie", "Robert": "Bob", "Ronnie": "Ronald",
    "Rose": "Rosie", "Samuel": "Sam", "Sarah": "Sally", "Stanley": "Stan", "Theo": "Theodore", "Thomas": "Tom",
    "Toby": "Tobias", "Violet": "Vi", "William": "Bill",
}  # fmt: skip


class TypedAddress(NamedTuple):
    """A typed address and its edits: address-errors' codes, or the name of a habit."""

    line: str
    town: str
    postcode: str | None
    edits: str
    uprn: str | None  # if the address was chosen from the gazetteer and then edited


class AddressTypist:
    """Types a system's addresses. `share` of them go through address-errors, which changes one in ten."""

    def __init__(self, county: County, system: str, share: float = 0.5):
        self.county, self.system, self.share = county, system, share
        controls = Controls(label_drift=0.0, case="title", commas=True)  # label drift would give another home's address
        self.corruptor = Corruptor(Profile.load(), seed=f"{county.seed} {system}", controls=controls)

    def __call__(self, address: Address, key: object) -> TypedAddress:
        """The address as the record with this key has it; always the same."""
        rng = self.county.rng(f"{self.system} {key} address")
        line, town, edits = address.line, address.street.town, ""
        postcode: str | None = address.street.postcode
        if rng.random() < self.share:
            self.corruptor.rng.seed(rng.random())
            self.corruptor.postcode_layer.rng.seed(rng.random())
            corrupted = self.corruptor.index([_record(address)]).generate([str(address.key)])[0]
            edits = "|".join(filter(None, [corrupted["applied_rules"], corrupted["postcode_edit"]]))
            if edits:
                line, _, town = corrupted["recorded_address"].rpartition(", ")
                if corrupted["postcode_edit"] != "PC2":  # some of these have a letter for a digit, which a rule finds
                    postcode = corrupted["recorded_postcode"] or None
        habit = rng.random()
        road = address.street.name.split()[-1]
        if habit < 0.1:
            line, town, edits = line.upper(), town.upper(), f"{edits}|capitals"
        elif habit < 0.2 and road in ROAD_ABBREVIATIONS and road in line:
            line, edits = (
                line.replace(road, f"{ROAD_ABBREVIATIONS[road]}{rng.choice(('', '.'))}"),
                f"{edits}|abbreviated",
            )
        elif habit < 0.23 and postcode:
            postcode, edits = postcode.replace(" ", "").lower(), f"{edits}|postcode without space"
        elif habit < 0.25:
            line, edits = f" {line}  ", f"{edits}|spaces"
        return TypedAddress(line, town, postcode, edits.strip("|"), address.uprn if rng.random() < 0.6 else None)


def _record(address: Address) -> dict[str, str]:
    street = address.street
    record = dict.fromkeys(COLUMNS, "") | {
        "uprn": str(address.key), "feature_type": "builtaddress", "usrn": street.usrn, "postcode": street.postcode,
        "subname": (address.secondary or "").upper(), "name": (address.building or "").upper(),
        "number": address.number or "", "streetname": street.name.upper(), "townname": street.town.upper(),
        "locality": (street.locality or "").upper(), "easting": str(street.easting), "northing": str(street.northing),
    }  # fmt: skip
    derive_columns([record])
    described: dict[str, str] = add_context([record])[0]
    return described


class RecordedName(NamedTuple):
    """A person's name and birth date as a system records them."""

    forename: str
    surname: str
    born: date


class NameTypist:
    """Types a system's names: one record in eight differs from the register of births."""

    def __init__(self, county: County, system: str):
        self.county, self.system = county, system

    def __call__(self, person: Person) -> RecordedName:
        """Name and birth date as this system records them; always the same."""
        rng = self.county.rng(f"{self.system} {person.number} name")
        name, chance = RecordedName(person.forename, person.surname, person.born), rng.random()
        if chance < 0.05:
            return name._replace(forename=NICKNAMES.get(person.forename, person.forename))
        if chance < 0.07:
            return name._replace(forename=_mistyped(rng, person.forename))
        if chance < 0.1:
            return name._replace(surname=_mistyped(rng, person.surname))
        if chance < 0.115 and person.sex == "F" and person.born.year < 2005:
            return name._replace(surname=word(rng))  # before or since her marriage
        if chance < 0.125 and person.born.day < person.born.month:  # month before day; never later than the birth
            return name._replace(born=person.born.replace(day=person.born.month, month=person.born.day))
        return name


def _mistyped(rng: Random, name: str) -> str:
    """The name with two letters swapped, or one letter missing, doubled or replaced."""
    at = rng.randrange(1, len(name) - 1)
    before, here, after, rest = name[:at], name[at], name[at + 1], name[at + 2 :]
    mistakes = (after + here, after, here + here + after, rng.choice("aeiou") + after)
    return before + rng.choice(mistakes) + rest
