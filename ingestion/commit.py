"""Commits landed extracts to a system's raw tables: guards first, then every table in one transaction.

Each raw table is a table in <system>_store and a view of its declared columns in <system>, which is what dbt reads. dlt
brings an extract to <system>_landing; nothing that is wrong with it has touched the store by then.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2 import extensions as pg
from psycopg2 import sql
from psycopg2.extras import execute_values

from ingestion.contracts import HISTORY, PLACE, SourceError, System, Table
from ingestion.landing import ARRIVED, landed
from ingestion.postgres import value_of
from ingestion.privacy import PSEUDONYM, RECORDS
from ingestion.tables import Reject

FEW_REJECTS = 10  # rows that may be unfit whatever share of the load they are


@dataclass
class Landing:
    """What a load did to a raw table; `version` changes only when the table's content does.

    `rows` were new or changed; of `read` rows at source `quarantined` did not fit; `total` the source has and the table
    holds. `new_columns` are those that the source has and the contract neither declares nor leaves out.
    """

    table: str
    rows: int = 0
    version: str = ""
    cut_off: str = ""
    read: int = 0
    quarantined: int = 0
    total: int = 0
    new_columns: list[str] = field(default_factory=list)
    landed_at: datetime | None = None


@dataclass
class Extract:
    """What was read of one table: `whole` is everything that the source has, otherwise what changed.

    `source_rows`, `source_sums` are the source's own figures for what was asked for, `source_total` for all it has;
    None where it gives none. `files` are (name, content hash, rows). `redriven` are quarantine rows that now fit.
    `identities` has the identity records that were parted from the rows, a line each (ingestion.privacy.RECORDS).
    """

    table: Table
    last: Landing
    whole: bool
    contract: str
    as_at: datetime
    high: date | datetime | int | None = None
    read: int = 0
    sums: dict[str, int] = field(default_factory=dict)
    source_rows: tuple[int, int] | None = None
    source_sums: dict[str, object] = field(default_factory=dict)
    source_total: int | None = None
    rejects: list[Reject] = field(default_factory=list)
    new_columns: list[str] = field(default_factory=list)
    files: list[tuple[str, str, int]] = field(default_factory=list)
    corrected: list[str] = field(default_factory=list)
    redriven: list[int] | None = None
    identities: Path | None = None
    version: str = ""
    cut_off: str = ""

    @property
    def columns(self) -> dict[str, str]:
        """{name: Postgres type} of what lands."""
        table = self.table
        columns = {name: kind for column in table.columns for name, kind in column.landed.items()}
        columns |= dict.fromkeys(self.new_columns, "text")
        columns |= PLACE if table.files else {}
        return columns | (HISTORY if table.load == "history" else {})


class UnreconciledError(Exception):
    """After its changes a table would not hold as many rows as its source has: it has to be read whole."""

    def __init__(self, tables: set[str]):
        super().__init__(", ".join(sorted(tables)))
        self.tables = tables


def commit(cursor: pg.cursor, extracts: list[Extract], load_id: str) -> list[Landing]:
    """Brings every extract into its raw table, or none: raises SourceError where a guard refuses one.

    Raises UnreconciledError where changes alone do not explain how many rows a source has.
    """
    landings, unreconciled = [], set()
    commits = {extract.table.name: _Commit(cursor, extract, load_id) for extract in extracts}
    for step in commits.values():
        step.guard()
    for name, step in commits.items():
        landing = step.land(commits.get(step.table.parent or ""))
        landings.append(landing)
        if not step.reconciles(landing):
            unreconciled.add(name)
    if unreconciled:
        raise UnreconciledError(unreconciled)
    for step in commits.values():
        step.run("drop table if exists {landing}, {arrived}")  # what was there is in the store now, and nowhere else
    return landings


class _Commit:
    """One table's part of the transaction."""

    def __init__(self, cursor: pg.cursor, extract: Extract, load_id: str):
        self.cursor, self.extract, self.table, self.load_id = cursor, extract, extract.table, load_id
        system, name = self.table.system.name, self.table.name
        key = self.table.key
        self.names = {
            "landing": landed(self.table.system, name),
            "arrived": landed(self.table.system, ARRIVED),
            "store": sql.Identifier(f"{system}_store", name),
            "old": sql.Identifier(f"{system}_store", f"{name}__old"),
            "view": sql.Identifier(system, name),
            "name": sql.Identifier(name),
            "old_name": sql.Identifier(f"{name}__old"),
            "store_schema": sql.Identifier(f"{system}_store"),
            "index": sql.Identifier(f"{name}_key"),
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

    def run(self, query: str, values: Iterable[object] = (), **parts: sql.Composable) -> int:
        """Executes a query with the table's names in it; the number of rows that it touched."""
        self.cursor.execute(sql.SQL(query).format(**self.names, **parts), list(values))
        return self.cursor.rowcount

    def value(self, query: str, values: Iterable[object] = (), **parts: sql.Composable) -> Any:
        """The first value of a query's first row, None where there is no row."""
        self.run(query, values, **parts)
        row = self.cursor.fetchone()
        return row and row[0]

    # --- guards

    def guard(self) -> None:
        """Refuses what is not all there, and what is further from the last load than the contract believes."""
        extract, table = self.extract, self.table
        self.arrived = self.value(
            "select coalesce(sum(rows), 0)::bigint from {arrived} where table_name = %s", [table.name]
        )
        if extract.source_rows and not extract.source_rows[0] <= extract.read <= extract.source_rows[1]:
            self.refuse(f"the source counts {extract.source_rows[1]:,} rows and {extract.read:,} were read")
        for name, total in extract.source_sums.items():
            if total != extract.sums.get(name, 0):
                self.refuse(f"the sum of {name} over the rows read is not the source's own; rows were cut or changed")
        if self.arrived != extract.read - len(extract.rejects):
            self.refuse(f"{extract.read:,} rows were read and {self.arrived:,} arrived")
        believed = max(FEW_REJECTS, int(table.rejects * extract.read))
        if extract.redriven is None and len(extract.rejects) > believed and not self.accepted():
            reasons = [reject.reason for reject in extract.rejects]
            most = max(set(reasons), key=reasons.count)
            self.refuse(
                f"{len(extract.rejects):,} of {extract.read:,} rows do not fit the contract, "
                f"{reasons.count(most):,} of them by {most}; it believes {believed:,}",
                acceptable=True,
            )
        had = extract.last.total
        if extract.whole and self.arrived < had * (1 - table.shrink) and not self.accepted():
            amount = "is empty" if not extract.read else f"has {self.arrived:,} rows"
            when = f" (landed {extract.last.landed_at:%d %B %Y %H:%M})" if extract.last.landed_at else ""
            self.refuse(
                f"the source {amount} and the warehouse {had:,}{when}; the contract believes that "
                f"{table.shrink:.0%} may go",
                acceptable=True,
            )

    def refuse(self, reason: str, acceptable: bool = False) -> None:
        """Raises SourceError with the reason, and how to let it through where that is a person's decision."""
        way = f". If that is right: warehouse accept {self.table.label} --reason '…'" if acceptable else ""
        raise SourceError(f"{self.table.label}: {reason}; nothing was loaded{way}", self.table)

    def accepted(self) -> bool:
        """Uses up somebody's decision to let this table's next load through, if there is one."""
        decision = (
            "update governance.overrides set used_by_load = %s where system = %s and table_name = %s "
            "and (used_by_load is null or used_by_load = %s)"
        )
        return self.run(decision, [self.load_id, self.table.system.name, self.table.name, self.load_id]) > 0

    # --- load modes

    def land(self, parent: "_Commit | None") -> Landing:
        """Brings the landed rows into the store as the load mode says, and writes down what was done."""
        extract, table = self.extract, self.table
        existed = self.value("select to_regclass(%s)", [self.names["store"].as_string(self.cursor)]) is not None
        if table.kept_by_key or (table.load == "append" and table.key):
            self._one_row_per_key()
        in_its_place = not existed or (extract.whole and (table.load == "replace" or parent is not None))
        if existed and not in_its_place and not extract.last.version.startswith(extract.contract):
            in_its_place = self._has_clear_identifiers()
        if not in_its_place:
            self._adapt()
        before = extract.last.total
        if in_its_place:
            rows, total = self._replace(existed)
        elif parent:
            rows, total = self._follow(parent, before)
        elif table.load == "merge":
            rows, total = self._merge(before)
        elif table.load == "history":
            rows, total = self._version(before)
        else:
            rows, total = self._append(before)
        self._show()
        self._keep_identities()
        quarantined = self._quarantine()
        state = extract.version or self.load_id
        if existed and not rows and total == before:
            state = extract.last.version.partition(" ")[2]
        landing = replace(
            extract.last,
            rows=rows,
            version=f"{extract.contract} {state}",
            cut_off=extract.cut_off,
            read=extract.read,
            quarantined=quarantined,
            total=total,
            new_columns=extract.new_columns,
        )
        self._record(landing)
        return landing

    def _has_clear_identifiers(self) -> bool:
        """Whether the store has values of before a column was an identifier; raises where versions would be lost."""
        held = self._held()
        for name in (column.name for column in self.table.identifiers if column.name in held):
            in_clear = "select exists (select from {store} where {column}::text !~ %s)"
            if self.value(in_clear, [PSEUDONYM], column=sql.Identifier(name)):
                if self.table.load == "merge" and self.extract.whole:
                    return True
                self.refuse(f"{name} is an identifier now, and rows that landed before have it in clear; drop them")
        return False

    def _replace(self, existed: bool) -> tuple[int, int]:
        """The landed table takes the store's place; nothing is copied."""
        if existed:
            self.run("alter table {store} rename to {old_name}")
            self.run("drop index if exists {store_schema}.{index}")
        self.run("alter table {landing} set schema {store_schema}")
        self._show()
        self.run("drop table if exists {old}")
        if self.table.load == "history":
            ended = self._end_versions("({key}) in (select {key} from {store} group by {key} having count(*) > 1)")
            return self.arrived, self.arrived - ended
        return self.arrived, self.arrived

    def _append(self, before: int) -> tuple[int, int]:
        removed = 0
        if self.extract.corrected:
            removed = self.run("delete from {store} where _source_file = any(%s)", [self.extract.corrected])
        conflict = sql.SQL("on conflict do nothing" if self.table.key and self.table.load == "append" else "")
        rows = self.run("insert into {store} ({columns}) select {columns} from {landing} {conflict}", conflict=conflict)
        return rows + removed, before + rows - removed

    def _merge(self, before: int) -> tuple[int, int]:
        """One row per key: new and changed ones, never an older one; whole extracts also say what is gone."""
        self._index("store")
        newer: sql.Composable = sql.SQL("true")
        if self.table.cursor:
            newer = sql.SQL("(s.{0} is null or excluded.{0} >= s.{0})").format(sql.Identifier(self.table.cursor))
        content = [name for name in self.extract.columns if name not in PLACE]
        self.run(
            "with landed as (insert into {store} as s ({columns}) select {columns} from {landing} "
            "on conflict ({key}) do update set {assignments} where {newer} and ({held}) is distinct from ({came}) "
            "returning (xmax = 0) as is_new) select count(*), count(*) filter (where is_new) from landed",
            assignments=_list("{0} = excluded.{0}", self.extract.columns),
            newer=newer,
            held=_list("s.{}", content),
            came=_list("excluded.{}", content),
        )
        ((rows, new),) = self.cursor.fetchall()
        gone = 0
        if self.extract.whole:
            gone = self.run("delete from {store} as s where not exists (select from {landing} as l where {same_key})")
        return rows + gone, before + new - gone

    def _version(self, before: int) -> tuple[int, int]:
        """Every version of a key, valid from the source's own time where it has one; a late one finds its place."""
        self._index("store")
        current = (
            "select count(*) from {store} as s where valid_to is null and exists "
            "(select from {landing} as l where {same_key})"
        )
        were = self.value(current)
        content = [name for name in self.extract.columns if name not in (*HISTORY, *PLACE)]
        opened = self.run(
            "insert into {store} as s ({columns}) select {columns} from {landing} as l where not exists ("
            "select from {store} as s where {same_key} and s.valid_from <= l.valid_from "
            "and (s.valid_to is null or s.valid_to > l.valid_from) and ({held}) is not distinct from ({came})) "
            "on conflict ({versioned_key}) do update set {assignments}",
            held=_list("s.{}", content),
            came=_list("l.{}", content),
            assignments=_list("{0} = excluded.{0}", content),
        )
        if self.extract.whole:  # back after it was gone, unchanged: valid again from now on
            opened += self.run(
                "insert into {store} ({columns}) select {columns} from (select {but}, %s as valid_from from {landing} "
                "as l where not exists (select from {store} as s where {same_key} and s.valid_to is null)) as l",
                [self.extract.as_at],
                but=_list("l.{}", [name for name in self.extract.columns if name != "valid_from"]),
            )
        self._end_versions("exists (select from {landing} as l where {same_key})")
        closed = 0
        are = self.value(current)
        if self.extract.whole:
            closed = self.run(
                "update {store} as s set valid_to = %s where valid_to is null and not exists "
                "(select from {landing} as l where {same_key})",
                [self.extract.as_at],
            )
        return opened + closed, before + are - were - closed

    def _end_versions(self, which: str) -> int:
        """Ends each version where the next one of its key begins; the number of versions ended or shortened."""
        return self.run(
            "update {store} as s set valid_to = n.next_from from (select {versioned_key}, lead(valid_from) over ("
            f"partition by {{key}} order by valid_from) as next_from from {{store}} as s where {which}) as n "
            "where {same_version} and n.next_from is not null and (s.valid_to is null or s.valid_to > n.next_from)",
            same_version=_list("s.{0} = n.{0}", [*self.table.key, "valid_from"], " and "),
        )

    def _follow(self, parent: "_Commit", before: int) -> tuple[int, int]:
        """Child rows of the parents that came are replaced by those that came with them."""
        theirs = sql.SQL(" and ").join(
            sql.SQL("s.{0} = l.{0}").format(sql.Identifier(name)) for name in parent.table.key
        )
        gone = self.run(
            "delete from {store} as s where exists (select from {parents} as l where {theirs})",
            parents=parent.names["landing"],
            theirs=theirs,
        )
        rows = self.run("insert into {store} ({columns}) select {columns} from {landing}")
        return rows + gone, before + rows - gone

    # --- the tables themselves

    def _one_row_per_key(self) -> None:
        """Parts all but the latest of the landed rows with the same key, and makes the index that proves it.

        An API gives a row again that changed while its pages were read: that is no fault, and only the latest counts.
        """
        self.run("savepoint keys")
        try:
            self._index("landing")
        except psycopg2.errors.UniqueViolation:
            self.run("rollback to savepoint keys")
            part = (
                "with doubles as (select ctid, row_number() over (partition by {versioned_key} "
                "order by {newest} ctid desc) as place from {landing}), "
                "parted as (delete from {landing} as l using doubles "
                "where l.ctid = doubles.ctid and doubles.place > 1 returning l.*) "
            )
            if self.table.system.kind == "api":
                self.run(part + "select * from parted")
                self.extract.read -= self.cursor.rowcount
                self.arrived -= self.cursor.rowcount
            else:
                self.arrived -= self.run(
                    part + "insert into quarantine.rows (system, table_name, rule, key, content, load_id, file_name, "
                    "row_number) select %s, %s, 'key came twice', concat_ws('|', {key}), to_json(parted), %s, {place} "
                    "from parted",
                    [self.table.system.name, self.table.name, self.load_id],
                )
            self._index("landing")

    def _index(self, where: str) -> None:
        self.run(f"create unique index if not exists {{index}} on {{{where}}} ({{versioned_key}})")

    def _held(self) -> dict[str, str]:
        """{name: Postgres type} of the store's columns."""
        self.run(
            "select attname, format_type(atttypid, atttypmod) from pg_attribute "
            "where attrelid = to_regclass(%s) and attnum > 0 and not attisdropped",
            [self.names["store"].as_string(self.cursor)],
        )
        return dict(self.cursor.fetchall())

    def _adapt(self) -> None:
        """Gives the store's table the columns and types that came."""
        held = self._held()
        for name, kind in self.extract.columns.items():
            column = sql.Identifier(name)
            if name not in held:
                self.run("alter table {store} add column {column} " + kind, column=column)
            elif held[name].replace("timestamp with time zone", "timestamptz") != kind:
                self.run("drop view if exists {view} cascade")
                self.run("savepoint retype")
                try:
                    self.run(
                        "alter table {store} alter column {column} type " + f"{kind} using {{column}}::{kind}",
                        column=column,
                    )
                except psycopg2.DataError:
                    self.refuse(f"{name} holds values that are not {kind}, which the contract says now")

    def _show(self) -> None:
        """The view of the declared columns, which dbt reads: what is not declared yet is in the store alone."""
        names = [name for name in self.extract.columns if name not in self.extract.new_columns]
        create = "create or replace view {view} as select {shown} from {store}"
        self.run("savepoint view")
        try:
            self.run(create, shown=_list("{}", names))
        except psycopg2.errors.InvalidTableDefinition:  # a column went or changed its type: dbt makes its views anew
            self.run("rollback to savepoint view")
            self.run("drop view {view} cascade")
            self.run(create, shown=_list("{}", names))

    # --- what is written down

    def _keep_identities(self) -> None:
        """Brings identity records to the vault."""
        if self.extract.identities:
            keep_identities(self.cursor, self.table, self.extract.identities, self.load_id)

    def _quarantine(self) -> int:
        """Writes down the rows that did not fit, and closes the cases that this load settles; how many it parted."""
        extract, table = self.extract, self.table
        place = [table.system.name, table.name]
        open_rows = "update quarantine.rows set resolved_at = now(), resolution = %s where resolved_at is null and "
        if extract.redriven is not None:
            self.run(open_rows + "row_id = any(%s)", ["landed when driven again", extract.redriven])
            return 0
        others = "system = %s and table_name = %s and load_id <> %s"
        if extract.whole:
            self.run(open_rows + others, ["the source was read again", *place, self.load_id])
        elif table.key and self.value("select to_regclass(%s)", [self.names["landing"].as_string(self.cursor)]):
            self.run(
                open_rows + others + " and key in (select concat_ws('|', {key}) from {landing})",
                ["a later version has landed", *place, self.load_id],
            )
            refused_again = [reject.key for reject in extract.rejects]
            self.run(open_rows + others + " and key = any(%s)", ["refused again", *place, self.load_id, refused_again])
        execute_values(
            self.cursor,
            "insert into quarantine.rows "
            "(system, table_name, rule, column_name, key, file_name, row_number, content, load_id) values %s",
            [(*place, r.rule, r.column, r.key, r.file, r.row, r.content, self.load_id) for r in extract.rejects],
        )
        count = "select count(*) from quarantine.rows where load_id = %s and system = %s and table_name = %s"
        return int(self.value(count, [self.load_id, *place]))

    def _record(self, landing: Landing) -> None:
        place = [self.table.system.name, self.table.name]
        if self.extract.whole:
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
        record_landing(self.cursor, self.table.system, landing, self.load_id)

    def reconciles(self, landing: Landing) -> bool:
        """Whether the table now holds what the source counts, less what is in quarantine or was disposed of here."""
        counted_before = self.extract.whole and self.table.system.kind == "database"
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
        return bool(0 <= self.extract.source_total - landing.total - waiting <= disposed)


def record_landing(cursor: pg.cursor, system: System, landing: Landing, load_id: str) -> None:
    """One row of governance.load_audit."""
    cursor.execute(
        "insert into governance.load_audit (system, table_name, rows_written, data_version, high_watermark, load_id, "
        "rows_read, rows_quarantined, rows_total, new_columns) values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        [
            system.name,
            landing.table,
            landing.rows,
            landing.version,
            landing.cut_off,
            load_id,
            landing.read,
            landing.quarantined,
            landing.total,
            landing.new_columns,
        ],
    )


def keep_identities(cursor: pg.cursor, table: Table, file: Path, load_id: str) -> None:
    """Brings the identity records in `file` to the vault, except those that it has."""
    cursor.execute(f"create temporary table came ({RECORDS})")
    if file.exists():
        with file.open("rb") as lines:
            cursor.copy_expert("copy came from stdin", lines)
    cursor.execute(
        "with one as materialized (select distinct on (record_id) * from came), new as ("
        "insert into vault.identities (system, table_name, record_id, subject, tokens, encrypted, load_id) "
        "select %s, %s, record_id, subject, tokens, encrypted, %s from one on conflict do nothing returning record_id) "
        "insert into vault.data_keys (record_id, salt) "
        "select record_id, salt from one inner join new using (record_id)",
        [table.system.name, table.name, load_id],
    )
    cursor.execute("drop table came")


def known_identities(cursor: pg.cursor, table: Table) -> bytes:
    """The names of the table's records in the vault, one after another, in order."""
    cursor.execute(
        "select string_agg(record_id, ''::bytea order by record_id) from vault.identities "
        "where system = %s and table_name = %s",
        [table.system.name, table.name],
    )
    return bytes(value_of(cursor) or b"")


def destroy_identities(cursor: pg.cursor, which: sql.Composable, values: Iterable[object]) -> None:
    """Destroys identity records (`i`), and the salts without which nothing opens a copy of them."""
    query = sql.SQL(
        "with gone as (delete from vault.identities as i where {} returning record_id) "
        "delete from vault.data_keys where record_id in (select record_id from gone)"
    )
    cursor.execute(query.format(which), list(values))


def store_of(table: Table) -> sql.Identifier:
    """The table in which a raw table's rows are."""
    return sql.Identifier(f"{table.system.name}_store", table.name)


def has_landed(cursor: pg.cursor, table: Table) -> bool:
    """Whether the raw table is there."""
    cursor.execute("select to_regclass(%s)", [store_of(table).as_string(cursor)])
    return value_of(cursor) is not None


def last_landings(cursor: pg.cursor, system: System) -> dict[str, Landing]:
    """What the last load of each table did."""
    cursor.execute(
        "select distinct on (table_name) table_name, rows_written, data_version, high_watermark, rows_read, "
        "rows_quarantined, rows_total, new_columns, loaded_at from governance.load_audit "
        "where system = %s and to_regclass(format('%%I.%%I', system || '_store', table_name)) is not null "
        "order by table_name, load_audit_id desc",
        [system.name],
    )
    return {row[0]: Landing(*row) for row in cursor.fetchall()}


def _list(template: str, names: Iterable[str], separator: str = ", ") -> sql.Composable:
    return sql.SQL(separator).join(sql.SQL(template).format(sql.Identifier(name)) for name in names)
