"""The console script `warehouse`: gathers the commands, runs and stops the warehouse."""

import json
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

import click

from commands import access, backups, loads, metrics, people, powerbi, publish_sets, status
from commands.common import DEMO
from ingestion import ROOT
from warehouse import environment
from warehouse.environment import home
from warehouse.errors import WarehouseError

# dlt, Arrow, Dagster and DuckDB take seconds to import, and Pydantic 0.1 s: each command imports what it needs of them


class _Commands(click.Group):
    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except Exception as error:
            from ingestion.errors import OWN, describe

            own = isinstance(error, (WarehouseError, *OWN))
            raise click.ClickException(str(error) if own else f"Unexpected error: {describe(error)}") from None


@click.group(cls=_Commands)
def main() -> None:
    """Run and manage Worcestershire's data warehouse."""


@main.command()
@DEMO
def run(demo: bool) -> None:
    """Load every system, publish every set, write every feed.

    Matching, tests and builds run in between. The exit status is 1 if a part failed.
    """
    from rich.console import Console

    started_at = time.monotonic()
    with Console(file=sys.stdout).status("starting"):
        environment.prepare(demo=demo)
    from ingestion.contracts import read_contracts
    from orchestration.run import REBUILD, run_jobs  # reads the environment at import

    problems, rows, files = run_jobs([f"load_{name}" for name in read_contracts()] + REBUILD)
    status.print_summary(rows, files, problems, time.monotonic() - started_at)
    sys.exit(1 if problems else 0)


@main.command()
@click.option("--reader", metavar="LOGIN", help="A login of access.yml, instead of the administrator's.")
def url(reader: str | None) -> None:
    """Print the warehouse's connection URL, with its password."""
    environment.prepare(start=False)
    administrators = environment.warehouse_url()
    click.echo(environment.reader_url(reader) if reader else administrators)


@main.command()
def env() -> None:
    """Print the variables of the services' logins, with passwords, for an environment file."""
    environment.prepare(start=False)
    for name, value in environment.service_environment().items():
        click.echo(f"{name}={json.dumps(value)}")


@main.command()
def stop() -> None:
    """Stop the servers that a run started."""
    from demo import postgres, systems

    systems.stop(home())
    postgres.stop(home())
    click.echo("The servers are stopped.")


@main.group()
def demo() -> None:
    """Manage the demo county."""


@demo.command()
@DEMO
@click.option("--days", type=click.IntRange(1), default=1, show_default=True, help="Number of days.")
def advance(demo: bool, days: int) -> None:
    """Advance the demo county by days. The next run loads the changes."""
    from demo import systems

    environment.prepare(demo=demo)
    try:
        day = systems.advance(home(), os.environ["WAREHOUSE_URL"], days)
    except (RuntimeError, ValueError) as error:
        raise WarehouseError(str(error)) from None
    click.echo(f"The date in the demo county is now {day:%d %B %Y}. Next: `make run`")


@main.command()
@click.argument("reference")
def error(reference: str) -> None:
    """Print the text of an error, which may contain personal data.

    Messages show errors without values. The text is kept for 30 days, encrypted with the vault key.
    """
    from ingestion.errors import kept

    environment.prepare(start=False)
    click.echo(kept(reference))


@main.command(context_settings={"ignore_unknown_options": True})
@DEMO
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def exec(demo: bool, command: tuple[str, ...]) -> None:
    """Run a command in the warehouse's environment. For example dbt, dagster or psql."""
    environment.prepare(demo=demo)
    if command[0] == "dbt":
        from warehouse.builds import run_dbt

        run_dbt(command[1:])
    exec_command(*command)


@main.command()
@DEMO
@click.option("--port", default=3000, show_default=True, help="Port of the web page.")
def dev(demo: bool, port: int) -> None:
    """Run Dagster's web page and daemon. The daemon runs schedules, polling and automatic rebuilds."""
    ensure_port_free(port)
    environment.prepare(demo=demo)
    import orchestration.definitions  # noqa: F401  parses the dbt project once, before several processes need it

    workspace = ("--workspace", str(ROOT / "workspace.yaml"))
    exec_command("dagster", "dev", *workspace, "--host", "127.0.0.1", "--port", str(port))


@main.command()
@DEMO
@click.option("--port", default=8080, show_default=True, help="Port of the web page.")
@click.option("--all", "every_node", is_flag=True, help="Show sources, staging and conformed models and SQL too.")
def docs(demo: bool, port: int, every_node: bool) -> None:
    """Generate and serve the documentation site of the published tables."""
    ensure_port_free(port)
    environment.prepare(demo=demo)
    from warehouse.dbt_compiler import Compiler
    from warehouse.documentation import write_site

    generated, site = home() / "documentation", home() / "site"
    compiler = Compiler()
    compiler.parse()
    compiler.generate_docs(generated)
    write_site(generated, site, every_node)
    click.echo(f"The documentation site is at http://127.0.0.1:{port} (Ctrl+C stops it). Its files are in {site}")
    address = ("--bind", "127.0.0.1", "--directory", str(site))
    exec_command(sys.executable, "-m", "http.server", *address, str(port))


def exec_command(*command: str) -> None:
    """Replaces this process by a command, so that signals reach the command."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # else Dagster, started in the background, also ignores SIGTERM
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    try:
        os.execvp(command[0], command)  # noqa: S606  no shell reads the command
    except FileNotFoundError:
        raise WarehouseError(f"There is no command {command[0]}.") from None


def ensure_port_free(port: int) -> None:
    """Raises WarehouseError where a server uses the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise WarehouseError(f"Port {port} is in use. Choose another with `PORT=…` (make) or `--port`.") from None


for command in (
    *(status.status, status.watch, access.access, people.keys, people.reidentify, people.match, people.subject),
    *(publish_sets.build, publish_sets.preview, publish_sets.publish, publish_sets.undo, publish_sets.explain),
    *(loads.accept, loads.redrive, loads.source, backups.backup, backups.restore, metrics.metric, powerbi.powerbi),
):
    main.add_command(command)
