"""Person matching as an asset, which follows the loads of the systems that it matches."""

import os
from contextlib import closing
from typing import Any

import dagster as dg
import psycopg2

from ingestion.contracts import System
from orchestration.automation import since_handled
from orchestration.failures import plain_failures
from warehouse.matching import match

CONDITION = dg.AutomationCondition
MATCHED = dg.AssetKey(["matching", "person_records"])
# Matching compares everybody with everybody (decision 79): at most once an hour, however often a system is polled
HAS_NEW_RECORDS: CONDITION[Any] = CONDITION.any_deps_match(CONDITION.data_version_changed()) | CONDITION.newly_missing()
FOLLOWS_LOADS: CONDITION[Any] = (
    since_handled(HAS_NEW_RECORDS, by_update=False)  # a load during a match may not be in its result
    & ~CONDITION.any_deps_missing()
    & ~CONDITION.any_deps_in_progress()
    & ~CONDITION.in_progress()
    & ~CONDITION.newly_updated().since(CONDITION.cron_tick_passed("0 * * * *"))
)


def build_matching(systems: list[System]) -> dg.AssetsDefinition:
    """The asset of the crosswalk from each system's records of people to persons."""
    sources = [
        dg.AssetKey([system.name, table.name])
        for system in systems
        for table in system.tables
        if table.is_matching_source
    ]

    @dg.asset(
        key=MATCHED,
        deps=sources,
        group_name="1_sources/matching",
        owners=["team:Information Governance"],
        kinds={"splink", "duckdb", "postgres"},
        automation_condition=FOLLOWS_LOADS,
        description="Crosswalk from each system's records of people to persons, by random ids.",
    )
    @plain_failures
    def person_records() -> dg.MaterializeResult[None]:
        with closing(psycopg2.connect(os.environ["VAULT_URL"])) as connection:
            result = match(connection, systems)
        return dg.MaterializeResult(
            metadata={name: value for name, value in result._asdict().items() if name != "changed_at"},
            data_version=dg.DataVersion(str(result.changed_at)),
        )

    return person_records
