"""Read one table: count rows, set rejected ones apart, pseudonymise, and write Parquet files for dlt."""

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dlt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from dlt.extract import DltResource

from ingestion.contracts import DriftError, Table
from ingestion.databases import CursorValue
from ingestion.load_results import ExtractResult, LoadResult
from ingestion.privacy import Keys, Pseudonymiser
from ingestion.tables import MAX_REJECTS, conform

FILE_BYTES = 48_000_000  # per Parquet file; two files are loaded at once
PSEUDONYMISE_BYTES = 3_000_000  # of rows that are pseudonymised at a time
PARQUET_OPTIONS = {
    "compression": "none",
    "use_dictionary": False,
    "write_statistics": False,
}  # the files exist for seconds only
ROW_GROUP_ROWS = 10_000  # per Parquet row group, which is held in memory while it is loaded


def _prefetch(items: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """Yield the same items; a thread makes the next item while the caller uses the current one."""
    end = object()
    with ThreadPoolExecutor(1) as thread:
        following = thread.submit(next, items, end)
        while (item := following.result()) is not end:
            following = thread.submit(next, items, end)
            yield item


class _Chunks:
    """The number of the chunk that a batch belongs to. A chunk ends at `max_bytes` or when the schema changes."""

    def __init__(self, max_bytes: int):
        self.max_bytes = max_bytes
        self.number, self.bytes, self.schema = 0, 0, None

    def __call__(self, batch: pa.Table) -> int:
        if self.bytes >= self.max_bytes or batch.schema != self.schema:
            self.number, self.bytes, self.schema = self.number + 1, 0, batch.schema
        self.bytes += batch.nbytes
        return self.number


class Reader:
    """Reads one table and records what was read. Each kind of source has a subclass, which yields the batches."""

    def __init__(self, table: Table, last: LoadResult, full_refresh: bool):
        self.table, self.last = table, last
        self.extract = ExtractResult(
            table, last, full_refresh, table.digest, datetime.now(UTC), high_watermark=last.high_watermark
        )

    pseudonymiser: Pseudonymiser | None = None  # set if the table has identifiers
    cursor_limit: CursorValue | None = (
        None  # highest cursor value when reading began, if rows may change during the read
    )
    has_new_data = True  # False if it is known before reading that the source has not changed

    def batches(self) -> Iterator[pa.Table]:
        """Arrow tables with the contract's column names, other columns, and any types."""
        raise NotImplementedError

    def finish(self) -> None:
        """Ask the source for its counts after the last batch."""

    def pseudonymise_with(self, keys: Keys, folder: Path, known: bytes) -> None:
        """Replace identifiers by tokens from now on; `known` are the identity records that the vault has."""
        self.pseudonymiser = Pseudonymiser(self.table, keys, folder, known)
        self.extract.identities_file = self.pseudonymiser.file

    def resource(self, folder: Path) -> DltResource:
        """The dlt resource: Parquet files in `folder` with the contract's columns and types."""
        return dlt.resource(self._parquet_files(folder), name=self.table.name, parallelized=True)

    def _parquet_files(self, folder: Path) -> Iterator[Any]:
        """Yield each complete file. dlt's own writer spends more time on dictionaries than on everything else."""
        folder.mkdir(parents=True, exist_ok=True)
        batches = _prefetch(self.batches())
        if self.pseudonymiser:
            groups = itertools.groupby(batches, _Chunks(PSEUDONYMISE_BYTES))
            batches = (pa.concat_tables(group) for _, group in groups)
        processed = (self.process(batch) for batch in batches)
        chunks = itertools.groupby(_prefetch(rows for rows in processed if rows is not None), _Chunks(FILE_BYTES))
        for number, (_, chunk) in enumerate(chunks):
            first, rows = next(chunk), 0
            path = folder / f"{self.table.name}.{number}.parquet"
            with pq.ParquetWriter(path, first.schema, **PARQUET_OPTIONS) as writer:
                for batch in itertools.chain([first], chunk):
                    writer.write_table(batch, row_group_size=ROW_GROUP_ROWS)
                    rows += len(batch)
            yield dlt.mark.with_file_import(str(path), "parquet", rows, first.schema.empty_table())

    def unchanged(self) -> LoadResult:
        """The result for a table without new rows."""
        extract, skipped = self.extract, self.extract.skipped.total()
        return replace(
            self.last,
            rows=0,
            high_watermark=extract.high_watermark,
            read=extract.read + skipped,
            quarantined=0,
            skipped=skipped,
            new_columns=extract.new_columns,
        )

    @property
    def is_changed(self) -> bool:
        """Whether the extract differs from the last load, as far as is known before the commit."""
        if self.extract.version and self.extract.full_refresh:
            return self.last.version != f"{self.table.digest} {self.extract.version}"
        counted = self.extract.source_rows or (0, 0)
        return any(
            (self.extract.read, counted[0], self.extract.full_refresh, self.extract.source_total != self.last.total)
        )

    def process(self, batch: pa.Table) -> pa.Table | None:
        """Count a batch, set rejected rows apart, pseudonymise, and raise the highest cursor value."""
        extract, table = self.extract, self.table
        rows, rejects = conform(table, batch, table.system.name)
        extract.read += len(batch)
        if len(extract.rejects) + len(rejects) > MAX_REJECTS:
            problem = f"more than {MAX_REJECTS:,} rows rejected: {rejects[-1].reason}"
            raise DriftError(f"{table.label}: {problem}; nothing was loaded", table)
        for name in rows.column_names:
            if name not in extract.columns and name not in extract.new_columns:
                extract.new_columns.append(name)
            if self.pseudonymiser and name in extract.new_columns:  # an undeclared column may hold identifiers
                rows = rows.set_column(rows.column_names.index(name), name, pa.nulls(len(rows), pa.string()))
        if self.pseudonymiser:
            rows = self.pseudonymiser(rows)
            rejects = [self.pseudonymiser.keys.encrypt_reject(table, reject) for reject in rejects]
        extract.rejects += rejects
        for name in table.control_totals:
            total = pc.sum(rows[name]).as_py() or 0
            extract.sums[name] = extract.sums.get(name, 0) + total
        if table.cursor and (max_cursor := pc.max(rows[table.cursor]).as_py()) is not None:
            # a row dated in the future, or changed during the read, must not hide earlier changes
            limits = {datetime: extract.as_at, date: extract.as_at.date()}.get(type(max_cursor)), self.cursor_limit
            max_cursor = min([max_cursor, *(limit for limit in limits if limit is not None)])
            extract.max_cursor = max_cursor if extract.max_cursor is None else max(extract.max_cursor, max_cursor)
            extract.high_watermark = str(extract.max_cursor)
        if table.load == "history":
            rows = rows.append_column("valid_from", self._valid_from(rows))
        return rows if len(rows) else None

    def _valid_from(self, rows: pa.Table) -> pa.ChunkedArray:
        moment = pa.timestamp("us", "UTC")
        if not self.table.cursor:
            return pa.chunked_array([pa.repeat(pa.scalar(self.extract.as_at, moment), len(rows))])
        times = rows[self.table.cursor]
        if pa.types.is_date(times.type):
            times = pc.assume_timezone(times.cast(pa.timestamp("us")), self.table.system.time_zone)
        return pc.fill_null(times.cast(moment), pa.scalar(self.extract.as_at, moment))
