"""Loads into a real warehouse from sources that misbehave: what cannot be had whole does not land at all."""

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from conftest import Warehouse

REPORTS = 4
LOAD = (
    "from ingestion.contracts import read_contracts, SourceError\n"
    "from ingestion.pipeline import load_system\n"
    "try:\n"
    "    print([(landing.table, landing.rows) for landing in load_system(read_contracts()['{}'])])\n"
    "except SourceError as error:\n"
    "    print('refused:', error)\n"
)


class FrontDoor(BaseHTTPRequestHandler):
    """Serves four reports newer than the `others`, one on a page; the page with report `broken` answers 500."""

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
        """Says nothing."""


@pytest.fixture
def front_door() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), FrontDoor)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_an_api_with_a_failing_page_lands_whole_or_not_at_all(warehouse: Warehouse, front_door: str) -> None:
    def load() -> str:
        once = {"RUNTIME__REQUEST_MAX_ATTEMPTS": "1"}
        return warehouse("exec", "--", "python", "-c", LOAD.format("open311"), OPEN311_URL=front_door, **once)

    count = "select count(*) from raw_open311.service_requests"
    before = FrontDoor.others = warehouse.sql(count)[0][0]
    ((last,),) = warehouse.sql("select max(landing_id) from governance.landings")
    try:
        assert (
            "refused: raw_open311: extract failed (OPEN311_URL says where it is): requests.json answered 500" in load()
        )
        assert warehouse.sql(count)[0][0] == before
        FrontDoor.broken = None
        assert f"[('service_requests', {REPORTS})]" in load()
        assert warehouse.sql(count)[0][0] == before + REPORTS
        assert "[('service_requests', 0)]" in load(), "what landed does not land again"
    finally:
        FrontDoor.broken = 3
        warehouse.sql("delete from raw_open311.service_requests where service_request_id like 'new-%'")
        warehouse.sql("delete from governance.landings where system = 'raw_open311' and landing_id > %s", (last,))


def test_a_system_is_loaded_by_one_run_at_a_time(warehouse: Warehouse) -> None:
    import psycopg2

    holder = psycopg2.connect(warehouse.url)
    with holder.cursor() as cursor:
        cursor.execute("select pg_advisory_lock(hashtext('load raw_reference'))")
        printed = warehouse("exec", "--", "python", "-c", LOAD.format("reference"))
    holder.close()
    assert "refused: raw_reference is being loaded by another run" in printed


def test_a_source_that_is_suddenly_empty_does_not_empty_its_table(warehouse: Warehouse) -> None:
    confirm = warehouse.url.rsplit("/", 1)[0] + "/confirm"
    before = warehouse.sql("select count(*) from raw_confirm.site")
    try:
        warehouse.sql("create table kept as select * from site; delete from site", url=confirm)
        printed = warehouse("exec", "--", "python", "-c", LOAD.format("confirm"))
        assert "refused: raw_confirm.site: the source is empty and the warehouse 1,200 (landed" in printed
        assert warehouse.sql("select count(*) from raw_confirm.site") == before
    finally:
        warehouse.sql("insert into site select * from kept; drop table kept", url=confirm)


def test_rows_that_change_in_the_source_arrive_and_only_they(warehouse: Warehouse) -> None:
    confirm = warehouse.url.rsplit("/", 1)[0] + "/confirm"
    ((number, was),) = warehouse.sql(
        "select enquiry_number, last_updated_time from central_enquiry order by enquiry_number limit 1", url=confirm
    )
    change = "update central_enquiry set last_updated_time = %s where enquiry_number = %s"
    local = "last_updated_time at time zone 'Europe/London'"
    landed = f"select {local} from raw_confirm.central_enquiry where enquiry_number = %s"
    count = "select count(*) from raw_confirm.central_enquiry"
    before, moment = warehouse.sql(count), datetime(2026, 11, 1, 9, 30)
    try:
        warehouse.sql(change, (moment, number), url=confirm)
        printed = warehouse("exec", "--", "python", "-c", LOAD.format("confirm"))
        assert "('central_enquiry', 1), ('enquiry_customer', 0), ('enquiry_status_log', 0)" in printed
        assert warehouse.sql(landed, (number,)) == [(moment,)]
        assert warehouse.sql(count) == before
    finally:
        warehouse.sql(change, (was, number), url=confirm)
        back = "update raw_confirm.central_enquiry set last_updated_time = %s at time zone 'Europe/London'"
        warehouse.sql(back + " where enquiry_number = %s", (was, number))


def test_nothing_of_an_extract_stays_in_the_working_folder(warehouse: Warehouse) -> None:
    assert [path for path in (warehouse.home / "dlt").rglob("*") if path.is_file()] == []
