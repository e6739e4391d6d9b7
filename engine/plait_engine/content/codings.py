"""Content codings: gzip and deflate decoded step by step (RFC 9110 section 8.4.1).

Strategy
--------
A few bytes can decode to gigabytes.  So a decoder is asked for at most so many bytes at a
time, and says with ``pending`` that there are more to be had without new input.  Whoever
asks decides how far to go; nothing is decoded that nobody asked for.

Whoever has a library for other codings gives ``find_decoder`` a table of its own, and whoever
has another zlib gives it to the decoders; the engine imports none.

Rules
-----
* Names of codings are case-insensitive, ``x-gzip`` is ``gzip`` (RFC 9110 section 8.4.1.3).
* ``deflate`` is the zlib format (RFC 1950).  Some servers send the bare deflate format (RFC
  1951) instead; the first bytes tell which one it is.
* gzip members may follow each other (RFC 1952 section 2.2): ``MAX_MEMBERS`` of them, for
  each empty one costs time and gives nothing.  Zeros behind the last are padding.
* A body that ends before the coding does is an error, and so is what follows its end.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Protocol

MAX_MEMBERS: Final = 1024
"""gzip members in one body."""


_GZIP: Final = 16 + zlib.MAX_WBITS


class CodingError(Exception):
    """The bytes are not what the coding's name says."""


class TooManyMembersError(CodingError, ValueError):
    """More than ``MAX_MEMBERS`` members follow each other."""


class ZlibStream(Protocol):
    """Decodes one zlib stream, as ``zlib.decompressobj()`` does."""

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        """Take ``data`` and return up to ``max_length`` bytes."""

    @property
    def eof(self) -> bool: ...
    @property
    def unconsumed_tail(self) -> bytes: ...
    @property
    def unused_data(self) -> bytes: ...


class ZlibModule(Protocol):
    """``zlib``, or a module with its names."""

    @property
    def error(self) -> type[Exception]: ...
    @property
    def decompressobj(self) -> Callable[..., ZlibStream]: ...


class Decoder(Protocol):
    """Decodes one body."""

    @property
    def pending(self) -> bool:
        """True when ``decode(b"", n)`` may give more bytes."""

    def decode(self, data: bytes, max_length: int) -> bytes:
        """Take ``data`` and return up to ``max_length`` decoded bytes.

        Raises CodingError.
        """

    def finish(self) -> None:
        """The body is complete.  Raises CodingError when the coding is not."""


class GzipDecoder:
    """gzip (RFC 1952).  ``backend``: what decodes."""

    __slots__ = ("_backend", "_full", "_input", "_member", "_members")

    def __init__(self, backend: ZlibModule = zlib) -> None:
        self._backend = backend
        self._member = backend.decompressobj(wbits=_GZIP)
        self._members = 1
        self._input = b""
        self._full = False
        """The last step gave all that it might: zlib may hold more."""

    @property
    def pending(self) -> bool:
        """True when ``decode(b"", n)`` may give more bytes."""
        return bool(self._input) or self._full

    def decode(self, data: bytes, max_length: int) -> bytes:
        """Take ``data`` and return up to ``max_length`` bytes.  Raises CodingError."""
        data = self._input + data if self._input else data
        pieces: list[bytes] = []
        while max_length > 0 and (data or self._full):
            if self._member.eof:
                self._full = False
                data = data.lstrip(b"\0")
                if not data:
                    break
                self._begin_member()
            piece = _decompress(self._backend, self._member, data, max_length)
            self._full = len(piece) == max_length
            pieces.append(piece)
            max_length -= len(piece)
            data = self._member.unused_data if self._member.eof else self._member.unconsumed_tail
        self._input = data
        return b"".join(pieces)

    def finish(self) -> None:
        """Raise CodingError unless the last member is complete."""
        if not self._member.eof:
            raise CodingError("the gzip data ends too early")

    def _begin_member(self) -> None:
        self._members += 1
        if self._members > MAX_MEMBERS:
            raise TooManyMembersError(f"more than {MAX_MEMBERS} gzip members")
        self._member = self._backend.decompressobj(wbits=_GZIP)


class DeflateDecoder:
    """deflate, in the zlib format or bare.  ``backend``: what decodes."""

    __slots__ = ("_backend", "_full", "_input", "_stream")

    def __init__(self, backend: ZlibModule = zlib) -> None:
        self._backend = backend
        self._stream: ZlibStream | None = None
        self._input = b""
        self._full = False

    @property
    def pending(self) -> bool:
        """True when ``decode(b"", n)`` may give more bytes."""
        return self._stream is not None and (bool(self._input) or self._full)

    def decode(self, data: bytes, max_length: int) -> bytes:
        """Take ``data`` and return up to ``max_length`` bytes.  Raises CodingError."""
        data = self._input + data if self._input else data
        stream = self._stream
        if stream is None:
            if len(data) < 2:
                self._input = data
                return b""
            # RFC 1950 section 2.2: method 8, and both bytes a multiple of 31.
            is_zlib = data[0] & 0x0F == 8 and (data[0] << 8 | data[1]) % 31 == 0
            wbits = zlib.MAX_WBITS if is_zlib else -zlib.MAX_WBITS
            stream = self._stream = self._backend.decompressobj(wbits=wbits)
        if stream.eof and data:
            raise CodingError("bytes follow the end of the deflate data")
        piece = _decompress(self._backend, stream, data, max_length)
        self._full = len(piece) == max_length and not stream.eof
        self._input = stream.unconsumed_tail
        if stream.unused_data:
            raise CodingError("bytes follow the end of the deflate data")
        return piece

    def finish(self) -> None:
        """Raise CodingError unless the stream is complete."""
        if self._stream is None or not self._stream.eof:
            raise CodingError("the deflate data ends too early")


def _decompress(backend: ZlibModule, stream: ZlibStream, data: bytes, max_length: int) -> bytes:
    try:
        return stream.decompress(data, max_length)
    except backend.error as error:
        raise CodingError(f"invalid compressed data: {error}") from error


DECODERS: Final[Mapping[str, Callable[[], Decoder]]] = MappingProxyType(
    {
        "deflate": DeflateDecoder,
        "gzip": GzipDecoder,
        "x-gzip": GzipDecoder,
    }
)
"""Decoders by the name of the coding, in lower case."""


def find_decoder(
    content_encoding: str, decoders: Mapping[str, Callable[[], Decoder]] = DECODERS
) -> Decoder | None:
    """Return a decoder for a Content-Encoding of one known coding, else ``None``."""
    name = content_encoding.strip(" \t")
    factory = decoders.get(name.lower()) if name.isascii() else None
    return None if factory is None else factory()
