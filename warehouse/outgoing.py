"""Scan for personal data in the rows of a file that leaves the warehouse: contact details, identifiers and names.

Names are those of the people in the vault. They are compared by token, so nothing is decrypted. A problem names row,
column and kind of value, never the value.
"""

import os
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import lru_cache
from pathlib import Path
from typing import Any

import psycopg2

from ingestion.privacy import Keys
from ingestion.standards import EMAIL
from warehouse.errors import OutgoingError

MAX_SHOWN = 20
DELIVERED = "delivered"  # folder of the files that were delivered, in a set's folder of the outbox
PATTERNS = {
    "email": re.compile(EMAIL),
    "telephone": re.compile(r"(?<![0-9A-Za-z])(?:\+44|0044|0)[0-9() .-]{8,16}[0-9](?![0-9A-Za-z])"),
    "nhs_number": re.compile(r"(?<![0-9A-Za-z])[0-9]{3}[ -]?[0-9]{3}[ -]?[0-9]{4}(?![0-9A-Za-z])"),
    "nino": re.compile(
        r"(?<![0-9A-Za-z])(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?(?:[0-9]{2} ?){3}[A-D]"
        r"(?![0-9A-Za-z])",
        re.IGNORECASE,
    ),  # HMRC, NIM39110
}
KINDS = {
    "email": "an e-mail address",
    "telephone": "a telephone number",
    "nhs_number": "an NHS number",
    "nino": "a National Insurance number",
    "name": "the name of a person in the vault",
}
MANY_DIGITS = re.compile("[0-9](?:[^0-9]?[0-9]){5}")  # as every number that is looked for has
WORD = re.compile(r"[^\W\d_]+(?:['\u2019-][^\W\d_]+)*")
NAME_WORDS = 4  # longest full name that is looked for

Place = tuple[int, str]  # row from 1 (without the header), and column
Names = dict[tuple[str, str], set[Place]]  # {two names of one record, or one full name twice: places}


def outbox_folder(publish_set: str) -> Path:
    """The folder of a set's files in the outbox, which its group may read. Creates both where they are missing."""
    outbox = Path(os.environ["OUTBOX"])
    for folder, mode in ((outbox, 0o755), (outbox / publish_set, 0o2750)):  # 2: files inherit the folder's group
        if not folder.exists():
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(mode)
    return outbox / publish_set


def is_uk_telephone(text: str) -> bool:
    """Whether the digits are a number of Ofcom's National Telephone Numbering Plan: 0, then nine or ten digits."""
    digits = re.sub(r"^(?:0044|\+44)0?", "0", re.sub("[^0-9+]", "", text))
    return re.fullmatch("0[12378][0-9]{8,9}", digits) is not None


def is_nhs_number(text: str) -> bool:
    """Whether the check digit is valid and the number is in a range of England, Wales, Northern Ireland or tests.

    NHS Data Dictionary, NHS NUMBER: all ten digits with weights 10 to 1 give 0, modulus 11.
    """
    digits = re.sub("[^0-9]", "", text)
    total = sum(int(digit) * weight for digit, weight in zip(digits, range(10, 0, -1), strict=True))
    return total % 11 == 0 and re.match("3[2-9]|[4679]", digits) is not None


CHECKS = {"telephone": is_uk_telephone, "nhs_number": is_nhs_number}


class Scan:
    """A scan of rows with these headings. `allowed` are the kinds of value that a column may contain."""

    def __init__(self, headings: Sequence[str], allowed: Mapping[str, Collection[str]]):
        if unknown := {*allowed} - {*headings} | {kind for kinds in allowed.values() for kind in kinds} - {*KINDS}:
            raise OutgoingError(f"`may_contain` of the feed names no column or kind of value: {', '.join(unknown)}.")
        self.headings, self.allowed = headings, allowed
        self.rows = 0
        self.found: list[tuple[int, str, str]] = []
        self.names: Names = defaultdict(set)

    def add(self, row: Iterable[Any]) -> None:
        """Scan the next row."""
        self.rows += 1
        for heading, value in zip(self.headings, row, strict=True):
            if not isinstance(value, str):
                continue
            allowed = self.allowed.get(heading, ())
            self.found += [(self.rows, heading, kind) for kind in _kinds(value) if kind not in allowed]
            if "name" not in allowed:
                for name in _names(value):
                    self.names[name].add((self.rows, heading))

    def passing(self, rows: Iterable[list[Any]]) -> Iterator[list[Any]]:
        """The same rows; raises OutgoingError after the last row if anything was found."""
        for row in rows:
            self.add(row)
            yield row
        self.finish()

    def finish(self) -> None:
        """Look the names up; raises OutgoingError if anything was found."""
        found = self.found + [(*place, "name") for name in _known(self.names) for place in self.names[name]]
        if found:
            shown = sorted(set(found))
            lines = [f"row {row:,}, column {column}: {KINDS[kind]}" for row, column, kind in shown[:MAX_SHOWN]]
            more = [f"and {len(shown) - MAX_SHOWN:,} more"] if len(shown) > MAX_SHOWN else []
            raise OutgoingError("; ".join([*lines, *more]))


@lru_cache(100_000)  # most values of a report recur
def _kinds(text: str) -> list[str]:
    """The kinds of the contact details and identifiers in a text."""
    if text.isalpha() or not ("@" in text or MANY_DIGITS.search(text)):
        return []
    found = ((kind, PATTERNS[kind].finditer(text), CHECKS.get(kind, bool)) for kind in PATTERNS)
    return [kind for kind, matches, is_valid in found if any(is_valid(match[0]) for match in matches)]


@lru_cache(100_000)
def _names(text: str) -> set[tuple[str, str]]:
    """Two words that may be forename and surname, in any order, and the texts of two and more words as full names."""
    words = [word.upper() for word in WORD.findall(text)]
    found = set()
    for start, word in enumerate(words):
        following = words[start + 1 : start + NAME_WORDS]
        for length in range(1, len(following) + 1):
            full = "".join([word, *following[:length]])
            found.add((full, full))
        if following:
            found.add((min(word, following[0]), max(word, following[0])))
    return found


def _known(names: Names) -> list[tuple[str, str]]:
    """The names that an identity record of the vault has."""
    if not names:
        return []
    words = sorted({word for name in names for word in name})
    with closing(psycopg2.connect(os.environ["LOADER_URL"])) as connection, connection.cursor() as cursor:
        tokens = Keys.current(cursor).tokens_of_names(words)
        token_of = dict(zip(words, tokens, strict=True))
        cursor.execute("create temporary table words (token text primary key)")
        cursor.execute("insert into words select distinct unnest(%s)", [tokens])
        cursor.execute("analyze words")
        cursor.execute(
            "create temporary table known as select i.record_id, words.token "
            "from vault.identities as i cross join unnest(i.tokens) as token inner join words using (token)"
        )
        cursor.execute("create index on known (token)")
        cursor.execute("analyze known")
        pairs = {(token_of[first], token_of[second]): (first, second) for first, second in names}
        cursor.execute(
            "select pairs.first, pairs.second from unnest(%s, %s) as pairs (first, second) where exists ("
            "select from known as a inner join known as b using (record_id) "
            "where a.token = pairs.first and b.token = pairs.second)",
            [[first for first, _ in pairs], [second for _, second in pairs]],
        )
        return [pairs[found] for found in cursor.fetchall()]
