"""Read a system's HTTP API: retries, tokens, invalid responses, and rows that change while they are read.

dlt retries 429 (after Retry-After), 5xx, lost connections and time-outs; the RUNTIME__REQUEST_* variables set the
limits (.env.example). System `open311` has the variable OPEN311_URL and those of one form of authentication (AUTH).
"""

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from io import BytesIO
from typing import Any, cast
from urllib.parse import urljoin, urlsplit

from dlt.sources.helpers import requests
from dlt.sources.helpers.rest_client.auth import (
    OAuth2ClientCredentials,
)
from dlt.sources.helpers.rest_client.client import RESTClient
from urllib3.exceptions import HTTPError, ReadTimeoutError

from ingestion.apis._auth import api_error, authentication, require_https
from ingestion.contracts import SourceError
from ingestion.json_rows import Number, Row, parse_json

MAX_REPEATS = 10  # consecutive responses with the same rows; a few are normal for a small table
MAX_RESPONSE_BYTES = 1 << 28


class HttpApi:
    """One system's API. Every failure is a SourceError in one line without a value, a token or a query."""

    def __init__(self, system: str, location: str) -> None:
        self.system = system
        require_https(system, location, f"{system.upper()}_URL")
        session = requests.Client(raise_for_status=False, retry_condition=_is_incomplete).session
        session.hooks["response"].append(_refuse_other_host)
        session.hooks["response"].append(lambda response, **_: _read_body(cast(float, session.timeout), response))
        auth = authentication(system, session)
        self.auth = auth if isinstance(auth, OAuth2ClientCredentials) else None
        self.client = RESTClient(location, auth=auth, session=session)

    def get(self, path: str, parameters: dict[str, Any]) -> Any:
        """The JSON at `path`, with its numbers as Number."""
        response = self._send(path, parameters)
        if response.status_code == 401 and self.auth:  # the token expired early
            self.auth.access_token = None
            response = self._send(path, parameters)
        if not response.ok:
            raise self.error(f"{path} answered {response.status_code}")
        try:
            return parse_json(response.content)
        except ValueError:
            raise self.error(f"{path} answered {response.status_code} with incomplete JSON") from None

    def rows(self, path: str, field: str, parameters: dict[str, Any]) -> list[Row]:
        """The list of objects in the response's `field`."""
        response = self.get(path, parameters)
        rows = response.get(field) if isinstance(response, dict) else None
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise self.error(f"{path} has no list `{field}` of objects")
        return rows

    def total(self, path: str, field: str, parameters: dict[str, Any]) -> int:
        """The whole number in the response's `field`."""
        response = self.get(path, parameters)
        total = response.get(field) if isinstance(response, dict) else None
        if not isinstance(total, Number) or not total.isdecimal() or len(total) > 18:
            raise self.error(f"{path} has no whole number `{field}`")
        return int(total)

    def changes(
        self, path: str, field: str, cursor: str, since: datetime | None, parameters: Callable[..., dict[str, Any]]
    ) -> Iterator[list[Row]]:
        """Yield pages of the rows changed at or after `since`, without loss while rows are added, changed or deleted.

        `parameters(after, number)` are the parameters of page `number` (from 1; empty after the last) of the rows in
        `field` whose `cursor` is at or after `after`, in the order of `cursor`.

        After each page, the next request starts at the page's latest time: page 2 would skip a row as soon as one
        leaves page 1. If no row of a page is later than `after`, the following page numbers are read, and then the same
        pages downwards, to find rows that moved to a lower page. This needs every row with that time to exist already;
        the contract's `lag` ensures it for the newest times. A repeated row has changed in between, or has no readable
        time.
        """
        after, repeats = since, 0
        seen: set[str] = set()
        last: list[Row] | None = None

        def changed(row: Row) -> datetime | None:
            return _timestamp(row.get(cursor))

        def page(number: int) -> tuple[list[Row], datetime | None]:
            nonlocal last, repeats
            rows = self.rows(path, field, parameters(after, number))
            times = [moment for moment in map(changed, rows) if moment]
            if rows and not times:
                raise self.error(f"{path} has no `{cursor}` that is an ISO 8601 time with an offset")
            if times != sorted(times):
                raise self.error(f"{path} is not in the order of `{cursor}`")
            content = [{name: value for name, value in row.items() if name != cursor} for row in rows]
            repeats = repeats + 1 if rows and content == last else 1
            last = content
            if repeats == MAX_REPEATS:
                raise self.error(f"{path} returned the same rows {MAX_REPEATS} times in a row")
            return rows, max(times, default=None)

        def unseen(rows: list[Row]) -> list[Row]:
            new = [row for row in rows if repr(row) not in seen]
            seen.update(map(repr, new))
            return new

        while True:
            rows, latest = page(1)
            if latest is None:  # no rows
                return
            if after is None or latest > after:
                yield unseen(rows)
                after, seen = latest, {repr(row) for row in rows if (changed(row) or latest) == latest}
                continue
            number = 1
            while latest is not None and latest <= after:
                yield unseen(rows)
                number += 1
                rows, latest = page(number)
            later = []
            for lower in range(number, 0, -1):
                rows, _ = page(lower)
                yield unseen([row for row in rows if (changed(row) or after) <= after])
                later += [moment for moment in map(changed, rows) if moment and moment > after]
            if not later:
                return
            after, seen = min(later), set()

    def error(self, problem: str) -> SourceError:
        return api_error(self.system, problem)

    def _send(self, path: str, parameters: dict[str, Any]) -> requests.Response:
        try:
            if self.auth and (self.auth.access_token is None or self.auth.is_token_expired()):
                self._obtain_token(self.auth)
            return self.client.get(path, params=parameters)
        except (requests.RequestException, ValueError) as failure:  # ValueError: the location is not a URL
            raise self.error(f"{path}: {type(failure).__name__}") from None

    def _obtain_token(self, auth: OAuth2ClientCredentials) -> None:
        name = self.system.upper()
        try:
            auth.obtain_token()
        except requests.HTTPError as refusal:
            hint = f"check {name}_CLIENT_ID and {name}_CLIENT_SECRET"
            status = refusal.response.status_code if refusal.response is not None else "nothing"
            raise self.error(f"{name}_TOKEN_URL answered {status}; {hint}") from None
        except (requests.RequestException, ValueError, TypeError, LookupError) as failure:
            raise self.error(f"{name}_TOKEN_URL gave no token: {type(failure).__name__}") from None


class OtherHostError(requests.RequestException):
    """A redirect to another host, which would receive the request's secrets."""


class ResponseTooLargeError(requests.RequestException):
    """A response of more than MAX_RESPONSE_BYTES bytes."""


def _refuse_other_host(response: requests.Response, **_: Any) -> None:
    """Raise OtherHostError for a redirect that leaves the host, its port or https.

    A 307 repeats the body, which holds the client's secret; requests removes only the Authorization header.
    """
    if response.is_redirect:
        here = urlsplit(response.url)
        target = urlsplit(urljoin(response.url, response.headers["location"]))
        if (target.scheme, target.netloc) != (here.scheme, here.netloc):
            response.close()
            raise OtherHostError


def _read_body(seconds: float, response: requests.Response) -> None:
    """Read the body within `seconds` in all: requests' own time-out restarts with each byte."""
    deadline, body = time.monotonic() + seconds, BytesIO()
    try:
        while chunk := response.raw.read1(1 << 16, decode_content=True):
            body.write(chunk)
            if time.monotonic() > deadline:
                response.close()
                raise requests.ReadTimeout
            if body.tell() > MAX_RESPONSE_BYTES:
                response.close()
                raise ResponseTooLargeError
    except ReadTimeoutError as failure:
        raise requests.ReadTimeout from failure
    except HTTPError as failure:
        raise requests.ChunkedEncodingError from failure
    body.seek(0)
    response.raw = body


def _is_incomplete(response: requests.Response | None, _: BaseException | None) -> bool:
    """Whether to retry because a successful response is incomplete JSON."""
    if response is None or not response.ok or response.is_redirect:
        return False
    try:
        parse_json(response.content)
    except ValueError:
        return True
    return False


def _timestamp(value: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else None
