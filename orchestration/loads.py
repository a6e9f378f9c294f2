"""Raw tables as assets: one per declared table; a job, a schedule and, where it is polled, a sensor per system."""

import os
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import dagster as dg
import psycopg2

from ingestion.contracts import Age, SourceError, System
from ingestion.pipeline import load_system, source_state
from orchestration.models import sets_on, what_hangs_on
from warehouse.subjects import Register

RETRY_FROM_FAILURE = {"dagster/retry_strategy": "FROM_ASSET_FAILURE"}
UNFINISHED = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]


def build_loads(system: System, manifest: dict[str, Any]) -> tuple[dg.AssetsDefinition, dg.ScheduleDefinition]:
    """The multi-asset that loads one system, and the schedule of its job `load_<system>`."""
    specs = [
        dg.AssetSpec(
            [system.name, table.name],
            description=table.description,
            group_name=system.short_name,
            owners=[f"team:{system.data_owner}"],
            kinds={"dlt", "postgres"},
            metadata={"load": table.load, "source": system.kind, "lawful_basis": system.lawful_basis},
            freshness_policy=dg.FreshnessPolicy.time_window(
                fail_window=_window(system.freshness["error_after"]),
                warn_window=_window(system.freshness["warn_after"]),
            ),
        )
        for table in system.tables
    ]

    @dg.multi_asset(name=f"{system.name}_tables", specs=specs, can_subset=True)
    def load(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        try:
            landings = load_system(system, {key.path[-1] for key in context.selected_asset_keys})
        except SourceError as error:
            affected = what_hangs_on(manifest, system.name, error.table.name if error.table else None)
            raise dg.Failure(description=f"{error}\n{affected}".strip()) from None
        for landing in landings:
            yield dg.MaterializeResult(
                asset_key=[system.name, landing.table],
                metadata={
                    "rows_landed": landing.rows,
                    "rows_read": landing.read,
                    "rows_quarantined": landing.quarantined,
                    "rows_total": landing.total,
                    "new_columns": landing.new_columns,
                    "source_cut_off": landing.high_watermark,
                },
                data_version=dg.DataVersion(landing.version),
            )

    job = dg.define_asset_job(f"load_{system.short_name}", dg.AssetSelection.assets(load), tags=RETRY_FROM_FAILURE)
    schedule = dg.ScheduleDefinition(
        job=job,
        cron_schedule=system.schedule,
        execution_timezone=system.time_zone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    return load, schedule


def build_poll(
    system: System, load: dg.AssetsDefinition, models: dg.AssetsDefinition, manifest: dict[str, Any]
) -> dg.SensorDefinition:
    """The sensor of a polled system: when its source has changed, one run loads it and publishes what rests on it."""
    publish_sets = [dg.AssetSelection.key_prefixes([name]) for name in sets_on(manifest, system.name)]
    selection: dg.AssetSelection = dg.AssetSelection.assets(load)
    for publish_set in publish_sets:
        selection |= (publish_set & dg.AssetSelection.assets(models)).upstream() & dg.AssetSelection.assets(models)
    # dbt tests as much as ever; but writing each test down as a check of Dagster's takes longer than the tests
    quick = selection.without_checks()
    job = dg.define_asset_job(f"keep_up_with_{system.short_name}", quick, tags=RETRY_FROM_FAILURE)

    @dg.sensor(
        name=f"poll_{system.short_name}",
        job=job,
        minimum_interval_seconds=system.poll,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def poll(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        busy = dg.RunsFilter(job_name=job.name, statuses=UNFINISHED)
        if context.instance.get_runs(busy, limit=1):
            return dg.SkipReason("the last change is still on its way")
        try:
            state = source_state(system)
        except SourceError as error:
            return dg.SkipReason(str(error))
        if state == context.cursor:
            return dg.SkipReason("nothing has changed")
        context.update_cursor(state)
        return dg.RunRequest()

    return poll


def build_disposals(systems: list[System]) -> dg.AssetsDefinition:
    """Each day's deletions from raw tables: what is older than its retention, and erased people who came back."""

    @dg.asset(
        key=["governance", "disposals"],
        group_name="governance",
        owners=["team:Information Governance"],
        kinds={"postgres"},
        description="Rows deleted because their retention was over, or because a person who was erased came back.",
    )
    def disposals(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        with closing(psycopg2.connect(os.environ["LOADER_URL"])) as connection:
            register = Register(connection, systems)
            again, retained = register.erase_again(), register.retain()
        deleted = {table: rows for table, (rows, _) in retained.items() if rows}
        for table in again.keys() | deleted.keys():  # what rests on it is built anew
            version = {"dagster/data_version": f"disposed of in {context.run_id}"}
            context.log_event(dg.AssetMaterialization(table.split("."), tags=version))
        return dg.MaterializeResult(
            metadata={
                "rows_past_retention_deleted": sum(deleted.values()),
                "rows_past_retention_held": sum(held for _, held in retained.values()),
                "rows_of_erased_people_deleted": sum(again.values()),
                "by_table": {"retention": deleted, "erasure": again},
            }
        )

    return disposals


def _window(age: Age) -> timedelta:
    return timedelta(**{f"{age.period}s": age.count})
