"""Every type of the source databases: what its values are loaded as, or the rule by which they are rejected.

PostgreSQL and MariaDB run; for SQL Server and Oracle the queries and the conversion of what their drivers return are
checked. `python -m tests.test_source_types` writes the tables of docs/reference/source-databases.md.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mssql, oracle

from ingestion.contracts import SourceError
from ingestion.databases import _text, open_database
from ingestion.sql_types import SOURCE_TYPE, contract_type, readable
from ingestion.tables import conform
from tests.support import ROOT, Trial, change, needs_mariadb, trial_system

DOCUMENT = ROOT / "docs" / "reference" / "source-databases.md"
CALENDAR = "outside the years 1 to 9999"


@dataclass(frozen=True)
class Live:
    """A value of a database that runs: its text in the warehouse, or the rule by which its row is rejected."""

    source_type: str
    value: str
    loaded: str | None
    declared: str = "text"
    rule: str = ""

    def line(self) -> list[str]:
        """The row of the document's table."""
        loaded = f"rejected: {self.rule}" if self.rule else f"`{self.loaded}`" if self.loaded else "empty text"
        return [f"`{self.source_type}`", f"`{self.declared}`", f"`{self.value}`", loaded]


@dataclass(frozen=True)
class Compiled:
    """A type of a database that does not run here: the expression that reads it, what the driver returns for a value,
    and that value's text in the warehouse.
    """

    kind: Any
    expression: str
    returned: object
    loaded: str
    declared: str = "text"
    source_type: str = ""

    def line(self, dialect: sa.Dialect) -> list[str]:
        """The row of the document's table."""
        loaded = f"rejected: {self.loaded}" if self.loaded.startswith("not ") else f"`{self.loaded}`"
        return [f"`{self.name(dialect)}`", f"`{self.declared}`", f"`{self.expression}`", loaded]

    def name(self, dialect: sa.Dialect) -> str:
        """The type in the engine's own words."""
        return self.source_type or self.kind.compile(dialect=dialect)


WHOLE, DOUBLE, TIME, HUGE = "bigint", "double precision", "timestamptz", "numeric(20,0)"
POSTGRES_SETUP = (
    "create extension citext",
    "create extension hstore",
    "create type colour as enum ('red', 'blue')",
    "create type pair as (number int, word text)",
    "create domain whole as int check (value > 0)",
    "create domain pence as money",
    "create domain code as char(4)",
    "create domain photo as bytea",
    "create domain day as date",
)
POSTGRES = (
    Live("smallint", "-32768", "-32768", WHOLE),
    Live("integer", "2147483647", "2147483647", WHOLE),
    Live("bigint", "9223372036854775807", "9223372036854775807", WHOLE),
    Live("numeric(18,2)", "-0.10", "-0.10", "numeric(18,2)"),
    Live("numeric(38,10)", "'1234567890123456789012345678.0123456789'", "1234567890123456789012345678.0123456789",
         "numeric(38,10)"),
    Live("numeric(18,2)", "'NaN'", None, "numeric(18,2)", "not numeric(18,2)"),
    Live("numeric", "1e40", "10000000000000000000000000000000000000000"),
    Live("numeric", "'NaN'", "NaN"),
    Live("numeric", "'Infinity'", "Infinity"),
    Live("real", "0.1", "0.10000000149011612", DOUBLE),
    Live("real", "0.1", "0.1"),
    Live("double precision", "0.1", "0.1", DOUBLE),
    Live("double precision", "1e-320", "1e-320", DOUBLE),
    Live("double precision", "'NaN'", "NaN", DOUBLE),
    Live("double precision", "'-Infinity'", "-Infinity", DOUBLE),
    Live("double precision", "0.125", None, "numeric(18,2)", "not numeric(18,2)"),
    Live("money", "'-1234.5'", "-1234.50", "numeric(19,2)"),
    Live("boolean", "true", "true", "boolean"),
    Live("char(10)", "'abc'", "abc"),
    Live('"char"', "'x'", "x"),
    Live("varchar(9)", "' a '", " a "),
    Live("text", "'Zoë 漢 😀'", "Zoë 漢 😀"),
    Live("text", "''", ""),
    Live("citext", "'AbC'", "AbC"),
    Live("name", "'pg'", "pg"),
    Live("bytea", r"'\x00ff'", "00ff"),
    Live("bytea", r"'\x00ff'", r"\x00ff", "bytea"),
    Live("bytea", "''", r"\x", "bytea"),
    Live("date", "'1948-02-29'", "1948-02-29", "date"),
    Live("date", "'infinity'", None, "date", CALENDAR),
    Live("date", "'0044-03-15 BC'", None, "date", CALENDAR),
    Live("date", "'0044-03-15 BC'", "0044-03-15 BC"),
    Live("timestamp", "'2026-07-01 12:00:00.123456'", "2026-07-01 11:00:00.123456+00", TIME),
    Live("timestamp", "'-infinity'", None, TIME, CALENDAR),
    Live("timestamp", "'2026-07-01 12:00:00.123456'", "2026-07-01 12:00:00.123456"),
    Live("timestamptz", "'2026-07-01 12:00+05:30'", "2026-07-01 06:30:00+00", TIME),
    Live("timestamptz", "'0044-03-15 12:00+00 BC'", None, TIME, CALENDAR),
    Live("timestamptz", "'2026-07-01 12:00+05:30'", "2026-07-01 06:30:00+00"),
    Live("time", "'24:00:00'", "24:00:00"),
    Live("time", "'09:30:00.000001'", "09:30:00.000001", "time"),
    Live("time", "'24:00:00'", None, "time", "not time"),
    Live("timetz", "'12:00:00.5+05:30'", "12:00:00.5+05:30"),
    Live("interval", "'-1 year 2 mons 3 days 04:05:06.7'", "-10 mons +3 days 04:05:06.7"),
    Live("uuid", "'F47AC10B-58CC-4372-A567-0E02B2C3D479'", "f47ac10b-58cc-4372-a567-0e02b2c3d479"),
    Live("json", """'{"a": 1.10}'""", '{"a": 1.10}'),
    Live("jsonb", """'{"b": 1.10, "a": null}'""", '{"a": null, "b": 1.10}'),
    Live("jsonb", """'{"b": 1.10, "a": "\\u00e9"}'""", '{"a": "é", "b": 1.10}', "jsonb"),
    Live("json", """'{"a": 1, "a": 2}'""", None, "jsonb", "not jsonb"),
    Live("hstore", "'a=>1'", '"a"=>"1"'),
    Live("integer[]", "'{1,null,3}'", "{1,NULL,3}"),
    Live("text[]", """'{"a,b",NULL}'""", '{"a,b",NULL}'),
    Live("int4range", "'[1,4]'", "[1,5)"),
    Live("nummultirange", "'{[1,2),[3,4)}'", "{[1,2),[3,4)}"),
    Live("tstzrange", "'[2026-07-01 12:00+01,)'", '["2026-07-01 11:00:00+00",)'),
    Live("bit(3)", "B'101'", "101"),
    Live("inet", "'10.0.0.1/8'", "10.0.0.1/8"),
    Live("macaddr", "'08:00:2b:01:02:03'", "08:00:2b:01:02:03"),
    Live("point", "'(1,2)'", "(1,2)"),
    Live("tsvector", "'a:1 b'", "'a':1 'b'"),
    Live("oid", "7", "7"),
    Live("colour (enum)", "'red'", "red"),
    Live("pair (composite)", "row(1, 'x,y')", '(1,"x,y")'),
    Live("whole (domain of int)", "5", "5", WHOLE),
    Live("pence (domain of money)", "'1.5'", "1.50", "numeric(19,2)"),
    Live("code (domain of char)", "'ab'", "ab"),
    Live("photo (domain of bytea)", r"'\x01'", "01"),
    Live("day (domain of date)", "'infinity'", None, "date", CALENDAR),
)  # fmt: skip
MARIADB = (
    Live("tinyint(1)", "1", "true", "boolean"),
    Live("tinyint(1)", "2", None, "boolean", "not boolean"),
    Live("tinyint(1)", "2", "2", WHOLE),
    Live("tinyint", "-128", "-128", WHOLE),
    Live("smallint unsigned", "65535", "65535", WHOLE),
    Live("mediumint", "-8388608", "-8388608", WHOLE),
    Live("int unsigned", "4294967295", "4294967295", WHOLE),
    Live("bigint", "-9223372036854775808", "-9223372036854775808", WHOLE),
    Live("bigint unsigned", "18446744073709551615", "18446744073709551615", HUGE),
    Live("bigint unsigned", "18446744073709551615", None, WHOLE, "not bigint"),
    Live("decimal(18,2)", "-0.10", "-0.10", "numeric(18,2)"),
    Live("decimal(40,20)", "'12345678901234567890.12345678901234567890'",
         "12345678901234567890.12345678901234567890"),
    Live("float", "0.1", "0.10000000149011612", DOUBLE),
    Live("float", "8388609", "8388609", DOUBLE),
    Live("double", "1.7976931348623157e308", "1.7976931348623157e+308", DOUBLE),
    Live("bit(1)", "b'1'", "1", WHOLE),
    Live("bit(64)", "18446744073709551615", "18446744073709551615", HUGE),
    Live("year", "2026", "2026", WHOLE),
    Live("year", "'0000'", "0", WHOLE),
    Live("time", "'838:59:59'", "838:59:59"),
    Live("time(6)", "'09:30:00.000001'", "09:30:00.000001", "time"),
    Live("time", "'24:00:00'", None, "time", "not time"),
    Live("time(6)", "'-838:59:59.000001'", "-838:59:59.000001"),
    Live("date", "'1948-02-29'", "1948-02-29", "date"),
    Live("date", "'0000-00-00'", None, "date", "not date"),
    Live("date", "'2026-02-00'", None, "date", "not date"),
    Live("date", "'0000-00-00'", "0000-00-00"),
    Live("datetime(6)", "'2026-07-01 12:00:00.123456'", "2026-07-01 11:00:00.123456+00", TIME),
    Live("datetime", "'0000-00-00 00:00:00'", None, TIME, "not timestamptz"),
    Live("datetime", "'1948-02-29 00:00:00'", "1948-02-29", "date"),
    Live("datetime", "'1948-02-29 12:00:00'", None, "date", "not date"),
    Live("timestamp", "'2026-07-01 12:00:00'", "2026-07-01 10:00:00+00", TIME),
    Live("timestamp(6)", "'2026-10-25 03:30:00.5'", "2026-10-25 01:30:00.5+00", TIME),
    Live("timestamp(6)", "'2026-07-01 12:00:00.123456'", "2026-07-01 10:00:00.123456+00:00"),
    Live("timestamp", "0", None, TIME, "not timestamptz"),
    Live("char(10)", "'abc'", "abc"),
    Live("varchar(10)", "'abc  '", "abc  "),
    Live("text", "'Zoë 漢 😀'", "Zoë 漢 😀"),
    Live("varchar(9) character set latin1", "'Zoë'", "Zoë"),
    Live("enum('a','b')", "'b'", "b"),
    Live("set('a','b')", "'a,b'", "a,b"),
    Live("set('a','b')", "''", ""),
    Live("binary(16)", "x'112233445566778899aabbccddeeff00'", "112233445566778899aabbccddeeff00"),
    Live("varbinary(4)", "x'00ff'", "00ff"),
    Live("varbinary(4)", "x'00ff'", r"\x00ff", "bytea"),
    Live("blob", "x'00ff'", "00ff"),
    Live("json", """'{"a": 1.10}'""", '{"a": 1.10}'),
    Live("json", """'{"a": [1.10, "é"]}'""", '{"a": [1.10, "é"]}', "jsonb"),
    Live("uuid", "'F47AC10B-58CC-4372-A567-0E02B2C3D479'", "f47ac10b-58cc-4372-a567-0e02b2c3d479"),
    Live("inet6", "'::1'", "::1"),
    Live("inet4", "'10.0.0.1'", "10.0.0.1"),
)  # fmt: skip
MOMENT = "left(convert(VARCHAR(34), {}, 126), 26)"
LOCAL = MOMENT.format("t.c")
SQL_SERVER = (
    Compiled(mssql.TINYINT(), "t.c", 255, "255", WHOLE),
    Compiled(mssql.BIGINT(), "t.c", 2**63 - 1, "9223372036854775807", WHOLE),
    Compiled(mssql.INTEGER(), "t.c", 7, "7", WHOLE),
    Compiled(mssql.BIT(), "t.c", True, "true", "boolean"),
    Compiled(mssql.INTEGER(), "CAST(t.c AS VARCHAR(40))", "2", "not boolean", "boolean"),
    Compiled(mssql.DECIMAL(38, 10), "CAST(t.c AS VARCHAR(40))", "1234567890123456789012345678.0123456789",
             "1234567890123456789012345678.0123456789", "numeric(38,10)"),
    Compiled(mssql.MONEY(), "CAST(CAST(t.c AS NUMERIC(19, 4)) AS VARCHAR(40))", "1234.5678", "1234.5678",
             "numeric(19,4)"),
    Compiled(mssql.SMALLMONEY(), "CAST(CAST(t.c AS NUMERIC(19, 4)) AS VARCHAR(40))", "-0.0001", "-0.0001",
             "numeric(19,4)"),
    Compiled(mssql.FLOAT(53), "t.c", 0.1, "0.1", DOUBLE),
    Compiled(mssql.REAL(), "t.c", 0.10000000149011612, "0.10000000149011612", DOUBLE),
    Compiled(mssql.CHAR(10), "rtrim(t.c)", "abc", "abc"),
    Compiled(mssql.VARCHAR(9), "t.c", "Zoë ", "Zoë "),
    Compiled(mssql.NVARCHAR("max"), "t.c", "漢 😀", "漢 😀"),
    Compiled(mssql.NTEXT(), "t.c", "漢", "漢"),
    Compiled(mssql.XML(), "CAST(t.c AS NVARCHAR(max))", "<a>é</a>", "<a>é</a>"),
    Compiled(mssql.BINARY(16), "lower(convert(VARCHAR(MAX), CAST(t.c AS VARBINARY(max)), 2))",
             "112233445566778899aabbccddeeff00", "112233445566778899aabbccddeeff00"),
    Compiled(mssql.IMAGE(), "lower(convert(VARCHAR(MAX), CAST(t.c AS VARBINARY(max)), 2))", "00ff", "00ff"),
    Compiled(mssql.ROWVERSION(), "lower(convert(VARCHAR(MAX), CAST(t.c AS VARBINARY(max)), 2))", "00000000000007d1",
             "00000000000007d1", source_type="ROWVERSION"),
    Compiled(mssql.UNIQUEIDENTIFIER(), "lower(CAST(t.c AS VARCHAR(36)))", "f47ac10b-58cc-4372-a567-0e02b2c3d479",
             "f47ac10b-58cc-4372-a567-0e02b2c3d479"),
    Compiled(sa.types.NullType(), "CAST(t.c AS NVARCHAR(max))", "/1/2/", "/1/2/", source_type="hierarchyid"),
    Compiled(mssql.DATE(), "convert(VARCHAR(34), t.c, 126)", "1948-02-29", "1948-02-29", "date"),
    Compiled(mssql.DATETIME(), LOCAL, "2026-07-01T12:00:00.997", "2026-07-01 11:00:00.997000+00", TIME),
    Compiled(mssql.DATETIME(), "CASE WHEN (t.c = CAST(t.c AS DATE)) THEN convert(VARCHAR(34), CAST(t.c AS DATE), 126) "
             "ELSE convert(VARCHAR(34), t.c, 126) END", "1948-02-29", "1948-02-29", "date"),
    Compiled(mssql.SMALLDATETIME(), LOCAL, "2026-01-01T12:00:00", "2026-01-01 12:00:00.000000+00", TIME),
    Compiled(mssql.DATETIME2(7), LOCAL, "2026-07-01T12:00:00.123456", "2026-07-01 11:00:00.123456+00", TIME),
    Compiled(mssql.DATETIME2(7), "convert(VARCHAR(34), t.c, 126)", "2026-07-01T12:00:00.1234567",
             "2026-07-01T12:00:00.1234567"),
    Compiled(mssql.DATETIMEOFFSET(7), MOMENT.format("CAST(switchoffset(t.c, '+00:00') AS DATETIME2(7))") + " + 'Z'",
             "2026-07-01T06:30:00.123456Z", "2026-07-01 06:30:00.123456+00", TIME),
    Compiled(mssql.DATETIMEOFFSET(7), "convert(VARCHAR(34), t.c, 126)", "2026-07-01T12:00:00.1234567+05:30",
             "2026-07-01T12:00:00.1234567+05:30"),
    Compiled(mssql.TIME(7), "CAST(t.c AS VARCHAR(40))", "23:59:59.9999999", "23:59:59.9999999"),
)  # fmt: skip
NUMBER = r"regexp_replace(to_char(t.c, 'TM9', 'NLS_NUMERIC_CHARACTERS=''.,'''), '^(-?)\.', '\10.')"
UTC_TIME = 'ltrim(to_char(sys_extract_utc(CAST(t.c AS TIMESTAMP WITH TIME ZONE)), \'SYYYY-MM-DD"T"HH24:MI:SS.FF6"Z"\'))'
ORACLE = (
    Compiled(oracle.NUMBER(10, 0), NUMBER, "1234567890", "1234567890", WHOLE),
    Compiled(oracle.NUMBER(12, 2), NUMBER, "-0.1", "-0.10", "numeric(12,2)"),
    Compiled(oracle.NUMBER(), NUMBER, "0.12345678901234567890123456789012345678",
             "0.12345678901234567890123456789012345678"),
    Compiled(oracle.FLOAT(126), NUMBER, "0.1", "0.1"),
    Compiled(oracle.BINARY_DOUBLE(), "t.c", float("nan"), "nan", DOUBLE),
    Compiled(oracle.BINARY_FLOAT(), "t.c", 0.10000000149011612, "0.10000000149011612", DOUBLE),
    Compiled(oracle.VARCHAR2(9), "t.c", "Zoë ", "Zoë "),
    Compiled(oracle.NVARCHAR2(9), "t.c", "漢", "漢"),
    Compiled(sa.CHAR(10), "rtrim(t.c)", "abc", "abc"),
    Compiled(oracle.CLOB(), "t.c", "漢 😀", "漢 😀"),
    Compiled(oracle.LONG(), "t.c", "long", "long"),
    Compiled(oracle.RAW(16), "t.c", bytes.fromhex("112233445566778899aabbccddeeff00"),
             "112233445566778899aabbccddeeff00"),
    Compiled(oracle.BLOB(), "t.c", b"\x00\xff", "00ff"),
    Compiled(oracle.ROWID(), "t.c", "AAAR3sAAEAAAACXAAA", "AAAR3sAAEAAAACXAAA"),
    Compiled(oracle.DATE(), "ltrim(to_char(t.c, 'SYYYY-MM-DD\"T\"HH24:MI:SS'))", "2026-07-01T12:00:00",
             "2026-07-01 11:00:00.000000+00", TIME),
    Compiled(oracle.DATE(), "CASE WHEN (t.c = trunc(t.c)) THEN to_char(trunc(t.c), 'YYYY-MM-DD') "
             "ELSE ltrim(to_char(t.c, 'SYYYY-MM-DD\"T\"HH24:MI:SS')) END", "2026-07-01T12:00:00", "not date", "date"),
    Compiled(oracle.DATE(), "ltrim(to_char(t.c, 'SYYYY-MM-DD\"T\"HH24:MI:SS'))", "-0044-03-15T00:00:00",
             "not timestamptz", TIME),
    Compiled(oracle.TIMESTAMP(), "ltrim(to_char(t.c, 'SYYYY-MM-DD\"T\"HH24:MI:SS.FF6'))", "2026-07-01T12:00:00.123456",
             "2026-07-01 11:00:00.123456+00", TIME),
    Compiled(oracle.TIMESTAMP(), "ltrim(to_char(t.c, 'SYYYY-MM-DD\"T\"HH24:MI:SS.FF9'))",
             "2026-07-01T12:00:00.123456789", "2026-07-01T12:00:00.123456789"),
    Compiled(oracle.TIMESTAMP(timezone=True), UTC_TIME, "2026-07-01T06:30:00.123456Z", "2026-07-01 06:30:00.123456+00",
             TIME),
    Compiled(oracle.TIMESTAMP(local_timezone=True), UTC_TIME, "2026-07-01T06:30:00.123456Z",
             "2026-07-01 06:30:00.123456+00", TIME),
    Compiled(oracle.INTERVAL(day_precision=2, second_precision=6), "to_char(t.c)", "+03 04:05:06.700000",
             "+03 04:05:06.700000"),
    Compiled(sa.types.NullType(), "to_char(t.c)", "-01-02", "-01-02", source_type="INTERVAL YEAR TO MONTH"),
)  # fmt: skip
LIVE = {"PostgreSQL": POSTGRES, "MariaDB and MySQL": MARIADB}
DIALECTS: dict[str, tuple[sa.Dialect, tuple[Compiled, ...]]] = {
    "SQL Server": (mssql.dialect(), SQL_SERVER),
    "Oracle": (oracle.dialect(), ORACLE),
}
DIALECTS["SQL Server"][0].server_version_info = (16,)  # as of a server of today
COMPILED = [
    pytest.param(dialect, case, id=f"{engine}: {case.name(dialect)} as {case.declared}, {number}")
    for engine, (dialect, cases) in DIALECTS.items()
    for number, case in enumerate(cases)
]
REFUSED = {
    "MariaDB and MySQL": ("geometry types",),
    "SQL Server": ("sql_variant", "geometry", "geography"),
    "Oracle": ("XMLTYPE", "SDO_GEOMETRY", "BFILE", "object types"),
}


def tables() -> str:
    """The tables of the document: a section for each engine."""
    sections = []
    for engine, cases in LIVE.items():
        heads = ["Type", "Contract type", "Value", "Loaded as"]
        sections.append(_table(engine, heads, [case.line() for case in cases]))
    for engine, (dialect, compiled) in DIALECTS.items():
        heads = ["Type", "Contract type", "Read as (column `c` of table `t`)", "Example as loaded"]
        sections.append(_table(engine, heads, [case.line(dialect) for case in compiled]))
    return "\n\n".join(sections)


def _table(engine: str, heads: list[str], lines: list[list[str]]) -> str:
    rows = [heads, ["---"] * len(heads), *lines]
    text = "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows)
    refused = f"\n\nRefused by name: {', '.join(REFUSED[engine])}." if engine in REFUSED else ""
    return f"### {engine}\n\n{text}{refused}"


def test_the_document_lists_every_type_that_is_tested() -> None:
    assert tables() in DOCUMENT.read_text(encoding="utf-8"), "run `python -m tests.test_source_types`"


@pytest.mark.parametrize(("dialect", "case"), COMPILED)
def test_sql_server_and_oracle_values_are_read_exactly_or_rejected(dialect: sa.Dialect, case: Compiled) -> None:
    source = sa.Table("t", sa.MetaData(), sa.Column("c", case.kind, info={SOURCE_TYPE: case.source_type}))
    system = trial_system({"name": "t", "columns": {"c": case.declared}, "load": "replace"})
    expression = readable(system.tables[0], source.c.c, case.declared, dialect)
    options = {"dialect": dialect, "compile_kwargs": {"literal_binds": True}}
    assert str(expression.compile(**options)) == case.expression
    found, rejects = conform(system.tables[0], pa.table({"c": pa.array([_text(case.returned)], pa.string())}), "trial")
    loaded = [*found["c"].cast(pa.string()).to_pylist(), *(reject.rule for reject in rejects)]
    assert [text.replace("Z", "+00") if case.declared == TIME else text for text in loaded] == [case.loaded]
    cases = next(cases for each, cases in DIALECTS.values() if each is dialect)
    of_type = [each for each in cases if each.name(dialect) == case.name(dialect)]
    drafted, _ = contract_type(case.kind, dialect.name, case.source_type)
    assert drafted in (None, *(each.declared for each in of_type))


@pytest.mark.parametrize(
    ("dialect", "kind", "name"),
    [
        (mssql.dialect(), mssql.SQL_VARIANT(), "sql_variant"),
        (mssql.dialect(), sa.types.NullType(), "geometry"),
        (oracle.dialect(), sa.types.NullType(), "XMLTYPE"),
    ],
)
def test_a_type_that_cannot_be_read_exactly_is_refused_by_name(dialect: sa.Dialect, kind: Any, name: str) -> None:
    source = sa.Table("t", sa.MetaData(), sa.Column("Shape", kind, info={SOURCE_TYPE: name}))
    table = trial_system({"name": "t", "columns": {"shape": "text"}, "load": "replace"}).tables[0]
    with pytest.raises(SourceError, match=rf"^raw_trial\.t\.Shape: values of type {name} cannot .* `left_out`"):
        readable(table, source.c["Shape"], "text", dialect)
    assert contract_type(kind, dialect.name, name)[0] is None


def loaded(trial: Trial, url: str, cases: tuple[Live, ...], **settings: str) -> Iterator[tuple[Live, str | None, str]]:
    """Load every value and return the text of each accepted one, the rule of each rejected one."""
    columns = {f"c{number}": case for number, case in enumerate(cases)}
    accepted = {name: case for name, case in columns.items() if not case.rule}
    rejected = {name: case for name, case in columns.items() if case.rule}
    defined = {name: f"{name} {case.source_type.split(' (')[0]} null" for name, case in columns.items()}
    change(
        url,
        *(f"set {name} = {value}" for name, value in settings.items()),
        f"create table accepted ({', '.join(defined[name] for name in accepted)})",
        f"insert into accepted values ({', '.join(case.value for case in accepted.values())})",
        f"create table rejected (id int, {', '.join(defined[name] for name in rejected)})",
        "insert into rejected (id) values (0)",
        *(f"insert into rejected (id, {name}) values (1, {case.value})" for name, case in rejected.items()),
    )
    declared = {name: case.declared for name, case in columns.items()}
    of_accepted = {"name": "accepted", "columns": {name: declared[name] for name in accepted}, "load": "replace"}
    of_rejected = {"name": "rejected", "columns": {name: declared[name] for name in rejected}, "load": "replace"}
    trial.load(of_accepted, of_rejected | {"rejects": 1.0}, at=url)
    (texts,) = trial.sql(f"select {', '.join(f'{name}::text' for name in accepted)} from raw_trial.accepted")
    rules = dict(trial.sql("select column_name, rule from quarantine.rows"))
    for name, case in columns.items():
        yield case, dict(zip(accepted, texts, strict=True)).get(name), rules.get(name, "")


def drafted(trial: Trial, url: str, cases: tuple[Live, ...]) -> Iterator[tuple[Live, str | None]]:
    """The contract type that `warehouse source add` proposes for each accepted case."""
    table = trial_system({"name": "accepted", "columns": {"c": "text"}, "load": "replace"})
    with open_database(table, url) as database:
        source = database.reflect(table.tables[0])
        for number, case in enumerate(cases):
            if not case.rule:
                column = source.columns[f"c{number}"]
                yield (
                    case,
                    contract_type(column.type, database.engine.dialect.name, column.info.get(SOURCE_TYPE, ""))[0],
                )


def check(trial: Trial, url: str, cases: tuple[Live, ...], **settings: str) -> None:
    wrong = [
        (case.source_type, case.value, text, rule)
        for case, text, rule in loaded(trial, url, cases, **settings)
        if (text, rule) != (case.loaded, case.rule)
    ]
    assert wrong == []
    possible: dict[str, set[str | None]] = {}
    for case in cases:
        possible.setdefault(case.source_type, {None}).add(case.declared)
    assert [
        (c.source_type, kind) for c, kind in drafted(trial, url, cases) if kind not in possible[c.source_type]
    ] == []


def test_postgres_values_are_read_exactly_or_rejected(trial: Trial) -> None:
    url = trial.place.replace("postgresql://", "postgresql+psycopg2://")
    change(url, *POSTGRES_SETUP)
    with sa.create_engine(url).begin() as connection:  # forms of text that a server may be set to
        name = connection.scalar(sa.text("select current_database()"))
        for setting in ("datestyle = 'German'", "intervalstyle = 'sql_standard'", "timezone = 'Asia/Tokyo'"):
            connection.exec_driver_sql(f"alter database {name} set {setting}")
    check(trial, url, POSTGRES, datestyle="ISO", timezone="UTC", intervalstyle="postgres")


@needs_mariadb
@pytest.mark.parametrize("unpaged_rows", [100, 0], ids=["as Arrow", "row by row"])
def test_mariadb_values_are_read_exactly_or_rejected(
    trial: Trial, mariadb: str, unpaged_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ingestion.databases.MAX_UNPAGED_ROWS", unpaged_rows)
    change(mariadb, "drop table if exists accepted, rejected")
    check(trial, mariadb, MARIADB, sql_mode="''", time_zone="'+02:00'")


@needs_mariadb
def test_a_mariadb_geometry_is_refused_by_name(trial: Trial, mariadb: str) -> None:
    change(mariadb, "drop table if exists places", "create table places (id int, place point)")
    places = {"name": "places", "columns": {"id": "bigint"}, "load": "replace"}
    with pytest.raises(SourceError, match=r"raw_trial\.places\.place: values of type point cannot be read exactly"):
        trial.load(places, at=mariadb)
    (result,) = trial.load(places | {"left_out": ["place"]}, at=mariadb)
    assert result.total == 0


if __name__ == "__main__":
    text = DOCUMENT.read_text(encoding="utf-8")
    before, _, after = text.partition("### PostgreSQL\n")
    end = after.find("\n## ")
    DOCUMENT.write_text(f"{before}{tables()}\n{after[end:] if end > 0 else ''}", encoding="utf-8")
