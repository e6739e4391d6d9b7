"""The version of a message, and what writes a message of HTTP/1.1 to a transport."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple, Protocol

from multidict import CIMultiDict

from plait_engine import LocalProtocolError
from plait_engine.headers import encode, find_bad_value_char
from plait_engine.http1.encoding import prepare_fields

from .abc import AbstractStreamWriter
from .client_exceptions import ClientConnectionResetError
from .compression_utils import ZLibCompressor, make_compressor

__all__ = ("HttpVersion", "HttpVersion10", "HttpVersion11", "HttpVersion20", "StreamWriter")


class HttpVersion(NamedTuple):
    """A protocol version; versions compare as tuples do."""

    major: int
    minor: int


HttpVersion10: Final = HttpVersion(1, 0)
HttpVersion11: Final = HttpVersion(1, 1)
HttpVersion20: Final = HttpVersion(2, 0)

VERSIONS: Final = {"1.0": HttpVersion10, "1.1": HttpVersion11, "2": HttpVersion20}
"""By the engine's name for a version (``events.Request.http_version``)."""

LARGE_BODY: Final = 65536
"""A longer last piece waits for the peer before the end follows (asyncio's high-water mark)."""


class DrainingProtocol(Protocol):
    """What a ``StreamWriter`` needs of a protocol; those of ``asyncio.streams`` have it too."""

    transport: asyncio.Transport | None

    async def _drain_helper(self) -> None:
        """Wait until the transport takes more."""


class StreamWriter(AbstractStreamWriter):
    """Writes one message of HTTP/1.1, a request or a response, to the transport of a protocol.

    For a program that speaks HTTP on a connection of its own.  Plait does not use it: its
    responses are written by ``serving.response_writer.ResponseWriter`` and its requests by
    ``calls``, on the engine, which knows the state of the connection and decides the framing.
    Here the caller does, who keeps to RFC 9112 section 6: ``enable_chunking()`` for a head with
    ``Transfer-Encoding: chunked``, and ``length`` for one with a Content-Length.

    Args:
        protocol: has ``transport``, ``None`` when the connection is gone, and ``_drain_helper()``.
        on_chunk_sent: awaited with each piece of content ahead of it, before compression.
        on_headers_sent: awaited with the fields of the head ahead of it.

    The head waits until ``send_headers``, the first piece of content or the end, so that a
    small message leaves in one piece.  Methods that send raise ClientConnectionResetError when
    the transport is gone or closes.

    ``length``: bytes of content that may still be written, ``None`` without a limit; what is
    beyond them is dropped.  ``output_size``: bytes that were written to the transport, and
    ``buffer_size`` those of them since the last wait for it.  ``on_body_write`` is called with
    the bytes of each piece, before compression, and ``output_size``.
    """

    chunked = False
    _compressor: ZLibCompressor | None = None

    def __init__(
        self,
        protocol: DrainingProtocol,
        loop: asyncio.AbstractEventLoop,
        on_chunk_sent: Callable[[bytes], Awaitable[None]] | None = None,
        on_headers_sent: Callable[[CIMultiDict[str]], Awaitable[None]] | None = None,
    ) -> None:
        self._protocol = protocol
        self._loop = loop
        self._on_chunk_sent = on_chunk_sent
        self._on_headers_sent = on_headers_sent
        self._waiting_head = b""
        self._complete = False
        self.length = None

    @property
    def transport(self) -> asyncio.Transport | None:
        """The transport; ``None`` when it is gone."""
        return self._protocol.transport

    @property
    def protocol(self) -> Any:
        """The protocol."""
        return self._protocol

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop."""
        return self._loop

    def enable_compression(self, encoding: str = "deflate", strategy: int | None = None) -> None:
        """Compress what follows: ``gzip`` or ``deflate``, with zlib's ``strategy``.

        Raises ValueError for another coding.
        """
        self._compressor = make_compressor(encoding, strategy)

    def enable_chunking(self) -> None:
        """Send the content in chunks."""
        self.chunked = True

    async def write_headers(self, status_line: str, headers: CIMultiDict[str]) -> None:
        """Take the head; ``status_line`` is the first line, also that of a request.

        Raises what ``encode_head`` raises.
        """
        if self._on_headers_sent is not None:
            await self._on_headers_sent(headers)
        self._waiting_head = encode_head(status_line, headers)

    def send_headers(self) -> None:
        """Send the head now, if it waits."""
        if self._waiting_head:
            self._write(b"")

    async def write(
        self, chunk: bytes | bytearray | memoryview, *, drain: bool = True, LIMIT: int = LARGE_BODY
    ) -> None:
        """Send a piece of the content.

        Then wait for the transport, if ``drain``, and if more than ``LIMIT`` bytes were written
        since the last wait.  Raises RuntimeError after ``write_eof``.
        """
        if self._complete:
            raise RuntimeError("the body has ended: write() comes before write_eof()")
        data = bytes(chunk)
        if self._on_chunk_sent is not None:
            await self._on_chunk_sent(data)
        size = len(data)
        if self._compressor is not None:
            data = await self._compressor.compress(data)
            if not data:
                self._tell(size)
                return
            data = self._within_length(data)
        else:
            data = self._within_length(data)
            size = len(data)
        if data or self._waiting_head:
            self._write(self._framed(data))
        self._tell(size)
        if drain and self.buffer_size > LIMIT:
            self.buffer_size = 0
            await self.drain()

    async def write_eof(self, chunk: bytes = b"") -> None:
        """Send a last piece and the end, then wait for the transport.  Later calls do nothing."""
        if self._complete:
            return
        data = bytes(chunk)
        if data and self._on_chunk_sent is not None:
            await self._on_chunk_sent(data)
        size = len(data)
        if self._compressor is not None:
            data = await self._compressor.compress(data)
        self._send_end(data)
        self._tell(size)
        await self.drain()

    def set_eof(self) -> None:
        """Send the end, without a last piece.  Later calls do nothing."""
        if not self._complete:
            self._send_end(b"")

    async def drain(self) -> None:
        """Wait until the transport takes more."""
        if self._protocol.transport is not None:
            await self._protocol._drain_helper()

    def _send_end(self, data: bytes) -> None:
        if self._compressor is not None:
            data += self._compressor.flush()
        data = self._framed(self._within_length(data))
        if self.chunked:
            data += b"0\r\n\r\n"
        if data or self._waiting_head:
            self._write(data)
        self._complete = True

    def _within_length(self, data: bytes) -> bytes:
        if self.length is None:
            return data
        data = data[: self.length]
        self.length -= len(data)
        return data

    def _framed(self, data: bytes) -> bytes:
        """Return ``data`` as a chunk, where there are chunks (RFC 9112 section 7.1)."""
        # An empty chunk would be the last one.
        return b"%x\r\n%b\r\n" % (len(data), data) if self.chunked and data else data

    def _write(self, data: bytes) -> None:
        """Write the head, if it waits, and ``data``."""
        transport = self._protocol.transport
        if transport is None or transport.is_closing():
            raise ClientConnectionResetError("Cannot write to closing transport")
        data, self._waiting_head = self._waiting_head + data, b""
        self.buffer_size += len(data)
        self.output_size += len(data)
        transport.write(data)

    def _tell(self, size: int) -> None:
        if size and self.on_body_write is not None:
            self.on_body_write(size, self.output_size)


def encode_head(start_line: str, headers: CIMultiDict[str]) -> bytes:
    """Return the head of a message of HTTP/1.1 (RFC 9112 section 2.1).

    Raises ValueError for a control character, which could split the message (section 11.1),
    a name that is no token, and fields that contradict each other about the framing.
    """
    if any(map(find_bad_value_char, (start_line, *headers.keys(), *headers.values()))):
        raise ValueError("Forbidden control character detected in headers")
    try:
        fields = prepare_fields(tuple(headers.items()))
    except LocalProtocolError as error:
        raise ValueError(f"Forbidden in headers: {error}") from error
    return encode(start_line) + b"\r\n" + fields.block + b"\r\n"
