"""The invented county as its systems' modules see it: its people on a day, and the truth behind what they hold.

A module of this folder is a system. It has `rows(county, truth)`, which yields (table, row) of its database, whose
tables are in `TABLES`; or `files(county, truth)`, which yields (path below the landing folder, content); or
`requests(county, truth)`, which yields (path, row) of its API, whose paths are in `RESOURCES`. All are the same for
each seed, number of people and day. A later day gives the same and, beside it, what has happened since. None keeps the
county in memory.
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from pathlib import Path
from random import Random
from typing import Any, NamedTuple, Protocol, Self, TextIO, TypeVar

from demo.people import Household, households
from demo.places import Address, Street, streets

COUNCIL = ("Worcestershire County Council", "http://opendatacommunities.org/id/county-council/worcestershire")
FAULTS = "raw_table,record_key,column_name,rule_code,value_before"
RECORDS = "raw_table,record_key,person,address,edits"
Chosen = TypeVar("Chosen")
# a column, and what stands there then: a format of the row's fields, or what a function (of chance, row) gives
Wrong = tuple[str, str | Callable[[Random, Any], str]]


class Named(Protocol):
    """A named tuple of any kind."""

    def _asdict(self) -> dict[str, Any]: ...

    def _replace(self, **values: Any) -> Self: ...


Row = TypeVar("Row", bound=Named)


class County(NamedTuple):
    """An invented county of so many people, as it is at the end of a day."""

    seed: int = 1
    people: int = 10_000
    day: date = date(2026, 10, 31)

    def rng(self, purpose: object) -> Random:
        """Chance that depends on the seed and the purpose alone."""
        return Random(f"{self.seed} {purpose}")

    def households(self) -> Iterator[Household]:
        """Everybody who lives in it at any time, also those born after the day."""
        return households(self.seed, self.people)

    def streets(self) -> list[Street]:
        """Its streets; the list is not to be changed."""
        return streets(self.seed, self.people)


class Truth:
    """What a system's records really are, written down as they are made, for scoring what finds faults and links.

    `<system>.faults.csv` has each value that was spoilt on purpose: raw table, key of the record, column, rule broken,
    value before. `<system>.records.csv` has whom a record is about and where: raw table, key, the county's numbers of
    person and address, and what was done to the address as it is written.
    """

    def __init__(self, county: County, system: str, folder: Path | None = None):
        self.county, self.system = county, system
        self._files: list[TextIO] = [
            (folder / f"{system}.{name}.csv").open("w", encoding="utf-8", newline="") if folder else io.StringIO()
            for name in ("faults", "records")
        ]
        self._faults, self._records = (csv.writer(file, lineterminator="\n") for file in self._files)
        self._faults.writerow(FAULTS.split(","))
        self._records.writerow(RECORDS.split(","))

    def close(self) -> None:
        for file in self._files:
            file.close()

    def read(self) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
        """Faults and records, of a truth that was written to no folder."""
        written = [file.getvalue() for file in self._files if isinstance(file, io.StringIO)]
        faults, records = (list(csv.DictReader(io.StringIO(text))) for text in written)
        return faults, records

    def spoil(
        self, table: str, key: object, row: Row, wrongs: dict[str, Wrong], share: float = 0.02, chance: object = None
    ) -> Row:
        """The row (a namedtuple), in which with this chance one of `wrongs` ({rule code: what is wrong}) has happened.

        `{number}` in a format is a telephone number that is nobody's. Each row has its own chance, by table and key;
        with `chance` those that have it in common are spoilt alike, as one thing is that stands in each month's file.
        """
        rng = Random(f"{self.county.seed} {self.system} {table} {chance or key}")
        able = [code for code, (column, _) in wrongs.items() if getattr(row, column) not in (None, "")]
        if not able or rng.random() >= share:
            return row
        code = rng.choice(able)
        column, wrong = wrongs[code]
        before = getattr(row, column)
        number = f"01632 960{rng.randrange(1000):03d}"
        after = wrong(rng, row) if callable(wrong) else wrong.format(**row._asdict(), number=number)
        self.breaks(table, key, column, code, before)
        return row._replace(**{column: after})

    def breaks(self, table: str, key: object, column: str, code: str, before: object = None) -> None:
        """Writes down that a record's value breaks a rule, as what happened to it brought about."""
        self._faults.writerow((f"raw_{self.system}.{table}", key, column, code, before))

    def stands_for(
        self, table: str, key: object, person: int | None = None, address: Address | None = None, edits: str = ""
    ) -> None:
        """Writes down whom and which home a record is about, and how its address is otherwise than it should be."""
        self._records.writerow((f"raw_{self.system}.{table}", key, person, address and address.key, edits))


def chosen(rng: Random, shares: dict[Chosen, float]) -> Chosen:
    """One of the keys, by its share."""
    return rng.choices(list(shares), list(shares.values()))[0]


def columns(declaration: str) -> list[str]:
    """The names in a table's declaration: `key*:bigint name`; * marks the key, a type follows where it is not text."""
    return [column.partition(":")[0].rstrip("*") for column in declaration.split()]


def key_columns(declaration: str) -> list[str]:
    """The names in it that make the primary key."""
    return [
        name.rstrip("*") for name in (column.partition(":")[0] for column in declaration.split()) if name[-1] == "*"
    ]


def definition(declaration: str) -> str:
    """Columns and primary key of such a table, as they stand in brackets after `create table`."""
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
