"""Failed runs of Dagster: the failures that no retry will repeat, by cause, until a later success."""

import functools
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import dagster as dg

from ingestion.contracts import read_contracts
from orchestration.impact import Impact
from orchestration.models import raw_nodes, reports_in
from warehouse.alerts import Problem
from warehouse.feeds.declaration import file_of

HISTORY = timedelta(days=31)
RETRY_PATIENCE = timedelta(minutes=10)  # the daemon starts the retry of a failed run within seconds


class _Failure(NamedTuple):
    """A failure of a step, or of a run without a failed step, that no retry will repeat."""

    run_id: str
    job: str
    step: str
    at: datetime
    run_began_at: datetime
    kind: str
    reason: str


class FailedRuns:
    """The problems of failed runs; `outcomes` are the latest publications, `loaded_at` the latest loads."""

    def __init__(
        self,
        instance: dg.DagsterInstance,
        impact: Impact,
        outcomes: dict[str, dict[str, Any]],
        loaded_at: dict[str, datetime],
        now: datetime,
    ):
        self.instance, self.impact, self.outcomes, self.loaded_at, self.now = instance, impact, outcomes, loaded_at, now

    def problems(self, known: set[str]) -> Iterator[Problem]:
        """A problem for each cause; `known` are the runs of problems that were alerted."""
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
            sets, reports = self.impact.of(raw_nodes(self.impact.manifest, system))
        elif latest.step == "models":
            refused = [row for row in self.outcomes.values() if row["action"] == "refuse"]
            if any(row["refused_since"] >= latest.run_began_at for row in refused):
                return
            kind, what = "build_failed", f"The build in job {latest.job} failed before its tests: {what}"
            every_report = reports_in(self.impact.manifest, {*self.impact.manifest["exposures"]})
            sets, reports = tuple(sorted(self.impact.sets)), tuple(every_report)
        elif exposure := self.impact.feeds.get(latest.step.removeprefix("feed__")):
            kind, subject, what = "feed_failed", exposure["name"], f"{file_of(exposure)} was not written: {what}"
            sets, reports = self.impact.of_feed(exposure)
        elif latest.step.startswith("delivery__"):
            _, feed, recipient = latest.step.split("__")
            kind, subject = "delivery_failed", f"{feed} to {recipient}"
            sets, reports = self.impact.of_feed(self.impact.feeds[feed])
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
