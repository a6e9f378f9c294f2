"""The asset graph in Dagster: it loads anywhere, every asset is owned and read, and it knows when to run."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import TYPE_CHECKING

import pytest
import yaml

from demo import systems
from ingestion.contracts import read_contracts
from tests.support import ROOT, manifest_folder

if TYPE_CHECKING:
    import dagster as dg

MATCHED = ("matching", "person_records")


class Graph:
    """The definitions of Dagster and the manifest of dbt. Tests import Dagster when they run, not at collection."""

    def __init__(self, definitions: ModuleType):
        from orchestration.models import node_key, publish_set_of, sets_and_inputs

        self.key, self.set_of = node_key, publish_set_of
        self.defs, self.manifest = definitions.defs, definitions.manifest
        self.inputs = sets_and_inputs(self.manifest)
        self.nodes = list(self.manifest["nodes"].values())
        self.models = [node for node in self.nodes if node["resource_type"] == "model"]
        self.marts = [node for node in self.models if publish_set_of(node)]
        self.assets = self.defs.resolve_asset_graph()


@pytest.fixture(scope="module")
def graph(definitions: ModuleType) -> Graph:
    return Graph(definitions)


def test_definitions_load_without_variables_servers_or_a_network(parsed) -> None:
    """The manifest was parsed without variables too; test_recipes.py loads definitions that dbt must parse first."""
    load = "import orchestration.definitions as d; d.defs.resolve_asset_graph()"
    target = ROOT / ".warehouse/target"
    target.mkdir(parents=True, exist_ok=True)
    shutil.copy(manifest_folder() / "manifest.json", target)
    bare = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", load], cwd=ROOT, env=bare, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "DBT_" not in (ROOT / "workspace.yaml").read_text()


def test_every_raw_table_is_one_asset_and_has_a_staging_model(graph: Graph) -> None:
    import dagster as dg

    staging = [node["depends_on"]["nodes"] for node in graph.models if node["fqn"][1] == "staging"]
    read = {source for nodes in staging for source in nodes if not source.startswith("seed.")}  # seeds are code lists
    declared = {f"source.worcestershire.{s.name}.{t.name}" for s in read_contracts().values() for t in s.tables}
    assert read == set(graph.manifest["sources"])
    assert graph.assets.get(dg.AssetKey(["governance", "alerts"])).group_name == "1_sources/governance"
    sources = [node for node in graph.manifest["sources"].values() if node["source_name"] != "governance"]
    assert {source["unique_id"] for source in sources} == declared | {"source.worcestershire.matching.person_records"}
    assert {graph.key(source) for source in sources} == {
        dg.AssetKey([s.name, t.name]) for s in read_contracts().values() for t in s.tables
    } | {dg.AssetKey(MATCHED)}
    assert all(graph.assets.get(graph.key(source)).is_executable for source in sources)


def test_every_materialisable_asset_has_an_owner_and_a_group(graph: Graph) -> None:
    for key in graph.assets.executable_asset_keys:
        node = graph.assets.get(key)
        assert node.group_name != "default", key
        assert node.owners, key
    for mart in graph.marts:
        assert "@" in graph.assets.get(graph.key(mart)).owners[0], mart["name"]


def test_every_exposure_has_a_reader_and_an_owner(graph: Graph) -> None:
    for exposure in graph.manifest["exposures"].values():
        meta = exposure["config"]["meta"]
        assert (meta.get("feed") or meta)["reader"], exposure["name"]
        assert exposure["owner"]["email"], exposure["name"]


def test_no_mart_reads_a_mart_of_another_set(graph: Graph) -> None:
    for mart in graph.marts:
        for parent in mart["depends_on"]["nodes"]:
            assert graph.set_of(graph.manifest["nodes"][parent]) in (None, graph.set_of(mart)), mart["name"]


def test_a_build_after_a_load_of_any_system_can_run_every_test_of_its_sets(graph: Graph) -> None:
    """A publication needs every test of its set. dbt runs a test whose models are built or upstream (`buildable`)."""
    from orchestration.models import downstream, raw_nodes

    nodes, parents = graph.manifest["nodes"], graph.manifest["parent_map"]
    tests = {unique_id: {*parents[unique_id]} for unique_id in nodes if unique_id.startswith("test.")}
    marts = {mart["unique_id"]: graph.set_of(mart) for mart in graph.marts}
    left_out = {}
    for system in read_contracts().values():
        built = downstream(graph.manifest, raw_nodes(graph.manifest, system.name))
        sets = {marts[unique_id] for unique_id in built & marts.keys()}
        assert sets, system.name
        reached = set().union(*(graph.inputs[name] for name in sets)) | built
        for test, needed in tests.items():
            if {marts.get(unique_id) for unique_id in needed} & sets and not needed <= reached:
                left_out[system.name, test] = needed - reached
    assert left_out == {}


def test_every_test_of_one_model_is_an_asset_check(graph: Graph) -> None:
    checks = {key.name for key in graph.assets.asset_check_keys}
    singles = [n for n in graph.nodes if n["resource_type"] == "test" and len(n["depends_on"]["nodes"]) == 1]
    assert len(checks) >= len(singles) > 100


def test_names_of_unit_tests_fit_in_a_name_of_postgres(graph: Graph) -> None:
    """Dbt builds the inputs of a unit test in a table with the name of the test; Postgres cuts names at 63 bytes."""
    names = [unit["name"] for unit in graph.manifest["unit_tests"].values()]
    assert len(names) >= 100
    assert [name for name in names if len(name) > 63] == []


def test_every_failed_data_test_stops_the_publication(graph: Graph) -> None:
    tests = [node for node in graph.nodes if node["resource_type"] == "test"]
    tolerated = {n["name"] for n in tests if n["config"]["severity"].lower() != "error"}
    # a word that is not yet in the list of services
    assert tolerated == {f"assert_every_{record}_has_a_known_service" for record in ("case", "service_request")}


def test_every_data_test_has_one_name_and_a_description_to_act_on(graph: Graph, definitions: ModuleType) -> None:
    from orchestration.data_tests import DataTests

    tests = [node for node in graph.nodes if node["resource_type"] == "test"]
    described = DataTests(graph.manifest)
    assert len(described.tests) == len(tests) > 700, "test names are unique"
    emails = {access.email for access in described.owners.values()} | {described.platform.email}
    for test in tests:
        text, kind = described.describe(test["name"]), (test.get("test_metadata") or {"name": "", "kwargs": {}})
        tested = [test["attached_node"]] if test.get("attached_node") else test["depends_on"]["nodes"]
        for unique_id in tested:
            assert ".".join(graph.key(graph.manifest["nodes"][unique_id]).path) in text, text
        columns = [test.get("column_name") or "", *kind["kwargs"].get("combination_of_columns", [])]
        assert all(column.strip('"') in text for column in columns), text
        if kind["name"] in ("", "expression_is_true"):
            rule = text.split(": ", 1)[1].split(". ")[0]
            assert len(rule.split()) >= 4, text
            assert "_" not in rule.split(" (`")[0], text
        assert text.count(f"`warehouse exec dbt show --select {test['name']}`") == 1, text
        assert sum(f"({email})" in text for email in emails) == 1, text
    assert {spec.name: spec.description for spec in definitions.models.check_specs} == {
        key.name: described.describe(key.name) for key in definitions.models.check_keys
    }


def test_a_new_kind_of_data_test_is_described_by_its_name(graph: Graph) -> None:
    from orchestration.data_tests import DataTests

    described = DataTests(graph.manifest)
    name, test = next(item for item in described.tests.items() if item[1].get("test_metadata"))
    described.tests[name] = test | {"test_metadata": {"name": "is_recent", "kwargs": {}}, "description": ""}
    assert name.replace("_", " ") in described.describe(name)


def test_every_description_has_at_least_three_words(graph: Graph) -> None:
    manifest = graph.manifest
    described = [node for node in graph.nodes if node["resource_type"] in ("model", "seed", "snapshot")]
    described += [*manifest["sources"].values(), *manifest["exposures"].values()]
    described += [column for node in described for column in node.get("columns", {}).values()]
    assert len(described) > 2000
    assert [node["name"] for node in described if len(node["description"].split()) < 3] == []


def test_a_refusal_describes_each_failed_test(graph: Graph) -> None:
    from orchestration.data_tests import DataTests

    name = "relationships_highways__fct_defects_ward_code__ward_code__ref_highways__dim_wards_"
    published = {"publish_set": "customer", "problems": []}
    refused = {"publish_set": "highways", "problems": [f"test {name} failed", "test gone failed", "model a failed"]}
    assert DataTests(graph.manifest).refusals([published, refused]) == [
        f"highways is not published: test {name} failed. highways.fct_defects: ward_code is empty or a "
        "ward_code of highways.dim_wards. "
        f"Failing rows: `warehouse exec dbt show --select {name}`. Owner: Highways Operations "
        "Manager (highways.operations@worcestershire.example).\n  test gone failed\n  model a failed"
    ]


def test_every_system_has_a_schedule_and_every_raw_table_a_freshness_policy(graph: Graph) -> None:
    import dagster as dg

    schedules = {schedule.name: schedule for schedule in graph.defs.schedules}
    for name, system in read_contracts().items():
        schedule = schedules[f"load_{name}_schedule"]
        assert (schedule.cron_schedule, schedule.execution_timezone) == (system.schedule, system.time_zone)
        assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
        for table in system.tables:
            assert graph.assets.get(dg.AssetKey([system.name, table.name])).freshness_policy


def test_power_bi_projects_and_parquet_files_follow_the_publication_of_their_set(
    graph: Graph, instance: dg.DagsterInstance
) -> None:
    import dagster as dg

    exports = dg.AssetSelection.key_prefixes(["powerbi"], ["parquet"])
    first = dg.evaluate_automation_conditions(graph.defs, instance, asset_selection=exports)
    instance.report_runless_asset_event(dg.AssetMaterialization(["publication", "highways"]))
    then = dg.evaluate_automation_conditions(graph.defs, instance, asset_selection=exports, cursor=first.cursor)
    assert _asked(graph, then) == {dg.AssetKey(["powerbi", "highways"]), dg.AssetKey(["parquet", "highways"])}


def test_the_page_on_jobs_and_sensors_names_them_as_they_are(graph: Graph) -> None:
    text = (ROOT / "docs/reference/jobs-and-sensors.md").read_text(encoding="utf-8")
    named = {re.sub("<system>", "confirm", name) for name in re.findall("(?:job|sensor) `([^`]+)`", text)}
    repository = graph.defs.get_repository_def()
    known = {*repository.job_names, *(sensor.name for sensor in repository.sensor_defs)}
    assert named - known == set()
    systems = "|".join(name.removeprefix("raw_") for name in read_contracts())
    kinds = {re.sub(f"_({systems})$", "", name) for name in known}
    assert kinds - {re.sub("_confirm$", "", name) for name in named} == {"write_feeds", "__ASSET_JOB"}


def test_a_failed_run_is_retried_from_the_failed_step(graph: Graph) -> None:
    for name in ("match_people", "build_models", "write_feeds", *(f"load_{system}" for system in read_contracts())):
        assert graph.defs.resolve_job_def(name).tags["dagster/retry_strategy"] == "FROM_ASSET_FAILURE"
    settings = yaml.safe_load((ROOT / "warehouse/dagster.yaml").read_text(encoding="utf-8"))
    assert settings["run_retries"] == {"enabled": True, "max_retries": 2}


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    import dagster as dg

    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def _land(instance: dg.DagsterInstance, version: str, *systems: str) -> None:
    import dagster as dg

    for system in systems:
        for table in read_contracts()[system].tables:
            key, tags = dg.AssetKey([f"raw_{system}", table.name]), {"dagster/data_version": version}
            instance.report_runless_asset_event(dg.AssetMaterialization(key, tags=tags))


def _asked(graph: Graph, result: dg.EvaluateAutomationConditionsResult) -> set[dg.AssetKey]:
    return {key for key in graph.assets.get_all_asset_keys() if result.get_requested_partitions(key)}


def test_publish_sets_are_rebuilt_when_their_raw_data_changes(graph: Graph, instance: dg.DagsterInstance) -> None:
    """Evaluate all assets upstream of libraries, and one mart of four other sets.

    The long form, test_a_load_of_each_system_rebuilds_every_set_that_it_reaches, has each set and each system.
    """
    import dagster as dg

    inputs, nodes = graph.inputs, graph.manifest["nodes"]
    marts = {graph.set_of(mart): mart["unique_id"] for mart in graph.marts}
    chosen = {*inputs["libraries"], *(marts[name] for name in ("customer", "finance", "highways", "operations"))}
    chosen &= nodes.keys()
    selection = dg.AssetSelection.assets(*(graph.key(nodes[unique_id]) for unique_id in chosen))

    def evaluate(cursor=None) -> dg.EvaluateAutomationConditionsResult:
        return dg.evaluate_automation_conditions(graph.defs, instance, asset_selection=selection, cursor=cursor)

    first = evaluate()
    assert not _asked(graph, first), "nothing has loaded"
    _land(instance, "1", *read_contracts())
    matched = dg.AssetMaterialization(dg.AssetKey(MATCHED), tags={"dagster/data_version": "1"})
    instance.report_runless_asset_event(matched)
    everything = evaluate(first.cursor)
    asked = {graph.key(nodes[unique_id]) for unique_id in chosen if nodes[unique_id]["resource_type"] == "model"}
    assert asked <= _asked(graph, everything)
    for key in _asked(graph, everything):
        instance.report_runless_asset_event(dg.AssetMaterialization(key))
    _land(instance, "1", "erp")
    unchanged = evaluate(everything.cursor)
    assert not _asked(graph, unchanged), "the same content loaded again"
    _land(instance, "2", "erp")
    publications = dg.AssetKey(["governance", "publications"])  # each build changes them
    instance.report_runless_asset_event(dg.AssetMaterialization(publications, tags={"dagster/data_version": "2"}))
    changed = evaluate(unchanged.cursor)
    reached = inputs["finance"] | inputs["quality"] | inputs["customer"]  # its services have cost centres
    assert _asked(graph, changed) == {graph.key(nodes[unique_id]) for unique_id in chosen & reached}
    assert graph.key(nodes[marts["highways"]]) not in _asked(graph, changed)


@pytest.mark.long
def test_a_load_of_each_system_rebuilds_every_set_that_it_reaches(graph: Graph, instance: dg.DagsterInstance) -> None:
    import dagster as dg

    firsts = {graph.set_of(mart): graph.key(mart) for mart in graph.marts}
    selection, clock = dg.AssetSelection.assets(*firsts.values()), datetime(2026, 11, 30, 4, 10, tzinfo=UTC)
    cursor = None

    def asked() -> set[dg.AssetKey]:
        nonlocal clock, cursor
        clock += timedelta(seconds=30)
        result = dg.evaluate_automation_conditions(
            graph.defs, instance, asset_selection=selection, evaluation_time=clock, cursor=cursor
        )
        cursor = result.cursor
        for key in _asked(graph, result):
            instance.report_runless_asset_event(dg.AssetMaterialization(key))
        return _asked(graph, result)

    assert asked() == set(), "nothing has loaded"
    _land(instance, "1", *read_contracts())
    instance.report_runless_asset_event(
        dg.AssetMaterialization(dg.AssetKey(MATCHED), tags={"dagster/data_version": "1"})
    )
    assert asked() == {*firsts.values()}
    reached = {}
    for system, contract in read_contracts().items():
        raw = {f"source.worcestershire.{contract.name}.{table.name}" for table in contract.tables}
        reached[system] = {firsts[name] for name in firsts if raw & graph.inputs[name]}
        _land(instance, "2", system)
        assert asked() == reached[system], system
        assert asked() == set(), f"{system}: once"
    assert all(reached.values())


def test_matching_follows_loads_once_an_hour_and_builds_wait_for_it(graph: Graph, instance: dg.DagsterInstance) -> None:
    import dagster as dg

    matched = dg.AssetKey(MATCHED)
    mart = next(graph.key(node) for node in graph.marts if graph.set_of(node) == "citizen")
    selection, clock = dg.AssetSelection.assets(matched, mart), datetime(2026, 11, 30, 4, 10, tzinfo=UTC)
    cursor = None

    def asked(minutes: int = 1) -> set[dg.AssetKey]:
        nonlocal clock, cursor
        clock += timedelta(minutes=minutes)
        result = dg.evaluate_automation_conditions(
            graph.defs, instance, asset_selection=selection, evaluation_time=clock, cursor=cursor
        )
        cursor = result.cursor
        return _asked(graph, result)

    def match(version: str) -> None:
        tags = {"dagster/data_version": version}
        instance.report_runless_asset_event(dg.AssetMaterialization(matched, tags=tags))

    assert asked() == set(), "nothing has loaded"
    _land(instance, "1", *read_contracts())
    assert asked() == {matched}
    match("1")
    assert asked() == {mart}
    instance.report_runless_asset_event(dg.AssetMaterialization(mart))
    assert asked() == set()
    _land(instance, "2", "mosaic")
    assert asked() == {mart}, "the same hour: the set has its new rows without waiting"
    instance.report_runless_asset_event(dg.AssetMaterialization(mart))
    _land(instance, "3", "mosaic")
    assert asked() == {mart}, "a load that has waited for the build"
    instance.report_runless_asset_event(dg.AssetMaterialization(mart))
    assert asked() == set()
    _land(instance, "4", "mosaic")
    assert asked(60) == {matched}
    match("2")
    assert asked() == {mart}


def test_groups_are_numbered_in_the_order_of_the_flow(graph: Graph) -> None:
    groups = {node.group_name: node.key for node in graph.assets.asset_nodes}
    layers = {name.split("/")[0] for name in groups}
    assert layers == {"1_sources", "2_staging", "3_conformed", "4_published", "5_delivered", "6_governance"}
    for node in graph.assets.asset_nodes:
        for parent in node.parent_keys:
            assert graph.assets.get(parent).group_name.split("/")[0] <= node.group_name.split("/")[0], node.key
        assert "__next" not in str(node.metadata.get("dagster/table_name", "")), node.key
        assert "select" not in (node.description or "").lower().split(), node.key


def test_a_feed_follows_the_publication_of_its_set(graph: Graph, instance: dg.DagsterInstance) -> None:
    import dagster as dg

    feeds = dg.AssetSelection.key_prefixes("feed")
    first = dg.evaluate_automation_conditions(graph.defs, instance, asset_selection=feeds)
    instance.report_runless_asset_event(dg.AssetMaterialization(["publication", "highways"]))
    then = dg.evaluate_automation_conditions(graph.defs, instance, asset_selection=feeds, cursor=first.cursor)
    assert _asked(graph, then) == {
        dg.AssetKey(["feed", name]) for name in ("enquiries_by_ward", "open_enquiries_by_district")
    }


def test_a_delivery_follows_its_feed_and_the_calendar(graph: Graph, instance: dg.DagsterInstance) -> None:
    """Bank holidays of April 2026: 3 and 6 (gov.uk). Working days: 1, 2, 7, 8, 9, 10, 13, 14, 15, 16."""
    import dagster as dg

    deliveries = dg.AssetSelection.key_prefixes("delivery")
    first = dg.evaluate_automation_conditions(graph.defs, instance, asset_selection=deliveries)
    for name in ("open_enquiries_by_district", "spend_over_500"):
        instance.report_runless_asset_event(dg.AssetMaterialization(["feed", name]))
    then = dg.evaluate_automation_conditions(graph.defs, instance, asset_selection=deliveries, cursor=first.cursor)
    district = dg.AssetKey(["delivery", "open_enquiries_by_district", "redditch_engineers"])
    assert _asked(graph, then) == {district}, "a delivery by calendar waits for its day"

    schedule = graph.defs.get_schedule_def("deliver_by_calendar")

    def due(day: int) -> tuple[list[dg.AssetKey], str]:
        moment = datetime(2026, 4, day, 7, tzinfo=UTC)  # eight o'clock in summer time
        context = dg.build_schedule_context(instance, scheduled_execution_time=moment)
        (request,) = schedule.evaluate_tick(context).run_requests or [dg.RunRequest(asset_selection=[])]
        return list(request.asset_selection), request.tags.get("delivery_day", "")

    website = dg.AssetKey(["delivery", "spend_over_500", "website"])
    assert due(16) == ([website], "2026-04-16")
    assert [due(day)[0] for day in (14, 15, 17, 18)] == [[], [], [], []]
    assert due(7)[0] == [dg.AssetKey(["delivery", "referrals_by_month", "safeguarding_partnership"])]
    recipients = {node.key.path[2] for node in graph.assets.asset_nodes if node.key.path[0] == "delivery"}
    assert recipients == {*systems.RECIPIENTS}, "the demo county has a folder for each recipient"
