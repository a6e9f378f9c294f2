"""Column lineage and privacy: the source columns of each column, from the SQL that dbt compiled, and its privacy class.

A value depends on every column of its expression: arguments of functions, casts and aggregates, conditions of `case`
and `filter`, partitions and orders of windows, and every column of a subquery or table function. Columns that only
select rows (joins, `where`, `group by`, `having`, `distinct on`, `order by`) are not part of the value.

A value carries a column's text if the text, or a part of it, can be in the value. A condition, hash, count or cast to
another type carries none, nor does a text that was found in a code list:
`case when x in (select code from code_lists) then x else 'Other' end`.
"""

import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from sqlglot import exp, parse_one
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, build_scope
from sqlglot.schema import MappingSchema

from ingestion import ROOT
from ingestion.columns import companion_columns, token_columns
from ingestion.contracts import ORIGIN_COLUMNS, VALIDITY_COLUMNS

DATED = ("dbt_valid_from", "dbt_valid_to")  # columns that a snapshot adds
CLASSES = ("none", "personal", "special_category", "identifier")  # the strongest last
TYPED = ("personal", "special_category")  # classes whose texts a person may have typed
REMEDY = """\
No identifier, and no typed text about a person, may reach a mart. Remove the column, or limit a text to its code list
with the macro `listed`. If its values identify nobody, or must be published, propose to declassify it in the YAML of a
model on the way: config: {meta: {declassified_by: "proposed: <why>"}}. The reviewer replaces the proposal by
"approved: <name>, <date>: <why>", with a date such as 1 July 2026."""
REVIEW = re.compile(r"(proposed|approved: [^:,]+, \d{1,2} [A-Z][a-z]+ \d{4}): \S")

WITHOUT_TEXT = (  # expressions whose value has no text of the columns in them
    exp.Predicate, exp.Not, exp.And, exp.Or, exp.MD5, exp.Count, exp.Length, exp.Sum, exp.Extract, exp.RowNumber,
    exp.Ordered, exp.WindowSpec,
)  # fmt: skip

Column = tuple[str, str]  # dbt's unique id of a source, seed or model, and the column's name
Paths = dict[Column, tuple[Column, ...]]  # {source column: the columns on the path to it, both ends included}


class LineageError(Exception):
    """The lineage of a model cannot be determined; the message names file and model."""


@dataclass(frozen=True)
class Reach:
    """The source and seed columns that a column depends on, and the strictest of their privacy classes.

    `typed` are the texts about people that the column carries. Identifiers and typed texts that the column's
    `declassified_by` declassifies are in `declassified` instead.
    """

    privacy: str
    paths: Paths
    typed: Paths
    declassified: Paths


def reached(manifest: dict[str, Any]) -> dict[Column, Reach]:
    """{column: reach} of each source, seed, model and snapshot in a manifest of `dbt compile`. Raises LineageError."""
    kinds = ("source", "seed", "model", "snapshot")
    nodes = {k: n for k, n in _nodes(manifest).items() if n["resource_type"] in kinds}
    upstream = {key: node.get("depends_on", {}).get("nodes", []) for key, node in nodes.items()}
    schema = MappingSchema(dialect="postgres", normalize=False)
    keys: dict[tuple[str, ...], str] = {}
    found: dict[Column, Reach] = {}

    def is_code(column: Column) -> bool:
        return found[column].privacy == "none"

    for key in filter(nodes.__contains__, TopologicalSorter(upstream).static_order()):
        node = nodes[key]
        try:
            if node["resource_type"] in ("model", "snapshot"):
                query = _Query(node.get("compiled_code"), schema, keys, is_code)
                columns = {name: (query.sources(name), query.texts(name)) for name in query.names}
                columns |= {name: (set(), set()) for name in DATED if node["resource_type"] == "snapshot"}
                reaches = {(key, name): _computed((key, name), node, *parts, found) for name, parts in columns.items()}
            else:
                landed, typed = _landed(node), _typed(node)
                own: dict[str, Paths] = {name: {(key, name): ((key, name),)} for name in landed}
                reaches = {
                    (key, name): Reach(privacy, own[name], own[name] if name in typed else {}, {})
                    for name, privacy in landed.items()
                }
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
    """A line for each mart column that an identifier or a typed text about a person reaches.

    Also a line for each invalid or unused `declassified_by`.
    """
    nodes, found, lines = _nodes(manifest), reached(manifest), []
    for (key, name), reach in found.items():
        if nodes[key]["fqn"][1] != "marts":
            continue
        identifiers = {source: path for source, path in reach.paths.items() if found[source].privacy == "identifier"}
        is_text = (nodes[key]["columns"].get(name, {}).get("data_type") or "text") == "text"
        for paths, what in ((identifiers, ""), (reach.typed if is_text else {}, " text")):
            if paths:
                first, *others = sorted(paths)
                line = " <- ".join(_shown(nodes, column) for column in paths[first])
                line += f" ({found[first].privacy.replace('_', ' ')}{what})"
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


def _typed(node: dict[str, Any]) -> set[str]:
    """The columns of a source whose texts about people may be typed."""
    if node["resource_type"] != "source":
        return set()
    columns = node["columns"].items()
    return {
        name
        for name, column in columns
        if column.get("data_type") == "text" and column["config"]["meta"].get("privacy") in TYPED
    }


def _computed(
    column: Column, node: dict[str, Any], parts: set[Column], texts: set[Column], found: dict[Column, Reach]
) -> Reach:
    """The reach of a model's column that depends on `parts` and carries the texts of `texts`."""
    paths = {source: (column, *path) for part in sorted(parts) for source, path in found[part].paths.items()}
    typed = {source: (column, *path) for part in sorted(texts) for source, path in found[part].typed.items()}
    declared = node["columns"].get(column[1])
    review = declared and declared["config"]["meta"].get("declassified_by")
    reviewed = isinstance(review, str) and REVIEW.match(review)
    declassified = {s: path for s, path in paths.items() if reviewed and found[s].privacy == "identifier"}
    kept = {s: path for s, path in paths.items() if s not in declassified}
    privacy = max((found[s].privacy for s in kept), key=CLASSES.index, default="none")
    return Reach(privacy, kept, {}, declassified | typed) if reviewed else Reach(privacy, kept, typed, declassified)


class _Query:
    """A model's select. `schema` has the columns, and `keys` the unique ids, of the tables that the model may read.

    `is_code` tells whether a column may be a code list: whether none of its values is about a person.
    """

    def __init__(
        self,
        sql: str | None,
        schema: MappingSchema,
        keys: dict[tuple[str, ...], str],
        is_code: Callable[[Column], bool],
    ):
        if not sql or not isinstance(query := parse_one(sql, dialect="postgres"), exp.Query):
            raise LineageError("not one select that `dbt compile` compiled")
        ctes = {cte.alias for cte in query.find_all(exp.CTE)}
        for table in query.find_all(exp.Table):
            known = (table.catalog, table.db, table.name) in keys or (not table.db and table.name in ctes)
            if isinstance(table.this, exp.Identifier) and not known:
                raise LineageError(f"{table.sql('postgres')} is not a source, seed or model that the model refers to")
        self.schema, self.keys, self.is_code = schema, keys, is_code
        self.query = qualify(query, schema=schema, dialect="postgres", quote_identifiers=False)
        root = build_scope(self.query)
        self.scopes = {id(scope.expression): scope for scope in root.traverse()} if root else {}

    @property
    def names(self) -> list[str]:
        return list(self.query.named_selects)

    def sources(self, name: str) -> set[Column]:
        """The columns of tables on which a column of the select depends."""
        return self._parts(_values(self.query, name), _all_columns)

    def texts(self, name: str) -> set[Column]:
        """The columns of tables whose text a column of the select may carry."""
        return self._parts(_values(self.query, name), self._carried)

    def _parts(self, todo: list[exp.Expr], columns: Callable[[exp.Expr], Iterator[exp.Expr]]) -> set[Column]:
        parts: set[Column] = set()
        seen: set[int] = set()
        while todo:
            if id(expression := todo.pop()) in seen:
                continue
            seen.add(id(expression))
            for column in columns(expression):
                source, name = self._source(column)
                if isinstance(source, exp.Table) and isinstance(source.this, exp.Identifier):
                    key, names = self.keys[source.catalog, source.db, source.name], self.schema.column_names(source)
                    parts |= {(key, names[position]) for position in _positions(source, names, name)}
                else:
                    todo += _values(source, name)
        return parts

    def _carried(self, value: exp.Expr, listed: tuple[exp.Expr, ...] = ()) -> Iterator[exp.Expr]:
        """The columns whose text may be in a value. `listed` are expressions that were found in a code list."""
        if value in listed or isinstance(value, WITHOUT_TEXT):
            return
        if isinstance(value, exp.Cast) and not value.is_type(*exp.DataType.TEXT_TYPES):
            return
        if isinstance(value, exp.Column | exp.TableColumn):
            yield value
        elif isinstance(value, exp.Filter | exp.Window):
            yield from self._carried(value.this, listed)
        elif isinstance(value, exp.Case):
            for branch in value.args["ifs"]:
                yield from self._carried(branch.args["true"], (*listed, *self._listed(branch.this)))
            if otherwise := value.args.get("default"):
                yield from self._carried(otherwise, listed)
        else:
            for part in value.selects if isinstance(value, exp.Select) else value.iter_expressions():
                yield from self._carried(part, listed)

    def _listed(self, condition: exp.Expr) -> Iterator[exp.Expr]:
        """The expressions that have one of the listed values if the condition is true."""
        for part in condition.flatten() if isinstance(condition, exp.And) else [condition]:
            test = part.unnest()
            if isinstance(test, exp.In) and (query := test.args.get("query")):
                codes = self._parts(_values(query.unnest(), query.unnest().named_selects[0]), _all_columns)
                if codes and all(map(self.is_code, codes)):
                    yield test.this
            elif isinstance(test, exp.In | exp.EQ):
                values = test.expressions if isinstance(test, exp.In) else [test.expression]
                if values and all(isinstance(value, exp.Literal) for value in values):
                    yield test.this

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


def _all_columns(value: exp.Expr) -> Iterator[exp.Expr]:
    return value.find_all(exp.Column, exp.TableColumn)


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
