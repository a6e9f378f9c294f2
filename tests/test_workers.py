"""Runs on several machines: two workers, each with its own working folder, a real broker, and Dagster's daemon."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from string import Template
from types import ModuleType
from typing import TYPE_CHECKING, TypeVar

import psycopg2
import pytest

from ingestion.contracts import SourceError
from tests.support import (
    CONFIGURED,
    PATIENCE,
    ROOT,
    Trial,
    Warehouse,
    await_port,
    bare_environment,
    environment_of,
    free_port,
    manifest_folder,
)
from warehouse import environment
from warehouse.errors import WarehouseError

if TYPE_CHECKING:
    import dagster as dg

REDIS = shutil.which("redis-server")
needs_redis = pytest.mark.skipif(not REDIS, reason="needs Redis: `make test-packages` (Debian, root)")
PASSWORD = "q%2Fz"  # noqa: S105  with a character that is escaped in a URL
UNIT = (ROOT / "deploy/systemd/warehouse-worker.service").read_text(encoding="utf-8")
# A load and the build of one set, as Dagster's definitions have them, started by files
LOCATION = """
import os
from pathlib import Path

import dagster as dg

from orchestration import definitions
from orchestration.models import TARGET

models = dg.AssetSelection.assets(definitions.models)
libraries = (dg.AssetSelection.key_prefixes(["libraries"]) & models).upstream() & models
load, schedule = next(pair for pair in definitions.loads if pair[1].job.name == "load_mosaic")
build = dg.define_asset_job("build_libraries", libraries.without_checks(), tags=definitions.RETRY_FROM_FAILURE)


@dg.sensor(jobs=[schedule.job, build], minimum_interval_seconds=1, default_status=dg.DefaultSensorStatus.RUNNING)
def requests(context):
    for file in Path(os.environ["REQUESTS"]).iterdir():
        yield dg.RunRequest(run_key=file.name, job_name=file.stem)


defs = dg.Definitions(
    [load, definitions.models, *definitions.publications],
    jobs=[schedule.job, build],
    sensors=[requests],
    resources=definitions.defs.resources,
    executor=dg.in_process_executor,
)
"""
DAEMON = """
import os

from dagster._daemon.cli import main

from orchestration import workers

workers.PATIENCE_SECONDS = float(os.environ["PATIENCE"])
main()
"""
Found = TypeVar("Found")


def wait_for(look: Callable[[], Found | None]) -> Found:
    give_up = time.monotonic() + PATIENCE
    while not (found := look()):
        assert time.monotonic() < give_up
        time.sleep(0.1)
    return found


@pytest.fixture
def broker(home: Path) -> Iterator[str]:
    """Debian's Redis with TLS and a password; its URL."""
    folder, port = home / "redis", free_port()
    folder.mkdir(mode=0o700)
    names = ("-subj", "/CN=broker", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2")
    files = ("-keyout", folder / "key.pem", "-out", folder / "certificate.pem")
    new = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes")
    subprocess.run([*new, *names, *files], check=True, capture_output=True)
    (folder / "redis.conf").write_text(
        f"bind 127.0.0.1\nport 0\ntls-port {port}\ntls-auth-clients no\nrequirepass q/z\nsave ''\ndir {folder}\n"
        f"tls-cert-file {folder}/certificate.pem\ntls-key-file {folder}/key.pem\n"
        f"tls-ca-cert-file {folder}/certificate.pem\n"
    )
    with (folder / "log").open("w") as log:
        server = subprocess.Popen([REDIS, folder / "redis.conf"], stdout=log, stderr=log)
    try:
        await_port(port, server)
        trusted = f"ssl_cert_reqs=required&ssl_ca_certs={folder}/certificate.pem"
        yield f"rediss://:{PASSWORD}@127.0.0.1:{port}/0?{trusted}"
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(folder)


class Machines:
    """The processes of several machines: workers by the command of their service file, and the daemon."""

    def __init__(self, county: Warehouse, broker: str, folder: Path):
        self.county, self.broker, self.folder = county, broker, folder
        self.requests = folder / "requests"
        self.requests.mkdir()
        self.started: dict[str, subprocess.Popen] = {}
        variables = dict(line.split("=", 1) for line in county("env").splitlines())
        self.places = {name: place for name, place in county.places.items() if name in CONFIGURED - {"DAGSTER_HOME"}}
        self.environment_file = {name: json.loads(value) for name, value in variables.items()} | self.places
        assert not [name for name in self.environment_file if name == "WAREHOUSE_URL"]

    def home(self, worker: str) -> Path:
        return self.folder / worker

    def start_worker(self, name: str) -> None:
        """Start a worker with a working folder of its own, which has the vault key, for one run at a time."""
        home = self.home(name)
        shutil.copytree(manifest_folder(), home / "target")  # Dagster need not parse the project
        shutil.copy(self.county.home / "vault.key", home)
        given = self.environment_file | {"WAREHOUSE_HOME": str(home), "DAGSTER_BROKER_URL": self.broker}
        given |= {"DAGSTER_CONCURRENT_RUNS": "1", "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
        self._start(name, [*command("ExecStart", home, given), "--hostname", f"{name}@%h"], given)

    def start_daemon(self, patience: int) -> None:
        """Start the daemon, which looks each second for workers that have been silent for `patience` seconds.

        This process has its environment.
        """
        (self.folder / "location.py").write_text(LOCATION)
        settings = Path(os.environ["DAGSTER_HOME"], "dagster.yaml")
        text = settings.read_text().replace("poll_interval_seconds: 30", "poll_interval_seconds: 1")
        settings.write_text(text)
        program = [sys.executable, "-c", DAEMON, "run", "--python-file", str(self.folder / "location.py")]
        given = os.environ | {"REQUESTS": str(self.requests), "PATIENCE": str(patience)}
        given["DBT_TARGET_PATH"] = str(manifest_folder())
        self._start("daemon", program, given)

    def _start(self, name: str, program: list[str], variables: dict[str, str]) -> None:
        with (self.folder / f"{name}.log").open("w") as log:
            self.started[name] = subprocess.Popen(
                program, cwd="/", env=variables, stdout=log, stderr=log, start_new_session=True
            )

    def kill(self, name: str) -> None:
        """Stop a machine in the middle of its work: all its processes at once."""
        process = self.started.pop(name)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def busy(self, instance: "dg.DagsterInstance") -> dict[str, str]:
        """{worker: job of the run that it executes}."""
        import dagster as dg

        active = instance.run_launcher.celery.control.inspect(timeout=1).active() or {}
        tasks = {task["id"]: worker.split("@")[0] for worker, tasks in active.items() for task in tasks}
        runs = instance.get_runs(dg.RunsFilter(tags={"dagster-celery/task_id": [*tasks]})) if tasks else []
        return {tasks[run.tags["dagster-celery/task_id"]]: run.job_name for run in runs}

    def runs(self, instance: "dg.DagsterInstance", request: str) -> list[str]:
        """The statuses of the runs of a request, the newest first."""
        import dagster as dg

        return [run.status.value for run in instance.get_runs(dg.RunsFilter(tags={"dagster/run_key": request}))]


def command(key: str, home: Path, variables: dict[str, str]) -> list[str]:
    """Return a command of the service file, as systemd would run it here."""
    (found,) = re.findall(f"^{key}=(.+)$", UNIT, re.M)
    here = found.replace("/opt/warehouse", str(ROOT)).replace("/var/lib/warehouse", str(home))
    return Template(here).substitute(variables).split()


@pytest.fixture
def machines(county: Warehouse, broker: str, definitions: ModuleType, tmp_path: Path) -> Iterator[Machines]:
    machines = Machines(county, broker, tmp_path)
    try:
        with county.entered(**machines.places, DAGSTER_BROKER_URL=broker):
            for name in ("one", "two"):
                machines.start_worker(name)
            yield machines
    finally:
        for name in list(machines.started):
            machines.kill(name)


@contextmanager
def slow_source(county: Warehouse) -> Iterator[Callable[[], bool]]:
    """Lock Mosaic's people, so that a load waits in its middle; yields whether one does."""
    url = county.source("mosaic")
    waiting = "select true from pg_stat_activity where datname = 'mosaic' and wait_event_type = 'Lock'"
    with closing(psycopg2.connect(url)) as connection:
        connection.cursor().execute("lock table dm_persons in access exclusive mode")
        yield lambda: bool(county.sql(waiting, url=url))


@needs_redis
def test_a_run_whose_worker_is_killed_is_repeated_by_another_worker(machines: Machines) -> None:
    import dagster as dg

    machines.start_daemon(patience=1)
    county, moment = machines.county, datetime(2026, 11, 1, 9, 30)
    change = "update dm_persons set email_address = 'new@example.org', last_updated_on = %s where person_id = (%s)"
    ((person,),) = county.sql("select min(person_id) from dm_persons", url=county.source("mosaic"))
    county.sql(change, (moment, person), url=county.source("mosaic"))
    before = county.sql("select count(*), 1 from raw_mosaic.dm_persons")
    published = "select count(*) from governance.publications where publish_set = 'libraries'"
    ((publications,),) = county.sql(published)
    with dg.DagsterInstance.get() as instance:
        with slow_source(county) as is_waiting:
            (machines.requests / "load_mosaic.1").touch()
            wait_for(is_waiting)
            (machines.requests / "build_libraries.1").touch()
            jobs = wait_for(lambda: len(found := machines.busy(instance)) == 2 and found)
            loading, building = sorted(jobs, key=jobs.__getitem__, reverse=True)
            assert jobs == {loading: "load_mosaic", building: "build_libraries"}, "one run on each worker"
            with pytest.raises(SourceError, match="raw_mosaic is being loaded by another run"):
                county.load("mosaic")
            machines.kill(loading)
            wait_for(lambda: "FAILURE" in machines.runs(instance, "load_mosaic.1"))
        wait_for(lambda: machines.runs(instance, "load_mosaic.1") == ["SUCCESS", "FAILURE"])
        assert machines.runs(instance, "build_libraries.1") == ["SUCCESS"]
    assert county.sql(published) == [(publications + 1,)]
    count = "select count(*), count(*) filter (where last_updated_on at time zone 'Europe/London' = %s)"
    assert county.sql(f"{count} from raw_mosaic.dm_persons", (moment,)) == before
    county.sql("select governance.take_lock('raw_tables', true, '1 second')")  # raises if another session holds it
    assert county.sql("select governance.take_load_lock('raw_mosaic')") == [(True,)]
    left = machines.home(loading) / "dlt"
    assert left.exists(), "what the killed load has extracted"
    subprocess.run(command("ExecStartPre", machines.home(loading), {}), check=True)
    assert not left.exists()


@needs_redis
@pytest.mark.long
def test_a_worker_that_stops_ends_its_run_and_a_terminated_run_is_not_repeated(machines: Machines) -> None:
    import dagster as dg

    machines.start_daemon(patience=60)
    county = machines.county
    with dg.DagsterInstance.get() as instance:
        with slow_source(county) as is_waiting:
            (machines.requests / "load_mosaic.1").touch()
            wait_for(is_waiting)
            (stopping,) = wait_for(lambda: machines.busy(instance))
            worker = machines.started.pop(stopping)
            worker.terminate()  # as systemd does with KillMode=mixed
            time.sleep(5)
            assert machines.runs(instance, "load_mosaic.1") == ["STARTED"]
        wait_for(lambda: machines.runs(instance, "load_mosaic.1") == ["SUCCESS"])
        assert worker.wait(60) == 0
        with slow_source(county) as is_waiting:
            (machines.requests / "load_mosaic.2").touch()
            wait_for(is_waiting)
            (run,) = instance.get_runs(dg.RunsFilter(tags={"dagster/run_key": "load_mosaic.2"}))
            assert instance.run_coordinator.cancel_run(run.run_id)
            wait_for(lambda: machines.runs(instance, "load_mosaic.2") == ["CANCELED"])
        wait_for(lambda: not machines.busy(instance))
        assert county.sql("select governance.take_load_lock('raw_mosaic')") == [(True,)]
        time.sleep(5)
        assert machines.runs(instance, "load_mosaic.2") == ["CANCELED"]


def test_the_server_ends_the_sessions_of_a_stopped_machine_within_a_minute(trial: Trial) -> None:
    """Their locks would last for two hours by Linux' own settings. A worker is given up after 75 seconds."""
    from orchestration import workers

    for variable in ("LOADER_URL", "VAULT_URL"):
        with closing(psycopg2.connect(os.environ[variable])) as connection, connection.cursor() as cursor:
            cursor.execute("select name, setting::integer from pg_settings where name ~ '^tcp_'")
            of = dict(cursor.fetchall())
        idle = of["tcp_keepalives_idle"] + of["tcp_keepalives_interval"] * of["tcp_keepalives_count"]
        assert (idle, of["tcp_user_timeout"]) == (60, 60_000)
    (stop,) = re.findall("^TimeoutStopSec=([0-9]+)$", UNIT, re.M)
    assert max(60, int(stop)) < workers.PATIENCE_SECONDS, "a worker that stops is silent"


@pytest.mark.parametrize(
    "url", ["redis://:secret@broker.example:6379/0", "redis://127.0.0.1:6379/0", "rediss://broker.example:6379/0"]
)
def test_a_broker_without_password_or_encryption_is_refused(url: str, tmp_path: Path) -> None:
    place = {"WAREHOUSE_HOME": str(tmp_path), "DBT_HOST": "127.0.0.1"}
    refused = pytest.raises(WarehouseError, match="DAGSTER_BROKER_URL needs a password, and TLS")
    with environment_of(bare_environment(**place, DAGSTER_BROKER_URL=url)), refused:
        environment.prepare(start=False)


def test_the_settings_of_workers_do_not_change_by_a_command_without_the_broker(tmp_path: Path) -> None:
    place = {"WAREHOUSE_HOME": str(tmp_path), "DBT_HOST": "127.0.0.1"}
    for broker in ("rediss://:secret@broker.example:6379/0", ""):
        with environment_of(bare_environment(**place, DAGSTER_BROKER_URL=broker)):
            environment.prepare(start=False)
    settings = {file.parent.name: file.read_text() for file in tmp_path.glob("*/dagster.yaml")}
    assert settings["workers"].startswith(settings["dagster"])
    assert "run_launcher" in settings["workers"]
    assert "run_launcher" not in settings["dagster"]
    assert "secret" not in settings["workers"]
