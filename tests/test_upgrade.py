"""Migrations: a database of release 0.1 with data keeps every row and works, and each migration applies once."""

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2
import pytest

from ingestion.privacy import Keys
from tests.builds import Builds
from tests.people import BASIS, PEOPLE, VISITS
from tests.support import TRIALS, Trial, TrialServer, rows, trial_system
from warehouse import database, environment, matching, vault
from warehouse.database import MIGRATIONS, update_database
from warehouse.errors import VaultError, WarehouseError
from warehouse.subjects import SubjectRequests

RELEASE_0_1 = Path(__file__).with_name("release_0_1.sql")
KEY = bytes(range(32))  # of the fixture
CLIENTS = PEOPLE | {"person": ["surname"], "columns": PEOPLE["columns"] | {"person_no": "bigint"}}
SYSTEMS = [trial_system(CLIENTS, **BASIS), trial_system(VISITS, name="raw_twin", **BASIS)]
RENAMED = {
    "governance.landings": "governance.load_audit",
    "governance.acceptances": "governance.overrides",
    "governance.files": "governance.loaded_files",
    "governance.keys": "governance.vault_keys",
    "highways__next.fct_one": "highways__b1.fct_one",
}
SETTINGS = {
    f"governance.{name}"
    for name in (
        *("publish_sets", "readers", "row_scopes", "reidentifiers", "accepted_proposals", "login_limits"),
        *(
            "administrators",
            "service_rights",
            "builds",
            "build_tables",
            "load_locks",
            "raw_tables_lock",
            "matching_lock",
        ),
    )
}
SOURCE = """
    create table people (person_no text, nhs_no text, surname text, born date, need text);
    insert into people values ('1', '9434765919', 'Wrenfield', '1971-03-14', 'a'),
        ('2', '9434765870', 'Teasel', '1948-11-02', 'b'), ('3', null, 'Sorrelby', '2012-05-05', 'c'),
        ('4', null, 'Medlar', '1955-08-08', 'd'), ('5', '9000000017', 'Plover', '1990-01-01', 'new');
    create table visits (visit_no bigint, nhs text, visited_at timestamptz, note text);
    insert into visits values (1, '9434765919', '2026-01-05 10:00+00', 'first'),
        (2, '9434765870', '2026-02-05 10:00+00', 'second'), (3, '9434765919', '2010-01-01 00:00+00', 'old'),
        (4, '9434765919', '2026-03-05 10:00+00', 'after the upgrade')
"""
TABLES = """
    select table_schema || '.' || table_name from information_schema.tables
    where table_type = 'BASE TABLE' and table_schema ~ '^(governance|vault|matching|quarantine|raw_|highways)'
"""


@contextmanager
def requests(trial: Trial) -> Iterator[SubjectRequests]:
    """Handle data subject requests with the login of the administrator."""
    with closing(psycopg2.connect(trial.url)) as connection:
        yield SubjectRequests(connection, SYSTEMS)


@pytest.fixture
def old(trial_server: TrialServer) -> Iterator[Trial]:
    """The database of release 0.1 before the upgrade."""
    with trial_server.trial() as trial, trial.entered():
        trial.sql(
            "do $$ declare name text; begin for name in select nspname from pg_namespace "
            "where nspname !~ '^(pg_|information_schema|public)' loop execute format('drop schema %I cascade', name); "
            "end loop; end $$"
        )
        trial.sql(RELEASE_0_1.read_text(encoding="utf-8"))
        Keys.file().unlink()
        Keys.write({1: Keys(1, KEY)})
        yield trial


@pytest.fixture
def upgraded(old: Trial) -> Trial:
    """The same database after the upgrade."""
    environment.prepare(systems=TRIALS)
    return old


def counts(trial: Trial) -> dict[str, int]:
    """Return {table: number of rows}."""
    return {name: trial.sql(f"select count(*) from {name}")[0][0] for (name,) in trial.sql(TABLES)}


def test_an_upgrade_keeps_every_row_under_its_new_name(old: Trial) -> None:
    before = counts(old)
    assert {name for name, rows in before.items() if not rows} == {"matching.pairs"}
    environment.prepare(systems=TRIALS)
    after = counts(old)
    assert after.pop("governance.migrations") == len(list(MIGRATIONS.glob("*.sql")))
    new = ("alerts", "deliveries", "heartbeats", "load_failures", "key_secret")
    assert [after.pop(f"governance.{name}") for name in new] == [0, 0, 0, 0, 1], "new"
    kept = {RENAMED.get(name, name): rows for name, rows in before.items() if name not in SETTINGS}
    assert {name: rows for name, rows in after.items() if name not in SETTINGS} == kept
    assert old.sql("select system, table_name, rows_written, rows_total from governance.load_audit order by 1") == [
        ("raw_trial", "people", 4, 4),
        ("raw_twin", "visits", 3, 3),
    ]
    assert old.sql("select distinct matched_by from matching.person_records") == [("unmatched",)]
    assert old.sql("select reason, granted_by, used_by_load from governance.overrides") == [
        ("closed service", "officer", None)
    ]
    assert old.sql("select action from governance.publications order by publication_id") == [
        ("publish",), ("publish",), ("roll_back",), ("roll_back",), ("refuse",),
    ]  # fmt: skip
    assert old.sql("select * from governance.access_differences()") == []


def test_loads_overrides_and_retries_continue_after_an_upgrade(upgraded: Trial) -> None:
    upgraded.source(SOURCE)
    (result,) = upgraded.load(VISITS, name="raw_twin", **BASIS)
    assert (result.rows, result.total) == (1, 4), "only the row after the high watermark of release 0.1 is new"
    texts = PEOPLE["columns"]  # the corrected contract: a person number may have letters
    (result,) = upgraded.load(CLIENTS | {"columns": texts}, redrive=True, **BASIS)
    assert (result.read, result.rows) == (1, 1)
    (result,) = upgraded.load(CLIENTS | {"columns": texts, "shrink": 1}, **BASIS)
    assert upgraded.sql("select count(*) from raw_trial.people where valid_to is null") == [(5,)]
    with pytest.raises(VaultError, match="legal hold"), requests(upgraded) as people:
        people.erase(people.find({"nhs_number": "9434765919"}), "IG-2", "officer")


def test_people_are_re_identified_matched_and_erased_after_an_upgrade(upgraded: Trial) -> None:
    ((token,),) = upgraded.sql("select token from governance.reidentifications")
    caseworker = environment.connect(environment.reader_url("ig_caseworker"))
    found = dict(vault.reidentify(caseworker, token, "a reason in words", "IG-2"))
    assert found["raw_trial.people"]["surname"] == "Wrenfield"
    persons = "select subject, person_id from matching.person_records where valid_to is null order by 1"
    before = upgraded.sql(persons)
    with requests(upgraded) as people:
        with people.connection, people.connection.cursor() as cursor:
            cursor.execute("set role svc_match")
        assert matching.match(people.connection, SYSTEMS).new_people == 0
        with people.connection, people.connection.cursor() as cursor:
            cursor.execute("reset role")
        assert upgraded.sql(persons) == before
        person = people.find({"nhs_number": "9434765919"})
        assert people.export(person)["raw_trial.people"]
        people.release(person)
        assert people.erase(person, "IG-3", "officer") == {"raw_trial.people": 1, "raw_twin.visits": 2}
        vault.rotate_key(people.connection, SYSTEMS)


def test_sets_are_rolled_back_and_published_after_an_upgrade(upgraded: Trial) -> None:
    as_at = "select source_name, published_at is not null from highways.as_at order by 1"
    assert rows(environment.reader_url("pbi_highways"), as_at) == [("All sources", True)], "its loads are not known"
    kind = "select distinct pg_typeof(amount)::text from highways.fct_one"
    assert upgraded.sql(kind) == [("bigint",)]
    upgraded.sql("select governance.roll_back('highways')", role="svc_dbt")
    assert upgraded.sql(kind) == [("integer",)]
    builds = Builds(upgraded)
    assert builds.run(fct_one="select date '2026-12-01' as amount") == ["fct_one.amount"]
    builds.sql("select governance.publish('highways', null, '{fct_one.amount}')")
    assert upgraded.sql("select amount::text from highways.fct_one", role="read_highways") == [("2026-12-01",)]
    assert builds.differences() == []


def test_a_migration_applies_once_and_cannot_change(trial: Trial, tmp_path: Path) -> None:
    folder = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, folder)
    last = max(int(file.name[:4]) for file in folder.glob("*.sql")) + 1
    added = folder / f"{last:04}_once.sql"
    added.write_text("create table governance.once ()", encoding="utf-8")

    def update(migrations: Path) -> None:
        """As `environment.prepare`, with other migrations."""
        with pytest.MonkeyPatch.context() as patch, closing(psycopg2.connect(trial.url)) as connection:
            settings: dict[str, str] = {}
            patch.setattr(database, "update_database", lambda _, given: settings.update(given))
            environment.prepare(systems=TRIALS)
            update_database(connection, settings, migrations)

    update(folder)
    update(folder)
    assert trial.sql("select count(*) from governance.migrations where name like '%once'") == [(1,)]
    with pytest.raises(WarehouseError, match=f"migration {last}, which this release does not know"):
        update(MIGRATIONS)
    added.write_text("create table governance.twice ()", encoding="utf-8")
    with pytest.raises(WarehouseError, match=f"{added.name} changed after the database applied it"):
        update(folder)
    failing = folder / f"{last + 1:04}_fails.sql"
    added.write_text("create table governance.once ()", encoding="utf-8")
    failing.write_text("drop table governance.once; select 1 / 0", encoding="utf-8")
    with pytest.raises(psycopg2.errors.DivisionByZero):
        update(folder)
    assert trial.sql("select to_regclass('governance.once') is not null") == [(True,)], "all or nothing"
