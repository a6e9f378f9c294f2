"""Observes every problem: of runs, publications, data, feeds, checks, access and space.

Problems are states, read from Dagster's instance and the governance tables, not events: a cycle that was missed loses
nothing, and the end of a problem is observed like its beginning.
"""

import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg

from orchestration.data_tests import DataTests
from orchestration.failed_runs import FailedRuns
from orchestration.impact import Impact
from orchestration.late_data import late_data
from orchestration.models import (
    PUBLICATION_AGE,
    downstream,
    node_key,
    publish_set_of,
    raw_nodes,
    reports_in,
)
from warehouse import alerts as al
from warehouse.alerts import GAP, Alerts, Problem
from warehouse.environment import home
from warehouse.feeds.declaration import file_of

FEED_PATIENCE = timedelta(hours=2)
CATCH_UP = timedelta(hours=2)  # after a gap, before anything is reported as late
HEARTBEAT_PATIENCE = timedelta(minutes=15)
WATCH_PATIENCE = timedelta(hours=1)
NEARLY_FULL = 0.9
MAX_LISTED = 10
LOAD_KINDS = ("load_failed", "load_refused", "drift")
LATEST_OUTCOMES = """
    with latest as (
        select distinct on (publish_set) * from governance.publications order by publish_set, publication_id desc
    ),
    published as (
        select publish_set, max(publication_id) as publication_id, max(decided_at) as published_at
        from governance.publications where action <> 'refuse' group by publish_set
    )
    select latest.publish_set, latest.action, latest.publication_id, latest.problems, published.published_at, (
        select min(decided_at) from governance.publications as refused
        where refused.publish_set = latest.publish_set
            and refused.publication_id > coalesce(published.publication_id, 0)
    ) as refused_since
    from latest left join published using (publish_set)
"""
LATEST_LOADS = "select system, max(loaded_at) from governance.load_audit group by system"
NEW_COLUMNS = """
    select distinct on (system, table_name) system, table_name, loaded_at, new_columns
    from governance.load_audit order by system, table_name, load_audit_id desc
"""


class Observer:
    """Observes the problems of one cycle. With `is_live`, also what is late because Dagster was stopped."""

    def __init__(
        self,
        instance: dg.DagsterInstance,
        cursor: Any,
        manifest: dict[str, Any],
        now: datetime,
        is_live: bool = False,
    ):
        self.instance, self.cursor, self.now, self.is_live = instance, cursor, now, is_live
        self.impact = Impact(manifest)
        self.tests = DataTests(manifest)
        self.outcomes = {row["publish_set"]: row for row in self._rows(LATEST_OUTCOMES)}
        cursor.execute(LATEST_LOADS)
        self.loaded_at = dict(cursor.fetchall())

    def observe(self, alerts: Alerts) -> list[Problem]:
        """Every problem of now; `alerts` are what earlier cycles sent."""
        known = {alert.run_id for alert in alerts.values() if not alert.resolved_at}
        runs = FailedRuns(self.instance, self.impact, self.outcomes, self.loaded_at, self.now)
        problems = list(runs.problems(known))
        problems += self._refusals()
        failing = {problem.subject for problem in problems if problem.kind in (*LOAD_KINDS, "feed_failed")}
        blocked = {name for problem in problems if problem.kind != "feed_failed" for name in problem.sets}
        late = [
            *late_data(self.cursor, self.impact, self.now, failing),
            *self._late_publications(blocked),
            *self._late_feeds(failing),
        ]
        is_open = {key for key, alert in alerts.items() if not alert.resolved_at}
        problems += [problem for problem in late if self.is_live or problem.key in is_open or self._is_caught_up()]
        problems += [*self._checks(), *self._new_columns(), *self._access(), *self._space(), *self._silence()]
        return problems

    # --- publications and data

    def _refusals(self) -> Iterator[Problem]:
        for name, outcome in self.outcomes.items():
            if outcome["action"] == "refuse":
                reasons = _listed(self.tests.explain(outcome["problems"]))
                what = f"{name} is not published. Readers see the previous publication.\n{reasons}"
                sets, reports = (name,), self.impact.reports_of(name)
                began, occurrence = outcome["refused_since"], str(outcome["publication_id"])
                yield Problem("publication_refused", name, began, what, sets, reports, occurrence=occurrence)

    def _late_publications(self, blocked: set[str]) -> Iterator[Problem]:
        for name, outcome in self.outcomes.items():
            published = outcome["published_at"]
            if published and name not in blocked and self.now - published > PUBLICATION_AGE:
                what = f"{name} was last published on {al.when(published)}. Every set is built once a day."
                began = published + PUBLICATION_AGE
                yield Problem("publication_late", name, began, what, (name,), self.impact.reports_of(name))

    def _late_feeds(self, failing: set[str]) -> Iterator[Problem]:
        keys = {name: dg.AssetKey(["feed", name]) for name in self.impact.feeds}
        written = self.instance.get_latest_materialization_events(list(keys.values()))
        for name, exposure in self.impact.feeds.items():
            (publish_set,) = self.impact.sets_of(exposure)
            published = self.outcomes.get(publish_set, {}).get("published_at")
            event = written.get(keys[name])
            last = datetime.fromtimestamp(event.timestamp, UTC) if event else None
            if not published or name in failing or self.now - published <= FEED_PATIENCE:
                continue
            if last is None or last < published:
                before = f"It was last written on {al.when(last)}" if last else "It was never written"
                later = f"{publish_set} was published on {al.when(published)}"
                what = f"{file_of(exposure)} is older than its data. {before}; {later}."
                began = published + FEED_PATIENCE
                yield Problem("feed_late", name, began, what, *self.impact.of_feed(exposure))

    def _checks(self) -> Iterator[Problem]:
        """Tests whose failure does not stop a publication; other tests are reasons of a refusal."""
        for name, test in self.tests.tests.items():
            if test["config"]["severity"].lower() == "error" or not test.get("attached_node"):
                continue
            node = self.tests.nodes[test["attached_node"]]
            record = self.instance.get_latest_asset_check_evaluation_record(dg.AssetCheckKey(node_key(node), name))
            if record and record.status.value == "FAILED":
                began = datetime.fromtimestamp(record.create_timestamp, UTC)
                sets = tuple(filter(None, [publish_set_of(node)]))
                reports = tuple(reports_in(self.impact.manifest, downstream(self.impact.manifest, {node["unique_id"]})))
                what = self.tests.describe(name)
                yield Problem("check_failed", name, began, what, sets, reports, record.run_id, record.run_id)

    def _new_columns(self) -> Iterator[Problem]:
        self.cursor.execute(NEW_COLUMNS)
        for system, table, loaded_at, columns in self.cursor.fetchall():
            if columns:
                what = f"{system}.{table} has columns that its contract does not declare: {', '.join(columns)}."
                sets, reports = self.impact.of(raw_nodes(self.impact.manifest, system, table))
                yield Problem("new_columns", f"{system}.{table}", loaded_at, what, sets, reports)

    def _access(self) -> Iterator[Problem]:
        self.cursor.execute("select publish_set, difference from governance.access_differences()")
        if found := self.cursor.fetchall():
            sets = tuple(sorted({name for name, _ in found if name in self.impact.sets}))
            yield Problem("access_drift", "access.yml", self.now, _listed([text for _, text in found]), sets)

    # --- space and silence

    def _space(self) -> Iterator[Problem]:
        folders = [home(), *(Path(os.environ[name]) for name in ("OUTBOX", "DAGSTER_HOME") if name in os.environ)]
        for folder in {path.stat().st_dev: path for path in reversed(folders) if path.exists()}.values():
            usage = shutil.disk_usage(folder)
            share = 1 - usage.free / usage.total
            if share >= float(os.environ.get("DISK_LIMIT_PCT", 100 * NEARLY_FULL)) / 100:
                what = f"The disk of {folder} is {share:.0%} full; {usage.free / 1e9:.1f} GB are free."
                yield Problem("disk_full", str(folder), self.now, what)
        if limit := os.environ.get("DATABASE_LIMIT_GB"):
            self.cursor.execute("select pg_database_size(current_database()) / 1e9")
            (size,) = map(float, self.cursor.fetchone())
            if size >= NEARLY_FULL * float(limit):
                what = f"The database has {size:.3g} of the {float(limit):g} GB that DATABASE_LIMIT_GB allows."
                yield Problem("database_full", "warehouse", self.now, what)

    def _silence(self) -> Iterator[Problem]:
        beats = self._beats()
        if (watched := beats.get("watch")) and self.now - watched[0] > WATCH_PATIENCE:
            what = "`warehouse watch` does not run. Nobody would be alerted if Dagster or the server stopped."
            yield Problem("watch_silent", "watch", watched[0], what)
        cycle, accepted = beats.get("alerts"), beats.get("heartbeat")
        if os.environ.get("HEARTBEAT_URL") and cycle and accepted and cycle[0] - accepted[0] > HEARTBEAT_PATIENCE:
            yield Problem("heartbeat_failed", "HEARTBEAT_URL", accepted[0], "The address does not accept heartbeats.")

    def _is_caught_up(self) -> bool:
        cycle = self._beats().get("alerts")
        return cycle is not None and self.now - cycle[0] <= GAP and self.now - cycle[1] >= CATCH_UP

    def _beats(self) -> dict[str, tuple[datetime, datetime]]:
        self.cursor.execute("select source, beat_at, unbroken_since from governance.heartbeats")
        return {source: (beat, since) for source, beat, since in self.cursor.fetchall()}

    def _rows(self, query: str) -> list[dict[str, Any]]:
        self.cursor.execute(query)
        names = [column.name for column in self.cursor.description]
        return [dict(zip(names, row, strict=True)) for row in self.cursor.fetchall()]


def _listed(lines: list[str]) -> str:
    more = [f"- and {len(lines) - MAX_LISTED} more"] if len(lines) > MAX_LISTED else []
    return "\n".join([*(f"- {line}" for line in lines[:MAX_LISTED]), *more])
