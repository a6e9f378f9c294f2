"""The kinds of source that a table is read from: a database, files, an HTTP API, or the quarantine."""

import hashlib
import importlib
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime
from pathlib import Path

import dlt
import pyarrow as pa
from dlt.extract import DltResource
from psycopg2 import extensions as pg

from ingestion.apis import child_rows, column_names
from ingestion.casting import CAST_ERRORS, cast
from ingestion.contracts import DriftError, LoadCheckError, Table
from ingestion.databases import CursorValue, Database
from ingestion.files import fingerprint, matching_files, read_file
from ingestion.json_rows import rows_to_arrow
from ingestion.load_results import LoadResult
from ingestion.readers import Reader
from ingestion.tables import conform


class FromDatabase(Reader):
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


class FromFiles(Reader):
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


class FromApi(Reader):
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
        return dlt.resource(self.pages(), name=self.table.name, parallelized=True)

    def pages(self) -> Iterator[pa.Table]:
        for page in getattr(self.api, self.table.name)(self.location, self.since):
            if len(page):
                yield self.process(page if isinstance(page, pa.Table) else self._named(rows_to_arrow(page)))
            for child in self.children:
                if rows := child_rows(self.table, child.table, page):
                    filled = child._named(rows_to_arrow(rows))
                    yield dlt.mark.with_table_name(child.process(filled), child.table.name)

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


class FromQuarantine(Reader):
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
