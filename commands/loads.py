"""Commands about loads and source contracts."""

import getpass
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from commands.common import REASON, declared_table, query_as_dbt
from warehouse import environment

if TYPE_CHECKING:
    from ingestion.sampling import TableSample


@click.command()
@click.argument("table", metavar="RAW_SYSTEM.TABLE")
@click.option("--disposal", is_flag=True, help="Override the check on disposals instead, for the next disposal.")
@REASON
def accept(table: str, disposal: bool, reason: str) -> None:
    """Override the load checks of a raw table, once.

    The next load of the table commits even if the extract is empty, has shrunk or has many rejected rows.
    """
    system, found = declared_table(table)
    query_as_dbt(
        "insert into governance.overrides (system, table_name, reason, granted_by, is_of_disposal) "
        "values (%s, %s, %s, %s, %s) returning override_id",
        [system.name, found.name, reason, getpass.getuser(), disposal],
    )
    what = "disposal deletes all rows that are due" if disposal else "load overrides the load checks"
    click.echo(f"{table}: the next {what}, once")


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
    click.echo(f"3. Run `warehouse source try {system}` until no row is rejected: it loads nothing.")
    click.echo("4. Run `make check`, then `make run`.")


@source.command("try")
@click.argument("system")
@click.option("--table", "tables", multiple=True, metavar="NAME", help="Raw table to read (repeatable; default: all).")
@click.option("--rows", default=10_000, show_default=True, help="Rows after which reading a table ends.")
def try_source(system: str, tables: tuple[str, ...], rows: int) -> None:
    """Read a sample of SYSTEM by its contract and load nothing.

    Shows types, rejected rows by rule, rule violations and a profile of each column, without values of identifiers.
    Decisions that are still TODO do not matter. The exit status is 1 if a table cannot be read or a row is rejected.
    """
    from ingestion.sampling import draft_contract, try_system

    environment.load_settings()
    contract = draft_contract(system)
    if contract.location and contract.location not in os.environ and environment.home().exists():
        environment.prepare()  # a demo system
    samples = []
    for sample in try_system(contract, rows, set(tables)):
        samples.append(sample)
        click.echo("\n".join(_describe(sample)))
    if any(sample.problem or sample.rejects for sample in samples):
        raise SystemExit(1)


def _describe(sample: "TableSample") -> Iterator[str]:
    """The lines about a table."""
    yield f"{sample.table.label}: {sample.read:,} rows read, {len(sample.rejects):,} rejected"
    if sample.problem:
        yield f"  Problem: {sample.problem}"
    for rule, rejects in sample.rejected.items():
        first = rejects[0]
        place = f" (first: {first.file or ''} row {first.row})".replace(":  ", ": ") if first.row else ""
        yield f"  Rejected: {rule}: {len(rejects):,} row{'s' if len(rejects) > 1 else ''}{place}"
    if sample.repeated_keys:
        yield f"  Repeated key ({', '.join(sample.table.key)}): {sample.repeated_keys:,} rows"
    heads = ("column", "type", "nulls", "distinct", "lowest", "highest", "rule violations")
    lines = [heads] if sample.profiles else []
    for each in sample.profiles:
        violations = ", ".join(f"{code}: {count:,}" for code, count in sorted(each.violations.items()))
        figures = (f"{each.nulls:,}", f"{each.distinct:,}")
        lines.append((each.name, each.data_type, *figures, each.lowest, each.highest, violations))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = zip(line, widths, strict=True)
        yield "  " + "  ".join(cell.ljust(width) for cell, width in cells).rstrip()
