"""Data subject requests and retention: find, export, erase, legal hold and disposal after the retention period."""

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from types import ModuleType

import psycopg2
import pytest
from pydantic import ValidationError

from demo import postgres
from tests.people import BASIS, PEOPLE, VISITS
from tests.support import Trial, Warehouse, files_holding, rows, trial_system
from warehouse import vault
from warehouse.disposals import Retention
from warehouse.errors import VaultError
from warehouse.subjects import SubjectRequests

SOURCE = """
    create table people (person_no text, nhs_no text, surname text, born date, need text);
    insert into people select n::text, (9000000000 + n)::text, 'Person ' || chr(65 + n), '1950-01-01', 'need ' || n
    from generate_series(1, 50) as n;
    create table visits (visit_no bigint, nhs text, visited_at timestamptz, note text);
    insert into visits select n, (9000000000 + n % 50 + 1)::text, now() - n * interval '10 days', 'visit ' || n
    from generate_series(1, 300) as n
"""


@contextmanager
def subject_requests(trial: Trial, url: str | None = None) -> Iterator[SubjectRequests]:
    systems = [trial_system(PEOPLE, **BASIS), trial_system(VISITS, name="raw_twin", **BASIS)]
    with closing(psycopg2.connect(url or trial.url)) as connection:
        yield SubjectRequests(connection, systems)


def load(trial: Trial) -> None:
    trial.load(PEOPLE, **BASIS)
    trial.load(VISITS, name="raw_twin", **BASIS)


def counts(trial: Trial) -> tuple[int, ...]:
    tables = ("raw_trial.people", "raw_twin.visits", "vault.identities", "vault.data_keys", "quarantine.rows")
    return tuple(trial.sql(f"select count(*) from {table}")[0][0] for table in tables)


@pytest.fixture
def person(trial: Trial) -> set[str]:
    """The tokens of person 7, who has a version history, six visits and a quarantined row, in two systems."""
    trial.source(SOURCE)
    load(trial)
    trial.source(
        "update people set need = 'another need' where person_no = '7'; "
        "insert into people values (null, '9000000007', 'Lost', null, '')"
    )
    load(trial)
    assert counts(trial) == (51, 300, 100, 100, 1)
    with subject_requests(trial) as people:
        found = people.find({"nhs_number": "900 000 0007"})
        assert people.find({"nhs_number": "9000000007", "name": "PERSON H"}) == found
        assert people.find({"nhs_number": "9000000007", "name": "Person I"}) == set()
        with pytest.raises(VaultError, match="No raw table has email"):
            people.find({"email": "x@example.org"})
    assert len(found) == 2, "the shared number of both systems, and the first system's own number"
    return found


def test_a_search_finds_all_data_about_a_person(trial: Trial, person: set[str]) -> None:
    trial.sql("create table conformed.copied as select nhs, note from raw_twin.visits", role="svc_dbt")
    try:
        with subject_requests(trial) as people:
            held = people.export(person)
    finally:
        trial.sql("drop table conformed.copied")
    assert {where: len(found) for where, found in held.items()} == {
        "vault: raw_trial.people": 1,
        "raw_trial.people": 2,
        "vault: raw_twin.visits": 1,
        "raw_twin.visits": 6,
        "quarantine: raw_trial.people": 1,
        "conformed.copied": 6,
    }
    assert held["vault: raw_trial.people"][0]["surname"] == "Person H"
    assert {row["need"] for row in held["raw_trial.people"]} == {"need 7", "another need"}
    assert held["quarantine: raw_trial.people"][0]["surname"] == "Lost"


def test_an_erased_person_is_removed_and_does_not_come_back(trial: Trial, person: set[str]) -> None:
    with subject_requests(trial) as people:
        assert people.erase(person, "IG-1", "somebody") == {"raw_trial.people": 2, "raw_twin.visits": 6}
        assert people.export(person) == {}
    after = (49, 294, 98, 98, 0)
    assert counts(trial) == after

    load(trial)
    assert counts(trial)[1] == 294, "rows that did not change at source are not read again"
    trial.source("update people set need = 'changed' where person_no = '8'")
    trial.source("update visits set note = 'seen again', visited_at = now() where visit_no = 6")
    load(trial)
    assert counts(trial)[:2] == (51, 295), "a source that still has the person brings the rows back"
    with subject_requests(trial, os.environ["LOADER_URL"]) as people:
        assert people.erase_again() == {"raw_trial.people": 1, "raw_twin.visits": 1}
        assert people.erase_again() == {}
    trial.source(
        "delete from people where person_no is null or person_no = '7'; delete from visits where nhs = '9000000007'"
    )
    load(trial)
    load(trial)
    assert counts(trial) == (50, 294, 98, 98, 0)
    assert trial.sql("select case_reference, erased_by from governance.erasures") == [("IG-1", "somebody")]


def test_a_legal_hold_prevents_erasure_and_disposal(trial: Trial, person: set[str]) -> None:
    with subject_requests(trial) as people:
        people.hold(person, "proceedings", "somebody")
        with pytest.raises(VaultError, match="under a legal hold"):
            people.erase(person, "IG-1", "somebody")
        assert counts(trial) == (51, 300, 100, 100, 1)
        assert Retention(people.connection, people.systems).dispose_of_expired()["raw_twin.visits"][1] == 1
        assert people.release(person) == 2
        assert Retention(people.connection, people.systems).dispose_of_expired()["raw_twin.visits"] == (1, 0)
        assert people.erase(person, "IG-1", "somebody") == {"raw_trial.people": 2, "raw_twin.visits": 5}


def test_a_hold_and_an_erasure_outlive_a_key_rotation(trial: Trial, person: set[str]) -> None:
    with subject_requests(trial) as people:
        people.hold(person, "proceedings", "somebody")
        other = people.find({"nhs_number": "9000000009"})
        people.erase(other, "IG-2", "somebody")
        trial.source("update people set need = 'seen again' where person_no = '9'")
        load(trial)
        vault.rotate_key(people.connection, people.systems)
    with subject_requests(trial) as people:
        again = people.find({"nhs_number": "9000000007"})
        assert len(again) == 2
        assert not again & person
        with pytest.raises(VaultError, match="under a legal hold"):
            people.erase(again, "IG-1", "somebody")
    with subject_requests(trial, os.environ["LOADER_URL"]) as people:
        assert people.erase_again() == {"raw_trial.people": 1}


def test_rows_are_deleted_after_their_retention_period(trial: Trial, person: set[str]) -> None:
    overdue = "select count(*) from raw_twin.visits where visited_at < now() - interval '6 years'"
    due = trial.sql(overdue)[0][0]
    assert due > 70
    with subject_requests(trial, os.environ["LOADER_URL"]) as people:
        assert Retention(people.connection, people.systems).dispose_of_expired() == {"raw_twin.visits": (due, 0)}
        assert Retention(people.connection, people.systems).dispose_of_expired() == {}
    assert counts(trial)[:2] == (51, 300 - due)
    assert trial.sql("select cause, rows, rows_on_hold from governance.disposals") == [("retention", due, 0)]
    trial.source("insert into visits values (1000, '9000000001', now(), 'new')")
    (result,) = trial.load(VISITS, name="raw_twin", **BASIS)
    assert (result.rows, result.read < 10) == (1, True), "old rows at source do not cause a full refresh"


def test_a_re_identification_needs_a_reason_and_is_audited(county: Warehouse) -> None:
    ((token, number),) = county.sql(
        "select customer_reference, enquiry_number from raw_confirm.enquiry_customer "
        "where customer_email is not null limit 1"
    )
    name = rows(
        county.source("confirm"),
        "select customer_reference, customer_email from enquiry_customer where enquiry_number = %s",
        (number,),
    )[0]
    asked = ("reidentify", token, "--case", "IG-7")
    as_caseworker = (*asked, "--as", "ig_caseworker")
    printed = county(*as_caseworker, "--reason", "a child at risk")
    assert all(value in printed for value in name)
    assert "Give a reason of at least 10 characters" in county(*as_caseworker, "--reason", " ", expect=1)
    refused = "This login is not in `reidentification` of access.yml"
    assert refused in county(*asked, "--as", "pbi_highways", "--reason", "a child at risk", expect=1)
    shared = county.sql(
        "select customer_phone from raw_confirm.enquiry_customer where customer_phone is not null "
        "group by 1 having count(distinct customer_reference) > 1"
    )[0]
    many = ("reidentify", *shared, "--case", "IG-7", "--as", "ig_caseworker", "--reason", "a child at risk")
    assert "Several people share this token" in county(*many, expect=1), "one request is about one person"
    county.sql("update governance.reidentifiers set per_day = 1")
    assert "The daily limit is reached: 1 re-identifications" in county(
        *as_caseworker, "--reason", "a child at risk", expect=1
    )
    log = "select requested_by, token, case_reference, refusal is null from governance.reidentifications"
    assert county.sql(f"{log} order by requested_at") == [
        ("ig_caseworker", asked_for, "IG-7", answered)
        for asked_for, answered in [(token, True), (token, False), (*shared, False), (token, False)]
    ]
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        county.sql("select * from vault.identities", url=county.reader_url("ig_caseworker"))


@pytest.mark.long
def test_a_canary_value_is_only_in_the_vault_and_nowhere_after_erasure(county: Warehouse, tmp_path: Path) -> None:
    """Every file of the warehouse, its dumps and its logs are searched without the key: none has the name."""
    canary = ("CANARY-0815", "Zzyzx Qwrtpl", "1 Xyzzy Crescent, Worcester", "zzyzx.qwrtpl@example.org", "01632 960815")
    confirm = county.source("confirm")
    number, moment = rows(
        confirm,
        "select enquiry_number, last_updated_time from central_enquiry as e where not exists ("
        "select from enquiry_customer as c where c.enquiry_number = e.enquiry_number) order by 2 desc limit 1",
    )[0]
    rows(confirm, "insert into enquiry_customer values (%s, %s, %s, %s, %s, %s, %s)", (number, *canary, moment))
    words = "Flurbnozz by my gate, ring me"  # names nobody, but is the person's own text
    changed = "update central_enquiry set enquiry_description = %s, last_updated_time = %s where enquiry_number = %s"
    ((latest,),) = rows(confirm, "select max(last_updated_time) from central_enquiry")  # else no load reads the row
    rows(confirm, changed, (words, latest + timedelta(minutes=1), number))
    data = Path(county.sql("show data_directory")[0][0])
    source = data / "base" / str(county.sql("select oid from pg_database where datname = 'confirm'")[0][0])

    def where_it_is(*values: str) -> set[Path]:
        """Return the files with one of the values, except the source's own database and the log that it shares."""
        county.sql("checkpoint")
        dump = postgres._binaries(data.parent) / "pg_dump"
        (tmp_path / "dump.sql").write_bytes(subprocess.run([dump, county.url], capture_output=True, check=True).stdout)
        found = files_holding((county.home, data, tmp_path), *(value.encode() for value in values))
        return {path for path in found if path.parent not in (source, data / "pg_wal")}

    jobs = "import orchestration.run as r; print(r.run_jobs(['load_confirm', 'match_people'])[0])"
    assert county("exec", "--", "python", "-c", jobs).endswith("[]\n")
    county.build("highways")
    county.dbt("docs", "generate")
    assert where_it_is(*canary) == set()
    printed = county.process("subject", "find", "name", "email", typed=f"{canary[1].upper()}\n{canary[3]}\n")
    (found,) = re.findall(r"k\d+_\w{32}", printed)
    assert canary[3] not in printed
    export = json.loads(county("subject", "export", found))
    assert list(export["vault: raw_confirm.enquiry_customer"][0].values()) == list(canary)
    assert export["raw_confirm.central_enquiry"][0]["enquiry_description"] == words
    assert where_it_is(found), "the token is in the raw table, and the search finds values"
    counted = f"select customer_enquiries_in_year_before from highways.fct_enquiries where enquiry_number = {number}"
    assert county.sql(counted) == [(0,)]
    rows(confirm, "delete from enquiry_customer where enquiry_number = %s", (number,))
    printed = county("subject", "erase", found, "--case", "IG-8")
    assert "raw_confirm.enquiry_customer: 1 rows deleted or emptied" in printed
    assert "raw_confirm.central_enquiry: 1 rows deleted or emptied" in printed
    assert county.sql(counted) == [(None,)]
    assert county("subject", "export", found).strip() == "{}"
    record = export["raw_confirm.enquiry_customer"][0]["customer_email"]
    text = f"select enquiry_description from raw_confirm.central_enquiry where enquiry_number = {number}"
    assert county.sql(text) == [(None,)]
    assert where_it_is(*canary, record) == set()


def test_dagster_deletes_rows_past_their_retention_period_each_day(county: Warehouse, definitions: ModuleType) -> None:
    import dagster as dg

    county.sql(
        "insert into raw_confirm_store.enquiry_customer (enquiry_number, last_updated_time) values (-1, '2010-01-01')"
    )
    assert definitions.defs.get_schedule_def("dispose_schedule").cron_schedule == "0 4 * * *"
    with county.entered(**county.places), dg.DagsterInstance.ephemeral() as instance:
        assert definitions.defs.resolve_job_def("dispose").execute_in_process(instance=instance).success
    assert county.sql("select count(*) from raw_confirm.enquiry_customer where enquiry_number = -1") == [(0,)]
    assert county.sql("select system, table_name, cause, rows from governance.disposals") == [
        ("raw_confirm", "enquiry_customer", "retention", 1)
    ]


PARTIES = {
    "name": "parties",
    "load": "replace",
    "subject": "party_no",
    "columns": {"party_no": "text", "enquiry": "bigint", "forename": "text", "surname": "text", "email": "text"},
    "identifiers": {"party_no": "person_number", "forename": "name", "surname": "name", "email": "email"},
}
ENQUIRIES = {
    "name": "enquiries",
    "load": "merge",
    "key": ["number"],
    "cursor": "changed_at",
    "subject_by": {"number": "parties.enquiry"},
    "columns": {"number": "bigint", "district": "text", "description": "text", "changed_at": "timestamptz"},
    "privacy": {"description": "personal"},
}
NOTES = {
    "name": "notes",
    "load": "replace",
    "key": ["note_no"],
    "columns": {"note_no": "bigint", "note": "text"},
    "privacy": {"note": "special_category"},
}
TEXTS = BASIS | {"special_category_basis": "UK GDPR article 9(2)(g); DPA 2018 Schedule 1 paragraph 6"}
WRITTEN = """
    create table parties (party_no text, enquiry bigint, forename text, surname text, email text);
    insert into parties values ('p1', 1, 'Zebedee', 'Quxworthy', 'zeb.quxworthy@example.org'),
        ('p1', 3, 'Zebedee', 'Quxworthy', 'zeb.quxworthy@example.org'), ('p2', 2, 'Amber', 'Wren', null),
        ('p2', 3, 'Amber', 'Wren', null);
    create table enquiries (number bigint, district text, description text, changed_at timestamptz);
    insert into enquiries values (1, 'A', 'my broken fence', '2026-01-01'), (2, 'B', 'a pothole', '2026-01-01'),
        (3, 'C', 'our road', '2026-01-01'), (4, 'D', 'nobody', '2026-01-01');
    create table notes (note_no bigint, note text);
    insert into notes values (1, 'Called Mr QUXWORTHY, Zebedee on Monday'), (2, 'see zeb.quxworthy@example.org.'),
        (3, 'Amber Quxworthy'), (4, 'Zebedee'), (5, null)
"""


def test_texts_that_name_no_person_are_exported_and_emptied_with_the_person(trial: Trial) -> None:
    trial.source(WRITTEN)
    tables = (PARTIES, ENQUIRIES, NOTES)
    trial.load(*tables, **TEXTS)
    system = trial_system(*tables, **TEXTS)
    with closing(psycopg2.connect(trial.url)) as connection:
        people = SubjectRequests(connection, [system])
        person = people.find({"email": "zeb.quxworthy@example.org"})
        exported = people.export(person)["raw_trial.enquiries"]
        assert sorted(row["description"] for row in exported) == ["my broken fence", "our road"]
        found = sorted(people.search_texts(person), key=str)
        assert found == [
            {"table": "raw_trial.notes", "row": {"note_no": "1"}, "column": "note", "kinds": ["name"]},
            {"table": "raw_trial.notes", "row": {"note_no": "2"}, "column": "note", "kinds": ["email"]},
        ]
        counts = people.erase(person, "IG-1", "somebody", texts=True)
    assert counts == {"raw_trial.notes": 2, "raw_trial.enquiries": 1, "raw_trial.parties": 2}
    enquiries = "select number, district, description from raw_trial.enquiries order by 1"
    after = [(1, "A", None), (2, "B", "a pothole"), (3, "C", "our road"), (4, "D", "nobody")]
    assert trial.sql(enquiries) == after, "the row stays, and the text that another person shares too"
    notes = "select note from raw_trial.notes order by note_no"
    kept = [("Amber Quxworthy",), ("Zebedee",), (None,)]
    assert trial.sql(notes) == [("Called Mr [redacted] on Monday",), ("see [redacted].",), *kept]

    trial.source("update enquiries set description = 'my fence again', changed_at = now() where number = 1")
    trial.source("insert into notes values (6, 'new'); delete from parties where party_no = 'p1'")
    trial.load(PARTIES | {"shrink": 1}, ENQUIRIES, NOTES, **TEXTS)
    assert trial.sql(enquiries)[0] == (1, "A", "my fence again"), "the source has the text still"
    with closing(psycopg2.connect(os.environ["LOADER_URL"])) as connection:
        people = SubjectRequests(connection, [system])
        assert people.erase_again() == {"raw_trial.enquiries": 1, "raw_trial.notes": 2}
        assert people.erase_again() == {}
    assert trial.sql(enquiries) == after
    assert trial.sql(notes) == [(None,), (None,), *kept, ("new",)]


@pytest.mark.parametrize(
    ("subject_by", "problem"),
    [
        ({"number": "notes.note_no"}, "names columns of one table of the system with a `subject`"),
        ({"number": "parties.number"}, "names undeclared columns: number"),
        ({"reference": "parties.enquiry"}, "names declared columns"),
    ],
)
def test_a_link_to_no_person_is_refused(subject_by: dict[str, str], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        trial_system(PARTIES, ENQUIRIES | {"subject_by": subject_by}, NOTES, **TEXTS)


def test_more_rows_past_their_retention_period_than_allowed_are_kept_until_accepted(
    trial: Trial, person: set[str]
) -> None:
    with closing(psycopg2.connect(os.environ["LOADER_URL"])) as connection:
        retention = Retention(connection, [trial_system(VISITS | {"disposal": 0.1}, name="raw_twin", **BASIS)])
        assert retention.dispose_of_expired() == {}
        (refusal,) = retention.refused
        assert re.search(
            r"raw_twin.visits: \d+ of 300 rows are past their retention period .*none was deleted", refusal
        )
        accept = "insert into governance.overrides (system, table_name, reason, granted_by, is_of_disposal) "
        accept += "values ('raw_twin', 'visits', 'a clear-out', 'somebody', %s)"
        trial.sql(accept, (False,))
        assert retention.dispose_of_expired() == {}, "an override of the load checks is for loads"
        trial.sql(accept, (True,))
        ((deleted, _),) = retention.dispose_of_expired().values()
        assert deleted > 70
        assert retention.refused == []
    assert trial.sql("select is_of_disposal, used_by_load from governance.overrides order by 1") == [
        (False, None),
        (True, "retention"),
    ]
