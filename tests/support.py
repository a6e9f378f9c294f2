"""Helpers of the tests: the demo county, built once and copied; empty warehouses; and ways to inspect both."""

import csv
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, nullcontext, redirect_stdout, suppress
from functools import cache
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import psycopg2
import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from filelock import FileLock
from govuk_bank_holidays.bank_holidays import BankHolidays

from demo import postgres, systems
from ingestion.contracts import System, read_contracts
from warehouse import environment
from warehouse.builds import WRITING, build_lock

if TYPE_CHECKING:
    from warehouse.feeds.declaration import Report

ROOT = Path(__file__).resolve().parents[1]
REAL_DATA = ROOT.parent / "shared" / "data"
MARIADB = shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin")
needs_mariadb = pytest.mark.skipif(not MARIADB, reason="needs MariaDB: `make test-packages` (Debian, root)")
CASES = ROOT.parent / "shared" / "cases"
NO_CASES = "the cases are not beside this checkout: ../shared/cases"
NO_DATA = "the published data are not beside this checkout: ../shared/data"
needs_data = pytest.mark.skipif(not REAL_DATA.is_dir(), reason=NO_DATA)
HOLIDAYS = {
    holiday["date"] for holiday in BankHolidays(use_cached_holidays=True).get_holidays(division="england-and-wales")
}
CONFIGURED = {
    *filter(None, (system.location for system in read_contracts().values())),
    *("LOADER_URL", "VAULT_URL", "OUTBOX", "DAGSTER_HOME", "DAGSTER_POSTGRES_URL"),
    *(f"DELIVER_{name.upper()}" for name in systems.RECIPIENTS),
    *("OPEN311_TOKEN_URL", "OPEN311_CLIENT_ID", "OPEN311_CLIENT_SECRET"),
    *("OPEN311_KEY", "OPEN311_TOKEN", "OPEN311_USER", "OPEN311_PASSWORD"),
}
OWN_PROCESS = {"run", "exec", "dev", "docs", "erase", "rotate"}  # run Dagster or become another program
PATIENCE = 900  # seconds for one command, also on a busy machine


def bare_environment(**variables: str) -> dict[str, str]:
    """Return the environment with these variables and without the address of any warehouse or source."""
    prefixes = ("DBT_", "WAREHOUSE_")
    kept = {k: v for k, v in os.environ.items() if k not in CONFIGURED and not k.startswith(prefixes)}
    return kept | {"COLUMNS": "200"} | variables


@contextmanager
def environment_of(variables: dict[str, str]) -> Iterator[None]:
    """Replace the environment of this process by these variables within the block."""
    kept, mask = dict(os.environ), os.umask(0o022)
    os.umask(mask)
    try:
        os.environ.clear()
        os.environ.update(variables)
        yield
    finally:
        os.umask(mask)  # `prepare` changes it
        os.environ.clear()
        os.environ.update(kept)


def free_port() -> int:
    """Return a port of 127.0.0.1 that is not in use."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def await_port(port: int, process: subprocess.Popen) -> None:
    """Wait until the process listens on a port of 127.0.0.1; fails if it ends before."""
    for _ in range(PATIENCE * 10):
        assert process.poll() is None, f"{process.args[0]} ended with {process.returncode}"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    pytest.fail(f"{process.args[0]} does not listen")


def rows(url: str, query: str, values: tuple = (), role: str | None = None, **options: str) -> list[tuple]:
    """Run a query with the login of the URL or the rights of another role, commit, and return the rows."""
    with closing(psycopg2.connect(url, **options)) as connection, connection, connection.cursor() as cursor:
        if role:
            cursor.execute(f'set role "{role}"')
        cursor.execute(query, values or None)
        return cursor.fetchall() if cursor.description else []


@cache
def tracked() -> list[str]:
    """Return the files that git tracks or would track."""
    names = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(names, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [name for name in listed if (ROOT / name).is_file()]


@cache
def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def manifest_folder() -> Path:
    return Path(os.environ["TEST_FOLDER"]) / "manifest"


def change(url: str, *queries: str) -> None:
    """Run queries on a source, given by its SQLAlchemy URL, in one transaction."""
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        for query in queries:
            connection.exec_driver_sql(query)
    engine.dispose()


@contextmanager
def edited(root: Path, **files: str | None) -> Iterator[None]:
    """Replace the content of files below `root` (by path; None removes a file) within the block."""
    before = {path: (root / path).read_text(encoding="utf-8") if (root / path).exists() else None for path in files}

    def write(contents: dict[str, str | None]) -> None:
        for path, content in contents.items():
            if content is None:
                (root / path).unlink()
            else:
                (root / path).write_text(content, encoding="utf-8")

    write(files)
    try:
        yield
    finally:
        write(before)


def files_holding(folders: Iterable[Path], *values: bytes) -> set[Path]:
    """Return the files below the folders that hold any of the values. A server may remove its own files meanwhile."""
    found = set()
    for path in (path for folder in folders for path in folder.rglob("*")):
        with suppress(FileNotFoundError, IsADirectoryError):
            content = b"" if path.is_symlink() else path.read_bytes()
            if any(value in content for value in values):
                found.add(path)
    return found


def parsed_before(target: Path) -> None:
    """Give dbt what `make check` has parsed, so that it parses only files that differ."""
    parsed = ROOT / ".warehouse/check/partial_parse.msgpack"
    target.mkdir(parents=True, exist_ok=True)
    if parsed.exists():
        shutil.copy(parsed, target)


@cache
def manifest():
    """Return the dbt manifest of the checkout as dbt caches it, so that dbt need not parse the project again."""
    from dbt.cli.main import dbtRunner

    folder = manifest_folder()
    paths = {"project-dir": ROOT, "profiles-dir": ROOT, "target-path": folder, "log-path": folder}
    words = [word for name, path in paths.items() for word in (f"--{name}", str(path))]
    with FileLock(folder.with_suffix(".lock")), environment_of(bare_environment()):
        environment.add_dbt_plugins()
        if not folder.exists():
            parsed_before(folder)
        elif (folder / "manifest.json").exists():  # another worker has written it
            words.append("--no-write-json")
        parsed = dbtRunner().invoke(["--quiet", "parse", *words])
    assert parsed.success, parsed.exception
    return parsed.result


def manifest_of(database: str, published: bool):
    """Return the kept manifest for that database, or a copy with the relations that differ."""
    from warehouse.dbt_compiler import as_published

    kept = manifest()
    if database == "warehouse" and not published:
        return kept
    copy = kept.deepcopy()
    for node in (*copy.nodes.values(), *copy.sources.values()):
        node.database = database
        if getattr(node, "relation_name", None):
            node.relation_name = node.relation_name.replace('"warehouse".', f'"{database}".', 1)
    return as_published(copy) if published else copy


class Warehouse:
    """A warehouse in its own folder, driven by its commands as a person would drive it."""

    def __init__(self, home: Path, root: Path = ROOT, **variables: str):
        self.home, self.root, self.places = home, root, {}
        own = {"WAREHOUSE_HOME": str(home), "PYTHONPATH": str(root), "DEMO_PEOPLE": "1000"}
        self.environment = bare_environment(**own) | variables

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-c", "from commands.main import main; main()", *words]

    def __call__(self, *words: str, expect: int | None = 0, typed: str = "", **variables: str) -> str:
        """Run `warehouse <words>` and return its output; fail if the exit status is not `expect` (None: any).

        The command runs in this process, except commands that start Dagster or another program and those of a copied
        repository.
        """
        if self.root != ROOT or OWN_PROCESS & {*words}:
            return self.process(*words, expect=expect, typed=typed, **variables)
        from commands.main import main

        with environment_of(self.environment | variables):
            done = CliRunner().invoke(main, words, input=typed, prog_name="warehouse")
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        assert expect in (None, done.exit_code), f"warehouse {' '.join(words)}: exit {done.exit_code}\n{done.output}"
        return done.output

    def process(self, *words: str, expect: int | None = 0, typed: str = "", **variables: str) -> str:
        """Run the command in its own process."""
        done = subprocess.run(
            self.command(*words),
            cwd=self.root,
            env=self.environment | variables,
            input=typed,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE,
        )
        assert expect in (None, done.returncode), f"warehouse {' '.join(words)}: exit {done.returncode}\n{done.stdout}"
        return done.stdout

    @contextmanager
    def entered(self, **variables: str) -> Iterator[None]:
        """Give this process the environment of `warehouse exec` within the block; the server must run."""
        with environment_of(self.environment | variables):
            environment.prepare(start=False)
            yield

    def dbt(self, *words: str, expect: int = 0, published: bool = False) -> str:
        """Run dbt in this process with the kept manifest and return its output.

        With `published`, dbt finds marts in the schemas of readers.
        """
        from dbt.cli.main import dbtRunner

        printed = StringIO()
        with self.entered(), redirect_stdout(printed):
            runner = dbtRunner(manifest=manifest_of(os.environ["DBT_DATABASE"], published))
            quick = [] if {"docs", "--log-path"} & {*words} else ["--no-write-json", "--log-level-file", "none"]
            with build_lock() if WRITING & {*words} else nullcontext():
                result = runner.invoke([*words, "--project-dir", str(ROOT), *quick])
        status = 0 if result.success else 2 if result.exception else 1
        said = f"{printed.getvalue()}\n{result.exception or ''}"
        assert status == expect, f"dbt {' '.join(words)}: exit {status}\n{said}"
        return said

    def build(self, *publish_sets: str, upstream: bool = True, expect: int = 0) -> str:
        """Build, test and publish sets, with everything upstream."""
        chosen = [f"{'+' * upstream}path:dbt_project/models/marts/{name}" for name in publish_sets]
        words = ("build", "--exclude-resource-type", "unit_test", "--select", *chosen)
        return self.dbt(*words, expect=expect)

    def load(self, system: str, **variables: str) -> dict[str, int]:
        """Load a system and return {table: rows loaded}. Raises SourceError."""
        from ingestion.pipeline import load_system

        with self.entered(**self.places | variables):
            return {result.table: result.rows for result in load_system(read_contracts()[system])}

    def start(self) -> None:
        """Start the servers that do not run, and record the addresses of the systems."""
        with environment_of(self.environment):
            environment.prepare()
            self.places = {name: os.environ[name] for name in CONFIGURED & os.environ.keys()}

    @property
    def url(self) -> str:
        if not hasattr(self, "_url"):
            self._url = self("url").strip()
        return self._url

    def reader_url(self, login: str) -> str:
        return self("url", "--reader", login).strip()

    @property
    def status(self) -> dict:
        return json.loads(self("status", "--json", expect=None))

    def sql(self, query: str, values: tuple = (), role: str | None = None, url: str | None = None) -> list[tuple]:
        """Run a query as the administrator, or with the rights of another role; return its rows."""
        return rows(url or self.url, query, values, role)

    def source(self, database: str) -> str:
        """Return the administrator's URL of a source database of the demo county."""
        return f"{self.url.rsplit('/', 1)[0]}/{database}"

    def findings(self, system: str) -> list[tuple[str, str, str, str]]:
        """Return the findings of a system for the data-quality steward: raw table, record key, column and rule code."""
        return self.sql(
            "select raw_table, record_key, column_name, rule_code from quality.fct_findings where raw_table like %s",
            (f"raw_{system}.%",),
            url=self.reader_url("pbi_data_quality"),
        )

    def faults(self, system: str) -> list[tuple[str, str, str, str]]:
        """Return the faults that the demo county injected into a system, in the same form as its findings."""
        rows = self.rows(f"truth/{system}.faults.csv")
        return [(row["raw_table"], row["record_key"], row["column_name"], row["rule_code"]) for row in rows]

    def rows(self, pattern: str) -> list[dict[str, str]]:
        """Return the rows of the CSV files below the working folder that match the pattern, file by file."""
        files = sorted(self.home.glob(pattern))
        return [row for file in files for row in csv.DictReader(file.read_text(encoding="utf-8").splitlines(True))]

    def figures(self, *publish_sets: str) -> dict[str, tuple]:
        """Return the row count and a content hash of every table of the sets.

        Without sets: of every table that readers see, and of every raw table. The server log and the tables built from
        it are excluded, which a query changes, those about builds, and the view `as_at`, which has times of loads.
        """
        tables = self.sql(
            "select table_schema, table_name from information_schema.tables "
            "where table_schema = any(%s) and table_name <> 'as_at' or %s and table_schema ~ '^raw_[a-z0-9]+$' "
            "and table_schema <> 'raw_serverlog' order by 1, 2",
            ([*publish_sets] or sorted({*environment.publish_sets()} - {"operations", "usage"}), not publish_sets),
        )
        counts = (
            f"select '{schema}.{table}', count(*), sum(('x' || left(md5(t::text), 8))::bit(32)::bigint) "
            f'from "{schema}"."{table}" as t'
            for schema, table in tables
        )
        return {name: (count, content) for name, count, content in self.sql(" union all ".join(counts))}

    def remove(self) -> None:
        """Stop the servers immediately and remove the folder."""
        systems.stop(self.home)
        if running := postgres.status(self.home):
            server = psutil.Process(running["pid"])
            server.send_signal(signal.SIGQUIT)  # data that are not yet written are not needed
            assert systems.ends(server, 60)
        state = self.home / "postgres.json"
        if state.exists() and (elsewhere := json.loads(state.read_text()).get("home")):
            shutil.rmtree(elsewhere)
        shutil.rmtree(self.home, ignore_errors=True)


class SharedWarehouse(Warehouse):
    """The county that many tests read and no test changes: the queries of the administrator are read-only."""

    def sql(self, query: str, values: tuple = (), role: str | None = None, url: str | None = None) -> list[tuple]:
        options = {} if url else {"options": "-c default_transaction_read_only=on"}
        return rows(url or self.url, query, values, role, **options)


def build_county(folder: Path) -> None:
    """Run the demo county for the first time in `folder`/county, and stop it; its output is in `folder`/printed.txt.

    If the run fails, its output is in `folder`/failed.txt instead.
    """
    county = Warehouse(folder / "county")
    parsed_before(county.home / "target")
    try:
        printed = county.process("run")
        county.sql("checkpoint")
        (folder / "printed.new").write_text(printed, encoding="utf-8")
    except BaseException as error:
        (folder / "failed.txt").write_text(str(error), encoding="utf-8")
        raise
    finally:
        systems.stop(county.home)
        postgres.stop(county.home)
    data = county.home / "postgres"
    reset = postgres._run(postgres._binaries(county.home) / "pg_resetwal", "-D", data)  # or half of the data is lost
    assert reset.returncode == 0, reset.stderr
    for scraps in ("target/compiled", "target/run"):
        shutil.rmtree(county.home / scraps, ignore_errors=True)
    (folder / "printed.new").rename(folder / "printed.txt")


def copy_county(built: Path, home: Path, kind: type[Warehouse] = Warehouse) -> Warehouse:
    """Return a copy of the built county that runs on its own ports; the `remove` of the copy stops it."""
    subprocess.run(["cp", "-a", built / "county", home], check=True)
    (home / "postgres.lock").unlink(missing_ok=True)
    county = kind(home)
    county.start()
    return county


TRIALS = ("raw_trial", "raw_twin")


def trial_system(*tables: dict, **changes: object) -> System:
    """Return the contract of system `raw_trial` with `tables` ({name, columns: {name: type}, identifiers, load, …}).

    `column_keys` are {column: other keys of its contract}.
    """
    declared = []
    for table in tables:
        described = {"description": "A column.", "privacy": "none"}
        columns = [{"name": name, "data_type": kind} | described for name, kind in table["columns"].items()]
        for column in columns:
            if kind := table.get("identifiers", {}).get(column["name"]):
                column |= {"privacy": "identifier", "identifier": kind}
            column["of"] = table.get("of", {}).get(column["name"], [])
            column["privacy"] = table.get("privacy", {}).get(column["name"], column["privacy"])
            column |= table.get("column_keys", {}).get(column["name"], {})
        others = ("identifiers", "of", "privacy", "column_keys")
        rest = {name: value for name, value in table.items() if name not in others}
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


class Trial:
    """An empty warehouse with systems `raw_trial` and `raw_twin` and a source that a test fills; loads in process."""

    def __init__(self, url: str, home: Path, variables: dict[str, str]):
        self.url, self.place, self.home = url, f"{url}_source", home
        self.environment = variables | {"WAREHOUSE_HOME": str(home), "WAREHOUSE_URL": url}

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Give this process the environment of the warehouse within the block."""
        with environment_of(self.environment):
            environment.prepare(start=False)
            yield

    def sql(self, query: str, values: tuple = (), url: str | None = None, role: str | None = None) -> list[tuple]:
        """Run a query on the warehouse as the administrator, or with the rights of another role; return its rows."""
        return rows(url or self.url, query, values, role)

    def source(self, query: str, values: tuple = ()) -> list[tuple]:
        """Run a query on the source database."""
        return self.sql(query, values, url=self.place)

    def load(self, *tables: dict, at: str | None = None, redrive: bool = False, **changes: object) -> list:
        """Load the system from the source database, or from `at`."""
        from ingestion.pipeline import load_system

        os.environ["TRIAL_AT"] = at or self.place.replace("postgresql://", "postgresql+psycopg2://")
        return load_system(trial_system(*tables, **changes), redrive=redrive)


def feed_report(table: str, form: str = "csv", columns: dict[str, str] | None = None, **feed: object) -> "Report":
    """A report in schema `conformed` with these columns ({name: type}), and a feed."""
    from warehouse.feeds.declaration import FORMATS, Column, Feed, Report

    words = {"file": f"{table}{FORMATS[form]}", "reader": "Nobody", "when": "Never"}
    described = {name: Column(kind, f"Definition of {name}.", {}) for name, kind in (columns or {}).items()}
    owner = ("A report of a test", "Data Team", "data@worcestershire.example")
    declared = Feed.model_validate(words | {"format": form} | feed)
    return Report(table, "conformed", table, "Trial report", *owner, described, declared)


RIGHTS_ON = "update pg_database set datacl = %s::aclitem[] where datname = %s"


class TrialServer:
    """A server without the demo county; each trial has its own databases, copied from an empty warehouse."""

    def __init__(self, folder: Path):
        from warehouse import vault

        self.folder, self.count = folder, 0
        self.environment = bare_environment(WAREHOUSE_HOME=str(folder), DLT_PROJECT_DIR=str(ROOT))
        with environment_of(self.environment):
            self.url = os.environ["WAREHOUSE_URL"] = postgres.start(folder)
            environment.prepare(systems=TRIALS)
            with closing(psycopg2.connect(self.url)) as connection, connection.cursor() as cursor:
                vault.adopt_key(connection)
                cursor.execute("select datacl::text from pg_database where datname = current_database()")
                ((self.rights,),) = cursor.fetchall()

    @contextmanager
    def trial(self) -> Iterator[Trial]:
        """An empty warehouse with an empty source; both are dropped at the end.

        Logins are the same in every database of the server: meanwhile they may connect to no other trial or template.
        """
        self.count += 1
        server, name = self.url.rsplit("/", 1)[0], f"trial_{self.count}"
        home = self.folder / name
        home.mkdir(mode=0o755)
        for secret in ("passwords.json", "vault.key"):
            shutil.copy2(self.folder / secret, home)
        with closing(psycopg2.connect(f"{server}/postgres")) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            cursor.execute(f"create database {name} template warehouse")
            cursor.execute(f"create database {name}_source template template0")
            cursor.execute(f"revoke all on database {name}_source from public")
            cursor.execute(RIGHTS_ON, [self.rights, name])  # they are not copied
            cursor.execute(r"select datacl::text, datname from pg_database where datname ~ '^(warehouse|trial_\d+)$'")
            others = [row for row in cursor.fetchall() if row[1] != name]
            for _, other in others:
                cursor.execute(RIGHTS_ON, ["{postgres=CTc/postgres}", other])
            try:
                yield Trial(f"{server}/{name}", home, self.environment)
            finally:
                for row in others:
                    cursor.execute(RIGHTS_ON, row)
                cursor.execute(f"drop database {name} with (force)")
                cursor.execute(f"drop database {name}_source with (force)")
                shutil.rmtree(home)


class Published:
    """Files published by other organisations, loaded through the demo contracts, and the findings in them."""

    SYSTEMS = ("ssda903", "regulatory", "fixmystreet")

    def __init__(self, trial: Trial):
        from ingestion.pipeline import load_system

        self.trial, contracts = trial, read_contracts()
        load_system(contracts["reference"], {"bank_holidays"})
        with pytest.MonkeyPatch.context() as patch:
            for name in self.SYSTEMS:
                patch.setenv(contracts[name].location, str(REAL_DATA))
            self.results = {name: load_system(contracts[name]) for name in self.SYSTEMS}
        models = [f"+int_{name}__rule_results" for name in self.SYSTEMS]
        warehouse = Warehouse(trial.home, WAREHOUSE_URL=trial.url)
        warehouse.dbt("build", "--select", *models, "--exclude-resource-type", "unit_test")

    def documented(self, section: str) -> str:
        """Return the text of docs/reference/published-data-findings.md below that heading."""
        text = (ROOT / "docs/reference/published-data-findings.md").read_text(encoding="utf-8")
        return text.split(f"\n## {section}\n")[1].split("\n## ")[0]

    def findings(self, system: str, section: str) -> Counter[tuple[str, str, str]]:
        """Return the number of rule violations by table, column and rule, and check that the document states them.

        The table in that section names every rule violation found; it may also name rules with none (0).
        """
        values, broken = Counter(), Counter()
        for table, column, rule, number in self.trial.sql(
            f"select split_part(raw_table, '.', 2), replace(column_name, '_', ''), rule_code, value_count::integer "
            f"from conformed.int_{system}__rule_results"
        ):
            values[table, column] += number
            if rule:
                broken[table, column, rule] += number
        documented = {
            (table, heading.lower().replace("_", ""), rule): tuple(int(figure.replace(",", "")) for figure in figures)
            for table, heading, rule, *figures in re.findall(
                r"^\| (\w+) \| (\w+) \| (\w{3}\d\d) [^|]+ \| ([\d,]+) \| ([\d,]+) \|$", self.documented(section), re.M
            )
        }
        assert documented == {key: (values[key[:2]], broken[key]) for key in {*documented, *broken}}
        return broken
