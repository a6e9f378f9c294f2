"""The characters of a text file: decodes it as its contract says, and refuses bytes that mean something else."""

import codecs
import io
import re
from typing import TYPE_CHECKING, Protocol

from ingestion.contracts import SourceError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
CONTROLS = re.compile("[\x80-\x9f]")  # where Windows-1252 has its quotation marks, dashes and the euro


class EncodingError(SourceError):
    """A text file that is not in the encoding that its contract says."""


class Bytes(Protocol):
    """What bytes can be read from, as many as there are or as are asked for."""

    def read(self, size: int, /) -> bytes: ...


class Utf8(io.RawIOBase):
    """The bytes of `file`, which is in `encoding`, as UTF-8 without a byte order mark, and then those of `tail`.

    Reading raises EncodingError, beginning with `where`, for a file that is not in this encoding: one with bytes that
    it does not have, with the mark of another, or, in an encoding of one byte a character, one that is UTF-8 as a
    whole. A mark decides between the two orders of utf-16 only, which therefore needs one. Memory: a few times what is
    read at once.
    """

    def __init__(self, file: Bytes, encoding: str, where: str, tail: bytes = b""):
        self.file, self.encoding, self.where, self.tail = file, encoding, where, tail
        self.pending, self.ended, self.ends = b"", False, [0, 0]
        declared = codecs.lookup(encoding).name.removesuffix("-sig")
        start = file.read(512)
        mark = next((mark for mark in MARKS if start.startswith(mark)), b"")
        if mark and declared not in (MARKS[mark], MARKS[mark][:6]):
            raise self._refusal(f"its byte order mark is that of {MARKS[mark]}")
        if declared == "utf-16" and not mark:
            raise self._refusal("it has no byte order mark; if it always lacks one, declare utf-16-le or utf-16-be")
        if not declared.startswith("utf-16") and start.count(0) * 3 > len(start):
            raise self._refusal("it looks like utf-16")
        self.start = start.removeprefix(mark)
        self.name = MARKS[mark] if mark else declared
        self.decoder = codecs.getincrementaldecoder(self.name)()
        one_byte = not self.name.startswith("utf-")
        self.rival = codecs.getincrementaldecoder("utf-8")() if one_byte else None
        self.is_ascii = True

    def readable(self) -> bool:
        return True

    def take(self, size: int) -> bytes:
        """Just `size` bytes, fewer only at the end."""
        while len(self.pending) < size and not self.ended:
            self.pending += self._next(size - len(self.pending))
        taken, self.pending = self.pending[:size], self.pending[size:]
        return taken

    def read(self, size: int = -1) -> bytes:
        """Up to `size` bytes, of which a CR is not the last: pyarrow drops an LF that begins the next block."""
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
        """Up to `size` bytes of the file, as UTF-8; at its end, the tail."""
        raw, self.start = self.start + self.file.read(max(size - len(self.start), 0)), b""
        self.ended = not raw
        try:
            text = self.decoder.decode(raw, final=self.ended)
        except UnicodeDecodeError as error:
            self._count(error.object[: error.start])
            raise self._refusal(f"line {max(self.ends) + 1} has bytes that are not in it") from None
        if self.name.startswith("iso8859") and CONTROLS.search(text):
            raise self._refusal("it has bytes that windows-1252 has")
        if self.rival:
            self._follow(self.rival, raw)
        self._count(raw)
        if self.ended:
            return text.encode() + self.tail
        return raw if self.name == "utf-8" else text.encode()

    def _count(self, raw: bytes) -> None:
        self.ends[0] += raw.count(b"\n")
        self.ends[1] += raw.count(b"\r") if b"\r" in raw else 0  # looking is quicker than counting

    def _follow(self, rival: codecs.IncrementalDecoder, raw: bytes) -> None:
        """Reads along as UTF-8: what can be read so to its end, and is more than ASCII, is UTF-8."""
        self.is_ascii = self.is_ascii and raw.isascii()
        try:
            rival.decode(raw, final=self.ended)
        except UnicodeDecodeError:
            self.rival = None
            return
        if self.ended and not self.is_ascii:
            raise self._refusal("it is UTF-8")

    def _refusal(self, why: str) -> EncodingError:
        return EncodingError(f"{self.where}: {why}; the contract says {self.encoding}")
