"""A run on an existing PostgreSQL server, and the Dagster page and the dbt documentation as served to a browser."""

import json
import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import ModuleType
from urllib.parse import quote

import psutil
import psycopg2
import pytest
import urllib3
from click.testing import CliRunner
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from commands.main import main
from ingestion.contracts import SourceError, read_contracts
from tests.readers import ACCESS, LOGINS, SCOPES, SOUGHT, ask, holding, may_read, read_log, reads
from tests.support import CONFIGURED, ROOT, Trial, Warehouse, free_port, manifest_folder, parsed_before

DEBIAN = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
PGAUDIT = bool(DEBIAN) and (DEBIAN[-1].parents[1] / "lib/pgaudit.so").exists()
LOG = "-c logging_collector=on -c log_destination=csvlog -c log_filename=%Y-%m-%d.log -c log_timezone=UTC"
OTHER_SYSTEMS = ("erp", "koha", "procurement", "reference", "serverlog")  # files, people, a log
OTHER_DEMO = (*OTHER_SYSTEMS, "dynamics")  # the demo's API server needs one API
OTHER_SETS = ("finance", "usage")
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
CHROMIUM, CHROMEDRIVER = shutil.which("chromium") or "", shutil.which("chromedriver") or ""
needs_chromium = pytest.mark.skipif(
    not (CHROMIUM and CHROMEDRIVER), reason="needs Chromium and its driver: `make test-packages` (Debian, root)"
)
WORDS = {  # {business word: one of the first three results of the documentation's search}
    "looked after children": "children.fct_looked_after_months",
    "sickness": "workforce.fct_absences",
    "days lost": "workforce.fct_absences",
    "turnover": "workforce.fct_headcount_months",
    "vacancy": "workforce.dim_positions",
    "pothole": "highways.fct_defects",
    "carer": "adult_care.fct_request_outcomes",
    "ASCOF": "adult_care.fct_care_events",
    "SEND": "education.fct_ehcps",
    "workforce.fct_absences": "workforce.fct_absences",
    "re-referral": "children.fct_referral_journeys",
    "deprivation": "not held",
    "freshness": "terms",
}
needs_debian = pytest.mark.skipif(not DEBIAN, reason="needs Debian's PostgreSQL: `make test-packages` (Debian, root)")


@pytest.fixture(scope="module")
def existing_postgres(home: Path) -> Iterator[str]:
    """A server from the packages of the operating system that accepts only TLS and SCRAM; its administrator's URL."""
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
    options = f"-c port={port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= -c ssl=on {LOG}"
    options += " -c shared_preload_libraries=pgaudit" if PGAUDIT else ""
    run(binaries / "pg_ctl", "start", "-w", "-D", folder / "data", "-l", folder / "log", "-o", options)
    try:
        trusted = f"sslmode=verify-full&sslrootcert={folder / 'authority.pem'}"
        server = f"postgresql://postgres:administrator@127.0.0.1:{port}"
        with closing(psycopg2.connect(f"{server}/postgres?{trusted}")) as connection:
            connection.autocommit = True
            connection.cursor().execute("create database warehouse")
        yield f"{server}/warehouse?{trusted}"
    finally:
        run(binaries / "pg_ctl", "stop", "-w", "-m", "immediate", "-D", folder / "data")


class OtherWarehouse(Warehouse):
    """A warehouse on that server. Its demo fills only the systems that the tests load."""

    def command(self, *words: str) -> list[str]:
        program = (
            "from commands.main import main; from demo import systems\n"
            "for kind in (systems.DATABASES, systems.FILES, systems.APIS):\n"
            f"    for name in kind.keys() - {set(OTHER_DEMO)}: del kind[name]\n"
            "main()"
        )
        return [sys.executable, "-c", program, *words]


@pytest.fixture(scope="module")
def new(existing_postgres: str, built: Path, home: Path) -> Iterator[Warehouse]:
    """A warehouse on that server, with the vault key of the other, before its first load."""
    new = OtherWarehouse(
        home / "other",
        WAREHOUSE_URL=existing_postgres,
        VAULT_KEY_FILE=str(built / "county/vault.key"),
        SERVER_LOG=str(home / "existing/data/log"),
    )
    parsed_before(new.home / "target")
    shutil.copytree(built / "county/landing", new.home / "landing")  # the demo need not make its files again
    shutil.copy(built / "county/apis.sqlite", new.home)
    new.start()
    with pytest.raises(SourceError, match="LANDING is not set"):  # synthetic data need an explicit request
        new.load("erp")
    yield new
    new.process("stop")


@pytest.fixture(scope="module")
def other(new: Warehouse) -> Warehouse:
    """The warehouse on that server after some loads of the demo by Dagster, and two publish sets."""
    import dagster as dg

    from orchestration.loads import build_loads

    variables = dict(line.split("=", 1) for line in new.process("exec", "--demo", "--", "env").splitlines())
    new.places = {name: variables[name] for name in CONFIGURED & variables.keys()}
    loads = [build_loads(read_contracts()[name], {})[0] for name in OTHER_SYSTEMS]
    with new.entered(**new.places), dg.DagsterInstance.get() as instance:
        assert dg.materialize(loads, instance=instance).success
    new.build(*OTHER_SETS)
    return new


def figures_of(warehouse: Warehouse, *schemas: str) -> dict[str, tuple]:
    """Return the row counts and content hashes of the tables of some schemas."""
    return {name: found for name, found in warehouse.figures().items() if name.partition(".")[0] in schemas}


@needs_debian
def test_a_run_on_an_existing_postgres_publishes_the_same_figures(
    existing_postgres: str, other: Warehouse, warehouse: Warehouse
) -> None:
    assert not (other.home / "postgres").exists(), "no server is started"
    schemas = [*OTHER_SETS, *(f"raw_{name}" for name in OTHER_SYSTEMS)]
    figures = figures_of(warehouse, *schemas)
    assert len(figures) > 25
    assert figures_of(other, *schemas) == figures
    assert other.sql("select distinct version from pg_stat_ssl where pid = pg_backend_pid()") == [("TLSv1.3",)]
    unencrypted = re.sub(r"\?.*", "?sslmode=disable", existing_postgres)
    assert "rejects connection" in other("run", "--demo", expect=1, WAREHOUSE_URL=unencrypted)
    elsewhere = existing_postgres.replace("127.0.0.1", "localhost")
    assert "does not match host name" in other("run", "--demo", expect=1, WAREHOUSE_URL=elsewhere)


@needs_debian
@pytest.mark.long
def test_a_first_run_on_an_existing_postgres_publishes_every_figure(new: Warehouse, warehouse: Warehouse) -> None:
    shutil.rmtree(new.home / "landing", ignore_errors=True)  # may have the files of some systems only
    whole = Warehouse(new.home)
    whole.environment = new.environment
    whole.process("run", "--demo")
    found, expected = new.figures(), warehouse.figures()
    assert found.keys() == expected.keys()
    assert {name: rows for name, (rows, _) in found.items()} == {name: rows for name, (rows, _) in expected.items()}
    differing = {name for name in found if found[name] != expected[name]}
    with_people = ("dim_persons", "fct_involvements", "fct_service_combinations")
    assert differing == {f"citizen.{name}" for name in with_people}, "ids of people are random"


@needs_debian
def test_only_the_demo_loads_without_a_server_log(existing_postgres: str, other: Warehouse) -> None:
    bare = OtherWarehouse(other.home, WAREHOUSE_URL=existing_postgres)
    with pytest.raises(SourceError, match=r"raw_serverlog: SERVER_LOG is not set"):
        bare.load("serverlog")
    (place,) = re.findall("^SERVER_LOG=(.+)$", bare.process("exec", "--demo", "--", "env"), re.M)
    assert set(bare.load("serverlog", SERVER_LOG=place).values()) == {0}, "the demo's log is empty"


@needs_debian
@pytest.mark.skipif(not PGAUDIT, reason="needs Debian's pgaudit: `make test-packages` (Debian, root)")
def test_pgaudit_records_the_tables_and_no_text_of_the_statement(other: Warehouse) -> None:
    hidden = "do $$ begin execute 'select count(*) from fin' || 'ance.dim_dates'; end $$"
    ask(
        other,
        "audited",
        "pbi_finance",
        "select count(*) from finance.fct_supplier_payments inner join finance.dim_suppliers using (supplier_key) "
        f"where payee_name = '{SOUGHT}'",
        "set search_path = finance; select count(*) from dim_cost_centres as a, dim_cost_centres as b",
        hidden,
        "prepare asked as select count(*) from finance.fct_card_payments where payee_name = $1",
        f"execute asked('{SOUGHT}')",
        "select * from highways.fct_defects",
    )
    read_log(other)
    finance = ["dim_suppliers", "fct_supplier_payments", "dim_cost_centres", "dim_dates", "fct_card_payments"]
    assert sorted(reads(other, "audited")) == sorted(("pbi_finance", "finance", table, False) for table in finance)
    assert holding(other, SOUGHT) == set()
    assert not any(SOUGHT in log.read_text() for log in Path(other.environment["SERVER_LOG"]).iterdir())


@needs_debian
def test_pgtap_confirms_the_rights_of_each_reader(existing_postgres: str, other: Warehouse) -> None:
    if not other.sql("select name from pg_available_extensions where name = 'pgtap'"):
        pytest.skip("needs Debian's pgTAP: `make test-packages` (Debian, root)")
    relations = other.sql(
        "select table_schema, table_name, array_agg(column_name::text) from information_schema.columns "
        "where table_schema = any(%s) group by 1, 2",
        ([*ACCESS, *(f"{scope['publish_set']}_{scope['scope']}" for scope in SCOPES)],),
    )
    connection = psycopg2.connect(existing_postgres)
    try:
        with connection.cursor() as cursor:  # nothing is committed
            cursor.execute("create schema pgtap; create extension pgtap schema pgtap; set search_path = pgtap")
            cursor.execute("select no_plan()")
            verdicts = []
            for schema, table, columns in relations:
                for login in LOGINS:
                    rights = ["SELECT"] if may_read(login, schema, table, columns) else []
                    cursor.execute("select table_privs_are(%s, %s, %s, %s::text[])", (schema, table, login, rights))
                    verdicts += [row[0] for row in cursor.fetchall()]
            assert [verdict for verdict in verdicts if not verdict.startswith("ok ")] == []
            assert len(verdicts) == len(relations) * len(LOGINS) > 50
    finally:
        connection.close()


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
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),  # as for a background process in a shell
        )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        end([process])


def end(started: list[subprocess.Popen]) -> None:
    """Stop the processes and their children; Dagster takes half a minute to stop by itself."""
    for process in started:
        os.killpg(process.pid, signal.SIGTERM)
    psutil.wait_procs([psutil.Process(process.pid) for process in started if process.poll() is None], timeout=3)
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(60)


def page(url: str, seconds: int = 300) -> str:
    """Return the answer of the address once its server is up."""
    give_up = time.monotonic() + seconds
    while True:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310
                return answer.read().decode()
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            if time.monotonic() > give_up:
                raise
            time.sleep(0.2)


def graph(address: str) -> list[list[str]]:
    """Return the keys of the assets that Dagster's page shows."""
    answer = json.loads(page(f"{address}/graphql?query={quote('{assetNodes{assetKey{path}}}')}"))
    return [node["assetKey"]["path"] for node in answer["data"]["assetNodes"]]


@pytest.mark.long
def test_the_dagster_page_shows_the_graph(county: Warehouse) -> None:
    with served(county, "dev") as address:
        assert "dagster" in page(address).lower()
        assert ["raw_erp", "ledger_lines"] in graph(address)


def test_the_command_for_development_starts_dagster_on_this_machine_only(
    trial: Trial, definitions: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The short form of the test above: the service files start Dagster, and its page shows the graph."""
    started: list[tuple[str, ...]] = []
    monkeypatch.setattr("commands.main.exec_command", lambda *command: started.append(command))
    done = CliRunner().invoke(main, ["dev", "--port", str(port := free_port())], catch_exceptions=False)
    address = ("--host", "127.0.0.1", "--port", str(port))
    assert (done.exit_code, started) == (0, [("dagster", "dev", "--workspace", f"{ROOT}/workspace.yaml", *address)])


@needs_debian
def test_the_service_files_start_dagster_from_any_folder(other: Warehouse, tmp_path: Path) -> None:
    """The commands of the unit files, with the variables of `warehouse env` and without the administrator's URL."""
    variables = dict(line.split("=", 1) for line in other("env").splitlines())
    settings = {name: json.loads(value) for name, value in variables.items()} | {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(other.root),
        "DBT_TARGET_PATH": str(manifest_folder()),  # Dagster need not parse the project
    }
    assert not [value for value in settings.values() if "administrator" in value]
    port, started, commands = free_port(), [], {}
    for unit in (other.root / "deploy/systemd").iterdir():
        text = unit.read_text().replace("/opt/warehouse", str(other.root)).replace("--port 3000", f"--port {port}")
        (tmp_path / unit.name).write_text(text)
        if found := re.search("^ExecStart=(.+)$", text, re.M):
            commands[unit.stem] = found[1].split()
    verified = subprocess.run(["systemd-analyze", "verify", *tmp_path.iterdir()], capture_output=True, text=True)
    assert (verified.returncode, verified.stderr) == (0, "")
    try:
        for name in ("warehouse-webserver", "warehouse-daemon"):
            with (tmp_path / f"{name}.log").open("w") as log:
                started.append(
                    subprocess.Popen(
                        commands[name], cwd="/", env=settings, stdout=log, stderr=log, start_new_session=True
                    )
                )
        query = (
            "{instance{runQueuingSupported daemonHealth{allDaemonStatuses{required healthy}}}"
            "pipelineRunsOrError{...on Runs{count}}}"
        )
        give_up = time.monotonic() + 240
        while True:
            answer = json.loads(page(f"http://127.0.0.1:{port}/graphql?query={quote(query)}", 240))["data"]
            daemons = [found for found in answer["instance"]["daemonHealth"]["allDaemonStatuses"] if found["required"]]
            if daemons and all(found["healthy"] for found in daemons):
                break
            assert time.monotonic() < give_up, [(log.name, log.read_text()[-2000:]) for log in tmp_path.glob("*.log")]
            time.sleep(0.5)
        assert answer["pipelineRunsOrError"]["count"] > 0, "the history of the first run, in Postgres"
        assert answer["instance"]["runQueuingSupported"], "warehouse/dagster.yaml is used"
        assert ["raw_erp", "ledger_lines"] in graph(f"http://127.0.0.1:{port}")
    finally:
        end(started)


@pytest.mark.skipif(not NGINX, reason="needs nginx: `make test-packages` (Debian, root)")
def test_the_proxy_lets_only_people_pass_who_are_signed_in(tmp_path: Path) -> None:
    """Behind the proxy are stand-ins: a sign-on that knows one cookie, and a page that shows the name it is given."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            signed_in = self.headers["Cookie"] == "session=good"
            self.send_response(200 if self.path != "/oauth2/auth" or signed_in else 401)
            self.send_header("X-Auth-Request-User", "a.person")
            self.end_headers()
            self.wfile.write(f"{self.path} for {self.headers['X-Forwarded-User']}".encode())

        def log_message(self, *_: object) -> None:
            pass

    behind, secure, plain = ThreadingHTTPServer(("127.0.0.1", 0), Answers), free_port(), free_port()
    certificate = ("-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=warehouse.example")
    keys = ("-keyout", tmp_path / "key.pem", "-out", tmp_path / "certificate.pem")
    subprocess.run(["openssl", "req", *certificate, *keys], check=True, capture_output=True)
    site = (ROOT / "deploy/nginx.conf").read_text().replace("/etc/ssl/warehouse", str(tmp_path))
    site = re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{behind.server_port}", site)
    site = site.replace("listen 80", f"listen 127.0.0.1:{plain}").replace("listen 443", f"listen 127.0.0.1:{secure}")
    main = (
        f"pid {tmp_path}/pid; daemon off; error_log {tmp_path}/error.log; events {{}} http {{ access_log off; {site} }}"
    )
    (tmp_path / "nginx.conf").write_text(main)
    command = [NGINX, "-c", str(tmp_path / "nginx.conf"), "-p", str(tmp_path)]
    subprocess.run([*command, "-t"], check=True, capture_output=True)
    pool = urllib3.PoolManager(
        cert_reqs="CERT_NONE", retries=urllib3.Retry(connect=20, backoff_factor=0.05, redirect=0)
    )
    Thread(target=behind.serve_forever, daemon=True).start()
    proxy = subprocess.Popen(command)
    try:
        for place in ("/runs", "/documentation/", "/graphql"):
            ask = partial(pool.request, "GET", f"https://127.0.0.1:{secure}{place}", redirect=False)
            refused = ask(headers={"X-Forwarded-User": "intruder"})
            assert (refused.status, "/oauth2/sign_in" in refused.headers["Location"]) == (302, True)
            passed = ask(headers={"Cookie": "session=good", "X-Forwarded-User": "intruder"})
            assert passed.status == 200
            assert "intruder" not in passed.data.decode()
        assert passed.data.decode() == "/graphql for a.person"
        assert pool.request("GET", f"http://127.0.0.1:{plain}/", redirect=False).status == 301
    finally:
        proxy.terminate()
        proxy.wait(30)
        behind.shutdown()
        behind.server_close()


class Site:
    """The documentation site in Chromium; counts the clicks since the first page."""

    def __init__(self, driver: webdriver.Chrome, address: str):
        self.driver, self.clicks = driver, 0
        driver.implicitly_wait(30)
        driver.get(address)
        driver.find_element(By.XPATH, '//h1[.="Worcestershire\'s data warehouse"]')

    def start(self) -> None:
        """Goes back to the first page."""
        self.driver.find_element(By.CSS_SELECTOR, ".app-header a").click()
        self.clicks = 0

    def search(self, words: str) -> list[str]:
        """Types words into the search box; returns the names of the results."""
        box = self.driver.find_element(By.ID, "search")
        box.click()
        self.clicks += 1
        typed = "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input'))"
        self.driver.execute_script(typed, box, words)  # the page would search again after each letter
        script = "return [...document.querySelectorAll('.search-result h4 > span')].map(name => name.textContent)"
        return self.driver.execute_script(script)

    def open(self, text: str, shown: str, kind: str = "self::a or self::h4") -> str:
        """Clicks a link or a search result; returns the text of the page, once `shown` is part of it."""
        choice = f'*[{kind}][normalize-space()="{text}" or normalize-space(span)="{text}"]'
        found = self.driver.find_elements(By.XPATH, f"//div[contains(@class, 'app-content')]//{choice}")
        next(element for element in found if element.is_displayed()).click()
        self.clicks += 1
        WebDriverWait(self.driver, 30).until(lambda _: shown in self.text, f"{text} does not show: {shown}")
        return self.text

    @property
    def text(self) -> str:
        """The text of the page, without the tree."""
        text = self.driver.execute_script("return document.querySelector('.app-content').innerText")
        return " ".join(text.split())


@pytest.fixture
def chromium() -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for option in ("headless", "no-sandbox", "disable-dev-shm-usage", "window-size=1280,900"):
        options.add_argument(f"--{option}")
    driver = webdriver.Chrome(options, Service(CHROMEDRIVER))
    try:
        yield driver
    finally:
        driver.quit()


@needs_chromium
def test_the_documentation_answers_an_analysts_questions_in_three_clicks(
    warehouse: Warehouse, chromium: webdriver.Chrome
) -> None:
    with served(warehouse, "docs") as address:
        manifest = json.loads(page(f"{address}/manifest.json"))
        assert '"schema": "finance"' in page(f"{address}/catalog.json")
        tables = {node["name"]: node for node in manifest["nodes"].values() if node["resource_type"] == "model"}
        site = Site(chromium, address)

        # What is a set? What does the warehouse hold?
        text = site.text
        assert "A publish set is a data product: a group of tables" in text
        for name, access in ACCESS.items():
            assert f"{name} {access.purpose}. Owner: {access.owner}, {access.email}" in text
        assert site.search("set")[0] == "terms"
        site.open("terms", "publish set a data product")

        # Which table? Published tables come before pages and reports; staging and conformed models do not appear
        for word, wanted in WORDS.items():
            found = site.search(word)
            assert wanted in found[:3], (word, found)
            assert not [name for name in found if "__" in name or name.startswith(("raw_", "int_"))], (word, found)

        # Who owns it? May I see it? Is there personal data? Which reports use it?
        site.start()
        site.search("looked after children")
        owner = ACCESS["children"]
        text = site.open("children.fct_looked_after_months", f"Owner {owner.owner}, {owner.email}")
        assert "Personal data Yes, contains or summarises personal data (class personal)" in text
        assert "Who may read it pbi_children: every row" in text
        assert f"How to ask for access Write to {owner.email}. The owner decides." in text
        assert "ACCESS" not in text
        assert "svc_" not in text
        site.open("Children's social care", "Power BI report")
        assert site.clicks == 3

        # What does days lost per FTE mean?
        site.start()
        site.search("sickness")
        site.open("workforce.rpt_days_lost_per_fte", "Personal data Yes")
        meaning = tables["workforce.rpt_days_lost_per_fte"]["columns"]["Days lost per FTE"]["description"]
        site.open("Days lost per FTE", f"Description {meaning}", "self::span[contains(@class, 'text-dark')]")
        assert site.clicks == 3

        # A table is one click from the first page, and so is what is not held
        site.start()
        scope = "pbi_highways_redditch: rows with district_code E07000236, in schema highways_redditch"
        site.open("highways.fct_defects", f"every row; {scope}")
        site.start()
        site.open("workforce.fct_absences", "(class special_category)")
        site.start()
        site.open("education.fct_attendance_weeks", "(class personal)")  # a pupil's key is personal data
        site.start()
        site.open("finance.dim_dates", "No (class none)")
        site.start()
        site.open("not held", "deprivation IMD")
