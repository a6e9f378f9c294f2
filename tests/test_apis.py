"""HTTP APIs that change during a read, refuse, disconnect or answer with errors: no row is lost without a message."""

import json
import random
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pyarrow as pa
import pytest
from click.testing import CliRunner

from commands.main import main
from demo import api_server, highways
from ingestion.apis import _auth, _http, child_rows, open311
from ingestion.contract_yaml import ContractError
from ingestion.contracts import DriftError, SourceError, System, Table, read_contracts
from ingestion.json_rows import parse_json, rows_to_arrow
from ingestion.tables import conform

PERSONAL, SECRET, TOKEN, PASSWORD = "Mrs Marigold", "s3cret-of-client", "t0ken", "passw0rd"


class Api(ThreadingHTTPServer):
    """A server of reports in the order of their last change, at most `cap` on a page.

    `faults` replace answers, one for each request; `meanwhile` runs after each answer is made.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.reports: dict[str, dict] = {}
        self.now = datetime(2026, 11, 1, 9, tzinfo=UTC)
        self.cap = 3
        self.asked: list[tuple[float, dict, dict[str, str]]] = []
        self.faults: list[Callable[[Handler], None]] = []
        self.forever: Callable[[Handler], None] | None = None
        self.meanwhile: Callable[[], object] = lambda: None
        self.at_the_end: dict[str, str] = {}  # names and times when the last empty page was served
        self.ended = threading.Event()
        self.lifetime: int | None = None  # number of requests that a token is valid for; None: no token is needed
        self.says_expiry: int = 3600
        self.tokens = self.left = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def change(self, *names: str, **fields: object) -> None:
        """Add or change reports, all at one new time."""
        self.now += timedelta(seconds=1)
        for name in names:
            fixed = {"service_request_id": name, "description": PERSONAL, "lat": 52.19, "long": -2.22}
            self.reports[name] = fixed | {"updated_datetime": self.now.isoformat()} | fields

    def answer(self, asked: dict[str, str]) -> dict:
        since = datetime.fromisoformat(asked.get("updated_after", "1970-01-01T00:00:00+00:00"))
        rows = [row for row in self.reports.values() if datetime.fromisoformat(row["updated_datetime"]) >= since]
        rows.sort(key=lambda row: (row["updated_datetime"], row["service_request_id"]))
        size = min(self.cap, int(asked["page_size"]))
        first = size * (int(asked["page"]) - 1)
        if first >= len(rows):
            self.at_the_end = {name: row["updated_datetime"] for name, row in self.reports.items()}
        return {"requests": rows[first : first + size], "pages": -(-len(rows) // size), "total": len(rows)}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    server: Api

    def do_GET(self) -> None:
        api, asked = self.server, dict(parse_qsl(urlsplit(self.path).query))
        api.asked.append((time.monotonic(), asked, dict(self.headers)))
        if api.faults:
            api.faults.pop(0)(self)
        elif api.forever:
            api.forever(self)
        elif api.lifetime is not None and (
            self.headers.get("Authorization") != f"Bearer {TOKEN}{api.tokens}" or not api.left
        ):
            self.send(401, b"{}")
        else:
            api.left -= 1
            body = json.dumps(api.answer(asked)).encode()
            api.meanwhile()
            self.send(200, body)

    def do_POST(self) -> None:
        given = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
        api = self.server
        if api.faults:
            api.faults.pop(0)(self)
        elif (given["client_id"], given["client_secret"]) != ("county", SECRET):
            self.send(401, json.dumps({"error": "invalid_client", "secret": given["client_secret"]}).encode())
        else:
            api.tokens, api.left = api.tokens + 1, api.lifetime
            said = {"access_token": f"{TOKEN}{api.tokens}", "expires_in": api.says_expiry}
            self.send(200, json.dumps(said).encode())

    def send(self, status: int, body: bytes, length: int | None = None, **headers: str) -> None:
        """Send an answer; if `length` is wrong, or -1 for none, close the connection after the body."""
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if length != -1:
            self.send_header("Content-Length", str(len(body) if length is None else length))
        if length is not None:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        """Log nothing."""


def answers(status: int, body: bytes = b"{}", length: int | None = None, **headers: str) -> Callable[[Handler], None]:
    return lambda handler: handler.send(status, body, length, **headers)


def silence(handler: Handler) -> None:
    handler.server.ended.wait(5)
    handler.close_connection = True


def dripping(handler: Handler) -> None:
    handler.send(200, b"{", -1)
    while not handler.server.ended.wait(0.05):
        handler.wfile.write(b" ")
        handler.wfile.flush()


def stopping(handler: Handler) -> None:
    handler.send(200, b'{"requests"', -1)
    handler.wfile.flush()
    silence(handler)


SILENT = (silence, stopping, dripping)
HTML = answers(200, f"<html>Sign in, {PERSONAL}</html>".encode())
DROPPED = answers(200, b'{"requests": [', 5000)
TRUNCATED = answers(200, f'{{"requests": [{{"description": "{PERSONAL}'.encode(), -1)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    for form in _auth.AUTH.values():
        for name in form:
            monkeypatch.delenv(f"OPEN311_{name}", raising=False)
    for name, value in {"MAX_ATTEMPTS": "3", "BACKOFF_FACTOR": "0.01", "TIMEOUT": "10"}.items():
        monkeypatch.setenv(f"RUNTIME__REQUEST_{name}", value)
    with Api() as api:
        thread = threading.Thread(target=partial(api.serve_forever, 0.02))
        thread.start()
        for number in range(10):
            api.change(f"r{number}")
        yield api
        api.ended.set()
        api.shutdown()
        thread.join()


@pytest.fixture
def login(api: Api, monkeypatch: pytest.MonkeyPatch) -> Api:
    """The server, with tokens required."""
    api.lifetime = 1000
    monkeypatch.setenv("OPEN311_TOKEN_URL", f"{api.url}/token")
    monkeypatch.setenv("OPEN311_CLIENT_ID", "county")
    monkeypatch.setenv("OPEN311_CLIENT_SECRET", SECRET)
    return api


def read(api: Api, since: datetime | None = None) -> list[dict]:
    return [row for page in open311.service_requests(api.url, since) for row in page]


def names(rows: list[dict]) -> list[str]:
    return sorted(row["service_request_id"] for row in rows)


def refusal(call: Callable[[], object]) -> str:
    """Return the message of the refusal: one line that names the system and holds no secret or value."""
    with pytest.raises(SourceError) as refused:
        call()
    printed = "".join(traceback.format_exception(refused.value))
    for hidden in (PERSONAL, SECRET, TOKEN, PASSWORD, "page_size=", "updated_after=", "127.0.0.1"):
        assert hidden not in printed
    assert "\n" not in str(refused.value)
    words = str(refused.value)
    assert words.startswith("raw_open311: extract failed (check OPEN311_URL): ")
    return words.split(": ", 2)[2]


def read_by_page_numbers(api: Api) -> list[dict]:
    """Read pages by number, as is usual."""
    rows, number, pages = [], 1, 1
    while number <= pages:
        path = {"page": number, "page_size": 500}
        answer = _http.HttpApi("open311", api.url).get("requests.json", path)
        rows, number, pages = rows + answer["requests"], number + 1, int(answer["pages"])
    return rows


def once(change: Callable[[], object], after: int = 1) -> Callable[[], None]:
    """Return a function that makes the change after so many answers."""
    left = [after]

    def meanwhile() -> None:
        left[0] -= 1
        if left[0] == 0:
            change()

    return meanwhile


def update_insert_delete(api: Api) -> None:
    api.change("r0", status="closed")
    api.change("r98")
    del api.reports["r1"], api.reports["r2"]


@pytest.mark.parametrize("cap", [1, 2, 3, 7, 500])
def test_no_row_is_lost_when_rows_change_between_two_pages(api: Api, cap: int) -> None:
    api.cap = cap
    api.meanwhile = once(lambda: update_insert_delete(api))
    rows = read(api)
    assert set(api.reports) <= set(names(rows))
    assert len({json.dumps(row) for row in rows}) == len(rows), "a row is read twice only if it has changed"
    latest = {row["service_request_id"]: row for row in rows}
    assert latest["r0"]["updated_datetime"] == api.reports["r0"]["updated_datetime"]


def test_page_numbers_would_lose_a_row(api: Api) -> None:
    api.meanwhile = once(lambda: update_insert_delete(api))
    assert {"r3", "r4", "r5"} & (set(api.reports) - set(names(read_by_page_numbers(api)))), (
        "or the other tests prove nothing"
    )


@pytest.mark.parametrize("after", range(1, 7))
def test_rows_with_one_timestamp_are_not_lost_when_another_row_leaves_a_page(api: Api, after: int) -> None:
    everything = [f"r{number}" for number in range(10)]
    api.change(*everything)  # as a bulk update does
    api.meanwhile = once(lambda: api.reports.pop("r0"), after)
    assert set(names(read(api))) >= set(everything[1:])


def test_no_row_is_lost_after_random_changes_between_pages(api: Api) -> None:
    for seed in range(20):
        chance = random.Random(seed)
        api.reports.clear()
        api.cap = chance.choice([1, 2, 3, 5])
        for number in range(chance.randrange(12)):
            api.change(*(f"r{number}-{twin}" for twin in range(chance.choice([1, 1, 2, 6]))))
        left = [8]

        def meanwhile(chance: random.Random = chance, left: list[int] = left) -> None:
            left[0] -= 1
            some = chance.sample(sorted(api.reports), min(len(api.reports), chance.randrange(4)))
            if left[0] >= 0 and some:
                api.change(*some[1:], f"new-{left[0]}", status=str(left[0]))
                del api.reports[some[0]]

        api.meanwhile = meanwhile
        rows = read(api)
        held = {row["service_request_id"]: row["updated_datetime"] for row in rows}  # as an upsert leaves it
        now = {name: row["updated_datetime"] for name, row in api.reports.items()}
        assert now.items() & api.at_the_end.items() <= held.items(), seed
        assert len({json.dumps(row) for row in rows}) == len(rows), seed


def test_only_rows_changed_since_the_cursor_are_read(api: Api) -> None:
    since = datetime.fromisoformat(api.reports["r6"]["updated_datetime"])
    assert names(read(api, since)) == ["r6", "r7", "r8", "r9"]
    assert names(read(api, since - timedelta(microseconds=1))) == ["r6", "r7", "r8", "r9"]
    assert read(api, api.now + timedelta(seconds=1)) == []


def test_the_demo_api_server_is_read_completely(api: Api, tmp_path: Path) -> None:
    api.change(*(f"bulk-{number}" for number in range(1200)))
    requests = [api.reports[name] for name in sorted(api.reports, key=lambda name: (len(name), name))]
    file = tmp_path / "apis.sqlite"
    api_server.fill(file, "open311", highways.RESOURCES, (("requests.json", request) for request in requests))
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(api_server.ApiHandler, file)) as server:
        threading.Thread(target=partial(server.serve_forever, 0.02), daemon=True).start()
        location = f"http://127.0.0.1:{server.server_port}/open311"
        rows = [row for page in open311.service_requests(location, None) for row in page]
        assert open311.count("service_requests", location) == 1210
        server.shutdown()
    assert names(rows) == sorted(api.reports)


def test_wrong_page_counts_and_totals_are_ignored(api: Api) -> None:
    for pages, total in ((1, 0), (0, -3), (10**9, 10**9), ("?", None)):
        right = api.answer
        api.answer = lambda asked, right=right, lie=(pages, total): (
            right(asked) | dict(zip(("pages", "total"), lie, strict=True))
        )
        assert len(read(api)) == 10


def test_the_source_reports_its_row_count(api: Api) -> None:
    assert open311.count("service_requests", api.url) == 10
    del api.reports["r3"]
    assert open311.count("service_requests", api.url) == 9
    for lie in (
        b"{}",
        b"[]",
        b'{"total": -1}',
        b'{"total": "9"}',
        b'{"total": 9.5}',
        b'{"total": true}',
        b'{"total": ' + b"9" * 5000 + b"}",
    ):
        api.faults = [answers(200, lie)]
        assert "no whole number `total`" in refusal(lambda: open311.count("service_requests", api.url))


def test_retry_after_is_respected(api: Api) -> None:
    api.faults = [answers(429, Retry_After="1")]
    assert len(read(api)) == 10
    assert 1 <= api.asked[1][0] - api.asked[0][0] < 9, "not the usual waits of a retry, and not the timeout"


@pytest.mark.parametrize(
    "fault", [answers(500), answers(503), answers(429), DROPPED, TRUNCATED, HTML, silence, dripping]
)
def test_a_temporary_api_error_loses_no_row(
    api: Api, monkeypatch: pytest.MonkeyPatch, fault: Callable[[Handler], None]
) -> None:
    if fault in SILENT:
        monkeypatch.setenv("RUNTIME__REQUEST_TIMEOUT", "0.3")
        monkeypatch.setenv("RUNTIME__REQUEST_MAX_ATTEMPTS", "9")  # a busy machine may be silent too

    def meanwhile() -> None:
        api.faults = [fault] if len(api.asked) == 3 else []

    api.faults, api.meanwhile = [fault, fault], meanwhile
    assert names(read(api)) == sorted(api.reports)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (answers(500, PERSONAL.encode()), "requests.json answered 500"),
        (answers(404, PERSONAL.encode()), "requests.json answered 404"),
        (answers(401, PERSONAL.encode()), "requests.json answered 401"),
        (answers(429, Retry_After="0"), "requests.json answered 429"),
        (HTML, "requests.json answered 200 with incomplete JSON"),
        (TRUNCATED, "requests.json answered 200 with incomplete JSON"),
        (answers(204, b""), "requests.json answered 204 with incomplete JSON"),
        (answers(200, b"\xe9"), "requests.json answered 200 with incomplete JSON"),
        (answers(200, b"[" * 100_000), "requests.json answered 200 with incomplete JSON"),
        (answers(302, b"", Location="/requests.json?page_size=1"), "requests.json: TooManyRedirects"),
        (DROPPED, "requests.json: ChunkedEncodingError"),
        (answers(200, b"no gzip", Content_Encoding="gzip"), "requests.json: ChunkedEncodingError"),
        (silence, "requests.json: ReadTimeout"),
        (stopping, "requests.json: ReadTimeout"),
        (dripping, "requests.json: ReadTimeout"),
        (answers(200, b'{"reports": []}'), "requests.json has no list `requests` of objects"),
        (answers(200, b'{"requests": ["r0"]}'), "requests.json has no list `requests` of objects"),
        (answers(200, b'{"requests": {}}'), "requests.json has no list `requests` of objects"),
        (answers(200, b"null"), "requests.json has no list `requests` of objects"),
        (answers(200, b'{"requests": [{}]}'), "requests.json has no `updated_datetime` that is an ISO 8601 time"),
        (
            answers(200, b'{"requests": [{"updated_datetime": "2026-11-01T09:00:00"}]}'),
            "requests.json has no `updated_datetime` that is an ISO 8601 time with an offset",
        ),
        (
            answers(200, b'{"requests": [{"updated_datetime": "2026-11-02Z"}, {"updated_datetime": "2026-11-01Z"}]}'),
            "requests.json has no `updated_datetime`",
        ),
    ],
)
def test_a_permanent_api_error_is_reported_in_one_line(
    api: Api, monkeypatch: pytest.MonkeyPatch, fault: Callable[[Handler], None], says: str
) -> None:
    monkeypatch.setenv("RUNTIME__REQUEST_MAX_ATTEMPTS", "2")
    if fault in SILENT:
        monkeypatch.setenv("RUNTIME__REQUEST_TIMEOUT", "0.5")
    api.meanwhile = lambda: setattr(api, "forever", fault)
    assert says in refusal(lambda: read(api))


def test_rows_out_of_order_are_refused(api: Api) -> None:
    right = api.answer
    api.answer = lambda asked: {"requests": right(asked)["requests"][::-1]}
    assert "requests.json is not in the order of `updated_datetime`" in refusal(lambda: read(api))


def test_one_report_without_a_time_does_not_stop_the_others(api: Api) -> None:
    right, broken = api.answer, {"service_request_id": "broken", "updated_datetime": "yesterday"}
    api.answer = lambda asked: {"requests": [broken, *right(asked)["requests"]]}
    right_then_nothing = api.answer

    def answer(asked: dict) -> dict:
        found = right_then_nothing(asked)["requests"]
        return {"requests": found if len(found) > 1 else []}

    api.answer = answer
    assert set(names(read(api))) == {*api.reports, "broken"}


def test_an_unreachable_api_or_missing_address_is_reported_in_one_line(api: Api) -> None:
    closed = api.url.replace(str(api.server_port), "9")
    for location, says in (
        (closed, "ConnectionError"),
        (f"http://user:{PASSWORD}@127.0.0.1:9", "ConnectionError"),
        ("somewhere", "MissingSchema"),
        ("http://[", "InvalidURL"),
    ):
        said = refusal(lambda location=location: list(open311.service_requests(location, None)))
        assert said == f"requests.json: {says}"


def test_an_endless_response_is_refused(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_http, "MAX_RESPONSE_BYTES", 1000)
    api.faults = [answers(200, b" " * 2000)]
    assert refusal(lambda: read(api)) == "requests.json: ResponseTooLargeError"


@pytest.mark.parametrize("always_new", [False, True])
def test_a_server_that_repeats_one_page_forever_is_refused(api: Api, always_new: bool) -> None:
    api.answer = lambda _: {"requests": list(api.reports.values())[:3]}
    if always_new:
        api.meanwhile = lambda: api.change("r0", "r1", "r2")
    assert "requests.json returned the same rows 10 times in a row" in refusal(lambda: read(api))
    assert len(api.asked) <= 12


def test_no_token_is_requested_without_its_variables(api: Api) -> None:
    read(api)
    assert {headers.get("Authorization") for _, _, headers in api.asked} == {None}


@pytest.mark.parametrize(("lifetime", "says_expiry"), [(2, 3600), (1, 3600), (1000, 0)])
def test_a_token_that_expires_between_pages_is_renewed(login: Api, lifetime: int, says_expiry: int) -> None:
    login.lifetime, login.says_expiry = lifetime, says_expiry
    assert names(read(login)) == sorted(login.reports), "no row lost, no row duplicated"
    assert login.tokens > 2
    assert open311.count("service_requests", login.url) == 10


def test_one_token_is_used_for_many_pages_and_its_request_is_retried(login: Api) -> None:
    login.faults = [answers(503), HTML]
    assert len(read(login)) == 10
    assert login.tokens == 1


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        (
            answers(400, SECRET.encode()),
            "OPEN311_TOKEN_URL answered 400; check OPEN311_CLIENT_ID and OPEN311_CLIENT_SECRET",
        ),
        (answers(503), "OPEN311_TOKEN_URL answered 503"),
        (HTML, "OPEN311_TOKEN_URL gave no token: JSONDecodeError"),
        (answers(200, b"{}"), "OPEN311_TOKEN_URL gave no token: KeyError"),
        (answers(200, f'["{TOKEN}"]'.encode()), "OPEN311_TOKEN_URL gave no token"),
        (answers(200, f'{{"access_token": ["{TOKEN}"]}}'.encode()), "OPEN311_TOKEN_URL gave no token"),
        (answers(200, f'{{"access_token": "{TOKEN}", "expires_in": "soon"}}'.encode()), "gave no token: ValueError"),
        (answers(200, f'{{"access_token": "{TOKEN}", "expires_in": null}}'.encode()), "gave no token: TypeError"),
        (DROPPED, "OPEN311_TOKEN_URL gave no token: ChunkedEncodingError"),
    ],
)
def test_a_refused_token_is_reported_in_one_line(login: Api, fault: Callable[[Handler], None], says: str) -> None:
    login.faults = [fault] * 3
    assert says in refusal(lambda: read(login))


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_to_another_host_receives_no_secret(login: Api, status: int) -> None:
    elsewhere = answers(status, b"", Location=login.url.replace("127.0.0.1", "localhost") + "/requests.json?page=1")
    login.faults = [elsewhere]
    assert "OPEN311_TOKEN_URL gave no token: OtherHostError" in refusal(lambda: read(login))
    assert login.tokens == 0
    login.faults = [answers(200, f'{{"access_token": "{TOKEN}1", "expires_in": 60}}'.encode()), elsewhere]
    assert "requests.json: OtherHostError" in refusal(lambda: read(login))
    assert len(login.asked) == 1, "the redirect was not followed"


@pytest.mark.parametrize("variable", ["OPEN311_URL", "OPEN311_TOKEN_URL"])
def test_an_api_is_read_over_https_unless_it_is_on_this_machine(
    login: Api, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv("OPEN311_TOKEN_URL", "http://example.org" if "TOKEN" in variable else login.url)
    place = "http://example.org" if variable == "OPEN311_URL" else login.url
    with pytest.raises(SourceError, match=f"raw_open311: {variable} must begin with https://"):
        list(open311.service_requests(place, None))


def test_a_token_that_cannot_be_renewed_is_reported_in_one_line(login: Api) -> None:
    login.says_expiry = 0
    login.meanwhile = lambda: login.faults.extend([answers(403)])
    assert "OPEN311_TOKEN_URL answered 403" in refusal(lambda: read(login))


@pytest.mark.parametrize(
    ("variables", "sent"),
    [
        ({"KEY": SECRET}, ("X-API-Key", SECRET)),
        ({"KEY": SECRET, "KEY_HEADER": "Ocp-Apim-Subscription-Key"}, ("Ocp-Apim-Subscription-Key", SECRET)),
        ({"KEY": SECRET, "KEY_PARAMETER": "api_key"}, ("api_key", SECRET)),
        ({"TOKEN": SECRET}, ("Authorization", f"Bearer {SECRET}")),
        ({"USER": "county", "PASSWORD": "x"}, ("Authorization", "Basic Y291bnR5Ong=")),
    ],
    ids=["key", "key in a named header", "key in a parameter", "bearer token", "basic"],
)
def test_an_api_receives_the_authentication_that_is_configured(
    api: Api, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], sent: tuple[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(f"OPEN311_{name}", value)
    name, value = sent
    assert len(read(api)) == 10
    assert {(headers | asked).get(name) for _, asked, headers in api.asked} == {value}
    api.forever = answers(403, SECRET.encode())
    assert refusal(lambda: read(api)) == "requests.json answered 403"
    monkeypatch.setenv("OPEN311_CLIENT_ID", "county")
    assert "are set; set those of one" in refusal(lambda: read(api))


def test_a_wrong_secret_or_missing_variable_is_reported_in_one_line(
    login: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    login.lifetime = 0
    assert refusal(lambda: read(login)) == "requests.json answered 401", "a new token did not help"
    monkeypatch.setenv("OPEN311_CLIENT_SECRET", f"{SECRET}-of-last-year")
    assert "OPEN311_TOKEN_URL answered 401" in refusal(lambda: read(login))
    monkeypatch.delenv("OPEN311_CLIENT_SECRET")
    assert "OPEN311_CLIENT_SECRET not set" in refusal(lambda: read(login))


def column(data_type: str) -> dict:
    return {"data_type": data_type, "description": "x", "privacy": "none"}


def table(**columns: str) -> Table:
    system = System.model_validate(
        {
            "name": "raw_open311",
            "description": "x",
            "kind": "api",
            "schedule": "0 6 * * *",
            "time_zone": "Europe/London",
            "freshness": {level: {"count": 1, "period": "day"} for level in ("warn_after", "error_after")},
            **dict.fromkeys(("information_asset_owner", "data_owner", "purpose", "lawful_basis", "sharing"), "x"),
            "retention": "P2Y",
            "tables": [
                {
                    "name": "things",
                    "description": "One row per thing.",
                    "load": "replace",
                    "columns": [{"name": name, **column(data_type)} for name, data_type in columns.items()],
                }
            ],
        }
    )
    return system.tables[0]


def test_json_values_become_text_that_the_contract_can_cast(api: Api) -> None:
    api.faults = [
        answers(
            200,
            b"""{"requests": [
            {"lat": 52.19, "n": 7, "text": "caf\\u00e9", "sure": true,
             "at": "2026-11-01T09:00:00Z", "day": "2026-11-01"},
            {"lat": 0.1234567890123456789, "n": 123456789012345678901234567890,
             "text": {"lat": 52.190, "\\u00e9": ["caf\\u00e9", null, "\\""]}},
            {"lat": NaN, "n": "7", "text": "\\ud83d cut \\u0000", "sure": "perhaps", "\\ud83d": 1},
            {"lat": -Infinity, "n": 1.0, "text": ["\\ud83d\\ude00", 1e3, true, "\\ud83d", NaN],
             "at": 5, "other": ["x"]},
            {}
            ]}""",
        )
    ]
    page = _http.HttpApi("open311", api.url).rows("requests.json", "requests", {})
    batch = rows_to_arrow(page)
    assert set(batch.schema.types) == {pa.string()}
    assert batch["lat"].to_pylist() == ["52.19", "0.1234567890123456789", "NaN", "-Infinity", None]
    assert batch["n"].to_pylist() == ["7", "123456789012345678901234567890", "7", "1.0", None]
    assert batch["text"].to_pylist() == [
        "café",
        '{"lat": 52.190, "é": ["café", null, "\\""]}',
        "\\ud83d cut \\u0000",
        '["😀", 1e3, true, "\\ud83d", "NaN"]',
        None,
    ]
    assert json.loads(batch["text"][3].as_py())[3] == "\ud83d", "still JSON"
    assert batch["sure"].to_pylist() == ["true", None, "perhaps", None, None]
    assert batch["\\ud83d"].to_pylist() == [None, None, "1", None, None]

    contract = table(
        lat="numeric(12,9)", n="bigint", text="text", sure="boolean", at="timestamptz", day="date", other="text"
    )
    good = conform(contract, batch.slice(0, 1), "open311")[0].select(contract.column_names).to_pylist()[0]
    assert good == {
        "lat": Decimal("52.19"),
        "n": 7,
        "text": "café",
        "sure": True,
        "at": datetime(2026, 11, 1, 9, tzinfo=UTC),
        "day": date(2026, 11, 1),
        "other": None,
    }
    for row in (1, 2, 3):
        none, (reject,) = conform(contract, batch.slice(row, 1), "open311")
        assert (len(none), reject.reason.split(": ")[1]) == (0, "not numeric(12,9)")


def test_digits_of_a_numeric_column_stay_as_sent() -> None:
    for digits in ("52.19", "-2.2", "0.1", "1e-7", "999.123456789", "100"):
        batch = rows_to_arrow([{"lat": parse_json(digits.encode())}])
        assert conform(table(lat="numeric(12,9)"), batch, "x")[0]["lat"][0].as_py() == Decimal(digits)


def test_rows_to_arrow_accepts_any_json_value() -> None:
    deep: list = []
    for _ in range(5000):
        deep = [deep]
    long = parse_json(b"9" * 10_000)
    moment = datetime(2026, 11, 1, 9, tzinfo=UTC)
    odd = [
        deep,
        long,
        0.1,
        float("nan"),
        Decimal("1.10"),
        2**70,
        date(2026, 11, 1),
        moment,
        b"\xff",
        {1: None},
        (),
        "\ud83d\ude00",
    ]
    batch = rows_to_arrow([{"odd": value} for value in odd])
    assert batch["odd"].to_pylist() == [
        "(nested too deeply)",
        "9" * 10_000,
        "0.1",
        "nan",
        "1.10",
        str(2**70),
        "2026-11-01",
        "2026-11-01 09:00:00+00:00",
        "b'\\xff'",
        '{"1": null}',
        "[]",
        "\\ud83d\\ude00",
    ]
    assert conform(table(odd="timestamptz"), batch.slice(7, 1), "x")[0]["odd"][0].as_py() == moment
    assert rows_to_arrow([]).num_rows == 0


CONTRACT = """\
sources:
  - name: raw_desk
    description: The help desk.
    config:
      meta:
        freshness: {warn_after: {count: 2, period: day}, error_after: {count: 3, period: day}}
        kind: api
        location: DESK_URL
        schedule: "0 6 * * *"
        time_zone: Europe/London
        information_asset_owner: Head of Service
        data_owner: Manager
        purpose: Help
        lawful_basis: Article 6(1)(e)
        retention: P7Y
        sharing: none
    tables:
      - name: tickets
        description: One row per ticket.
        config: {meta: {load: merge, key: [ticket_id], cursor: updated}}
        columns:
          - {name: ticket_id, data_type: bigint, description: Ticket, config: {meta: {privacy: none}}}
          - {name: updated, data_type: timestamptz, description: Changed, config: {meta: {privacy: none}}}
      - name: notes
        description: One row per note on a ticket.
        config: {meta: {load: merge, key: [ticket_id, item_position], parent: tickets, items: Notes}}
        columns:
          - {name: ticket_id, data_type: bigint, description: Ticket, config: {meta: {privacy: none}}}
          - {name: item_position, data_type: bigint, description: Place from 0, config: {meta: {privacy: none}}}
          - {name: words, data_type: text, description: What was noted, config: {meta: {privacy: personal}}}
"""


def tables(folder: Path, text: str = CONTRACT) -> list[Table]:
    (folder / "desk").mkdir(exist_ok=True)
    (folder / "desk" / "_desk__sources.yml").write_text(text)
    return read_contracts(folder)["desk"].tables


def test_list_items_become_rows_with_the_key_of_their_parent(tmp_path: Path) -> None:
    tickets, notes = tables(tmp_path)
    page = [
        {"ticket_id": 1, "Notes": [{"words": "a", "ticket_id": "own"}, {"words": "b", "item_position": 9}]},
        {"ticket_id": 2, "Notes": []},
        {"ticket_id": 3, "Notes": None},
        {"ticket_id": 4},
        {"ticket_id": 5, "Notes": {"words": "alone"}},
        {"ticket_id": 6, "Notes": ["only words"]},
    ]
    assert child_rows(tickets, notes, page) == [
        {"ticket_id": 1, "item_position": 0, "words": "a"},
        {"ticket_id": 1, "item_position": 1, "words": "b"},
        {"ticket_id": 5, "item_position": 0, "words": "alone"},
        {"ticket_id": 6, "item_position": 0, "Notes": "only words"},
    ]
    assert child_rows(tickets, notes, []) == []
    numberless = notes.model_copy(update={"columns": notes.columns[::2]})
    assert "item_position" not in child_rows(tickets, numberless, page)[0]
    assert conform(notes, rows_to_arrow(child_rows(tickets, notes, page[:1])), "x")[0]["ticket_id"].to_pylist() == [
        1,
        1,
    ]


def test_a_list_that_no_row_has_is_refused(tmp_path: Path) -> None:
    tickets, notes = tables(tmp_path)
    with pytest.raises(DriftError, match=r"raw_desk.notes: no list Notes in raw_desk.tickets. Was it renamed"):
        child_rows(tickets, notes, [{"ticket_id": 1, "Remarks": []}])


@pytest.mark.parametrize(
    ("was", "becomes", "says"),
    [
        (", items: Notes", "", "`parent` (a table) and `items` (its list) must both be set"),
        ("parent: tickets, ", "", "`parent` (a table) and `items` (its list) must both be set"),
        ("parent: tickets", "parent: ticket", "notes: `parent` must be a table of this system"),
        ("parent: tickets", "parent: notes", "notes: `parent` must be a table of this system"),
        ("kind: api", "kind: database", "of kind: api"),
        ("[ticket_id, item_position]", "[item_position]", "notes: the key must be the parent's key and"),
        ("[ticket_id, item_position]", "[ticket_id]", "notes: the key must be the parent's key and"),
        (
            "load: merge, key: [ticket_id, ",
            "load: replace, key: [ticket_id, ",
            "notes: load must be the parent's, merge",
        ),
        ("item_position], ", "item_position], cursor: words, ", "a table with a `parent` is loaded with it"),
        (
            "ticket_id, data_type: bigint, description: Ticket",
            "ticket_id, data_type: text, description: T",
            "ticket_id",
        ),
    ],
)
def test_a_wrong_parent_in_a_contract_is_refused(tmp_path: Path, was: str, becomes: str, says: str) -> None:
    assert was in CONTRACT
    with pytest.raises(ContractError) as refused:
        tables(tmp_path, CONTRACT.replace(was, becomes, 1))
    assert says in str(refused.value)


def test_an_api_is_tried_without_a_warehouse(api: Api, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OPEN311_URL", api.url)
    monkeypatch.setenv("WAREHOUSE_HOME", str(tmp_path / "home"))
    result = CliRunner().invoke(main, ["source", "try", "open311", "--rows", "5"], prog_name="warehouse")
    assert not (tmp_path / "home").exists()
    assert result.exit_code == 0, result.output
    lines = [" ".join(line.split()) for line in result.output.splitlines()]
    assert lines[0] == "raw_open311.service_requests: 5 rows read, 0 rejected"
    assert "service_request_id text 0 5 r0 r4" in lines
    assert PERSONAL not in result.output
