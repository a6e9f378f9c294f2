"""Street reports by Open311, read by `updated_after` because a report's status changes after it was made.

The server's `pages` are not used: their number and content change while they are read. A deletion shows only in
`total`.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from ingestion.apis._http import HttpApi
from ingestion.json_rows import Row

PAGE_ROWS = 500  # requested; the server may return fewer


def service_requests(location: str, since: datetime | None) -> Iterator[list[Row]]:
    """Pages of reports updated at or after `since`; a page that cannot be read fails the load."""

    def parameters(after: datetime | None, number: int) -> dict[str, Any]:
        return {"page_size": PAGE_ROWS, "page": number} | ({"updated_after": after.isoformat()} if after else {})

    yield from HttpApi("open311", location).changes("requests.json", "requests", "updated_datetime", since, parameters)


def count(table: str, location: str) -> int:
    """The server's report count."""
    return HttpApi("open311", location).total("requests.json", "total", {"page_size": 1, "page": 1})
