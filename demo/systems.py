"""The demo systems, filled and running: their databases, the landing folder and the API server.

The folder holds `landing/` (files of the systems, published when complete), `apis.sqlite` (data of the APIs), `truth/`
(injected faults, and the person of each record: demo.county.Truth), `systems.json` (mode 0600: the databases' password,
the county, the API server's process), `api_server.log` and `server_log/` (an empty log, which is loaded where the
warehouse server's own log is not at hand).
"""

import csv
import http.client
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack, closing
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from time import monotonic, sleep
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import psutil
import psycopg2
from filelock import FileLock
from psycopg2 import extensions as pg
from psycopg2 import sql
from psycopg2.extensions import encrypt_password

from demo import (
    api_server,
    capita,
    dynamics,
    finance,
    highways,
    itrent,
    koha,
    liquidlogic,
    mosaic,
    procurement,
    regulatory,
)
from demo.county import County, Truth, columns, definition, key_columns
from demo.people import HORIZON
from ingestion.contracts import read_contracts

DATABASES: dict[str, ModuleType] = {  # {system, which is also the database's name: module}
    "confirm": highways,
    "liquidlogic": liquidlogic,
    "mosaic": mosaic,
    "procurement": procurement,
}
FILES: dict[str, ModuleType] = {
    "capita": capita,
    "erp": finance,
    "fixmystreet": highways,
    "itrent": itrent,
    "koha": koha,
    "regulatory": regulatory,
    "ssda903": liquidlogic,
}
APIS: dict[str, ModuleType] = {  # served by one API server
    "dynamics": dynamics,
    "open311": highways,
}
RECIPIENTS = ("redditch_engineers", "safeguarding_partnership", "website")  # of report feeds; folders in the demo
State = dict[str, Any]  # the content of systems.json
TIMEOUT = 30  # seconds for the API server to start or to stop


def start(folder: Path, warehouse_url: str, county: County | None = None) -> dict[str, str]:
    """Fill the systems the first time, start their servers, and return {variable: URL or folder}.

    The variables are those of the systems' locations and of the recipients of report feeds.

    `warehouse_url` is a login on any PostgreSQL from 15 that may create databases and roles; the databases in DATABASES
    are created on that server. Existing data stay as they are, whatever `county` asks for. Raises RuntimeError if
    another database has one of the names or the API server does not start, ValueError if the URL names no host.
    """
    folder.mkdir(parents=True, exist_ok=True)
    folder = folder.resolve()
    with FileLock(folder / "systems.lock", timeout=10 * TIMEOUT):
        state = _state(folder)
        if "password" not in state:
            county = county or County()
            state = {"seed": county.seed, "people": county.people, "day": county.day.isoformat()}
            state["password"] = secrets.token_urlsafe(24)
            _write(folder / "systems.json", json.dumps(state))
        county = County(state["seed"], state["people"], date.fromisoformat(state["day"]))
        (folder / "truth").mkdir(exist_ok=True)
        for name, module in DATABASES.items():
            if not _prepare_database(warehouse_url, name, module, county):
                _fill_database(warehouse_url, name, module, county, folder)
            _ensure_reader(warehouse_url, name, state["password"])
        if not (folder / "landing").exists():
            _fill_folder(folder, county)
        server = _api_server(folder, state)
        if not (server and _responds(state["api_server"]["port"])):
            _stop(server)
            state["api_server"] = _start_api_server(folder)
            _write(folder / "systems.json", json.dumps(state))
        (folder / "server_log").mkdir(exist_ok=True)
        (folder / "server_log" / "postgresql.csv").touch()
        url = urlsplit(warehouse_url)._replace(scheme="postgresql+psycopg2")
        host = url.netloc.rpartition("@")[2]
        locations = {"serverlog": str(folder / "server_log")} | dict.fromkeys(FILES, str(folder / "landing"))
        locations |= {name: f"http://127.0.0.1:{state['api_server']['port']}/{name}" for name in APIS}
        for name in DATABASES:
            login = f"{name}_reader:{state['password']}"
            locations[name] = url._replace(netloc=f"{login}@{host}", path=f"/{name}").geturl()
        contracts = read_contracts()
        recipients = {f"DELIVER_{name.upper()}": str(folder / "recipients" / name) for name in RECIPIENTS}
        for place in recipients.values():
            Path(place).mkdir(parents=True, exist_ok=True)
        return {contracts[name].location or "": location for name, location in locations.items()} | recipients


def advance(folder: Path, warehouse_url: str, days: int) -> date:
    """Move the demo systems on by `days`, and return their new day.

    Each system then has the data that it would have if filled on that day; unchanged rows are not touched. Raises
    RuntimeError without a county, ValueError beyond demo.people.HORIZON.
    """
    folder = folder.resolve()
    with FileLock(folder / "systems.lock", timeout=10 * TIMEOUT):
        state = _state(folder)
        if "password" not in state:
            raise RuntimeError("there is no demo county yet. Create it with `make run`")
        county = County(state["seed"], state["people"], date.fromisoformat(state["day"]) + timedelta(days))
        if county.day > HORIZON:
            raise ValueError(f"the demo county ends on {HORIZON}")
        for name, module in DATABASES.items():
            _advance_database(warehouse_url, name, module, county, folder)
        _fill_folder(folder, county)
        _stop(_api_server(folder, state))
        state["day"] = county.day.isoformat()
        state["api_server"] = _start_api_server(folder)
        _write(folder / "systems.json", json.dumps(state))
    return county.day


def stop(folder: Path) -> None:
    """Stop the API server if it runs; data stay. The databases stop with their server."""
    folder = folder.resolve()
    _stop(_api_server(folder, _state(folder)))


def day(folder: Path) -> date | None:
    """The day of the county, or None without one."""
    state = _state(folder)
    return date.fromisoformat(state["day"]) if "day" in state else None


def status(folder: Path) -> dict[str, int] | None:
    """The API server's `pid` and `port`, or None if it does not run; starts and changes nothing."""
    state = _state(folder.resolve())
    return {key: state["api_server"][key] for key in ("pid", "port")} if _api_server(folder.resolve(), state) else None


def _state(folder: Path) -> State:
    file = folder / "systems.json"
    state: State = json.loads(file.read_text()) if file.exists() else {}
    return state


def _write(file: Path, text: str) -> None:
    """Write a file of mode 0600 atomically."""
    with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False) as new:
        new.write(text)
    Path(new.name).replace(file)


def _fill_folder(folder: Path, county: County) -> None:
    served = folder / "apis.sqlite"
    served.unlink(missing_ok=True)
    for name, module in APIS.items():
        with closing(Truth(county, name, folder / "truth")) as truth:
            api_server.fill(served, name, module.RESOURCES, module.requests(county, truth))
    draft = folder / "landing.new"
    written = datetime.combine(county.day, time(18), UTC).timestamp()  # files are written on the county's day
    shutil.rmtree(draft, ignore_errors=True)
    for name, module in FILES.items():
        with closing(Truth(county, name, folder / "truth")) as truth:
            for path, content in module.files(county, truth):
                (draft / path).parent.mkdir(parents=True, exist_ok=True)
                (draft / path).write_bytes(content)
                os.utime(draft / path, (written, written))
    shutil.rmtree(folder / "landing", ignore_errors=True)
    draft.rename(folder / "landing")


def _connect(warehouse_url: str, database: str | None = None) -> closing[pg.connection]:
    url = urlsplit(warehouse_url)
    if not url.hostname:
        raise ValueError("the warehouse URL names no host; expected postgresql://user:password@host:port/database")
    return closing(psycopg2.connect(url._replace(scheme="postgresql").geturl(), dbname=database))


def _marker(county: County) -> str:
    return f"Invented by demo/ from seed {county.seed}, {county.people} people"


def _prepare_database(warehouse_url: str, name: str, module: ModuleType, county: County) -> bool:
    """Whether the database is filled; creates it if missing, raises if it is not the demo's."""
    with _connect(warehouse_url) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute("select from pg_database where datname = %s", [name])
        if not cursor.rowcount:
            create = sql.SQL("create database {} template template0 encoding 'UTF8' lc_collate 'C' lc_ctype 'C'")
            cursor.execute(create.format(sql.Identifier(name)))
            cursor.execute(sql.SQL("revoke all on database {} from public").format(sql.Identifier(name)))
    with _connect(warehouse_url, name) as connection, connection.cursor() as cursor:
        found = _tables(cursor)
        if found and _marker(county) not in found.values():
            raise RuntimeError(f"database {name} on the server is not this demo county's. Drop or rename it")
        return set(module.TABLES) <= set(found)


def _tables(cursor: pg.cursor) -> dict[str, str | None]:
    """{name: comment} of a database's tables."""
    cursor.execute("select relname, obj_description(oid) from pg_class where relnamespace = 'public'::regnamespace")
    return dict(cursor.fetchall())


def _fill_database(warehouse_url: str, name: str, module: ModuleType, county: County, folder: Path) -> None:
    """Create and fill the missing tables in one transaction."""
    with _connect(warehouse_url, name) as connection, connection, connection.cursor() as cursor:
        missing = module.TABLES.keys() - _tables(cursor).keys()
        _copy(cursor, "public", name, module, county, folder, missing)


def _advance_database(warehouse_url: str, name: str, module: ModuleType, county: County, folder: Path) -> None:
    """Change a database's rows to those of the county's day in one transaction: delete, update, insert."""
    with _connect(warehouse_url, name) as connection, connection, connection.cursor() as cursor:
        cursor.execute("create schema next")
        _copy(cursor, "next", name, module, county, folder, module.TABLES)
        for table, declaration in module.TABLES.items():
            keys = key_columns(declaration)
            others = [column for column in columns(declaration) if column not in keys]
            change = "update set {} where old is distinct from excluded" if others else "nothing{}"
            parts = {
                "old": sql.Identifier("public", table),
                "new": sql.Identifier("next", table),
                "key": sql.SQL(", ").join(map(sql.Identifier, keys)),
                "same": sql.SQL(" and ").join(sql.SQL("old.{0} = new.{0}").format(sql.Identifier(key)) for key in keys),
                "change": sql.SQL(change).format(
                    sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in others)
                ),
            }
            for statement in (
                "analyze {new}",
                "delete from {old} as old where not exists (select from {new} as new where {same})",
                "insert into {old} as old select * from {new} on conflict ({key}) do {change}",
            ):
                cursor.execute(sql.SQL(statement).format(**parts))
        cursor.execute("drop schema next cascade")


def _copy(
    cursor: pg.cursor, schema: str, name: str, module: ModuleType, county: County, folder: Path, tables: Iterable[str]
) -> None:
    """Create these tables of a system in a schema, with the county's rows."""
    with tempfile.TemporaryDirectory(dir=folder) as spool, ExitStack() as open_files:
        files = {
            table: open_files.enter_context((Path(spool) / table).open("w+", encoding="utf-8", newline=""))
            for table in module.TABLES
        }
        writers = {table: csv.writer(file) for table, file in files.items()}
        with closing(Truth(county, name, folder / "truth")) as truth:
            for table, row in module.rows(county, truth):
                writers[table].writerow(row)
        for table_name in tables:
            table, parts = sql.Identifier(schema, table_name), sql.SQL(definition(module.TABLES[table_name]))
            cursor.execute(sql.SQL("create table {} ({})").format(table, parts))
            cursor.execute(sql.SQL("comment on table {} is {}").format(table, sql.Literal(_marker(county))))
            files[table_name].seek(0)
            cursor.copy_expert(sql.SQL("copy {} from stdin (format csv)").format(table), files[table_name])


def _ensure_reader(warehouse_url: str, name: str, password: str) -> None:
    """Create or update the login `<database>_reader`, which can only read the database's tables."""
    reader = f"{name}_reader"
    with _connect(warehouse_url, name) as connection, connection, connection.cursor() as cursor:
        cursor.execute("select from pg_roles where rolname = %s", [reader])
        verb = sql.SQL("alter" if cursor.rowcount else "create")
        hashed = encrypt_password(password, reader, connection, "scram-sha-256")  # keeps the clear password out of logs
        rights = sql.SQL("""
            {verb} role {reader} login password {hashed};
            revoke all on database {database} from public;
            revoke all on schema public from public;
            grant connect on database {database} to {reader};
            grant usage on schema public to {reader};
            grant select on all tables in schema public to {reader}
        """)
        names = {"reader": sql.Identifier(reader), "database": sql.Identifier(name)}
        cursor.execute(rights.format(verb=verb, hashed=sql.Literal(hashed), **names))


def _api_server(folder: Path, state: State) -> psutil.Process | None:
    """The API server's process, if the process with its pid has its start time and command line."""
    try:
        process = psutil.Process(state["api_server"]["pid"])
        same_start = abs(process.create_time() - state["api_server"]["begun"]) < 2  # seconds: clocks are corrected
        return process if same_start and str(folder / "api_server.port") in process.cmdline() else None
    except (KeyError, psutil.Error):
        return None


def _stop(process: psutil.Process | None) -> None:
    if process:
        process.terminate()
        if not ends(process):
            process.kill()


def ends(process: psutil.Process, seconds: float = TIMEOUT) -> bool:
    """Wait until the process has ended, also where its parent does not collect it; False if it still runs."""
    deadline = monotonic() + seconds
    while _runs(process):
        if monotonic() > deadline:
            return False
        sleep(0.01)
    return True


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _responds(port: int) -> bool:
    try:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False


def _start_api_server(folder: Path) -> State:
    """Start the API server as a detached process; return its pid, start time (epoch seconds) and port."""
    port_file = folder / "api_server.port"
    port_file.unlink(missing_ok=True)
    arguments = ["--data", str(folder / "apis.sqlite"), "--port-file", str(port_file)]
    command = [sys.executable, "-m", "demo.api_server", *arguments]
    detach = '"$@" >>"$0" 2>&1 </dev/null & echo $!'  # a shell in between, so that the server is not our child
    shell = ["sh", "-c", detach, str(folder / "api_server.log"), *command]
    home = Path(__file__).parents[1]
    started = subprocess.run(shell, cwd=home, check=True, stdout=subprocess.PIPE, text=True, start_new_session=True)
    pid, deadline = int(started.stdout), monotonic() + TIMEOUT
    while not port_file.exists() or not _responds(int(port_file.read_text())):
        if not psutil.pid_exists(pid) or monotonic() > deadline:
            raise RuntimeError(f"the demo API server does not start: see {folder / 'api_server.log'}")
        sleep(0.02)
    return {"pid": pid, "begun": psutil.Process(pid).create_time(), "port": int(port_file.read_text())}
