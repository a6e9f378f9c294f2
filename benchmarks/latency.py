"""Seconds from a change in the highways database to its row in the published mart, with a polling daemon and readers.

`make bench`, or `python -m benchmarks.latency [--changes N]`, on an otherwise idle machine. Changes are made at random
moments, each after the previous one has arrived.
"""

import argparse
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median

import psycopg2

from benchmarks import harness

TIMEOUT = 300  # seconds for a change to arrive, and for the daemon to start
COLUMNS = "service_code, subject_code, enquiry_status_code, enquiry_description, enquiry_log_time, site_code"
REPORT = f"""
    insert into central_enquiry (enquiry_number, enquiry_reference, last_updated_time, {COLUMNS})
    select top.number, 'BENCH-' || top.number, now() at time zone 'Europe/London', {COLUMNS}
    from central_enquiry, (select max(enquiry_number) + 1 as number from central_enquiry) as top
    order by enquiry_number limit 1 returning enquiry_number
"""
ARRIVED = "select count(*) from highways.fct_enquiries where enquiry_number = %s"


class Reader(threading.Thread):
    """Reads two tables of the mart in one statement, repeatedly; counts answers and errors, keeps the slowest."""

    def __init__(self, url: str):
        super().__init__(daemon=True)
        self.url, self.answers, self.errors, self.slowest, self.stopped = url, 0, 0, 0.0, threading.Event()

    def run(self) -> None:
        connection = psycopg2.connect(self.url)
        connection.autocommit = True
        while not self.stopped.wait(0.05):
            started = time.monotonic()
            try:
                with connection.cursor() as cursor:
                    cursor.execute(
                        "select count(*) from highways.fct_enquiries join highways.dim_streets using (street_key)"
                    )
                self.answers += 1
            except psycopg2.Error:
                self.errors += 1
            self.slowest = max(self.slowest, time.monotonic() - started)


def wait_for(what: str, found) -> float:
    """Seconds until `found()` is true; raises TimeoutError."""
    started = time.monotonic()
    while not found():
        if time.monotonic() - started > TIMEOUT:
            raise TimeoutError(what)
        time.sleep(0.1)
    return time.monotonic() - started


def answer(connection, query: str, *values: object):
    """The first value of a query's result."""
    with connection.cursor() as cursor:
        cursor.execute(query, values or None)
        return cursor.fetchone()[0]


def measure(changes: int) -> tuple[dict[str, str], list[float], list[Reader]]:
    """The machine, the seconds of each change, and the readers, on a demo county in a temporary folder."""
    from demo import postgres, systems
    from warehouse import environment

    with tempfile.TemporaryDirectory(prefix="warehouse-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        os.environ.update(dict.fromkeys(harness.USER_VARIABLES, ""), WAREHOUSE_HOME=name)
        warehouse = [sys.executable, "-c", "from commands.main import main; main()"]
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = str(probe.getsockname()[1])
        daemon = None
        try:
            subprocess.run([*warehouse, "run"], check=True, stdout=subprocess.DEVNULL)
            environment.prepare()
            facts = harness.machine(folder)
            with (folder / "dev.log").open("wb") as log:
                daemon = subprocess.Popen(
                    [*warehouse, "dev", "--port", port], stdout=log, stderr=log, start_new_session=True
                )
            url = os.environ["WAREHOUSE_URL"]
            mart, source = psycopg2.connect(url), psycopg2.connect(url.rsplit("/", 1)[0] + "/confirm")
            mart.autocommit = source.autocommit = True
            readers = [Reader(url) for _ in range(2)]
            for reader in readers:
                reader.start()
            moments, seconds = random.Random(1), []  # noqa: S311
            for _ in range(changes + 1):
                time.sleep(moments.uniform(0, 10))
                enquiry = answer(source, REPORT)
                seconds.append(wait_for("the change", lambda enquiry=enquiry: answer(mart, ARRIVED, enquiry)))
            for reader in readers:
                reader.stopped.set()
                reader.join()
            return facts, seconds[1:], readers  # the daemon was still starting during the first change
        finally:
            if daemon:
                os.killpg(daemon.pid, signal.SIGTERM)
                daemon.wait()
            systems.stop(folder)
            postgres.stop(folder)


def main() -> None:
    """Measure and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--changes", type=int, default=20)
    parser.add_argument("--out", type=Path, default=harness.RESULTS)
    options = parser.parse_args()
    facts, seconds, readers = measure(options.changes)
    result = {
        "changes": len(seconds),
        "median": median(seconds),
        "fastest": min(seconds),
        "slowest": max(seconds),
        "reads meanwhile": sum(reader.answers for reader in readers),
        "failed reads": sum(reader.errors for reader in readers),
        "slowest read": max(reader.slowest for reader in readers),
    }
    note = "Seconds from a row's commit in the highways database to its row in the published mart."
    harness.save("latency", options.out, facts, "From source to mart", {"Seconds": [result]}, [note])


if __name__ == "__main__":
    main()
