"""Alerts: the kinds of problem, what is sent for each problem, to which audience, and what was sent before.

A problem is a state that lasts, such as "raw_erp is not loaded". Each cycle observes every problem. `reconcile`
compares them with the alerts of earlier cycles, so that each cause is reported once, counted while it lasts, and
followed by a recovery notice.
"""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from warehouse.access import read_access
from warehouse.environment import publish_sets

RUNBOOKS = "docs/how-to/respond-to-alerts.md"
WINDOW = timedelta(hours=1)  # a problem that returns earlier is counted, not reported again
REMINDER = timedelta(hours=24)
GAP = timedelta(minutes=10)  # without a cycle: the daemon is stopped
LOCAL = ZoneInfo("Europe/London")
LATE, BROKEN, WARNING = "late", "broken", "warning"


class Kind(NamedTuple):
    """A kind of alert. Its runbook is the section of RUNBOOKS with the heading `title`.

    `effect`: LATE sets keep their previous data, BROKEN needs action, a WARNING has no effect yet.
    """

    title: str
    effect: str
    action: str


KINDS = {
    "load_failed": Kind(
        "Load failed", LATE, "Correct the source or its variable. The next load reads what is missing."
    ),
    "load_refused": Kind("Load refused by a check", LATE, "Check the extract. If it is right, override the check."),
    "drift": Kind("Source differs from its contract", LATE, "Change the contract, or ask the supplier."),
    "data_late": Kind("Data are late", LATE, "Find out why there are no newer data, and load the source."),
    "publication_refused": Kind(
        "Publication refused", LATE, "Correct the data or the rule with the owner. The next build publishes the set."
    ),
    "publication_late": Kind("Publication is late", LATE, "Find out why the set was not built, and build it."),
    "build_failed": Kind("Build failed", LATE, "Read the error of the run, correct its cause, and build again."),
    "run_failed": Kind("Run failed", BROKEN, "Read the error of the run, correct its cause, and run the job again."),
    "check_failed": Kind("Check failed", WARNING, "Correct the data or the rule with the owner."),
    "new_columns": Kind(
        "Source has new columns", WARNING, "Declare each column with a privacy class, or list it in `left_out`."
    ),
    "feed_failed": Kind("Report feed failed", BROKEN, "Correct the cause, then write the feed again."),
    "delivery_failed": Kind(
        "Delivery failed", BROKEN, "Correct the cause, then materialise the asset of the delivery again."
    ),
    "feed_late": Kind("Report feed is late", BROKEN, "Write the feed again."),
    "access_drift": Kind(
        "Access differs from access.yml", BROKEN, "Find out who changed the rights, then run `warehouse access apply`."
    ),
    "disk_full": Kind("Disk is nearly full", BROKEN, "Free space or enlarge the disk."),
    "database_full": Kind("Database is nearly full", BROKEN, "Free space or raise DATABASE_LIMIT_GB with the disk."),
    "heartbeat_failed": Kind("Heartbeat is not received", WARNING, "Check HEARTBEAT_URL and the network."),
    "watch_silent": Kind("Watch is silent", WARNING, "Start the timer of `warehouse watch` again."),
    "server_silent": Kind("Warehouse server does not answer", BROKEN, "Start the server, or restore the network."),
    "web_server_silent": Kind("Dagster's web server does not answer", BROKEN, "Start the web server again."),
    "daemon_silent": Kind("Dagster's daemon is silent", BROKEN, "Start the daemon again."),
    "alerts_silent": Kind("Alerts are silent", BROKEN, "Switch the sensor `alerts` on and read its last tick."),
    "schedule_off": Kind(
        "Schedule or sensor is switched off", BROKEN, "Switch it on, or end the work that needs it off."
    ),
    "schedule_silent": Kind("Schedule or sensor is silent", BROKEN, "Read its last tick, then restart the daemon."),
}


@dataclass(frozen=True)
class Problem:
    """A problem that a cycle observed. `occurrence` differs when the same problem happens again."""

    kind: str
    subject: str
    began_at: datetime
    what: str
    sets: tuple[str, ...] = ()
    reports: tuple[str, ...] = ()
    run_id: str = ""
    occurrence: str = ""

    @property
    def key(self) -> tuple[str, str]:
        return self.kind, self.subject

    def facts(self) -> dict[str, Any]:
        """The fields of an alert that come from the problem."""
        return asdict(self) | {"sets": list(self.sets), "reports": list(self.reports)}


@dataclass
class Alert:
    """A problem with what was sent for it. `undelivered` are the addresses that did not get the last notice."""

    kind: str
    subject: str
    began_at: datetime
    what: str
    sets: list[str]
    reports: list[str]
    run_id: str
    occurrence: str
    last_seen_at: datetime
    occurrences: int = 1
    resolved_at: datetime | None = None
    last_notice: str | None = None  # problem or recovery
    last_notice_at: datetime | None = None
    undelivered: list[str] = field(default_factory=list)
    delivery_problem: str | None = None
    alert_id: int | None = None

    @property
    def key(self) -> tuple[str, str]:
        return self.kind, self.subject

    def see(self, problem: Problem, now: datetime) -> None:
        """Take over what is known of the problem now; the time when it began stays."""
        self.occurrences += self.resolved_at is not None or self.occurrence != problem.occurrence
        self.resolved_at, self.last_seen_at, self.occurrence = None, now, problem.occurrence
        self.what, self.run_id = problem.what, problem.run_id
        self.sets, self.reports = list(problem.sets), list(problem.reports)


Alerts = dict[tuple[str, str], Alert]  # the latest alert of each cause


def reconcile(alerts: Alerts, problems: Iterable[Problem], now: datetime) -> list[Alert]:
    """Update `alerts` to the problems of this cycle; return the alerts for which a notice is due."""
    observed = {problem.key: problem for problem in problems}
    for key, problem in observed.items():
        alert = alerts.get(key)
        if alert is None or (alert.resolved_at and now - alert.resolved_at >= WINDOW):
            alerts[key] = Alert(**problem.facts(), last_seen_at=now)
        else:
            alert.see(problem, now)
    for key, alert in alerts.items():
        if key not in observed and not alert.resolved_at:
            alert.resolved_at = now
    due = []
    for alert in alerts.values():
        age = now - alert.last_notice_at if alert.last_notice_at else timedelta.max
        wait = {None: timedelta(0), "recovery": WINDOW, "problem": REMINDER}[alert.last_notice]
        if alert.resolved_at and alert.last_notice == "problem":
            alert.last_notice, alert.last_notice_at, alert.undelivered = "recovery", now, []
            due.append(alert)
        elif not alert.resolved_at and age >= wait:
            alert.last_notice, alert.last_notice_at, alert.undelivered = "problem", now, []
            due.append(alert)
        elif alert.undelivered:
            due.append(alert)
    return due


# --- the text of a notice


def owners_of(sets: Iterable[str]) -> dict[str, str]:
    """{publish set: owner (e-mail address)} from access.yml."""
    access = read_access(publish_sets())
    return {name: f"{access[name].owner} ({access[name].email})" for name in sorted(sets) if name in access}


def when(moment: datetime) -> str:
    """A moment in local time for people."""
    local = moment.astimezone(LOCAL)
    return f"{day_of(local)}, {local:%H:%M}"


def day_of(day: date) -> str:
    """A date for people."""
    return f"{day.day} {day:%B %Y}"


def runbook(kind: str) -> str:
    """The address of the runbook of a kind; a path in the repository where DOCS_URL is not set."""
    anchor = "".join(letter for letter in KINDS[kind].title.lower() if letter.isalnum() or letter in " -")
    folder = os.environ.get("DOCS_URL", "").rstrip("/")
    path = f"{folder}/{RUNBOOKS.removeprefix('docs/')}" if folder else RUNBOOKS
    return f"{path}#{anchor.replace(' ', '-')}"


def dagster_url() -> str:
    """The address of Dagster's web page."""
    return os.environ.get("DAGSTER_URL", "http://127.0.0.1:3000").rstrip("/")


def describe(alert: Alert) -> tuple[str, str]:
    """Title and text of the alert's last notice. Neither contains personal data, because no problem does."""
    kind = KINDS[alert.kind]
    repeated = f", {alert.occurrences} times" if alert.occurrences > 1 else ""
    if alert.last_notice == "recovery":
        ended = alert.resolved_at or alert.last_seen_at
        lines = [f"The problem ended on {when(ended)}. It began on {when(alert.began_at)}{repeated}.", "", alert.what]
        return f"Resolved: {kind.title}: {alert.subject}", "\n".join(lines)
    lines = [alert.what, "", f"Since: {when(alert.began_at)}{repeated}"]
    if alert.sets:
        owners = owners_of(alert.sets)
        verb = "Publish sets that keep their previous data" if kind.effect == LATE else "Publish sets"
        lines += [
            "",
            f"{verb}, and their owners:",
            *(f"- {name}: {owners.get(name, '')}" for name in sorted(alert.sets)),
        ]
    if alert.reports:
        lines += ["", "Reports, and their owners:", *(f"- {report}" for report in alert.reports)]
    lines += ["", f"What to do: {kind.action}", f"Runbook: {runbook(alert.kind)}"]
    if alert.run_id:
        lines += [f"Run: {dagster_url()}/runs/{alert.run_id}"]
    return f"{kind.title}: {alert.subject}", "\n".join(lines)


# --- delivery


def addresses(sets: Iterable[str], environment: Mapping[str, str]) -> dict[str, str]:
    """{label: apprise URL} of the operators and of the owners of these sets. A label contains no secret.

    ALERTS_<SET> takes precedence over ALERTS_OWNERS, in which {email} and {set} are replaced.
    """
    found: dict[str, str] = {}
    lists = [("ALERTS_OPERATORS", environment.get("ALERTS_OPERATORS", ""), "")]
    access = read_access(publish_sets())
    for name in sorted(set(sets) & access.keys()):
        template = environment.get("ALERTS_OWNERS", "").replace("{email}", access[name].email).replace("{set}", name)
        own = f"ALERTS_{name.upper()}"
        lists += (
            [(own, environment[own], "")] if environment.get(own) else [("ALERTS_OWNERS", template, f" for {name}")]
        )
    for variable, urls, audience in lists:
        for number, url in enumerate(urls.split(), start=1):
            if url not in found.values():
                found[f"{variable}{audience}, address {number} ({url.partition(':')[0]})"] = url
    return found


def send(url: str, title: str, text: str, recovery: bool) -> bool:
    """Send one notice; False if the address is invalid or does not accept it."""
    import apprise  # takes half a second to import, and most cycles send nothing

    channel = apprise.Apprise()
    notice_type = apprise.NotifyType.SUCCESS if recovery else apprise.NotifyType.FAILURE
    return channel.add(url) and bool(
        channel.notify(title=title, body=text, notify_type=notice_type, body_format=apprise.NotifyFormat.TEXT)
    )


def deliver(alert: Alert, environment: Mapping[str, str] = os.environ) -> None:
    """Send the alert's last notice, after a failure also by ALERTS_FALLBACK. Without success the next cycle retries."""
    title, text = describe(alert)
    recovery = alert.last_notice == "recovery"
    chosen = addresses(alert.sets, environment)
    if alert.undelivered:
        chosen = {label: url for label, url in chosen.items() if label in alert.undelivered}
    failed = [label for label, url in chosen.items() if not send(url, title, text, recovery)]
    alert.undelivered, alert.delivery_problem = failed, None
    if failed:
        listed = "; ".join(failed)
        note = f"This notice was not delivered to {listed}.\n\n{text}"
        fallback = environment.get("ALERTS_FALLBACK", "").split()
        accepted = [url for url in fallback if send(url, title, note, recovery)]
        if accepted:
            alert.undelivered, alert.delivery_problem = [], f"not delivered to {listed}; sent to ALERTS_FALLBACK"
        else:
            alert.delivery_problem = f"not delivered to {listed}; the next cycle tries again"


# --- what was sent before

COLUMNS = [column.name for column in fields(Alert) if column.name != "alert_id"]


class AlertTable:
    """The alerts in governance.alerts. Reads inside a transaction that excludes other cycles."""

    def __init__(self, cursor: Any):
        self.cursor = cursor

    def lock(self) -> None:
        """Wait until no other cycle runs."""
        self.cursor.execute("lock table governance.alerts in share row exclusive mode")

    def read(self) -> Alerts:
        listed = ", ".join(COLUMNS)
        self.cursor.execute(
            f"select distinct on (kind, subject) {listed}, alert_id from governance.alerts "
            "order by kind, subject, alert_id desc"
        )
        found = [Alert(**dict(zip([*COLUMNS, "alert_id"], row, strict=True))) for row in self.cursor.fetchall()]
        return {alert.key: alert for alert in found if alert.kind in KINDS}

    def write(self, alerts: Alerts) -> None:
        for alert in alerts.values():
            values = [getattr(alert, name) for name in COLUMNS]
            marks = ", ".join(["%s"] * len(COLUMNS))
            if alert.alert_id is None:
                self.cursor.execute(
                    f"insert into governance.alerts ({', '.join(COLUMNS)}) values ({marks}) returning alert_id", values
                )
                (alert.alert_id,) = self.cursor.fetchone()
            else:
                self.cursor.execute(
                    f"update governance.alerts set ({', '.join(COLUMNS)}) = ({marks}) where alert_id = %s",
                    [*values, alert.alert_id],
                )


class AlertFile:
    """The alerts of `warehouse watch`, in a file, because the server itself may be silent."""

    def __init__(self, file: Path):
        self.file = file

    def read(self) -> Alerts:
        if not self.file.exists():
            return {}
        found = [Alert(**_with_times(entry)) for entry in json.loads(self.file.read_text(encoding="utf-8"))]
        return {alert.key: alert for alert in found if alert.kind in KINDS}

    def write(self, alerts: Alerts) -> None:
        draft = self.file.with_suffix(".new")
        draft.write_text(json.dumps([asdict(alert) for alert in alerts.values()], default=str), encoding="utf-8")
        draft.replace(self.file)


def _with_times(entry: dict[str, Any]) -> dict[str, Any]:
    return {
        name: datetime.fromisoformat(value) if name.endswith("_at") and value else value
        for name, value in entry.items()
    }


def utc_now() -> datetime:
    return datetime.now(UTC)
