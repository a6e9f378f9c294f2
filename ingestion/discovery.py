"""What the discovery of databases and files shares: the tables that it finds, and the contract by which it reads.

Discovery reads through a draft contract and the loader's own readers, so it finds what a load would load.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ingestion.contract_fields import GRAIN
from ingestion.contracts import SourceError, System
from ingestion.headings import snake_case


@dataclass
class FoundColumn:
    """A column as its source describes it; `guess` is a comment on what is guessed."""

    name: str
    source_name: str
    data_type: str
    format: str | None = None
    description: str | None = None
    guess: str | None = None
    header: str | None = None
    number_format: tuple[str, ...] = ()
    null_values: tuple[str, ...] = ()


@dataclass
class FoundTable:
    """A table as its source describes it.

    `meta` is the rest of its contract, `meta_guesses` says why a part of it is guessed, `left_out` is {column: reason}.
    """

    name: str
    columns: list[FoundColumn]
    meta: dict[str, Any] = field(default_factory=dict)
    meta_guesses: dict[str, str] = field(default_factory=dict)
    description: str | None = None
    key: list[str] = field(default_factory=list)
    key_guess: str | None = None
    cursor: str | None = None
    left_out: dict[str, str] = field(default_factory=dict)
    has_files: bool = False


def draft_contract(
    system: str, place: dict[str, Any], table: dict[str, Any] | None = None, columns: list[dict[str, Any]] | None = None
) -> System:
    """A contract with which the loader's readers can read a source that has none yet."""
    shapes = columns or [{"name": "undeclared"}]
    columns = [{"data_type": "text", "description": "None yet", "privacy": "none"} | shape for shape in shapes]
    layout = {"files": "*"} if place["kind"] == "files" else {}
    tables = [
        {"name": "undeclared", "description": GRAIN, "load": "replace", "columns": columns} | layout | (table or {})
    ]
    owned = ("description", "schedule", "information_asset_owner", "data_owner", "purpose", "lawful_basis", "sharing")
    age = {"count": 1, "period": "day"}
    rest = dict.fromkeys(owned, "None yet") | {"retention": "P1D", "time_zone": "UTC", "tables": tables}
    return System.model_validate(
        {"name": f"raw_{system}", "freshness": {"warn_after": age, "error_after": age}} | place | rest
    )


def choose(available: dict[str, str], wanted: set[str], where: str) -> list[str]:
    """The wanted names, or all of them; raises SourceError for an unknown name."""
    if not available:
        raise SourceError(f"no table in {where}")
    chosen = [name for name in available if not wanted or wanted & {name, table_name(name)}]
    if unknown := wanted - {*chosen, *map(table_name, chosen)}:
        some = ", ".join([*available][:20]) + (" …" if len(available) > 20 else "")
        raise SourceError(f"no table {', '.join(sorted(unknown))} in {where}. Tables: {some}")
    return list(dict.fromkeys(chosen))


def table_name(name: str, otherwise: str = "") -> str:
    return re.sub(r"^column_(?=\d)", "table_", snake_case(name)) or snake_case(otherwise) or "table_1"


def unique(names: Iterable[str]) -> list[str]:
    """The names; a repeated name gets a number."""
    found: list[str] = []
    for name in names:
        number, free = 1, name
        while free in found:
            number += 1
            free = f"{name[:60]}_{number}"
        found.append(free)
    return found


def one_line(text: str | None) -> str | None:
    """The text in one line, without Jinja's brackets; None if empty."""
    words = " ".join((text or "").split())
    return re.sub(r"\{(?=[{%#])", "{ ", words) or None
