"""Raw tables as assets: one per declared table; a job, a schedule and, where it is polled, a sensor per system."""

from datetime import timedelta
from typing import Any

import dagster as dg

from ingestion.contracts import Age, SourceError, System
from ingestion.pipeline import load_system, source_state
from orchestration.models import sets_on, what_hangs_on

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
    def load(context: dg.AssetExecutionContext):
        try:
            landings = load_system(system, {key.path[-1] for key in context.selected_asset_keys})
        except SourceError as error:
            affected = what_hangs_on(manifest, system.name, error.table and error.table.name)
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
                    "source_cut_off": landing.cut_off,
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


def build_poll(system: System, load: dg.AssetsDefinition, models: dg.AssetsDefinition, manifest: dict[str, Any]):
    """The sensor of a polled system: when its source has changed, one run loads it and publishes what rests on it."""
    publish_sets = [dg.AssetSelection.key_prefixes([name]) for name in sets_on(manifest, system.name)]
    selection = dg.AssetSelection.assets(load)
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
    def poll(context: dg.SensorEvaluationContext):
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


def _window(age: Age) -> timedelta:
    return timedelta(**{f"{age.period}s": age.count})
