"""The grammar of quotation marks (RFC 4180) and escape characters in a CSV, checked while the file is read.

CSV readers accept text after a closing mark and then join rows: of `1,"5 inch`, `2,b`, `3,"6 inch` they make one row.
They drop an escape character before any other character: of \\N, which means no value, they make N.
"""

from collections.abc import Callable, Iterable
from typing import Protocol

import numpy as np  # pyarrow imports it too

from ingestion.contracts import SourceError

PIECE = 1 << 18  # bytes that are checked at a time: fewer take longer for each byte, and more do not fit the cache
LINE_ENDS = (b"\n", b"\r")
TEXT = b"_"  # in place of a character that is no delimiter, line end or quotation mark


class Checker(Protocol):
    """Checks a CSV block by block."""

    def feed(self, block: bytes, ends: tuple[int, int] = ..., is_last: bool = ..., /) -> bytes: ...


class QuoteChecker:
    """Checks a CSV in UTF-8, block by block: a value that begins with a quotation mark ends with one.

    A mark within a value that does not begin with one is text (5" pipe). Raises SourceError; `locate` gives the
    beginning of its message. Time: a few nanoseconds a byte where a block has marks, else almost none.
    """

    def __init__(self, locate: Callable[[str], str], delimiter: str, quote: str, escape: str | None):
        self.locate, self.quote, self.escape = locate, quote.encode(), (escape or "").encode()
        self.edges = (delimiter.encode(), b"\r", b"\n")
        self.before = b""  # what the next block needs to know of the earlier ones: the last mark or edge
        self.is_escaped = False  # the last block ended with the escape character
        self.ends = (0, 0)  # LF and CR before the block

    def feed(self, block: bytes, ends: tuple[int, int] = (0, 0), _is_last: bool = False) -> bytes:
        """Check the next block, which is returned; `ends` are the numbers of LF and CR before it."""
        self.ends = ends
        plain = self._without_escapes(block) if self.escape else block
        if self.quote in plain or self.before.endswith(self.quote):
            for start in range(0, len(plain), PIECE):
                text = self.before + plain[start : start + PIECE]
                self.before = self._all_quoted(text) or self._one_by_one(text.split(self.quote), plain[:start])
        elif plain:
            self.before = self._edge(plain)
        return block

    def _without_escapes(self, block: bytes) -> bytes:
        """The block with each escaped character replaced."""
        first, *others = ((self.escape if self.is_escaped else b"") + block).split(self.escape)
        kept, self.is_escaped = [first], False
        while others:
            if part := others.pop(0):
                kept.append(TEXT + part[1:])
            elif others:
                kept.append(TEXT + others.pop(0))
            else:
                self.is_escaped = True
        return b"".join(kept)

    def _edge(self, outside: bytes) -> bytes:
        return next((edge for edge in self.edges if outside.endswith(edge)), TEXT if outside else b"")

    def _all_quoted(self, text: bytes) -> bytes:
        """What the next block needs to know, if each mark opens a value, closes it or doubles a mark; else nothing."""
        codes = np.frombuffer(text, np.uint8)
        marks = np.flatnonzero(codes == self.quote[0])
        opening = marks[int(text.startswith(self.quote)) * 2 :: 2]
        closing = marks[1 : len(marks) - text.endswith(self.quote) : 2]
        outside = codes[opening - 1].tobytes() + codes[closing + 1].tobytes()
        if outside.translate(None, b"".join(self.edges) + self.quote):
            return b""
        if len(marks) % 2:
            return self.quote
        return self.quote * 2 if text.endswith(self.quote) else self._edge(text)

    def _one_by_one(self, parts: list[bytes], above: bytes) -> bytes:
        """The same where some marks are text; raises SourceError for a mark that can be neither.

        `above` is the block up to these parts.
        """
        outside, is_inside, has_closed = parts[0], False, False
        for place, part in enumerate(parts[1:], 1):
            if is_inside:
                if part and not part.startswith(self.edges):
                    raise self._error(self.quote.join(parts[:place]), above)
                outside, is_inside, has_closed = part, False, True
            elif not outside or outside.endswith(self.edges):
                is_inside = True
            else:
                outside += self.quote + part
        if is_inside:
            return self.quote
        return self._edge(outside) or (self.quote * 2 if has_closed else b"")

    def _error(self, text: bytes, above: bytes) -> SourceError:
        new = above + text.removeprefix(self.before)
        line = max(self.ends[0] + new.count(b"\n"), self.ends[1] + new.count(b"\r")) + 1
        return SourceError(
            f"{self.locate(f', line {line}')}: text after a closing quotation mark. A mark within a value has to be "
            "doubled; if marks have no meaning in this file, declare `quote: none`"
        )


class EscapeChecker:
    """Checks a CSV in UTF-8, block by block: an escape character is before a character that has a meaning.

    These are the delimiter, the quotation mark, a line end of one character and the escape character. A text of
    `null_values` such as \\N is read as it is, where it is a whole value. Raises SourceError, as QuoteChecker.
    """

    def __init__(
        self, locate: Callable[[str], str], delimiter: str, quote: str | None, escape: str, null_values: Iterable[str]
    ):
        self.locate, self.escape = locate, escape.encode()
        self.edges = (delimiter.encode(), *LINE_ENDS)
        self.escaped = (*self.edges, self.escape, (quote or delimiter).encode())
        self.null_values = [text.encode() for text in null_values if text.startswith(escape)]
        self.reach = 1 + max(map(len, [b"\r\n", *self.null_values]))  # bytes that decide on an escape character
        self.held = b""  # the end of the last block, where the next one decides
        self.before = b""  # the character before `held`, unless it is escaped

    def feed(self, block: bytes, ends: tuple[int, int] = (0, 0), is_last: bool = False) -> bytes:
        """Check the next block; `ends` are the numbers of LF and CR before it. Returns the bytes for a CSV reader."""
        held, self.held = self.held, b""
        text, before, done = held + block, self.before, 0
        kept: list[bytes] = []
        while (place := text.find(self.escape, done)) >= 0:
            if not is_last and place + self.reach > len(text):
                text, self.held = text[:place], text[place:]
                break
            before = text[done:place][-1:] or before
            kept.append(text[done:place])
            if before in (b"", *self.edges) and (value := self._null_value(text, place, is_last)):
                kept.append(value.replace(self.escape, self.escape * 2))
            elif self._escapes(text, place, is_last):
                value = text[place : place + 2]
                kept.append(value)
            else:
                counts = zip(ends, LINE_ENDS, strict=True)
                raise self._error(max(count + text[:place].count(end) - held.count(end) for count, end in counts) + 1)
            before, done = TEXT, place + len(value)
        self.before = text[done:][-1:] or before
        return b"".join([*kept, text[done:]])

    def _null_value(self, text: bytes, place: int, is_last: bool) -> bytes:
        """The text of `null_values` that is the whole value at this place; empty if there is none."""
        for value in self.null_values:
            end = place + len(value)
            if text.startswith(value, place) and (text.startswith(self.edges, end) or (is_last and end == len(text))):
                return value
        return b""

    def _escapes(self, text: bytes, place: int, is_last: bool) -> bool:
        """Whether the character after an escape character has a meaning; at the file's end no line end has."""
        following = text[place + 1 : place + 3]
        is_end = is_last and following in LINE_ENDS
        return following.startswith(self.escaped) and following != b"\r\n" and not is_end

    def _error(self, line: int) -> SourceError:
        return SourceError(
            f"{self.locate(f', line {line}')}: an escape character that is not before a delimiter, a quotation mark, "
            "an escape character or one line end. If it has no meaning in this file, remove `escape`; if the file "
            "ends here, it is truncated: request it again"
        )
