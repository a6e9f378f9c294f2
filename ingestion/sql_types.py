"""The types of SQL Server, Oracle, MariaDB, MySQL and Postgres: what a column is declared as, and how it is read.

Every value is read exactly, or refused by name (docs/reference/source-databases.md lists the types). A type is read as
the driver's own Arrow type where that holds all its values, otherwise as a text that the database writes.
"""

import re
import warnings
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mssql, mysql, oracle, postgresql

from ingestion.contracts import SourceError, Table
from ingestion.internals import is_binary

Expression = sa.ColumnElement[Any]
UNKNOWN_TYPE = re.compile(r"Did not recognize type '(?P<type>.*)' of column '(?P<column>.*)'")
SOURCE_TYPE = "source_type"  # entry of a reflected column's `info`: the name of a type that SQLAlchemy does not know
MYSQL = ("mysql", "mariadb")
LONGEST_NUMBER = 38  # digits of an Arrow decimal
LONGEST_ID = 64  # bytes; a longer binary value is no identifier but a document or picture
MAX_BIGINT_DIGITS = 18
MONEY = (mssql.MONEY, mssql.SMALLMONEY, postgresql.MONEY)
READABLE_AS_TEXT = {"mssql": {"hierarchyid"}, "mysql": {"inet4", "inet6"}, "oracle": {"INTERVAL YEAR TO MONTH"}}
SPECIAL_TEXTS = (sa.Enum, mysql.SET, postgresql.CITEXT)  # texts whose order or form is not that of their letters
ANY_BYTES, ANY_TEXT, PRECISE_TIME = mssql.VARBINARY("max"), mssql.NVARCHAR("max"), mssql.DATETIME2(7)  # type: ignore
ORACLE_NUMBER = ("TM9", "NLS_NUMERIC_CHARACTERS='.,'")  # all digits, whatever the session's language
ORACLE_TIME = 'SYYYY-MM-DD"T"HH24:MI:SS'


def described(
    live: sa.Connection, tables: sa.MetaData, name: str, schema: str | None, is_whole: bool, with_key: bool
) -> sa.Table:
    """The table as the database describes it: whole, or its columns alone and perhaps its primary key.

    Raises NoSuchTableError.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", sa.exc.SAWarning)
        if is_whole:
            source = sa.Table(name, tables, schema=schema, autoload_with=live)
        else:
            inspector = sa.inspect(live)
            columns = [sa.Column(each["name"], each["type"]) for each in inspector.get_columns(name, schema)]
            key = inspector.get_pk_constraint(name, schema)["constrained_columns"] if with_key else []
            source = sa.Table(name, tables, *columns, sa.PrimaryKeyConstraint(*key), schema=schema)
    for warning in caught:
        if unknown := UNKNOWN_TYPE.search(str(warning.message)):
            source.columns[unknown["column"]].info[SOURCE_TYPE] = unknown["type"]
    return source


def contract_type(kind: Any, dialect: str, source_type: str = "") -> tuple[str | None, Any]:
    """(the contract's type for a database type, a comment if guessed), or (None, reason) if it is left out."""
    kind = _base(kind)
    if isinstance(kind, sa.types.NullType) and not _is_text(source_type, dialect):
        return None, f"type {source_type or 'unknown'}, which cannot be read exactly"
    if isinstance(kind, mssql.SQL_VARIANT):
        return None, "type sql_variant, which cannot be read exactly"
    if isinstance(kind, MONEY):
        return ("numeric(19,2)" if isinstance(kind, postgresql.MONEY) else "numeric(19,4)"), None
    if isinstance(kind, mysql.BIT):
        return ("numeric(20,0)" if (kind.length or 1) == 64 else "bigint"), None
    if isinstance(kind, mysql.YEAR):
        return "bigint", None
    if isinstance(kind, sa.Boolean) or (isinstance(kind, mysql.TINYINT) and kind.display_width == 1):
        return "boolean", None
    if isinstance(kind, oracle.FLOAT) and not isinstance(kind, oracle.BINARY_DOUBLE | oracle.BINARY_FLOAT):
        return "text", "guessed: Oracle's FLOAT has more digits than double precision"
    if isinstance(kind, sa.Float):
        return "double precision", None
    if isinstance(kind, sa.Integer) and not isinstance(kind, sa.Numeric):  # Oracle's NUMBER is both
        return "numeric(20,0)" if isinstance(kind, mysql.BIGINT) and kind.unsigned else "bigint", None
    if isinstance(kind, sa.Numeric):
        return _numeric(kind, dialect)
    if isinstance(kind, sa.DateTime):
        return "timestamptz", None
    if isinstance(kind, sa.Date):
        return "date", None
    if is_binary(kind):
        length = getattr(kind, "length", None)
        return ("text", "in hexadecimal") if length and length <= LONGEST_ID else (None, "binary")
    return "text", None


def _numeric(kind: sa.Numeric[Any], dialect: str) -> tuple[str, str | None]:
    precision, scale = kind.precision, kind.scale or 0
    if dialect == "oracle" and precision and precision <= MAX_BIGINT_DIGITS and scale == 0:
        return "bigint", None
    if precision and precision <= LONGEST_NUMBER and 0 <= scale <= precision:
        return f"numeric({precision},{scale})", None
    return "text", "guessed: the source's precision does not fit numeric(p,s)"


def readable(table: Table, column: sa.Column[Any], declared: str, dialect: sa.Dialect) -> Expression:
    """The expression that reads a column as the contract's type `declared` (text for an undeclared column).

    Raises SourceError if the type cannot be read exactly.
    """
    kind, source_type = _base(column.type), column.info.get(SOURCE_TYPE, "")
    unknown = isinstance(kind, sa.types.NullType) and not _is_text(source_type, dialect.name)
    if unknown or isinstance(kind, mssql.SQL_VARIANT):
        name = source_type or type(kind).__name__.lower()
        raise SourceError(
            f"{table.label}.{column.name}: values of type {name} cannot be read exactly. "
            "Name the column under `left_out`, or read a view that casts it",
            table,
        )
    if isinstance(kind, sa.Float):
        kind.asdecimal = False  # a double read as a decimal of ten places would change
    if dialect.name == "postgresql":
        return _from_postgres(column, kind, declared)
    if dialect.name in MYSQL:
        return _from_mysql(column, kind, declared)
    if dialect.name == "mssql":
        return _from_sql_server(column, kind, declared)
    return _from_oracle(column, kind, declared) if dialect.name == "oracle" else column


def summable(column: sa.Column[Any], dialect: sa.Dialect) -> Expression:
    """The column as a number whose sum neither overflows nor is rounded."""
    kind = _base(column.type)
    if isinstance(kind, postgresql.MONEY):
        return sa.cast(column, sa.Numeric)
    if dialect.name == "mssql" and isinstance(kind, sa.Integer):
        return sa.cast(column, sa.Numeric(LONGEST_NUMBER, 0))
    return column


def has_offset(kind: Any) -> bool:
    """Whether a time of this type is a moment, not a local time."""
    return bool(getattr(kind, "timezone", False) or getattr(kind, "local_timezone", False)) or isinstance(
        kind, mssql.DATETIMEOFFSET | mysql.TIMESTAMP
    )


def _base(kind: Any) -> Any:
    return _base(kind.data_type) if isinstance(kind, postgresql.DOMAIN) else kind


def _is_text(source_type: str, dialect: str) -> bool:
    """Whether the database writes every value of this type, which SQLAlchemy does not know, as a text."""
    return dialect == "postgresql" or source_type in READABLE_AS_TEXT.get("mysql" if dialect in MYSQL else dialect, ())


def _date_or_time(column: sa.Column[Any], day: Expression, date: Expression, time: Expression) -> Expression:
    """Midnight as a date; any other time remains a time, which the contract's type `date` rejects."""
    return sa.case((column == day, date), else_=time)


def _from_postgres(column: sa.Column[Any], kind: Any, declared: str) -> Expression:
    text = sa.cast(column, sa.String)
    if isinstance(kind, postgresql.BYTEA):
        return sa.func.encode(column, "hex")
    if isinstance(kind, postgresql.MONEY):
        return sa.cast(sa.cast(column, sa.Numeric), sa.String)
    if isinstance(kind, sa.Float):
        return column if declared == "double precision" else text
    if isinstance(kind, sa.Date | sa.DateTime):
        return column if declared in ("date", "timestamptz") else text
    if isinstance(kind, sa.Integer):
        return text if declared == "boolean" else column
    is_plain = isinstance(kind, sa.String) and not isinstance(kind, (*SPECIAL_TEXTS, sa.CHAR))
    return column if isinstance(kind, sa.Boolean) or is_plain else text  # a cast removes the padding of CHAR


def _from_mysql(column: sa.Column[Any], kind: Any, declared: str) -> Expression:
    text = sa.cast(column, sa.String)
    if is_binary(kind):
        return sa.func.lower(sa.func.hex(column))
    if isinstance(kind, mysql.BIT):
        return sa.cast(column, mysql.INTEGER(unsigned=True))
    if isinstance(kind, mysql.FLOAT):
        return column + sa.literal_column("0e0")  # as a double; the text of a FLOAT has six digits
    if isinstance(kind, mysql.TIMESTAMP):  # in the session's time zone, UTC
        return sa.case((column == sa.literal_column("0"), text), else_=sa.func.concat(text, "+00:00"))
    if isinstance(kind, sa.DateTime) and declared == "date":
        day = sa.cast(column, sa.Date)
        return _date_or_time(column, day, sa.cast(day, sa.String), text)
    if isinstance(kind, sa.Integer):
        return text if declared == "boolean" else column
    is_plain = isinstance(kind, sa.Float | sa.String) and not isinstance(kind, SPECIAL_TEXTS)
    return column if is_plain else text  # a date may be 0000-00-00


def _from_sql_server(column: sa.Column[Any], kind: Any, declared: str) -> Expression:
    if is_binary(kind):
        return sa.func.lower(_convert("VARCHAR(MAX)", sa.cast(column, ANY_BYTES), 2))
    if isinstance(kind, mssql.UNIQUEIDENTIFIER):
        return sa.func.lower(sa.cast(column, sa.VARCHAR(36)))
    if isinstance(kind, MONEY):  # its own text has two decimals
        return sa.cast(sa.cast(column, sa.Numeric(19, 4)), sa.VARCHAR(40))
    if isinstance(kind, mssql.DATETIMEOFFSET) and declared == "timestamptz":
        at_utc = sa.cast(sa.func.switchoffset(column, "+00:00"), PRECISE_TIME)
        return _iso(at_utc, microseconds=True) + "Z"
    if isinstance(kind, sa.DateTime) and declared == "date":
        day = sa.cast(column, sa.Date)
        return _date_or_time(column, day, _iso(day), _iso(column))
    if isinstance(kind, sa.Date | sa.DateTime):
        return _iso(column, microseconds=declared == "timestamptz" and isinstance(kind, sa.DateTime))
    if isinstance(kind, sa.Time | sa.Numeric) and not isinstance(kind, sa.Float):
        return sa.cast(column, sa.VARCHAR(40))
    if isinstance(kind, sa.CHAR | sa.NCHAR):
        return sa.func.rtrim(column)
    if isinstance(kind, sa.Integer) and declared == "boolean":
        return sa.cast(column, sa.VARCHAR(40))
    if isinstance(kind, sa.Integer | sa.Boolean | sa.Float) or (
        isinstance(kind, sa.String) and not isinstance(kind, mssql.XML)
    ):
        return column
    return sa.cast(column, ANY_TEXT)


def _convert(target: str, expression: Expression, style: int) -> Expression:
    return sa.func.convert(sa.literal_column(target), expression, sa.literal_column(str(style)), type_=sa.String)


def _iso(expression: Expression, microseconds: bool = False) -> Expression:
    """A time in ISO 8601; with `microseconds`, without the seventh digit, which Postgres does not have."""
    text = _convert("VARCHAR(34)", expression, 126)
    return sa.func.left(text, sa.literal_column("26"), type_=sa.String) if microseconds else text


def _from_oracle(column: sa.Column[Any], kind: Any, declared: str) -> Expression:
    if isinstance(kind, oracle.BINARY_DOUBLE | oracle.BINARY_FLOAT) or is_binary(kind):
        return column  # as Python's float and bytes
    if isinstance(kind, sa.Numeric):  # the driver makes a float of a NUMBER without scale
        return sa.func.regexp_replace(sa.func.to_char(column, *ORACLE_NUMBER), r"^(-?)\.", r"\10.", type_=sa.String)
    if isinstance(kind, sa.DateTime):
        return _oracle_time(column, kind, declared)
    if isinstance(kind, sa.CHAR | sa.NCHAR):
        return sa.func.rtrim(column)
    if isinstance(kind, oracle.INTERVAL | sa.types.NullType):
        return sa.func.to_char(column, type_=sa.String)
    return column


def _oracle_time(column: sa.Column[Any], kind: Any, declared: str) -> Expression:
    form = ORACLE_TIME
    value: Expression = column
    if isinstance(kind, oracle.TIMESTAMP):
        form += ".FF6" if declared == "timestamptz" else ".FF9"
        if has_offset(kind):
            value = sa.cast(column, oracle.TIMESTAMP(timezone=True))
            if declared == "timestamptz":
                value, form = sa.func.sys_extract_utc(value), f'{form}"Z"'
            else:
                form += "TZH:TZM"
    text = sa.func.ltrim(sa.func.to_char(value, form), type_=sa.String)
    if declared != "date":
        return text
    day = sa.func.trunc(column)
    return _date_or_time(column, day, sa.func.to_char(day, "YYYY-MM-DD", type_=sa.String), text)
