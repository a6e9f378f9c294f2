"""The whole run from a user's view: loads, publications, what readers see, and the effect of bad input."""

import csv
import re
from collections import Counter
from contextlib import closing, redirect_stderr, redirect_stdout
from datetime import date
from io import StringIO
from pathlib import Path
from types import ModuleType

import psycopg2
import pytest

from benchmarks.publications import EXTRA_LINE, FINANCE, SELECTION, read_through
from demo import systems
from ingestion.contracts import read_contracts
from ingestion.pipeline import load_system
from tests.readers import REDDITCH
from tests.support import REAL_DATA, Trial, Warehouse, needs_data
from warehouse.environment import publish_sets

CUSTOMER_SYSTEMS = {"raw_dynamics", "raw_erp", "raw_itrent", "raw_procurement", "raw_reference", "raw_regulatory"}
CHANGING = {"dynamics", "erp", "koha", "procurement"}  # an API, files, files of people, a database
A_BRANCH_TWICE = "insert into conformed.dim_branches select * from conformed.dim_branches order by branch_code limit 1"
EACH_BRANCH_ONCE = (
    "delete from conformed.dim_branches where ctid in "
    "(select max(ctid) from conformed.dim_branches group by branch_code having count(*) > 1)"
)
DOUBLED = "update conformed.int_visit_months_conformed set visits = visits * 2"
A_CORRECTION = """
    update raw_erp_store.ledger_lines set invoice_number = 'corrected' where ctid = (
        select min(ctid) from raw_erp_store.ledger_lines
        where payment_date between '2025-05-01' and '2025-05-31' and beneficiary_name not ilike 'redacted%'
    )
"""
LINES = f"stg_erp__ledger_lines+,+{FINANCE}"  # the models upstream of finance that new ledger lines change
FINANCE_AFTER_A_LOAD = ("build", "--exclude-resource-type", "unit_test", "--select", FINANCE, LINES)


def test_a_first_run_loads_builds_tests_publishes_and_writes_feeds(built: Path, warehouse: Warehouse) -> None:
    printed, status = (built / "printed.txt").read_text(encoding="utf-8"), warehouse.status
    for name, system in read_contracts().items():
        counts = dict(re.findall(r"(\w+) ([\d,]+)(?:, |\n)", re.search(rf"^  {name} .*\n", printed, re.M)[0]))
        for table in system.tables:
            landed = warehouse.sql(f"select count(*) from {system.name}.{table.name}")[0][0]
            landed_first = int(counts[table.name].replace(",", ""))
            assert landed == landed_first > 0 or (name == "serverlog" and landed > landed_first > 0), table.label
    for name in publish_sets():
        assert re.search(rf"{name} +published, [1-9]\d* tests passed, 0 failed", printed)
        last = status["publish_sets"][name]
        assert (last["last"], last["tests_failed"], last["problems"]) == ("publish", 0, [])
    assert set(status["publish_sets"]["customer"]["loads"]) >= CUSTOMER_SYSTEMS
    assert status["servers"]["warehouse"]["state"] == "running"
    assert {problem["kind"] for problem in status["problems"]} <= {"data_late"}, "late only if the county is kept"
    assert "make dev" in printed


def test_models_pass_their_unit_tests(warehouse: Warehouse) -> None:
    """Unit tests take the types of their inputs from the published tables; Dagster runs leave unit tests out."""
    printed = warehouse.dbt("test", "--select", "test_type:unit", published=True)
    assert re.search(r"PASS=[1-9]\d* WARN=0 ERROR=0 SKIP=0", printed)


def test_published_ledger_lines_equal_the_source_to_the_penny(warehouse: Warehouse) -> None:
    landed = warehouse.sql("select count(*), sum(amount) from raw_erp.ledger_lines")
    assert landed == warehouse.sql("select count(*), sum(net_amount_gbp) from finance.fct_supplier_payments")
    repeated = "select count(*) from (select from raw_erp.ledger_lines group by transaction_number, amount, purpose "
    assert warehouse.sql(repeated + "having count(*) > 1) as r")[0][0] > 0, "the data has the difficult case"


def test_feeds_hold_the_published_rows(warehouse: Warehouse) -> None:
    with (warehouse.home / "outbox/finance/spend_over_500.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.reader(file))
    assert len(lines) - 1 == warehouse.sql("select count(*) from finance.rpt_spend_over_500")[0][0]
    assert (warehouse.home / "outbox/finance/monthly_spend_by_supplier.xlsx").read_bytes()[:2] == b"PK"


@pytest.mark.long
def test_a_second_run_loads_nothing_and_changes_no_figure(county: Warehouse) -> None:
    before = county.figures()
    landed = re.search(r"Rows loaded\n(.*?)Publish sets", county("run"), re.S)[1]
    old = re.sub(r"  serverlog .*\n", "", landed)  # new log entries load
    assert not re.search(r" [1-9][\d,]*(, |\n)", old), old
    assert county.figures() == before


def test_the_next_load_has_the_changes_of_the_days_between(county: Warehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    past = "select count(*), sum(net_amount_gbp) from finance.fct_supplier_payments where payment_date < '2026-10-01'"
    names, before = read_contracts().keys() - {"serverlog"}, county.sql(past)  # the log grows by each query
    assert {name for name in names if sum(county.load(name).values())} == set(), "nothing has changed yet"
    for kind in ("DATABASES", "FILES", "APIS"):  # others would only take longer
        monkeypatch.setattr(systems, kind, {k: v for k, v in getattr(systems, kind).items() if k in CHANGING})
    assert "14 November 2026" in county("demo", "advance", "--days", "14")
    county.start()
    assert {name for name in CHANGING if sum(county.load(name).values())} == CHANGING
    county.sql(A_CORRECTION)
    months = "select month_start_date, fingerprint from finance.fct_payment_months"
    fingerprints = dict(county.sql(months))
    assert "finance: published" in county.dbt(*FINANCE_AFTER_A_LOAD)
    assert county.sql(past) == before
    assert county.sql("select max(payment_date) > '2026-11-01' from finance.fct_supplier_payments") == [(True,)]
    changed = {month for month, fingerprint in county.sql(months) if fingerprints.get(month) != fingerprint}
    assert changed == {date(2025, 5, 1), date(2026, 11, 1)}, "Power BI reads the corrected month again, and the new one"


def test_bad_data_are_not_published_and_the_previous_publication_stays(county: Warehouse) -> None:
    before = county.figures("libraries", "citizen")
    county.sql(A_BRANCH_TWICE)
    printed = county.build("libraries", "citizen", upstream=False, expect=2)
    broken = 'duplicate key value violates unique constraint "dim_branches'
    assert re.search(f"libraries is not published: model libraries__dim_branches failed: .*{broken}", printed)
    assert "citizen: published" in printed, "a mart of libraries is of no concern to a set with the same sources"
    assert county.figures("libraries", "citizen") == before
    status = county.status
    assert status["publish_sets"]["libraries"]["last"] == "refuse"
    (problem,) = [problem for problem in status["problems"] if problem["kind"] == "publication_refused"]
    assert (problem["subject"], problem["effect"], status["exit_status"]) == ("libraries", "late", 2)
    assert "Head of Libraries" in problem["publish_sets"]["libraries"]
    assert status["summary"].startswith("1 of 12 publish sets is late; 2 reports are affected")
    assert "What to do: " in county("status", expect=2)
    county.sql(EACH_BRANCH_ONCE)
    assert "libraries: published" in county.build("libraries", upstream=False)
    assert county.figures("libraries", "citizen") == before


def test_one_mart_requested_in_dagster_publishes_its_whole_set_or_fails_the_run(
    county: Warehouse, definitions: ModuleType
) -> None:
    import dagster as dg

    job = definitions.defs.resolve_implicit_global_asset_job_def()
    chosen = [dg.AssetKey(["libraries", "dim_branches"]), dg.AssetKey(["citizen", "dim_persons"])]
    county.sql("update conformed.int_visit_months_conformed set visits = -visits")
    with county.entered(), dg.DagsterInstance.ephemeral() as instance:
        done = job.execute_in_process(asset_selection=chosen, instance=instance, raise_on_error=False)
        assert not done.success
        said = "".join(str(event.event_specific_data) for event in done.all_events if event.is_failure)
        described = re.search(r"libraries is not published: test \w+ failed\. .*`warehouse exec dbt ([^`]+)`", said)
        assert described, said
        assert f"dbt {described[1]}`" in " ".join(county.status["publish_sets"]["libraries"]["problems"])
        assert re.search(r"\| +-?\d", county.dbt(*described[1].split())), "the failing rows are shown"
    outcomes = county.sql("select publish_set, action, models from governance.publications order by publication_id")
    ((tables,),) = county.sql("select count(*)::integer from pg_tables where schemaname = 'citizen'")
    assert tables > 1
    assert ("citizen", "publish", tables) in outcomes[-2:]
    assert ("libraries", "refuse") in [outcome[:2] for outcome in outcomes[-2:]]


def test_a_set_that_was_built_in_part_is_not_published(county: Warehouse) -> None:
    published = county.sql("select count(*) from governance.publications where action = 'publish'")
    printed = county.dbt("build", "--select", "libraries__fct_visit_months", expect=2)
    assert "libraries is not published:" in printed
    assert "model libraries__dim_branches was not built" in printed
    printed = county.dbt("run", "--select", "path:dbt_project/models/marts/libraries", expect=2)
    assert "was not run" in printed
    assert county.sql("select count(*) from governance.publications where action = 'publish'") == published


def test_a_removed_or_retyped_column_waits_for_approval_by_name(county: Warehouse) -> None:
    county.sql("alter table highways.dim_streets add column parish text")
    county.sql("alter table highways.dim_dates alter column calendar_year type bigint")
    printed = county.build("highways", upstream=False, expect=2)
    assert "warehouse publish highways --approve dim_streets.parish" in printed
    assert "dim_dates.calendar_year" in printed
    assert "dim_dates.calendar_year" in county("publish", "highways", "--approve", "dim_streets.parish", expect=1)
    parish = "select count(*) from information_schema.columns where column_name = 'parish'"
    assert county.sql(parish) == [(1,)]
    county("publish", "highways", "--approve", "dim_streets", "--approve", "dim_dates.calendar_year")
    assert county.sql(f"{parish} and table_schema = 'highways'") == [(0,)]
    assert "no tested build" in county("publish", "highways", expect=1)


def test_undo_shows_the_previous_publication_also_after_the_next_build_starts(county: Warehouse) -> None:
    total = "select sum(visits) from libraries.fct_visit_months"
    before = county.sql(total)
    county.sql(DOUBLED)
    county.build("libraries", upstream=False)
    assert county.sql(total) != before
    county("undo", "libraries")
    assert county.sql(total) == before
    assert county.sql("select has_schema_privilege('read_libraries', 'libraries', 'usage')") == [(True,)]
    county.dbt("build", "--select", "libraries__dim_dates", expect=2)
    (latest,) = county.status["publish_sets"]["libraries"]["can_roll_back_to"]
    county("undo", "libraries", "--to", str(latest))
    assert county.sql(total) != before
    assert "Publish set nonsense cannot be rolled back" in county("undo", "nonsense", expect=1)


def test_readers_see_no_error_mixture_or_forbidden_row_during_publications(county: Warehouse) -> None:
    """A build adds one ledger line; facts and report must agree in every answer, prepared or not.

    Meanwhile a login with a row scope of one district reads the other set. Both sets are published, and rolled back
    twice. Twenty publications: `python -m benchmarks.publications`.
    """

    def publish() -> None:
        county.sql(EXTRA_LINE)
        county.dbt("build", "--select", *SELECTION, "--exclude-resource-type", "unit_test")
        for name in ("finance", "highways") * 2:
            county("undo", name)

    count = "select action, count(*) from governance.publications group by action"
    before = Counter(dict(county.sql(count)))
    seen = read_through(county.reader_url("pbi_finance"), county.reader_url(REDDITCH), publish)
    assert Counter(dict(county.sql(count))) - before == {"publish": 2, "roll_back": 4}
    assert seen.errors == []
    assert seen.mixed == 0
    assert seen.versions >= 2, "the readers saw the versions change"
    assert {forbidden for _, forbidden in seen.scoped} == {0}
    assert min(rows for rows, _ in seen.scoped) > 0


def test_a_failing_source_leaves_other_sources_and_the_marts_unchanged(
    county: Warehouse, definitions: ModuleType
) -> None:
    """Each load fails alone with one clear message without a password; a set is built from the previous load."""
    from orchestration.run import run_jobs

    before = county.figures()
    wrong = county.source("confirm").replace("postgresql://", "postgresql+psycopg2://")
    wrong = re.sub(r"//[^@]+@", "//confirm_reader:wrong@", wrong)
    failing = {
        "erp": (
            {"LANDING": "/nonexistent"},
            "raw_erp.ledger_lines: the folder /nonexistent does not exist (check LANDING)",
        ),
        "fixmystreet": ({"LANDING": "/nonexistent"}, "raw_fixmystreet.reports: the folder /nonexistent does not exist"),
        "confirm": ({"CONFIRM_URL": wrong}, "raw_confirm: cannot reach the database that CONFIRM_URL names"),
        "open311": (
            {"OPEN311_URL": "http://127.0.0.1:9", "RUNTIME__REQUEST_MAX_ATTEMPTS": "1"},
            "raw_open311: extract failed (check OPEN311_URL)",
        ),
    }
    variables = {name: value for given, _ in failing.values() for name, value in given.items()}
    jobs = [*(f"load_{name}" for name in failing), "load_reference"]
    with county.entered(**county.places | variables), redirect_stdout(StringIO()) as output, redirect_stderr(output):
        problems, rows, _ = run_jobs(jobs)
    printed = f"{output.getvalue()} {problems} {rows}"
    for _, problem in failing.values():
        assert problem in printed
    assert "password authentication failed" in printed
    assert re.search(r"'raw_reference', 'postcodes'\): 0", printed)
    assert "Traceback" not in printed
    assert "wrong@" not in printed
    assert "highways: published" in county.build("highways", upstream=False)
    assert county.figures() == before, "also the raw tables, which is all that the upstream models read"


def test_a_wrong_password_or_a_port_in_use_is_reported_in_one_message(warehouse: Warehouse) -> None:
    wrong = re.sub(r":[^:@]+@", ":wrong@", warehouse.url)
    printed = warehouse("run", expect=1, WAREHOUSE_URL=wrong)
    assert len(printed.strip().splitlines()) == 1
    assert "Cannot connect to postgresql://postgres:***@" in printed
    assert "password authentication failed" in printed
    port = warehouse.status["servers"]["warehouse"]["port"]
    for command in ("dev", "docs"):
        assert f"Port {port} is in use" in warehouse(command, "--port", str(port), expect=1)


def test_services_have_the_rights_they_need_and_no_more(warehouse: Warehouse) -> None:
    allowed = {
        "svc_loader": ["select 1 from raw_erp_store.ledger_lines limit 1", "delete from raw_erp_store.ledger_lines"],
        "svc_dbt": ["select 1 from raw_erp.ledger_lines limit 1", "create temporary table x ()"],
    }
    denied = {
        "svc_loader": [
            "select 1 from finance.dim_suppliers",
            "create schema x",
            "create table raw_erp_landing.x ()",
            "select governance.publish('finance', null, '{}')",
            "delete from governance.load_audit",
        ],
        "svc_dbt": [
            "alter schema finance rename to x",
            "create schema x",
            "delete from raw_erp.ledger_lines",
            "select governance.swap('finance', 1, 'publish', '{}', '{}')",
            "insert into governance.publications (publish_set, action) values ('finance', 'publish')",
        ],
    }
    with closing(psycopg2.connect(warehouse.url)) as connection, connection.cursor() as cursor:

        def run(role: str, query: str, values: tuple = ()) -> list[tuple]:
            """Run a query with the rights of a role, and undo what it does."""
            try:
                cursor.execute(f"set role {role}; {query}", values or None)
                return cursor.fetchall() if cursor.description else []
            finally:
                connection.rollback()

        for role, queries in allowed.items():
            for query in queries:
                run(role, query)
        for role, queries in denied.items():
            for query in queries:
                with pytest.raises((psycopg2.errors.InsufficientPrivilege, psycopg2.errors.RaiseException)):
                    run(role, query)
        for schema in ("raw_erp", "governance", "finance"):  # dbt publishes only what it has built
            publish = "select problem from governance.publish(%s, '{\"tables\": []}', '{}')"
            assert run("svc_dbt", publish, (schema,))[0][0].endswith((" has started", " has ended"))


def test_comments_describe_what_readers_see(warehouse: Warehouse) -> None:
    bare = warehouse.sql(
        "select c.oid::regclass::text from pg_class as c inner join pg_namespace as n on c.relnamespace = n.oid "
        "where n.nspname in ('finance', 'highways') and c.relkind = 'r' and obj_description(c.oid) is null"
    )
    assert bare == []


@needs_data
def test_the_published_ledger_loads_completely(trial: Trial) -> None:
    """To the penny; `make bench LANDING=…` measures the marts built from it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LANDING", str(REAL_DATA))
        results = load_system(read_contracts()["erp"], {"ledger_lines"})
    assert [result.rows for result in results] == [451_832]
    total = trial.sql("select count(*), sum(amount)::float from raw_erp.ledger_lines")
    assert total == [(451_832, pytest.approx(1_187_133_198.16, abs=0.001))]
