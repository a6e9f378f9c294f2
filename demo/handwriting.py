"""How addresses come to be written in the county's systems: as each system's staff type them, and with real errors.

The errors, and how often they are made, are `address-errors`' (fitted to six English councils' records); what is typed
differently without an error (capitals, Rd for Road) is ours.
"""

from typing import NamedTuple

from address_errors import Controls, Corruptor, Profile
from address_errors.context import COLUMNS, add_context
from address_errors.pipeline.reference import derive_columns

from demo.county import County
from demo.places import SHORT, Address


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
        line, town, postcode, edits = address.line, address.street.town, address.street.postcode, ""
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
    return add_context([record])[0]
