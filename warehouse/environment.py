"""Settings of a run: environment variables, connections and logins of the warehouse, its publish sets and systems."""

import json
import os
import secrets
import sys
from collections.abc import Iterable, Mapping
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

import psycopg2
from psycopg2 import extensions as pg

from ingestion import ROOT
from ingestion.postgres import value_of
from warehouse.errors import WarehouseError

if TYPE_CHECKING:
    from warehouse.access import Access

# Pydantic takes as long to import as the rest of this module: functions that read YAML import it
SERVICES = ("svc_loader", "svc_dbt", "svc_match", "svc_dagster")
MIN_POSTGRES = 15
NOT_RUNNING = "The warehouse is not running. Start it with `make run`, or set WAREHOUSE_URL."


def home() -> Path:
    """The working folder: WAREHOUSE_HOME, or `.warehouse`, which git ignores."""
    return Path(os.environ.get("WAREHOUSE_HOME", ROOT / ".warehouse")).resolve()


def publish_sets() -> list[str]:
    """The publish sets: the folders under models/marts/."""
    return sorted(path.name for path in (ROOT / "dbt_project/models/marts").iterdir() if path.is_dir())


def readers() -> list[dict[str, Any]]:
    """The rows of governance.readers, from access.yml. Raises ContractError."""
    return [grant for name, declared in _access().items() for grant in declared.grants(name)]


def row_scopes() -> list[dict[str, Any]]:
    """The rows of governance.row_scopes, from access.yml. Raises ContractError."""
    return [scope for name, declared in _access().items() for scope in declared.scopes(name)]


def _access() -> dict[str, "Access"]:
    from warehouse.access import read_access

    return read_access(publish_sets())


def logins() -> set[str]:
    """The logins of access.yml."""
    from warehouse.access import read_reidentification

    return {grant["login"] for grant in [*readers(), *read_reidentification().grants()]}


def prepare(demo: bool = False, start: bool = True, systems: Iterable[str] = (), apply_access: bool = False) -> None:
    """Sets the environment variables that a run needs; keeps those that are set.

    With WAREHOUSE_URL (an administrator's login) that server's roles, tables and functions are brought up to date.
    Without it the embedded server starts, and the demo systems stand in for each system whose location is not set.
    With WAREHOUSE_URL they do so only with `demo`, so that synthetic data reach a council's server only on request.
    With `start=False` nothing starts or changes; variables of running servers are set. `systems` (raw_…) get schemas
    in addition to the systems of the contracts. `apply_access` also undoes grants that were made by hand. Raises
    WarehouseError.
    """
    load_settings()
    folder = home()
    folder.mkdir(parents=True, exist_ok=True)  # the embedded server's account may enter it
    os.umask(0o077)  # what is written in it is for this account only
    configured = os.environ.get("WAREHOUSE_URL") or os.environ.get("DBT_HOST")
    is_demo = demo or not configured
    if not configured:
        from demo import postgres

        if running := postgres.start(folder) if start else postgres.url(folder):
            os.environ["WAREHOUSE_URL"] = running
            _default({"SERVER_LOG": postgres.log_folder(folder)})
    if os.environ.get("WAREHOUSE_URL"):
        if start:
            _set_up(os.environ["WAREHOUSE_URL"], systems, apply_access, is_demo)
        _default(_service_variables(os.environ["WAREHOUSE_URL"]))
    if start and is_demo:
        _start_demo(folder)
    os.environ.update(
        WAREHOUSE_HOME=str(folder), DLT_PROJECT_DIR=str(ROOT), DBT_PROFILES_DIR=str(ROOT), DBT_PROJECT_DIR=str(ROOT)
    )
    _default({"OUTBOX": folder / "outbox", "DBT_TARGET_PATH": folder / "target", "DBT_LOG_PATH": folder / "logs"})
    files = ["dagster.yaml"]
    if broker := _broker():  # a command without the variable must not change the settings of the daemon
        _default({"CELERY_BROKER_URL": broker, "CELERY_RESULT_BACKEND": broker, "DAGSTER_HOME": folder / "workers"})
        files.append("run_launcher.yaml")
    _default({"DAGSTER_HOME": folder / "dagster", "DAGSTER_CONCURRENT_RUNS": 4})
    add_dbt_plugins()
    Path(os.environ["DAGSTER_HOME"]).mkdir(parents=True, exist_ok=True)
    settings = "".join((ROOT / "warehouse" / name).read_text(encoding="utf-8") for name in files)
    Path(os.environ["DAGSTER_HOME"], "dagster.yaml").write_text(settings, encoding="utf-8")


def _broker() -> str:
    """DAGSTER_BROKER_URL, empty if not set. Raises WarehouseError: who reaches the broker runs code on each worker."""
    broker = urlsplit(os.environ.get("DAGSTER_BROKER_URL", ""))
    is_private = broker.scheme == "rediss" or broker.hostname in ("127.0.0.1", "::1", "localhost")
    if broker.scheme and not (broker.password and is_private):
        raise WarehouseError("DAGSTER_BROKER_URL needs a password, and TLS (rediss://) where it is on another machine.")
    return broker.geturl()


def start_server() -> str:
    """Starts the embedded server unless WAREHOUSE_URL names another; returns the administrator's URL."""
    load_settings()
    if url := os.environ.get("WAREHOUSE_URL"):
        return url
    from demo import postgres

    return postgres.start(home())


def add_dbt_plugins() -> None:
    """Lets dbt, in this process and in others, find the plugins in warehouse/dbt_plugins."""
    folder = str(ROOT / "warehouse/dbt_plugins")
    if folder not in sys.path:
        sys.path.append(folder)
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if folder not in paths:
        os.environ["PYTHONPATH"] = os.pathsep.join([*filter(None, paths), folder])


def load_settings() -> None:
    """Sets the variables of `.env` that are not set."""
    if (ROOT / ".env").exists():
        from dotenv import load_dotenv  # takes as long to import as the rest of this module

        load_dotenv(ROOT / ".env")


def _start_demo(folder: Path) -> None:
    """Makes the first vault key, starts the demo systems, and sets the location of each system that has none."""
    from demo import systems
    from demo.county import County
    from warehouse.vault import adopt_key

    with closing(connect(os.environ["WAREHOUSE_URL"])) as connection:
        adopt_key(connection)
    county = County()
    if seed := os.environ.get("DEMO_SEED"):
        county = county._replace(seed=int(seed))
    if people := os.environ.get("DEMO_PEOPLE"):
        county = county._replace(people=int(people))
    _default(systems.start(folder, os.environ["WAREHOUSE_URL"], county))


def _default(variables: Mapping[str, object]) -> None:
    for name, value in variables.items():
        os.environ[name] = os.environ.get(name) or str(value)


def connect(url: str) -> pg.connection:
    """A connection. Raises WarehouseError, whose message shows the URL without its password."""
    try:
        connection = psycopg2.connect(url)
    except psycopg2.Error as error:
        from ingestion.errors import describe

        parts = urlsplit(url)
        shown = urlunsplit(parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", ":***@")))
        raise WarehouseError(f"Cannot connect to {shown}: {describe(error)}") from None
    if connection.server_version < MIN_POSTGRES * 10000:
        raise WarehouseError(
            f"The server runs PostgreSQL {connection.server_version // 10000}. Use PostgreSQL {MIN_POSTGRES} or later."
        )
    return connection


def _set_up(admin_url: str, systems: Iterable[str], apply_access: bool, is_demo: bool) -> None:
    """Brings the warehouse's database up to date with the contracts and access.yml, and creates Dagster's database."""
    from ingestion.contracts import read_contracts
    from warehouse import as_at
    from warehouse.access import read_administrators, read_declassification, read_limits, read_reidentification
    from warehouse.database import define, update_database

    people = logins()
    accepted = read_declassification()
    if is_demo and not accepted:
        accepted = {"accepted_by": "demo (synthetic data)", "accepted_on": date.today().isoformat()}
    settings = {
        "warehouse.readers": json.dumps(readers()),
        "warehouse.row_scopes": json.dumps(row_scopes()),
        "warehouse.reidentifiers": json.dumps(read_reidentification().grants()),
        "warehouse.accepted_proposals": json.dumps([accepted] if accepted else []),
        "warehouse.apply_access": "yes" if apply_access else "no",
        "warehouse.systems": ",".join([*(system.name for system in read_contracts().values()), *systems]),
        "warehouse.publish_sets": ",".join(publish_sets()),
        "warehouse.login_limits": json.dumps(read_limits().rows(sorted(people), SERVICES)),
        "warehouse.administrators": ",".join(read_administrators()),
        "warehouse.as_at_columns": json.dumps([{"name": n, "description": d} for n, (_, d) in as_at.COLUMNS.items()]),
    }
    with closing(connect(admin_url)) as connection:
        settings |= _verifiers(connection, SERVICES)
        # JDBC refuses fewer iterations, which a server may have for speed
        with connection, connection.cursor() as cursor:
            cursor.execute("select set_config(name, '4096', false) from pg_settings where name = 'scram_iterations'")
        settings |= _verifiers(connection, people)
        update_database(connection, settings)
        dagster = database_of(dagster_url(admin_url))
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("select exists (select from pg_database where datname = %s)", [dagster])
            if not value_of(cursor):
                cursor.execute(f'create database "{dagster}" owner svc_dagster')
                cursor.execute(f'revoke all on database "{dagster}" from public')
    with closing(connect(dagster_url(admin_url))) as connection, connection, connection.cursor() as cursor:
        define(cursor, "large_objects")


def _verifiers(connection: pg.connection, logins: Iterable[str]) -> dict[str, str]:
    """The settings with the verifier of each login's password: a log of the server's statements has no password."""
    passwords = _passwords(logins).items()
    found = {login: pg.encrypt_password(password, login, connection, "scram-sha-256") for login, password in passwords}
    return {f"warehouse.password_{login}": str(verifier) for login, verifier in found.items()}


def service_environment() -> dict[str, str]:
    """The variables of the services' logins and folders, after `prepare`: what a machine that runs Dagster needs."""
    folders = {"WAREHOUSE_HOME": str(home()), "OUTBOX": os.environ["OUTBOX"]}
    return _service_variables(warehouse_url()) | folders


def _service_variables(admin_url: str) -> dict[str, str]:
    passwords = _passwords(SERVICES)
    parts = urlsplit(admin_url)
    transport = dict(parse_qsl(parts.query))

    def service_url(service: str, path: str) -> str:
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit(("postgresql", f"{service}:{quote(passwords[service])}@{host}", path, parts.query, ""))

    return {
        "LOADER_URL": service_url("svc_loader", parts.path),
        "VAULT_URL": service_url("svc_match", parts.path),
        "DAGSTER_POSTGRES_URL": service_url("svc_dagster", urlsplit(dagster_url(admin_url)).path),
        "DBT_HOST": parts.hostname or "127.0.0.1",
        "DBT_PORT": str(parts.port or 5432),
        "DBT_DATABASE": database_of(admin_url),
        "DBT_USER": "svc_dbt",
        "DBT_ENV_SECRET_PASSWORD": passwords["svc_dbt"],
        "DBT_SSLMODE": transport.get("sslmode", "prefer"),
        "DBT_SSLROOTCERT": transport.get("sslrootcert", ""),
    }


def dagster_url(url: str) -> str:
    """The URL of Dagster's database, on the same server as the warehouse of the URL."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"{parts.path}_dagster"))


def database_of(url: str) -> str:
    """The name of the URL's database."""
    return unquote(urlsplit(url).path.lstrip("/"))


def warehouse_url() -> str:
    """WAREHOUSE_URL, after `prepare`. Raises WarehouseError where the warehouse is not running."""
    if url := os.environ.get("WAREHOUSE_URL"):
        return url
    raise WarehouseError(NOT_RUNNING)


def reader_url(login: str) -> str:
    """The warehouse's URL with a login of access.yml and its password. Raises WarehouseError."""
    if login not in logins():
        raise WarehouseError(f"{login} is not in access.yml. Add the login, then run `warehouse access apply`.")
    parts = urlsplit(os.environ["WAREHOUSE_URL"])
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{login}:{quote(_passwords([login])[login], safe='')}@{host}"))


def dbt_connection() -> pg.connection:
    """A connection with dbt's login, which reads marts and governance. Raises WarehouseError."""
    return connect(dbt_url())


def dbt_url() -> str:
    """The warehouse's URL with dbt's login and its password. Raises WarehouseError."""
    try:
        user, password, host, port, database = (
            quote(os.environ[name], safe="")
            for name in ("DBT_USER", "DBT_ENV_SECRET_PASSWORD", "DBT_HOST", "DBT_PORT", "DBT_DATABASE")
        )
    except KeyError as missing:
        raise WarehouseError(
            f"{missing.args[0]} is not set. Start the demo with `make run`, or set WAREHOUSE_URL (see .env.example)."
        ) from None
    transport = {name: os.environ.get(f"DBT_{name.upper()}") for name in ("sslmode", "sslrootcert")}
    query = urlencode({name: value for name, value in transport.items() if value})
    return f"postgresql://{user}:{password}@{host}:{port}/{database}?{query}"


def servers() -> dict[str, dict[str, Any]]:
    """{server: facts}: the warehouse's, and the demo API server where there is a demo county."""
    servers: dict[str, dict[str, Any]] = {"warehouse": {"state": "stopped"}}
    if "WAREHOUSE_URL" in os.environ or "DBT_HOST" in os.environ:
        try:
            with closing(dbt_connection()) as connection, connection.cursor() as cursor:
                cursor.execute("select to_regprocedure('governance.read_log_state()') is not null")
                read_log = "not set up: run `warehouse access apply`"
                if value_of(cursor):
                    cursor.execute("select governance.read_log_state()")
                    read_log = value_of(cursor)
            place = {"host": os.environ["DBT_HOST"], "port": os.environ["DBT_PORT"]}
            servers["warehouse"] = {"state": "running", **place, "read_log": read_log}
        except WarehouseError as error:
            servers["warehouse"] = {"state": "unreachable", "reason": str(error)}
    if (home() / "landing").exists():
        from demo import systems

        server = systems.status(home())
        servers["demo_api_server"] = {"state": "running", **server} if server else {"state": "stopped"}
    return servers


def demo_day() -> date | None:
    """The day of the demo county, if there is one."""
    from demo import systems

    return systems.day(home())


def _passwords(logins: Iterable[str]) -> dict[str, str]:
    """{login: password}, from READER_PASSWORD_<LOGIN> or from passwords.json, where new logins are added."""
    file, wanted = home() / "passwords.json", set(logins)
    kept = json.loads(file.read_text()) if file.exists() else {}
    if new := {login: secrets.token_urlsafe(24) for login in sorted(wanted - set(kept))}:
        draft = file.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(kept | new))
        draft.replace(file)
    given = {login: os.environ.get(f"READER_PASSWORD_{login.upper()}") for login in wanted - {*SERVICES}}
    return {**{login: (kept | new)[login] for login in wanted}, **{k: v for k, v in given.items() if v}}
