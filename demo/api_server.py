"""The demo API server: serves the HTTP APIs of the demo systems from one SQLite file, which `fill` writes.

    python -m demo.api_server --data apis.sqlite --port-file api_server.port

GET /<system>/<path>?updated_after=<ISO 8601>&page=<n>&page_size=<n> returns {<field>, "page", "pages", "total"}, oldest
change first; `updated_after` is inclusive, pages count from 1, a page has at most 1,000 rows. GET /health returns the
row count of each path. Errors are {"error"}: 400 for a bad parameter, 404 for an unknown path.
"""

import argparse
import json
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

MAX_PAGE_SIZE = 1_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# `place` numbers a path's rows from 1 in the order of serving, so that a page is found without counting
TABLES = """
    create table if not exists resources (path text primary key, field text);
    create table if not exists rows (
        path text, place integer, updated integer, content text, primary key (path, place)
    ) without rowid;
    create index if not exists by_time on rows (path, updated, place);
    create temporary table new_rows (path text, updated integer, key text, content text)
"""


class Resource(NamedTuple):
    """A path: the response's field with the rows, and the row's columns with its last change and its key."""

    field: str
    updated: str
    key: str


def fill(file: Path, system: str, resources: dict[str, Resource], rows: Iterable[tuple[str, dict[str, Any]]]) -> None:
    """Add a system's rows, (path, row), to the file in one transaction."""
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.executescript(TABLES)
        paths = [(f"{system}/{path}", resource.field) for path, resource in resources.items()]
        connection.executemany("insert into resources values (?, ?)", paths)
        new_rows = (
            (f"{system}/{path}", _micros(row[resources[path].updated]), row[resources[path].key], json.dumps(row))
            for path, row in rows
        )
        connection.executemany("insert into new_rows values (?, ?, ?, ?)", new_rows)
        connection.execute(
            "insert into rows select path, row_number() over (partition by path order by updated, key), updated, "
            "content from new_rows"
        )


def _micros(time: str) -> int:
    return (datetime.fromisoformat(time) - EPOCH) // timedelta(microseconds=1)


class ApiHandler(BaseHTTPRequestHandler):
    """Serves the file that `fill` wrote."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # send head and body together: apart, each response would wait 40 ms for the client's acknowledgement
    timeout = 60  # seconds an idle connection is kept
    error_content_type, error_message_format = "application/json", '{"error": "%(message)s"}'

    def __init__(self, file: Path, *connection: Any) -> None:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?immutable=1", uri=True)) as self.database:
            super().__init__(*connection)

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        fields = dict(self.database.execute("select path, field from resources"))
        if url.path == "/health":
            self.respond(200, {path: self.last(path) for path in fields})
        elif url.path[1:] not in fields:
            self.respond(404, {"error": f"unknown path; available: /health, {', '.join(fields)}"})
        else:
            try:
                parameters = dict(parse_qsl(url.query, keep_blank_values=True))
                self.respond(200, self.page(url.path[1:], fields[url.path[1:]], parameters))
            except ValueError as error:
                self.respond(400, {"error": str(error)})

    def last(self, path: str) -> int:
        """The number of a path's rows."""
        found = self.database.execute("select max(place) from rows where path = ?", [path]).fetchone()
        return int(found[0] or 0)

    def page(self, path: str, field: str, parameters: dict[str, str]) -> dict[str, Any]:
        """One page of what is asked for. Raises ValueError, naming the parameter, for what cannot be understood."""
        if unknown := parameters.keys() - {"updated_after", "page", "page_size"}:
            raise ValueError(f"unknown parameter {min(unknown)}")
        page = whole_number(parameters, "page", 1, 1_000_000)
        size = whole_number(parameters, "page_size", 100, MAX_PAGE_SIZE)
        first, last = 1, self.last(path)
        if "updated_after" in parameters:
            try:
                after = datetime.fromisoformat(parameters["updated_after"])
            except ValueError:
                raise ValueError("updated_after is not an ISO 8601 time") from None
            if after.tzinfo is None:
                raise ValueError("updated_after needs a time zone: add Z or an offset")
            query = "select place from rows where path = ? and updated >= ? order by updated, place limit 1"
            found = self.database.execute(query, [path, (after - EPOCH) // timedelta(microseconds=1)]).fetchone()
            first = found[0] if found else last + 1
        total = last + 1 - first
        start = first + (page - 1) * size
        query = "select content from rows where path = ? and place >= ? and place < ? order by place"
        rows = [json.loads(content) for (content,) in self.database.execute(query, [path, start, start + size])]
        return {field: rows, "page": page, "pages": max(1, -(-total // size)), "total": total}

    def respond(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Log errors only: a run makes thousands of requests."""


def whole_number(parameters: dict[str, str], name: str, default: int, maximum: int) -> int:
    """The parameter as a number from 1 to `maximum`. Raises ValueError if it is not one."""
    text = parameters.get(name, str(default))
    if not (text.isdecimal() and len(text) <= len(str(maximum)) and 1 <= int(text) <= maximum):
        raise ValueError(f"{name} is not a whole number from 1 to {maximum}")
    return int(text)


def main() -> None:
    """Serve until killed on a free port of 127.0.0.1; write the port to the port file when ready."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--port-file", type=Path, required=True)
    args = parser.parse_args()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(ApiHandler, args.data)) as server:
        new = args.port_file.with_suffix(".new")
        new.write_text(str(server.server_port))
        new.replace(args.port_file)
        server.serve_forever()


if __name__ == "__main__":
    main()
