"""Privacy along column lineage: what each column is computed from, by the SQL that dbt compiled, and of which class.

A value is computed from every column of its expression: in functions, casts and aggregates, in the conditions of `case`
and `filter`, in what a window is partitioned and ordered by, in all of a subquery or table function that gives it.
What only chooses rows (joins, `where`, `group by`, `having`, `distinct on`, `order by`) is no part of a value.
"""

import json
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

DATED = ("dbt_valid_from", "dbt_valid_to")  # what a snapshot adds, of what anybody reads
CLASSES = ("none", "personal", "special_category", "identifier")  # the strongest last
REMEDY = """\
No identifier may reach a mart. Leave the column out; or, where somebody has reviewed why it is no identifier any more,
say so of a column on the way, in its model's YAML: config: {meta: {declassified_by: "<who, when, why>"}}"""

Column = tuple[str, str]  # dbt's unique id of a source, seed or model, and the column's name
Ways = dict[Column, tuple[Column, ...]]  # {source column: the columns on the way to it, both ends included}


class LineageError(Exception):
    """What a column is computed from cannot be told; the message names file and model."""


@dataclass(frozen=True)
class Reach:
    """The columns of sources and seeds that a column is computed from, and the strongest of their classes.

    Identifiers that the column's `declassified_by` stops are in `declassified`, and not in `ways`.
    """

    privacy: str
    ways: Ways
    declassified: Ways


def reached(manifest: dict[str, Any]) -> dict[Column, Reach]:
    """The reach of every column of every source, seed, model and snapshot in a manifest of `dbt compile`.

    Raises LineageError.
    """
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
    """A line for each mart column that an identifier reaches, and for each `declassified_by` that stops none."""
    nodes, found, lines = _nodes(manifest), reached(manifest), []
    for (key, _), reach in found.items():
        if reach.privacy == "identifier" and nodes[key]["fqn"][1] == "marts":
            first, *others = sorted(source for source in reach.ways if found[source].privacy == "identifier")
            line = " <- ".join(_shown(nodes, column) for column in reach.ways[first]) + " (identifier)"
            lines.append(", also from ".join([line, *(_shown(nodes, column) for column in others)]))
    for key, node in nodes.items():
        file = (node.get("patch_path") or node["original_file_path"]).rpartition("://")[2]
        for name, column in node["columns"].items():
            reviewed = found.get((key, name))
            if "declassified_by" in column["config"]["meta"] and not (reviewed and reviewed.declassified):
                lines.append(
                    f"{file}: {node['name']}.{name}: declassified_by is empty or stale: it stops no identifier"
                )
    return lines


def _nodes(manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {**manifest["sources"], **manifest["nodes"]}


def _shown(nodes: dict[str, dict[str, Any]], column: Column) -> str:
    """A column under its table's name in the database, where that is raw or a mart, else under its model's name."""
    node, name = nodes[column[0]], column[1]
    if node["resource_type"] == "source" or node["fqn"][1] == "marts":
        return f"{node['schema'].removesuffix('__next')}.{node.get('alias', node['name'])}.{name}"
    return f"{node['name']}.{name}"


def _landed(node: dict[str, Any]) -> dict[str, str]:
    """{column: class} of a source, with what the loader adds, or of a seed."""
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
            raise LineageError(f"column {name} has no privacy class")
    return columns


def _computed(column: Column, node: dict[str, Any], parts: set[Column], found: dict[Column, Reach]) -> Reach:
    """The reach of a model's column that is computed from `parts`."""
    ways = {source: (column, *way) for part in sorted(parts) for source, way in found[part].ways.items()}
    declared = node["columns"].get(column[1])
    review = declared and declared["config"]["meta"].get("declassified_by")
    reviewed = isinstance(review, str) and review.strip()
    stopped = {s: way for s, way in ways.items() if reviewed and found[s].privacy == "identifier"}
    kept = {s: way for s, way in ways.items() if s not in stopped}
    return Reach(max((found[s].privacy for s in kept), key=CLASSES.index, default="none"), kept, stopped)


class _Query:
    """A model's select; `schema` and `keys` say which columns and which unique id the tables have that it may read."""

    def __init__(self, sql: str | None, schema: MappingSchema, keys: dict[tuple[str, ...], str]):
        if not sql or not isinstance(query := parse_one(sql, dialect="postgres"), exp.Query):
            raise LineageError("it is not one select, compiled by `dbt compile`")
        within = {cte.alias for cte in query.find_all(exp.CTE)}
        for table in query.find_all(exp.Table):
            known = (table.catalog, table.db, table.name) in keys or (not table.db and table.name in within)
            if isinstance(table.this, exp.Identifier) and not known:
                raise LineageError(f"{table.sql('postgres')} is no source, seed or model that it refers to")
        self.schema, self.keys = schema, keys
        self.query = qualify(query, schema=schema, dialect="postgres", quote_identifiers=False)
        root = build_scope(self.query)
        self.scopes = {id(scope.expression): scope for scope in root.traverse()} if root else {}

    def columns(self) -> dict[str, set[Column]]:
        """{column that it gives: columns of tables that it is computed from}."""
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
        """The table, query or function that a column is of, and the column's name there, * for a whole row."""
        table, name = (column.table, column.name) if isinstance(column, exp.Column) else (column.name, "*")
        node = column.parent
        while node:
            if (scope := self.scopes.get(id(node))) and table in scope.selected_sources:
                source = scope.selected_sources[table][1]
                if not isinstance(source, Scope):
                    return source, name
                cte = source.expression.find_ancestor(exp.CTE) if source.is_cte else None
                return (cte.this if cte else source.expression), name  # inside a recursive query, of its beginning only
            node = node.parent
        raise LineageError(f"column {column.sql('postgres')} is of no known table; write table.column")


def _values(source: exp.Expr, name: str) -> list[exp.Expr]:
    """The expressions that give a column of a query, in each branch of a union; all of a table function."""
    branches = _branches(source.this if isinstance(source, exp.Lateral) else source)
    selects = [branch for branch in branches if isinstance(branch, exp.Select)]
    if len(selects) < len(branches):
        return [source]
    if any(select.is_star for select in selects):
        raise LineageError("select * from a function; name its columns")
    positions = _positions(source, selects[0].named_selects, name)
    values = [select.selects[position] for select in selects for position in positions]
    windows = [window for select in selects for window in select.args.get("windows") or ()]
    return [*values, *windows] if any(value.find(exp.Window) for value in values) else values


def _branches(query: exp.Expr) -> list[exp.Expr]:
    query = query.unnest()
    return [*_branches(query.this), *_branches(query.expression)] if isinstance(query, exp.SetOperation) else [query]


def _positions(source: exp.Expr, names: list[str], name: str) -> list[int]:
    """Where a column stands among those of a table or query, which its alias may name anew; everywhere for *."""
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
