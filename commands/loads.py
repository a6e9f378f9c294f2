"""Commands about loads and source contracts."""

import getpass
import os

import click

from commands.common import REASON, declared_table, query_as_dbt
from warehouse import environment


@click.command()
@click.argument("table", metavar="RAW_SYSTEM.TABLE")
@REASON
def accept(table: str, reason: str) -> None:
    """Override the load checks of a raw table, once.

    The next load of the table commits even if the extract is empty, has shrunk or has many rejected rows.
    """
    system, found = declared_table(table)
    query_as_dbt(
        "insert into governance.overrides (system, table_name, reason, granted_by) values (%s, %s, %s, %s) "
        "returning override_id",
        [system.name, found.name, reason, getpass.getuser()],
    )
    click.echo(f"{table}: the next load overrides the load checks, once")


@click.command()
@click.argument("table", metavar="RAW_SYSTEM.TABLE")
def redrive(table: str) -> None:
    """Retry the quarantined rows of a raw table. Correct its contract first."""
    from ingestion.pipeline import load_system
    from orchestration.loads import report_load

    system, found = declared_table(table)
    environment.prepare(start=False)
    (result,) = load_system(system, {found.name}, redrive=True)
    report_load(system, result)
    click.echo(f"{table}: {result.read:,} rows retried, {result.rows:,} loaded")


@click.group()
def source() -> None:
    """Manage the contracts of source systems."""


@source.command()
@click.argument("system")
@click.argument("location", required=False)
@click.option("--table", "tables", multiple=True, metavar="NAME", help="Table or view to declare (repeatable).")
@click.option("--schema", help="Schema of the database that has the tables.")
def add(system: str, location: str | None, tables: tuple[str, ...], schema: str | None) -> None:
    """Write a first contract and staging models of SYSTEM.

    LOCATION is a SQLAlchemy URL, a folder or a file. Without LOCATION the command reads <SYSTEM>_URL or
    <SYSTEM>_LANDING (.env), which keeps passwords out of the shell's history.
    """
    from ingestion.scaffold import add_source

    environment.load_settings()
    variables = [f"{system.upper()}_URL", f"{system.upper()}_LANDING"]
    if not (found := location or next(filter(None, map(os.environ.get, variables)), None)):
        raise click.UsageError(f"Give a URL, a folder or a file, or set {' or '.join(variables)}.")
    added = add_source(system, found, tables, schema)
    password = ", with the password instead of ***" if "***" in added.value else ""
    click.echo(f"Wrote {added.folder}: the contract and the staging models of {', '.join(added.tables)}.")
    click.echo("Next:")
    click.echo(f"1. Replace each TODO in {added.contract} ({added.todos} lines), and check what is marked `guessed`.")
    click.echo(f"2. Add this line to .env{password}:\n   {added.variable}={added.value}")
    click.echo(f"   Add {added.variable} to .env.example with a harmless value.")
    click.echo("3. Run `make check`, then `make run`.")
