"""Builds, tests and publishes for `warehouse build`: every set, or what differs from the publications."""

import json
import os
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest

from orchestration.data_tests import DataTests
from orchestration.models import BUILD, downstream, publish_set_of, sets_and_inputs
from warehouse import published
from warehouse.builds import build_lock
from warehouse.environment import dbt_connection
from warehouse.errors import WarehouseError

MARTS = "dbt_project/models/marts"
QUIET = ["--log-level", "none", "--log-level-file", "none"]


@dataclass
class Plan:
    """Contents of a build: `nodes` and `tests` by unique id, and for each publish set to build the reason.

    `sets` are dbt's selectors of the sets; `covered` are the nodes that these selectors include.
    """

    nodes: set[str] = field(default_factory=set)
    sets: list[str] = field(default_factory=list)
    covered: set[str] = field(default_factory=set)
    tests: set[str] = field(default_factory=set)
    modified: set[str] = field(default_factory=set)
    reasons: dict[str, str] = field(default_factory=dict)


def build(changed: bool) -> list[str]:
    """Builds and publishes, with `changed` only what differs. Returns why sets are not published, or why dbt failed."""
    click.echo("dbt parses the project")
    manifest, runner = parse()
    arguments, sets = BUILD, list(sets_and_inputs(manifest))
    with build_lock(), closing(dbt_connection()) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        if changed:
            plan = make_plan(manifest, published.states(cursor), runner)
            if not plan.nodes | plan.tests:
                click.echo("The project does not differ from the publications.")
                return []
            for name, reason in sorted(plan.reasons.items()):
                click.echo(f"{name}: {reason}")
            arguments, sets = _arguments(manifest, plan), list(plan.reasons)
        published.keep(_manifest_file(), dict.fromkeys(sets, published.UNFINISHED))
        last = published.last_outcome(cursor)
        done = runner.invoke(arguments)
        outcomes = published.outcomes_since(cursor, last)
        published.finish({outcome["publish_set"]: outcome["invocation_id"] for outcome in outcomes})
    for outcome in outcomes:
        if outcome["action"] == "publish":
            click.echo(f"{outcome['publish_set']}: published, {outcome['tests_passed']} tests passed")
    if isinstance(done.exception, KeyboardInterrupt):
        raise done.exception
    problems = DataTests(manifest).refusals(outcomes)
    return problems or ([] if done.success else [str(done.exception or "dbt failed; its messages are above.")])


def parse() -> tuple[dict[str, Any], dbtRunner]:
    """dbt's manifest of the project, and dbt, which starts from the manifest. Raises WarehouseError."""
    parsed = dbtRunner().invoke([*QUIET, "parse"])
    if not isinstance(parsed.result, Manifest):
        raise WarehouseError(str(parsed.exception))
    return json.loads(_manifest_file().read_text(encoding="utf-8")), dbtRunner(parsed.result)


def _manifest_file() -> Path:
    return Path(os.environ["DBT_TARGET_PATH"], "manifest.json")


def make_plan(manifest: dict[str, Any], states: dict[str, list[Path]], runner: dbtRunner) -> Plan:
    """Nodes that differ from the states of each publish set, their downstream, and the rest of each affected set."""
    by_file = {(state / "manifest.json").stat().st_ino: state for found in states.values() for state in found}
    modified = {file: _modified(runner, state) for file, state in by_file.items()}
    plan, inputs = Plan(), sets_and_inputs(manifest)
    marts = {unique_id: name for unique_id, node in manifest["nodes"].items() if (name := publish_set_of(node))}
    for name, reached in inputs.items():
        own = {unique_id for unique_id in reached if marts.get(unique_id) == name}
        if not (found := states.get(name, [])):
            plan.reasons[name] = "no manifest of the publication is kept: the whole set is built"
            plan.sets.append(f"+path:{MARTS}/{name}")
            plan.nodes |= reached
            plan.covered |= reached
            continue
        differing = set().union(*(modified[(state / "manifest.json").stat().st_ino] for state in found))
        tests = {test for test in differing if _kind(test) == "test" and own & {*manifest["parent_map"].get(test, [])}}
        before = json.loads((found[0] / "manifest.json").read_text(encoding="utf-8"))["nodes"].values()
        removed = {node["unique_id"] for node in before if publish_set_of(node) == name} - own
        if changes := differing & reached | tests | removed:
            plan.sets.append(f"path:{MARTS}/{name}")
            plan.nodes |= own | downstream(manifest, differing & reached) & reached
            plan.covered |= own
            plan.reasons[name] = "differs by " + ", ".join(sorted(unique_id.split(".")[2] for unique_id in changes))
        plan.modified |= differing
    used = set().union(*inputs.values())
    if modified:  # other nodes have no known state: they are changed if they differ from every state
        others = set.intersection(*modified.values()) - used - plan.nodes
        plan.nodes |= {unique_id for unique_id in others if _kind(unique_id) in ("model", "seed", "snapshot")}
        plan.tests = {unique_id for unique_id in plan.modified if _kind(unique_id) in ("test", "unit_test")}
    plan.nodes &= manifest["nodes"].keys()
    plan.tests &= manifest["nodes"].keys() | manifest["unit_tests"].keys()
    return plan


def _modified(runner: dbtRunner, state: Path) -> set[str]:
    """Unique ids of the nodes that are new or modified since a state."""
    chosen = ["--select", "state:modified", "--state", str(state), "--indirect-selection", "empty"]
    found = runner.invoke([*QUIET, "ls", *chosen, "--output", "json", "--output-keys", "unique_id"])
    if not found.success:
        raise WarehouseError(f"dbt cannot compare the project with {state}: {found.exception}")
    return {json.loads(line)["unique_id"] for line in found.result or []}  # type: ignore[union-attr]


def _kind(unique_id: str) -> str:
    return unique_id.split(".")[0]


def _arguments(manifest: dict[str, Any], plan: Plan) -> list[str]:
    """dbt's arguments for a plan: every test of the built nodes, and the unit tests of modified nodes."""
    nodes, parents = manifest["nodes"] | manifest["unit_tests"], manifest["parent_map"]
    marts = {unique_id: name for unique_id, node in manifest["nodes"].items() if (name := publish_set_of(node))}
    of_nodes = {test for unique_id in plan.nodes for test in manifest["child_map"].get(unique_id, [])}
    unit_tests = {test for test in of_nodes if _kind(test) == "unit_test"}
    wanted = {test for test in unit_tests if plan.modified & {*parents[test]}} | plan.tests
    excluded = unit_tests - wanted
    for test in of_nodes | plan.tests:
        sets = {marts[parent] for parent in parents[test] if parent in marts}
        if _kind(test) == "test" and sets - plan.reasons.keys():
            excluded.add(test)  # the set is not built, so its hidden schema lacks the tables
    arguments = ["build", "--indirect-selection", "eager"]
    if not any(_kind(test) == "unit_test" for test in wanted):
        arguments += ["--exclude-resource-type", "unit_test"]  # dbt is slow with a selector for each
        excluded -= unit_tests
    chosen = [_selector(nodes[unique_id]) for unique_id in sorted(plan.nodes - plan.covered | plan.tests - excluded)]
    left = [_selector(nodes[unique_id]) for unique_id in sorted(excluded)]
    return [*arguments, "--select", *plan.sets, *chosen, *(["--exclude", *left] if left else [])]


def _selector(node: dict[str, Any]) -> str:
    return f"fqn:{'.'.join(node['fqn'])}"
