"""Published stars: foreign keys as a client reads them, and unknown members that keep every row of a fact in a join."""

from collections import Counter

import pytest

from tests.support import Warehouse, manifest

# what the drivers' SQLForeignKeys and getImportedKeys read, which needs no right on the tables
FOREIGN_KEYS = (
    "select n.nspname, c.relname, a.attname, m.nspname, d.relname, b.attname from pg_constraint as k "
    "inner join pg_class as c on k.conrelid = c.oid inner join pg_namespace as n on c.relnamespace = n.oid "
    "inner join pg_class as d on k.confrelid = d.oid inner join pg_namespace as m on d.relnamespace = m.oid "
    "inner join pg_attribute as a on a.attrelid = c.oid and a.attnum = k.conkey[1] "
    "inner join pg_attribute as b on b.attrelid = d.oid and b.attnum = k.confkey[1] "
    "where k.contype = 'f' and k.convalidated"
)
UNKNOWN = (-1, -2, "Not known")


@pytest.fixture(scope="module")
def keys(warehouse: Warehouse) -> list[tuple[str, ...]]:
    return warehouse.sql(FOREIGN_KEYS, url=warehouse.reader_url("pbi_finance"))


def test_a_client_sees_a_foreign_key_for_each_reference_within_a_set(keys: list[tuple[str, ...]]) -> None:
    nodes, expected = manifest().nodes, set()
    for test in nodes.values():
        if getattr(test, "test_metadata", None) and test.test_metadata.name == "relationships":
            table = nodes.get(test.attached_node)
            for other in (nodes.get(node) for node in test.depends_on.nodes if node != test.attached_node):
                if table and other and table.fqn[1] == "marts" and other.fqn[:3] == table.fqn[:3]:
                    field = test.test_metadata.kwargs["field"]
                    expected.add((table.fqn[2], table.alias, test.column_name, other.alias, field))
    published = {table.fqn[2] for table in nodes.values() if table.fqn[1] == "marts"}
    assert {(key[0], *key[1:3], *key[4:]) for key in keys if key[0] in published} == expected
    assert len(expected) > 60
    assert [key for key in keys if key[0] != key[3]] == [], "a key leads to a table of the same build"


def test_a_fact_has_a_key_of_each_dimension(warehouse: Warehouse, keys: list[tuple[str, ...]]) -> None:
    """Dates may be empty, for what has not happened yet; the parts of an event that another fact describes, too."""
    may_be_empty = {
        (schema, table, column)
        for schema, table, column in warehouse.sql(
            "select table_schema, table_name, column_name from information_schema.columns where is_nullable = 'YES'"
        )
    }
    to_dimensions = {
        key[:3] for key in keys if key[1].startswith("fct_") and key[4].startswith("dim_") and key[4] != "dim_dates"
    }
    assert to_dimensions & may_be_empty == set()
    assert len(to_dimensions) > 30


def test_an_inner_join_with_a_dimension_keeps_every_row_of_a_fact(
    warehouse: Warehouse, keys: list[tuple[str, ...]]
) -> None:
    used: Counter[str] = Counter()
    for schema, table, column, _, other, field in keys:
        if table.startswith("fct_") and other.startswith("dim_") and other != "dim_dates":
            ((rows, joined, unknown),) = warehouse.sql(
                f"select (select count(*) from {schema}.{table}), count(*), "
                f"count(*) filter (where f.{column}::text = any(%s)) "
                f"from {schema}.{table} as f inner join {schema}.{other} as d on f.{column} = d.{field}",
                ([str(key) for key in UNKNOWN],),
            )
            assert joined == rows, (schema, table, column)
            used[other] += unknown
    assert used["dim_suppliers"] > 0, "otherwise this test says nothing"
    assert used["dim_streets"] > 0


def test_withheld_payees_of_the_ledger_have_the_withheld_supplier(warehouse: Warehouse) -> None:
    ledger = warehouse.sql(
        "select count(*) filter (where beneficiary_name ~* '\\mredacted\\M'), count(*) from raw_erp.ledger_lines"
    )
    shown = warehouse.sql(
        "select count(*) filter (where supplier_name = 'Redacted'), "
        "count(*) filter (where supplier_name <> 'Not known') "
        "from finance.fct_supplier_payments inner join finance.dim_suppliers using (supplier_key)"
    )
    assert shown == ledger
    assert ledger[0][0] > 0
