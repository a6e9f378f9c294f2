"""dbt's models and tests as assets and checks; a publish set is rebuilt whole when raw tables it rests on change."""

import fcntl
import functools
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import metadata
from operator import or_
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtCliRuntimeError, DagsterDbtTranslator, DbtCliResource, DbtProject, dbt_assets
from packaging import version
from psycopg2 import extensions as pg

from ingestion.contracts import ROOT
from ingestion.pipeline import BUILD_LOCK
from warehouse import published
from warehouse.access import read_access, read_platform_owner
from warehouse.environment import dbt_connection, publish_sets

TARGET = Path(os.environ.get("DBT_TARGET_PATH", ROOT / ".warehouse/target"))  # a run's dbt begins with what is there
PUBLICATION = "publication"
POOL = {"statement_timeout": 60_000, "pool_recycle": 3600, "max_overflow": 4}  # milliseconds, seconds, connections
PIPE_BYTES = 1 << 20  # the most that Linux gives an ordinary user
# Every test of what is built, also where a run has left the checks of it out; unit tests, which try the code on made-up
# rows, are for `make test`.
BUILD = ["build", "--exclude-resource-type", "unit_test", "--indirect-selection", "eager"]


def read_manifest() -> dict[str, Any]:
    """dbt's manifest, parsed anew (about 6 s, without a secret or a server) when a file of the project is newer."""
    file = TARGET / "manifest.json"
    project = [ROOT / "dbt_project.yml", *(ROOT / "dbt_project").rglob("*"), *(ROOT / "seeds").rglob("*")]
    if not file.exists() or file.stat().st_mtime < max(path.stat().st_mtime for path in project):
        root, target = os.fspath(ROOT), os.fspath(TARGET)
        where = ["--project-dir", root, "--profiles-dir", root, "--target-path", target, "--log-path", target]
        parse = [os.fspath(Path(sys.executable).with_name("dbt")), "--quiet", "parse", *where]
        done = subprocess.run(parse, cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            raise dg.DagsterInvalidDefinitionError(f"dbt cannot parse the project:\n{done.stdout}{done.stderr}")
    manifest: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return manifest


def node_key(node: Mapping[str, Any]) -> dg.AssetKey:
    """[raw schema, table] of a source, [schema that readers know, table] of everything that dbt makes."""
    if node["resource_type"] == "source":
        return dg.AssetKey([node["source_name"], node["name"]])
    return dg.AssetKey([node["schema"].removesuffix("__next"), node["alias"]])


def publish_set_of(node: Mapping[str, Any]) -> str | None:
    """The publish set of a mart, None for every other node."""
    return node["fqn"][2] if node["resource_type"] == "model" and node["fqn"][1] == "marts" else None


def sets_and_inputs(manifest: dict[str, Any]) -> dict[str, set[str]]:
    """{publish set: unique ids of its models and of everything upstream of them}."""
    sets: dict[str, set[str]] = {}
    for unique_id, node in manifest["nodes"].items():
        if name := publish_set_of(node):
            reached, todo = sets.setdefault(name, set()), [unique_id]
            while todo:
                if (current := todo.pop()) not in reached:
                    reached.add(current)
                    todo += manifest["parent_map"].get(current, [])
    return sets


def sets_on(manifest: dict[str, Any], source: str) -> list[str]:
    """The publish sets that rest on a raw schema."""
    tables = {unique_id for unique_id, node in manifest["sources"].items() if node["source_name"] == source}
    return sorted(name for name, members in sets_and_inputs(manifest).items() if members & tables)


def what_hangs_on(manifest: dict[str, Any], source: str, table: str | None) -> str:
    """In words: the marts, and the reports with their owners, that a raw table feeds (any of the system's for None)."""
    reached: set[str] = set()
    todo = [
        unique_id
        for unique_id, node in manifest["sources"].items()
        if node["source_name"] == source and table in (None, node["name"])
    ]
    while todo:
        if (current := todo.pop()) not in reached:
            reached.add(current)
            todo += manifest["child_map"].get(current, [])
    nodes = [manifest["nodes"][unique_id] for unique_id in sorted(reached) if unique_id in manifest["nodes"]]
    marts = [".".join(node_key(node).path) for node in nodes if publish_set_of(node)]
    reports = [
        f"{exposure['label'] or name} ({exposure['owner'].get('name') or exposure['owner']['email']})"
        for name, exposure in sorted(manifest["exposures"].items())
        if name in reached
    ]
    parts = [("Marts that stay as they were", marts), ("Reports that hang on it", reports)]
    return "\n".join(f"{words}: {', '.join(names)}." for words, names in parts if names)


class Translator(DagsterDbtTranslator):
    """Names, owners and conditions of dbt's nodes in Dagster."""

    def __init__(self, manifest: dict[str, Any]):
        super().__init__()
        self.manifest, self.sets = manifest, sets_and_inputs(manifest)
        self.owners, self.platform = read_access(publish_sets()), read_platform_owner()

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        return node_key(dbt_resource_props)

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> list[str]:
        return [self.owners.get(publish_set_of(dbt_resource_props) or "", self.platform).email]

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str:
        return publish_set_of(dbt_resource_props) or "data_platform"

    def get_automation_condition(self, dbt_resource_props: Mapping[str, Any]) -> dg.AutomationCondition[Any] | None:
        """When a raw table's content changed that any of the node's sets rests on: so a set is asked for whole."""
        unique_id = dbt_resource_props["unique_id"]
        inputs = set().union(*(members for members in self.sets.values() if unique_id in members))
        raw = [node_key(node) for unique_id, node in sorted(self.manifest["sources"].items()) if unique_id in inputs]
        if not raw:
            return None
        condition = dg.AutomationCondition
        is_due: dg.AutomationCondition[Any] = _any(raw, condition.data_version_changed()) | condition.newly_missing()
        return (
            is_due.since_last_handled()
            & ~_any(raw, condition.missing())
            & ~_any(raw, condition.in_progress())
            & ~condition.in_progress()
        )


def _any(keys: list[dg.AssetKey], condition: dg.AutomationCondition[Any]) -> dg.AutomationCondition[Any]:
    return functools.reduce(or_, (dg.AutomationCondition.asset_matches(key, condition) for key in keys))


def build_models(manifest: dict[str, Any]) -> tuple[dg.AssetsDefinition, list[dg.AssetSpec]]:
    """All models, seeds and tests as one multi-asset (one dbt call per run), and each set's publication."""
    translator = Translator(manifest)
    project = DbtProject(ROOT, target_path=TARGET, profiles_dir=ROOT)

    @dbt_assets(manifest=manifest, project=project, dagster_dbt_translator=translator, name="models")
    def models(context: dg.AssetExecutionContext, dbt: DbtCliResource) -> Iterator[object]:
        touched = [name for name in translator.sets if any(key.path[0] == name for key in context.selected_asset_keys)]
        whole = [f"path:dbt_project/models/marts/{name}" for name in touched]
        selected, failure = context.op_execution_context.selected_output_names, None
        context.instance.optimize_for_webserver(**POOL)
        with alone_with_raw_tables() as cursor:
            last = published.last_decision(cursor)
            build = dbt.cli([*BUILD, *(["--select", " ".join(whole)] if whole else [])], context=context)
            said = build.process.stdout
            if said and hasattr(fcntl, "F_SETPIPE_SZ"):  # dbt need not wait until Dagster has stored it
                fcntl.fcntl(said, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
            try:
                for event in build.stream():
                    if isinstance(event, dg.Output) and event.output_name not in selected:
                        continue
                    if not isinstance(event, dg.AssetObservation):  # of a test that is no check in this run
                        yield event
            except DagsterDbtCliRuntimeError as error:
                failure = error
            decisions = published.decisions_since(cursor, last)
            builds = {decision["publish_set"]: decision["invocation_id"] for decision in decisions}
            published.keep(build.target_path / "manifest.json", builds)
        for decision in decisions:
            if decision["action"] == "publish":
                yield dg.AssetMaterialization([PUBLICATION, decision["publish_set"]], metadata=decision)
        refused = [
            f"{d['publish_set']} is not published: {'; '.join(d['problems'])}" for d in decisions if d["problems"]
        ]
        if refused:
            raise dg.Failure("\n".join(refused)) from None
        if failure:
            raise failure

    publications = [
        dg.AssetSpec(
            [PUBLICATION, name],
            deps=[node_key(node) for node in manifest["nodes"].values() if publish_set_of(node) == name],
            group_name=name,
            description=f"What readers see in schema {name}: swapped in whole once every test of the set has passed.",
        )
        for name in translator.sets
    ]
    return models, publications


def build_access_checks(sets: list[dg.AssetKey]) -> dg.AssetChecksDefinition:
    """For each publication: whether the database lets its readers, and nobody else, read what access.yml says."""

    @dg.multi_asset_check(name="access", specs=[dg.AssetCheckSpec("as_access_yml_says", asset=key) for key in sets])
    def access() -> Iterator[dg.AssetCheckResult]:
        with dbt_connection() as connection, connection.cursor() as cursor:
            cursor.execute("select publish_set, difference from governance.access_differences()")
            found = cursor.fetchall()
        for key in sets:
            differences = [
                words for name, words in found if name not in {other.path[-1] for other in sets} - {key.path[-1]}
            ]
            yield dg.AssetCheckResult(
                passed=not differences,
                asset_key=key,
                check_name="as_access_yml_says",
                metadata={"differences": differences},
            )

    return access


@contextmanager
def alone_with_raw_tables() -> Iterator[pg.cursor]:
    """A cursor, while which loads wait with their commit: every model of a set rests on the same loads."""
    connection = dbt_connection()
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute("select pg_advisory_lock(hashtext(%s))", [BUILD_LOCK])
            yield cursor
    finally:
        connection.close()


class Dbt(DbtCliResource):
    """dbt's command line, of this Python's own dbt: its parent spends three seconds a run on asking for the version."""

    @functools.cached_property
    def _cli_version(self) -> version.Version:
        return version.parse(metadata.version("dbt-core"))


def dbt_resource() -> DbtCliResource:
    """dbt's command line, from this Python's own environment."""
    return Dbt(
        project_dir=os.fspath(ROOT),
        profiles_dir=os.fspath(ROOT),
        dbt_executable=str(Path(sys.executable).with_name("dbt")),
    )
