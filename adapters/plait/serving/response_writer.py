"""What writes the response of a server, on the stream that carries it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from multidict import CIMultiDict

from plait.compression_utils import ZLibCompressor
from plait.http_writer import LARGE_BODY, StreamWriter
from plait.transport.waiter import next_turn
from plait_engine import Data, EndOfMessage, Headers, LocalProtocolError, Response
from plait_engine.events import Sendable
from plait_engine.headers import get
from plait_engine.semantics.content import SWITCHING_PROTOCOLS, WITHOUT_CONTENT

if TYPE_CHECKING:
    import asyncio

    from plait.serving.exchange import ServerExchange
    from plait.web_protocol import RequestHandler

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class ResponseWriter(StreamWriter):
    """Writes one response: what ``StreamResponse.prepare`` returns, on either HTTP version.

    To programs it is a ``StreamWriter``, but it sends in another way.  That one writes HTTP/1.1 to
    a transport.  Here the engine writes, on either version: it knows what the request allows, and
    keeps the order of pipelined responses.

    The head waits until ``send_headers``, the first bytes of the body or the end, so that a
    small response leaves in one piece.  How a body is framed is the engine's decision.

    Behind a head with the status 101 the body is what is sent by the other protocol.

    Methods raise ClientConnectionResetError when the client is gone, and LocalProtocolError for
    what the protocol forbids: a field that would split the message, a body that is not as long
    as its Content-Length.  Of one that is longer the client gets what was announced, as a whole
    message.

    ``length``: bytes that Content-Length announces and that were not written yet; ``None``
    without the field.  ``chunked``: ``enable_chunking`` was called.  ``output_size``: bytes of
    body that were written, after compression, and ``buffer_size`` those of them since the
    client was last seen to take more.  ``on_body_write`` is called with the bytes of each
    piece, before compression, and ``output_size``.
    """

    def __init__(self, exchange: ServerExchange) -> None:
        self._exchange = exchange
        self._head: Response | None = None
        """The head that waits."""
        self._compressor: ZLibCompressor | None = None
        self._bodiless = False
        self.length = None

    @property
    def transport(self) -> asyncio.Transport | None:
        """The transport, shared with other streams on HTTP/2; ``None`` when it is gone."""
        return self._exchange.driver.transport

    @property
    def protocol(self) -> RequestHandler:
        """The connection."""
        return self._exchange.handler

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop."""
        return self._exchange.driver.loop

    def set_head(self, status: int, headers: Headers, reason: str | None, *, close: bool) -> None:
        """Take the head of the response, in the place of one that still waits.

        ``close``: end an HTTP/1.1 connection behind the response.
        """
        self._compressor = None
        self._take(status, headers, reason, close)

    def _take(self, status: int, headers: Headers, reason: str | None, close: bool) -> None:
        """Hold a head until it is sent; one that switches protocols does not wait."""
        if status == SWITCHING_PROTOCOLS:
            self._head = None
            self._exchange.switch(get(headers, "upgrade") or "", headers)
            return
        self._head = Response(self._exchange.stream_id, status, headers, reason, close=close)
        self._bodiless = status in WITHOUT_CONTENT
        self.length = next(
            (
                int(value)
                for name, value in headers
                if name.lower() == "content-length" and value.isascii() and value.isdigit()
            ),
            None,
        )

    async def write_headers(self, status_line: str, headers: CIMultiDict[str]) -> None:
        """Take the head; ``status_line`` is one of HTTP/1.1, such as ``HTTP/1.1 200 OK``.

        Raises RuntimeError when there is a head, ValueError when the line is none.
        """
        if self._head is not None or self._exchange.head_sent:
            raise RuntimeError("The headers were sent before")
        _, _, rest = status_line.partition(" ")
        status, _, reason = rest.partition(" ")
        self._take(int(status), tuple(headers.items()), reason or None, False)

    def send_headers(self) -> None:
        """Send the head now, if it waits."""
        head, self._head = self._head, None
        if head is not None:
            self._exchange.send(head)

    def enable_chunking(self) -> None:
        """Send the body without its length; on HTTP/1.1 that means chunks.

        Raises RuntimeError when a head with a Content-Length was sent.
        """
        self.chunked = True
        head = self._head
        if head is None:
            if self.length is not None:
                raise RuntimeError("A head with a Content-Length was sent")
            return
        rest = tuple(pair for pair in head.headers if pair[0].lower() != "content-length")
        self._head = replace(head, headers=rest)
        self.length = None
        self.send_headers()

    async def write(
        self, chunk: bytes | bytearray | memoryview, *, drain: bool = True, LIMIT: int = LARGE_BODY
    ) -> None:
        """Send a piece of the body; then wait until the client takes more, if ``drain``.

        Ahead of the head, ``HTTP/1.1 100 Continue`` and an empty line asks for the content, on
        either HTTP version: an ``expect_handler`` writes that.

        Raises RuntimeError after ``write_eof``.  ``LIMIT`` is for compatibility.
        """
        if self._exchange.complete:
            raise RuntimeError("the body has ended: write() comes before write_eof()")
        if chunk == _CONTINUE and self._head is None and not self._exchange.head_sent:
            self._exchange.inform(100)
            return
        if self._bodiless:
            return
        data = chunk if type(chunk) is bytes else bytes(chunk)
        if self._compressor is not None:
            await self._write_compressed(self._compressor, data, drain)
        elif data:
            takes_more = self._send(data, data)
            if drain:
                await self._let_drain(takes_more)

    async def _write_compressed(self, compressor: ZLibCompressor, raw: bytes, drain: bool) -> None:
        # In slices, so that compressing a long piece holds up nobody else for long.
        for start in range(0, len(raw), LARGE_BODY):
            if start:
                await next_turn()
            piece = raw[start : start + LARGE_BODY]
            takes_more = self._send(compressor.compress_sync(piece), piece)
            if drain:
                await self._let_drain(takes_more)

    def _send(self, data: bytes, raw: bytes) -> bool:
        """Send ``data``, which is ``raw`` after compression; tell whether the stream takes more."""
        takes_more = True
        if data:
            self.send_headers()
            try:
                takes_more = self._exchange.send_data(data)
            except LocalProtocolError:
                self._end_as_announced(data)
                raise
        self._count(len(data), len(raw))
        return takes_more

    def _end_as_announced(self, data: bytes) -> None:
        """If ``data`` is more than Content-Length announces, send the part that it does."""
        if self.length is not None and len(data) > self.length:
            self._end(data[: self.length], b"", ())

    async def _let_drain(self, takes_more: bool) -> None:
        if not takes_more:
            await self._exchange.drain()
        self.buffer_size = 0

    async def send_file(self, file: int, offset: int, size: int) -> bool:
        """Let the kernel send a part of an open file as a piece of the body.

        Returns false, with nothing of it sent, where only ``write`` can do that.  Raises what
        ``Driver.send_file`` raises.
        """
        if self._compressor is not None:
            return False
        self.send_headers()
        sent = await self._exchange.send_file(file, offset, size)
        if sent:
            self._count(size, size)
        return sent

    async def write_eof(self, chunk: bytes = b"", *, trailers: Headers = ()) -> None:
        """Send a last piece, ``trailers`` and the end.  Later calls do nothing."""
        if self._exchange.complete:
            return
        data = chunk = b"" if self._bodiless else bytes(chunk)
        if self._compressor is not None:
            if len(chunk) > LARGE_BODY:
                await self.write(chunk)
                chunk = b""
            data = self._compressor.compress_sync(chunk) + self._compressor.flush()
            self._compressor = None
        try:
            if len(data) > LARGE_BODY:
                self._exchange.send(*self._take_head(), Data(self._exchange.stream_id, data))
                self._count(len(data), len(chunk))
                await self._exchange.drain()
                data = chunk = b""
            self._end(data, chunk, trailers)
        except LocalProtocolError:
            if self._exchange.head_sent:
                self._end_as_announced(data)
            raise

    def set_eof(self) -> None:
        """End the body without a last piece.  Later calls do nothing."""
        if not self._exchange.complete:
            self._end(b"" if self._compressor is None else self._compressor.flush(), b"", ())

    def _take_head(self) -> list[Sendable]:
        head, self._head = self._head, None
        return [] if head is None else [head]

    def _end(self, data: bytes, raw: bytes, trailers: Headers) -> None:
        """Send what waits, ``data``, which is ``raw`` after compression, and the end."""
        stream_id = self._exchange.stream_id
        end = EndOfMessage(stream_id, trailers)
        self._exchange.send(*self._take_head(), Data(stream_id, data), end)
        self._count(len(data), len(raw))

    async def drain(self) -> None:
        """Wait until the client takes more."""
        if not self._exchange.complete:
            await self._exchange.drain()
        self.buffer_size = 0

    def _count(self, size: int, raw_size: int) -> None:
        """Count ``size`` bytes of body that were sent, ``raw_size`` before compression."""
        self.output_size += size
        self.buffer_size += size
        if self.length is not None:
            self.length -= size
        if raw_size and self.on_body_write is not None:
            self.on_body_write(raw_size, self.output_size)
