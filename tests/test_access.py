"""Read rights, tried as each login on every table and column."""

import re
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from psycopg2 import sql

from ingestion.contracts import ContractError
from tests.readers import CASEWORKERS, LOGINS, REDDITCH, SETS, may_read
from tests.support import ROOT, Warehouse
from warehouse.access import FILE, read_access


@pytest.fixture
def logins(warehouse: Warehouse) -> Iterator[dict[str, psycopg2.extensions.connection]]:
    """A connection of each reader, with the password of that reader."""
    connections = {login: psycopg2.connect(warehouse.reader_url(login)) for login in LOGINS}
    yield connections
    for connection in connections.values():
        connection.close()


def attempt(connection: psycopg2.extensions.connection, statement: sql.Composed | str) -> list[tuple] | None:
    """Return the answer to a statement, or None without the right to run it; roll back its changes."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
    except psycopg2.errors.InsufficientPrivilege:
        return None
    finally:
        connection.rollback()


def test_every_login_has_the_rights_of_access_yml_on_every_table_and_column(warehouse: Warehouse, logins: dict) -> None:
    relations = warehouse.sql(
        "select n.nspname, c.relname, c.relkind, array_agg(a.attname::text order by a.attnum) from pg_class as c "
        "inner join pg_namespace as n on c.relnamespace = n.oid "
        "inner join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped "
        "where c.relkind in ('r', 'p', 'v', 'm') and n.nspname !~ '^(pg_|information_schema)' group by 1, 2, 3"
    )
    assert {schema for schema, *_ in relations} >= {
        *SETS,
        "governance",
        "quarantine",
        "raw_confirm",
        "raw_confirm_store",
    }
    tried, wrong = 0, []
    for login, connection in logins.items():
        for schema, table, kind, columns in relations:
            name = sql.Identifier(schema, table)
            expected, only = may_read(login, schema, table, columns, kind)
            statements = {
                f"select {column}": sql.SQL("select {} from {} limit 1").format(sql.Identifier(column), name)
                for column in columns
            }
            for words, statement in statements.items():
                tried += 1
                if (attempt(connection, statement) is not None) != expected:
                    wrong.append((login, words, schema, table))
            forbidden = {
                "insert": sql.SQL("insert into {} default values").format(name),
                "update": sql.SQL("update {} set {} = null").format(name, sql.Identifier(columns[-1])),
                "delete": sql.SQL("delete from {}").format(name),
                "truncate": sql.SQL("truncate {}").format(name),
            }
            for words, statement in forbidden.items():
                tried += 1
                try:
                    refused = attempt(connection, statement) is None
                except psycopg2.Error:  # a view that nobody may change
                    refused = kind == "v"
                if not refused:
                    wrong.append((login, words, schema, table))
            for column, values in only.items():
                seen = attempt(connection, sql.SQL("select distinct {} from {}").format(sql.Identifier(column), name))
                assert {row[0] for row in seen} <= set(values), (login, schema, table)
                everything = warehouse.sql(
                    sql.SQL("select count(*) from {} where {} = any(%s)").format(name, sql.Identifier(column)),
                    (values,),
                )
                assert attempt(connection, sql.SQL("select count(*) from {}").format(name)) == everything
    assert wrong == []
    assert tried > 1000 * len(LOGINS)


def test_readers_cannot_create_publish_or_change_anything(warehouse: Warehouse, logins: dict) -> None:
    schemas = [row[0] for row in warehouse.sql("select nspname from pg_namespace where nspname !~ '^pg_'")]
    statements = [
        *(sql.SQL("create table {} ()").format(sql.Identifier(schema, "x")) for schema in schemas),
        "create schema x",
        "create temporary table x ()",
        "create role x",
        "set role svc_dbt",
        "set role wh_owner",
        "select governance.publish('highways', null, '{}')",
        "select governance.roll_back('highways')",
        "select governance.apply_access('highways', 'highways')",
        "alter table highways.fct_enquiries disable row level security",
        "copy (select 1) to program 'true'",
        "select pg_read_file('postgresql.conf')",
    ]
    reidentify = "select * from governance.request_reidentification('k1_x', 'a reason in words', 'IG-1')"
    for login, connection in logins.items():
        for statement in statements:
            assert attempt(connection, statement) is None, (login, statement)
        assert (attempt(connection, reidentify) is not None) == (login in CASEWORKERS), login


def test_rights_changed_by_hand_are_found_and_corrected(county: Warehouse) -> None:
    assert "matches access.yml" in county("access", "check")
    county.sql("create role visitor login password 'x' in role read_finance")
    county.sql("grant select on highways.fct_defects to public; grant usage on schema raw_confirm to pbi_finance")
    county.sql("grant insert on finance.dim_suppliers to pbi_finance; grant temporary on database warehouse to public")
    county.sql(f"drop policy {REDDITCH} on highways.fct_enquiries")
    county.sql("alter table highways.fct_defects disable row level security")
    found = county("access", "check", expect=1)
    for words in (
        "visitor can log in to this database and is not in access.yml",
        "visitor has SELECT on finance.dim_suppliers",
        "pbi_finance has INSERT on finance.dim_suppliers",
        "pbi_finance has TEMPORARY on this database",
        "pbi_finance has USAGE on schema raw_confirm",
        f"row policy of {REDDITCH} on highways.fct_enquiries is missing",
        f"row policy of {REDDITCH} on highways.fct_defects",
    ):
        assert words in found
    county("access", "apply")
    assert "matches access.yml" in county("access", "check")


def test_removing_a_line_revokes_its_rights(county: Warehouse, tmp_path: Path) -> None:
    copy = tmp_path / "warehouse"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "tests", "benchmarks"))
    file, edited = copy / "access.yml", Warehouse(county.home, copy)
    file.write_text(re.sub(rf"    - readers: \[{REDDITCH}\]\n(?:      .*\n)+", "", file.read_text()), encoding="utf-8")
    assert REDDITCH not in file.read_text()
    url, query = county.reader_url(REDDITCH), "select count(*) from highways.fct_enquiries"
    with closing(psycopg2.connect(url)) as connected:
        assert attempt(connected, query)[0][0] > 0
        edited("access", "apply")
        assert attempt(connected, query) is None, "an open session loses the right too"
        with pytest.raises(psycopg2.OperationalError, match="not permitted to log in"):
            psycopg2.connect(url)
        county("access", "apply")
        assert attempt(connected, query)[0][0] > 0


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("  owner: Head of Finance\n", "", "access.yml:{finance}: finance.owner: Field required"),
        ("[pbi_finance]", "[svc_dbt]", "svc_dbt begins with a reserved prefix"),
        ("[pbi_finance]", "['x; drop role y']", "access.yml:{readers}: finance.readers: String should match"),
        ("column: district_code", "colum: district_code", "colum: Extra inputs are not permitted"),
        ("highways:", "roads:", "add owner, purpose and readers of the publish set highways"),
    ],
)
def test_a_mistake_in_access_yml_is_reported_with_its_line(tmp_path: Path, old: str, new: str, words: str) -> None:
    text = "".join(line for line in FILE.read_text(encoding="utf-8").splitlines(True) if line[0] != "#")
    file = tmp_path / "access.yml"
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    finance = text.splitlines().index("finance:") + 1
    with pytest.raises(ContractError, match=re.escape(words.format(finance=finance, readers=finance + 4))):
        read_access(SETS, file)
