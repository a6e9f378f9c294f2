"""What was published stays known: figures of closed periods, their restatements and the records that caused them."""

import re
from contextlib import closing

import psycopg2
import pytest
from click.testing import CliRunner

from commands.main import main
from tests.builds import Builds
from tests.readers import REDDITCH
from tests.support import Trial, Warehouse, manifest
from warehouse import environment
from warehouse.errors import WarehouseError
from warehouse.restatements import day_within

REPORT, READER = "highways.rpt_by_month", "pbi_highways"
FIGURES = "select figure, value, is_suppressed, replaced_at is null from highways_history.rpt_restatements "
RECORDS = "select fact, change, record_key from highways_history.rpt_restated_records order by 2, 3"


@pytest.fixture
def builds(trial: Trial) -> Builds:
    builds = Builds(trial)
    builds.keys = {"fct_one": "one_key", "rpt_by_month": '"Month", "Kind"'}
    facts = {"fct_one": {"dates": ["day"], "columns": ["kind"]}}
    builds.reports = [{"report": "rpt_by_month", "period": "Month", "length": "month", "facts": facts}]
    return builds


def publish(builds: Builds, as_at: str, records: str) -> None:
    """Publish records (key, day, kind) up to a date, and a report that suppresses counts under five."""
    fact = f"select *, date '{as_at}' as as_at_date from (values {records}) as v (one_key, day, kind)"
    counted = f"select date_trunc('month', day)::date as month, kind, count(*) as n from ({fact}) as f group by 1, 2"
    report = (
        'select month as "Month", kind as "Kind", case when n >= 5 then n end as "Reports", '
        f"case when n < 5 then 'Reports' end as \"Suppressed figures\" from ({counted}) as c"
    )
    assert builds.run(fct_one=fact, rpt_by_month=report) == []


def records(first: int, last: int, day: str = "2026-05-12", kind: str = "Pothole") -> str:
    return ", ".join(f"({number}, date '{day}', '{kind}')" for number in range(first, last + 1))


def explained(*words: str, status: int = 0) -> str:
    done = CliRunner().invoke(main, ["explain", *words])
    assert done.exit_code == status, done.output
    return done.output


def test_a_restated_figure_is_explained_by_the_keys_of_its_records(builds: Builds) -> None:
    publish(builds, "2026-06-15", f"{records(1, 412)}, {records(900, 909, '2026-06-02')}")
    assert builds.sql(FIGURES) == [("Reports", 412, False, True)], "June is not over"
    publish(builds, "2026-09-15", f"{records(2, 413)}, {records(500, 502)}, {records(900, 909, '2026-06-02')}")
    found = explained(REPORT, "2026-05")
    assert re.search(
        r"^highways.rpt_by_month, 2026-05-01 to 2026-05-31\n\nFirst published on .+:\n  Pothole / Reports: 412\n\n"
        r"Restated on .+:\n  Pothole / Reports: 412, now 415\n"
        r"  fct_one: 4 added: 413, 500, 501, 502\n  fct_one: 1 removed: 1\n$",
        found,
    ), found
    assert "First published" in explained(REPORT, "2026-06-30")
    assert "Not restated." in explained(REPORT, "2026-06")


def test_a_record_that_moves_or_changes_its_kind_is_named(builds: Builds) -> None:
    publish(builds, "2026-07-15", f"{records(1, 9)}, {records(20, 28, '2026-06-02')}")
    publish(builds, "2026-07-16", f"{records(2, 8)}, {records(9, 9, kind='Kerb')}, {records(1, 1, '2026-06-30')}, "
                                  f"{records(20, 28, '2026-06-02')}")  # fmt: skip
    assert builds.sql(RECORDS) == [("fct_one", "added", "1"), ("fct_one", "changed", "9"), ("fct_one", "removed", "1")]
    assert "Kerb / Reports: not shown, now suppressed\n  Pothole / Reports: 9, now 7" in explained(REPORT, "2026-05")


def test_history_grows_with_changes_and_not_with_publications(builds: Builds) -> None:
    for day in range(10, 15):
        publish(builds, f"2026-06-{day}", f"{records(1, 9)}, {records(20, 20 + day, '2026-06-02')}")
    assert builds.sql(FIGURES) == [("Reports", 9, False, True)]
    assert builds.sql(RECORDS) == []


def test_a_suppressed_figure_stays_suppressed_in_the_history(builds: Builds) -> None:
    publish(builds, "2026-06-10", records(1, 3))
    publish(builds, "2026-06-11", records(1, 4))
    assert builds.sql(FIGURES) == [("Reports", None, True, True)], "3 and 4 look the same"
    publish(builds, "2026-06-12", records(1, 5))
    assert builds.sql(FIGURES + "order by published_at") == [
        ("Reports", None, True, False),
        ("Reports", 5, False, True),
    ]
    assert "Pothole / Reports: suppressed, now 5\n  fct_one: 2 added: 4, 5" in explained(REPORT, "2026-05")


def test_a_roll_back_is_a_restatement(trial: Trial, builds: Builds) -> None:
    publish(builds, "2026-06-10", records(1, 9))
    publish(builds, "2026-06-11", records(1, 8))
    trial.sql("select governance.roll_back('highways')")
    assert explained(REPORT, "2026-05").endswith("  Pothole / Reports: 8, now 9\n  fct_one: 1 added: 9\n")


def test_readers_of_the_whole_set_read_its_history(trial: Trial, builds: Builds) -> None:
    publish(builds, "2026-06-10", records(1, 9))
    with closing(psycopg2.connect(environment.reader_url(READER))) as reader, reader.cursor() as cursor:
        cursor.execute(FIGURES)
        assert cursor.fetchall() == [("Reports", 9, False, True)]
    for login in (REDDITCH, "pbi_finance"):
        with (
            closing(psycopg2.connect(environment.reader_url(login))) as reader,
            reader.cursor() as cursor,
            pytest.raises(psycopg2.errors.InsufficientPrivilege),
        ):
            cursor.execute(FIGURES)
    assert builds.differences() == []
    trial.sql("grant usage on schema highways_history to read_highways_redditch")
    trial.sql("grant select on highways_history.rpt_restated_records to read_highways_redditch")
    assert len(builds.differences()) > 0
    publish(builds, "2026-06-11", records(1, 9))
    trial.sql("revoke usage on schema highways_history from read_highways_redditch")
    assert builds.differences() == []


def test_reports_and_periods_that_are_not_kept_are_refused_in_plain_words(builds: Builds) -> None:
    assert "No figures of highways.rpt_by_month are kept." in explained(REPORT, "2026-05", status=1)
    publish(builds, "2026-06-10", records(1, 9))
    assert "2026-06: periods end from 2026-05-31 to 2026-05-31." in explained(REPORT, "2026-06", status=1)
    assert "No figures of nothing.rpt_x are kept" in explained("nothing.rpt_x", "2026-05", status=1)
    with pytest.raises(WarehouseError, match="May is no period"):
        day_within("May")


def test_each_declared_column_exists_and_names_nobody(parsed) -> None:
    nodes = parsed.nodes
    declared = {node.unique_id: node for node in nodes.values() if node.config.meta.get("restatements")}
    assert len(declared) > 10
    for node in declared.values():
        rules = node.config.meta["restatements"]
        (key,) = (constraint.columns for constraint in node.constraints if constraint.type == "primary_key")
        assert f'"{rules["period"]}"' in key
        assert rules["length"] in ("month", "six months", "financial year", "academic year")
        for fact, read in rules["facts"].items():
            (model,) = (nodes[name] for name in node.depends_on.nodes if nodes[name].alias == fact)
            assert {*read["dates"], *read["columns"]} <= model.columns.keys(), (node.name, fact)
        assert not any("name" in column.lower() or "supplier" in column.lower() for column in key), node.name


def test_the_history_holds_the_figures_that_reports_show(warehouse: Warehouse) -> None:
    compared = 0
    for node in manifest().nodes.values():
        if not node.config.meta.get("restatements"):
            continue
        publish_set, report = node.fqn[2], node.alias
        figures = [
            column.name
            for column in node.columns.values()
            if re.match("bigint|numeric|integer|double", column.data_type)
        ]
        shown = sorted(
            value
            for figure in figures
            for (value,) in warehouse.sql(
                f'select "{figure}"::numeric from {publish_set}.{report} where "{figure}" is not null'
            )
        )
        kept = sorted(
            value
            for (value,) in warehouse.sql(
                f"select value from {publish_set}_history.rpt_restatements "
                "where report = %s and replaced_at is null and value is not null",
                (report,),
            )
        )
        assert not [value for value in {*kept} if kept.count(value) > shown.count(value)], node.name
        assert len(kept) > 0, node.name
        compared += len(kept)
    assert compared > 500


def test_a_late_record_restates_a_month_of_the_demo_county(county: Warehouse) -> None:
    shown = (
        'select "Visits" from libraries.rpt_libraries_by_month '
        "where \"Month\" = '2026-05-01' and \"Library\" = 'All libraries'"
    )
    ((before,),) = county.sql(shown)
    of_may = "conformed.int_visit_months_conformed where month_start_date = '2026-05-01' and visits > 0"
    ((branch,),) = county.sql(f"select min(branch_key) from {of_may}")
    county.sql(
        "update conformed.int_visit_months_conformed set visits = visits + 3 "
        f"where month_start_date = '2026-05-01' and branch_key = {branch}"
    )
    assert "libraries: published" in county.build("libraries", upstream=False)
    assert county.sql(shown) == [(before + 3,)]
    printed = county("explain", "libraries.rpt_libraries_by_month", "2026-05")
    assert f"All libraries / Visits: {before:,}, now {before + 3:,}\n" in printed
    assert f"  fct_branch_months: 1 changed: {branch}/2026-05-01\n" in printed
