"""What the tests share: a whole run of the demo county on a throwaway warehouse, and ways to look at it."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

ROOT = Path(__file__).resolve().parents[1]
REAL_DATA = ROOT.parent / "shared" / "data"
CONFIGURED = (
    *("LANDING", "CONFIRM_URL", "OPEN311_URL", "LOADER_URL", "OUTBOX", "DAGSTER_HOME", "DAGSTER_POSTGRES_URL"),
    *("OPEN311_TOKEN_URL", "OPEN311_CLIENT_ID", "OPEN311_CLIENT_SECRET"),
)


class Warehouse:
    """A warehouse in a folder of its own, driven by the console script as a person would."""

    def __init__(self, home: Path, root: Path = ROOT, **variables: str):
        self.home, self.root = home, root
        kept = {k: v for k, v in os.environ.items() if k not in CONFIGURED and not k.startswith(("DBT_", "WAREHOUSE_"))}
        self.environment = kept | {"WAREHOUSE_HOME": str(home), "COLUMNS": "200", "PYTHONPATH": str(root)} | variables

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-c", "from warehouse.cli import main; main()", *words]

    def __call__(self, *words: str, expect: int = 0, **variables: str) -> str:
        """Runs `warehouse <words>`; returns what it printed, and fails where its exit status is not `expect`."""
        done = subprocess.run(
            self.command(*words),
            cwd=self.root,
            env=self.environment | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=900,
        )
        assert done.returncode == expect, f"warehouse {' '.join(words)}: exit {done.returncode}\n{done.stdout}"
        return done.stdout

    def dbt(self, *words: str, expect: int = 0, **variables: str) -> str:
        return self("exec", "--", "dbt", *words, expect=expect, **variables)

    @property
    def url(self) -> str:
        return self("url").strip()

    @property
    def status(self) -> dict:
        return json.loads(self("status", "--json"))

    def sql(self, query: str, values: tuple = (), role: str | None = None, url: str | None = None) -> list[tuple]:
        """Runs a query as the administrator, or with another role's rights; returns its rows."""
        connection = psycopg2.connect(url or self._url())
        try:
            with connection, connection.cursor() as cursor:
                if role:
                    cursor.execute(f'set role "{role}"')
                cursor.execute(query, values or None)
                return cursor.fetchall() if cursor.description else []
        finally:
            connection.close()

    def _url(self) -> str:
        if not hasattr(self, "_known_url"):
            self._known_url = self.url
        return self._known_url

    def figures(self) -> dict[str, tuple]:
        """Rows and a hash of the content of every table that readers see, and of every raw table."""
        tables = self.sql(
            "select table_schema, table_name from information_schema.tables where table_type = 'BASE TABLE' "
            "and (table_schema in ('finance', 'highways') or table_schema like 'raw\\_%' and table_schema not like "
            "'%\\_staging' and table_name not like '\\_dlt%') order by 1, 2"
        )
        return {
            f"{schema}.{table}": self.sql(
                f"select count(*), sum(('x' || left(md5((to_jsonb(t) - '_dlt_load_id')::text), 8))::bit(32)::bigint) "
                f'from "{schema}"."{table}" as t'
            )[0]
            for schema, table in tables
        }


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    """A folder that other accounts may pass through, as a repository's usually is."""
    with tempfile.TemporaryDirectory(prefix="warehouse-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(scope="session")
def fresh_run(home: Path) -> Iterator[tuple[Warehouse, str]]:
    """The demo county's first run, and what it printed."""
    warehouse = Warehouse(home / "shared")
    try:
        yield warehouse, warehouse("run")
    finally:
        warehouse("stop")


@pytest.fixture(scope="session")
def warehouse(fresh_run: tuple[Warehouse, str]) -> Warehouse:
    """A warehouse that the demo county's first run filled; a test leaves it as it found it."""
    return fresh_run[0]
