"""Content codings of the adapters: zlib's, by any library that has zlib's names, and those of
optional packages.

``br`` needs Brotli 1.2 or newer, the first whose output can be bounded; ``zstd`` needs
Python 3.14 or ``backports.zstd``.  What is there is offered by the client in Accept-Encoding,
and decoded by the server in requests.

``set_zlib_backend`` chooses what compresses and decompresses gzip and deflate: ``zlib``, or a
faster module such as ``isal.isal_zlib`` or ``zlib_ng.zlib_ng``.

The decoders are machines without I/O (``plait_engine.content.codings``).  ``ZLibDecompressor``
and its like are these under the names and with the methods that aiohttp has for them.
"""

from __future__ import annotations

import asyncio
import importlib
import sys
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from types import ModuleType
from typing import Any, Final, Protocol

from plait_engine.content import codings
from plait_engine.content.codings import MAX_MEMBERS as MAX_DECOMPRESS_MEMBERS
from plait_engine.content.codings import (
    CodingError,
    Decoder,
    DeflateDecoder,
    GzipDecoder,
    TooManyMembersError,
    ZlibStream,
)

MAX_SYNC_CHUNK_SIZE: Final = 4096
"""Bytes; of more than these an executor takes care, where one is used."""


def _import(*names: str) -> ModuleType | None:
    for name in names:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


_brotli = _import("brotli", "brotlicffi")
_zstd = _import("compression.zstd", "backports.zstd")

HAS_BROTLI: Final = _brotli is not None and hasattr(_brotli.Decompressor, "can_accept_more_data")
HAS_ZSTD: Final = _zstd is not None


# -- what compresses ------------------------------------------------------------------------


class ZLibCompressObjProtocol(Protocol):
    """Encodes one stream, as ``zlib.compressobj()`` does."""

    def compress(self, data: bytes, /) -> bytes:
        """Take ``data`` and return what is encoded by now."""

    def flush(self, mode: int = ..., /) -> bytes:
        """Return the rest."""


ZLibDecompressObjProtocol = ZlibStream


class ZLibBackendProtocol(Protocol):
    """A module with zlib's names."""

    MAX_WBITS: int
    Z_FULL_FLUSH: int
    Z_SYNC_FLUSH: int
    Z_BEST_SPEED: int
    Z_FINISH: int

    @property
    def error(self) -> type[Exception]: ...
    @property
    def compressobj(self) -> Callable[..., ZLibCompressObjProtocol]: ...
    @property
    def decompressobj(self) -> Callable[..., ZlibStream]: ...
    @property
    def compress(self) -> Callable[..., bytes]: ...
    @property
    def decompress(self) -> Callable[..., bytes]: ...


class ZLibBackendWrapper:
    """The module in use; it has all names of that."""

    def __init__(self, _zlib_backend: ZLibBackendProtocol) -> None:
        self._zlib_backend = _zlib_backend

    @property
    def name(self) -> str:
        """The name of the module in use."""
        return getattr(self._zlib_backend, "__name__", "undefined")

    def __getattr__(self, name: str) -> Any:  # whatever the module has
        return getattr(self._zlib_backend, name)


ZLibBackend: Final = ZLibBackendWrapper(zlib)


def set_zlib_backend(new_zlib_backend: ZLibBackendProtocol) -> None:
    """Let ``new_zlib_backend``, a module with zlib's names, encode and decode gzip and deflate."""
    ZLibBackend._zlib_backend = new_zlib_backend


# -- compressing ----------------------------------------------------------------------------

COMPRESSORS: Final = frozenset({"gzip", "deflate"})
"""The codings that can be made."""


def encoding_to_mode(encoding: str | None = None, suppress_deflate_header: bool = False) -> int:
    """Return zlib's ``wbits`` for gzip, or for deflate: in the zlib format, or bare."""
    bits: int = ZLibBackend.MAX_WBITS
    if encoding == "gzip":
        return 16 + bits
    return -bits if suppress_deflate_header else bits


class ZLibCompressor:
    """Encodes one stream.

    Args:
        encoding: ``gzip``; else it is deflate.
        suppress_deflate_header: bare deflate.
        level, wbits, strategy: zlib's; by default those of the backend.
        executor: what compresses pieces of more than ``max_sync_chunk_size`` bytes, by
            default the loop's; ``None`` of these: it is never used.
    """

    def __init__(
        self,
        encoding: str | None = None,
        suppress_deflate_header: bool = False,
        level: int | None = None,
        wbits: int | None = None,
        strategy: int | None = None,
        executor: Executor | None = None,
        max_sync_chunk_size: int | None = MAX_SYNC_CHUNK_SIZE,
    ) -> None:
        self._executor = executor
        self._max_sync_chunk_size = max_sync_chunk_size
        if wbits is None:
            wbits = encoding_to_mode(encoding, suppress_deflate_header)
        given = {"wbits": wbits, "strategy": strategy, "level": level}
        options = {name: value for name, value in given.items() if value is not None}
        self._compressor: ZLibCompressObjProtocol = ZLibBackend.compressobj(**options)
        self._finish: int = ZLibBackend.Z_FINISH

    def compress_sync(self, data: bytes) -> bytes:
        """Take ``data`` and return what is encoded by now, perhaps nothing."""
        return self._compressor.compress(data)

    async def compress(self, data: bytes) -> bytes:
        """Do that in the executor, if ``data`` is long.

        Whoever cancels it has lost what ``data`` became, and cannot go on with the stream.
        """
        return await _run(self.compress_sync, data, self._executor, self._max_sync_chunk_size)

    def flush(self, mode: int | None = None) -> bytes:
        """Return the rest, by default with the end of the stream."""
        return self._compressor.flush(self._finish if mode is None else mode)


async def _run(
    work: Callable[[bytes], bytes], data: bytes, executor: Executor | None, max_sync: int | None
) -> bytes:
    if max_sync is not None and len(data) > max_sync:
        return await asyncio.get_running_loop().run_in_executor(executor, work, data)
    return work(data)


def make_compressor(encoding: str, strategy: int | None = None) -> ZLibCompressor:
    """Return what encodes as ``encoding``, one of ``COMPRESSORS``.

    ``strategy``: zlib's, its default for ``None``.  Raises ValueError for another encoding.
    """
    if encoding not in COMPRESSORS:
        raise ValueError(f"{encoding!r} is no coding to compress with")
    return ZLibCompressor(encoding, strategy=strategy)


# -- decompressing --------------------------------------------------------------------------


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
        if self._frames > MAX_DECOMPRESS_MEMBERS:
            raise TooManyMembersError(f"more than {MAX_DECOMPRESS_MEMBERS} zstd frames")
        self._stream = _zstd.ZstdDecompressor()  # type: ignore[union-attr]  # see below


_gzip: Final = partial(GzipDecoder, ZLibBackend)

DECODERS: Final[dict[str, Callable[[], Decoder]]] = {
    "deflate": partial(DeflateDecoder, ZLibBackend),
    "gzip": _gzip,
    "x-gzip": _gzip,
}
"""Decoders by the name of the coding: the engine's and, of those above, the ones whose
packages are installed."""

if HAS_BROTLI:
    DECODERS["br"] = BrotliDecoder
if HAS_ZSTD:
    DECODERS["zstd"] = ZstdDecoder

ACCEPT_ENCODING: Final = ", ".join(
    name for name in ("gzip", "deflate", "br", "zstd") if name in DECODERS
)
"""What the client offers."""


def find_decoder(content_encoding: str) -> Decoder | None:
    """Return a decoder for a Content-Encoding of one known coding, else ``None``."""
    return codings.find_decoder(content_encoding, DECODERS)


class DecompressionBaseHandler(ABC):
    """A decoder by aiohttp's names.

    Args:
        executor: what decodes pieces of more than ``max_sync_chunk_size`` bytes, by default
            the loop's; ``None`` of these: it is never used.

    Methods raise zlib.error for bytes that are not what they should be, and TooManyMembersError.
    """

    def __init__(
        self,
        executor: Executor | None = None,
        max_sync_chunk_size: int | None = MAX_SYNC_CHUNK_SIZE,
    ) -> None:
        self._executor = executor
        self._max_sync_chunk_size = max_sync_chunk_size
        self._decoder = self._make_decoder()

    @abstractmethod
    def _make_decoder(self) -> Decoder:
        """Return what decodes."""

    def decompress_sync(self, data: bytes, max_length: int = 0) -> bytes:
        """Take ``data`` and return up to ``max_length`` bytes; 0: all."""
        try:
            return self._decoder.decode(bytes(data), max_length or sys.maxsize)
        except TooManyMembersError:
            raise
        except CodingError as error:
            raise zlib.error(str(error)) from error

    async def decompress(self, data: bytes, max_length: int = 0) -> bytes:
        """Do that in the executor, if ``data`` is long."""
        work = partial(self.decompress_sync, max_length=max_length)
        return await _run(work, data, self._executor, self._max_sync_chunk_size)

    def flush(self, length: int = 0) -> bytes:
        """Return what was not asked for yet, ``length`` bytes at most; 0: all."""
        return self.decompress_sync(b"", length) if self.data_available else b""

    @property
    def data_available(self) -> bool:
        """True when ``decompress_sync(b"")`` may give more bytes."""
        return self._decoder.pending


class ZLibDecompressor(DecompressionBaseHandler):
    """Decodes gzip, or deflate in the zlib format or bare: the first bytes tell which."""

    def __init__(
        self,
        encoding: str | None = None,
        suppress_deflate_header: bool = False,
        executor: Executor | None = None,
        max_sync_chunk_size: int | None = MAX_SYNC_CHUNK_SIZE,
    ) -> None:
        self._encoding = encoding
        super().__init__(executor, max_sync_chunk_size)

    def _make_decoder(self) -> Decoder:
        return DECODERS["gzip" if self._encoding == "gzip" else "deflate"]()

    @property
    def eof(self) -> bool:
        """True when the stream is complete; gzip may go on with another member."""
        try:
            self._decoder.finish()
        except CodingError:
            return False
        return True


class BrotliDecompressor(DecompressionBaseHandler):
    """Decodes br.  Raises RuntimeError without its package."""

    def _make_decoder(self) -> Decoder:
        if not HAS_BROTLI:
            raise RuntimeError("br cannot be decoded: the package Brotli 1.2 is not installed")
        return BrotliDecoder()


class ZSTDDecompressor(DecompressionBaseHandler):
    """Decodes zstd.  Raises RuntimeError without its package."""

    def _make_decoder(self) -> Decoder:
        if not HAS_ZSTD:
            raise RuntimeError("zstd cannot be decoded: backports.zstd is not installed")
        return ZstdDecoder()
