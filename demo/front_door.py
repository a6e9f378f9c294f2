"""The front door of the invented county's HTTP APIs: a small server over one SQLite file, which `fill` makes.

    python -m demo.front_door --data apis.sqlite --port-file front_door.port

GET /<system>/<path>?updated_after=<ISO 8601>&page=<n>&page_size=<n> gives {<field>, "page", "pages", "total"}, oldest
change first; `updated_after` is inclusive, pages count from 1, a page holds at most 1,000. GET /health gives the number
of rows of each path. Anything else is answered with {"error"}: 400 for a bad parameter, 404 for another path.
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

BIGGEST_PAGE = 1_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# `place` numbers a path's rows in the order in which they are served, from 1, so that no page has to be counted up to
TABLES = """
    create table if not exists resources (path text primary key, field text);
    create table if not exists rows (
        path text, place integer, updated integer, content text, primary key (path, place)
    ) without rowid;
    create index if not exists by_time on rows (path, updated, place);
    create temporary table arrived (path text, updated integer, key text, content text)
"""


class Resource(NamedTuple):
    """What a path gives: the answer's field with the rows, and the row's columns with its last change and its key."""

    field: str
    updated: str
    key: str


def fill(file: Path, system: str, resources: dict[str, Resource], rows: Iterable[tuple[str, dict[str, Any]]]) -> None:
    """Put a system's rows, (path, row), into the file; all or none."""
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.executescript(TABLES)
        paths = [(f"{system}/{path}", resource.field) for path, resource in resources.items()]
        connection.executemany("insert into resources values (?, ?)", paths)
        arrived = (
            (f"{system}/{path}", _micros(row[resources[path].updated]), row[resources[path].key], json.dumps(row))
            for path, row in rows
        )
        connection.executemany("insert into arrived values (?, ?, ?, ?)", arrived)
        connection.execute(
            "insert into rows select path, row_number() over (partition by path order by updated, key), updated, "
            "content from arrived"
        )


def _micros(time: str) -> int:
    return (datetime.fromisoformat(time) - EPOCH) // timedelta(microseconds=1)


class FrontDoor(BaseHTTPRequestHandler):
    """Answers from the file that `fill` made."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body leave together: apart, each answer would wait 40 ms for the other side's receipt
    timeout = 60  # seconds an idle connection is kept
    error_content_type, error_message_format = "application/json", '{"error": "%(message)s"}'

    def __init__(self, file: Path, *connection: Any) -> None:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?immutable=1", uri=True)) as self.shelf:
            super().__init__(*connection)

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        fields = dict(self.shelf.execute("select path, field from resources"))
        if url.path == "/health":
            self.answer(200, {path: self.last(path) for path in fields})
        elif url.path[1:] not in fields:
            self.answer(404, {"error": f"there are /health and {', '.join(fields)}"})
        else:
            try:
                asked = dict(parse_qsl(url.query, keep_blank_values=True))
                self.answer(200, self.page(url.path[1:], fields[url.path[1:]], asked))
            except ValueError as error:
                self.answer(400, {"error": str(error)})

    def last(self, path: str) -> int:
        """The number of a path's rows."""
        found = self.shelf.execute("select max(place) from rows where path = ?", [path]).fetchone()
        return int(found[0] or 0)

    def page(self, path: str, field: str, asked: dict[str, str]) -> dict[str, Any]:
        """One page of what is asked for. Raises ValueError, naming the parameter, for what cannot be understood."""
        if unknown := asked.keys() - {"updated_after", "page", "page_size"}:
            raise ValueError(f"unknown parameter {min(unknown)}")
        page = whole_number(asked, "page", 1, 1_000_000)
        size = whole_number(asked, "page_size", 100, BIGGEST_PAGE)
        first, last = 1, self.last(path)
        if "updated_after" in asked:
            try:
                after = datetime.fromisoformat(asked["updated_after"])
            except ValueError:
                raise ValueError("updated_after is no ISO 8601 time") from None
            if after.tzinfo is None:
                raise ValueError("updated_after needs a zone: end it in Z or an offset")
            query = "select place from rows where path = ? and updated >= ? order by updated, place limit 1"
            found = self.shelf.execute(query, [path, (after - EPOCH) // timedelta(microseconds=1)]).fetchone()
            first = found[0] if found else last + 1
        total = last + 1 - first
        start = first + (page - 1) * size
        query = "select content from rows where path = ? and place >= ? and place < ? order by place"
        rows = [json.loads(content) for (content,) in self.shelf.execute(query, [path, start, start + size])]
        return {field: rows, "page": page, "pages": max(1, -(-total // size)), "total": total}

    def answer(self, status: int, content: dict[str, Any]) -> None:
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
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(FrontDoor, args.data)) as server:
        new = args.port_file.with_suffix(".new")
        new.write_text(str(server.server_port))
        new.replace(args.port_file)
        server.serve_forever()


if __name__ == "__main__":
    main()
