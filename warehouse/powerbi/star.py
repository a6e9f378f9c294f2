"""The star of a publish set: its tables, the relationships between them, and its measures in DAX."""

from functools import cached_property, partial
from typing import Any

from warehouse import as_at
from warehouse.measures import Measures
from warehouse.powerbi.dax import Expressions, aggregate, measure, of_measures, on_last_day, quoted

Node = dict[str, Any]
Column = tuple[str, str]  # table, column

DATES, DAY = "dim_dates", "date_day"
STATES = {"Data up to": "data_up_to_date", "State of the data": "quality_state"}  # {measure: column of as_at}
AS_AT: Node = {
    "alias": as_at.NAME,
    "unique_id": as_at.NAME,
    "description": "State of the published tables: last load, data up to, publication, tests and known gaps. "
    "One row per source, and one row for all sources.",
    "constraints": [],
    "columns": {
        name: {"name": name, "data_type": kind, "description": description, "constraints": []}
        for name, (kind, description) in as_at.COLUMNS.items()
    },
}


class Star:
    """The models, relationships and metrics of a publish set, from a manifest of dbt."""

    def __init__(self, publish_set: str, manifest: Node) -> None:
        self.publish_set, self.manifest, self.definitions = publish_set, manifest, Measures(manifest)
        self.tables: dict[str, Node] = {
            str(node["alias"]): node
            for node in sorted(manifest["nodes"].values(), key=lambda node: str(node["alias"]))
            if node["resource_type"] == "model" and node["fqn"][1:3] == ["marts", publish_set]
        }
        self.tables[as_at.NAME] = AS_AT
        self.semantic_models: list[Node] = [
            model for model in manifest["semantic_models"].values() if model["fqn"][1:3] == ["marts", publish_set]
        ]

    def column_name(self, table: str, column: str) -> str:
        """The column's name in Power BI, where no measure of the table may have the same name."""
        return f"{column} of the row" if (table, column.lower()) in self.measure_names else column

    def reference(self, table: str, column: str) -> str:
        """The column as DAX names it."""
        return quoted(table, self.column_name(table, column))

    @cached_property
    def metrics(self) -> dict[str, Node]:
        """The metrics of the publish set, sorted by label."""
        found = (each for each in self.definitions.metrics.values() if each["fqn"][1:3] == ["marts", self.publish_set])
        return {each["name"]: each for each in sorted(found, key=lambda each: str(each["label"]))}

    @cached_property
    def measure_names(self) -> set[Column]:
        """(table, label in small letters) of the metrics."""
        return {
            (self.definitions.measure(metric)[0]["node_relation"]["alias"], metric["label"].lower())
            for metric in self.metrics.values()
        }

    @cached_property
    def computed_dates(self) -> list[tuple[str, str, str]]:
        """(table, time dimension, expression) of the time dimensions that are no column of their table."""
        found = []
        for model in self.semantic_models:
            table = model["node_relation"]["alias"]
            for dimension in model["dimensions"]:
                is_column = dimension["name"] in self.tables[table]["columns"]
                if dimension["type"] == "time" and not is_column and dimension["expr"] != "current_date":
                    found.append((table, dimension["name"], dimension["expr"]))
        return found

    @cached_property
    def relationships(self) -> dict[tuple[Column, Column], bool]:
        """{(column, key that it refers to): whether the relationship is active}, for keys of one column.

        Of the dates of a table, that of its measures is active. Where another path leads to the other table, it is
        inactive.
        """
        tests = (node for node in self.manifest["nodes"].values() if node["resource_type"] == "test")
        found: list[tuple[Column, Column]] = [
            ((table, dimension), (DATES, DAY)) for table, dimension, _ in self.computed_dates if DATES in self.tables
        ]
        aliases = {node["unique_id"]: table for table, node in self.tables.items()}
        for test in sorted(tests, key=lambda node: str(node["unique_id"])):
            kind = test.get("test_metadata") or {"name": ""}
            table = aliases.get(test.get("attached_node") or "")
            if kind["name"] != "relationships" or not table:
                continue
            others = [
                aliases[node] for node in test["depends_on"]["nodes"] if node in aliases and aliases[node] != table
            ]
            if others and self.key(others[0]) == [kind["kwargs"]["field"].strip('"')]:
                found.append(((table, test["column_name"].strip('"')), (others[0], self.key(others[0])[0])))
        chosen = {(model["node_relation"]["alias"], self.time_dimension(model)) for model in self.semantic_models}
        # the dates of the measures first, then what leads from facts to dimensions
        found.sort(key=lambda pair: (pair[0] not in chosen, pair[0][0] < "fct_", pair[1][0] > "dim_~"))
        below: dict[str, set[str]] = {table: {table} for table in self.tables}  # tables that a table filters
        active = {}
        for (table, column), (other, key) in found:
            above = [each for each, filtered in below.items() if other in filtered]
            active[(table, column), (other, key)] = not any(below[each] & below[table] for each in above)
            if active[(table, column), (other, key)]:
                for each in above:
                    below[each] |= below[table]
        return active

    def key(self, table: str) -> list[str]:
        constraints = self.tables[table]["constraints"]
        keys = [constraint["columns"] for constraint in constraints if constraint["type"] == "primary_key"]
        return [column.strip('"') for column in keys[0]] if keys else []

    @staticmethod
    def time_dimension(model: Node, measure: Node | None = None) -> str:
        own = (measure or {}).get("agg_time_dimension")
        return own or (model["defaults"] or {}).get("agg_time_dimension") or ""

    @cached_property
    def measures(self) -> dict[str, tuple[str, str]]:
        """{metric: (table of its measure, DAX)} of the publish set's metrics."""
        labels = {metric: each["label"] for metric, each in self.metrics.items()}
        found = {}
        for name, metric in self.metrics.items():
            parameters = metric["type_params"]
            model, source = self.definitions.measure(metric)
            table = model["node_relation"]["alias"]
            if metric["type"] == "ratio":
                parts = (measure(labels[parameters[part]["name"]]) for part in ("numerator", "denominator"))
                found[name] = table, f"DIVIDE({', '.join(parts)})"
            elif metric["type"] == "derived":
                found[name] = table, of_measures(parameters["expr"], labels)
            else:
                calculation = self._aggregate(model, source)
                if metric["type"] == "cumulative":
                    window = parameters["cumulative_type_params"]["window"]
                    period = f"-{window['count']}, {window['granularity'].upper()}"
                    last = f"MAX({quoted(DATES, DAY)})"
                    calculation = f"CALCULATE({calculation}, DATESINPERIOD({quoted(DATES, DAY)}, {last}, {period}))"
                found[name] = table, calculation
        return found

    def _aggregate(self, model: Node, source: Node) -> str:
        """The DAX of a measure of a semantic model, by its own date."""
        table = model["node_relation"]["alias"]
        columns = self.tables[table]["columns"].values()
        required = {c["name"] for c in columns if any(r["type"] == "not_null" for r in c["constraints"])}
        expression = source["expr"] or source["name"]
        sql = Expressions(partial(self.reference, table), frozenset({*required, *self.key(table)}))
        calculation = aggregate(source["agg"], expression, table, sql)
        dated = (table, self.time_dimension(model, source))
        is_active = self.relationships.get((dated, (DATES, DAY)))
        if is_active is False:
            return f"CALCULATE({calculation}, USERELATIONSHIP({quoted(*dated)}, {quoted(DATES, DAY)}))"
        if source["non_additive_dimension"]:
            dates = quoted(DATES, DAY) if is_active else quoted(*dated)
            return on_last_day(calculation, *dated, dates)
        return calculation

    def main_measures(self) -> list[Column]:
        """(table, label) of the measures on the first page of the report: the state of the data, then ratios."""
        order = sorted(self.metrics, key=lambda name: self.metrics[name]["type"] != "ratio")
        first = [(as_at.NAME, label) for label in STATES]
        return first + [(self.measures[name][0], self.metrics[name]["label"]) for name in order]
