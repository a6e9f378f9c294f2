"""Errors without values: only who has the vault key can read what a driver, Arrow, dbt or Postgres says of a value."""

import json
import os
import re
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg2
import pyarrow as pa
import pymysql
import pytest
from python_calamine import CalamineError

from ingestion import errors
from ingestion.contracts import SourceError
from ingestion.errors import describe, kept
from ingestion.privacy import Keys
from tests.support import Trial, Warehouse

VALUE = "FT09 Zebedee Quxworthy 07700 900461 zebedee.quxworthy@example.org"
LEAK = re.compile("zebedee|quxworthy|900461|example.org|ft09", re.IGNORECASE)
LONG_LEAK = re.compile("zebedee|quxworthy|900461|example.org", re.IGNORECASE)  # encrypted text has "ft09" by chance


class OdbcError(Exception):
    """The form of pyodbc's errors: SQLSTATE and text."""


class AdbcError(Exception):
    sqlstate = "22P02"


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A working folder with a vault key."""
    monkeypatch.setenv("WAREHOUSE_HOME", str(tmp_path))
    monkeypatch.delenv("VAULT_KEY_FILE", raising=False)
    Keys.write({1: Keys.generate(1)})


def raised(function: Callable[[], object]) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011  any error
        function()
    return caught.value


SERVER = "[Microsoft][ODBC Driver 18][SQL Server]"
ERRORS = {
    "adbc in Arrow's stream": OSError(f'[libpq] Execution: ERROR: invalid input syntax for type integer: "{VALUE}"'),
    "adbc": AdbcError(f'INVALID_ARGUMENT: ERROR:  invalid input syntax for type date: "{VALUE}"\n. SQLSTATE: 22P02'),
    "pymysql 1292": pymysql.err.DataError(1292, f"Truncated incorrect INTEGER value: '{VALUE}'"),
    "pymysql 1366": pymysql.err.DataError(1366, f"Incorrect integer value: '{VALUE}' for column 'age' at row 1"),
    "pymysql 1062": pymysql.err.IntegrityError(1062, f"Duplicate entry '{VALUE}' for key 'PRIMARY'"),
    "connectorx": RuntimeError(f"Server error: ERROR 22007 (1292): Truncated incorrect DOUBLE value: '{VALUE}'"),
    "connectorx panic": RuntimeError(f"cannot parse '{VALUE}' into i64"),
    "pyodbc": OdbcError("22018", f"{SERVER}Conversion failed when converting the varchar value '{VALUE}' to data "
                        "type int. (245) (SQLExecDirectW)"),
    "pyodbc 2628": OdbcError("22001", f"{SERVER}String or binary data would be truncated. Value: '{VALUE}'."),
    "oracledb": Exception(f"ORA-01722: unable to convert string value containing '{VALUE}' to a number"),
    "calamine": CalamineError(f"Cannot parse cell A1: '{VALUE}'"),
    "json": raised(lambda: json.loads(f'{{"name": {VALUE}}}')),
    "arrow parse": raised(lambda: pa.array([VALUE]).cast(pa.int64())),
    "arrow convert": raised(lambda: pa.array([1, VALUE], pa.int64())),
    "key": raised(lambda: {}[VALUE]),
    "int": raised(lambda: int(VALUE)),
    "header": UnicodeError(f"label empty or too long: {VALUE}"),
    "object with a quoted value": Exception(f'permission denied for table "{VALUE}"'),
}  # fmt: skip


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize("error", [pytest.param(error, id=name) for name, error in ERRORS.items()])
def test_an_error_shows_no_value_and_its_text_is_kept_encrypted(error: Exception, tmp_path: Path) -> None:
    shown = describe(error)
    reference = re.search(r"\[warehouse error (\w{8})\]$", shown)
    assert not LEAK.search(shown), shown
    assert shown.startswith(type(error).__name__)
    assert reference, shown
    file = tmp_path / "errors" / reference[1]
    assert str(error) in kept(reference[1])
    assert not LONG_LEAK.search(file.read_text())
    assert [stat.S_IMODE(path.stat().st_mode) for path in (file.parent, file)] == [0o700, 0o600]


@pytest.mark.usefixtures("keys")
def test_an_error_names_class_sqlstate_and_the_known_part_of_its_message() -> None:
    shown = {name: re.sub(r" \[.*", "", describe(error)) for name, error in ERRORS.items()}
    assert shown["adbc in Arrow's stream"] == "OSError: invalid input syntax for type integer"
    assert shown["adbc"] == "AdbcError (SQLSTATE 22P02): invalid input syntax for type date"
    assert shown["pyodbc"] == "OdbcError (SQLSTATE 22018): Conversion failed when converting the varchar value"
    assert shown["pymysql 1292"] == "DataError: Truncated incorrect INTEGER value"
    assert shown["arrow parse"] == "ArrowInvalid: Failed to parse string"
    assert shown["key"] == "KeyError"


@pytest.mark.parametrize(
    ("error", "shown"),
    [
        (SourceError("raw_x: 5 rows are missing"), "raw_x: 5 rows are missing"),
        (FileNotFoundError(2, "ignored", "/in/x.csv"), "FileNotFoundError: No such file or directory: /in/x.csv"),
        (OSError(28, "ignored"), "OSError: No space left on device"),
        (Exception("permission denied for table defect"), "Exception: permission denied for table defect"),
        (Exception('relation "raw_x.y" does not exist'), 'Exception: relation "raw_x.y" does not exist'),
        (
            psycopg2.OperationalError(
                'connection to server at "127.0.0.1", port 5432 failed: '
                'FATAL:  password authentication failed for user "x"\n'
            ),
            'OperationalError: connection to server at "127.0.0.1", port 5432 failed: '
            'password authentication failed for user "x"',
        ),
        (
            psycopg2.OperationalError(
                'connection to server at "localhost" (127.0.0.1), port 5432 failed: '
                "FATAL:  no pg_hba.conf entry, no encryption"
            ),
            'OperationalError: connection to server at "localhost" (127.0.0.1), port 5432 failed: '
            "no pg_hba.conf entry: no encryption",
        ),
        (Exception("deadlock detected"), "Exception: deadlock detected"),
        (Exception("Login failed for user 'reader'"), "Exception: Login failed for user 'reader'"),
    ],
)  # fmt: skip
def test_a_known_harmless_message_is_shown_whole(error: Exception, shown: str) -> None:
    assert describe(error) == shown


def test_an_error_without_a_vault_key_is_shown_and_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAREHOUSE_HOME", str(tmp_path))
    assert describe(ValueError(VALUE)) == "ValueError [text not kept: no vault key or no working folder]"
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.usefixtures("keys")
def test_kept_errors_are_deleted_after_30_days(tmp_path: Path) -> None:
    describe(ValueError(VALUE))
    (old,) = (tmp_path / "errors").iterdir()
    os.utime(old, (0, 0))
    describe(ValueError("other"))
    assert not old.exists()
    with pytest.raises(SourceError, match=f"no error is kept as {old.name}"):
        kept(old.name)
    with pytest.raises(SourceError, match="no error is kept"):
        kept("../vault.key")


STATEMENTS = [
    *(
        f"select %s::{kind}"
        for kind in ("int", "date", "json", "uuid", "inet", "numeric", "interval", "bit(3)", "regclass", "mood", "xml")
    ),
    "select set_config('TimeZone', %s, true)",
    "select %s ~ ('(' || %s)",
    "select to_date(%s, 'YYYY')",
    "do $$ begin execute {0}; end $$",
    "do $$ begin raise exception using message = {0}, errcode = '42501'; end $$",
    "do $$ begin raise exception using message = {0}, detail = 'PL/pgSQL function governance.x'; end $$",
    "insert into kept_values values (%s, 1, 1)",
    "insert into kept_values values (null, 1, 1), (%s, null, 1)",
    "insert into kept_values values (%s, 1, -1)",
    "insert into kept_values (short) values (%s)",
    "insert into other_values values ('Mr ' || %s)",
]


@pytest.mark.parametrize("statement", STATEMENTS)
def test_no_message_of_postgres_shows_a_value(trial: Trial, statement: str) -> None:
    trial.sql(
        "create type mood as enum ('ok'); create table kept_values (x text primary key, y int not null, "
        "z int check (z > 0), short varchar(3)); create table other_values (x text references kept_values); "
        f"insert into kept_values values ('{VALUE}', 1, 1)"
    )
    with closing(psycopg2.connect(trial.url)) as connection, connection.cursor() as cursor:
        values = [VALUE] * statement.count("%s") or None
        error = raised(lambda: cursor.execute(statement.format(f"'{VALUE}'"), values))
    shown = describe(error)
    assert not LEAK.search(shown), shown
    assert error.pgcode in shown


def test_a_failing_cast_in_a_source_shows_no_value(trial: Trial, capfd: pytest.CaptureFixture) -> None:
    trial.source(
        f"create table typed (x text); insert into typed values ('1'), ('{VALUE}'); "
        "create view items as select x::int as item from typed"
    )
    with pytest.raises(SourceError) as failed:
        trial.load({"name": "items", "load": "replace", "columns": {"item": "bigint"}})
    assert str(failed.value).startswith("raw_trial.items: extract failed (check TRIAL_AT): ")
    assert "invalid input syntax for type integer [warehouse error" in str(failed.value)
    assert not LEAK.search(str(failed.value) + "".join(capfd.readouterr()))
    reference = re.search(r"(\w{8})\]$", str(failed.value))
    assert reference
    assert VALUE in Warehouse(trial.home, WAREHOUSE_URL=trial.url)("error", reference[1])


def test_dbt_shows_and_logs_no_value(warehouse: Warehouse, tmp_path: Path) -> None:
    ((value,),) = warehouse.sql("select max(branch_name) from conformed.dim_branches")
    query = "select max(branch_name)::int as x from conformed.dim_branches"
    printed = warehouse.dbt("show", "--inline", query, "--log-path", str(tmp_path), expect=2)
    assert "invalid input syntax for type integer [warehouse error" in printed
    logged = (tmp_path / "dbt.log").read_text(encoding="utf-8")
    assert "invalid input syntax" in logged
    assert value not in printed + logged


def test_an_unexpected_error_of_a_command_shows_no_value(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: object) -> None:
        raise RuntimeError(VALUE)

    monkeypatch.setattr("warehouse.environment.prepare", fail)
    printed = Warehouse(trial.home, WAREHOUSE_URL=trial.url)("url", expect=1)
    assert printed.startswith("Error: Unexpected error: RuntimeError [warehouse error ")


def test_an_asset_that_fails_shows_no_value(trial: Trial) -> None:
    import dagster as dg

    from orchestration.failures import plain_failures

    @dg.asset
    @plain_failures
    def one(context: dg.AssetExecutionContext) -> None:
        raise RuntimeError(VALUE)

    @dg.multi_asset(specs=[dg.AssetSpec("two")])
    @plain_failures
    def several():
        yield dg.MaterializeResult(asset_key="two")
        raise psycopg2.DataError(VALUE)

    with dg.DagsterInstance.ephemeral() as instance:
        done = dg.materialize([one, several], instance=instance, raise_on_error=False)
        assert not done.success
        events = [str(record) for record in instance.all_logs(done.run_id)]
    assert sum("warehouse error" in event for event in events) >= 2
    assert not LEAK.search("".join(events))


def test_the_list_of_harmless_messages_matches_no_free_text() -> None:
    assert not errors.HARMLESS.search(VALUE)
