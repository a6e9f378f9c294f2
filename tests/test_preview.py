"""`warehouse preview`: the report on a changed model equals a separate count; nothing stays in the database."""

import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from io import StringIO
from pathlib import Path

import psycopg2
import pytest
from rich.console import Console

from benchmarks.preview import copy_project
from tests.support import Warehouse, edited
from warehouse.errors import WarehouseError

PAYMENTS = "dbt_project/models/marts/finance/finance__fct_supplier_payments"
OVER_500 = "dbt_project/models/marts/finance/finance__rpt_spend_over_500.sql"
SITES = "dbt_project/models/staging/confirm/stg_confirm__sites"
NEW_MART = """\
models:
  - name: highways__fct_junctions
    description: Junctions. One row per junction.
    columns:
      - {name: junction_key, data_type: bigint, description: Key., data_tests: [unique]}
"""


class Project:
    """A copy of the project that tests may edit, previewed on the built county in this process."""

    def __init__(self, warehouse: Warehouse, root: Path):
        copy_project(root)
        self.root, self.sql, self.url = root, warehouse.sql, warehouse.url
        self.process, self.entered = Warehouse(warehouse.home, root), warehouse.entered
        with self.entered():
            from warehouse.dbt_compiler import Compiler

            self.compiler = Compiler(root)
            self.compiler.parse()

    @contextmanager
    def parsed(self) -> Iterator[None]:
        """Parse the project, which has a changed YAML file or a new model, for the previews within the block."""
        kept = self.compiler.manifest
        with self.entered():
            self.compiler.parse()
        yield
        self.compiler.manifest = kept

    def __call__(self, model: str, rows: int = 10, key: tuple[str, ...] = ()) -> str:
        """Return the output of a preview of the model."""
        from warehouse.preview import preview
        from warehouse.preview_display import show

        printed = StringIO()
        with self.entered():
            show(preview(self.compiler, model, rows, key), Console(file=printed, width=200, highlight=False))
        return printed.getvalue()

    def refused(self, model: str) -> str:
        """Return the reason why a preview of a model is refused."""
        with pytest.raises(WarehouseError) as refusal:
            self(model)
        return str(refusal.value)


@pytest.fixture(scope="module")
def project(warehouse: Warehouse, tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(warehouse, tmp_path_factory.mktemp("preview") / "copy")


def replaced(project: Project, path: str, old: str, new: str) -> str:
    """Return the text of a file with one part replaced."""
    text = (project.root / path).read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{path}: {old}"
    return text.replace(old, new)


def content(project: Project) -> list[list[tuple]]:
    """Return the identity of each relation, and how often rows of each table were written.

    Temporary tables are left out: they end with their session.
    """
    identities = "select oid, relname, relfilenode from pg_class where relpersistence <> 't' order by oid"
    written = "select relid, n_tup_ins, n_tup_upd, n_tup_del from pg_stat_user_tables where schemaname !~ '^pg_temp'"
    return [project.sql(identities), project.sql(f"{written} order by relid")]


def counts(printed: str) -> tuple[int, ...]:
    """Return the printed numbers of rows added, removed and changed."""
    found = re.search(r": ([\d,]+) rows added, ([\d,]+) removed(?:, ([\d,]+) changed)?", printed)
    assert found, printed
    return tuple(int(number.replace(",", "")) for number in found.groups() if number)


@pytest.mark.parametrize("model", ["stg_confirm__sites", "dim_postcodes", "finance__fct_supplier_payments"])
def test_an_unchanged_model_of_each_layer_has_no_difference(project: Project, model: str) -> None:
    relation = {"stg": "staging.", "dim": "conformed."}.get(model[:3], "") + model.replace("finance__", "finance.")
    ((rows,),) = project.sql(f"select count(*) from {relation}")
    printed = project(model)
    state = "published" if "__fct_" in model else "built"
    assert f"{model}: {rows:,} rows, {rows:,} {state}" in printed
    assert f"No difference from {relation}, by " in printed


def test_the_difference_equals_a_count_in_python(project: Project) -> None:
    edits = {
        "payment_key": "case when hashtext(payment_key::text) % 7 = 0 then -payment_key else payment_key end",
        "invoice_number": "nullif(invoice_number, '03032025')",
    }
    columns = project.sql(
        "select column_name from information_schema.columns "
        "where table_schema = 'finance' and table_name = 'fct_supplier_payments'"
    )
    listed = ", ".join(f"{edits.get(name, name)} as {name}" for (name,) in columns)
    changed = (project.root / f"{PAYMENTS}.sql").read_text(encoding="utf-8").rstrip()
    assert changed.endswith("select * from final")
    changed = changed.removesuffix("* from final")
    changed += f"{listed}, 'new'::text as colour from final where hashtext(payment_key::text) % 5 <> 0"
    yaml = (project.root / f"{PAYMENTS}.yml").read_text(encoding="utf-8")
    heading = "    columns:\n"
    yaml = yaml.replace(heading, f"{heading}      - {{name: colour, data_type: text, description: A colour.}}\n", 1)
    added = removed = emptied = 0
    published = project.sql(
        "select payment_key, invoice_number, hashtext(payment_key::text) from finance.fct_supplier_payments"
    )
    for _, number, hashed in published:
        has_another_key = hashed % 7 == 0
        is_left_out = hashed % 5 == 0
        added += has_another_key and not is_left_out
        removed += has_another_key or is_left_out
        emptied += number == "03032025" and not has_another_key and not is_left_out

    with edited(project.root, **{f"{PAYMENTS}.sql": changed, f"{PAYMENTS}.yml": yaml}), project.parsed():
        printed = project("finance__fct_supplier_payments", rows=2)

    assert counts(printed) == (added, removed, emptied)
    assert 0 < emptied < added < removed
    differing = re.findall(r"^(\w+) +([\d,]+) +-?\d+ +(\S+) +(\S+) *$", printed.split("Difference")[1], re.M)
    assert differing == [("invoice_number", f"{emptied:,}", "03032025", "NULL")], printed
    assert "column colour (text) is added" in printed
    assert f"{len(published) + added - removed:,} rows, {len(published):,} published" in printed


def test_removed_added_and_retyped_columns_are_listed(project: Project) -> None:
    changed = replaced(
        project, f"{SITES}.sql", "        site_code as usrn_raw,\n", "        site_code::varchar(20) as usrn_raw,\n"
    )
    changed = changed.replace(" as locality_name,", " as locality,")
    with edited(project.root, **{f"{SITES}.sql": changed}):
        printed = project("stg_confirm__sites")
    assert "column locality (text) is added" in printed
    assert "column locality_name (text) is dropped" in printed
    assert "column usrn_raw is re-typed from text to character varying(20)" in printed
    assert counts(printed) == (0, 0, 0)


def test_rows_of_a_model_without_a_key_are_compared_as_a_whole(project: Project) -> None:
    published = project.sql("select * from finance.rpt_spend_over_500")
    repeated = len(published) - len(set(published))
    assert repeated, "the report has identical rows"
    changed = (project.root / OVER_500).read_text(encoding="utf-8").rstrip()
    assert changed.endswith("select * from final")
    with edited(project.root, **{OVER_500: changed.replace("select * from final", "select distinct * from final")}):
        printed = project("finance__rpt_spend_over_500")
    assert counts(printed) == (0, repeated)
    assert "the model has no uniqueness test: whole rows are compared" in printed


def test_a_duplicate_key_is_reported_and_rows_are_compared_as_a_whole(project: Project) -> None:
    text = (project.root / f"{SITES}.sql").read_text(encoding="utf-8").rstrip()
    with edited(
        project.root, **{f"{SITES}.sql": text + "\nunion all (select * from renamed order by usrn_raw limit 3)\n"}
    ):
        printed = project("stg_confirm__sites")
        by_another = project("stg_confirm__sites", key=("street_name", "town_name"))
    assert "the key (usrn_raw) is not unique in the preview (3 values repeat): whole rows are compared" in printed
    assert counts(printed) == (3, 0)
    assert "the key (street_name, town_name) is not unique" in by_another


def test_a_broken_model_contract_is_reported_with_the_rows(project: Project) -> None:
    reference = (
        "case when ledger_lines.is_redacted then 'Redacted' else ledger_lines.supplier_id end as payee_reference"
    )
    changed = replaced(project, f"{PAYMENTS}.sql", reference, "1 as extra,\n        7 as payee_reference")
    with edited(project.root, **{f"{PAYMENTS}.sql": changed}):
        printed = project("finance__fct_supplier_payments")
    refusal = "a build of this model will fail: "
    assert refusal + "payee_reference is text in the contract and has another type in the SQL" in printed
    assert refusal + "extra is in the SQL and not in the contract" in printed


def test_a_preview_leaves_nothing_in_the_database(project: Project) -> None:
    before = content(project)
    project("highways__fct_enquiries")
    with edited(project.root, **{f"{SITES}.sql": "select 1 / 0 as usrn_raw\n"}):
        project.refused("stg_confirm__sites")
    assert content(project) == before


def test_a_preview_yields_to_sessions_that_wait_for_a_table(project: Project) -> None:
    text = (project.root / f"{PAYMENTS}.sql").read_text(encoding="utf-8").replace("select * from final", "")
    slow = text + "select final.* from final cross join pg_sleep(60)\n"
    with edited(project.root, **{f"{PAYMENTS}.sql": slow}), ThreadPoolExecutor(1) as pool:
        refused = pool.submit(project.refused, "finance__fct_supplier_payments")
        waits = "select 1 from pg_stat_activity where usename = 'svc_dbt' and wait_event = 'PgSleep'"
        limit = time.monotonic() + 60
        while not project.sql(waits):
            assert time.monotonic() < limit
            time.sleep(0.1)
        with closing(psycopg2.connect(project.url)) as other, other.cursor() as cursor:
            cursor.execute("set lock_timeout = '10s'")
            cursor.execute("lock table conformed.bridge_organisations_suppliers in access exclusive mode")
        assert "The preview stopped, because" in refused.result()


def test_an_unknown_model_is_answered_with_similar_names(project: Project) -> None:
    assert project.refused("dim_postcods").startswith("There is no model dim_postcods. Did you mean dim_postcodes")


def test_a_model_that_does_not_compile_is_reported_with_its_file(project: Project) -> None:
    with edited(project.root, **{f"{SITES}.sql": "select 1\nfrom {{ source('raw_confirm', 'nothing') }}\n"}):
        printed = project.refused("stg_confirm__sites")
    assert f"{SITES}.sql" in printed
    assert "raw_confirm.nothing" in printed


def test_sql_that_postgres_refuses_is_reported_without_a_value(project: Project) -> None:
    changed = replaced(
        project, f"{SITES}.sql", "        site_code as usrn_raw,\n", "        site_name::integer as usrn_raw,\n"
    )
    ((name,),) = project.sql("select site_name from raw_confirm.site limit 1")
    with edited(project.root, **{f"{SITES}.sql": changed}):
        printed = project.refused("stg_confirm__sites")
    assert printed.startswith(f"{SITES}.sql: InvalidTextRepresentation (SQLSTATE 22P02): invalid input syntax for type")
    assert name.split()[0] not in printed
    with edited(project.root, **{f"{SITES}.sql": "select site_nam\nfrom {{ source('raw_confirm', 'site') }}\n"}):
        printed = project.refused("stg_confirm__sites")
    assert 'column "site_nam" does not exist (line 1 of the compiled SQL: select site_nam)' in printed


def test_an_unpublished_model_is_previewed_and_an_unbuilt_upstream_model_is_reported(project: Project) -> None:
    folder = "dbt_project/models/marts/highways/highways__fct_junctions"
    files = {
        f"{folder}.sql": "select n::bigint as junction_key from generate_series(1, 3) as n\n",
        f"{folder}.yml": NEW_MART,
    }
    report = {
        f"{path}".replace("fct_junctions", "rpt_junctions"): text.replace("fct_junctions", "rpt_junctions")
        for path, text in files.items()
    }
    report[f"{folder}.sql".replace("fct_", "rpt_")] = "select * from {{ ref('highways__fct_junctions') }}\n"
    with edited(project.root, **files, **report), project.parsed():
        printed = project("highways__fct_junctions")
        missed = project.refused("highways__rpt_junctions")
    assert "highways__fct_junctions: 3 rows\n" in printed
    assert "highways.fct_junctions is not published yet" in printed
    assert "highways.fct_junctions is not built" in missed


def test_a_preview_without_a_server_explains_how_to_start_one(tmp_path: Path) -> None:
    assert "`make run`" in Warehouse(tmp_path)("preview", "dim_postcodes", expect=1)


def test_watch_mode_renews_the_preview_after_each_save(project: Project) -> None:
    file, macro = project.root / f"{SITES}.sql", project.root / "dbt_project/macros/colours.sql"
    original = file.read_text(encoding="utf-8")
    coloured = original.replace("    select\n", "    select {{ colour() }} as colour,\n", 1)
    command = project.process.command("preview", "stg_confirm__sites", "--watch")
    watching = subprocess.Popen(command, cwd=project.root, env=project.process.environment, stdout=subprocess.PIPE)

    def said() -> str:
        text = ""
        while not re.search(r"─ \d\d:\d\d:\d\d, [\d.]+ s; Ctrl-C to stop ─", text):
            assert select.select([watching.stdout], [], [], 60)[0], text
            text += os.read(watching.stdout.fileno(), 65536).decode()
        return text

    try:
        with edited(project.root, **{f"{SITES}.sql": original}):
            assert "No difference" in said()
            file.write_text(original.rstrip() + "\nwhere usrn_raw <> '04736666'\n", encoding="utf-8")
            assert counts(said()) == (0, 1, 0)
            file.write_text(original + "\nwhere nothing\n", encoding="utf-8")
            assert 'column "nothing" does not exist' in said()
            file.write_text(coloured, encoding="utf-8")
            assert "'colour' is undefined" in said()
            with edited(project.root, **{"dbt_project/macros/colours.sql": "{% macro colour() %}\n"}):
                assert "close tag" in said()
                macro.write_text("{% macro colour() %}7{% endmacro %}\n", encoding="utf-8")
                assert "column colour (integer) is added" in said()
                file.write_text(original, encoding="utf-8")
                assert "No difference" in said()
        for _ in range(3):  # Python ignores an interrupt that meets the collection of garbage; a person presses again
            watching.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                assert watching.wait(timeout=20) == 0
                break
        assert watching.poll() == 0
    finally:
        watching.kill()
        watching.wait()


@pytest.mark.parametrize(
    ("model", "keys"),
    [
        ("libraries__dim_branches", [["branch_key"], ["branch_code"]]),
        ("workforce__fct_headcount_months", [["headcount_key"], ["person_key", "month_end_date"]]),
        ("quality__rpt_findings_by_rule", [["Raw table", "Column", "Finding"]]),
        ("libraries__fct_visit_months", [["branch_key", "month_start_date"]]),
    ],
)
def test_a_models_keys_are_its_constraints_and_its_uniqueness_tests(parsed, model: str, keys: list[list[str]]) -> None:
    from warehouse.dbt_compiler import unique_keys

    assert unique_keys(parsed, parsed.nodes[f"model.worcestershire.{model}"]) == keys
