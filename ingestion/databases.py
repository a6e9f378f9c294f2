"""Read relational databases by SQLAlchemy URL: SQL Server, Oracle, MariaDB and Postgres."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from fnmatch import fnmatchcase
from typing import Any
from zoneinfo import ZoneInfo

import adbc_driver_postgresql.dbapi as adbc
import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.dialects import mssql, mysql
from sqlalchemy.dialects.postgresql import CITEXT

from ingestion.contracts import Column, DriftError, SourceError, System, Table
from ingestion.layouts import snake_case

CHUNK_ROWS = 10_000
PAGE_ROWS = 10 * CHUNK_ROWS  # per query, where the driver holds the whole result in memory
MAX_UNPAGED_ROWS = 3 * PAGE_ROWS  # per query, where the table has no key for paging
BATCH_BYTES = {"adbc.postgresql.batch_size_hint_bytes": str(4 << 20)}  # 17,000 rows of 15 columns
SPECIAL_TEXT_TYPES = (sa.Enum, mysql.SET, CITEXT)  # texts whose order or form is not that of their letters
ARROW_SCHEMES = {"mysql": "mysql", "mariadb": "mysql", "mssql": "mssql"}  # read by connectorx
CursorValue = date | datetime | int


@dataclass
class Database:
    """A source database: the connection `live` sees it as it is now, `snapshot` as it was when the load began.

    They are one connection where rows are read from the snapshot too: `snapshot_statements` let another connection
    share it. They are also one where the engine offers no snapshot; both then see the present.
    """

    engine: sa.Engine
    snapshot: sa.Connection
    live: sa.Connection
    snapshot_statements: list[str] = field(default_factory=list)
    reflected: sa.MetaData = field(default_factory=sa.MetaData)

    def read(self, table: Table, since: CursorValue | None, rows: int | None = None) -> Iterator[pa.Table]:
        """The table's rows, in chunks; with `since`, the rows whose cursor is at or after it, or null.

        `rows` is their approximate number, if known. Builds the query now on this connection; another connection may
        run it on any thread.
        """
        source = self.reflect(table)
        query = select_rows(table, source, self.engine.dialect, since)
        if self.engine.dialect.name == "postgresql":
            return self._from_postgres(query)
        if self.engine.dialect.name not in ARROW_SCHEMES:
            return self._row_by_row(query)
        if key := _page_key(table, source) if since is None else {}:
            return self._from_connectorx(query.order_by(*key.values()).limit(PAGE_ROWS), key)
        rows = self.count(table, since)[0] if rows is None else rows
        return self._from_connectorx(query, {}) if rows <= MAX_UNPAGED_ROWS else self._row_by_row(query)

    def _row_by_row(self, query: sa.Select[Any]) -> Iterator[pa.Table]:
        """Through SQLAlchemy, whose drivers stream; every value as text, for the contract to cast."""
        with self.engine.connect() as connection:
            found = connection.execution_options(yield_per=CHUNK_ROWS).execute(query)
            for rows in found.partitions():
                texts = ([_text(value) for value in column] for column in zip(*rows, strict=True))
                yield pa.table([pa.array(column, pa.string()) for column in texts], names=list(found.keys()))

    def _from_connectorx(self, query: sa.Select[Any], key: dict[str, sa.Column[Any]]) -> Iterator[pa.Table]:
        """Through connectorx, whose driver does not wait for its reader: page by page, where the table has a key."""
        import connectorx  # 16 MB that no other load needs

        url, last = self._url(ARROW_SCHEMES[self.engine.dialect.name]), None
        page: sa.Select[Any] | None = query
        while page is not None:
            rows, previous = 0, last
            for batch in connectorx.read_sql(
                url, self._as_sql(page), return_type="arrow_stream", batch_size=CHUNK_ROWS
            ):
                if len(batch):  # the last batch may be empty
                    yield pa.Table.from_batches([batch])
                    rows, last = rows + len(batch), batch.slice(len(batch) - 1)
            more = key and rows == PAGE_ROWS and last != previous
            page = query.where(_after(key, last.to_pylist()[0])) if last is not None and more else None

    def _url(self, scheme: str) -> str:
        return self.engine.url.set(drivername=scheme).render_as_string(hide_password=False)

    def _as_sql(self, query: sa.Select[Any]) -> str:
        text = str(query.compile(dialect=self.engine.dialect, compile_kwargs={"literal_binds": True}))
        return text.replace("%%", "%") if self.engine.dialect.paramstyle in ("format", "pyformat") else text

    def _from_postgres(self, query: sa.Select[Any]) -> Iterator[pa.Table]:
        """Through ADBC, which reads every text as UTF-8 whatever the database's encoding."""
        with (
            adbc.connect(self._url("postgresql"), autocommit=True) as connection,
            connection.cursor(adbc_stmt_kwargs=BATCH_BYTES) as cursor,
        ):
            for statement in ("set client_encoding to 'UTF8'", *self.snapshot_statements, self._as_sql(query)):
                cursor.execute(statement)
            for batch in cursor.fetch_record_batch():
                yield pa.Table.from_batches([batch])

    @property
    def has_snapshot(self) -> bool:
        """Whether the snapshot can be queried although rows are read live."""
        return self.snapshot is not self.live

    def count(
        self, table: Table, since: CursorValue | None, at_snapshot: bool = False
    ) -> tuple[int, dict[str, object]]:
        """(rows at or after `since`, sums of their control totals), as the database calculates them.

        Live figures, or with `at_snapshot` those of the snapshot.
        """
        source = self.reflect(table)
        names = _declared(table, source)
        totals = {
            column.name: sa.func.sum(source.c[name])
            for name, column in names.items()
            if column.name in table.control_totals and not pa.types.is_floating(column.arrow_type)
        }
        query = sa.select(sa.func.count(), *totals.values()).select_from(source)
        connection = self.snapshot if at_snapshot else self.live
        rows, *found = connection.execute(_where_changed(query, table, source, self.engine.dialect, since)).one()
        return rows, {name: total or 0 for name, total in zip(totals, found, strict=True)}

    def state(self, table: Table) -> str:
        """The table's row count and, if it has a cursor, its highest cursor value."""
        return f"{self.count(table, None)[0]} {self.max_cursor(table)}"

    def max_cursor(self, table: Table) -> CursorValue | None:
        """The table's highest cursor value; None without a cursor or a row."""
        source = self.reflect(table)
        cursors = [source.c[name] for name, column in _declared(table, source).items() if column.name == table.cursor]
        return self.live.scalar(sa.select(sa.func.max(*cursors))) if cursors else None

    def reflect(self, table: Table) -> sa.Table:
        """The table as the database describes it; raises DriftError if it does not exist."""
        name = table.source_table or table.name
        try:
            return sa.Table(name, self.reflected, schema=table.system.source_schema, autoload_with=self.live)
        except sa.exc.NoSuchTableError:
            where = table.system.location
            raise DriftError(f"{table.label}: {where} has no table {name}. Was it renamed?", table) from None


@contextmanager
def open_database(system: System, location: str) -> Iterator[Database]:
    """Open the database; all tables are read at one moment if its engine can share a snapshot (Postgres)."""
    try:
        engine = sa.create_engine(location)
        connection = engine.connect()
    except (sa.exc.SQLAlchemyError, ImportError) as error:
        cause = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        raise SourceError(f"{system.name}: cannot reach the database that {system.location} names: {cause}") from None
    database = Database(engine, connection, connection)
    try:
        if engine.dialect.name == "postgresql":
            connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            snapshot = connection.scalar(sa.text("select pg_export_snapshot()"))
            database.snapshot_statements = [
                "begin isolation level repeatable read read only",
                f"set transaction snapshot '{snapshot}'",
            ]
        else:
            connection.execution_options(isolation_level="AUTOCOMMIT")
        if engine.dialect.name in ("mysql", "mariadb"):
            database.snapshot = engine.connect().execution_options(isolation_level="REPEATABLE READ")
            database.snapshot.exec_driver_sql("start transaction with consistent snapshot")
        yield database
    finally:
        database.snapshot.close()
        connection.close()
        engine.dispose()


def select_rows(table: Table, source: sa.Table, dialect: sa.Dialect, since: CursorValue | None) -> sa.Select[Any]:
    """The query for a table's rows: declared columns under the contract's names, others in snake case."""
    declared = _declared(table, source)
    names: dict[str, sa.ColumnElement[Any]] = {}
    for column in source.columns:
        name = declared[column.name].name if column.name in declared else snake_case(column.name)
        name_forms = {column.name, name} if column.name not in declared else {column.name}
        if any(fnmatchcase(name_form, pattern) for name_form in name_forms for pattern in table.left_out):
            continue
        if name in names:
            raise SourceError(
                f"{table.label}: two source columns give the name {name}; choose one with `header`", table
            )
        names[name] = _readable(column, dialect).label(name)
    return _where_changed(sa.select(*names.values()), table, source, dialect, since)


def _text(value: object) -> str | None:
    if value is None:
        return None
    return value.hex() if isinstance(value, bytes) else str(value)


def _page_key(table: Table, source: sa.Table) -> dict[str, sa.Column[Any]]:
    """The primary key under the contract's names, if it is declared and of numbers and texts; else empty."""
    declared = _declared(table, source)
    for column in source.primary_key:
        is_sortable = isinstance(column.type, sa.Integer | sa.String) and not isinstance(
            column.type, SPECIAL_TEXT_TYPES
        )
        if column.name not in declared or not is_sortable:
            return {}
    return {declared[column.name].name: column for column in source.primary_key}


def _after(key: dict[str, sa.Column[Any]], row: dict[str, object]) -> sa.ColumnElement[bool]:
    """The condition for the rows after this row in the key's order."""
    equal: list[sa.ColumnElement[bool]] = []
    later = []
    for name, column in key.items():
        later.append(sa.and_(*equal, column > row[name]))
        equal.append(column == row[name])
    return sa.or_(*later)


def _declared(table: Table, source: sa.Table) -> dict[str, Column]:
    """{source column: declared column} of the declared columns that the source has."""
    by_name = {column.header or column.name: column for column in table.source_columns}
    return {
        column.name: found
        for column in source.columns
        if (found := by_name.get(column.name) or by_name.get(snake_case(column.name)))
    }


def _where_changed(
    query: sa.Select[Any], table: Table, source: sa.Table, dialect: sa.Dialect, since: CursorValue | None
) -> sa.Select[Any]:
    if since is None:
        return query
    column = next(source.c[name] for name, found in _declared(table, source).items() if found.name == table.cursor)
    moment: object = since
    if isinstance(since, datetime) and not getattr(column.type, "timezone", False):  # in the source's time zone
        moment = since.astimezone(ZoneInfo(table.system.time_zone)).replace(tzinfo=None)
    if isinstance(moment, datetime) and dialect.name == "mssql":  # its datetime type reads no microseconds from a text
        moment = sa.cast(sa.literal(moment.isoformat(), sa.String), mssql.DATETIME2)
    return query.where((column >= moment) | column.is_(None))


def _readable(column: sa.Column[Any], dialect: sa.Dialect) -> sa.ColumnElement[Any]:
    """The column, as text if Arrow could not carry every value of its type exactly."""
    kind = column.type
    if isinstance(kind, sa.Float):
        kind.asdecimal = False  # a double read as a decimal of ten places would change
    if isinstance(kind, mysql.BIT):
        return sa.cast(column, sa.Integer)  # its text would be raw bytes
    exact: tuple[type, ...] = (sa.Integer, sa.Boolean, sa.Float, sa.String)
    if dialect.name not in ("mysql", "mariadb"):  # there a date may be 0000-00-00
        exact += (sa.Date, sa.DateTime)
    in_arrow = dialect.name in ("postgresql", *ARROW_SCHEMES)
    if not in_arrow or (isinstance(kind, exact) and not isinstance(kind, SPECIAL_TEXT_TYPES)):
        return column
    return sa.cast(column, sa.String)
