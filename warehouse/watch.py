"""Finds out whether Dagster, its schedules and the warehouse's server are silent. Knows nothing of Dagster's code.

`warehouse watch` runs every few minutes by a timer outside Dagster, if possible on another machine. It asks the web
server's GraphQL interface and the governance tables, and keeps its alerts in a file.
"""

import json
import os
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import urllib3

from warehouse.alerts import GAP, AlertFile, Alerts, Problem, dagster_url, deliver, reconcile, utc_now, when
from warehouse.environment import dbt_connection, home
from warehouse.errors import WarehouseError

SECONDS = 10  # to wait for an answer
PATIENCE = timedelta(minutes=15)  # after a tick is due, or after Dagster answers again
INSTIGATOR = "status ticks(limit: 1) { timestamp }"
STATE = f"""{{
    instance {{ daemonHealth {{ allDaemonStatuses {{ daemonType required healthy lastHeartbeatTime }} }} }}
    repositoriesOrError {{ ... on RepositoryConnection {{ nodes {{
        name location {{ name }}
        schedules {{ name scheduleState {{ {INSTIGATOR} }} }}
        sensors {{ name minIntervalSeconds sensorState {{ {INSTIGATOR} }} }}
    }} }} }}
}}"""
NEXT_TICK = """tick%d: scheduleOrError(scheduleSelector: {repositoryName: "%s", repositoryLocationName: "%s",
    scheduleName: "%s"}) { ... on Schedule { futureTicks(cursor: %f, limit: 1) { results { timestamp } } } }"""


def watch() -> list[Problem]:
    """Observes, and sends what is due. Returns the problems."""
    now, file = utc_now(), AlertFile(home() / "watch.json")
    alerts = file.read()
    problems = list(observe(now, alerts))
    for alert in reconcile(alerts, problems, now):
        deliver(alert)
    file.write(alerts)
    return problems


def observe(now: datetime, alerts: Alerts) -> Iterator[Problem]:
    """The problems of now. What follows from a silent server or daemon is not a problem of its own."""
    try:
        last_cycle = _beat(now)
    except WarehouseError as error:
        yield Problem("server_silent", "warehouse", now, str(error))
        return  # Dagster keeps its runs on the same server
    try:
        state = _ask(STATE)
    except WarehouseError as error:
        yield Problem("web_server_silent", dagster_url(), now, str(error))
        return
    statuses = state["instance"]["daemonHealth"]["allDaemonStatuses"]
    if silent := [status for status in statuses if status["required"] and not status["healthy"]]:
        beats = [status["lastHeartbeatTime"] for status in silent if status["lastHeartbeatTime"]]
        began = _moment(min(beats)) if beats else now
        names = ", ".join(sorted(status["daemonType"].lower() for status in silent))
        yield Problem("daemon_silent", "daemon", began, f"No schedule, sensor or queued run starts. Silent: {names}.")
        return
    recovered = [alert.resolved_at for alert in alerts.values() if alert.kind.endswith("_silent") and alert.resolved_at]
    if recovered and now - max(recovered) < PATIENCE:
        return  # Dagster catches up
    late = list(_late_instigators(state["repositoriesOrError"]["nodes"], now))
    yield from late
    is_silent = last_cycle is None or now - last_cycle > GAP
    if is_silent and not any(problem.subject == "alerts" for problem in late):
        ended = f"was completed on {when(last_cycle)}" if last_cycle else "was never completed"
        what = f"The last cycle of the alerts {ended}. Other problems are not reported."
        yield Problem("alerts_silent", "alerts", last_cycle or now, what)


def _beat(now: datetime) -> datetime | None:
    """Record that the watch runs; return when the last cycle of the alerts was completed."""
    os.environ.setdefault("PGCONNECT_TIMEOUT", str(SECONDS))
    with closing(dbt_connection()) as connection, connection, connection.cursor() as cursor:
        cursor.execute(
            "insert into governance.heartbeats (source, beat_at, unbroken_since) values ('watch', %(now)s, %(now)s) "
            "on conflict (source) do update set beat_at = excluded.beat_at",
            {"now": now},
        )
        cursor.execute("select beat_at from governance.heartbeats where source = 'alerts'")
        row = cursor.fetchone()
        return row[0] if row else None


def _ask(query: str) -> dict[str, Any]:
    address = f"{dagster_url()}/graphql"
    try:
        answer = urllib3.request("POST", address, json={"query": query}, timeout=SECONDS, retries=False)
        data: dict[str, Any] = json.loads(answer.data)["data"]
    except (urllib3.exceptions.HTTPError, ValueError, KeyError) as error:
        raise WarehouseError(f"{address} does not answer ({type(error).__name__}).") from None
    if not data:
        raise WarehouseError(f"{address} answers with an error.")
    return data


def _late_instigators(repositories: list[dict[str, Any]], now: datetime) -> Iterator[Problem]:
    """Schedules and sensors whose next tick after the last one is overdue; also those that are off without a tick."""
    last_ticks: dict[tuple[str, str, str], float] = {}
    is_off: dict[str, bool] = {}
    due: dict[str, datetime] = {}
    for repository in repositories:
        for sensor in repository["sensors"]:
            name, state = sensor["name"], sensor["sensorState"]
            is_off[name] = state["status"] != "RUNNING"
            if state["ticks"]:
                due[name] = _moment(state["ticks"][0]["timestamp"] + sensor["minIntervalSeconds"])
        for schedule in repository["schedules"]:
            name, state = schedule["name"], schedule["scheduleState"]
            is_off[name] = state["status"] != "RUNNING"
            if state["ticks"]:
                last_ticks[repository["name"], repository["location"]["name"], name] = state["ticks"][0]["timestamp"]
    if last_ticks:
        asked = [NEXT_TICK % (number, *key, tick + 1) for number, (key, tick) in enumerate(last_ticks.items())]
        answers = _ask("{" + "\n".join(asked) + "}")
        for number, (_, _, name) in enumerate(last_ticks):
            due[name] = _moment(answers[f"tick{number}"]["futureTicks"]["results"][0]["timestamp"])
    for name, off in sorted(is_off.items()):
        if name in due and now - due[name] > PATIENCE:
            what = f"{name} was due on {when(due[name])} and did not run. "
            what += "It is switched off." if off else "It is switched on, and the daemon answers."
            yield Problem("schedule_off" if off else "schedule_silent", name, due[name], what)
        elif off and name not in due:
            yield Problem("schedule_off", name, now, f"{name} is switched off and never ran.")


def _moment(timestamp: float) -> datetime:
    return datetime.fromtimestamp(timestamp, UTC)
