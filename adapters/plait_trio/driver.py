"""The driver: where a trio stream meets a protocol engine.

It follows the same law as the asyncio adapter (``plait_engine.connection``), in trio's
way: one task reads, one task writes and keeps the time, commands are plain calls from any
task.  A command or an input changes the engine and then calls ``pump``, which hands out
the events and wakes the writer.  Everything else, both HTTP versions, both roles, flow
control, timers, is the engine's; that this file is short is the proof that the seam holds.
"""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import TypeAlias

import trio

from plait_engine import (
    CloseAction,
    Config,
    Connection,
    ConnectionClosed,
    Data,
    EndOfMessage,
    ErrorCode,
    Event,
    Headers,
    PriorKnowledge,
    Request,
    Role,
    StreamReset,
    create_connection,
)
from plait_engine.engines import EngineName
from plait_engine.events import Sendable

ALPN_PROTOCOLS = ["h2", "http/1.1"]
"""What both sides offer on TLS, the best first (RFC 7301)."""

RECEIVE_SIZE = 65536

TrioStream: TypeAlias = "trio.SocketStream | trio.SSLStream[trio.SocketStream]"


class StreamError(Exception):
    """A request or tunnel was cut short.

    ``event`` is the engine's ``StreamReset`` or ``ConnectionClosed``: it tells who did it,
    the error, and whether the request may safely be sent again.
    """

    def __init__(self, event: StreamReset | ConnectionClosed) -> None:
        self.event = event
        if isinstance(event, StreamReset):
            text = event.error or f"stream reset with code {event.code}"
        else:
            text = event.error or event.reason.explain()
        super().__init__(str(text))


class Exchange:
    """One stream of a connection: a request and its response, or a tunnel."""

    def __init__(self, driver: Driver, stream_id: int) -> None:
        self.driver = driver
        self.stream_id = stream_id
        self.trailers: Headers = ()
        self.complete = [False, False]
        """Whether our message and the peer's have ended."""
        self._events: deque[Event] = deque()
        self._changed = trio.Event()
        self._writable = trio.Event()
        self._failure: StreamReset | ConnectionClosed | None = None

    async def next_event(self) -> Event:
        """Wait for the next event of this stream.  Raises StreamError when it was cut short."""
        while not self._events:
            if self._failure is not None:
                raise StreamError(self._failure)
            self._changed = trio.Event()
            await self._changed.wait()
        return self._events.popleft()

    async def receive(self) -> AsyncIterator[bytes]:
        """Yield the octets of the body or tunnel; each is acknowledged when the next is
        asked for.  Trailers are in ``trailers`` at the end."""
        while True:
            event = await self.next_event()
            if isinstance(event, Data):
                yield event.data
                self.driver.acknowledge(self.stream_id, event.credit)
            elif isinstance(event, EndOfMessage):
                self.trailers = event.trailers
                return

    async def send(self, *events: Sendable) -> None:
        """Send events of this stream, then wait until it takes more."""
        if self._failure is not None:
            raise StreamError(self._failure)
        self.driver.send(*events)
        if isinstance(events[-1], EndOfMessage):
            self.complete[0] = True
        while self._failure is None and self.driver.is_full(self):
            self._writable = trio.Event()
            await self._writable.wait()
        await trio.lowlevel.checkpoint()

    def deliver(self, event: Event) -> None:
        """Take an event from the driver (the driver's call)."""
        if isinstance(event, (StreamReset, ConnectionClosed)):
            self._failure = self._failure or event
        else:
            if isinstance(event, EndOfMessage):
                self.complete[1] = True
            self._events.append(event)
        self._changed.set()

    def wake(self) -> None:
        """Wake the sender, to look again (the driver's call)."""
        self._writable.set()


RequestHook: TypeAlias = Callable[[Exchange, Request], Awaitable[None]]


class Driver:
    """A connection on a trio stream.  ``run`` it in a task for as long as it lives.

    Args:
        stream: the transport, with the TLS handshake done.
        role: which side this is.
        config: the engine's configuration.
        protocol: ``"http/1.1"`` or ``"h2"``; ``None``: what ALPN chose, else HTTP/1.1.
        on_request: runs as a task for each request (server).
        engine: ``"native"`` or ``"reference"``.
    """

    def __init__(
        self,
        stream: TrioStream,
        role: Role,
        config: Config,
        *,
        protocol: str | None = None,
        on_request: RequestHook | None = None,
        engine: EngineName = "native",
    ) -> None:
        self.stream = stream
        self.config = replace(config, random=os.urandom)
        self.role = role
        self.exchanges: dict[int, Exchange] = {}
        self.closed = trio.Event()
        self.settings = trio.Event()
        """Set when an HTTP/2 peer's SETTINGS came; on HTTP/1.1 from the start."""
        self._engine_name: EngineName = engine
        self._on_request = on_request
        self._reader_wakeup = trio.Event()
        self._writer_wakeup = trio.Event()
        if protocol is None and isinstance(stream, trio.SSLStream):
            protocol = stream.selected_alpn_protocol()
        self.engine = self._make_engine(protocol or "http/1.1")

    def _make_engine(self, protocol: str) -> Connection:
        if protocol == "http/1.1":
            self.settings.set()
        return create_connection(self.role, protocol, self.config, engine=self._engine_name)

    async def run(self) -> None:
        """Move octets until the connection is closed; then no task is left."""
        self.engine.connection_made(trio.current_time())
        try:
            async with trio.open_nursery() as self._nursery:
                self._nursery.start_soon(self._read)
                await self._write()
                self._nursery.cancel_scope.cancel()
        finally:
            self.engine.connection_lost(None, trio.current_time())
            self.pump()
            self.closed.set()
            with trio.CancelScope(shield=True, deadline=trio.current_time() + 1):
                await trio.aclose_forcefully(self.stream)

    # -- commands ---------------------------------------------------------------

    def open_exchange(self) -> Exchange:
        """Return the exchange for a new request of this client; send the request next."""
        exchange = Exchange(self, self.engine.next_stream_id())
        self.exchanges[exchange.stream_id] = exchange
        return exchange

    def send(self, *events: Sendable) -> None:
        self.engine.send(*events, now=trio.current_time())
        self.pump()

    def acknowledge(self, stream_id: int, credit: int) -> None:
        self.engine.acknowledge(stream_id, credit, trio.current_time())
        self.pump()

    def finish(self, exchange: Exchange) -> None:
        """The application is done with an exchange: what is not complete is given up."""
        known = self.exchanges.pop(exchange.stream_id, None) is not None
        if known and not self.closed.is_set() and not all(exchange.complete):
            code = ErrorCode.NO_ERROR if exchange.complete[0] else ErrorCode.CANCEL
            if self.role is Role.CLIENT:
                code = ErrorCode.CANCEL
            self.send(StreamReset(exchange.stream_id, code))

    def close(self) -> None:
        """Finish what is open, then close."""
        self.engine.close(now=trio.current_time())
        self.pump()

    def is_full(self, exchange: Exchange) -> bool:
        """Tell whether a sender has to wait."""
        return (
            exchange.stream_id in self.exchanges
            and self.engine.send_capacity(exchange.stream_id) <= 0
        )

    # -- the law ------------------------------------------------------------------

    def pump(self) -> None:
        """Hand out the events and wake the writer."""
        while (event := self.engine.next_event()) is not None:
            match event:
                case Request():
                    self._start(event)
                case PriorKnowledge(data):
                    self.engine = self._make_engine("h2")
                    self.engine.connection_made(trio.current_time())
                    self.engine.receive_data(data, trio.current_time())
                case ConnectionClosed():
                    for exchange in self.exchanges.values():
                        exchange.deliver(event)
                        exchange.wake()
                    self.settings.set()
                case _:
                    self._deliver(event)
        self._reader_wakeup.set()
        self._writer_wakeup.set()

    def _start(self, event: Request) -> None:
        exchange = Exchange(self, event.stream_id)
        self.exchanges[event.stream_id] = exchange
        if self._on_request is not None:
            self._nursery.start_soon(self._on_request, exchange, event)

    def _deliver(self, event: Event) -> None:
        stream_id = getattr(event, "stream_id", None)
        exchange = self.exchanges.get(stream_id) if stream_id is not None else None
        if exchange is not None:
            exchange.wake()
            exchange.deliver(event)
        elif isinstance(event, Data):
            self.engine.acknowledge(event.stream_id, event.credit, trio.current_time())
        elif stream_id is None:
            self.settings.set()

    async def _read(self) -> None:
        while True:
            while not self.engine.wants_read:
                self._reader_wakeup = trio.Event()
                await self._reader_wakeup.wait()
            try:
                data = await self.stream.receive_some(RECEIVE_SIZE)
            except (trio.BrokenResourceError, trio.ClosedResourceError) as exc:
                self.engine.connection_lost(exc, trio.current_time())
                self.pump()
                return
            if data:
                self.engine.receive_data(bytes(data), trio.current_time())
            else:
                self.engine.receive_eof(trio.current_time())
            self.pump()
            if not data:
                return

    async def _write(self) -> None:
        """Write, half-close, close, and keep the time, until the connection is over."""
        half_closed = False
        while True:
            self._writer_wakeup = trio.Event()
            try:
                while data := self.engine.data_to_send():
                    await self.stream.send_all(data)
                    self.pump()
                action = self.engine.wants_close
                if action is CloseAction.WRITE_EOF and not half_closed:
                    half_closed = True
                    if isinstance(self.stream, trio.SocketStream):
                        await self.stream.send_eof()
                elif action is CloseAction.CLOSE:
                    with trio.move_on_after(self.config.timeouts.close):
                        await self.stream.aclose()
                    return
                elif action is CloseAction.ABORT:
                    return
            except trio.BrokenResourceError as exc:
                self.engine.connection_lost(exc, trio.current_time())
                self.pump()
                return
            deadline = self.engine.next_timeout()
            with trio.CancelScope(deadline=math.inf if deadline is None else deadline):
                await self._writer_wakeup.wait()
            self.engine.handle_timeout(trio.current_time())
            self.pump()
