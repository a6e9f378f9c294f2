"""What several commands share: options, connections, lookups."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import click
from psycopg2 import extensions as pg

from warehouse import environment
from warehouse.errors import WarehouseError

if TYPE_CHECKING:
    from ingestion.contracts import System, Table

DEMO = click.option(
    "--demo", is_flag=True, help="With WAREHOUSE_URL: use the demo systems for systems without a location."
)
REASON = click.option("--reason", required=True, help="Reason, which is recorded.")


@contextmanager
def administrator() -> Iterator[pg.connection]:
    """A connection with the login of WAREHOUSE_URL, and the rights of wh_owner, which owns what the commands change.

    Raises WarehouseError where the warehouse is not running.
    """
    environment.prepare(start=False)
    with closing(environment.connect(environment.warehouse_url())) as connection:
        with connection, connection.cursor() as cursor:
            cursor.execute("set role wh_owner")
        yield connection


def query_as_dbt(query: str, values: list[object]) -> list[tuple[Any, ...]]:
    """The rows of a query with dbt's login. Raises WarehouseError with the message of a function that refuses."""
    import psycopg2

    environment.prepare(start=False)
    with closing(environment.dbt_connection()) as connection:
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(query, values)
                return cursor.fetchall()
        except (psycopg2.errors.RaiseException, psycopg2.errors.LockNotAvailable) as refusal:
            raise WarehouseError(str(refusal).splitlines()[0]) from None


def declared_table(name: str) -> tuple["System", "Table"]:
    """The system and the table of a raw table's name, raw_<system>.<table>. Raises WarehouseError."""
    from ingestion.contracts import read_contracts

    for system in read_contracts().values():
        for table in system.tables:
            if table.label == name:
                return system, table
    raise WarehouseError(f"No source contract declares {name}. Write the name as raw_<system>.<table>.")


def rebuild() -> None:
    """Matches people, builds every publish set and writes the feeds. Raises WarehouseError where a part fails."""
    from orchestration.run import REBUILD, run_jobs

    problems, _, _ = run_jobs(REBUILD)
    if problems:
        raise WarehouseError("The change is made, but the rebuild of its downstream failed: " + "; ".join(problems))
