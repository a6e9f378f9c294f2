"""Files that follow each publication of a set: a Power BI project, connections for Excel, and Parquet files."""

from collections.abc import Callable
from functools import partial
from typing import Any

import dagster as dg

from orchestration.automation import after_update
from orchestration.failures import plain_failures
from orchestration.models import PUBLICATION
from warehouse.access import Access, read_access
from warehouse.environment import dbt_url, publish_sets
from warehouse.outgoing import outbox_folder
from warehouse.parquet import copy_files, write_parquet
from warehouse.powerbi.project import Project

Metadata = dict[str, Any]
DESCRIPTIONS = {
    "powerbi": "Power BI project of the publish set, and connections of its tables for Excel.",
    "parquet": "Published tables of the set and of its row scopes as Parquet files, with a manifest.",
}


def build_exports(manifest: dict[str, Any]) -> list[dg.AssetsDefinition]:
    """Two assets per publish set, which are written after each of its publications."""
    assets = []
    for publish_set, access in read_access(publish_sets()).items():
        assets.append(_build("powerbi", publish_set, access, partial(_write_project, manifest, publish_set, access)))
        assets.append(_build("parquet", publish_set, access, partial(_write_parquet, publish_set, access)))
    return assets


def _build(kind: str, publish_set: str, access: Access, write: Callable[[], Metadata]) -> dg.AssetsDefinition:
    publication = dg.AssetKey([PUBLICATION, publish_set])

    @dg.asset(
        key=[kind, publish_set],
        deps=[publication],
        group_name=f"5_delivered/{publish_set}",
        owners=[access.email],
        description=DESCRIPTIONS[kind],
        kinds={kind},
        automation_condition=after_update(publication),
    )
    @plain_failures
    def export() -> dg.MaterializeResult[None]:
        return dg.MaterializeResult(metadata=write())

    return export


def _write_project(manifest: dict[str, Any], publish_set: str, access: Access) -> Metadata:
    folder = outbox_folder(publish_set) / "powerbi"
    Project(publish_set, manifest, access, dbt_url()).write(folder)
    return {"folder": dg.MetadataValue.path(folder)}


def _write_parquet(publish_set: str, access: Access) -> Metadata:
    schemas = [publish_set, *(f"{publish_set}_{scope.name}" for scope in access.row_scopes)]
    folders = {schema: outbox_folder(schema) / "parquet" for schema in schemas}
    manifests = [write_parquet(schema, folder) for schema, folder in folders.items()]
    for folder in folders.values():
        copy_files(folder)
    rows = sum(table["rows"] for manifest in manifests for table in manifest["tables"])
    return {"folders": [str(folder) for folder in folders.values()], "rows_of_tables": rows}
