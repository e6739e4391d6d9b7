"""A WebSocket on a trio exchange, either role, over HTTP/1.1 or HTTP/2.

The protocol is ``plait_engine.websocket``.  There is no task behind it: whoever waits in
``receive`` or ``aclose`` also answers pings and keeps the time.  Several tasks may do so; one of
them at a time waits for the peer, and the others for their turn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import TracebackType

import trio

from plait_engine import Accept, Data, EndOfMessage, Headers, Request, Response, Role
from plait_engine.engines import websocket_class
from plait_engine.websocket import (
    BytesMessage,
    Deflate,
    Negotiated,
    Pong,
    TextMessage,
    WebSocketClose,
    WebSocketEvent,
    accept_request,
    check_response,
    client_request,
)

from .driver import Driver, Exchange, StreamError


class WebSocketClosed(Exception):
    """The WebSocket ended.  ``event`` has the code and the reason (RFC 6455 section 7.1.5)."""

    def __init__(self, event: WebSocketClose) -> None:
        super().__init__(event.error or f"closed with code {event.code} {event.reason}".rstrip())
        self.event = event


class WebSocket:
    """An open WebSocket.  Leaving ``async with`` closes it with code 1000."""

    def __init__(self, exchange: Exchange, role: Role, negotiated: Negotiated) -> None:
        self._exchange = exchange
        driver = exchange.driver
        self._connection = websocket_class(driver.engine_name)(
            role,
            driver.config,
            now=trio.current_time(),
            deflate=negotiated.deflate,
            subprotocol=negotiated.subprotocol,
        )
        self._closed: WebSocketClose | None = None
        self._turn = trio.Lock()
        self._waiting: trio.CancelScope | None = None
        """Ends the waiting for the peer, to look again until when."""

    @property
    def subprotocol(self) -> str | None:
        """What the handshake agreed on."""
        return self._connection.subprotocol

    async def send(self, message: str | bytes) -> None:
        """Send a text (str) or binary (bytes) message.

        Raises LocalProtocolError when the WebSocket is closing, StreamError when the
        connection broke.
        """
        if isinstance(message, str):
            await self._send(TextMessage(message))
        else:
            await self._send(BytesMessage(message))

    async def receive(self) -> str | bytes:
        """Wait for the next message.  Raises WebSocketClosed when there is none to come."""
        while True:
            event = await self._next_event()
            if isinstance(event, (TextMessage, BytesMessage)):
                return event.data
            if isinstance(event, WebSocketClose):
                raise WebSocketClosed(event)

    def __aiter__(self) -> WebSocket:
        return self

    async def __anext__(self) -> str | bytes:
        try:
            return await self.receive()
        except WebSocketClosed:
            raise StopAsyncIteration from None

    async def aclose(self, code: int = 1000, reason: str = "") -> None:
        """Close, and wait for the peer's Close frame for as long as ``Timeouts.close``."""
        try:
            if self._connection.can_send:
                await self._send(WebSocketClose(code, reason))
            while self._closed is None:
                await self._next_event()
        except (StreamError, WebSocketClosed, trio.ClosedResourceError):
            pass  # The peer went without a word, or another task closed meanwhile.
        finally:
            self._exchange.driver.finish(self._exchange)

    async def __aenter__(self) -> WebSocket:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose(1000 if exc is None else 1011)

    async def _next_event(self) -> WebSocketEvent:
        async with self._turn:
            return await self._read_event()

    async def _read_event(self) -> WebSocketEvent:
        connection = self._connection
        while True:
            try:
                await self._flush()
            except StreamError as error:
                connection.connection_lost(error, trio.current_time())
            event = connection.next_event()  # Nothing is awaited before it is returned.
            if isinstance(event, WebSocketClose):
                self._closed = event
            if event is not None and not isinstance(event, Pong):
                return event
            if event is None:
                await self._wait()

    async def _wait(self) -> None:
        """Give the connection the next bytes of the tunnel, or the time."""
        connection = self._connection
        if self._closed is not None:
            raise WebSocketClosed(self._closed)
        deadline = connection.next_timeout()
        received = None
        with trio.move_on_at(math.inf if deadline is None else deadline) as self._waiting:
            try:
                received = await self._exchange.next_event()
            except StreamError as error:
                connection.connection_lost(error, trio.current_time())
                return
            finally:
                self._waiting = None
        now = trio.current_time()
        if isinstance(received, Data):
            connection.receive_data(received.data, now)
            self._exchange.acknowledge(received.credit)
        elif isinstance(received, EndOfMessage):
            connection.receive_eof(now)
        elif received is None:
            connection.handle_timeout(now)

    async def _send(self, event: WebSocketEvent) -> None:
        self._connection.send(event, now=trio.current_time())
        if self._waiting is not None:
            self._waiting.cancel()  # What was sent may have a deadline for its answer.
        await self._flush()

    async def _flush(self) -> None:
        stream_id = self._exchange.stream_id
        while data := self._connection.data_to_send():
            await self._exchange.send(Data(stream_id, data))
        if self._connection.wants_close and not self._exchange.sent_end:
            await self._exchange.send(EndOfMessage(stream_id))


async def accept_websocket(
    exchange: Exchange, request: Request, subprotocols: Sequence[str] = ()
) -> WebSocket:
    """Accept a client's handshake.  Raises HandshakeRefused when it is not valid."""
    accept, negotiated = accept_request(request, subprotocols=subprotocols, deflate=Deflate())
    await exchange.send(accept)
    return WebSocket(exchange, Role.SERVER, negotiated)


class Handshake:
    """A client's handshake: what it asks for, and what came of it."""

    def __init__(self, subprotocols: Sequence[str] = ()) -> None:
        self._subprotocols = subprotocols
        self._request: Request | None = None

    def begin(self, head: Request, driver: Driver) -> Request:
        """Return what to send for ``head``, a plain request, on a connection of ``driver``."""
        self._request = client_request(
            head.stream_id,
            scheme=head.scheme,
            authority=head.authority,
            target=head.target,
            random=driver.config.random,
            http2=driver.engine.protocol == "h2",
            subprotocols=self._subprotocols,
            deflate=Deflate(),
            headers=head.headers,
        )
        return self._request

    def check(self, answer: Accept | Response) -> Negotiated:
        """Return what was agreed.  Raises RemoteProtocolError when it was not accepted."""
        assert self._request is not None
        return check_response(self._request, answer, deflate=Deflate())

    def open(self, exchange: Exchange, answer: Accept | Response) -> WebSocket:
        """Return the WebSocket that was accepted.  Raises what ``check`` raises."""
        return WebSocket(exchange, Role.CLIENT, self.check(answer))


async def connect_websocket(
    driver: Driver,
    scheme: str,
    authority: str,
    target: str,
    subprotocols: Sequence[str] = (),
    headers: Headers = (),
) -> WebSocket:
    """Open a WebSocket on a stream of ``driver``.  Raises RemoteProtocolError if refused."""
    exchange = driver.open_exchange()
    handshake = Handshake(subprotocols)
    try:
        head = Request(exchange.stream_id, "GET", scheme, authority, target, headers)
        await exchange.send(handshake.begin(head, driver))
        answer = await exchange.next_event()
        while not isinstance(answer, (Accept, Response)):
            answer = await exchange.next_event()
        return handshake.open(exchange, answer)
    except BaseException:
        driver.finish(exchange)
        raise
