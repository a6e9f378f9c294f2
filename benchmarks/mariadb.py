"""A temporary MariaDB server as a source; it stops with the benchmark."""

import getpass
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pymysql

TIMEOUT = 60  # seconds for the server to start
KINDS = {
    "text": "varchar(200)",
    "numeric(18,2)": "decimal(18,2)",
    "double precision": "double",
    "timestamptz": "datetime(6)",
}


@contextmanager
def server(folder: Path) -> Iterator[str | None]:
    """The server's URL, database `bench`; None if MariaDB is not installed."""
    if not (shutil.which("mariadbd") and shutil.which("mariadb-install-db")):
        yield None
        return
    folder.mkdir()
    password = secrets.token_hex(16)
    (folder / "init.sql").touch(0o600)
    (folder / "init.sql").write_text(
        "create database bench character set utf8mb4;\n"
        f"alter user root@localhost identified by '{password}';\n"
        f"create user bench@'%' identified by '{password}';\ngrant all on *.* to bench@'%';\n"
    )
    options = [f"--datadir={folder / 'data'}", f"--user={getpass.getuser()}"]
    install = [
        "mariadb-install-db",
        "--no-defaults",
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
        *options,
    ]
    subprocess.run(install, check=True, capture_output=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options += [f"--socket={folder / 'socket'}", f"--pid-file={folder / 'pid'}", f"--init-file={folder / 'init.sql'}"]
    listen = ["--bind-address=127.0.0.1", f"--port={port}", "--skip-name-resolve"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(["mariadbd", "--no-defaults", *options, *listen], stdout=log, stderr=log)
    try:
        url = f"mysql+pymysql://bench:{password}@127.0.0.1:{port}/bench"
        deadline = time.monotonic() + TIMEOUT
        while True:
            try:
                connect(url).close()
                break
            except pymysql.err.OperationalError as error:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"MariaDB does not start: {(folder / 'log').read_text()[-1000:]}") from error
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait()


def connect(url: str) -> pymysql.Connection:
    """A connection to the server of this URL."""
    login, _, place = url.removeprefix("mysql+pymysql://").partition("@")
    user, password = login.split(":")
    host, port = place.removesuffix("/bench").split(":")
    return pymysql.connect(host=host, port=int(port), user=user, password=password, database="bench")


def version(url: str) -> str:
    """The server's version."""
    with connect(url) as connection, connection.cursor() as cursor:
        cursor.execute("select version()")
        return cursor.fetchone()[0]


def fill(url: str, table: str, columns: dict[str, str], text: Path) -> None:
    """Create the table with these columns and Postgres types, and fill it from a file in COPY's text format."""
    declared = ", ".join(f"{name} {KINDS.get(kind, kind)}" for name, kind in columns.items())
    with connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(f"create table {table} ({declared}, primary key (row_id))")
        cursor.execute(f"load data infile '{text}' into table {table} character set utf8mb4")
        connection.commit()
