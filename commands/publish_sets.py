"""Commands about models and publish sets: preview, build, publish, roll back."""

import os

import click

from commands.common import query_as_dbt
from warehouse import environment
from warehouse.errors import WarehouseError


@click.command()
@click.argument("model")
@click.option("--rows", default=10, show_default=True, type=click.IntRange(0), help="Number of rows to print.")
@click.option("--key", multiple=True, metavar="COLUMN", help="Column of the key that pairs rows (repeatable).")
@click.option("--watch", is_flag=True, help="Print the preview again each time a file of the dbt project is saved.")
def preview(model: str, rows: int, key: tuple[str, ...], watch: bool) -> None:
    """Preview MODEL of the working tree. Prints its rows and its differences from the published table."""
    environment.prepare(start=False)
    environment.dbt_connection().close()  # fails early where no server runs
    from warehouse.preview_display import run as run_preview

    run_preview(model, rows, key, watch)


@click.command()
@click.option("--changed", is_flag=True, help="Build only what differs from the publication, and its downstream.")
def build(changed: bool) -> None:
    """Build, test and publish every set from the loaded data.

    The exit status is 1 if a set is not published.
    """
    environment.prepare(start=False)
    if "DBT_HOST" not in os.environ:
        raise WarehouseError(environment.NOT_RUNNING)
    from orchestration.build import build as build_sets  # Dagster takes seconds to import

    if problems := build_sets(changed):
        raise WarehouseError("\n".join(problems))


@click.command()
@click.argument("publish_set")
@click.option(
    "--approve", multiple=True, metavar="TABLE[.COLUMN]", help="Table or column that may be dropped or re-typed."
)
def publish(publish_set: str, approve: tuple[str, ...]) -> None:
    """Approve column changes and publish PUBLISH_SET. Its tested build waits for the approval."""
    values: list[object] = [publish_set, list(approve)]
    found = query_as_dbt("select * from governance.prepare_publication(%s, null, %s)", values)
    found = found or query_as_dbt("select * from governance.publish(%s, null, %s)", values)
    if problems := [problem for change, problem in found if change is None]:
        raise WarehouseError(f"{publish_set} is not published: {'; '.join(problems)}. Run `warehouse build`.")
    if found:
        raise WarehouseError(
            f"{publish_set} is not published. Approve each change by name: {' '.join(change for change, _ in found)}"
        )
    click.echo(f"{publish_set}: published")


@click.command()
@click.argument("publish_set")
@click.option("--to", "build", type=int, help="Number of the build, from `warehouse status`.")
def undo(publish_set: str, build: int | None) -> None:
    """Roll back PUBLISH_SET to the publication before, or to an older one that is kept."""
    ((number,),) = query_as_dbt("select governance.roll_back(%s, %s)", [publish_set, build])
    click.echo(f"{publish_set}: rolled back to build {number}")


@click.command()
@click.argument("report")
@click.argument("period")
def explain(report: str, period: str) -> None:
    """Explain the figures of REPORT (<set>.rpt_...) for a closed PERIOD: 2026-05, 2026-05-31 or 2025/26.

    Prints the figures as first published, each restatement, and the keys of the records that changed in between.
    """
    from warehouse.restatements import explain as explain_report

    click.echo(explain_report(query_as_dbt, environment.publish_sets(), report, period))
