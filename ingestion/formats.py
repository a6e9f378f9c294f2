"""Kinds of identifiers, and forms of dates and numbers, that a contract may name, and the shape of their texts."""

import re
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Literal

DIRECTIVES = {
    "%d": r"[0-9]{1,2}", "%m": r"[0-9]{1,2}", "%Y": r"[0-9]{4}", "%y": r"[0-9]{2}",
    "%b": "[A-Za-z]{3}", "%B": "[A-Za-z]{3,9}", "%a": "[A-Za-z]{3}", "%A": "[A-Za-z]{6,9}",
    "%H": r"[0-9]{1,2}", "%I": r"[0-9]{1,2}", "%M": r"[0-5][0-9]", "%S": r"[0-5][0-9]", "%p": "(?i:am|pm)",
}  # fmt: skip
DATE_PARTS = {"year": {"%Y", "%y"}, "month": {"%m", "%b", "%B"}}  # without a day it is the month's first
TIME_PARTS = {"hour": {"%H", "%I"}}
EXCEL_SERIAL = "excel"  # instead of a format: the number by which Excel stores a date, such as 45383
Identifier = Literal[
    "nhs_number", "nino", "upn", "utr", "employee_number", "person_number",
    "name", "date_of_birth", "address", "postcode", "uprn", "email", "telephone",
]  # fmt: skip
NumberForm = Literal["thousands", "pound", "brackets", "credit", "trailing_minus", "percent", "decimal_comma"]
POUND, CREDIT, DEBIT = "£", "CR", "DR"


@cache
def date_shape(form: str) -> str:
    """The regular expression of the texts that a date format prints, with the day in a group.

    Parsers accept more: `%Y` takes two digits, `%M` the minute 60.
    """
    if form == EXCEL_SERIAL:
        return "[0-9]{2,7}"
    return "".join(
        f"({DIRECTIVES[part]})" if part == "%d" else DIRECTIVES.get(part) or re.escape(part)
        for part in re.findall("%.|[^%]", form)
    )


def check_date_format(form: str, is_time: bool = False) -> None:
    """Raise ValueError for a format that no date, or no time of day, can be read by."""
    if form == EXCEL_SERIAL and not is_time:
        return
    used = re.findall("%.?", form)
    if unknown := [part for part in used if part not in DIRECTIVES]:
        raise ValueError(f"format {form}: {unknown[0]} is not supported; use {' '.join(DIRECTIVES)}")
    if missing := [part for part, any_of in (TIME_PARTS if is_time else DATE_PARTS).items() if not any_of & {*used}]:
        raise ValueError(f"format {form} has no {missing[0]}")
    if is_time and (other := {*used} - {"%H", "%I", "%M", "%S", "%p"}):
        raise ValueError(f"format {form}: {min(other)} is not part of a time of day")
    if twice := [part for part in used if used.count(part) > 1]:
        raise ValueError(f"format {form} has {twice[0]} twice")
    if ("%I" in used) != ("%p" in used):
        raise ValueError(f"format {form}: %I (hour from 1 to 12) and %p (am or pm) need each other")


def prints_back(moment: datetime, form: str) -> bool:
    """Whether the format keeps the whole date or time: `%b-%y` loses the day, `%d/%m/%Y` the time."""
    try:
        return form != EXCEL_SERIAL and datetime.strptime(moment.strftime(form), form) == moment
    except ValueError:
        return False


def decimal_point(forms: Sequence[str]) -> str:
    """The character before the decimals."""
    return "," if "decimal_comma" in forms else "."


@cache
def number_shape(forms: Sequence[str]) -> str:
    """The regular expression of the numbers that a column with these number formats may hold."""
    point, group = map(re.escape, (decimal_point(forms), "." if "decimal_comma" in forms else ","))
    whole = rf"(?:[0-9]{{1,3}}(?:{group}[0-9]{{3}})+|[0-9]+)" if "thousands" in forms else "[0-9]+"
    pound = f"(?:{POUND} ?)?" if "pound" in forms else ""
    amount = rf"{pound}(?:{whole}(?:{point}[0-9]*)?|{point}[0-9]+)"
    shapes = [f"[+-]? ?{amount}"]
    if pound:
        shapes.append(rf"{POUND} ?[+-]{amount.removeprefix(pound)}")
    if "brackets" in forms:
        shapes += [rf"\( ?{amount} ?\)", *([rf"{POUND} ?\({amount.removeprefix(pound)}\)"] if pound else [])]
    if "credit" in forms:
        shapes.append(f"{amount} ?(?i:{CREDIT}|{DEBIT})")
    if "trailing_minus" in forms:
        shapes.append(f"{amount} ?-")
    if "percent" in forms:
        shapes.append(f"[+-]? ?{amount} ?%")
    return "|".join(shapes)


NEGATIVE = f"[(-]|(?i:{CREDIT})$"  # in a text of a number's shape


def no_digits(forms: Sequence[str]) -> str:
    """The regular expression of what a number has besides digits and its decimal point."""
    return f"[^0-9{decimal_point(forms)}]"


def plain_number(text: str, forms: Sequence[str]) -> str:
    """The number as a program writes it (1234.50, -50.00); a text of another shape as it is.

    With a decimal comma, a text of another shape is no number: 1.234 would be read as another one.
    """
    stripped = text.strip()
    if not forms or not re.fullmatch(number_shape(tuple(forms)), stripped):
        return "" if "decimal_comma" in forms else stripped
    digits = re.sub(no_digits(forms), "", stripped).replace(",", ".")
    return "-" * bool(re.search(NEGATIVE, stripped)) + digits
