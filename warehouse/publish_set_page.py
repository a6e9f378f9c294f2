"""Writes docs/reference/publish-sets.md: purpose, owner, star, tables and sources of each publish set.

`python -m warehouse.publish_set_page` compares the page with the manifest of `make check`; `--write` writes the page.
"""

import json
import re
import sys
from typing import Any

from ingestion import ROOT
from warehouse import as_at
from warehouse.access import Access, read_access
from warehouse.environment import publish_sets
from warehouse.measures import MANIFEST
from warehouse.powerbi.star import Star

PAGE = ROOT / "docs/reference/publish-sets.md"
INTRODUCTION = """\
# Publish sets

`make measures` writes this page from the models, their `relationships` tests and `access.yml`; do not edit it.

An arrow leads from a table to the table that its key refers to. A dotted arrow is a second path between two tables: it
is inactive in Power BI. Each set also has the view `as_at`, with the state of its data.

A set is published when one of its sources has changed, and every day at about 06:15. Times are local (Europe/London).
"""
OWN_RECORDS = "the warehouse's own records, which start no build"
DAYS = {"*": "every day", "1-5": "Monday to Friday", "1": "every Monday"}

Node = dict[str, Any]


def in_words(schedule: str) -> str:
    """A schedule in words; the cron expression itself if it is of another kind."""
    minute, hour, day, month, weekday = schedule.split()
    if every := re.fullmatch(r"\*/(\d+) \* \* \* \*", schedule):
        return f"every {every[1]} minutes"
    if minute.isdigit() and (hour, day, month, weekday) == ("*", "*", "*", "*"):
        return f"every hour, {minute} minutes past"
    if minute.isdigit() and hour.isdigit() and month == "*":
        time = f"at {int(hour):02}:{int(minute):02}"
        if day == "*" and weekday in DAYS:
            return f"{DAYS[weekday]} {time}"
        if day.isdigit() and weekday == "*":
            return f"on day {day} of the month {time}"
    return f"`{schedule}`"


def page(manifest: Node, access: dict[str, Access]) -> str:
    """The page of all publish sets, in Markdown."""
    lines = [INTRODUCTION]
    for name, declared in sorted(access.items()):
        star = Star(name, manifest)
        tables = {table: node for table, node in star.tables.items() if table != as_at.NAME}
        lines += [f"## {name}", "", f"{declared.purpose}. Owner: {declared.owner} ({declared.email}).", ""]
        lines += ["```mermaid", "flowchart LR", *_arrows(star), "```", ""]
        lines += ["| Table | One row per |", "|---|---|"]
        lines += [f"| `{name}.{table}` | {_grain(node)} |" for table, node in tables.items()]
        sources = ", ".join(f"{source} ({when})" for source, when in _sources(manifest, tables.values()).items())
        lines += ["", f"Sources: {sources}."]
        if star.metrics:
            lines += [f"[Measures](measures.md#{name})"]
        lines.append("")
    return "\n".join(lines)


def _arrows(star: Star) -> list[str]:
    """The relationships; tables without one by themselves. Reports stand alone, and are left out."""
    arrows, joined = [], set()
    for ((table, column), (other, _)), is_active in sorted(star.relationships.items()):
        if not table.startswith("rpt_") and column in star.tables[table]["columns"]:
            arrows.append(f"    {table} {'-->' if is_active else '-.->'}|{column}| {other}")
            joined |= {table, other}
    alone = [table for table in star.tables if table.startswith(("fct_", "dim_")) and table not in joined]
    return [*arrows, *(f"    {table}" for table in alone)]


def _grain(node: Node) -> str:
    return str(node["description"]).rstrip(". \n").rpartition("One row per ")[2].replace("\n", " ")


def _sources(manifest: Node, tables: Any) -> dict[str, str]:
    """{source: when it is loaded} of everything upstream of the tables."""
    reached, todo = set(), [node["unique_id"] for node in tables]
    while todo:
        if (current := todo.pop()) not in reached:
            reached.add(current)
            todo += manifest["parent_map"].get(current, [])
    found = {}
    for unique_id in sorted(reached & manifest["sources"].keys()):
        source = manifest["sources"][unique_id]
        schedule = source["config"]["meta"].get("schedule")
        found[source["source_name"].removeprefix("raw_")] = in_words(schedule) if schedule else OWN_RECORDS
    return found


def main(*options: str) -> None:
    """Compares the page with the manifest; with `--write`, writes the page."""
    text = page(json.loads(MANIFEST.read_text(encoding="utf-8")), read_access(publish_sets()))
    if "--write" in options:
        PAGE.write_text(text, encoding="utf-8")
    if not PAGE.exists() or PAGE.read_text(encoding="utf-8") != text:
        sys.exit(f"{PAGE.relative_to(ROOT)} differs from the models. Run `make measures`.")


if __name__ == "__main__":
    main(*sys.argv[1:])
