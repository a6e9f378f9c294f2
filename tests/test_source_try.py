"""`warehouse source try`: what a sample of a source shows, without a warehouse and without values of identifiers."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from commands.main import main
from ingestion.scaffold import add_source
from tests.support import Trial, bare_environment, environment_of

PERSON = "999 123 4567"  # an NHS number of the range that is never issued


@pytest.fixture
def staging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "staging"
    monkeypatch.setattr("ingestion.sampling.STAGING", folder)
    return folder


def try_source(tmp_path: Path, *words: str, **variables: str) -> Result:
    """Run the command without a warehouse: WAREHOUSE_HOME does not exist and must not be made."""
    home = tmp_path / "home"
    with environment_of(bare_environment(WAREHOUSE_HOME=str(home), **variables)):
        result = CliRunner().invoke(main, ["source", "try", "trial", *words], prog_name="warehouse")
    assert not home.exists()
    return result


def lines(result: Result) -> list[str]:
    return [" ".join(line.split()) for line in result.output.splitlines()]


def decide(staging: Path, *decisions: tuple[str, str]) -> None:
    """Change the text of the contract."""
    contract = staging / "trial/_trial__sources.yml"
    text = contract.read_text(encoding="utf-8")
    for before, after in decisions:
        assert before in text
        text = text.replace(before, after)
    contract.write_text(text, encoding="utf-8")


def test_a_file_is_tried_before_the_contract_is_complete(tmp_path: Path, staging: Path) -> None:
    landing = tmp_path / "landing"
    landing.mkdir()
    file = landing / "visits.csv"
    file.write_text(f"Id,NHS,Fee,Day\n1,{PERSON},1.50,2026-07-01\n2,943 476 5919,2.00,2026-07-02\n", encoding="utf-8")
    add_source("trial", str(landing), staging=staging)
    result = try_source(tmp_path, TRIAL_LANDING=str(landing))
    assert result.exit_code == 0, result.output
    assert lines(result) == [
        "raw_trial.visits: 2 rows read, 0 rejected",
        "column type nulls distinct lowest highest rule violations",
        "id bigint 0 2",
        "nhs text 0 2",
        "fee numeric(18,2) 0 2",
        "day date 0 2",
    ]

    meta = "description: TODO\n            config: {meta: {privacy: "
    decide(
        staging,
        ("privacy: TODO", "privacy: none"),
        (f"text\n            {meta}none", f"text\n            {meta}identifier, identifier: nhs_number"),
        ("load: replace", "load: replace\n            subject: nhs"),
    )
    with file.open("a", encoding="utf-8") as output:
        output.write("2,,2.5,2026-07-03\n3,,lots,2026-07-04\n4,,1,31/07/2026\n")
    result = try_source(tmp_path, TRIAL_LANDING=str(landing))
    assert result.exit_code == 1
    assert PERSON not in result.output
    assert lines(result) == [
        "raw_trial.visits: 5 rows read, 2 rejected",
        "Rejected: fee: not numeric(18,2): 1 row (first: visits.csv row 4)",
        "Rejected: day: not date: 1 row (first: visits.csv row 5)",
        "column type nulls distinct lowest highest rule violations",
        "id bigint 0 2 1 2",
        "nhs text 1 2 NHS02: 1",
        "fee numeric(18,2) 0 3 1.50 2.50",
        "day date 0 3 2026-07-01 2026-07-03",
    ]


def test_a_database_is_tried_up_to_the_number_of_rows(trial: Trial, tmp_path: Path, staging: Path) -> None:
    trial.source(
        "create table loans (id int primary key, title text, place point, lent timestamp); "
        "insert into loans select n, 'Book ' || n, '(1,2)', '2026-07-01 12:00' from generate_series(1, 500) n;"
        "create table broken (id int); insert into broken values (1)"
    )
    add_source("trial", trial.place, staging=staging)
    decide(staging, ("privacy: TODO", "privacy: none"))
    trial.source("alter table broken rename column id to other")
    url = trial.place.replace("postgresql://", "postgresql+psycopg2://")
    result = try_source(tmp_path, "--rows", "100", TRIAL_URL=url)
    assert result.exit_code == 1
    assert lines(result) == [
        "raw_trial.broken: 0 rows read, 0 rejected",
        "Problem: raw_trial: raw_trial.broken: no column id. Was it renamed or removed? Undeclared columns: other. "
        "Nothing was loaded",
        "raw_trial.loans: 100 rows read, 0 rejected",
        "column type nulls distinct lowest highest rule violations",
        "id bigint 0 100 1 100",
        "title text 0 100 Book 1 Book 99",
        "place text 0 1 (1,2) (1,2)",
        "lent timestamptz 0 1 2026-07-01 11:00:00+00:00 2026-07-01 11:00:00+00:00",
    ]
    only = try_source(tmp_path, "--table", "loans", TRIAL_URL=url)
    assert (only.exit_code, lines(only)[0]) == (0, "raw_trial.loans: 500 rows read, 0 rejected")
    assert "no table lost" in str(try_source(tmp_path, "--table", "lost", TRIAL_URL=url).output)
    assert trial.sql("select count(*) from governance.load_audit") == [(0,)]


def test_a_contract_that_does_not_exist_is_refused(tmp_path: Path, staging: Path) -> None:
    result = try_source(tmp_path)
    assert result.exit_code == 1
    assert "Write a first contract with `warehouse source add trial`" in result.output
