"""Loads one system: dlt brings its tables to the landing schema, guards look at them, all are committed at once."""

import hashlib
import importlib
import itertools
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, date, datetime
from pathlib import Path

import dlt
import psycopg2
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from dlt.common.exceptions import DltException
from dlt.extract import DltResource
from dlt.extract.items import DataItemWithMeta
from psycopg2 import extensions as pg
from sqlalchemy.exc import DBAPIError

from ingestion.apis import children, rows_to_arrow
from ingestion.commit import (
    Extract,
    Landing,
    UnreconciledError,
    commit,
    known_identities,
    last_landings,
    record_landing,
)
from ingestion.contracts import ROOT, SourceError, System, Table
from ingestion.databases import Cursor, Database, open_database
from ingestion.files import fingerprint, matching_files, read_file
from ingestion.landing import Columns, landing, prepare_landing
from ingestion.postgres import value_of
from ingestion.privacy import Keys, Splitter
from ingestion.tables import MOST_REJECTS, UNFIT, cast, conform

FILE_BYTES = 48_000_000  # of a file on its way to the warehouse; two are loaded at once
SPLIT_BYTES = 3_000_000  # of rows from which identifiers are parted at a time
QUICK = {"compression": "none", "use_dictionary": False, "write_statistics": False}  # the files live for seconds
GROUP_ROWS = 10_000  # of a file, held in memory while they are loaded
MANY_ROWS = 20  # rows of an API's answers of which at least one should have each declared field
BUILD_LOCK = "build"  # taken shared while a load commits, and alone while a build reads the raw tables
DURABLE = "select set_config('synchronous_commit', 'on', true) where current_setting('synchronous_commit') = 'off'"


def load_system(system: System, tables: set[str] | None = None, redrive: bool = False) -> list[Landing]:
    """Loads `tables` (all by default) of one system in one transaction; returns a Landing for each.

    With `redrive` the rows in quarantine are tried again instead of the source. The system's location and LOADER_URL
    come from the environment. Raises SourceError where a table cannot be read as its contract says, or a guard refuses
    it; nothing of the system is committed then.
    """
    if system.location and not os.environ.get(system.location):
        raise SourceError(f"{system.name}: {system.location} is not set; it says where this system is (.env.example)")
    chosen = [table for table in system.tables if tables is None or tables & {table.name, table.parent}]
    parents = {table.parent for table in chosen}
    chosen = [table for table in system.tables if table in chosen or table.name in parents]
    folder = Path(os.environ.get("WAREHOUSE_HOME", ROOT / ".warehouse")) / "dlt" / system.short_name
    with _warehouse(system) as connection:
        whole: set[str] = set()
        while True:
            shutil.rmtree(folder, ignore_errors=True)  # an interrupted load's; what it committed is in the warehouse
            try:
                return _load(system, chosen, whole, redrive, folder, connection)
            except UnreconciledError as found:
                if found.tables <= whole:
                    raise SourceError(f"{system.name}: {found} changed while it was read; nothing was loaded") from None
                whole |= found.tables
            except (DltException, psycopg2.Error, DBAPIError, OSError) as failure:
                raise _plain(failure, system) from None
            finally:
                shutil.rmtree(folder, ignore_errors=True)  # dlt would keep the extracted rows there


def source_state(system: System) -> str:
    """A text that changes when a polled system's source does; cheap enough to be asked for every few seconds."""
    location = os.environ.get(system.location or "", "")
    if not location:
        raise SourceError(f"{system.name}: {system.location} is not set; it says where this system is (.env.example)")
    if system.kind == "database":
        with open_database(system, location) as database:
            return "; ".join(f"{table.name} {database.state(table)}" for table in system.tables)
    files = sorted({path for table in system.tables for path in matching_files(table, location)})
    return "; ".join(f"{path.name} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in files)


def _load(
    system: System, tables: list[Table], whole: set[str], redrive: bool, folder: Path, connection: pg.connection
) -> list[Landing]:
    with connection, connection.cursor() as cursor:
        last = last_landings(cursor, system)
        keys = Keys.current(cursor) if any(table.identifiers for table in tables) else None
    pa.set_memory_pool(_memory_pool(with_identities=keys is not None))
    location = os.environ[system.location] if system.location else ""
    landing_tables: Columns = {}  # what has changed, which is known when all is read
    pipeline = dlt.pipeline(
        system.short_name,
        pipelines_dir=str(folder),
        destination=landing(system, os.environ["LOADER_URL"], landing_tables),
    )
    reads_database = system.kind == "database" and not redrive
    with open_database(system, location) if reads_database else nullcontext() as database:
        readers: dict[str, _Reader] = {}
        for table in tables:
            before = last.get(table.name, Landing(table.name))
            if redrive:
                readers[table.name] = _Quarantined(table, before, connection)
            elif database:
                readers[table.name] = _FromDatabase(table, before, database, table.name in whole)
            elif system.kind == "files":
                readers[table.name] = _FromFiles(table, before, location, connection)
            else:
                readers[table.name] = _FromApi(table, before, location, table.name in whole)
        for reader in readers.values():
            parent = readers.get(reader.table.parent or "")
            if isinstance(reader, _FromApi) and isinstance(parent, _FromApi):
                parent.adopt(reader)
        reading = [reader for reader in readers.values() if reader.has_news]
        if not reading:
            return [reader.unchanged() for reader in readers.values()]
        parts = folder / "parts"
        with connection, connection.cursor() as cursor:
            for reader in reading:
                if keys and reader.table.identifiers:
                    reader.part(keys, parts, known_identities(cursor, reader.table))
        resources = [reader.resource(parts) for reader in reading if redrive or not reader.table.parent]
        width = system.connections
        extracted = pipeline.extract(resources, loader_file_format="parquet", workers=width, max_parallel_items=width)
        load_id = extracted.loads_ids[0]
        with ThreadPoolExecutor(1) as thread:
            versions = thread.submit(_tell_versions, pipeline, reading)
            for reader in reading:
                reader.finish()
            versions.result()
    landings = {name: reader.unchanged() for name, reader in readers.items()}
    changed = [reader.extract for reader in reading if reader.is_changed]
    if changed:
        pipeline.normalize()
        landing_tables |= {extract.table.name: extract.columns for extract in changed}
        prepare_landing(connection, system, landing_tables)
        pipeline.load()
    with connection, connection.cursor() as cursor:
        cursor.execute("select pg_advisory_xact_lock_shared(hashtext(%s))", [BUILD_LOCK])
        cursor.execute(DURABLE)
        if keys and Keys.current(cursor).version != keys.version:
            raise SourceError(f"{system.name}: the vault key was rotated meanwhile; nothing was loaded")
        landings |= {landing.table: landing for landing in commit(cursor, changed, load_id)}
        for reader in reading:
            if reader.extract not in changed:
                record_landing(cursor, system, landings[reader.table.name], load_id)
    return list(landings.values())


def _memory_pool(with_identities: bool) -> pa.MemoryPool:
    """What a load peaks lowest with: jemalloc, but where identities are parted the system's (docs/decisions.md).

    Arrow's own default keeps what another thread has freed.
    """
    if with_identities or "jemalloc" not in pa.supported_memory_backends():
        return pa.system_memory_pool()
    return pa.jemalloc_memory_pool()


def _read_ahead(items: Iterator[pa.Table]) -> Iterator[pa.Table]:
    """The same items, each made in a thread of its own while the one before is used."""
    ended = object()
    with ThreadPoolExecutor(1) as thread:
        coming = thread.submit(next, items, ended)
        while (item := coming.result()) is not ended:
            coming = thread.submit(next, items, ended)
            yield item


class _Pieces:
    """Which piece a batch belongs to: a new one for other columns, and when one has `most` bytes."""

    def __init__(self, most: int):
        self.most = most
        self.number, self.bytes, self.schema = 0, 0, None

    def __call__(self, batch: pa.Table) -> int:
        if self.bytes >= self.most or batch.schema != self.schema:
            self.number, self.bytes, self.schema = self.number + 1, 0, batch.schema
        self.bytes += batch.nbytes
        return self.number


class _Reader:
    """One table on its way in: what to read, and what was read. A subclass per kind of source yields the batches."""

    def __init__(self, table: Table, last: Landing, whole: bool):
        self.table, self.last = table, last
        self.extract = Extract(table, last, whole, table.digest, datetime.now(UTC), cut_off=last.cut_off)

    splitter: Splitter | None = None  # where the table has identifiers
    highest: Cursor | None = None  # of the cursor's values when reading began, where they may change meanwhile
    has_news = True  # False where it is known, before anything is read, that there is none

    def batches(self) -> Iterator[pa.Table]:
        """Arrow tables with the contract's column names, and others; any types."""
        raise NotImplementedError

    def finish(self) -> None:
        """What is still to be asked of the source after the last batch."""

    def part(self, keys: Keys, folder: Path, known: bytes) -> None:
        """From now on identifiers are parted from the rows; `known` are the identity records that the vault has."""
        self.splitter = Splitter(self.table, keys, folder, known)
        self.extract.identities = self.splitter.file

    def resource(self, folder: Path) -> DltResource:
        """The dlt resource: Parquet files in `folder`, with the contract's columns and types."""
        return dlt.resource(self._written(folder), name=self.table.name, parallelized=True)

    def _written(self, folder: Path) -> Iterator[DataItemWithMeta]:
        """Each file when it is whole. Written here and not by dlt, whose dictionaries take longer than all the rest."""
        folder.mkdir(parents=True, exist_ok=True)
        batches = _read_ahead(self.batches())
        if self.splitter:
            groups = itertools.groupby(batches, _Pieces(SPLIT_BYTES))
            batches = (pa.concat_tables(group) for _, group in groups)
        taken = (self._take(batch) for batch in batches)
        pieces = itertools.groupby(_read_ahead(rows for rows in taken if rows is not None), _Pieces(FILE_BYTES))
        for number, (_, piece) in enumerate(pieces):
            first, rows = next(piece), 0
            path = folder / f"{self.table.name}.{number}.parquet"
            with pq.ParquetWriter(path, first.schema, **QUICK) as writer:
                for batch in itertools.chain([first], piece):
                    writer.write_table(batch, row_group_size=GROUP_ROWS)
                    rows += len(batch)
            yield dlt.mark.with_file_import(str(path), "parquet", rows, first.schema.empty_table())

    def unchanged(self) -> Landing:
        """The landing of a table of which nothing new came."""
        return Landing(
            self.table.name, 0, self.last.version, self.extract.cut_off, self.extract.read, 0, self.last.total,
            self.extract.new_columns, self.last.landed_at,
        )  # fmt: skip

    @property
    def is_changed(self) -> bool:
        """Whether what was read differs from what landed last, as far as can be told before it is committed."""
        if self.extract.version and self.extract.whole:
            return self.last.version != f"{self.table.digest} {self.extract.version}"
        counted = self.extract.source_rows or (0, 0)
        return any((self.extract.read, counted[0], self.extract.whole, self.extract.source_total != self.last.total))

    def _take(self, batch: pa.Table) -> pa.Table | None:
        """Counts a batch, parts the rows that do not fit, and keeps the highest cursor."""
        extract, table = self.extract, self.table
        rows, rejects = conform(table, batch, table.system.name)
        extract.read += len(batch)
        if len(extract.rejects) + len(rejects) > MOST_REJECTS:
            unfit = f"more than {MOST_REJECTS:,} rows do not fit the contract, the last by {rejects[-1].reason}"
            raise SourceError(f"{table.label}: {unfit}; nothing was loaded", table)
        for name in rows.column_names:
            if name not in extract.columns and name not in extract.new_columns:
                extract.new_columns.append(name)
            if self.splitter and name in extract.new_columns:  # who knows what is in it
                rows = rows.set_column(rows.column_names.index(name), name, pa.nulls(len(rows), pa.string()))
        if self.splitter:
            rows = self.splitter(rows)
            rejects = [self.splitter.keys.seal_reject(table, reject) for reject in rejects]
        extract.rejects += rejects
        for name in table.control_totals:
            total = pc.sum(rows[name]).as_py() or 0
            extract.sums[name] = extract.sums.get(name, 0) + total
        if table.cursor and (high := pc.max(rows[table.cursor]).as_py()) is not None:
            # what is dated in the future, or changed meanwhile, must not hide what came before it
            limits = {datetime: extract.as_at, date: extract.as_at.date()}.get(type(high)), self.highest
            high = min([high, *(limit for limit in limits if limit is not None)])
            extract.high = high if extract.high is None else max(extract.high, high)
            extract.cut_off = str(extract.high)
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
    def __init__(self, table: Table, last: Landing, database: Database, whole: bool):
        since = None if whole else _since(table, last)
        super().__init__(table, last, since is None)
        self.database, self.since = database, since
        self.counted = None if database.before or database.keeps_beginning else database.count(table, since)
        self.rows = database.read(table, since, self.counted and self.counted[0])
        if self.extract.whole and table.cursor and not database.before:
            highest = pa.chunked_array([pa.array([database.highest(table)])])
            with suppress(*UNFIT):  # then it is not among what lands
                self.highest = cast(highest, table.column(table.cursor), table.system.time_zone)[0].as_py()

    def batches(self) -> Iterator[pa.Table]:
        yield from self.rows

    def finish(self) -> None:
        """Compares with the database's own count: of now, and where that is not what was read, of the beginning too."""
        extract, database = self.extract, self.database
        after = database.count(self.table, self.since)
        before = self.counted or after
        if database.keeps_beginning and after != (extract.read, {name: extract.sums.get(name, 0) for name in after[1]}):
            before = database.count(self.table, self.since, then=True)
        extract.source_rows = (min(before[0], after[0]), max(before[0], after[0]))
        if before == after and not extract.rejects:
            extract.source_sums = after[1]
        extract.source_total = after[0] if extract.whole else database.count(self.table, None)[0]
        if not self.table.cursor:
            extract.cut_off = extract.as_at.isoformat(timespec="seconds")


class _FromFiles(_Reader):
    """Whole: every matching file. With a cursor, or to append: the files whose content has not been seen."""

    def __init__(self, table: Table, last: Landing, location: str, connection: pg.connection):
        super().__init__(table, last, not table.cursor and table.load != "append")
        self.paths: dict[str, Path] = {}  # by content: a file that came twice is read once
        for path in matching_files(table, location):
            self.paths.setdefault(fingerprint(path), path)
        if self.extract.whole:
            self.extract.version = hashlib.sha256(" ".join(sorted(self.paths)).encode()).hexdigest()
            self.has_news = last.version != f"{table.digest} {self.extract.version}"
        else:
            again = table.load != "append" and not last.version.startswith(table.digest)  # the contract changed
            seen = {} if again else _seen_files(table, connection)
            self.paths = {content: path for content, path in self.paths.items() if content not in seen}
            self.has_news = bool(self.paths) or not last.version
            names = {path.name for path in self.paths.values()}
            self.extract.corrected = sorted(names & set(seen.values())) if table.load == "append" else []
            if self.extract.corrected and not table.corrections:
                raise SourceError(
                    f"{self.extract.corrected[0]}: {table.label}: a file of this name has landed with other content; "
                    "`corrections: true` in the contract lets it replace its rows. Nothing was loaded",
                    table,
                )
        if not table.cursor and self.paths:
            newest = max(path.stat().st_mtime for path in self.paths.values())
            self.extract.cut_off = datetime.fromtimestamp(newest, UTC).isoformat(timespec="seconds")

    def batches(self) -> Iterator[pa.Table]:
        for content, path in self.paths.items():
            rows = 0
            for batch in read_file(self.table, path):
                rows += len(batch)
                yield batch
            self.extract.files.append((path.name, content, rows))


class _FromApi(_Reader):
    """A table of an API; the tables of lists in its rows (`parent`, `items`) are filled from the same pages."""

    def __init__(self, table: Table, last: Landing, location: str, whole: bool):
        since = None if whole else _since(table, last)
        super().__init__(table, last, since is None)
        self.api = importlib.import_module(f"ingestion.apis.{table.system.short_name}")
        self.location, self.since = location, since
        self.children: list[_FromApi] = []
        self.seen: set[str] = set()
        if hasattr(self.api, "fingerprint"):
            self.extract.version = self.extract.cut_off = self.api.fingerprint(table.name)
            self.has_news = last.version != f"{table.digest} {self.extract.version}"

    def adopt(self, child: "_FromApi") -> None:
        """From now on this table's pages fill the child's too."""
        self.children.append(child)
        child.since, child.has_news, child.extract.whole = self.since, self.has_news, self.extract.whole

    def resource(self, _folder: Path) -> DltResource:
        return dlt.resource(self._pages(), name=self.table.name, parallelized=True)

    def _pages(self) -> Iterator[pa.Table]:
        for page in getattr(self.api, self.table.name)(self.location, self.since):
            if len(page):
                yield self._take(page if isinstance(page, pa.Table) else self._filled(rows_to_arrow(page)))
            for child in self.children:
                if rows := children(self.table, child.table, page):
                    filled = child._filled(rows_to_arrow(rows))
                    yield dlt.mark.with_table_name(child._take(filled), child.table.name)

    def _filled(self, rows: pa.Table) -> pa.Table:
        """A page may lack a field that is empty in all of its rows; `finish` refuses one that no row of many has."""
        self.seen |= set(rows.column_names)
        for name in self.table.source_names:
            if name not in rows.column_names:
                rows = rows.append_column(name, pa.nulls(len(rows), pa.string()))
        return rows

    def finish(self) -> None:
        missing = [name for name in self.table.source_names if name not in self.seen]
        if self.seen and missing and self.extract.read >= MANY_ROWS:
            what = f"no row has {', '.join(missing)}; was it renamed or dropped? Nothing was loaded"
            raise SourceError(f"{self.table.label}: {what}", self.table)
        if hasattr(self.api, "count"):
            self.extract.source_total = self.api.count(self.table.name, self.location)


class _Quarantined(_Reader):
    """The rows in quarantine, tried again as the contract says now."""

    def __init__(self, table: Table, last: Landing, connection: pg.connection):
        super().__init__(table, last, False)
        with connection, connection.cursor() as cursor:
            cursor.execute(
                "select row_id, content, file_name, row_number from quarantine.rows "
                "where system = %s and table_name = %s and resolved_at is null order by row_id",
                [table.system.name, table.name],
            )
            self.rows = cursor.fetchall()
        self.has_news = bool(self.rows)
        self.redriven: list[int] = []
        self.extract.redriven = self.redriven

    def batches(self) -> Iterator[pa.Table]:
        for row_id, content, file, number in self.rows:
            if self.splitter:
                if "_encrypted" not in content:  # a double of a key; its tokens tell nothing that could be tried again
                    continue
                content = self.splitter.keys.open_content(content)
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


def _since(table: Table, last: Landing) -> Cursor | None:
    """From which cursor value on the source is asked for changes; None for everything, as after a changed contract."""
    if not table.cursor or not last.cut_off or not last.version.startswith(table.digest):
        return None
    kind = table.column(table.cursor).data_type
    if kind == "bigint":
        return int(last.cut_off)
    if kind == "date":
        return date.fromisoformat(last.cut_off) - table.lag
    return datetime.fromisoformat(last.cut_off) - table.lag


def _seen_files(table: Table, connection: pg.connection) -> dict[str, str]:
    """{content hash: name} of the files that have landed in the table."""
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "select sha256, file_name from governance.loaded_files where system = %s and table_name = %s",
            [table.system.name, table.name],
        )
        return dict(cursor.fetchall())


def _tell_versions(pipeline: dlt.Pipeline, readers: list[_Reader]) -> None:
    """A version for each whole extract that has none yet: a hash of what was extracted, whatever the files' order."""
    for extract in (reader.extract for reader in readers):
        if extract.whole and not extract.table.cursor and not extract.version:
            files = Path(pipeline.working_dir).rglob(f"{extract.table.name}.*.parquet")
            with ThreadPoolExecutor() as threads:
                texts = sorted(threads.map(fingerprint, files))
            texts += [reject.content for reject in extract.rejects]
            extract.version = hashlib.sha256(" ".join(texts).encode()).hexdigest()


@contextmanager
def _warehouse(system: System) -> Iterator[pg.connection]:
    """A connection to the warehouse, with the right to be the only load of this system while it lasts."""
    if "LOADER_URL" not in os.environ:
        raise SourceError("LOADER_URL is not set; `warehouse exec <command>` sets it (.env.example)")
    try:
        connection = psycopg2.connect(os.environ["LOADER_URL"])
    except psycopg2.OperationalError as error:
        raise SourceError(f"{system.name}: cannot reach the warehouse: {str(error).splitlines()[0]}") from None
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("select pg_try_advisory_lock(hashtext(%s))", [f"load {system.name}"])
            if not value_of(cursor):
                raise SourceError(f"{system.name} is being loaded by another run; this one did nothing")
        yield connection
    finally:
        connection.close()


def _plain(failure: Exception, system: System) -> SourceError:
    """The failure in one line: the source's own refusal, or the root cause's first line where no value can be in it."""
    cause: BaseException = failure
    while not isinstance(cause, SourceError) and (deeper := cause.__cause__ or cause.__context__):
        cause = deeper
    if isinstance(cause, SourceError):
        return cause
    first_line = (str(cause).strip().splitlines() or [""])[0]
    if str(getattr(cause, "pgcode", None) or getattr(cause, "sqlstate", None) or "")[:2] in ("22", "23"):
        first_line = "a value is not as the table expects"  # Postgres would show it
    step = getattr(failure, "step", "load")  # what is not dlt's own is the warehouse, or the disk, that went away
    place = f" ({system.location} says where it is)" if system.location and step == "extract" else ""
    return SourceError(f"{system.name}: {step} failed{place}: {type(cause).__name__}: {first_line}")
