"""Clients of readers: each driver shows the values, keys and tables that the readers' page promises.

The connection settings are those of docs/how-to/connect-a-report.md.
"""

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

import adbc_driver_postgresql.dbapi as adbc
import connectorx
import pytest

from tests.builds import Builds, locked
from tests.support import Trial, Warehouse, text_of
from warehouse import environment
from warehouse.powerbi.excel import connection_file

READER = "pbi_highways"
PAGE = text_of("docs/how-to/connect-a-report.md")
PYTHON = "/usr/bin/python3"  # of Debian, whose packages have the drivers
JAR = Path("/usr/share/java/postgresql.jar")
NEEDED = "needs the drivers of tests/packages.txt: `make test-packages` (Debian, root)"
has_java = pytest.mark.skipif(not (shutil.which("java") and JAR.exists()), reason=NEEDED)
has_python = pytest.mark.skipif(
    subprocess.run([PYTHON, "-c", "import pyodbc, psycopg"], capture_output=True).returncode != 0, reason=NEEDED
)
TYPES = re.compile(r"bigint|integer|numeric\(\d+, ?\d+\)|double precision|text|boolean|date|timestamp|smallint")
ROW = """
    select 7919154496264872175 as enquiry_key, timestamp '2026-07-06 14:51:30' as logged_at,
        date '2026-07-06' as logged_date, true as is_open, 1234.5::numeric(12, 2) as amount_gbp,
        repeat('Pothole £', 100) as subject_name
"""
COLUMNS = "enquiry_key, logged_at, logged_date, is_open, amount_gbp, subject_name"
TIME, DAY = datetime(2026, 7, 6, 14, 51, 30), date(2026, 7, 6)
EXPECTED = [7919154496264872175, "2026-07-06 14:51:30", "2026-07-06", True, "1234.50", "Pothole £" * 100]
ODBC = """
import json, sys, pyodbc
connection = pyodbc.connect(sys.argv[1], autocommit=True)
cursor = connection.cursor()
row = list(cursor.execute("select {columns} from highways.fct_one").fetchone())
kinds = [column[1].__name__ for column in cursor.description]
tables = sorted(row.table_name for row in cursor.tables(schema="highways"))
keys = [row.column_name for row in cursor.primaryKeys("fct_one", schema="highways")]
print(json.dumps([row, kinds, tables, keys], default=str), flush=True)
cursor.execute("select * from highways.fct_one where version > ?", 0).fetchall()
sys.stdin.readline()
print(len(cursor.execute("select * from highways.fct_one where version > ?", 0).fetchone()))
"""
PSYCOPG = """
import json, sys, psycopg
connection = psycopg.connect(sys.argv[1], autocommit=True, **json.loads(sys.argv[2]))
print(json.dumps(connection.execute("select {columns} from highways.fct_one").fetchone(), default=str), flush=True)
for statement in ("select version from highways.fct_one", "select * from highways.fct_one") * 10:
    connection.execute(statement)
sys.stdin.readline()
print(len(connection.execute("select version from highways.fct_one").fetchone()))
print(len(connection.execute("select * from highways.fct_one").fetchone()))
"""
JAVA = """
import java.sql.*;
import java.util.*;
public class Reader {
    static List<String> names(ResultSet rows, String column) throws SQLException {
        List<String> found = new ArrayList<>();
        while (rows.next()) found.add(rows.getString(column));
        return found;
    }
    public static void main(String[] words) throws Exception {
        Connection connection = DriverManager.getConnection(words[0]);
        DatabaseMetaData data = connection.getMetaData();
        ResultSet row = connection.createStatement().executeQuery("select {columns} from highways.fct_one");
        row.next();
        System.out.println(row.getLong(1) + "|" + row.getTimestamp(2) + "|" + row.getDate(3) + "|" + row.getBoolean(4)
            + "|" + row.getBigDecimal(5) + "|" + row.getString(6));
        System.out.println(names(data.getTables(null, "highways", null, new String[] {"TABLE", "VIEW"}), "TABLE_NAME"));
        System.out.println(names(data.getPrimaryKeys(null, "highways", "fct_one"), "COLUMN_NAME"));
        System.out.println(names(data.getColumns(null, "highways", "fct_one", "logged_at"), "REMARKS"));
        PreparedStatement all = connection.prepareStatement("select * from highways.fct_one");
        for (int n = 0; n < 10; n++) all.executeQuery();
        System.in.read();
        ResultSet after = all.executeQuery();
        System.out.println(after.getMetaData().getColumnCount());
    }
}
"""


def test_published_columns_have_types_that_every_client_reads(parsed: Any) -> None:
    """No client shows an instant in local time alike, and a number without a scale is a text to some."""
    wrong, seen = [], 0
    for node in parsed.nodes.values():
        if node.resource_type == "model" and node.fqn[1] == "marts":
            for column in node.columns.values():
                seen += 1
                is_utc = column.data_type == "timestamptz" and "utc" in column.name.lower()
                if not (is_utc or TYPES.fullmatch(column.data_type)):
                    wrong.append(f"{node.name}.{column.name}: {column.data_type}")
    assert wrong == []
    assert seen > 900


def test_published_times_are_those_on_the_clock_of_the_source(warehouse: Warehouse) -> None:
    clock = "select enquiry_number, enquiry_log_time from central_enquiry"
    source = dict(warehouse.sql(clock, url=warehouse.source("confirm")))
    published = warehouse.sql("select enquiry_number, logged_at, logged_date from highways.fct_enquiries")
    assert [row for row in published if row[1:] != (source[row[0]], source[row[0]].date())] == []
    assert sum(logged_at.month in range(4, 10) for _, logged_at, _ in published) > 100, "in summer time"


@pytest.fixture
def builds(trial: Trial) -> Builds:
    """A published table with a key and comments."""
    builds = Builds(trial)
    publish(builds)
    return builds


def publish(builds: Builds, more: str = "") -> None:
    with locked() as builder:
        builds.begin(builder)
        builds.make(fct_one=f"select 1 as version, one.* {more} from ({ROW}) as one")
        builds.sql(
            "alter table highways__next.fct_one add primary key (enquiry_key); "
            "comment on column highways__next.fct_one.logged_at is 'Time of logging.'"
        )
        assert builds.publish("fct_one") == []


def setting(heading: str) -> str:
    """Return the connection settings below a heading of the page, with the reader's login."""
    parts = urlsplit(environment.reader_url(READER))
    text = PAGE.split(f"\n### {heading}\n")[1].split("```")[1].split("\n", 1)[1].strip()
    words = {
        "<server>": parts.hostname, "<port>": str(parts.port), "<database>": parts.path[1:], "<login>": parts.username,
        "<password>": parts.password,
    }  # fmt: skip
    for word, value in words.items():
        text = text.replace(word, str(value))
    return text


@contextmanager
def client(*command: str) -> Iterator[Callable[[], str]]:
    """Start a client; yields a function that returns its next line."""
    started = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )

    def line() -> str:
        return started.stdout.readline().rstrip("\n") or started.stderr.read()

    line.go_on = lambda: print(file=started.stdin, flush=True)
    yield line
    started.communicate()


@has_python
def test_odbc_shows_values_keys_and_the_tables_of_a_schema(builds: Builds) -> None:
    with client(PYTHON, "-c", ODBC.replace("{columns}", COLUMNS), setting("ODBC")) as line:
        row, kinds, tables, keys = json.loads(line())
        assert row == EXPECTED
        assert kinds == ["int", "datetime", "date", "bool", "Decimal", "str"]
        assert tables == ["as_at", "fct_one"]
        assert keys == ["enquiry_key"]
        publish(builds, ", 1 as added")
        line.go_on()
        assert line() == "8", "a prepared `select *` after a publication with another column"


@has_python
def test_a_connection_for_excel_opens_its_table(builds: Builds) -> None:
    parts = urlsplit(environment.reader_url(READER))
    place = f"{parts.hostname}:{parts.port}", parts.path[1:], "highways", "fct_one"
    file = ElementTree.fromstring(connection_file(*place, "A <table>", COLUMNS.split(", ")))  # noqa: S314  ours
    text = {each.tag.rpartition("}")[2]: each.text for each in file.iter()}
    login = f";Uid={parts.username};Pwd={parts.password}"
    program = "import pyodbc, sys; print(pyodbc.connect(sys.argv[1]).execute(sys.argv[2]).fetchall())"
    command = [PYTHON, "-c", program, text["ConnectionString"] + login, text["CommandText"]]
    row = (TIME, DAY, True, Decimal("1234.50"), EXPECTED[-1])
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == f"[{row}]"


@has_python
def test_psycopg_reads_after_a_publication_that_adds_a_column(builds: Builds) -> None:
    options = re.search(r"psycopg\.connect\((.+)\)", PAGE)[1]
    assert options == "url, prepare_threshold=None, autocommit=True"
    url = environment.reader_url(READER)
    for given, outcome, added in (
        ({"prepare_threshold": None}, "8", ", 1 as added"),
        ({}, "cached plan must not change result type", ", 1 as added, 2 as another"),
    ):
        with client(PYTHON, "-c", PSYCOPG.replace("{columns}", COLUMNS), url, json.dumps(given)) as line:
            assert json.loads(line()) == EXPECTED
            publish(builds, added)
            line.go_on()
            assert line() == "1", "a statement that names its columns"
            assert outcome in line()


@has_java
def test_jdbc_shows_values_keys_comments_and_the_tables_of_a_schema(builds: Builds, tmp_path: Path) -> None:
    file = tmp_path / "Reader.java"
    file.write_text(JAVA.replace("{columns}", COLUMNS), encoding="utf-8")
    with client("java", "-cp", str(JAR), str(file), setting("JDBC")) as line:
        assert line() == "7919154496264872175|2026-07-06 14:51:30.0|2026-07-06|true|1234.50|" + EXPECTED[-1]
        assert line() == "[fct_one, as_at]"
        assert line() == "[enquiry_key]"
        assert line() == "[Time of logging.]"
        publish(builds, ", 1 as added")
        line.go_on()
        assert line() == "8"


def test_arrow_clients_show_values_as_they_are(builds: Builds) -> None:
    url, statement = environment.reader_url(READER), f"select {COLUMNS} from highways.fct_one"
    with adbc.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        (row,) = cursor.fetch_arrow_table().to_pylist()
        assert [*row.values()] == [EXPECTED[0], TIME, DAY, True, "1234.50", EXPECTED[-1]]
    (row,) = connectorx.read_sql(url, statement, return_type="arrow").to_pylist()
    assert [*row.values()] == [EXPECTED[0], TIME, DAY, True, Decimal("1234.50"), EXPECTED[-1]]
