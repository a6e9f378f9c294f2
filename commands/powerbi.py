"""The command that writes Power BI projects."""

from pathlib import Path

import click

from warehouse import environment
from warehouse.errors import WarehouseError


@click.command()
@click.argument("publish_sets", metavar="[PUBLISH_SET]...", nargs=-1)
@click.option("--output", type=click.Path(path_type=Path), help="Folder, instead of $OUTBOX/<set>/powerbi.")
def powerbi(publish_sets: tuple[str, ...], output: Path | None) -> None:
    """Write a Power BI project for each publish set.

    A project has a semantic model and a report. A report that exists is kept.
    """
    environment.prepare(start=False)
    known = environment.publish_sets()
    if unknown := sorted({*publish_sets} - {*known}):
        raise WarehouseError(f"There is no publish set {', '.join(unknown)}. Publish sets: {', '.join(known)}.")
    from warehouse.access import read_access
    from warehouse.dbt_compiler import Compiler
    from warehouse.outgoing import outbox_folder
    from warehouse.powerbi.project import Project

    compiler = Compiler()
    compiler.parse()
    manifest, access = compiler.manifest.to_dict(omit_none=False), read_access(known)
    for publish_set in publish_sets or known:
        project = Project(publish_set, manifest, access[publish_set], environment.warehouse_url())
        folder = output / publish_set if output else outbox_folder(publish_set) / "powerbi"
        project.write(folder)
        star = project.star
        click.echo(
            f"{folder / project.title}.pbip: {len(star.tables)} tables, {len(star.relationships)} relationships, "
            f"{len(star.measures)} measures"
        )
