"""Person matching across systems: people match in every form, similar people do not, and results are stable."""

from collections import defaultdict
from collections.abc import Iterable
from contextlib import closing

import duckdb
import psycopg2
import pyarrow as pa
import pytest

from benchmarks.quality import score_people, truth
from ingestion.contracts import read_contracts
from ingestion.privacy import Keys
from tests.support import Trial, Warehouse, trial_system
from warehouse import matching, vault
from warehouse.errors import VaultError
from warehouse.matching import MatchResult
from warehouse.person_model import Pair
from warehouse.person_records import memory_database
from warehouse.subjects import SubjectRequests

BASIS = {"lawful_basis": "UK GDPR article 6(1)(e) public task: trying"}
CARE = {
    "name": "clients",
    "load": "merge",
    "key": ["client_no"],
    "subject": "client_no",
    "person": ["forename", "surname"],
    "columns": dict.fromkeys(("client_no", "nhs_no", "forename", "surname", "email", "postcode"), "text")
    | {"born": "date"},
    "identifiers": {
        "client_no": "person_number",
        "nhs_no": "nhs_number",
        "forename": "name",
        "surname": "name",
        "email": "email",
        "postcode": "postcode",
        "born": "date_of_birth",
    },
}
LIBRARY = CARE | {"name": "members"}
COLUMNS = "client_no, nhs_no, forename, surname, email, postcode, born"
STRANGERS = """
    insert into {table}
    select (1000 + n)::text, null, forename, surname, null, 'WR' || n % 5 || ' ' || n % 9 || 'AB',
        ('1950-01-01'::date + n * 211)
    from (
        select n, (array['Ada', 'Ben', 'Cora', 'Dirk', 'Elsa', 'Finn', 'Gwen', 'Hugh'])[1 + n % 8] as forename,
            (array['Ash', 'Birch', 'Cedar', 'Doe', 'Elder', 'Fir', 'Hazel', 'Ivy', 'Juniper', 'Oak'])[1 + n % 10]
            || (array['ton', 'ley', 'ham', 'by', 'wick', 'ford', 'dale'])[1 + n % 7] as surname
        from generate_series(1, 60) as n
    ) as people
"""


class Records:
    """Two trial systems, of clients and of members, each with sixty unrelated people and the people of a test."""

    def __init__(self, trial: Trial):
        self.trial = trial
        for table in ("clients", "members"):
            trial.source(f"create table {table} ({COLUMNS.replace(',', ' text,')} date)")
        trial.source(STRANGERS.format(table="clients"))
        self.systems = [trial_system(CARE, **BASIS), trial_system(LIBRARY, name="raw_twin", **BASIS)]

    def put(self, table: str, *people: Iterable) -> None:
        """Add (number, NHS number, forename, surname, e-mail, postcode, birth date) to a source table."""
        for person in people:
            self.trial.source(f"insert into {table} values (%s, %s, %s, %s, %s, %s, %s)", tuple(person))

    def match(self) -> MatchResult:
        self.trial.load(CARE, **BASIS)
        self.trial.load(LIBRARY, name="raw_twin", **BASIS)
        with self.connection("svc_match") as connection:
            return matching.match(connection, self.systems)

    def connection(self, role: str | None = None) -> closing:
        connection = psycopg2.connect(self.trial.url)
        if role:
            with connection, connection.cursor() as cursor:
                cursor.execute(f"set role {role}")
        return closing(connection)

    def token(self, table: str, number: str) -> str:
        system = "raw_trial" if table == "clients" else "raw_twin"
        with self.connection() as connection, connection.cursor() as cursor:
            keys = Keys.current(cursor)
            declared = next(t for s in self.systems if s.name == system for t in s.tables)
            text = pa.chunked_array([[number]], pa.string())
            return keys.tokens(declared.column("client_no"), declared, text)[0].as_py()

    def people(self) -> dict[str, set[tuple[str, str]]]:
        """Return {person id: (system, token) of the records} of each person with several records."""
        found = defaultdict(set)
        for person, system, subject in self.trial.sql(
            "select person_id, system, subject from matching.person_records where valid_to is null"
        ):
            found[person].add((system, subject))
        return {person: records for person, records in found.items() if len(records) > 1}

    def are_one(self, *records: tuple[str, str]) -> bool:
        """Return whether the records (table, number) belong to one person and include all records of that person."""
        named = {
            ("raw_trial" if table == "clients" else "raw_twin", self.token(table, number)) for table, number in records
        }
        return named in self.people().values()


@pytest.fixture
def matched(trial: Trial) -> Records:
    return Records(trial)


ROBERT = ("1", None, "Robert", "Wrenfield", "rw@example.org", "WR1 2AB", "1971-03-14")


def test_a_person_is_matched_under_every_form_of_the_name(matched: Records) -> None:
    matched.put(
        "clients",
        ROBERT,
        ("2", "9434765919", "Margaret", "Teasel", None, "WR5 5AA", "1948-11-02"),
        ("3", None, "Imogen", "Kestrelham", None, "WR3 3AA", "1990-04-09"),
        ("4", "9434765870", "Alfie", "Lapworth", None, "WR9 8AA", "2017-05-20"),
    )
    matched.put(
        "members",
        ("1", None, "Mr Bob", "WRENFEILD", None, "WR1 2AB", "1971-03-14"),  # short form, two letters swapped
        ("2", "943 476 5919", "Peggy", "Smith", None, "B60 1AA", "1948-11-02"),  # moved and married; same NHS number
        ("3", None, "Imogen", "Kestrelham", None, "WR3 3AA", "1990-09-04"),  # the American date format
        ("4", "943 476 5870", "Alfred", "Honeybourne", None, "B97 4AA", "2017-05-20"),  # a child with a new family
    )
    found = matched.match()
    assert (found.records, found.people, found.new_people) == (68, 64, 64)
    for number in ("1", "2", "3", "4"):
        assert matched.are_one(("clients", number), ("members", number))
    methods = matched.trial.sql(
        "select system, matched_by, match_probability > 0.95 from matching.person_records where subject = any(%s)",
        ([matched.token("members", number) for number in ("1", "2")],),
    )
    assert sorted(methods) == [("raw_twin", "number", True), ("raw_twin", "similarity", True)]
    clear = "wrenf|robert|bob|teasel|peggy|9434765919|wr1"
    for table in ("person_records", "pairs", "decisions"):
        assert matched.trial.sql(f"select count(*) from matching.{table} as t where t::text ~* %s", (clear,)) == [(0,)]


def test_similar_records_of_two_people_are_not_matched(matched: Records) -> None:
    """Twins, a couple, father and son, and two people with different NHS numbers."""
    matched.put(
        "clients",
        ("1", None, "Harry", "Sorrelby", "s@example.org", "WR2 2AA", "2012-05-05"),
        ("2", None, "Una", "Plover", "p@example.org", "WR4 4AA", "1960-01-02"),
        ("3", None, "John", "Medlar", None, "WR6 6AA", "1955-08-08"),
        ("4", "9434765919", "Ann", "Osier", None, "WR7 7AA", "1980-02-03"),
    )
    matched.put(
        "members",
        ("1", None, "Oscar", "Sorrelby", "s@example.org", "WR2 2AA", "2012-05-05"),
        ("2", None, "Ulf", "Plover", "p@example.org", "WR4 4AA", "1961-11-12"),
        ("3", None, "John", "Medlar", None, "WR6 6AA", "1985-10-21"),
        ("4", "9434765870", "Ann", "Osier", None, "WR7 7AA", "1980-02-03"),
    )
    matched.match()
    assert matched.people() == {}


def test_twins_of_one_system_with_similar_forenames_are_not_matched(matched: Records) -> None:
    matched.put(
        "clients",
        ("1", None, "Jayden", "Sorrelby", "s@example.org", "WR2 2AA", "2012-05-05"),
        ("2", None, "Hayden", "Sorrelby", "s@example.org", "WR2 2AA", "2012-05-05"),
    )
    matched.match()
    assert matched.people() == {}


@pytest.mark.parametrize(
    ("numbers", "are_one"),
    [(("A", "B"), False), (("A", "A"), True), (("AB", "B"), True), (("A", ""), True)],
    ids=["two numbers", "one number", "a former number", "no number"],
)
@pytest.mark.parametrize("kind", ["upns", "ninos"])
def test_two_different_numbers_of_a_kind_wait_for_a_steward(kind: str, numbers: tuple[str, str], are_one: bool) -> None:
    systems = ("raw_capita", "raw_trial")
    records = [
        matching.Record(system, system, [None], ["2012-05-05"], **{kind: list(held)})
        for system, held in zip(systems, numbers, strict=True)
    ]
    group, _, undecided = matching._group(records, [Pair(0, 1, 0.9999, False)], [])
    assert (group[0] == group[1], len(undecided)) == (are_one, not are_one)


def test_records_with_one_number_and_two_birth_dates_wait_for_a_steward(matched: Records) -> None:
    matched.put("clients", ("1", "9434765919", "Ann", "Osier", None, "WR7 7AA", "1980-02-03"))
    matched.put("members", ("1", "9434765919", "Ann", "Osier", None, "WR7 7AA", "1955-08-21"))
    assert matched.match().pairs_to_decide == 1
    assert matched.people() == {}


def test_a_person_id_is_stable_and_stays_with_most_records_after_a_split(matched: Records) -> None:
    matched.put("clients", ROBERT)
    first = matched.match()
    before = dict(matched.trial.sql("select subject, person_id from matching.person_records"))
    assert first.new_people == first.people == len(before) == 61
    again = matched.match()
    assert (again.new_people, again.moved_records, again.changed_at) == (0, 0, first.changed_at)

    matched.put("members", ("7", *ROBERT[1:]), ("8", None, "Bob", *ROBERT[3:]))
    joined = matched.match()
    assert (joined.people, joined.new_people, joined.moved_records) == (61, 0, 0)
    (person,) = matched.people()
    assert person == before[matched.token("clients", "1")]

    with matched.connection() as connection:
        one, other = matched.token("clients", "1"), matched.token("members", "7")
        matching.decide(connection, one, other, False, "two cousins", "a steward")
        with pytest.raises(VaultError, match="Matching does not know both"):
            matching.decide(connection, one, "k1_nobody", True, "a slip", "a steward")
    split = matched.match()
    assert (split.people, split.new_people, split.moved_records) == (62, 1, 1)
    assert list(matched.people()) == [person], "two of three records keep the id"
    assert not matched.are_one(("clients", "1"), ("members", "7"), ("members", "8"))

    with matched.connection() as connection:
        assert matching.withdraw(connection, other, one) == 1
    assert matched.match().people == 61, "a decision can be withdrawn"
    assert list(matched.people()) == [person]
    history = matched.trial.sql(
        "select count(*), count(valid_to) from matching.person_records where subject = %s", (one,)
    )
    assert history[0][0] - history[0][1] == 1, "the person that a record belonged to stays recorded"


def test_a_steward_decision_joins_two_people(matched: Records) -> None:
    matched.put("clients", ROBERT)
    matched.put("members", ("7", None, "Robert", "Elsewhere", None, "DY1 1AA", None))
    assert matched.match().people == 62
    persons = "select subject, person_id from matching.person_records where valid_to is null order by 1"
    before = matched.trial.sql(persons)
    with matched.connection() as connection:
        tokens = matched.token("clients", "1"), matched.token("members", "7")
        matching.decide(connection, *tokens, True, "he came in with his marriage certificate", "a steward")
    assert matched.match().people == 61
    assert matched.are_one(("clients", "1"), ("members", "7"))
    assert ("steward",) in matched.trial.sql("select matched_by from matching.person_records where valid_to is null")
    with matched.connection() as connection:
        matching.withdraw(connection, *tokens)
    assert matched.match().new_people == 0
    assert matched.trial.sql(persons) == before, "both people have their ids of before the decision"


def test_erased_people_are_not_matched_and_a_key_rotation_changes_no_person(matched: Records) -> None:
    matched.put("clients", ROBERT)
    matched.put("members", ("7", None, "Bob", "Wrenfield", "rw@example.org", "WR2 2AA", "1971-03-14"))
    matched.match()
    with matched.connection() as connection:
        requests = SubjectRequests(connection, matched.systems)
        given = {"name": "Wrenfield", "postcode": "WR1 2AB"}
        alone, both = requests.find(given), requests.find(given, matched=True)
        assert matched.token("members", "7") in both - alone
        people = sorted(person for (person,) in matched.trial.sql("select person_id from matching.person_records"))
        vault.rotate_key(connection, matched.systems)
        assert matched.match().new_people == 0
        assert people == sorted(p for (p,) in matched.trial.sql("select person_id from matching.person_records"))
        requests = SubjectRequests(connection, matched.systems)
        erased = requests.find(given, matched=True)
        requests.erase(erased, "IG-1", "somebody")
    left = matched.trial.sql("select count(*) from matching.person_records where subject = any(%s)", (sorted(erased),))
    assert left == [(0,)]


def test_clear_values_never_reach_a_disk() -> None:
    with memory_database() as database:
        assert database.execute("select current_setting('temp_directory')").fetchone() == ("",)
        database.execute("set memory_limit = '20MB'")
        with pytest.raises(duckdb.OutOfMemoryException):
            database.execute("create table much as select md5(n::text) as text from range(5000000) as r (n)")


def test_matched_people_equal_the_truth_of_the_demo_county(
    warehouse: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(psycopg2.connect(warehouse.url)) as connection, connection.cursor() as cursor:
        monkeypatch.setenv("WAREHOUSE_HOME", str(warehouse.home))
        tables = {table.label: table for system in read_contracts().values() for table in system.tables}
        scores = score_people(cursor, tables, truth(cursor, warehouse.home, "records", tables))
    whole = scores[0]
    assert whole["pairs"] > 200
    assert float(whole["precision %"]) > 98
    assert float(whole["recall %"]) > 95
    assert warehouse.sql("select count(*) from citizen.dim_persons") == warehouse.sql(
        "select count(distinct person_id) from matching.person_records where valid_to is null"
    )
    shared = "select count(*) from citizen.fct_involvements where person_key in (select person_key from adult_care.{})"
    assert warehouse.sql(shared.format("fct_care_events")) == [(0,)], "keys of one set match no key of another set"


def test_readers_of_open_records_see_nobody_known_to_childrens_services(warehouse: Warehouse) -> None:
    reader = warehouse("url", "--reader", "pbi_citizen_open").strip()
    seen = warehouse.sql("select distinct restriction from citizen_open.fct_involvements", url=reader)
    assert seen == [("open",)]
    children = "select count(*) from {}.fct_involvements where service_area_name = 'Children and families'"
    assert warehouse.sql(children.format("citizen_open"), url=reader) == [(0,)]
    assert warehouse.sql(children.format("citizen"))[0][0] > 0
