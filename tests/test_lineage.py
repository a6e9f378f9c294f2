"""The privacy gate of `make check`: columns that an identifier or a typed text reaches, and unclear SQL."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.support import ROOT, bare_environment, environment_of
from warehouse.lineage import LineageError, problems, reached

CLASSES = {"crossing_id": "none", "driver": "identifier", "plate": "identifier", "fee": "personal"}
REVIEW = {"declassified_by": "approved: A. Officer, 1 July 2026: a count of drivers names none of them"}
STALE = {"declassified_by": "proposed: was a name once"}
MODELS = {
    "staging/tolls/stg_tolls__crossings": (
        "with source as (select * from {{ source('raw_tolls', 'crossings') }}) "
        "select crossing_id, driver as driver_token, fee as fee_gbp, _source_file as source_file from source",
        {},
    ),
    "conformed/int_crossings_conformed": ("select * from {{ ref('stg_tolls__crossings') }}", {}),
    "conformed/int_drivers_labelled": (
        "select fee_gbp, max(driver_token) as label, count(distinct driver_token) as driver_count "
        "from {{ ref('int_crossings_conformed') }} group by fee_gbp",
        {"driver_count": REVIEW},
    ),
    "marts/highways/highways__fct_crossings": (
        """
        with crossings as (select * from {{ ref('int_crossings_conformed') }}),
        drivers as (select * from {{ ref('int_drivers_labelled') }}),
        either as (
            select fee_gbp, 'nobody' as called from crossings
            union all
            select fee_gbp, driver_token from crossings where driver_token is not null
        )
        select
            crossings.*,
            drivers.label,
            md5(crossings.driver_token) as hashed,
            row_number() over (partition by crossings.driver_token order by crossings.crossing_id) as nth,
            case when crossings.driver_token like 'k1%' then 'yes' end as is_known,
            either.called,
            drivers.driver_count,
            left(crossings.driver_token, 2) as key_version
        from crossings
        join drivers on crossings.driver_token = drivers.label
        left join either on drivers.label = either.called
        where crossings.driver_token <> ''
        """,
        {"key_version": REVIEW, "crossing_id": STALE},
    ),
    "marts/highways/highways__rpt_tolls": (
        """select label as "Driver (£)", sum(fee_gbp) as "Fee" from {{ ref('highways__fct_crossings') }} group by 1""",
        {"Driver (£)": {"declassified_by": " "}},
    ),
}
STAGED = "stg_tolls__crossings.driver_token <- raw_tolls.crossings.driver (identifier)"
CONFORMED = f"int_crossings_conformed.driver_token <- {STAGED}"
FEE = "fee_gbp <- stg_tolls__crossings.fee_gbp <- raw_tolls.crossings.fee (personal text)"
LABEL = f"highways.fct_crossings.label <- int_drivers_labelled.label <- {CONFORMED}"
YAML = "dbt_project/models/marts/highways/highways__{0}.yml: highways__{0}.{1}: declassified_by is invalid or unused"


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The manifest of a project with MODELS only, compiled as by `make check`, without a server."""
    from dbt.cli.main import dbtRunner

    root = tmp_path_factory.mktemp("lineage")
    shutil.copytree(ROOT / "dbt_project/macros", root / "dbt_project/macros")
    for file in ("dbt_project.yml", "profiles.yml"):
        shutil.copy(ROOT / file, root)
    meta = {"load": "replace", "files": "*.csv"}
    table = {
        "name": "crossings",
        "config": {"meta": meta},
        "columns": [_column(c, privacy=p) for c, p in CLASSES.items()],
    }
    for path, (sql, said) in MODELS.items():
        file = root / "dbt_project/models" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.with_suffix(".sql").write_text(sql, encoding="utf-8")
        columns = [_column(name, **meta) for name, meta in said.items()] or [_column("fee_gbp")]
        content = {"models": [{"name": file.name, "columns": columns, "config": {"contract": {"enforced": False}}}]}
        if file.parent.name == "tolls":
            content["sources"] = [{"name": "raw_tolls", "tables": [table]}]
        file.with_suffix(".yml").write_text(yaml.safe_dump(content), encoding="utf-8")
    paths = {"project-dir": root, "profiles-dir": root, "target-path": root / "target", "log-path": root}
    words = [word for name, path in paths.items() for word in (f"--{name}", str(path))]
    with environment_of(bare_environment()):
        done = dbtRunner().invoke(["--quiet", "compile", "--no-introspect", "--no-populate-cache", *words])
    assert done.success, done.exception
    return root / "target/manifest.json"


def _column(name: str, **meta: str) -> dict:
    return {"name": name, "data_type": "text", "config": {"meta": meta}}


def test_an_unreviewed_column_that_an_identifier_reaches_fails_with_its_whole_lineage(compiled: Path) -> None:
    assert sorted(problems(json.loads(compiled.read_text(encoding="utf-8")))) == sorted(
        [
            f"highways.fct_crossings.driver_token <- {CONFORMED}",
            LABEL,
            f"highways.fct_crossings.fee_gbp <- int_crossings_conformed.{FEE}",
            f"highways.fct_crossings.hashed <- {CONFORMED}",
            f"highways.fct_crossings.nth <- {CONFORMED}",
            f"highways.fct_crossings.is_known <- {CONFORMED}",
            f"highways.fct_crossings.called <- {CONFORMED}",
            f"highways.rpt_tolls.Driver (£) <- {LABEL}",
            f"{YAML.format('fct_crossings', 'crossing_id')}",
            f"{YAML.format('rpt_tolls', 'Driver (£)')}",
        ]
    )


def test_the_lineage_command_reports_the_problem_and_its_fix(compiled: Path) -> None:
    check = [sys.executable, "-m", "warehouse.lineage", compiled]
    done = subprocess.run(check, cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.returncode == 1
    assert LABEL in done.stderr.splitlines()
    assert 'config: {meta: {declassified_by: "proposed: <why>"}}' in done.stderr


def test_every_column_has_its_privacy_class_and_its_sources(compiled: Path) -> None:
    found = reached(json.loads(compiled.read_text(encoding="utf-8")))
    mart, raw = "model.worcestershire.highways__fct_crossings", "source.worcestershire.raw_tolls.crossings"
    classes = {name: reach.privacy for (key, name), reach in found.items() if key == mart}
    assert classes["fee_gbp"] == "personal"
    assert classes["label"] == "identifier"
    assert {classes[name] for name in ("crossing_id", "source_file", "driver_count", "key_version")} == {"none"}
    assert found[mart, "label"].paths.keys() == found[mart, "key_version"].declassified.keys() == {(raw, "driver")}
    assert found[mart, "driver_count"].paths == {}


def _manifest(sql: str | None, **classes: str) -> dict:
    """Return a manifest of two sources, raw.a and raw.b, and the mart `m` with this compiled SQL."""
    given = (CLASSES | classes).items()
    meta = {name: {"data_type": "text", "config": {"meta": {"privacy": privacy}}} for name, privacy in given}
    shared = {"config": {"meta": {}}, "original_file_path": "m.sql"}
    source = shared | {"resource_type": "source", "schema": "raw", "columns": meta, "fqn": ["p", "staging"]}
    sources = {name: source | {"name": name, "relation_name": f'"w"."raw"."{name}"'} for name in "ab"}
    mart = {"resource_type": "model", "name": "m", "alias": "m", "schema": "set", "fqn": ["p", "marts"], "columns": {}}
    depends = {"relation_name": '"w"."set"."m"', "depends_on": {"nodes": ["a", "b"]}}
    return {"sources": sources, "nodes": {"m": shared | mart | depends | {"compiled_code": sql}}}


@pytest.mark.parametrize(
    ("sql", "sources"),
    [
        ("select a.plate as x from w.raw.a as a", {"a.plate"}),
        ("select x from (select driver, plate from w.raw.a) as d (y, x)", {"a.plate"}),
        ("select x from w.raw.a as t (driver, x)", {"a.driver"}),
        ("with q (y, x) as (select fee, plate from w.raw.a union all select fee, fee from w.raw.b) select x from q",
         {"a.plate", "b.fee"}),
        ("with recursive q as (select 1 as x, 2 as y, plate as z from w.raw.a union all select y, z, z from q) "
         "select x from q", {"a.plate"}),
        ("select l.x from w.raw.a cross join lateral (select upper(a.plate) as x) as l", {"a.plate"}),
        ("select x.y as x from w.raw.a cross join lateral unnest(string_to_array(a.plate, ' ')) as x (y)", {"a.plate"}),
        ("select to_jsonb(a) -> 'fee' as x from w.raw.a as a", {f"a.{name}" for name in CLASSES}),
        ("select count(a.*) as x from w.raw.a as a", {f"a.{name}" for name in CLASSES}),
        ("select sum(fee) over w as x from w.raw.a window w as (partition by plate)", {"a.fee", "a.plate"}),
        ("select count(*) filter (where plate like 'A%') as x from w.raw.a", {"a.plate"}),
        ("select string_agg(driver, ',' order by plate) as x from w.raw.a", {"a.driver", "a.plate"}),
        ("select (select max(b.fee) from w.raw.b as b where b.plate = a.driver) as x from w.raw.a as a",
         {"a.driver", "b.fee", "b.plate"}),
        ("select crossing_id as x from w.raw.a join w.raw.b using (crossing_id)", {"a.crossing_id", "b.crossing_id"}),
        ("select 'name' as driver, upper(driver) as x from w.raw.a", {"a.driver"}),
        ("select distinct on (plate) fee as x from w.raw.a where driver = '' order by plate, driver", {"a.fee"}),
        ("select fee as x from w.raw.a group by plate, fee having max(driver) > ''", {"a.fee"}),
        ("select count(*) as x from w.raw.a", set()),
    ],
)  # fmt: skip
def test_the_sources_of_a_value_are_all_columns_of_its_expression(sql: str, sources: set[str]) -> None:
    assert {".".join(source) for source in reached(_manifest(sql))["m", "x"].paths} == sources


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("selec 1 fro a", "Invalid expression"),
        ("select 1 as x; select 2 as x", "not one select"),
        ("delete from w.raw.a", "not one select"),
        (None, "`dbt compile` compiled"),
        ("select colour from w.raw.a", "'colour' could not be resolved"),
        ("select a.colour from w.raw.a as a", "colour"),
        ("select fee from w.raw.a cross join w.raw.b", "'fee' could not be resolved"),
        ("select * from w.raw.c", "w.raw.c is not a source, seed or model"),
        ("select * from w.raw.a, jsonb_each(a.plate::jsonb) as j", "name the columns of the function"),
        ("select 1 as x union all select * from jsonb_object_keys('{}') as j", "name the columns of the function"),
        (
            "select x.part from w.raw.a, regexp_split_to_table(plate, ' ') as x (part)",
            "column plate belongs to no known table",
        ),
    ],
)
def test_sql_without_a_clear_lineage_fails_with_the_name_of_the_model(sql: str | None, why: str) -> None:
    with pytest.raises(LineageError, match=f"m.sql: no lineage of m: .*{why}"):
        reached(_manifest(sql))


def test_a_column_without_a_privacy_class_fails() -> None:
    with pytest.raises(LineageError, match="no lineage of a: column fee has no privacy class"):
        reached(_manifest("select 1 as x", fee="secret"))


def test_a_column_that_several_identifiers_reach_is_reported_in_one_line() -> None:
    line = "set.m.x <- raw.a.driver (identifier), also from raw.a.plate"
    assert problems(_manifest("select plate || driver as x from w.raw.a")) == [line]


@pytest.mark.parametrize(
    ("value", "carried"),
    [
        ("a.fee", {"a.fee"}),
        ("upper(split_part(a.fee, ' - ', 1))", {"a.fee"}),
        ("coalesce(a.fee, 'none') || 'x'", {"a.fee"}),
        ("(select max(b.fee) from w.raw.b as b where b.plate = a.driver)", {"b.fee"}),
        ("string_agg(a.fee, ',' order by a.plate) over (partition by a.driver)", {"a.fee"}),
        ("case when a.fee like 'A%' then 'yes' end", set()),
        ("case when a.fee like 'A%' then a.fee end", {"a.fee"}),
        ("case a.fee when 'A' then 'Amber' end", set()),
        ("case when a.fee = 'A' then a.fee else 'Other' end", set()),
        ("case when a.fee in ('A', 'B') then lower(a.fee) else 'Other' end", set()),
        ("case when a.fee in ('A', 'B') then 'x' else a.fee end", {"a.fee"}),
        ("case when a.fee in (select b.crossing_id from w.raw.b as b) then a.fee else 'Other' end", set()),
        ("case when a.fee in (select b.fee from w.raw.b as b) then a.fee else 'Other' end", {"a.fee"}),
        ("case when a.plate in ('A', 'B') then a.fee end", {"a.fee"}),
        ("case when a.fee in ('A') or a.plate = 'B' then a.fee end", {"a.fee"}),
        ("case when a.plate = 'B' and btrim(a.fee) in ('A') then btrim(a.fee) end", set()),
        ("md5(a.fee)", set()),
        ("a.fee::date::text", set()),
        ("to_jsonb(a) ->> 'fee'", {"a.fee"}),
    ],
)
def test_a_value_carries_a_typed_text_unless_it_is_in_a_code_list(value: str, carried: set[str]) -> None:
    found = reached(_manifest(f"select {value} as x from w.raw.a as a"))["m", "x"]
    assert {".".join(source) for source in found.typed} == carried


def test_a_typed_text_needs_a_review_only_in_a_text_column() -> None:
    manifest = _manifest("select fee as x from w.raw.a", fee="special_category")
    assert problems(manifest) == ["set.m.x <- raw.a.fee (special category text)"]
    manifest["nodes"]["m"]["columns"] = {"x": {"data_type": "date", "config": {"meta": {}}}}
    assert problems(manifest) == []
    manifest["nodes"]["m"]["columns"] = {"x": {"data_type": "text", "config": {"meta": REVIEW}}}
    manifest["nodes"]["m"]["original_file_path"] = "m.sql"
    assert problems(manifest) == []
