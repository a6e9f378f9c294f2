"""Writes a Power BI project of a publish set (PBIP): a semantic model in TMDL and a report with the main measures.

Tables and descriptions come from the models of dbt, relationships from their `relationships` tests, measures from the
semantic models, and roles from the row scopes of access.yml.
"""

import json
import re
import shutil
import uuid
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from warehouse.access import Access, RowScope
from warehouse.powerbi.dax import Expressions, parsed, quoted
from warehouse.powerbi.report import fabric, platform, report_files
from warehouse.powerbi.star import DATA_UP_TO, DATES, DAY, Star
from warehouse.powerbi.tmdl import Object, name

Node = dict[str, Any]

NAMESPACE = uuid.UUID("0a2f4bb8-6d1c-5b1e-9a55-0c7f3f1d6b7e")
NUMERIC = re.compile(r"numeric\((\d+), ?(\d+)\)")
TYPES = {
    "bigint": "int64", "integer": "int64", "smallint": "int64", "numeric": "double", "double precision": "double",
    "text": "string", "boolean": "boolean", "date": "dateTime", "timestamptz": "dateTime", "timestamp": "dateTime",
    "time": "dateTime", "jsonb": "string",
}  # fmt: skip
SORTED_BY = {"month_name": "calendar_month", "day_name": "day_of_week"}
MONEY, PERCENT, WHOLE, DECIMAL = r"\£#,0.00", "0.0%", "#,0", "#,0.00"
FORMATS = {"date": "dd/mm/yyyy", "timestamptz": "dd/mm/yyyy hh:nn", "timestamp": "dd/mm/yyyy hh:nn"}


def identity(*parts: str) -> str:
    """A name's identity, the same in every version of a project: reports keep what they refer to."""
    return str(uuid.uuid5(NAMESPACE, "\0".join(parts)))


def labelled(text: str) -> str:
    return text.replace("_", " ").capitalize()


class Project:
    """The Power BI project of a publish set, from a manifest of dbt with the published schemas."""

    def __init__(self, publish_set: str, manifest: Node, access: Access, server: str, database: str) -> None:
        self.publish_set, self.manifest, self.access = publish_set, manifest, access
        self.server, self.database = server, database
        self.title = f"Worcestershire {labelled(publish_set)}"
        self.star = Star(publish_set, manifest)

    def write(self, folder: Path) -> None:
        """Write the project into a folder. An earlier semantic model is replaced; a report that exists is kept."""
        files = self.files()
        report = f"{self.title}.Report/"
        if (folder / report).exists():
            files = {place: text for place, text in files.items() if not place.startswith(report)}
        shutil.rmtree(folder / f"{self.title}.SemanticModel/definition", ignore_errors=True)
        for place, text in files.items():
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            (folder / place).write_text(text, encoding="utf-8", newline="\n")

    def files(self) -> dict[str, str]:
        """{path: text} of the project."""
        title = self.title
        model, report = f"{title}.SemanticModel", f"{title}.Report"
        address = {"server": self.server, "database": self.database}
        connection = {"details": {"protocol": "postgresql", "address": address}, "mode": "Import"}
        found = {
            f"{title}.pbip": fabric(
                "pbip/pbipProperties/1.0.0",
                version="1.0",
                artifacts=[{"report": {"path": report}}],
                settings={"enableAutoRecovery": True},
            ),
            f"{title}.pbids": json.dumps({"version": "0.1", "connections": [connection]}, indent=2) + "\n",
            f"{model}/.platform": platform("SemanticModel", title, identity(self.publish_set, "model")),
            f"{model}/definition.pbism": fabric("item/semanticModel/definitionProperties/1.0.0", version="4.0"),
            f"{model}/definition/database.tmdl": str(Object("database", properties={"compatibilityLevel": "1567"})),
            f"{model}/definition/model.tmdl": self._model(),
            f"{model}/definition/expressions.tmdl": _joined(self._parameters()),
            f"{model}/definition/relationships.tmdl": _joined(self._relationship_objects()),
            f"{report}/.platform": platform("Report", title, identity(self.publish_set, "report")),
        }
        for table in self.star.tables:
            found[f"{model}/definition/tables/{table}.tmdl"] = str(self._table(table))
        for scope in self.access.row_scopes:
            found[f"{model}/definition/roles/{scope.name}.tmdl"] = str(self._role(scope))
        pages = report_files(model, self.star.main_measures())
        return found | {f"{report}/{place}": text for place, text in pages.items()}

    def _model(self) -> str:
        properties: dict[str, str | bool] = {
            "culture": "en-GB",
            "defaultPowerBIDataSourceVersion": "powerBI_V3",
            "discourageImplicitMeasures": True,
            "sourceQueryCulture": "en-GB",
        }
        tables = [f"ref table {name(table)}" for table in self.star.tables]
        roles = [f"ref role {name(scope.name)}" for scope in self.access.row_scopes]
        model = Object("model Model", self.access.purpose, properties=properties)
        return f"{model}\n" + "\n".join([*tables, *roles]) + "\n"

    def _parameters(self) -> Iterator[Object]:
        meta = 'meta [IsParameterQuery=true, Type="Text", IsParameterQueryRequired=true]'
        described = {
            "Server": ("Host and port of the warehouse.", self.server),
            "Database": ("Name of the warehouse's database.", self.database),
            "Schema": ("Schema of the publish set, or of one of its row scopes.", self.publish_set),
        }
        for parameter, (description, value) in described.items():
            yield Object(f"expression {parameter}", description, f'"{value}" {meta}')

    def _table(self, table: str) -> Object:
        node = self.star.tables[table]
        measures = [self._measure_object(metric) for metric, (home, _) in self.star.measures.items() if home == table]
        if self.star.data_up_to and self.star.data_up_to[0] == table:
            measures.insert(0, self._data_up_to(self.star.data_up_to[1]))
        columns = [self._column(table, column) for column in node["columns"].values()]
        columns += [self._computed_date(*each) for each in self.star.computed_dates if each[0] == table]
        rows = (
            "let\n"
            "    Source = PostgreSQL.Database(Server, Database),\n"
            f'    Rows = Source{{[Schema = Schema, Item = "{table}"]}}[Data]\n'
            "in\n"
            "    Rows"
        )
        partition = Object(f"partition {name(table)} = m", properties={"mode": "import", "source": rows})
        return Object(
            f"table {name(table)}",
            node["description"],
            properties={
                "lineageTag": identity(self.publish_set, table),
                "dataCategory": "Time" if table == DATES else "",
            },
            children=[*measures, *columns, partition],
        )

    def _data_up_to(self, calculation: str) -> Object:
        return Object(
            f"measure {name(DATA_UP_TO)}",
            "Date up to which every table of the set with such a date has data.",
            calculation,
            properties={
                "formatString": FORMATS["date"],
                "lineageTag": identity(self.publish_set, "measure", DATA_UP_TO),
            },
        )

    def _column(self, table: str, column: Node) -> Object:
        own, kind = column["name"], column["data_type"]
        precise = NUMERIC.fullmatch(kind)
        data_type = TYPES[kind.partition("(")[0]]
        if precise and int(precise[2]) <= 4:  # Power BI's decimal has four places
            data_type = "decimal"
        shown = FORMATS.get(kind, "")
        if data_type in ("decimal", "double", "int64"):
            shown = MONEY if own.lower().endswith("gbp") else DECIMAL if data_type != "int64" else "0"
        sorted_by = SORTED_BY.get(own, "")
        return Object(
            f"column {name(self.star.column_name(table, own))}",
            column["description"],
            properties={
                "dataType": data_type,
                "isHidden": own.endswith("_key"),
                "isKey": (table, own) == (DATES, DAY),
                "formatString": shown,
                "lineageTag": identity(self.publish_set, table, own),
                "summarizeBy": "none",
                "sourceColumn": own,
                "sortByColumn": name(sorted_by) if sorted_by in self.star.tables[table]["columns"] else "",
            },
        )

    def _computed_date(self, table: str, dimension: str, expression: str) -> Object:
        translated = Expressions(partial(self.star.reference, table)).value(parsed(expression))
        return Object(
            f"column {name(dimension)}",
            "Date by which the measures count the row.",
            translated,
            properties={
                "dataType": "dateTime",
                "isHidden": True,
                "formatString": FORMATS["date"],
                "lineageTag": identity(self.publish_set, table, dimension),
                "summarizeBy": "none",
            },
        )

    def _role(self, scope: RowScope) -> Object:
        """A role that sees the rows of a row scope, and no row of a table that the row scope does not have."""
        permissions = []
        for table, node in self.star.tables.items():
            if scope.column in node["columns"]:
                listed = ", ".join('"' + value.replace('"', '""') + '"' for value in scope.values)
                condition = f"{quoted(table, scope.column)} IN {{{listed}}}"
            elif table not in scope.whole_tables:
                condition = "FALSE()"
            else:
                continue
            permissions.append(Object(f"tablePermission {name(table)}", expression=condition))
        return Object(f"role {name(scope.name)}", properties={"modelPermission": "read"}, children=permissions)

    def _relationship_objects(self) -> Iterator[Object]:
        for ((table, column), (other, key)), is_active in self.star.relationships.items():
            yield Object(
                f"relationship {identity(self.publish_set, table, column, other, key)}",
                properties={
                    "isActive": "" if is_active else "false",
                    "fromColumn": f"{name(table)}.{name(column)}",
                    "toColumn": f"{name(other)}.{name(key)}",
                },
            )

    def _measure_object(self, metric: str) -> Object:
        node, (_, calculation) = self.star.definitions.metrics[metric], self.star.measures[metric]
        definition = self.star.definitions.definition(metric)
        model, measure = self.star.definitions.measure(node)
        shown = DECIMAL
        if metric.endswith("_gbp"):
            shown = MONEY
        elif metric.endswith("_rate") or metric == "turnover_in_12_months":
            shown = PERCENT
        elif node["type"] == "simple" and measure["agg"].startswith(("count", "sum_boolean")):
            shown = WHOLE
        return Object(
            f"measure {name(node['label'])}",
            f"{definition['Formula']} Exclusions: {definition['Exclusions']} Source: {definition['Source']}",
            calculation,
            properties={
                "formatString": shown,
                "displayFolder": labelled(model["name"]),
                "lineageTag": identity(self.publish_set, "measure", metric),
            },
        )


def _joined(objects: Iterable[Object]) -> str:
    return "\n".join(map(str, objects))
