"""Column lineage and privacy: the source columns of each column, from the SQL that dbt compiled, and its privacy class.

A value depends on every column of its expression: arguments of functions, casts and aggregates, conditions of `case`
and `filter`, partitions and orders of windows, and every column of a subquery or table function. Columns that only
select rows (joins, `where`, `group by`, `having`, `distinct on`, `order by`) are not part of the value.
"""

import json
import re
import sys
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from sqlglot import exp, parse_one
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, build_scope
from sqlglot.schema import MappingSchema

from ingestion.contracts import ORIGIN_COLUMNS, ROOT, VALIDITY_COLUMNS, companion_columns, token_columns

DATED = ("dbt_valid_from", "dbt_valid_to")  # columns that a snapshot adds
CLASSES = ("none", "personal", "special_category", "identifier")  # the strongest last
REMEDY = """\
No identifier may reach a mart. Remove the column. If its values no longer identify anyone, propose to declassify it in
the YAML of a model on the way: config: {meta: {declassified_by: "proposed: <why>"}}. The reviewer replaces the proposal
by "approved: <name>, <date>: <why>", with a date such as 1 July 2026."""
REVIEW = re.compile(r"(proposed|approved: [^:,]+, \d{1,2} [A-Z][a-z]+ \d{4}): \S")

Column = tuple[str, str]  # dbt's unique id of a source, seed or model, and the column's name
Paths = dict[Column, tuple[Column, ...]]  # {source column: the columns on the path to it, both ends included}


class LineageError(Exception):
    """The lineage of a model cannot be determined; the message names file and model."""


@dataclass(frozen=True)
class Reach:
    """The source and seed columns that a column depends on, and the strictest of their privacy classes.

    Identifiers that the column's `declassified_by` declassifies are in `declassified`, not in `paths`.
    """

    privacy: str
    paths: Paths
    declassified: Paths


def reached(manifest: dict[str, Any]) -> dict[Column, Reach]:
    """{column: reach} of each source, seed, model and snapshot in a manifest of `dbt compile`. Raises LineageError."""
    kinds = ("source", "seed", "model", "snapshot")
    nodes = {k: n for k, n in _nodes(manifest).items() if n["resource_type"] in kinds}
    upstream = {key: node.get("depends_on", {}).get("nodes", []) for key, node in nodes.items()}
    schema = MappingSchema(dialect="postgres", normalize=False)
    keys: dict[tuple[str, ...], str] = {}
    found: dict[Column, Reach] = {}
    for key in filter(nodes.__contains__, TopologicalSorter(upstream).static_order()):
        node = nodes[key]
        try:
            if node["resource_type"] in ("model", "snapshot"):
                columns = _Query(node.get("compiled_code"), schema, keys).columns()
                columns |= {name: set() for name in DATED if node["resource_type"] == "snapshot"}
                reaches = {(key, name): _computed((key, name), node, parts, found) for name, parts in columns.items()}
            else:
                landed = {(key, name): privacy for name, privacy in _landed(node).items()}
                reaches = {column: Reach(privacy, {column: (column,)}, {}) for column, privacy in landed.items()}
        except Exception as error:
            why = str(error).partition("\n")[0]  # sqlglot goes on with the SQL
            raise LineageError(f"{node['original_file_path']}: no lineage of {node['name']}: {why}") from error
        found |= reaches
        if node["relation_name"]:  # an ephemeral model has none
            table = exp.to_table(node["relation_name"], dialect="postgres")
            schema.add_table(table, {name: "text" for _, name in reaches})
            keys[table.catalog, table.db, table.name] = key
    return found


def problems(manifest: dict[str, Any]) -> list[str]:
    """A line for each mart column that an identifier reaches, and for each invalid or unused `declassified_by`."""
    nodes, found, lines = _nodes(manifest), reached(manifest), []
    for (key, _), reach in found.items():
        if reach.privacy == "identifier" and nodes[key]["fqn"][1] == "marts":
            first, *others = sorted(source for source in reach.paths if found[source].privacy == "identifier")
            line = " <- ".join(_shown(nodes, column) for column in reach.paths[first]) + " (identifier)"
            lines.append(", also from ".join([line, *(_shown(nodes, column) for column in others)]))
    for key, node in nodes.items():
        file = (node.get("patch_path") or node["original_file_path"]).rpartition("://")[2]
        for name, column in node["columns"].items():
            reviewed = found.get((key, name))
            if "declassified_by" in column["config"]["meta"] and not (reviewed and reviewed.declassified):
                lines.append(f"{file}: {node['name']}.{name}: declassified_by is invalid or unused")
    return lines


def _nodes(manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {**manifest["sources"], **manifest["nodes"]}


def _shown(nodes: dict[str, dict[str, Any]], column: Column) -> str:
    """A raw or mart column by its name in the database, another column by the name of its model."""
    node, name = nodes[column[0]], column[1]
    if node["resource_type"] == "source" or node["fqn"][1] == "marts":
        return f"{node['schema'].removesuffix('__next')}.{node.get('alias', node['name'])}.{name}"
    return f"{node['name']}.{name}"


def _landed(node: dict[str, Any]) -> dict[str, str]:
    """{column: privacy class} of a source, with the columns that the loader adds, or of a seed."""
    is_source, meta = node["resource_type"] == "source", node["config"]["meta"]
    added = [
        *(ORIGIN_COLUMNS if meta.get("files") else ()),
        *(VALIDITY_COLUMNS if meta.get("load") == "history" else ()),
    ]
    columns = dict.fromkeys(added, "none")
    for name, column in node["columns"].items():
        described = column["config"]["meta"]
        columns[name] = described.get("privacy", None if is_source else "none")
        kind = described.get("identifier")
        columns |= dict.fromkeys(companion_columns(name, kind), "personal")
        columns |= dict.fromkeys(token_columns(name, kind).values(), "identifier")
        if columns[name] not in CLASSES:
            raise LineageError(f"column {name} has no privacy class; add one to its contract")
    return columns


def _computed(column: Column, node: dict[str, Any], parts: set[Column], found: dict[Column, Reach]) -> Reach:
    """The reach of a model's column that depends on `parts`."""
    paths = {source: (column, *path) for part in sorted(parts) for source, path in found[part].paths.items()}
    declared = node["columns"].get(column[1])
    review = declared and declared["config"]["meta"].get("declassified_by")
    reviewed = isinstance(review, str) and REVIEW.match(review)
    declassified = {s: path for s, path in paths.items() if reviewed and found[s].privacy == "identifier"}
    kept = {s: path for s, path in paths.items() if s not in declassified}
    return Reach(max((found[s].privacy for s in kept), key=CLASSES.index, default="none"), kept, declassified)


class _Query:
    """A model's select. `schema` has the columns, and `keys` the unique ids, of the tables that the model may read."""

    def __init__(self, sql: str | None, schema: MappingSchema, keys: dict[tuple[str, ...], str]):
        if not sql or not isinstance(query := parse_one(sql, dialect="postgres"), exp.Query):
            raise LineageError("not one select that `dbt compile` compiled")
        ctes = {cte.alias for cte in query.find_all(exp.CTE)}
        for table in query.find_all(exp.Table):
            known = (table.catalog, table.db, table.name) in keys or (not table.db and table.name in ctes)
            if isinstance(table.this, exp.Identifier) and not known:
                raise LineageError(f"{table.sql('postgres')} is not a source, seed or model that the model refers to")
        self.schema, self.keys = schema, keys
        self.query = qualify(query, schema=schema, dialect="postgres", quote_identifiers=False)
        root = build_scope(self.query)
        self.scopes = {id(scope.expression): scope for scope in root.traverse()} if root else {}

    def columns(self) -> dict[str, set[Column]]:
        """{column of the select: columns of tables that it depends on}."""
        return {name: self._parts(_values(self.query, name)) for name in self.query.named_selects}

    def _parts(self, todo: list[exp.Expr]) -> set[Column]:
        parts: set[Column] = set()
        seen: set[int] = set()
        while todo:
            if id(expression := todo.pop()) in seen:
                continue
            seen.add(id(expression))
            for column in expression.find_all(exp.Column, exp.TableColumn):
                source, name = self._source(column)
                if isinstance(source, exp.Table) and isinstance(source.this, exp.Identifier):
                    key, names = self.keys[source.catalog, source.db, source.name], self.schema.column_names(source)
                    parts |= {(key, names[position]) for position in _positions(source, names, name)}
                else:
                    todo += _values(source, name)
        return parts

    def _source(self, column: exp.Expr) -> tuple[exp.Expr, str]:
        """The table, query or function of a column, and the column's name there; * for a whole row."""
        table, name = (column.table, column.name) if isinstance(column, exp.Column) else (column.name, "*")
        node = column.parent
        while node:
            if (scope := self.scopes.get(id(node))) and table in scope.selected_sources:
                source = scope.selected_sources[table][1]
                if not isinstance(source, Scope):
                    return source, name
                cte = source.expression.find_ancestor(exp.CTE) if source.is_cte else None
                return (cte.this if cte else source.expression), name  # of a recursive query, only the first branch
            node = node.parent
        raise LineageError(f"column {column.sql('postgres')} belongs to no known table; write table.column")


def _values(source: exp.Expr, name: str) -> list[exp.Expr]:
    """The expressions of a query's column, one for each branch of a union; the whole table function."""
    branches = _branches(source.this if isinstance(source, exp.Lateral) else source)
    selects = [branch for branch in branches if isinstance(branch, exp.Select)]
    if len(selects) < len(branches):
        return [source]
    if any(select.is_star for select in selects):
        raise LineageError("`select *` from a function; name the columns of the function")
    positions = _positions(source, selects[0].named_selects, name)
    values = [select.selects[position] for select in selects for position in positions]
    windows = [window for select in selects for window in select.args.get("windows") or ()]
    return [*values, *windows] if any(value.find(exp.Window) for value in values) else values


def _branches(query: exp.Expr) -> list[exp.Expr]:
    query = query.unnest()
    return [*_branches(query.this), *_branches(query.expression)] if isinstance(query, exp.SetOperation) else [query]


def _positions(source: exp.Expr, names: list[str], name: str) -> list[int]:
    """Positions of a column among those of a table or query, which an alias may rename; every position for *."""
    aliases = source.alias_column_names
    names = [*aliases, *names[len(aliases) :]]
    positions = [position for position, known in enumerate(names) if name in (known, "*")]
    if not positions:
        raise LineageError(f"column {name} is not known")
    return positions


def main(manifest: str = str(ROOT / ".warehouse/check/manifest.json")) -> None:
    try:
        lines = problems(json.loads(Path(manifest).read_text(encoding="utf-8")))
    except LineageError as error:
        sys.exit(str(error))
    if lines:
        sys.exit("\n".join([*lines, REMEDY]))


if __name__ == "__main__":
    main(*sys.argv[1:])
