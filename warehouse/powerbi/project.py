"""Writes a Power BI project of a publish set (PBIP): a semantic model in TMDL and a report with the main measures.

Tables and descriptions come from the models of dbt, relationships from their `relationships` tests, measures from the
semantic models, and roles from the row scopes of access.yml.
"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from warehouse import as_at
from warehouse.access import Access, RowScope
from warehouse.powerbi.dax import literal, quoted
from warehouse.powerbi.excel import connection_file
from warehouse.powerbi.report import fabric, platform, report_files
from warehouse.powerbi.star import Star
from warehouse.powerbi.tables import identity, labelled, refresh, table_object
from warehouse.powerbi.tmdl import Object, name

Node = dict[str, Any]

PERIOD = (  # the parameters of incremental refresh: Power BI Desktop loads this period, and the service each month
    ("RangeStart", "First day of the period of a partition.", "2015, 1, 1"),
    ("RangeEnd", "Day after the period of a partition.", "2100, 1, 1"),
)


class Project:
    """The Power BI project of a publish set, from a manifest of dbt, for the warehouse at a URL."""

    def __init__(self, publish_set: str, manifest: Node, access: Access, url: str) -> None:
        address = urlsplit(url)
        self.publish_set, self.access = publish_set, access
        self.server, self.database = f"{address.hostname}:{address.port or 5432}", address.path.removeprefix("/")
        self.title = f"Worcestershire {labelled(publish_set)}"
        self.star = Star(publish_set, manifest)

    def write(self, folder: Path) -> None:
        """Write the project into a folder, for the folder's group to read.

        The semantic model and the connections are replaced, file by file; a file that is the same is left as it is. A
        report that exists is kept.
        """
        files = self.files()
        report = f"{self.title}.Report/"
        if (folder / report).exists():
            files = {place: text for place, text in files.items() if not place.startswith(report)}
        for place, text in files.items():
            file, new = folder / place, (folder / place).with_name(".new")
            if not file.exists() or file.read_text(encoding="utf-8") != text:
                file.parent.mkdir(parents=True, exist_ok=True)
                new.write_text(text, encoding="utf-8", newline="\n")
                new.chmod(0o640)
                new.replace(file)
        for kind in (f"{self.title}.SemanticModel/definition/**/*.tmdl", "Excel/*.odc"):
            for file in folder.glob(kind):
                if file.relative_to(folder).as_posix() not in files:
                    file.unlink()  # of a table that is not published any more
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o2750 if path.is_dir() else 0o640)

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
        place = self.server, self.database, self.publish_set
        for table, node in self.star.tables.items():
            found[f"{model}/definition/tables/{table}.tmdl"] = str(table_object(self.star, table))
            excel = connection_file(*place, table, node["description"], node["columns"])
            found[f"Excel/{self.publish_set}.{table}.odc"] = excel
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
        if any(refresh(self.star, table) for table in self.star.tables):
            for parameter, description, day in PERIOD:
                yield Object(
                    f"expression {parameter}",
                    description,
                    f"#datetime({day}, 0, 0, 0) {meta.replace('Text', 'DateTime')}",
                )

    def _role(self, scope: RowScope) -> Object:
        """A role that sees the rows of a row scope, and no row of a table that the row scope does not have."""
        permissions = []
        for table, node in self.star.tables.items():
            if scope.column in node["columns"]:
                listed = ", ".join(map(literal, scope.values))
                condition = f"{quoted(table, scope.column)} IN {{{listed}}}"
            elif table not in (*scope.whole_tables, as_at.NAME):
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


def _joined(objects: Iterable[Object]) -> str:
    return "\n".join(map(str, objects))
