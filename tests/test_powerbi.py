"""Power BI projects: whole, valid, and measures whose DAX gives the metric's figure."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests import dax
from tests.support import Warehouse, manifest, text_of
from tests.tmdl import TmdlError, read_model
from warehouse import as_at
from warehouse.access import read_access
from warehouse.environment import publish_sets
from warehouse.powerbi.project import Project

DAYS = ("dim_dates", "date_day")
PAGE = text_of("docs/how-to/connect-a-report.md")


@pytest.fixture(scope="module")
def projects(parsed: Any) -> dict[str, Project]:
    access, nodes = read_access(publish_sets()), parsed.to_dict(omit_none=False)
    return {name: Project(name, nodes, access[name], "postgresql://db.example:5432/warehouse") for name in access}


@pytest.fixture(scope="module")
def written(projects: dict[str, Project], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the project of each publish set."""
    folder = tmp_path_factory.mktemp("powerbi")
    for name, project in projects.items():
        project.write(folder / name)
    return folder


def model_folder(folder: Path, publish_set: str) -> Path:
    (found,) = (folder / publish_set).glob("*.SemanticModel/definition")
    return found


def test_every_published_column_relationship_and_metric_is_in_a_valid_model(
    projects: dict[str, Project], written: Path
) -> None:
    marts = [node for node in manifest().nodes.values() if node.resource_type == "model" and node.fqn[1] == "marts"]
    metrics = {metric.label: metric.fqn[2] for metric in manifest().metrics.values()}
    for name in projects:
        model = read_model(model_folder(written, name))
        columns = {
            (table.name, column.properties["sourceColumn"]): column
            for table in model["table"]
            for column in table.of("column").values()
            if not column.expression
        }
        declared = {(node.alias, c) for node in marts if node.fqn[2] == name for c in node.columns}
        assert columns.keys() == declared | {("as_at", column) for column in as_at.COLUMNS}
        found = {label for table in model["table"] for label in table.of("measure")}
        assert found - {"Data up to", "State of the data"} == {
            label for label, publish_set in metrics.items() if publish_set == name
        }
        assert all(columns[key].properties.get("isHidden") for key in columns if key[1].endswith("_key"))
    tests = [node for node in manifest().nodes.values() if node.resource_type == "test"]
    keys = {
        (node.attached_node, node.column_name)
        for node in tests
        if getattr(node, "test_metadata", None) and node.test_metadata.name == "relationships"
        if node.attached_node.split(".")[-1].split("__")[0] in projects
    }
    assert sum(len(project.star.relationships) for project in projects.values()) > len(keys) * 0.9


def test_roles_have_the_row_scopes_of_access_yml(projects: dict[str, Project], written: Path) -> None:
    for name, declared in read_access(publish_sets()).items():
        model = read_model(model_folder(written, name))
        assert {role.name for role in model["role"]} == {scope.name for scope in declared.row_scopes}
        for role, scope in zip(model["role"], sorted(declared.row_scopes, key=lambda each: each.name), strict=True):
            permissions = role.of("tablePermission")
            for table in model["table"]:
                condition = permissions[table.name].expression if table.name in permissions else "none"
                if scope.column in table.of("column"):
                    listed = ", ".join(f'"{value}"' for value in scope.values)
                    assert condition == f"'{table.name}'[{scope.column}] IN {{{listed}}}"
                else:
                    whole = (*scope.whole_tables, "as_at")
                    assert condition == ("none" if table.name in whole else "FALSE()")


FAULTS: dict[str, Callable[[str], str]] = {
    "unknown type": lambda text: text.replace("dataType: string", "dataType: text", 1),
    "unknown property": lambda text: text.replace("isHidden", "isSecret", 1),
    "property twice": lambda text: text.replace("\t\tsummarizeBy: none\n", "\t\tsummarizeBy: none\n" * 2, 1),
    "indentation": lambda text: text.replace("\t\tdataType", "\t\t\t\tdataType", 1),
    "spaces": lambda text: text.replace("\tcolumn ", "    column ", 1),
    "column twice": lambda text: text + "\n\tcolumn child_key\n\t\tdataType: int64\n\t\tsourceColumn: child_key\n",
    "no data type": lambda text: text.replace("\t\tdataType: int64\n", "", 1),
    "no partition": lambda text: text[: text.index("\tpartition ")],
    "name without quotation marks": lambda text: text.replace(
        "measure 'Children looked after'", "measure Children x", 1
    ),
    "unknown column in a measure": lambda text: text.replace("[days_looked_after]", "[days]", 1),
    "unknown table in a measure": lambda text: text.replace("ISEMPTY('fct_looked_after_months')", "ISEMPTY('fct')", 1),
    "bracket": lambda text: text.replace("VALUES('dim_dates'[date_day]))", "VALUES('dim_dates'[date_day])", 1),
    "measure without an expression": lambda text: text.replace(" =\n\t\t\tVAR", "\n\t\t\tVAR", 1),
    "description without an object": lambda text: text + "\n\t/// Nothing follows.\n\n",
    "no end of the last line": lambda text: text.rstrip("\n"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_table_is_rejected_with_file_and_line(written: Path, tmp_path: Path, fault: str) -> None:
    shutil.copytree(model_folder(written, "children"), tmp_path, dirs_exist_ok=True)
    broken = tmp_path / "tables/fct_looked_after_months.tmdl"
    text = broken.read_text(encoding="utf-8")
    assert FAULTS[fault](text) != text
    broken.write_text(FAULTS[fault](text), encoding="utf-8")
    with pytest.raises(TmdlError, match=r"^fct_looked_after_months\.tmdl:\d+: "):
        read_model(tmp_path)


@pytest.mark.parametrize(
    ("file", "whole", "broken"),
    [
        ("relationships.tmdl", "dim_suppliers.supplier_key", "dim_suppliers.key"),
        ("relationships.tmdl", "\tisActive: false\n", ""),
        ("model.tmdl", "ref table dim_dates\n", ""),
        ("model.tmdl", "ref table dim_dates", "ref table dim_days"),
        ("database.tmdl", "compatibilityLevel: 1567", "compatibilityLevel: new"),
        ("expressions.tmdl", "expression RangeEnd", "expression RangeStop"),
        ("tables/fct_supplier_payments.tmdl", 'Item = "fct_payment_months"', 'Item = "fct_months"'),
        ("tables/fct_supplier_payments.tmdl", "incrementalGranularity: month", "incrementalGranularity: moon"),
    ],
)
def test_a_broken_model_is_rejected_with_file_and_line(
    written: Path, tmp_path: Path, file: str, whole: str, broken: str
) -> None:
    shutil.copytree(model_folder(written, "finance"), tmp_path, dirs_exist_ok=True)
    text = (tmp_path / file).read_text(encoding="utf-8")
    assert whole in text
    (tmp_path / file).write_text(text.replace(whole, broken, 1), encoding="utf-8")
    with pytest.raises(TmdlError, match=r"^\w+\.tmdl:\d+: "):
        read_model(tmp_path)


def test_the_ledger_is_refreshed_by_the_months_whose_fingerprint_has_changed(written: Path) -> None:
    model = read_model(model_folder(written, "finance"))
    policies = {table.name: table.of("refreshPolicy") for table in model["table"] if table.of("refreshPolicy")}
    ((table, policy),) = ((name, policy) for name, found in policies.items() for policy in found.values())
    assert table == "fct_supplier_payments"
    months = int(policy.properties["incrementalPeriods"])
    assert months == 12 * int(policy.properties["rollingWindowPeriods"]), "a correction of any month is read"
    assert "each [month_start_date] >= Date.From(RangeStart)" in policy.properties["pollingExpression"]
    (partition,) = (t.of("partition")[table] for t in model["table"] if t.name == table)
    assert partition.properties["source"] == policy.properties["sourceExpression"]
    assert "[payment_date] < Date.From(RangeEnd)" in partition.properties["source"]


def test_the_report_shows_measures_of_the_model_and_refers_to_it(projects: dict[str, Project], written: Path) -> None:
    for name in projects:
        (project,) = (written / name).glob("*.pbip")
        report = written / name / json.loads(project.read_text())["artifacts"][0]["report"]["path"]
        reference = json.loads((report / "definition.pbir").read_text())["datasetReference"]["byPath"]["path"]
        model = read_model((report / reference / "definition").resolve())
        measures = {(table.name, label) for table in model["table"] for label in table.of("measure")}
        for file in report.rglob("visual.json"):
            (projection,) = json.loads(file.read_text())["visual"]["query"]["queryState"]["Values"]["projections"]
            shown = projection["field"]["Measure"]
            assert (shown["Expression"]["SourceRef"]["Entity"], shown["Property"]) in measures
        assert len(list(report.rglob("visual.json"))) == min(len(measures), 16)


def test_a_new_project_replaces_the_model_and_keeps_the_report(projects: dict[str, Project], tmp_path: Path) -> None:
    project = projects["citizen"]
    project.write(tmp_path)
    (page,) = tmp_path.rglob("page.json")
    page.write_text("changed by its author")
    leftover = model_folder(tmp_path.parent, tmp_path.name) / "tables" / "dim_removed.tmdl"
    leftover.write_text("table dim_removed\n")
    project.write(tmp_path)
    assert page.read_text() == "changed by its author"
    assert not leftover.exists()


def context_of(warehouse: Warehouse, project: Project, model: dict) -> dax.Context:
    """The published rows of the model's tables, and its measures and active relationships to the calendar."""
    rows: dict[str, list[dict[str, Any]]] = {}
    for table in model["table"]:
        columns = [column for column in table.of("column").values() if not column.expression]
        listed = ", ".join(f'"{column.properties["sourceColumn"]}"' for column in columns)
        names = [column.name for column in columns]
        found = warehouse.sql(f"select {listed} from {project.publish_set}.{table.name}")
        rows[table.name] = [dict(zip(names, row, strict=True)) for row in found]
    measures = {label: m.expression for table in model["table"] for label, m in table.of("measure").items()}
    dated = {}
    for each in model["relationship"]:
        (table, column), to = each.properties["fromColumn"].split("."), each.properties["toColumn"]
        if to == "dim_dates.date_day" and "isActive" not in each.properties:
            dated[table] = column
    context = dax.Context(rows, measures, dated)
    for table in model["table"]:
        for column in table.of("column").values():
            if column.expression:
                for row in rows[table.name]:
                    row[column.name] = dax.Parser(column.expression).whole()(context, {table.name: row})
    return context


def near(left: Any, right: Any) -> bool:
    if isinstance(left, date) or isinstance(right, date) or left is None or right is None:
        return left == right
    return abs(Decimal(left) - Decimal(right)) <= Decimal("0.000001") * max(1, abs(Decimal(right)))


def answers(metrics: Any, names: list[str], by: list[str]) -> list[dict[str, Any]]:
    found = metrics.query(names, by=by)
    return [dict(zip(found.column_names, row, strict=True)) for row in found.rows]


def is_of_a_period(project: Project, metric: str) -> bool:
    """Return whether the metric adds up a number of months, so that only a month has a value."""
    node = project.star.definitions.metrics[metric]
    parameters = node["type_params"]
    parts = [parameters["numerator"], parameters["denominator"], *parameters["metrics"]]
    return node["type"] == "cumulative" or any(is_of_a_period(project, part["name"]) for part in parts if part)


def test_each_measure_has_the_metrics_figure_in_all_and_by_month(
    warehouse: Warehouse, projects: dict[str, Project], written: Path, metrics: Any
) -> None:
    compared, differences = 0, []
    for name, project in projects.items():
        star, context = project.star, context_of(warehouse, project, read_model(model_folder(written, name)))
        labels = {metric: node["label"] for metric, node in star.metrics.items()}
        total = [metric for metric in labels if not is_of_a_period(project, metric)]
        dated = [
            metric
            for metric in labels
            for model, measure in [star.definitions.measure(star.metrics[metric])]
            if ((model["node_relation"]["alias"], star.time_dimension(model, measure)), DAYS) in star.relationships
        ]
        cells = [
            (None, metric, row[metric]) for row in (answers(metrics, total, []) if total else []) for metric in total
        ]
        months = answers(metrics, dated, ["metric_time__month"]) if dated else []
        for row in [row for row in months if row["metric_time__month"]][-14::4]:
            first = row["metric_time__month"].date()
            days = {first + timedelta(days=n) for n in range((dax.shifted(first, 1) - first).days)}
            cells += [(days, metric, row[metric]) for metric in dated]
        for days, metric, expected in cells:
            found = replace(context, dates=days).measure(labels[metric])
            is_empty = not context.rows[star.measures[metric][0]]  # SQL counts nothing as 0, and DAX has a blank
            if not near(found, expected) and not (is_empty and found is None and not expected):
                differences.append((metric, days and min(days), found, expected))
        compared += len(cells)
        dates = [
            max(row["as_at_date"] for row in rows) for rows in context.rows.values() if rows and "as_at_date" in rows[0]
        ]
        assert context.measure("Data up to") == min(dates, default=context.measure("Data up to"))
        assert context.measure("State of the data") in ("Up to date", "Incomplete", "Out of date")
    assert differences == []
    assert compared > 150


def test_a_new_project_leaves_files_that_are_the_same(projects: dict[str, Project], tmp_path: Path) -> None:
    projects["citizen"].write(tmp_path)
    before = {path: path.stat().st_ino for path in tmp_path.rglob("*") if path.is_file()}
    (leftover := tmp_path / "Excel/citizen.dim_removed.odc").touch()
    changed = next(path for path in before if path.name == "dim_persons.tmdl")
    changed.write_text("changed")
    projects["citizen"].write(tmp_path)
    after = {path: path.stat().st_ino for path in tmp_path.rglob("*") if path.is_file()}
    assert [path for path in before if after[path] != before[path]] == [changed]
    assert not leftover.exists()


def test_each_table_has_a_connection_for_excel(projects: dict[str, Project], written: Path) -> None:
    for name, project in projects.items():
        folder = written / name / "Excel"
        files = {file.name: ElementTree.fromstring(file.read_text()) for file in folder.iterdir()}  # noqa: S314  ours
        assert files.keys() == {f"{name}.{table}.odc" for table in project.star.tables}
        for file, content in files.items():
            text = {each.tag.rpartition("}")[2]: each.text for each in content.iter()}
            assert text["ConnectionString"].startswith("Driver={PostgreSQL Unicode};Server=db.example;Port=5432;")
            assert text["ConnectionString"].partition("Database=warehouse;")[2] in PAGE
            assert text["CommandText"].endswith(f'from "{name}"."{file.split(".")[1]}"')
            assert "_key" not in text["CommandText"]


def test_the_command_writes_a_project_with_the_warehouses_address(warehouse: Warehouse, tmp_path: Path) -> None:
    printed = warehouse("powerbi", "citizen", "--output", str(tmp_path))
    assert printed == f"{tmp_path}/citizen/Worcestershire Citizen.pbip: 5 tables, 2 relationships, 4 measures\n"
    (source,) = tmp_path.rglob("*.pbids")
    address = json.loads(source.read_text())["connections"][0]["details"]["address"]
    assert f"@{address['server']}/{address['database']}" in warehouse.url
    parameters = {each.name: each.expression for each in read_model(model_folder(tmp_path, "citizen"))["expression"]}
    assert parameters["Server"].startswith(f'"{address["server"]}" meta')
    assert {oct(path.stat().st_mode)[-4:] for path in (tmp_path / "citizen").rglob("*")} == {"2750", "0640"}
    said = warehouse("powerbi", "citizens", expect=1)
    assert said.startswith("Error: There is no publish set citizens. Publish sets: adult_care, children, ")
