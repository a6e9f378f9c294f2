"""Commit a system's extracts from the landing schema to its raw tables in one transaction, after all load checks.

A raw table is a table in <system>_store and a view of its declared columns in <system>, which dbt reads. dlt loads an
extract into <system>_landing; a load check refuses it there, before it reaches the store.
"""

from dataclasses import replace

from psycopg2 import extensions as pg
from psycopg2.extras import execute_values

from ingestion.identities import store_identities
from ingestion.load_checks import check_extract, keep_versions, reconciles
from ingestion.load_modes import (
    append,
    deduplicate,
    has_clear_identifiers,
    load_history,
    merge,
    replace_children,
    replace_table,
)
from ingestion.load_results import ExtractResult, LoadResult, record_load_result
from ingestion.raw_table import RawTable


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
    commits = {extract.table.name: RawTable(cursor, extract, load_id) for extract in extracts}
    for step in commits.values():
        check_extract(step)
    for name, step in commits.items():
        load_result = _load(step, commits.get(step.table.parent or ""))
        load_results.append(load_result)
        if not reconciles(step, load_result):
            unreconciled.add(name)
    if unreconciled:
        raise UnreconciledError(unreconciled)
    for system in {extract.table.system.name for extract in extracts}:
        cursor.execute("select governance.drop_landing_tables(%s)", [system])  # their rows are in the store now
    return load_results


def _load(raw: RawTable, parent: RawTable | None) -> LoadResult:
    """Load the landing table into the store by the contract's load mode, and record the result."""
    extract, table = raw.extract, raw.table
    existed = raw.value("select to_regclass(%s)", [raw.names["store"].as_string(raw.cursor)]) is not None
    if existed and raw.has_new_contract and table.load != "history":
        keep_versions(raw)
    if table.key:
        deduplicate(raw)
    replaces_store = not existed or (extract.full_refresh and (table.load == "replace" or parent is not None))
    if existed and not replaces_store and raw.has_new_contract:
        replaces_store = has_clear_identifiers(raw)
    if not replaces_store:
        raw.alter_store()
    before = extract.last.total if replaces_store or extract.last.version else _stored_rows(raw)
    if replaces_store:
        rows, total = replace_table(raw)
    elif parent:
        rows, total = replace_children(raw, parent, before)
    elif table.load == "merge":
        rows, total = merge(raw, before)
    elif table.load == "history":
        rows, total = load_history(raw, before)
    else:
        rows, total = append(raw, before)
    if not replaces_store:
        raw.define("create_raw_view", raw.view_columns)
    if raw.extract.identities_file:
        store_identities(raw.cursor, raw.table, raw.extract.identities_file, raw.load_id)
    quarantined = _quarantine(raw)
    state = extract.version or raw.load_id
    if existed and not rows and total == before:
        state = extract.last.version.partition(" ")[2]
    load_result = replace(
        extract.last,
        rows=rows,
        version=f"{extract.contract_digest} {state}",
        high_watermark=extract.high_watermark,
        read=extract.read + extract.skipped.total(),
        quarantined=quarantined,
        skipped=extract.skipped.total() + raw.loaded_before,
        total=total,
        new_columns=extract.new_columns,
    )
    _record(raw, load_result)
    return load_result


def _stored_rows(raw: RawTable) -> int:
    """The rows in the store, versions that have ended left out; for a table whose last load is not on record."""
    current = "where valid_to is null" if raw.table.load == "history" else ""
    return int(raw.value(f"select count(*) from {{store}} {current}"))


def _quarantine(raw: RawTable) -> int:
    """Quarantine the rejected rows and resolve earlier ones; return the number of rows quarantined by this load."""
    extract, table = raw.extract, raw.table
    place = [table.system.name, table.name]
    open_rows = "update quarantine.rows set resolved_at = now(), resolution = %s where resolved_at is null and "
    if extract.redriven is not None:
        raw.run(open_rows + "row_id = any(%s)", ["loaded by redrive", extract.redriven])
        return 0
    others = "system = %s and table_name = %s and load_id <> %s"
    if extract.full_refresh:
        raw.run(open_rows + others, ["full refresh of the source", *place, raw.load_id])
    elif table.key and raw.value("select to_regclass(%s)", [raw.names["landing"].as_string(raw.cursor)]):
        raw.run(
            open_rows + others + " and key in (select concat_ws('|', {key}) from {landing})",
            ["a later version was loaded", *place, raw.load_id],
        )
        rejected_again = [reject.key for reject in extract.rejects]
        raw.run(open_rows + others + " and key = any(%s)", ["rejected again", *place, raw.load_id, rejected_again])
    execute_values(
        raw.cursor,
        "insert into quarantine.rows "
        "(system, table_name, rule, column_name, key, file_name, row_number, content, load_id) values %s",
        [(*place, r.rule, r.column, r.key, r.file, r.row, r.content, raw.load_id) for r in extract.rejects],
    )
    count = "select count(*) from quarantine.rows where load_id = %s and system = %s and table_name = %s"
    return int(raw.value(count, [raw.load_id, *place]))


def _record(raw: RawTable, load_result: LoadResult) -> None:
    place = [raw.table.system.name, raw.table.name]
    if raw.extract.full_refresh:
        raw.run("delete from governance.loaded_files where system = %s and table_name = %s", place)
        raw.run(
            "update governance.disposals set is_awaiting_full_refresh = false where system = %s and table_name = %s",
            place,
        )
    execute_values(
        raw.cursor,
        "insert into governance.loaded_files (system, table_name, file_name, sha256, rows_read, load_id) values %s "
        "on conflict (system, table_name, sha256) do update set load_id = excluded.load_id",
        [(*place, *file, raw.load_id) for file in raw.extract.files],
    )
    record_load_result(raw.cursor, raw.table.system, load_result, raw.load_id)
