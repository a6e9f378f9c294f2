"""Observes every problem: of runs, publications, data, feeds, checks, access and space.

Problems are states, read from Dagster's instance and the governance tables, not events: a cycle that was missed loses
nothing, and the end of a problem is observed like its beginning.
"""

import functools
import os
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import dagster as dg

from ingestion.contracts import read_contracts
from orchestration.data_tests import DataTests
from orchestration.models import (
    PUBLICATION_AGE,
    downstream,
    node_key,
    publish_set_of,
    raw_nodes,
    reports_in,
    sets_and_inputs,
)
from warehouse import alerts as al
from warehouse.alerts import GAP, Alerts, Problem
from warehouse.environment import home

HISTORY = timedelta(days=31)
RETRY_PATIENCE = timedelta(minutes=10)  # the daemon starts the retry of a failed run within seconds
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
OLDEST_LOADS = """
    select system, min(loaded_at) from (
        select system, table_name, max(loaded_at) as loaded_at from governance.load_audit group by system, table_name
    ) as latest group by system
"""
LATEST_LOADS = "select system, max(loaded_at) from governance.load_audit group by system"
NEW_COLUMNS = """
    select distinct on (system, table_name) system, table_name, loaded_at, new_columns
    from governance.load_audit order by system, table_name, load_audit_id desc
"""


class _Failure(NamedTuple):
    """A failure of a step, or of a run without a failed step, that no retry will repeat."""

    run_id: str
    job: str
    step: str
    at: datetime
    run_began_at: datetime
    kind: str
    reason: str


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
        self.instance, self.cursor, self.manifest, self.now, self.is_live = instance, cursor, manifest, now, is_live
        self.sets = sets_and_inputs(manifest)
        self.tests = DataTests(manifest)
        self.feeds = {
            name: exposure
            for exposure in manifest["exposures"].values()
            if "feed" in exposure["config"].get("meta", exposure["meta"]) and (name := exposure["name"])
        }
        self.outcomes = {row["publish_set"]: row for row in self._rows(LATEST_OUTCOMES)}
        cursor.execute(LATEST_LOADS)
        self.loaded_at = dict(cursor.fetchall())

    def observe(self, alerts: Alerts) -> list[Problem]:
        """Every problem of now; `alerts` are what earlier cycles sent."""
        known = {alert.run_id for alert in alerts.values() if not alert.resolved_at}
        problems = list(self._failed_runs(known))
        problems += self._refusals()
        failing = {problem.subject for problem in problems if problem.kind in (*LOAD_KINDS, "feed_failed")}
        blocked = {name for problem in problems if problem.kind != "feed_failed" for name in problem.sets}
        late = [*self._late_data(failing), *self._late_publications(blocked), *self._late_feeds(failing)]
        is_open = {key for key, alert in alerts.items() if not alert.resolved_at}
        problems += [problem for problem in late if self.is_live or problem.key in is_open or self._is_caught_up()]
        problems += [*self._checks(), *self._new_columns(), *self._access(), *self._space(), *self._silence()]
        return problems

    # --- runs

    def _failed_runs(self, known: set[str]) -> Iterator[Problem]:
        failed = dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE], updated_after=self.now - HISTORY)
        causes: dict[tuple[str, str], list[_Failure]] = {}
        for record in self.instance.get_run_records(failed, limit=1000):
            run = record.dagster_run
            ended = datetime.fromtimestamp(record.end_time or record.update_timestamp.timestamp(), UTC)
            is_retried = "dagster/auto_retry_run_id" in run.tags
            waits = run.tags.get("dagster/will_retry") == "true" and self.now - ended < RETRY_PATIENCE
            if is_retried or (waits and run.run_id not in known):
                continue
            began = datetime.fromtimestamp(record.start_time or record.create_timestamp.timestamp(), UTC)
            for failure in _failures(self.instance, run.run_id, run.job_name, began, ended):
                causes.setdefault((failure.step, failure.job if not failure.step else ""), []).append(failure)
        for failures in causes.values():
            last_success = self._last_success(failures[0])
            since = [failure for failure in failures if last_success is None or failure.at > last_success]
            if since:
                yield from self._problem(since)

    def _problem(self, failures: list[_Failure]) -> Iterator[Problem]:
        """The problem of failures with one cause, the newest first."""
        latest, began = failures[0], failures[-1].at
        kind, subject, what = "run_failed", latest.step or latest.job, latest.reason
        sets: tuple[str, ...] = ()
        reports: tuple[str, ...] = ()
        if system := self._system(latest.step):
            kind, subject = latest.kind or "load_failed", system
            sets, reports = self._impact(raw_nodes(self.manifest, system))
        elif latest.step == "models":
            refused = [row for row in self.outcomes.values() if row["action"] == "refuse"]
            if any(row["refused_since"] >= latest.run_began_at for row in refused):
                return
            kind, what = "build_failed", f"The build in job {latest.job} failed before its tests: {what}"
            sets, reports = tuple(sorted(self.sets)), tuple(reports_in(self.manifest, {*self.manifest["exposures"]}))
        elif exposure := self.feeds.get(latest.step.removeprefix("feed__")):
            kind, subject, what = "feed_failed", exposure["name"], f"{_file_of(exposure)} was not written: {what}"
            sets, reports = self._impact_of_feed(exposure)
        else:
            what = f"Job {latest.job} failed{f' in step {latest.step}' if latest.step else ''}: {what}"
        yield Problem(kind, subject, began, what, sets, reports, latest.run_id, latest.run_id)

    def _last_success(self, failure: _Failure) -> datetime | None:
        if system := self._system(failure.step):
            loaded: datetime | None = self.loaded_at.get(system)
            return loaded
        if failure.step == "models":
            published = [row["published_at"] for row in self.outcomes.values() if row["published_at"]]
            return max(published, default=None)
        if failure.step:
            event = self.instance.get_latest_materialization_event(dg.AssetKey(failure.step.split("__")))
            if event:
                return datetime.fromtimestamp(event.timestamp, UTC)
        done = dg.RunsFilter(job_name=failure.job, statuses=[dg.DagsterRunStatus.SUCCESS])
        records = self.instance.get_run_records(done, limit=1)
        return datetime.fromtimestamp(records[0].update_timestamp.timestamp(), UTC) if records else None

    def _system(self, step: str) -> str:
        name = step.removesuffix("_tables")
        return name if name.removeprefix("raw_") in read_contracts() and name != step else ""

    # --- publications and data

    def _refusals(self) -> Iterator[Problem]:
        for name, outcome in self.outcomes.items():
            if outcome["action"] == "refuse":
                reasons = _listed(self.tests.explain(outcome["problems"]))
                what = f"{name} is not published. Readers see the previous publication.\n{reasons}"
                sets, reports = (name,), self._reports_of(name)
                began, occurrence = outcome["refused_since"], str(outcome["publication_id"])
                yield Problem("publication_refused", name, began, what, sets, reports, occurrence=occurrence)

    def _late_data(self, failing: set[str]) -> Iterator[Problem]:
        self.cursor.execute(OLDEST_LOADS)
        for name, loaded_at in self.cursor.fetchall():
            system = read_contracts().get(name.removeprefix("raw_"))
            if not system or name in failing:
                continue
            age = system.freshness["error_after"]
            limit = timedelta(**{f"{age.period}s": age.count})
            if self.now - loaded_at > limit:
                sets, reports = self._impact(raw_nodes(self.manifest, name))
                what = f"{name} was last loaded on {al.when(loaded_at)}. Its contract allows {_words(limit)}."
                yield Problem("data_late", name, loaded_at + limit, what, sets, reports)

    def _late_publications(self, blocked: set[str]) -> Iterator[Problem]:
        for name, outcome in self.outcomes.items():
            published = outcome["published_at"]
            if published and name not in blocked and self.now - published > PUBLICATION_AGE:
                what = f"{name} was last published on {al.when(published)}. Every set is built once a day."
                began = published + PUBLICATION_AGE
                yield Problem("publication_late", name, began, what, (name,), self._reports_of(name))

    def _late_feeds(self, failing: set[str]) -> Iterator[Problem]:
        keys = {name: dg.AssetKey(["feed", name]) for name in self.feeds}
        written = self.instance.get_latest_materialization_events(list(keys.values()))
        for name, exposure in self.feeds.items():
            (publish_set,) = self._sets_of(exposure)
            published = self.outcomes.get(publish_set, {}).get("published_at")
            event = written.get(keys[name])
            last = datetime.fromtimestamp(event.timestamp, UTC) if event else None
            if not published or name in failing or self.now - published <= FEED_PATIENCE:
                continue
            if last is None or last < published:
                before = f"It was last written on {al.when(last)}" if last else "It was never written"
                later = f"{publish_set} was published on {al.when(published)}"
                what = f"{_file_of(exposure)} is older than its data. {before}; {later}."
                began = published + FEED_PATIENCE
                yield Problem("feed_late", name, began, what, *self._impact_of_feed(exposure))

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
                reports = tuple(reports_in(self.manifest, downstream(self.manifest, {node["unique_id"]})))
                what = self.tests.describe(name)
                yield Problem("check_failed", name, began, what, sets, reports, record.run_id, record.run_id)

    def _new_columns(self) -> Iterator[Problem]:
        self.cursor.execute(NEW_COLUMNS)
        for system, table, loaded_at, columns in self.cursor.fetchall():
            if columns:
                what = f"{system}.{table} has columns that its contract does not declare: {', '.join(columns)}."
                sets, reports = self._impact(raw_nodes(self.manifest, system, table))
                yield Problem("new_columns", f"{system}.{table}", loaded_at, what, sets, reports)

    def _access(self) -> Iterator[Problem]:
        self.cursor.execute("select publish_set, difference from governance.access_differences()")
        if found := self.cursor.fetchall():
            sets = tuple(sorted({name for name, _ in found if name in self.sets}))
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

    # --- what is affected

    def _impact(self, unique_ids: set[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The publish sets and the reports downstream of nodes."""
        sets = sorted(name for name, members in self.sets.items() if members & unique_ids)
        return tuple(sets), tuple(reports_in(self.manifest, downstream(self.manifest, unique_ids)))

    def _reports_of(self, publish_set: str) -> tuple[str, ...]:
        own = {unique_id for unique_id in self.sets.get(publish_set, ()) if unique_id in self.manifest["nodes"]}
        marts = {unique_id for unique_id in own if publish_set_of(self.manifest["nodes"][unique_id]) == publish_set}
        return tuple(reports_in(self.manifest, downstream(self.manifest, marts)))

    def _sets_of(self, exposure: dict[str, Any]) -> tuple[str, ...]:
        nodes = [self.manifest["nodes"][unique_id] for unique_id in exposure["depends_on"]["nodes"]]
        return tuple(sorted({name for node in nodes if (name := publish_set_of(node))}))

    def _impact_of_feed(self, exposure: dict[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return self._sets_of(exposure), tuple(reports_in(self.manifest, {exposure["unique_id"]}))

    def _rows(self, query: str) -> list[dict[str, Any]]:
        self.cursor.execute(query)
        names = [column.name for column in self.cursor.description]
        return [dict(zip(names, row, strict=True)) for row in self.cursor.fetchall()]


@functools.lru_cache(1000)
def _failures(
    instance: dg.DagsterInstance, run_id: str, job: str, began: datetime, ended: datetime
) -> tuple[_Failure, ...]:
    """The failed steps of a run. Texts of errors from elsewhere may contain data, so only the error's class is used."""
    found = []
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.STEP_FAILURE):
        event = entry.dagster_event
        if event and event.step_key:
            data = event.step_failure_data
            known = data.user_failure_data
            facts = {name: value.value for name, value in known.metadata.items()} if known else {}
            reason = facts.get("reason") or (known and known.description) or _class_of(data.error)
            at = datetime.fromtimestamp(entry.timestamp, UTC)
            found.append(_Failure(run_id, job, event.step_key, at, began, str(facts.get("alert", "")), str(reason)))
    if not found:
        found = [_Failure(run_id, job, "", ended, began, "", "its process stopped, or it did not start")]
    return tuple(found)


def _file_of(exposure: dict[str, Any]) -> str:
    return str(exposure["config"].get("meta", exposure["meta"])["feed"]["file"])


def _class_of(error: Any) -> str:
    """The class of the root cause, and the meaning of its number where the operating system raised it."""
    while error and error.cause:
        error = error.cause
    if not error or not error.cls_name:
        return "an error that the run shows"
    number = re.search(r"\[Errno (\d+)\]", error.message or "")
    return (
        f"{error.cls_name}: {os.strerror(int(number[1]))}" if number else f"{error.cls_name} (the run shows its text)"
    )


def _listed(lines: list[str]) -> str:
    more = [f"- and {len(lines) - MAX_LISTED} more"] if len(lines) > MAX_LISTED else []
    return "\n".join([*(f"- {line}" for line in lines[:MAX_LISTED]), *more])


def _words(limit: timedelta) -> str:
    hours = limit.total_seconds() / 3600
    return f"{hours:g} hours" if hours < 48 else f"{hours / 24:g} days"
