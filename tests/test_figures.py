"""Published figures equal an independent count of the source systems, by the official texts."""

import pytest
from jinja2 import Environment

from benchmarks import recount
from tests.support import ROOT, Warehouse


@pytest.mark.parametrize("measure", recount.MEASURES)
def test_a_published_measure_equals_the_count_of_the_sources(warehouse: Warehouse, measure: str) -> None:
    count, query = recount.MEASURES[measure]
    expected = count(recount.Sources(warehouse.home, warehouse.source))
    assert recount.published(warehouse.sql(query)) == expected
    assert len(expected) > 0


def test_different_combinations_of_values_have_different_keys(warehouse: Warehouse) -> None:
    """dbt-utils issue 1015, dlt issue 4274: a separator within a value, and null and an empty text."""
    text = (ROOT / "dbt_project/macros/surrogate_key.sql").read_text(encoding="utf-8")
    macros = Environment().from_string(text)  # noqa: S701 - SQL, not HTML
    combinations = [
        ("'a|b'", "'c'"), ("'a'", "'b|c'"), ("'a,b'", "'c'"), ("'a'", "'b,c'"), ("'a'", "null"), ("'a'", "''"),
        ("null", "'a'"), ("''", "'a'"), ("''", "null"), ("null", "''"), ("'\"a\"'", "'c'"), ("'a'", "'c'"),
        ("'(a'", "'c)'"),
    ]  # fmt: skip
    keys = warehouse.sql("select " + ", ".join(macros.module.surrogate_key(list(each)) for each in combinations))[0]
    assert len(set(keys)) == len(combinations)
    assert None not in keys
    assert warehouse.sql("select " + macros.module.surrogate_key(["null", "null"])) == [(None,)]
