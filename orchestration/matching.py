"""Who is who across systems, as an asset: made anew once a day, after the loads and before everything is built."""

import os
from contextlib import closing

import dagster as dg
import psycopg2

from ingestion.contracts import SourceError, System
from warehouse.matching import match


def build_matching(systems: list[System]) -> dg.AssetsDefinition:
    """The crosswalk from each system's records of people to persons."""
    people = [
        dg.AssetKey([system.name, table.name])
        for system in systems
        for table in system.tables
        if table.is_matching_source
    ]

    @dg.asset(
        key=["matching", "person_records"],
        deps=people,
        group_name="matching",
        owners=["team:Information Governance"],
        kinds={"splink", "duckdb", "postgres"},
        description="Whose each system's record of a person is, by a random id that no other person ever has.",
    )
    def person_records() -> dg.MaterializeResult[None]:
        try:
            with closing(psycopg2.connect(os.environ["VAULT_URL"])) as connection:
                found = match(connection, systems)
        except SourceError as error:
            raise dg.Failure(description=str(error)) from None
        return dg.MaterializeResult(
            metadata={name: value for name, value in found._asdict().items() if name != "changed_at"},
            data_version=dg.DataVersion(str(found.changed_at)),
        )

    return person_records
