"""Pseudonymisation at extraction: what loads where, what the vault key protects, and that no clear value stays."""

import os
import re
from contextlib import closing
from pathlib import Path
from typing import get_args

import psycopg2
import pyarrow as pa
import pytest
from cryptography.exceptions import InvalidTag

from ingestion.contracts import SourceError
from ingestion.formats import Identifier
from ingestion.privacy import NORMALISERS, PSEUDONYM_PATTERN, Keys
from tests.support import Trial, files_holding, trial_system
from warehouse import environment, vault
from warehouse.disposals import Retention

BASIS = {"lawful_basis": "UK GDPR article 6(1)(e) public task: trying"}
COLUMNS = {
    "person_no": "bigint",
    "nhs_no": "numeric(10,0)",
    "surname": "text",
    "born": "date",
    "postcode": "text",
    "phone": "text",
    "need": "text",
    "updated_at": "timestamptz",
}
IDENTIFIERS = {
    "person_no": "person_number",
    "nhs_no": "nhs_number",
    "surname": "name",
    "born": "date_of_birth",
    "postcode": "postcode",
    "phone": "telephone",
}
PEOPLE = {"name": "people", "load": "merge", "key": ["person_no"], "cursor": "updated_at", "subject": "person_no"}
PEOPLE |= {"columns": COLUMNS, "identifiers": IDENTIFIERS}
HUNDRED = """
    create table people (person_no bigint, nhs_no numeric(10), surname text, born date, postcode text, phone text,
        need text, updated_at timestamptz);
    insert into people
    select n, 9000000000 + n, 'Zyzzyva' || chr(n::int), date '1950-01-01' + n, 'ZZ' || n || ' 9ZZ', '01632 9' || n,
        'need ' || n, timestamptz '2026-01-01 00:00Z' + n * interval '1 hour' from generate_series(100, 199) as n;
    insert into people values (7, 0012345678, 'O''Zyzzyva', null, null, '+44 1632 960007', null, '2026-02-01')
"""


@pytest.fixture
def keys(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> Keys:
    """The keys of the trial's database."""
    with closing(psycopg2.connect(trial.url)) as connection, connection.cursor() as cursor:
        return Keys.current(cursor)


def decrypted(trial: Trial, table: dict = PEOPLE, system: str = "raw_trial") -> list[dict]:
    """Decrypt every identity record of a table with a login that has the right."""
    declared = trial_system(table, name=system, **BASIS).tables[0]
    with closing(psycopg2.connect(os.environ["VAULT_URL"])) as connection, connection.cursor() as cursor:
        found = vault.decrypted_identities(connection, declared, Keys.current(cursor))
        return [row for records in found for row in records.to_pylist()]


def test_identifiers_load_as_tokens_and_are_encrypted_in_the_vault(trial: Trial) -> None:
    trial.source(HUNDRED)
    (result,) = trial.load(PEOPLE, **BASIS)
    assert result.rows == result.total == 101
    rows = trial.sql("select person_no, nhs_no, surname, born, postcode, phone, need from raw_trial.people")
    assert len({row[0] for row in rows}) == 101
    for row in rows:
        assert all(value is None or re.fullmatch(PSEUDONYM_PATTERN, value) for value in row[:6])
    assert sorted(row[6] for row in rows if row[6]) == sorted(f"need {n}" for n in range(100, 200))
    people = {row["person_no"]: row for row in decrypted(trial)}
    assert len(people) == 101
    assert people["7"]["surname"] == "O'Zyzzyva"
    assert people["142"] == {
        "person_no": "142",
        "nhs_no": "9000000142",
        "surname": "Zyzzyva\x8e",
        "born": "1950-05-23",
        "postcode": "ZZ142 9ZZ",
        "phone": "01632 9142",
    }


def test_no_clear_identifier_is_written_to_disk(trial: Trial, tmp_path: Path) -> None:
    """Search tables and write-ahead log of the server and the folder of dlt: values are encrypted before any write."""
    lines = ["person_no,nhs_no,surname,born,postcode,phone,need,updated_at"]
    lines += [f"{n},{6_120_947_000 + n},Qwrtpl{n},1903-08-17,XQ{n} 9XX,0999 888{n},none,2026-01-01" for n in range(100)]
    lines += [
        ",6120947777,Qwrtpl without number,,,,none,2026-01-01",
        "778,6120947778,Qwrtpl with \x00,,,,none,2026-01-01",
    ]
    (tmp_path / "people.csv").write_text("\n".join(lines) + "\n")
    people = PEOPLE | {"files": "people.csv", "control_totals": []}
    (result,) = trial.load(people, at=str(tmp_path), kind="files", **BASIS)
    assert (result.rows, result.quarantined) == (100, 2)
    trial.sql("checkpoint")
    folders = [trial.home, tmp_path, Path(trial.sql("show data_directory")[0][0])]
    clear = (b"Qwrtpl", b"6120947", b"1903-08-17", b"XQ42 9XX", b"0999 888")
    assert files_holding(folders, *clear) == {tmp_path / "people.csv"}
    assert any(path.parent.name == "pg_wal" for path in files_holding(folders, b"vault")), "the log is searched"


def test_a_quarantined_row_is_encrypted_and_can_be_retried(trial: Trial) -> None:
    trial.source(
        HUNDRED.replace("nhs_no numeric(10)", "nhs_no text")
        + "; update people set nhs_no = 'unknown' where person_no = 142"
    )
    (result,) = trial.load(PEOPLE, **BASIS)
    assert (result.rows, result.quarantined) == (100, 1)
    ((content, key),) = trial.sql("select content::text, key from quarantine.rows")
    assert "unknown" not in content
    assert re.fullmatch(PSEUDONYM_PATTERN, key)
    columns = COLUMNS | {"nhs_no": "text"}
    (result,) = trial.load(PEOPLE | {"columns": columns}, redrive=True, **BASIS)
    assert result.rows == 1
    assert {row["person_no"] for row in decrypted(trial)} >= {"142", "7"}
    assert trial.sql("select count(*) from raw_trial.people") == [(101,)]


def test_the_same_person_has_the_same_token_in_every_system(trial: Trial) -> None:
    trial.source(HUNDRED)
    trial.source(
        "create table pupils (pupil_no text, nhs text, family_name text, tel text, since date); insert into pupils "
        "values ('0142', ' 900 000 0142', 'ZYZZYVA\x8e ', '+44 (0)1632 9142', null), "
        "('9', '0012345678', 'o''zyzzyva', null, null)"
    )
    pupils = {
        "name": "pupils",
        "load": "replace",
        "subject": "nhs",
        "columns": {"pupil_no": "text", "nhs": "text", "family_name": "text", "tel": "text"},
        "left_out": ["since"],
        "identifiers": {"pupil_no": "person_number", "nhs": "nhs_number", "family_name": "name", "tel": "telephone"},
    }
    trial.load(PEOPLE, **BASIS)
    trial.load(pupils, name="raw_twin", **BASIS)
    joined = (
        "select count(*), count(*) filter (where surname = family_name), count(*) filter (where phone = tel), "
        "count(*) filter (where person_no = pupil_no) from raw_trial.people inner join raw_twin.pupils on nhs_no = nhs"
    )
    assert trial.sql(joined) == [(2, 2, 1, 0)], "each system has its own person numbers"


def test_the_vault_changes_with_the_rows(trial: Trial) -> None:
    people = {name: value for name, value in PEOPLE.items() if name != "cursor"}
    trial.source(HUNDRED)
    trial.load(people, **BASIS)
    trial.source(
        "delete from people where person_no = 100; update people set surname = 'Married' where person_no = 142"
    )
    trial.load(people, **BASIS)
    with closing(psycopg2.connect(os.environ["LOADER_URL"])) as connection:
        Retention(connection, [trial_system(people, **BASIS)]).dispose_of_expired()
    names = {row["person_no"]: row["surname"] for row in decrypted(trial, people)}
    assert (len(names), names["142"], "100" in names) == (100, "Married", False)
    assert trial.sql("select count(*) from vault.identities") == trial.sql("select count(*) from vault.data_keys")
    (result,) = trial.load(people, **BASIS)
    assert result.rows == 0


def test_no_clear_value_stays_when_a_column_becomes_an_identifier(trial: Trial) -> None:
    plain = {name: value for name, value in PEOPLE.items() if name not in ("identifiers", "subject")}
    trial.source(HUNDRED)
    trial.load(plain, **BASIS)
    trial.load(PEOPLE, **BASIS)
    assert trial.sql(f"select count(*) from raw_trial.people where surname !~ '{PSEUDONYM_PATTERN}'") == [(0,)]
    assert trial.sql("select count(*) from raw_trial.people") == [(101,)]


def test_a_history_table_is_refused_when_a_column_becomes_an_identifier(trial: Trial) -> None:
    plain = {name: value for name, value in PEOPLE.items() if name not in ("identifiers", "subject")}
    history = {"load": "history", "name": "people"}
    trial.source(HUNDRED)
    trial.load(plain | history, **BASIS)
    with pytest.raises(SourceError, match="is an identifier now, but rows loaded earlier hold clear values"):
        trial.load(PEOPLE | history, **BASIS)


def test_undeclared_columns_of_people_are_reported_and_not_loaded(trial: Trial) -> None:
    trial.source(HUNDRED)
    trial.source("alter table people add nickname text default 'Zyzzyva the third'")
    (result,) = trial.load(PEOPLE, **BASIS)
    assert result.new_columns == ["nickname"]
    assert trial.sql("select count(nickname), count(*) from raw_trial_store.people") == [(0, 101)]


def test_a_column_that_is_declared_later_is_filled_for_every_row(trial: Trial) -> None:
    trial.source(HUNDRED + "; update people set need = 'A need'")
    columns = {name: kind for name, kind in COLUMNS.items() if name != "need"}
    assert trial.load(PEOPLE | {"columns": columns}, **BASIS)[0].new_columns == ["need"]
    assert trial.load(PEOPLE, **BASIS)[0].rows == 101
    assert trial.sql("select count(need), count(*) from raw_trial.people") == [(101, 101)]


def test_nothing_loads_without_the_vault_key_or_with_another(trial: Trial, keys: Keys) -> None:
    trial.source(HUNDRED)
    file, put_away = Keys.file(), Keys.file().with_suffix(".away")
    file.rename(put_away)
    try:
        with pytest.raises(SourceError, match="no vault key in "):
            trial.load(PEOPLE, **BASIS)
        Keys.write({keys.version: Keys.generate(keys.version)})
        with pytest.raises(SourceError, match=f"does not hold this database's vault key .*{keys.fingerprint}"):
            trial.load(PEOPLE, **BASIS)
    finally:
        put_away.rename(file)
    assert trial.sql("select to_regclass('raw_trial.people')") == [(None,)]
    assert file.stat().st_mode & 0o777 == 0o400
    assert trial.load(PEOPLE, **BASIS)[0].rows == 101


def test_a_rotation_replaces_every_token_and_keeps_every_join(trial: Trial, keys: Keys) -> None:
    history = PEOPLE | {"name": "moves", "load": "history"}
    trial.source(HUNDRED + "; create table moves as select * from people; insert into people values "
                 "(null, 9000000142, 'Zyzzyva', null, null, null, null, now())")  # fmt: skip
    trial.load(PEOPLE, history, **BASIS)
    joins = (
        "select count(*), count(distinct p.postcode), max(p.need) from raw_trial.people as p "
        "inner join raw_trial.moves as m on p.person_no = m.person_no and p.nhs_no = m.nhs_no "
        "and p.surname = m.surname and p.born is not distinct from m.born"
    )
    before, clear = trial.sql(joins), sorted(map(str, decrypted(trial)))
    assert before[0][0] == 101
    system = trial_system(PEOPLE, history, **BASIS)
    with closing(psycopg2.connect(trial.url)) as connection:
        assert vault.rotate_key(connection, [system]) == {"raw_trial.people": 101, "raw_trial.moves": 101}
    assert trial.sql(joins) == before
    assert sorted(map(str, decrypted(trial))) == clear
    assert list(Keys.read_all()) == [keys.version + 1]
    for column in IDENTIFIERS:
        for table in ("people", "moves"):
            query = f"select count(*) from raw_trial.{table} where {column} !~ '^k{keys.version + 1}_'"
            assert trial.sql(query) == [(0,)]
    salt, ciphertext = trial.sql(
        "select salt, encrypted from vault.identities inner join vault.data_keys using (record_id)"
    )[0]
    with pytest.raises(InvalidTag):
        keys.decrypt(bytes(salt), bytes(ciphertext))
    ((content,),) = trial.sql("select content from quarantine.rows where column_name = 'person_no'")
    assert Keys.read_all()[keys.version + 1].decrypt_content(content)["surname"] == "Zyzzyva"
    assert [result.rows for result in trial.load(PEOPLE, history, **BASIS)] == [0, 0], "loads continue as before"


def test_a_rotation_with_an_unknown_token_changes_nothing(trial: Trial, keys: Keys) -> None:
    trial.source(HUNDRED)
    trial.load(PEOPLE, **BASIS)
    trial.sql("delete from vault.identities where record_id in (select min(record_id) from vault.identities)")
    before = trial.sql("select sum(hashtext(p::text)) from raw_trial.people as p")
    with (
        closing(psycopg2.connect(trial.url)) as connection,
        pytest.raises(vault.VaultError, match=r"people: 1 rows have"),
    ):
        vault.rotate_key(connection, [trial_system(PEOPLE, **BASIS)])
    assert trial.sql("select sum(hashtext(p::text)) from raw_trial.people as p") == before
    with closing(psycopg2.connect(trial.url)) as connection, connection.cursor() as cursor:
        assert Keys.current(cursor).version == keys.version
    token = trial.sql("select min(tokens[1]) from vault.identities")[0][0]
    caseworker = environment.connect(environment.reader_url("ig_caseworker"))
    assert len(list(vault.reidentify(caseworker, token, "a reason in words", "IG-1"))) == 1


def test_only_the_matching_service_reads_the_vault(trial: Trial) -> None:
    trial.source(HUNDRED)
    trial.load(PEOPLE, **BASIS)
    assert trial.sql("select count(encrypted) from vault.identities", role="svc_match") == [(101,)]
    for role in ("svc_loader", "svc_dbt", "svc_dagster", "read_highways"):
        for query in ("select encrypted from vault.identities", "select salt from vault.data_keys"):
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                trial.sql(query, role=role)


@pytest.mark.parametrize(
    ("kind", "spellings"),
    [
        ("nhs_number", ["0012345678", "12345678", "001 234 5678", "001-234-5678"]),
        ("nino", ["QQ123456C", "qq 12 34 56 c"]),
        ("upn", ["H801200001001", " h801200001001 "]),
        ("utr", ["1955839661", "19558 39661 K"]),
        ("uprn", ["000990000012345", "990000012345 "]),
        ("employee_number", ["00456", "456", "456 "]),
        ("name", ["Zoë O'Connor-Smith", "ZOË OCONNOR SMITH", "zoe\u0308 o\u2019connor smith"]),
        ("address", ["1 The Smith Street, Worcester", "1, THE SMITH STREET WORCESTER"]),
        ("postcode", ["WR5 2NP", "wr52np"]),
        ("email", ["A.Person@Example.org", " a.person@example.org"]),
        ("telephone", ["01632 960001", "+441632960001", "0044 1632 960 001", "+44 (0) 1632 960001"]),
    ],
)
def test_every_form_of_a_value_has_the_same_token(kind: str, spellings: list[str]) -> None:
    table = trial_system(
        {"name": "t", "load": "replace", "subject": "x", "columns": {"x": "text"}, "identifiers": {"x": kind}}, **BASIS
    ).tables[0]
    keys = Keys(1, bytes(32))
    made = keys.tokens(table.columns[0], table, pa.chunked_array([[*spellings, "", "  ", None, "another 12"]]))
    assert len(set(made[: len(spellings)].to_pylist())) == 1
    assert made[len(spellings) : -1].to_pylist() == [None] * 3
    assert made[-1] != made[0]
    assert {*NORMALISERS, "address"} == set(get_args(Identifier))
