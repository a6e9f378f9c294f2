"""Descriptions of dbt's data tests for operations staff: table, rule, how to see the failing rows, and the owner."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from warehouse.access import read_access, read_platform_owner
from warehouse.environment import publish_sets

# The rule of each kind of generic test. Other tests state the rule in their YAML, or in their name.
RULES = {
    "accepted_values": "{column} is empty or one of {values}",
    "k_anonymous": "at least {people} rows show the same combination of {columns}, unless all of these are withheld",
    "not_null": "{column} is never empty",
    "relationships": "{column} is empty or a {field} of {to}",
    "unique": "no two rows have the same {column}",
    "unique_combination_of_columns": "no two rows have the same combination of {combination_of_columns}",
}
ABBREVIATIONS = re.compile(r"\b(ehcp|foi|fte|vat)\b")
FAILED = re.compile(r"test (\w+) failed")  # as dbt_project/macros/publish.sql records it


class DataTests:
    """The data tests of a manifest."""

    def __init__(self, manifest: Mapping[str, Any]):
        self.nodes = manifest["nodes"] | manifest["sources"]
        self.tests = {node["name"]: node for node in manifest["nodes"].values() if node["resource_type"] == "test"}
        self.owners, self.platform = read_access(publish_sets()), read_platform_owner()

    def describe(self, name: str) -> str:
        """What the test checks in which tables, the command that shows the failing rows, and the owner."""
        test = self.tests[name]
        attached = test.get("attached_node")
        tested = [self.nodes[node] for node in ([attached] if attached else test["depends_on"]["nodes"])]
        sets = [publish_set for node in tested if (publish_set := _publish_set(node))]
        owner = self.owners[sets[0]] if sets else self.platform
        warns = test["config"]["severity"].lower() != "error"
        return (
            f"{', '.join(map(_table, tested))}: {self._rule(test).rstrip('.')}. "
            f"{'A failure is a warning: the set is published. ' if warns else ''}"
            f"Failing rows: `warehouse exec dbt show --select {name}`. Owner: {owner.owner} ({owner.email})."
        )

    def explain(self, problems: Iterable[str]) -> list[str]:
        """Reasons why a set is not published, with the description of each test that failed."""
        return [
            f"{problem}. {self.describe(failed[1])}"
            if (failed := FAILED.fullmatch(problem)) and failed[1] in self.tests
            else problem
            for problem in problems
        ]

    def refusals(self, outcomes: list[dict[str, Any]]) -> list[str]:
        """A message for each publish set of the outcomes that is not published."""
        refused = [outcome for outcome in outcomes if outcome["problems"]]
        return [f"{o['publish_set']} is not published: " + "\n  ".join(self.explain(o["problems"])) for o in refused]

    def _rule(self, test: Mapping[str, Any]) -> str:
        if test["description"]:
            return str(test["description"])
        words = test["name"].removeprefix("assert_").replace("_", " ")
        rule = ABBREVIATIONS.sub(lambda found: found[0].upper(), words)
        if not (kind := test.get("test_metadata")):
            return rule
        if kind["name"] == "expression_is_true":
            return f"{rule} (`{kind['kwargs']['expression']}` in every row)"
        if kind["name"] not in RULES:
            return rule
        values = {key: _listed(value) for key, value in kind["kwargs"].items()}
        others = [node for node in test["depends_on"]["nodes"] if node != test["attached_node"]]
        to = _table(self.nodes[(others or [test["attached_node"]])[0]])  # a table may refer to itself
        return RULES[kind["name"]].format_map(values | {"column": _listed(test["column_name"]), "to": to})


def _publish_set(node: Mapping[str, Any]) -> str:
    return str(node["fqn"][2]) if node["fqn"][1] == "marts" else ""


def _table(node: Mapping[str, Any]) -> str:
    """The table as readers see it."""
    return f"{node['schema'].removesuffix('__next')}.{node.get('alias', node['name'])}"


def _listed(value: object) -> str:
    return (", ".join(map(str, value)) if isinstance(value, list) else str(value)).replace('"', "")
