"""Translates the measures of dbt's semantic models from SQL to DAX, the language of Power BI.

SQL has three truth values, DAX has two, and takes a blank for 0, for an empty text and for false. A condition is
therefore translated into when it is true or when it is false, and says which values must not be blank.
"""

from collections.abc import Callable, Mapping

import sqlglot
from sqlglot import exp

from warehouse.errors import WarehouseError

ARITHMETIC: dict[type[exp.Expr], str] = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/"}
COMPARISONS: dict[type[exp.Expr], tuple[str, str]] = {  # the operator, and its opposite
    exp.EQ: ("=", "<>"),
    exp.NEQ: ("<>", "="),
    exp.LT: ("<", ">="),
    exp.LTE: ("<=", ">"),
    exp.GT: (">", "<="),
    exp.GTE: (">=", "<"),
}
MONTHS = {"MONTH": 1, "QUARTER": 3, "YEAR": 12}
COLUMN_AGGREGATES = {"sum": "SUM", "average": "AVERAGE", "median": "MEDIAN", "max": "MAX", "min": "MIN"}


def quoted(table: str, column: str = "") -> str:
    """A table, or a column of it, as DAX names it."""
    name = "'" + table.replace("'", "''") + "'"
    return f"{name}[{column.replace(']', ']]')}]" if column else name


def literal(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def measure(label: str) -> str:
    """A measure, as DAX names it."""
    return f"[{label.replace(']', ']]')}]"


class Expressions:
    """Translates SQL expressions whose columns `reference` names. `required` columns are never null.

    Raises WarehouseError where DAX has no template for an expression.
    """

    def __init__(self, reference: Callable[[str], str], required: frozenset[str] = frozenset()):
        self.reference, self.required = reference, required

    def value(self, node: exp.Expr) -> str:
        """The value of an expression; blank where SQL has null."""
        match node:
            case exp.Column():
                return self.reference(node.name)
            case exp.Literal():
                return literal(node.name) if node.is_string else node.name
            case exp.Boolean():
                return "TRUE()" if node.this else "FALSE()"
            case exp.Null():
                return "BLANK()"
            case exp.Paren():
                return f"({self.value(node.this)})"
            case exp.Coalesce():
                return f"COALESCE({', '.join(map(self.value, [node.this, *node.expressions]))})"
            case exp.Case() if not node.this:
                result = self.value(node.args["default"]) if node.args.get("default") else "BLANK()"
                for branch in reversed(node.args["ifs"]):
                    result = f"IF({self.true(branch.this)}, {self.value(branch.args['true'])}, {result})"
                return result
            case exp.Add() | exp.Sub() if isinstance(node.expression, exp.Interval):
                return self._shifted(node)
            case exp.Add() | exp.Sub() | exp.Mul() | exp.Div():
                computed = f"{self.value(node.this)} {ARITHMETIC[type(node)]} {self.value(node.expression)}"
                known = self.known(node)
                return f"IF({' && '.join(known)}, {computed})" if known else computed
        raise WarehouseError(f"No template of DAX for `{node.sql('postgres')}`.")

    def _shifted(self, node: exp.Expr) -> str:
        interval = node.expression
        unit, number = interval.text("unit").upper(), int(interval.this.name)
        sign = "-" if isinstance(node, exp.Sub) else ""
        if unit in MONTHS:
            return f"EDATE({self.value(node.this)}, {sign}{number * MONTHS[unit]})"
        if unit == "DAY":
            return f"{self.value(node.this)} {sign or '+'} {number}"
        raise WarehouseError(f"No template of DAX for `{node.sql('postgres')}`.")

    def known(self, *nodes: exp.Expr) -> list[str]:
        """Conditions that no value in these expressions is blank."""
        columns = dict.fromkeys(column.name for node in nodes for column in node.find_all(exp.Column))
        return [f"NOT ISBLANK({self.reference(name)})" for name in columns if name not in self.required]

    def true(self, node: exp.Expr) -> str:
        """A condition for which an expression is true, neither false nor null."""
        return self._condition(node, True)

    def _condition(self, node: exp.Expr, wanted: bool) -> str:
        wanted = wanted != bool(node.args.get("negate"))  # `is not`, `not in`
        match node:
            case exp.Paren():
                return f"({self._condition(node.this, wanted)})"
            case exp.Not():
                return self._condition(node.this, not wanted)
            case exp.And() | exp.Or():
                sign = "&&" if isinstance(node, exp.And) == wanted else "||"
                return f"({self._condition(node.this, wanted)} {sign} {self._condition(node.expression, wanted)})"
            case exp.Is() if isinstance(node.expression, exp.Null):
                return f"{'' if wanted else 'NOT '}ISBLANK({self.value(node.this)})"
            case exp.In():
                listed = f"{self.value(node.this)} IN {{{', '.join(map(self.value, node.expressions))}}}"
                return " && ".join([*self.known(node.this), listed if wanted else f"NOT {listed}"])
            case exp.Column():
                return f"{self.value(node)} == {'TRUE()' if wanted else 'FALSE()'}"
            case _ if type(node) in COMPARISONS:
                sign = COMPARISONS[type(node)][not wanted]
                compared = f"{self.value(node.this)} {sign} {self.value(node.expression)}"
                return " && ".join([*self.known(node.this, node.expression), compared])
        raise WarehouseError(f"No template of DAX for `{node.sql('postgres')}`.")


def parsed(expression: str) -> exp.Expr:
    return sqlglot.parse_one(expression, read="postgres")


def aggregate(kind: str, expression: str, table: str, sql: Expressions) -> str:
    """The DAX of a measure's aggregation over a table, in the table's filter context. Blank without a row."""
    rows, node = quoted(table), parsed(expression)
    conditions = []
    if kind == "sum_boolean":
        conditions.append(sql.true(node))
    elif isinstance(node, exp.Case) and not node.args.get("default") and len(node.args["ifs"]) == 1:
        (branch,) = node.args["ifs"]  # `case when … then … end` is a filter
        conditions.append(sql.true(branch.this))
        node = branch.args["true"]
    column = node.name if isinstance(node, exp.Column) else ""
    if kind in ("count", "sum_boolean"):
        if kind == "count" and column not in sql.required:
            conditions.append(f"NOT ISBLANK({sql.value(node)})")
        if not conditions:
            return f"COUNTROWS({rows})"
        return f"IF(NOT ISEMPTY({rows}), COUNTROWS(FILTER({rows}, {' && '.join(conditions)})) + 0)"
    chosen = f"FILTER({rows}, {' && '.join(conditions)})" if conditions else ""
    if column:
        function = "DISTINCTCOUNTNOBLANK" if kind == "count_distinct" else COLUMN_AGGREGATES[kind]
        calculation = f"{function}({sql.value(node)})"
        calculation = f"CALCULATE({calculation}, {chosen})" if chosen else calculation
        # SQL counts no value as 0, and DAX as a blank
        return f"IF(NOT ISEMPTY({rows}), {calculation} + 0)" if kind == "count_distinct" else calculation
    known = [*conditions, *sql.known(node)]
    chosen = f"FILTER({rows}, {' && '.join(known)})" if known else rows
    sql = Expressions(sql.reference, sql.required.union(column.name for column in node.find_all(exp.Column)))
    return f"{COLUMN_AGGREGATES[kind]}X({chosen}, {sql.value(node)})"


def of_measures(expression: str, labels: Mapping[str, str]) -> str:
    """The DAX of an expression over other measures, given as {name: label}. A blank operand gives a blank."""
    return Expressions(lambda name: measure(labels[name])).value(parsed(expression))


def on_last_day(calculation: str, table: str, column: str, dates: str) -> str:
    """A calculation on a table's last day within the chosen values of the column `dates`, whatever else is chosen."""
    day = quoted(table, column)
    return (
        f"VAR LastDay = CALCULATE(MAX({day}), REMOVEFILTERS({quoted(table)}), VALUES({dates}))\n"
        f"RETURN CALCULATE({calculation}, {day} = LastDay)"
    )
