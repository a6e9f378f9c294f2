"""The state of every source, publish set and server, and the problems: for `warehouse status` and its page."""

import json
import os
from collections.abc import Iterable
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import dagster as dg
from jinja2 import Environment, FileSystemLoader

from ingestion.contracts import read_contracts
from ingestion.postgres import names_in
from orchestration.data_tests import DataTests
from orchestration.models import read_manifest
from orchestration.problems import Observer
from warehouse import alerts as al
from warehouse import environment, published
from warehouse.alerts import Alert, AlertFile, Alerts, AlertTable, Problem
from warehouse.environment import home

LAST_LOADS = """
    select distinct on (system, table_name)
        system || '.' || table_name, rows_written, rows_total, loaded_at, high_watermark, new_columns,
        (
            select count(*) from quarantine.rows
            where resolved_at is null and rows.system = load_audit.system and rows.table_name = load_audit.table_name
        ) as in_quarantine
    from governance.load_audit order by system, table_name, load_audit_id desc
"""
LAST_BUILDS = """
    select distinct on (publish_set)
        publish_set, action as last, decided_at, tests_passed, tests_failed, problems,
        array(
            select b.build_id from governance.builds as b
            where b.publish_set = publications.publish_set and b.published_at is not null and b.dropped_at is null
                and b.is_kept and b.schema_name <> b.publish_set
            order by b.replaced_at desc
        ) as can_roll_back_to,
        array(
            select format('%s (process %s) since %s, build %s', login, pid, replaced_at::timestamp(0), build_id)
            from governance.holders_of_old_builds() as h where h.publish_set = publications.publish_set
        ) as held_by_readers,
        publications.loads, invocation_id
    from governance.publications inner join governance.publish_sets using (publish_set)
    order by publish_set, publication_id desc
"""
State = dict[str, dict[str, dict[str, Any]]]
SEVERITY = {al.LATE: 0, al.BROKEN: 1, al.WARNING: 2}


Status = dict[str, Any]  # the keys are documented in docs/reference/status.md


def read_status() -> Status:
    """The status of now, which also counts what is late because Dagster is stopped."""
    servers = environment.servers()
    if servers["warehouse"]["state"] != "running":
        reason = servers["warehouse"].get("reason", environment.NOT_RUNNING)
        return status_of([Problem("server_silent", "warehouse", al.utc_now(), reason)], {})
    with (
        dg.DagsterInstance.get() as instance,
        closing(environment.dbt_connection()) as connection,
        connection,
        connection.cursor() as cursor,
    ):
        alerts = AlertTable(cursor).read()
        problems = Observer(instance, cursor, _manifest(), al.utc_now(), is_live=True).observe(alerts)
    return status_of(problems, alerts)


def status_of(problems: Iterable[Problem], alerts: Alerts) -> Status:
    """The summary, the exit status, the problems with those of the watch, and the state of everything."""
    state, now = read_state(), al.utc_now()
    watched = AlertFile(home() / "watch.json").read()
    silent = [_problem_of(alert) for alert in watched.values() if not alert.resolved_at]
    problems = list({problem.key: problem for problem in [*silent, *problems]}.values())
    is_known = state["servers"]["warehouse"]["state"] == "running"
    never = [name for name, facts in state["publish_sets"].items() if is_known and not facts["last"]]
    return _status(problems, alerts | watched, never, now) | state


def _manifest() -> dict[str, Any]:
    file = Path(os.environ["DBT_TARGET_PATH"]) / "manifest.json"
    manifest: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.exists() else read_manifest()
    return manifest


def _problem_of(alert: Alert) -> Problem:
    sets, reports = tuple(alert.sets), tuple(alert.reports)
    return Problem(alert.kind, alert.subject, alert.began_at, alert.what, sets, reports, alert.run_id, alert.occurrence)


def _status(problems: Iterable[Problem], alerts: Alerts, never: list[str], now: datetime) -> Status:
    problems = sorted(problems, key=lambda problem: (SEVERITY[al.KINDS[problem.kind].effect], problem.key))
    described = [_described(problem, alerts.get(problem.key)) for problem in problems]
    deliveries = [
        f"{al.KINDS[alert.kind].title}: {alert.subject}: {alert.delivery_problem}"
        for alert in alerts.values()
        if alert.delivery_problem and alert.last_notice_at and now - alert.last_notice_at < al.REMINDER
    ]
    effects = [entry["effect"] for entry in described]
    return {
        "summary": _summary(described, len(never), len(deliveries)),
        "exit_status": 2 if {al.LATE, al.BROKEN} & {*effects} else 1 if effects or never or deliveries else 0,
        "read_at": now,
        "problems": described,
        "delivery_problems": deliveries,
    }


def _described(problem: Problem, alert: Alert | None) -> dict[str, Any]:
    kind, known = al.KINDS[problem.kind], alert if alert and not alert.resolved_at else None
    return {
        "kind": problem.kind,
        "title": kind.title,
        "effect": kind.effect,
        "subject": problem.subject,
        "since": known.began_at if known else problem.began_at,
        "occurrences": known.occurrences if known else 1,
        "what": problem.what,
        "publish_sets": al.owners_of(problem.sets),
        "reports": list(problem.reports),
        "action": kind.action,
        "runbook": al.runbook(problem.kind),
        "run": f"{al.dagster_url()}/runs/{problem.run_id}" if problem.run_id else None,
        "last_notice_at": known.last_notice_at if known else None,
    }


def _summary(problems: list[dict[str, Any]], never: int, undelivered: int) -> str:
    """One sentence: what readers notice first, then how much else there is."""
    late = {name for problem in problems if problem["effect"] == al.LATE for name in problem["publish_sets"]}
    reports = {name for problem in problems if problem["effect"] != al.WARNING for name in problem["reports"]}
    silent = [problem["title"] for problem in problems if problem["kind"].endswith("_silent")]
    broken = sum(problem["effect"] == al.BROKEN for problem in problems) - len(silent)
    warnings = sum(problem["effect"] == al.WARNING for problem in problems)
    count = len(environment.publish_sets())
    parts = [
        *silent,
        *([f"{len(late)} of {count} publish sets {'is' if len(late) == 1 else 'are'} late"] if late else []),
        *([f"{_counted(len(reports), 'report')} {'is' if len(reports) == 1 else 'are'} affected"] if reports else []),
        *([f"{never} of {count} publish sets {'was' if never == 1 else 'were'} never published"] if never else []),
        *([_counted(broken, "other problem" if late or silent else "problem")] if broken else []),
        *([_counted(warnings, "warning")] if warnings else []),
        *([_counted(undelivered, "notice") + " not delivered"] if undelivered else []),
    ]
    return f"{'; '.join(parts) or f'All {count} publish sets are up to date'}."


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def write_page(status: Status) -> Path:
    """Writes the status as a self-contained HTML page, to STATUS_PAGE or to status.html in the working folder."""
    file = Path(os.environ.get("STATUS_PAGE") or home() / "status.html")
    templates = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
    templates.filters["when"] = lambda moment: al.when(moment) if isinstance(moment, datetime) else "never"
    draft = file.with_suffix(".new")
    draft.write_text(templates.get_template("status.html.jinja").render(status), encoding="utf-8")
    draft.replace(file)
    return file


def read_state() -> State:
    """{sources | publish_sets | servers: {name: facts}}, from the governance tables."""
    state: State = {"sources": {}, "publish_sets": {}, "servers": environment.servers()}
    for system in read_contracts().values():
        for table in system.tables:
            state["sources"][table.label] = {"rows_written": None, "loaded_at": None, "high_watermark": None}
    for name in environment.publish_sets():
        state["publish_sets"][name] = {"last": None, "decided_at": None}
    if state["servers"]["warehouse"]["state"] == "running":
        with closing(environment.dbt_connection()) as connection, connection.cursor() as cursor:
            for part, query in (("sources", LAST_LOADS), ("publish_sets", LAST_BUILDS)):
                cursor.execute(query)
                _, *names = names_in(cursor)
                state[part] |= {name: dict(zip(names, facts, strict=True)) for name, *facts in cursor.fetchall()}
    for name, facts in state["publish_sets"].items():
        manifest = published.kept(name, facts.pop("invocation_id", None))
        if facts.get("problems") and manifest.exists():
            facts["problems"] = DataTests(json.loads(manifest.read_text(encoding="utf-8"))).explain(facts["problems"])
    return state
