"""The asset graph as Dagster sees it: it loads anywhere, all of it is owned and read, and it knows when to run."""

import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
import yaml

from ingestion.contracts import read_contracts
from orchestration.definitions import defs, manifest
from orchestration.models import node_key, publish_set_of, sets_and_inputs

ROOT = Path(__file__).parents[1]
NODES = manifest["nodes"].values()
MODELS = [node for node in NODES if node["resource_type"] == "model"]
MARTS = [node for node in MODELS if publish_set_of(node)]
GRAPH = defs.resolve_asset_graph()
MATCHED = dg.AssetKey(["matching", "person_records"])


def test_definitions_load_without_a_variable_a_server_or_a_network() -> None:
    load = "import orchestration.definitions as d; d.defs.resolve_asset_graph()"
    bare = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", load], cwd=ROOT, env=bare, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "DBT_" not in (ROOT / "workspace.yaml").read_text()


def test_every_raw_table_is_read_by_a_staging_model_and_is_one_asset() -> None:
    read = {source for node in MODELS for source in node["depends_on"]["nodes"] if node["fqn"][1] == "staging"}
    declared = {f"source.worcestershire.{s.name}.{t.name}" for s in read_contracts().values() for t in s.tables}
    assert read == declared | {"source.worcestershire.matching.person_records"} == set(manifest["sources"])
    assert {node_key(source) for source in manifest["sources"].values()} == {
        dg.AssetKey([s.name, t.name]) for s in read_contracts().values() for t in s.tables
    } | {MATCHED}
    assert all(GRAPH.get(node_key(source)).is_executable for source in manifest["sources"].values())


def test_every_asset_that_is_made_has_an_owner_and_a_group() -> None:
    for key in GRAPH.executable_asset_keys:
        node = GRAPH.get(key)
        assert node.group_name != "default", key
        assert node.owners, key
    for mart in MARTS:
        assert "@" in GRAPH.get(node_key(mart)).owners[0], mart["name"]


def test_every_exposure_has_a_reader_and_an_owner() -> None:
    for exposure in manifest["exposures"].values():
        meta = exposure["config"]["meta"]
        assert (meta.get("feed") or meta)["reader"], exposure["name"]
        assert exposure["owner"]["email"], exposure["name"]


def test_every_mart_refers_to_conformed_or_its_own_set_only() -> None:
    for mart in MARTS:
        for parent in mart["depends_on"]["nodes"]:
            node = manifest["nodes"][parent]
            assert node["fqn"][1] == "conformed" or publish_set_of(node) == publish_set_of(mart), mart["name"]


def test_every_test_of_one_model_is_an_asset_check() -> None:
    checks = {key.name for key in GRAPH.asset_check_keys}
    singles = [n for n in NODES if n["resource_type"] == "test" and len(n["depends_on"]["nodes"]) == 1]
    assert len(checks) >= len(singles) > 100


def test_every_data_test_that_fails_stops_the_publication() -> None:
    tests = [node for node in NODES if node["resource_type"] == "test"]
    tolerated = {(n["attached_node"], n["column_name"]) for n in tests if n["config"]["severity"].lower() != "error"}
    marts = ("customer__fct_cases", "customer__fct_service_requests")  # a word that the list of services lacks yet
    assert tolerated == {(f"model.worcestershire.{mart}", "service_key") for mart in marts}


def test_every_system_has_a_schedule_and_every_raw_table_a_freshness_policy() -> None:
    schedules = {schedule.name: schedule for schedule in defs.schedules}
    for name, system in read_contracts().items():
        schedule = schedules[f"load_{name}_schedule"]
        assert (schedule.cron_schedule, schedule.execution_timezone) == (system.schedule, system.time_zone)
        assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
        for table in system.tables:
            assert GRAPH.get(dg.AssetKey([system.name, table.name])).freshness_policy


def test_a_failed_run_is_tried_again_from_what_failed() -> None:
    for name in ("match_people", "build_models", "write_feeds", *(f"load_{system}" for system in read_contracts())):
        assert defs.resolve_job_def(name).tags["dagster/retry_strategy"] == "FROM_ASSET_FAILURE"
    settings = yaml.safe_load((ROOT / "warehouse/dagster.yaml").read_text(encoding="utf-8"))
    assert settings["run_retries"] == {"enabled": True, "max_retries": 2}


@pytest.fixture
def instance():
    with dg.instance_for_test() as instance:
        yield instance


def _land(instance: dg.DagsterInstance, version: str, *systems: str) -> None:
    for system in systems:
        for table in read_contracts()[system].tables:
            key, tags = dg.AssetKey([f"raw_{system}", table.name]), {"dagster/data_version": version}
            instance.report_runless_asset_event(dg.AssetMaterialization(key, tags=tags))


def _asked(result: dg.EvaluateAutomationConditionsResult) -> set[dg.AssetKey]:
    return {key for key in GRAPH.get_all_asset_keys() if result.get_requested_partitions(key)}


def test_whole_sets_are_rebuilt_when_what_they_read_has_changed(instance: dg.DagsterInstance) -> None:
    def evaluate(cursor=None) -> dg.EvaluateAutomationConditionsResult:
        return dg.evaluate_automation_conditions(defs, instance, cursor=cursor)

    first = evaluate()
    assert not _asked(first), "nothing has landed"
    _land(instance, "1", *read_contracts())
    instance.report_runless_asset_event(dg.AssetMaterialization(MATCHED, tags={"dagster/data_version": "1"}))
    everything = evaluate(first.cursor)
    assert {node_key(model) for model in MODELS} <= _asked(everything)
    for key in _asked(everything):
        instance.report_runless_asset_event(dg.AssetMaterialization(key))
    quiet = evaluate(everything.cursor)
    _land(instance, "1", "erp")
    unchanged = evaluate(quiet.cursor)
    assert not _asked(unchanged), "the same content landed again"
    _land(instance, "2", "erp")
    changed = evaluate(unchanged.cursor)
    inputs = sets_and_inputs(manifest)
    reached = inputs["finance"] | inputs["quality"] | inputs["customer"]  # whose services have cost centres
    on_erp = {node_key(manifest["nodes"][i]) for i in reached if i in manifest["nodes"]}
    assert _asked(changed) == on_erp
    assert dg.AssetKey(["highways", "fct_enquiries"]) not in _asked(changed)


def test_a_feed_follows_the_publication_of_its_set(instance: dg.DagsterInstance) -> None:
    first = dg.evaluate_automation_conditions(defs, instance)
    instance.report_runless_asset_event(dg.AssetMaterialization(["publication", "highways"]))
    assert _asked(dg.evaluate_automation_conditions(defs, instance, cursor=first.cursor)) == {
        dg.AssetKey(["feed", name]) for name in ("enquiries_by_ward", "open_enquiries_by_district")
    }
