"""Commands about access.yml."""

import click

from commands.common import query_as_dbt
from warehouse import environment
from warehouse.errors import WarehouseError


@click.group()
def access() -> None:
    """Check or apply access.yml."""


@access.command()
def check() -> None:
    """Compare the database with access.yml. The exit status is 1 if there is a difference."""
    query = "select coalesce(publish_set, '-'), difference from governance.access_differences()"
    differences = query_as_dbt(query, [])
    for publish_set, difference in differences:
        click.echo(f"{publish_set:<12} {difference}")
    ((read_log,),) = query_as_dbt("select governance.read_log_state()", [])
    click.echo(f"Read log: {read_log}.")
    if differences:
        raise WarehouseError(f"{len(differences)} differences from access.yml. `warehouse access apply` corrects them.")
    click.echo("The database matches access.yml.")


@access.command()
def apply() -> None:
    """Apply access.yml to the database. Also corrects grants and row scopes that were changed by hand."""
    environment.prepare(apply_access=True)
    click.echo("access.yml is applied.")
