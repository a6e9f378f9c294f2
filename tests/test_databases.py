"""Source databases other than Postgres: MariaDB with a real server; the queries alone for SQL Server and Oracle."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal

import connectorx
import pyarrow as pa
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mssql, mysql, oracle, postgresql

from ingestion import databases
from ingestion.contracts import SourceError
from ingestion.databases import select_rows
from tests.support import Trial, change, needs_mariadb, trial_system

COLUMNS = {"id": "bigint", "name": "text", "amount": "numeric(18,2)", "ratio": "double precision", "born": "date",
           "changed": "timestamptz", "kind": "text", "is_open": "boolean"}  # fmt: skip
CASES = {"name": "cases", "columns": COLUMNS, "load": "merge", "key": ["id"], "cursor": "changed", "rejects": 1}


@needs_mariadb
@pytest.mark.parametrize("changed", [{}, {"PAGE_ROWS": 2}, {"MAX_UNPAGED_ROWS": 0, "_page_key": lambda *_: {}}],
                         ids=["at once", "in pieces", "row by row"])  # fmt: skip
def test_mariadb_rows_load_exactly_and_incrementally(
    trial: Trial, mariadb: str, changed: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in changed.items():
        monkeypatch.setattr(databases, name, value)
    change(
        mariadb,
        "drop table if exists cases",
        "create table cases (id bigint unsigned primary key, name varchar(200), amount decimal(18,2), ratio double, "
        "born date, changed datetime(6), kind enum('a','b'), is_open tinyint(1), extra json)",
        "set sql_mode = ''",
        "insert into cases values (1, 'Zoë £ 漢 😀', 9999999999999999.99, 0.1, '1948-02-29', "
        "'2026-07-01 12:00:00.123456', 'a', 1, '{\"a\": 1}'), (2, null, -0.01, -1e300, null, null, null, 0, null), "
        "(3, 'zero date', 0, 0, '0000-00-00', '2026-01-01', 'b', 1, null), "
        "(4, 'a\\0b', 0, 0, null, '2026-01-01', 'b', 1, null), "
        "(18446744073709551615, 'beyond', 0, 0, null, '2026-01-01', 'b', 1, null)",
    )
    (result,) = trial.load(CASES, at=mariadb)
    assert (result.read, result.total, result.quarantined, result.new_columns) == (5, 2, 3, ["extra"])
    assert trial.sql("select * from raw_trial.cases order by id")[0] == (
        1, "Zoë £ 漢 😀", Decimal("9999999999999999.99"), 0.1, date(1948, 2, 29),
        datetime(2026, 7, 1, 11, 0, 0, 123456, tzinfo=UTC), "a", True,
    )  # fmt: skip
    assert trial.sql("select id, amount, ratio, changed, is_open from raw_trial.cases where id = 2") == [
        (2, Decimal("-0.01"), -1e300, None, False)
    ]
    assert trial.sql("select rule, column_name from quarantine.rows order by rule") == [
        ("a NUL character", "name"),
        ("not bigint", "id"),
        ("not date", "born"),
    ]
    change(
        mariadb,
        "update cases set name = 'new', changed = '2026-08-01' where id = 1",
        "insert into cases values (5, 'five', 5, 5, null, '2026-08-02', 'a', 1, null)",
        "delete from cases where id = 2",
    )
    (result,) = trial.load(CASES | {"shrink": 0.5}, at=mariadb)
    assert trial.sql("select id, name from raw_trial.cases order by id") == [(1, "new"), (5, "five")]
    with pytest.raises(SourceError, match="raw_trial: cannot reach the database that TRIAL_AT names: ") as refusal:
        trial.load(CASES, at=mariadb.replace("reader", "nobody"))
    assert "gosling" not in str(refusal.value)


@needs_mariadb
@pytest.mark.parametrize(("key", "pieces"), [("no", 7), ("code", 7), ("kind, code", 0), ("code, no", 20)])
def test_chunks_of_a_table_cover_every_row_for_every_type_of_key(
    trial: Trial, mariadb: str, key: str, pieces: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = ["a", "B", "Ö", "é'", 'x"\\', "x y", "10", "9", "%s", ":b", "漢😀", "\\'; --", "%%"]
    rows = [(code, number * 100 + place, "za"[place % 2]) for place, code in enumerate(codes) for number in range(3)]
    rows = rows if "code, no" in key else rows[::3]
    create = f"create table parts (code varchar(9), no int, kind enum('z', 'a'), `share %%` int, primary key ({key}))"
    change(mariadb, "drop table if exists parts", create)
    engine = sa.create_engine(mariadb)
    with engine.begin() as connection:
        connection.exec_driver_sql("insert into parts (code, no, kind) values (%s, %s, %s)", rows)
    engine.dispose()
    asked, read = [], connectorx.read_sql

    def read_sql(url: str, query: str, **how: object) -> pa.RecordBatchReader:
        asked.append(query)
        return read(url, query, **how)

    monkeypatch.setattr(databases, "PAGE_ROWS", 2)
    monkeypatch.setattr(databases, "MAX_UNPAGED_ROWS", 12)
    monkeypatch.setattr(connectorx, "read_sql", read_sql)
    columns = {"code": "text", "no": "bigint", "kind": "text"}
    (result,) = trial.load({"name": "parts", "columns": columns, "load": "replace"}, at=mariadb)
    assert sorted(trial.sql("select code, no, kind from raw_trial.parts")) == sorted(rows)
    assert (result.total, result.new_columns, len(asked)) == (len(rows), ["share"], pieces)


NUMBERS = {"name": "numbers", "columns": {"id": "bigint", "changed_no": "bigint", "amount": "numeric(18,2)"},
           "load": "merge", "key": ["id"], "cursor": "changed_no", "control_totals": ["amount"]}  # fmt: skip


@needs_mariadb
def test_mariadb_rows_changed_during_a_load_are_reported_and_load_next_time(
    trial: Trial, mariadb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(
        mariadb,
        "create table numbers (id bigint primary key, changed_no bigint, amount decimal(18,2))",
        "insert into numbers select seq, seq, seq from seq_1_to_100",
    )
    asked, read = [], connectorx.read_sql

    def read_sql(url: str, query: str, **how: object) -> Iterator[pa.RecordBatch]:
        asked.append(query)
        yield from read(url, query, **how)
        if len(asked) == 2:  # row 2 has been read; row 99 has not
            change(
                mariadb,
                "update numbers set changed_no = 101, amount = 0 where id = 2",
                "update numbers set changed_no = 102, amount = 0 where id = 99",
                "delete from numbers where id = 100",
            )

    monkeypatch.setattr(databases, "PAGE_ROWS", 30)
    monkeypatch.setattr(connectorx, "read_sql", read_sql)
    (result,) = trial.load(NUMBERS, at=mariadb)
    assert (result.read, result.total, result.high_watermark, len(asked)) == (99, 99, "100", 4)
    (result,) = trial.load(NUMBERS, at=mariadb)
    assert (result.rows, result.total, result.high_watermark) == (1, 99, "102")
    assert trial.sql("select sum(amount), min(amount), max(changed_no) from raw_trial.numbers") == [(4849, 0, 102)]

    def cut_short(url: str, query: str, **how: object) -> Iterator[pa.RecordBatch]:
        yield from (batch.slice(0, len(batch) - 1) for batch in read(url, query, **how))

    monkeypatch.setattr(connectorx, "read_sql", cut_short)
    with pytest.raises(SourceError, match=r"raw_trial\.numbers: 0 rows read, the source counts 1"):
        trial.load(NUMBERS, at=mariadb)


@needs_mariadb
def test_a_mariadb_timestamp_is_a_cursor_whatever_the_time_zone_of_the_source(trial: Trial, mariadb: str) -> None:
    change(
        mariadb,
        "drop table if exists visits",
        "create table visits (id int primary key, v int, changed timestamp(6) not null)",
        "set time_zone = '+05:00'",
        "insert into visits values (1, 1, '2026-07-01 17:00:00'), (2, 1, '2026-07-01 16:00:00')",
    )
    visits = {"name": "visits", "columns": {"id": "bigint", "v": "bigint", "changed": "timestamptz"}, "load": "merge",
              "key": ["id"], "cursor": "changed"}  # fmt: skip
    (result,) = trial.load(visits, at=mariadb)
    assert (result.read, result.high_watermark) == (2, "2026-07-01 12:00:00+00:00")
    later = "update visits set v = 2, changed = '2026-07-01 17:30:00' where id = 2"
    change(mariadb, "set time_zone = '+05:00'", later)
    (result,) = trial.load(visits, at=mariadb)
    assert (result.read, result.high_watermark) == (2, "2026-07-01 12:30:00+00:00")
    assert trial.sql("select v, changed from raw_trial.visits where id = 2") == [
        (2, datetime(2026, 7, 1, 12, 30, tzinfo=UTC))
    ]


def test_control_totals_of_postgres_money_are_compared(trial: Trial) -> None:
    trial.source("create table fees (id int, fee money); insert into fees values (1, 1234.50), (2, -0.01)")
    fees = {"name": "fees", "columns": {"id": "bigint", "fee": "numeric(19,2)"}, "load": "replace",
            "control_totals": ["fee"]}  # fmt: skip
    (result,) = trial.load(fees)
    assert (result.total, trial.sql("select sum(fee) from raw_trial.fees")) == (2, [(Decimal("1234.49"),)])


def test_only_the_tables_of_the_contract_are_read_from_the_catalogue(trial: Trial) -> None:
    trial.source("create table teams (id int primary key); create table cases (id int, team int references teams)")
    system = trial_system({"name": "cases", "columns": {"id": "bigint"}, "load": "replace"})
    with databases.open_database(system, trial.place) as database:
        database.reflect(system.tables[0])
        assert [*database.reflected.tables] == ["cases"]


SOURCE = sa.Table(
    "cases", sa.MetaData(),
    sa.Column("CaseNo", sa.BigInteger), sa.Column("Amount", sa.Numeric(18, 2)), sa.Column("ChangedAt", sa.DateTime),
    sa.Column("RowGuid", sa.Uuid), sa.Column("Secret", sa.Text),
)  # fmt: skip


@pytest.mark.parametrize(
    ("dialect", "amount", "since"),
    [
        (mssql.dialect(), "CAST(cases.[Amount] AS VARCHAR(40))", "CAST('2026-07-01T13:00:00' AS DATETIME2)"),
        (oracle.dialect(), 'cases."Amount"', "TO_DATE('2026-07-01 13:00:00'"),
        (mysql.dialect(), "CAST(cases.`Amount` AS CHAR)", "'2026-07-01 13:00:00'"),
        (postgresql.dialect(), 'CAST(cases."Amount" AS VARCHAR)', "'2026-07-01 13:00:00'"),
    ],
    ids=["SQL Server", "Oracle", "MariaDB", "Postgres"],
)
def test_queries_use_the_dialect_and_the_clock_of_the_source(dialect, amount, since) -> None:
    table = trial_system(
        {
            "name": "cases",
            "columns": {"case_no": "bigint", "amount": "numeric(18,2)", "changed_at": "timestamptz"},
            "load": "merge",
            "key": ["case_no"],
            "cursor": "changed_at",
            "left_out": ["Secret"],
        }
    ).tables[0]
    noon = datetime(2026, 7, 1, 12, tzinfo=UTC)
    query = select_rows(table, SOURCE, dialect, noon)
    text = str(query.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))
    assert amount in text
    assert since in text
    assert [column.name for column in query.selected_columns] == ["case_no", "amount", "changed_at", "row_guid"]
    assert "Secret" not in text
