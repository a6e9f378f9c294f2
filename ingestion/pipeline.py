"""Load one system: extract with dlt into the landing schema, check, and commit all tables in one transaction."""

import hashlib
import importlib
import itertools
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, nullcontext, suppress
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import dlt
import psycopg2
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from dlt.extract import DltResource
from dlt.extract.items import DataItemWithMeta
from psycopg2 import extensions as pg

from ingestion import ROOT
from ingestion.apis import child_rows, column_names, rows_to_arrow
from ingestion.casting import CAST_ERRORS, cast
from ingestion.commit import (
    ExtractResult,
    LoadResult,
    UnreconciledError,
    commit,
    known_identities,
    last_load_results,
    record_load_result,
)
from ingestion.contracts import DriftError, LoadCheckError, SourceError, System, Table
from ingestion.databases import CursorValue, Database, open_database
from ingestion.errors import describe, root_cause
from ingestion.files import fingerprint, matching_files, read_file
from ingestion.landing import TableColumns, create_landing_tables, postgres_copy
from ingestion.postgres import take_lock, value_of
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
SYNCHRONOUS_COMMIT = (
    "select set_config('synchronous_commit', 'on', true) where current_setting('synchronous_commit') = 'off'"
)


def load_system(system: System, tables: set[str] | None = None, redrive: bool = False) -> list[LoadResult]:
    """Load `tables` (default: all) of one system in one transaction; return one LoadResult per table.

    `redrive` loads the quarantined rows again instead of the source. The system's location and LOADER_URL come from the
    environment. Raises SourceError if a table cannot be read as its contract says or fails a load check; then nothing
    of the system is committed.
    """
    if system.location and not os.environ.get(system.location):
        raise SourceError(
            f"{system.name}: {system.location} is not set. Set it to the system's location (.env.example)"
        )
    chosen = [table for table in system.tables if tables is None or tables & {table.name, table.parent}]
    parents = {table.parent for table in chosen}
    chosen = [table for table in system.tables if table in chosen or table.name in parents]
    folder = Path(os.environ.get("WAREHOUSE_HOME", ROOT / ".warehouse")) / "dlt" / system.short_name
    with _exclusive_connection(system) as connection:
        full_refresh: set[str] = set()
        while True:
            shutil.rmtree(
                folder, ignore_errors=True
            )  # left by an interrupted load; what that load committed is in the warehouse
            try:
                return _load(system, chosen, full_refresh, redrive, folder, connection)
            except UnreconciledError as found:
                if found.tables <= full_refresh:
                    raise LoadCheckError(
                        f"{system.name}: {found} changed during a full refresh; nothing was loaded. Load again"
                    ) from None
                full_refresh |= found.tables
            except Exception as failure:
                raise to_source_error(failure, system) from None
            finally:
                shutil.rmtree(folder, ignore_errors=True)  # dlt would keep the extracted rows here


def source_state(system: System) -> str:
    """A text that changes when a polled system's source changes; cheap enough to ask for every few seconds."""
    location = os.environ.get(system.location or "", "")
    if not location:
        raise SourceError(
            f"{system.name}: {system.location} is not set. Set it to the system's location (.env.example)"
        )
    if system.kind == "database":
        try:
            with open_database(system, location) as database:
                return "; ".join(f"{table.name} {database.state(table)}" for table in system.tables)
        except Exception as failure:
            raise to_source_error(failure, system) from None
    files = sorted({path for table in system.tables for path in matching_files(table, location)})
    return "; ".join(f"{path} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in files)


def _load(
    system: System, tables: list[Table], full_refresh: set[str], redrive: bool, folder: Path, connection: pg.connection
) -> list[LoadResult]:
    with connection, connection.cursor() as cursor:
        last = last_load_results(cursor, system)
        keys = Keys.current(cursor) if any(table.identifiers for table in tables) else None
    pa.set_memory_pool(_memory_pool(with_identities=keys is not None))
    location = os.environ[system.location] if system.location else ""
    landing_tables: TableColumns = {}  # filled after extraction, when the changed tables are known
    pipeline = dlt.pipeline(
        system.short_name,
        pipelines_dir=str(folder),
        destination=postgres_copy(system, os.environ["LOADER_URL"], landing_tables),
    )
    reads_database = system.kind == "database" and not redrive
    with open_database(system, location) if reads_database else nullcontext() as database:
        readers: dict[str, _Reader] = {}
        for table in tables:
            previous = last.get(table.name, LoadResult(table.name))
            if redrive:
                readers[table.name] = _FromQuarantine(table, previous, connection)
            elif database:
                readers[table.name] = _FromDatabase(table, previous, database, table.name in full_refresh)
            elif system.kind == "files":
                readers[table.name] = _FromFiles(table, previous, location, connection)
            else:
                readers[table.name] = FromApi(table, previous, location, table.name in full_refresh)
        for reader in readers.values():
            parent = readers.get(reader.table.parent or "")
            if isinstance(reader, FromApi) and isinstance(parent, FromApi):
                parent.add_child(reader)
        reading = [reader for reader in readers.values() if reader.has_new_data]
        if not reading:
            return [reader.unchanged() for reader in readers.values()]
        files = folder / "files"
        with connection, connection.cursor() as cursor:
            for reader in reading:
                if keys and reader.table.identifiers:
                    reader.pseudonymise_with(keys, files, known_identities(cursor, reader.table))
        resources = [reader.resource(files) for reader in reading if redrive or not reader.table.parent]
        width = system.connections
        extracted = pipeline.extract(resources, loader_file_format="parquet", workers=width, max_parallel_items=width)
        load_id = extracted.loads_ids[0]
        with ThreadPoolExecutor(1) as thread:
            versions = thread.submit(_set_versions, pipeline, reading)
            for reader in reading:
                reader.finish()
            versions.result()
    load_results = {name: reader.unchanged() for name, reader in readers.items()}
    changed = [reader.extract for reader in reading if reader.is_changed]
    if changed:
        pipeline.normalize()
        landing_tables |= {extract.table.name: extract.columns for extract in changed}
        create_landing_tables(connection, system, landing_tables)
        pipeline.load()
    with connection, connection.cursor() as cursor:
        take_lock(cursor, "raw_tables", is_exclusive=False)
        cursor.execute(SYNCHRONOUS_COMMIT)
        if keys and Keys.current(cursor).version != keys.version:
            raise SourceError(
                f"{system.name}: the vault key was rotated during the load; nothing was loaded. Load again"
            )
        load_results |= {result.table: result for result in commit(cursor, changed, load_id)}
        for reader in reading:
            if reader.extract not in changed:
                record_load_result(cursor, system, load_results[reader.table.name], load_id)
    return list(load_results.values())


def _memory_pool(with_identities: bool) -> pa.MemoryPool:
    """The memory pool with the lowest peak: jemalloc, or the system allocator when pseudonymising (decision record 24).

    Arrow's default pool keeps memory that another thread has freed.
    """
    if with_identities or "jemalloc" not in pa.supported_memory_backends():
        return pa.system_memory_pool()
    return pa.jemalloc_memory_pool()


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


class _Reader:
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

    def _parquet_files(self, folder: Path) -> Iterator[DataItemWithMeta]:
        """Yield each complete file. dlt's own writer spends more time on dictionaries than on everything else."""
        folder.mkdir(parents=True, exist_ok=True)
        batches = _prefetch(self.batches())
        if self.pseudonymiser:
            groups = itertools.groupby(batches, _Chunks(PSEUDONYMISE_BYTES))
            batches = (pa.concat_tables(group) for _, group in groups)
        processed = (self._process(batch) for batch in batches)
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

    def _process(self, batch: pa.Table) -> pa.Table | None:
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


class _FromDatabase(_Reader):
    def __init__(self, table: Table, last: LoadResult, database: Database, full_refresh: bool):
        since = None if full_refresh else _since(table, last)
        super().__init__(table, last, since is None)
        self.database, self.since = database, since
        self.counted = None if database.snapshot_statements or database.has_snapshot else database.count(table, since)
        self.rows = database.read(table, since, self.counted and self.counted[0])
        if self.extract.full_refresh and table.cursor and not database.snapshot_statements:
            cursor_limit = pa.chunked_array([pa.array([database.max_cursor(table)])])
            with suppress(*CAST_ERRORS):  # a value that cannot be cast is rejected with its row
                self.cursor_limit = cast(cursor_limit, table.column(table.cursor), table.system.time_zone)[0].as_py()

    def batches(self) -> Iterator[pa.Table]:
        yield from self.rows

    def finish(self) -> None:
        """Compares with the database's own count: of now, and where that is not what was read, of the beginning too."""
        extract, database = self.extract, self.database
        after = database.count(self.table, self.since)
        before = self.counted or after
        if database.has_snapshot and after != (extract.read, {name: extract.sums.get(name, 0) for name in after[1]}):
            before = database.count(self.table, self.since, at_snapshot=True)
        extract.source_rows = (min(before[0], after[0]), max(before[0], after[0]))
        if before == after and not extract.rejects:
            extract.source_sums = after[1]
        extract.source_total = after[0] if extract.full_refresh else database.count(self.table, None)[0]
        if not self.table.cursor:
            extract.high_watermark = extract.as_at.isoformat(timespec="seconds")


class _FromFiles(_Reader):
    """Every matching file; with a cursor or `load: append`, only files whose content is new."""

    def __init__(self, table: Table, last: LoadResult, location: str, connection: pg.connection):
        super().__init__(table, last, not table.cursor and table.load != "append")
        self.folder = Path(location)
        self.paths: dict[str, Path] = {}  # by content hash, so a file that was delivered twice is read once
        for path in matching_files(table, location):
            self.paths.setdefault(fingerprint(path), path)
        if self.extract.full_refresh:
            self.extract.version = hashlib.sha256(" ".join(sorted(self.paths)).encode()).hexdigest()
            self.has_new_data = last.version != f"{table.digest} {self.extract.version}"
        else:
            read_all = table.load != "append" and not last.version.startswith(
                table.digest
            )  # the contract changed: read every file again
            seen = {} if read_all else _seen_files(table, connection)
            old = {name for content, name in seen.items() if content not in self.paths}  # not in the folder any more
            self.paths = {content: path for content, path in self.paths.items() if content not in seen}
            self.has_new_data = bool(self.paths) or not last.version
            names = {self._name(path) for path in self.paths.values()} & set(seen.values())
            if "/" in (table.files or "") and "**" not in (table.files or ""):  # release 0.1 recorded no folders
                names |= {path.name for path in self.paths.values()} & old
            self.extract.corrected_files = sorted(names) if table.load == "append" else []
            if self.extract.corrected_files and not table.corrections:
                raise LoadCheckError(
                    f"{self.extract.corrected_files[0]}: {table.label}: a file of this name was loaded with "
                    "other content. To replace its rows, set `corrections: true` in the contract. Nothing was loaded",
                    table,
                )
        if not table.cursor and self.paths:
            newest = max(path.stat().st_mtime for path in self.paths.values())
            self.extract.high_watermark = datetime.fromtimestamp(newest, UTC).isoformat(timespec="seconds")

    def batches(self) -> Iterator[pa.Table]:
        for content, path in self.paths.items():
            rows = 0
            for batch in read_file(self.table, path, self._name(path), self.extract.skipped):
                rows += len(batch)
                yield batch
            self.extract.files.append((self._name(path), content, rows))

    def _name(self, path: Path) -> str:
        """The path below the landing folder: two folders may hold files of one name."""
        return path.relative_to(self.folder).as_posix()


class FromApi(_Reader):
    """A table of an API. Its pages also fill the tables of the lists in its rows (`parent`, `items`)."""

    def __init__(self, table: Table, last: LoadResult, location: str, full_refresh: bool):
        since = None if full_refresh else _since(table, last)
        super().__init__(table, last, since is None)
        self.api = importlib.import_module(f"ingestion.apis.{table.system.short_name}")
        self.location, self.since = location, since
        self.children: list[FromApi] = []
        self.seen: set[str] = set()
        if hasattr(self.api, "fingerprint"):
            self.extract.version = self.extract.high_watermark = self.api.fingerprint(table.name)
            self.has_new_data = last.version != f"{table.digest} {self.extract.version}"

    def add_child(self, child: "FromApi") -> None:
        """Fill the child table from this table's pages too."""
        self.children.append(child)
        child.since, child.has_new_data, child.extract.full_refresh = (
            self.since,
            self.has_new_data,
            self.extract.full_refresh,
        )

    def resource(self, _folder: Path) -> DltResource:
        return dlt.resource(self._pages(), name=self.table.name, parallelized=True)

    def _pages(self) -> Iterator[pa.Table]:
        for page in getattr(self.api, self.table.name)(self.location, self.since):
            if len(page):
                yield self._process(page if isinstance(page, pa.Table) else self._named(rows_to_arrow(page)))
            for child in self.children:
                if rows := child_rows(self.table, child.table, page):
                    filled = child._named(rows_to_arrow(rows))
                    yield dlt.mark.with_table_name(child._process(filled), child.table.name)

    def _named(self, rows: pa.Table) -> pa.Table:
        """The rows under the contract's names, with the declared columns that the page lacks.

        A field may be absent from all rows of one page, but not from all pages.
        """
        names = column_names(self.table, rows.column_names)
        rows = rows.rename_columns([names[field] for field in rows.column_names])
        self.seen |= set(rows.column_names)
        for name in self.table.source_names:
            if name not in rows.column_names:
                rows = rows.append_column(name, pa.nulls(len(rows), pa.string()))
        return rows

    def finish(self) -> None:
        optional = {column.name for column in self.table.source_columns if column.optional}
        missing = [name for name in self.table.source_names if name not in self.seen | optional]
        if self.seen and missing:
            others = [name for name in self.extract.new_columns if name in self.seen]
            hint = f" Undeclared fields: {', '.join(others)}." if others else ""
            what = f"no row has {', '.join(missing)}. Was it renamed or removed?{hint} Nothing was loaded"
            raise DriftError(f"{self.table.label}: {what}", self.table)
        if hasattr(self.api, "count"):
            self.extract.source_total = self.api.count(self.table.name, self.location)


class _FromQuarantine(_Reader):
    """The quarantined rows of a table, checked again by today's contract."""

    def __init__(self, table: Table, last: LoadResult, connection: pg.connection):
        super().__init__(table, last, False)
        with connection, connection.cursor() as cursor:
            cursor.execute(
                "select row_id, content, file_name, row_number from quarantine.rows "
                "where system = %s and table_name = %s and resolved_at is null order by row_id",
                [table.system.name, table.name],
            )
            self.rows = cursor.fetchall()
        self.has_new_data = bool(self.rows)
        self.redriven: list[int] = []
        self.extract.redriven = self.redriven

    def batches(self) -> Iterator[pa.Table]:
        for row_id, content, file, number in self.rows:
            if self.pseudonymiser:
                if "_encrypted" not in content:  # a duplicate key has tokens only, which cannot be checked again
                    continue
                content = self.pseudonymiser.keys.decrypt_content(content)
            texts = {name: None if value is None else str(value) for name, value in content.items() if name[0] != "_"}
            texts = dict.fromkeys(self.table.source_names) | texts
            row = pa.table({name: pa.array([value], pa.string()) for name, value in texts.items()})
            if self.table.files:
                row = row.append_column("_source_file", pa.array([file])).append_column(
                    "_source_row", pa.array([number])
                )
            if not conform(self.table, row, self.table.system.name)[1]:
                self.redriven.append(row_id)
            yield row


def _since(table: Table, last: LoadResult) -> CursorValue | None:
    """The cursor value from which to read changes; None for a full refresh, as after a change of the contract."""
    if not table.cursor or not last.high_watermark or not last.version.startswith(table.digest):
        return None
    kind = table.column(table.cursor).data_type
    if kind == "bigint":
        return int(last.high_watermark)
    if kind == "date":
        return date.fromisoformat(last.high_watermark) - table.lag
    return datetime.fromisoformat(last.high_watermark) - table.lag


def _seen_files(table: Table, connection: pg.connection) -> dict[str, str]:
    """{content hash: name} of the files that were loaded into the table."""
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "select sha256, file_name from governance.loaded_files where system = %s and table_name = %s",
            [table.system.name, table.name],
        )
        return dict(cursor.fetchall())


def _set_versions(pipeline: dlt.Pipeline, readers: list[_Reader]) -> None:
    """Give each full refresh without a version a hash of its extracted content, independent of file order."""
    for extract in (reader.extract for reader in readers):
        if extract.full_refresh and not extract.table.cursor and not extract.version:
            files = Path(pipeline.working_dir).rglob(f"{extract.table.name}.*.parquet")
            with ThreadPoolExecutor() as threads:
                texts = sorted(threads.map(fingerprint, files))
            texts += [reject.content for reject in extract.rejects]
            extract.version = hashlib.sha256(" ".join(texts).encode()).hexdigest()


@contextmanager
def _exclusive_connection(system: System) -> Iterator[pg.connection]:
    """A connection to the warehouse, while another connection holds the lock for loads of this system."""
    if "LOADER_URL" not in os.environ:
        raise SourceError("LOADER_URL is not set. Set it, or run through `warehouse exec <command>` (.env.example)")
    with ExitStack() as stack:
        try:
            holder, connection = (
                stack.enter_context(closing(psycopg2.connect(os.environ["LOADER_URL"]))) for _ in range(2)
            )
        except psycopg2.OperationalError as error:
            raise SourceError(f"{system.name}: cannot reach the warehouse: {describe(error)}") from None
        with holder.cursor() as cursor:  # the lock lasts as long as the transaction
            cursor.execute("set idle_in_transaction_session_timeout = 0")
            cursor.execute("select governance.take_load_lock(%s)", [system.name])
            if not value_of(cursor):
                raise SourceError(f"{system.name} is being loaded by another run; this run did nothing")
        yield connection


def to_source_error(failure: Exception, system: System) -> SourceError:
    """The SourceError in the chain of causes, or the failure in one line without values."""
    cause = root_cause(failure)
    if isinstance(cause, SourceError):
        return cause
    step = getattr(failure, "step", "load")  # other errors come from the warehouse or the disk
    hint = f" (check {system.location})" if system.location and step == "extract" else ""
    table = f".{name}" if (name := _failed_resource(failure)) in {table.name for table in system.tables} else ""
    return SourceError(f"{system.name}{table}: {step} failed{hint}: {describe(failure)}")


def _failed_resource(failure: BaseException | None) -> str | None:
    """The name of the dlt resource that failed."""
    while failure and not hasattr(failure, "pipe_name"):
        failure = failure.__cause__ or failure.__context__
    return getattr(failure, "pipe_name", None)
