"""Ages on the day of an event are calculated at extraction, and dates of birth are not loaded with them."""

from copy import deepcopy
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pytest
from pydantic import ValidationError

from ingestion.ages import completed_years
from ingestion.tables import conform
from tests.support import Trial, trial_system

BASIS = {"lawful_basis": "UK GDPR article 6(1)(e)"}
PEOPLE = {
    "name": "people", "columns": {"number": "bigint", "born": "date", "changed": "timestamptz"}, "load": "merge",
    "key": ["number"], "cursor": "changed", "subject": "number",
    "identifiers": {"number": "person_number", "born": "date_of_birth"},
}  # fmt: skip
EVENTS = {
    "name": "events", "columns": {"id": "bigint", "number": "bigint", "at": "timestamptz", "age": "bigint",
    "changed": "timestamptz"}, "load": "merge", "key": ["id"], "cursor": "changed", "subject": "number",
    "identifiers": {"number": "person_number"}, "privacy": {"age": "personal"},
    "column_keys": {"age": {"age": {"born": "people.born", "at": "at"}}},
}  # fmt: skip


@pytest.mark.parametrize(
    ("born", "moment", "age"),
    [
        (date(2008, 5, 20), date(2026, 5, 19), 17),
        (date(2008, 5, 20), date(2026, 5, 20), 18),
        (date(2008, 2, 29), date(2025, 2, 28), 16),
        (date(2008, 2, 29), date(2025, 3, 1), 17),
        (date(2008, 2, 29), date(2024, 2, 29), 16),
        (date(2026, 5, 20), date(2026, 5, 20), 0),
        (date(2026, 5, 20), date(2026, 5, 19), None),
        (date(1900, 1, 1), date(2026, 5, 19), None),  # no date of birth
        (date(1899, 12, 30), date(2026, 5, 19), None),
        (None, date(2026, 5, 19), None),
        (date(2008, 5, 20), None, None),
        (date(2010, 7, 1), datetime(2025, 6, 30, 22, 59, tzinfo=UTC), 14),
        (date(2010, 7, 1), datetime(2025, 6, 30, 23, 0, tzinfo=UTC), 15),  # summer time: 1 July in the United Kingdom
        (date(2010, 1, 1), datetime(2024, 12, 31, 23, 59, tzinfo=UTC), 14),
    ],
)
def test_a_year_of_age_is_complete_on_the_birthday(born: date | None, moment: date | None, age: int | None) -> None:
    kind = pa.timestamp("us", "UTC") if isinstance(moment, datetime) else pa.date32()
    births, moments = pa.chunked_array([[born]], pa.date32()), pa.chunked_array([[moment]], kind)
    assert completed_years(births, moments, "Europe/London").to_pylist() == [age]


def test_a_file_with_dates_of_birth_has_ages_in_its_rows() -> None:
    columns = {"number": "bigint", "born": "date", "on_day": "date", "age": "bigint"}
    keys = {"age": {"age": {"born": "born", "at": "on_day"}}, "born": {"format": ["%d/%m/%Y"]}}
    table = PEOPLE | {"columns": columns, "privacy": {"age": "personal"}, "column_keys": keys, "files": "*.csv"}
    table |= {"cursor": None}
    system = trial_system(table, kind="files", **BASIS)
    batch = pa.table({"number": ["1", "2"], "born": ["20/05/2008", None], "on_day": ["2026-05-19", "2026-05-19"]})
    rows, rejects = conform(system.tables[0], batch, "people.csv")
    assert (rows.column_names, rejects) == (["number", "born", "on_day", "age"], [])
    assert rows["age"].to_pylist() == [17, None]


def test_a_corrected_date_of_birth_changes_the_ages_of_earlier_events(trial: Trial) -> None:
    trial.source("create table people (number bigint primary key, born date, changed timestamp)")
    trial.source("create table events (id bigint primary key, number bigint, at timestamp, changed timestamp)")
    born = "(1, '2008-05-20', '2026-06-01'), (2, null, '2026-06-01'), (3, '2010-07-01', '2026-06-01')"
    trial.source(f"insert into people values {born}")
    days = [(1, "2026-05-19 12:00"), (1, "2026-05-20"), (2, "2026-05-20"), (3, "2025-07-01 00:30"), (9, "2026-01-01")]
    for number, (person, moment) in enumerate(days, 1):
        trial.source("insert into events values (%s, %s, %s, '2026-06-02')", (number, person, moment))
    _, events = trial.load(PEOPLE, EVENTS, **BASIS)
    ages = "select id, age from raw_trial.events order by id"
    assert (events.total, trial.sql(ages)) == (5, [(1, 17), (2, 18), (3, None), (4, 15), (5, None)])
    stored = "select attname from pg_attribute where attrelid = 'raw_trial_store.events'::regclass and attnum > 0"
    assert {name for (name,) in trial.sql(stored)} >= set(EVENTS["columns"])
    assert not {name for (name,) in trial.sql(stored)} & {"born", "born_month", "age_month", "age_fault"}
    trial.source("update people set born = '2008-05-19', changed = '2026-06-03' where number = 1")
    trial.source("insert into events values (6, 3, '2026-07-01', '2026-06-02')")
    _, events = trial.load(PEOPLE, EVENTS, **BASIS)
    assert trial.sql(ages) == [(1, 18), (2, 18), (3, None), (4, 15), (5, None), (6, 16)]
    assert (events.total, events.quarantined) == (6, 0)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"born": "people.number"}, "not a column of kind date_of_birth"),
        ({"born": "nobody.born"}, "not a column of kind date_of_birth"),
        ({"at": "number"}, "a declared date or timestamptz"),
        ({"at": "when"}, "a declared date or timestamptz"),
        ({"type": "text"}, "is a bigint of privacy class personal"),
        ({"people": {"key": ["born"]}}, "a table whose key is its `subject`"),
        ({"people": {"cursor": None}}, "needs a cursor too"),
    ],
)
def test_an_age_names_a_date_of_birth_and_a_day(change: dict[str, Any], problem: str) -> None:
    people, events = deepcopy(PEOPLE) | change.pop("people", {}), deepcopy(EVENTS)
    if kind := change.pop("type", None):
        events["columns"]["age"] = kind
    events["column_keys"]["age"]["age"] |= change
    with pytest.raises(ValidationError, match=problem):
        trial_system(people, events, **BASIS)
