"""Read rights, tried as each login on every table and column."""

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import psycopg2
import pytest
from psycopg2 import sql

from demo import postgres
from ingestion.contract_yaml import ContractError
from tests.readers import CASEWORKERS, LOGINS, REDDITCH, SCOPES, SETS, may_read
from tests.support import ROOT, TRIALS, Trial, TrialServer, Warehouse
from warehouse import environment
from warehouse.access import FILE, read_access, read_limits


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


ATTEMPTS = """
do $$
declare
    statement text;
    outcomes text[] := '{}';
begin
    foreach statement in array current_setting('tried.statements')::text[] loop
        begin
            execute statement;
            outcomes := outcomes || 'allowed'::text;
        exception
            when insufficient_privilege then outcomes := outcomes || 'refused'::text;
            when others then outcomes := outcomes || 'failed'::text;
        end;
    end loop;
    perform set_config('tried.outcomes', outcomes::text, false);
end $$
"""


def attempts(connection: psycopg2.extensions.connection, statements: list[str]) -> dict[str, str]:
    """Run each statement in its own subtransaction, and return {statement: allowed, refused or failed}.

    The server runs them in one round trip. The changes are rolled back.
    """
    with connection.cursor() as cursor:
        cursor.execute("select set_config('tried.statements', (%s)::text, false)", (statements,))
        cursor.execute(ATTEMPTS)
        cursor.execute("select current_setting('tried.outcomes')::text[]")
        ((outcomes,),) = cursor.fetchall()
    connection.rollback()
    return dict(zip(statements, outcomes, strict=True))


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
        expected = {}
        for schema, table, kind, columns in relations:
            name, last = sql.Identifier(schema, table), sql.Identifier(columns[-1])
            reads = [sql.SQL("select {} from {} limit 1").format(sql.Identifier(column), name) for column in columns]
            writes = ["insert into {} default values", "update {} set {} = null", "delete from {}", "truncate {}"]
            may = {"allowed"} if may_read(login, schema, table, columns) else {"refused"}
            expected |= {statement.as_string(connection): may for statement in reads}
            may_not = {"refused", "failed"} if kind == "v" else {"refused"}  # some views cannot be changed
            expected |= {sql.SQL(write).format(name, last).as_string(connection): may_not for write in writes}
        found = attempts(connection, list(expected))
        tried += len(found)
        wrong += [(login, words, outcome) for words, outcome in found.items() if outcome not in expected[words]]
    assert wrong == []
    assert tried > 1000 * len(LOGINS)


def test_a_row_scope_has_every_row_of_its_values_and_no_other(warehouse: Warehouse) -> None:
    compared = 0
    tables = "select relname from pg_class where relnamespace = %s::regnamespace and relkind = 'r'"
    for scope in SCOPES:
        schema = f"{scope['publish_set']}_{scope['scope']}"
        found = {table for (table,) in warehouse.sql(tables, (schema,))}
        assert found >= set(scope["whole_tables"])
        for table in found:
            column = sql.Identifier(scope["row_column"])
            condition = sql.SQL("true") if table in scope["whole_tables"] else sql.SQL("{} = any(%s)").format(column)
            count = sql.SQL("select count(*), sum(hashtextextended(t::text, 0)) from {} as t where {}")
            names = (sql.Identifier(schema, table), sql.Identifier(scope["publish_set"], table))
            (seen,) = warehouse.sql(count.format(names[0], sql.SQL("true")))
            assert [seen] == warehouse.sql(count.format(names[1], condition), (scope["row_values"],)), (schema, table)
            compared += seen[0]
    assert compared > 1000


def test_hashing_every_number_finds_no_key(warehouse: Warehouse, logins: dict) -> None:
    found = (
        "select count(*) from adult_care.fct_request_outcomes as o inner join staging.stg_mosaic__requests as r "
        "on o.request_key = ('x' || left(md5(row({}r.request_id::text)::text), 16))::bit(64)::bigint"
    )
    assert warehouse.sql(found.format("")) == [(0,)]
    ((matched,),) = warehouse.sql(found.format("governance.key_secret(), "))
    assert matched > 0, "with the secret"
    for connection in logins.values():
        assert attempt(connection, "select governance.key_secret()") is None
        assert attempt(connection, "select secret from governance.key_secret") is None


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
        "select governance.apply_access(1)",
        "select governance.make_scopes(1)",
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
    county.sql(
        "insert into highways_redditch.fct_enquiries select * from highways.fct_enquiries on conflict do nothing"
    )
    county.sql("drop table highways_redditch.fct_defects cascade; create table highways_redditch.fct_x ()")
    county.sql(f"grant select on highways.fct_defects to {REDDITCH}; grant usage on schema highways to {REDDITCH}")
    county.sql(f"grant read_highways_wyre_valleys to {REDDITCH}")
    county.sql("grant select on pg_class to public; grant execute on function pg_table_size to public")
    found = county("access", "check", expect=1)
    for words in (
        "visitor can log in to this database and is not in access.yml",
        "visitor has SELECT on finance.dim_suppliers",
        "pbi_finance has INSERT on finance.dim_suppliers",
        "pbi_finance has TEMPORARY on this database",
        "pbi_finance has USAGE on schema raw_confirm",
        "highways_redditch.fct_enquiries has ",
        "highways_redditch.fct_defects is missing",
        "highways_redditch.fct_x is in no row scope",
        f"{REDDITCH} has USAGE on schema highways\n",
        f"{REDDITCH} has SELECT on highways.fct_defects",
        f"{REDDITCH} has SELECT on highways_wyre_valleys.fct_defects",
        "PUBLIC has SELECT on pg_class",
        "PUBLIC has EXECUTE on pg_table_size(regclass)",
    ):
        assert words in found
    county("access", "apply")
    assert "matches access.yml" in county("access", "check")


def test_removing_a_line_revokes_its_rights(county: Warehouse, tmp_path: Path) -> None:
    copy = tmp_path / "warehouse"
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "tests", "benchmarks"))
    file, edited = copy / "access.yml", Warehouse(county.home, copy)
    file.write_text(re.sub(r"    - name: redditch\n(?:      .*\n)+", "", file.read_text()), encoding="utf-8")
    assert REDDITCH not in file.read_text()
    url, query = county.reader_url(REDDITCH), "select count(*) from highways_redditch.fct_enquiries"
    with closing(psycopg2.connect(url)) as connected:
        assert attempt(connected, query)[0][0] > 0
        edited("access", "apply")
        with pytest.raises(psycopg2.errors.UndefinedTable):  # in an open session too
            attempt(connected, query)
        with pytest.raises(psycopg2.OperationalError, match="not permitted to log in"):
            psycopg2.connect(url)
        county("access", "apply")
        assert attempt(connected, query)[0][0] > 0


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("  owner: Head of Finance\n", "", "access.yml:{finance}: finance.owner: Field required"),
        ("[pbi_finance]", "[svc_dbt]", "svc_dbt begins with a reserved prefix"),
        ("name: wyre_valleys", "name: redditch", "two row scopes have the name redditch"),
        ("name: wyre_valleys", "name: history", "schema of a publish set or its history: highways_history"),
        ("name: wyre_valleys", "name: wyre__valleys", "row_scopes.wyre__valleys.name: String should match"),
        ("[pbi_finance]", "['x; drop role y']", "access.yml:{readers}: finance.readers: String should match"),
        ("column: district_code", "colum: district_code", "colum: Extra inputs are not permitted"),
        ("30min", "half an hour", "limits.readers.statement_timeout: String should match"),
        ("  logins: {}", "  logins: {pbi_finance: {conections: 3}}", "conections: Extra inputs are not permitted"),
        ("highways:", "roads:", "add owner, purpose and readers of the publish set highways"),
    ],
)
def test_a_mistake_in_access_yml_is_reported_with_its_line(tmp_path: Path, old: str, new: str, words: str) -> None:
    text = "".join(line for line in FILE.read_text(encoding="utf-8").splitlines(True) if line[0] != "#")
    file = tmp_path / "access.yml"
    file.write_text(text.replace(old, new, 1), encoding="utf-8")
    finance = text.splitlines().index("finance:") + 1
    read = read_limits if "limits" in words or "conections" in words else lambda file: read_access(SETS, file)
    with pytest.raises(ContractError, match=re.escape(words.format(finance=finance, readers=finance + 4))):
        read(file)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("alter role pbi_finance bypassrls", "pbi_finance has BYPASSRLS"),
        ("alter role svc_match createrole", "svc_match has CREATEROLE"),
        ("alter role svc_dbt replication", "svc_dbt has REPLICATION"),
        ("alter role wh_owner login", "wh_owner has LOGIN"),
        ("create role x superuser login", "x has SUPERUSER"),
        ("create role x login createrole in role read_children", "x has CREATEROLE"),
        ("create role x login createrole in role read_children", "x is a member of read_children"),
        ("grant pg_read_all_data to pbi_finance", "pbi_finance is a member of pg_read_all_data"),
        ("grant svc_match to svc_loader", "svc_loader is a member of svc_match"),
        ("grant read_children to pbi_finance", "pbi_finance is a member of read_children"),
        ("grant connect on database template1 to pbi_finance", "pbi_finance has CONNECT on database template1"),
        ("grant connect on database postgres to public", "PUBLIC has CONNECT on database postgres"),
        ("grant select on vault.identities to svc_dbt", "svc_dbt has SELECT on vault.identities"),
        ("grant select (encrypted) on vault.identities to svc_dbt", "svc_dbt has SELECT on vault.identities.encrypted"),
        ("grant update on governance.publications to svc_dbt", "svc_dbt has UPDATE on governance.publications"),
        (
            "grant execute on function governance.set_aside to svc_dbt",
            "svc_dbt has EXECUTE on governance.set_aside(text)",
        ),
        ("grant create on schema raw_confirm to svc_loader", "svc_loader has CREATE on schema raw_confirm"),
        ("revoke select on vault.identities from svc_match", "svc_match lacks SELECT on vault.identities"),
        ("alter role pbi_finance connection limit -1", "pbi_finance may use -1 connections, expected 20"),
        ("alter role pbi_finance set log_statement = 'none'", "setting log_statement is not all for pbi_finance"),
        ("alter role pbi_finance reset temp_file_limit", "setting temp_file_limit is not 5GB for pbi_finance"),
        ("alter role svc_dbt set search_path = staging", "svc_dbt has the setting search_path = staging"),
        (
            "set local role svc_dbt; create function staging.f() returns int language sql as 'select 1'; reset role",
            "svc_dbt owns function staging.f()",
        ),
        ("create table staging.t (); alter table staging.t owner to svc_match", "svc_match owns staging.t"),
        (
            "create trigger t before delete on vault.identities execute function suppress_redundant_updates_trigger()",
            "trigger t runs a function on vault.identities",
        ),
    ],
)
def test_a_changed_role_or_right_of_a_service_is_found(trial: Trial, change: str, words: str) -> None:
    with closing(psycopg2.connect(trial.url)) as connection, connection.cursor() as cursor:
        before = {row[0] for row in _differences(cursor)}
        assert not before
        cursor.execute(change)
        assert words in {row[0] for row in _differences(cursor)} - before
        connection.rollback()


def _differences(cursor: psycopg2.extensions.cursor) -> list[tuple]:
    cursor.execute("select difference from governance.access_differences()")
    return cursor.fetchall()


def test_a_right_granted_by_hand_to_a_service_is_revoked_by_the_next_setup(trial: Trial) -> None:
    trial.sql("grant select on vault.identities to svc_dbt; grant execute on function governance.set_aside to svc_dbt")
    environment.prepare(systems=TRIALS)
    found = trial.sql("select difference from governance.access_differences() where difference ~ '^svc_dbt'")
    assert found == []


def test_limits_of_access_yml_apply_to_each_login(trial: Trial) -> None:
    limit = read_limits().readers
    with closing(psycopg2.connect(environment.reader_url("pbi_finance"))) as connection, connection.cursor() as cursor:
        for name, value in limit.model_dump(exclude={"connections"}).items():
            cursor.execute(f"show {name}")
            assert cursor.fetchall() == [(value,)]
        for refused in ("set temp_file_limit = -1", "alter role pbi_finance connection limit -1"):
            assert attempt(connection, refused) is None


def test_readers_leave_connections_to_services(trial: Trial) -> None:
    with ExitStack() as connections:

        def fill(login: str) -> str:
            """Open connections until the server refuses one; return the reason."""
            try:
                while True:
                    connections.enter_context(closing(psycopg2.connect(environment.reader_url(login))))
            except psycopg2.OperationalError as refusal:
                return str(refusal)

        reasons = [fill(login) for login in LOGINS[:5]]
        assert "too many connections for role" in reasons[0]
        assert "remaining connection slots are reserved" in reasons[-1]
        for service in ("LOADER_URL", "VAULT_URL"):
            connections.enter_context(closing(psycopg2.connect(os.environ[service])))


def test_no_password_is_in_the_servers_log(trial: Trial, trial_server: TrialServer) -> None:
    trial.sql("alter role postgres set log_statement = 'all'")
    try:
        environment.prepare(systems=TRIALS)
    finally:
        trial.sql("alter role postgres reset log_statement")
    log = b"".join(file.read_bytes() for file in postgres.log_folder(trial_server.folder).iterdir())
    assert log.count(b"SCRAM-SHA-256$") > len(LOGINS)
    passwords = json.loads((trial.home / "passwords.json").read_text())
    assert [login for login, password in passwords.items() if password.encode() in log] == []
