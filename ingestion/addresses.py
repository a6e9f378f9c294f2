"""Canonical forms of typed addresses, for tokens: the same home gives the same text however it is typed.

A home is identified by its numbers (or the start of its name), the start of its street's name and its postcode. Two
fallback forms do without the street or without the postcode, which may be missing or wrong. All functions work on Arrow
texts.
"""

from typing import NamedTuple, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

Texts: TypeAlias = pa.ChunkedArray

POSTCODE = r"\b(?P<outward>[A-Z]{1,2}[0-9][0-9A-Z]?) ?(?P<first>[0-9O])(?P<unit>[A-Z]{2})$"
COUNTY = r"(?: (?:WORCESTERSHIRE|WORCS|ENGLAND|UNITED KINGDOM|UK|GB))+$"
ROADS = {  # types of road and their abbreviations
    "ROAD": "RD", "STREET": "ST|STR", "LANE": "LN|LA", "CLOSE": "CL|CLO", "AVENUE": "AV|AVE", "DRIVE": "DR|DRV",
    "CRESCENT": "CRES|CR|CRESC", "WAY": "WY", "COURT": "CT|CRT", "GARDENS": "GDNS|GDN|GARDEN", "PLACE": "PL|PLC",
    "GROVE": "GR|GRV|GRO", "TERRACE": "TER|TCE|TERR", "SQUARE": "SQ", "HILL": "", "RISE": "", "ROW": "", "WALK": "WLK",
    "VIEW": "VW", "MEWS": "", "GREEN": "GRN", "PARK": "PK", "PARADE": "PDE", "BANK": "BK", "END": "",
}  # fmt: skip
LONG = {form: road for road, short in ROADS.items() for form in (road, *short.split("|")) if form}
ROAD = "|".join(LONG)
NUMBERED = rf"^(?P<home>(?:.* )?[0-9]+[A-Z]?) (?P<street>[A-Z][A-Z ]*?) (?P<kind>{ROAD})\b(?P<rest>.*)$"
NAMED = rf"^(?P<home>[A-Z][A-Z ]*?) (?P<street>[A-Z]+) (?P<kind>{ROAD})\b(?P<rest>.*)$"
NOISE = r"\b(?:THE FLAT|PLOT [0-9]+[A-Z]?|ADJ(?:ACENT)?(?: TO)?|NEW BUILD|LAND AT|SITE OF) "  # does not identify a home
TELEPHONE = r" ?\b(?:(?:TEL|TELEPHONE|PHONE) )?(?:44 ?|0)[0-9]{3,5} [0-9]{3} ?[0-9]{3,4}\b"
FLAT_NUMBER = r"\b(?:FLAT|APARTMENT|APT|UNIT|ROOM) ([0-9]+[A-Z]?)\b"  # moved to the front of the address
FLAT_LETTER = r"\b(?:FLAT|APARTMENT|APT|UNIT|ROOM) ([A-Z])\b"  # a flat with a letter instead of a number
NAME_LETTERS, STREET_LETTERS = 9, 2  # letters compared: most misspellings come later in a name


class Parts(NamedTuple):
    """Parts of an address, each an Arrow column of texts, empty if absent."""

    home: Texts  # its numbers, or the start of its name
    street: Texts
    town: Texts  # last word of the address
    postcode: Texts


def parse(capitals: Texts) -> Parts:
    """The parts of addresses in capitals."""
    clean = pc.replace_substring_regex(capitals, "[.'`\u2018\u2019]", "")
    clean = pc.utf8_trim(pc.replace_substring_regex(clean, "[^A-Z0-9]+", " "), " ")
    code = pc.extract_regex(clean, POSTCODE)
    first = pc.replace_substring(_field(code, "first"), "O", "0")
    postcode = pc.binary_join_element_wise(_field(code, "outward"), first, _field(code, "unit"), "")
    clean = pc.replace_substring_regex(clean, f" ?{POSTCODE}", "")
    clean = pc.replace_substring_regex(clean, COUNTY, "")
    clean = pc.replace_substring_regex(clean, f"{NOISE}|{TELEPHONE}", "")
    clean = pc.replace_substring_regex(clean, FLAT_LETTER, r"FLAT 0\1")
    has_flat = pc.match_substring_regex(clean, FLAT_NUMBER)
    flats = pc.replace_substring_regex(clean.filter(has_flat), f"^(.*){FLAT_NUMBER}", r"\2 \1")
    clean = _replace_where(clean, has_flat, flats)
    numbered, named = pc.extract_regex(clean, NUMBERED), pc.extract_regex(clean, NAMED)
    is_numbered, is_named = pc.is_valid(numbered), pc.is_valid(named)
    either = {
        name: pc.if_else(is_numbered, _field(numbered, name), _field(named, name))
        for name in ("home", "street", "kind", "rest")
    }
    has_street = pc.or_(is_numbered, is_named)
    home = pc.if_else(has_street, either["home"], clean)
    numbers = pc.replace_substring_regex(home, r"\b[A-Z]+\b", "")
    numbers = pc.utf8_trim(pc.replace_substring_regex(numbers, r"\b0*([0-9A-Z]+)|\s+", r"\1 "), " ")
    numbers = pc.replace_substring_regex(numbers, " +", " ")
    name = pc.utf8_slice_codeunits(pc.replace_substring(home, " ", ""), 0, NAME_LETTERS)
    last = pc.extract_regex(pc.if_else(has_street, either["rest"], clean), r"(?P<town>[A-Z]+)$")
    kind = pc.take(pa.array(LONG.values()), pc.index_in(either["kind"], pa.array(LONG.keys())))
    street = pc.binary_join_element_wise(pc.replace_substring(either["street"], " ", ""), pc.fill_null(kind, ""), "")
    return Parts(pc.if_else(pc.equal(numbers, ""), name, numbers), street, _field(last, "town"), postcode)


def canonical_forms(texts: Texts) -> dict[str, Texts]:
    """{"": canonical form, "premises": home and postcode, "street": home, street and town}.

    The canonical form is home, street and postcode, as far as the address has them, else its whole text. The fallback
    forms are null if one of their parts is missing.
    """
    capitals = pc.utf8_upper(pc.utf8_normalize(texts, "NFKC"))
    found = parse(capitals)
    street = pc.utf8_slice_codeunits(found.street, 0, STREET_LETTERS)
    premises, in_street = _join(found.home, found.postcode), _join(found.home, found.street, found.town)
    full = pc.coalesce(_join(found.home, street, found.postcode), premises, in_street)
    is_unparsed = pc.is_null(full)
    whole_text = pc.replace_substring_regex(capitals.filter(is_unparsed), r"[^\p{L}0-9]", "")
    full = _replace_where(full, is_unparsed, whole_text)
    return {"": full, "premises": premises, "street": in_street}


def _replace_where(texts: Texts, mask: Texts, others: Texts) -> Texts:
    """The texts with `others` in the places where the mask is true, one per place."""
    texts, mask, others = (each.combine_chunks() for each in (texts, pc.fill_null(mask, False), others))
    return pa.chunked_array([pc.replace_with_mask(texts, mask, others)])


def _join(*found: Texts) -> Texts:
    """The parts joined by |; null if one is empty."""
    joined = pc.binary_join_element_wise(*found, "|")
    return pc.if_else(pc.match_substring_regex(joined, r"^\||\|\||\|$"), None, joined)


def _field(found: Texts, name: str) -> Texts:
    return pc.fill_null(pc.struct_field(found, name), "")
