"""Disclosure control: attacks on the published reports recover no suppressed count and no person.

The attack on counts writes what readers know as equations and inequalities, and asks for the least and the greatest
possible value of each suppressed count (scipy.optimize.linprog). A count with one possible value is recovered.
"""

import itertools
import math
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest
from jinja2 import Environment

from tests.support import ROOT, Trial, Warehouse, manifest

Row = dict[str, Any]
Bounds = tuple[float, float]
Sum = tuple[tuple[int, int], ...]  # (unknown, factor), …
VARYING = {"Suppressed figures", "as_at_date"}
MONTH = ("month_start_date", "month_end_date")
EARLIER = "(select * from {0} as fact where abs(hashtext(fact::text)) % 20 > 0)"  # a twentieth came later
MOVING = {"citizen__rpt_people_by_services"}  # a later fact moves its person to another row


@cache
def range_of(cost: Sum, bounds: tuple[Bounds, ...], equal: tuple, at_most: tuple) -> Bounds:
    """The least and the greatest value of a sum of unknowns with bounds, where sums equal, or are at most, numbers."""

    def line(terms: Sum, sign: int = 1) -> list[int]:
        values = [0] * len(bounds)
        for unknown, factor in terms:
            values[unknown] = sign * factor
        return values

    from scipy.optimize import linprog

    conditions: dict[str, Any] = {}
    for left, right, sums in (("A_eq", "b_eq", equal), ("A_ub", "b_ub", at_most)):
        if sums:
            conditions |= {left: [line(terms) for terms, _ in sums], right: [number for _, number in sums]}
    ends = []
    for sign in (1, -1):
        done = linprog(line(cost, sign), bounds=bounds, **conditions)
        assert done.status in (0, 3), done.message  # solved, or without an end
        ends.append(sign * done.fun if done.status == 0 else -sign * math.inf)
    return ends[0], ends[1]


@dataclass
class Report:
    """The rules of a report, its rows with the true figures, and the rows before a twentieth of the facts was known."""

    rules: Row
    rows: list[Row]
    earlier: list[Row] = field(default_factory=list)
    only_grows: bool = True  # a later fact makes no count smaller
    tried: int = 0

    @property
    def counts(self) -> dict[str, Row]:
        return {name: figure for name, figure in self.rules["figures"].items() if "count" in figure}

    def groups(self, rows: list[Row]) -> dict[tuple, list[Row]]:
        """The rows of each group whose total readers see or know, otherwise of each month."""
        known = sorted({name for names in self.rules.get("known_totals", {}).values() for name in names})
        groups = defaultdict(list)
        for row in rows:
            groups[tuple(row.get(name) for name in known or MONTH)].append(row)
        return groups

    def is_small(self, row: Row, figure: str) -> bool:
        people = row.get(f"true people of {figure}", row[f"true count of {figure}"])
        return row[f"true count of {figure}"] > 0 and people < self.rules["threshold"]

    def recovered(self, releases: int = 1, protected: bool = True) -> list[tuple[str, Row]]:
        """The counts, suppressed or smaller than their whole by few people, of which one value is possible.

        Without protection, counts are not rounded, and no count is suppressed to protect another.
        """
        found, before = [], self.groups(self.earlier)
        for key, rows in self.groups(self.rows).items():
            attack = Attack(self, protected)
            attack.add_release(0, rows, exact=releases == 1)
            if releases == 2 and key in before:
                attack.add_release(1, before[key], exact=False)
                attack.at_most += [
                    (((place, 1), (attack.at[0, *rest], -1)), 0)  # facts are added, not removed
                    for (release, *rest), place in attack.at.items()
                    if self.only_grows and release == 1 and (0, *rest) in attack.at
                ]
            for name, row, cost, true in attack.targets(rows):
                least, greatest = range_of(cost, tuple(attack.bounds), tuple(attack.equal), tuple(attack.at_most))
                assert least - 1e-6 <= true <= greatest + 1e-6, (name, row, least, greatest)
                self.tried += 1
                if greatest - least < 1 - 1e-6:
                    found.append((name, row))
        return found


class Attack:
    """What readers know of the counts of a group of rows, in one release or two."""

    def __init__(self, report: Report, protected: bool):
        self.report, self.rules, self.protected = report, report.rules, protected
        self.at: dict[tuple, int] = {}  # the unknown of each release, figure and row
        self.bounds: list[Bounds] = []
        self.equal: list[tuple[Sum, float]] = []
        self.at_most: list[tuple[Sum, float]] = []

    def add_release(self, release: int, rows: list[Row], exact: bool) -> None:
        """Add the rows of a release; with `exact`, readers know the exact totals that are declared as known."""
        for name, figure in self.report.counts.items():
            there, parts = None, []
            for row in rows:
                if row[name] is None and not row[f"{name} is suppressed"]:
                    continue  # the figure does not apply
                place = self.at[release, name, identity(row)] = len(self.bounds)
                self.bounds.append(self.possible(name, row, rows))
                if row["is a total"]:
                    there = place
                else:
                    parts.append((place, row))
                if whole := figure.get("part_of"):
                    self.at_most.append((((place, 1), (self.at[release, whole, identity(row)], -1)), 0))
            total = tuple((place, 1) for place, _ in parts)
            if there is not None and parts and figure.get("total_is_distinct"):
                self.at_most += [(((there, 1), *((place, -1) for place, _ in parts)), 0)]
                self.at_most += [(((place, 1), (there, -1)), 0) for place, _ in parts]
            elif there is not None and parts:
                self.equal.append(((*total, (there, -1)), 0))
            number = sum(row[f"true count of {name}"] for _, row in parts)
            is_published = any(row[name] for row in rows) and number >= self.rules["threshold"]
            if exact and is_published and name in self.rules.get("known_totals", {}):
                self.equal.append((total, number))

    def possible(self, name: str, row: Row, rows: list[Row]) -> Bounds:
        """The least and the greatest count that a reader of the row must think possible."""
        small, true = (1, self.rules["threshold"] - 1), row[f"true count of {name}"]
        if not self.protected:
            return small if self.report.is_small(row, name) else (true, true)
        if row[name] is None:
            alike = [other for other in rows if other["is a total"] == row["is a total"]]
            is_small = all(self.report.is_small(other, name) for other in alike if other[f"{name} is suppressed"])
            return small if is_small and "people" not in self.report.counts[name] else (1, math.inf)
        slack = (self.rules["rounding_base"] - 1) / 2
        return (max(self.rules["threshold"], row[name] - slack), row[name] + slack) if row[name] else (0, 0)

    def targets(self, rows: list[Row]) -> list[tuple[str, Row, Sum, int]]:
        """The counts to recover: (figure, row, count as a sum of unknowns, true count)."""
        found = []
        for name, figure in self.report.counts.items():
            for row in rows:
                if (here := self.at.get((0, name, identity(row)))) is None:
                    continue
                true = row[f"true count of {name}"]
                if row[f"{name} is suppressed"] if self.protected else self.report.is_small(row, name):
                    found.append((name, row, ((here, 1),), true))
                if whole := figure.get("part_of"):
                    rest = row[f"true count of {whole}"] - true
                    if 0 < rest < self.rules["threshold"]:
                        cost = ((self.at[0, whole, identity(row)], 1), (here, -1))
                        found.append((f"{whole} without {name}", row, cost, rest))
        return found


def identity(row: Row) -> tuple:
    """The texts and dates of a row, which tell it from other rows."""
    return tuple(value for name, value in sorted(row.items()) if isinstance(value, str) and name not in VARYING)


def rows_with_truth(warehouse: Warehouse | Trial, query: str, rules: Row) -> list[Row]:
    """The rows of the query `disclosed`, with the figures before suppression and rounding."""
    true = [
        f'coalesce(({figure[kind]})::numeric, 0) as "true {kind} of {name}"'
        for name, figure in rules["figures"].items()
        for kind in ("count", "people", "amount")
        if kind in figure
    ]
    columns = ", ".join(["*", f'{rules.get("total_rows", "false")} as "is a total"', *true])
    return [row for (row,) in warehouse.sql(f"select to_jsonb(r) from (select {columns} from ({query}) as d) as r")]


@pytest.fixture(scope="module")
def reports(warehouse: Warehouse) -> dict[str, Report]:
    """The reports with suppressed figures."""
    models = (node for node in manifest().nodes.values() if node.resource_type == "model")
    nodes = {
        node.name: node for node in models if "not_needed" not in node.config.meta.get("disclosure", ["not_needed"])
    }
    warehouse.dbt("compile", "--no-introspect", "--select", *nodes)
    found = {}
    for name, node in nodes.items():
        compiled = warehouse.home / "target/compiled/worcestershire" / node.original_file_path
        query = compiled.read_text(encoding="utf-8").replace('__next"."', '"."')
        query = query.removesuffix("select * from final") + "select * from disclosed"
        (facts, *_) = re.findall(r'select \* from ("warehouse"\."\w+"\."fct_\w+")', query)
        earlier = query.replace(f"from {facts}", f"from {EARLIER.format(facts)} as known")
        rules = node.config.meta["disclosure"]
        releases = (rows_with_truth(warehouse, release, rules) for release in (query, earlier))
        found[name] = Report(rules, *releases, only_grows=name not in MOVING)
    return found


def test_an_attack_recovers_no_suppressed_count(reports: dict[str, Report]) -> None:
    assert {name: found for name, report in reports.items() if (found := report.recovered())} == {}
    assert sum(report.tried for report in reports.values()) > 100


def test_an_attack_on_two_releases_recovers_no_suppressed_count(reports: dict[str, Report]) -> None:
    assert {name: found for name, report in reports.items() if (found := report.recovered(releases=2))} == {}


def test_without_rounding_and_secondary_suppression_an_attack_recovers_counts(reports: dict[str, Report]) -> None:
    assert sum(len(report.recovered(protected=False)) for report in reports.values()) > 10


def macros(name: str) -> Any:
    """The macros of a file, to call without dbt."""
    text = (ROOT / f"dbt_project/macros/{name}.sql").read_text(encoding="utf-8")
    return Environment().from_string(text).module  # noqa: S701 - SQL, not HTML


def published(trial: Trial, rules: Row, relation: str) -> list[Row]:
    return rows_with_truth(trial, macros("disclosure").disclosed(f"({relation}) as given", rules), rules)


def test_readers_who_know_the_rules_and_the_total_recover_no_small_count(trial: Trial) -> None:
    """Every group of three counts up to 12: another group with the same total looks the same, and has another count."""
    rules = {
        "threshold": 5, "rounding_base": 5, "minimum_group": 10, "known_totals": {"Children": ["number"]},
        "figures": {"Children": {"count": "children"}},
    }  # fmt: skip
    groups = (
        "select row_number() over () as number, array[a, b, c] as counts from generate_series(0, 12) as a, "
        "generate_series(0, 12) as b, generate_series(0, 12) as c"
    )
    rows = published(
        trial, rules, f"select * from ({groups}) as g, unnest(counts) with ordinality as n (children, place)"
    )
    shown: dict[tuple, list[list[int]]] = defaultdict(list)
    for _, cells in itertools.groupby(
        sorted(rows, key=lambda row: (row["number"], row["place"])), lambda r: r["number"]
    ):
        found = list(cells)
        counts = [row["children"] for row in found]
        shown[sum(counts), *(row["Children"] for row in found)].append(counts)
    for (total, *figures), alike in shown.items():
        if total >= 5 and any(figures):  # otherwise the total is not published
            for figure, possible in zip(figures, zip(*alike, strict=True), strict=True):
                assert figure is not None or len({*possible}) > 1, (total, figures, alike)
    assert sum(None in key for key in shown) > 100


def test_two_means_do_not_reveal_the_person_who_joined(trial: Trial) -> None:
    """The attack of a reader who knows that one person joined: each possible number of people gives another value."""
    rules = {
        "threshold": 5, "rounding_base": 5, "minimum_group": 10,
        "figures": {
            "People": {"count": "people"},
            "Weekly cost per person": {
                "amount": "cost / people", "people": "people", "round_to": 50, "type": "numeric",
            },
        },
    }  # fmt: skip
    costs = "select n, 100 + n * 7919 % 1400 as cost from generate_series(1, 60) as n"
    rows = published(
        trial,
        rules,
        f"select n, cost as latest, n as people, sum(cost) over (order by n)::numeric as cost from ({costs}) as c",
    )
    tried = 0
    for before, after in itertools.pairwise(sorted(rows, key=lambda row: row["n"])):
        means = [row["Weekly cost per person"] for row in (before, after)]
        if None in means:
            continue
        tried += 1
        numbers = [n for n in range(before["People"] - 2, before["People"] + 3) if abs(n + 1 - after["People"]) <= 2]
        least = min((n + 1) * (means[1] - 25) - n * (means[0] + 25) for n in numbers)
        greatest = max((n + 1) * (means[1] + 25) - n * (means[0] - 25) for n in numbers)
        assert least <= after["latest"] <= greatest
        assert greatest - least > after["latest"] / 2
        exact = [row["true amount of Weekly cost per person"] for row in (before, after)]
        assert abs((before["n"] + 1) * exact[1] - before["n"] * exact[0] - after["latest"]) < 0.01, "without protection"
    assert tried > 40


@pytest.mark.parametrize("people", [2, 5])
def test_withheld_attributes_leave_nobody_alone(trial: Trial, people: int) -> None:
    """As few attributes are withheld as the order allows: a person keeps what enough persons show as well."""
    names = ["colour", "year", "is_member"]
    relation = (
        "(select n, nullif(n % 7, 0) as colour, floor(sqrt(n)) as year, n % 20 = 0 as is_member "
        "from generate_series(1, 300) as n) as given"
    )
    query = macros("people").with_withheld_attributes(relation, names, people)
    rows = trial.sql(f"select withheld_attributes, {', '.join(names)} from ({query}) as w order by n")
    left = list(range(len(rows)))
    for step in range(len(names)):
        alike = Counter(rows[place][1 + step :] for place in left)
        kept = [place for place in left if alike[rows[place][1 + step :]] >= people]
        assert {rows[place][0] for place in kept} == {step}, "each step keeps some persons"
        left = sorted({*left} - {*kept})
    assert {rows[place][0] for place in left} == {len(names)}


def test_nobody_is_alone_with_what_citizen_and_workforce_show(warehouse: Warehouse) -> None:
    for table in ("citizen.dim_persons", "citizen_open.dim_persons", "workforce.dim_employees"):
        columns = [
            name
            for (name,) in warehouse.sql(
                "select column_name from information_schema.columns where table_schema || '.' || table_name = %s "
                "and column_name not in ('person_key', 'restriction', 'system_count', 'is_birth_month_in_doubt')",
                (table,),
            )
        ]
        shown = Counter(warehouse.sql(f"select {', '.join(columns)} from {table}"))
        details = {row: [value for value in row if value not in (None, "Withheld")] for row in shown}
        assert {row: count for row, count in shown.items() if count < 5 and details[row]} == {}
        assert sum(count for row, count in shown.items() if details[row]) > sum(shown.values()) * 0.9
