"""Fixtures, and the tiers of the suite: the fixtures of a test decide when it runs (tests/README.md)."""

import importlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import psutil
import psycopg2
import pymysql
import pytest
import sqlalchemy as sa

from tests.support import (
    MARIADB,
    NO_CASES,
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

if TYPE_CHECKING:  # MetricFlow takes seconds to import
    from warehouse.metrics import Metrics

TIERS = ("unit", "database", "county")  # in the order in which they run
COUNTY = {"built", "warehouse", "county"}  # fixtures that need the built demo county
# need a server, and no county
SERVER = {"trial", "old", "published", "loads", "mariadb", "folder", "bare", "any_folder", "served"}
DBT = {"compiled", "parsed"}  # import dbt, which takes seconds
# slow fixtures: their tests share a worker
SHARED = {"published", "loads", "mariadb", "bare", "served", "other", "recipes", "project", "made"} | DBT
FOLDER = "TEST_FOLDER"  # names the folder of one pytest run, which its workers share


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help="fail where a test is skipped for a reason not allowed")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """With --no-skips, fail the run if a package is missing; only the published data and cases may be absent."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter and session.config.option.no_skips and session.exitstatus == pytest.ExitCode.OK:
        reasons = {report.longrepr[2].removeprefix("Skipped: ") for report in reporter.stats.get("skipped", [])}
        if missing := reasons - {NO_DATA, NO_CASES}:
            reporter.write_line(f"skipped, and may not be: {'; '.join(sorted(missing))}", red=True)
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that what the tests started ends too
        folder = tempfile.mkdtemp(prefix="warehouse-test-", dir=_fast_folder())
        Path(folder).chmod(0o755)  # other accounts may enter, as is usual for a repository
        os.environ[FOLDER] = os.environ["PYTEST_DEBUG_TEMPROOT"] = folder  # the second is for `tmp_path`


def _fast_folder() -> Path | None:
    """Return a folder in memory if there is enough: copies of the county keep a disk busy."""
    memory = Path("/dev/shm")  # noqa: S108  the folder made there belongs to this account
    if not memory.is_dir() or os.statvfs(memory).f_flag & os.ST_NOEXEC:  # the programs of a server may be copied there
        return None
    return memory if shutil.disk_usage(memory).free > 8e9 else None


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        folder = Path(os.environ.pop(FOLDER))
        with suppress(FileNotFoundError, psutil.NoSuchProcess):
            builder = psutil.Process(int((folder / "builder.pid").read_text()))
            if str(folder) in builder.cmdline():  # still building: the tests were interrupted
                os.killpg(builder.pid, signal.SIGKILL)
                Warehouse(folder / "county").remove()
        shutil.rmtree(folder, ignore_errors=True)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark a test with its tier, and keep tests that share a slow fixture on one worker."""
    fixtures = set(item.fixturenames)
    tier = "county" if fixtures & COUNTY else "database" if fixtures & SERVER else "unit"
    item.add_marker(tier)
    groups = {"dbt" if name in DBT else name for name in fixtures & SHARED}
    for group in sorted(groups):  # a test of the county must not delay the other tests of its group
        item.add_marker(pytest.mark.xdist_group(f"{group}-{tier}"))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the cheap tiers first, in any order within a tier: the county is built at the same time."""
    items.sort(key=lambda item: [item.get_closest_marker(tier) is None for tier in TIERS])


def pytest_collection_finish(session: pytest.Session) -> None:
    """Start to build the county in its own process if a test needs it and no other worker has started."""
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
    """Return the folder of the built county; TEST_COUNTY keeps it from one pytest run to the next."""
    folder = Path(os.environ.get("TEST_COUNTY") or os.environ[FOLDER]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    """A folder for this worker that other accounts may enter."""
    folder = Path(os.environ[FOLDER]) / os.environ.get("PYTEST_XDIST_WORKER", "main")
    folder.mkdir()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def parsed():
    """The dbt manifest of the checkout. It takes seconds to read: tests that need no more share a worker."""
    return manifest()


@pytest.fixture(scope="session")
def definitions(parsed) -> ModuleType:
    """The Dagster definitions, from the manifest that the tests of all workers share."""
    with environment_of(bare_environment(DBT_TARGET_PATH=str(manifest_folder()))):
        models = importlib.import_module("orchestration.models")
        models.TARGET = manifest_folder()  # a test may have imported the module with another folder
        return importlib.import_module("orchestration.definitions")


@pytest.fixture(scope="session")
def built() -> Path:
    """The folder of the demo county, stopped after its first run, and the output of that run; no test changes it."""
    folder, give_up = _county_folder(), time.monotonic() + PATIENCE
    while not (folder / "printed.txt").exists():
        if (failed := folder / "failed.txt").exists():
            pytest.fail(failed.read_text(encoding="utf-8"), pytrace=False)
        assert time.monotonic() < give_up, (folder / "builder.log").read_text(encoding="utf-8")
        time.sleep(0.2)
    return folder


@pytest.fixture(scope="session")
def warehouse(built: Path, home: Path) -> Iterator[Warehouse]:
    """A copy of the built county that the tests of a worker share; no test changes it."""
    shared = copy_county(built, home / "shared", SharedWarehouse)
    yield shared
    shared.remove()


@pytest.fixture(scope="module")
def metrics(warehouse: Warehouse) -> Iterator["Metrics"]:
    """The metrics over the published tables of the shared county."""
    from warehouse.metrics import Metrics, semantic_manifest

    with closing(psycopg2.connect(warehouse.url)) as connection:
        yield Metrics(semantic_manifest(manifest()).replace("__next", ""), connection)


@pytest.fixture
def county(built: Path, home: Path) -> Iterator[Warehouse]:
    """A copy of the built county for one test, which may change it."""
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
    """A MariaDB server with a database `source`; yields its SQLAlchemy URL."""
    password = "gosling%/@"  # noqa: S105  with characters that must be escaped in a URL
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
