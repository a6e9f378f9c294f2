"""Finds systems whose data are late: not loaded for too long, or without the data that their contract says are due."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from ingestion.contracts import System, read_contracts
from ingestion.due import Target, moment_of
from orchestration.impact import Impact
from orchestration.models import raw_nodes
from warehouse import alerts as al
from warehouse import environment
from warehouse.alerts import Problem

LOADS = """
    select distinct on (system, table_name) system, table_name, loaded_at, high_watermark
    from governance.load_audit order by system, table_name, load_audit_id desc
"""


class Missed(NamedTuple):
    """A target of a contract that a table missed, and the date up to which it has data."""

    table: str
    target: Target
    reached: date | None

    def in_words(self) -> str:
        """What is due and what there is."""
        until = f"data up to {al.day_of(self.reached)}" if self.reached else "no data"
        due = f"data up to {al.day_of(self.target.data_up_to)} were due"
        return f"{self.table} has {until}. By {al.when(self.target.at)}, {due}."


def late_data(cursor: Any, impact: Impact, now: datetime, failing: set[str]) -> Iterator[Problem]:
    """A problem for each system that was loaded, is late, and is not in `failing`."""
    cursor.execute(LOADS)
    loads: dict[str, dict[str, tuple[datetime, str]]] = {}
    for system, table, loaded_at, watermark in cursor.fetchall():
        loads.setdefault(system, {})[table] = (loaded_at, watermark)
    for system in read_contracts().values():
        if system.name not in loads or system.name in failing:
            continue
        tables = loads[system.name]
        loaded_at, age = min(loaded_at for loaded_at, _ in tables.values()), system.freshness["error_after"]
        limit = timedelta(**{f"{age.period}s": age.count})
        missed = missed_targets(system, {table: watermark for table, (_, watermark) in tables.items()}, now)
        what = [each.in_words() for each in missed.values()]
        began = [each.target.at for each in missed.values()]
        nodes = {node for table in missed for node in raw_nodes(impact.manifest, system.name, table)}
        if now - loaded_at > limit:
            allowed = f"{system.name} was last loaded on {al.when(loaded_at)}. Its contract allows {_words(limit)}."
            what, began, nodes = [allowed, *what], [loaded_at + limit], raw_nodes(impact.manifest, system.name)
        if what:
            yield Problem("data_late", system.name, min(began), "\n".join(what), *impact.of(nodes))


def missed_targets(system: System, watermarks: dict[str, str], now: datetime) -> dict[str, Missed]:
    """{table: the target that it missed} of the tables with a high watermark whose contract has `due`.

    In a demo county, its own day counts instead of today.
    """
    day = environment.demo_day()
    moment, missed = datetime.combine(day, now.timetz()) if day else now, {}
    for table in system.tables:
        if not table.due or table.name not in watermarks:
            continue
        target = table.due.last_target(moment, system.time_zone)
        latest = moment_of(watermarks[table.name], system.time_zone)
        reached = latest.astimezone(ZoneInfo(system.time_zone)).date() if latest else None
        if reached is None or reached < target.data_up_to:
            missed[table.name] = Missed(table.label, target, reached)
    return missed


def _words(limit: timedelta) -> str:
    hours = limit.total_seconds() / 3600
    return f"{hours:g} hours" if hours < 48 else f"{hours / 24:g} days"
