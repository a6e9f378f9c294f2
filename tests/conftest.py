"""Fixtures, and the tiers of the suite: what a test needs decides when it runs (tests/README.md)."""

import importlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType

import psutil
import pymysql
import pytest
import sqlalchemy as sa

from tests.support import (
    MARIADB,
    NO_DATA,
    PATIENCE,
    REAL_DATA,
    ROOT,
    Published,
    SharedWarehouse,
    Trial,
    TrialServer,
    Warehouse,
    bare_environment,
    copy_county,
    environment_of,
    free_port,
    manifest,
    manifest_folder,
)

TIERS = ("unit", "database", "whole_run", "county")  # in the order in which they begin
COUNTY = {"built", "warehouse", "county"}  # fixtures that need the built demo county
SERVER = {"trial", "old", "published", "loads", "mariadb", "folder", "any_folder", "served"}  # a server, and no county
SHARED = {"published", "loads", "mariadb", "served", "other", "compiled", "recipes", "definitions", "project"}  # dear
FOLDER = "TEST_FOLDER"  # names the folder of one run of pytest, which its workers share


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help="fail where a test is skipped for a reason not allowed")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """With --no-skips: a missing package fails the run; only the published data may be absent."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter and session.config.option.no_skips and session.exitstatus == pytest.ExitCode.OK:
        reasons = {report.longrepr[2].removeprefix("Skipped: ") for report in reporter.stats.get("skipped", [])}
        if missing := reasons - {NO_DATA}:
            reporter.write_line(f"skipped, and may not be: {'; '.join(sorted(missing))}", red=True)
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        folder = tempfile.mkdtemp(prefix="warehouse-test-", dir=_fast_folder())
        Path(folder).chmod(0o755)  # other accounts may pass through, as a repository's usually is
        os.environ[FOLDER] = folder


def _fast_folder() -> Path | None:
    """Memory, where there is plenty: copies of the county, written and read back, keep a disk busy."""
    memory = Path("/dev/shm")  # noqa: S108  the folder made there is this account's own
    if not memory.is_dir() or os.statvfs(memory).f_flag & os.ST_NOEXEC:  # a server's programs may be copied there
        return None
    return memory if shutil.disk_usage(memory).free > 8e9 else None


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        folder = Path(os.environ.pop(FOLDER))
        with suppress(FileNotFoundError, psutil.NoSuchProcess):
            builder = psutil.Process(int((folder / "builder.pid").read_text()))
            if str(folder) in builder.cmdline():  # it works still: the tests were stopped
                os.killpg(builder.pid, signal.SIGKILL)
                Warehouse(folder / "county").remove()
        shutil.rmtree(folder, ignore_errors=True)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Marks a test with its tier, and keeps tests that share a dear fixture on one worker."""
    fixtures = set(item.fixturenames)
    tier = "county" if fixtures & COUNTY else "database" if fixtures & SERVER else "unit"
    item.add_marker(tier)
    for shared in sorted(fixtures & SHARED):  # a test of the county must not hold up others of its group
        item.add_marker(pytest.mark.xdist_group(f"{shared}-{tier}"))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begins with the cheap tiers, whatever the order within them: the county is being built meanwhile."""
    items.sort(key=lambda item: [item.get_closest_marker(tier) is None for tier in TIERS])


def pytest_collection_finish(session: pytest.Session) -> None:
    """Starts to build the county, in a process of its own, if a test needs it and no other worker has started to."""
    needed = any(item.get_closest_marker("county") for item in session.items)
    folder = _county_folder()
    if session.config.option.collectonly or not needed or (folder / "printed.txt").exists():
        return
    try:
        Path(os.environ[FOLDER], "builder").touch(exist_ok=False)
    except FileExistsError:
        return
    program = "import sys, pathlib; from tests.support import build_county; build_county(pathlib.Path(sys.argv[1]))"
    with (folder / "builder.log").open("w") as log:
        builder = subprocess.Popen(
            [sys.executable, "-c", program, folder], cwd=ROOT, stdout=log, stderr=log, start_new_session=True
        )
    Path(os.environ[FOLDER], "builder.pid").write_text(str(builder.pid))


def _county_folder() -> Path:
    """Where the built county is: TEST_COUNTY keeps it from one run of pytest to the next."""
    folder = Path(os.environ.get("TEST_COUNTY") or os.environ[FOLDER]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    """A folder of this worker's that other accounts may pass through."""
    folder = Path(os.environ[FOLDER]) / os.environ.get("PYTEST_XDIST_WORKER", "main")
    folder.mkdir()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def definitions() -> ModuleType:
    """Dagster's definitions, made from the manifest that the tests of all workers share."""
    manifest()
    with environment_of(bare_environment(DBT_TARGET_PATH=str(manifest_folder()))):
        return importlib.import_module("orchestration.definitions")


@pytest.fixture(scope="session")
def built() -> Path:
    """The folder of the demo county after its first run, stopped, and of what that run printed; nobody changes it."""
    folder, give_up = _county_folder(), time.monotonic() + PATIENCE
    while not (folder / "printed.txt").exists():
        if (failed := folder / "failed.txt").exists():
            pytest.fail(failed.read_text(encoding="utf-8"), pytrace=False)
        assert time.monotonic() < give_up, (folder / "builder.log").read_text(encoding="utf-8")
        time.sleep(0.2)
    return folder


@pytest.fixture(scope="session")
def warehouse(built: Path, home: Path) -> Iterator[Warehouse]:
    """A copy of the built county, which the tests of a worker share and none changes."""
    shared = copy_county(built, home / "shared", SharedWarehouse)
    yield shared
    shared.remove()


@pytest.fixture
def county(built: Path, home: Path) -> Iterator[Warehouse]:
    """A copy of the built county for one test, which may do with it what it likes."""
    with tempfile.TemporaryDirectory(prefix="county-", dir=home) as folder:
        Path(folder).chmod(0o755)
        copy = copy_county(built, Path(folder) / "warehouse")
        yield copy
        copy.remove()


@pytest.fixture(scope="session")
def trial_server(home: Path) -> Iterator[TrialServer]:
    """A server for empty warehouses."""
    folder = home / "trials"
    folder.mkdir(mode=0o755)
    yield TrialServer(folder)
    Warehouse(folder).remove()


@pytest.fixture
def trial(trial_server: TrialServer) -> Iterator[Trial]:
    """An empty warehouse with an empty source."""
    with trial_server.trial() as trial, trial.entered():
        yield trial


@pytest.fixture(scope="session")
def published(trial_server: TrialServer) -> Iterator[Published]:
    """The published files, loaded and checked once."""
    if not REAL_DATA.is_dir():
        pytest.skip(NO_DATA)
    with trial_server.trial() as trial:
        with trial.entered():
            published = Published(trial)
        yield published


@pytest.fixture(scope="session")
def mariadb(home: Path) -> Iterator[str]:
    """A private MariaDB server with a database `source`; its SQLAlchemy URL."""
    password = "gosling%/@"  # noqa: S105  with characters that a URL has to escape
    folder, port = home / "mariadb", free_port()
    folder.mkdir(mode=0o755)
    account = ["--user=root"] if os.geteuid() == 0 else []
    install = [
        "mariadb-install-db",
        "--no-defaults",
        "--auth-root-authentication-method=normal",
        f"--datadir={folder}/data",
    ]
    subprocess.run([*install, *account], check=True, capture_output=True)
    options = [f"--datadir={folder}/data", f"--socket={folder}/socket", f"--port={port}", "--bind-address=127.0.0.1"]
    log = (folder / "log").open("wb")
    server = subprocess.Popen([MARIADB, "--no-defaults", *options, *account], stdout=log, stderr=log)
    try:
        for _ in range(300):
            try:
                connection = pymysql.connect(unix_socket=f"{folder}/socket", user="root")
                break
            except pymysql.err.OperationalError:
                time.sleep(0.1)
        with connection.cursor() as cursor:
            cursor.execute("create database source character set utf8mb4")
            cursor.execute("create user reader@'127.0.0.1' identified by %s", [password])
            cursor.execute("grant all on source.* to reader@'127.0.0.1'")
        connection.close()
        url = sa.URL.create("mariadb+pymysql", "reader", password, "127.0.0.1", port, "source")
        yield url.render_as_string(hide_password=False)
    finally:
        server.terminate()
        server.wait()
