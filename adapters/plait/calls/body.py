"""Bodies of the client: the request's on its way out, the response's on its way in."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

from multidict import CIMultiDict

from plait.abc import AbstractStreamWriter
from plait.client_exceptions import ClientConnectionResetError, ClientPayloadError
from plait.compression_utils import ZLibCompressor, find_decoder, make_compressor
from plait.http_exceptions import ContentEncodingError
from plait.streams import StreamReader
from plait.transport.body import BodyReader, DecodedBody
from plait_engine import Data, EndOfMessage
from plait_engine.content.codings import CodingError

from .traces import tell_chunk

if TYPE_CHECKING:
    from .exchange import ClientExchange


SLICE: Final = 65536
"""Bytes of a request's body that are given to the engine at once.  When the last slice is
taken, no more than that, and what fits into the transport's buffer, is still to be sent."""


class BodySink(Protocol):
    """Where an exchange puts a body."""

    def feed_data(self, data: bytes, size: int) -> None:
        """Bytes came, and ``size`` is their credit."""

    def feed_eof(self) -> None:
        """The body is complete."""

    def set_exception(self, exc: BaseException) -> None:
        """The body is broken."""


def read_body(exchange: ClientExchange, coding: str, limit: int) -> StreamReader:
    """Return a stream of the response's body without its ``coding``, if that is known.

    ``limit``: the stream's low-water mark.
    """
    decoder = find_decoder(coding)
    if decoder is None:
        plain = BodyReader(exchange, limit, loop=exchange.driver.loop)
        exchange.pour_into(plain)
        return plain

    def fail(reader: StreamReader, error: CodingError) -> None:
        failure = ClientPayloadError(
            f"the content is not in its Content-Encoding, {coding}: {error}"
        )
        reader.set_exception(failure, ContentEncodingError(str(error)))
        exchange.abandon()

    body = DecodedBody(exchange, decoder, limit, fail=fail, loop=exchange.driver.loop)
    reader = body.reader
    exchange.coding = coding
    exchange.pour_into(body)
    return reader


class RequestWriter(AbstractStreamWriter):
    """Writes the body of a request on an exchange.

    Args:
        length: the body's Content-Length, or ``None``.
        encoding: the coding to compress with, or ``None``.
    """

    def __init__(
        self, exchange: ClientExchange, length: int | None = None, encoding: str | None = None
    ) -> None:
        self._exchange = exchange
        self._compressor: ZLibCompressor | None = None
        self._ended = False
        self.length = length
        self.output_size = 0
        if encoding is not None:
            self.enable_compression(encoding)

    @property
    def transport(self) -> asyncio.Transport | None:
        """The transport, shared with other requests on HTTP/2."""
        return self._exchange.driver.transport

    async def write(self, chunk: bytes | bytearray | memoryview) -> None:
        """Send ``chunk``; waits while the server takes no more.

        Raises ClientConnectionResetError when the exchange is over.
        """
        data = bytes(chunk)
        request = self._exchange.request
        if request.traces:
            await tell_chunk(request, data)
        attempt = request.upload_attempt
        size, before = len(data), 0 if attempt is None else attempt.taken
        if self._compressor is not None:
            data = self._compressor.compress_sync(data)
        for end in range(SLICE, len(data) + SLICE, SLICE):
            self._send(data[end - SLICE : end])
            if attempt is not None:
                attempt.taken = before + size * min(end, len(data)) // len(data)
                attempt.measure()
            if not self._ended and not self._exchange.can_send():
                await self._exchange.drain()
        if attempt is not None:
            attempt.taken = before + size

    async def write_eof(self, chunk: bytes = b"") -> None:
        """Send ``chunk`` and end the body."""
        data = bytes(chunk)
        if data and self._exchange.request.traces:
            await tell_chunk(self._exchange.request, data)
        if self._compressor is not None:
            data = self._compressor.compress_sync(data) + self._compressor.flush()
        if data:
            self._send(data)
        if not self._ended:
            self._ended = True
            self._exchange.send(EndOfMessage(self._exchange.stream_id))

    async def drain(self) -> None:
        """Wait until the server takes more."""
        await self._exchange.drain()

    def enable_compression(self, encoding: str = "deflate", strategy: int | None = None) -> None:
        """Compress what follows."""
        self._compressor = make_compressor(encoding, strategy)

    def enable_chunking(self) -> None:
        """Nothing to do: a body without a length is chunked on HTTP/1.1."""

    async def write_headers(self, status_line: str, headers: CIMultiDict[str]) -> None:
        """Not for requests: their head is sent when the exchange begins."""
        raise RuntimeError("the head of the request is already sent")

    def _send(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange.done:
            raise ClientConnectionResetError("Cannot write to closing transport")
        self.output_size += len(data)
        exchange.sent = self.output_size
        if self.length is None or self.output_size < self.length:
            exchange.send(Data(exchange.stream_id, data))
            return
        # The last byte and the end leave together: the server may answer at once, and
        # then the request must be complete.
        self._ended = True
        exchange.send(Data(exchange.stream_id, data), EndOfMessage(exchange.stream_id))
