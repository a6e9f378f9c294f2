"""Contacts, cases, interactions, FOI requests and complaints from the gateway of Dynamics 365, read by `modifiedon`.

Every table has that column and is read in its order. A deletion shows only in `total`.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from ingestion.apis._http import HttpApi
from ingestion.json_rows import Row

PAGE_ROWS = 500  # requested; the server may return fewer


def contacts(location: str, since: datetime | None) -> Iterator[list[Row]]:
    """Pages of contacts modified at or after `since`."""
    yield from _changes("contacts", location, since)


def incidents(location: str, since: datetime | None) -> Iterator[list[Row]]:
    """Pages of cases modified at or after `since`."""
    yield from _changes("incidents", location, since)


def interactions(location: str, since: datetime | None) -> Iterator[list[Row]]:
    """Pages of interactions modified at or after `since`."""
    yield from _changes("interactions", location, since)


def foi_requests(location: str, since: datetime | None) -> Iterator[list[Row]]:
    """Pages of FOI requests modified at or after `since`."""
    yield from _changes("foi_requests", location, since)


def complaints(location: str, since: datetime | None) -> Iterator[list[Row]]:
    """Pages of stages of complaints modified at or after `since`."""
    yield from _changes("complaints", location, since)


def count(table: str, location: str) -> int:
    """The server's row count."""
    return HttpApi("dynamics", location).total(table, "total", {"page_size": 1, "page": 1})


def _changes(table: str, location: str, since: datetime | None) -> Iterator[list[Row]]:
    def parameters(after: datetime | None, number: int) -> dict[str, Any]:
        return {"page_size": PAGE_ROWS, "page": number} | ({"updated_after": after.isoformat()} if after else {})

    yield from HttpApi("dynamics", location).changes(table, "value", "modifiedon", since, parameters)
