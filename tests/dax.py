"""An interpreter of the DAX that we write, by DAX's rules: two truth values, and blanks that compare as 0, "" or false.

It runs measures over rows of tables; a choice of dates reaches a table along its relationship to the calendar.
"""

# ruff: noqa: ARG005, E731 - functions of a context and the current rows

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from statistics import mean, median
from typing import Any

TOKEN = re.compile(
    r"\s*(?:(?P<column>'(?:[^']|'')+'\[(?:[^\]]|\]\])+\])|(?P<table>'(?:[^']|'')+')|(?P<measure>\[(?:[^\]]|\]\])+\])"
    r'|(?P<text>"(?:[^"]|"")*")|(?P<number>\d+(?:\.\d+)?)|(?P<word>[A-Za-z]\w*)|(?P<sign>==|<>|<=|>=|&&|\|\||[-+*/<>=(){},]))'
)
Row = dict[str, Any]
ORDERS: dict[str, Callable] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "=": operator.eq, "<>": operator.ne,
}  # fmt: skip
AGGREGATES: dict[str, Callable] = {"SUM": sum, "AVERAGE": mean, "MEDIAN": median, "MAX": max, "MIN": min}
BEGINNING = date(1899, 12, 30)  # DAX's date of 0


def blank_as(other: Any) -> Any:
    """What a blank is beside another value."""
    return {bool: False, str: "", date: BEGINNING}.get(type(other), 0)


def both(left: Any, right: Any) -> tuple[Any, Any]:
    return blank_as(right) if left is None else left, blank_as(left) if right is None else right


@dataclass
class Context:
    """The tables' rows, the measures, the chosen dates, and the relationships {table: (column, calendar's column)}."""

    rows: dict[str, list[Row]]
    measures: dict[str, str]
    dated: dict[str, str]
    calendar: str = "dim_dates"
    dates: set[date] | None = None
    kept: dict[str, list[Row]] = field(default_factory=dict)  # rows left by a filter
    variables: dict[str, Any] = field(default_factory=dict)

    def of(self, table: str) -> list[Row]:
        rows = self.kept.get(table, self.rows[table])
        column = "date_day" if table == self.calendar else self.dated.get(table)
        return rows if self.dates is None or column is None else [row for row in rows if row[column] in self.dates]

    def measure(self, label: str) -> Any:
        return evaluate(self.measures[label], self)


def evaluate(text: str, context: Context) -> Any:
    """The value of a measure's DAX in a context."""
    return Parser(text).whole()(context, {})


class Parser:
    """Parses DAX to a function of the context and the current row of each table."""

    def __init__(self, text: str) -> None:
        self.tokens, at = [], 0
        while at < len(text.rstrip()):
            found = TOKEN.match(text, at)
            assert found, f"not DAX: {text[at:]}"
            self.tokens.append((found.lastgroup, found[found.lastgroup]))
            at = found.end()

    def next(self) -> tuple[str, str]:
        return self.tokens[0] if self.tokens else ("end", "")

    def take(self, *signs: str) -> str:
        if self.next()[1] in signs:
            return self.tokens.pop(0)[1]
        return ""

    def need(self, sign: str) -> None:
        assert self.take(sign), f"{sign} instead of {self.next()[1]}"

    def whole(self) -> Callable:
        result = self.block()
        assert not self.tokens, f"unexpected {self.tokens}"
        return result

    def block(self) -> Callable:
        if not self.take("VAR"):
            return self.either()
        name = self.tokens.pop(0)[1]
        self.need("=")
        value = self.either()
        self.need("RETURN")
        rest = self.block()
        return lambda c, r: rest(replace(c, variables=c.variables | {name: value(c, r)}), r)

    def either(self) -> Callable:
        return self.logical(("||",), any, lambda: self.logical(("&&",), all, self.negated))

    def logical(self, signs: tuple, combine: Callable, part: Callable) -> Callable:
        parts = [part()]
        while self.take(*signs):
            parts.append(part())
        return parts[0] if len(parts) == 1 else lambda c, r: combine(each(c, r) for each in parts)

    def negated(self) -> Callable:
        if self.take("NOT"):
            inner = self.negated()
            return lambda c, r: not inner(c, r)
        return self.comparison()

    def comparison(self) -> Callable:
        left = self.sum()
        if self.take("IN"):
            self.need("{")
            listed = self.listed("}")
            return lambda c, r: any(operator.eq(*both(left(c, r), each(c, r))) for each in listed)
        if self.take("=="):
            right = self.sum()
            return lambda c, r: left(c, r) is not None and left(c, r) == right(c, r)
        if sign := self.take(*ORDERS):
            right = self.sum()
            compared = lambda c, r: ORDERS[sign](*both(left(c, r), right(c, r)))
            compared.equals = (left, right) if sign == "=" else None
            return compared
        return left

    def sum(self) -> Callable:
        return self.computed("+-", lambda: self.computed("*/", self.value))

    def computed(self, signs: str, part: Callable) -> Callable:
        result = part()
        while sign := self.take(*signs):
            result = self._computed(sign, result, part())
        return result

    @staticmethod
    def _computed(sign: str, left: Callable, right: Callable) -> Callable:
        operate = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}[sign]

        def compute(c: Context, r: dict) -> Any:
            a, b = left(c, r), right(c, r)
            if (a is None and b is None) or (sign in "*/" and a is None):
                return None
            a, b = both(a, b)
            return a + timedelta(days=b if sign == "+" else -b) if isinstance(a, date) else operate(a, b)

        return compute

    def listed(self, end: str) -> list[Callable]:
        found: list[Callable] = []
        while not self.take(end):
            found.append(self.block())
            self.take(",")
        return found

    def value(self) -> Callable:
        kind, text = self.tokens.pop(0)
        if kind == "column":
            table, column = text[1:].rstrip("]").split("'[", 1)
            found = lambda c, r: r[table][column]
            found.column = (table, column)
            return found
        if kind == "table":
            found = lambda c, r: c.of(text[1:-1])
            found.table = text[1:-1]
            return found
        if kind == "measure":
            return lambda c, r: c.measure(text[1:-1].replace("]]", "]"))
        if kind == "text":
            return lambda c, r: text[1:-1].replace('""', '"')
        if kind == "number":
            return lambda c, r: float(text) if "." in text else int(text)
        if text == "(":
            inner = self.block()
            self.need(")")
            return inner
        if text == "-":
            inner = self.value()
            return lambda c, r: -inner(c, r)
        if not self.take("("):
            return lambda c, r: c.variables.get(text, text)
        return self.function(text, self.listed(")"))

    def function(self, name: str, given: list[Callable]) -> Callable:
        first = given[0] if given else None
        table = getattr(first, "column", [getattr(first, "table", None)])[0]
        if name == "MIN" and len(given) == 2:
            return lambda c, r: min(each(c, r) for each in given)
        if name in AGGREGATES or name == "DISTINCTCOUNTNOBLANK":
            reduce = AGGREGATES.get(name, lambda values: len({*values}))

            def aggregate(c: Context, r: dict) -> Any:
                values = [v for row in c.of(table) if (v := first(c, {table: row})) is not None]
                return reduce(values) if values else None

            return aggregate
        if name.removesuffix("X") in AGGREGATES:
            reduce = AGGREGATES[name.removesuffix("X")]

            def iterate(c: Context, r: dict) -> Any:
                values = [v for row in first(c, r) if (v := given[1](c, {table: row})) is not None]
                return reduce(values) if values else None

            return iterate
        if name == "FILTER":
            chosen = lambda c, r: [row for row in c.of(table) if given[1](c, {table: row})]
            chosen.table = table
            return chosen
        if name in ("REMOVEFILTERS", "VALUES", "USERELATIONSHIP", "DATESINPERIOD"):
            changed = lambda c, r: (name, [getattr(each, "column", each) for each in given], c)
            changed.changes = name
            return changed
        if name == "CALCULATE":
            return lambda c, r: first(self.filtered(c, r, given[1:]), r)
        simple: dict[str, Callable] = {
            "TRUE": lambda c, r: True,
            "FALSE": lambda c, r: False,
            "BLANK": lambda c, r: None,
            "ISBLANK": lambda c, r: first(c, r) is None,
            "ISEMPTY": lambda c, r: not first(c, r),
            "COUNTROWS": lambda c, r: len(first(c, r)) or None,
            "IF": lambda c, r: given[1](c, r) if first(c, r) else given[2](c, r) if len(given) > 2 else None,
            "COALESCE": lambda c, r: next((v for each in given if (v := each(c, r)) is not None), None),
            "DIVIDE": lambda c, r: divided(first(c, r), given[1](c, r)),
            "EDATE": lambda c, r: shifted(first(c, r), given[1](c, r)),
        }
        return simple[name]

    @staticmethod
    def filtered(c: Context, r: dict, filters: list[Callable]) -> Context:
        """The context after the filters of CALCULATE, of which each is found in the old context."""
        for each in filters:
            if changes := getattr(each, "changes", None):
                _, arguments, _ = each(c, r)
                if changes == "USERELATIONSHIP":
                    c = replace(c, dated=c.dated | dict([arguments[0]]))
                elif changes == "DATESINPERIOD":
                    last, months = arguments[1](c, r), arguments[2](c, r)
                    first = shifted(last + timedelta(days=1), months)
                    c = replace(c, dates={first + timedelta(days=n) for n in range((last - first).days + 1)})
                # REMOVEFILTERS and VALUES of the dates together leave the chosen dates, and no other filter is made
            elif table := getattr(each, "table", None):
                c = replace(c, kept=c.kept | {table: each(c, r)})
            else:
                left, right = each.equals
                table, column = left.column
                rows = [row for row in c.of(table) if row[column] == right(c, r)]
                c = replace(c, kept=c.kept | {table: rows})
        return c


def divided(left: Any, right: Any) -> Any:
    return None if left is None or not right else left / right


def shifted(day: date | None, months: int) -> date | None:
    """EDATE: the same day of another month, or its last day."""
    if day is None:
        return None
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    ends = date(year + (month == 11), (month + 1) % 12 + 1, 1) - timedelta(days=1)
    return ends.replace(day=min(day.day, ends.day))
