"""How addresses and names come to be written in the county's systems: as their staff type them, and with real errors.

The errors of addresses, and how often they are made, are `address-errors`' (fitted to six English councils' records);
what is typed differently without an error (capitals, Rd for Road) is ours, and so is all that happens to names.
"""

from datetime import date
from random import Random
from typing import NamedTuple

from address_errors import Controls, Corruptor, Profile
from address_errors.context import COLUMNS, add_context
from address_errors.pipeline.reference import derive_columns

from demo.county import County
from demo.people import Person
from demo.places import SHORT, Address, word

KNOWN_AS = {  # by the forename in the register of births
    "Alfie": "Alf", "Arthur": "Art", "Charlotte": "Lottie", "Daniel": "Dan", "David": "Dave", "Edith": "Edie",
    "Edward": "Ted", "Emily": "Em", "Frank": "Francis", "Fred": "Frederick", "Harriet": "Hattie", "Harry": "Harold",
    "Henry": "Hal", "Imogen": "Immy", "Isaac": "Zac", "Jack": "John", "Jacob": "Jake", "James": "Jim",
    "Jessica": "Jess", "Katie": "Kate", "Liam": "William", "Lucas": "Luke", "Margaret": "Maggie", "Max": "Maxwell",
    "Megan": "Meg", "Mohammed": "Mo", "Olivia": "Liv", "Oliver": "Ollie", "Robert": "Bob", "Ronnie": "Ronald",
    "Rose": "Rosie", "Samuel": "Sam", "Sarah": "Sally", "Stanley": "Stan", "Theo": "Theodore", "Thomas": "Tom",
    "Toby": "Tobias", "Violet": "Vi", "William": "Bill",
}  # fmt: skip


class Written(NamedTuple):
    """An address as it was typed, and what is wrong with it (address-errors' codes, or the name of a habit)."""

    line: str
    town: str
    postcode: str | None
    edits: str
    uprn: str | None  # where it was chosen from the gazetteer, and typed over


class Handwriting:
    """One system's staff. `share` of the addresses go through address-errors, of which one in ten comes out changed."""

    def __init__(self, county: County, system: str, share: float = 0.5):
        self.county, self.system, self.share = county, system, share
        controls = Controls(label_drift=0.0, case="title", commas=True)  # another home's address would be a lie
        self.corruptor = Corruptor(Profile.load(), seed=f"{county.seed} {system}", controls=controls)

    def __call__(self, address: Address, key: object) -> Written:
        """The address as a record of that key has it; always the same."""
        rng = self.county.rng(f"{self.system} {key} address")
        line, town, edits = address.line, address.street.town, ""
        postcode: str | None = address.street.postcode
        if rng.random() < self.share:
            self.corruptor.rng.seed(rng.random())
            self.corruptor.postcode_layer.rng.seed(rng.random())
            made = self.corruptor.index([_record(address)]).generate([str(address.key)])[0]
            edits = "|".join(filter(None, [made["applied_rules"], made["postcode_edit"]]))
            if edits:
                line, _, town = made["recorded_address"].rpartition(", ")
                if made["postcode_edit"] != "PC2":  # of which some have a letter for a digit: a rule finds those
                    postcode = made["recorded_postcode"] or None
        habit = rng.random()
        road = address.street.name.split()[-1]
        if habit < 0.1:
            line, town, edits = line.upper(), town.upper(), f"{edits}|capitals"
        elif habit < 0.2 and road in SHORT and road in line:
            line, edits = line.replace(road, f"{SHORT[road]}{rng.choice(('', '.'))}"), f"{edits}|abbreviated"
        elif habit < 0.23 and postcode:
            postcode, edits = postcode.replace(" ", "").lower(), f"{edits}|postcode without space"
        elif habit < 0.25:
            line, edits = f" {line}  ", f"{edits}|spaces"
        return Written(line, town, postcode, edits.strip("|"), address.uprn if rng.random() < 0.6 else None)


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


class Told(NamedTuple):
    """What a system was told of somebody's identity."""

    forename: str
    surname: str
    born: date


class Names:
    """One system's staff: one record in eight has a name or a birth date otherwise than the register of births."""

    def __init__(self, county: County, system: str):
        self.county, self.system = county, system

    def __call__(self, person: Person) -> Told:
        """Name and birth date as this system has them; always the same."""
        rng = self.county.rng(f"{self.system} {person.number} name")
        told, chance = Told(person.forename, person.surname, person.born), rng.random()
        if chance < 0.05:
            return told._replace(forename=KNOWN_AS.get(person.forename, person.forename))
        if chance < 0.07:
            return told._replace(forename=_mistyped(rng, person.forename))
        if chance < 0.1:
            return told._replace(surname=_mistyped(rng, person.surname))
        if chance < 0.115 and person.sex == "F" and person.born.year < 2005:
            return told._replace(surname=word(rng))  # before she married, or since
        if chance < 0.125 and person.born.day < person.born.month:  # as Americans write it; never later than the birth
            return told._replace(born=person.born.replace(day=person.born.month, month=person.born.day))
        return told


def _mistyped(rng: Random, name: str) -> str:
    """The name with two letters that changed places, or one that is missing, doubled or another."""
    at = rng.randrange(1, len(name) - 1)
    before, here, after, rest = name[:at], name[at], name[at + 1], name[at + 2 :]
    wrong = (after + here, after, here + here + after, rng.choice("aeiou") + after)
    return before + rng.choice(wrong) + rest
