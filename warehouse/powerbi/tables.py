"""The tables of a semantic model: columns with types and formats, measures, and the query in M that fills the table."""

import re
import uuid
from functools import partial
from typing import Any

from warehouse import as_at
from warehouse.errors import WarehouseError
from warehouse.powerbi.dax import Expressions, literal, parsed, quoted
from warehouse.powerbi.star import DATES, DAY, STATES, Star
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


def table_object(star: Star, table: str) -> Object:
    """A table of the star, with the measures that belong to it."""
    node = star.tables[table]
    measures = [_measure(star, metric) for metric, (home, _) in star.measures.items() if home == table]
    if table == as_at.NAME:
        measures = [_state(star, label, column) for label, column in STATES.items()]
    columns = [_column(star, table, column) for column in node["columns"].values()]
    columns += [_computed_date(star, *each) for each in star.computed_dates if each[0] == table]
    policy = refresh(star, table)
    source = _source(table, policy["date"]) if policy else _source(table)
    partition = Object(f"partition {name(table)} = m", properties={"mode": "import", "source": source})
    return Object(
        f"table {name(table)}",
        node["description"],
        properties={
            "lineageTag": identity(star.publish_set, table),
            "dataCategory": "Time" if table == DATES else "",
        },
        children=[*measures, *columns, *([_refresh_policy(table, policy)] if policy else []), partition],
    )


def refresh(star: Star, table: str) -> Node | None:
    """How a large fact is refreshed: `date` of its rows, `years` to keep, and `months`, a table of fingerprints.

    Raises WarehouseError if `meta.refresh` of the model names no table of the set.
    """
    if not (declared := star.tables[table].get("config", {}).get("meta", {}).get("refresh")):
        return None
    months = next((other for other, node in star.tables.items() if node.get("name") == declared["months"]), None)
    if not months:
        raise WarehouseError(f"{table}: `refresh` names {declared['months']}, no model of {star.publish_set}.")
    date = next(star.time_dimension(m) for m in star.semantic_models if m["node_relation"]["alias"] == table)
    return {"date": date, "months": months, "years": declared["years"]}


def _source(table: str, date: str = "", result: str = "") -> str:
    """The query in M for a table; for the period of a partition if the date of its rows is given."""
    steps = [
        "Source = PostgreSQL.Database(Server, Database)",
        f'Rows = Source{{[Schema = Schema, Item = "{table}"]}}[Data]',
    ]
    if date:  # conversions of parameters, not of the column, so that Postgres filters the rows
        condition = f"each [{date}] >= Date.From(RangeStart) and [{date}] < Date.From(RangeEnd)"
        steps.append(f"Period = Table.SelectRows(Rows, {condition})")
    result = result or steps[-1].partition(" ")[0]
    return "let\n" + ",\n".join(f"    {step}" for step in steps) + f"\nin\n    {result}"


def _refresh_policy(table: str, policy: Node) -> Object:
    """Incremental refresh by month: of all months, those are read again whose fingerprint has changed."""
    fingerprint = _source(policy["months"], "month_start_date", "Text.Combine(Period[fingerprint])")
    return Object(
        "refreshPolicy",
        properties={
            "policyType": "basic",
            "rollingWindowGranularity": "year",
            "rollingWindowPeriods": str(policy["years"]),
            "incrementalGranularity": "month",
            "incrementalPeriods": str(12 * policy["years"]),
            "pollingExpression": fingerprint,
            "sourceExpression": _source(table, policy["date"]),
        },
    )


def _state(star: Star, label: str, column: str) -> Object:
    """A measure with a value of the view `as_at` for all sources."""
    kind, description = as_at.COLUMNS[column]
    chosen = f"FILTER({quoted(as_at.NAME)}, {quoted(as_at.NAME, 'source_name')} = {literal(as_at.ALL_SOURCES)})"
    return Object(
        f"measure {name(label)}",
        description,
        f"MAXX({chosen}, {quoted(as_at.NAME, column)})",
        properties={
            "formatString": FORMATS.get(kind, ""),
            "lineageTag": identity(star.publish_set, "measure", label),
        },
    )


def _column(star: Star, table: str, column: Node) -> Object:
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
        f"column {name(star.column_name(table, own))}",
        column["description"],
        properties={
            "dataType": data_type,
            "isHidden": own.endswith("_key"),
            "isKey": (table, own) == (DATES, DAY),
            "formatString": shown,
            "lineageTag": identity(star.publish_set, table, own),
            "summarizeBy": "none",
            "sourceColumn": own,
            "sortByColumn": name(sorted_by) if sorted_by in star.tables[table]["columns"] else "",
        },
    )


def _computed_date(star: Star, table: str, dimension: str, expression: str) -> Object:
    translated = Expressions(partial(star.reference, table)).value(parsed(expression))
    return Object(
        f"column {name(dimension)}",
        "Date by which the measures count the row.",
        translated,
        properties={
            "dataType": "dateTime",
            "isHidden": True,
            "formatString": FORMATS["date"],
            "lineageTag": identity(star.publish_set, table, dimension),
            "summarizeBy": "none",
        },
    )


def _measure(star: Star, metric: str) -> Object:
    node, (_, calculation) = star.metrics[metric], star.measures[metric]
    definition = star.definitions.definition(metric)
    model, measure = star.definitions.measure(node)
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
            "lineageTag": identity(star.publish_set, "measure", metric),
        },
    )
