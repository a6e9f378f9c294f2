"""The console script `warehouse`: run, status, url, publish, undo, stop, and what a developer needs beside them."""

import getpass
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click
from psycopg2 import extensions as pg

from ingestion.contracts import ROOT, ContractError, Identifier, SourceError, System, Table, read_contracts
from ingestion.postgres import names_in
from warehouse import environment
from warehouse.environment import WarehouseError, home

# dlt, Arrow, Dagster and DuckDB take seconds to import: each command imports what it needs of them
if TYPE_CHECKING:
    from warehouse.subjects import Register


class _Commands(click.Group):
    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except (WarehouseError, ContractError, SourceError) as error:
            raise click.ClickException(str(error)) from None


@click.group(cls=_Commands)
def main() -> None:
    """Worcestershire's data warehouse."""


NOT_RUNNING = "the warehouse is not running: `make run` starts it, or set WAREHOUSE_URL"
DEMO = click.option("--demo", is_flag=True, help="Let the invented county stand in beside WAREHOUSE_URL too.")


@main.command()
@DEMO
def run(demo: bool) -> None:
    """Load every system, build, test and publish every set, write every feed; exit status 1 if any part failed."""
    from rich.console import Console

    began = time.monotonic()
    with Console(file=sys.stdout).status("starting"):
        environment.prepare(demo=demo)
    from orchestration.run import REBUILD, run_jobs  # reads settings that are made by now

    problems, rows, files = run_jobs([f"load_{name}" for name in read_contracts()] + REBUILD)
    _summary(rows, files, problems, time.monotonic() - began)
    sys.exit(1 if problems else 0)


@main.command()
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def status(as_json: bool) -> None:
    """The state of every source, publish set and server."""
    state = _state()
    if as_json:
        click.echo(json.dumps(state, indent=2, default=str))
        return
    for part, entries in state.items():
        click.secho(part, bold=True)
        for name, facts in entries.items():
            click.echo(f"  {name:<36} {'  '.join(f'{key}: {value}' for key, value in facts.items() if value)}")


@main.command()
@click.option("--reader", metavar="LOGIN", help="A reader of access.yml.")
def url(reader: str | None) -> None:
    """Print the warehouse's connection URL (an administrator's without --reader: mind where you paste it)."""
    environment.prepare(start=False)
    if "WAREHOUSE_URL" not in os.environ:
        raise WarehouseError(NOT_RUNNING)
    click.echo(environment.reader_url(reader) if reader else os.environ["WAREHOUSE_URL"])


@main.group()
def access() -> None:
    """Who may read what: access.yml, and whether the database is as it says."""


@access.command()
def check() -> None:
    """Say where the database is otherwise than access.yml; exit status 1 if it is."""
    differences = _call("select coalesce(publish_set, '-'), difference from governance.access_differences()", [])
    for publish_set, difference in differences:
        click.echo(f"{publish_set:<12} {difference}")
    if differences:
        raise WarehouseError(f"{len(differences)} differences from access.yml; `warehouse access apply` mends grants")
    click.echo("the database is as access.yml says")


@access.command()
def apply() -> None:
    """Make logins, grants and row policies as access.yml says, also where somebody changed them by hand."""
    environment.prepare(apply_access=True)
    click.echo("applied")


@main.group()
def keys() -> None:
    """The vault key, from which every token is made."""


@keys.command()
def new() -> None:
    """Make the warehouse's first vault key, or take the one that VAULT_KEY_FILE has."""
    from ingestion.privacy import Keys
    from warehouse import vault

    with _administrator() as connection:
        if not vault.adopt_key(connection):
            raise WarehouseError("the database has a vault key; `warehouse keys rotate` puts another in its place")
    click.echo(f"the vault key is in {Keys.file()}: keep a copy where the database's backups are not")


@keys.command()
def rotate() -> None:
    """Put a new vault key in the place of the old; every token changes and every join stays. Rebuilds the marts."""
    from warehouse import vault

    with _administrator() as connection:
        counts = vault.rotate_key(connection, read_contracts().values())
    for table, count in counts.items():
        click.echo(f"{table}: {count:,} rows have new tokens")
    _rebuild()


@main.command()
@click.argument("token")
@click.option("--as", "login", required=True, help="Your login, one of `reidentification` in access.yml.")
@click.option("--reason", required=True)
@click.option("--case", required=True, help="Reference of the case.")
def reidentify(token: str, login: str, reason: str, case: str) -> None:
    """Say whom a token stands for. Each question is written down in governance.reidentifications."""
    from warehouse import vault

    environment.prepare(start=False)
    for place, clear in vault.reidentify(environment.connect(environment.reader_url(login)), token, reason, case):
        click.echo(f"{place}  " + "  ".join(f"{name}: {value}" for name, value in clear.items()))


@main.group(name="match")
def match_people() -> None:
    """Who is who across systems: the pairs of records that a steward decides, and the model behind the others."""


@match_people.command()
def pairs() -> None:
    """Print the pairs of records (by their tokens) that wait for a decision, the likeliest first."""
    with _administrator() as connection, connection, connection.cursor() as cursor:
        cursor.execute("select one, other, match_probability from matching.pairs order by match_probability desc, one")
        for one, other, likely in cursor.fetchall():
            click.echo(f"{one} {other} {likely:.3f}")


@match_people.command()
@click.argument("one")
@click.argument("other")
@click.option("--same/--different", "is_same", required=True, help="Whether the two records are one person's.")
@click.option("--reason", required=True)
def decide(one: str, other: str, is_same: bool, reason: str) -> None:
    """Decide whether two records (by their tokens) are one person's; matching holds to it from its next run on."""
    from warehouse import matching

    with _administrator() as connection:
        matching.decide(connection, one, other, is_same, reason, getpass.getuser())
    click.echo("decided; the next run holds to it")


@match_people.command()
@click.argument("one")
@click.argument("other")
def withdraw(one: str, other: str) -> None:
    """Take back what was decided of two records."""
    from warehouse import matching

    with _administrator() as connection:
        click.echo(f"{matching.withdraw(connection, one, other)} decisions withdrawn")


@match_people.command()
def train() -> None:
    """Learn anew from what the vault holds how likely people are the same, and write warehouse/person_model.json."""
    from warehouse import matching

    with _administrator() as connection:
        matching.train(connection, read_contracts().values())
    click.echo(f"{matching.MODEL}: compare `python -m benchmarks.quality` before and after, and have it reviewed")


@main.group()
def subject() -> None:
    """A person's rights over their data: find, export, erase, and the holds that forbid it."""


TOKENS = click.argument("tokens", nargs=-1, required=True)
CASE = click.option("--case", required=True, help="Reference of the request.")


@subject.command()
@click.argument("kinds", nargs=-1, required=True, type=click.Choice(get_args(Identifier)))
@click.option(
    "--matched", is_flag=True, help="Also of records that matching takes for the same person's: look at them."
)
def find(kinds: tuple[str, ...], matched: bool) -> None:
    """Ask for identifiers of these kinds, and print the tokens that stand for whoever has them all."""
    given = {kind: click.prompt(kind, err=True, hide_input=sys.stdin.isatty()) for kind in kinds}
    with _register() as register:
        for token in sorted(register.find(given, matched)):
            click.echo(token)


@subject.command()
@TOKENS
def export(tokens: tuple[str, ...]) -> None:
    """Print all that is held of the person with these tokens, as JSON with identifiers in clear."""
    with _register() as register:
        click.echo(json.dumps(register.export(set(tokens)), indent=2, default=str, ensure_ascii=False))


@subject.command()
@TOKENS
@CASE
def erase(tokens: tuple[str, ...], case: str) -> None:
    """Destroy the keys to the person's identity, delete the rows, and rebuild what rests on them."""
    with _register() as register:
        counts = register.erase(set(tokens), case, getpass.getuser())
        for table, count in counts.items():
            click.echo(f"{table}: {count:,} rows deleted")
        _rebuild()
        for name in environment.publish_sets():
            with register.connection, register.connection.cursor() as cursor:
                cursor.execute("select governance.forget_previous(%s)", [name])
        register.vacuum()
    click.echo("erased; the source has to erase the person too, else the next load brings the rows back")


@subject.command()
@TOKENS
@click.option("--reason", required=True)
def hold(tokens: tuple[str, ...], reason: str) -> None:
    """Forbid that anything of the person is deleted."""
    with _register() as register:
        register.hold(set(tokens), reason, getpass.getuser())
    click.echo("held")


@subject.command()
@TOKENS
def release(tokens: tuple[str, ...]) -> None:
    """End the person's holds."""
    with _register() as register:
        click.echo(f"{register.release(set(tokens))} holds ended")


@contextmanager
def _administrator() -> Iterator[pg.connection]:
    """A connection with WAREHOUSE_URL's login."""
    environment.prepare(start=False)
    if "WAREHOUSE_URL" not in os.environ:
        raise WarehouseError(NOT_RUNNING)
    with closing(environment.connect(os.environ["WAREHOUSE_URL"])) as connection:
        yield connection


@contextmanager
def _register() -> Iterator["Register"]:
    from warehouse.subjects import Register

    with _administrator() as connection:
        yield Register(connection, read_contracts().values())


def _rebuild() -> None:
    from orchestration.run import REBUILD, run_jobs

    problems, _, _ = run_jobs(REBUILD)
    if problems:
        raise WarehouseError("done, but what rests on it could not be built: " + "; ".join(problems))


@main.command()
@click.argument("publish_set")
@click.option(
    "--approve", multiple=True, metavar="TABLE[.COLUMN]", help="A column or table that may go or change its type."
)
def publish(publish_set: str, approve: tuple[str, ...]) -> None:
    """Publish a set that was built and tested, and waits because a column is dropped or re-typed."""
    left = _call("select * from governance.publish(%s, null, %s)", [publish_set, list(approve)])
    if left:
        raise WarehouseError(
            f"{publish_set} is not published; approve each by name: {' '.join(row[0] for row in left)}"
        )
    click.echo(f"{publish_set}: published")


@main.command()
@click.argument("publish_set")
def undo(publish_set: str) -> None:
    """Show readers the set that was published before; possible until the next build of it starts."""
    _call("select governance.undo(%s)", [publish_set])
    click.echo(f"{publish_set}: readers see the set that was published before")


@main.command()
@click.argument("table", metavar="RAW_SYSTEM.TABLE")
@click.option("--reason", required=True, help="Why the refused load is right; it is written down.")
def accept(table: str, reason: str) -> None:
    """Let a table's next load through once, though it is empty, has shrunk or has many unfit rows."""
    system, found = _table(table)
    _call(
        "insert into governance.acceptances (system, table_name, reason, accepted_by) values (%s, %s, %s, %s) "
        "returning acceptance_id",
        [system.name, found.name, reason, getpass.getuser()],
    )
    click.echo(f"{table}: its next load is let through, once")


@main.command()
@click.argument("table", metavar="RAW_SYSTEM.TABLE")
def redrive(table: str) -> None:
    """Try a table's rows in quarantine again, after its contract was put right."""
    import dagster as dg

    from ingestion.pipeline import load_system

    system, found = _table(table)
    environment.prepare(start=False)
    (landing,) = load_system(system, {found.name}, redrive=True)
    with dg.DagsterInstance.get() as instance:
        event = dg.AssetMaterialization(
            [system.name, found.name],
            metadata={"rows_landed": landing.rows, "rows_total": landing.total},
            tags={"dagster/data_version": landing.version},
        )
        instance.report_runless_asset_event(event)
    click.echo(f"{table}: {landing.read:,} rows tried again, {landing.rows:,} landed")


def _table(name: str) -> tuple[System, Table]:
    """The declared table of that name (raw_<system>.<table>)."""
    for system in read_contracts().values():
        for table in system.tables:
            if table.label == name:
                return system, table
    raise WarehouseError(f"no source contract declares {name}; it is written raw_<system>.<table>")


@main.command()
def stop() -> None:
    """End the servers that a run started."""
    from demo import postgres, systems

    systems.stop(home())
    postgres.stop(home())
    click.echo("stopped")


@main.group()
def demo() -> None:
    """The invented county that stands in for the council's systems."""


@demo.command()
@DEMO
@click.option("--days", type=click.IntRange(1), default=1, show_default=True)
def advance(demo: bool, days: int) -> None:
    """Let days go by in the county: its systems change, and the next run loads what did."""
    from demo import systems

    environment.prepare(demo=demo)
    try:
        day = systems.advance(home(), os.environ["WAREHOUSE_URL"], days)
    except (RuntimeError, ValueError) as error:
        raise WarehouseError(str(error)) from None
    click.echo(f"In the invented county it is {day:%d %B %Y} now. Next: `make run`")


@main.command(context_settings={"ignore_unknown_options": True})
@DEMO
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def exec(demo: bool, command: tuple[str, ...]) -> None:
    """Run a command (dbt, dagster, psql …) with the warehouse's environment."""
    environment.prepare(demo=demo)
    _become(*command)


@main.command()
@DEMO
@click.option("--port", default=3000, show_default=True)
def dev(demo: bool, port: int) -> None:
    """Dagster's web page and daemon: schedules run, sets are rebuilt when what they read has changed."""
    _free(port)
    environment.prepare(demo=demo)
    import orchestration.definitions  # noqa: F401  parses the dbt project once, before several processes need it

    _become("dagster", "dev", "--workspace", str(ROOT / "workspace.yaml"), "--host", "127.0.0.1", "--port", str(port))


@main.command()
@DEMO
@click.option("--port", default=8080, show_default=True)
def docs(demo: bool, port: int) -> None:
    """dbt's documentation, with the schemas as readers know them."""
    _free(port)
    environment.prepare(demo=demo)
    dbt = str(Path(sys.executable).with_name("dbt"))
    subprocess.run([dbt, "--quiet", "docs", "generate", "--vars", "published: true"], check=True)
    _become("dbt", "docs", "serve", "--host", "127.0.0.1", "--port", str(port), "--no-browser")


@main.group()
def source() -> None:
    """Contracts of source systems."""


@source.command()
@click.argument("system")
@click.argument("location", required=False)
@click.option("--table", "tables", multiple=True, metavar="NAME", help="A table or view to declare; repeatable.")
@click.option("--schema", help="Schema of the database that has the tables.")
def add(system: str, location: str | None, tables: tuple[str, ...], schema: str | None) -> None:
    """Write the first contract and staging models of SYSTEM.

    LOCATION is a SQLAlchemy URL, a folder or a file; without LOCATION it is read from <SYSTEM>_URL or
    <SYSTEM>_LANDING (.env), which keeps a password out of the shell's history.
    """
    from dotenv import load_dotenv

    from ingestion.scaffold import add_source

    load_dotenv(ROOT / ".env")
    variables = [f"{system.upper()}_URL", f"{system.upper()}_LANDING"]
    if not (found := location or next(filter(None, map(os.environ.get, variables)), None)):
        raise click.UsageError(f"give a URL, a folder or a file, or set {' or '.join(variables)}")
    added = add_source(system, found, tables, schema)
    password = ", with the password in the place of ***" if "***" in added.value else ""
    click.echo(f"Wrote {added.folder}: the contract and the staging models of {', '.join(added.tables)}.")
    click.echo("Next:")
    click.echo(f"1. Replace each TODO in {added.contract} ({added.todos} lines), and check what is marked `guessed`.")
    click.echo(f"2. Put this line into .env{password}:\n   {added.variable}={added.value}")
    click.echo(f"   Name {added.variable} in .env.example too, with a harmless value.")
    click.echo("3. `make check`, then `make run`.")


@main.command()
@click.argument("model")
@click.option("--rows", default=10, show_default=True, type=click.IntRange(0), help="How many first rows to print.")
@click.option("--key", multiple=True, metavar="COLUMN", help="Compare rows by this column (repeatable).")
@click.option("--watch", is_flag=True, help="Print the preview again at each save of a file of the dbt project.")
def preview(model: str, rows: int, key: tuple[str, ...], watch: bool) -> None:
    """Compute a model of the working tree, and print its rows and how it differs from the published table."""
    environment.prepare(start=False)
    from warehouse.preview import run as run_preview

    run_preview(model, rows, key, watch)


@main.command()
@click.option("--changed", is_flag=True, help="Only what differs from what is published, and what is downstream of it.")
def build(changed: bool) -> None:
    """Build, test and publish every set from what has landed; exit status 1 if a set was refused."""
    environment.prepare(start=False)
    if "DBT_HOST" not in os.environ:
        raise WarehouseError(NOT_RUNNING)
    from orchestration.build import build as build_sets  # reads settings that are made by now

    if problems := build_sets(changed):
        raise WarehouseError("\n".join(problems))


def _become(*command: str) -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # else Dagster, started in the background, ignores SIGTERM too
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    try:
        os.execvp(command[0], command)  # noqa: S606  so that signals reach it, and no shell reads it
    except FileNotFoundError:
        raise WarehouseError(f"no command {command[0]}") from None


def _free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise WarehouseError(f"port {port} is in use: choose another with `PORT=…` (make) or `--port`") from None


def _call(query: str, values: list[object]) -> list[tuple[Any, ...]]:
    import psycopg2

    environment.prepare(start=False)
    connection = environment.dbt_connection()
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(query, values)
            return cursor.fetchall()
    except psycopg2.errors.RaiseException as refusal:
        raise WarehouseError(str(refusal).splitlines()[0]) from None
    finally:
        connection.close()


def _state() -> dict[str, dict[str, dict[str, Any]]]:
    """{sources | publish sets | servers: {name: facts}}, from the governance tables."""
    environment.prepare(start=False)
    state: dict[str, dict[str, dict[str, Any]]] = {"sources": {}, "publish_sets": {}, "servers": _servers()}
    for system in read_contracts().values():
        for table in system.tables:
            state["sources"][table.label] = {"rows_landed": None, "landed_at": None, "cut_off": None}
    for name in environment.publish_sets():
        state["publish_sets"][name] = {"last": None, "decided_at": None}
    if state["servers"]["warehouse"]["state"] != "running":
        return state
    connection = environment.dbt_connection()
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "select distinct on (system, table_name) system || '.' || table_name, rows_landed, rows_total, landed_at, "
            "cut_off, new_columns, (select count(*) from quarantine.rows where resolved_at is null and "
            "rows.system = landings.system and rows.table_name = landings.table_name) as in_quarantine "
            "from governance.landings order by system, table_name, landing_id desc"
        )
        names = names_in(cursor)
        for row in cursor.fetchall():
            state["sources"][row[0]] = dict(zip(names[1:], row[1:], strict=True))
        cursor.execute(
            "select distinct on (publish_set) publish_set, action as last, decided_at, tests_passed, tests_failed, "
            "problems, previous_is_whole as can_undo, publications.loads from governance.publications "
            "inner join governance.publish_sets using (publish_set) order by publish_set, publication_id desc"
        )
        names = names_in(cursor)
        for row in cursor.fetchall():
            state["publish_sets"][row[0]] = dict(zip(names[1:], row[1:], strict=True))
    connection.close()
    return state


def _servers() -> dict[str, dict[str, Any]]:
    servers: dict[str, dict[str, Any]] = {"warehouse": {"state": "stopped"}}
    if "WAREHOUSE_URL" in os.environ or "DBT_HOST" in os.environ:
        try:
            environment.dbt_connection().close()
            servers["warehouse"] = {"state": "running", "host": os.environ["DBT_HOST"], "port": os.environ["DBT_PORT"]}
        except WarehouseError as error:
            servers["warehouse"] = {"state": "unreachable", "reason": str(error)}
    if (home() / "landing").exists():
        from demo import systems

        door = systems.status(home())
        servers["demo_front_door"] = {"state": "running", **door} if door else {"state": "stopped"}
    return servers


def _summary(rows: dict[tuple[str, ...], int], files: dict[str, int], problems: list[str], seconds: float) -> None:
    state = _state()
    click.secho("\nRows landed", bold=True)
    for name, system in read_contracts().items():
        landed = {table.name: rows.get((system.name, table.name)) for table in system.tables}
        counts = ", ".join(f"{table} {count:,}" for table, count in landed.items() if count is not None)
        click.echo(f"  {name:<12} {sum(filter(None, landed.values())):>9,}   {counts or _red('not loaded')}")
    click.secho("Publish sets", bold=True)
    words = {"publish": "published", "undo": "undone", "refuse": _red("not published"), None: _red("never built")}
    for name, facts in state["publish_sets"].items():
        tests = f"{facts.get('tests_passed') or 0} tests passed, {facts.get('tests_failed') or 0} failed"
        click.echo(f"  {name:<12} {words[facts['last']]}, {tests}")
    click.secho("Files written", bold=True)
    for file, count in files.items():
        click.echo(f"  {os.path.relpath(file)}  {count:,} rows")
    for problem in problems:
        click.echo(f"{_red('Failed:')} {problem}")
    click.echo(
        f"Took {seconds:.0f} s. Next: `make dev` (Dagster's page), `make docs` (documentation), `warehouse url` "
        "(connect), `make stop`."
    )


def _red(words: str) -> str:
    return click.style(words, fg="red")
