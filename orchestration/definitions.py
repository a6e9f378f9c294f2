"""Gathers the Dagster definitions and sets their schedules. Imports without secrets, network or server."""

from functools import partial

import dagster as dg

from ingestion.contracts import read_contracts
from orchestration.alerts import build_alerts
from orchestration.exports import build_exports
from orchestration.feeds import DELIVER, build_deliveries, build_feeds
from orchestration.housekeeping import build_housekeeping
from orchestration.loads import RETRY_FROM_FAILURE, build_disposals, build_loads, build_polling_sensor
from orchestration.matching import build_matching
from orchestration.models import (
    build_access_checks,
    build_models,
    build_records,
    dbt_resource,
    read_manifest,
    record_publications,
)

manifest = read_manifest()
systems = list(read_contracts().values())
loads = [build_loads(system, manifest) for system in systems]
matching = build_matching(systems)
models, publications = build_models(manifest)
polls = [
    build_polling_sensor(system, load, models, manifest)
    for system, (load, _) in zip(systems, loads, strict=True)
    if system.poll
]
access = build_access_checks([spec.key for spec in publications])
feeds = build_feeds(manifest)
exports = build_exports(manifest)
deliveries, calendar = build_deliveries(manifest)
disposals = build_disposals(systems)
housekeeping = build_housekeeping()
dispose = dg.define_asset_job(
    "dispose",
    dg.AssetSelection.assets(disposals),
    description="Deletes rows past their retention period, and erased people.",
)
clean_up = dg.define_asset_job(
    "clean_up",
    dg.AssetSelection.assets(housekeeping),
    description="Deletes old runs of Dagster and old copies of delivered files.",
)
match = dg.define_asset_job(
    "match_people",
    dg.AssetSelection.assets(matching),
    description="Matches the records of people across systems.",
    tags=RETRY_FROM_FAILURE,
)
build = dg.define_asset_job(
    "build_models",
    dg.AssetSelection.assets(models),
    description="Builds, tests and publishes every publish set.",
    tags=RETRY_FROM_FAILURE,
)
check_access = dg.define_asset_job(
    "check_access", dg.AssetSelection.checks(access), description="Compares the database with access.yml."
)
write_feeds = dg.define_asset_job(
    "write_feeds",
    dg.AssetSelection.assets(*feeds),
    description="Writes every report feed to the outbox.",
    tags=RETRY_FROM_FAILURE,
)
deliver = dg.define_asset_job(
    DELIVER,
    dg.AssetSelection.assets(*deliveries),
    description="Delivers every report feed to its recipients.",
    tags=RETRY_FROM_FAILURE,
)
daily = partial(
    dg.ScheduleDefinition,
    execution_timezone="Europe/London",
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
defs = dg.Definitions(
    assets=[
        *(assets for assets, _ in loads),
        matching,
        models,
        *publications,
        *build_records(manifest),
        *feeds,
        *exports,
        *deliveries,
        disposals,
        housekeeping,
    ],
    asset_checks=[access],
    # Every set is built once a day, even without new data, because ages and overdue dates depend on the day
    schedules=[
        *(schedule for _, schedule in loads),
        daily(job=clean_up, cron_schedule="30 3 * * *"),
        daily(job=dispose, cron_schedule="0 4 * * *"),
        daily(job=build, cron_schedule="15 6 * * *"),
        calendar,
        daily(job=check_access, cron_schedule="0 7 * * *"),
    ],
    jobs=[build, check_access, clean_up, deliver, dispose, match, write_feeds],
    sensors=[
        *polls,
        record_publications,
        build_alerts(manifest),
        dg.AutomationConditionSensorDefinition(
            "rebuild_changed_sets",
            description="Rebuilds each set whose raw tables changed; writes and delivers the files of published sets.",
            target=dg.AssetSelection.all(),
            default_status=dg.DefaultSensorStatus.RUNNING,
            minimum_interval_seconds=30,
        ),
    ],
    resources={"dbt": dbt_resource()},
    executor=dg.in_process_executor,
)
