"""The invented county's systems, filled and running: Confirm's database, the landing folder, the Open311 front door.

In the folder lie `landing/` (files as systems drop them; there only when whole), `requests.json` (what Open311 serves),
`truth.csv` (which values were spoilt, and what they were), `systems.json` (mode 0600: Confirm's password, the seed, the
front door's process), `open311.log` and `server_log/` (the log of a server from which nobody has read: it stands in
where the warehouse's own is not at hand).
"""

import csv
import http.client
import io
import json
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import psycopg2
from filelock import FileLock
from psycopg2 import sql
from psycopg2.extensions import encrypt_password

from demo import county

PATIENCE = 30  # seconds for the front door to answer or to end


def start(folder: Path, warehouse_url: str, seed: int = 1) -> dict[str, str]:
    """Fill the systems the first time, start what serves them, and return the variables that say where each is.

    `warehouse_url` is a login on any PostgreSQL from 15 that may create databases and roles; the database `confirm` on
    that server becomes Confirm's. What is there already is left as it is, whatever the seed. Raises RuntimeError where
    another `confirm` is there, or the front door does not answer; ValueError where the URL names no host.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder = folder.resolve()
    with FileLock(folder / "systems.lock", timeout=10 * PATIENCE):
        state = _state(folder)
        if "seed" not in state:
            state = {"seed": seed, "password": secrets.token_urlsafe(24)}
            _write(folder / "systems.json", json.dumps(state))
        filled = _prepare_confirm(warehouse_url, state["seed"])
        if not (filled and (folder / "landing").exists()):
            made = county.build(state["seed"])
            _write(folder / "truth.csv", county.as_csv(county.TRUTH, made.truth, "\n").decode())
            if not (folder / "landing").exists():
                _fill_folder(folder, made)
            if not filled:
                _fill_confirm(warehouse_url, state["seed"], made.confirm)
        _ensure_reader(warehouse_url, state["password"])
        door = _front_door(folder, state)
        if not (door and _answers(state["front_door"]["port"])):
            _end(door)
            state["front_door"] = _open_front_door(folder)
            _write(folder / "systems.json", json.dumps(state))
        (folder / "server_log").mkdir(exist_ok=True)
        (folder / "server_log" / "postgresql.csv").touch()
        url = urlsplit(warehouse_url)
        confirm = url._replace(
            scheme="postgresql+psycopg2",
            netloc=f"confirm_reader:{state['password']}@{url.netloc.rpartition('@')[2]}",
            path="/confirm",
        )
        return {
            "LANDING": str(folder / "landing"),
            "SERVER_LOG": str(folder / "server_log"),
            "CONFIRM_URL": confirm.geturl(),
            "OPEN311_URL": f"http://127.0.0.1:{state['front_door']['port']}",
        }


def stop(folder: Path) -> None:
    """End the front door, if it runs; the data stay. Confirm's database stops with its server."""
    folder = folder.resolve()
    _end(_front_door(folder, _state(folder)))


def status(folder: Path) -> dict[str, int] | None:
    """The `pid` and `port` of the front door, or None where it does not run; nothing is started or changed."""
    state = _state(folder.resolve())
    return {key: state["front_door"][key] for key in ("pid", "port")} if _front_door(folder.resolve(), state) else None


def _state(folder: Path) -> dict:
    file = folder / "systems.json"
    return json.loads(file.read_text()) if file.exists() else {}


def _write(file: Path, text: str) -> None:
    """Write a file of mode 0600 that is either the old or the new one, never half."""
    with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False) as new:
        new.write(text)
    Path(new.name).replace(file)


def _fill_folder(folder: Path, made: county.County) -> None:
    _write(folder / "requests.json", json.dumps(made.requests))
    half = folder / "landing.new"
    shutil.rmtree(half, ignore_errors=True)
    for name, content in made.files.items():
        (half / name).parent.mkdir(parents=True, exist_ok=True)
        (half / name).write_bytes(content)
    half.rename(folder / "landing")


def _connect(warehouse_url: str, database: str | None = None) -> closing:
    url = urlsplit(warehouse_url)
    if not url.hostname:
        raise ValueError("the warehouse's URL names no host: postgresql://user:password@host:port/database is needed")
    return closing(psycopg2.connect(url._replace(scheme="postgresql").geturl(), dbname=database))


def _marker(seed: int) -> str:
    return f"Invented by demo.county from seed {seed}"


def _prepare_confirm(warehouse_url: str, seed: int) -> bool:
    """Whether Confirm's database is there and filled; it is made if missing, and refused if it is not our own."""
    with _connect(warehouse_url) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute("select from pg_database where datname = 'confirm'")
        if not cursor.rowcount:
            cursor.execute("create database confirm template template0 encoding 'UTF8' lc_collate 'C' lc_ctype 'C'")
    with _connect(warehouse_url, "confirm") as connection, connection.cursor() as cursor:
        found = _tables(cursor)
        if found and _marker(seed) not in found.values():
            raise RuntimeError(f"the server's database confirm is not this county's (seed {seed}): drop or rename it")
        return found.keys() >= county.CONFIRM.keys()


def _tables(cursor) -> dict[str, str | None]:
    """{name: comment} of what Confirm's database has."""
    cursor.execute("select relname, obj_description(oid) from pg_class where relnamespace = 'public'::regnamespace")
    return dict(cursor.fetchall())


def _fill_confirm(warehouse_url: str, seed: int, tables: dict[str, list[tuple]]) -> None:
    """Make and fill the tables that are not there, in one transaction: all or none, however this ends."""
    with _connect(warehouse_url, "confirm") as connection, connection, connection.cursor() as cursor:
        for name in county.CONFIRM.keys() - _tables(cursor).keys():
            table = sql.Identifier("public", name)
            cursor.execute(sql.SQL("create table {} ({})").format(table, sql.SQL(county.table_definition(name))))
            cursor.execute(sql.SQL("comment on table {} is {}").format(table, sql.Literal(_marker(seed))))
            rows = io.StringIO()
            csv.writer(rows).writerows(tables[name])
            rows.seek(0)
            cursor.copy_expert(sql.SQL("copy {} from stdin (format csv)").format(table), rows)


def _ensure_reader(warehouse_url: str, password: str) -> None:
    """The login `confirm_reader`, which may read Confirm's tables and do nothing else."""
    with _connect(warehouse_url, "confirm") as connection, connection, connection.cursor() as cursor:
        cursor.execute("select from pg_roles where rolname = 'confirm_reader'")
        verb = "alter" if cursor.rowcount else "create"
        hashed = encrypt_password(password, "confirm_reader", connection, "scram-sha-256")  # no log sees the clear one
        cursor.execute(f"{verb} role confirm_reader login password %s", (hashed,))
        cursor.execute("""
            revoke all on database confirm from public;
            revoke all on schema public from public;
            grant connect on database confirm to confirm_reader;
            grant usage on schema public to confirm_reader;
            grant select on all tables in schema public to confirm_reader
        """)


def _front_door(folder: Path, state: dict) -> psutil.Process | None:
    """The front door's process, if what has its pid now is still that one, by start time and command line."""
    try:
        process = psutil.Process(state["front_door"]["pid"])
        same_start = abs(process.create_time() - state["front_door"]["begun"]) < 2  # seconds: clocks are put right
        return process if same_start and str(folder / "open311.port") in process.cmdline() else None
    except (KeyError, psutil.Error):
        return None


def _end(process: psutil.Process | None) -> None:
    if process:
        process.terminate()
        if psutil.wait_procs([process], timeout=PATIENCE)[1]:
            process.kill()


def _answers(port: int) -> bool:
    try:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False


def _open_front_door(folder: Path) -> dict:
    """Start the front door, which outlives us, and return its pid, start time (epoch seconds) and port."""
    port_file = folder / "open311.port"
    port_file.unlink(missing_ok=True)
    command = [sys.executable, "-m", "demo.open311", "--data", folder / "requests.json", "--port-file", port_file]
    detach = '"$@" >>"$0" 2>&1 </dev/null & echo $!'  # a shell between us, so that it is nobody's child
    shell = ["sh", "-c", detach, folder / "open311.log", *command]
    home = Path(__file__).parents[1]
    started = subprocess.run(shell, cwd=home, check=True, stdout=subprocess.PIPE, text=True, start_new_session=True)
    pid, give_up = int(started.stdout), time.monotonic() + PATIENCE
    while not port_file.exists() or not _answers(int(port_file.read_text())):
        if not psutil.pid_exists(pid) or time.monotonic() > give_up:
            raise RuntimeError(f"the Open311 front door does not answer: see {folder / 'open311.log'}")
        time.sleep(0.02)
    return {"pid": pid, "begun": psutil.Process(pid).create_time(), "port": int(port_file.read_text())}
