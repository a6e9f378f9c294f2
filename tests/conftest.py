"""What the tests share: a whole run of the demo county on a throwaway warehouse, and ways to look at it."""

import csv
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from govuk_bank_holidays.bank_holidays import BankHolidays

from demo import postgres
from ingestion.commit import Landing
from ingestion.contracts import System, read_contracts
from ingestion.pipeline import load_system
from warehouse import environment, vault

ROOT = Path(__file__).resolve().parents[1]
REAL_DATA = ROOT.parent / "shared" / "data"
HOLIDAYS = {
    holiday["date"] for holiday in BankHolidays(use_cached_holidays=True).get_holidays(division="england-and-wales")
}
CONFIGURED = {
    *filter(None, (system.location for system in read_contracts().values())),
    *("LOADER_URL", "VAULT_URL", "OUTBOX", "DAGSTER_HOME", "DAGSTER_POSTGRES_URL"),
    *("OPEN311_TOKEN_URL", "OPEN311_CLIENT_ID", "OPEN311_CLIENT_SECRET"),
}


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def rows(url: str, query: str, values: tuple = (), role: str | None = None) -> list[tuple]:
    """What a query answers, as the URL's login or with another role's rights; what it did is committed."""
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        if role:
            cursor.execute(f'set role "{role}"')
        cursor.execute(query, values or None)
        return cursor.fetchall() if cursor.description else []


class Warehouse:
    """A warehouse in a folder of its own, driven by the console script as a person would."""

    def __init__(self, home: Path, root: Path = ROOT, **variables: str):
        self.home, self.root = home, root
        kept = {k: v for k, v in os.environ.items() if k not in CONFIGURED and not k.startswith(("DBT_", "WAREHOUSE_"))}
        self.environment = (
            kept
            | {"WAREHOUSE_HOME": str(home), "COLUMNS": "200", "PYTHONPATH": str(root), "DEMO_PEOPLE": "1000"}
            | variables
        )

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-c", "from warehouse.cli import main; main()", *words]

    def __call__(self, *words: str, expect: int = 0, typed: str = "", **variables: str) -> str:
        """Runs `warehouse <words>`; returns what it printed, and fails where its exit status is not `expect`."""
        done = subprocess.run(
            self.command(*words),
            cwd=self.root,
            env=self.environment | variables,
            input=typed,
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
        return rows(url or self._url(), query, values, role)

    def _url(self) -> str:
        if not hasattr(self, "_known_url"):
            self._known_url = self.url
        return self._known_url

    def findings(self, system: str) -> list[tuple[str, str, str, str]]:
        """What the data-quality steward sees of a system: raw table, key of the record, column and code of the rule."""
        return self.sql(
            "select raw_table, record_key, column_name, rule_code from quality.fct_findings where raw_table like %s",
            (f"raw_{system}.%",),
            url=self("url", "--reader", "pbi_data_quality").strip(),
        )

    def faults(self, system: str) -> list[tuple[str, str, str, str]]:
        """The same of what the county has spoilt there on purpose."""
        rows = self.rows(f"truth/{system}.faults.csv")
        return [(row["raw_table"], row["record_key"], row["column_name"], row["rule_code"]) for row in rows]

    def rows(self, pattern: str) -> list[dict[str, str]]:
        """The rows of the CSVs below the working folder that the pattern names, file by file."""
        files = sorted(self.home.glob(pattern))
        return [row for file in files for row in csv.DictReader(file.read_text(encoding="utf-8").splitlines(True))]

    def figures(self) -> dict[str, tuple]:
        """Rows and a hash of the content of every table that readers see, and of every raw table.

        But not of the server's own log, nor of what rests on it: looking changes it.
        """
        tables = self.sql(
            "select table_schema, table_name from information_schema.tables "
            "where table_schema = any(%s) or table_schema ~ '^raw_[a-z0-9]+$' "
            "and table_schema <> 'raw_serverlog' order by 1, 2",
            ([name for name in environment.publish_sets() if name != "usage"],),
        )
        return {
            f"{schema}.{table}": self.sql(
                f"select count(*), sum(('x' || left(md5(to_jsonb(t)::text), 8))::bit(32)::bigint) "
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


def trial_system(*tables: dict, **changes: object) -> System:
    """The contract of a system `raw_trial`, with `tables` ({name, columns: {name: type}, identifiers, load, …})."""
    declared = []
    for table in tables:
        described = {"description": "A column.", "privacy": "none"}
        columns = [{"name": name, "data_type": kind} | described for name, kind in table["columns"].items()]
        for column in columns:
            if kind := table.get("identifiers", {}).get(column["name"]):
                column |= {"privacy": "identifier", "identifier": kind}
            column["of"] = table.get("of", {}).get(column["name"], [])
        rest = {name: value for name, value in table.items() if name not in ("identifiers", "of")}
        declared.append({"description": "One row per row."} | rest | {"columns": columns})
    day = {"count": 1, "period": "day"}
    return System.model_validate(
        {
            "name": "raw_trial",
            "description": "A system on trial.",
            "kind": "database",
            "location": "TRIAL_AT",
            "schedule": "0 6 * * *",
            "time_zone": "Europe/London",
            "information_asset_owner": "Somebody",
            "data_owner": "Somebody",
            "purpose": "Trying",
            "lawful_basis": "None is needed",
            "retention": "P1D",
            "sharing": "None",
            "freshness": {"warn_after": day, "error_after": day},
            "tables": declared,
        }
        | changes
    )


TRIALS = ("raw_trial", "raw_twin")


class Trial:
    """An empty warehouse with systems, `raw_trial` and `raw_twin`, whose source a test fills; loads in this process."""

    def __init__(self, url: str, home: Path):
        self.url, self.home, self.place = url, home, url.rsplit("/", 1)[0] + "/source"

    def clear(self) -> None:
        """Forgets every load, and empties the source."""
        self.sql(
            "truncate governance.landings, governance.files, governance.acceptances, quarantine.rows, "
            "governance.disposals, governance.erasures, governance.legal_holds, governance.reidentifications, "
            "vault.identities, vault.data_keys, matching.person_records, matching.pairs, matching.decisions; "
            + "; ".join(f"drop schema {name}, {name}_store, {name}_landing cascade" for name in TRIALS)
        )
        self.source("drop schema public cascade; create schema public")
        environment._set_up(self.url, environment._passwords(), TRIALS)

    def sql(self, query: str, values: tuple = (), url: str | None = None, role: str | None = None) -> list[tuple]:
        """Runs a query on the warehouse as the administrator, or with another role's rights; returns its rows."""
        return rows(url or self.url, query, values, role)

    def source(self, query: str, values: tuple = ()) -> list[tuple]:
        """Runs a query on the source database."""
        return self.sql(query, values, url=self.place)

    def load(self, *tables: dict, at: str | None = None, redrive: bool = False, **changes: object) -> list[Landing]:
        """Loads the system; its source is the database `source`, or what is `at`."""
        os.environ["TRIAL_AT"] = at or self.place.replace("postgresql://", "postgresql+psycopg2://")
        return load_system(trial_system(*tables, **changes), redrive=redrive)


@pytest.fixture(scope="session")
def trial_warehouse(home: Path) -> Iterator[Trial]:
    """A server of its own, without the demo county."""
    folder = home / "trial"
    folder.mkdir(mode=0o755)
    kept = dict(os.environ)
    os.environ.update({"WAREHOUSE_HOME": str(folder), "DLT_PROJECT_DIR": str(ROOT)})
    try:
        os.environ["WAREHOUSE_URL"] = postgres.start(folder)
        for name in CONFIGURED:
            os.environ.pop(name, None)
        environment.prepare(systems=TRIALS)
        trial = Trial(os.environ["WAREHOUSE_URL"], folder)
        with closing(psycopg2.connect(trial.url)) as connection:
            vault.adopt_key(connection)
            connection.autocommit = True
            connection.cursor().execute("create database source")
        yield trial
    finally:
        postgres.stop(folder)
        os.environ.clear()
        os.environ.update(kept)


@pytest.fixture
def trial(trial_warehouse: Trial) -> Trial:
    """An empty warehouse with an empty source."""
    trial_warehouse.clear()
    return trial_warehouse


class Published:
    """Files that others have published, loaded through the contracts as they are, and what the rules find in them."""

    SYSTEMS = ("ssda903", "regulatory", "fixmystreet")

    def __init__(self, trial: Trial):
        self.trial, contracts = trial, read_contracts()
        load_system(contracts["reference"], {"bank_holidays"})
        with pytest.MonkeyPatch.context() as patch:
            for name in self.SYSTEMS:
                patch.setenv(contracts[name].location, str(REAL_DATA))
            self.landings = {name: load_system(contracts[name]) for name in self.SYSTEMS}
        models = [f"+int_{name}_columns_checked" for name in self.SYSTEMS]
        warehouse = Warehouse(trial.home, WAREHOUSE_URL=trial.url)
        warehouse.dbt("build", "--select", *models, "--exclude-resource-type", "unit_test")

    def told(self, section: str) -> str:
        """What docs/data_quality.md says under that heading."""
        text = (ROOT / "docs/data_quality.md").read_text(encoding="utf-8")
        return text.split(f"\n## {section}\n")[1].split("\n## ")[0]

    def findings(self, system: str, section: str) -> Counter[tuple[str, str, str]]:
        """How many values break a rule, by table, column and rule; these are the figures in docs/data_quality.md.

        Its table in that section names everything that was found, and may name what was not (0).
        """
        values, broken = Counter(), Counter()
        for table, column, rule, number in self.trial.sql(
            f"select split_part(raw_table, '.', 2), replace(column_name, '_', ''), rule_code, value_count::integer "
            f"from conformed.int_{system}_columns_checked"
        ):
            values[table, column] += number
            if rule:
                broken[table, column, rule] += number
        told = {
            (table, heading.lower().replace("_", ""), rule): tuple(int(figure.replace(",", "")) for figure in figures)
            for table, heading, rule, *figures in re.findall(
                r"^\| (\w+) \| (\w+) \| (\w{3}\d\d) [^|]+ \| ([\d,]+) \| ([\d,]+) \|$", self.told(section), re.M
            )
        }
        assert told == {key: (values[key[:2]], broken[key]) for key in {*told, *broken}}
        return broken


@pytest.fixture(scope="session")
def published(trial_warehouse: Trial) -> Published:
    """The published files, loaded and checked once."""
    if not REAL_DATA.is_dir():
        pytest.skip("the published data are not beside this checkout")
    trial_warehouse.clear()
    return Published(trial_warehouse)


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
