"""Answers questions about the metrics of dbt's semantic models by MetricFlow."""

import logging
import tempfile
from collections.abc import Sequence
from pathlib import Path

from dbt.contracts.graph.manifest import Manifest
from dbt.contracts.graph.semantic_manifest import SemanticManifest
from metricflow.data_table.mf_table import MetricFlowDataTable
from metricflow.engine.metricflow_engine import MetricFlowEngine, MetricFlowQueryRequest
from metricflow.protocols.sql_client import SqlEngine
from metricflow.sql.render.postgres import PostgresSQLSqlPlanRenderer
from metricflow_semantics.errors.error_classes import InformativeUserError
from metricflow_semantics.model.dbt_manifest_parser import parse_manifest_from_dbt_generated_manifest
from metricflow_semantics.model.semantic_manifest_lookup import SemanticManifestLookup
from metricflow_semantics.sql.sql_bind_parameters import SqlBindParameterSet
from psycopg2 import extensions as pg

from ingestion.postgres import names_in
from warehouse.dbt_compiler import Compiler
from warehouse.errors import WarehouseError

NO_VALUES = SqlBindParameterSet()
# MetricFlow warns of each metric that dbt made from a measure
logging.getLogger("metricflow_semantic_interfaces").setLevel(logging.ERROR)


def published_metrics(connection: pg.connection) -> "Metrics":
    """The metrics of the working tree over the published tables. Raises WarehouseError."""
    compiler = Compiler()
    compiler.parse()
    return Metrics(semantic_manifest(compiler.manifest), connection)


def semantic_manifest(manifest: Manifest) -> str:
    """The semantic models and metrics of a manifest, in JSON."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "semantic_manifest.json"
        SemanticManifest(manifest).write_json_to_file(str(file))
        return file.read_text(encoding="utf-8")


class _Client:
    """Runs MetricFlow's queries on a connection to the warehouse, which only reads."""

    sql_engine_type = SqlEngine.POSTGRES
    sql_plan_renderer = PostgresSQLSqlPlanRenderer()

    def __init__(self, connection: pg.connection) -> None:
        self.connection = connection
        connection.set_session(readonly=True)

    def query(self, stmt: str, sql_bind_parameter_set: SqlBindParameterSet = NO_VALUES) -> MetricFlowDataTable:
        with self.connection, self.connection.cursor() as cursor:
            cursor.execute(stmt, sql_bind_parameter_set.param_dict or None)
            return MetricFlowDataTable.create_from_rows(names_in(cursor), cursor.fetchall())

    def execute(self, stmt: str, sql_bind_parameter_set: SqlBindParameterSet = NO_VALUES) -> None:
        with self.connection, self.connection.cursor() as cursor:
            cursor.execute(stmt, sql_bind_parameter_set.param_dict or None)

    def dry_run(self, stmt: str, sql_bind_parameter_set: SqlBindParameterSet = NO_VALUES) -> None:
        self.execute(f"explain {stmt}", sql_bind_parameter_set)

    def close(self) -> None:
        self.connection.close()

    def render_bind_parameter_key(self, bind_parameter_key: str) -> str:
        return f"%({bind_parameter_key})s"


class Metrics:
    """The metrics of a semantic manifest of dbt, in JSON, over the tables of a connection."""

    def __init__(self, semantic_manifest: str, connection: pg.connection) -> None:
        parsed = parse_manifest_from_dbt_generated_manifest(semantic_manifest)
        self.engine = MetricFlowEngine(SemanticManifestLookup(parsed), _Client(connection))

    def query(self, names: Sequence[str], by: Sequence[str] = (), where: Sequence[str] = ()) -> MetricFlowDataTable:
        """The values of metrics by dimensions, such as `metric_time__month`. Raises WarehouseError.

        `where` are conditions in SQL with MetricFlow's names: `{{ Dimension('branch__branch_name') }} = 'Wren'`.
        """
        request = MetricFlowQueryRequest.create(
            metric_names=names, group_by_names=by, where_constraints=where, order_by_names=by
        )
        try:
            table = self.engine.query(request).result_df
        except InformativeUserError as error:
            raise WarehouseError(str(error)) from None
        if table is None:
            raise WarehouseError("MetricFlow returned no table.")
        return table
