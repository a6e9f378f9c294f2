"""The README's four recipes, followed in a copy of the repository, and an error in a contract there."""

import csv
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from benchmarks.preview import copy_project
from tests.support import ROOT, Warehouse, copy_county

CONTRACT = """\
version: 2

sources:
  - name: raw_lockers
    description: Hires of lockers in libraries, as their supplier exports them each night.
    config:
      meta:
        freshness:
          warn_after: {count: 2, period: day}
          error_after: {count: 3, period: day}
        kind: files
        location: LOCKERS
        schedule: "0 6 * * *"
        time_zone: Europe/London
        information_asset_owner: Head of Libraries
        data_owner: Libraries Manager
        purpose: Income from lockers
        lawful_basis: UK GDPR Article 6(1)(e)
        retention: P7Y
        sharing: none
    tables:
      - name: hires
        description: Hires of lockers. One row per hire.
        config: {meta: {load: replace, files: "*.csv"}}
        columns:
          - name: hire_id
            data_type: bigint
            description: Number of the hire.
            config: {meta: {privacy: none}}
          - name: hired_on
            data_type: date
            description: Day of the hire.
            config: {meta: {privacy: none, format: "%d/%m/%Y"}}
          - name: fee
            data_type: numeric(18,2)
            description: Price paid, in pounds.
            config: {meta: {privacy: none}}
"""
STAGING = """\
with source as (

    select * from {{ source('raw_lockers', 'hires') }}

),

renamed as (

    select
        hire_id,
        fee as fee_gbp,
        hired_on as hired_date
    from source

)

select * from renamed
"""
STAGING_YAML = """\
models:
  - name: stg_lockers__hires
    description: Hires of lockers. One row per hire.
    columns:
      - name: hire_id
        description: Number of the hire.
        data_tests: [unique, not_null]
      - name: fee_gbp
        description: Price paid, in pounds.
      - name: hired_date
        description: Day of the hire.
"""
MART_YAML = """\
models:
  - name: libraries__fct_hires
    description: Hires of lockers. One row per hire.
    columns:
      - {name: hire_id, data_type: bigint, description: Number of the hire., data_tests: [unique]}
      - {name: fee_gbp, data_type: "numeric(18,2)", description: "Price paid, in pounds."}
      - {name: hired_date, data_type: date, description: Day of the hire.}
"""
REPORT = """\
select
    hired_date as "Day",
    sum(fee_gbp) as "Income (£)"
from {{ ref('libraries__fct_hires') }}
group by hired_date
"""
REPORT_YAML = """\
models:
  - name: libraries__rpt_hires_by_day
    description: Hires of lockers by day. One row per day.
    columns:
      - {name: Day, quote: true, data_type: date, description: Day of the hire., data_tests: [unique]}
      - {name: Income (£), quote: true, data_type: numeric, description: "Income, in pounds."}

exposures:
  - name: hires_by_day
    description: Daily income from lockers for their supplier.
    type: application
    owner: {name: Libraries Manager, email: libraries.manager@worcestershire.example}
    depends_on: [ref('libraries__rpt_hires_by_day')]
    config:
      meta:
        feed: {file: hires_by_day.csv, format: csv, reader: The supplier, when: daily, replaces: SSRS Lockers Daily}
"""
MART = "select * from {{ ref('stg_lockers__hires') }}\n"
ACCESS = """
lockers:
  owner: Head of Libraries
  email: head.of.libraries@worcestershire.example
  purpose: Deciding what to charge for lockers
  readers: [pbi_lockers]
"""
SYSTEM = {
    "staging/lockers/_lockers__sources.yml": CONTRACT,
    "staging/lockers/stg_lockers__hires.sql": STAGING,
    "staging/lockers/stg_lockers__hires.yml": STAGING_YAML,
}
MARTS = {
    "marts/libraries/libraries__fct_hires.sql": MART,
    "marts/libraries/libraries__fct_hires.yml": MART_YAML,
}
FEED = {
    "marts/libraries/libraries__rpt_hires_by_day.sql": REPORT,
    "marts/libraries/libraries__rpt_hires_by_day.yml": REPORT_YAML,
}
PUBLISH_SET = {
    "marts/lockers/lockers__fct_hires.sql": MART,
    "marts/lockers/lockers__fct_hires.yml": MART_YAML.replace("libraries__", "lockers__"),
}


# The documented steps in one process: each would start Dagster and parse the project. Dagster would write every feed
STEPS = """
import dagster as dg

from commands.main import main

main(["access", "apply"], standalone_mode=False)
from orchestration.definitions import defs

with dg.DagsterInstance.ephemeral() as instance:
    defs.resolve_job_def("load_lockers").execute_in_process(instance=instance)
    main(["build", "--changed"], standalone_mode=False)
    feed = [dg.AssetKey(["feed", "hires_by_day"])]
    defs.resolve_job_def("write_feeds").execute_in_process(instance=instance, asset_selection=feed)
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
        (root / ".env").write_text(f"LOCKERS={folder / 'lockers'}\n", encoding="utf-8")
        (folder / "lockers").mkdir()
        rows = "1,01/07/2026,1.50\n2,01/07/2026,1.50\n3,02/07/2026,2\n"
        (folder / "lockers/july.csv").write_text(f"Hire ID,Hired On,Fee\n{rows}", encoding="utf-8")
        county = copy_county(built, folder / "warehouse")
        self.warehouse = Warehouse(county.home, root)
        process = {"cwd": root, "env": self.warehouse.environment, "stdout": subprocess.PIPE}
        done = subprocess.run([sys.executable, "-c", STEPS], **process, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, done.stdout
        self.printed = done.stdout


@pytest.fixture(scope="module")
def recipes(built: Path, home: Path) -> Iterator[Followed]:
    folder = home / "recipes"
    folder.mkdir(mode=0o755)
    followed = Followed(built, folder)
    yield followed
    followed.warehouse.remove()


def test_a_new_system_mart_and_feed_need_only_the_documented_steps(recipes: Followed) -> None:
    assert recipes.warehouse.sql("select count(*) from libraries.fct_hires") == [(3,)]
    with (recipes.warehouse.home / "outbox/libraries/hires_by_day.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [["Day", "Income (£)"], ["2026-07-01", "3.00"], ["2026-07-02", "2.00"]]


def test_a_new_publish_set_is_a_folder_and_an_entry_in_access_yml(recipes: Followed) -> None:
    assert "lockers: published" in recipes.printed
    url = recipes.warehouse.reader_url("pbi_lockers")
    assert recipes.warehouse.sql("select count(*) from lockers.fct_hires", url=url) == [(3,)]
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        recipes.warehouse.sql("select count(*) from libraries.fct_hires", url=url)


def test_the_tested_recipes_are_those_of_the_readme() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"^\*\*A new ([a-z ]+)\.\*\*", readme, re.M)
    assert named == ["system", "mart", "report feed", "publish set"]


def test_a_contract_error_is_reported_with_file_and_line_and_changes_no_mart(recipes: Followed) -> None:
    contract = recipes.models / "staging/lockers/_lockers__sources.yml"
    contract.write_text(CONTRACT.replace("load: replace", "load: reprint"), encoding="utf-8")
    try:
        printed = recipes.warehouse("run", expect=1)
    finally:
        contract.write_text(CONTRACT, encoding="utf-8")
    line = CONTRACT[: CONTRACT.index("load: replace")].count("\n") + 1
    assert f"_lockers__sources.yml:{line}: raw_lockers.hires.load: Input should be 'replace', 'append'" in printed
    assert len(printed.strip().splitlines()) == 1
    assert recipes.warehouse.sql("select count(*) from libraries.fct_hires") == [(3,)]
