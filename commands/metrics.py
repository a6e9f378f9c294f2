"""The command that answers questions about metrics."""

from contextlib import closing
from datetime import datetime
from typing import Any

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
    from tabulate import tabulate

    from warehouse.metrics import published_metrics

    with closing(environment.dbt_connection()) as connection:
        table = published_metrics(connection).query(names, by, where)
    rows = [[_shown(value) for value in row] for row in table.rows]
    aligned = ["left" if name in by else "right" for name in table.column_names]
    click.echo(tabulate(rows, table.column_names, "plain", disable_numparse=True, colalign=aligned if rows else None))


def _shown(value: Any) -> str:
    """A value as text: a number with at most four decimals, a day without a time."""
    if value is None or isinstance(value, str | bool):
        return "" if value is None else str(value)
    if isinstance(value, datetime):
        return value.date().isoformat()
    return f"{value:,.4f}".rstrip("0").rstrip(".")
