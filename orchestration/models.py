"""dbt models and tests as assets and checks. A change of a raw table rebuilds each publish set that depends on it."""

import fcntl
import functools
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from importlib import metadata
from operator import or_
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtCliRuntimeError, DagsterDbtTranslator, DbtCliResource, DbtProject, dbt_assets
from packaging import version

from ingestion import ROOT
from orchestration.automation import since_handled
from orchestration.data_tests import DataTests
from orchestration.failures import plain_failures
from orchestration.housekeeping import delete_old_folders
from warehouse import published
from warehouse.access import read_access, read_platform_owner
from warehouse.environment import add_dbt_plugins, dbt_connection, publish_sets

TARGET = Path(
    os.environ.get("DBT_TARGET_PATH", ROOT / ".warehouse/target")
)  # a run's dbt starts from the manifest there
PUBLICATION = "publication"
PUBLICATION_AGE = timedelta(hours=26)  # every set is built once a day
ACCESS_CHECK = "matches_access_yml"
POOL = {"statement_timeout": 60_000, "pool_recycle": 3600, "max_overflow": 4}  # milliseconds, seconds, connections
MAX_PIPE_BYTES = 1 << 20  # Linux's limit for ordinary users
# Runs every test of the built nodes, even without their checks in Dagster; `make test` runs the unit tests. A test that
# also reads a set which is not built (`buildable`) is not of this build
BUILD = ["build", "--exclude-resource-type", "unit_test", "--indirect-selection", "buildable"]


def read_manifest() -> dict[str, Any]:
    """dbt's manifest; dbt parses the project again (about 6 s, without secrets or server) when a file is newer."""
    file = TARGET / "manifest.json"
    project = [ROOT / "dbt_project.yml", *(ROOT / "dbt_project").rglob("*"), *(ROOT / "seeds").rglob("*")]
    if not file.exists() or file.stat().st_mtime < max(path.stat().st_mtime for path in project):
        root, target = os.fspath(ROOT), os.fspath(TARGET)
        where = ["--project-dir", root, "--profiles-dir", root, "--target-path", target, "--log-path", target]
        add_dbt_plugins()
        parse = [os.fspath(Path(sys.executable).with_name("dbt")), "--quiet", "parse", *where]
        done = subprocess.run(parse, cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            raise dg.DagsterInvalidDefinitionError(f"dbt cannot parse the project.\n{done.stdout}{done.stderr}")
    manifest: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return manifest


def node_key(node: Mapping[str, Any]) -> dg.AssetKey:
    """Asset key of a dbt node: [raw schema, table] of a source, [published schema, table] of other nodes."""
    if node["resource_type"] == "source":
        return dg.AssetKey([node["source_name"], node["name"]])
    return dg.AssetKey([node["schema"].removesuffix("__next"), node["alias"]])


def publish_set_of(node: Mapping[str, Any]) -> str | None:
    """The publish set of a mart; None for other nodes."""
    return node["fqn"][2] if node["resource_type"] == "model" and node["fqn"][1] == "marts" else None


def sets_and_inputs(manifest: dict[str, Any]) -> dict[str, set[str]]:
    """{publish set: unique ids of its models and their upstream}."""
    sets: dict[str, set[str]] = {}
    for unique_id, node in manifest["nodes"].items():
        if name := publish_set_of(node):
            reached, todo = sets.setdefault(name, set()), [unique_id]
            while todo:
                if (current := todo.pop()) not in reached:
                    reached.add(current)
                    todo += manifest["parent_map"].get(current, [])
    return sets


def dependent_sets(manifest: dict[str, Any], source: str) -> list[str]:
    """The publish sets that depend on a raw schema."""
    tables = {unique_id for unique_id, node in manifest["sources"].items() if node["source_name"] == source}
    return sorted(name for name, members in sets_and_inputs(manifest).items() if members & tables)


def downstream_impact(manifest: dict[str, Any], source: str, table: str | None) -> str:
    """The marts, and the reports with owners, downstream of a raw table; of every table of the system if None."""
    reached = downstream(manifest, raw_nodes(manifest, source, table))
    nodes = [manifest["nodes"][unique_id] for unique_id in sorted(reached) if unique_id in manifest["nodes"]]
    marts = [".".join(node_key(node).path) for node in nodes if publish_set_of(node)]
    parts = [("Marts that are not updated", marts), ("Downstream reports", reports_in(manifest, reached))]
    return "\n".join(f"{title}: {', '.join(names)}." for title, names in parts if names)


def raw_nodes(manifest: dict[str, Any], source: str, table: str | None = None) -> set[str]:
    """Unique ids of a raw table; of every table of the system if None."""
    sources = manifest["sources"].items()
    return {unique_id for unique_id, node in sources if node["source_name"] == source and table in (None, node["name"])}


def downstream(manifest: dict[str, Any], unique_ids: set[str]) -> set[str]:
    """The nodes and everything downstream of them."""
    reached: set[str] = set()
    todo = list(unique_ids)
    while todo:
        if (current := todo.pop()) not in reached:
            reached.add(current)
            todo += manifest["child_map"].get(current, [])
    return reached


def reports_in(manifest: dict[str, Any], reached: set[str]) -> list[str]:
    """The reports among these nodes, each with its owner."""
    return [
        f"{exposure['label'] or name} ({exposure['owner'].get('name') or exposure['owner']['email']})"
        for name, exposure in sorted(manifest["exposures"].items())
        if name in reached
    ]


def is_record(source: Mapping[str, Any]) -> bool:
    """Whether a source is the warehouse's own record of its work, which has no schedule."""
    return "schedule" not in source["config"]["meta"]


def group_of(node: Mapping[str, Any]) -> str:
    """The group of a node on Dagster's pages: its layer, numbered in the order of the flow, and its system or set."""
    match node["resource_type"], node["fqn"][1:3]:
        case "source", _:
            return f"1_sources/{node['source_name'].removeprefix('raw_')}"
        case "seed", _:
            return "1_sources/code_lists"
        case _, ["staging", system]:
            return f"2_staging/{system}"
        case _, ["marts", publish_set]:
            return f"4_published/{publish_set}"
    return "3_conformed"


class Translator(DagsterDbtTranslator):
    """Asset keys, groups, owners, descriptions, automation conditions and checks of dbt's nodes."""

    def __init__(self, manifest: dict[str, Any]):
        super().__init__()
        self.manifest, self.sets = manifest, sets_and_inputs(manifest)
        self.owners, self.platform = read_access(publish_sets()), read_platform_owner()
        self.data_tests = DataTests(manifest)

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        return node_key(dbt_resource_props)

    def get_owners(self, dbt_resource_props: Mapping[str, Any]) -> list[str]:
        return [self.owners.get(publish_set_of(dbt_resource_props) or "", self.platform).email]

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str:
        return group_of(dbt_resource_props)

    def get_description(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """The description alone: the file, a link away, has the SQL."""
        return str(dbt_resource_props["description"])

    def get_metadata(self, dbt_resource_props: Mapping[str, Any]) -> Mapping[str, Any]:
        """The columns, the table's name as readers know it, and the file of the node."""
        found = dict(super().get_metadata(dbt_resource_props))
        name = ".".join([dbt_resource_props["database"], *node_key(dbt_resource_props).path])
        return found | {
            "dagster/table_name": name,
            "file": dg.MetadataValue.path(dbt_resource_props["original_file_path"]),
        }

    def get_asset_check_spec(
        self, asset_spec: dg.AssetSpec, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None
    ) -> dg.AssetCheckSpec | None:
        spec = super().get_asset_check_spec(asset_spec, manifest, unique_id, project)
        return spec and dg.AssetCheckSpec(
            spec.name,
            asset=spec.asset_key,
            description=self.data_tests.describe(spec.name),
            additional_deps=spec.additional_deps,
            blocking=spec.blocking,
            metadata=spec.metadata,
        )

    def get_automation_condition(self, dbt_resource_props: Mapping[str, Any]) -> dg.AutomationCondition[Any] | None:
        """True when a raw table changes on which a set of the node depends, so that whole sets are requested.

        The warehouse's own records, which each build changes, request nothing.
        """
        unique_id = dbt_resource_props["unique_id"]
        inputs = set().union(*(members for members in self.sets.values() if unique_id in members))
        sources = [node for unique_id, node in sorted(self.manifest["sources"].items()) if unique_id in inputs]
        raw = [node_key(node) for node in sources if not is_record(node)]
        return _changed(tuple(raw)) if raw else None


@functools.cache  # hundreds of nodes depend on the same raw tables
def _changed(raw: tuple[dg.AssetKey, ...]) -> dg.AutomationCondition[Any]:
    condition = dg.AutomationCondition
    is_due: dg.AutomationCondition[Any] = (
        _any_matches(raw, condition.data_version_changed()) | condition.newly_missing()
    )
    return (
        since_handled(is_due)
        & ~_any_matches(raw, condition.missing())
        & ~_any_matches(raw, condition.in_progress())
        & ~_any_matches(raw, condition.will_be_requested())  # matching, which follows the same loads
        & ~condition.in_progress()
    )


def _any_matches(keys: tuple[dg.AssetKey, ...], condition: dg.AutomationCondition[Any]) -> dg.AutomationCondition[Any]:
    return functools.reduce(or_, (dg.AutomationCondition.asset_matches(key, condition) for key in keys))


def build_models(manifest: dict[str, Any]) -> tuple[dg.AssetsDefinition, list[dg.AssetSpec]]:
    """The multi-asset of all models, seeds and tests (one dbt call a run), and an asset for each set's publication."""
    translator = Translator(manifest)
    project = DbtProject(ROOT, target_path=TARGET, profiles_dir=ROOT)

    @dbt_assets(manifest=manifest, project=project, dagster_dbt_translator=translator, name="models")
    @plain_failures
    def models(context: dg.AssetExecutionContext, dbt: DbtCliResource) -> Iterator[object]:
        touched = [name for name in translator.sets if any(key.path[0] == name for key in context.selected_asset_keys)]
        whole = [f"path:dbt_project/models/marts/{name}" for name in touched]
        selected, failure = context.op_execution_context.selected_output_names, None
        context.instance.optimize_for_webserver(**POOL)
        delete_old_folders(TARGET, datetime.now(UTC))
        with closing(dbt_connection()) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            last = published.last_outcome(cursor)
            build = dbt.cli([*BUILD, *(["--select", " ".join(whole)] if whole else [])], context=context)
            output = build.process.stdout
            if output and hasattr(fcntl, "F_SETPIPE_SZ"):  # so that dbt does not wait until Dagster stores its events
                fcntl.fcntl(output, fcntl.F_SETPIPE_SZ, MAX_PIPE_BYTES)
            try:
                for event in build.stream():
                    if isinstance(event, dg.Output) and event.output_name not in selected:
                        continue
                    if isinstance(event, dg.AssetCheckResult) and not event.passed and event.check_name:
                        context.log.error(translator.data_tests.describe(event.check_name))
                    if not isinstance(event, dg.AssetObservation):  # of a test without a check in this run
                        yield event
            except DagsterDbtCliRuntimeError as error:
                failure = error
            outcomes = published.outcomes_since(cursor, last)
            builds = {outcome["publish_set"]: outcome["invocation_id"] for outcome in outcomes}
            published.keep(build.target_path / "manifest.json", builds)
        yield from _unrecorded(context.instance, [outcome for outcome in outcomes if outcome["action"] == "publish"])
        if refused := translator.data_tests.refusals(outcomes):
            raise dg.Failure("\n".join(refused)) from None
        if failure:
            raise failure

    publications = [
        dg.AssetSpec(
            [PUBLICATION, name],
            deps=[node_key(node) for node in manifest["nodes"].values() if publish_set_of(node) == name],
            group_name=f"4_published/{name}",
            owners=[translator.owners[name].email],
            kinds={"postgres"},
            description=f"{translator.owners[name].purpose}. Readers see all tables change at once, after all tests of "
            f"{name} have passed.",
            freshness_policy=dg.FreshnessPolicy.time_window(fail_window=PUBLICATION_AGE),
        )
        for name in translator.sets
    ]
    return models, publications


def build_records(manifest: dict[str, Any]) -> list[dg.AssetSpec]:
    """The warehouse's own records, which no run makes."""
    owners, sources = [read_platform_owner().email], filter(is_record, manifest["sources"].values())
    return [
        dg.AssetSpec(node_key(node), group_name=group_of(node), owners=owners, description=node["description"])
        for node in sources
    ]


def _unrecorded(instance: dg.DagsterInstance, outcomes: list[dict[str, Any]]) -> Iterator[dg.AssetMaterialization]:
    """Materialisations of publications that Dagster has not recorded."""
    for outcome in outcomes:
        event = instance.get_latest_materialization_event(dg.AssetKey([PUBLICATION, outcome["publish_set"]]))
        known = event and event.asset_materialization and event.asset_materialization.metadata.get("publication_id")
        if not (known and isinstance(known.value, int) and known.value >= outcome["publication_id"]):
            yield dg.AssetMaterialization([PUBLICATION, outcome["publish_set"]], metadata=outcome)


@dg.sensor(
    description="Records publications that no run recorded: by dbt alone, by a run that died, and roll backs.",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def record_publications(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Records the current publication of each publish set, so that feeds follow every publication."""
    with closing(dbt_connection()) as connection, connection.cursor() as cursor:
        found = list(_unrecorded(context.instance, published.current(cursor)))
    return dg.SensorResult(asset_events=found) if found else dg.SkipReason("Every publication is recorded.")


def build_access_checks(sets: list[dg.AssetKey]) -> dg.AssetChecksDefinition:
    """A check of each publication: the grants in the database match access.yml."""

    @dg.multi_asset_check(
        name="access",
        specs=[
            dg.AssetCheckSpec(ACCESS_CHECK, asset=key, description="Logins, grants and row scopes match access.yml.")
            for key in sets
        ],
    )
    @plain_failures
    def access() -> Iterator[dg.AssetCheckResult]:
        with dbt_connection() as connection, connection.cursor() as cursor:
            cursor.execute("select publish_set, difference from governance.access_differences()")
            found = cursor.fetchall()
        for key in sets:
            other_sets = {other.path[-1] for other in sets} - {key.path[-1]}
            differences = [difference for name, difference in found if name not in other_sets]
            yield dg.AssetCheckResult(
                passed=not differences,
                asset_key=key,
                check_name=ACCESS_CHECK,
                metadata={"differences": differences},
            )

    return access


class Dbt(DbtCliResource):
    """dbt as `warehouse.builds` runs it. The parent class takes three seconds a run to ask dbt for its version."""

    @functools.cached_property
    def _cli_version(self) -> version.Version:
        return version.parse(metadata.version("dbt-core"))


def dbt_resource() -> DbtCliResource:
    """dbt's command line in this Python environment."""
    return Dbt(
        project_dir=os.fspath(ROOT),
        profiles_dir=os.fspath(ROOT),
        dbt_executable=sys.executable,
        global_config_flags=["-m", "warehouse.builds"],
    )
