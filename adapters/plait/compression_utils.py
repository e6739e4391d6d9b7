"""Content codings of the adapters: those of the engine, and those of optional packages.

``br`` needs Brotli 1.2 or newer, the first whose output can be bounded; ``zstd`` needs
Python 3.14 or ``backports.zstd``.  What is there is offered by the client in Accept-Encoding.
"""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final

from plait_engine.content import codings
from plait_engine.content.codings import MAX_MEMBERS, CodingError, Decoder


def _import(*names: str) -> ModuleType | None:
    for name in names:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


_brotli = _import("brotli", "brotlicffi")
_zstd = _import("compression.zstd", "backports.zstd")


class BrotliDecoder:
    """br (RFC 7932)."""

    __slots__ = ("_more", "_stream")

    def __init__(self) -> None:
        # The package has no types: Any.
        self._stream: Any = _brotli.Decompressor()  # type: ignore[union-attr]  # see below
        self._more = False
        """The last step gave something.  The stream may hold more of it even where it says
        that it can take more data."""

    @property
    def pending(self) -> bool:
        """True when ``decode(b"", n)`` may give more bytes."""
        return self._more or not self._stream.can_accept_more_data()

    def decode(self, data: bytes, max_length: int) -> bytes:
        """Take ``data`` and return about ``max_length`` bytes.  Raises CodingError."""
        try:
            raw: bytes = self._stream.process(data, output_buffer_limit=max_length)
        except Exception as error:
            raise CodingError(f"invalid compressed data: {error}") from error
        self._more = bool(raw) and not self._stream.is_finished()
        return raw

    def finish(self) -> None:
        """Raise CodingError unless the stream is complete."""
        if not self._stream.is_finished():
            raise CodingError("the br data ends too early")


class ZstdDecoder:
    """zstd (RFC 8878).  Frames may follow each other."""

    __slots__ = ("_frames", "_input", "_stream")

    def __init__(self) -> None:
        # Only newer Pythons have the module: Any.
        self._stream: Any = _zstd.ZstdDecompressor()  # type: ignore[union-attr]  # see below
        self._frames = 1
        self._input = b""

    @property
    def pending(self) -> bool:
        """True when ``decode(b"", n)`` may give more bytes."""
        return bool(self._input) or not (self._stream.needs_input or self._stream.eof)

    def decode(self, data: bytes, max_length: int) -> bytes:
        """Take ``data`` and return up to ``max_length`` bytes.  Raises CodingError."""
        data = self._input + data if self._input else data
        pieces = []
        while max_length > 0 and (data or self.pending):
            if self._stream.eof:
                self._begin_frame()
            try:
                piece: bytes = self._stream.decompress(data, max_length)
            except Exception as error:
                raise CodingError(f"invalid compressed data: {error}") from error
            pieces.append(piece)
            max_length -= len(piece)
            self._input = data = self._stream.unused_data if self._stream.eof else b""
            if not piece and not data:
                break
        self._input = data
        return b"".join(pieces)

    def finish(self) -> None:
        """Raise CodingError unless the last frame is complete."""
        if not self._stream.eof:
            raise CodingError("the zstd data ends too early")

    def _begin_frame(self) -> None:
        self._frames += 1
        if self._frames > MAX_MEMBERS:
            raise CodingError(f"more than {MAX_MEMBERS} zstd frames")
        self._stream = _zstd.ZstdDecompressor()  # type: ignore[union-attr]  # see below


DECODERS: Final[dict[str, Callable[[], Decoder]]] = dict(codings.DECODERS)
"""Decoders by the name of the coding: the engine's and, of those above, the ones whose
packages are installed."""

if _brotli is not None and hasattr(_brotli.Decompressor, "can_accept_more_data"):
    DECODERS["br"] = BrotliDecoder
if _zstd is not None:
    DECODERS["zstd"] = ZstdDecoder

ACCEPT_ENCODING: Final = ", ".join(
    name for name in ("gzip", "deflate", "br", "zstd") if name in DECODERS
)
"""What the client offers."""


def find_decoder(content_encoding: str) -> Decoder | None:
    """Return a decoder for a Content-Encoding of one known coding, else ``None``."""
    return codings.find_decoder(content_encoding, DECODERS)


COMPRESSORS: Final = {"gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
"""What can be made, and how zlib is told so (its ``wbits``)."""


def make_compressor(encoding: str, strategy: int | None = None) -> zlib._Compress:
    """Return a stream that encodes as ``encoding``, one of ``COMPRESSORS``.

    ``strategy``: zlib's, its default for ``None``.  Raises KeyError for another encoding.
    """
    return zlib.compressobj(
        wbits=COMPRESSORS[encoding],
        strategy=zlib.Z_DEFAULT_STRATEGY if strategy is None else strategy,
    )
