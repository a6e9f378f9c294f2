"""The list of broken rules matches the code and the tests; `tests/broken_rules.py` runs the list."""

import ast
from functools import cache

import pytest

from tests.broken_rules import PAGE, ROOT, Rule, read_rules

RULES = read_rules()


@cache
def functions_of(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_the_text_that_an_edit_replaces_occurs_once(rule: Rule) -> None:
    assert (ROOT / rule.file).read_text(encoding="utf-8").count(rule.old) == 1
    assert rule.new != rule.old


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_the_functions_of_a_rule_exist(rule: Rule) -> None:
    assert rule.tests
    for test in rule.tests:
        file, name = test.split("::")
        assert name in functions_of(file)


def test_the_table_of_rules_is_complete() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert [number for number, rule in RULES.items() if f"| {number} | {rule.rule} | `{rule.file}` |" not in page] == []
