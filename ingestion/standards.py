"""What an identifier has to be by public standards: its faults, by the codes of seeds/data_quality_rules.csv.

They are found while the value is in clear, at extraction; what lands beside its token is the code alone. Rules with a
published source name it. All works on Arrow texts.
"""

from collections.abc import Callable, Sequence

import pyarrow as pa
import pyarrow.compute as pc

EDITION = 3  # raise it when a rule changes: every row is read again
Texts = pa.Array | pa.ChunkedArray
Rule = Callable[[Texts, Texts], Texts]  # the value as it came and in its one spelling -> whether the rule is broken

UPN_LETTERS = "ABCDEFGHJKLMNPQRTUVWXYZ"
A_TELEPHONE_NUMBER = r"(?:^|[^0-9])(?P<value>(?:\+?44|0)[0-9() -]{8,14}[0-9])(?:[^0-9]|$)"
AN_EMAIL_ADDRESS = r"(?P<value>[^@\s,;]+@[^@\s,;]+\.[^@\s,;]+)"
A_TITLED_NAME = r"^\s*(?:c/o\s+|care of\s+)?(?P<value>(?:mr|mrs|ms|miss|dr|rev|prof)\.?\s[^,0-9]+),"
A_POSTCODE = r"\b(?P<value>[A-Z]{1,2}[0-9][0-9A-Z]?\s*[0-9][ABD-HJLNP-UW-Z]{2})\b"
ANOTHER_FIELDS = f"{AN_EMAIL_ADDRESS}|{A_TELEPHONE_NUMBER}".replace("?P<value>", "")
NOBODY = r"^\W*(?:TEST(?:ING)?|DUMMY|UNKNOWN|NOT KNOWN|ANON(?:YMOUS)?|X{3,}|N/?A|NONE|NOT GIVEN)\b"
NOWHERE = r"^\W*(?:NFA|NO FIXED A(?:BODE|DDRESS)|UNKNOWN|NOT KNOWN|N/?A|X{3,}|NONE|NOT GIVEN)\W*$"


def _came_as(pattern: str) -> Rule:
    return lambda raw, _: pc.match_substring_regex(raw, pattern, ignore_case=True)


def _is(pattern: str) -> Rule:
    """The pattern is of the one spelling."""
    return lambda _, value: pc.match_substring_regex(value, pattern)


def _not(rule: Rule) -> Rule:
    return lambda raw, value: pc.invert(rule(raw, value))


def _weighted_sum(values: Texts, form: str, weights: Sequence[int], letter: str = "") -> pa.Array:
    """The sum of digits times weights, 0 where the value has not the form; a letter counts as its place in `letter`."""
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
    """NHS Data Dictionary, NHS NUMBER: weights 10 to 2, modulus 11; so all ten digits with weights 10 to 1 give 0."""
    return pc.not_equal(_remainder(_weighted_sum(value, "^[0-9]{10}$", range(10, 0, -1)), 11), 0)


def _upn_check_fails(_: Texts, value: Texts) -> Texts:
    """DfE, Unique Pupil Numbers: weights 2 to 13 over what follows the letter, modulus 23."""
    total = _weighted_sum(value, "^[A-Z][0-9]{11}[0-9A-Z]$", range(2, 14), UPN_LETTERS)
    expected = pc.index_in(pc.utf8_slice_codeunits(value, 0, 1), pa.array([*UPN_LETTERS]))
    return pc.not_equal(_remainder(total, 23), pc.fill_null(expected, -1))


def _utr_check_fails(_: Texts, value: Texts) -> Texts:
    """HMRC, unique taxpayer reference: weights 6 to 10 and 5 to 2 over what follows the first digit, modulus 11."""
    total = _weighted_sum(value, "^[0-9]{10}$", (0, 6, 7, 8, 9, 10, 5, 4, 3, 2))
    expected = pc.take(pa.array([*"21987654321"]), _remainder(total, 11))
    return pc.not_equal(pc.utf8_slice_codeunits(value, 0, 1), expected)


# {kind of identifier: {code: rule}}; the first rule that is broken counts. A kind without: contracts.NO_STANDARD.
RULES: dict[str, dict[str, Rule]] = {
    "nhs_number": {
        "NHS01": _not(_came_as(r"^\s*(?:[0-9][ -]?){1,10}\s*$")),
        "NHS02": _nhs_check_fails,
        "NHS03": _is("^(?:999|0{10}$)"),  # those for testing
    },
    "upn": {
        "UPN01": _not(_is(f"^[{UPN_LETTERS}][0-9]{{11}}[0-9{UPN_LETTERS}]$")),
        "UPN02": _upn_check_fails,
        "UPN03": _is("[A-Z]$"),  # a temporary one
    },
    "nino": {  # HMRC, NIM39110
        "NIN01": _not(_is("^[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z][0-9]{6}[A-D]$")),
        "NIN02": _is("^(?:BG|GB|KN|NK|NT|TN|ZZ)"),
    },
    "utr": {"UTR01": _not(_came_as(r"^\s*(?:[0-9] ?){10}K?\s*$")), "UTR02": _utr_check_fails},
    "uprn": {"UPR01": _not(_came_as(r"^\s*[0-9]{1,12}\s*$"))},  # GeoPlace
    "postcode": {"PCD01": _not(_is("^(?:GIR0AA|[A-Z]{1,2}[0-9][0-9A-Z]?[0-9][ABD-HJLNP-UW-Z]{2})$"))},  # BS 7666
    "date_of_birth": {"DOB01": lambda _, value: pc.less(value, "1900-01-02")},  # what systems write for unknown
    "email": {
        "EML01": lambda raw, _: pc.and_(
            pc.match_substring_regex(raw, A_TELEPHONE_NUMBER), pc.invert(pc.match_substring(raw, "@"))
        ),
        "EML02": _not(_is(r"^[^@\s]+@[^@\s.]+(?:\.[^@\s.]+)+$")),
    },
    "telephone": {
        "TEL01": _came_as(AN_EMAIL_ADDRESS),
        "TEL02": _not(_is(r"^(?:0[1-9][0-9]{8,9}|\+[0-9]{8,15})$")),  # Ofcom's plan; others with their country's code
    },
    "name": {"NAM01": _came_as(ANOTHER_FIELDS), "NAM02": _came_as("[0-9]"), "NAM03": _came_as(NOBODY)},
    "address": {
        "ADR01": _came_as(ANOTHER_FIELDS),
        "ADR02": _came_as(NOWHERE),
        "ADR03": _came_as(A_TITLED_NAME),
    },
}
# What stands in the wrong field, by the rule that it breaks there: {code: {kind where it belongs: its form}}
BELONGS = {
    "EML01": {"telephone": A_TELEPHONE_NUMBER},
    "TEL01": {"email": AN_EMAIL_ADDRESS},
    "NAM01": {"email": AN_EMAIL_ADDRESS, "telephone": A_TELEPHONE_NUMBER},
    "ADR01": {"email": AN_EMAIL_ADDRESS, "telephone": A_TELEPHONE_NUMBER},
    "ADR03": {"name": A_TITLED_NAME},
}
POSTCODE_IN_ADDRESS = "ADR04"  # where the field for it is empty
LEFT_BEHIND = r"^[\s,;:]+|[\s,;:]*(?:\b(?:tel|phone|mob|email|e-mail)\b)?[\s.,;:]*$"  # of what a value was taken from


def faults(kind: str, raw: Texts, values: Texts) -> Texts:
    """The code of the first rule that each value breaks, as text; null where it breaks none or there is no value.

    `raw` are the values as they came, `values` the same in their one spelling (ingestion.privacy.NORMAL).
    """
    found = pa.nulls(len(raw), pa.string())
    is_given = pc.fill_null(pc.not_equal(pc.utf8_trim_whitespace(raw), ""), False)
    for code, rule in reversed(RULES[kind].items()):
        is_broken = pc.and_(pc.fill_null(rule(raw, values), False), is_given)
        found = pc.if_else(is_broken, code, found)
    return found


def placed(
    kinds: dict[str, str], texts: dict[str, Texts], values: dict[str, Texts]
) -> tuple[dict[str, Texts], dict[str, Texts]]:
    """A record's texts with each value in its own field, and the codes of faults: `EML01`, `EML01>phone` if moved.

    `kinds`, `texts` and `values` (the texts in their one spelling) are by column. A value moves only into an empty
    field; what is left of the text stays.
    """
    texts = dict(texts)
    codes = {name: faults(kind, texts[name], values[name]) for name, kind in kinds.items() if kind in RULES}
    for name, found in list(codes.items()):
        for code in BELONGS.keys() & RULES[kinds[name]].keys():
            if pc.any(pc.equal(found, code)).as_py():
                for kind, form in BELONGS[code].items():
                    _move(kinds, texts, codes, name, code, kind, f"(?i){form}")
    for name in (name for name, kind in kinds.items() if kind == "address"):
        _move(kinds, texts, codes, name, POSTCODE_IN_ADDRESS, "postcode", f"(?i){A_POSTCODE}")
    return texts, codes


def _move(
    kinds: dict[str, str], texts: dict[str, Texts], codes: dict[str, Texts], name: str, code: str, kind: str, form: str
) -> None:
    """Moves what has the form from a column's texts to the first column of its kind, where that is empty."""
    target = next((other for other, its_kind in kinds.items() if its_kind == kind and other != name), None)
    if target is None:
        return
    whole = code == POSTCODE_IN_ADDRESS  # which is part of an address too, and stays
    value = pc.struct_field(pc.extract_regex(texts[name], form), "value")
    has_code = pc.is_null(codes[name]) if whole else pc.fill_null(pc.equal(codes[name], code), False)
    is_free = pc.fill_null(pc.equal(pc.utf8_trim_whitespace(texts[target]), ""), True)
    moves = pc.and_(pc.and_(has_code, pc.is_valid(value)), is_free)
    if not pc.any(moves).as_py():
        return
    texts[target] = pc.if_else(moves, value, texts[target])
    codes[name] = pc.if_else(moves, f"{code}>{target}", codes[name])
    if not whole:
        rest = pc.replace_substring_regex(texts[name], form, "")
        rest = pc.replace_substring_regex(rest, f"(?i){LEFT_BEHIND}", "")
        texts[name] = pc.if_else(moves, pc.if_else(pc.equal(rest, ""), None, rest), texts[name])


def month_of_birth(values: Texts) -> Texts:
    """The first day of the month of a date of birth, as text, from which ages are counted; null where it is unknown."""
    is_known = pc.and_(
        pc.match_substring_regex(values, r"^[0-9]{4}-[0-9]{2}-[0-9]{2}"), pc.greater(values, "1900-01-01")
    )
    return pc.if_else(is_known, pc.binary_join_element_wise(pc.utf8_slice_codeunits(values, 0, 8), "01", ""), None)
