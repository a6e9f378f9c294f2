"""Load one system: extract with dlt into the landing schema, check, and commit all tables in one transaction."""

import hashlib
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, nullcontext, suppress
from pathlib import Path

import dlt
import psycopg2
import pyarrow as pa
from psycopg2 import extensions as pg

from ingestion import ROOT
from ingestion.commit import UnreconciledError, commit
from ingestion.contracts import LoadCheckError, SourceError, System, Table
from ingestion.databases import open_database
from ingestion.errors import describe, root_cause
from ingestion.files import fingerprint, matching_files
from ingestion.identities import known_identities
from ingestion.landing import TableColumns, create_landing_tables, postgres_copy
from ingestion.load_results import LoadResult, last_load_results, record_failure, record_load_result
from ingestion.postgres import end_transaction, take_lock, value_of
from ingestion.privacy import Keys
from ingestion.readers import Reader
from ingestion.sources import FromApi, FromDatabase, FromFiles, FromQuarantine

SYNCHRONOUS_COMMIT = (
    "select set_config('synchronous_commit', 'on', true) where current_setting('synchronous_commit') = 'off'"
)


def load_system(system: System, tables: set[str] | None = None, redrive: bool = False) -> list[LoadResult]:
    """Load `tables` (default: all) of one system in one transaction; return one LoadResult per table.

    `redrive` loads the quarantined rows again instead of the source. The system's location and LOADER_URL come from the
    environment. Raises SourceError if a table cannot be read as its contract says or fails a load check; then nothing
    of the system is committed.
    """
    location_of(system)  # refused before the warehouse is asked for anything
    chosen = [table for table in system.tables if tables is None or tables & {table.name, table.parent}]
    parents = {table.parent for table in chosen}
    chosen = [table for table in system.tables if table in chosen or table.name in parents]
    folder = Path(os.environ.get("WAREHOUSE_HOME", ROOT / ".warehouse")) / "dlt" / system.short_name
    with (
        _exclusive_connection(system) as connection,
        nullcontext() if redrive else _recorded(system, connection, len(chosen) == len(system.tables)),
    ):
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


def location_of(system: System) -> str:
    """The system's URL or folder from the environment; empty if the contract names no variable. Raises SourceError."""
    location = os.environ.get(system.location or "", "")
    if system.location and not location:
        raise SourceError(
            f"{system.name}: {system.location} is not set. Set it to the system's location (.env.example)"
        )
    return location


def source_state(system: System) -> str:
    """A text that changes when a polled system's source changes; cheap enough to ask for every few seconds."""
    location = location_of(system)
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
    location = location_of(system)
    landing_tables: TableColumns = {}  # filled after extraction, when the changed tables are known
    pipeline = dlt.pipeline(
        system.short_name,
        pipelines_dir=str(folder),
        destination=postgres_copy(system, os.environ["LOADER_URL"], landing_tables),
    )
    reads_database = system.kind == "database" and not redrive
    with open_database(system, location) if reads_database else nullcontext() as database:
        readers: dict[str, Reader] = {}
        for table in tables:
            previous = last.get(table.name, LoadResult(table.name))
            if redrive:
                readers[table.name] = FromQuarantine(table, previous, connection)
            elif database:
                readers[table.name] = FromDatabase(table, previous, database, table.name in full_refresh)
            elif system.kind == "files":
                readers[table.name] = FromFiles(table, previous, location, connection)
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


def _set_versions(pipeline: dlt.Pipeline, readers: list[Reader]) -> None:
    """Give each full refresh without a version a hash of its extracted content, independent of file order."""
    for extract in (reader.extract for reader in readers):
        if extract.full_refresh and not extract.table.cursor and not extract.version:
            files = Path(pipeline.working_dir).rglob(f"{extract.table.name}.*.parquet")
            with ThreadPoolExecutor() as threads:
                texts = sorted(threads.map(fingerprint, files))
            texts += [reject.content for reject in extract.rejects]
            extract.version = hashlib.sha256(" ".join(texts).encode()).hexdigest()


@contextmanager
def _recorded(system: System, connection: pg.connection, is_whole: bool) -> Iterator[None]:
    """Record that the load within the block failed; after a load of every table (`is_whole`), that it did not."""
    try:
        yield
    except Exception:
        with suppress(psycopg2.Error):
            record_failure(connection, system, is_failed=True)
        raise
    if is_whole:
        try:
            record_failure(connection, system, is_failed=False)
        except psycopg2.Error as failure:  # the rows are committed; the next load records its own outcome
            raise to_source_error(failure, system) from None


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
            stack.callback(end_transaction, holder)
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
