"""Housekeeping: deletes old runs of Dagster, working folders of dbt, and copies of delivered files."""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import psycopg2
from psycopg2 import extensions as pg

from ingestion.postgres import value_of
from orchestration.failures import plain_failures
from warehouse.environment import dbt_connection, home
from warehouse.outgoing import DELIVERED

RUNS_KEPT = timedelta(days=60)
DELIVERIES_KEPT = timedelta(days=1095)  # three years: "what did we send in April" has an answer
FOLDERS_KEPT = timedelta(days=7)  # dbt's working folder of a run: 17 to 40 MB
RUNS_AT_ONCE = 5_000
FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
SIZE = "select pg_database_size(current_database())"


def delete_old_runs(instance: dg.DagsterInstance, now: datetime) -> int:
    """Deletes finished runs older than RUNS_KEPT with events and logs; returns their number.

    A run stays while an asset has no later materialisation, because Dagster compares data versions with it.
    """
    latest = instance.get_latest_materialization_events(instance.all_asset_keys())
    needed = {event.run_id for event in latest.values() if event}
    old = dg.RunsFilter(statuses=FINISHED, created_before=now - RUNS_KEPT)
    deleted = [run for run in instance.get_run_ids(old, limit=RUNS_AT_ONCE + len(needed)) if run not in needed]
    for run in deleted:
        instance.delete_run(run)
        instance.compute_log_manager.delete_logs(prefix=[run])
    return len(deleted)


def delete_old_folders(target: Path, now: datetime) -> int:
    """Deletes the working folders that runs of dbt left in `target` before FOLDERS_KEPT; returns their number.

    Each build does it for its own machine.
    """
    return _delete_before(now - FOLDERS_KEPT, target.glob("models-*"))


def delete_old_deliveries(outbox: Path, now: datetime) -> int:
    """Deletes the kept files of deliveries before DELIVERIES_KEPT; returns their number."""
    return _delete_before(now - DELIVERIES_KEPT, outbox.glob(f"*/{DELIVERED}/*/*"))


def _delete_before(moment: datetime, folders: Iterable[Path]) -> int:
    deleted = 0
    for folder in folders:
        with suppress(FileNotFoundError):  # another run deletes it
            if folder.stat().st_mtime < moment.timestamp():
                shutil.rmtree(folder)
                deleted += 1
    return deleted


def build_housekeeping() -> dg.AssetsDefinition:
    """The asset of the daily housekeeping, with the sizes of the databases and of the working folder."""

    @dg.asset(
        key=["governance", "housekeeping"],
        group_name="6_governance",
        owners=["team:Data Platform"],
        description=f"Deletes runs older than {RUNS_KEPT.days} days and copies of delivered files older than "
        f"{DELIVERIES_KEPT.days} days. Its metadata has the sizes that remain.",
    )
    @plain_failures
    def housekeeping(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        now = datetime.now(UTC)
        runs = delete_old_runs(context.instance, now)
        files = delete_old_deliveries(Path(os.environ["OUTBOX"]), now)
        sizes = {
            "database_megabytes": _size_of(dbt_connection()),
            "dagster_megabytes": _size_of(psycopg2.connect(os.environ["DAGSTER_POSTGRES_URL"])),
            "folder_megabytes": sum(_sizes(home())),
        }
        return dg.MaterializeResult(
            metadata={"runs_deleted": runs, "deliveries_deleted": files}
            | {name: round(size / 1e6, 1) for name, size in sizes.items()}
        )

    return housekeeping


def _size_of(database: pg.connection) -> int:
    with closing(database) as connection, connection.cursor() as cursor:
        cursor.execute(SIZE)
        return int(value_of(cursor))


def _sizes(folder: Path) -> Iterator[int]:
    for path in folder.rglob("*"):
        try:
            if path.is_file() and not path.is_symlink():
                yield path.stat().st_size
        except OSError:  # deleted meanwhile, or of the embedded server's account
            continue
