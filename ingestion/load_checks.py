"""Load checks: an extract that is incomplete, or differs from the last load by more than the contract allows."""

from ingestion.load_results import LoadResult
from ingestion.raw_table import RawTable


def check_extract(raw: RawTable) -> None:
    """Refuse an incomplete extract, and one that differs from the last load by more than the contract allows."""
    extract, table = raw.extract, raw.table
    raw.arrived = raw.value("select coalesce(sum(rows), 0)::bigint from {arrived} where table_name = %s", [table.name])
    if extract.source_rows and not extract.source_rows[0] <= extract.read <= extract.source_rows[1]:
        raw.refuse(f"{extract.read:,} rows read, the source counts {extract.source_rows[1]:,}")
    for name, total in extract.source_sums.items():
        if total != extract.sums.get(name, 0):
            raw.refuse(f"the sum of {name} over the rows read differs from the source's (rows were lost or changed)")
    if raw.arrived != extract.read - len(extract.rejects):
        raw.refuse(f"{extract.read:,} rows read, {raw.arrived:,} arrived")
    allowed = raw.allowed_rejects()
    if extract.redriven is None and len(extract.rejects) > allowed and not raw.use_override():
        reasons = [reject.reason for reject in extract.rejects]
        most = max(set(reasons), key=reasons.count)
        first = extract.rejects[reasons.index(most)]
        example = f", e.g. row {first.row}" + f" of {first.file}" * bool(first.file) if first.row else ""
        others = f" (of these {reasons.count(most):,})" if reasons.count(most) < len(reasons) else ""
        raw.refuse(
            f"{len(extract.rejects):,} of {extract.read:,} rows rejected: {most}{others}{example} "
            f"(contract allows {allowed:,})",
            can_override=True,
        )
    previous_total = extract.last.total
    if extract.full_refresh and raw.arrived < previous_total * (1 - table.shrink) and not raw.use_override():
        when = f"loaded {extract.last.loaded_at:%d %B %Y %H:%M}; " if extract.last.loaded_at else ""
        raw.refuse(
            f"{raw.arrived:,} rows instead of {previous_total:,} ({when}contract allows a {table.shrink:.0%} drop)",
            can_override=True,
        )


def keep_versions(raw: RawTable) -> None:
    """Refuse to lose the versions of rows that `load: history` has kept, after the contract has another load mode."""
    if "valid_to" in raw.table.column_names or "valid_to" not in raw.store_columns():
        return
    if ended := raw.value("select count(*) from {store} where valid_to is not null"):
        raw.refuse(
            f"load: history has kept {ended:,} earlier versions of rows, which load: {raw.table.load} would lose. "
            "Set `load: history` again, or delete those rows"
        )


def limit_duplicates(raw: RawTable, duplicates: int) -> None:
    extract = raw.extract
    allowed = raw.allowed_rejects()
    if extract.redriven is None and len(extract.rejects) + duplicates > allowed and not raw.use_override():
        raw.refuse(
            f"{duplicates:,} of {extract.read:,} rows rejected: duplicate key ({', '.join(raw.table.key)}) "
            f"(contract allows {allowed:,})",
            can_override=True,
        )


def reconciles(raw: RawTable, load_result: LoadResult) -> bool:
    """Whether the table holds the source's row count, less quarantined and disposed rows."""
    counted_before = raw.extract.full_refresh and raw.table.system.kind == "database"
    if raw.extract.source_total is None or counted_before or raw.table.load == "append":
        return True
    place = [raw.table.system.name, raw.table.name]
    disposed = raw.value(
        "select coalesce(sum(rows), 0) from governance.disposals where system = %s and table_name = %s "
        "and is_awaiting_full_refresh",
        place,
    )
    waiting = raw.value(
        "select count(*) from quarantine.rows where system = %s and table_name = %s and resolved_at is null",
        place,
    )
    return bool(0 <= raw.extract.source_total - load_result.total - waiting <= disposed)
