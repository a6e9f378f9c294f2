"""Generated files and tables beside an independent reader (benchmarks/independent_reader.py).

Every row is loaded with the independent reader's values, rejected for a column whose value does not fit, or skipped by
a declared rule; a file that breaks its contract is refused. `python -m benchmarks.exact --help`. A failure ends with
the smallest content that causes it, which hypothesis keeps in .hypothesis/ and tries first the next time.
"""

import argparse
import gzip
import io
import re
import time
import zipfile
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from benchmarks.fuzz import declared, require
from benchmarks.independent_reader import REJECTED, Refused, Unsure, independent, readings, typed_readings
from ingestion.contracts import SourceError
from ingestion.files import read_file
from ingestion.tables import conform

ROUND = 5_000
TEXTS = (
    "", "a", " b ", 'said "no"', "x,y", "two\nlines", "two\r\nlines", "£ é", "漢", '5" pipe', "'", "-", "NA", ";", "\t",
    "a\\b", "\\", "\\N", '"', '""', "it's", "Total", "Sub-total", " ", "\xa0", "\0", "\ufeff", "a|b", ",", "0x1F",
    "=1+1", "\r",
)  # fmt: skip
NUMBERS = (
    "", "0", "1", "-1", "007", " 12 ", "1.5", "1.50", "1,234.50", "12,34", "1,234,567", "(50.00)", "£3", "£ 3", "-£3",
    "£(3)", "(£3.10)", "1.005", "1e3", "99999999999", "9223372036854775808", "x", "-7.25", "7.25-", "5.00 CR", "5.00CR",
    "5 DR", "+5", ".5", "5.", "-0", "0x1F", "NaN", "inf", "1e400", "-", "NA", "n/a", " ", "£", "()", "1 234",
    "1_0", "\u0661", "12.5%", "-3 %", "%", "1.234,50", "1.234", "(1.234,5)", "1.234.567,89", "7,25-",
)  # fmt: skip
DATES = (
    "", "01/02/2026", "1/2/2026", "29/02/2024", "29/02/2025", "31/04/2026", "01/02/26", "2026-02-01", "32/01/2026",
    "01-Apr-11", "01-Apr-2011", "1-apr-2011", "2026-2-1", "20260201", "0001-01-01", "9999-12-31", "31/12/9999",
    "2026-02-01 00:00", "NA", "-", " 01/02/2026 ", "00/01/2026", "01/13/2026", "x", " ", "01/02/0099", "2026-02-30",
)  # fmt: skip
TIMES = (
    "", "2026-07-01 12:00:00", "2026-07-01T12:00", "2026-01-01 12:00:00.123456", "2026-07-01 12:00:00Z",
    "2026-07-01 12:00:00+05:30", "2026-03-29 01:30:00", "2025-10-26 01:30:00", "2026-07-01", "2026-07-01 24:00:00",
    "2026-07-01 12:00:60", "2026-02-30 12:00", "12:00", "2026-07-01 12:00:00.1234567", "NA", "x", " ",
    "2026-07-01 12:00:00-01", "2025-10-26 01:30:00+00:00", "0001-01-01 00:00:00", "9999-12-31 23:59:59",
)  # fmt: skip
TRUTHS = ("", "true", "false", "TRUE", "False", "1", "0", "2", "yes", "Y", " true ", "NA", "-", "t", " ")
VALUES = {
    "text": TEXTS,
    "bigint": NUMBERS,
    "numeric": NUMBERS,
    "double": NUMBERS,
    "date": DATES,
    "timestamptz": TIMES,
    "boolean": TRUTHS,
}
FORMATS = ("%d/%m/%Y", "%d/%m/%y", "%d-%b-%y", "%d-%b-%Y", "%Y-%m-%d")
NUMBER_FORMATS = ("thousands", "pound", "brackets", "credit", "trailing_minus", "decimal_comma")
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "windows-1252")


# --- generated files


@dataclass
class File:
    """A file and its contract."""

    layout: dict[str, Any]
    name: str
    content: bytes  # decompressed

    def packed(self) -> bytes:
        """The bytes on disk."""
        if self.name.endswith(".gz"):
            return gzip.compress(self.content, 1)
        if self.name.endswith(".zip"):
            buffer = io.BytesIO()
            with zipfile.ZipFile(buffer, "w") as archive:
                archive.writestr("rows.csv", self.content)
            return buffer.getvalue()
        return self.content


@st.composite
def columns(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Two to five declared columns of any types."""
    found = []
    kinds = draw(st.lists(st.sampled_from(list(VALUES)), min_size=2, max_size=5))
    for place, kind in enumerate(kinds):
        data_type = {"numeric": "numeric(12,2)", "double": "double precision"}.get(kind, kind)
        column: dict[str, Any] = {
            "name": f"c{place}",
            "data_type": data_type,
            "description": "A column.",
            "privacy": "none",
        }
        options = draw(st.integers(0, 63))
        if kind in ("bigint", "numeric", "double") and options & 1:
            column["number_format"] = draw(
                st.lists(st.sampled_from(NUMBER_FORMATS), min_size=1, max_size=3, unique=True)
            )
        if kind == "date" and options & 1:
            column["format"] = draw(st.lists(st.sampled_from(FORMATS), min_size=1, max_size=2, unique=True))
        if kind == "date" and options & 2:
            column |= {"earliest": date(1900, 1, 1), "latest": date(2030, 1, 1)}
        column |= {"required": True} if options & 12 == 12 else {}
        column |= {"null_values": ["-"]} if options & 16 else {}
        column |= {"optional": True} if options & 32 and place else {}
        found.append(column)
    return found


@st.composite
def files(draw: st.DrawFn) -> File:
    """A file with its contract, in one of many layouts, with or without a fault."""
    declared_columns = draw(columns())
    names = [column["name"] for column in declared_columns]
    flag = st.integers(0, 5).map(lambda number: number == 5)
    encoding = draw(st.sampled_from(ENCODINGS))
    quote, escape = draw(
        st.sampled_from(
            [('"', None), ('"', None), ('"', None), ("'", None), ("none", None), ('"', "\\"), ("none", "\\")]
        )
    )
    layout: dict[str, Any] = {
        "columns": declared_columns,
        "encoding": encoding.removesuffix("-sig"),
        "delimiter": draw(st.sampled_from(",,;\t|")),
        "quote": quote,
        "null_values": draw(st.sampled_from([[], [], [], ["NA"], ["NA", "\\N"]])),
        "left_out": [],
    }
    layout |= {"escape": escape} if escape else {}
    layout |= {"ragged": "pad"} if draw(flag) else {}
    layout |= {"ends_at_blank_row": True} if draw(flag) else {}
    layout |= {"subtotals": ["Sub-total"]} if draw(flag) else {}
    if draw(flag):
        layout |= {"encoding": "utf-8", "other_encodings": ["windows-1252"]}
    totals = [column["name"] for column in declared_columns if column["data_type"] in ("bigint", "numeric(12,2)")]
    if draw(flag):
        layout |= {"footer": ["Total"], "footer_optional": draw(flag)}
        layout |= {"control_totals": totals[:1]} if totals and draw(flag) else {}
    headings = [
        name
        for name, column in zip(names, declared_columns, strict=True)
        if not column.get("optional") or not draw(flag)
    ]
    headings = draw(st.permutations(headings)) if draw(flag) else headings
    headings += draw(st.sampled_from([[], [], [], ["Extra"], ["Extra", "Other"], [""], ["Extra", "Extra"]]))
    layout |= {"left_out": ["Extra"]} if headings.count("Extra") == 1 and draw(flag) else {}
    kinds = {column["name"]: column["data_type"].partition(" ")[0].partition("(")[0] for column in declared_columns}
    cells = [st.sampled_from(VALUES[kinds.get(name, "text")]) for name in headings]
    rows = [list(row) for row in draw(st.lists(st.tuples(*cells), max_size=8))]
    for row in rows:
        if (change := draw(st.integers(0, 40))) > 33:
            _change(row, change, headings)
    if "footer" in layout and draw(st.integers(0, 3)):
        rows.append(_footer(layout, headings, rows))
    lead = [["Title"], ["Title", "", "x"], []][: draw(st.integers(0, 3))]
    if not lead and "" not in headings and draw(flag):
        layout["headings"] = headings
    lead += [] if "headings" in layout else [headings]
    text = _written([*lead, *rows], layout, draw(st.sampled_from(["\n", "\r\n", "\r"])), draw(st.integers(0, 2**20)))
    content = text.encode(encoding, "ignore")
    match draw(st.integers(0, 30)):
        case 30:
            content = content[: draw(st.integers(0, len(content)))]
        case 29:
            place = draw(st.integers(0, len(content)))
            content = (
                content[:place]
                + draw(st.sampled_from([b"\xff", b'"', b"\x81", b"\xc3\xa9", b"\n", b",", b"\\"]))
                + content[place:]
            )
    return File(layout, "rows" + draw(st.sampled_from([".csv", ".csv", ".csv", ".csv.gz", ".zip"])), content)


def _change(row: list[str], change: int, headings: list[str]) -> None:
    """Make a row ragged, blank, a subtotal, or one of blanks."""
    if change == 34:
        row.append("more")
    elif change == 35:
        row.append("")
    elif change == 36:
        row.pop()
    elif change == 37:
        row[:] = [""] * (len(headings) + change % 2)
    elif change == 38:
        row[:] = ["Sub-total", *row[1:]]
    elif change == 39:
        row[:] = ["Total", *row[1:]]
    else:
        row[:] = []


def _footer(layout: dict[str, Any], headings: list[str], rows: list[list[str]]) -> list[str]:
    """A footer with the control total, which may be that of the rows."""
    footer = ["Total", *[""] * (len(headings) - 1)]
    for name in layout.get("control_totals", []):
        column = next(column for column in layout["columns"] if column["name"] == name)
        if name in headings[1:]:
            place = headings.index(name)
            values = [
                readings(column | {"data_type": "numeric(38,10)"}, row[place], layout["null_values"])[0]
                for row in rows
                if place < len(row)
            ]
            total = sum(value for value in values if isinstance(value, Decimal))
            forms = column.get("number_format", [])
            footer[place] = f"({-total:,.2f})" if total < 0 and {"brackets", "thousands"} <= {*forms} else str(total)
    return footer


def _written(rows: list[list[str]], layout: dict[str, Any], end: str, choices: int) -> str:
    """The CSV; bits of `choices` say which values have quotation marks, and whether they are written without care."""
    quote, escape, delimiter = layout["quote"], layout.get("escape"), layout["delimiter"]
    careless = choices % 8 == 0
    lines = []
    for place, row in enumerate(rows):
        cells = []
        for position, cell in enumerate(row):
            is_special = any(mark in cell for mark in (delimiter, "\r", "\n", quote, escape or delimiter))
            if escape and cell != "\\N":
                cell = re.sub(
                    f"([{re.escape(delimiter + escape)}\r\n]|{quote if quote != 'none' else escape * 2})", r"\\\1", cell
                )
            elif quote != "none" and not careless and (is_special or (choices >> (place + position) % 20) & 1):
                cell = quote + cell.replace(quote, quote * 2) + quote
            elif quote == "none":
                cell = re.sub(f"[{re.escape(delimiter)}\r\n]", " ", cell)
            cells.append(cell)
        lines.append(delimiter.join(cells))
    return end.join(lines) + end * (choices % 4 > 0)


# --- generated tables, as databases and Parquet files give them

TYPED: dict[str, tuple[pa.DataType, tuple[Any, ...]]] = {
    "integer": (pa.int64(), (0, 1, 2, -1, 2**63 - 1, -(2**63), 10**17 + 1)),
    "decimal": (
        pa.decimal128(30, 4),
        tuple(map(Decimal, ("0", "1", "-1.50", "1.005", "9999999999.99", "10000000000", "1e20"))),
    ),
    "float": (pa.float64(), (0.0, 1.0, -2.5, 0.1, 0.105, 1e300, 2.0**53, float("nan"), float("inf"))),
    "boolean": (pa.bool_(), (True, False)),
    "date": (pa.date32(), (date(2026, 7, 1), date(1, 1, 1), date(9999, 12, 31), date(2026, 3, 29))),
    "local time": (
        pa.timestamp("us"),
        (
            datetime(2026, 7, 1), datetime(2026, 7, 1, 12, 0, 0, 1), datetime(2026, 3, 29, 1, 30),
            datetime(2025, 10, 26, 1, 30),
        ),
    ),
    "time": (pa.timestamp("us", "UTC"), (datetime(2026, 6, 30, 23, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC))),
    "text": (pa.string(), ("a", "1", "1.50", "2026-07-01", "2026-07-01 12:00+01:00", "true", "", " ")),
    "bytes": (pa.binary(), (b"a", b"\xff\x00")),
}  # fmt: skip
TARGETS = ("text", "bigint", "numeric(12,2)", "double precision", "boolean", "date", "timestamptz")


@st.composite
def typed_tables(draw: st.DrawFn) -> tuple[str, str, list[Any]]:
    """A column's type at the source, its type in the contract, and its values."""
    source = draw(st.sampled_from(list(TYPED)))
    values = draw(st.lists(st.sampled_from((None, *TYPED[source][1])), min_size=1, max_size=6))
    return source, draw(st.sampled_from(TARGETS)), values


def compare_typed(source: str, target: str, values: list[Any]) -> None:
    """Raise AssertionError unless each value is loaded as it is, or rejected."""
    about = f"{source} as {target}: {values}"
    table = declared(columns=[{"name": "c", "data_type": target, "description": "A column.", "privacy": "none"}])
    batch = pa.table({"c": pa.array(values, TYPED[source][0]), "_source_row": pa.array(range(len(values)), pa.int64())})
    fit, rejects = conform(table, batch, "x")
    landed = {row["_source_row"]: row["c"] for row in fit.to_pylist()}
    rejected = dict.fromkeys((reject.row for reject in rejects), REJECTED)
    require(len(landed) + len(rejects) == len(values), f"{len(landed)} landed, {len(rejects)} rejected: {about}")
    for number, value in enumerate(values):
        possible, found = typed_readings(value, target), (landed | rejected)[number]
        if isinstance(value, float) and target == "text":  # any text of the same number
            possible, found = [value], float(found)
        require(any(is_same(found, one) for one in possible), f"{value!r} is {found!r}, not {possible!r}: {about}")


# --- the comparison


def compare(file: File, folder: Path) -> None:
    """Raise AssertionError unless our reader agrees with the independent one."""
    table = declared(**{"columns": file.layout["columns"], **file.layout})
    path = folder / file.name
    path.unlink(missing_ok=True)  # some file systems wait for the disk when a file is written again
    path.write_bytes(file.packed())
    about = f"{file.layout} {file.content!r}"
    try:
        expected, skipped = independent(file.layout, file.content)
    except Refused:
        expected = None
    except Unsure:
        with suppress(SourceError):
            list(read_file(table, path))
        return
    landed: dict[int, dict[str, Any]] = {}
    rejected: dict[int, str | None] = {}
    read, counted = 0, Counter[str]()
    try:
        for batch in read_file(table, path, skipped=counted):
            fit, rejects = conform(table, batch, "x")
            read += len(batch)
            landed |= {row.pop("_source_row"): row for row in fit.to_pylist()}
            rejected |= {reject.row or 0: reject.column for reject in rejects}
    except SourceError as refusal:
        require(expected is None, f"refused ({refusal}): {about}")
        return
    if expected is None:
        raise AssertionError(f"read, but breaks its contract: {about}")
    require(
        len(landed) + len(rejected) == read,
        f"{read} rows read, {len(landed)} landed, {len(rejected)} rejected: {about}",
    )
    require(counted.total() == skipped, f"{counted} skipped, not {skipped}: {about}")
    require(
        landed.keys() | rejected.keys() == expected.keys(), f"rows {[*landed, *rejected]}, not {[*expected]}: {about}"
    )
    for number, possible in expected.items():
        if number in rejected:
            require(
                REJECTED in possible.get(rejected[number] or "", []),
                f"row {number} rejected for {rejected[number]}: {about}",
            )
        else:
            for name, values in possible.items():
                value = landed[number][name]
                require(
                    any(is_same(value, one) for one in values),
                    f"row {number}.{name} is {value!r}, not {values!r}: {about}",
                )


def is_same(value: object, other: object) -> bool:
    """Equal and of one type; NaN equals NaN."""
    return type(value) is type(other) and (value == other or (value != value and other != other))


OPTIONS = partial(
    settings, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True, report_multiple_bugs=False
)


TWO_MARKS = File(  # of which the second belongs to the first value
    {
        "columns": [
            {"name": name, "data_type": "text", "description": "A column.", "privacy": "none"} for name in "ab"
        ],
        **{"encoding": "utf-16", "delimiter": ",", "quote": '"', "null_values": [], "headings": ["a", "b"]},
    },
    "rows.csv",
    "\ufeff\ufeff1,2".encode("utf-16-le"),
)


def try_files(number: int, is_repeatable: bool = False) -> None:
    """Compare this many generated files; raises AssertionError with the smallest that differs."""
    with TemporaryDirectory() as folder:

        @OPTIONS(max_examples=number, derandomize=is_repeatable)
        @given(files())
        @example(TWO_MARKS)
        def generated(file: File) -> None:
            compare(file, Path(folder))

        generated()


def try_tables(number: int, is_repeatable: bool = False) -> None:
    """Compare this many generated columns of typed values; raises AssertionError with the smallest that differs."""

    @OPTIONS(max_examples=number, derandomize=is_repeatable)
    @given(typed_tables())
    def generated(table: tuple[str, str, list[Any]]) -> None:
        compare_typed(*table)

    generated()


def main() -> None:
    """Compare generated files, and a tenth as many tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=200_000)
    number, begun = parser.parse_args().files, time.monotonic()
    for done in range(0, number, ROUND):  # hypothesis keeps every content of a round in memory
        try_files(min(ROUND, number - done))
        try_tables(min(ROUND, number - done) // 10)
    print(
        f"{number:,} files and {number // 10:,} tables are as the independent reader reads them: "
        f"{time.monotonic() - begun:,.0f} s"
    )


if __name__ == "__main__":
    main()
