"""Infer the types of a file's columns from all their values: the narrowest type that the loader casts each value to.

A column stays text if a value could lose by another type: leading zeros, two-digit years. A word for no value, such
as N/A, is one in a column whose other values are of a type.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ingestion.formats import CREDIT, DEBIT, POUND, NumberForm, no_digits, number_shape

TEXT = "text"
LONGEST_NUMBER = 38  # digits of an Arrow decimal
USUAL_PRECISION, USUAL_SCALE = 18, 2
NULL_WORDS = ("#N/A", "N/A", "n/a", "NA", "NULL", "null", "-", "--", "..", "None")


@dataclass(frozen=True)
class Inferred:
    """A column's type, the format of its dates unless ISO 8601, a comment on what is guessed, number formats, and the
    words that mean no value.
    """

    data_type: str
    format: str | None = None
    guess: str | None = None
    number_format: tuple[NumberForm, ...] = ()
    null_values: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Form:
    """The form of a type's values; `parse` raises ValueError for a value that only looks right (31 February).

    A value that has a text of the pattern `but` is of another form. `hint` tells a person which other type to consider.
    """

    data_type: str
    pattern: str
    format: str | None = None
    parse: Callable[[str], object] | None = None
    but: str = ""
    hint: str | None = None

    def fits(self, values: Any) -> bool:
        if not pc.all(pc.match_substring_regex(values, f"^(?:{self.pattern})$")).as_py():
            return False
        if self.but and pc.any(pc.match_substring_regex(values, self.but)).as_py():
            return False
        if self.parse is None:
            return True
        try:
            return all(self.parse(value) for value in values.to_pylist())
        except ValueError:
            return False


PATTERNS = {"%d": r"\d\d?", "%m": r"\d\d?", "%Y": r"\d{4}", "%b": "[A-Za-z]{3}", "%B": "[A-Za-z]{3,9}",
            "%H": r"\d\d?", "%I": r"\d\d?", "%M": r"\d\d", "%S": r"\d\d", "%p": "(?i:am|pm)"}  # fmt: skip


def _formatted(data_type: str, form: str) -> _Form:
    pattern = re.sub("%.", lambda code: PATTERNS[code[0]], re.escape(form))
    return _Form(data_type, pattern, form, lambda value: datetime.strptime(value, form))


def _time_of_day(text: str) -> time:
    return time.fromisoformat(f"0{text}" if text[1] == ":" else text)


DAY_FIRST, MONTH_FIRST = "%d/%m/%Y", "%m/%d/%Y"
DATES = (DAY_FIRST, MONTH_FIRST, "%d-%m-%Y", "%d.%m.%Y", "%Y/%m/%d", "%d %b %Y", "%d-%b-%Y", "%d %B %Y")
TIMES = ("%H:%M:%S", "%H:%M", "%I:%M:%S %p", "%I:%M %p")
ISO_TIME = r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d(?::?\d\d)?)?)?"
NUMERIC = _Form("numeric", r"-?(?:(?:0|[1-9]\d*)(?:\.\d+)?|\.\d+)")
NUMBER_SIGNS: dict[NumberForm, str] = {  # what a number of this format has
    "thousands": ",", "pound": POUND, "brackets": r"\(", "credit": f"(?i:{CREDIT}|{DEBIT})", "trailing_minus": "-$",
    "percent": "%",
}  # fmt: skip
AMOUNT = _Form("numeric", number_shape(tuple(NUMBER_SIGNS)), but="^[^0-9]*0[0-9,]")
NOT_TWO_DECIMALS = "^[^,]*$|,[0-9]?(?:[^0-9]|$)|,[0-9]{3}"  # 1,2 may be a list
DECIMAL_COMMA = _Form(
    "numeric", number_shape((*NUMBER_SIGNS, "decimal_comma")), but=f"^[^0-9]*0[0-9.]|{NOT_TWO_DECIMALS}"
)
FORMS = (
    _Form("bigint", r"0|-?[1-9]\d{0,17}"),
    NUMERIC,
    AMOUNT,
    DECIMAL_COMMA,
    _Form("boolean", "(?i:true|false)"),
    _Form("time", r"\d\d?:\d\d(?::\d\d)?", parse=_time_of_day),
    _Form("date", r"\d{4}-\d\d-\d\d", parse=date.fromisoformat),
    *(_formatted("date", form) for form in DATES),
    _Form("timestamptz", ISO_TIME, parse=datetime.fromisoformat),
    *(_formatted("timestamptz", f"{day} {time}") for day in DATES for time in TIMES),
    _formatted("timestamptz", "%Y-%m-%d %H:%M:%S UTC"),
    _Form(TEXT, r"\d\d?/\d\d?/\d\d", hint="dates with years of two digits? Then declare a date with %d/%m/%y"),
    _Form(TEXT, r"\d\d?-[A-Za-z]{3}-\d\d", hint="dates with years of two digits? Then declare a date with %d-%b-%y"),
    _Form(TEXT, "(?i:y|n|yes|no)", hint="true and false? Then declare a boolean with true_values and false_values"),
)


@dataclass
class Values:
    """What the values of a column have in common, over all batches."""

    forms: list[_Form] = field(default_factory=lambda: list(FORMS))
    is_filled: bool = False
    digits: int = 0
    scale: int = 0
    signs: set[NumberForm] = field(default_factory=set)
    words: set[str] = field(default_factory=set)
    own: str | None = None

    def add(self, values: Any) -> None:
        """Add a batch of text values; another type (Parquet) decides by itself."""
        if not pa.types.is_string(values.type):
            self.own = arrow_type(values.type)
            return
        values = pc.unique(pc.utf8_trim_whitespace(values)).drop_null()
        is_word = pc.is_in(values, pa.array(NULL_WORDS))
        self.words |= {*values.filter(is_word).to_pylist()}
        values = values.filter(pc.invert(is_word))
        if not len(values) or not self.forms:
            return
        self.is_filled = True
        first = values[0].as_py()  # which most forms do not fit: to see that takes a hundredth of the time
        self.forms = [f for f in self.forms if re.fullmatch(f.pattern, first, re.ASCII) and f.fits(values)]
        if form := next((form for form in (AMOUNT, DECIMAL_COMMA) if form in self.forms), None):
            comma: tuple[NumberForm, ...] = ("decimal_comma",) if form is DECIMAL_COMMA else ()
            digits = pc.replace_substring(pc.replace_substring_regex(values, no_digits(comma), ""), ",", ".")
            integers, decimals = (
                pc.replace_substring_regex(digits, pattern, "") for pattern in (r"^0?|\..*$", r"^[^.]*\.?")
            )
            signs = NUMBER_SIGNS | ({"thousands": r"\."} if comma else {})
            self.signs |= {
                name for name, sign in signs.items() if pc.any(pc.match_substring_regex(values, sign)).as_py()
            }
            self.digits = max(self.digits, pc.max(pc.utf8_length(integers)).as_py())
            self.scale = max(self.scale, pc.max(pc.utf8_length(decimals)).as_py())

    @property
    def inferred(self) -> Inferred:
        """The type of all values so far."""
        if self.own or not self.is_filled or not self.forms:
            return Inferred(self.own or TEXT)
        form = self.forms[0]
        found = self._number(form) if form in (NUMERIC, AMOUNT, DECIMAL_COMMA) else self._other(form)
        if not self.words or found.data_type == TEXT:
            return found
        words = sorted(self.words)
        guess = f"{f'{found.guess}, and' if found.guess else 'guessed:'} {' and '.join(words)} mean no value"
        return replace(found, guess=guess, null_values=tuple(words))

    def _other(self, form: _Form) -> Inferred:
        either = [left for left in self.forms if left.format and left.format.startswith((DAY_FIRST, MONTH_FIRST))]
        guess = "guessed: the day comes before the month" if len(either) > 1 else None
        return Inferred(form.data_type, form.format, guess or form.hint)

    def _number(self, form: _Form) -> Inferred:
        scale = max(self.scale, USUAL_SCALE)
        if self.digits + scale > LONGEST_NUMBER or (form is NUMERIC and not self.scale):
            return Inferred(TEXT)  # a whole number beyond bigint is an identifier
        number_format = tuple(each for each in NUMBER_SIGNS if each in self.signs) if form is not NUMERIC else ()
        guess = "guessed: the comma separates thousands" if "thousands" in number_format and not self.scale else None
        if form is DECIMAL_COMMA:
            number_format, guess = (*number_format, "decimal_comma"), "guessed: the comma is before the decimals"
        data_type = f"numeric({max(self.digits + scale, USUAL_PRECISION)},{scale})"
        return Inferred(data_type, guess=guess, number_format=number_format)


def arrow_type(kind: Any) -> str:
    """The contract's type for an Arrow type; text if none holds every value."""
    if pa.types.is_decimal(kind):
        fits = kind.precision <= LONGEST_NUMBER and 0 <= kind.scale <= kind.precision
        return f"numeric({kind.precision},{kind.scale})" if fits else TEXT
    if pa.types.is_uint64(kind):
        return "numeric(20,0)"
    known = {
        "boolean": pa.types.is_boolean,
        "bigint": pa.types.is_integer,
        "double precision": pa.types.is_floating,
        "date": pa.types.is_date,
        "timestamptz": pa.types.is_timestamp,
        "time": pa.types.is_time,
    }
    return next((name for name, is_kind in known.items() if is_kind(kind)), TEXT)
