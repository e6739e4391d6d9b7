"""The body of a message that comes in, as the stream that the application reads.

``BodyReader`` gives the credit of what was taken back to its exchange: the engine stops reading
(HTTP/1.1), or leaves the window closed (HTTP/2), while credit is out.  ``DecodedBody`` does so
for a body whose bytes are decoded on the way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from plait.helpers import DEFAULT_CHUNK_SIZE
from plait.streams import EMPTY_PAYLOAD, StreamReader
from plait_engine.content.body import EncodedBody
from plait_engine.content.codings import CodingError, Decoder
from plait_engine.errors import copy_error

if TYPE_CHECKING:
    from .exchange import Exchange

__all__ = ("BodyReader", "DecodedBody")


class BodyReader(StreamReader):
    """The body of a message that comes in on an exchange.

    Args:
        exchange: gets the credit back.
        limit: the low-water mark that ``get_read_buffer_limits`` tells; the engine
            decides when to stop reading.
        want: called once, before the first wait: the application wants the body (a
            server sends 100 Continue then).
    """

    __slots__ = ("_exchange", "_want")

    def __init__(
        self,
        exchange: Exchange,
        limit: int = DEFAULT_CHUNK_SIZE,
        *,
        loop: asyncio.AbstractEventLoop,
        timer: AbstractContextManager[object] | None = None,
        want: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(None, limit, timer=timer, loop=loop)
        self._exchange: Exchange | None = exchange
        self._want = want

    def _check(self) -> None:
        if self._exception is not None:
            raise copy_error(self._exception)  # It holds the exchange.

    def _took(self, credit: int) -> None:
        if credit and self._exchange is not None:
            self._exchange.acknowledge(credit)

    def _will_wait(self) -> None:
        want, self._want = self._want, None
        if want is not None:
            want()

    def discard(self) -> None:
        """Drop what is buffered and give its credit back."""
        credit = sum(self._credits)
        self._pieces.clear()
        self._credits.clear()
        self._offset = self._size = 0
        self._took(credit)

    def detach(self) -> None:
        """The exchange is over: drop what is buffered, and let go of it."""
        self.discard()
        self._exchange = self._want = None


class _DecodedReader(BodyReader):
    """What is read of a ``DecodedBody``.  Its pieces have no credit: the encoded ones had it."""

    __slots__ = ()

    def _took(self, credit: int) -> None:
        StreamReader._took(self, credit)


class DecodedBody:
    """Decodes the body of a message into ``reader``, as far as somebody reads.

    While the reader is full nothing is decoded (see ``plait_engine.content.body``); so no more
    than the reader's high-water mark and one step is held.

    Args:
        exchange: gets the credit of what was decoded.
        decoder: undoes the coding.
        limit: the reader's low-water mark, and the most that one step decodes.
        fail: called when the bytes cannot be decoded: it breaks the reader.
        want: see ``BodyReader``.
    """

    def __init__(
        self,
        exchange: Exchange,
        decoder: Decoder,
        limit: int,
        *,
        fail: Callable[[StreamReader, CodingError], None],
        loop: asyncio.AbstractEventLoop,
        want: Callable[[], None] | None = None,
    ) -> None:
        reader = _DecodedReader(exchange, limit, loop=loop, want=want)
        reader._protocol = self
        reader.total_compressed_bytes = 0
        self.reader: StreamReader = reader
        """Take it before anything is fed: when all is decoded, it is no longer here."""
        self._exchange = exchange
        self._loop = loop
        self._body = EncodedBody(decoder, limit)
        self._fail = fail
        self._paused = False
        self._running = False

    # -- from the exchange ----------------------------------------------------------

    def feed_data(self, data: bytes, size: int) -> None:
        """Take encoded bytes."""
        self._body.receive_data(data, size)
        self._run()

    def feed_eof(self) -> None:
        """The encoded body is complete."""
        self._body.receive_end()
        self._run()

    def set_exception(self, exc: BaseException, exc_cause: BaseException | None = None) -> None:
        """The encoded body is broken."""
        self._drop()
        self.reader.set_exception(exc, exc_cause)

    def detach(self) -> None:
        """The exchange is over: drop what is buffered."""
        self._drop()
        self._paused = True
        if isinstance(self.reader, _DecodedReader):
            self.reader._protocol = None  # Nothing is decoded any more.
            self.reader.detach()

    # -- from the reader --------------------------------------------------------------

    def pause_reading(self) -> None:
        """The reader is full."""
        self._paused = True

    def resume_reading(self) -> None:
        """The reader has room."""
        # In the next turn: a reader that never has to wait would hold up the loop for as long as
        # a few bytes decode to many.
        self._loop.call_soon(self._resume)

    def _resume(self) -> None:
        if self._paused and self.reader._protocol is self:
            self._paused = False
            self._run()

    # -- decoding -----------------------------------------------------------------------

    def _run(self) -> None:
        if self._running or self.reader.exception() is not None or self.reader.is_eof():
            return
        self._running = True
        try:
            self._decode()
        except CodingError as error:
            self._drop()
            self._fail(self.reader, error)
        finally:
            self._running = False

    def _decode(self) -> None:
        """Decode until the reader is full or nothing is left."""
        body = self._body
        while not self._paused:
            step = body.step()
            self.reader.total_compressed_bytes = body.taken
            if step is None:
                break
            decoded, credit = step
            self._exchange.acknowledge(credit)
            if decoded:
                self.reader.feed_data(decoded)
        if body.complete:
            reader, self.reader = self.reader, EMPTY_PAYLOAD  # No cycle is left behind.
            reader.feed_eof()

    def _drop(self) -> None:
        credit = self._body.clear()
        if credit:
            self._exchange.acknowledge(credit)
