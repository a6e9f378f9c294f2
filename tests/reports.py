"""Published reports and the metrics that their columns show, compared cell by cell."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from tests.support import Warehouse

if TYPE_CHECKING:  # MetricFlow takes seconds to import
    from warehouse.metrics import Metrics

Row = dict[str, Any]


def published(manifest: Row) -> Iterator[tuple[str, dict[str, Row]]]:
    """Yield each report (set.table) with the columns that have a metric or a dimension, and how they are rounded."""
    for node in manifest["nodes"].values():
        if node["name"].partition("__")[2].startswith("rpt_"):
            disclosure = node["config"]["meta"].get("disclosure") or {}
            figures = disclosure.get("figures", {}) if isinstance(disclosure, dict) else {}
            columns = {}
            for name, column in node["columns"].items():
                figure = figures.get(name, {})
                base = disclosure["rounding_base"] if "count" in figure else figure.get("round_to", 0)
                if column["config"]["meta"]:
                    columns[name] = column | {"base": base, "is_derived": "derived" in figure}
            if any("metric" in each["config"]["meta"] for each in columns.values()):
                yield node["name"].replace("__", ".", 1), columns


def cells(warehouse: Warehouse, metrics: Metrics, report: str, columns: dict[str, Row]) -> Iterator[tuple]:
    """Yield (place, column, published value, metric's value) of each group of rows with the same dimensions."""
    metas = {name: column["config"]["meta"] for name, column in columns.items()}
    headings = [name for name, meta in metas.items() if "dimension" in meta]
    # a figure that is computed from published figures is as exact as they are
    measures = [name for name, meta in metas.items() if "metric" in meta and not columns[name]["is_derived"]]
    selected = ", ".join(f'"{name}"' for name in (*headings, *measures))
    groups: dict[tuple, dict[tuple, Row]] = defaultdict(dict)
    for row in warehouse.sql(f"select {selected} from {report}"):
        values = dict(zip((*headings, *measures), row, strict=True))
        parts = tuple(name for name in headings if values[name] != metas[name].get("total", ...))
        key = tuple(plain(values[name], metas[name]) for name in parts)
        group = groups[parts].setdefault(key, dict.fromkeys(measures))
        for name in measures:
            if values[name] is not None:
                group[name] = (group[name] or 0) + values[name]
    for parts, rows in groups.items():
        is_total = len(parts) < len(headings)
        for by in {tuple(metas[name].get("over", parts)) for name in measures}:
            names = [name for name in measures if tuple(metas[name].get("over", parts)) == by]
            asked = {name: metas[name].get("total" if is_total else "metric", metas[name]["metric"]) for name in names}
            counted = answers(metrics, asked, [metas[name] for name in by])
            within = [tuple(key[parts.index(name)] for name in by) for key in rows]
            for full, key in zip(rows, within, strict=True):
                for name in names:
                    place = f"{report} {name} {dict(zip(parts, full, strict=True))}"
                    yield place, columns[name], rows[full][name], scaled(counted.get(key, {}).get(name), metas[name])
            for key in counted.keys() - set(within):
                if not is_outside(key, within):
                    for name in names:
                        yield f"{report} {name} {key}", columns[name], None, scaled(counted[key][name], metas[name])


def answers(metrics: Metrics, asked: dict[str, str], dimensions: list[Row]) -> dict[tuple, Row]:
    """Return {values of the dimensions: {report column: value of its metric}}."""
    by = [meta["dimension"] for meta in dimensions]
    table = metrics.query(sorted(set(asked.values())), by)
    found = {}
    for row in table.rows:
        values = dict(zip(table.column_names, row, strict=True))
        key = tuple(plain(values[name], meta) for name, meta in zip(by, dimensions, strict=True))
        found[key] = {column: values[metric] for column, metric in asked.items()}
    return found


def is_outside(key: tuple, published: list[tuple]) -> bool:
    """Return whether the key is of a date before or after those of the report: twelve months need a whole year."""
    dates = [part for each in published for part in each if isinstance(part, date)]
    return any(isinstance(part, date) and not min(dates) <= part <= max(dates) for part in key)


def scaled(value: Any, meta: Row) -> float | None:
    return None if value is None else float(value) * meta.get("factor", 1)


def plain(value: Any, meta: Row) -> Any:
    """Return a dimension's value as reports and MetricFlow share it: a month by its first day, no value by its name."""
    if isinstance(value, datetime):
        value = value.date()
    if isinstance(value, date) and meta["dimension"].endswith("__month"):
        value = value.replace(day=1)
    return meta.get("empty") if value is None else value


def difference(place: str, column: Row, shown: Any, counted: float | None) -> list[str]:
    """Return a line if the published value, rounded or suppressed as declared, is not the metric's value."""
    if shown is None:
        is_equal = not counted or "suppressed" in column["description"]
    else:
        digits = re.search(r"numeric\(\d+, ?(\d+)\)", column["data_type"])
        rounded = re.search(r"rounded to £?(\d+)", column["description"])
        steps = (column["base"], int(rounded[1]) if rounded else 0, 10 ** -int(digits[1]) if digits else 0)
        is_equal = abs(float(shown) - (counted or 0)) <= max(steps) / 2 + 1e-6
    return [] if is_equal else [f"{place}: published {shown}, metric {counted}"]
