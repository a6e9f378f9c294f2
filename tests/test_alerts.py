"""Alerts: one notice per cause at every address, with the sets, reports and owners concerned, and a recovery notice."""

from __future__ import annotations

import email
import email.policy
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from aiosmtpd.controller import Controller

from ingestion.contracts import DriftError, LoadCheckError, SourceError, System, read_contracts
from ingestion.due import Due, moment_of
from tests import support
from tests.support import ROOT, Trial, free_port
from warehouse import alerts, watch
from warehouse.access import read_access
from warehouse.alerts import KINDS, LOCAL, AlertFile, Problem, deliver, describe, reconcile
from warehouse.environment import publish_sets

if TYPE_CHECKING:
    import dagster as dg

NOW = datetime(2026, 11, 30, 4, 31, tzinfo=UTC)
HOUR = timedelta(hours=1)
FAILED = Problem(
    "load_failed", "raw_erp", NOW, "raw_erp: no file", ("finance",), ("Spend (Head of Finance)",), "r1", "r1"
)


class Notice(NamedTuple):
    """What one address received."""

    to: str
    subject: str
    text: str


class Receivers:
    """A mail server, and a web server that receives webhooks; `refuses` makes the mail server refuse every message."""

    def __init__(self) -> None:
        self.mails: list[Notice] = []
        self.hooks: list[Notice] = []
        self.beats, self.refuses, self.lock = 0, False, threading.Lock()
        receivers = self

        class Hook(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with receivers.lock:
                    receivers.beats += 1
                self.send_response(200)
                self.end_headers()

            def do_POST(self) -> None:
                content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with receivers.lock:
                    receivers.hooks.append(Notice(self.path, content["title"], content["message"]))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *words: object) -> None:
                """Log nothing."""

        self.web = ThreadingHTTPServer(("127.0.0.1", 0), Hook)
        threading.Thread(target=self.web.serve_forever, daemon=True).start()
        self.mail = Controller(self, hostname="127.0.0.1", port=free_port())
        self.mail.start()

    async def handle_DATA(self, *received: Any) -> str:  # the name that aiosmtpd calls; server, session, envelope
        envelope = received[-1]
        if self.refuses:
            return "451 Try again later"
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        body = message.get_body(("plain",))
        with self.lock:
            text = body.get_content() if body else ""
            self.mails += [Notice(to, message["Subject"], text) for to in envelope.rcpt_tos]
        return "250 OK"

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.web.server_port}"

    def mailto(self, recipient: str) -> str:
        return f"mailto://127.0.0.1:{self.mail.port}/?from=warehouse@worcestershire.example&to={recipient}"

    def variables(self) -> dict[str, str]:
        """Operators get mail and a webhook; owners get mail."""
        return {
            "ALERTS_OPERATORS": f"{self.mailto('operators@worcestershire.example')} json://{self.address}/operators",
            "ALERTS_OWNERS": self.mailto("{email}"),
            "HEARTBEAT_URL": f"http://{self.address}/beat",
        }

    def take(self) -> tuple[list[Notice], list[Notice]]:
        """Return the mails and the webhooks since the last call."""
        taken = self.mails, self.hooks
        self.mails, self.hooks = [], []
        return taken

    def close(self) -> None:
        self.mail.stop()
        self.web.shutdown()
        self.web.server_close()


@pytest.fixture
def receivers() -> Iterator[Receivers]:
    receivers = Receivers()
    yield receivers
    receivers.close()


def test_a_problem_is_reported_once_and_its_end_once() -> None:
    known: alerts.Alerts = {}
    assert [alert.last_notice for alert in reconcile(known, [FAILED], NOW)] == ["problem"]
    for minute in range(1, 59):
        assert reconcile(known, [FAILED], NOW + timedelta(minutes=minute)) == []
    (ended,) = reconcile(known, [], NOW + HOUR)
    assert (ended.last_notice, ended.resolved_at) == ("recovery", NOW + HOUR)
    assert reconcile(known, [], NOW + 2 * HOUR) == []


def test_a_problem_that_returns_within_the_window_is_counted_and_not_reported_again() -> None:
    known: alerts.Alerts = {}
    reconcile(known, [FAILED], NOW)
    reconcile(known, [], NOW + HOUR / 4)
    again = replace(FAILED, run_id="r2", occurrence="r2")
    assert reconcile(known, [again], NOW + HOUR / 2) == []
    assert known[FAILED.key].occurrences == 2
    (reported,) = reconcile(known, [again], NOW + 5 * HOUR / 4)
    assert "2 times" in describe(reported)[1]
    reconcile(known, [], NOW + 2 * HOUR)
    later = reconcile(known, [FAILED], NOW + 4 * HOUR)
    assert [(alert.last_notice, alert.occurrences) for alert in later] == [("problem", 1)], "a new alert"


def test_an_open_problem_is_repeated_once_a_day() -> None:
    known: alerts.Alerts = {}
    sent = [bool(reconcile(known, [FAILED], NOW + hour * HOUR)) for hour in range(49)]
    assert [hour for hour, due in enumerate(sent) if due] == [0, 24, 48]


def test_a_notice_states_cause_time_affected_and_action(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_URL", "https://dagster.example/")
    monkeypatch.setenv("DOCS_URL", "https://docs.example/warehouse/")
    (alert,) = reconcile({}, [FAILED], NOW)
    title, text = describe(alert)
    assert title == "Load failed: raw_erp"
    assert text.splitlines() == [
        "raw_erp: no file",
        "",
        "Since: 30 November 2026, 04:31",
        "",
        "Publish sets that keep their previous data, and their owners:",
        "- finance: Head of Finance (financial.operations@worcestershire.example)",
        "",
        "Reports, and their owners:",
        "- Spend (Head of Finance)",
        "",
        "What to do: Correct the source or its variable. The next load reads what is missing.",
        "Runbook: https://docs.example/warehouse/how-to/respond-to-alerts.md#load-failed",
        "Run: https://dagster.example/runs/r1",
    ]


def test_every_kind_has_a_runbook_with_cause_and_action() -> None:
    page = (ROOT / alerts.RUNBOOKS).read_text(encoding="utf-8")
    sections = dict(part.split("\n", 1) for part in page.split("\n## ")[1:])
    titles = [kind.title for kind in KINDS.values()]
    assert len(set(titles)) == len(titles)
    assert [heading for heading in sections if heading in titles] == titles, "one section per kind, in this order"
    for title in titles:
        assert all(word in sections[title] for word in ("Means:", "Do:", "Ends:")), title
        kind = next(name for name, kind in KINDS.items() if kind.title == title)
        anchor = "".join(c for c in title.lower() if c.isalnum() or c in " -_").replace(" ", "-")
        assert alerts.runbook(kind) == f"{alerts.RUNBOOKS}#{anchor}"


def test_each_audience_receives_what_concerns_it(receivers: Receivers) -> None:
    (alert,) = reconcile({}, [FAILED], NOW)
    deliver(alert, receivers.variables() | {"ALERTS_HIGHWAYS": f"json://{receivers.address}/highways"})
    mails, hooks = receivers.take()
    assert sorted(mail.to for mail in mails) == [
        "financial.operations@worcestershire.example",
        "operators@worcestershire.example",
    ]
    assert [(hook.to, hook.subject) for hook in hooks] == [("/operators", "Load failed: raw_erp")]
    assert all("raw_erp: no file" in notice.text for notice in [*mails, *hooks])
    alert.sets = ["highways"]
    deliver(alert, receivers.variables() | {"ALERTS_HIGHWAYS": f"json://{receivers.address}/highways"})
    mails, hooks = receivers.take()
    assert [mail.to for mail in mails] == ["operators@worcestershire.example"]
    assert sorted(hook.to for hook in hooks) == ["/highways", "/operators"]


def test_a_failed_delivery_uses_the_fallback_and_is_otherwise_retried(receivers: Receivers) -> None:
    variables = receivers.variables()
    receivers.refuses = True
    known: alerts.Alerts = {}
    (alert,) = reconcile(known, [Problem("disk_full", "/srv", NOW, "The disk is 95% full.")], NOW)
    deliver(alert, variables)
    mails, hooks = receivers.take()
    assert (len(mails), len(hooks)) == (0, 1)
    assert alert.undelivered == ["ALERTS_OPERATORS, address 1 (mailto)"]
    assert "password" not in (alert.delivery_problem or "")
    receivers.refuses = False
    (due,) = reconcile(known, [Problem("disk_full", "/srv", NOW, "The disk is 95% full.")], NOW + HOUR / 60)
    deliver(due, variables)
    mails, hooks = receivers.take()
    assert ([mail.to for mail in mails], hooks) == (["operators@worcestershire.example"], []), "not repeated elsewhere"
    assert (due.undelivered, due.delivery_problem) == ([], None)
    receivers.refuses = True
    (ended,) = reconcile(known, [], NOW + HOUR)
    deliver(ended, variables | {"ALERTS_FALLBACK": f"json://{receivers.address}/fallback"})
    _, hooks = receivers.take()
    assert [(hook.to, hook.subject) for hook in hooks] == [
        ("/operators", "Resolved: Disk is nearly full: /srv"),
        ("/fallback", "Resolved: Disk is nearly full: /srv"),
    ]
    assert "was not delivered to ALERTS_OPERATORS, address 1" in hooks[1].text
    assert (ended.undelivered, bool(ended.delivery_problem)) == ([], True)


def test_the_file_of_the_watch_keeps_alerts(tmp_path: Path) -> None:
    known: alerts.Alerts = {}
    reconcile(known, [Problem("daemon_silent", "daemon", NOW, "Silent: sensor.")], NOW)
    file = AlertFile(tmp_path / "watch.json")
    assert file.read() == {}
    file.write(known)
    assert file.read() == known


@pytest.mark.parametrize(
    ("moment", "due", "missing", "data_up_to"),
    [
        ("2026-12-01 06:31", {"data_up_to": "day_before"}, "2026-12-01 06:30", "2026-11-30"),
        ("2026-12-01 06:29", {"data_up_to": "day_before"}, "2026-11-30 06:30", "2026-11-29"),
        ("2026-12-01 06:30", {"data_up_to": "same_day"}, "2026-12-01 06:30", "2026-12-01"),
        # Boxing Day 2026 is a Saturday: its bank holiday is Monday 28 December
        ("2026-12-28 12:00", {"data_up_to": "day_before", "days": "working_days"}, "2026-12-24 06:30", "2026-12-23"),
        ("2026-12-29 12:00", {"data_up_to": "working_day_before"}, "2026-12-29 06:30", "2026-12-24"),
        ("2026-12-29 06:00", {"data_up_to": "working_day_before"}, "2026-12-28 06:30", "2026-12-24"),
        # 05:31 UTC is 06:31 in London in summer
        ("2026-07-01 06:31", {"data_up_to": "day_before"}, "2026-07-01 06:30", "2026-06-30"),
    ],
)
def test_data_are_due_by_a_local_time_on_the_days_of_the_contract(
    moment: str, due: dict[str, str], missing: str, data_up_to: str
) -> None:
    now = datetime.fromisoformat(moment).replace(tzinfo=LOCAL).astimezone(UTC)
    target = Due(by="06:30", **due).last_target(now, "Europe/London")
    assert (f"{target.at:%Y-%m-%d %H:%M}", f"{target.data_up_to}") == (missing, data_up_to)


@pytest.mark.parametrize(
    ("high_watermark", "moment"),
    [
        ("2026-07-01 23:30:00+00:00", "2026-07-01T23:30:00+00:00"),  # a cursor
        ("2026-07-01T23:30:00+00:00", "2026-07-01T23:30:00+00:00"),  # a file
        ("2026-07-01", "2026-06-30T23:00:00+00:00"),  # a cursor that is a date
        ("20260701", None),  # a number
        ("", None),
        ("a fingerprint-of-an-api", None),
    ],
)
def test_a_high_watermark_is_a_moment_where_it_is_a_date_or_time(high_watermark: str, moment: str | None) -> None:
    found = moment_of(high_watermark, "Europe/London")
    assert (found and found.isoformat()) == moment


# --- planted faults in a real warehouse: an empty one, with Dagster's instance and the manifest of the project


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    """The manifest of the project, as Dagster reads it."""

    support.manifest()
    content: dict[str, Any] = json.loads((support.manifest_folder() / "manifest.json").read_text(encoding="utf-8"))
    return content


class Cycles:
    """Cycles of the alerts in an empty warehouse."""

    def __init__(self, trial: Trial, receivers: Receivers, manifest: dict[str, Any], instance: dg.DagsterInstance):
        self.trial, self.receivers, self.manifest, self.instance = trial, receivers, manifest, instance
        self.sql = trial.sql
        self.sql(  # the daemon has run since yesterday
            "insert into governance.heartbeats values ('alerts', now() - interval '1 minute', now() - interval '1 day')"
        )

    def __call__(self) -> dict[str, list[str]]:
        """Run one cycle; return {subject of a notice: its recipients}, after a check that mail and webhook agree."""
        from orchestration.alerts import run_cycle

        run_cycle(self.instance, self.manifest)
        mails, hooks = self.receivers.take()
        operators = [mail for mail in mails if mail.to.startswith("operators@")]
        assert sorted(mail.subject for mail in operators) == sorted(hook.subject for hook in hooks)
        received: dict[str, list[str]] = {}
        for mail in mails:
            received.setdefault(mail.subject, []).append(mail.to.split("@")[0])
        self.texts = {hook.subject: hook.text for hook in hooks}
        return {subject: sorted(recipients) for subject, recipients in sorted(received.items())}

    def loaded(self, system: str, table: str, hours: float, new_columns: tuple[str, ...] = ()) -> None:
        """Record a load that ended some hours ago, of data up to then."""
        self.sql(
            "insert into governance.load_audit (system, table_name, load_id, data_version, rows_written, rows_read, "
            "rows_quarantined, rows_total, high_watermark, new_columns, loaded_at) "
            "select %s, %s, 'l', 'v', 1, 1, 0, 1, at::text, %s, at "
            "from (select clock_timestamp() - %s * interval '1 hour') loads (at)",
            (system, table, list(new_columns), hours),
        )

    def decided(self, publish_set: str, action: str, *problems: str, hours: float = 0) -> None:
        """Record a publication or a refusal of some hours ago."""
        self.sql(
            "insert into governance.publications (publish_set, action, problems, decided_at) "
            "values (%s, %s, %s, clock_timestamp() - %s * interval '1 hour')",
            (publish_set, action, list(problems), hours),
        )

    def materialize(self, *assets: dg.AssetsDefinition, tags: dict[str, str] | None = None) -> str:
        """Run assets as Dagster does, without a retry; return the id of the run."""
        import dagster as dg

        return dg.materialize(assets, instance=self.instance, raise_on_error=False, tags=tags).run_id

    def report(self, *key: str) -> None:
        """Report that an asset was materialised."""
        import dagster as dg

        self.instance.report_runless_asset_event(dg.AssetMaterialization(list(key)))

    def check(self, name: str, passed: bool) -> None:
        """Report the result of a data test."""
        import dagster as dg

        from orchestration.models import node_key

        test = next(node for node in self.manifest["nodes"].values() if node["name"] == name)
        key = node_key(self.manifest["nodes"][test["attached_node"]])
        self.instance.report_runless_asset_event(dg.AssetCheckEvaluation(key, name, passed))


@pytest.fixture
def cycles(
    trial: Trial, receivers: Receivers, manifest: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Cycles]:
    import dagster as dg

    for name, value in {**receivers.variables(), "OUTBOX": str(tmp_path / "outbox"), "LANDING": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    with dg.DagsterInstance.ephemeral() as instance:  # in memory; otherwise each run has a database of its own
        yield Cycles(trial, receivers, manifest, instance)


def test_no_alert_without_a_fault(cycles: Cycles) -> None:
    assert cycles() == {}
    cycles.loaded("raw_open311", "service_requests", 1)
    cycles.decided("highways", "publish", hours=1)
    assert cycles() == {}
    page = (cycles.trial.home / "status.html").read_text(encoding="utf-8")
    assert "<h1" in page
    assert cycles.receivers.beats == 2


def test_each_planted_fault_is_one_alert_at_its_audiences_and_one_recovery_notice(
    cycles: Cycles, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Plant every fault that a cycle observes at once; one cycle reports each, and one the end of each."""
    import dagster as dg

    from orchestration.feeds import build_deliveries, build_feeds
    from orchestration.loads import build_loads

    assert cycles() == {}
    contracts = read_contracts()

    def load(system: str) -> None:
        cycles.materialize(build_loads(contracts[system], cycles.manifest)[0])

    @dg.asset(key=["matching", "person_records"])
    def person_records() -> None:
        raise ValueError("Wrenfield, born 14 March 1971")

    @dg.multi_asset(name="models", specs=[dg.AssetSpec("a_model")])
    def models() -> None:
        raise dg.Failure("the server closed the connection")

    load("erp")  # the folder has no file
    refuse(monkeypatch, LoadCheckError("raw_capita.pupils: 59 rows instead of 1,384"))
    load("capita")
    refuse(monkeypatch, DriftError("raw_koha.loans: no column due_date. Was it renamed?"))
    load("koha")
    cycles.loaded("raw_open311", "service_requests", 100)
    cycles.loaded("raw_itrent", "employees", 0, ("colour",))
    cycles.decided("finance", "refuse", "test a failed")
    cycles.materialize(person_records, models)
    cycles.decided("libraries", "publish", hours=5)
    cycles.decided("highways", "publish", hours=5)
    (tmp_path / "outbox").write_text("a file, not a folder")
    feeds = {asset.key.path[-1]: asset for asset in build_feeds(cycles.manifest)}
    for name in feeds.keys() - {"enquiries_by_ward", "libraries_by_month"}:
        cycles.report("feed", name)
    cycles.materialize(feeds["enquiries_by_ward"])
    deliveries = {asset.key.path[-1]: asset for asset in build_deliveries(cycles.manifest)[0]}
    cycles.materialize(deliveries["redditch_engineers"])  # no variable has the recipient's URL
    cycles.check("assert_every_case_has_a_known_service", False)
    cycles.sql("grant usage on schema conformed to pbi_finance")
    cycles.sql("insert into governance.heartbeats values ('watch', now() - interval '2 hours', now())")
    cycles.sql("update governance.heartbeats set beat_at = now() - interval '1 hour' where source = 'heartbeat'")
    heartbeat = os.environ["HEARTBEAT_URL"]
    monkeypatch.setenv("HEARTBEAT_URL", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("DISK_LIMIT_PCT", "0")
    monkeypatch.setenv("DATABASE_LIMIT_GB", "0.001")
    everybody = sorted({*(owner.email.split("@")[0] for owner in read_access(publish_sets()).values()), "operators"})
    expected = {
        "Access differs from access.yml: access.yml": ["operators"],
        "Build failed: models": everybody,
        "Check failed: assert_every_case_has_a_known_service": ["customer.services", "operators"],
        "Data are late: raw_open311": ["highways.operations", "operators"],
        "Database is nearly full: warehouse": ["operators"],
        "Delivery failed: open_enquiries_by_district to redditch_engineers": ["highways.operations", "operators"],
        "Heartbeat is not received: HEARTBEAT_URL": ["operators"],
        "Load failed: raw_erp": ["customer.services", "data.quality", "financial.operations", "operators"],
        "Load refused by a check: raw_capita": ["business.intelligence", "data.quality", "education.data", "operators"],
        "Publication refused: finance": ["financial.operations", "operators"],
        "Report feed failed: enquiries_by_ward": ["highways.operations", "operators"],
        "Report feed is late: libraries_by_month": ["library.systems", "operators"],
        "Run failed: matching__person_records": ["operators"],
        "Source differs from its contract: raw_koha": [
            *("business.intelligence", "data.quality", "library.systems", "operators"),
        ],
        "Source has new columns: raw_itrent.employees": [
            *("customer.services", "data.quality", "human.resources", "operators"),
        ],
        "Watch is silent: watch": ["operators"],
    }
    received = cycles()
    disks = [subject for subject in received if subject.startswith("Disk is nearly full: ")]
    assert {subject: to for subject, to in received.items() if subject not in disks} == expected
    assert disks
    texts = cycles.texts
    assert "- Supplier spend (Payments Manager)" in texts["Load failed: raw_erp"]
    assert "Wrenfield" not in str(texts), "the text of an unknown error may contain personal data"
    assert (
        "enquiries_by_ward.csv was not written: NotADirectoryError: " in texts["Report feed failed: enquiries_by_ward"]
    )
    assert cycles() == {}, "nothing is repeated"
    page = (cycles.trial.home / "status.html").read_text(encoding="utf-8")
    assert "12 of 12 publish sets are late" in page
    assert [subject for subject in received if f"<h3>{subject}</h3>" not in page] == []

    for system, table in (("erp", "ledger_lines"), ("capita", "pupils"), ("koha", "loans"), ("itrent", "employees")):
        cycles.loaded(f"raw_{system}", table, 0)
    cycles.loaded("raw_open311", "service_requests", 0)
    cycles.decided("finance", "publish")
    for key in (
        ("feed", "enquiries_by_ward"),
        ("feed", "libraries_by_month"),
        ("matching", "person_records"),
        ("delivery", "open_enquiries_by_district", "redditch_engineers"),
    ):
        cycles.report(*key)
    cycles.check("assert_every_case_has_a_known_service", True)
    cycles.sql("revoke usage on schema conformed from pbi_finance")
    cycles.sql("update governance.heartbeats set beat_at = now() where source in ('watch', 'heartbeat')")
    monkeypatch.setenv("HEARTBEAT_URL", heartbeat)
    monkeypatch.delenv("DISK_LIMIT_PCT")
    monkeypatch.delenv("DATABASE_LIMIT_GB")
    assert cycles() == {f"Resolved: {subject}": to for subject, to in received.items()}
    assert cycles() == {}


def test_a_source_that_repeats_an_earlier_file_is_reported_until_it_brings_the_data_that_are_due(
    cycles: Cycles, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import dagster as dg

    from orchestration.loads import UP_TO_DATE, build_loads

    system = read_contracts()["koha"]
    (table,) = (table for table in system.tables if table.due)
    monkeypatch.setenv(system.location or "", str(tmp_path))
    key = dg.AssetKey([system.name, table.name])
    load = build_loads(system, cycles.manifest)[0]

    def deliver_and_load(name: str, written: datetime) -> dg.AssetCheckEvaluation:
        file = tmp_path / "libraries" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"{','.join(table.column_names)}\n{written:%Y-%m-%d} 09:00:00,BR1,issue,7,\n")
        os.utime(file, (written.timestamp(), written.timestamp()))
        done = dg.materialize([load], instance=cycles.instance, selection=[key])
        (checked,) = done.get_asset_check_evaluations()
        (metadata,) = (
            event.step_materialization_data.materialization.metadata
            for event in done.get_asset_materialization_events()
        )
        assert datetime.fromtimestamp(metadata["data_up_to"].value, UTC) == written
        assert checked.asset_check_key == dg.AssetCheckKey(key, UP_TO_DATE)
        return checked

    now = datetime.now(UTC).replace(microsecond=0)
    old = deliver_and_load("koha_statistics_1.csv", now - timedelta(days=5))
    assert (old.passed, old.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert list(cycles()) == ["Data are late: raw_koha"]
    text = cycles.texts["Data are late: raw_koha"]
    assert f"raw_koha.statistics has data up to {alerts.day_of(now - timedelta(days=5))}. By " in text
    assert "- libraries: " in text, "the publish sets and their owners"
    assert not deliver_and_load("koha_statistics_1.csv", now - timedelta(days=5)).passed, "the same file again"
    assert cycles() == {}
    assert deliver_and_load("koha_statistics_2.csv", now).passed
    assert list(cycles()) == ["Resolved: Data are late: raw_koha"]


def test_a_failed_run_is_reported_after_its_last_retry(cycles: Cycles) -> None:
    import dagster as dg

    from orchestration.loads import build_loads

    load = build_loads(read_contracts()["erp"], cycles.manifest)[0]
    with dg.instance_for_test(overrides={"run_retries": {"enabled": True, "max_retries": 1}}) as cycles.instance:
        first = cycles.materialize(load)
        assert cycles() == {}, "the daemon will retry the run"
        cycles.materialize(load, tags={"dagster/max_retries": "0", "dagster/parent_run_id": first})
        cycles.instance.add_run_tags(first, {"dagster/auto_retry_run_id": "the second"})
        assert list(cycles()) == ["Load failed: raw_erp"]
        assert "times" not in cycles.texts["Load failed: raw_erp"]


def test_after_the_daemon_was_stopped_late_data_wait_until_it_has_caught_up(cycles: Cycles) -> None:
    cycles.sql("update governance.heartbeats set beat_at = now() - interval '9 hours'")
    cycles.loaded("raw_open311", "service_requests", 30)
    cycles.decided("workforce", "publish", hours=50)
    for feed in ("days_lost_per_fte", "headcount_by_unit"):
        cycles.report("feed", feed)
    assert cycles() == {}
    cycles.sql("update governance.heartbeats set unbroken_since = now() - interval '3 hours' where source = 'alerts'")
    assert list(cycles()) == ["Data are late: raw_open311", "Publication is late: workforce"]
    cycles.sql("update governance.heartbeats set beat_at = now() - interval '9 hours'")
    assert cycles() == {}, "an open alert stays open"
    assert cycles.sql("select count(*) from governance.alerts where resolved_at is null") == [(2,)]


def refuse(monkeypatch: pytest.MonkeyPatch, error: SourceError) -> None:
    """Let each load end in this error."""

    def load(system: System, tables: set[str]) -> None:
        raise error

    monkeypatch.setattr("orchestration.loads.load_system", load)


TINY = """
import dagster as dg

@dg.op
def work(): pass

@dg.job
def nightly(): work()

@dg.sensor(minimum_interval_seconds=30, default_status=dg.DefaultSensorStatus.RUNNING)
def alerts(context): return dg.SkipReason("no problem")

defs = dg.Definitions(
    jobs=[nightly],
    sensors=[alerts],
    schedules=[
        dg.ScheduleDefinition(
            name="each_minute", job=nightly, cron_schedule="* * * * *",
            default_status=dg.DefaultScheduleStatus.RUNNING,
        )
    ],
)
"""


@pytest.fixture
def dagster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Start a process of Dagster for a small code location, which they share; all are stopped at the end."""
    (tmp_path / "tiny.py").write_text(TINY)
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}")
    port, code, started = free_port(), str(free_port()), []
    location = f"{{host: 127.0.0.1, port: {code}, location_name: tiny}}"
    (tmp_path / "workspace.yaml").write_text(f"load_from: [grpc_server: {location}]")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    monkeypatch.setenv("DAGSTER_URL", f"http://127.0.0.1:{port}")

    def start(command: str, *options: str) -> None:
        program = [str(Path(sys.executable).with_name(command)), *options]
        with (tmp_path / f"{command}.log").open("w") as log:
            started.append(subprocess.Popen(program, cwd=tmp_path, stdout=log, stderr=log, start_new_session=True))

    start("dagster", "api", "grpc", "-f", "tiny.py", "--host", "127.0.0.1", "--port", code)
    options = {"dagster-webserver": ["--port", str(port)], "dagster-daemon": ["run"]}
    yield lambda command: start(command, *options[command], "-w", "workspace.yaml")
    for process in started:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def tick(schedule: str, sensor: str) -> None:
    """Record a tick of a schedule, like the first tick of a sensor: the schedule may be due only in a minute."""
    import dagster as dg

    with dg.DagsterInstance.get() as instance:
        states = {state.instigator_name: state for state in instance.all_instigator_state()}
        like, state, give_up = states[sensor], states[schedule], time.monotonic() + support.PATIENCE
        while not (ticks := instance.get_ticks(like.instigator_origin_id, like.selector_id, limit=1)):
            assert time.monotonic() < give_up, "the sensor has no tick"
            time.sleep(0.2)
        own = {name: getattr(state, name) for name in ("instigator_origin_id", "instigator_type", "selector_id")}
        instance.create_tick(ticks[0].tick_data._replace(instigator_name=schedule, **own))


def test_the_watch_reports_each_silence_once(
    trial: Trial, receivers: Receivers, dagster: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def observed(minutes: int = 0) -> list[tuple[str, str]]:
        found = watch.observe(alerts.utc_now() + timedelta(minutes=minutes), {})
        return [problem.key for problem in found]

    def wait_for(*expected: tuple[str, str], minutes: int = 0) -> None:
        give_up = time.monotonic() + support.PATIENCE
        while (found := observed(minutes)) != list(expected):
            assert time.monotonic() < give_up, found
            time.sleep(0.2)

    beat = (
        "insert into governance.heartbeats values ('alerts', now(), now()) on conflict (source) do update set beat_at ="
    )
    trial.sql(f"{beat} now() + interval '1 hour'")
    url = os.environ["DAGSTER_URL"]
    assert observed() == [("web_server_silent", url)]
    dagster("dagster-webserver")
    wait_for(("daemon_silent", "daemon"))
    dagster("dagster-daemon")
    wait_for()
    tick("each_minute", sensor="alerts")
    wait_for(("schedule_silent", "alerts"), ("schedule_silent", "each_minute"), minutes=20)
    (repository,) = watch._ask(watch.STATE.replace("status ticks", "id selectorId status ticks"))[
        "repositoriesOrError"
    ]["nodes"]
    schedule = repository["schedules"][0]["scheduleState"]
    watch._ask(f'mutation {{ stopRunningSchedule(id: "{schedule["id"]}") {{ __typename }} }}')
    assert observed(minutes=20) == [("schedule_silent", "alerts"), ("schedule_off", "each_minute")]
    assert observed() == [], "its window has not passed"
    trial.sql(f"{beat} now() - interval '1 hour'")
    assert observed() == [("alerts_silent", "alerts")]
    trial.sql(f"{beat} now() + interval '1 hour'")

    for name, value in receivers.variables().items():
        monkeypatch.setenv(name, value)
    port = os.environ["DBT_PORT"]
    monkeypatch.setenv("DBT_PORT", str(free_port()))
    assert [problem.kind for problem in watch.watch()] == ["server_silent"]
    watch.watch()
    mails, hooks = receivers.take()
    assert [mail.to for mail in mails] == ["operators@worcestershire.example"]
    assert [hook.subject for hook in hooks] == ["Warehouse server does not answer: warehouse"]
    assert os.environ["DBT_ENV_SECRET_PASSWORD"] not in hooks[0].text
    monkeypatch.setenv("DBT_PORT", port)
    assert watch.watch() == []
    mails, hooks = receivers.take()
    assert [notice.subject for notice in mails + hooks] == ["Resolved: Warehouse server does not answer: warehouse"] * 2
