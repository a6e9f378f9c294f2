"""The commands `status` and `watch`, and the summary of a run."""

import json
import os
import sys
from typing import Any

import click

from warehouse import environment

OUTCOMES = {"publish": "published", "roll_back": "rolled back", "refuse": "not published", None: "never built"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON (docs/reference/status.md).")
def status(as_json: bool) -> None:
    """Show what is wrong, and the state of every source, publish set and server.

    The exit status is 0 if all is well, 1 for warnings, and 2 if data are late or a part does not work.
    """
    environment.prepare(start=False)
    from orchestration.status import read_status  # imports Dagster

    found = read_status()
    if as_json:
        click.echo(json.dumps(found, indent=2, default=str))
    else:
        _print(found)
    sys.exit(found["exit_status"])


@click.command()
def watch() -> None:
    """Alert if Dagster, its schedules or the warehouse's server are silent.

    Run it every five minutes by a timer outside Dagster. The exit status is 2 if something is silent.
    """
    environment.prepare(start=False)
    from warehouse import alerts
    from warehouse.watch import watch as run_watch

    problems = run_watch()
    for problem in problems:
        click.echo(f"{alerts.KINDS[problem.kind].title}: {problem.what}")
    sys.exit(2 if problems else 0)


def _print(found: dict[str, Any]) -> None:
    from warehouse import alerts

    click.secho(found["summary"], bold=True)
    for problem in found["problems"]:
        repeated = f", {problem['occurrences']} times" if problem["occurrences"] > 1 else ""
        since = alerts.when(problem["since"])
        click.secho(f"\n{problem['title']}: {problem['subject']} (since {since}{repeated})", fg="red")
        owners = [f"{name}: {owner}" for name, owner in problem["publish_sets"].items()]
        lines = [
            *problem["what"].splitlines(),
            *([f"Publish sets: {'; '.join(owners)}"] if owners else []),
            *([f"Reports: {'; '.join(problem['reports'])}"] if problem["reports"] else []),
            f"What to do: {problem['action']} See {problem['runbook']}",
            *([f"Run: {problem['run']}"] if problem["run"] else []),
        ]
        for line in lines:
            click.echo(f"  {line}")
    for line in found["delivery_problems"]:
        click.secho(f"\nNotice {line}", fg="red")
    click.secho("\nSources", bold=True)
    systems: dict[str, dict[str, dict[str, Any]]] = {}
    for name, facts in found["sources"].items():
        systems.setdefault(name.split(".")[0], {})[name] = facts
    for name, tables in systems.items():
        click.echo(f"  {name:<16} {_of_system(tables)}")
    click.secho("Publish sets", bold=True)
    for name, facts in found["publish_sets"].items():
        shown = f"{OUTCOMES[facts['last']]} on {alerts.when(facts['decided_at'])}" if facts["last"] else OUTCOMES[None]
        click.echo(f"  {name:<16} {'; '.join([shown, *_others(facts, 'last', 'decided_at', 'loads', 'problems')])}")
    click.secho("Servers", bold=True)
    for name, facts in found["servers"].items():
        click.echo(f"  {name:<16} {'; '.join([facts['state'], *_others(facts, 'state')])}")


def _others(facts: dict[str, Any], *shown: str) -> list[str]:
    return [f"{key.replace('_', ' ')} {value}" for key, value in facts.items() if value and key not in shown]


def _of_system(tables: dict[str, dict[str, Any]]) -> str:
    """The state of a system in one line."""
    from warehouse import alerts

    times = [facts["loaded_at"] for facts in tables.values() if facts["loaded_at"]]
    rejected = {name: facts["in_quarantine"] for name, facts in tables.items() if facts.get("in_quarantine")}
    return "; ".join(
        [
            f"{len(times)} of {len(tables)} tables loaded",
            *([f"last on {alerts.when(min(times))}"] if times else []),
            *(f"{count:,} rows in quarantine of {name}" for name, count in rejected.items()),
        ]
    )


def print_summary(rows: dict[tuple[str, ...], int], files: dict[str, int], problems: list[str], seconds: float) -> None:
    """Prints what a run loaded, published and wrote. `rows` is {raw table: rows}, `files` {file: rows}."""
    from ingestion.contracts import read_contracts
    from orchestration.status import read_state

    state = read_state()
    click.secho("\nRows loaded", bold=True)
    for name, system in read_contracts().items():
        loaded = {table.name: rows.get((system.name, table.name)) for table in system.tables}
        counts = ", ".join(f"{table} {count:,}" for table, count in loaded.items() if count is not None)
        click.echo(f"  {name:<12} {sum(filter(None, loaded.values())):>9,}   {counts or _red('not loaded')}")
    click.secho("Publish sets", bold=True)
    for name, facts in state["publish_sets"].items():
        tests = f"{facts.get('tests_passed') or 0} tests passed, {facts.get('tests_failed') or 0} failed"
        outcome = OUTCOMES[facts["last"]]
        click.echo(f"  {name:<12} {outcome if facts['last'] in ('publish', 'roll_back') else _red(outcome)}, {tests}")
    click.secho("Files written", bold=True)
    for file, count in files.items():
        click.echo(f"  {os.path.relpath(file)}  {count:,} rows")
    for problem in problems:
        click.echo(f"{_red('Failed:')} {problem}")
    click.echo(
        f"Took {seconds:.0f} s. Next: `make dev` (Dagster's page), `make docs` (documentation), `warehouse url` "
        "(connect), `make stop`."
    )


def _red(text: str) -> str:
    return click.style(text, fg="red")
