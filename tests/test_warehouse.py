"""The whole run as its users meet it: what lands, what is published, what readers see, and what bad input does."""

import csv
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg2
import pytest
from conftest import REAL_DATA, Warehouse

from ingestion.contracts import read_contracts

SETS = {  # publish sets, and systems that they rest on
    "adult_care": {"raw_mosaic", "raw_reference"},
    "children": {"raw_liquidlogic", "raw_reference"},
    "citizen": {"raw_capita", "raw_dynamics", "raw_koha", "raw_liquidlogic", "raw_mosaic", "raw_ssda903"},
    "customer": {
        "raw_dynamics",
        "raw_erp",
        "raw_itrent",
        "raw_procurement",
        "raw_reference",
        "raw_regulatory",
    },
    "education": {"raw_capita", "raw_reference"},
    "finance": {"raw_erp", "raw_procurement", "raw_reference"},
    "highways": {"raw_confirm", "raw_fixmystreet", "raw_open311", "raw_reference"},
    "libraries": {"raw_koha", "raw_reference"},
    "quality": {
        "raw_capita",
        "raw_confirm",
        "raw_dynamics",
        "raw_erp",
        "raw_fixmystreet",
        "raw_itrent",
        "raw_koha",
        "raw_liquidlogic",
        "raw_mosaic",
        "raw_procurement",
        "raw_regulatory",
        "raw_ssda903",
    },
    "usage": {"raw_serverlog"},
    "workforce": {"raw_reference", "raw_itrent"},
}
REDDITCH = "pbi_highways_redditch"
EXTRA_LINE = """
    insert into raw_erp.ledger_lines
    select (jsonb_populate_record(line, jsonb_build_object(
        'amount', 1, '_source_file', 'extra', '_source_row', (select count(*) from raw_erp.ledger_lines)
    ))).*
    from raw_erp.ledger_lines as line limit 1
"""
NO_EXTRA_LINE = "delete from raw_erp.ledger_lines where _source_file = 'extra'"
TWENTY_BUILDS = f"""
import os, psycopg2
from dbt.cli.main import dbtRunner
for _ in range(20):
    connection = psycopg2.connect(os.environ["WAREHOUSE_URL"])
    with connection, connection.cursor() as cursor:
        cursor.execute({EXTRA_LINE!r})
    connection.close()
    finance, highways = (f"path:dbt_project/models/marts/{{name}}" for name in ("finance", "highways"))
    chosen = [finance, highways, f"stg_erp__ledger_lines+,+{{finance}}"]
    build = dbtRunner().invoke(["--quiet", "build", "--select", *chosen])
    assert build.success, build
"""


def test_a_first_run_lands_builds_tests_publishes_and_writes(fresh_run: tuple[Warehouse, str]) -> None:
    warehouse, printed = fresh_run
    for name, system in read_contracts().items():
        counts = dict(re.findall(r"(\w+) ([\d,]+)(?:, |\n)", re.search(rf"^  {name} .*\n", printed, re.M)[0]))
        for table in system.tables:
            landed = warehouse.sql(f"select count(*) from {system.name}.{table.name}")[0][0]
            landed_first = int(counts[table.name].replace(",", ""))
            assert landed == landed_first > 0 or (name == "serverlog" and landed > landed_first > 0), table.label
    for name, loaded in SETS.items():
        assert re.search(rf"{name} +published, [1-9]\d* tests passed, 0 failed", printed)
        last = warehouse.status["publish_sets"][name]
        assert (last["last"], last["tests_failed"], last["problems"]) == ("publish", 0, [])
        assert set(last["loads"]) >= loaded
    assert warehouse.status["servers"]["warehouse"]["state"] == "running"
    assert "make dev" in printed


def test_models_calculate_as_their_unit_tests_say(warehouse: Warehouse) -> None:
    printed = warehouse.dbt("build")  # as an engineer types it: Dagster's runs leave unit tests out
    assert re.search(r"\b[1-9]\d* unit tests", printed)
    assert " ERROR=0 SKIP=0" in printed


def test_ledger_lines_in_are_ledger_lines_out_to_the_penny(warehouse: Warehouse) -> None:
    landed = warehouse.sql("select count(*), sum(amount) from raw_erp.ledger_lines")
    assert landed == warehouse.sql("select count(*), sum(net_amount_gbp) from finance.fct_supplier_payments")
    repeated = "select count(*) from (select from raw_erp.ledger_lines group by transaction_number, amount, purpose "
    assert warehouse.sql(repeated + "having count(*) > 1) as r")[0][0] > 0, "the trap is in the data"


def test_feeds_hold_what_is_published(warehouse: Warehouse) -> None:
    with (warehouse.home / "outbox/spend_over_500.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.reader(file))
    assert len(lines) - 1 == warehouse.sql("select count(*) from finance.rpt_spend_over_500")[0][0]
    assert (warehouse.home / "outbox/monthly_spend_by_supplier.xlsx").read_bytes()[:2] == b"PK"


def test_a_feed_that_fails_leaves_the_file_before(warehouse: Warehouse) -> None:
    outbox = warehouse.home / "outbox"
    before = {file.name: file.read_bytes() for file in outbox.iterdir()}
    write = (
        "from pathlib import Path; from orchestration.feeds import write_report\n"
        f"write_report('finance', 'rpt_none', Path({str(outbox / 'spend_over_500.csv')!r}), 'csv')"
    )
    assert "does not exist" in warehouse("exec", "--", "python", "-c", write, expect=1)
    assert {file.name: file.read_bytes() for file in outbox.iterdir()} == before


def test_a_second_run_lands_nothing_and_changes_no_figure(warehouse: Warehouse) -> None:
    before = warehouse.figures()
    printed = warehouse("run")
    landed = re.search(r"Rows landed\n(.*?)Publish sets", printed, re.S)[1]
    assert not re.search(r" [1-9][\d,]*(, |\n)", re.sub(r"  serverlog .*\n", "", landed)), "but what was logged since"
    assert warehouse.figures() == before


def test_days_go_by_and_the_next_run_lands_what_changed(home: Path) -> None:
    county = Warehouse(home / "days")
    try:
        county("run")
        enquiries = "select count(*) from highways.fct_enquiries"
        past = (
            "select count(*), sum(net_amount_gbp) from finance.fct_supplier_payments where payment_date < '2026-10-01'"
        )
        before = county.sql(enquiries), county.sql(past)
        assert "14 November 2026" in county("demo", "advance", "--days", "14")
        printed = county("run")
        for system in ("confirm", "erp", "dynamics", "koha"):
            assert re.search(rf"^  {system} +[1-9]", printed, re.M), system
        for name in SETS:
            assert re.search(rf"{name} +published, [1-9]\d* tests passed, 0 failed", printed), name
        assert county.sql(enquiries) > before[0]
        assert county.sql(past) == before[1]
    finally:
        county("stop")


@contextmanager
def changed(warehouse: Warehouse, change: str, back: str) -> Iterator[None]:
    """A change of raw data while the block lasts."""
    warehouse.sql(change)
    try:
        yield
    finally:
        warehouse.sql(back)


def test_bad_data_are_never_published_and_the_old_set_stays(warehouse: Warehouse) -> None:
    before = warehouse.figures()
    doubled = "insert into raw_confirm.site select * from raw_confirm.site order by site_code limit 1"
    once = (
        "delete from raw_confirm_store.site where ctid in (select max(ctid) from raw_confirm_store.site "
        "group by site_code having count(*) > 1)"
    )
    with changed(warehouse, doubled, once):
        printed = warehouse("run", expect=1)
        assert "highways is not published" in printed
        for name in SETS.keys() - {"highways"}:
            assert re.search(rf"^  {name} +published", printed, re.M), name
        now = warehouse.figures()
        assert {name: now[name] for name in now if "raw_" not in name} == {
            name: before[name] for name in before if "raw_" not in name
        }
        assert warehouse.status["publish_sets"]["highways"]["last"] == "refuse"
    warehouse.dbt("build", "--select", "+path:dbt_project/models/marts/highways")
    assert warehouse.figures() == before


def test_a_set_that_was_built_in_part_is_not_published(warehouse: Warehouse) -> None:
    published = warehouse.sql("select count(*) from governance.publications where action = 'publish'")
    printed = warehouse.dbt("build", "--select", "finance__fct_card_payments", expect=2)
    assert "finance is not published:" in printed
    assert "model finance__dim_suppliers was not built" in printed
    printed = warehouse.dbt("run", "--select", "path:dbt_project/models/marts/finance", expect=2)
    assert "was not run" in printed
    assert warehouse.sql("select count(*) from governance.publications where action = 'publish'") == published


def test_one_mart_asked_for_in_dagster_publishes_its_whole_set(warehouse: Warehouse) -> None:
    chosen = ("--select", 'key:"highways/dim_streets"', "--module-name", "orchestration.definitions")
    warehouse("exec", "--", "dagster", "asset", "materialize", *chosen)
    last = warehouse.sql("select publish_set, action, models from governance.publications order by publication_id")[-1]
    tables = warehouse.sql("select count(*)::integer from information_schema.tables where table_schema = 'highways'")
    assert last == ("highways", "publish", *tables[0])


def test_a_dropped_or_retyped_column_waits_for_approval_by_name(warehouse: Warehouse) -> None:
    build = ["build", "--select", "path:dbt_project/models/marts/highways"]
    warehouse.dbt(*build)
    warehouse.sql("alter table highways.dim_streets add column parish text")
    warehouse.sql("alter table highways.dim_dates alter column calendar_year type bigint")
    printed = warehouse.dbt(*build, expect=2)
    assert "warehouse publish highways --approve dim_streets.parish" in printed
    assert "dim_dates.calendar_year" in printed
    assert "dim_dates.calendar_year" in warehouse("publish", "highways", "--approve", "dim_streets.parish", expect=1)
    assert warehouse.sql("select count(*) from information_schema.columns where column_name = 'parish'") == [(1,)]
    warehouse("publish", "highways", "--approve", "dim_streets", "--approve", "dim_dates.calendar_year")
    assert warehouse.sql(
        "select count(*) from information_schema.columns where column_name = 'parish' and table_schema = 'highways'"
    ) == [(0,)]
    assert "no tested build" in warehouse("publish", "highways", expect=1)


def test_undo_shows_the_set_before_until_the_next_build(warehouse: Warehouse) -> None:
    build = ["build", "--select", "+path:dbt_project/models/marts/finance"]
    total = "select sum(net_amount_gbp) from finance.fct_supplier_payments"
    warehouse.dbt(*build)
    before = warehouse.sql(total)
    with changed(warehouse, EXTRA_LINE, NO_EXTRA_LINE):
        warehouse.dbt(*build)
        assert warehouse.sql(total) != before
        warehouse("undo", "finance")
        assert warehouse.sql(total) == before
        assert warehouse.sql("select has_schema_privilege('read_finance', 'finance', 'usage')") == [(True,)]
        warehouse.dbt("build", "--select", "finance__dim_dates", expect=2)
        assert "cannot be undone" in warehouse("undo", "finance", expect=1)
    warehouse.dbt(*build)
    assert warehouse.sql(total) == before
    assert "publish set nonsense cannot be undone" in warehouse("undo", "nonsense", expect=1)


def test_readers_see_no_error_mixture_or_forbidden_row_through_twenty_publications(warehouse: Warehouse) -> None:
    """Each build has one ledger line more; facts and report have to agree in every answer, prepared or not.

    Meanwhile a login whose row scope is one district reads the other set, which is also taken back once.
    """
    agree = (
        "select (select sum(net_amount_gbp) from finance.fct_supplier_payments) + "
        "(select sum(net_amount_gbp) from finance.fct_card_payments), ("
        'select sum("Paid by invoice net GBP" + "Paid by card net GBP") from finance.rpt_monthly_spend_by_supplier)'
    )
    scoped = (
        "select count(*), count(*) filter (where district_code is distinct from 'E07000236') "
        "from highways.fct_enquiries"
    )
    stop, errors = threading.Event(), []

    def read(url: str, query: str) -> list[tuple]:
        answers = []
        with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            cursor.execute(f"prepare asked as {query}")
            while not stop.wait(0.02):
                for statement in (query, "execute asked"):
                    try:
                        cursor.execute(statement)
                        answers.append(cursor.fetchone())
                    except psycopg2.Error as error:
                        errors.append(type(error).__name__)
        return answers

    count = "select count(*) from governance.publications where action = 'publish'"
    before = warehouse.sql(count)[0][0]
    finance, redditch = (warehouse("url", "--reader", login).strip() for login in ("pbi_finance", REDDITCH))
    try:
        with ThreadPoolExecutor(3) as pool:
            readers = [pool.submit(read, finance, agree) for _ in range(2)]
            scoped_reader = pool.submit(read, redditch, scoped)
            try:
                warehouse("exec", "--", "python", "-c", TWENTY_BUILDS)
                assert warehouse.sql(count)[0][0] == before + 2 * 20
                warehouse("undo", "highways")
            finally:
                stop.set()
        answers = [answer for reader in readers for answer in reader.result()]
        assert errors == []
        assert [answer for answer in answers if answer[0] != answer[1]] == []
        assert len({answer[0] for answer in answers}) >= 20, "the readers saw the versions come"
        assert {forbidden for _, forbidden in scoped_reader.result()} == {0}
        assert min(rows for rows, _ in scoped_reader.result()) > 0
        assert len(scoped_reader.result()) > 1000
    finally:
        warehouse.sql(NO_EXTRA_LINE)
        changed_sets = (f"+path:dbt_project/models/marts/{name}" for name in ("finance", "highways"))
        warehouse.dbt("build", "--select", *changed_sets)


def test_sources_that_fail_leave_the_others_and_the_marts_alone(warehouse: Warehouse) -> None:
    before = warehouse.figures()
    port = warehouse.status["servers"]["warehouse"]["port"]
    printed = warehouse(
        "run",
        expect=1,
        LANDING="/nonexistent",
        CONFIRM_URL=f"postgresql+psycopg2://confirm_reader:wrong@127.0.0.1:{port}/confirm",
        OPEN311_URL="http://127.0.0.1:9",
        RUNTIME__REQUEST_MAX_ATTEMPTS="1",
    )
    for problem in (
        "raw_erp.ledger_lines: the folder /nonexistent does not exist; LANDING names it",
        "raw_fixmystreet.reports: the folder /nonexistent does not exist",
        "raw_confirm: cannot reach the database that CONFIRM_URL names",
        "raw_open311: extract failed (OPEN311_URL says where it is)",
    ):
        assert f"Failed: {problem}" in printed
    assert "password authentication failed" in printed
    assert re.search(r"reference +0 +postcodes 0", printed)
    assert re.search(r"finance +published.*\n +highways +published", printed)
    assert "Traceback" not in printed
    assert "wrong@" not in printed
    assert warehouse.figures() == before


def test_a_wrong_password_or_a_port_in_use_is_one_clear_message(warehouse: Warehouse) -> None:
    wrong = re.sub(r":[^:@]+@", ":wrong@", warehouse.url)
    printed = warehouse("run", expect=1, WAREHOUSE_URL=wrong)
    assert len(printed.strip().splitlines()) == 1
    assert "cannot connect to postgresql://postgres:***@" in printed
    assert "password authentication failed" in printed
    port = warehouse.status["servers"]["warehouse"]["port"]
    for command in ("dev", "docs"):
        assert f"port {port} is in use" in warehouse(command, "--port", str(port), expect=1)


def test_services_may_do_their_work_and_no_more(warehouse: Warehouse) -> None:
    allowed = {
        "svc_loader": ["select 1 from raw_erp.ledger_lines limit 1", "create table raw_erp.x (); drop table raw_erp.x"],
        "svc_dbt": ["select 1 from raw_erp.ledger_lines limit 1", "create temporary table x ()"],
    }
    denied = {
        "svc_loader": [
            "select 1 from finance.dim_suppliers",
            "create schema x",
            "select governance.publish('finance', null, '{}')",
            "delete from governance.landings",
        ],
        "svc_dbt": [
            "alter schema finance rename to x",
            "create schema x",
            "delete from raw_erp.ledger_lines",
            "select governance.swap('finance')",
            "insert into governance.publications (publish_set, action) values ('finance', 'publish')",
            "select governance.publish('raw_erp', '{\"tables\": []}', '{}')",
            "select governance.publish('governance', '{\"tables\": []}', '{}')",
        ],
    }
    for role, queries in allowed.items():
        for query in queries:
            warehouse.sql(query, role=role)
    for role, queries in denied.items():
        for query in queries:
            with pytest.raises((psycopg2.errors.InsufficientPrivilege, psycopg2.errors.RaiseException)):
                warehouse.sql(query, role=role)


def test_comments_say_what_readers_see(warehouse: Warehouse) -> None:
    bare = warehouse.sql(
        "select c.oid::regclass::text from pg_class as c inner join pg_namespace as n on c.relnamespace = n.oid "
        "where n.nspname in ('finance', 'highways') and c.relkind = 'r' and obj_description(c.oid) is null"
    )
    assert bare == []


@pytest.mark.skipif(not REAL_DATA.is_dir(), reason="the published data are not beside this checkout")
def test_the_real_ledger_lands_whole(warehouse: Warehouse, home: Path) -> None:
    real = Warehouse(home / "real", LANDING=str(REAL_DATA))
    try:
        printed = real("run")
        assert "ledger_lines 451,832" in printed
        assert "reports 1,576" in printed
        expected = [(451_832, pytest.approx(1_187_133_198.16, abs=0.001))]
        for total in (
            "select count(*), sum(amount)::float from raw_erp.ledger_lines",
            "select count(*), sum(net_amount_gbp)::float from finance.fct_supplier_payments",
        ):
            assert real.sql(total) == expected
        named = "select count(*) from finance.dim_suppliers where supplier_name ilike '%redacted%'"
        assert real.sql(named) == [(0,)]
    finally:
        real("stop")
