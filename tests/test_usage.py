"""Usage, from the statement of a reader through the server log to the usage mart, and the Information Asset Register,
from the source contracts to the published table.
"""

import csv
import os
import re
import shutil
import socket
from collections import Counter
from contextlib import closing
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit

import adbc_driver_postgresql.dbapi
import psycopg2
import pytest

from demo import postgres
from ingestion.contracts import read_contracts
from ingestion.pipeline import load_system
from tests.readers import SOUGHT, ask, holding, read_log, reads
from tests.support import Trial, TrialServer, Warehouse
from warehouse import environment


def test_every_read_is_recorded_without_the_text_of_the_statement(county: Warehouse) -> None:
    ask(
        county,
        "told",
        "pbi_finance",
        f"select * from finance.fct_supplier_payments where payee_name = '{SOUGHT}'",
        'select count(*) from finance.fct_card_payments as c join "finance"."dim_suppliers" using (supplier_key)',
        "prepare asked as select count(*) from finance.dim_dates where month_name = $1",
        f"execute asked('{SOUGHT}')",
        "execute asked('May')",
        "select * from highways.fct_defects",
        "select 'finance.dim_cost_centres' -- finance.dim_cost_centres",
    )
    ask(
        county,
        "told",
        "pbi_highways_redditch",
        "select count(*) from highways_redditch.fct_enquiries",
        "explain select * from highways_redditch.fct_defects",
    )
    bound = f"{county.reader_url('pbi_highways')}?application_name=told"
    with adbc_driver_postgresql.dbapi.connect(bound) as connection, connection.cursor() as cursor:
        cursor.execute("select count(*) from highways.dim_streets where street_name = $1", ("bound " + SOUGHT,))
        assert cursor.fetchone() == (0,)
    as_administrator = "set log_statement = 'all'; set application_name = 'told'"
    with closing(psycopg2.connect(county.url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(as_administrator)
        cursor.execute("select count(*) from finance.dim_dates")

    ask(county, "counted", "pbi_finance", *["select count(*) from finance.dim_suppliers"] * 3)

    read_log(county)

    assert reads(county, "told") == [
        ("pbi_finance", "finance", "fct_supplier_payments", False),
        ("pbi_finance", "finance", "dim_suppliers", False),
        ("pbi_finance", "finance", "fct_card_payments", False),
        ("pbi_finance", "finance", "dim_dates", False),
        ("pbi_finance", "finance", "dim_dates", False),
        ("pbi_finance", "highways", "fct_defects", True),
        ("pbi_highways_redditch", "highways", "fct_enquiries", False),
        ("pbi_highways_redditch", "highways", "fct_defects", False),
        ("pbi_highways", "highways", "dim_streets", False),
    ]
    logged = "select count(*) from raw_serverlog.entries where user_name = 'postgres' and message like '%finance.dim%'"
    assert county.sql(logged) == [(1,)], "an administrator who logs statements is not a reader"
    strangers = "select distinct login_name from usage.fct_mart_reads where login_name !~ '^pbi_'"
    assert county.sql(strangers) == []
    assert {schema.rpartition("_")[0] for schema in holding(county, SOUGHT)} == {"raw_serverlog"}
    bound = "select count(*) from raw_serverlog.entries as e where e::text like %s"
    assert county.sql(bound, (f"%bound {SOUGHT}%",)) == [(0,)], "bound values are not logged"
    files = [path for path in county.home.rglob("*") if path.is_file() and "postgres" not in path.parts]
    assert [path for path in files if SOUGHT.encode() in path.read_bytes()] == []

    assert len(reads(county, "counted")) == 3
    differing = (
        'select sum("Reads"), sum("Refused") from usage.rpt_mart_reads_by_week except '
        "select count(*) filter (where not is_refused), count(*) filter (where is_refused) from usage.fct_mart_reads"
    )
    assert county.sql(differing) == [], "the report by week adds up"
    latest = 'select max("Last read") from usage.rpt_mart_reads_by_week where "Login" = %s and "Publish set" = %s'
    assert county.sql(latest, ("pbi_finance", "finance")) == county.sql(
        "select max(read_at) from usage.fct_mart_reads where application_name = 'counted'"
    )


def test_nobody_ends_the_read_log(trial: Trial, trial_server: TrialServer, tmp_path: Path) -> None:
    url = environment.reader_url("pbi_finance")
    trial.sql("select 1", url=f"{url}?application_name=before")
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(f"select length('{'x' * 6_000_000}')")
    user = b"caf\xe9\xff"  # a login name that is not UTF-8, without any password
    message = b"\0\x03\0\0user\0" + user + b"\0database\0warehouse\0\0"
    with socket.create_connection(("127.0.0.1", urlsplit(trial.url).port)) as stranger:
        stranger.sendall((len(message) + 4).to_bytes(4, "big") + message)
        stranger.recv(1000)
        stranger.sendall(b"p" + (9).to_bytes(4, "big") + b"guess")
        stranger.recv(1000)
    trial.sql("select 1", url=f"{url}?application_name=after")
    log = tmp_path / "log"
    shutil.copytree(postgres.log_folder(trial_server.folder), log, ignore=shutil.ignore_patterns("*.log"))
    last = max(log.glob("*.csv"))
    csv.field_size_limit(10_000_000)
    with last.open("r+", encoding="utf-8", errors="replace", newline="") as file:
        values = next(row for row in csv.reader(file) if row[22] == "after")
        values[6] = str(int(values[6]) + 5)
        file.seek(0, os.SEEK_END)
        file.write('2026-01-01 00:00:00.000 UTC,"torn\n')
        csv.writer(file).writerow(values)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SERVER_LOG", str(log))
        load_system(read_contracts()["serverlog"])
    found = "select application_name from raw_serverlog.entries where application_name in ('before', 'after')"
    assert {name for (name,) in trial.sql(found)} == {"before", "after"}
    assert trial.sql("select count(*) from raw_serverlog.entries where user_name like 'caf%'")[0][0] >= 1
    ((state,),) = trial.sql("select governance.read_log_state()", role="svc_dbt")
    assert re.search(r"1 cut, \d+ missing, 1 unreadable$", state), state


@pytest.mark.parametrize("setting", ["log_statement = 'none'", "log_min_duration_statement = 0"])
def test_a_reader_cannot_change_what_is_logged(warehouse: Warehouse, setting: str) -> None:
    url = warehouse.reader_url("pbi_finance")
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        warehouse.sql(f"set {setting}", url=url)


def test_the_register_has_every_table_of_every_contract(warehouse: Warehouse, definitions: ModuleType) -> None:
    from orchestration.models import sets_and_inputs

    strength = ("none", "personal", "special_category", "identifier")
    inputs, expected = sets_and_inputs(definitions.manifest), []
    for name, system in read_contracts().items():
        for table in system.tables:
            classes = Counter(column.privacy for column in table.columns)
            source = f"source.worcestershire.{table.label}"
            expected.append(
                (
                    *(table.label, name, system.description, table.description, system.kind),
                    *(system.information_asset_owner, system.data_owner, system.purpose, system.lawful_basis),
                    system.special_category_basis if classes["special_category"] else None,
                    max(classes, key=strength.index),
                    *(classes[privacy] for privacy in strength),
                    *(table.retention or system.retention, table.retained_from, system.sharing, table.load),
                    *(system.schedule, system.time_zone),
                    ", ".join(sorted(found for found, members in inputs.items() if source in members)) or None,
                )
            )
    found = warehouse.sql(
        "select asset_name, system_name, system_description, asset_description, location_kind, "
        "information_asset_owner, data_owner, purpose, lawful_basis, special_category_basis, classification, "
        "none_column_count, personal_column_count, special_category_column_count, identifier_column_count, "
        "retention, retained_from_column, sharing, load_mode, schedule, time_zone, publish_sets "
        "from usage.dim_information_assets",
        url=warehouse.reader_url("pbi_information_governance"),
    )
    own = [row for row in found if row[0] == "matching.person_records"]  # made by the warehouse itself
    assert [(row[4], row[10], row[21]) for row in own] == [("warehouse", "identifier", "citizen")]
    assert all(own[0][5:9])
    assert sorted(set(found) - set(own)) == sorted(expected)
    assert {row[10] for row in found} == set(strength), "each class occurs"
    assert any("'" in words for row in found for words in row[2:9]), "text that SQL must quote occurs"


def test_the_register_is_written_to_the_outbox_with_headings_and_readers(warehouse: Warehouse) -> None:
    rows = {row["Asset"]: row for row in warehouse.rows("outbox/usage/information_asset_register.csv")}
    systems = read_contracts().values()
    tables = {table.label for system in systems for table in system.tables}
    assert rows.keys() == tables | {"matching.person_records"}
    for system in systems:
        for table in system.tables:
            row = rows[table.label]
            assert row["Lawful basis"] == system.lawful_basis
            assert (row["Information asset owner"], row["Data owner"]) == (
                system.information_asset_owner,
                system.data_owner,
            )
            assert row["Columns"] == str(len(table.columns))
    kept = {name: rows[name]["Retention period"] for name in ("raw_dynamics.incidents", "raw_serverlog.entries")}
    assert kept == {"raw_dynamics.incidents": "6 years", "raw_serverlog.entries": "90 days"}
    cases, requests = rows["raw_dynamics.incidents"], rows["raw_dynamics.foi_requests"]
    classes = [row["Classification"] for row in (cases, requests, rows["raw_reference.bank_holidays"])]
    assert classes == ["Identifies people", "Personal", "Not about people"]
    assert "Customer services managers" in cases["Report readers"]
    assert "The public, on the council's website" in requests["Report readers"]
    assert "The public" not in cases["Report readers"]
