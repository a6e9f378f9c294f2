"""The command `status`, and the summary of a run."""

import json
import os
from contextlib import closing
from typing import Any

import click

from ingestion.contracts import read_contracts
from ingestion.postgres import names_in, value_of
from orchestration.data_tests import DataTests
from warehouse import environment, published
from warehouse.environment import home
from warehouse.errors import WarehouseError

LAST_LOADS = """
    select distinct on (system, table_name)
        system || '.' || table_name, rows_written, rows_total, loaded_at, high_watermark, new_columns,
        (
            select count(*) from quarantine.rows
            where resolved_at is null and rows.system = load_audit.system and rows.table_name = load_audit.table_name
        ) as in_quarantine
    from governance.load_audit order by system, table_name, load_audit_id desc
"""
LAST_BUILDS = """
    select distinct on (publish_set)
        publish_set, action as last, decided_at, tests_passed, tests_failed, problems,
        array(
            select b.build_id from governance.builds as b
            where b.publish_set = publications.publish_set and b.published_at is not null and b.dropped_at is null
                and b.is_kept and b.schema_name <> b.publish_set
            order by b.replaced_at desc
        ) as can_roll_back_to,
        array(
            select format('%s (process %s) since %s, build %s', login, pid, replaced_at::timestamp(0), build_id)
            from governance.holders_of_old_builds() as h where h.publish_set = publications.publish_set
        ) as held_by_readers,
        publications.loads, invocation_id
    from governance.publications inner join governance.publish_sets using (publish_set)
    order by publish_set, publication_id desc
"""
State = dict[str, dict[str, dict[str, Any]]]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(as_json: bool) -> None:
    """Show the state of every source, publish set and server."""
    state = read_state()
    if as_json:
        click.echo(json.dumps(state, indent=2, default=str))
        return
    for part, entries in state.items():
        click.secho(part, bold=True)
        for name, facts in entries.items():
            click.echo(f"  {name:<36} {'  '.join(f'{key}: {value}' for key, value in facts.items() if value)}")


def read_state() -> State:
    """{sources | publish_sets | servers: {name: facts}}, from the governance tables."""
    environment.prepare(start=False)
    state: State = {"sources": {}, "publish_sets": {}, "servers": _servers()}
    for system in read_contracts().values():
        for table in system.tables:
            state["sources"][table.label] = {"rows_written": None, "loaded_at": None, "high_watermark": None}
    for name in environment.publish_sets():
        state["publish_sets"][name] = {"last": None, "decided_at": None}
    if state["servers"]["warehouse"]["state"] == "running":
        with closing(environment.dbt_connection()) as connection, connection.cursor() as cursor:
            for part, query in (("sources", LAST_LOADS), ("publish_sets", LAST_BUILDS)):
                cursor.execute(query)
                _, *names = names_in(cursor)
                state[part] |= {name: dict(zip(names, facts, strict=True)) for name, *facts in cursor.fetchall()}
    for name, facts in state["publish_sets"].items():
        manifest = published.kept(name, facts.pop("invocation_id", None))
        if facts.get("problems") and manifest.exists():
            facts["problems"] = DataTests(json.loads(manifest.read_text(encoding="utf-8"))).explain(facts["problems"])
    return state


def _servers() -> dict[str, dict[str, Any]]:
    servers: dict[str, dict[str, Any]] = {"warehouse": {"state": "stopped"}}
    if "WAREHOUSE_URL" in os.environ or "DBT_HOST" in os.environ:
        try:
            with closing(environment.dbt_connection()) as connection, connection.cursor() as cursor:
                cursor.execute("select to_regprocedure('governance.read_log_state()') is not null")
                read_log = "not set up: run `warehouse access apply`"
                if value_of(cursor):
                    cursor.execute("select governance.read_log_state()")
                    read_log = value_of(cursor)
            place = {"host": os.environ["DBT_HOST"], "port": os.environ["DBT_PORT"]}
            servers["warehouse"] = {"state": "running", **place, "read_log": read_log}
        except WarehouseError as error:
            servers["warehouse"] = {"state": "unreachable", "reason": str(error)}
    if (home() / "landing").exists():
        from demo import systems

        server = systems.status(home())
        servers["demo_api_server"] = {"state": "running", **server} if server else {"state": "stopped"}
    return servers


def print_summary(rows: dict[tuple[str, ...], int], files: dict[str, int], problems: list[str], seconds: float) -> None:
    """Prints what a run loaded, published and wrote. `rows` is {raw table: rows}, `files` {file: rows}."""
    state = read_state()
    click.secho("\nRows loaded", bold=True)
    for name, system in read_contracts().items():
        loaded = {table.name: rows.get((system.name, table.name)) for table in system.tables}
        counts = ", ".join(f"{table} {count:,}" for table, count in loaded.items() if count is not None)
        click.echo(f"  {name:<12} {sum(filter(None, loaded.values())):>9,}   {counts or _red('not loaded')}")
    click.secho("Publish sets", bold=True)
    outcomes = {
        "publish": "published",
        "roll_back": "rolled back",
        "refuse": _red("not published"),
        None: _red("never built"),
    }
    for name, facts in state["publish_sets"].items():
        tests = f"{facts.get('tests_passed') or 0} tests passed, {facts.get('tests_failed') or 0} failed"
        click.echo(f"  {name:<12} {outcomes[facts['last']]}, {tests}")
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
