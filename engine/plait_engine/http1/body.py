"""Body readers: bytes in, content out, and they know where the body ends.

A reader is fed what the peer sent and returns the content in it.  When the body ends
inside what it was fed, ``done`` is true and ``rest`` is what came behind.  When it breaks
the rules there, ``error`` says so; the content before it counts all the same.  Content that
is all of what was fed is not copied; else it is copied once, out of what is around it.

Rules of chunked (RFC 9112 section 7.1), the same for requests and responses: a line ends
in CRLF and nothing else (erratum 7633: the leniency of section 2.2 is not for chunk
lines); a size is 1 to 16 hex digits below 2**63, with no white space and no prefix; the
extensions follow their grammar and are ignored; the data of a chunk ends in CRLF.
"""

from __future__ import annotations

import enum
from typing import Protocol

from plait_engine.config import Limits
from plait_engine.errors import RemoteProtocolError
from plait_engine.headers import Headers

from . import grammar
from .fields import read_trailers
from .heads import SectionScanner


class BodyReader(Protocol):
    """What the connection needs of a reader."""

    done: bool
    rest: bytes
    trailers: Headers
    error: RemoteProtocolError | None

    def feed(self, data: bytes) -> bytes:
        """Take ``data`` and return the content in it; then look at ``error``."""

    def end(self) -> None:
        """The peer sends nothing more.  Raises RemoteProtocolError if the body is cut short."""


class LengthReader:
    """A body of so many bytes (RFC 9112 section 6.2)."""

    __slots__ = ("_expected", "done", "remaining", "rest")

    trailers: Headers = ()
    error: RemoteProtocolError | None = None

    def __init__(self, length: int) -> None:
        self._expected = length
        self.remaining = length
        """Bytes that are still to come."""
        self.done = False
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        remaining = self.remaining - len(data)
        if remaining > 0:
            self.remaining = remaining
            return data
        self.done = True
        self.remaining = 0
        if remaining < 0:
            self.rest = data[remaining:]
            return data[:remaining]
        return data

    def end(self) -> None:
        raise RemoteProtocolError(
            f"the connection closed after {self._expected - self.remaining}"
            f" of {self._expected} bytes of the body"
        )


class UntilCloseReader:
    """The body of a response that ends with the connection (RFC 9112 section 6.3, item 8)."""

    __slots__ = ("done", "rest")

    trailers: Headers = ()
    error: RemoteProtocolError | None = None

    def __init__(self) -> None:
        self.done = False
        self.rest = b""

    def feed(self, data: bytes) -> bytes:
        return data

    def end(self) -> None:
        self.done = True


class _Chunk(enum.Enum):
    SIZE = "in a chunk's size line"
    DATA = "in a chunk's data"
    DATA_END = "before the CRLF behind a chunk's data"
    TRAILERS = "in the trailer section"


# On CPython 3.11 a member that is asked of its Enum costs ten times a global.
_SIZE, _DATA, _DATA_END, _TRAILERS = _Chunk


class ChunkedReader:
    """A body in chunks (RFC 9112 section 7.1)."""

    __slots__ = (
        "_carry",
        "_excess",
        "_limits",
        "_received",
        "_remaining",
        "_scanner",
        "_state",
        "_trailer_section",
        "done",
        "error",
        "rest",
        "trailers",
    )

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._state = _SIZE
        self._carry = b""
        self._remaining = 0
        self._received = 0
        self._excess = 0
        self._scanner: SectionScanner | None = None
        self._trailer_section = bytearray()
        self.error: RemoteProtocolError | None = None
        self.done = False
        self.rest = b""
        self.trailers: Headers = ()

    def feed(self, data: bytes) -> bytes:
        scanned = len(self._carry)
        if scanned:
            data = self._carry + data
            self._carry = b""
        pieces: list[memoryview] = []
        try:
            self._read(data, scanned, pieces)
        except RemoteProtocolError as error:
            self.error = error.without_frames()
        if len(pieces) == 1 and len(pieces[0]) == len(data):
            content = data
        else:
            content = b"".join(pieces)
        self._received += len(content)
        return content

    def end(self) -> None:
        raise RemoteProtocolError(
            f"the connection closed {self._state.value}, after {self._received} bytes of a"
            " chunked body"
        )

    def _read(self, data: bytes, scanned: int, pieces: list[memoryview]) -> None:
        """Add the content in ``data`` to ``pieces``.  Raises RemoteProtocolError."""
        view = memoryview(data)
        position = 0
        while position < len(data) and not self.done:
            if self._state is _DATA:
                piece = view[position : position + self._remaining]
                pieces.append(piece)
                position += len(piece)
                self._remaining -= len(piece)
                if self._remaining == 0:
                    self._state = _DATA_END
            elif self._state is _DATA_END:
                position = self._read_data_end(data, position)
            elif self._state is _SIZE:
                position = self._read_size(data, position, scanned)
            else:
                position = self._read_trailers(data, position)
            scanned = 0

    def _read_data_end(self, data: bytes, position: int) -> int:
        ending = data[position : position + 2]
        if ending == b"\r\n":
            self._state = _SIZE
            return position + 2
        if ending != b"\r":
            raise RemoteProtocolError("a chunk's data does not end where its size says")
        self._carry = ending
        return len(data)

    def _read_size(self, data: bytes, position: int, scanned: int) -> int:
        limit = self._limits.max_line_size
        # What was carried over has no LF, but may end in the CR of a CRLF.
        newline = data.find(b"\n", position + max(scanned - 1, 0), position + limit + 2)
        if newline < 0:
            line = data[position:]
            if len(line.removesuffix(b"\r")) > limit or b"\r" in line[:-1]:
                raise RemoteProtocolError("a chunk's size line is too long or has a bare CR")
            self._carry = line
            return len(data)
        # A line that ends in LF alone, or has a bare CR, matches nothing.
        line = data[position : newline - 1] if data[newline - 1] == 0x0D else b"\n"
        match = grammar.match_chunk_line(line)
        if match is None:
            raise RemoteProtocolError("malformed chunk size line")
        size = int(match[1], 16)
        if size >= 1 << 63:
            raise RemoteProtocolError("a chunk is larger than 2**63 bytes")
        self._count_overhead(len(line) + 2, size)
        self._remaining = size
        self._state = _DATA if size else _TRAILERS
        return newline + 1

    def _count_overhead(self, overhead: int, size: int) -> None:
        """Bound what a message may spend on its chunk lines (CVE-2023-39326).

        16 bytes of each line are free, and one for each byte of data.
        """
        excess = self._excess + overhead - 16 - size
        self._excess = excess if excess > 0 else 0
        if excess > self._limits.max_chunk_overhead:
            raise RemoteProtocolError("the chunk extensions are much larger than the body")

    def _read_trailers(self, data: bytes, position: int) -> int:
        if self._scanner is None:
            if data.startswith(b"\r\n", position):
                return self._finish(data, position + 2)
            self._scanner = SectionScanner(self._limits, strict=True, trailers=True)
        section = self._trailer_section
        before = len(section)
        section += data[position:]
        end = self._scanner.find_end(section)
        if not end:
            return len(data)
        self.trailers = read_trailers(bytes(section[: end - 2]), self._limits)
        return self._finish(data, position + end - before)

    def _finish(self, data: bytes, position: int) -> int:
        self.done = True
        self.rest = data[position:]
        return len(data)
