"""The invented county's Open311 front door: a small HTTP server over one JSON file of service requests.

    python -m demo.open311 --data requests.json --port-file open311.port

GET /requests.json?updated_after=<ISO 8601>&page=<n>&page_size=<n> gives {"requests", "page", "pages", "total"}, oldest
change first; `updated_after` is inclusive, pages count from 1, a page holds at most 1,000. GET /health gives the number
of requests. Anything else is answered with {"error"}: 400 for a bad parameter, 404 for another path.
"""

import argparse
import json
from bisect import bisect_left
from datetime import datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

BIGGEST_PAGE = 1_000


class FrontDoor(BaseHTTPRequestHandler):
    """Answers from `requests`, which are sorted by `updated_datetime` (at the times in `updated`) and id."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body leave together: apart, each answer would wait 40 ms for the other side's receipt
    timeout = 60  # seconds an idle connection is kept
    error_content_type, error_message_format = "application/json", '{"error": "%(message)s"}'

    def __init__(self, requests: list[dict], updated: list[datetime], *connection: object) -> None:
        self.requests, self.updated = requests, updated
        super().__init__(*connection)

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if url.path == "/health":
            self.answer(200, {"requests": len(self.requests)})
        elif url.path != "/requests.json":
            self.answer(404, {"error": "there are /requests.json and /health"})
        else:
            try:
                self.answer(200, self.page(dict(parse_qsl(url.query, keep_blank_values=True))))
            except ValueError as error:
                self.answer(400, {"error": str(error)})

    def page(self, asked: dict[str, str]) -> dict:
        """One page of what is asked for. Raises ValueError, naming the parameter, for what cannot be understood."""
        if unknown := asked.keys() - {"updated_after", "page", "page_size"}:
            raise ValueError(f"unknown parameter {min(unknown)}")
        page = whole_number(asked, "page", 1, 1_000_000)
        size = whole_number(asked, "page_size", 100, BIGGEST_PAGE)
        first = 0
        if "updated_after" in asked:
            try:
                after = datetime.fromisoformat(asked["updated_after"])
            except ValueError:
                raise ValueError("updated_after is no ISO 8601 time") from None
            if after.tzinfo is None:
                raise ValueError("updated_after needs a zone: end it in Z or an offset")
            first = bisect_left(self.updated, after)
        total = len(self.requests) - first
        start = first + (page - 1) * size
        pages = max(1, -(-total // size))
        return {"requests": self.requests[start : start + size], "page": page, "pages": pages, "total": total}

    def answer(self, status: int, content: dict) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Only errors are logged: a run makes thousands of requests."""


def whole_number(asked: dict[str, str], name: str, default: int, most: int) -> int:
    """The parameter as a number from 1 to `most`. Raises ValueError where it is none."""
    text = asked.get(name, str(default))
    if not (text.isdecimal() and len(text) <= len(str(most)) and 1 <= int(text) <= most):
        raise ValueError(f"{name} is no whole number from 1 to {most}")
    return int(text)


def main() -> None:
    """Serve until killed, on a free port of 127.0.0.1, which the port file gives once requests are answered."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--port-file", type=Path, required=True)
    args = parser.parse_args()
    requests = json.loads(args.data.read_text())
    requests.sort(key=lambda request: (request["updated_datetime"], request["service_request_id"]))
    updated = [datetime.fromisoformat(request["updated_datetime"]) for request in requests]
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(FrontDoor, requests, updated)) as server:
        new = args.port_file.with_suffix(".new")
        new.write_text(str(server.server_port))
        new.replace(args.port_file)
        server.serve_forever()


if __name__ == "__main__":
    main()
