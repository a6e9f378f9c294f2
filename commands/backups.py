"""The commands `backup` and `restore`."""

import os
import time
from contextlib import closing
from pathlib import Path

import click

from commands.common import query_as_dbt
from warehouse import environment
from warehouse.errors import WarehouseError

FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command()
@click.argument("folder", type=FOLDER)
@click.option("--ledger-only", is_flag=True, help="Write only the ledger of erasures and legal holds.")
def backup(folder: Path, ledger_only: bool) -> None:
    """Back up the warehouse, Dagster's history and the roles into a new folder below FOLDER."""
    from warehouse.backup import back_up, write_ledger

    began = time.monotonic()
    environment.prepare(start=False)
    url = environment.warehouse_url()
    written = write_ledger(url, folder) if ledger_only else back_up(url, folder)
    click.echo(f"Wrote {written} in {time.monotonic() - began:.0f} s. The vault key is not part of it.")


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, exists=True, path_type=Path))
@click.option(
    "--ledger",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    help="Ledger of erasures and legal holds. Default: ledger.json beside FOLDER.",
)
def restore(folder: Path, ledger: Path | None) -> None:
    """Restore the backup in FOLDER into an empty server, compare it, and repeat later erasures.

    The server is that of WAREHOUSE_URL, or the embedded server of an empty WAREHOUSE_HOME.
    """
    from ingestion.contracts import read_contracts
    from warehouse import backup
    from warehouse.disposals import Retention
    from warehouse.subjects import SubjectRequests

    began = time.monotonic()
    ledger = ledger or folder.resolve().parent / "ledger.json"
    if not ledger.exists():
        raise WarehouseError(f"{ledger} does not exist. Give the ledger of erasures with `--ledger`.")
    url = os.environ["WAREHOUSE_URL"] = environment.start_server()
    restored = backup.restore(url, folder)
    click.echo(f"Restored {restored.tables:,} tables with {restored.rows:,} rows.")
    if restored.differences:
        raise WarehouseError("These tables differ from the backup: " + ", ".join(restored.differences))
    click.echo("Every table equals the backup.")
    environment.prepare(apply_access=True)
    with closing(environment.connect(url)) as connection:
        backup.read_ledger(connection, ledger)
    with closing(environment.connect(os.environ["LOADER_URL"])) as connection:
        systems = read_contracts().values()
        erased = SubjectRequests(connection, systems).erase_again()
        expired = Retention(connection, systems).dispose_of_expired()
    deleted = sum(erased.values()) + sum(rows for rows, _ in expired.values())
    click.echo(f"Deleted {deleted:,} rows of erased people and past their retention period. Run `warehouse build`.")
    if differences := query_as_dbt("select difference from governance.access_differences()", []):
        raise WarehouseError("The access rights differ from access.yml: " + "; ".join(row[0] for row in differences))
    click.echo(f"The access rights are those of access.yml. The restore took {time.monotonic() - began:.0f} s.")
    if restored.key:
        click.echo(f"Put the vault key with fingerprint {restored.key} in place before the next load.")
