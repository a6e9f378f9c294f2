"""The view `as_at` of a publish set: loads, publication, tests and known gaps, as readers see them."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import psycopg2
import pytest

from ingestion.contracts import SourceError
from tests.builds import Builds, locked
from tests.readers import REDDITCH
from tests.support import Trial, rows
from warehouse import environment

READER = "pbi_highways"
VISITS = {
    "name": "visits",
    "load": "merge",
    "key": ["visit_no"],
    "cursor": "updated_at",
    "columns": {"visit_no": "bigint", "updated_at": "timestamptz"},
}
AT_NIGHT = "'2026-07-05 23:30Z'"  # half past midnight of 6 July in Worcestershire
STATE = "select quality_state, known_gaps from highways.as_at where source_name = %s"


def state(source: str = "All sources", login: str = READER, query: str = STATE) -> tuple[str, str]:
    """Return the state of the data and the known gaps as a reader sees them."""
    (found,) = rows(environment.reader_url(login), query, (source,))
    return found


@pytest.fixture
def builds(trial: Trial) -> Builds:
    """A published set that was built from one loaded table."""
    trial.source(
        "create table visits (visit_no text primary key, updated_at timestamptz); "
        f"insert into visits values ('1', '2026-07-01 12:00Z'), ('2', {AT_NIGHT})"
    )
    trial.load(VISITS)
    builds = Builds(trial)
    builds.run()
    return builds


def test_readers_see_last_load_dates_publication_and_tests(trial: Trial, builds: Builds) -> None:
    before = datetime.now(ZoneInfo("Europe/London")).replace(tzinfo=None) - timedelta(minutes=1)
    columns = "select source_name, quality_state, data_up_to_date::text, tests_passed, known_gaps from highways.as_at"
    assert rows(environment.reader_url(READER), f"{columns} order by tests_passed") == [
        ("All sources", "Up to date", "2026-07-06", 1, "None known."),
        ("trial", "Up to date", "2026-07-06", None, "None known."),
    ]
    times = "select last_loaded_at, published_at from highways.as_at"
    for loaded_at, published_at in rows(environment.reader_url(READER), times):
        assert before < loaded_at <= published_at < before + timedelta(minutes=2), "local time, without a zone"
    described = "select col_description('highways.as_at'::regclass, n) from generate_series(1, 8) as n"
    assert all(len(text) > 40 for (text,) in rows(environment.reader_url(READER), described))
    assert builds.differences() == []
    assert trial.sql("select difference from governance.access_differences()") == []


def test_a_failed_load_is_stated_until_the_next_load_and_a_new_load_until_its_publication(
    trial: Trial, builds: Builds
) -> None:
    trial.source("alter table visits rename to moved")
    with pytest.raises(SourceError):
        trial.load(VISITS)
    found, gaps = state("trial")
    assert found == "Out of date"
    assert gaps.startswith("The load of ")
    assert gaps.endswith(" failed: the tables have the data of the load before.")
    assert state() == ("Out of date", "Sources out of date: trial.")
    trial.source("alter table moved rename to visits")
    trial.load(VISITS)
    assert state("trial") == ("Up to date", "None known."), "no row is new"
    trial.source("insert into visits values ('3', '2026-07-07 12:00Z')")
    trial.load(VISITS)
    found, gaps = state("trial")
    assert (found, gaps.endswith(" is not published yet.")) == ("Out of date", True)
    published = "select data_up_to_date::text from highways.as_at where source_name = 'trial'"
    assert rows(environment.reader_url(READER), published) == [("2026-07-06",)], "of the tables that readers see"
    builds.run()
    assert state("trial") == ("Up to date", "None known.")
    assert rows(environment.reader_url(READER), published) == [("2026-07-07",)]


def test_rejected_rows_are_a_known_gap(trial: Trial, builds: Builds) -> None:
    trial.source("insert into visits values ('three', '2026-07-07 12:00Z')")
    trial.load(VISITS)
    builds.run()
    assert state("trial") == ("Incomplete", "Rows that were rejected and are missing: visits (1).")
    assert state() == ("Incomplete", "Sources with missing rows: trial.")


def test_a_refused_publication_and_a_roll_back_are_stated(trial: Trial, builds: Builds) -> None:
    builds.run()
    trial.sql("select governance.record_outcome('highways', 'refuse', '{}', '{test x failed}')")
    found, gaps = state()
    assert found == "Out of date"
    assert gaps.endswith(" did not pass its checks: the tables are those of the publication before.")
    builds.run()
    assert state() == ("Up to date", "None known.")
    builds.sql("select governance.roll_back('highways')")
    assert state() == ("Out of date", "The set was rolled back to an earlier publication.")


def test_data_go_up_to_the_earliest_as_at_date_of_the_published_tables(trial: Trial, builds: Builds) -> None:
    tables = {
        "fct_one": "select 1 as version, date '2026-06-01' + n as as_at_date from generate_series(0, 3) as n",
        "fct_two": "select date '2026-06-30' as as_at_date",
        "fct_none": "select null::date as as_at_date where false",
    }
    assert builds.run(**tables) == []
    date = "select data_up_to_date::text from highways.as_at where source_name = 'All sources'"
    assert rows(environment.reader_url(READER), date) == [("2026-06-04",)]
    builds.sql("select governance.roll_back('highways')")
    assert rows(environment.reader_url(READER), date) == [("2026-07-06",)], "without such a table, that of the sources"


def test_a_reader_sees_the_state_of_the_own_set_only(trial: Trial, builds: Builds) -> None:
    scoped = STATE.replace("highways.", "highways_redditch.")
    assert state(login=REDDITCH, query=scoped) == ("Up to date", "None known.")
    for login, statement in (
        (REDDITCH, "select * from highways.as_at"),
        ("pbi_finance", "select * from highways.as_at"),
        (READER, "select * from as_at.of_set('highways')"),
        (READER, "select * from governance.load_audit"),
        (READER, "create or replace view highways.as_at as select 1"),
    ):
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            rows(environment.reader_url(login), statement)
    plan = rows(environment.reader_url(REDDITCH), "explain analyze select * from highways_redditch.as_at")
    assert "audit" not in str(plan)
    with locked() as builder:  # the view is not a table of the build
        builds.begin(builder)
        builds.make(fct_one="select 1 as version")
        assert builds.publish("fct_one") == []
