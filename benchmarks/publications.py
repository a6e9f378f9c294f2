"""Readers during many publications: errors, two versions in one answer, waits of readers and of builds.

`python -m benchmarks.publications` publishes three small tables under eight readers. The test suite publishes sets of
the demo county under three.
"""

import argparse
import json
import os
import statistics
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from uuid import uuid4

import psycopg2

EXTRA_LINE = """
    insert into raw_erp.ledger_lines
    select (jsonb_populate_record(line, jsonb_build_object(
        'amount', 1, '_source_file', 'extra', '_source_row', (select count(*) from raw_erp.ledger_lines)
    ))).*
    from raw_erp.ledger_lines as line limit 1
"""
FINANCE, HIGHWAYS = (f"path:dbt_project/models/marts/{name}" for name in ("finance", "highways"))
# both sets, and the models downstream of a new ledger line
SELECTION = [FINANCE, HIGHWAYS, f"stg_erp__ledger_lines+,+{FINANCE}"]
CONSISTENT_QUERY = (
    "select (select sum(net_amount_gbp) from finance.fct_supplier_payments) + "
    "(select sum(net_amount_gbp) from finance.fct_card_payments), ("
    'select sum("Paid by invoice net GBP" + "Paid by card net GBP") from finance.rpt_monthly_spend_by_supplier)'
)
SCOPED_QUERY = (
    "select count(*), count(*) filter (where district_code is distinct from 'E07000236') "
    "from highways_redditch.fct_enquiries"
)


@dataclass
class Observations:
    """What readers saw: names of errors, (facts, report) pairs, and (rows, forbidden rows) in a row scope."""

    errors: list[str]
    answers: list[tuple]
    scoped: list[tuple]

    @property
    def mixed(self) -> int:
        return sum(facts != report for facts, report in self.answers)

    @property
    def versions(self) -> int:
        return len({facts for facts, _ in self.answers})


def read_through(finance: str, redditch: str, publish: Callable[[], None]) -> Observations:
    """What two readers of finance and one of a district's highways, by their URLs, see during `publish`.

    Each queries fifty times a second, with a plain and a prepared statement.
    """
    stop, errors = threading.Event(), []

    def read(url: str, query: str) -> list[tuple]:
        answers = []
        with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            cursor.execute(f"prepare asked as {query}")
            while not stop.wait(0.02):
                for statement in (query, "execute asked"):
                    try:
                        cursor.execute(statement)
                        answers.append(cursor.fetchone())
                    except psycopg2.Error as error:
                        errors.append(type(error).__name__)
        return answers

    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(read, finance, CONSISTENT_QUERY) for _ in range(2)]
        scoped = pool.submit(read, redditch, SCOPED_QUERY)
        try:
            publish()
        finally:
            stop.set()
    return Observations(errors, [answer for reader in readers for answer in reader.result()], scoped.result())


ONE, TWO, THREE = TABLES = ("fct_one", "fct_two", "fct_three")
VERSIONS = (  # of the three tables in one statement, which resolves and locks one table after another
    f"select (select min(version) from highways.{ONE}), (select min(version) from highways.{TWO}), "
    f"(select min(version) from highways.{THREE})"
)
SLOW_SECONDS = 4
KINDS = {  # {kind of reader: number of readers}
    "connects for each query": 2,
    "leaves a transaction open": 2,
    "prepared statement": 2,
    "server-side cursor in a transaction": 1,
    "4-second query": 1,
}


@dataclass
class Reader:
    """What a reader saw: seconds of each statement without its own sleep, versions in each answer, errors."""

    kind: str
    seconds: list[float]
    answers: list[tuple[int, ...]]
    errors: list[str]


def read_until(stop: threading.Event, url: str, reader: Reader) -> None:
    """Reads the published tables as a reader of this kind does."""

    def ask(cursor: psycopg2.extensions.cursor, query: str, seconds: float = 0) -> None:
        began = time.monotonic()
        cursor.execute(query)
        reader.answers.append(cursor.fetchone()[:3])
        reader.seconds.append(time.monotonic() - began - seconds)

    connection = psycopg2.connect(url)
    while not stop.is_set():
        try:
            if connection.closed:
                connection = psycopg2.connect(url)
            connection.autocommit = "transaction" not in reader.kind
            with connection.cursor() as cursor:
                match reader.kind:
                    case "connects for each query":
                        ask(cursor, VERSIONS)
                        connection.close()
                    case "leaves a transaction open":
                        ask(cursor, VERSIONS)
                        stop.wait(0.3)
                        connection.commit()
                        stop.wait(0.3)
                    case "prepared statement":
                        cursor.execute(f"prepare versions as {VERSIONS}")
                        for _ in range(50):
                            ask(cursor, "execute versions")
                            stop.wait(0.02)
                        cursor.execute("deallocate versions")
                    case "server-side cursor in a transaction":
                        began = time.monotonic()
                        cursor.execute(f"declare page cursor for {VERSIONS}")
                        reader.seconds.append(time.monotonic() - began)
                        stop.wait(0.1)
                        ask(cursor, "fetch page")
                        connection.commit()
                    case _:
                        ask(cursor, f"{VERSIONS}, pg_sleep({SLOW_SECONDS})", SLOW_SECONDS)
                        stop.wait(20)
        except psycopg2.Error as error:
            reader.errors.append(f"{type(error).__name__}: {str(error).splitlines()[0]}")
            connection.close()
        stop.wait(0.02)
    connection.close()


def publish_once(version: int, builder: str) -> tuple[float, float]:
    """Builds and publishes three tables with dbt's login; returns the seconds of the build and of the publication."""
    from warehouse.environment import dbt_connection

    build = {"invocation_id": str(uuid4()), "tables": TABLES, "tests_passed": 0}
    began = time.monotonic()
    with closing(dbt_connection()) as connection, connection.cursor() as cursor:
        begin = "select governance.begin_build('highways', '{}', %s, '{}', %s)"
        cursor.execute(begin, [build["invocation_id"], builder])
        connection.commit()
        for table in TABLES:
            cursor.execute(
                f"create table highways__next.{table} as select {version} as version from generate_series(1, 100)"
            )
            cursor.execute("select governance.note_table('highways', %s, %s)", [table, build["invocation_id"]])
            connection.commit()
        built = time.monotonic()
        cursor.execute("select * from governance.publish('highways', %s, '{}')", [json.dumps(build)])
        if refused := cursor.fetchall():
            raise SystemExit(f"not published: {refused}")
        connection.commit()
        published = time.monotonic()
        cursor.execute("select governance.drop_old_builds('highways')")
        connection.commit()
    return built - began + time.monotonic() - published, published - built


def main() -> None:
    """Publish a thousand times; exit status 1 where a reader saw an error, or a mixture although it was locked out."""
    from benchmarks import harness
    from benchmarks.harness import database
    from warehouse import environment
    from warehouse.builds import BUILDER, build_lock

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--publications", type=int, default=1000)
    given = parser.parse_args()
    readers = [Reader(kind, [], [], []) for kind, number in KINDS.items() for _ in range(number)]
    stop, seconds = threading.Event(), []
    with harness.warehouse([]) as folder, build_lock():
        facts = harness.machine(folder)
        publish_once(1, os.environ[BUILDER])
        url = environment.reader_url("pbi_highways")
        with ThreadPoolExecutor(len(readers)) as pool:
            done = [pool.submit(read_until, stop, url, reader) for reader in readers]
            try:
                seconds += [publish_once(number, os.environ[BUILDER]) for number in range(2, given.publications + 2)]
            finally:
                stop.set()
            for reading in done:
                reading.result()
        with database("warehouse") as connection, connection.cursor() as cursor:
            cursor.execute("select row_number() over (order by publication_id), had_lock from governance.publications")
            had_lock = dict(cursor.fetchall())
            cursor.execute("select count(*) from pg_namespace where nspname ~ '^highways__b'")
            ((kept,),) = cursor.fetchall()
    by_kind, mixed_under_lock = [], 0
    for kind, number in KINDS.items():
        found = [reader for reader in readers if reader.kind == kind]
        waits = [wait for reader in found for wait in reader.seconds]
        mixed = [answer for reader in found for answer in reader.answers if len(set(answer)) > 1]
        under_lock = sum(all(had_lock[version] for version in range(min(m) + 1, max(m) + 1)) for m in mixed)
        mixed_under_lock += under_lock
        by_kind.append(
            {
                "reader": kind,
                "readers": number,
                "statements": len(waits),
                "errors": sum(len(reader.errors) for reader in found),
                "mixed": len(mixed),
                "mixed under lock": under_lock,
                "median s": round(statistics.median(waits), 3),
                "slowest s": round(max(waits), 3),
                "over 1 s": sum(wait > 1 for wait in waits),
            }
        )
    builds, swaps = zip(*seconds, strict=True)
    table = {
        "publications": len(swaps),
        "with the lock": sum(had_lock.values()) - 1,
        "publication median s": round(statistics.median(swaps), 3),
        "publication slowest s": round(max(swaps), 3),
        "build median s": round(statistics.median(builds), 3),
        "build slowest s": round(max(builds), 3),
        "old builds left": kept,
    }
    notes = [
        "Each statement reads three tables. A statement that meets a publication without the lock may be mixed. The "
        "4-second query pauses for 20 s; its seconds are without the four. Every reader uses psycopg2; the prepared "
        "statement and the cursor are on the server those of psycopg 3 and of ODBC with UseDeclareFetch.",
        *sorted({error for reader in readers for error in reader.errors}),
    ]
    harness.save("publication", harness.RESULTS, facts, "Readers through many publications",
                 {"Publications": [table], "Readers": by_kind}, notes)  # fmt: skip
    sys.exit(any(reader.errors for reader in readers) or mixed_under_lock > 0)


if __name__ == "__main__":
    main()
