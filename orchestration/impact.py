"""What a problem affects: publish sets, and the reports and feeds that depend on them."""

from typing import Any

from orchestration.models import downstream, publish_set_of, reports_in, sets_and_inputs
from warehouse.feeds.declaration import feed_exposures


class Impact:
    """The publish sets and reports downstream of nodes, publish sets and feeds."""

    def __init__(self, manifest: dict[str, Any]):
        self.manifest, self.sets = manifest, sets_and_inputs(manifest)
        self.feeds = feed_exposures(manifest)

    def of(self, unique_ids: set[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The publish sets and the reports downstream of nodes."""
        sets = sorted(name for name, members in self.sets.items() if members & unique_ids)
        return tuple(sets), tuple(reports_in(self.manifest, downstream(self.manifest, unique_ids)))

    def reports_of(self, publish_set: str) -> tuple[str, ...]:
        own = {unique_id for unique_id in self.sets.get(publish_set, ()) if unique_id in self.manifest["nodes"]}
        marts = {unique_id for unique_id in own if publish_set_of(self.manifest["nodes"][unique_id]) == publish_set}
        return tuple(reports_in(self.manifest, downstream(self.manifest, marts)))

    def sets_of(self, exposure: dict[str, Any]) -> tuple[str, ...]:
        nodes = [self.manifest["nodes"][unique_id] for unique_id in exposure["depends_on"]["nodes"]]
        return tuple(sorted({name for node in nodes if (name := publish_set_of(node))}))

    def of_feed(self, exposure: dict[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return self.sets_of(exposure), tuple(reports_in(self.manifest, {exposure["unique_id"]}))
