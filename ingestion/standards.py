"""Rules for identifiers by public standards, with the codes of seeds/data_quality_rules.csv.

They are checked at extraction, while the value is in clear; only the code of the violated rule is loaded beside the
token. A rule with a published source names it. All functions work on Arrow texts.
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

RULES_VERSION = 3  # increase it when a rule changes: every row is then read again
Texts: TypeAlias = pa.Array | pa.ChunkedArray
Rule = Callable[[Texts, Texts], Texts]  # (raw value, canonical form) -> whether the rule is violated

UPN_LETTERS = "ABCDEFGHJKLMNPQRTUVWXYZ"
TELEPHONE = r"(?:^|[^0-9])(?P<value>(?:\+?44|0)[0-9() -]{8,14}[0-9])(?:[^0-9]|$)"
EMAIL = r"(?P<value>[^@\s,;]+@[^@\s,;]+\.[^@\s,;]+)"
TITLED_NAME = r"^\s*(?:c/o\s+|care of\s+)?(?P<value>(?:mr|mrs|ms|miss|dr|rev|prof)\.?\s[^,0-9]+),"
POSTCODE = r"\b(?P<value>[A-Z]{1,2}[0-9][0-9A-Z]?\s*[0-9][ABD-HJLNP-UW-Z]{2})\b"
OTHER_FIELD = f"{EMAIL}|{TELEPHONE}".replace("?P<value>", "")
PLACEHOLDER_NAME = r"^\W*(?:TEST(?:ING)?|DUMMY|UNKNOWN|NOT KNOWN|ANON(?:YMOUS)?|X{3,}|N/?A|NONE|NOT GIVEN)\b"
PLACEHOLDER_ADDRESS = r"^\W*(?:NFA|NO FIXED A(?:BODE|DDRESS)|UNKNOWN|NOT KNOWN|N/?A|X{3,}|NONE|NOT GIVEN)\W*$"


def _raw_matches(pattern: str) -> Rule:
    return lambda raw, _: pc.match_substring_regex(raw, pattern, ignore_case=True)


def _canonical_matches(pattern: str) -> Rule:
    """The pattern applies to the canonical form."""
    return lambda _, value: pc.match_substring_regex(value, pattern)


def _not(rule: Rule) -> Rule:
    return lambda raw, value: pc.invert(rule(raw, value))


def _weighted_sum(values: Texts, form: str, weights: Sequence[int], letter: str = "") -> pa.Array:
    """The sum of digits times weights, 0 if the value lacks the form; a letter counts as its position in `letter`."""
    values = pc.if_else(pc.match_substring_regex(values, form), values, "0" * (len(weights) + 1))
    total = pa.scalar(0)
    for place, weight in enumerate(weights, 1 if letter else 0):
        digits = pc.utf8_slice_codeunits(values, place, place + 1)
        found = pc.index_in(digits, pa.array([*(letter or ()), *"0123456789"]))
        worth = pc.if_else(pc.less(found, len(letter)), found, pc.subtract(found, len(letter)))
        total = pc.add(total, pc.multiply(worth, weight))
    return total


def _remainder(total: Texts, divisor: int) -> pa.Array:
    return pc.subtract(total, pc.multiply(pc.divide(total, divisor), divisor))


def _nhs_check_fails(_: Texts, value: Texts) -> Texts:
    """NHS Data Dictionary, NHS NUMBER: weights 10 to 2, modulus 11; all ten digits with weights 10 to 1 give 0."""
    return pc.not_equal(_remainder(_weighted_sum(value, "^[0-9]{10}$", range(10, 0, -1)), 11), 0)


def _upn_check_fails(_: Texts, value: Texts) -> Texts:
    """DfE, Unique Pupil Numbers: weights 2 to 13 over the characters after the letter, modulus 23."""
    total = _weighted_sum(value, "^[A-Z][0-9]{11}[0-9A-Z]$", range(2, 14), UPN_LETTERS)
    expected = pc.index_in(pc.utf8_slice_codeunits(value, 0, 1), pa.array([*UPN_LETTERS]))
    return pc.not_equal(_remainder(total, 23), pc.fill_null(expected, -1))


def _utr_check_fails(_: Texts, value: Texts) -> Texts:
    """HMRC, unique taxpayer reference: weights 6 to 10 and 5 to 2 after the first digit, modulus 11."""
    total = _weighted_sum(value, "^[0-9]{10}$", (0, 6, 7, 8, 9, 10, 5, 4, 3, 2))
    expected = pc.take(pa.array([*"21987654321"]), _remainder(total, 11))
    return pc.not_equal(pc.utf8_slice_codeunits(value, 0, 1), expected)


# {kind of identifier: {code: rule}}; the first violated rule counts. Other kinds: contracts.KINDS_WITHOUT_RULES
RULES: dict[str, dict[str, Rule]] = {
    "nhs_number": {
        "NHS01": _not(_raw_matches(r"^\s*(?:[0-9][ -]?){1,10}\s*$")),
        "NHS02": _nhs_check_fails,
        "NHS03": _canonical_matches("^(?:999|0{10}$)"),  # test numbers
    },
    "upn": {
        "UPN01": _not(_canonical_matches(f"^[{UPN_LETTERS}][0-9]{{11}}[0-9{UPN_LETTERS}]$")),
        "UPN02": _upn_check_fails,
        "UPN03": _canonical_matches("[A-Z]$"),  # a temporary number
    },
    "nino": {  # HMRC, NIM39110
        "NIN01": _not(_canonical_matches("^[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z][0-9]{6}[A-D]$")),
        "NIN02": _canonical_matches("^(?:BG|GB|KN|NK|NT|TN|ZZ)"),
    },
    "utr": {"UTR01": _not(_raw_matches(r"^\s*(?:[0-9] ?){10}K?\s*$")), "UTR02": _utr_check_fails},
    "uprn": {"UPR01": _not(_raw_matches(r"^\s*[0-9]{1,12}\s*$"))},  # GeoPlace
    "postcode": {
        "PCD01": _not(_canonical_matches("^(?:GIR0AA|[A-Z]{1,2}[0-9][0-9A-Z]?[0-9][ABD-HJLNP-UW-Z]{2})$"))
    },  # BS 7666
    "date_of_birth": {"DOB01": lambda _, value: pc.less(value, "1900-01-02")},  # systems write 1900-01-01 for unknown
    "email": {
        "EML01": lambda raw, _: pc.and_(
            pc.match_substring_regex(raw, TELEPHONE), pc.invert(pc.match_substring(raw, "@"))
        ),
        "EML02": _not(_canonical_matches(r"^[^@\s]+@[^@\s.]+(?:\.[^@\s.]+)+$")),
    },
    "telephone": {
        "TEL01": _raw_matches(EMAIL),
        "TEL02": _not(
            _canonical_matches(r"^(?:0[1-9][0-9]{8,9}|\+[0-9]{8,15})$")
        ),  # Ofcom's plan; foreign numbers with their country code
    },
    "name": {
        "NAM01": _raw_matches(OTHER_FIELD),
        "NAM02": _raw_matches("[0-9]"),
        "NAM03": _raw_matches(PLACEHOLDER_NAME),
    },
    "address": {
        "ADR01": _raw_matches(OTHER_FIELD),
        "ADR02": _raw_matches(PLACEHOLDER_ADDRESS),
        "ADR03": _raw_matches(TITLED_NAME),
    },
}
# Misplaced values, by the rule that they violate: {code: {kind of the right column: pattern}}
MISPLACED = {
    "EML01": {"telephone": TELEPHONE},
    "TEL01": {"email": EMAIL},
    "NAM01": {"email": EMAIL, "telephone": TELEPHONE},
    "ADR01": {"email": EMAIL, "telephone": TELEPHONE},
    "ADR03": {"name": TITLED_NAME},
}
POSTCODE_IN_ADDRESS = "ADR04"  # if the postcode column is empty
# what is left of a text after a value was moved out of it
REMNANT = r"^[\s,;:]+|[\s,;:]*(?:\b(?:tel|phone|mob|email|e-mail)\b)?[\s.,;:]*$"


def violations(kind: str, raw: Texts, values: Texts) -> Texts:
    """The code of the first rule that each value violates; null if none, or if there is no value.

    `raw` are the values as extracted, `values` their canonical forms (ingestion.privacy.NORMALISERS).
    """
    found = pa.nulls(len(raw), pa.string())
    is_filled = pc.fill_null(pc.not_equal(pc.utf8_trim_whitespace(raw), ""), False)
    for code, rule in reversed(RULES[kind].items()):
        is_violated = pc.and_(pc.fill_null(rule(raw, values), False), is_filled)
        found = pc.if_else(is_violated, code, found)
    return found


def move_misplaced(
    kinds: dict[str, str], texts: dict[str, Texts], values: dict[str, Texts]
) -> tuple[dict[str, Texts], dict[str, Texts]]:
    """A record's texts with misplaced values moved, and the codes of violated rules: `EML01`, `EML01>phone` if moved.

    `kinds`, `texts` and `values` (the canonical forms) are by column. A value moves only into an empty column; the rest
    of the text stays.
    """
    texts = dict(texts)
    codes = {name: violations(kind, texts[name], values[name]) for name, kind in kinds.items() if kind in RULES}
    for name, found in list(codes.items()):
        for code in MISPLACED.keys() & RULES[kinds[name]].keys():
            if pc.any(pc.equal(found, code)).as_py():
                for kind, pattern in MISPLACED[code].items():
                    _move(kinds, texts, codes, name, code, kind, f"(?i){pattern}")
    for name in (name for name, kind in kinds.items() if kind == "address"):
        _move(kinds, texts, codes, name, POSTCODE_IN_ADDRESS, "postcode", f"(?i){POSTCODE}")
    return texts, codes


def _move(
    kinds: dict[str, str],
    texts: dict[str, Texts],
    codes: dict[str, Texts],
    name: str,
    code: str,
    kind: str,
    pattern: str,
) -> None:
    """Move values with the pattern from one column's texts to the first other column of the kind, if that is empty."""
    target = next((other for other, its_kind in kinds.items() if its_kind == kind and other != name), None)
    if target is None:
        return
    stays = code == POSTCODE_IN_ADDRESS  # a postcode is part of the address too
    value = pc.struct_field(pc.extract_regex(texts[name], pattern), "value")
    has_code = pc.is_null(codes[name]) if stays else pc.fill_null(pc.equal(codes[name], code), False)
    is_free = pc.fill_null(pc.equal(pc.utf8_trim_whitespace(texts[target]), ""), True)
    moves = pc.and_(pc.and_(has_code, pc.is_valid(value)), is_free)
    if not pc.any(moves).as_py():
        return
    texts[target] = pc.if_else(moves, value, texts[target])
    codes[name] = pc.if_else(moves, f"{code}>{target}", codes[name])
    if not stays:
        rest = pc.replace_substring_regex(texts[name], pattern, "")
        rest = pc.replace_substring_regex(rest, f"(?i){REMNANT}", "")
        texts[name] = pc.if_else(moves, pc.if_else(pc.equal(rest, ""), None, rest), texts[name])


def month_of_birth(values: Texts) -> Texts:
    """The first day of the month of birth, as text, from which ages are calculated; null if unknown."""
    is_known = pc.and_(
        pc.match_substring_regex(values, r"^[0-9]{4}-[0-9]{2}-[0-9]{2}"), pc.greater(values, "1900-01-01")
    )
    return pc.if_else(is_known, pc.binary_join_element_wise(pc.utf8_slice_codeunits(values, 0, 8), "01", ""), None)
