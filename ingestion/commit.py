"""Commit a system's extracts from the landing schema to its raw tables in one transaction, after all load checks.

A raw table is a table in <system>_store and a view of its declared columns in <system>, which dbt reads. dlt loads an
extract into <system>_landing; a load check refuses it there, before it reaches the store.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2 import extensions as pg
from psycopg2 import sql
from psycopg2.extras import execute_values

from ingestion.contracts import ORIGIN_COLUMNS, VALIDITY_COLUMNS, LoadCheckError, System, Table
from ingestion.landing import ROW_COUNTS, landing_table
from ingestion.postgres import value_of
from ingestion.privacy import PSEUDONYM_PATTERN, RECORD_COLUMNS
from ingestion.tables import Reject

STORED_TYPES = {"timestamp with time zone": "timestamptz", "time without time zone": "time"}  # Postgres' other names
MIN_ALLOWED_REJECTS = 10  # rejected rows that are allowed in a small load


@dataclass
class LoadResult:
    """The result of loading one raw table; `version` changes only when the table's content changes.

    `rows` is the number of new or changed rows, `read` the rows read at the source, `quarantined` those of them that
    were rejected, `skipped` those that a rule of the contract skips, `total` the rows in the raw table. `new_columns`
    are source columns that the contract neither declares nor excludes. `high_watermark` is the highest cursor value
    loaded.
    """

    table: str
    rows: int = 0
    version: str = ""
    high_watermark: str = ""
    read: int = 0
    quarantined: int = 0
    skipped: int = 0
    total: int = 0
    new_columns: list[str] = field(default_factory=list)
    loaded_at: datetime | None = None


@dataclass
class ExtractResult:
    """What was read of one table: the whole source (`full_refresh`) or the changes only.

    `source_rows` (lowest and highest count) and `source_sums` are the source's own figures for what was read,
    `source_total` its count of all rows; None or empty if the source gives none. `files` are (name, content hash,
    rows). `skipped` are the rows that `read` does not count, by the rule that skips them. `redriven` are the ids of
    quarantined rows that fit now. `identities_file` holds the identity records, one line each
    (ingestion.privacy.RECORD_COLUMNS).
    """

    table: Table
    last: LoadResult
    full_refresh: bool
    contract_digest: str
    as_at: datetime
    max_cursor: date | datetime | int | None = None
    read: int = 0
    sums: dict[str, int] = field(default_factory=dict)
    source_rows: tuple[int, int] | None = None
    source_sums: dict[str, object] = field(default_factory=dict)
    source_total: int | None = None
    rejects: list[Reject] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    new_columns: list[str] = field(default_factory=list)
    files: list[tuple[str, str, int]] = field(default_factory=list)
    corrected_files: list[str] = field(default_factory=list)
    redriven: list[int] | None = None
    identities_file: Path | None = None
    version: str = ""
    high_watermark: str = ""

    @property
    def columns(self) -> dict[str, str]:
        """{name: Postgres type} of the landing table."""
        table = self.table
        columns = {name: kind for column in table.columns for name, kind in column.raw_columns.items()}
        columns |= dict.fromkeys(self.new_columns, "text")
        columns |= ORIGIN_COLUMNS if table.files else {}
        return columns | (VALIDITY_COLUMNS if table.load == "history" else {})


class UnreconciledError(Exception):
    """After an incremental load these tables would not hold as many rows as the source; they need a full refresh."""

    def __init__(self, tables: set[str]):
        super().__init__(", ".join(sorted(tables)))
        self.tables = tables


def commit(cursor: pg.cursor, extracts: list[ExtractResult], load_id: str) -> list[LoadResult]:
    """Load every extract into its raw table, or none. Raises LoadCheckError if a load check refuses one.

    Raises UnreconciledError if the changes do not explain the source's row counts.
    """
    load_results, unreconciled = [], set()
    commits = {extract.table.name: _Commit(cursor, extract, load_id) for extract in extracts}
    for step in commits.values():
        step.guard()
    for name, step in commits.items():
        load_result = step.load(commits.get(step.table.parent or ""))
        load_results.append(load_result)
        if not step.reconciles(load_result):
            unreconciled.add(name)
    if unreconciled:
        raise UnreconciledError(unreconciled)
    for system in {extract.table.system.name for extract in extracts}:
        cursor.execute("select governance.drop_landing_tables(%s)", [system])  # their rows are in the store now
    return load_results


class _Commit:
    """The part of the transaction that concerns one table."""

    def __init__(self, cursor: pg.cursor, extract: ExtractResult, load_id: str):
        self.cursor, self.extract, self.table, self.load_id = cursor, extract, extract.table, load_id
        system, name = self.table.system.name, self.table.name
        key = self.table.key
        self.names = {
            "landing": landing_table(self.table.system, name),
            "arrived": landing_table(self.table.system, ROW_COUNTS),
            "store": sql.Identifier(f"{system}_store", name),
            "columns": _list("{}", extract.columns),
            "key": _list("{}", key),
            "place": sql.SQL("_source_file, _source_row" if self.table.files else "null, null"),
            "versioned_key": _list("{}", [*key, "valid_from"] if self.table.load == "history" else key),
            "same_key": _list("s.{0} = l.{0}", key, " and "),
            "newest": sql.SQL("{} desc nulls last,").format(sql.Identifier(self.table.cursor))
            if self.table.cursor
            else sql.SQL(""),
        }
        self.arrived = 0
        self.loaded_before = 0  # rows that equal a row of the store

    def run(self, query: str, values: Iterable[object] = (), **parts: sql.Composable) -> int:
        """Execute a query with the table's names filled in; return the number of rows affected."""
        self.cursor.execute(sql.SQL(query).format(**self.names, **parts), list(values))
        return self.cursor.rowcount

    def value(self, query: str, values: Iterable[object] = (), **parts: sql.Composable) -> Any:
        """The first value of a query's first row; None without a row."""
        self.run(query, values, **parts)
        row = self.cursor.fetchone()
        return row and row[0]

    # --- load checks

    def guard(self) -> None:
        """Refuse an incomplete extract, and one that differs from the last load by more than the contract allows."""
        extract, table = self.extract, self.table
        self.arrived = self.value(
            "select coalesce(sum(rows), 0)::bigint from {arrived} where table_name = %s", [table.name]
        )
        if extract.source_rows and not extract.source_rows[0] <= extract.read <= extract.source_rows[1]:
            self.refuse(f"{extract.read:,} rows read, the source counts {extract.source_rows[1]:,}")
        for name, total in extract.source_sums.items():
            if total != extract.sums.get(name, 0):
                self.refuse(
                    f"the sum of {name} over the rows read differs from the source's (rows were lost or changed)"
                )
        if self.arrived != extract.read - len(extract.rejects):
            self.refuse(f"{extract.read:,} rows read, {self.arrived:,} arrived")
        allowed = self._allowed_rejects()
        if extract.redriven is None and len(extract.rejects) > allowed and not self.use_override():
            reasons = [reject.reason for reject in extract.rejects]
            most = max(set(reasons), key=reasons.count)
            first = extract.rejects[reasons.index(most)]
            example = f", e.g. row {first.row}" + f" of {first.file}" * bool(first.file) if first.row else ""
            others = f" (of these {reasons.count(most):,})" if reasons.count(most) < len(reasons) else ""
            self.refuse(
                f"{len(extract.rejects):,} of {extract.read:,} rows rejected: {most}{others}{example} "
                f"(contract allows {allowed:,})",
                can_override=True,
            )
        previous_total = extract.last.total
        if extract.full_refresh and self.arrived < previous_total * (1 - table.shrink) and not self.use_override():
            when = f"loaded {extract.last.loaded_at:%d %B %Y %H:%M}; " if extract.last.loaded_at else ""
            self.refuse(
                f"{self.arrived:,} rows instead of {previous_total:,} "
                f"({when}contract allows a {table.shrink:.0%} drop)",
                can_override=True,
            )

    def _allowed_rejects(self) -> int:
        """The declared share of the rows read; undeclared, at least ten rows, but never half of a whole table."""
        extract, table = self.extract, self.table
        share = int(table.rejects * extract.read)
        if "rejects" in table.model_fields_set:
            return share
        is_whole = extract.full_refresh or not extract.last.version
        return max(share, min(MIN_ALLOWED_REJECTS, extract.read // 2) if is_whole else MIN_ALLOWED_REJECTS)

    def refuse(self, reason: str, can_override: bool = False) -> None:
        """Raise LoadCheckError with the reason and, if a person may override the check, the command."""
        hint = f". To accept it: warehouse accept {self.table.label} --reason '…'" if can_override else ""
        raise LoadCheckError(f"{self.table.label}: {reason}; nothing was loaded{hint}", self.table)

    def use_override(self) -> bool:
        """Use up the override of this table's load checks, if there is one."""
        query = (
            "update governance.overrides set used_by_load = %s where system = %s and table_name = %s "
            "and not is_of_disposal and (used_by_load is null or used_by_load = %s)"
        )
        return self.run(query, [self.load_id, self.table.system.name, self.table.name, self.load_id]) > 0

    # --- load modes

    def load(self, parent: "_Commit | None") -> LoadResult:
        """Load the landing table into the store by the contract's load mode, and record the result."""
        extract, table = self.extract, self.table
        existed = self.value("select to_regclass(%s)", [self.names["store"].as_string(self.cursor)]) is not None
        if table.key:
            self._deduplicate()
        replaces_store = not existed or (extract.full_refresh and (table.load == "replace" or parent is not None))
        if existed and not replaces_store and not extract.last.version.startswith(extract.contract_digest):
            replaces_store = self._has_clear_identifiers()
        if not replaces_store:
            self._alter_store()
        before = extract.last.total
        if replaces_store:
            rows, total = self._replace()
        elif parent:
            rows, total = self._replace_children(parent, before)
        elif table.load == "merge":
            rows, total = self._merge(before)
        elif table.load == "history":
            rows, total = self._load_history(before)
        else:
            rows, total = self._append(before)
        if not replaces_store:
            self._define("create_raw_view", self._view_columns)
        self._store_identities()
        quarantined = self._quarantine()
        state = extract.version or self.load_id
        if existed and not rows and total == before:
            state = extract.last.version.partition(" ")[2]
        load_result = replace(
            extract.last,
            rows=rows,
            version=f"{extract.contract_digest} {state}",
            high_watermark=extract.high_watermark,
            read=extract.read + extract.skipped.total(),
            quarantined=quarantined,
            skipped=extract.skipped.total() + self.loaded_before,
            total=total,
            new_columns=extract.new_columns,
        )
        self._record(load_result)
        return load_result

    def _has_clear_identifiers(self) -> bool:
        """Whether the store has clear values of a new identifier column; raises if versions would be lost."""
        stored = self._store_columns()
        for name in (column.name for column in self.table.identifiers if column.name in stored):
            in_clear = "select exists (select from {store} where {column}::text !~ %s)"
            if self.value(in_clear, [PSEUDONYM_PATTERN], column=sql.Identifier(name)):
                if self.table.load == "merge" and self.extract.full_refresh:
                    return True
                self.refuse(
                    f"{name} is an identifier now, but rows loaded earlier hold clear values. Delete those rows"
                )
        return False

    def _replace(self) -> tuple[int, int]:
        """The landing table becomes the store's table; no row is copied."""
        self._define("replace_raw_table", self._view_columns)
        if self.table.load == "history":
            ended = self._end_versions("({key}) in (select {key} from {store} group by {key} having count(*) > 1)")
            return self.arrived, self.arrived - ended
        return self.arrived, self.arrived

    def _append(self, before: int) -> tuple[int, int]:
        removed = 0
        if self.extract.corrected_files:
            removed = self.run("delete from {store} where _source_file = any(%s)", [self.extract.corrected_files])
        if self.table.key:
            self._remove_loaded_keys()
        rows = self.run("insert into {store} ({columns}) select {columns} from {landing}")
        return rows + removed, before + rows - removed

    def _remove_loaded_keys(self) -> None:
        """Skip rows that were loaded before, as rows at the cursor's edge are; quarantine those with other content."""
        content = [name for name in self.extract.columns if name not in ORIGIN_COLUMNS]
        self.loaded_before = self.run(
            "delete from {landing} as l using {store} as s "
            "where {same_key} and ({stored}) is not distinct from ({landed})",
            stored=_list("s.{}", content),
            landed=_list("l.{}", content),
        )
        self._quarantine_landed(
            "with removed as (delete from {landing} as l using {store} as s where {same_key} returning l.*) ",
            "key loaded before with other content",
        )

    def _merge(self, before: int) -> tuple[int, int]:
        """One row per key: insert new, update changed rows, but not from an older file; a full refresh also deletes."""
        self._index("_store")
        newer: sql.Composable = sql.SQL("true")
        if self.table.cursor and self.table.files:  # a file may be late; any other source holds what is true now
            newer = sql.SQL("(s.{0} is null or excluded.{0} >= s.{0})").format(sql.Identifier(self.table.cursor))
        content = [name for name in self.extract.columns if name not in ORIGIN_COLUMNS]
        self.run(
            "with merged as (insert into {store} as s ({columns}) select {columns} from {landing} "
            "on conflict ({key}) do update set {assignments} where {newer} and ({stored}) is distinct from ({landed}) "
            "returning (xmax = 0) as is_new) select count(*), count(*) filter (where is_new) from merged",
            assignments=_list("{0} = excluded.{0}", self.extract.columns),
            newer=newer,
            stored=_list("s.{}", content),
            landed=_list("excluded.{}", content),
        )
        ((rows, new),) = self.cursor.fetchall()
        deleted = 0
        if self.extract.full_refresh:
            deleted = self.run(
                "delete from {store} as s where not exists (select from {landing} as l where {same_key})"
            )
        return rows + deleted, before + new - deleted

    def _load_history(self, before: int) -> tuple[int, int]:
        """Every version of a key, valid from the source's time if there is one; a late version finds its place."""
        self._index("_store")
        current = (
            "select count(*) from {store} as s where valid_to is null and exists "
            "(select from {landing} as l where {same_key})"
        )
        current_before = self.value(current)
        content = [name for name in self.extract.columns if name not in (*VALIDITY_COLUMNS, *ORIGIN_COLUMNS)]
        opened = self.run(
            "insert into {store} as s ({columns}) select {columns} from {landing} as l where not exists ("
            "select from {store} as s where {same_key} and s.valid_from <= l.valid_from "
            "and (s.valid_to is null or s.valid_to > l.valid_from) and ({stored}) is not distinct from ({landed})) "
            "on conflict ({versioned_key}) do update set {assignments}",
            stored=_list("s.{}", content),
            landed=_list("l.{}", content),
            assignments=_list("{0} = excluded.{0}", content),
        )
        self._end_versions("exists (select from {landing} as l where {same_key})")
        if self.extract.full_refresh:  # a key that was deleted, or set back at the source, is valid from now on
            opened += self.run(
                "insert into {store} ({columns}) select {columns} from (select distinct on ({landed_key}) {but}, "
                "greatest(%s, (select max(s.valid_from) + interval '1 microsecond' from {store} as s "
                "where {same_key})) as valid_from from {landing} as l order by {landed_key}, l.valid_from desc) as l "
                "where not exists (select from {store} as s where {same_key} and s.valid_to is null "
                "and ({stored}) is not distinct from ({landed}))",
                [self.extract.as_at],
                landed_key=_list("l.{}", self.table.key),
                but=_list("l.{}", [name for name in self.extract.columns if name != "valid_from"]),
                stored=_list("s.{}", content),
                landed=_list("l.{}", content),
            )
        self._end_versions("exists (select from {landing} as l where {same_key})")
        closed = 0
        current_after = self.value(current)
        if self.extract.full_refresh:
            closed = self.run(
                "update {store} as s set valid_to = %s where valid_to is null and not exists "
                "(select from {landing} as l where {same_key})",
                [self.extract.as_at],
            )
        return opened + closed, before + current_after - current_before - closed

    def _end_versions(self, which: str) -> int:
        """End each version where the next version of its key begins; return the number of versions changed."""
        return self.run(
            "update {store} as s set valid_to = n.next_from from (select {versioned_key}, lead(valid_from) over ("
            f"partition by {{key}} order by valid_from) as next_from from {{store}} as s where {which}) as n "
            "where {same_version} and n.next_from is not null and (s.valid_to is null or s.valid_to > n.next_from)",
            same_version=_list("s.{0} = n.{0}", [*self.table.key, "valid_from"], " and "),
        )

    def _replace_children(self, parent: "_Commit", before: int) -> tuple[int, int]:
        """Replace the child rows of the parents that were read."""
        same_parent = sql.SQL(" and ").join(
            sql.SQL("s.{0} = l.{0}").format(sql.Identifier(name)) for name in parent.table.key
        )
        deleted = self.run(
            "delete from {store} as s where exists (select from {parents} as l where {same_parent})",
            parents=parent.names["landing"],
            same_parent=same_parent,
        )
        rows = self.run("insert into {store} ({columns}) select {columns} from {landing}")
        return rows + deleted, before + rows - deleted

    # --- tables and views

    def _deduplicate(self) -> None:
        """Remove all but the latest landed row of each key, and create the key's unique index.

        A row that an API repeats has changed while the pages were read: it is discarded. Other duplicates are
        quarantined.
        """
        self.run("savepoint keys")
        try:
            self._index("_landing")
        except psycopg2.errors.UniqueViolation:
            self.run("rollback to savepoint keys")
            remove = (
                "with duplicates as (select ctid, row_number() over (partition by {versioned_key} "
                "order by {newest} ctid desc) as place from {landing}), "
                "removed as (delete from {landing} as l using duplicates "
                "where l.ctid = duplicates.ctid and duplicates.place > 1 returning l.*) "
            )
            if self.table.system.kind == "api":
                self.run(remove + "select * from removed")
                self.extract.read -= self.cursor.rowcount
                self.arrived -= self.cursor.rowcount
            else:
                duplicates = self._quarantine_landed(remove, "duplicate key")
                self.arrived -= duplicates
                self._limit_duplicates(duplicates)
            self._index("_landing")

    def _limit_duplicates(self, duplicates: int) -> None:
        extract = self.extract
        allowed = self._allowed_rejects()
        if extract.redriven is None and len(extract.rejects) + duplicates > allowed and not self.use_override():
            self.refuse(
                f"{duplicates:,} of {extract.read:,} rows rejected: duplicate key ({', '.join(self.table.key)}) "
                f"(contract allows {allowed:,})",
                can_override=True,
            )

    def _quarantine_landed(self, removed: str, rule: str) -> int:
        """Quarantine the landed rows that the query `removed` deletes; return their number."""
        return self.run(
            removed + "insert into quarantine.rows (system, table_name, rule, key, content, load_id, file_name, "
            "row_number) select %s, %s, %s, concat_ws('|', {key}), to_json(removed), %s, {place} from removed",
            [self.table.system.name, self.table.name, rule, self.load_id],
        )

    def _define(self, function: str, *values: object) -> None:
        """Call a function that makes or changes the raw table (warehouse/sql/raw_tables.sql)."""
        place = [self.table.system.name, self.table.name]
        self.cursor.execute(f"select governance.{function}(%s, %s{', %s' * len(values)})", [*place, *values])

    def _index(self, part: str) -> None:
        key = [*self.table.key, *(["valid_from"] if self.table.load == "history" else [])]
        self.cursor.execute(
            "select governance.index_raw_table(%s, %s, %s, %s)", [self.table.system.name, part, self.table.name, key]
        )

    @property
    def _view_columns(self) -> list[str]:
        """The declared columns, which the view shows to dbt."""
        return [name for name in self.extract.columns if name not in self.extract.new_columns]

    def _store_columns(self) -> dict[str, str]:
        """{name: Postgres type} of the store's columns."""
        self.run(
            "select attname, format_type(atttypid, atttypmod) from pg_attribute "
            "where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped",
            [self.names["store"].as_string(self.cursor)],
        )
        return dict(self.cursor.fetchall())

    def _alter_store(self) -> None:
        """Add the extract's new columns to the store's table, and change types."""
        stored = self._store_columns()
        for name, kind in self.extract.columns.items():
            if STORED_TYPES.get(stored.get(name, ""), stored.get(name)) != kind:
                self.run("savepoint retype")
                try:
                    self._define("alter_raw_table", name, kind)
                except psycopg2.DataError:
                    self.refuse(f"{name} has values that are not {kind}, the type in the contract")

    # --- records

    def _store_identities(self) -> None:
        """Load the identity records into the vault."""
        if self.extract.identities_file:
            store_identities(self.cursor, self.table, self.extract.identities_file, self.load_id)

    def _quarantine(self) -> int:
        """Quarantine the rejected rows and resolve earlier ones; return the number of rows quarantined by this load."""
        extract, table = self.extract, self.table
        place = [table.system.name, table.name]
        open_rows = "update quarantine.rows set resolved_at = now(), resolution = %s where resolved_at is null and "
        if extract.redriven is not None:
            self.run(open_rows + "row_id = any(%s)", ["loaded by redrive", extract.redriven])
            return 0
        others = "system = %s and table_name = %s and load_id <> %s"
        if extract.full_refresh:
            self.run(open_rows + others, ["full refresh of the source", *place, self.load_id])
        elif table.key and self.value("select to_regclass(%s)", [self.names["landing"].as_string(self.cursor)]):
            self.run(
                open_rows + others + " and key in (select concat_ws('|', {key}) from {landing})",
                ["a later version was loaded", *place, self.load_id],
            )
            rejected_again = [reject.key for reject in extract.rejects]
            self.run(
                open_rows + others + " and key = any(%s)", ["rejected again", *place, self.load_id, rejected_again]
            )
        execute_values(
            self.cursor,
            "insert into quarantine.rows "
            "(system, table_name, rule, column_name, key, file_name, row_number, content, load_id) values %s",
            [(*place, r.rule, r.column, r.key, r.file, r.row, r.content, self.load_id) for r in extract.rejects],
        )
        count = "select count(*) from quarantine.rows where load_id = %s and system = %s and table_name = %s"
        return int(self.value(count, [self.load_id, *place]))

    def _record(self, load_result: LoadResult) -> None:
        place = [self.table.system.name, self.table.name]
        if self.extract.full_refresh:
            self.run("delete from governance.loaded_files where system = %s and table_name = %s", place)
            self.run(
                "update governance.disposals set is_awaiting_full_refresh = false "
                "where system = %s and table_name = %s",
                place,
            )
        execute_values(
            self.cursor,
            "insert into governance.loaded_files (system, table_name, file_name, sha256, rows_read, load_id) values %s "
            "on conflict (system, table_name, sha256) do update set load_id = excluded.load_id",
            [(*place, *file, self.load_id) for file in self.extract.files],
        )
        record_load_result(self.cursor, self.table.system, load_result, self.load_id)

    def reconciles(self, load_result: LoadResult) -> bool:
        """Whether the table holds the source's row count, less quarantined and disposed rows."""
        counted_before = self.extract.full_refresh and self.table.system.kind == "database"
        if self.extract.source_total is None or counted_before or self.table.load == "append":
            return True
        place = [self.table.system.name, self.table.name]
        disposed = self.value(
            "select coalesce(sum(rows), 0) from governance.disposals where system = %s and table_name = %s "
            "and is_awaiting_full_refresh",
            place,
        )
        waiting = self.value(
            "select count(*) from quarantine.rows where system = %s and table_name = %s and resolved_at is null",
            place,
        )
        return bool(0 <= self.extract.source_total - load_result.total - waiting <= disposed)


def record_load_result(cursor: pg.cursor, system: System, load_result: LoadResult, load_id: str) -> None:
    """Insert one row into governance.load_audit."""
    cursor.execute(
        "insert into governance.load_audit (system, table_name, rows_written, data_version, high_watermark, load_id, "
        "rows_read, rows_quarantined, rows_skipped, rows_total, new_columns) "
        "values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        [
            system.name,
            load_result.table,
            load_result.rows,
            load_result.version,
            load_result.high_watermark,
            load_id,
            load_result.read,
            load_result.quarantined,
            load_result.skipped,
            load_result.total,
            load_result.new_columns,
        ],
    )


def store_identities(cursor: pg.cursor, table: Table, file: Path, load_id: str) -> None:
    """Load the identity records in `file` into the vault, except those that the vault has."""
    cursor.execute(f"create temporary table landed_identities ({RECORD_COLUMNS})")
    if file.exists():
        with file.open("rb") as lines:
            cursor.copy_expert("copy landed_identities from stdin", lines)
    cursor.execute(
        "with one as materialized (select distinct on (record_id) * from landed_identities), new as ("
        "insert into vault.identities (system, table_name, record_id, subject, tokens, encrypted, load_id) "
        "select %s, %s, record_id, subject, tokens, encrypted, %s from one on conflict do nothing returning record_id) "
        "insert into vault.data_keys (record_id, salt) "
        "select record_id, salt from one inner join new using (record_id)",
        [table.system.name, table.name, load_id],
    )
    cursor.execute("drop table landed_identities")


def known_identities(cursor: pg.cursor, table: Table) -> bytes:
    """The ids of the table's identity records in the vault, concatenated in order."""
    cursor.execute(
        "select string_agg(record_id, ''::bytea order by record_id) from vault.identities "
        "where system = %s and table_name = %s",
        [table.system.name, table.name],
    )
    return bytes(value_of(cursor) or b"")


def destroy_identities(cursor: pg.cursor, which: sql.Composable, values: Iterable[object]) -> None:
    """Delete identity records (`i`) and their salts; without the salts no copy can be decrypted."""
    query = sql.SQL(
        "with deleted as (delete from vault.identities as i where {} returning record_id) "
        "delete from vault.data_keys where record_id in (select record_id from deleted)"
    )
    cursor.execute(query.format(which), list(values))


def store_table(table: Table) -> sql.Identifier:
    """The store's table of a raw table."""
    return sql.Identifier(f"{table.system.name}_store", table.name)


def store_exists(cursor: pg.cursor, table: Table) -> bool:
    """Whether the store has the raw table."""
    cursor.execute("select to_regclass(%s)", [store_table(table).as_string(cursor)])
    return value_of(cursor) is not None


def last_load_results(cursor: pg.cursor, system: System) -> dict[str, LoadResult]:
    """{table: result} of the last load of each table."""
    cursor.execute(
        "select distinct on (table_name) table_name, rows_written, data_version, high_watermark, rows_read, "
        "rows_quarantined, rows_skipped, rows_total, new_columns, loaded_at from governance.load_audit "
        "where system = %s and to_regclass(format('%%I.%%I', system || '_store', table_name)) is not null "
        "order by table_name, load_audit_id desc",
        [system.name],
    )
    return {row[0]: LoadResult(*row) for row in cursor.fetchall()}


def _list(template: str, names: Iterable[str], separator: str = ", ") -> sql.Composable:
    return sql.SQL(separator).join(sql.SQL(template).format(sql.Identifier(name)) for name in names)
