"""Reads relational databases by SQLAlchemy URL: SQL Server, Oracle, MariaDB and Postgres alike."""

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

from ingestion.contracts import Column, SourceError, System, Table
from ingestion.layouts import snake_case

CHUNK_ROWS = 10_000
PIECE_ROWS = 10 * CHUNK_ROWS  # asked for at a time where the driver holds all that it was asked for
MOST_ROWS = 3 * PIECE_ROWS  # asked for at once, where there is no key by which to ask for pieces
BATCH_BYTES = {"adbc.postgresql.batch_size_hint_bytes": str(4 << 20)}  # 17,000 rows of 15 columns
NOT_PLAIN = (sa.Enum, mysql.SET, CITEXT)  # texts that sort, or come, otherwise than as their letters
ARROW_SCHEMES = {"mysql": "mysql", "mariadb": "mysql", "mssql": "mssql"}  # by connectorx
Cursor = date | datetime | int


@dataclass
class Database:
    """A source database, by a connection that sees it as it is `now` and one that sees it as it was at the beginning.

    They are one where rows are read as of the beginning too: `before` are the statements that let another connection
    do so. They are also one, and both see the present, where an engine keeps no past for those who only ask.
    """

    engine: sa.Engine
    beginning: sa.Connection
    now: sa.Connection
    before: list[str] = field(default_factory=list)
    reflected: sa.MetaData = field(default_factory=sa.MetaData)

    def read(self, table: Table, since: Cursor | None, rows: int | None = None) -> Iterator[pa.Table]:
        """The table's rows, in chunks; with `since`, those whose cursor is at or after it, or is not set.

        `rows` is how many they are about, if that has been counted.
        What is to be asked is made out at once, by the connection that is there; another asks it, from whatever thread.
        """
        source = self.reflect(table)
        query = select_rows(table, source, self.engine.dialect, since)
        if self.engine.dialect.name == "postgresql":
            return self._from_postgres(query)
        if self.engine.dialect.name not in ARROW_SCHEMES:
            return self._row_by_row(query)
        if key := _key(table, source) if since is None else {}:
            return self._from_connectorx(query.order_by(*key.values()).limit(PIECE_ROWS), key)
        rows = self.count(table, since)[0] if rows is None else rows
        return self._from_connectorx(query, {}) if rows <= MOST_ROWS else self._row_by_row(query)

    def _row_by_row(self, query: sa.Select[Any]) -> Iterator[pa.Table]:
        """By SQLAlchemy, whose drivers read no more than is taken; every value as text, for the contract to cast."""
        with self.engine.connect() as connection:
            found = connection.execution_options(yield_per=CHUNK_ROWS).execute(query)
            for rows in found.partitions():
                texts = ([_text(value) for value in column] for column in zip(*rows, strict=True))
                yield pa.table([pa.array(column, pa.string()) for column in texts], names=list(found.keys()))

    def _from_connectorx(self, query: sa.Select[Any], key: dict[str, sa.Column[Any]]) -> Iterator[pa.Table]:
        """By a driver that waits for nobody: where there is a key, piece after piece in its order."""
        import connectorx  # 16 MB that no other load needs

        url, last = self._url(ARROW_SCHEMES[self.engine.dialect.name]), None
        piece: sa.Select[Any] | None = query
        while piece is not None:
            rows, before = 0, last
            for batch in connectorx.read_sql(
                url, self._as_sql(piece), return_type="arrow_stream", batch_size=CHUNK_ROWS
            ):
                if len(batch):  # the last may be empty
                    yield pa.Table.from_batches([batch])
                    rows, last = rows + len(batch), batch.slice(len(batch) - 1)
            more = key and rows == PIECE_ROWS and last != before
            piece = query.where(_after(key, last.to_pylist()[0])) if last is not None and more else None

    def _url(self, scheme: str) -> str:
        return self.engine.url.set(drivername=scheme).render_as_string(hide_password=False)

    def _as_sql(self, query: sa.Select[Any]) -> str:
        text = str(query.compile(dialect=self.engine.dialect, compile_kwargs={"literal_binds": True}))
        return text.replace("%%", "%") if self.engine.dialect.paramstyle in ("format", "pyformat") else text

    def _from_postgres(self, query: sa.Select[Any]) -> Iterator[pa.Table]:
        """By ADBC, which takes every text for UTF-8, whatever the database has."""
        with (
            adbc.connect(self._url("postgresql"), autocommit=True) as connection,
            connection.cursor(adbc_stmt_kwargs=BATCH_BYTES) as cursor,
        ):
            for statement in ("set client_encoding to 'UTF8'", *self.before, self._as_sql(query)):
                cursor.execute(statement)
            for batch in cursor.fetch_record_batch():
                yield pa.Table.from_batches([batch])

    @property
    def keeps_beginning(self) -> bool:
        """Whether it can be asked for the beginning at any time, though rows are read as they are now."""
        return self.beginning is not self.now

    def count(self, table: Table, since: Cursor | None, then: bool = False) -> tuple[int, dict[str, object]]:
        """Rows at or after `since` and the sums of their control totals, as the database itself has them.

        They are those of now, or with `then` of the beginning.
        """
        source = self.reflect(table)
        names = _declared(table, source)
        totals = {
            column.name: sa.func.sum(source.c[name])
            for name, column in names.items()
            if column.name in table.control_totals and not pa.types.is_floating(column.arrow_type)
        }
        query = sa.select(sa.func.count(), *totals.values()).select_from(source)
        asked = self.beginning if then else self.now
        rows, *found = asked.execute(_changed(query, table, source, self.engine.dialect, since)).one()
        return rows, {name: total or 0 for name, total in zip(totals, found, strict=True)}

    def state(self, table: Table) -> str:
        """How many rows the table has now, and its highest cursor value where it has a cursor."""
        return f"{self.count(table, None)[0]} {self.highest(table)}"

    def highest(self, table: Table) -> Cursor | None:
        """The highest cursor value that the table has now; None where it has no cursor, or no row."""
        source = self.reflect(table)
        cursors = [source.c[name] for name, column in _declared(table, source).items() if column.name == table.cursor]
        return self.now.scalar(sa.select(sa.func.max(*cursors))) if cursors else None

    def reflect(self, table: Table) -> sa.Table:
        """The table as the database describes it; raises SourceError where there is none."""
        name = table.source_table or table.name
        try:
            return sa.Table(name, self.reflected, schema=table.system.source_schema, autoload_with=self.now)
        except sa.exc.NoSuchTableError:
            where = table.system.location
            raise SourceError(f"{table.label}: {where} has no table {name}; was it renamed?", table) from None


@contextmanager
def open_database(system: System, location: str) -> Iterator[Database]:
    """The database, all tables as of one moment where its engine lets connections share a snapshot (Postgres)."""
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
            database.before = [
                "begin isolation level repeatable read read only",
                f"set transaction snapshot '{snapshot}'",
            ]
        else:
            connection.execution_options(isolation_level="AUTOCOMMIT")
        if engine.dialect.name in ("mysql", "mariadb"):
            database.beginning = engine.connect().execution_options(isolation_level="REPEATABLE READ")
            database.beginning.exec_driver_sql("start transaction with consistent snapshot")
        yield database
    finally:
        database.beginning.close()
        connection.close()
        engine.dispose()


def select_rows(table: Table, source: sa.Table, dialect: sa.Dialect, since: Cursor | None) -> sa.Select[Any]:
    """The query for a table's rows: declared columns by the contract's names, others in snake case, none left out."""
    declared = _declared(table, source)
    names: dict[str, sa.ColumnElement[Any]] = {}
    for column in source.columns:
        name = declared[column.name].name if column.name in declared else snake_case(column.name)
        ours = {column.name, name} if column.name not in declared else {column.name}
        if any(fnmatchcase(text, words) for text in ours for words in table.left_out):
            continue
        if name in names:
            raise SourceError(
                f"{table.label}: two columns of the source are called {name}; say which by `header`", table
            )
        names[name] = _readable(column, dialect).label(name)
    return _changed(sa.select(*names.values()), table, source, dialect, since)


def _text(value: object) -> str | None:
    if value is None:
        return None
    return value.hex() if isinstance(value, bytes) else str(value)


def _key(table: Table, source: sa.Table) -> dict[str, sa.Column[Any]]:
    """The primary key by the contract's names, if it is declared and of numbers and texts; empty where it is not."""
    declared = _declared(table, source)
    for column in source.primary_key:
        sorts = isinstance(column.type, sa.Integer | sa.String) and not isinstance(column.type, NOT_PLAIN)
        if column.name not in declared or not sorts:
            return {}
    return {declared[column.name].name: column for column in source.primary_key}


def _after(key: dict[str, sa.Column[Any]], row: dict[str, object]) -> sa.ColumnElement[bool]:
    """What comes after that row in the key's order."""
    equal: list[sa.ColumnElement[bool]] = []
    later = []
    for name, column in key.items():
        later.append(sa.and_(*equal, column > row[name]))
        equal.append(column == row[name])
    return sa.or_(*later)


def _declared(table: Table, source: sa.Table) -> dict[str, Column]:
    """{source's name: declared column} of those that the source has."""
    by_name = {column.header or column.name: column for column in table.source_columns}
    return {
        column.name: found
        for column in source.columns
        if (found := by_name.get(column.name) or by_name.get(snake_case(column.name)))
    }


def _changed(
    query: sa.Select[Any], table: Table, source: sa.Table, dialect: sa.Dialect, since: Cursor | None
) -> sa.Select[Any]:
    if since is None:
        return query
    column = next(source.c[name] for name, found in _declared(table, source).items() if found.name == table.cursor)
    moment: object = since
    if isinstance(since, datetime) and not getattr(column.type, "timezone", False):  # the source's own clock
        moment = since.astimezone(ZoneInfo(table.system.time_zone)).replace(tzinfo=None)
    if isinstance(moment, datetime) and dialect.name == "mssql":  # its older type takes no microseconds in a text
        moment = sa.cast(sa.literal(moment.isoformat(), sa.String), mssql.DATETIME2)
    return query.where((column >= moment) | column.is_(None))


def _readable(column: sa.Column[Any], dialect: sa.Dialect) -> sa.ColumnElement[Any]:
    """The column, as text where Arrow could not carry every value of its type exactly."""
    kind = column.type
    if isinstance(kind, sa.Float):
        kind.asdecimal = False  # a double read as a decimal of ten places is another number
    if isinstance(kind, mysql.BIT):
        return sa.cast(column, sa.Integer)  # its text would be the bytes
    exact: tuple[type, ...] = (sa.Integer, sa.Boolean, sa.Float, sa.String)
    if dialect.name not in ("mysql", "mariadb"):  # there, a date may be 0000-00-00
        exact += (sa.Date, sa.DateTime)
    in_arrow = dialect.name in ("postgresql", *ARROW_SCHEMES)
    if not in_arrow or (isinstance(kind, exact) and not isinstance(kind, NOT_PLAIN)):
        return column
    return sa.cast(column, sa.String)
