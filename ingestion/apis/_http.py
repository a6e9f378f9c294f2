"""Asks a system's HTTP API: retries, renews its token, refuses nonsense, and reads what changes while it is read.

Waiting and trying again are dlt's: 429 (as long as Retry-After says), 5xx, no connection, no answer in time; the
RUNTIME__REQUEST_* variables set them (.env.example). Of a system `open311` the environment has OPEN311_URL and, where
it wants a token, OPEN311_TOKEN_URL, OPEN311_CLIENT_ID and OPEN311_CLIENT_SECRET (OAuth 2 client credentials, RFC 6749).
"""

import os
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from io import BytesIO
from typing import Any, cast

from dlt.sources.helpers import requests
from dlt.sources.helpers.rest_client.auth import OAuth2ClientCredentials
from dlt.sources.helpers.rest_client.client import RESTClient
from urllib3.exceptions import HTTPError, ReadTimeoutError

from ingestion.apis import Number, Row, parse_json
from ingestion.contracts import SourceError

REPEATS = 10  # answers in a row that hold the same rows; a few are normal where a table is small
BIGGEST_ANSWER = 1 << 28  # bytes


class HttpApi:
    """One system's API. Whatever it does wrong is a SourceError in one line, without a value, a token or a query."""

    def __init__(self, system: str, location: str) -> None:
        self.system = system
        session = requests.Client(raise_for_status=False, retry_condition=_is_cut_off).session
        session.hooks["response"].append(lambda response, **_: _read_within(cast(float, session.timeout), response))
        self.auth = self._client_credentials(session)
        self.client = RESTClient(location, auth=self.auth, session=session)

    def get(self, path: str, parameters: dict[str, Any]) -> Any:
        """The JSON at `path`, its numbers as Number."""
        response = self._send(path, parameters)
        if response.status_code == 401 and self.auth:  # the token ended before its time
            self.auth.access_token = None
            response = self._send(path, parameters)
        if not response.ok:
            raise self.error(f"{path} answered {response.status_code}")
        try:
            return parse_json(response.content)
        except ValueError:
            raise self.error(f"{path} answered {response.status_code}, but not with whole JSON") from None

    def rows(self, path: str, field: str, parameters: dict[str, Any]) -> list[Row]:
        """The list of objects that the answer has in `field`."""
        answer = self.get(path, parameters)
        rows = answer.get(field) if isinstance(answer, dict) else None
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise self.error(f"{path} has no list `{field}` of objects")
        return rows

    def total(self, path: str, field: str, parameters: dict[str, Any]) -> int:
        """The whole number that the answer has in `field`."""
        answer = self.get(path, parameters)
        total = answer.get(field) if isinstance(answer, dict) else None
        if not isinstance(total, Number) or not total.isdecimal() or len(total) > 18:
            raise self.error(f"{path} has no whole number `{field}`")
        return int(total)

    def changes(
        self, path: str, field: str, cursor: str, since: datetime | None, parameters: Callable[..., dict[str, Any]]
    ) -> Iterator[list[Row]]:
        """Pages of the rows changed at or after `since`; none is lost though rows come, change and go meanwhile.

        `parameters(after, number)` ask for page `number` (from 1; empty after the last) of the rows in `field` whose
        `cursor` is at or after `after`, in its order. What follows a page is asked for by the latest time on it: page 2
        is other rows as soon as one leaves page 1. Only where no row of a page is later than asked for are the next
        numbers read, and then the same downwards: rows that slipped to a lower page unseen are met there. Relies on no
        row taking that time any more meanwhile; for the newest times the contract's `lag` sees to it. A row that comes
        twice has changed in between, or has no time that can be read.
        """
        after, repeats = since, 0
        seen: set[str] = set()
        last: list[Row] | None = None

        def changed(row: Row) -> datetime | None:
            return _moment(row.get(cursor))

        def page(number: int) -> tuple[list[Row], datetime | None]:
            nonlocal last, repeats
            rows = self.rows(path, field, parameters(after, number))
            times = [moment for moment in map(changed, rows) if moment]
            if rows and not times:
                raise self.error(f"{path} has no `{cursor}` that is an ISO 8601 time with its offset")
            if times != sorted(times):
                raise self.error(f"{path} is not in the order of `{cursor}`")
            content = [{name: value for name, value in row.items() if name != cursor} for row in rows]
            repeats = repeats + 1 if rows and content == last else 1
            last = content
            if repeats == REPEATS:
                raise self.error(f"{path} gave the same rows {REPEATS} times in a row, whatever was asked for")
            return rows, max(times, default=None)

        def unseen(rows: list[Row]) -> list[Row]:
            new = [row for row in rows if repr(row) not in seen]
            seen.update(map(repr, new))
            return new

        while True:
            rows, latest = page(1)
            if latest is None:  # there is no row
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
        name = self.system.upper()
        return SourceError(f"raw_{self.system}: extract failed ({name}_URL says where it is): {problem}")

    def _send(self, path: str, parameters: dict[str, Any]) -> requests.Response:
        try:
            if self.auth and (self.auth.access_token is None or self.auth.is_token_expired()):
                self._obtain_token(self.auth)
            return self.client.get(path, params=parameters)
        except (requests.RequestException, ValueError) as failure:  # ValueError: the location is no URL
            raise self.error(f"{path}: {type(failure).__name__}") from None

    def _client_credentials(self, session: requests.Session) -> OAuth2ClientCredentials | None:
        names = [f"{self.system.upper()}_{name}" for name in ("TOKEN_URL", "CLIENT_ID", "CLIENT_SECRET")]
        url, client_id, client_secret = given = [os.environ.get(name, "") for name in names]
        if not any(given):
            return None
        if missing := [name for name, value in zip(names, given, strict=True) if not value]:
            raise self.error(f"{' and '.join(missing)} not set; a token needs {', '.join(names)}")
        return _ClientCredentials(
            access_token_url=url, client_id=client_id, client_secret=client_secret, session=session
        )

    def _obtain_token(self, auth: OAuth2ClientCredentials) -> None:
        name = self.system.upper()
        try:
            auth.obtain_token()
        except requests.HTTPError as refusal:
            hint = f"are {name}_CLIENT_ID and {name}_CLIENT_SECRET right?"
            status = refusal.response.status_code if refusal.response is not None else "nothing"
            raise self.error(f"{name}_TOKEN_URL answered {status}; {hint}") from None
        except (requests.RequestException, ValueError, TypeError, LookupError) as failure:
            raise self.error(f"{name}_TOKEN_URL gave no token: {type(failure).__name__}") from None


class AnswerTooBig(requests.RequestException):
    """An answer of more than BIGGEST_ANSWER bytes."""


class _ClientCredentials(OAuth2ClientCredentials):
    def parse_access_token(self, response_json: Any) -> str:
        token: str = response_json["access_token"]  # dlt's would make the token "None" where there is none
        return token


def _read_within(seconds: float, response: requests.Response) -> None:
    """Reads the body, whole within so many seconds: requests' own time-out starts again with each byte."""
    ends, body = time.monotonic() + seconds, BytesIO()
    try:
        while piece := response.raw.read1(1 << 16, decode_content=True):
            body.write(piece)
            if time.monotonic() > ends:
                response.close()
                raise requests.ReadTimeout
            if body.tell() > BIGGEST_ANSWER:
                response.close()
                raise AnswerTooBig
    except ReadTimeoutError as failure:
        raise requests.ReadTimeout from failure
    except HTTPError as failure:
        raise requests.ChunkedEncodingError from failure
    body.seek(0)
    response.raw = body


def _is_cut_off(response: requests.Response | None, _: BaseException | None) -> bool:
    """Whether to ask again because a good answer is no whole JSON."""
    if response is None or not response.ok or response.is_redirect:
        return False
    try:
        parse_json(response.content)
    except ValueError:
        return True
    return False


def _moment(value: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else None
