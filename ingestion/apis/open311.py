"""Street reports by Open311: read by `updated_after`, because a report's status changes after it was requested."""

from collections.abc import Iterator
from datetime import datetime

from dlt.sources.helpers.rest_client import RESTClient
from dlt.sources.helpers.rest_client.paginators import PageNumberPaginator

PAGE_ROWS = 500


def service_requests(location: str, since: datetime | None) -> Iterator[list[dict]]:
    """Pages of reports updated at or after `since`; a page that cannot be had fails the load, so it is whole or not."""
    paginator = PageNumberPaginator(base_page=1, page_param="page", total_path="pages")
    parameters = {"page_size": PAGE_ROWS} | ({"updated_after": since.isoformat()} if since else {})
    yield from RESTClient(location, paginator=paginator).paginate(
        "requests.json", params=parameters, data_selector="requests"
    )
