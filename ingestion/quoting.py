"""The grammar of quotation marks in a CSV (RFC 4180), checked while the file is read.

CSV readers accept text after a closing mark and then join rows: of `1,"5 inch`, `2,b`, `3,"6 inch` they make one row.
"""

from collections.abc import Callable

import numpy as np  # pyarrow imports it too

from ingestion.contracts import SourceError

PIECE = 1 << 15  # bytes that are checked at a time: what is made of them fits a processor's cache
TEXT = b"_"  # in place of a character that is no delimiter, line end or quotation mark


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

    def feed(self, block: bytes, ends: tuple[int, int] = (0, 0)) -> None:
        """Check the next block; `ends` are the numbers of LF and CR before it."""
        self.ends = ends
        plain = self._without_escapes(block) if self.escape else block
        if self.quote in plain or self.before.endswith(self.quote):
            for start in range(0, len(plain), PIECE):
                text = self.before + plain[start : start + PIECE]
                self.before = self._all_quoted(text) or self._one_by_one(text.split(self.quote), plain[:start])
        elif plain:
            self.before = self._edge(plain)

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
