"""Shared by all benchmarks: a temporary warehouse, measured processes, facts about the machine, result files."""

import importlib.metadata
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import psycopg2

from ingestion import ROOT
from ingestion.contracts import read_contracts

RESULTS = ROOT / "benchmarks" / "results"
SAMPLING_SECONDS = 0.1  # between two samples of a program's memory
TOOLS = ("dlt", "pyarrow", "sqlalchemy", "psycopg2-binary", "adbc-driver-postgresql", "connectorx", "duckdb", "pymysql")
USER_VARIABLES = ("WAREHOUSE_URL", "LOADER_URL", "DBT_HOST", "DAGSTER_HOME")  # unset for benchmarks


def locations() -> set[str]:
    """The location variables of all systems."""
    return {system.location for system in read_contracts().values() if system.location}


@contextmanager
def warehouse(systems: Iterable[str]) -> Iterator[Path]:
    """An empty warehouse on an embedded server in a temporary folder, with the schemas of these systems too.

    Yields the folder. The environment has WAREHOUSE_URL, LOADER_URL and everything else that a load reads.
    """
    from demo import postgres
    from warehouse import environment, vault

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the servers stop too
    with tempfile.TemporaryDirectory(prefix="warehouse-bench-") as name:
        folder = Path(name).resolve()
        folder.chmod(0o755)  # root runs the server as nobody
        os.environ.update(dict.fromkeys(USER_VARIABLES, ""), WAREHOUSE_HOME=str(folder))
        try:
            os.environ["WAREHOUSE_URL"] = postgres.start(folder)
            environment.prepare(systems=systems)
            with database("warehouse") as connection:
                vault.adopt_key(connection)
            yield folder
        finally:
            postgres.stop(folder)


def forget_loads() -> None:
    """Make every load read and load all rows again, even without changes at the source."""
    with database("warehouse") as connection, connection, connection.cursor() as cursor:
        cursor.execute("delete from governance.load_audit")


def database_url(name: str) -> str:
    """The administrator's URL of a database on the embedded server."""
    return urlsplit(os.environ["WAREHOUSE_URL"])._replace(path=f"/{name}").geturl()


@contextmanager
def database(name: str) -> Iterator[psycopg2.extensions.connection]:
    """The administrator's connection to a database on the embedded server, created if missing."""
    if name != "warehouse":
        with database("warehouse") as connection, connection.cursor() as cursor:
            connection.autocommit = True
            cursor.execute("select from pg_database where datname = %s", [name])
            if not cursor.rowcount:
                cursor.execute(f"create database {name} template template0 encoding 'UTF8'")
    connection = psycopg2.connect(database_url(name))
    try:
        yield connection
    finally:
        connection.close()


@dataclass
class Run:
    """A program's run or why it failed; `seconds` by its own count if it prints one, `wall` in all.

    `processor` is the processor time of the program and its children, without a server that they use.
    """

    seconds: float
    wall: float
    peak_mb: float
    failure: str = ""
    processor: float = 0.0


def measure(
    command: list[str],
    given: str | Path = "",
    env: dict[str, str] | None = None,
    timeout: int = 900,
    servers: Path | None = None,
) -> Run:
    """Run a program with a text or a file as its input, and sample the memory of the program and its children.

    With `servers`, a folder, the servers started in that folder count too. If the last line of output is JSON with
    `seconds`, these are the program's seconds, without start-up and imports.
    """
    with tempfile.TemporaryFile() as text, tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
        text.write(given.encode() if isinstance(given, str) else b"")
        text.seek(0)
        with given.open("rb") if isinstance(given, Path) else text as stdin:
            streams = {"stdin": stdin, "stdout": stdout, "stderr": stderr}
            started = time.monotonic()
            process = subprocess.Popen(
                command, **streams, cwd=ROOT, env=os.environ | (env or {}), start_new_session=True
            )
            peaks, finished = [0.0], threading.Event()
            sampler = threading.Thread(target=_sample, args=(process.pid, peaks, finished, started + timeout, servers))
            sampler.start()
            try:
                _, ended, usage = os.wait4(process.pid, 0)
                status = process.returncode = os.waitstatus_to_exitcode(ended)
                wall = time.monotonic() - started
            finally:
                if process.poll() is None:  # this process is being stopped
                    os.killpg(process.pid, signal.SIGKILL)
                finished.set()
                sampler.join()
        stdout.seek(0)
        stderr.seek(0)
        output, errors = (file.read().decode(errors="replace").strip().splitlines() for file in (stdout, stderr))
    processor = usage.ru_utime + usage.ru_stime
    if status:
        problem = f"not finished after {timeout} s" if wall > timeout else f"status {status}"
        message = " ".join((errors or output or ["no message"])[-1].split())
        return Run(wall, wall, max(peaks), f"{problem}: {message[:300]}", processor)
    seconds = wall
    with suppress(IndexError, ValueError, TypeError, KeyError):
        seconds = json.loads(output[-1])["seconds"]
    return Run(seconds, wall, max(peaks), processor=processor)


def _sample(pid: int, peaks: list[float], finished: threading.Event, deadline: float, servers: Path | None) -> None:
    """Record the resident memory of the process tree until the program ends; kill its session at the deadline."""
    while not finished.wait(SAMPLING_SECONDS):
        with suppress(psutil.Error):
            peaks.append(sum(map(_megabytes, _family(pid))) if servers is None else _with_servers(pid, servers))
        if time.monotonic() > deadline:
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)


def _family(pid: int) -> list[psutil.Process]:
    root = psutil.Process(pid)
    return [root, *root.children(recursive=True)]


def _megabytes(process: psutil.Process, memory: str = "rss") -> float:
    with suppress(psutil.Error):
        return getattr(process.memory_info() if memory == "rss" else process.memory_full_info(), memory) / 1e6
    return 0.0


def _with_servers(pid: int, folder: Path) -> float:
    """Memory of the program and of all processes with the folder in their command line, shared memory counted once."""
    started = [
        process.pid for process in psutil.process_iter(["cmdline"]) if str(folder) in str(process.info["cmdline"])
    ]
    processes = {each for root in (pid, *started) for each in _family(root)}
    return sum(_megabytes(each, "pss") for each in processes)


@contextmanager
def county(people: int, seed: int, timeout: int = 7200) -> Iterator[tuple[Run, Path]]:
    """A whole run of a demo county, from its creation to its feeds, in a temporary folder; yields run and folder.

    WAREHOUSE_URL is the server's meanwhile. Raises SystemExit if the run fails.
    """
    from demo import postgres, systems

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="warehouse-bench-") as name:
        folder = Path(name).resolve()
        folder.chmod(0o755)
        variables = {"WAREHOUSE_HOME": str(folder), "DEMO_PEOPLE": str(people), "DEMO_SEED": str(seed)}
        os.environ.update(dict.fromkeys((*USER_VARIABLES, *locations()), ""), **variables)
        try:
            run = measure([str(Path(sys.executable).parent / "warehouse"), "run"], timeout=timeout, servers=folder)
            if run.failure:
                raise SystemExit(f"the run of {people:,} people failed: {run.failure}")
            os.environ["WAREHOUSE_URL"] = postgres.start(folder)
            yield run, folder
        finally:
            systems.stop(folder)
            postgres.stop(folder)


def load(contract: dict | str, tables: list[str] | None = None, timeout: int = 900) -> Run:
    """Load a system in a process of its own; the seconds are those of load_system."""
    given = json.dumps({"contract": contract, "tables": tables})
    return measure([sys.executable, "-m", "benchmarks.load_once"], given, timeout=timeout)


def machine(folder: Path) -> dict[str, str]:
    """The machine that is measured; `folder` is on the disk that the servers write to."""
    model = platform.processor() or platform.machine()
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), model)
    system = f"{platform.system()} {platform.release()}"
    with suppress(OSError):
        system = f"{platform.freedesktop_os_release()['PRETTY_NAME']}, {system}"
    with database("warehouse") as connection:
        postgres = connection.info.parameter_status("server_version")
        with connection.cursor() as cursor:
            names = ("shared_buffers", "work_mem", "max_wal_size", "synchronous_commit", "wal_level", "fsync")
            cursor.execute("select name, current_setting(name) from unnest(%s) as name", [list(names)])
            settings = ", ".join(f"{name} {value}" for name, value in cursor)
    versions = {"Python": platform.python_version()}
    for tool in TOOLS:
        with suppress(importlib.metadata.PackageNotFoundError):
            versions[tool] = importlib.metadata.version(tool)
    return {
        "measured": datetime.now(UTC).strftime("%d %B %Y, %H:%M UTC").lstrip("0"),
        "processor": f"{model}, {os.cpu_count()} cores; load average at the start {os.getloadavg()[0]:.2f}",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GB",
        "disk": _disk(folder),
        "system": system,
        "PostgreSQL": f"{postgres}, embedded, on the same machine: {settings}",
        "versions": ", ".join(f"{tool} {version}" for tool, version in versions.items()),
    }


def _disk(folder: Path) -> str:
    """Device, file system, size, and speed of writing 512 MB with fsync."""
    mounts = [part for part in psutil.disk_partitions(all=True) if folder.is_relative_to(part.mountpoint)]
    mount = max(mounts, key=lambda part: len(part.mountpoint))
    block = os.urandom(1 << 20)
    with tempfile.TemporaryFile(dir=folder) as file:
        started = time.monotonic()
        for _ in range(512):
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
        speed = 512 * 1.048576 / (time.monotonic() - started)
    size = psutil.disk_usage(str(folder)).total / 1e9
    return f"{Path(mount.device).name}, {mount.fstype}, {size:.0f} GB, writes {speed:,.0f} MB/s"


def save(name: str, folder: Path, facts: dict, title: str, tables: dict[str, list[dict]], notes: list[str]) -> None:
    """Write <name>.json and <name>.md into the folder, and print the latter. All rows of a table have the same keys."""
    parts = [f"# {title}", _markdown([{"": key, " ": value} for key, value in facts.items()])]
    for heading, rows in tables.items():
        parts += [f"## {heading}", _markdown(rows)]
    text = "\n\n".join([*parts, *notes]) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.md").write_text(text, encoding="utf-8")
    data = {"title": title, "machine": facts, "tables": tables, "notes": notes}
    (folder / f"{name}.json").write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(text)


def _markdown(rows: list[dict]) -> str:
    cells = [[_cell(value).replace("|", "\\|").replace("\n", " ") for value in row.values()] for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in [list(rows[0]), ["---"] * len(rows[0]), *cells])


def _cell(value: object) -> str:
    if isinstance(value, list):
        return "; ".join(map(_cell, value))
    if isinstance(value, float):
        return f"{value:.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value or "")
