"""The README's four recipes, followed in a copy of the repository, and an error in a contract there."""

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from benchmarks.preview import copy_project
from tests.support import ROOT, Warehouse, copy_county

CONTRACT = """\
version: 2

sources:
  - name: raw_tolls
    description: Bridge tolls, as the bridge company's till exports them each night.
    config:
      meta:
        freshness:
          warn_after: {count: 2, period: day}
          error_after: {count: 3, period: day}
        kind: files
        location: TOLLS
        schedule: "0 6 * * *"
        time_zone: Europe/London
        information_asset_owner: Head of Highways
        data_owner: Network Manager
        purpose: Income from tolls
        lawful_basis: UK GDPR Article 6(1)(e)
        retention: P7Y
        sharing: none
    tables:
      - name: crossings
        description: Tolls paid. One row per crossing.
        config: {meta: {load: replace, files: "*.csv"}}
        columns:
          - name: crossing_id
            data_type: bigint
            description: Number of the crossing.
            config: {meta: {privacy: none}}
          - name: paid_on
            data_type: date
            description: Day of payment.
            config: {meta: {privacy: none, format: "%d/%m/%Y"}}
          - name: fee
            data_type: numeric(18,2)
            description: Toll paid, in pounds.
            config: {meta: {privacy: none}}
"""
STAGING = """\
with source as (

    select * from {{ source('raw_tolls', 'crossings') }}

),

renamed as (

    select
        crossing_id,
        fee as fee_gbp,
        paid_on as paid_date
    from source

)

select * from renamed
"""
STAGING_YAML = """\
models:
  - name: stg_tolls__crossings
    description: Tolls paid. One row per crossing.
    columns:
      - name: crossing_id
        description: Number of the crossing.
        data_tests: [unique, not_null]
      - name: fee_gbp
        description: Toll paid, in pounds.
      - name: paid_date
        description: Day of payment.
"""
MART_YAML = """\
models:
  - name: highways__fct_crossings
    description: Tolls paid. One row per crossing.
    columns:
      - {name: crossing_id, data_type: bigint, description: Number of the crossing., data_tests: [unique]}
      - {name: fee_gbp, data_type: "numeric(18,2)", description: "Toll paid, in pounds."}
      - {name: paid_date, data_type: date, description: Day of payment.}
"""
REPORT = """\
select
    paid_date as "Day",
    sum(fee_gbp) as "Tolls (£)"
from {{ ref('highways__fct_crossings') }}
group by paid_date
"""
REPORT_YAML = """\
models:
  - name: highways__rpt_tolls_by_day
    description: Tolls paid by day. One row per day.
    columns:
      - {name: Day, quote: true, data_type: date, description: Day of payment., data_tests: [unique]}
      - {name: Tolls (£), quote: true, data_type: numeric, description: "Tolls paid, in pounds."}

exposures:
  - name: tolls_by_day
    description: Daily income from tolls for the bridge company.
    type: application
    owner: {name: Network Manager, email: network.manager@worcestershire.example}
    depends_on: [ref('highways__rpt_tolls_by_day')]
    config:
      meta:
        feed: {file: tolls_by_day.csv, format: csv, reader: The bridge company, when: daily, replaces: SSRS Tolls Daily}
"""
MART = "select * from {{ ref('stg_tolls__crossings') }}\n"
ACCESS = """
bridges:
  owner: Head of Highways
  email: head.of.highways@worcestershire.example
  purpose: Deciding what to charge on bridges
  readers: [pbi_bridges]
"""
SYSTEM = {
    "staging/tolls/_tolls__sources.yml": CONTRACT,
    "staging/tolls/stg_tolls__crossings.sql": STAGING,
    "staging/tolls/stg_tolls__crossings.yml": STAGING_YAML,
}
MARTS = {
    "marts/highways/highways__fct_crossings.sql": MART,
    "marts/highways/highways__fct_crossings.yml": MART_YAML,
}
FEED = {
    "marts/highways/highways__rpt_tolls_by_day.sql": REPORT,
    "marts/highways/highways__rpt_tolls_by_day.yml": REPORT_YAML,
}
PUBLISH_SET = {
    "marts/bridges/bridges__fct_crossings.sql": MART,
    "marts/bridges/bridges__fct_crossings.yml": MART_YAML.replace("highways__", "bridges__"),
}


# The documented steps after `warehouse access apply`, in one process: each would start Dagster and parse the project
STEPS = """
from commands.main import main
from orchestration.run import run_jobs

failed, rows, files = run_jobs(["load_tolls"])
assert not failed, failed
main(["build", "--changed"], standalone_mode=False)
failed, rows, files = run_jobs(["write_feeds"])
assert not failed, failed
"""


class Followed:
    """The four recipes, followed in a copy of the repository and of the county, and the output of the commands."""

    def __init__(self, built: Path, folder: Path):
        root = folder / "repository"
        copy_project(root)
        self.models = root / "dbt_project/models"
        for name, content in (SYSTEM | MARTS | FEED | PUBLISH_SET).items():
            (self.models / name).parent.mkdir(exist_ok=True)
            (self.models / name).write_text(content, encoding="utf-8")
        with (root / "access.yml").open("a", encoding="utf-8") as access:
            access.write(ACCESS)
        (root / ".env").write_text(f"TOLLS={folder / 'tolls'}\n", encoding="utf-8")
        (folder / "tolls").mkdir()
        rows = "1,01/07/2026,1.50\n2,01/07/2026,1.50\n3,02/07/2026,2\n"
        (folder / "tolls/july.csv").write_text(f"Crossing ID,Paid On,Fee\n{rows}", encoding="utf-8")
        county = copy_county(built, folder / "warehouse")
        self.warehouse = Warehouse(county.home, root)
        self.warehouse("access", "apply")
        self.printed = self.warehouse("exec", "--", "python", "-c", STEPS)


@pytest.fixture(scope="module")
def recipes(built: Path, home: Path) -> Iterator[Followed]:
    folder = home / "recipes"
    folder.mkdir(mode=0o755)
    followed = Followed(built, folder)
    yield followed
    followed.warehouse.remove()


def test_a_new_system_mart_and_feed_need_only_the_documented_steps(recipes: Followed) -> None:
    assert recipes.warehouse.sql("select count(*) from highways.fct_crossings") == [(3,)]
    with (recipes.warehouse.home / "outbox/highways/tolls_by_day.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [["Day", "Tolls (£)"], ["2026-07-01", "3.00"], ["2026-07-02", "2.00"]]


def test_a_new_publish_set_is_a_folder_and_an_entry_in_access_yml(recipes: Followed) -> None:
    assert "bridges: published" in recipes.printed
    url = recipes.warehouse.reader_url("pbi_bridges")
    assert recipes.warehouse.sql("select count(*) from bridges.fct_crossings", url=url) == [(3,)]
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        recipes.warehouse.sql("select count(*) from highways.fct_crossings", url=url)


def test_the_tested_recipes_are_those_of_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"^\*\*A new ([a-z ]+)\.\*\*", readme, re.M)
    assert named == ["system", "mart", "report feed", "publish set"]


def test_a_contract_error_is_reported_with_file_and_line_and_changes_no_mart(recipes: Followed) -> None:
    contract = recipes.models / "staging/tolls/_tolls__sources.yml"
    contract.write_text(CONTRACT.replace("load: replace", "load: reprint"), encoding="utf-8")
    try:
        printed = recipes.warehouse("run", expect=1)
    finally:
        contract.write_text(CONTRACT, encoding="utf-8")
    line = CONTRACT[: CONTRACT.index("load: replace")].count("\n") + 1
    assert f"_tolls__sources.yml:{line}: raw_tolls.crossings.load: Input should be 'replace', 'append'" in printed
    assert len(printed.strip().splitlines()) == 1
    assert recipes.warehouse.sql("select count(*) from highways.fct_crossings") == [(3,)]
