"""Runs dbt with the build lock. A session of dbt's own process holds the lock, so that the lock ends with dbt.

`python -m warehouse.builds <arguments of dbt>` is dbt as a child of Dagster: it does not outlive its parent.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext

import click
import psycopg2

from ingestion.postgres import end_transaction, take_lock
from warehouse.environment import dbt_connection
from warehouse.errors import WarehouseError

BUILDER = "WAREHOUSE_BUILDER"  # process id of the session that holds the lock, for dbt_project/macros/publish.sql
WRITING = {"build", "clone", "retry", "run", "seed", "snapshot"}  # dbt's commands that write tables
PR_SET_PDEATHSIG = 1


@contextmanager
def build_lock() -> Iterator[None]:
    """Holds the build lock: loads commit before or after the block, and no other build runs. Raises WarehouseError."""
    with closing(dbt_connection()) as connection, connection.cursor() as cursor:
        cursor.execute(
            "set statement_timeout = 0; set idle_in_transaction_session_timeout = 0; "
            "set application_name = 'warehouse build'"
        )
        connection.commit()
        try:
            try:
                cursor.execute("select governance.take_lock('raw_tables', true, '1 second')")
            except psycopg2.errors.LockNotAvailable as error:
                connection.rollback()
                click.echo(f"The build waits. {str(error).splitlines()[0]}", err=True)
                take_lock(cursor, "raw_tables", is_exclusive=True)
        except psycopg2.errors.LockNotAvailable as error:
            raise WarehouseError(str(error).splitlines()[0]) from None
        os.environ[BUILDER] = str(connection.info.backend_pid)
        try:
            yield
        finally:
            del os.environ[BUILDER]
            end_transaction(connection)


def run_dbt(arguments: Sequence[str]) -> None:
    """Runs dbt's command line in this process, with the build lock if the command writes tables; does not return."""
    from dbt.cli.main import cli

    with build_lock() if WRITING & {*arguments} else nullcontext():
        cli(list(arguments), prog_name="dbt")


def end_with_parent() -> None:
    """The kernel kills this process when its parent ends (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    end_with_parent()
    try:
        run_dbt(sys.argv[1:])
    except WarehouseError as error:
        sys.exit(str(error))
