"""Raw tables as assets: one per declared table, one job and one schedule per system, from its contract."""

from datetime import timedelta

import dagster as dg

from ingestion.contracts import Age, SourceError, System
from ingestion.pipeline import load_system

RETRY_FROM_FAILURE = {"dagster/retry_strategy": "FROM_ASSET_FAILURE"}


def build_loads(system: System) -> tuple[dg.AssetsDefinition, dg.ScheduleDefinition]:
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
            raise dg.Failure(description=str(error)) from None
        for landing in landings:
            yield dg.MaterializeResult(
                asset_key=[system.name, landing.table],
                metadata={"rows_landed": landing.rows, "source_cut_off": landing.cut_off},
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


def _window(age: Age) -> timedelta:
    return timedelta(**{f"{age.period}s": age.count})
