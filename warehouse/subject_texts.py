"""Texts about a person in rows that name no person: child rows of `subject_by`, and free text with the person's values.

An erasure empties such texts. The rows stay, because a report of a pothole is not about its reporter. The emptied rows
are recorded by key, so that the erasure can be repeated after the source has delivered the texts again.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import permutations
from typing import Any

from psycopg2 import extensions as pg
from psycopg2 import sql

from ingestion.contracts import ORIGIN_COLUMNS, System, Table
from ingestion.postgres import names_in
from ingestion.raw_table import store_exists, store_table

REDACTED = "[redacted]"
TYPED = ("personal", "special_category")
BETWEEN_WORDS = "[^[:alnum:]]+"  # in Postgres' regular expressions
BETWEEN_DIGITS = "[ ().-]*"
TITLE = re.compile(r"^\s*(?:(?:mr|mrs|ms|miss|dr|rev|prof)\b\.?\s*)+", re.IGNORECASE)
NUMBERS = ("nhs_number", "nino", "upn", "utr", "employee_number", "person_number")
MIN_NUMBER = 5  # characters of a number that is looked for

Emptied = dict[str, Any]  # {table, by: key columns, values: a list for each row, columns: emptied columns}


class SubjectTexts:
    """The texts about people in the raw tables of these systems."""

    def __init__(self, systems: Iterable[System]):
        self.tables = {table.label: table for system in systems for table in system.tables}
        self.children = [table for table in self.tables.values() if table.subject_by]
        self.typed = {table.label: columns for table in self.tables.values() if (columns := _typed_columns(table))}

    def child_rows(self, cursor: pg.cursor, table: Table, tokens: set[str]) -> list[dict[str, Any]]:
        """The child rows that follow rows of the person."""
        parent = table.subject_parent
        if not store_exists(cursor, table) or not store_exists(cursor, parent):
            return []
        query = sql.SQL("select s.* from {} as s where {}").format(store_table(table), _follows(table))
        cursor.execute(query, [sorted(tokens)])
        names = names_in(cursor)
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def empty_child_rows(self, cursor: pg.cursor, tokens: set[str]) -> list[Emptied]:
        """Empties the personal columns of child rows that follow rows of this person only."""
        emptied = []
        for table in self.children:
            columns = _personal_columns(table)
            if columns and store_exists(cursor, table) and store_exists(cursor, table.subject_parent):
                which = sql.SQL("{} and not {}").format(_follows(table), _follows(table, "<> all(%s)"))
                by = list(table.subject_by)
                emptied += _empty(cursor, table, columns, by, which, [sorted(tokens)] * 2)
        return emptied

    def search(self, cursor: pg.cursor, patterns: dict[str, str]) -> Iterator[dict[str, Any]]:
        """{table, row: key, column, kinds} of each free text with one of the person's values."""
        for table, column in self._searched(cursor):
            key = _key_columns(table)
            named = [sql.SQL("s.{} ~* %s").format(sql.Identifier(column)) for _ in patterns]
            query = sql.SQL("select {}, {} from {} as s where {}").format(
                sql.SQL(", ").join(sql.SQL("s.{}::text").format(sql.Identifier(name)) for name in key),
                sql.SQL(", ").join(named),
                store_table(table),
                sql.SQL(" or ").join(named),
            )
            cursor.execute(query, [*patterns.values()] * 2)
            for row in cursor.fetchall():
                kinds = [kind for kind, is_found in zip(patterns, row[len(key) :], strict=True) if is_found]
                place = dict(zip(key, row, strict=False))
                yield {"table": table.label, "row": place, "column": column, "kinds": kinds}

    def redact(self, cursor: pg.cursor, patterns: dict[str, str]) -> list[Emptied]:
        """Replaces the person's values in free texts; returns the rows."""
        redacted, pattern = [], "|".join(patterns.values())
        for table, column in self._searched(cursor) if pattern else ():
            text = sql.SQL("regexp_replace(s.{}, %s, %s, 'gi')").format(sql.Identifier(column))
            which = sql.SQL("s.{} ~* %s").format(sql.Identifier(column))
            changes = [pattern, REDACTED]
            redacted += _empty(cursor, table, [column], _key_columns(table), which, [pattern], text, changes)
        return redacted

    def empty_again(self, cursor: pg.cursor, recorded: Iterable[Emptied]) -> list[Emptied]:
        """Empties recorded rows whose texts came back."""
        emptied = []
        for rows in recorded:
            table = self.tables.get(rows["table"])
            if table is None or not store_exists(cursor, table) or not rows["values"]:
                continue
            key = sql.SQL(", ").join(sql.SQL("s.{}::text").format(sql.Identifier(name)) for name in rows["by"])
            which = sql.SQL("({}) in %s").format(key)
            values = tuple(map(tuple, rows["values"]))
            emptied += _empty(cursor, table, rows["columns"], rows["by"], which, [values])
        return emptied

    def _searched(self, cursor: pg.cursor) -> Iterator[tuple[Table, str]]:
        for label, columns in self.typed.items():
            if store_exists(cursor, self.tables[label]) and _key_columns(self.tables[label]):
                yield from ((self.tables[label], column) for column in columns)


def counted(emptied: Iterable[Emptied]) -> dict[str, int]:
    """{raw table: rows} of emptied rows."""
    counts: dict[str, int] = defaultdict(int)
    for rows in emptied:
        counts[rows["table"]] += len(rows["values"])
    return dict(counts)


def patterns_of(table: Table, record: dict[str, str | None]) -> dict[str, set[str]]:
    """{kind: regular expressions of Postgres} for the clear values of an identity record."""
    found: dict[str, set[str]] = defaultdict(set)
    names = [TITLE.sub("", record[c.name] or "") for c in table.identifiers if c.kind == "name" and record.get(c.name)]
    words = [re.findall(r"[^\W\d_]+", name) for name in names]
    for first, second in permutations(filter(None, words), 2):
        found["name"].add(_phrase([*first, *second]))
    for full in (full for full in words if len(full) > 1):
        found["name"] |= {_phrase(full), _phrase([full[-1], *full[:-1]])}
    for column in table.identifiers:
        value = record.get(column.name) or ""
        characters = re.findall("[0-9A-Za-z]", value)
        if column.kind == "email" and "@" in value:
            found["email"].add(re.sub(r"(\W)", r"\\\1", value.strip()))
        elif column.kind == "telephone" and len(characters) > MIN_NUMBER:
            national = re.sub(r"^(?:\+44|0044)?0?", "", re.sub("[^0-9+]", "", value))
            prefix = rf"(?:\+44|0044|0){BETWEEN_DIGITS}(?:0{BETWEEN_DIGITS})?"
            found["telephone"].add(prefix + BETWEEN_DIGITS.join(national) + r"(?![0-9])")
        elif column.kind in NUMBERS and len(characters) >= MIN_NUMBER:
            found[column.kind].add(rf"\m{'[ -]*'.join(characters)}\M")
        elif column.kind == "address" and re.match(r"\w+ +\w", street := value.partition(",")[0].strip()):
            found["address"].add(_phrase(re.findall(r"\w+", street)))
    return found


def _phrase(words: list[str]) -> str:
    return rf"\m{BETWEEN_WORDS.join(words)}\M"


def _typed_columns(table: Table) -> list[str]:
    """Columns in which a person may have typed a text."""
    return [column.name for column in table.columns if column.data_type == "text" and column.privacy in TYPED]


def _personal_columns(table: Table) -> list[str]:
    """Columns of a child row that an erasure empties."""
    kept = {*table.key, *table.subject_by, table.cursor, table.retained_from}
    return [column.name for column in table.columns if column.privacy in TYPED and column.name not in kept]


def _key_columns(table: Table) -> list[str]:
    return table.key or (list(ORIGIN_COLUMNS) if table.files else [])


def _follows(table: Table, compared: str = "= any(%s)") -> sql.Composed:
    """Whether a row `s` of a child table follows a row of its parent whose subject compares so with tokens."""
    parent = table.subject_parent
    links = [
        sql.SQL("p.{}::text = s.{}::text").format(sql.Identifier(target.partition(".")[2]), sql.Identifier(name))
        for name, target in table.subject_by.items()
    ]
    subject = sql.SQL("p.{} " + compared).format(sql.Identifier(parent.subject_column.name))
    where = sql.SQL(" and ").join([*links, subject])
    return sql.SQL("exists (select from {} as p where {})").format(store_table(parent), where)


def _empty(
    cursor: pg.cursor,
    table: Table,
    columns: list[str],
    by: list[str],
    which: sql.Composed,
    values: list[Any],
    text: sql.Composed | None = None,
    changes: Iterable[str] = (),
) -> list[Emptied]:
    """Sets columns of rows to null, or to `text`, unless they are redacted; returns the rows by their `by` columns."""
    names = [sql.Identifier(name) for name in columns]
    filled = [sql.SQL("(s.{0} is not null and strpos(s.{0}::text, %s) = 0)").format(name) for name in names]
    key = sql.SQL(", ").join(sql.SQL("s.{}::text").format(sql.Identifier(name)) for name in by)
    query = sql.SQL("update {} as s set {} where {} and ({}) returning {}").format(
        store_table(table),
        sql.SQL(", ").join(sql.SQL("{} = {}").format(name, text or sql.SQL("null")) for name in names),
        which,
        sql.SQL(" or ").join(filled) if text is None else sql.SQL("true"),
        key,
    )
    cursor.execute(query, [*changes, *values, *([REDACTED] * len(names) if text is None else [])])
    found = sorted({tuple(row) for row in cursor.fetchall()})
    return [{"table": table.label, "by": by, "values": found, "columns": columns}] if found else []
