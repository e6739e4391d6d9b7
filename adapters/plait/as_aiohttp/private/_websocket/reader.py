"""``aiohttp._websocket.reader``: bytes of the caller's to messages, and the queue for them."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final

from plait.http_websocket import WebSocketError, WSMessage, WSMessageTextBytes, WSMsgType
from plait.streams import EofStream
from plait_engine import RemoteProtocolError
from plait_engine.websocket.deflate import MAX_WINDOW_BITS, Inflater
from plait_engine.websocket.events import BytesMessage, TextMessage, WebSocketEvent
from plait_engine.websocket.frames import MASKED, is_wire_close_code
from plait_engine.websocket.reader import MessageReader, fault

if TYPE_CHECKING:
    from plait.as_aiohttp.private.base_protocol import BaseProtocol

__all__ = ("WebSocketDataQueue", "WebSocketReader")

_MESSAGE_COST: Final = 128
"""What a message counts at least, so that many small ones are many bytes too."""


class WebSocketDataQueue:
    """Messages that wait for ``read``; a ``protocol`` whose reader is slow stops reading.

    ``limit``: half the bytes that may wait.
    """

    def __init__(
        self, protocol: BaseProtocol, limit: int, *, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._protocol = protocol
        self._limit = limit * 2
        self._loop = loop
        self._size = 0
        self._messages: deque[tuple[WSMessage | WSMessageTextBytes, int]] = deque()
        self._eof = False
        self._exception: BaseException | None = None
        self._waiter: asyncio.Future[None] | None = None

    def is_eof(self) -> bool:
        """Tell whether nothing more comes."""
        return self._eof

    def exception(self) -> BaseException | None:
        """Return why nothing more comes, if that is a failure."""
        return self._exception

    def set_exception(self, exc: BaseException, exc_cause: BaseException | None = None) -> None:
        """Nothing more comes, because of ``exc``: ``read`` raises it behind the last message."""
        if exc_cause is not None:
            exc.__cause__ = exc_cause
        self._eof = True
        self._exception = exc
        self._wake()

    def feed_eof(self) -> None:
        """Nothing more comes."""
        self._eof = True
        self._exception = None
        self._wake()

    def feed_data(self, data: WSMessage | WSMessageTextBytes, size: int) -> None:
        """Add a message of ``size`` bytes."""
        self._messages.append((data, size + _MESSAGE_COST))
        self._size += size + _MESSAGE_COST
        self._wake()
        if self._size > self._limit and not self._protocol._reading_paused:
            self._protocol.pause_reading()

    async def read(self) -> WSMessage | WSMessageTextBytes:
        """Return the next message.  Raises EofStream behind the last one, or the exception."""
        while not self._messages and not self._eof:
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        if not self._messages:
            raise self._exception or EofStream
        message, cost = self._messages.popleft()
        self._size -= cost
        if self._size < self._limit and self._protocol._reading_paused:
            self._protocol.resume_reading()
        return message

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class WebSocketReader:
    """Parses what a peer sends, and gives the messages to ``queue``.

    Args:
        max_msg_size: bytes of a message; 0: any number.
        compress: accept permessage-deflate.
        decode_text: give texts as ``str``, not as ``bytes``.

    The first frame decides whether the peer masks.
    """

    def __init__(
        self,
        queue: WebSocketDataQueue,
        max_msg_size: int,
        compress: bool = True,
        decode_text: bool = True,
    ) -> None:
        self.queue = queue
        self._max_size = max_msg_size
        self._inflater = Inflater(MAX_WINDOW_BITS, True) if compress else None
        self._decode_text = decode_text
        self._begin = b""
        self._reader: MessageReader | None = None
        self._messages: list[WebSocketEvent] = []
        self._failure: WebSocketError | None = None

    def feed_eof(self) -> None:
        """The peer sends no more."""
        self.queue.feed_eof()

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Parse ``data``; tell whether the peer broke the protocol, and what it sent then."""
        if self._failure is not None:
            return True, bytes(data)
        try:
            self._feed(data)
        except RemoteProtocolError as error:
            self._failure = WebSocketError(error.code, str(error))
            self.queue.set_exception(self._failure)
            return True, b""
        return False, b""

    def _feed(self, data: bytes) -> None:
        if self._reader is None:
            data = self._begin + data
            if len(data) < 2:
                self._begin = data
                return
            self._reader = MessageReader(
                self._messages,
                self._receive_control,
                masked=bool(data[1] & MASKED),
                max_message_size=self._max_size,
                max_fragments=0,
                inflater=self._inflater,
                decode_text=self._decode_text,
            )
        try:
            self._reader.feed(data)
        finally:
            self._deliver()

    def _receive_control(self, opcode: int, payload: bytes) -> None:
        self._deliver()  # What came before it.
        kind = WSMsgType(opcode)
        if kind is not WSMsgType.CLOSE:
            message = WSMessage(kind, payload, "")
        else:
            code = int.from_bytes(payload[:2])
            if payload and not is_wire_close_code(code):
                raise fault(1002, "a Close frame has no valid code")
            try:
                message = WSMessage(kind, code, payload[2:].decode())
            except UnicodeDecodeError as error:
                raise fault(1007, "a close reason is not UTF-8") from error
        self.queue.feed_data(message, len(payload))

    def _deliver(self) -> None:
        for event in self._messages:
            if isinstance(event, TextMessage):
                shape = WSMessage if self._decode_text else WSMessageTextBytes
                self.queue.feed_data(shape(WSMsgType.TEXT, event.data, ""), len(event.data))
            elif isinstance(event, BytesMessage):
                self.queue.feed_data(WSMessage(WSMsgType.BINARY, event.data, ""), len(event.data))
        self._messages.clear()
