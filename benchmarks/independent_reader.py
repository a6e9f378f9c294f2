"""What becomes of a file's rows and of typed values, by docs/reference/file-layouts.md: a second, independent reader.

It is written with Python's csv, decimal and datetime, and imports nothing from ingestion.
"""

import csv
import io
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Context, Decimal, InvalidOperation
from itertools import takewhile
from typing import Any
from zoneinfo import ZoneInfo

REJECTED = "rejected"
EXACT = Context(prec=100)
LONDON = ZoneInfo("Europe/London")


class Refused(Exception):
    """The file breaks its contract."""


class Unsure(Exception):
    """The documents do not say whether the file is read."""


def decode(content: bytes, encoding: str) -> str:
    """The text of a file; raises Refused if it is not in the declared encoding."""
    marks = {b"\xef\xbb\xbf": "utf-8", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
    mark = next((name for start, name in marks.items() if content.startswith(start)), "")
    one_byte = not encoding.startswith("utf")
    if (mark and not encoding.startswith(mark)) or (encoding == "utf-16" and not mark):
        raise Refused
    if not encoding.startswith("utf-16") and content[:512].count(0) * 3 > len(content[:512]):
        raise Refused  # it looks like utf-16
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        raise Refused from None
    if one_byte and not content.isascii():
        with suppress(UnicodeDecodeError):
            content.decode("utf-8")
            raise Refused
    return text if encoding == "utf-16" else text.removeprefix("\ufeff")  # Python has removed the mark of utf-16


def csv_rows(text: str, layout: dict[str, Any]) -> list[list[str]]:
    """The rows of a CSV, a blank line as an empty list; raises Refused for text after a closing quotation mark."""
    quote = layout.get("quote", '"')
    quoting: dict[str, Any] = {"quoting": csv.QUOTE_NONE} if quote == "none" else {"quotechar": quote}
    if "escape" in layout:
        text = "".join(escaped_parts(text, layout))
    lines = io.StringIO(text, newline="")
    try:
        return list(
            csv.reader(lines, strict=True, delimiter=layout["delimiter"], escapechar=layout.get("escape"), **quoting)
        )
    except csv.Error:
        raise Refused from None


def escaped_parts(text: str, layout: dict[str, Any]) -> Iterator[str]:
    """The text, in which only characters that have a meaning are escaped; raises Refused.

    A word for no value that begins with the escape character is one only as a whole value.
    """
    escape, ends = layout["escape"], [layout["delimiter"], "\r", "\n"]
    meant = [*ends, escape, *([] if layout["quote"] == "none" else [layout["quote"]])]
    words = [*layout["null_values"], *(word for column in layout["columns"] for word in column.get("null_values", []))]
    words = [word for word in words if word.startswith(escape)]
    place, is_start = 0, True
    while place < len(text):
        rest = text[place:]
        word = next(
            (word for word in words if is_start and rest.startswith(word) and rest[len(word) :][:1] in ("", *ends)), ""
        )
        if word:
            yield word.replace(escape, escape * 2)
            place += len(word)
        elif rest[0] == escape:
            if rest[1:2] not in meant or rest[1:3] == "\r\n" or rest[1:] in ("\r", "\n"):
                raise Refused
            yield rest[:2]
            place += 2
        else:
            yield rest[0]
            place += 1
        is_start = not word and rest[0] in ends
    if not text.endswith(("\r", "\n")):
        yield "\n"  # Python's reader takes an escaped line end for the end of a truncated file


def readings(column: dict[str, Any], text: str, null_values: list[str]) -> list[Any]:
    """What may become of a value: the value that it means, REJECTED, or either where the documents do not say."""
    kind = column["data_type"]
    if text.strip() in {*null_values, *column.get("null_values", []), *([""] if kind != "text" else [])} or not text:
        return [REJECTED] if column.get("required") else [None]
    if kind == "text":
        return [text]
    stripped = text.strip()
    if kind == "boolean":
        return [stripped.lower() in ("true", "1")] if stripped.lower() in ("true", "false", "1", "0") else [REJECTED]
    if kind == "date":
        return [day_of(stripped, column)]
    return moments(stripped) if kind == "timestamptz" else numbers(stripped, column)


def day_of(text: str, column: dict[str, Any]) -> object:
    for form in column.get("format") or ["%Y-%m-%d"]:
        with suppress(ValueError):
            day = datetime.strptime(text, form).date()
            if column.get("format") or text == day.isoformat():
                earliest, latest = (
                    column.get(end, other) for end, other in (("earliest", date.min), ("latest", date.max))
                )
                return day if earliest <= day <= latest else REJECTED
    return REJECTED


def moments(text: str) -> list[Any]:
    shape = re.fullmatch(r"(\d{4}-\d\d-\d\d)(?:([T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)(Z|[+-]\d\d(?::\d\d)?)?)?", text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return [REJECTED]
    if not shape:
        return [REJECTED]
    try:
        if moment.tzinfo is None:
            local, moment = moment, moment.replace(tzinfo=LONDON).astimezone(UTC)
            if moment.astimezone(LONDON).replace(tzinfo=None) != local:
                return [REJECTED]  # skipped when the clocks go forward
        return [moment.astimezone(UTC)]
    except OverflowError:
        return [REJECTED]


def numbers(text: str, column: dict[str, Any]) -> list[Any]:
    kind, forms = column["data_type"], column.get("number_format", [])
    if "decimal_comma" in forms:
        text = text.translate(str.maketrans(",.", ".,"))
    plain = r"-?[0-9]+(?:\.[0-9]+)?"
    amount = (
        r"[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?" if "thousands" in forms else r"[0-9]+(?:\.[0-9]+)?"
    )
    pound = "£?" if "pound" in forms else ""
    documented = {
        f"-?(?:{amount})": "thousands",
        f"{pound}(?:{amount})": "pound",
        rf"\({pound}(?:{amount})\)": "brackets",
    }
    documented |= {
        f"-?(?:{amount})%": "percent",
        f"(?:{amount}) ?(?:CR|DR)": "credit",
        f"(?:{amount})-": "trailing_minus",
    }
    is_certain = bool(re.fullmatch(plain, text)) or any(
        form in forms and re.fullmatch(shape, text) for shape, form in documented.items()
    )
    bare = text
    if forms:  # what a person would read
        bare = re.sub(r"[,£% ()]|(?i:CR|DR)|(?<=[0-9.])-$|^-|^£ ?-", "", text)
        bare = "-" * bool(re.search(r"[(-]|(?i:CR)$", text)) + bare
    try:
        value = Decimal(bare)
    except InvalidOperation:
        return [REJECTED]
    fit = fits(value, kind)
    return [fit] if is_certain and not (kind == "bigint" and "." in text) else [fit, REJECTED]


def fits(value: Decimal, kind: str) -> object:
    """The number in the type, exactly, or REJECTED."""
    if kind == "double precision":
        number = float(value)
        return REJECTED if number in (float("inf"), float("-inf")) and value.is_finite() else number
    if not value.is_finite():
        return REJECTED
    if kind == "bigint":
        return int(value) if value == int(value) and -(2**63) <= value < 2**63 else REJECTED
    precision, scale = map(int, re.findall(r"\d+", kind))
    if abs(value) >= Decimal(10) ** (precision - scale):
        return REJECTED
    rounded = value.quantize(Decimal(1).scaleb(-scale), context=EXACT)
    return rounded if rounded == value else REJECTED


def snake_case(heading: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", heading.lower()).strip("_")


def independent(layout: dict[str, Any], content: bytes) -> tuple[dict[int, dict[str, list[Any]]], int]:
    """({row number: {column: possible readings}}, number of skipped rows); raises Refused."""
    for encoding in [layout["encoding"], *layout.get("other_encodings", [])]:
        with suppress(Refused):
            text = decode(content, encoding)
            break
    else:
        raise Refused
    rows = csv_rows(text, layout)
    columns = {column["name"]: column for column in layout["columns"]}
    wanted = {name for name, column in columns.items() if not column.get("optional")}
    if "headings" in layout:
        names, start = [*map(snake_case, layout["headings"])], 0
        if not any(map(any, rows)):
            raise Refused
    else:
        heads = [place for place, row in enumerate(rows[:50]) if wanted <= set(map(snake_case, row))]
        if not heads:
            raise Refused
        names, start = [*map(snake_case, rows[heads[0]])], heads[0] + 1
    if any(names.count(name) > 1 for name in names if name):
        raise Refused
    table = rows[start:]
    blank_ends = layout.get("ends_at_blank_row", False)
    numbered: list[tuple[int, list[str]]] = []
    for row in table:
        if row or blank_ends:
            numbered.append((len(numbered) + 1, row))
    skipped = 0
    if blank_ends:
        first = next((place for place, (_, row) in enumerate(numbered) if any(row)), 0)
        kept = list(takewhile(lambda item: any(item[1]), numbered[first:]))
        skipped += sum(any(row) for _, row in numbered[first + len(kept) :])
        numbered = kept
    return below_header(layout, names, [(number, row) for number, row in numbered if any(row)], skipped)


def _possible(column: dict[str, Any], text: str, layout: dict[str, Any]) -> list[Any]:
    return [REJECTED] if "\0" in text else readings(column, text, layout["null_values"])


def below_header(
    layout: dict[str, Any], names: list[str], rows: list[tuple[int, list[str]]], skipped: int
) -> tuple[dict[int, dict[str, list[Any]]], int]:
    """The same, of the rows that have values."""

    def begins(row: list[str], texts: list[str]) -> bool:
        return next(filter(None, row)).strip().startswith(tuple(texts))

    data = [(number, row) for number, row in rows if not begins(row, layout.get("subtotals") or ["\uffff"])]
    skipped += len(rows) - len(data)
    columns = {column["name"]: column for column in layout["columns"]}
    footer: list[list[str]] = []
    if "footer" in layout:
        while data and begins(data[-1][1], layout["footer"]):
            footer.append(data.pop()[1])
        skipped += len(footer)
        if not footer and not layout.get("footer_optional"):
            raise Refused
    width, found = len(names), {}
    for number, row in data:
        if len(row) != width and not "".join(row).strip():
            continue
        if len(row) != width and (layout.get("ragged") != "pad" or any(row[width:])):
            raise Refused
        cells = dict(zip(names, [*row, *[""] * width], strict=False))
        if cells.pop("", ""):
            raise Refused  # a value below no heading
        found[number] = {
            name: _possible(column, cells.get(name, ""), layout)
            for name, column in columns.items()
        } | {
            name: [REJECTED] if "\0" in text else [text or None]
            for name, text in cells.items() if name not in columns and name.title() not in layout["left_out"]
        }  # fmt: skip
    if footer:
        check_totals(layout, names, data, footer)
    return found, skipped


def check_totals(
    layout: dict[str, Any], names: list[str], data: list[tuple[int, list[str]]], footer: list[list[str]]
) -> None:
    """Raise Refused if a total of the footer is not the sum of its column; Unsure if a number has several readings."""
    for column in layout["columns"]:
        if column["name"] in layout.get("control_totals", []) and column["name"] in names:
            place, loose = names.index(column["name"]), column | {"data_type": "numeric(38,10)", "required": False}

            def number(row: list[str], place: int = place, loose: dict[str, Any] = loose) -> Any:
                possible = readings(loose, row[place] if place < len(row) else "", layout["null_values"])
                if len(possible) > 1:
                    raise Unsure
                return possible[0]

            values = [number(row) or 0 for _, row in data]
            totals = [number(row) for row in footer if place < len(row) and row[place]]
            if REJECTED in values or len(totals) != 1 or totals[0] != sum(values):
                raise Refused


def typed_readings(value: Any, kind: str) -> list[Any]:
    """What may become of a typed value, as `readings`."""
    column = {"data_type": kind}
    match value:
        case None:
            return [None]
        case str():
            return [value] if kind == "text" else readings(column, value, [])
        case bytes():
            return [value.hex()] if kind == "text" else [REJECTED]
        case bool():
            own = {"text": str(value).lower(), "boolean": value}
            return [own[kind]] if kind in own else [int(value), Decimal(value), float(value), REJECTED]
        case datetime():
            return typed_moment(value, kind)
        case date():
            if kind in ("text", "date"):
                return [value.isoformat() if kind == "text" else value]
            return moments(value.isoformat()) if kind == "timestamptz" else [REJECTED]
    if kind == "text":
        return [f"{value:.4f}" if isinstance(value, Decimal) else str(value)]
    if kind == "boolean":
        return (
            [bool(value)]
            if value in (0, 1) and isinstance(value, int)
            else [REJECTED, *([bool(value)] if value in (0, 1) else [])]
        )
    if kind in ("date", "timestamptz"):
        return [REJECTED]
    fit = fits(Decimal(repr(value)) if isinstance(value, float) else Decimal(value), kind)
    is_beyond = kind == "double precision" and isinstance(value, int) and abs(value) > 2**53
    return [fit, REJECTED] if is_beyond else [fit]


def typed_moment(value: datetime, kind: str) -> list[Any]:
    local = value.astimezone(LONDON).replace(tzinfo=None) if value.tzinfo else value
    if kind == "date":
        return [local.date() if local.time() == datetime.min.time() else REJECTED]
    if kind == "timestamptz":
        return [value.astimezone(UTC)] if value.tzinfo else moments(value.isoformat())
    texts = [f"{value:%Y-%m-%d %H:%M:%S.%f}".removesuffix(".000000"), f"{value:%Y-%m-%d %H:%M:%S.%f}"]
    return [text + "Z" * bool(value.tzinfo) for text in texts] if kind == "text" else [REJECTED]
