"""Publication of builds: what is published, what readers may hold, and who may lock, on an empty warehouse."""

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from types import ModuleType
from urllib.parse import urlsplit

import psutil
import psycopg2
import pytest
from psycopg2 import extensions as pg

from tests.builds import Builds, locked
from tests.support import ROOT, Trial, rows
from warehouse import database, environment
from warehouse.errors import WarehouseError

VERSION = "select min(version) from highways.fct_one"
READER = "pbi_highways"


@pytest.fixture
def builds(trial: Trial) -> Builds:
    return Builds(trial)


@contextmanager
def reader() -> Iterator[pg.cursor]:
    """A reader who leaves a transaction open, as psycopg2 and ODBC do without autocommit."""
    with closing(psycopg2.connect(environment.reader_url(READER))) as connection, connection.cursor() as cursor:
        yield cursor


def test_a_retyped_column_waits_for_approval_and_a_removed_model_is_removed(trial: Trial, builds: Builds) -> None:
    one, two = "select 1::integer as amount", "select 1::bigint as amount"
    published = "select string_agg(tablename, ' ' order by 1) from pg_tables where schemaname = 'highways'"
    assert builds.run(fct_one=one, fct_two=one) == []
    assert builds.run(fct_one=two, fct_two=one) == ["fct_one.amount"]
    assert builds.run("fct_one.amount", fct_one=two) == ["fct_two.amount"]
    assert trial.sql(published) == [("fct_one fct_two",)]
    assert builds.run("fct_one.amount", "fct_two", fct_one=two) == []
    assert trial.sql(published) == [("fct_one",)]


def test_a_reader_in_a_transaction_delays_no_build(trial: Trial, builds: Builds) -> None:
    database = urlsplit(trial.url).path[1:]
    trial.sql(f"alter role svc_dbt in database {database} set lock_timeout = '3s'")  # a build that waits fails
    builds.run()
    with reader() as cursor:
        cursor.execute(VERSION)
        for _ in range(4):
            assert builds.run() == []
        holders = trial.sql("select login from governance.holders_of_old_builds()")
        assert holders == [(READER,)]
        assert builds.kept() == [1, 3, 4], "the build that a reader holds, and the two that are kept"
        cursor.execute(VERSION)
        assert cursor.fetchone() == (5,)
    builds.run()
    assert builds.kept() == [4, 5]
    assert trial.sql("select had_lock from governance.publications order by publication_id limit 2") == [
        (True,), (False,),
    ]  # fmt: skip


def test_a_reader_of_a_replaced_publication_may_still_read_it(trial: Trial, builds: Builds) -> None:
    builds.run()
    with reader() as cursor:
        cursor.execute("declare page cursor with hold for select version from highways.fct_one")
        builds.run()
        cursor.execute("fetch page")
        assert cursor.fetchone() == (1,)
        ((kept,),) = trial.sql("select oid from pg_namespace where nspname ~ '^highways__b' order by oid desc limit 1")
        cursor.execute("select has_schema_privilege(%s::oid, 'usage')", [kept])
        assert cursor.fetchone() == (True,), "a statement that has resolved its tables before the swap"
        assert builds.differences() == []


def test_a_set_is_rolled_back_to_any_kept_publication(trial: Trial, builds: Builds) -> None:
    for _ in range(4):
        builds.run()
    numbers = [
        number
        for (number,) in trial.sql("select build_id from governance.builds where published_at is not null order by 1")
    ]
    roll_back = "select governance.roll_back('highways', %s)"
    assert builds.sql(roll_back, (numbers[1],)) == [(numbers[1],)]
    assert rows(environment.reader_url(READER), VERSION) == [(2,)]
    assert builds.sql(roll_back, (None,)) == [(numbers[3],)], "the publication that was replaced last"
    assert rows(environment.reader_url(READER), VERSION) == [(4,)]
    with pytest.raises(psycopg2.errors.RaiseException, match=f"build {numbers[0]} is not kept"):
        builds.sql(roll_back, (numbers[0],))
    trial.sql("update governance.publish_sets set kept_publications = 0")
    builds.run()
    with pytest.raises(psycopg2.errors.RaiseException, match="no earlier publication is kept"):
        builds.sql(roll_back, (None,))


def test_a_change_of_readers_closes_replaced_publications_until_they_are_published_again(
    trial: Trial, builds: Builds
) -> None:
    builds.run()
    builds.run()
    trial.sql(
        "update governance.readers set login = 'nobody' where login = %s", (READER,)
    )  # as before a new access.yml
    environment.prepare(systems=["raw_trial", "raw_twin"])
    assert trial.sql("select has_schema_privilege(%s, %s, 'usage')", (READER, builds.schemas()[-1])) == [(False,)]
    assert builds.differences() == []
    builds.sql("select governance.roll_back('highways')")
    assert rows(environment.reader_url(READER), VERSION) == [(1,)]
    assert builds.differences() == []


@pytest.mark.parametrize(
    "change",
    [
        "insert into {} values (7)",
        "update {} set version = 7",
        "delete from {}",
        "truncate {}",
        "drop table {}",
        "drop table {}; create table {} as select 7 as version",
        "alter table {} alter version type bigint",
    ],
)
def test_a_table_that_changes_after_its_tests_is_not_published(trial: Trial, builds: Builds, change: str) -> None:
    builds.run()
    with locked() as builder:
        builds.begin(builder)
        builds.make(fct_one="select 2 as version")
        builds.sql(change.replace("{}", "highways__next.fct_one"))
        assert builds.publish("fct_one") == ["table fct_one was changed after this build made it"]
    assert trial.sql(VERSION) == [(1,)]


def test_a_table_that_is_not_of_the_build_is_not_published(trial: Trial, builds: Builds) -> None:
    with locked() as builder:
        builds.begin(builder)
        builds.make(fct_one="select 1 as version", fct_two="select 1 as version")
        assert builds.publish("fct_one") == []
    assert trial.sql("select tablename from pg_tables where schemaname = 'highways'") == [("fct_one",)]


def test_an_older_build_and_a_build_without_the_lock_are_not_published(trial: Trial, builds: Builds) -> None:
    with locked() as builder:
        builds.begin(builder)
        builds.make(fct_one="select 1 as version")
        builds.begin(builder)
        note = "create table highways__next.fct_two (); select governance.note_table('highways', 'fct_two', 'build 1')"
        with pytest.raises(psycopg2.errors.RaiseException, match="Another build of publish set highways has started"):
            builds.sql(note)
        builds.make(fct_one="select 2 as version")
        assert builds.publish("fct_one", build=1) == ["another build of the set has started"]
    assert builds.publish("fct_one") == ["the session that held the build lock has ended"]
    assert "dbt runs without the build lock" in builds.begin(builder)
    assert "dbt runs without the build lock" in builds.begin(None)
    assert trial.sql("select count(*) from pg_tables where schemaname = 'highways'") == [(0,)]


def test_one_build_runs_at_a_time_and_the_message_names_the_other(builds: Builds) -> None:
    with locked(), ThreadPoolExecutor(1) as pool:
        take = "select governance.take_lock('raw_tables', %s, '0.1 seconds')"
        with pytest.raises(psycopg2.errors.LockNotAvailable, match=r"held by svc_dbt \(warehouse build, process \d+\)"):
            builds.sql(take, (True,))
        with pytest.raises(psycopg2.errors.LockNotAvailable, match="lock of raw tables"):
            pool.submit(builds.sql, take, (False,)).result()


@pytest.mark.parametrize(
    "statement",
    [
        "select governance.take_lock('raw_tables', true)",
        "select governance.take_load_lock('raw_trial')",
        "lock table governance.raw_tables_lock in access share mode",
        "lock table governance.matching_lock in access share mode",
        "lock table governance.migrations in access share mode",
        "select from governance.load_locks for update",
        "select from governance.publish_sets for update",
        "select from governance.reidentifiers for update",
    ],
)
@pytest.mark.parametrize("login", [READER, "ig_caseworker"])
def test_readers_can_take_no_lock_of_the_warehouse(trial: Trial, statement: str, login: str) -> None:
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        rows(environment.reader_url(login), statement)


def test_advisory_locks_of_a_reader_delay_nothing(trial: Trial, builds: Builds) -> None:
    names = ("build", "load raw_trial", "publish highways", "warehouse setup", "matching")
    with reader() as cursor:
        for name in names:
            cursor.execute("select pg_advisory_lock(hashtext(%s))", [name])
        trial.source("create table visits as select 1::bigint as visit_no")
        assert trial.load({"name": "visits", "load": "replace", "columns": {"visit_no": "bigint"}})[0].total == 1
        assert builds.run() == []
        environment.prepare(systems=["raw_trial", "raw_twin"])


def test_an_erasure_forgets_replaced_publications_that_nobody_holds(trial: Trial, builds: Builds) -> None:
    builds.run()
    builds.run()
    forget = "select governance.forget_old_builds('highways')"
    with reader() as cursor:
        cursor.execute(VERSION)
        builds.run()
        assert len(trial.sql(forget)) == 1, "the build that a reader holds"
    assert trial.sql(forget) == []
    assert builds.schemas() == []


def test_dbt_waits_for_the_build_lock_and_ends_with_its_parent(builds: Builds) -> None:
    program = "import subprocess, sys; subprocess.run([sys.executable, '-m', 'warehouse.builds', 'build'])"
    with locked():
        parent = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stderr=subprocess.PIPE, text=True)
        assert "The build waits. Waited 00:00:01 for the lock of raw tables" in parent.stderr.readline()
        (dbt,) = psutil.Process(parent.pid).children()
        parent.kill()  # as the kernel does without memory, or systemd after its patience
        with suppress(psutil.NoSuchProcess):
            give_up = time.monotonic() + 10
            while dbt.status() != psutil.STATUS_ZOMBIE:
                assert time.monotonic() < give_up
                time.sleep(0.05)
        parent.stderr.close()
        parent.wait()


def test_dagster_records_publications_that_no_run_recorded(definitions: ModuleType, builds: Builds) -> None:
    import dagster as dg

    record = definitions.record_publications
    with dg.instance_for_test() as instance, dg.build_sensor_context(instance) as context:

        def recorded() -> list[int]:
            result = record(context)
            events = result.asset_events if isinstance(result, dg.SensorResult) else []
            for event in events:
                instance.report_runless_asset_event(event)
            assert all(event.asset_key.path == ["publication", "highways"] for event in events)
            return [event.metadata["publication_id"].value for event in events]

        assert recorded() == []
        builds.run()
        builds.run()
        assert recorded() == [2]
        assert recorded() == []
        builds.sql("select governance.roll_back('highways')")
        assert recorded() == [3]


def test_a_setup_that_waits_too_long_says_so(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(psycopg2.connect(trial.url)) as other, closing(psycopg2.connect(trial.url)) as connection:
        other.cursor().execute("lock table governance.migrations in exclusive mode")
        monkeypatch.setattr(database, "JOURNAL", database.JOURNAL.replace("5min", "100ms"))
        with pytest.raises(WarehouseError, match="Another session holds"):
            database.update_database(connection, {})
