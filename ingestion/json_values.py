"""JSON texts: which of them Postgres keeps as jsonb without a change."""

import json
import re
from decimal import Decimal
from typing import Any, NoReturn

import pyarrow as pa

NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")  # Postgres has no text with a NUL character
LARGEST, SMALLEST = 131_071, -16_383  # exponents of Postgres' numeric


def check_json(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """The texts themselves; raises ArrowInvalid for one that is not JSON or that jsonb would change.

    jsonb keeps one value of a repeated key, and has neither NUL characters nor half of a surrogate pair.
    """
    for text in values.to_pylist():
        try:
            if text is not None:
                _check(text)
        except (ValueError, ArithmeticError, RecursionError):
            raise pa.ArrowInvalid("not JSON, or not the same as jsonb") from None
    return values


def _check(text: str) -> None:
    value = json.loads(
        text, parse_int=_number, parse_float=_number, parse_constant=_refuse, object_pairs_hook=_without_repeated_keys
    )
    if "\\u" in text:
        json.dumps(value, ensure_ascii=False).encode()  # raises UnicodeEncodeError for half of a surrogate pair
        if NUL.search(text):
            raise ValueError("a NUL character")


def _number(text: str) -> int:
    exponent, power = Decimal(text).as_tuple().exponent, Decimal(text).adjusted()
    if isinstance(exponent, int) and exponent >= SMALLEST and power <= LARGEST:
        return 0
    raise ValueError("a number that Postgres cannot hold")


def _refuse(_constant: str) -> NoReturn:
    raise ValueError("NaN or Infinity")


def _without_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a repeated key")
    return found
