"""Previews one model of the working tree: its first rows, its row count, and its differences from the published table.

The model is computed once, into a temporary table, which readers and builds do not see. Marts are compared with the
published table, conformed models with the built table, staging models with the built view. Values that depend on the
current time (`now()`) differ from the published values.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import string_types

from ingestion.errors import describe
from warehouse.dbt_compiler import Compiled, Compiler, unique_keys
from warehouse.environment import dbt_connection
from warehouse.errors import WarehouseError

MODEL = sql.Identifier("pg_temp", "preview")
SETTINGS = "set statement_timeout = '10min'; set lock_timeout = '2s'; set jit = off; set work_mem = '64MB'"
LOCK_POLL = 1.0  # seconds between two checks for a build or publication that waits for the preview
COMPARABLE_TYPES = ({"int2", "int4", "int8", "numeric", "float4", "float8"}, {"text", "varchar", "bpchar", "name"},
              {"date", "timestamp", "timestamptz"})  # fmt: skip
TYPES_WITHOUT_EQUALITY = {"json", "xml", "point", "box", "path", "polygon", "line", "lseg", "circle"}


@dataclass
class Column:
    """A column: `kind` is its type with length or precision, `base` the name of the type in the catalogue."""

    name: str
    kind: str
    base: str


@dataclass
class Change:
    """Number of values of a column that differ, and an example: key, published value, previewed value."""

    values: int
    example: list[str | None]


@dataclass
class Preview:
    """Result of a preview. `published` is None where no table exists; `key` is empty where whole rows are compared.

    `state` is the state of tables of the model's layer: published (marts) or built.
    """

    model: str
    columns: list[Column]
    rows: int
    first: list[tuple[Any, ...]]
    relation: str
    state: str
    published: list[Column] | None = None
    key: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    added: int = 0
    removed: int = 0
    changed: int = 0
    by_column: dict[str, Change] = field(default_factory=dict)


def preview(compiler: Compiler, name: str, limit: int = 10, key: tuple[str, ...] = ()) -> Preview:
    """Compiles and computes a model, and compares it with the published table. Raises WarehouseError.

    `limit` is the number of rows to return; `key` replaces the model's own key in the comparison.
    """
    compiled = compiler.compile(compiler.model(name))
    model = compiler.model(name)
    keys = [list(key)] if key else unique_keys(compiler.manifest, model)
    with closing(dbt_connection()) as connection, connection.cursor() as cursor, _cancelled_for_builds(connection):
        connection.autocommit = True  # so that a table lock lasts one statement, not the whole preview
        cursor.execute(SETTINGS)
        try:
            _require(cursor, compiler, compiled)
            contract = model.columns if model.config.contract.enforced else {}
            declared = {column.name: str(column.data_type) for column in contract.values()}
            notes = _compute(cursor, compiled.sql, declared)
            rows = cursor.rowcount
            cursor.execute(sql.SQL("select * from {} limit %s").format(MODEL), [limit])
            first = cursor.fetchall()
            relation = sql.Identifier(model.schema, model.alias)
            state = "published" if model.fqn[1] == "marts" else "built"
            columns, published = _columns(cursor, MODEL), _columns(cursor, relation)
            found = Preview(
                name, columns, rows, first, f"{model.schema}.{model.alias}", state, published or None, notes=notes
            )
            for column in key:
                if column not in {c.name for c in columns}:
                    raise WarehouseError(f"{name} has no column {column}.")
            if published:
                _compare(cursor, found, relation, keys[0] if keys else [])
            return found
        except psycopg2.Error as error:
            raise WarehouseError(f"{model.original_file_path}: {_message(error, compiled.sql)}") from None


def _require(cursor: Any, compiler: Compiler, compiled: Compiled) -> None:
    """Raises WarehouseError with the names of missing upstream tables and views."""
    missing = []
    for unique_id in compiled.upstream:
        node = compiler.manifest.sources.get(unique_id) or compiler.manifest.nodes[unique_id]
        cursor.execute("select to_regclass(%s)", [node.relation_name])
        if node.relation_name and cursor.fetchone()[0] is None:
            relation = node.relation_name.replace('"', "").split(".", 1)[1]
            missing.append(
                f"{relation} {'is not loaded' if unique_id in compiler.manifest.sources else 'is not built'}"
            )
    if missing:
        raise WarehouseError(f"Upstream of the model, {', '.join(missing)} yet. Run `make run`.")


def _compute(cursor: Any, query: str, declared: dict[str, str]) -> list[str]:
    """Creates the temporary table with the contract's types; returns the reasons for which a build would fail."""
    body, notes = sql.SQL("(\n" + query.replace("{", "{{").replace("}", "}}") + "\n) as model").format(), []
    chosen: sql.Composable = sql.SQL("*")
    if declared:
        cursor.execute(sql.SQL("select * from {} limit 0").format(body))
        given = {column.name: column.type_code for column in cursor.description}
        cursor.execute("select to_regtype(name)::oid::bigint from unnest(%s) as name", [list(declared.values())])
        oids = dict(zip(declared, (row[0] for row in cursor.fetchall()), strict=True))
        notes = [f"{name} is in the contract and not in the SQL" for name in declared if name not in given]
        notes += [f"{name} is in the SQL and not in the contract" for name in given if name not in declared]
        fits = {name for name in declared if name in given and _kind(given[name]) == _kind(oids[name])}
        notes += [
            f"{name} is {declared[name]} in the contract and has another type in the SQL"
            for name in declared
            if name in given and name not in fits
        ]
        ordered = [*(name for name in declared if name in given), *(name for name in given if name not in declared)]
        chosen = sql.SQL(", ").join(
            sql.SQL("{}::" + declared[name] + " as {}").format(sql.Identifier(name), sql.Identifier(name))
            if name in fits
            else sql.Identifier(name)
            for name in ordered
        )
    cursor.execute(sql.SQL("create temporary table preview as select {} from {}").format(chosen, body))
    return [f"a build of this model will fail: {note}" for note in notes]


def _kind(oid: int | None) -> str:
    """The part of a type that dbt compares with a contract."""
    return string_types[oid].name if oid in string_types else f"type {oid}"


def _columns(cursor: Any, relation: sql.Identifier) -> list[Column]:
    cursor.execute(
        "select a.attname, format_type(a.atttypid, a.atttypmod), t.typname "
        "from pg_attribute as a inner join pg_type as t on a.atttypid = t.oid "
        "where a.attrelid = to_regclass(%s) and a.attnum > 0 and not a.attisdropped order by a.attnum",
        [relation.as_string(cursor)],
    )
    return [Column(*row) for row in cursor.fetchall()]


def _compare(cursor: Any, found: Preview, relation: sql.Identifier, key: list[str]) -> None:
    """Sets the differences between the temporary table and the relation in `found`, by one query."""
    old = {column.name: column for column in found.published or []}
    common = [(column, old[column.name]) for column in found.columns if column.name in old]
    names = {column.name for column, _ in common}
    if not key:
        found.notes.append("the model has no uniqueness test: whole rows are compared")
    elif not names.issuperset(key):
        found.notes.append(f"the key ({', '.join(key)}) is not in both tables: whole rows are compared")
    elif problem := _key_problem(cursor, found, relation, key):
        found.notes.append(f"{problem}: whole rows are compared")
    else:
        found.key = key
        _compare_by_key(cursor, found, relation, common)
        return
    if not common:
        cursor.execute(sql.SQL("select count(*) from {}").format(relation))
        found.added, found.removed = found.rows, cursor.fetchone()[0]
        return
    names_only = sql.SQL(", ").join(sql.Identifier(column.name) for column, _ in common)
    new_values, old_values = (
        sql.SQL(", ").join(
            sql.SQL("{} as {}").format(_typed(pair, side), sql.Identifier(pair[0].name)) for pair in common
        )
        for side in (0, 1)
    )
    cursor.execute(
        sql.SQL(
            "select coalesce(sum(greatest(net, 0)), 0)::bigint, coalesce(sum(greatest(-net, 0)), 0)::bigint "
            "from (select sum(side) as net "
            "from (select {}, 1 as side from {} as n union all select {}, -1 from {} as o) as sides "
            "group by {}) as counted"
        ).format(new_values, MODEL, old_values, relation, names_only)
    )
    found.added, found.removed = cursor.fetchone()


def _key_problem(cursor: Any, found: Preview, relation: sql.Identifier, key: list[str]) -> str:
    """Why the key does not identify rows; empty where it does."""
    columns = sql.SQL(", ").join(sql.Identifier(name) for name in key)
    empty = sql.SQL(" or ").join(sql.SQL("{} is null").format(sql.Identifier(name)) for name in key)
    for title, table in (("the preview", MODEL), (found.relation, relation)):
        cursor.execute(
            sql.SQL(
                "select count(*) filter (where not is_empty), count(*) filter (where is_empty) "
                "from (select ({}) as is_empty from {} group by {} having count(*) > 1 or ({})) as found"
            ).format(empty, table, columns, empty)
        )
        repeated, without = cursor.fetchone()
        reasons = [f"{repeated:,} values repeat"] * bool(repeated) + ["rows without a key"] * bool(without)
        if reasons:
            return f"the key ({', '.join(key)}) is not unique in {title} ({' and '.join(reasons)})"
    return ""


def _compare_by_key(cursor: Any, found: Preview, relation: sql.Identifier, common: list[tuple[Column, Column]]) -> None:
    keyed = [pair for pair in common if pair[0].name in found.key]
    others = [pair for pair in common if pair[0].name not in found.key]
    differs = [sql.SQL("{} is distinct from {}").format(_typed(pair, 0), _typed(pair, 1)) for pair in others]
    first = sql.Identifier(found.key[0])
    counts = [
        sql.SQL("count(*) filter (where o.{} is null)").format(first),
        sql.SQL("count(*) filter (where n.{} is null)").format(first),
        sql.SQL("count(*) filter (where {} and ({}))").format(
            _both(first), sql.SQL(" or ").join(differs or [sql.SQL("false")])
        ),
    ]
    shown = sql.SQL(" || ', ' || ").join(sql.SQL("n.{}::text").format(sql.Identifier(name)) for name in found.key)
    for (column, _), difference in zip(others, differs, strict=True):
        counts.append(sql.SQL("count(*) filter (where {} and {})").format(_both(first), difference))
        counts.append(
            sql.SQL("min(array[{}, o.{}::text, n.{}::text]) filter (where {} and {})").format(
                shown, sql.Identifier(column.name), sql.Identifier(column.name), _both(first), difference
            )
        )
    cursor.execute(
        sql.SQL("select {} from {} as n full join {} as o on {}").format(
            sql.SQL(", ").join(counts),
            MODEL,
            relation,
            sql.SQL(" and ").join(sql.SQL("{} = {}").format(_typed(pair, 0), _typed(pair, 1)) for pair in keyed),
        )
    )
    found.added, found.removed, found.changed, *rest = cursor.fetchone()
    pairs = zip(others, rest[::2], rest[1::2], strict=True)
    found.by_column = {column.name: Change(values, example) for (column, _), values, example in pairs if values}


def _both(first: sql.Identifier) -> sql.Composable:
    return sql.SQL("n.{} is not null and o.{} is not null").format(first, first)


def _typed(pair: tuple[Column, Column], side: int) -> sql.Composable:
    """A column of the preview (n, side 0) or the published table (o, side 1), cast to a type that both share."""
    bases = {pair[0].base, pair[1].base}
    alike = len(bases) == 1 or any(bases <= family for family in COMPARABLE_TYPES)
    name = sql.SQL("no"[side] + ".{}").format(sql.Identifier(pair[side].name))
    return name if alike and not bases & TYPES_WITHOUT_EQUALITY else sql.SQL("{}::text").format(name)


def _message(error: psycopg2.Error, query: str) -> str:
    """The message of Postgres and the place in the compiled SQL, without values of rows."""
    if isinstance(error, psycopg2.errors.QueryCanceled) and "timeout" not in str(error):
        return "The preview stopped, because a build or publication waits for one of its tables. Try again later."
    if isinstance(error, psycopg2.errors.LockNotAvailable):
        return "A build or publication has locked a table that the model reads. Try again after the build."
    # messages of these classes name objects of the SQL; others may quote a value
    is_plain = error.diag.message_primary and (error.pgcode or "")[:2] in ("42", "0A", "57")
    message = str(error.diag.message_primary) if is_plain else describe(error)
    if (where := error.diag.statement_position) and error.diag.internal_query is None:
        sent = error.cursor.query.decode() if error.cursor and error.cursor.query else ""
        start = sent.find(query)
        offset = int(where) - 1 - start
        if start >= 0 and 0 <= offset < len(query):
            number = query.count("\n", 0, offset)
            message += f" (line {number + 1} of the compiled SQL: {query.splitlines()[number].strip()})"
    return message


@contextmanager
def _cancelled_for_builds(connection: Any) -> Iterator[None]:
    """Cancels the connection's statement when another session waits for a lock of the connection."""
    done = Event()

    def watch() -> None:
        if done.wait(LOCK_POLL):
            return
        with suppress(psycopg2.Error, WarehouseError), closing(dbt_connection()) as other, other.cursor() as cursor:
            other.autocommit = True
            while True:
                waiting = "select exists (select from pg_locks where not granted and %s = any(pg_blocking_pids(pid)))"
                cursor.execute(waiting, [connection.info.backend_pid])
                if cursor.fetchone() == (True,):
                    connection.cancel()
                if done.wait(LOCK_POLL):
                    return

    watcher = Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
