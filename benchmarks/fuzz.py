"""Random logs, CSVs, JSON, workbooks and API rows: each is read, or refused with a SourceError.

`python -m benchmarks.fuzz --help`. A failure ends with the smallest content that causes it, which hypothesis keeps in
.hypothesis/ and tries first the next time.
"""

import argparse
import csv
import io
import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import openpyxl
import pyarrow as pa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ingestion.contracts import SourceError, System, Table
from ingestion.files import read_file
from ingestion.json_rows import rows_to_arrow
from ingestion.logs import UNREADABLE, LogEntries
from ingestion.tables import conform

COLUMNS = {"at": "timestamptz", "number": "bigint", "amount": "numeric(12,2)", "words": "text"}
GROWING = {"load": "append", "corrections": True, "growing": True, "headings": list(COLUMNS)}
ENTRY = ["2026-01-01 00:00:00+00", "1", "1.00", "kept"]
HOSTILE = st.one_of(
    st.binary(max_size=300),
    st.text(',;"\n\r\0\ufeff é1-/:.', max_size=100).map(lambda text: text.encode("utf-8", "surrogatepass")),
)
EXAMPLES = settings(
    max_examples=100,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
    report_multiple_bugs=False,
)


def declared(**layout: object) -> Table:
    """The contract of a table of files with one column of each kind."""
    about = {"description": "A column.", "privacy": "none"}
    columns = [{"name": name, "data_type": kind} | about for name, kind in COLUMNS.items()]
    table = {"name": "rows", "description": "One row per row.", "load": "replace", "files": "*", "columns": columns}
    days = {"count": 1, "period": "day"}
    texts = ("information_asset_owner", "data_owner", "purpose", "lawful_basis", "sharing", "description")
    system = dict.fromkeys(texts, "Fuzz") | {
        "name": "raw_fuzz",
        "kind": "files",
        "location": "FUZZ",
        "retention": "P1D",
    }
    system |= {
        "schedule": "0 6 * * *",
        "time_zone": "Europe/London",
        "freshness": {"warn_after": days, "error_after": days},
    }
    return System.model_validate(system | {"tables": [table | layout]}).tables[0]


def read(table: Table, name: str, content: bytes) -> list[dict[str, Any]]:
    """The rows of a file with this content that fit the contract; none if the file is refused."""
    with TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(content)
        rows: list[dict[str, Any]] = []
        with suppress(SourceError):
            for batch in read_file(table, path):
                rows += conform(table, batch, table.system.name)[0].to_pylist()
        return rows


def require(is_met: bool, problem: str) -> None:
    """Raise AssertionError with the problem unless the condition is met."""
    if not is_met:
        raise AssertionError(problem)


@EXAMPLES
@given(st.lists(HOSTILE, max_size=5))
def log(lines: list[bytes]) -> None:
    """Each row has the declared width, and no entry beside a hostile line without quotation marks is lost."""
    entry = ",".join(ENTRY).encode() + b"\n"
    content = entry + b"".join(line + b"\n" + entry for line in lines)
    source = LogEntries(io.BufferedReader(io.BytesIO(content)), len(ENTRY), ",", "log")
    text = b"".join(iter(lambda: source.read(1000), b"")).decode()
    rows = list(csv.reader(io.StringIO(text, newline="")))
    require(all(len(row) == len(ENTRY) for row in rows), "a row of another width")
    require(any(b'"' in line for line in lines) or rows.count(ENTRY) > len(lines), "an entry is lost")
    require(rows[-1] != [UNREADABLE] * len(ENTRY), "a line at the end counts as lost")
    read(declared(**GROWING), "log.csv", content)


@EXAMPLES
@given(st.lists(HOSTILE, max_size=5), st.booleans())
def csv_file(lines: list[bytes], with_header: bool) -> None:
    """A CSV is read or refused."""
    header = [",".join(COLUMNS).encode()] if with_header else []
    read(declared(), "rows.csv", b"\n".join([*header, *lines]))


JSON_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@EXAMPLES
@given(
    st.lists(st.dictionaries(st.sampled_from([*COLUMNS, "at.x", "x"]), JSON_VALUES, max_size=5), max_size=4),
    st.lists(st.tuples(st.integers(0, 2**10), st.binary(max_size=2)), max_size=2),
)
def json_file(rows: list[dict[str, Any]], changes: list[tuple[int, bytes]]) -> None:
    """JSON and JSON lines, also with damaged bytes, are read or refused."""
    content = json.dumps(rows).encode()
    for place, other in changes:
        place %= len(content)
        content = content[:place] + other + content[place + 1 :]
    read(declared(), "rows.json", content)
    read(declared(rows_at="x"), "rows.json", content)
    read(declared(), "rows.jsonl", content.strip(b"[]").replace(b"}, {", b"}\n{"))


@EXAMPLES
@given(st.data())
def workbook(data: st.DataObject) -> None:
    """A workbook with any values, and one with damaged bytes, is read or refused."""
    text = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
    cell = st.one_of(st.none(), st.booleans(), st.integers(-(2**40), 2**40), st.floats(allow_nan=False, width=32), text)
    book = openpyxl.Workbook()
    for row in [list(COLUMNS), *data.draw(st.lists(st.lists(cell, max_size=5), max_size=5))]:
        book.active.append(row)
    buffer = io.BytesIO()
    book.save(buffer)
    content = bytearray(buffer.getvalue())
    read(declared(), "rows.xlsx", bytes(content))
    for place, change in data.draw(st.lists(st.tuples(st.integers(0, 2**16), st.integers(1, 255)), max_size=3)):
        content[place % len(content)] ^= change
    read(declared(), "rows.xlsx", bytes(content))


@EXAMPLES
@given(
    st.lists(
        st.dictionaries(
            st.one_of(st.sampled_from(list(COLUMNS)), st.text(max_size=5)),
            st.recursive(
                st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=20)), st.lists, max_leaves=5
            ),
            max_size=5,
        ),
        max_size=5,
    )
)
def api_rows(page: list[dict[str, Any]]) -> None:
    """Rows of an API become texts, and each fits the contract or is rejected."""
    rows = rows_to_arrow(page)
    for name in COLUMNS:
        if name not in rows.column_names:
            rows = rows.append_column(name, pa.nulls(len(rows), pa.string()))
    kept, rejects = conform(declared(), rows, "raw_fuzz")
    require(len(kept) + len(rejects) == len(rows), "a row is neither kept nor rejected")


READERS: tuple[Callable[[], None], ...] = (log, csv_file, json_file, workbook, api_rows)


def main() -> None:
    """Try random content on each reader for its share of the time."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    options = parser.parse_args()
    for reader in READERS:
        end, rounds = time.monotonic() + options.seconds / len(READERS), 0
        while time.monotonic() < end:
            reader()
            rounds += 1
        print(f"{reader.__name__}: {rounds * 100:,} contents, all read or refused")


if __name__ == "__main__":
    main()
