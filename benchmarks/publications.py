"""Readers during many publications: errors, two versions in one answer, forbidden rows.

`python -m benchmarks.publications`; the test suite does the same with fewer publications.
"""

import argparse
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass

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
    "select count(*), count(*) filter (where district_code is distinct from 'E07000236') from highways.fct_enquiries"
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


def main() -> None:
    """Publish two sets twenty times; exit status 1 if a reader saw an error, a mixed answer or a forbidden row."""
    from dbt.cli.main import dbtRunner

    from benchmarks import harness
    from benchmarks.harness import database
    from warehouse import environment
    from warehouse.builds import build_lock

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--publications", type=int, default=20)
    given = parser.parse_args()

    def publish() -> None:
        for _ in range(given.publications):
            with database("warehouse") as connection, connection, connection.cursor() as cursor:
                cursor.execute(EXTRA_LINE)
            with build_lock():
                build = dbtRunner().invoke(["--quiet", "build", "--select", *SELECTION])
            if not build.success:
                raise SystemExit(f"a build failed: {build.exception}")

    with harness.county(1_000, 1):
        environment.prepare()
        facts = harness.machine(environment.home())
        logins = (environment.reader_url(login) for login in ("pbi_finance", "pbi_highways_redditch"))
        seen = read_through(*logins, publish)
    table = {
        "publications of each set": given.publications,
        "answers": len(seen.answers) + len(seen.scoped),
        "versions seen": seen.versions,
        "errors": len(seen.errors),
        "mixed answers": seen.mixed,
        "forbidden rows": sum(forbidden for _, forbidden in seen.scoped),
    }
    title = "Readers through many publications"
    harness.save("publications", harness.RESULTS, facts, title, {"Seen": [table]}, [])
    sys.exit(any((seen.errors, seen.mixed, table["forbidden rows"])))


if __name__ == "__main__":
    main()
