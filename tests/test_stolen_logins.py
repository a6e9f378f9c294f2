"""A stolen login: each service and reader tries to gain rights that it does not have."""

import json
from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest
from psycopg2 import sql

from commands.common import administrator
from tests.people import BASIS, PEOPLE
from tests.readers import ACCESS, CASEWORKERS, LOGINS, REDDITCH
from tests.support import Trial, trial_system
from warehouse import environment
from warehouse.subjects import SubjectRequests

SERVICES = ("svc_loader", "svc_dbt", "svc_match", "svc_dagster")
READERS = ("pbi_finance", REDDITCH, *CASEWORKERS)
RIGHTS = """
    select 'role', r.rolname, to_jsonb(r)::text from pg_roles as r
    union all
    select 'member', m.roleid::regrole::text, m.member::regrole::text from pg_auth_members as m
    union all
    select 'function', p.oid::regprocedure::text, p.proowner::regrole::text || p.proacl::text
    from pg_proc as p where p.pronamespace <> 'pg_catalog'::regnamespace
    union all
    select 'trigger', t.tgrelid::regclass::text, t.tgname from pg_trigger as t where not t.tgisinternal
    union all
    select 'rule', r.ev_class::regclass::text, r.rulename from pg_rewrite as r
    union all
    select 'table', c.oid::regclass::text, concat(c.relowner::regrole, c.relacl)
    from pg_class as c where c.relnamespace <> 'pg_toast'::regnamespace
    union all
    select 'schema', n.nspname, concat(n.nspowner::regrole, n.nspacl) from pg_namespace as n where nspname !~ '^pg_'
    union all
    select 'database', d.datname, concat(d.datdba::regrole, d.datacl) from pg_database as d
"""
ROLES = """
    create role stolen superuser
    create role stolen login createrole in role read_children
    alter role {me} superuser
    alter role {me} createrole
    alter role {me} bypassrls
    alter role {me} replication
    alter role {me} connection limit -1
    alter role {me} set log_statement = 'none'
    alter role wh_owner password 'stolen'
    grant read_children to {me}
    grant wh_owner to {me}
    grant pg_execute_server_program to {me}
    set session authorization postgres
    set session authorization wh_owner
    set session_replication_role = replica
    select rolpassword from pg_authid
    alter system set log_statement = 'none'
    alter database {database} owner to {me}
    grant all on database {database} to {me}
    alter database {database} set search_path = staging
    create database stolen
"""
SERVER = """
    copy (select 1) to program 'true'
    copy (select 1) to '/tmp/stolen'
    select pg_read_file('postgresql.conf')
    select pg_read_binary_file('pg_hba.conf')
    select pg_ls_dir('.')
    select lo_import('/etc/passwd')
    select lo_from_bytea(0, 'x')
    select lo_creat(-1)
    create extension dblink
    create extension file_fdw
    create language plperlu
    create tablespace stolen location '/tmp'
    create foreign data wrapper stolen
    create event trigger stolen on ddl_command_end execute function governance.publish()
    create publication stolen for all tables
    create subscription stolen connection 'dbname=x' publication stolen with (connect = false)
    create cast (text as integer) without function
    create function pg_catalog.stolen() returns integer language sql as 'select 1'
    alter function pg_catalog.lower(text) owner to {me}
    select pg_terminate_backend(pid) from pg_stat_activity where usename = 'postgres'
    select pg_reload_conf()
    select pg_rotate_logfile()
"""
WAREHOUSE = """
    select salt from vault.data_keys
    insert into governance.reidentifiers values ('{me}', 1000)
    update governance.reidentifiers set per_day = 1000
    update governance.readers set scope = null
    update governance.row_scopes set row_values = '{{}}'
    delete from governance.publications
    delete from governance.reidentifications
    delete from governance.load_audit
    delete from governance.legal_holds
    delete from governance.migrations
    select governance.swap('finance', 1, 'publish', '{{}}', '{{}}')
    select governance.set_aside('finance')
    select governance.apply_access(1)
    select governance.make_scopes(1)
    select governance.drop_scopes(1)
    select governance.rename_build(1, '__stolen')
    select governance.grant_schema_usage('finance')
    select governance.forget_old_builds('finance')
    alter function governance.publish(text, jsonb, text[]) owner to {me}
    alter function governance.publish(text, jsonb, text[]) set search_path = staging, pg_catalog
    alter table vault.identities owner to {me}
    grant select on vault.identities to {me}
    alter schema governance owner to {me}
    drop schema raw_trial_store cascade
    alter schema raw_trial rename to raw_stolen
    alter default privileges for role wh_owner grant all on tables to {me}
    alter table raw_trial_store.people disable trigger all
    alter table raw_trial_store.people add column spy text default current_user
    create rule spy as on update to raw_trial_store.people do also notify spied
    create policy spy on raw_trial_store.people using (true)
    create index spy on raw_trial_store.people (person_no)
    alter view raw_trial.people owner to {me}
    alter view raw_trial.people alter column need set default 'spy'
    create or replace view raw_trial.people as select 1 as spy
    create trigger spy before delete on raw_trial_store.people execute function pg_temp.spy()
    create trigger spy before insert on vault.identities execute function pg_temp.spy()
    create trigger spy before insert on quarantine.rows execute function pg_temp.spy()
    create trigger spy before insert on matching.person_records execute function pg_temp.spy()
"""
IN_EACH_SCHEMA = """
    create table {schema}.spy ()
    create view {schema}.spy as select 1 as spy
    create function {schema}.spy() returns trigger language plpgsql as 'begin return old; end'
    create type {schema}.spy as (spy text)
    create domain {schema}.spy as text check (value <> '')
    create operator {schema}.= (leftarg = text, rightarg = text, function = pg_catalog.texteq)
"""
LOADER_FUNCTIONS = [  # with values that would end a name or a type and begin another command
    ("create_landing_tables", "governance", '{"spy": {"a": "text"}}'),
    ("create_landing_tables", "raw_trial_store", '{"spy": {"a": "text"}}'),
    ("create_landing_tables", "raw_trial", '{"spy": {"a": "text default pg_temp.spied()"}}'),
    ("create_landing_tables", "raw_trial", '{"spy": {"a": "text); create role stolen superuser; --"}}'),
    ("create_landing_tables", "raw_trial", '{"spy": {"a": "text check (pg_temp.spied() <> a)"}}'),
    ("create_landing_tables", "raw_trial", '{"spy": {"a": "pg_temp.spying"}}'),
    ("create_landing_tables", "raw_trial", '{"spy": {"a": "spying"}}'),
    ("create_landing_tables", "raw_trial", '{"spy": {"a": "regproc generated always as identity"}}'),
    ("create_landing_tables", 'raw_trial"; create role stolen; --', '{"spy": {"a": "text"}}'),
    ("index_raw_table", "raw_trial", ".identities", "people", ["person_no"]),
    ("index_raw_table", "raw_trial", "_store", "people", ["pg_temp.spied(person_no)"]),
    ("index_raw_table", "raw_trial", "_store", "people (person_no); create role stolen; --", ["person_no"]),
    ("create_raw_view", "raw_trial", "people", ["pg_temp.spied()"]),
    ("create_raw_view", "raw_trial", "people", ['need" from vault.identities; --']),
    ("create_raw_view", "vault", "identities", ["encrypted"]),
    ("replace_raw_table", "raw_trial", "people", ["need"]),  # no landing table
    ("alter_raw_table", "raw_trial", "people", "need", "text using pg_temp.spied()"),
    ("alter_raw_table", "raw_trial", "people", "spy", "text default pg_temp.spied()"),
    ("alter_raw_table", "vault", "identities", "spy", "text"),
    ("drop_landing_tables", "vault"),
]


@pytest.fixture
def victim(trial: Trial) -> Iterator[Trial]:
    """An empty warehouse with one loaded table about people."""
    trial.source("create table people (person_no text, nhs_no text, surname text, born date, need text)")
    trial.source("insert into people values ('1', '9434765919', 'Wrenfield', '1971-03-14', 'a')")
    trial.load(PEOPLE, **BASIS)
    before = sorted(trial.sql(RIGHTS))
    yield trial
    assert sorted(trial.sql(RIGHTS)) == before, "no right, function, trigger or owner has changed"


def stolen(trial: Trial, login: str) -> psycopg2.extensions.connection:
    """Connect with the password of the login; svc_dagster connects to its own database."""
    database = "warehouse_dagster" if login == "svc_dagster" else trial.url.rsplit("/", 1)[1]
    passwords = json.loads((trial.home / "passwords.json").read_text())
    return psycopg2.connect(trial.url, user=login, password=passwords[login], dbname=database)


def succeeded(connection: psycopg2.extensions.connection, statement: sql.Composed | str, values: tuple = ()) -> bool:
    """Whether the statement does something; its changes are rolled back."""
    del connection.notices[:]
    with connection.cursor() as cursor:
        cursor.execute("set statement_timeout = '5s'; savepoint spy")
        try:  # a login that may create temporary objects owns these functions
            cursor.execute("create function pg_temp.spy() returns trigger language plpgsql as 'begin return old; end'")
            cursor.execute("create function pg_temp.spied() returns text language sql as 'select current_user::text'")
            cursor.execute("create domain pg_temp.spying as text check (value <> pg_temp.spied())")
        except psycopg2.errors.InsufficientPrivilege:
            cursor.execute("rollback to spy")
        try:
            cursor.execute(statement, values or None)
            refused = cursor.rowcount == 0 or any(
                "no privileges were granted" in notice for notice in connection.notices
            )
            return not refused
        except psycopg2.Error:
            return False
        finally:
            connection.rollback()


@pytest.mark.parametrize("login", [*SERVICES, *READERS])
def test_a_stolen_login_gains_no_rights(victim: Trial, login: str) -> None:
    schemas = "select nspname from pg_namespace where nspname !~ '^pg_(toast|temp)' and nspname !~ %s"
    own_schemas = {
        "svc_dbt": f"^(seeds|staging|conformed|({'|'.join(environment.publish_sets())})(__.*)?)$",
        "svc_dagster": "^public$",
    }
    own = {"wh_readers"} if login in LOGINS else set()
    own |= {f"read_{name}" for name, access in ACCESS.items() if login in access.readers}
    own |= {"read_highways_redditch"} if login == REDDITCH else set()
    own |= {"wh_sizes"} if login in ("svc_loader", "svc_dbt", "svc_match", "pbi_finance") else set()
    others = victim.sql("select rolname from pg_roles where rolname !~ '^pg_' and rolname <> %s", (login,))
    with closing(stolen(victim, login)) as connection:
        names = {"me": login, "database": victim.url.rsplit("/", 1)[1]}
        attempts = [line.strip().format(**names) for line in (ROLES + SERVER + WAREHOUSE).strip().splitlines()]
        attempts += [f'set role "{name}"' for (name,) in others if name not in own]
        for (schema,) in victim.sql(schemas, (own_schemas.get(login, "^$"),)):
            attempts += [line.strip().format(schema=schema) for line in IN_EACH_SCHEMA.strip().splitlines()]
        assert len(attempts) > 300
        found = {attempt for attempt in attempts if succeeded(connection, attempt)}
    assert found == ({"select salt from vault.data_keys"} if login == "svc_match" else set())


@pytest.mark.parametrize("call", LOADER_FUNCTIONS, ids=lambda call: f"{call[0]} {call[1:]}"[:70])
def test_the_functions_of_the_loader_run_no_code_of_the_caller(victim: Trial, call: tuple) -> None:
    name, *values = call
    statement = f"select governance.{name}({', '.join(['%s'] * len(values))})"
    with closing(stolen(victim, "svc_loader")) as connection:
        assert not succeeded(connection, statement, tuple(values))


@pytest.mark.parametrize("login", [name for name in [*SERVICES, *READERS] if name != "svc_loader"])
def test_only_the_loader_changes_raw_tables(victim: Trial, login: str) -> None:
    with closing(stolen(victim, login)) as connection:
        for name, *values in LOADER_FUNCTIONS:
            statement = f"select governance.{name}({', '.join(['%s'] * len(values))})"
            with pytest.raises((psycopg2.errors.InsufficientPrivilege, psycopg2.errors.InvalidSchemaName)):
                connection.cursor().execute(statement, values)
            connection.rollback()


def test_commands_of_administrators_run_no_code_of_dbt(victim: Trial) -> None:
    """A row policy is the trap: it runs for everybody but superusers and those who bypass row-level security."""
    with closing(stolen(victim, "svc_dbt")) as connection, connection.cursor() as cursor:
        cursor.execute(
            "create function conformed.spy() returns boolean language plpgsql as $$ begin "
            "begin execute 'reset role'; execute 'alter role svc_dbt createrole'; exception when others then end; "
            "return true; end $$"
        )
        cursor.execute("create table conformed.trap as select nhs_no from raw_trial.people")
        cursor.execute("alter table conformed.trap enable row level security, force row level security")
        cursor.execute("create policy spy on conformed.trap using (conformed.spy())")
        connection.commit()
        try:
            with administrator() as admin:
                requests = SubjectRequests(admin, [trial_system(PEOPLE, **BASIS)])
                held = requests.export(requests.find({"nhs_number": "9434765919"}))
            assert len(held["conformed.trap"]) == 1
        finally:
            cursor.execute("drop table conformed.trap; drop function conformed.spy()")
            connection.commit()


def test_a_caseworker_re_identifies_nobody_without_a_record(victim: Trial) -> None:
    ((token,),) = victim.sql("select min(nhs_no) from raw_trial.people")
    ask = "select request_id from governance.request_reidentification(%s, 'a reason in words', 'IG-1')"
    answer = "select system, encrypted from governance.reidentify(%s)"
    recorded = "select requested_by, token from governance.reidentifications"
    login = CASEWORKERS[0]
    with closing(stolen(victim, login)) as connection, connection.cursor() as cursor:

        def asked() -> int:
            cursor.execute(ask, [token])
            return cursor.fetchall()[0][0]

        def answered(request: int) -> bool:
            cursor.execute(answer, [request])
            return any(encrypted is not None for _, encrypted in cursor.fetchall())

        assert not answered(asked()), "in the transaction of the request"
        cursor.execute("savepoint s")
        request = asked()
        cursor.execute("release savepoint s")
        assert not answered(request), "after a subtransaction"
        connection.rollback()
        assert not answered(request), "the request was rolled back"
        assert victim.sql(recorded) == [], "nothing was learned, so nothing is recorded"
        request = asked()
        connection.commit()
        assert answered(request)
        connection.rollback()
        assert victim.sql(recorded) == [(login, token)], "the record outlives the rollback of the answer"
        assert not answered(request + 1), "of another request"
        victim.sql("update governance.reidentifications set requested_at = now() - interval '16 minutes'")
        assert not answered(request), "too late"
        connection.rollback()
        victim.sql("update governance.reidentifications set requested_at = now(), requested_by = 'other'")
        assert not answered(request), "of another login"
        connection.rollback()
        victim.sql("delete from governance.reidentifications; update governance.reidentifiers set per_day = 2")
        found = []
        for _ in range(5):
            found.append(asked())
            connection.commit()
        assert [request for request in found if answered(request)] == found[:2], "the daily limit counts requests"
        connection.rollback()


def test_services_log_in_to_their_own_database_only(victim: Trial) -> None:
    passwords = json.loads((victim.home / "passwords.json").read_text())
    for login in [*SERVICES, *READERS]:
        own = "warehouse_dagster" if login == "svc_dagster" else "warehouse"
        for database in {"postgres", "template1", "warehouse", "warehouse_dagster"} - {own}:
            with pytest.raises(psycopg2.OperationalError, match="permission denied for database"):
                psycopg2.connect(victim.url, user=login, password=passwords[login], dbname=database)
