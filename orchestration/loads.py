"""Raw tables as assets; for each system a load job, a schedule and, if the system is polled, a sensor."""

import os
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import dagster as dg
import psycopg2

from ingestion.contracts import Age, DriftError, LoadCheckError, SourceError, System, read_contracts
from ingestion.due import moment_of
from ingestion.files import unmatched_files
from ingestion.load_results import LoadResult
from ingestion.pipeline import load_system, source_state
from orchestration.failures import plain_failures
from orchestration.late_data import Missed, missed_targets
from orchestration.models import dependent_sets, downstream_impact
from warehouse import alerts as al
from warehouse.disposals import Retention
from warehouse.subjects import SubjectRequests

UP_TO_DATE = "data_up_to_due_date"  # the check of a table with `due`
RETRY_FROM_FAILURE = {"dagster/retry_strategy": "FROM_ASSET_FAILURE"}
KIND_OF_FAILURE = {DriftError: "drift", LoadCheckError: "load_refused"}  # the kind of alert; else load_failed
ACTIVE_STATUSES = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]


def build_loads(system: System, manifest: dict[str, Any]) -> tuple[dg.AssetsDefinition, dg.ScheduleDefinition]:
    """The multi-asset that loads a system, and the schedule of its job `load_<system>`."""
    specs = [
        dg.AssetSpec(
            [system.name, table.name],
            description=table.description,
            group_name=f"1_sources/{system.short_name}",
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
    checks = [
        dg.AssetCheckSpec(
            UP_TO_DATE,
            asset=[system.name, table.name],
            description=f"The table has data up to the date that is due by its contract: {table.due.in_words()}.",
        )
        for table in system.tables
        if table.due
    ]

    @dg.multi_asset(name=f"{system.name}_tables", specs=specs, check_specs=checks, can_subset=True)
    @plain_failures
    def load(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        try:
            results = load_system(system, {key.path[-1] for key in context.selected_asset_keys})
        except SourceError as error:
            impact = downstream_impact(manifest, system.name, error.table.name if error.table else None)
            kind = next((kind for cause, kind in KIND_OF_FAILURE.items() if isinstance(error, cause)), "load_failed")
            raise dg.Failure(f"{error}\n{impact}".strip(), metadata={"alert": kind, "reason": str(error)}) from None
        if unread := _unmatched_files(system):
            context.log.warning(f"{system.name}: no table reads {len(unread)} files: {', '.join(unread[:20])}")
        missed = missed_targets(system, {result.table: result.high_watermark for result in results}, al.utc_now())
        for result in results:
            key = dg.AssetKey([system.name, result.table])
            is_checked = dg.AssetCheckKey(key, UP_TO_DATE) in context.selected_asset_check_keys
            yield dg.MaterializeResult(
                asset_key=key,
                metadata=_metadata(system, result),
                data_version=dg.DataVersion(result.version),
                check_results=[_check(missed.get(result.table))] if is_checked else [],
            )

    job = dg.define_asset_job(
        f"load_{system.short_name}",
        dg.AssetSelection.assets(load),
        description=f"Loads every raw table of {system.short_name}.",
        tags=RETRY_FROM_FAILURE,
    )
    schedule = dg.ScheduleDefinition(
        job=job,
        cron_schedule=system.schedule,
        execution_timezone=system.time_zone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    return load, schedule


def _unmatched_files(system: System) -> list[str]:
    """The files in the system's folders that no table of any system reads."""
    if system.kind != "files" or not system.location:
        return []
    same_folder = (other for other in read_contracts().values() if other.location == system.location)
    return unmatched_files(same_folder, os.environ[system.location])


def report_load(system: System, result: LoadResult) -> None:
    """Records in Dagster a load that ran outside Dagster."""
    event = dg.AssetMaterialization(
        [system.name, result.table], metadata=_metadata(system, result), tags={"dagster/data_version": result.version}
    )
    with dg.DagsterInstance.get() as instance:
        instance.report_runless_asset_event(event)


def _check(missed: Missed | None) -> dg.AssetCheckResult:
    description = missed.in_words() if missed else None
    return dg.AssetCheckResult(
        check_name=UP_TO_DATE, passed=not missed, severity=dg.AssetCheckSeverity.WARN, description=description
    )


def _metadata(system: System, result: LoadResult) -> dict[str, Any]:
    moment = moment_of(result.high_watermark, system.time_zone)
    return ({"data_up_to": dg.MetadataValue.timestamp(moment)} if moment else {}) | {
        "rows_written": result.rows,
        "rows_read": result.read,
        "rows_quarantined": result.quarantined,
        "rows_skipped": result.skipped,
        "dagster/row_count": result.total,
        "new_columns": result.new_columns,
        "high_watermark": result.high_watermark,
    }


def build_polling_sensor(
    system: System, load: dg.AssetsDefinition, models: dg.AssetsDefinition, manifest: dict[str, Any]
) -> dg.SensorDefinition:
    """The sensor of a polled system: when the source changes, a run loads it and publishes its dependent sets."""
    publish_sets = [dg.AssetSelection.key_prefixes([name]) for name in dependent_sets(manifest, system.name)]
    selection: dg.AssetSelection = dg.AssetSelection.assets(load)
    for publish_set in publish_sets:
        selection |= (publish_set & dg.AssetSelection.assets(models)).upstream() & dg.AssetSelection.assets(models)
    # dbt runs every test, but Dagster takes longer to store the checks than dbt takes to run the tests
    without_checks = selection.without_checks()
    job = dg.define_asset_job(
        f"refresh_{system.short_name}",
        without_checks,
        description=f"Loads {system.short_name} and publishes the sets that depend on it.",
        tags=RETRY_FROM_FAILURE,
    )

    @dg.sensor(
        name=f"poll_{system.short_name}",
        description=f"Starts a refresh when the source of {system.short_name} changes.",
        job=job,
        minimum_interval_seconds=system.poll,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def poll(context: dg.SensorEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        busy = dg.RunsFilter(job_name=job.name, statuses=ACTIVE_STATUSES)
        if context.instance.get_runs(busy, limit=1):
            return dg.SkipReason("The refresh of the last change is still running.")
        try:
            state = source_state(system)
        except SourceError as error:
            return dg.SkipReason(str(error))
        if state == context.cursor:
            return dg.SkipReason("The source has not changed.")
        context.update_cursor(state)
        return dg.RunRequest()

    return poll


def build_disposals(systems: list[System]) -> dg.AssetsDefinition:
    """The asset of the daily disposal: rows past their retention period, and erased people who came back."""

    @dg.asset(
        key=["governance", "disposals"],
        group_name="6_governance",
        owners=["team:Information Governance"],
        kinds={"postgres"},
        description="Rows deleted past their retention period, or because an erased person came back.",
    )
    @plain_failures
    def disposals(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        with closing(psycopg2.connect(os.environ["LOADER_URL"])) as connection:
            erased, retention = SubjectRequests(connection, systems).erase_again(), Retention(connection, systems)
            expired = retention.dispose_of_expired()
        deleted = {table: rows for table, (rows, _) in expired.items() if rows}
        for table in erased.keys() | deleted.keys():  # so that its downstream is rebuilt
            version = {"dagster/data_version": f"disposal {context.run_id}"}
            context.log_event(dg.AssetMaterialization(table.split("."), tags=version))
        if retention.refused:
            raise dg.Failure(description="\n".join(retention.refused), allow_retries=False)
        return dg.MaterializeResult(
            metadata={
                "rows_past_retention_deleted": sum(deleted.values()),
                "rows_past_retention_on_hold": sum(on_hold for _, on_hold in expired.values()),
                "rows_of_erased_people_deleted": sum(erased.values()),
                "by_table": {"retention": deleted, "erasure": erased},
            }
        )

    return disposals


def _window(age: Age) -> timedelta:
    return timedelta(**{f"{age.period}s": age.count})
