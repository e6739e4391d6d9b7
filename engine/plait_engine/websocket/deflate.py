"""permessage-deflate (RFC 7692): the parameters, and a message's way through zlib.

Strategy
--------
``Deflate`` is used three times: what a client offers, what a server is willing to do,
and what both negotiated (``handshake`` turns the first two into the third).  From that a
connection makes one ``Deflater`` for what it sends and one ``Inflater`` for
what it receives.

Rules (RFC 7692 section 7)
--------------------------
* A message is a raw DEFLATE stream that ends with an empty stored block; its last four
  bytes, 00 00 FF FF, are left out (7.2.1).
* With *context takeover* the window goes on from message to message; without it each
  message starts anew.  There is one parameter for each direction (7.1.1).
* The window of a direction is 2**8 to 2**15 bytes (7.1.2).

Limits
------
An ``Inflater`` never makes more bytes than it is told, so a bomb costs no more than the
limit of a message, and what zlib needs is bounded by the window.  A message has 128
blocks with BFINAL at most.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass

_TAIL = b"\x00\x00\xff\xff"
_MAX_FINAL_BLOCKS = 128  # each costs a new zlib stream; a sane sender makes one a message
MIN_WINDOW_BITS = 8
MAX_WINDOW_BITS = 15


@dataclass(frozen=True, slots=True)
class Deflate:
    """The parameters of permessage-deflate (RFC 7692 section 7.1), and zlib's own.

    ``server_no_context_takeover``, ``client_no_context_takeover``: that side forgets its
    window after each message, which costs compression and saves memory.

    ``server_max_window_bits``, ``client_max_window_bits``: the base-2 logarithm of that
    side's window, 8 to 15.

    ``level`` (0 to 9, or -1 for zlib's choice) and ``memory_level`` (1 to 9) are zlib's;
    they act on what this side sends.

    Raises ValueError for a value out of its range.
    """

    server_no_context_takeover: bool = False
    client_no_context_takeover: bool = False
    server_max_window_bits: int = MAX_WINDOW_BITS
    client_max_window_bits: int = MAX_WINDOW_BITS
    level: int = -1
    memory_level: int = 8

    def __post_init__(self) -> None:
        for bits in (self.server_max_window_bits, self.client_max_window_bits):
            if not MIN_WINDOW_BITS <= bits <= MAX_WINDOW_BITS:
                raise ValueError(f"window bits must be 8 to 15, not {bits}")
        if not -1 <= self.level <= 9:
            raise ValueError(f"level must be -1 to 9, not {self.level}")
        if not 1 <= self.memory_level <= 9:
            raise ValueError(f"memory_level must be 1 to 9, not {self.memory_level}")


class Deflater:
    """Compress the messages of one direction."""

    __slots__ = ("_level", "_memory_level", "_takeover", "_window_bits", "_zlib")

    def __init__(
        self, window_bits: int, context_takeover: bool, level: int, memory_level: int
    ) -> None:
        # zlib has no raw window of 8 bits to deflate with.  Its window of 9 bits fits the
        # peer's of 8: it refers back 2**9 - 262 = 250 bytes at most (zlib's MAX_DIST).
        self._window_bits = max(window_bits, 9)
        self._takeover = context_takeover
        self._level = level
        self._memory_level = memory_level
        self._zlib: zlib._Compress | None = None

    def deflate(self, data: bytes, finished: bool) -> bytes:
        """Return the payload of the next frame of a message."""
        compressor = self._zlib
        if compressor is None:
            compressor = self._zlib = zlib.compressobj(
                self._level, zlib.DEFLATED, -self._window_bits, self._memory_level
            )
        payload = compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH)
        if not finished:
            return payload
        if not self._takeover:
            self._zlib = None
        # zlib makes nothing of nothing, but the message needs the head of its last,
        # empty block (RFC 7692 section 7.2.3.6).
        return payload[:-4] if payload else b"\x00"


class Inflater:
    """Decompress the messages of one direction, piece by piece as they arrive."""

    __slots__ = ("_final_blocks", "_takeover", "_window_bits", "_zlib")

    def __init__(self, window_bits: int, context_takeover: bool) -> None:
        self._window_bits = window_bits
        self._takeover = context_takeover
        self._zlib: zlib._Decompress | None = None  # 8 KiB that an idle connection saves
        self._final_blocks = 0

    def inflate(self, data: bytes | memoryview, limit: int) -> bytes:
        """Return what ``data`` decompresses to, ``limit`` bytes of it at most (0: all).

        A caller that gets ``limit`` bytes gives the message up: what is left of ``data``
        is not kept.  Raises zlib.error for data that is not DEFLATE.
        """
        stream = self._zlib
        if stream is None:
            stream = self._zlib = zlib.decompressobj(-self._window_bits)
        out = stream.decompress(data, limit)
        while stream.eof and (rest := stream.unused_data):
            # A block with BFINAL ends zlib's stream, not the message (RFC 7692 section
            # 7.2.3.4).  Who compresses so begins the next stream with an empty window.
            self._final_blocks += 1
            if self._final_blocks > _MAX_FINAL_BLOCKS:
                raise zlib.error("too many final blocks in a message")
            stream = self._zlib = zlib.decompressobj(-self._window_bits)
            if limit and len(out) >= limit:
                break
            out += stream.decompress(rest, limit and limit - len(out))
        return out

    def finish(self, limit: int) -> bytes:
        """Return the rest of the message, as ``inflate`` does, and be ready for the next."""
        out = b"" if self._at_end() else self.inflate(_TAIL, limit)
        self._final_blocks = 0
        if not self._takeover or self._at_end():
            self._zlib = None
        return out

    def _at_end(self) -> bool:
        return self._zlib is not None and self._zlib.eof
