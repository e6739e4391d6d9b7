"""The version of a message, and what writes the response of a server piece by piece."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from plait_engine import Data, EndOfMessage, Headers, Response
from plait_engine.events import Sendable
from plait_engine.semantics.content import WITHOUT_CONTENT

from .abc import AbstractStreamWriter
from .compression_utils import make_compressor

if TYPE_CHECKING:
    from multidict import CIMultiDict

    from .web_protocol import ServerExchange

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


class StreamWriter(AbstractStreamWriter):
    """Writes one response: what ``StreamResponse.prepare`` returns, on either HTTP version.

    The head waits until ``send_headers`` or the first bytes of the body, so that a small
    response leaves in one piece.  How a body is framed is the engine's decision.

    Methods raise ClientConnectionResetError when the client is gone, and LocalProtocolError for
    what the protocol forbids: a field that would split the message, a body that is not as long
    as its Content-Length.

    ``length``: bytes that Content-Length announces and that were not written yet; ``None``
    without the field.  ``output_size``: bytes of body that were written, after compression.
    """

    def __init__(self, exchange: ServerExchange) -> None:
        self._exchange = exchange
        self._head: Response | None = None
        """The head that waits."""
        self._compressor: zlib._Compress | None = None
        self._bodiless = False
        self.length = None

    def set_head(self, status: int, headers: Headers, reason: str | None, *, close: bool) -> None:
        """Take the head of the response.

        ``close``: end an HTTP/1.1 connection behind the response.
        """
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
        """Send the head; ``status_line`` is one of HTTP/1.1, such as ``HTTP/1.1 200 OK``.

        Raises RuntimeError when there is a head, ValueError when the line is none.
        """
        if self._head is not None or self._exchange.head_sent:
            raise RuntimeError("The headers were sent before")
        _, _, rest = status_line.partition(" ")
        status, _, reason = rest.partition(" ")
        self.set_head(int(status), tuple(headers.items()), reason or None, close=False)
        self.send_headers()

    def send_headers(self) -> None:
        """Send the head now, if it waits."""
        head, self._head = self._head, None
        if head is not None:
            self._exchange.send(head)

    def enable_compression(self, encoding: str = "deflate", strategy: int | None = None) -> None:
        """Compress what follows: ``gzip`` or ``deflate``, with zlib's ``strategy``.

        Raises KeyError for another coding.
        """
        self._compressor = make_compressor(encoding, strategy)

    def enable_chunking(self) -> None:
        """Send the body without its length; on HTTP/1.1 that means chunks.

        Raises RuntimeError when a head with a Content-Length was sent.
        """
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

        Raises RuntimeError after ``write_eof``.  ``LIMIT`` is for compatibility.
        """
        if self._exchange.complete:
            raise RuntimeError("Cannot call write() after write_eof()")
        if self._bodiless:
            return
        data = chunk if type(chunk) is bytes else bytes(chunk)
        if self._compressor is not None:
            data = self._compressor.compress(data)
        if not data:
            return
        if self._head is not None:
            self.send_headers()
        takes_more = self._exchange.send_data(data)
        self._count(len(data))
        if drain and not takes_more:
            await self._exchange.drain()

    async def write_eof(self, chunk: bytes = b"", *, trailers: Headers = ()) -> None:
        """Send a last piece, ``trailers`` and the end.  Later calls do nothing."""
        if self._exchange.complete:
            return
        data = chunk
        if self._bodiless:
            data = b""
        elif self._compressor is not None:
            data = self._compressor.compress(data) + self._compressor.flush()
            self._compressor = None
        exchange = self._exchange
        head, self._head = self._head, None
        piece = Data(exchange.stream_id, data)
        events: list[Sendable] = [piece] if head is None else [head, piece]
        if len(data) > LARGE_BODY:
            exchange.send(*events)
            events.clear()
            await exchange.drain()
        exchange.send(*events, EndOfMessage(exchange.stream_id, trailers))
        self._count(len(data))

    async def drain(self) -> None:
        """Wait until the client takes more."""
        if not self._exchange.complete:
            await self._exchange.drain()

    def _count(self, size: int) -> None:
        self.output_size += size
        if self.length is not None:
            self.length -= size
