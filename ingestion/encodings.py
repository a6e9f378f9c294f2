"""The encoding of a text file: decode it by its contract, and refuse bytes that contradict the contract."""

import codecs
import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa

from ingestion.contracts import SourceError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

    from ingestion.quoting import Checker

MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
C1_CONTROLS = re.compile("[\x80-\x9f]")  # Windows-1252 has quotation marks, dashes and the euro here


class EncodingError(SourceError):
    """A text file that is not in the encoding of its contract."""


class Bytes(Protocol):
    """A readable source of bytes."""

    def read(self, size: int, /) -> bytes: ...


class Utf8(io.RawIOBase):
    """The bytes of `file`, which is in `encoding`, as UTF-8 without a byte order mark, followed by `tail`.

    Raises EncodingError, beginning with `where`, for a file in another encoding: bytes that the encoding does not have,
    another byte order mark or, for a single-byte encoding, valid UTF-8 from end to end. `utf-16` needs a mark, which
    gives the byte order. `checks` are made of the UTF-8 in their order. Memory: a few times the size of one read.
    """

    def __init__(self, file: Bytes, encoding: str, where: str, tail: bytes = b"", checks: "Sequence[Checker]" = ()):
        self.file, self.encoding, self.where, self.tail, self.checks = file, encoding, where, tail, checks
        self.pending, self.ended, self.ends = b"", False, [0, 0]
        declared = codecs.lookup(encoding).name.removesuffix("-sig")
        start = file.read(512)
        mark = next((mark for mark in MARKS if start.startswith(mark)), b"")
        if mark and declared not in (MARKS[mark], MARKS[mark][:6]):
            raise self._refusal(f"its byte order mark is that of {MARKS[mark]}")
        if declared == "utf-16" and not mark:
            raise self._refusal("no byte order mark; if the file never has one, declare utf-16-le or utf-16-be")
        if not declared.startswith("utf-16") and start.count(0) * 3 > len(start):
            raise self._refusal("it looks like utf-16")
        self.start = start.removeprefix(mark)
        self.name = MARKS[mark] if mark else declared
        self.decoder = codecs.getincrementaldecoder(self.name)()
        self.cut = b""  # the beginning of a character of UTF-8 at the end of the last read
        one_byte = not self.name.startswith("utf-")
        self.utf8_decoder = codecs.getincrementaldecoder("utf-8")() if one_byte else None
        self.is_ascii = True

    def readable(self) -> bool:
        return True

    def take(self, size: int) -> bytes:
        """Exactly `size` bytes, fewer only at the end."""
        while len(self.pending) < size and not self.ended:
            self.pending += self._next(size - len(self.pending))
        taken, self.pending = self.pending[:size], self.pending[size:]
        return taken

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, not ending in a CR: pyarrow drops an LF at the start of the next block."""
        block = self.take(size)
        if len(block) > 1 and block.endswith(b"\r"):
            block, self.pending = block[:-1], b"\r" + self.pending
        return block

    def readinto(self, buffer: "WriteableBuffer") -> int:
        room = memoryview(buffer)
        block = self.take(len(room))
        room[: len(block)] = block
        return len(block)

    def _next(self, size: int) -> bytes:
        """Up to `size` bytes of the file as UTF-8; at its end, the tail."""
        raw, self.start = self.start + self.file.read(max(size - len(self.start), 0)), b""
        self.ended = not raw
        utf8 = self._whole_characters(raw) if self.name == "utf-8" else self._recoded(raw)
        for check in self.checks:
            utf8 = check.feed(utf8, (self.ends[0], self.ends[1]), self.ended)
        self._count(raw)
        return utf8 + self.tail if self.ended else utf8

    def _whole_characters(self, raw: bytes) -> bytes:
        """The bytes of UTF-8 without a character that the next read completes; Arrow checks them faster than Python."""
        text = self.cut + raw if self.cut else raw
        whole = len(text) if self.ended else _end_of_characters(text)
        text, self.cut = text[:whole], text[whole:]
        if not text.isascii():
            offsets = pa.array([0, len(text)], pa.int32()).buffers()[1]
            try:
                pa.Array.from_buffers(pa.string(), 1, [None, offsets, pa.py_buffer(text)]).validate(full=True)
            except pa.ArrowInvalid:
                self._decoded(text, is_last=True)
        return text

    def _recoded(self, raw: bytes) -> bytes:
        text = self._decoded(raw, self.ended)
        if self.name.startswith("iso8859") and C1_CONTROLS.search(text):
            raise self._refusal("it has bytes of windows-1252")
        if self.utf8_decoder:
            self._check_utf8(self.utf8_decoder, raw)
        return text.encode()

    def _decoded(self, raw: bytes, is_last: bool) -> str:
        try:
            return self.decoder.decode(raw, final=is_last)
        except UnicodeDecodeError as error:
            self._count(error.object[: error.start])
            raise self._refusal(f"line {max(self.ends) + 1} has invalid bytes") from None

    def _count(self, raw: bytes) -> None:
        self.ends[0] += raw.count(b"\n")
        self.ends[1] += raw.count(b"\r") if b"\r" in raw else 0  # `in` is faster than `count`

    def _check_utf8(self, decoder: codecs.IncrementalDecoder, raw: bytes) -> None:
        """Decode the same bytes as UTF-8: a file that decodes to its end and is more than ASCII is UTF-8."""
        self.is_ascii = self.is_ascii and raw.isascii()
        try:
            decoder.decode(raw, final=self.ended)
        except UnicodeDecodeError:
            self.utf8_decoder = None
            return
        if self.ended and not self.is_ascii:
            raise self._refusal("it is UTF-8")

    def _refusal(self, why: str) -> EncodingError:
        return EncodingError(f"{self.where}: {why}; the contract says {self.encoding}")


def _end_of_characters(text: bytes) -> int:
    """The length of `text` without the beginning of a character at its end, in UTF-8."""
    for place, byte in enumerate(text[:-4:-1], 1):  # a character has up to four bytes
        if byte >= 0b1100_0000:
            size = 2 + (byte >= 0b1110_0000) + (byte >= 0b1111_0000)
            return len(text) - place if size > place else len(text)
        if byte < 0b1000_0000:
            break
    return len(text)
