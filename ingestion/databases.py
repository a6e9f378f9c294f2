"""Read relational databases by SQLAlchemy URL: SQL Server, Oracle, MariaDB and Postgres."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any
from zoneinfo import ZoneInfo

import adbc_driver_postgresql.dbapi as adbc
import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.dialects import mssql

from ingestion.columns import Column
from ingestion.contracts import Birth, DriftError, SourceError, System, Table
from ingestion.errors import describe
from ingestion.headings import snake_case
from ingestion.sql_types import MYSQL, SPECIAL_TEXTS, described, has_offset, readable, summable

CHUNK_ROWS = 10_000
PAGE_ROWS = 10 * CHUNK_ROWS  # per query, where the driver holds the whole result in memory
MAX_UNPAGED_ROWS = 3 * PAGE_ROWS  # per query, where the table has no key for paging
BATCH_BYTES = {"adbc.postgresql.batch_size_hint_bytes": str(4 << 20)}  # 17,000 rows of 15 columns
ARROW_SCHEMES = {"mysql": "mysql", "mariadb": "mysql", "mssql": "mssql"}  # read by connectorx
SESSION = {  # statements that fix the form of texts, by engine
    "postgresql": [
        "set client_encoding to 'UTF8'",
        "set datestyle to 'ISO, YMD'",
        "set intervalstyle to 'postgres'",
        "set extra_float_digits to 1",
        "set timezone to 'UTC'",
    ],
    "mysql": ["set time_zone = '+00:00'"],
}
ORACLE_MOMENT = 'YYYY-MM-DD"T"HH24:MI:SS.FF6TZH:TZM'
BIRTHS = "tables with dates of birth"
CursorValue = date | datetime | int


@dataclass
class Database:
    """A source database: the connection `live` sees it as it is now, `snapshot` as it was when the load began.

    They are one connection where rows are read from the snapshot too: `snapshot_statements` let another connection
    share it. They are also one where the engine offers no snapshot; both then see the present. `session_statements` set
    the forms and the time zone in which every connection that reads rows writes texts.
    """

    engine: sa.Engine
    snapshot: sa.Connection
    live: sa.Connection
    snapshot_statements: list[str] = field(default_factory=list)
    session_statements: list[str] = field(default_factory=list)
    reflected: sa.MetaData = field(default_factory=sa.MetaData)

    def read(
        self, table: Table, since: CursorValue | None, rows: int | None = None, limit: int | None = None
    ) -> Iterator[pa.Table]:
        """The table's rows, in chunks; with `since`, the rows whose cursor is at or after it, or null.

        `rows` is their approximate number, if known; `limit` is the number of rows after which reading ends. Builds the
        query now on this connection; another connection may run it on any thread.
        """
        source = self.reflect(table)
        query = select_rows(table, source, self.engine.dialect, since)
        if limit is not None:
            query = query.limit(limit)
        if self.engine.dialect.name == "postgresql":
            return self._from_postgres(query)
        if self.engine.dialect.name not in ARROW_SCHEMES:
            return self._row_by_row(query)
        if limit is not None and limit <= MAX_UNPAGED_ROWS:
            return self._from_connectorx(query, {})
        if limit is not None:
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
                url,
                self._as_sql(page),
                return_type="arrow_stream",
                batch_size=CHUNK_ROWS,
                pre_execution_query=self.session_statements or None,
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
            for statement in (*self.session_statements, *self.snapshot_statements, self._as_sql(query)):
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
            column.name: sa.func.sum(summable(source.c[name], self.engine.dialect))
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
        for name, declared in _declared(table, source).items():
            if declared.name == table.cursor:
                return self._highest(source.c[name])
        return None

    def _highest(self, cursor: sa.Column[Any]) -> CursorValue | None:
        highest: sa.ColumnElement[Any] = sa.func.max(cursor)
        if has_offset(cursor.type) and self.engine.dialect.name == "oracle":
            highest = sa.func.sys_extract_utc(highest, type_=sa.DateTime)
        value: CursorValue | None = self.live.scalar(sa.select(highest))
        is_moment = isinstance(value, datetime) and value.tzinfo is None and has_offset(cursor.type)
        return value.replace(tzinfo=UTC) if is_moment and isinstance(value, datetime) else value

    def reflect(self, table: Table, is_whole: bool = False) -> sa.Table:
        """The table, or what a load needs of it, as the database describes it; raises DriftError if there is none."""
        name = table.source_table or table.name
        schema = table.source_schema or table.system.source_schema
        if (known := self.reflected.tables.get(f"{schema}.{name}" if schema else name)) is not None:
            return known
        try:
            is_paged = self.engine.dialect.name in ARROW_SCHEMES
            source = described(self.live, self.reflected, name, schema, is_whole, is_paged)
        except sa.exc.NoSuchTableError:
            where = table.system.location
            raise DriftError(f"{table.label}: {where} has no table {name}. Was it renamed?", table) from None
        source.info[BIRTHS] = {birth.table.name: self.reflect(birth.table) for birth in table.other_births.values()}
        return source


@contextmanager
def open_database(system: System, location: str) -> Iterator[Database]:
    """Open the database; all tables are read at one moment if its engine can share a snapshot (Postgres)."""
    try:
        engine = sa.create_engine(location)
        if engine.dialect.name in MYSQL:
            sa.event.listen(engine, "connect", _set_session)
        connection = engine.connect()
    except (sa.exc.SQLAlchemyError, ImportError) as error:
        problem = f"cannot reach the database that {system.location} names: {describe(error)}"
        raise SourceError(f"{system.name}: {problem}") from None
    database = Database(engine, connection, connection)
    try:
        database.session_statements = SESSION.get(engine.dialect.name.replace("mariadb", "mysql"), [])
        if engine.dialect.name == "postgresql":
            connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            snapshot = connection.scalar(sa.text("select pg_export_snapshot()"))
            database.snapshot_statements = [
                "begin isolation level repeatable read read only",
                f"set transaction snapshot '{snapshot}'",
            ]
        else:
            connection.execution_options(isolation_level="AUTOCOMMIT")
        if engine.dialect.name in MYSQL:
            database.snapshot = engine.connect().execution_options(isolation_level="REPEATABLE READ")
            database.snapshot.exec_driver_sql("start transaction with consistent snapshot")
        yield database
    finally:
        database.snapshot.close()
        connection.close()
        engine.dispose()


def _set_session(connection: Any, _record: object) -> None:
    with connection.cursor() as cursor:
        for statement in SESSION["mysql"]:
            cursor.execute(statement)


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
        data_type = declared[column.name].data_type if column.name in declared else "text"
        names[name] = readable(table, column, data_type, dialect).label(name)
    for name, birth in table.other_births.items():
        theirs, is_theirs = _person(table, source, birth)
        born = readable(birth.table, theirs[birth.column.name], "date", dialect)
        names[name] = sa.select(sa.func.min(born)).where(is_theirs).scalar_subquery().label(name)
    return _where_changed(sa.select(*names.values()), table, source, dialect, since)


def _text(value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, bytes):
        return value.hex()
    return str(value).lower() if isinstance(value, bool) else str(value)


def _page_key(table: Table, source: sa.Table) -> dict[str, sa.Column[Any]]:
    """The primary key under the contract's names, if it is declared and of numbers and texts; else empty."""
    declared = _declared(table, source)
    for column in source.primary_key:
        is_sortable = isinstance(column.type, sa.Integer | sa.String) and not isinstance(column.type, SPECIAL_TEXTS)
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
    by_name = {header: column for column in table.source_columns for header in column.headers}
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
    is_changed = _is_changed(table, source, dialect, since)
    for birth in table.other_births.values():  # a corrected date of birth changes the ages on earlier days
        theirs, is_theirs = _person(table, source, birth)
        is_corrected = _is_changed(birth.table, source.info[BIRTHS][birth.table.name], dialect, since)
        is_changed |= sa.exists(sa.select(theirs[birth.column.name]).where(is_theirs, is_corrected))
    return query.where(is_changed)


def _person(table: Table, source: sa.Table, birth: Birth) -> tuple[dict[str, sa.Column[Any]], sa.ColumnElement[bool]]:
    """The declared columns of the table with the dates of birth, and the condition for the row of the person."""
    other = source.info[BIRTHS][birth.table.name]
    theirs, ours = (
        {declared.name: each.c[name] for name, declared in _declared(contract, each).items()}
        for contract, each in ((birth.table, other), (table, source))
    )
    return theirs, theirs[birth.table.key[0]] == ours[table.subject or ""]


def _is_changed(table: Table, source: sa.Table, dialect: sa.Dialect, since: CursorValue) -> sa.ColumnElement[bool]:
    column = next(source.c[name] for name, found in _declared(table, source).items() if found.name == table.cursor)
    moment: object = since
    if isinstance(since, datetime):
        zone = UTC if has_offset(column.type) else ZoneInfo(table.system.time_zone)  # else: the source's local time
        local = since.astimezone(zone)
        first, second = (local.replace(fold=fold).utcoffset() or timedelta() for fold in (0, 1))
        # of an hour that came twice, when the clocks went back, both are read
        moment = _moment(local - max(first - second, timedelta()), column.type, dialect)
    return (column >= moment) | column.is_(None)


def _moment(moment: datetime, kind: Any, dialect: sa.Dialect) -> object:
    """The moment, in the time zone of the column, as the engine compares it with the column."""
    if dialect.name == "mssql":  # its datetime type reads no microseconds from a text
        precise = mssql.DATETIMEOFFSET if has_offset(kind) else mssql.DATETIME2
        moment = moment if has_offset(kind) else moment.replace(tzinfo=None)
        return sa.cast(sa.literal(moment.isoformat(), sa.String), precise)
    if dialect.name == "oracle" and has_offset(kind):  # the driver would drop the offset
        return sa.func.to_timestamp_tz(moment.isoformat(timespec="microseconds"), ORACLE_MOMENT)
    return moment if dialect.name == "postgresql" and has_offset(kind) else moment.replace(tzinfo=None)
