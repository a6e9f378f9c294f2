"""Queries of dashboards on ten million ledger lines, as the warehouse publishes them, beside DuckDB on the same rows.

`python -m benchmarks.dashboards --help`; benchmarks/README.md says what is measured and how to read the results.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import duckdb
from psycopg2 import extensions as pg

from benchmarks import harness
from benchmarks.harness import database
from warehouse import environment
from warehouse.parquet import write_parquet

LIMIT_MS, SHARE = 200, 0.95  # that share of the queries answers within the limit
YEARS = 10  # over which the lines are spread
SUPPLIERS = 15  # for each supplier of the demo county: as many as a county pays, about 10,000
TABLES = (
    *("dim_cost_centres", "dim_dates", "dim_suppliers", "fct_cost_centre_months", "fct_payment_months"),
    *("fct_supplier_months", "fct_supplier_payments"),
)
PAYMENTS = "finance.fct_supplier_payments"
PAID = f"{PAYMENTS} as f"
BY_DAY = f"{PAID} join finance.dim_dates as d on d.date_day = f.payment_date"
MONTH_DATES = "join finance.dim_dates as d on d.date_day = f.month_start_date"
MONTHS, SUPPLIER_MONTHS, CENTRE_MONTHS = (
    f"finance.{name}" for name in ("fct_payment_months", "fct_supplier_months", "fct_cost_centre_months")
)
SUPPLIER = "join finance.dim_suppliers as s on s.supplier_key = f.supplier_key"
CENTRE = "join finance.dim_cost_centres as c on c.cost_centre_key = f.cost_centre_key"
LINES = f"select * from {PAYMENTS} as f where f.payment_date >= date '{{month}}' and f.payment_date < date '{{next}}'"
NET = "sum(f.net_amount_gbp)"
YEAR, NOW = "d.financial_year = '{year}'", "d.financial_year = '{now}'"

# {question: (query of the payment lines, tables that a report author uses instead)}
QUESTIONS = {
    "total": (f"select {NET} from {PAID}", MONTHS),
    "number of lines": (f"select count(*) from {PAYMENTS}", MONTHS),
    "total of a year": (f"select {NET} from {BY_DAY} where {YEAR}", MONTHS),
    "by year": (f"select d.financial_year, {NET} from {BY_DAY} group by 1 order by 1", MONTHS),
    "months of a year": (
        f"select d.month_start_date, {NET} from {BY_DAY} where {YEAR} group by 1 order by 1", MONTHS,
    ),
    "ten largest suppliers": (
        f"select s.supplier_name, {NET} from {PAID} {SUPPLIER} group by 1 order by 2 desc, 1 limit 10",
        SUPPLIER_MONTHS,
    ),
    "ten largest suppliers of a year": (
        f"select s.supplier_name, {NET} from {BY_DAY} {SUPPLIER} where {YEAR} group by 1 order by 2 desc, 1 limit 10",
        SUPPLIER_MONTHS,
    ),
    "number of suppliers": (f"select count(distinct f.supplier_key) from {PAID}", SUPPLIER_MONTHS),
    "number of suppliers by year": (
        f"select d.financial_year, count(distinct f.supplier_key) from {BY_DAY} group by 1 order by 1",
        SUPPLIER_MONTHS,
    ),
    "year on year by month": (
        f"select d.financial_period, d.financial_year, {NET} from {BY_DAY} "
        "where d.financial_year in ('{year}', '{before}') group by 1, 2 order by 1, 2",
        MONTHS,
    ),
    "cost centres of a year": (
        f"select c.cost_centre_name, {NET} from {BY_DAY} {CENTRE} where {YEAR} group by 1 order by 2 desc, 1",
        CENTRE_MONTHS,
    ),
    "categories": (f"select f.proclass_name, {NET} from {PAID} group by 1 order by 2 desc, 1", CENTRE_MONTHS),
    "on contract by year": (
        f"select d.financial_year, sum(case when f.is_on_contract then f.net_amount_gbp end) from {BY_DAY} "
        "group by 1 order by 1",
        CENTRE_MONTHS,
    ),
    "filter of accounts": (f"select distinct f.account_name from {PAID} order by 1", CENTRE_MONTHS),
    "filter of years": (f"select distinct d.financial_year from {BY_DAY} order by 1", MONTHS),
    "a supplier by month": (
        f"select d.month_start_date, {NET} from {BY_DAY} where f.supplier_key = {{supplier}} group by 1 order by 1",
        SUPPLIER_MONTHS,
    ),
    "lines of a cost centre and month": (
        f"{LINES} and f.cost_centre_key = {{centre}} order by f.payment_date, f.payment_key limit 500",
        PAYMENTS,
    ),
    "newest 500 lines of a month": (f"{LINES} order by f.payment_date desc, f.payment_key limit 500", PAYMENTS),
    "month of an incremental refresh": (f"select count(*), {NET} from ({LINES}) as f", PAYMENTS),
    "over £500 in the year to date": (
        f"select sum(case when f.is_over_500 then f.net_amount_gbp end) from {BY_DAY} where {NOW}",
        MONTHS,
    ),
    "suppliers with a word in their name": (
        f"select s.supplier_name, {NET} from {PAID} {SUPPLIER} where s.supplier_name ilike '%{{word}}%' "
        "group by 1 order by 2 desc, 1",
        SUPPLIER_MONTHS,
    ),
    "last day": (f"select max(f.payment_date) from {PAID}", MONTHS),
}  # fmt: skip
OF_MONTHS = {  # the queries of tables of months that differ by more than the table
    "number of lines": f"select sum(f.payment_lines)::bigint from {MONTHS} as f",
    "over £500 in the year to date": f"select sum(f.spend_over_500_gbp) from {MONTHS} as f {MONTH_DATES} where {NOW}",
    "last day": f"select max(f.last_payment_date) from {MONTHS} as f",
}


def main() -> None:
    """Publish a ledger of that many lines, time its queries, and write the results; exit status 1 below the aims."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=10_000_000)
    parser.add_argument("--people", type=int, default=1_000, help="of the county whose ledger is multiplied")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--out", type=Path, default=harness.RESULTS, help="folder for dashboards.md and dashboards.json"
    )
    options = parser.parse_args()
    with harness.county(options.people, 1) as (_, folder), database("warehouse") as connection:
        connection.autocommit = True
        facts = harness.machine(folder)
        os.environ["WAREHOUSE_URL"] = ""  # the demo's own server
        environment.prepare(start=False)
        with connection.cursor() as cursor:
            lines = grow(cursor, options.lines)
            build, months = publish(folder)
            added = cost_of_storage(cursor) + months
            values = chosen(cursor)
            parquet = seconds_of(lambda: write_parquet("finance", folder / "parquet"))
            with duckdb.connect(config={"threads": 2}) as other:
                read(other, folder / "parquet")
                rows = [compare(cursor, other, question, values, options.rounds) for question in QUESTIONS]
            gigabytes = sum(file.stat().st_size for file in (folder / "parquet").rglob("*.parquet")) / 1e9
            month, searched, everything = refresh(cursor, values, options.rounds)
            (size,) = fetch(cursor, f"select pg_total_relation_size('{PAYMENTS}')")[0]
    within = sum(row["published ms"] < LIMIT_MS for row in rows)
    costs = {
        f"queries under {LIMIT_MS} ms": f"{within} of {len(rows)}",
        "publication: seconds": build,
        "of which sorted rows, indexes and tables of months": added,
        "publication: x without them": build / (build - added),
        "payment lines with indexes: GB": size / 1e9,
        "Parquet files of the set: seconds": parquet,
        "Parquet files of the set: GB": gigabytes,
        "month of an incremental refresh: ms": month,
        "the same month found by a scan of all lines: ms": searched,
        "the scan: x the month": searched / month,
        "full refresh (every line): ms": everything,
        "full refresh: x the month": everything / month,
    }
    notes = [
        f"{lines:,} payment lines of {YEARS} years; medians of {options.rounds} runs with warm caches. payments: from "
        "the payment lines. published: from the table that a report author uses, a table of months where one answers "
        "the question. Explanation: benchmarks/README.md."
    ]
    tables = {"Queries": rows, "Costs": [{"": name, " ": value} for name, value in costs.items()]}
    harness.save("dashboards", options.out, facts, f"Dashboards on {lines:,} payment lines", tables, notes)
    different = [row["query"] for row in rows if row["answers"] != "equal"]
    if different or within < SHARE * len(rows) or everything < 20 * month or added > build / 3:
        sys.exit(f"below the aims; different answers: {', '.join(different) or 'none'}")


def fetch(cursor: pg.cursor, query: str) -> list[tuple[Any, ...]]:
    cursor.execute(query)
    return cursor.fetchall()


def seconds_of(run: Callable[[], object]) -> float:
    started = time.monotonic()
    run()
    return time.monotonic() - started


def grow(cursor: pg.cursor, lines: int) -> int:
    """Copy the raw lines of the ledger to earlier years, with other documents and suppliers; return their number."""
    store = "raw_erp_store.ledger_lines"
    copies = round(lines / fetch(cursor, f"select count(*) from {store}")[0][0])
    of_store = f"attrelid = '{store}'::regclass and attnum > 0 and not attisdropped"
    columns = [name for (name,) in fetch(cursor, f"select attname from pg_attribute where {of_store} order by attnum")]
    number = f"case when beneficiary_name ilike 'redacted%' then '' else ' ' || n % {SUPPLIERS} end"
    changed = {
        "transaction_number": "transaction_number || '-' || n",
        "payment_date": f"(payment_date - make_interval(years => n % {YEARS}))::date",
        "effective_date": f"(effective_date - make_interval(years => n % {YEARS}))::date",
        "beneficiary_other_id": f"beneficiary_other_id || trim({number})",
        "beneficiary_name": f"beneficiary_name || {number}",
        "_source_row": "_source_row + n::bigint * 1000000",
    }
    listed = ", ".join(changed.get(name, name) for name in columns)
    cursor.execute(
        f"insert into {store} ({', '.join(columns)}) "
        f"select {listed} from {store}, generate_series(1, {copies - 1}) as n"
    )
    cursor.execute(f"vacuum analyze {store}")
    return fetch(cursor, f"select count(*) from {store}")[0][0]


def publish(folder: Path) -> tuple[float, float]:
    """Build, test and publish the set; return the seconds of the whole, and of the tables of months."""
    warehouse = str(Path(sys.executable).parent / "warehouse")
    chosen_models = ["--select", "+path:dbt_project/models/marts/finance", "--exclude-resource-type", "unit_test"]
    words = [warehouse, "exec", "dbt", "build", *chosen_models]
    build = harness.measure(words, env={"WAREHOUSE_URL": ""}, timeout=7200)
    if build.failure:
        raise SystemExit(f"the build failed: {build.failure}")
    results = json.loads((folder / "target" / "run_results.json").read_text(encoding="utf-8"))["results"]
    models = {each["unique_id"].rpartition(".finance__")[2]: each["execution_time"] for each in results}
    return build.wall, sum(models[name] for name in TABLES if name.endswith("_months"))


def cost_of_storage(cursor: pg.cursor) -> float:
    """Seconds that the order of dates, and indexes besides the key, add to storing the payment lines."""
    indexes = fetch(cursor, f"select indexdef from pg_indexes where schemaname || '.' || tablename = '{PAYMENTS}'")
    cursor.execute("create schema bench")
    cursor.execute(f"create table bench.plain as select * from {PAYMENTS} order by payment_key")  # in no order of dates
    plain = seconds_of(lambda: cursor.execute("create table bench.again as select * from bench.plain"))
    ordered = "create table bench.ordered as select * from bench.plain order by payment_date"
    added = seconds_of(lambda: cursor.execute(ordered)) - plain
    for (definition,) in indexes:
        if not definition.startswith("CREATE UNIQUE"):
            using = definition.partition(" USING ")[2]
            added += seconds_of(lambda using=using: cursor.execute(f"create index on bench.ordered using {using}"))
    cursor.execute("drop schema bench cascade")
    return added


def chosen(cursor: pg.cursor) -> dict[str, str]:
    """The year, month, supplier, cost centre and word of the questions: those with the most lines."""
    most = f"select {{0}} from {PAYMENTS} group by {{0}} order by count(*) desc limit 1 offset {{1}}"
    (month,) = fetch(cursor, most.format("date_trunc('month', payment_date)::date", 0))[0]
    (now,) = fetch(cursor, f"select max(d.financial_year) from {MONTHS} as f {MONTH_DATES}")[0]
    start = int(now[:4])
    return {
        "month": str(month),
        "next": str((month + timedelta(days=32)).replace(day=1)),
        "now": now,
        "year": f"{start - 1}/{start % 100:02}",
        "before": f"{start - 2}/{(start - 1) % 100:02}",
        "supplier": fetch(cursor, most.format("supplier_key", 1))[0][0],
        "centre": fetch(cursor, most.format("cost_centre_key", 1))[0][0],
        "word": "care",
    }


def read(other: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Copy the Parquet files of the publication into tables of DuckDB."""
    other.execute("create schema finance")
    for table in TABLES:
        (file,) = folder.glob(f"*/{table}.parquet")
        other.execute(f"create table finance.{table} as select * from read_parquet('{file}')")


def compare(
    cursor: pg.cursor, other: duckdb.DuckDBPyConnection, question: str, values: dict[str, str], rounds: int
) -> dict[str, Any]:
    """Time a question in each way, and compare the answers."""
    query, table = QUESTIONS[question]
    lines = query.format(**values)
    from_months = query.replace(PAYMENTS, table).replace("f.payment_date", "f.month_start_date")
    published = OF_MONTHS.get(question, query if table == PAYMENTS else from_months).format(**values)

    def by_duckdb() -> list[tuple[Any, ...]]:
        return other.execute(lines).fetchall()

    ways = {
        "payments ms": partial(fetch, cursor, lines),
        "published ms": partial(fetch, cursor, published),
        "DuckDB ms": by_duckdb,
    }
    answers = {way: run() for way, run in ways.items()}  # this also fills the caches
    times = {way: 1000 * median(seconds_of(run) for _ in range(rounds)) for way, run in ways.items()}
    distinct = {str(sorted(rows, key=str)) for rows in answers.values()}
    found = {"asked of": table, "answers": "equal" if len(distinct) == 1 else "different"}
    return {"query": question} | times | found


def refresh(cursor: pg.cursor, values: dict[str, str], rounds: int) -> tuple[float, float, float]:
    """Milliseconds to read the lines of a month, the same lines without sorted rows and indexes, and all lines."""
    query = "select count(f) from ({}) as f"

    def milliseconds(lines: str) -> float:
        return 1000 * median(seconds_of(partial(fetch, cursor, query.format(lines))) for _ in range(rounds))

    month = milliseconds(LINES.format(**values))
    everything = milliseconds(f"select * from {PAYMENTS}")
    cursor.execute("set enable_bitmapscan = off; set enable_indexscan = off; set enable_indexonlyscan = off")
    searched = milliseconds(LINES.format(**values))
    cursor.execute("reset all")
    return month, searched, everything


if __name__ == "__main__":
    main()
