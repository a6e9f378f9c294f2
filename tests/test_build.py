"""`warehouse build --changed`: the models that it builds, tests and publishes, and how it knows the published state."""

import importlib
import multiprocessing
import re
import subprocess
from contextlib import closing, redirect_stdout
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import psycopg2
import pytest

from benchmarks.preview import copy_project
from tests.support import Trial, Warehouse, edited
from warehouse import environment, published

NOTHING = "The project does not differ from the publications."
MARTS = "dbt_project/models/marts"
BRANCHES = f"{MARTS}/libraries/libraries__dim_branches.sql"
READS = f"{MARTS}/usage/usage__rpt_mart_reads_by_week"
EXPOSURES = f"{MARTS}/usage/_usage__exposures.yml"
ABSENCES = "dbt_project/models/conformed/int_absence_months_counted.sql"
UNIT_TEST = "int_absence_months_counted::days_lost_are_working_days_times_fte"


class Stopped(Exception):
    """Raised where dbt would build, with its arguments."""


class Project:
    """A copy of the dbt project that a test may edit, built in this process on a copy of the built county."""

    def __init__(self, county: Warehouse, root: Path):
        self.county, self.root, self.output = county, root, StringIO()
        copy_project(root)

    def build(self) -> str:
        """Run `warehouse build --changed`; return its output and why sets are not published."""
        from orchestration.build import build

        self.output = StringIO()
        with self.county.entered(), redirect_stdout(self.output), pytest.MonkeyPatch.context() as patch:
            patch.setenv("DBT_PROJECT_DIR", str(self.root))
            problems = build(changed=True)
        return "\n".join([self.output.getvalue(), *problems])

    def stop(self) -> list[str]:
        """Interrupt `warehouse build --changed` where dbt would build; return dbt's arguments."""
        from dbt.cli.main import dbtRunner

        invoke = dbtRunner.invoke

        def stop(runner: dbtRunner, arguments: list[str], **options: object) -> object:
            if "build" in arguments:
                raise Stopped(arguments)
            return invoke(runner, arguments, **options)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(dbtRunner, "invoke", stop)
            with pytest.raises(Stopped) as stopped:
                self.build()
        return stopped.value.args[0]


def publications(county: Warehouse) -> list[tuple[str, str]]:
    """Return the results of the builds of a set, in order."""
    return county.sql("select publish_set, action from governance.publications order by publication_id")


def unknown(county: Warehouse) -> list[str]:
    """Return the publish sets of whose publication no manifest is kept."""
    with county.entered(), closing(psycopg2.connect(county.url)) as connection, connection.cursor() as cursor:
        return [name for name, known in published.states(cursor).items() if not known]


def test_what_differs_from_the_publications_is_built_until_it_is_published(county: Warehouse, tmp_path: Path) -> None:
    project = Project(county, tmp_path / "copy")
    absences, branches, exposures = (
        (project.root / file).read_text(encoding="utf-8") for file in (ABSENCES, BRANCHES, EXPOSURES)
    )
    with edited(project.root, **{ABSENCES: f"{absences}-- changed\n"}):
        project.stop()
    without_reads = exposures.replace("      - ref('usage__rpt_mart_reads_by_week')\n", "")
    removed = {f"{READS}.sql": None, f"{READS}.yml": None, EXPOSURES: without_reads}
    before = len(publications(county))
    with edited(project.root, **removed):
        with edited(project.root, **{BRANCHES: f"{branches}where 1 = 1 / 0\n"}):
            printed = project.build()
        assert "workforce: differs by int_absence_months_counted" in printed, "an interrupted build may have changed it"
        assert f"START unit_test {UNIT_TEST}" in printed
        assert "libraries: differs by libraries__dim_branches" in printed
        assert "libraries is not published: model libraries__dim_branches failed" in printed
        assert "usage: differs by usage__rpt_mart_reads_by_week" in printed
        assert "--approve rpt_mart_reads_by_week" in printed, "the table of a removed model"
        results = [("libraries", "refuse"), ("usage", "refuse"), ("workforce", "publish")]
        assert sorted(publications(county)[before:]) == results
        built = set(re.findall(r"OK created sql table model conformed\.(\w+)", printed))
        assert built == {"int_absence_months_counted"}

        county("publish", "usage", "--approve", "rpt_mart_reads_by_week")
        printed = project.build()
        assert "libraries: differs by libraries__dim_branches" in printed, "the failed build may have left tables"
        assert not re.search("workforce:|usage:|table model conformed", printed)
        assert publications(county)[before + 3 :] == [("usage", "publish"), ("libraries", "publish")]
        assert NOTHING in project.build()

        county("undo", "libraries")
        assert unknown(county) == ["libraries"]
        assert [word for word in project.stop() if "path:" in word] == [f"+path:{MARTS}/libraries"], "with all upstream"
        printed = project.output.getvalue()
        assert "libraries: no manifest of the publication is kept: the whole set is built" in printed


@pytest.mark.long
def test_a_killed_build_stays_changed_after_its_edit_is_reverted(county: Warehouse, tmp_path: Path) -> None:
    """The short form is test_what_differs_from_the_publications_is_built_until_it_is_published."""
    copy_project(tmp_path / "copy")
    changed = Warehouse(county.home, tmp_path / "copy", **county.places)
    file = changed.root / ABSENCES
    original = file.read_text(encoding="utf-8")
    file.write_text(f"{original}-- changed\n", encoding="utf-8")
    command = changed.command("build", "--changed")
    killed = {"cwd": changed.root, "env": changed.environment, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **killed) as build:
        assert any("OK created sql table model conformed.int_absence_months_counted" in line for line in build.stdout)
        build.kill()
    file.write_text(original, encoding="utf-8")
    assert "workforce: differs by int_absence_months_counted" in changed("build", "--changed")


def test_proposed_declassifications_are_refused_until_accepted(county: Warehouse) -> None:
    before = len(publications(county))
    county.sql("delete from governance.accepted_proposals")
    for printed in (county("build", expect=1), county.build("libraries", upstream=False, expect=2)):
        assert "nobody has approved the declassification of int_loan_events_conformed." in printed
        assert "int_members_conformed.person_key" in printed
    refused = {name for name, action in publications(county)[before:] if action == "refuse"}
    assert refused >= {"libraries", "finance"}
    county.sql("insert into governance.accepted_proposals values ('A. Officer', '2026-12-01')")
    sessions = "select sessions from pg_stat_database where datname = current_database()"
    ((before,),) = county.sql(sessions)
    county.build("libraries", upstream=False)
    ((after,),) = county.sql(sessions)
    assert after - before < 20, "not a session for each of more than fifty models and tests"
    assert publications(county)[-1] == ("libraries", "publish")
    assert unknown(county) == ["libraries"], "dbt alone published it"


def test_a_parse_serves_every_server_but_not_another_database() -> None:
    from dbt.adapters.postgres.connections import PostgresCredentials

    environment.add_dbt_plugins()
    importlib.import_module("dbt_parses_for_every_server")

    def compared(**changes: object) -> dict[str, object]:
        values = {"host": "a", "port": 1, "user": "u", "password": "p", "database": "d", "schema": "s"} | changes
        return dict(PostgresCredentials.from_dict(values).connection_info())

    assert compared() == compared(host="b", port=2, sslmode="require") != compared(database="other")


def test_each_node_finds_the_kept_session_of_its_thread_as_new(trial: Trial) -> None:
    from dbt.adapters.postgres.connections import PostgresConnectionManager, PostgresCredentials

    environment.add_dbt_plugins()
    importlib.import_module("dbt_keeps_connections")
    server = psycopg2.extensions.parse_dsn(trial.url)
    credentials = PostgresCredentials.from_dict(server | {"port": int(server["port"]), "schema": "public"})
    manager = PostgresConnectionManager(SimpleNamespace(credentials=credentials), multiprocessing.get_context("spawn"))

    def node(name: str, *queries: str) -> list:
        manager.set_connection_name(name)
        with manager.get_thread_connection().handle.cursor() as cursor:
            for query in queries:
                cursor.execute(query)
            return cursor.fetchone()

    state = (
        "select pg_backend_pid(), current_setting('work_mem'), to_regclass('left_over'), "
        "to_regclass('pg_temp.passing'), "
        "(select count(*) from pg_locks where locktype = 'advisory' and pid = pg_backend_pid())"
    )
    new = node("first", state)
    assert new[2:] == (None, None, 0)
    changes = ("set work_mem = '64kB'", "create temp table passing ()", "select pg_advisory_lock(1)")
    node("first", *changes, "select 1")
    manager.get_thread_connection().handle.commit()
    node("first", "create table left_over ()", "select 1")
    manager.release()
    assert node("second", state) == new
    end_session = "select pg_terminate_backend(%s, 10000)"
    manager.release()
    trial.sql(end_session, (new[0],))  # between two nodes
    session, *found = node("third", state)
    assert found == list(new[1:]), "a session that the server ended is replaced"
    trial.sql(end_session, (session,))  # while a node runs
    manager.release()
    assert node("fourth", state)[1:] == new[1:]
    manager.cleanup_all()


def test_a_behaviour_flag_does_not_search_the_call_stack() -> None:
    from dbt_common.behavior_flags import Behavior

    environment.add_dbt_plugins()
    importlib.import_module("dbt_names_the_source_of_flags")
    with pytest.MonkeyPatch.context() as patch:
        patch.delattr("inspect.stack")
        flags = Behavior([{"name": "flag", "default": True, "docs_url": "https://docs.example"}], {})
    assert flags.flag
