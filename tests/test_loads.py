"""Loads from faulty sources into a real warehouse: an incomplete extract is not loaded at all."""

import json
import re
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import psycopg2
import pytest

from ingestion import pipeline
from ingestion.contracts import SourceError
from tests.support import Trial, Warehouse

REPORTS = 4


class ReportServer(BaseHTTPRequestHandler):
    """Serve four reports newer than the `others`, one on a page; the page with report `broken` answers 500."""

    broken: int | None = 3
    others = 0

    def do_GET(self) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        since = datetime.fromisoformat(asked.get("updated_after", ["2026-11-01T09:00:00Z"])[0])
        reports = [
            {
                "service_request_id": f"new-{number}",
                "service_code": "POT",
                "service_name": "Pothole",
                "status": "open",
                "description": "A hole",
                "requested_datetime": "2026-11-01T08:00:00Z",
                "updated_datetime": f"2026-11-01T09:00:0{number}+00:00",
                "lat": 52.19,
                "long": -2.22,
            }
            for number in range(1, REPORTS + 1)
            if datetime(2026, 11, 1, 9, 0, number, tzinfo=UTC) >= since
        ]
        number = int(asked["page"][0])
        page = reports[number - 1 : number]
        fails = any(report["service_request_id"] == f"new-{self.broken}" for report in page)
        self.send_response(500 if fails else 200)
        self.end_headers()
        if not fails:
            answer = {"requests": page, "page": number, "pages": len(reports), "total": self.others + REPORTS}
            self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *words: object) -> None:
        """Log nothing."""


@pytest.fixture
def report_server() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), ReportServer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_an_api_extract_with_a_failing_page_is_not_committed(county: Warehouse, report_server: str) -> None:
    def load() -> dict[str, int]:
        return county.load("open311", OPEN311_URL=report_server, RUNTIME__REQUEST_MAX_ATTEMPTS="1")

    count = "select count(*) from raw_open311.service_requests"
    before = ReportServer.others = county.sql(count)[0][0]
    ReportServer.broken = 3
    where = r"raw_open311: extract failed \(check OPEN311_URL\): requests.json answered 500"
    with pytest.raises(SourceError, match=where):
        load()
    assert county.sql(count)[0][0] == before
    ReportServer.broken = None
    assert load() == {"service_requests": REPORTS}
    assert county.sql(count)[0][0] == before + REPORTS
    assert load() == {"service_requests": 0}, "loaded rows are not loaded again"


def test_a_system_has_one_load_at_a_time(trial: Trial) -> None:
    trial.source("create table cases (id bigint)")
    with closing(psycopg2.connect(trial.url)) as holder:
        holder.cursor().execute("select governance.take_load_lock('raw_trial')")
        with pytest.raises(SourceError, match="raw_trial is being loaded by another run"):
            trial.load({"name": "cases", "columns": {"id": "bigint"}, "load": "replace"})


def test_a_load_ends_its_lock_before_it_closes_the_connection(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server may notice a closed connection late, and refuses the next load until then."""
    open_at_close = []

    class Observed(psycopg2.extensions.connection):
        def close(self) -> None:
            open_at_close.append(self.info.transaction_status != psycopg2.extensions.TRANSACTION_STATUS_IDLE)
            super().close()

    monkeypatch.setattr(psycopg2, "connect", partial(psycopg2.connect, connection_factory=Observed))
    trial.source("create table cases (id bigint)")
    trial.load({"name": "cases", "columns": {"id": "bigint"}, "load": "replace"})
    assert open_at_close
    assert not any(open_at_close)


def test_a_connection_lost_after_the_commit_is_reported_in_one_line(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    load, notes = pipeline._load, {"name": "notes", "columns": {"id": "bigint"}, "load": "replace"}

    def lose_connection(*words: Any) -> Any:
        results = load(*words)
        trial.sql("select pg_terminate_backend(%s, 10000)", (words[-1].info.backend_pid,))
        return results

    trial.source("create table notes (id bigint); insert into notes values (1)")
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "_load", lose_connection)
        with pytest.raises(SourceError) as refused:
            trial.load(notes)
    assert re.fullmatch(r"raw_trial: load failed: \S.*", str(refused.value))
    assert trial.sql("select id from raw_trial.notes") == [(1,)]
    trial.load(notes)


def test_an_empty_source_does_not_empty_its_table(county: Warehouse) -> None:
    before = county.sql("select count(*) from raw_confirm.site")
    county.sql("delete from site", url=county.source("confirm"))
    refusal = re.escape("raw_confirm.site: 0 rows instead of 1,200 (loaded")
    with pytest.raises(SourceError, match=refusal):
        county.load("confirm")
    assert county.sql("select count(*) from raw_confirm.site") == before


def test_exactly_the_rows_changed_at_source_are_loaded(county: Warehouse) -> None:
    confirm, moment = county.source("confirm"), datetime(2026, 11, 1, 9, 30)
    ((number,),) = county.sql("select min(enquiry_number) from central_enquiry", url=confirm)
    change = "update central_enquiry set last_updated_time = %s where enquiry_number = %s"
    local = "last_updated_time at time zone 'Europe/London'"
    landed = f"select {local} from raw_confirm.central_enquiry where enquiry_number = %s"
    count = "select count(*) from raw_confirm.central_enquiry"
    before = county.sql(count)
    county.sql(change, (moment, number), url=confirm)
    rows = county.load("confirm")
    assert {table: rows[table] for table in ("central_enquiry", "enquiry_customer", "enquiry_status_log")} == {
        "central_enquiry": 1,
        "enquiry_customer": 0,
        "enquiry_status_log": 0,
    }
    assert county.sql(landed, (number,)) == [(moment,)]
    assert county.sql(count) == before


def test_no_file_of_an_extract_stays_in_the_working_folder(warehouse: Warehouse) -> None:
    assert [path for path in (warehouse.home / "dlt").rglob("*") if path.is_file()] == []
