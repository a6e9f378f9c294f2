"""JSON objects as rows of text, with the digits of their numbers."""

import json
from typing import Any

import pyarrow as pa

Row = dict[str, Any]  # a JSON object


class Number(str):
    """A number with the digits of its JSON: a float would change 52.19 and an id of 30 digits."""

    __slots__ = ()


def parse_json(text: bytes) -> Any:
    """The JSON's value; numbers as Number, NaN and Infinity (not JSON) as text. Raises ValueError."""
    try:
        return json.loads(text, parse_float=Number, parse_int=Number, parse_constant=str)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def rows_to_arrow(page: list[Row]) -> pa.Table:
    """The rows with every column as text, for `conform` to cast. Accepts values of any shape.

    Numbers keep their digits, objects and lists are JSON, missing keys are null. A lone surrogate or a NUL, which
    Postgres cannot store, is written as JSON writes it: the six characters `\\ud83d` or `\\u0000`.
    """
    names = dict.fromkeys(name for row in page for name in row)
    return pa.table({storable(name): pa.array([_text(row.get(name)) for row in page], pa.string()) for name in names})


def _text(value: Any) -> str | None:
    if value is None:
        return None
    try:
        return storable(value if isinstance(value, str) else _json(value))
    except RecursionError:
        return "(nested too deeply)"


def _json(value: Any) -> str:
    """JSON with Numbers unchanged; other types as Python writes them."""
    if isinstance(value, Number):
        return value
    if isinstance(value, dict):
        return "{" + ", ".join([f"{_json(str(name))}: {_json(item)}" for name, item in value.items()]) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_json, value)) + "]"
    if isinstance(value, str | bool | None):
        return json.dumps(value, ensure_ascii=False)
    return str(value)


def storable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\u0000")
