"""The command that answers questions about metrics."""

from contextlib import closing

import click

from warehouse import environment


@click.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option("--by", multiple=True, metavar="DIMENSION", help="Dimension, such as metric_time__month (repeatable).")
@click.option("--where", multiple=True, metavar="CONDITION", help="Condition in MetricFlow's syntax (repeatable).")
def metric(names: tuple[str, ...], by: tuple[str, ...], where: tuple[str, ...]) -> None:
    """Calculate metrics from the published tables. Small numbers are not suppressed.

    docs/reference/measures.md lists the metrics.
    """
    environment.prepare(start=False)
    from warehouse.metrics import published_metrics

    with closing(environment.dbt_connection()) as connection:
        click.echo(published_metrics(connection).query(names, by, where).text_format())
