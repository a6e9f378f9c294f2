"""The cycle of the alerts: observes every problem, sends what is due, and writes the status page."""

import os
from contextlib import closing
from typing import Any

import dagster as dg
import urllib3

from orchestration.problems import Observer
from orchestration.status import status_of, write_page
from warehouse import alerts as al
from warehouse.alerts import AlertTable, Problem
from warehouse.environment import dbt_connection

BEAT = """
    insert into governance.heartbeats as h (source, beat_at, unbroken_since) values (%(source)s, %(now)s, %(now)s)
    on conflict (source) do update set beat_at = excluded.beat_at, unbroken_since =
        case when excluded.beat_at - h.beat_at > %(gap)s then excluded.beat_at else h.unbroken_since end
"""

FIRST_BEAT = """
    insert into governance.heartbeats (source, beat_at, unbroken_since) values (%(source)s, %(now)s, %(now)s)
    on conflict do nothing
"""


def run_cycle(instance: dg.DagsterInstance, manifest: dict[str, Any]) -> list[Problem]:
    """Observes, sends what is due, writes the status page and sends the heartbeat. Returns the problems.

    A cycle that cannot observe everything raises, sends nothing and leaves the alerts as they are.
    """
    now = al.utc_now()
    with closing(dbt_connection()) as connection, connection, connection.cursor() as cursor:
        table = AlertTable(cursor)
        table.lock()
        alerts = table.read()
        problems = Observer(instance, cursor, manifest, now).observe(alerts)
        for alert in al.reconcile(alerts, problems, now):
            al.deliver(alert)
        table.write(alerts)
        write_page(status_of(problems, alerts))
        beat = {"source": "alerts", "now": now, "gap": al.GAP}
        cursor.execute(BEAT, beat)
        if address := os.environ.get("HEARTBEAT_URL"):
            cursor.execute(BEAT if _ping(address) else FIRST_BEAT, beat | {"source": "heartbeat"})
    return problems


def _ping(address: str) -> bool:
    try:
        return urllib3.request("GET", address, timeout=10, retries=False).status < 400
    except urllib3.exceptions.HTTPError:
        return False


def build_alerts(manifest: dict[str, Any]) -> dg.SensorDefinition:
    """The sensor that runs a cycle every minute."""

    @dg.sensor(
        name="alerts",
        description="Sends alerts and recovery notices, writes the status page and sends the heartbeat.",
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )
    def alerts(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        problems = run_cycle(context.instance, manifest)
        return dg.SkipReason(", ".join(f"{p.kind} {p.subject}" for p in problems) or "There is no problem.")

    return alerts
