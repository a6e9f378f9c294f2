"""Loads one system: extracts its tables whole, and only then commits them to its raw schema with dlt."""

import hashlib
import importlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import dlt
import psycopg2
import pyarrow as pa
import pyarrow.compute as pc
from dlt.extract import DltResource
from dlt.pipeline.exceptions import PipelineStepFailed
from psycopg2 import sql

from ingestion.contracts import ROOT, SourceError, System, Table
from ingestion.databases import database_resource
from ingestion.files import fingerprint, matching_files, read_file
from ingestion.tables import conform

BUILD_LOCK = "build"  # taken shared while a load commits, and alone while a build reads the raw tables


@dataclass
class Landing:
    """What a load did to a raw table: rows landed by it, and a version that changes only when the content does."""

    table: str
    rows: int = 0
    version: str = ""
    cut_off: str = ""


def load_system(system: System, tables: set[str] | None = None) -> list[Landing]:
    """Extracts and commits `tables` (all by default) of one system; returns a Landing for each.

    The system's location and LOADER_URL come from the environment. Raises SourceError where a table cannot be read as
    its contract says; nothing of the system is committed then.
    """
    if system.location and not os.environ.get(system.location):
        raise SourceError(f"{system.name}: {system.location} is not set; it says where this system is (.env.example)")
    folder = Path(os.environ.get("WAREHOUSE_HOME", ROOT / ".warehouse")) / "dlt" / system.short_name
    with _warehouse(system) as connection:
        last = _last_landings(connection, system)
        chosen = [table for table in system.tables if tables is None or table.name in tables]
        extracts = [_Extract(table, last.get(table.name, Landing(table.name)), connection) for table in chosen]
        shutil.rmtree(folder, ignore_errors=True)  # an interrupted load's; what it committed is in the warehouse
        try:
            if changed := [extract for extract in extracts if extract.changed]:
                _land(changed, system, folder, connection)
        except PipelineStepFailed as failure:
            raise _plain(failure, system) from None
        finally:
            shutil.rmtree(folder, ignore_errors=True)  # dlt would keep the extracted rows there
        return [extract.landing for extract in extracts]


class _Extract:
    """One table on its way in. Its version is known before it is read (files, packages) or by what was read."""

    def __init__(self, table: Table, last: Landing, connection):
        self.table, self.last, self.kind = table, last, table.system.kind
        self.location = os.environ[table.system.location] if table.system.location else None
        self.landing = Landing(table.name, cut_off=last.cut_off)
        self.digest = hashlib.sha256(table.model_dump_json().encode())
        self.contract = self.digest.hexdigest()[:12]
        as_declared = table.cursor and last.version.startswith(self.contract)  # else every row is read again
        self.since, self.landed = _landed_lately(table, connection) if as_declared else (None, set())
        known = ""
        if self.kind == "files":
            self.paths = matching_files(table, self.location)
            known = ";".join(f"{path.name}:{fingerprint(path)}" for path in self.paths)
            newest = max(path.stat().st_mtime for path in self.paths)
            self.landing.cut_off = datetime.fromtimestamp(newest, UTC).isoformat(timespec="seconds")
        elif self.kind == "api":
            self.api = importlib.import_module(f"ingestion.apis.{table.system.short_name}")
            if hasattr(self.api, "fingerprint"):
                known = self.landing.cut_off = self.api.fingerprint(table.name)
        if known:
            self.digest.update(known.encode())
            self.landing.version = self.digest.hexdigest()

    @property
    def changed(self) -> bool:
        """Whether there is something to land, as far as is known: yes, of a table that has to be read to know."""
        return not self.landing.version or self.landing.version != self.last.version

    def resource(self) -> DltResource:
        """The dlt resource: Arrow tables of the contract's columns and types, its key and load mode."""
        if self.kind == "database":
            resource = database_resource(self.table, self.location, self.since)
        elif self.kind == "files":
            resource = dlt.resource(_rows, name=self.table.name)(self.table, self.paths)
        else:
            resource = dlt.resource(_pages, name=self.table.name)(self.table, self.api, self.location, self.since)
        merge = {"disposition": "merge", "strategy": "upsert"}
        return resource.add_map(self._note).apply_hints(
            primary_key=self.table.key, write_disposition=merge if self.table.load == "merge" else "replace"
        )

    def _note(self, batch: pa.Table) -> pa.Table | None:
        """Counts the rows that go on to the warehouse: with a cursor, those that are not there already."""
        if cursor := self.table.cursor:
            if self.since is not None:
                batch = batch.filter(pc.fill_null(pc.greater_equal(batch[cursor], self.since), True))
                rows = zip(*(batch[name].to_pylist() for name in (*self.table.key, cursor)), strict=True)
                batch = batch.filter(pa.array([row not in self.landed for row in rows], pa.bool_()))
            latest = pc.max(batch[cursor]).as_py()
            self.landing.cut_off = max(self.landing.cut_off, str(latest or ""))
        elif not self.landing.version:
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, batch.schema) as stream:
                stream.write_table(batch)
            self.digest.update(sink.getvalue())
        self.landing.rows += len(batch)
        return batch if len(batch) else None

    def settle(self, load_id: str) -> None:
        """After reading: the version by this load where changed rows are merged, else by content."""
        if self.table.cursor:
            self.landing.version = f"{self.contract} {load_id}" if self.landing.rows else self.last.version
        elif not self.landing.version:
            self.landing.version = self.digest.hexdigest()
            self.landing.cut_off = datetime.now(UTC).isoformat(timespec="seconds")


def _rows(table: Table, paths: list[Path]) -> Iterator[pa.Table]:
    for path in paths:
        for batch in read_file(table, path):
            rows = conform(table, batch, path.name, batch["_source_row"][0].as_py())
            for name in ("_source_file", "_source_row"):
                rows = rows.append_column(name, batch[name])
            yield rows


def _pages(table: Table, api: ModuleType, location: str | None, since: datetime | None) -> Iterator[pa.Table]:
    for page in getattr(api, table.name)(location, since):
        batch = page if isinstance(page, pa.Table) else pa.Table.from_pylist(page)
        if len(batch):
            yield conform(table, batch, table.system.name)


def _landed_lately(table: Table, connection) -> tuple[datetime | None, set[tuple]]:
    """From when on the source is asked for changes, and the (key, cursor) of the rows landed since then.

    Both come from the raw table itself: what a load that was cut short left there is where the next one goes on.
    """
    name, cursor = sql.Identifier(table.system.name, table.name), sql.Identifier(table.cursor)
    with connection, connection.cursor() as rows:
        rows.execute("select to_regclass(%s)", [name.as_string(connection)])
        if rows.fetchone()[0] is None:
            return None, set()
        rows.execute(sql.SQL("select max({}) - %s from {}").format(cursor, name), [table.lag])
        if (since := rows.fetchone()[0]) is None:
            return None, set()
        columns = sql.SQL(", ").join(map(sql.Identifier, (*table.key, table.cursor)))
        query = sql.SQL("select {} from {} where {} >= %s or {} is null").format(columns, name, cursor, cursor)
        rows.execute(query, [since])
        return since, set(rows.fetchall())


def _land(extracts: list[_Extract], system: System, folder: Path, connection) -> None:
    pipeline = dlt.pipeline(
        system.short_name,
        pipelines_dir=str(folder),
        destination=dlt.destinations.postgres(os.environ["LOADER_URL"]),
        dataset_name=system.name,
    )
    resources = [extract.resource() for extract in extracts]
    load_id = pipeline.extract(resources, loader_file_format="parquet").loads_ids[0]
    for extract in extracts:
        extract.settle(load_id)
    if any(extract.changed for extract in extracts):
        pipeline.normalize()
        with connection, connection.cursor() as cursor:
            for extract in extracts:
                _prepare_table(cursor, extract)
            cursor.execute("select pg_advisory_lock_shared(hashtext(%s))", [BUILD_LOCK])
        pipeline.load()
    else:
        for extract in extracts:
            extract.landing.rows = 0
    with connection, connection.cursor() as cursor:
        for landing in (extract.landing for extract in extracts):
            cursor.execute(
                "insert into governance.landings (system, table_name, rows_landed, version, cut_off, load_id) "
                "values (%s, %s, %s, %s, %s, %s)",
                [system.name, landing.table, landing.rows, landing.version, landing.cut_off, load_id],
            )


def _prepare_table(cursor, extract: _Extract) -> None:
    """Makes the raw table as its contract says, with the index a merge needs; refuses to empty one that has rows."""
    table, name = extract.table, sql.Identifier(extract.table.system.name, extract.table.name)
    cursor.execute(sql.SQL("create table if not exists {} ()").format(name))
    for column in table.columns:
        add = sql.SQL("alter table {} add column if not exists {} " + column.data_type)
        cursor.execute(add.format(name, sql.Identifier(column.name)))
    if table.load == "merge":
        index, key = sql.Identifier(f"{table.name}_key"), sql.SQL(", ").join(map(sql.Identifier, table.key))
        cursor.execute(sql.SQL("create unique index if not exists {} on {} ({})").format(index, name, key))
    elif not extract.landing.rows:
        cursor.execute(sql.SQL("select exists (select from {})").format(name))
        if cursor.fetchone()[0]:
            raise SourceError(
                f"{table.label}: the source is empty and the warehouse's table is not; nothing was loaded"
            )


@contextmanager
def _warehouse(system: System) -> Iterator:
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
            if not cursor.fetchone()[0]:
                raise SourceError(f"{system.name} is being loaded by another run; this one did nothing")
        yield connection
    finally:
        connection.close()


def _last_landings(connection, system: System) -> dict[str, Landing]:
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "select distinct on (table_name) table_name, rows_landed, version, cut_off from governance.landings "
            "where system = %s order by table_name, landing_id desc",
            [system.name],
        )
        return {row[0]: Landing(*row) for row in cursor.fetchall()}


def _plain(failure: PipelineStepFailed, system: System) -> SourceError:
    """The failure in one line: the source's own refusal, or the root cause's first line (its detail has values)."""
    cause: BaseException = failure
    while not isinstance(cause, SourceError) and (cause.__cause__ or cause.__context__):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, SourceError):
        return cause
    first_line = (str(cause).strip().splitlines() or [""])[0]
    place = f" ({system.location} says where it is)" if system.location and failure.step == "extract" else ""
    return SourceError(f"{system.name}: {failure.step} failed{place}: {type(cause).__name__}: {first_line}")
