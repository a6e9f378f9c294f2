"""The same run on an existing PostgreSQL, and Dagster's page and dbt's documentation in a browser's words."""

import os
import pwd
import re
import shutil
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import Warehouse, free_port

DEBIAN = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


@pytest.fixture
def existing_postgres(home: Path) -> Iterator[str]:
    """A server of the operating system's own packages that takes TLS and SCRAM only; its administrator's URL."""
    binaries, folder, port = DEBIAN[-1].parent, home / "existing", free_port()
    folder.mkdir()
    (folder / "password").write_text("administrator")
    user = {}
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        for path in (folder, folder / "password"):
            shutil.chown(path, "nobody")

    def run(*words: object) -> None:
        subprocess.run([str(word) for word in words], check=True, cwd=folder, stdout=subprocess.DEVNULL, **user)

    access = ("-U", "postgres", "-A", "scram-sha-256", f"--pwfile={folder / 'password'}", "-E", "UTF8", "--no-locale")
    run(binaries / "initdb", "-D", folder / "data", *access)
    authority = ("-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=Throwaway authority")
    run("openssl", "req", *authority, "-keyout", folder / "authority.key", "-out", folder / "authority.pem")
    signed_by = ("-CA", folder / "authority.pem", "-CAkey", folder / "authority.key")
    server = ("-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=warehouse", *signed_by)
    files = ("-keyout", folder / "data/server.key", "-out", folder / "data/server.crt")
    run("openssl", "req", *server, "-addext", "subjectAltName=IP:127.0.0.1", *files)
    (folder / "data/pg_hba.conf").write_text("hostnossl all all all reject\nhostssl all all all scram-sha-256\n")
    options = f"-c port={port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c ssl=on"
    run(binaries / "pg_ctl", "start", "-w", "-D", folder / "data", "-l", folder / "log", "-o", options)
    try:
        trusted = f"sslmode=verify-full&sslrootcert={folder / 'authority.pem'}"
        yield f"postgresql://postgres:administrator@127.0.0.1:{port}/postgres?{trusted}"
    finally:
        run(binaries / "pg_ctl", "stop", "-w", "-m", "immediate", "-D", folder / "data")


@pytest.mark.skipif(not DEBIAN, reason="no PostgreSQL of the operating system's packages is installed")
def test_the_same_run_on_an_existing_postgres(existing_postgres: str, warehouse: Warehouse, home: Path) -> None:
    other = Warehouse(home / "other", WAREHOUSE_URL=existing_postgres)
    try:
        assert "CONFIRM_URL is not set" in other("run", expect=1), "invented data never stand in unasked"
        other("run", "--demo")
        assert not (other.home / "postgres").exists(), "nothing is started"
        assert other.figures() == warehouse.figures()
        assert other.sql("select distinct version from pg_stat_ssl where pid = pg_backend_pid()") == [("TLSv1.3",)]
        unencrypted = re.sub(r"\?.*", "?sslmode=disable", existing_postgres)
        assert "rejects connection" in other("run", "--demo", expect=1, WAREHOUSE_URL=unencrypted)
        elsewhere = existing_postgres.replace("127.0.0.1", "localhost")
        assert "does not match host name" in other("run", "--demo", expect=1, WAREHOUSE_URL=elsewhere)
    finally:
        other("stop")


@contextmanager
def served(warehouse: Warehouse, *words: str) -> Iterator[str]:
    port = free_port()
    with (warehouse.home / "served.log").open("w") as log:
        process = subprocess.Popen(
            warehouse.command(*words, "--port", str(port)),
            cwd=warehouse.root,
            env=warehouse.environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(60)


def page(url: str, seconds: int = 120) -> str:
    """What the address answers, once its server is up."""
    import time

    give_up = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310
                return answer.read().decode()
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            if time.monotonic() > give_up:
                raise
            time.sleep(0.2)


def test_dagsters_page_shows_the_graph(warehouse: Warehouse) -> None:
    with served(warehouse, "dev") as address:
        assert "dagster" in page(address).lower()
        query = "%7BassetNodes%7BassetKey%7Bpath%7D%7D%7D"
        answer = page(f"{address}/graphql?query={query}")
        assert '["raw_erp", "ledger_lines"]' in re.sub(r",\s*", ", ", answer)


def test_the_documentation_names_schemas_as_readers_know_them(warehouse: Warehouse) -> None:
    with served(warehouse, "docs") as address:
        catalogue = page(f"{address}/catalog.json")
        assert '"schema": "finance"' in catalogue
        assert "finance__next" not in catalogue
