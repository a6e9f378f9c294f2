"""Rules of loads, holds and re-identification that refactoring breaks easily, on an empty warehouse."""

from concurrent.futures import ThreadPoolExecutor, TimeoutError
from contextlib import closing

import psycopg2
import pytest

from tests.support import Trial, trial_system
from warehouse import environment, vault
from warehouse.errors import VaultError
from warehouse.subjects import SubjectRequests

BASIS = {"lawful_basis": "UK GDPR article 6(1)(e) public task: trying"}
CASES = {
    "name": "cases",
    "load": "merge",
    "key": ["case_no"],
    "cursor": "changed_at",
    "columns": {"case_no": "bigint", "name": "text", "changed_at": "timestamptz"},
}
PEOPLE = {
    "name": "people",
    "load": "replace",
    "subject": "nhs_no",
    "shrink": 1,
    "columns": {"nhs_no": "text", "need": "text"},
    "identifiers": {"nhs_no": "nhs_number"},
}
TEN_CASES = (
    "create table cases as select n::bigint as case_no, 'case ' || n as name, "
    "timestamptz '2026-01-01Z' + n * interval '1 hour' as changed_at from generate_series(1, 10) as n"
)
THREE_PEOPLE = (
    "create table people as select (9000000000 + n)::text as nhs_no, 'a need' as need from generate_series(1, 3) as n"
)


def test_a_time_in_the_future_hides_no_later_change(trial: Trial) -> None:
    trial.source(TEN_CASES + "; update cases set changed_at = '2999-01-01Z' where case_no = 1")
    trial.load(CASES)
    trial.source("update cases set name = 'changed', changed_at = now() where case_no = 2")
    trial.load(CASES)
    assert trial.sql("select name from raw_trial.cases where case_no = 2") == [("changed",)]


def test_a_load_does_not_commit_while_a_build_reads(trial: Trial) -> None:
    trial.source(TEN_CASES)
    with ThreadPoolExecutor(1) as pool, closing(psycopg2.connect(trial.url)) as build:
        build.cursor().execute("select governance.take_lock('raw_tables', true)")
        load = pool.submit(trial.load, CASES)
        with pytest.raises(TimeoutError):
            load.result(timeout=5)
        build.close()
        assert load.result()[0].total == 10


def test_an_erased_person_who_comes_back_stays_while_a_legal_hold_lasts(trial: Trial) -> None:
    trial.source(THREE_PEOPLE)
    trial.load(PEOPLE, **BASIS)
    with closing(psycopg2.connect(trial.url)) as connection:
        people = SubjectRequests(connection, [trial_system(PEOPLE, **BASIS)])
        person = people.find({"nhs_number": "9000000001"})
        people.erase(person, "IG-1", "somebody")
        trial.source("insert into people values ('9000000004', 'a need')")
        trial.load(PEOPLE, **BASIS)
        people.hold(person, "proceedings", "somebody")
        assert people.erase_again() == {}
        people.release(person)
        assert people.erase_again() == {"raw_trial.people": 1}


def test_re_identification_needs_a_case_and_has_a_daily_limit(trial: Trial) -> None:
    trial.source(THREE_PEOPLE)
    trial.load(PEOPLE, **BASIS)
    ((token,),) = trial.sql("select min(nhs_no) from raw_trial.people")

    def ask(case: str) -> list[tuple]:
        caseworker = environment.connect(environment.reader_url("ig_caseworker"))
        return list(vault.reidentify(caseworker, token, "a reason in words", case))

    with pytest.raises(VaultError, match="case"):
        ask(" ")
    trial.sql("update governance.reidentifiers set per_day = 1")
    assert len(ask("IG-1")) == 1
    with pytest.raises(VaultError, match="24 hours"):
        ask("IG-1")
    assert trial.sql("select refusal is null from governance.reidentifications order by requested_at") == [
        (False,), (True,), (False,),
    ]  # fmt: skip
