"""Loading the ledger files, from unzip to committed rows, beside a bare COPY of the same CSV in the same run.

`make bench [LANDING=folder]` on a machine that does nothing else. Prints seconds, the ratio and the load's peak memory.
"""

import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from statistics import median

import psycopg2

ROUNDS = 5
ONE_LOAD = "import benchmarks.load as b; b.load_once()"


def load_once() -> None:
    """One load of the ledger in this process; prints its seconds, rows and peak memory in MB as JSON."""
    from ingestion.contracts import read_contracts
    from ingestion.pipeline import load_system

    erp = read_contracts()["erp"]
    began = time.monotonic()
    (landing,) = load_system(erp, {"ledger_lines"})
    seconds = time.monotonic() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "rows": landing.rows, "peak_mb": peak}))


def bare_copy(connection, folder: Path) -> float:
    """Seconds that COPY takes for the unpacked CSVs, into a table of the raw table's types."""
    kinds = ["text"] * 16
    kinds[2] = kinds[6] = "date"
    kinds[8] = kinds[9] = "numeric(18,2)"
    columns = ", ".join(f"c{position} {kind}" for position, kind in enumerate(kinds))
    with connection.cursor() as cursor:
        cursor.execute(f"drop table if exists bare_copy; create table bare_copy ({columns})")
        connection.commit()
        began = time.monotonic()
        for file in sorted(folder.glob("*.csv")):
            with file.open("rb") as data:
                cursor.copy_expert("copy bare_copy from stdin with (format csv, header)", data, size=1 << 20)
        connection.commit()
        return time.monotonic() - began


def main() -> None:
    """Runs both in turn, ROUNDS times, and compares the medians."""
    from warehouse import environment

    with tempfile.TemporaryDirectory(prefix="warehouse-bench-") as folder:
        Path(folder).chmod(0o755)
        os.environ["WAREHOUSE_HOME"] = folder
        environment.prepare(demo=True)
        try:
            for archive in Path(os.environ["LANDING"]).glob("finance/*supplier-spend-*.zip"):
                zipfile.ZipFile(archive).extractall(folder)
            size = sum(file.stat().st_size for file in Path(folder).glob("*.csv")) / 1e6
            connection = psycopg2.connect(os.environ["WAREHOUSE_URL"])
            bare, loads = [], []
            for _ in range(ROUNDS):
                bare.append(bare_copy(connection, Path(folder)))
                with connection, connection.cursor() as cursor:
                    cursor.execute("truncate governance.landings")  # else nothing has changed and nothing is read
                done = subprocess.run([sys.executable, "-c", ONE_LOAD], check=True, capture_output=True, text=True)
                loads.append(json.loads(done.stdout))
            with connection, connection.cursor() as cursor:
                cursor.execute("select (select count(*) from bare_copy), (select count(*) from raw_erp.ledger_lines)")
                copied, landed = cursor.fetchone()
            assert copied == landed == loads[-1]["rows"], (copied, landed, loads)  # noqa: S101
            connection.close()
        finally:
            from demo import postgres, systems

            systems.stop(Path(folder))
            postgres.stop(Path(folder))
    ours = median(load["seconds"] for load in loads)
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"ledger: {landed:,} rows, {size:.0f} MB of CSV; medians of {ROUNDS}")
    ratio = ours / median(bare)
    print(f"bare COPY {median(bare):.2f} s; load {ours:.2f} s, {landed / ours:,.0f} rows/s: {ratio:.1f} x COPY")
    print(f"peak memory of the load: {max(load['peak_mb'] for load in loads):.0f} MB")


if __name__ == "__main__":
    main()
