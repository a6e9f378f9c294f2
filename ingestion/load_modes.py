"""Load modes: how the landing table of an extract changes the store. Each returns (rows changed, rows in the table)."""

import psycopg2
from psycopg2 import sql

from ingestion.contracts import ORIGIN_COLUMNS, VALIDITY_COLUMNS
from ingestion.load_checks import limit_duplicates
from ingestion.privacy import PSEUDONYM_PATTERN
from ingestion.raw_table import RawTable, listed


def replace_table(raw: RawTable) -> tuple[int, int]:
    """The landing table becomes the store's table; no row is copied."""
    raw.define("replace_raw_table", raw.view_columns)
    if raw.table.load == "history":
        ended = _end_versions(raw, "({key}) in (select {key} from {store} group by {key} having count(*) > 1)")
        return raw.arrived, raw.arrived - ended
    return raw.arrived, raw.arrived


def append(raw: RawTable, before: int) -> tuple[int, int]:
    removed = 0
    if raw.extract.corrected_files:
        removed = raw.run("delete from {store} where _source_file = any(%s)", [raw.extract.corrected_files])
    if raw.table.key:
        _remove_loaded_keys(raw)
    rows = raw.run("insert into {store} ({columns}) select {columns} from {landing}")
    return rows + removed, before + rows - removed


def _remove_loaded_keys(raw: RawTable) -> None:
    """Skip rows that were loaded before, as rows at the cursor's edge are; quarantine those with other content."""
    content = [name for name in raw.extract.columns if name not in ORIGIN_COLUMNS]
    raw.loaded_before = raw.run(
        "delete from {landing} as l using {store} as s where {same_key} and ({stored}) is not distinct from ({landed})",
        stored=listed("s.{}", content),
        landed=listed("l.{}", content),
    )
    raw.quarantine_landed(
        "with removed as (delete from {landing} as l using {store} as s where {same_key} returning l.*) ",
        "key loaded before with other content",
    )


def merge(raw: RawTable, before: int) -> tuple[int, int]:
    """One row per key: insert new, update changed rows, but not from an older file; a full refresh also deletes."""
    raw.index_store()
    newer: sql.Composable = sql.SQL("true")
    if raw.table.cursor and raw.table.files:  # a file may be late; any other source holds what is true now
        newer = sql.SQL("(s.{0} is null or excluded.{0} >= s.{0})").format(sql.Identifier(raw.table.cursor))
    content = [name for name in raw.extract.columns if name not in ORIGIN_COLUMNS]
    raw.run(
        "with merged as (insert into {store} as s ({columns}) select {columns} from {landing} "
        "on conflict ({key}) do update set {assignments} where {newer} and ({stored}) is distinct from ({landed}) "
        "returning (xmax = 0) as is_new) select count(*), count(*) filter (where is_new) from merged",
        assignments=listed("{0} = excluded.{0}", raw.extract.columns),
        newer=newer,
        stored=listed("s.{}", content),
        landed=listed("excluded.{}", content),
    )
    ((rows, new),) = raw.cursor.fetchall()
    deleted = 0
    if raw.extract.full_refresh:
        deleted = raw.run("delete from {store} as s where not exists (select from {landing} as l where {same_key})")
    return rows + deleted, before + new - deleted


def load_history(raw: RawTable, before: int) -> tuple[int, int]:
    """Every version of a key, valid from the source's time if there is one; a late version finds its place."""
    if raw.has_new_contract:
        _date_rows_of_another_mode(raw)
    raw.index_store()
    current = (
        "select count(*) from {store} as s where valid_to is null and exists "
        "(select from {landing} as l where {same_key})"
    )
    current_before = raw.value(current)
    content = [name for name in raw.extract.columns if name not in (*VALIDITY_COLUMNS, *ORIGIN_COLUMNS)]
    opened = raw.run(
        "insert into {store} as s ({columns}) select {columns} from {landing} as l where not exists ("
        "select from {store} as s where {same_key} and s.valid_from <= l.valid_from "
        "and (s.valid_to is null or s.valid_to > l.valid_from) and ({stored}) is not distinct from ({landed})) "
        "on conflict ({versioned_key}) do update set {assignments}",
        stored=listed("s.{}", content),
        landed=listed("l.{}", content),
        assignments=listed("{0} = excluded.{0}", content),
    )
    _end_versions(raw, "exists (select from {landing} as l where {same_key})")
    if raw.extract.full_refresh:  # a key that was deleted, or set back at the source, is valid from now on
        opened += raw.run(
            "insert into {store} ({columns}) select {columns} from (select distinct on ({landed_key}) {but}, "
            "greatest(%s, (select max(s.valid_from) + interval '1 microsecond' from {store} as s "
            "where {same_key})) as valid_from from {landing} as l order by {landed_key}, l.valid_from desc) as l "
            "where not exists (select from {store} as s where {same_key} and s.valid_to is null "
            "and ({stored}) is not distinct from ({landed}))",
            [raw.extract.as_at],
            landed_key=listed("l.{}", raw.table.key),
            but=listed("l.{}", [name for name in raw.extract.columns if name != "valid_from"]),
            stored=listed("s.{}", content),
            landed=listed("l.{}", content),
        )
    _end_versions(raw, "exists (select from {landing} as l where {same_key})")
    closed = 0
    current_after = raw.value(current)
    if raw.extract.full_refresh:
        closed = raw.run(
            "update {store} as s set valid_to = %s where valid_to is null and not exists "
            "(select from {landing} as l where {same_key})",
            [raw.extract.as_at],
        )
    return opened + closed, before + current_after - current_before - closed


def _date_rows_of_another_mode(raw: RawTable) -> None:
    """Rows that were loaded before the contract said `history` are versions from their cursor, or the last load, on."""
    since: sql.Composable = sql.SQL("null")
    if name := raw.table.cursor:
        zone = sql.Literal(raw.table.system.time_zone)
        since = sql.SQL("{}::timestamp at time zone {}").format(sql.Identifier(name), zone)
        if raw.table.column(name).data_type == "timestamptz":
            since = sql.Identifier(name)
    raw.run(
        "update {store} set valid_from = coalesce({since}, %s) where valid_from is null",
        [raw.extract.last.loaded_at or raw.extract.as_at],
        since=since,
    )


def _end_versions(raw: RawTable, which: str) -> int:
    """End each version where the next version of its key begins; return the number of versions changed."""
    return raw.run(
        "update {store} as s set valid_to = n.next_from from (select {versioned_key}, lead(valid_from) over ("
        f"partition by {{key}} order by valid_from) as next_from from {{store}} as s where {which}) as n "
        "where {same_version} and n.next_from is not null and (s.valid_to is null or s.valid_to > n.next_from)",
        same_version=listed("s.{0} = n.{0}", [*raw.table.key, "valid_from"], " and "),
    )


def replace_children(raw: RawTable, parent: RawTable, before: int) -> tuple[int, int]:
    """Replace the child rows of the parents that were read."""
    same_parent = sql.SQL(" and ").join(
        sql.SQL("s.{0} = l.{0}").format(sql.Identifier(name)) for name in parent.table.key
    )
    deleted = raw.run(
        "delete from {store} as s where exists (select from {parents} as l where {same_parent})",
        parents=parent.names["landing"],
        same_parent=same_parent,
    )
    rows = raw.run("insert into {store} ({columns}) select {columns} from {landing}")
    return rows + deleted, before + rows - deleted


def deduplicate(raw: RawTable) -> None:
    """Remove all but the latest landed row of each key, and create the key's unique index.

    A row that an API repeats has changed while the pages were read: it is discarded. Other duplicates are
    quarantined.
    """
    raw.run("savepoint keys")
    try:
        raw.create_index("_landing")
    except psycopg2.errors.UniqueViolation:
        raw.run("rollback to savepoint keys")
        remove = (
            "with duplicates as (select ctid, row_number() over (partition by {versioned_key} "
            "order by {newest} ctid desc) as place from {landing}), "
            "removed as (delete from {landing} as l using duplicates "
            "where l.ctid = duplicates.ctid and duplicates.place > 1 returning l.*) "
        )
        if raw.table.system.kind == "api":
            raw.run(remove + "select * from removed")
            raw.extract.read -= raw.cursor.rowcount
            raw.arrived -= raw.cursor.rowcount
        else:
            duplicates = raw.quarantine_landed(remove, "duplicate key")
            raw.arrived -= duplicates
            limit_duplicates(raw, duplicates)
        raw.create_index("_landing")


def has_clear_identifiers(raw: RawTable) -> bool:
    """Whether the store has clear values of a new identifier column; raises if versions would be lost."""
    stored = raw.store_columns()
    for name in (column.name for column in raw.table.identifiers if column.name in stored):
        in_clear = "select exists (select from {store} where {column}::text !~ %s)"
        if raw.value(in_clear, [PSEUDONYM_PATTERN], column=sql.Identifier(name)):
            if raw.table.load == "merge" and raw.extract.full_refresh:
                return True
            raw.refuse(f"{name} is an identifier now, but rows loaded earlier hold clear values. Delete those rows")
    return False
