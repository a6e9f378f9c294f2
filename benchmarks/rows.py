"""The rows to load: Postgres calculates them from a row's number, so they are the same on every machine.

Fifteen columns as in council data: long numbers, codes with leading zeros, free text with quotes, commas, line breaks
and £, the text N/A, sums of money, times with microseconds, and nulls. No empty text, which CSV cannot express.
"""

from collections.abc import Iterable

import psycopg2
from psycopg2.extensions import connection as Connection

COLUMNS = {  # name: (type, expression of the row's number i)
    "row_id": ("bigint", "i"),
    "account_number": ("bigint", "9007199254740993 + i * 7919"),  # more than a double can hold exactly
    "reference": ("text", "'R-' || lpad(i::text, 9, '0')"),
    "cost_centre": ("text", "lpad((i % 997)::text, 6, '0')"),
    "status": ("text", "(array['open', 'closed', 'pending', 'N/A'])[1 + i % 4]"),
    "supplier": ("text", "'Brâncuși & Söhne, \"Nº ' || i % 5000 || '\"'"),
    "token": ("text", "md5(i::text)"),
    "note": (
        "text",
        "case when i % 7 > 0 then 'Visited, \"no answer\"; owes £' || i % 1000 || chr(10) || 'Second line ' || i end",
    ),
    "amount": (
        "numeric(18,2)",
        "(i * 7919 % 10000000) / 100.0 + case when i % 1000 = 7 then 9007199254740000 else 0 end",
    ),
    "vat": ("numeric(18,2)", "case when i % 5 > 0 then -(i * 31 % 100000) / 100.0 end"),
    "score": ("double precision", "sqrt(i::double precision) / 3"),
    "is_paid": ("boolean", "case when i % 11 > 0 then i % 3 = 0 end"),
    "paid_on": ("date", "case when i % 3 = 0 then date '1998-01-01' + (i % 10000)::integer end"),
    "created_at": ("timestamptz", "timestamptz '2015-01-01 00:00:00Z' + i * interval '131.000007 seconds'"),
    "updated_at": ("timestamptz", "timestamptz '2016-01-01 00:00:00Z' + i * interval '127.000001 seconds'"),
}
DECLARED = ", ".join(f"{name} {kind}" for name, (kind, _) in COLUMNS.items())
SAME_TYPE = {"character varying": "text", "timestamp with time zone": "timestamptz"}


def fill(connection: Connection, table: str, rows: int) -> None:
    """Create the table with rows 1 to `rows`, its key, and an index on updated_at for incremental reads."""
    made = ", ".join(expression for _, expression in COLUMNS.values())
    with connection, connection.cursor() as cursor:
        cursor.execute(f"create table {table} ({DECLARED})")
        cursor.execute(f"insert into {table} select {made} from generate_series(1::bigint, {rows}) as i")
        cursor.execute(f"alter table {table} add primary key (row_id); create index on {table} (updated_at)")
        cursor.execute(f"analyze {table}")


def contract(system: str, kind: str, location: str, tables: Iterable[str], **declared: object) -> dict:
    """A source contract for tables of these rows; `declared` is added to each table (load, key, files, …)."""
    text = dict.fromkeys(("information_asset_owner", "data_owner", "purpose", "lawful_basis", "sharing"), "none")
    columns = [
        {"name": name, "data_type": kind, "description": "A column.", "privacy": "none"}
        for name, (kind, _) in COLUMNS.items()
    ]
    return text | {
        "name": system,
        "description": "Rows of the benchmarks.",
        "kind": kind,
        "location": location,
        "schedule": "0 6 * * *",
        "time_zone": "UTC",
        "retention": "P1Y",
        "freshness": {age: {"count": 1, "period": "day"} for age in ("warn_after", "error_after")},
        "tables": [
            {"name": table, "description": "One row per payment.", "load": "replace", "columns": columns} | declared
            for table in tables
        ],
    }


def fingerprint(connection: Connection, table: str) -> tuple[int, int] | None:
    """The number of rows, and a number that depends on every value but not on their order.

    Values are cast to the columns' types; None if that fails.
    """
    values = ", ".join(_typed(name, kind) for name, (kind, _) in COLUMNS.items())
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(f"select count(*), coalesce(sum(hashtextextended(row({values})::text, 0)), 0) from {table}")
            return cursor.fetchone()
    except psycopg2.Error:
        return None


def _typed(column: str, kind: str) -> str:
    return f"{column}::text::boolean" if kind == "boolean" else f"{column}::{kind}"  # 0 and 1 are booleans too


def retyped(connection: Connection, table: str) -> list[str]:
    """The columns whose type differs from the source's, with that type."""
    types = "select attname, format_type(atttypid, atttypmod) from pg_attribute where attrelid = %s::regclass"
    with connection, connection.cursor() as cursor:
        cursor.execute(types, [table])
        found = {name: SAME_TYPE.get(kind, kind) for name, kind in cursor.fetchall()}
    return [f"{name} {found[name]}" for name, (kind, _) in COLUMNS.items() if found.get(name, kind) != kind]


def altered(connection: Connection, table: str, reference: str) -> list[str]:
    """Differences between the table's values and the reference's, by column, with an example."""
    differences = []
    if (found := count(connection, table)) != (expected := count(connection, reference)):
        differences.append(f"{found:,} rows of {expected:,}")
    for name, (kind, _) in COLUMNS.items():
        query = (
            f"select count(*), min(a.{name}::text || ' became ' || coalesce(b.{name}::text, 'null')) "
            f"from {reference} as a inner join {table} as b on a.row_id = b.row_id::bigint "
            f"where a.{name} is distinct from {_typed(f'b.{name}', kind)}"
        )
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(query)
                number, example = cursor.fetchone()
            if number:
                differences.append(f"{name} in {number:,} rows ({example or 'null became a value'})")
        except psycopg2.Error as error:
            differences.append(f"{name}: {str(error).splitlines()[0]}")
    return differences


def count(connection: Connection, table: str) -> int:
    """The table's row count."""
    with connection, connection.cursor() as cursor:
        cursor.execute(f"select count(*) from {table}")
        return cursor.fetchone()[0]
