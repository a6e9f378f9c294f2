"""The environment in which everything runs: where the warehouse is, who logs in, which sets and systems it has."""

import json
import os
import secrets
import shutil
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

import psycopg2
from dotenv import load_dotenv

from ingestion.contracts import ROOT, read_contracts
from warehouse.access import read_access, read_reidentification

SERVICES = ("svc_loader", "svc_dbt", "svc_match", "svc_dagster")
OLDEST_POSTGRES = 15


class WarehouseError(Exception):
    """What stops a command, in words for the person who gave it."""


def home() -> Path:
    """The working folder (WAREHOUSE_HOME, `.warehouse` by default); nothing in it is kept in git."""
    return Path(os.environ.get("WAREHOUSE_HOME", ROOT / ".warehouse")).resolve()


def publish_sets() -> list[str]:
    """The publish sets: the folders under models/marts/."""
    return sorted(path.name for path in (ROOT / "dbt_project/models/marts").iterdir() if path.is_dir())


def readers() -> list[dict]:
    """The rows of governance.readers, as access.yml says; raises ContractError."""
    access = read_access(publish_sets())
    return [grant for name, declared in access.items() for grant in declared.grants(name)]


def logins() -> set[str]:
    """Everybody whom access.yml names."""
    return {grant["login"] for grant in [*readers(), *read_reidentification().grants()]}


def prepare(demo: bool = False, start: bool = True, systems: Iterable[str] = (), apply_access: bool = False) -> None:
    """Puts every variable that a run needs into the environment; what is set already is left as it is.

    With WAREHOUSE_URL (an administrator's) that server's roles and schemas are brought up to date. Without it the
    embedded server is started and the invented county stands in for each system whose location is not set; beside
    WAREHOUSE_URL it does so only with `demo`, so that invented data never reach a real warehouse unasked. With
    `start=False` nothing is started or changed: what runs is found. `systems` (raw_…) get their schemas beside those
    of the contracts. `apply_access` makes grants and row policies anew, also where access.yml has not changed. Raises
    WarehouseError.
    """
    load_dotenv(ROOT / ".env")
    folder = home()
    folder.mkdir(parents=True, exist_ok=True)
    configured = os.environ.get("WAREHOUSE_URL") or os.environ.get("DBT_HOST")
    if not configured:
        from demo import postgres

        if running := postgres.start(folder) if start else postgres.url(folder):
            os.environ["WAREHOUSE_URL"] = running
            _default({"SERVER_LOG": postgres.log_folder(folder)})
    if os.environ.get("WAREHOUSE_URL"):
        passwords = _passwords()
        if start:
            _set_up(os.environ["WAREHOUSE_URL"], passwords, systems, apply_access)
            if not configured or demo:
                from warehouse.vault import adopt_key

                with closing(connect(os.environ["WAREHOUSE_URL"])) as connection:
                    adopt_key(connection)
        _default(_service_variables(os.environ["WAREHOUSE_URL"], passwords))
    if start and (demo or not configured):
        from demo import systems
        from demo.county import County

        asked = {name: os.environ.get(f"DEMO_{name.upper()}") for name in ("seed", "people")}
        county = County(**{name: int(number) for name, number in asked.items() if number})
        _default(systems.start(folder, os.environ["WAREHOUSE_URL"], county))
    os.environ.update(
        WAREHOUSE_HOME=str(folder), DLT_PROJECT_DIR=str(ROOT), DBT_PROFILES_DIR=str(ROOT), DBT_PROJECT_DIR=str(ROOT)
    )
    _default({"OUTBOX": folder / "outbox", "DBT_TARGET_PATH": folder / "target", "DBT_LOG_PATH": folder / "logs"})
    _default({"DAGSTER_HOME": folder / "dagster"})
    Path(os.environ["DAGSTER_HOME"]).mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "warehouse/dagster.yaml", os.environ["DAGSTER_HOME"])


def _default(variables: dict[str, object]) -> None:
    for name, value in variables.items():
        os.environ[name] = os.environ.get(name) or str(value)


def connect(url: str):
    """A connection; raises WarehouseError that shows the URL without its password."""
    try:
        connection = psycopg2.connect(url)
    except psycopg2.Error as error:
        parts = urlsplit(url)
        shown = urlunsplit(parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", ":***@")))
        raise WarehouseError(f"cannot connect to {shown}: {str(error).strip().splitlines()[0]}") from None
    if connection.server_version < OLDEST_POSTGRES * 10000:
        raise WarehouseError(
            f"PostgreSQL {OLDEST_POSTGRES} or later is needed; this is {connection.server_version // 10000}"
        )
    return connection


def _set_up(admin_url: str, passwords: dict[str, str], systems: Iterable[str] = (), apply_access: bool = False) -> None:
    """Roles with their passwords, schemas, functions and readers' rights (setup.sql), and Dagster's own database."""
    database = unquote(urlsplit(admin_url).path.lstrip("/"))
    connection = connect(admin_url)
    settings = {f"warehouse.password_{login}": password for login, password in passwords.items()}
    settings["warehouse.readers"] = json.dumps(readers())
    settings["warehouse.reidentifiers"] = json.dumps(read_reidentification().grants())
    settings["warehouse.apply_access"] = "yes" if apply_access else "no"
    settings["warehouse.systems"] = ",".join([*(system.name for system in read_contracts().values()), *systems])
    settings["warehouse.publish_sets"] = ",".join(publish_sets())
    try:
        with connection, connection.cursor() as cursor:
            for name, value in settings.items():
                cursor.execute("select set_config(%s, %s, true)", [name, value])
            cursor.execute((ROOT / "warehouse/setup.sql").read_text(encoding="utf-8"))
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("select exists (select from pg_database where datname = %s)", [f"{database}_dagster"])
            if not cursor.fetchone()[0]:
                cursor.execute(f'create database "{database}_dagster" owner svc_dagster')
    except psycopg2.errors.InsufficientPrivilege as error:
        first_line = str(error).splitlines()[0]
        raise WarehouseError(
            f"WAREHOUSE_URL's login may not set up roles and schemas ({first_line}); use an administrator's"
        ) from None
    finally:
        connection.close()


def _service_variables(admin_url: str, passwords: dict[str, str]) -> dict[str, str]:
    parts = urlsplit(admin_url)
    transport = dict(parse_qsl(parts.query))

    def service_url(service: str, path: str) -> str:
        host = parts.netloc.rpartition("@")[2]
        return urlunsplit(("postgresql", f"{service}:{quote(passwords[service])}@{host}", path, parts.query, ""))

    return {
        "LOADER_URL": service_url("svc_loader", parts.path),
        "VAULT_URL": service_url("svc_match", parts.path),
        "DAGSTER_POSTGRES_URL": service_url("svc_dagster", f"{parts.path}_dagster"),
        "DBT_HOST": parts.hostname or "127.0.0.1",
        "DBT_PORT": str(parts.port or 5432),
        "DBT_DATABASE": unquote(parts.path.lstrip("/")),
        "DBT_USER": "svc_dbt",
        "DBT_ENV_SECRET_PASSWORD": passwords["svc_dbt"],
        "DBT_SSLMODE": transport.get("sslmode", "prefer"),
        "DBT_SSLROOTCERT": transport.get("sslrootcert", ""),
    }


def reader_url(login: str) -> str:
    """The warehouse's URL with the login and password of somebody in access.yml; raises WarehouseError."""
    if login not in logins():
        raise WarehouseError(f"access.yml does not name {login}")
    parts = urlsplit(os.environ["WAREHOUSE_URL"])
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{login}:{quote(_passwords()[login], safe='')}@{host}"))


def dbt_connection():
    """A connection with dbt's login, for reading marts and governance; raises WarehouseError."""
    try:
        user, password, host, port, database = (
            quote(os.environ[name], safe="")
            for name in ("DBT_USER", "DBT_ENV_SECRET_PASSWORD", "DBT_HOST", "DBT_PORT", "DBT_DATABASE")
        )
    except KeyError as missing:
        raise WarehouseError(
            f"{missing.args[0]} is not set: `make run` first, or set WAREHOUSE_URL (see .env.example)"
        ) from None
    transport = {name: os.environ.get(f"DBT_{name.upper()}") for name in ("sslmode", "sslrootcert")}
    query = urlencode({name: value for name, value in transport.items() if value})
    return connect(f"postgresql://{user}:{password}@{host}:{port}/{database}?{query}")


def _passwords() -> dict[str, str]:
    """Each login's password: READER_PASSWORD_<LOGIN>, or generated once and kept, readable by this account only."""
    file = home() / "passwords.json"
    kept = json.loads(file.read_text()) if file.exists() else {}
    people = logins()
    everybody = {*SERVICES, *people}
    if new := {login: secrets.token_urlsafe(24) for login in sorted(everybody - set(kept))}:
        draft = file.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_text(json.dumps(kept | new))
        draft.replace(file)
    given = {login: os.environ.get(f"READER_PASSWORD_{login.upper()}") for login in people}
    return {**{login: (kept | new)[login] for login in everybody}, **{k: v for k, v in given.items() if v}}
