"""The demo county: its people on a day, and the truth about the records of its systems.

A module of this folder is a system. It has `rows(county, truth)`, which yields (table, row) of its database with the
tables in `TABLES`; or `files(county, truth)`, which yields (path below the landing folder, content); or
`requests(county, truth)`, which yields (path, row) of its API with the paths in `RESOURCES`. The same seed, number of
people and day always give the same data. A later day gives the same data and what has happened since. No module keeps
the county in memory.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, Protocol, Self, TextIO, TypeVar

from demo.people import Household, households
from demo.places import Address, Street, streets

COUNCIL = ("Worcestershire County Council", "http://opendatacommunities.org/id/county-council/worcestershire")
FAULT_COLUMNS = "raw_table,record_key,column_name,rule_code,value_before"
FILE_ROW = re.compile(r"[\w-]+\.(csv|xlsx|zip):")
RECORD_COLUMNS = "raw_table,record_key,person,address,edits"
Choice = TypeVar("Choice")
# {system: folder of its files}, where a record's key is the path and row of its file
FOLDERS = {"capita": "education", "erp": "finance", "koha": "libraries", "ssda903": "children"}
# a column and its faulty value: a format of the row's fields, or a function of (random generator, row)
Fault = tuple[str, str | Callable[[Random, Any], str]]


class Named(Protocol):
    """A named tuple of any kind."""

    def _asdict(self) -> dict[str, Any]: ...

    def _replace(self, **values: Any) -> Self: ...


Row = TypeVar("Row", bound=Named)


class County(NamedTuple):
    """A demo county with this number of people, at the end of this day."""

    seed: int = 1
    people: int = 10_000
    day: date = date(2026, 10, 31)

    @property
    def size(self) -> float:
        """Factor for records that no person of the county has: 1, in proportion below 1,000 and above 80,000 people."""
        return max(min(1, self.people / 1_000), self.people / 80_000)

    def rng(self, purpose: object) -> Random:
        """A random generator that depends on the seed and the purpose only."""
        return Random(f"{self.seed} {purpose}")

    def households(self) -> Iterator[Household]:
        """All households, with people born after the day."""
        return households(self.seed, self.people)

    def streets(self) -> list[Street]:
        """The streets; do not change the list."""
        return streets(self.seed, self.people)


class Truth:
    """The truth about a system's records, written while they are made, to score findings and person matching.

    `<system>.faults.csv` lists each injected fault: raw table, record key, column, violated rule, value before.
    `<system>.records.csv` lists the person and address of each record: raw table, key, the county's numbers of
    person and address, and the edits made to the address.
    """

    def __init__(self, county: County, system: str, folder: Path | None = None):
        self.county, self.system = county, system
        self._files: list[TextIO] = [
            (folder / f"{system}.{name}.csv").open("w", encoding="utf-8", newline="") if folder else io.StringIO()
            for name in ("faults", "records")
        ]
        self._faults, self._records = (csv.writer(file, lineterminator="\n") for file in self._files)
        self._faults.writerow(FAULT_COLUMNS.split(","))
        self._records.writerow(RECORD_COLUMNS.split(","))

    def close(self) -> None:
        for file in self._files:
            file.close()

    def read(self) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
        """Faults and records, if the truth has no folder."""
        written = [file.getvalue() for file in self._files if isinstance(file, io.StringIO)]
        faults, records = (list(csv.DictReader(io.StringIO(text))) for text in written)
        return faults, records

    def inject_fault(
        self, table: str, key: object, row: Row, faults: dict[str, Fault], share: float = 0.02, chance: object = None
    ) -> Row:
        """The row (a named tuple), with probability `share` after one of `faults` ({rule code: fault}).

        `{number}` in a format is a reserved telephone number. The outcome depends on table and key; rows with the same
        `chance` get the same fault, such as one record that is in each month's file.
        """
        rng = Random(f"{self.county.seed} {self.system} {table} {chance or key}")
        possible = [code for code, (column, _) in faults.items() if getattr(row, column) not in (None, "")]
        if not possible or rng.random() >= share:
            return row
        code = rng.choice(possible)
        column, fault = faults[code]
        before = getattr(row, column)
        number = f"01632 960{rng.randrange(1000):03d}"
        after = fault(rng, row) if callable(fault) else fault.format(**row._asdict(), number=number)
        self.record_fault(table, key, column, code, before)
        return row._replace(**{column: after})

    def record_fault(self, table: str, key: object, column: str, code: str, before: object = None) -> None:
        """Record that a record's value violates a rule."""
        self._faults.writerow((f"raw_{self.system}.{table}", self._record_key(key), column, code, before))

    def record_identity(
        self, table: str, key: object, person: int | None = None, address: Address | None = None, edits: str = ""
    ) -> None:
        """Record the person and home that a record is about, and the edits to its address."""
        row = (f"raw_{self.system}.{table}", self._record_key(key), person, address and address.key, edits)
        self._records.writerow(row)

    def _record_key(self, key: object) -> object:
        return f"{FOLDERS[self.system]}/{key}" if self.system in FOLDERS and FILE_ROW.match(str(key)) else key


def weighted_choice(rng: Random, shares: dict[Choice, float]) -> Choice:
    """One of the keys, by its share."""
    return rng.choices(list(shares), list(shares.values()))[0]


def columns(declaration: str) -> list[str]:
    """The column names of a table's declaration: `key*:bigint name`; * marks the key, the default type is text."""
    return [column.partition(":")[0].rstrip("*") for column in declaration.split()]


def key_columns(declaration: str) -> list[str]:
    """The primary key's columns of a table's declaration."""
    return [
        name.rstrip("*") for name in (column.partition(":")[0] for column in declaration.split()) if name[-1] == "*"
    ]


def definition(declaration: str) -> str:
    """The columns and primary key of a declaration, for the brackets after `create table`."""
    parts = [column.partition(":") for column in declaration.split()]
    key = ", ".join(key_columns(declaration))
    return ", ".join(f"{name.rstrip('*')} {kind or 'text'}" for name, _, kind in parts) + f", primary key ({key})"


def as_csv(header: str, rows: Iterable[Iterable[object]], line_end: str = "\r\n") -> bytes:
    """A CSV in UTF-8."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator=line_end)
    writer.writerow(name.strip() for name in header.split(","))
    writer.writerows(rows)
    return text.getvalue().encode()
