"""Person matching as an asset, which runs daily after the loads and before the build."""

import os
from contextlib import closing

import dagster as dg
import psycopg2

from ingestion.contracts import System
from orchestration.failures import plain_failures
from warehouse.matching import match


def build_matching(systems: list[System]) -> dg.AssetsDefinition:
    """The asset of the crosswalk from each system's records of people to persons."""
    sources = [
        dg.AssetKey([system.name, table.name])
        for system in systems
        for table in system.tables
        if table.is_matching_source
    ]

    @dg.asset(
        key=["matching", "person_records"],
        deps=sources,
        group_name="matching",
        owners=["team:Information Governance"],
        kinds={"splink", "duckdb", "postgres"},
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
