"""Addresses as they are typed, in spellings that do not depend on how: what tells homes apart, for tokens.

A home is known by its numbers (or the beginning of its name), the beginning of its street's name and its postcode.
Beside that stand two that do without one of them, for addresses in which it is missing or wrong. All works on Arrow
texts.
"""

from typing import NamedTuple, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

Texts: TypeAlias = pa.ChunkedArray

POSTCODE = r"\b(?P<outward>[A-Z]{1,2}[0-9][0-9A-Z]?) ?(?P<first>[0-9O])(?P<unit>[A-Z]{2})$"
COUNTY = r"(?: (?:WORCESTERSHIRE|WORCS|ENGLAND|UNITED KINGDOM|UK|GB))+$"
ROADS = {  # what a road is called, and how that is shortened
    "ROAD": "RD", "STREET": "ST|STR", "LANE": "LN|LA", "CLOSE": "CL|CLO", "AVENUE": "AV|AVE", "DRIVE": "DR|DRV",
    "CRESCENT": "CRES|CR|CRESC", "WAY": "WY", "COURT": "CT|CRT", "GARDENS": "GDNS|GDN|GARDEN", "PLACE": "PL|PLC",
    "GROVE": "GR|GRV|GRO", "TERRACE": "TER|TCE|TERR", "SQUARE": "SQ", "HILL": "", "RISE": "", "ROW": "", "WALK": "WLK",
    "VIEW": "VW", "MEWS": "", "GREEN": "GRN", "PARK": "PK", "PARADE": "PDE", "BANK": "BK", "END": "",
}  # fmt: skip
LONG = {form: road for road, short in ROADS.items() for form in (road, *short.split("|")) if form}
ROAD = "|".join(LONG)
NUMBERED = rf"^(?P<home>(?:.* )?[0-9]+[A-Z]?) (?P<street>[A-Z][A-Z ]*?) (?P<kind>{ROAD})\b(?P<rest>.*)$"
NAMED = rf"^(?P<home>[A-Z][A-Z ]*?) (?P<street>[A-Z]+) (?P<kind>{ROAD})\b(?P<rest>.*)$"
BESIDE = r"\b(?:THE FLAT|PLOT [0-9]+[A-Z]?|ADJ(?:ACENT)?(?: TO)?|NEW BUILD|LAND AT|SITE OF) "  # tells no home apart
A_NUMBER_TO_RING = r" ?\b(?:(?:TEL|TELEPHONE|PHONE) )?(?:44 ?|0)[0-9]{3,5} [0-9]{3} ?[0-9]{3,4}\b"
A_FLAT = r"\b(?:FLAT|APARTMENT|APT|UNIT|ROOM) ([0-9]+[A-Z]?)\b"  # wherever it is written, it comes first
A_LETTER = r"\b(?:FLAT|APARTMENT|APT|UNIT|ROOM) ([A-Z])\b"  # of a flat that has one in place of a number
NAME_LETTERS, STREET_LETTERS = 9, 2  # how much of a name is compared: misspellings are mostly further on


class Parts(NamedTuple):
    """What an address is made of, each an Arrow column of texts, empty where it has none."""

    home: Texts  # its numbers, or the beginning of its name
    street: Texts
    town: Texts  # its last word
    postcode: Texts


def parts(capitals: Texts) -> Parts:
    """The parts of addresses in capitals."""
    clean = pc.replace_substring_regex(capitals, "[.'`\u2018\u2019]", "")
    clean = pc.utf8_trim(pc.replace_substring_regex(clean, "[^A-Z0-9]+", " "), " ")
    code = pc.extract_regex(clean, POSTCODE)
    first = pc.replace_substring(_field(code, "first"), "O", "0")
    postcode = pc.binary_join_element_wise(_field(code, "outward"), first, _field(code, "unit"), "")
    clean = pc.replace_substring_regex(clean, f" ?{POSTCODE}", "")
    clean = pc.replace_substring_regex(clean, COUNTY, "")
    clean = pc.replace_substring_regex(clean, f"{BESIDE}|{A_NUMBER_TO_RING}", "")
    clean = pc.replace_substring_regex(clean, A_LETTER, r"FLAT 0\1")
    has_flat = pc.match_substring_regex(clean, A_FLAT)
    flats = pc.replace_substring_regex(clean.filter(has_flat), f"^(.*){A_FLAT}", r"\2 \1")
    clean = _with(clean, has_flat, flats)
    numbered, named = pc.extract_regex(clean, NUMBERED), pc.extract_regex(clean, NAMED)
    is_numbered, is_named = pc.is_valid(numbered), pc.is_valid(named)
    either = {
        name: pc.if_else(is_numbered, _field(numbered, name), _field(named, name))
        for name in ("home", "street", "kind", "rest")
    }
    in_street = pc.or_(is_numbered, is_named)
    home = pc.if_else(in_street, either["home"], clean)
    numbers = pc.replace_substring_regex(home, r"\b[A-Z]+\b", "")
    numbers = pc.utf8_trim(pc.replace_substring_regex(numbers, r"\b0*([0-9A-Z]+)|\s+", r"\1 "), " ")
    numbers = pc.replace_substring_regex(numbers, " +", " ")
    name = pc.utf8_slice_codeunits(pc.replace_substring(home, " ", ""), 0, NAME_LETTERS)
    last = pc.extract_regex(pc.if_else(in_street, either["rest"], clean), r"(?P<town>[A-Z]+)$")
    kind = pc.take(pa.array(LONG.values()), pc.index_in(either["kind"], pa.array(LONG.keys())))
    street = pc.binary_join_element_wise(pc.replace_substring(either["street"], " ", ""), pc.fill_null(kind, ""), "")
    return Parts(pc.if_else(pc.equal(numbers, ""), name, numbers), street, _field(last, "town"), postcode)


def spellings(texts: Texts) -> dict[str, Texts]:
    """{"": the spelling that counts, "premises": home and postcode, "street": home, street and town}.

    The first is home, street and postcode, as far as the address has them, else its whole text; the others, which stand
    in where street or postcode is missing or wrong, are null without what they name.
    """
    capitals = pc.utf8_upper(pc.utf8_normalize(texts, "NFKC"))
    found = parts(capitals)
    street = pc.utf8_slice_codeunits(found.street, 0, STREET_LETTERS)
    premises, in_street = _joined(found.home, found.postcode), _joined(found.home, found.street, found.town)
    counts = pc.coalesce(_joined(found.home, street, found.postcode), premises, in_street)
    has_none = pc.is_null(counts)
    counts = _with(counts, has_none, pc.replace_substring_regex(capitals.filter(has_none), r"[^\p{L}0-9]", ""))
    return {"": counts, "premises": premises, "street": in_street}


def _with(texts: Texts, mask: Texts, others: Texts) -> Texts:
    """The texts with others, one for each place that the mask has, there."""
    texts, mask, others = (each.combine_chunks() for each in (texts, pc.fill_null(mask, False), others))
    return pa.chunked_array([pc.replace_with_mask(texts, mask, others)])


def _joined(*found: Texts) -> Texts:
    """The parts with | between, null where one is empty."""
    joined = pc.binary_join_element_wise(*found, "|")
    return pc.if_else(pc.match_substring_regex(joined, r"^\||\|\||\|$"), None, joined)


def _field(found: Texts, name: str) -> Texts:
    return pc.fill_null(pc.struct_field(found, name), "")
