"""The README's three recipes, followed word for word in a copy of the repository."""

import csv
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest
from conftest import ROOT, Warehouse

FOLDERS = ("dbt_project", "ingestion", "orchestration", "warehouse", "demo", "seeds", ".dlt")
FILES = ("access.yml", "dbt_project.yml", "profiles.yml", "workspace.yaml", "pyproject.toml")

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
CONFORMED_YAML = """\
models:
  - name: int_crossings_conformed
    description: Tolls paid. One row per crossing.
    columns:
      - {name: crossing_id, data_type: bigint, description: Number of the crossing., data_tests: [unique]}
      - {name: fee_gbp, data_type: "numeric(18,2)", description: "Toll paid, in pounds."}
      - {name: paid_date, data_type: date, description: Day of payment.}
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


@pytest.fixture(scope="module")
def copy(home: Path) -> Iterator[Warehouse]:
    root = home / "copy"
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in FILES:
        shutil.copy(ROOT / file, root)
    warehouse = Warehouse(home / "recipes", root, TOLLS=str(home / "tolls"))
    yield warehouse
    warehouse("stop")


def test_a_new_system_a_new_mart_and_a_new_feed_need_only_what_the_readme_says(copy: Warehouse, home: Path) -> None:
    models = copy.root / "dbt_project/models"
    for name, content in {
        "staging/tolls/_tolls__sources.yml": CONTRACT,
        "staging/tolls/stg_tolls__crossings.sql": STAGING,
        "staging/tolls/stg_tolls__crossings.yml": STAGING_YAML,
        "conformed/int_crossings_conformed.sql": "select * from {{ ref('stg_tolls__crossings') }}\n",
        "conformed/int_crossings_conformed.yml": CONFORMED_YAML,
        "marts/highways/highways__fct_crossings.sql": "select * from {{ ref('int_crossings_conformed') }}\n",
        "marts/highways/highways__fct_crossings.yml": MART_YAML,
        "marts/highways/highways__rpt_tolls_by_day.sql": (
            'select\n    paid_date as "Day",\n    sum(fee_gbp) as "Tolls (£)"\n'
            "from {{ ref('highways__fct_crossings') }}\ngroup by paid_date\n"
        ),
        "marts/highways/highways__rpt_tolls_by_day.yml": REPORT_YAML,
    }.items():
        (models / name).parent.mkdir(exist_ok=True)
        (models / name).write_text(content, encoding="utf-8")
    (home / "tolls").mkdir()
    rows = "1,01/07/2026,1.50\n2,01/07/2026,1.50\n3,02/07/2026,2\n"
    (home / "tolls/july.csv").write_text(f"Crossing ID,Paid On,Fee\n{rows}")

    printed = copy("run")

    assert "crossings 3" in printed
    assert copy.sql("select count(*) from highways.fct_crossings") == [(3,)]
    with (copy.home / "outbox/tolls_by_day.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [["Day", "Tolls (£)"], ["2026-07-01", "3.00"], ["2026-07-02", "2.00"]]


def test_a_contract_error_is_said_by_file_and_line_and_leaves_the_marts(copy: Warehouse) -> None:
    contract = copy.root / "dbt_project/models/staging/tolls/_tolls__sources.yml"
    contract.write_text(CONTRACT.replace("load: replace", "load: reprint"), encoding="utf-8")
    printed = copy("run", expect=1)
    line = CONTRACT[: CONTRACT.index("load: replace")].count("\n") + 1
    assert f"_tolls__sources.yml:{line}: raw_tolls.crossings.load: Input should be 'replace', 'append'" in printed
    assert len(printed.strip().splitlines()) == 1
    assert copy.sql("select count(*) from highways.fct_crossings") == [(3,)]


def test_a_column_that_is_declared_later_is_filled_for_every_row(copy: Warehouse) -> None:
    (copy.root / "dbt_project/models/staging/tolls/_tolls__sources.yml").write_text(CONTRACT, encoding="utf-8")
    contract = copy.root / "dbt_project/models/staging/confirm/_confirm__sources.yml"
    whole = contract.read_text(encoding="utf-8")
    load = (
        "from ingestion.contracts import *; from ingestion.pipeline import *; load_system(read_contracts()['confirm'])"
    )
    declaration = r"          - name: enquiry_log_number\n(            .*\n)+"
    contract.write_text(re.sub(declaration, "", whole, count=1), encoding="utf-8")
    copy("exec", "--", "python", "-c", load)
    with pytest.raises(psycopg2.errors.UndefinedColumn):
        copy.sql("select enquiry_log_number from raw_confirm.central_enquiry")
    contract.write_text(whole, encoding="utf-8")
    copy("exec", "--", "python", "-c", load)
    filled = "select count(*) > 0 and count(*) = count(enquiry_log_number) from raw_confirm.central_enquiry"
    assert copy.sql(filled) == [(True,)]
