"""Published figures equal an independent count of the source systems, by the official texts."""

import pytest
from jinja2 import Environment

from benchmarks import recount
from tests.support import ROOT, Warehouse, change


@pytest.mark.parametrize("measure", recount.MEASURES)
def test_a_published_measure_equals_the_count_of_the_sources(warehouse: Warehouse, measure: str) -> None:
    count, query = recount.MEASURES[measure]
    expected = count(recount.Sources(warehouse.home, warehouse.source))
    assert recount.published(warehouse.sql(query)) == expected
    assert len(expected) > 0


def test_a_completion_typed_2030_is_a_finding_and_moves_no_figure(county: Warehouse) -> None:
    backlog = "select max(as_at_date), count(*) from highways.fct_defects where not is_completed"
    days = "select count(*), max(date_day), sum(overdue_count) from highways.fct_defect_backlog_days"
    before = county.sql(backlog), county.sql(days)
    uid = county.sql("select min(instruction_uid) from raw_confirm.defect where actual_completion_date is null")[0][0]
    change(
        county.source("confirm"),
        f"update defect set actual_completion_date = '2030-10-03 09:00' where instruction_uid = {uid}",
    )
    county.load("confirm")
    county.build("highways", "quality")
    assert (county.sql(backlog), county.sql(days)) == before
    found = [finding for finding in county.findings("confirm") if finding[-1] == "DAT01"]
    assert found == [("raw_confirm.defect", str(uid), "actual_completion_date", "DAT01")]


def test_keys_of_facts_from_files_mean_the_same_row_a_week_later(county: Warehouse) -> None:
    facts = {
        "finance.fct_supplier_payments": "payment_key, to_jsonb(t) - '{supplier_key,is_on_contract}'::text[]",
        "finance.fct_card_payments": "card_payment_key, to_jsonb(t) - 'supplier_key'",
        "education.fct_suspensions": "suspension_key, to_jsonb(t)",
        "education.fct_ehcps": "ehcp_key, (person_key, requested_date)",
    }
    before = {fact: dict(county.sql(f"select {columns} from {fact} as t")) for fact, columns in facts.items()}
    county("demo", "advance", "--days", "7")
    for system in ("capita", "erp", "procurement"):
        county.load(system)
    county.build("finance", "education")
    for fact, columns in facts.items():
        after = dict(county.sql(f"select {columns} from {fact} as t"))
        assert len(after) >= len(before[fact]) > 0
        changed = [key for key, row in before[fact].items() if key in after and after[key] != row]
        assert changed == [], fact
        assert before[fact].keys() <= after.keys(), fact


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
