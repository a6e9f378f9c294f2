"""What a report showed for a closed period, when it was restated, and which records changed in between."""

import itertools
import re
from collections import defaultdict
from collections.abc import Callable
from datetime import date, datetime
from typing import Any, NamedTuple

from warehouse.alerts import when
from warehouse.errors import WarehouseError

KEYS_SHOWN = 20  # record keys of one kind of change; the table has all
Query = Callable[[str, list[object]], list[tuple[Any, ...]]]


class Version(NamedTuple):
    """A figure as it was published: `value` is None where it is suppressed, `replaced_at` where the report shows it."""

    row_name: str
    figure: str
    value: Any
    published_at: datetime
    replaced_at: datetime | None

    @property
    def name(self) -> str:
        return " / ".join(filter(None, (self.row_name, self.figure)))

    @property
    def shown(self) -> str:
        return "suppressed" if self.value is None else f"{self.value:,}"


def day_within(period: str) -> date:
    """A day of the period 2026-05, 2026-05-31 or 2025/26. Raises WarehouseError."""
    try:
        if year := re.fullmatch(r"(\d{4})/\d\d", period):
            return date(int(year[1]), 12, 31)
        return date.fromisoformat(period if period.count("-") == 2 else f"{period}-01")
    except ValueError:
        raise WarehouseError(f"{period} is no period. Write 2026-05, 2026-05-31 or 2025/26.") from None


def explain(query: Query, publish_sets: list[str], name: str, period: str) -> str:
    """The publications of a report's (<set>.<table>) figures for a period. Raises WarehouseError without any.

    `query` runs SQL with a login that reads the history of the set.
    """
    publish_set, _, report = name.partition(".")
    day, history = day_within(period), f"{publish_set}_history"
    kept = publish_set in publish_sets and query("select to_regclass(%s)", [f"{history}.rpt_restatements"])[0][0]
    first = last = None
    if kept:
        ends = f"select min(period_end_date), max(period_end_date) from {history}.rpt_restatements where report = %s"
        ((first, last),) = query(ends, [report])
    if first is None:
        raise WarehouseError(
            f"No figures of {name} are kept. Write the report as <set>.rpt_…; a report declares its history as "
            "meta.restatements (docs/how-to/explain-a-restated-figure.md)."
        )
    found = query(
        "select row_name, figure, value, published_at, replaced_at, period_start_date, period_end_date "
        f"from {history}.rpt_restatements where report = %s and period_start_date <= %s and period_end_date = "
        f"(select min(period_end_date) from {history}.rpt_restatements where report = %s and period_end_date >= %s) "
        "order by row_name, figure, published_at",
        [report, day, report, day],
    )
    if not found:
        raise WarehouseError(f"{name} has no closed period with {period}: periods end from {first} to {last}.")
    start, end = found[0][5:]
    records = query(
        f"select published_at, fact, change, record_key from {history}.rpt_restated_records "
        "where report = %s and month_start_date between %s and %s order by fact, change, record_key",
        [report, start, end],
    )
    return "\n".join([f"{name}, {start} to {end}", *_lines([Version(*row[:5]) for row in found], records)])


def _lines(versions: list[Version], records: list[tuple[datetime, str, str, str]]) -> list[str]:
    """A paragraph for the first publication, and for each restatement with the records since the publication before."""
    moments = sorted({moment for v in versions for moment in (v.published_at, v.replaced_at) if moment})
    first = [version for version in versions if version.published_at == moments[0]]
    lines = [f"\nFirst published on {when(moments[0])}:", *(f"  {v.name}: {v.shown}" for v in first)]
    for before, moment in itertools.pairwise(moments):
        lines.append(f"\nRestated on {when(moment)}:")
        old = {version.name: version.shown for version in versions if version.replaced_at == moment}
        new = {version.name: version.shown for version in versions if version.published_at == moment}
        for name in sorted(old.keys() | new.keys()):
            lines.append(f"  {name}: {old.get(name, 'not shown')}, now {new.get(name, 'not shown')}")
        changes = _changes([record for record in records if before < record[0] <= moment])
        lines += changes or ["  No record changed in the columns that the report reads."]
    if len(moments) == 1:
        lines.append("\nNot restated.")
    if changes := _changes([record for record in records if record[0] > moments[-1]]):
        lines += ["\nChanged since, without an effect on a figure:", *changes]
    return lines


def _changes(records: list[tuple[datetime, str, str, str]]) -> list[str]:
    """A line for each fact and kind of change, with the keys of the records."""
    keys: dict[tuple[str, str], list[str]] = defaultdict(list)
    for _, fact, change, key in records:
        keys[fact, change].append(key)
    lines = []
    for (fact, change), found in keys.items():
        more = f" and {len(found) - KEYS_SHOWN:,} more" if len(found) > KEYS_SHOWN else ""
        lines.append(f"  {fact}: {len(found):,} {change}: {', '.join(found[:KEYS_SHOWN])}{more}")
    return lines
