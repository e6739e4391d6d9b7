"""What a server's and a client's WebSocket have in common for the application.

``WebSocketBase`` has the methods; ``WebSocketResponse`` and ``ClientWebSocketResponse`` add
the handshake of their side and the few differences.  Below is ``websocket.exchange``.

Rules
-----
* The engine alone knows whether and why the WebSocket is closed
  (``WebSocketConnection.closed`` and ``close_code``).
* One task receives at a time; any task may send or close meanwhile.  ``close()`` makes a
  ``receive()`` that waits return CLOSING.
* ``receive()`` returns messages in order, then CLOSE once if the peer closed, ERROR if it
  broke the protocol or did not answer a ping, and CLOSED from then on.
* ``close_code`` is the peer's close code (0 when it gave none), or that of a failure, 1006
  when the connection just ended.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, Generic, Literal, NoReturn, Self, overload

from plait.client_exceptions import ClientConnectionResetError, WSMessageTypeError
from plait.http_websocket import (
    WS_CLOSED_MESSAGE,
    WS_CLOSING_MESSAGE,
    WebSocketError,
    WSCloseCode,
    WSMessage,
    WSMessageDecodeText,
    WSMessageNoDecodeText,
    WSMessageTextBytes,
    WSMsgType,
)
from plait.serving.blame import blame_peer
from plait_engine import LocalProtocolError
from plait_engine.websocket import (
    BytesMessage,
    CloseCode,
    Ping,
    Pong,
    PongTimeout,
    TextMessage,
    WebSocketClose,
    WebSocketEvent,
    WebSocketState,
)

from .exchange import WebSocketExchange

if TYPE_CHECKING:
    # typing's own takes a default from Python 3.13 on.
    from typing_extensions import TypeVar

    DecodeText = TypeVar("DecodeText", bound=bool, covariant=True, default=Literal[True])
else:
    from typing import TypeVar

    DecodeText = TypeVar("DecodeText", bound=bool, covariant=True)
"""``Literal[True]`` where TEXT comes as ``str``, ``Literal[False]`` where as ``bytes``."""

DEFLATE_LEVEL: Final = 1
"""zlib's level for messages: half the time of its default for the same size of small JSON."""

_TEXT: Final = WSMsgType.TEXT
_BINARY: Final = WSMsgType.BINARY
# A named tuple's own ``__new__`` takes twice the time.
_new: Final[Callable[..., WSMessage]] = tuple.__new__


class WebSocketBase(Generic[DecodeText]):
    """The methods of a WebSocket.  Subclasses set ``_stream`` when the handshake is done."""

    _stream: WebSocketExchange | None = None
    _waiting = False
    """A task is in ``receive``."""
    _early_code: int | None = None
    """What ``close_code`` is before the peer's Close frame has come."""
    _exception: BaseException | None = None
    _interrupted_code: int | None = None
    """What ``close_code`` is for a ``receive`` that ``close`` of another task ended; the
    peer's answer may change it."""
    _interrupted: WSMessage = WS_CLOSING_MESSAGE
    """What that ``receive`` returns."""
    _close_done: asyncio.Event | None = None
    """Set when the ``close()`` that waits for the peer is through."""

    _receive_timeout: float | None
    _autoping: bool

    def _open_stream(self, stream: WebSocketExchange) -> None:
        """The handshake is done: from now on there is something to send to."""
        self._stream = stream
        stream.on_go_away = lambda: self._close(WSCloseCode.GOING_AWAY, b"", True)
        stream.start()

    def _opened(self) -> WebSocketExchange:
        if self._stream is None:
            raise RuntimeError("the WebSocket has not started: await prepare() first")
        return self._stream

    # -- state -------------------------------------------------------------------------

    @property
    def closed(self) -> bool:
        """True when this side is done: it closed, answered a close, or lost the peer."""
        return self._stream is not None and self._stream.connection.closed

    @property
    def close_code(self) -> int | None:
        """Why the WebSocket ended (RFC 6455 section 7.1.5); ``None`` while it has not."""
        code = None if self._stream is None else self._stream.connection.close_code
        if code is None:
            return self._early_code
        if code == WSCloseCode.ABNORMAL_CLOSURE:
            return WSCloseCode.ABNORMAL_CLOSURE  # Programs ask whether it is this object.
        return 0 if code == CloseCode.NO_STATUS else code

    def exception(self) -> BaseException | None:
        """Return what went wrong, or ``None``."""
        if self._exception is None and self._stream is not None:
            lost = self._stream.connection.lost
            if isinstance(lost, PongTimeout):
                self._exception = self._timeout_error(lost)
        return self._exception

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what the transport knows under ``name`` (``asyncio.BaseTransport``)."""
        if self._stream is None:
            return default
        return self._stream.driver.get_extra_info(name, default)

    # -- sending -----------------------------------------------------------------------

    async def send_str(self, data: str, compress: int | None = None) -> None:
        """Send a TEXT message.

        ``compress``: 0 sends it as it is, another number compresses it where the handshake
        agreed on compression; ``None`` (default): what was agreed.  Raises TypeError if
        ``data`` is no ``str``, ClientConnectionResetError when the WebSocket is closing.
        """
        if not isinstance(data, str):
            raise TypeError(f"data must be a str, not {type(data).__name__}")
        stream = self._stream or self._opened()
        try:
            full = not stream.send_message(data, compress if compress is None else compress > 0)
        except LocalProtocolError as error:
            self._raise_refusal(error)
        if full:
            await self._drain()

    async def send_bytes(self, data: bytes, compress: int | None = None) -> None:
        """Send a BINARY message: ``bytes``, ``bytearray`` or ``memoryview``; see ``send_str``."""
        if type(data) is not bytes:
            data = _bytes(data)
        stream = self._stream or self._opened()
        try:
            full = not stream.send_message(data, compress if compress is None else compress > 0)
        except LocalProtocolError as error:
            self._raise_refusal(error)
        if full:
            await self._drain()

    async def send_json(
        self,
        data: Any,
        compress: int | None = None,
        *,
        dumps: Callable[[Any], str] = json.dumps,
    ) -> None:
        """Send ``data`` as JSON in a TEXT message."""
        await self.send_str(dumps(data), compress)

    async def send_json_bytes(
        self, data: Any, compress: int | None = None, *, dumps: Callable[[Any], bytes]
    ) -> None:
        """Send ``data`` as JSON, made as ``bytes`` by ``dumps``, in a BINARY message."""
        await self.send_bytes(dumps(data), compress)

    async def send_frame(
        self, message: bytes, opcode: WSMsgType, compress: int | None = None
    ) -> None:
        """Send a whole frame of ``opcode``: TEXT, BINARY, PING or PONG.

        Raises ValueError for another opcode, LocalProtocolError for TEXT that is not UTF-8.
        """
        make = _FRAMES.get(opcode)
        if make is None:
            raise ValueError(f"a frame of {opcode!r} cannot be sent by itself")
        stream = self._opened()
        try:
            stream.transmit(make(_bytes(message), compress if compress is None else compress > 0))
        except LocalProtocolError as error:
            self._raise_refusal(error)
        if not stream.flush():
            await self._drain()

    async def ping(self, message: bytes | str = b"") -> None:
        """Send a ping, at most 125 bytes."""
        await self.send_frame(_encoded(message), WSMsgType.PING)

    async def pong(self, message: bytes | str = b"") -> None:
        """Send a pong that nobody asked for, at most 125 bytes."""
        await self.send_frame(_encoded(message), WSMsgType.PONG)

    def _raise_refusal(self, error: LocalProtocolError) -> NoReturn:
        """Tell the application why the engine refused to send."""
        if self._opened().connection.can_send:
            raise error
        raise ClientConnectionResetError("Cannot write to closing transport") from error

    async def _drain(self) -> None:
        try:
            await self._opened().drain()
        except ConnectionResetError as error:
            raise ClientConnectionResetError("Cannot write to closing transport") from error

    # -- receiving ---------------------------------------------------------------------

    @overload
    def receive(
        self: WebSocketBase[Literal[True]], timeout: float | None = None
    ) -> Coroutine[Any, Any, WSMessageDecodeText]: ...
    @overload
    def receive(
        self: WebSocketBase[Literal[False]], timeout: float | None = None
    ) -> Coroutine[Any, Any, WSMessageNoDecodeText]: ...
    @overload
    def receive(
        self: WebSocketBase[bool], timeout: float | None = None
    ) -> Coroutine[Any, Any, WSMessage | WSMessageTextBytes]: ...
    def receive(
        self, timeout: float | None = None
    ) -> Coroutine[Any, Any, WSMessage | WSMessageTextBytes]:
        """Wait for the next message.

        ``timeout`` in seconds, by default the ``receive_timeout`` of the constructor.
        Raises TimeoutError, and RuntimeError while another task receives.
        """
        return self._receive(timeout, False)

    def __aiter__(self) -> Self:
        return self

    @overload
    def __anext__(
        self: WebSocketBase[Literal[True]],
    ) -> Coroutine[Any, Any, WSMessageDecodeText]: ...
    @overload
    def __anext__(
        self: WebSocketBase[Literal[False]],
    ) -> Coroutine[Any, Any, WSMessageNoDecodeText]: ...
    @overload
    def __anext__(
        self: WebSocketBase[bool],
    ) -> Coroutine[Any, Any, WSMessage | WSMessageTextBytes]: ...
    def __anext__(self) -> Coroutine[Any, Any, WSMessage | WSMessageTextBytes]:
        if type(self).receive is not WebSocketBase.receive:
            return self._next_by_receive()
        return self._receive(None, True)

    async def _next_by_receive(self) -> WSMessage | WSMessageTextBytes:
        """Iterate by the ``receive`` of a subclass, which may change what comes."""
        message = await self.receive()
        if message.type in _ENDS:
            raise StopAsyncIteration
        return message

    async def _receive(
        self, timeout: float | None, iterating: bool
    ) -> WSMessage | WSMessageTextBytes:
        """Wait for the next message; one coroutine for each, whichever way it is asked for."""
        stream = self._stream or self._opened()
        if self._waiting:
            raise RuntimeError("another task waits in receive(): one at a time may")
        timeout = timeout or self._receive_timeout
        connection = stream.connection
        if connection.closed or connection.close_code is not None:
            return _end(await self._receive_after_end(), iterating)
        while True:
            event = connection.next_event()
            if event is None:
                if connection.closed:  # by another task, after this one was woken
                    return _end(await self._receive_after_end(), iterating)
                if stream.credit:
                    stream.acknowledge_all()
                self._waiting = True
                try:
                    if timeout is None:
                        came = await stream.waiter
                    else:
                        async with asyncio.timeout(timeout):
                            came = await stream.waiter
                finally:
                    self._waiting = False
                if type(came) is bytes:
                    return _new(WSMessage, (_BINARY, came, ""))
                if type(came) is str:
                    return _new(WSMessage, (_TEXT, came, ""))
                if not came:
                    self._early_code = self._early_code or self._interrupted_code
                    return _end(self._interrupted, iterating)
            elif isinstance(event, BytesMessage):
                return _new(WSMessage, (_BINARY, event.data, ""))
            elif isinstance(event, TextMessage):
                kind = WSMessage if type(event.data) is str else WSMessageTextBytes
                return _new(kind, (_TEXT, event.data, ""))
            elif isinstance(event, WebSocketClose):
                stream.answer_close()
                return _end(self._take_close(event), iterating)
            elif not self._autoping:
                opcode = WSMsgType.PING if isinstance(event, Ping) else WSMsgType.PONG
                return WSMessage(opcode, event.payload, "")

    async def _receive_after_end(self) -> WSMessage:
        raise NotImplementedError

    def _take_close(self, event: WebSocketClose) -> WSMessage:
        """The last event: say what it means."""
        error = event.error
        if error is None:
            return WSMessage(WSMsgType.CLOSE, self.close_code, event.reason)
        if isinstance(error, PongTimeout):
            return WSMessage(WSMsgType.ERROR, self.exception(), None)
        if event.code == CloseCode.ABNORMAL_CLOSURE:
            self._exception = self._lost_error(error)
            return WS_CLOSED_MESSAGE
        self._exception = WebSocketError(event.code, event.reason)
        return WSMessage(WSMsgType.ERROR, self._exception, None)

    def _lost_error(self, error: Exception) -> Exception | None:
        """Return what ``exception()`` says after the connection just ended."""
        raise NotImplementedError

    def _timeout_error(self, error: Exception) -> Exception:
        """Return what ``exception()`` says of a peer that did not answer in time."""
        raise NotImplementedError

    @overload
    async def receive_str(
        self: WebSocketBase[Literal[True]], *, timeout: float | None = None
    ) -> str: ...
    @overload
    async def receive_str(
        self: WebSocketBase[Literal[False]], *, timeout: float | None = None
    ) -> bytes: ...
    @overload
    async def receive_str(
        self: WebSocketBase[bool], *, timeout: float | None = None
    ) -> str | bytes: ...
    async def receive_str(self, *, timeout: float | None = None) -> str | bytes:
        """Return the next message, which must be TEXT; else WSMessageTypeError is raised."""
        message = await self.receive(timeout)
        if message.type is not _TEXT:
            _raise_type_error(message, _TEXT)
        data: str | bytes = message.data
        return data

    async def receive_bytes(self, *, timeout: float | None = None) -> bytes:
        """Return the next message, which must be BINARY; else WSMessageTypeError is raised."""
        message = await self.receive(timeout)
        if message.type is not _BINARY:
            _raise_type_error(message, _BINARY)
        data: bytes = message.data
        return data

    async def receive_json(
        self, *, loads: Callable[[Any], Any] = json.loads, timeout: float | None = None
    ) -> Any:
        """Return the next message, which must be TEXT, decoded as JSON."""
        text = await self.receive_str(timeout=timeout)
        try:
            return loads(text)
        except (ValueError, RecursionError) as error:
            blame_peer(error)
            raise

    # -- closing -----------------------------------------------------------------------

    async def _close(self, code: int, message: bytes | str, drain: bool) -> bool:
        """Close, and wait for the peer's Close frame; false when it was closed before."""
        stream = self._opened()
        connection = stream.connection
        if connection.closed:
            return False
        if connection.state is WebSocketState.CLOSED:  # lost, and nobody has looked yet
            self._take_rest(stream)
            return True
        reason = message if isinstance(message, str) else message.decode("utf-8", "replace")
        stream.transmit(WebSocketClose(code, reason))
        self._close_done = asyncio.Event()
        stream.interrupt()
        try:
            if drain:
                await self._drain()
            while not self._take_rest(stream):
                if stream.credit:
                    stream.acknowledge_all()
                await stream.waiter
        except ConnectionResetError:
            self._take_rest(stream)
        except BaseException:
            self._early_code = WSCloseCode.ABNORMAL_CLOSURE
            stream.abort()
            raise
        finally:
            self._close_done.set()
        return True

    def _take_rest(self, stream: WebSocketExchange) -> bool:
        """Drop messages up to the last event; tell whether that has come."""
        connection = stream.connection
        if connection.close_code is not None:
            return True  # ``receive`` has had it
        while (event := connection.next_event()) is not None:
            if isinstance(event, WebSocketClose):
                stream.answer_close()
                if event.error is not None:
                    self._exception = self._timeout_error(event.error)
                return True
        return False


_FRAMES: Final[dict[WSMsgType, Callable[[bytes, bool | None], WebSocketEvent]]] = {
    WSMsgType.TEXT: lambda data, compress: TextMessage(data, True, compress),
    WSMsgType.BINARY: lambda data, compress: BytesMessage(data, True, compress),
    WSMsgType.PING: lambda data, compress: Ping(data),
    WSMsgType.PONG: lambda data, compress: Pong(data),
}
"""What can be sent in a frame by itself."""

_ENDS: Final = frozenset({WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED})


def _end(message: WSMessage, iterating: bool) -> WSMessage:
    """Return ``message``, the last or one behind it; an iteration ends there.

    Not at an ERROR, which is to be looked at.
    """
    if iterating and message.type in _ENDS:
        raise StopAsyncIteration
    return message


def _encoded(data: bytes | str) -> bytes:
    return data.encode() if isinstance(data, str) else data


def _bytes(data: bytes | bytearray | memoryview) -> bytes:
    if not isinstance(data, (bytes, bytearray, memoryview)):
        raise TypeError(f"data must be bytes, bytearray or memoryview, not {type(data).__name__}")
    return bytes(data)


def _raise_type_error(message: WSMessage | WSMessageTextBytes, wanted: WSMsgType) -> NoReturn:
    raise WSMessageTypeError(
        f"Received message {message.type}:{message.data!r} is not WSMsgType.{wanted.name}"
    )
