"""What an identifier has to be by public standards: its faults, by the codes of seeds/data_quality_rules.csv.

They are found while the value is in clear, at extraction; what lands beside its token is the code alone. Rules with a
published source name it. All works on Arrow texts.
"""

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

EDITION = 2  # raise it when a rule changes: every row is read again
Texts = pa.Array | pa.ChunkedArray
Rule = Callable[[Texts, Texts], Texts]  # the value as it came and in its one spelling -> whether the rule is broken

UPN_LETTERS = "ABCDEFGHJKLMNPQRTUVWXYZ"
A_TELEPHONE_NUMBER = r"(?:^|[^0-9])(?:\+?44|0)[0-9() -]{8,14}[0-9](?:[^0-9]|$)"
AN_EMAIL_ADDRESS = r"[^@\s]@[^@\s]+\.[^@\s]"
ANOTHER_FIELDS = f"{AN_EMAIL_ADDRESS}|{A_TELEPHONE_NUMBER}"
NOBODY = r"^\W*(?:TEST(?:ING)?|DUMMY|UNKNOWN|NOT KNOWN|ANON(?:YMOUS)?|X{3,}|N/?A|NONE|NOT GIVEN)\b"
NOWHERE = r"^\W*(?:NFA|NO FIXED A(?:BODE|DDRESS)|UNKNOWN|NOT KNOWN|N/?A|X{3,}|NONE|NOT GIVEN)\W*$"


def _came_as(pattern: str) -> Rule:
    return lambda raw, _: pc.match_substring_regex(raw, pattern, ignore_case=True)


def _is(pattern: str) -> Rule:
    """The pattern is of the one spelling."""
    return lambda _, value: pc.match_substring_regex(value, pattern)


def _not(rule: Rule) -> Rule:
    return lambda raw, value: pc.invert(rule(raw, value))


def _weighted_sum(values: Texts, form: str, weights: range, letter: str = "") -> pa.Array:
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


RULES: dict[str, dict[str, Rule]] = {  # {kind of identifier: {code: rule}}; the first rule that is broken counts
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
    "address": {"ADR01": _came_as(ANOTHER_FIELDS), "ADR02": _came_as(NOWHERE)},
}


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


def month_of_birth(_: str, __: Texts, values: Texts) -> Texts:
    """The first day of the month of a date of birth, as text, from which ages are counted; null where it is unknown."""
    is_known = pc.and_(
        pc.match_substring_regex(values, r"^[0-9]{4}-[0-9]{2}-[0-9]{2}"), pc.greater(values, "1900-01-01")
    )
    return pc.if_else(is_known, pc.binary_join_element_wise(pc.utf8_slice_codeunits(values, 0, 8), "01", ""), None)


def beside(name: str, kind: str | None) -> dict[str, Callable[[str, Texts, Texts], Texts]]:
    """{column: what makes it of kind, raw values and values in their one spelling} that land beside a token."""
    made = {f"{name}_fault": faults} if kind in RULES else {}
    return made | ({f"{name}_month": month_of_birth} if kind == "date_of_birth" else {})
