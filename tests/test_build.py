"""`warehouse build --changed`: the models that it builds, tests and publishes, and how it knows the published state."""

import importlib
import re
import subprocess
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from benchmarks.preview import copy_project
from tests.support import Warehouse
from warehouse import environment, published

NOTHING = "The project does not differ from the publications."
BRANCHES = "dbt_project/models/marts/libraries/libraries__dim_branches.sql"
ABSENCES = "dbt_project/models/conformed/int_absence_months_counted.sql"
UNIT_TEST = "int_absence_months_counted::days_lost_are_working_days_times_fte"


@pytest.fixture
def edited(county: Warehouse, tmp_path: Path) -> Warehouse:
    """The built county, with a copy of the repository that the test may edit."""
    copy_project(tmp_path / "copy")
    return Warehouse(county.home, tmp_path / "copy", **county.places)


def publications(edited: Warehouse) -> list[tuple[str, str]]:
    """Return the results of the builds of a set, in order."""
    return edited.sql("select publish_set, action from governance.publications order by publication_id")


def add(edited: Warehouse, file: str, text: str) -> None:
    """Append a line to a file of the project."""
    path = edited.root / file
    path.write_text(path.read_text(encoding="utf-8") + text + "\n", encoding="utf-8")


def test_only_changed_models_are_built_and_a_failed_set_stays_changed(edited: Warehouse) -> None:
    before = len(publications(edited))
    original = (edited.root / BRANCHES).read_text(encoding="utf-8")
    add(edited, ABSENCES, "-- changed")
    add(edited, BRANCHES, "where 1 = 1 / 0")
    printed = edited("build", "--changed", expect=1)
    assert "workforce: differs by int_absence_months_counted" in printed
    assert "libraries is not published: model libraries__dim_branches failed" in printed
    assert f"START unit_test {UNIT_TEST}" in printed
    assert sorted(publications(edited)[before:]) == [("libraries", "refuse"), ("workforce", "publish")]
    assert set(re.findall(r"OK created sql table model conformed\.(\w+)", printed)) == {"int_absence_months_counted"}

    (edited.root / BRANCHES).write_text(original, encoding="utf-8")
    printed = edited("build", "--changed")
    assert "libraries: differs by libraries__dim_branches" in printed, "the failed build may have left tables behind"
    assert "workforce:" not in printed
    assert "table model conformed." not in printed
    assert publications(edited)[before + 2 :] == [("libraries", "publish")]
    assert NOTHING in edited("build", "--changed")


def test_a_set_published_by_another_command_is_rebuilt_with_all_upstream(edited: Warehouse) -> None:
    edited.build("libraries", upstream=False)
    printed = edited("build", "--changed")
    assert "libraries: no manifest of the publication is kept: the whole set is built" in printed
    assert "table model conformed." in printed
    assert "finance:" not in printed
    edited("undo", "libraries")
    with edited.entered(), closing(psycopg2.connect(edited.url)) as connection, connection.cursor() as cursor:
        states = published.states(cursor)
    assert [name for name, known in states.items() if not known] == ["libraries"], "an undo is another command too"


def test_an_interrupted_build_stays_changed_after_its_edit_is_reverted(edited: Warehouse) -> None:
    original = (edited.root / ABSENCES).read_text(encoding="utf-8")
    add(edited, ABSENCES, "-- changed")
    command = edited.command("build", "--changed")
    killed = {"cwd": edited.root, "env": edited.environment, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **killed) as build:
        assert any("OK created sql table model conformed.int_absence_months_counted" in line for line in build.stdout)
        build.kill()
    (edited.root / ABSENCES).write_text(original, encoding="utf-8")
    assert "workforce: differs by int_absence_months_counted" in edited("build", "--changed")


def test_a_set_is_published_without_the_table_of_a_removed_model(edited: Warehouse) -> None:
    mart = edited.root / "dbt_project/models/marts/libraries/libraries__rpt_libraries_by_month"
    exposures = edited.root / "dbt_project/models/marts/libraries/_libraries__exposures.yml"
    exposures.unlink()
    mart.with_suffix(".sql").unlink()
    mart.with_suffix(".yml").unlink()
    printed = edited("build", "--changed", expect=1)
    assert "rpt_libraries_by_month" in printed.split("libraries: differs by ")[1].splitlines()[0]
    assert "--approve rpt_libraries_by_month" in printed


def test_proposed_declassifications_are_refused_until_accepted(edited: Warehouse) -> None:
    before = len(publications(edited))
    edited.sql("delete from governance.accepted_proposals")
    for printed in (edited("build", expect=1), edited.build("libraries", upstream=False, expect=2)):
        assert "nobody has approved the declassification of int_loan_events_conformed." in printed
        assert "int_members_conformed.person_key" in printed
    refused = {name for name, action in publications(edited)[before:] if action == "refuse"}
    assert refused >= {"libraries", "finance"}
    edited.sql("insert into governance.accepted_proposals values ('A. Officer', '2026-12-01')")
    edited.build("libraries", upstream=False)
    assert publications(edited)[-1] == ("libraries", "publish")


def test_a_parse_serves_every_server_but_not_another_database() -> None:
    from dbt.adapters.postgres.connections import PostgresCredentials

    environment.add_dbt_plugins()
    importlib.import_module("dbt_parses_for_every_server")

    def compared(**changes: object) -> dict[str, object]:
        values = {"host": "a", "port": 1, "user": "u", "password": "p", "database": "d", "schema": "s"} | changes
        return dict(PostgresCredentials.from_dict(values).connection_info())

    assert compared() == compared(host="b", port=2, sslmode="require") != compared(database="other")
